//! Steady mixed load for a long time, with kills, restarts and peers that are away now and then: memory, lag and queue stay
//! within bounds, and nothing is lost.

mod course;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use sim::load::{Outcome, number};
use sim::seed::{Question, Seed};
use sim::sink::{self, SinkConfig, SinkHandle};
use sim::smsc::{Behaviour, CountBy, Order, People, SmscConfig, SmscHandle, Span, Tally};
use tokio_util::sync::CancellationToken;

use self::course::{Bounds, Course, Minute};
use crate::accounts::{CarrierEntry, Settings, WebhookEntry, inbound_number};
use crate::beside::{Carrier, Endpoint, free_address};
use crate::clients::{ACCOUNTS, Turn, gather, recipients_per_s};
use crate::compare::{Asked, Findings, ask};
use crate::events::{EventFindings, InboundFindings, has_ended};
use crate::folder::Folder;
use crate::node::Node;
use crate::report::{Verdict, grouped};
use crate::rest::rest;
use crate::{Common, say};

/// Sends for a long time, with mishaps, and watches memory, lag and queue.
#[derive(Args, Clone, Debug)]
pub(crate) struct SoakArgs {
    #[command(flatten)]
    common: Common,
    /// Minutes of load, a day at most
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
    /// How much of the load of a crash campaign is sent, 1.0 at most; all of it is 1750 recipients a second
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

const BINDS: u64 = 2;
const WINDOW: u64 = 50;

/// Recipients that one part of one minute may have at most: more than any sends in a minute.
const NUMBERS_A_PART: u64 = 100_000;

/// Requests that are asked about at the end: one of so many.
const ASKED_OF: usize = 50;

/// How long everything may take to come to rest.
const REST_MAX: Duration = Duration::from_secs(300);

/// What a carrier does in normal life.
const CARRIER: &str = r#"
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
    share = 0.03
    states = ["UNDELIV"]
    error = "034"
"#;

/// What an endpoint does in normal life. See [`crate::crash`] for why no event meets two faults.
const ENDPOINT: &str = r#"
    delay_ms = [0, 20]
    refused_share = 0.005
    cut_share = 0.002
    faults_per_event_max = 1
"#;

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
    seed: Seed,
    share: f64,
    node: Node,
    carrier: Carrier,
    endpoint: Endpoint,
    kills: u64,
    /// Every restart that was asked for ended in good order.
    stops_well: bool,
    sum: Outcome,
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
    if per_s * 60.0 * args.minutes as f64 > told_apart {
        bail!("more messages than the {told_apart} that a carrier tells apart: choose a smaller --share");
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
    let mut soak = Soak::set_up(args, seed, folder).await?;
    let mut course = Course::new(Bounds {
        memory_mib_max: args.memory_mib_max,
        unsent_max: (recipients_per_s() * args.share * args.queue_s_max as f64) as u64,
        behind_s_max: args.behind_s_max,
    });
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
        soak.rest().await?;
    }
    say("verdict");
    verdict.must("memory, queue and lag within their bounds", broken.is_none());
    if broken.is_none() {
        soak.judge(&course, &mut verdict).await?;
    }
    verdict.must("stops in good order", soak.node.stop().await? && soak.stops_well);
    soak.carrier.stop().await?;
    soak.endpoint.stop().await?;
    Ok(verdict.is_good())
}

impl Soak {
    async fn set_up(args: &SoakArgs, seed: u64, folder: &Folder) -> anyhow::Result<Self> {
        let carrier = Carrier::start(SmscConfig {
            seed: seed.max(1),
            count_by: CountBy::DestinationAndPart,
            kept_max: 0,
            behaviour: Behaviour {
                people: people(),
                ..toml::from_str(CARRIER)?
            },
            ..SmscConfig::default()
        })?;
        let endpoint = Endpoint::start(SinkConfig {
            seed: seed.max(1),
            count_by: sink::CountBy::Recipient,
            behaviour: toml::from_str(ENDPOINT)?,
            ..SinkConfig::default()
        })?;
        let webhook = |account| WebhookEntry {
            account,
            url: endpoint.sink.url(),
            events: &["submitted", "ended", "inbound"],
            concurrency: 8,
        };
        let settings = Settings {
            api: free_address()?,
            metrics: free_address()?,
            accounts: ACCOUNTS,
            edition: 0,
            carriers: vec![CarrierEntry {
                name: "north",
                address: carrier.address(),
                binds: BINDS,
                window_max: WINDOW,
                only: None,
                more: "",
            }],
            webhooks: (0..ACCOUNTS).map(webhook).collect(),
            notify: "trial_wait_s_max = 1",
            more: args.common.settings()?,
        };
        let mut node = Node::set_up(&args.common.postrider, folder.path(), settings)?;
        node.start().await?;
        node.bound(BINDS).await?;
        Ok(Self {
            seed: Seed(seed),
            share: args.share,
            node,
            carrier,
            endpoint,
            kills: 0,
            stops_well: true,
            sum: Outcome::default(),
            open: Vec::new(),
            sample: Vec::new(),
            findings: Findings::default(),
            events: EventFindings::default(),
        })
    }

    /// A minute of load, with a mishap in it or without.
    async fn minute(&mut self, number: u64, mishap: Option<Mishap>) -> anyhow::Result<Minute> {
        let began = Instant::now();
        let (accepted, carrier, told) = (
            self.sum.recipients_accepted,
            self.carrier.smsc.counts(),
            self.endpoint.sink.counts(),
        );
        let stop = CancellationToken::new();
        let turn = Turn {
            name: &format!("soak-{:x}", self.seed.0),
            number,
            numbers_a_part: NUMBERS_A_PART,
            share: self.share,
            time_max: Duration::from_secs(60),
            patience: Duration::from_secs(60),
            seed: self.seed.0,
        };
        let clients = turn.begin(&self.node.settings, &stop);
        self.node.change_catalog(number + 1)?;
        if let Some(mishap) = mishap {
            self.meet(number, mishap).await?;
        }
        let before = self.open.len();
        gather(clients, &mut self.open, &mut self.sum).await?;
        let chosen = self.open.iter().skip(before).step_by(ASKED_OF);
        self.sample.extend(chosen.cloned());
        self.settle();
        let seconds = began.elapsed().as_secs_f64();
        let metrics = self.node.metrics().await?;
        let (carrier_now, told_now) = (self.carrier.smsc.counts(), self.endpoint.sink.counts());
        Ok(Minute {
            accepted_per_s: (self.sum.recipients_accepted - accepted) as f64 / seconds,
            sent_per_s: (carrier_now.taken - carrier.taken) as f64 / seconds,
            told_per_s: (told_now.events - told.events) as f64 / seconds,
            inbound_per_s: (carrier_now.inbound_written - carrier.inbound_written) as f64 / seconds,
            resident_mib: self
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
        let seed = self.seed;
        let moment = |which, min, max| {
            let ms = seed.roll(Question::Driver, minute, which).within(min, max);
            Duration::from_millis(ms)
        };
        tokio::time::sleep(moment(1, 5_000, 30_000)).await;
        let long = moment(2, 2_000, 10_000);
        match mishap {
            Mishap::Kill => {
                self.kills += 1;
                self.node.kill()?;
                self.node.start().await?;
            }
            Mishap::Restart => {
                self.stops_well &= self.node.stop().await?;
                self.node.start().await?;
            }
            Mishap::CarrierAway => {
                self.carrier.smsc.control(Order::Leave)?;
                tokio::time::sleep(long).await;
                self.carrier.smsc.control(Order::Return)?;
            }
            Mishap::EndpointAway => {
                self.endpoint.sink.leave();
                tokio::time::sleep(long).await;
                self.endpoint.sink.come_back();
            }
        }
        Ok(())
    }

    /// Forgets the requests whose messages have arrived and been told: there are too many to keep them all.
    fn settle(&mut self) {
        let Self {
            carrier,
            endpoint,
            open,
            findings,
            events,
            ..
        } = self;
        let arrived = |number: u64| {
            let whole = carrier
                .smsc
                .joined_of(number)
                .is_some_and(|joined| joined.missing == 0);
            whole && has_ended(&endpoint.sink.states(number))
        };
        open.retain(|asked| {
            let settled = asked.told.accepted().all(&arrived);
            if settled {
                compare(asked, &carrier.smsc, &endpoint.sink, findings, events);
            }
            !settled
        });
    }

    /// Waits until nothing is on its way any more.
    async fn rest(&mut self) -> anyhow::Result<()> {
        let mut behaviour = self.carrier.smsc.behaviour();
        behaviour.people.per_s = 0.0;
        self.carrier.smsc.control(Order::Behave(Box::new(behaviour)))?;
        self.endpoint.sink.behave(sink::Behaviour::default())?;
        rest(&self.node, &[&self.carrier.smsc], REST_MAX).await.map(drop)
    }

    async fn judge(&mut self, course: &Course, verdict: &mut Verdict) -> anyhow::Result<()> {
        for asked in std::mem::take(&mut self.open) {
            compare(
                &asked,
                &self.carrier.smsc,
                &self.endpoint.sink,
                &mut self.findings,
                &mut self.events,
            );
        }
        let tallies: HashMap<u64, Tally> = self.carrier.smsc.tallies().into_iter().collect();
        ask(&self.node.settings, &self.sample, &tallies, &mut self.findings).await?;
        for (number, standing) in &self.findings.ended {
            let states = self.endpoint.sink.states(*number);
            self.events
                .look_for(*number, states.iter().map(String::as_str), Some(*standing));
        }
        let inbound = InboundFindings::of(&self.endpoint.sink, &self.carrier.smsc);
        let counts = self.carrier.smsc.counts();
        verdict.figure("recipients accepted", grouped(self.findings.accepted as f64));
        verdict.figure("requests never answered", self.sum.unanswered);
        verdict.figure("requests asked about at the end", self.sample.len());
        verdict.figure("inbound messages acknowledged whole", inbound.taken);
        verdict.figure("events told again", self.endpoint.sink.counts().repeats);
        self.findings.judge(verdict);
        self.events.judge(verdict);
        inbound.judge(verdict);
        verdict.at_most("repeats answered wrongly", self.sum.repeats_wrong, 0);
        verdict.at_most(
            "messages sent twice: one window a bind lost",
            counts.duplicates,
            (self.kills * BINDS + counts.cuts) * WINDOW,
        );
        match course.growth() {
            Some((before, after, after_max)) => verdict.at_most(
                &format!("memory in the last quarter, MiB; {before} in the second"),
                after,
                after_max,
            ),
            None => verdict.figure("memory growth", "too short a run to tell"),
        }
        verdict.must(
            "messages were sent, told and answered",
            self.findings.accepted > 0 && self.endpoint.sink.counts().events > 0 && inbound.taken > 0,
        );
        for reason in &self.sum.reasons {
            verdict.figure("clients saw", reason);
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

/// What people write meanwhile.
fn people() -> People {
    People {
        per_s: 2.0,
        to: (0..ACCOUNTS).map(inbound_number).collect(),
        parts: Span { min: 1, max: 3 },
        unicode_share: 0.2,
        repeat_share: 0.02,
        ..People::default()
    }
}

/// What one request was told, against what the carrier got and the endpoint was told.
fn compare(
    asked: &Asked,
    smsc: &SmscHandle,
    sink: &SinkHandle,
    findings: &mut Findings,
    events: &mut EventFindings,
) {
    let told = &asked.told;
    let numbers = (0..told.recipients).map(|at| number(told.first + at));
    let tallies = numbers.filter_map(|number| Some((number, smsc.tally(number)?)));
    findings.compare_with_carrier(told, &tallies.collect());
    findings.compare_texts(asked, &|number| smsc.joined_of(number).into_iter().collect());
    for number in told.accepted() {
        let states = sink.states(number);
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
