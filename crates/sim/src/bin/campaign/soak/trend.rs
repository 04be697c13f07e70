//! The trend of a long run: one row a minute, and the bounds that no figure may break for long.

use std::fmt::Write;

use crate::report::grouped;

/// So many minutes in a row a queue or a lag may be over its bound: a peer that is away is made up for by then.
const OVER_MAX: usize = 3;

/// Minutes of a run at least, to distinguish growth from warm-up.
const GROWTH_MINUTES_MIN: usize = 8;

/// What may be added to what memory the second quarter took, in MiB and in percent.
const GROWTH_MIB: u64 = 32;
const GROWTH_PERCENT: u64 = 25;

/// What must not be exceeded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) memory_mib_max: u64,
    /// Messages that wait at the end of a minute.
    pub(super) unsent_max: u64,
    /// Webhook lag in seconds at the end of a minute.
    pub(super) behind_s_max: u64,
}

/// The figures of a minute.
#[derive(Clone, Debug, Default)]
pub(super) struct Minute {
    /// Recipients a second.
    pub(super) accepted_per_s: f64,
    pub(super) sent_per_s: f64,
    pub(super) events_per_s: f64,
    pub(super) inbound_per_s: f64,
    pub(super) resident_mib: u64,
    /// Messages that wait or are on their way at its end.
    pub(super) unsent: u64,
    pub(super) behind_s: u64,
    pub(super) waiting_calls: u64,
    pub(super) injected_fault: Option<&'static str>,
}

impl Minute {
    /// The line of a minute.
    pub(super) fn line(&self, number: u64) -> String {
        let mut line = format!(
            "  minute {number:>4}: {:>6} accepted/s {:>6} sent/s {:>6} events/s {:>4.1} inbound/s | {:>4} MiB | \
             waiting {:>5} | lag {:>3} s, {:>4} calls waiting",
            grouped(self.accepted_per_s),
            grouped(self.sent_per_s),
            grouped(self.events_per_s),
            self.inbound_per_s,
            self.resident_mib,
            self.unsent,
            self.behind_s,
            self.waiting_calls
        );
        if let Some(injected_fault) = self.injected_fault {
            // Writing into a string cannot fail.
            let _ = write!(line, " | {injected_fault}");
        }
        line
    }
}

/// All minutes so far.
#[derive(Debug)]
pub(super) struct Trend {
    bounds: Bounds,
    resident_mib: Vec<u64>,
    unsent_over: usize,
    behind_over: usize,
}

impl Trend {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            resident_mib: Vec::new(),
            unsent_over: 0,
            behind_over: 0,
        }
    }

    /// One more minute; why the run cannot go on, if it cannot.
    pub(super) fn add(&mut self, minute: Minute) -> Option<String> {
        let Bounds {
            memory_mib_max,
            unsent_max,
            behind_s_max,
        } = self.bounds;
        self.resident_mib.push(minute.resident_mib);
        let over = |so_far: usize, is_over: bool| if is_over { so_far + 1 } else { 0 };
        self.unsent_over = over(self.unsent_over, minute.unsent > unsent_max);
        self.behind_over = over(self.behind_over, minute.behind_s > behind_s_max);
        if minute.resident_mib > memory_mib_max {
            return Some(format!(
                "{} MiB are resident, {memory_mib_max} at most",
                minute.resident_mib
            ));
        }
        if self.unsent_over >= OVER_MAX {
            return Some(format!(
                "{} messages wait, more than {unsent_max} for {OVER_MAX} minutes",
                minute.unsent
            ));
        }
        (self.behind_over >= OVER_MAX).then(|| {
            format!(
                "webhook lag is {} s, more than {behind_s_max} for {OVER_MAX} minutes",
                minute.behind_s
            )
        })
    }

    /// The most memory of the second quarter and of the last one, and what the last may be, in MiB. `None` for a short
    /// run.
    pub(super) fn growth(&self) -> Option<(u64, u64, u64)> {
        let minutes = self.resident_mib.len();
        if minutes < GROWTH_MINUTES_MIN {
            return None;
        }
        let quarter = minutes / 4;
        let before = *self.resident_mib.get(quarter..2 * quarter)?.iter().max()?;
        let after = *self.resident_mib.get(minutes - quarter..)?.iter().max()?;
        Some((before, after, before + before * GROWTH_PERCENT / 100 + GROWTH_MIB))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend() -> Trend {
        Trend::new(Bounds {
            memory_mib_max: 500,
            unsent_max: 100,
            behind_s_max: 10,
        })
    }

    fn minute(resident_mib: u64, unsent: u64, behind_s: u64) -> Minute {
        Minute {
            resident_mib,
            unsent,
            behind_s,
            ..Minute::default()
        }
    }

    #[test]
    fn memory_breaks_a_run_at_once_and_a_queue_when_it_stays() {
        let mut trend = trend();
        for unsent in [101, 101, 100, 101, 101] {
            assert_eq!(trend.add(minute(100, unsent, 0)), None);
        }
        assert!(trend.add(minute(100, 101, 0)).unwrap().contains("messages wait"));
        assert!(
            trend
                .add(minute(501, 0, 0))
                .unwrap()
                .contains("501 MiB are resident")
        );
        for _ in 0..2 {
            assert_eq!(trend.add(minute(100, 0, 11)), None);
        }
        assert!(trend.add(minute(100, 0, 11)).unwrap().contains("lag is 11 s"));
    }

    #[test]
    fn growth_is_the_last_quarter_over_the_second() {
        let mut trend = trend();
        for resident in [50, 90, 100, 100, 120, 130, 140] {
            trend.add(minute(resident, 0, 0));
        }
        assert_eq!(trend.growth(), None, "too short");
        trend.add(minute(150, 0, 0));
        assert_eq!(trend.growth(), Some((100, 150, 157)));
    }

    #[test]
    fn a_minute_is_a_line() {
        let line = Minute {
            accepted_per_s: 1_234.4,
            injected_fault: Some("killed"),
            ..minute(120, 7, 1)
        }
        .line(12);
        assert!(
            line.contains("minute   12:") && line.contains("1 234 accepted/s") && line.ends_with("killed")
        );
        assert!(line.contains("120 MiB"));
    }
}
