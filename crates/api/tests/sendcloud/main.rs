//! SendCloud over the router: what each request is answered, and what becomes of what it sends.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests stop at the first surprise"
)]

#[path = "../testkit/mod.rs"]
mod testkit;

mod clients;
mod contacts;
mod damaged;
mod hook;
mod labels;
mod managing;
mod multipart;
mod quotas;
mod refusals;
mod send;
mod signatures;
mod statistics;
mod status;
mod tasks;
mod templates;
mod unsigned;

use api::Limits;
use axum::body::Body;
use engine::clock::SystemClock;
use http::{Method, Request, StatusCode, header};
use md5::{Digest, Md5};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::sync::Arc;
use testkit::signing::hex;
use testkit::{
    Answer, BADLY_SIGNED, BROKE_PLAIN, CAPPED_PLAIN, CODE, DAILY_PLAIN, FOREIGN, KEY, LONG, NOTICE, PENDING,
    PLAIN, SIGNATURE, SIGNATURE_PENDING, TestNode, UNROUTED_PREFIX, USER, USER_BROKE, USER_CAPPED,
    USER_DAILY, USER_GONE, USER_MUTE, USER_OFF, damage,
};

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

async fn status_until(node: &TestNode, sms_id: &str, wanted: u64) -> Value {
    let query = fields(&[("smsUser", USER), ("days", "1"), ("smsIds", sms_id)]);
    let answer = node
        .ask_until(
            || signed("/smsapi/status/query", &query),
            |answer| answer.json()["info"]["voList"][0]["statusCode"] == wanted,
        )
        .await;
    answer.json()["info"].clone()
}

fn fields_of_a_code<'a>() -> Fields<'a> {
    fields(&[("code", "4826"), ("signName", SIGNATURE.1)])
}

/// A response of an interface: code, message and `info`.
#[derive(Debug)]
struct Envelope {
    code: u64,
    message: String,
    info: Value,
}

impl Envelope {
    /// The parts that are compared most.
    fn parts(&self) -> (u64, &str, &Value) {
        (self.code, &self.message, &self.info)
    }
}

/// Calls an interface as [`USER`].
async fn ask(node: &TestNode, path: &str, pairs: &[(&str, &str)]) -> Envelope {
    ask_as(node, USER, path, pairs).await
}

/// Calls an interface as `user`.
async fn ask_as(node: &TestNode, user: &str, path: &str, pairs: &[(&str, &str)]) -> Envelope {
    let request = replaced(&fields(pairs), "smsUser", user);
    let answer = node.ask(signed(path, &request)).await;
    let code = code_of(&answer);
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    let mut envelope = answer.json();
    assert_eq!(
        envelope["result"],
        matches!(code, 200 | 311),
        "{path}: {}",
        answer.body
    );
    Envelope {
        code,
        message: envelope["message"].as_str().unwrap().to_owned(),
        info: envelope["info"].take(),
    }
}

/// A signed GET with these fields.
fn signed_get(path: &str, fields: &Fields<'_>) -> Request<Body> {
    let mut fields = fields.clone();
    fields.insert("signature", sha256(&fields));
    Request::get(format!("{path}?{}", encode(&fields)))
        .body(Body::empty())
        .unwrap()
}

/// The names in an object, in order of the alphabet.
fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// Whether a text is a date of this wire, with or without a time.
fn is_date(value: &Value, with_time: bool) -> bool {
    let pattern = if with_time {
        "0000-00-00 00:00:00"
    } else {
        "0000-00-00"
    };
    let text = value.as_str().unwrap();
    text.len() == pattern.len()
        && text
            .chars()
            .zip(pattern.chars())
            .all(|(c, p)| c == p || p == '0' && c.is_ascii_digit())
}
