//! How the thread that calls endpoints lets every other thread go first.
//!
//! The least priority alone is not enough. On a machine at its limit such a thread still fills each gap between two
//! steps of sending, and what it does there (a call is worded, written and answered, its connection's buffers moved)
//! leaves less of the caches, and of the machine, to who comes after the gap: measured, a tenth of sending's speed. So
//! the thread looks at how long it had to wait for a processor. While that is most of its time, something that matters
//! more wants all there is, and the thread rests between short pieces of work. It never stops altogether.

use std::time::Duration;

/// How often the thread looks, and so how long a piece of work lasts.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long it rests when others want the machine: a fifth of its time is left to it.
const REST: Duration = Duration::from_millis(20);

/// Gives way, for as long as it is polled, with the whole thread it runs on: calls, and everything beside them.
/// Does nothing where the system does not tell how long a thread has waited.
pub(super) async fn watch() {
    let Some(mut before) = Turns::now() else {
        return;
    };
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(now) = Turns::now() else {
            return;
        };
        if now.contended_since(before) {
            // Meant to block: it is the thread that rests, not a task of it.
            std::thread::sleep(REST);
        }
        before = now;
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

    /// Whether it has waited longer than it ran since then. Less comes by itself: threads of one's own, and the
    /// receivers on a machine that has some, meet now and then.
    fn contended_since(self, before: Self) -> bool {
        let ran = self.ran_ns.saturating_sub(before.ran_ns);
        let waited = self.waited_ns.saturating_sub(before.waited_ns);
        waited > ran
    }
}

/// Gives the calling thread the least priority there is: telling takes what sending leaves.
pub(super) fn least_priority() {
    #[cfg(target_os = "linux")]
    {
        const NICE: i32 = 19;
        let own = rustix::thread::gettid();
        // Where it is not allowed, calls are made all the same.
        if let Err(error) = rustix::process::setpriority_process(Some(own), NICE) {
            tracing::debug!(%error, "the thread that calls endpoints keeps its priority");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_waits_longer_than_it_runs_is_in_the_way() {
        let before = Turns::read("1000 200 3\n").unwrap();
        let later = |ran_ns, waited_ns| Turns { ran_ns, waited_ns };
        assert_eq!(before, later(1000, 200));
        assert!(later(1100, 400).contended_since(before));
        assert!(!later(1200, 400).contended_since(before));
        assert!(
            !before.contended_since(before),
            "who has nothing to do is in nobody's way"
        );
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
