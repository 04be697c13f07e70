//! The members of contact lists.

use super::{count, last_contact, list_of};
use crate::sqlite::codes::{Number, as_count, written_from_sql, written_to_sql};
use crate::sqlite::pages::{Wanted, walk};
use crate::{AccountId, Contact, ContactBounds, ContactList, ContactRefusal, Page, PutContact, UnixMs};
use rusqlite::{Connection, OptionalExtension, Row};
use sms::phone::Msisdn;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

/// The columns of [`contact_from`], in its order.
pub(super) const COLUMNS: &str = "id, list, msisdn, written, user_name, vars, created_at, updated_at";

/// Those of the numbers that are members of a list, with an id up to `last`.
pub(super) fn among(
    conn: &Connection,
    lists: &[i64],
    last: i64,
    msisdns: &[Msisdn],
) -> rusqlite::Result<HashSet<Msisdn>> {
    let mut select =
        conn.prepare_cached("SELECT 1 FROM contact WHERE list = ?1 AND msisdn = ?2 AND id <= ?3")?;
    let mut found = HashSet::new();
    for &msisdn in msisdns {
        for list in lists {
            if select.exists((list, Number(msisdn), last))? {
                found.insert(msisdn);
                break;
            }
        }
    }
    Ok(found)
}

pub(super) fn contact_from(row: &Row<'_>) -> rusqlite::Result<Contact> {
    let msisdn = row.get::<_, Number>(2)?.0;
    Ok(Contact {
        id: row.get(0)?,
        list: row.get(1)?,
        msisdn,
        written: written_from_sql(row.get_ref(3)?, msisdn)?,
        user_name: row.get(4)?,
        vars: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
    })
}

fn contact_of(conn: &Connection, list: i64, msisdn: Msisdn) -> rusqlite::Result<Option<Contact>> {
    conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM contact WHERE list = ?1 AND msisdn = ?2"
    ))?
    .query_row((list, Number(msisdn)), contact_from)
    .optional()
}

/// Members of all lists of an account. Each list knows its own number.
fn of_account(conn: &Connection, account: AccountId) -> rusqlite::Result<u64> {
    conn.prepare_cached("SELECT coalesce(sum(members), 0) FROM contact_list WHERE account = ?1")?
        .query_row([account.0], |row| row.get(0))
}

pub(super) fn put(
    conn: &Connection,
    account: AccountId,
    list: i64,
    puts: Vec<PutContact>,
    now: UnixMs,
    bounds: ContactBounds,
) -> rusqlite::Result<Result<Vec<Contact>, ContactRefusal>> {
    let Some(ContactList { members, .. }) = list_of(conn, account, list)? else {
        return Ok(Err(ContactRefusal::NoList));
    };
    let numbers: Vec<Msisdn> = puts.iter().map(|put| put.msisdn).collect();
    let last = last_contact(conn)?;
    let mut next = last;
    let mut changed: HashMap<Msisdn, Contact> = HashMap::with_capacity(puts.len());
    for put in puts {
        let contact = match changed.entry(put.msisdn) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let contact = match contact_of(conn, list, put.msisdn)? {
                    Some(contact) => contact,
                    None => {
                        next += 1;
                        Contact {
                            id: next,
                            list,
                            msisdn: put.msisdn,
                            written: Box::default(),
                            user_name: Box::default(),
                            vars: "{}".into(),
                            created_at: now,
                            updated_at: now,
                        }
                    }
                };
                entry.insert(contact)
            }
        };
        contact.written = put.written;
        contact.user_name = put
            .user_name
            .unwrap_or_else(|| std::mem::take(&mut contact.user_name));
        contact.vars = put.vars.unwrap_or_else(|| std::mem::take(&mut contact.vars));
        contact.updated_at = now;
    }
    let more = next - last;
    if more > 0 && members.saturating_add_signed(more) > bounds.list_max {
        return Ok(Err(ContactRefusal::Full));
    }
    if more > 0 && of_account(conn, account)?.saturating_add_signed(more) > bounds.account_max {
        return Ok(Err(ContactRefusal::AccountFull));
    }
    write(conn, changed.values())?;
    if more > 0 {
        conn.prepare_cached("UPDATE meta SET value = ?1 WHERE key = 'contact_last'")?
            .execute([next])?;
    }
    count(conn, list, more, now)?;
    Ok(Ok(numbers
        .iter()
        .filter_map(|number| changed.get(number).cloned())
        .collect()))
}

/// Writes members as they are now, in the order of their ids: new ones lie at the right edge.
fn write<'c>(conn: &Connection, contacts: impl Iterator<Item = &'c Contact>) -> rusqlite::Result<()> {
    let mut contacts: Vec<&Contact> = contacts.collect();
    contacts.sort_unstable_by_key(|contact| contact.id);
    let mut upsert = conn.prepare_cached(
        "INSERT INTO contact (list, id, msisdn, written, user_name, vars, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (list, id) DO UPDATE SET written = excluded.written, user_name = excluded.user_name,
             vars = excluded.vars, updated_at = excluded.updated_at",
    )?;
    for contact in contacts {
        upsert.execute((
            contact.list,
            contact.id,
            Number(contact.msisdn),
            written_to_sql(&contact.written, contact.msisdn),
            &contact.user_name,
            &contact.vars,
            contact.created_at,
            contact.updated_at,
        ))?;
    }
    Ok(())
}

pub(super) fn remove(
    conn: &Connection,
    account: AccountId,
    list: i64,
    msisdn: Msisdn,
    now: UnixMs,
) -> rusqlite::Result<Result<(), ContactRefusal>> {
    if list_of(conn, account, list)?.is_none() {
        return Ok(Err(ContactRefusal::NoList));
    }
    let removed = conn
        .prepare_cached("DELETE FROM contact WHERE list = ?1 AND msisdn = ?2")?
        .execute((list, Number(msisdn)))?;
    if removed == 0 {
        return Ok(Err(ContactRefusal::NoMember));
    }
    count(conn, list, -1, now)?;
    Ok(Ok(()))
}

pub(super) fn read(
    conn: &Connection,
    (account, list): (AccountId, i64),
    msisdn: Option<Msisdn>,
    wanted: &Wanted,
    offset: u64,
    limit: usize,
) -> rusqlite::Result<Page<Contact>> {
    let Some(ContactList { members, .. }) = list_of(conn, account, list)? else {
        return Ok(Page {
            items: Vec::new(),
            total: 0,
        });
    };
    if let Some(msisdn) = msisdn {
        let contact = contact_of(conn, list, msisdn)?;
        let contact = contact.filter(|contact| wanted.is_in(&contact.user_name));
        let total = u64::from(contact.is_some());
        let items = contact.into_iter().filter(|_| offset == 0).take(limit).collect();
        return Ok(Page { items, total });
    }
    if !wanted.is_any() {
        let mut select = conn.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM contact WHERE list = ?1 ORDER BY id"
        ))?;
        return walk(
            &mut select,
            [list],
            "user_name",
            wanted,
            (offset, limit),
            contact_from,
        );
    }
    let items = conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM contact WHERE list = ?1 ORDER BY id LIMIT ?3 OFFSET ?2"
        ))?
        .query_map(
            (list, i64::try_from(offset).unwrap_or(i64::MAX), as_count(limit)),
            contact_from,
        )?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Page {
        items,
        total: members,
    })
}
