//! Generation C.

use super::*;

#[tokio::test]
async fn messages_are_planned_and_answered_as_the_vendor_does() {
    let node = TestNode::start().await;
    let one = node.ask(messages(&plan())).await;
    assert_eq!(reported(&one), (200, 0), "{}", one.body);
    let one = one.json();
    assert_eq!(
        (&one["total_count"], &one["accepted_count"]),
        (&json!(1), &json!(1))
    );
    assert!(
        one["plan_id"].is_string() && one["message_id"].is_string() && one.get("schedule_info").is_none()
    );
    assert_eq!(node.received(TO).await.text, "Your code is 8341");

    let some = with(&plan(), "/to", json!(["923700056581", "+8618701235678", "12"]));
    let some = node.ask(messages(&some)).await.json();
    assert_eq!(
        (&some["total_count"], &some["accepted_count"]),
        (&json!(3), &json!(2))
    );
    assert!(some["plan_id"].is_string() && some.get("message_id").is_none());
    assert_eq!(node.received("+923700056581").await.text, "Your code is 8341");
    node.received("+8618701235678").await;

    let missing = json!({ "to": ["+12673800455"], "plan_name": "spring",
        "template": { "id": ut_id(NOTICE), "params": { "name": "Lucy", "link": "https://x.y", "long": "x".repeat(99) } } });
    assert_eq!(
        reported(&node.ask(messages(&missing)).await),
        (200, 0),
        "a template's other id, and surplus params"
    );
    assert_eq!(
        node.received("+12673800455").await.text,
        "Hello Lucy, welcome to %place%",
        "sent as it stands"
    );
}

#[tokio::test]
async fn a_plans_name_is_kept_with_its_messages() {
    let node = TestNode::start().await;
    let named = with(&plan(), "/plan_name", json!("spring"));
    assert_eq!(reported(&node.ask(messages(&named)).await), (200, 0));
    let unnamed = with(&plan(), "/plan_name", json!("-"));
    assert_eq!(reported(&node.ask(messages(&unnamed)).await), (200, 0));
    let kept: Vec<_> = all_messages(&node)
        .await
        .into_iter()
        .map(|message| message.extra)
        .collect();
    assert_eq!(kept, [None, Some(r#"{"plan_name":"spring"}"#.into())]);
    let long = with(&plan(), "/plan_name", json!("x".repeat(256)));
    assert_eq!(reported(&node.ask(messages(&long)).await), (400, 3002));
}

#[tokio::test]
async fn a_schedule_puts_messages_off_and_names_a_task() {
    let node = TestNode::start().await;
    let at = node.engine.now() / 1000 + 200;
    let answer = node
        .ask(messages(&with(&plan(), "/schedule_time", json!(at))))
        .await;
    assert_eq!(reported(&answer), (200, 0), "{}", answer.body);
    let body = answer.json();
    assert!(body.get("message_id").is_none() && body["plan_id"].is_string());
    let task = body["schedule_info"]["task_id"]
        .as_u64()
        .expect("a number, as the vendor sends it");
    assert_eq!(task.to_string().len(), 19);
    let messages = all_messages(&node).await;
    assert_eq!(
        (messages[0].state, messages[0].batch.due),
        (MessageState::Queued, Some(at * 1000))
    );
    assert_eq!(node.inbox_count(TO), 0);
}

#[tokio::test]
async fn every_refusal_of_messages_has_its_status_and_code() {
    let node = TestNode::start().await;
    let template = |id: &str| with(&plan(), "/template/id", json!(id));
    let as_user =
        |user: &str, number: i64| post("/v1/messages", user, template(&number.to_string()).to_string());
    let unrouted = format!("+{UNROUTED_PREFIX}55512345");
    let soon = node.engine.now() / 1000 + 100;
    for (what, request, expected) in [
        ("no JSON", post("/v1/messages", USER, "{"), (400, 3001)),
        ("an array", post("/v1/messages", USER, "[]"), (400, 3002)),
        ("no to", messages(&with(&plan(), "/to", Value::Null)), (400, 3002)),
        (
            "the draft API's to_ids",
            messages(
                &json!({ "to_ids": [TO], "source": 1, "template": { "id": CODE, "language": "default" } }),
            ),
            (400, 3002),
        ),
        (
            "no template",
            messages(&with(&plan(), "/template", Value::Null)),
            (400, 3002),
        ),
        (
            "schedule too near",
            messages(&with(&plan(), "/schedule_time", json!(soon))),
            (400, 3002),
        ),
        ("template unknown", messages(&template("999999")), (400, 4001)),
        (
            "another account's template",
            messages(&template(&FOREIGN.to_string())),
            (400, 4001),
        ),
        ("a built-in template", messages(&template("-3")), (400, 4001)),
        (
            "template under review",
            messages(&template(&PENDING.to_string())),
            (400, 3003),
        ),
        (
            "its signature under review",
            messages(&template(&BADLY_SIGNED.to_string())),
            (400, 3003),
        ),
        (
            "too long to send",
            messages(&template(&ENDLESS.to_string())),
            (400, 3003),
        ),
        (
            "bad number",
            messages(&with(&plan(), "/to", json!(["12"]))),
            (400, 5001),
        ),
        (
            "no route",
            messages(&with(&plan(), "/to", json!([unrouted]))),
            (400, 5001),
        ),
        ("account may not send", as_user(USER_MUTE, PLAIN), (403, 2004)),
        ("balance of 2", as_user(USER_BROKE, BROKE_PLAIN), (200, 0)),
        ("balance of 1", as_user(USER_BROKE, BROKE_PLAIN), (200, 0)),
        ("no balance", as_user(USER_BROKE, BROKE_PLAIN), (400, 3003)),
        ("first this minute", as_user(USER_CAPPED, CAPPED_PLAIN), (200, 0)),
        (
            "second this minute",
            as_user(USER_CAPPED, CAPPED_PLAIN),
            (400, 3004),
        ),
    ] {
        let answer = node.ask(request).await;
        assert_eq!(reported(&answer), expected, "{what}: {}", answer.body);
    }
}
