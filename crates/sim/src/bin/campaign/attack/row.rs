//! The figures of one kind of attack, and their bounds.

use std::time::Duration;

use super::good::Served;
use super::pool::Seen;
use crate::report::{Report, grouped};
use crate::say;

const MIB: u64 = 1 << 20;

/// Milliseconds that 99 of 100 sends of good clients take at most.
const P99_MS_MAX: u64 = 100;

/// Memory that hostile clients may cost, in MiB over that of the idle node.
const GROWTH_MIB_MAX: u64 = 192;

/// Memory that a connection may cost on which nothing is verified yet, in KiB.
const CONNECTION_KIB_MAX: u64 = 64;

/// Processor time that one connect or write may cost the node, in microseconds.
const EVENT_US_MAX: u64 = 1_000;

/// What memory is compared with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    /// Of the node at rest, before anything hostile came.
    pub(super) idle_bytes: u64,
    /// Latency is reported and not checked: with `--short`, on a machine that does other things as well.
    pub(super) latency_report_only: bool,
}

impl Bounds {
    /// What it must come back to: 1.5 times what it was.
    pub(super) const fn after_bytes_max(&self) -> u64 {
        self.idle_bytes + self.idle_bytes / 2
    }
}

/// A line of the table.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) served: Served,
    pub(super) peak_bytes: u64,
    pub(super) after_bytes: u64,
    /// How long memory took to come back.
    pub(super) settled: Duration,
    /// How long `/readyz` took; `None`: it did not say yes.
    pub(super) ready_ms: Option<u64>,
    /// Processor time of the node beyond what good clients alone need.
    pub(super) cpu_s: f64,
    /// Whether hostile connections cost nothing but themselves.
    pub(super) idle_connections: bool,
    pub(super) seen: Seen,
}

impl Row {
    fn growth_bytes(&self, bounds: &Bounds) -> u64 {
        self.peak_bytes.saturating_sub(bounds.idle_bytes)
    }

    /// Microseconds of the node's processor time for each connect or write.
    fn event_us(&self) -> u64 {
        (self.cpu_s * 1e6 / self.seen.events.max(1) as f64) as u64
    }

    fn connection_kib(&self, bounds: &Bounds) -> u64 {
        self.growth_bytes(bounds) / 1024 / self.seen.held_max.max(1)
    }

    /// Prints the figures.
    pub(super) fn print(&self, bounds: &Bounds) {
        let Served {
            us,
            requests,
            renewed,
            ..
        } = &self.served;
        say(&format!(
            "{}: {requests} sends, p50 {} ms, p99 {} ms, max {} ms, {renewed} connections renewed; memory {} MiB \
             at most, {} MiB after {:.1} s",
            self.name,
            ms(us.quantile(0.5)),
            ms(us.quantile(0.99)),
            ms(us.max()),
            self.peak_bytes / MIB,
            self.after_bytes / MIB,
            self.settled.as_secs_f64(),
        ));
        if self.seen.events > 0 {
            say(&format!(
                "  hostile: {} events, {} connects, {} ended, {} held at most, {} answers; {} us of the node for each \
                 event, {} KiB grown for each connection",
                grouped(self.seen.events as f64),
                grouped(self.seen.connects as f64),
                grouped(self.seen.ended as f64),
                grouped(self.seen.held_max as f64),
                grouped(self.seen.answers as f64),
                self.event_us(),
                self.connection_kib(bounds),
            ));
        }
    }

    /// Checks the good clients alone: whether the machine is quiet enough for the other checks.
    pub(super) fn check_alone(&self, bounds: &Bounds, report: &mut Report) {
        let p99_ms = self.served.us.quantile(0.99).div_ceil(1_000);
        if !bounds.latency_report_only {
            report.at_most(
                "p99 alone, ms (else the machine is too busy)",
                p99_ms,
                P99_MS_MAX / 2,
            );
        }
        report.at_most("failed sends, good clients alone", self.served.failed, 0);
    }

    /// Checks the figures against their bounds; whether all hold.
    pub(super) fn check(&self, bounds: &Bounds, report: &mut Report) -> bool {
        let mut of_row = Report::default();
        let p99_ms = self.served.us.quantile(0.99).div_ceil(1_000);
        if !bounds.latency_report_only {
            of_row.at_most("p99 of good clients, ms", p99_ms, P99_MS_MAX - 1);
        }
        of_row.at_most("failed sends of good clients", self.served.failed, 0);
        if let Some(why) = &self.served.first_failure {
            say(&format!("    such as {why}"));
        }
        of_row.at_most(
            "growth over idle, MiB",
            self.growth_bytes(bounds).div_ceil(MIB),
            GROWTH_MIB_MAX - 1,
        );
        of_row.at_most(
            "memory afterwards, KiB",
            self.after_bytes / 1024,
            bounds.after_bytes_max() / 1024,
        );
        of_row.at_most(
            "server errors that hostile clients got",
            self.seen.server_errors,
            0,
        );
        of_row.must("/readyz answers under attack", self.ready_ms.is_some());
        of_row.at_most("us of the node for each event", self.event_us(), EVENT_US_MAX);
        if self.idle_connections {
            of_row.at_most(
                "KiB for each hostile connection",
                self.connection_kib(bounds),
                CONNECTION_KIB_MAX,
            );
        }
        of_row.must("hostile clients connected", self.seen.connects > 0);
        report.add(&of_row);
        of_row.is_good()
    }
}

fn ms(us: u64) -> String {
    format!("{:.1}", us as f64 / 1_000.0)
}

/// The table, the figures without attackers first.
pub(super) fn print(rows: &[Row]) {
    let idle = rows.first().map_or(0, |row| row.after_bytes);
    let bounds = Bounds {
        idle_bytes: idle,
        ..Bounds::default()
    };
    say(&format!(
        "\n{:<11} {:>8} {:>8} {:>9} {:>7} {:>7} {:>8} {:>8} {:>8} {:>9} {:>9} {:>8} {:>7}",
        "kind",
        "p50 ms",
        "p99 ms",
        "max ms",
        "sends",
        "failed",
        "peak MiB",
        "then MiB",
        "ready ms",
        "events",
        "connects",
        "us/event",
        "KiB/con"
    ));
    for row in rows {
        let us = &row.served.us;
        let hostile = row.seen.events > 0;
        let of_hostile = |value: u64| {
            if hostile {
                grouped(value as f64)
            } else {
                "-".to_owned()
            }
        };
        say(&format!(
            "{:<11} {:>8} {:>8} {:>9} {:>7} {:>7} {:>8} {:>8} {:>8} {:>9} {:>9} {:>8} {:>7}",
            row.name,
            ms(us.quantile(0.5)),
            ms(us.quantile(0.99)),
            ms(us.max()),
            row.served.requests,
            row.served.failed,
            row.peak_bytes / MIB,
            row.after_bytes / MIB,
            row.ready_ms.map_or("-".to_owned(), |ms| ms.to_string()),
            of_hostile(row.seen.events),
            of_hostile(row.seen.connects),
            of_hostile(row.event_us()),
            match row.idle_connections && hostile {
                true => row.connection_kib(&bounds).to_string(),
                false => "-".to_owned(),
            },
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good_row() -> (Row, Bounds) {
        let mut row = Row {
            name: "silent".to_owned(),
            peak_bytes: 100 * MIB,
            after_bytes: 50 * MIB,
            ready_ms: Some(3),
            cpu_s: 1.0,
            idle_connections: true,
            seen: Seen {
                events: 10_000,
                connects: 10_000,
                held_max: 10_000,
                ..Seen::default()
            },
            ..Row::default()
        };
        (0..1_000).for_each(|_| row.served.us.record(2_000));
        let bounds = Bounds {
            idle_bytes: 40 * MIB,
            latency_report_only: false,
        };
        (row, bounds)
    }

    #[test]
    fn each_expectation_can_fail() {
        let (row, bounds) = good_row();
        let check = |row: &Row| row.check(&bounds, &mut Report::default());
        assert!(check(&row));
        let breaks: [fn(&mut Row); 9] = [
            |row| row.seen.server_errors = 1,
            |row| (0..20).for_each(|_| row.served.us.record(100_000)),
            |row| row.served.failed = 1,
            |row| row.peak_bytes = 232 * MIB,
            |row| row.after_bytes = 61 * MIB,
            |row| row.ready_ms = None,
            |row| row.cpu_s = 11.0,
            |row| row.seen.held_max = 900,
            |row| row.seen.connects = 0,
        ];
        let mut alone = Report::default();
        row.check_alone(&bounds, &mut alone);
        assert!(alone.is_good());
        let mut busy = row.clone();
        (0..20).for_each(|_| busy.served.us.record(200_000));
        busy.check_alone(&bounds, &mut alone);
        assert!(!alone.is_good());
        let report_only = Bounds {
            latency_report_only: true,
            ..bounds
        };
        assert!(
            busy.check(&report_only, &mut Report::default()),
            "with --short latency is reported and not checked"
        );
        for (at, break_it) in breaks.into_iter().enumerate() {
            let mut broken = row.clone();
            break_it(&mut broken);
            assert!(!check(&broken), "{at}");
        }
    }
}
