//! How strict SendCloud is, and what it calls what the engine refuses.

use super::codes::REPEAT;
use super::codes::{
    self, ACCOUNT_GONE, BALANCE, Code, MAY_NOT_SEND, NO_ROUTE, PER_DAY, PER_MINUTE, PHONE_DUPLICATE,
    PHONE_EMPTY, PHONE_FORMAT, SERVER_ERROR, TEMPLATE_NOT_APPROVED, TEMPLATE_UNKNOWN, TEXT_SIGNATURE,
    TEXT_TOO_LONG, VALUE_HAS_LINK, VALUE_TOO_LONG, VARS_FORMAT,
};
use engine::SuppressedPolicy;
use engine::accept::{AcceptError, Duplicates, Forbidden, Missing, Overlong, Refusal, Rules};
use engine::sms::phone::Grammar;

/// Longest value of a variable in characters (the SendCloud document).
pub(super) const VALUE_CHARS_MAX: usize = 32;
/// Longest content in characters (the SendCloud document, SMSHook error 460).
const TEXT_CHARS_MAX: usize = 500;
/// SMSHook error: a variable without a value.
const VARIABLE_WRONG: u16 = 450;
/// SMSHook error: a word in the content that may not be sent.
const CONTENT_FORBIDDEN: u16 = 440;
/// SMSHook error: content over 500 characters.
const CONTENT_TOO_LONG: u16 = 460;

/// The rules for numbers of one grammar.
///
/// What is found wrong after acceptance fails in processing with the hook's codes 410 to 460, as the service does it.
pub(super) fn rules(grammar: Grammar) -> Rules {
    Rules {
        grammar,
        // Repeated numbers are refused with the whole request before it gets this far (413).
        duplicates: Duplicates::Allow,
        value_chars_max: Some(VALUE_CHARS_MAX),
        links_in_values: false,
        missing: Missing::Fail(VARIABLE_WRONG),
        refuse_surplus: false,
        text_chars_max: Some(TEXT_CHARS_MAX),
        overlong: Overlong::Fail(CONTENT_TOO_LONG),
        forbidden: Forbidden::Fail(CONTENT_FORBIDDEN),
        // No interface takes a sender.
        sender_chars_max: 0,
        sender_chars_min: 0,
        sender_alphanumeric: false,
        suppressed: SuppressedPolicy::Fail,
    }
}

/// The code of a refusal.
pub(super) fn code_of(refusal: Refusal) -> &'static Code {
    match refusal {
        Refusal::PhoneEmpty => &PHONE_EMPTY,
        Refusal::PhoneFormat => &PHONE_FORMAT,
        Refusal::PhoneDuplicate => &PHONE_DUPLICATE,
        Refusal::PerMinute => &PER_MINUTE,
        Refusal::PerDay => &PER_DAY,
        Refusal::TemplateUnknown => &TEMPLATE_UNKNOWN,
        Refusal::TemplateNotApproved => &TEMPLATE_NOT_APPROVED,
        Refusal::SignatureInvalid => &TEXT_SIGNATURE,
        Refusal::ValueTooLong => &VALUE_TOO_LONG,
        Refusal::ValueHasLink => &VALUE_HAS_LINK,
        Refusal::ValueMissing | Refusal::ValueSurplus | Refusal::ExtraInvalid => &VARS_FORMAT,
        Refusal::TextTooLong => &TEXT_TOO_LONG,
        Refusal::NoRoute => &NO_ROUTE,
        // Never by the rules above: there is no sender, and suppressed numbers fail in processing.
        Refusal::SenderInvalid | Refusal::PhoneSuppressed(_) => &codes::NO_PERMISSION,
        _ => &codes::NO_PERMISSION,
    }
}

/// Whether a refusal is about what all recipients share, when they share their values.
pub(super) const fn is_common(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::ValueMissing
            | Refusal::ValueSurplus
            | Refusal::ValueTooLong
            | Refusal::ValueHasLink
            | Refusal::TextTooLong
    )
}

/// The code of a request that came to nothing.
pub(super) fn code_of_error(error: &AcceptError) -> &'static Code {
    match error {
        AcceptError::AccountGone => &ACCOUNT_GONE,
        AcceptError::MayNotSend => &MAY_NOT_SEND,
        AcceptError::Balance => &BALANCE,
        AcceptError::OtherContent => &REPEAT,
        // Busy, stopping, store failure: nothing was accepted, and a retry may be.
        _ => &SERVER_ERROR,
    }
}
