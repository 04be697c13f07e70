//! How the sink behaves: everything that can be changed while it runs.

use serde::{Deserialize, Serialize};

use crate::InvalidSetting;
use crate::smsc::Span;
use crate::validation::{check_share, check_span};

/// Everything that can be changed while the sink runs. The default takes every call at once.
///
/// The shares add up to 1 at most; what they leave is taken. What happens to a call is a function of the seed, of the
/// call's `webhook-id` and of how often its event failed before: the same calls meet the same faults in whatever order they
/// come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Milliseconds from a call to its answer.
    pub delay_ms: Span,
    /// Share of calls that are refused, 0 to 1.
    pub refused_share: f64,
    /// The status of a refusal, 400 to 599.
    pub refused_with: u16,
    /// Share of calls that are redirected (302), 0 to 1.
    pub redirected_share: f64,
    /// Share of calls that are read and never answered, 0 to 1; the connection stays until the caller gives up.
    pub hung_share: f64,
    /// Share of calls whose connection ends in the middle of an answer that begins well, 0 to 1.
    pub cut_share: f64,
    /// How often one event meets a fault at most; `None`: without end.
    pub faults_per_event_max: Option<u16>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            delay_ms: Span::default(),
            refused_share: 0.0,
            refused_with: 500,
            redirected_share: 0.0,
            hung_share: 0.0,
            cut_share: 0.0,
            faults_per_event_max: None,
        }
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallOutcome {
    Taken,
    Refused,
    Redirected,
    Hung,
    Cut,
}

impl Behaviour {
    /// Validates the values.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the first invalid value.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let Self {
            refused_share,
            redirected_share,
            hung_share,
            cut_share,
            ..
        } = *self;
        for (setting, share) in [
            ("refused_share", refused_share),
            ("redirected_share", redirected_share),
            ("hung_share", hung_share),
            ("cut_share", cut_share),
            (
                "the sum of the shares",
                refused_share + redirected_share + hung_share + cut_share,
            ),
        ] {
            check_share(setting, share)?;
        }
        check_span("delay_ms", self.delay_ms)?;
        if !(400..600).contains(&self.refused_with) {
            let why = "must be a status from 400 to 599";
            return Err(InvalidSetting::new("refused_with", self.refused_with, why));
        }
        Ok(())
    }

    /// The outcome of a call that drew `unit`, 0 to 1, and whose event failed `in_vain` times before.
    pub(super) fn outcome(&self, unit: f64, in_vain: u16) -> CallOutcome {
        if self.faults_per_event_max.is_some_and(|max| in_vain >= max) {
            return CallOutcome::Taken;
        }
        let mut left = unit;
        for (share, outcome) in [
            (self.refused_share, CallOutcome::Refused),
            (self.redirected_share, CallOutcome::Redirected),
            (self.hung_share, CallOutcome::Hung),
            (self.cut_share, CallOutcome::Cut),
        ] {
            if left < share {
                return outcome;
            }
            left -= share;
        }
        CallOutcome::Taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_values_are_named() {
        for (text, named) in [
            ("refused_share = 1.5", "refused_share"),
            ("hung_share = 0.6\ncut_share = 0.6", "the sum of the shares"),
            ("delay_ms = [9, 2]", "delay_ms"),
            ("refused_with = 302", "refused_with"),
        ] {
            let behaviour: Behaviour = toml::from_str(text).unwrap();
            assert_eq!(behaviour.check().unwrap_err().setting, named, "{text}");
        }
        assert!(toml::from_str::<Behaviour>("refused = 1").is_err());
        Behaviour::default().check().unwrap();
    }

    #[test]
    fn outcomes_are_drawn_by_their_shares() {
        let behaviour = Behaviour {
            refused_share: 0.1,
            redirected_share: 0.1,
            hung_share: 0.1,
            cut_share: 0.1,
            faults_per_event_max: Some(2),
            ..Behaviour::default()
        };
        for (unit, outcome) in [
            (0.05, CallOutcome::Refused),
            (0.15, CallOutcome::Redirected),
            (0.25, CallOutcome::Hung),
            (0.35, CallOutcome::Cut),
            (0.45, CallOutcome::Taken),
            (0.99, CallOutcome::Taken),
        ] {
            assert_eq!(behaviour.outcome(unit, 1), outcome);
        }
        assert_eq!(behaviour.outcome(0.05, 2), CallOutcome::Taken);
        assert_eq!(Behaviour::default().outcome(0.0, 0), CallOutcome::Taken);
    }
}
