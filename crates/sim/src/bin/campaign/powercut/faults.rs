//! Faults under load: a sync that fails, a full disk, short writes, a sync that takes long, a clock that jumps, a store that is removed.
//! After each the program is killed and started again, and in the end everything is compared as after any crash.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::recording::{PROFILE, SMALL_LOG, ended};
use super::shim::{Control, Shim};
use crate::clients::{Turn, gather};
use crate::compare::ClientRequest;
use crate::folder::Folder;
use crate::mixed::Mixed;
use crate::report::Report;
use crate::{Common, say};

/// How much of the load of other campaigns is sent.
const SHARE: f64 = 0.3;

/// Recipients that one part of one round may have at most.
const NUMBERS_A_PART: u64 = 100_000;

/// Load before and after a fault.
const AROUND: Duration = Duration::from_millis(800);

/// How long a fault that lasts lasts.
const LASTS: Duration = Duration::from_millis(2_500);

/// How long a program may take to notice something for good.
const NOTICES_WITHIN: Duration = Duration::from_secs(5);

/// How long a store that was removed may go unnoticed.
const REMOVED_UNNOTICED_MAX: Duration = Duration::from_secs(1);

/// How far the clock jumps, in seconds: ten days.
const JUMP_S: i64 = 10 * 24 * 3_600;

/// What happens in one round.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// A sync of the write-ahead log fails.
    LogSync,
    /// A sync of the database file fails, in a checkpoint.
    DatabaseSync,
    Full,
    ShortWrites,
    /// Syncs take two seconds longer.
    Stall,
    /// The clock is ahead for a while.
    ClockAhead,
    /// The same backwards.
    ClockBehind,
}

/// In this order, with one store.
const DISK_FAULTS: [Fault; 5] = [
    Fault::LogSync,
    Fault::DatabaseSync,
    Fault::Full,
    Fault::ShortWrites,
    Fault::Stall,
];

/// The same.
const CLOCK_FAULTS: [Fault; 2] = [Fault::ClockAhead, Fault::ClockBehind];

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::LogSync => "a sync of the log fails",
            Self::DatabaseSync => "a sync of the database fails",
            Self::Full => "the disk is full",
            Self::ShortWrites => "writes are short",
            Self::Stall => "a sync takes two seconds",
            Self::ClockAhead => "the clock is ten days ahead",
            Self::ClockBehind => "the clock is ten days behind",
        }
    }

    /// The line that the library logs when the fault occurs.
    fn met(self) -> &'static str {
        match self {
            Self::LogSync | Self::DatabaseSync => "shim: a sync fails",
            Self::Full => "shim: the disk is full",
            Self::ShortWrites => "shim: a write is short",
            Self::Stall => "shim: a sync takes longer",
            Self::ClockAhead | Self::ClockBehind => "shim: the clock is moved",
        }
    }

    fn control(self) -> Control {
        let none = Control::default();
        match self {
            Self::LogSync => Control {
                fail_syncs: 1,
                ..none
            },
            Self::DatabaseSync => Control {
                fail_db_syncs: 1,
                ..none
            },
            Self::Full => Control {
                disk_full: true,
                ..none
            },
            Self::ShortWrites => Control {
                short_writes: true,
                ..none
            },
            Self::Stall => Control {
                stall_syncs: 1,
                stall_ms: 2_000,
                ..none
            },
            Self::ClockAhead => Control {
                clock_offset_s: JUMP_S,
                ..none
            },
            Self::ClockBehind => Control {
                clock_offset_s: -JUMP_S,
                ..none
            },
        }
    }
}

/// Faults of the disk, one after the other.
pub(crate) async fn disk(
    common: &Common,
    seed: u64,
    folder: &Folder,
    report: &mut Report,
) -> anyhow::Result<()> {
    say("faults of the disk, under load");
    let mut scenario = Scenario::start(common, seed, folder, "disk").await?;
    for fault in DISK_FAULTS {
        scenario.round(fault, report).await?;
    }
    scenario.finish(&[], report).await
}

/// Jumps of the clock, one after the other.
pub(crate) async fn clock(
    common: &Common,
    seed: u64,
    folder: &Folder,
    report: &mut Report,
) -> anyhow::Result<()> {
    say("jumps of the clock, under load");
    let mut scenario = Scenario::start(common, seed, folder, "clock").await?;
    for fault in CLOCK_FAULTS {
        scenario.round(fault, report).await?;
    }
    scenario.finish(&[0, JUMP_S, -JUMP_S], report).await
}

/// A store that is removed.
pub(crate) async fn removed(
    common: &Common,
    seed: u64,
    folder: &Folder,
    report: &mut Report,
) -> anyhow::Result<()> {
    say("a store that is removed, under load");
    let scenario = Scenario::start(common, seed, folder, "removed").await?;
    scenario.removed(report).await
}

struct Scenario {
    name: String,
    mixed: Mixed,
    shim: Shim,
    rounds: u64,
    requests: Vec<ClientRequest>,
}

impl Scenario {
    async fn start(common: &Common, seed: u64, folder: &Folder, name: &str) -> anyhow::Result<Self> {
        let place = folder.path().join(name);
        let root = place.join("node");
        std::fs::create_dir_all(&root)?;
        let shim = Shim::build(&place)?;
        let more = format!("{SMALL_LOG}{}", common.settings()?);
        let environment = shim.environment(&root, false);
        Ok(Self {
            name: format!("{name}-{seed:x}"),
            mixed: Mixed::start_in(&root, environment, more, common, seed, &PROFILE).await?,
            shim,
            rounds: 0,
            requests: Vec::new(),
        })
    }

    fn turn(&self, time_max: Duration, answer_timeout: Duration) -> Turn<'_> {
        Turn {
            name: &self.name,
            number: self.rounds,
            numbers_a_part: NUMBERS_A_PART,
            share: SHARE,
            time_max,
            answer_timeout,
            seed: self.mixed.seed.0,
        }
    }

    /// A fault comes and goes under load, the program is killed and starts again, and all clients get their answers.
    async fn round(&mut self, fault: Fault, report: &mut Report) -> anyhow::Result<()> {
        const LONG: Duration = Duration::from_secs(60);
        let stop = CancellationToken::new();
        let clients = self.mixed.send(&self.turn(LONG, LONG), &stop);
        self.rounds += 1;
        tokio::time::sleep(AROUND).await;
        let met = self.said(fault.met())?;
        self.shim.set_control(fault.control())?;
        let what = fault.name();
        match fault {
            Fault::LogSync | Fault::DatabaseSync => {
                let ended = ended(&mut self.mixed.node, NOTICES_WITHIN).await?;
                report.must(&format!("{what}: the program ends"), ended);
            }
            Fault::Full => {
                report.must(&format!("{what}: not ready"), self.becomes(false).await);
                tokio::time::sleep(LASTS).await;
            }
            _ => tokio::time::sleep(LASTS).await,
        }
        report.must(&format!("{what}: it was met"), self.said(fault.met())? > met);
        self.shim.set_control(Control::default())?;
        if !matches!(fault, Fault::LogSync | Fault::DatabaseSync) {
            report.must(&format!("{what}: ready afterwards"), self.becomes(true).await);
            tokio::time::sleep(AROUND).await;
            let ended = self.mixed.node.has_ended()?;
            report.must(&format!("{what}: the program goes on"), !ended);
        }
        self.mixed.kill()?;
        self.mixed.node.start().await?;
        tokio::time::sleep(AROUND).await;
        stop.cancel();
        gather(clients, &mut self.requests, &mut self.mixed.sum).await
    }

    /// How often the library has said something in the node's log.
    fn said(&self, what: &str) -> anyhow::Result<usize> {
        let log = std::fs::read_to_string(self.mixed.node.folder().join("node.log"))?;
        Ok(log.matches(what).count())
    }

    /// Waits until the node is ready, or not ready any more; whether that came.
    async fn becomes(&self, ready: bool) -> bool {
        let since = Instant::now();
        while self.mixed.node.is_ready().await != ready {
            if since.elapsed() > NOTICES_WITHIN * 2 {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        true
    }

    async fn finish(mut self, clock_offsets_s: &[i64], report: &mut Report) -> anyhow::Result<()> {
        self.mixed.quiesce(report).await?;
        self.mixed
            .compare_results(&self.requests, clock_offsets_s, report)
            .await?;
        self.mixed.stop(report).await
    }

    /// The store's files are removed under load: soon after nothing is accepted any more.
    async fn removed(mut self, report: &mut Report) -> anyhow::Result<()> {
        let stop = CancellationToken::new();
        let turn = self.turn(Duration::from_secs(4), Duration::from_secs(1));
        let clients = self.mixed.send(&turn, &stop);
        tokio::time::sleep(AROUND).await;
        let root = self.mixed.node.folder().to_owned();
        for name in ["postrider.db", "postrider.db-wal", "postrider.db-shm"] {
            std::fs::remove_file(root.join(name))?;
        }
        let removed = Instant::now();
        let noticed = self.becomes(false).await;
        report.must("the store is removed: not ready", noticed);
        gather(clients, &mut self.requests, &mut self.mixed.sum).await?;
        let late = self.requests.iter().filter(|request| {
            let after = request
                .result
                .answered_at
                .is_some_and(|at| at > removed + REMOVED_UNNOTICED_MAX);
            after && request.result.accepted().next().is_some()
        });
        let late: Vec<&str> = late.map(|request| request.result.request_id.as_str()).collect();
        report.none_of(
            "the store is removed: requests accepted later than a second",
            &late,
        );
        self.mixed.kill()?;
        self.mixed.stop(&mut Report::silent()).await
    }
}
