//! The runner: takes the open tasks that are due in turns, a piece of each.

use super::TaskRequest;
use crate::accept::{self, AcceptError, AcceptResponse, Step};
use crate::engine::Shared;
use sms::phone::Msisdn;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use store::{Contact, StoreError, Task, TaskProgress, TaskState, TaskStep};

/// Members of one piece: one commit.
const PIECE: usize = 1000;
/// Tasks looked at in one round.
const TASKS_MAX: usize = 100;
/// The longest the runner sleeps: a safety net, as it is woken when a task is made.
const SLEEP_MAX: Duration = Duration::from_secs(5);
/// How long the store is left alone after it failed or was busy.
const REST: Duration = Duration::from_millis(500);

/// Why a task failed that had members left at its end.
const END_PASSED: &str = "its end time came before all members were accepted";

/// What a step of a task came to.
#[derive(Debug, PartialEq, Eq)]
enum Stepped {
    /// It has more members.
    On,
    /// It ended, or is somewhere else than thought: look again.
    Over,
    /// The store is busy or failing: later.
    Later,
}

/// Runs until the engine stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        let sleep = round(&shared).await;
        tokio::select! {
            () = shared.tasks_changed.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// One piece of every task that is due; how long nothing will be due then.
async fn round(shared: &Arc<Shared>) -> Duration {
    let tasks = match shared.store.open_tasks(TASKS_MAX).await {
        Ok(tasks) => tasks,
        Err(error) => {
            tracing::error!(%error, "tasks read failed");
            return REST;
        }
    };
    let now = shared.clock.now();
    let mut sleep = SLEEP_MAX;
    for task in tasks {
        let from = task.ends_at.map_or(task.due, |end| task.due.min(end));
        if from > now {
            let wait = u64::try_from(from - now).unwrap_or(0).max(1);
            sleep = sleep.min(Duration::from_millis(wait));
            continue;
        }
        sleep = sleep.min(match step(shared, &task).await {
            Stepped::On | Stepped::Over => Duration::ZERO,
            Stepped::Later => REST,
        });
    }
    sleep
}

async fn step(shared: &Arc<Shared>, task: &Task) -> Stepped {
    match try_step(shared, task).await {
        Ok(stepped) => stepped,
        Err(error) => {
            tracing::warn!(task = task.id, %error, "task stalled");
            Stepped::Later
        }
    }
}

async fn try_step(shared: &Arc<Shared>, task: &Task) -> Result<Stepped, StoreError> {
    let is_over = task.ends_at.is_some_and(|end| end <= shared.clock.now());
    if task.state == TaskState::Waiting && !is_over {
        change(shared, task, TaskState::Running, None, "").await?;
        return Ok(Stepped::On);
    }
    let Some(request) = TaskRequest::of(task) else {
        return end(shared, task, TaskState::Failed, "its request cannot be read").await;
    };
    let (list, contacts) = piece(shared, task).await?;
    let Some(last) = contacts.last() else {
        return end(shared, task, TaskState::Done, "").await;
    };
    if is_over {
        return end(shared, task, TaskState::Failed, END_PASSED).await;
    }
    let step = Step {
        task: task.id,
        from: task.progress,
        list,
        contact: last.id,
    };
    let passed = TaskProgress {
        list,
        contact: last.id,
        accepted: task.progress.accepted,
        refused: task.progress.refused + contacts.len() as u64,
    };
    let earlier = of_earlier_lists(shared, task, list, &contacts).await?;
    let submission = request.submission(task, &contacts, &earlier);
    match accept::accept(shared, submission, None, Some(step)).await {
        // A piece none of which was stored took no transaction: the step is recorded by itself.
        Ok((_, AcceptResponse::New(outcome))) if outcome.accepted() == 0 => {
            let step = TaskStep {
                task: task.id,
                from: task.progress,
                to: passed,
            };
            change(shared, task, TaskState::Running, Some(step), "").await?;
            Ok(Stepped::On)
        }
        Ok(_) => Ok(Stepped::On),
        Err(AcceptError::TaskMoved) => Ok(Stepped::Over),
        Err(AcceptError::Busy | AcceptError::Stopping) => Ok(Stepped::Later),
        Err(AcceptError::Store(error)) => Err(error),
        Err(error @ (AcceptError::Internal(_) | AcceptError::OtherContent)) => {
            Err(StoreError::Other(error.to_string()))
        }
        Err(error @ (AcceptError::AccountGone | AcceptError::MayNotSend | AcceptError::Balance)) => {
            end(shared, task, TaskState::Failed, &error.to_string()).await
        }
    }
}

/// The next members, and the list they are of.
async fn piece(shared: &Shared, task: &Task) -> Result<(u32, Vec<Contact>), StoreError> {
    let mut after = task.progress.contact;
    for (no, &list) in (0u32..).zip(&task.lists).skip(task.progress.list as usize) {
        let contacts = shared
            .store
            .contacts_after(list, after, task.last_contact, PIECE)
            .await?;
        if !contacts.is_empty() {
            return Ok((no, contacts));
        }
        after = 0;
    }
    Ok((task.progress.list, Vec::new()))
}

/// Those of the members that an earlier list of the task has too: they get, or were refused, their message there.
async fn of_earlier_lists(
    shared: &Shared,
    task: &Task,
    list: u32,
    contacts: &[Contact],
) -> Result<HashSet<Msisdn>, StoreError> {
    let earlier: Vec<i64> = task.lists.iter().take(list as usize).copied().collect();
    if earlier.is_empty() {
        return Ok(HashSet::new());
    }
    let msisdns = contacts.iter().map(|contact| contact.msisdn).collect();
    shared
        .store
        .members_among(earlier, task.last_contact, msisdns)
        .await
}

async fn change(
    shared: &Shared,
    task: &Task,
    state: TaskState,
    step: Option<TaskStep>,
    error: &str,
) -> Result<Option<Task>, StoreError> {
    shared
        .store
        .change_task(task.id, state, step, error.into(), shared.clock.now())
        .await
}

async fn end(shared: &Shared, task: &Task, state: TaskState, error: &str) -> Result<Stepped, StoreError> {
    change(shared, task, state, None, error).await?;
    tracing::info!(task = task.id, ?state, error, "task ended");
    Ok(Stepped::Over)
}
