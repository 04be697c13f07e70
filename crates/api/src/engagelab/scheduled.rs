//! Messages that generation C has scheduled: its plans.

use super::codes::ApiError;
use super::manage::{Call, store_failed_c};
use super::messages::SCHEDULE_AHEAD_S_MAX;
use engine::sms::state::MessageState;
use engine::{Dialect, StatisticsFilter};

/// A schedule reaches thirty days ahead; what waits a day longer waits for a carrier that is gone.
const LOOKED_BACK_MS: i64 = (SCHEDULE_AHEAD_S_MAX + 24 * 3600) * 1000;
/// What is accepted in this very hour counts.
const HOUR_MS: i64 = 3_600_000;

/// Whether a message of generation C with one of these templates is still queued. Reads the counters, which costs the same
/// however many messages there are. It is a courtesy, not a lock: a queued message carries its text.
pub(super) async fn any_pending(call: &Call<'_>, templates: Vec<i64>) -> Result<bool, ApiError> {
    if templates.is_empty() {
        return Ok(false);
    }
    let now = call.now();
    let filter = StatisticsFilter {
        from: now - LOOKED_BACK_MS,
        until: now + HOUR_MS,
        offset_minutes: 0,
        users: Vec::new(),
        dialects: vec![Dialect::EngagelabC],
        templates,
        labels: Vec::new(),
        kind: None,
    };
    let counted = call.engine().statistics(call.account(), filter).await;
    let counted = counted.map_err(|error| store_failed_c(&error))?;
    Ok(counted
        .iter()
        .any(|counter| counter.state == MessageState::Queued && counter.messages > 0))
}
