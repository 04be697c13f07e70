//! uSpeedo and UCloud over the router: what each request is answered, and what becomes of what it sends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests stop at the first surprise, as tests do"
)]

#[path = "../house/mod.rs"]
mod house;

mod action;
mod clients;
mod damaged;
mod rest;
mod ucloud;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use house::{Answer, House, KEY, USER};
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

/// A number that is delivered at once.
const AT_ONCE: &str = "+10000000010";
/// A number refused at submit.
const REFUSED: &str = "+10000000001";
/// A number that is taken and not delivered, with a code of the carrier's own.
const UNDELIVERED: &str = "+10000000002";
/// A number that no receipt ever comes for.
const SILENT: &str = "+10000000003";

/// The signed text, by a recursion of our own over another representation than the product's.
fn canonical(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(canonical).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| name.clone() + &canonical(value))
            .collect(),
        other => other.to_string(),
    }
}

fn sign(params: &Value, secret: &str) -> String {
    Sha1::digest(canonical(params) + secret)
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect()
}

fn basic(user: &str, key: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{key}")))
}

/// `POST` of a JSON text with HTTP Basic.
fn post(path: &str, user: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path)
        .header(header::AUTHORIZATION, basic(user, KEY))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.into())
        .unwrap()
}

/// `SendBatchUSMSMessage` with one item.
fn batch(template: i64, targets: Value) -> Value {
    json!({"TaskContent": [{"TemplateId": house::ut_id(template), "SenderId": "uSpeedo", "Target": targets}]})
}

/// A batch for one number with one value.
fn code_for(phone: &str) -> Value {
    batch(house::CODE, json!([{"Phone": phone, "TemplateParams": ["8341"]}]))
}

/// The code of an answer, which is always JSON with HTTP 200 and a request's UUID.
fn code_of(answer: &Answer) -> u64 {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    let uuid = answer
        .headers
        .get("x-speedo-request-uuid")
        .or(answer.headers.get("x-ucloud-request-uuid"));
    assert_eq!(uuid.expect("a request's uuid").len(), 36);
    let body = answer.json();
    assert!(body["Message"].is_string(), "{}", answer.body);
    body["RetCode"]
        .as_u64()
        .unwrap_or_else(|| panic!("no code: {}", answer.body))
}

fn code_and_message(answer: &Answer) -> (u64, String) {
    (
        code_of(answer),
        answer.json()["Message"].as_str().unwrap().to_owned(),
    )
}

fn assert_uuid(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no text"));
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12], "{text}");
    assert_eq!(&text[14..15], "4", "{text}");
}

fn names(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Sends `body` by REST until its first receipt says `result`; that receipt.
async fn receipt_of(house: &House, phone: &str, result: &str) -> Value {
    let sent = house.ask(rest::send(&code_for(phone))).await.json();
    let session = sent["SessionNo"][0]
        .as_str()
        .unwrap_or_else(|| panic!("{sent}"))
        .to_owned();
    let answer = house
        .ask_until(
            || rest::query(USER, &format!("id={session}")),
            |answer| answer.json()["Data"][0]["ReceiptSet"][0]["ReceiptResult"] == result,
        )
        .await;
    answer.json()["Data"][0]["ReceiptSet"][0].clone()
}
