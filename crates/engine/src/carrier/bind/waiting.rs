//! Segments whose attempt is durable and that wait for a slot of the window, codes first.
//!
//! They wait here and not in the session, so that a code passes the rest of a long text, and so that what a final refusal
//! makes pointless is never written.

use crate::carrier::in_flight::serial_of;
use smpp::session::Request;
use sms::class::Class;
use std::collections::VecDeque;

/// Requests in the order in which they are to be written.
#[derive(Debug, Default)]
pub(super) struct WaitingSegments {
    /// By class, in the order of the classes' numbers; codes are the first.
    classes: [VecDeque<Request>; 3],
    len: usize,
}

impl WaitingSegments {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a code waits.
    pub(super) fn has_codes(&self) -> bool {
        self.classes.first().is_some_and(|codes| !codes.is_empty())
    }

    pub(super) fn push(&mut self, class: Class, request: Request) {
        if let Some(waiting) = self.classes.get_mut(usize::from(class.as_u8())) {
            waiting.push_back(request);
            self.len += 1;
        }
    }

    /// Takes up to `segments_max`.
    pub(super) fn take(&mut self, segments_max: usize) -> Vec<Request> {
        let mut taken = Vec::with_capacity(segments_max.min(self.len));
        for class in &mut self.classes {
            let room = segments_max - taken.len();
            taken.extend(class.drain(..room.min(class.len())));
        }
        self.len -= taken.len();
        taken
    }

    /// How much waits of one message.
    pub(super) fn of_message(&self, serial: u64) -> usize {
        let all = self.classes.iter().flatten();
        all.filter(|request| serial_of(request.token) == serial).count()
    }

    /// Takes out what waits of one message; gives the tokens.
    pub(super) fn remove(&mut self, serial: u64) -> Vec<u64> {
        let mut removed = Vec::new();
        for class in &mut self.classes {
            class.retain(|request| {
                let other = serial_of(request.token) != serial;
                if !other {
                    removed.push(request.token);
                }
                other
            });
        }
        self.len -= removed.len();
        removed
    }

    /// Takes out everything; gives the tokens.
    pub(super) fn clear(&mut self) -> Vec<u64> {
        self.take(self.len)
            .into_iter()
            .map(|request| request.token)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smpp::pdu::SubmitSm;

    fn tokens(requests: Vec<Request>) -> Vec<u64> {
        requests.into_iter().map(|request| request.token).collect()
    }

    #[test]
    fn codes_pass_what_waits_of_a_long_text() {
        let mut waiting = WaitingSegments::default();
        for part in 0..3 {
            waiting.push(Class::Marketing, Request::new(1 << 8 | part, SubmitSm::default()));
        }
        waiting.push(Class::Otp, Request::new(2 << 8, SubmitSm::default()));
        assert!(waiting.has_codes());
        assert_eq!(tokens(waiting.take(2)), [2 << 8, 1 << 8]);
        assert!(!waiting.has_codes());
        assert_eq!(waiting.remove(1), [1 << 8 | 1, 1 << 8 | 2]);
        assert!(waiting.is_empty());
        assert!(waiting.clear().is_empty());
    }
}
