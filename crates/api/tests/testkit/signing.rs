//! Credentials as clients show them: HTTP Basic, and what each vendor signs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha1::{Digest as _, Sha1};
use std::collections::BTreeMap;

/// Octets as lower-case digits.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The value of an `Authorization` header.
pub(crate) fn basic(user: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")))
}

/// What uSpeedo and UCloud sign, by a recursion of our own over another representation than the product's: names in
/// their order, each with its value.
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

/// The signature of uSpeedo and UCloud.
pub(crate) fn sign(params: &Value, secret: &str) -> String {
    hex(&Sha1::digest(canonical(params) + secret))
}
