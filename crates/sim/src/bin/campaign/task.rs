//! A send to a contact list of a million members, killed in the middle: each member gets exactly one message.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use sim::load::{Contacts, Counted, Standing, TaskState, fill_list, index_of, number};
use sim::seed::{Question, Seed};
use sim::smsc::{CountBy, MessageCounts, SmscConfig, Span};

use crate::accounts::{CarrierEntry, Settings};
use crate::beside::{Carrier, free_address};
use crate::folder::Folder;
use crate::node::Node;
use crate::quiescence::await_quiescence;
use crate::report::{Report, grouped};
use crate::{Common, say};

/// Fills a contact list, sends to it, kills the program in the middle, and checks what each member received.
#[derive(Args, Clone, Debug)]
pub(crate) struct TaskArgs {
    #[command(flatten)]
    common: Common,
    /// Members of the list, 5000000 at most
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    members: u64,
    /// How often the program is killed while it sends
    #[arg(long, default_value_t = 2)]
    kills: u64,
    /// Messages in flight a bind
    #[arg(long, default_value_t = 200)]
    window: u64,
    /// Sessions
    #[arg(long, default_value_t = 2)]
    binds: u64,
    /// Connections that fill the list
    #[arg(long, default_value_t = 8)]
    connections: usize,
}

const LIST: &str = "campaign";

/// A status query counts so far and no further.
const FOUND_MAX: u64 = 100_000;

/// Members that are queried one by one, spread over the list, beside those that received something twice.
const SAMPLES: u64 = 5_000;

/// How long sending, and everything behind it, may take.
const TIME_MAX: Duration = Duration::from_secs(3_600);

/// How long messages and receipts may take to drain after the last message was accepted.
const QUIESCENCE_MAX: Duration = Duration::from_secs(900);

pub(crate) async fn run(args: TaskArgs) -> anyhow::Result<bool> {
    let seed = args.common.seed();
    say(&format!(
        "task: {} members, {} kills, seed {seed}",
        grouped(args.members as f64),
        args.kills
    ));
    let mut folder = Folder::make(&args.common, "task")?;
    let done = campaign(&args, Seed(seed), &folder).await;
    if !matches!(done, Ok(true)) {
        folder.keep();
        say(&format!("to kill at the same places again: --seed {seed}"));
    }
    done
}

async fn campaign(args: &TaskArgs, seed: Seed, folder: &Folder) -> anyhow::Result<bool> {
    let mut config = SmscConfig {
        seed: seed.0.max(1),
        count_by: CountBy::Destination,
        kept_max: 0,
        ..SmscConfig::default()
    };
    config.behaviour.answers.delay_ms = Span { min: 0, max: 10 };
    config.behaviour.faults.cut_taken_share = 0.5;
    let carrier = Carrier::start(config)?;
    let settings = Settings {
        api: free_address()?,
        metrics: free_address()?,
        accounts: 1,
        edition: 0,
        carriers: vec![CarrierEntry::new(
            "north",
            carrier.address(),
            args.binds,
            args.window,
        )],
        webhooks: Vec::new(),
        notify: "",
        more: args.common.settings()?,
    };
    let mut node = Node::set_up(&args.common.postrider, folder.path(), settings)?;
    node.start().await?;
    node.bound(args.binds).await?;

    let demo = node.settings.demo(0);
    let template = demo
        .templates
        .get("plain")
        .context("the catalog lacks a template")?;
    let mut contacts = Contacts::new(demo.clone());
    contacts.make_list(LIST).await?;
    let filling = fill_list(&demo, LIST, 0, args.members, args.connections)
        .await
        .context("filling the list")?;
    let members_per_s = args.members as f64 / filling.as_secs_f64();
    let mut report = Report::default();
    report.figure(
        "members put into the list",
        format!("{}/s", grouped(members_per_s)),
    );

    let began = Instant::now();
    let task = contacts.begin_task(LIST, template).await?;
    kill_in_between(args, seed, &mut node, &carrier).await?;
    // What was connected before a kill is gone.
    let mut contacts = Contacts::new(demo);
    let state = loop {
        let standing = contacts.task(task.id).await?;
        if matches!(standing.state, TaskState::Done | TaskState::Failed) {
            break standing.state;
        }
        if began.elapsed() > TIME_MAX {
            bail!("the task is {:?} after {TIME_MAX:?}", standing.state);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let accepting_s = began.elapsed().as_secs_f64();
    let sent = await_quiescence(&node, &[&carrier.smsc], QUIESCENCE_MAX).await?;
    let sending_s = (sent - began).as_secs_f64();
    let counted = contacts.counted().await?;
    let counts_by_message: HashMap<u64, MessageCounts> =
        carrier.smsc.counts_by_message().into_iter().collect();
    let odd = not_one(args, &mut contacts, &counts_by_message).await?;

    let per_s = |seconds: f64| format!("{}/s", grouped(args.members as f64 / seconds));
    report.figure("members accepted, kills included", per_s(accepting_s));
    report.figure("members sent to, kills included", per_s(sending_s));
    if let Some((now, most)) = node.resident() {
        const MIB: u64 = 1024 * 1024;
        report.figure(
            "memory since the last start, now / at most",
            format!("{} / {} MiB", now / MIB, most / MIB),
        );
    }
    say("checks");
    report.must("the task is done", state == TaskState::Done);
    report.must("it was for all members", task.members == args.members);
    compare(args, &carrier, &counts_by_message, counted, &mut report);
    report.none_of("queried members without exactly one final message", &odd);
    report.must("graceful shutdown", node.stop().await?);
    carrier.stop().await?;
    Ok(report.conclude("task"))
}

/// Kills the program whenever a share of the members, drawn before, has got something.
async fn kill_in_between(
    args: &TaskArgs,
    seed: Seed,
    node: &mut Node,
    carrier: &Carrier,
) -> anyhow::Result<()> {
    for at in places(seed, args.members, args.kills) {
        let since = Instant::now();
        while carrier.smsc.counts().messages < at {
            if since.elapsed() > TIME_MAX {
                bail!("{at} messages were not at the carrier within {TIME_MAX:?}");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        node.kill()?;
        say(&format!(
            "  killed with {} messages at the carrier",
            grouped(carrier.smsc.counts().messages as f64)
        ));
        node.start().await?;
    }
    Ok(())
}

/// After how many messages the program is killed, in order.
fn places(seed: Seed, members: u64, kills: u64) -> Vec<u64> {
    let (first, last) = (members / 20, members - members / 10);
    let mut places: Vec<u64> = (0..kills)
        .map(|kill| seed.roll(Question::Driver, kill, 0).within(first, last))
        .collect();
    places.sort_unstable();
    places
}

/// Queries members that received something twice, and some others: returns those that do not have exactly one message, and a
/// final one.
async fn not_one(
    args: &TaskArgs,
    contacts: &mut Contacts,
    counts_by_message: &HashMap<u64, MessageCounts>,
) -> anyhow::Result<Vec<u64>> {
    let step = args.members.div_ceil(SAMPLES).max(1);
    let mut numbers: Vec<u64> = (0..args.members)
        .map(number)
        .enumerate()
        .filter(|(at, number)| {
            let twice = counts_by_message
                .get(number)
                .is_some_and(|message_counts| message_counts.taken > 1);
            twice || (*at as u64).is_multiple_of(step)
        })
        .map(|(_, number)| number)
        .collect();
    let standings = contacts.standings(&numbers).await?;
    numbers.retain(|number| {
        let standings = standings.get(number).map_or(&[][..], Vec::as_slice);
        !matches!(standings, [Standing::Delivered | Standing::Failed])
    });
    Ok(numbers)
}

fn compare(
    args: &TaskArgs,
    carrier: &Carrier,
    counts_by_message: &HashMap<u64, MessageCounts>,
    counted: Counted,
    report: &mut Report,
) {
    let TaskArgs {
        members,
        kills,
        binds,
        window,
        ..
    } = *args;
    let counts = carrier.smsc.counts();
    let taken = |number: u64| {
        counts_by_message
            .get(&number)
            .map_or(0, |message_counts| message_counts.taken)
    };
    let lost: Vec<u64> = (0..members)
        .map(number)
        .filter(|number| taken(*number) == 0)
        .collect();
    let non_members: Vec<u64> = counts_by_message
        .keys()
        .copied()
        .filter(|number| index_of(*number).is_none_or(|place| place >= members))
        .collect();
    report.none_of("members without a message", &lost);
    report.none_of("messages to non-members", &non_members);
    report.at_most(
        "messages sent twice: one window per lost bind",
        counts.duplicates,
        (kills * binds + counts.cuts) * window,
    );
    report.equal(
        "messages accepted, by status query (to 100 000)",
        counted.found,
        members.min(FOUND_MAX),
    );
    report.equal("messages accepted, by statistics", counted.requested, members);
    report.equal(
        "messages that ended, by statistics",
        counted.delivered + counted.failed,
        members,
    );
    report.at_most(
        "receipts not acknowledged",
        counts.receipts_waiting + counts.receipts_unsendable,
        0,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_killed_in_the_middle_and_in_order() {
        for seed in 0..100 {
            let places = places(Seed(seed), 1_000, 2);
            assert!(places.is_sorted() && places.iter().all(|place| (50..=900).contains(place)));
        }
        assert!(places(Seed(1), 1, 2).iter().all(|place| *place <= 1));
    }
}
