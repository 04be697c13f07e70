//! What the parts can do alone: nothing that stands on them can be faster.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sim::load::{CallLoad, SubmitLoad, Wire, call, submit};
use sim::sink::SinkConfig;
use sim::smsc::{CountBy, SmscConfig, Span};
use tokio::task::JoinSet;

use super::figures::Figures;
use super::scenario::Scenario;
use super::{BenchArgs, Size};
use crate::beside::{Carrier, Endpoint};

/// The store's own example: whole lives of messages, and single ones accepted from 64 callers.
pub(super) fn store(args: &BenchArgs, size: Size, figures: &mut Figures) -> anyhow::Result<()> {
    let messages = size.alone.to_string();
    let singles = (size.alone / 10).to_string();
    let done = Command::new(&args.store_alone)
        .args(["--messages", &messages, "--batch", "1000", "--singles", &singles])
        .output()
        .with_context(|| {
            format!(
                "running {}: build it, or name it with --store-alone",
                args.store_alone.display()
            )
        })?;
    if !done.status.success() {
        bail!(
            "the store alone failed: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
    let text = String::from_utf8_lossy(&done.stdout);
    for (line, what, unit) in [
        (
            "whole lives",
            "ceiling: store alone, whole lives in batches of 1000",
            "messages/s",
        ),
        (
            "singles",
            "ceiling: store alone, single accepts from 64 callers",
            "messages/s",
        ),
    ] {
        figures.add(
            what,
            unit,
            rate(&text, line).with_context(|| format!("no rate of {line} in: {text}"))?,
        );
    }
    Ok(())
}

/// The last number of a line such as `whole lives: 100 messages in 2.00 s: 50/s`.
fn rate(text: &str, line: &str) -> Option<f64> {
    let line = text.lines().find(|found| found.starts_with(line))?;
    line.strip_suffix("/s")?.rsplit(' ').next()?.parse().ok()
}

/// The SMPP client against the simulator, with receipts.
pub(super) async fn smpp(size: Size, figures: &mut Figures) -> anyhow::Result<()> {
    let mut config = SmscConfig {
        count_by: CountBy::Destination,
        kept_max: 0,
        ..SmscConfig::default()
    };
    config.behaviour.receipts.delay_ms = Span::fixed(10);
    let carrier = Carrier::start(config)?;
    for receipts in [false, true] {
        let address = carrier.address().to_string();
        let load = SubmitLoad {
            address,
            messages: size.alone,
            binds: 4,
            window: 500,
            receipts,
        };
        let elapsed = submit(load).await?;
        let what = if receipts {
            "with receipts"
        } else {
            "without receipts"
        };
        let rate = size.alone as f64 / elapsed.as_secs_f64();
        figures.add(
            format!("ceiling: SMPP client to simulator, {what}"),
            "messages/s",
            rate,
        );
    }
    carrier.stop().await
}

/// Callers against the webhook sink.
pub(super) async fn sink(size: Size, figures: &mut Figures) -> anyhow::Result<()> {
    const CONNECTIONS: usize = 16;
    let endpoint = Endpoint::start(SinkConfig::default())?;
    let calls = size.alone / 2;
    let load = CallLoad {
        url: endpoint.sink.url(),
        calls,
        connections: CONNECTIONS,
    };
    let elapsed = call(load).await?;
    figures.add(
        format!("ceiling: webhook sink, {CONNECTIONS} connections"),
        "events/s",
        calls as f64 / elapsed.as_secs_f64(),
    );
    endpoint.stop().await
}

/// The node's HTTP side with a request that needs no store, over 64 connections.
pub(super) async fn http(scenario: &Scenario, size: Size, figures: &mut Figures) -> anyhow::Result<()> {
    const CONNECTIONS: usize = 64;
    const TIMEOUT: Duration = Duration::from_secs(30);
    const REQUEST: &[u8] = b"GET /smsapi/timestamp/get HTTP/1.1\r\nHost: postrider\r\n\r\n";
    let url = format!("http://{}", scenario.node.settings.api);
    let until = Instant::now() + Duration::from_secs(size.singles_s.min(5));
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let url = url.clone();
        clients.spawn(async move {
            let mut wire = Wire::connect(&url, TIMEOUT).await?;
            let mut answers: u64 = 0;
            while Instant::now() < until {
                let exchange = wire.exchange(REQUEST).await?;
                answers += u64::from(exchange.status == 200);
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = 0;
    while let Some(done) = clients.join_next().await {
        answers += done??;
    }
    let rate = answers as f64 / began.elapsed().as_secs_f64();
    figures.add("ceiling: HTTP alone, 64 connections", "requests/s", rate);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_stands_at_the_end_of_its_line() {
        let text = "preload: 5 messages in 1.00 s: 5/s\nwhole lives: 100 messages in 2.00 s: 50/s\n";
        assert_eq!(rate(text, "whole lives"), Some(50.0));
        assert_eq!(rate(text, "singles"), None);
    }
}
