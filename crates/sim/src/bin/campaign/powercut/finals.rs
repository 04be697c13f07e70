//! When the end of each message was certain: once all receipts about it had been acknowledged.

use std::collections::HashMap;

use sms::state::ReceiptState;

use super::recording::Recording;
use crate::mixed::CARRIERS;

/// By number, in nanoseconds of the record's clock.
#[derive(Debug, Default)]
pub(crate) struct Finals {
    ends: HashMap<u64, u64>,
}

/// Where the number of a part begins in a key.
const PART_SHIFT: u32 = 56;

/// What became of one message at all carriers together.
#[derive(Default)]
struct Seen {
    taken: u64,
    /// Receipts that end something, and when the last was acknowledged.
    ended: u64,
    last_ns: u64,
    whole: bool,
}

impl Finals {
    /// Of messages of which every part was taken once: of the others nobody knows which receipt belongs to what.
    pub(crate) fn of(recording: &Recording) -> Self {
        let mut seen: HashMap<u64, Seen> = HashMap::new();
        for (plan, past) in CARRIERS.iter().zip(&recording.pasts) {
            for (key, _) in past.taken() {
                seen.entry(number_of(key)).or_default().taken += 1;
            }
            for acknowledged in past.acknowledged() {
                let seen = seen.entry(number_of(acknowledged.key)).or_default();
                seen.whole |= plan.for_whole;
                if is_end(acknowledged.state) {
                    seen.ended += 1;
                    seen.last_ns = seen.last_ns.max(recording.moments.ns(acknowledged.at));
                }
            }
        }
        let mut ends = HashMap::new();
        for request in &recording.requests {
            let parts = u64::from(request.result.text.parts());
            for number in request.result.accepted() {
                if let Some(seen) = seen.get(&number)
                    && seen.taken == parts
                    && seen.ended == if seen.whole { 1 } else { parts }
                {
                    ends.insert(number, seen.last_ns);
                }
            }
        }
        Self { ends }
    }

    /// The numbers of the messages that had ended by then.
    pub(crate) fn until(&self, at_ns: u64) -> impl Iterator<Item = u64> {
        let ended = self.ends.iter().filter(move |(_, end)| **end <= at_ns);
        ended.map(|(number, _)| *number)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }
}

fn number_of(key: u64) -> u64 {
    key & ((1 << PART_SHIFT) - 1)
}

/// Whether nothing comes after it.
fn is_end(state: ReceiptState) -> bool {
    !matches!(
        state,
        ReceiptState::Accepted | ReceiptState::Enroute | ReceiptState::Scheduled
    )
}
