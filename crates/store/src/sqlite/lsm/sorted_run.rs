//! A run on the disk.

use super::flush::page_id;
use super::{ENTRY_BYTES, Entry, Filter, Kind, entries_of};
use rusqlite::{Connection, OptionalExtension};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A sorted run: its pages are in the database, their index and filter are here.
#[derive(Debug, Clone)]
pub(in crate::sqlite) struct SortedRun {
    pub(super) kind: Kind,
    pub(super) no: i64,
    /// Its place among the others: the number of the newest run in it.
    pub(super) age: i64,
    /// How often its entries have been merged.
    pub(super) level: u8,
    pub(super) first_id: i64,
    pub(super) last_id: i64,
    /// When the newest entry was made, or later; in Unix milliseconds. Only kept for receipt keys, whose rows may be
    /// much older than the entries.
    pub(super) flushed_at: i64,
    pub(super) entries: usize,
    /// The first key of each page.
    pub(super) block_index: Vec<u64>,
    /// Absent when the memory for filters is used up.
    pub(super) filter: Option<Filter>,
}

impl SortedRun {
    /// Reads all runs of a kind, oldest first, with the filters of the newest as far as memory for them goes.
    pub(in crate::sqlite) fn load_all(
        conn: &Connection,
        kind: Kind,
        filter_bytes_max: usize,
    ) -> rusqlite::Result<Vec<Arc<Self>>> {
        let mut runs = conn
            .prepare(
                "SELECT no, age, level, first_id, last_id, entries, block_index, flushed_at FROM sorted_run WHERE kind = ?1 ORDER BY age",
            )?
            .query_map([kind as i64], |row| {
                let block_index = row.get_ref(6)?.as_blob()?;
                Ok(Self {
                    kind,
                    no: row.get(0)?,
                    age: row.get(1)?,
                    level: row.get(2)?,
                    first_id: row.get(3)?,
                    last_id: row.get(4)?,
                    flushed_at: row.get(7)?,
                    entries: row.get(5)?,
                    block_index: block_index.as_chunks::<8>().0.iter().map(|fence| u64::from_le_bytes(*fence)).collect(),
                    filter: None,
                })
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let mut left = filter_bytes_max;
        let mut select = conn.prepare("SELECT filter FROM sorted_run WHERE kind = ?1 AND no = ?2")?;
        for run in runs.iter_mut().rev() {
            run.filter = select.query_row((kind as i64, run.no), |row| {
                Ok(Filter::from_bytes(row.get_ref(0)?.as_blob()?))
            })?;
            let bytes = run.filter.as_ref().map_or(0, Filter::bytes);
            if bytes > left {
                run.filter = None;
                break;
            }
            left -= bytes;
        }
        Ok(runs.into_iter().map(Arc::new).collect())
    }

    /// Its number, never given twice while one of its pages is left.
    pub(in crate::sqlite) fn no(&self) -> i64 {
        self.no
    }

    /// The newest row in it.
    pub(in crate::sqlite) fn last_id(&self) -> i64 {
        self.last_id
    }

    /// No entry in it is newer.
    pub(in crate::sqlite) fn flushed_at(&self) -> i64 {
        self.flushed_at
    }

    /// The oldest row in it.
    pub(in crate::sqlite) fn first_id(&self) -> i64 {
        self.first_id
    }

    /// How many entries it says it has.
    pub(in crate::sqlite) fn entries(&self) -> usize {
        self.entries
    }

    /// Reads it through, its filter too, gives each entry's key and id to `take`, and says what is wrong with it.
    pub(in crate::sqlite) fn check(
        &self,
        conn: &Connection,
        mut take: impl FnMut(u64, i64),
    ) -> rusqlite::Result<Vec<String>> {
        let mut wrong = Vec::new();
        let filter: Option<Filter> = conn.query_row(
            "SELECT filter FROM sorted_run WHERE kind = ?1 AND no = ?2",
            (self.kind as i64, self.no),
            |row| {
                let octets = row.get_ref(0)?.as_blob()?;
                let filter = Filter::from_bytes(octets);
                if filter.is_none() && !octets.is_empty() {
                    wrong.push("its filter cannot be read".to_owned());
                }
                Ok(filter)
            },
        )?;
        let (mut found, mut hidden, mut outside, mut unsorted) = (0, 0, 0, 0);
        let mut before = 0;
        for (page, fence) in self.block_index.iter().enumerate() {
            let entries = self.page(conn, page)?;
            if entries.first().map(|entry| entry.key) != Some(*fence) {
                wrong.push(format!("page {page} does not begin as it should"));
            }
            found += entries.len();
            for entry in entries {
                unsorted += usize::from(entry.key < before);
                before = entry.key;
                outside += usize::from(!(self.first_id..=self.last_id).contains(&entry.id));
                hidden += usize::from(
                    filter
                        .as_ref()
                        .is_some_and(|filter| !filter.may_contain(entry.key)),
                );
                take(entry.key, entry.id);
            }
        }
        for (count, what) in [
            (hidden, "its filter hides"),
            (outside, "of other rows than it is about"),
            (unsorted, "in no order"),
        ] {
            if count > 0 {
                wrong.push(format!("{count} entries {what}"));
            }
        }
        if found != self.entries {
            wrong.push(format!("it says {} entries and has {found}", self.entries));
        }
        Ok(wrong)
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
            .block_index
            .partition_point(|&fence| fence < key)
            .saturating_sub(1);
        let end = self.block_index.partition_point(|&fence| fence <= key);
        let mut select = conn.prepare_cached(self.kind.select_page())?;
        for page in (start..end).rev() {
            let ids = select
                .query_row([page_id(self.no, page)], |row| {
                    Ok(ids_in_page(row.get_ref(0)?.as_blob()?, key))
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

    /// The entries of a page, in order.
    pub(super) fn page(&self, conn: &Connection, page: usize) -> rusqlite::Result<Vec<Entry>> {
        conn.prepare_cached(self.kind.select_page())?
            .query_row([page_id(self.no, page)], |row| {
                Ok(entries_of(row.get_ref(0)?.as_blob()?).collect())
            })
            .optional()
            .map(Option::unwrap_or_default)
    }

    /// Writes the row that makes it count.
    pub(super) fn write(&self, conn: &Connection) -> rusqlite::Result<()> {
        let block_index: Vec<u8> = self
            .block_index
            .iter()
            .flat_map(|fence| fence.to_le_bytes())
            .collect();
        let filter = self.filter.as_ref().map(Filter::to_bytes).unwrap_or_default();
        conn.prepare_cached(
            "INSERT INTO sorted_run (kind, no, age, level, first_id, last_id, entries, block_index, filter, flushed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute((
            self.kind as i64,
            self.no,
            self.age,
            self.level,
            self.first_id,
            self.last_id,
            self.entries,
            block_index,
            filter,
            self.flushed_at,
        ))?;
        Ok(())
    }

    /// Deletes its row: from the next start on it is not there.
    pub(in crate::sqlite) fn delete_row(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.prepare_cached("DELETE FROM sorted_run WHERE kind = ?1 AND no = ?2")?
            .execute((self.kind as i64, self.no))?;
        Ok(())
    }

    /// Deletes at most `pages_max` of its pages, which the caller has let go of; true while there are more.
    pub(in crate::sqlite) fn delete_step(&self, conn: &Connection, pages_max: i64) -> rusqlite::Result<bool> {
        self.delete_row(conn)?;
        let end = page_id(self.no + 1, 0) - 1;
        let first: Option<i64> = conn
            .prepare_cached(self.kind.first_page())?
            .query_row((page_id(self.no, 0), end), |row| row.get(0))?;
        let Some(first) = first else { return Ok(false) };
        conn.prepare_cached(self.kind.delete_pages())?
            .execute((first, (first + pages_max - 1).min(end)))?;
        Ok(true)
    }
}

fn ids_in_page(bytes: &[u8], key: u64) -> Vec<i64> {
    let (page, _) = bytes.as_chunks::<ENTRY_BYTES>();
    let start = page.partition_point(|entry| Entry::from_bytes(entry).key < key);
    let end = page.partition_point(|entry| Entry::from_bytes(entry).key <= key);
    page.get(start..end)
        .unwrap_or_default()
        .iter()
        .rev()
        .map(|entry| Entry::from_bytes(entry).id)
        .collect()
}
