//! Batches whose acceptance is not reported yet: events of their messages wait behind it.

use std::collections::BTreeMap;
use store::{Event, EventWhat, MessageId};

/// The messages of one piece of a batch: the first and the one after the last.
pub(super) type Piece = (MessageId, MessageId);

/// The pieces of batches whose acceptance these events report.
pub(super) fn pieces_of(events: &[Event]) -> impl Iterator<Item = Piece> {
    events.iter().filter_map(|event| match event.what {
        EventWhat::Accepted { first, count } => Some((first, first.plus(i64::from(count)))),
        _ => None,
    })
}

/// Pieces by key (`K`), with a value each.
#[derive(Debug)]
pub(super) struct Pieces<K, V> {
    by_first: BTreeMap<(MessageId, K), (MessageId, V)>,
}

impl<K: Ord, V> Default for Pieces<K, V> {
    fn default() -> Self {
        Self {
            by_first: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Copy, V: Default> Pieces<K, V> {
    /// The value of a piece, made when there is none.
    pub(super) fn entry(&mut self, piece: Piece, key: K) -> &mut V {
        &mut self
            .by_first
            .entry((piece.0, key))
            .or_insert_with(|| (piece.1, V::default()))
            .1
    }

    pub(super) fn get_mut(&mut self, piece: Piece, key: K) -> Option<&mut V> {
        self.by_first.get_mut(&(piece.0, key)).map(|(_, value)| value)
    }

    pub(super) fn remove(&mut self, piece: Piece, key: K) -> Option<V> {
        self.by_first.remove(&(piece.0, key)).map(|(_, value)| value)
    }
}

impl<V> Pieces<i64, V> {
    /// The values of all pieces that a message is in.
    pub(super) fn of(&mut self, message: MessageId) -> impl Iterator<Item = (i64, &mut V)> {
        // No piece is longer than this, so none that begins earlier has the message.
        let from = MessageId(message.0.saturating_sub(i64::from(super::BATCH_MESSAGES_MAX)));
        self.by_first
            .range_mut((from, i64::MIN)..=(message, i64::MAX))
            .filter(move |(_, (end, _))| message < *end)
            .map(|((_, key), (_, value))| (*key, value))
    }

    /// Whether a message is in a piece.
    pub(super) fn has(&self, message: MessageId) -> bool {
        let from = MessageId(message.0.saturating_sub(i64::from(super::BATCH_MESSAGES_MAX)));
        // The nearest one first: in all but replays it is the only one that can have it.
        self.by_first
            .range((from, i64::MIN)..=(message, i64::MAX))
            .rev()
            .any(|(_, (end, _))| message < *end)
    }
}
