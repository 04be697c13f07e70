//! What happens to each recipient of a request, and what the request costs: decided before any of it is stored.

use super::codes::capped_key;
use super::error::Tried;
use super::id_clock::IdRanges;
use super::memory::Work;
use crate::{
    AcceptCommand, AcceptError, AccountId, Caps, Charge, MessageId, NewMessage, RefusedAtCommit,
    RefusedReason, SuppressedPolicy, UnixMs,
};
use rusqlite::OptionalExtension;
use sms::phone::Msisdn;
use std::ops::ControlFlow;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// What happens to a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Queue,
    Fail(u16),
    Refuse(RefusedReason),
}

/// The decisions on all recipients of a command, in its order.
pub(super) struct Admission {
    /// Empty when nothing but [`NewMessage::failure`] decides.
    pub(super) decisions: Vec<Decision>,
    pub(super) refused: Vec<RefusedAtCommit>,
    /// Segments of what will be queued.
    segments: i64,
}

impl Admission {
    pub(super) fn check(work: &mut Work<'_>, command: &AcceptCommand) -> Result<Self, AcceptError> {
        let caps = command.caps.filter(|caps| *caps != Caps::default());
        let mut admission = Self {
            decisions: Vec::new(),
            refused: Vec::new(),
            segments: 0,
        };
        if command.batches.iter().all(|batch| batch.messages.is_empty()) {
            return Err(AcceptError::NothingLeft(admission.refused));
        }
        if caps.is_none() && !work.memory.suppressed.any() {
            let messages = command.batches.iter().flat_map(|batch| &batch.messages);
            admission.segments = messages
                .filter(|m| m.failure.is_none())
                .map(|m| i64::from(m.segments))
                .sum();
            return Ok(admission);
        }
        let mut next = work.memory.next_id();
        for (batch, batch_no) in command.batches.iter().zip(0u32..) {
            for (message, message_no) in batch.messages.iter().zip(0u32..) {
                let decision =
                    decide_recipient(work, command, caps, message).tried("decide on a recipient")?;
                admission.decisions.push(decision);
                match decision {
                    Decision::Refuse(reason) => {
                        let refused = RefusedAtCommit {
                            batch: batch_no,
                            message: message_no,
                            reason,
                        };
                        admission.refused.push(refused);
                        continue;
                    }
                    Decision::Fail(_) => {}
                    Decision::Queue => {
                        admission.segments += i64::from(message.segments);
                        if caps.is_some() {
                            // At once, so that the next recipient of this request counts it.
                            let key = capped_key(command.account, message.msisdn);
                            work.shared.numbers.write().memtable().push(key, next.0);
                        }
                    }
                }
                next = next.plus(1);
            }
        }
        if admission
            .decisions
            .iter()
            .all(|decision| matches!(decision, Decision::Refuse(_)))
        {
            return Err(AcceptError::NothingLeft(admission.refused));
        }
        Ok(admission)
    }

    /// Takes what the request costs from the account's balance.
    pub(super) fn charge(&self, work: &Work<'_>, command: &AcceptCommand) -> Result<(), AcceptError> {
        if command.charge == Charge::Free || self.segments == 0 {
            return Ok(());
        }
        let balance: Option<i64> = work
            .conn
            .prepare_cached("SELECT balance FROM account WHERE id = ?1")
            .and_then(|mut select| select.query_row([command.account.0], |row| row.get(0)).optional())
            .tried("read a balance")?
            .flatten();
        // An account without a balance is not counted.
        let Some(balance) = balance else { return Ok(()) };
        if balance < self.segments {
            return Err(AcceptError::Balance {
                balance,
                needed: self.segments,
            });
        }
        work.conn
            .prepare_cached("UPDATE account SET balance = balance - ?2 WHERE id = ?1")
            .and_then(|mut update| update.execute((command.account.0, self.segments)))
            .tried("charge a balance")?;
        Ok(())
    }
}

fn decide_recipient(
    work: &Work<'_>,
    command: &AcceptCommand,
    caps: Option<Caps>,
    message: &NewMessage,
) -> rusqlite::Result<Decision> {
    if let Some(code) = message.failure {
        return Ok(Decision::Fail(code));
    }
    if let Some(kind) = work
        .memory
        .suppressed
        .kind_of(work.conn, command.account, message.msisdn)?
    {
        return Ok(match command.suppressed {
            SuppressedPolicy::Refuse => Decision::Refuse(RefusedReason::Suppressed(kind)),
            SuppressedPolicy::Fail => Decision::Fail(kind.code()),
        });
    }
    if let Some(caps) = caps
        && let Some(reason) = over_cap(work, command.account, message.msisdn, caps, command.now)?
    {
        return Ok(Decision::Refuse(reason));
    }
    Ok(Decision::Queue)
}

/// Counts what a number got within the last minute and the last day: exact, because eras map ids to times.
fn over_cap(
    work: &Work<'_>,
    account: AccountId,
    msisdn: Msisdn,
    caps: Caps,
    now: UnixMs,
) -> rusqlite::Result<Option<RefusedReason>> {
    let eras = work.memory.id_clock.eras();
    let minute = eras.given_since(now - MINUTE_MS + 1, now);
    let (counted, most) = match (caps.per_minute_max, caps.per_day_max) {
        (per_minute, 0) => (minute.clone(), per_minute),
        (per_minute, per_day) => (eras.given_since(now - DAY_MS + 1, now), per_day.max(per_minute)),
    };
    let floor = counted.last().map_or(i64::MAX, |ids| ids.start().0);
    let is_in = |ranges: &IdRanges, id: i64| ranges.iter().any(|ids| ids.contains(&MessageId(id)));
    let (mut in_minute, mut in_day) = (0u32, 0u32);
    let mut count = |id: i64| {
        if id < floor {
            return Ok(ControlFlow::Break(()));
        }
        in_day += u32::from(is_in(&counted, id));
        in_minute += u32::from(is_in(&minute, id));
        Ok(if in_day > most {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    };
    work.shared
        .numbers
        .read()
        .visit(work.conn, capped_key(account, msisdn), floor, &mut count)?;
    Ok(if caps.per_minute_max > 0 && in_minute >= caps.per_minute_max {
        Some(RefusedReason::PerMinute)
    } else if caps.per_day_max > 0 && in_day >= caps.per_day_max {
        Some(RefusedReason::PerDay)
    } else {
        None
    })
}
