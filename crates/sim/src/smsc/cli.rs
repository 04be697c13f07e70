//! The simulator as a command: `postrider sim`.

use std::fmt::Write as _;
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;

use super::behaviour::Span;
use super::config::SmscConfig;
use super::ledger::Counts;
use super::{Smsc, SmscHandle, http};

/// What the file of `--config` has, shown under `--help`.
const FILE: &str = "\
All other settings stand in the file that --config names; --print-config prints every one of them with its default. \
Its tables are `users` (who may bind), `ids` (how message ids are written), and under `behaviour`: `binds`, `answers`, \
`limits` (throttling, full queues), `receipts` (late, early, doubled, shuffled, never), `faults` (lost connections, \
garbage), `mo` (inbound messages) and `rules` (by number, text or share). crates/sim/README.md has an example.";

/// Runs a carrier to test against.
///
/// It accepts any bind, takes every message and reports it delivered, unless a file or an option says otherwise.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = FILE)]
pub struct SimArgs {
    /// Where to listen for SMPP
    #[arg(long, default_value = "127.0.0.1:2775", value_parser = crate::address::listen_address)]
    pub listen: SocketAddr,
    /// Where to listen for control over HTTP; it is not authenticated
    #[arg(long, default_value = "127.0.0.1:2780", value_parser = crate::address::listen_address)]
    pub control: SocketAddr,
    /// No control port
    #[arg(long, conflicts_with = "control")]
    pub no_control: bool,
    /// A TOML file with everything that can be set
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print all settings with their defaults and exit
    #[arg(long)]
    pub print_config: bool,
    /// What all chance is drawn from, to meet the same faults again
    #[arg(long)]
    pub seed: Option<u64>,
    /// Milliseconds until a message is answered
    #[arg(long, value_name = "MS")]
    pub answer_delay: Option<u64>,
    /// Milliseconds until a receipt is sent
    #[arg(long, value_name = "MS")]
    pub receipt_delay: Option<u64>,
    /// Send no receipts
    #[arg(long)]
    pub no_receipts: bool,
    /// No line a second
    #[arg(long, short)]
    pub quiet: bool,
}

impl SimArgs {
    /// The configuration these arguments stand for.
    ///
    /// # Errors
    /// When the file cannot be read or makes no sense.
    pub fn smsc_config(&self) -> anyhow::Result<SmscConfig> {
        let mut config = match &self.config {
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
                toml::from_str(&text).with_context(|| format!("understanding {}", path.display()))?
            }
            None => SmscConfig::default(),
        };
        config.seed = self.seed.unwrap_or(config.seed);
        let behaviour = &mut config.behaviour;
        behaviour.answers.delay_ms = self.answer_delay.map_or(behaviour.answers.delay_ms, Span::fixed);
        behaviour.receipts.delay_ms = self
            .receipt_delay
            .map_or(behaviour.receipts.delay_ms, Span::fixed);
        behaviour.receipts.enabled &= !self.no_receipts;
        config.check()?;
        Ok(config)
    }
}

/// Runs the simulator until `shutdown` resolves, with a line a second on standard error about what happens.
///
/// # Errors
/// When the configuration makes no sense or a port cannot be had.
pub async fn run(args: SimArgs, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let config = args.smsc_config()?;
    if args.print_config {
        std::io::stdout().write_all(toml::to_string(&config)?.as_bytes())?;
        return Ok(());
    }
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("listening on {}", args.listen))?;
    let control = match args.no_control {
        true => None,
        false => Some(
            TcpListener::bind(args.control)
                .await
                .with_context(|| format!("listening on {}", args.control))?,
        ),
    };
    let smsc = Smsc::start(config, listener)?;
    say(&format!("SMPP on {}, seed {}", smsc.local_addr(), smsc.seed()));
    let control = control.map(|listener| {
        say(&format!("control on http://{}", args.control));
        tokio::spawn(http::serve(smsc.clone(), listener))
    });
    tokio::pin!(shutdown);
    if args.quiet {
        shutdown.await;
    } else {
        tokio::select! {
            () = &mut shutdown => {}
            () = narrate(&smsc) => {}
        }
    }
    smsc.stop().await;
    if let Some(control) = control {
        control.await.context("the control port")??;
    }
    say(&format!("in all: {}", line(&Counts::default(), &smsc.counts())));
    Ok(())
}

/// Prints a line each second in which a count has changed.
async fn narrate(smsc: &SmscHandle) {
    let mut before = smsc.counts();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let now = smsc.counts();
        if now != before {
            say(&line(&before, &now));
        }
        before = now;
    }
}

fn say(text: &str) {
    // A closed standard error is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What happened between two counts, in one line.
fn line(before: &Counts, now: &Counts) -> String {
    let mut line = format!("binds {}", now.binds_up);
    let mut append = |name: &str, count: fn(&Counts) -> u64| {
        // A reset makes counts smaller.
        let more = count(now).saturating_sub(count(before));
        if more > 0 {
            let _ = write!(line, " | {name} {more}");
        }
    };
    append("submitted", |counts| counts.submitted);
    append("taken", |counts| counts.taken);
    append("refused", |counts| counts.refused);
    append("duplicates", |counts| counts.duplicates);
    append("receipts", |counts| counts.receipts_acknowledged);
    append("receipts refused", |counts| counts.receipts_refused);
    append("inbound", |counts| counts.inbound_acknowledged);
    append("binds refused", |counts| counts.binds_refused);
    append("cuts", |counts| counts.cuts);
    append("not understood", |counts| counts.rejected);
    if now.receipts_waiting > 0 {
        let _ = write!(line, " | waiting {}", now.receipts_waiting);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: SimArgs,
    }

    #[test]
    fn arguments_go_before_the_defaults() {
        let arguments = ["sim", "--seed", "9", "--answer-delay", "5", "--no-receipts"];
        let config = Command::parse_from(arguments).args.smsc_config().unwrap();
        assert_eq!(
            (config.seed, config.behaviour.answers.delay_ms),
            (9, Span::fixed(5))
        );
        assert!(!config.behaviour.receipts.enabled);
        assert_eq!(config.behaviour.receipts.delay_ms, Span::fixed(100));
    }

    #[test]
    fn help_names_every_table_of_the_file() {
        let table = toml::Table::try_from(SmscConfig::default()).unwrap();
        let behaviour = table["behaviour"].as_table().unwrap();
        let is_table = |value: &toml::Value| value.is_table() || value.is_array();
        let named = table.iter().chain(behaviour).filter(|(_, value)| is_table(value));
        for (name, _) in named {
            assert!(FILE.contains(&format!("`{name}`")), "--help does not name {name}");
        }
    }

    #[test]
    fn a_line_shows_only_what_changed() {
        let now = Counts {
            submitted: 5,
            taken: 4,
            refused: 1,
            binds_up: 2,
            ..Counts::default()
        };
        let before = Counts {
            submitted: 2,
            taken: 2,
            ..Counts::default()
        };
        assert_eq!(line(&before, &now), "binds 2 | submitted 3 | taken 2 | refused 1");
    }
}
