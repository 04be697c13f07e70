//! Values that make no sense are refused before they are in force.

use super::behaviour::{Behaviour, People, Receipts, Rule};
use super::people::InboundTally;
use crate::sense::{Senseless, check_share, check_span};

impl Behaviour {
    /// Finds values that make no sense.
    ///
    /// # Errors
    /// [`Senseless`] names the first.
    pub fn check(&self) -> Result<(), Senseless> {
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
            return Err(Senseless::new(
                "receipts.window_max",
                0,
                "no receipt could ever leave",
            ));
        }
        if self.receipts.states.is_empty() {
            return Err(Senseless::new(
                "receipts.states",
                "empty",
                "set receipts.enabled = false instead",
            ));
        }
        self.people.check()?;
        self.rules
            .iter()
            .enumerate()
            .try_for_each(|(at, rule)| rule.check(at))
    }
}

impl People {
    /// Faster than this is no rate at which people write.
    const PER_S_MAX: f64 = 100_000.0;

    fn check(&self) -> Result<(), Senseless> {
        check_share("people.unicode_share", self.unicode_share)?;
        check_share("people.repeat_share", self.repeat_share)?;
        check_span("people.parts", self.parts)?;
        check_span("people.repeat_after_ms", self.repeat_after_ms)?;
        if !(0.0..=Self::PER_S_MAX).contains(&self.per_s) {
            let why = "a rate lies between 0 and 100000";
            return Err(Senseless::new("people.per_s", self.per_s, why));
        }
        if self.parts.min == 0 || self.parts.max > u64::from(InboundTally::PARTS_MAX) {
            let value = format!("[{}, {}]", self.parts.min, self.parts.max);
            return Err(Senseless::new(
                "people.parts",
                value,
                "a message has 1 to 32 parts",
            ));
        }
        if self.to.is_empty() {
            return Err(Senseless::new("people.to", "empty", "they write to somebody"));
        }
        if self.senders == 0 {
            return Err(Senseless::new("people.senders", 0, "somebody has to write"));
        }
        Ok(())
    }
}

impl Rule {
    fn check(&self, at: usize) -> Result<(), Senseless> {
        check_share(&format!("share of rule {at}"), self.share.unwrap_or(1.0))?;
        check_span(
            &format!("answer_delay_ms of rule {at}"),
            self.answer_delay_ms.unwrap_or_default(),
        )?;
        if self.states.as_ref().is_some_and(Vec::is_empty) {
            let why = "set receipt = \"never\" instead";
            return Err(Senseless::new(format!("states of rule {at}"), "empty", why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senseless_values_are_named() {
        for (text, named) in [
            ("answers.silent_share = 1.5", "answers.silent_share"),
            (
                "receipts = { late_share = 0.6, never_share = 0.6 }",
                "the sum of the shares of receipts",
            ),
            ("answers.delay_ms = [9, 2]", "answers.delay_ms"),
            ("receipts.window_max = 0", "receipts.window_max"),
            ("receipts.states = []", "receipts.states"),
            ("people.per_s = -1", "people.per_s"),
            ("people.parts = [0, 2]", "people.parts"),
            ("people.parts = 33", "people.parts"),
            ("people.to = []", "people.to"),
            ("people.senders = 0", "people.senders"),
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
