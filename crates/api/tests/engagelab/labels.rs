//! Labels of generation A.

use super::*;

#[tokio::test]
async fn a_label_is_created_renamed_shown_and_removed() {
    let node = TestNode::start().await;
    let made = done(&node, "POST", "/v1/labels", json!({ "label_name": "spring" })).await["result"].clone();
    assert_eq!(
        names(&made),
        ["create_time", "label_id", "label_name", "update_time"]
    );
    assert_eq!(made["label_name"], "spring");
    assert!(
        is_moment(&made["create_time"]) && is_moment(&made["update_time"]),
        "{made}"
    );
    let path = format!("/v1/labels/{}", made["label_id"]);
    assert_eq!(
        done(&node, "PUT", &path, json!({ "label_name": "summer" })).await,
        json!({ "result": {} })
    );
    let reported = done(&node, "GET", &path, Value::Null).await["result"].clone();
    assert_eq!(
        (
            &reported["label_id"],
            &reported["label_name"],
            &reported["create_time"]
        ),
        (&made["label_id"], &json!("summer"), &made["create_time"])
    );
    assert_eq!(
        done(&node, "DELETE", &path, Value::Null).await,
        json!({ "result": {} })
    );
    for (method, body) in [
        ("GET", Value::Null),
        ("PUT", json!({ "label_name": "autumn" })),
        ("DELETE", Value::Null),
    ] {
        assert_eq!(
            refused(&node, method, &path, body).await,
            (400, 34021, "label not exists".to_owned()),
            "{method}"
        );
    }
}

#[tokio::test]
async fn what_is_refused_of_a_label_has_its_code() {
    let node = TestNode::start().await;
    done(&node, "POST", "/v1/labels", json!({ "label_name": "spring" })).await;
    let other = done(&node, "POST", "/v1/labels", json!({ "label_name": "summer" })).await;
    let other = format!("/v1/labels/{}", other["result"]["label_id"]);
    for (method, path, body, code) in [
        ("GET", "/v1/labels/x", Value::Null, 34020),
        ("PUT", "/v1/labels/1.5", json!({ "label_name": "n" }), 34020),
        ("DELETE", "/v1/labels/x", Value::Null, 34020),
        ("GET", "/v1/labels/999", Value::Null, 34021),
        ("POST", "/v1/labels", json!({}), 34022),
        (
            "POST",
            "/v1/labels",
            json!({ "label_name": "x".repeat(65) }),
            34022,
        ),
        ("PUT", &other, json!({ "label_name": " " }), 34022),
        ("POST", "/v1/labels", json!({ "label_name": "spring" }), 34023),
        ("PUT", &other, json!({ "label_name": "spring" }), 34023),
        ("GET", "/v1/labels?limit=-1", Value::Null, 30400),
    ] {
        let (status, reported, message) = refused(&node, method, path, body.clone()).await;
        assert_eq!(
            (status, reported),
            (400, code),
            "{method} {path} {body:.80}: {message}"
        );
    }
    assert_eq!(
        refused(&node, "GET", "/v1/labels/x", Value::Null).await.2,
        "label_id must be a integer",
        "as on the page"
    );
}

#[tokio::test]
async fn labels_are_listed_by_name_in_pieces() {
    let node = TestNode::start().await;
    for n in 0..12 {
        done(
            &node,
            "POST",
            "/v1/labels",
            json!({ "label_name": format!("Spring {n}") }),
        )
        .await;
    }
    done(&node, "POST", "/v1/labels", json!({ "label_name": "autumn" })).await;
    let list = async |query: &str| done(&node, "GET", &format!("/v1/labels?{query}"), Value::Null).await;
    let all = list("").await;
    assert_eq!(names(&all), ["count", "result", "total"]);
    assert_eq!((&all["count"], &all["total"]), (&json!(13), &json!(13)));
    assert_eq!(
        list("limit=200").await,
        all,
        "a limit of 200, as in the vendor's example"
    );
    let piece = list("label_name=spring&offset=10&limit=5").await;
    assert_eq!((&piece["count"], &piece["total"]), (&json!(2), &json!(12)));
    assert_eq!(piece["result"][0]["label_name"], "Spring 10");
    assert_eq!(
        list("label_name=none").await,
        json!({ "result": [], "total": 0, "count": 0 })
    );
}
