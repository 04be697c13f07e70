//! What became of a request.

use sms::reason::Reason;
use store::{MessageId, StoreError, SuppressionKind};
use thiserror::Error;

/// What the engine did with a submission.
#[derive(Debug)]
pub enum AcceptResponse {
    /// It was looked at for the first time; see there what was stored (perhaps nothing).
    New(Outcome),
    /// Its request id was used before. Nothing was done.
    Replayed {
        /// The recorded answer, made by [`super::Idempotency::reply`].
        answer: Vec<u8>,
        /// Whether this body was the same as the first.
        same_body: bool,
    },
}

/// What was accepted and what was refused, in the order of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// One entry an item.
    pub items: Vec<ItemOutcome>,
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemOutcome {
    /// Why the whole item was refused; its recipients then all carry the same.
    pub refused: Option<Refusal>,
    /// The first message of the item's session, when anything was accepted: what public ids are made of.
    pub session: Option<MessageId>,
    /// Number of the template found, 0 when none was.
    pub template: i64,
    /// One entry a recipient.
    pub outcomes: Vec<RecipientOutcome>,
}

/// What became of one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipientOutcome {
    /// Stored under this id.
    Accepted(MessageId),
    /// Not stored.
    Refused(Refusal),
}

impl Outcome {
    /// How many recipients were stored.
    pub fn accepted(&self) -> usize {
        self.outcomes()
            .filter(|result| matches!(result, RecipientOutcome::Accepted(_)))
            .count()
    }

    /// How many recipients were not.
    pub fn refused(&self) -> usize {
        self.outcomes()
            .filter(|result| matches!(result, RecipientOutcome::Refused(_)))
            .count()
    }

    /// The first refusal, if any.
    pub fn first_refusal(&self) -> Option<Refusal> {
        self.outcomes().find_map(|result| match result {
            RecipientOutcome::Refused(refusal) => Some(*refusal),
            RecipientOutcome::Accepted(_) => None,
        })
    }

    fn outcomes(&self) -> impl Iterator<Item = &RecipientOutcome> {
        self.items.iter().flat_map(|item| &item.outcomes)
    }
}

/// Why a recipient, or an item, is not accepted. Each dialect has its own words for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// No number given.
    PhoneEmpty,
    /// Not a number in this wire's spellings.
    PhoneFormat,
    /// The number stands earlier in the same item.
    PhoneDuplicate,
    /// The number is on a suppression list of this kind.
    PhoneSuppressed(SuppressionKind),
    /// Too many to this number within a minute.
    PerMinute,
    /// Too many to this number within a day.
    PerDay,
    /// No such template in this account.
    TemplateUnknown,
    /// The template was never submitted, waits for review, was rejected or is switched off.
    TemplateNotApproved,
    /// The sender is malformed, or not one of the account's.
    SenderInvalid,
    /// No such signature in this account, or not approved.
    SignatureInvalid,
    /// A variable has no value.
    ValueMissing,
    /// There are more values than variables.
    ValueSurplus,
    /// A value is longer than the wire allows.
    ValueTooLong,
    /// A value contains a link and the wire forbids it.
    ValueHasLink,
    /// The final text is longer than the wire allows.
    TextTooLong,
    /// The final text has a word that may not be sent.
    ContentForbidden,
    /// The per-recipient data is malformed (uSpeedo's `UserId`, `ExtendCode`).
    ExtraInvalid,
    /// No carrier takes this message (prefix, class, or kind).
    NoRoute,
}

impl Refusal {
    /// The reason under which it is counted, logged and listed in docs/errors.md.
    pub const fn reason(self) -> Reason {
        match self {
            Self::PhoneEmpty => Reason::NumberMissing,
            Self::PhoneFormat => Reason::NumberInvalid,
            Self::PhoneDuplicate => Reason::NumberDuplicate,
            Self::PhoneSuppressed(SuppressionKind::Global) => Reason::BlockedGlobally,
            Self::PhoneSuppressed(SuppressionKind::Blocked) => Reason::BlockedByAccount,
            Self::PhoneSuppressed(SuppressionKind::Unsubscribed) => Reason::Unsubscribed,
            Self::PerMinute => Reason::LimitPerMinute,
            Self::PerDay => Reason::LimitPerDay,
            Self::TemplateUnknown => Reason::TemplateUnknown,
            Self::TemplateNotApproved => Reason::TemplateNotApproved,
            Self::SenderInvalid => Reason::SenderInvalid,
            Self::SignatureInvalid => Reason::SignatureInvalid,
            Self::ValueMissing => Reason::ValueMissing,
            Self::ValueSurplus => Reason::ValueSurplus,
            Self::ValueTooLong => Reason::ValueTooLong,
            Self::ValueHasLink => Reason::ValueHasLink,
            Self::TextTooLong => Reason::TextTooLong,
            Self::ContentForbidden => Reason::ContentForbidden,
            Self::ExtraInvalid => Reason::RecipientDataInvalid,
            Self::NoRoute => Reason::NoRoute,
        }
    }
}

/// A request that came to nothing for a reason that is not in its recipients.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// Nothing is known of the account any more.
    #[error("the account is gone")]
    AccountGone,
    /// The account may not send.
    #[error("the account may not send")]
    MayNotSend,
    /// The balance does not cover it.
    #[error("the balance does not cover the request")]
    Balance,
    /// Its request id was used before with other content, and the account wants such requests refused.
    #[error("the request id was used before with other content")]
    OtherContent,
    /// The program contradicts itself: a fault of its own, and nothing of the customer's.
    #[error("inner inconsistency: {0}")]
    Internal(&'static str),
    /// Too much is waiting: try again.
    #[error("busy")]
    Busy,
    /// The process is stopping: try elsewhere, or again.
    #[error("stopping")]
    Stopping,
    /// The task that this was a piece of has moved on or ended: nothing was accepted.
    #[error("the task has moved on")]
    TaskMoved,
    /// The store could not commit: nothing was accepted.
    #[error("not stored: {0}")]
    Store(#[source] StoreError),
}

impl AcceptError {
    /// The reason for which the whole request is refused; `None` where the node is at fault and the caller tries again,
    /// and where the request was done before.
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::AccountGone => Some(Reason::AccountUnknown),
            Self::MayNotSend => Some(Reason::AccountSuspended),
            Self::Balance => Some(Reason::BalanceTooLow),
            Self::OtherContent
            | Self::Busy
            | Self::Stopping
            | Self::TaskMoved
            | Self::Store(_)
            | Self::Internal(_) => None,
        }
    }
}
