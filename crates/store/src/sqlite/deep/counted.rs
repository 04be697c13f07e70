//! Events, retries, lists, files and inbound messages: counts and sums stored beside their rows.

use super::{DeepPart, Reading};
use crate::sqlite::error::Tried;
use crate::sqlite::inbound::WEIGHT;
use crate::sqlite::outbox_codec;
use crate::{EventKinds, StoreError};

const TRIED: &str = "read the events through";

pub(super) fn check_events(reading: &Reading<'_>, part: &mut DeepPart) -> Result<(), StoreError> {
    let conn = reading.conn;
    let mut select = conn
        .prepare("SELECT row, at, kinds, count, entries, coalesce(written_at, at) FROM outbox ORDER BY row")
        .tried(TRIED)?;
    let mut rows = select.query([]).tried(TRIED)?;
    let (mut looked_at, mut events, mut before) = (0, 0u64, i64::MIN);
    while let Some(row) = rows.next().tried(TRIED)? {
        looked_at += 1;
        reading.report(part.name, looked_at, 0);
        let no: i64 = row.get(0).tried(TRIED)?;
        let (at, kinds, count): (i64, i64, u64) = (
            row.get(1).tried(TRIED)?,
            row.get(2).tried(TRIED)?,
            row.get(3).tried(TRIED)?,
        );
        // Before it was lowered because the clock had been ahead.
        let written_at: i64 = row.get(5).tried(TRIED)?;
        let Ok(octets) = row.get_ref(4).tried(TRIED)?.as_blob() else {
            part.problem(format!("row {no} of the events has none"));
            continue;
        };
        let (mut found, mut found_kinds, mut is_whole) = (0, EventKinds::NONE, at <= written_at);
        for event in outbox_codec::Reader::new(no, octets) {
            match event {
                Ok(event) => {
                    found += 1;
                    found_kinds = found_kinds | event.what.kind();
                    is_whole &= event.at <= written_at;
                }
                Err(_) => is_whole = false,
            }
        }
        events += found;
        if !is_whole || found != count || i64::from(found_kinds.0) != kinds {
            part.problem(format!(
                "row {no} of the events is not what it says it is: {found} of {count} events read"
            ));
        }
        if at < before {
            part.problem(format!("row {no} of the events is older than the one before it"));
        }
        before = at;
    }
    let calls = calls(reading, part)?;
    part.looked_at = format!("{events} events in {looked_at} rows, {calls} calls to retry");
    Ok(())
}

/// Retries, and their stored counts.
fn calls(reading: &Reading<'_>, part: &mut DeepPart) -> Result<u64, StoreError> {
    let conn = reading.conn;
    let mut select = conn
        .prepare("SELECT endpoint, seq, events FROM delivery_retry")
        .tried(TRIED)?;
    let mut rows = select.query([]).tried(TRIED)?;
    let mut looked_at = 0;
    while let Some(row) = rows.next().tried(TRIED)? {
        looked_at += 1;
        let octets = row.get_ref(2).tried(TRIED)?.as_blob();
        if !octets.is_ok_and(|octets| outbox_codec::decode(octets).is_ok()) {
            let (endpoint, no): (i64, i64) = (row.get(0).tried(TRIED)?, row.get(1).tried(TRIED)?);
            part.problem(format!("retry {no} of webhook {endpoint} cannot be read"));
        }
    }
    let wrong: i64 = conn
        .query_row(
            "SELECT count(*) FROM endpoint_state s WHERE
                 s.waiting <> (SELECT count(*) FROM delivery_retry r WHERE r.endpoint = s.endpoint AND r.dead_at IS NULL)
                 OR s.dead <> (SELECT count(*) FROM delivery_retry r WHERE r.endpoint = s.endpoint AND r.dead_at IS NOT NULL)",
            [],
            |row| row.get(0),
        )
        .tried(TRIED)?;
    if wrong > 0 {
        part.problem(format!(
            "{wrong} webhooks have other numbers of retries than are counted"
        ));
    }
    Ok(looked_at)
}

pub(super) fn check_lists(reading: &Reading<'_>, part: &mut DeepPart) -> Result<(), StoreError> {
    const TRIED: &str = "read the lists through";
    let conn = reading.conn;
    let mut select = conn
        .prepare("SELECT l.id, l.members, (SELECT count(*) FROM contact c WHERE c.list = l.id) FROM contact_list l")
        .tried(TRIED)?;
    let mut rows = select.query([]).tried(TRIED)?;
    let (mut lists, mut members) = (0, 0);
    while let Some(row) = rows.next().tried(TRIED)? {
        let (id, counted, found): (i64, i64, i64) = (
            row.get(0).tried(TRIED)?,
            row.get(1).tried(TRIED)?,
            row.get(2).tried(TRIED)?,
        );
        (lists, members) = (lists + 1, members + found);
        if counted != found {
            part.problem(format!("list {id} says {counted} members and has {found}"));
        }
    }
    let lost: i64 = conn
        .query_row(
            "SELECT count(*) FROM contact WHERE list NOT IN (SELECT id FROM contact_list)
             AND list NOT IN (SELECT id FROM removed_list)",
            [],
            |row| row.get(0),
        )
        .tried(TRIED)?;
    if lost > 0 {
        part.problem(format!("{lost} members are in no list"));
    }
    part.looked_at = format!("{lists} lists, {members} members");
    Ok(())
}

/// What accounts keep as files, against what is counted of it: what they may keep goes by that.
pub(super) fn check_files(reading: &Reading<'_>, part: &mut DeepPart) -> Result<(), StoreError> {
    const TRIED: &str = "read the files through";
    let mut select = reading
        .conn
        .prepare(
            "SELECT account, sum(counted), sum(found), sum(files) FROM
                 (SELECT account, data_octets AS counted, 0 AS found, 0 AS files FROM account_usage
                  UNION ALL
                  SELECT account, 0, sum(length(data)), sum(length(data) > 0) FROM record GROUP BY account)
             GROUP BY account ORDER BY account",
        )
        .tried(TRIED)?;
    let mut rows = select.query([]).tried(TRIED)?;
    let (mut files, mut octets) = (0, 0);
    while let Some(row) = rows.next().tried(TRIED)? {
        let read = |n| row.get::<_, i64>(n).tried(TRIED);
        let (account, counted, found) = (read(0)?, read(1)?, read(2)?);
        (files, octets) = (files + read(3)?, octets + found);
        if counted != found {
            part.problem(format!(
                "the files of account {account} are counted as {counted} octets and have {found}"
            ));
        }
    }
    part.looked_at = format!("{files} files, {octets} octets");
    Ok(())
}

/// Inbound messages that no account owns, against their stored count: the bound on them goes by that.
pub(super) fn check_inbound(reading: &Reading<'_>, part: &mut DeepPart) -> Result<(), StoreError> {
    const TRIED: &str = "read the inbound messages through";
    let select = format!(
        "SELECT count(*), coalesce(sum({WEIGHT}), 0), (SELECT value FROM meta WHERE key = 'inbound_unassigned')
         FROM inbound NOT INDEXED WHERE account IS NULL"
    );
    let (messages, found, counted): (i64, i64, Option<i64>) = reading
        .conn
        .query_row(&select, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .tried(TRIED)?;
    // A missing value is reported with the values.
    if let Some(counted) = counted
        && counted != found
    {
        part.problem(format!(
            "the inbound messages that no account owns are counted as {counted} and count for {found}"
        ));
    }
    part.looked_at = format!("{messages} messages that no account owns");
    Ok(())
}
