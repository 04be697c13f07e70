//! The rows in the vendor's words.

use crate::delivery_result::{DeliveryResult, is_unsent};
use crate::engagelab::display_texts::{self, CallbackError, CallbackStatus, SERVER, TEMPLATE_AUDIT, UPLINK};
use engine::catalog::{Review, Template};
use engine::sms::reason::Reason;
use engine::sms::state::MessageState;
use engine::webhooks::{EventPayload, Subject};
use engine::{BatchView, Dialect, EventWhat, Inbound, MessageView, ReasonView, UnixMs};
use serde::Serialize;
use serde_json::value::RawValue;

/// What stands where a row is about no message.
const NO_ID: &str = "0";

/// One row of a callback.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Row {
    Message(Box<MessageRow>),
    Reply(ReplyRow),
    Review(ReviewRow),
}

#[derive(Debug, Serialize)]
pub(super) struct MessageRow {
    message_id: String,
    to: Box<str>,
    server: &'static str,
    channel: &'static str,
    /// In seconds.
    itime: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_args: Option<Box<RawValue>>,
    status: Status,
}

#[derive(Debug, Serialize)]
struct Status {
    message_status: &'static str,
    status_data: StatusData,
    error_code: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_detail: Option<ErrorDetail>,
}

#[derive(Debug, Serialize)]
struct StatusData {
    /// When the message was accepted, in seconds.
    msg_time: i64,
    message_id: String,
    current_send_channel: &'static str,
    template_key: String,
    business_id: String,
}

#[derive(Debug, Serialize)]
struct ErrorDetail {
    message: String,
}

#[derive(Debug, Serialize)]
pub(super) struct ReplyRow {
    server: &'static str,
    itime: i64,
    message_id: &'static str,
    business_id: &'static str,
    response: Response,
}

#[derive(Debug, Serialize)]
struct Response {
    event: &'static str,
    response_data: ResponseData,
}

#[derive(Debug, Serialize)]
struct ResponseData {
    message_sid: String,
    account_sid: String,
    from: String,
    to: Box<str>,
    body: Box<str>,
}

#[derive(Debug, Serialize)]
pub(super) struct ReviewRow {
    server: &'static str,
    itime: i64,
    notification: Notification,
}

#[derive(Debug, Serialize)]
struct Notification {
    event: &'static str,
    notification_data: AuditResult,
}

#[derive(Debug, Serialize)]
struct AuditResult {
    business_id: String,
    template_id: String,
    template_name: Box<str>,
    status: u8,
    reason: Box<str>,
}

impl Row {
    /// Writes it at the end of a body.
    pub(super) fn write(&self, body: &mut Vec<u8>) {
        // Writing texts and numbers into memory cannot fail.
        let _ = serde_json::to_writer(body, self);
    }
}

/// The rows of an event: none when this format has no such event, several for an accepted request.
pub(super) fn rendered(payload: &EventPayload) -> Vec<Row> {
    let (event, subject) = (&payload.event, &payload.subject);
    let one = match (&event.what, subject) {
        (EventWhat::Accepted { .. }, Subject::Batch(messages)) => {
            return messages
                .iter()
                .flat_map(|message| planned(message, event.at))
                .collect();
        }
        (EventWhat::Message { state, error, .. }, Subject::Message(message)) => {
            outcome(message, *state, error)
                .and_then(|(status, error)| message_row(message, status, error, event.at))
        }
        (EventWhat::Inbound { .. }, Subject::Inbound(inbound)) => reply(inbound, event.at),
        (EventWhat::TemplateReviewed { review, .. }, Subject::Template(template)) => {
            Some(reviewed(template, *review, event.at))
        }
        _ => None,
    };
    one.into_iter().collect()
}

/// A message was stored: it waits for its turn, and its number can be sent to, unless it was accepted only to fail.
fn planned(message: &MessageView, at: UnixMs) -> Vec<Row> {
    let valid = match DeliveryResult::at(message, message.state, &message.error) {
        DeliveryResult::ProcessFailed(_) => None,
        _ => message_row(message, CallbackStatus::TargetValid, None, at),
    };
    let plan = message_row(message, CallbackStatus::Plan, None, at);
    plan.into_iter().chain(valid).collect()
}

/// An error as the callback reports it: the vendor's number and text, and the carrier's own error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failure<'a> {
    error: CallbackError,
    carriers: &'a str,
}

/// What a state is called here, and why it is one.
fn outcome<'a>(
    message: &MessageView,
    state: MessageState,
    error: &'a str,
) -> Option<(CallbackStatus, Option<Failure<'a>>)> {
    let error = error.trim();
    match DeliveryResult::at(message, state, error) {
        DeliveryResult::Sent if state == MessageState::Submitted => Some((CallbackStatus::Sent, None)),
        // Nobody knows how it ended: there is no word for that.
        DeliveryResult::Requested | DeliveryResult::Sent => None,
        DeliveryResult::Delivered => Some((CallbackStatus::Delivered, None)),
        DeliveryResult::ProcessFailed(code) => {
            let status = match code {
                // On a list of numbers that get nothing.
                410..=439 => CallbackStatus::TargetInvalid,
                _ => CallbackStatus::SentFailed,
            };
            let failure = Failure {
                error: CallbackError::in_processing(code),
                carriers: "",
            };
            Some((status, Some(failure)))
        }
        DeliveryResult::SendFailed(_) => {
            let taken = message.submitted_at.is_some();
            let status = if taken {
                CallbackStatus::DeliveredFailed
            } else {
                CallbackStatus::SentFailed
            };
            Some((status, Some(carriers_failure(message, state, error, taken))))
        }
    }
}

/// Why a carrier failed. Errors of four digits come from the sandbox and are the numbers of this format.
fn carriers_failure<'a>(
    message: &MessageView,
    state: MessageState,
    error: &'a str,
    taken: bool,
) -> Failure<'a> {
    let numbered = error.parse().ok().and_then(CallbackError::numbered);
    let of_status = match ReasonView::at(message, state, error).map(|reason| reason.reason()) {
        Some(Reason::CarrierRefusedNumber) if !taken => Some(5011),
        Some(Reason::CarrierRefusedBlocked) => Some(5013),
        Some(Reason::CarrierRefusedUnsubscribed) => Some(5019),
        Some(Reason::ExpiredBeforeSent) if is_unsent(error) => Some(5016),
        _ => None,
    };
    let of_status = of_status.and_then(CallbackError::numbered);
    Failure {
        error: numbered
            .or(of_status)
            .unwrap_or_else(|| CallbackError::of_state(state)),
        carriers: if numbered.is_some() { "" } else { error },
    }
}

/// A row about a message of this wire. Accounts know no ids of messages of other wires, so there are no rows about those.
fn message_row(
    message: &MessageView,
    status: CallbackStatus,
    failure: Option<Failure<'_>>,
    at: UnixMs,
) -> Option<Row> {
    let batch: &BatchView = &message.batch;
    if batch.dialect != Dialect::EngagelabC {
        return None;
    }
    // What the answer to a single recipient calls it.
    let id = message.id.to_string();
    let custom = batch.custom.as_deref();
    Some(Row::Message(Box::new(MessageRow {
        message_id: id.clone(),
        to: message.written.clone(),
        server: SERVER,
        channel: SERVER,
        itime: at.div_euclid(1000),
        custom_args: custom.and_then(|json| serde_json::from_str(json).ok()),
        status: Status {
            message_status: status.name(),
            status_data: StatusData {
                msg_time: message.batch.accepted_at.div_euclid(1000),
                message_id: id,
                current_send_channel: SERVER,
                template_key: batch.template.to_string(),
                business_id: batch.account.to_string(),
            },
            error_code: failure.map_or(0, |failure| failure.error.code),
            error_detail: failure.map(|failure| ErrorDetail {
                message: match failure.carriers {
                    "" => failure.error.message.to_owned(),
                    carriers => format!("{} ({carriers})", failure.error.message),
                },
            }),
        },
    })))
}

/// A person wrote.
fn reply(inbound: &Inbound, at: UnixMs) -> Option<Row> {
    Some(Row::Reply(ReplyRow {
        server: SERVER,
        itime: at.div_euclid(1000),
        message_id: NO_ID,
        business_id: NO_ID,
        response: Response {
            event: UPLINK,
            response_data: ResponseData {
                message_sid: inbound.id.0.to_string(),
                account_sid: inbound.account?.to_string(),
                from: display_texts::with_plus(&inbound.from),
                to: inbound.to.clone(),
                body: inbound.text.clone(),
            },
        },
    }))
}

/// A template's review has ended.
fn reviewed(template: &Template, review: Review, at: UnixMs) -> Row {
    let rejected = matches!(review, Review::Rejected | Review::Disabled);
    Row::Review(ReviewRow {
        server: SERVER,
        itime: at.div_euclid(1000),
        notification: Notification {
            event: TEMPLATE_AUDIT,
            notification_data: AuditResult {
                business_id: template.account.to_string(),
                template_id: template.number.to_string(),
                template_name: template.name.clone(),
                status: display_texts::config_status(review),
                reason: if rejected {
                    template.reason.clone()
                } else {
                    Box::default()
                },
            },
        },
    })
}
