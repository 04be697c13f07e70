//! The session on a simulated clock: no sockets, no waiting.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "test helpers may panic on an unexpected result, as tests do"
)]

mod bind;
mod requests;
mod silence;
mod unbind;

use std::time::Duration;

use bytes::BytesMut;
use smpp::field::Address;
use smpp::pdu::{Bind, BindKind, DeliverSm, SubmitSm, SubmitSmResp};
use smpp::session::{Event, Refusal, Reply, Request, Role, Session, SessionConfig};
use smpp::{CommandId, CommandStatus, Header, Pdu, frame};

/// A session, its clock, and its output.
struct Side {
    session: Session,
    now: Duration,
    out: BytesMut,
    events: Vec<Event>,
}

impl Side {
    fn new(config: SessionConfig) -> Self {
        let now = Duration::from_secs(1000);
        Self {
            session: Session::new(config, now),
            now,
            out: BytesMut::new(),
            events: Vec::new(),
        }
    }

    /// An ESME that is bound; its bind is discarded.
    fn bound_esme(kind: BindKind, change: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut config = SessionConfig::new(Role::Esme);
        change(&mut config);
        let mut side = Self::new(config);
        side.session
            .bind(Bind::new(kind, "esme", "pw"), &mut side.out)
            .expect("open");
        let sequence = side.sent()[0].0.sequence;
        let resp = Pdu::BindResp(smpp::pdu::BindResp::new(kind));
        side.receive(&resp, CommandStatus::ROK, sequence);
        assert!(matches!(side.take_events()[..], [Event::Bound(_)]));
        side
    }

    /// An SMSC that an ESME has bound to.
    fn bound_smsc(kind: BindKind, change: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut config = SessionConfig::new(Role::Smsc);
        change(&mut config);
        let mut side = Self::new(config);
        side.receive(&Bind::new(kind, "esme", "pw").into(), CommandStatus::ROK, 1);
        assert!(matches!(side.take_events()[..], [Event::BindRequest(_)]));
        side.session
            .accept_bind(&"smsc".into(), &mut side.out)
            .expect("a bind waits");
        side.sent();
        side
    }

    fn receive(&mut self, pdu: &Pdu, status: CommandStatus, sequence: u32) {
        self.receive_octets(&pdu.to_bytes(status, sequence).expect("within the bounds"));
    }

    fn receive_octets(&mut self, octets: &[u8]) {
        let mut buffer = BytesMut::from(octets);
        let cut = frame::cut(&mut buffer, 1 << 16);
        for frame in cut.frames() {
            self.session
                .receive(&frame, self.now, &mut self.out, &mut self.events);
        }
    }

    /// The PDUs written since the last call.
    fn sent(&mut self) -> Vec<(Header, Pdu)> {
        let cut = frame::cut(&mut self.out, 1 << 16);
        assert!(cut.broken.is_none() && self.out.is_empty());
        cut.frames()
            .map(|frame| (frame.header, Pdu::decode(&frame).expect("well-formed")))
            .collect()
    }

    /// The headers of the PDUs written since the last call.
    fn sent_commands(&mut self) -> Vec<(CommandId, CommandStatus, u32)> {
        let header = |(header, _): (Header, _)| (header.command, header.status, header.sequence);
        self.sent().into_iter().map(header).collect()
    }

    fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Sends a message and returns its sequence number.
    fn submit(&mut self, token: u64) -> Result<u32, Refusal> {
        let message = SubmitSm {
            destination: Address::international("447700900123"),
            ..SubmitSm::default()
        };
        self.session
            .send(&Request::new(token, message), self.now, &mut self.out)?;
        Ok(self
            .sent()
            .last()
            .map(|(header, _)| header.sequence)
            .expect("one request was written"))
    }

    /// The peer responds to a message.
    fn answer(&mut self, sequence: u32) {
        self.receive(&SubmitSmResp::new("1").into(), CommandStatus::ROK, sequence);
    }

    fn deliver(&mut self, sequence: u32) {
        self.receive(&DeliverSm::default().into(), CommandStatus::ROK, sequence);
    }

    fn reply(&mut self, reply: &Reply) {
        self.session
            .reply(reply, self.now, &mut self.out)
            .expect("within the bounds");
    }

    /// Advances the clock in one step.
    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.session.tick(self.now, &mut self.out, &mut self.events);
    }

    /// Advances the clock to the next deadline.
    fn wait_for_deadline(&mut self) -> Duration {
        let deadline = self.session.next_deadline().expect("something is due");
        let waited = deadline - self.now;
        self.now = deadline;
        self.session.tick(self.now, &mut self.out, &mut self.events);
        waited
    }

    fn closed(&mut self) -> (String, Vec<u64>) {
        let (reason, in_flight) = self.session.take_closed().expect("the session is over");
        (reason.to_string(), in_flight)
    }
}

/// The tokens of responses, in order.
fn responses(events: &[Event]) -> Vec<u64> {
    let token = |event: &Event| match event {
        Event::Response { token, .. } => Some(*token),
        _ => None,
    };
    events.iter().filter_map(token).collect()
}

fn timeouts(events: &[Event]) -> Vec<u64> {
    let token = |event: &Event| match event {
        Event::TimedOut { token } => Some(*token),
        _ => None,
    };
    events.iter().filter_map(token).collect()
}
