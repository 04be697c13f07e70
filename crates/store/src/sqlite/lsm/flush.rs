//! Making a run of what was in memory: sorting aside, then writing page by page.

use super::{Entry, Filter, Kind, MemTable, SortedRun};
use rusqlite::Connection;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

/// Entries of a page: 252 × 16 octets and the row's header fill a 4 KiB database page without overflow.
pub(super) const PAGE_ENTRIES: usize = 252;
/// Pages written with one group: a group must not become long, and a flush must be done before as many
/// entries have come again.
const PAGES_A_STEP: usize = 64;

/// Frozen entries in key order, with what leads to them.
#[derive(Debug)]
pub(in crate::sqlite) struct Sorted {
    entries: Vec<Entry>,
    block_index: Vec<u64>,
    filter: Filter,
    first_id: i64,
    last_id: i64,
}

impl Sorted {
    fn new(memtable: &MemTable) -> Self {
        let mut entries = memtable.entries_from(0).to_vec();
        // Stable: entries of one key stay in the order they came, whatever their ids.
        entries.sort_by_key(|entry| entry.key);
        let mut filter = Filter::for_keys(entries.len());
        for entry in &entries {
            filter.insert(entry.key);
        }
        Self {
            block_index: entries
                .chunks(PAGE_ENTRIES)
                .filter_map(|page| page.first().map(|e| e.key))
                .collect(),
            first_id: entries.iter().map(|e| e.id).min().unwrap_or(0),
            last_id: entries.iter().map(|e| e.id).max().unwrap_or(0),
            entries,
            filter,
        }
    }

    /// The ids of a key, newest first.
    pub(in crate::sqlite) fn ids(&self, key: u64) -> impl Iterator<Item = i64> {
        let start = self.entries.partition_point(|e| e.key < key);
        let end = self.entries.partition_point(|e| e.key <= key);
        self.entries
            .get(start..end)
            .unwrap_or_default()
            .iter()
            .rev()
            .map(|e| e.id)
    }
}

/// A run on its way to the disk. Driven by the writer: [`Flush::poll`] between groups, [`Flush::write_step`]
/// within them.
#[derive(Debug)]
pub(in crate::sqlite) struct Flush {
    kind: Kind,
    no: i64,
    sorting: Option<JoinHandle<Sorted>>,
    sorted: Option<Arc<Sorted>>,
    next_page: usize,
}

impl Flush {
    /// Begins to flush an immutable table to run `no`.
    pub(in crate::sqlite) fn begin(kind: Kind, no: i64, memtable: Arc<MemTable>) -> Self {
        let mut flush = Self {
            kind,
            no,
            sorting: None,
            sorted: None,
            next_page: 0,
        };
        let aside = Arc::clone(&memtable);
        match Builder::new()
            .name("store-sort".into())
            .spawn(move || Sorted::new(&aside))
        {
            Ok(handle) => flush.sorting = Some(handle),
            // No thread to be had: the writer does it, which costs a few milliseconds once.
            Err(_) => flush.sorted = Some(Arc::new(Sorted::new(&memtable))),
        }
        flush
    }

    /// The sorted entries once, when sorting has come to its end; waits for that if `wait` is set.
    /// `memtable` is sorted here should the sorting thread have died.
    pub(in crate::sqlite) fn poll(&mut self, memtable: &MemTable, wait: bool) -> Option<Arc<Sorted>> {
        let handle = self.sorting.take_if(|handle| wait || handle.is_finished())?;
        let sorted = Arc::new(handle.join().unwrap_or_else(|_| Sorted::new(memtable)));
        self.sorted = Some(Arc::clone(&sorted));
        Some(sorted)
    }

    /// Whether there is something to write.
    pub(in crate::sqlite) fn is_writable(&self) -> bool {
        self.sorted.is_some()
    }

    /// Writes the next pages from `page` on; the run when that was the last of them. What was written
    /// counts only once the caller has committed and called [`Flush::advance`]. `now` is no earlier than any entry was
    /// made, in Unix milliseconds.
    pub(in crate::sqlite) fn write_step(&self, conn: &Connection, now: i64) -> rusqlite::Result<FlushStep> {
        let Some(sorted) = &self.sorted else {
            return Ok(FlushStep::Pages(0));
        };
        let mut insert = conn.prepare_cached(self.kind.insert_page())?;
        let mut bytes = Vec::with_capacity(PAGE_ENTRIES * super::ENTRY_BYTES);
        let pages = sorted
            .entries
            .chunks(PAGE_ENTRIES)
            .enumerate()
            .skip(self.next_page)
            .take(PAGES_A_STEP);
        let mut written = 0;
        for (page, entries) in pages {
            bytes.clear();
            bytes.extend(entries.iter().flat_map(|e| e.to_bytes()));
            insert.execute((page_id(self.no, page), &bytes))?;
            written += 1;
        }
        if self.next_page + written < sorted.block_index.len() {
            return Ok(FlushStep::Pages(written));
        }
        let run = SortedRun {
            kind: self.kind,
            no: self.no,
            age: self.no,
            level: 0,
            first_id: sorted.first_id,
            last_id: sorted.last_id,
            flushed_at: now,
            entries: sorted.entries.len(),
            block_index: sorted.block_index.clone(),
            filter: Some(sorted.filter.clone()),
        };
        run.write(conn)?;
        Ok(FlushStep::Done(run))
    }

    /// What [`Flush::write_step`] wrote is on stable storage.
    pub(in crate::sqlite) fn advance(&mut self, pages: usize) {
        self.next_page += pages;
    }
}

/// What a step came to.
#[derive(Debug)]
pub(in crate::sqlite) enum FlushStep {
    /// So many pages were written and there are more.
    Pages(usize),
    /// The run is complete.
    Done(SortedRun),
}

/// The row id of a page.
pub(super) fn page_id(run: i64, page: usize) -> i64 {
    (run << 24) | i64::try_from(page).unwrap_or(i64::MAX)
}
