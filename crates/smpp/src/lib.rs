//! SMPP 3.4 and 5.0: frames, PDUs, optional parameters, a session state machine without I/O, and a client and a server
//! on it.
//!
//! # Layers
//! | module | what it does | knows |
//! |---|---|---|
//! | [`frame`] | splits a byte stream into frames | lengths only; the one error that can break a session |
//! | [`pdu`], [`tlv`], [`field`], [`time`], [`status`] | the contents of a frame | the specification; decodes leniently, encodes strictly |
//! | [`session`] | states, window, timeouts, enquire_link, unbind | no socket, no clock |
//! | [`connection`] | one task that owns a socket | batches: many PDUs a read, a write, an event |
//! | [`client`], [`server`] | how a session begins | TCP and TLS |
//!
//! # Guarantees
//! - Each request that is sent or queued ends in exactly one of [`Response`](session::Event::Response),
//!   [`TimedOut`](session::Event::TimedOut), [`Refused`](session::Event::Refused), or the lists `in_flight` (in doubt)
//!   and `unsent` (safe to send elsewhere) of [`Closed`](session::Event::Closed), which is always the last event. A
//!   response after its timeout is still matched and reported as [`LateResponse`](session::Event::LateResponse).
//! - Never more requests are in flight than the window allows. With [`Slots::OnRelease`](session::Slots::OnRelease) a
//!   slot is taken until the user releases it, so that results can be made durable first: after a crash, at most one
//!   window is in doubt.
//! - Only the user answers requests of the peer (`enquire_link` and `unbind` excepted).
//! - A PDU that cannot be decoded is answered with an error and reported, and the session continues. Only a length
//!   field out of bounds ends it.
//! - Everything held in memory has a bound: see [`session::SessionConfig`] and [`connection::Buffers`].
//!
//! Texts, long ids and optional parameters that were read share the read buffer (64 KiB). They are cheap to pass on;
//! copy what is kept for longer than it takes to store it.
//!
//! # A client
//! ```
//! use smpp::client::{self, ClientConfig, Transport};
//! use smpp::field::{Address, RegisteredDelivery};
//! use smpp::pdu::{Bind, BindKind, DeliverSmResp, SubmitSm};
//! use smpp::session::{Event, Reply, Request, Slots};
//! # use smpp::server::{self, Incoming, ServerConfig};
//! # use smpp::pdu::SubmitSmResp;
//!
//! # async fn run(address: String) -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = ClientConfig::new(address, Bind::new(BindKind::Transceiver, "esme", "secret"));
//! config.session.window_max = 100;
//! config.session.slots = Slots::OnRelease;
//! let mut bound = client::connect(config, &Transport::Tcp).await?;
//!
//! let message = SubmitSm {
//!     source: Address::alphanumeric("Postrider"),
//!     destination: Address::international("447700900123"),
//!     registered_delivery: RegisteredDelivery::FINAL,
//!     short_message: "Your code is 123456".into(),
//!     ..SubmitSm::default()
//! };
//! bound.client.send_batch(vec![Request::new(7, message)]).await?;
//!
//! while let Some(batch) = bound.events.next().await {
//!     let (mut results, mut replies) = (0, Vec::new());
//!     for event in batch {
//!         match event {
//!             Event::Response { token, status, .. } => {
//!                 assert!(token == 7 && status.is_ok());
//!                 results += 1;
//!             }
//!             Event::TimedOut { .. } => results += 1,
//!             Event::Deliver { sequence, .. } => replies.push(Reply::ok(sequence, DeliverSmResp::default())),
//!             _ => {}
//!         }
//!     }
//!     // Make the results and the deliveries durable here, and only then release and respond.
//!     bound.client.release(results);
//!     bound.client.respond(replies);
//! #   if results > 0 { break }
//! }
//! bound.client.unbind_and_drain(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! #
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! #     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
//! #     let address = listener.local_addr().unwrap().to_string();
//! #     let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! #     let server = tokio::spawn(server::serve(listener, ServerConfig::default(), None,
//! #         async { let _ = stopped.await; }, |incoming: Incoming| async {
//! #         let Ok((session, mut events)) = incoming.accept("smsc").await else { return };
//! #         while let Some(batch) = events.next().await {
//! #             for event in batch {
//! #                 if let Event::Submit { sequence, .. } = event {
//! #                     session.respond(vec![Reply::ok(sequence, SubmitSmResp::new("1"))]);
//! #                 }
//! #             }
//! #         }
//! #     }));
//! #     run(address).await.unwrap();
//! #     drop(stop);
//! #     server.await.unwrap();
//! # });
//! ```
//!
//! # A server
//! ```no_run
//! use smpp::pdu::SubmitSmResp;
//! use smpp::server::{self, Incoming, ServerConfig};
//! use smpp::session::{Event, Reply};
//! use smpp::CommandStatus;
//!
//! # async fn run() -> std::io::Result<()> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:2775").await?;
//! let shutdown = async { let _ = tokio::signal::ctrl_c().await; };
//! server::serve(listener, ServerConfig::default(), None, shutdown, |incoming: Incoming| async {
//!     if incoming.bind().password != "secret" {
//!         return incoming.refuse(CommandStatus::RINVPASWD).await;
//!     }
//!     let Ok((session, mut events)) = incoming.accept("smsc").await else { return };
//!     while let Some(batch) = events.next().await {
//!         let replies = batch.into_iter().filter_map(|event| match event {
//!             Event::Submit { sequence, .. } => Some(Reply::ok(sequence, SubmitSmResp::new(format!("{sequence:x}")))),
//!             Event::Request { sequence, pdu } => {
//!                 Some(Reply::error(sequence, pdu.command(), CommandStatus::RSYSERR))
//!             }
//!             _ => None,
//!         });
//!         session.respond(replies.collect());
//!     }
//! })
//! .await;
//! # Ok(())
//! # }
//! ```

pub mod client;
pub mod command;
pub mod connection;
mod decode;
mod encode;
pub mod field;
pub mod frame;
mod octets;
pub mod pdu;
pub mod server;
pub mod session;
pub mod status;
pub mod time;
pub mod tlv;

pub use command::{CommandId, Header};
pub use decode::Malformed;
pub use encode::{EncodeError, Limits, SHORT_MESSAGE_OCTETS_MAX};
pub use octets::COctetString;
pub use pdu::Pdu;
pub use status::{CommandStatus, StatusClass};
