//! HTTP clients of the vendors' APIs: requests are signed as the vendors' own clients sign them and sent with `curl`.

use crate::testkit::{curl, json};
use md5::{Digest, Md5};
use serde_json::Value;
use sha1::Sha1;

/// Name and value of a parameter.
pub(crate) type Field<'a> = (&'a str, &'a str);

/// Posts JSON with Basic credentials (`user:secret`) and additional headers; returns the response body.
pub(crate) fn post(url: &str, credentials: &str, headers: &[&str], body: &str) -> Value {
    let mut arguments = vec!["-u", credentials, "-H", "Content-Type: application/json"];
    for header in headers {
        arguments.extend(["-H", header]);
    }
    arguments.extend(["-d", body, url]);
    json(&curl(&arguments))
}

/// Sends a GET request with Basic credentials (`user:secret`); returns the response body.
pub(crate) fn get(url: &str, credentials: &str, query: &[Field<'_>]) -> Value {
    let mut arguments = vec!["-G", "-u", credentials, url];
    let query = encoded(query);
    arguments.extend(query.iter().map(String::as_str));
    json(&curl(&arguments))
}

/// Calls a SendCloud interface with `smsUser` and `smsKey` (docs/dialects/sendcloud.md).
pub(crate) fn sendcloud(
    url: &str,
    (user, key): (&str, &str),
    headers: &[&str],
    fields: &[Field<'_>],
) -> Value {
    let mut fields = fields.to_vec();
    fields.push(("smsUser", user));
    fields.sort_unstable();
    let joined: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let signature = hex(&Md5::digest(format!("{key}&{}&{key}", joined.join("&"))));
    fields.push(("signature", &signature));
    post_form(url, headers, &fields)
}

/// Calls a UCloud action with a public and a private key (docs/dialects/ucloud.md).
pub(crate) fn ucloud(
    url: &str,
    (public_key, private_key): (&str, &str),
    headers: &[&str],
    action: &str,
    params: &[Field<'_>],
) -> Value {
    let mut params = params.to_vec();
    params.extend([("Action", action), ("PublicKey", public_key)]);
    params.sort_unstable();
    let signed: String = params
        .iter()
        .map(|(name, value)| format!("{name}{value}"))
        .collect();
    let signature = hex(&Sha1::digest(signed + private_key));
    params.push(("Signature", &signature));
    post_form(url, headers, &params)
}

/// Calls uSpeedo's Action API, signed in the headers at `at_s` (Unix seconds) (docs/dialects/uspeedo.md).
pub(crate) fn uspeedo_action(
    url: &str,
    (key, secret): (&str, &str),
    at_s: i64,
    headers: &[&str],
    body: &Value,
) -> Value {
    let signature = hex(&Sha1::digest(signed_text(body) + secret));
    let signed = [
        format!("X-Access-Key-Id: {key}"),
        format!("X-Signature: {signature}"),
        format!("X-Timestamp: {at_s}"),
        "X-Nonce: 0123456789".to_owned(),
        "Content-Type: application/json".to_owned(),
    ];
    let body = body.to_string();
    let mut arguments = vec!["-d", &body];
    for header in signed.iter().map(String::as_str).chain(headers.iter().copied()) {
        arguments.extend(["-H", header]);
    }
    arguments.push(url);
    json(&curl(&arguments))
}

/// The text that uSpeedo's signature covers: members sorted by name, each name followed by its value, without separators.
fn signed_text(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            let member = |(name, value): &(&String, &Value)| format!("{name}{}", signed_text(value));
            members.iter().map(member).collect()
        }
        Value::Array(elements) => elements.iter().map(signed_text).collect(),
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn post_form(url: &str, headers: &[&str], fields: &[Field<'_>]) -> Value {
    let mut arguments = vec![url];
    for header in headers {
        arguments.extend(["-H", header]);
    }
    let fields = encoded(fields);
    arguments.extend(fields.iter().map(String::as_str));
    json(&curl(&arguments))
}

/// Arguments that make `curl` encode the fields.
fn encoded(fields: &[Field<'_>]) -> Vec<String> {
    let arguments = |(name, value): &Field<'_>| ["--data-urlencode".to_owned(), format!("{name}={value}")];
    fields.iter().flat_map(arguments).collect()
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|octet| format!("{octet:02x}")).collect()
}
