//! The cost of a webhook for the end of every message, and a million events that wait for an endpoint.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::Size;
use super::backlog::{MIB, watched};
use super::figures::Figures;
use super::scenario::{Scenario, WEBHOOK_ACCOUNT};
use super::through::send_batches;

/// How often batches are sent without and with webhooks, in turns: what else the machine does meets both.
const PAIRS: u64 = 3;

/// Batches of 1000 for an account with a webhook for every message, beside the same for one without.
pub(super) async fn beside(scenario: &mut Scenario, size: Size, figures: &mut Figures) -> anyhow::Result<()> {
    let batches = (size.batches / PAIRS).max(1);
    for _ in 0..PAIRS {
        let without = send_batches(scenario, 0, batches).await?;
        let received_before = scenario.endpoint.sink.counts().events;
        let began = Instant::now();
        let with = send_batches(scenario, WEBHOOK_ACCOUNT, batches).await?;
        scenario.until_events(received_before + with.messages).await?;
        let webhooks_s = began.elapsed().as_secs_f64();
        figures.add(
            "batches of 1000, one webhook a message: first request to last receipt",
            "messages/s",
            with.per_s(),
        );
        figures.add(
            "the same without webhooks, in turns with it",
            "messages/s",
            without.per_s(),
        );
        figures.add(
            "with webhooks, of what is sent without",
            "%",
            100.0 * with.per_s() / without.per_s(),
        );
        figures.add(
            "one webhook a message: first request to last event",
            "events/s",
            with.messages as f64 / webhooks_s,
        );
        figures.add(
            "one webhook a message: the program's processor time until the last receipt",
            "us/message",
            with.cpu_us_each(),
        );
    }
    Ok(())
}

/// The endpoint is away while messages end, and comes back.
pub(super) async fn backlog(
    scenario: &mut Scenario,
    size: Size,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let sink = scenario.endpoint.sink.clone();
    let received_before = sink.counts();
    let resident_before = scenario.node.resident().map_or(0, |(now, _)| now);
    sink.leave();
    let sent = send_batches(scenario, WEBHOOK_ACCOUNT, size.backlog).await?;
    let resident_waiting = scenario.node.resident().map_or(0, |(now, _)| now);
    sink.come_back();
    let most = AtomicU64::new(resident_waiting);
    // The measurement begins with the first event; how soon the endpoint is tried again is a setting.
    watched(scenario, &most, scenario.until_events(received_before.events + 1)).await?;
    let began = Instant::now();
    watched(
        scenario,
        &most,
        scenario.until_events(received_before.events + sent.messages),
    )
    .await?;
    let seconds = began.elapsed().as_secs_f64();
    let repeats = sink.counts().repeats - received_before.repeats;
    figures.add(
        "events waiting for an endpoint that is away",
        "events",
        sent.messages as f64,
    );
    figures.add(
        "messages sent meanwhile: first request to last receipt",
        "messages/s",
        sent.per_s(),
    );
    figures.add(
        "events waiting: memory before",
        "MiB",
        resident_before as f64 / MIB,
    );
    figures.add(
        "events waiting: memory with all of them",
        "MiB",
        resident_waiting as f64 / MIB,
    );
    figures.add(
        "events waiting: memory at most while they drain",
        "MiB",
        most.load(Ordering::Relaxed) as f64 / MIB,
    );
    figures.add(
        "events waiting: drained once it is back",
        "events/s",
        sent.messages as f64 / seconds,
    );
    figures.add(
        "events waiting: delivered more than once",
        "events",
        repeats as f64,
    );
    Ok(())
}
