//! SMSHook: the webhook format (docs/dialects/sendcloud.md).
//!
//! Every event is a call of its own: a POST of flat fields with a signature over its time and a random token. An
//! endpoint's secret is the `APP KEY`. Its settings, all optional:
//!
//! | name | values | meaning |
//! |---|---|---|
//! | `numbering` | `classic` (default), `international` | names and numbers of the events |
//! | `body` | `form`, `json` | by default what goes with the numbering: a form with the classic one, else JSON |
//! | `retry` | `long` (default), `short` | 7 more tries over 44 hours, or 5 over 31 minutes |
//! | `events` | names as in the classic numbering | the events that are sent; all by default |
//! | `sms_user` | text | `smsUser` of events that belong to no user: replies, reviews |
//! | `concurrency` | number | calls at once; the engine's own |

mod event;

use super::codes::Language;
use engine::catalog::EndpointEntry;
use engine::webhooks::{Call, EventPayload, Format, Method, Schedule, Stamp};
use event::{Body, EventFields, EventName, Numbering};
use hmac::{Hmac, Mac};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};
use std::sync::Arc;
use std::time::Duration;

/// The language of `message`.
const LANGUAGE: Language = super::answer::LANGUAGE;

/// The setting that is the engine's: how many calls are made at once.
const CONCURRENCY: &str = "concurrency";

/// How long a receiver may take to answer 200.
const ANSWER_TIME: Duration = Duration::from_secs(3);
/// Letters and digits of `token`.
const TOKEN_CHARS: usize = 50;
const TOKEN_ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The waits of the vendor's current page for its international product, in minutes.
const LONG_WAITS_MIN: [u64; 7] = [3, 10, 30, 60, 6 * 60, 12 * 60, 24 * 60];
/// The waits of the vendor's FAQ of 2017, in minutes.
const SHORT_WAITS_MIN: [u64; 5] = [1, 2, 4, 8, 16];

/// The form of calls named `sendcloud`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SmsHook;

/// The forms of calls that this wire has.
pub fn formats() -> Vec<Arc<dyn Format>> {
    vec![Arc::new(SmsHook)]
}

/// An endpoint's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    numbering: Numbering,
    body: Option<Body>,
    retry: Retry,
    events: Option<Vec<EventName>>,
    sms_user: Box<str>,
}

/// When calls are tried again. Both are documented; the long one loses less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Retry {
    #[default]
    Long,
    Short,
}

impl Settings {
    /// Nothing set up is everything as it comes. serde alone would take an array for settings, by position.
    fn read(settings: &Value) -> Result<Self, String> {
        match settings {
            Value::Null => Ok(Self::default()),
            Value::Object(settings) => {
                let own = settings.iter().filter(|(name, _)| *name != CONCURRENCY);
                let own = own.map(|(name, value)| (name.clone(), value.clone())).collect();
                Self::deserialize(Value::Object(own)).map_err(|error| error.to_string())
            }
            _ => Err("settings are a table".to_owned()),
        }
    }

    /// Settings were checked when they were set up: what does not read any more is as if it were not there.
    fn of(settings: &Value) -> Self {
        Self::read(settings).unwrap_or_default()
    }

    fn wants(&self, name: EventName) -> bool {
        self.events.as_ref().is_none_or(|events| events.contains(&name))
    }

    fn body(&self) -> Body {
        self.body.unwrap_or(match self.numbering {
            Numbering::Classic => Body::Form,
            Numbering::International => Body::Json,
        })
    }
}

impl Format for SmsHook {
    fn name(&self) -> &'static str {
        "sendcloud"
    }

    fn check(&self, settings: &Value) -> Result<(), String> {
        Settings::read(settings).map(drop)
    }

    fn events_max(&self, _: &Value) -> usize {
        1
    }

    fn calls(&self, endpoint: &EndpointEntry, payloads: &[EventPayload], stamp: &Stamp) -> Vec<Call> {
        let settings = Settings::of(&endpoint.endpoint.settings);
        let reported = payloads
            .iter()
            .flat_map(|payload| event::reported(payload, &settings.sms_user, &stamp.public_ids))
            .filter(|reported| settings.wants(reported.name));
        let calls = reported.zip(0_u32..);
        calls
            .map(|(reported, no)| call(endpoint, &settings, reported, &token(stamp, no)))
            .collect()
    }

    fn is_taken(&self, status: u16, _: &[u8]) -> bool {
        status == 200
    }

    fn time_max(&self) -> Duration {
        ANSWER_TIME
    }

    fn schedule(&self, settings: &Value) -> Schedule {
        let minutes: &[u64] = match Settings::of(settings).retry {
            Retry::Long => &LONG_WAITS_MIN,
            Retry::Short => &SHORT_WAITS_MIN,
        };
        Schedule {
            waits: minutes
                .iter()
                .map(|minutes| Duration::from_secs(60 * minutes))
                .collect(),
            jitter_percent: 0,
        }
    }

    /// GET and POST, as the vendor probes. What it sends is not known; the POST is a signed call of an event
    /// nobody has, so that a receiver that checks signatures takes it.
    fn probes(&self, endpoint: &EndpointEntry, stamp: &Stamp) -> Vec<Call> {
        let settings = Settings::of(&endpoint.endpoint.settings);
        let get = Call {
            method: Method::Get,
            headers: Vec::new(),
            body: Vec::new(),
        };
        let reported = EventFields::probe(endpoint.endpoint.account, &settings.sms_user, stamp.now);
        vec![get, call(endpoint, &settings, reported, &token(stamp, 0))]
    }
}

/// A signed POST.
fn call(endpoint: &EndpointEntry, settings: &Settings, mut reported: EventFields, token: &str) -> Call {
    let signature = signature(endpoint.secret.expose_secret(), reported.at, token);
    reported.sign(token, &signature);
    let body = settings.body();
    Call {
        method: Method::Post,
        headers: vec![("content-type", body.content_type().to_owned())],
        body: reported.write(body, settings.numbering),
    }
}

/// HMAC-SHA256 over time and token, under the APP KEY, in lower-case hexadecimal digits. The body is not covered.
fn signature(app_key: &str, timestamp: i64, token: &str) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(app_key.as_bytes()) else {
        return String::new();
    };
    mac.update(timestamp.to_string().as_bytes());
    mac.update(token.as_bytes());
    engine::hex::digits(&mac.finalize().into_bytes())
}

/// Fifty letters and digits for a call, of several made from one stamp.
fn token(stamp: &Stamp, no: u32) -> String {
    let mut digest = Sha512::new();
    digest.update(stamp.random);
    digest.update(no.to_be_bytes());
    let letter = |octet: &u8| {
        let at = usize::from(*octet) % TOKEN_ALPHABET.len();
        TOKEN_ALPHABET.get(at).map(|letter| char::from(*letter))
    };
    digest
        .finalize()
        .iter()
        .filter_map(letter)
        .take(TOKEN_CHARS)
        .collect()
}

#[cfg(test)]
mod tests;
