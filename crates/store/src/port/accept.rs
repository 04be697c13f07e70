//! Accepting: one request, its batches and what is decided about them inside the transaction.

use super::{
    AccountId, CarrierNo, Dialect, DimensionsNo, MessageId, QueuedRange, SuppressionKind, TaskStep, UnixMs,
};
use serde::{Deserialize, Serialize};
use sms::class::{Class, Kind};
use sms::phone::Msisdn;
use std::fmt;
use std::sync::Arc;

/// Everything of one request, already checked against the catalog.
#[derive(Debug)]
pub struct AcceptCommand {
    /// Whose request.
    pub account: AccountId,
    /// The wire it came on.
    pub dialect: Dialect,
    /// The public part of the credential it came with; empty when there was none.
    pub user: Arc<str>,
    /// When it came: the time part of the ids.
    pub now: UnixMs,
    /// Each with at least one message. May be empty when there is `idempotency`: then only a repeat is
    /// looked for, and [`super::AcceptError::NothingLeft`] says that there was none.
    pub batches: Vec<NewBatch>,
    /// Present when the request must be done once only.
    pub idempotency: Option<NewIdempotency>,
    /// Present when the account limits how much one number gets.
    pub caps: Option<Caps>,
    /// How the account pays.
    pub charge: Charge,
    /// What happens to recipients on a suppression list.
    pub suppressed: SuppressedPolicy,
    /// Present when it is a piece of a task: recorded with it, or all is refused
    /// ([`super::AcceptError::TaskMoved`]).
    pub step: Option<TaskStep>,
    /// Called once after the commit, before `accept` returns and in commit order, when something was stored: passes
    /// what was queued to the dispatcher without a read.
    pub on_commit: OnCommit,
}

/// A callback that runs on the store's own thread right after a commit, in commit order (that is, in the order of
/// [`super::QueueSeq`]). It must be short and must not call the store.
/// It also runs when the caller no longer waits for the answer.
pub struct OnCommit(pub Option<AfterCommit>);

/// See [`OnCommit`].
pub type AfterCommit = Box<dyn FnOnce(&AcceptOutcome) + Send>;

impl fmt::Debug for OnCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "OnCommit(..)"
        } else {
            "OnCommit(none)"
        })
    }
}

/// One batch: what is common to its messages, stored once.
#[derive(Debug)]
pub struct NewBatch {
    /// True when a new session (what one session number answers for) begins with this batch; the first
    /// batch of a command always opens one.
    pub opens_session: bool,
    /// Traffic class.
    pub class: Class,
    /// Text or voice.
    pub kind: Kind,
    /// The kind of message that the request names, by the number of its dialect; `None` where it names none.
    pub message_type: Option<u8>,
    /// Number of the template, negative for built-in ones (0: none).
    pub template: i64,
    /// The template's text with signature, as it was approved: the pattern that `params` fill, or the
    /// final text when no message has params.
    pub text: Arc<str>,
    /// Source address; none lets the carrier's default stand.
    pub sender: Option<Box<str>>,
    /// Label number of the request, 0 for none.
    pub label: i64,
    /// The caller's own data, echoed back: a JSON text.
    pub custom: Option<Box<str>>,
    /// When to send; `None` for at once.
    pub due: Option<UnixMs>,
    /// When what still waits ends as expired and is never sent; `None` for never. Counted by the caller from the time
    /// the batch is due.
    pub expires_at: Option<UnixMs>,
    /// The recipients.
    pub messages: Vec<NewMessage>,
}

/// One recipient.
#[derive(Debug)]
pub struct NewMessage {
    /// The number in E.164.
    pub msisdn: Msisdn,
    /// The number as the caller wrote it.
    pub written: Box<str>,
    /// Values for the batch's pattern by position, as a JSON array of strings; `None` when the batch's
    /// text is final.
    pub params: Option<Box<str>>,
    /// The caller's per-recipient data (user id, extend code), as a JSON object.
    pub extra: Option<Box<str>>,
    /// The carrier in whose lane it waits.
    pub carrier: CarrierNo,
    /// SMS parts it will be sent as, 1..=255.
    pub segments: u8,
    /// Set when the message is accepted by the dialect's rule but can only fail (SendCloud 4xx): it gets
    /// its final state at once, with this code, and is not queued.
    pub failure: Option<u16>,
}

/// What makes a request single. `T` is what comes of it.
pub struct NewIdempotency<T = AcceptOutcome> {
    /// Separates the id spaces of one account: the dialect's field or the header.
    pub scope: &'static str,
    /// The caller's request id.
    pub key: Box<str>,
    /// Hash of the request's body: a repeat with another body is counted.
    pub fingerprint: u64,
    /// How long the id is remembered, in milliseconds.
    pub keep_ms: i64,
    /// Milliseconds that have passed since some moment of this process when the request came, whatever was done to the
    /// clock since: by it the store knows a clock that jumps from time that passes.
    pub passed_ms: i64,
    /// Makes the answer that a repeat gets, from the outcome, inside the transaction: a repeat is answered byte for
    /// byte as the first request.
    pub record: RecordAnswer<T>,
}

/// See [`NewIdempotency::record`].
pub type RecordAnswer<T = AcceptOutcome> = Box<dyn FnOnce(&T) -> Vec<u8> + Send>;

impl<T> fmt::Debug for NewIdempotency<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewIdempotency")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Messages one number may get from one account; 0 means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Caps {
    /// Within the last 60 seconds.
    pub per_minute_max: u32,
    /// Within the last 24 hours.
    pub per_day_max: u32,
}

/// How a request is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// Nothing is counted.
    Free,
    /// Segments are taken from the account's balance, or the request is refused.
    Prepaid,
}

/// What happens to a recipient on a suppression list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressedPolicy {
    /// It is refused in the answer.
    Refuse,
    /// It is accepted and fails at once with the code of [`super::SuppressionKind::code`].
    Fail,
}

/// The result of accepting.
#[derive(Debug)]
pub enum Accepted {
    /// Stored.
    New(AcceptOutcome),
    /// The request id was used before: nothing was stored.
    Repeat {
        /// What the first request was answered.
        answer: Vec<u8>,
        /// Whether the body was the same.
        same_body: bool,
    },
}

/// What was stored.
#[derive(Debug, Clone, Default)]
pub struct AcceptOutcome {
    /// One entry a batch of the command, in order.
    pub batches: Vec<BatchRange>,
    /// Recipients refused inside the transaction (caps, suppressions); their batch's other messages stay
    /// contiguous, in the command's order.
    pub refused: Vec<RefusedAtCommit>,
    /// Where the messages wait, for [`AcceptCommand::on_commit`].
    pub queued: Vec<QueuedRange>,
    /// The concatenation references of the messages of several parts, in order of their ids.
    pub references: Vec<(MessageId, u16)>,
}

impl AcceptOutcome {
    /// The value of [`super::Outgoing::reference`] for a message of the command.
    #[must_use]
    pub fn reference_of(&self, id: MessageId) -> u16 {
        self.references
            .binary_search_by_key(&id, |(id, _)| *id)
            .ok()
            .and_then(|at| self.references.get(at))
            .map_or_else(|| id.derived_reference(), |(_, reference)| *reference)
    }
}

/// The ids of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchRange {
    /// Its first message; meaningless when `count` is 0.
    pub first: MessageId,
    /// How many were stored.
    pub count: u32,
    /// The first message of the session it belongs to.
    pub session: MessageId,
    /// By which its messages are counted.
    pub dimensions: DimensionsNo,
    /// When it was accepted.
    pub accepted_at: UnixMs,
}

/// One recipient refused inside the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedAtCommit {
    /// Index of the batch in the command.
    pub batch: u32,
    /// Index of the message in that batch.
    pub message: u32,
    /// Why.
    pub reason: RefusedReason,
}

/// Why a recipient is refused inside the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusedReason {
    /// [`Caps::per_minute_max`] is reached.
    PerMinute,
    /// [`Caps::per_day_max`] is reached.
    PerDay,
    /// The number is on a suppression list of this kind.
    Suppressed(SuppressionKind),
}
