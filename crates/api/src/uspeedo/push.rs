//! The webhook formats: delivery reports and replies (contract sections 3.4 and 3.5).
//!
//! Both vendors POST `{"MsgType": 2, "Data": [..]}` (reports; 0 for replies), several at a time, and expect
//! `{"code": 0, ..}`. Nothing signs a call. Three forms:
//!
//! | name | who calls | numbers | words |
//! |---|---|---|---|
//! | `uspeedo` | we | digits, country code first | English |
//! | `ucloud` | we | bare in mainland China, `(CC)NUMBER` elsewhere | by its setting |
//! | `ucloud_pull` | the account, `PullUSMSReport` | as `ucloud` | by its setting |
//!
//! Settings, all optional:
//!
//! | name | values | meaning |
//! |---|---|---|
//! | `batch_max` | 1 to 1000, 100 by default | reports or replies of one call |
//! | `concurrency` | 1 to 256 | calls at once: the engine's own setting |
//! | `language` | `zh` (default), `en` | of `ucloud` and `ucloud_pull`: both are documented, the samples are Chinese |

use super::answer::json;
use super::error_texts::{self, Language, ReceiptStatus};
use super::receipts;
use super::wire::Extra;
use engine::catalog::EndpointEntry;
use engine::public_id::PublicIds;
use engine::sms::phone::Msisdn;
use engine::webhooks::{Call, EventPayload, Format, Method, Schedule, Stamp, Subject};
use engine::{EventKinds, Inbound, MessageView};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// `MsgType` of delivery reports.
const REPORTS: u8 = 2;
/// `MsgType` of replies.
const REPLIES: u8 = 0;
/// Reports of one call unless a setting says otherwise.
const BATCH_DEFAULT: usize = 100;
/// Most reports of one call.
const BATCH_MAX: usize = 1000;
/// Failed calls are tried again so often, each time after [`RETRY_WAIT`] (contract section 3.4).
const RETRIES: usize = 3;
/// See [`RETRIES`].
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Longest time for a call: nothing is documented.
const CALL_TIME: Duration = Duration::from_secs(10);
/// Codes of failures in processing because of a suppression (the SendCloud document).
const SUPPRESSED_CODES: [&str; 3] = ["410", "420", "430"];

/// The forms of this family.
pub fn formats() -> Vec<Arc<dyn Format>> {
    [Form::Uspeedo, Form::Ucloud, Form::UcloudPull]
        .into_iter()
        .map(|form| Arc::new(form) as Arc<dyn Format>)
        .collect()
}

/// One of the three forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `uspeedo`
    Uspeedo,
    /// `ucloud`
    Ucloud,
    /// `ucloud_pull`
    UcloudPull,
}

/// The name of the form that `PullUSMSReport` reads.
pub const PULL: &str = "ucloud_pull";

/// An endpoint's settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    batch_max: usize,
    language: String,
    /// Calls at once: the engine's own, which it checks itself.
    concurrency: IgnoredAny,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_max: BATCH_DEFAULT,
            language: "zh".to_owned(),
            concurrency: IgnoredAny,
        }
    }
}

impl Settings {
    /// Nothing set up is everything as it comes. serde alone would take an array for settings, by position.
    fn read(settings: &Value) -> Result<Self, String> {
        match settings {
            Value::Null => Ok(Self::default()),
            Value::Object(_) => Self::deserialize(settings).map_err(|error| error.to_string()),
            _ => Err("settings are a table".to_owned()),
        }
    }

    /// Settings were checked when they were set up: what does not read any more is as if it were not there.
    fn of(settings: &Value) -> Self {
        Self::read(settings).unwrap_or_default()
    }

    fn language(&self) -> Language {
        Language::named(&self.language).unwrap_or(Language::Chinese)
    }
}

impl Form {
    fn language(self, settings: &Settings) -> Language {
        match self {
            Self::Uspeedo => Language::English,
            Self::Ucloud | Self::UcloudPull => settings.language(),
        }
    }

    /// A number as the form writes it.
    fn number(self, number: Msisdn) -> String {
        let digits = number.digits();
        if self == Self::Uspeedo {
            return digits;
        }
        let code = number.country_code().map(|code| code.to_string());
        match code
            .as_deref()
            .and_then(|code| Some((code, digits.strip_prefix(code)?)))
        {
            Some(("86", rest)) => rest.to_owned(),
            Some((code, rest)) => format!("({code}){rest}"),
            None => digits,
        }
    }
}

/// A delivery report, pushed or pulled.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Report<'a> {
    session_no: String,
    phone: String,
    cost_count: u8,
    receipt_time: i64,
    receipt_result: &'static str,
    receipt_code: &'a str,
    receipt_desc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
}

/// A reply. The documents also have `ExtendCode` and `UserId`, both optional: what a person writes carries neither.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Reply<'a> {
    phone: String,
    reply_content: &'a str,
    reply_time: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Push<'a, T> {
    msg_type: u8,
    data: &'a [T],
}

/// Whether an event is a report: of a message in a final state.
pub(super) fn is_report(payload: &EventPayload) -> bool {
    matches!(&payload.subject, Subject::Message(message)
        if payload.event.what.kind() == EventKinds::ENDED && message.state.is_final())
}

/// The reports among events, for `PullUSMSReport`; `settings` are those of its endpoint.
pub(super) fn reports<'t>(
    settings: &Value,
    payloads: &'t [EventPayload],
    ids: &PublicIds,
) -> Vec<Report<'t>> {
    let settings = Settings::of(settings);
    let language = Form::UcloudPull.language(&settings);
    payloads
        .iter()
        .filter_map(|payload| Form::UcloudPull.report(payload, language, ids))
        .collect()
}

impl Form {
    /// A message that came to its end; anything else about a message has no words here.
    fn report<'t>(
        self,
        payload: &'t EventPayload,
        language: Language,
        ids: &PublicIds,
    ) -> Option<Report<'t>> {
        let Subject::Message(message) = &payload.subject else {
            return None;
        };
        is_report(payload).then(|| self.report_of(message, language, ids))
    }

    fn report_of<'m>(self, message: &'m MessageView, language: Language, ids: &PublicIds) -> Report<'m> {
        let word = ReceiptStatus::of(message.state);
        let blacklisted = message.attempts == 0 && SUPPRESSED_CODES.contains(&message.error.trim());
        Report {
            session_no: ids.session(message.batch.account, message.batch.session),
            phone: self.number(message.msisdn),
            cost_count: message.segments,
            receipt_time: receipts::time(message),
            receipt_result: match (self, word) {
                (Self::Uspeedo, ReceiptStatus::Unknown) => error_texts::CALLBACK_UNKNOWN,
                _ => word.text(language),
            },
            receipt_code: match word {
                ReceiptStatus::Success => error_texts::CALLBACK_DELIVERED,
                _ if blacklisted => error_texts::CALLBACK_BLACKLISTED,
                _ => receipts::code(message),
            },
            receipt_desc: if blacklisted {
                error_texts::reason(
                    engine::accept::Refusal::PhoneSuppressed(engine::SuppressionKind::Blocked),
                    language,
                )
            } else {
                error_texts::description(message, language)
            },
            user_id: Extra::read(message.extra.as_deref()).user_id,
        }
    }

    fn reply(self, inbound: &Inbound) -> Reply<'_> {
        // A sender that is no number (a short code, a name) is reported as the carrier wrote it.
        let number = Msisdn::from_digits(inbound.from.trim_start_matches('+'));
        Reply {
            phone: number.map_or_else(|| inbound.from.to_string(), |number| self.number(number)),
            reply_content: &inbound.text,
            reply_time: inbound.received_at / 1000,
        }
    }
}

fn post<T: Serialize>(msg_type: u8, data: &[T]) -> Call {
    Call {
        method: Method::Post,
        headers: vec![("content-type", "application/json; charset=utf-8".to_owned())],
        body: json(&Push { msg_type, data }),
    }
}

/// What is put into one call: one kind, in order.
#[derive(Default)]
struct Run<'t> {
    reports: Vec<Report<'t>>,
    replies: Vec<Reply<'t>>,
}

impl Run<'_> {
    fn finish(&mut self, calls: &mut Vec<Call>) {
        if !self.reports.is_empty() {
            calls.push(post(REPORTS, &std::mem::take(&mut self.reports)));
        }
        if !self.replies.is_empty() {
            calls.push(post(REPLIES, &std::mem::take(&mut self.replies)));
        }
    }
}

impl Format for Form {
    fn name(&self) -> &'static str {
        match self {
            Self::Uspeedo => "uspeedo",
            Self::Ucloud => "ucloud",
            Self::UcloudPull => PULL,
        }
    }

    fn check(&self, settings: &Value) -> Result<(), String> {
        let read = Settings::read(settings)?;
        if !(1..=BATCH_MAX).contains(&read.batch_max) {
            return Err(format!("batch_max is 1 to {BATCH_MAX}"));
        }
        if *self == Self::Uspeedo && settings.get("language").is_some() {
            return Err("this form speaks English only: it has no language".to_owned());
        }
        match Language::named(&read.language) {
            Some(_) => Ok(()),
            None => Err("language is en or zh".to_owned()),
        }
    }

    fn events_max(&self, settings: &Value) -> usize {
        Settings::of(settings).batch_max.clamp(1, BATCH_MAX)
    }

    fn calls(&self, endpoint: &EndpointEntry, payloads: &[EventPayload], stamp: &Stamp) -> Vec<Call> {
        // Reports that are fetched are not brought.
        if *self == Self::UcloudPull {
            return Vec::new();
        }
        let settings = Settings::of(&endpoint.endpoint.settings);
        let language = self.language(&settings);
        let (mut calls, mut run) = (Vec::new(), Run::default());
        for payload in payloads {
            if let Subject::Inbound(inbound) = &payload.subject {
                if !run.reports.is_empty() {
                    run.finish(&mut calls);
                }
                run.replies.push(self.reply(inbound));
            } else if let Some(report) = self.report(payload, language, &stamp.public_ids) {
                if !run.replies.is_empty() {
                    run.finish(&mut calls);
                }
                run.reports.push(report);
            }
        }
        run.finish(&mut calls);
        calls
    }

    fn is_taken(&self, status: u16, body: &[u8]) -> bool {
        (200..300).contains(&status) && code(body) == Some(0)
    }

    fn time_max(&self) -> Duration {
        CALL_TIME
    }

    fn schedule(&self, _: &Value) -> Schedule {
        Schedule {
            waits: vec![RETRY_WAIT; RETRIES],
            jitter_percent: 0,
        }
    }

    fn probes(&self, _: &EndpointEntry, _: &Stamp) -> Vec<Call> {
        // Neither page has a call that means nothing.
        Vec::new()
    }
}

/// The `code` of an answer. The pages show it as JavaScript writes it, `{ code: 0, message: "ok" }`: receivers that
/// copied that are understood too.
fn code(body: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(body).ok()?.trim();
    if let Ok(Value::Object(members)) = serde_json::from_str(text) {
        return match members.get("code")? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
    }
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let member = inner.split([',', '\n']).find_map(|member| {
        member
            .split_once(':')
            .filter(|(name, _)| name.trim().trim_matches(['"', '\'']) == "code")
    });
    member?.1.trim().trim_matches(['"', '\'']).parse().ok()
}

#[cfg(test)]
mod tests;
