//! Things that are due at some millisecond.

use std::collections::{BTreeMap, VecDeque};

/// Things by the millisecond they are due; things due together keep their order.
#[derive(Debug)]
pub(super) struct Wheel<T> {
    slots: BTreeMap<u64, Vec<T>>,
    len: usize,
}

impl<T> Default for Wheel<T> {
    fn default() -> Self {
        Self {
            slots: BTreeMap::new(),
            len: 0,
        }
    }
}

impl<T> Wheel<T> {
    pub(super) fn push(&mut self, due_ms: u64, thing: T) {
        self.slots.entry(due_ms).or_default().push(thing);
        self.len += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The earliest millisecond at which something is due.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        self.slots.first_key_value().map(|(due_ms, _)| *due_ms)
    }

    /// Moves everything that is due by `now_ms` to the end of `due`.
    pub(super) fn take_due(&mut self, now_ms: u64, due: &mut VecDeque<T>) {
        while let Some(slot) = self.slots.first_entry().filter(|slot| *slot.key() <= now_ms) {
            let things = slot.remove();
            self.len -= things.len();
            due.extend(things);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_when_they_are_due_and_in_order() {
        let mut wheel = Wheel::default();
        for (due_ms, thing) in [(5, "c"), (3, "a"), (3, "b"), (9, "d")] {
            wheel.push(due_ms, thing);
        }
        let mut due = VecDeque::new();
        wheel.take_due(2, &mut due);
        assert!(due.is_empty());
        wheel.take_due(5, &mut due);
        assert_eq!(due, ["a", "b", "c"]);
        assert_eq!((wheel.len(), wheel.next_due_ms()), (1, Some(9)));
    }
}
