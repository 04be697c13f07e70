//! Why a request came to nothing, and the code and message in which the two families say so.
//!
//! A fault ends the whole request: nothing of it was done. What is wrong with single recipients while others were
//! accepted travels beside RetCode 0 instead, because clients that see another code send the batch again (contract
//! section 2.3). The texts are in [`words`](super::words).

use super::words::{Language, Thing, Words, reason, ucloud, uspeedo};
use engine::StoreError;
use engine::accept::{AcceptError, Refusal};
use engine::manage::ManageError;
use engine::sms::template::PLACEHOLDER_RULE;

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

impl From<&AcceptError> for Fault {
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

impl From<&StoreError> for Fault {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Busy { .. } => Self::Busy,
            _ => Self::Store,
        }
    }
}

impl Fault {
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

    /// The family's code and message.
    pub fn words(self, family: Family, language: Language) -> (u32, String) {
        match family {
            Family::Uspeedo => {
                let (words, name) = self.uspeedo();
                words.say(Language::English, name)
            }
            Family::Ucloud => {
                let (words, name) = self.ucloud(language);
                words.say(language, name)
            }
        }
    }

    fn uspeedo(self) -> (Words, &'static str) {
        use uspeedo as say;
        match self {
            Self::Unreadable => (say::INVALID, "Body"),
            Self::Method => (say::INVALID, "Method"),
            Self::Path => (say::INVALID, "Path"),
            Self::ActionMissing => (say::MISSING, "Action"),
            Self::ActionUnknown | Self::NotAllowed => (say::INVALID, "Action"),
            Self::Missing(name) => (say::MISSING, name),
            Self::Shape(name) | Self::Value(name) => (say::INVALID, name),
            Self::Placeholder => (say::PLACEHOLDER, PLACEHOLDER_RULE),
            Self::Recipients(name) => (say::INVALID, name),
            // One text for all of them: who does not hold the secret learns nothing about the key.
            Self::SignatureMissing
            | Self::SignatureWrong
            | Self::TimestampWrong
            | Self::Replayed
            | Self::KeyUnknown => (say::TOKEN, ""),
            Self::TooOften => (say::TOO_OFTEN, ""),
            Self::Restricted => (say::RESTRICTED, ""),
            Self::ProjectUnknown => (say::INVALID, "AccountId"),
            Self::Refused(refusal) => match field_of(refusal) {
                None => (say::MISSING, "Phone"),
                Some(name) => (say::INVALID, name),
            },
            // Of all things, this family has templates only.
            Self::Unknown(_) => (say::NOT_FOUND, ""),
            Self::InReview(_) | Self::NotRejected | Self::InUse => (say::IN_REVIEW, ""),
            Self::NameTaken(_) => (say::INVALID, "TemplateName"),
            Self::TooMany(_) | Self::NoRoom => (say::TOO_MANY, ""),
            Self::Balance => (say::BALANCE, ""),
            Self::Busy => (say::BUSY, ""),
            Self::Store => (say::SERVER, ""),
        }
    }

    fn ucloud(self, language: Language) -> (Words, &'static str) {
        use ucloud as say;
        match self {
            Self::Unreadable => (say::UNREADABLE, ""),
            Self::Method => (say::METHOD, ""),
            Self::Path => (say::PATH, ""),
            Self::ActionMissing => (say::NO_ACTION, ""),
            Self::ActionUnknown => (say::ACTION_UNKNOWN, ""),
            Self::Missing(name) => (say::MISSING, name),
            Self::Shape(name) => (say::MALFORMED, name),
            Self::Value(name) => (say::INVALID, name),
            Self::Placeholder => (say::PLACEHOLDER, PLACEHOLDER_RULE),
            Self::Recipients(_) => (say::RECIPIENTS, ""),
            Self::SignatureMissing => (say::NO_SIGNATURE, ""),
            Self::SignatureWrong | Self::TimestampWrong | Self::Replayed => (say::WRONG_SIGNATURE, ""),
            Self::TooOften => (say::TOO_OFTEN, ""),
            Self::KeyUnknown => (say::KEY_UNKNOWN, ""),
            Self::Restricted => (say::RESTRICTED, ""),
            Self::ProjectUnknown => (say::PROJECT_UNKNOWN, ""),
            Self::NotAllowed => (say::NOT_ALLOWED, ""),
            Self::Refused(Refusal::PhoneEmpty) => (say::MISSING, "Phone"),
            Self::Refused(refusal) => (refused(refusal), reason(refusal, language)),
            Self::Unknown(Thing::Template) => (say::TEMPLATE, reason(Refusal::TemplateUnknown, language)),
            Self::Unknown(Thing::Signature) => (say::SIGNATURE, reason(Refusal::SignatureInvalid, language)),
            Self::Unknown(thing) => (say::INVALID, thing.id_name()),
            Self::InReview(thing) => (say::IN_REVIEW, thing.name(language)),
            Self::NotRejected => (say::NOT_REJECTED, ""),
            Self::InUse => (say::IN_USE, ""),
            Self::NameTaken(thing) => (say::NAME_TAKEN, thing.name(language)),
            Self::TooMany(thing) => (say::TOO_MANY, thing.name(language)),
            Self::NoRoom => (say::NO_ROOM, ""),
            Self::Balance => (say::BALANCE, ""),
            Self::Busy => (say::BUSY, ""),
            Self::Store => (say::INTERNAL, ""),
        }
    }
}

/// UCloud's code when all recipients were refused.
fn refused(refusal: Refusal) -> Words {
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
        let uspeedo = |fault: Fault| fault.words(Family::Uspeedo, Language::English);
        let ucloud = |fault: Fault| fault.words(Family::Ucloud, Language::English);
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
            uspeedo(Fault::Unknown(Thing::Template)),
            (215_396, "Template not found".into())
        );
        assert_eq!(
            ucloud(Fault::SignatureWrong),
            (171, "Signature VerifyAC Error".into())
        );
        assert_eq!(ucloud(Fault::KeyUnknown), (172, "User Not Exists".into()));
        assert_eq!(ucloud(unknown), (18_017, "template not found".into()));
        assert_eq!(ucloud(Fault::Unknown(Thing::Template)), ucloud(unknown));
        assert_eq!(
            Fault::InReview(Thing::Signature).words(Family::Ucloud, Language::Chinese),
            (18_003, "签名正在审核中".into())
        );
    }
}
