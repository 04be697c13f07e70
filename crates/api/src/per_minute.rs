//! Limits on calls a minute, by caller.

use engine::UnixMs;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

const MINUTE_MS: i64 = 60_000;

/// Counts calls by caller in minutes of the clock.
///
/// Ask it only about callers who have proved who they are: it remembers each of them, so the catalog's
/// credentials are its bound.
#[derive(Debug, Default)]
pub(crate) struct PerMinute {
    callers: Mutex<HashMap<Box<str>, Minute>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Minute {
    minute: i64,
    calls: u32,
}

impl PerMinute {
    /// Counts a call and says whether it is within `calls_max` (0: no limit).
    pub(crate) fn admits(&self, caller: &str, now: UnixMs, calls_max: u32) -> bool {
        if calls_max == 0 {
            return true;
        }
        // Every state of the map is a sound one: a panic elsewhere while it was held spoils nothing.
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.div_euclid(MINUTE_MS);
        let counted = match callers.get_mut(caller) {
            Some(counted) => counted,
            None => callers.entry(Box::from(caller)).or_default(),
        };
        if counted.minute != minute {
            *counted = Minute { minute, calls: 0 };
        }
        counted.calls = counted.calls.saturating_add(1);
        counted.calls <= calls_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_its_calls_a_minute_of_its_own() {
        let calls = PerMinute::default();
        assert!(calls.admits("a", 0, 2) && calls.admits("a", 59_999, 2));
        assert!(!calls.admits("a", 59_999, 2));
        assert!(calls.admits("b", 59_999, 2), "another caller is not held back");
        assert!(calls.admits("a", 60_000, 2), "a new minute begins at nought");
        assert!((0..100).all(|_| calls.admits("c", 0, 0)), "0 is no limit");
    }
}
