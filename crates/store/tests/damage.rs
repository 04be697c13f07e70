//! A write-ahead log that lacks what was durable: noticed at the next start, and only then.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use store::conformance::fixtures::{ACCOUNT, NOW, accepted, batch, everything, request};
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{MessageFilter, MessageSpan, Store, StoreError};

/// Where the child finds its store; without it the child's test does nothing.
const CHILD: &str = "POSTRIDER_TEST_DAMAGED_STORE";
/// Octets of the log's header, and of a frame.
const HEADER: u64 = 32;
const FRAME: u64 = 24 + 4_096;

fn config() -> SqliteConfig {
    // Checkpoints move pages into the file, and a log with all of it moved lacks nothing.
    SqliteConfig::default()
}

/// The child process: makes so many commits, prints a line once they are stored, and then waits to be killed. Not a
/// test of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_commits() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let (path, commits) = task.split_once('|').unwrap();
    let store = SqliteStore::open(Path::new(path), Mode::Serve, config()).unwrap();
    for n in 0..commits.parse().unwrap() {
        accepted(&store, request(NOW + n, vec![batch(0..1)])).await;
    }
    println!("stored");
    std::future::pending::<()>().await;
}

/// A store after so many commits and a kill; with `noted`, not before the note says what was durable last.
fn killed_after(path: &Path, commits: u64, noted: bool) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_commits", "--nocapture"])
        .env(CHILD, format!("{}|{commits}", path.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines.map_while(Result::ok).any(|line| line.contains("stored")),
        "the child ended early"
    );
    let since = Instant::now();
    while noted && noted_frames(path) != frames(path) {
        assert!(since.elapsed() < Duration::from_secs(30), "no note");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// Frames that count of the log: behind them may stand what an earlier pass has left, under other salts.
fn frames(path: &Path) -> u64 {
    let log = std::fs::read(beside(path, "-wal")).unwrap();
    let Some((header, frames)) = log.split_at_checked(HEADER as usize) else {
        return 0;
    };
    let frames = frames.chunks_exact(FRAME as usize);
    frames.take_while(|frame| frame[8..16] == header[16..24]).count() as u64
}

/// What the newer of two notes says.
fn noted_frames(path: &Path) -> u64 {
    let Ok(notes) = std::fs::read(beside(path, ".durable")) else {
        return 0;
    };
    let word = |at: usize| {
        notes
            .get(at..at + 8)
            .map_or(0, |octets| u64::from_le_bytes(octets.try_into().unwrap()))
    };
    [0, 512]
        .into_iter()
        .max_by_key(|&slot| word(slot + 8))
        .map_or(0, |slot| word(slot + 32))
}

fn flip(path: &Path, at: u64) {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut octet = [0];
    file.read_exact_at(&mut octet, at).unwrap();
    file.write_all_at(&[octet[0] ^ 8], at).unwrap();
}

async fn messages(store: &SqliteStore) -> usize {
    let filter = MessageFilter {
        limit: usize::MAX,
        count_max: u64::MAX,
        ..everything()
    };
    let range = MessageSpan::ALL;
    store.find(ACCOUNT, range, filter).await.unwrap().0.len()
}

/// Opens the store as a node does; how many messages it has, and which damage it reports.
async fn opened(path: &Path) -> (usize, Vec<String>) {
    let store = SqliteStore::open(path, Mode::Serve, config()).unwrap();
    let found = messages(&store).await;
    let lines = SqliteStore::damage(path).1;
    assert_eq!(store.metrics().damaged, lines.len() as u64);
    store.close().await.unwrap();
    (found, lines)
}

/// What a start says that refuses.
fn refused(path: &Path, mode: Mode) -> String {
    match SqliteStore::open(path, mode, config()) {
        Err(StoreError::Other(reported)) => reported,
        other => unreachable!("{:?}", other.map(|_| "opened").map_err(|error| error.to_string())),
    }
}

/// Refused by a node and by a tool until the damage is acknowledged; returns the error.
async fn taken_note_of(path: &Path) -> String {
    for mode in [Mode::Serve, Mode::Tool, Mode::Serve] {
        let reported = refused(path, mode);
        assert!(
            reported.contains("taken note") && reported.contains("sent again"),
            "{reported}"
        );
    }
    let lines = SqliteStore::damage(path).1;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(SqliteStore::would_lack(path).unwrap().is_some());
    std::fs::remove_file(beside(path, ".damaged")).unwrap();
    assert_eq!(SqliteStore::would_lack(path).unwrap(), None);
    lines.concat()
}

/// The log as it was before SQLite went on over it.
fn copy_of_the_log(folder: &Path) -> Vec<u8> {
    let mut entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let copy = entries.find(|entry| entry.file_name().to_string_lossy().contains("-wal.damaged-"));
    let copy = copy.unwrap();
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::read(copy.path()).unwrap()
}

#[tokio::test]
async fn what_a_damaged_log_lacks_is_reported_at_the_start() {
    type Harm = fn(&Path, u64);
    let harms: [(&str, Harm); 4] = [
        ("a flipped bit in the middle", |wal, frames| {
            flip(wal, HEADER + frames / 2 * FRAME + 1_000);
        }),
        ("a flipped bit in the last frame", |wal, frames| {
            flip(wal, HEADER + (frames - 1) * FRAME + 4_000)
        }),
        ("a flipped bit in the header", |wal, _| flip(wal, 17)),
        ("a log that was cut", |wal, frames| {
            let file = std::fs::File::options().write(true).open(wal).unwrap();
            file.set_len(HEADER + (frames - 3) * FRAME).unwrap();
        }),
    ];
    for (harm, harmed) in harms {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postrider.db");
        // Its tables are in the file, not in the log alone.
        assert_eq!(opened(&path).await, (0, vec![]));
        killed_after(&path, 200, true);
        let wal = beside(&path, "-wal");
        harmed(&wal, frames(&path));
        let was = std::fs::read(&wal).unwrap();
        let reported = taken_note_of(&path).await;
        assert!(reported.contains("missing"), "{harm}: {reported}");
        // Nothing was changed before.
        assert_eq!(std::fs::read(&wal).unwrap(), was, "{harm}");
        assert_eq!(copy_of_the_log(folder.path()), was, "{harm}");
        let (found, reported) = opened(&path).await;
        assert!(
            found < 200 || harm.contains("header"),
            "{harm}: {found} messages are left"
        );
        assert_eq!(reported, Vec::<String>::new(), "{harm}");
        assert_eq!(opened(&path).await, (found, vec![]), "{harm}");
    }
}

#[tokio::test]
async fn a_store_whose_first_commits_are_damaged_is_not_replaced_by_an_empty_one() {
    for at in [17, HEADER + 1_000] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postrider.db");
        let config = SqliteConfig::default();
        killed_after(&path, 3, true);
        let wal = beside(&path, "-wal");
        flip(&wal, at);
        // As before anything was moved into the file.
        std::fs::write(&path, {
            let empty = folder.path().join("empty.db");
            let conn = rusqlite::Connection::open(&empty).unwrap();
            conn.execute_batch("PRAGMA journal_mode = WAL").unwrap();
            drop(conn);
            std::fs::read(&empty).unwrap()
        })
        .unwrap();
        let was = std::fs::read(&wal).unwrap();
        for mode in [Mode::Serve, Mode::Tool] {
            let reported = refused(&path, mode);
            assert!(
                reported.contains("can be read") && reported.contains("backup"),
                "{reported}"
            );
        }
        assert!(SqliteStore::migrate(&path).is_err());
        assert!(SqliteStore::would_lack(&path).unwrap().is_some());
        assert_eq!(std::fs::read(&wal).unwrap(), was);
        // Nor once the log is gone.
        std::fs::remove_file(&wal).unwrap();
        assert!(SqliteStore::open(&path, Mode::Serve, config).is_err());
    }
}

#[tokio::test]
async fn damage_is_reported_once_however_often_the_node_is_killed_afterwards() {
    for at in [HEADER + 20 * FRAME + 1_000, 17] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postrider.db");
        assert_eq!(opened(&path).await, (0, vec![]));
        killed_after(&path, 60, true);
        flip(&beside(&path, "-wal"), at);
        taken_note_of(&path).await;
        // Each writes less than was lost.
        for _ in 0..3 {
            killed_after(&path, 2, false);
        }
        let (_, lines) = opened(&path).await;
        assert_eq!(lines, Vec::<String>::new(), "flipped at {at}");
        let entries = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap);
        let copies = entries.filter(|entry| entry.file_name().to_string_lossy().contains(".damaged-"));
        assert_eq!(copies.count(), 1);
    }
}

#[tokio::test]
async fn a_log_that_was_removed_is_detected_by_its_mark() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    killed_after(&path, 5, true);
    let before = folder.path().join("before.db");
    std::fs::copy(&path, &before).unwrap();
    killed_after(&path, 200, true);
    // An older file without the log: as after a removed log whose pages were not moved yet.
    std::fs::copy(&before, &path).unwrap();
    std::fs::remove_file(beside(&path, "-wal")).unwrap();
    match SqliteStore::open(&path, Mode::Serve, config()) {
        Ok(store) => {
            let reported = SqliteStore::damage(&path).1;
            assert!(
                reported.len() == 1 && reported[0].contains("is missing"),
                "{reported:?}"
            );
            store.close().await.unwrap();
        }
        // Whose first pages had not been moved.
        Err(error) => assert!(matches!(error, StoreError::Other(_)), "{error}"),
    }
}

#[tokio::test]
async fn without_a_note_the_log_itself_shows_what_may_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    killed_after(&path, 50, true);
    std::fs::remove_file(beside(&path, ".durable")).unwrap();
    flip(&beside(&path, "-wal"), HEADER + frames(&path) / 2 * FRAME + 1_000);
    let reported = taken_note_of(&path).await;
    assert!(reported.contains("may be missing"), "{reported}");
    assert_eq!(opened(&path).await.1, Vec::<String>::new());
}

#[tokio::test]
async fn a_tool_reports_it_as_well_and_removes_nothing_from_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    killed_after(&path, 50, true);
    let wal = beside(&path, "-wal");
    flip(&wal, HEADER + frames(&path) / 2 * FRAME + 1_000);
    let was = std::fs::read(&wal).unwrap();
    refused(&path, Mode::Tool);
    assert_eq!(SqliteStore::damage(&path).1.len(), 1);
    assert_eq!(copy_of_the_log(folder.path()), was);
    assert_eq!(std::fs::read(&wal).unwrap(), was);
    taken_note_of(&path).await;
    let tool = SqliteStore::open(&path, Mode::Tool, config()).unwrap();
    tool.probe().await.unwrap();
    tool.close().await.unwrap();
    assert_eq!(opened(&path).await.1, Vec::<String>::new());
}

#[tokio::test]
async fn a_store_that_was_only_killed_lacks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    let mut stored = 0;
    for round in 0..6 {
        // At any place between two notes.
        killed_after(&path, 20 + 7 * round, round % 2 == 0);
        stored += 20 + 7 * round;
        if round == 3 {
            // Another program opens it, moves the log into the file and removes it.
            let conn = rusqlite::Connection::open(&path).unwrap();
            conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        }
        if round == 4 {
            let tool = SqliteStore::open(&path, Mode::Tool, config()).unwrap();
            tool.probe().await.unwrap();
            tool.close().await.unwrap();
        }
        assert_eq!(opened(&path).await, (stored as usize, vec![]), "round {round}");
    }
}

#[tokio::test]
async fn a_log_of_one_commit_that_was_cut_short_by_a_power_cut_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    killed_after(&path, 20, true);
    let wal = beside(&path, "-wal");
    // As the last, unanswered commit may be left: its frames there, but for one.
    let whole = std::fs::read(&wal).unwrap();
    let store = SqliteStore::open(&path, Mode::Serve, config()).unwrap();
    let before = messages(&store).await;
    store.close().await.unwrap();
    let torn = folder.path().join("torn.db");
    std::fs::copy(&path, &torn).unwrap();
    std::fs::write(beside(&torn, "-wal"), &whole).unwrap();
    flip(&beside(&torn, "-wal"), whole.len() as u64 - 100);
    // Another store's name: there is no note, and the last commit alone is broken.
    let store = SqliteStore::open(&torn, Mode::Serve, config()).unwrap();
    assert!(messages(&store).await >= before - 1);
    assert_eq!(SqliteStore::damage(&torn).1, Vec::<String>::new());
    store.close().await.unwrap();
}
