//! What the carrier delivers: receipts, acknowledged once they are durable.

use super::BindSession;
use crate::inbound::{Arrived, Written};
use crate::metrics::ReceiptLabel;
use crate::receipt;
use smpp::pdu::Pdu;
use smpp::session::Reply;
use smpp::status::CommandStatus;
use store::{CarrierReceipt, InboundFate, ReceiptFate, StoreError};

impl BindSession {
    pub(super) fn delivered(&mut self, sequence: u32, read: receipt::Read, answer: Pdu) {
        match read {
            receipt::Read::Receipt(read) => match self.context.notation.receipt_id(&read.id) {
                Some(carrier_id) => {
                    self.receipts.records.push(CarrierReceipt {
                        carrier: self.context.entry.no,
                        carrier_id,
                        state: read.state,
                        error: read.error,
                        received_at: self.now(),
                    });
                    self.receipts.replies.push(Reply::ok(sequence, answer));
                }
                None => self.reject(sequence, answer, "unreadable"),
            },
            receipt::Read::Unreadable => self.reject(sequence, answer, "unreadable"),
            receipt::Read::Inbound => self.reject(sequence, answer, "unreadable"),
        }
    }

    /// A person wrote.
    pub(super) fn arrived(&mut self, sequence: u32, written: Written, answer: Pdu) {
        self.arrived.parts.push(Arrived {
            carrier: self.context.entry.no,
            written,
            received_at: self.now(),
        });
        self.arrived.replies.push(Reply::ok(sequence, answer));
    }

    /// What people wrote is durable, or the carrier is asked to offer it again.
    pub(super) fn taken(&mut self, mut replies: Vec<Reply>, done: Result<Vec<InboundFate>, StoreError>) {
        self.taking = None;
        match done {
            Ok(fates) => {
                for fate in fates {
                    let label = ReceiptLabel {
                        carrier: self.context.entry.no.0,
                        fate: match fate {
                            InboundFate::Whole(_) => "whole",
                            InboundFate::Waiting => "waiting",
                            InboundFate::Repeated => "repeated",
                            _ => "other",
                        },
                    };
                    self.context.shared.metrics.inbound.get_or_create(&label).inc();
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

    /// Tells the carrier that a delivery will never be taken, so that it does not offer it for ever.
    pub(super) fn reject(&mut self, sequence: u32, answer: Pdu, why: &'static str) {
        let label = ReceiptLabel {
            carrier: self.context.entry.no.0,
            fate: why,
        };
        self.context.shared.metrics.receipts.get_or_create(&label).inc();
        self.client.respond(vec![Reply {
            sequence,
            status: CommandStatus::RX_R_APPN,
            pdu: answer,
        }]);
    }

    pub(super) async fn acknowledged(
        &mut self,
        mut replies: Vec<Reply>,
        done: Result<Vec<ReceiptFate>, StoreError>,
    ) {
        self.acknowledging = None;
        match done {
            Ok(fates) => {
                for (fate, count) in receipt::count_fates(&fates) {
                    let label = ReceiptLabel {
                        carrier: self.context.entry.no.0,
                        fate,
                    };
                    self.context
                        .shared
                        .metrics
                        .receipts
                        .get_or_create(&label)
                        .inc_by(count);
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
