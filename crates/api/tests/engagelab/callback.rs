//! The callback of generation C over a real engine and real connections.

use super::*;
use engine::EventKinds;
use engine::catalog::Review;
use std::time::Duration;

fn rows(came: &[ReceivedCall]) -> Vec<Value> {
    let rows_of = |came: &ReceivedCall| -> Vec<Value> {
        let rows = came.body["rows"].as_array().unwrap().clone();
        assert_eq!(came.body["total"], rows.len());
        rows
    };
    came.iter().flat_map(rows_of).collect()
}

/// Statuses of a message, in the order in which they were reported.
fn statuses(rows: &[Value], id: &Value) -> Vec<String> {
    rows.iter()
        .filter(|row| row["message_id"] == *id)
        .map(|row| row["status"]["message_status"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_reported_under_the_id_of_the_answer() {
    let receiver = FakeEndpoint::start().await;
    let settings = json!({ "username": "demo", "authorization": "Bearer abc" });
    let node = TestNode::start().await;
    node.start_webhooks(endpoint("engagelab_callback", &receiver.url(), settings))
        .await;
    let custom = with(&plan(), "/custom_args", json!({ "order": 17 }));
    let good = node.ask(messages(&custom)).await.json()["message_id"].clone();
    let off = with(&plan(), "/to", json!(["+10000000018"]));
    let off = node.ask(messages(&off)).await.json()["message_id"].clone();
    let blocked = with(&plan(), "/to", json!([BLOCKED]));
    let blocked = node.ask(messages(&blocked)).await.json()["message_id"].clone();
    let ended =
        |rows: &[Value], id: &Value, name: &str| statuses(rows, id).iter().any(|status| status == name);
    let came = receiver
        .until(|came| {
            let rows = rows(came);
            ended(&rows, &good, "delivered")
                && ended(&rows, &off, "delivered_failed")
                && ended(&rows, &blocked, "target_invalid")
        })
        .await;
    let all = rows(&came);
    for (id, expected) in [
        (&good, &["plan", "target_valid", "sent", "delivered"][..]),
        (&off, &["plan", "target_valid", "sent", "delivered_failed"]),
        (&blocked, &["plan", "target_invalid"]),
    ] {
        assert_eq!(statuses(&all, id), expected);
    }
    let row = all.iter().find(|row| row["message_id"] == good).unwrap();
    assert_eq!(
        (&row["to"], &row["custom_args"]),
        (&json!(TO), &json!({ "order": 17 }))
    );
    let failed = all
        .iter()
        .find(|row| row["status"]["message_status"] == "delivered_failed")
        .unwrap();
    assert_eq!(failed["status"]["error_code"], 5018);
    for came in &came {
        assert_eq!(came.header("Authorization"), "Bearer abc");
        let id = came.header("X-CALLBACK-ID");
        assert!(
            id.starts_with("timestamp=") && id.contains(";username=demo;signature="),
            "{id}"
        );
    }
    node.engine
        .review_template(ACCOUNT, PENDING, Review::Rejected, "no brand")
        .await
        .unwrap();
    let notified = |came: &[ReceivedCall]| {
        rows(came)
            .into_iter()
            .find(|row| row.get("notification").is_some())
    };
    let came = receiver.until(|came| notified(came).is_some()).await;
    assert_eq!(
        notified(&came).unwrap()["notification"],
        json!({ "event": "template_audit_result", "notification_data": {
            "business_id": "1", "template_id": PENDING.to_string(), "template_name": "pending",
            "status": 3, "reason": "no brand" } })
    );
    node.engine.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_number_of_a_plan_is_reported_once_in_calls_of_bounded_size() {
    let receiver = FakeEndpoint::start().await;
    let mut hook = endpoint("engagelab_callback", &receiver.url(), json!({ "rows_max": 50 }));
    hook.kinds = EventKinds::ACCEPTED;
    let node = TestNode::start().await;
    node.start_webhooks(hook).await;
    let numbers: Vec<String> = (0..300).map(|n| format!("+44770090{n:04}")).collect();
    let answer = node
        .ask(messages(&with(&plan(), "/to", json!(numbers))))
        .await
        .json();
    assert_eq!(answer["accepted_count"], 300);
    let came = receiver.until(|came| rows(came).len() >= 600).await;
    let all = rows(&came);
    assert_eq!(all.len(), 600);
    for came in &came {
        assert!(came.body["rows"].as_array().unwrap().len() <= 50 && came.octets.len() < 64 * 1024);
    }
    let planned: Vec<_> = all
        .iter()
        .filter(|row| row["status"]["message_status"] == "plan")
        .map(|row| row["to"].as_str().unwrap())
        .collect();
    assert_eq!(planned, numbers, "in the order of the request");
    node.engine.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_is_checked_with_an_empty_object_and_must_answer_200() {
    let receiver = FakeEndpoint::playing(|before, _| ([200, 204, 500][before.len()], "")).await;
    let hook = endpoint("engagelab_callback", &receiver.url(), Value::Null);
    let node = TestNode::start().await;
    node.start_webhooks(hook.clone()).await;
    let entry = node.engine.catalog().endpoint(hook.id).unwrap().clone();
    node.engine.probe_endpoint(&entry).await.unwrap();
    for _ in [204, 500] {
        assert!(node.engine.probe_endpoint(&entry).await.is_err());
    }
    let came = receiver.until(|came| came.len() == 3).await;
    assert!(came.iter().all(|came| came.octets == "{}"));
    let bad = endpoint("engagelab_callback", &receiver.url(), json!({ "rows_max": 0 }));
    assert!(node.engine.check_endpoint(&bad).is_err());
    node.engine.stop(Duration::from_secs(5)).await.unwrap();
}
