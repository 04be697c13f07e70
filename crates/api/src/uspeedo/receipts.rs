//! What became of messages: the answer to status queries (contract sections 3.2, 4.4 and 4.5).

use super::answer::json;
use super::error_texts::{self, Done, Language, ReceiptStatus};
use super::request_context::RequestContext;
use super::wire::Extra;
use engine::sms::state::MessageState;
use engine::{Dialect, MessageView, ReasonView};
use serde::Serialize;
use std::borrow::Cow;

/// Receipts, session by session: written as they are read from the store, so that a query for a hundred
/// sessions never holds more than one of them and the text.
#[derive(Debug)]
pub struct Receipts {
    dialect: Dialect,
    language: Language,
    text: Vec<u8>,
    empty: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Receipt<'a> {
    phone: &'a str,
    cost_count: u8,
    receipt_result: &'static str,
    receipt_code: &'a str,
    receipt_desc: Cow<'static, str>,
    receipt_time: i64,
    user_id: String,
    /// Country as ISO 3166 writes it; uSpeedo only.
    #[serde(skip_serializing_if = "Option::is_none")]
    brevity_code: Option<&'static str>,
    /// Calling code; uSpeedo only.
    #[serde(skip_serializing_if = "Option::is_none")]
    country_code: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SessionReceipts<'a> {
    session_no: &'a str,
    receipt_set: Vec<Receipt<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiptsHead {
    ret_code: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<Cow<'static, str>>,
    message: &'static str,
}

impl Receipts {
    /// An answer without sessions yet.
    pub fn new(context: &RequestContext) -> Self {
        let mut text = json(&ReceiptsHead {
            ret_code: 0,
            action: context.answer_name(),
            message: Done::Success.text(context.language),
        });
        // The head's closing brace comes back in `finish`.
        text.pop();
        text.extend_from_slice(br#","Data":["#);
        Self {
            dialect: context.dialect,
            language: context.language,
            text,
            empty: true,
        }
    }

    /// Adds one session; without messages it is one that is not known (any more).
    pub fn add(&mut self, session_no: &str, messages: &[MessageView]) {
        if !std::mem::replace(&mut self.empty, false) {
            self.text.push(b',');
        }
        let receipt_set = messages
            .iter()
            .map(|message| receipt(self.dialect, self.language, message))
            .collect();
        self.text.extend_from_slice(&json(&SessionReceipts {
            session_no,
            receipt_set,
        }));
    }

    /// The body.
    pub fn finish(mut self) -> Vec<u8> {
        self.text.extend_from_slice(b"]}");
        self.text
    }
}

fn receipt(dialect: Dialect, language: Language, message: &MessageView) -> Receipt<'_> {
    let uspeedo = dialect != Dialect::Ucloud;
    Receipt {
        phone: &message.written,
        cost_count: message.segments,
        receipt_result: receipt_result(dialect, language, message),
        receipt_code: code(message),
        receipt_desc: description(message, language),
        receipt_time: time(message),
        user_id: Extra::read(message.extra.as_deref()).user_id.unwrap_or_default(),
        brevity_code: uspeedo.then(|| message.msisdn.country_iso().unwrap_or_default()),
        country_code: uspeedo.then(|| {
            message
                .msisdn
                .country_code()
                .map(|code| code.to_string())
                .unwrap_or_default()
        }),
    }
}

/// The state in words, and the reason of a failure: its sentence, or its name where the answer is in Chinese.
fn description(message: &MessageView, language: Language) -> Cow<'static, str> {
    let state = error_texts::description(message, language);
    match (ReasonView::of(message), language) {
        (None, _) => Cow::Borrowed(state),
        (Some(reason), Language::English) => Cow::Owned(format!("{state}: {}", reason.message)),
        (Some(reason), Language::Chinese) => Cow::Owned(format!("{state}（{}）", reason.name)),
    }
}

/// Contract section 4.4. `Unknow` (sic) until there is a final state. A message that failed before any carrier
/// took it is a failed submission, for which UCloud's enumeration has no word.
fn receipt_result(dialect: Dialect, language: Language, message: &MessageView) -> &'static str {
    let word = ReceiptStatus::of(message.state);
    if word == ReceiptStatus::Fail && message.submitted_at.is_none() && dialect != Dialect::Ucloud {
        return error_texts::SUBMIT_FAIL;
    }
    word.text(language)
}

/// Unix seconds of the final state; 0 before.
pub(super) fn time(message: &MessageView) -> i64 {
    if message.state.is_final() {
        message.changed_at / 1000
    } else {
        0
    }
}

/// Contract section 4.5: the carrier's own code where it gave one that says something, else SMPP's word.
pub(super) fn code(message: &MessageView) -> &str {
    let own = |word: &'static str| {
        let says_something = message.error.bytes().any(|b| !matches!(b, b'0' | b' '));
        // Our own errors are no carrier's: the field has SMPP's word, and `ReceiptDesc` has the details.
        if says_something && !error_texts::is_of_lifetime(&message.error) {
            &*message.error
        } else {
            word
        }
    };
    match message.state {
        MessageState::Queued | MessageState::InFlight | MessageState::InDoubt | MessageState::Submitted => "",
        MessageState::Delivered => "DELIVRD",
        MessageState::Undelivered => own("UNDELIV"),
        MessageState::Rejected => own("REJECTD"),
        MessageState::Expired => own("EXPIRED"),
        MessageState::Unknown => own("UNKNOWN"),
        MessageState::Cancelled => "DELETED",
    }
}
