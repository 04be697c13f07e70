//! Load for a node that was set up for trying out (`postrider dev`).
//!
//! `cargo run --release -p sim --example load -- --data postrider-data --dialect engagelab --recipients 1000 --requests 100`

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use sim::load::{Demo, Dialect, Load, Text, run};
use tokio_util::sync::CancellationToken;

/// Sends through a vendor's API and prints the results.
#[derive(Parser)]
struct Arguments {
    /// The folder with demo.json
    #[arg(long, default_value = "postrider-data")]
    data: PathBuf,
    /// Whose API
    #[arg(long, value_enum, default_value = "engagelab")]
    dialect: Api,
    /// What is sent
    #[arg(long, value_enum, default_value = "plain")]
    text: Kind,
    /// Recipients of each request
    #[arg(long, default_value_t = 1)]
    recipients: u64,
    /// Requests
    #[arg(long, default_value_t = 1_000)]
    requests: u64,
    /// Connections
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Requests a second; without, each follows the answer to the one before
    #[arg(long)]
    per_s: Option<f64>,
    /// Seconds at most
    #[arg(long, default_value_t = 60)]
    time_s: u64,
    /// Place of the first number, to go on where another load ended
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Share of requests sent again on purpose
    #[arg(long, default_value_t = 0.0)]
    repeat_share: f64,
    /// Where to write the result of each request, one JSON object a line
    #[arg(long)]
    ledger: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Api {
    Engagelab,
    Uspeedo,
    UspeedoAction,
    Sendcloud,
    Ucloud,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Code,
    Notice,
    Plain,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let dialect = match arguments.dialect {
        Api::Engagelab => Dialect::EngageLab,
        Api::Uspeedo => Dialect::UspeedoRest,
        Api::UspeedoAction => Dialect::UspeedoAction,
        Api::Sendcloud => Dialect::SendCloud,
        Api::Ucloud => Dialect::Ucloud,
    };
    let text = match arguments.text {
        Kind::Code => Text::Code,
        Kind::Notice => Text::Notice,
        Kind::Plain => Text::Plain,
    };
    let load = Load {
        texts: vec![text],
        recipients: arguments.recipients.clamp(1, dialect.recipients_max()),
        connections: arguments.connections.max(1),
        requests_max: arguments.requests,
        per_s: arguments.per_s,
        time_max: Duration::from_secs(arguments.time_s),
        first: arguments.first,
        name: format!("load-{:08x}", rand::random::<u32>()),
        repeat_share: arguments.repeat_share,
        remembers: arguments.ledger.is_some(),
        ..Load::new(Demo::read(&arguments.data)?, dialect)
    };
    let outcome = run(load, CancellationToken::new())
        .await
        .context("demo.json lacks the template")?;
    let latency = &outcome.latency_us;
    writeln!(
        std::io::stdout(),
        "{} requests accepted, {} refused, {} unanswered in {:.2} s: {:.0} requests/s\n\
         {} recipients accepted, {} refused; {} repeats, {} answered wrongly\n\
         answers: p50 {} us, p99 {} us, at most {} us",
        outcome.accepted,
        outcome.refused,
        outcome.unanswered,
        outcome.elapsed.as_secs_f64(),
        outcome.accepted_per_s(),
        outcome.recipients_accepted,
        outcome.recipients_refused,
        outcome.repeats,
        outcome.repeats_wrong,
        latency.quantile(0.5),
        latency.quantile(0.99),
        latency.max(),
    )?;
    for reason in &outcome.reasons {
        writeln!(std::io::stdout(), "  {reason}")?;
    }
    if let Some(path) = &arguments.ledger {
        let mut out =
            BufWriter::new(File::create(path).with_context(|| format!("writing {}", path.display()))?);
        outcome.write_ledger(&mut out)?;
        out.flush()?;
    }
    Ok(())
}
