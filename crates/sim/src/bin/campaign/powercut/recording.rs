//! Records a run of the program: what it did to its disk, the answers to clients and what carriers received, all by one
//! clock.

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
use crate::compare::ClientRequest;
use crate::mixed::{Mixed, Profile};
use crate::node::Node;
use crate::report::Report;

/// Few faults: only answers to clients and acknowledgements to carriers matter. Receipts never come before answers, so that a
/// message whose receipts were acknowledged has ended.
pub(super) const PROFILE: Profile = Profile {
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
    mo_per_s: 20.0,
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
    /// The requests of all clients, with their answers.
    pub(crate) requests: Vec<ClientRequest>,
    /// Where the accounts' endpoint was.
    pub(crate) endpoint: SocketAddr,
    /// Sessions that a kill and changes of the catalog ended at most, for each bind.
    pub(crate) sessions_lost: u64,
    /// The recorded history of each carrier.
    pub(crate) pasts: Vec<Past>,
    /// When the end of each message was reported first, in nanoseconds of the record's clock.
    pub(crate) reported_ns: HashMap<u64, u64>,
    /// The same of inbound messages.
    pub(crate) inbound_reported_ns: HashMap<u64, u64>,
}

/// What the clients send; `number` is the turn.
pub(super) fn turn(name: &str, number: u64, seed: u64, share: f64) -> Turn<'_> {
    Turn {
        name,
        number,
        numbers_a_part: NUMBERS_A_PART,
        share,
        time_max: Duration::from_secs(120),
        answer_timeout: Duration::from_secs(60),
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
    /// The name in reports and of folders.
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
    let mut mixed = Mixed::start_in(root, environment, more, common, seed, &PROFILE).await?;
    for carrier in &mixed.carriers {
        carrier.smsc.keep_past();
    }
    mixed.disturb(SHARE);
    let mut requests = Vec::new();
    let name = name(seed);
    let stop = CancellationToken::new();
    let clients = mixed.send(&turn(&name, 0, seed, SHARE), &stop);
    let half = Duration::from_millis(seconds * 500);
    tokio::time::sleep(half).await;
    if interruption == Interruption::FailedSync {
        shim.set_control(Control {
            fail_syncs: 1,
            ..Control::default()
        })?;
        ended(&mut mixed.node, ENDS_WITHIN).await?;
        shim.set_control(Control::default())?;
    }
    mixed.kill()?;
    mixed.node.spawn()?;
    mixed.node.ready().await?;
    tokio::time::sleep(half).await;
    stop.cancel();
    gather(clients, &mut requests, &mut mixed.sum).await?;
    // Waits until all has drained: the answer of a message in doubt that is still to be sent again is not known, nor is the effect
    // of its receipt.
    mixed.quiesce(&mut Report::silent()).await?;
    mixed.node.stop().await?;
    let pasts = mixed.carriers.iter().map(|carrier| carrier.smsc.past()).collect();
    let reported_ns = ends_reported(&mixed, moments);
    let inbound_reported_ns = inbound_reported(&mixed, moments);
    let settings = mixed.node.settings.clone();
    let endpoint = mixed.endpoint.address();
    let sessions_lost = mixed.kills;
    mixed.stop(&mut Report::silent()).await?;
    let record = shim.record_path();
    let record = std::fs::read(&record).with_context(|| format!("reading {}", record.display()))?;
    Ok(Recording {
        record,
        moments,
        settings,
        requests,
        endpoint,
        sessions_lost,
        pasts,
        reported_ns,
        inbound_reported_ns,
    })
}

/// When the end of each message was reported first.
fn ends_reported(mixed: &Mixed, moments: Moments) -> HashMap<u64, u64> {
    let sink = &mixed.endpoint.sink;
    let started = moments.ns(sink.started());
    let mut ends = HashMap::new();
    sink.each_message(|number, timeline| {
        let end = timeline
            .iter()
            .find(|received| crate::events::has_ended(&[received.state.to_owned()]));
        if let Some(received) = end {
            ends.insert(number, started + u64::from(received.at_ms) * 1_000_000);
        }
    });
    ends
}

/// When each inbound message was reported first, by its number. One that a carrier delivers twice is reported as two messages.
fn inbound_reported(mixed: &Mixed, moments: Moments) -> HashMap<u64, u64> {
    let sink = &mixed.endpoint.sink;
    let started = moments.ns(sink.started());
    let mut reported = HashMap::new();
    for received in sink.inbound() {
        if let Some(number) = inbound_number_of(&received.text) {
            let at_ns = started + u64::from(received.at_ms) * 1_000_000;
            reported
                .entry(number)
                .and_modify(|first: &mut u64| *first = at_ns.min(*first))
                .or_insert(at_ns);
        }
    }
    reported
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
