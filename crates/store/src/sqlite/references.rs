//! Concatenation references of messages of several parts (3GPP TS 23.040 §9.2.3.24).
//!
//! A handset joins parts by sender and reference, so two messages to one number must not share a reference while
//! parts of either may still arrive. References to a number are consecutive, and no smaller than the minutes since
//! 1970: even if older ones are no longer known, a message a minute later has another one. Carriers that take 8 bits
//! get the low octet, which differs over 256 messages, or four hours.

use super::codes::{Number, number_key};
use super::error::Tried;
use super::memory::Work;
use crate::{MessageId, StoreError};
use rusqlite::OptionalExtension;
use sms::phone::Msisdn;
use std::collections::HashMap;
use std::ops::ControlFlow;

const MINUTE_MS: i64 = 60_000;
/// How far back the last long message of a number is looked for. What is older has arrived or never will: an SMSC
/// keeps parts for hours, a handset joins them within minutes.
const LOOK_BACK_MS: i64 = 86_400_000;
/// Messages of a number that are looked at, newest first.
const LOOK_BACK_MESSAGES_MAX: usize = 256;

/// The last reference given to each of the numbers used last, not yet cut to 16 bits.
///
/// Two generations: when the young one is full it becomes the old one, and what was in the old one is evicted. So the
/// numbers used last are known, at the price of a hash table.
#[derive(Debug)]
pub(super) struct References {
    young: HashMap<Msisdn, u64>,
    old: HashMap<Msisdn, u64>,
    young_max: usize,
}

impl References {
    /// Room for `numbers_max` numbers, at about 40 octets each.
    pub(super) fn with_capacity(numbers_max: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            young_max: (numbers_max / 2).max(1),
        }
    }

    /// Whether the last reference of a number is held here.
    pub(super) fn knows(&self, msisdn: Msisdn) -> bool {
        self.last(msisdn).is_some()
    }

    fn last(&self, msisdn: Msisdn) -> Option<u64> {
        self.young.get(&msisdn).or_else(|| self.old.get(&msisdn)).copied()
    }

    fn put(&mut self, msisdn: Msisdn, reference: u64) {
        if self.young.len() >= self.young_max && !self.young.contains_key(&msisdn) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(msisdn, reference);
    }
}

/// The reference of a message about to be stored. Gaps that a command taken back leaves do no harm.
pub(super) fn next(work: &mut Work<'_>, msisdn: Msisdn, id: MessageId) -> Result<u16, StoreError> {
    let last = match work.memory.references.last(msisdn) {
        Some(last) => Some(last),
        None => stored(work, msisdn, id).tried("look for the last reference of a number")?,
    };
    let reference = minutes(id).max(last.map_or(0, |last| last + 1));
    work.memory.references.put(msisdn, reference);
    Ok((reference & 0xFFFF) as u16)
}

/// The time part of an id in minutes: ids never go back, also when the clock does.
fn minutes(id: MessageId) -> u64 {
    (id.time_part() / MINUTE_MS).unsigned_abs()
}

/// The reference of the newest long message to a number, from the store.
fn stored(work: &Work<'_>, msisdn: Msisdn, id: MessageId) -> rusqlite::Result<Option<u64>> {
    let floor = MessageId::first_at(id.time_part() - LOOK_BACK_MS).0;
    let mut select = work
        .conn
        .prepare_cached("SELECT msisdn, reference FROM message WHERE id = ?1")?;
    let mut found = None;
    let mut looked_at = 0;
    let mut look = |id: i64| {
        looked_at += 1;
        if id < floor || looked_at > LOOK_BACK_MESSAGES_MAX {
            return Ok(ControlFlow::Break(()));
        }
        let row: Option<(Number, Option<u16>)> = select
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        // An entry of the index is a hint: the row decides.
        match row {
            Some((Number(number), Some(reference))) if number == msisdn => {
                found = Some(unwrapped(reference, MessageId(id)));
                Ok(ControlFlow::Break(()))
            }
            _ => Ok(ControlFlow::Continue(())),
        }
    };
    work.shared
        .numbers
        .read()
        .visit(work.conn, number_key(msisdn), floor, &mut look)?;
    Ok(found)
}

/// The count that 16 bits were stored of: the first one not before the minute in which the message was accepted.
fn unwrapped(reference: u16, id: MessageId) -> u64 {
    let minutes = minutes(id);
    minutes + u64::from(reference.wrapping_sub((minutes & 0xFFFF) as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_counted_on() {
        let id = MessageId::first_at(1_795_305_600_000);
        for ahead in [0, 1, 255, 65_535] {
            let count = minutes(id) + ahead;
            assert_eq!(unwrapped((count & 0xFFFF) as u16, id), count);
        }
    }

    #[test]
    fn the_numbers_used_last_are_kept() {
        let number = |n: u64| Msisdn::from_u64(15_550_100_000 + n).unwrap();
        let mut references = References::with_capacity(4);
        for n in 0..100 {
            references.put(number(0), n);
            references.put(number(n + 1), n);
            assert_eq!(references.last(number(0)), Some(n));
            assert!(references.young.len() + references.old.len() <= 4);
        }
        assert_eq!(references.last(number(1)), None);
        assert_eq!(references.last(number(100)), Some(99));
    }
}
