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
    pub(super) fn tell(&self) {
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

/// Small values with a decimal, large ones in whole groups.
fn shown(value: f64) -> String {
    if value.is_finite() && value.abs() < 100.0 {
        format!("{value:.1}")
    } else {
        grouped(value)
    }
}
