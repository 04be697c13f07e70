//! Fairness: which lane the next message is taken from.
//!
//! Classes share by smooth weighted round robin: each pick gives every class that waits its weight in credit,
//! takes from the richest and charges it the sum. Codes have most of the weight, so a code waits for at most a
//! handful of other messages, and campaigns still move. Within a class, accounts take turns; a turn is as many
//! segments as the account's share. What a long text takes beyond its turn is taken off the next ones (deficit round
//! robin), so that long texts are no way to a larger share.

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
    /// Which classes waited at the last pick, when it was a choice.
    waited: [bool; 3],
}

impl ClassPicker {
    pub(super) fn new(weights: ClassWeights) -> Self {
        Self {
            weights: weights.as_array(),
            credit: [0; 3],
            waited: [false; 3],
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
        if waits.iter().filter(|waits| **waits).count() == 1 {
            // Alone it owes nothing, whatever it took while others waited.
            self.credit = [0; 3];
            self.waited = [false; 3];
            return best;
        }
        self.waited = waits;
        if let Some(credit) = best.and_then(|class| self.credit.get_mut(class)) {
            *credit -= total;
        }
        best
    }

    /// What was picked last took `more` segments than one: as if it had been picked so many times more.
    pub(super) fn charge(&mut self, class: usize, more: usize) {
        let more = i64::try_from(more).unwrap_or(i64::MAX);
        let mut total = 0;
        for ((waited, weight), credit) in self.waited.iter().zip(&self.weights).zip(&mut self.credit) {
            if *waited {
                *credit = credit.saturating_add(weight.saturating_mul(more));
                total += weight;
            }
        }
        if let Some(credit) = self.credit.get_mut(class) {
            *credit = credit.saturating_sub(total.saturating_mul(more));
        }
    }
}

/// Turns between the accounts of a class.
#[derive(Debug)]
pub(super) struct Turns<K> {
    /// Who waits, with the segments each may still take; below zero what it owes.
    waiting: VecDeque<(K, i32)>,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
        }
    }
}

impl<K: Copy + PartialEq> Turns<K> {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A lane that was empty waits now.
    pub(super) fn join(&mut self, lane: K) {
        self.waiting.push_back((lane, 0));
    }

    /// Whose turn it is; `share` segments make a turn. Those that owe more than a turn are passed over.
    pub(super) fn front(&mut self, share: impl Fn(K) -> u16) -> Option<K> {
        // Ends: each step pays off some of what one of them owes, at most the segments of one message.
        loop {
            let (lane, left) = self.waiting.front_mut()?;
            if *left <= 0 {
                *left += i32::from(share(*lane).max(1));
            }
            if *left > 0 {
                return Some(*lane);
            }
            self.waiting.rotate_left(1);
        }
    }

    /// The one in front took a message of `segments`; `empty` says that it has none left.
    pub(super) fn took(&mut self, segments: usize, empty: bool) {
        if empty {
            self.waiting.pop_front();
            return;
        }
        let segments = i32::try_from(segments).unwrap_or(i32::MAX);
        if let Some((_, left)) = self.waiting.front_mut() {
            *left = left.saturating_sub(segments);
            if *left <= 0 {
                self.waiting.rotate_left(1);
            }
        }
    }

    /// Takes a lane out (it was emptied by other means).
    pub(super) fn leave(&mut self, lane: K) {
        self.waiting.retain(|(waiting, _)| *waiting != lane);
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
        let share = |who| if who == 'a' { 3 } else { 1 };
        let mut order = String::new();
        for _ in 0..8 {
            order.push(turns.front(share).unwrap());
            turns.took(1, false);
        }
        assert_eq!(order, "aaabaaab");
        turns.leave('a');
        assert_eq!(turns.front(share), Some('b'));
    }

    #[test]
    fn long_texts_take_no_more_segments_than_short_ones() {
        let mut turns = Turns::default();
        turns.join('a');
        turns.join('b');
        let (mut long, mut short) = (0_i32, 0_i32);
        for _ in 0..1_000 {
            match turns.front(|_| 1).unwrap() {
                'a' => {
                    long += 25;
                    turns.took(25, false);
                }
                _ => {
                    short += 1;
                    turns.took(1, false);
                }
            }
        }
        assert!(
            (short - long).abs() <= 25,
            "{long} segments of long texts, {short} of short ones"
        );
    }

    #[test]
    fn a_class_of_long_texts_gets_its_weight_in_segments() {
        let mut picker = ClassPicker::new(ClassWeights::default());
        let mut segments = [0usize; 3];
        for _ in 0..10_000 {
            let class = picker.pick([true; 3]).unwrap();
            let long = if class == 2 { 10 } else { 1 };
            picker.charge(class, long - 1);
            segments[class] += long;
        }
        let all: usize = segments.iter().sum();
        let marketing = segments[2] as f64 / all as f64;
        assert!(
            (0.03..=0.05).contains(&marketing),
            "{marketing} of the segments, 0.04 is its weight"
        );
        for _ in 0..1_000 {
            assert_eq!(picker.pick([false, false, true]), Some(2));
            picker.charge(2, 254);
        }
        assert_eq!(
            (0..50)
                .filter(|_| picker.pick([false, true, true]) == Some(2))
                .count(),
            10,
            "what it took alone is not held against it"
        );
    }
}
