//! One index: what is in memory, what is being sealed, and the sealed runs.

use super::seal::{SealStep, Sorted, page_id};
use super::{Entry, Filter, Kind, Recent, Seal, entries_of};
use rusqlite::{Connection, OptionalExtension};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A sealed run.
#[derive(Debug)]
pub(in crate::sqlite) struct Sealed {
    pub(super) kind: Kind,
    pub(super) no: i64,
    pub(super) first_id: i64,
    pub(super) last_id: i64,
    /// The first key of each page.
    pub(super) fences: Vec<u64>,
    /// Absent when the memory for filters is used up.
    pub(super) filter: Option<Filter>,
}

impl Sealed {
    /// Its number, never given twice while one of its pages is left.
    pub(in crate::sqlite) fn no(&self) -> i64 {
        self.no
    }

    /// The newest row in it.
    pub(in crate::sqlite) fn last_id(&self) -> i64 {
        self.last_id
    }

    /// The oldest row in it.
    pub(in crate::sqlite) fn first_id(&self) -> i64 {
        self.first_id
    }

    /// Gives the ids of a key to `take`, newest first, until it breaks.
    pub(in crate::sqlite) fn visit(
        &self,
        conn: &Connection,
        key: u64,
        take: &mut dyn FnMut(i64) -> rusqlite::Result<ControlFlow<()>>,
    ) -> rusqlite::Result<ControlFlow<()>> {
        if self
            .filter
            .as_ref()
            .is_some_and(|filter| !filter.may_contain(key))
        {
            return Ok(ControlFlow::Continue(()));
        }
        // A key that fills several pages begins in the last page whose fence is below it.
        let start = self
            .fences
            .partition_point(|&fence| fence < key)
            .saturating_sub(1);
        let end = self.fences.partition_point(|&fence| fence <= key);
        let mut select = conn.prepare_cached(self.kind.select_page())?;
        for page in (start..end).rev() {
            let ids = select
                .query_row([page_id(self.no, page)], |row| {
                    let bytes = row.get_ref(0)?.as_blob()?;
                    Ok(ids_in_page(bytes, key))
                })
                .optional()?
                .unwrap_or_default();
            for id in ids {
                if take(id)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    pub(super) fn write(&self, conn: &Connection, entries: usize) -> rusqlite::Result<()> {
        let fences: Vec<u8> = self.fences.iter().flat_map(|fence| fence.to_le_bytes()).collect();
        let filter = self.filter.as_ref().map(Filter::to_bytes).unwrap_or_default();
        conn.prepare_cached(
            "INSERT INTO run (kind, no, first_id, last_id, entries, fences, filter)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((
            self.kind as i64,
            self.no,
            self.first_id,
            self.last_id,
            i64::try_from(entries).unwrap_or(i64::MAX),
            fences,
            filter,
        ))?;
        Ok(())
    }

    /// Deletes at most `pages_max` of its pages, and its row with the last of them; true while there are more.
    pub(in crate::sqlite) fn delete_step(
        &self,
        conn: &Connection,
        pages_max: usize,
    ) -> rusqlite::Result<bool> {
        // The row goes first: a run without all of its pages must not be found at the next start.
        conn.prepare_cached("DELETE FROM run WHERE kind = ?1 AND no = ?2")?
            .execute((self.kind as i64, self.no))?;
        let first: Option<i64> = conn
            .prepare_cached(self.kind.first_page())?
            .query_row((page_id(self.no, 0), page_id(self.no + 1, 0) - 1), |row| {
                row.get(0)
            })?;
        let Some(first) = first else { return Ok(false) };
        let last =
            (first + i64::try_from(pages_max).unwrap_or(i64::MAX) - 1).min(page_id(self.no + 1, 0) - 1);
        conn.prepare_cached(self.kind.delete_pages())?
            .execute((first, last))?;
        Ok(true)
    }
}

fn ids_in_page(bytes: &[u8], key: u64) -> Vec<i64> {
    let (page, _) = bytes.as_chunks::<{ super::ENTRY_BYTES }>();
    let start = page.partition_point(|entry| Entry::from_bytes(entry).key < key);
    let end = page.partition_point(|entry| Entry::from_bytes(entry).key <= key);
    page.get(start..end)
        .unwrap_or_default()
        .iter()
        .rev()
        .map(|entry| Entry::from_bytes(entry).id)
        .collect()
}

/// What is between memory and the disk.
#[derive(Debug)]
enum Frozen {
    /// Being sorted; the hash table serves look-ups meanwhile.
    Unsorted(Arc<Recent>),
    /// Being written.
    Sorted(Arc<Sorted>),
}

/// One index. The writer changes it; readers look under a shared lock and only at what is in memory.
#[derive(Debug)]
pub(in crate::sqlite) struct Index {
    kind: Kind,
    entries_max: usize,
    filter_bytes_max: usize,
    recent: Recent,
    frozen: Option<Frozen>,
    /// Oldest first.
    sealed: Arc<Vec<Arc<Sealed>>>,
    next_no: i64,
}

impl Index {
    /// Reads what is sealed; entries that are not must be pushed by the caller.
    pub(in crate::sqlite) fn load(
        conn: &Connection,
        kind: Kind,
        entries_max: usize,
        filter_bytes_max: usize,
    ) -> rusqlite::Result<Self> {
        let sealed = conn
            .prepare("SELECT no, first_id, last_id, fences, filter FROM run WHERE kind = ?1 ORDER BY no")?
            .query_map([kind as i64], |row| {
                let fences = row.get_ref(3)?.as_blob()?;
                Ok(Arc::new(Sealed {
                    kind,
                    no: row.get(0)?,
                    first_id: row.get(1)?,
                    last_id: row.get(2)?,
                    fences: fences
                        .as_chunks::<8>()
                        .0
                        .iter()
                        .map(|fence| u64::from_le_bytes(*fence))
                        .collect(),
                    filter: Filter::from_bytes(row.get_ref(4)?.as_blob()?),
                }))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let next_no = sealed.last().map_or(0, |run| run.no + 1);
        let mut index = Self {
            kind,
            entries_max,
            filter_bytes_max,
            recent: Recent::with_capacity(entries_max),
            frozen: None,
            sealed: Arc::new(sealed),
            next_no,
        };
        index.bound_filters();
        Ok(index)
    }

    /// Deletes pages of no run: what a seal or a deletion cut short has left behind.
    pub(in crate::sqlite) fn delete_leftover_pages(&self, conn: &Connection) -> rusqlite::Result<()> {
        let first_no = self.sealed.first().map_or(self.next_no, |run| run.no);
        conn.execute(self.kind.delete_pages(), (0, page_id(first_no, 0) - 1))?;
        conn.execute(self.kind.delete_pages(), (page_id(self.next_no, 0), i64::MAX))?;
        Ok(())
    }

    /// The newest id in a sealed run: what came later is to be pushed after a start.
    pub(in crate::sqlite) fn sealed_last_id(&self) -> i64 {
        self.sealed.iter().map(|run| run.last_id).max().unwrap_or(0)
    }

    /// Entries in memory that are not frozen.
    pub(in crate::sqlite) fn recent(&mut self) -> &mut Recent {
        &mut self.recent
    }

    /// How many entries are in memory and not frozen.
    pub(in crate::sqlite) fn recent_len(&self) -> usize {
        self.recent.len()
    }

    /// Gives the ids of a key that are in memory to `take`, newest first, until it breaks.
    pub(in crate::sqlite) fn visit_memory(
        &self,
        key: u64,
        take: &mut dyn FnMut(i64) -> rusqlite::Result<ControlFlow<()>>,
    ) -> rusqlite::Result<ControlFlow<()>> {
        for id in self.recent.ids(key) {
            if take(id)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        match &self.frozen {
            None => {}
            Some(Frozen::Unsorted(recent)) => {
                for id in recent.ids(key) {
                    if take(id)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
            Some(Frozen::Sorted(sorted)) => {
                for id in sorted.ids(key) {
                    if take(id)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The sealed runs, oldest first, as they are now.
    pub(in crate::sqlite) fn sealed(&self) -> Arc<Vec<Arc<Sealed>>> {
        Arc::clone(&self.sealed)
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
        for run in self.sealed.iter().rev().filter(|run| run.last_id >= floor) {
            if run.visit(conn, key, take)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Freezes the entries in memory when there are enough of them and nothing is being sealed.
    pub(in crate::sqlite) fn freeze_if_full(&mut self) -> Option<Seal> {
        if self.recent.len() < self.entries_max || self.frozen.is_some() {
            return None;
        }
        let frozen = Arc::new(std::mem::replace(
            &mut self.recent,
            Recent::with_capacity(self.entries_max),
        ));
        self.frozen = Some(Frozen::Unsorted(Arc::clone(&frozen)));
        let no = self.next_no;
        self.next_no += 1;
        Some(Seal::begin(self.kind, no, frozen))
    }

    /// Takes over the sorted entries as soon as there are any.
    pub(in crate::sqlite) fn poll(&mut self, seal: &mut Seal, wait: bool) {
        if let Some(Frozen::Unsorted(recent)) = &self.frozen
            && let Some(sorted) = seal.poll(recent, wait)
        {
            self.frozen = Some(Frozen::Sorted(sorted));
        }
    }

    /// A step of sealing has been committed; true when the run is sealed.
    pub(in crate::sqlite) fn committed(&mut self, seal: &mut Seal, step: SealStep) -> bool {
        match step {
            SealStep::Pages(pages) => {
                seal.advance(pages);
                false
            }
            SealStep::Done(run) => {
                self.frozen = None;
                Arc::make_mut(&mut self.sealed).push(Arc::new(run));
                self.bound_filters();
                true
            }
        }
    }

    /// Takes a run out; its pages are the caller's to delete.
    pub(in crate::sqlite) fn remove(&mut self, no: i64) -> Option<Arc<Sealed>> {
        let place = self.sealed.iter().position(|run| run.no == no)?;
        Some(Arc::make_mut(&mut self.sealed).remove(place))
    }

    /// Lets go of the filters of the oldest runs when they take too much memory together.
    fn bound_filters(&mut self) {
        let mut left = self.filter_bytes_max;
        let mut bounded = Vec::with_capacity(self.sealed.len());
        for run in self.sealed.iter().rev() {
            let bytes = run.filter.as_ref().map_or(0, Filter::bytes);
            if bytes <= left {
                left -= bytes;
                bounded.push(Arc::clone(run));
            } else {
                left = 0;
                bounded.push(Arc::new(Sealed {
                    kind: run.kind,
                    no: run.no,
                    first_id: run.first_id,
                    last_id: run.last_id,
                    fences: run.fences.clone(),
                    filter: None,
                }));
            }
        }
        bounded.reverse();
        self.sealed = Arc::new(bounded);
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
