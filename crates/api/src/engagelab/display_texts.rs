//! EngageLab's texts other than those of codes, as data: names in its webhooks (docs/dialects/engagelab.md).

use engine::catalog::Review;
use engine::sms::class::Class;
use engine::sms::phone::Msisdn;
use engine::sms::state::MessageState;
use serde::Deserialize;

/// What both webhooks call this product.
pub(super) const SERVER: &str = "sms";

/// The only `msg_type` there is: international SMS.
pub(super) const MESSAGE_TYPE: u8 = 2;

/// `template_type` of generation A.
pub(super) const fn template_type(class: Class) -> u8 {
    match class {
        Class::Otp => 0,
        Class::Notice => 1,
        Class::Marketing => 2,
    }
}

/// The class of a `template_type` of generation A.
pub(super) const fn class_of_type(number: i64) -> Option<Class> {
    match number {
        0 => Some(Class::Otp),
        1 => Some(Class::Notice),
        2 => Some(Class::Marketing),
        _ => None,
    }
}

/// `template_type` of generation C.
pub(super) const fn template_kind(class: Class) -> &'static str {
    match class {
        Class::Otp => "authentication",
        Class::Notice => "utility",
        Class::Marketing => "marketing",
    }
}

/// The class of a `template_type` of generation C; `otp` is what older callers say.
pub(super) fn class_of_kind(kind: &str) -> Option<Class> {
    match kind {
        "authentication" | "otp" => Some(Class::Otp),
        "utility" => Some(Class::Notice),
        "marketing" => Some(Class::Marketing),
        _ => None,
    }
}

/// `approval_status` of generation A. What is switched off may not be used: the wire has no word of its own for it.
pub(super) const fn approval_status(review: Review) -> i8 {
    match review {
        Review::Submitted => 0,
        Review::Approved => 1,
        Review::Rejected | Review::Disabled => -1,
        Review::Draft => -2,
    }
}

/// `status` of generation C, which has no drafts: they wait as well.
pub(super) const fn config_status(review: Review) -> u8 {
    match review {
        Review::Draft | Review::Submitted => 1,
        Review::Approved => 2,
        Review::Rejected | Review::Disabled => 3,
    }
}

/// Events of generation A's SMSHook. `target`, `sent` and `template_approval` are known, the others chosen: the words of
/// the status query and of the statistics for the same things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HookEvent {
    /// A request was accepted.
    Target,
    /// A carrier has a message.
    Sent,
    /// The handset has it.
    Delivered,
    /// It failed before it left.
    ProcessFailed,
    /// The carrier failed.
    SendFailed,
    /// A person wrote.
    Reply,
    /// A template's review has ended.
    TemplateApproval,
    /// Of probes only.
    #[serde(skip)]
    Test,
}

impl HookEvent {
    /// `message_status`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::ProcessFailed => "process_failed",
            Self::SendFailed => "send_failed",
            Self::Reply => "reply",
            Self::TemplateApproval => "template_approval",
            Self::Test => "test",
        }
    }

    /// `status_data.message` of what went well; of failures see [`failure`].
    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Target => "successfully request",
            Self::Sent => "Successfully sent",
            Self::Delivered => "Successfully delivered",
            Self::ProcessFailed => "Process failed",
            Self::SendFailed => "Send failed",
            Self::Reply => "successfully reply",
            Self::TemplateApproval => "template approval",
            Self::Test => "test",
        }
    }
}

/// What the console calls a failure, by our number for it (see [`crate::delivery_result`]).
pub(super) const fn failure(code: u16) -> &'static str {
    match code {
        410 => "Global block",
        420 => "Partial block",
        430 => "Unsubscribe",
        440 => "Keyword block",
        450 => "Variable error",
        460 => "Content error",
        500 => "Empty",
        510 | 580 => "Out of service",
        _ => "Other",
    }
}

/// `message_status` of generation C's callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallbackStatus {
    /// It is stored and waits for its turn.
    Plan,
    /// Its number can be sent to.
    TargetValid,
    /// Its number may not be sent to.
    TargetInvalid,
    /// A carrier has it.
    Sent,
    /// No carrier took it.
    SentFailed,
    /// The handset has it.
    Delivered,
    /// A carrier took it, and could not deliver it.
    DeliveredFailed,
}

impl CallbackStatus {
    /// The value of `message_status`. The vendor's example of a failure says `sent_fail`, its table `sent_failed`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::TargetValid => "target_valid",
            Self::TargetInvalid => "target_invalid",
            Self::Sent => "sent",
            Self::SentFailed => "sent_failed",
            Self::Delivered => "delivered",
            Self::DeliveredFailed => "delivered_failed",
        }
    }
}

/// Who wrote, as callers of these wires write numbers; what is no number (a short code) stays.
pub(super) fn with_plus(from: &str) -> String {
    match Msisdn::from_digits(from) {
        Some(number) if number.country_code().is_some() && number.digit_count() >= 7 => format!("+{from}"),
        _ => from.to_owned(),
    }
}

/// The event of a reply.
pub(super) const UPLINK: &str = "uplink_message";
/// The event of a review.
pub(super) const TEMPLATE_AUDIT: &str = "template_audit_result";

/// `error_code` and `error_detail.message` of a failure: the numbers of the OTP product (docs/dialects/engagelab.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallbackError {
    /// `error_code`.
    pub(super) code: u32,
    /// `error_detail.message`.
    pub(super) message: &'static str,
}

impl CallbackError {
    const ALL: [Self; 10] = [
        Self::new(5011, "invalid phone number format"),
        Self::new(5012, "phone unreachable"),
        Self::new(5013, "phone number in the blacklist"),
        Self::new(5014, "the content is not allowed"),
        Self::new(5015, "intercepted or rejected"),
        Self::new(5016, "internal sending error"),
        Self::new(5017, "no permission to send to China"),
        Self::new(5018, "phone powered off or suspended"),
        Self::new(5019, "the user has unsubscribed"),
        Self::new(5020, "unregistered phone number"),
    ];

    const fn new(code: u32, message: &'static str) -> Self {
        Self { code, message }
    }

    /// The one of that number.
    pub(super) fn numbered(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|error| error.code == code)
    }

    /// Why a message failed before it left, by our number for it.
    pub(super) fn in_processing(code: u16) -> Self {
        let number = match code {
            410 | 420 => 5013,
            430 => 5019,
            440..=469 => 5014,
            _ => 5016,
        };
        Self::numbered(number).unwrap_or(Self::INTERNAL)
    }

    /// Why a carrier failed, when only the reported state is known.
    pub(super) fn of_state(state: MessageState) -> Self {
        let number = match state {
            MessageState::Rejected => 5015,
            MessageState::Undelivered | MessageState::Expired => 5012,
            _ => 5016,
        };
        Self::numbered(number).unwrap_or(Self::INTERNAL)
    }

    const INTERNAL: Self = Self::new(5016, "internal sending error");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_they_are_reported() {
        for class in [Class::Otp, Class::Notice, Class::Marketing] {
            assert_eq!(class_of_type(i64::from(template_type(class))), Some(class));
            assert_eq!(class_of_kind(template_kind(class)), Some(class));
        }
        assert_eq!(class_of_kind("otp"), Some(Class::Otp));
        assert_eq!((class_of_type(3), class_of_kind("notice")), (None, None));
    }

    #[test]
    fn numbers_get_a_plus_and_short_codes_do_not() {
        for (from, written) in [
            ("12673800456", "+12673800456"),
            ("8618701235678", "+8618701235678"),
            ("10690", "10690"),
            ("Acme", "Acme"),
            ("", ""),
        ] {
            assert_eq!(with_plus(from), written);
        }
    }

    #[test]
    fn every_error_of_the_callback_has_a_number_of_its_own() {
        for (at, error) in CallbackError::ALL.into_iter().enumerate() {
            assert_eq!(error.code, 5011 + u32::try_from(at).unwrap());
            assert!(!error.message.is_empty());
        }
        assert_eq!(CallbackError::numbered(3004), None);
        for (code, expected) in [
            (410, 5013),
            (420, 5013),
            (430, 5019),
            (450, 5014),
            (460, 5014),
            (0, 5016),
        ] {
            assert_eq!(CallbackError::in_processing(code).code, expected);
        }
    }
}
