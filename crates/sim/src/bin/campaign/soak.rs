//! Steady mixed load for a long time, with kills, restarts and peers that are away now and then: memory, lag and queue stay
//! within bounds, and nothing is lost.

mod trend;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use sim::load::number;
use sim::seed::{Question, Seed};
use sim::smsc::{Order, SmscConfig};
use tokio_util::sync::CancellationToken;

use self::trend::{Bounds, Minute, Trend};
use crate::clients::{Turn, gather, parts_per_s, recipients_per_s};
use crate::compare::{ClientRequest, Findings, query_status};
use crate::events::{EventFindings, InboundFindings, has_ended};
use crate::folder::Folder;
use crate::mixed::{Mixed, Profile};
use crate::report::{Report, grouped};
use crate::{Common, say};

/// Sends for a long time, with faults, and checks memory, lag and queue.
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
    /// Webhook lag in seconds at the end of a minute, at most
    #[arg(long, default_value_t = 30)]
    behind_s_max: u64,
    /// No kills, no restarts, no peer away
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

/// One of so many requests is queried at the end.
const SAMPLE_EVERY: usize = 50;

/// Few faults. No event meets two faults of the endpoint: see [`crate::crash`].
const PROFILE: Profile = Profile {
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
    mo_per_s: 2.0,
};

/// The faults of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InjectedFault {
    Kill,
    Restart,
    CarrierAway,
    EndpointAway,
}

/// The fault of a minute, if any.
fn injected_fault(seed: Seed, minute: u64) -> Option<InjectedFault> {
    let roll = seed.roll(Question::Driver, minute, 0).unit();
    let all = [
        (0.10, InjectedFault::Kill),
        (0.15, InjectedFault::Restart),
        (0.25, InjectedFault::CarrierAway),
        (0.35, InjectedFault::EndpointAway),
    ];
    all.into_iter()
        .find(|(below, _)| roll < *below)
        .map(|(_, injected_fault)| injected_fault)
}

struct Soak {
    mixed: Mixed,
    share: f64,
    /// Every restart shut down gracefully.
    stops_well: bool,
    /// Requests whose messages have not all arrived and been reported.
    open: Vec<ClientRequest>,
    /// Requests that are queried at the end.
    sample: Vec<ClientRequest>,
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
    let tracked_max = SmscConfig::default().tracked_messages_max as f64;
    if parts_per_s() * args.share * 60.0 * args.minutes as f64 > tracked_max {
        bail!(
            "more parts than the {tracked_max} that a carrier can count one by one: choose a smaller --share"
        );
    }
    let mut folder = Folder::make(&args.common, "soak")?;
    let done = campaign(&args, seed, &folder).await;
    if !matches!(done, Ok(true)) {
        folder.keep();
        say(&format!("to repeat the same faults: --seed {seed}"));
    }
    done
}

async fn campaign(args: &SoakArgs, seed: u64, folder: &Folder) -> anyhow::Result<bool> {
    let mut soak = Soak {
        mixed: Mixed::start(&args.common, seed, &PROFILE, folder).await?,
        share: args.share,
        stops_well: true,
        open: Vec::new(),
        sample: Vec::new(),
        findings: Findings::default(),
        events: EventFindings::default(),
    };
    let mut trend = Trend::new(Bounds {
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
        let injected_fault = injected_fault(Seed(seed), number).filter(|_| !args.quiet);
        let minute = soak
            .minute(number, injected_fault)
            .await
            .with_context(|| format!("minute {number}"))?;
        say(&minute.line(number));
        broken = trend.add(minute);
        if broken.is_some() {
            break;
        }
    }
    let mut report = Report::default();
    if let Some(why) = &broken {
        say(&format!("  {why}"));
    } else {
        soak.mixed.quiesce(&mut report).await?;
        soak.check(&trend, &mut report).await?;
    }
    report.must("memory, queue and lag within their bounds", broken.is_none());
    report.must("restarts shut down gracefully", soak.stops_well);
    soak.mixed.stop(&mut report).await?;
    Ok(report.conclude("soak"))
}

impl Soak {
    /// A minute of load, with a fault or without.
    async fn minute(&mut self, number: u64, injected_fault: Option<InjectedFault>) -> anyhow::Result<Minute> {
        let began = Instant::now();
        let (accepted, carriers, webhooks) = (
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
            answer_timeout: Duration::from_secs(60),
            seed,
        };
        let clients = self.mixed.send(&turn, &stop);
        if let Some(injected_fault) = injected_fault {
            self.inject(number, injected_fault).await?;
        }
        let before = self.open.len();
        gather(clients, &mut self.open, &mut self.mixed.sum).await?;
        let chosen = self.open.iter().skip(before).step_by(SAMPLE_EVERY);
        self.sample.extend(chosen.cloned());
        self.settle();
        let seconds = began.elapsed().as_secs_f64();
        let metrics = self.mixed.node.metrics().await?;
        let (carriers_now, webhooks_now) = (self.mixed.sums().counts, self.mixed.endpoint.sink.counts());
        Ok(Minute {
            accepted_per_s: (self.mixed.sum.recipients_accepted - accepted) as f64 / seconds,
            sent_per_s: (carriers_now.taken - carriers.taken) as f64 / seconds,
            events_per_s: (webhooks_now.events - webhooks.events) as f64 / seconds,
            inbound_per_s: (carriers_now.inbound_written - carriers.inbound_written) as f64 / seconds,
            resident_mib: self
                .mixed
                .node
                .resident()
                .map_or(0, |(now, _)| now.div_ceil(1024 * 1024)),
            unsent: metrics.unsent(),
            behind_s: metrics.behind_s() as u64,
            waiting_calls: metrics.waiting_calls(),
            injected_fault: injected_fault.map(InjectedFault::label),
        })
    }

    async fn inject(&mut self, minute: u64, injected_fault: InjectedFault) -> anyhow::Result<()> {
        let seed = self.mixed.seed;
        let roll = |which, min, max| seed.roll(Question::Driver, minute, which).within(min, max);
        let moment = |which, min, max| Duration::from_millis(roll(which, min, max));
        tokio::time::sleep(moment(1, 5_000, 30_000)).await;
        let long = moment(2, 2_000, 10_000);
        let mixed = &mut self.mixed;
        match injected_fault {
            InjectedFault::Kill => {
                mixed.kill()?;
                mixed.node.start().await?;
            }
            InjectedFault::Restart => {
                self.stops_well &= mixed.node.stop().await?;
                mixed.node.start().await?;
            }
            InjectedFault::CarrierAway => {
                let last = mixed.carriers.len().saturating_sub(1) as u64;
                let carrier = mixed.carriers.get(usize::try_from(roll(3, 0, last))?);
                let carrier = carrier.context("there is such a carrier")?;
                carrier.smsc.control(Order::Leave)?;
                tokio::time::sleep(long).await;
                carrier.smsc.control(Order::Return)?;
            }
            InjectedFault::EndpointAway => {
                mixed.endpoint.sink.leave();
                tokio::time::sleep(long).await;
                mixed.endpoint.sink.come_back();
            }
        }
        Ok(())
    }

    /// Drops the requests whose messages have arrived and been reported: there are too many to keep them all.
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
        open.retain(|request| {
            let settled = request.result.accepted().all(&arrived);
            if settled {
                compare(request, mixed, findings, events);
            }
            !settled
        });
    }

    async fn check(&mut self, trend: &Trend, report: &mut Report) -> anyhow::Result<()> {
        let Self { mixed, findings, .. } = self;
        for request in std::mem::take(&mut self.open) {
            compare(&request, mixed, findings, &mut self.events);
        }
        let counts_by_message = mixed.counts_by_message();
        query_status(&mixed.node.settings, &self.sample, &counts_by_message, findings).await?;
        for (number, standing) in &findings.ended {
            let states = mixed.endpoint.sink.states(*number);
            self.events
                .look_for(*number, states.iter().map(String::as_str), Some(*standing));
        }
        let inbound = InboundFindings::of(&mixed.endpoint.sink, mixed.mo_carrier()?);
        mixed.check(findings, &self.events, &inbound, &counts_by_message, report);
        match trend.growth() {
            Some((before, after, after_max)) => report.at_most(
                &format!("memory in the last quarter, MiB; {before} in the second"),
                after,
                after_max,
            ),
            None => report.figure("memory growth", "not checked: the run is too short"),
        }
        Ok(())
    }
}

impl InjectedFault {
    const fn label(self) -> &'static str {
        match self {
            Self::Kill => "killed",
            Self::Restart => "restarted",
            Self::CarrierAway => "carrier away",
            Self::EndpointAway => "endpoint away",
        }
    }
}

/// Compares the result of one request with what carriers and the endpoint received.
fn compare(request: &ClientRequest, mixed: &Mixed, findings: &mut Findings, events: &mut EventFindings) {
    let result = &request.result;
    let numbers = (0..result.recipients).map(|at| number(result.first + at));
    let counts_by_message = numbers.filter_map(|number| Some((number, mixed.message_counts(number)?)));
    findings.compare_with_carrier(result, &counts_by_message.collect());
    findings.compare_texts(result, &|number| mixed.joined(number));
    for number in result.accepted() {
        let states = mixed.endpoint.sink.states(number);
        events.look_for(number, states.iter().map(String::as_str), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_fault_is_injected_now_and_then() {
        let met: Vec<_> = (0..1_000)
            .filter_map(|minute| injected_fault(Seed(1), minute))
            .collect();
        assert!((250..450).contains(&met.len()), "{}", met.len());
        for kind in [
            InjectedFault::Kill,
            InjectedFault::Restart,
            InjectedFault::CarrierAway,
            InjectedFault::EndpointAway,
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
