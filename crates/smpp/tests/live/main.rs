//! Client and server over loopback: real sockets, real TLS, real peers.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "test helpers may panic on an unexpected result, as tests do"
)]

mod ends;
mod faults;
mod peers;
mod pressure;
mod requests;
mod tls;

use std::collections::VecDeque;
use std::time::Duration;

use smpp::CommandStatus;
use smpp::client::{self, Bound, Client, ClientConfig, ConnectError, Transport};
use smpp::connection::Events;
use smpp::field::Address;
use smpp::pdu::{Bind, BindKind, DeliverSm, SubmitSm, SubmitSmResp};
use smpp::server::{self, Incoming, ServerConfig, ServerSession};
use smpp::session::{Event, Reply, Request};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Longer than any step here takes; a test that waits this long has failed.
const TOO_LONG: Duration = Duration::from_secs(20);

/// Fails the test instead of waiting for ever.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(TOO_LONG, what)
        .await
        .expect("this should have happened long ago")
}

/// Events one by one.
struct Inbox {
    events: Events,
    waiting: VecDeque<Event>,
}

impl Inbox {
    fn new(events: Events) -> Self {
        Self {
            events,
            waiting: VecDeque::new(),
        }
    }

    async fn next(&mut self) -> Event {
        while self.waiting.is_empty() {
            self.waiting
                .extend(soon(self.events.next()).await.expect("not over yet"));
        }
        self.waiting.pop_front().expect("not empty")
    }

    /// Nothing follows the last event.
    async fn is_over(&mut self) -> bool {
        self.waiting.is_empty() && soon(self.events.next()).await.is_none()
    }

    async fn submit(&mut self) -> (u32, SubmitSm) {
        match self.next().await {
            Event::Submit { sequence, pdu } => (sequence, pdu),
            other => panic!("{other:?} is no submit_sm"),
        }
    }

    async fn response(&mut self) -> (u64, CommandStatus) {
        match self.next().await {
            Event::Response { token, status, .. } => (token, status),
            other => panic!("{other:?} is no response"),
        }
    }

    /// The reason the session ended, what is in doubt, and what was not sent.
    async fn closed(&mut self) -> (String, Vec<u64>, Vec<u64>) {
        match self.next().await {
            Event::Closed {
                reason,
                in_flight,
                unsent,
            } => (reason.to_string(), in_flight, unsent),
            other => panic!("{other:?} is not the end"),
        }
    }
}

/// A server that accepts the password "secret" and passes its sessions to the test.
struct Server {
    address: String,
    sessions: mpsc::UnboundedReceiver<(ServerSession, Inbox)>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(config: ServerConfig, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let (accepted, sessions) = mpsc::unbounded_channel();
        let handler = move |incoming: Incoming| {
            let accepted = accepted.clone();
            async move {
                if incoming.bind().password != "secret" {
                    return incoming.refuse(CommandStatus::RINVPASWD).await;
                }
                let (session, events) = incoming.accept("smsc").await.expect("a short name");
                let _ = accepted.send((session.clone(), Inbox::new(events)));
                session.closed().await;
            }
        };
        let shutdown = async move {
            let _ = stopped.await;
        };
        let task = tokio::spawn(server::serve(listener, config, tls, shutdown, handler));
        Self {
            address,
            sessions,
            stop: Some(stop),
            task,
        }
    }

    async fn session(&mut self) -> (ServerSession, Inbox) {
        soon(self.sessions.recv()).await.expect("a session")
    }

    fn client_config(&self, change: impl FnOnce(&mut ClientConfig)) -> ClientConfig {
        let bind = Bind::new(BindKind::Transceiver, "esme", "secret");
        let mut config = ClientConfig::new(self.address.clone(), bind);
        change(&mut config);
        config
    }

    async fn connect(&self, change: impl FnOnce(&mut ClientConfig)) -> Result<Bound, ConnectError> {
        soon(client::connect(self.client_config(change), &Transport::Tcp)).await
    }
}

/// Both ends of a session.
struct Pair {
    server: Server,
    client: Client,
    client_inbox: Inbox,
    session: ServerSession,
    session_inbox: Inbox,
}

impl Pair {
    async fn new(change: impl FnOnce(&mut ClientConfig)) -> Self {
        Self::with(ServerConfig::default(), change).await
    }

    async fn with(config: ServerConfig, change: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut server = Server::start(config, None).await;
        let bound = server.connect(change).await.expect("bound");
        let (session, session_inbox) = server.session().await;
        Self {
            server,
            client: bound.client,
            client_inbox: Inbox::new(bound.events),
            session,
            session_inbox,
        }
    }

    async fn submit(&self, tokens: impl Iterator<Item = u64>) {
        let requests = tokens.map(|token| Request::new(token, message(token))).collect();
        soon(self.client.send_batch(requests))
            .await
            .expect("not over yet");
    }

    /// Responds to the next message that the server gets.
    async fn answer_next(&mut self) -> u32 {
        let (sequence, _) = self.session_inbox.submit().await;
        self.answer(sequence);
        sequence
    }

    fn answer(&self, sequence: u32) {
        self.session
            .respond(vec![Reply::ok(sequence, SubmitSmResp::new(sequence.to_string()))]);
    }

    /// The server delivers a message, and all that the client had sent before its response has arrived when the
    /// response does. Returns the events before the response.
    async fn round_trip(&mut self) -> Vec<Event> {
        const MARK: u64 = u64::MAX;
        let deliver = Request::new(MARK, DeliverSm::default());
        soon(self.session.send_batch(vec![deliver]))
            .await
            .expect("not over yet");
        let mut before = Vec::new();
        loop {
            match self.client_inbox.next().await {
                Event::Deliver { sequence, .. } => {
                    let resp = smpp::pdu::DeliverSmResp::default();
                    self.client.respond(vec![Reply::ok(sequence, resp)]);
                    break;
                }
                other => before.push(other),
            }
        }
        self.client_inbox.waiting.extend(before);
        let mut before = Vec::new();
        loop {
            match self.session_inbox.next().await {
                Event::Response { token: MARK, .. } => return before,
                other => before.push(other),
            }
        }
    }
}

/// A message whose text names it.
fn message(token: u64) -> SubmitSm {
    SubmitSm {
        source: Address::alphanumeric("Postrider"),
        destination: Address::international("447700900123"),
        short_message: format!("message {token}").into(),
        ..SubmitSm::default()
    }
}
