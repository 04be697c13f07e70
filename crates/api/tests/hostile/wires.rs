//! Requests of every wire, by any user, signed as they must be.

use crate::testkit::signing::{self, hex, sign};
use crate::testkit::{KEY, TestNode};
use axum::body::Body;
use http::{Request, header};
use md5::{Digest, Md5};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// uSpeedo REST v1 and EngageLab: method, path, JSON.
pub(crate) fn basic(user: &str, method: &str, uri: &str, body: &Value) -> Request<Body> {
    let body = match body {
        Value::Null => Body::empty(),
        body => Body::from(body.to_string()),
    };
    Request::builder()
        .method(method)
        .uri(uri)
        .header(header::AUTHORIZATION, signing::basic(user, KEY))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .unwrap()
}

fn named(action: &str, params: &Value) -> Value {
    let mut params = params.clone();
    params["Action"] = json!(action);
    params
}

/// uSpeedo Action: signed in its headers.
pub(crate) fn action(node: &TestNode, user: &str, action: &str, params: &Value) -> Request<Body> {
    let params = named(action, params);
    Request::post("/api")
        .header("X-Access-Key-Id", user)
        .header("X-Signature", sign(&params, KEY))
        .header("X-Timestamp", (node.engine.now() / 1000).to_string())
        .header("X-Nonce", "0123456789")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(params.to_string()))
        .unwrap()
}

/// UCloud: signed among its parameters.
pub(crate) fn ucloud(user: &str, action: &str, params: &Value) -> Request<Body> {
    let mut params = named(action, params);
    params["PublicKey"] = json!(user);
    params["Signature"] = json!(sign(&params, KEY));
    Request::post("/")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(params.to_string()))
        .unwrap()
}

/// What such a request is signed with.
pub(crate) fn ucloud_signature(user: &str, action: &str, params: &Value) -> String {
    let mut params = named(action, params);
    params["PublicKey"] = json!(user);
    sign(&params, KEY)
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
