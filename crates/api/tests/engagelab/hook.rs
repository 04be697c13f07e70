//! The SMSHook over a real engine and real connections: the ids are those of the answers.

use super::*;
use engine::catalog::Review;
use md5::{Digest, Md5};

fn status(came: &ReceivedCall) -> &str {
    came.body["status"]["message_status"].as_str().unwrap()
}

fn assert_signed(came: &ReceivedCall) {
    let signed = [
        came.header("X-SMSHook-Timestamp"),
        came.header("X-SMSHook-AppKey"),
        SECRET,
    ]
    .concat();
    assert_eq!(came.header("X-SMSHook-Signature"), hex(&Md5::digest(signed)));
    assert_eq!(came.header("Content-Type"), "application/json; charset=utf-8");
    assert_eq!(came.header("X-SMSHook-Version"), "1.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_reported_under_the_ids_of_the_answer() {
    let receiver = FakeEndpoint::start().await;
    let node = TestNode::start().await;
    let settings = json!({ "sms_user": "demo" });
    node.start_webhooks(endpoint("engagelab", &receiver.url(), settings))
        .await;
    let body = json!({ "to": [TO, format!("+{BLOCKED}")], "from": "Acme", "custom_args": { "order": 17 },
        "body": { "template_id": CODE, "label_id": 231, "vars": { "code": "8341" } } });
    let sent = node.ask(send(&body)).await.json();
    let ids = sent["sms_ids"].clone();
    let came = receiver
        .until(|came| {
            let ended = |name| came.iter().any(|came| status(came) == name);
            ended("delivered") && ended("process_failed")
        })
        .await;
    came.iter().for_each(assert_signed);
    let to_one: Vec<_> = came
        .iter()
        .filter(|came| came.body["to"] == TO)
        .map(status)
        .collect();
    assert_eq!(to_one, ["sent", "delivered"], "in the order of what happened");
    let target = came.iter().find(|came| status(came) == "target").unwrap();
    let data = &target.body["status"]["status_data"];
    assert_eq!((&data["sms_ids"], &data["to"]), (&ids, &body["to"]));
    assert_eq!(
        (&data["label_id"], &data["sms_user"]),
        (&json!(231), &json!(USER))
    );
    let prefix = ids[0].as_str().unwrap().split_once('$').unwrap().0;
    for came in &came {
        assert_eq!(came.body["message_id"], prefix);
        assert_eq!(came.body["custom_args"], json!({ "order": 17 }));
    }
    for (name, id, to, sub_status) in [
        ("delivered", &ids[0], &body["to"][0], Value::Null),
        ("process_failed", &ids[1], &body["to"][1], json!(420)),
    ] {
        let came = came.iter().find(|came| status(came) == name).unwrap();
        let data = &came.body["status"]["status_data"];
        assert_eq!(
            (&data["sms_id"], &data["sub_status"]),
            (id, &sub_status),
            "{name}"
        );
        assert_eq!(
            (&came.body["to"], &came.body["from"]),
            (to, &json!("Acme")),
            "{name}"
        );
        // The status query knows the id.
        let wanted = if name == "delivered" { 2 } else { 4 };
        status_until(&node, id.as_str().unwrap(), wanted).await;
    }

    node.engine
        .review_template(ACCOUNT, PENDING, Review::Approved, "")
        .await
        .unwrap();
    let came = receiver
        .until(|came| came.iter().any(|came| status(came) == "template_approval"))
        .await;
    let data = &came.last().unwrap().body["status"]["status_data"];
    assert_eq!(
        (&data["template_id"], &data["approval_status"]),
        (&json!(PENDING), &json!(1))
    );
    node.engine.stop(std::time::Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_is_probed_and_its_settings_are_checked() {
    let receiver = FakeEndpoint::start().await;
    let hook = endpoint("engagelab", &receiver.url(), Value::Null);
    let node = TestNode::start().await;
    node.start_webhooks(hook.clone()).await;
    let entry = node.engine.catalog().endpoint(hook.id).unwrap().clone();
    node.engine.probe_endpoint(&entry).await.unwrap();
    let came = receiver.until(|came| !came.is_empty()).await;
    assert_signed(&came[0]);
    assert_eq!(status(&came[0]), "test");
    let bad = endpoint("engagelab", &receiver.url(), json!({ "numbering": "classic" }));
    assert!(node.engine.check_endpoint(&bad).is_err());
    node.engine.stop(std::time::Duration::from_secs(5)).await.unwrap();
}
