//! Identities. A [`MessageId`] is time-ordered: milliseconds in the upper bits, a counter in the lower 20.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Unix time in milliseconds, UTC.
pub type UnixMs = i64;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// One tenant.
    AccountId(u32)
);
number_id!(
    /// One upstream carrier of the catalog.
    CarrierNo(u16)
);
number_id!(
    /// A place in a lane, given in commit order.
    QueueNo(i64)
);
number_id!(
    /// One record of messages having been given to a bind: see [`crate::AttemptStart`].
    AttemptId(i64)
);
number_id!(
    /// One message (one recipient of a batch): `milliseconds << 20 | counter`, given in commit order.
    ///
    /// The messages of a batch are contiguous, so a batch, and a span of time, are ranges of ids and
    /// need no index.
    MessageId(i64)
);

/// A batch is named by its first message.
pub type BatchId = MessageId;

impl MessageId {
    /// Bits of the counter below the milliseconds.
    pub const COUNTER_BITS: u32 = 20;

    /// The first id that a message accepted at `at` or later can have.
    pub const fn first_at(at: UnixMs) -> Self {
        Self(at << Self::COUNTER_BITS)
    }

    /// When the message was accepted, in Unix milliseconds (runs ahead of the clock only when more than a
    /// million messages were accepted within one millisecond).
    pub const fn accepted_at(self) -> UnixMs {
        self.0 >> Self::COUNTER_BITS
    }

    /// A concatenation reference made of the id alone, for messages that were given none: those that were accepted
    /// as one part and sent as several by another carrier, and those older than references. All 16 bits differ
    /// between messages of 65 536 neighbouring milliseconds, and the low octet between any two milliseconds of a
    /// quarter of a second.
    pub const fn derived_reference(self) -> u16 {
        let ms = self.accepted_at() as u16;
        let counter = self.0 as u16;
        (ms ^ (ms >> 8)).wrapping_add(counter.wrapping_mul(0x9E3B))
    }

    /// The id `n` places further on.
    pub const fn plus(self, n: i64) -> Self {
        Self(self.0 + n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_references_differ_over_time() {
        let at = |ms: i64, counter| {
            MessageId::first_at(1_795_305_600_000 + ms)
                .plus(counter)
                .derived_reference()
        };
        let minute: std::collections::HashSet<u16> = (0..65_536).map(|ms| at(ms, 0)).collect();
        assert_eq!(minute.len(), 65_536);
        let low: std::collections::HashSet<u8> = (0..256).map(|ms| at(ms, 0) as u8).collect();
        assert_eq!(low.len(), 256);
        let burst: std::collections::HashSet<u16> = (0..65_536).map(|counter| at(0, counter)).collect();
        assert_eq!(burst.len(), 65_536);
    }
}
