//! The preamble of a connection from a trusted proxy.
#![no_main]

use api::serve::proxy::{Preamble, read_preamble};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    for begin in [&b""[..], b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"] {
        let all = [begin, octets].concat();
        let whole = read_preamble(&all);
        if let Preamble::Whole { octets, .. } = whole {
            // The preamble lies within the octets, and those after it have no effect.
            let own = all.get(..octets).unwrap_or_default();
            assert_eq!(own.len(), octets);
            assert_eq!(read_preamble(own), whole);
        }
        // A partial preamble may become anything; a complete or malformed one stays so.
        for cut in 0..all.len().min(300) {
            match read_preamble(&all[..cut]) {
                Preamble::Partial => {}
                early => assert_eq!(early, whole),
            }
        }
    }
});
