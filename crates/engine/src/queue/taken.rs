//! Messages between a queue and their attempt.

use super::{CarrierQueue, consumed};
use std::sync::Arc;
use store::{DequeuedRange, MessageId, Outgoing};

/// Messages taken off a queue that are in no durable attempt yet.
///
/// Dropped without [`Taken::into_messages`] (the store failed, or whoever took them panicked or was dropped) they go back in
/// front of their lanes: the store still has them waiting, but nobody would read them again before the next start.
#[derive(Debug)]
#[must_use = "dropped, it puts the messages back"]
pub(crate) struct Taken {
    queue: Arc<CarrierQueue>,
    messages: Vec<Outgoing>,
}

impl Taken {
    pub(crate) fn of(queue: &Arc<CarrierQueue>, messages: Vec<Outgoing>) -> Self {
        Self {
            queue: Arc::clone(queue),
            messages,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn ids(&self) -> Vec<MessageId> {
        self.messages.iter().map(|message| message.id).collect()
    }

    /// What is to be taken off the store's queue.
    pub(crate) fn consumed(&self) -> Vec<DequeuedRange> {
        consumed(&self.messages)
    }

    /// The messages, whose attempt is durable: they do not go back.
    pub(crate) fn into_messages(mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.messages)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.queue.put_back(std::mem::take(&mut self.messages));
    }
}
