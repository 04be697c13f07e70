//! Statistics: counters summed up by day.

use super::cause;
use super::codes::as_count;
use super::dimensions::series_from;
use super::error::Tried;
use super::readers::ReadPriority;
use super::write_task::OverloadPolicy;
use super::{SqliteStore, counters};
use crate::{AccountId, DimensionsNo, Statistic, StatisticsFilter, StatsDimensions, StoreError, UnixMs};
use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use sms::state::MessageState;
use std::collections::HashMap;
use std::sync::Arc;

const MINUTES_A_DAY: i64 = 1_440;
const HOUR_MS: i64 = 3_600_000;

/// A question with its values.
struct Question {
    sql: String,
    values: Vec<Value>,
}

impl Question {
    fn add(&mut self, sql: &str, value: impl Into<Value>) {
        self.sql.push_str(sql);
        self.values.push(value.into());
    }

    /// Only series whose column has one of the values, unless there are none.
    fn only(&mut self, column: &str, values: impl ExactSizeIterator<Item = Value>) {
        if values.len() == 0 {
            return;
        }
        let places = vec!["?"; values.len()].join(", ");
        self.sql.push_str(&format!(" AND s.{column} IN ({places})"));
        self.values.extend(values);
    }
}

/// An hour that midnight cuts (in zones of half hours) counts to the day it begins in.
fn question(account: AccountId, filter: &StatisticsFilter, rows_max: usize) -> Question {
    let first = counters::hour_of(filter.from);
    let until = counters::hour_of(filter.until.saturating_add(HOUR_MS - 1));
    let mut question = Question {
        // The shift keeps what is divided positive, for SQLite rounds towards zero.
        sql: format!(
            "SELECT (c.hour * 60 + ? + {shift}) / {MINUTES_A_DAY} - {days} AS day, c.dimensions, c.country, c.state,
                    c.error, sum(c.messages), sum(c.segments),
                    s.account, s.user, s.dialect, s.class, s.kind, s.template, s.label
             FROM message_stats c JOIN stats_dimensions s ON s.no = c.dimensions WHERE",
            days = DAYS_BEFORE,
            shift = DAYS_BEFORE * MINUTES_A_DAY,
        ),
        values: vec![i64::from(filter.offset_minutes).into()],
    };
    question.add(" c.account = ?", i64::from(account.0));
    question.add(" AND c.hour >= ?", first);
    question.add(" AND c.hour < ?", until);
    let text = |user: &str| Value::Text(user.into());
    question.only("user", filter.users.iter().map(|user| text(user)));
    question.only(
        "dialect",
        filter.dialects.iter().map(|d| i64::from(d.as_u8()).into()),
    );
    question.only(
        "template",
        filter.templates.iter().map(|&template| template.into()),
    );
    question.only("label", filter.labels.iter().map(|&label| label.into()));
    question.only(
        "kind",
        filter.kind.iter().map(|kind| i64::from(kind.as_u8()).into()),
    );
    question.add(
        " GROUP BY day, c.dimensions, c.country, c.state, c.error HAVING sum(c.messages) <> 0
          ORDER BY day, c.dimensions, c.country, c.state, c.error LIMIT ?",
        as_count(rows_max),
    );
    question
}

/// Days by which times before 1970 are made positive.
const DAYS_BEFORE: i64 = 1 << 20;

/// A row as it is read.
struct Found {
    day: i32,
    dimensions: DimensionsNo,
    country: u16,
    state: i64,
    error: Box<str>,
    messages: i64,
    segments: i64,
}

fn read(
    conn: &Connection,
    account: AccountId,
    filter: &StatisticsFilter,
    rows_max: usize,
) -> Result<Vec<Statistic>, StoreError> {
    let Question { sql, values } = question(account, filter, rows_max);
    let mut dimensions: HashMap<DimensionsNo, Arc<StatsDimensions>> = HashMap::new();
    let found: Vec<Found> = conn
        .prepare(&sql) // too many kinds of question to keep them all
        .and_then(|mut select| {
            select
                .query_map(params_from_iter(values), |row| {
                    let no = DimensionsNo(row.get(1)?);
                    if let std::collections::hash_map::Entry::Vacant(new) = dimensions.entry(no) {
                        new.insert(Arc::new(series_from(row, 7)?));
                    }
                    Ok(Found {
                        day: row.get(0)?,
                        dimensions: no,
                        country: row.get(2)?,
                        state: row.get(3)?,
                        error: row.get(4)?,
                        messages: row.get(5)?,
                        segments: row.get(6)?,
                    })
                })?
                .collect()
        })
        .tried("read counters")?;
    let statistic = |found: Found| {
        let state: MessageState = counters::state_from(found.state)?;
        let dimensions = dimensions
            .get(&found.dimensions)
            .ok_or_else(|| StoreError::Damaged(format!("series {} is not there", found.dimensions.0)))?;
        let (error, cause) = match cause::split(&found.error) {
            (_, None) => (found.error, None),
            (code, cause) => (code.into(), cause),
        };
        Ok(Statistic {
            day: found.day,
            dimensions: Arc::clone(dimensions),
            country: found.country,
            state,
            error,
            cause,
            // Negative only if a message changed its state under another `StatsKey` than it was accepted under.
            messages: found.messages.max(0).unsigned_abs(),
            segments: found.segments.max(0).unsigned_abs(),
        })
    };
    found.into_iter().map(statistic).collect()
}

#[async_trait]
impl crate::Statistics for SqliteStore {
    async fn statistics(
        &self,
        account: AccountId,
        filter: StatisticsFilter,
        rows_max: usize,
    ) -> Result<Vec<Statistic>, StoreError> {
        self.readers
            .run(ReadPriority::Search, move |conn| {
                read(conn, account, &filter, rows_max)
            })
            .await
    }

    async fn expire_statistics(&self, before: UnixMs) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let (counters, more) = self
                .submit_write(OverloadPolicy::Backpressure, 1_000, move |work| {
                    counters::expire(work, before)
                })
                .await?;
            deleted += counters;
            if !more {
                return Ok(deleted);
            }
        }
    }
}
