//! Templates of generation C.

use super::*;
use engine::catalog::Review;

const PATH: &str = "/v1/template-configs";

fn template() -> Value {
    json!({ "template_name": "Order Notification", "template_type": "utility", "country_codes": "CN,US",
        "template_content": "Your order {order_no} has been shipped",
        "add_signature": true, "sign_id": SIGNATURE.0.to_string(), "sign_position": 2 })
}

async fn added(node: &TestNode, body: Value) -> String {
    let made = done(node, "POST", PATH, body).await;
    assert_eq!(names(&made), ["template_id"]);
    made["template_id"].as_str().unwrap().to_owned()
}

async fn one(node: &TestNode, id: &str) -> Value {
    done(node, "GET", &format!("{PATH}/{id}"), Value::Null).await
}

async fn approve(node: &TestNode, id: &str) {
    let reviewed = node
        .engine
        .review_template(ACCOUNT, id.parse().unwrap(), Review::Approved, "")
        .await;
    reviewed.unwrap();
}

#[tokio::test]
async fn a_template_is_pending_until_it_is_approved_and_again_when_it_changes() {
    let node = TestNode::start().await;
    let id = added(&node, template()).await;
    let made = one(&node, &id).await;
    for (name, expected) in [
        ("template_id", json!(id)),
        ("template_name", json!("Order Notification")),
        ("template_type", json!("utility")),
        (
            "template_content",
            json!("Your order {order_no} has been shipped"),
        ),
        ("country_codes", json!("CN,US")),
        ("status", json!(1)),
        ("sign_id", json!("7")),
        ("sign_name", json!("Example")),
        ("sign_position", json!(2)),
        ("sign_status", json!(2)),
        ("audit_remark", json!("")),
    ] {
        assert_eq!(made[name], expected, "{name}");
    }
    let now = node.engine.now() / 1000;
    for name in ["created_time", "updated_time"] {
        assert!(
            (now - 60..=now).contains(&made[name].as_i64().unwrap()),
            "{name}: {made}"
        );
    }
    assert_eq!(made.as_object().unwrap().len(), 13);

    let message = json!({ "to": [TO], "template": { "id": id, "params": { "order_no": "17" } } });
    assert_eq!(
        reported(&node.ask(messages(&message)).await),
        (400, 3003),
        "pending"
    );
    approve(&node, &id).await;
    assert_eq!(one(&node, &id).await["status"], 2);
    assert_eq!(reported(&node.ask(messages(&message)).await), (200, 0));
    assert_eq!(
        node.received(TO).await.text,
        "Your order 17 has been shipped[Example]"
    );

    let path = format!("{PATH}/{id}");
    let mut changed = template();
    changed["template_type"] = json!("otp");
    changed["template_content"] = json!("Order {order_no} is on its way");
    changed["country_codes"] = json!("GB");
    changed["add_signature"] = json!(false);
    // Until the message above is counted as sent, its plan runs.
    let answer = node
        .ask_until(
            || managing("PUT", &path, USER, &changed),
            |answer| answer.status == StatusCode::OK,
        )
        .await;
    assert_eq!(answer.json(), json!({ "code": 0, "message": "success" }));
    let reported = one(&node, &id).await;
    for (name, expected) in [
        ("template_type", json!("authentication")),
        ("template_content", json!("Order {order_no} is on its way")),
        ("country_codes", json!("GB")),
        ("status", json!(1)),
        ("sign_position", json!(0)),
        ("sign_id", Value::Null),
    ] {
        assert_eq!(reported[name], expected, "{name}: {reported}");
    }
    node.engine
        .review_template(ACCOUNT, id.parse().unwrap(), Review::Rejected, "no brand")
        .await
        .unwrap();
    let reported = one(&node, &id).await;
    assert_eq!(
        (&reported["status"], &reported["audit_remark"]),
        (&json!(3), &json!("no brand"))
    );
    assert_eq!(
        done(&node, "DELETE", &path, Value::Null).await,
        json!({ "code": 0, "message": "success" })
    );
    assert_eq!(
        refused(&node, "GET", &path, Value::Null).await,
        (400, 400, "template config not exist".to_owned())
    );
}

#[tokio::test]
async fn templates_are_listed_as_a_bare_array() {
    let node = TestNode::start().await;
    let id = added(&node, template()).await;
    let listed = done(&node, "GET", PATH, Value::Null).await;
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 9);
    assert_eq!(*listed.last().unwrap(), one(&node, &id).await);
    let by_other_id = one(&node, &ut_id(CODE)).await;
    assert_eq!(by_other_id, one(&node, &CODE.to_string()).await);
    assert_eq!(
        (&by_other_id["template_type"], &by_other_id["country_codes"]),
        (&json!("authentication"), &json!(""))
    );
    let other = node.ask(get(PATH, USER_BROKE)).await.json();
    assert_eq!(other[0]["template_id"], BROKE_PLAIN.to_string());
}

#[tokio::test]
async fn what_is_refused_of_a_template_says_why() {
    let node = TestNode::start().await;
    let pending = added(&node, template()).await;
    let pending = format!("{PATH}/{pending}");
    let plain = format!("{PATH}/{PLAIN}");
    let foreign = format!("{PATH}/{FOREIGN}");
    let changed = |name: &str, value: Value| with(&template(), &format!("/{name}"), value);
    let other_sign = changed("sign_id", json!(SIGNATURE_PENDING.0));
    for (method, path, body, message) in [
        ("GET", "/v1/template-configs/x", Value::Null, "invalid templateId"),
        (
            "GET",
            "/v1/template-configs/999999",
            Value::Null,
            "template config not exist",
        ),
        (
            "GET",
            "/v1/template-configs/UTA000000NOSUCH",
            Value::Null,
            "template config not exist",
        ),
        ("GET", &foreign, Value::Null, "template config not exist"),
        ("PUT", "/v1/template-configs/x", template(), "invalid templateId"),
        (
            "PUT",
            "/v1/template-configs/999999",
            template(),
            "template config not exist",
        ),
        (
            "DELETE",
            "/v1/template-configs/x",
            Value::Null,
            "invalid templateId",
        ),
        (
            "DELETE",
            "/v1/template-configs/999999",
            Value::Null,
            "template config not exist",
        ),
        (
            "PUT",
            &pending,
            template(),
            "can not update pending status template",
        ),
        (
            "DELETE",
            &pending,
            Value::Null,
            "can not update pending status template",
        ),
        (
            "POST",
            PATH,
            other_sign.clone(),
            "sign status is not approved, can not use",
        ),
        (
            "PUT",
            &plain,
            other_sign,
            "sign status is not approved, can not use",
        ),
        (
            "POST",
            PATH,
            changed("sign_id", json!("999")),
            "sign config not exist",
        ),
        ("POST", PATH, changed("sign_id", json!("x")), "invalid signId"),
        (
            "POST",
            PATH,
            changed("template_content", json!("a test")),
            "invalid parameters: template_content cannot contain test",
        ),
        (
            "PUT",
            &plain,
            changed("template_type", json!("notice")),
            "invalid parameters: template_type must be authentication, utility or marketing",
        ),
        ("PUT", &plain, json!([]), "invalid parameters"),
    ] {
        assert_eq!(
            refused(&node, method, path, body.clone()).await,
            (400, 400, message.to_owned()),
            "{method} {path} {body:.80}"
        );
    }
}

#[tokio::test]
async fn a_template_of_a_plan_that_waits_is_not_touched() {
    let node = TestNode::start().await;
    let id = added(&node, template()).await;
    approve(&node, &id).await;
    let at = node.engine.now() / 1000 + 3600;
    let scheduled = json!({ "to": [TO], "template": { "id": id }, "schedule_time": at });
    assert_eq!(reported(&node.ask(messages(&scheduled)).await), (200, 0));
    let path = format!("{PATH}/{id}");
    let expected = "there are pending or running plans using current template, can not update";
    for (method, body) in [("PUT", template()), ("DELETE", Value::Null)] {
        assert_eq!(
            refused(&node, method, &path, body).await,
            (400, 400, expected.to_owned()),
            "{method}"
        );
    }
    let signature = "there are pending or running plans using current sign, can not update";
    for (method, body) in [("PUT", json!({ "sign_name": "Acme" })), ("DELETE", Value::Null)] {
        assert_eq!(
            refused(&node, method, "/v1/sign-configs/7", body).await,
            (400, 400, signature.to_owned()),
            "{method}"
        );
    }
    // The other generation has no plans, and no such rule.
    done(
        &node,
        "PUT",
        &format!("/v1/templates/{id}"),
        json!({ "template_name": "n" }),
    )
    .await;
}

/// Goal: what looks like a placeholder and would be sent as it stands is refused when a template is made or changed, with the rule.
#[tokio::test]
async fn a_placeholder_that_no_rule_takes_is_refused_with_the_rule() {
    let node = TestNode::start().await;
    let id = added(&node, template()).await;
    approve(&node, &id).await;
    for text in [
        "Your order {{ no }}",
        "Your order { no }",
        "订单%编号%",
        "code {0}",
        "Hi {{}}",
    ] {
        let body = with(&template(), "/template_content", json!(text));
        for (method, path) in [("POST", PATH.to_owned()), ("PUT", format!("{PATH}/{id}"))] {
            let (status, code, message) = refused(&node, method, &path, body.clone()).await;
            assert_eq!((status, code), (400, 400), "{method} {text}: {message}");
            assert!(message.contains("{{name}}"), "{message}");
        }
    }
}
