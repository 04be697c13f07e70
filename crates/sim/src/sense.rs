//! Values that make no sense are refused before they are in force.

use crate::smsc::Span;

/// A value that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value}: {why}")]
pub struct Senseless {
    /// Which setting.
    pub setting: String,
    /// What it is set to.
    pub value: String,
    /// What is wrong with that.
    pub why: &'static str,
}

impl Senseless {
    pub(crate) fn new(setting: impl Into<String>, value: impl ToString, why: &'static str) -> Self {
        Self {
            setting: setting.into(),
            value: value.to_string(),
            why,
        }
    }
}

/// A share lies between 0 and 1.
pub(crate) fn check_share(setting: &str, share: f64) -> Result<(), Senseless> {
    // A little over 1 is what adding shares up in binary gives.
    if (0.0..=1.0 + 1e-9).contains(&share) {
        return Ok(());
    }
    Err(Senseless::new(setting, share, "a share lies between 0 and 1"))
}

/// A span is the right way round.
pub(crate) fn check_span(setting: &str, span: Span) -> Result<(), Senseless> {
    if span.min <= span.max {
        return Ok(());
    }
    let value = format!("[{}, {}]", span.min, span.max);
    Err(Senseless::new(setting, value, "the lower end comes first"))
}
