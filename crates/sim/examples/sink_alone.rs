//! A webhook endpoint, with a line a second about what it took.
//!
//! ```sh
//! cargo run --release -p sim --example sink_alone -- --listen 127.0.0.1:2790
//! cargo run --release -p sim --example sink_alone -- --config bad-endpoint.toml --seed 7
//! cargo run --release -p sim --example sink_alone -- --measure 100000 --connections 8
//! ```
//!
//! With `--measure` it is called from here, to measure its own capacity: it must never be the bottleneck of a measurement.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use sim::load::{CallLoad, call};
use sim::sink::{Counts, Sink, SinkConfig, SinkHandle};
use tokio::net::TcpListener;

/// A webhook endpoint.
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
    /// Seed of all random decisions, to repeat the same faults
    #[arg(long)]
    seed: Option<u64>,
    /// Call it so often from here, and print the rate of its answers
    #[arg(long, value_name = "CALLS")]
    measure: Option<u64>,
    /// Connections that call it
    #[arg(long, default_value_t = 8)]
    connections: usize,
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
        measure(&sink, calls, arguments.connections).await?;
    } else {
        tokio::select! {
            ended = tokio::signal::ctrl_c() => ended?,
            narrated = narrate(&sink) => narrated?,
        }
    }
    sink.stop().await;
    say(&format!("in all: {}", line(&Counts::default(), &sink.counts())))
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Prints a line each second in which a count has changed.
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

async fn measure(sink: &SinkHandle, calls: u64, connections: usize) -> anyhow::Result<()> {
    let load = CallLoad {
        url: sink.url(),
        calls,
        connections,
    };
    let elapsed = call(load).await?;
    say(&format!(
        "{calls} calls over {connections} connections: {:.0}/s, caller and sink together",
        calls as f64 / elapsed.as_secs_f64()
    ))
}
