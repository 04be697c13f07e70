//! A million messages wait for a carrier that is away; it comes back, and codes are sent while they drain.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sim::histogram::Histogram;
use sim::load::{Dialect, Load, Outcome, Text, number};
use sim::smsc::{Filter, Order, SmscHandle};
use tokio_util::sync::CancellationToken;

use super::Size;
use super::figures::Figures;
use super::scenario::{KEPT_FIRST, Scenario};
use super::through::{expect, send};

/// Codes a second while the backlog drains.
const CODES_PER_S: f64 = 50.0;

pub(super) const MIB: f64 = 1024.0 * 1024.0;

pub(super) async fn backlog(
    scenario: &mut Scenario,
    size: Size,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let messages = size.backlog * 1_000;
    let smsc = scenario.carrier.smsc.clone();
    let resident_before = scenario.node.resident().map_or(0, |(now, _)| now);
    smsc.control(Order::Leave)?;
    let load = Load {
        recipients: 1_000,
        connections: 4,
        requests_max: size.backlog,
        time_max: Duration::from_secs(600),
        first: scenario.numbers(messages),
        name: "backlog".to_owned(),
        ..Load::new(scenario.node.settings.demo(0), Dialect::EngageLab)
    };
    let most = Arc::new(AtomicU64::new(0));
    let outcome = watched(scenario, &most, send(load)).await?;
    expect(&outcome, messages)?;
    figures.add(
        "backlog: accepted while the carrier is away",
        "recipients/s",
        messages as f64 / outcome.elapsed.as_secs_f64(),
    );

    let drained = CancellationToken::new();
    let codes = Load {
        texts: vec![Text::Code],
        connections: 16,
        requests_max: KEPT_FIRST,
        time_max: Duration::from_secs(900),
        per_s: Some(CODES_PER_S),
        first: KEPT_FIRST,
        name: "codes".to_owned(),
        remembers: true,
        ..Load::new(scenario.node.settings.demo(1), Dialect::EngageLab)
    };
    let before = smsc.counts().taken;
    smsc.control(Order::Return)?;
    // The drain begins with the first message; how soon the carrier is tried again is a setting.
    scenario
        .until("the first message", before + 1, |counts| counts.taken)
        .await?;
    let codes = tokio::spawn(sim::load::run(codes, drained.clone()));
    let began = Instant::now();
    let draining = async {
        scenario
            .until("the backlog", before + messages, |counts| counts.taken)
            .await
    };
    watched(scenario, &most, draining).await?;
    let seconds = began.elapsed().as_secs_f64();
    drained.cancel();
    let codes = codes.await?.unwrap_or_default();
    scenario
        .until(
            "the codes",
            before + messages + codes.recipients_accepted,
            |counts| counts.taken,
        )
        .await?;
    let waits = waits_ms(&codes, &smsc);
    figures.add("backlog: drained", "messages/s", messages as f64 / seconds);
    figures.add("backlog: memory before", "MiB", resident_before as f64 / MIB);
    figures.add(
        "backlog: memory at most",
        "MiB",
        most.load(Ordering::Relaxed) as f64 / MIB,
    );
    figures.add(
        "a code sent meanwhile: request to carrier p50",
        "ms",
        waits.quantile(0.5) as f64,
    );
    figures.add(
        "a code sent meanwhile: request to carrier p99",
        "ms",
        waits.quantile(0.99) as f64,
    );
    figures.add(
        "a code sent meanwhile: answer p99",
        "ms",
        codes.latency_us.quantile(0.99) as f64 / 1e3,
    );
    figures.add("codes sent meanwhile", "codes", waits.len() as f64);
    let smsc = &scenario.carrier.smsc;
    let acknowledged = smsc.counts().receipts_planned;
    scenario
        .until("receipts", acknowledged, |counts| counts.receipts_acknowledged)
        .await?;
    Ok(())
}

/// Does something, and sees how much memory the node has meanwhile.
pub(super) async fn watched<T>(
    scenario: &Scenario,
    most: &AtomicU64,
    doing: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::pin!(doing);
    loop {
        if let Some((now, _)) = scenario.node.resident() {
            most.fetch_max(now, Ordering::Relaxed);
        }
        tokio::select! {
            done = &mut doing => return done,
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
}

/// Milliseconds from when each code's request was due to its `submit_sm` at the carrier.
fn waits_ms(codes: &Outcome, smsc: &SmscHandle) -> Histogram {
    let all = Filter {
        limit: usize::MAX,
        ..Filter::default()
    };
    let arrivals = smsc.messages(&all).into_iter().filter_map(|message| {
        Some((
            message.destination.parse::<u64>().ok()?,
            smsc.started_unix_ms() + message.at_ms,
        ))
    });
    let arrivals: HashMap<u64, u64> = arrivals.collect();
    let mut waits = Histogram::default();
    for result in &codes.results {
        if let Some(arrived) = arrivals.get(&number(result.first)) {
            waits.record(arrived.saturating_sub(result.due_unix_ms));
        }
    }
    waits
}
