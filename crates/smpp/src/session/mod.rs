//! One SMPP session as a state machine: no I/O, no clock. The input is frames, the output is events and octets to
//! send. Every point in time is an argument, as the time since the session started.
//!
//! ```text
//!           bind                  unbind                    unbind_resp
//!   Open ─────────► Bound(kind) ─────────► Unbinding(kind) ─────────► Closed
//! ```
//!
//! The window is not part of the protocol but agreed with the carrier: [`Session::send`] refuses requests above it.

mod config;
mod event;
mod receive;
mod rules;
mod window;

pub use config::{Role, SessionConfig, Slots};
pub use event::{CloseReason, Event, Refusal, Reply, Request};

use std::time::Duration;

use bytes::BytesMut;

use crate::command::CommandId;
use crate::encode::EncodeError;
use crate::field::InterfaceVersion;
use crate::frame::{BrokenLength, Frame};
use crate::octets::COctetString;
use crate::pdu::{Bind, BindKind, BindResp, Pdu};
use crate::status::CommandStatus;
use crate::tlv::Tlvs;

use window::Window;

/// State of a session (SMPP 3.4 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Connected, not bound.
    Open,
    /// Bound.
    Bound(BindKind),
    /// `unbind` has been sent.
    Unbinding(BindKind),
    /// Closed.
    Closed,
}

/// A bind that waits for the response of the peer (ESME) or of the user (SMSC).
struct PendingBind {
    sequence: u32,
    kind: BindKind,
    version: InterfaceVersion,
}

/// A control request of this side that waits for its response.
struct Awaited {
    sequence: u32,
    deadline: Duration,
}

/// See the [module](self).
pub struct Session {
    config: SessionConfig,
    state: State,
    window: Window,
    /// Slots taken: in flight, or answered but not yet released.
    used: usize,
    /// Slots that became free since the last call of `take_freed`, other than by `release`.
    freed: usize,
    /// Requests of the peer that the user has not answered.
    inbound: usize,
    last_received: Duration,
    bind: Option<PendingBind>,
    enquiry: Option<Awaited>,
    /// Until when to wait for responses before unbinding.
    drain_until: Option<Duration>,
    unbind: Option<Awaited>,
    close_reason: Option<CloseReason>,
}

impl Session {
    /// A session over a new connection. `window_max` is clamped to its bounds.
    #[must_use]
    pub fn new(mut config: SessionConfig, now: Duration) -> Self {
        config.window_max = config.window_max.clamp(1, SessionConfig::WINDOW_MAX);
        config.late_max = config.late_max.min(SessionConfig::WINDOW_MAX);
        Self {
            window: Window::new(config.window_max, config.late_max),
            config,
            state: State::Open,
            used: 0,
            freed: 0,
            inbound: 0,
            last_received: now,
            bind: None,
            enquiry: None,
            drain_until: None,
            unbind: None,
            close_reason: None,
        }
    }

    /// The state of the session.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Requests that may be sent now.
    #[must_use]
    pub fn window_free(&self) -> usize {
        self.config.window_max - self.used
    }

    /// Requests of this side that wait for their response.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.window.in_flight()
    }

    /// Requests of the peer that the user has not answered.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.inbound
    }

    /// Whether [`Self::unbind`] waits for unanswered requests.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain_until.is_some()
    }

    /// Slots that became free since the last call, other than by [`Self::release`].
    pub fn take_freed(&mut self) -> usize {
        std::mem::take(&mut self.freed)
    }

    /// Sends a bind to the SMSC. [`Event::Bound`] or [`Event::BindRefused`] follows; the caller must apply the timeout.
    ///
    /// # Errors
    /// [`Refusal`] if the session is not open or a field exceeds a bound.
    pub fn bind(&mut self, bind: Bind, out: &mut BytesMut) -> Result<(), Refusal> {
        let (kind, version) = (bind.kind, bind.interface_version);
        if self.config.role != Role::Esme || self.state != State::Open || self.bind.is_some() {
            return Err(Refusal::BindState(kind.command()));
        }
        let sequence = self.window.next_sequence();
        Pdu::Bind(bind).encode(CommandStatus::ROK, sequence, &self.config.limits, out)?;
        self.bind = Some(PendingBind {
            sequence,
            kind,
            version,
        });
        Ok(())
    }

    /// Accepts the bind last reported by [`Event::BindRequest`]; the session is bound then.
    ///
    /// # Errors
    /// [`Refusal`] if no bind waits or `system_id` exceeds a bound.
    pub fn accept_bind(&mut self, system_id: &COctetString, out: &mut BytesMut) -> Result<(), Refusal> {
        let Some(PendingBind {
            sequence,
            kind,
            version,
        }) = self.bind.take()
        else {
            return Err(Refusal::BindState(CommandId::BIND_TRANSCEIVER_RESP));
        };
        let mut tlvs = Tlvs::new();
        if version.has_tlvs() {
            tlvs.set_sc_interface_version(InterfaceVersion::V3_4);
        }
        let resp = BindResp {
            kind,
            system_id: system_id.clone(),
            tlvs,
        };
        Pdu::BindResp(resp).encode(CommandStatus::ROK, sequence, &self.config.limits, out)?;
        self.state = State::Bound(kind);
        Ok(())
    }

    /// Refuses the bind last reported by [`Event::BindRequest`]. The session stays open for another.
    pub fn refuse_bind(&mut self, status: CommandStatus, out: &mut BytesMut) {
        if let Some(PendingBind { sequence, kind, .. }) = self.bind.take() {
            self.answer(kind.command(), sequence, status, out);
        }
    }

    /// Sends a request, taking a slot of the window.
    ///
    /// # Errors
    /// [`Refusal`] if it was not sent; no slot is taken then.
    pub fn send(&mut self, request: &Request, now: Duration, out: &mut BytesMut) -> Result<(), Refusal> {
        let command = request.pdu.command();
        if self.drain_until.is_some() || !rules::may_send(self.config.role, self.state, command) {
            return Err(Refusal::BindState(command));
        }
        if self.window_free() == 0 {
            return Err(Refusal::WindowFull);
        }
        let sequence = self.window.next_sequence();
        request
            .pdu
            .encode(CommandStatus::ROK, sequence, &self.config.limits, out)?;
        if command == CommandId::ALERT_NOTIFICATION {
            // Has no response, so it takes no slot. The slot of the sender is freed at once.
            self.freed += 1;
            return Ok(());
        }
        self.window.insert(
            sequence,
            command,
            request.token,
            now + self.config.response_timeout,
        );
        self.used += 1;
        Ok(())
    }

    /// Responds to a request of the peer.
    ///
    /// # Errors
    /// [`EncodeError`] if the response exceeds a bound; the request then still waits for another response.
    pub fn reply(&mut self, reply: &Reply, now: Duration, out: &mut BytesMut) -> Result<(), EncodeError> {
        reply
            .pdu
            .encode(reply.status, reply.sequence, &self.config.limits, out)?;
        self.inbound = self.inbound.saturating_sub(1);
        self.advance_unbind(now, out);
        Ok(())
    }

    /// Sends an error in place of a response that could not be encoded, so that the peer retries the request.
    pub(crate) fn reply_with_error(&mut self, reply: &Reply, now: Duration, out: &mut BytesMut) {
        let request = CommandId(reply.pdu.command().0 & !CommandId::GENERIC_NACK.0);
        self.answer(request, reply.sequence, CommandStatus::RSYSERR, out);
        self.inbound = self.inbound.saturating_sub(1);
        self.advance_unbind(now, out);
    }

    /// Frees `slots` whose results the user has made durable. Only with [`Slots::OnRelease`]; at most as many as
    /// answered requests hold.
    pub fn release(&mut self, slots: usize) {
        if self.config.slots == Slots::OnRelease {
            self.used -= slots.min(self.used - self.window.in_flight());
        }
    }

    /// Stops sending requests. Sends an unbind once all requests in both directions are answered, at `drain_until` at
    /// the latest.
    pub fn unbind(&mut self, drain_until: Duration, now: Duration, out: &mut BytesMut) {
        match self.state {
            State::Bound(_) => {
                self.drain_until = Some(drain_until);
                self.advance_unbind(now, out);
            }
            State::Open => self.close(CloseReason::Unbound),
            State::Unbinding(_) | State::Closed => {}
        }
    }

    /// Closes the session. The first reason is kept. Losing the connection during an unbind counts as unbound without a response.
    pub fn close(&mut self, reason: CloseReason) {
        let lost = matches!(reason, CloseReason::PeerClosed | CloseReason::Io(_));
        let unbinding = matches!(self.state, State::Unbinding(_));
        let reason = if lost && unbinding {
            CloseReason::UnboundUnanswered
        } else {
            reason
        };
        self.state = State::Closed;
        self.close_reason.get_or_insert(reason);
    }

    /// Closes a session whose stream is broken, after a `generic_nack` with `ESME_RINVCMDLEN`.
    pub fn broken(&mut self, broken: BrokenLength, out: &mut BytesMut) {
        self.answer(CommandId::GENERIC_NACK, 0, CommandStatus::RINVCMDLEN, out);
        self.close(CloseReason::BrokenLength(broken));
    }

    /// Once the session is closed: the reason, and the requests in doubt. Only the first call returns them.
    pub fn take_closed(&mut self) -> Option<(CloseReason, Vec<u64>)> {
        let reason = self.close_reason.take()?;
        Some((reason, self.window.drain()))
    }

    /// Processes one frame from the peer. Appends responses that are due at once to `out`, and what the user must know
    /// to `events`.
    pub fn receive(&mut self, frame: &Frame<'_>, now: Duration, out: &mut BytesMut, events: &mut Vec<Event>) {
        if self.state == State::Closed {
            return;
        }
        self.last_received = now;
        // Any PDU of the peer shows that it is alive: some peers answer enquire_link only after what they have queued.
        let enquiry = self.enquiry.take();
        if frame.header.command.is_response() {
            self.receive_response(frame, enquiry.as_ref(), events);
        } else {
            self.receive_request(frame, out, events);
        }
        self.advance_unbind(now, out);
    }

    /// Runs the timers: reports timed-out requests, sends enquire_link to a silent peer, closes a dead session.
    pub fn tick(&mut self, now: Duration, out: &mut BytesMut, events: &mut Vec<Event>) {
        if self.state == State::Closed {
            return;
        }
        while let Some(token) = self.window.expire(now, now + self.config.late_grace) {
            events.push(Event::TimedOut { token });
            self.answered();
        }
        self.advance_unbind(now, out);
        if self.unbind.as_ref().is_some_and(|unbind| unbind.deadline <= now) {
            self.close(CloseReason::UnboundUnanswered);
        }
        self.enquire(now, out);
        if self.inactive_at().is_some_and(|at| at <= now) {
            self.close(CloseReason::Inactive);
        }
    }

    /// When [`Self::tick`] has work, if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let unbind = self
            .unbind
            .as_ref()
            .map(|unbind| unbind.deadline)
            .or(self.drain_until);
        [
            self.window.next_deadline(),
            self.enquire_at(),
            self.inactive_at(),
            unbind,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Appends the empty response to a request; a `generic_nack` if the request has no response of its own.
    fn answer(&self, request: CommandId, sequence: u32, status: CommandStatus, out: &mut BytesMut) {
        let answered = Pdu::empty_response(request).encode(status, sequence, &self.config.limits, out);
        debug_assert!(answered.is_ok(), "an empty answer breaks no bound");
    }

    fn answered(&mut self) {
        if self.config.slots == Slots::OnResponse {
            self.used -= 1;
            self.freed += 1;
        }
    }

    fn enquire(&mut self, now: Duration, out: &mut BytesMut) {
        if self.enquire_at().is_none_or(|at| at > now) {
            return;
        }
        if self
            .enquiry
            .as_ref()
            .is_some_and(|enquiry| enquiry.deadline <= now)
        {
            self.close(CloseReason::EnquireLinkTimeout);
        } else {
            let sequence = self.window.next_sequence();
            let sent = Pdu::EnquireLink.encode(CommandStatus::ROK, sequence, &self.config.limits, out);
            debug_assert!(sent.is_ok(), "enquire_link has no body");
            self.enquiry = Some(Awaited {
                sequence,
                deadline: now + self.config.enquire_link_timeout,
            });
        }
    }

    /// When to send an enquire_link, or to close the session if one was not answered.
    fn enquire_at(&self) -> Option<Duration> {
        let interval = self.config.enquire_link_interval?;
        if !matches!(self.state, State::Bound(_) | State::Unbinding(_)) {
            return None;
        }
        Some(
            self.enquiry
                .as_ref()
                .map_or(self.last_received + interval, |enquiry| enquiry.deadline),
        )
    }

    fn inactive_at(&self) -> Option<Duration> {
        Some(self.last_received + self.config.inactivity_max?)
    }

    /// Sends the unbind once all requests are answered, or the time to drain is over.
    fn advance_unbind(&mut self, now: Duration, out: &mut BytesMut) {
        let (Some(until), State::Bound(kind)) = (self.drain_until, self.state) else {
            return;
        };
        if now < until && self.window.in_flight() + self.inbound > 0 {
            return;
        }
        let sequence = self.window.next_sequence();
        let sent = Pdu::Unbind.encode(CommandStatus::ROK, sequence, &self.config.limits, out);
        debug_assert!(sent.is_ok(), "unbind has no body");
        self.drain_until = None;
        self.unbind = Some(Awaited {
            sequence,
            deadline: now + self.config.unbind_timeout,
        });
        self.state = State::Unbinding(kind);
    }
}
