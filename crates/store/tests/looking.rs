//! Looking at a store that no node serves: it changes nothing in the directory, and reports what a start would find
//! missing.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::os::unix::fs::{FileExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use store::conformance::fixtures::{NOW, accepted, batch, request};
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{Store, StoreError};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    (folder, path)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// The files of a folder with what is in them; the log's index is no data, and is rebuilt by each process that opens
/// a store.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .filter(|(name, _)| !name.ends_with("-shm"))
        .collect()
}

/// A store as a kill leaves it: with commits in its log.
async fn killed() -> (TempDir, PathBuf) {
    let (served, path) = place();
    let store = SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).unwrap();
    for n in 0..20 {
        accepted(&store, request(NOW + n, vec![batch(0..1)])).await;
    }
    let (folder, killed) = place();
    for (name, octets) in contents(served.path()) {
        std::fs::write(folder.path().join(name), octets).unwrap();
    }
    store.close().await.unwrap();
    assert!(std::fs::metadata(beside(&killed, "-wal")).unwrap().len() > 40_000);
    (folder, killed)
}

/// Everything that only looks.
fn look(path: &Path) {
    let config = SqliteConfig::default();
    assert_eq!(
        SqliteStore::schema_version(path).unwrap(),
        Some(SqliteStore::known_schema_version())
    );
    SqliteStore::look_at_catalog(path, &config).unwrap();
    SqliteStore::would_start(path, &config).unwrap();
    SqliteStore::would_lack(path).unwrap();
    SqliteStore::check_deep(path, &config, &|_| ()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_a_store_that_was_killed_changes_nothing() {
    let (folder, path) = killed().await;
    let before = contents(folder.path());
    look(&path);
    assert_eq!(SqliteStore::would_lack(&path).unwrap(), None);
    assert!(contents(folder.path()) == before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_a_store_that_was_stopped_leaves_no_log_behind() {
    let (folder, path) = place();
    let store = SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).unwrap();
    accepted(&store, request(NOW, vec![batch(0..1)])).await;
    store.close().await.unwrap();
    let before = contents(folder.path());
    assert!(!before.contains_key("postrider.db-wal"));
    look(&path);
    assert!(contents(folder.path()) == before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_is_reported_by_a_look_and_left_for_the_server() {
    let (folder, path) = killed().await;
    let wal = std::fs::File::options()
        .write(true)
        .open(beside(&path, "-wal"))
        .unwrap();
    let near_its_end = wal.metadata().unwrap().len() - 10 * 4_120;
    wal.write_all_at(b"\xff\xff\xff\xff", near_its_end).unwrap();
    let before = contents(folder.path());
    look(&path);
    let reported = SqliteStore::would_lack(&path).unwrap().unwrap();
    assert!(reported.contains("the write-ahead log is damaged"), "{reported}");
    assert!(contents(folder.path()) == before);
    // The start copies the log, records the damage, and refuses until that is acknowledged.
    let refused = SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).err();
    assert!(refused.is_some_and(|error| error.to_string().contains("taken note")));
    let noted = SqliteStore::damage(&path).1;
    assert!(
        noted.len() == 1 && noted[0].contains("the write-ahead log is damaged"),
        "{noted:?}"
    );
    assert!(
        contents(folder.path())
            .keys()
            .any(|name| name.contains("-wal.damaged-"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_first_commits_are_damaged_is_reported_without_a_schema() {
    let (folder, path) = killed().await;
    let wal = std::fs::File::options()
        .write(true)
        .open(beside(&path, "-wal"))
        .unwrap();
    wal.write_all_at(b"\xff\xff\xff\xff", 100).unwrap();
    let before = contents(folder.path());
    assert_eq!(SqliteStore::schema_version(&path).unwrap(), None);
    let reported = SqliteStore::would_lack(&path).unwrap().unwrap();
    assert!(reported.contains("the write-ahead log is damaged"), "{reported}");
    assert!(contents(folder.path()) == before);
    // No start makes new tables over it.
    let refused = [
        SqliteStore::migrate(&path).err(),
        SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).err(),
    ];
    assert!(refused.iter().all(Option::is_some), "{refused:?}");
    assert_eq!(SqliteStore::schema_version(&path).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_store_is_gone_is_not_dropped_for_a_new_store() {
    let (folder, path) = killed().await;
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(beside(&path, ".durable")).unwrap();
    let before = contents(folder.path());
    for refused in [
        SqliteStore::schema_version(&path).err(),
        SqliteStore::migrate(&path).err(),
        SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).err(),
    ] {
        let reported = refused
            .map(|error: StoreError| error.to_string())
            .unwrap_or_default();
        assert!(
            reported.contains("postrider.db-wal") && reported.contains("is gone"),
            "{reported}"
        );
    }
    assert!(contents(folder.path()) == before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_root_makes_in_a_users_folder_is_that_users() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root can give files away.
    }
    const USER: u32 = 65_534;
    for serve in [false, true] {
        let (folder, path) = place();
        chown(folder.path(), Some(USER), Some(USER)).unwrap();
        if serve {
            let store = SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).unwrap();
            accepted(&store, request(NOW, vec![batch(0..1)])).await;
            store.close().await.unwrap();
        } else {
            SqliteStore::migrate(&path).unwrap();
        }
        let entries: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(entries.len() > 1);
        for entry in entries {
            let about = entry.metadata().unwrap();
            assert_eq!(
                (about.uid(), about.gid()),
                (USER, USER),
                "{:?}",
                entry.file_name()
            );
        }
        let config = SqliteConfig::default();
        assert!(SqliteStore::open_to_others(&path, &config).is_empty());
        // As earlier releases left it.
        chown(&path, Some(0), Some(0)).unwrap();
        let reported = SqliteStore::open_to_others(&path, &config);
        assert!(
            reported.len() == 1 && reported[0].contains("postrider.db belongs to user 0"),
            "{reported:?}"
        );
    }
}
