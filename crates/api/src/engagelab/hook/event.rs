//! The events in the vendor's words.

use crate::delivery_result::DeliveryResult;
use crate::engagelab::display_texts::{self, HookEvent, MESSAGE_TYPE, SERVER};
use engine::catalog::{Review, Template};
use engine::public_id::PublicIds;
use engine::sms::state::MessageState;
use engine::webhooks::{EventPayload, Subject};
use engine::{BatchView, Dialect, EventWhat, Inbound, MessageView, UnixMs};
use serde::Serialize;
use serde_json::value::RawValue;

/// Numbers of one `target` call: its body stays below the 64 to 100 kB that receivers take by default.
const TARGET_NUMBERS_MAX: usize = 400;

/// The fields of one event.
#[derive(Debug)]
pub(super) struct Event {
    name: HookEvent,
    body: Body,
}

#[derive(Debug, Serialize)]
struct Body {
    server: &'static str,
    message_id: String,
    itime: UnixMs,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_args: Option<Box<RawValue>>,
    status: Status,
}

#[derive(Debug, Serialize)]
struct Status {
    message_status: &'static str,
    status_data: Data,
}

/// What there is to say of each event, and nothing else.
#[derive(Debug, Default, Serialize)]
struct Data {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_name: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_status: Option<i8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_message: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sms_user: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sms_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sms_ids: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Vec<Box<str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_content: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    msg_type: Option<u8>,
}

/// Renders an event: none when this format has no such event, several when a request has many numbers.
pub(super) fn rendered(payload: &EventPayload, sms_user: &str, ids: &PublicIds) -> Vec<Event> {
    let (event, subject) = (&payload.event, &payload.subject);
    let one = match (&event.what, subject) {
        (EventWhat::Accepted { .. }, Subject::Batch(messages)) => {
            return messages
                .chunks(TARGET_NUMBERS_MAX)
                .filter_map(|piece| target(piece, event.at, ids))
                .collect();
        }
        (EventWhat::Message { state, error, .. }, Subject::Message(message)) => {
            message_status(message, *state, error, event.at, ids)
        }
        (EventWhat::Inbound { .. }, Subject::Inbound(inbound)) => reply(inbound, sms_user, event.at),
        (EventWhat::TemplateReviewed { review, .. }, Subject::Template(template)) => {
            Some(approval(template, *review, sms_user, event.at))
        }
        _ => None,
    };
    one.into_iter().collect()
}

/// A request was accepted. As in the page's example, neither `from` nor `to` stands beside the event.
fn target(messages: &[MessageView], at: UnixMs, ids: &PublicIds) -> Option<Event> {
    let batch = of_this_wire(&messages.first()?.batch)?;
    let prefix = prefix(batch, ids);
    let mut data = data_of(batch, HookEvent::Target.message());
    data.sms_ids = Some(
        messages
            .iter()
            .map(|message| format!("{prefix}${}", message.written))
            .collect(),
    );
    data.to = Some(messages.iter().map(|message| message.written.clone()).collect());
    let mut event = Event::new(HookEvent::Target, at, data);
    event.body.message_id = prefix;
    event.body.custom_args = batch.custom.as_deref().and_then(raw);
    Some(event)
}

/// A message came to a state.
fn message_status(
    message: &MessageView,
    state: MessageState,
    error: &str,
    at: UnixMs,
    ids: &PublicIds,
) -> Option<Event> {
    let batch = of_this_wire(&message.batch)?;
    let (name, code) = match DeliveryResult::at(message, state, error) {
        DeliveryResult::Sent if state == MessageState::Submitted => (HookEvent::Sent, None),
        // Nobody knows how it ended: there is no word for that.
        DeliveryResult::Requested | DeliveryResult::Sent => return None,
        DeliveryResult::Delivered => (HookEvent::Delivered, None),
        DeliveryResult::ProcessFailed(code) => (HookEvent::ProcessFailed, Some(code)),
        DeliveryResult::SendFailed(code) => (HookEvent::SendFailed, Some(code)),
    };
    let words = code.map_or(name.message(), display_texts::failure);
    let prefix = prefix(batch, ids);
    let mut data = data_of(batch, words);
    data.sms_id = Some(format!("{prefix}${}", message.written));
    data.sub_status = code;
    let mut event = Event::new(name, at, data);
    event.body.message_id = prefix;
    event.body.from = Some(batch.sender.as_deref().unwrap_or_default().to_owned());
    event.body.to = Some(message.written.to_string());
    event.body.custom_args = raw(batch.custom.as_deref().unwrap_or("{}"));
    Some(event)
}

/// A person wrote. There is no request of which this could have the id.
fn reply(inbound: &Inbound, sms_user: &str, at: UnixMs) -> Option<Event> {
    let data = Data {
        message: HookEvent::Reply.message().to_owned(),
        user_id: Some(inbound.account?.0),
        sms_user: Some(sms_user.into()),
        reply_content: Some(inbound.text.clone()),
        msg_type: Some(MESSAGE_TYPE),
        ..Data::default()
    };
    let mut event = Event::new(HookEvent::Reply, at, data);
    event.body.from = Some(display_texts::with_plus(&inbound.from));
    event.body.to = Some(inbound.to.to_string());
    Some(event)
}

/// A template's review has ended.
fn approval(template: &Template, review: Review, sms_user: &str, at: UnixMs) -> Event {
    let status = display_texts::approval_status(review);
    let data = Data {
        message: HookEvent::TemplateApproval.message().to_owned(),
        template_id: Some(template.number),
        template_name: Some(template.name.clone()),
        template_type: Some(display_texts::template_type(template.class)),
        approval_status: Some(status),
        approval_message: (status == -1).then(|| template.reason.clone()),
        user_id: Some(template.account.0),
        sms_user: Some(sms_user.into()),
        msg_type: Some(MESSAGE_TYPE),
        ..Data::default()
    };
    let mut event = Event::new(HookEvent::TemplateApproval, at, data);
    // "Empty", says the page.
    event.body.from = Some(String::new());
    event.body.to = Some(String::new());
    event
}

/// Accounts know no ids of messages of other wires, so there are no events about those.
fn of_this_wire(batch: &BatchView) -> Option<&BatchView> {
    (batch.dialect == Dialect::EngagelabA).then_some(batch)
}

fn prefix(batch: &BatchView, ids: &PublicIds) -> String {
    ids.message_prefix(batch.account, batch.session, batch.template)
}

fn raw(json: &str) -> Option<Box<RawValue>> {
    serde_json::from_str(json).ok()
}

/// What all events of messages say of their batch.
fn data_of(batch: &BatchView, message: &str) -> Data {
    Data {
        message: message.to_owned(),
        template_id: Some(batch.template),
        template_type: Some(display_texts::template_type(batch.class)),
        label_id: Some(batch.label),
        user_id: Some(batch.account.0),
        sms_user: Some(Box::from(&*batch.user)),
        msg_type: Some(MESSAGE_TYPE),
        ..Data::default()
    }
}

impl Event {
    fn new(name: HookEvent, at: UnixMs, status_data: Data) -> Self {
        Self {
            name,
            body: Body {
                server: SERVER,
                message_id: String::new(),
                itime: at,
                from: None,
                to: None,
                custom_args: None,
                status: Status {
                    message_status: name.name(),
                    status_data,
                },
            },
        }
    }

    /// What an endpoint is probed with.
    pub(super) fn probe(at: UnixMs) -> Self {
        let data = Data {
            message: HookEvent::Test.message().to_owned(),
            ..Data::default()
        };
        Self::new(HookEvent::Test, at, data)
    }

    pub(super) fn name(&self) -> HookEvent {
        self.name
    }

    /// Writes it.
    pub(super) fn write(&self) -> Vec<u8> {
        // Writing texts and numbers into memory cannot fail.
        serde_json::to_vec(&self.body).unwrap_or_default()
    }
}
