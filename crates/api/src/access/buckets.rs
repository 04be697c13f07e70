//! Token buckets for many keys in bounded memory.

use engine::UnixMs;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::sync::{Mutex, PoisonError};

/// So many events in a span of time, evenly refilled; all of them may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Events, at least 1.
    events: u32,
    /// The span in milliseconds.
    span_ms: i64,
}

impl Rate {
    /// So many events a second; `None` for 0, which is no limit.
    pub(crate) fn per_second(events: u32) -> Option<Self> {
        (events > 0).then_some(Self {
            events,
            span_ms: 1_000,
        })
    }

    /// So many events a minute; `None` for 0, which is no limit.
    pub(crate) fn per_minute(events: u32) -> Option<Self> {
        (events > 0).then_some(Self {
            events,
            span_ms: 60_000,
        })
    }

    /// One event in so many seconds, at least one.
    pub(crate) fn one_in_s(seconds: u32) -> Option<Self> {
        Some(Self {
            events: 1,
            span_ms: i64::from(seconds.max(1)) * 1_000,
        })
    }

    /// A tenth of this one, at least one event in the span.
    pub(crate) fn tenth(self) -> Self {
        Self {
            events: (self.events / 10).max(1),
            ..self
        }
    }

    fn span_us(self) -> i64 {
        self.span_ms * 1_000
    }

    /// Between two events at the even rate, in microseconds.
    fn interval_us(self) -> i64 {
        (self.span_us() / i64::from(self.events)).max(1)
    }
}

/// One bucket for each key that was used lately. A bucket that is full again is the same as none, so it is dropped when
/// room is needed; when none is full, the one that will be full first makes room. Keys are held as hashes under a random
/// seed.
#[derive(Debug)]
pub(crate) struct Buckets {
    hasher: RandomState,
    keys_max: usize,
    /// By the hash of a key: when its bucket will be full, in microseconds.
    full_at_us: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_key: HashMap<u64, i64>,
    /// When full buckets were last looked for.
    purged_at_us: i64,
}

/// No clock says more; in milliseconds, as microseconds it leaves room above.
const NOW_MS_MAX: i64 = i64::MAX / 4_000;
/// Full buckets are looked for no more often.
const PURGE_EVERY_US: i64 = 1_000_000;
/// So many are looked at when one has to make room.
const SAMPLED: usize = 8;

impl Buckets {
    /// Buckets for at most `keys_max` keys (32 octets each).
    pub(crate) fn new(keys_max: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            keys_max: keys_max.max(1),
            full_at_us: Mutex::default(),
        }
    }

    /// Takes one event of a key; the milliseconds to wait (at least 1) when it has none left. Without a rate there is no
    /// limit. `now` is [`Clock::steady`](engine::clock::Clock::steady).
    pub(crate) fn take<K: Hash + ?Sized>(&self, key: &K, rate: Option<Rate>, now: UnixMs) -> Result<(), i64> {
        let Some(rate) = rate else { return Ok(()) };
        // Far from the ends of the range, so that nothing below overflows.
        let now_us = now.clamp(0, NOW_MS_MAX).saturating_mul(1_000);
        let hash = self.hasher.hash_one(key);
        // Every state of the map is a sound one: a panic elsewhere while it was held spoils nothing.
        let mut kept = self.full_at_us.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at_us = match kept.by_key.get(&hash) {
            // A clock that was put back must not hold anybody for longer than the span.
            Some(at_us) => (*at_us).clamp(now_us, now_us.saturating_add(rate.span_us())),
            None => now_us,
        };
        let taken_us = full_at_us + rate.interval_us();
        let over_us = taken_us - now_us - rate.interval_us() * i64::from(rate.events);
        if over_us > 0 {
            return Err((over_us + 999) / 1_000);
        }
        if !kept.by_key.contains_key(&hash) {
            kept.make_room(self.keys_max, now_us);
        }
        kept.by_key.insert(hash, taken_us);
        Ok(())
    }

    /// Whether anything was taken of a key that is not refilled yet.
    pub(crate) fn is_used<K: Hash + ?Sized>(&self, key: &K, now: UnixMs) -> bool {
        let now_us = now.clamp(0, NOW_MS_MAX).saturating_mul(1_000);
        let hash = self.hasher.hash_one(key);
        let kept = self.full_at_us.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_key
            .get(&hash)
            .is_some_and(|full_at_us| *full_at_us > now_us)
    }

    /// Gives back one event that was taken with this rate.
    pub(crate) fn give_back<K: Hash + ?Sized>(&self, key: &K, rate: Rate) {
        let hash = self.hasher.hash_one(key);
        let mut kept = self.full_at_us.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at_us) = kept.by_key.get_mut(&hash) {
            *full_at_us -= rate.interval_us();
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.full_at_us.lock().unwrap().by_key.len()
    }
}

impl Kept {
    fn make_room(&mut self, keys_max: usize, now_us: i64) {
        if self.by_key.len() < keys_max {
            return;
        }
        if now_us.saturating_sub(self.purged_at_us).abs() >= PURGE_EVERY_US {
            self.purged_at_us = now_us;
            self.by_key.retain(|_, full_at_us| *full_at_us > now_us);
        }
        if self.by_key.len() >= keys_max {
            let sampled = self.by_key.iter().take(SAMPLED);
            let goes = sampled
                .min_by_key(|(_, full_at_us)| **full_at_us)
                .map(|(hash, _)| *hash);
            goes.map(|hash| self.by_key.remove(&hash));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_has_its_events_at_once_and_then_one_for_each_interval() {
        let buckets = Buckets::new(10);
        let rate = Rate::per_minute(2);
        assert_eq!(buckets.take("a", rate, 0), Ok(()));
        assert_eq!(buckets.take("a", rate, 0), Ok(()));
        assert_eq!(buckets.take("a", rate, 0), Err(30_000));
        assert_eq!(buckets.take("b", rate, 0), Ok(()), "another key is not held back");
        assert_eq!(buckets.take("a", rate, 29_999), Err(1));
        assert_eq!(buckets.take("a", rate, 30_000), Ok(()));
        assert_eq!(buckets.take("a", rate, 30_000), Err(30_000));
        assert_eq!(
            buckets.take("a", rate, 600_000),
            Ok(()),
            "no more than the span is saved up"
        );
        assert_eq!(buckets.take("a", rate, 600_000), Ok(()));
        assert!(buckets.take("a", rate, 600_000).is_err());
        assert!(
            (0..100).all(|_| buckets.take("c", None, 0).is_ok()),
            "no rate, no limit"
        );
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let buckets = Buckets::new(10);
        let rate = Rate::per_minute(2).unwrap();
        for _ in 0..100 {
            assert_eq!(buckets.take("a", Some(rate), 0), Ok(()));
            buckets.give_back("a", rate);
        }
        assert_eq!(buckets.take("a", Some(rate), 0), Ok(()));
        assert_eq!(buckets.take("a", Some(rate), 0), Ok(()));
        assert_eq!(buckets.take("a", Some(rate), 0), Err(30_000));
        buckets.give_back("nobody", rate);
        assert_eq!(Rate::per_minute(9).unwrap().tenth(), Rate::per_minute(1).unwrap());
    }

    #[test]
    fn a_clock_that_is_put_back_holds_nobody_for_longer_than_the_span() {
        let buckets = Buckets::new(10);
        let rate = Rate::per_second(1);
        assert_eq!(buckets.take("a", rate, 1_000_000_000), Ok(()));
        assert_eq!(buckets.take("a", rate, 5_000), Err(1_000));
        assert_eq!(buckets.take("a", rate, i64::MAX), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_who_is_at_the_limit_stays_there() {
        let buckets = Buckets::new(100);
        let rate = Rate::per_minute(1000);
        while buckets.take("hot", rate, 0).is_ok() {}
        for unverified in 0..10_000 {
            assert_eq!(buckets.take(&unverified, rate, 0), Ok(()));
        }
        assert!(buckets.len() <= 100);
        assert!(
            buckets.take("hot", rate, 0).is_err(),
            "the fullest bucket makes room, not this one"
        );
        assert_eq!(buckets.take("late", rate, 120_000), Ok(()));
        assert_eq!(buckets.len(), 1, "those that are full again are gone");
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_one_span_saved_up(events in 1_u32..50, steps in prop::collection::vec(0_i64..400, 1..300)) {
            let buckets = Buckets::new(4);
            let (mut now, mut taken) = (0, 0_i64);
            for step in steps {
                now += step;
                taken += i64::from(buckets.take("k", Rate::per_second(events), now).is_ok());
                prop_assert!(taken <= i64::from(events) + now * i64::from(events) / 1_000 + 1);
            }
        }
    }
}
