//! The memory that all requests being read may take together.
//!
//! Bytes count as they arrive: what a head announces reserves nothing. Whoever verified nothing yet has a part of the room
//! only, and one address a part of that, so that strangers cannot take the rest. Of the whole room one address has half,
//! whatever was verified there, so that no customer can take it from all others.

use super::addresses::Standing;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bounds on the bytes of requests being read, their heads beyond the first 8 KiB included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Of all of them, in bytes. Connections on which nothing was verified have three quarters of it; those of one address
    /// on which something was, half.
    pub bytes_max: usize,
    /// Of connections from one address on which nothing was verified yet, in bytes.
    pub per_address_bytes_max: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            bytes_max: 64 * 1024 * 1024,
            per_address_bytes_max: 16 * 1024 * 1024,
        }
    }
}

/// There is no room for more bytes just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The address has all that it may have.
    Address,
    /// All have.
    All,
}

/// What is in use of the room.
#[derive(Debug)]
pub(super) struct Bodies {
    limits: BodyLimits,
    in_use: AtomicUsize,
    unverified: AtomicUsize,
    /// Pieces that have arrived and wait for room.
    waiting: AtomicUsize,
    gauge: Gauge,
}

/// Pieces of bodies that may wait for room: each is in memory and not counted. One more is turned away at once.
const WAITING_MAX: usize = 256;

impl Bodies {
    pub(super) fn new(limits: BodyLimits, gauge: Gauge) -> Self {
        Self {
            limits,
            in_use: AtomicUsize::new(0),
            unverified: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            gauge,
        }
    }

    pub(super) const fn limits(&self) -> BodyLimits {
        self.limits
    }

    const fn unverified_bytes_max(&self) -> usize {
        self.limits.bytes_max / 4 * 3
    }

    const fn verified_per_address_bytes_max(&self) -> usize {
        self.limits.bytes_max / 2
    }

    /// What is much for one address.
    const fn much_bytes(&self) -> usize {
        self.limits.bytes_max / 16
    }

    /// Takes room for `bytes` more of a request, noting them in its lease.
    pub(super) fn take(&self, lease: &Lease, standing: &Arc<Standing>, bytes: usize) -> Result<(), Full> {
        let take = |from: &AtomicUsize, bytes_max: usize| {
            let before = from.fetch_add(bytes, Ordering::Relaxed);
            let fits = before.saturating_add(bytes) <= bytes_max;
            if !fits {
                from.fetch_sub(bytes, Ordering::Relaxed);
            }
            fits
        };
        let is_verified = standing.is_verified();
        let address = standing.address();
        let (of_address, of_address_max) = if is_verified {
            (&address.verified_bytes, self.verified_per_address_bytes_max())
        } else {
            (&address.bytes, self.limits.per_address_bytes_max)
        };
        if !take(of_address, of_address_max) {
            return Err(Full::Address);
        }
        if !is_verified {
            // The last of the room is for addresses that have little of it.
            let has_much = address.bytes.load(Ordering::Relaxed) > self.much_bytes();
            let all = self.unverified_bytes_max();
            if !take(&self.unverified, if has_much { all / 8 * 7 } else { all }) {
                of_address.fetch_sub(bytes, Ordering::Relaxed);
                return Err(Full::All);
            }
        }
        if !take(&self.in_use, self.limits.bytes_max) {
            of_address.fetch_sub(bytes, Ordering::Relaxed);
            if !is_verified {
                self.unverified.fetch_sub(bytes, Ordering::Relaxed);
            }
            return Err(Full::All);
        }
        lease.bytes.fetch_add(bytes, Ordering::Relaxed);
        if !is_verified {
            lease.unverified_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        self.gauge.inc_by(i64::try_from(bytes).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Gives back all that a request has.
    pub(super) fn give_back(&self, lease: &Lease, standing: &Arc<Standing>) {
        let bytes = lease.bytes.swap(0, Ordering::Relaxed);
        if bytes == 0 {
            return;
        }
        let unverified = lease.unverified_bytes.swap(0, Ordering::Relaxed);
        self.in_use.fetch_sub(bytes, Ordering::Relaxed);
        let address = standing.address();
        if unverified > 0 {
            self.unverified.fetch_sub(unverified, Ordering::Relaxed);
            address.bytes.fetch_sub(unverified, Ordering::Relaxed);
        }
        let verified = bytes.saturating_sub(unverified);
        address.verified_bytes.fetch_sub(verified, Ordering::Relaxed);
        self.gauge.dec_by(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Whether one more piece may wait for room; if so, [`Bodies::waits_no_more`] is to follow.
    pub(super) fn may_wait(&self) -> bool {
        let may = self.waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX;
        if !may {
            self.waits_no_more();
        }
        may
    }

    pub(super) fn waits_no_more(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Bytes in use.
    pub(super) fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Whether there is little room left for all.
    pub(super) fn is_scarce_for_all(&self) -> bool {
        is_scarce(&self.in_use, self.limits.bytes_max)
    }

    /// Whether there is little room left for strangers, or for all.
    pub(super) fn is_scarce(&self) -> bool {
        self.is_scarce_for_all() || is_scarce(&self.unverified, self.unverified_bytes_max())
    }

    /// Whether a connection that holds room is among those that may have to give it back: there is little left of what it
    /// has a part of.
    pub(super) fn may_give_way(&self, standing: &Standing) -> bool {
        let address = standing.address();
        if standing.is_verified() {
            let at_address = is_scarce(&address.verified_bytes, self.verified_per_address_bytes_max());
            at_address || self.is_scarce_for_all()
        } else {
            self.is_scarce() || is_scarce(&address.bytes, self.limits.per_address_bytes_max)
        }
    }

    /// Whether the address has much of what others want.
    pub(super) fn has_much(&self, standing: &Standing) -> bool {
        let address = standing.address();
        let bytes = if standing.is_verified() {
            &address.verified_bytes
        } else {
            &address.bytes
        };
        bytes.load(Ordering::Relaxed) > self.much_bytes()
    }
}

/// Whether less than a quarter is left, or less than what may arrive at once.
fn is_scarce(used: &AtomicUsize, bytes_max: usize) -> bool {
    let left = bytes_max.saturating_sub(used.load(Ordering::Relaxed));
    left < (bytes_max / 4).max(PIECE_BYTES_MAX)
}

/// What may arrive at once: the most that is read ahead of a handler, unless configured otherwise.
const PIECE_BYTES_MAX: usize = 64 * 1024;

/// What one request has of the room.
#[derive(Debug, Default)]
pub(super) struct Lease {
    bytes: AtomicUsize,
    /// Of these, those that were taken before anything was verified.
    unverified_bytes: AtomicUsize,
}

impl Lease {
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::addresses::Addresses;
    use super::*;

    fn bodies() -> Bodies {
        let limits = BodyLimits {
            bytes_max: 1000,
            per_address_bytes_max: 400,
        };
        Bodies::new(limits, Gauge::default())
    }

    #[test]
    fn strangers_have_a_part_of_the_room_and_each_address_a_part_of_that() {
        let (bodies, addresses) = (bodies(), Arc::new(Addresses::default()));
        let at = |address: &str| (addresses.open(address.parse().unwrap()), Lease::default());
        let (first, second, third) = (at("192.0.2.1"), at("192.0.2.2"), at("192.0.2.3"));
        let known = at("192.0.2.1");
        let take = |(standing, lease): &(Arc<Standing>, Lease), bytes| bodies.take(lease, standing, bytes);
        assert_eq!(take(&first, 400), Ok(()));
        assert_eq!(take(&first, 1), Err(Full::Address));
        assert_eq!(take(&second, 351), Err(Full::All), "three quarters in all");
        assert_eq!(take(&second, 250), Ok(()));
        assert_eq!(take(&second, 10), Err(Full::All), "what is left is for others");
        assert_eq!(take(&third, 60), Ok(()));
        known.0.verify();
        assert_eq!(take(&known, 291), Err(Full::All));
        assert_eq!(take(&known, 290), Ok(()), "the rest is for those who are known");
        assert_eq!(bodies.in_use(), 1000);
        // Verified on the way: what was taken before goes back to where it was taken from.
        first.0.verify();
        for (standing, lease) in [&first, &second, &third, &known] {
            bodies.give_back(lease, standing);
            bodies.give_back(lease, standing);
            assert_eq!(standing.address().bytes.load(Ordering::Relaxed), 0);
        }
        assert_eq!((bodies.in_use(), bodies.gauge.get()), (0, 0));
        assert_eq!(take(&second, 400), Ok(()));
    }

    #[test]
    fn one_address_has_half_of_the_room_whatever_was_verified_there() {
        let (bodies, addresses) = (bodies(), Arc::new(Addresses::default()));
        let known = |address: &str| {
            let standing = addresses.open(address.parse().unwrap());
            standing.verify();
            (standing, Lease::default())
        };
        let (first, second, other) = (known("192.0.2.1"), known("192.0.2.1"), known("192.0.2.2"));
        let take = |(standing, lease): &(Arc<Standing>, Lease), bytes| bodies.take(lease, standing, bytes);
        assert_eq!(take(&first, 300), Ok(()));
        assert_eq!(take(&second, 201), Err(Full::Address));
        assert_eq!(take(&second, 200), Ok(()));
        assert_eq!(take(&other, 500), Ok(()));
        let held = [&first, &second, &other];
        for (standing, lease) in held {
            bodies.give_back(lease, standing);
        }
        for (standing, _) in held {
            assert_eq!(standing.address().verified_bytes.load(Ordering::Relaxed), 0);
        }
        assert_eq!(bodies.in_use(), 0);
        assert_eq!(take(&first, 500), Ok(()));
    }
}
