//! Callback: the webhook format of generation C (docs/dialects/engagelab.md).
//!
//! A call is a POST of `{total, rows}`, each row an event. An endpoint's secret signs the header `X-CALLBACK-ID`. Its
//! settings, all optional:
//!
//! | name | values | meaning |
//! |---|---|---|
//! | `username` | text | with it, and a secret, calls have the header `X-CALLBACK-ID` |
//! | `authorization` | text | the value of a fixed header `Authorization` |
//! | `rows_max` | 1 to 1000 | rows of a call; 100 by default |
//! | `concurrency` | number | calls at once; the engine's own |

mod row;

use super::hook::{is_header_value, schedule};
use super::settings;
use engine::catalog::EndpointEntry;
use engine::hex;
use engine::webhooks::{Call, EventPayload, Format, Method, Schedule, Stamp};
use hmac::{Hmac, Mac};
use row::Row;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// How long a receiver may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(3);
/// Rows of a call, unless its endpoint says otherwise.
const ROWS_MAX: usize = 100;
/// Rows of a call at most.
const ROWS_MAX_MAX: usize = 1000;
/// A call with so many octets in its rows is full: receivers take 64 to 100 kB by default.
const ROWS_BYTES: usize = 48 * 1024;
/// Longest `authorization`.
const AUTHORIZATION_CHARS_MAX: usize = 4096;

/// The form of calls named `engagelab_callback`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Callback;

/// An endpoint's settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    username: Option<Box<str>>,
    authorization: Option<Box<str>>,
    rows_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            username: None,
            authorization: None,
            rows_max: ROWS_MAX,
        }
    }
}

impl Settings {
    fn read(written: &Value) -> Result<Self, String> {
        let read: Self = settings(written)?;
        // What separates the parts of the header would end the name.
        let is_name = |name: &str| is_header_value(name) && !name.contains(';');
        if read.username.as_deref().is_some_and(|name| !is_name(name)) {
            return Err("username must be 1 to 128 printable ASCII characters without ;".to_owned());
        }
        let is_value = |value: &str| {
            (1..=AUTHORIZATION_CHARS_MAX).contains(&value.len())
                && value
                    .bytes()
                    .all(|octet| octet == b' ' || octet.is_ascii_graphic())
        };
        if read
            .authorization
            .as_deref()
            .is_some_and(|value| !is_value(value))
        {
            return Err(format!(
                "authorization must be 1 to {AUTHORIZATION_CHARS_MAX} printable ASCII characters"
            ));
        }
        if !(1..=ROWS_MAX_MAX).contains(&read.rows_max) {
            return Err(format!("rows_max must be 1 to {ROWS_MAX_MAX}"));
        }
        Ok(read)
    }

    /// Settings were checked when they were set up: what does not read any more is as if it were not there.
    fn of(settings: &Value) -> Self {
        Self::read(settings).unwrap_or_default()
    }
}

impl Format for Callback {
    fn name(&self) -> &'static str {
        "engagelab_callback"
    }

    fn check(&self, settings: &Value) -> Result<(), String> {
        Settings::read(settings).map(drop)
    }

    fn events_max(&self, settings: &Value) -> usize {
        Settings::of(settings).rows_max
    }

    fn calls(&self, endpoint: &EndpointEntry, payloads: &[EventPayload], stamp: &Stamp) -> Vec<Call> {
        let settings = Settings::of(&endpoint.endpoint.settings);
        let rows = payloads.iter().flat_map(row::rendered);
        let bodies = bodies(rows, settings.rows_max);
        let calls = bodies.into_iter().zip(0_u32..);
        calls
            .map(|(body, no)| call(endpoint, &settings, body, stamp, no))
            .collect()
    }

    fn is_taken(&self, status: u16, _: &[u8]) -> bool {
        (200..300).contains(&status)
    }

    fn time_max(&self) -> Duration {
        ANSWER_TIME
    }

    fn schedule(&self, _: &Value) -> Schedule {
        schedule()
    }

    /// The page wants 200 here, whatever is taken later.
    fn is_probe_taken(&self, status: u16, _: &[u8]) -> bool {
        status == 200
    }

    /// A POST of `{}`, which must be answered 200.
    fn probes(&self, endpoint: &EndpointEntry, stamp: &Stamp) -> Vec<Call> {
        let settings = Settings::of(&endpoint.endpoint.settings);
        vec![call(endpoint, &settings, b"{}".to_vec(), stamp, 0)]
    }
}

/// Rows as bodies, each of so many rows and octets.
fn bodies(rows: impl Iterator<Item = Row>, rows_max: usize) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    let (mut written, mut count) = (Vec::new(), 0);
    for row in rows {
        if count == rows_max || written.len() >= ROWS_BYTES {
            bodies.push(body(&written, count));
            written.clear();
            count = 0;
        }
        if count > 0 {
            written.push(b',');
        }
        row.write(&mut written);
        count += 1;
    }
    if count > 0 {
        bodies.push(body(&written, count));
    }
    bodies
}

fn body(rows: &[u8], count: usize) -> Vec<u8> {
    let head = format!(r#"{{"total":{count},"rows":["#);
    [head.as_bytes(), rows, b"]}"].concat()
}

/// A POST, signed if the endpoint has a user name and a secret.
fn call(endpoint: &EndpointEntry, settings: &Settings, body: Vec<u8>, stamp: &Stamp, no: u32) -> Call {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    let secret = endpoint.secret.expose_secret();
    if let Some(username) = settings.username.as_deref().filter(|_| !secret.is_empty()) {
        headers.push(("x-callback-id", callback_id(username, secret, stamp, no)));
    }
    if let Some(authorization) = &settings.authorization {
        headers.push(("authorization", authorization.to_string()));
    }
    Call {
        method: Method::Post,
        headers,
        body,
    }
}

/// The value of `X-CALLBACK-ID`. The time is in seconds: the vendor's own verifier refuses what is 300 of them away.
fn callback_id(username: &str, secret: &str, stamp: &Stamp, no: u32) -> String {
    let timestamp = stamp.now.div_euclid(1000).to_string();
    let nonce = nonce(stamp, no);
    let signature = signature(secret, &timestamp, &nonce, username);
    format!("timestamp={timestamp};nonce={nonce};username={username};signature={signature}")
}

/// HMAC-SHA256 over time, nonce and user name, under the secret, in lower-case hexadecimal digits. The body is not
/// covered.
fn signature(secret: &str, timestamp: &str, nonce: &str, username: &str) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    for part in [timestamp, nonce, username] {
        mac.update(part.as_bytes());
    }
    hex::digits(&mac.finalize().into_bytes())
}

/// A number for a call, of several made from one stamp.
fn nonce(stamp: &Stamp, no: u32) -> String {
    let mut digest = Sha256::new();
    digest.update(stamp.random);
    digest.update(no.to_be_bytes());
    let octets = digest.finalize();
    let number = octets
        .iter()
        .take(8)
        .fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
    number.to_string()
}

#[cfg(test)]
mod tests;
