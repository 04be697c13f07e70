//! Checks all images of a recording, several at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use sim::seed::Seed;
use tokio::task::JoinSet;

use super::check::Oracle;
use super::cuts::{Cut, cuts};
use super::disk::{Disk, Files, IgnoredSyncs, ImageKind};
use super::record::{Entry, Operation, read};
use super::recording::image_folder;
use super::rng::ImageRng;
use crate::report::Report;
use crate::say;

/// Images under way at once: one for each processor of a small machine.
const AT_ONCE: usize = 2;

/// Interval of the progress lines.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Images after which a negative control must be detected.
const CONTROL_IMAGES: usize = 40;

/// The results of images.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    pub(crate) by_kind: BTreeMap<ImageKind, u64>,
    /// Images of which something had been answered before the cut.
    pub(crate) with_answers: u64,
    pub(crate) to_the_end: u64,
    /// Where bad ones can be looked at.
    pub(crate) bad: Vec<PathBuf>,
}

/// Figures of a record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) writes: u64,
    pub(crate) octets: u64,
    pub(crate) syncs: u64,
    pub(crate) failed_syncs: u64,
    pub(crate) folder_syncs: u64,
}

impl Figures {
    /// Of a record.
    pub(super) fn of(entries: &[Entry<'_>]) -> Self {
        let mut figures = Self::default();
        for entry in entries {
            match entry.what {
                Operation::Written { data, .. } => {
                    figures.writes += 1;
                    figures.octets += data.len() as u64;
                }
                Operation::SyncDone => figures.syncs += 1,
                Operation::SyncFailed => figures.failed_syncs += 1,
                Operation::FolderSynced => figures.folder_syncs += 1,
                _ => {}
            }
        }
        figures
    }
}

impl Oracle {
    /// Tries `count` images; of those before which something was answered every `whole_every`th runs to the end.
    pub(crate) async fn try_all(&self, count: usize, whole_every: usize) -> anyhow::Result<Tried> {
        let entries = read(&self.recording.record)?;
        let cuts = cuts(&entries, count, Seed(self.seed));
        let mut tried = Tried::default();
        let has_answers: Vec<bool> = cuts
            .iter()
            .map(|cut| self.answered(cut.at_ns).next().is_some())
            .collect();
        let to_the_end = every_nth_from_last(&has_answers, whole_every);
        let mut kept: Vec<(Cut, Files)> = Vec::new();
        let mut under_way = JoinSet::new();
        let (began, mut reported_at) = (Instant::now(), Instant::now());
        let mut disk = Disk::new(IgnoredSyncs::None);
        let mut played = 0;
        for (at, cut) in cuts.iter().enumerate() {
            play(&mut disk, &entries, &mut played, cut.entries);
            let files = disk.image(cut.kind, &mut ImageRng::new(Seed(self.seed), cut.no as u64));
            *tried.by_kind.entry(cut.kind).or_default() += 1;
            tried.with_answers += u64::from(has_answers.get(at).copied().unwrap_or_default());
            if to_the_end.contains(&at) {
                kept.push((*cut, files.clone()));
            }
            if under_way.len() >= AT_ONCE
                && let Some(done) = under_way.join_next().await
            {
                let (oracle, cut, wrong) = done?;
                tried.note(&oracle, &cut, wrong?)?;
            }
            let (oracle, cut) = (self.clone(), *cut);
            under_way.spawn(async move {
                let wrong = oracle.check(&cut, &files).await;
                (oracle, cut, wrong)
            });
            if reported_at.elapsed() > PROGRESS_EVERY {
                reported_at = Instant::now();
                progress("images", at, count, tried.bad.len(), began);
            }
        }
        while let Some(done) = under_way.join_next().await {
            let (oracle, cut, wrong) = done?;
            tried.note(&oracle, &cut, wrong?)?;
        }
        progress("images", count, count, tried.bad.len(), began);
        let began = Instant::now();
        for (at, (cut, files)) in kept.iter().enumerate() {
            let wrong = self.run_to_the_end(cut, files).await;
            tried.to_the_end += 1;
            tried.note(self, cut, wrong?)?;
            if reported_at.elapsed() > PROGRESS_EVERY || at + 1 == kept.len() {
                reported_at = Instant::now();
                progress("run to the end", at + 1, kept.len(), tried.bad.len(), began);
            }
        }
        Ok(tried)
    }

    /// How many images it takes to detect that syncs were ignored; `None`: it is not detected.
    pub(crate) async fn find_out(
        &self,
        ignored_syncs: IgnoredSyncs,
    ) -> anyhow::Result<Option<(usize, String)>> {
        const KINDS: [ImageKind; 4] = [
            ImageKind::Nothing,
            ImageKind::EntriesLost,
            ImageKind::Subset,
            ImageKind::Prefix,
        ];
        let entries = read(&self.recording.record)?;
        let mut cuts = cuts(&entries, CONTROL_IMAGES * 2, Seed(self.seed ^ 2));
        cuts.retain(|cut| self.answered(cut.at_ns).next().is_some());
        let mut disk = Disk::new(ignored_syncs);
        let mut played = 0;
        let mut kinds = KINDS.into_iter().cycle();
        for (at, cut) in cuts.iter_mut().enumerate().take(CONTROL_IMAGES) {
            cut.kind = kinds.next().unwrap_or(cut.kind);
            play(&mut disk, &entries, &mut played, cut.entries);
            let files = disk.image(cut.kind, &mut ImageRng::new(Seed(self.seed), cut.no as u64));
            if let Some(why) = self.check(cut, &files).await?.into_iter().next() {
                std::fs::remove_dir_all(image_folder(&self.base, cut.no))
                    .context("removing what a control left")?;
                return Ok(Some((at + 1, why)));
            }
        }
        Ok(None)
    }
}

/// The places of every `n`th `true`, from the last one on: at least one, if there is any.
fn every_nth_from_last(flags: &[bool], n: usize) -> BTreeSet<usize> {
    let set = flags.iter().enumerate().rev().filter(|(_, flag)| **flag);
    set.step_by(n.max(1)).map(|(place, _)| place).collect()
}

/// Plays the record up to an entry.
fn play<'r>(disk: &mut Disk<'r>, entries: &[Entry<'r>], played: &mut usize, until: usize) {
    for entry in entries.get(*played..until).unwrap_or_default() {
        disk.play(entry);
    }
    *played = until.max(*played);
}

fn progress(what: &str, done: usize, of: usize, bad: usize, began: Instant) {
    let spent = began.elapsed().as_secs_f64();
    let left = spent / done.max(1) as f64 * of.saturating_sub(done) as f64;
    say(&format!(
        "  {what}: {done} of {of}, {bad} bad; {spent:.0} s, about {left:.0} s more"
    ));
}

impl Tried {
    /// Prints a bad image, and writes its violations beside its files.
    fn note(&mut self, oracle: &Oracle, cut: &Cut, wrong: Vec<String>) -> anyhow::Result<()> {
        if wrong.is_empty() {
            return Ok(());
        }
        let folder = image_folder(&oracle.base, cut.no);
        let what = format!(
            "{}, cut after {} operations, {} requests answered\n  {}",
            cut.kind.name(),
            cut.entries,
            oracle.answered(cut.at_ns).count(),
            wrong.join("\n  ")
        );
        say(&format!("BAD {}: {what}", folder.display()));
        std::fs::write(folder.join("what-is-wrong"), what)?;
        self.bad.push(folder);
        Ok(())
    }

    /// Adds the figures and the checks to the report.
    pub(crate) fn check(&self, count: usize, report: &mut Report) {
        for (kind, images) in &self.by_kind {
            report.figure(&format!("images: {}", kind.name()), images);
        }
        let images: u64 = self.by_kind.values().sum();
        report.at_least("images", images, count as u64);
        report.at_least(
            "images with requests answered before",
            self.with_answers,
            images / 2,
        );
        report.at_least("images run to the end", self.to_the_end, 1);
        report.at_most("bad images", self.bad.len() as u64, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_one_image_with_answers_runs_to_the_end() {
        let places = |flags: &[bool], n| every_nth_from_last(flags, n).into_iter().collect::<Vec<_>>();
        assert_eq!(places(&[false, true, true, false, true, true], 25), [5]);
        assert_eq!(places(&[false, true, true, false, true, true], 2), [2, 5]);
        assert_eq!(places(&[true, false, false], 0), [0]);
        assert_eq!(places(&[false, false], 25), [0; 0]);
    }
}
