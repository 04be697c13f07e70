//! Contact lists and their members.
//!
//! A list that is removed is gone with its row; its members are deleted by [`sweep`], some with each group of
//! commands, and what is still to be deleted is in a table, so a kill in between leaves nothing behind.

mod members;

use super::SqliteStore;
use super::codes::as_count;
use super::error::Tried;
use super::pages::{Wanted, walk};
use super::query::snapshot;
use super::readers::ReadPriority;
use super::tasks;
use super::write_task::OverloadPolicy;
use crate::{
    AccountId, AddedTask, Contact, ContactBounds, ContactList, ContactRefusal, Contacts, NewTask, Page,
    PutContact, StoreError, Task, TaskState, TaskStep, UnixMs,
};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row};
use sms::phone::Msisdn;
use std::collections::HashSet;

/// Members of removed lists deleted with one group of commands: a few milliseconds.
const MEMBERS_A_STEP: usize = 500;

const LIST: &str = "id, account, name, description, members, created_at, updated_at";

#[async_trait]
impl Contacts for SqliteStore {
    async fn add_list(
        &self,
        account: AccountId,
        name: Box<str>,
        description: Box<str>,
        now: UnixMs,
        lists_max: u64,
    ) -> Result<Result<ContactList, ContactRefusal>, StoreError> {
        self.submit_write(OverloadPolicy::Shed, 1, move |work| {
            add_list(work.conn, account, name, description, now, lists_max).tried("make a list")
        })
        .await
    }

    async fn change_list(
        &self,
        account: AccountId,
        id: i64,
        name: Option<Box<str>>,
        description: Option<Box<str>>,
        now: UnixMs,
    ) -> Result<Result<ContactList, ContactRefusal>, StoreError> {
        self.submit_write(OverloadPolicy::Shed, 1, move |work| {
            change_list(work.conn, account, id, name, description, now).tried("change a list")
        })
        .await
    }

    async fn remove_list(
        &self,
        account: AccountId,
        id: i64,
    ) -> Result<Result<(), ContactRefusal>, StoreError> {
        self.submit_write(OverloadPolicy::Shed, 1, move |work| {
            remove_list(work.conn, account, id).tried("remove a list")
        })
        .await
    }

    async fn list_named(
        &self,
        account: AccountId,
        name: Box<str>,
    ) -> Result<Option<ContactList>, StoreError> {
        self.readers
            .run(ReadPriority::Query, move |conn| {
                conn.prepare_cached(&format!(
                    "SELECT {LIST} FROM contact_list WHERE account = ?1 AND name = ?2"
                ))
                .and_then(|mut select| select.query_row((account.0, &name), list_from).optional())
                .tried("read a list")
            })
            .await
    }

    async fn lists(
        &self,
        account: AccountId,
        name_contains: Box<str>,
        offset: u64,
        limit: usize,
    ) -> Result<Page<ContactList>, StoreError> {
        self.readers
            .run(ReadPriority::Search, move |conn| {
                let wanted = Wanted::new(&name_contains);
                conn.prepare_cached(&format!(
                    "SELECT {LIST} FROM contact_list WHERE account = ?1 ORDER BY id"
                ))
                .and_then(|mut select| {
                    walk(
                        &mut select,
                        [account.0],
                        "name",
                        &wanted,
                        (offset, limit),
                        list_from,
                    )
                })
                .tried("read lists")
            })
            .await
    }

    async fn put_contacts(
        &self,
        account: AccountId,
        list: i64,
        contacts: Vec<PutContact>,
        now: UnixMs,
        bounds: ContactBounds,
    ) -> Result<Result<Vec<Contact>, ContactRefusal>, StoreError> {
        self.submit_write(OverloadPolicy::Shed, contacts.len(), move |work| {
            members::put(work.conn, account, list, contacts, now, bounds).tried("change members of a list")
        })
        .await
    }

    async fn remove_contact(
        &self,
        account: AccountId,
        list: i64,
        msisdn: Msisdn,
        now: UnixMs,
    ) -> Result<Result<(), ContactRefusal>, StoreError> {
        self.submit_write(OverloadPolicy::Shed, 1, move |work| {
            members::remove(work.conn, account, list, msisdn, now).tried("remove a member")
        })
        .await
    }

    async fn contacts(
        &self,
        account: AccountId,
        list: i64,
        msisdn: Option<Msisdn>,
        name_contains: Box<str>,
        offset: u64,
        limit: usize,
    ) -> Result<Page<Contact>, StoreError> {
        self.readers
            .run(ReadPriority::Search, move |conn| {
                snapshot(conn, || {
                    let wanted = Wanted::new(&name_contains);
                    members::read(conn, (account, list), msisdn, &wanted, offset, limit).tried("read members")
                })
            })
            .await
    }

    async fn contacts_after(
        &self,
        list: i64,
        after: i64,
        last: i64,
        contacts_max: usize,
    ) -> Result<Vec<Contact>, StoreError> {
        self.readers
            .run(ReadPriority::Query, move |conn| {
                conn.prepare_cached(&format!(
                    "SELECT {} FROM contact
                     WHERE list = ?1 AND id > ?2 AND id <= ?3
                       AND EXISTS (SELECT 1 FROM contact_list WHERE contact_list.id = ?1)
                     ORDER BY id LIMIT ?4",
                    members::COLUMNS
                ))
                .and_then(|mut select| {
                    select
                        .query_map((list, after, last, as_count(contacts_max)), members::contact_from)?
                        .collect()
                })
                .tried("read members")
            })
            .await
    }

    async fn members_among(
        &self,
        lists: Vec<i64>,
        last: i64,
        msisdns: Vec<Msisdn>,
    ) -> Result<HashSet<Msisdn>, StoreError> {
        self.readers
            .run(ReadPriority::Query, move |conn| {
                snapshot(conn, || {
                    members::among(conn, &lists, last, &msisdns).tried("look for members of earlier lists")
                })
            })
            .await
    }

    async fn set_task_end(&self, id: i64, ends_at: Option<UnixMs>) -> Result<Option<Task>, StoreError> {
        self.submit_write(OverloadPolicy::Backpressure, 1, move |work| {
            tasks::set_end(work.conn, id, ends_at).tried("set a task's end")
        })
        .await
    }

    async fn add_task(&self, new: NewTask) -> Result<Result<AddedTask, ContactRefusal>, StoreError> {
        self.submit_write(OverloadPolicy::Shed, 1, move |work| tasks::add_once(work, new))
            .await
    }

    async fn task(&self, account: AccountId, id: i64) -> Result<Option<Task>, StoreError> {
        self.readers
            .run(ReadPriority::Query, move |conn| {
                let task = tasks::of(conn, id).tried("read a task")?;
                Ok(task.filter(|task| task.account == account))
            })
            .await
    }

    async fn open_tasks(&self, tasks_max: usize) -> Result<Vec<Task>, StoreError> {
        self.readers
            .run(ReadPriority::Query, move |conn| {
                tasks::open(conn, tasks_max).tried("read open tasks")
            })
            .await
    }

    async fn tasks(&self, before: Option<i64>, tasks_max: usize) -> Result<Vec<Task>, StoreError> {
        self.readers
            .run(ReadPriority::Search, move |conn| {
                tasks::all(conn, before, tasks_max).tried("read tasks")
            })
            .await
    }

    async fn expire_tasks(&self, before: UnixMs) -> Result<u64, StoreError> {
        self.submit_write(OverloadPolicy::Backpressure, 1, move |work| {
            tasks::delete_ended(work.conn, before).tried("delete old tasks")
        })
        .await
    }

    async fn change_task(
        &self,
        id: i64,
        state: TaskState,
        step: Option<TaskStep>,
        error: Box<str>,
        now: UnixMs,
    ) -> Result<Option<Task>, StoreError> {
        self.submit_write(OverloadPolicy::Backpressure, 1, move |work| {
            tasks::change(work.conn, id, state, step, &error, now).tried("change a task")
        })
        .await
    }
}

/// Takes away all lists of an account, as [`Contacts::remove_list`] does each.
pub(super) fn remove_lists_of(conn: &Connection, account: AccountId) -> rusqlite::Result<()> {
    for sql in [
        "INSERT INTO removed_list (id) SELECT id FROM contact_list WHERE account = ?1",
        "DELETE FROM contact_list WHERE account = ?1",
    ] {
        conn.prepare_cached(sql)?.execute([account.0])?;
    }
    Ok(())
}

/// Deletes some members of lists that are gone; true when there are none left.
pub(super) fn sweep(conn: &Connection) -> rusqlite::Result<bool> {
    let list: Option<i64> = conn
        .prepare_cached("SELECT id FROM removed_list ORDER BY id LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(list) = list else { return Ok(true) };
    let deleted = conn
        .prepare_cached(
            "DELETE FROM contact WHERE list = ?1
             AND id IN (SELECT id FROM contact WHERE list = ?1 ORDER BY id LIMIT ?2)",
        )?
        .execute((list, as_count(MEMBERS_A_STEP)))?;
    if deleted < MEMBERS_A_STEP {
        conn.prepare_cached("DELETE FROM removed_list WHERE id = ?1")?
            .execute([list])?;
    }
    Ok(false)
}

fn list_from(row: &Row<'_>) -> rusqlite::Result<ContactList> {
    Ok(ContactList {
        id: row.get(0)?,
        account: AccountId(row.get(1)?),
        name: row.get(2)?,
        description: row.get(3)?,
        members: row.get(4)?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}

/// A list of an account.
pub(super) fn list_of(
    conn: &Connection,
    account: AccountId,
    id: i64,
) -> rusqlite::Result<Option<ContactList>> {
    conn.prepare_cached(&format!(
        "SELECT {LIST} FROM contact_list WHERE id = ?1 AND account = ?2"
    ))?
    .query_row((id, account.0), list_from)
    .optional()
}

/// Whether another list of the account has that name.
fn is_taken(conn: &Connection, account: AccountId, name: &str, but: i64) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM contact_list WHERE account = ?1 AND name = ?2 AND id <> ?3")?
        .exists((account.0, name, but))
}

fn add_list(
    conn: &Connection,
    account: AccountId,
    name: Box<str>,
    description: Box<str>,
    now: UnixMs,
    lists_max: u64,
) -> rusqlite::Result<Result<ContactList, ContactRefusal>> {
    if is_taken(conn, account, &name, 0)? {
        return Ok(Err(ContactRefusal::NameTaken));
    }
    let lists: u64 = conn
        .prepare_cached("SELECT count(*) FROM contact_list WHERE account = ?1")?
        .query_row([account.0], |row| row.get(0))?;
    if lists >= lists_max {
        return Ok(Err(ContactRefusal::Full));
    }
    let id = conn
        .prepare_cached(
            "INSERT INTO contact_list (account, name, description, members, created_at, updated_at)
             VALUES (?1, ?2, ?3, 0, ?4, ?4)",
        )?
        .insert((account.0, &name, &description, now))?;
    Ok(Ok(ContactList {
        id,
        account,
        name,
        description,
        members: 0,
        created_at: now,
        updated_at: now,
    }))
}

fn change_list(
    conn: &Connection,
    account: AccountId,
    id: i64,
    name: Option<Box<str>>,
    description: Option<Box<str>>,
    now: UnixMs,
) -> rusqlite::Result<Result<ContactList, ContactRefusal>> {
    let Some(list) = list_of(conn, account, id)? else {
        return Ok(Err(ContactRefusal::NoList));
    };
    let list = ContactList {
        name: name.unwrap_or(list.name),
        description: description.unwrap_or(list.description),
        updated_at: now,
        ..list
    };
    if is_taken(conn, account, &list.name, id)? {
        return Ok(Err(ContactRefusal::NameTaken));
    }
    conn.prepare_cached(
        "UPDATE contact_list SET name = ?2, description = ?3, updated_at = ?4 WHERE id = ?1",
    )?
    .execute((id, &list.name, &list.description, now))?;
    Ok(Ok(list))
}

fn remove_list(
    conn: &Connection,
    account: AccountId,
    id: i64,
) -> rusqlite::Result<Result<(), ContactRefusal>> {
    if list_of(conn, account, id)?.is_none() {
        return Ok(Err(ContactRefusal::NoList));
    }
    if tasks::send_to(conn, account, id)? {
        return Ok(Err(ContactRefusal::InUse));
    }
    for sql in [
        "DELETE FROM contact_list WHERE id = ?1",
        "INSERT INTO removed_list (id) VALUES (?1)",
    ] {
        conn.prepare_cached(sql)?.execute([id])?;
    }
    Ok(Ok(()))
}

/// How many members more a list has, and when that was.
fn count(conn: &Connection, list: i64, more: i64, now: UnixMs) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE contact_list SET members = members + ?2, updated_at = ?3 WHERE id = ?1")?
        .execute((list, more, now))?;
    Ok(())
}

/// The last id that was given to a member of any list.
pub(super) fn last_contact(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT value FROM meta WHERE key = 'contact_last'")?
        .query_row([], |row| row.get(0))
}
