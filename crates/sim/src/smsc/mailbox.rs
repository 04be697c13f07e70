//! Deliveries that wait for a session of one `system_id`.
//!
//! A carrier keeps a receipt until it is acknowledged: deliveries that were in flight when a session ended come back here
//! and leave over the next one.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::receipt::Delivery;
use super::wheel::Wheel;

#[derive(Default)]
pub(super) struct Mailbox {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    later: Wheel<Delivery>,
    now: VecDeque<Delivery>,
    /// Sessions that take deliveries, by number.
    receivers: Vec<(u64, Arc<Notify>)>,
}

impl Inner {
    fn wake(&self) {
        for (_, receiver) in &self.receivers {
            receiver.notify_one();
        }
    }
}

impl Mailbox {
    /// A session that takes deliveries has begun; it is woken when there is something to take earlier than it knows.
    pub(super) fn join(&self, number: u64, wake: Arc<Notify>) {
        self.inner.lock().receivers.push((number, wake));
    }

    pub(super) fn leave(&self, number: u64) {
        self.inner
            .lock()
            .receivers
            .retain(|(receiver, _)| *receiver != number);
    }

    /// Puts deliveries in, each for its millisecond. Leaves `deliveries` empty.
    pub(super) fn schedule(&self, deliveries: &mut Vec<(u64, Delivery)>) {
        if deliveries.is_empty() {
            return;
        }
        let mut inner = self.inner.lock();
        let known = inner.later.next_due_ms().unwrap_or(u64::MAX);
        let earliest = deliveries
            .iter()
            .map(|(due_ms, _)| *due_ms)
            .min()
            .unwrap_or(u64::MAX);
        for (due_ms, delivery) in deliveries.drain(..) {
            inner.later.push(due_ms, delivery);
        }
        if earliest < known {
            inner.wake();
        }
    }

    /// Takes back deliveries that were not acknowledged, to be delivered first. In the order they were taken.
    pub(super) fn give_back(&self, deliveries: impl DoubleEndedIterator<Item = Delivery>) {
        let mut inner = self.inner.lock();
        for delivery in deliveries.rev() {
            inner.now.push_front(delivery);
        }
        inner.wake();
    }

    /// Takes at most `max` deliveries that are due.
    pub(super) fn take(&self, now_ms: u64, max: usize, taken: &mut Vec<Delivery>) {
        let mut inner = self.inner.lock();
        let Inner { later, now, .. } = &mut *inner;
        later.take_due(now_ms, now);
        let count = max.min(now.len());
        taken.extend(now.drain(..count));
    }

    /// When there is something to take; 0 if there is already.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        let inner = self.inner.lock();
        if inner.now.is_empty() {
            inner.later.next_due_ms()
        } else {
            Some(0)
        }
    }

    pub(super) fn len(&self) -> usize {
        let inner = self.inner.lock();
        inner.later.len() + inner.now.len()
    }

    pub(super) fn clear(&self) {
        let mut inner = self.inner.lock();
        inner.later.clear();
        inner.now.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smsc::receipt::Inward;
    use smpp::pdu::DeliverSm;

    fn delivery(name: &str) -> Delivery {
        let pdu = DeliverSm {
            service_type: name.into(),
            ..DeliverSm::default()
        };
        Delivery::Inbound(Arc::new(Inward { pdu, of: None }))
    }

    fn names(taken: &[Delivery]) -> Vec<String> {
        let name = |delivery: &Delivery| match delivery {
            Delivery::Inbound(inward) => inward.pdu.service_type.to_string(),
            Delivery::Receipt(_) => String::new(),
        };
        taken.iter().map(name).collect()
    }

    #[test]
    fn what_comes_back_leaves_first_and_in_order() {
        let mailbox = Mailbox::default();
        mailbox.schedule(&mut vec![
            (5, delivery("a")),
            (5, delivery("b")),
            (7, delivery("c")),
        ]);
        let mut taken = Vec::new();
        mailbox.take(4, 10, &mut taken);
        assert_eq!((taken.len(), mailbox.next_due_ms()), (0, Some(5)));
        mailbox.take(7, 2, &mut taken);
        assert_eq!(
            (names(&taken), mailbox.next_due_ms()),
            (vec!["a".into(), "b".into()], Some(0))
        );
        mailbox.give_back(taken.drain(..));
        mailbox.take(7, 10, &mut taken);
        assert_eq!(names(&taken), ["a", "b", "c"]);
        assert_eq!(mailbox.len(), 0);
    }

    #[tokio::test]
    async fn sessions_are_woken_by_what_is_due_earlier_than_they_know() {
        let mailbox = Mailbox::default();
        let wake = Arc::new(Notify::new());
        mailbox.join(1, Arc::clone(&wake));
        mailbox.schedule(&mut vec![(5, delivery("a"))]);
        wake.notified().await;
        mailbox.schedule(&mut vec![(9, delivery("b"))]);
        mailbox.schedule(&mut vec![(3, delivery("c"))]);
        wake.notified().await;
        mailbox.leave(1);
        mailbox.schedule(&mut vec![(1, delivery("d"))]);
        assert_eq!(mailbox.next_due_ms(), Some(1));
    }
}
