//! A request id that is used again for something else: what the operator sees of it.

use crate::testkit::{Dev, curl, eventually, folder, said};
use serde_json::Value;

/// Sends a code to a number by `SendBatchUSMSMessage` under an `Idempotency-Key`.
fn send(dev: &Dev, id: &str, to: &str) -> Value {
    dev.send_with(to, &[&format!("Idempotency-Key: {id}")])
}

/// Goal: the operator sees it in the log, in the metrics and in the timeline of the first request's message.
#[test]
fn a_request_id_used_again_with_other_content_is_in_log_metrics_and_status() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let first = send(&dev, "order-1", "+447700900123");
    assert_eq!(first["RetCode"], 0, "{first}");
    for _ in 0..2 {
        assert_eq!(send(&dev, "order-1", "+447700900124"), first);
    }
    dev.running.err.wait_for("request id reused with other content");
    let metrics = curl(&[&format!("{}/metrics", dev.metrics())]);
    let counted = metrics.lines().any(|line| {
        line.starts_with("postrider_account_repeats_with_other_content_total{") && line.ends_with("} 2")
    });
    assert!(counted, "{metrics}");
    eventually("the entry of the message", || {
        let printed = said(&dev.tool(&["status", "+447700900123"]));
        printed
            .contains("the request id was reused with other content, 2 times")
            .then_some(())
    });
}
