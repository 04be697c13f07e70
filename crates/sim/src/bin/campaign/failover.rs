//! A carrier goes away in the middle of its window: its messages go to the other one, and none is lost.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use sim::load::{Answer, Dialect, Load, Outcome, Text};
use sim::smsc::{CountBy, Order, SmscConfig, SmscHandle, Span};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::accounts::{CarrierEntry, Settings};
use crate::beside::{Carrier, free_address};
use crate::compare::{Asked, Findings};
use crate::folder::Folder;
use crate::node::Node;
use crate::report::Verdict;
use crate::{Common, say};

/// Lets one of two carriers go away in mid-window and come back, and looks where everything went.
#[derive(Args, Clone, Debug)]
pub(crate) struct FailoverArgs {
    #[command(flatten)]
    common: Common,
    /// Seconds the carrier is away
    #[arg(long, default_value_t = 60)]
    away_s: u64,
    /// Messages a second
    #[arg(long, default_value_t = 500)]
    per_s: u32,
    /// Messages in flight a bind
    #[arg(long, default_value_t = 50)]
    window: u64,
    /// Sessions of each carrier
    #[arg(long, default_value_t = 2)]
    binds: u64,
}

/// Load before the carrier leaves, and after it has come back.
const AROUND: Duration = Duration::from_secs(3);

/// Place of the first recipient of a long text.
const LONG_FIRST: u64 = 100_000_000;

/// How long everything may take to come to rest.
const REST_MAX: Duration = Duration::from_secs(120);

pub(crate) async fn run(args: FailoverArgs) -> anyhow::Result<bool> {
    let seed = args.common.seed();
    say(&format!(
        "failover: away for {} s, {} messages/s, seed {seed}",
        args.away_s, args.per_s
    ));
    let mut folder = Folder::make(&args.common, "failover")?;
    let done = campaign(&args, seed, &folder).await;
    if !matches!(done, Ok(true)) {
        folder.keep();
    }
    done
}

async fn campaign(args: &FailoverArgs, seed: u64, folder: &Folder) -> anyhow::Result<bool> {
    let (north, south) = (carrier(seed.max(1))?, carrier(seed.max(1) + 1)?);
    let entry = |name, carrier: &Carrier| CarrierEntry {
        name,
        address: carrier.address(),
        binds: args.binds,
        window_max: args.window,
        only: None,
        more: "",
    };
    let settings = Settings {
        api: free_address()?,
        metrics: free_address()?,
        accounts: 1,
        edition: 0,
        carriers: vec![entry("north", &north), entry("south", &south)],
        webhooks: Vec::new(),
        notify: "",
        more: args.common.settings()?,
    };
    let mut node = Node::set_up(&args.common.postrider, folder.path(), settings)?;
    node.start().await?;
    node.bound(2 * args.binds).await?;

    let away = Duration::from_secs(args.away_s);
    let stop = CancellationToken::new();
    // A third of the messages have several parts.
    let loads = [(Text::Code, 2.0 / 3.0, 0), (Text::Long, 1.0 / 3.0, LONG_FIRST)];
    let mut clients = JoinSet::new();
    for (text, share, first) in loads {
        let load = Load {
            text,
            first,
            connections: 16,
            requests_max: u64::MAX / 2,
            time_max: away + 2 * AROUND,
            per_s: Some(f64::from(args.per_s) * share),
            name: format!("failover-{seed:x}-{first}"),
            persistent: true,
            remembers: true,
            ..Load::new(node.settings.demo(0), Dialect::EngageLab)
        };
        let stop = stop.clone();
        clients.spawn(async move { (text, sim::load::run(load, stop).await) });
    }
    tokio::time::sleep(AROUND).await;
    let left_unix_ms = north.smsc.started_unix_ms() + elapsed_ms(&north.smsc);
    north.smsc.control(Order::Leave)?;
    say("  north is gone");
    tokio::time::sleep(away).await;
    north.smsc.control(Order::Return)?;
    say("  north is back");
    let (mut outcome, mut asked) = (Outcome::default(), Vec::new());
    while let Some(client) = clients.join_next().await {
        let (text, part) = client?;
        let part = part.context("the catalog lacks a template")?;
        asked.extend(part.told.iter().map(|told| Asked {
            account: 0,
            dialect: Dialect::EngageLab,
            text,
            told: told.clone(),
        }));
        outcome.add(part);
    }
    rest(&node, &[&north.smsc, &south.smsc]).await?;

    let mut verdict = Verdict::default();
    let mut findings = Findings::default();
    for asked in &asked {
        findings.compare_texts(asked, &|number| {
            let carriers = [&north, &south].into_iter();
            carriers
                .filter_map(|carrier| carrier.smsc.joined_of(number))
                .collect()
        });
    }
    verdict.none_of("accepted texts that no carrier can put together", &findings.torn);
    let in_flight = compare(
        args,
        &outcome,
        &north.smsc,
        &south.smsc,
        left_unix_ms,
        &mut verdict,
    );
    match in_flight {
        Some(id) => {
            say(&format!(
                "one that was in flight when north left: postrider status '{id}'"
            ));
            say(node.tool(&["status", &id])?.trim_end());
        }
        None => verdict.must("something was in flight when north left", false),
    }
    verdict.must("stops in good order", node.stop().await?);
    north.stop().await?;
    south.stop().await?;
    Ok(verdict.is_good())
}

fn carrier(seed: u64) -> anyhow::Result<Carrier> {
    let mut config = SmscConfig {
        seed,
        count_by: CountBy::DestinationAndPart,
        kept_max: 0,
        ..SmscConfig::default()
    };
    // Slow enough that a window is full of messages when the carrier goes.
    config.behaviour.answers.delay_ms = Span { min: 50, max: 200 };
    config.behaviour.faults.cut_taken_share = 0.5;
    Carrier::start(config)
}

fn elapsed_ms(smsc: &SmscHandle) -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis())
        .unwrap_or(u64::MAX)
        .saturating_sub(smsc.started_unix_ms())
}

async fn rest(node: &Node, carriers: &[&SmscHandle]) -> anyhow::Result<()> {
    let since = Instant::now();
    let mut calm = 0;
    while calm < 10 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let waiting: u64 = carriers.iter().map(|smsc| smsc.counts().receipts_waiting).sum();
        let unsent = node.metrics().await?.unsent();
        calm = if unsent + waiting == 0 { calm + 1 } else { 0 };
        if since.elapsed() > REST_MAX {
            bail!("after {REST_MAX:?} {unsent} messages and {waiting} receipts are still on their way");
        }
    }
    Ok(())
}

/// Compares, and finds the id of a message that was in flight when the carrier left.
fn compare(
    args: &FailoverArgs,
    outcome: &Outcome,
    north: &SmscHandle,
    south: &SmscHandle,
    left_unix_ms: u64,
    verdict: &mut Verdict,
) -> Option<String> {
    let mut taken: HashMap<u64, [u16; 2]> = HashMap::new();
    for (at, smsc) in [north, south].into_iter().enumerate() {
        for (number, tally) in smsc.tallies() {
            if let Some(count) = taken.entry(number).or_default().get_mut(at) {
                *count = tally.taken;
            }
        }
    }
    let of = |number: &u64| taken.get(number).copied().unwrap_or_default();
    let accepted: Vec<u64> = outcome.told.iter().flat_map(sim::load::Told::accepted).collect();
    let lost = accepted.iter().filter(|number| of(number) == [0, 0]).count() as u64;
    let twice: u64 = taken
        .values()
        .map(|[north, south]| u64::from(north + south).saturating_sub(1))
        .sum();
    let both = taken
        .values()
        .filter(|[north, south]| *north > 0 && *south > 0)
        .count();
    verdict.figure("accepted", accepted.len());
    verdict.figure(
        "north / south / both",
        format!(
            "{} / {} / {both}",
            north.counts().messages,
            south.counts().messages
        ),
    );
    verdict.at_most("accepted recipients lost", lost, 0);
    verdict.at_most("requests never answered", outcome.unanswered, 0);
    verdict.at_most(
        "parts sent twice: one window a bind lost",
        twice,
        args.binds * args.window,
    );
    verdict.must("south took over", south.counts().messages > 0);
    let in_flight = outcome.told.iter().filter(|told| told.due_unix_ms < left_unix_ms);
    let by_south = in_flight.filter(|told| told.accepted().any(|number| of(&number)[1] > 0));
    // One that both got tells most; it has been sent twice, and the story says so.
    let told = by_south.max_by_key(|told| told.accepted().any(|number| of(&number)[0] > 0))?;
    let Some(Answer::Accepted { reference, .. }) = &told.answer else {
        return None;
    };
    told.accepted()
        .next()
        .map(|number| format!("{reference}$+{number}"))
}
