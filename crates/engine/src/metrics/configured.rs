//! Series for everything that is configured, from the start: an alarm on a series that does not exist never fires.

use super::{
    AnswerLabel, ClassLabel, DialectLabel, DirectionLabel, LimitLabel, Metrics, ReceiptLabel, RefusalLabel,
    RepeatLabel, SameBody, dialect_name,
};
use crate::carrier::retry_policy::class_name;
use crate::catalog::{CarrierEntry, CarrierSettings, Snapshot};
use crate::queue::Queues;
use smpp::status::StatusClass;
use sms::class::Class;
use sms::reason::Reason;
use store::Dialect;

/// Classes of answers. `Vendor` is what is left of codes that nobody gave a class.
const ANSWERS: [StatusClass; 7] = [
    StatusClass::Ok,
    StatusClass::SlowDown,
    StatusClass::Transient,
    StatusClass::PermanentRecipient,
    StatusClass::PermanentRoute,
    StatusClass::Session,
    StatusClass::Vendor,
];
/// What can become of a receipt.
const RECEIPTS: [&str; 6] = [
    "applied",
    "repeated",
    "stored_unmatched",
    "unmatched",
    "unreadable",
    "unknown_word",
];
/// What can become of a part of an inbound message.
const INBOUND: [&str; 4] = ["whole", "waiting", "repeated", "throttled"];
/// Why credentials are not accepted.
pub const DENIALS: [&str; 6] = [
    "missing",
    "unknown_key",
    "wrong_secret",
    "wrong_time",
    "replayed",
    "disabled",
];

impl Metrics {
    /// Creates what is missing of the series of carriers, accounts, wires and classes, and sets the gauges
    /// that are looked at rather than kept. Cheap: called with each scrape.
    pub fn cover(&self, catalog: &Snapshot, queues: &Queues) {
        for dialect in Dialect::ALL {
            self.cover_dialect(dialect);
        }
        for direction in ["forward", "back"] {
            let _ = self.clock_jumps.get_or_create(&DirectionLabel { direction });
        }
        for class in Class::ALL {
            let class = class.name();
            let _ = self.accept_to_submit.get_or_create(&ClassLabel { class });
        }
        let (mut of_queue, mut of_lane) = (0, 0);
        for queue in queues.all() {
            let (queue, lane) = queue.times_full();
            of_queue += queue;
            of_lane += lane;
        }
        for (limit, times) in [("ready_messages_max", of_queue), ("lane_messages_max", of_lane)] {
            let counter = self.full.get_or_create(&LimitLabel { limit });
            // Counted where it happens; queues stay for as long as the process, so this never falls.
            counter.inner().store(times, std::sync::atomic::Ordering::Relaxed);
        }
        let mut accounts: Vec<_> = catalog.accounts().collect();
        accounts.sort_unstable_by_key(|account| account.id);
        for account in accounts {
            let _ = self.accounts.of(account);
        }
        for carrier in catalog.carriers() {
            self.cover_carrier(carrier);
            let ready = queues.of(carrier.no).ready_messages();
            let gauge = self.ready.get_or_create(&Self::carrier(carrier.no));
            gauge.set(i64::try_from(ready).unwrap_or(i64::MAX));
        }
    }

    fn cover_dialect(&self, dialect: Dialect) {
        let name = dialect_name(dialect);
        let _ = self.accepted.get_or_create(&DialectLabel { dialect: name });
        for reason in Reason::ALL.iter().filter(|reason| reason.is_refusal()) {
            let _ = self.refused_for(dialect, *reason);
        }
        let _ = self
            .denials_delayed
            .get_or_create(&DialectLabel { dialect: name });
        let _ = self.over_rate.get_or_create(&DialectLabel { dialect: name });
        for reason in DENIALS {
            let _ = self.denied.get_or_create(&RefusalLabel {
                dialect: name,
                reason,
            });
        }
        for same_body in [SameBody::Yes, SameBody::No] {
            let _ = self.repeats.get_or_create(&RepeatLabel {
                dialect: name,
                same_body,
            });
        }
    }

    fn cover_carrier(&self, carrier: &CarrierEntry) {
        let label = Self::carrier(carrier.no);
        // The sandbox has no sessions: a 0 would be an alarm that means nothing.
        if !matches!(carrier.settings, CarrierSettings::Smpp(_)) {
            return;
        }
        let _ = self.binds.get_or_create(&label);
        let _ = self.submitted.get_or_create(&label);
        let _ = self.in_doubt.get_or_create(&label);
        let no = carrier.no.0;
        for class in ANSWERS.map(class_name).into_iter().chain(["late"]) {
            let _ = self.answers.get_or_create(&AnswerLabel { carrier: no, class });
        }
        for result in RECEIPTS {
            let _ = self.receipts.get_or_create(&ReceiptLabel { carrier: no, result });
        }
        for result in INBOUND {
            let _ = self.inbound.get_or_create(&ReceiptLabel { carrier: no, result });
        }
    }
}
