//! How much a request may ask for. Every bound stands in `config.default.toml`.

use crate::serve::BodyLimits;
use serde::{Deserialize, Serialize};

/// Limits of the HTTP side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest request body in bytes.
    pub body_bytes_max: usize,
    /// Bytes of all requests being read together, at least `body_bytes_max`.
    pub bodies_bytes_max: usize,
    /// Bytes of requests being read from one address (for IPv6: one /64) on whose connections no credential was verified
    /// yet, at least `body_bytes_max`.
    pub bodies_per_address_bytes_max: usize,
    /// Recipients of one uSpeedo or UCloud request (the UCloud Action document: 1000).
    pub uspeedo_recipients_max: usize,
    /// Values of one uSpeedo or UCloud request: every text, number, list and object counts, and every field of a form.
    pub uspeedo_values_max: usize,
    /// Recipients of one SendCloud request (the SendCloud document: 2000).
    pub sendcloud_recipients_max: usize,
    /// Recipients of one SendCloud `sendx` request (docs/dialects/sendcloud.md: 200).
    pub sendcloud_sendx_recipients_max: usize,
    /// Recipients of one EngageLab request (the EngageLab v1 document: 1000).
    pub engagelab_recipients_max: usize,
    /// How far a signed uSpeedo timestamp may be off, in seconds (docs/dialects/uspeedo.md: 5 minutes).
    pub uspeedo_timestamp_window_s: u32,
    /// How long a signed uSpeedo request is not taken again, in seconds; 0: as often as it comes.
    pub uspeedo_replay_window_s: u32,
    /// The same for UCloud's.
    pub ucloud_replay_window_s: u32,
    /// How far a SendCloud timestamp may be off, in milliseconds (6 000, as the vendor's code table says; clients with
    /// drifting clocks need 60 000: docs/dialects/sendcloud.md).
    pub sendcloud_timestamp_window_ms: u32,
    /// Whether a SendCloud request must have a timestamp; the vendor does not require one.
    pub sendcloud_timestamp_required: bool,
    /// How long a request id is remembered, in seconds (the SendCloud document and the EngageLab v1 document: 1 hour).
    pub request_id_keep_s: u32,
    /// Session numbers of one receipt query (docs/dialects/uspeedo.md: 100).
    pub sessions_per_query_max: usize,
    /// Status queries a minute and SendCloud user (docs/dialects/sendcloud.md: 4000).
    pub sendcloud_status_per_minute_max: u32,
    /// Status queries a minute and EngageLab user (docs/dialects/engagelab.md: 60); 0: no limit.
    pub engagelab_status_per_minute_max: u32,
    /// Wrong credentials a minute from one address; beyond them a credential is checked in turn. 0: no limit.
    pub failed_credentials_per_minute_max: u32,
    /// Wrong credentials a minute with one public key from all addresses; beyond them each address where the key was not
    /// verified has a tenth of it. Also what an address may have where it was. 0: no limit.
    pub failed_credentials_per_key_per_minute_max: u32,
    /// How long a request waits for its turn at most, in milliseconds; then it is turned away unjudged.
    pub failed_credentials_wait_ms_max: u64,
    /// Requests that wait for their turn at once; one more is turned away unjudged.
    pub failed_credentials_waiting_max: usize,
    /// Of these, those of one address; an eighth of it with one public key.
    pub failed_credentials_waiting_per_address_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 4 * 1024 * 1024,
            bodies_bytes_max: BodyLimits::default().bytes_max,
            bodies_per_address_bytes_max: BodyLimits::default().per_address_bytes_max,
            uspeedo_recipients_max: 1000,
            uspeedo_values_max: 65_536,
            sendcloud_recipients_max: 2000,
            sendcloud_sendx_recipients_max: 200,
            engagelab_recipients_max: 1000,
            uspeedo_timestamp_window_s: 300,
            uspeedo_replay_window_s: 0,
            ucloud_replay_window_s: 0,
            sendcloud_timestamp_window_ms: 6_000,
            sendcloud_timestamp_required: false,
            request_id_keep_s: 3600,
            sessions_per_query_max: 100,
            sendcloud_status_per_minute_max: 4000,
            engagelab_status_per_minute_max: 60,
            failed_credentials_per_minute_max: 60,
            failed_credentials_per_key_per_minute_max: 60,
            failed_credentials_wait_ms_max: 10_000,
            failed_credentials_waiting_max: 1024,
            failed_credentials_waiting_per_address_max: 64,
        }
    }
}

impl Limits {
    /// Those of the listener.
    #[must_use]
    pub const fn bodies(&self) -> BodyLimits {
        BodyLimits {
            bytes_max: self.bodies_bytes_max,
            per_address_bytes_max: self.bodies_per_address_bytes_max,
        }
    }
}
