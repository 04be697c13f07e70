//! Limits the log lines that peers can cause.
//!
//! A carrier, a client or a webhook endpoint can repeat an event thousands of times a second. So lines are counted by event
//! and subject (a carrier, an account, an endpoint …). The first few are written at once; the others are summarized in one
//! line per interval, until they are so rare that a summary would be no shorter. Subjects beyond a bound share one
//! summary. Lines at debug and trace level are not counted: the operator has requested them.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Interval of summaries.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);
/// Lines about one subject that are written before they are summarized.
pub(super) const LINES_MAX: u32 = 10;
/// At most this many lines about one subject in an interval are few: the count of written lines is reduced by them. A summary
/// would be as long.
const FEW_LINES_MAX: u32 = 1;
/// Subjects of one event that are counted separately; others are counted together.
pub(super) const SUBJECTS_MAX: usize = 256;
/// Lines of one event that are written in an interval, for all subjects.
pub(super) const KIND_LINES_MAX: u32 = 300;
/// Summaries of one event per interval, those of most lines; the rest share one more.
const SUMS_MAX: usize = 10;
/// Octets of the last line in a summary.
const LAST_OCTETS_MAX: usize = 300;
/// Octets of a field of the subject in a summary.
const SUBJECT_OCTETS_MAX: usize = 100;
/// The suffix of the target of a summary.
const SUM: &str = "::repeated";
/// Fields that identify the subject of a line. A peer can choose the values of some: hence [`SUBJECTS_MAX`].
const SUBJECTS: [&str; 10] = [
    "carrier", "account", "user", "address", "dialect", "endpoint", "reason", "task", "limit", "name",
];

/// Counts lines, and passes those that are to be written.
#[derive(Debug, Clone, Default)]
pub(super) struct Repeats(Arc<Mutex<HashMap<Identifier, Kind>>>);

/// The lines of one event.
#[derive(Debug)]
struct Kind {
    level: Level,
    target: &'static str,
    /// Lines written in this interval.
    written: u32,
    subjects: HashMap<u64, Counted>,
    /// Lines about subjects beyond the bound.
    others: Counted,
}

/// Written and suppressed lines.
#[derive(Debug, Default)]
struct Counted {
    /// Lines in this interval.
    came: u32,
    /// Recently written lines; a flood uses up this budget.
    written: u32,
    repeated: u64,
    /// Message and fields of the last suppressed line.
    last: String,
    /// The subject, by field; empty for the lines about subjects beyond the bound.
    subject: Subject,
}

type Subject = Vec<(&'static str, String)>;

/// Suppressed lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sum {
    level: Level,
    target: &'static str,
    repeated: u64,
    last: String,
    subject: Subject,
}

impl Repeats {
    fn admit(&self, event: &Event<'_>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || metadata.target().ends_with(SUM) {
            return true;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let Ok(mut kinds) = self.0.lock() else {
            return true;
        };
        let kind = kinds.entry(metadata.callsite()).or_insert_with(|| Kind {
            level: *metadata.level(),
            target: metadata.target(),
            written: 0,
            subjects: HashMap::new(),
            others: Counted::default(),
        });
        let subject = line.subject.finish();
        let is_new = !kind.subjects.contains_key(&subject);
        let is_other = is_new && kind.subjects.len() >= SUBJECTS_MAX;
        let counted = if is_other {
            &mut kind.others
        } else {
            kind.subjects.entry(subject).or_default()
        };
        counted.came = counted.came.saturating_add(1);
        if counted.written < LINES_MAX && kind.written < KIND_LINES_MAX {
            counted.written += 1;
            kind.written += 1;
            return true;
        }
        counted.repeated += 1;
        if counted.subject.is_empty() && !is_other {
            event.record(&mut Named(&mut counted.subject));
        }
        counted.last.clear();
        counted.last.push_str(&line.text);
        false
    }

    /// Ends an interval: returns the summaries, and resets subjects without lines.
    pub(super) fn take(&self) -> Vec<Sum> {
        let Ok(mut kinds) = self.0.lock() else {
            return Vec::new();
        };
        let mut sums = Vec::new();
        kinds.retain(|_, kind| {
            kind.written = 0;
            let mut of_kind = Vec::new();
            kind.subjects.retain(|_, counted| counted.end(&mut of_kind));
            let others = kind.others.end(&mut of_kind);
            of_kind.sort_unstable_by_key(|counted| std::cmp::Reverse(counted.repeated));
            let left: u64 = of_kind
                .iter()
                .skip(SUMS_MAX)
                .map(|counted| counted.repeated)
                .sum();
            of_kind.truncate(SUMS_MAX + 1);
            if let Some(rest) = of_kind.get_mut(SUMS_MAX) {
                rest.repeated = left;
                rest.subject.clear();
            }
            sums.extend(of_kind.into_iter().map(|counted| Sum {
                level: kind.level,
                target: kind.target,
                repeated: counted.repeated,
                last: counted.last,
                subject: counted.subject,
            }));
            others || !kind.subjects.is_empty()
        });
        sums
    }

    /// Writes the summaries of an interval.
    pub(super) fn write_sums(&self) {
        for sum in self.take() {
            sum.write();
        }
    }
}

impl Counted {
    /// Ends an interval; returns whether it had any line, written or suppressed.
    fn end(&mut self, sums: &mut Vec<Self>) -> bool {
        let ended = std::mem::take(self);
        // Rare lines are always written, however long they continue.
        self.written = match ended.came {
            0 => 0,
            few @ ..=FEW_LINES_MAX => ended.written.saturating_sub(few),
            _ => ended.written,
        };
        let goes_on = ended.came > 0;
        if ended.repeated > 0 {
            sums.push(ended);
        }
        goes_on
    }
}

impl<S: Subscriber> Layer<S> for Repeats {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.admit(event)
    }
}

/// Writes a summary with the fields of its subject, as the lines that it replaces had them.
macro_rules! write_line {
    ($level:ident, $target:expr, $sum:expr) => {
        tracing::$level!(
            target: $target,
            repeated = $sum.repeated,
            over_s = INTERVAL.as_secs(),
            carrier = $sum.about("carrier"),
            account = $sum.about("account"),
            user = $sum.about("user"),
            address = $sum.about("address"),
            dialect = $sum.about("dialect"),
            endpoint = $sum.about("endpoint"),
            reason = $sum.about("reason"),
            task = $sum.about("task"),
            limit = $sum.about("limit"),
            name = $sum.about("name"),
            last = $sum.last.as_str(),
            "repeated"
        )
    };
}

/// Writes a summary with a target of the crate of the event, so that the level of that crate applies.
macro_rules! write_sum {
    ($sum:expr, $($part:literal),*) => {{
        let part = $sum.target.split("::").next().unwrap_or_default();
        match (part, $sum.level) {
            $(
                ($part, Level::ERROR) => write_line!(error, concat!($part, "::repeated"), $sum),
                ($part, Level::WARN) => write_line!(warn, concat!($part, "::repeated"), $sum),
                ($part, _) => write_line!(info, concat!($part, "::repeated"), $sum),
            )*
            _ => write_line!(warn, "postrider::repeated", $sum),
        }
    }};
}

impl Sum {
    /// A field of its subject.
    fn about(&self, field: &str) -> Option<&str> {
        let found = self.subject.iter().find(|(name, _)| *name == field);
        found.map(|(_, value)| value.as_str())
    }

    fn write(&self) {
        write_sum!(self, "api", "engine", "postrider", "sim", "smpp", "store");
    }
}

/// The text and the subject of a line.
#[derive(Default)]
struct Line {
    subject: DefaultHasher,
    text: String,
}

impl Line {
    fn field(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let name = field.name();
        if SUBJECTS.contains(&name) {
            (name, value.to_string()).hash(&mut self.subject);
        }
        let mut text = Bounded(&mut self.text, LAST_OCTETS_MAX);
        // A longer text is cut.
        let _ = if name == "message" {
            write!(text, "{value}")
        } else {
            write!(text, " {name}={value}")
        };
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, format_args!("{value:?}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, format_args!("{value:?}"));
    }
}

/// Collects the fields of the subject.
struct Named<'a>(&'a mut Subject);

impl Named<'_> {
    fn field(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if SUBJECTS.contains(&field.name()) {
            let mut text = String::new();
            // A longer value is cut.
            let _ = write!(Bounded(&mut text, SUBJECT_OCTETS_MAX), "{value}");
            self.0.push((field.name(), text));
        }
    }
}

impl Visit for Named<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, format_args!("{value:?}"));
    }
}

/// Accepts a limited number of octets.
struct Bounded<'a>(&'a mut String, usize);

impl Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.1.saturating_sub(self.0.len());
        let end = text.floor_char_boundary(room);
        self.0.push_str(text.get(..end).unwrap_or_default());
        if end < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tracing_subscriber::layer::SubscriberExt;

    /// Counts the lines that are written.
    #[derive(Clone, Default)]
    struct Written(Arc<AtomicU64>);

    impl<S: Subscriber> Layer<S> for Written {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Written {
        fn take(&self) -> u64 {
            self.0.swap(0, Ordering::Relaxed)
        }
    }

    fn logging(test: impl FnOnce(&Repeats, &Written)) {
        let (repeats, written) = (Repeats::default(), Written::default());
        let subscriber = tracing_subscriber::registry()
            .with(repeats.clone())
            .with(written.clone());
        tracing::subscriber::with_default(subscriber, || test(&repeats, &written));
    }

    fn refused(carrier: &str, status: u32) {
        tracing::warn!(carrier, status, "refused");
    }

    #[test]
    fn the_first_lines_are_written_and_the_others_summed_up_by_subject() {
        logging(|repeats, written| {
            for n in 0..1_000 {
                refused("north", n);
            }
            refused("south", 1);
            assert_eq!(written.take(), u64::from(LINES_MAX) + 1);
            let sums = repeats.take();
            assert_eq!(sums.len(), 1, "{sums:?}");
            assert_eq!(sums[0].repeated, 1_000 - u64::from(LINES_MAX));
            assert_eq!(sums[0].last, "refused carrier=\"north\" status=999");

            // The flood continues: only summaries.
            (0..5).for_each(|n| refused("north", n));
            assert_eq!((written.take(), repeats.take()[0].repeated), (0, 5));
            // An interval without lines: the next one is written again.
            assert!(repeats.take().is_empty());
            refused("north", 7);
            assert_eq!(written.take(), 1);
        });
    }

    #[test]
    fn what_is_slow_and_has_no_end_is_summed_up_too() {
        logging(|repeats, written| {
            for n in 0..LINES_MAX / 2 {
                (0..2).for_each(|_| refused("north", n));
                assert_eq!((written.take(), repeats.take()), (2, Vec::new()));
            }
            (0..2).for_each(|_| refused("north", 99));
            assert_eq!((written.take(), repeats.take()[0].repeated), (0, 2));
        });
    }

    #[test]
    fn subjects_that_a_peer_makes_up_are_bounded() {
        logging(|repeats, written| {
            for n in 0..10_000 {
                refused(&format!("made up {n}"), n);
            }
            let lines = SUBJECTS_MAX as u64 + u64::from(LINES_MAX);
            assert_eq!(written.take(), lines);
            let sums = repeats.take();
            assert_eq!((sums.len(), sums[0].repeated), (1, 10_000 - lines));
        });
        logging(|repeats, written| {
            for n in 0..10_000 {
                refused(&format!("made up {}", n % 100), n);
            }
            assert_eq!(written.take(), u64::from(KIND_LINES_MAX));
            let sums = repeats.take();
            assert_eq!(sums.len(), SUMS_MAX + 1);
            let repeated: u64 = sums.iter().map(|sum| sum.repeated).sum();
            assert_eq!(repeated, 10_000 - u64::from(KIND_LINES_MAX));
        });
    }

    #[test]
    fn what_comes_now_and_then_is_written_each_time_and_again_after_a_flood() {
        logging(|repeats, written| {
            for n in 0..100 {
                refused("north", n);
                assert_eq!((written.take(), repeats.take()), (1, Vec::new()), "{n}");
            }
            (0..1_000).for_each(|n| refused("north", n));
            written.take();
            repeats.take();
            let mut quiet = 0;
            for n in 0..100 {
                refused("north", n);
                quiet += u32::from(written.take() == 0);
                repeats.take();
            }
            assert_eq!(quiet, 1, "the first after a flood is summed up");
        });
    }

    #[test]
    fn an_address_does_not_swallow_another_and_a_sum_says_whose_it_is() {
        fn rejected(address: &str, user: &str) {
            let address: std::net::IpAddr = address.parse().unwrap();
            tracing::warn!(user, %address, reason = "wrong_secret", "rejected");
        }
        logging(|repeats, written| {
            (0..1_000).for_each(|_| rejected("192.0.2.1", "acme"));
            written.take();
            rejected("192.0.2.2", "acme");
            rejected("192.0.2.1", "other");
            assert_eq!(written.take(), 2);
            let sums = repeats.take();
            assert_eq!(sums.len(), 1, "{sums:?}");
            let fields = ["user", "address", "reason", "carrier"].map(|field| sums[0].about(field));
            assert_eq!(
                fields,
                [Some("acme"), Some("192.0.2.1"), Some("wrong_secret"), None]
            );
        });
    }

    #[test]
    fn debug_lines_are_not_limited_and_a_summary_is_bounded_in_length() {
        logging(|repeats, written| {
            for _ in 0..100 {
                tracing::debug!("requested");
            }
            assert_eq!(written.take(), 100);
            for _ in 0..100 {
                tracing::error!(text = "ü".repeat(10_000), "long");
            }
            assert_eq!(written.take(), u64::from(LINES_MAX));
            let sums = repeats.take();
            assert!(sums[0].last.len() <= LAST_OCTETS_MAX && sums[0].last.starts_with("long text="));
            sums[0].write();
            assert_eq!((written.take(), repeats.take()), (1, Vec::new()));
        });
    }
}
