//! Delivers receipts and inbound messages, and handles their answers.

use std::sync::atomic::Ordering;

use smpp::pdu::Pdu;
use smpp::{CommandStatus, Header};

use super::Connection;
use crate::seed::Question;
use crate::smsc::ledger::Ledger;
use crate::smsc::receipt::Delivery;
use crate::smsc::shared::Moment;

/// A delivery that waits for its answer.
pub(super) struct InFlight {
    pub(super) delivery: Delivery,
    until_ms: u64,
}

impl Connection {
    /// Whether one more delivery may leave over this session.
    pub(super) fn may_deliver(&self) -> bool {
        self.room() > 0
    }

    fn room(&self) -> usize {
        let receives = self.bound.as_ref().is_some_and(|bound| bound.kind.receives());
        // While unbinding, nothing new is begun.
        if !receives || self.unbind_until_ms.is_some() {
            return 0;
        }
        self.script
            .behaviour
            .receipts
            .window_max
            .saturating_sub(self.in_flight.len())
    }

    /// When [`Self::deliver_due`] has something to do.
    pub(super) fn next_delivery_ms(&self) -> Option<u64> {
        let answer = self
            .in_flight
            .first_key_value()
            .map(|(_, in_flight)| in_flight.until_ms);
        let next = self
            .bound
            .as_ref()
            .filter(|_| self.may_deliver())
            .and_then(|bound| bound.mailbox.next_due_ms());
        answer.into_iter().chain(next).min()
    }

    /// Delivers what is due, as far as the window allows.
    pub(super) fn deliver_due(&mut self, now: Moment) {
        self.give_up_unanswered(now);
        let room = self.room();
        let Some(bound) = self.bound.as_ref().filter(|_| room > 0) else {
            return;
        };
        let mut taken = std::mem::take(&mut self.taken);
        bound.mailbox.take(now.ms, room, &mut taken);
        if !taken.is_empty() {
            if self.script.behaviour.receipts.shuffled {
                self.shuffle(&mut taken);
            }
            let shared = std::sync::Arc::clone(&self.shared);
            let mut ledger = shared.ledger.lock();
            for delivery in taken.drain(..) {
                self.deliver(delivery, &mut ledger, now);
            }
        }
        self.taken = taken;
    }

    /// Writes one delivery. There must be room for it.
    pub(super) fn deliver(&mut self, delivery: Delivery, ledger: &mut Ledger, now: Moment) {
        let sequence = self.next_sequence();
        let receipts = &self.script.behaviour.receipts;
        let until_ms = now.ms + receipts.timeout_ms;
        let pdu: Pdu = match &delivery {
            Delivery::Receipt(note) => self
                .receipt_formatter
                .write(note, self.shared.config.ids.receipt, receipts, now.unix_s)
                .into(),
            Delivery::Inbound(inward) => Pdu::DeliverSm(inward.pdu.clone()),
        };
        if !self.say(&pdu, CommandStatus::ROK, sequence) {
            ledger.counts.receipts_unsendable += 1;
            return;
        }
        ledger.counts.receipts_sent += u64::from(matches!(delivery, Delivery::Receipt(_)));
        self.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        self.in_flight.insert(sequence, InFlight { delivery, until_ms });
    }

    /// The peer has answered a delivery (or did not understand it).
    pub(super) fn receive_deliver_resp(&mut self, header: Header, ledger: &mut Ledger, now: Moment) {
        let Some(InFlight { delivery, .. }) = self.in_flight.remove(&header.sequence) else {
            ledger.counts.unmatched += 1;
            return;
        };
        self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        if header.status.is_ok() && header.command == smpp::CommandId::DELIVER_SM_RESP {
            match delivery {
                Delivery::Receipt(note) => {
                    ledger.remember_acknowledged(&note);
                    ledger.acknowledged(note.key);
                }
                Delivery::Inbound(inward) => ledger.inbound_acknowledged(inward.of),
            }
            return;
        }
        ledger.counts.receipts_refused += 1;
        self.planned
            .push((now.ms + self.script.behaviour.receipts.retry_ms, delivery));
    }

    /// Returns deliveries without an answer in time to the mailbox, to be delivered again.
    fn give_up_unanswered(&mut self, now: Moment) {
        let mut late = Vec::new();
        while let Some(first) = self
            .in_flight
            .first_entry()
            .filter(|first| first.get().until_ms <= now.ms)
        {
            late.push(first.remove().delivery);
        }
        let Some(bound) = self.bound.as_ref().filter(|_| !late.is_empty()) else {
            return;
        };
        self.shared.in_flight.fetch_sub(late.len(), Ordering::Relaxed);
        self.shared.ledger.lock().counts.receipts_in_doubt += late.len() as u64;
        bound.mailbox.give_back(late.into_iter());
    }

    fn shuffle(&self, deliveries: &mut [Delivery]) {
        let subject = self.bound.as_ref().map_or(0, |bound| bound.number);
        for last in (1..deliveries.len()).rev() {
            let nth = u64::from(self.sequence) << 32 | last as u64;
            let other = self
                .shared
                .seed
                .roll(Question::Order, subject, nth)
                .within(0, last as u64);
            deliveries.swap(last, usize::try_from(other).unwrap_or(last));
        }
    }
}
