//! Power cuts and failing disks: what the program does to its disk is recorded, the disks that a power cut may leave are made
//! of the record, and the program starts on each. Beside that its disk fails, fills up and hangs, and its clock moves.

mod check;
mod cuts;
mod disk;
mod faults;
mod finals;
mod images;
mod record;
mod recording;
mod rng;
mod shim;
mod whole;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, ValueEnum};

use self::check::Oracle;
use self::disk::IgnoredSyncs;
use self::finals::Finals;
use self::images::Figures;
use self::record::read;
use self::recording::{Interruption, record};
use self::shim::Shim;
use crate::folder::Folder;
use crate::report::{Report, grouped};
use crate::{Common, say};

/// Starts the program on the disks that power cuts may leave, and lets its disk and clock fail under load.
#[derive(Args, Clone, Debug)]
pub(crate) struct PowercutArgs {
    #[command(flatten)]
    common: Common,
    /// Images that are made
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(20..=20_000))]
    images: u16,
    /// Which parts
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Cuts, Part::FailedSync, Part::Disk, Part::Clock, Part::Removed])]
    parts: Vec<Part>,
    /// Of so many images one runs on to the end, with carriers
    #[arg(long, default_value_t = 25)]
    whole_every: usize,
    /// Seconds of load that are recorded
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(4..=60))]
    seconds: u64,
    /// Where images are laid out: in memory, if this machine has a folder for that
    #[arg(long, value_name = "DIR")]
    images_in: Option<PathBuf>,
}

/// A part of the campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Images of a run that is killed in the middle, and negative controls
    Cuts,
    /// Images of a run in which a sync fails
    FailedSync,
    /// Faults of the disk under load
    Disk,
    /// Jumps of the clock under load
    Clock,
    /// A store that is removed under load
    Removed,
}

/// Of so many images one is made of the recording in which a sync fails.
const FAILED_SYNC_SHARE: u16 = 8;

impl PowercutArgs {
    /// How many images are made of the run that is killed, and of the one in which a sync fails: as many as requested, all
    /// together.
    fn shares(&self) -> (usize, usize) {
        let all = usize::from(self.images);
        let after_failure = usize::from(self.images / FAILED_SYNC_SHARE);
        let is_wanted = |part| self.parts.contains(&part);
        match (is_wanted(Part::Cuts), is_wanted(Part::FailedSync)) {
            (true, true) => (all - after_failure, after_failure),
            (true, false) => (all, 0),
            (false, true) => (0, all),
            (false, false) => (0, 0),
        }
    }
}

pub(crate) async fn run(args: PowercutArgs) -> anyhow::Result<bool> {
    let seed = args.common.seed();
    say(&format!("powercut: {} images, seed {seed}", args.images));
    let mut folder = Folder::make(&args.common, "powercut")?;
    let done = campaign(&args, seed, &folder).await;
    if !matches!(done, Ok(true)) {
        folder.keep();
        say(&format!(
            "to make the same images of another recording, and to repeat the same faults: --seed {seed}"
        ));
    }
    done
}

async fn campaign(args: &PowercutArgs, seed: u64, folder: &Folder) -> anyhow::Result<bool> {
    let mut report = Report::default();
    let (after_kill, after_failure) = args.shares();
    for part in &args.parts {
        match part {
            Part::Cuts => {
                let oracle = recorded(args, seed, folder, Interruption::Kill).await?;
                images(args, "power cut", &oracle, after_kill, &mut report).await?;
                controls(&oracle, &mut report).await?;
            }
            Part::FailedSync => {
                let oracle = recorded(args, seed ^ 3, folder, Interruption::FailedSync).await?;
                images(args, "after a failed sync", &oracle, after_failure, &mut report).await?;
                report.at_least("syncs that failed", oracle.figures.failed_syncs, 1);
            }
            Part::Disk => faults::disk(&args.common, seed, folder, &mut report).await?,
            Part::Clock => faults::clock(&args.common, seed, folder, &mut report).await?,
            Part::Removed => faults::removed(&args.common, seed, folder, &mut report).await?,
        }
    }
    let images = images_folder(args, folder)?;
    if report.is_good() && !args.common.keep && images.is_dir() {
        std::fs::remove_dir_all(&images)?;
    }
    Ok(report.conclude("powercut"))
}

/// Tries all images of a recording.
async fn images(
    args: &PowercutArgs,
    of: &str,
    oracle: &Oracle,
    count: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let tried = oracle.try_all(count, args.whole_every).await?;
    let figures = &oracle.figures;
    say(of);
    report.figure(
        "writes / MiB / syncs / of the folder",
        format!(
            "{} / {} / {} / {}",
            figures.writes,
            grouped(figures.octets as f64 / 1_048_576.0),
            figures.syncs,
            figures.folder_syncs
        ),
    );
    report.figure(
        "requests answered / messages certain to have ended",
        format!("{} / {}", oracle.recording.requests.len(), oracle.finals.len()),
    );
    tried.check(count, report);
    for bad in &tried.bad {
        say(&format!(
            "  to look at a bad image: cd {} && {} serve --config postrider.toml",
            bad.display(),
            oracle.program.display()
        ));
    }
    Ok(())
}

/// Negative controls: images of a disk that ignores syncs must be detected, otherwise the images above prove nothing.
async fn controls(oracle: &Oracle, report: &mut Report) -> anyhow::Result<()> {
    say("negative controls");
    for (ignored_syncs, what) in [
        (IgnoredSyncs::AllSyncs, "syncs ignored"),
        (IgnoredSyncs::CommitSyncs, "synchronous = NORMAL"),
        (IgnoredSyncs::FolderSyncs, "syncs of the folder ignored"),
    ] {
        let found = oracle.find_out(ignored_syncs).await?;
        report.must(&format!("detected: {what}"), found.is_some());
        if let Some((images, why)) = found {
            report.figure("  by image", format!("{images}: {why}"));
        }
    }
    Ok(())
}

/// Makes a recording, and what its images are checked against.
async fn recorded(
    args: &PowercutArgs,
    seed: u64,
    folder: &Folder,
    interruption: Interruption,
) -> anyhow::Result<Oracle> {
    let place = folder.path().join(interruption.name());
    std::fs::create_dir_all(&place)?;
    let shim = Shim::build(&place)?;
    let recording = record(
        &args.common,
        seed,
        args.seconds,
        interruption,
        &shim,
        &place.join("node"),
    )
    .await
    .with_context(|| format!("recording, see {}", place.display()))?;
    let base = images_folder(args, folder)?.join(interruption.name());
    std::fs::create_dir_all(&base)?;
    let oracle = Oracle {
        program: args.common.postrider.canonicalize()?,
        base,
        seed,
        figures: Figures::of(&read(&recording.record)?),
        finals: Arc::new(Finals::of(&recording)),
        recording: Arc::new(recording),
    };
    let figures = &oracle.figures;
    say(&format!(
        "  recorded, {}: {} writes of {:.1} MiB, {} syncs, {} requests answered",
        interruption.name(),
        figures.writes,
        figures.octets as f64 / 1_048_576.0,
        figures.syncs,
        oracle.recording.requests.len()
    ));
    Ok(oracle)
}

/// Where images are laid out: they are many, and read once.
fn images_folder(args: &PowercutArgs, folder: &Folder) -> anyhow::Result<PathBuf> {
    const IN_MEMORY: &str = "/dev/shm";
    let memory = PathBuf::from(IN_MEMORY);
    let name = folder.path().file_name().context("a folder has a name")?;
    Ok(match &args.images_in {
        Some(chosen) => chosen.join(name),
        None if memory.is_dir() => memory.join(name),
        None => folder.path().join("images"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: PowercutArgs,
    }

    #[test]
    fn as_many_images_are_made_as_requested() {
        let shares = |more: &[&str]| Cli::parse_from(["x"].iter().chain(more)).args.shares();
        assert_eq!(shares(&[]), (438, 62));
        assert_eq!(
            shares(&["--images", "20", "--parts", "cuts,failed-sync"]),
            (18, 2)
        );
        assert_eq!(shares(&["--images", "20", "--parts", "cuts"]), (20, 0));
        assert_eq!(
            shares(&["--images", "20", "--parts", "failed-sync,disk"]),
            (0, 20)
        );
        assert_eq!(shares(&["--parts", "clock"]), (0, 0));
    }
}
