//! Statistics: counters kept with the state changes, never made by scanning.
//!
//! A *series* is what is common to a batch and worth counting apart. Its number goes with every message, so
//! that a receipt can be counted without reading the batch. Counters are kept per hour in which the message
//! was *accepted*: a day in any time zone is a sum of hours, and a late receipt moves its message from one
//! column of that hour to another.

use super::{AccountId, Dialect, UnixMs};
use serde::{Deserialize, Serialize};
use sms::class::{Class, Kind};
use sms::reason::Reason;
use sms::state::MessageState;
use std::sync::Arc;

/// The number of a series. 0: not counted (messages of stores older than counting).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DimensionsNo(pub u32);

/// What is counted apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StatsDimensions {
    /// Whose.
    pub account: AccountId,
    /// The credential's public part (SendCloud's and EngageLab's user); empty when it does not matter.
    pub user: Arc<str>,
    /// The wire.
    pub dialect: Dialect,
    /// Traffic class.
    pub class: Class,
    /// Text or voice.
    pub kind: Kind,
    /// Number of the template.
    pub template: i64,
    /// Label number, 0 for none.
    pub label: i64,
}

/// What goes with a message so that its changes of state can be counted: its series, the calling code of its
/// number, its segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StatsKey {
    /// The series of its batch.
    pub dimensions: DimensionsNo,
    /// Country calling code, 0 when there is none.
    pub country: u16,
    /// SMS parts.
    pub segments: u8,
}

impl StatsKey {
    /// As one number, for a column: 10 bits of country and 8 of segments below the series.
    #[must_use]
    pub const fn to_i64(self) -> i64 {
        ((self.dimensions.0 as i64) << 18) | (((self.country & 0x3ff) as i64) << 8) | self.segments as i64
    }

    /// From [`Self::to_i64`].
    #[must_use]
    pub const fn from_i64(n: i64) -> Self {
        Self {
            dimensions: DimensionsNo(((n >> 18) & 0xffff_ffff) as u32),
            country: ((n >> 8) & 0x3ff) as u16,
            segments: (n & 0xff) as u8,
        }
    }
}

/// Which counters are wanted.
#[derive(Debug, Clone)]
pub struct StatisticsFilter {
    /// Messages accepted from here on; cut down to an hour.
    pub from: UnixMs,
    /// Messages accepted before this; cut up to an hour.
    pub until: UnixMs,
    /// Minutes east of UTC of the zone whose days are counted. An hour that midnight cuts (zones of half hours)
    /// counts to the day it begins in.
    pub offset_minutes: i32,
    /// Only these users (empty: all).
    pub users: Vec<Box<str>>,
    /// Only these dialects (empty: all).
    pub dialects: Vec<Dialect>,
    /// Only these templates (empty: all).
    pub templates: Vec<i64>,
    /// Only these labels (empty: all).
    pub labels: Vec<i64>,
    /// Only this kind.
    pub kind: Option<Kind>,
}

/// The counters of one day, series, country and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistic {
    /// Days since 1970-01-01 in the zone of the filter.
    pub day: i32,
    /// The series.
    pub dimensions: Arc<StatsDimensions>,
    /// Country calling code, 0 when there is none.
    pub country: u16,
    /// The state the messages are in now. Those accepted and not yet in a state that is counted are
    /// [`MessageState::Queued`].
    pub state: MessageState,
    /// The error code of the messages in it: the receipt's own, or the decimal code of a failure in processing; empty
    /// when none. At most 64 different ones a series and hour have counters of their own, all others are `other`.
    pub error: Box<str>,
    /// What their carrier's settings said that the error code means.
    pub cause: Option<Reason>,
    /// Messages.
    pub messages: u64,
    /// Their segments.
    pub segments: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_stats_key_survives_being_a_number(dimensions: u32, country in 0u16..1_000, segments: u8) {
            let stats_key = StatsKey { dimensions: DimensionsNo(dimensions), country, segments };
            prop_assert!(stats_key.to_i64() >= 0);
            prop_assert_eq!(StatsKey::from_i64(stats_key.to_i64()), stats_key);
        }
    }

    #[test]
    fn no_stats_key_is_zero() {
        assert_eq!(StatsKey::default().to_i64(), 0);
    }
}
