//! Which addresses may be called, so that no account can turn its endpoint against what is inside.

use crate::address_range::AddressRange;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use url::Host;

/// An exception for those who mean it: an address range (`10.1.0.0/16`, `::1/128`, `192.0.2.7`), or one service by
/// host and port as they stand in the URL (`hooks.internal:8080`, `[::1]:8080`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Allow {
    /// Every address of a range, on every port.
    Range(AddressRange),
    /// One service, whatever addresses its name has.
    Service {
        /// The host as a URL has it: a name in lower case, or an address (IPv6 in brackets).
        host: Box<str>,
        /// The port.
        port: u16,
    },
}

impl Allow {
    /// Whether a call to `host`, which is `address`, is meant.
    fn covers(&self, host: &str, address: SocketAddr) -> bool {
        match self {
            Self::Range(range) => range.contains(address.ip()),
            Self::Service { host: named, port } => **named == *host && *port == address.port(),
        }
    }
}

impl FromStr for Allow {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let written = written.trim();
        if written.contains('/') || written.parse::<IpAddr>().is_ok() {
            return AddressRange::read(written).map(Self::Range);
        }
        let (host, port) = written
            .rsplit_once(':')
            .ok_or_else(|| format!("{written:?} is neither an address range nor host:port"))?;
        let host = Host::parse(host).map_err(|error| format!("host {host:?}: {error}"))?;
        let port = port.parse().ok().filter(|port| *port > 0);
        Ok(Self::Service {
            host: host.to_string().into(),
            port: port.ok_or_else(|| format!("{written:?} has no port from 1 to 65535"))?,
        })
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(range) => fmt::Display::fmt(range, f),
            Self::Service { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl TryFrom<String> for Allow {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        written.parse()
    }
}

impl From<Allow> for String {
    fn from(allow: Allow) -> Self {
        allow.to_string()
    }
}

/// Whether a call may go to `address`, which is (one of the addresses of) `host`; otherwise why not.
pub(super) fn check(host: &str, address: SocketAddr, allow: &[Allow]) -> Result<(), &'static str> {
    if allow.iter().any(|allow| allow.covers(host, address)) {
        return Ok(());
    }
    if let Some(what) = inside(address.ip()) {
        return Err(what);
    }
    check_port(address.port())
}

/// Whether a call may go to a name, as far as that shows before the name is looked up: by its port, and by a name that is always
/// this machine's (RFC 6761 section 6.3).
pub(super) fn check_name(host: &str, port: u16, allow: &[Allow]) -> Result<(), &'static str> {
    let name = host.strip_suffix('.').unwrap_or(host);
    if name == "localhost" || name.ends_with(".localhost") {
        let loopback = |address: IpAddr| check(host, SocketAddr::new(address, port), allow);
        return loopback(Ipv6Addr::LOCALHOST.into()).or_else(|_| loopback(Ipv4Addr::LOCALHOST.into()));
    }
    let may_cover = |allow: &Allow| match allow {
        // Whether the name has an address in the range shows when it is looked up.
        Allow::Range(_) => true,
        Allow::Service {
            host: named,
            port: of,
        } => **named == *host && *of == port,
    };
    if allow.iter().any(may_cover) {
        return Ok(());
    }
    check_port(port)
}

/// Below 1024 live the services that something odd could be done to with a request (mail, above all).
fn check_port(port: u16) -> Result<(), &'static str> {
    if port < 1024 && !matches!(port, 80 | 443) {
        return Err("a port below 1024 other than 80 and 443");
    }
    Ok(())
}

/// What an address is when it is not one of the public internet (IANA special-purpose registries, RFC 6890 and its
/// updates); `None` when it is.
fn inside(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => inside_v4(address),
        IpAddr::V6(address) => inside_v6(address),
    }
}

fn inside_v4(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [0, ..] => "an unspecified address",
        [127, ..] => "a loopback address",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private address",
        [100, 64..=127, ..] => "a carrier-grade NAT address",
        // With 169.254.169.254, where clouds answer with credentials.
        [169, 254, ..] => "a link-local address",
        // Azure's own services, the one metadata address that looks public.
        [168, 63, 129, 16] => "a cloud's metadata address",
        [192, 0, 0, _] | [192, 88, 99, _] => "an address for protocols",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "a documentation address",
        [198, 18..=19, ..] => "a benchmarking address",
        [224..=239, ..] => "a multicast address",
        [240..=255, ..] => "a reserved address",
        _ => return None,
    })
}

fn inside_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    let embedded =
        |high: u16, low: u16| inside_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        // IPv4-mapped, and NAT64 (RFC 6052), by which networks without IPv4 reach the rest: as good as what they hold.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => embedded(high, low),
        [0xfc00..=0xfdff, ..] => Some("a unique local address"),
        [0xfe80..=0xfeff, ..] => Some("a link-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Some("a documentation address"),
        // Teredo, ORCHID, benchmarking and others: 2001::/23.
        [0x2001, 0..=0x01ff, ..] => Some("an address for protocols"),
        // ISATAP (RFC 5214 section 6.1): a tunnel's end leads to the IPv4 address in the last 32 bits, under any prefix.
        [0x2000..=0x3fff, _, _, _, 0 | 0x0200, 0x5efe, high, low] => embedded(high, low),
        [0x2000..=0x3fff, ..] => None,
        // IPv4-compatible ones, local NAT64 prefixes, and all that nobody has been given.
        _ => Some("a reserved address"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use proptest::prelude::*;

    fn refused(address: &str) -> bool {
        let ip: IpAddr = address.parse().unwrap();
        check("hooks.example", SocketAddr::new(ip, 443), &[]).is_err()
    }

    #[test]
    fn what_is_inside_is_refused_and_what_is_public_is_not() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "169.254.169.254",
            "168.63.129.16",
            "192.0.0.192",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "198.18.0.1",
            "198.19.255.255",
            "192.88.99.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.1.1.1",
            "64:ff9b:1::808:808",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001:0:1::",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "5f00::1",
            "4000::1",
            "2a00:1450::5efe:127.0.0.1",
            "2a00:1450::5efe:7f00:1",
            "2a00:1450::200:5efe:10.1.1.1",
            "2606:4700:1:2:0:5efe:169.254.169.254",
            "2606:4700:1:2:200:5efe:c0a8:101",
        ] {
            assert!(refused(address), "{address}");
        }
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:200::1",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
            "2a00:1450::5efe:1.1.1.1",
            "2a00:1450::200:5efe:1.1.1.1",
            "2a00:1450::100:5efe:10.1.1.1",
        ] {
            assert!(!refused(address), "{address}");
        }
    }

    #[test]
    fn ports_of_old_services_are_refused() {
        let at = |port| check("hooks.example", SocketAddr::new([1, 1, 1, 1].into(), port), &[]);
        for port in [0, 1, 22, 25, 79, 81, 442, 444, 587, 1023] {
            assert!(at(port).is_err(), "{port}");
        }
        for port in [80, 443, 1024, 3000, 8080, 65535] {
            assert!(at(port).is_ok(), "{port}");
        }
    }

    #[test]
    fn exceptions_cover_what_they_name_and_no_more() {
        let allow: Vec<Allow> = [
            "10.1.0.0/16",
            "192.168.7.7",
            "fd00::/8",
            "Hooks.Internal:8080",
            "[::1]:25",
        ]
        .iter()
        .map(|written| written.parse().unwrap())
        .collect();
        let at = |host: &str, ip: &str, port| {
            check(host, SocketAddr::new(ip.parse().unwrap(), port), &allow).is_ok()
        };
        assert!(at("anything", "10.1.255.255", 22));
        assert!(!at("anything", "10.2.0.0", 443));
        assert!(at("anything", "192.168.7.7", 443) && !at("anything", "192.168.7.8", 443));
        assert!(at("anything", "fdff::1", 443) && !at("anything", "fc00::1", 443));
        assert!(at("hooks.internal", "10.9.9.9", 8080) && !at("hooks.internal", "10.9.9.9", 8081));
        assert!(!at("evil.example", "10.9.9.9", 8080));
        assert!(at("[::1]", "::1", 25) && !at("[::1]", "::1", 80));
        for wrong in [
            "",
            "10.0.0.0/33",
            "::/129",
            "x/8",
            "name",
            "name:",
            "name:0",
            "name:65536",
            "a b:80",
        ] {
            assert!(wrong.parse::<Allow>().is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_embedded_counts(octets: [u8; 4]) {
            let v4 = Ipv4Addr::from(octets);
            let [a, b, c, d] = octets.map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            for v6 in [
                v4.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ] {
                prop_assert_eq!(inside(v4.into()), inside(v6.into()), "{}", v6);
            }
            prop_assert!(inside(v4.to_ipv6_compatible().into()).is_some());
        }

        #[test]
        fn an_exception_reads_as_it_is_written(address: IpAddr, bits in 0_u8..=32, port in 1_u16..) {
            let range = Allow::Range(AddressRange::read(&format!("{address}/{bits}")).unwrap());
            prop_assert_eq!(range.to_string().parse::<Allow>(), Ok(range.clone()));
            prop_assert!(range.covers("", SocketAddr::new(address, port)));
            let host = match address {
                IpAddr::V4(address) => Host::<&str>::Ipv4(address),
                IpAddr::V6(address) => Host::Ipv6(address),
            };
            let service = Allow::Service { host: host.to_string().into(), port };
            prop_assert_eq!(service.to_string().parse::<Allow>(), Ok(service));
        }

        #[test]
        fn any_text_is_read_or_refused(written in ".{0,40}") {
            let _ = written.parse::<Allow>();
        }

        #[test]
        fn an_exception_takes_nothing_away(
            url in "https?://(\\PC{0,20}|[a-z0-9.]{1,12}(:[0-9]{1,5})?)(/.{0,10})?",
            address: IpAddr,
            port in 1_u16..,
        ) {
            let exceptions = [address.to_string(), format!("{address}/8"), format!("a.example:{port}")];
            let allow: Vec<Allow> = exceptions.iter().map(|written| written.parse().unwrap()).collect();
            if super::super::check_url(&url, &[]).is_ok() {
                prop_assert_eq!(super::super::check_url(&url, &allow), Ok(()));
            }
        }

        #[test]
        fn a_url_with_an_address_goes_where_the_address_may(octets: [u8; 4], port in 1024_u16..) {
            let address = Ipv4Addr::from(octets);
            let is_inside = inside(address.into()).is_some();
            let [a, b, c, d] = octets;
            for written in [
                address.to_string(),
                address.to_bits().to_string(),
                format!("0x{:x}", address.to_bits()),
                format!("{a}.{b}.{}", u16::from_be_bytes([c, d])),
                format!("0{a:o}.0{b:o}.{c}.{d}"),
                format!("[{}]", address.to_ipv6_mapped()),
            ] {
                let url = format!("http://{written}:{port}/x");
                prop_assert_eq!(super::super::check_url(&url, &[]).is_err(), is_inside, "{}", url);
            }
        }
    }
}
