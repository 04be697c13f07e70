//! What waits for the writer.

use super::SqliteConfig;
use super::awaiting::Overdue;
use super::catalog::Condition;
use super::metrics::Meters;
use super::write_task::WriteTask;
use crate::{
    AcceptCommand, AcceptError, Accepted, AttemptStart, BegunAttempt, CarrierReceipt, CatalogChange,
    MessageId, OnRelease, ReceiptEffect, RecordResults, Released, ResultEffect, StoreError, UnixMs,
};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Where an answer goes. The caller may have stopped waiting: then it is dropped.
pub(super) type Reply<T, E = StoreError> = oneshot::Sender<Result<T, E>>;

/// One call of the port that writes.
pub(super) enum Command {
    Accept(Box<AcceptCommand>, Reply<Accepted, AcceptError>),
    ReleaseDue {
        now: UnixMs,
        ranges_max: usize,
        on_release: OnRelease,
        reply: Reply<Released>,
    },
    BeginAttempts(Vec<AttemptStart>, Reply<Vec<BegunAttempt>>),
    RecordResults(RecordResults, Reply<Vec<ResultEffect>>),
    RecordReceipts(Vec<CarrierReceipt>, Reply<Vec<ReceiptEffect>>),
    GiveUpReceipts(Overdue, UnixMs, Reply<Vec<MessageId>>),
    ExpireUnmatched {
        before: UnixMs,
        now: UnixMs,
        reply: Reply<u64>,
    },
    ExpireMessages {
        before: UnixMs,
        now: UnixMs,
        reply: Reply<bool>,
    },
    ChangeCatalog(Condition, Vec<CatalogChange>, Reply<Option<u64>>),
    WriteTask(Box<dyn WriteTask>),
    Probe(Reply<()>),
}

impl Command {
    /// Rows it writes, by which groups are bounded.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Accept(command, _) => command.batches.iter().map(|batch| batch.messages.len()).sum(),
            Self::ReleaseDue { ranges_max, .. } => *ranges_max,
            Self::BeginAttempts(starts, _) => starts.len(),
            Self::RecordResults(results, _) => results.outcomes.len(),
            Self::RecordReceipts(receipts, _) => receipts.len(),
            Self::GiveUpReceipts(overdue, ..) => overdue.len(),
            Self::ExpireUnmatched { .. } | Self::ExpireMessages { .. } => 1_000,
            Self::ChangeCatalog(_, changes, _) => changes.len(),
            Self::WriteTask(task) => task.rows(),
            Self::Probe(_) => 1,
        }
    }

    /// Answers that nothing was done.
    pub(super) fn refuse(self, error: StoreError) {
        // A caller that has gone needs no answer.
        let _gone = match self {
            Self::Accept(_, reply) => reply.send(Err(error.into())).is_err(),
            Self::ReleaseDue { reply, .. } => reply.send(Err(error)).is_err(),
            Self::BeginAttempts(_, reply) => reply.send(Err(error)).is_err(),
            Self::RecordResults(_, reply) => reply.send(Err(error)).is_err(),
            Self::RecordReceipts(_, reply) => reply.send(Err(error)).is_err(),
            Self::GiveUpReceipts(.., reply) => reply.send(Err(error)).is_err(),
            Self::ExpireUnmatched { reply, .. } => reply.send(Err(error)).is_err(),
            Self::ExpireMessages { reply, .. } => reply.send(Err(error)).is_err(),
            Self::ChangeCatalog(.., reply) => reply.send(Err(error)).is_err(),
            Self::WriteTask(task) => {
                task.refuse(error);
                false
            }
            Self::Probe(reply) => reply.send(Err(error)).is_err(),
        };
    }
}

/// A command with its place in the bounds, given back when the writer takes it.
struct Waiting {
    command: Command,
    _places: [Option<OwnedSemaphorePermit>; 2],
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Waiting>,
    closed: bool,
}

/// The bounded queue in front of the writer.
///
/// Accepts and the engine's commands have bounds of their own: a flood of requests is refused at once and
/// can never keep results and receipts from being recorded.
pub(super) struct Commands {
    inner: Mutex<Inner>,
    arrived: Condvar,
    accepts: Arc<Semaphore>,
    messages: Arc<Semaphore>,
    messages_max: u32,
    engine: Arc<Semaphore>,
    meters: Arc<Meters>,
}

impl Commands {
    pub(super) fn new(config: &SqliteConfig, meters: Arc<Meters>) -> Self {
        let messages_max = u32::try_from(config.messages_waiting_max).unwrap_or(u32::MAX);
        Self {
            inner: Mutex::default(),
            arrived: Condvar::new(),
            accepts: Arc::new(Semaphore::new(config.commands_max)),
            messages: Arc::new(Semaphore::new(config.messages_waiting_max)),
            messages_max,
            engine: Arc::new(Semaphore::new(config.engine_commands_max)),
            meters,
        }
    }

    /// Puts an accept in the queue, or refuses it at once when too much waits.
    pub(super) fn offer(&self, command: Command) -> Result<(), StoreError> {
        let messages = u32::try_from(command.rows())
            .unwrap_or(u32::MAX)
            .clamp(1, self.messages_max);
        let accept = Arc::clone(&self.accepts).try_acquire_owned();
        let room = Arc::clone(&self.messages).try_acquire_many_owned(messages);
        match (accept, room) {
            (Ok(accept), Ok(room)) => self.push(command, [Some(accept), Some(room)]),
            _ => {
                self.meters.busy.fetch_add(1, Ordering::Relaxed);
                Err(StoreError::Busy {
                    waiting: self.inner.lock().waiting.len(),
                })
            }
        }
    }

    /// Puts one of the engine's commands in the queue, waiting for room.
    pub(super) async fn send(&self, command: Command) -> Result<(), StoreError> {
        let place = Arc::clone(&self.engine)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        self.push(command, [Some(place), None])
    }

    fn push(&self, command: Command, places: [Option<OwnedSemaphorePermit>; 2]) -> Result<(), StoreError> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(StoreError::Closed);
        }
        inner.waiting.push_back(Waiting {
            command,
            _places: places,
        });
        drop(inner);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for a command; `None` once closed and empty.
    pub(super) fn wait(&self) -> Option<Command> {
        let mut inner = self.inner.lock();
        loop {
            if let Some(waiting) = inner.waiting.pop_front() {
                return Some(waiting.command);
            }
            if inner.closed {
                return None;
            }
            self.arrived.wait(&mut inner);
        }
    }

    /// The next command if one waits already.
    pub(super) fn take(&self) -> Option<Command> {
        self.inner
            .lock()
            .waiting
            .pop_front()
            .map(|waiting| waiting.command)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.inner.lock().waiting.len()
    }

    /// Whether it takes nothing more.
    pub(super) fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    /// Takes nothing more; what waits is still served.
    pub(super) fn close(&self) {
        self.inner.lock().closed = true;
        self.engine.close();
        self.arrived.notify_all();
    }

    /// Takes nothing more and refuses what waits: for a store that is dropped or whose writer has died.
    pub(super) fn abandon(&self) {
        self.close();
        let waiting = std::mem::take(&mut self.inner.lock().waiting);
        for waiting in waiting {
            waiting.command.refuse(StoreError::Closed);
        }
    }
}
