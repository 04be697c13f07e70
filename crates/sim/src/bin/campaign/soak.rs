//! Steady mixed load for a long time, with kills, restarts and peers that are away now and then: memory, lag and queue stay
//! within bounds, and nothing is lost.

mod course;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use sim::load::number;
use sim::seed::{Question, Seed};
use sim::smsc::{Order, SmscConfig};
use tokio_util::sync::CancellationToken;

use self::course::{Bounds, Course, Minute};
use crate::clients::{Turn, gather, parts_per_s, recipients_per_s};
use crate::compare::{Asked, Findings, ask};
use crate::events::{EventFindings, InboundFindings, has_ended};
use crate::folder::Folder;
use crate::mixed::{Day, Mixed};
use crate::report::{Verdict, grouped};
use crate::{Common, say};

/// Sends for a long time, with mishaps, and watches memory, lag and queue.
#[derive(Args, Clone, Debug)]
pub(crate) struct SoakArgs {
    #[command(flatten)]
    common: Common,
    /// Minutes of load, a day at most
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
    /// How much of the load of a crash campaign is sent, 1.0 at most; all of it is 1200 recipients a second
    #[arg(long, default_value_t = 0.2, value_parser = share)]
    share: f64,
    /// Resident memory of the program at most, in MiB
    #[arg(long, default_value_t = 512)]
    memory_mib_max: u64,
    /// Seconds of load that may wait at the end of a minute
    #[arg(long, default_value_t = 10)]
    queue_s_max: u64,
    /// Seconds that telling may be behind at the end of a minute
    #[arg(long, default_value_t = 30)]
    behind_s_max: u64,
    /// No kills, no restarts, nobody away
    #[arg(long)]
    quiet: bool,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("a share lies above 0 and is 1 at most".to_owned()),
    }
}

/// Recipients that one part of one minute may have at most: more than any sends in a minute.
const NUMBERS_A_PART: u64 = 100_000;

/// Requests that are asked about at the end: one of so many.
const ASKED_OF: usize = 50;

/// Normal life. No event meets two faults of the endpoint: see [`crate::crash`].
const DAY: Day = Day {
    carriers: r#"
        answers.delay_ms = [0, 20]
        [receipts]
        delay_ms = [0, 500]
        early_share = 0.05
        twice_share = 0.02
        shuffled = true
        [faults]
        enquire_link_ms = 10000
        [[rules]]
        share = 0.01
        status = "RSYSERR"
        times_per_message_max = 1
        [[rules]]
        share = 0.002
        status = "RTHROTTLED"
        times_per_message_max = 1
        [[rules]]
        share = 0.002
        status = "RMSGQFUL"
        times_per_message_max = 1
        [[rules]]
        share = 0.03
        states = ["UNDELIV"]
        error = "034"
    "#,
    endpoint: r#"
        delay_ms = [0, 20]
        refused_share = 0.005
        cut_share = 0.002
        faults_per_event_max = 1
    "#,
    people_per_s: 2.0,
};

/// What may go wrong in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    Kill,
    Restart,
    CarrierAway,
    EndpointAway,
}

/// What goes wrong in a minute, if anything.
fn mishap(seed: Seed, minute: u64) -> Option<Mishap> {
    let roll = seed.roll(Question::Driver, minute, 0).unit();
    let all = [
        (0.10, Mishap::Kill),
        (0.15, Mishap::Restart),
        (0.25, Mishap::CarrierAway),
        (0.35, Mishap::EndpointAway),
    ];
    all.into_iter()
        .find(|(below, _)| roll < *below)
        .map(|(_, mishap)| mishap)
}

struct Soak {
    mixed: Mixed,
    share: f64,
    /// Every restart that was asked for ended in good order.
    stops_well: bool,
    /// Requests whose messages have not all arrived and been told.
    open: Vec<Asked>,
    /// Requests that are asked about at the end.
    sample: Vec<Asked>,
    findings: Findings,
    events: EventFindings,
}

pub(crate) async fn run(args: SoakArgs) -> anyhow::Result<bool> {
    let seed = args.common.seed();
    let per_s = recipients_per_s() * args.share;
    say(&format!(
        "soak: {} minutes, {} recipients/s, seed {seed}",
        args.minutes,
        grouped(per_s)
    ));
    let told_apart = SmscConfig::default().tallies_max as f64;
    if parts_per_s() * args.share * 60.0 * args.minutes as f64 > told_apart {
        bail!("more parts than the {told_apart} that a carrier tells apart: choose a smaller --share");
    }
    let mut folder = Folder::make(&args.common, "soak")?;
    let done = campaign(&args, seed, &folder).await;
    if !matches!(done, Ok(true)) {
        folder.keep();
        say(&format!("to meet the same mishaps again: --seed {seed}"));
    }
    done
}

async fn campaign(args: &SoakArgs, seed: u64, folder: &Folder) -> anyhow::Result<bool> {
    let mut soak = Soak {
        mixed: Mixed::start(&args.common, seed, &DAY, folder).await?,
        share: args.share,
        stops_well: true,
        open: Vec::new(),
        sample: Vec::new(),
        findings: Findings::default(),
        events: EventFindings::default(),
    };
    let mut course = Course::new(Bounds {
        memory_mib_max: args.memory_mib_max,
        unsent_max: (recipients_per_s() * args.share * args.queue_s_max as f64) as u64,
        behind_s_max: args.behind_s_max,
    });
    soak.mixed.disturb(args.share);
    let began = Instant::now();
    let mut broken = None;
    // A minute may take a little longer, until the last answers are there.
    let minutes = (0..args.minutes).take_while(|_| began.elapsed() < Duration::from_secs(60 * args.minutes));
    for number in minutes {
        let mishap = mishap(Seed(seed), number).filter(|_| !args.quiet);
        let minute = soak
            .minute(number, mishap)
            .await
            .with_context(|| format!("minute {number}"))?;
        say(&minute.line(number));
        broken = course.add(minute);
        if broken.is_some() {
            break;
        }
    }
    let mut verdict = Verdict::default();
    if let Some(why) = &broken {
        say(&format!("  {why}"));
    } else {
        soak.mixed.calm(&mut verdict).await?;
        soak.judge(&course, &mut verdict).await?;
    }
    verdict.must("memory, queue and lag within their bounds", broken.is_none());
    verdict.must("restarts stop in good order", soak.stops_well);
    soak.mixed.stop(&mut verdict).await?;
    Ok(verdict.conclude("soak"))
}

impl Soak {
    /// A minute of load, with a mishap in it or without.
    async fn minute(&mut self, number: u64, mishap: Option<Mishap>) -> anyhow::Result<Minute> {
        let began = Instant::now();
        let (accepted, carriers, told) = (
            self.mixed.sum.recipients_accepted,
            self.mixed.sums().counts,
            self.mixed.endpoint.sink.counts(),
        );
        let stop = CancellationToken::new();
        let seed = self.mixed.seed.0;
        let turn = Turn {
            name: &format!("soak-{seed:x}"),
            number,
            numbers_a_part: NUMBERS_A_PART,
            share: self.share,
            time_max: Duration::from_secs(60),
            patience: Duration::from_secs(60),
            seed,
        };
        let clients = self.mixed.send(&turn, &stop);
        if let Some(mishap) = mishap {
            self.meet(number, mishap).await?;
        }
        let before = self.open.len();
        gather(clients, &mut self.open, &mut self.mixed.sum).await?;
        let chosen = self.open.iter().skip(before).step_by(ASKED_OF);
        self.sample.extend(chosen.cloned());
        self.settle();
        let seconds = began.elapsed().as_secs_f64();
        let metrics = self.mixed.node.metrics().await?;
        let (carriers_now, told_now) = (self.mixed.sums().counts, self.mixed.endpoint.sink.counts());
        Ok(Minute {
            accepted_per_s: (self.mixed.sum.recipients_accepted - accepted) as f64 / seconds,
            sent_per_s: (carriers_now.taken - carriers.taken) as f64 / seconds,
            told_per_s: (told_now.events - told.events) as f64 / seconds,
            inbound_per_s: (carriers_now.inbound_written - carriers.inbound_written) as f64 / seconds,
            resident_mib: self
                .mixed
                .node
                .resident()
                .map_or(0, |(now, _)| now.div_ceil(1024 * 1024)),
            unsent: metrics.unsent(),
            behind_s: metrics.behind_s() as u64,
            waiting_calls: metrics.waiting_calls(),
            mishap: mishap.map(Mishap::words),
        })
    }

    async fn meet(&mut self, minute: u64, mishap: Mishap) -> anyhow::Result<()> {
        let seed = self.mixed.seed;
        let roll = |which, min, max| seed.roll(Question::Driver, minute, which).within(min, max);
        let moment = |which, min, max| Duration::from_millis(roll(which, min, max));
        tokio::time::sleep(moment(1, 5_000, 30_000)).await;
        let long = moment(2, 2_000, 10_000);
        let mixed = &mut self.mixed;
        match mishap {
            Mishap::Kill => {
                mixed.kill()?;
                mixed.node.start().await?;
            }
            Mishap::Restart => {
                self.stops_well &= mixed.node.stop().await?;
                mixed.node.start().await?;
            }
            Mishap::CarrierAway => {
                let last = mixed.carriers.len().saturating_sub(1) as u64;
                let carrier = mixed.carriers.get(usize::try_from(roll(3, 0, last))?);
                let carrier = carrier.context("there is such a carrier")?;
                carrier.smsc.control(Order::Leave)?;
                tokio::time::sleep(long).await;
                carrier.smsc.control(Order::Return)?;
            }
            Mishap::EndpointAway => {
                mixed.endpoint.sink.leave();
                tokio::time::sleep(long).await;
                mixed.endpoint.sink.come_back();
            }
        }
        Ok(())
    }

    /// Forgets the requests whose messages have arrived and been told: there are too many to keep them all.
    fn settle(&mut self) {
        let Self {
            mixed,
            open,
            findings,
            events,
            ..
        } = self;
        let arrived = |number: u64| {
            let joined = mixed.joined(number);
            let whole = joined.iter().any(|joined| joined.missing == 0);
            whole && has_ended(&mixed.endpoint.sink.states(number))
        };
        open.retain(|asked| {
            let settled = asked.told.accepted().all(&arrived);
            if settled {
                compare(asked, mixed, findings, events);
            }
            !settled
        });
    }

    async fn judge(&mut self, course: &Course, verdict: &mut Verdict) -> anyhow::Result<()> {
        let Self { mixed, findings, .. } = self;
        for asked in std::mem::take(&mut self.open) {
            compare(&asked, mixed, findings, &mut self.events);
        }
        let tallies = mixed.tallies();
        ask(&mixed.node.settings, &self.sample, &tallies, findings).await?;
        for (number, standing) in &findings.ended {
            let states = mixed.endpoint.sink.states(*number);
            self.events
                .look_for(*number, states.iter().map(String::as_str), Some(*standing));
        }
        let inbound = InboundFindings::of(&mixed.endpoint.sink, mixed.people()?);
        mixed.judge(findings, &self.events, &inbound, &tallies, verdict);
        match course.growth() {
            Some((before, after, after_max)) => verdict.at_most(
                &format!("memory in the last quarter, MiB; {before} in the second"),
                after,
                after_max,
            ),
            None => verdict.figure("memory growth", "too short a run to tell"),
        }
        Ok(())
    }
}

impl Mishap {
    const fn words(self) -> &'static str {
        match self {
            Self::Kill => "killed",
            Self::Restart => "restarted",
            Self::CarrierAway => "carrier away",
            Self::EndpointAway => "endpoint away",
        }
    }
}

/// What one request was told, against what carriers got and the endpoint was told.
fn compare(asked: &Asked, mixed: &Mixed, findings: &mut Findings, events: &mut EventFindings) {
    let told = &asked.told;
    let numbers = (0..told.recipients).map(|at| number(told.first + at));
    let tallies = numbers.filter_map(|number| Some((number, mixed.tally(number)?)));
    findings.compare_with_carrier(told, &tallies.collect());
    findings.compare_texts(told, &|number| mixed.joined(number));
    for number in told.accepted() {
        let states = mixed.endpoint.sink.states(number);
        events.look_for(number, states.iter().map(String::as_str), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mishaps_come_now_and_then_and_all_of_them_do() {
        let met: Vec<_> = (0..1_000).filter_map(|minute| mishap(Seed(1), minute)).collect();
        assert!((250..450).contains(&met.len()), "{}", met.len());
        for kind in [
            Mishap::Kill,
            Mishap::Restart,
            Mishap::CarrierAway,
            Mishap::EndpointAway,
        ] {
            assert!(met.contains(&kind), "{kind:?}");
        }
    }

    #[test]
    fn a_share_is_one() {
        assert_eq!(share("0.5"), Ok(0.5));
        for wrong in ["0", "1.1", "-1", "x", "NaN"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_minute_has_numbers_enough() {
        let most = recipients_per_s() * 60.0;
        assert!(most / 5.0 < NUMBERS_A_PART as f64);
        const { assert!(1_440 * 5 * NUMBERS_A_PART < sim::load::NUMBERS_MAX) };
    }
}
