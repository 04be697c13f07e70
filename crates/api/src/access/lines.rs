//! Lines in which requests wait for their turn: first come, first served.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Mutex as Front, MutexGuard};

/// All lines in which somebody waits, by mark.
#[derive(Debug, Default)]
pub(super) struct Lines {
    by_mark: Mutex<HashMap<u64, Waiting>>,
    /// How many there are: looked at without the lock.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Waiting {
    places: usize,
    /// Held by the first of the line. Fair: the next is the one that has waited longest.
    front: Arc<Front<()>>,
}

/// A place in a line; dropped, it is left.
#[derive(Debug)]
pub(super) struct Place<'l> {
    lines: &'l Lines,
    mark: u64,
    front: Arc<Front<()>>,
}

impl Lines {
    /// Whether somebody waits there.
    pub(super) fn is_joined(&self, mark: u64) -> bool {
        self.count.load(Ordering::Relaxed) > 0 && self.lock().contains_key(&mark)
    }

    /// A place in a line; `None` when `places_max` are taken.
    pub(super) fn join(&self, mark: u64, places_max: usize) -> Option<Place<'_>> {
        let mut by_mark = self.lock();
        if by_mark.get(&mark).map_or(0, |line| line.places) >= places_max {
            return None;
        }
        let line = by_mark.entry(mark).or_default();
        line.places += 1;
        let front = Arc::clone(&line.front);
        self.count.store(by_mark.len(), Ordering::Relaxed);
        Some(Place {
            lines: self,
            mark,
            front,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Waiting>> {
        self.by_mark.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Waits until this place is the first of its line. Cancel safe.
    pub(super) async fn first(&self) -> MutexGuard<'_, ()> {
        self.front.lock().await
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut by_mark = self.lines.lock();
        if let Some(line) = by_mark.get_mut(&self.mark) {
            line.places -= 1;
            if line.places == 0 {
                by_mark.remove(&self.mark);
            }
        }
        self.lines.count.store(by_mark.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn a_line_has_so_many_places_and_is_served_in_order() {
        let lines = Lines::default();
        assert!(!lines.is_joined(1));
        let (first, second) = (lines.join(1, 2).unwrap(), lines.join(1, 2).unwrap());
        assert!(lines.join(1, 2).is_none(), "no place");
        assert!(lines.join(2, 2).is_some(), "another line");
        let front = first.first().await;
        let mut next = Box::pin(second.first());
        assert!(next.as_mut().now_or_never().is_none());
        drop(front);
        assert!(next.as_mut().now_or_never().is_some());
        drop(next);
        drop((first, second));
        assert!(!lines.is_joined(1) && lines.lock().is_empty());
    }
}
