//! Which proxies are believed.

use engine::address_range::AddressRange;
use std::net::IpAddr;

/// The proxies that are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<AddressRange>);

impl TrustedProxies {
    /// Those in any of the ranges.
    #[must_use]
    pub const fn new(ranges: Vec<AddressRange>) -> Self {
        Self(ranges)
    }

    /// Whether one is at this address. An IPv4 address is the same when it is written as IPv6.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_is_the_same_when_it_is_written_as_ipv6() {
        let holds = |of: &str, address: &str| {
            TrustedProxies::new(vec![of.parse().unwrap()]).contains(address.parse().unwrap())
        };
        assert!(holds("192.0.2.7", "::ffff:192.0.2.7"));
        assert!(!holds("::/0", "192.0.2.7") && !holds("0.0.0.0/0", "::1"));
        assert!(!holds("::/8", "::ffff:192.0.2.7"));
    }
}
