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
    QueueSeq(i64)
);
number_id!(
    /// One record of messages having been given to a bind: see [`crate::AttemptStart`].
    AttemptId(i64)
);
number_id!(
    /// One message (one recipient of a batch): `milliseconds << 20 | counter`, given in commit order.
    ///
    /// The messages of a batch are contiguous, so a batch is a range of ids and needs no index. A span of time is one
    /// range as well, or a few where the machine's clock has jumped.
    MessageId(i64)
);

/// A batch is named by its first message.
pub type BatchId = MessageId;

impl MessageId {
    /// Bits of the counter below the milliseconds.
    pub const COUNTER_BITS: u32 = 20;

    /// The first id whose time part is `at`; the nearest there is when no id holds that time.
    ///
    /// Not a moment as an id: a store whose clock was set back gives ids that are ahead of it. Spans of time are looked
    /// up with [`crate::MessageSpan::Accepted`].
    pub const fn first_at(at: UnixMs) -> Self {
        const MS_MAX: UnixMs = i64::MAX >> MessageId::COUNTER_BITS;
        const MS_MIN: UnixMs = i64::MIN >> MessageId::COUNTER_BITS;
        if at > MS_MAX {
            Self(i64::MAX)
        } else if at < MS_MIN {
            Self(i64::MIN)
        } else {
            Self(at << Self::COUNTER_BITS)
        }
    }

    /// The milliseconds in the id. They order, and nothing else: when a message was accepted stands in its batch
    /// ([`crate::BatchView::accepted_at`]), for the machine's clock may have been set back since.
    pub const fn time_part(self) -> UnixMs {
        self.0 >> Self::COUNTER_BITS
    }

    /// A concatenation reference made of the id alone, for messages that were given none: those that were accepted
    /// as one part and sent as several by another carrier, and those older than references. All 16 bits differ
    /// between messages of 65 536 neighbouring milliseconds, and the low octet between any two milliseconds of a
    /// quarter of a second.
    pub const fn derived_reference(self) -> u16 {
        let ms = self.time_part() as u16;
        let counter = self.0 as u16;
        (ms ^ (ms >> 8)).wrapping_add(counter.wrapping_mul(0x9E3B))
    }

    /// The id `n` places further on.
    pub const fn plus(self, n: i64) -> Self {
        Self(self.0.saturating_add(n))
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
