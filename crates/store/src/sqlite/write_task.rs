//! Calls that are made seldom: each brings what it does with it, where [`super::commands::Command`] has a name
//! for every call that sending depends on.

use super::SqliteStore;
use super::commands::{Command, Reply};
use super::group::{Completion, GroupCommit, answer};
use super::memory::Work;
use crate::StoreError;

/// A call with what it does.
pub(super) trait WriteTask: Send {
    /// Rows it writes, by which groups are bounded.
    fn rows(&self) -> usize;

    /// Does it within a group.
    fn run(self: Box<Self>, group: &mut GroupCommit<'_>) -> Completion;

    /// Answers that nothing was done.
    fn refuse(self: Box<Self>, error: StoreError);
}

/// What a write task does when too many commands wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OverloadPolicy {
    /// A client: refused at once when too much waits already, as its messages are.
    Shed,
    /// The engine: waits for room, which no client takes away.
    Backpressure,
}

struct Job<T, F> {
    rows: usize,
    run: F,
    reply: Reply<T>,
}

impl<T, F> WriteTask for Job<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Work<'_>) -> Result<T, StoreError> + Send,
{
    fn rows(&self) -> usize {
        self.rows
    }

    fn run(self: Box<Self>, group: &mut GroupCommit<'_>) -> Completion {
        let Self { run, reply, .. } = *self;
        answer(reply, group.attempt(run))
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        // A caller that has gone needs no answer.
        let _gone = self.reply.send(Err(error));
    }
}

impl SqliteStore {
    /// Has the writer do something that writes about `rows` rows.
    pub(super) async fn submit_write<T: Send + 'static>(
        &self,
        overload: OverloadPolicy,
        rows: usize,
        run: impl FnOnce(&mut Work<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.command_of(overload, |reply| {
            Command::WriteTask(Box::new(Job { rows, run, reply }))
        })
        .await
    }
}
