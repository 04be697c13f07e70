//! Arbitrary SendCloud requests: parameters, signature, every interface that reads them.
#![no_main]

use api::Limits;
use api::sendcloud::auth::Signature;
use api::sendcloud::contacts::ListFields;
use api::sendcloud::hook::SmsHook;
use api::sendcloud::labels::LabelFields;
use api::sendcloud::members::MemberFields;
use api::sendcloud::params::Params;
use api::sendcloud::signatures::SignatureFields;
use api::sendcloud::statistics::StatisticsQuery;
use api::sendcloud::status::StatusQuery;
use api::sendcloud::tasks::TaskFields;
use api::sendcloud::templates::{ListTemplates, TemplateFields};
use api::sendcloud::wire;
use engine::webhooks::Format;
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
    let _ = StatisticsQuery::read(&params, NOW);
    let _ = ListTemplates::read(&params);
    let _ = TemplateFields::read(&params);
    let _ = SignatureFields::read(&params);
    let _ = LabelFields::read(&params);
    let _ = ListFields::read(&params, false);
    let _ = ListFields::read(&params, true);
    let _ = MemberFields::read_one(&params);
    let _ = MemberFields::read_many(&params);
    let _ = TaskFields::read(&params, NOW);
    // The settings of an endpoint, arbitrary.
    if let Some(settings) = params.get("vars").and_then(|vars| serde_json::from_str(vars).ok()) {
        let good = SmsHook.check(&settings).is_ok();
        assert!(!good || !SmsHook.schedule(&settings).waits.is_empty());
    }
});
