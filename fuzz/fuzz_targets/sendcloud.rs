//! A SendCloud request as anybody may write it: parameters, signature, every interface that reads them.
#![no_main]

use api::Limits;
use api::sendcloud::auth::Signature;
use api::sendcloud::params::Params;
use api::sendcloud::status::StatusQuery;
use api::sendcloud::wire;
use libfuzzer_sys::fuzz_target;

/// 2026-11-22.
const NOW: i64 = 1_795_278_600_000;

fuzz_target!(|form: &[u8]| {
    let Ok(params) = Params::read(None, form) else { return };
    if let Some(signature) = params.get("signature").and_then(Signature::read) {
        let _ = signature.fits(&params, "key");
    }
    let limits = Limits::default();
    for read in [wire::read_send, wire::read_sendx, wire::read_send_code, wire::read_send_voice] {
        if let Ok(request) = read(&params, &limits) {
            assert!((1..=limits.sendcloud_recipients_max).contains(&request.item.recipients.len()));
        }
    }
    let _ = StatusQuery::read(&params, NOW);
});
