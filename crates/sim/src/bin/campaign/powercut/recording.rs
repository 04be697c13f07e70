//! A run of the program that is recorded: what it did to its disk, what clients were answered and what carriers got, all by
//! one clock.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use sim::smsc::{Past, inbound_number_of};
use tokio_util::sync::CancellationToken;

use super::shim::{Control, Moments, Shim};
use crate::Common;
use crate::accounts::Settings;
use crate::clients::{Turn, gather};
use crate::compare::Asked;
use crate::mixed::{Day, Mixed};
use crate::node::Node;
use crate::report::Verdict;

/// A gentle day: what a client was answered and a carrier was acknowledged is what counts. Receipts never come before answers, so that
/// what was acknowledged has an end.
pub(super) const DAY: Day = Day {
    carriers: r#"
        answers.delay_ms = [0, 8]
        [receipts]
        delay_ms = [150, 500]
        [[rules]]
        share = 0.02
        status = "RSYSERR"
        times_per_message_max = 1
        [[rules]]
        share = 0.05
        states = ["UNDELIV"]
        error = "034"
    "#,
    endpoint: "delay_ms = [0, 10]",
    people_per_s: 20.0,
};

/// How much of the load of other campaigns is sent: enough for every kind of write, and little enough to ask about all of it
/// for each image.
const SHARE: f64 = 0.12;

/// Recipients that one part of the load may have at most.
const NUMBERS_A_PART: u64 = 100_000;

/// The log is written back often.
pub(super) const SMALL_LOG: &str = "[store.sqlite]\nwal_bytes_max = 1048576\n";

/// What was recorded.
pub(crate) struct Recording {
    /// What the shim wrote.
    pub(crate) record: Vec<u8>,
    pub(crate) moments: Moments,
    /// How the node was set up.
    pub(crate) settings: Settings,
    /// What clients were told, of which there were so many turns.
    pub(crate) asked: Vec<Asked>,
    /// Where the accounts' endpoint was.
    pub(crate) endpoint: SocketAddr,
    /// Sessions that a kill and changes of the catalog ended at most, for each bind.
    pub(crate) sessions_lost: u64,
    /// What each carrier remembers.
    pub(crate) pasts: Vec<Past>,
    /// When each end of a message was told first, in nanoseconds of the record's clock.
    pub(crate) told_ns: HashMap<u64, u64>,
    /// The same of what people wrote.
    pub(crate) inbound_told_ns: HashMap<u64, u64>,
}

/// What the clients send; `number` is the turn.
pub(super) fn turn(name: &str, number: u64, seed: u64, share: f64) -> Turn<'_> {
    Turn {
        name,
        number,
        numbers_a_part: NUMBERS_A_PART,
        share,
        time_max: Duration::from_secs(120),
        patience: Duration::from_secs(60),
        seed,
    }
}

/// The name of the recording's requests.
pub(super) fn name(seed: u64) -> String {
    format!("powercut-{seed:x}")
}

/// What happens in the middle of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// `kill -9`, and the program starts again.
    Kill,
    /// A sync of the write-ahead log fails once. What was not synced is in memory and will never be on the disk by itself, whatever the
    /// program reads back.
    FailedSync,
}

impl Interruption {
    /// As people write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "killed",
            Self::FailedSync => "failed-sync",
        }
    }
}

/// How long a program may go on after a sync failed before it is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

/// Runs the program for `seconds`, with an interruption in the middle and a stop in good order at the end, and records from
/// before the store is made.
pub(crate) async fn record(
    common: &Common,
    seed: u64,
    seconds: u64,
    interruption: Interruption,
    shim: &Shim,
    root: &Path,
) -> anyhow::Result<Recording> {
    std::fs::create_dir_all(root)?;
    let moments = Moments::new();
    let environment = shim.environment(root, true);
    let more = format!("{SMALL_LOG}{}", common.settings()?);
    let mut mixed = Mixed::start_in(root, environment, more, common, seed, &DAY).await?;
    for carrier in &mixed.carriers {
        carrier.smsc.keep_past();
    }
    mixed.disturb(SHARE);
    let mut asked = Vec::new();
    let name = name(seed);
    let stop = CancellationToken::new();
    let clients = mixed.send(&turn(&name, 0, seed, SHARE), &stop);
    let half = Duration::from_millis(seconds * 500);
    tokio::time::sleep(half).await;
    if interruption == Interruption::FailedSync {
        shim.tell(Control {
            fail_syncs: 1,
            ..Control::default()
        })?;
        ended(&mut mixed.node, ENDS_WITHIN).await?;
        shim.tell(Control::default())?;
    }
    mixed.kill()?;
    mixed.node.spawn()?;
    mixed.node.ready().await?;
    tokio::time::sleep(half).await;
    stop.cancel();
    gather(clients, &mut asked, &mut mixed.sum).await?;
    // Until all is at rest: a message in doubt that is still to be sent again has an answer that nobody knows, and what its receipt
    // did cannot be told from this record.
    mixed.calm(&mut Verdict::silent()).await?;
    mixed.node.stop().await?;
    let pasts = mixed.carriers.iter().map(|carrier| carrier.smsc.past()).collect();
    let told_ns = ends_told(&mixed, moments);
    let inbound_told_ns = inbound_told(&mixed, moments);
    let settings = mixed.node.settings.clone();
    let endpoint = mixed.endpoint.address();
    let sessions_lost = mixed.kills;
    mixed.stop(&mut Verdict::silent()).await?;
    let record = shim.record_path();
    let record = std::fs::read(&record).with_context(|| format!("reading {}", record.display()))?;
    Ok(Recording {
        record,
        moments,
        settings,
        asked,
        endpoint,
        sessions_lost,
        pasts,
        told_ns,
        inbound_told_ns,
    })
}

/// When the end of each message was told first.
fn ends_told(mixed: &Mixed, moments: Moments) -> HashMap<u64, u64> {
    let sink = &mixed.endpoint.sink;
    let started = moments.ns(sink.started());
    let mut ends = HashMap::new();
    sink.each_message(|number, story| {
        let end = story
            .iter()
            .find(|heard| crate::events::has_ended(&[heard.state.to_owned()]));
        if let Some(heard) = end {
            ends.insert(number, started + u64::from(heard.at_ms) * 1_000_000);
        }
    });
    ends
}

/// When what people wrote was told first, by its number. What a carrier brings twice is told as two messages.
fn inbound_told(mixed: &Mixed, moments: Moments) -> HashMap<u64, u64> {
    let sink = &mixed.endpoint.sink;
    let started = moments.ns(sink.started());
    let mut told = HashMap::new();
    for heard in sink.inbound() {
        if let Some(number) = inbound_number_of(&heard.text) {
            let at_ns = started + u64::from(heard.at_ms) * 1_000_000;
            told.entry(number)
                .and_modify(|first: &mut u64| *first = at_ns.min(*first))
                .or_insert(at_ns);
        }
    }
    told
}

/// Where a node keeps the files of an image.
pub(crate) fn image_folder(base: &Path, no: usize) -> PathBuf {
    base.join(format!("image-{no}"))
}

/// Waits until a node has ended by itself, or the time is over; whether it has.
pub(super) async fn ended(node: &mut Node, within: Duration) -> anyhow::Result<bool> {
    let since = Instant::now();
    while !node.has_ended()? {
        if since.elapsed() > within {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(true)
}
