//! Where the power is cut, and which image is made there.

use super::disk::ImageKind;
use super::record::{Entry, Operation};
use super::rng::ImageRng;
use sim::seed::Seed;

/// One power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) no: usize,
    /// Entries that were done.
    pub(crate) entries: usize,
    /// What had been answered by then had been answered, in nanoseconds of the record's clock.
    pub(crate) at_ns: u64,
    pub(crate) kind: ImageKind,
}

/// `count` cuts in the order of their places, kinds in turns.
///
/// A third of the places are drawn from all; the others lie where it matters: in the middle of a sync and right after it, and
/// around what is rare, such as a restart of the write-ahead log, entries of the folder and pages that a checkpoint moves.
pub(crate) fn cuts(entries: &[Entry<'_>], count: usize, seed: Seed) -> Vec<Cut> {
    let syncs = places(entries, |what| {
        matches!(
            what,
            Operation::SyncBegun | Operation::SyncDone | Operation::SyncFailed
        )
    });
    let rare = places(entries, |what| {
        matches!(
            what,
            Operation::Truncated { .. }
                | Operation::Created { .. }
                | Operation::Unlinked { .. }
                | Operation::Renamed { .. }
                | Operation::FolderSynced
        )
    });
    // Pages of the database are written at other offsets than entries of the log: both begin somewhere below.
    let log_begins = places(entries, |what| {
        matches!(what, Operation::Written { offset: 0, .. })
    });
    let mut kinds = ImageKind::ALL.into_iter().cycle();
    let mut cuts: Vec<Cut> = (0..count)
        .map(|no| {
            let mut rng = ImageRng::new(seed, no as u64);
            let around = match rng.below(6) {
                0 | 1 => None,
                2 | 3 => rng.one_of(&syncs),
                4 => rng.one_of(&rare),
                _ => rng.one_of(&log_begins),
            };
            let place = around.unwrap_or_else(|| rng.below(entries.len() + 1));
            let place = (place + rng.below(3)).min(entries.len());
            Cut {
                no,
                entries: place,
                at_ns: 0,
                kind: kinds.next().unwrap_or(ImageKind::Nothing),
            }
        })
        .collect();
    cuts.sort_by_key(|cut| (cut.entries, cut.no));
    let mut latest = 0;
    let times: Vec<u64> = entries
        .iter()
        .map(|entry| {
            latest = entry.at_ns.max(latest);
            latest
        })
        .collect();
    for cut in &mut cuts {
        // Up to the moment at which the next operation began.
        let next = times.get(cut.entries).or(times.last());
        cut.at_ns = next.copied().unwrap_or_default();
    }
    cuts
}

/// Where operations of a kind are.
fn places(entries: &[Entry<'_>], is: impl Fn(&Operation<'_>) -> bool) -> Vec<usize> {
    let places = entries.iter().enumerate().filter(|(_, entry)| is(&entry.what));
    places.map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_in_order_of_all_kinds_and_know_what_had_been_answered() {
        let entry = |at_ns, what| Entry {
            thread: 1,
            at_ns,
            inode: 1,
            what,
        };
        // Times of two processes are not quite in order.
        let entries = [
            entry(10, Operation::Created { path: "a" }),
            entry(
                30,
                Operation::Written {
                    offset: 0,
                    data: b"x",
                },
            ),
            entry(20, Operation::SyncBegun),
            entry(40, Operation::SyncDone),
        ];
        let cuts = cuts(&entries, 200, Seed(3));
        assert!(cuts.is_sorted_by_key(|cut| cut.entries));
        for kind in ImageKind::ALL {
            assert_eq!(cuts.iter().filter(|cut| cut.kind == kind).count(), 20);
        }
        let times = [10, 30, 30, 40, 40];
        for cut in &cuts {
            assert_eq!(cut.at_ns, times[cut.entries]);
        }
        let seen: std::collections::BTreeSet<usize> = cuts.iter().map(|cut| cut.entries).collect();
        assert_eq!(seen, (0..=4).collect());
        assert_eq!(cuts, super::cuts(&entries, 200, Seed(3)));
        assert!(super::cuts(&[], 1, Seed(3)).iter().all(|cut| cut.entries == 0));
    }
}
