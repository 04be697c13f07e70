//! The port: what the engine needs of a store, in the terms of the field and without SQL.

mod accept;
mod attempt;
mod catalog;
mod contact;
mod error;
mod event;
mod ids;
mod inbound;
mod query;
mod queue;
mod receipt;
mod record;
mod statistics;

pub use accept::{
    AcceptCommand, AcceptOutcome, Accepted, AfterCommit, BatchRange, Caps, Charge, NewBatch, NewIdempotency,
    NewMessage, OnCommit, RecordAnswer, RefusedAtCommit, RefusedReason, SuppressedPolicy,
};
pub use attempt::{
    Answer, AttemptOutcome, AttemptStart, BegunAttempt, DequeuedRange, Next, OpenAttempt, RecordResults,
    ResultEffect, SegmentAnswer,
};
pub use catalog::{
    Account, Carrier, Catalog, CatalogChange, CatalogExpectation, Credential, Dialect, OPT_IN_WORDS,
    OtherContent, Position, Review, Route, Signature, Suppression, SuppressionEntry, SuppressionKind,
    SuppressionOrigin, Template, TemplateVersion, WordList,
};
pub use contact::{
    AddedTask, Contact, ContactBounds, ContactList, ContactRefusal, NewTask, Page, PutContact, Task,
    TaskProgress, TaskState, TaskStep,
};
pub use error::{AcceptError, StoreError};
pub use event::{
    DeliveryRetry, DeliveryRetryFilter, Endpoint, EndpointId, EndpointState, Event, EventKinds, EventOffset,
    EventWhat, InboundId, LastError, NewDeliveryRetry, Pause, RecordDelivery, Retried,
};
pub use ids::{AccountId, AttemptId, BatchId, CarrierNo, MessageId, QueueSeq, UnixMs};
pub use inbound::{
    AccountWords, Inbound, InboundBody, InboundEffect, InboundFilter, InboundPart, LastTo, NewInbound,
};
pub use query::{
    BatchView, Counts, MessageFilter, MessageSpan, MessageView, SegmentView, TimelineEntry, TimelineKind,
};
pub use queue::{
    EXPIRED_IN_DOUBT, EXPIRED_UNSENT, ExpirySweep, Lane, LaneBacklog, OnRelease, Outgoing, QueuePosition,
    QueuedRange, Released, SegmentSet, SweptExpired, TakenSegments,
};
pub use receipt::{CarrierReceipt, ReceiptEffect, ReceiptScope};
pub use record::{Record, RecordBounds, RecordFilter, RecordKind, RecordRefusal};
pub use statistics::{DimensionsNo, Statistic, StatisticsFilter, StatsDimensions, StatsKey};

use async_trait::async_trait;
use sms::phone::Msisdn;
#[expect(unused_imports, reason = "named in documentation")]
use sms::state::MessageState;
use std::collections::HashSet;
use std::sync::Arc;

/// What the engine needs of a store. Every method is durable when it returns `Ok`.
///
/// All ranges of ids are inclusive. All times are Unix milliseconds, given by the caller: a store reads
/// no clock, so whole scenarios run on a paused one.
#[async_trait]
pub trait Store: Events + Statistics + Inbox + Contacts + Records + Send + Sync + 'static {
    /// Stores the batches of one request, or nothing of it.
    ///
    /// Idempotency, suppressions, caps and balance are decided inside the transaction. Message ids are
    /// given in commit order, contiguous within the whole request, batch after batch.
    async fn accept(&self, command: AcceptCommand) -> Result<Accepted, AcceptError>;

    /// The messages that wait in a lane, from `after` (exclusive) on, in queue order; at most `messages_max`.
    async fn read_lane(
        &self,
        lane: Lane,
        after: Option<(QueueSeq, MessageId)>,
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
    /// Returns one attempt for each start, in order. What no longer waits is no part of it: see
    /// [`BegunAttempt::gone`].
    async fn begin_attempts(&self, starts: Vec<AttemptStart>) -> Result<Vec<BegunAttempt>, StoreError>;

    /// Ends messages that wait in lanes and whose time to live has ended at `now`: takes them off, with their final
    /// state, event and counters ([`EXPIRED_UNSENT`], [`EXPIRED_IN_DOUBT`]). What does not wait there any more, or has
    /// not expired, is left alone; so an attempt that was begun wins. Returns what ended, by lane.
    async fn expire_queued(
        &self,
        runs: Vec<DequeuedRange>,
        now: UnixMs,
    ) -> Result<Vec<LaneBacklog>, StoreError>;

    /// One step of a sweep over all that waits in lanes, that ends what has expired at `now`: looks at a bounded number
    /// of ranges from `from` on (`None`: from the start). Costs nothing for what is stored and does not wait. What waits
    /// for its time (schedules, retries) need not be looked at: it is never put off beyond its end.
    async fn sweep_expired(&self, from: Option<ExpirySweep>, now: UnixMs)
    -> Result<SweptExpired, StoreError>;

    /// Records results of attempts. Unmatched receipts for a carrier id named here are applied in the same
    /// transaction. Returns one effect an outcome, in their order.
    async fn record_results(&self, results: RecordResults) -> Result<Vec<ResultEffect>, StoreError>;

    /// Attempts that were begun and never answered (after a kill): the messages in doubt.
    async fn open_attempts(&self) -> Result<Vec<OpenAttempt>, StoreError>;

    /// Records receipts, matched per carrier by the carrier's ids. Unmatched ones are stored, unless
    /// [`CarrierReceipt::only_if_known`] is set. A carrier may give several messages one id: each receipt goes to one
    /// that still waits, to the one submitted first among those submitted within an hour of the newest. Returns one
    /// effect a receipt, in their order.
    async fn record_receipts(&self, receipts: Vec<CarrierReceipt>) -> Result<Vec<ReceiptEffect>, StoreError>;

    /// Gives up on receipts: messages that were given to a carrier before `submitted_before` and still wait become
    /// [`MessageState::Unknown`] at `now` (a receipt that still comes corrects that), whenever they were accepted.
    /// Does a bounded piece a call, the longest submitted first; returns which messages ended, and whether there may
    /// be more.
    async fn give_up_receipts(
        &self,
        submitted_before: UnixMs,
        now: UnixMs,
    ) -> Result<(Vec<MessageId>, bool), StoreError>;

    /// Drops unmatched receipts received before `before`; returns how many. Those received while the clock was ahead
    /// of `now` wait from now on.
    async fn expire_unmatched(&self, before: UnixMs, now: UnixMs) -> Result<u64, StoreError>;

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

    /// Messages of an account within a range of ids or a span of time that pass a filter, newest first, with how many
    /// pass in all (counted up to `MessageFilter::count_max`).
    async fn find(
        &self,
        account: AccountId,
        span: MessageSpan,
        filter: MessageFilter,
    ) -> Result<(Vec<MessageView>, u64), StoreError>;

    /// Everything known about one message, oldest first.
    async fn timeline(&self, id: MessageId) -> Result<Vec<TimelineEntry>, StoreError>;

    /// How many messages are in which state since the store was made.
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// The whole catalog with its version.
    async fn load_catalog(&self) -> Result<Catalog, StoreError>;

    /// The catalog's version alone: cheap enough to ask every second. Suppressions and balances are not part of it:
    /// it grows with everything else, and when an account begins or ceases to be counted.
    async fn catalog_version(&self) -> Result<u64, StoreError>;

    /// Applies changes in one transaction and returns the version that has them.
    async fn change_catalog(&self, changes: Vec<CatalogChange>) -> Result<u64, StoreError>;

    /// As [`Store::change_catalog`], but only if the catalog is still at `version`; `None` when it has moved on and
    /// nothing was changed. What is made from a look at the catalog (a number that is free, a name that is not
    /// taken) is made with this.
    async fn change_catalog_at(
        &self,
        version: u64,
        changes: Vec<CatalogChange>,
    ) -> Result<Option<u64>, StoreError>;

    /// As [`Store::change_catalog`], but only while all that is expected holds; `None` when something of it does not and
    /// nothing was changed. Changes of different things do not get in each other's way.
    async fn change_catalog_if(
        &self,
        expected: Vec<CatalogExpectation>,
        changes: Vec<CatalogChange>,
    ) -> Result<Option<u64>, StoreError>;

    /// Earlier versions of a template, the newest first; at most `versions_max`.
    async fn template_versions(
        &self,
        number: i64,
        versions_max: usize,
    ) -> Result<Vec<TemplateVersion>, StoreError>;

    /// Suppressions in the order of their numbers, from `after` on (exclusive); at most `suppressions_max`.
    async fn suppressions(
        &self,
        after: Option<Suppression>,
        suppressions_max: usize,
    ) -> Result<Vec<Suppression>, StoreError>;

    /// The same with their proofs, of one number or of all.
    async fn suppression_entries(
        &self,
        msisdn: Option<Msisdn>,
        after: Option<Suppression>,
        suppressions_max: usize,
    ) -> Result<Vec<SuppressionEntry>, StoreError>;

    /// 32 random bytes made with the store: the key under which public ids are derived from message ids.
    async fn id_key(&self) -> Result<[u8; 32], StoreError>;

    /// Deletes messages (and all that hangs on them) that were accepted before `before`, the oldest first and a bounded
    /// piece a call; returns true while there is more. Messages not in a final state are kept. `now` is what the clock
    /// says: what it said later than that was wrong, and is not waited for.
    async fn expire_messages(&self, before: UnixMs, now: UnixMs) -> Result<bool, StoreError>;

    /// The clock was ahead and is right again: sets the times that it produced back to `now`, that is, pauses before
    /// retries and calls, and times of what happened. Schedules set by clients stay. Returns how many times were
    /// changed.
    async fn correct_times(&self, now: UnixMs) -> Result<u64, StoreError>;

    /// When the newest of all that was accepted or received was, as the clock said then; 0 for an empty store. A clock that
    /// is behind it is wrong, or was.
    fn newest_at(&self) -> UnixMs;

    /// Whether what is deleted for its age alone is kept for now (requests done, index runs that lead to nothing any
    /// more): the clock is not to be believed yet. Sweeps are the caller's to hold back.
    fn hold_deletes(&self, hold: bool);

    /// Proves that a write reaches stable storage (readiness).
    async fn probe(&self) -> Result<(), StoreError>;

    /// Why the store can never work again (the thread that writes has died, say). Waits for ever while it can; whoever
    /// runs a node ends it then. Cancel safe.
    async fn failed(&self) -> std::sync::Arc<str>;

    /// Ends all work in order: what waits is committed, files are closed.
    async fn close(&self) -> Result<(), StoreError>;
}

/// The outbox: the log of events, and the acked offset of each endpoint.
#[async_trait]
pub trait Events {
    /// Events of an account after an offset, of the given kinds, in order; at most `events_max`, and the offset up to
    /// which the log was read (where to go on from). An empty answer with a later offset is not the end; the end is
    /// an offset that does not move.
    async fn events(
        &self,
        account: AccountId,
        after: EventOffset,
        kinds: EventKinds,
        events_max: usize,
    ) -> Result<(Vec<Event>, EventOffset), StoreError>;

    /// The place before the first event of an account at or after a time: where a replay begins.
    async fn offset_before(&self, account: AccountId, at: UnixMs) -> Result<EventOffset, StoreError>;

    /// The state of every endpoint of the catalog. A new one begins at the end of the log.
    async fn endpoint_states(&self) -> Result<Vec<EndpointState>, StoreError>;

    /// Records what a worker has done.
    async fn record_delivery(&self, done: RecordDelivery) -> Result<(), StoreError>;

    /// Retries of an endpoint, from number `after` on (exclusive; ignored for [`DeliveryRetryFilter::Due`]); at most
    /// `calls_max`.
    async fn delivery_retries(
        &self,
        endpoint: EndpointId,
        filter: DeliveryRetryFilter,
        after: i64,
        calls_max: usize,
    ) -> Result<Vec<DeliveryRetry>, StoreError>;

    /// Deletes events logged before `before` that every endpoint of their account has acked or that no endpoint
    /// subscribes to, and dead calls older than `dead_before`; a bounded piece a call, true while there is more.
    async fn expire_events(&self, before: UnixMs, dead_before: UnixMs) -> Result<bool, StoreError>;

    /// Woken after a commit that logged events, with the accounts they are of. One listener: a second call takes
    /// its place. The callback runs on the store's own thread; it must be short and must not call the store.
    fn on_events(&self, listener: EventListener);

    /// Called after a commit with the messages that failed in it: the first [`FAILED_MAX`] of them, for a log. One
    /// listener, as above.
    fn on_failed(&self, listener: FailedListener);
}

/// See [`Events::on_failed`].
pub type FailedListener = Box<dyn Fn(&[MessageId]) + Send + Sync>;

/// Messages that [`Events::on_failed`] gets after one commit, at most.
pub const FAILED_MAX: usize = 32;

/// See [`Events::on_events`].
pub type EventListener = Box<dyn Fn(&[AccountId]) + Send + Sync>;

/// Counters.
#[async_trait]
pub trait Statistics {
    /// The counters of an account that pass a filter, by day, series, country, state and error, in that order; at
    /// most `rows_max`.
    async fn statistics(
        &self,
        account: AccountId,
        filter: StatisticsFilter,
        rows_max: usize,
    ) -> Result<Vec<Statistic>, StoreError>;

    /// Deletes counters of hours before `before`; returns how many rows.
    async fn expire_statistics(&self, before: UnixMs) -> Result<u64, StoreError>;
}

/// Inbound messages.
#[async_trait]
pub trait Inbox {
    /// Records parts of inbound messages. The last part of one makes it complete and appends an event in the same
    /// transaction. Returns one effect a part, in their order.
    ///
    /// A message that is a keyword of its account and came from a number changes the suppression
    /// [`super::SuppressionKind::Unsubscribed`] of that number, in the same transaction: an opt-out keyword adds it,
    /// an opt-in keyword removes it, if an opt-out keyword had added it. An incomplete message never counts as a
    /// keyword.
    async fn record_inbound(
        &self,
        parts: Vec<NewInbound>,
        words: Arc<AccountWords>,
    ) -> Result<Vec<InboundEffect>, StoreError>;

    /// Inbound messages by id (order of the ids; unknown ones are left out).
    async fn inbound(&self, ids: Vec<InboundId>) -> Result<Vec<Inbound>, StoreError>;

    /// Inbound messages, the newest first, and where to go on when there may be more: a bounded number is looked at, so
    /// that a piece may have few of them, or none.
    async fn find_inbound(
        &self,
        filter: InboundFilter,
    ) -> Result<(Vec<Inbound>, Option<InboundId>), StoreError>;

    /// The newest message to a number, of any account, that was given to a carrier: what still waits, or failed
    /// before it was sent, nobody can have answered. Only the newest thousand are looked at.
    async fn last_to(&self, request: LastTo) -> Result<Option<MessageView>, StoreError>;

    /// Completes, with the parts there are, messages no part of which has come since `before`, and deletes complete
    /// ones received before `delete_before`; returns how many of each. Parts that came while the clock was ahead of `now`
    /// are not waited for. Looks at a bounded piece of both a call.
    async fn expire_inbound(
        &self,
        before: UnixMs,
        delete_before: UnixMs,
        now: UnixMs,
    ) -> Result<(u64, u64), StoreError>;
}

/// Contact lists and the tasks that send to them.
#[async_trait]
pub trait Contacts {
    /// Makes a list; refuses when the account has `lists_max` of them.
    async fn add_list(
        &self,
        account: AccountId,
        name: Box<str>,
        description: Box<str>,
        now: UnixMs,
        lists_max: u64,
    ) -> Result<Result<ContactList, ContactRefusal>, StoreError>;

    /// Changes a list's name or description.
    async fn change_list(
        &self,
        account: AccountId,
        id: i64,
        name: Option<Box<str>>,
        description: Option<Box<str>>,
        now: UnixMs,
    ) -> Result<Result<ContactList, ContactRefusal>, StoreError>;

    /// Takes a list away with its members (they are deleted a bounded piece at a time, afterwards); refused while a
    /// task that has not ended sends to it.
    async fn remove_list(
        &self,
        account: AccountId,
        id: i64,
    ) -> Result<Result<(), ContactRefusal>, StoreError>;

    /// The account's list of that name.
    async fn list_named(&self, account: AccountId, name: Box<str>)
    -> Result<Option<ContactList>, StoreError>;

    /// Lists of an account by id, those whose name contains `name_contains` (whatever the case; empty: all).
    async fn lists(
        &self,
        account: AccountId,
        name_contains: Box<str>,
        offset: u64,
        limit: usize,
    ) -> Result<Page<ContactList>, StoreError>;

    /// Adds members, or changes those whose number is there already; refuses all when somebody is new and the list
    /// or the account would have more than `bounds` say. Returns them as they are then, in order.
    async fn put_contacts(
        &self,
        account: AccountId,
        list: i64,
        contacts: Vec<PutContact>,
        now: UnixMs,
        bounds: ContactBounds,
    ) -> Result<Result<Vec<Contact>, ContactRefusal>, StoreError>;

    /// Takes a member out.
    async fn remove_contact(
        &self,
        account: AccountId,
        list: i64,
        msisdn: Msisdn,
        now: UnixMs,
    ) -> Result<Result<(), ContactRefusal>, StoreError>;

    /// Members of a list by id: with a number only that one, with a name those whose name contains it.
    async fn contacts(
        &self,
        account: AccountId,
        list: i64,
        msisdn: Option<Msisdn>,
        name_contains: Box<str>,
        offset: u64,
        limit: usize,
    ) -> Result<Page<Contact>, StoreError>;

    /// Members of a list with ids above `after` and up to `last`, by id; at most `contacts_max`: how a task reads.
    async fn contacts_after(
        &self,
        list: i64,
        after: i64,
        last: i64,
        contacts_max: usize,
    ) -> Result<Vec<Contact>, StoreError>;

    /// Which of these numbers any of the lists has as a member with an id up to `last`: one look-up a number and list.
    async fn members_among(
        &self,
        lists: Vec<i64>,
        last: i64,
        msisdns: Vec<Msisdn>,
    ) -> Result<HashSet<Msisdn>, StoreError>;

    /// Makes a task; its members are those its lists have now. Whether the request was done before is decided in the
    /// same transaction, and before anything else.
    async fn add_task(&self, new: NewTask) -> Result<Result<AddedTask, ContactRefusal>, StoreError>;

    /// A task.
    async fn task(&self, account: AccountId, id: i64) -> Result<Option<Task>, StoreError>;

    /// Tasks of all accounts that wait or run, the earliest due first; at most `tasks_max`.
    async fn open_tasks(&self, tasks_max: usize) -> Result<Vec<Task>, StoreError>;

    /// Tasks of all accounts, whatever has become of them, the newest first: those older than `before`, at most
    /// `tasks_max`.
    async fn tasks(&self, before: Option<i64>, tasks_max: usize) -> Result<Vec<Task>, StoreError>;

    /// Deletes tasks that ended before `before`, a bounded piece a call; returns how many.
    async fn expire_tasks(&self, before: UnixMs) -> Result<u64, StoreError>;

    /// Sets when a task ends, whoever is left (see [`Task::ends_at`]), for what it accepts from then on; `None` when it
    /// has ended already or is not there.
    async fn set_task_end(&self, id: i64, ends_at: Option<UnixMs>) -> Result<Option<Task>, StoreError>;

    /// Moves a task to another state; `None` when it has ended already or is not there. Progress that accepted
    /// nothing (a piece all of whose members are refused) is recorded with it; then `None` also when the task is not
    /// where the step begins, or not running, and nothing is changed.
    async fn change_task(
        &self,
        id: i64,
        state: TaskState,
        step: Option<TaskStep>,
        error: Box<str>,
        now: UnixMs,
    ) -> Result<Option<Task>, StoreError>;
}

/// Small things of an account.
#[async_trait]
pub trait Records {
    /// Makes a record; `record.id` is not looked at. Refuses what would go beyond the bounds.
    async fn add_record(
        &self,
        record: Record,
        bounds: RecordBounds,
    ) -> Result<Result<Record, RecordRefusal>, StoreError>;

    /// Replaces name, body and data of a record.
    async fn change_record(&self, record: Record) -> Result<Result<Record, RecordRefusal>, StoreError>;

    /// Removes a record; false when there was none.
    async fn remove_record(&self, account: AccountId, kind: RecordKind, id: i64) -> Result<bool, StoreError>;

    /// A record with its data.
    async fn record(
        &self,
        account: AccountId,
        kind: RecordKind,
        id: i64,
    ) -> Result<Option<Record>, StoreError>;

    /// Records by id, without their data.
    async fn records(
        &self,
        account: AccountId,
        kind: RecordKind,
        filter: RecordFilter,
    ) -> Result<Page<Record>, StoreError>;
}
