//! The metrics of a node. No label has a number, a text or a secret.

use super::former_names::with_former_names;
use super::process::Process;
use api::serve::ServeMetrics;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use engine::Counts;
use engine::Engine;
use engine::sms::class::Class;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
use store::Store;
use store::sqlite::{COMMIT_SECONDS, SqliteStore};

/// The registry of the metrics.
#[derive(Clone)]
pub(super) struct Metrics {
    registry: Arc<Mutex<Registry>>,
    store: Arc<SqliteStore>,
    messages: Family<StateLabel, Gauge>,
    names: Arc<CatalogNames>,
}

impl Metrics {
    pub(super) fn new(store: Arc<SqliteStore>, http: HttpMetrics, connections: &ServeMetrics) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let messages = Family::default();
        let names = Arc::new(CatalogNames::default());
        let ours = registry.sub_registry_with_prefix("postrider");
        ours.register("messages", "Messages by state", messages.clone());
        ours.register_collector(Box::new(StoreFigures(Arc::clone(&store))));
        ours.register_collector(Box::new(ExpiredFigures {
            store: Arc::clone(&store),
            names: Arc::clone(&names),
        }));
        ours.register_collector(Box::new(Arc::clone(&names)));
        http.register(ours);
        connections.register(ours);
        Self {
            registry: Arc::new(Mutex::new(registry)),
            store,
            messages,
            names,
        }
    }

    /// Adds the metrics of the engine once it runs.
    pub(super) fn follow(&self, engine: &Arc<Engine>) {
        engine
            .metrics()
            .register(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
        // Set once: a node has one engine.
        let _ = self.names.engine.set(Arc::clone(engine));
    }

    /// The metrics as text.
    pub(super) async fn text(&self) -> Result<String, fmt::Error> {
        // If the store cannot count now, the last values stay; its own gauges show its state.
        if let Ok(counts) = self.store.counts().await {
            self.set(counts);
        }
        if let Some(engine) = self.names.engine.get() {
            engine.cover_metrics();
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(with_former_names(&text))
    }

    fn set(&self, counts: Counts) {
        let states = [
            ("queued", counts.queued),
            ("delayed", counts.delayed),
            ("in_flight", counts.in_flight),
            ("receipt_unmatched", counts.unmatched_receipts),
        ];
        for (state, count) in states {
            let gauge = self.messages.get_or_create(&StateLabel { state });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// The metrics of the store.
struct StoreFigures(Arc<SqliteStore>);

impl fmt::Debug for StoreFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreFigures(..)")
    }
}

impl Collector for StoreFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let figures = self.0.metrics();
        let counters = [
            ("store_commands", "Commands done", figures.commands),
            (
                "store_busy",
                "Accepts rejected because the queue was full",
                figures.busy,
            ),
            (
                "store_groups_failed",
                "Group commits that failed",
                figures.groups_failed,
            ),
            ("store_rows", "Rows committed", figures.rows),
            (
                "store_checkpoints",
                "Checkpoints that wrote pages",
                figures.checkpoints,
            ),
            (
                "store_unmatched_receipts_dropped",
                "Unmatched receipts dropped because there were too many",
                figures.unmatched_receipts_dropped,
            ),
            (
                "store_unassigned_inbound_dropped",
                "Inbound messages without an account dropped because there were too many",
                figures.unassigned_inbound_dropped,
            ),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let gauges = [
            (
                "store_commands_waiting",
                "Commands queued for the writer",
                figures.commands_waiting,
            ),
            (
                "store_wal_size_bytes",
                "Size of the write-ahead log",
                figures.wal_bytes,
            ),
            ("store_runs", "Sorted runs of all indexes", figures.runs),
            (
                "store_lost",
                "1: the store's files were removed, replaced or truncated, and nothing is accepted",
                figures.lost,
            ),
            (
                "store_damage_reports",
                "Damage reports in the file beside the store that had not been removed at the start",
                figures.damaged,
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let ahead = ConstGauge::new(figures.ids_ahead_ms / 1000);
        let help = "Time by which new ids are ahead of the machine's clock after it was set back";
        ahead.encode(encoder.encode_descriptor(
            "store_ids_ahead",
            help,
            Some(&Unit::Seconds),
            ahead.metric_type(),
        )?)?;
        let bounds = COMMIT_SECONDS.iter().copied().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(figures.commit_buckets).collect();
        let help = "Duration of commits";
        let mut histogram =
            encoder.encode_descriptor("store_commit", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        histogram.encode_histogram::<[(&str, &str); 0]>(
            figures.commit_seconds,
            figures.groups,
            &buckets,
            None,
        )
    }
}

/// Messages whose time to live ended, with a series for every carrier and class from the start.
struct ExpiredFigures {
    store: Arc<SqliteStore>,
    names: Arc<CatalogNames>,
}

impl fmt::Debug for ExpiredFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpiredFigures(..)")
    }
}

impl Collector for ExpiredFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut figures: BTreeMap<(u16, &'static str), u64> = BTreeMap::new();
        if let Some(engine) = self.names.engine.get() {
            let catalog = engine.catalog();
            let carriers = catalog.carriers().map(|carrier| carrier.no.0);
            figures.extend(carriers.flat_map(|no| Class::ALL.map(|class| ((no, class.name()), 0))));
        }
        for (carrier, class, messages) in self.store.metrics().expired {
            figures.insert((carrier.0, class.name()), messages);
        }
        let help = "Messages that expired before they were sent";
        let mut family = encoder.encode_descriptor("expired_messages", help, None, MetricType::Counter)?;
        for ((carrier, class), messages) in figures {
            let labels = [("carrier", carrier.to_string()), ("class", class.to_owned())];
            ConstCounter::new(messages).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// The name of each carrier or endpoint number in a label: `postrider_carrier_info{carrier="1",name="north"} 1`.
#[derive(Default)]
struct CatalogNames {
    engine: OnceLock<Arc<Engine>>,
}

impl fmt::Debug for CatalogNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CatalogNames(..)")
    }
}

impl Collector for CatalogNames {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(engine) = self.engine.get() else {
            return Ok(());
        };
        let help = "Name of each carrier number";
        let mut family = encoder.encode_descriptor("carrier_info", help, None, MetricType::Gauge)?;
        for carrier in engine.catalog().carriers() {
            let labels = [
                ("carrier", carrier.no.to_string()),
                ("name", carrier.name.to_string()),
            ];
            ConstGauge::new(1_i64).encode(family.encode_family(&labels)?)?;
        }
        let help = "Account and name of each endpoint number";
        let mut family = encoder.encode_descriptor("endpoint_info", help, None, MetricType::Gauge)?;
        let catalog = engine.catalog();
        for entry in catalog.endpoints() {
            let endpoint = &entry.endpoint;
            let account = catalog.account(endpoint.account);
            let labels = [
                ("endpoint", endpoint.id.0.to_string()),
                (
                    "account",
                    account
                        .map(|account| account.name.to_string())
                        .unwrap_or_default(),
                ),
                ("name", endpoint.name.to_string()),
            ];
            ConstGauge::new(1_i64).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// The labels of HTTP requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabel {
    api: &'static str,
    status: u16,
}

/// The label of request times.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabel {
    api: &'static str,
}

/// Requests to the vendors' APIs.
#[derive(Debug, Clone)]
pub(super) struct HttpMetrics {
    requests: Family<RequestLabel, Counter>,
    duration: Family<ApiLabel, Histogram, fn() -> Histogram>,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0005, 2.5, 11))),
        }
    }
}

impl HttpMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "http_requests",
            "Requests by API and HTTP status",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time from the head of a request to its response",
            Unit::Seconds,
            self.duration.clone(),
        );
    }
}

/// Counts a request and its time.
pub(super) async fn count_request(State(http): State<HttpMetrics>, request: Request, next: Next) -> Response {
    let api = api_of(request.uri().path());
    let began = Instant::now();
    let response = next.run(request).await;
    http.duration
        .get_or_create(&ApiLabel { api })
        .observe(began.elapsed().as_secs_f64());
    let status = response.status().as_u16();
    http.requests.get_or_create(&RequestLabel { api, status }).inc();
    response
}

/// The API of a path; a fixed set of values, whatever paths are requested.
fn api_of(path: &str) -> &'static str {
    match path {
        "/" => "ucloud",
        "/api" | "/api/" => "uspeedo_action",
        _ if path.starts_with("/api/v1/") => "uspeedo_rest",
        _ if path.starts_with("/smsapi/") => "sendcloud",
        _ if path.starts_with("/v1/") => "engagelab",
        _ if path.starts_with("/sandbox/") => "sandbox",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_belongs_to_one_of_few_apis() {
        let cases = [
            ("/", "ucloud"),
            ("/api", "uspeedo_action"),
            ("/api/v1/usms/SendBatchUSMSMessage", "uspeedo_rest"),
            ("/smsapi/send", "sendcloud"),
            ("/v1/send", "engagelab"),
            ("/sandbox/messages", "sandbox"),
            ("/admin.php", "other"),
        ];
        for (path, api) in cases {
            assert_eq!(api_of(path), api, "{path}");
        }
    }
}
