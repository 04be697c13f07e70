//! Reports of accounts about their messages, and reports that they pull: `AddBackfill`, `upUSMSCustomerStatus`,
//! `PullUSMSReport` (contract section 3.3). UCloud only.

use super::answer::{done, done_as};
use super::api_error::ApiError;
use super::error_texts::Done;
use super::handle_action::ActionRequest;
use super::handler::store_failed;
use super::params::{bounded, integer, required_integer, texts};
use super::push::{self, Report};
use super::tree::Members;
use engine::sms::phone::{self, Grammar};
use engine::{Record, RecordFilter, RecordKind, RecordRefusal};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// Longest `SendNo` in characters: nothing is documented.
pub const SEND_NO_CHARS_MAX: usize = 128;
/// Longest `Content` in characters: nothing is documented.
pub const CONTENT_CHARS_MAX: usize = 500;
/// Latest time, in Unix seconds: the year 9999.
const TIME_MAX: i64 = 253_402_300_799;
/// Most numbers of one report: as many as a request to send may have.
const NUMBERS_MAX: usize = 1000;
/// So many of the oldest make room at a time when there are as many as there may be.
const MAKE_ROOM: usize = 100;
/// Times room is made for one report while others take it.
const TRIES_MAX: usize = 3;

/// Reports of a `PullUSMSReport` that gives no number; also the most that one returns.
const PULL_DEFAULT: i64 = 100;
const PULL_MAX: i64 = 200;
/// How long reports wait to be pulled (contract section 3.3).
const PULL_KEEP: Duration = Duration::from_secs(72 * 3600);

/// A report that a code was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Backfill {
    /// What the account calls the request that sent it.
    pub send_no: String,
    /// To whom, as written.
    pub target: String,
    /// When it was used, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backfill_time: Option<i64>,
    /// When it was sent, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_time: Option<i64>,
    /// What was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// What `AddBackfill` brings.
pub fn parse_backfill(params: &Members<'_>) -> Result<Backfill, ApiError> {
    let send_no = bounded(params, "SendNo", SEND_NO_CHARS_MAX)?.ok_or(ApiError::Missing("SendNo"))?;
    let target = bounded(params, "Target", SEND_NO_CHARS_MAX)?.ok_or(ApiError::Missing("Target"))?;
    // The page requires a separate country code; a bare number could be of any country.
    let has_country_code = target.trim_start().starts_with(['(', '+']);
    if !has_country_code || phone::parse(target, Grammar::UcloudAction).is_err() {
        return Err(ApiError::Value("Target"));
    }
    Ok(Backfill {
        send_no: send_no.to_owned(),
        target: target.to_owned(),
        backfill_time: integer(params, "BackfillTime", 0..=TIME_MAX)?,
        send_time: integer(params, "SendTime", 0..=TIME_MAX)?,
        content: bounded(params, "Content", CONTENT_CHARS_MAX)?.map(str::to_owned),
    })
}

/// A report whether messages were used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CustomerStatus {
    /// The sessions.
    pub session_no_set: Vec<String>,
    /// To whom, as written; all numbers of the sessions when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phone_numbers: Vec<String>,
    /// True: `CustomerStatus` 0, which is also what is meant when it is not given.
    pub used: bool,
}

/// What `upUSMSCustomerStatus` brings.
pub fn parse_status(params: &Members<'_>, sessions_max: usize) -> Result<CustomerStatus, ApiError> {
    let session_no_set = texts(params, "SessionNoSet", sessions_max)?;
    // The sample request spells it in the singular.
    let name = ["PhoneNumbers", "PhoneNumber"]
        .into_iter()
        .find(|name| params.get(name).is_some());
    let phone_numbers = match name {
        Some(name) => texts(params, name, NUMBERS_MAX)?,
        None => Vec::new(),
    };
    let readable = |written: &String| phone::parse(written, Grammar::UcloudAction).is_ok();
    if !phone_numbers.iter().all(readable) {
        return Err(ApiError::Value("PhoneNumbers"));
    }
    let status = integer(params, "CustomerStatus", i64::MIN..=i64::MAX)?;
    Ok(CustomerStatus {
        session_no_set,
        phone_numbers,
        used: status.unwrap_or(0) == 0,
    })
}

/// `AddBackfill`
pub(super) async fn backfill(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let report = parse_backfill(request.params)?;
    keep(request, &report).await?;
    Ok(done(request.context, &()))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Taken<'a> {
    data: Vec<TakenSession<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TakenSession<'a> {
    message_no: &'a str,
}

/// `upUSMSCustomerStatus`. Sessions that are not the account's are left out; one must be its own.
pub(super) async fn status(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let mut report = parse_status(request.params, request.api.limits.sessions_per_query_max)?;
    let (ids, account) = (request.engine().public_ids(), request.caller.account);
    report
        .session_no_set
        .retain(|session| ids.read_session(account, session).is_some());
    if report.session_no_set.is_empty() {
        return Err(ApiError::Value("SessionNoSet"));
    }
    keep(request, &report).await?;
    let data = report
        .session_no_set
        .iter()
        .map(|session| TakenSession { message_no: session });
    Ok(done_as(
        request.context,
        Done::Reported,
        &Taken { data: data.collect() },
    ))
}

/// Keeps a report. Reports come with every code that is used: when there are as many as there may be, the oldest make
/// room.
async fn keep<T: Serialize>(request: ActionRequest<'_>, report: &T) -> Result<(), ApiError> {
    let failed = |error| store_failed(request.context, &error);
    let (engine, account, now) = (request.engine(), request.caller.account, request.engine().now());
    let record = Record {
        id: 0,
        account,
        kind: RecordKind::Backfill,
        name: Box::default(),
        body: serde_json::to_string(report).unwrap_or_default().into(),
        data: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    for _ in 0..TRIES_MAX {
        match engine.add_record(record.clone()).await.map_err(failed)? {
            Ok(_) => return Ok(()),
            Err(RecordRefusal::Full) => {}
            Err(_) => return Err(ApiError::Store),
        }
        let oldest = RecordFilter {
            name_contains: None,
            offset: 0,
            limit: MAKE_ROOM,
        };
        let oldest = engine
            .records(account, RecordKind::Backfill, oldest)
            .await
            .map_err(failed)?;
        for old in oldest.items {
            engine
                .remove_record(account, RecordKind::Backfill, old.id)
                .await
                .map_err(failed)?;
        }
    }
    Err(ApiError::Busy)
}

/// Reads how many reports a `PullUSMSReport` requests.
pub fn parse_pull(params: &Members<'_>) -> Result<usize, ApiError> {
    let limit = match params.get("Limit") {
        None => PULL_DEFAULT,
        Some(_) => required_integer(params, "Limit", 1..=PULL_MAX)?,
    };
    Ok(usize::try_from(limit).unwrap_or_default())
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Pulled<'a> {
    req_uuid: &'a str,
    report_set: Vec<Report<'a>>,
}

/// `PullUSMSReport`: what the account's endpoint of the form [`push::PULL`] was not given yet; given again when its answer
/// was not read (docs/dialects/ucloud.md). An account without one was not given the action, as at the vendor, who opens it on request.
pub(super) async fn pull(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let limit = parse_pull(request.params)?;
    let (engine, account) = (request.engine(), request.caller.account);
    let pulled = engine
        .pull(account, push::PULL, PULL_KEEP, limit, push::is_report)
        .await;
    let (payloads, outcome) = pulled
        .map_err(|error| store_failed(request.context, &error))?
        .ok_or(ApiError::NotAllowed)?;
    // There is one action to a request.
    let _ = request.context.tracker.set(outcome);
    let catalog = engine.catalog();
    let settings = catalog
        .endpoints()
        .map(|entry| &entry.endpoint)
        .find(|endpoint| endpoint.account == account && *endpoint.format == *push::PULL)
        .map_or(&Value::Null, |endpoint| &endpoint.settings);
    let pulled = Pulled {
        req_uuid: &request.context.uuid,
        report_set: push::reports(settings, &payloads, engine.public_ids()),
    };
    Ok(done_as(request.context, Done::Pulled, &pulled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read<T>(body: &Value, read: impl Fn(&Members<'_>) -> T) -> T {
        let body = body.to_string();
        read(&Members::from_json(body.as_bytes(), 1 << 20).unwrap())
    }

    #[test]
    fn a_backfill_names_a_request_and_a_number_with_its_country() {
        let good = json!({"SendNo": "n", "Target": "(44)7700900123", "BackfillTime": 5, "SendTime": "7", "Content": "1"});
        let report = read(&good, parse_backfill).unwrap();
        assert_eq!((report.backfill_time, report.send_time), (Some(5), Some(7)));
        for (name, value, fault) in [
            ("SendNo", json!(null), ApiError::Missing("SendNo")),
            ("SendNo", json!("x".repeat(129)), ApiError::Value("SendNo")),
            ("Target", json!(""), ApiError::Missing("Target")),
            ("Target", json!("7700900123"), ApiError::Value("Target")),
            ("Target", json!("(44)"), ApiError::Value("Target")),
            ("Target", json!([]), ApiError::Missing("Target")),
            ("BackfillTime", json!(-1), ApiError::Value("BackfillTime")),
            ("SendTime", json!("soon"), ApiError::Shape("SendTime")),
            ("Content", json!("x".repeat(501)), ApiError::Value("Content")),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            assert_eq!(read(&bad, parse_backfill), Err(fault), "{bad}");
        }
    }

    #[test]
    fn a_status_is_used_when_it_is_nought_or_absent() {
        for (status, used) in [
            (json!("0"), true),
            (json!(null), true),
            (json!(1), false),
            (json!("-2"), false),
        ] {
            let body = json!({"SessionNoSet": ["s"], "PhoneNumber": "13800138000", "CustomerStatus": status});
            let report = read(&body, |params| parse_status(params, 2)).unwrap();
            assert_eq!((report.used, report.phone_numbers.len()), (used, 1), "{body}");
        }
        for (body, fault) in [
            (json!({}), ApiError::Missing("SessionNoSet")),
            (
                json!({"SessionNoSet": ["a", "b", "c"]}),
                ApiError::Value("SessionNoSet"),
            ),
            (
                json!({"SessionNoSet": ["a"], "PhoneNumbers": ["x"]}),
                ApiError::Value("PhoneNumbers"),
            ),
            (
                json!({"SessionNoSet": ["a"], "CustomerStatus": "used"}),
                ApiError::Shape("CustomerStatus"),
            ),
        ] {
            assert_eq!(
                read(&body, |params| parse_status(params, 2)),
                Err(fault),
                "{body}"
            );
        }
    }

    #[test]
    fn a_hundred_reports_are_pulled_unless_the_request_has_another_number() {
        for (limit, expected) in [
            (json!(null), Ok(100)),
            (json!("1"), Ok(1)),
            (json!(200), Ok(200)),
            (json!(0), Err(ApiError::Value("Limit"))),
            (json!(201), Err(ApiError::Value("Limit"))),
            (json!("all"), Err(ApiError::Shape("Limit"))),
        ] {
            assert_eq!(read(&json!({"Limit": limit}), parse_pull), expected, "{limit}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in ".{0,20}", number in any::<i64>()) {
            let body = json!({"SendNo": text, "Target": text, "BackfillTime": number, "SessionNoSet": text,
                "PhoneNumbers": [text], "CustomerStatus": number, "Limit": number});
            let _ = read(&body, parse_backfill);
            if let Ok(limit) = read(&body, parse_pull) {
                prop_assert!((1..=200).contains(&limit));
            }
            if let Ok(report) = read(&body, |params| parse_status(params, 3)) {
                prop_assert_eq!(report.used, number == 0);
            }
        }
    }
}
