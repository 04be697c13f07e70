//! The memory that all requests that are being read may take together.
//!
//! Bytes count as they arrive: a declared length reserves nothing. Unverified clients have only a part of the room, and one
//! address a part of that, so that they cannot take the rest. One customer has at most half of the whole room, from whatever
//! addresses, so that none can take it from all others; customers at one address have half each.

use super::addresses::Standing;
use engine::AccountId;
use prometheus_client::metrics::gauge::Gauge;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bounds on the bytes of requests being read, their heads beyond the first 8 KiB included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Of all of them, in bytes. Connections on which nothing was verified have three quarters of it; those of one account,
    /// half.
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
    /// The address, or the customer, has all that it may have.
    Part,
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
    /// Bytes in use, by account. Entries are never removed: there are as many as accounts with a verified credential.
    customers: Mutex<HashMap<AccountId, Arc<AtomicUsize>>>,
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
            customers: Mutex::default(),
            gauge,
        }
    }

    pub(super) const fn limits(&self) -> BodyLimits {
        self.limits
    }

    const fn unverified_bytes_max(&self) -> usize {
        self.limits.bytes_max / 4 * 3
    }

    /// Where bytes of an account's requests are counted.
    pub(super) fn of_customer(&self, account: AccountId) -> Arc<AtomicUsize> {
        let mut customers = self.customers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(customers.entry(account).or_default())
    }

    const fn per_customer_bytes_max(&self) -> usize {
        self.limits.bytes_max / 2
    }

    /// What is much for one address, or one customer.
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
        let customer = is_verified.then(|| lease.verified_bytes(standing));
        let (part, part_max) = match &customer {
            Some(customer) => (&**customer, self.per_customer_bytes_max()),
            None => (&address.bytes, self.limits.per_address_bytes_max),
        };
        if !take(part, part_max) {
            return Err(Full::Part);
        }
        if !is_verified {
            // The last of the room is for addresses that have little of it.
            let has_much = address.bytes.load(Ordering::Relaxed) > self.much_bytes();
            let all = self.unverified_bytes_max();
            if !take(&self.unverified, if has_much { all / 8 * 7 } else { all }) {
                part.fetch_sub(bytes, Ordering::Relaxed);
                return Err(Full::All);
            }
        }
        if !take(&self.in_use, self.limits.bytes_max) {
            part.fetch_sub(bytes, Ordering::Relaxed);
            if !is_verified {
                self.unverified.fetch_sub(bytes, Ordering::Relaxed);
            }
            return Err(Full::All);
        }
        lease.bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(customer) = customer {
            *lease.customer() = Some(customer);
        } else {
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
        if let Some(customer) = lease.customer().take() {
            customer.fetch_sub(bytes.saturating_sub(unverified), Ordering::Relaxed);
        }
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

    /// Whether there is little room left for unverified clients, or for all.
    pub(super) fn is_scarce(&self) -> bool {
        self.is_scarce_for_all() || is_scarce(&self.unverified, self.unverified_bytes_max())
    }

    /// Whether a connection that holds room is among those that may have to give it back: there is little left of what it
    /// has a part of.
    pub(super) fn may_be_closed(&self, standing: &Standing) -> bool {
        let address = standing.address();
        if standing.is_verified() {
            let for_customer = is_scarce(&standing.verified_bytes(), self.per_customer_bytes_max());
            for_customer || self.is_scarce_for_all()
        } else {
            self.is_scarce() || is_scarce(&address.bytes, self.limits.per_address_bytes_max)
        }
    }

    /// Whether the address, or the customer, has much of what others want.
    pub(super) fn has_much(&self, standing: &Standing) -> bool {
        let bytes = if standing.is_verified() {
            standing.verified_bytes().load(Ordering::Relaxed)
        } else {
            standing.address().bytes.load(Ordering::Relaxed)
        };
        bytes > self.much_bytes()
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
    /// Where the others are counted. A request counts in one place, whoever else shows a credential meanwhile.
    customer: Mutex<Option<Arc<AtomicUsize>>>,
}

impl Lease {
    fn customer(&self) -> MutexGuard<'_, Option<Arc<AtomicUsize>>> {
        self.customer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where bytes that come now are counted.
    fn verified_bytes(&self, standing: &Standing) -> Arc<AtomicUsize> {
        let so_far = self.customer().clone();
        so_far.unwrap_or_else(|| standing.verified_bytes())
    }

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
    fn unverified_clients_have_a_part_of_the_room_and_each_address_a_part_of_that() {
        let (bodies, addresses) = (bodies(), Arc::new(Addresses::default()));
        let at = |address: &str| (addresses.open(address.parse().unwrap()), Lease::default());
        let (first, second, third) = (at("192.0.2.1"), at("192.0.2.2"), at("192.0.2.3"));
        let known = at("192.0.2.1");
        let take = |(standing, lease): &(Arc<Standing>, Lease), bytes| bodies.take(lease, standing, bytes);
        assert_eq!(take(&first, 400), Ok(()));
        assert_eq!(take(&first, 1), Err(Full::Part));
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

    /// A connection from `address` on which a credential of an account was verified; of none when that is gone already.
    fn known(
        bodies: &Bodies,
        addresses: &Arc<Addresses>,
        address: &str,
        account: Option<u32>,
    ) -> (Arc<Standing>, Lease) {
        let standing = addresses.open(address.parse().unwrap());
        standing.verify();
        if let Some(account) = account {
            standing.is_of_customer(bodies.of_customer(AccountId(account)));
        }
        (standing, Lease::default())
    }

    #[test]
    fn a_customer_has_half_of_the_room_from_all_addresses_and_another_at_the_same_address_his_own() {
        let bodies = bodies();
        let addresses = Arc::new(Addresses::default());
        let known = |address, account| known(&bodies, &addresses, address, account);
        let take = |(standing, lease): &(Arc<Standing>, Lease), bytes| bodies.take(lease, standing, bytes);
        for (here, there, other) in [
            (Some(1), Some(1), Some(2)),
            // Without an account, the address counts.
            (None, None, Some(2)),
        ] {
            let elsewhere = if here.is_some() { "192.0.2.2" } else { "192.0.2.1" };
            let first = known("192.0.2.1", here);
            let second = known(elsewhere, there);
            let other = known("192.0.2.1", other);
            assert_eq!(take(&first, 300), Ok(()));
            assert_eq!(take(&second, 201), Err(Full::Part));
            assert_eq!(take(&second, 200), Ok(()));
            assert!(bodies.has_much(&first.0) && bodies.may_be_closed(&second.0));
            assert!(!bodies.has_much(&other.0));
            assert_eq!(take(&other, 500), Ok(()));
            let held = [&first, &second, &other];
            for (standing, lease) in held {
                bodies.give_back(lease, standing);
            }
            for (standing, _) in held {
                assert_eq!(standing.verified_bytes().load(Ordering::Relaxed), 0);
            }
            assert_eq!(bodies.in_use(), 0);
        }
    }

    #[test]
    fn a_request_counts_in_one_place_whoever_else_shows_a_credential_meanwhile() {
        let bodies = bodies();
        let addresses = Arc::new(Addresses::default());
        let (standing, lease) = known(&bodies, &addresses, "192.0.2.1", Some(1));
        let in_use = |account| bodies.of_customer(AccountId(account)).load(Ordering::Relaxed);
        bodies.take(&lease, &standing, 100).unwrap();
        standing.is_of_customer(bodies.of_customer(AccountId(2)));
        bodies.take(&lease, &standing, 50).unwrap();
        assert_eq!((in_use(1), in_use(2)), (150, 0));
        bodies.give_back(&lease, &standing);
        bodies.take(&lease, &standing, 70).unwrap();
        assert_eq!((in_use(1), in_use(2)), (0, 70));
        bodies.give_back(&lease, &standing);
        assert_eq!((in_use(1), in_use(2), bodies.in_use()), (0, 0, 0));
    }
}
