//! Tasks: sends to the members of lists, piece by piece. How far one is, is recorded with what it accepted.

use super::codes::as_count;
use super::error::Tried;
use super::memory::Work;
use super::{accept, contacts};
use crate::{
    AccountId, AddedTask, ContactRefusal, NewTask, StoreError, Task, TaskProgress, TaskState, TaskStep,
    UnixMs,
};
use rusqlite::{Connection, OptionalExtension, Row};

const TASK: &str = "id, account, request, lists, members, last_contact, due, state, at_list, at_contact, accepted, \
                    refused, error, created_at, ended_at, ends_at";

/// Ended tasks deleted by one call.
const EXPIRED_A_STEP: usize = 500;

/// Records a step of a running task that is exactly where the step begins; false when it is not. `refused` of the
/// members the step counts as accepted are counted as refused instead.
pub(super) fn advance(conn: &Connection, step: &TaskStep, refused: u64) -> rusqlite::Result<bool> {
    let (from, to) = (step.from, step.to);
    let moved = conn
        .prepare_cached(
            "UPDATE task SET at_list = ?2, at_contact = ?3, accepted = ?4, refused = ?5
             WHERE id = ?1 AND state = ?6 AND at_list = ?7 AND at_contact = ?8 AND accepted = ?9 AND refused = ?10",
        )?
        .execute((
            step.task,
            to.list,
            to.contact,
            to.accepted.saturating_sub(refused),
            to.refused + refused,
            TaskState::Running as u8,
            from.list,
            from.contact,
            from.accepted,
            from.refused,
        ))?;
    Ok(moved > 0)
}

/// Tasks that wait or run, the earliest due first.
pub(super) fn open(conn: &Connection, tasks_max: usize) -> rusqlite::Result<Vec<Task>> {
    conn.prepare_cached(&format!(
        "SELECT {TASK} FROM task WHERE state < 2 ORDER BY due, id LIMIT ?1"
    ))?
    .query_map([as_count(tasks_max)], task_from)?
    .collect()
}

/// Tasks of an account that wait or run.
fn open_of(conn: &Connection, account: AccountId) -> rusqlite::Result<u64> {
    conn.prepare_cached("SELECT count(*) FROM task WHERE account = ?1 AND state < 2")?
        .query_row([account.0], |row| row.get(0))
}

/// Tasks older than one, the newest first.
pub(super) fn all(conn: &Connection, before: Option<i64>, tasks_max: usize) -> rusqlite::Result<Vec<Task>> {
    conn.prepare_cached(&format!(
        "SELECT {TASK} FROM task WHERE id < ?1 ORDER BY id DESC LIMIT ?2"
    ))?
    .query_map((before.unwrap_or(i64::MAX), as_count(tasks_max)), task_from)?
    .collect()
}

/// Deletes tasks that ended before a time; how many.
pub(super) fn delete_ended(conn: &Connection, before: UnixMs) -> rusqlite::Result<u64> {
    let deleted = conn
        .prepare_cached(
            "DELETE FROM task WHERE id IN (SELECT id FROM task WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2)",
        )?
        .execute((before, as_count(EXPIRED_A_STEP)))?;
    Ok(deleted as u64)
}

/// Whether a task that has not ended sends to a list.
pub(super) fn send_to(conn: &Connection, account: AccountId, list: i64) -> rusqlite::Result<bool> {
    conn.prepare_cached(
        "SELECT 1 FROM task WHERE state < 2 AND account = ?1
         AND EXISTS (SELECT 1 FROM json_each(task.lists) WHERE value = ?2)",
    )?
    .exists((account.0, list))
}

fn task_from(row: &Row<'_>) -> rusqlite::Result<Task> {
    let state: u8 = row.get(7)?;
    Ok(Task {
        id: row.get(0)?,
        account: AccountId(row.get(1)?),
        request: row.get(2)?,
        lists: serde_json::from_str(row.get_ref(3)?.as_str()?).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, Box::new(error))
        })?,
        members: row.get(4)?,
        last_contact: row.get(5)?,
        due: row.get(6)?,
        state: state_from(state).ok_or(rusqlite::Error::IntegralValueOutOfRange(7, i64::from(state)))?,
        progress: TaskProgress {
            list: row.get(8)?,
            contact: row.get(9)?,
            accepted: row.get(10)?,
            refused: row.get(11)?,
        },
        error: row.get(12)?,
        created_at: row.get(13)?,
        ended_at: row.get(14)?,
        ends_at: row.get(15)?,
    })
}

fn state_from(code: u8) -> Option<TaskState> {
    use TaskState::{Cancelled, Done, Failed, Running, Waiting};
    [Waiting, Running, Done, Failed, Cancelled]
        .into_iter()
        .find(|state| *state as u8 == code)
}

/// A task.
pub(super) fn of(conn: &Connection, id: i64) -> rusqlite::Result<Option<Task>> {
    conn.prepare_cached(&format!("SELECT {TASK} FROM task WHERE id = ?1"))?
        .query_row([id], task_from)
        .optional()
}

/// Makes a task, unless its request was done before.
pub(super) fn add_once(
    work: &mut Work<'_>,
    mut new: NewTask,
) -> Result<Result<AddedTask, ContactRefusal>, StoreError> {
    let (account, now) = (new.account, new.now);
    work.tick(now)?;
    let request = new.idempotency.take();
    if let Some(request) = &request
        && let Some(accept::IdempotencyRecord {
            answer, same_body, ..
        }) = accept::earlier(work, account, now, request)?
    {
        return Ok(Ok(AddedTask::Repeat { answer, same_body }));
    }
    let task = match add(work.conn, new).tried("make a task")? {
        Ok(task) => task,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if let Some(request) = request {
        accept::record_idempotent(work, account, now, request, &task, None)?;
    }
    Ok(Ok(AddedTask::New(task)))
}

/// Adds a task for the members that are in its lists now. Without any it has ended at once: it is stored so that its
/// id can be queried.
fn add(conn: &Connection, new: NewTask) -> rusqlite::Result<Result<Task, ContactRefusal>> {
    let NewTask {
        account,
        lists,
        request,
        due,
        ends_at,
        now,
        open_max,
        ..
    } = new;
    let mut members = 0;
    for &list in &lists {
        let Some(list) = contacts::list_of(conn, account, list)? else {
            return Ok(Err(ContactRefusal::NoList));
        };
        members += list.members;
    }
    if lists.is_empty() {
        return Ok(Err(ContactRefusal::NoList));
    }
    if members > 0 && open_of(conn, account)? >= open_max {
        return Ok(Err(ContactRefusal::TasksFull));
    }
    let last_contact = contacts::last_contact(conn)?;
    let (state, ended_at) = if members == 0 {
        (TaskState::Done, Some(now))
    } else {
        (TaskState::Waiting, None)
    };
    let id = conn
        .prepare_cached(
            "INSERT INTO task (account, state, due, at_list, at_contact, accepted, refused, members, last_contact,
                               created_at, ended_at, error, lists, request, ends_at)
             VALUES (?1, ?2, ?3, 0, 0, 0, 0, ?4, ?5, ?6, ?7, '', ?8, ?9, ?10)",
        )?
        .insert((
            account.0,
            state as u8,
            due,
            members,
            last_contact,
            now,
            ended_at,
            serde_json::json!(lists).to_string(),
            &request,
            ends_at,
        ))?;
    Ok(Ok(Task {
        id,
        account,
        request,
        lists,
        members,
        last_contact,
        due,
        ends_at,
        state,
        progress: TaskProgress::default(),
        error: Box::default(),
        created_at: now,
        ended_at,
    }))
}

/// Sets when a task ends, unless it has ended.
pub(super) fn set_end(conn: &Connection, id: i64, ends_at: Option<UnixMs>) -> rusqlite::Result<Option<Task>> {
    let changed = conn
        .prepare_cached("UPDATE task SET ends_at = ?2 WHERE id = ?1 AND state < 2")?
        .execute((id, ends_at))?;
    if changed == 0 {
        return Ok(None);
    }
    of(conn, id)
}

/// Moves a task to another state, and on by a step that accepted nothing.
pub(super) fn change(
    conn: &Connection,
    id: i64,
    state: TaskState,
    step: Option<TaskStep>,
    error: &str,
    now: UnixMs,
) -> rusqlite::Result<Option<Task>> {
    if let Some(step) = step
        && (step.task != id || !advance(conn, &step, 0)?)
    {
        return Ok(None);
    }
    let ended_at = is_ended(state).then_some(now);
    let changed = conn
        .prepare_cached("UPDATE task SET state = ?2, error = ?3, ended_at = ?4 WHERE id = ?1 AND state < 2")?
        .execute((id, state as u8, error, ended_at))?;
    if changed == 0 {
        return Ok(None);
    }
    of(conn, id)
}

fn is_ended(state: TaskState) -> bool {
    !matches!(state, TaskState::Waiting | TaskState::Running)
}
