//! Waits until messages, receipts and events have drained.

use std::time::{Duration, Instant};

use anyhow::bail;
use sim::smsc::SmscHandle;

use crate::node::Node;
use crate::say;

/// Interval of the polls.
const POLL_EVERY: Duration = Duration::from_millis(200);

/// How many polls in a row must find nothing on its way.
const QUIET_POLLS: u32 = 10;

/// A call in the standard format is retried after five seconds, and then after five minutes. Calls that wait longer than this
/// while all else has drained are resent.
const RESEND_AFTER: Duration = Duration::from_secs(8);

/// Waits for all messages to be sent, all receipts to be acknowledged and all events to be delivered. Returns when the last
/// message was sent.
pub(crate) async fn await_quiescence(
    node: &Node,
    carriers: &[&SmscHandle],
    time_max: Duration,
) -> anyhow::Result<Instant> {
    let since = Instant::now();
    let (mut quiet_polls, mut resent) = (0, 0);
    let mut sent: Option<Instant> = None;
    let mut resent_at: Option<Instant> = None;
    while quiet_polls < QUIET_POLLS {
        tokio::time::sleep(POLL_EVERY).await;
        let metrics = node.metrics().await?;
        let (unsent, behind_s) = (metrics.unsent(), metrics.behind_s());
        let receipts: u64 = carriers.iter().map(|smsc| smsc.counts().receipts_waiting).sum();
        let calls = metrics.waiting_calls();
        if unsent + receipts == 0 {
            sent.get_or_insert_with(Instant::now);
        }
        let is_quiescent = unsent + receipts + calls == 0 && behind_s == 0.0;
        quiet_polls = if is_quiescent { quiet_polls + 1 } else { 0 };
        let only_calls = unsent + receipts == 0 && behind_s == 0.0 && calls > 0;
        let waiting_since = resent_at.or(sent).filter(|_| only_calls);
        if waiting_since.is_some_and(|since| since.elapsed() > RESEND_AFTER) {
            resent += node.resend_waiting()?;
            resent_at = Some(Instant::now());
        }
        if since.elapsed() > time_max {
            bail!(
                "not drained after {time_max:?}: {unsent} messages unsent, {receipts} receipts not acknowledged, \
                 {calls} webhook calls waiting, webhook lag {behind_s} s"
            );
        }
    }
    let sent = sent.unwrap_or(since);
    say(&format!(
        "  all messages sent after {:.1} s, all events delivered after {:.1} s; {resent} webhook calls resent",
        (sent - since).as_secs_f64(),
        since.elapsed().as_secs_f64()
    ));
    Ok(sent)
}
