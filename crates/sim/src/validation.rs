//! Validates settings before they are in force.

use crate::smsc::Span;

/// A setting with an invalid value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} = {value}: {why}")]
pub struct InvalidSetting {
    /// Which setting.
    pub setting: String,
    /// What it is set to.
    pub value: String,
    /// What would be right.
    pub why: &'static str,
}

impl InvalidSetting {
    pub(crate) fn new(setting: impl Into<String>, value: impl ToString, why: &'static str) -> Self {
        Self {
            setting: setting.into(),
            value: value.to_string(),
            why,
        }
    }
}

/// A share lies between 0 and 1.
pub(crate) fn check_share(setting: &str, share: f64) -> Result<(), InvalidSetting> {
    // A little over 1 is what adding shares up in binary gives.
    if (0.0..=1.0 + 1e-9).contains(&share) {
        return Ok(());
    }
    Err(InvalidSetting::new(setting, share, "must be a share from 0 to 1"))
}

/// A span is the right way round.
pub(crate) fn check_span(setting: &str, span: Span) -> Result<(), InvalidSetting> {
    if span.min <= span.max {
        return Ok(());
    }
    let value = format!("[{}, {}]", span.min, span.max);
    Err(InvalidSetting::new(
        setting,
        value,
        "the lower bound must come first",
    ))
}
