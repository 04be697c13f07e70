//! What the store alone can do: the whole row work of messages' lives, without network or engine.
//!
//! `cargo run --release -p store --example store_alone -- --messages 2000000 --batch 1000`
//!
//! Several lives run beside each other, as they do in a server, so that groups form. `--counted 0` leaves the
//! messages uncounted once they are accepted, `--endpoint 1` logs an event for each message that ends, and
//! `--dimensions` says among how many series the batches are spread.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use sms::class::{Class, Kind};
use sms::phone::Msisdn;
use sms::receipt::CarrierId;
use sms::state::ReceiptState;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{
    AcceptCommand, Accepted, AccountId, Answer, AttemptOutcome, AttemptStart, CarrierNo, CarrierReceipt,
    CatalogChange, Charge, DequeuedRange, Dialect, Endpoint, EndpointId, EventKinds, NewBatch, NewMessage,
    Next, OnCommit, ReceiptEffect, RecordResults, SegmentAnswer, StatsKey, Store, SuppressedPolicy,
};

const USAGE: &str = "store_alone [--messages N] [--batch N] [--preload N] [--lives N] [--singles N] [--unknown N] \
                     [--counted 0|1] [--endpoint 0|1] [--series N] [--path FILE]";
const NOW: i64 = 1_795_305_600_000;

struct Arguments {
    messages: u64,
    batch: u64,
    preload: u64,
    lives: u64,
    singles: u64,
    unknown: u64,
    counted: u64,
    endpoint: u64,
    dimensions: u64,
    path: Option<PathBuf>,
}

/// What lives have in common.
#[derive(Clone, Copy)]
struct How {
    counted: bool,
    dimensions: u64,
}

impl Arguments {
    fn read() -> Result<Self, String> {
        let mut arguments = Self {
            messages: 1_000_000,
            batch: 1_000,
            preload: 0,
            lives: 4,
            singles: 0,
            unknown: 0,
            counted: 1,
            endpoint: 0,
            dimensions: 1,
            path: None,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next().ok_or(USAGE)?;
            let number = || {
                value
                    .parse::<u64>()
                    .map_err(|error| format!("{word} {value}: {error}\n{USAGE}"))
            };
            match word.as_str() {
                "--messages" => arguments.messages = number()?,
                "--batch" => arguments.batch = number()?.max(1),
                "--preload" => arguments.preload = number()?,
                "--lives" => arguments.lives = number()?.max(1),
                "--singles" => arguments.singles = number()?,
                "--unknown" => arguments.unknown = number()?,
                "--counted" => arguments.counted = number()?,
                "--endpoint" => arguments.endpoint = number()?,
                "--series" => arguments.dimensions = number()?.max(1),
                "--path" => arguments.path = Some(value.into()),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(arguments)
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), String> {
    let arguments = Arguments::read()?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = arguments
        .path
        .clone()
        .unwrap_or_else(|| folder.path().join("alone.db"));
    let store =
        SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).map_err(|error| error.to_string())?;
    let store = Arc::new(store);
    let next = Arc::new(AtomicU64::new(0));
    println!("opened; {}", resident());
    let how = How {
        counted: arguments.counted > 0,
        dimensions: arguments.dimensions,
    };
    if arguments.endpoint > 0 {
        listen(&store).await.map_err(|error| error.to_string())?;
    }
    if arguments.preload > 0 {
        lives(
            &store,
            &next,
            arguments.preload,
            1_000,
            arguments.lives,
            how,
            "preload",
        )
        .await;
    }
    if arguments.messages > 0 {
        lives(
            &store,
            &next,
            arguments.messages,
            arguments.batch,
            arguments.lives,
            how,
            "whole lives",
        )
        .await;
    }
    if arguments.singles > 0 {
        singles(&store, &next, arguments.singles).await;
    }
    if arguments.unknown > 0 {
        unknown(
            &store,
            arguments.unknown,
            NOW + (next.load(Ordering::Relaxed) / 100).cast_signed(),
        )
        .await;
    }
    println!("{:#?}", store.metrics());
    println!("resident: {}", resident());
    store.close().await.map_err(|error| error.to_string())?;
    let size = std::fs::metadata(&path).map_or(0, |file| file.len());
    println!("file: {} MB", size >> 20);
    Ok(())
}

/// Adds an endpoint that subscribes to the final states of messages.
async fn listen(store: &SqliteStore) -> Result<(), store::StoreError> {
    let endpoint = Endpoint {
        id: EndpointId(1),
        account: AccountId(1),
        name: "hook".into(),
        format: "standard".into(),
        url: "https://example.com".into(),
        kinds: EventKinds::ENDED,
        settings: serde_json::Value::Null,
        sealed_secret: Vec::new(),
        enabled: true,
    };
    store
        .change_catalog(vec![CatalogChange::PutEndpoint(endpoint)])
        .await
        .map(drop)
}

/// Runs whole lives of `messages` messages, `lives` batches at a time.
async fn lives(
    store: &Arc<SqliteStore>,
    next: &Arc<AtomicU64>,
    messages: u64,
    batch: u64,
    lives: u64,
    how: How,
    what: &str,
) {
    let started = Instant::now();
    let end = next.load(Ordering::Relaxed) + messages;
    let tasks: Vec<_> = (0..lives)
        .map(|_| {
            let (store, next) = (Arc::clone(store), Arc::clone(next));
            tokio::spawn(async move {
                loop {
                    let first = next.fetch_add(batch, Ordering::Relaxed);
                    if first >= end {
                        return;
                    }
                    life(&store, first, batch, how).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{what}: {messages} messages in {seconds:.2} s: {:.0}/s",
        messages as f64 / seconds
    );
}

/// One batch from being accepted to its receipts.
async fn life(store: &SqliteStore, first: u64, batch: u64, how: How) {
    let now = NOW + (first / 100).cast_signed();
    let Accepted::New(outcome) = store
        .accept(request(first, batch, how.dimensions, now))
        .await
        .unwrap()
    else {
        return;
    };
    let queued = outcome.queued[0];
    let stats_key = if how.counted {
        StatsKey {
            dimensions: outcome.batches[0].dimensions,
            country: 1,
            segments: 1,
        }
    } else {
        StatsKey::default()
    };
    let ids: Vec<_> = (0..batch.cast_signed()).map(|n| queued.first.plus(n)).collect();
    let start = AttemptStart {
        carrier: CarrierNo(1),
        bind: 1,
        now: now + 1,
        messages: ids.clone(),
        consumed: vec![DequeuedRange {
            key: queued.key,
            first: queued.first,
            last: queued.last,
        }],
    };
    let attempt = store.begin_attempts(vec![start]).await.unwrap()[0].id;
    let carrier_id =
        |n: u64| CarrierId::new(&format!("{:x}", (first + n).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let outcomes = ids.iter().zip(0u64..).map(|(&id, n)| AttemptOutcome {
        id,
        attempt,
        carrier: CarrierNo(1),
        attempts: 1,
        attempted_at: now + 1,
        answered_at: now + 30,
        answer: Answer::Single(SegmentAnswer {
            status: 0,
            carrier_id: Some(carrier_id(n)),
        }),
        next: Next::Submitted,
        stats_key,
    });
    let results = RecordResults {
        outcomes: outcomes.collect(),
        closed: vec![attempt],
    };
    store.record_results(results).await.unwrap();
    let receipts = (0..batch).map(|n| {
        CarrierReceipt::new(
            CarrierNo(1),
            carrier_id(n),
            ReceiptState::Delivered,
            "000".into(),
            now + 2_000,
        )
    });
    let effects = store.record_receipts(receipts.collect()).await.unwrap();
    assert!(
        effects
            .iter()
            .all(|effect| matches!(effect, ReceiptEffect::Applied { .. }))
    );
}

fn request(first: u64, messages: u64, dimensions: u64, now: i64) -> AcceptCommand {
    let message = |n: u64| {
        let msisdn = Msisdn::from_u64(15_550_000_000 + (first + n) * 7_919 % 9_999_991).unwrap();
        NewMessage {
            msisdn,
            written: format!("+{msisdn}").into(),
            params: Some(format!("[\"{:06}\"]", (first + n) % 1_000_000).into()),
            extra: None,
            carrier: CarrierNo(1),
            segments: 1,
            failure: None,
        }
    };
    AcceptCommand {
        account: AccountId(1),
        dialect: Dialect::UspeedoRest,
        user: "".into(),
        now,
        batches: vec![NewBatch {
            opens_session: true,
            class: Class::Notice,
            kind: Kind::Text,
            message_type: None,
            template: 1,
            text: "[Example] Your code is {1}. It is valid for five minutes.".into(),
            sender: None,
            label: (first / messages % dimensions).cast_signed(),
            custom: None,
            due: None,
            expires_at: None,
            messages: (0..messages).map(message).collect(),
        }],
        idempotency: None,
        caps: None,
        charge: Charge::Free,
        suppressed: SuppressedPolicy::Refuse,
        step: None,
        on_commit: OnCommit(None),
    }
}

/// Single-message accepts from 64 concurrent callers.
async fn singles(store: &Arc<SqliteStore>, next: &Arc<AtomicU64>, count: u64) {
    let started = Instant::now();
    let end = next.load(Ordering::Relaxed) + count;
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (store, next) = (Arc::clone(store), Arc::clone(next));
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= end {
                        return;
                    }
                    store
                        .accept(request(n, 1, 1, NOW + (n / 10).cast_signed()))
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "singles: {count} accepts in {seconds:.2} s: {:.0}/s",
        count as f64 / seconds
    );
}

/// Receipts that name no message: each looks in all runs and is stored as unmatched.
async fn unknown(store: &SqliteStore, count: u64, now: i64) {
    let started = Instant::now();
    for first in (0..count).step_by(1_000) {
        let receipts = (first..first + 1_000).map(|n| {
            let id = CarrierId::new(&format!("nobody-{n}"));
            CarrierReceipt::new(CarrierNo(2), id, ReceiptState::Delivered, "000".into(), now)
        });
        store.record_receipts(receipts.collect()).await.unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "unknown receipts: {count} in {seconds:.2} s: {:.0}/s",
        count as f64 / seconds
    );
}

/// Resident memory of this process, the benchmark's own included (Linux; empty elsewhere).
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status
        .lines()
        .filter(|line| line.starts_with("VmHWM") || line.starts_with("Rss"));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join(", ")
}
