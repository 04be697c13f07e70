//! A store's files: whose they are, by which names they are found, and what becomes of a store whose files go away.
#![allow(clippy::unwrap_used)]

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use store::conformance::fixtures::{NOW, accepted, batch, request};
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{AcceptError, Store, StoreError};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    (folder, path)
}

fn open(path: &Path, mode: Mode) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, mode, SqliteConfig::default())
}

/// The files of a folder with their modes.
fn modes(folder: &Path) -> Vec<(String, u32)> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut modes: Vec<_> = entries
        .map(|entry| {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            (entry.file_name().into_string().unwrap(), mode)
        })
        .collect();
    modes.sort();
    modes
}

#[tokio::test]
async fn all_files_of_a_store_are_made_for_their_owner_alone() {
    for mode in [Mode::Serve, Mode::Tool] {
        let (folder, path) = place();
        let store = open(&path, mode).unwrap();
        store.probe().await.unwrap();
        let found = modes(folder.path());
        assert!(found.len() >= 4, "{found:?}");
        assert!(found.iter().all(|(_, mode)| *mode == 0o600), "{found:?}");
        assert!(SqliteStore::open_to_others(&path, &SqliteConfig::default()).is_empty());
        store.close().await.unwrap();
    }
    let (folder, path) = place();
    SqliteStore::migrate(&path).unwrap();
    let found = modes(folder.path());
    assert!(found.iter().all(|(_, mode)| *mode == 0o600), "{found:?}");
}

#[tokio::test]
async fn files_of_earlier_releases_are_closed_to_others_by_the_next_start() {
    let (folder, path) = place();
    open(&path, Mode::Serve).unwrap().close().await.unwrap();
    for (name, _) in modes(folder.path()) {
        std::fs::set_permissions(folder.path().join(name), Permissions::from_mode(0o644)).unwrap();
    }
    let reported = SqliteStore::open_to_others(&path, &SqliteConfig::default());
    assert!(
        reported.len() >= 3 && reported[0].contains("chmod 600"),
        "{reported:?}"
    );
    // A tool changes nothing.
    open(&path, Mode::Tool).unwrap().close().await.unwrap();
    assert_eq!(
        SqliteStore::open_to_others(&path, &SqliteConfig::default()),
        reported
    );

    let store = open(&path, Mode::Serve).unwrap();
    let found = modes(folder.path());
    assert!(found.iter().all(|(_, mode)| *mode == 0o600), "{found:?}");
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_group_may_read_what_is_stored_where_that_is_configured() {
    let (folder, path) = place();
    let config = SqliteConfig {
        group_may_read: true,
        ..SqliteConfig::default()
    };
    for _ in 0..2 {
        let store = SqliteStore::open(&path, Mode::Serve, config.clone()).unwrap();
        store.probe().await.unwrap();
        for (name, mode) in modes(folder.path()) {
            let data = name.ends_with(".db") || name.ends_with("-wal") || name.ends_with("-shm");
            assert_eq!(mode, if data { 0o640 } else { 0o600 }, "{name}");
        }
        assert!(SqliteStore::open_to_others(&path, &config).is_empty());
        store.close().await.unwrap();
    }
}

#[test]
fn a_directory_that_others_may_write_to_is_reported() {
    let (folder, path) = place();
    let reported = |mode| {
        std::fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        SqliteStore::open_to_others(&path, &SqliteConfig::default())
    };
    assert!(reported(0o755).is_empty() && reported(0o1777).is_empty());
    assert!(reported(0o777)[0].contains("another store in the place"));
    assert!(reported(0o770)[0].contains("another store in the place"));
}

#[tokio::test]
async fn a_store_is_found_by_one_name_however_it_is_called() {
    let (folder, path) = place();
    let link = folder.path().join("link.db");
    symlink("postrider.db", &link).unwrap();
    // Where it is made, too.
    let store = open(&link, Mode::Serve).unwrap();
    assert!(path.is_file());
    assert_eq!(
        SqliteStore::resolved_path(&link),
        SqliteStore::resolved_path(&path)
    );
    for name in [&path, &link] {
        let second = open(name, Mode::Serve).err();
        let reported = second.map(|error| error.to_string()).unwrap_or_default();
        let own = format!("process {}", std::process::id());
        assert!(
            reported.contains("in use") && reported.contains(&own),
            "{reported}"
        );
    }
    open(&link, Mode::Tool).unwrap().close().await.unwrap();
    store.close().await.unwrap();
}

#[test]
fn a_store_with_two_names_is_refused_by_both() {
    let (folder, path) = place();
    SqliteStore::migrate(&path).unwrap();
    let other = folder.path().join("other.db");
    std::fs::hard_link(&path, &other).unwrap();
    for name in [&path, &other] {
        let refused = [
            open(name, Mode::Serve).err(),
            open(name, Mode::Tool).err(),
            SqliteStore::schema_version(name).err(),
            SqliteStore::migrate(name).err(),
        ];
        for refused in refused {
            let reported = refused.map(|error| error.to_string()).unwrap_or_default();
            assert!(
                reported.contains("2 names (hard links)")
                    && reported.contains("`find /")
                    && reported.contains("-xdev -samefile"),
                "{reported}"
            );
        }
    }
    std::fs::remove_file(&other).unwrap();
    open(&path, Mode::Serve).unwrap();
}

#[test]
fn a_lock_that_no_node_holds_is_named_with_its_holder() {
    let (folder, path) = place();
    SqliteStore::migrate(&path).unwrap();
    let lock = std::fs::File::create(folder.path().join("postrider.db.lock")).unwrap();
    lock.lock().unwrap();
    let refused = open(&path, Mode::Serve).err();
    let reported = refused.map(|error| error.to_string()).unwrap_or_default();
    assert!(reported.contains("postrider.db.lock is locked"), "{reported}");
    lock.unlock().unwrap();
    open(&path, Mode::Serve).unwrap();
}

#[tokio::test]
async fn a_tool_that_hangs_costs_one_wait_and_not_one_a_commit() {
    let (folder, path) = place();
    let config = SqliteConfig {
        lock_wait_ms_max: 300,
        ..SqliteConfig::default()
    };
    let store = SqliteStore::open(&path, Mode::Serve, config).unwrap();
    let turn = std::fs::File::options()
        .read(true)
        .open(folder.path().join("postrider.db.turn"))
        .unwrap();
    turn.lock().unwrap();
    let began = Instant::now();
    for n in 0..100 {
        accepted(&store, request(NOW + n, vec![batch(0..1)])).await;
    }
    // One wait each would be half a minute.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    store.close().await.unwrap();
}

/// Waits until the store refuses, without writing to it.
async fn noticed(store: &SqliteStore) {
    let since = Instant::now();
    while store.metrics().lost == 0 {
        assert!(since.elapsed() < Duration::from_secs(20), "nothing was noticed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_store_whose_files_go_away_answers_nobody_any_more() {
    type Harm = fn(&Path, &Path);
    let harms: [(&str, Harm); 8] = [
        ("is gone", |path, _| std::fs::remove_file(path).unwrap()),
        ("is gone", |path, _| {
            std::fs::rename(path, path.with_extension("away")).unwrap()
        }),
        ("another file is in the place of", |path, _| {
            let other = path.with_extension("other");
            std::fs::copy(path, &other).unwrap();
            std::fs::rename(&other, path).unwrap();
        }),
        ("was cut", |path, _| {
            std::fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(0)
                .unwrap()
        }),
        ("was cut", |path, _| {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        }),
        ("is gone", |_, wal| std::fs::remove_file(wal).unwrap()),
        ("was cut", |_, wal| {
            std::fs::File::options()
                .write(true)
                .open(wal)
                .unwrap()
                .set_len(0)
                .unwrap()
        }),
        ("is gone", |path, _| {
            let folder = path.parent().unwrap();
            std::fs::rename(folder, folder.with_extension("away")).unwrap();
        }),
    ];
    for by_write in [true, false] {
        for (n, (why, harm)) in harms.iter().enumerate() {
            let above = tempfile::tempdir().unwrap();
            let folder = above.path().join("data");
            std::fs::create_dir(&folder).unwrap();
            let path = folder.join("postrider.db");
            // Opened again, so that the file is as long as the store.
            open(&path, Mode::Serve).unwrap().close().await.unwrap();
            let store = open(&path, Mode::Serve).unwrap();
            accepted(&store, request(NOW, vec![batch(0..1)])).await;
            harm(&path, &path.with_extension("db-wal"));
            if !by_write {
                noticed(&store).await;
            }
            let refused = store.accept(request(NOW, vec![batch(1..2)])).await;
            let Err(AcceptError::Store(StoreError::Unwritable(reported))) = refused else {
                unreachable!("harm {n}, by a write: {by_write}: {refused:?}")
            };
            assert!(reported.contains(why), "harm {n}: {reported}");
            let probe = store.probe().await;
            assert!(
                matches!(&probe, Err(StoreError::Unwritable(reported)) if reported.contains(why)),
                "{probe:?}"
            );
            // It says that it cannot store, not that it is dead: what it holds can still be saved.
            let dead = tokio::time::timeout(Duration::from_millis(1), store.failed()).await;
            assert!(dead.is_err());
            store.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_store_in_the_place_of_one_that_is_gone_is_left_alone() {
    let (folder, path) = place();
    let store = open(&path, Mode::Serve).unwrap();
    accepted(&store, request(NOW, vec![batch(0..1)])).await;
    for name in ["postrider.db", "postrider.db-wal", "postrider.db-shm"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name), name).unwrap();
    }
    noticed(&store).await;
    store.close().await.unwrap();
    for name in ["postrider.db", "postrider.db-wal", "postrider.db-shm"] {
        assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), name.as_bytes());
    }
}

#[tokio::test]
async fn a_store_that_is_gone_is_not_replaced_by_an_empty_one() {
    let (folder, path) = place();
    let store = open(&path, Mode::Serve).unwrap();
    accepted(&store, request(NOW, vec![batch(0..1)])).await;
    std::fs::remove_file(&path).unwrap();
    noticed(&store).await;
    store.close().await.unwrap();
    for round in 0..2 {
        let refused = [
            open(&path, Mode::Serve).err(),
            open(&path, Mode::Tool).err(),
            SqliteStore::migrate(&path).err(),
        ];
        for refused in refused {
            let reported = refused.map(|error| error.to_string()).unwrap_or_default();
            assert!(
                reported.contains("is gone: it was there at") && reported.contains(".durable"),
                "{reported}"
            );
        }
        if round == 0 {
            // Nor where somebody left an empty file.
            std::fs::write(&path, "").unwrap();
        }
    }
    std::fs::remove_file(folder.path().join("postrider.db.durable")).unwrap();
    // What is left of its log is not dropped without a word.
    let reported = open(&path, Mode::Serve).err().map(|error| error.to_string());
    assert!(reported.is_some_and(|reported| reported.contains("postrider.db-wal")));
    std::fs::remove_file(folder.path().join("postrider.db-wal")).unwrap();
    open(&path, Mode::Serve).unwrap();
}

#[tokio::test]
async fn a_checkpoint_or_vacuum_of_another_program_is_no_loss() {
    let (_folder, path) = place();
    let store = open(&path, Mode::Serve).unwrap();
    for n in 0..200 {
        accepted(&store, request(NOW + n, vec![batch(0..50)])).await;
    }
    // Logs of one commit, restarted: the next commit is longer than all that was there.
    for n in 0..6 {
        let other = rusqlite::Connection::open(&path).unwrap();
        other.busy_timeout(Duration::from_secs(10)).unwrap();
        other.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        store.probe().await.unwrap();
        other.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        accepted(&store, request(NOW + n, vec![batch(0..3_000)])).await;
        assert_eq!(store.metrics().lost, 0);
    }
    for sql in [
        "DELETE FROM awaiting_receipt; CREATE TABLE filler(x); INSERT INTO filler VALUES (zeroblob(3000000)); DROP TABLE filler",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "VACUUM",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    ] {
        let other = rusqlite::Connection::open(&path).unwrap();
        other.busy_timeout(Duration::from_secs(10)).unwrap();
        other.execute_batch(sql).unwrap();
        drop(other);
        for n in 0..5 {
            accepted(&store, request(NOW + n, vec![batch(0..1)])).await;
        }
        // The thread that watches looks as well: it notes each commit after that.
        for _ in 0..2 {
            let note = || std::fs::read(path.with_extension("db.durable")).unwrap();
            let before = note();
            accepted(&store, request(NOW, vec![batch(0..1)])).await;
            let since = Instant::now();
            while note() == before {
                assert!(since.elapsed() < Duration::from_secs(30), "no look after {sql}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        assert_eq!(store.metrics().lost, 0, "after {sql}");
    }
    store.close().await.unwrap();
}
