//! Messages to which a carrier gave one id: some answer every `submit_sm` alike.
//!
//! Each receipt under such an id goes to the message that has waited longest. The index finds the newest messages of
//! a key first, so those that share one are kept here in order, as hints: a message that does not wait any more, or
//! whose answer was rolled back, is skipped and removed. Messages that are not here (the memory is bounded, and after
//! a start holds only what is in no sorted run) are found by the index, a bounded number of messages deep.

use super::error::Tried;
use super::memory::Work;
use super::message_status::MessageStatus;
use super::receipts::{Fit, REUSE_MS_MIN};
use crate::{CarrierReceipt, MessageId, StoreError, UnixMs};
use sms::receipt::CarrierId;
use std::collections::{HashMap, VecDeque};

/// Messages remembered, of all ids together: a megabyte.
const MESSAGES_MAX: usize = 65_536;
/// Messages looked at for one receipt.
const LOOKED_AT_MAX: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct SharedIds {
    by_key: HashMap<u64, SharedId>,
    messages: usize,
}

/// The messages of one id, in the order of their answers.
#[derive(Debug, Default)]
struct SharedId {
    waiting: VecDeque<MessageId>,
    /// When the newest of them was given to the carrier; 0 when that is not known.
    newest_at: UnixMs,
}

impl SharedIds {
    /// A message got an id that `before` has as well, or that others are known to share. `at` is when it was given to
    /// the carrier, 0 when that is not known.
    pub(super) fn note(&mut self, key: u64, before: Option<MessageId>, id: MessageId, at: UnixMs) {
        if before == Some(id) || (before.is_none() && !self.by_key.contains_key(&key)) {
            return;
        }
        if self.messages >= MESSAGES_MAX {
            self.make_room(at);
        }
        let shared_id = self.by_key.entry(key).or_default();
        if shared_id.waiting.is_empty()
            && let Some(before) = before
        {
            shared_id.waiting.push_back(before);
            self.messages += 1;
        }
        shared_id.waiting.push_back(id);
        shared_id.newest_at = shared_id.newest_at.max(at);
        self.messages += 1;
    }

    /// Evicts ids that have not been given for long; all of them when that is not enough.
    fn make_room(&mut self, now: UnixMs) {
        self.by_key
            .retain(|_, shared_id| shared_id.newest_at > now - REUSE_MS_MIN);
        self.messages = self
            .by_key
            .values()
            .map(|shared_id| shared_id.waiting.len())
            .sum();
        if self.messages >= MESSAGES_MAX {
            *self = Self::default();
        }
    }
}

/// The message that has waited longest for a receipt under an id that several share, if one does.
pub(super) fn longest_waiting(
    work: &mut Work<'_>,
    key: u64,
    receipt: &CarrierReceipt,
    carrier_id: &CarrierId,
) -> Result<Option<MessageId>, StoreError> {
    let shared = &mut work.memory.shared_ids;
    if shared.by_key.is_empty() {
        return Ok(None);
    }
    let Some(shared_id) = shared.by_key.get_mut(&key) else {
        return Ok(None);
    };
    let read = |id| MessageStatus::read(work.conn, id).tried("read a message of a shared id");
    if shared_id.newest_at == 0
        && let Some(&newest) = shared_id.waiting.back()
    {
        shared_id.newest_at = read(newest)?.map_or(0, |outcome| outcome.attempted_at);
    }
    for _ in 0..LOOKED_AT_MAX {
        let Some(&id) = shared_id.waiting.front() else {
            break;
        };
        if let Some(outcome) = read(id)?
            && outcome.attempted_at >= shared_id.newest_at - REUSE_MS_MIN
            && Fit::of(&outcome, receipt, carrier_id)? == Some(Fit::Waits)
        {
            return Ok(Some(id));
        }
        shared_id.waiting.pop_front();
        shared.messages = shared.messages.saturating_sub(1);
    }
    if shared_id.waiting.is_empty() {
        shared.by_key.remove(&key);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_however_many_share() {
        let mut shared = SharedIds::default();
        for n in 0..i64::try_from(MESSAGES_MAX).unwrap() * 3 {
            let id = MessageId(n);
            shared.note(n.unsigned_abs() % 7, Some(id.plus(-7)), id, n);
            shared.note(n.unsigned_abs() + 100, Some(id.plus(-1)), id, n);
            assert!(shared.messages <= MESSAGES_MAX + 4);
        }
    }

    #[test]
    fn an_id_that_nobody_shares_costs_nothing() {
        let mut shared = SharedIds::default();
        shared.note(1, None, MessageId(5), 9);
        shared.note(1, Some(MessageId(5)), MessageId(5), 9);
        assert!(shared.by_key.is_empty());
    }
}
