//! Requests of every wire, by any user, signed as they must be.

use crate::house::{House, KEY};
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, header};
use md5::{Digest, Md5};
use serde_json::{Value, json};
use sha1::Sha1;
use std::collections::BTreeMap;

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// uSpeedo REST v1 and EngageLab: method, path, JSON.
pub(crate) fn basic(user: &str, method: &str, uri: &str, body: &Value) -> Request<Body> {
    let body = match body {
        Value::Null => Body::empty(),
        body => Body::from(body.to_string()),
    };
    let pair = STANDARD.encode(format!("{user}:{KEY}"));
    Request::builder()
        .method(method)
        .uri(uri)
        .header(header::AUTHORIZATION, format!("Basic {pair}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .unwrap()
}

/// Names and values in the order of the names.
fn canonical(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(canonical).collect(),
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.iter().collect();
            sorted
                .into_iter()
                .map(|(name, value)| name.clone() + &canonical(value))
                .collect()
        }
        other => other.to_string(),
    }
}

fn named(action: &str, params: &Value) -> Value {
    let mut params = params.clone();
    params["Action"] = json!(action);
    params
}

fn signature(params: &Value) -> String {
    hex(&Sha1::digest(canonical(params) + KEY))
}

/// uSpeedo Action: signed in its headers.
pub(crate) fn action(house: &House, user: &str, action: &str, params: &Value) -> Request<Body> {
    let params = named(action, params);
    Request::post("/api")
        .header("X-Access-Key-Id", user)
        .header("X-Signature", signature(&params))
        .header("X-Timestamp", (house.engine.now() / 1000).to_string())
        .header("X-Nonce", "0123456789")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(params.to_string()))
        .unwrap()
}

/// UCloud: signed among its parameters.
pub(crate) fn ucloud(user: &str, action: &str, params: &Value) -> Request<Body> {
    let mut params = named(action, params);
    params["PublicKey"] = json!(user);
    params["Signature"] = json!(signature(&params));
    Request::post("/")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(params.to_string()))
        .unwrap()
}

/// What such a request is signed with.
pub(crate) fn ucloud_signature(user: &str, action: &str, params: &Value) -> String {
    let mut params = named(action, params);
    params["PublicKey"] = json!(user);
    signature(&params)
}

/// SendCloud: a signed form.
pub(crate) fn sendcloud(user: &str, path: &str, pairs: &[(&str, &str)]) -> Request<Body> {
    let mut fields: BTreeMap<&str, &str> = pairs.iter().copied().collect();
    fields.insert("smsUser", user);
    let joined: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let signature = hex(&Md5::digest(format!("{KEY}&{}&{KEY}", joined.join("&"))));
    fields.insert("signature", &signature);
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&fields)
        .finish();
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .unwrap()
}
