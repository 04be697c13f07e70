//! Tasks: sends to the members of contact lists, piece by piece.
//!
//! A task holds the text as it was approved when the task was made. Its members are read in pieces and each piece goes
//! through [`crate::accept`] like any request, with the place the task has come to recorded in the same transaction: so
//! whatever ends the process, no member gets two messages and none is left out, and a million members need the memory
//! of one piece.

mod request;
mod run;

pub use request::TaskRequest;
pub(crate) use run::run;

use crate::accept::repeats::is_refused;
use crate::accept::{AcceptError, Refusal, pin_template};
use crate::engine::Engine;
use std::fmt;
pub use store::AddedTask;
use store::{
    AccountId, ContactRefusal, NewIdempotency, NewTask, RecordAnswer, StoreError, Task, TaskState, UnixMs,
};
use thiserror::Error;

/// Why a task could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The account is gone or may not send.
    #[error(transparent)]
    Account(#[from] AcceptError),
    /// What every recipient would be refused for: the template, its signature, the sender.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// Its end is not after its time, or not after now.
    #[error("a task ends after it is due, and later than now")]
    EndsTooEarly,
    /// A list is not there.
    #[error("there is no such contact list")]
    NoList,
    /// As many tasks of the account wait or run as may.
    #[error("as many tasks of the account wait or run as may")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the creation of a task idempotent.
pub struct TaskIdempotency {
    /// Separates id spaces: the dialect's own field, or the header.
    pub scope: &'static str,
    /// The caller's request id.
    pub key: Box<str>,
    /// How long the id is remembered, in milliseconds.
    pub keep_ms: i64,
    /// Renders the answer that is recorded and returned to every repeat.
    pub reply: RecordAnswer<Task>,
}

impl fmt::Debug for TaskIdempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceTask")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Makes a task that sends to all members its lists have now, at once or when it is due, until `ends_at`: no member
    /// is accepted at or after that, and what was accepted and still waits then expires. Whoever is in several of the
    /// lists gets one message. With `once`, a repeated request makes none: it gets the first answer, or is
    /// refused when its content is another and the account wants that.
    ///
    /// # Errors
    /// [`TaskError`]; nothing was made then.
    pub async fn add_task(
        &self,
        account: AccountId,
        mut request: TaskRequest,
        lists: Vec<i64>,
        due: Option<UnixMs>,
        ends_at: Option<UnixMs>,
        once: Option<TaskIdempotency>,
    ) -> Result<AddedTask, TaskError> {
        let catalog = self.catalog();
        let owner = catalog.account(account).ok_or(AcceptError::AccountGone)?;
        if !owner.may_send {
            return Err(AcceptError::MayNotSend.into());
        }
        let (dialect, passed_ms) = (request.dialect, self.passed_ms());
        let idempotency = once.map(|once| NewIdempotency {
            scope: once.scope,
            key: once.key,
            fingerprint: request.fingerprint(&lists, due, ends_at),
            keep_ms: once.keep_ms,
            passed_ms,
            record: once.reply,
        });
        request
            .pin_template(|submission, item| pin_template(owner, &catalog, item, submission))
            .map_err(TaskError::Refused)?;
        let now = self.now();
        let due = due.unwrap_or(now);
        if ends_at.is_some_and(|end| end <= due.max(now)) {
            return Err(TaskError::EndsTooEarly);
        }
        let body = request
            .to_json()
            .map_err(|error| StoreError::Other(format!("write a task's request: {error}")))?;
        let new = NewTask {
            account,
            lists,
            request: body,
            due,
            ends_at,
            now,
            open_max: self.account_limits().open_tasks_max,
            idempotency,
        };
        match self.store().add_task(new).await? {
            Ok(added) => {
                if matches!(&added, AddedTask::New(task) if task.state == TaskState::Waiting) {
                    self.wake_tasks();
                }
                if matches!(added, AddedTask::Repeat { same_body: false, .. })
                    && is_refused(&self.shared, account, dialect)
                {
                    return Err(AcceptError::OtherContent.into());
                }
                Ok(added)
            }
            Err(ContactRefusal::NoList) => Err(TaskError::NoList),
            Err(ContactRefusal::TasksFull) => {
                self.count_full("open_tasks_max");
                Err(TaskError::TooMany)
            }
            Err(refusal) => Err(StoreError::Other(format!("make a task: {refusal:?}")).into()),
        }
    }

    /// A task as it is now.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn task(&self, account: AccountId, id: i64) -> Result<Option<Task>, StoreError> {
        self.store().task(account, id).await
    }

    /// Sets or lifts the end of a task, for what it accepts from then on: what it accepted before keeps the end it had.
    /// `None` when the task is not there or has ended.
    ///
    /// # Errors
    /// [`TaskError::EndsTooEarly`], and when the store failed.
    pub async fn set_task_end(
        &self,
        account: AccountId,
        id: i64,
        ends_at: Option<UnixMs>,
    ) -> Result<Option<Task>, TaskError> {
        let Some(task) = self.store().task(account, id).await? else {
            return Ok(None);
        };
        if ends_at.is_some_and(|end| end <= task.due.max(self.now())) {
            return Err(TaskError::EndsTooEarly);
        }
        let changed = self.store().set_task_end(id, ends_at).await?;
        self.wake_tasks();
        Ok(changed)
    }

    /// Calls a task off: no further member is sent to; what was accepted is sent. `None` when it is not there or has
    /// ended.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn cancel_task(&self, account: AccountId, id: i64) -> Result<Option<Task>, StoreError> {
        if self.store().task(account, id).await?.is_none() {
            return Ok(None);
        }
        self.store()
            .change_task(id, TaskState::Cancelled, None, Box::default(), self.now())
            .await
    }
}
