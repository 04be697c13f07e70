//! By what the engine's metrics are counted. No label carries a number, a text or a secret.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelSetEncoder};
use std::sync::Arc;

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

/// By carrier and result.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReceiptLabel {
    /// The carrier's number.
    pub carrier: u16,
    /// What became of the receipt; the label `result`.
    pub result: &'static str,
}

impl EncodeLabelSet for ReceiptLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        let carrier = self.carrier.to_string();
        [("carrier", carrier.as_str()), ("result", self.result)].encode(encoder)
    }
}

/// By dialect and reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusalLabel {
    /// Its name.
    pub dialect: &'static str,
    /// The name of the reason.
    pub reason: &'static str,
}

/// By account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AccountLabel {
    /// Its name, or [`OTHER_ACCOUNTS`](super::account::OTHER_ACCOUNTS).
    pub account: Arc<str>,
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

/// By part of the program.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LoopLabel {
    /// Its name.
    pub name: &'static str,
}

/// By where a clock jumped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DirectionLabel {
    /// `forward` or `back`.
    pub direction: &'static str,
}
