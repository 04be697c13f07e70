//! Commands that only one process may run at a time: the node that serves a store changes endpoints, tasks and records all the
//! time. A command is sent to that node over a socket beside the store; when no node serves the store, the command takes the
//! store's lock and does the work itself.
//!
//! The socket belongs to its owner: a user who can write the store could do the same without it.

mod offline;
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

/// Time to wait for a node that has the store but does not listen yet, or not any more.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Time to wait for a node's state: its own probe of the store takes 5 seconds at most.
const STANDING_TIME_MAX: Duration = Duration::from_secs(8);
/// Interval of attempts.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A command for the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum NodeCommand {
    /// Stop calls to an endpoint until it is resumed.
    Pause {
        endpoint: EndpointId,
        /// The reason, shown to operators.
        reason: Box<str>,
    },
    /// End a pause.
    Resume { endpoint: EndpointId },
    /// Deliver the events since a time again.
    Replay { endpoint: EndpointId, since: UnixMs },
    /// Retry dead calls.
    Resend {
        endpoint: EndpointId,
        /// The call; absent: all dead calls.
        call: Option<i64>,
    },
    /// Send a test call to an endpoint.
    Test { endpoint: EndpointId },
    /// Reload the catalog, and deliver the events that were appended with the change.
    #[serde(alias = "take_over")]
    ReloadCatalog,
    /// Bind the sessions of a carrier that wait for their next bind attempt at once.
    Reconnect { carrier: Box<str> },
    /// Simulate an inbound message in the sandbox.
    PlayInbound {
        /// The sender.
        from: Box<str>,
        /// The number or code; may be empty.
        to: Box<str>,
        text: Box<str>,
    },
    /// Cancel a task.
    Cancel { account: AccountId, task: i64 },
    /// Set or remove the end of a task.
    EndTask {
        account: AccountId,
        task: i64,
        /// Absent: no end.
        ends_at: Option<UnixMs>,
    },
    /// Store the result of a qualification's review.
    #[serde(alias = "judge")]
    ReviewQualification {
        account: AccountId,
        qualification: i64,
        /// The expected status, as UCloud's API numbers it; when it differs nothing is changed.
        from: u8,
        /// The new status.
        to: u8,
        /// The reason, shown to the account.
        reason: Box<str>,
    },
    /// Return the states of carriers.
    Carriers,
    /// Return whether the node can accept requests.
    Standing,
    /// Send a message.
    Send(Box<SendCommand>),
}

/// See [`NodeCommand::Send`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendCommand {
    /// The account; absent: the only one.
    pub(crate) account: Option<Box<str>>,
    /// The recipients.
    pub(crate) to: Vec<Box<str>>,
    /// A template's number, UT id or name.
    pub(crate) template: Option<Box<str>>,
    /// Free text instead.
    pub(crate) text: Option<Box<str>>,
    /// Values of variables by name.
    pub(crate) vars: Vec<(Box<str>, Box<str>)>,
    /// The sender that the recipient sees.
    pub(crate) sender: Option<Box<str>>,
}

/// The result for one recipient of [`NodeCommand::Send`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// The recipient as given.
    pub(crate) to: Box<str>,
    /// The message, if accepted.
    pub(crate) id: Option<MessageId>,
    /// The reason, if rejected.
    pub(crate) refused: Option<RefusedBy>,
}

/// The reason of a rejection: see docs/errors.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefusedBy {
    pub(crate) code: u16,
    pub(crate) name: Box<str>,
    pub(crate) message: Box<str>,
}

/// The readiness of the node that serves a store: what `/readyz` returns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Why it is not ready.
    pub(crate) unready: Option<String>,
    /// The node is starting or stopping.
    pub(crate) passing: bool,
    /// The files at the store's path are not those that the node opened: it stores nothing any more.
    pub(crate) lost: bool,
}

impl Standing {
    /// Why the node is not ready, unless it is starting or stopping.
    pub(crate) fn unready_reason(&self) -> Option<&str> {
        self.unready.as_deref().filter(|_| !self.passing)
    }

    /// Why the files at the store's path must not be used, if so.
    pub(crate) fn refusal(&self) -> Option<String> {
        let why = self.unready.as_deref().unwrap_or("its files were replaced");
        self.lost.then(|| {
            format!(
                "the node that serves this store has lost its files and rejects all requests: {why}. The files there now are not \
                 those of the node: its log describes how to save them, and so does \"A store that goes away\" in docs/operations.md"
            )
        })
    }
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// It was done, for this number of objects.
    Done(u64),
    /// It failed, and why.
    Failed(String),
    /// The states of carriers.
    Carriers(Vec<CarrierStatus>),
    /// Whether the node can accept requests.
    Standing(Standing),
    /// The results for recipients.
    Sent(Vec<Sent>),
    /// An inbound message was simulated.
    Played {
        /// The account of the message; absent: none.
        account: Option<Box<str>>,
    },
}

impl Answer {
    /// The error when an answer is not of the expected kind.
    pub(crate) fn unexpected(self) -> Failure {
        match self {
            Self::Failed(why) => anyhow!(why).into(),
            _ => anyhow!("unexpected answer of the node").into(),
        }
    }
}

/// Runs a command on the node that serves the store, or here when none does. Returns the number of objects.
pub(crate) async fn carry_out(config: &Config, command: &NodeCommand) -> Result<u64, Failure> {
    done_count(answer(config, command).await?)
}

/// The same, with the whole answer.
pub(crate) async fn answer(config: &Config, command: &NodeCommand) -> Result<Answer, Failure> {
    let since = Instant::now();
    loop {
        let path = socket_path(&config.store.path);
        let response = socket::ask(&path, command).await;
        if let Some(answer) =
            response.with_context(|| format!("send the command to the node at {}", path.display()))?
        {
            return Ok(answer);
        }
        match open::store_as(config, Mode::Serve).await? {
            Ok(store) => {
                let answer = offline::perform(config, &store, command).await;
                store.close().await.context("close the store")?;
                return Ok(answer?);
            }
            Err(StoreError::InUse(_)) if since.elapsed() < WAIT_MAX => tokio::time::sleep(LOOK_EVERY).await,
            Err(StoreError::InUse(_)) => {
                let path = path.display();
                return Err(anyhow!("a node serves this store but does not listen at {path}").into());
            }
            Err(error) => return Err(anyhow!(error).context("open the store").into()),
        }
    }
}

/// Lets the node that serves the store, if any, reload the catalog now instead of at its next poll.
pub(crate) async fn reload_catalog(config: &Config) {
    match socket::ask(&socket_path(&config.store.path), &NodeCommand::ReloadCatalog).await {
        Ok(Some(Answer::Failed(error))) => tracing::warn!(%error, "catalog reload failed"),
        // It polls every second.
        Err(error) => tracing::debug!(%error, command = "reload_catalog", "control command failed"),
        Ok(_) => {}
    }
}

/// The state of the node that serves a store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NodeState {
    /// No node serves it.
    NotRunning,
    /// A node serves it, with the states of its carriers if it returned them.
    Running(Option<Vec<CarrierStatus>>),
}

/// Queries the node that serves the store, if any.
pub(crate) async fn node_state(config: &Config) -> NodeState {
    match socket::ask(&socket_path(&config.store.path), &NodeCommand::Carriers).await {
        Ok(Some(Answer::Carriers(carriers))) => NodeState::Running(Some(carriers)),
        // A node of an older release does not know the command, or it is about to stop.
        Ok(Some(_)) | Err(_) => NodeState::Running(None),
        Ok(None) => NodeState::NotRunning,
    }
}

/// Whether the node that serves the store can accept requests; `None` when none serves it or it does not answer in time, as
/// a node of an older release.
pub(crate) async fn standing(config: &Config) -> Option<Standing> {
    let path = socket_path(&config.store.path);
    let response = tokio::time::timeout(STANDING_TIME_MAX, socket::ask(&path, &NodeCommand::Standing)).await;
    match response {
        Ok(Ok(Some(Answer::Standing(standing)))) => Some(standing),
        Ok(Ok(_)) => None,
        Ok(Err(error)) => {
            tracing::debug!(%error, command = "standing", "control command failed");
            None
        }
        Err(_) => None,
    }
}

fn done_count(answer: Answer) -> Result<u64, Failure> {
    match answer {
        Answer::Done(count) => Ok(count),
        other => Err(other.unexpected()),
    }
}

/// The states of carriers, when a node serves the store and returns them.
pub(crate) async fn carriers(config: &Config) -> Option<Vec<CarrierStatus>> {
    match socket::ask(&socket_path(&config.store.path), &NodeCommand::Carriers).await {
        Ok(Some(Answer::Carriers(carriers))) => Some(carriers),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(%error, command = "carriers", "control command failed");
            None
        }
    }
}

/// The path of the control socket: the same for every name of the store.
pub(crate) fn socket_path(store: &Path) -> PathBuf {
    let mut path = SqliteStore::resolved_path(store).into_os_string();
    path.push(".control");
    path.into()
}
