//! Templates of generation A.

use super::*;
use engine::catalog::Review;

fn template() -> Value {
    json!({ "template_name": "welcome", "template_type": 1, "template_content": "Hello %name%, see https://x.example now",
        "sign_id": SIGNATURE.0 })
}

/// A new template; its id.
async fn added(node: &TestNode, body: Value) -> i64 {
    let one = done(node, "POST", "/v1/templates", body).await;
    one["result"]["template_id"].as_i64().unwrap()
}

async fn one(node: &TestNode, id: i64) -> Value {
    done(node, "GET", &format!("/v1/templates/{id}"), Value::Null).await["result"].clone()
}

#[tokio::test]
async fn a_template_goes_from_draft_to_a_message() {
    let node = TestNode::start().await;
    let made = done(&node, "POST", "/v1/templates", template()).await["result"].clone();
    let id = made["template_id"].as_i64().unwrap();
    assert_eq!(one(&node, id).await, made, "what was made is what is there");
    assert_eq!(
        names(&made),
        [
            "approval_status",
            "create_time",
            "msg_type",
            "sign_id",
            "template_content",
            "template_id",
            "template_name",
            "template_type",
            "update_time"
        ]
    );
    for (name, expected) in [
        ("template_name", json!("welcome")),
        ("msg_type", json!(2)),
        ("template_type", json!(1)),
        (
            "template_content",
            json!("Hello %name%, see https://x.example now"),
        ),
        ("approval_status", json!(-2)),
        ("sign_id", json!(SIGNATURE.0)),
    ] {
        assert_eq!(made[name], expected, "{name}");
    }
    assert!(
        is_moment(&made["create_time"]) && is_moment(&made["update_time"]),
        "{made}"
    );

    let with_it = json!({ "to": [TO], "body": { "template_id": id, "vars": { "name": "Lucy" } } });
    assert_eq!(reported(&node.ask(send(&with_it)).await), (400, 33002), "a draft");
    let submit = format!("/v1/templates/{id}/submit");
    assert_eq!(
        done(&node, "POST", &submit, Value::Null).await,
        json!({ "result": {} })
    );
    assert_eq!(one(&node, id).await["approval_status"], 0);
    assert_eq!(
        reported(&node.ask(send(&with_it)).await),
        (400, 33002),
        "under review"
    );
    node.engine
        .review_template(ACCOUNT, id, Review::Approved, "")
        .await
        .unwrap();
    assert_eq!(one(&node, id).await["approval_status"], 1);
    assert_eq!(reported(&node.ask(send(&with_it)).await), (200, 0));
    assert_eq!(
        node.received(TO).await.text,
        "[Example]Hello Lucy, see https://x.example now"
    );

    // Another text is a draft again, another name is not.
    let path = format!("/v1/templates/{id}");
    assert_eq!(
        done(&node, "PUT", &path, json!({ "template_name": "hello" })).await,
        json!({ "result": {} })
    );
    let named = one(&node, id).await;
    assert_eq!(
        (&named["template_name"], &named["approval_status"]),
        (&json!("hello"), &json!(1))
    );
    done(&node, "PUT", &path, json!({ "template_content": "Hi %name%" })).await;
    let changed = one(&node, id).await;
    assert_eq!(
        (
            &changed["template_content"],
            &changed["approval_status"],
            &changed["template_type"]
        ),
        (&json!("Hi %name%"), &json!(-2), &json!(1)),
        "what is not given stays"
    );
    assert_eq!(
        done(&node, "DELETE", &path, Value::Null).await,
        json!({ "result": {} })
    );
    assert_eq!(
        refused(&node, "GET", &path, Value::Null).await,
        (400, 33001, "The template does not exist".to_owned())
    );
}

#[tokio::test]
async fn a_rejected_template_says_why_and_may_be_submitted_again() {
    let node = TestNode::start().await;
    let id = added(&node, template()).await;
    let submit = format!("/v1/templates/{id}/submit");
    done(&node, "POST", &submit, Value::Null).await;
    node.engine
        .review_template(ACCOUNT, id, Review::Rejected, "no opt-out")
        .await
        .unwrap();
    let rejected = one(&node, id).await;
    assert_eq!(
        (&rejected["approval_status"], &rejected["approval_message"]),
        (&json!(-1), &json!("no opt-out"))
    );
    done(&node, "POST", &submit, Value::Null).await;
    let again = one(&node, id).await;
    assert_eq!(
        (&again["approval_status"], again.get("approval_message")),
        (&json!(0), None)
    );
}

#[tokio::test]
async fn what_is_refused_of_a_template_has_its_code() {
    let node = TestNode::start().await;
    let unsigned = added(&node, with(&template(), "/sign_id", json!(0))).await;
    let submitted = added(&node, template()).await;
    done(
        &node,
        "POST",
        &format!("/v1/templates/{submitted}/submit"),
        Value::Null,
    )
    .await;
    let new = |name: &str, value: Value| {
        (
            "POST",
            "/v1/templates".to_owned(),
            with(&template(), &format!("/{name}"), value),
        )
    };
    let long = "x".repeat(513);
    for ((method, path, body), code) in [
        (new("template_name", Value::Null), 33008),
        (new("template_name", json!("x".repeat(65))), 33008),
        (new("template_content", Value::Null), 33009),
        (new("template_content", json!(long)), 33009),
        (new("template_content", json!("【Acme】code")), 33010),
        (new("template_content", json!("a test")), 33010),
        (new("template_content", json!("看https://x.example")), 33011),
        (new("template_type", Value::Null), 33012),
        (new("template_type", json!(3)), 33012),
        (new("sign_id", json!(999)), 34010),
        (new("sign_id", json!("x")), 34010),
        (new("msg_type", json!(1)), 30400),
        (("GET", "/v1/templates/999999".to_owned(), Value::Null), 33001),
        (("GET", "/v1/templates/x".to_owned(), Value::Null), 33001),
        (("GET", "/v1/templates/-3".to_owned(), Value::Null), 33001),
        (("GET", format!("/v1/templates/{FOREIGN}"), Value::Null), 33001),
        (("PUT", "/v1/templates/999999".to_owned(), json!({})), 33001),
        (("DELETE", "/v1/templates/999999".to_owned(), Value::Null), 33001),
        (
            ("POST", "/v1/templates/999999/submit".to_owned(), Value::Null),
            33001,
        ),
        (
            (
                "PUT",
                format!("/v1/templates/{PLAIN}"),
                json!({ "template_content": "[x]" }),
            ),
            33010,
        ),
        (
            ("PUT", format!("/v1/templates/{PLAIN}"), json!({ "sign_id": 999 })),
            34010,
        ),
        (
            (
                "PUT",
                format!("/v1/templates/{submitted}"),
                json!({ "template_name": "n" }),
            ),
            33013,
        ),
        (
            ("DELETE", format!("/v1/templates/{submitted}"), Value::Null),
            33013,
        ),
        (
            ("POST", format!("/v1/templates/{submitted}/submit"), Value::Null),
            33014,
        ),
        (
            ("POST", format!("/v1/templates/{PLAIN}/submit"), Value::Null),
            33014,
        ),
        (
            ("POST", format!("/v1/templates/{unsigned}/submit"), Value::Null),
            33015,
        ),
        (("GET", "/v1/templates?limit=x".to_owned(), Value::Null), 30400),
        (
            ("GET", "/v1/templates?approval_status=9".to_owned(), Value::Null),
            30400,
        ),
        (
            ("GET", "/v1/templates?template_type=9".to_owned(), Value::Null),
            33012,
        ),
    ] {
        let (status, reported, message) = refused(&node, method, &path, body.clone()).await;
        assert_eq!(
            (status, reported),
            (400, code),
            "{method} {path} {body:.120}: {message}"
        );
        assert!(!message.is_empty());
    }
    let word = refused(
        &node,
        "POST",
        "/v1/templates",
        with(&template(), "/template_content", json!("测试")),
    )
    .await;
    assert_eq!(word.2, "template_content cannot contain 测试");
}

#[tokio::test]
async fn templates_are_listed_by_name_type_and_status() {
    let node = TestNode::start().await;
    let draft = added(&node, template()).await;
    let ids = async |query: &str| {
        let listed = done(&node, "GET", &format!("/v1/templates?{query}"), Value::Null).await;
        let ids: Vec<i64> = listed["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["template_id"].as_i64().unwrap())
            .collect();
        assert_eq!(listed["count"], ids.len());
        (ids, listed["total"].as_u64().unwrap())
    };
    let (all, total) = ids("").await;
    assert_eq!(
        (all.len() as u64, total),
        (9, 9),
        "the account's, not those of others"
    );
    assert!(all.is_sorted());
    assert_eq!(ids("offset=2&limit=3").await, (all[2..5].to_vec(), 9));
    assert_eq!(ids("offset=100").await, (vec![], 9));
    assert_eq!(ids("template_type=0").await, (vec![CODE, SIGNED], 2));
    assert_eq!(ids("approval_status=-2").await, (vec![draft], 1));
    assert_eq!(ids("approval_status=0").await, (vec![PENDING], 1));
    assert_eq!(ids("approval_status=-1").await, (vec![], 0));
    assert_eq!(
        ids("approval_status=1&template_name=SIGN").await.0,
        [SIGNED, BADLY_SIGNED]
    );
    assert_eq!(ids("template_name=%E5%B0%8F").await, (vec![], 0));
}

/// Goal: what looks like a placeholder and would be sent as it stands is refused when a template is made or changed, with the rule.
#[tokio::test]
async fn a_placeholder_that_no_rule_takes_is_refused_with_the_rule() {
    let node = TestNode::start().await;
    let id = added(&node, template()).await;
    for text in ["Hello {{ name }}", "您好%姓名%", "code {0}", "Hi {}"] {
        let body = with(&template(), "/template_content", json!(text));
        for (method, path) in [
            ("POST", "/v1/templates".to_owned()),
            ("PUT", format!("/v1/templates/{id}")),
        ] {
            let (status, code, message) = refused(&node, method, &path, body.clone()).await;
            assert_eq!((status, code), (400, 33009), "{method} {text}: {message}");
            assert!(message.contains("%name%"), "{message}");
        }
    }
}
