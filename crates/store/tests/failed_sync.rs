//! A sync that fails: what waited for it is refused, the store is of no use until it is opened again, and then nothing that
//! was accepted is missing.
//!
//! A library that is preloaded into a child makes the sync fail (`crates/sim/shim/shim.c`).
#![cfg(target_os = "linux")]
#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::Command;
use store::conformance::fixtures::{ACCOUNT, NOW, batch, everything, once, request};
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{AcceptCommand, AcceptError, Accepted, Store, StoreError};

const CHILD: &str = "POSTRIDER_TEST_FAILED_SYNC";
const CONTROL: &str = "SHIM_CONTROL";
const BATCHES: u64 = 20;
const EACH: u64 = 5;

fn with_key(n: u64) -> AcceptCommand {
    AcceptCommand {
        idempotency: Some(once(&format!("k{n}"))),
        ..request(NOW, vec![batch(n * EACH..(n + 1) * EACH)])
    }
}

async fn count(store: &dyn Store) -> u64 {
    let filter = store::MessageFilter {
        limit: 1,
        count_max: u64::MAX,
        ..everything()
    };
    let range = store::MessageSpan::ALL;
    store.find(ACCOUNT, range, filter).await.unwrap().1
}

/// The child process: accepts, loses a sync, and fails for good. Not a test of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_whose_sync_fails() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let store = SqliteStore::open(Path::new(&path), Mode::Serve, SqliteConfig::default()).unwrap();
    for n in 0..BATCHES {
        assert!(matches!(store.accept(with_key(n)).await, Ok(Accepted::New(_))));
    }
    std::fs::write(std::env::var(CONTROL).unwrap(), "fail_syncs 1\n").unwrap();
    // The library reads that within a millisecond.
    let mut n = BATCHES;
    let error = loop {
        match store.accept(with_key(n)).await {
            Ok(_) => n += 1,
            Err(error) => break error,
        }
        assert!(n < BATCHES + 10_000, "no sync failed");
    };
    assert!(
        matches!(error, AcceptError::Store(StoreError::SyncFailed(_))),
        "{error:?}"
    );
    assert!(store.failed().await.contains("sync"));
    // The disk is well again, and yet nothing is taken.
    let again = store.accept(with_key(n)).await;
    assert!(
        matches!(again, Err(AcceptError::Store(StoreError::Closed))),
        "{again:?}"
    );
    assert!(store.probe().await.is_err());
    println!("\naccepted {n}");
}

/// Builds the library.
fn shim(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sim/shim/shim.c");
    let library = folder.join("shim.so");
    let built = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-lpthread"])
        .status()
        .unwrap();
    assert!(built.success());
    library
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_is_not_tried_again_and_nothing_accepted_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    std::fs::create_dir(&root).unwrap();
    let path = root.join("postrider.db");
    let control = folder.path().join("control");
    std::fs::write(&control, "").unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_whose_sync_fails", "--nocapture"])
        .env("LD_PRELOAD", shim(folder.path()))
        .env("SHIM_ROOT", &root)
        .env(CONTROL, &control)
        .env(CHILD, &path)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    let accepted: u64 = output
        .lines()
        .find_map(|line| line.strip_prefix("accepted ")?.parse().ok())
        .unwrap_or_else(|| panic!("{output}{}", String::from_utf8_lossy(&child.stderr)));
    assert!(accepted >= BATCHES);
    // The child has closed all its connections. What they would have moved may be in the kernel's memory alone.
    let log = std::fs::metadata(root.join("postrider.db-wal")).unwrap();
    assert!(log.len() > 0, "the log is left to the next start");

    let store = SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).unwrap();
    // The refused request may be stored: what a failed sync has written is unknown. A repeat of it is stored once.
    let found = count(&store).await;
    assert!(
        found == accepted * EACH || found == (accepted + 1) * EACH,
        "{found} of {}",
        accepted * EACH
    );
    for n in 0..=accepted {
        let again = store.accept(with_key(n)).await.unwrap();
        assert!(n == accepted || matches!(again, Accepted::Repeat { .. }), "{n}");
    }
    assert_eq!(count(&store).await, (accepted + 1) * EACH);
}
