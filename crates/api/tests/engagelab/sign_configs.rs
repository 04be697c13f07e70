//! Signatures of generation C.

use super::*;
use engine::catalog::Review;

const PATH: &str = "/v1/sign-configs";

async fn one(node: &TestNode, id: &str) -> Value {
    done(node, "GET", &format!("{PATH}/{id}"), Value::Null).await
}

#[tokio::test]
async fn a_signature_is_pending_until_it_is_approved_and_again_when_it_changes() {
    let node = TestNode::start().await;
    let made = done(&node, "POST", PATH, json!({ "sign_name": "Acme" })).await;
    assert_eq!(names(&made), ["sign_id"]);
    let id = made["sign_id"].as_str().unwrap().to_owned();
    let reported = one(&node, &id).await;
    for (name, expected) in [
        ("sign_id", json!(id)),
        ("sign_name", json!("Acme")),
        ("status", json!(1)),
        ("related_template_count", json!(0)),
        ("audit_remark", json!("")),
    ] {
        assert_eq!(reported[name], expected, "{name}");
    }
    let now = node.engine.now() / 1000;
    for name in ["created_time", "updated_time"] {
        assert!(
            (now - 60..=now).contains(&reported[name].as_i64().unwrap()),
            "{name}: {reported}"
        );
    }
    assert_eq!(reported.as_object().unwrap().len(), 7);

    let path = format!("{PATH}/{id}");
    let renamed = json!({ "sign_name": "Acme 2" });
    assert_eq!(
        refused(&node, "PUT", &path, renamed.clone()).await.2,
        "can not update pending status sign"
    );
    let review = async |review, reason| {
        let reviewed = node
            .engine
            .review_signature(ACCOUNT, id.parse().unwrap(), review, reason)
            .await;
        reviewed.unwrap();
    };
    review(Review::Approved, "").await;
    assert_eq!(one(&node, &id).await["status"], 2);
    assert_eq!(
        done(&node, "PUT", &path, renamed).await,
        json!({ "code": 0, "message": "success" })
    );
    let reported = one(&node, &id).await;
    assert_eq!(
        (&reported["sign_name"], &reported["status"]),
        (&json!("Acme 2"), &json!(1))
    );
    review(Review::Rejected, "no documents").await;
    let reported = one(&node, &id).await;
    assert_eq!(
        (&reported["status"], &reported["audit_remark"]),
        (&json!(3), &json!("no documents"))
    );
    assert_eq!(
        done(&node, "DELETE", &path, Value::Null).await,
        json!({ "code": 0, "message": "success" })
    );
    assert_eq!(
        refused(&node, "GET", &path, Value::Null).await.2,
        "sign config not exist"
    );
}

#[tokio::test]
async fn signatures_are_listed_as_a_bare_array() {
    let node = TestNode::start().await;
    let listed = done(&node, "GET", PATH, Value::Null).await;
    let reported: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                &one["sign_id"],
                &one["sign_name"],
                &one["status"],
                &one["related_template_count"],
            )
        })
        .collect();
    assert_eq!(
        reported,
        [
            (&json!("7"), &json!("Example"), &json!(2), &json!(1)),
            (&json!("8"), &json!("Waiting"), &json!(1), &json!(1))
        ]
    );
    assert_eq!(node.ask(get(PATH, USER_OTHER)).await.json(), json!([]));
}

#[tokio::test]
async fn what_is_refused_of_a_signature_says_why() {
    let node = TestNode::start().await;
    let name = "invalid parameters: sign_name must be a string of 2 to 60 characters without 【, 】, [, ] and variables";
    for (method, path, body, message) in [
        ("GET", "/v1/sign-configs/x", Value::Null, "invalid signId"),
        (
            "GET",
            "/v1/sign-configs/999",
            Value::Null,
            "sign config not exist",
        ),
        (
            "PUT",
            "/v1/sign-configs/x",
            json!({ "sign_name": "Acme" }),
            "invalid signId",
        ),
        (
            "PUT",
            "/v1/sign-configs/999",
            json!({ "sign_name": "Acme" }),
            "sign config not exist",
        ),
        ("DELETE", "/v1/sign-configs/x", Value::Null, "invalid signId"),
        (
            "DELETE",
            "/v1/sign-configs/999",
            Value::Null,
            "sign config not exist",
        ),
        ("POST", PATH, json!({}), name),
        ("POST", PATH, json!({ "sign_name": "a" }), name),
        ("POST", PATH, json!({ "sign_name": "x".repeat(61) }), name),
        ("POST", PATH, json!({ "sign_name": "[Acme]" }), name),
        ("POST", PATH, json!({ "sign_name": "Acme {{name}}" }), name),
        (
            "POST",
            PATH,
            json!({ "sign_name": SIGNATURE.1 }),
            "sign_name already exist",
        ),
        (
            "PUT",
            "/v1/sign-configs/7",
            json!({ "sign_name": SIGNATURE_PENDING.1 }),
            "sign_name already exist",
        ),
        (
            "PUT",
            "/v1/sign-configs/8",
            json!({ "sign_name": "Acme" }),
            "can not update pending status sign",
        ),
        (
            "DELETE",
            "/v1/sign-configs/8",
            Value::Null,
            "can not update pending status sign",
        ),
        (
            "DELETE",
            "/v1/sign-configs/7",
            Value::Null,
            "there are templates using current sign, can not delete",
        ),
        ("POST", PATH, json!(7), "invalid parameters"),
    ] {
        assert_eq!(
            refused(&node, method, path, body.clone()).await,
            (400, 400, message.to_owned()),
            "{method} {path} {body:.80}"
        );
    }
}
