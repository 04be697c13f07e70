//! Limits the processor time of the webhook thread in favour of sending.
//!
//! The lowest priority alone is not enough. On a saturated machine such a thread still fills each gap between two steps
//! of sending, and its work there (rendering, writing, moving buffers) evicts caches: measured, a tenth of the sending
//! rate. So the thread measures how long it waits for a processor. While it waits more than it runs, it sleeps until its
//! use is down to its share. It never stops altogether.

use std::time::{Duration, Instant};

/// How often the thread measures while it has work, and so how long a slice of work lasts.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often it measures while it is idle, so that an idle machine can sleep.
const LOOK_SELDOM: Duration = Duration::from_millis(50);
/// Below this percentage of one processor it counts as idle. It is far below [`SHARE_PERCENT`], so that a thread that keeps
/// to its share does not count as idle.
const IDLE_PERCENT: u64 = 1;
/// Percentage of one processor that it uses at most on a saturated machine: some two thousand calls a second.
const SHARE_PERCENT: u64 = 5;
/// The longest single sleep. The timeouts of calls are far longer.
const REST_MAX: Duration = Duration::from_millis(50);
/// The lowest priority. Beside a busy process it gets a sixtieth of a processor, some hundred calls a second, and the wait
/// for a processor becomes measurable.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// Limits the thread that it runs on, with all its tasks, for as long as it is polled. Returns at once where the system does
/// not report how long a thread has waited.
pub(super) async fn watch() {
    let Some(mut before) = ThreadTimes::now() else {
        return;
    };
    let (mut since, mut every) = (Instant::now(), LOOK_SELDOM);
    loop {
        tokio::time::sleep(every).await;
        let Some(now) = ThreadTimes::now() else {
            return;
        };
        let spent = now.since(before);
        let ago = since.elapsed();
        every = if spent.idle(ago) { LOOK_SELDOM } else { LOOK_EVERY };
        // Blocks the whole thread on purpose.
        std::thread::sleep(spent.rest(ago));
        (before, since) = (now, Instant::now());
    }
}

/// The processor times of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ThreadTimes {
    /// Nanoseconds on a processor.
    ran_ns: u64,
    /// Nanoseconds in which it was runnable and did not run.
    waited_ns: u64,
}

impl ThreadTimes {
    /// Of this thread.
    fn now() -> Option<Self> {
        Self::read(&std::fs::read_to_string("/proc/thread-self/schedstat").ok()?)
    }

    /// From the kernel's line: time on a processor, time waited for one, and turns (proc(5), `schedstat`).
    fn read(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        Some(Self {
            ran_ns: fields.next()?.parse().ok()?,
            waited_ns: fields.next()?.parse().ok()?,
        })
    }

    /// The difference to an earlier measurement.
    fn since(self, before: Self) -> Self {
        Self {
            ran_ns: self.ran_ns.saturating_sub(before.ran_ns),
            waited_ns: self.waited_ns.saturating_sub(before.waited_ns),
        }
    }

    /// Whether the thread was idle in a span of `within`. Waiting for a processor is not idle.
    fn idle(self, within: Duration) -> bool {
        let wanted = self.ran_ns.saturating_add(self.waited_ns);
        whole_of(wanted, IDLE_PERCENT) < within
    }

    /// How long to sleep after a span of `within`.
    fn rest(self, within: Duration) -> Duration {
        // Shorter waits occur on any machine. Measured, the thread waits for a quarter of its running time when nothing else
        // runs, and for three times its running time under load.
        if self.waited_ns <= self.ran_ns {
            return Duration::ZERO;
        }
        whole_of(self.ran_ns, SHARE_PERCENT)
            .saturating_sub(within)
            .min(REST_MAX)
    }
}

/// The span of which `part_ns` is `percent` per cent.
fn whole_of(part_ns: u64, percent: u64) -> Duration {
    Duration::from_nanos(part_ns.saturating_mul(100) / percent)
}

/// Gives the calling thread the lowest priority. Where the system does not allow or support that, it keeps its priority.
pub fn least_priority() {
    #[cfg(target_os = "linux")]
    {
        let own = rustix::thread::gettid();
        if let Err(error) = rustix::process::setpriority_process(Some(own), NICE) {
            tracing::debug!(%error, "thread priority not lowered");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_has_to_wait_sleeps_down_to_its_share() {
        let before = ThreadTimes::read("1000000 2000000 3\n").unwrap();
        let rest = |ran_ms: u64, waited_ms: u64, within_ms: u64| {
            let now = ThreadTimes {
                ran_ns: before.ran_ns + ran_ms * 1_000_000,
                waited_ns: before.waited_ns + waited_ms * 1_000_000,
            };
            now.since(before).rest(Duration::from_millis(within_ms))
        };
        let ms = Duration::from_millis;
        assert_eq!(rest(1, 4, 5), ms(15), "one of twenty milliseconds");
        assert_eq!(rest(2, 3, 5), ms(35));
        assert_eq!(rest(1, 24, 25), ms(0), "it had less than its share already");
        assert_eq!(rest(9, 10, 20), REST_MAX);
        assert_eq!(rest(4, 1, 5), ms(0), "the machine is not saturated");
        assert_eq!(rest(0, 0, 5), ms(0), "an idle thread need not sleep");
    }

    #[test]
    fn a_thread_that_waits_for_a_processor_is_not_idle() {
        let idle = |ran_us: u64, waited_us: u64, within_ms: u64| {
            let spent = ThreadTimes {
                ran_ns: ran_us * 1000,
                waited_ns: waited_us * 1000,
            };
            spent.idle(Duration::from_millis(within_ms))
        };
        assert!(idle(0, 0, 5));
        assert!(idle(30, 10, 5));
        assert!(!idle(30, 30, 5), "more than a hundredth");
        assert!(!idle(250, 0, 5), "it just keeps to its share");
        assert!(!idle(10, 40_000, 50), "others had the machine all the time");
    }

    #[test]
    fn a_line_that_is_none_is_no_reason_to_wait() {
        for line in ["", "12", "a b c", "-1 2 3", "1 99999999999999999999999"] {
            assert_eq!(ThreadTimes::read(line), None, "{line:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_reports_how_this_thread_spent_its_time() {
        let before = ThreadTimes::now().unwrap();
        let mut sum = 0_u64;
        // Until the clock of the scheduler has moved, however coarse it is.
        while ThreadTimes::now().unwrap().ran_ns == before.ran_ns {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(ThreadTimes::now().unwrap().ran_ns > before.ran_ns);
    }
}
