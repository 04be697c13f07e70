//! Searching an account's messages, newest first.
//!
//! With numbers the number index leads to the messages; without, the batches of the range are walked backwards and
//! those that cannot match are skipped. Either way a search reads in short transactions: a long read transaction
//! keeps the write-ahead log from restarting.

use super::batch;
use super::catalog;
use super::codes::{as_count, number_key};
use super::error::Tried;
use super::id_clock::IdRanges;
use super::lsm::{Index, SortedRun};
use super::memory::Shared;
use super::query::{Batches, MessageRow, open_attempts, rows, rows_backwards, snapshot};
use crate::{
    AccountId, AttemptId, BatchView, MessageFilter, MessageId, MessageSpan, MessageView, StoreError,
};
use rusqlite::Connection;
use sms::phone::Msisdn;
use std::collections::HashMap;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

/// Batches read in one transaction.
const BATCHES_A_STEP: usize = 512;
/// Messages held in memory at a time.
const ROWS_AT_ONCE: usize = 500;
/// Messages after which a transaction is ended.
const ROWS_A_STEP: usize = 20_000;

pub(super) fn find(
    conn: &Connection,
    shared: &Shared,
    account: AccountId,
    span: &MessageSpan,
    filter: &MessageFilter,
    rows_max: usize,
) -> Result<(Vec<MessageView>, u64), StoreError> {
    let ranges = id_ranges(shared, span);
    let open_attempts = ranges
        .iter()
        .flat_map(|range| open_attempts(shared, range))
        .collect();
    let wanted = filter
        .count_max
        .max(filter.offset.saturating_add(filter.limit as u64));
    let mut search = Search {
        account,
        filter,
        open_attempts,
        views: Vec::new(),
        matched: 0,
        wanted,
        looked: 0,
        rows_max,
    };
    if filter.numbers.is_empty() {
        for range in &ranges {
            search.walk(conn, range)?;
        }
    } else {
        let ids = by_numbers(conn, shared, &ranges, &filter.numbers, rows_max)?;
        search.pick(conn, &ids)?;
    }
    Ok((search.views, search.matched.min(filter.count_max)))
}

/// The ids of a span, the newest first: of a span of time one range, or one in each era of ids.
pub(super) fn id_ranges(shared: &Shared, span: &MessageSpan) -> IdRanges {
    match span {
        MessageSpan::Ids(ids) => IdRanges::from_elem(ids.clone(), 1),
        MessageSpan::Accepted(span) => shared.eras.read().accepted_in(span),
    }
}

/// The ids of messages to these numbers, newest first. Ids of rows that are gone are among them.
pub(super) fn by_numbers(
    conn: &Connection,
    shared: &Shared,
    ranges: &[RangeInclusive<MessageId>],
    numbers_wanted: &[Msisdn],
    rows_max: usize,
) -> Result<Vec<MessageId>, StoreError> {
    loop {
        let sorted_runs = shared.numbers.read().sorted_runs();
        let found = snapshot(conn, || {
            catalog::version(conn)?; // SQLite's snapshot begins with the first read
            let index = shared.numbers.read();
            if !Arc::ptr_eq(&sorted_runs, &index.sorted_runs()) {
                // Between the two a run was sealed or merged: its pages, or those it replaces, may not be in
                // this snapshot.
                return Ok(None);
            }
            let mut numbers = Numbers {
                conn,
                ranges,
                ids: Vec::new(),
                rows_max,
            };
            numbers.in_memory(&index, numbers_wanted)?;
            drop(index);
            numbers.in_runs(&sorted_runs, numbers_wanted)?;
            Ok(Some(numbers.ids))
        })?;
        if let Some(mut ids) = found {
            ids.sort_unstable_by(|a, b| b.cmp(a));
            ids.dedup();
            return Ok(ids);
        }
    }
}

/// A search in the number index.
struct Numbers<'n> {
    conn: &'n Connection,
    ranges: &'n [RangeInclusive<MessageId>],
    ids: Vec<MessageId>,
    rows_max: usize,
}

impl Numbers<'_> {
    fn in_memory(&mut self, index: &Index, numbers: &[Msisdn]) -> Result<(), StoreError> {
        for &msisdn in numbers {
            let mut take = |id| self.take(id);
            if index
                .visit_memory(number_key(msisdn), &mut take)
                .tried("look for a number")?
                .is_break()
            {
                break;
            }
        }
        Ok(())
    }

    fn in_runs(&mut self, sorted_runs: &[Arc<SortedRun>], numbers: &[Msisdn]) -> Result<(), StoreError> {
        let (ranges, conn) = (self.ranges, self.conn);
        let overlaps = |run: &SortedRun| {
            let (first, last) = (run.first_id(), run.last_id());
            ranges
                .iter()
                .any(|ids| last >= ids.start().0 && first <= ids.end().0)
        };
        for run in sorted_runs.iter().rev().filter(|run| overlaps(run)) {
            for &msisdn in numbers {
                let mut take = |id| self.take(id);
                if run
                    .visit(conn, number_key(msisdn), &mut take)
                    .tried("look for a number")?
                    .is_break()
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, id: i64) -> rusqlite::Result<ControlFlow<()>> {
        if self.ranges.iter().any(|ids| ids.contains(&MessageId(id))) {
            self.ids.push(MessageId(id));
        }
        Ok(if self.ids.len() < self.rows_max {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    }
}

struct Search<'f> {
    account: AccountId,
    filter: &'f MessageFilter,
    open_attempts: HashMap<MessageId, AttemptId>,
    views: Vec<MessageView>,
    matched: u64,
    /// Matches after which there is nothing more to learn.
    wanted: u64,
    looked: usize,
    rows_max: usize,
}

impl Search<'_> {
    fn is_done(&self) -> bool {
        self.matched >= self.wanted || self.looked >= self.rows_max
    }

    /// Whether messages of a batch can match at all.
    fn admits(&self, batch: &BatchView) -> bool {
        let filter = self.filter;
        batch.account == self.account
            && (filter.dialects.is_empty() || filter.dialects.contains(&batch.dialect))
            && filter.template.is_none_or(|template| template == batch.template)
            && (filter.labels.is_empty() || filter.labels.contains(&batch.label))
            && filter.kind.is_none_or(|kind| kind == batch.kind)
    }

    /// Looks at one message of a batch that is admitted.
    fn consider(&mut self, row: MessageRow, batch: &Arc<BatchView>) {
        let attempt = self.open_attempts.get(&row.id).copied();
        let state = row.state(attempt);
        if !self.filter.states.is_empty() && !self.filter.states.contains(&state) {
            return;
        }
        if self.matched >= self.filter.offset && self.views.len() < self.filter.limit {
            self.views.push(row.view(Arc::clone(batch), attempt));
        }
        self.matched += 1;
    }

    /// Looks at messages by id, newest first.
    fn pick(&mut self, conn: &Connection, ids: &[MessageId]) -> Result<(), StoreError> {
        let mut batches = Batches::default();
        for step in ids.chunks(BATCHES_A_STEP) {
            snapshot(conn, || {
                for &id in step {
                    if self.is_done() {
                        break;
                    }
                    self.looked += 1;
                    for row in rows(conn, id..=id, 1)? {
                        let batch = batches.of(conn, id)?;
                        if self.admits(&batch) {
                            self.consider(row, &batch);
                        }
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Walks the batches of a range backwards.
    fn walk(&mut self, conn: &Connection, range: &RangeInclusive<MessageId>) -> Result<(), StoreError> {
        let mut from = *range.end();
        while !self.is_done() && from >= *range.start() {
            let next = snapshot(conn, || self.step(conn, from, range))?;
            let Some(next) = next else { break };
            from = next;
        }
        Ok(())
    }

    /// Looks at some batches that begin at or before `from`; where to go on.
    fn step(
        &mut self,
        conn: &Connection,
        from: MessageId,
        range: &RangeInclusive<MessageId>,
    ) -> Result<Option<MessageId>, StoreError> {
        let sql = format!(
            "SELECT {} FROM batch WHERE first_id <= ?1 ORDER BY first_id DESC LIMIT ?2",
            batch::COLUMNS
        );
        let mut select = conn.prepare_cached(&sql).tried("search batches")?;
        let batches = select
            .query_map((from.0, as_count(BATCHES_A_STEP)), batch::view_from)
            .tried("search batches")?;
        let stop = self.looked + ROWS_A_STEP;
        let mut next = None;
        for batch in batches {
            let batch = Arc::new(batch.tried("search batches")?);
            let first = batch.id.max(*range.start());
            let last = batch::last_of(&batch).min(*range.end());
            if last < *range.start() {
                return Ok(None);
            }
            self.looked += 1;
            next = Some(batch.id.plus(-1));
            if first <= last && self.admits(&batch) {
                self.look_into(conn, &batch, first..=last)?;
            }
            if self.is_done() || self.looked >= stop {
                break;
            }
        }
        Ok(next)
    }

    /// Looks at the messages of a batch, newest first.
    fn look_into(
        &mut self,
        conn: &Connection,
        batch: &Arc<BatchView>,
        range: RangeInclusive<MessageId>,
    ) -> Result<(), StoreError> {
        let all_match = self.filter.states.is_empty();
        if all_match && self.matched < self.filter.offset {
            let count = count(conn, &range)?;
            if self.matched + count <= self.filter.offset {
                self.pass_over(count);
                return Ok(());
            }
        }
        let first = *range.start();
        let mut last = *range.end();
        while first <= last && !self.is_done() {
            if all_match && self.views.len() == self.filter.limit {
                self.pass_over(count(conn, &(first..=last))?);
                return Ok(());
            }
            let found = rows_backwards(conn, first..=last, ROWS_AT_ONCE)?;
            self.looked += found.len();
            let Some(lowest) = found.last().map(|row| row.id) else {
                break;
            };
            last = lowest.plus(-1);
            for row in found {
                self.consider(row, batch);
            }
        }
        Ok(())
    }

    /// Messages that match but are not to be shown.
    fn pass_over(&mut self, count: u64) {
        self.looked += usize::try_from(count).unwrap_or(usize::MAX);
        self.matched += count;
    }
}

fn count(conn: &Connection, range: &RangeInclusive<MessageId>) -> Result<u64, StoreError> {
    conn.prepare_cached("SELECT count(*) FROM message WHERE id BETWEEN ?1 AND ?2")
        .and_then(|mut select| select.query_row((range.start().0, range.end().0), |row| row.get(0)))
        .tried("count messages")
}
