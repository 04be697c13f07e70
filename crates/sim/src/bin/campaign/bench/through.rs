//! Through the whole product: from the first request to the last receipt.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sim::load::{Dialect, Load, Outcome, Text};
use tokio_util::sync::CancellationToken;

use super::Size;
use super::figures::Figures;
use super::scenario::Scenario;

/// What sending batches came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) messages: u64,
    accepting_s: f64,
    /// From the first request to the last receipt.
    whole_s: f64,
    cpu_us: f64,
    answer_p99_ms: f64,
}

impl Sent {
    /// Messages a second, from the first request to the last receipt.
    pub(super) fn per_s(&self) -> f64 {
        self.messages as f64 / self.whole_s
    }

    /// Microseconds of the program's processor time for a message.
    pub(super) fn cpu_us_each(&self) -> f64 {
        self.cpu_us / self.messages as f64
    }
}

/// Sends batches of 1000 recipients for an account and waits for the last receipt.
pub(super) async fn send_batches(
    scenario: &mut Scenario,
    account: u32,
    batches: u64,
) -> anyhow::Result<Sent> {
    let messages = batches * 1_000;
    let load = Load {
        recipients: 1_000,
        connections: 4,
        requests_max: batches,
        time_max: Duration::from_secs(600),
        first: scenario.numbers(messages),
        name: format!("batches-{}", scenario.next),
        ..Load::new(scenario.node.settings.demo(account), Dialect::EngageLab)
    };
    let before = scenario.carrier.smsc.counts().receipts_acknowledged;
    let cpu_before = scenario.node.cpu_s();
    let began = Instant::now();
    let outcome = send(load).await?;
    expect(&outcome, messages)?;
    scenario
        .until("receipts", before + messages, |counts| {
            counts.receipts_acknowledged
        })
        .await?;
    let cpu_us = scenario
        .node
        .cpu_s()
        .zip(cpu_before)
        .map_or(f64::NAN, |(after, before)| (after - before) * 1e6);
    Ok(Sent {
        messages,
        accepting_s: outcome.elapsed.as_secs_f64(),
        whole_s: began.elapsed().as_secs_f64(),
        cpu_us,
        answer_p99_ms: outcome.latency_us.quantile(0.99) as f64 / 1e3,
    })
}

/// Batches of 1000 recipients, as campaigns are sent.
pub(super) async fn batches(
    scenario: &mut Scenario,
    size: Size,
    when: &str,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let sent = send_batches(scenario, 0, size.batches).await?;
    figures.add(
        format!("batches of 1000: accepted{when}"),
        "recipients/s",
        sent.messages as f64 / sent.accepting_s,
    );
    figures.add(
        format!("batches of 1000: first request to last receipt{when}"),
        "messages/s",
        sent.per_s(),
    );
    figures.add(
        format!("batches of 1000: the program's processor time{when}"),
        "us/message",
        sent.cpu_us_each(),
    );
    figures.add(
        format!("batches of 1000: answer p99{when}"),
        "ms",
        sent.answer_p99_ms,
    );
    Ok(())
}

/// Requests with one recipient over 64 connections, as codes are sent.
pub(super) async fn singles(
    scenario: &mut Scenario,
    size: Size,
    when: &str,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    const ROOM: u64 = 20_000_000;
    let load = Load {
        texts: vec![Text::Code],
        connections: 64,
        requests_max: ROOM,
        time_max: Duration::from_secs(size.singles_s),
        first: scenario.numbers(ROOM),
        name: format!("singles-{}", scenario.next),
        ..Load::new(scenario.node.settings.demo(0), Dialect::EngageLab)
    };
    let before = scenario.carrier.smsc.counts();
    let began = Instant::now();
    let outcome = send(load).await?;
    let messages = outcome.recipients_accepted;
    expect(&outcome, messages)?;
    scenario
        .until("submits", before.taken + messages, |counts| counts.taken)
        .await?;
    let sent = began.elapsed().as_secs_f64();
    scenario
        .until("receipts", before.receipts_acknowledged + messages, |counts| {
            counts.receipts_acknowledged
        })
        .await?;
    let whole = began.elapsed().as_secs_f64();
    let latency = &outcome.latency_us;
    figures.add(
        format!("single requests, 64 connections: accepted{when}"),
        "requests/s",
        outcome.accepted_per_s(),
    );
    figures.add(
        format!("single requests: sent{when}"),
        "messages/s",
        messages as f64 / sent,
    );
    figures.add(
        format!("single requests: first request to last receipt{when}"),
        "messages/s",
        messages as f64 / whole,
    );
    figures.add(
        format!("single requests: answer p50{when}"),
        "ms",
        latency.quantile(0.5) as f64 / 1e3,
    );
    figures.add(
        format!("single requests: answer p99{when}"),
        "ms",
        latency.quantile(0.99) as f64 / 1e3,
    );
    Ok(())
}

pub(super) async fn send(load: Load) -> anyhow::Result<Outcome> {
    let sent = sim::load::run(load, CancellationToken::new()).await;
    sent.context("the catalog lacks a template")
}

/// A measurement of something that was refused is none.
pub(super) fn expect(outcome: &Outcome, messages: u64) -> anyhow::Result<()> {
    let Outcome {
        recipients_accepted,
        recipients_refused,
        unanswered,
        reasons,
        ..
    } = outcome;
    if *recipients_accepted != messages || *unanswered > 0 || *recipients_refused > 0 {
        bail!(
            "of {messages} recipients {recipients_accepted} were accepted, {recipients_refused} refused: {reasons:?}"
        );
    }
    Ok(())
}
