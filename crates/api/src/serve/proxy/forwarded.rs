//! Who a request comes from by the headers of a proxy: `Forwarded` (RFC 7239) or `X-Forwarded-For`.
//!
//! Both list the hops of a request, the newest last; everything before the newest hop that is no trusted proxy may be made
//! up. So the client is the last hop that is none. A hop that names no address (`unknown`, `_hidden`, junk) ends the search:
//! then the proxy that told of it is as far as one can see.

use super::TrustedProxies;
use http::{HeaderMap, HeaderName, header};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Hops that are looked at, from the newest on.
const HOPS_MAX: usize = 32;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// `Forwarded` and `X-Forwarded-For` of one request name different clients: one of them was sent by a client and passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disagree;

/// The client of a request that came from the trusted proxy at `peer`.
///
/// # Errors
/// When the two headers are both there and do not agree.
pub fn client_of(headers: &HeaderMap, peer: IpAddr, trusted: &TrustedProxies) -> Result<IpAddr, Disagree> {
    let named = |name, hop: fn(&str) -> Option<IpAddr>| {
        let mut lines = headers.get_all(&name).iter().rev().peekable();
        lines.peek()?;
        // What is no text is a hop of which nothing is known.
        let hops = lines.flat_map(|line| newest_first(line.to_str().unwrap_or("?")));
        Some(last_untrusted(hops.map(hop), peer, trusted))
    };
    match (
        named(header::FORWARDED, of_element),
        named(X_FORWARDED_FOR, address),
    ) {
        (Some(one), Some(other)) if one != other => Err(Disagree),
        (one, other) => Ok(one.or(other).unwrap_or(peer)),
    }
}

fn last_untrusted(
    hops: impl Iterator<Item = Option<IpAddr>>,
    peer: IpAddr,
    trusted: &TrustedProxies,
) -> IpAddr {
    let mut nearest = peer;
    for hop in hops.take(HOPS_MAX) {
        let Some(hop) = hop else { return nearest };
        nearest = hop;
        if !trusted.contains(hop) {
            return nearest;
        }
    }
    nearest
}

/// The elements of a list, without empty ones (RFC 9110 section 5.6.1.2), the last first.
fn newest_first(line: &str) -> Vec<&str> {
    let mut elements = split(line, b',');
    elements.retain(|element| !element.trim().is_empty());
    elements.reverse();
    elements
}

/// Splits where `separator` stands outside quotes (RFC 9110 section 5.6.4).
fn split(line: &str, separator: u8) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut from, mut is_quoted, mut is_escaped) = (0, false, false);
    for (at, octet) in line.bytes().enumerate() {
        match octet {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            octet if octet == separator && !is_quoted => {
                pieces.push(line.get(from..at).unwrap_or_default());
                from = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(line.get(from..).unwrap_or_default());
    pieces
}

/// The address of the parameter `for` of one element of `Forwarded`.
fn of_element(element: &str) -> Option<IpAddr> {
    let mut named = split(element, b';').into_iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let value = named.next()?;
    // Each parameter stands once (section 4).
    if named.next().is_some() {
        return None;
    }
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    // A backslash has no place in an address, and an IPv6 address none outside quotes.
    match quoted {
        Some(node) => address(node),
        None if value.contains(['[', ':']) => None,
        None => address(value),
    }
}

/// An address as proxies write it: alone, or with a port; IPv6 in brackets or, without a port, bare.
fn address(written: &str) -> Option<IpAddr> {
    let written = written.trim();
    let read = || {
        if let Some(rest) = written.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            let is_port = |port: &str| port.parse::<u16>().is_ok() || port.starts_with('_');
            let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            return address.parse::<Ipv6Addr>().ok().filter(|_| fits).map(IpAddr::V6);
        }
        if let Ok(address) = written.parse::<IpAddr>() {
            return Some(address);
        }
        if let Ok(SocketAddr::V4(address)) = written.parse::<SocketAddr>() {
            return Some(IpAddr::V4(*address.ip()));
        }
        // A port may be hidden as well (RFC 7239 section 6.3).
        let (address, port) = written.split_once(":_")?;
        let is_hidden = port
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        address.parse().ok().filter(|_| is_hidden).map(IpAddr::V4)
    };
    read().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn trusted() -> TrustedProxies {
        TrustedProxies::new(vec![
            "10.0.0.0/8".parse().unwrap(),
            "2001:db8:1::/48".parse().unwrap(),
        ])
    }

    fn client(lines: &[(&'static str, &str)]) -> Result<String, Disagree> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        client_of(&headers, "10.0.0.1".parse().unwrap(), &trusted()).map(|address| address.to_string())
    }

    #[test]
    fn the_last_hop_that_is_no_trusted_proxy_is_the_client() {
        for (line, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            (" 192.0.2.1\t", "192.0.2.1"),
            ("198.51.100.9, 192.0.2.1", "192.0.2.1"),
            ("198.51.100.9, 192.0.2.1, 10.2.3.4, 10.0.0.9", "192.0.2.1"),
            ("junk, 192.0.2.1,, , 10.2.3.4,", "192.0.2.1"),
            ("192.0.2.1, junk", "10.0.0.1"),
            ("192.0.2.1, unknown, 10.2.3.4", "10.2.3.4"),
            ("10.2.3.4", "10.2.3.4"),
            ("", "10.0.0.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("2001:db8::7, 2001:db8:1::2", "2001:db8::7"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:99999", "10.0.0.1"),
            ("[192.0.2.1]", "10.0.0.1"),
            ("192.0.2", "10.0.0.1"),
            ("\u{ff11}92.0.2.1", "10.0.0.1"),
        ] {
            assert_eq!(client(&[("x-forwarded-for", line)]).unwrap(), expected, "{line}");
        }
        // Several lines are one list (RFC 9110 section 5.3).
        let lines = [
            ("x-forwarded-for", "198.51.100.9"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-for", "10.1.1.1"),
        ];
        assert_eq!(client(&lines).unwrap(), "192.0.2.1");
        assert_eq!(client(&[]).unwrap(), "10.0.0.1", "a proxy's own request");
    }

    #[test]
    fn forwarded_is_read_as_its_standard_writes_it() {
        for (line, expected) in [
            ("for=192.0.2.43", "192.0.2.43"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("proto=https; FOR = 192.0.2.60 ;host=\"a,b\"", "192.0.2.60"),
            ("for=198.51.100.17, for=192.0.2.43", "192.0.2.43"),
            ("for=192.0.2.43, for=\"10.0.0.7:80\"", "192.0.2.43"),
            ("for=192.0.2.43,for=_hidden", "10.0.0.1"),
            ("for=\"_SEVKISEK\"", "10.0.0.1"),
            ("for=unknown", "10.0.0.1"),
            ("for=\"192.0.2.43:_port\"", "192.0.2.43"),
            ("for=\"[2001:db8::1]:_p\"", "2001:db8::1"),
            ("for=[2001:db8::1]", "10.0.0.1"),
            ("for=192.0.2.43;for=192.0.2.44", "10.0.0.1"),
            ("for=192.0.2.43, by=10.0.0.7", "10.0.0.1"),
            ("host=\"x, for=198.51.100.1\";for=192.0.2.43", "192.0.2.43"),
            ("host=\"x\\\", for=198.51.100.1\";for=192.0.2.43", "192.0.2.43"),
            ("host=\"x;for=198.51.100.1\";for=192.0.2.43", "192.0.2.43"),
            ("for=\"192.0.2.43", "10.0.0.1"),
        ] {
            assert_eq!(client(&[("forwarded", line)]).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn two_headers_have_to_agree() {
        let both = |forwarded: &str, x: &str| client(&[("forwarded", forwarded), ("x-forwarded-for", x)]);
        assert_eq!(both("for=192.0.2.1", "192.0.2.1").unwrap(), "192.0.2.1");
        assert_eq!(
            both("for=192.0.2.1, for=10.1.1.1", "192.0.2.1").unwrap(),
            "192.0.2.1"
        );
        assert_eq!(both("for=198.51.100.1", "192.0.2.1"), Err(Disagree));
        assert_eq!(both("for=unknown", "192.0.2.1"), Err(Disagree));
    }

    #[test]
    fn a_list_without_end_is_not_followed() {
        let hops = "10.1.1.1, ".repeat(HOPS_MAX);
        assert_eq!(
            client(&[("x-forwarded-for", &format!("192.0.2.1, {hops}"))]).unwrap(),
            "10.1.1.1"
        );
        let hops = "10.1.1.1, ".repeat(HOPS_MAX - 1);
        assert_eq!(
            client(&[("x-forwarded-for", &format!("192.0.2.1, {hops}"))]).unwrap(),
            "192.0.2.1"
        );
    }

    proptest! {
        #[test]
        fn whatever_a_client_sends_first_the_proxys_own_word_counts(sent in "[ -~]{0,60}", address: IpAddr) {
            let address = address.to_canonical();
            prop_assume!(!trusted().contains(address));
            let sent = sent.replace('"', "'");
            let x = client(&[("x-forwarded-for", &format!("{sent}, {address}"))]).unwrap();
            prop_assert_eq!(x, address.to_string());
            let node = match address {
                IpAddr::V4(_) => address.to_string(),
                IpAddr::V6(_) => format!("\"[{address}]\""),
            };
            let lines = [("forwarded", sent.as_str()), ("forwarded", &format!("for={node}"))];
            prop_assert_eq!(client(&lines).unwrap(), address.to_string());
        }

        #[test]
        fn any_header_is_survived(octets: Vec<u8>) {
            if let Ok(value) = HeaderValue::from_bytes(&octets) {
                for name in ["forwarded", "x-forwarded-for"] {
                    let mut headers = HeaderMap::new();
                    headers.append(name, value.clone());
                    let peer = "10.0.0.1".parse().unwrap();
                    prop_assert!(client_of(&headers, peer, &trusted()).is_ok());
                }
            }
        }
    }
}
