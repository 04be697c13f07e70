//! An endpoint to be told events, with a line a second about what it took.
//!
//! ```sh
//! cargo run --release -p sim --example sink_alone -- --listen 127.0.0.1:2790
//! cargo run --release -p sim --example sink_alone -- --config bad-day.toml --seed 7
//! cargo run --release -p sim --example sink_alone -- --measure 100000 --connections 8
//! ```
//!
//! With `--measure` it is called from here, to tell what it can take itself: it must never be what is measured.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use sim::load::Wire;
use sim::sink::{Counts, Sink, SinkConfig, SinkHandle};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// An endpoint to be told events.
#[derive(Parser)]
struct Arguments {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:2790")]
    listen: SocketAddr,
    /// A TOML file with everything that can be set
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print all settings with their defaults and exit
    #[arg(long)]
    print_config: bool,
    /// What all chance is drawn from, to meet the same faults again
    #[arg(long)]
    seed: Option<u64>,
    /// Call it so often from here, and tell how fast it answers
    #[arg(long, value_name = "CALLS")]
    measure: Option<u64>,
    /// Connections that call it
    #[arg(long, default_value_t = 8)]
    connections: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut config = match &arguments.config {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
            toml::from_str(&text).with_context(|| format!("understanding {}", path.display()))?
        }
        None => SinkConfig::default(),
    };
    config.seed = arguments.seed.unwrap_or(config.seed);
    if arguments.print_config {
        return say(toml::to_string(&config)?.trim_end());
    }
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("listening on {}", arguments.listen))?;
    let sink = Sink::start(config, listener)?;
    say(&format!("{}, seed {}", sink.url(), sink.seed()))?;
    if let Some(calls) = arguments.measure {
        measure(&sink, calls, arguments.connections.max(1)).await?;
    } else {
        tokio::select! {
            ended = tokio::signal::ctrl_c() => ended?,
            told = narrate(&sink) => told?,
        }
    }
    sink.stop().await;
    say(&format!("in all: {}", line(&Counts::default(), &sink.counts())))
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Tells every second what happened in it, unless nothing did.
async fn narrate(sink: &SinkHandle) -> anyhow::Result<()> {
    let mut before = sink.counts();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = sink.counts();
        if now != before {
            say(&line(&before, &now))?;
        }
        before = now;
    }
}

/// What happened between two counts, in one line.
fn line(before: &Counts, now: &Counts) -> String {
    let counts = [
        ("taken", before.taken, now.taken),
        ("repeats", before.repeats, now.repeats),
        ("refused", before.refused, now.refused),
        ("redirected", before.redirected, now.redirected),
        ("hung", before.hung, now.hung),
        ("cut", before.cut, now.cut),
        ("not understood", before.malformed, now.malformed),
        ("connections", before.connections, now.connections),
    ];
    let more = counts
        .into_iter()
        .filter(|(_, before, now)| now > before)
        .map(|(name, before, now)| format!("{name} {}", now - before));
    more.collect::<Vec<_>>().join(" | ")
}

async fn measure(sink: &SinkHandle, calls: u64, connections: u64) -> anyhow::Result<()> {
    let url = sink.url();
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..connections {
        let url = url.clone();
        callers.spawn(async move {
            let mut wire = Wire::connect(&url, Duration::from_secs(30)).await?;
            for number in (caller..calls).step_by(usize::try_from(connections)?) {
                let to = sim::load::number(number);
                let body = format!(
                    r#"{{"type":"message.delivered","timestamp":"2026-11-24T00:00:00.000Z","data":{{"id":"1_1_1_1_abcdef$+{to}","to":"+{to}","state":"delivered"}}}}"#
                );
                let request = format!(
                    "POST /events HTTP/1.1\r\nHost: sink\r\nwebhook-id: evt_{number}\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                wire.exchange(request.as_bytes()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = callers.join_next().await {
        done??;
    }
    let seconds = began.elapsed().as_secs_f64();
    say(&format!(
        "{calls} calls over {connections} connections: {:.0}/s, caller and sink together",
        calls as f64 / seconds
    ))
}
