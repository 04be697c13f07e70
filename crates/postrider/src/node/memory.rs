//! Returns memory to the system after a peak of connections and requests.
//!
//! The C library keeps freed memory: after a peak of small allocations (buffers and tasks of connections) the heap stays
//! large, because something at its end is in use. `malloc_trim` returns every free page in it. That takes
//! some milliseconds, so it is called after a peak and a few times more: memory of requests beside their bodies is freed a
//! little later than it is counted here. Another allocator may do so itself, but would change the memory of every node
//! for the sake of peaks.

use api::serve::ServeMetrics;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Interval of checks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Approximate memory of a connection: task, buffers, a request's head.
const CONNECTION_BYTES: u64 = 24 * 1024;
/// A smaller decrease is not worth a call.
const FALL_BYTES_MIN: u64 = 8 * 1024 * 1024;
/// The checks after a peak at which memory is returned again: requests that were being read or processed when their
/// connections ended continue, and their memory is freed when they are done.
const ONCE_MORE_AT: [u32; 3] = [2, 4, 8];

/// Allocations from this size on are mapped separately, so that they are returned when freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES_MIN: i32 = 1024 * 1024;
/// Free memory kept at the end of a heap.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const FREE_AT_END_BYTES_MAX: i32 = 1024 * 1024;

/// Fixes the thresholds of the allocator. By default it raises both when the first long body is freed, and
/// then keeps megabytes at the end of the heap of each thread, which `malloc_trim` does not return.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the C library has it and no crate wraps it")]
pub(super) fn set_up() {
    // SAFETY: it takes no pointer, and may be called at any time from any thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
        libc::mallopt(libc::M_TRIM_THRESHOLD, FREE_AT_END_BYTES_MAX);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) const fn set_up() {}

/// Monitors the listener's memory until it is aborted.
pub(super) fn watch(metrics: ServeMetrics) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut peak = Peak::default();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let connections = u64::try_from(metrics.connections.get()).unwrap_or(0);
            let bodies_bytes = u64::try_from(metrics.bodies_bytes.get()).unwrap_or(0);
            if peak.has_passed(connections * CONNECTION_BYTES + bodies_bytes) {
                // It walks through the heap, so it must not block a runtime thread.
                let _ = tokio::task::spawn_blocking(give_back).await;
            }
        }
    })
}

/// The maximum in use since memory was returned.
#[derive(Debug, Default)]
struct Peak {
    bytes: u64,
    before: u64,
    /// Checks since memory was returned after a peak; `None` when that is complete.
    looks_since: Option<u32>,
}

impl Peak {
    /// Whether to return memory: the use has fallen far and has stopped falling, or did so a few checks
    /// ago.
    fn has_passed(&mut self, bytes: u64) -> bool {
        self.bytes = self.bytes.max(bytes);
        let is_steady = bytes.saturating_add(FALL_BYTES_MIN / 4) >= self.before;
        self.before = bytes;
        let has = is_steady && self.bytes - bytes >= FALL_BYTES_MIN;
        if has {
            self.bytes = bytes;
            self.looks_since = Some(0);
            return true;
        }
        let Some(looks) = &mut self.looks_since else {
            return false;
        };
        *looks += 1;
        let once_more = ONCE_MORE_AT.contains(looks);
        if ONCE_MORE_AT.last() == Some(looks) {
            self.looks_since = None;
        }
        once_more
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the C library has it and no crate wraps it")]
fn give_back() {
    // SAFETY: it takes no pointer, and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const fn give_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_after_each_peak_and_a_little_later() {
        const MIB: u64 = 1024 * 1024;
        let mut peak = Peak::default();
        let mut look = |mib: u64| peak.has_passed(mib * MIB);
        assert!(!look(1) && !look(100) && !look(96), "no fall worth it");
        assert!(!look(50) && !look(5), "it still falls");
        assert!(look(4), "after the peak");
        let later: Vec<bool> = (0..20).map(|_| look(3)).collect();
        let at: Vec<usize> = (1..).zip(&later).filter_map(|(n, is)| is.then_some(n)).collect();
        assert_eq!(at, [2, 4, 8], "and a little later");
        assert!(!look(20) && !look(2) && look(2), "and after the next");
    }
}
