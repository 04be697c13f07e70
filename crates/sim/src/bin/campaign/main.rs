//! Runs of the whole product: the program itself, killed, cut off and loaded; the answers to its clients are compared with
//! what carriers received.
//!
//! ```sh
//! cargo build --release
//! cargo run --release -p sim --bin campaign -- crash --rounds 20
//! cargo run --release -p sim --bin campaign -- failover --away-s 10
//! cargo run --release -p sim --bin campaign -- bench --short
//! cargo run --release -p sim --bin campaign -- task --members 100000
//! cargo run --release -p sim --bin campaign -- soak --minutes 10
//! cargo run --release -p sim --bin campaign -- powercut --images 60
//! cargo run --release -p sim --bin campaign -- attack --short
//! ```
//!
//! Everything stays on loopback and is bounded in count and time. A seed is printed first; the same seed draws the same
//! faults. When something is wrong the folder with all logs and the store is kept and named.

mod accounts;
mod attack;
mod bench;
mod beside;
mod clients;
mod compare;
mod crash;
mod events;
mod failover;
mod folder;
mod metrics;
mod mixed;
mod node;
mod powercut;
mod quiescence;
mod report;
mod soak;
mod task;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

/// Runs of the whole product.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Crash(crash::CrashArgs),
    Failover(failover::FailoverArgs),
    Powercut(powercut::PowercutArgs),
    Bench(bench::BenchArgs),
    Task(task::TaskArgs),
    Soak(soak::SoakArgs),
    Attack(attack::AttackArgs),
    Attacker(attack::AttackerArgs),
}

/// Arguments of all campaigns.
#[derive(Args, Clone, Debug)]
struct Common {
    /// The program
    #[arg(long, env = "POSTRIDER", default_value = "target/release/postrider")]
    postrider: PathBuf,
    /// Settings of the program that differ, in TOML: sections beside `[api]`, `[metrics]`, `[store]`, `[secrets]` and `[log]`
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Where folders are made
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Keep the folder also when all is well
    #[arg(long)]
    keep: bool,
    /// Seed of all random decisions, to repeat the same faults
    #[arg(long)]
    seed: Option<u64>,
}

impl Common {
    /// The settings that differ.
    fn settings(&self) -> anyhow::Result<String> {
        match &self.settings {
            Some(path) => {
                std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
            }
            None => Ok(String::new()),
        }
    }

    fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()))
    }
}

/// A line on standard output.
fn say(text: &str) {
    // A closed standard output is no reason to stop.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Crash(args) => crash::run(args).await,
            Command::Failover(args) => failover::run(args).await,
            Command::Powercut(args) => powercut::run(args).await,
            Command::Bench(args) => bench::run(args).await,
            Command::Task(args) => task::run(args).await,
            Command::Soak(args) => soak::run(args).await,
            Command::Attack(args) => attack::run(args).await,
            Command::Attacker(args) => attack::run_attacker(args).await,
        }
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("the campaign could not be run: {error:#}"));
            ExitCode::from(2)
        }
    }
}
