//! The port: what the engine asks of a store, in the field's words and without SQL.

mod accept;
mod attempt;
mod catalog;
mod error;
mod ids;
mod query;
mod queue;
mod receipt;

pub use accept::{
    AcceptCommand, AcceptOutcome, Accepted, BatchRange, Caps, Charge, HandOver, NewBatch, NewIdempotency,
    NewMessage, OnCommit, RecordAnswer, RefusedAtCommit, RefusedReason, SuppressedPolicy,
};
pub use attempt::{
    Answer, AttemptOutcome, AttemptStart, ConsumedQueue, Next, OpenAttempt, RecordResults, ResultFate,
    SegmentAnswer,
};
pub use catalog::{
    Account, Carrier, Catalog, CatalogChange, Credential, Dialect, Position, Review, Route, Signature,
    Suppression, SuppressionKind, Template,
};
pub use error::{AcceptError, StoreError};
pub use ids::{AccountId, AttemptId, BatchId, CarrierNo, MessageId, QueueNo, UnixMs};
pub use query::{BatchView, Counts, MessageFilter, MessageView, SegmentView, TimelineEntry, TimelineKind};
pub use queue::{Lane, LaneBacklog, OnRelease, Outgoing, QueueKey, QueuedRange, Released};
pub use receipt::{CarrierReceipt, ReceiptFate};

use async_trait::async_trait;
#[expect(unused_imports, reason = "named in documentation")]
use sms::state::MessageState;
use std::ops::RangeInclusive;

/// What the engine needs of a store. Every method is durable when it returns `Ok`.
///
/// All ranges of ids are inclusive. All times are Unix milliseconds, given by the caller: a store reads
/// no clock, so whole scenarios run on a paused one.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Stores the batches of one request, or nothing of it.
    ///
    /// Idempotency, suppressions, caps and balance are decided inside the transaction. Message ids are
    /// given in commit order, contiguous within the whole request, batch after batch.
    async fn accept(&self, command: AcceptCommand) -> Result<Accepted, AcceptError>;

    /// The messages that wait in a lane, from `after` (exclusive) on, in queue order; at most `messages_max`.
    async fn read_lane(
        &self,
        lane: Lane,
        after: Option<(QueueNo, MessageId)>,
        messages_max: usize,
    ) -> Result<Vec<Outgoing>, StoreError>;

    /// Every lane in which messages wait, with how many.
    async fn lanes(&self) -> Result<Vec<LaneBacklog>, StoreError>;

    /// Moves delayed messages whose time has come into their lanes; at most `ranges_max` ranges a call.
    async fn release_due(
        &self,
        now: UnixMs,
        ranges_max: usize,
        on_release: OnRelease,
    ) -> Result<Released, StoreError>;

    /// When the next delayed message is due, if any is.
    async fn next_due(&self) -> Result<Option<UnixMs>, StoreError>;

    /// Takes messages off their lanes and records that they may leave for the carrier from now on.
    /// Returns one attempt id for each start, in order.
    async fn begin_attempts(&self, starts: Vec<AttemptStart>) -> Result<Vec<AttemptId>, StoreError>;

    /// Records what came of attempts. Receipts that were parked for a carrier id named here are applied
    /// in the same transaction; the fates, in the order of the outcomes, say so.
    async fn record_results(&self, results: RecordResults) -> Result<Vec<ResultFate>, StoreError>;

    /// Attempts that were begun and never answered (after a kill): the messages in doubt.
    async fn open_attempts(&self) -> Result<Vec<OpenAttempt>, StoreError>;

    /// Records receipts, matched per carrier by the carrier's id. Unknown ones are parked.
    /// Fates come in the order given.
    async fn record_receipts(&self, receipts: Vec<CarrierReceipt>) -> Result<Vec<ReceiptFate>, StoreError>;

    /// Gives up on receipts: messages of a range that are submitted become [`MessageState::Unknown`] at `now`
    /// (a receipt that still comes corrects that). Looks at a bounded piece of the range, from its start; tells
    /// which messages ended, and where to go on if the range is not at its end.
    async fn give_up_receipts(
        &self,
        range: RangeInclusive<MessageId>,
        now: UnixMs,
    ) -> Result<(Vec<MessageId>, Option<MessageId>), StoreError>;

    /// Forgets parked receipts received before `before`; returns how many.
    async fn expire_parked(&self, before: UnixMs) -> Result<u64, StoreError>;

    /// Messages by id (order of the ids; unknown ones are left out).
    async fn messages(&self, ids: Vec<MessageId>) -> Result<Vec<MessageView>, StoreError>;

    /// All messages of the session that begins with `first` (see [`NewBatch::opens_session`]),
    /// in id order, at most `messages_max`; empty when unknown or of another account.
    async fn session(
        &self,
        account: AccountId,
        first: MessageId,
        messages_max: usize,
    ) -> Result<Vec<MessageView>, StoreError>;

    /// Messages of an account within a range of ids that pass a filter, newest first, with how many
    /// pass in all (counted up to `MessageFilter::count_max`).
    async fn find(
        &self,
        account: AccountId,
        range: RangeInclusive<MessageId>,
        filter: MessageFilter,
    ) -> Result<(Vec<MessageView>, u64), StoreError>;

    /// Everything known about one message, oldest first.
    async fn timeline(&self, id: MessageId) -> Result<Vec<TimelineEntry>, StoreError>;

    /// How many messages are in which state since the store was made.
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// The whole catalog with its version.
    async fn load_catalog(&self) -> Result<Catalog, StoreError>;

    /// The catalog's version alone: cheap enough to ask every second.
    async fn catalog_version(&self) -> Result<u64, StoreError>;

    /// Applies changes in one transaction and returns the new version.
    async fn change_catalog(&self, changes: Vec<CatalogChange>) -> Result<u64, StoreError>;

    /// Suppressions in the order of their numbers, from `after` on (exclusive); at most `suppressions_max`.
    async fn suppressions(
        &self,
        after: Option<Suppression>,
        suppressions_max: usize,
    ) -> Result<Vec<Suppression>, StoreError>;

    /// 32 random bytes made with the store: the key under which public ids are derived from message ids.
    async fn id_key(&self) -> Result<[u8; 32], StoreError>;

    /// Deletes messages (and all that hangs on them) with ids below `before`, a bounded piece a call;
    /// returns true while there is more. Messages not in a final state are kept.
    async fn expire_messages(&self, before: MessageId) -> Result<bool, StoreError>;

    /// Proves that a write reaches stable storage (readiness).
    async fn probe(&self) -> Result<(), StoreError>;

    /// Ends all work in order: what waits is committed, files are closed.
    async fn close(&self) -> Result<(), StoreError>;
}
