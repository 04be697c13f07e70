//! Who a request comes from, as far as the listener knows.

use http::Extensions;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where a request comes from, and whether a credential was verified there. The listener puts one into the extensions of
/// every request; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    address: IpAddr,
    verified: Arc<AtomicBool>,
}

impl Client {
    /// Somebody at `address` of whom nothing is known yet.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self {
            address: address.to_canonical(),
            verified: Arc::default(),
        }
    }

    /// The one in a request's extensions; without a listener (a router called by itself), somebody at the unspecified
    /// address.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        extensions
            .get()
            .cloned()
            .unwrap_or_else(|| Self::new(Ipv4Addr::UNSPECIFIED.into()))
    }

    /// The client's address; behind trusted proxies the one they name. An IPv4 address is never written as IPv6.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// What limits by address count by: see [`network`].
    #[must_use]
    pub fn network(&self) -> IpAddr {
        network(self.address)
    }

    /// A credential was verified: from now on limits by address do not apply to this connection (behind a proxy that names
    /// its clients in headers, to this request). Costs one store; calling it again is fine.
    pub fn verified(&self) {
        if !self.is_verified() {
            self.verified.store(true, Ordering::Release);
        }
    }

    /// Whether a credential was verified here before.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.verified.load(Ordering::Acquire)
    }
}

/// The unit by which limits count addresses: an IPv4 address, or the first 64 bits of an IPv6 one, for whoever has one
/// address there has all of them.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
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
            let client = Client::new(address.parse().unwrap());
            assert_eq!(
                client.network(),
                counted_as.parse::<IpAddr>().unwrap(),
                "{address}"
            );
        }
        let mapped = Client::new("::ffff:192.0.2.7".parse().unwrap());
        assert_eq!(mapped.address(), "192.0.2.7".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn what_was_verified_once_is_known_to_all_of_its_handles() {
        let mut extensions = Extensions::new();
        assert_eq!(
            Client::of(&extensions).address(),
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        );
        extensions.insert(Client::new("192.0.2.7".parse().unwrap()));
        let one = Client::of(&extensions);
        assert!(!one.is_verified());
        one.verified();
        assert!(Client::of(&extensions).is_verified());
    }
}
