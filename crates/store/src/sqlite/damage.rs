//! Detects what is missing when a store is opened, and reports it until an operator has acknowledged it.
//!
//! Before SQLite opens the store its write-ahead log is read and compared with what was noted as durable
//! ([`super::durable`]). What was found is recorded in a file beside the store (`.damaged`), one line each time,
//! until an operator removes it. A log that may hold more than SQLite will take is copied first, because SQLite
//! overwrites it, and the store is not opened before that file was removed: what is left may contradict itself.

use super::durable::{self, Note, Notes};
use super::error::Tried;
use super::lock::ServerLock;
use super::place::{beside, open_private};
use super::wal::{self, Walked};
use super::{SqliteConfig, checkpoint, load, open};
use crate::StoreError;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Octets read of the file that records damage.
const RECORD_BYTES_MAX: u64 = 64 * 1024;
/// Where the database has its mark.
const MARK: &str = "durable_mark";

/// What was found before the store was opened.
#[derive(Debug, Default)]
pub(super) struct Found {
    note: Option<Note>,
    walked: Walked,
    /// The log has fewer commits than were durable.
    certain: bool,
    /// The log may hold more than SQLite takes: a copy of it is kept before SQLite goes on over it.
    copy_due: bool,
    copy: Option<PathBuf>,
    /// The damage of just this log is acknowledged.
    noted: bool,
}

/// Refuses to make a new store where one was: its note is still there.
///
/// # Errors
/// [`StoreError::Other`] with what to do.
pub(super) fn refuse_a_lost_store(store: &Path) -> Result<(), StoreError> {
    if durable::read(store).is_none() {
        return Ok(());
    }
    let note = beside(store, ".durable");
    let noted = std::fs::metadata(&note).and_then(|file| file.modified()).ok();
    let noted = noted
        .and_then(|time| Timestamp::try_from(time).ok())
        .unwrap_or_default();
    Err(StoreError::Other(format!(
        "the store {path} is gone: it was there at {when}. Put it back, or a backup in its place; to begin with an empty one, \
         remove {note} as well, and move what is left of its log (-wal) away",
        path = store.display(),
        when = format_time(noted.as_millisecond()),
        note = note.display(),
    )))
}

/// Looks at the log of a store that no process serves, before SQLite does. `store` is its resolved path, `schema`
/// what SQLite finds in it.
///
/// A damaged log is copied, and recorded in the file beside the store. Then the store is not opened until an operator
/// has removed that file: pages that were moved into the database before lie beside older ones of the log, so what is
/// left may contradict itself, and what waits in it may have been sent.
///
/// # Errors
/// When a damaged log cannot be copied, for it would be lost; when the damage is not acknowledged; when what the
/// store began with cannot be read.
pub(super) fn look(store: &Path, schema: Option<u32>) -> Result<Found, StoreError> {
    let mut found = inspect(store)?;
    if let Some(why) = lost_beginning(&found, store, schema) {
        return Err(StoreError::Other(why));
    }
    if !found.copy_due {
        return Ok(found);
    }
    let log = beside(store, "-wal");
    let kept = |error: io::Error| {
        StoreError::Unwritable(format!(
            "keep a copy of the damaged write-ahead log {}: {error}. Without one the store is not opened, for that would \
             remove what is left of it: make room on the disk",
            log.display()
        ))
    };
    let copy = name_of_copy(&log, store).map_err(kept)?;
    let is_kept = is_copy(&copy, found.walked.bytes);
    found.copy = Some(copy.clone());
    let record = beside(store, ".damaged");
    if !is_kept {
        // Recorded before the copy is there, because a copy without a record means that the damage was acknowledged.
        let conn = open::looking(store, &SqliteConfig::default())?;
        let store_no = durable::store_no(&load::id_key(&conn)?);
        let note = found.note.filter(|note| note.store == store_no);
        let what = missing(&found, note, mark_in(&conn)?).unwrap_or_default();
        append_record(&record, store, &what).map_err(kept)?;
        copy_to(&copy, &log, store).map_err(kept)?;
    }
    match lines(&record).last() {
        Some(what) => Err(StoreError::Other(format!(
            "the store lacks what was stored before, and is not opened until you have taken note: {what}. What is left may \
             contradict itself, and what waits in it may have been sent already: it would be sent again. Put a backup in its \
             place, or go on with what is there by removing {}: see \"Damaged stores\" in docs/operations.md",
            record.display()
        ))),
        None => {
            found.noted = true;
            Ok(found)
        }
    }
}

/// Why no new tables are made in a store of which SQLite reads none, if it had some: they are in a log that is gone or damaged.
fn lost_beginning(found: &Found, store: &Path, schema: Option<u32>) -> Option<String> {
    let had_tables = found.note.is_some() || found.copy_due;
    (schema.is_none() && had_tables).then(|| {
        format!(
            "nothing of the store {path} can be read: the write-ahead log is damaged, cut or gone, and its tables were in that \
             alone. Nothing was changed. Put a backup in its place; to begin with an empty one, move all its files away ({path}, -wal, \
             -shm, .durable): see \"Damaged stores\" in docs/operations.md",
            path = store.display()
        )
    })
}

/// What a start would report as missing, by the log as it is and by what is in the store: its mark, and its key; a
/// store without a schema has neither. Nothing is changed.
///
/// # Errors
/// When the log cannot be read.
pub(super) fn missing_at_start(
    store: &Path,
    mark: i64,
    id_key: Option<&[u8; 32]>,
) -> Result<Option<String>, StoreError> {
    let found = inspect(store)?;
    if id_key.is_none() {
        return Ok(lost_beginning(&found, store, None));
    }
    let log = beside(store, "-wal");
    let is_noted = found.copy_due
        && name_of_copy(&log, store).is_ok_and(|copy| is_copy(&copy, found.walked.bytes))
        && lines(&beside(store, ".damaged")).is_empty();
    if is_noted {
        return Ok(None);
    }
    let store_no = id_key.map(durable::store_no);
    let note = found.note.filter(|note| Some(note.store) == store_no);
    Ok(missing(&found, note, mark))
}

/// Looks at the log and the note, and changes nothing.
fn inspect(store: &Path) -> Result<Found, StoreError> {
    let path = beside(store, "-wal");
    let note = durable::read(store);
    let walked = match File::open(&path) {
        Ok(file) => wal::walk(&mut BufReader::with_capacity(1 << 18, file)).map_err(|error| {
            StoreError::Unwritable(format!("read the write-ahead log {}: {error}", path.display()))
        })?,
        Err(error) if error.kind() == ErrorKind::NotFound => Walked::default(),
        Err(error) => {
            let what = format!("open the write-ahead log {}: {error}", path.display());
            return Err(StoreError::Unwritable(what));
        }
    };
    let certain = note.is_some_and(|note| walked.salts == Some(note.salts) && walked.committed < note.frames);
    let copy_due = certain || walked.may_lack_commits();
    Ok(Found {
        note,
        walked,
        certain,
        copy_due,
        copy: None,
        noted: false,
    })
}

/// The same for a tool: nothing when a process serves the store.
///
/// # Errors
/// As [`look`].
pub(super) fn look_unless_served(store: &Path, schema: Option<u32>) -> Result<Option<Found>, StoreError> {
    if ServerLock::is_held(store) || !store.exists() {
        return Ok(None);
    }
    let found = look(store, schema)?;
    // A server that started meanwhile has moved the log on.
    Ok((!ServerLock::is_held(store)).then_some(found))
}

/// Where the copy of a log is kept: the same one once only.
fn name_of_copy(log: &Path, store: &Path) -> io::Result<PathBuf> {
    let written = Timestamp::try_from(std::fs::metadata(log)?.modified()?).unwrap_or_default();
    let when = written.strftime("%Y%m%dT%H%M%SZ");
    Ok(beside(store, &format!("-wal.damaged-{when}")))
}

/// Whether a log of so many octets was copied there.
fn is_copy(copy: &Path, bytes: u64) -> bool {
    std::fs::metadata(copy).is_ok_and(|file| file.len() == bytes)
}

fn copy_to(copy: &Path, log: &Path, store: &Path) -> io::Result<()> {
    let mut to = open_private(copy, store)?;
    to.set_len(0)?;
    io::copy(&mut File::open(log)?, &mut to)?;
    to.sync_all()
}

/// The mark in the database, in Unix milliseconds; 0 for one without.
pub(super) fn mark_in(conn: &Connection) -> Result<i64, StoreError> {
    conn.query_row("SELECT value FROM meta WHERE key = ?1", [MARK], |row| row.get(0))
        .optional()
        .tried("read the mark of what is durable")
        .map(Option::unwrap_or_default)
}

/// Stores a mark.
pub(super) fn set_mark(conn: &Connection, mark: i64) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )?
    .execute((MARK, mark))?;
    Ok(())
}

/// Compares what was noted with the store as it was opened, reports what is missing, restarts the log if it is
/// damaged, and begins a new note. Returns where the next notes go.
///
/// # Errors
/// When the mark cannot be read or nothing can be written beside the store.
pub(super) fn settle(
    store: &Path,
    found: Found,
    conn: &Connection,
    id_key: &[u8; 32],
) -> Result<Notes, StoreError> {
    let mark = mark_in(conn)?;
    let store_no = durable::store_no(id_key);
    let note = found.note.filter(|note| note.store == store_no);
    let note_failed =
        |error: io::Error| StoreError::Unwritable(format!("note what is durable beside the store: {error}"));
    let mut notes = Notes::open(store, store_no).map_err(note_failed)?;
    match missing(&found, note, mark) {
        Some(what) if found.noted => {
            tracing::warn!(damage = %what, "store damage acknowledged");
            restart_log(conn);
        }
        Some(what) => {
            let record = beside(store, ".damaged");
            tracing::error!(damage = %what, record = %record.display(), "store lacks committed data");
            append_record(&record, store, &what).map_err(note_failed)?;
        }
        None if note.is_some_and(|note| note.frames > 0) && found.walked.bytes == 0 => {
            tracing::warn!(path = %beside(store, "-wal").display(), "write-ahead log removed by another program");
        }
        None => {}
    }
    let at = note.map_or(mark, |note| note.at);
    notes
        .write(Note {
            mark,
            at,
            ..Note::default()
        })
        .map_err(note_failed)?;
    Ok(notes)
}

/// Restarts the log. SQLite would go on behind the last commit that it takes, over those that are lost. What is left of
/// them there would look like damage after each kill, and the next start would report it again.
fn restart_log(conn: &Connection) {
    match checkpoint::checkpoint(conn, "TRUNCATE") {
        Ok(progress) if progress.log == 0 => {}
        Ok(_) => tracing::warn!(
            reason = "another program reads the store",
            "damaged write-ahead log not restarted"
        ),
        Err(error) => tracing::warn!(reason = %error, "damaged write-ahead log not restarted"),
    }
}

/// What is missing, in words.
fn missing(found: &Found, note: Option<Note>, mark: i64) -> Option<String> {
    let lacks_mark = note.is_some_and(|note| note.mark > mark);
    let Walked {
        bytes,
        salts,
        committed,
        commits_behind,
        ..
    } = found.walked;
    let frames = found.note.map_or(0, |note| note.frames);
    let what = match salts {
        _ if !found.certain && !lacks_mark && !found.copy_due => return None,
        None if bytes == 0 => "the write-ahead log is gone, or the store is an older copy".to_owned(),
        None => {
            format!("the write-ahead log's header is damaged, and nothing of its {bytes} octets can be read")
        }
        Some(_) if found.certain => format!(
            "the write-ahead log is damaged or cut: of {frames} pages that were durable {committed} can be read, and {} cannot",
            frames.saturating_sub(committed)
        ),
        Some(_) if found.copy_due => {
            format!(
                "the write-ahead log is damaged after page {committed}: {commits_behind} commits after it cannot be read"
            )
        }
        Some(_) => "the write-ahead log is another one, or the store is an older copy".to_owned(),
    };
    let span = match note {
        Some(note) if found.certain || lacks_mark => format!(
            "what was committed between {} and {} is missing, all of it or the later part{}",
            format_time(mark),
            format_time(note.at.max(note.mark)),
            if lacks_mark && !found.certain {
                " (as expected after a backup was put in the store's place)"
            } else {
                ""
            }
        ),
        _ => format!("what was committed after {} may be missing", format_time(mark)),
    };
    let copy = found.copy.as_ref();
    let copy = copy.map_or_else(String::new, |copy| {
        format!("; the log as it was is kept in {}", copy.display())
    });
    Some(format!("{what}; {span}{copy}"))
}

/// A time of the store, in words.
pub(super) fn format_time(at: i64) -> String {
    match Timestamp::from_millisecond(at) {
        Ok(time) if at > 0 => time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
        _ => "the beginning".to_owned(),
    }
}

/// Adds a line to the record, unless it ends with the same.
fn append_record(record: &Path, store: &Path, what: &str) -> io::Result<()> {
    if lines(record).last().is_some_and(|last| last.ends_with(what)) {
        return Ok(());
    }
    let mut file = open_private(record, store)?;
    file.seek(SeekFrom::End(0))?;
    writeln!(file, "{} {what}", Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ"))?;
    file.sync_all()
}

/// The first lines of the record of damage, which an operator removes.
pub(super) fn lines(record: &Path) -> Vec<String> {
    let mut text = Vec::new();
    let read = File::open(record).and_then(|file| file.take(RECORD_BYTES_MAX).read_to_end(&mut text));
    match read {
        Ok(_) => String::from_utf8_lossy(&text)
            .lines()
            .map(str::to_owned)
            .collect(),
        Err(_) => Vec::new(),
    }
}
