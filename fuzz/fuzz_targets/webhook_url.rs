//! Webhook URLs as accounts write them, and address ranges and exceptions as operators do.
#![no_main]

use engine::address_range::AddressRange;
use engine::webhooks::{Allow, check_url};
use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;

fuzz_target!(|input: (&str, &str, [u8; 16])| {
    let (url, exception, octets) = input;
    let everywhere = check_url(url, &[]);
    if let Ok(allow) = exception.parse::<Allow>() {
        // An exception survives printing and parsing, and allows no less than none.
        assert_eq!(allow.to_string().parse::<Allow>().as_ref(), Ok(&allow));
        assert!(everywhere.is_err() || check_url(url, &[allow]).is_ok());
    }
    if let Ok(range) = exception.parse::<AddressRange>() {
        assert_eq!(range.to_string().parse(), Ok(range));
        let [a, b, c, d, ..] = octets;
        for address in [IpAddr::from(octets), IpAddr::from([a, b, c, d])] {
            let other = AddressRange::read(exception).map(|range| range.contains(address));
            assert_eq!(other, Ok(range.contains(address)));
        }
    }
    // Internal addresses are rejected in every spelling.
    let last = octets[15];
    for written in [format!("127.0.0.{last}"), format!("[::ffff:10.0.0.{last}]"), format!("0x7f.{last}")] {
        assert!(check_url(&format!("http://{written}/{url}"), &[]).is_err());
    }
});
