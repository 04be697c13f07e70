//! What can go wrong in a store, by what the caller can do about it.

use thiserror::Error;

/// A store could not execute a call. Nothing of the call was done.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk is full or failing: try again later, the store recovers by itself.
    #[error("the store cannot write: {0}")]
    Unwritable(String),
    /// The disk did not take what it was to make durable. Nobody knows what of it is there: the store is of no use until it is
    /// opened again.
    #[error("the store could not be synced: {0}")]
    SyncFailed(String),
    /// Too many commands wait already (bounded by configuration).
    #[error("the store is busy: {waiting} commands wait")]
    Busy {
        /// How many commands waited.
        waiting: usize,
    },
    /// The schema was made by a newer Postrider.
    #[error("the store has schema {found}, this program knows up to {known}: use the newer program")]
    NewerSchema {
        /// The version found.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// Another process holds the store.
    #[error("the store is in use by another process: {0}")]
    InUse(String),
    /// The file belongs to another program.
    #[error(
        "the file is no store of Postrider but another program's database ({0}): name another file in `store.path`"
    )]
    Foreign(String),
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// What was read does not make sense.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Anything else, with what was tried.
    #[error("{0}")]
    Other(String),
}

impl StoreError {
    /// Whether a sync failed, after which nothing that the store says is to be trusted.
    #[must_use]
    pub fn is_failed_sync(&self) -> bool {
        matches!(self, Self::SyncFailed(_))
    }
}

/// Why a whole request was not accepted.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The account's balance does not cover the request.
    #[error("the balance of {balance} segments does not cover {needed}")]
    Balance {
        /// Segments left.
        balance: i64,
        /// Segments of the request.
        needed: i64,
    },
    /// Nothing of the request was left to accept; the reasons are per recipient.
    #[error("every recipient was refused")]
    NothingLeft(Vec<super::RefusedAtCommit>),
    /// The task that this is a piece of is elsewhere, or does not run: see [`super::TaskStep`].
    #[error("the task has moved on")]
    TaskMoved,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AcceptError {
    /// What the store said, if it was the store that failed.
    #[must_use]
    pub fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}
