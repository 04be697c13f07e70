//! What the engine counts. No label carries a number, a text or a secret.

mod account;
mod configured;
mod labels;

pub use account::{AccountCounters, AccountMetrics, OTHER_ACCOUNTS};
pub use configured::DENIALS;
pub use labels::{
    AccountLabel, AnswerLabel, CarrierLabel, ClassLabel, DialectLabel, DirectionLabel, LimitLabel, LoopLabel,
    ReceiptLabel, RefusalLabel, RepeatLabel, SameBody,
};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use sms::reason::Reason;

/// Counters of the message's way.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Recipients stored.
    pub accepted: Family<DialectLabel, Counter>,
    /// Recipients refused, by reason.
    pub refused: Family<RefusalLabel, Counter>,
    /// Requests with wrong credentials, by reason.
    pub denied: Family<RefusalLabel, Counter>,
    /// Credentials that are switched off because their secret or key is empty.
    pub open_credentials: Gauge,
    /// Answers to wrong credentials that were held back.
    pub denials_delayed: Family<DialectLabel, Counter>,
    /// Requests turned away because their credential had made as many as it may, in all or of their kind.
    pub over_rate: Family<DialectLabel, Counter>,
    /// Recipients by account.
    pub accounts: AccountMetrics,
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
    /// Parts of inbound messages, by result.
    pub inbound: Family<ReceiptLabel, Counter>,
    /// Messages ready in memory.
    pub ready: Family<CarrierLabel, Gauge>,
    /// Sessions up.
    pub binds: Family<CarrierLabel, Gauge>,
    /// Messages whose answer never came.
    pub in_doubt: Family<CarrierLabel, Counter>,
    /// Times part of the program was started again after a panic.
    pub restarts: Family<LoopLabel, Counter>,
    /// Times the machine's clock jumped.
    pub clock_jumps: Family<DirectionLabel, Counter>,
    /// Whether nothing is deleted for its age, because the clock jumped ahead.
    pub deletes_held: Gauge,
    /// Times a bounded thing was full, by its name in the configuration.
    pub full: Family<LimitLabel, Counter>,
    /// From accepted to given to a carrier, in seconds.
    pub accept_to_submit: Family<ClassLabel, Histogram, fn() -> Histogram>,
    /// Webhook delivery.
    pub webhooks: crate::webhooks::WebhookMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            accepted: Family::default(),
            refused: Family::default(),
            denied: Family::default(),
            open_credentials: Gauge::default(),
            denials_delayed: Family::default(),
            over_rate: Family::default(),
            accounts: AccountMetrics::default(),
            repeats: Family::default(),
            unavailable: Counter::default(),
            submitted: Family::default(),
            answers: Family::default(),
            receipts: Family::default(),
            inbound: Family::default(),
            ready: Family::default(),
            binds: Family::default(),
            in_doubt: Family::default(),
            restarts: Family::default(),
            clock_jumps: Family::default(),
            deletes_held: Gauge::default(),
            full: Family::default(),
            accept_to_submit: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 2.0, 18))
            }),
            webhooks: crate::webhooks::WebhookMetrics::default(),
        }
    }
}

impl Metrics {
    /// Makes all of them known to a registry.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("postrider");
        registry.register(
            "accepted",
            "Recipients accepted and stored",
            self.accepted.clone(),
        );
        registry.register(
            "refused",
            "Recipients refused, by reason (docs/errors.md)",
            self.refused.clone(),
        );
        registry.register(
            "denied_requests",
            "Requests with missing or wrong credentials, by reason",
            self.denied.clone(),
        );
        registry.register(
            "open_credentials",
            "Credentials switched off because their secret or key is empty",
            self.open_credentials.clone(),
        );
        registry.register(
            "denials_delayed",
            "Answers to wrong credentials held back because there were many",
            self.denials_delayed.clone(),
        );
        registry.register(
            "requests_over_rate",
            "Requests turned away because their credential had made as many as it may, in all or status queries",
            self.over_rate.clone(),
        );
        self.accounts.register(registry);
        registry.register(
            "repeats",
            "Requests whose request id was used before, by whether the body was the same",
            self.repeats.clone(),
        );
        registry.register(
            "unavailable",
            "Requests refused because the store was busy, failing or stopping",
            self.unavailable.clone(),
        );
        registry.register(
            "submitted",
            "Message segments sent to a carrier",
            self.submitted.clone(),
        );
        registry.register(
            "answers",
            "Answers of a carrier to messages, by class of command_status",
            self.answers.clone(),
        );
        registry.register(
            "receipts",
            "Delivery receipts of a carrier, by result",
            self.receipts.clone(),
        );
        registry.register(
            "inbound",
            "Parts of inbound messages of a carrier, by result",
            self.inbound.clone(),
        );
        registry.register(
            "ready_messages",
            "Messages in memory that wait for a carrier",
            self.ready.clone(),
        );
        registry.register(
            "binds",
            "SMPP sessions of a carrier that are bound",
            self.binds.clone(),
        );
        registry.register(
            "in_doubt",
            "Messages sent to a carrier whose answer was lost",
            self.in_doubt.clone(),
        );
        registry.register(
            "restarts",
            "Times part of the program was started again after a panic",
            self.restarts.clone(),
        );
        registry.register(
            "clock_jumps",
            "Times the machine's clock jumped, by direction",
            self.clock_jumps.clone(),
        );
        registry.register(
            "deletes_held",
            "1 while nothing is deleted for its age, because the clock jumped ahead",
            self.deletes_held.clone(),
        );
        registry.register(
            "limit_reached",
            "Times that a limit of the configuration was reached",
            self.full.clone(),
        );
        registry.register_with_unit(
            "accept_to_submit",
            "Time from acceptance, or from the time due, to the first attempt, by class",
            Unit::Seconds,
            self.accept_to_submit.clone(),
        );
        self.webhooks.register(registry);
    }

    /// With labels for at most `accounts_max` accounts.
    #[must_use]
    pub fn for_accounts(accounts_max: usize) -> Self {
        Self {
            accounts: AccountMetrics::new(accounts_max),
            ..Self::default()
        }
    }

    /// The counter of recipients refused on a wire for a reason.
    pub fn refused_for(&self, dialect: store::Dialect, reason: Reason) -> Counter {
        let label = RefusalLabel {
            dialect: dialect_name(dialect),
            reason: reason.name(),
        };
        self.refused.get_or_create(&label).clone()
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
