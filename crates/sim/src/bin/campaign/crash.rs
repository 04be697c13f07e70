//! `kill -9` at random moments under load: nothing accepted is lost, and at most one window a bind is sent twice.

mod compare;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use sim::load::{Dialect, Load, Outcome, Text, Told};
use sim::seed::{Question, Seed};
use sim::smsc::{Behaviour, CountBy, Order, SmscConfig, Span};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::accounts::{CarrierEntry, Settings};
use crate::carrier::{Carrier, free_address};
use crate::folder::Folder;
use crate::node::Node;
use crate::report::Verdict;
use crate::{Common, say};

/// Kills the program at random moments under load, and compares what clients were told with what the carrier got.
#[derive(Args, Clone, Debug)]
pub(crate) struct CrashArgs {
    #[command(flatten)]
    common: Common,
    /// How often it is killed at least
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// Messages in flight a bind
    #[arg(long, default_value_t = 50)]
    window: u64,
    /// Sessions
    #[arg(long, default_value_t = 2)]
    binds: u64,
}

const ACCOUNTS: u32 = 3;

/// Recipients that one part of one round may have at most: each part has its own numbers.
const NUMBERS_A_PART: u64 = 500_000;

/// How long everything may take to come to rest.
const REST_MAX: Duration = Duration::from_secs(300);

/// One kind of client.
struct Part {
    dialect: Dialect,
    text: Text,
    recipients: u64,
    connections: usize,
    per_s: f64,
    account: u32,
}

const PARTS: [Part; 5] = [
    Part {
        dialect: Dialect::EngageLab,
        text: Text::Code,
        recipients: 1,
        connections: 8,
        per_s: 300.0,
        account: 0,
    },
    Part {
        dialect: Dialect::UspeedoRest,
        text: Text::Notice,
        recipients: 100,
        connections: 2,
        per_s: 8.0,
        account: 1,
    },
    Part {
        dialect: Dialect::SendCloud,
        text: Text::Plain,
        recipients: 20,
        connections: 2,
        per_s: 15.0,
        account: 2,
    },
    Part {
        dialect: Dialect::UspeedoAction,
        text: Text::Code,
        recipients: 1,
        connections: 4,
        per_s: 150.0,
        account: 2,
    },
    Part {
        dialect: Dialect::EngageLab,
        text: Text::Plain,
        recipients: 10,
        connections: 2,
        per_s: 20.0,
        account: 1,
    },
];

/// A carrier on a bad day. Refusals pass after one try, so that no message runs out of tries; telling to slow down is
/// rare, because a gateway that heeds it would hardly send anything.
const BAD_DAY: &str = r#"
    answers.delay_ms = [0, 20]
    [receipts]
    delay_ms = [0, 300]
    early_share = 0.1
    late_share = 0.05
    late_delay_ms = [1000, 3000]
    twice_share = 0.05
    shuffled = true
    [[rules]]
    share = 0.02
    status = "RSYSERR"
    times_per_message_max = 1
    [[rules]]
    share = 0.002
    status = "RTHROTTLED"
    times_per_message_max = 1
    [[rules]]
    share = 0.001
    status = "RMSGQFUL"
    times_per_message_max = 1
    [[rules]]
    share = 0.05
    states = ["UNDELIV"]
    error = "034"
    [[rules]]
    share = 0.02
    states = ["ACCEPTD", "DELIVRD"]
"#;

/// What it does to connections besides, while clients send.
fn with_faults(mut bad_day: Behaviour) -> Behaviour {
    bad_day.binds.refused_share = 0.1;
    bad_day.faults.disconnect_after = Span { min: 300, max: 3_000 };
    bad_day.faults.garbage_after = Span { min: 100, max: 500 };
    bad_day
}

/// What the campaign holds in its hands.
struct Campaign {
    seed: Seed,
    node: Node,
    carrier: Carrier,
    kills: u64,
    /// Clients of a round, each with the load it carried.
    told: Vec<(u32, Dialect, Told)>,
    sum: Outcome,
}

pub(crate) async fn run(args: CrashArgs) -> anyhow::Result<bool> {
    let seed = args.common.seed();
    say(&format!("crash: {} rounds, seed {seed}", args.rounds));
    let mut folder = Folder::make(&args.common, "crash")?;
    let done = campaign(&args, seed, &folder).await;
    if !matches!(done, Ok(true)) {
        folder.keep();
        say(&format!("to meet the same faults again: --seed {seed}"));
    }
    done
}

async fn campaign(args: &CrashArgs, seed: u64, folder: &Folder) -> anyhow::Result<bool> {
    let config = SmscConfig {
        seed: seed.max(1),
        count_by: CountBy::Destination,
        kept_max: 0,
        behaviour: with_faults(toml::from_str(BAD_DAY)?),
        ..SmscConfig::default()
    };
    let carrier = Carrier::start(config)?;
    let entry = CarrierEntry {
        name: "north",
        address: carrier.address(),
        binds: args.binds,
        window_max: args.window,
    };
    let settings = Settings {
        api: free_address()?,
        metrics: free_address()?,
        accounts: ACCOUNTS,
        carriers: vec![entry],
        more: args.common.settings()?,
    };
    let node = Node::set_up(&args.common.postrider, folder.path(), settings)?;
    let mut campaign = Campaign {
        seed: Seed(seed),
        node,
        carrier,
        kills: 0,
        told: Vec::new(),
        sum: Outcome::default(),
    };
    campaign.node.start().await?;
    campaign.node.bound(1).await?;
    for round in 0..args.rounds {
        campaign
            .round(round)
            .await
            .with_context(|| format!("round {round}"))?;
    }
    campaign.rest().await?;
    let mut verdict = Verdict::default();
    campaign.compare(args, &mut verdict).await?;
    let stopped = campaign.node.stop().await?;
    verdict.must("stops in good order", stopped);
    campaign.carrier.stop().await?;
    Ok(verdict.is_good())
}

impl Campaign {
    /// Milliseconds drawn for a moment of a round.
    fn moment(&self, round: u64, which: u64, min: u64, max: u64) -> Duration {
        Duration::from_millis(self.seed.roll(Question::Driver, round, which).within(min, max))
    }

    /// Clients send, the program is killed and started again, and the clients go on until each has its answer.
    async fn round(&mut self, round: u64) -> anyhow::Result<()> {
        let stop = CancellationToken::new();
        let mut clients = JoinSet::new();
        for (at, part) in PARTS.iter().enumerate() {
            let load = self.load(round, at as u64, part);
            let (account, dialect, stop) = (part.account, part.dialect, stop.clone());
            clients.spawn(async move { (account, dialect, sim::load::run(load, stop).await) });
        }
        tokio::time::sleep(self.moment(round, 0, 200, 2_000)).await;
        self.kill()?;
        tokio::time::sleep(self.moment(round, 1, 0, 300)).await;
        self.node.spawn()?;
        // Sometimes it does not even get through its start.
        if self.seed.roll(Question::Driver, round, 2).hits(0.3) {
            tokio::time::sleep(self.moment(round, 3, 0, 400)).await;
            self.kill()?;
            self.node.spawn()?;
        }
        self.node.ready().await?;
        tokio::time::sleep(self.moment(round, 4, 0, 500)).await;
        stop.cancel();
        let before = self.sum.recipients_accepted;
        while let Some(client) = clients.join_next().await {
            let (account, dialect, outcome) = client?;
            let mut outcome = outcome.context("the catalog lacks a template")?;
            self.told
                .extend(outcome.told.drain(..).map(|told| (account, dialect, told)));
            self.sum.add(outcome);
        }
        let accepted = self.sum.recipients_accepted - before;
        let counts = self.carrier.smsc.counts();
        say(&format!(
            "  round {round:>3}: {accepted:>6} accepted; in all {} kills, {} at the carrier, {} twice, {} cuts",
            self.kills, counts.messages, counts.duplicates, counts.cuts
        ));
        Ok(())
    }

    fn load(&self, round: u64, at: u64, part: &Part) -> Load {
        let place = round * PARTS.len() as u64 + at;
        Load {
            text: part.text,
            recipients: part.recipients,
            connections: part.connections,
            requests_max: NUMBERS_A_PART / part.recipients,
            per_s: Some(part.per_s),
            first: place * NUMBERS_A_PART,
            name: format!("crash-{:x}-{place}", self.seed.0),
            repeat_share: 0.05,
            seed: self.seed.0 ^ place,
            persistent: true,
            remembers: true,
            patience: Duration::from_secs(60),
            ..Load::new(self.node.settings.demo(part.account), part.dialect)
        }
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.kills += 1;
        self.node.kill()
    }

    /// Waits until nothing is on its way any more.
    async fn rest(&mut self) -> anyhow::Result<()> {
        let smsc = &self.carrier.smsc;
        smsc.control(Order::Behave(Box::new(toml::from_str(BAD_DAY)?)))?;
        let since = Instant::now();
        let mut calm = 0;
        while calm < 10 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let unsent = self.node.metrics().await?.unsent();
            let waiting = smsc.counts().receipts_waiting;
            calm = if unsent == 0 && waiting == 0 { calm + 1 } else { 0 };
            if since.elapsed() > REST_MAX {
                bail!("after {REST_MAX:?} {unsent} messages and {waiting} receipts are still on their way");
            }
        }
        say(&format!("  at rest after {:.1} s", since.elapsed().as_secs_f64()));
        Ok(())
    }
}
