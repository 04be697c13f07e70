//! Maintenance by the writer beside commands: flushing, merging and deleting runs, deleting the members of lists that
//! are gone, a little with each group and more when nothing waits.

use super::contacts;
use super::error::Tried;
use super::lsm::{Flush, FlushStep, Index, Kind, Merge, SortedRun};
use super::memory::{Shared, Work, WriterState};
use super::retention;
use crate::StoreError;
use std::sync::atomic::Ordering;

/// The work under way.
#[derive(Debug, Default)]
pub(super) struct Maintenance {
    flushes: Vec<RunFlush>,
    merges: Vec<Merge>,
    /// Whether members of lists that are gone were looked for and none were left.
    lists_clean: bool,
}

/// A run being written.
#[derive(Debug)]
struct RunFlush {
    kind: Kind,
    flush: Flush,
    /// The last row of the receipt log that is in it.
    log_seq: i64,
}

/// What a group did of them, for after its commit.
#[derive(Debug, Default)]
pub(super) struct Done {
    steps: Vec<(Kind, FlushStep)>,
    merged: Vec<(Kind, SortedRun)>,
    dropped_run_gone: bool,
    lists_clean: bool,
}

/// The index of a kind; numbers are shared with readers.
fn with_index<T>(
    memory: &mut WriterState,
    shared: &Shared,
    kind: Kind,
    run: impl FnOnce(&mut Index) -> T,
) -> T {
    match kind {
        Kind::Number => run(&mut shared.numbers.write()),
        Kind::Receipt => run(&mut memory.receipts),
        Kind::Request => run(&mut memory.requests),
    }
}

impl Maintenance {
    /// A list may have gone.
    pub(super) fn look_for_removed_lists(&mut self) {
        self.lists_clean = false;
    }

    /// Looks for work, between groups. `log_seq` is the last row of the receipt log. With `wait` what is
    /// being sorted is waited for.
    pub(super) fn plan(&mut self, memory: &mut WriterState, shared: &Shared, log_seq: i64, wait: bool) {
        for kind in [Kind::Number, Kind::Receipt, Kind::Request] {
            with_index(memory, shared, kind, |index| {
                let flushing = index
                    .freeze_if_full()
                    .map(|flush| RunFlush { kind, flush, log_seq });
                self.flushes.extend(flushing);
                self.merges.extend(index.merge_if_many());
                for flushing in self.flushes.iter_mut().filter(|flushing| flushing.kind == kind) {
                    index.poll(&mut flushing.flush, wait);
                }
            });
        }
    }

    /// Whether a group without commands has something to do. A store that is being closed leaves members of lists
    /// that are gone to the next start.
    pub(super) fn are_due(&self, memory: &WriterState, closing: bool) -> bool {
        let writable = self.flushes.iter().any(|flushing| flushing.flush.is_writable());
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
        for flushing in self
            .flushes
            .iter()
            .filter(|flushing| flushing.flush.is_writable())
        {
            let step = flushing
                .flush
                .write_step(work.conn, work.memory.now)
                .tried("seal a run")?;
            if matches!((flushing.kind, &step), (Kind::Receipt, FlushStep::Done(_))) {
                work.conn
                    .execute("DELETE FROM receipt_log WHERE seq <= ?1", [flushing.log_seq])
                    .tried("clear the receipt log")?;
            }
            done.steps.push((flushing.kind, step));
        }
        for merge in &mut self.merges {
            let run = merge.write_step(work.conn).tried("merge runs")?;
            done.merged.extend(run.map(|run| (merge.kind(), run)));
        }
        Ok(done)
    }

    /// The group was committed.
    pub(super) fn committed(&mut self, memory: &mut WriterState, shared: &Shared, done: Done) {
        for (kind, step) in done.steps {
            let Some(place) = self.flushes.iter().position(|flushing| flushing.kind == kind) else {
                continue;
            };
            let Some(flushing) = self.flushes.get_mut(place) else {
                continue;
            };
            if with_index(memory, shared, kind, |index| {
                index.committed(&mut flushing.flush, step)
            }) {
                self.flushes.swap_remove(place);
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
            .map(|kind| with_index(memory, shared, kind, |index| index.sorted_runs().len()))
            .iter()
            .sum();
        shared.meters.runs.store(runs as u64, Ordering::Relaxed);
    }

    /// The group was not committed: what cannot be repeated as it is starts over.
    pub(super) fn failed(&mut self) {
        self.merges.iter_mut().for_each(Merge::restart);
    }
}
