//! What the carrier delivers: receipts, acknowledged once they are durable.

use super::BindSession;
use crate::inbound::{Arrived, Written};
use crate::metrics::ReceiptLabel;
use crate::receipt;
use smpp::pdu::Pdu;
use smpp::session::Reply;
use smpp::status::CommandStatus;
use sms::receipt::Receipt;
use store::{CarrierReceipt, InboundEffect, ReceiptEffect, StoreError, UnixMs};

/// How long what looks like a receipt waits for its message to be known, in milliseconds: an answer may follow its
/// receipt, or come over another session.
const HELD_MS_MAX: i64 = 3_000;
/// How often it is looked for meanwhile.
const HELD_LOOK_MS: i64 = 100;
/// How many wait; those beyond are stored as inbound messages.
const HELD_MAX: usize = 1_000;

/// A likely receipt: without a mark that says so.
pub(super) struct Likely {
    /// Its place among the receipts that are recorded with it.
    place: usize,
    record: CarrierReceipt,
    /// The same delivery as an inbound message, if it is no receipt.
    written: Written,
    /// How long its message may be unknown, in milliseconds since the session began.
    until: i64,
}

/// What looks like receipts of messages that are not known, with the answers they will get.
#[derive(Default)]
pub(super) struct HeldReceipts {
    waiting: Vec<(Likely, Reply)>,
    /// In milliseconds since the session began.
    look_again_at: i64,
}

impl HeldReceipts {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When to look again, in milliseconds since the session began.
    pub(super) fn wake_at(&self) -> Option<i64> {
        (!self.is_empty()).then_some(self.look_again_at)
    }
}

impl BindSession {
    /// A receipt, or what says that it is one.
    pub(super) fn delivered(&mut self, sequence: u32, read: receipt::Read, answer: Pdu) {
        let receipt::Read::Receipt(read) = read else {
            return self.reject(sequence, answer, "unreadable");
        };
        match self.record_of(read) {
            Some(record) => {
                self.receipts.records.push(record);
                self.receipts.replies.push(Reply::ok(sequence, answer));
            }
            None => self.reject(sequence, answer, "unreadable"),
        }
    }

    /// What looks like a receipt: the store knows whether there is a message of its id, and if there is none, a person
    /// wrote it.
    pub(super) fn likely(&mut self, sequence: u32, read: Receipt, written: Written, answer: Pdu) {
        let Some(record) = self.record_of(read) else {
            return self.arrived(sequence, written, answer);
        };
        let record = CarrierReceipt {
            only_if_known: true,
            ..record
        };
        let until = self.elapsed_ms() + HELD_MS_MAX;
        self.look_at_likely(
            Likely {
                place: 0,
                record,
                written,
                until,
            },
            Reply::ok(sequence, answer),
        );
    }

    fn look_at_likely(&mut self, likely: Likely, reply: Reply) {
        let place = self.receipts.records.len();
        self.receipts.records.push(likely.record.clone());
        self.receipts.replies.push(reply);
        self.receipts.likely.push(Likely { place, ..likely });
    }

    /// Looks up held likely receipts in the store again.
    pub(super) fn look_again_at_held(&mut self) {
        if self.acknowledging.is_some() || self.held.wake_at().is_none_or(|at| self.elapsed_ms() < at) {
            return;
        }
        for (likely, reply) in std::mem::take(&mut self.held).waiting {
            self.look_at_likely(likely, reply);
        }
    }

    /// No message is known by the id of what looks like a receipt. The answer with that id may be on its way; if it
    /// does not come soon, a person wrote it.
    fn unmatched(&mut self, likely: Likely, reply: Reply) {
        let now = self.elapsed_ms();
        if now < likely.until && self.held.waiting.len() < HELD_MAX && self.closed.is_none() {
            self.held.look_again_at = now + HELD_LOOK_MS;
            self.held.waiting.push((likely, reply));
            return;
        }
        self.take_written(likely.written, likely.record.received_at, reply);
    }

    fn record_of(&mut self, read: Receipt) -> Option<CarrierReceipt> {
        if let Some(word) = &read.unknown_word {
            self.count_receipts("unknown_word", 1);
            if let Some(word) = self.context.receipts.to_be_logged(word) {
                tracing::warn!(carrier = %self.context.entry.name, %word,
                    "receipt word unknown");
            }
        }
        let carrier = self.context.entry.no;
        self.context.receipts.record(read, carrier, self.now())
    }

    fn count_receipts(&self, result: &'static str, count: u64) {
        let label = ReceiptLabel {
            carrier: self.context.entry.no.0,
            result,
        };
        let receipts = &self.context.shared.metrics.receipts;
        receipts.get_or_create(&label).inc_by(count);
    }

    /// An inbound message.
    pub(super) fn arrived(&mut self, sequence: u32, written: Written, answer: Pdu) {
        self.take_written(written, self.now(), Reply::ok(sequence, answer));
    }

    /// Queues an inbound message to be stored, or throttles it beyond the carrier's rate.
    fn take_written(&mut self, written: Written, received_at: UnixMs, mut reply: Reply) {
        if !self.context.intake.take(written.data.octets.len()) {
            self.count_inbound("throttled");
            tracing::warn!(carrier = %self.context.entry.name,
                "inbound message throttled");
            reply.status = CommandStatus::RTHROTTLED;
            self.client.respond(vec![reply]);
            return;
        }
        self.arrived.parts.push(Arrived {
            carrier: self.context.entry.no,
            written,
            received_at,
        });
        self.arrived.replies.push(reply);
    }

    fn count_inbound(&self, result: &'static str) {
        let label = ReceiptLabel {
            carrier: self.context.entry.no.0,
            result,
        };
        self.context.shared.metrics.inbound.get_or_create(&label).inc();
    }

    /// Acknowledges inbound messages that are durable; after a failure the carrier has to deliver them again.
    pub(super) fn taken(&mut self, mut replies: Vec<Reply>, done: Result<Vec<InboundEffect>, StoreError>) {
        self.taking = None;
        match done {
            Ok(effects) => {
                for effect in effects {
                    self.count_inbound(match effect {
                        InboundEffect::Whole(_) => "whole",
                        InboundEffect::Waiting => "waiting",
                        InboundEffect::Repeated => "repeated",
                        _ => "other",
                    });
                }
            }
            Err(error) => {
                self.store_failed("inbound messages", &error);
                for reply in &mut replies {
                    reply.status = CommandStatus::RX_T_APPN;
                }
            }
        }
        self.client.respond(replies);
    }

    /// Rejects a delivery permanently (`ESME_RX_R_APPN`), so that the carrier does not deliver it again.
    pub(super) fn reject(&mut self, sequence: u32, answer: Pdu, why: &'static str) {
        self.count_receipts(why, 1);
        self.client.respond(vec![Reply {
            sequence,
            status: CommandStatus::RX_R_APPN,
            pdu: answer,
        }]);
    }

    pub(super) async fn acknowledged(
        &mut self,
        mut replies: Vec<Reply>,
        done: Result<Vec<ReceiptEffect>, StoreError>,
    ) {
        self.acknowledging = None;
        let likely = std::mem::take(&mut self.likely);
        match done {
            Ok(effects) => {
                for (effect, count) in receipt::count_effects(&effects) {
                    self.count_receipts(effect, count);
                }
                // From the last on: those before keep their places.
                for likely in likely.into_iter().rev() {
                    let place = likely.place;
                    if effects.get(place) == Some(&ReceiptEffect::Unmatched) && place < replies.len() {
                        let reply = replies.remove(place);
                        self.unmatched(likely, reply);
                    }
                }
            }
            Err(error) => {
                self.store_failed("receipts", &error);
                // The carrier keeps them and offers them again.
                for reply in &mut replies {
                    reply.status = CommandStatus::RX_T_APPN;
                }
            }
        }
        self.client.respond(replies);
    }
}
