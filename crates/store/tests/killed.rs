//! A process that is killed under load: everything it acknowledged is stored, and nothing is half there.
#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stdout)]

use sms::state::{MessageState, ReceiptState};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use store::conformance::fixtures::{
    ACCOUNT, CARRIER, LANE, NOW, all_counters, batch, counted, endpoint, events_after, everything, listening,
    once, receipt, request, result, taken_as, waiting,
};
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{
    AcceptCommand, Accepted, Answer, AttemptOutcome, AttemptStart, DequeuedRange, EventKinds, EventOffset,
    EventWhat, MessageId, MessageView, NewIdempotency, Next, ReceiptEffect, RecordResults, StatsKey, Store,
};

/// Where the child finds its store; without it the child's test does nothing.
const CHILD: &str = "POSTRIDER_TEST_KILLED_STORE";
/// Messages of a batch.
const BATCH: u64 = 20;

/// So small that seals, too, are cut short.
fn config() -> SqliteConfig {
    SqliteConfig {
        memtable_entries_max: 500,
        group_rows_max: 200,
        wal_bytes_max: 1 << 20,
        ..SqliteConfig::default()
    }
}

fn remembered(key: &str) -> NewIdempotency {
    NewIdempotency {
        keep_ms: 86_400_000,
        ..once(key)
    }
}

/// Prints to the parent process what is stored. A line is printed whole or, by the kill, not at all.
fn print_line(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// The child: lives of batches, several at a time, until it is killed. Not a test of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_is_killed() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let store = Arc::new(SqliteStore::open(Path::new(&path), Mode::Serve, config()).unwrap());
    listening(&*store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    let process = std::process::id();
    let lives = (0..6).map(|life| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for round in 0.. {
                live(&*store, &format!("{process}-{life}-{round}")).await;
            }
        })
    });
    for life in lives.collect::<Vec<_>>() {
        life.await.unwrap();
    }
}

/// One batch's life; each step is printed once it is stored.
async fn live(store: &dyn Store, key: &str) {
    let command = AcceptCommand {
        idempotency: Some(remembered(key)),
        ..request(NOW, vec![batch(0..BATCH)])
    };
    let Accepted::New(outcome) = store.accept(command).await.unwrap() else {
        panic!("a new key")
    };
    let range = outcome.queued[0];
    let first = range.first;
    print_line(&format!("accepted {first} {key}"));
    let ids: Vec<MessageId> = (0..BATCH.cast_signed()).map(|n| first.plus(n)).collect();
    let consumed = vec![DequeuedRange {
        key: range.key,
        first,
        last: range.last,
    }];
    let start = AttemptStart {
        carrier: CARRIER,
        bind: 0,
        now: NOW,
        messages: ids.clone(),
        consumed,
    };
    let attempt = store.begin_attempts(vec![start]).await.unwrap()[0].id;
    print_line(&format!("begun {first} {key}"));
    let stats_key = StatsKey {
        dimensions: outcome.batches[0].dimensions,
        country: 1,
        segments: 1,
    };
    let outcomes = ids.iter().map(|&id| AttemptOutcome {
        stats_key,
        ..result(
            id,
            attempt,
            NOW,
            Answer::Single(taken_as(&id.to_string())),
            Next::Submitted,
        )
    });
    store
        .record_results(RecordResults {
            outcomes: outcomes.collect(),
            closed: vec![attempt],
        })
        .await
        .unwrap();
    print_line(&format!("submitted {first} {key}"));
    // Half of them: the rest is for after the kill.
    let receipts = ids
        .iter()
        .step_by(2)
        .map(|id| receipt(&id.to_string(), ReceiptState::Delivered, NOW + 50));
    store.record_receipts(receipts.collect()).await.unwrap();
    print_line(&format!("received {first} {key}"));
}

/// Runs the child process until it has printed `lines` lines, and kills it; returns the lines.
fn run_until_killed(path: &Path, lines: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_is_killed", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut reported = Vec::new();
    let mut line = String::new();
    while reported.len() < lines && out.read_line(&mut line).unwrap() > 0 {
        reported.push(std::mem::take(&mut line));
    }
    child.kill().unwrap(); // SIGKILL
    // The lines printed between the last one and the kill count as well.
    while out.read_line(&mut line).unwrap() > 0 {
        reported.push(std::mem::take(&mut line));
    }
    child.wait().unwrap();
    reported.retain(|line| line.ends_with('\n'));
    reported
}

/// The furthest step printed of each batch, with its key.
fn steps(reported: &[String]) -> BTreeMap<MessageId, (u8, String)> {
    let mut steps = BTreeMap::new();
    for line in reported {
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[step, first, key] = &words[..] else { continue }; // the test harness's own lines
        let Some(step) = ["accepted", "begun", "submitted", "received"]
            .iter()
            .position(|&name| name == step)
        else {
            continue;
        };
        let first = MessageId(first.parse().unwrap());
        steps.insert(first, (u8::try_from(step).unwrap(), key.to_owned()));
    }
    steps
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_and_leaves_nothing_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    let mut known = BTreeMap::new();
    for kills in 1..=4 {
        let reported = run_until_killed(&path, 150 * kills);
        known.extend(steps(&reported));
        assert!(known.len() > 20, "the child got to work: {reported:?}");
        let store = SqliteStore::open(&path, Mode::Serve, config()).unwrap();
        check(&store, &known).await;
        store.close().await.unwrap();
    }
    let store = SqliteStore::open(&path, Mode::Serve, config()).unwrap();
    finish(&store).await;
}

async fn all(store: &dyn Store) -> Vec<MessageView> {
    let range = store::MessageSpan::ALL;
    let filter = store::MessageFilter {
        limit: usize::MAX,
        count_max: u64::MAX,
        ..everything()
    };
    store.find(ACCOUNT, range, filter).await.unwrap().0
}

async fn check(store: &dyn Store, known: &BTreeMap<MessageId, (u8, String)>) {
    let views = all(store).await;
    let mut batches: BTreeMap<MessageId, Vec<&MessageView>> = BTreeMap::new();
    for view in &views {
        batches.entry(view.batch.id).or_default().push(view);
    }
    for (first, batch) in &batches {
        assert_eq!(batch.len() as u64, BATCH, "batch {first} is there whole");
    }
    let queued: HashSet<MessageId> = waiting(store, LANE)
        .await
        .iter()
        .map(|outgoing| outgoing.id)
        .collect();
    let open: BTreeSet<MessageId> = store
        .open_attempts()
        .await
        .unwrap()
        .iter()
        .flat_map(|a| a.messages.iter().map(|&(id, _)| id))
        .collect();
    for view in &views {
        let expected = match (queued.contains(&view.id), open.contains(&view.id)) {
            (true, false) => &[MessageState::Queued][..],
            (false, true) => &[MessageState::InFlight],
            (false, false) => &[MessageState::Submitted, MessageState::Delivered],
            (true, true) => panic!("{} waits and is in flight", view.id),
        };
        assert!(
            expected.contains(&view.state),
            "{} is {} but should be {expected:?}",
            view.id,
            view.state
        );
    }
    let counts = store.counts().await.unwrap();
    assert_eq!(
        (counts.queued, counts.in_flight),
        (queued.len() as u64, open.len() as u64)
    );

    check_events(store, &views).await;
    for (first, (step, key)) in known {
        let batch = batches
            .get(first)
            .unwrap_or_else(|| panic!("batch {first} was accepted and is gone"));
        for view in batch {
            let ended = view.id.0 % 2 == first.0 % 2 && *step == 3;
            let reached = match (step, view.state) {
                (0, _) => true,
                (1, state) => state != MessageState::Queued,
                (_, MessageState::Delivered) => true,
                (_, state) => state == MessageState::Submitted && !ended,
            };
            assert!(
                reached,
                "{} of {key} got to step {step} and is {}",
                view.id, view.state
            );
        }
        let again = AcceptCommand {
            idempotency: Some(remembered(key)),
            ..request(NOW, vec![batch_of_one()])
        };
        match store.accept(again).await.unwrap() {
            Accepted::Repeat { answer, .. } => assert_eq!(answer, first.to_string().into_bytes()),
            Accepted::New(_) => panic!("request {key} was not recognised"),
        }
    }
}

/// Each step has exactly one event, and is counted, if it is stored.
async fn check_events(store: &dyn Store, views: &[MessageView]) {
    let mut reported: BTreeMap<MessageId, Vec<MessageState>> = BTreeMap::new();
    for event in events_after(store, ACCOUNT, EventOffset::default(), EventKinds::ALL).await {
        match event.what {
            EventWhat::Accepted { first, count } => {
                assert_eq!(u64::from(count), BATCH);
                for n in 0..i64::from(count) {
                    assert_eq!(reported.insert(first.plus(n), vec![]), None);
                }
            }
            EventWhat::Message { id, state, .. } => reported.get_mut(&id).unwrap().push(state),
            other => panic!("{other:?}"),
        }
    }
    let states = |state| match state {
        MessageState::Submitted => vec![MessageState::Submitted],
        MessageState::Delivered => vec![MessageState::Submitted, MessageState::Delivered],
        _ => vec![],
    };
    let expected: BTreeMap<_, _> = views.iter().map(|view| (view.id, states(view.state))).collect();
    assert_eq!(reported, expected);

    let mut counts = BTreeMap::new();
    for view in views {
        let state = match view.state {
            MessageState::InFlight => MessageState::Queued,
            state => state,
        };
        *counts.entry(state).or_insert(0) += 1;
    }
    let rows = counted(store, all_counters()).await;
    let rows: BTreeMap<_, _> = rows.iter().map(|row| (row.state, row.messages)).collect();
    assert_eq!(rows, counts);
}

fn batch_of_one() -> store::NewBatch {
    batch(0..1)
}

/// Every message whose carrier id was recorded is found by it, whatever happened to the index on the way.
async fn finish(store: &dyn Store) {
    let waiting: Vec<MessageId> = all(store)
        .await
        .into_iter()
        .filter(|view| view.state == MessageState::Submitted)
        .map(|view| view.id)
        .collect();
    assert!(
        waiting.len() > 100,
        "only {} messages wait for a receipt",
        waiting.len()
    );
    let receipts = waiting
        .iter()
        .map(|id| receipt(&id.to_string(), ReceiptState::Delivered, NOW + 90))
        .collect::<Vec<_>>();
    let effects = store.record_receipts(receipts).await.unwrap();
    let expected: Vec<ReceiptEffect> = waiting
        .iter()
        .map(|&id| ReceiptEffect::Applied {
            id,
            state: MessageState::Delivered,
        })
        .collect();
    assert_eq!(effects, expected);
}
