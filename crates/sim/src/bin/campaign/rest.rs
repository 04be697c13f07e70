//! Waits until nothing is on its way any more: messages, receipts, events.

use std::time::{Duration, Instant};

use anyhow::bail;
use sim::smsc::SmscHandle;

use crate::node::Node;
use crate::say;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How often in a row nothing must be on its way.
const CALM_LOOKS: u32 = 10;

/// The standard webhook is tried again after five seconds, and then after five minutes. Calls that wait longer than this
/// while all else is at rest are asked for by hand.
const RESEND_AFTER: Duration = Duration::from_secs(8);

/// Waits for all messages to be sent, all receipts to be acknowledged and all events to be told. When all was sent.
pub(crate) async fn rest(
    node: &Node,
    carriers: &[&SmscHandle],
    time_max: Duration,
) -> anyhow::Result<Instant> {
    let since = Instant::now();
    let (mut calm, mut resent) = (0, 0);
    let mut sent: Option<Instant> = None;
    let mut asked: Option<Instant> = None;
    while calm < CALM_LOOKS {
        tokio::time::sleep(LOOK_EVERY).await;
        let metrics = node.metrics().await?;
        let (unsent, behind_s) = (metrics.unsent(), metrics.behind_s());
        let receipts: u64 = carriers.iter().map(|smsc| smsc.counts().receipts_waiting).sum();
        let calls = metrics.waiting_calls();
        if unsent + receipts == 0 {
            sent.get_or_insert_with(Instant::now);
        }
        let at_rest = unsent + receipts + calls == 0 && behind_s == 0.0;
        calm = if at_rest { calm + 1 } else { 0 };
        let only_calls = unsent + receipts == 0 && behind_s == 0.0 && calls > 0;
        let patient_since = asked.or(sent).filter(|_| only_calls);
        if patient_since.is_some_and(|since| since.elapsed() > RESEND_AFTER) {
            resent += node.resend_waiting()?;
            asked = Some(Instant::now());
        }
        if since.elapsed() > time_max {
            bail!(
                "after {time_max:?} {unsent} messages and {receipts} receipts are still on their way, {calls} calls wait, \
                 and telling is {behind_s} s behind"
            );
        }
    }
    let sent = sent.unwrap_or(since);
    say(&format!(
        "  all is sent after {:.1} s, all is told after {:.1} s; {resent} calls were asked for by hand",
        (sent - since).as_secs_f64(),
        since.elapsed().as_secs_f64()
    ));
    Ok(sent)
}
