//! Handles the PDUs of the peer.

use std::sync::Arc;

use smpp::frame::{self, Frame};
use smpp::pdu::{Bind, BindResp, Pdu};
use smpp::tlv::Tlvs;
use smpp::{CommandId, CommandStatus};

use super::{Connection, Ending, PendingBind};
use crate::seed::Question;
use crate::smsc::ledger::Ledger;
use crate::smsc::shared::Moment;

impl Connection {
    /// Handles every PDU that was read, and writes the answers.
    pub(super) fn receive(&mut self, now: Moment) {
        let cut = frame::cut(&mut self.input, self.shared.config.frame_bytes_max);
        if self.script.behaviour.faults.hanging {
            return;
        }
        let shared = Arc::clone(&self.shared);
        // Once for all that was read: a lock for each message would cost more than the message.
        let mut ledger = shared.ledger.lock();
        let mut batch = 0;
        for frame in cut.frames() {
            batch += u64::from(frame.header.command == CommandId::SUBMIT_SM);
            self.receive_frame(&frame, &mut ledger, now);
            if self.ending == Some(Ending::Flushed) {
                break;
            }
        }
        ledger.window_seen(batch.max(self.answers.len() as u64));
        if let Some(broken) = cut.broken {
            tracing::debug!(peer = %self.link.peer, %broken, "framing error");
            ledger.counts.rejected += 1;
            self.say(&Pdu::GenericNack, CommandStatus::RINVCMDLEN, 0);
            self.ending = self.ending.or(Some(Ending::Flushed));
        }
        ledger.counts.cuts += u64::from(self.ending == Some(Ending::Cut));
        drop(ledger);
        if let Some(bound) = &self.bound {
            bound.mailbox.schedule(&mut self.planned);
        }
    }

    fn receive_frame(&mut self, frame: &Frame<'_>, ledger: &mut Ledger, now: Moment) {
        let header = frame.header;
        let pdu = match Pdu::decode(frame) {
            Ok(pdu) => pdu,
            Err(malformed) => {
                ledger.counts.rejected += 1;
                return self.refuse(header.command, malformed.status(), header.sequence);
            }
        };
        match pdu {
            Pdu::SubmitSm(pdu) => self.receive_submit(header.sequence, &pdu, ledger, now),
            Pdu::DeliverSmResp(_) => self.receive_deliver_resp(header, ledger, now),
            Pdu::EnquireLink => {
                self.say(&Pdu::EnquireLinkResp, CommandStatus::ROK, header.sequence);
            }
            Pdu::Bind(bind) => self.receive_bind(header.sequence, bind, ledger, now),
            Pdu::Unbind => {
                self.say(&Pdu::UnbindResp, CommandStatus::ROK, header.sequence);
                self.ending = self.ending.or(Some(Ending::Flushed));
            }
            Pdu::UnbindResp => self.ending = self.ending.or(Some(Ending::Flushed)),
            Pdu::EnquireLinkResp => {}
            Pdu::GenericNack => {
                ledger.counts.nacks += 1;
                self.receive_deliver_resp(header, ledger, now);
            }
            _ if header.command.is_response() => ledger.counts.unmatched += 1,
            // A message is not kept once it has been answered, so there is nothing to query, cancel or replace.
            Pdu::QuerySm(_) => self.refuse(header.command, CommandStatus::RQUERYFAIL, header.sequence),
            Pdu::CancelSm(_) => self.refuse(header.command, CommandStatus::RCANCELFAIL, header.sequence),
            Pdu::ReplaceSm(_) => self.refuse(header.command, CommandStatus::RREPLACEFAIL, header.sequence),
            _ => {
                ledger.counts.rejected += 1;
                self.refuse(header.command, CommandStatus::RINVCMDID, header.sequence);
            }
        }
    }

    pub(super) fn refuse(&mut self, command: CommandId, status: CommandStatus, sequence: u32) {
        // A response is never answered.
        if !command.is_response() {
            self.say(&Pdu::empty_response(command), status, sequence);
        }
    }

    fn receive_bind(&mut self, sequence: u32, bind: Bind, ledger: &mut Ledger, now: Moment) {
        if self.bound.is_some() || self.pending_bind.is_some() {
            ledger.counts.rejected += 1;
            return self.refuse(bind.kind.command(), CommandStatus::RALYBND, sequence);
        }
        let number = self.shared.next_bind();
        let delay = self.script.behaviour.binds.delay_ms;
        let delay_ms = self
            .shared
            .seed
            .roll(Question::BindDelay, number, 0)
            .within(delay.min, delay.max);
        // Also without delay: fall_due comes next, and it does not hold the ledger.
        self.pending_bind = Some(PendingBind {
            due_ms: now.ms + delay_ms,
            sequence,
            bind,
            number,
        });
    }

    /// Accepts or refuses a bind. A refused one ends the connection, as most carriers do.
    pub(super) fn answer_bind(&mut self, pending: PendingBind, now: Moment) {
        let PendingBind {
            sequence,
            bind,
            number,
            ..
        } = pending;
        let status = self.admit(&bind, number);
        if !status.is_ok() {
            self.shared.ledger.lock().counts.binds_refused += 1;
            self.refuse(bind.kind.command(), status, sequence);
            self.ending = self.ending.or(Some(Ending::Flushed));
            return;
        }
        self.shared.ledger.lock().counts.binds += 1;
        let mut tlvs = Tlvs::new();
        if let Some(version) = Self::version_for(&bind) {
            tlvs.set_sc_interface_version(version);
        }
        let system_id = self.shared.config.system_id.as_str().into();
        let resp = BindResp {
            kind: bind.kind,
            system_id,
            tlvs,
        };
        self.say(&resp.into(), CommandStatus::ROK, sequence);
        self.bound_as(&bind, number, now);
    }

    fn admit(&self, bind: &Bind, number: u64) -> CommandStatus {
        let config = &self.shared.config;
        let user = config
            .users
            .iter()
            .find(|user| bind.system_id == user.system_id.as_str());
        match user {
            None if !config.users.is_empty() => return CommandStatus::RINVSYSID,
            Some(user) if !user.password.is_empty() && bind.password != user.password.as_str() => {
                return CommandStatus::RINVPASWD;
            }
            _ => {}
        }
        if config.binds_max > 0 && self.shared.binds_up(Some(&bind.system_id)) >= config.binds_max {
            return CommandStatus::RALYBND;
        }
        if self.script.refuses_bind(self.shared.seed, number) {
            return self.script.behaviour.binds.refused_with.0;
        }
        CommandStatus::ROK
    }
}
