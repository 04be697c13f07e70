//! EngageLab over the router: what each request is answered, and what becomes of what it sends.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests stop at the first surprise"
)]

#[path = "../testkit/mod.rs"]
mod testkit;

mod callback;
mod clients;
mod damaged;
mod hook;
mod labels;
mod managing;
mod messages;
mod quotas;
mod refusals;
mod send;
mod sign_configs;
mod signs;
mod statistics;
mod status;
mod template_configs;
mod templates;

use api::Limits;
use axum::body::Body;
use engine::clock::{Clock, PausedClock, SystemClock};
use engine::sms::state::MessageState;
use engine::{MessageFilter, MessageId};
use http::{Method, Request, StatusCode, header};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::fake_endpoint::{FakeEndpoint, ReceivedCall, SECRET, endpoint};
use testkit::signing::{basic, hex};
use testkit::{
    ACCOUNT, Answer, BADLY_SIGNED, BLOCKED, BROKE_PLAIN, CAPPED_PLAIN, CODE, DAILY_PLAIN, ENDLESS, FOREIGN,
    KEY, NOTICE, PENDING, PLAIN, SIGNATURE, SIGNATURE_PENDING, SIGNED, TestNode, UNROUTED_PREFIX, USER,
    USER_BROKE, USER_CAPPED, USER_DAILY, USER_GONE, USER_MUTE, USER_OFF, USER_OTHER, damage, ut_id,
};

const TO: &str = "+12673800456";

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
fn reported(answer: &Answer) -> (u16, u64) {
    assert_eq!(
        answer.headers[header::CONTENT_TYPE],
        "application/json;charset=utf-8"
    );
    let body = answer.json();
    let code = body.get("code").map_or(0, |code| code.as_u64().unwrap());
    let complains = body.get("message").is_some_and(|message| message != "success");
    assert_eq!(code != 0, complains, "{}", answer.body);
    (answer.status.as_u16(), code)
}

/// A request to one of the interfaces that manage, with a body or without one.
fn managing(method: &str, uri: &str, user: &str, body: &Value) -> Request<Body> {
    let body = match body {
        Value::Null => Body::empty(),
        body => Body::from(body.to_string()),
    };
    Request::builder()
        .method(method)
        .uri(uri)
        .header(header::AUTHORIZATION, basic(user, KEY))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .unwrap()
}

/// What such a request is answered when it goes well.
async fn done(node: &TestNode, method: &str, uri: &str, body: Value) -> Value {
    let answer = node.ask(managing(method, uri, USER, &body)).await;
    assert_eq!(reported(&answer), (200, 0), "{method} {uri}: {}", answer.body);
    answer.json()
}

/// HTTP status, code and text of a refusal.
async fn refused(node: &TestNode, method: &str, uri: &str, body: Value) -> (u16, u64, String) {
    let answer = node.ask(managing(method, uri, USER, &body)).await;
    let (status, code) = reported(&answer);
    let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
    (status, code, message)
}

/// The fields of an object, by name.
fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// `2022-11-14T14:27:48+0800`.
fn is_moment(written: &Value) -> bool {
    let shape: String = written
        .as_str()
        .unwrap()
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    shape == "0000-00-00T00:00:00+0000"
}

async fn status_until(node: &TestNode, sms_id: &str, wanted: u64) -> Value {
    let today = today(node);
    let id: String = form_urlencoded::byte_serialize(sms_id.as_bytes()).collect();
    let uri = format!("/v1/status?send_date={today}&time_zone=0&sms_ids={id}");
    let done = |answer: &Answer| answer.json()["result"][0]["status"] == wanted;
    node.ask_until(|| get(&uri, USER), done).await.json()["result"][0].clone()
}

fn today(node: &TestNode) -> String {
    jiff::Timestamp::from_millisecond(node.engine.now())
        .unwrap()
        .strftime("%Y-%m-%d")
        .to_string()
}

async fn all_messages(node: &TestNode) -> Vec<engine::MessageView> {
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
    node.engine
        .find(ACCOUNT, MessageId(0)..=MessageId(i64::MAX), filter)
        .await
        .unwrap()
        .0
}
