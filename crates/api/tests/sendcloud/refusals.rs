//! What is refused, and with which code.

use super::*;

#[tokio::test]
async fn every_code_of_a_refusal_is_answered_where_it_belongs() {
    let node = TestNode::start().await;
    let good = send_fields();
    let plain = |user: &str, template: i64| {
        fields(&[
            ("smsUser", user),
            ("templateId", &template.to_string()),
            ("phone", "13800138000"),
        ])
    };
    let old = (node.engine.now() - 6_500).to_string();
    let just = (node.engine.now() - 3_000).to_string();
    let long = format!(r#"{{"%code%":"{}"}}"#, "小".repeat(33));
    let fits = format!(r#"{{"%code%":"{}"}}"#, "小".repeat(32));
    let unrouted = format!("00{UNROUTED_PREFIX}55512345");
    let many: Vec<_> = (0..2001).map(|n| format!("138{n:08}")).collect();
    for (what, request, expected) in [
        ("good", good.clone(), 200),
        (
            "timestamp in the window",
            replaced(&good, "timestamp", &just),
            200,
        ),
        ("timestamp outside", replaced(&good, "timestamp", &old), 461),
        (
            "timestamp in seconds",
            replaced(&good, "timestamp", &old[..10]),
            461,
        ),
        ("no smsUser", replaced(&good, "smsUser", ""), 472),
        ("unknown smsUser", replaced(&good, "smsUser", "nobody"), 471),
        ("smsUser switched off", replaced(&good, "smsUser", USER_OFF), 601),
        ("account may not send", plain(USER_MUTE, PLAIN), 473),
        ("account gone", plain(USER_GONE, PLAIN), 474),
        ("no phone", replaced(&good, "phone", ""), 411),
        ("bad phone", replaced(&good, "phone", "1312222"), 412),
        ("+86", replaced(&good, "phone", "+8613800138000"), 412),
        (
            "repeated phone",
            replaced(&good, "phone", "13800138000,13800138000"),
            413,
        ),
        ("2001 phones", replaced(&good, "phone", &many.join(",")), 412),
        ("tag no JSON", replaced(&good, "tag", "k=v"), 416),
        (
            "tag too long",
            replaced(&good, "tag", &format!("{{\"k\":\"{}\"}}", "v".repeat(130))),
            417,
        ),
        ("unknown template", replaced(&good, "templateId", "999999"), 431),
        (
            "another account's template",
            replaced(&good, "templateId", &FOREIGN.to_string()),
            431,
        ),
        (
            "template under review",
            replaced(&good, "templateId", &PENDING.to_string()),
            432,
        ),
        (
            "its signature under review",
            replaced(&good, "templateId", &BADLY_SIGNED.to_string()),
            432,
        ),
        ("no templateId", replaced(&good, "templateId", ""), 433),
        ("vars no JSON", replaced(&good, "vars", "code=1"), 441),
        (
            "link in a value",
            replaced(&good, "vars", r#"{"%code%":"see HTTP://x.y"}"#),
            441,
        ),
        ("value of 32 characters", replaced(&good, "vars", &fits), 200),
        ("value of 33 characters", replaced(&good, "vars", &long), 483),
        (
            "the same with a bad number",
            replaced(&replaced(&good, "vars", &long), "phone", "1,13800138000"),
            483,
        ),
        ("no route", replaced(&good, "phone", &unrouted), 601),
        ("MMS", replaced(&good, "msgType", "1"), 601),
        (
            "sendRequestId too long",
            replaced(&good, "sendRequestId", &"r".repeat(129)),
            417,
        ),
        ("balance of 2", plain(USER_BROKE, BROKE_PLAIN), 200),
        (
            "balance of 1",
            replaced(
                &plain(USER_BROKE, BROKE_PLAIN),
                "phone",
                "13800138000,13800138001",
            ),
            499,
        ),
        ("first this minute", plain(USER_CAPPED, CAPPED_PLAIN), 200),
        ("second this minute", plain(USER_CAPPED, CAPPED_PLAIN), 496),
        ("first today", plain(USER_DAILY, DAILY_PLAIN), 200),
        ("second today", plain(USER_DAILY, DAILY_PLAIN), 498),
    ] {
        let answer = node.ask(signed("/smsapi/send", &request)).await;
        assert_eq!(answer.status, StatusCode::OK, "{what}");
        assert_eq!(code_of(&answer), expected, "{what}: {}", answer.body);
        if expected != 200 {
            assert_eq!(answer.json()["info"], json!({}), "{what}");
            assert_eq!(answer.json()["result"], false, "{what}");
        }
        assert!(!answer.body.contains(KEY), "{what}: no secret in answers");
    }
}

#[tokio::test]
async fn signatures_are_refused_for_what_is_wrong_with_them() {
    let node = TestNode::start().await;
    let good = send_fields();
    let sha = sha256(&good);
    for (what, signature, expected) in [
        ("MD5", md5(&good), 200),
        ("SHA-256 in capitals", sha.to_uppercase(), 200),
        ("none", String::new(), 421),
        ("no digest", "abc".to_owned(), 421),
        (
            "another's",
            hex(&Md5::digest(sign_string(&good, "another_key"))),
            422,
        ),
        (
            "of another request",
            md5(&replaced(&good, "phone", "13900139000")),
            422,
        ),
    ] {
        let answer = node
            .ask(post(
                "/smsapi/send",
                encode(&replaced(&good, "signature", &signature)),
            ))
            .await;
        assert_eq!(code_of(&answer), expected, "{what}");
    }
}

#[tokio::test]
async fn parameters_may_come_by_query_string_and_by_get() {
    let node = TestNode::start().await;
    for (method, path) in [
        (Method::GET, "/smsapi/send"),
        (Method::POST, "/smsapi/send"),
        (Method::GET, "/smsapi/sendCode"),
        (Method::GET, "/smsapi/sendVoice"),
    ] {
        let mut fields = send_fields();
        fields.extend(fields_of_a_code());
        fields.insert("signature", sha256(&fields));
        let uri = format!("{path}?{}", encode(&fields));
        let request = Request::builder()
            .method(&method)
            .uri(uri)
            .body(Body::empty())
            .unwrap();
        assert_eq!(code_of(&node.ask(request).await), 200, "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_no_request_of_this_service_gets_the_services_error() {
    let node = TestNode::with(
        Limits {
            body_bytes_max: 2000,
            ..crate::testkit::limits()
        },
        Arc::new(SystemClock),
    )
    .await;
    let body = encode(&replaced(&send_fields(), "signature", &md5(&send_fields())));
    let typed = |content_type: &str, body: String| {
        Request::post("/smsapi/send")
            .header(header::CONTENT_TYPE, content_type)
            .body(Body::from(body))
            .unwrap()
    };
    let method = |method: Method| {
        Request::builder()
            .method(method)
            .uri("/smsapi/send")
            .body(Body::empty())
            .unwrap()
    };
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    for (what, request, status, expected) in [
        (
            "no content type",
            Request::post("/smsapi/send")
                .body(Body::from(body.clone()))
                .unwrap(),
            200,
            200,
        ),
        ("JSON", typed("application/json", "{}".to_owned()), 200, 472),
        (
            "multipart",
            typed("multipart/form-data; boundary=x", body.clone()),
            200,
            472,
        ),
        (
            "too long",
            typed(FORM, format!("{body}&x={}", "x".repeat(2000))),
            200,
            472,
        ),
        ("nothing", post("/smsapi/send", ""), 200, 472),
        (
            "bad UTF-8",
            post(
                "/smsapi/send",
                "smsUser=%FF%FE&signature=00000000000000000000000000000000",
            ),
            200,
            471,
        ),
        (
            "a name twice",
            post("/smsapi/send", format!("{body}&phone=13900139000")),
            200,
            421,
        ),
        ("PUT", method(Method::PUT), 405, 601),
        ("DELETE", method(Method::DELETE), 405, 601),
        (
            "an interface that is not here",
            get("/smsapi/userinfo/get"),
            404,
            601,
        ),
        ("none", get("/smsapi/"), 404, 601),
    ] {
        let answer = node.ask(request).await;
        assert_eq!(
            (answer.status.as_u16(), code_of(&answer)),
            (status, expected),
            "{what}: {}",
            answer.body
        );
    }
    let head = node.ask(method(Method::HEAD)).await;
    assert_eq!(head.status, StatusCode::METHOD_NOT_ALLOWED, "HEAD never sends");
}
