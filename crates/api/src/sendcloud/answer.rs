//! The envelope of every answer: `{"result","statusCode","message","info"}`, `info` always an object
//! (docs/dialects/sendcloud.md).

use super::codes::{ALL_FAILED, ApiError, Code, Language, OK, PARTLY};
use super::rules::{code_of, is_common};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engine::accept::{Item, ItemOutcome, Outcome, RecipientOutcome, Submission, Values};
use engine::public_id::PublicIds;
use http::{HeaderValue, StatusCode, header};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

/// Clients decode the body only when they find `json` in this.
pub(super) const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");

/// The language of all messages.
pub(super) const LANGUAGE: Language = Language::Chinese;

/// Octets of an answer that is neither id nor number.
const ENVELOPE_BYTES: usize = 160;

#[derive(Serialize)]
struct Envelope<'a, I> {
    message: &'a str,
    info: I,
    result: bool,
    #[serde(rename = "statusCode")]
    status_code: u32,
}

/// `info` of an answer that has nothing to say there.
#[derive(Serialize)]
pub(super) struct Nothing {}

/// A body with `info`.
pub(super) fn body_with(code: &'static Code, info: impl Serialize, bytes_expected: usize) -> Vec<u8> {
    let message = ApiError::from(code).message(LANGUAGE);
    write(
        &Envelope {
            message: &message,
            info,
            result: succeeded(code),
            status_code: code.code,
        },
        bytes_expected,
    )
}

/// The body of a request that is not done.
pub(super) fn refusal(refused: ApiError) -> Vec<u8> {
    let message = refused.message(LANGUAGE);
    write(
        &Envelope {
            message: &message,
            info: Nothing {},
            result: false,
            status_code: refused.code.code,
        },
        0,
    )
}

/// `result` is true for complete and for partial success.
fn succeeded(code: &Code) -> bool {
    code.code == OK.code || *code == PARTLY
}

fn write(answer: &impl Serialize, bytes_expected: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENVELOPE_BYTES + bytes_expected);
    // Writing texts and numbers into memory cannot fail.
    let _ = serde_json::to_writer(&mut out, answer);
    out
}

/// An HTTP answer; business errors go with 200, since clients drop the body otherwise.
pub(super) fn response(status: StatusCode, body: impl Into<Bytes>) -> Response {
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body.into()).into_response()
}

/// What a send is answered.
pub(super) fn sent(submission: &Submission, outcome: &Outcome, ids: &PublicIds) -> Vec<u8> {
    let (Some(item), Some(done)) = (submission.items.first(), outcome.items.first()) else {
        return refusal(ApiError::from(&super::codes::SERVER_ERROR));
    };
    let (accepted, failed) = (outcome.accepted(), outcome.refused());
    if failed > 0
        && let Some(code) = plain_refusal(item, done)
    {
        return refusal(ApiError::from(code));
    }
    let prefix = done
        .session
        .map(|first| ids.message_prefix(submission.account, first, done.template));
    let info = Info {
        success_count: accepted,
        failed: (failed > 0).then_some(Failed(item, done)),
        sms_ids: SmsIds {
            prefix: prefix.as_deref().unwrap_or_default(),
            item,
            done,
        },
    };
    let code = match (accepted, failed) {
        (_, 0) => &OK,
        (0, _) => &ALL_FAILED,
        _ => &PARTLY,
    };
    body_with(code, info, 64 * (accepted + failed))
}

/// The only reason of a request that failed for one reason; the response has that and nothing else.
fn plain_refusal(item: &Item, done: &ItemOutcome) -> Option<&'static Code> {
    if let Some(refusal) = done.refused {
        return Some(code_of(refusal));
    }
    let refusal_of = |outcome: &RecipientOutcome| match outcome {
        RecipientOutcome::Refused(refusal) => Some(*refusal),
        RecipientOutcome::Accepted(_) => None,
    };
    if let [outcome] = &*done.outcomes {
        return refusal_of(outcome).map(code_of);
    }
    let shared = item
        .recipients
        .iter()
        .all(|recipient| recipient.values == Values::None);
    let common = done
        .outcomes
        .iter()
        .filter_map(refusal_of)
        .find(|refusal| is_common(*refusal));
    common.filter(|_| shared).map(code_of)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info<'a> {
    success_count: usize,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    failed: Option<Failed<'a>>,
    sms_ids: SmsIds<'a>,
}

/// `failedCount` and `items`.
struct Failed<'a>(&'a Item, &'a ItemOutcome);

impl Serialize for Failed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(item, done) = self;
        let refused = done
            .outcomes
            .iter()
            .filter(|outcome| matches!(outcome, RecipientOutcome::Refused(_)))
            .count();
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("failedCount", &refused)?;
        map.serialize_entry("items", &FailedItems(item, done))?;
        map.end()
    }
}

struct FailedItems<'a>(&'a Item, &'a ItemOutcome);

impl Serialize for FailedItems<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct FailedItem<'a> {
            phone: &'a str,
            vars: Vars<'a>,
            message: &'a str,
        }
        let mut items = serializer.serialize_seq(None)?;
        for (recipient, outcome) in self.0.recipients.iter().zip(&self.1.outcomes) {
            let RecipientOutcome::Refused(refusal) = outcome else {
                continue;
            };
            let message = ApiError::from(code_of(*refusal)).message(LANGUAGE);
            let vars = Vars(&recipient.values);
            items.serialize_element(&FailedItem {
                phone: &recipient.phone,
                vars,
                message: &message,
            })?;
        }
        items.end()
    }
}

/// A recipient's own variables, `{}` when it has none.
struct Vars<'a>(&'a Values);

impl Serialize for Vars<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let named: &[_] = if let Values::Named(named) = self.0 {
            named
        } else {
            &[]
        };
        serializer.collect_map(named.iter().map(|(name, value)| (name, value)))
    }
}

/// `<prefix>$<number as sent>` of all that were accepted.
struct SmsIds<'a> {
    prefix: &'a str,
    item: &'a Item,
    done: &'a ItemOutcome,
}

impl Serialize for SmsIds<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut ids = serializer.serialize_seq(None)?;
        let mut id = format!("{}$", self.prefix);
        let prefix_len = id.len();
        for (recipient, outcome) in self.item.recipients.iter().zip(&self.done.outcomes) {
            if matches!(outcome, RecipientOutcome::Accepted(_)) {
                id.truncate(prefix_len);
                id.push_str(&recipient.phone);
                ids.serialize_element(&id)?;
            }
        }
        ids.end()
    }
}
