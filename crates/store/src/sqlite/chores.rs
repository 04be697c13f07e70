//! What the writer does beside commands: sealing, merging and deleting runs, deleting the members of lists that
//! are gone, a little with each group and more when nothing waits.

use super::contacts;
use super::error::Tried;
use super::memory::{Memory, Shared, Work};
use super::retention;
use super::runs::{Index, Kind, Merge, Seal, SealStep, Sealed};
use crate::StoreError;
use std::sync::atomic::Ordering;

/// The work under way.
#[derive(Debug, Default)]
pub(super) struct Chores {
    seals: Vec<Sealing>,
    merges: Vec<Merge>,
    /// Whether members of lists that are gone were looked for and none were left.
    lists_clean: bool,
}

/// A run being sealed.
#[derive(Debug)]
struct Sealing {
    kind: Kind,
    seal: Seal,
    /// The last row of the receipt log that is in it.
    log_seq: i64,
}

/// What a group did of them, for after its commit.
#[derive(Debug, Default)]
pub(super) struct Done {
    steps: Vec<(Kind, SealStep)>,
    merged: Vec<(Kind, Sealed)>,
    dropped_run_gone: bool,
    lists_clean: bool,
}

/// The index of a kind; numbers are shared with readers.
fn with_index<T>(memory: &mut Memory, shared: &Shared, kind: Kind, run: impl FnOnce(&mut Index) -> T) -> T {
    match kind {
        Kind::Number => run(&mut shared.numbers.write()),
        Kind::Receipt => run(&mut memory.receipts),
        Kind::Request => run(&mut memory.requests),
    }
}

impl Chores {
    /// A list may have gone.
    pub(super) fn look_for_removed_lists(&mut self) {
        self.lists_clean = false;
    }

    /// Looks for work, between groups. `log_seq` is the last row of the receipt log. With `wait` what is
    /// being sorted is waited for.
    pub(super) fn plan(&mut self, memory: &mut Memory, shared: &Shared, log_seq: i64, wait: bool) {
        for kind in [Kind::Number, Kind::Receipt, Kind::Request] {
            with_index(memory, shared, kind, |index| {
                let sealing = index.freeze_if_full().map(|seal| Sealing { kind, seal, log_seq });
                self.seals.extend(sealing);
                self.merges.extend(index.merge_if_many());
                for sealing in self.seals.iter_mut().filter(|sealing| sealing.kind == kind) {
                    index.poll(&mut sealing.seal, wait);
                }
            });
        }
    }

    /// Whether a group without commands has something to do. A store that is being closed leaves members of lists
    /// that are gone to the next start.
    pub(super) fn are_due(&self, memory: &Memory, closing: bool) -> bool {
        let writable = self.seals.iter().any(|sealing| sealing.seal.is_writable());
        let members = !self.lists_clean && !closing;
        writable || !self.merges.is_empty() || !memory.dropped.is_empty() || members
    }

    /// Does a piece of everything, within a group's transaction.
    pub(super) fn work(&mut self, work: &mut Work<'_>) -> Result<Done, StoreError> {
        let mut done = Done {
            dropped_run_gone: retention::housekeep(work)?,
            lists_clean: self.lists_clean
                || contacts::sweep(work.conn).tried("delete members of lists that are gone")?,
            ..Done::default()
        };
        for sealing in self.seals.iter().filter(|sealing| sealing.seal.is_writable()) {
            let step = sealing
                .seal
                .write_step(work.conn, work.memory.now)
                .tried("seal a run")?;
            if matches!((sealing.kind, &step), (Kind::Receipt, SealStep::Done(_))) {
                work.conn
                    .execute("DELETE FROM receipt_log WHERE seq <= ?1", [sealing.log_seq])
                    .tried("clear the receipt log")?;
            }
            done.steps.push((sealing.kind, step));
        }
        for merge in &mut self.merges {
            let run = merge.write_step(work.conn).tried("merge runs")?;
            done.merged.extend(run.map(|run| (merge.kind(), run)));
        }
        Ok(done)
    }

    /// The group was committed.
    pub(super) fn committed(&mut self, memory: &mut Memory, shared: &Shared, done: Done) {
        for (kind, step) in done.steps {
            let Some(place) = self.seals.iter().position(|sealing| sealing.kind == kind) else {
                continue;
            };
            let Some(sealing) = self.seals.get_mut(place) else {
                continue;
            };
            if with_index(memory, shared, kind, |index| {
                index.committed(&mut sealing.seal, step)
            }) {
                self.seals.swap_remove(place);
            }
        }
        for (kind, run) in done.merged {
            let Some(place) = self.merges.iter().position(|merge| merge.kind() == kind) else {
                continue;
            };
            let merge = self.merges.swap_remove(place);
            let removed = with_index(memory, shared, kind, |index| index.merged(&merge, run));
            memory.dropped.extend(removed);
        }
        self.lists_clean = done.lists_clean;
        if done.dropped_run_gone {
            memory.dropped.pop_front();
        }
        let runs: usize = [Kind::Number, Kind::Receipt, Kind::Request]
            .map(|kind| with_index(memory, shared, kind, |index| index.sealed().len()))
            .iter()
            .sum();
        shared.meters.runs.store(runs as u64, Ordering::Relaxed);
    }

    /// The group was not committed: what cannot be repeated as it is begins anew.
    pub(super) fn failed(&mut self) {
        self.merges.iter_mut().for_each(Merge::restart);
    }
}
