//! A client that waits for what it expects, and a simulator to bind to.

use std::collections::VecDeque;
use std::time::Duration;

use sim::smsc::{Behaviour, Order, Smsc, SmscConfig, SmscHandle};
use smpp::client::{self, Client, ClientConfig, ConnectError, Events, Transport};
use smpp::field::{Address, RegisteredDelivery};
use smpp::pdu::{Bind, BindKind, DeliverSm, DeliverSmResp, Pdu, SubmitSm};
use smpp::session::{CloseReason, Event, Reply, Request};
use smpp::{CommandId, CommandStatus};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// Longer than anything takes that is going to happen.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) const NUMBER: &str = "447700900123";

pub(crate) async fn start(config: SmscConfig) -> SmscHandle {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Smsc::start(config, listener).unwrap()
}

/// A simulator with seed 1 that behaves as the TOML says; what is not said is without faults and delays.
pub(crate) async fn start_with(behaviour: &str) -> SmscHandle {
    let mut behaviour: Behaviour = toml::from_str(behaviour).unwrap();
    if behaviour.receipts.delay_ms == Behaviour::default().receipts.delay_ms {
        behaviour.receipts.delay_ms = sim::smsc::Span::fixed(0);
    }
    start(SmscConfig {
        seed: 1,
        behaviour,
        ..SmscConfig::default()
    })
    .await
}

pub(crate) fn behave(smsc: &SmscHandle, behaviour: &str) {
    let behaviour: Behaviour = toml::from_str(behaviour).unwrap();
    smsc.control(Order::Behave(Box::new(behaviour))).unwrap();
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let held = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(TIMEOUT, held)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

pub(crate) struct Esme {
    pub(crate) client: Client,
    events: Events,
    seen: VecDeque<Event>,
}

/// A receipt or inbound message that waits for its answer.
pub(crate) struct Delivered {
    pub(crate) sequence: u32,
    pub(crate) pdu: DeliverSm,
}

impl Delivered {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.pdu.payload()).into_owned()
    }

    pub(crate) fn stat(&self) -> String {
        sms::receipt::parse_text(self.pdu.payload())
            .stat
            .unwrap_or_default()
            .into_owned()
    }

    pub(crate) fn id(&self) -> String {
        sms::receipt::parse_text(self.pdu.payload())
            .id
            .unwrap_or_default()
            .into_owned()
    }
}

/// An answer to a message.
#[derive(Debug, PartialEq)]
pub(crate) struct Answered {
    pub(crate) token: u64,
    pub(crate) status: CommandStatus,
    pub(crate) id: String,
}

impl Esme {
    pub(crate) async fn try_bind(smsc: &SmscHandle, bind: Bind) -> Result<Self, ConnectError> {
        let mut config = ClientConfig::new(smsc.local_addr().to_string(), bind);
        config.session.window_max = 1_000;
        let bound = client::connect(config, &Transport::Tcp).await?;
        Ok(Self {
            client: bound.client,
            events: bound.events,
            seen: VecDeque::new(),
        })
    }

    pub(crate) async fn bind_as(smsc: &SmscHandle, kind: BindKind) -> Self {
        Self::try_bind(smsc, Bind::new(kind, "esme", "secret"))
            .await
            .unwrap()
    }

    pub(crate) async fn bind(smsc: &SmscHandle) -> Self {
        Self::bind_as(smsc, BindKind::Transceiver).await
    }

    /// Submits one message; the token is `token`.
    pub(crate) async fn submit(&self, token: u64, destination: &str) {
        self.submit_all([(token, destination.to_owned())]).await;
    }

    /// Submits messages at once, each with a text that names its token.
    pub(crate) async fn submit_all(&self, messages: impl IntoIterator<Item = (u64, String)>) {
        let request = |(token, destination): (u64, String)| {
            let pdu = SubmitSm {
                source: Address::alphanumeric("Postrider"),
                destination: Address::international(destination),
                registered_delivery: RegisteredDelivery::FINAL,
                short_message: format!("message {token:06}").into(),
                ..SubmitSm::default()
            };
            Request::new(token, pdu)
        };
        self.client
            .send_batch(messages.into_iter().map(request).collect())
            .await
            .unwrap();
    }

    pub(crate) async fn next(&mut self) -> Event {
        if let Some(event) = self.seen.pop_front() {
            return event;
        }
        let events = timeout(TIMEOUT, self.events.next())
            .await
            .expect("nothing happens");
        self.seen.extend(events.expect("the session is over"));
        self.seen.pop_front().expect("a batch holds at least one event")
    }

    /// The next answer; whatever else happens before is an error.
    pub(crate) async fn answered(&mut self) -> Answered {
        match self.next().await {
            Event::Response {
                token,
                status,
                pdu: Pdu::SubmitSmResp(resp),
            } => Answered {
                token,
                status,
                id: resp.message_id.to_string(),
            },
            other => panic!("no answer but {other:?}"),
        }
    }

    /// The next delivery; whatever else happens before is an error.
    pub(crate) async fn delivered(&mut self) -> Delivered {
        match self.next().await {
            Event::Deliver { sequence, pdu } => Delivered { sequence, pdu },
            other => panic!("no delivery but {other:?}"),
        }
    }

    pub(crate) fn acknowledge(&self, delivered: &Delivered) {
        self.client
            .respond(vec![Reply::ok(delivered.sequence, DeliverSmResp::default())]);
    }

    pub(crate) fn refuse(&self, delivered: &Delivered, status: CommandStatus) {
        self.client.respond(vec![Reply::error(
            delivered.sequence,
            CommandId::DELIVER_SM,
            status,
        )]);
    }

    /// Everything until the session is over, why it is, and what was in flight.
    pub(crate) async fn rest(mut self) -> (Vec<Event>, CloseReason, Vec<u64>) {
        let mut events = Vec::new();
        loop {
            match self.next().await {
                Event::Closed {
                    reason, in_flight, ..
                } => return (events, reason, in_flight),
                event => events.push(event),
            }
        }
    }
}
