//! Catalog changes that this process has committed and not applied in memory yet, so that they need not be read from the
//! store.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::CatalogChange;

/// Changes kept at most: beyond that the catalog is read as a whole.
const CHANGES_MAX: usize = 1_000;

/// Changes by the version that they made.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    made: Mutex<BTreeMap<u64, Vec<CatalogChange>>>,
    under_way: AtomicUsize,
}

/// A change that is being committed.
#[derive(Debug)]
pub(crate) struct UnderWay<'c>(&'c Changes);

impl Changes {
    /// Begins a change.
    pub(crate) fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        UnderWay(self)
    }

    /// Removes and returns the changes of a version; older ones are dropped.
    pub(crate) fn take(&self, version: u64) -> Option<Vec<CatalogChange>> {
        let mut made = self.made.lock();
        *made = made.split_off(&version);
        made.remove(&version)
    }

    /// Whether others are being made.
    pub(crate) fn are_under_way(&self) -> bool {
        self.under_way.load(Ordering::SeqCst) > 0
    }
}

impl UnderWay<'_> {
    /// It has made a version.
    pub(crate) fn made(self, version: u64, changes: Vec<CatalogChange>) {
        let mut made = self.0.made.lock();
        if made.len() < CHANGES_MAX {
            made.insert(version, changes);
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}
