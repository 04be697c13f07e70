//! Signed requests that were seen before, for wires whose signature covers no time.
//!
//! Remembered is the signature: it is that of everything that was signed, so it also stands for requests in which values
//! were split at other boundaries. Only requests with a valid signature come here, so unverified clients take no room.

use engine::UnixMs;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};

/// Requests of one generation: what a table of half a million slots holds, 13 MiB. Two generations are kept.
const GENERATION_MAX: usize = 7 << 16;

/// What became of a request that was held against those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is the first within the window, and is remembered.
    First(Remembered),
    /// It was seen within the window with the same request id: whoever keeps the ids answers it and does nothing.
    SameId,
    /// It was seen within the window.
    Again,
}

/// Stands for a request that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered(u64);

/// The requests of one window, as hashes under a random seed. When a generation is full, or as old as the window, the one
/// before it is dropped: with more than [`GENERATION_MAX`] requests in a window the oldest are dropped early.
#[derive(Debug)]
pub(crate) struct Replays {
    hasher: RandomState,
    window_ms: i64,
    generation_max: usize,
    kept: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    /// When a request was seen, and the request id that it had, by the hash of its signature.
    young: HashMap<u64, Entry>,
    old: HashMap<u64, Entry>,
    /// When the young generation began.
    since: UnixMs,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    at: UnixMs,
    /// The hash of its `Idempotency-Key`, if it had one.
    id: Option<NonZeroU64>,
}

impl Replays {
    /// With a window of so many seconds; `None` for 0, which remembers nothing.
    pub(crate) fn within(window_s: u32) -> Option<Self> {
        (window_s > 0).then(|| Self::bounded(i64::from(window_s) * 1000, GENERATION_MAX))
    }

    fn bounded(window_ms: i64, generation_max: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            window_ms,
            generation_max,
            kept: Mutex::default(),
        }
    }

    /// Whether a request was seen within the window. `now` is
    /// [`Engine::passed_ms`](engine::Engine::passed_ms): what somebody has seen does not become new because the machine's clock jumps.
    pub(crate) fn see<K: Hash + ?Sized>(&self, request: &K, id: Option<&str>, now: UnixMs) -> Seen {
        let hash = self.hasher.hash_one(request);
        let id = id.map(|id| NonZeroU64::MIN | self.hasher.hash_one(id));
        // Every state of the maps is a sound one: a panic elsewhere while they were held spoils nothing.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let age_ms = now.saturating_sub(kept.since);
        let is_full = kept.young.len() >= self.generation_max;
        if is_full && age_ms < self.window_ms && !kept.old.is_empty() {
            tracing::warn!(age_ms, "replay window shortened");
        }
        if is_full || age_ms >= self.window_ms {
            kept.old = std::mem::take(&mut kept.young);
            kept.since = now;
        }
        let earlier = kept.young.get(&hash).or_else(|| kept.old.get(&hash));
        match earlier.filter(|entry| now.saturating_sub(entry.at) < self.window_ms) {
            // The window goes on from the first.
            Some(entry) if id.is_some() && entry.id == id => Seen::SameId,
            Some(_) => Seen::Again,
            None => {
                kept.young.insert(hash, Entry { at: now, id });
                Seen::First(Remembered(hash))
            }
        }
    }

    /// Removes a request that had no effect, so that it can be sent again.
    pub(crate) fn discard(&self, Remembered(hash): Remembered) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.young.remove(&hash);
        kept.old.remove(&hash);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let kept = self.kept.lock().unwrap();
        kept.young.len() + kept.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_again(replays: &Replays, request: &str, id: Option<&str>, now: UnixMs) -> bool {
        replays.see(request, id, now) == Seen::Again
    }

    #[test]
    fn a_request_is_seen_again_for_as_long_as_the_window_is() {
        let replays = Replays::bounded(1000, 100);
        assert!(!is_again(&replays, "a", None, 5_000));
        assert!(is_again(&replays, "a", None, 5_000));
        assert!(
            is_again(&replays, "a", None, 5_999),
            "not only in its own generation"
        );
        assert!(!is_again(&replays, "b", None, 5_999));
        assert!(!is_again(&replays, "a", None, 6_000), "the window is over");
        assert!(is_again(&replays, "a", None, 6_999));
        assert!(Replays::within(0).is_none());
    }

    #[test]
    fn a_request_id_makes_a_repeat_one_that_is_answered_and_another_id_does_not() {
        let replays = Replays::bounded(1000, 100);
        assert!(!is_again(&replays, "a", Some("order 1"), 0));
        assert!(!is_again(&replays, "a", Some("order 1"), 500));
        assert!(is_again(&replays, "a", Some("order 2"), 500));
        assert!(is_again(&replays, "a", None, 500), "the id was taken away");
        assert!(!is_again(&replays, "b", None, 0));
        assert!(is_again(&replays, "b", Some("order 1"), 500), "an id was added");
    }

    #[test]
    fn a_request_without_effect_is_removed() {
        let replays = Replays::bounded(1000, 100);
        let Seen::First(request) = replays.see("a", None, 0) else {
            panic!("not seen before")
        };
        replays.discard(request);
        assert!(!is_again(&replays, "a", None, 1));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_are_dropped_first() {
        let replays = Replays::bounded(1_000_000, 100);
        for n in 0..10_000 {
            assert!(!is_again(&replays, &n.to_string(), None, n));
        }
        assert!(replays.len() <= 200);
        assert!((9_900..10_000).all(|n| is_again(&replays, &n.to_string(), None, 10_000)));
        assert!(!is_again(&replays, "0", None, 10_000));
    }

    proptest! {
        /// As a list of all that was ever seen would say it.
        #[test]
        fn no_request_is_done_twice_within_a_window(steps in prop::collection::vec((0_i64..400, 0_u8..6), 1..200)) {
            let replays = Replays::bounded(1000, 1000);
            let (mut now, mut done) = (0, HashMap::new());
            for (step, request) in steps {
                now += step;
                let earlier = done.get(&request).is_some_and(|at| now - at < 1000);
                prop_assert_eq!(replays.see(&request, None, now) == Seen::Again, earlier);
                if !earlier {
                    done.insert(request, now);
                }
            }
        }
    }
}
