//! Reading a whole store through: whether what is in it fits together.
//!
//! One read transaction on a connection of its own, so that a node may go on beside it. Memory is bounded: tables are read in
//! the order of their keys and side by side, and what has no common order (counters, indexes) is compared by sums of
//! hashes, a few numbers an hour.

mod counted;
mod indexes;
mod messages;
mod sums;
mod values;

use super::error::Tried;
use super::{SqliteConfig, attempts, open};
use crate::{StoreError, UnixMs};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::Path;
use std::sync::atomic::Ordering;

/// Problems of one part that are listed individually.
const PROBLEMS_MAX: usize = 20;

/// What was looked at of a store, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeepPart {
    /// What it is about.
    pub name: &'static str,
    /// What was looked at, in words.
    pub looked_at: String,
    /// What does not fit, the first ones.
    pub problems: Vec<String>,
    /// How many more there are.
    pub more: u64,
}

impl DeepPart {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            looked_at: String::new(),
            problems: Vec::new(),
            more: 0,
        }
    }

    fn problem(&mut self, what: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(what.into());
        } else {
            self.more += 1;
        }
    }
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeepProgress {
    /// The part under way.
    pub part: &'static str,
    /// Rows of it that were looked at; 0 where SQLite does not count them.
    pub rows: u64,
    /// Rows of it that there are, about; 0 where that is not known.
    pub of: u64,
}

/// Rows between two progress reports of a check.
const PROGRESS_ROWS: u64 = 10_000;

/// One part's work.
type Check<'c> = &'c dyn Fn(&Reading<'_>, &mut DeepPart) -> Result<(), StoreError>;

/// What all parts read.
struct Reading<'r> {
    conn: &'r Connection,
    config: &'r SqliteConfig,
    progress: &'r dyn Fn(DeepProgress),
    /// Messages from this id on are all there: retention removed some before it.
    whole_from: i64,
}

impl Reading<'_> {
    fn report(&self, part: &'static str, rows: u64, of: u64) {
        if rows.is_multiple_of(PROGRESS_ROWS) {
            (self.progress)(DeepPart::progress(part, rows, of));
        }
    }
}

impl DeepPart {
    const fn progress(part: &'static str, rows: u64, of: u64) -> DeepProgress {
        DeepProgress { part, rows, of }
    }
}

/// Reads the store at `path` through, part by part, and calls `progress`.
pub(super) fn check(
    path: &Path,
    config: &SqliteConfig,
    progress: &dyn Fn(DeepProgress),
) -> Result<Vec<DeepPart>, StoreError> {
    let path = open::resolved(path)?;
    match open::schema_version(&path)? {
        Some(found) if found == open::known_version() => {}
        Some(found) => {
            return Err(StoreError::Other(format!(
                "the store has schema {found} and this program checks schema {}: `postrider migrate` first",
                open::known_version()
            )));
        }
        None => return Err(StoreError::Other("there is no store yet".into())),
    }
    let config = config.clone().clamped();
    let conn = open::looking(&path, &config)?;
    // Sorting may take more than memory has.
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = FILE")
        .tried("set up the check")?;
    let snapshot = conn.unchecked_transaction().tried("begin to read")?;
    let parts: [(&'static str, Check<'_>); 9] = [
        ("structure", &structure),
        ("values", &values::check),
        ("messages", &messages::check),
        ("counters", &sums::check_counters),
        ("indexes", &indexes::check),
        ("events", &counted::check_events),
        ("lists", &counted::check_lists),
        ("files", &counted::check_files),
        ("inbound", &counted::check_inbound),
    ];
    let mut done = Vec::new();
    let whole_from = whole_from(&conn);
    for (name, check) in parts {
        let reading = Reading {
            conn: &conn,
            config: &config,
            progress,
            whole_from: whole_from.clone().unwrap_or(i64::MAX),
        };
        progress(DeepPart::progress(name, 0, 0));
        let mut part = DeepPart::new(name);
        if let Err(error) = check(&reading, &mut part) {
            part.problem(format!("it could not be read to its end: {error}"));
        }
        done.push(part);
    }
    // Nothing was written: how it ends is of no account.
    drop(snapshot);
    Ok(done)
}

/// What SQLite says of its own trees, indexes and free pages.
fn structure(reading: &Reading<'_>, part: &mut DeepPart) -> Result<(), StoreError> {
    let conn = reading.conn;
    let pages: u64 = conn
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .tried("count the pages")?;
    part.looked_at = format!("{pages} pages");
    let mut check = conn
        .prepare("PRAGMA integrity_check(100)")
        .tried("check the structure")?;
    let mut rows = check.query([]).tried("check the structure")?;
    while let Some(row) = rows.next().tried("check the structure")? {
        let said: String = row.get(0).tried("check the structure")?;
        if said != "ok" {
            said.lines().for_each(|line| part.problem(line));
        }
    }
    Ok(())
}

/// From which id on no message was removed: retention takes what has ended, from the left edge on.
fn whole_from(conn: &Connection) -> Result<i64, StoreError> {
    // In a store that an earlier release removed from only the last id of then is known.
    conn.query_row(
        "SELECT coalesce((SELECT value FROM meta WHERE key = 'swept_before'),
                         (SELECT value + (value > 0) FROM meta WHERE key = 'id_floor'))",
        [],
        |row| row.get(0),
    )
    .tried("look for what may be gone")
}

/// Whether a node would start on the store: all that a start reads is read, and nothing is kept of it but the newest time.
pub(super) fn would_start(path: &Path, config: &SqliteConfig) -> Result<UnixMs, StoreError> {
    let path = open::resolved(path)?;
    let config = config.clone().clamped();
    let conn = open::looking(&path, &config)?;
    // One that writes from its beginning: a store that may only be read is refused here.
    let trial =
        Transaction::new_unchecked(&conn, TransactionBehavior::Immediate).tried("begin a trial start")?;
    let loaded = super::load::serve(&conn, &config, std::sync::Arc::default());
    trial.rollback().tried("end a trial start")?;
    let (shared, _) = loaded?;
    Ok(shared.meters.newest_at_open.load(Ordering::Relaxed))
}

/// Reads the attempts that are open: which messages are with a carrier.
fn in_flight(conn: &Connection) -> Result<std::collections::HashMap<i64, i64>, StoreError> {
    let open = attempts::open(conn)?;
    Ok(open
        .iter()
        .flat_map(|one| one.messages.iter().map(|&(id, _)| (id.0, one.attempt.0)))
        .collect())
}
