//! Carriers go away in the middle of their windows and of long messages, one after the other: what can go to another
//! carrier goes, what a carrier has parts of waits for it, and nothing is lost.
//!
//! A message of which the carrier that is away has taken a segment, as far as the gateway can know, stays with that
//! carrier: elsewhere its parts would arrive twice. It waits until the carrier is back and is completed there. Only when
//! none of the segments that the carrier took was answered before it left, the whole message goes elsewhere: nobody can
//! know then that it was taken, and such segments are the ones that may be taken twice, one window a session at most.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::Args;
use sim::smsc::{Joined, Order, SmscHandle};
use tokio_util::sync::CancellationToken;

use crate::clients::{Turn, gather, recipients_per_s};
use crate::compare::ClientRequest;
use crate::folder::Folder;
use crate::mixed::{CARRIERS, CarrierPlan, Mixed, Profile};
use crate::report::Report;
use crate::{Common, say};

/// Disconnects each of the carriers in mid-window for a while, and checks which carrier got each message.
#[derive(Args, Clone, Debug)]
pub(crate) struct FailoverArgs {
    #[command(flatten)]
    common: Common,
    /// Seconds each carrier is away
    #[arg(long, default_value_t = 60)]
    away_s: u64,
    /// Messages a second, 1200 at most
    #[arg(long, default_value_t = 300)]
    per_s: u32,
}

/// Load before a carrier leaves, and after it has come back.
const AROUND: Duration = Duration::from_secs(3);

/// How long to wait until a carrier has messages in part.
const PARTLY_WAIT: Duration = Duration::from_secs(20);

/// Parts that must be missing at a carrier when it leaves, in all, of messages of which it has more than one: then some of
/// them are still missing when what was on its way has come in, and some of the others were answered.
const MISSING_MIN: usize = 4;

/// Milliseconds after which messages fail over while a carrier is away (as in the catalog), and how long that may take.
const FAILOVER_AFTER_MS: u64 = 2_000;
const FAILOVER_WITHIN_MS: u64 = 5_000;

/// Numbers of one kind of client.
const NUMBERS_A_PART: u64 = 10_000_000;

/// Carriers that are slow enough to have messages in part, and that refuse parts, which are retried a second or two later: the
/// carrier has the other parts meanwhile.
const PROFILE: Profile = Profile {
    carriers: r#"
        answers.delay_ms = [5, 30]
        [receipts]
        delay_ms = [0, 300]
        early_share = 0.05
        twice_share = 0.02
        shuffled = true
        [faults]
        cut_taken_share = 0.5
        [[rules]]
        share = 0.04
        status = "RSYSERR"
        times_per_message_max = 1
        [[rules]]
        share = 0.003
        status = "RTHROTTLED"
        times_per_message_max = 1
        [[rules]]
        share = 0.003
        status = "RMSGQFUL"
        times_per_message_max = 1
        [[rules]]
        share = 0.03
        states = ["UNDELIV"]
        error = "034"
    "#,
    endpoint: "delay_ms = [0, 20]",
    mo_per_s: 5.0,
};

/// One time that a carrier was away.
struct Absence {
    plan: &'static CarrierPlan,
    /// Of [`CARRIERS`], which.
    at: usize,
    left_unix_ms: u64,
    returned_unix_ms: u64,
    /// Numbers of messages that it had parts of and lacked others when it had left.
    partly: Vec<u64>,
    /// Of these, texts that another carrier had whole when it returned.
    elsewhere: Vec<u64>,
    /// Parts that it had before another carrier went away: what comes to it later may come from there.
    had: HashSet<u64>,
}

pub(crate) async fn run(args: FailoverArgs) -> anyhow::Result<bool> {
    let seed = args.common.seed();
    say(&format!(
        "failover: {} carriers away for {} s each, {} messages/s, seed {seed}",
        CARRIERS.len(),
        args.away_s,
        args.per_s
    ));
    let mut folder = Folder::make(&args.common, "failover")?;
    let done = campaign(&args, seed, &folder).await;
    if !matches!(done, Ok(true)) {
        folder.keep();
        say(&format!("to repeat the same faults: --seed {seed}"));
    }
    done
}

async fn campaign(args: &FailoverArgs, seed: u64, folder: &Folder) -> anyhow::Result<bool> {
    let mut mixed = Mixed::start(&args.common, seed, &PROFILE, folder).await?;
    let away = Duration::from_secs(args.away_s);
    let share = (f64::from(args.per_s) / recipients_per_s()).min(1.0);
    let turn = Turn {
        name: &format!("failover-{seed:x}"),
        number: 0,
        numbers_a_part: NUMBERS_A_PART,
        share,
        time_max: (away + 2 * AROUND + PARTLY_WAIT) * CARRIERS.len() as u32,
        answer_timeout: Duration::from_secs(30),
        seed,
    };
    mixed.disturb(share);
    let stop = CancellationToken::new();
    let clients = mixed.send(&turn, &stop);
    let mut report = Report::default();
    let mut absences = Vec::new();
    for (at, plan) in CARRIERS.iter().enumerate() {
        tokio::time::sleep(AROUND).await;
        let mut absence = absence(&mixed, at, plan, away).await?;
        tokio::time::sleep(AROUND).await;
        absence.had = had(&mixed, at)?;
        absences.push(absence);
    }
    stop.cancel();
    let mut requests = Vec::new();
    gather(clients, &mut requests, &mut mixed.sum).await?;
    mixed.quiesce(&mut report).await?;
    mixed.compare(&requests, &mut report).await?;
    for absence in &absences {
        absence.check(&mixed, &requests, &mut report)?;
    }
    mixed.stop(&mut report).await?;
    Ok(report.conclude("failover"))
}

/// Lets a carrier go away in the middle of long messages, and come back.
async fn absence(
    mixed: &Mixed,
    at: usize,
    plan: &'static CarrierPlan,
    away: Duration,
) -> anyhow::Result<Absence> {
    let smsc = &mixed.carriers.get(at).context("there is such a carrier")?.smsc;
    in_the_middle(smsc).await;
    smsc.control(Order::Leave)?;
    let left_unix_ms = unix_ms();
    // What was on its way has come in by then.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let partly: Vec<u64> = smsc.partly_taken().iter().map(|partly| partly.number).collect();
    say(&format!(
        "  {} disconnected with {} messages in part",
        plan.name,
        partly.len()
    ));
    tokio::time::sleep(away).await;
    let elsewhere: Vec<u64> = partly
        .iter()
        .copied()
        .filter(|number| whole_elsewhere(mixed, at, *number))
        .collect();
    let waits = partly.iter().find(|number| !elsewhere.contains(number));
    if let Some(number) = waits {
        say(&format!("  one of them: postrider status +{number}"));
        say(mixed.node.tool(&["status", &format!("+{number}")])?.trim_end());
    }
    smsc.control(Order::Return)?;
    let returned_unix_ms = unix_ms();
    say(&format!("  {} reconnected", plan.name));
    Ok(Absence {
        plan,
        at,
        left_unix_ms,
        returned_unix_ms,
        partly,
        elsewhere,
        had: HashSet::new(),
    })
}

/// The parts that a carrier has taken so far, by their keys.
fn had(mixed: &Mixed, at: usize) -> anyhow::Result<HashSet<u64>> {
    let carrier = mixed.carriers.get(at).context("there is such a carrier")?;
    let taken = carrier
        .smsc
        .counts_by_message()
        .into_iter()
        .filter(|(_, message_counts)| message_counts.taken > 0);
    Ok(taken.map(|(key, _)| key).collect())
}

/// Waits until a carrier lacks parts of messages that it has other parts of.
async fn in_the_middle(smsc: &SmscHandle) {
    let waiting = tokio::time::timeout(PARTLY_WAIT, async {
        loop {
            let partly = smsc.partly_taken();
            let more_than_one = partly.iter().filter(|partly| partly.taken > 1);
            if more_than_one.map(|partly| partly.missing).sum::<usize>() >= MISSING_MIN {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    if waiting.await.is_err() {
        say("  it never had enough messages in part");
    }
}

/// What carriers other than this one have of the text to a number.
fn elsewhere(mixed: &Mixed, at: usize, number: u64) -> impl Iterator<Item = Joined> {
    let carriers = mixed.carriers.iter().enumerate();
    carriers
        .filter(move |(other, _)| *other != at)
        .filter_map(move |(_, carrier)| carrier.smsc.joined_of(number))
}

/// Whether another carrier has the whole text to a number.
fn whole_elsewhere(mixed: &Mixed, at: usize, number: u64) -> bool {
    elsewhere(mixed, at, number).any(|joined| joined.missing == 0)
}

impl Absence {
    fn check(&self, mixed: &Mixed, requests: &[ClientRequest], report: &mut Report) -> anyhow::Result<()> {
        let Self { plan, at, .. } = self;
        let name = plan.name;
        let smsc = &mixed.carriers.get(*at).context("there is such a carrier")?.smsc;
        say(&format!("while {name} was away"));
        report.at_least(
            "messages it had in part when it left",
            self.partly.len() as u64,
            1,
        );
        let completed = |number: &u64| smsc.joined_of(*number).is_some_and(|joined| joined.missing == 0);
        let here = self.partly.iter().filter(|number| completed(number)).count();
        report.at_least("  of these, completed by it after its return", here as u64, 1);
        report.at_most(
            "  sent whole by another: no segment answered",
            self.elsewhere.len() as u64,
            plan.twice_max(plan.binds),
        );
        let neither: Vec<u64> = self
            .partly
            .iter()
            .copied()
            .filter(|number| completed(number) == whole_elsewhere(mixed, *at, *number))
            .collect();
        report.none_of("  whole at no carrier, or at two", &neither);
        let torn: Vec<u64> = self
            .partly
            .iter()
            .copied()
            .filter(|number| completed(number) && elsewhere(mixed, *at, *number).next().is_some())
            .collect();
        report.none_of("  completed by it, with segments at another", &torn);

        let meanwhile = self.accepted_meanwhile(requests);
        let elsewhere = meanwhile
            .iter()
            .filter(|number| whole_elsewhere(mixed, *at, **number));
        report.at_least(
            "its messages accepted meanwhile, failed over",
            elsewhere.count() as u64,
            1,
        );
        let kept: Vec<u64> = meanwhile
            .into_iter()
            .filter(|number| self.had.contains(number))
            .collect();
        report.none_of("its messages accepted meanwhile, waited for it", &kept);
        Ok(())
    }

    /// Messages of this carrier's accounts that were accepted when it was away for long enough to fail over, and early enough to
    /// fail over before it was back.
    fn accepted_meanwhile(&self, requests: &[ClientRequest]) -> Vec<u64> {
        let first = self.left_unix_ms + FAILOVER_AFTER_MS;
        let last = self.returned_unix_ms.saturating_sub(FAILOVER_WITHIN_MS);
        let with_carriers: HashMap<u32, &str> = CARRIERS
            .iter()
            .filter_map(|plan| Some((plan.only?, plan.name)))
            .collect();
        let is_its = |account: u32| match with_carriers.get(&account) {
            Some(name) => *name == self.plan.name,
            None => self.plan.only.is_none(),
        };
        requests
            .iter()
            .filter(|request| is_its(request.account) && (first..last).contains(&request.result.due_unix_ms))
            .flat_map(|request| request.result.accepted())
            .collect()
    }
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
