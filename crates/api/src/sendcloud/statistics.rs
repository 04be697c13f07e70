//! Statistics: `/smsapi/data/sendDay`, `processFailed`, `sendFailed` (docs/dialects/sendcloud.md).

use super::codes::{ApiError, DAYS, OK, QUERY_FORMAT, TOO_MUCH_TO_COUNT};
use super::display_texts;
use super::failures::FAILURES;
use super::fields::{self, MessageType, Span};
use super::manage::{Call, done, store_failed};
use super::params::Params;
use crate::days;
use crate::delivery_result::DeliveryResult;
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
    pub fn read(params: &Params<'_>, now: UnixMs) -> Result<Self, ApiError> {
        let span = Span::read(params, now, DAYS_MAX)?;
        let read_type = |written| MessageType::read(written).ok_or(&QUERY_FORMAT);
        Ok(Self {
            span: span.ok_or_else(|| ApiError::with_limit(&DAYS, DAYS_MAX))?,
            message_type: params.get("msgTypeStr").map(read_type).transpose()?,
            templates: fields::numbers(params, "templateIdsStr")?,
            labels: fields::numbers(params, "labelIdsStr")?,
            aggregate: match params.get("aggregate") {
                None | Some("0") => false,
                Some("1") => true,
                Some(_) => return Err(ApiError::from(&QUERY_FORMAT)),
            },
        })
    }

    fn filter(&self) -> Result<StatisticsFilter, ApiError> {
        let span = self
            .span
            .times()
            .ok_or_else(|| ApiError::with_limit(&DAYS, DAYS_MAX))?;
        Ok(StatisticsFilter {
            from: span.start,
            until: span.end,
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
        let delivery_result = DeliveryResult::of_statistic(statistic);
        self.requested += messages;
        match delivery_result {
            DeliveryResult::Requested | DeliveryResult::Sent => {}
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
        let failed = |code| FAILURES.iter().position(|failure| failure.code == code);
        let (DeliveryResult::ProcessFailed(code) | DeliveryResult::SendFailed(code)) = delivery_result else {
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
pub(super) async fn send_day(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    answer(call, View::SendDay).await
}

/// `processFailed`: why messages failed before they left.
pub(super) async fn process_failed(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    answer(call, View::ProcessFailed).await
}

/// `sendFailed`: why carriers failed.
pub(super) async fn send_failed(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    answer(call, View::SendFailed).await
}

async fn answer(call: &Call<'_>, view: View) -> Result<Vec<u8>, ApiError> {
    let query = StatisticsQuery::read(call.params, call.now)?;
    let counted = call
        .engine()
        .statistics(call.account(), query.filter()?)
        .await
        .map_err(|error| store_failed(&error))?;
    // So many rows may be cut off: half of the truth is none.
    if counted.len() >= call.engine().settings().account_limits.statistics_rows_max {
        return Err(ApiError::from(&TOO_MUCH_TO_COUNT));
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
        let dimensions = &statistic.dimensions;
        let message_type = MessageType::of(dimensions.kind, statistic.country == MAINLAND_CHINA);
        if query.message_type.is_some_and(|wanted| wanted != message_type) {
            continue;
        }
        let key = Key {
            day: Reverse(statistic.day),
            template: dimensions.template,
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
            date: format!(
                "{}{}{}",
                written(span.first),
                display_texts::TO.text(),
                written(span.last)
            ),
            template: "None".to_owned(),
            message_type: "None".to_owned(),
            counters: all,
        },
    }
}

fn written(date: Date) -> String {
    date.strftime("%Y-%m-%d").to_string()
}

/// A row of the response: every value is a text.
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
mod tests;
