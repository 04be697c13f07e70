//! Whether the store's files are still those that were opened.
//!
//! SQLite goes on with files that were removed, replaced or cut, and what it stores then is gone with the process. So the
//! files are looked at by name (`stat`, which opens nothing: closing the database file anywhere in the process would drop
//! SQLite's locks) around each group of commands, before each checkpoint, and twice a second. What is found is for good:
//! nothing is accepted any more, and the process stays, for it holds what can be saved.

use super::SqliteConfig;
use super::commands::{Command, Commands};
use super::durable::{Note, Notes};
use super::lock::ServerLock;
use super::metrics::Meters;
use super::place::beside;
use super::wal::{self, FrameHeader, HEADER_BYTES, Header};
use crate::{Failure, StoreError};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 2 } else { 400 });
/// Between two marks in the database.
const MARK_PAUSE: Duration = Duration::from_secs(1);
/// The wording for a file that was truncated in its place: then there is no other copy of what it had.
const CUT: &str = "was cut";
/// Between two lines of the log about files that are gone.
const REMIND: Duration = Duration::from_secs(60);

/// A file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Inode(u64, u64);

impl From<&Metadata> for Inode {
    fn from(file: &Metadata) -> Self {
        Self(file.dev(), file.ino())
    }
}

#[derive(Debug)]
struct Known {
    store: Inode,
    /// The longest it was: it never becomes shorter but by `VACUUM`.
    store_bytes: u64,
    /// Absent until the first look that finds it.
    wal: Option<Inode>,
}

/// What the last commit left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Committed {
    /// Frames in the log.
    frames: u32,
    mark: i64,
    at: i64,
}

/// The thread that looks.
#[derive(Debug, Default)]
struct Thread {
    runs: bool,
    /// It is to end.
    closed: bool,
}

/// The watch over the files of a store that is served.
#[derive(Debug)]
pub(super) struct Watch {
    store: PathBuf,
    wal: PathBuf,
    page_size: u32,
    known: Mutex<Known>,
    lost: OnceLock<String>,
    /// From SQLite's hook after each commit; 0 once it was read.
    frames: Arc<AtomicU32>,
    committed: Mutex<Committed>,
    marked: Mutex<Option<Instant>>,
    thread: (Mutex<Thread>, Condvar),
    lock: Arc<ServerLock>,
    meters: Arc<Meters>,
}

impl Watch {
    /// Watches what `conn` has opened. `store` is the store's resolved path, `mark` the mark in it.
    pub(super) fn begin(
        store: &Path,
        conn: &mut Connection,
        mark: i64,
        lock: Arc<ServerLock>,
        meters: Arc<Meters>,
    ) -> Result<Self, StoreError> {
        use super::error::Tried;
        let about = std::fs::metadata(store).map_err(|error| {
            StoreError::Unwritable(format!("look at the store {}: {error}", store.display()))
        })?;
        let page_size = conn
            .query_row("PRAGMA page_size", [], |row| row.get(0))
            .tried("read the size of a page")?;
        let frames = Arc::new(AtomicU32::new(0));
        let hook_frames = Arc::clone(&frames);
        conn.wal_hook(Some(move |_: &mut _, pages: std::ffi::c_int| {
            hook_frames.store(pages.unsigned_abs(), Ordering::Relaxed);
            Ok(())
        }))
        .tried("follow the write-ahead log")?;
        let wal = beside(store, "-wal");
        Ok(Self {
            known: Mutex::new(Known {
                store: Inode::from(&about),
                store_bytes: about.len(),
                wal: std::fs::metadata(&wal).ok().as_ref().map(Inode::from),
            }),
            store: store.to_owned(),
            wal,
            page_size,
            lost: OnceLock::new(),
            frames,
            committed: Mutex::new(Committed {
                mark,
                ..Committed::default()
            }),
            marked: Mutex::default(),
            thread: Default::default(),
            lock,
            meters,
        })
    }

    /// Why nothing can be stored any more, if that is so.
    pub(super) fn lost(&self) -> Option<&str> {
        self.lost.get().map(String::as_str)
    }

    /// The same as an error for commands.
    pub(super) fn refusal(&self) -> Option<StoreError> {
        self.lost().map(|why| StoreError::Unwritable(why.to_owned()))
    }

    /// Looks before a group; true when the log is shorter than the last commit left it.
    ///
    /// # Errors
    /// Why nothing can be stored any more.
    pub(super) fn before_group(&self, conn: &Connection) -> Result<bool, StoreError> {
        let is_short = self.is_log_short(|| pages_of(conn));
        self.refusal().map_or(Ok(is_short), Err)
    }

    /// Looks; whether the log is shorter than the last commit left it.
    fn is_log_short(&self, pages: impl FnOnce() -> Option<u64>) -> bool {
        let frames = self.committed.lock().frames;
        let found = self.look(pages);
        frames > 0 && found.is_some_and(|found| found < Header::bytes_of(self.page_size, frames))
    }

    /// Looks before pages are moved into the database file.
    ///
    /// # Errors
    /// Why nothing can be stored any more.
    pub(super) fn before_checkpoint(&self, conn: &Connection) -> Result<(), StoreError> {
        self.look(|| pages_of(conn));
        self.refusal().map_or(Ok(()), Err)
    }

    /// Looks after a commit, before it is answered. `was_short` is what [`Self::before_group`] said: a checkpoint of
    /// another program may have restarted the log, and then the commit is at its beginning.
    ///
    /// # Errors
    /// Why what was committed is not stored.
    pub(super) fn after_commit(
        &self,
        conn: &Connection,
        was_short: bool,
        mark: Option<i64>,
        at: i64,
    ) -> Result<(), StoreError> {
        let frames = self.frames.swap(0, Ordering::Relaxed);
        if frames == 0 {
            // Nothing was written.
            self.look(|| pages_of(conn));
            return self.refusal().map_or(Ok(()), Err);
        }
        {
            let mut committed = self.committed.lock();
            *committed = Committed {
                frames,
                mark: mark.unwrap_or(committed.mark),
                at,
            };
        }
        let cut = (self.is_log_short(|| pages_of(conn)) || was_short) && !self.log_has(frames);
        if cut {
            self.declare(format!("{} {CUT} while it was in use", self.wal.display()));
        }
        self.refusal().map_or(Ok(()), Err)
    }

    /// Whether the log can be read up to a frame that was committed. Only called where the log is shorter than it
    /// was: then it was cut, which leaves a hole, or it was restarted and is short.
    fn log_has(&self, frames: u32) -> bool {
        // SQLite has no locks on the log: it may be opened and closed. What cannot be read is no proof.
        File::open(&self.wal)
            .and_then(|file| wal::walk(&mut BufReader::new(file)))
            .map_or(true, |walked| walked.committed >= frames)
    }

    /// The mark to be stored with this group, if it is time for one. `now` is in Unix milliseconds.
    pub(super) fn mark_due(&self, now: i64) -> Option<i64> {
        let mut marked = self.marked.lock();
        if marked.is_some_and(|at| at.elapsed() < MARK_PAUSE) {
            return None;
        }
        *marked = Some(Instant::now());
        Some(now.max(self.committed.lock().mark + 1))
    }

    /// Looks at the files; how long the log is. `pages` returns how many pages the database has.
    fn look(&self, pages: impl FnOnce() -> Option<u64>) -> Option<u64> {
        if self.lost().is_some() {
            return None;
        }
        match self.found(pages) {
            Ok(wal_bytes) => wal_bytes,
            Err(why) => {
                self.declare(why);
                None
            }
        }
    }

    fn found(&self, pages: impl FnOnce() -> Option<u64>) -> Result<Option<u64>, String> {
        let mut known = self.known.lock();
        if let Some(store) = stat(&self.store)? {
            if Inode::from(&store) != known.store {
                return Err(format!(
                    "another file is in the place of {}",
                    self.store.display()
                ));
            }
            if store.len() < known.store_bytes {
                // Another program's VACUUM makes it shorter than it was: then it has fewer pages as well.
                let pages = pages().unwrap_or(u64::MAX);
                if pages.saturating_mul(u64::from(self.page_size)) >= known.store_bytes {
                    return Err(format!(
                        "{} {CUT}: from {} to {} octets",
                        self.store.display(),
                        known.store_bytes,
                        store.len()
                    ));
                }
            }
            known.store_bytes = store.len();
            self.count_names(store.nlink());
        }
        self.lock.keep()?;
        let Some(wal) = stat(&self.wal)? else {
            return Ok(None);
        };
        let inode = Inode::from(&wal);
        if *known.wal.get_or_insert(inode) != inode {
            return Err(format!("another file is in the place of {}", self.wal.display()));
        }
        Ok(Some(wal.len()))
    }

    /// Another name given to the store while it is served takes nothing away, and the next start refuses it.
    fn count_names(&self, names: u64) {
        let before = self.meters.names.swap(names, Ordering::Relaxed);
        if names > 1 && before != names {
            tracing::error!(
                path = %self.store.display(),
                names,
                what_to_do = "remove the other name, by which a second process would see neither the lock nor the write-ahead \
                              log: the next start refuses the store; for a copy, use SQLite's own means",
                "store has another hard link"
            );
        } else if before > 1 && names == 1 {
            tracing::info!(path = %self.store.display(), "store has one hard link again");
        }
    }

    fn declare(&self, why: String) {
        let why = self.lost.get_or_init(|| {
            self.meters.lost.store(1, Ordering::Relaxed);
            why
        });
        tracing::error!(
            reason = %why,
            what_to_do = %self.rescue(why),
            "store files lost"
        );
    }

    /// What to do, with the descriptors through which the files can still be read.
    fn rescue(&self, why: &str) -> String {
        let known = self.known.try_lock_for(Duration::from_secs(1));
        let files = known.map_or((None, None), |known| (Some(known.store), known.wal));
        let pid = std::process::id();
        let copies: Vec<String> = [(files.0, &self.store), (files.1, &self.wal)]
            .into_iter()
            .filter_map(|(inode, path)| {
                let descriptor = descriptor_of(inode?)?;
                let name = path
                    .file_name()?
                    .to_string_lossy()
                    .replacen(".db", ".saved.db", 1);
                Some(format!("cp /proc/{pid}/fd/{descriptor} {name}"))
            })
            .collect();
        if why.contains(CUT) {
            return format!(
                "what was cut off is gone, for this process too: a copy (`{}`) has what is left, and is no whole store. Keep one, \
                 stop the node, and put a backup in the store's place: see docs/operations.md",
                copies.join(" && ")
            );
        }
        format!(
            "this process still holds what was stored: before it is stopped, copy it (`{}`), or move the files back where they \
             were; then stop the node, put the copies in the store's place, and start it: see docs/operations.md",
            copies.join(" && ")
        )
    }

    /// Ends the thread, and returns once it looks no more: what is closed after that may move and remove the log.
    pub(super) fn stop(&self) {
        let (thread, changed) = &self.thread;
        let mut thread = thread.lock();
        thread.closed = true;
        changed.notify_all();
        changed.wait_while(&mut thread, |thread| thread.runs);
    }

    /// Waits for the next look; false once it is to end.
    fn pause(&self) -> bool {
        let (thread, changed) = &self.thread;
        let mut thread = thread.lock();
        changed.wait_while_for(&mut thread, |thread| !thread.closed, PAUSE);
        !thread.closed
    }

    /// What is durable now, for a note; `None` when the log has just been restarted.
    fn note(&self, wal: &mut Option<File>) -> io::Result<Option<Note>> {
        let committed = *self.committed.lock();
        let mut note = Note {
            mark: committed.mark,
            at: committed.at,
            ..Note::default()
        };
        if committed.frames == 0 {
            return Ok(Some(note));
        }
        // SQLite has no locks on the log: it may be opened and closed.
        let file = match wal {
            Some(file) => file,
            None => wal.insert(File::open(&self.wal)?),
        };
        let (mut header, mut frame) = ([0; HEADER_BYTES as usize], [0; 24]);
        file.read_exact_at(&mut header, 0)?;
        file.read_exact_at(&mut frame, Header::bytes_of(self.page_size, committed.frames - 1))?;
        let frame = FrameHeader::parse(&frame);
        let Some(header) = Header::parse(&header) else {
            return Ok(None);
        };
        if frame.salts != header.salts || !frame.is_commit() {
            return Ok(None);
        }
        note.salts = header.salts;
        note.frames = committed.frames;
        Ok(Some(note))
    }

    /// Notes, after the store was closed, that the log is in the database.
    pub(super) fn write_last(&self, notes: &mut Notes) {
        if self.lost().is_some() {
            return;
        }
        let committed = *self.committed.lock();
        let note = Note {
            mark: committed.mark,
            at: committed.at,
            ..Note::default()
        };
        if let Err(error) = notes.write(note) {
            tracing::warn!(%error, "durability note not written");
        }
    }
}

/// About a file; `None` when nothing can be said of it.
fn stat(path: &Path) -> Result<Option<Metadata>, String> {
    match std::fs::symlink_metadata(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(format!("{} is gone", path.display()))
        }
        // That says nothing of the file.
        Err(_) => Ok(None),
    }
}

/// Pages of the database as the connection sees it, those in the log included.
fn pages_of(conn: &Connection) -> Option<u64> {
    conn.query_row("PRAGMA page_count", [], |row| row.get(0)).ok()
}

/// A descriptor of this process for a file.
fn descriptor_of(file: Inode) -> Option<String> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    entries.flatten().find_map(|entry| {
        let about = std::fs::metadata(entry.path()).ok()?;
        (Inode::from(&about) == file).then(|| entry.file_name().to_string_lossy().into_owned())
    })
}

/// The thread that looks at the files while nothing is stored, and notes what is durable. Its end is the notes.
pub(super) fn spawn(
    watch: Arc<Watch>,
    mut notes: Notes,
    commands: Arc<Commands>,
    config: &SqliteConfig,
    failure: Failure,
) -> Result<JoinHandle<Notes>, StoreError> {
    let config = config.clone();
    watch.thread.0.lock().runs = true;
    let ended = Ended(Arc::clone(&watch), failure);
    Builder::new()
        .name("store-watch".into())
        .spawn(move || {
            let _ended = ended;
            run(&watch, &mut notes, &commands, &config);
            notes
        })
        .map_err(|error| StoreError::Other(format!("start the thread that watches the files: {error}")))
}

fn run(watch: &Watch, notes: &mut Notes, commands: &Commands, config: &SqliteConfig) {
    let mut wal = None;
    let mut reminded: Option<Instant> = None;
    let mut note_failed = false;
    while watch.pause() {
        if watch.is_log_short(|| pages_of(&super::open::reading(&watch.store, config).ok()?)) {
            // Cut, or written back by another program: the position of the next commit shows which. A full queue is
            // as good, because then there are commits.
            let (reply, _) = oneshot::channel();
            let _busy = commands.offer(Command::Probe(reply));
        }
        if let Some(why) = watch.lost() {
            let last = *reminded.get_or_insert_with(Instant::now);
            if last.elapsed() > REMIND {
                reminded = Some(Instant::now());
                tracing::error!(reason = %why, what_to_do = %watch.rescue(why), "store files lost");
            }
            continue;
        }
        let noted = watch
            .note(&mut wal)
            .and_then(|note| note.map_or(Ok(()), |note| notes.write(note)));
        match noted {
            Ok(()) => note_failed = false,
            // Less is noticed at the next start. A full disk gets better.
            Err(error) if !note_failed => {
                note_failed = true;
                tracing::warn!(%error, "durability note not written");
            }
            Err(_) => {}
        }
    }
}

/// However the thread ends, nobody waits for it in vain. Without it files that are gone would be noticed with the next
/// commit only.
struct Ended(Arc<Watch>, Failure);

impl Drop for Ended {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(thread = "store-watch", "store thread panicked");
            self.1.set("the thread that watches the store's files died");
        }
        let (thread, changed) = &self.0.thread;
        thread.lock().runs = false;
        changed.notify_all();
    }
}

/// Leaves the log and its index where they are when the connection is closed: SQLite would remove them by their names, and
/// those may be another store's by now.
pub(super) fn leave_the_names_alone(conn: &Connection) {
    use rusqlite::config::DbConfig;
    if let Err(error) = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
        tracing::warn!(%error, "write-ahead log not kept at close");
    }
}

#[cfg(test)]
mod tests {
    use crate::Store;
    use crate::conformance::fixtures::{NOW, accepted, batch, request};
    use crate::sqlite::{Mode, SqliteConfig, SqliteStore, durable};

    /// Here the files are looked at every two milliseconds.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_orderly_stop_is_no_loss_and_its_last_note_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.db");
        for n in 0..40 {
            let store = SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).unwrap();
            for _ in 0..=n % 5 {
                accepted(&store, request(NOW + n, vec![batch(0..50)])).await;
            }
            let at = store.newest_at();
            store.close().await.unwrap();
            assert_eq!(store.metrics().lost, 0, "stop {n}");
            let note = durable::read(&path).unwrap();
            assert_eq!(note.frames, 0, "stop {n}: {note:?}, newest at {at}");
        }
    }
}
