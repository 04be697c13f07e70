//! How fast the engine is without HTTP: batches accepted in process, a real store, a carrier on a loopback socket,
//! a receipt for every message.
//!
//! `cargo run --release -p engine --example engine_alone -- [MESSAGES] [BATCH] [BINDS] [WINDOW]`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    dead_code,
    reason = "a measuring tool, not the product"
)]

#[path = "../tests/testkit/mod.rs"]
mod testkit;

use engine::catalog::SmppSettings;
use std::time::{Duration, Instant};
use testkit::{Act, PLAIN, Smsc, TestEngine, numbers, smpp};

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>().unwrap());
    let messages = args.next().unwrap_or(200_000);
    let batch = args.next().unwrap_or(1_000);
    let binds = u16::try_from(args.next().unwrap_or(4)).unwrap();
    let window_max = u16::try_from(args.next().unwrap_or(500)).unwrap();
    let smsc = Smsc::start_quietly(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![SmppSettings {
        binds,
        window_max,
        ..smpp(smsc.port)
    }])
    .await;
    let to = numbers(batch);
    let started = Instant::now();
    let mut last = None;
    for _ in 0..messages.div_ceil(batch) {
        last = Some(test.send(PLAIN, &to).await);
    }
    let accepted = started.elapsed();
    let applied = || {
        let label = engine::metrics::ReceiptLabel {
            carrier: 1,
            result: "applied",
        };
        let unmatched = engine::metrics::ReceiptLabel {
            carrier: 1,
            result: "stored_unmatched",
        };
        let receipts = &test.engine.metrics().receipts;
        receipts.get_or_create(&label).get() + receipts.get_or_create(&unmatched).get()
    };
    while applied() < messages {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let all = started.elapsed();
    let rate = |time: Duration| messages as f64 / time.as_secs_f64();
    println!(
        "accepted {:.0}/s, to the last receipt {:.0}/s ({binds} binds, window {window_max}, batches of {batch})",
        rate(accepted),
        rate(all)
    );
    drop(last);
    test.engine.stop(Duration::from_secs(10)).await.unwrap();
}
