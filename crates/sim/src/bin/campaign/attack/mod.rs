//! Thousands of hostile connections of every harmful kind, beside a few good clients that must be served as before.
//!
//! The hostile clients are processes of their own with the least priority, from four other loopback addresses, and what
//! they do is bounded in connections, in connects and writes a second, and in time. Good clients send over every wire
//! at a steady rate, on kept connections and on new ones, first alone and then beside each kind.

mod attackers;
mod good;
mod kind;
mod limits;
mod mutate;
mod payload;
mod pool;
mod row;
mod step;

use std::time::{Duration, Instant};

use clap::Args;
use sim::load::Wire;
use sim::smsc::SmscConfig;
use tokio::net::TcpStream;

use self::attackers::{Attackers, Target, kinds};
use self::good::serve;
use self::kind::Kind;
pub(crate) use self::pool::{AttackerArgs, run as run_attacker};
use self::row::{Bounds, Row};
use crate::accounts::{CarrierEntry, Settings};
use crate::beside::{Carrier, free_address};
use crate::folder::Folder;
use crate::node::Node;
use crate::report::Report;
use crate::{Common, say};

/// Runs hostile clients, kind by kind and all together, beside clients that must be served all the while.
#[derive(Args, Clone, Debug)]
pub(crate) struct AttackArgs {
    #[command(flatten)]
    common: Common,
    /// Seconds of each kind, at most 90
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=90))]
    seconds: u64,
    /// Hostile connections of one kind alone
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Hostile connections of each kind when all come together
    #[arg(long, default_value_t = 2_000)]
    together: usize,
    /// Connects and writes of all hostile clients a second
    #[arg(long, default_value_t = 3_000)]
    events_per_s: u32,
    /// A tenth of the connections, and four seconds of each kind; latency is reported and not checked
    #[arg(long)]
    short: bool,
    /// These kinds only, and not all together
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<Kind>,
}

/// Seconds of each kind in short.
const SHORT_S: u64 = 4;

/// Descriptors that are needed beside those for hostile connections.
const DESCRIPTORS_BESIDE: u64 = 500;

/// How long hostile clients come before the good ones, and stay after them.
const AROUND: Duration = Duration::from_secs(1);

/// How long memory may take to come back.
const SETTLE: Duration = Duration::from_secs(15);

/// How long `/readyz` may take.
const READY: Duration = Duration::from_secs(5);

/// Seconds that a stop may take: `shutdown.grace_s`, and a little for what follows it.
const STOP: Duration = Duration::from_secs(22);

/// Requests a second of each good client while nobody is hostile yet.
const WARM_UP_PER_S: u32 = 100;

/// How long that lasts at a time: no client comes to the end of its numbers.
const WARM_UP: Duration = Duration::from_secs(good::NUMBERS / WARM_UP_PER_S as u64 - 2);

/// Connections that are open at the same time then: enough for a peak, and not too many for one address.
const WARM_UP_CONNECTIONS: usize = 400;

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Kinds that hold on to connections, for the stop at the end.
const HOLDING: [Kind; 7] = [
    Kind::Bodies,
    Kind::Heads,
    Kind::SlowHeads,
    Kind::Silent,
    Kind::Deaf,
    Kind::Hoard,
    Kind::Metrics,
];

pub(crate) async fn run(args: AttackArgs) -> anyhow::Result<bool> {
    let args = args.scaled(limits::raise_descriptors()?);
    say(&format!(
        "attack: {} s a kind, {} connections each, then {} of each together, {} events/s",
        args.seconds, args.connections, args.together, args.events_per_s
    ));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    say(&format!(
        "load of the machine before: {} (what others do on it counts as slowness)",
        load.trim()
    ));
    let mut folder = Folder::make(&args.common, "attack")?;
    let done = campaign(&args, &folder).await;
    if !matches!(done, Ok(true)) {
        folder.keep();
    }
    done
}

impl AttackArgs {
    /// As much as the machine lets one process have.
    fn scaled(mut self, descriptors: u64) -> Self {
        if self.short {
            (self.seconds, self.connections, self.together) =
                (SHORT_S, self.connections / 10, self.together / 10);
        }
        let most = usize::try_from(descriptors.saturating_sub(DESCRIPTORS_BESIDE)).unwrap_or(usize::MAX);
        if self.connections > most {
            say(&format!(
                "the limit of descriptors is {descriptors}: {most} connections instead of {}",
                self.connections
            ));
            self.connections = most;
        }
        self.together = self.together.min(most);
        self
    }
}

struct Attack<'a> {
    args: &'a AttackArgs,
    node: Node,
    target: Target,
    bounds: Bounds,
    /// How often good clients have come.
    turn: u64,
    /// Processor time that the node needs for the good clients alone, seconds a second.
    cpu_alone: f64,
}

async fn campaign(args: &AttackArgs, folder: &Folder) -> anyhow::Result<bool> {
    let carrier = Carrier::start(SmscConfig {
        seed: 1,
        ..SmscConfig::default()
    })?;
    let settings = settings(args, &carrier)?;
    let target = Target {
        api: settings.api,
        metrics: settings.metrics,
        key: settings.demo(0).uspeedo.access_key_id,
        requests: folder.path().join("requests.json"),
    };
    mutate::write(&target.requests, &good::requests(&settings.demo(0))?)?;
    let mut node = Node::set_up(&args.common.postrider, &folder.path().join("node"), settings)?;
    node.start().await?;
    let mut attack = Attack {
        args,
        node,
        target,
        bounds: Bounds {
            latency_report_only: args.short,
            ..Bounds::default()
        },
        turn: 0,
        cpu_alone: 0.0,
    };
    let mut report = Report::default();
    let chosen = match args.kinds.is_empty() {
        true => kinds(),
        false => args.kinds.clone(),
    };
    attack.warm_up(chosen.len() + 2).await?;
    let alone = attack.alone().await?;
    alone.check_alone(&attack.bounds, &mut report);
    let mut rows = vec![alone];
    for kind in &chosen {
        let row = attack
            .beside(&kind.name(), &[*kind], args.connections, &mut report)
            .await?;
        rows.push(row);
    }
    if args.kinds.is_empty() {
        let row = attack
            .beside("together", &chosen, args.together, &mut report)
            .await?;
        rows.push(row);
    }
    attack.stop(&mut report).await?;
    let log = std::fs::read_to_string(folder.path().join("node/node.log")).unwrap_or_default();
    let panics = log
        .lines()
        .filter(|line| line.contains("panicked"))
        .collect::<Vec<_>>();
    report.none_of("panics in the node's log", &panics);
    row::print(&rows);
    carrier.stop().await?;
    Ok(report.conclude("attack"))
}

/// Settings of the node, unless the user names others. What it keeps in memory of the messages that good clients send, until so
/// much of it is written to disk at once, is kept small: thirty thousand of them take 10 MiB otherwise, which would be blamed on
/// the hostile clients beside them.
const SETTINGS: &str = "[store.sqlite]\nrun_entries_max = 4096\n";

fn settings(args: &AttackArgs, carrier: &Carrier) -> anyhow::Result<Settings> {
    let more = match args.common.settings()? {
        none if none.is_empty() => SETTINGS.to_owned(),
        named => named,
    };
    Ok(Settings {
        api: free_address()?,
        metrics: free_address()?,
        accounts: 1,
        edition: 0,
        carriers: vec![CarrierEntry::new("north", carrier.address(), 1, 100)],
        webhooks: Vec::new(),
        notify: "",
        more,
    })
}

impl Attack<'_> {
    fn time(&self) -> Duration {
        Duration::from_secs(self.args.seconds)
    }

    /// As many messages as good clients will send in all, so that what the node remembers of them is there when it is first
    /// weighed, and is not blamed on the hostile clients beside them.
    async fn warm_up(&mut self, times: usize) -> anyhow::Result<()> {
        let mut left = times as u64 * self.args.seconds * u64::from(good::PER_S * good::CLIENTS);
        while left > 0 {
            self.turn += 1;
            let demo = self.node.settings.demo(0);
            let served = serve(&demo, self.turn, WARM_UP_PER_S, WARM_UP).await?;
            if served.failed > 0 {
                let why = served.first_failure.unwrap_or_default();
                anyhow::bail!("{} sends failed while nobody was hostile: {why}", served.failed);
            }
            left = left.saturating_sub(served.requests);
        }
        // A node gives memory back after a peak of connections: so it is weighed after one of well-behaved clients, as it will be
        // after those of hostile ones. Meanwhile receipts come, and what was written is merged.
        let address = self.node.settings.api;
        let mut peak = Vec::new();
        for _ in 0..WARM_UP_CONNECTIONS {
            peak.push(TcpStream::connect(address).await?);
        }
        tokio::time::sleep(2 * AROUND).await;
        drop(peak);
        tokio::time::sleep(SETTLE).await;
        Ok(())
    }

    /// The good clients alone, to compare with.
    async fn alone(&mut self) -> anyhow::Result<Row> {
        let cpu = self.node.cpu_s().unwrap_or(0.0);
        let (served, _) = self.good(self.time()).await?;
        let cpu = self.node.cpu_s().unwrap_or(0.0) - cpu;
        self.cpu_alone = cpu / self.time().as_secs_f64();
        tokio::time::sleep(AROUND).await;
        let (idle, _) = self.node.resident().unwrap_or_default();
        self.bounds.idle_bytes = idle;
        let row = Row {
            name: "alone".to_owned(),
            served,
            peak_bytes: idle,
            after_bytes: idle,
            ..Row::default()
        };
        row.print(&self.bounds);
        Ok(row)
    }

    /// The good clients for so long, and the most memory that the node had meanwhile.
    async fn good(&mut self, time: Duration) -> anyhow::Result<(good::Served, u64)> {
        self.turn += 1;
        let demo = self.node.settings.demo(0);
        let serving = serve(&demo, self.turn, good::PER_S, time);
        tokio::pin!(serving);
        let mut peak = 0;
        loop {
            tokio::select! {
                served = &mut serving => return Ok((served?, peak)),
                () = tokio::time::sleep(LOOK_EVERY) => {
                    let (now, _) = self.node.resident().unwrap_or_default();
                    peak = peak.max(now);
                }
            }
        }
    }

    /// The good clients beside hostile ones, and what the node is afterwards.
    async fn beside(
        &mut self,
        name: &str,
        kinds: &[Kind],
        connections: usize,
        report: &mut Report,
    ) -> anyhow::Result<Row> {
        let time_max = self.time() + 2 * AROUND;
        let cpu = self.node.cpu_s().unwrap_or(0.0);
        let attackers = Attackers::start(kinds, &self.target, connections, self.args.events_per_s, time_max)?;
        tokio::time::sleep(AROUND).await;
        let (served, peak_bytes) = self.good(self.time()).await?;
        let ready_ms = self.ready().await;
        let seen = attackers.left(time_max).await?;
        let cpu = self.node.cpu_s().unwrap_or(0.0) - cpu;
        let (after_bytes, settled) = self.settle().await;
        let row = Row {
            name: name.to_owned(),
            served,
            peak_bytes,
            after_bytes,
            settled,
            ready_ms,
            cpu_s: (cpu - self.cpu_alone * self.args.seconds as f64).max(0.0),
            idle_connections: kinds.iter().all(|kind| kind.is_idle()),
            seen,
        };
        row.print(&self.bounds);
        let holds = row.check(&self.bounds, report);
        // What one kind has left behind is not blamed on the next.
        if !holds {
            self.node.kill()?;
            self.node.start().await?;
            self.good(Duration::from_secs(3)).await?;
        }
        Ok(row)
    }

    /// Milliseconds that `/readyz` takes to say yes; `None`: it does not.
    async fn ready(&self) -> Option<u64> {
        let began = Instant::now();
        let url = format!("http://{}", self.target.metrics);
        let mut wire = Wire::connect(&url, READY).await.ok()?;
        let answered = wire
            .exchange(b"GET /readyz HTTP/1.1\r\nHost: postrider\r\n\r\n")
            .await;
        let is_ready = answered.is_ok_and(|exchange| exchange.status == 200);
        is_ready.then(|| u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Waits until memory has come back, as far as it does; how much there is then, and how long that took.
    async fn settle(&self) -> (u64, Duration) {
        let since = Instant::now();
        loop {
            let (now, _) = self.node.resident().unwrap_or_default();
            if now <= self.bounds.after_bytes_max() || since.elapsed() > SETTLE {
                return (now, since.elapsed());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Stops the node while hostile clients hold on to it.
    async fn stop(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let time_max = STOP + 5 * AROUND;
        let each = (self.args.together / 2).max(1);
        let attackers = Attackers::start(&HOLDING, &self.target, each, self.args.events_per_s, time_max)?;
        tokio::time::sleep(4 * AROUND).await;
        let since = Instant::now();
        let ended_well = self.node.stop().await?;
        say("stopped while hostile clients hold on");
        report.must("graceful shutdown under attack", ended_well);
        let ms = u64::try_from(since.elapsed().as_millis())?;
        report.at_most("shutdown, ms", ms, STOP.as_millis() as u64);
        drop(attackers);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: AttackArgs,
    }

    #[test]
    fn a_machine_with_few_descriptors_gets_fewer_connections() {
        let args = |more: &[&str]| Cli::parse_from(["x"].iter().chain(more)).args;
        let scaled = args(&[]).scaled(20_000);
        assert_eq!(
            (scaled.connections, scaled.together, scaled.seconds),
            (10_000, 2_000, 20)
        );
        let scaled = args(&[]).scaled(1_024);
        assert_eq!((scaled.connections, scaled.together), (524, 524));
        let scaled = args(&["--short"]).scaled(20_000);
        assert_eq!(
            (scaled.connections, scaled.together, scaled.seconds),
            (1_000, 200, 4)
        );
    }
}
