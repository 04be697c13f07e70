//! Who a connection comes from by PROXY protocol, versions 1 and 2 (HAProxy's specification,
//! `doc/proxy-protocol.txt`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a connection begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preamble {
    /// No preamble.
    None,
    /// The beginning of one; more octets are needed.
    Partial,
    /// A preamble of so many octets, with the client's address unless the proxy speaks for itself or does not know.
    Whole {
        /// Its length.
        octets: usize,
        /// The client.
        client: Option<IpAddr>,
    },
    /// A preamble that cannot be read: the connection is of no use.
    Malformed,
}

/// Longest preamble of version 1 with its line end (section 2.1).
const V1_OCTETS_MAX: usize = 107;
/// What version 2 begins with (section 2.2).
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_HEAD_OCTETS: usize = 16;
/// Longest preamble that is read. Addresses take at most 216 octets; the rest are TLVs, of which certificates' names are
/// the longest that proxies send.
pub(in crate::serve) const OCTETS_MAX: usize = 4096;

/// Reads what a connection begins with.
#[must_use]
pub fn read(octets: &[u8]) -> Preamble {
    if let Some(whole) = begins(octets, V2_SIGNATURE) {
        return if whole { v2(octets) } else { Preamble::Partial };
    }
    match begins(octets, b"PROXY ") {
        Some(true) => v1(octets),
        Some(false) => Preamble::Partial,
        None => Preamble::None,
    }
}

/// Whether octets begin with a signature: with all of it or, so far, with a part; `None` when they do not.
fn begins(octets: &[u8], signature: &[u8]) -> Option<bool> {
    if octets.starts_with(signature) {
        return Some(true);
    }
    signature.starts_with(octets).then_some(false)
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n`.
fn v1(octets: &[u8]) -> Preamble {
    let head = octets.get(..V1_OCTETS_MAX).unwrap_or(octets);
    let Some(end) = head.windows(2).position(|pair| pair == b"\r\n") else {
        return if octets.len() < V1_OCTETS_MAX {
            Preamble::Partial
        } else {
            Preamble::Malformed
        };
    };
    let line = head.get(..end).and_then(|line| std::str::from_utf8(line).ok());
    let client = line.and_then(|line| {
        let words: Vec<_> = line.split(' ').collect();
        match *words.as_slice() {
            // Whatever follows is not looked at.
            ["PROXY", "UNKNOWN", ..] => Some(None),
            ["PROXY", family, source, destination, from, to] => {
                let (source, destination): (IpAddr, IpAddr) = match family {
                    "TCP4" => (v4(source)?, v4(destination)?),
                    "TCP6" => (v6(source)?, v6(destination)?),
                    _ => return None,
                };
                let _ = destination;
                port(from).zip(port(to)).map(|_| Some(source.to_canonical()))
            }
            _ => None,
        }
    });
    match client {
        Some(client) => Preamble::Whole {
            octets: end + 2,
            client,
        },
        None => Preamble::Malformed,
    }
}

fn v4(written: &str) -> Option<IpAddr> {
    written.parse().ok().map(IpAddr::V4)
}

fn v6(written: &str) -> Option<IpAddr> {
    written.parse().ok().map(IpAddr::V6)
}

/// A port in decimal digits without zeros in front.
fn port(written: &str) -> Option<u16> {
    let port: u16 = written.parse().ok()?;
    (port.to_string() == written).then_some(port)
}

/// Version 2: signature, version and command, family and protocol, length, addresses, TLVs.
fn v2(octets: &[u8]) -> Preamble {
    let Some(&[.., command, family, high, low]) = octets.first_chunk::<V2_HEAD_OCTETS>() else {
        // What is there may be wrong already.
        let wrong = octets
            .get(V2_SIGNATURE.len())
            .is_some_and(|octet| octet >> 4 != 2);
        return if wrong {
            Preamble::Malformed
        } else {
            Preamble::Partial
        };
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let whole = V2_HEAD_OCTETS + length;
    if command >> 4 != 2 || whole > OCTETS_MAX {
        return Preamble::Malformed;
    }
    let Some(rest) = octets.get(V2_HEAD_OCTETS..whole) else {
        return Preamble::Partial;
    };
    let client = match (command & 0x0f, family >> 4, family & 0x0f) {
        // LOCAL: the proxy speaks for itself, to see whether we live. Its family is not looked at.
        (0, _, _) => None,
        // TCP over IPv4 and over IPv6: source, destination, two ports.
        (1, 1, 1) => match rest.first_chunk::<12>() {
            Some(&[a, b, c, d, ..]) => Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
            None => return Preamble::Malformed,
        },
        (1, 2, 1) => match (rest.first_chunk::<16>(), rest.get(..36)) {
            (Some(source), Some(_)) => Some(IpAddr::V6(Ipv6Addr::from(*source)).to_canonical()),
            _ => return Preamble::Malformed,
        },
        // UNSPEC, UDP, UNIX: no address of a client of ours; the connection's own counts.
        (1, 0..=3, 0..=2) => None,
        _ => return Preamble::Malformed,
    };
    Preamble::Whole {
        octets: whole,
        client,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(octets: usize, client: Option<&str>) -> Preamble {
        Preamble::Whole {
            octets,
            client: client.map(|client| client.parse().unwrap()),
        }
    }

    #[test]
    fn version_1_is_read() {
        let line = b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n";
        assert_eq!(read(line), whole(line.len(), Some("192.0.2.1")));
        let long = b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\nGET / HTTP/1.1\r\n";
        assert_eq!(read(long), whole(44, Some("2001:db8::1")));
        assert_eq!(read(b"PROXY UNKNOWN\r\n"), whole(15, None));
        assert_eq!(read(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), whole(35, None));
        for cut in 1..line.len() {
            assert_eq!(read(&line[..cut]), Preamble::Partial, "{cut}");
        }
        for wrong in [
            "PROXY TCP4 192.0.2.1 198.51.100.1 4711\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 4711 443 \r\n",
            "PROXY TCP4 2001:db8::1 198.51.100.1 4711 443\r\n",
            "PROXY TCP4 192.0.2.1 2001:db8::1 4711 443\r\n",
            "PROXY TCP6 192.0.2.1 198.51.100.1 4711 443\r\n",
            "PROXY TCP4 192.0.2.01 198.51.100.1 4711 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 0443 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 +1 443\r\n",
            "PROXY  TCP4 192.0.2.1 198.51.100.1 1 443\r\n",
            "PROXY tcp4 192.0.2.1 198.51.100.1 1 443\r\n",
            "PROXY \r\n",
        ] {
            assert_eq!(read(wrong.as_bytes()), Preamble::Malformed, "{wrong}");
        }
        let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
        assert_eq!(read(&endless), Preamble::Malformed);
        assert_eq!(read(&endless[..106]), Preamble::Partial);
    }

    fn v2_of(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [V2_SIGNATURE, &[command, family], &length, rest].concat()
    }

    #[test]
    fn version_2_is_read() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x67, 1, 187];
        assert_eq!(read(&v2_of(0x21, 0x11, &v4)), whole(28, Some("192.0.2.1")));
        // TLVs are passed over, whatever they are.
        let tlvs = [&v4[..], &[0x04, 0, 1, 0, 0xff, 0xff]].concat();
        assert_eq!(read(&v2_of(0x21, 0x11, &tlvs)), whole(34, Some("192.0.2.1")));
        let source: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let v6 = [&source.octets()[..], &[0; 20]].concat();
        assert_eq!(read(&v2_of(0x21, 0x21, &v6)), whole(52, Some("2001:db8::1")));
        assert_eq!(read(&v2_of(0x20, 0, &[])), whole(16, None), "LOCAL");
        assert_eq!(read(&v2_of(0x20, 0x11, &v4)), whole(28, None), "LOCAL");
        assert_eq!(read(&v2_of(0x21, 0, &v4)), whole(28, None), "UNSPEC");
        assert_eq!(read(&v2_of(0x21, 0x31, &[0; 216])), whole(232, None), "UNIX");
        for wrong in [
            v2_of(0x11, 0x11, &v4),
            v2_of(0x22, 0x11, &v4),
            v2_of(0x21, 0x41, &v4),
            v2_of(0x21, 0x13, &v4),
            v2_of(0x21, 0x11, &v4[..11]),
            v2_of(0x21, 0x21, &v6[..35]),
            v2_of(0x21, 0x11, &[0; OCTETS_MAX]),
        ] {
            assert_eq!(read(&wrong), Preamble::Malformed, "{:?}", &wrong[12..16]);
        }
        let good = v2_of(0x21, 0x11, &v4);
        for cut in 1..good.len() {
            assert_eq!(read(&good[..cut]), Preamble::Partial, "{cut}");
        }
    }

    #[test]
    fn requests_are_no_preambles() {
        for request in [
            "GET / HTTP/1.1\r\n",
            "POST / HTTP/1.1\r\n",
            "PROXYX",
            "\r\nGET /",
            "\x16\x03\x01",
            "proxy ",
        ] {
            assert_eq!(read(request.as_bytes()), Preamble::None, "{request}");
        }
        for begun in ["", "P", "PROXY", "\r\n"] {
            assert_eq!(read(begun.as_bytes()), Preamble::Partial, "{begun:?}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_survived_and_a_whole_preamble_lies_within_them(octets: Vec<u8>, kind in 0_u8..3) {
            let begin: &[u8] = match kind {
                0 => b"",
                1 => b"PROXY ",
                _ => V2_SIGNATURE,
            };
            let all = [begin, &octets].concat();
            if let Preamble::Whole { octets, .. } = read(&all) {
                prop_assert!(octets <= all.len());
                prop_assert_eq!(read(&all[..octets]), read(&all));
            }
        }

        #[test]
        fn what_a_proxy_writes_is_read(source: Ipv6Addr, other: Ipv4Addr, from: u16, to: u16) {
            let line = format!("PROXY TCP6 {source} ::1 {from} {to}\r\n");
            let client = IpAddr::V6(source).to_canonical().to_string();
            prop_assert_eq!(read(line.as_bytes()), whole(line.len(), Some(&client)));
            let line = format!("PROXY TCP4 {other} 192.0.2.1 {from} {to}\r\n");
            prop_assert_eq!(read(line.as_bytes()), whole(line.len(), Some(&other.to_string())));
        }
    }
}
