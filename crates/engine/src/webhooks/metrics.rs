//! Metrics of webhook delivery. No label carries a URL, a number or a secret.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use store::EndpointId;

/// Metrics of webhook delivery.
#[derive(Debug, Clone)]
pub struct WebhookMetrics {
    /// Calls by outcome.
    pub calls: Family<CallLabel, Counter>,
    /// How long calls took.
    pub call_seconds: Family<FormatLabel, Histogram, fn() -> Histogram>,
    /// Age of the oldest event that an endpoint has not acked, in seconds; 0 for none.
    pub lag_seconds: Family<EndpointLabel, Gauge>,
    /// Calls in flight.
    pub under_way: Family<EndpointLabel, Gauge>,
    /// Calls that wait for a retry.
    pub waiting: Family<EndpointLabel, Gauge>,
    /// 1 for an endpoint that is paused.
    pub paused: Family<EndpointLabel, Gauge>,
    /// Calls that became dead since the start.
    pub given_up: Family<FormatLabel, Counter>,
}

/// See [`CallLabel::outcome`].
const OUTCOMES: [&str; 7] = [
    "taken",
    "refused",
    "unreachable",
    "timeout",
    "broken",
    "forbidden",
    "unsendable",
];

/// By format and outcome.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabel {
    /// The format's name.
    pub format: &'static str,
    /// `taken`, `refused`, `unreachable`, `timeout`, `broken`, `forbidden` or `unsendable`.
    pub outcome: &'static str,
}

/// By format.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FormatLabel {
    /// Its name.
    pub format: &'static str,
}

/// By endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndpointLabel {
    /// Its id.
    pub endpoint: u32,
}

impl Default for WebhookMetrics {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.002, 2.0, 15))
            }),
            lag_seconds: Family::default(),
            under_way: Family::default(),
            waiting: Family::default(),
            paused: Family::default(),
            given_up: Family::default(),
        }
    }
}

impl WebhookMetrics {
    /// Registers all of them.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("webhook");
        registry.register(
            "calls",
            "Webhook calls, by format and outcome",
            self.calls.clone(),
        );
        registry.register_with_unit(
            "call",
            "Duration of webhook calls",
            Unit::Seconds,
            self.call_seconds.clone(),
        );
        registry.register_with_unit(
            "lag",
            "Age of the oldest event that is not yet delivered to a webhook, 0 for none",
            Unit::Seconds,
            self.lag_seconds.clone(),
        );
        registry.register(
            "calls_in_flight",
            "Webhook calls in flight",
            self.under_way.clone(),
        );
        registry.register(
            "waiting_calls",
            "Webhook calls that failed and wait for a retry",
            self.waiting.clone(),
        );
        registry.register(
            "paused",
            "1 for a webhook that is paused, else 0",
            self.paused.clone(),
        );
        registry.register(
            "dead_deliveries",
            "Webhook calls that failed on their last retry",
            self.given_up.clone(),
        );
    }

    /// Creates what is missing of the series of an endpoint that is called in this format.
    pub(super) fn cover(&self, endpoint: EndpointId, format: &'static str) {
        let _ = self.gauges(endpoint);
        for outcome in OUTCOMES {
            let _ = self.calls.get_or_create(&CallLabel { format, outcome });
        }
        let _ = self.call_seconds.get_or_create(&FormatLabel { format });
        let _ = self.given_up.get_or_create(&FormatLabel { format });
    }

    /// The gauges of an endpoint.
    pub(super) fn gauges(&self, endpoint: EndpointId) -> Gauges {
        let label = EndpointLabel { endpoint: endpoint.0 };
        Gauges {
            lag_seconds: self.lag_seconds.get_or_create(&label).clone(),
            under_way: self.under_way.get_or_create(&label).clone(),
            waiting: self.waiting.get_or_create(&label).clone(),
            paused: self.paused.get_or_create(&label).clone(),
        }
    }

    /// An endpoint is no longer called.
    pub(super) fn remove_endpoint(&self, endpoint: EndpointId) {
        let label = EndpointLabel { endpoint: endpoint.0 };
        self.lag_seconds.remove(&label);
        self.under_way.remove(&label);
        self.waiting.remove(&label);
        self.paused.remove(&label);
    }
}

/// See [`WebhookMetrics::gauges`].
pub(super) struct Gauges {
    pub(super) lag_seconds: Gauge,
    pub(super) under_way: Gauge,
    pub(super) waiting: Gauge,
    pub(super) paused: Gauge,
}
