//! Status queries, made as clients make them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use super::demo::Demo;
use super::dialect::{Answer, Dialect, basic, sendcloud, ucloud, write_get, write_request};
use super::number;
use super::outcome::RequestResult;
use super::wire::{Wire, WireError};

/// Numbers of one SendCloud query.
pub(super) const SENDCLOUD_NUMBERS: usize = 100;

/// Message ids of one EngageLab query.
const ENGAGELAB_IDS: usize = 10;

/// Where a message stands, as far as all vendors can say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// On its way.
    Open,
    /// Arrived.
    Delivered,
    /// Failed, for good.
    Failed,
}

/// Why a status query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// No answer at all.
    #[error("no answer to a status query")]
    Wire(#[from] WireError),
    /// An answer that is not of the documented form.
    #[error("not an answer to a status query: {status} {body}")]
    Answer {
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
}

/// By number, one standing for each message that the gateway knows: more than one is a message accepted twice.
pub type Standings = HashMap<u64, Vec<Standing>>;

/// Queries the status of the recipients of an accepted request.
///
/// # Errors
/// [`StatusError`] if a query is not answered as documented.
pub async fn standings(
    wire: &mut Wire,
    demo: &Demo,
    dialect: Dialect,
    result: &RequestResult,
) -> Result<Standings, StatusError> {
    let mut standings = Standings::new();
    match (dialect, &result.answer) {
        (Dialect::UspeedoRest | Dialect::UspeedoAction, Some(Answer::Accepted { reference, .. })) => {
            let credential = basic(&demo.uspeedo.access_key_id, &demo.uspeedo.access_key_secret);
            let path = format!("/api/v1/usms/USMSSendReceipt?id={reference}");
            let headers = format!("Authorization: Basic {credential}\r\n");
            let mut request = Vec::new();
            write_get(&path, &headers, &mut request);
            of_session(wire, &request, &mut standings).await?;
        }
        (Dialect::Ucloud, Some(Answer::Accepted { reference, .. })) => {
            let mut request = Vec::new();
            ucloud::write_receipt_query(&demo.ucloud, reference, &mut request);
            of_session(wire, &request, &mut standings).await?;
        }
        (Dialect::EngageLab, Some(Answer::Accepted { reference, .. })) => {
            let numbers: Vec<u64> = result.accepted().collect();
            let days = days(&demo.clock_offsets_s, result, Some(reference));
            for day in &days {
                for numbers in numbers.chunks(ENGAGELAB_IDS) {
                    of_ids(wire, demo, (reference, day), numbers, &mut standings).await?;
                }
            }
        }
        (Dialect::SendCloud, _) => {
            let numbers: Vec<u64> = result.accepted().collect();
            let days = days(&demo.clock_offsets_s, result, None);
            for numbers in numbers.chunks(SENDCLOUD_NUMBERS) {
                if days.is_empty() {
                    of_numbers(wire, demo, numbers, &[("days", "2")], &mut standings).await?;
                }
                for day in &days {
                    let span = [("startDate", day.as_str()), ("endDate", day)];
                    of_numbers(wire, demo, numbers, &span, &mut standings).await?;
                }
            }
        }
        _ => {}
    }
    Ok(standings)
}

/// Queries the receipts of a session, at uSpeedo or UCloud.
async fn of_session(wire: &mut Wire, request: &[u8], standings: &mut Standings) -> Result<(), StatusError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Receipts<'a> {
        #[serde(borrow)]
        data: Vec<Session<'a>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Session<'a> {
        #[serde(borrow)]
        receipt_set: Vec<Receipt<'a>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Receipt<'a> {
        #[serde(borrow)]
        phone: Cow<'a, str>,
        #[serde(borrow)]
        receipt_result: Cow<'a, str>,
    }
    let exchange = wire.exchange(request).await?;
    let receipts: Receipts<'_> = understand(exchange.status, exchange.body)?;
    for receipt in receipts.data.iter().flat_map(|session| &session.receipt_set) {
        let standing = match receipt.receipt_result.as_ref() {
            "Success" => Standing::Delivered,
            "Fail" | "SubmitFail" => Standing::Failed,
            _ => Standing::Open,
        };
        note(standings, &receipt.phone, standing);
    }
    Ok(())
}

async fn of_ids(
    wire: &mut Wire,
    demo: &Demo,
    (prefix, day): (&str, &str),
    numbers: &[u64],
    standings: &mut Standings,
) -> Result<(), StatusError> {
    let ids: Vec<String> = numbers
        .iter()
        .map(|number| format!("{prefix}$+{number}"))
        .collect();
    let mut encoded = Vec::new();
    sendcloud::encode(&ids.join(";"), &mut encoded);
    let ids = String::from_utf8_lossy(&encoded).into_owned();
    let query = format!("sms_ids={ids}");
    engagelab(wire, demo, &query, day, standings).await
}

/// One page of EngageLab's list, which is by days in China.
async fn engagelab(
    wire: &mut Wire,
    demo: &Demo,
    query: &str,
    day: &str,
    standings: &mut Standings,
) -> Result<(), StatusError> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        result: Vec<Row<'a>>,
    }
    #[derive(Deserialize)]
    struct Row<'a> {
        #[serde(borrow)]
        phone: Cow<'a, str>,
        status: u8,
    }
    let credential = basic(&demo.engagelab.sms_user, &demo.engagelab.sms_key);
    let mut request = Vec::new();
    write_get(
        &format!("/v1/status?send_date={day}&limit=100&{query}"),
        &format!("Authorization: Basic {credential}\r\n"),
        &mut request,
    );
    let exchange = wire.exchange(&request).await?;
    let list: List<'_> = understand(exchange.status, exchange.body)?;
    for row in &list.result {
        let standing = match row.status {
            2 => Standing::Delivered,
            4 | 5 => Standing::Failed,
            _ => Standing::Open,
        };
        note(standings, &row.phone, standing);
    }
    Ok(())
}

/// Queries the status of messages to numbers, of a span of days.
pub(super) async fn of_numbers(
    wire: &mut Wire,
    demo: &Demo,
    numbers: &[u64],
    span: &[(&str, &str)],
    standings: &mut Standings,
) -> Result<(), StatusError> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        info: Info<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Info<'a> {
        #[serde(borrow)]
        vo_list: Vec<Row<'a>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row<'a> {
        #[serde(borrow)]
        receiver: Cow<'a, str>,
        status_code: u16,
    }
    let phones: Vec<String> = numbers.iter().map(|number| format!("+{number}")).collect();
    let phones = phones.join(";");
    let mut parameters = vec![
        ("phones", phones.as_str()),
        ("smsUser", demo.sendcloud.sms_user.as_str()),
    ];
    parameters.extend(span);
    parameters.sort_unstable();
    let (mut body, mut request) = (Vec::new(), Vec::new());
    sendcloud::write_form(&parameters, &demo.sendcloud.sms_key, &mut body);
    write_request(
        "/smsapi/status/query",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        &body,
        &mut request,
    );
    let exchange = wire.exchange(&request).await?;
    let answer: Answer<'_> = understand(exchange.status, exchange.body)?;
    for row in &answer.info.vo_list {
        let standing = match row.status_code {
            0 => Standing::Open,
            200 => Standing::Delivered,
            _ => Standing::Failed,
        };
        note(standings, &row.receiver, standing);
    }
    Ok(())
}

/// How many messages to a number an EngageLab user has sent on the days of a request: more than one is a request accepted
/// twice.
///
/// # Errors
/// [`StatusError`] if the query is not answered as documented.
pub async fn engagelab_messages_to(
    wire: &mut Wire,
    demo: &Demo,
    result: &RequestResult,
) -> Result<Standings, StatusError> {
    let Some(Answer::Accepted { reference, .. }) = &result.answer else {
        return Ok(Standings::new());
    };
    let mut standings = Standings::new();
    let query = format!("phone=%2B{}", number(result.first));
    for day in &days(&demo.clock_offsets_s, result, Some(reference)) {
        engagelab(wire, demo, &query, day, &mut standings).await?;
    }
    Ok(standings)
}

/// The days on which a request may have been accepted by the clock that the gateway had: as a rule the one in its ids, and
/// where that clock has jumped others.
fn days(clock_offsets_s: &[i64], result: &RequestResult, reference: Option<&str>) -> BTreeSet<String> {
    // A request that has to be repeated is accepted later than it was due.
    const LATER_MAX_MS: i64 = 3_600_000;
    let due = result.due_unix_ms.cast_signed();
    let by_clock = |offset_s: &i64| {
        let at = due.saturating_add(offset_s.saturating_mul(1_000));
        [day_at(at), day_at(at.saturating_add(LATER_MAX_MS))]
    };
    let mut days: BTreeSet<String> = clock_offsets_s.iter().flat_map(by_clock).collect();
    days.extend(reference.map(day_of));
    days
}

fn note(standings: &mut Standings, phone: &str, standing: Standing) {
    if let Ok(number) = phone.trim_start_matches('+').parse() {
        standings.entry(number).or_default().push(standing);
    }
}

fn understand<'a, T: Deserialize<'a>>(status: u16, body: &'a [u8]) -> Result<T, StatusError> {
    serde_json::from_slice(body).map_err(|_| {
        let beginning = String::from_utf8_lossy(body.get(..200).unwrap_or(body));
        StatusError::Answer {
            status,
            body: beginning.into_owned(),
        }
    })
}

/// The day in China on which a message id was given: ids begin with their milliseconds.
fn day_of(prefix: &str) -> String {
    let ms = prefix
        .split('_')
        .next()
        .and_then(|ms| ms.parse::<i64>().ok())
        .unwrap_or(0);
    day_at(ms)
}

/// The day in China at this moment, in milliseconds since 1970.
fn day_at(ms: i64) -> String {
    const CHINA_MS: i64 = 8 * 3_600 * 1_000;
    let moment = jiff::Timestamp::from_millisecond(ms.saturating_add(CHINA_MS)).unwrap_or_default();
    moment.strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_whose_clock_moved_is_queried_by_every_clock_it_had() {
        let result = RequestResult {
            request_id: "r".into(),
            text: super::super::Text::Plain,
            first: 0,
            recipients: 1,
            sent: 2,
            due_unix_ms: 1_795_276_799_000,
            answer: None,
            answered_at: None,
        };
        assert!(days(&[], &result, None).is_empty());
        let reference = "1795305599999_1_1_1_abcdef";
        assert_eq!(
            Vec::from_iter(days(&[], &result, Some(reference))),
            ["2026-11-22"]
        );
        assert_eq!(
            Vec::from_iter(days(&[0, 864_000], &result, None)),
            ["2026-11-21", "2026-11-22", "2026-12-01", "2026-12-02"],
            "due a second before midnight there"
        );
    }

    #[test]
    fn a_day_begins_in_china() {
        assert_eq!(day_of("1795305599999_1_1_1_abcdef"), "2026-11-22");
        assert_eq!(
            day_of("1795276799999_1_1_1_abcdef"),
            "2026-11-21",
            "15:59:59.999 in London, one before midnight there"
        );
    }
}
