//! Generation A: what sends, and doing things once.

use super::*;

#[tokio::test]
async fn a_send_is_answered_as_in_the_seed_and_ends_delivered() {
    let node = TestNode::start().await;
    let body = json!({
        "from": "xxxx", "to": [TO, "+12673800455"], "request_id": "123",
        "custom_args": { "order": 17 },
        "body": { "template_id": CODE, "label_id": 231, "vars": { "code": "8341" } },
    });
    let answer = node.ask(send(&body)).await;
    assert_eq!(
        reported(&answer),
        (200, 0),
        "a complete success has no code: {}",
        answer.body
    );
    let sent = answer.json();
    let names: Vec<_> = sent.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        names,
        ["custom_args", "request_id", "sms_ids"],
        "nothing but what the page shows"
    );
    assert_eq!(
        (&sent["request_id"], &sent["custom_args"]),
        (&json!("123"), &json!({ "order": 17 }))
    );
    let ids: Vec<_> = sent["sms_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        ids.iter()
            .map(|id| id.split_once('$').unwrap().1)
            .collect::<Vec<_>>(),
        [TO, "+12673800455"]
    );
    assert_eq!(
        ids[0].split_once('$').unwrap().0,
        ids[1].split_once('$').unwrap().0,
        "one prefix a request"
    );
    let received = node.received(TO).await;
    assert_eq!(
        (received.text.as_str(), received.from.as_str()),
        ("Your code is 8341", "xxxx")
    );

    let row = status_until(&node, &ids[0], 2).await;
    for (name, expected) in [
        ("phone", json!(TO)),
        ("sms_id", json!(ids[0])),
        ("msg_type", json!(2)),
        ("sms_user", json!(USER)),
        ("template_id", json!(CODE)),
        ("template_name", json!("code")),
        ("label_id", json!(231)),
        ("status", json!(2)),
        ("sub_status", json!(0)),
    ] {
        assert_eq!(row[name], expected, "{name}");
    }
    assert!(row["send_time"].as_str().unwrap().ends_with("+0000"), "{row}");
}

#[tokio::test]
async fn some_bad_numbers_make_a_send_partial_and_all_bad_numbers_a_failure() {
    let node = TestNode::start().await;
    let some = with(
        &with(&code(), "/to", json!([TO, "1233"])),
        "/request_id",
        json!("123"),
    );
    let answer = node.ask(send(&some)).await;
    assert_eq!(reported(&answer), (200, 41031));
    let partial = answer.json();
    assert_eq!(
        (&partial["message"], &partial["success_count"]),
        (&json!("partial success"), &json!(1))
    );
    assert_eq!(
        (&partial["failed_count"], &partial["request_id"]),
        (&json!(1), &json!("123"))
    );
    assert_eq!(
        partial["failed_items"],
        json!([{ "phone": "1233", "message": "Invalid phone number format" }])
    );
    assert_eq!(partial["sms_ids"].as_array().unwrap().len(), 1);

    let none = node.ask(send(&with(&code(), "/to", json!(["1233", "x"])))).await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        none.json(),
        json!({ "code": 32002, "message": "Invalid phone number format" })
    );
}

#[tokio::test]
async fn a_request_id_repeats_the_first_answer_for_an_hour() {
    let clock = Arc::new(PausedClock::at(1_795_278_600_000));
    let node = TestNode::with(crate::testkit::limits(), Arc::clone(&clock) as Arc<dyn Clock>).await;
    let body = with(
        &with(&code(), "/request_id", json!("r1")),
        "/to",
        json!([TO, "1233"]),
    );
    let refused = node.ask(send(&with(&body, "/to", json!(["1233"])))).await;
    assert_eq!(
        reported(&refused),
        (400, 32002),
        "refused as a whole: the id is not used up"
    );
    let first = node.ask(send(&body)).await;
    assert_eq!(reported(&first), (200, 41031));
    for (what, repeat) in [
        ("the same", body.clone()),
        ("another body", with(&body, "/to", json!(["+12673800455"]))),
    ] {
        let again = node.ask(send(&repeat)).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{what}");
    }
    let other_user = node
        .ask(post(
            "/v1/send",
            USER_OTHER,
            with(&body, "/body/template_id", json!(FOREIGN)).to_string(),
        ))
        .await;
    assert_ne!(other_user.body, first.body, "ids of others are others");
    clock.advance(3_600_000 + 1);
    let later = node.ask(send(&body)).await;
    assert_eq!(reported(&later), (200, 41031));
    assert_ne!(later.body, first.body, "after an hour it is a new request");
    assert_eq!(all_messages(&node).await.len(), 2);
}

#[tokio::test]
async fn concurrent_repeats_send_once_and_get_the_same_response() {
    let node = Arc::new(TestNode::start().await);
    let body = with(&code(), "/request_id", json!("r1"));
    let mut requested = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (node, body) = (Arc::clone(&node), body.clone());
        requested.spawn(async move { node.ask(send(&body)).await.body });
    }
    let mut answers = requested.join_all().await;
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(all_messages(&node).await.len(), 1);
}

#[tokio::test]
async fn an_idempotency_key_repeats_the_first_answer_in_both_generations() {
    let node = TestNode::start().await;
    let keyed = |mut request: Request<Body>, key: &str| {
        request
            .headers_mut()
            .insert("idempotency-key", key.parse().unwrap());
        request
    };
    for (path, first, own_error) in [
        ("/v1/send", send(&code()), 30400),
        ("/v1/messages", messages(&plan()), 3002),
    ] {
        let again = if path == "/v1/send" {
            send(&code())
        } else {
            messages(&plan())
        };
        let bad = if path == "/v1/send" {
            send(&code())
        } else {
            messages(&plan())
        };
        let first = node.ask(keyed(first, "k1")).await;
        let again = node.ask(keyed(again, "k1")).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{path}");
        assert_eq!(
            reported(&node.ask(keyed(bad, &"k".repeat(256))).await),
            (400, own_error),
            "{path}"
        );
    }
    assert_eq!(all_messages(&node).await.len(), 2);
}

#[tokio::test]
async fn a_number_that_stands_twice_gets_one_message() {
    let node = TestNode::start().await;
    let twice = json!([TO, "0012673800456", TO]);
    let answer = node.ask(send(&with(&code(), "/to", twice.clone()))).await;
    assert_eq!(reported(&answer), (200, 0), "{}", answer.body);
    let ids = answer.json()["sms_ids"].clone();
    assert_eq!(
        ids.as_array().unwrap().len(),
        3,
        "every place of the list has its id"
    );
    assert!(ids[1].as_str().unwrap().ends_with("$0012673800456"));
    status_until(&node, ids[1].as_str().unwrap(), 2).await;
    let answer = node.ask(messages(&with(&plan(), "/to", twice))).await.json();
    assert_eq!(
        (&answer["total_count"], &answer["accepted_count"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(all_messages(&node).await.len(), 2);
}

#[tokio::test]
async fn success_is_never_reported_when_nothing_was_stored() {
    let node = TestNode::start().await;
    node.engine.store().close().await.unwrap();
    assert_eq!(reported(&node.ask(send(&code())).await), (500, 30500));
    assert_eq!(reported(&node.ask(messages(&plan())).await), (500, 1000));
    assert_eq!(
        reported(&node.ask(get("/v1/status?send_date=2026-11-22", USER)).await),
        (500, 30500)
    );
    let node = TestNode::start().await;
    node.engine.stop(std::time::Duration::from_secs(5)).await.unwrap();
    assert_eq!(reported(&node.ask(send(&code())).await), (503, 30503));
    assert_eq!(reported(&node.ask(messages(&plan())).await), (503, 1000));
}

#[tokio::test]
async fn a_body_may_begin_with_a_byte_order_mark() {
    let node = TestNode::start().await;
    let of = |path, body: Value| post(path, USER, format!("\u{feff}{body}"));
    assert_eq!(reported(&node.ask(of("/v1/send", code())).await), (200, 0));
    assert_eq!(reported(&node.ask(of("/v1/messages", plan())).await), (200, 0));
}
