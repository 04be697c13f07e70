//! SMSHook: the webhook format of generation A (docs/dialects/engagelab.md).
//!
//! Every event is a POST of a JSON object of its own, with a signature over its time in the headers. An endpoint's
//! secret is the `APP SECRET`. Its settings, all optional:
//!
//! | name | values | meaning |
//! |---|---|---|
//! | `events` | `target`, `sent`, `delivered`, `process_failed`, `send_failed`, `reply`, `template_approval` | the events that are sent; all by default |
//! | `app_key` | text | `X-SMSHook-AppKey`, part of the signature; `sms` by default |
//! | `version` | text | `X-SMSHook-Version`; `1.0` by default |
//! | `sms_user` | text | `sms_user` of events that belong to no user: replies, reviews |
//! | `concurrency` | number | calls at once; the engine's own |

mod event;

use super::display_texts::HookEvent;
use super::settings;
use engine::catalog::EndpointEntry;
use engine::hex;
use engine::webhooks::{Call, EventPayload, Format, Method, Schedule, Stamp};
use event::Event;
use md5::{Digest, Md5};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// How long a receiver may take to answer 200 or 204.
const ANSWER_TIME: Duration = Duration::from_secs(3);
/// Seven more tries, the shortest wait being three minutes, is all that is known; these are the sister product's.
pub(super) const WAITS_MIN: [u64; 7] = [3, 10, 30, 60, 6 * 60, 12 * 60, 24 * 60];
/// Of what goes into a header.
const HEADER_CHARS_MAX: usize = 128;

/// The form of calls named `engagelab`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SmsHook;

/// An endpoint's settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    events: Option<Vec<HookEvent>>,
    app_key: Box<str>,
    version: Box<str>,
    sms_user: Box<str>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            events: None,
            // What the e-mail product's is to it.
            app_key: "sms".into(),
            version: "1.0".into(),
            sms_user: Box::default(),
        }
    }
}

impl Settings {
    fn read(written: &Value) -> Result<Self, String> {
        let read: Self = settings(written)?;
        for (name, value) in [("app_key", &read.app_key), ("version", &read.version)] {
            if !is_header_value(value) {
                return Err(format!(
                    "{name} must be 1 to {HEADER_CHARS_MAX} printable ASCII characters"
                ));
            }
        }
        Ok(read)
    }

    /// Settings were checked when they were set up: what does not read any more is as if it were not there.
    fn of(endpoint: &EndpointEntry) -> Self {
        Self::read(&endpoint.endpoint.settings).unwrap_or_default()
    }

    fn wants(&self, event: HookEvent) -> bool {
        self.events.as_ref().is_none_or(|events| events.contains(&event))
    }
}

/// Whether a text can stand in a header as it is.
pub(super) fn is_header_value(text: &str) -> bool {
    (1..=HEADER_CHARS_MAX).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_graphic())
}

/// The waits before further tries.
pub(super) fn schedule() -> Schedule {
    Schedule {
        waits: WAITS_MIN
            .map(|minutes| Duration::from_secs(60 * minutes))
            .to_vec(),
        jitter_percent: 0,
    }
}

impl Format for SmsHook {
    fn name(&self) -> &'static str {
        "engagelab"
    }

    fn check(&self, settings: &Value) -> Result<(), String> {
        Settings::read(settings).map(drop)
    }

    fn events_max(&self, _: &Value) -> usize {
        1
    }

    fn calls(&self, endpoint: &EndpointEntry, payloads: &[EventPayload], stamp: &Stamp) -> Vec<Call> {
        let settings = Settings::of(endpoint);
        let events = payloads
            .iter()
            .flat_map(|payload| event::rendered(payload, &settings.sms_user, &stamp.public_ids));
        events
            .filter(|event| settings.wants(event.name()))
            .map(|event| call(endpoint, &settings, &event, stamp))
            .collect()
    }

    fn is_taken(&self, status: u16, _: &[u8]) -> bool {
        matches!(status, 200 | 204)
    }

    fn time_max(&self) -> Duration {
        ANSWER_TIME
    }

    fn schedule(&self, _: &Value) -> Schedule {
        schedule()
    }

    /// The vendor documents no probe. This is a signed call of an event nobody has, so that a receiver that checks
    /// signatures takes it.
    fn probes(&self, endpoint: &EndpointEntry, stamp: &Stamp) -> Vec<Call> {
        let settings = Settings::of(endpoint);
        vec![call(endpoint, &settings, &Event::probe(stamp.now), stamp)]
    }
}

/// A signed POST.
fn call(endpoint: &EndpointEntry, settings: &Settings, event: &Event, stamp: &Stamp) -> Call {
    let timestamp = stamp.now.to_string();
    let signature = signature(&timestamp, &settings.app_key, endpoint.secret.expose_secret());
    Call {
        method: Method::Post,
        headers: vec![
            ("content-type", "application/json; charset=utf-8".to_owned()),
            ("x-smshook-signature", signature),
            ("x-smshook-timestamp", timestamp),
            ("x-smshook-appkey", settings.app_key.to_string()),
            ("x-smshook-version", settings.version.to_string()),
        ],
        body: event.write(),
    }
}

/// md5(timestamp + appkey + secret), in lower-case hexadecimal digits. The body is not covered.
fn signature(timestamp: &str, app_key: &str, secret: &str) -> String {
    let mut digest = Md5::new();
    digest.update(timestamp);
    digest.update(app_key);
    digest.update(secret);
    hex::digits(&digest.finalize())
}

#[cfg(test)]
mod tests;
