//! Validates the behaviour before it is in force.

use super::behaviour::{Behaviour, MoGenerator, Receipts, Rule};
use super::mo_generator::InboundCounts;
use crate::validation::{InvalidSetting, check_share, check_span};

impl Behaviour {
    /// Validates the values.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the first invalid value.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let Receipts {
            early_share,
            late_share,
            twice_share,
            never_share,
            ..
        } = self.receipts;
        for (setting, share) in [
            ("binds.refused_share", self.binds.refused_share),
            ("answers.silent_share", self.answers.silent_share),
            ("receipts.early_share", early_share),
            ("receipts.late_share", late_share),
            ("receipts.twice_share", twice_share),
            ("receipts.never_share", never_share),
            ("faults.cut_taken_share", self.faults.cut_taken_share),
            (
                "the sum of the shares of receipts",
                early_share + late_share + twice_share + never_share,
            ),
        ] {
            check_share(setting, share)?;
        }
        for (setting, span) in [
            ("binds.delay_ms", self.binds.delay_ms),
            ("answers.delay_ms", self.answers.delay_ms),
            ("receipts.delay_ms", self.receipts.delay_ms),
            ("receipts.late_delay_ms", self.receipts.late_delay_ms),
            ("faults.disconnect_after", self.faults.disconnect_after),
            ("faults.disconnect_after_ms", self.faults.disconnect_after_ms),
            ("faults.garbage_after", self.faults.garbage_after),
        ] {
            check_span(setting, span)?;
        }
        if self.receipts.window_max == 0 {
            return Err(InvalidSetting::new(
                "receipts.window_max",
                0,
                "must be at least 1",
            ));
        }
        if self.receipts.states.is_empty() {
            return Err(InvalidSetting::new(
                "receipts.states",
                "empty",
                "must have a state; to send no receipts set receipts.enabled = false",
            ));
        }
        self.mo_generator.check()?;
        self.rules
            .iter()
            .enumerate()
            .try_for_each(|(at, rule)| rule.check(at))
    }
}

impl MoGenerator {
    /// Messages a second at most.
    const PER_S_MAX: f64 = 100_000.0;

    fn check(&self) -> Result<(), InvalidSetting> {
        check_share("mo.unicode_share", self.unicode_share)?;
        check_share("mo.repeat_share", self.repeat_share)?;
        check_span("mo.parts", self.parts)?;
        check_span("mo.repeat_after_ms", self.repeat_after_ms)?;
        if !(0.0..=Self::PER_S_MAX).contains(&self.per_s) {
            let why = "must be a rate from 0 to 100000";
            return Err(InvalidSetting::new("mo.per_s", self.per_s, why));
        }
        if self.parts.min == 0 || self.parts.max > u64::from(InboundCounts::PARTS_MAX) {
            let value = format!("[{}, {}]", self.parts.min, self.parts.max);
            return Err(InvalidSetting::new("mo.parts", value, "must be 1 to 32 parts"));
        }
        if self.to.is_empty() {
            return Err(InvalidSetting::new(
                "mo.to",
                "empty",
                "must have at least one number",
            ));
        }
        if self.senders == 0 {
            return Err(InvalidSetting::new("mo.senders", 0, "must be at least 1"));
        }
        Ok(())
    }
}

impl Rule {
    fn check(&self, at: usize) -> Result<(), InvalidSetting> {
        check_share(&format!("share of rule {at}"), self.share.unwrap_or(1.0))?;
        check_span(
            &format!("answer_delay_ms of rule {at}"),
            self.answer_delay_ms.unwrap_or_default(),
        )?;
        if self.states.as_ref().is_some_and(Vec::is_empty) {
            let why = "must have a state; to send no receipts set receipt = \"never\"";
            return Err(InvalidSetting::new(format!("states of rule {at}"), "empty", why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_values_are_named() {
        for (text, named) in [
            ("answers.silent_share = 1.5", "answers.silent_share"),
            (
                "receipts = { late_share = 0.6, never_share = 0.6 }",
                "the sum of the shares of receipts",
            ),
            ("answers.delay_ms = [9, 2]", "answers.delay_ms"),
            ("receipts.window_max = 0", "receipts.window_max"),
            ("receipts.states = []", "receipts.states"),
            ("mo.per_s = -1", "mo.per_s"),
            ("mo.parts = [0, 2]", "mo.parts"),
            ("mo.parts = 33", "mo.parts"),
            ("mo.to = []", "mo.to"),
            ("mo.senders = 0", "mo.senders"),
            ("[[rules]]\nshare = -1", "share of rule 0"),
            ("[[rules]]\nstates = []", "states of rule 0"),
        ] {
            let behaviour: Behaviour = toml::from_str(text).unwrap();
            assert_eq!(behaviour.check().unwrap_err().setting, named, "{text}");
        }
        assert!(
            toml::from_str::<Behaviour>("answer.delay_ms = 1").is_err(),
            "unknown settings are refused"
        );
    }
}
