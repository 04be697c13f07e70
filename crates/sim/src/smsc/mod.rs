//! An SMSC simulator: any number of sessions, exact counts, and faults that can be repeated.
//!
//! ```
//! use sim::smsc::{Filter, Smsc, SmscConfig};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let smsc = Smsc::start(SmscConfig::default(), listener)?;
//! // ... let a gateway bind to smsc.local_addr() and submit ...
//! let newest = smsc.messages(&Filter { whole: true, ..Filter::default() });
//! assert_eq!(smsc.counts().taken as usize, newest.len());
//! smsc.stop().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! What the simulator does to a message is a function of its seed, of what the message counts as ([`CountBy`]) and of
//! how often that was submitted: the same traffic meets the same faults, in whatever order it arrives.

mod behaviour;
mod cli;
mod config;
mod connection;
mod control;
mod garbage;
mod http;
mod ids;
mod joined;
mod journal;
mod ledger;
mod mailbox;
mod mo_generator;
mod part;
mod past;
mod receipt;
mod script;
mod shared;
mod spelling;
mod validation;
mod wheel;

pub use behaviour::{
    Answers, Behaviour, Binds, Faults, Form, Garbage, Instead, Limits, MoGenerator, Receipts, Rule, Span,
    Timing,
};
pub use cli::{SimArgs, run};
pub use config::{SmscConfig, User};
pub use control::{Inbound, Order, OrderError};
pub use http::serve as serve_control;
pub use ids::{IdForm, Ids, Notation};
pub use joined::{Joined, Partly};
pub use journal::{Filter, Message};
pub use ledger::{Counts, MessageCounts};
pub use mo_generator::{InboundCounts, number_of as inbound_number_of};
pub use part::{CountBy, Part, key_of, key_of_number};
pub use past::{Acknowledged, Past};
pub use spelling::{Status, Word};

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::InvalidSetting;
use crate::listener::Listener;
use crate::seed::Seed;
use connection::Connection;
use shared::{Link, Shared};

/// The simulator.
#[derive(Debug)]
pub struct Smsc;

/// A simulator that runs. Dropping the handle does not stop it; [`SmscHandle::stop`] does.
#[derive(Clone)]
pub struct SmscHandle {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
    listening: Arc<watch::Sender<bool>>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

/// Why a simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is invalid.
    #[error(transparent)]
    InvalidSetting(#[from] InvalidSetting),
    /// The listener has no address.
    #[error("the listener has no address")]
    Listener(#[from] io::Error),
}

impl Smsc {
    /// Starts a simulator on a listener. Must be called within a runtime.
    ///
    /// # Errors
    /// [`StartError`] if the configuration is invalid.
    pub fn start(config: SmscConfig, listener: TcpListener) -> Result<SmscHandle, StartError> {
        config.check()?;
        let seed = Seed(if config.seed == 0 {
            rand::random()
        } else {
            config.seed
        });
        let local_addr = listener.local_addr()?;
        tracing::info!(%local_addr, seed = seed.0, "SMSC simulator listening");
        let (listening, listens) = watch::channel(true);
        let handle = SmscHandle {
            shared: Arc::new(Shared::new(config, seed)),
            local_addr,
            listening: Arc::new(listening),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        handle.tasks.spawn(accept(handle.clone(), listener, listens));
        handle.tasks.spawn(mo_generator::run(handle.clone()));
        Ok(handle)
    }
}

/// Accepts connections until the simulator stops. While listening is paused the port is closed, so that connects are
/// refused as by a host without an SMSC.
async fn accept(handle: SmscHandle, listener: TcpListener, mut listens: watch::Receiver<bool>) {
    let numbers = AtomicU64::new(1);
    let mut listener = Listener::new(listener, handle.local_addr);
    loop {
        tokio::select! {
            () = handle.stopping.cancelled() => return,
            (stream, peer) = listener.accept() => {
                admit(&handle, stream, peer, numbers.fetch_add(1, Ordering::Relaxed));
            }
            changed = listens.changed() => {
                if changed.is_err() {
                    return;
                }
                let wanted = *listens.borrow_and_update();
                listener.set_open(wanted).await;
            }
        }
    }
}

fn admit(handle: &SmscHandle, stream: TcpStream, peer: SocketAddr, number: u64) {
    let shared = &handle.shared;
    let mut links = shared.links.lock();
    let connections_max = shared.config.connections_max;
    if links.len() >= connections_max {
        tracing::debug!(%peer, connections_max, reason = "too many connections", "connection rejected");
        return;
    }
    let link = Arc::new(Link {
        number,
        peer,
        system_id: Mutex::default(),
        wake: Arc::new(Notify::new()),
        cut: handle.stopping.child_token(),
        orders: Mutex::default(),
    });
    links.insert(number, Arc::clone(&link));
    drop(links);
    shared.ledger.lock().counts.connections += 1;
    let connection = Connection::new(Arc::clone(shared), link, stream);
    let shared = Arc::clone(shared);
    handle.tasks.spawn(async move {
        connection.run().await;
        shared.links.lock().remove(&number);
    });
}

impl SmscHandle {
    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What all chance is drawn from; give it as `seed` to meet the same faults again.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.shared.seed.0
    }

    /// When it started, in milliseconds since 1970: [`Message::at_ms`] counts from here.
    #[must_use]
    pub fn started_unix_ms(&self) -> u64 {
        self.shared.started_unix_ms()
    }

    /// Sums since the start or the last reset.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Counts of one message; see [`key_of`] and [`key_of_number`].
    #[must_use]
    pub fn message_counts(&self, key: u64) -> Option<MessageCounts> {
        self.shared.ledger.lock().message_counts(key)
    }

    /// Counts of all messages, in no order. Copies them all: 16 octets each.
    #[must_use]
    pub fn counts_by_message(&self) -> Vec<(u64, MessageCounts)> {
        self.shared.ledger.lock().counts_by_message().collect()
    }

    /// What the parts came to that were taken for one number; with [`CountBy::DestinationAndPart`] only.
    #[must_use]
    pub fn joined_of(&self, number: u64) -> Option<Joined> {
        self.shared.ledger.lock().joined_of(number)
    }

    /// Messages of which some parts were taken and others not, so far, in no order; with [`CountBy::DestinationAndPart`]
    /// only.
    #[must_use]
    pub fn partly_taken(&self) -> Vec<Partly> {
        self.shared.ledger.lock().partly_taken().collect()
    }

    /// What the parts came to that were taken for each number, in no order; with [`CountBy::DestinationAndPart`] only.
    #[must_use]
    pub fn joined(&self) -> Vec<(u64, Joined)> {
        self.shared.ledger.lock().joined().collect()
    }

    /// Counts of the generated inbound messages, by number, in no order.
    #[must_use]
    pub fn inbound(&self) -> Vec<(u64, InboundCounts)> {
        self.shared.ledger.lock().inbound().collect()
    }

    /// Messages that were taken more than `times` times, in the order of their keys.
    #[must_use]
    pub fn taken_more_than(&self, times: u16) -> BTreeMap<u64, MessageCounts> {
        self.shared
            .ledger
            .lock()
            .counts_by_message()
            .filter(|(_, message_counts)| message_counts.taken > times)
            .collect()
    }

    /// The last messages, newest first.
    #[must_use]
    pub fn messages(&self, filter: &Filter) -> Vec<Message> {
        self.shared.ledger.lock().journal.find(filter)
    }

    /// How it behaves now.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        self.shared.script.load().behaviour.clone()
    }

    /// Waits until it is stopped and all its tasks have ended.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }

    /// Cuts all connections and stops. Returns once all its tasks have ended.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl std::fmt::Debug for SmscHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmscHandle")
            .field("local_addr", &self.local_addr)
            .field("seed", &self.shared.seed)
            .finish_non_exhaustive()
    }
}
