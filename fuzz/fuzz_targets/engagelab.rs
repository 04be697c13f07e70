//! An EngageLab request as anybody may write it: both generations' bodies, and the status query.
#![no_main]

use api::Limits;
use api::engagelab::status::StatusQuery;
use api::engagelab::{messages, send};
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
    if let Ok(query) = std::str::from_utf8(body) {
        let _ = StatusQuery::read(query, "user");
    }
});
