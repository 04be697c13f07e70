//! Errors of requests, with the code and message of each family.
//!
//! An error ends the whole request: it had no effect. Errors of single recipients while others were
//! accepted are listed beside RetCode 0 instead, because clients that see another code send the batch again (contract
//! section 2.3). The texts are in [`error_texts`](super::error_texts).

use super::error_texts::{ErrorText, Language, Thing, reason, ucloud, uspeedo};
use engine::StoreError;
use engine::accept::{AcceptError, Refusal};
use engine::manage::ManageError;
use engine::sms::template::PLACEHOLDER_RULE;

/// The family of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// uSpeedo, both wires: 2153xx (contract section 4.1).
    Uspeedo,
    /// UCloud: 18xxx of the service and 1xx, 2xx of its gateway (contract sections 4.2 and 4.3).
    Ucloud,
}

/// Why a request had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiError {
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
    /// Something in a template's text looks like a placeholder and is none.
    Placeholder,
    /// More recipients than one request may have.
    Recipients(&'static str),
    /// No signature came with the request.
    SignatureMissing,
    /// The signature or the secret is wrong.
    SignatureWrong,
    /// The timestamp is too far from the clock, or none.
    TimestampWrong,
    /// It was signed rightly and seen before, within the window in which that is not taken.
    Replayed,
    /// No such key, or it is switched off.
    KeyUnknown,
    /// More requests than there may be.
    TooOften,
    /// The account may not send.
    Restricted,
    /// The project is not one of the account's.
    ProjectUnknown,
    /// The account was not given this.
    NotAllowed,
    /// Every recipient was refused, the first of them for this reason.
    Refused(Refusal),
    /// What is to be shown, changed or removed is not there.
    Unknown(Thing),
    /// It is reviewed right now.
    InReview(Thing),
    /// Only a rejected signature may be changed.
    NotRejected,
    /// A template names the signature.
    InUse,
    /// Another has that name.
    NameTaken(Thing),
    /// The account has as many as it may have.
    TooMany(Thing),
    /// The account's files take all the room it has.
    NoRoom,
    /// The balance does not cover the request.
    Balance,
    /// Too much waits, or the process is stopping.
    Busy,
    /// The store could not commit or could not be read.
    Store,
}

impl From<&AcceptError> for ApiError {
    fn from(error: &AcceptError) -> Self {
        match error {
            AcceptError::AccountGone => Self::KeyUnknown,
            AcceptError::MayNotSend => Self::Restricted,
            AcceptError::Balance => Self::Balance,
            AcceptError::OtherContent => Self::Value("Idempotency-Key"),
            AcceptError::Busy | AcceptError::Stopping => Self::Busy,
            _ => Self::Store,
        }
    }
}

impl From<&StoreError> for ApiError {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Busy { .. } => Self::Busy,
            _ => Self::Store,
        }
    }
}

impl ApiError {
    /// Why a template or signature could not be changed.
    pub fn of(error: &ManageError, thing: Thing) -> Self {
        match error {
            ManageError::Unknown(_) => Self::Unknown(thing),
            ManageError::NameTaken(_) => Self::NameTaken(thing),
            ManageError::InReview(_) | ManageError::Submitted(_) | ManageError::NotInReview(_) => {
                Self::InReview(thing)
            }
            ManageError::NotRejected(_) => Self::NotRejected,
            ManageError::InUse(_) => Self::InUse,
            ManageError::TooMany(_) => Self::TooMany(thing),
            ManageError::Store(error) => Self::from(error),
            _ => Self::Store,
        }
    }

    /// The code and message of the family.
    pub fn code_and_message(self, family: Family, language: Language) -> (u32, String) {
        match family {
            Family::Uspeedo => {
                let (text, name) = self.uspeedo();
                text.render(Language::English, name)
            }
            Family::Ucloud => {
                let (text, name) = self.ucloud(language);
                text.render(language, name)
            }
        }
    }

    fn uspeedo(self) -> (ErrorText, &'static str) {
        use uspeedo as texts;
        match self {
            Self::Unreadable => (texts::INVALID, "Body"),
            Self::Method => (texts::INVALID, "Method"),
            Self::Path => (texts::INVALID, "Path"),
            Self::ActionMissing => (texts::MISSING, "Action"),
            Self::ActionUnknown | Self::NotAllowed => (texts::INVALID, "Action"),
            Self::Missing(name) => (texts::MISSING, name),
            Self::Shape(name) | Self::Value(name) => (texts::INVALID, name),
            Self::Placeholder => (texts::PLACEHOLDER, PLACEHOLDER_RULE),
            Self::Recipients(name) => (texts::INVALID, name),
            // One text for all of them: who does not hold the secret learns nothing about the key.
            Self::SignatureMissing
            | Self::SignatureWrong
            | Self::TimestampWrong
            | Self::Replayed
            | Self::KeyUnknown => (texts::TOKEN, ""),
            Self::TooOften => (texts::TOO_OFTEN, ""),
            Self::Restricted => (texts::RESTRICTED, ""),
            Self::ProjectUnknown => (texts::INVALID, "AccountId"),
            Self::Refused(refusal) => match field_of(refusal) {
                None => (texts::MISSING, "Phone"),
                Some(name) => (texts::INVALID, name),
            },
            // Of all things, this family has templates only.
            Self::Unknown(_) => (texts::NOT_FOUND, ""),
            Self::InReview(_) | Self::NotRejected | Self::InUse => (texts::IN_REVIEW, ""),
            Self::NameTaken(_) => (texts::INVALID, "TemplateName"),
            Self::TooMany(_) | Self::NoRoom => (texts::TOO_MANY, ""),
            Self::Balance => (texts::BALANCE, ""),
            Self::Busy => (texts::BUSY, ""),
            Self::Store => (texts::SERVER, ""),
        }
    }

    fn ucloud(self, language: Language) -> (ErrorText, &'static str) {
        use ucloud as texts;
        match self {
            Self::Unreadable => (texts::UNREADABLE, ""),
            Self::Method => (texts::METHOD, ""),
            Self::Path => (texts::PATH, ""),
            Self::ActionMissing => (texts::NO_ACTION, ""),
            Self::ActionUnknown => (texts::ACTION_UNKNOWN, ""),
            Self::Missing(name) => (texts::MISSING, name),
            Self::Shape(name) => (texts::MALFORMED, name),
            Self::Value(name) => (texts::INVALID, name),
            Self::Placeholder => (texts::PLACEHOLDER, PLACEHOLDER_RULE),
            Self::Recipients(_) => (texts::RECIPIENTS, ""),
            Self::SignatureMissing => (texts::NO_SIGNATURE, ""),
            Self::SignatureWrong | Self::TimestampWrong | Self::Replayed => (texts::WRONG_SIGNATURE, ""),
            Self::TooOften => (texts::TOO_OFTEN, ""),
            Self::KeyUnknown => (texts::KEY_UNKNOWN, ""),
            Self::Restricted => (texts::RESTRICTED, ""),
            Self::ProjectUnknown => (texts::PROJECT_UNKNOWN, ""),
            Self::NotAllowed => (texts::NOT_ALLOWED, ""),
            Self::Refused(Refusal::PhoneEmpty) => (texts::MISSING, "Phone"),
            Self::Refused(refusal) => (refused(refusal), reason(refusal, language)),
            Self::Unknown(Thing::Template) => (texts::TEMPLATE, reason(Refusal::TemplateUnknown, language)),
            Self::Unknown(Thing::Signature) => {
                (texts::SIGNATURE, reason(Refusal::SignatureInvalid, language))
            }
            Self::Unknown(thing) => (texts::INVALID, thing.id_name()),
            Self::InReview(thing) => (texts::IN_REVIEW, thing.name(language)),
            Self::NotRejected => (texts::NOT_REJECTED, ""),
            Self::InUse => (texts::IN_USE, ""),
            Self::NameTaken(thing) => (texts::NAME_TAKEN, thing.name(language)),
            Self::TooMany(thing) => (texts::TOO_MANY, thing.name(language)),
            Self::NoRoom => (texts::NO_ROOM, ""),
            Self::Balance => (texts::BALANCE, ""),
            Self::Busy => (texts::BUSY, ""),
            Self::Store => (texts::INTERNAL, ""),
        }
    }
}

/// UCloud's code when all recipients were refused.
fn refused(refusal: Refusal) -> ErrorText {
    match refusal {
        Refusal::TemplateUnknown | Refusal::TemplateNotApproved => ucloud::TEMPLATE,
        Refusal::SignatureInvalid => ucloud::SIGNATURE,
        Refusal::ValueMissing | Refusal::ValueSurplus => ucloud::PARAMS,
        Refusal::ContentForbidden => ucloud::FORBIDDEN,
        Refusal::PhoneFormat
        | Refusal::PhoneDuplicate
        | Refusal::PhoneSuppressed(_)
        | Refusal::PerMinute
        | Refusal::PerDay
        | Refusal::NoRoute => ucloud::PHONES,
        _ => ucloud::REFUSED,
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
        | Refusal::TextTooLong
        | Refusal::ContentForbidden => "TemplateParams",
        Refusal::ExtraInvalid => "UserId",
        _ => "Phone",
    })
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

    /// The uSpeedo REST v1 document's own error sample, and the literal texts that are known of the others.
    #[test]
    fn literal_texts_are_the_documented_ones() {
        let uspeedo = |fault: ApiError| fault.code_and_message(Family::Uspeedo, Language::English);
        let ucloud = |fault: ApiError| fault.code_and_message(Family::Ucloud, Language::English);
        let unknown = ApiError::Refused(Refusal::TemplateUnknown);
        assert_eq!(
            uspeedo(unknown),
            (215_392, "Invalid parameter [TemplateId]".into())
        );
        assert_eq!(
            uspeedo(ApiError::KeyUnknown),
            (215_398, "Failed to parse token".into())
        );
        assert_eq!(
            uspeedo(ApiError::Unknown(Thing::Template)),
            (215_396, "Template not found".into())
        );
        assert_eq!(
            ucloud(ApiError::SignatureWrong),
            (171, "Signature VerifyAC Error".into())
        );
        assert_eq!(ucloud(ApiError::KeyUnknown), (172, "User Not Exists".into()));
        assert_eq!(ucloud(unknown), (18_017, "template not found".into()));
        assert_eq!(ucloud(ApiError::Unknown(Thing::Template)), ucloud(unknown));
        assert_eq!(
            ApiError::InReview(Thing::Signature).code_and_message(Family::Ucloud, Language::Chinese),
            (18_003, "签名正在审核中".into())
        );
    }
}
