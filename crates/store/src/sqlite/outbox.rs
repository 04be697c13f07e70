//! The outbox: what follows from a change is counted, and appended as an event for the endpoints that subscribe to
//! it.
//!
//! Both are noted in memory while a group runs, are rolled back with the command that made them, and are written once
//! before the group's commit: the events of an account as one row.

use super::counters::{self, Column};
use super::error::Tried;
use super::events;
use super::memory::Work;
use crate::{
    AccountId, CatalogChange, DimensionsNo, EventKinds, EventWhat, FAILED_MAX, MessageId, StatsKey,
    StoreError, UnixMs,
};
use rusqlite::Connection;
use sms::state::MessageState;
use std::collections::HashMap;

/// The kinds of events that the endpoints of accounts subscribe to, those that are switched off included. Small: one
/// number an account with endpoints; an account without any costs a look-up in an empty map.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    kinds: HashMap<AccountId, EventKinds>,
    /// What anybody wants.
    any: EventKinds,
    /// What is here may be what was taken back.
    stale: bool,
}

impl Wanted {
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut wanted = Self::default();
        let mut select = conn.prepare_cached("SELECT account, kinds FROM endpoint")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let kinds = EventKinds(row.get(1)?);
            wanted.any = wanted.any | kinds;
            let all = wanted.kinds.entry(AccountId(row.get(0)?)).or_default();
            *all = *all | kinds;
        }
        Ok(wanted)
    }

    /// To be read again before the next group.
    pub(super) fn taken_back(&mut self) {
        self.stale = true;
    }

    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    fn any(&self, kinds: EventKinds) -> bool {
        self.any.contains(kinds)
    }

    fn by(&self, account: AccountId, kinds: EventKinds) -> bool {
        self.kinds.get(&account).is_some_and(|all| all.contains(kinds))
    }
}

/// An event to be logged with the group.
#[derive(Debug)]
pub(super) struct Noted {
    account: AccountId,
    at: UnixMs,
    what: EventWhat,
}

/// A message's way from one state to another, each with its error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'c> {
    pub(super) id: MessageId,
    pub(super) stats_key: StatsKey,
    pub(super) from: (MessageState, &'c str),
    pub(super) to: (MessageState, &'c str),
    pub(super) at: UnixMs,
}

/// A message has changed its state.
pub(super) fn changed(work: &mut Work<'_>, change: Change<'_>) -> Result<(), StoreError> {
    let from = Column::of(change.from.0, change.from.1);
    let to = Column::of(change.to.0, change.to.1);
    if from == to {
        return Ok(());
    }
    work.count(change.id, change.stats_key, Some(from), to);
    failed(work, change.id, to.state);
    let kind = match to.state {
        MessageState::Submitted => {
            work.effects.submitted.push((change.at, change.id));
            EventKinds::SUBMITTED
        }
        state if state.is_final() => EventKinds::ENDED,
        _ => return Ok(()),
    };
    if !work.memory.wanted.any(kind) {
        return Ok(());
    }
    let account = account_of(work, change.id, change.stats_key.dimensions)?;
    let (id, at) = (change.id, change.at);
    append(work, account, at, kind, || EventWhat::Message {
        id,
        state: to.state,
        error: to.error.into(),
    });
    Ok(())
}

/// Notes a message that came to a failure, for those who log them.
pub(super) fn failed(work: &mut Work<'_>, id: MessageId, state: MessageState) {
    if state.is_failure() && work.effects.failed.len() < FAILED_MAX {
        work.effects.failed.push(id);
    }
}

/// Notes an event of a kind, should an endpoint of the account want it; true when one does.
pub(super) fn append(
    work: &mut Work<'_>,
    account: AccountId,
    at: UnixMs,
    kind: EventKinds,
    what: impl FnOnce() -> EventWhat,
) -> bool {
    let wanted = work.memory.wanted.by(account, kind);
    if wanted {
        work.effects.events.push(Noted {
            account,
            at,
            what: what(),
        });
    }
    wanted
}

/// Whose message it is.
fn account_of(work: &mut Work<'_>, id: MessageId, dimensions: DimensionsNo) -> Result<AccountId, StoreError> {
    if dimensions != DimensionsNo(0)
        && let Some(account) = work
            .memory
            .dimensions
            .account_of(work.conn, dimensions)
            .tried("look for a series")?
    {
        return Ok(account);
    }
    work.batch_of(id).map(|batch| batch.account)
}

/// Whether a change of the catalog may change the subscriptions.
pub(super) const fn changes_what_is_wanted(change: &CatalogChange) -> bool {
    matches!(
        change,
        CatalogChange::PutEndpoint(_) | CatalogChange::RemoveEndpoint(_) | CatalogChange::RemoveAccount(_)
    )
}

/// What was logged since the listener was last called: also by commands of their own, and by other processes.
#[derive(Debug, Default)]
pub(super) struct Appended {
    pub(super) accounts: Vec<AccountId>,
    /// The last row of the log.
    pub(super) row: i64,
}

/// Writes what the group has noted: within its transaction, after its last command.
pub(super) fn flush(work: &mut Work<'_>) -> Result<Appended, StoreError> {
    counters::flush(work)?;
    let mut noted = std::mem::take(&mut work.effects.events);
    // Stable: each account's events stay in their order.
    noted.sort_by_key(|event| event.account);
    for of_account in noted.chunk_by(|a, b| a.account == b.account) {
        let events = of_account.iter().map(|event| (event.at, &event.what));
        if let Some(first) = of_account.first() {
            events::log(work.conn, first.account, events)?;
        }
    }
    let row = events::last_row(work.conn).tried("look for the last event")?;
    let accounts = if row > work.memory.event_row {
        events::accounts_after(work.conn, work.memory.event_row)?
    } else {
        Vec::new()
    };
    Ok(Appended { accounts, row })
}
