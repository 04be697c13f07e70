//! PDUs from the peer: responses, requests that are allowed or not, and invalid ones.

use bytes::BytesMut;

use super::rules;
use super::window::Phase;
use super::{Awaited, CloseReason, Event, PendingBind, Role, Session, State};
use crate::command::{CommandId, Header};
use crate::frame::Frame;
use crate::pdu::Pdu;
use crate::status::CommandStatus;

impl Session {
    pub(super) fn receive_response(
        &mut self,
        frame: &Frame<'_>,
        enquiry: Option<&Awaited>,
        events: &mut Vec<Event>,
    ) {
        let header = frame.header;
        let nack = header.command == CommandId::GENERIC_NACK;
        match header.command {
            CommandId::ENQUIRE_LINK_RESP => return,
            CommandId::BIND_TRANSMITTER_RESP
            | CommandId::BIND_RECEIVER_RESP
            | CommandId::BIND_TRANSCEIVER_RESP => return self.receive_bind_resp(frame, events),
            CommandId::GENERIC_NACK if awaits(enquiry, header) => return,
            CommandId::GENERIC_NACK if self.bind.as_ref().is_some_and(|b| b.sequence == header.sequence) => {
                return self.receive_bind_resp(frame, events);
            }
            CommandId::UNBIND_RESP | CommandId::GENERIC_NACK if awaits(self.unbind.as_ref(), header) => {
                return self.close(CloseReason::Unbound);
            }
            _ => {}
        }
        let fits = |sent: CommandId| nack || sent.response() == Some(header.command);
        let Some((token, sent, phase)) = self.window.complete(header.sequence, fits) else {
            events.push(Event::Unmatched(header));
            return;
        };
        // A response whose body cannot be decoded still has a status, and its request must not stay in flight.
        let pdu = Pdu::decode(frame).unwrap_or_else(|_| Pdu::empty_response(sent));
        // A nack without a status is still a refusal: the peer did not accept the request.
        let status = if nack && header.status.is_ok() {
            CommandStatus::RUNKNOWNERR
        } else {
            header.status
        };
        match phase {
            Phase::Late => events.push(Event::LateResponse { token, status, pdu }),
            Phase::Waiting => {
                events.push(Event::Response { token, status, pdu });
                self.answered();
            }
        }
    }

    fn receive_bind_resp(&mut self, frame: &Frame<'_>, events: &mut Vec<Event>) {
        let header = frame.header;
        let Some(bind) = self.bind.take_if(|bind| bind.sequence == header.sequence) else {
            events.push(Event::Unmatched(header));
            return;
        };
        match Pdu::decode(frame) {
            Ok(Pdu::BindResp(resp)) if header.status.is_ok() => {
                self.state = State::Bound(bind.kind);
                events.push(Event::Bound(resp));
            }
            _ => {
                // A nack without a status is still a refusal.
                let status = if header.status.is_ok() {
                    CommandStatus::RBINDFAIL
                } else {
                    header.status
                };
                events.push(Event::BindRefused(status));
                self.close(CloseReason::BindRefused(status));
            }
        }
    }

    pub(super) fn receive_request(&mut self, frame: &Frame<'_>, out: &mut BytesMut, events: &mut Vec<Event>) {
        let Header {
            command, sequence, ..
        } = frame.header;
        match command {
            CommandId::ENQUIRE_LINK => return self.answer(command, sequence, CommandStatus::ROK, out),
            CommandId::UNBIND => {
                self.answer(command, sequence, CommandStatus::ROK, out);
                return self.close(CloseReason::PeerUnbound);
            }
            _ => {}
        }
        let reject = |status| Event::Rejected {
            header: frame.header,
            status,
            malformed: None,
        };
        let status = self.admits(command);
        if !status.is_ok() {
            self.answer(command, sequence, status, out);
            events.push(reject(status));
            return;
        }
        match Pdu::decode(frame) {
            Ok(pdu) => {
                let event = self.request_event(sequence, pdu);
                events.push(event);
            }
            Err(malformed) => {
                let status = malformed.status();
                self.answer(command, sequence, status, out);
                events.push(Event::Rejected {
                    header: frame.header,
                    status,
                    malformed: Some(malformed),
                });
            }
        }
    }

    /// Whether the peer may send this request now: `ROK`, or the status of the error response.
    fn admits(&self, command: CommandId) -> CommandStatus {
        let smsc = self.config.role == Role::Smsc;
        let peer = if smsc { Role::Esme } else { Role::Smsc };
        match command {
            _ if command.name().is_none() => CommandStatus::RINVCMDID,
            CommandId::BIND_TRANSMITTER | CommandId::BIND_RECEIVER | CommandId::BIND_TRANSCEIVER => {
                match self.state {
                    State::Open if smsc && self.bind.is_none() => CommandStatus::ROK,
                    State::Bound(_) | State::Open if smsc => CommandStatus::RALYBND,
                    _ => CommandStatus::RINVBNDSTS,
                }
            }
            CommandId::OUTBIND if !smsc && self.state == State::Open => CommandStatus::ROK,
            // The peer has not seen our unbind yet: a temporary error makes it retry over another session.
            CommandId::DELIVER_SM | CommandId::DATA_SM if matches!(self.state, State::Unbinding(_)) => {
                CommandStatus::RX_T_APPN
            }
            _ if !rules::may_send(peer, self.state, command) => CommandStatus::RINVBNDSTS,
            CommandId::ALERT_NOTIFICATION => CommandStatus::ROK,
            _ if self.inbound < self.config.inbound_max => CommandStatus::ROK,
            _ if smsc => CommandStatus::RTHROTTLED,
            _ => CommandStatus::RX_T_APPN,
        }
    }

    fn request_event(&mut self, sequence: u32, pdu: Pdu) -> Event {
        match pdu {
            Pdu::Bind(bind) => {
                self.bind = Some(PendingBind {
                    sequence,
                    kind: bind.kind,
                    version: bind.interface_version,
                });
                return Event::BindRequest(bind);
            }
            Pdu::Outbind(outbind) => return Event::Outbind(outbind),
            Pdu::AlertNotification(alert) => return Event::Alert(alert),
            _ => self.inbound += 1,
        }
        match pdu {
            Pdu::SubmitSm(pdu) => Event::Submit { sequence, pdu },
            Pdu::DeliverSm(pdu) => Event::Deliver { sequence, pdu },
            Pdu::DataSm(pdu) => Event::Data { sequence, pdu },
            pdu => Event::Request { sequence, pdu },
        }
    }
}

fn awaits(awaited: Option<&Awaited>, answer: Header) -> bool {
    awaited.is_some_and(|awaited| awaited.sequence == answer.sequence)
}
