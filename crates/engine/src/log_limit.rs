//! A bound on the work of making log lines that clients can provoke. How many lines of any kind are
//! written is the program's own to bound (`postrider::logging`); this spares what it costs to make one, such as a read of
//! the store or the masking of a number.

use parking_lot::Mutex;
use store::UnixMs;

/// Admits a bounded number of lines a second and counts the others, so that the next line can say how many there were.
#[derive(Debug)]
pub struct LogLimit {
    lines_max: u32,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    second: i64,
    lines: u32,
    suppressed: u64,
}

impl LogLimit {
    /// At most `lines_max` lines in each second of the clock.
    #[must_use]
    pub fn new(lines_max: u32) -> Self {
        Self {
            lines_max,
            window: Mutex::default(),
        }
    }

    /// Whether a line may be written at `now`; if so, how many were not since the last one.
    pub fn admit(&self, now: UnixMs) -> Option<u64> {
        let second = now.div_euclid(1000);
        let mut window = self.window.lock();
        if window.second != second {
            window.second = second;
            window.lines = 0;
        }
        if window.lines >= self.lines_max {
            window.suppressed += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_bound_are_counted_in_the_next_one() {
        let limit = LogLimit::new(2);
        assert_eq!(limit.admit(1_000), Some(0));
        assert_eq!(limit.admit(1_500), Some(0));
        assert_eq!(limit.admit(1_999), None);
        assert_eq!(limit.admit(1_999), None);
        assert_eq!(limit.admit(2_000), Some(2));
        assert_eq!(limit.admit(2_001), Some(0));
        assert_eq!(
            limit.admit(500),
            Some(0),
            "a clock that was put back opens a window"
        );
    }
}
