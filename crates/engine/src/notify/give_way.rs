//! How the thread that calls endpoints lets sending go first.
//!
//! The least priority alone is not enough. On a machine at its limit such a thread still fills each gap between two
//! steps of sending, and what it does there (a call is worded, written and answered, its connection's buffers moved)
//! leaves less of the caches, and of the machine, to who comes after the gap: measured, a tenth of sending's speed. So the
//! thread looks at how long it had to wait for a processor. While that is most of its time, somebody wants all there is,
//! and it rests until it has had no more than its share. It never stops altogether.

use std::time::{Duration, Instant};

/// How often the thread looks while it has work, and so how long a piece of work lasts.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often it looks while it has next to none: a machine that is left alone should be able to sleep.
const LOOK_SELDOM: Duration = Duration::from_millis(50);
/// Below this part of one processor it has next to none. Far below its share: a thread that just keeps to that must not
/// be taken for one without work, and be let go unseen for so long.
const IDLE_PERCENT: u64 = 1;
/// How much of one processor it takes at most while others want the machine: some two thousand calls a second.
const SHARE_PERCENT: u64 = 5;
/// One rest at most. The limits of calls' times are far longer.
const REST_MAX: Duration = Duration::from_millis(50);
/// The least priority there is. Of a processor that another program has for itself it leaves a sixtieth, some hundred
/// calls a second; and it makes the waiting plain.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// Gives way, for as long as it is polled, with the whole thread it runs on: calls, and everything beside them.
/// Does nothing where the system does not tell how long a thread has waited.
pub(super) async fn watch() {
    let Some(mut before) = Turns::now() else {
        return;
    };
    let (mut since, mut every) = (Instant::now(), LOOK_SELDOM);
    loop {
        tokio::time::sleep(every).await;
        let Some(now) = Turns::now() else {
            return;
        };
        let spent = now.since(before);
        let ago = since.elapsed();
        every = if spent.idle(ago) { LOOK_SELDOM } else { LOOK_EVERY };
        // Meant to block: it is the thread that rests, not a task of it.
        std::thread::sleep(spent.rest(ago));
        (before, since) = (now, Instant::now());
    }
}

/// How a thread has spent its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turns {
    /// Nanoseconds on a processor.
    ran_ns: u64,
    /// Nanoseconds in which it could have run, and another did.
    waited_ns: u64,
}

impl Turns {
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

    /// How it has spent its time since then.
    fn since(self, before: Self) -> Self {
        Self {
            ran_ns: self.ran_ns.saturating_sub(before.ran_ns),
            waited_ns: self.waited_ns.saturating_sub(before.waited_ns),
        }
    }

    /// Whether it had next to nothing to do, when all this was within that time. Who waits for its turn has.
    fn idle(self, within: Duration) -> bool {
        let wanted = self.ran_ns.saturating_add(self.waited_ns);
        whole_of(wanted, IDLE_PERCENT) < within
    }

    /// How long to rest when all this was within that time.
    fn rest(self, within: Duration) -> Duration {
        // Less comes by itself: threads of one's own, and receivers on the same machine, meet now and then. Measured, it
        // waits for a quarter of what it runs when nothing else is done, and for thrice as much while much is sent.
        if self.waited_ns <= self.ran_ns {
            return Duration::ZERO;
        }
        whole_of(self.ran_ns, SHARE_PERCENT)
            .saturating_sub(within)
            .min(REST_MAX)
    }
}

/// The time of which so many nanoseconds are so many hundredths.
fn whole_of(part_ns: u64, percent: u64) -> Duration {
    Duration::from_nanos(part_ns.saturating_mul(100) / percent)
}

/// Gives the calling thread the least priority: what it does takes what sending leaves. Where that is not allowed or not known,
/// it goes on as it is.
pub fn least_priority() {
    #[cfg(target_os = "linux")]
    {
        let own = rustix::thread::gettid();
        if let Err(error) = rustix::process::setpriority_process(Some(own), NICE) {
            tracing::debug!(%error, "a thread keeps the usual priority");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_to_wait_rests_until_it_had_its_share() {
        let before = Turns::read("1000000 2000000 3\n").unwrap();
        let rest = |ran_ms: u64, waited_ms: u64, within_ms: u64| {
            let now = Turns {
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
        assert_eq!(rest(4, 1, 5), ms(0), "nobody else wants much");
        assert_eq!(rest(0, 0, 5), ms(0), "who has nothing to do is in nobody's way");
    }

    #[test]
    fn who_waits_for_its_turn_is_not_idle() {
        let idle = |ran_us: u64, waited_us: u64, within_ms: u64| {
            let spent = Turns {
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
            assert_eq!(Turns::read(line), None, "{line:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells_how_this_thread_spent_its_time() {
        let before = Turns::now().unwrap();
        let mut sum = 0_u64;
        // Until the clock of the scheduler has moved, however coarse it is.
        while Turns::now().unwrap().ran_ns == before.ran_ns {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(Turns::now().unwrap().ran_ns > before.ran_ns);
    }
}
