//! Merging runs into larger ones, so that a look-up visits few of them however much is stored.

use super::flush::{PAGE_ENTRIES, page_id};
use super::{ENTRY_BYTES, Entry, Filter, Kind, SortedRun};
use rusqlite::Connection;
use std::sync::Arc;

/// So many neighbours of one level become one of the next: each entry is written once more a level.
pub(super) const WIDTH: usize = 8;
/// Runs of this level are left as they are (64 times the first): retention drops runs whole.
pub(super) const LEVEL_MAX: u8 = 2;
/// Pages written with one group.
const PAGES_A_STEP: usize = 32;

/// Several runs on their way into one. Driven by the writer within its groups.
#[derive(Debug)]
pub(in crate::sqlite) struct Merge {
    kind: Kind,
    no: i64,
    /// Oldest first.
    inputs: Vec<Arc<SortedRun>>,
    filter_bytes_max: usize,
    progress: Progress,
}

#[derive(Debug)]
struct Progress {
    cursors: Vec<Cursor>,
    block_index: Vec<u64>,
    filter: Option<Filter>,
    entries: usize,
}

/// A place in an input.
#[derive(Debug, Default)]
struct Cursor {
    next_page: usize,
    /// What is left of the page, the next entry last.
    rest: Vec<Entry>,
}

impl Merge {
    pub(super) fn new(kind: Kind, no: i64, inputs: Vec<Arc<SortedRun>>, filter_bytes_max: usize) -> Self {
        let progress = Progress::new(&inputs, filter_bytes_max);
        Self {
            kind,
            no,
            inputs,
            filter_bytes_max,
            progress,
        }
    }

    pub(in crate::sqlite) fn kind(&self) -> Kind {
        self.kind
    }

    /// The runs that go into it.
    pub(super) fn inputs(&self) -> &[Arc<SortedRun>] {
        &self.inputs
    }

    /// Starts over after a group was not committed: its pages are not there.
    pub(in crate::sqlite) fn restart(&mut self) {
        self.progress = Progress::new(&self.inputs, self.filter_bytes_max);
    }

    /// Writes the next pages; the run with the last of them, in place of its inputs.
    pub(in crate::sqlite) fn write_step(&mut self, conn: &Connection) -> rusqlite::Result<Option<SortedRun>> {
        let mut insert = conn.prepare_cached(self.kind.insert_page())?;
        let mut bytes = Vec::with_capacity(PAGE_ENTRIES * ENTRY_BYTES);
        for _ in 0..PAGES_A_STEP {
            bytes.clear();
            let page = self.progress.block_index.len();
            while bytes.len() < PAGE_ENTRIES * ENTRY_BYTES
                && let Some(entry) = self.progress.next(conn, &self.inputs)?
            {
                if bytes.is_empty() {
                    self.progress.block_index.push(entry.key);
                }
                bytes.extend(entry.to_bytes());
            }
            if bytes.is_empty() {
                return self.finish(conn).map(Some);
            }
            insert.execute((page_id(self.no, page), &bytes))?;
        }
        Ok(None)
    }

    fn finish(&mut self, conn: &Connection) -> rusqlite::Result<SortedRun> {
        let ids = |pick: fn(&SortedRun) -> i64| self.inputs.iter().map(move |run| pick(run));
        let run = SortedRun {
            kind: self.kind,
            no: self.no,
            age: ids(|run| run.age).max().unwrap_or(self.no),
            level: self.inputs.first().map_or(0, |run| run.level) + 1,
            first_id: ids(|run| run.first_id).min().unwrap_or(0),
            last_id: ids(|run| run.last_id).max().unwrap_or(0),
            flushed_at: ids(|run| run.flushed_at).max().unwrap_or(0),
            entries: self.progress.entries,
            block_index: std::mem::take(&mut self.progress.block_index),
            filter: self.progress.filter.take(),
        };
        for input in &self.inputs {
            input.delete_row(conn)?;
        }
        run.write(conn)?;
        Ok(run)
    }
}

impl Progress {
    fn new(inputs: &[Arc<SortedRun>], filter_bytes_max: usize) -> Self {
        let entries = inputs.iter().map(|run| run.entries).sum();
        // One that would not be kept is not made.
        let keep_filter = Filter::bytes_for(entries) <= filter_bytes_max / 2;
        Self {
            cursors: inputs.iter().map(|_| Cursor::default()).collect(),
            block_index: Vec::with_capacity(entries / PAGE_ENTRIES + 1),
            filter: keep_filter.then(|| Filter::for_keys(entries)),
            entries: 0,
        }
    }

    /// The next entry of all inputs by key, the older input first where keys are equal.
    fn next(&mut self, conn: &Connection, inputs: &[Arc<SortedRun>]) -> rusqlite::Result<Option<Entry>> {
        let mut least: Option<(usize, u64)> = None;
        for (n, (cursor, run)) in self.cursors.iter_mut().zip(inputs).enumerate() {
            if let Some(key) = cursor.peek(conn, run)?
                && least.is_none_or(|(_, other)| key < other)
            {
                least = Some((n, key));
            }
        }
        let entry = least.and_then(|(n, _)| self.cursors.get_mut(n)?.rest.pop());
        if let Some(entry) = entry {
            self.entries += 1;
            if let Some(filter) = &mut self.filter {
                filter.insert(entry.key);
            }
        }
        Ok(entry)
    }
}

impl Cursor {
    fn peek(&mut self, conn: &Connection, run: &SortedRun) -> rusqlite::Result<Option<u64>> {
        while self.rest.is_empty() && self.next_page < run.block_index.len() {
            self.rest = run.page(conn, self.next_page)?;
            self.rest.reverse();
            self.next_page += 1;
        }
        Ok(self.rest.last().map(|entry| entry.key))
    }
}
