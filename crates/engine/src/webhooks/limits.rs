//! Limits and timing of webhook delivery.

use super::Allow;
use std::path::PathBuf;
use std::time::Duration;

/// Limits and timing of webhook delivery. Values out of bounds are clamped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Events of one endpoint in memory at most; all others wait in the store. 16 to 10 000.
    pub window_events_max: usize,
    /// Events of one endpoint in calls that wait for a retry, at most. When there are so many, no new events are delivered
    /// to it until some of them are done. 100 to 1 000 000; about 100 octets of memory each.
    pub waiting_events_max: usize,
    /// Calls in flight to one endpoint at most, whatever its setting `concurrency` says. 1 to 256.
    pub endpoint_calls_max: usize,
    /// Calls in flight to all endpoints together at most, beyond one for each endpoint: every endpoint always may have
    /// one, so that none waits for another. 0 to 100 000.
    pub calls_max: usize,
    /// Octets of a call's body at most; a call with a longer one is dead at once. 1 KiB to 64 MiB.
    pub request_bytes_max: usize,
    /// After so many different calls failed with no success in between, an endpoint gets one trial call at a time, at
    /// growing intervals, until one succeeds. 2 to 1000.
    pub breaker_failures: usize,
    /// Such an endpoint is paused once every call has failed for so long, which operators see. The trial calls go on. 1 s to 30 days.
    pub pause_after: Duration,
    /// The longest time between trial calls. The shortest is a second. 1 s to 1 day.
    pub trial_wait_max: Duration,
    /// The longest `Retry-After` of an endpoint that is respected. 1 s to 7 days.
    pub retry_after_max: Duration,
    /// How often the outbox of an idle endpoint is polled; new events wake its worker. 1 ms to 1 hour.
    pub poll: Duration,
    /// How long results may wait to be recorded together. After a kill, unrecorded calls are made again. 1 ms to 10 s.
    pub record_every: Duration,
    /// Private addresses that calls may go to.
    pub allow: Vec<Allow>,
    /// A PEM file with certificate authorities that are trusted beside the system's own.
    pub ca_file: Option<PathBuf>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window_events_max: 256,
            waiting_events_max: 20_000,
            endpoint_calls_max: 64,
            calls_max: 1000,
            request_bytes_max: 1024 * 1024,
            breaker_failures: 10,
            pause_after: Duration::from_secs(600),
            trial_wait_max: Duration::from_secs(300),
            retry_after_max: Duration::from_secs(86_400),
            poll: Duration::from_secs(30),
            record_every: Duration::from_millis(100),
            allow: Vec::new(),
            ca_file: None,
        }
    }
}

impl Limits {
    /// Clamps all values to their bounds.
    #[must_use]
    pub fn clamped(self) -> Self {
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        Self {
            window_events_max: self.window_events_max.clamp(16, 10_000),
            waiting_events_max: self.waiting_events_max.clamp(100, 1_000_000),
            endpoint_calls_max: self.endpoint_calls_max.clamp(1, 256),
            calls_max: self.calls_max.min(100_000),
            request_bytes_max: self.request_bytes_max.clamp(1024, 64 * 1024 * 1024),
            breaker_failures: self.breaker_failures.clamp(2, 1000),
            pause_after: self.pause_after.clamp(s(1), s(30 * 86_400)),
            trial_wait_max: self.trial_wait_max.clamp(s(1), s(86_400)),
            retry_after_max: self.retry_after_max.clamp(s(1), s(7 * 86_400)),
            poll: self.poll.clamp(ms(1), s(3600)),
            record_every: self.record_every.clamp(ms(1), s(10)),
            allow: self.allow,
            ca_file: self.ca_file,
        }
    }
}

/// Concurrent calls to an endpoint without the setting `concurrency`.
const CONCURRENCY_DEFAULT: u64 = 8;
/// Events of one call at most, whatever the format says.
const CALL_EVENTS_MAX: usize = 1000;

/// Calls to make at once, from the endpoint's setting `concurrency`.
pub(super) fn concurrency(settings: &serde_json::Value, limits: &Limits) -> usize {
    let requested = settings
        .get("concurrency")
        .and_then(serde_json::Value::as_u64)
        .unwrap_or(CONCURRENCY_DEFAULT);
    usize::try_from(requested)
        .unwrap_or(usize::MAX)
        .clamp(1, limits.endpoint_calls_max)
}

/// Events of a call at most, from what the format says.
pub(super) fn events_per_call(of_format: usize) -> usize {
    of_format.clamp(1, CALL_EVENTS_MAX)
}

/// What is wrong with the settings that are the engine's rather than the format's.
pub(super) fn check_settings(settings: &serde_json::Value) -> Result<(), String> {
    match settings.get("concurrency") {
        None => Ok(()),
        Some(requested)
            if requested
                .as_u64()
                .is_some_and(|requested| (1..=256).contains(&requested)) =>
        {
            Ok(())
        }
        Some(requested) => Err(format!(
            "concurrency must be a number from 1 to 256, not {requested}"
        )),
    }
}
