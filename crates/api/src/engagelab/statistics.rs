//! Statistics of generation A: `/v1/stats_day`, `/v1/data/stats_day` (docs/dialects/engagelab.md).

use super::codes::ApiError;
use super::codes::a::LABEL_FORMAT;
use super::display_texts::MESSAGE_TYPE;
use super::manage::{Call, many, store_failed_a};
use super::query::{Query, invalid};
use crate::days;
use crate::delivery_result::DeliveryResult;
use engine::sms::state::MessageState;
use engine::{Dialect, Statistic, StatisticsFilter, UnixMs};
use jiff::tz::Offset;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Longest span in days, both ends counted (docs/dialects/engagelab.md).
pub const DAYS_MAX: i32 = 90;

/// A query, read.
#[derive(Debug)]
pub struct StatisticsQuery {
    span: Range<UnixMs>,
    zone: Offset,
    templates: Vec<i64>,
    users: Vec<Box<str>>,
    labels: Vec<i64>,
    aggregate: bool,
    /// False when the query is for a type of message that cannot exist.
    possible: bool,
}

impl StatisticsQuery {
    /// Reads a query string. The page's table says `aggregate_by`, its description `aggregate`: both are taken.
    ///
    /// # Errors
    /// 30400, 34020.
    pub fn read(query: &str) -> Result<Self, ApiError> {
        let query = Query::read(query);
        let zone = query.time_zone()?;
        let (first, last) = (query.date("start_date")?, query.date("end_date")?);
        let days = first.until(last).map_or(-1, |span| span.get_days());
        if !(0..DAYS_MAX).contains(&days) {
            return Err(invalid(format!(
                "end_date must be 0 to {} days after start_date",
                DAYS_MAX - 1
            )));
        }
        let span = days::span(first, last, zone).ok_or_else(|| invalid("start_date is out of range"))?;
        let aggregate = query.get("aggregate_by").or_else(|| query.get("aggregate"));
        Ok(Self {
            span,
            zone,
            templates: numbers(&query, "template_ids")
                .ok_or_else(|| invalid("template_ids must be up to 10 integers, separated by ;"))?,
            users: query.entries("sms_users")?.into_iter().map(Box::from).collect(),
            labels: numbers(&query, "label_ids").ok_or(&LABEL_FORMAT)?,
            aggregate: match aggregate {
                None | Some("0") => false,
                Some("1") => true,
                Some(_) => return Err(invalid("aggregate_by must be 0 or 1")),
            },
            possible: query
                .get("msg_type")
                .is_none_or(|requested| requested.parse() == Ok(MESSAGE_TYPE)),
        })
    }

    fn filter(&self) -> StatisticsFilter {
        StatisticsFilter {
            from: self.span.start,
            until: self.span.end,
            offset_minutes: self.zone.seconds() / 60,
            users: self.users.clone(),
            dialects: vec![Dialect::EngagelabA],
            templates: self.templates.clone(),
            labels: self.labels.clone(),
            kind: None,
        }
    }
}

/// Numbers separated by `;`; `None` when one of them is none, or there are too many.
fn numbers(query: &Query<'_>, name: &str) -> Option<Vec<i64>> {
    let entries = query.entries(name).ok()?;
    entries.into_iter().map(|entry| entry.parse().ok()).collect()
}

/// What a row counts: a day, a user, a template, a label; the newest day first. Added up by type there is the day alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    day: Reverse<i32>,
    of: Option<(Arc<str>, i64, i64)>,
}

/// The counters of a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counters {
    targets: u64,
    process_failed: u64,
    delivered: u64,
    send_failed: u64,
    wait_result: u64,
    billed: u64,
}

impl Counters {
    fn count(&mut self, statistic: &Statistic) {
        let messages = statistic.messages;
        let delivery_result = DeliveryResult::of_statistic(statistic);
        self.targets += messages;
        match delivery_result {
            DeliveryResult::Requested => {}
            DeliveryResult::Sent => self.wait_result += messages,
            DeliveryResult::Delivered => self.delivered += messages,
            DeliveryResult::ProcessFailed(_) => self.process_failed += messages,
            DeliveryResult::SendFailed(_) => self.send_failed += messages,
        }
        // What failed before it left costs nothing; what a carrier got costs, whatever became of it.
        let free = matches!(delivery_result, DeliveryResult::ProcessFailed(_))
            || statistic.state == MessageState::Cancelled;
        if !free {
            self.billed += statistic.segments;
        }
    }

    /// Those a carrier was given.
    const fn sent(&self) -> u64 {
        self.delivered + self.send_failed + self.wait_result
    }
}

/// How many of a hundred, to two decimals, rounded half up.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    let hundredths = (u128::from(part) * 10_000 + u128::from(whole) / 2) / u128::from(whole);
    // At most ten thousand of them.
    u32::try_from(hundredths).map_or(100.0, f64::from) / 100.0
}

/// GET: what was sent, by day.
pub(super) async fn by_day(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let query = StatisticsQuery::read(call.query)?;
    if !query.possible {
        return Ok(many(Vec::<Row>::new(), 0));
    }
    let counted = call
        .engine()
        .statistics(call.account(), query.filter())
        .await
        .map_err(|error| store_failed_a(&error))?;
    // So many rows may be cut off: half of the truth is none.
    if counted.len() >= call.engine().settings().account_limits.statistics_rows_max {
        return Err(invalid(
            "too much to count at once: ask for fewer days or templates",
        ));
    }
    let rows = rows(&counted, query.aggregate);
    let total = rows.len() as u64;
    Ok(many(rows.into_iter().map(Row::of).collect(), total))
}

fn rows(counted: &[Statistic], aggregate: bool) -> BTreeMap<Key, Counters> {
    let mut rows: BTreeMap<Key, Counters> = BTreeMap::new();
    for statistic in counted {
        let dimensions = &statistic.dimensions;
        let key = Key {
            day: Reverse(statistic.day),
            of: (!aggregate).then(|| {
                (
                    Arc::clone(&dimensions.user),
                    dimensions.template,
                    dimensions.label,
                )
            }),
        };
        rows.entry(key).or_default().count(statistic);
    }
    rows
}

#[derive(Serialize)]
struct Row {
    send_date: String,
    msg_type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    sms_user: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_id: Option<i64>,
    targets: u64,
    sent: u64,
    process_failed: u64,
    delivered: u64,
    send_failed: u64,
    wait_result: u64,
    billing_count: u64,
    process_failed_percent: f64,
    delivered_percent: f64,
    send_failed_percent: f64,
    wait_result_percent: f64,
}

impl Row {
    fn of((key, counters): (Key, Counters)) -> Self {
        let (user, template, label) = key.of.map_or((None, None, None), |(user, template, label)| {
            (Some(user), Some(template), Some(label))
        });
        let of_targets = |part| percent(part, counters.targets);
        Self {
            send_date: days::of_number(key.day.0).strftime("%Y-%m-%d").to_string(),
            msg_type: MESSAGE_TYPE,
            sms_user: user,
            template_id: template,
            label_id: label,
            targets: counters.targets,
            sent: counters.sent(),
            process_failed: counters.process_failed,
            delivered: counters.delivered,
            send_failed: counters.send_failed,
            wait_result: counters.wait_result,
            billing_count: counters.billed,
            process_failed_percent: of_targets(counters.process_failed),
            delivered_percent: of_targets(counters.delivered),
            send_failed_percent: of_targets(counters.send_failed),
            wait_result_percent: of_targets(counters.wait_result),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::sms::class::{Class, Kind};
    use engine::{AccountId, StatsDimensions};
    use proptest::prelude::*;

    fn code(query: &str) -> u32 {
        StatisticsQuery::read(query).map_or_else(|refused| refused.code.code, |_| 0)
    }

    #[test]
    fn queries_are_refused_parameter_by_parameter() {
        let days = "start_date=2026-11-01&end_date=2026-11-22";
        for (more, expected) in [
            ("", 0),
            (
                "&time_zone=%2B8&template_ids=1;2;3&sms_users=a;b;c&label_ids=123456;456789",
                0,
            ),
            ("&msg_type=2&aggregate_by=1", 0),
            ("&aggregate=1&msg_types=0", 0),
            ("&aggregate_by=2", 30400),
            ("&aggregate_by=x", 30400),
            ("&template_ids=x", 30400),
            ("&template_ids=1;2;3;4;5;6;7;8;9;10", 0),
            ("&template_ids=1;2;3;4;5;6;7;8;9;10;11", 30400),
            ("&label_ids=x", 34020),
            ("&label_ids=1;2;3;4;5;6;7;8;9;10;11", 34020),
            ("&sms_users=a;b;c;d;e;f;g;h;i;j;k", 30400),
            ("&time_zone=8.5", 30400),
        ] {
            assert_eq!(code(&format!("{days}{more}")), expected, "{more}");
        }
        for (query, expected) in [
            ("", 30400),
            ("start_date=2026-11-01", 30400),
            ("end_date=2026-11-01", 30400),
            ("start_date=2026-11-01&end_date=2026-11-01", 0),
            ("start_date=2026-11-02&end_date=2026-11-01", 30400),
            ("start_date=2026-08-25&end_date=2026-11-22", 0),
            ("start_date=2026-08-24&end_date=2026-11-22", 30400),
            ("start_date=22.11.2026&end_date=2026-11-22", 30400),
            ("start_date=1960-01-01&end_date=1960-01-02", 30400),
        ] {
            assert_eq!(code(query), expected, "{query}");
        }
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let span = |zone: &str| {
            let query = format!("start_date=2026-11-01&end_date=2026-11-02&time_zone={zone}");
            StatisticsQuery::read(&query).unwrap().span
        };
        assert_eq!(span("0").start - span("8").start, 8 * 3_600_000);
        assert_eq!(span("8").end - span("8").start, 2 * 86_400_000);
    }

    fn statistic(day: i32, user: &str, state: MessageState, error: &str, messages: u64) -> Statistic {
        Statistic {
            day,
            dimensions: Arc::new(StatsDimensions {
                account: AccountId(1),
                user: user.into(),
                dialect: Dialect::EngagelabA,
                class: Class::Otp,
                kind: Kind::Text,
                template: 1001,
                label: 9,
            }),
            country: 1,
            state,
            error: error.into(),
            cause: None,
            messages,
            segments: 2 * messages,
        }
    }

    #[test]
    fn counters_are_added_up_by_state() {
        let counted = [
            statistic(20_000, "a", MessageState::Queued, "", 1),
            statistic(20_000, "a", MessageState::Submitted, "", 2),
            statistic(20_000, "a", MessageState::Unknown, "", 4),
            statistic(20_000, "a", MessageState::Delivered, "", 8),
            statistic(20_000, "a", MessageState::Undelivered, "5012", 16),
            statistic(20_000, "a", MessageState::Rejected, "420", 32),
            statistic(20_001, "b", MessageState::Delivered, "", 64),
            statistic(20_001, "c", MessageState::Cancelled, "", 128),
        ];
        let apart: Vec<_> = rows(&counted, false).into_iter().map(Row::of).collect();
        let reported: Vec<_> = apart
            .iter()
            .map(|row| (&*row.send_date, row.sms_user.as_deref(), row.targets))
            .collect();
        assert_eq!(
            reported,
            [
                ("2024-10-05", Some("b"), 64),
                ("2024-10-05", Some("c"), 128),
                ("2024-10-04", Some("a"), 63)
            ]
        );
        let row = &apart[2];
        assert_eq!(
            (
                row.sent,
                row.process_failed,
                row.delivered,
                row.send_failed,
                row.wait_result
            ),
            (30, 32, 8, 16, 6)
        );
        assert_eq!(row.billing_count, 2 * 31);
        assert_eq!(
            (
                row.process_failed_percent,
                row.delivered_percent,
                row.send_failed_percent
            ),
            (50.79, 12.70, 25.40)
        );
        assert_eq!(apart[1].billing_count, 0, "what was withdrawn costs nothing");
        let added: Vec<_> = rows(&counted, true).into_iter().map(Row::of).collect();
        let reported: Vec<_> = added.iter().map(|row| (&*row.send_date, row.targets)).collect();
        assert_eq!(reported, [("2024-10-05", 192), ("2024-10-04", 63)]);
        let json = serde_json::to_value(&added[0]).unwrap();
        for left_out in ["sms_user", "template_id", "label_id"] {
            assert!(json.get(left_out).is_none(), "{left_out}");
        }
    }

    proptest! {
        #[test]
        fn percents_are_between_none_and_all(part in 0_u64..1_000_000, more in 0_u64..1_000_000) {
            let percent = percent(part, part + more);
            prop_assert!((0.0..=100.0).contains(&percent));
            prop_assert_eq!(percent == 100.0, part > 0 && percent > 99.99);
        }
    }
}
