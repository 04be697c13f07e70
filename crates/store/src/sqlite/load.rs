//! What the writer must know before it can begin.

use super::codes::{ClassCode, Number, capped_key, number_key, request_key};
use super::counters::Counters;
use super::dimensions::DimensionsMap;
use super::error::Tried;
use super::events;
use super::id_clock::{Eras, IdClock};
use super::inbound;
use super::lsm::{Index, Kind, read_log};
use super::memory::{Reserved, Shared, WriterState};
use super::metrics::Meters;
use super::outbox::Wanted;
use super::receipts::Noting;
use super::references::References;
use super::request_time::RequestTime;
use super::shared_ids::SharedIds;
use super::suppressed::Suppressed;
use super::unmatched_receipts::UnmatchedReceipts;
use super::{SqliteConfig, attempts, awaiting};
use crate::{AccountId, CarrierNo, Lane, MessageId, StoreError, UnixMs};
use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Reads everything that is kept in memory. `conn` may write: what a kill left half done is tidied up.
pub(super) fn serve(
    conn: &Connection,
    config: &SqliteConfig,
    meters: Arc<Meters>,
) -> Result<(Shared, WriterState), StoreError> {
    let id_key = id_key(conn)?;
    let indexes = Indexes::load(conn, config, &id_key).tried("load the indexes")?;
    meters.runs.store(indexes.runs, Ordering::Relaxed);
    let last_id_given = MessageId(last_id(conn, "message").tried("read the last message")?);
    let last_request = last_id(conn, "idempotency_record").tried("read the last request")?;
    let eras = Eras::load(conn).tried("read what the clock did")?;
    let Newest {
        id: newest,
        at: newest_at,
    } = Newest::load(conn, &eras).tried("look for the newest time")?;
    meters.newest_at_open.store(newest_at, Ordering::Relaxed);
    meters.ids_ahead_ms.store(eras.ahead_ms(), Ordering::Relaxed);
    let memory = WriterState {
        config: config.clone(),
        id_key,
        last_id: last_id_given,
        last_request,
        queue_seq: Reserved::load(conn, "queue_seq_reserved").tried("read the last place")?,
        attempt: Reserved::load(conn, "attempt_reserved").tried("read the last attempt")?,
        receipts: indexes.receipts,
        requests: indexes.requests,
        shared_ids: indexes.shared_ids,
        unmatched_receipts: UnmatchedReceipts::load(conn).tried("read unmatched receipts")?,
        references: References::with_capacity(config.reference_numbers_max),
        suppressed: Suppressed::load(conn).tried("read suppressions")?,
        noting: Noting::install(conn).tried("set up the writer")?,
        wanted: Wanted::load(conn).tried("read what endpoints want")?,
        dimensions: DimensionsMap::new(),
        counters: Counters::load(conn).tried("read which counters are kept")?,
        event_row: events::last_row(conn).tried("look for the last event")?,
        event_sweep: 0,
        batch: None,
        now: newest_at,
        now_is_fresh: false,
        jumped: None,
        request_time: RequestTime::load(conn, |id| eras.accepted_at(MessageId(id)))
            .tried("read what the clock did to request ids")?,
        id_clock: IdClock::new(eras.clone(), newest.time_part()),
        sweep: MessageId(0),
        dropped: VecDeque::new(),
        requests_since_purge: 0,
    };
    meters
        .unmatched_receipts
        .store(memory.unmatched_receipts.len() as u64, Ordering::Relaxed);
    let delayed: u64 = conn
        .query_row(
            "SELECT coalesce(sum(last_id - first_id + 1), 0) FROM delayed",
            [],
            |row| row.get(0),
        )
        .tried("count what waits for its time")?;
    meters.delayed.store(delayed, Ordering::Relaxed);
    let shared = Shared {
        numbers: RwLock::new(indexes.numbers),
        lanes: Mutex::new(lanes(conn).tried("count what waits")?),
        open: RwLock::new(attempts::spans(&attempts::tidy(conn)?).collect()),
        eras: RwLock::new(eras),
        meters,
        listener: Mutex::default(),
        failed_listener: Mutex::default(),
    };
    Ok((shared, memory))
}

/// What a tool needs to look at messages, as they are now; changes nothing.
pub(super) fn tool(
    conn: &Connection,
    config: &SqliteConfig,
    meters: Arc<Meters>,
) -> Result<Shared, StoreError> {
    super::query::snapshot(conn, || tool_within(conn, config, meters))
}

/// The same within a transaction.
pub(super) fn tool_within(
    conn: &Connection,
    config: &SqliteConfig,
    meters: Arc<Meters>,
) -> Result<Shared, StoreError> {
    let mut numbers =
        Index::load(conn, Kind::Number, config.memtable_entries_max, 0).tried("load the number index")?;
    push_numbers(conn, &mut numbers).tried("load the number index")?;
    let eras = Eras::load(conn).tried("read what the clock did")?;
    let newest = Newest::load(conn, &eras).tried("look for the newest time")?;
    meters.newest_at_open.store(newest.at, Ordering::Relaxed);
    Ok(Shared {
        numbers: RwLock::new(numbers),
        lanes: Mutex::new(lanes(conn).tried("count what waits")?),
        open: RwLock::new(attempts::spans(&attempts::open(conn)?).collect()),
        eras: RwLock::new(eras),
        meters,
        listener: Mutex::default(),
        failed_listener: Mutex::default(),
    })
}

/// Reads the numbers that are given on from where they were, for whoever looks whether they can be read.
pub(super) fn last_numbers(conn: &Connection) -> Result<(), StoreError> {
    last_id(conn, "message").tried("read the last message")?;
    last_id(conn, "idempotency_record").tried("read the last request")?;
    Reserved::load(conn, "queue_seq_reserved").tried("read the last place")?;
    Reserved::load(conn, "attempt_reserved").tried("read the last attempt")?;
    awaiting::newest_at(conn).tried("look for the last submission")?;
    Ok(())
}

/// The newest of all that a store holds.
struct Newest {
    /// Its id, whatever it is.
    id: MessageId,
    /// When it was accepted, received or submitted.
    at: UnixMs,
}

impl Newest {
    fn load(conn: &Connection, eras: &Eras) -> rusqlite::Result<Self> {
        let mut newest = inbound::last_id(conn)?;
        for table in ["message", "idempotency_record"] {
            newest = newest.max(last_id(conn, table)?);
        }
        let id = MessageId(newest);
        Ok(Self {
            id,
            at: eras
                .accepted_at(id)
                .max(awaiting::newest_at(conn)?)
                .max(events::newest_at(conn)?),
        })
    }
}

/// The key made with the store.
pub(super) fn id_key(conn: &Connection) -> Result<[u8; 32], StoreError> {
    let key: Vec<u8> = conn
        .query_row("SELECT value FROM meta WHERE key = 'id_key'", [], |row| {
            row.get(0)
        })
        .tried("read the store's key")?;
    key.try_into()
        .map_err(|_| StoreError::Damaged("the store's key is not 32 octets".into()))
}

/// The last id of a table, or the mark that says it was higher once.
fn last_id(conn: &Connection, table: &str) -> rusqlite::Result<i64> {
    conn.query_row(
        &format!(
            "SELECT max((SELECT coalesce(max(id), 0) FROM {table}),
                        (SELECT value FROM meta WHERE key = 'id_floor'))"
        ),
        [],
        |row| row.get(0),
    )
}

fn lanes(conn: &Connection) -> rusqlite::Result<HashMap<Lane, u64>> {
    conn.prepare(
        "SELECT carrier, class, account, sum(last_id - first_id + 1) FROM queue GROUP BY carrier, class, account",
    )?
    .query_map([], |row| {
        let lane = Lane {
            carrier: CarrierNo(row.get(0)?),
            class: row.get::<_, ClassCode>(1)?.0,
            account: AccountId(row.get(2)?),
        };
        Ok((lane, row.get(3)?))
    })?
    .collect()
}

struct Indexes {
    numbers: Index,
    receipts: Index,
    requests: Index,
    shared_ids: SharedIds,
    runs: u64,
}

impl Indexes {
    fn load(conn: &Connection, config: &SqliteConfig, id_key: &[u8; 32]) -> rusqlite::Result<Self> {
        let load = |kind| -> rusqlite::Result<Index> {
            let index = Index::load(conn, kind, config.memtable_entries_max, config.filter_bytes_max)?;
            index.delete_leftover_pages(conn)?;
            Ok(index)
        };
        let mut indexes = Self {
            numbers: load(Kind::Number)?,
            receipts: load(Kind::Receipt)?,
            requests: load(Kind::Request)?,
            shared_ids: SharedIds::default(),
            runs: 0,
        };
        for index in [&indexes.numbers, &indexes.receipts, &indexes.requests] {
            indexes.runs += index.sorted_runs().len() as u64;
        }
        push_numbers(conn, &mut indexes.numbers)?;
        let Self {
            receipts, shared_ids, ..
        } = &mut indexes;
        read_log(conn, |entry| {
            let before = receipts.memtable().push(entry.key, entry.id);
            shared_ids.note(entry.key, before.map(MessageId), MessageId(entry.id), 0);
        })?;
        push_requests(conn, &mut indexes.requests, id_key)?;
        Ok(indexes)
    }
}

/// Numbers of messages that are in no sealed run.
fn push_numbers(conn: &Connection, numbers: &mut Index) -> rusqlite::Result<()> {
    let last_sealed = numbers.flushed_last_id();
    let mut select = conn.prepare(
        "SELECT m.id, m.msisdn, m.failure IS NULL AND b.capped, b.account
         FROM message m JOIN batch b
           ON b.first_id = (SELECT max(first_id) FROM batch WHERE first_id <= m.id)
         WHERE m.id > ?1 ORDER BY m.id",
    )?;
    let mut rows = select.query([last_sealed])?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        let msisdn = row.get::<_, Number>(1)?.0;
        if row.get(2)? {
            numbers
                .memtable()
                .push(capped_key(AccountId(row.get(3)?), msisdn), id);
        }
        numbers.memtable().push(number_key(msisdn), id);
    }
    Ok(())
}

/// Requests that are in no sealed run.
pub(super) fn push_requests(
    conn: &Connection,
    requests: &mut Index,
    id_key: &[u8; 32],
) -> rusqlite::Result<()> {
    let last_sealed = requests.flushed_last_id();
    let mut select =
        conn.prepare("SELECT id, account, scope, key FROM idempotency_record WHERE id > ?1 ORDER BY id")?;
    let mut rows = select.query([last_sealed])?;
    while let Some(row) = rows.next()? {
        let account = AccountId(row.get(1)?);
        let key = request_key(
            id_key,
            account,
            row.get_ref(2)?.as_str()?,
            row.get_ref(3)?.as_str()?,
        );
        requests.memtable().push(key, row.get(0)?);
    }
    Ok(())
}
