//! EngageLab over the router: what each request is answered, and what becomes of what it sends.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests stop at the first surprise"
)]

mod house;

use api::Limits;
use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine::clock::{Clock, PausedClock, SystemClock};
use engine::sms::state::MessageState;
use engine::{MessageFilter, MessageId};
use house::{
    ACCOUNT, Answer, BADLY_SIGNED, BLOCKED, BROKE_PLAIN, CAPPED_PLAIN, CODE, DAILY_PLAIN, ENDLESS, FOREIGN,
    House, KEY, NOTICE, PENDING, PLAIN, UNROUTED_PREFIX, USER, USER_BROKE, USER_CAPPED, USER_DAILY,
    USER_GONE, USER_MUTE, USER_OFF, USER_OTHER, damage, ut_id,
};
use http::{Method, Request, StatusCode, header};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::sync::Arc;

const TO: &str = "+12673800456";

fn basic(user: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{secret}")))
}

fn post(path: &str, user: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path)
        .header(header::AUTHORIZATION, basic(user, KEY))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.into())
        .unwrap()
}

fn get(uri: &str, user: &str) -> Request<Body> {
    Request::get(uri)
        .header(header::AUTHORIZATION, basic(user, KEY))
        .body(Body::empty())
        .unwrap()
}

fn send(body: &Value) -> Request<Body> {
    post("/v1/send", USER, body.to_string())
}

fn messages(body: &Value) -> Request<Body> {
    post("/v1/messages", USER, body.to_string())
}

/// A good body of `/v1/send`.
fn code() -> Value {
    json!({ "to": [TO], "body": { "template_id": CODE, "vars": { "code": "8341" } } })
}

/// A good body of `/v1/messages`.
fn plan() -> Value {
    json!({ "to": [TO], "template": { "id": CODE.to_string(), "params": { "code": "8341" } } })
}

/// A body with a member, named by a JSON pointer, put in or replaced.
fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .insert(name.to_owned(), value);
    body
}

/// HTTP status and code of an answer; code 0 for none.
fn told(answer: &Answer) -> (u16, u64) {
    assert_eq!(
        answer.headers[header::CONTENT_TYPE],
        "application/json;charset=utf-8"
    );
    let body = answer.json();
    let code = body.get("code").map_or(0, |code| code.as_u64().unwrap());
    assert_eq!(code != 0, body.get("message").is_some(), "{}", answer.body);
    (answer.status.as_u16(), code)
}

async fn status_until(house: &House, sms_id: &str, wanted: u64) -> Value {
    let today = today(house);
    let id: String = form_urlencoded::byte_serialize(sms_id.as_bytes()).collect();
    let uri = format!("/v1/status?send_date={today}&time_zone=0&sms_ids={id}");
    let done = |answer: &Answer| answer.json()["result"][0]["status"] == wanted;
    house.ask_until(|| get(&uri, USER), done).await.json()["result"][0].clone()
}

fn today(house: &House) -> String {
    jiff::Timestamp::from_millisecond(house.engine.now())
        .unwrap()
        .strftime("%Y-%m-%d")
        .to_string()
}

async fn all_messages(house: &House) -> Vec<engine::MessageView> {
    let filter = MessageFilter {
        numbers: Vec::new(),
        states: Vec::new(),
        dialects: Vec::new(),
        template: None,
        labels: Vec::new(),
        kind: None,
        offset: 0,
        limit: 10_000,
        count_max: 10_000,
    };
    house
        .engine
        .find(ACCOUNT, MessageId(0)..=MessageId(i64::MAX), filter)
        .await
        .unwrap()
        .0
}

#[tokio::test]
async fn a_send_is_answered_as_in_the_seed_and_ends_delivered() {
    let house = House::start().await;
    let body = json!({
        "from": "xxxx", "to": [TO, "+12673800455"], "request_id": "123",
        "custom_args": { "order": 17 },
        "body": { "template_id": CODE, "label_id": 231, "vars": { "code": "8341" } },
    });
    let answer = house.ask(send(&body)).await;
    assert_eq!(
        told(&answer),
        (200, 0),
        "a complete success has no code: {}",
        answer.body
    );
    let sent = answer.json();
    let names: Vec<_> = sent.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        names,
        ["custom_args", "request_id", "sms_ids"],
        "nothing but what the page shows"
    );
    assert_eq!(
        (&sent["request_id"], &sent["custom_args"]),
        (&json!("123"), &json!({ "order": 17 }))
    );
    let ids: Vec<_> = sent["sms_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        ids.iter()
            .map(|id| id.split_once('$').unwrap().1)
            .collect::<Vec<_>>(),
        [TO, "+12673800455"]
    );
    assert_eq!(
        ids[0].split_once('$').unwrap().0,
        ids[1].split_once('$').unwrap().0,
        "one prefix a request"
    );
    let received = house.received(TO).await;
    assert_eq!(
        (received.text.as_str(), received.from.as_str()),
        ("Your code is 8341", "xxxx")
    );

    let row = status_until(&house, &ids[0], 2).await;
    for (name, expected) in [
        ("phone", json!(TO)),
        ("sms_id", json!(ids[0])),
        ("msg_type", json!(2)),
        ("sms_user", json!(USER)),
        ("template_id", json!(CODE)),
        ("template_name", json!("code")),
        ("label_id", json!(231)),
        ("status", json!(2)),
        ("sub_status", json!(0)),
    ] {
        assert_eq!(row[name], expected, "{name}");
    }
    assert!(row["send_time"].as_str().unwrap().ends_with("+0000"), "{row}");
}

#[tokio::test]
async fn some_bad_numbers_make_a_send_partial_and_all_bad_numbers_a_failure() {
    let house = House::start().await;
    let some = with(
        &with(&code(), "/to", json!([TO, "1233"])),
        "/request_id",
        json!("123"),
    );
    let answer = house.ask(send(&some)).await;
    assert_eq!(told(&answer), (200, 41031));
    let partial = answer.json();
    assert_eq!(
        (&partial["message"], &partial["success_count"]),
        (&json!("partial success"), &json!(1))
    );
    assert_eq!(
        (&partial["failed_count"], &partial["request_id"]),
        (&json!(1), &json!("123"))
    );
    assert_eq!(
        partial["failed_items"],
        json!([{ "phone": "1233", "message": "Invalid phone number format" }])
    );
    assert_eq!(partial["sms_ids"].as_array().unwrap().len(), 1);

    let none = house.ask(send(&with(&code(), "/to", json!(["1233", "x"])))).await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        none.json(),
        json!({ "code": 32002, "message": "Invalid phone number format" })
    );
}

#[tokio::test]
async fn every_refusal_of_a_send_has_its_status_and_code() {
    let house = House::start().await;
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
        let answer = house.ask(request).await;
        assert_eq!(told(&answer), expected, "{what}: {}", answer.body);
        assert!(!answer.body.contains(KEY), "{what}: no secret in answers");
    }
}

#[tokio::test]
async fn callers_must_prove_who_they_are_in_their_generation() {
    let house = House::start().await;
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
            let answer = house.ask(request).await;
            assert_eq!(told(&answer), (401, expected), "{path} {what}");
            assert!(
                answer.headers[header::WWW_AUTHENTICATE]
                    .to_str()
                    .unwrap()
                    .starts_with("Basic")
            );
        }
    }
    let unauthorized = house
        .ask(Request::post("/v1/send").body(Body::empty()).unwrap())
        .await;
    assert_eq!(
        unauthorized.json(),
        json!({ "code": 30000, "message": "Unauthorized." })
    );
}

#[tokio::test]
async fn a_request_id_repeats_the_first_answer_for_an_hour() {
    let clock = Arc::new(PausedClock::at(1_795_278_600_000));
    let house = House::with(Limits::default(), Arc::clone(&clock) as Arc<dyn Clock>).await;
    let body = with(
        &with(&code(), "/request_id", json!("r1")),
        "/to",
        json!([TO, "1233"]),
    );
    let refused = house.ask(send(&with(&body, "/to", json!(["1233"])))).await;
    assert_eq!(
        told(&refused),
        (400, 32002),
        "refused as a whole: the id is not used up"
    );
    let first = house.ask(send(&body)).await;
    assert_eq!(told(&first), (200, 41031));
    for (what, repeat) in [
        ("the same", body.clone()),
        ("another body", with(&body, "/to", json!(["+12673800455"]))),
    ] {
        let again = house.ask(send(&repeat)).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{what}");
    }
    let other_user = house
        .ask(post(
            "/v1/send",
            USER_OTHER,
            with(&body, "/body/template_id", json!(FOREIGN)).to_string(),
        ))
        .await;
    assert_ne!(other_user.body, first.body, "ids of others are others");
    clock.advance(3_600_000 + 1);
    let later = house.ask(send(&body)).await;
    assert_eq!(told(&later), (200, 41031));
    assert_ne!(later.body, first.body, "after an hour it is a new request");
    assert_eq!(all_messages(&house).await.len(), 2);
}

#[tokio::test]
async fn concurrent_repeats_send_once_and_hear_the_same() {
    let house = Arc::new(House::start().await);
    let body = with(&code(), "/request_id", json!("r1"));
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (house, body) = (Arc::clone(&house), body.clone());
        asked.spawn(async move { house.ask(send(&body)).await.body });
    }
    let mut answers = asked.join_all().await;
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(all_messages(&house).await.len(), 1);
}

#[tokio::test]
async fn an_idempotency_key_repeats_the_first_answer_in_both_generations() {
    let house = House::start().await;
    let keyed = |mut request: Request<Body>, key: &str| {
        request
            .headers_mut()
            .insert("idempotency-key", key.parse().unwrap());
        request
    };
    for (path, first, own_error) in [
        ("/v1/send", send(&code()), 30400),
        ("/v1/messages", messages(&plan()), 3002),
    ] {
        let again = if path == "/v1/send" {
            send(&code())
        } else {
            messages(&plan())
        };
        let bad = if path == "/v1/send" {
            send(&code())
        } else {
            messages(&plan())
        };
        let first = house.ask(keyed(first, "k1")).await;
        let again = house.ask(keyed(again, "k1")).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{path}");
        assert_eq!(
            told(&house.ask(keyed(bad, &"k".repeat(256))).await),
            (400, own_error),
            "{path}"
        );
    }
    assert_eq!(all_messages(&house).await.len(), 2);
}

#[tokio::test]
async fn a_number_that_stands_twice_gets_one_message() {
    let house = House::start().await;
    let twice = json!([TO, "0012673800456", TO]);
    let answer = house.ask(send(&with(&code(), "/to", twice.clone()))).await;
    assert_eq!(told(&answer), (200, 0), "{}", answer.body);
    let ids = answer.json()["sms_ids"].clone();
    assert_eq!(
        ids.as_array().unwrap().len(),
        3,
        "every place of the list has its id"
    );
    assert!(ids[1].as_str().unwrap().ends_with("$0012673800456"));
    status_until(&house, ids[1].as_str().unwrap(), 2).await;
    let answer = house.ask(messages(&with(&plan(), "/to", twice))).await.json();
    assert_eq!(
        (&answer["total_count"], &answer["accepted_count"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(all_messages(&house).await.len(), 2);
}

#[tokio::test]
async fn what_fails_later_is_told_by_the_status_query() {
    let house = House::start().await;
    for (what, body, status, sub_status) in [
        (
            "blocked",
            with(&code(), "/to", json!([format!("+{BLOCKED}")])),
            4,
            420,
        ),
        ("variable missing", with(&code(), "/body/vars", json!({})), 4, 450),
        (
            "no such number",
            with(&code(), "/to", json!(["+10000000001"])),
            5,
            500,
        ),
        (
            "powered off",
            with(&code(), "/to", json!(["+10000000018"])),
            5,
            580,
        ),
    ] {
        let answer = house.ask(send(&body)).await;
        assert_eq!(told(&answer), (200, 0), "{what}: {}", answer.body);
        let id = answer.json()["sms_ids"][0].as_str().unwrap().to_owned();
        assert_eq!(
            status_until(&house, &id, status).await["sub_status"],
            sub_status,
            "{what}"
        );
    }
    let silent = house
        .ask(send(&with(&code(), "/to", json!(["+10000000003"]))))
        .await
        .json();
    status_until(&house, silent["sms_ids"][0].as_str().unwrap(), 3).await;
    let day = today(&house);
    for (filter, total) in [
        ("", 5),
        ("&status=4", 2),
        ("&status=5", 2),
        ("&status=3", 1),
        ("&status=2", 0),
        ("&sub_status=580", 1),
        ("&status=4&sub_status=580", 0),
        ("&phone=%2B10000000001", 1),
        ("&template_id=1001", 5),
        ("&template_id=1002", 0),
        ("&label_id=9", 0),
        ("&sms_user=another", 0),
        ("&msg_type=2", 5),
        ("&sms_ids=unknown", 0),
    ] {
        let answer = house
            .ask(get(
                &format!("/v1/status?send_date={day}&time_zone=0{filter}"),
                USER,
            ))
            .await;
        assert_eq!(
            (told(&answer), &answer.json()["total"]),
            ((200, 0), &json!(total)),
            "{filter}: {}",
            answer.body
        );
    }
    let page = house
        .ask(get(
            &format!("/v1/status?send_date={day}&time_zone=0&offset=4&limit=3"),
            USER,
        ))
        .await
        .json();
    assert_eq!((&page["count"], &page["total"]), (&json!(1), &json!(5)));
    let other = house
        .ask(get(
            &format!("/v1/status?send_date={day}&time_zone=0"),
            USER_OTHER,
        ))
        .await
        .json();
    assert_eq!(other, json!({ "result": [], "total": 0, "count": 0 }));
}

#[tokio::test]
async fn too_many_status_queries_a_minute_are_told_429() {
    let limits = Limits {
        engagelab_status_per_minute_max: 2,
        ..Limits::default()
    };
    let house = House::with(limits, Arc::new(PausedClock::at(1_795_278_600_000))).await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(told(
            &house.ask(get("/v1/status?send_date=2026-11-22", USER)).await,
        ));
    }
    assert_eq!(codes, [(200, 0), (200, 0), (429, 30429)]);
    assert_eq!(
        told(
            &house
                .ask(get("/v1/status?send_date=2026-11-22", USER_OTHER))
                .await
        ),
        (200, 0)
    );
}

#[tokio::test]
async fn messages_are_planned_and_answered_as_the_vendor_does() {
    let house = House::start().await;
    let one = house.ask(messages(&plan())).await;
    assert_eq!(told(&one), (200, 0), "{}", one.body);
    let one = one.json();
    assert_eq!(
        (&one["total_count"], &one["accepted_count"]),
        (&json!(1), &json!(1))
    );
    assert!(
        one["plan_id"].is_string() && one["message_id"].is_string() && one.get("schedule_info").is_none()
    );
    assert_eq!(house.received(TO).await.text, "Your code is 8341");

    let some = with(&plan(), "/to", json!(["923700056581", "+8618701235678", "12"]));
    let some = house.ask(messages(&some)).await.json();
    assert_eq!(
        (&some["total_count"], &some["accepted_count"]),
        (&json!(3), &json!(2))
    );
    assert!(some["plan_id"].is_string() && some.get("message_id").is_none());
    assert_eq!(house.received("+923700056581").await.text, "Your code is 8341");
    house.received("+8618701235678").await;

    let missing = json!({ "to": ["+12673800455"], "plan_name": "spring",
        "template": { "id": ut_id(NOTICE), "params": { "name": "Lucy", "link": "https://x.y", "long": "x".repeat(99) } } });
    assert_eq!(
        told(&house.ask(messages(&missing)).await),
        (200, 0),
        "a template's other id, and surplus params"
    );
    assert_eq!(
        house.received("+12673800455").await.text,
        "Hello Lucy, welcome to %place%",
        "sent as it stands"
    );
}

#[tokio::test]
async fn a_schedule_puts_messages_off_and_names_a_task() {
    let house = House::start().await;
    let at = house.engine.now() / 1000 + 200;
    let answer = house
        .ask(messages(&with(&plan(), "/schedule_time", json!(at))))
        .await;
    assert_eq!(told(&answer), (200, 0), "{}", answer.body);
    let body = answer.json();
    assert!(body.get("message_id").is_none() && body["plan_id"].is_string());
    let task = body["schedule_info"]["task_id"]
        .as_u64()
        .expect("a number, as the vendor sends it");
    assert_eq!(task.to_string().len(), 19);
    let messages = all_messages(&house).await;
    assert_eq!(
        (messages[0].state, messages[0].batch.due),
        (MessageState::Queued, Some(at * 1000))
    );
    assert_eq!(house.inbox_count(TO), 0);
}

#[tokio::test]
async fn every_refusal_of_messages_has_its_status_and_code() {
    let house = House::start().await;
    let template = |id: &str| with(&plan(), "/template/id", json!(id));
    let as_user =
        |user: &str, number: i64| post("/v1/messages", user, template(&number.to_string()).to_string());
    let unrouted = format!("+{UNROUTED_PREFIX}55512345");
    let soon = house.engine.now() / 1000 + 100;
    for (what, request, expected) in [
        ("no JSON", post("/v1/messages", USER, "{"), (400, 3001)),
        ("an array", post("/v1/messages", USER, "[]"), (400, 3002)),
        ("no to", messages(&with(&plan(), "/to", Value::Null)), (400, 3002)),
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
        let answer = house.ask(request).await;
        assert_eq!(told(&answer), expected, "{what}: {}", answer.body);
    }
}

#[tokio::test]
async fn what_is_no_request_of_this_service_is_told_so_in_its_words() {
    let house = House::with(
        Limits {
            body_bytes_max: 1000,
            ..Limits::default()
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
        (
            "status without a day",
            method(Method::GET, "/v1/status"),
            (400, 30400),
        ),
    ] {
        let answer = house.ask(request).await;
        assert_eq!(told(&answer), expected, "{what}: {}", answer.body);
    }
    let allowed = house.ask(method(Method::DELETE, "/v1/send")).await;
    assert_eq!(allowed.headers[header::ALLOW], "POST");
}

#[tokio::test]
async fn success_is_never_told_when_nothing_was_stored() {
    let house = House::start().await;
    house.engine.store().close().await.unwrap();
    assert_eq!(told(&house.ask(send(&code())).await), (500, 30500));
    assert_eq!(told(&house.ask(messages(&plan())).await), (500, 1000));
    assert_eq!(
        told(&house.ask(get("/v1/status?send_date=2026-11-22", USER)).await),
        (500, 30500)
    );
    let house = House::start().await;
    house
        .engine
        .stop(std::time::Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(told(&house.ask(send(&code())).await), (503, 30503));
    assert_eq!(told(&house.ask(messages(&plan())).await), (503, 1000));
}

/// The callers of generation A that contract/engagelab.md section 8 tells of; none is a packaged SDK.
#[tokio::test]
async fn the_requests_of_known_callers_are_taken_octet_for_octet() {
    let house = House::start().await;
    // A PHP content manager: json_encode escapes slashes and writes numbers from forms as texts. It takes every
    // answer with a `code` for a failure.
    let php = r#"{"to":["+12673800401"],"body":{"template_id":"1001","vars":{"code":"123456"}}}"#;
    // A Python service: requests' `json=`, blanks after separators, a short uuid as the id. It looks at the HTTP status.
    let flask = r#"{"from": "Acme", "to": ["+12673800402"], "request_id": "9f1c2d3e", "body": {"template_id": 1001, "vars": {"code": "654321"}}}"#;
    // A PHP array without entries is `[]`.
    let php_without = r#"{"to":["+12673800403"],"custom_args":[],"body":{"template_id":1003,"vars":[]}}"#;
    // The page's first tip: an array of values for each recipient.
    let arrays = r#"{"to":["+12673800404"],"body":{"template_id":1001,"vars":{"code":["1111","2222"]}}}"#;
    for (caller, body, number, text) in [
        ("PHP", php, "+12673800401", "Your code is 123456"),
        ("Flask", flask, "+12673800402", "Your code is 654321"),
        ("PHP without variables", php_without, "+12673800403", "Hello"),
        ("arrays", arrays, "+12673800404", "Your code is 1111"),
    ] {
        let answer = house.ask(post("/v1/send", USER, body)).await;
        assert_eq!(told(&answer), (200, 0), "{caller}: {}", answer.body);
        assert_eq!(house.received(number).await.text, text, "{caller}");
    }
    // A Laravel service, commented out there: `to` a text, `vars` a sentence. And the fall-back of one of the
    // Flask helpers: a text without a template. Neither can be sent; both are told why.
    let laravel =
        r#"{"from":"Acme","to":"+12673800405","body":{"template_id":1001,"vars":"Your code is 1"}}"#;
    assert_eq!(
        told(&house.ask(post("/v1/send", USER, laravel)).await),
        (400, 33004)
    );
    let text = r#"{"to": ["+12673800406"], "text": "hi", "body": {"content": "hi"}}"#;
    assert_eq!(told(&house.ask(post("/v1/send", USER, text)).await), (400, 33003));

    // Generation C: the vendor's Python client sends this and raises on a non-zero `code`; a Go service wants `code`
    // absent and `accepted_count` over 0 or a `plan_id`.
    let python = r#"{"to": ["923700056581"], "template": {"id": "1001", "params": {"code": "123456"}}, "plan_name": "-", "custom_args": {"order_id": "1"}}"#;
    let go = r#"{"to":["+8618701235678"],"template":{"id":"1001","params":{"code":"1234"}}}"#;
    for body in [python, go] {
        let answer = house.ask(post("/v1/messages", USER, body)).await;
        assert_eq!(
            (told(&answer), &answer.json()["accepted_count"]),
            ((200, 0), &json!(1))
        );
    }
}

/// Goal: no request, however damaged, gets a server error, an answer that is no JSON, or ends the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_requests_are_answered_in_json() {
    const REQUESTS: usize = 10_000;
    const AT_ONCE: usize = 64;
    let limits = Limits {
        engagelab_status_per_minute_max: 0,
        ..Limits::default()
    };
    let house = Arc::new(House::with(limits, Arc::new(SystemClock)).await);
    let mut random = StdRng::seed_from_u64(0x5eed_0003);
    for _ in 0..REQUESTS / AT_ONCE + 1 {
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let request = damaged(&mut random);
            let house = Arc::clone(&house);
            asked.spawn(async move { house.ask(request).await });
        }
        for answer in asked.join_all().await {
            let (status, code) = told(&answer);
            assert!(status < 500, "{}", answer.body);
            assert!(status == 200 || code != 0, "{}", answer.body);
        }
    }
}

fn damaged(random: &mut StdRng) -> Request<Body> {
    let full = with(
        &with(&code(), "/request_id", json!("123")),
        "/custom_args",
        json!({ "k": "v" }),
    );
    let full = with(&with(&full, "/from", json!("Acme")), "/body/label_id", json!(231));
    let planned = with(
        &with(&plan(), "/plan_name", json!("-")),
        "/custom_args",
        json!({ "k": "v" }),
    );
    match random.random_range(0..5) {
        0 | 1 => post("/v1/send", USER, damage(random, full.to_string().as_bytes())),
        2 | 3 => post(
            "/v1/messages",
            USER,
            damage(random, planned.to_string().as_bytes()),
        ),
        _ => {
            let query =
                b"send_date=2026-11-22&time_zone=8&phone=%2B12673800456&status=2&sms_ids=a_1$x;b&limit=5";
            let query = damage(random, query);
            let query: String = query
                .iter()
                .map(|octet| match octet {
                    b'!'..=b'~' if *octet != b'#' => char::from(*octet).to_string(),
                    octet => format!("%{octet:02X}"),
                })
                .collect();
            match format!("/v1/status?{query}").parse::<http::Uri>() {
                Ok(uri) => get(&uri.to_string(), USER),
                // What the HTTP layer itself does not take.
                Err(_) => get("/v1/status", USER),
            }
        }
    }
}
