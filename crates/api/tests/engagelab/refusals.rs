//! What generation A refuses, and who is not let in.

use super::*;

#[tokio::test]
async fn every_refusal_of_a_send_has_its_status_and_code() {
    let node = TestNode::start().await;
    let template = |number: i64| with(&code(), "/body/template_id", json!(number));
    let as_user = |user: &str, number: i64| post("/v1/send", user, template(number).to_string());
    let unrouted = format!("+{UNROUTED_PREFIX}55512345");
    for (what, request, expected) in [
        ("template unknown", send(&template(999_999)), (400, 33001)),
        (
            "another account's template",
            send(&template(FOREIGN)),
            (400, 33001),
        ),
        (
            "template as a text",
            send(&with(&code(), "/body/template_id", json!(CODE.to_string()))),
            (200, 0),
        ),
        ("template under review", send(&template(PENDING)), (400, 33002)),
        (
            "its signature under review",
            send(&template(BADLY_SIGNED)),
            (400, 34010),
        ),
        (
            "no template",
            send(&with(&code(), "/body/template_id", Value::Null)),
            (400, 33003),
        ),
        (
            "value of 16",
            send(&with(&code(), "/body/vars/code", json!("小".repeat(16)))),
            (200, 0),
        ),
        (
            "value of 17",
            send(&with(&code(), "/body/vars/code", json!("小".repeat(17)))),
            (400, 33005),
        ),
        (
            "link in a value",
            send(&with(&code(), "/body/vars/code", json!("http://x.y"))),
            (400, 33006),
        ),
        ("too long to send", send(&template(ENDLESS)), (400, 33007)),
        (
            "vars a sentence",
            send(&with(&code(), "/body/vars", json!("code 8341"))),
            (400, 33004),
        ),
        (
            "label no number",
            send(&with(&code(), "/body/label_id", json!("x"))),
            (400, 34020),
        ),
        (
            "from too short",
            send(&with(&code(), "/from", json!("ab"))),
            (400, 30400),
        ),
        (
            "from too long",
            send(&with(&code(), "/from", json!("abcdefghijkl"))),
            (400, 30400),
        ),
        (
            "from Chinese",
            send(&with(&code(), "/from", json!("示例公司"))),
            (400, 30400),
        ),
        (
            "from good",
            send(&with(&code(), "/from", json!("Acme24"))),
            (200, 0),
        ),
        ("from blank", send(&with(&code(), "/from", json!(""))), (200, 0)),
        (
            "msg_type 1",
            send(&with(&code(), "/msg_type", json!(1))),
            (400, 30400),
        ),
        (
            "request_id too long",
            send(&with(&code(), "/request_id", json!("r".repeat(129)))),
            (400, 30400),
        ),
        (
            "custom_args no object",
            send(&with(&code(), "/custom_args", json!("x"))),
            (400, 30400),
        ),
        ("to empty", send(&with(&code(), "/to", json!([]))), (400, 32001)),
        ("to a lone text", send(&with(&code(), "/to", json!(TO))), (200, 0)),
        (
            "1001 numbers",
            send(&with(&code(), "/to", json!(vec![TO; 1001]))),
            (400, 32003),
        ),
        (
            "no route",
            send(&with(&code(), "/to", json!([unrouted]))),
            (400, 32005),
        ),
        ("no JSON", post("/v1/send", USER, "{'a'}"), (400, 30400)),
        (
            "bad UTF-8",
            post("/v1/send", USER, b"{\"to\":\"\xff\"}".as_slice()),
            (400, 30400),
        ),
        ("account may not send", as_user(USER_MUTE, PLAIN), (403, 30403)),
        ("balance of 2", as_user(USER_BROKE, BROKE_PLAIN), (200, 0)),
        ("balance of 1", as_user(USER_BROKE, BROKE_PLAIN), (200, 0)),
        ("no balance", as_user(USER_BROKE, BROKE_PLAIN), (400, 30402)),
        ("first this minute", as_user(USER_CAPPED, CAPPED_PLAIN), (200, 0)),
        (
            "second this minute",
            as_user(USER_CAPPED, CAPPED_PLAIN),
            (400, 32004),
        ),
        ("first today", as_user(USER_DAILY, DAILY_PLAIN), (200, 0)),
        ("second today", as_user(USER_DAILY, DAILY_PLAIN), (400, 32004)),
    ] {
        let answer = node.ask(request).await;
        assert_eq!(reported(&answer), expected, "{what}: {}", answer.body);
        assert!(!answer.body.contains(KEY), "{what}: no secret in answers");
    }
}

#[tokio::test]
async fn callers_must_prove_who_they_are_in_their_generation() {
    let node = TestNode::start().await;
    for (path, body, wrong, off) in [
        ("/v1/send", code(), 30000, 30000),
        ("/v1/messages", plan(), 2001, 2002),
    ] {
        for (what, authorization, expected) in [
            ("none", None, wrong),
            ("another scheme", Some(format!("Bearer {KEY}")), wrong),
            ("wrong secret", Some(basic(USER, "wrong")), wrong),
            ("unknown user", Some(basic("nobody", KEY)), wrong),
            ("account gone", Some(basic(USER_GONE, KEY)), wrong),
            (
                "the seed's placeholder",
                Some("Basic <<YOUR_SMS_KEY_HERE>>".to_owned()),
                wrong,
            ),
            ("switched off", Some(basic(USER_OFF, KEY)), off),
        ] {
            let mut request = Request::post(path).body(Body::from(body.to_string())).unwrap();
            if let Some(authorization) = authorization {
                request
                    .headers_mut()
                    .insert(header::AUTHORIZATION, authorization.parse().unwrap());
            }
            let answer = node.ask(request).await;
            assert_eq!(reported(&answer), (401, expected), "{path} {what}");
            assert!(
                answer.headers[header::WWW_AUTHENTICATE]
                    .to_str()
                    .unwrap()
                    .starts_with("Basic")
            );
        }
    }
    let unauthorized = node
        .ask(Request::post("/v1/send").body(Body::empty()).unwrap())
        .await;
    assert_eq!(
        unauthorized.json(),
        json!({ "code": 30000, "message": "Unauthorized." })
    );
}

#[tokio::test]
async fn what_is_no_request_of_this_service_gets_the_services_error() {
    let node = TestNode::with(
        Limits {
            body_bytes_max: 1000,
            ..crate::testkit::limits()
        },
        Arc::new(SystemClock),
    )
    .await;
    let long = "x".repeat(1001);
    let method = |method: Method, path: &str| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, basic(USER, KEY));
        request.body(Body::empty()).unwrap()
    };
    let untyped = Request::post("/v1/send").header(header::AUTHORIZATION, basic(USER, KEY));
    for (what, request, expected) in [
        (
            "no content type",
            untyped.body(Body::from(code().to_string())).unwrap(),
            (200, 0),
        ),
        (
            "too long for A",
            post("/v1/send", USER, long.clone()),
            (413, 30413),
        ),
        ("too long for C", post("/v1/messages", USER, long), (413, 3002)),
        ("GET on A", method(Method::GET, "/v1/send"), (405, 30405)),
        ("GET on C", method(Method::GET, "/v1/messages"), (405, 3002)),
        ("POST on status", method(Method::POST, "/v1/status"), (405, 30405)),
        (
            "another path",
            method(Method::GET, "/v1/nothing/here"),
            (404, 30404),
        ),
        ("no path", method(Method::GET, "/v1"), (404, 30404)),
        ("no path but a slash", method(Method::GET, "/v1/"), (404, 30404)),
        (
            "status without a day",
            method(Method::GET, "/v1/status"),
            (400, 30400),
        ),
    ] {
        let answer = node.ask(request).await;
        assert_eq!(reported(&answer), expected, "{what}: {}", answer.body);
    }
    let allowed = node.ask(method(Method::DELETE, "/v1/send")).await;
    assert_eq!(allowed.headers[header::ALLOW], "POST");
}
