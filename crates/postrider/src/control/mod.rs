//! What only one process may do at a time: endpoints, tasks and what accounts hand in are moved on all the time by the node
//! that serves a store. So a command asks that node, over a socket beside the store; when no node serves it, the command takes its
//! place for a moment and does it itself.
//!
//! The socket is its owner's: what may be asked over it, whoever can write the store could do as well.

mod alone;
mod perform;
mod send;
mod socket;

pub(crate) use socket::Control;

use crate::config::Config;
use crate::exit::Failure;
use crate::open;
use anyhow::{Context, anyhow};
use engine::CarrierStatus;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use store::sqlite::{Mode, SqliteStore};
use store::{AccountId, EndpointId, MessageId, Store, StoreError, UnixMs};

/// How long a node is waited for that has the store but does not listen yet, or no more.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a node may take to tell how it is: its own probe of the store takes 5 seconds at most.
const STANDING_TIME_MAX: Duration = Duration::from_secs(8);
/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Order {
    /// Call an endpoint no more until somebody resumes it.
    Pause {
        /// Which.
        endpoint: EndpointId,
        /// Why, for people.
        reason: Box<str>,
    },
    /// Lift a pause.
    Resume {
        /// Which.
        endpoint: EndpointId,
    },
    /// Tell an endpoint again what happened since a time.
    Replay {
        /// Which.
        endpoint: EndpointId,
        /// From when on.
        since: UnixMs,
    },
    /// Make calls again that were given up on.
    Resend {
        /// Which.
        endpoint: EndpointId,
        /// The call; absent: all that were given up on.
        call: Option<i64>,
    },
    /// Call an endpoint once, to see whether it answers.
    Test {
        /// Which.
        endpoint: EndpointId,
    },
    /// Take over the catalog that was changed beside the node, and tell what was logged with it.
    TakeOver,
    /// Let a carrier's sessions that wait for their next attempt to bind try at once.
    Reconnect {
        /// Its name.
        carrier: Box<str>,
    },
    /// Play an inbound message into the sandbox.
    PlayInbound {
        /// Who writes.
        from: Box<str>,
        /// To which number or code; may be empty.
        to: Box<str>,
        /// The text.
        text: Box<str>,
    },
    /// Call a task off.
    Cancel {
        /// Whose.
        account: AccountId,
        /// Which.
        task: i64,
    },
    /// Set or lift a task's end.
    EndTask {
        /// Whose.
        account: AccountId,
        /// Which.
        task: i64,
        /// When; absent: it has none.
        ends_at: Option<UnixMs>,
    },
    /// Put down what became of a qualification's review.
    Judge {
        /// Whose.
        account: AccountId,
        /// Which.
        qualification: i64,
        /// As it was looked at, as UCloud's API numbers it: otherwise nothing is changed.
        from: u8,
        /// As it is to be.
        to: u8,
        /// Why, for its account.
        reason: Box<str>,
    },
    /// Tell how carriers are.
    Carriers,
    /// Tell whether the node can take requests.
    Standing,
    /// Send a message.
    Send(Box<SendOrder>),
}

/// See [`Order::Send`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendOrder {
    /// Whose it is; absent: of the only account there is.
    pub(crate) account: Option<Box<str>>,
    /// To whom.
    pub(crate) to: Vec<Box<str>>,
    /// A template's number, UT id or name.
    pub(crate) template: Option<Box<str>>,
    /// Free text instead.
    pub(crate) text: Option<Box<str>>,
    /// Values by name.
    pub(crate) vars: Vec<(Box<str>, Box<str>)>,
    /// The sender that the recipient sees.
    pub(crate) sender: Option<Box<str>>,
}

/// What became of one recipient of [`Order::Send`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// As it was given.
    pub(crate) to: Box<str>,
    /// The message, when it was accepted.
    pub(crate) id: Option<MessageId>,
    /// Why it was not.
    pub(crate) refused: Option<RefusedBy>,
}

/// The reason of a refusal: see docs/errors.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefusedBy {
    pub(crate) code: u16,
    pub(crate) name: Box<str>,
    pub(crate) message: Box<str>,
}

/// Whether the node that serves a store can take requests: what `/readyz` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Why it cannot, in words.
    pub(crate) unready: Option<String>,
    /// It is starting or stopping.
    pub(crate) passing: bool,
    /// The files at the store's path are not those that it opened: it stores nothing any more.
    pub(crate) lost: bool,
}

impl Standing {
    /// Why it takes no requests, where that does not pass by itself within moments.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.unready.as_deref().filter(|_| !self.passing)
    }

    /// Why nothing is to be read from or written to the files at the store's path, if that is so.
    pub(crate) fn refusal(&self) -> Option<String> {
        let why = self.unready.as_deref().unwrap_or("its files were replaced");
        self.lost.then(|| {
            format!(
                "the node that serves this store has lost it and refuses everything: {why}. What is there now is not what the \
                 node holds: its log says how to save that, and so does \"A store that goes away\" in docs/operations.md"
            )
        })
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// It was done, to so many things.
    Done(u64),
    /// It was not, and why.
    Failed(String),
    /// How carriers are.
    Carriers(Vec<CarrierStatus>),
    /// Whether the node can take requests.
    Standing(Standing),
    /// What became of recipients.
    Sent(Vec<Sent>),
    /// An inbound message was played.
    Played {
        /// Whose it is; absent: nobody's.
        account: Option<Box<str>>,
    },
}

impl Answer {
    /// Why there is not the answer that was asked for.
    pub(crate) fn unexpected(self) -> Failure {
        match self {
            Self::Failed(why) => anyhow!(why).into(),
            _ => anyhow!("the node answered something else").into(),
        }
    }
}

/// Has an order done: by the node that serves the store, or here when none does. Returns how many things it was about.
pub(crate) async fn carry_out(config: &Config, order: &Order) -> Result<u64, Failure> {
    told(answer(config, order).await?)
}

/// The same, with the whole answer.
pub(crate) async fn answer(config: &Config, order: &Order) -> Result<Answer, Failure> {
    let since = Instant::now();
    loop {
        let path = socket_path(&config.store.path);
        let asked = socket::ask(&path, order).await;
        if let Some(answer) = asked.with_context(|| format!("ask the node at {}", path.display()))? {
            return Ok(answer);
        }
        match open::store_as(config, Mode::Serve).await? {
            Ok(store) => {
                let answer = alone::perform(config, &store, order).await;
                store.close().await.context("close the store")?;
                return Ok(answer?);
            }
            Err(StoreError::InUse(_)) if since.elapsed() < PATIENCE => tokio::time::sleep(LOOK_EVERY).await,
            Err(StoreError::InUse(_)) => {
                let path = path.display();
                return Err(anyhow!("a node serves this store and does not listen at {path}").into());
            }
            Err(error) => return Err(anyhow!(error).context("open the store").into()),
        }
    }
}

/// Has the node that serves the store, if one does, take a changed catalog over now rather than at its next look.
pub(crate) async fn take_over(config: &Config) {
    match socket::ask(&socket_path(&config.store.path), &Order::TakeOver).await {
        Ok(Some(Answer::Failed(error))) => tracing::warn!(%error, "the node has not taken the change over"),
        // It looks by itself every second.
        Err(error) => tracing::debug!(%error, "the node could not be told of the change"),
        Ok(_) => {}
    }
}

/// What is known of the node that serves a store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NodeState {
    /// None does.
    NotRunning,
    /// One does; how its carriers are, when it says.
    Running(Option<Vec<CarrierStatus>>),
}

/// Asks the node that serves the store, if one does.
pub(crate) async fn node_state(config: &Config) -> NodeState {
    match socket::ask(&socket_path(&config.store.path), &Order::Carriers).await {
        Ok(Some(Answer::Carriers(carriers))) => NodeState::Running(Some(carriers)),
        // It is of a release that does not know the question, or about to stop.
        Ok(Some(_)) | Err(_) => NodeState::Running(None),
        Ok(None) => NodeState::NotRunning,
    }
}

/// Whether the node that serves the store can take requests; `None` when none serves it, or when it does not say in time, as a
/// node of an earlier release.
pub(crate) async fn standing(config: &Config) -> Option<Standing> {
    let path = socket_path(&config.store.path);
    let asked = tokio::time::timeout(STANDING_TIME_MAX, socket::ask(&path, &Order::Standing)).await;
    match asked {
        Ok(Ok(Some(Answer::Standing(standing)))) => Some(standing),
        Ok(Ok(_)) => None,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the node does not tell how it is");
            None
        }
        Err(_) => None,
    }
}

fn told(answer: Answer) -> Result<u64, Failure> {
    match answer {
        Answer::Done(count) => Ok(count),
        other => Err(other.unexpected()),
    }
}

/// How carriers are, when a node serves the store and says so.
pub(crate) async fn carriers(config: &Config) -> Option<Vec<CarrierStatus>> {
    match socket::ask(&socket_path(&config.store.path), &Order::Carriers).await {
        Ok(Some(Answer::Carriers(carriers))) => Some(carriers),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(%error, "the node does not tell how carriers are");
            None
        }
    }
}

/// Where the node that serves a store listens: the same place by whatever name the store is called.
pub(crate) fn socket_path(store: &Path) -> PathBuf {
    let mut path = SqliteStore::resolved_path(store).into_os_string();
    path.push(".control");
    path.into()
}
