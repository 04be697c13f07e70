//! `kill -9` at random moments under load: nothing accepted is lost, and at most one window a bind is sent twice; what
//! became of messages is told, and what people write comes through.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use sim::load::{Outcome, Standing};
use sim::seed::{Question, Seed, hash};
use sim::sink::{self, SinkConfig};
use sim::smsc::{Behaviour, CountBy, Counts, Order, People, SmscConfig, Span, Tally};
use tokio_util::sync::CancellationToken;

use crate::accounts::{CarrierEntry, Settings, WebhookEntry, inbound_number};
use crate::beside::{Carrier, Endpoint, free_address};
use crate::clients::{ACCOUNTS, Turn, gather};
use crate::compare::{Asked, Findings, ask};
use crate::events::{EventFindings, InboundFindings};
use crate::folder::Folder;
use crate::node::Node;
use crate::report::Verdict;
use crate::rest::rest;
use crate::{Common, say};

/// Kills the program at random moments under load, and compares what clients were told with what the carrier got.
#[derive(Args, Clone, Debug)]
pub(crate) struct CrashArgs {
    #[command(flatten)]
    common: Common,
    /// How often it is killed at least
    #[arg(long, default_value_t = 20)]
    rounds: u64,
}

/// One of the carriers.
struct CarrierPlan {
    name: &'static str,
    binds: u64,
    window_max: u64,
    only: Option<u32>,
    /// Settings in the catalog.
    settings: &'static str,
    /// How it writes ids, in the simulator's settings.
    ids: &'static str,
    /// One receipt for a whole message instead of one for each part.
    for_whole: bool,
}

/// Windows, notations of ids and ways to report differ.
const CARRIERS: [CarrierPlan; 3] = [
    CarrierPlan {
        name: "north",
        binds: 2,
        window_max: 50,
        only: None,
        settings: "",
        ids: "",
        for_whole: false,
    },
    CarrierPlan {
        name: "south",
        binds: 2,
        window_max: 10,
        only: Some(1),
        settings: "id_notation = \"hex_submit_decimal_receipt\"\nreceipt_for = \"message\"",
        ids: "answer = { notation = \"hex\" }\nreceipt = { notation = \"decimal\", width = 10 }",
        for_whole: true,
    },
    CarrierPlan {
        name: "narrow",
        binds: 1,
        window_max: 1,
        only: Some(3),
        settings: "linking = \"udh8\"",
        ids: "answer = { notation = \"hex_upper\" }\nreceipt = { notation = \"hex\" }",
        for_whole: false,
    },
];

/// Recipients that one part of one round may have at most: each part has its own numbers.
const NUMBERS_A_PART: u64 = 500_000;

/// How long everything may take to come to rest.
const REST_MAX: Duration = Duration::from_secs(300);

/// A carrier on a bad day. Refusals pass after one try, so that no message runs out of tries; telling to slow down is
/// rare, because a gateway that heeds it would hardly send anything.
const BAD_DAY: &str = r#"
    answers.delay_ms = [0, 8]
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
    bad_day.people = people();
    bad_day
}

/// An endpoint on a bad day. No event meets two faults, because the second try comes after five seconds and the third
/// after five minutes.
const BAD_ENDPOINT: &str = r#"
    delay_ms = [0, 20]
    refused_share = 0.03
    redirected_share = 0.01
    cut_share = 0.01
    hung_share = 0.0005
    faults_per_event_max = 1
"#;

/// What people write meanwhile.
fn people() -> People {
    People {
        per_s: 40.0,
        to: (0..ACCOUNTS).map(inbound_number).collect(),
        parts: Span { min: 1, max: 3 },
        unicode_share: 0.2,
        repeat_share: 0.05,
        ..People::default()
    }
}

/// Sums over all carriers.
#[derive(Debug, Default)]
struct Sums {
    counts: Counts,
    messages: u64,
    duplicates: u64,
    /// One window for each bind that a kill or a cut ended.
    duplicates_max: u64,
    cuts: u64,
}

impl Sums {
    fn add(&mut self, counts: &Counts, (binds_lost, window_max): (u64, u64)) {
        self.messages += counts.messages;
        self.duplicates += counts.duplicates;
        self.cuts += counts.cuts;
        self.duplicates_max += (binds_lost + counts.cuts) * window_max;
        let sums = &mut self.counts;
        sums.submitted += counts.submitted;
        sums.taken += counts.taken;
        sums.refused += counts.refused;
        sums.binds_refused += counts.binds_refused;
        sums.garbage += counts.garbage;
        sums.receipts_acknowledged += counts.receipts_acknowledged;
        sums.receipts_in_doubt += counts.receipts_in_doubt;
        sums.receipts_refused += counts.receipts_refused;
        sums.receipts_waiting += counts.receipts_waiting;
        sums.receipts_unsendable += counts.receipts_unsendable;
        sums.inbound_written += counts.inbound_written;
        sums.window_seen_max = sums.window_seen_max.max(counts.window_seen_max);
    }
}

/// What the campaign holds in its hands.
struct Campaign {
    seed: Seed,
    node: Node,
    /// As in [`CARRIERS`].
    carriers: Vec<Carrier>,
    endpoint: Endpoint,
    kills: u64,
    asked: Vec<Asked>,
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
    let carriers: Vec<Carrier> = CARRIERS
        .iter()
        .map(|plan| plan.start(seed))
        .collect::<anyhow::Result<_>>()?;
    let endpoint = Endpoint::start(SinkConfig {
        seed: seed.max(1),
        count_by: sink::CountBy::Recipient,
        behaviour: toml::from_str(BAD_ENDPOINT)?,
        ..SinkConfig::default()
    })?;
    let webhook = |account, events| WebhookEntry {
        account,
        url: endpoint.sink.url(),
        events,
        concurrency: 16,
    };
    let settings = Settings {
        api: free_address()?,
        metrics: free_address()?,
        accounts: ACCOUNTS,
        edition: 0,
        carriers: CARRIERS
            .iter()
            .zip(&carriers)
            .map(|(plan, carrier)| plan.entry(carrier))
            .collect(),
        webhooks: vec![
            webhook(0, &["ended", "inbound"]),
            webhook(1, &["submitted", "ended", "inbound"]),
            webhook(2, &["ended", "inbound"]),
            webhook(3, &["submitted", "ended", "inbound"]),
        ],
        notify: "trial_wait_s_max = 1",
        more: args.common.settings()?,
    };
    let node = Node::set_up(&args.common.postrider, folder.path(), settings)?;
    let mut campaign = Campaign {
        seed: Seed(seed),
        node,
        carriers,
        endpoint,
        kills: 0,
        asked: Vec::new(),
        sum: Outcome::default(),
    };
    campaign.node.start().await?;
    campaign.node.bound(CARRIERS.len() as u64).await?;
    for round in 0..args.rounds {
        campaign
            .round(round)
            .await
            .with_context(|| format!("round {round}"))?;
    }
    campaign.rest().await?;
    let mut verdict = Verdict::default();
    campaign.compare(&mut verdict).await?;
    let stopped = campaign.node.stop().await?;
    verdict.must("stops in good order", stopped);
    for carrier in campaign.carriers {
        carrier.stop().await?;
    }
    campaign.endpoint.stop().await?;
    Ok(verdict.is_good())
}

impl CarrierPlan {
    fn start(&self, seed: u64) -> anyhow::Result<Carrier> {
        Carrier::start(SmscConfig {
            seed: hash(self.name.as_bytes()) ^ seed.max(1),
            count_by: CountBy::DestinationAndPart,
            kept_max: 0,
            ids: toml::from_str(self.ids)?,
            behaviour: self.behaviour(true)?,
            ..SmscConfig::default()
        })
    }

    fn behaviour(&self, faults: bool) -> anyhow::Result<Behaviour> {
        let mut behaviour: Behaviour = toml::from_str(BAD_DAY)?;
        behaviour.receipts.for_whole = self.for_whole;
        if !faults {
            return Ok(behaviour);
        }
        let mut behaviour = with_faults(behaviour);
        // People write over one of them.
        if self.only.is_some() {
            behaviour.people = People::default();
        }
        Ok(behaviour)
    }

    fn entry(&self, carrier: &Carrier) -> CarrierEntry {
        CarrierEntry {
            name: self.name,
            address: carrier.address(),
            binds: self.binds,
            window_max: self.window_max,
            only: self.only,
            more: self.settings,
        }
    }
}

impl Campaign {
    /// Milliseconds drawn for a moment of a round.
    fn moment(&self, round: u64, which: u64, min: u64, max: u64) -> Duration {
        Duration::from_millis(self.seed.roll(Question::Driver, round, which).within(min, max))
    }

    /// Clients send, the program is killed and started again, and the clients go on until each has its answer.
    async fn round(&mut self, round: u64) -> anyhow::Result<()> {
        let stop = CancellationToken::new();
        let turn = Turn {
            name: &format!("crash-{:x}", self.seed.0),
            number: round,
            numbers_a_part: NUMBERS_A_PART,
            share: 1.0,
            time_max: Duration::from_secs(60),
            patience: Duration::from_secs(60),
            seed: self.seed.0,
        };
        let clients = turn.begin(&self.node.settings, &stop);
        let away = self.away(round);
        self.throttle(round)?;
        self.node.change_catalog(round + 1)?;
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
        gather(clients, &mut self.asked, &mut self.sum).await?;
        away.await?;
        let accepted = self.sum.recipients_accepted - before;
        let counts = self.counts();
        say(&format!(
            "  round {round:>3}: {accepted:>6} accepted; in all {} kills, {} at the carrier, {} twice, {} cuts, {} told",
            self.kills,
            counts.messages,
            counts.duplicates,
            counts.cuts,
            self.endpoint.sink.counts().events
        ));
        Ok(())
    }

    /// Two carriers take turns in taking no more than so much a second.
    fn throttle(&self, round: u64) -> anyhow::Result<()> {
        for (at, (plan, carrier)) in CARRIERS.iter().zip(&self.carriers).enumerate().take(2) {
            let mut behaviour = plan.behaviour(true)?;
            if at as u64 == round % 2 {
                behaviour.limits.rate_per_s_max = 400;
            }
            carrier.smsc.control(Order::Behave(Box::new(behaviour)))?;
        }
        Ok(())
    }

    /// The sums over all carriers.
    fn counts(&self) -> Sums {
        let mut sums = Sums::default();
        for (plan, carrier) in CARRIERS.iter().zip(&self.carriers) {
            sums.add(&carrier.smsc.counts(), (self.kills * plan.binds, plan.window_max));
        }
        sums
    }

    /// Now and then the endpoint is away for a while.
    fn away(&self, round: u64) -> tokio::task::JoinHandle<()> {
        let is_away = self.seed.roll(Question::Driver, round, 5).hits(0.3);
        let (after, long) = (self.moment(round, 6, 0, 1_500), self.moment(round, 7, 200, 1_500));
        let sink = self.endpoint.sink.clone();
        tokio::spawn(async move {
            if is_away {
                tokio::time::sleep(after).await;
                sink.leave();
                tokio::time::sleep(long).await;
                sink.come_back();
            }
        })
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.kills += 1;
        self.node.kill()
    }

    /// Waits until nothing is on its way any more.
    async fn rest(&mut self) -> anyhow::Result<()> {
        for (plan, carrier) in CARRIERS.iter().zip(&self.carriers) {
            let behaviour = plan.behaviour(false)?;
            carrier.smsc.control(Order::Behave(Box::new(behaviour)))?;
        }
        self.endpoint.sink.behave(sink::Behaviour::default())?;
        let carriers: Vec<_> = self.carriers.iter().map(|carrier| &carrier.smsc).collect();
        rest(&self.node, &carriers, REST_MAX).await.map(drop)
    }

    async fn compare(&self, verdict: &mut Verdict) -> anyhow::Result<()> {
        let mut tallies: HashMap<u64, Tally> = HashMap::new();
        for carrier in &self.carriers {
            tallies.extend(carrier.smsc.tallies());
        }
        let mut findings = Findings::default();
        for asked in &self.asked {
            findings.compare_with_carrier(&asked.told, &tallies);
            findings.compare_texts(asked, &|number| {
                self.carriers
                    .iter()
                    .filter_map(|carrier| carrier.smsc.joined_of(number))
                    .collect()
            });
        }
        ask(&self.node.settings, &self.asked, &tallies, &mut findings).await?;
        let possible: HashSet<u64> = self.asked.iter().flat_map(Asked::possible).collect();
        let events = EventFindings::of(&self.endpoint.sink, &findings.ended, &possible);
        let inbound = InboundFindings::of(&self.endpoint.sink, &self.people()?.smsc);
        self.figures(&findings, &events, &inbound, verdict);
        say("verdict");
        findings.judge(verdict);
        events.judge(verdict);
        inbound.judge(verdict);
        let counts = self.counts();
        verdict.at_most(
            "receipts not acknowledged",
            counts.counts.receipts_waiting + counts.counts.receipts_unsendable,
            0,
        );
        verdict.at_most("repeats answered wrongly", self.sum.repeats_wrong, 0);
        verdict.at_most(
            "parts sent twice: one window a bind lost",
            counts.duplicates,
            counts.duplicates_max,
        );
        verdict.must(
            "the carrier saw load, kills and faults",
            counts.messages > 0 && self.kills > 0,
        );
        verdict.must(
            "the endpoint was told something",
            events.told > 0 && inbound.taken > 0,
        );
        for reason in &self.sum.reasons {
            verdict.figure("clients saw", reason);
        }
        Ok(())
    }

    /// The carrier over which people write.
    fn people(&self) -> anyhow::Result<&Carrier> {
        self.carriers.first().context("there is a carrier")
    }

    fn figures(
        &self,
        findings: &Findings,
        events: &EventFindings,
        inbound: &InboundFindings,
        verdict: &mut Verdict,
    ) {
        let (sum, counts) = (&self.sum, self.counts());
        say("what clients were told");
        verdict.figure("requests answered", sum.answered);
        verdict.figure("requests never answered", sum.unanswered);
        verdict.figure("requests sent again for want of an answer", sum.retries);
        verdict.figure("requests sent again on purpose", sum.repeats);
        verdict.figure("recipients accepted", findings.accepted);
        verdict.figure("recipients refused", sum.recipients_refused);
        say("what the carrier got");
        verdict.figure(
            "submitted / taken / refused",
            format!(
                "{} / {} / {}",
                counts.counts.submitted, counts.counts.taken, counts.counts.refused
            ),
        );
        verdict.figure(
            "connections cut / binds refused / garbage",
            format!(
                "{} / {} / {}",
                counts.cuts, counts.counts.binds_refused, counts.counts.garbage
            ),
        );
        verdict.figure(
            "receipts acknowledged / sent again",
            format!(
                "{} / {}",
                counts.counts.receipts_acknowledged,
                counts.counts.receipts_in_doubt + counts.counts.receipts_refused
            ),
        );
        verdict.figure(
            "most unanswered at once on one bind",
            counts.counts.window_seen_max,
        );
        verdict.figure(
            "inbound messages written / acknowledged whole",
            format!("{} / {}", counts.counts.inbound_written, inbound.taken),
        );
        say("what became of it");
        verdict.figure(
            "delivered / failed",
            format!(
                "{} / {}",
                findings.ended(Standing::Delivered),
                findings.ended(Standing::Failed)
            ),
        );
        let told = self.endpoint.sink.counts();
        say("what the endpoint was told");
        verdict.figure(
            "calls taken / refused / elsewhere / cut / hung",
            format!(
                "{} / {} / {} / {} / {}",
                told.taken, told.refused, told.redirected, told.cut, told.hung
            ),
        );
        verdict.figure(
            "ends of messages told / events told again",
            format!("{} / {}", events.told, told.repeats),
        );
        verdict.figure("inbound messages told again", inbound.repeats);
    }
}
