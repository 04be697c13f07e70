//! Statistics: `/smsapi/data/sendDay`, `processFailed`, `sendFailed` (contract/sendcloud.md section 3.9).

use super::codes::{DAYS, OK, QUERY_FORMAT, Refused, TOO_MUCH_TO_COUNT};
use super::failures::FAILURES;
use super::fields::{self, MessageType, Span};
use super::manage::{Call, done, store_failed};
use super::params::Params;
use crate::days;
use crate::verdict::Verdict;
use engine::sms::class::Kind;
use engine::sms::state::MessageState;
use engine::{Dialect, Statistic, StatisticsFilter, UnixMs};
use jiff::civil::Date;
use serde::{Serialize, Serializer};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Longest span of days.
const DAYS_MAX: i32 = 100;
/// China's hours from UTC, in minutes.
const OFFSET_MINUTES: i32 = 8 * 60;
/// China's calling code.
const MAINLAND_CHINA: u16 = 86;
/// Failures that are counted on this wire and cannot happen here.
const NEVER: [&str; 2] = ["encodingExceptionNum", "sendTypeUnsupportedNum"];

/// A query, read.
#[derive(Debug)]
pub struct StatisticsQuery {
    span: Span,
    message_type: Option<MessageType>,
    templates: Vec<i64>,
    labels: Vec<i64>,
    aggregate: bool,
}

impl StatisticsQuery {
    /// Reads the parameters at a moment (which decides what `days=1`, today, is).
    ///
    /// # Errors
    /// 451, 441.
    pub fn read(params: &Params<'_>, now: UnixMs) -> Result<Self, Refused> {
        let span = Span::read(params, now, DAYS_MAX)?;
        let read_type = |written| MessageType::read(written).ok_or(&QUERY_FORMAT);
        Ok(Self {
            span: span.ok_or_else(|| Refused::with_limit(&DAYS, DAYS_MAX))?,
            message_type: params.get("msgTypeStr").map(read_type).transpose()?,
            templates: fields::numbers(params, "templateIdsStr")?,
            labels: fields::numbers(params, "labelIdsStr")?,
            aggregate: match params.get("aggregate") {
                None | Some("0") => false,
                Some("1") => true,
                Some(_) => return Err(Refused::from(&QUERY_FORMAT)),
            },
        })
    }

    fn filter(&self) -> Result<StatisticsFilter, Refused> {
        let ids = self
            .span
            .ids()
            .ok_or_else(|| Refused::with_limit(&DAYS, DAYS_MAX))?;
        Ok(StatisticsFilter {
            from: ids.start().accepted_at(),
            until: ids.end().plus(1).accepted_at(),
            offset_minutes: OFFSET_MINUTES,
            // As the status query: what all users of the account have sent on this wire.
            users: Vec::new(),
            dialects: vec![Dialect::Sendcloud],
            templates: self.templates.clone(),
            labels: self.labels.clone(),
            kind: match self.message_type {
                Some(MessageType::Voice) => Some(Kind::Voice),
                Some(MessageType::Domestic | MessageType::International) => Some(Kind::Text),
                Some(MessageType::Unsent) | None => None,
            },
        })
    }
}

/// What a row counts: a day, a template, a type. The newest day comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    day: Reverse<i32>,
    template: i64,
    message_type: MessageType,
}

/// The counters of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counters {
    requested: u64,
    delivered: u64,
    process_failed: u64,
    send_failed: u64,
    billed: u64,
    /// In the order of [`FAILURES`].
    failures: [u64; FAILURES.len()],
}

impl Counters {
    fn count(&mut self, statistic: &Statistic) {
        let messages = statistic.messages;
        let verdict = Verdict::counted(statistic.state, &statistic.error);
        self.requested += messages;
        match verdict {
            Verdict::Requested | Verdict::Sent => {}
            Verdict::Delivered => self.delivered += messages,
            Verdict::ProcessFailed(_) => self.process_failed += messages,
            Verdict::SendFailed(_) => self.send_failed += messages,
        }
        // What failed before it left costs nothing; what a carrier got costs, whatever became of it.
        let free = matches!(verdict, Verdict::ProcessFailed(_)) || statistic.state == MessageState::Cancelled;
        if !free {
            self.billed += statistic.segments;
        }
        let failed = |code| FAILURES.iter().position(|failure| failure.code == code);
        let (Verdict::ProcessFailed(code) | Verdict::SendFailed(code)) = verdict else {
            return;
        };
        if let Some(counter) = failed(code).and_then(|at| self.failures.get_mut(at)) {
            *counter += messages;
        }
    }

    fn add(&mut self, other: &Self) {
        self.requested += other.requested;
        self.delivered += other.delivered;
        self.process_failed += other.process_failed;
        self.send_failed += other.send_failed;
        self.billed += other.billed;
        for (mine, theirs) in self.failures.iter_mut().zip(other.failures) {
            *mine += theirs;
        }
    }
}

/// How many of a hundred, with two decimals and without a sign: 26 of 43 are `60.47`.
fn ratio(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "0.00".to_owned();
    }
    let (part, whole) = (u128::from(part), u128::from(whole));
    let hundredths = (part * 10_000 + whole / 2) / whole;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Which of the three interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    SendDay,
    ProcessFailed,
    SendFailed,
}

/// `sendDay`: how messages ended.
pub(super) async fn send_day(call: &Call<'_>) -> Result<Vec<u8>, Refused> {
    answer(call, View::SendDay).await
}

/// `processFailed`: why messages failed before they left.
pub(super) async fn process_failed(call: &Call<'_>) -> Result<Vec<u8>, Refused> {
    answer(call, View::ProcessFailed).await
}

/// `sendFailed`: why carriers failed.
pub(super) async fn send_failed(call: &Call<'_>) -> Result<Vec<u8>, Refused> {
    answer(call, View::SendFailed).await
}

async fn answer(call: &Call<'_>, view: View) -> Result<Vec<u8>, Refused> {
    let query = StatisticsQuery::read(call.params, call.now)?;
    let counted = call
        .engine()
        .statistics(call.account(), query.filter()?)
        .await
        .map_err(|error| store_failed(&error))?;
    // So many rows may be cut off: half of the truth is none.
    if counted.len() >= call.engine().settings().directory.statistics_rows_max {
        return Err(Refused::from(&TOO_MUCH_TO_COUNT));
    }
    let rows = rows(&query, &counted);
    let entries = rows.len();
    if query.aggregate {
        return Ok(done(&OK, total(view, query.span, rows.values()), 2));
    }
    let all = rows
        .iter()
        .map(|(key, counters)| Row::of(view, *key, counters))
        .collect();
    let info = Rows { view, all };
    Ok(done(&OK, info, 2 * entries))
}

/// Counters by row.
fn rows(query: &StatisticsQuery, counted: &[Statistic]) -> BTreeMap<Key, Counters> {
    let mut rows: BTreeMap<Key, Counters> = BTreeMap::new();
    for statistic in counted {
        let series = &statistic.series;
        let message_type = MessageType::of(series.kind, statistic.country == MAINLAND_CHINA);
        if query.message_type.is_some_and(|wanted| wanted != message_type) {
            continue;
        }
        let key = Key {
            day: Reverse(statistic.day),
            template: series.template,
            message_type,
        };
        rows.entry(key).or_default().count(statistic);
    }
    rows
}

fn total<'a>(view: View, span: Span, rows: impl Iterator<Item = &'a Counters>) -> Total {
    let mut all = Counters::default();
    rows.for_each(|row| all.add(row));
    Total {
        total: Row {
            view,
            date: format!("{}到{}", written(span.first), written(span.last)),
            template: "None".to_owned(),
            message_type: "None".to_owned(),
            counters: all,
        },
    }
}

fn written(date: Date) -> String {
    date.strftime("%Y-%m-%d").to_string()
}

/// A row, worded: every value is a text.
#[derive(Debug)]
struct Row {
    view: View,
    date: String,
    template: String,
    message_type: String,
    counters: Counters,
}

impl Row {
    fn of(view: View, key: Key, counters: &Counters) -> Self {
        let date = days::of_number(key.day.0);
        Self {
            view,
            date: written(date),
            template: key.template.to_string(),
            message_type: key.message_type.number().to_string(),
            counters: counters.clone(),
        }
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("sendDate", &self.date)?;
        map.serialize_entry("templateId", &self.template)?;
        map.serialize_entry("msgType", &self.message_type)?;
        let counters = &self.counters;
        let mut number = |name: &str, value: u64| map.serialize_entry(name, &value.to_string());
        match self.view {
            View::SendDay => {
                number("requestNum", counters.requested)?;
                number("sendNum", counters.delivered)?;
                number("processFailedNum", counters.process_failed)?;
                number("sendFailedNum", counters.send_failed)?;
                number("billingNum", counters.billed)?;
                for (name, part) in [
                    ("sendRatio", counters.delivered),
                    ("processFailedRatio", counters.process_failed),
                    ("sendFailedRatio", counters.send_failed),
                ] {
                    map.serialize_entry(name, &ratio(part, counters.requested))?;
                }
            }
            View::ProcessFailed | View::SendFailed => {
                let in_processing = self.view == View::ProcessFailed;
                for (failure, count) in FAILURES.iter().zip(counters.failures) {
                    if failure.in_processing() == in_processing {
                        number(failure.column, count)?;
                    }
                }
                for name in NEVER.iter().filter(|_| in_processing) {
                    number(name, 0)?;
                }
            }
        }
        map.end()
    }
}

/// `info` of many rows. The interfaces call list and size differently.
#[derive(Debug)]
struct Rows {
    view: View,
    all: Vec<Row>,
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let (list, size) = match self.view {
            View::SendDay => ("dataList", "dataListSize"),
            View::ProcessFailed | View::SendFailed => ("voList", "count"),
        };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(list, &self.all)?;
        map.serialize_entry(size, &self.all.len())?;
        map.end()
    }
}

/// `info` of rows added up.
#[derive(Debug, Serialize)]
struct Total {
    total: Row,
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::sms::class::Class;
    use engine::{AccountId, Series};
    use proptest::prelude::*;
    use serde_json::json;
    use std::sync::Arc;

    /// 2026-11-22 00:30 in China.
    const NOW: UnixMs = 1_795_278_600_000;
    /// Days since 1970 of 2026-11-22.
    const DAY: i32 = 20_779;

    fn query(query: &str) -> Result<StatisticsQuery, u32> {
        let params = Params::read(Some(query), b"").unwrap();
        StatisticsQuery::read(&params, NOW).map_err(|refused| refused.code.code)
    }

    fn counted(
        day: i32,
        template: i64,
        country: u16,
        state: MessageState,
        error: &str,
        messages: u64,
    ) -> Statistic {
        let series = Series {
            account: AccountId(1),
            user: "demo_user".into(),
            dialect: Dialect::Sendcloud,
            class: Class::Otp,
            kind: Kind::Text,
            template,
            label: 0,
        };
        Statistic {
            day,
            series: Arc::new(series),
            country,
            state,
            error: error.into(),
            messages,
            segments: 2 * messages,
        }
    }

    fn some() -> Vec<Statistic> {
        vec![
            counted(DAY, 1001, 86, MessageState::Delivered, "", 26),
            counted(DAY, 1001, 86, MessageState::Undelivered, "5011", 5),
            counted(DAY, 1001, 86, MessageState::Undelivered, "069", 6),
            counted(DAY, 1001, 86, MessageState::Rejected, "410", 4),
            counted(DAY, 1001, 86, MessageState::Rejected, "450", 2),
            counted(DAY - 1, 1001, 86, MessageState::Expired, "", 1),
            counted(DAY - 1, 1002, 44, MessageState::Submitted, "", 3),
        ]
    }

    fn words(view: View, asked: &StatisticsQuery) -> serde_json::Value {
        let rows = rows(asked, &some());
        if asked.aggregate {
            return serde_json::to_value(total(view, asked.span, rows.values())).unwrap();
        }
        let all = rows
            .iter()
            .map(|(key, counters)| Row::of(view, *key, counters))
            .collect();
        serde_json::to_value(Rows { view, all }).unwrap()
    }

    #[test]
    fn a_query_needs_a_span_of_at_most_a_hundred_days() {
        for (asked, expected) in [
            ("days=1", 200),
            ("days=100", 200),
            ("days=101", 451),
            ("days=0", 451),
            ("", 451),
            ("startDate=2026-08-15&endDate=2026-11-22", 200),
            ("startDate=2026-08-14&endDate=2026-11-22", 451),
            ("startDate=2026-11-22&endDate=2026-11-21", 451),
            (
                "days=1&msgTypeStr=0&templateIdsStr=1;2&labelIdsStr=3&aggregate=0",
                200,
            ),
            ("days=1&aggregate=1", 200),
            ("days=1&aggregate=2", 441),
            ("days=1&msgTypeStr=9", 441),
            ("days=1&templateIdsStr=x", 441),
            ("days=1&labelIdsStr=1;x", 441),
        ] {
            assert_eq!(
                query(asked).map_or_else(|code| code, |_| 200),
                expected,
                "{asked}"
            );
        }
        let filter = query("days=2").unwrap().filter().unwrap();
        assert_eq!(filter.until - filter.from, 2 * 86_400_000);
        assert_eq!(
            filter.until - NOW,
            86_400_000 - 30 * 60_000,
            "to the end of today in China"
        );
    }

    #[test]
    fn days_are_worded_as_texts_with_ratios_of_two_decimals() {
        let asked = query("days=2").unwrap();
        let told = words(View::SendDay, &asked);
        assert_eq!(told["dataListSize"], 3);
        assert_eq!(
            told["dataList"][0],
            json!({
                "sendDate": "2026-11-22", "templateId": "1001", "msgType": "0",
                "requestNum": "43", "sendNum": "26", "processFailedNum": "6", "sendFailedNum": "11",
                "billingNum": "74", "sendRatio": "60.47", "processFailedRatio": "13.95", "sendFailedRatio": "25.58"
            }),
            "the numbers of the page's own sample"
        );
        assert_eq!(
            (&told["dataList"][1]["sendDate"], &told["dataList"][2]["msgType"]),
            (&json!("2026-11-21"), &json!("2"))
        );
    }

    #[test]
    fn failures_are_counted_by_their_reason() {
        let asked = query("days=2").unwrap();
        let told = words(View::ProcessFailed, &asked);
        assert_eq!(told["count"], 3);
        assert_eq!(
            told["voList"][0],
            json!({
                "sendDate": "2026-11-22", "templateId": "1001", "msgType": "0",
                "globalBlackListNum": "4", "userBlackListNum": "0", "unsubscribleNum": "0", "keyWordFilterNum": "0",
                "errorVarsNum": "2", "varsContentTooLongNum": "0", "encodingExceptionNum": "0",
                "sendTypeUnsupportedNum": "0"
            })
        );
        let told = words(View::SendFailed, &asked);
        assert_eq!(
            told["voList"][0],
            json!({
                "sendDate": "2026-11-22", "templateId": "1001", "msgType": "0",
                "emptyPhoneNumberNum": "5", "outOfServiceNum": "0", "complaintsNum": "0", "busyNum": "0",
                "noAnswerNum": "0", "interceptNum": "0", "breakDownNum": "0", "notInServiceNum": "0",
                "shutDownNum": "0", "othersNum": "6"
            })
        );
        assert_eq!(told["voList"][1]["shutDownNum"], "1");
    }

    #[test]
    fn aggregated_rows_have_neither_template_nor_type() {
        let asked = query("days=2&aggregate=1").unwrap();
        let told = words(View::SendDay, &asked);
        assert_eq!(
            told,
            json!({ "total": {
                "sendDate": "2026-11-21到2026-11-22", "templateId": "None", "msgType": "None",
                "requestNum": "47", "sendNum": "26", "processFailedNum": "6", "sendFailedNum": "12",
                "billingNum": "82", "sendRatio": "55.32", "processFailedRatio": "12.77", "sendFailedRatio": "25.53"
            } })
        );
        assert_eq!(
            words(View::ProcessFailed, &asked)["total"]["globalBlackListNum"],
            "4"
        );
        let abroad = query("days=2&aggregate=1&msgTypeStr=2").unwrap();
        assert_eq!(words(View::SendDay, &abroad)["total"]["requestNum"], "3");
        let unsent = query("days=2&aggregate=1&msgTypeStr=1").unwrap();
        let none = words(View::SendDay, &unsent);
        assert_eq!(
            (&none["total"]["requestNum"], &none["total"]["sendRatio"]),
            (&json!("0"), &json!("0.00"))
        );
    }

    proptest! {
        #[test]
        fn ratios_lie_between_nought_and_a_hundred(part in 0_u64..1_000_000, more in 0_u64..1_000_000) {
            let told = ratio(part, part + more);
            let (whole, decimals) = told.split_once('.').unwrap();
            prop_assert_eq!(decimals.len(), 2);
            let hundredths: u64 = whole.parse::<u64>().unwrap() * 100 + decimals.parse::<u64>().unwrap();
            prop_assert!(hundredths <= 10_000);
        }

        #[test]
        fn aggregating_loses_nothing(
            counts in prop::collection::vec((0_i32..3, 1_i64..4, 0_u64..100, 0_usize..10, 0_usize..4), 0..40),
        ) {
            let errors = ["", "410", "5011", "069"];
            let all: Vec<_> = counts
                .iter()
                .map(|(day, template, messages, state, error)| {
                    counted(DAY - day, *template, 86, MessageState::ALL[*state], errors[*error], *messages)
                })
                .collect();
            let asked = query("days=3").unwrap();
            let rows = rows(&asked, &all);
            let mut sum = Counters::default();
            rows.values().for_each(|row| sum.add(row));
            prop_assert_eq!(sum.requested, all.iter().map(|one| one.messages).sum::<u64>());
            prop_assert!(sum.delivered + sum.process_failed + sum.send_failed <= sum.requested);
            prop_assert_eq!(sum.failures.iter().sum::<u64>(), sum.process_failed + sum.send_failed);
        }
    }
}
