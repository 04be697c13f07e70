//! Reports of checks, and tables.

use crate::say;

/// The figures and checks of a campaign.
#[derive(Debug, Default)]
pub(crate) struct Report {
    checks: u32,
    /// The checks that do not hold, in the order they were made.
    violated: Vec<String>,
    /// Nothing is printed.
    silent: bool,
}

impl Report {
    /// A report that prints nothing, for callers that print what does not hold.
    pub(crate) fn silent() -> Self {
        Self {
            silent: true,
            ..Self::default()
        }
    }

    fn say(&self, text: &str) {
        if !self.silent {
            say(text);
        }
    }

    /// A figure without a bound.
    pub(crate) fn figure(&self, what: &str, value: impl std::fmt::Display) {
        self.say(&format!("  {what:<52} {value}"));
    }

    /// A figure that must not exceed a bound.
    pub(crate) fn at_most(&mut self, what: &str, value: u64, max: u64) {
        let mark = self.check(what, value <= max);
        self.say(&format!("  {what:<52} {value} (at most {max}) {mark}"));
    }

    /// A figure that must reach a bound.
    pub(crate) fn at_least(&mut self, what: &str, value: u64, min: u64) {
        let mark = self.check(what, value >= min);
        self.say(&format!("  {what:<52} {value} (at least {min}) {mark}"));
    }

    /// A figure that must be what it is expected to be.
    pub(crate) fn equal(&mut self, what: &str, value: u64, expected: u64) {
        let mark = self.check(what, value == expected);
        self.say(&format!("  {what:<52} {value} (of {expected}) {mark}"));
    }

    /// One more check; how it is marked.
    fn check(&mut self, what: &str, holds: bool) -> &'static str {
        self.checks += 1;
        if !holds {
            self.violated.push(what.to_owned());
        }
        if holds { "ok" } else { "VIOLATION" }
    }

    /// Cases of something that must not be; the first few are named.
    pub(crate) fn none_of(&mut self, what: &str, cases: &[impl std::fmt::Debug]) {
        const SHOWN_MAX: usize = 5;
        self.at_most(what, cases.len() as u64, 0);
        if let Some(shown) = cases
            .get(..cases.len().min(SHOWN_MAX))
            .filter(|shown| !shown.is_empty())
        {
            self.say(&format!("    such as {shown:?}"));
        }
    }

    /// Something that must hold.
    pub(crate) fn must(&mut self, what: &str, holds: bool) {
        let mark = self.check(what, holds);
        self.say(&format!("  {what:<52} {mark}"));
    }

    /// Counts another one's checks as its own.
    pub(crate) fn add(&mut self, other: &Self) {
        self.checks += other.checks;
        self.violated.extend_from_slice(&other.violated);
    }

    pub(crate) fn is_good(&self) -> bool {
        self.violated.is_empty()
    }

    /// The last lines of a campaign: the checks that do not hold, then the result. Returns whether all hold.
    pub(crate) fn conclude(&self, campaign: &str) -> bool {
        for what in &self.violated {
            say(&format!("  does not hold: {what}"));
        }
        let checks = self.checks;
        say(&match self.violated.len() {
            0 => format!("{campaign}: PASSED, {checks} of {checks} checks hold"),
            violations => format!("{campaign}: FAILED, {violations} of {checks} checks do not hold"),
        });
        self.is_good()
    }
}

/// The value in the middle; the lower one of two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(f64::NAN)
}

/// A whole number with its thousands separated by blanks.
pub(crate) fn grouped(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_medians_found() {
        for (value, text) in [
            (0.0, "0"),
            (999.4, "999"),
            (1000.0, "1 000"),
            (1_234_567.0, "1 234 567"),
        ] {
            assert_eq!(grouped(value), text);
        }
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 1.0);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn one_violation_is_enough() {
        let mut report = Report::default();
        report.at_most("lost", 0, 0);
        report.none_of("missing", &[0; 0]);
        report.equal("accepted", 7, 7);
        assert!(report.is_good());
        report.must("all final", false);
        assert!(!report.is_good());
        let mut report = Report::default();
        report.none_of("missing", &[7; 9]);
        assert!(!report.is_good());
        let mut report = Report::default();
        report.equal("accepted", 7, 8);
        assert!(!report.is_good());
        let mut report = Report::default();
        report.at_least("changes", 7, 7);
        assert!(report.conclude("test"));
        let mut all = Report::default();
        all.add(&report);
        assert!(all.is_good());
        report.at_least("changes", 6, 7);
        assert!(!report.conclude("test"));
        assert_eq!(report.violated, ["changes"]);
        all.add(&report);
        assert!(!all.is_good());
    }
}
