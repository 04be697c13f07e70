//! Exact counts of what the simulator received.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;

use serde::{Deserialize, Serialize};
use smpp::CommandStatus;
use smpp::field::DataCoding;

use super::joined::{Assembly, Joined, Partly};
use super::journal::Journal;
use super::mo_generator::InboundCounts;
use super::part::Anatomy;
use super::past::Past;
use crate::seed::KeyHasher;

/// What became of one message (see [`super::CountBy`]). Counts stop at 65535.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageCounts {
    /// How often it was submitted.
    pub submitted: u16,
    /// How often it was taken: more than once is a message sent twice.
    pub taken: u16,
    /// How many receipts about it were acknowledged.
    pub acknowledged: u16,
}

/// Sums since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// `submit_sm`s.
    pub submitted: u64,
    /// Of these, taken: a message id was given to them, whether or not the answer left.
    pub taken: u64,
    /// Of these, refused.
    pub refused: u64,
    /// Refused messages by the status they were answered with.
    pub refused_with: BTreeMap<String, u64>,
    /// Of these, refused for being beyond a limit: too fast, or too many at once.
    pub beyond_limits: u64,
    /// Of the others, parts of long messages.
    pub parts_refused_with: BTreeMap<String, u64>,
    /// Messages, taken or not, whose answer was held back on purpose.
    pub unanswered: u64,
    /// Different messages that were taken.
    pub messages: u64,
    /// How often a message was taken that had been taken before.
    pub duplicates: u64,
    /// Taken, but not counted by message: later parts of long messages where only first parts count, and messages beyond
    /// `tracked_messages_max`.
    #[serde(alias = "untallied")]
    pub untracked: u64,
    /// The most messages of one bind that were unanswered at once, as far as this side can see.
    pub window_seen_max: u64,
    /// Receipts that will leave or have left, doubled ones included.
    pub receipts_planned: u64,
    /// Receipts written, each time counted.
    pub receipts_sent: u64,
    /// Receipts acknowledged with `ESME_ROK`.
    pub receipts_acknowledged: u64,
    /// Receipts and inbound messages answered with an error; they are sent again.
    pub receipts_refused: u64,
    /// Receipts and inbound messages whose answer did not come, in time or before the connection ended; they are sent
    /// again.
    pub receipts_in_doubt: u64,
    /// Receipts and inbound messages that break a bound of the protocol and cannot be sent.
    pub receipts_unsendable: u64,
    /// Receipts and inbound messages that wait for their time, a bind or their answer.
    pub receipts_waiting: u64,
    /// Inbound messages that the simulator generated.
    pub inbound_written: u64,
    /// Parts of inbound messages acknowledged with `ESME_ROK`, each time counted.
    pub inbound_acknowledged: u64,
    /// Connections made.
    pub connections: u64,
    /// Binds accepted.
    pub binds: u64,
    /// Binds refused.
    pub binds_refused: u64,
    /// Sessions that are bound now.
    pub binds_up: u64,
    /// Connections cut on purpose.
    pub cuts: u64,
    /// Garbage sent on purpose.
    pub garbage: u64,
    /// PDUs that were not understood or not allowed.
    pub rejected: u64,
    /// `generic_nack`s received.
    pub nacks: u64,
    /// Responses without a request.
    pub unmatched: u64,
}

/// The sums, the counts by message and the messages kept.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) counts: Counts,
    pub(super) journal: Journal,
    counts_by_message: HashMap<u64, MessageCounts, BuildHasherDefault<KeyHasher>>,
    inbound: HashMap<u64, InboundCounts, BuildHasherDefault<KeyHasher>>,
    assemblies: HashMap<u64, Assembly, BuildHasherDefault<KeyHasher>>,
    tracked_messages_max: usize,
    refused_with: HashMap<u32, u64>,
    parts_refused_with: HashMap<u32, u64>,
    /// Kept on demand.
    pub(super) past: Option<Past>,
}

impl Ledger {
    pub(super) fn new(tracked_messages_max: usize, kept_max: usize) -> Self {
        Self {
            tracked_messages_max,
            journal: Journal::new(kept_max),
            ..Self::default()
        }
    }

    /// Counts a submitted message; returns how often it was submitted so far, from 1.
    pub(super) fn submitted(&mut self, key: Option<u64>) -> u64 {
        self.counts.submitted += 1;
        let Some(message_counts) = key.and_then(|key| self.message_counts_mut(key)) else {
            return 1;
        };
        message_counts.submitted = message_counts.submitted.saturating_add(1);
        u64::from(message_counts.submitted)
    }

    /// The message just submitted was taken.
    pub(super) fn taken(&mut self, key: Option<u64>) {
        self.counts.taken += 1;
        let Some(message_counts) = key.and_then(|key| self.counts_by_message.get_mut(&key)) else {
            self.counts.untracked += 1;
            return;
        };
        message_counts.taken = message_counts.taken.saturating_add(1);
        match message_counts.taken {
            1 => self.counts.messages += 1,
            _ => self.counts.duplicates += 1,
        }
    }

    /// A part of the message to this number was taken. Whether the message is whole now.
    pub(super) fn join(&mut self, number: u64, anatomy: &Anatomy<'_>, data_coding: DataCoding) -> bool {
        if let Some(assembly) = self.assemblies.get_mut(&number) {
            assembly.add(anatomy, data_coding);
            return assembly.is_whole();
        }
        if self.assemblies.len() >= self.tracked_messages_max {
            return true;
        }
        let assembly = Assembly::new(anatomy, data_coding);
        let is_whole = assembly.is_whole();
        self.assemblies.insert(number, assembly);
        is_whole
    }

    pub(super) fn joined_of(&self, number: u64) -> Option<Joined> {
        self.assemblies.get(&number).map(Assembly::joined)
    }

    pub(super) fn partly_taken(&self) -> impl Iterator<Item = Partly> {
        let assemblies = self.assemblies.iter();
        assemblies.filter_map(|(number, assembly)| assembly.partly(*number))
    }

    pub(super) fn joined(&self) -> impl Iterator<Item = (u64, Joined)> {
        self.assemblies
            .iter()
            .map(|(number, assembly)| (*number, assembly.joined()))
    }

    pub(super) fn refused(&mut self, status: CommandStatus, beyond_limit: bool, is_part: bool) {
        self.counts.refused += 1;
        *self.refused_with.entry(status.0).or_default() += 1;
        if beyond_limit {
            self.counts.beyond_limits += 1;
        } else if is_part {
            *self.parts_refused_with.entry(status.0).or_default() += 1;
        }
    }

    pub(super) fn acknowledged(&mut self, key: Option<u64>) {
        self.counts.receipts_acknowledged += 1;
        if let Some(message_counts) = key.and_then(|key| self.counts_by_message.get_mut(&key)) {
            message_counts.acknowledged = message_counts.acknowledged.saturating_add(1);
        }
    }

    /// Counts generated inbound message `number`. Beyond `tracked_messages_max` it is counted as a sum only.
    pub(super) fn written(&mut self, number: u64, message_counts: InboundCounts) {
        self.counts.inbound_written += 1;
        if self.inbound.len() < self.tracked_messages_max {
            self.inbound.insert(number, message_counts);
        }
    }

    /// A part of an inbound message was acknowledged.
    pub(super) fn inbound_acknowledged(&mut self, of: Option<(u64, u8)>) {
        self.counts.inbound_acknowledged += 1;
        if let Some((number, part)) = of
            && let Some(message_counts) = self.inbound.get_mut(&number)
        {
            let was_taken = message_counts.is_taken();
            message_counts.acknowledge(part);
            if message_counts.is_taken() && !was_taken {
                self.remember_inbound(number);
            }
        }
    }

    pub(super) fn inbound(&self) -> impl Iterator<Item = (u64, InboundCounts)> {
        self.inbound
            .iter()
            .map(|(number, message_counts)| (*number, *message_counts))
    }

    pub(super) fn window_seen(&mut self, unanswered: u64) {
        self.counts.window_seen_max = self.counts.window_seen_max.max(unanswered);
    }

    /// The sums; what is known elsewhere (binds up, receipts waiting) is for the caller to fill in.
    pub(super) fn sums(&self) -> Counts {
        let named = |(code, count): (&u32, &u64)| (CommandStatus(*code).to_string(), *count);
        Counts {
            refused_with: self.refused_with.iter().map(named).collect(),
            parts_refused_with: self.parts_refused_with.iter().map(named).collect(),
            ..self.counts.clone()
        }
    }

    pub(super) fn message_counts(&self, key: u64) -> Option<MessageCounts> {
        self.counts_by_message.get(&key).copied()
    }

    pub(super) fn counts_by_message(&self) -> impl Iterator<Item = (u64, MessageCounts)> {
        self.counts_by_message
            .iter()
            .map(|(key, message_counts)| (*key, *message_counts))
    }

    pub(super) fn reset(&mut self) {
        *self = Self::new(self.tracked_messages_max, self.journal.kept_max());
    }

    fn message_counts_mut(&mut self, key: u64) -> Option<&mut MessageCounts> {
        if self.counts_by_message.len() < self.tracked_messages_max {
            return Some(self.counts_by_message.entry(key).or_default());
        }
        self.counts_by_message.get_mut(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_apart_and_duplicates_seen() {
        let mut ledger = Ledger::new(10, 0);
        for key in [7, 8, 7] {
            ledger.submitted(Some(key));
            ledger.taken(Some(key));
        }
        assert_eq!(ledger.submitted(Some(8)), 2);
        ledger.refused(CommandStatus::RTHROTTLED, false, false);
        ledger.refused(CommandStatus::RTHROTTLED, false, true);
        ledger.refused(CommandStatus::RTHROTTLED, true, true);
        ledger.acknowledged(Some(7));
        let sums = ledger.sums();
        assert_eq!(
            (sums.submitted, sums.taken, sums.messages, sums.duplicates),
            (4, 3, 2, 1)
        );
        assert_eq!(sums.refused_with.get("ESME_RTHROTTLED (0x58)"), Some(&3));
        assert_eq!(sums.parts_refused_with.get("ESME_RTHROTTLED (0x58)"), Some(&1));
        assert_eq!(sums.beyond_limits, 1);
        assert_eq!(
            ledger.message_counts(7),
            Some(MessageCounts {
                submitted: 2,
                taken: 2,
                acknowledged: 1
            })
        );
        ledger.reset();
        assert_eq!(
            (ledger.sums(), ledger.message_counts(7)),
            (Counts::default(), None)
        );
    }

    #[test]
    fn beyond_the_bound_only_sums_are_kept() {
        let mut ledger = Ledger::new(2, 0);
        for key in 0..5 {
            ledger.submitted(Some(key));
            ledger.taken(Some(key));
        }
        assert_eq!((ledger.sums().messages, ledger.sums().untracked), (2, 3));
    }
}
