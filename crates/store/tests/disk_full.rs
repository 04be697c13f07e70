//! A disk that is full: no false success, and on again without a restart once there is room.
//!
//! The disk is made full by the limit on a file's size (`RLIMIT_FSIZE`), which needs no privileges: a child
//! works under it until its store cannot write, then the limit is lifted from outside.
#![cfg(target_os = "linux")]
#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stdout)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use store::conformance::fixtures::{
    ACCOUNT, LANE, NOW, accepted_batch, batch, everything, once, request, waiting_ids,
};
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{AcceptCommand, AcceptError, Accepted, MessageId, Store, StoreError};

const CHILD: &str = "POSTRIDER_TEST_FULL_STORE";
const BATCH: u64 = 50;

/// The child: accepts until it cannot, waits for room, and goes on. Not a test of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_whose_disk_is_full() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let store = SqliteStore::open(Path::new(&path), Mode::Serve, SqliteConfig::default()).unwrap();
    let mut acknowledged = vec![];
    // The log is full first; what a checkpoint then moves makes room in it, until the file is full too.
    let mut refused_in_a_row = 0;
    while refused_in_a_row < 100 {
        match store.accept(with_key(&format!("k{}", acknowledged.len()))).await {
            Ok(Accepted::New(outcome)) => {
                acknowledged.push(outcome.batches[0].first);
                refused_in_a_row = 0;
            }
            Ok(Accepted::Repeat { .. }) => panic!("what was refused was remembered"),
            Err(AcceptError::Store(StoreError::Unwritable(_))) => {
                let ready = store.probe().await;
                refused_in_a_row = if ready.is_ok() { 0 } else { refused_in_a_row + 1 };
            }
            Err(error) => panic!("{error:?}"),
        }
        assert!(acknowledged.len() < 100_000, "the limit does not hold");
    }
    assert!(store.metrics().groups_failed > 100);
    verify(&store, &acknowledged).await;

    println!("\nfull after {} batches", acknowledged.len());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    store.probe().await.unwrap();
    // The refused request was not remembered either: its repeat is a first.
    let key = format!("k{}", acknowledged.len());
    let Accepted::New(outcome) = store.accept(with_key(&key)).await.unwrap() else {
        panic!("a false repeat")
    };
    acknowledged.push(outcome.batches[0].first);
    acknowledged.push(accepted_batch(&store, NOW, 0..BATCH).await.first);
    verify(&store, &acknowledged).await;
    drop(store);
    let store = SqliteStore::open(Path::new(&path), Mode::Serve, SqliteConfig::default()).unwrap();
    verify(&store, &acknowledged).await;
    println!("\nverified {} batches", acknowledged.len());
}

fn with_key(key: &str) -> AcceptCommand {
    AcceptCommand {
        idempotency: Some(once(key)),
        ..request(NOW, vec![batch(0..BATCH)])
    }
}

/// The store has exactly the batches that were acknowledged.
async fn verify(store: &dyn Store, acknowledged: &[MessageId]) {
    let filter = store::MessageFilter {
        limit: 1,
        count_max: u64::MAX,
        ..everything()
    };
    let (_, count) = store
        .find(ACCOUNT, store::MessageSpan::ALL, filter)
        .await
        .unwrap();
    assert_eq!(count, acknowledged.len() as u64 * BATCH);
    assert_eq!(store.counts().await.unwrap().queued, count);
    let waiting = waiting_ids(store, LANE).await;
    let expected: Vec<MessageId> = acknowledged
        .iter()
        .flat_map(|first| (0..BATCH.cast_signed()).map(|n| first.plus(n)))
        .take(waiting.len())
        .collect();
    assert_eq!(waiting, expected);
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    // Made without the limit, so that the limit is met by messages. XFSZ is ignored over exec: the write
    // fails with an error instead.
    drop(SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).unwrap());
    let mut child = Command::new("sh")
        .args([
            "-c",
            r#"trap "" XFSZ; ulimit -S -f 4096; exec "$0" --exact child_whose_disk_is_full --nocapture"#,
        ])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let full = lines.find(|line| line.starts_with("full after"));
    assert!(full.is_some(), "the child did not get to the limit");

    let lifted = Command::new("prlimit")
        .args(["--fsize=unlimited:unlimited", "--pid", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(lifted.success());
    child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    let verified = lines.any(|line| line.starts_with("verified"));
    assert!(
        child.wait().unwrap().success() && verified,
        "the store did not recover"
    );
}
