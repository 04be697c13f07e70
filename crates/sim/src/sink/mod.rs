//! A webhook sink: an HTTP endpoint that takes calls of the general form, counts exactly what it took, and does on
//! command whatever real endpoints do to their callers.
//!
//! ```
//! use sim::sink::{Sink, SinkConfig};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let sink = Sink::start(SinkConfig::default(), listener)?;
//! // ... let a gateway send its events to sink.url() ...
//! assert_eq!(sink.counts().repeats, 0);
//! sink.stop().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! It does not check what it receives: it records, so that others can compare. A call is taken when it was answered 200;
//! the event of any other call (refused, redirected, never answered, cut in mid-answer) must come again.

mod behaviour;
mod form;
mod recorder;
mod serve;

pub use behaviour::Behaviour;
pub use recorder::{Counts, ReceivedEvent, ReceivedInbound};

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::recorder::WebhookRecorder;
use crate::InvalidSetting;
use crate::seed::Seed;

/// The key by which messages are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountBy {
    /// By their id: what [`crate::seed::hash`] makes of it.
    #[default]
    Message,
    /// By their recipient, digits as an integer, for drivers that never use a number twice.
    Recipient,
}

/// The configuration, read once at the start. [`Behaviour`] can be changed later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SinkConfig {
    /// Seed of all random decisions; 0: another one at every start. The start logs it.
    pub seed: u64,
    /// Connections at most.
    pub connections_max: usize,
    /// Octets of a call's body at most; a longer one is answered 413.
    pub body_bytes_max: usize,
    /// The key by which messages are counted.
    pub count_by: CountBy,
    /// Messages that are counted one by one at most (about 60 octets each); more are counted as a sum only.
    pub messages_max: usize,
    /// Inbound messages that are kept at most (about 200 octets each and their text).
    pub inbound_max: usize,
    /// How it behaves at first.
    pub behaviour: Behaviour,
}

impl Default for SinkConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            connections_max: 1_000,
            body_bytes_max: 1024 * 1024,
            count_by: CountBy::default(),
            messages_max: 20_000_000,
            inbound_max: 1_000_000,
            behaviour: Behaviour::default(),
        }
    }
}

impl SinkConfig {
    /// Validates the values.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the first invalid value.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        if self.connections_max == 0 {
            return Err(InvalidSetting::new("connections_max", 0, "must be at least 1"));
        }
        self.behaviour.check()
    }
}

/// What all connections share.
struct Shared {
    config: SinkConfig,
    seed: Seed,
    behaviour: ArcSwap<Behaviour>,
    recorder: Mutex<WebhookRecorder>,
}

/// The sink.
#[derive(Debug)]
pub struct Sink;

/// A sink that runs. Dropping the handle does not stop it; [`SinkHandle::stop`] does.
#[derive(Clone)]
pub struct SinkHandle {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
    listening: Arc<watch::Sender<bool>>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

/// Why a sink does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is invalid.
    #[error(transparent)]
    InvalidSetting(#[from] InvalidSetting),
    /// The listener has no address.
    #[error("the listener has no address")]
    Listener(#[from] io::Error),
}

impl Sink {
    /// Starts a sink on a listener. Must be called within a runtime.
    ///
    /// # Errors
    /// [`StartError`] if the configuration is invalid.
    pub fn start(config: SinkConfig, listener: TcpListener) -> Result<SinkHandle, StartError> {
        config.check()?;
        let seed = Seed(match config.seed {
            0 => rand::random(),
            seed => seed,
        });
        let local_addr = listener.local_addr()?;
        tracing::info!(%local_addr, seed = seed.0, "webhook sink listening");
        let (listening, listens) = watch::channel(true);
        let handle = SinkHandle {
            shared: Arc::new(Shared {
                behaviour: ArcSwap::from_pointee(config.behaviour.clone()),
                recorder: Mutex::new(WebhookRecorder::new(config.messages_max, config.inbound_max)),
                seed,
                config,
            }),
            local_addr,
            listening: Arc::new(listening),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        handle
            .tasks
            .spawn(serve::accept(handle.clone(), listener, listens));
        Ok(handle)
    }
}

impl SinkHandle {
    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where it is to be called. Any path is taken.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/events", self.local_addr)
    }

    /// What all chance is drawn from; give it as `seed` to meet the same faults again.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.shared.seed.0
    }

    /// Behaves so from now on.
    ///
    /// # Errors
    /// [`InvalidSetting`] if the behaviour is invalid; nothing has changed then.
    pub fn behave(&self, behaviour: Behaviour) -> Result<(), InvalidSetting> {
        behaviour.check()?;
        self.shared.behaviour.store(Arc::new(behaviour));
        Ok(())
    }

    /// Goes away: the port is closed, and what is connected is cut.
    pub fn leave(&self) {
        self.listening.send_replace(false);
    }

    /// Comes back.
    pub fn come_back(&self) {
        self.listening.send_replace(true);
    }

    /// Sums since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.recorder.lock().sums()
    }

    /// The states reported for one message, in the order in which each was taken first. See [`CountBy`].
    #[must_use]
    pub fn states(&self, key: u64) -> Vec<String> {
        let recorder = self.shared.recorder.lock();
        let timeline = recorder.timeline(key);
        timeline
            .iter()
            .map(|received| received.state.to_owned())
            .collect()
    }

    /// Calls `look` with the events of every message, in no order of messages; those of one message in the order in which each
    /// was taken first. No call is taken meanwhile.
    pub fn each_message(&self, look: impl FnMut(u64, &[ReceivedEvent<'_>])) {
        self.shared.recorder.lock().each(look);
    }

    /// The start of [`ReceivedEvent::at_ms`].
    #[must_use]
    pub fn started(&self) -> Instant {
        self.shared.recorder.lock().started()
    }

    /// Inbound messages, in the order in which each was taken first.
    #[must_use]
    pub fn inbound(&self) -> Vec<ReceivedInbound> {
        self.shared.recorder.lock().inbound().to_vec()
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

impl std::fmt::Debug for SinkHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkHandle")
            .field("local_addr", &self.local_addr)
            .field("seed", &self.shared.seed)
            .finish_non_exhaustive()
    }
}
