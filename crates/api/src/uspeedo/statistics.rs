//! Statistics: what became of messages, by day and country, or by day, country and template (contract section 3.3).
//! UCloud only.
//!
//! The engine counts as states change, so the current day is included; the vendor's latest day is yesterday.

use super::answer::done;
use super::api_error::ApiError;
use super::error_texts::Thing;
use super::handle_action::ActionRequest;
use super::handler::store_failed;
use super::params::{self, bounded, integer, required, required_integer};
use super::templates::class_of;
use super::tree::Members;
use crate::days::{self, CHINA};
use crate::delivery_result::is_unsent;
use engine::sms::class::{Class, Kind};
use engine::sms::phone::Msisdn;
use engine::sms::state::MessageState;
use engine::{Statistic, StatisticsFilter};
use jiff::civil::Date;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Most days of a question: nothing is documented.
pub const DAYS_MAX: i32 = 366;
/// Longest list of countries in characters: nothing is documented.
const COUNTRIES_CHARS_MAX: usize = 2000;
/// China's calling code: "domestic".
const CHINA_CODE: u16 = 86;

/// The parameters of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Page, from 0.
    pub page: usize,
    /// Rows of a page.
    pub rows: usize,
    /// By what the rows are ordered.
    pub order: Order,
    /// The last first.
    pub descending: bool,
    /// The first day, in China.
    pub first: Date,
    /// The last day, in China.
    pub last: Date,
    /// Only mainland China, or only abroad.
    pub domestic: bool,
    /// Only these countries, in upper case (empty: all).
    pub countries: Vec<String>,
    /// Only this class.
    pub class: Option<Class>,
    /// Only this template.
    pub template: Option<String>,
}

/// `OrderBy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By day, then country.
    SendDate,
    /// By country, then day.
    BrevityCode,
}

/// What both actions ask for; each has a parameter the other does not.
pub fn parse(params: &Members<'_>) -> Result<Question, ApiError> {
    let (page, rows) = params::page(params)?;
    let order = match required(params, "OrderBy")? {
        "SendDate" => Order::SendDate,
        "BrevityCode" => Order::BrevityCode,
        _ => return Err(ApiError::Value("OrderBy")),
    };
    let descending = params::descending(params)?;
    let first = day(params, "StartDate")?;
    let last = day(params, "EndDate")?;
    if last < first || (last - first).get_days() >= DAYS_MAX {
        return Err(ApiError::Value("EndDate"));
    }
    let domestic = required_integer(params, "Domestic", 0..=1)? == 1;
    let countries = bounded(params, "BrevityCode", COUNTRIES_CHARS_MAX)?.unwrap_or_default();
    Ok(Question {
        page,
        rows,
        order,
        descending,
        first,
        last,
        domestic,
        countries: countries
            .split('-')
            .map(|country| country.trim().to_ascii_uppercase())
            .filter(|country| !country.is_empty())
            .collect(),
        class: integer(params, "Purpose", 1..=3)?.and_then(class_of),
        template: params::text(params, "TemplateId")?.map(str::to_owned),
    })
}

fn day(params: &Members<'_>, name: &'static str) -> Result<Date, ApiError> {
    days::read(required(params, name)?).ok_or(ApiError::Value(name))
}

/// How a country is named: as ISO 3166 writes it; by its calling code where that is not one country's (+1).
fn country(code: u16) -> Cow<'static, str> {
    // A number of that code as good as any.
    let number = Msisdn::from_digits(&format!("{code}0000000"));
    match number.and_then(Msisdn::country_iso) {
        Some(iso) => Cow::Borrowed(iso),
        None => Cow::Owned(code.to_string()),
    }
}

/// Counters in the five columns of both actions, messages and segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    success: Pair,
    fail: Pair,
    unknown: Pair,
    submit_fail: Pair,
}

/// Messages and their segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Pair {
    messages: u64,
    segments: u64,
}

impl Pair {
    fn add(&mut self, other: Self) {
        self.messages = self.messages.saturating_add(other.messages);
        self.segments = self.segments.saturating_add(other.segments);
    }
}

impl Sums {
    fn count(&mut self, statistic: &Statistic) {
        let column = match statistic.state {
            MessageState::Delivered => &mut self.success,
            // Its time to live ended before a carrier took it.
            MessageState::Expired if is_unsent(&statistic.error) => &mut self.submit_fail,
            MessageState::Undelivered | MessageState::Expired => &mut self.fail,
            // Counters know states, not carriers' answers: what was refused or withdrawn counts as not submitted.
            MessageState::Rejected | MessageState::Cancelled => &mut self.submit_fail,
            _ => &mut self.unknown,
        };
        column.add(Pair {
            messages: statistic.messages,
            segments: statistic.segments,
        });
    }

    fn add(&mut self, other: &Self) {
        self.success.add(other.success);
        self.fail.add(other.fail);
        self.unknown.add(other.unknown);
        self.submit_fail.add(other.submit_fail);
    }

    fn all(&self) -> Pair {
        let mut all = self.success;
        all.add(self.fail);
        all.add(self.unknown);
        all.add(self.submit_fail);
        all
    }
}

/// Sums over all pages. These columns are spelled otherwise than those of rows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Totals {
    send_count: u64,
    send_cost_count: u64,
    success_count: u64,
    success_cost_count: u64,
    fail_count: u64,
    fail_cost_count: u64,
    unknown_count: u64,
    unknown_cost_count: u64,
    submit_fail_count: u64,
    submit_fail_cost_count: u64,
}

impl Totals {
    fn of(sums: &Sums) -> Self {
        Self {
            send_count: sums.all().messages,
            send_cost_count: sums.all().segments,
            success_count: sums.success.messages,
            success_cost_count: sums.success.segments,
            fail_count: sums.fail.messages,
            fail_cost_count: sums.fail.segments,
            unknown_count: sums.unknown.messages,
            unknown_cost_count: sums.unknown.segments,
            submit_fail_count: sums.submit_fail.messages,
            submit_fail_cost_count: sums.submit_fail.segments,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Row<'a> {
    send_date: String,
    brevity_code: &'a str,
    count: u64,
    cost_count: u64,
    success_count: u64,
    success_cost_count: u64,
    failed_count: u64,
    failed_cost_count: u64,
    unknown_count: u64,
    unknown_cost_count: u64,
    submit_failed_count: u64,
    submit_failed_cost_count: u64,
    /// By country only: delivered of all, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    success_rate: Option<f64>,
    /// By country only. Messages are not counted apart by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'static str>,
    /// By template only.
    #[serde(skip_serializing_if = "Option::is_none")]
    template_id: Option<&'a str>,
}

/// What a row stands for. Rows by country have no template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    day: i32,
    country: Cow<'static, str>,
    template: Option<i64>,
}

impl Question {
    /// Counters summed up into rows, and over all rows.
    fn sum(&self, statistics: &[Statistic], by_template: bool) -> (Vec<(Key, Sums)>, Sums) {
        let mut rows: BTreeMap<Key, Sums> = BTreeMap::new();
        let wanted = |statistic: &&Statistic| {
            (statistic.country == CHINA_CODE) == self.domestic
                && self.class.is_none_or(|class| statistic.dimensions.class == class)
        };
        for statistic in statistics.iter().filter(wanted) {
            let country = country(statistic.country);
            if !self.countries.is_empty() && !self.countries.iter().any(|wanted| **wanted == *country) {
                continue;
            }
            let key = Key {
                day: statistic.day,
                country,
                template: by_template.then_some(statistic.dimensions.template),
            };
            rows.entry(key).or_default().count(statistic);
        }
        let mut all = Sums::default();
        rows.values().for_each(|sums| all.add(sums));
        let mut rows: Vec<(Key, Sums)> = rows.into_iter().collect();
        if self.order == Order::BrevityCode {
            rows.sort_by(|(a, _), (b, _)| a.country.cmp(&b.country));
        }
        if self.descending {
            rows.reverse();
        }
        (rows, all)
    }

    fn page_of<T>(&self, rows: Vec<T>) -> Vec<T> {
        rows.into_iter()
            .skip(self.page.saturating_mul(self.rows))
            .take(self.rows)
            .collect()
    }
}

fn row<'a>(key: &'a Key, sums: &Sums, template_id: Option<&'a str>) -> Row<'a> {
    let all = sums.all();
    let rate = || sums.success.messages as f64 / all.messages.max(1) as f64;
    let by_country = template_id.is_none();
    Row {
        send_date: days::of_number(key.day).to_string(),
        brevity_code: &key.country,
        count: all.messages,
        cost_count: all.segments,
        success_count: sums.success.messages,
        success_cost_count: sums.success.segments,
        failed_count: sums.fail.messages,
        failed_cost_count: sums.fail.segments,
        unknown_count: sums.unknown.messages,
        unknown_cost_count: sums.unknown.segments,
        submit_failed_count: sums.submit_fail.messages,
        submit_failed_cost_count: sums.submit_fail.segments,
        success_rate: by_country.then(rate),
        user_id: by_country.then_some(""),
        template_id,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Report<'a> {
    total: usize,
    statistics_data: Totals,
    data: Vec<Row<'a>>,
}

/// `GetUSMSSendStatistics`
pub(super) async fn by_country(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let question = Question {
        template: None,
        ..parse(request.params)?
    };
    let (rows, all) = question.sum(&read(request, &question, Vec::new()).await?, false);
    let total = rows.len();
    let rows = question.page_of(rows);
    let reported = Report {
        total,
        statistics_data: Totals::of(&all),
        data: rows.iter().map(|(key, sums)| row(key, sums, None)).collect(),
    };
    Ok(done(request.context, &reported))
}

/// `GetUSMSTemplateSendStatistics`
pub(super) async fn by_template(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let question = Question {
        class: None,
        ..parse(request.params)?
    };
    let catalog = request.engine().catalog();
    let account = request.caller.account;
    let templates = match &question.template {
        None => Vec::new(),
        Some(id) => match catalog.template_by_ut_id(account, id) {
            Some(entry) => vec![entry.template.number],
            None => return Err(ApiError::Unknown(Thing::Template)),
        },
    };
    let (rows, all) = question.sum(&read(request, &question, templates).await?, true);
    let total = rows.len();
    let rows: Vec<(Key, Sums, String)> = question
        .page_of(rows)
        .into_iter()
        .map(|(key, sums)| {
            let number = key.template.unwrap_or_default();
            let entry = catalog.template_by_number(account, number);
            // One that was removed meanwhile, or is built in, has no such id.
            let id = entry.map_or_else(|| number.to_string(), |entry| entry.template.ut_id.to_string());
            (key, sums, id)
        })
        .collect();
    let reported = Report {
        total,
        statistics_data: Totals::of(&all),
        data: rows
            .iter()
            .map(|(key, sums, id)| row(key, sums, Some(id)))
            .collect(),
    };
    Ok(done(request.context, &reported))
}

/// The counters a question is about: text messages of the whole account, over whatever wire they came.
async fn read(
    request: ActionRequest<'_>,
    question: &Question,
    templates: Vec<i64>,
) -> Result<Vec<Statistic>, ApiError> {
    let span = days::span(question.first, question.last, CHINA).ok_or(ApiError::Value("StartDate"))?;
    let filter = StatisticsFilter {
        from: span.start,
        until: span.end,
        offset_minutes: CHINA.seconds() / 60,
        users: Vec::new(),
        dialects: Vec::new(),
        templates,
        labels: Vec::new(),
        kind: Some(Kind::Text),
    };
    let found = request.engine().statistics(request.caller.account, filter).await;
    let found = found.map_err(|error| store_failed(request.context, &error))?;
    // At the limit some rows may be missing: an error that requires a shorter time is better than wrong sums.
    if found.len() >= request.engine().settings().account_limits.statistics_rows_max {
        return Err(ApiError::Value("EndDate"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::{AccountId, Dialect, StatsDimensions};
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn reported(rows: &[(Key, Sums)]) -> Value {
        rows.iter()
            .map(|(key, sums)| serde_json::to_value(row(key, sums, None)).unwrap())
            .collect()
    }

    fn context(extra: Value) -> Result<Question, ApiError> {
        let mut body = json!({"Page": 0, "NumPerPage": 10, "OrderBy": "SendDate", "OrderType": "asc",
            "StartDate": "2026-11-01", "EndDate": "2026-11-30", "Domestic": 0});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        let body = body.to_string();
        parse(&Members::from_json(body.as_bytes(), 1 << 20).unwrap())
    }

    fn statistic(day: i32, country: u16, class: Class, state: MessageState, messages: u64) -> Statistic {
        Statistic {
            day,
            dimensions: Arc::new(StatsDimensions {
                account: AccountId(1),
                user: "u".into(),
                dialect: Dialect::Ucloud,
                class,
                kind: Kind::Text,
                template: 1001,
                label: 0,
            }),
            country,
            state,
            error: Box::default(),
            cause: None,
            messages,
            segments: messages * 2,
        }
    }

    #[test]
    fn rows_are_days_and_countries_and_columns_are_states() {
        use MessageState::{Delivered, Expired, Rejected, Submitted};
        let unsent = Statistic {
            error: "expired_before_sent".into(),
            ..statistic(20_401, 44, Class::Otp, Expired, 4)
        };
        let counted = [
            statistic(20_400, 44, Class::Otp, Delivered, 3),
            statistic(20_400, 44, Class::Notice, Delivered, 1),
            statistic(20_400, 44, Class::Otp, Expired, 1),
            statistic(20_400, 1, Class::Otp, Submitted, 5),
            statistic(20_401, 44, Class::Otp, Rejected, 2),
            unsent,
            statistic(20_401, 86, Class::Otp, Delivered, 100),
        ];
        let question = context(json!({})).unwrap();
        let (rows, all) = question.sum(&counted, false);
        let seen = reported(&rows);
        assert_eq!(rows.len(), 3);
        assert_eq!(
            seen[0]["BrevityCode"], "1",
            "a code of several countries stands for itself"
        );
        assert_eq!(seen[0]["UnknownCount"], 5);
        let expected = json!({"SendDate": "2025-11-08", "BrevityCode": "GB", "Count": 5, "CostCount": 10,
            "SuccessCount": 4, "SuccessCostCount": 8, "FailedCount": 1, "FailedCostCount": 2, "UnknownCount": 0,
            "UnknownCostCount": 0, "SubmitFailedCount": 0, "SubmitFailedCostCount": 0, "SuccessRate": 0.8, "UserId": ""});
        assert_eq!(seen[1].to_string(), expected.to_string());
        assert_eq!(seen[2]["SubmitFailedCount"], 6);
        assert_eq!(
            serde_json::to_value(Totals::of(&all)).unwrap(),
            json!({"SendCount": 16, "SendCostCount": 32, "SuccessCount": 4, "SuccessCostCount": 8, "FailCount": 1,
                "FailCostCount": 2, "UnknownCount": 5, "UnknownCostCount": 10, "SubmitFailCount": 6,
                "SubmitFailCostCount": 12})
        );

        let countries = |extra: Value| -> Vec<String> {
            let (rows, _) = context(extra).unwrap().sum(&counted, false);
            rows.iter()
                .map(|(key, _)| format!("{} {}", key.day, key.country))
                .collect()
        };
        for (extra, expected) in [
            (
                json!({"OrderType": "desc"}),
                vec!["20401 GB", "20400 GB", "20400 1"],
            ),
            (
                json!({"OrderBy": "BrevityCode"}),
                vec!["20400 1", "20400 GB", "20401 GB"],
            ),
            (
                json!({"OrderBy": "BrevityCode", "OrderType": "DESC"}),
                vec!["20401 GB", "20400 GB", "20400 1"],
            ),
            (json!({"BrevityCode": "us-gb"}), vec!["20400 GB", "20401 GB"]),
            (json!({"BrevityCode": "CN"}), vec![]),
            (json!({"Purpose": 2}), vec!["20400 GB"]),
            (json!({"Domestic": 1}), vec!["20401 CN"]),
        ] {
            assert_eq!(countries(extra.clone()), expected, "{extra}");
        }
    }

    #[test]
    fn a_page_is_a_piece_of_the_rows() {
        let question = |page| context(json!({"Page": page, "NumPerPage": 2})).unwrap();
        assert_eq!(question(0).page_of(vec![1, 2, 3]), [1, 2]);
        assert_eq!(question(1).page_of(vec![1, 2, 3]), [3]);
        assert!(question(1_000_000).page_of(vec![1, 2, 3]).is_empty());
    }

    #[test]
    fn invalid_queries_are_refused_field_by_field() {
        for (extra, fault) in [
            (json!({"Page": null}), ApiError::Missing("Page")),
            (json!({"Page": -1}), ApiError::Value("Page")),
            (json!({"NumPerPage": 0}), ApiError::Value("NumPerPage")),
            (json!({"NumPerPage": 1001}), ApiError::Value("NumPerPage")),
            (json!({"OrderBy": "Count"}), ApiError::Value("OrderBy")),
            (json!({"OrderType": "up"}), ApiError::Value("OrderType")),
            (json!({"StartDate": ""}), ApiError::Missing("StartDate")),
            (json!({"StartDate": "2026-13-01"}), ApiError::Value("StartDate")),
            (json!({"EndDate": "2026-10-31"}), ApiError::Value("EndDate")),
            (json!({"EndDate": "2027-11-02"}), ApiError::Value("EndDate")),
            (json!({"Domestic": 2}), ApiError::Value("Domestic")),
            (json!({"Domestic": null}), ApiError::Missing("Domestic")),
            (json!({"Purpose": 4}), ApiError::Value("Purpose")),
            (json!({"BrevityCode": []}), ApiError::Missing("never")),
        ] {
            let answer = context(extra.clone());
            match fault {
                ApiError::Missing("never") => assert!(answer.is_ok(), "{extra}"),
                fault => assert_eq!(answer, Err(fault), "{extra}"),
            }
        }
        assert!(
            context(json!({"EndDate": "2027-11-01"})).is_ok(),
            "a year and its leap day"
        );
    }

    proptest! {
        #[test]
        fn nothing_is_counted_twice_or_lost(
            counted in prop::collection::vec((0..5_i32, prop::sample::select(vec![1_u16, 44, 86, 852]), 0..10_u8, 0..1000_u64), 0..60),
            by_template in any::<bool>(), domestic in any::<bool>(),
        ) {
            let counted: Vec<_> = counted.into_iter().map(|(day, country, state, messages)| {
                statistic(day, country, Class::Otp, MessageState::from_u8(state).unwrap(), messages)
            }).collect();
            let question = context(json!({"Domestic": u8::from(domestic)})).unwrap();
            let (rows, all) = question.sum(&counted, by_template);
            let wanted = counted.iter().filter(|s| (s.country == 86) == domestic);
            prop_assert_eq!(all.all().messages, wanted.clone().map(|s| s.messages).sum::<u64>());
            prop_assert_eq!(all.all().segments, wanted.map(|s| s.segments).sum::<u64>());
            prop_assert_eq!(rows.iter().map(|(_, sums)| sums.all().messages).sum::<u64>(), all.all().messages);
        }

        #[test]
        fn asking_never_panics(text in ".{0,12}", other in ".{0,12}") {
            for name in ["Page", "NumPerPage", "OrderBy", "OrderType", "StartDate", "EndDate", "Domestic", "BrevityCode",
                "Purpose", "TemplateId"] {
                let _ = context(json!({name: text, "EndDate": other}));
            }
        }
    }
}
