//! What each address has open on which nothing was verified yet.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The unit by which limits count addresses: an IPv4 address, or the first 64 bits of an IPv6 one, for whoever has one
/// address there has all of them.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// What one address (see [`network`]) has.
#[derive(Debug, Default)]
pub(super) struct Address {
    /// Connections on which nothing was verified yet.
    unverified: AtomicUsize,
    /// Of these, those that were told to go and are not gone yet.
    going: AtomicUsize,
    /// A credential was verified on one of its connections; known for as long as it has any.
    known: AtomicBool,
    /// Held by the one of its TLS handshakes that stands in line.
    pub(super) handshake: tokio::sync::Mutex<()>,
    /// Bytes of requests that it has in memory.
    pub(super) bytes: AtomicUsize,
}

impl Address {
    /// Connections on which nothing was verified yet and that were not told to go.
    pub(super) fn staying(&self) -> usize {
        self.unverified
            .load(Ordering::Relaxed)
            .saturating_sub(self.going.load(Ordering::Relaxed))
    }

    /// Whether a credential was verified there.
    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    pub(super) fn goes(&self) {
        self.going.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_gone(&self) {
        self.going.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All addresses that have anything open. One lock, taken when a connection begins and when it ends.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    table: Mutex<HashMap<IpAddr, Arc<Address>>>,
    /// Connections of all addresses on which nothing was verified yet.
    pub(super) unverified: AtomicUsize,
}

impl Addresses {
    /// Counts one more connection (or request of a proxy's client) from `address`.
    pub(super) fn open(self: &Arc<Self>, address: IpAddr) -> Arc<Standing> {
        let network = network(address);
        let address = {
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            let address = table.entry(network).or_default();
            // Under the lock: whoever forgets an address looks at this under it.
            address.unverified.fetch_add(1, Ordering::Relaxed);
            Arc::clone(address)
        };
        self.unverified.fetch_add(1, Ordering::Relaxed);
        Arc::new(Standing {
            verified: AtomicBool::new(false),
            address,
            counted: Some((Arc::clone(self), network)),
        })
    }

    /// Forgets an address that has nothing any more.
    fn close(&self, network: IpAddr) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        // The table's own and that of the standing which is being dropped.
        if table
            .get(&network)
            .is_some_and(|address| Arc::strong_count(address) <= 2)
        {
            table.remove(&network);
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Whether a credential was verified on a connection (behind proxies: for a request), and whose it is.
#[derive(Debug)]
pub(super) struct Standing {
    verified: AtomicBool,
    address: Arc<Address>,
    counted: Option<(Arc<Addresses>, IpAddr)>,
}

impl Standing {
    /// That of somebody whom no limit by address concerns.
    pub(super) fn uncounted(verified: bool) -> Self {
        Self {
            verified: AtomicBool::new(verified),
            address: Arc::default(),
            counted: None,
        }
    }

    pub(super) fn is_verified(&self) -> bool {
        self.verified.load(Ordering::Acquire)
    }

    pub(super) fn verify(&self) {
        if !self.is_verified() && !self.verified.swap(true, Ordering::AcqRel) {
            self.address.known.store(true, Ordering::Relaxed);
            self.uncount();
        }
    }

    pub(super) fn address(&self) -> &Arc<Address> {
        &self.address
    }

    fn uncount(&self) {
        if let Some((addresses, _)) = &self.counted {
            self.address.unverified.fetch_sub(1, Ordering::Relaxed);
            addresses.unverified.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        if !self.is_verified() {
            self.uncount();
        }
        if let Some((addresses, network)) = &self.counted {
            addresses.close(*network);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_count_by_address_and_for_ipv6_by_64_bits() {
        for (address, counted_as) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
            ("2001:db8:1:3::", "2001:db8:1:3::"),
        ] {
            let counted_as: IpAddr = counted_as.parse().unwrap();
            assert_eq!(network(address.parse().unwrap()), counted_as, "{address}");
        }
    }

    #[test]
    fn an_address_counts_what_is_not_verified_and_is_forgotten_with_its_last_connection() {
        let addresses = Arc::new(Addresses::default());
        let at = |address: &str| addresses.open(address.parse().unwrap());
        let (one, two, other) = (at("2001:db8::1"), at("2001:db8::2"), at("192.0.2.1"));
        assert_eq!((one.address().staying(), other.address().staying()), (2, 1));
        one.verify();
        one.verify();
        assert_eq!(two.address().staying(), 1);
        assert_eq!(addresses.unverified.load(Ordering::Relaxed), 2);
        two.address().goes();
        assert_eq!(two.address().staying(), 0);
        two.address().is_gone();
        drop(one);
        assert_eq!(two.address().staying(), 1);
        assert_eq!(addresses.len(), 2);
        drop((two, other));
        assert_eq!(addresses.len(), 0);
        assert_eq!(addresses.unverified.load(Ordering::Relaxed), 0);
    }
}
