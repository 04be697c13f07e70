//! What the engine counts. No label carries a number, a text or a secret.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Counters of the message's way.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Recipients stored.
    pub accepted: Family<DialectLabel, Counter>,
    /// Recipients refused.
    pub refused: Family<DialectLabel, Counter>,
    /// Requests whose id was used before.
    pub repeats: Family<RepeatLabel, Counter>,
    /// Requests that came to nothing because the store was busy, failing or stopping.
    pub unavailable: Counter,
    /// Segments given to carriers.
    pub submitted: Family<CarrierLabel, Counter>,
    /// Answers of carriers by class.
    pub answers: Family<AnswerLabel, Counter>,
    /// Receipts by what became of them.
    pub receipts: Family<ReceiptLabel, Counter>,
    /// Parts of what people wrote, by what became of them.
    pub inbound: Family<ReceiptLabel, Counter>,
    /// Messages ready in memory.
    pub ready: Family<CarrierLabel, Gauge>,
    /// Sessions up.
    pub binds: Family<CarrierLabel, Gauge>,
    /// Messages whose answer never came.
    pub in_doubt: Family<CarrierLabel, Counter>,
    /// Times a bounded thing was full, by its name in the configuration.
    pub full: Family<LimitLabel, Counter>,
    /// From accepted to given to a carrier, in seconds.
    pub accept_to_submit: Family<ClassLabel, Histogram, fn() -> Histogram>,
    /// Of telling events.
    pub notify: crate::notify::NotifyMetrics,
}

/// By dialect.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DialectLabel {
    /// Its name.
    pub dialect: &'static str,
}

/// By dialect and whether the body was the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RepeatLabel {
    /// Its name.
    pub dialect: &'static str,
    /// Whether the repeat had the same body.
    pub same_body: SameBody,
}

/// Whether a repeat had the same body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum SameBody {
    /// It had.
    Yes,
    /// It had not: the caller uses one id for different requests.
    No,
}

/// By carrier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CarrierLabel {
    /// Its number.
    pub carrier: u16,
}

/// By carrier and class of answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AnswerLabel {
    /// The carrier's number.
    pub carrier: u16,
    /// The class of the answer.
    pub class: &'static str,
}

/// By carrier and fate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReceiptLabel {
    /// The carrier's number.
    pub carrier: u16,
    /// What became of the receipt.
    pub fate: &'static str,
}

/// By limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LimitLabel {
    /// Its name in the configuration.
    pub limit: &'static str,
}

/// By class.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClassLabel {
    /// The traffic class.
    pub class: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            accepted: Family::default(),
            refused: Family::default(),
            repeats: Family::default(),
            unavailable: Counter::default(),
            submitted: Family::default(),
            answers: Family::default(),
            receipts: Family::default(),
            inbound: Family::default(),
            ready: Family::default(),
            binds: Family::default(),
            in_doubt: Family::default(),
            full: Family::default(),
            accept_to_submit: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 2.0, 18))
            }),
            notify: crate::notify::NotifyMetrics::default(),
        }
    }
}

impl Metrics {
    /// Makes all of them known to a registry.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("postrider");
        registry.register("accepted", "Recipients stored", self.accepted.clone());
        registry.register("refused", "Recipients refused", self.refused.clone());
        registry.register(
            "repeats",
            "Requests whose id was used before",
            self.repeats.clone(),
        );
        registry.register(
            "unavailable",
            "Requests refused for want of the store",
            self.unavailable.clone(),
        );
        registry.register("submitted", "Segments given to carriers", self.submitted.clone());
        registry.register("answers", "Answers of carriers by class", self.answers.clone());
        registry.register(
            "receipts",
            "Receipts by what became of them",
            self.receipts.clone(),
        );
        registry.register(
            "inbound",
            "Parts of what people wrote, by what became of them",
            self.inbound.clone(),
        );
        registry.register("ready_messages", "Messages ready in memory", self.ready.clone());
        registry.register("binds", "Sessions up", self.binds.clone());
        registry.register(
            "in_doubt",
            "Messages whose answer never came",
            self.in_doubt.clone(),
        );
        registry.register(
            "limit_reached",
            "Times a bounded thing was full",
            self.full.clone(),
        );
        registry.register_with_unit(
            "accept_to_submit",
            "From accepted to given to a carrier",
            Unit::Seconds,
            self.accept_to_submit.clone(),
        );
        self.notify.register(registry);
    }

    /// The label of a carrier.
    pub fn carrier(no: store::CarrierNo) -> CarrierLabel {
        CarrierLabel { carrier: no.0 }
    }
}

/// The name of a dialect as it stands in metrics and logs.
pub const fn dialect_name(dialect: store::Dialect) -> &'static str {
    match dialect {
        store::Dialect::UspeedoRest => "uspeedo_rest",
        store::Dialect::UspeedoAction => "uspeedo_action",
        store::Dialect::Ucloud => "ucloud",
        store::Dialect::Sendcloud => "sendcloud",
        store::Dialect::EngagelabA => "engagelab_a",
        store::Dialect::EngagelabC => "engagelab_c",
    }
}
