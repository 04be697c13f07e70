//! What only one process may do at a time: endpoints, tasks and what accounts hand in are moved on all the time by the node
//! that serves a store. So a command asks that node, over a socket beside the store; when no node serves it, the command takes its
//! place for a moment and does it itself.
//!
//! The socket is its owner's: what may be asked over it, whoever can write the store could do as well.

mod alone;
mod perform;
mod socket;

pub(crate) use socket::Control;

use crate::config::Config;
use crate::exit::Failure;
use crate::open;
use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use store::sqlite::Mode;
use store::{AccountId, EndpointId, Store, StoreError, UnixMs};

/// How long a node is waited for that has the store but does not listen yet, or no more.
const PATIENCE: Duration = Duration::from_secs(10);
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
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// It was done, to so many things.
    Done(u64),
    /// It was not, and why.
    Failed(String),
}

/// Has an order done: by the node that serves the store, or here when none does. Returns how many things it was about.
pub(crate) async fn carry_out(config: &Config, order: &Order) -> Result<u64, Failure> {
    let since = Instant::now();
    loop {
        let path = socket_path(&config.store.path);
        let asked = socket::ask(&path, order).await;
        if let Some(answer) = asked.with_context(|| format!("ask the node at {}", path.display()))? {
            return told(answer);
        }
        match open::store_as(config, Mode::Serve).await? {
            Ok(store) => {
                let answer = alone::perform(config, &store, order).await;
                store.close().await.context("close the store")?;
                return told(answer?);
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
        Ok(None | Some(Answer::Done(_))) => {}
        Ok(Some(Answer::Failed(error))) => tracing::warn!(%error, "the node has not taken the change over"),
        // It looks by itself every second.
        Err(error) => tracing::debug!(%error, "the node could not be told of the change"),
    }
}

fn told(answer: Answer) -> Result<u64, Failure> {
    match answer {
        Answer::Done(count) => Ok(count),
        Answer::Failed(why) => Err(anyhow!(why).into()),
    }
}

/// Where the node that serves a store listens.
pub(crate) fn socket_path(store: &Path) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(".control");
    path.into()
}
