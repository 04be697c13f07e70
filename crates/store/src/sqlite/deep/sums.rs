//! Sums of hashes: whether two sets that have no common order are the same, in a few numbers an hour.

use super::{DeepPart, Reading};
use crate::MessageId;
use crate::StoreError;
use crate::sqlite::codes::Number;
use crate::sqlite::codes::StateCode;
use crate::sqlite::counters::{Column, hour_of, state_from};
use crate::sqlite::error::Tried;
use crate::sqlite::id_clock::Eras;
use crate::sqlite::lsm::spread;
use sms::state::MessageState;
use std::collections::BTreeMap;

/// A set by how many it has and a sum of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum {
    pub(super) count: i64,
    hash: u64,
}

impl Sum {
    /// Adds something `times`, identified by its parts.
    pub(super) fn add(&mut self, parts: &[u64], times: i64) {
        let hash = parts.iter().fold(0x5eed, |hash, part| spread(hash ^ *part));
        self.count += times;
        self.hash = self.hash.wrapping_add(hash.wrapping_mul(times.cast_unsigned()));
    }
}

/// Recounts messages and compares with the counters of the hours from which no message was removed.
pub(super) fn check_counters(reading: &Reading<'_>, part: &mut DeepPart) -> Result<(), StoreError> {
    const TRIED: &str = "recount the messages";
    let conn = reading.conn;
    let eras = Eras::load(conn).tried("read what the clock did")?;
    let hour_of = |id: i64| hour_of(eras.accepted_at(MessageId(id)));
    let (floor, has_eras): (i64, bool) = conn
        .query_row(
            "SELECT (SELECT max(value) FROM meta WHERE key IN ('statistics_floor', 'counters_swept_before')),
                    EXISTS (SELECT 1 FROM id_era)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .tried(TRIED)?;
    if has_eras && reading.whole_from != 0 {
        // The complete hours are unknown.
        part.looked_at = "not compared: the clock was wrong, and messages were deleted since".to_owned();
        return Ok(());
    }
    let whole_hour = if reading.whole_from == 0 {
        i64::MIN
    } else {
        hour_of(reading.whole_from)
    };
    let is_compared = |hour: i64| hour >= floor && hour > whole_hour;
    let mut counted: BTreeMap<i64, Sum> = BTreeMap::new();
    let mut recounted: BTreeMap<i64, Sum> = BTreeMap::new();

    let mut select = conn
        .prepare("SELECT hour, dimensions, country, state, sum(messages), sum(segments) FROM message_stats GROUP BY hour, dimensions, country, state")
        .tried(TRIED)?;
    let mut rows = select.query([]).tried(TRIED)?;
    while let Some(row) = rows.next().tried(TRIED)? {
        let hour: i64 = row.get(0).tried(TRIED)?;
        if !is_compared(hour) {
            continue;
        }
        let read = |n| row.get::<_, i64>(n).tried(TRIED);
        let state = state_from(read(3)?)?;
        let key = [
            read(1)?.cast_unsigned(),
            read(2)?.cast_unsigned(),
            u64::from(state.as_u8()),
        ];
        let sum = counted.entry(hour).or_default();
        sum.add(&key, read(4)?);
        let [dimensions, country, state] = key;
        sum.add_segments(&[dimensions, country, state], read(5)?);
    }

    let of: u64 = conn
        .query_row("SELECT count(*) FROM message", [], |row| row.get(0))
        .tried(TRIED)?;
    let mut select = conn
        .prepare(
            "SELECT m.id, m.msisdn, m.segments, o.state, b.dimensions, b.first_id + b.messages
             FROM message m LEFT JOIN message_status o ON o.id = m.id
             JOIN batch b ON b.first_id = (SELECT max(first_id) FROM batch WHERE first_id <= m.id)
             ORDER BY m.id",
        )
        .tried(TRIED)?;
    let mut rows = select.query([]).tried(TRIED)?;
    let mut looked_at = 0;
    while let Some(row) = rows.next().tried(TRIED)? {
        looked_at += 1;
        reading.report(part.name, looked_at, of);
        let id: i64 = row.get(0).tried(TRIED)?;
        let hour = hour_of(id);
        let dimensions: i64 = row.get(4).tried(TRIED)?;
        // Before there was counting.
        if !is_compared(hour) || dimensions == 0 {
            continue;
        }
        // Values that cannot be read are reported with the messages.
        let (Ok(number), Ok(state)) = (row.get::<_, Number>(1), row.get::<_, Option<StateCode>>(3)) else {
            recounted.entry(hour).or_default().add(&[0], 1);
            continue;
        };
        let state = state.map_or(MessageState::Queued, |state| Column::of(state.0, "").state);
        let country = u64::from(number.0.country_code().unwrap_or(0));
        let key = [dimensions.cast_unsigned(), country, u64::from(state.as_u8())];
        let sum = recounted.entry(hour).or_default();
        sum.add(&key, 1);
        sum.add_segments(&key, row.get(2).tried(TRIED)?);
    }
    part.looked_at = format!("{looked_at} messages, {} hours", counted.len());
    let hours: std::collections::BTreeSet<i64> = counted.keys().chain(recounted.keys()).copied().collect();
    for hour in hours {
        let (counters, messages) = (
            counted.get(&hour).copied().unwrap_or_default(),
            recounted.get(&hour).copied().unwrap_or_default(),
        );
        if counters != messages {
            let begins = crate::sqlite::damage::format_time(hour * 3_600_000);
            part.problem(if counters.count == messages.count {
                format!(
                    "in the hour that begins at {begins} the counters say {} messages, as many as there are, and count some of \
                     them in another state, country or series, or with other segments",
                    counters.count
                )
            } else {
                format!(
                    "in the hour that begins at {begins} the counters say {} messages and there are {}",
                    counters.count, messages.count
                )
            });
        }
    }
    Ok(())
}

impl Sum {
    /// Adds segments, which are not counted as such.
    fn add_segments(&mut self, parts: &[u64], segments: i64) {
        let hash = parts.iter().fold(0x5e6, |hash, part| spread(hash ^ *part));
        self.hash = self
            .hash
            .wrapping_add(hash.wrapping_mul(segments.cast_unsigned()));
    }
}
