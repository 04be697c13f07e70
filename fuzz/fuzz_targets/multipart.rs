//! Arbitrary multipart forms: read or refused, and the fields keep the bounds of all requests.
#![no_main]

use api::sendcloud::params::{Form, PARAMS_MAX, Params};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8])| {
    let (query, body) = input;
    // A regular boundary, and one that the input can hit in a few octets.
    for (boundary, begin) in [
        ("b", &b""[..]),
        ("b", b"--b\r\nContent-Disposition: form-data; name=\"smsUser\"\r\n\r\n"),
    ] {
        let whole = [begin, body, b"\r\n--b--\r\n"].concat();
        for body in [&whole[..], body] {
            let form = Form::Multipart {
                boundary: boundary.to_owned(),
                bytes_max: 1000,
                body: Bytes::copy_from_slice(body),
            };
            if let Ok(params) = Params::read_form(Some(query), &form) {
                assert!(params.iter().count() <= PARAMS_MAX);
            }
        }
    }
});
