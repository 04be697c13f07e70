//! The client of a request by the headers of a proxy: `Forwarded` (RFC 7239) or `X-Forwarded-For`.
//!
//! Both list the hops of a request, the newest last; everything before the newest hop that is no trusted proxy may be made
//! up. So the client is the last hop that is none. A hop that names no address (`unknown`, `_hidden`, junk) ends the search:
//! then the client is the proxy that added it.
//!
//! A proxy adds its word behind what the client sent, on the same line or on one of its own. So lines and elements are read
//! from the last to the first, and nothing that stands before the proxy's word changes how that is read.

use super::TrustedProxies;
use http::{HeaderMap, HeaderName, HeaderValue, header};
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
    let forwarded = lines(headers, &header::FORWARDED).map(|lines| {
        let elements = lines.flat_map(Elements::of).filter(|element| !is_empty(element));
        last_untrusted(elements.map(of_element), peer, trusted)
    });
    let x_forwarded_for = lines(headers, &X_FORWARDED_FOR).map(|lines| {
        // A list of addresses and no more: a quote means nothing in it.
        let elements = lines.flat_map(|line| line.rsplit(|octet| *octet == b','));
        let hops = elements.filter(|element| !is_empty(element)).map(address);
        last_untrusted(hops, peer, trusted)
    });
    match (forwarded, x_forwarded_for) {
        (Some(one), Some(other)) if one != other => Err(Disagree),
        (one, other) => Ok(one.or(other).unwrap_or(peer)),
    }
}

/// The lines of a header, the last first; `None` without any.
fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
    let mut lines = headers.get_all(name).iter().rev().peekable();
    lines.peek()?;
    Some(lines.map(HeaderValue::as_bytes))
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

/// Empty elements of a list do not count (RFC 9110 section 5.6.1.2).
fn is_empty(element: &[u8]) -> bool {
    element.trim_ascii().is_empty()
}

/// The elements of one line of `Forwarded`, the last first.
///
/// A line is read from its end. The proxy's own element stands there and is well-formed; what the client sent stands before
/// it, and a quote that is not closed there must not reach what was appended.
struct Elements<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Elements<'a> {
    const fn of(line: &'a [u8]) -> Self {
        Self { rest: Some(line) }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let mut is_quoted = false;
        for (at, octet) in rest.iter().enumerate().rev() {
            match octet {
                // Within quotes one that follows a backslash is text (RFC 9110 section 5.6.4), unless that is text itself.
                b'"' if is_quoted => is_quoted = backslashes_before(rest, at) % 2 == 1,
                b'"' => is_quoted = true,
                b',' if !is_quoted => {
                    self.rest = rest.get(..at);
                    return rest.get(at + 1..);
                }
                _ => {}
            }
        }
        Some(rest)
    }
}

fn backslashes_before(octets: &[u8], at: usize) -> usize {
    let before = octets.get(..at).unwrap_or_default();
    before.iter().rev().take_while(|octet| **octet == b'\\').count()
}

/// Splits an element where `;` stands outside quotes.
fn pairs(element: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    element.split(move |octet| {
        match octet {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b';' => return !is_quoted,
            _ => {}
        }
        false
    })
}

/// The address of the parameter `for` of one element of `Forwarded`.
fn of_element(element: &[u8]) -> Option<IpAddr> {
    let mut named = pairs(element).filter_map(|pair| {
        let equals = pair.iter().position(|octet| *octet == b'=')?;
        let (name, value) = pair.split_at_checked(equals)?;
        let is_for = name.trim_ascii().eq_ignore_ascii_case(b"for");
        is_for.then(|| value.get(1..).unwrap_or_default().trim_ascii())
    });
    let value = named.next()?;
    // Each parameter stands once (section 4).
    if named.next().is_some() {
        return None;
    }
    let quoted = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""));
    // A backslash has no place in an address, and an IPv6 address none outside quotes.
    match quoted {
        Some(node) => address(node),
        None if value.iter().any(|octet| matches!(octet, b'[' | b':')) => None,
        None => address(value),
    }
}

/// An address as proxies write it: alone, or with a port; IPv6 in brackets or, without a port, bare.
fn address(written: &[u8]) -> Option<IpAddr> {
    let written = std::str::from_utf8(written.trim_ascii()).ok()?;
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

    #[test]
    fn a_quote_that_a_client_left_open_does_not_swallow_what_the_proxy_appends() {
        for (name, line) in [
            ("forwarded", "for=6.6.6.6;x=\", for=192.0.2.1"),
            ("forwarded", "for=6.6.6.6;x=\"\\, for=192.0.2.1"),
            ("forwarded", "\", for=192.0.2.1;host=\"a,b;for=6.6.6.6\""),
            ("forwarded", "for=\"6.6.6.6, for=\"192.0.2.1:80\""),
            ("forwarded", "x=\"a\\\", for=192.0.2.1;host=\"a\\\",\\\\\""),
            ("x-forwarded-for", "\", 192.0.2.1"),
            ("x-forwarded-for", "6.6.6.6, \"6.6.6.6, 192.0.2.1"),
            ("x-forwarded-for", "\"6.6.6.6, 192.0.2.1, 10.1.1.1"),
        ] {
            assert_eq!(client(&[(name, line)]).unwrap(), "192.0.2.1", "{line}");
        }
        // What is no text ends no line.
        let line = HeaderValue::from_bytes(b"\xff\xfe\", 192.0.2.1").unwrap();
        let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, line)]);
        let read = client_of(&headers, "10.0.0.1".parse().unwrap(), &trusted()).unwrap();
        assert_eq!(read.to_string(), "192.0.2.1");
    }

    /// What a client may send in a line of a header: any octets that HTTP allows, and often those that mean something.
    fn sent() -> impl Strategy<Value = Vec<u8>> {
        let payload = prop::sample::select(b"\"\\,;=[]: \tfor16.".to_vec());
        let octet = prop_oneof![3 => payload, 1 => any::<u8>().prop_filter("of a header", |octet| {
            HeaderValue::from_bytes(&[*octet]).is_ok()
        })];
        prop::collection::vec(octet, 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]
        #[test]
        fn whatever_a_client_sends_first_the_proxys_own_word_counts(
            sent in prop::collection::vec(sent(), 0..4),
            address: IpAddr,
            port: Option<u16>,
            host in prop::option::of("[ -~]{0,12}"),
            is_appended: bool,
        ) {
            let address = address.to_canonical();
            prop_assume!(!trusted().contains(address));
            let node = match (address, port) {
                (IpAddr::V4(_), None) => address.to_string(),
                (IpAddr::V4(_), Some(port)) => format!("\"{address}:{port}\""),
                (IpAddr::V6(_), None) => format!("\"[{address}]\""),
                (IpAddr::V6(_), Some(port)) => format!("\"[{address}]:{port}\""),
            };
            let host = host.map(|host| host.replace('\\', "\\\\").replace('"', "\\\""));
            let host = host.map(|host| format!(";host=\"{host}\"")).unwrap_or_default();
            let x = port.map_or_else(|| address.to_string(), |port| match address {
                IpAddr::V4(_) => format!("{address}:{port}"),
                IpAddr::V6(_) => format!("[{address}]:{port}"),
            });
            for (name, own) in [(header::FORWARDED, format!("for={node}{host}")), (X_FORWARDED_FOR, x)] {
                let mut lines = sent.clone();
                match lines.last_mut().filter(|_| is_appended) {
                    Some(last) => last.extend_from_slice(format!(", {own}").as_bytes()),
                    None => lines.push(own.clone().into_bytes()),
                }
                let mut headers = HeaderMap::new();
                for line in &lines {
                    headers.append(&name, HeaderValue::from_bytes(line).unwrap());
                }
                let read = client_of(&headers, "10.0.0.1".parse().unwrap(), &trusted());
                prop_assert_eq!(read, Ok(address), "{}", own);
            }
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
