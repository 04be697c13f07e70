//! What all interfaces that manage and count have in common.

use super::*;

/// Each path with its verbs, and which generation's credentials it takes.
const PATHS: [(&str, &[&str], char); 13] = [
    ("/v1/templates", &["GET", "POST"], 'A'),
    ("/v1/templates/1001", &["GET", "PUT", "DELETE"], 'A'),
    ("/v1/templates/1001/submit", &["POST"], 'A'),
    ("/v1/signs", &["GET", "POST"], 'A'),
    ("/v1/signs/7", &["GET", "PUT"], 'A'),
    ("/v1/labels", &["GET", "POST"], 'A'),
    ("/v1/labels/1", &["GET", "PUT", "DELETE"], 'A'),
    ("/v1/stats_day", &["GET"], 'A'),
    ("/v1/data/stats_day", &["GET"], 'A'),
    ("/v1/template-configs", &["GET", "POST"], 'C'),
    ("/v1/template-configs/1001", &["GET", "PUT", "DELETE"], 'C'),
    ("/v1/sign-configs", &["GET", "POST"], 'C'),
    ("/v1/sign-configs/7", &["GET", "PUT", "DELETE"], 'C'),
];
const VERBS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"];

#[tokio::test]
async fn every_interface_wants_the_key_pair_of_its_generation() {
    let node = TestNode::start().await;
    for (path, verbs, generation) in PATHS {
        for verb in verbs {
            let (wrong, off) = if generation == 'A' {
                (30000, 30000)
            } else {
                (2001, 2002)
            };
            for (what, authorization, expected) in [
                ("none", None, wrong),
                ("wrong secret", Some(basic(USER, "wrong")), wrong),
                ("unknown user", Some(basic("nobody", KEY)), wrong),
                ("account gone", Some(basic(USER_GONE, KEY)), wrong),
                ("switched off", Some(basic(USER_OFF, KEY)), off),
            ] {
                let mut request = Request::builder()
                    .method(*verb)
                    .uri(path)
                    .body(Body::empty())
                    .unwrap();
                if let Some(authorization) = authorization {
                    let value = authorization.parse().unwrap();
                    request.headers_mut().insert(header::AUTHORIZATION, value);
                }
                let answer = node.ask(request).await;
                assert_eq!(reported(&answer), (401, expected), "{verb} {path} {what}");
                assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
            }
        }
    }
}

#[tokio::test]
async fn every_interface_has_its_verbs_and_no_others() {
    let node = TestNode::start().await;
    for (path, verbs, generation) in PATHS {
        for verb in VERBS {
            let answer = node.ask(managing(verb, path, USER, &Value::Null)).await;
            let allowed = verbs.contains(&verb) || (verb == "HEAD" && verbs.contains(&"GET"));
            let status = answer.status.as_u16();
            assert_eq!(status == 405, !allowed, "{verb} {path}: {}", answer.body);
            if !allowed {
                assert_eq!(answer.headers[header::ALLOW], verbs.join(", "), "{path}");
                let code = if generation == 'A' { 30405 } else { 400 };
                // The answer to a HEAD has no body.
                assert!(verb == "HEAD" || answer.json()["code"] == code, "{verb} {path}");
            }
        }
    }
}

#[tokio::test]
async fn unreadable_bodies_are_refused() {
    let limits = Limits {
        body_bytes_max: 500,
        ..crate::testkit::limits()
    };
    let node = TestNode::with(limits, Arc::new(SystemClock)).await;
    for (path, verbs, generation) in PATHS {
        for verb in verbs.iter().filter(|verb| ["POST", "PUT"].contains(verb)) {
            let (broken, long) = if generation == 'A' {
                ((400, 30400), (413, 30413))
            } else {
                ((400, 400), (413, 400))
            };
            if !path.ends_with("submit") {
                for body in ["", "{", "[]", "7", "{\"a\":1,}", "\u{feff}\u{feff}{}"] {
                    let mut request = managing(verb, path, USER, &Value::Null);
                    *request.body_mut() = Body::from(body);
                    let answer = node.ask(request).await;
                    assert_eq!(
                        reported(&answer),
                        broken,
                        "{verb} {path} {body:?}: {}",
                        answer.body
                    );
                }
            }
            let mut request = managing(verb, path, USER, &Value::Null);
            *request.body_mut() = Body::from("x".repeat(501));
            assert_eq!(reported(&node.ask(request).await), long, "{verb} {path}");
        }
    }
}

#[tokio::test]
async fn what_others_have_is_not_there() {
    let node = TestNode::start().await;
    let label = done(&node, "POST", "/v1/labels", json!({ "label_name": "mine" })).await;
    let label = format!("/v1/labels/{}", label["result"]["label_id"]);
    for (path, expected) in [
        ("/v1/templates/1001", (400, 33001)),
        ("/v1/signs/7", (400, 34010)),
        (&label, (400, 34021)),
        ("/v1/template-configs/1001", (400, 400)),
        ("/v1/sign-configs/7", (400, 400)),
    ] {
        assert_eq!(reported(&node.ask(get(path, USER)).await), (200, 0), "{path}");
        assert_eq!(
            reported(&node.ask(get(path, USER_OTHER)).await),
            expected,
            "{path}"
        );
        let removed = node.ask(managing("DELETE", path, USER_OTHER, &Value::Null)).await;
        assert!(removed.status.is_client_error(), "{path}: {}", removed.body);
    }
    for (path, pointer) in [
        ("/v1/signs", "/total"),
        ("/v1/labels", "/total"),
        ("/v1/sign-configs", ""),
    ] {
        let listed = node.ask(get(path, USER_OTHER)).await.json();
        let empty = listed.pointer(pointer).unwrap();
        assert!(*empty == json!(0) || *empty == json!([]), "{path}: {listed}");
    }
}

#[tokio::test]
async fn a_failed_store_is_answered_with_the_generations_error() {
    let node = TestNode::start().await;
    node.engine.store().close().await.unwrap();
    let days = "start_date=2026-11-01&end_date=2026-11-02";
    let template = json!({ "template_name": "n", "template_type": 1, "template_content": "Hello" });
    let config = json!({ "template_name": "n", "template_type": "utility", "template_content": "Hello",
        "country_codes": "CN" });
    for (method, path, body, expected) in [
        ("POST", "/v1/templates", template, (500, 30500)),
        ("POST", "/v1/signs", json!({ "sign_name": "Acme" }), (500, 30500)),
        ("GET", "/v1/labels", Value::Null, (500, 30500)),
        ("POST", "/v1/labels", json!({ "label_name": "n" }), (500, 30500)),
        ("GET", &format!("/v1/stats_day?{days}"), Value::Null, (500, 30500)),
        ("POST", "/v1/template-configs", config.clone(), (500, 500)),
        ("PUT", "/v1/template-configs/1001", config, (500, 500)),
        ("DELETE", "/v1/template-configs/1001", Value::Null, (500, 500)),
        (
            "POST",
            "/v1/sign-configs",
            json!({ "sign_name": "Acme" }),
            (500, 500),
        ),
        ("DELETE", "/v1/sign-configs/7", Value::Null, (500, 500)),
    ] {
        let answer = node.ask(managing(method, path, USER, &body)).await;
        assert_eq!(reported(&answer), expected, "{method} {path}: {}", answer.body);
    }
}
