//! The bodies of both generations (docs/dialects/engagelab.md).

use super::codes::{ApiError, Code, a, c};
use super::recipients::{Answered, Entries};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engine::accept::{AcceptError, ItemOutcome, Outcome, RecipientOutcome, Refusal, Submission};
use engine::public_id::PublicIds;
use http::{HeaderValue, StatusCode, header};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");
/// RFC 9110 section 11.6.1 wants a challenge with every 401; the vendor documents none.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"sms\"");

/// An answer before it is one of HTTP: what is recorded for repeats.
pub(super) type RenderedResponse = (StatusCode, Vec<u8>);

/// An HTTP answer.
pub(super) fn response(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut response = (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body.into()).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
    }
    response
}

/// The response to a refused request.
pub(super) fn refusal(refused: &ApiError) -> RenderedResponse {
    #[derive(Serialize)]
    struct Error<'a> {
        code: u32,
        message: &'a str,
    }
    (
        refused.code.status,
        write(
            &Error {
                code: refused.code.code,
                message: &refused.message,
            },
            0,
        ),
    )
}

/// A body, with room for `bytes_expected` beside its fixed parts.
pub(super) fn write(answer: &impl Serialize, bytes_expected: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(192 + bytes_expected);
    // Writing texts and numbers into memory cannot fail.
    let _ = serde_json::to_writer(&mut out, answer);
    out
}

/// What a `/v1/send` is answered.
pub(super) fn sent(
    submission: &Submission,
    outcome: &Outcome,
    entries: &Entries,
    request_id: Option<&str>,
    ids: &PublicIds,
) -> RenderedResponse {
    let (Some(item), Some(done)) = (submission.items.first(), outcome.items.first()) else {
        return refusal(&ApiError::from(&a::SERVER_ERROR));
    };
    let answered = entries.answered(&item.recipients, &done.outcomes);
    let (accepted, failed) = answered.count();
    if accepted == 0 {
        return refusal(&ApiError::from(
            whole_refusal(done).map_or(&a::PHONE_FORMAT, code_of_a),
        ));
    }
    let prefix = done
        .session
        .map(|first| ids.message_prefix(submission.account, first, done.template));
    let custom: Option<&RawValue> = submission
        .custom
        .as_deref()
        .and_then(|json| serde_json::from_str(json).ok());
    let partly = failed > 0;
    let body = Sent {
        code: partly.then_some(a::PARTLY.code),
        message: partly.then_some(a::PARTLY.message),
        success_count: partly.then_some(accepted),
        sms_ids: SmsIds {
            prefix: prefix.as_deref().unwrap_or_default(),
            answered,
        },
        request_id,
        failed_count: partly.then_some(failed),
        failed_items: partly.then_some(FailedItems(answered)),
        custom_args: custom,
    };
    let bytes_expected = 64 * (accepted + failed) + submission.custom.as_deref().map_or(0, str::len);
    (StatusCode::OK, write(&body, bytes_expected))
}

/// A complete success has no `code`: a client takes its presence for failure.
#[derive(Serialize)]
struct Sent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_count: Option<usize>,
    sms_ids: SmsIds<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_items: Option<FailedItems<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_args: Option<&'a RawValue>,
}

/// `<prefix>$<number as sent>` of all that were accepted.
struct SmsIds<'a> {
    prefix: &'a str,
    answered: Answered<'a>,
}

impl Serialize for SmsIds<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut ids = serializer.serialize_seq(None)?;
        let mut id = format!("{}$", self.prefix);
        let prefix_len = id.len();
        for (phone, outcome) in self.answered.iter() {
            if matches!(outcome, RecipientOutcome::Accepted(_)) {
                id.truncate(prefix_len);
                id.push_str(phone);
                ids.serialize_element(&id)?;
            }
        }
        ids.end()
    }
}

struct FailedItems<'a>(Answered<'a>);

impl Serialize for FailedItems<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct FailedItem<'a> {
            phone: &'a str,
            message: &'static str,
        }
        serializer.collect_seq(self.0.iter().filter_map(|(phone, outcome)| match outcome {
            RecipientOutcome::Refused(refusal) => Some(FailedItem {
                phone,
                message: code_of_a(refusal).message,
            }),
            RecipientOutcome::Accepted(_) => None,
        }))
    }
}

/// What a `/v1/messages` is answered.
pub(super) fn planned(submission: &Submission, outcome: &Outcome, entries: &Entries) -> RenderedResponse {
    let (Some(item), Some(done)) = (submission.items.first(), outcome.items.first()) else {
        return refusal(&ApiError::from(&c::SERVER_ERROR));
    };
    let answered = entries.answered(&item.recipients, &done.outcomes);
    let (accepted, failed) = answered.count();
    let Some(plan) = done.session.filter(|_| accepted > 0) else {
        return refusal(&ApiError::from(
            whole_refusal(done).map_or(&c::PHONE_FORMAT, code_of_c),
        ));
    };
    let scheduled = submission.due.is_some();
    // Only with one recipient, and not with a schedule.
    let message_id = match (answered.iter().next(), accepted + failed) {
        (Some((_, RecipientOutcome::Accepted(id))), 1) if !scheduled => Some(id.to_string()),
        _ => None,
    };
    let body = Planned {
        plan_id: plan.to_string(),
        total_count: accepted + failed,
        accepted_count: accepted,
        message_id,
        schedule_info: scheduled.then_some(ScheduleInfo { task_id: plan.0 }),
    };
    (StatusCode::OK, write(&body, 0))
}

#[derive(Serialize)]
struct Planned {
    plan_id: String,
    total_count: usize,
    accepted_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule_info: Option<ScheduleInfo>,
}

/// A number of 19 digits, as the vendor sends it, although JavaScript cannot hold it.
#[derive(Serialize)]
struct ScheduleInfo {
    task_id: i64,
}

/// Why nothing was accepted: what is wrong with what all recipients share, else what is wrong with the first.
fn whole_refusal(done: &ItemOutcome) -> Option<Refusal> {
    let refusals = || {
        done.outcomes.iter().filter_map(|outcome| match outcome {
            RecipientOutcome::Refused(refusal) => Some(*refusal),
            RecipientOutcome::Accepted(_) => None,
        })
    };
    let shared = |refusal: &Refusal| {
        matches!(
            refusal,
            Refusal::ValueMissing | Refusal::ValueTooLong | Refusal::ValueHasLink | Refusal::TextTooLong
        )
    };
    done.refused
        .or_else(|| refusals().find(shared))
        .or_else(|| refusals().next())
}

/// Generation A's code of a refusal.
fn code_of_a(refusal: Refusal) -> &'static Code {
    match refusal {
        Refusal::PhoneEmpty | Refusal::PhoneFormat | Refusal::PhoneDuplicate => &a::PHONE_FORMAT,
        Refusal::PhoneSuppressed(_) => &a::SUPPRESSED,
        Refusal::PerMinute | Refusal::PerDay => &a::FREQUENCY,
        Refusal::TemplateUnknown => &a::TEMPLATE_UNKNOWN,
        Refusal::TemplateNotApproved => &a::TEMPLATE_NOT_APPROVED,
        Refusal::SenderInvalid => &SENDER_INVALID,
        Refusal::SignatureInvalid => &a::SIGN_UNKNOWN,
        Refusal::ValueTooLong => &a::VALUE_TOO_LONG,
        Refusal::ValueHasLink => &a::VALUE_HAS_LINK,
        Refusal::TextTooLong => &a::TEXT_TOO_LONG,
        Refusal::NoRoute => &a::NO_ROUTE,
        // Never by the rules of this wire.
        _ => &a::VARS_FORMAT,
    }
}

static SENDER_INVALID: Code = Code {
    status: StatusCode::BAD_REQUEST,
    code: a::BAD_REQUEST.code,
    message: "from must be 3 to 11 English letters or digits, and a sender of this account",
};

/// Generation C's code of a refusal.
fn code_of_c(refusal: Refusal) -> &'static Code {
    match refusal {
        Refusal::PhoneEmpty | Refusal::PhoneFormat | Refusal::PhoneDuplicate => &c::PHONE_FORMAT,
        Refusal::PhoneSuppressed(_) => &c::SUPPRESSED,
        Refusal::PerMinute | Refusal::PerDay => &c::FREQUENCY,
        Refusal::TemplateUnknown => &c::TEMPLATE_UNKNOWN,
        Refusal::TemplateNotApproved => &c::TEMPLATE_NOT_APPROVED,
        Refusal::SignatureInvalid => &c::SIGN_NOT_APPROVED,
        Refusal::TextTooLong => &c::TEXT_TOO_LONG,
        Refusal::NoRoute => &c::NO_ROUTE,
        // Never by the rules of this wire.
        _ => &c::PARAMETERS,
    }
}

/// Generation A's code of a request that came to nothing.
pub(super) fn code_of_error_a(error: &AcceptError) -> &'static Code {
    match error {
        AcceptError::AccountGone => &a::UNAUTHORIZED,
        AcceptError::MayNotSend => &a::MAY_NOT_SEND,
        AcceptError::Balance => &a::BALANCE,
        AcceptError::OtherContent => &a::ID_REUSED,
        AcceptError::Busy | AcceptError::Stopping => &a::BUSY,
        _ => &a::SERVER_ERROR,
    }
}

/// Generation C's code of a request that came to nothing.
pub(super) fn code_of_error_c(error: &AcceptError) -> &'static Code {
    match error {
        AcceptError::AccountGone => &c::UNAUTHORIZED,
        AcceptError::MayNotSend => &c::MAY_NOT_SEND,
        AcceptError::Balance => &c::BALANCE,
        AcceptError::OtherContent => &c::ID_REUSED,
        AcceptError::Busy | AcceptError::Stopping => &c::BUSY,
        _ => &c::SERVER_ERROR,
    }
}
