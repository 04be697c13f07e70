//! SendCloud over the router: what each request is answered, and what becomes of what it sends.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests stop at the first surprise"
)]

mod house;

use api::Limits;
use axum::body::Body;
use engine::clock::SystemClock;
use house::{
    Answer, BADLY_SIGNED, BROKE_PLAIN, CAPPED_PLAIN, CODE, DAILY_PLAIN, FOREIGN, House, KEY, LONG, NOTICE,
    PENDING, PLAIN, SIGNATURE, SIGNATURE_PENDING, UNROUTED_PREFIX, USER, USER_BROKE, USER_CAPPED, USER_DAILY,
    USER_GONE, USER_MUTE, USER_OFF, damage,
};
use http::{Method, Request, StatusCode, header};
use md5::{Digest, Md5};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::sync::Arc;

const FORM: &str = "application/x-www-form-urlencoded";

type Fields<'a> = BTreeMap<&'a str, String>;

fn fields<'a>(pairs: &[(&'a str, &str)]) -> Fields<'a> {
    pairs
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

/// The fields of a good `send`.
fn send_fields<'a>() -> Fields<'a> {
    fields(&[
        ("smsUser", USER),
        ("templateId", &CODE.to_string()),
        ("msgType", "0"),
        ("phone", "13800138000"),
        ("vars", r#"{"%code%":"8341"}"#),
    ])
}

fn sign_string(fields: &Fields<'_>, key: &str) -> String {
    let signed = fields
        .iter()
        .filter(|(name, _)| **name != "signature" && **name != "smsKey");
    let joined: Vec<_> = signed.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{key}&{}&{key}", joined.join("&"))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn md5(fields: &Fields<'_>) -> String {
    hex(&Md5::digest(sign_string(fields, KEY)))
}

fn sha256(fields: &Fields<'_>) -> String {
    hex(&Sha256::digest(sign_string(fields, KEY)))
}

fn encode(fields: &Fields<'_>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path)
        .header(header::CONTENT_TYPE, FORM)
        .body(body.into())
        .unwrap()
}

/// A signed request with these fields.
fn signed(path: &str, fields: &Fields<'_>) -> Request<Body> {
    let mut fields = fields.clone();
    fields.insert("signature", md5(&fields));
    post(path, encode(&fields))
}

fn code_of(answer: &Answer) -> u64 {
    assert_eq!(
        answer.headers[header::CONTENT_TYPE],
        "application/json;charset=utf-8"
    );
    let envelope = answer.json();
    assert!(
        envelope["result"].is_boolean() && envelope["message"].is_string(),
        "{}",
        answer.body
    );
    assert!(
        envelope["info"].is_object(),
        "info is always an object: {}",
        answer.body
    );
    envelope["statusCode"].as_u64().unwrap()
}

fn replaced<'a>(fields: &Fields<'a>, name: &'a str, value: &str) -> Fields<'a> {
    let mut fields = fields.clone();
    fields.insert(name, value.to_owned());
    fields
}

async fn status_until(house: &House, sms_id: &str, wanted: u64) -> Value {
    let query = fields(&[("smsUser", USER), ("days", "1"), ("smsIds", sms_id)]);
    let answer = house
        .ask_until(
            || signed("/smsapi/status/query", &query),
            |answer| answer.json()["info"]["voList"][0]["statusCode"] == wanted,
        )
        .await;
    answer.json()["info"].clone()
}

#[tokio::test]
async fn a_message_is_sent_delivered_and_ends_as_200() {
    let house = House::start().await;
    let answer = house.ask(signed("/smsapi/send", &send_fields())).await;
    assert_eq!(answer.status, StatusCode::OK);
    let envelope = answer.json();
    assert_eq!(
        (&envelope["result"], &envelope["statusCode"], &envelope["message"]),
        (&json!(true), &json!(200), &json!("请求成功"))
    );
    assert_eq!(envelope["info"]["successCount"], 1);
    assert_eq!(
        envelope["info"].as_object().unwrap().len(),
        2,
        "no failures, no items"
    );
    let sms_id = envelope["info"]["smsIds"][0].as_str().unwrap();
    let (prefix, phone) = sms_id.split_once('$').unwrap();
    assert_eq!(phone, "13800138000");
    let parts: Vec<_> = prefix.split('_').collect();
    assert_eq!(
        (parts.len(), parts[1], parts[3], parts[4].len()),
        (5, "1", "1001", 6)
    );
    assert_eq!(house.received("+8613800138000").await.text, "Your code is 8341");

    let info = status_until(&house, sms_id, 200).await;
    assert_eq!((&info["voListSize"], &info["total"]), (&json!(1), &json!("1")));
    let row = &info["voList"][0];
    for (name, expected) in [
        ("smsId", json!(sms_id)),
        ("msgType", json!("国内短信")),
        ("receiver", json!("13800138000")),
        ("sendLog", json!("发送成功")),
        ("smsUser", json!(USER)),
        ("status", json!("送达")),
        ("statusCode", json!(200)),
        ("templateId", json!("1001")),
        ("templateName", json!("code")),
    ] {
        assert_eq!(row[name], expected, "{name}");
    }
    for time in ["requestTime", "updateTime"] {
        assert_eq!(row[time].as_str().unwrap().len(), "2026-11-22 12:00:00".len());
    }
}

#[tokio::test]
async fn every_code_of_a_refusal_is_answered_where_it_belongs() {
    let house = House::start().await;
    let good = send_fields();
    let plain = |user: &str, template: i64| {
        fields(&[
            ("smsUser", user),
            ("templateId", &template.to_string()),
            ("phone", "13800138000"),
        ])
    };
    let old = (house.engine.now() - 60_001).to_string();
    let just = (house.engine.now() - 50_000).to_string();
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
        let answer = house.ask(signed("/smsapi/send", &request)).await;
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
    let house = House::start().await;
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
        let answer = house
            .ask(post(
                "/smsapi/send",
                encode(&replaced(&good, "signature", &signature)),
            ))
            .await;
        assert_eq!(code_of(&answer), expected, "{what}");
    }
}

#[tokio::test]
async fn the_texts_are_the_vendors() {
    let house = House::start().await;
    let good = send_fields();
    let old = (house.engine.now() - 3_600_000).to_string();
    for (name, value, message) in [
        ("phone", "13800138000", "请求成功"),
        ("phone", "1312222", "手机号格式错误"),
        ("phone", "", "手机号不能为空"),
        ("templateId", "999999", "模板不存在"),
        ("smsUser", "nobody", "smsUser不存在"),
        ("timestamp", &old, "时间戳无效，与服务器时间超过60000毫秒"),
    ] {
        let answer = house
            .ask(signed("/smsapi/send", &replaced(&good, name, value)))
            .await;
        assert_eq!(answer.json()["message"], message);
    }
    let bad = house
        .ask(signed("/smsapi/send", &replaced(&good, "phone", "1312222")))
        .await;
    assert_eq!(
        bad.body, r#"{"message":"手机号格式错误","info":{},"result":false,"statusCode":412}"#,
        "seed 002's sample"
    );
}

#[tokio::test]
async fn some_bad_numbers_make_it_partial_and_all_bad_numbers_a_failure() {
    let house = House::start().await;
    let some = house
        .ask(signed(
            "/smsapi/send",
            &replaced(&send_fields(), "phone", "13800138000,1312222"),
        ))
        .await;
    let envelope = some.json();
    assert_eq!(
        (code_of(&some), &envelope["result"], &envelope["message"]),
        (311, &json!(true), &json!("部分成功"))
    );
    assert_eq!(envelope["info"]["successCount"], 1);
    assert_eq!(envelope["info"]["failedCount"], 1);
    assert_eq!(
        envelope["info"]["items"],
        json!([{ "phone": "1312222", "vars": {}, "message": "手机号格式错误" }]),
        "seed 002's sample"
    );
    assert_eq!(envelope["info"]["smsIds"].as_array().unwrap().len(), 1);

    let none = house
        .ask(signed(
            "/smsapi/send",
            &replaced(&send_fields(), "phone", "1,2;3"),
        ))
        .await;
    let envelope = none.json();
    assert_eq!(
        (code_of(&none), &envelope["result"], &envelope["message"]),
        (312, &json!(false), &json!("全部请求失败"))
    );
    assert_eq!(envelope["info"]["successCount"], 0);
    assert_eq!(envelope["info"]["failedCount"], 3);
    assert_eq!(envelope["info"]["items"].as_array().unwrap().len(), 3);
    assert_eq!(envelope["info"]["smsIds"], json!([]));
}

#[tokio::test]
async fn sendx_gives_each_number_its_own_variables() {
    let house = House::start().await;
    let tos = r#"[{"phone":"13800138001","vars":{"%name%":"Lucy","place":"Bath"}},
                  {"phone":"13800138002","vars":{"name":"小明","%place%":"York"}},
                  {"phone":"13800138003","vars":{"name":"a name that is longer than 32 characters","place":"x"}}]"#;
    let request = fields(&[
        ("smsUser", USER),
        ("templateId", &NOTICE.to_string()),
        ("msgType", "0"),
        ("tos", tos),
    ]);
    for path in ["/smsapi/sendx", "/smsapi/sendn"] {
        let answer = house.ask(signed(path, &request)).await;
        assert_eq!(code_of(&answer), 311, "{path}: {}", answer.body);
        let item = &answer.json()["info"]["items"][0];
        assert_eq!(
            (&item["phone"], &item["vars"]["place"]),
            (&json!("13800138003"), &json!("x"))
        );
        assert_eq!(item["message"], "替换变量长度不能超过32个字符");
    }
    assert_eq!(
        house.received("+8613800138001").await.text,
        "Hello Lucy, welcome to Bath"
    );
    assert_eq!(
        house.received("+8613800138002").await.text,
        "Hello 小明, welcome to York"
    );
    for (tos, expected) in [("", 481), ("[]", 481), ("x", 482), (r#"[{"phone":"1"}]"#, 482)] {
        assert_eq!(
            code_of(
                &house
                    .ask(signed("/smsapi/sendx", &replaced(&request, "tos", tos)))
                    .await
            ),
            expected
        );
    }
}

#[tokio::test]
async fn codes_go_out_without_a_template_by_text_and_by_voice() {
    let house = House::start().await;
    let code = fields(&[
        ("smsUser", USER),
        ("msgType", "0"),
        ("phone", "13800138000"),
        ("code", "4826"),
    ]);
    let named = replaced(&code, "signName", SIGNATURE.1);
    let answer = house.ask(signed("/smsapi/sendCode", &named)).await;
    assert_eq!(code_of(&answer), 200, "{}", answer.body);
    assert!(
        answer.json()["info"]["smsIds"][0]
            .as_str()
            .unwrap()
            .contains("_-3_"),
        "the built-in template's number"
    );
    assert_eq!(
        house.received("+8613800138000").await.text,
        "【Example】Your verification code is 4826."
    );

    let spoken = replaced(
        &replaced(&code, "phone", "13800138009"),
        "code",
        r#"{"code": "123456"}"#,
    );
    let answer = house.ask(signed("/smsapi/sendVoice", &spoken)).await;
    assert_eq!(
        (code_of(&answer), &answer.json()["info"]["successCount"]),
        (200, &json!(1))
    );
    let heard = house.received("+8613800138009").await;
    assert_eq!(
        (heard.text.as_str(), heard.kind),
        (
            "Your verification code is 123456.",
            engine::sms::class::Kind::Voice
        )
    );
    let sms_id = answer.json()["info"]["smsIds"][0].as_str().unwrap().to_owned();
    assert_eq!(
        status_until(&house, &sms_id, 200).await["voList"][0]["msgType"],
        "语音"
    );

    let unrouted = format!("00{UNROUTED_PREFIX}55512345");
    for (what, request, expected) in [
        ("signId", replaced(&code, "signId", &SIGNATURE.0.to_string()), 200),
        (
            "signId wins",
            replaced(&replaced(&code, "signId", "7"), "signName", "nobody's"),
            200,
        ),
        ("no signature", code.clone(), 432),
        ("unknown signature", replaced(&code, "signName", "nobody's"), 432),
        (
            "signature under review",
            replaced(&code, "signId", &SIGNATURE_PENDING.0.to_string()),
            432,
        ),
        ("code too short", replaced(&named, "code", "123"), 441),
        ("no code", replaced(&named, "code", ""), 441),
        (
            "two numbers",
            replaced(&named, "phone", "13800138000,13900139000"),
            412,
        ),
        ("bad number", replaced(&named, "phone", "1312222"), 412),
        ("no carrier", replaced(&named, "phone", &unrouted), 601),
    ] {
        let answer = house.ask(signed("/smsapi/sendCode", &request)).await;
        assert_eq!(code_of(&answer), expected, "{what}: {}", answer.body);
    }
    let answer = house
        .ask(signed("/smsapi/sendVoice", &replaced(&code, "phone", &unrouted)))
        .await;
    assert_eq!(code_of(&answer), 601, "no carrier that speaks");
}

#[tokio::test]
async fn what_fails_in_processing_is_accepted_and_told_by_the_status_query() {
    let house = House::start().await;
    let good = send_fields();
    let long = replaced(
        &replaced(&good, "templateId", &LONG.to_string()),
        "vars",
        r#"{"tail":"12345678901"}"#,
    );
    for (request, code, status, log) in [
        (
            replaced(&good, "phone", "13800000410"),
            410,
            "处理失败-全局拦截列表",
            "smsworker:address in global bounce list",
        ),
        (
            replaced(&good, "phone", "13800000420"),
            420,
            "处理失败-局部拦截列表",
            "smsworker:address in local bounce list",
        ),
        (
            replaced(&good, "phone", "13800000430"),
            430,
            "处理失败-取消订阅",
            "smsworker:address in unsubscribe list",
        ),
        (
            replaced(&good, "vars", r#"{"other":"1"}"#),
            450,
            "处理失败-替换变量错误",
            "smsworker:variable error",
        ),
        (
            long,
            460,
            "处理失败-短信内容超过500字",
            "smsworker:content over 500 characters",
        ),
    ] {
        let answer = house.ask(signed("/smsapi/send", &request)).await;
        assert_eq!(code_of(&answer), 200, "{code}: {}", answer.body);
        let sms_id = answer.json()["info"]["smsIds"][0].as_str().unwrap().to_owned();
        let row = status_until(&house, &sms_id, code).await["voList"][0].clone();
        assert_eq!(
            (row["status"].as_str().unwrap(), row["sendLog"].as_str().unwrap()),
            (status, log)
        );
    }
}

#[tokio::test]
async fn what_a_carrier_refuses_is_told_by_the_status_query() {
    let house = House::start().await;
    let abroad = replaced(&send_fields(), "msgType", "2");
    for (phone, code, status) in [
        ("+10000000001", 500, "发送失败-空号"),
        ("0010000000018", 580, "发送失败-关机"),
    ] {
        let answer = house
            .ask(signed("/smsapi/send", &replaced(&abroad, "phone", phone)))
            .await;
        assert_eq!(code_of(&answer), 200, "{}", answer.body);
        let sms_id = answer.json()["info"]["smsIds"][0].as_str().unwrap().to_owned();
        assert!(sms_id.ends_with(&format!("${phone}")), "the number as sent");
        let row = status_until(&house, &sms_id, code).await["voList"][0].clone();
        assert_eq!(
            (&row["status"], &row["msgType"]),
            (&json!(status), &json!("国际短信"))
        );
    }
}

#[tokio::test]
async fn a_send_request_id_counts_once_an_hour() {
    let house = House::start().await;
    let first = replaced(&send_fields(), "sendRequestId", "req-0001");
    let refused = house
        .ask(signed("/smsapi/send", &replaced(&first, "phone", "1312222")))
        .await;
    assert_eq!(
        code_of(&refused),
        412,
        "refused as a whole: the id is not used up"
    );
    assert_eq!(code_of(&house.ask(signed("/smsapi/send", &first)).await), 200);
    let again = house.ask(signed("/smsapi/send", &first)).await;
    assert_eq!(
        (code_of(&again), &again.json()["info"], &again.json()["result"]),
        (400, &json!({}), &json!(false))
    );
    let other_body = house
        .ask(signed("/smsapi/send", &replaced(&first, "phone", "13900139000")))
        .await;
    assert_eq!(code_of(&other_body), 400, "also with another body");
    let voice = fields(&[
        ("smsUser", USER),
        ("phone", "13800138000"),
        ("code", "4826"),
        ("sendRequestId", "req-0001"),
    ]);
    assert_eq!(
        code_of(&house.ask(signed("/smsapi/sendVoice", &voice)).await),
        400,
        "one space for all interfaces"
    );
    house.received("+8613800138000").await;
    assert_eq!(house.inbox_count("+8613900139000"), 0);
}

#[tokio::test]
async fn an_idempotency_key_repeats_the_first_answer() {
    let house = House::start().await;
    let keyed = |fields: &Fields<'_>, key: &str| {
        let mut request = signed("/smsapi/send", fields);
        request
            .headers_mut()
            .insert("idempotency-key", key.parse().unwrap());
        request
    };
    let first = house.ask(keyed(&send_fields(), "k1")).await;
    assert_eq!(code_of(&first), 200);
    let again = house.ask(keyed(&send_fields(), "k1")).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    let other = house.ask(keyed(&send_fields(), "k2")).await;
    assert_ne!(other.body, first.body);
    let own = replaced(&send_fields(), "sendRequestId", "k1");
    assert_eq!(
        code_of(&house.ask(keyed(&own, "k1")).await),
        200,
        "the dialect's own id wins and has its own space"
    );
    assert_eq!(code_of(&house.ask(keyed(&own, "k3")).await), 400);
    assert_eq!(
        code_of(&house.ask(keyed(&send_fields(), &"k".repeat(256))).await),
        417
    );
}

#[tokio::test]
async fn parameters_may_come_by_query_string_and_by_get() {
    let house = House::start().await;
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
        assert_eq!(code_of(&house.ask(request).await), 200, "{method} {path}");
    }
}

fn fields_of_a_code<'a>() -> Fields<'a> {
    fields(&[("code", "4826"), ("signName", SIGNATURE.1)])
}

#[tokio::test]
async fn what_is_no_request_of_this_service_is_told_so_in_its_words() {
    let house = House::with(
        Limits {
            body_bytes_max: 2000,
            ..Limits::default()
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
        let answer = house.ask(request).await;
        assert_eq!(
            (answer.status.as_u16(), code_of(&answer)),
            (status, expected),
            "{what}: {}",
            answer.body
        );
    }
    let head = house.ask(method(Method::HEAD)).await;
    assert_eq!(head.status, StatusCode::METHOD_NOT_ALLOWED, "HEAD never sends");
}

#[tokio::test]
async fn the_clock_is_told_to_everybody() {
    let house = House::start().await;
    let before = house.engine.now();
    let answer = house
        .ask(Request::get("/smsapi/timestamp/get").body(Body::empty()).unwrap())
        .await;
    assert_eq!(code_of(&answer), 200);
    let told = answer.json()["info"]["timestamp"].as_i64().unwrap();
    assert!((before..=house.engine.now()).contains(&told));
}

#[tokio::test]
async fn status_queries_find_by_days_numbers_templates_and_labels_within_their_rate() {
    let limits = Limits {
        sendcloud_status_per_minute_max: 10_000,
        ..Limits::default()
    };
    let house = House::with(limits, Arc::new(SystemClock)).await;
    let batch = replaced(
        &replaced(&send_fields(), "phone", "13800138001,13800138002"),
        "labelId",
        "9",
    );
    assert_eq!(code_of(&house.ask(signed("/smsapi/send", &batch)).await), 200);
    let abroad = replaced(&replaced(&send_fields(), "phone", "+15550100"), "msgType", "2");
    assert_eq!(code_of(&house.ask(signed("/smsapi/send", &abroad)).await), 200);
    for (what, extra, total) in [
        ("today", vec![], "3"),
        ("one number", vec![("phones", "13800138001")], "1"),
        ("two numbers", vec![("phones", "13800138001;+15550100")], "2"),
        ("a label", vec![("labelIdsStr", "9")], "2"),
        ("another label", vec![("labelIdsStr", "8")], "0"),
        ("a template", vec![("templateId", "1001")], "3"),
        ("another template", vec![("templateId", "1002")], "0"),
        ("China", vec![("msgTypeStr", "0")], "2"),
        ("abroad", vec![("msgTypeStr", "2")], "1"),
        ("voice", vec![("msgTypeStr", "3")], "0"),
        ("MMS", vec![("msgTypeStr", "1")], "0"),
        (
            "ids nobody has",
            vec![("smsIds", "1_1_1_1_aaaaaa$13800138001")],
            "0",
        ),
    ] {
        let mut query = fields(&[("smsUser", USER), ("days", "1")]);
        query.extend(fields(&extra));
        let answer = house.ask(signed("/smsapi/status/query", &query)).await;
        assert_eq!(
            (code_of(&answer), &answer.json()["info"]["total"]),
            (200, &json!(total)),
            "{what}"
        );
    }
    let page = fields(&[("smsUser", USER), ("days", "1"), ("start", "1"), ("limit", "1")]);
    let info = house.ask(signed("/smsapi/status/query", &page)).await.json()["info"].clone();
    assert_eq!((&info["voListSize"], &info["total"]), (&json!(1), &json!("3")));
    let other = fields(&[("smsUser", house::USER_OTHER), ("days", "1")]);
    assert_eq!(
        house.ask(signed("/smsapi/status/query", &other)).await.json()["info"]["total"],
        "0"
    );
    for (extra, expected) in [
        (("days", "31"), 451),
        (("phones", "x"), 412),
        (("templateName", "code"), 441),
    ] {
        let query = replaced(&fields(&[("smsUser", USER), ("days", "1")]), extra.0, extra.1);
        assert_eq!(
            code_of(&house.ask(signed("/smsapi/status/query", &query)).await),
            expected
        );
    }
}

#[tokio::test]
async fn too_many_status_queries_a_minute_are_told_50000() {
    let limits = Limits {
        sendcloud_status_per_minute_max: 2,
        ..Limits::default()
    };
    let clock = Arc::new(engine::clock::PausedClock::at(1_795_278_600_000));
    let house = House::with(limits, Arc::clone(&clock) as Arc<dyn engine::clock::Clock>).await;
    let query = fields(&[("smsUser", USER), ("days", "1")]);
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(code_of(&house.ask(signed("/smsapi/status/query", &query)).await));
    }
    assert_eq!(codes, [200, 200, 50_000]);
    let limited = house.ask(signed("/smsapi/status/query", &query)).await;
    assert_eq!(
        limited.json(),
        json!({ "result": false, "statusCode": 50000, "message": "接口频率受限", "info": {} })
    );
    clock.advance(60_000);
    assert_eq!(
        code_of(&house.ask(signed("/smsapi/status/query", &query)).await),
        200
    );
}

#[tokio::test]
async fn success_is_never_told_when_nothing_was_stored() {
    let house = House::start().await;
    house.engine.store().close().await.unwrap();
    let answer = house.ask(signed("/smsapi/send", &send_fields())).await;
    assert_eq!((answer.status, code_of(&answer)), (StatusCode::OK, 501));
    let query = fields(&[("smsUser", USER), ("days", "1")]);
    let answer = house.ask(signed("/smsapi/status/query", &query)).await;
    assert_eq!((answer.status, code_of(&answer)), (StatusCode::OK, 501));
}

#[tokio::test]
async fn the_requests_of_published_clients_are_taken_octet_for_octet() {
    let house = House::start().await;
    let now = house.engine.now().to_string();
    let with_signature = |body: &str, signature: String| format!("{body}&signature={signature}");
    let base = |more: &[(&'static str, &str)]| {
        let mut all = fields(&[("smsUser", USER), ("msgType", "0"), ("timestamp", &now)]);
        all.extend(fields(more));
        all
    };
    let seconds = format!("{}000", &now[..10]);

    // Python, official: SHA-256, JSON with blanks and \uXXXX, blanks as plus.
    let py = base(&[
        ("phone", "13800138001"),
        ("templateId", "1002"),
        ("vars", r#"{"name": "\u5c0f\u660e", "place": "Bath"}"#),
        ("sendRequestId", "r1"),
        ("tag", r#"{"k": "v"}"#),
    ]);
    let py_body = format!(
        "smsUser=demo_user&msgType=0&phone=13800138001&templateId=1002&timestamp={now}\
         &vars=%7B%22name%22%3A+%22%5Cu5c0f%5Cu660e%22%2C+%22place%22%3A+%22Bath%22%7D&sendRequestId=r1\
         &tag=%7B%22k%22%3A+%22v%22%7D"
    );
    // Go, official: SHA-256, names in order, JSON with <>& escaped.
    let go = base(&[
        ("phone", "13800138002"),
        ("templateId", "1002"),
        ("vars", r#"{"name":"a\u003cb\u0026c","place":"York"}"#),
    ]);
    let go_body = |signature: &str| {
        format!(
            "msgType=0&phone=13800138002&signature={signature}&smsUser=demo_user&templateId=1002&timestamp={now}\
             &vars=%7B%22name%22%3A%22a%5Cu003cb%5Cu0026c%22%2C%22place%22%3A%22York%22%7D"
        )
    };
    // Java 1.3, official: MD5, names with percent signs, encoded as URLEncoder does.
    let java = base(&[
        ("phone", "13800138003"),
        ("templateId", "1002"),
        ("vars", r#"{"%name%":"Lucy*~","%place%":"Hull"}"#),
    ]);
    let java_body = format!(
        "smsUser=demo_user&templateId=1002&msgType=0&phone=13800138003\
         &vars=%7B%22%25name%25%22%3A%22Lucy*%7E%22%2C%22%25place%25%22%3A%22Hull%22%7D&timestamp={now}"
    );
    // easy-sms: MD5, `{}` for no variables, whole seconds in milliseconds.
    let easy = fields(&[
        ("smsUser", USER),
        ("templateId", "1003"),
        ("msgType", "0"),
        ("phone", "13800138004"),
        ("vars", "{}"),
        ("timestamp", &seconds),
    ]);
    let easy_body = format!(
        "smsUser=demo_user&templateId=1003&msgType=0&phone=13800138004&vars=%7B%7D&timestamp={seconds}"
    );
    // authgear: MD5, no vars when there are none, the request id a digest, names in order.
    let authgear = fields(&[
        ("smsUser", USER),
        ("templateId", "1003"),
        ("msgType", "2"),
        ("phone", "+15550101"),
        ("sendRequestId", "0cc175b9c0f1b6a831c399e269772661"),
    ]);
    let authgear_body = |signature: &str| {
        format!(
            "msgType=2&phone=%2B15550101&sendRequestId=0cc175b9c0f1b6a831c399e269772661&signature={signature}\
             &smsUser=demo_user&templateId=1003"
        )
    };
    for (client, body, number, text) in [
        (
            "Python",
            with_signature(&py_body, sha256(&py)),
            "+8613800138001",
            "Hello 小明, welcome to Bath",
        ),
        (
            "Go",
            go_body(&sha256(&go)),
            "+8613800138002",
            "Hello a<b&c, welcome to York",
        ),
        (
            "Java",
            with_signature(&java_body, md5(&java)),
            "+8613800138003",
            "Hello Lucy*~, welcome to Hull",
        ),
        (
            "easy-sms",
            with_signature(&easy_body, md5(&easy)),
            "+8613800138004",
            "Hello",
        ),
        ("authgear", authgear_body(&md5(&authgear)), "+15550101", "Hello"),
    ] {
        let answer = house.ask(post("/smsapi/send", body)).await;
        assert_eq!(code_of(&answer), 200, "{client}: {}", answer.body);
        assert!(
            answer.json()["info"]["smsIds"][0].is_string(),
            "{client} reads the first id"
        );
        assert_eq!(house.received(number).await.text, text, "{client}");
    }
}

/// Goal: no request, however damaged, gets a server error, an answer outside the envelope, or ends the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_requests_are_answered_in_the_envelope() {
    const REQUESTS: usize = 10_000;
    const AT_ONCE: usize = 64;
    let house = Arc::new(House::start().await);
    let mut random = StdRng::seed_from_u64(0x5eed_0002);
    let paths = [
        "/smsapi/send",
        "/smsapi/sendx",
        "/smsapi/sendCode",
        "/smsapi/sendVoice",
        "/smsapi/status/query",
    ];
    for _ in 0..REQUESTS / AT_ONCE + 1 {
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let path = paths[random.random_range(0..paths.len())];
            let request = damaged(&mut random, path);
            let house = Arc::clone(&house);
            asked.spawn(async move { (path, house.ask(request).await) });
        }
        for (path, answer) in asked.join_all().await {
            assert!(answer.status.as_u16() < 500, "{path}: {}", answer.body);
            assert_ne!(code_of(&answer), 501, "{path}: {}", answer.body);
        }
    }
}

fn damaged(random: &mut StdRng, path: &str) -> Request<Body> {
    let mut good = send_fields();
    good.extend(fields_of_a_code());
    good.insert(
        "tos",
        r#"[{"phone":"13800138000","vars":{"%n%":"1"}},{"phone":"13900139000","vars":{}}]"#.to_owned(),
    );
    good.insert("tag", r#"{"k":"v"}"#.to_owned());
    good.insert("days", "1".to_owned());
    if random.random_bool(0.5) {
        // Damage a value and sign it: what is behind the signature.
        let names: Vec<_> = good.keys().copied().collect();
        let name = names[random.random_range(0..names.len())];
        let value = damage(random, good[name].as_bytes());
        good.insert(name, String::from_utf8_lossy(&value).into_owned());
        signed(path, &good)
    } else {
        // Damage the octets of a signed request.
        good.insert("signature", md5(&good));
        let body = damage(random, encode(&good).as_bytes());
        post(path, body)
    }
}
