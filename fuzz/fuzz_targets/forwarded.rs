//! The forwarding headers of a trusted proxy after arbitrary ones of its client: the proxy's own value is used.
#![no_main]

use api::serve::proxy::{TrustedProxies, client_of};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr};

fuzz_target!(|octets: &[u8]| {
    let Ok(sent) = HeaderValue::from_bytes(octets) else { return };
    let (peer, client) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    let Ok(range) = "127.0.0.0/8".parse() else { return };
    let trusted = TrustedProxies::new(vec![range]);
    for (name, own) in [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")] {
        let mut headers = HeaderMap::new();
        headers.append(name, sent.clone());
        assert!(client_of(&headers, peer, &trusted).is_ok());
        headers.append(name, HeaderValue::from_static(own));
        assert_eq!(client_of(&headers, peer, &trusted), Ok(client));
        let line = [octets, b", ", own.as_bytes()].concat();
        let Ok(line) = HeaderValue::from_bytes(&line) else { return };
        headers.insert(name, line);
        assert_eq!(client_of(&headers, peer, &trusted), Ok(client));
    }
});
