//! One index: what is in memory, what is being flushed, and the sorted runs.

use super::flush::{FlushStep, Sorted, page_id};
use super::merge::{LEVEL_MAX, WIDTH};
use super::{Entry, Filter, Flush, Kind, MemTable, Merge, SortedRun, entries_of};
use rusqlite::Connection;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What is between memory and the disk.
#[derive(Debug)]
enum ImmutableMemTable {
    /// Being sorted; the hash table serves look-ups meanwhile.
    Unsorted(Arc<MemTable>),
    /// Being written.
    Sorted(Arc<Sorted>),
}

/// One index. The writer changes it; readers look under a shared lock and only at what is in memory.
#[derive(Debug)]
pub(in crate::sqlite) struct Index {
    kind: Kind,
    entries_max: usize,
    filter_bytes_max: usize,
    memtable: MemTable,
    /// An empty table for the next entries, kept to save the allocation.
    spare: Option<MemTable>,
    immutable: Option<ImmutableMemTable>,
    /// Oldest first.
    sorted_runs: Arc<Vec<Arc<SortedRun>>>,
    next_no: i64,
    /// Numbers of the runs that are being merged: they are not let go of meanwhile.
    merging: Vec<i64>,
}

impl Index {
    /// Reads the sorted runs; the caller must push the entries that are in none.
    pub(in crate::sqlite) fn load(
        conn: &Connection,
        kind: Kind,
        entries_max: usize,
        filter_bytes_max: usize,
    ) -> rusqlite::Result<Self> {
        let sorted_runs = SortedRun::load_all(conn, kind, filter_bytes_max)?;
        let next_no = sorted_runs.iter().map(|run| run.no + 1).max().unwrap_or(0);
        Ok(Self {
            kind,
            entries_max,
            filter_bytes_max,
            memtable: MemTable::with_capacity(entries_max),
            spare: None,
            immutable: None,
            sorted_runs: Arc::new(sorted_runs),
            next_no,
            merging: Vec::new(),
        })
    }

    /// Deletes pages of no run: what an interrupted flush, merge or deletion has left behind.
    pub(in crate::sqlite) fn delete_leftover_pages(&self, conn: &Connection) -> rusqlite::Result<()> {
        let mut numbers: Vec<i64> = self.sorted_runs.iter().map(|run| run.no).collect();
        numbers.sort_unstable();
        let mut next = 0;
        for no in numbers {
            if next < no {
                conn.execute(self.kind.delete_pages(), (page_id(next, 0), page_id(no, 0) - 1))?;
            }
            next = no + 1;
        }
        conn.execute(self.kind.delete_pages(), (page_id(next, 0), i64::MAX))?;
        Ok(())
    }

    /// The newest id in a sorted run: what came later is to be pushed after a start.
    pub(in crate::sqlite) fn flushed_last_id(&self) -> i64 {
        self.sorted_runs.iter().map(|run| run.last_id).max().unwrap_or(0)
    }

    /// The table in memory that takes new entries.
    pub(in crate::sqlite) fn memtable(&mut self) -> &mut MemTable {
        &mut self.memtable
    }

    /// How many entries [`Self::memtable`] has.
    pub(in crate::sqlite) fn memtable_len(&self) -> usize {
        self.memtable.len()
    }

    /// Gives the ids of a key that are in memory to `take`, newest first, until it breaks.
    pub(in crate::sqlite) fn visit_memory(
        &self,
        key: u64,
        take: &mut dyn FnMut(i64) -> rusqlite::Result<ControlFlow<()>>,
    ) -> rusqlite::Result<ControlFlow<()>> {
        for id in self.memtable.ids(key) {
            if take(id)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        match &self.immutable {
            None => {}
            Some(ImmutableMemTable::Unsorted(memtable)) => {
                for id in memtable.ids(key) {
                    if take(id)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
            Some(ImmutableMemTable::Sorted(sorted)) => {
                for id in sorted.ids(key) {
                    if take(id)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The sorted runs, oldest first, as they are now.
    pub(in crate::sqlite) fn sorted_runs(&self) -> Arc<Vec<Arc<SortedRun>>> {
        Arc::clone(&self.sorted_runs)
    }

    /// Gives the ids of a key at or above `floor` to `take`, newest first as runs go, until it breaks.
    pub(in crate::sqlite) fn visit(
        &self,
        conn: &Connection,
        key: u64,
        floor: i64,
        take: &mut dyn FnMut(i64) -> rusqlite::Result<ControlFlow<()>>,
    ) -> rusqlite::Result<()> {
        if self.visit_memory(key, take)?.is_break() {
            return Ok(());
        }
        for run in self.sorted_runs.iter().rev().filter(|run| run.last_id >= floor) {
            if run.visit(conn, key, take)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Makes the table in memory immutable when it has enough entries and no flush is in progress.
    pub(in crate::sqlite) fn freeze_if_full(&mut self) -> Option<Flush> {
        // Some room is left for the group that makes it full, so that it need not grow for that.
        let full = self.entries_max - self.entries_max / 16;
        if self.memtable.len() < full || self.immutable.is_some() {
            return None;
        }
        let next = self
            .spare
            .take()
            .unwrap_or_else(|| MemTable::with_capacity(self.entries_max));
        let immutable = Arc::new(std::mem::replace(&mut self.memtable, next));
        self.immutable = Some(ImmutableMemTable::Unsorted(Arc::clone(&immutable)));
        let no = self.next_no;
        self.next_no += 1;
        Some(Flush::begin(self.kind, no, immutable))
    }

    /// Takes over the sorted entries as soon as there are any.
    pub(in crate::sqlite) fn poll(&mut self, flush: &mut Flush, wait: bool) {
        if let Some(ImmutableMemTable::Unsorted(memtable)) = &self.immutable
            && let Some(sorted) = flush.poll(memtable, wait)
        {
            let unsorted = self.immutable.replace(ImmutableMemTable::Sorted(sorted));
            if let Some(ImmutableMemTable::Unsorted(memtable)) = unsorted
                && let Some(mut memtable) = Arc::into_inner(memtable)
            {
                memtable.clear();
                self.spare = Some(memtable);
            }
        }
    }

    /// A step of a flush was committed; true when the run is complete.
    pub(in crate::sqlite) fn committed(&mut self, flush: &mut Flush, step: FlushStep) -> bool {
        match step {
            FlushStep::Pages(pages) => {
                flush.advance(pages);
                false
            }
            FlushStep::Done(run) => {
                self.immutable = None;
                Arc::make_mut(&mut self.sorted_runs).push(Arc::new(run));
                self.bound_filters();
                true
            }
        }
    }

    /// Takes a run out, unless it is being merged; its pages are the caller's to delete.
    pub(in crate::sqlite) fn remove(&mut self, no: i64) -> Option<Arc<SortedRun>> {
        if self.merging.contains(&no) {
            return None;
        }
        let place = self.sorted_runs.iter().position(|run| run.no == no)?;
        Some(Arc::make_mut(&mut self.sorted_runs).remove(place))
    }

    /// Runs that are dated later than `now` were written while the clock was ahead: they get no older than that.
    pub(in crate::sqlite) fn lower_flushed_at(
        &mut self,
        conn: &Connection,
        now: i64,
    ) -> rusqlite::Result<()> {
        if self.sorted_runs.iter().all(|run| run.flushed_at <= now) {
            return Ok(());
        }
        let sorted_runs = Arc::make_mut(&mut self.sorted_runs);
        for run in sorted_runs.iter_mut().filter(|run| run.flushed_at > now) {
            Arc::make_mut(run).flushed_at = now;
        }
        conn.execute(
            "UPDATE sorted_run SET flushed_at = ?1 WHERE kind = ?2 AND flushed_at > ?1",
            (now, self.kind as i64),
        )
        .map(drop)
    }

    /// Begins to merge the oldest runs of a level of which there are enough.
    pub(in crate::sqlite) fn merge_if_many(&mut self) -> Option<Merge> {
        if !self.merging.is_empty() {
            return None;
        }
        // Levels fall from the oldest run to the newest, so the runs of one level are neighbours.
        let inputs = (0..LEVEL_MAX).find_map(|level| {
            let runs: Vec<Arc<SortedRun>> = self
                .sorted_runs
                .iter()
                .filter(|run| run.level == level)
                .take(WIDTH)
                .cloned()
                .collect();
            (runs.len() == WIDTH).then_some(runs)
        })?;
        self.merging = inputs.iter().map(|run| run.no).collect();
        let no = self.next_no;
        self.next_no += 1;
        Some(Merge::new(self.kind, no, inputs, self.filter_bytes_max))
    }

    /// A merge has been committed; the runs that went into it, whose pages are the caller's to delete.
    pub(in crate::sqlite) fn merged(&mut self, merge: &Merge, run: SortedRun) -> Vec<Arc<SortedRun>> {
        self.merging.clear();
        let gone = |other: &SortedRun| merge.inputs().iter().any(|input| input.no == other.no);
        let sorted_runs = Arc::make_mut(&mut self.sorted_runs);
        let place = sorted_runs.iter().position(|other| gone(other)).unwrap_or(0);
        let removed = sorted_runs.extract_if(.., |other| gone(other)).collect();
        sorted_runs.insert(place.min(sorted_runs.len()), Arc::new(run));
        self.bound_filters();
        removed
    }

    /// Lets go of the filters of the oldest runs when they take too much memory together.
    fn bound_filters(&mut self) {
        let mut left = self.filter_bytes_max;
        for run in Arc::make_mut(&mut self.sorted_runs).iter_mut().rev() {
            match run.filter.as_ref().map(Filter::bytes) {
                None => {}
                Some(bytes) if bytes <= left => left -= bytes,
                Some(_) => {
                    left = 0;
                    *run = Arc::new(SortedRun {
                        filter: None,
                        ..SortedRun::clone(run)
                    });
                }
            }
        }
    }
}

/// Entries of the log, oldest first.
pub(in crate::sqlite) fn read_log(conn: &Connection, mut push: impl FnMut(Entry)) -> rusqlite::Result<()> {
    let mut select = conn.prepare("SELECT entries FROM receipt_log ORDER BY seq")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        entries_of(row.get_ref(0)?.as_blob()?).for_each(&mut push);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::lsm::spread;
    use crate::sqlite::open::{known_version, migrate_to};
    use proptest::prelude::*;

    const ENTRIES_MAX: usize = 20;

    fn database() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate_to(&mut conn, i32::try_from(known_version()).unwrap()).unwrap();
        conn
    }

    fn load(conn: &Connection) -> Index {
        let index = Index::load(conn, Kind::Number, ENTRIES_MAX, 200).unwrap();
        index.delete_leftover_pages(conn).unwrap();
        index
    }

    fn ids(index: &Index, conn: &Connection, key: u64) -> Vec<i64> {
        let mut ids = vec![];
        let mut take = |id| {
            ids.push(id);
            Ok(ControlFlow::Continue(()))
        };
        index.visit(conn, spread(key), 0, &mut take).unwrap();
        ids
    }

    /// One step of all that is to be done; false when there was nothing.
    fn step(
        index: &mut Index,
        conn: &Connection,
        flush: &mut Option<Flush>,
        merge: &mut Option<Merge>,
    ) -> bool {
        *flush = flush.take().or_else(|| index.freeze_if_full());
        *merge = merge.take().or_else(|| index.merge_if_many());
        let busy = flush.is_some() || merge.is_some();
        if let Some(flushing) = flush {
            index.poll(flushing, true);
            let step = flushing.write_step(conn, 0).unwrap();
            if index.committed(flushing, step) {
                *flush = None;
            }
        }
        if let Some(merging) = merge
            && let Some(run) = merging.write_step(conn).unwrap()
        {
            for gone in index.merged(merging, run) {
                while gone.delete_step(conn, 3).unwrap() {}
            }
            *merge = None;
        }
        busy
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Keys are found, newest first, wherever their entries are; also after a restart in the middle of flushing
        /// and merging, which loses what was in memory.
        #[test]
        fn entries_are_found_wherever_they_are(keys in prop::collection::vec(0u64..40, 1..4_000), restart in 0usize..4_000) {
            let conn = database();
            let mut index = load(&conn);
            let (mut flush, mut merge) = (None, None);
            let mut known: Vec<(u64, i64)> = vec![];
            for (n, &key) in keys.iter().enumerate() {
                let id = n as i64 + 1;
                index.memtable().push(spread(key), id);
                known.push((key, id));
                if n % 7 == 0 {
                    step(&mut index, &conn, &mut flush, &mut merge);
                }
                if n == restart {
                    index = load(&conn);
                    (flush, merge) = (None, None);
                    let last_flushed = index.flushed_last_id();
                    for &(key, id) in known.iter().filter(|(_, id)| *id > last_flushed) {
                        index.memtable().push(spread(key), id);
                    }
                }
            }
            for _ in 0..2 {
                for key in 0..40 {
                    let expected: Vec<i64> = known.iter().rev().filter(|(k, _)| *k == key).map(|(_, id)| *id).collect();
                    prop_assert_eq!(ids(&index, &conn, key), expected);
                }
                while step(&mut index, &conn, &mut flush, &mut merge) {}
            }
            prop_assert!(index.sorted_runs().len() < 3 * WIDTH + keys.len() / (WIDTH * WIDTH * ENTRIES_MAX));
            let pages: i64 = conn.query_row("SELECT count(*) FROM number_page", [], |row| row.get(0)).unwrap();
            let led_to: usize = index.sorted_runs().iter().map(|run| run.block_index.len()).sum();
            prop_assert_eq!(pages, led_to as i64, "no page is left behind");
        }
    }

    #[test]
    fn a_merge_that_was_not_committed_starts_over() {
        let conn = database();
        let mut index = load(&conn);
        for id in 1..=(ENTRIES_MAX * WIDTH) as i64 {
            index.memtable().push(spread(id.unsigned_abs() % 5), id);
            while let Some(mut flush) = index.freeze_if_full() {
                index.poll(&mut flush, true);
                let step = flush.write_step(&conn, 0).unwrap();
                assert!(index.committed(&mut flush, step));
            }
        }
        let mut merge = index.merge_if_many().unwrap();
        assert!(index.merge_if_many().is_none(), "one at a time");
        let first = index.sorted_runs()[0].no();
        assert!(index.remove(first).is_none(), "what is being merged stays");
        conn.execute_batch("BEGIN").unwrap();
        while merge.write_step(&conn).unwrap().is_none() {}
        conn.execute_batch("ROLLBACK").unwrap();
        merge.restart();
        assert_eq!(ids(&index, &conn, 3).len(), 32);
        let run = std::iter::from_fn(|| Some(merge.write_step(&conn).unwrap()))
            .find_map(|run| run)
            .unwrap();
        index.merged(&merge, run);
        assert_eq!(index.sorted_runs().len(), 1);
        assert_eq!(ids(&index, &conn, 3).len(), 32);
    }
}
