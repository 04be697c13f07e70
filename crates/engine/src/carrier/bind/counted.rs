//! Counters of one session, looked up once.

use crate::carrier::encode;
use crate::carrier::retry_policy::class_name;
use crate::metrics::{AnswerLabel, ClassLabel, Metrics};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use smpp::status::StatusClass;
use sms::class::Class;
use store::{CarrierNo, Outgoing, UnixMs};

/// Counters of this session, looked up once.
pub(super) struct Counted {
    pub(super) submitted: Counter,
    pub(super) answers_ok: Counter,
    waited: [Histogram; 3],
}

impl Counted {
    pub(super) fn new(metrics: &Metrics, carrier: CarrierNo) -> Self {
        let ok = AnswerLabel {
            carrier: carrier.0,
            class: class_name(StatusClass::Ok),
        };
        let waited = Class::ALL.map(|class| {
            metrics
                .accept_to_submit
                .get_or_create(&ClassLabel {
                    class: class_label(class),
                })
                .clone()
        });
        Self {
            submitted: metrics
                .submitted
                .get_or_create(&Metrics::carrier(carrier))
                .clone(),
            answers_ok: metrics.answers.get_or_create(&ok).clone(),
            waited,
        }
    }

    pub(super) fn waited(&self, message: &Outgoing, now: UnixMs) {
        if let Some(waited) = self.waited.get(usize::from(message.batch.class.as_u8())) {
            waited.observe(encode::waited_ms(message, now) as f64 / 1000.0);
        }
    }
}

const fn class_label(class: Class) -> &'static str {
    match class {
        Class::Otp => "otp",
        Class::Notice => "notice",
        Class::Marketing => "marketing",
    }
}
