//! Search for one parameter in an unparsed body of any length and kind.
#![no_main]

use api::peek::{EXACT_BYTES_MAX, any, is_readable, text};
use libfuzzer_sys::fuzz_target;

const NAME: &str = "PublicKey";

fuzz_target!(|input: (&[u8], &[u8], bool)| {
    let (body, query, long) = input;
    let filler = vec![b' '; if long { EXACT_BYTES_MAX } else { 0 }];
    for begin in [&b""[..], b"{\"a\":[", b"a=1&"] {
        let whole = [begin, &filler, body].concat();
        let mut first = None;
        // Empty values are ignored.
        let found = any(&whole, query, NAME, |value| {
            assert!(!value.is_empty());
            first = Some(value.to_owned());
            true
        });
        assert_eq!(found, first.is_some());
        assert_eq!(text(&whole, query, NAME), first);
        let _ = is_readable(&whole);
    }
});
