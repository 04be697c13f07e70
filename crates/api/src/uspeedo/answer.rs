//! The bodies that answer requests to send, and every refusal, as data, to be held against the contract
//! (sections 2.2 to 2.4).

use super::api_error::{self, ApiError};
use super::error_texts::{self, Done, Language};
use super::request_context::{Action, RequestContext};
use super::wire::Extra;
use engine::Dialect;
use engine::accept::{
    Item, ItemOutcome, Outcome, RecipientOutcome, Refusal, SignatureRef, Submission, TemplateRef, Values,
};
use engine::public_id::PublicIds;
use serde::Serialize;
use std::borrow::Cow;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Refused<'a> {
    ret_code: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<Cow<'static, str>>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    req_uuid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fail_content: Option<Vec<FailedItem<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_target_phones: Option<Vec<FailedNumber<'a>>>,
}

/// The answer to a request that came to nothing.
pub fn refused(context: &RequestContext, fault: ApiError) -> Vec<u8> {
    refused_with(context, fault, None, None)
}

fn refused_with<'a>(
    context: &'a RequestContext,
    fault: ApiError,
    fail_content: Option<Vec<FailedItem<'a>>>,
    failed_target_phones: Option<Vec<FailedNumber<'a>>>,
) -> Vec<u8> {
    let (ret_code, message) = fault.code_and_message(context.family(), context.language);
    let req_uuid = (context.dialect != Dialect::UspeedoRest).then_some(context.uuid.as_str());
    let action = context.answer_name();
    json(&Refused {
        ret_code,
        action,
        message,
        req_uuid,
        fail_content,
        failed_target_phones,
    })
}

/// REST v1 (the uSpeedo REST v1 document).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RestSent<'a> {
    ret_code: u32,
    message: &'static str,
    session_no: Vec<String>,
    failed_target_phones: Vec<FailedNumber<'a>>,
}

/// An element of REST v1's `FailedTargetPhones`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailedNumber<'a> {
    phone: &'a str,
    template_params: &'a [Box<str>],
    failure_reason: &'static str,
}

/// The Action wires (the UCloud Action document).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BatchSent<'a> {
    ret_code: u32,
    action: Option<Cow<'static, str>>,
    message: &'static str,
    session_no: String,
    req_uuid: &'a str,
    success_count: usize,
    fail_content: Vec<FailedItem<'a>>,
}

/// `SendUSMSMessage` (contract section 3.3). Its documents have no place for single numbers that failed; they
/// are listed as in a batch, when there are any.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Sent<'a> {
    ret_code: u32,
    action: Option<Cow<'static, str>>,
    message: &'static str,
    session_no: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    req_uuid: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fail_content: Vec<FailedItem<'a>>,
}

/// An element of `FailContent`: the UCloud Action document's BatchInfo.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailedItem<'a> {
    template_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sig_content: Option<&'a str>,
    target: Vec<FailedTarget<'a>>,
    /// The reason when template or sender were refused, else empty.
    failure_details: &'static str,
}

/// An element of its `Target`: the UCloud Action document's FailPhoneDetail.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailedTarget<'a> {
    template_params: &'a [Box<str>],
    phone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    extend_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// The reason when this number was refused, empty when the item was.
    failure_details: &'static str,
}

/// The answer to a request to send.
pub fn sent(
    context: &RequestContext,
    ids: &PublicIds,
    submission: &Submission,
    outcome: &Outcome,
) -> Vec<u8> {
    if let (0, Some(refusal)) = (outcome.accepted(), outcome.first_refusal()) {
        return nothing_sent(context, submission, outcome, refusal);
    }
    let mut sessions = outcome.items.iter().filter_map(|item| item.session);
    let session_no = |first| ids.session(submission.account, first);
    if context.dialect == Dialect::UspeedoRest {
        return json(&RestSent {
            ret_code: 0,
            message: Done::Success.text(context.language),
            session_no: sessions.map(session_no).collect(),
            failed_target_phones: failed_numbers(context.language, submission, outcome),
        });
    }
    let session_no = sessions.next().map(session_no).unwrap_or_default();
    let (action, req_uuid) = (context.answer_name(), context.uuid.as_str());
    let fail_content = failed_items(context, submission, outcome);
    if context.action == Some(Action::Send) {
        let first = submission.items.first().and_then(|item| item.recipients.first());
        let user_id = Extra::read(first.and_then(|recipient| recipient.extra.as_deref())).user_id;
        return json(&Sent {
            ret_code: 0,
            action,
            message: Done::Single.text(context.language),
            session_no,
            user_id,
            req_uuid,
            fail_content,
        });
    }
    let success_count = outcome.accepted();
    json(&BatchSent {
        ret_code: 0,
        action,
        message: Done::Batch.text(context.language),
        session_no,
        req_uuid,
        success_count,
        fail_content,
    })
}

/// Every recipient was refused: the first reason decides the code; the list has the others.
fn nothing_sent(
    context: &RequestContext,
    submission: &Submission,
    outcome: &Outcome,
    refusal: Refusal,
) -> Vec<u8> {
    let fault = match refusal {
        Refusal::ExtraInvalid => ApiError::Value(invalid_extra(submission, outcome)),
        refusal => ApiError::Refused(refusal),
    };
    if context.dialect != Dialect::UspeedoRest {
        return refused_with(
            context,
            fault,
            Some(failed_items(context, submission, outcome)),
            None,
        );
    }
    // In the uSpeedo REST v1 document an error has code and message alone; the list is added when there are more reasons.
    let has_one_reason = outcome
        .items
        .iter()
        .flat_map(|item| &item.outcomes)
        .all(|outcome| *outcome == RecipientOutcome::Refused(refusal));
    refused_with(
        context,
        fault,
        None,
        (!has_one_reason).then(|| failed_numbers(context.language, submission, outcome)),
    )
}

/// Which field of the first malformed per-recipient data is to blame.
fn invalid_extra(submission: &Submission, outcome: &Outcome) -> &'static str {
    failures(submission, outcome)
        .find(|failure| failure.refusal == Refusal::ExtraInvalid)
        .and_then(|failure| Extra::read(failure.recipient.extra.as_deref()).invalid())
        .unwrap_or("UserId")
}

struct Failure<'a> {
    item: &'a Item,
    recipient: &'a engine::accept::Recipient,
    refusal: Refusal,
}

fn failures<'a>(submission: &'a Submission, outcome: &'a Outcome) -> impl Iterator<Item = Failure<'a>> {
    submission
        .items
        .iter()
        .zip(&outcome.items)
        .flat_map(|(item, became)| failures_of(item, became))
}

fn failures_of<'a>(item: &'a Item, became: &'a ItemOutcome) -> impl Iterator<Item = Failure<'a>> {
    item.recipients
        .iter()
        .zip(&became.outcomes)
        .filter_map(move |(recipient, outcome)| match *outcome {
            RecipientOutcome::Refused(refusal) => Some(Failure {
                item,
                recipient,
                refusal,
            }),
            RecipientOutcome::Accepted(_) => None,
        })
}

/// The values a recipient was to get: its own, or the item's.
fn params<'a>(failure: &Failure<'a>) -> &'a [Box<str>] {
    match (&failure.recipient.values, &failure.item.values) {
        (Values::Positional(own), _) => own,
        (Values::None, Values::Positional(common)) => common,
        _ => &[],
    }
}

fn failed_numbers<'a>(
    language: Language,
    submission: &'a Submission,
    outcome: &'a Outcome,
) -> Vec<FailedNumber<'a>> {
    let number = |failure: Failure<'a>| FailedNumber {
        phone: &failure.recipient.phone,
        template_params: params(&failure),
        failure_reason: error_texts::reason(failure.refusal, language),
    };
    failures(submission, outcome).map(number).collect()
}

fn failed_items<'a>(
    context: &RequestContext,
    submission: &'a Submission,
    outcome: &'a Outcome,
) -> Vec<FailedItem<'a>> {
    let mut list = Vec::new();
    for (item, became) in submission.items.iter().zip(&outcome.items) {
        let mut failures = failures_of(item, became).peekable();
        let Some(first) = failures.peek() else { continue };
        let of_item = api_error::is_about_the_item(first.refusal)
            .then(|| error_texts::reason(first.refusal, context.language));
        let (sender_id, sig_content) = source(context.dialect, item);
        list.push(FailedItem {
            template_id: match &item.template {
                TemplateRef::UtId(id) => id,
                _ => "",
            },
            sender_id,
            sig_content,
            target: failures
                .map(|failure| failed_target(&failure, of_item.is_some(), context.language))
                .collect(),
            failure_details: of_item.unwrap_or_default(),
        });
    }
    list
}

fn failed_target<'a>(failure: &Failure<'a>, item_has_reason: bool, language: Language) -> FailedTarget<'a> {
    let extra = Extra::read(failure.recipient.extra.as_deref());
    FailedTarget {
        template_params: params(failure),
        phone: &failure.recipient.phone,
        extend_code: extra.extend_code,
        user_id: extra.user_id,
        failure_details: if item_has_reason {
            ""
        } else {
            error_texts::reason(failure.refusal, language)
        },
    }
}

/// The family's own field always, the other's when it was given.
fn source(dialect: Dialect, item: &Item) -> (Option<&str>, Option<&str>) {
    let sender = item.sender.as_deref();
    let signature = match &item.signature {
        SignatureRef::Text(text) => Some(&**text),
        _ => None,
    };
    match dialect {
        Dialect::Ucloud => (sender, Some(signature.unwrap_or_default())),
        _ => (Some(sender.unwrap_or_default()), signature),
    }
}

/// The response to any action but a send.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DoneWith<'a, T> {
    ret_code: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<Cow<'static, str>>,
    message: &'static str,
    #[serde(flatten)]
    rest: &'a T,
}

/// The answer to what was done and needs no words: UCloud's and uSpeedo's Action pages leave `Message` empty then,
/// REST v1 says `success`.
pub(super) fn done<T: Serialize>(context: &RequestContext, rest: &T) -> Vec<u8> {
    let message = match context.dialect {
        Dialect::UspeedoRest => Done::Success.text(context.language),
        _ => "",
    };
    with(context, message, rest)
}

/// The answer to what was done, in words.
pub(super) fn done_as<T: Serialize>(context: &RequestContext, words: Done, rest: &T) -> Vec<u8> {
    with(context, words.text(context.language), rest)
}

fn with<T: Serialize>(context: &RequestContext, message: &'static str, rest: &T) -> Vec<u8> {
    json(&DoneWith {
        ret_code: 0,
        action: context.answer_name(),
        message,
        rest,
    })
}

pub(super) fn json<T: Serialize>(body: &T) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    // Structs of strings and numbers always serialise.
    let _ = serde_json::to_writer(&mut text, body);
    text
}
