//! One lane's window.

use std::collections::VecDeque;
use store::{MessageId, Outgoing, QueueSeq};

/// How far a lane has been loaded: the last message taken into memory, by place and id.
pub(super) type LoadedTo = (QueueSeq, MessageId);

/// The part of a lane that is in memory.
///
/// Invariant: while not `has_backlog`, everything that waits in the lane with a place after nothing is in `window` or was
/// taken from it; while `has_backlog`, that holds up to `loaded_to`, and the rest is read from the store.
#[derive(Debug, Default)]
pub(super) struct LaneQueue {
    window: VecDeque<Outgoing>,
    loaded_to: Option<LoadedTo>,
    /// The store has messages that are not in the window.
    has_backlog: bool,
    /// Something was passed over since the last read began.
    passed_over: bool,
    /// A read is under way.
    reading: bool,
    /// What the read brings is of no use: the lane is read again from its beginning.
    outdated: bool,
}

impl LaneQueue {
    pub(super) fn len(&self) -> usize {
        self.window.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<Outgoing> {
        self.window.pop_front()
    }

    /// Puts messages back in front, in order: they were taken and nothing came of it.
    pub(super) fn put_back(&mut self, messages: impl DoubleEndedIterator<Item = Outgoing>) {
        for message in messages.rev() {
            self.window.push_front(message);
        }
    }

    /// Looks at up to `messages_max` messages behind the first `from` and takes out those that `moves` is true for. How many
    /// were looked at.
    pub(super) fn take_out(
        &mut self,
        from: usize,
        messages_max: usize,
        mut moves: impl FnMut(&Outgoing) -> bool,
    ) -> (Vec<Outgoing>, usize) {
        let mut taken = Vec::new();
        let mut rest = self.window.split_off(from.min(self.window.len()));
        let looked_at = rest.len().min(messages_max);
        for message in rest.drain(..looked_at) {
            if moves(&message) {
                taken.push(message);
            } else {
                self.window.push_back(message);
            }
        }
        self.window.append(&mut rest);
        (taken, looked_at)
    }

    /// Appends a message without regard to queue positions: it belongs to another carrier's lane.
    pub(super) fn accept_failover(&mut self, message: Outgoing) {
        self.window.push_back(message);
    }

    /// Enqueues what fits of a freshly committed run, if the lane has no backlog; returns how many messages were
    /// enqueued. The others are read from the store later.
    pub(super) fn enqueue_ready(
        &mut self,
        messages: impl ExactSizeIterator<Item = Outgoing>,
        room: usize,
    ) -> usize {
        if self.has_backlog {
            self.passed_over = true;
            return 0;
        }
        let before = self.window.len();
        if messages.len() > room {
            self.mark_backlogged();
        }
        for message in messages.take(room) {
            // A read may have seen the commit before this ran.
            if self
                .loaded_to
                .is_none_or(|loaded| (message.key.no, message.id) > loaded)
            {
                self.loaded_to = Some((message.key.no, message.id));
                self.window.push_back(message);
            }
        }
        self.window.len() - before
    }

    /// Marks the lane as backlogged.
    pub(super) fn mark_backlogged(&mut self) {
        self.has_backlog = true;
        self.passed_over = true;
    }

    /// Drops the window, so that the lane is read again from its beginning.
    pub(super) fn read_again(&mut self) {
        self.window.clear();
        self.loaded_to = None;
        self.outdated = self.reading;
        self.mark_backlogged();
    }

    /// Whether reading is due; how far the lane was loaded, if so.
    pub(super) fn begin_read(&mut self, room: usize) -> Option<Option<LoadedTo>> {
        if !self.has_backlog || self.reading || room == 0 {
            return None;
        }
        self.reading = true;
        self.passed_over = false;
        Some(self.loaded_to)
    }

    /// Takes in what was read; `exhausted` when the store had no more at the time of reading. False when the lane is to be
    /// read again instead.
    pub(super) fn end_read(&mut self, messages: Vec<Outgoing>, exhausted: bool) -> bool {
        self.reading = false;
        if std::mem::take(&mut self.outdated) {
            return false;
        }
        for message in messages {
            if self
                .loaded_to
                .is_none_or(|loaded| (message.key.no, message.id) > loaded)
            {
                self.loaded_to = Some((message.key.no, message.id));
                self.window.push_back(message);
            }
        }
        if exhausted && !self.passed_over {
            self.has_backlog = false;
        }
        true
    }

    pub(super) fn read_failed(&mut self) {
        self.reading = false;
        self.outdated = false;
    }

    pub(super) fn is_backlogged(&self) -> bool {
        self.has_backlog
    }

    pub(super) fn wants_read(&self) -> bool {
        self.has_backlog && !self.reading
    }
}
