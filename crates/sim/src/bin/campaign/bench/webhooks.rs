//! What it costs to tell an endpoint how every message ended, and a million events that wait for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::Size;
use super::backlog::{MIB, watched};
use super::figures::Figures;
use super::scene::{Scene, TOLD_ACCOUNT};
use super::through::send_batches;

/// How often batches are sent without and with webhooks, in turns: what else the machine does meets both.
const PAIRS: u64 = 3;

/// Batches of 1000 for an account that is told of every message, beside the same for one that is not.
pub(super) async fn beside(scene: &mut Scene, size: Size, figures: &mut Figures) -> anyhow::Result<()> {
    let batches = (size.batches / PAIRS).max(1);
    for _ in 0..PAIRS {
        let without = send_batches(scene, 0, batches).await?;
        let told_before = scene.endpoint.sink.counts().events;
        let began = Instant::now();
        let with = send_batches(scene, TOLD_ACCOUNT, batches).await?;
        scene.until_told(told_before + with.messages).await?;
        let telling_s = began.elapsed().as_secs_f64();
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
            "one webhook a message: first request to last event told",
            "events/s",
            with.messages as f64 / telling_s,
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
pub(super) async fn backlog(scene: &mut Scene, size: Size, figures: &mut Figures) -> anyhow::Result<()> {
    let sink = scene.endpoint.sink.clone();
    let told_before = sink.counts();
    let resident_before = scene.node.resident().map_or(0, |(now, _)| now);
    sink.leave();
    let sent = send_batches(scene, TOLD_ACCOUNT, size.backlog).await?;
    let resident_waiting = scene.node.resident().map_or(0, |(now, _)| now);
    sink.come_back();
    let most = AtomicU64::new(resident_waiting);
    // Telling begins with the first event; how soon the endpoint is tried again is a setting.
    watched(scene, &most, scene.until_told(told_before.events + 1)).await?;
    let began = Instant::now();
    watched(scene, &most, scene.until_told(told_before.events + sent.messages)).await?;
    let seconds = began.elapsed().as_secs_f64();
    let repeats = sink.counts().repeats - told_before.repeats;
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
        "events waiting: memory at most while they are told",
        "MiB",
        most.load(Ordering::Relaxed) as f64 / MIB,
    );
    figures.add(
        "events waiting: told once it is back",
        "events/s",
        sent.messages as f64 / seconds,
    );
    figures.add("events waiting: told more than once", "events", repeats as f64);
    Ok(())
}
