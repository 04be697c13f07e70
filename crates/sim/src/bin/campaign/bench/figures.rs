//! The table.

use crate::report::{grouped, median};
use crate::say;

/// What is measured in each run, in the order it was first measured.
#[derive(Debug, Default)]
pub(super) struct Figures {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: String,
    unit: &'static str,
    values: Vec<f64>,
}

impl Figures {
    pub(super) fn add(&mut self, what: impl Into<String>, unit: &'static str, value: f64) {
        let what = what.into();
        say(&format!("  {what:<64} {:>12} {unit}", shown(value)));
        match self.rows.iter_mut().find(|row| row.what == what) {
            Some(row) => row.values.push(value),
            None => self.rows.push(Row {
                what,
                unit,
                values: vec![value],
            }),
        }
    }

    /// One table, the medians of all runs, with the span of the runs beside them.
    pub(super) fn print(&self) {
        say("| what | median | unit | runs |");
        say("|---|---:|---|---|");
        for Row { what, unit, values } in &self.rows {
            let runs: Vec<String> = values.iter().copied().map(shown).collect();
            say(&format!(
                "| {what} | {} | {unit} | {} |",
                shown(median(values.clone())),
                runs.join(", ")
            ));
        }
    }
}

impl Figures {
    /// A table beside the program before; whether every figure keeps its bound: 0.95 of the median before, or, where the
    /// runs before spread by more than 5 % of their median, that spread.
    pub(super) fn compare(&self, before: &Self) -> bool {
        say("| what | before | now | now/before | spread before | bound | |");
        say("|---|---:|---:|---:|---:|---:|---|");
        let mut holds = true;
        for row in &self.rows {
            let Some(earlier) = before.rows.iter().find(|earlier| earlier.what == row.what) else {
                continue;
            };
            let Compared {
                before,
                now,
                ratio,
                spread,
                bound,
            } = row.beside(earlier);
            // What only describes the run (counts, shares of itself) has no better or worse.
            let mark = match row.is_better_high() {
                None => "",
                Some(_) if ratio >= bound => "ok",
                Some(_) => {
                    holds = false;
                    "BELOW"
                }
            };
            say(&format!(
                "| {} ({}) | {} | {} | {ratio:.3} | {spread:.3} | {bound:.3} | {mark} |",
                row.what,
                row.unit,
                shown(before),
                shown(now),
            ));
        }
        holds
    }
}

/// A figure beside the same of the program before. The ratio is above 1 when it is better now.
#[derive(Debug, PartialEq)]
struct Compared {
    before: f64,
    now: f64,
    ratio: f64,
    spread: f64,
    bound: f64,
}

impl Row {
    /// Whether more is better; `None` when it is neither.
    fn is_better_high(&self) -> Option<bool> {
        match self.unit {
            unit if unit.ends_with("/s") => Some(true),
            "ms" | "us/message" | "MiB" => Some(false),
            _ => None,
        }
    }

    fn beside(&self, earlier: &Self) -> Compared {
        let (before, now) = (median(earlier.values.clone()), median(self.values.clone()));
        let most = earlier.values.iter().copied().fold(f64::MIN, f64::max);
        let least = earlier.values.iter().copied().fold(f64::MAX, f64::min);
        let spread = if before > 0.0 {
            (most - least) / before
        } else {
            0.0
        };
        let ratio = match self.is_better_high() {
            Some(false) if now > 0.0 => before / now,
            _ if before > 0.0 => now / before,
            _ => 1.0,
        };
        Compared {
            before,
            now,
            ratio,
            spread,
            bound: 1.0 - spread.max(0.05),
        }
    }
}

/// Small values with a decimal, large ones in whole groups.
fn shown(value: f64) -> String {
    if value.is_finite() && value.abs() < 100.0 {
        format!("{value:.1}")
    } else {
        grouped(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(unit: &'static str, values: &[f64]) -> Row {
        Row {
            what: "x".to_owned(),
            unit,
            values: values.to_vec(),
        }
    }

    #[test]
    fn a_figure_is_held_to_the_one_before_or_to_its_spread() {
        let steady = row("messages/s", &[100.0, 101.0, 99.0]);
        let compared = row("messages/s", &[96.0, 90.0, 97.0]).beside(&steady);
        assert!(
            (compared.ratio - 0.96).abs() < 1e-9 && (compared.bound - 0.95).abs() < 1e-9,
            "{compared:?}"
        );
        let spread = row("messages/s", &[100.0, 80.0, 110.0]);
        let compared = row("messages/s", &[80.0]).beside(&spread);
        assert!((compared.bound - 0.7).abs() < 1e-9, "{compared:?}");
        let slower = row("ms", &[20.0]).beside(&row("ms", &[10.0, 10.0]));
        assert!(
            (slower.ratio - 0.5).abs() < 1e-9,
            "more milliseconds are worse: {slower:?}"
        );
    }

    #[test]
    fn one_figure_below_its_bound_is_enough() {
        let (mut before, mut now) = (Figures::default(), Figures::default());
        before.add("a", "messages/s", 100.0);
        now.add("a", "messages/s", 99.0);
        now.add("only now", "messages/s", 1.0);
        assert!(now.compare(&before));
        before.add("b", "ms", 1.0);
        now.add("b", "ms", 2.0);
        assert!(!now.compare(&before));
    }
}
