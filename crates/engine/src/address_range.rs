//! Ranges of addresses, as settings name them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses: `10.1.0.0/16`, `2001:db8::/32`, or one address, `192.0.2.7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    address: IpAddr,
    bits: u8,
}

impl AddressRange {
    /// Reads a range that may be named by any of its addresses, such as `10.1.2.3/8`.
    ///
    /// # Errors
    /// Words for whoever wrote it, when it is neither an address nor a range.
    pub fn read(written: &str) -> Result<Self, String> {
        let written = written.trim();
        let (address, bits) = written.split_once('/').unzip();
        let address = address.unwrap_or(written);
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("{address:?} is neither an address nor a range such as \"10.0.0.0/8\""))?;
        let (_, width) = wide(address);
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= width),
            None => Some(width),
        };
        let bits = bits.ok_or_else(|| format!("a range of {address} has 0 to {width} bits"))?;
        Ok(Self { address, bits })
    }

    /// Whether an address is in it, as it is written: no IPv4 address is in a range of IPv6.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (of, width) = wide(self.address);
        let (address, address_width) = wide(address);
        let differ = u32::from(width - self.bits.min(width));
        // A shift by the whole width is none at all to the processor.
        width == address_width && (of ^ address).checked_shr(differ).unwrap_or(0) == 0
    }

    /// Whether all addresses are in it.
    #[must_use]
    pub const fn is_everybody(&self) -> bool {
        self.bits == 0
    }
}

/// An address as a number, and its width in bits.
fn wide(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (address.to_bits().into(), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// Takes a range by its first address alone: another is a slip that would name more than was meant.
impl FromStr for AddressRange {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let range = Self::read(written)?;
        let Self { address, bits } = range;
        let (number, width) = wide(address);
        let beyond = 1_u128
            .checked_shl((width - bits).into())
            .unwrap_or(0)
            .wrapping_sub(1);
        if number & beyond != 0 {
            return Err(format!(
                "{:?} is no range: {address} has bits set beyond its first {bits}",
                written.trim()
            ));
        }
        if address != address.to_canonical() {
            return Err(format!(
                "{:?}: an IPv4 address is written as one, {}",
                written.trim(),
                address.to_canonical()
            ));
        }
        Ok(range)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl TryFrom<String> for AddressRange {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        written.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        range.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_hold_what_they_name_and_no_more() {
        let range = |written: &str| written.parse::<AddressRange>();
        let holds = |of: &str, address: &str| range(of).unwrap().contains(address.parse().unwrap());
        assert!(holds("10.1.0.0/16", "10.1.255.255") && !holds("10.1.0.0/16", "10.2.0.0"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.6"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1") && !holds("2001:db8::/32", "2001:db9::"));
        assert!(!holds("::/0", "192.0.2.7") && !holds("0.0.0.0/0", "::1"));
        for wrong in [
            "",
            "x",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.1/8",
            "a.example",
            "::ffff:1.2.3.4",
        ] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
        assert!(range("10.0.0.1/8").unwrap_err().contains("beyond its first 8"));
    }

    proptest! {
        #[test]
        fn a_range_reads_as_it_is_written(address: IpAddr, bits in 0_u8..=128) {
            let (number, width) = wide(address);
            let bits = bits.min(width);
            let beyond = 1_u128.checked_shl((width - bits).into()).unwrap_or(0).wrapping_sub(1);
            let number = number & !beyond;
            let first = match address {
                IpAddr::V4(_) => IpAddr::V4(u32::try_from(number).unwrap().into()),
                IpAddr::V6(_) => IpAddr::V6(number.into()),
            };
            prop_assume!(first == first.to_canonical() && address == address.to_canonical());
            let range = AddressRange { address: first, bits };
            prop_assert_eq!(range.to_string().parse::<AddressRange>(), Ok(range));
            prop_assert!(range.contains(address) && range.contains(first));
        }

        #[test]
        fn any_text_is_read_or_refused(written in ".{0,40}") {
            let _ = written.parse::<AddressRange>();
        }
    }
}
