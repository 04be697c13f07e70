//! EngageLab requests with arbitrary bodies and queries of both generations, and arbitrary endpoint settings.
#![no_main]

use api::Limits;
use api::engagelab::callback::Callback;
use api::engagelab::hook::SmsHook;
use api::engagelab::labels::LabelFields;
use api::engagelab::sign_configs::SignConfigFields;
use api::engagelab::signs::SignFields;
use api::engagelab::statistics::StatisticsQuery;
use api::engagelab::status::StatusQuery;
use api::engagelab::template_configs::TemplateConfigFields;
use api::engagelab::templates::{ListTemplates, TemplateFields};
use api::engagelab::{messages, send};
use engine::webhooks::Format;
use libfuzzer_sys::fuzz_target;

/// 2026-11-22.
const NOW: i64 = 1_795_278_600_000;

fuzz_target!(|body: &[u8]| {
    let limits = Limits::default();
    let recipients = 1..=limits.engagelab_recipients_max;
    if let Ok(request) = send::read(body, &limits) {
        assert!(recipients.contains(&request.item.recipients.len()));
    }
    if let Ok(request) = messages::read(body, NOW, &limits) {
        assert!(recipients.contains(&request.item.recipients.len()));
        assert!(request.due.is_none_or(|due| due > NOW));
    }
    let _ = TemplateFields::read(body);
    let _ = SignFields::read(body);
    let _ = LabelFields::read(body);
    let _ = TemplateConfigFields::read(body);
    let _ = SignConfigFields::read(body);
    if let Ok(query) = std::str::from_utf8(body) {
        let _ = StatusQuery::read(query);
        let _ = StatisticsQuery::read(query);
        let _ = ListTemplates::read(query);
    }
    // The settings of an endpoint, arbitrary.
    if let Ok(settings) = serde_json::from_slice(body) {
        let formats: [&dyn Format; 2] = [&SmsHook, &Callback];
        for format in formats {
            let good = format.check(&settings).is_ok();
            assert!(!good || (1..=1000).contains(&format.events_max(&settings)));
        }
    }
});
