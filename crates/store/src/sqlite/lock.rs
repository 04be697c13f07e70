//! The locks beside a store: who serves it, and whose turn it is to write.

use super::place::{beside, open_private};
use crate::StoreError;
use parking_lot::Mutex;
use rustix::fs::{major, minor};
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long somebody who is no server may keep a start waiting: a tool looks for a moment whether a server is there.
const PASSING: Duration = Duration::from_millis(500);
/// How much longer than a server waits for tools a tool waits for others.
const TOOL_WAIT_FACTOR: u32 = 12;
/// Between two lines of the log about somebody who does not let go.
const REMIND: Duration = Duration::from_secs(60);

/// The files that a server locks, in this order. The second is there so that a server whose lock file was removed is still in
/// the way of another one.
const LOCKED: [&str; 2] = [".lock", ".durable"];
/// How long somebody else may hold a lock file that was made again: a start that is refused by the other file does so for a
/// moment.
const REFUSED_WITHIN: Duration = Duration::from_secs(2);

/// The locks that a serving process holds for as long as it has the store open. SQLite's own locks would
/// let two servers write in turns, each with a stale memory of what the other did. The process's number stands in the first file.
#[derive(Debug)]
pub(super) struct ServerLock {
    store: PathBuf,
    /// `None` once they were let go.
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    files: [LockFile; 2],
    /// Since when a file of ours is not by its name, and could not be made and locked again.
    incomplete: Option<Instant>,
}

#[derive(Debug)]
struct LockFile {
    path: PathBuf,
    inode: (u64, u64),
    #[expect(dead_code, reason = "held for its lock")]
    file: File,
}

impl LockFile {
    fn new(path: PathBuf, file: File) -> Result<Self, StoreError> {
        let about = file
            .metadata()
            .map_err(|error| cannot("look at", &path, &error))?;
        Ok(Self {
            path,
            inode: (about.dev(), about.ino()),
            file,
        })
    }

    /// Whether its name is gone or another file's. What cannot be looked at says nothing.
    fn is_elsewhere(&self) -> bool {
        match std::fs::symlink_metadata(&self.path) {
            Ok(found) => (found.dev(), found.ino()) != self.inode,
            Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        }
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unwritable(format!("{what} {}: {error}", path.display()))
}

/// What came of trying to lock a file again.
enum Again {
    Locked(LockFile),
    /// Somebody has it.
    Held(String),
    Failed(StoreError),
}

impl ServerLock {
    /// Takes the locks or says who is in the way. `store` is the store's resolved path.
    pub(super) fn take(store: &Path) -> Result<Self, StoreError> {
        Self::take_by(store, &locks_of_the_system)
    }

    /// `locks`: what `/proc/locks` says.
    fn take_by(store: &Path, locks: &dyn Fn() -> String) -> Result<Self, StoreError> {
        let [first, second] = LOCKED.map(|suffix| beside(store, suffix));
        let lock = locked(&first, store, locks, Holder::describe)?;
        write_number(&lock);
        let serves = |holder: &Holder| holder.describe_without_lock_file(&first);
        let other = locked(&second, store, locks, serves)?;
        let files = [
            LockFile::new(first.clone(), lock)?,
            LockFile::new(second.clone(), other)?,
        ];
        Ok(Self {
            store: store.to_owned(),
            held: Mutex::new(Some(Held {
                files,
                incomplete: None,
            })),
        })
    }

    /// Looks whether the locked files are still found by their names. One that is not is made and locked again: whoever serves
    /// has to have both, so nobody else can have begun to while the other one was held.
    ///
    /// # Errors
    /// Why another process may serve the store by now.
    pub(super) fn keep(&self) -> Result<(), String> {
        let mut held = self.held.lock();
        let Some(held) = held.as_mut() else {
            return Ok(());
        };
        let elsewhere = held.files.each_ref().map(LockFile::is_elsewhere);
        let [first, second] = held.files.each_mut();
        let file = match elsewhere {
            [false, false] => {
                held.incomplete = None;
                return Ok(());
            }
            [true, true] => {
                return Err(format!(
                    "{} and {}, which this node had locked, were removed or replaced: another one may serve the store",
                    first.path.display(),
                    second.path.display()
                ));
            }
            [true, false] => first,
            [false, true] => second,
        };
        match again(&file.path, &self.store) {
            Again::Locked(locked) => {
                let path = file.path.display().to_string();
                *file = locked;
                held.incomplete = None;
                tracing::warn!(%path, "lock file restored");
                Ok(())
            }
            Again::Held(holder) => {
                if held.incomplete.get_or_insert_with(Instant::now).elapsed() > REFUSED_WITHIN {
                    return Err(format!(
                        "the lock file was removed or replaced while it was in use, and {holder}"
                    ));
                }
                Ok(())
            }
            Again::Failed(error) => {
                if held.incomplete.is_none() {
                    held.incomplete = Some(Instant::now());
                    tracing::warn!(%error, "lock file not restored");
                }
                Ok(())
            }
        }
    }

    /// Lets go of both.
    pub(super) fn let_go(&self) {
        self.held.lock().take();
    }

    /// Whether a process serves the store at `store`, a resolved path. Takes the locks for a moment where nobody does.
    pub(super) fn is_held(store: &Path) -> bool {
        LOCKED.into_iter().any(|suffix| {
            File::open(beside(store, suffix))
                .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
        })
    }
}

/// Opens a file and locks it; otherwise the error is what `describe` says of the holder.
fn locked(
    path: &Path,
    store: &Path,
    locks: &dyn Fn() -> String,
    describe: impl Fn(&Holder) -> String,
) -> Result<File, StoreError> {
    let file = opened(path, store)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                let holder = Holder::by(&file, path, locks);
                if holder.is_surely_server() || began.elapsed() > PASSING {
                    return Err(StoreError::InUse(describe(&holder)));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::Error(error)) => return Err(cannot("lock", path, &error)),
        }
    }
}

/// Makes a file where it is gone, and locks it; without waiting.
fn again(path: &Path, store: &Path) -> Again {
    let file = match opened(path, store) {
        Ok(file) => file,
        Err(error) => return Again::Failed(error),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Again::Held(Holder::of(&file, path).describe()),
        Err(TryLockError::Error(error)) => return Again::Failed(cannot("lock", path, &error)),
    }
    if path == beside(store, LOCKED[0]) {
        write_number(&file);
    }
    LockFile::new(path.to_owned(), file).map_or_else(Again::Failed, Again::Locked)
}

/// Writes down who holds a lock.
fn write_number(mut file: &File) {
    let written = file
        .set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| writeln!(file, "{}", std::process::id()));
    if let Err(error) = written {
        // A full disk: the lock holds all the same.
        tracing::debug!(%error, "lock owner not recorded");
    }
}

fn opened(path: &Path, store: &Path) -> Result<File, StoreError> {
    open_private(path, store)
        .map_err(|error| StoreError::Unwritable(format!("open the lock file {}: {error}", path.display())))
}

/// Who holds a lock.
struct Holder {
    path: PathBuf,
    /// The process that the system names.
    held_by: Option<u32>,
    /// The process that wrote its number into the file.
    written_by: Option<u32>,
}

impl Holder {
    fn of(file: &File, path: &Path) -> Self {
        Self::by(file, path, &locks_of_the_system)
    }

    fn by(mut file: &File, path: &Path, locks: &dyn Fn() -> String) -> Self {
        let mut written = String::new();
        // A number and a line's end; whatever else is there is nobody's number.
        let _unreadable = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| file.take(32).read_to_string(&mut written));
        Self {
            path: path.to_owned(),
            held_by: (file.metadata().ok()).and_then(|file| holder_in(&locks(), file.dev(), file.ino())),
            written_by: written.trim().parse().ok(),
        }
    }

    /// The system says so. The number in the file alone may be that of a server that has ended, while a tool looks.
    fn is_surely_server(&self) -> bool {
        self.held_by.is_some() && self.held_by == self.written_by
    }

    /// As far as the two numbers show.
    fn is_server(&self) -> bool {
        self.written_by.is_some() && (self.held_by.is_none() || self.held_by == self.written_by)
    }

    /// As [`Self::describe`], for the holder of the second file alone.
    fn describe_without_lock_file(&self, lock: &Path) -> String {
        let who = self.held_by.map_or_else(
            || "another process".to_owned(),
            |pid| format!("process {pid}{}", name_of(pid)),
        );
        format!(
            "{} is locked by {who}, which serves it, and whose lock file {} was removed or replaced: stop that process first",
            self.path.display(),
            lock.display()
        )
    }

    fn describe(&self) -> String {
        let path = self.path.display();
        match self.held_by.or(self.written_by) {
            Some(pid) if self.is_server() => format!(
                "{path} is locked by process {pid}{}, which serves it",
                name_of(pid)
            ),
            // Releases before this one did not write their number down.
            Some(pid) if name_of(pid) == " (postrider)" => format!(
                "{path} is locked by process {pid} (postrider): a node of an earlier release serves it; stop it with SIGTERM \
                 (`kill {pid}`) and wait until it has ended"
            ),
            Some(pid) => format!(
                "{path} is locked by process {pid}{}, which is no node that serves it: end that process",
                name_of(pid)
            ),
            None => format!("{path} is locked: `fuser {path}` says by whom"),
        }
    }
}

/// Nothing where it cannot be read.
fn locks_of_the_system() -> String {
    std::fs::read_to_string("/proc/locks").unwrap_or_default()
}

/// The process that holds an `flock` on a file, by `/proc/locks` of Linux. A process that this one cannot see has no
/// number there.
fn holder_in(locks: &str, dev: u64, ino: u64) -> Option<u32> {
    let place = format!("{:02x}:{:02x}:{ino}", major(dev), minor(dev));
    let lines = locks.lines().filter(|line| !line.contains("->"));
    let mut words = lines.map(|line| line.split_whitespace().skip(1));
    words.find_map(|mut words| {
        let (kind, _, _, pid, at) = (
            words.next()?,
            words.next()?,
            words.next()?,
            words.next()?,
            words.next()?,
        );
        (kind == "FLOCK" && at == place).then(|| pid.parse().ok().filter(|&pid| pid > 0))?
    })
}

fn name_of(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm"))
        .map_or_else(|_| String::new(), |name| format!(" ({})", name.trim()))
}

/// Lets a tool in beside a busy server. The server's transactions follow each other within microseconds,
/// and SQLite's own waiting is a matter of luck then: so a tool holds this lock while it wants to write, and
/// the server looks for it before each group.
#[derive(Debug)]
pub(super) struct WriterLock {
    file: File,
    path: PathBuf,
    wait_max: Duration,
    /// Since when somebody has held it for longer than is waited for, and when that was said last.
    stuck: Option<(Instant, Instant)>,
}

impl WriterLock {
    /// `store` is the store's resolved path.
    pub(super) fn open(store: &Path, wait_max: Duration) -> Result<Self, StoreError> {
        let path = beside(store, ".turn");
        let file = opened(&path, store)?;
        Ok(Self {
            file,
            path,
            wait_max,
            stuck: None,
        })
    }

    /// A server lets tools go first. One that hangs holds it up for as long as is waited for, once, and not again until
    /// it has let go.
    pub(super) fn yield_to_tools(&mut self) {
        let begun = Instant::now();
        while matches!(self.file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            match &mut self.stuck {
                Some((since, said)) => {
                    if said.elapsed() > REMIND {
                        *said = Instant::now();
                        let holder = Holder::of(&self.file, &self.path).describe();
                        tracing::warn!(held_s = since.elapsed().as_secs(), %holder, "writer lock held by a tool");
                    }
                    return;
                }
                None if begun.elapsed() > self.wait_max => {
                    self.stuck = Some((begun, Instant::now()));
                    let holder = Holder::of(&self.file, &self.path).describe();
                    tracing::warn!(held_s = begun.elapsed().as_secs(), %holder, "writer lock held by a tool");
                    return;
                }
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        if let Some((since, _)) = self.stuck.take() {
            tracing::info!(held_s = since.elapsed().as_secs(), "writer lock released");
        }
        self.leave();
    }

    /// A tool takes its turn, after other tools.
    pub(super) fn take(&self) -> Result<(), StoreError> {
        self.take_within(self.wait_max * TOOL_WAIT_FACTOR)
    }

    /// A server takes a turn before it serves: it waits for as long as for a lock of the store.
    pub(super) fn take_at_start(&self) -> Result<(), StoreError> {
        self.take_within(self.wait_max)
    }

    fn take_within(&self, wait_max: Duration) -> Result<(), StoreError> {
        let begun = Instant::now();
        loop {
            match self.file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) if begun.elapsed() > wait_max => {
                    let holder = Holder::of(&self.file, &self.path).describe();
                    return Err(StoreError::Unwritable(format!(
                        "wait for a turn to write: {holder}"
                    )));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
                Err(TryLockError::Error(error)) => {
                    return Err(StoreError::Unwritable(format!(
                        "wait for a turn to write: {error}"
                    )));
                }
            }
        }
    }

    pub(super) fn leave(&self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "writer lock not released");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_read_from_the_systems_list() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 08:01:131 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 22 08:01:131 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 33 08:01:131 0 EOF\n\
                     3: FLOCK  ADVISORY  READ  0 08:01:132 0 EOF\n";
        let dev = rustix::fs::makedev(8, 1);
        assert_eq!(holder_in(locks, dev, 131), Some(22));
        assert_eq!(
            holder_in(locks, dev, 132),
            None,
            "one that cannot be seen from here"
        );
        assert_eq!(holder_in("\n1:\nnonsense", dev, 131), None);
    }

    #[test]
    fn a_tool_that_looks_for_a_moment_is_waited_for_where_the_system_does_not_say_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("p.db");
        let path = beside(&store, ".lock");
        // A server that has ended left its number.
        std::fs::write(&path, "4194303\n").unwrap();
        let passing = File::open(&path).unwrap();
        passing.try_lock_shared().unwrap();
        let reads = std::cell::Cell::new(0);
        let locks = || {
            reads.set(reads.get() + 1);
            if reads.get() == 3 {
                passing.unlock().unwrap();
            }
            String::new()
        };
        let lock = ServerLock::take_by(&store, &locks).unwrap();
        assert_eq!(reads.get(), 3);
        // One that stays is named by what the file says.
        let began = Instant::now();
        let refused = ServerLock::take_by(&store, &String::new).unwrap_err();
        assert!(began.elapsed() >= PASSING);
        let own = format!("process {}", std::process::id());
        assert!(refused.to_string().contains(&own), "{refused}");
        drop(lock);
    }

    #[test]
    fn a_tool_that_hangs_is_waited_for_once_and_again_only_after_it_has_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("p.db");
        let mut server = WriterLock::open(&store, Duration::from_millis(300)).unwrap();
        let tool = WriterLock::open(&store, Duration::from_millis(300)).unwrap();
        for _ in 0..2 {
            tool.take().unwrap();
            let began = Instant::now();
            server.yield_to_tools();
            let first = began.elapsed();
            for _ in 0..100 {
                server.yield_to_tools();
            }
            assert!(first >= Duration::from_millis(300), "{first:?}");
            assert!(server.stuck.is_some());
            // A hundred waits would be thirty seconds.
            assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
            tool.leave();
            server.yield_to_tools();
            assert!(server.stuck.is_none());
        }
    }

    #[test]
    fn a_lock_file_that_is_removed_is_made_again_and_no_second_server_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("p.db");
        let lock = ServerLock::take(&store).unwrap();
        for suffix in LOCKED {
            std::fs::remove_file(beside(&store, suffix)).unwrap();
            // Nobody gets in, whether the server has looked or not.
            for _ in 0..2 {
                let refused = ServerLock::take(&store).unwrap_err();
                assert!(matches!(refused, StoreError::InUse(_)), "{refused}");
                assert!(ServerLock::is_held(&store));
                lock.keep().unwrap();
            }
            // Another file in its place is locked as well.
            let other = beside(&store, ".other");
            std::fs::write(&other, "").unwrap();
            std::fs::rename(&other, beside(&store, suffix)).unwrap();
            lock.keep().unwrap();
            assert!(ServerLock::take(&store).is_err());
        }
        for suffix in LOCKED {
            std::fs::remove_file(beside(&store, suffix)).unwrap();
        }
        let second = ServerLock::take(&store).unwrap();
        let lost = lock.keep().unwrap_err();
        assert!(lost.contains("another one may serve"), "{lost}");
        lock.let_go();
        second.keep().unwrap();
    }
}
