//! Why a request came to nothing, and every code in which the two families say so.
//!
//! A fault ends the whole request: nothing of it was accepted. What is wrong with single recipients while
//! others were accepted travels beside RetCode 0 instead, because clients that see another code send the
//! batch again (contract section 2.3).

use engine::accept::{AcceptError, Refusal};

/// Which family's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// uSpeedo, both wires: 2153xx (contract section 4.1).
    Uspeedo,
    /// UCloud: 18xxx of the service and 1xx, 2xx of its gateway (contract sections 4.2 and 4.3).
    Ucloud,
}

/// Why a request came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The body is too long, cut off, not UTF-8, or neither JSON nor a form.
    Unreadable,
    /// Not a method of this path.
    Method,
    /// No such path under the family's own.
    Path,
    /// No action is named.
    ActionMissing,
    /// The action is not one of those served.
    ActionUnknown,
    /// A required parameter is absent or blank.
    Missing(&'static str),
    /// A parameter has the wrong type or shape.
    Shape(&'static str),
    /// A parameter has the right shape and a value that cannot be.
    Value(&'static str),
    /// More recipients than one request may have.
    Recipients,
    /// No signature came with the request.
    SignatureMissing,
    /// The signature, the secret or the timestamp is wrong.
    SignatureWrong,
    /// No such key, or it is switched off.
    KeyUnknown,
    /// The account may not send.
    Restricted,
    /// The project is not one of the account's.
    ProjectUnknown,
    /// Every recipient was refused, the first of them for this reason.
    Refused(Refusal),
    /// The balance does not cover the request.
    Balance,
    /// Too much waits, or the process is stopping.
    Busy,
    /// The store could not commit or could not be read.
    Store,
}

impl From<&AcceptError> for Fault {
    fn from(error: &AcceptError) -> Self {
        match error {
            AcceptError::AccountGone => Self::KeyUnknown,
            AcceptError::MayNotSend => Self::Restricted,
            AcceptError::Balance => Self::Balance,
            AcceptError::Busy | AcceptError::Stopping => Self::Busy,
            _ => Self::Store,
        }
    }
}

impl Fault {
    /// The family's code and message.
    pub fn words(self, family: Family) -> (u32, String) {
        match family {
            Family::Uspeedo => self.uspeedo(),
            Family::Ucloud => self.ucloud(),
        }
    }

    fn uspeedo(self) -> (u32, String) {
        let invalid = |name: &str| (215_392, format!("Invalid parameter [{name}]"));
        match self {
            Self::Unreadable => invalid("Body"),
            Self::Method => invalid("Method"),
            Self::Path => invalid("Path"),
            Self::ActionMissing => Self::Missing("Action").uspeedo(),
            Self::ActionUnknown => invalid("Action"),
            Self::Missing(name) => (215_397, format!("Missing required parameter [{name}]")),
            Self::Shape(name) | Self::Value(name) => invalid(name),
            Self::Recipients => invalid("Target"),
            // One text for all of them: who does not hold the secret learns nothing about the key.
            Self::SignatureMissing | Self::SignatureWrong | Self::KeyUnknown => {
                (215_398, "Failed to parse token".to_owned())
            }
            Self::Restricted => (215_398, "Account restricted".to_owned()),
            Self::ProjectUnknown => invalid("AccountId"),
            Self::Refused(refusal) => match field_of(refusal) {
                None => Self::Missing("Phone").uspeedo(),
                Some(name) => invalid(name),
            },
            Self::Balance => (215_400, "Insufficient balance".to_owned()),
            Self::Busy => (215_400, "Server busy".to_owned()),
            Self::Store => (215_400, "Server error".to_owned()),
        }
    }

    fn ucloud(self) -> (u32, String) {
        let text = |code: u32, text: &str| (code, text.to_owned());
        match self {
            Self::Unreadable => text(18_000, "Request body cannot be parsed"),
            Self::Method => text(18_002, "Method must be GET or POST"),
            Self::Path => text(161, "No such path"),
            Self::ActionMissing => text(160, "Missing Action"),
            Self::ActionUnknown => text(161, "No such Action"),
            Self::Missing(name) => (18_001, format!("Missing parameter [{name}]")),
            Self::Shape(name) => (18_002, format!("Malformed parameter [{name}]")),
            Self::Value(name) => (18_003, format!("Invalid parameter [{name}]")),
            Self::Recipients => text(18_019, "Too many phone numbers in one request"),
            Self::SignatureMissing => text(170, "Missing Signature"),
            Self::SignatureWrong => text(171, "Signature VerifyAC Error"),
            Self::KeyUnknown => text(172, "User Not Exists"),
            Self::Restricted => text(173, "Account restricted"),
            Self::ProjectUnknown => text(292, "Project Not Exists"),
            Self::Refused(refusal) => {
                let code = match refusal {
                    Refusal::PhoneEmpty => return Self::Missing("Phone").ucloud(),
                    Refusal::TemplateUnknown | Refusal::TemplateNotApproved => 18_017,
                    Refusal::SignatureInvalid => 18_016,
                    Refusal::ValueMissing | Refusal::ValueSurplus => 18_018,
                    Refusal::PhoneFormat
                    | Refusal::PhoneDuplicate
                    | Refusal::PhoneSuppressed
                    | Refusal::PerMinute
                    | Refusal::PerDay
                    | Refusal::NoRoute => 18_014,
                    _ => 18_003,
                };
                (code, reason(refusal).to_owned())
            }
            Self::Balance => text(18_013, "Insufficient SMS balance"),
            Self::Busy => text(150, "Service unavailable, try again later"),
            Self::Store => text(18_007, "Internal error"),
        }
    }
}

/// The parameter that a refusal is about; `None` when it is a number that was not given at all.
fn field_of(refusal: Refusal) -> Option<&'static str> {
    Some(match refusal {
        Refusal::PhoneEmpty => return None,
        Refusal::TemplateUnknown | Refusal::TemplateNotApproved => "TemplateId",
        Refusal::SenderInvalid => "SenderId",
        Refusal::SignatureInvalid => "SigContent",
        Refusal::ValueMissing
        | Refusal::ValueSurplus
        | Refusal::ValueTooLong
        | Refusal::ValueHasLink
        | Refusal::TextTooLong => "TemplateParams",
        Refusal::ExtraInvalid => "UserId",
        _ => "Phone",
    })
}

/// The reason as a text for one recipient or one item: `FailureReason`, `FailureDetails`.
///
/// Only the one about suppressed numbers is known from the vendor (seed 001).
pub fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::PhoneEmpty => "phone is missing",
        Refusal::PhoneFormat => "phone is invalid",
        Refusal::PhoneDuplicate => "phone is repeated with the same parameters",
        Refusal::PhoneSuppressed => "phone in the black list",
        Refusal::PerMinute => "phone has reached its limit per minute",
        Refusal::PerDay => "phone has reached its limit per day",
        Refusal::TemplateUnknown => "template not found",
        Refusal::TemplateNotApproved => "template not approved",
        Refusal::SenderInvalid => "sender is invalid",
        Refusal::SignatureInvalid => "signature not found or not approved",
        Refusal::ValueMissing => "fewer template params than variables",
        Refusal::ValueSurplus => "more template params than variables",
        Refusal::ValueTooLong => "template param is too long",
        Refusal::ValueHasLink => "template param contains a link",
        Refusal::TextTooLong => "message is too long",
        Refusal::ExtraInvalid => "user id or extend code is invalid",
        Refusal::NoRoute => "phone's country is not served",
        _ => "phone is refused",
    }
}

/// Whether a refusal is about the item as a whole (its template or sender), so that its reason stands once
/// and not at every number (contract section 2.3, the field rule).
pub fn is_about_the_item(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::TemplateUnknown
            | Refusal::TemplateNotApproved
            | Refusal::SenderInvalid
            | Refusal::SignatureInvalid
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seed 000's own error sample, and the literal texts that are known of the others.
    #[test]
    fn literal_texts_are_the_documented_ones() {
        let uspeedo = |fault: Fault| fault.words(Family::Uspeedo);
        let ucloud = |fault: Fault| fault.words(Family::Ucloud);
        let unknown = Fault::Refused(Refusal::TemplateUnknown);
        assert_eq!(
            uspeedo(unknown),
            (215_392, "Invalid parameter [TemplateId]".into())
        );
        assert_eq!(
            uspeedo(Fault::KeyUnknown),
            (215_398, "Failed to parse token".into())
        );
        assert_eq!(
            ucloud(Fault::SignatureWrong),
            (171, "Signature VerifyAC Error".into())
        );
        assert_eq!(ucloud(Fault::KeyUnknown), (172, "User Not Exists".into()));
        assert_eq!(ucloud(unknown).0, 18_017);
        assert_eq!(reason(Refusal::PhoneSuppressed), "phone in the black list");
    }
}
