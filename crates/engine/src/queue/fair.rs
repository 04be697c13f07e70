//! Fairness: which lane the next message is taken from.
//!
//! Classes share by smooth weighted round robin: each pick gives every class that waits its weight in credit,
//! takes from the richest and charges it the sum. Codes have most of the weight, so a code waits for at most a
//! handful of other messages, and campaigns still move. Within a class, accounts take turns; a turn is as many
//! messages as the account's share.

use std::collections::VecDeque;
use store::AccountId;

/// How classes share a carrier while all of them wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassWeights {
    /// Codes.
    pub otp: u16,
    /// Notices.
    pub notice: u16,
    /// Marketing.
    pub marketing: u16,
}

impl Default for ClassWeights {
    fn default() -> Self {
        Self {
            otp: 40,
            notice: 8,
            marketing: 2,
        }
    }
}

impl ClassWeights {
    pub(super) fn as_array(self) -> [i64; 3] {
        [
            i64::from(self.otp.max(1)),
            i64::from(self.notice.max(1)),
            i64::from(self.marketing.max(1)),
        ]
    }
}

/// Smooth weighted round robin over the three classes.
#[derive(Debug)]
pub(super) struct ClassPicker {
    weights: [i64; 3],
    credit: [i64; 3],
}

impl ClassPicker {
    pub(super) fn new(weights: ClassWeights) -> Self {
        Self {
            weights: weights.as_array(),
            credit: [0; 3],
        }
    }

    /// The class to take from, of those that wait.
    pub(super) fn pick(&mut self, waits: [bool; 3]) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<usize> = None;
        for class in 0..waits.len() {
            if !waits.get(class).copied().unwrap_or_default() {
                // A class that does not wait saves up nothing.
                if let Some(credit) = self.credit.get_mut(class) {
                    *credit = 0;
                }
                continue;
            }
            let weight = self.weights.get(class).copied().unwrap_or(1);
            total += weight;
            if let Some(credit) = self.credit.get_mut(class) {
                *credit += weight;
            }
            let richer = best.is_none_or(|best| self.credit.get(class) > self.credit.get(best));
            if richer {
                best = Some(class);
            }
        }
        if let Some(credit) = best.and_then(|class| self.credit.get_mut(class)) {
            *credit -= total;
        }
        best
    }
}

/// Turns between the accounts of a class.
#[derive(Debug)]
pub(super) struct Turns<K> {
    waiting: VecDeque<K>,
    /// Messages the one in front may still take in this turn.
    left: u16,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            left: 0,
        }
    }
}

impl<K: Copy + PartialEq> Turns<K> {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A lane that was empty waits now.
    pub(super) fn join(&mut self, lane: K) {
        self.waiting.push_back(lane);
    }

    /// Whose turn it is.
    pub(super) fn front(&self) -> Option<K> {
        self.waiting.front().copied()
    }

    /// The one in front took one message; `share` messages make a turn, and `empty` says that it has none left.
    pub(super) fn took(&mut self, share: u16, empty: bool) {
        if empty {
            self.waiting.pop_front();
            self.left = 0;
            return;
        }
        if self.left == 0 {
            self.left = share.max(1);
        }
        self.left -= 1;
        if self.left == 0 {
            self.waiting.rotate_left(1);
        }
    }

    /// Takes a lane out (it was emptied by other means).
    pub(super) fn leave(&mut self, lane: K) {
        if self.waiting.front() == Some(&lane) {
            self.left = 0;
        }
        self.waiting.retain(|waiting| *waiting != lane);
    }
}

/// What an account's turn is worth when nothing is said.
pub(super) const SHARE_DEFAULT: u16 = 1;

/// Shares are looked up by account.
pub(super) fn share_of(shares: &std::collections::HashMap<AccountId, u16>, account: AccountId) -> u16 {
    shares.get(&account).copied().unwrap_or(SHARE_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_share_by_weight_and_none_starves() {
        let mut picker = ClassPicker::new(ClassWeights::default());
        let mut taken = [0; 3];
        for _ in 0..500 {
            taken[picker.pick([true; 3]).unwrap()] += 1;
        }
        assert_eq!(taken, [400, 80, 20]);
        assert_eq!(picker.pick([false, false, true]), Some(2));
        assert_eq!(picker.pick([false; 3]), None);
    }

    #[test]
    fn a_class_that_comes_back_has_no_savings() {
        let mut picker = ClassPicker::new(ClassWeights {
            otp: 1,
            notice: 1,
            marketing: 1,
        });
        for _ in 0..1000 {
            picker.pick([false, true, false]);
        }
        let turns: Vec<_> = (0..4).filter_map(|_| picker.pick([true, true, false])).collect();
        assert_eq!(turns.iter().filter(|class| **class == 0).count(), 2, "{turns:?}");
    }

    #[test]
    fn accounts_take_turns_as_long_as_their_share() {
        let mut turns = Turns::default();
        turns.join('a');
        turns.join('b');
        let mut order = String::new();
        for _ in 0..8 {
            let who = turns.front().unwrap();
            order.push(who);
            turns.took(if who == 'a' { 3 } else { 1 }, false);
        }
        assert_eq!(order, "aaabaaab");
        turns.leave('a');
        assert_eq!(turns.front(), Some('b'));
    }
}
