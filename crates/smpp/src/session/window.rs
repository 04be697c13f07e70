//! The requests in flight: the token and the deadline of each sequence number.
//!
//! One table, indexed by the low bits of the sequence number. Sequence numbers whose slot is taken are skipped, so a
//! lookup is one comparison, without hashing. Two linked lists run through the table: requests that wait for their
//! response, and timed-out ones that are still matched for a while. All requests have the same timeout, so each list is
//! in the order of its deadlines: the first to expire is at its head, without a search.
//!
//! Invariants: a slot is free exactly if its sequence is 0; every other slot is in exactly one list; at most half the
//! table is taken, so a free slot is found soon.

use std::time::Duration;

use crate::command::{CommandId, SEQUENCE_MAX, SEQUENCE_MIN};

/// The end of a list.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// In time.
    Waiting,
    /// Timed out, still matched.
    Late,
}

#[derive(Clone, Copy)]
struct Slot {
    sequence: u32,
    command: CommandId,
    token: u64,
    deadline: Duration,
    phase: Phase,
    previous: u32,
    next: u32,
}

const FREE: Slot = Slot {
    sequence: 0,
    command: CommandId(0),
    token: 0,
    deadline: Duration::ZERO,
    phase: Phase::Waiting,
    previous: NONE,
    next: NONE,
};

#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
    len: usize,
}

const EMPTY: List = List {
    head: NONE,
    tail: NONE,
    len: 0,
};

pub(super) struct Window {
    slots: Box<[Slot]>,
    /// Length of `slots` minus one, a power of two minus one: an index masked by it is always in bounds.
    mask: u32,
    next_sequence: u32,
    waiting: List,
    late: List,
    late_max: usize,
}

impl Window {
    /// A table for `window_max` requests in time and `late_max` late ones.
    pub(super) fn new(window_max: usize, late_max: usize) -> Self {
        let capacity = ((window_max + late_max) * 2).next_power_of_two();
        Self {
            slots: vec![FREE; capacity].into_boxed_slice(),
            mask: u32::try_from(capacity - 1).unwrap_or(u32::MAX >> 1),
            next_sequence: SEQUENCE_MIN,
            waiting: EMPTY,
            late: EMPTY,
            late_max,
        }
    }

    /// Requests that wait for their response.
    pub(super) fn in_flight(&self) -> usize {
        self.waiting.len
    }

    /// The deadline of the first request that waits.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        (self.waiting.head != NONE).then(|| self.slot(self.waiting.head).deadline)
    }

    /// The next sequence number whose slot is free.
    pub(super) fn next_sequence(&mut self) -> u32 {
        loop {
            let sequence = self.next_sequence;
            self.next_sequence = if sequence == SEQUENCE_MAX {
                SEQUENCE_MIN
            } else {
                sequence + 1
            };
            if self.slot(sequence & self.mask).sequence == 0 {
                return sequence;
            }
        }
    }

    /// Takes a slot for a request. `sequence` must come from [`Self::next_sequence`], and deadlines must not decrease.
    pub(super) fn insert(&mut self, sequence: u32, command: CommandId, token: u64, deadline: Duration) {
        debug_assert!(
            self.in_flight() + self.late.len < self.slots.len() / 2,
            "more requests than planned for"
        );
        let at = sequence & self.mask;
        *self.slot_mut(at) = Slot {
            sequence,
            command,
            token,
            deadline,
            ..FREE
        };
        self.push(Phase::Waiting, at);
    }

    /// Finds and removes the request of a response. `fits` checks the command that was sent.
    pub(super) fn complete(
        &mut self,
        sequence: u32,
        fits: impl FnOnce(CommandId) -> bool,
    ) -> Option<(u64, CommandId, Phase)> {
        let at = sequence & self.mask;
        let slot = *self.slot(at);
        if sequence == 0 || slot.sequence != sequence || !fits(slot.command) {
            return None;
        }
        self.remove(at);
        Some((slot.token, slot.command, slot.phase))
    }

    /// Moves one overdue request to the late ones, and returns its token; `None` if none is overdue.
    pub(super) fn expire(&mut self, now: Duration, late_until: Duration) -> Option<u64> {
        while self.late.head != NONE && self.slot(self.late.head).deadline <= now {
            self.remove(self.late.head);
        }
        let at = self.waiting.head;
        if at == NONE || self.slot(at).deadline > now {
            return None;
        }
        let token = self.slot(at).token;
        if self.late_max == 0 {
            self.remove(at);
            return Some(token);
        }
        if self.late.len == self.late_max {
            self.remove(self.late.head);
        }
        self.unlink(at);
        let slot = self.slot_mut(at);
        slot.phase = Phase::Late;
        slot.deadline = late_until;
        self.push(Phase::Late, at);
        Some(token)
    }

    /// Removes all requests, and returns those that still waited, in the order they were sent.
    pub(super) fn drain(&mut self) -> Vec<u64> {
        let mut tokens = Vec::with_capacity(self.waiting.len);
        while self.waiting.head != NONE {
            tokens.push(self.slot(self.waiting.head).token);
            self.remove(self.waiting.head);
        }
        while self.late.head != NONE {
            self.remove(self.late.head);
        }
        tokens
    }

    fn remove(&mut self, at: u32) {
        self.unlink(at);
        *self.slot_mut(at) = FREE;
    }

    fn push(&mut self, phase: Phase, at: u32) {
        let list = self.list_mut(phase);
        let tail = std::mem::replace(&mut list.tail, at);
        list.len += 1;
        if tail == NONE {
            list.head = at;
        } else {
            self.slot_mut(tail).next = at;
        }
        let slot = self.slot_mut(at);
        slot.previous = tail;
        slot.next = NONE;
    }

    fn unlink(&mut self, at: u32) {
        let Slot {
            phase,
            previous,
            next,
            ..
        } = *self.slot(at);
        self.list_mut(phase).len -= 1;
        if previous == NONE {
            self.list_mut(phase).head = next;
        } else {
            self.slot_mut(previous).next = next;
        }
        if next == NONE {
            self.list_mut(phase).tail = previous;
        } else {
            self.slot_mut(next).previous = previous;
        }
    }

    fn list_mut(&mut self, phase: Phase) -> &mut List {
        match phase {
            Phase::Waiting => &mut self.waiting,
            Phase::Late => &mut self.late,
        }
    }

    /// `at` is always masked, or comes from a list, which holds masked indices only.
    fn slot(&self, at: u32) -> &Slot {
        &self.slots[(at & self.mask) as usize]
    }

    fn slot_mut(&mut self, at: u32) -> &mut Slot {
        &mut self.slots[(at & self.mask) as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn submit(window: &mut Window, token: u64, deadline: u64) -> u32 {
        let sequence = window.next_sequence();
        window.insert(sequence, CommandId::SUBMIT_SM, token, seconds(deadline));
        sequence
    }

    #[test]
    fn sequence_numbers_wrap_and_skip_what_is_in_flight() {
        let mut window = Window::new(2, 0);
        window.next_sequence = SEQUENCE_MAX;
        let last = submit(&mut window, 1, 1);
        assert_eq!(last, SEQUENCE_MAX);
        assert_eq!(window.next_sequence(), 1);
        // The table has four slots: 3 would share its slot with 0x7FFFFFFF.
        assert_eq!(window.next_sequence(), 2);
        assert_eq!(window.next_sequence(), 4);
    }

    #[test]
    fn responses_match_in_any_order_and_once() {
        let mut window = Window::new(3, 0);
        let sequences: Vec<u32> = (0..3).map(|token| submit(&mut window, token, 1)).collect();
        for (token, sequence) in sequences.iter().enumerate().rev() {
            let found = window.complete(*sequence, |command| command == CommandId::SUBMIT_SM);
            assert_eq!(found.map(|(token, _, _)| token), Some(token as u64));
            assert!(window.complete(*sequence, |_| true).is_none());
        }
        assert_eq!((window.in_flight(), window.next_deadline()), (0, None));
        assert!(window.complete(0, |_| true).is_none());
    }

    #[test]
    fn the_oldest_late_request_is_evicted_first() {
        let mut window = Window::new(3, 2);
        let sequences: Vec<u32> = (0..3).map(|token| submit(&mut window, token, 1)).collect();
        let expired: Vec<u64> = std::iter::from_fn(|| window.expire(seconds(1), seconds(9))).collect();
        assert_eq!(expired, [0, 1, 2]);
        let found: Vec<_> = sequences
            .iter()
            .map(|s| window.complete(*s, |_| true).map(|m| m.2))
            .collect();
        assert_eq!(found, [None, Some(Phase::Late), Some(Phase::Late)]);
    }

    #[test]
    fn late_requests_expire_after_their_grace() {
        let mut window = Window::new(1, 1);
        let sequence = submit(&mut window, 7, 1);
        assert_eq!(window.expire(seconds(1), seconds(5)), Some(7));
        assert_eq!(window.expire(seconds(5), seconds(9)), None);
        assert!(window.complete(sequence, |_| true).is_none());
    }

    proptest! {
        /// Compares the table with a map that does the same slowly.
        #[test]
        fn the_table_behaves_like_a_map(steps in prop::collection::vec((0..4_u8, any::<u16>()), 1..400)) {
            let (window_max, late_max) = (8, 4);
            let mut window = Window::new(window_max, late_max);
            let mut model: HashMap<u32, u64> = HashMap::new();
            let mut now = 0;
            for (token, (step, pick)) in (0_u64..).zip(steps) {
                match step {
                    0 | 1 if model.len() < window_max => {
                        let sequence = submit(&mut window, token, now + 3);
                        prop_assert!(model.insert(sequence, token).is_none());
                    }
                    2 => {
                        let mut known: Vec<u32> = model.keys().copied().collect();
                        known.sort_unstable();
                        if let Some(sequence) = known.get(usize::from(pick) % known.len().max(1)) {
                            let found = window.complete(*sequence, |_| true);
                            prop_assert_eq!(found.map(|m| m.0), model.remove(sequence));
                        }
                    }
                    _ => {
                        now += 1;
                        while let Some(token) = window.expire(seconds(now), seconds(now + 2)) {
                            model.retain(|_, known| *known != token);
                        }
                    }
                }
                prop_assert_eq!(window.in_flight(), model.len());
            }
            let mut left: Vec<u64> = model.into_values().collect();
            left.sort_unstable();
            prop_assert_eq!(window.drain(), left);
        }
    }
}
