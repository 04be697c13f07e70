//! Power cuts and failing disks: what the program does to its disk is recorded, the disks that a power cut may leave are made
//! of the record, and the program starts on each. Beside that its disk fails, fills up and hangs, and its clock moves.

mod check;
mod cuts;
mod dice;
mod disk;
mod faults;
mod finals;
mod images;
mod record;
mod recording;
mod shim;
mod whole;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;

use self::check::Oracle;
use self::disk::Lies;
use self::finals::Finals;
use self::recording::{Interruption, record};
use self::shim::Shim;
use crate::folder::Folder;
use crate::report::{Verdict, grouped};
use crate::{Common, say};

/// Starts the program on the disks that power cuts may leave, and lets its disk and clock fail under load.
#[derive(Args, Clone, Debug)]
pub(crate) struct PowercutArgs {
    #[command(flatten)]
    common: Common,
    /// Images that are made
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(20..=20_000))]
    images: u16,
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

/// Of so many images one is made of the recording in which a sync fails.
const FAILED_SYNC_SHARE: u16 = 8;

pub(crate) async fn run(args: PowercutArgs) -> anyhow::Result<bool> {
    let seed = args.common.seed();
    say(&format!("powercut: {} images, seed {seed}", args.images));
    let mut folder = Folder::make(&args.common, "powercut")?;
    let done = campaign(&args, seed, &folder).await;
    if !matches!(done, Ok(true)) {
        folder.keep();
        say(&format!(
            "to make the same images of another recording, and to meet the same faults again: --seed {seed}"
        ));
    }
    done
}

async fn campaign(args: &PowercutArgs, seed: u64, folder: &Folder) -> anyhow::Result<bool> {
    let mut verdict = Verdict::default();
    let after_failure = args.images / FAILED_SYNC_SHARE;
    let killed = usize::from(args.images - after_failure);
    let oracle = recorded(args, seed, folder, Interruption::Kill).await?;
    let tried = oracle.try_all(killed, args.whole_every).await?;
    let mut found = Vec::new();
    for (lies, what) in [
        (Lies::AllSyncs, "syncs ignored"),
        (Lies::CommitSyncs, "synchronous = NORMAL"),
        (Lies::FolderSyncs, "syncs of the folder ignored"),
    ] {
        found.push((what, oracle.find_out(lies).await?));
    }
    let failing = recorded(args, seed ^ 3, folder, Interruption::FailedSync).await?;
    let after = failing.try_all(usize::from(after_failure), args.whole_every).await?;
    faults::run(&args.common, seed, folder, &mut verdict).await?;

    say("verdict");
    for (of, oracle, tried, count) in [
        ("power cut", &oracle, &tried, killed),
        ("after a failed sync", &failing, &after, usize::from(after_failure)),
    ] {
        let figures = oracle.figures()?;
        verdict.figure(
            &format!("{of}: writes / MiB / syncs / of the folder"),
            format!(
                "{} / {} / {} / {}",
                figures.writes,
                grouped(figures.octets as f64 / 1_048_576.0),
                figures.syncs,
                figures.folder_syncs
            ),
        );
        verdict.figure(
            &format!("{of}: requests answered / messages ended"),
            format!("{} / {}", oracle.recording.asked.len(), oracle.finals.len()),
        );
        tried.judge(of, count, &mut verdict);
    }
    verdict.at_least("syncs that failed", failing.figures()?.failed_syncs, 1);
    for (what, after) in found {
        if let Some(images) = after {
            verdict.figure(&format!("found out, {what}: images it took"), images);
        }
        verdict.must(&format!("it is found out: {what}"), after.is_some());
    }
    for (bad, _) in tried.bad.iter().chain(&after.bad) {
        say(&format!(
            "to look at a bad image: cd {} && {} serve --config postrider.toml",
            bad.display(),
            args.common.postrider.display()
        ));
    }
    Ok(verdict.conclude("powercut"))
}

/// Makes a recording, and what its images are held against.
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
    let program = args.common.postrider.canonicalize()?;
    let oracle = Oracle {
        check: check_arguments(&program)?,
        program,
        base,
        seed,
        finals: Arc::new(Finals::of(&recording)),
        recording: Arc::new(recording),
    };
    let figures = oracle.figures()?;
    say(&format!(
        "  recorded, {}: {} writes of {:.1} MiB, {} syncs, {} requests answered",
        interruption.name(),
        figures.writes,
        figures.octets as f64 / 1_048_576.0,
        figures.syncs,
        oracle.recording.asked.len()
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

/// The program's own check of a store, as thorough as it has one.
fn check_arguments(program: &std::path::Path) -> anyhow::Result<Vec<&'static str>> {
    let help = Command::new(program).args(["check", "--help"]).output()?;
    let help = String::from_utf8_lossy(&help.stdout);
    Ok(if help.contains("--deep") {
        vec!["check", "--deep"]
    } else {
        vec!["check"]
    })
}
