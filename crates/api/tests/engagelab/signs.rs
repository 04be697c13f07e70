//! Signatures of generation A.

use super::*;

#[tokio::test]
async fn a_signature_is_created_renamed_and_shown() {
    let node = TestNode::start().await;
    let made = done(&node, "POST", "/v1/signs", json!({ "sign_name": " Acme " })).await["result"].clone();
    assert_eq!(
        names(&made),
        ["create_time", "sign_id", "sign_name", "update_time"]
    );
    assert_eq!(made["sign_name"], "Acme");
    assert!(
        is_moment(&made["create_time"]) && is_moment(&made["update_time"]),
        "{made}"
    );
    let path = format!("/v1/signs/{}", made["sign_id"]);
    let id = made["sign_id"].as_i64().unwrap();
    let renamed = json!({ "sign_name": "Acme 2" });
    assert_eq!(
        refused(&node, "PUT", &path, renamed.clone()).await.1,
        34014,
        "what is under review is not touched"
    );
    node.engine
        .review_signature(ACCOUNT, id, engine::catalog::Review::Approved, "")
        .await
        .unwrap();
    assert_eq!(done(&node, "PUT", &path, renamed).await, json!({ "result": {} }));
    let reported = done(&node, "GET", &path, Value::Null).await["result"].clone();
    assert_eq!(
        (&reported["sign_id"], &reported["sign_name"]),
        (&json!(id), &json!("Acme 2"))
    );
    let signature = node.engine.catalog().signature(ACCOUNT, id).unwrap().clone();
    assert_eq!(
        signature.review,
        engine::catalog::Review::Submitted,
        "another name is reviewed again"
    );
}

#[tokio::test]
async fn what_is_refused_of_a_signature_has_its_code() {
    let node = TestNode::start().await;
    for (method, path, body, code) in [
        ("GET", "/v1/signs/999", Value::Null, 34010),
        ("GET", "/v1/signs/x", Value::Null, 34010),
        ("PUT", "/v1/signs/999", json!({ "sign_name": "Acme" }), 34010),
        ("PUT", "/v1/signs/7", json!({}), 34011),
        ("POST", "/v1/signs", json!({}), 34011),
        ("POST", "/v1/signs", json!({ "sign_name": "a" }), 34011),
        ("POST", "/v1/signs", json!({ "sign_name": "x".repeat(61) }), 34011),
        ("POST", "/v1/signs", json!({ "sign_name": "[Acme]" }), 34011),
        ("POST", "/v1/signs", json!({ "sign_name": SIGNATURE.1 }), 34012),
        (
            "PUT",
            "/v1/signs/7",
            json!({ "sign_name": SIGNATURE_PENDING.1 }),
            34012,
        ),
        ("PUT", "/v1/signs/8", json!({ "sign_name": "Acme" }), 34014),
        ("GET", "/v1/signs?offset=x", Value::Null, 30400),
    ] {
        let (status, reported, message) = refused(&node, method, path, body.clone()).await;
        assert_eq!(
            (status, reported),
            (400, code),
            "{method} {path} {body:.80}: {message}"
        );
    }
    assert_eq!(
        refused(&node, "GET", "/v1/signs/999", Value::Null).await.2,
        "sign not exists",
        "as on the page"
    );
}

#[tokio::test]
async fn an_account_has_a_hundred_signatures_at_most() {
    let node = TestNode::start().await;
    for n in 0..98 {
        done(
            &node,
            "POST",
            "/v1/signs",
            json!({ "sign_name": format!("Acme {n}") }),
        )
        .await;
    }
    let (status, code, _) = refused(&node, "POST", "/v1/signs", json!({ "sign_name": "Acme 98" })).await;
    assert_eq!((status, code), (400, 34013));
    let list = async |query: &str| {
        let listed = done(&node, "GET", &format!("/v1/signs?{query}"), Value::Null).await;
        (
            listed["count"].as_u64().unwrap(),
            listed["total"].as_u64().unwrap(),
        )
    };
    assert_eq!(list("").await, (100, 100));
    assert_eq!(list("sign_name=ACME%201").await, (11, 11), "whatever the case");
    assert_eq!(list("sign_name=Acme&offset=90&limit=5").await, (5, 98));
    assert_eq!(list("sign_name=none").await, (0, 0));
}
