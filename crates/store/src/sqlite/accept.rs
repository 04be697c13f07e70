//! Accepting: one request inside a transaction.
//!
//! Everything that can refuse is decided by reading, before anything is written (`admission`): a request that is
//! refused costs no writes, however large it is.

use super::admission::{Admission, Decision};
use super::codes::{Number, number_key, request_key, signed, written_to_sql};
use super::counters::{Column, hour_of};
use super::error::Tried;
use super::memory::Work;
use super::message_status::{Flags, MessageStatus};
use super::request_time::{self, Moment};
use super::{outbox, references, tasks};
use crate::{
    AcceptCommand, AcceptError, AcceptOutcome, Accepted, AccountId, AttemptId, BatchRange, Caps, CarrierNo,
    DimensionsNo, EventKinds, EventWhat, Lane, MessageId, NewBatch, NewIdempotency, NewMessage,
    QueuePosition, QueuedRange, StatsDimensions, StatsKey, StoreError, UnixMs,
};
use rusqlite::{CachedStatement, OptionalExtension};
use sms::state::MessageState;
use std::ops::ControlFlow;
use std::sync::Arc;

pub(super) fn accept(work: &mut Work<'_>, command: &mut AcceptCommand) -> Result<Accepted, AcceptError> {
    work.tick(command.now)?;
    let request = command.idempotency.take();
    if let Some(request) = &request
        && let Some(earlier) = earlier(work, command.account, command.now, request)?
    {
        return Ok(repeated(work, command.now, earlier)?);
    }
    let admission = Admission::check(work, command)?;
    admission.charge(work, command)?;
    if let Some(step) = &command.step
        && !tasks::advance(work.conn, step, admission.refused.len() as u64).tried("move a task on")?
    {
        return Err(AcceptError::TaskMoved);
    }
    let outcome = store(work, command, &admission)?;
    if let Some(request) = request {
        let messages = messages_of(&outcome);
        record_idempotent(work, command.account, command.now, request, &outcome, messages)?;
    }
    Ok(Accepted::New(outcome))
}

/// The first and the last message of a command.
fn messages_of(outcome: &AcceptOutcome) -> Option<(MessageId, MessageId)> {
    let mut stored = outcome.batches.iter().filter(|batch| batch.count > 0);
    let first = stored.next()?;
    let last = stored.next_back().unwrap_or(first);
    Some((first.first, last.first.plus(i64::from(last.count) - 1)))
}

/// The answer of a repeat; a repeat with other content is recorded beside the messages of the first request.
fn repeated(work: &Work<'_>, now: UnixMs, earlier: IdempotencyRecord) -> Result<Accepted, StoreError> {
    let IdempotencyRecord {
        answer,
        same_body,
        messages,
    } = earlier;
    if let (false, Some((first, last))) = (same_body, messages) {
        work.conn
            .prepare_cached(
                "INSERT INTO reused_request_id (first_message, last_message, times, last_at) VALUES (?1, ?2, 1, ?3)
                 ON CONFLICT (first_message) DO UPDATE SET times = times + 1, last_at = excluded.last_at",
            )
            .and_then(|mut insert| insert.execute((first, last, now)))
            .tried("note a request id that was used again")?;
    }
    Ok(Accepted::Repeat { answer, same_body })
}

/// What an earlier request of the same id was answered.
pub(super) struct IdempotencyRecord {
    pub(super) answer: Vec<u8>,
    pub(super) same_body: bool,
    /// The first and the last message that it became.
    messages: Option<(i64, i64)>,
}

/// Fingerprint, answer, when it expires, first and last message.
type Row = (i64, Vec<u8>, UnixMs, Option<i64>, Option<i64>);

/// Looks for an earlier request of the same id.
pub(super) fn earlier<T>(
    work: &mut Work<'_>,
    account: AccountId,
    now: UnixMs,
    request: &NewIdempotency<T>,
) -> Result<Option<IdempotencyRecord>, StoreError> {
    let passed_ms = request.passed_ms;
    let last = work.memory.last_request;
    if let Some(leap) = work.memory.request_time.look(Moment { now, passed_ms }, last) {
        request_time::store(work.conn, leap).tried("note for request ids that the clock has jumped")?;
    }
    let work = &*work;
    let key = request_key(&work.memory.id_key, account, request.scope, &request.key);
    let mut repeat = None;
    let find = |id: i64| {
        let found: Option<Row> = work
            .conn
            .prepare_cached(
                "SELECT fingerprint, answer, expires_at, first_message, last_message FROM idempotency_record
                 WHERE id = ?1 AND account = ?2 AND scope = ?3 AND key = ?4",
            )?
            .query_row((id, account.0, request.scope, &request.key), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })
            .optional()?
            .filter(|&(_, _, expires_at, ..)| request_ends_at(work, id, expires_at) > now);
        let Some((fingerprint, answer, _, first, last)) = found else {
            return Ok(ControlFlow::Continue(()));
        };
        repeat = Some(IdempotencyRecord {
            answer,
            same_body: fingerprint == signed(request.fingerprint),
            messages: first.zip(last),
        });
        Ok(ControlFlow::Break(()))
    };
    work.memory
        .requests
        .visit(work.conn, key, 0, &mut { find })
        .tried("look for an earlier request")?;
    Ok(repeat)
}

/// Until when a request is remembered, by the clock of now.
pub(super) fn request_ends_at(work: &Work<'_>, id: i64, expires_at: UnixMs) -> UnixMs {
    let (time, eras) = (&work.memory.request_time, work.memory.id_clock.eras());
    time.ends_at(id, expires_at).unwrap_or_else(|| {
        // Of an earlier release: one that was done while the clock was ahead not until that time comes again.
        let id = MessageId(id);
        expires_at - (eras.accepted_at(id) - eras.believed_at(id))
    })
}

/// Remembers a request with its answer, and the first and the last message that it became.
pub(super) fn record_idempotent<T>(
    work: &mut Work<'_>,
    account: AccountId,
    now: UnixMs,
    request: NewIdempotency<T>,
    outcome: &T,
    messages: Option<(MessageId, MessageId)>,
) -> Result<(), StoreError> {
    let key = request_key(&work.memory.id_key, account, request.scope, &request.key);
    let id = work.memory.next_request();
    let answer = (request.record)(outcome);
    work.conn
        .prepare_cached(
            "INSERT INTO idempotency_record (id, account, scope, key, fingerprint, expires_at, answer, first_message, last_message)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .and_then(|mut insert| {
            insert.execute((
                id,
                account.0,
                request.scope,
                &request.key,
                signed(request.fingerprint),
                now.saturating_add(request.keep_ms),
                answer,
                messages.map(|(first, _)| first.0),
                messages.map(|(_, last)| last.0),
            ))
        })
        .tried("remember a request")?;
    work.memory.requests.memtable().push(key, id);
    work.effects.requests += 1;
    Ok(())
}

fn store(
    work: &mut Work<'_>,
    command: &AcceptCommand,
    admission: &Admission,
) -> Result<AcceptOutcome, StoreError> {
    let capped = command.caps.is_some_and(|caps| caps != Caps::default());
    let mut outcome = AcceptOutcome {
        refused: admission.refused.clone(),
        ..AcceptOutcome::default()
    };
    let mut next = work.memory.next_id();
    let mut session = next;
    let mut decisions = admission.decisions.iter().copied();
    let conn = work.conn;
    let mut insert = conn
        .prepare_cached(INSERT_MESSAGE)
        .tried("prepare to store messages")?;
    for (batch, batch_no) in command.batches.iter().zip(0u32..) {
        if batch.opens_session {
            session = next;
        }
        let insert = &mut insert;
        let mut storing = Storing {
            work,
            insert,
            command,
            batch,
            first: next,
            next,
            dimensions: DimensionsNo(0),
            runs: vec![],
            keys: vec![],
            failed: vec![],
            references: &mut outcome.references,
        };
        for message in &batch.messages {
            let decided = message.failure.map_or(Decision::Queue, Decision::Fail);
            match decisions.next().unwrap_or(decided) {
                Decision::Refuse(_) => {}
                Decision::Fail(code) => storing.message(message, Some(code))?,
                Decision::Queue => storing.message(message, None)?,
            }
        }
        next = storing.next;
        let range = storing.finish(session, capped, batch_no, &mut outcome.queued)?;
        outcome.batches.push(range);
    }
    work.memory.last_id = next.plus(-1);
    Ok(outcome)
}

/// A batch on its way into the tables.
struct Storing<'s, 'w> {
    work: &'s mut Work<'w>,
    insert: &'s mut CachedStatement<'w>,
    command: &'s AcceptCommand,
    batch: &'s NewBatch,
    first: MessageId,
    next: MessageId,
    /// Known from the first message on.
    dimensions: DimensionsNo,
    /// Runs of messages that wait for the same carrier.
    runs: Vec<(CarrierNo, MessageId, MessageId)>,
    /// For the number index.
    keys: Vec<(u64, MessageId)>,
    /// Messages that have ended already, with their codes.
    failed: Vec<(MessageId, Box<str>)>,
    /// Of messages of several parts.
    references: &'s mut Vec<(MessageId, u16)>,
}

const INSERT_MESSAGE: &str = "INSERT INTO message (id, msisdn, carrier, segments, failure, written, params, extra, \
     reference) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

impl Storing<'_, '_> {
    fn message(&mut self, message: &NewMessage, failure: Option<u16>) -> Result<(), StoreError> {
        let id = self.next;
        self.next = id.plus(1);
        if id == self.first {
            self.dimensions = self.find_series()?;
        }
        let stats_key = StatsKey {
            dimensions: self.dimensions,
            country: message.msisdn.country_code().unwrap_or(0),
            segments: message.segments,
        };
        let reference = self.reference(message, failure, id)?;
        self.keys.push((number_key(message.msisdn), id));
        self.insert
            .execute((
                id.0,
                Number(message.msisdn),
                message.carrier.0,
                message.segments,
                failure,
                written_to_sql(&message.written, message.msisdn),
                message.params.as_deref(),
                message.extra.as_deref(),
                reference,
            ))
            .tried("store a message")?;
        match (failure, self.runs.last_mut()) {
            (Some(code), _) => {
                let code: Box<str> = code.to_string().into();
                fail_at_once(self.work, id, message.carrier, &code, stats_key, self.command.now)?;
                self.failed.push((id, code));
            }
            (None, Some((carrier, _, last))) if *carrier == message.carrier && last.plus(1) == id => {
                *last = id
            }
            (None, _) => self.runs.push((message.carrier, id, id)),
        }
        if failure.is_none() {
            self.work.count(id, stats_key, None, Column::QUEUED);
        }
        Ok(())
    }

    /// What ties the parts of the message together; none when it has one part only, or is never sent.
    fn reference(
        &mut self,
        message: &NewMessage,
        failure: Option<u16>,
        id: MessageId,
    ) -> Result<Option<u16>, StoreError> {
        if message.segments <= 1 || failure.is_some() {
            return Ok(None);
        }
        if !self.work.memory.references.knows(message.msisdn) {
            // Earlier messages of this batch to the number are looked for there.
            self.push_keys();
        }
        let reference = references::next(self.work, message.msisdn, id)?;
        self.references.push((id, reference));
        Ok(Some(reference))
    }

    /// Puts the numbers of the messages so far into the number index.
    fn push_keys(&mut self) {
        let mut numbers = self.work.shared.numbers.write();
        for (key, id) in self.keys.drain(..) {
            numbers.memtable().push(key, id.0);
        }
    }

    /// The series of the batch.
    fn find_series(&mut self) -> Result<DimensionsNo, StoreError> {
        let dimensions = StatsDimensions {
            account: self.command.account,
            user: Arc::clone(&self.command.user),
            dialect: self.command.dialect,
            class: self.batch.class,
            kind: self.batch.kind,
            template: self.batch.template,
            label: self.batch.label,
        };
        // Ids may run ahead of the clock: no message of the batch is in a later hour than this.
        let last = self.first.plus(self.batch.messages.len() as i64);
        let hour = hour_of(self.work.memory.id_clock.eras().accepted_at(last));
        let (no, written) = self
            .work
            .memory
            .dimensions
            .number_of(self.work.conn, &dimensions, hour)
            .tried("number a series")?;
        if written {
            self.work.effects.dimensions.push((dimensions, no));
        }
        Ok(no)
    }

    /// Appends the events: the batch was accepted, and some of its messages have ended.
    fn append_events(&mut self, count: u32) {
        let (account, at, first) = (self.command.account, self.command.now, self.first);
        outbox::append(self.work, account, at, EventKinds::ACCEPTED, || {
            EventWhat::Accepted { first, count }
        });
        for (id, error) in std::mem::take(&mut self.failed) {
            outbox::append(self.work, account, at, EventKinds::ENDED, || EventWhat::Message {
                id,
                state: MessageState::Rejected,
                error,
            });
        }
    }

    fn finish(
        mut self,
        session: MessageId,
        capped: bool,
        batch_no: u32,
        queued: &mut Vec<QueuedRange>,
    ) -> Result<BatchRange, StoreError> {
        let count = u32::try_from(self.next.0 - self.first.0)
            .map_err(|_| StoreError::Other("a batch of more than 2^32 messages".into()))?;
        let range = BatchRange {
            first: self.first,
            count,
            session,
            dimensions: self.dimensions,
            accepted_at: self.work.memory.id_clock.eras().accepted_at(self.first),
        };
        if count == 0 {
            return Ok(range);
        }
        self.append_events(count);
        self.push_keys();
        let Self {
            work,
            command,
            batch,
            first,
            dimensions,
            runs,
            ..
        } = self;
        work.conn
            .prepare_cached(
                "INSERT INTO batch (first_id, session, messages, account, dialect, class, kind, template, label,
                                    capped, due, sender, custom, text, user, dimensions, expires_at,
                                    message_type, accepted_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
            )
            .and_then(|mut insert| {
                insert.execute(rusqlite::params![
                    first.0,
                    session.0,
                    count,
                    command.account.0,
                    command.dialect.as_u8(),
                    batch.class.as_u8(),
                    batch.kind.as_u8(),
                    batch.template,
                    batch.label,
                    capped,
                    batch.due,
                    batch.sender.as_deref(),
                    batch.custom.as_deref(),
                    &*batch.text,
                    &*command.user,
                    dimensions.0,
                    batch.expires_at,
                    batch.message_type,
                    // As the id says, but for a clock that was set back.
                    Some(range.accepted_at).filter(|&at| at != first.time_part()),
                ])
            })
            .tried("store a batch")?;
        for (carrier, first, last) in runs {
            let lane = Lane {
                carrier,
                class: batch.class,
                account: command.account,
            };
            // Nothing is put off beyond its end: there it ends.
            let due = batch
                .due
                .map(|due| batch.expires_at.map_or(due, |end| due.min(end)));
            match due.filter(|&due| due > command.now) {
                Some(due) => super::queue::delay(work, due, lane, first, last, 0, None)?,
                None => {
                    let no = super::queue::enqueue(work, lane, first, last, 0, None)?;
                    queued.push(QueuedRange {
                        key: QueuePosition { lane, no },
                        first,
                        last,
                        batch: batch_no,
                    });
                }
            }
        }
        Ok(range)
    }
}

/// A message that can only fail comes to its final state with being accepted.
fn fail_at_once(
    work: &mut Work<'_>,
    id: MessageId,
    carrier: CarrierNo,
    code: &str,
    stats_key: StatsKey,
    now: UnixMs,
) -> Result<(), StoreError> {
    let state = MessageState::Rejected;
    work.count(id, stats_key, None, Column { state, error: code });
    outbox::failed(work, id, state);
    let outcome = MessageStatus {
        id,
        state,
        flags: Flags::IN_TIMELINE,
        carrier,
        bind: 0,
        attempts: 0,
        attempt: AttemptId(0),
        attempted_at: now,
        answered_at: now,
        changed_at: now,
        status: 0,
        carrier_id: None,
        error: code.into(),
        segments: None,
        stats_key,
    };
    MessageStatus::inserting(work.conn)
        .and_then(|mut inserting| outcome.insert(&mut inserting))
        .map(drop)
        .tried("store a failure")
}
