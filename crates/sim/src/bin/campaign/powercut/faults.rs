//! Faults under load: a sync that fails, a full disk, short writes, a sync that takes long, a clock that jumps, a store that is removed.
//! After each the program is killed and started again, and in the end everything is compared as after any crash.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::recording::{DAY, SMALL_LOG, ended};
use super::shim::{Control, Shim};
use crate::clients::{Turn, gather};
use crate::compare::Asked;
use crate::folder::Folder;
use crate::mixed::Mixed;
use crate::report::Verdict;
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

pub(crate) async fn run(
    common: &Common,
    seed: u64,
    folder: &Folder,
    verdict: &mut Verdict,
) -> anyhow::Result<()> {
    for (name, faults, clock_moved) in [
        ("disk-faults", &DISK_FAULTS[..], false),
        ("clock-faults", &CLOCK_FAULTS[..], true),
    ] {
        let place = folder.path().join(name);
        say(&format!("{name}, under load"));
        let mut scene = Scene::start(common, seed, &place, name).await?;
        for fault in faults {
            scene.round(*fault, verdict).await?;
        }
        scene.finish(clock_moved, verdict).await?;
    }
    let place = folder.path().join("removed");
    say("a store that is removed, under load");
    let scene = Scene::start(common, seed, &place, "removed").await?;
    scene.removed(verdict).await
}

struct Scene {
    name: String,
    mixed: Mixed,
    shim: Shim,
    rounds: u64,
    asked: Vec<Asked>,
}

impl Scene {
    async fn start(common: &Common, seed: u64, place: &Path, name: &str) -> anyhow::Result<Self> {
        let root = place.join("node");
        std::fs::create_dir_all(&root)?;
        let shim = Shim::build(place)?;
        let more = format!("{SMALL_LOG}{}", common.settings()?);
        let environment = shim.environment(&root, false);
        Ok(Self {
            name: format!("{name}-{seed:x}"),
            mixed: Mixed::start_in(&root, environment, more, common, seed, &DAY).await?,
            shim,
            rounds: 0,
            asked: Vec::new(),
        })
    }

    fn turn(&self, time_max: Duration, patience: Duration) -> Turn<'_> {
        Turn {
            name: &self.name,
            number: self.rounds,
            numbers_a_part: NUMBERS_A_PART,
            share: SHARE,
            time_max,
            patience,
            seed: self.mixed.seed.0,
        }
    }

    /// A fault comes and goes under load, the program is killed and starts again, and all clients get their answers.
    async fn round(&mut self, fault: Fault, verdict: &mut Verdict) -> anyhow::Result<()> {
        const LONG: Duration = Duration::from_secs(60);
        let stop = CancellationToken::new();
        let clients = self.mixed.send(&self.turn(LONG, LONG), &stop);
        self.rounds += 1;
        tokio::time::sleep(AROUND).await;
        self.shim.tell(fault.control())?;
        let what = fault.name();
        match fault {
            Fault::LogSync | Fault::DatabaseSync => {
                let ended = ended(&mut self.mixed.node, NOTICES_WITHIN).await?;
                verdict.must(&format!("{what}: the program ends"), ended);
            }
            Fault::Full => {
                verdict.must(&format!("{what}: not ready"), self.becomes(false).await);
                tokio::time::sleep(LASTS).await;
            }
            _ => tokio::time::sleep(LASTS).await,
        }
        self.shim.tell(Control::default())?;
        if !matches!(fault, Fault::LogSync | Fault::DatabaseSync) {
            verdict.must(&format!("{what}: ready afterwards"), self.becomes(true).await);
            tokio::time::sleep(AROUND).await;
            let ended = self.mixed.node.has_ended()?;
            verdict.must(&format!("{what}: the program goes on"), !ended);
        }
        self.mixed.kill()?;
        self.mixed.node.start().await?;
        tokio::time::sleep(AROUND).await;
        stop.cancel();
        gather(clients, &mut self.asked, &mut self.mixed.sum).await
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

    async fn finish(mut self, clock_moved: bool, verdict: &mut Verdict) -> anyhow::Result<()> {
        self.mixed.calm(verdict).await?;
        self.mixed
            .compare_results(&self.asked, clock_moved, verdict)
            .await?;
        self.mixed.stop(verdict).await
    }

    /// The store's files are removed under load: soon after nothing is accepted any more.
    async fn removed(mut self, verdict: &mut Verdict) -> anyhow::Result<()> {
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
        verdict.must("the store is removed: not ready", noticed);
        gather(clients, &mut self.asked, &mut self.mixed.sum).await?;
        let late = self.asked.iter().filter(|asked| {
            let after = asked
                .told
                .answered_at
                .is_some_and(|at| at > removed + REMOVED_UNNOTICED_MAX);
            after && asked.told.accepted().next().is_some()
        });
        let late: Vec<&str> = late.map(|asked| asked.told.request_id.as_str()).collect();
        verdict.none_of(
            "the store is removed: requests accepted later than a second",
            &late,
        );
        self.mixed.kill()?;
        self.mixed.stop(&mut Verdict::silent()).await
    }
}
