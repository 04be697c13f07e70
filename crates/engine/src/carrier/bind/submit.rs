//! From the queue to the session: how much may be begun, what is taken, and which segments are handed in.

use super::{AHEAD_MAX, BindSession, CODES_AHEAD_MAX, GROUP_MAX};
use crate::carrier::in_flight::serial_of;
use crate::carrier::open_attempts::{BeginResult, Beginning};
use crate::catalog::InDoubt;
use crate::queue::{CarrierQueue, Taken};
use hashbrown::HashMap;
use smpp::session::Request;
use smpp::status::CommandStatus;
use store::{AttemptId, Outgoing, SegmentAnswer, UnixMs};

impl BindSession {
    /// What may be begun now.
    pub(super) fn room(&mut self) -> Room {
        let now = self.elapsed_ms();
        if !self.submits || self.beginning.is_some() || self.closed.is_some() || now < self.rest_until {
            return Room::None;
        }
        let ahead = match self.context.settings.in_doubt {
            InDoubt::Resend if !self.rate_controller.is_slowed() => {
                usize::from(self.context.settings.window_max).min(AHEAD_MAX)
            }
            // What was begun is held after a kill, whether it was written or not: no more of it than needed.
            _ => 0,
        };
        let waiting = self.waiting.len();
        match self
            .rate_controller
            .allowance(now, self.in_flight.segments().saturating_sub(ahead), waiting)
        {
            0 if waiting > 0 && !self.waiting.has_codes() => {
                Room::Codes(usize::from(self.context.settings.window_max).clamp(1, CODES_AHEAD_MAX))
            }
            0 => Room::None,
            segments => Room::Segments(segments),
        }
    }

    /// Hands the session as many segments as it has slots for and the rate allows.
    pub(super) async fn submit_waiting(&mut self) {
        if self.waiting.is_empty() || self.closed.is_some() {
            return;
        }
        let written = self.in_flight.segments().saturating_sub(self.waiting.len());
        let allowed = self.rate_controller.allowance(self.elapsed_ms(), written, 0);
        let room = allowed.min(self.client.window_free());
        let mut requests = self.waiting.take(room);
        // What expired while it waited for a slot makes room for others.
        while self.give_back_expired(&mut requests) && !self.waiting.is_empty() {
            requests.extend(self.waiting.take(room - requests.len()));
        }
        if requests.is_empty() {
            return;
        }
        self.rate_controller.spent(requests.len());
        self.counted.submitted.inc_by(requests.len() as u64);
        // Never waits: there are slots for all. An error means that the session has ended; its `Closed` event names what
        // did not leave of what was handed in before.
        if let Err(unsent) = self.client.send_batch(requests).await {
            for request in unsent.0 {
                let over = self.in_flight.unsent(request.token);
                self.settled(over);
            }
        }
    }

    /// Takes messages and makes their attempt durable.
    pub(super) fn begin(&mut self, room: Room) {
        if self.context.stop.is_cancelled() {
            // What comes after a change goes by it: to the session that takes the place of this one.
            return self.context.queue.wake_next();
        }
        let now = self.now();
        let messages = match room {
            Room::None => Vec::new(),
            Room::Codes(segments) => self.context.queue.take_codes(segments, now),
            Room::Segments(segments) => self.context.queue.take(segments.min(GROUP_MAX), now),
        };
        let taken = Taken::of(&self.context.queue, messages);
        if taken.is_empty() {
            return;
        }
        let (store, open_attempts) = (&self.context.shared.store, &self.context.open_attempts);
        let session = (self.context.entry.no, self.index);
        self.beginning = Some(Box::pin(Beginning::new(
            store,
            open_attempts,
            session,
            taken,
            now,
        )));
    }

    pub(super) fn attempt_opened(&mut self, done: BeginResult) {
        self.beginning = None;
        let (attempt, messages) = match done {
            Ok(Some(opened)) => opened,
            Ok(None) => return,
            Err(error) => return self.store_failed("attempts", &error),
        };
        let now = self.now();
        self.texts.follow(&self.context.shared.catalog.load());
        for message in messages {
            self.counted.waited(&message, now);
            self.enter(message, attempt, now);
        }
    }

    /// Puts a message whose attempt is durable in flight: its segments wait for their slots.
    pub(super) fn enter(&mut self, message: Outgoing, attempt: AttemptId, now: UnixMs) {
        let class = message.batch.class;
        let reference = message.reference;
        let pdus = self
            .context
            .profile
            .pdus(&message, reference, now, &mut self.texts);
        match pdus {
            Ok(pdus) => {
                let segmentation = self.context.profile.segmentation(&message, &pdus);
                let tokens = self
                    .in_flight
                    .insert(message, attempt, pdus.len(), segmentation, now);
                let mut pdus = pdus.into_iter();
                let mut next = 0;
                for (index, token) in tokens {
                    // What earlier attempts gave to the carrier lies between.
                    if let Some(pdu) = pdus.nth(index - next) {
                        self.waiting.push(class, Request::new(token, pdu));
                    }
                    next = index + 1;
                }
                // A session that has ended or was refused meanwhile sends nothing.
                if self.closed.is_some() || self.is_refused {
                    self.give_back_waiting();
                }
            }
            Err(error) => {
                // Checked when it was accepted; a carrier with shorter segments can still make it too long.
                let status = error.status();
                for (_, token) in self.in_flight.insert(message, attempt, 1, None, now) {
                    self.refuse(token, status);
                }
            }
        }
    }

    /// An answer of our own for what cannot be sent.
    pub(super) fn refuse(&mut self, token: u64, status: CommandStatus) {
        let answer = SegmentAnswer {
            status: status.0,
            carrier_id: None,
        };
        let over = self.in_flight.refuse_unsent(token, answer);
        self.settled(over);
    }

    /// Takes out of `requests`, which are about to be written, the messages that have expired and of which nothing was
    /// written in this attempt: the store ends them. True when there were any. A message of which the carrier has been
    /// given a part goes on.
    pub(super) fn give_back_expired(&mut self, requests: &mut Vec<Request>) -> bool {
        let now = self.now();
        let mut here: HashMap<u64, usize> = HashMap::new();
        for serial in requests.iter().map(|request| serial_of(request.token)) {
            if self.in_flight.is_expired(serial, now) {
                *here.entry(serial).or_default() += 1;
            }
        }
        here.retain(|serial, here| {
            *here + self.waiting.of_message(*serial) == self.in_flight.pending(*serial)
        });
        let expired = here;
        if expired.is_empty() {
            return false;
        }
        let mut tokens: Vec<u64> = expired
            .keys()
            .flat_map(|serial| self.waiting.remove(*serial))
            .collect();
        requests.retain(|request| {
            let stays = !expired.contains_key(&serial_of(request.token));
            if !stays {
                tokens.push(request.token);
            }
            stays
        });
        for token in tokens {
            let over = self.in_flight.unsent(token);
            self.settled(over);
        }
        true
    }

    pub(super) fn give_back_waiting(&mut self) {
        for token in self.waiting.clear() {
            let over = self.in_flight.unsent(token);
            self.settled(over);
        }
    }

    pub(super) fn lost(&mut self, token: u64) {
        self.any_doubt = true;
        let (over, freed) = self.in_flight.in_doubt(token);
        self.in_flight.release(freed);
        self.client.release(freed.slots);
        self.settled(over);
    }
}

/// What may be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    None,
    /// Codes alone, so many segments of them: others wait for slots already.
    Codes(usize),
    /// So many segments of any class, in fair turns.
    Segments(usize),
}

impl Room {
    /// Waits until something for this room may be ready; for ever when there is no room.
    pub(super) async fn wait(self, queue: &CarrierQueue) {
        match self {
            Self::None => std::future::pending().await,
            Self::Codes(_) => queue.wait_codes().await,
            Self::Segments(_) => queue.wait_ready().await,
        }
    }
}
