//! Counts the unverified connections of each address.

use arc_swap::ArcSwapOption;
use std::collections::{HashMap, hash_map};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
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
    /// Of these, those that are being closed and are not closed yet.
    going: AtomicUsize,
    /// A credential was verified on one of its connections; known for as long as it has any.
    known: AtomicBool,
    /// Held by the one of its TLS handshakes that stands in line.
    pub(super) handshake: tokio::sync::Mutex<()>,
    /// Bytes of requests that it has in memory, of those that came before anything was verified.
    pub(super) bytes: AtomicUsize,
    /// Likewise, of those that came after, of nobody's account.
    verified_bytes: Arc<AtomicUsize>,
}

impl Address {
    /// Unverified connections that are not being closed.
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

/// All addresses that have anything open. One lock, taken when a connection begins and when it ends; of a proxy's connection,
/// when the client of its requests changes.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    table: Mutex<HashMap<IpAddr, Entry>>,
}

/// An address, for as long as there are standings of it.
#[derive(Debug, Default)]
struct Entry {
    address: Arc<Address>,
    standings: usize,
}

impl Addresses {
    /// Counts one more connection from `address`.
    pub(super) fn open(self: &Arc<Self>, address: IpAddr) -> Arc<Standing> {
        self.standing(address, false)
    }

    /// Counts one more request of a proxy's client at `address`.
    pub(super) fn open_request(self: &Arc<Self>, address: IpAddr) -> Arc<Standing> {
        self.standing(address, true)
    }

    fn standing(self: &Arc<Self>, address: IpAddr, is_of_request: bool) -> Arc<Standing> {
        let network = network(address);
        let address = {
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = table.entry(network).or_default();
            entry.standings += 1;
            Arc::clone(&entry.address)
        };
        address.unverified.fetch_add(1, Ordering::Relaxed);
        Arc::new(Standing {
            state: AtomicU8::new(COUNTED),
            is_of_request,
            credential: AtomicU64::new(0),
            customer_bytes: ArcSwapOption::empty(),
            address,
            counted: Some((Arc::clone(self), network)),
        })
    }

    /// One standing less; an address without any is dropped.
    fn close(&self, network: IpAddr) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let hash_map::Entry::Occupied(mut entry) = table.entry(network) {
            let standings = entry.get().standings.saturating_sub(1);
            entry.get_mut().standings = standings;
            if standings == 0 {
                entry.remove();
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Nothing is verified, and it counts among what its address has open.
const COUNTED: u8 = 0;
/// A credential was verified.
const VERIFIED: u8 = 1;
/// The request has ended, and nothing was verified.
const ENDED: u8 = 2;

/// Whether a credential was verified on a connection (behind proxies: for a request), and whose it is.
#[derive(Debug)]
pub(super) struct Standing {
    state: AtomicU8,
    is_of_request: bool,
    /// The mark of the credential that was verified last; 0: none.
    credential: AtomicU64,
    /// Bytes of requests that the customer has in memory whose credential that is.
    customer_bytes: ArcSwapOption<AtomicUsize>,
    address: Arc<Address>,
    counted: Option<(Arc<Addresses>, IpAddr)>,
}

impl Standing {
    /// That of somebody whom no limit by address concerns.
    pub(super) fn uncounted(verified: bool) -> Self {
        Self {
            state: AtomicU8::new(if verified { VERIFIED } else { COUNTED }),
            is_of_request: false,
            credential: AtomicU64::new(0),
            customer_bytes: ArcSwapOption::empty(),
            address: Arc::default(),
            counted: None,
        }
    }

    pub(super) fn is_verified(&self) -> bool {
        self.state.load(Ordering::Acquire) == VERIFIED
    }

    /// Whether the client gets the resources of a verified one: large pieces are read at once, and long bodies do not wait for
    /// those of unverified clients. On a proxy's connection each request begins unverified; there it is enough that a credential
    /// was verified at the client's address lately.
    pub(super) fn is_trusted(&self) -> bool {
        self.is_verified() || self.is_of_request && self.address.is_known()
    }

    /// The mark of the credential that was verified last.
    pub(super) fn credential(&self) -> u64 {
        self.credential.load(Ordering::Relaxed)
    }

    pub(super) fn set_credential(&self, mark: u64) {
        if self.credential() != mark {
            self.credential.store(mark, Ordering::Relaxed);
        }
    }

    /// Bytes of requests in memory of whoever has shown here who he is: of his account, where one is known, from whatever
    /// address; else of his address.
    pub(super) fn verified_bytes(&self) -> Arc<AtomicUsize> {
        let of_customer = self.customer_bytes.load_full();
        of_customer.unwrap_or_else(|| Arc::clone(&self.address.verified_bytes))
    }

    /// Requests count among those of a customer from now on.
    pub(super) fn is_of_customer(&self, bytes: Arc<AtomicUsize>) {
        self.customer_bytes.store(Some(bytes));
    }

    pub(super) fn verify(&self) {
        if !self.is_verified() {
            let before = self.state.swap(VERIFIED, Ordering::AcqRel);
            self.address.known.store(true, Ordering::Relaxed);
            if before == COUNTED {
                self.uncount();
            }
        }
    }

    /// The request has ended: it counts no more.
    pub(super) fn end(&self) {
        let ended = self
            .state
            .compare_exchange(COUNTED, ENDED, Ordering::AcqRel, Ordering::Acquire);
        if ended.is_ok() {
            self.uncount();
        }
    }

    /// Counts the next request of the same address, of which nothing is known. Nobody else may hold it: whoever does speaks
    /// of the last request.
    pub(super) fn begin_again(&mut self) {
        self.end();
        self.address.unverified.fetch_add(1, Ordering::Relaxed);
        self.customer_bytes.store(None);
        *self.state.get_mut() = COUNTED;
    }

    pub(super) fn address(&self) -> &Arc<Address> {
        &self.address
    }

    /// Whether it counts where `address` does.
    pub(super) fn is_at(&self, address: IpAddr) -> bool {
        self.counted
            .as_ref()
            .is_some_and(|(_, own)| *own == network(address))
    }

    fn uncount(&self) {
        if self.counted.is_some() {
            self.address.unverified.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.end();
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
    fn an_address_counts_what_is_not_verified_and_is_dropped_with_its_last_connection() {
        let addresses = Arc::new(Addresses::default());
        let at = |address: &str| addresses.open(address.parse().unwrap());
        let (one, two, other) = (at("2001:db8::1"), at("2001:db8::2"), at("192.0.2.1"));
        assert_eq!((one.address().staying(), other.address().staying()), (2, 1));
        one.verify();
        one.verify();
        assert_eq!(two.address().staying(), 1);
        two.address().goes();
        assert_eq!(two.address().staying(), 0);
        two.address().is_gone();
        drop(one);
        assert_eq!(two.address().staying(), 1);
        assert_eq!(addresses.len(), 2);
        drop((two, other));
        assert_eq!(addresses.len(), 0);
    }

    #[test]
    fn an_address_that_something_else_still_holds_is_dropped_too() {
        let addresses = Arc::new(Addresses::default());
        let open = || addresses.open_request("192.0.2.1".parse().unwrap());
        let (one, two) = (open(), open());
        let held = [Arc::clone(one.address()), Arc::clone(two.address())];
        drop(one);
        assert_eq!((addresses.len(), held[0].staying()), (1, 1));
        drop(two);
        assert_eq!((addresses.len(), held[1].staying()), (0, 0));
    }

    #[test]
    fn addresses_that_end_concurrently_are_dropped() {
        let addresses = Arc::new(Addresses::default());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for address in [1_u8, 2].repeat(5_000) {
                        let standing = addresses.open(IpAddr::from([192, 0, 2, address]));
                        assert!(standing.address().staying() >= 1);
                    }
                });
            }
        });
        assert_eq!(addresses.len(), 0);
    }

    #[test]
    fn the_next_request_of_an_address_begins_with_nothing_verified() {
        let addresses = Arc::new(Addresses::default());
        let mut standing = addresses.open_request("2001:db8::1".parse().unwrap());
        assert!(
            standing.is_at("2001:db8::2".parse().unwrap())
                && !standing.is_at("2001:db8:1::".parse().unwrap())
        );
        assert!(!standing.is_trusted());
        standing.verify();
        standing.end();
        assert!(standing.is_verified());
        Arc::get_mut(&mut standing).unwrap().begin_again();
        assert!(!standing.is_verified() && standing.is_trusted());
        assert_eq!(standing.address().staying(), 1);
        standing.end();
        standing.end();
        assert_eq!(standing.address().staying(), 0);
        // Verified behind its end: it counts no more, and not less either.
        standing.verify();
        assert_eq!(standing.address().unverified.load(Ordering::Relaxed), 0);
        let address = Arc::clone(standing.address());
        drop(standing);
        assert_eq!(
            (addresses.len(), address.unverified.load(Ordering::Relaxed)),
            (0, 0)
        );
    }
}
