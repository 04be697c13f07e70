//! The six events in the vendor's words.

use super::LANGUAGE;
use crate::delivery_result::DeliveryResult;
use crate::sendcloud::failures::{self, Failure};
use crate::sendcloud::fields::MessageType;
use crate::sendcloud::local;
use crate::sendcloud::templates::{Verified, message_type_of};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use engine::catalog::{Review, Template};
use engine::public_id::PublicIds;
use engine::sms::phone::Msisdn;
use engine::webhooks::{EventPayload, Subject};
use engine::{AccountId, BatchView, Dialect, EventWhat, Inbound, MessageView, UnixMs};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// Numbers of one `request` call: its body stays below the 64 to 100 kB that receivers take by default.
const REQUEST_PHONES_MAX: usize = 500;

/// An event's name, as it is chosen in settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum EventName {
    #[serde(rename = "request")]
    Request,
    #[serde(rename = "deliver")]
    Deliver,
    #[serde(rename = "workererror")]
    WorkerError,
    #[serde(rename = "delivererror")]
    DeliverError,
    #[serde(rename = "reply")]
    Reply,
    #[serde(rename = "templateVerify")]
    TemplateVerify,
    /// Of probes only.
    #[serde(skip)]
    Probe,
}

/// Names and numbers of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Numbering {
    /// The Chinese service's.
    #[default]
    Classic,
    /// Those of the newest page of the vendor's international product, which has no replies.
    International,
}

impl EventName {
    const fn in_words(self, numbering: Numbering) -> (&'static str, i64) {
        match (self, numbering) {
            (Self::Request, Numbering::Classic) => ("request", 1),
            (Self::Request, Numbering::International) => ("Requested", 1),
            (Self::Deliver, Numbering::Classic) => ("deliver", 2),
            (Self::Deliver, Numbering::International) => ("Delivered", 20),
            (Self::WorkerError, Numbering::Classic) => ("workererror", 4),
            (Self::WorkerError, Numbering::International) => ("Suppressed", 4),
            (Self::DeliverError, Numbering::Classic) => ("delivererror", 5),
            (Self::DeliverError, Numbering::International) => ("Failed", 5),
            (Self::Reply, _) => ("reply", 6),
            (Self::TemplateVerify, Numbering::Classic) => ("templateVerify", 8),
            (Self::TemplateVerify, Numbering::International) => ("Template Verify", 8),
            (Self::Probe, _) => ("test", 0),
        }
    }
}

/// How fields are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Body {
    Form,
    Json,
}

impl Body {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Form => "application/x-www-form-urlencoded",
            Self::Json => "application/json;charset=utf-8",
        }
    }
}

/// The fields of one event.
#[derive(Debug, PartialEq)]
pub(super) struct EventFields {
    pub(super) name: EventName,
    /// `timestamp`.
    pub(super) at: UnixMs,
    fields: Vec<(&'static str, Field)>,
}

/// A field's value.
#[derive(Debug, PartialEq)]
enum Field {
    Text(String),
    Number(i64),
    Texts(Vec<String>),
    /// A JSON object, as the caller wrote it.
    Object(Box<str>),
}

impl Field {
    /// The value where only texts can be.
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
            Self::Texts(texts) => json_array(&texts),
            Self::Object(object) => object.into(),
        }
    }
}

fn json_array(texts: &[String]) -> String {
    serde_json::to_string(texts).unwrap_or_default()
}

/// Renders an event: none when this format has no such event, several when a batch has many numbers.
pub(super) fn reported(payload: &EventPayload, sms_user: &str, ids: &PublicIds) -> Vec<EventFields> {
    let (event, subject) = (&payload.event, &payload.subject);
    let one = match (&event.what, subject) {
        (EventWhat::Accepted { .. }, Subject::Batch(messages)) => {
            return messages
                .chunks(REQUEST_PHONES_MAX)
                .filter_map(|piece| request(piece, event.at, ids))
                .collect();
        }
        (EventWhat::Message { state, error, .. }, Subject::Message(message)) => {
            ended(message, DeliveryResult::at(message, *state, error), event, ids)
        }
        (EventWhat::Inbound { .. }, Subject::Inbound(inbound)) => reply(inbound, sms_user, event.at),
        (EventWhat::TemplateReviewed { review, .. }, Subject::Template(template)) => {
            Some(reviewed(template, *review, sms_user, event.at))
        }
        _ => None,
    };
    one.into_iter().collect()
}

/// A batch was accepted.
fn request(messages: &[MessageView], at: UnixMs, ids: &PublicIds) -> Option<EventFields> {
    let batch = of_this_wire(&messages.first()?.batch)?;
    let prefix = prefix(batch, ids);
    let segments: i64 = messages.iter().map(|message| i64::from(message.segments)).sum();
    let mut reported = EventFields::new(EventName::Request, at);
    reported.text("message", "request");
    reported.common(batch);
    reported.texts(
        "smsIds",
        messages
            .iter()
            .map(|message| format!("{prefix}${}", message.written)),
    );
    reported.texts(
        "phones",
        messages.iter().map(|message| message.written.to_string()),
    );
    reported.number("msgType", message_type(messages.first()?));
    reported.number("msgCount", segments);
    Some(reported)
}

/// A message came to its end.
fn ended(
    message: &MessageView,
    delivery_result: DeliveryResult,
    event: &engine::Event,
    ids: &PublicIds,
) -> Option<EventFields> {
    let batch = of_this_wire(&message.batch)?;
    let EventWhat::Message { state, .. } = &event.what else {
        return None;
    };
    let (name, words) = match delivery_result {
        // Nobody knows how it ended: there is no word for that.
        DeliveryResult::Requested | DeliveryResult::Sent => return None,
        DeliveryResult::Delivered => (EventName::Deliver, "Successfully delivered".to_owned()),
        DeliveryResult::ProcessFailed(code) => {
            let meaning = Failure::of(code).meaning(LANGUAGE);
            let log = failures::worker_log(code);
            (EventName::WorkerError, format!("{log}({meaning})"))
        }
        DeliveryResult::SendFailed(code) => (
            EventName::DeliverError,
            failures::carrier_log(code, *state, LANGUAGE),
        ),
    };
    let mut reported = EventFields::new(name, event.at);
    reported.text("message", &words);
    if name != EventName::Deliver {
        reported.text("encodeMessage", &BASE64.encode(&words));
        reported.number("statusCode", i64::from(delivery_result.code()));
    }
    reported.common(batch);
    reported.text("smsId", &format!("{}${}", prefix(batch, ids), message.written));
    reported.text("phone", &message.written);
    reported.number("msgType", message_type(message));
    reported.number("msgCount", i64::from(message.segments));
    reported.text("outboundTime", &local::moment(batch.accepted_at));
    reported.text("receiptTime", &local::moment(event.at));
    Some(reported)
}

/// A person wrote. There is neither a message nor an id.
fn reply(inbound: &Inbound, sms_user: &str, at: UnixMs) -> Option<EventFields> {
    let mut reported = EventFields::new(EventName::Reply, at);
    reported.text("smsUser", sms_user);
    reported.number("userId", i64::from(inbound.account?.0));
    reported.number("templateId", 0);
    reported.number("labelId", 0);
    reported.text("phone", &as_written_here(&inbound.from));
    reported.text("replyContent", &inbound.text);
    reported.text("encodeReplyContent", &BASE64.encode(&*inbound.text));
    reported.text("replyTime", &local::moment(inbound.received_at));
    Some(reported)
}

/// A template's review has ended.
fn reviewed(template: &Template, review: Review, sms_user: &str, at: UnixMs) -> EventFields {
    let verified = match Verified::of(review) {
        // The hook has no number for what is not submitted.
        Verified::NotSubmitted => Verified::Waiting,
        verified => verified,
    };
    let mut reported = EventFields::new(EventName::TemplateVerify, at);
    if !sms_user.is_empty() {
        reported.text("smsUser", sms_user);
    }
    reported.number("userId", i64::from(template.account.0));
    reported.number("templateId", template.number);
    reported.text("name", &template.name);
    reported.number("msgType", i64::from(message_type_of(&template.details)));
    // The vendor's spelling.
    reported.number("verfiyResult", i64::from(verified.number()));
    if verified == Verified::Refused {
        reported.text("verfiyComment", &template.reason);
    }
    reported
}

/// Accounts know no ids of messages of other wires, so there are no events about those.
fn of_this_wire(batch: &BatchView) -> Option<&BatchView> {
    (batch.dialect == Dialect::Sendcloud).then_some(batch)
}

fn prefix(batch: &BatchView, ids: &PublicIds) -> String {
    ids.message_prefix(batch.account, batch.session, batch.template)
}

fn message_type(message: &MessageView) -> i64 {
    i64::from(MessageType::of_message(message).number())
}

/// A number as callers of this wire write it: eleven digits in China, `00` and country code elsewhere. What is no
/// number (a short code) stays.
fn as_written_here(from: &str) -> String {
    match Msisdn::from_digits(from) {
        Some(number) if number.is_mainland_china_mobile() => from.chars().skip(2).collect(),
        Some(number) if number.country_code().is_some() && number.digit_count() >= 7 => format!("00{from}"),
        _ => from.to_owned(),
    }
}

impl EventFields {
    fn new(name: EventName, at: UnixMs) -> Self {
        Self {
            name,
            at,
            fields: Vec::with_capacity(20),
        }
    }

    /// What an endpoint is probed with.
    pub(super) fn probe(account: AccountId, sms_user: &str, at: UnixMs) -> Self {
        let mut reported = Self::new(EventName::Probe, at);
        reported.text("message", "test");
        reported.text("smsUser", sms_user);
        reported.number("userId", i64::from(account.0));
        reported
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.fields.push((name, Field::Text(value.to_owned())));
    }

    fn number(&mut self, name: &'static str, value: i64) {
        self.fields.push((name, Field::Number(value)));
    }

    fn texts(&mut self, name: &'static str, values: impl Iterator<Item = String>) {
        self.fields.push((name, Field::Texts(values.collect())));
    }

    /// What all events of messages say of their batch.
    fn common(&mut self, batch: &BatchView) {
        self.number("userId", i64::from(batch.account.0));
        self.text("smsUser", &batch.user);
        self.number("templateId", batch.template);
        self.number("labelId", batch.label);
        let custom = batch.custom.clone().unwrap_or_else(|| "{}".into());
        self.fields.push(("customArgs", Field::Object(custom)));
    }

    /// Adds what makes it believable.
    pub(super) fn sign(&mut self, token: &str, signature: &str) {
        self.number("timestamp", self.at);
        self.text("token", token);
        self.text("signature", signature);
    }

    /// Writes it.
    pub(super) fn write(self, body: Body, numbering: Numbering) -> Vec<u8> {
        let (name, number) = self.name.in_words(numbering);
        let head = [
            ("event", Field::Text(name.to_owned())),
            ("eventType", Field::Number(number)),
        ];
        let fields = head.into_iter().chain(self.fields);
        match body {
            Body::Form => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(fields.map(|(name, field)| (name, field.into_text())));
                form.finish().into_bytes()
            }
            Body::Json => {
                let object = JsonObject {
                    fields: fields.collect(),
                    lists_as_texts: numbering == Numbering::Classic,
                };
                // Writing texts and numbers into memory cannot fail.
                serde_json::to_vec(&object).unwrap_or_default()
            }
        }
    }
}

/// Fields as JSON. In the classic samples lists are texts that hold JSON.
struct JsonObject {
    fields: Vec<(&'static str, Field)>,
    lists_as_texts: bool,
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (name, field) in &self.fields {
            match field {
                Field::Text(text) => map.serialize_entry(name, text)?,
                Field::Number(number) => map.serialize_entry(name, number)?,
                Field::Texts(texts) if self.lists_as_texts => {
                    map.serialize_entry(name, &json_array(texts))?;
                }
                Field::Texts(texts) => map.serialize_entry(name, texts)?,
                Field::Object(object) => match serde_json::from_str::<&RawValue>(object) {
                    Ok(raw) => map.serialize_entry(name, raw)?,
                    Err(_) => map.serialize_entry(name, object)?,
                },
            }
        }
        map.end()
    }
}
