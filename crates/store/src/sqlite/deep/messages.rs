//! Each message in one batch, one state and one place.

use super::{DeepPart, Reading, in_flight};
use crate::StoreError;
use crate::sqlite::codes::Number;
use crate::sqlite::error::Tried;
use crate::sqlite::message_status::{self, MessageStatus};
use crate::sqlite::{ids_blob, segments};
use rusqlite::{Row, Rows};
use sms::class::Class;
use sms::state::MessageState;

const TRIED: &str = "read the messages through";

/// A run of ids that begins at its first.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    first: i64,
    last: i64,
    /// Class and account.
    whose: (i64, i64),
    /// By which a batch is counted; 0 in lanes.
    dimensions: i64,
    /// Messages of it that were met.
    met: i64,
}

impl Run {
    fn has(&self, id: i64) -> bool {
        (self.first..=self.last).contains(&id)
    }

    fn len(&self) -> i64 {
        self.last - self.first + 1
    }
}

/// Runs in the order of their ids, read as ids go on.
struct Runs<'r> {
    rows: Rows<'r>,
    what: &'static str,
    now: Option<Run>,
    read: u64,
}

impl Runs<'_> {
    /// The run that contains an id. Runs that end before it are passed over, each with a call of `left`.
    fn at(
        &mut self,
        id: i64,
        part: &mut DeepPart,
        left: &mut dyn FnMut(&mut DeepPart, Run),
    ) -> Result<Option<&mut Run>, StoreError> {
        while self.now.is_none_or(|run| run.last < id) {
            let before = self.now.take();
            if let Some(run) = before {
                left(part, run);
            }
            let Some(row) = self.rows.next().tried(TRIED)? else {
                return Ok(None);
            };
            self.read += 1;
            let run = run_from(row).tried(TRIED)?;
            if let Some(before) = before
                && run.first <= before.last
            {
                part.problem(format!("message {} is in two {}", run.first, self.what));
            }
            if run.last < run.first {
                part.problem(format!(
                    "{} that begins at message {} ends before it",
                    self.what, run.first
                ));
            }
            self.now = Some(run);
        }
        Ok(self.now.as_mut().filter(|run| run.has(id)))
    }
}

fn run_from(row: &Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run {
        first: row.get(0)?,
        last: row.get(1)?,
        whose: (row.get(2)?, row.get(3)?),
        dimensions: row.get(4)?,
        met: 0,
    })
}

pub(super) fn check(reading: &Reading<'_>, part: &mut DeepPart) -> Result<(), StoreError> {
    let conn = reading.conn;
    let open_attempts = in_flight(conn)?;
    let of: u64 = conn
        .query_row("SELECT count(*) FROM message", [], |row| row.get(0))
        .tried(TRIED)?;
    let mut batches = conn
        .prepare(
            "SELECT first_id, first_id + messages - 1, class, account, dimensions FROM batch ORDER BY first_id",
        )
        .tried(TRIED)?;
    let mut batches = Runs {
        rows: batches.query([]).tried(TRIED)?,
        what: "batches",
        now: None,
        read: 0,
    };
    let mut lanes = conn
        .prepare(
            "SELECT first_id, last_id, class, account, 0 FROM queue UNION ALL
             SELECT first_id, last_id, class, account, 0 FROM delayed ORDER BY first_id",
        )
        .tried(TRIED)?;
    let mut lanes = Runs {
        rows: lanes.query([]).tried(TRIED)?,
        what: "places of lanes",
        now: None,
        read: 0,
    };
    let mut select = conn
        .prepare(&format!(
            "SELECT {}, m.id, m.msisdn, m.failure FROM message m LEFT JOIN message_status o ON o.id = m.id ORDER BY m.id",
            message_status::COLUMNS
        ))
        .tried(TRIED)?;
    let mut rows = select.query([]).tried(TRIED)?;
    let at = message_status::COLUMNS_COUNT;
    let whole_from = reading.whole_from;
    let mut left_batch = |part: &mut DeepPart, run: Run| {
        if run.first >= whole_from && run.met != run.len() {
            part.problem(format!(
                "batch {} has {} messages and {} of them are there",
                run.first,
                run.len(),
                run.met
            ));
        }
    };
    let mut left_lane = |part: &mut DeepPart, run: Run| {
        if run.met != run.len() {
            part.problem(format!(
                "a lane has messages {} to {}, and {} of {} are there",
                run.first,
                run.last,
                run.met,
                run.len()
            ));
        }
    };
    let (mut looked_at, mut outcomes, mut found_in_flight) = (0u64, 0u64, 0usize);
    while let Some(row) = rows.next().tried(TRIED)? {
        looked_at += 1;
        reading.report(part.name, looked_at, of);
        let id: i64 = row.get(at).tried(TRIED)?;
        let batch = batches.at(id, part, &mut left_batch)?;
        let batch = batch.map(|batch| {
            batch.met += 1;
            *batch
        });
        if batch.is_none() {
            part.problem(format!("message {id} is in no batch"));
        }
        let mut waits = false;
        if let Some(lane) = lanes.at(id, part, &mut left_lane)? {
            waits = true;
            lane.met += 1;
            if batch.is_some_and(|batch| batch.whose != lane.whose) {
                part.problem(format!(
                    "message {id} waits in a lane of another class or account than its batch has"
                ));
            }
        }
        let number = row.get::<_, Number>(at + 1);
        if let Err(error) = &number {
            part.problem(format!("message {id} has no number: {error}"));
        }
        let attempt = open_attempts.get(&id);
        found_in_flight += usize::from(attempt.is_some());
        let outcome = match MessageStatus::from_row(row, 0) {
            Ok(outcome) => outcome,
            Err(error) => {
                outcomes += 1;
                part.problem(format!("what came of message {id} cannot be read: {error}"));
                continue;
            }
        };
        outcomes += u64::from(outcome.is_some());
        if let (Some(batch), Some(outcome), Ok(number)) = (batch, &outcome, &number) {
            let stats_key = outcome.stats_key;
            let country = number.0.country_code().unwrap_or(0);
            if stats_key.dimensions.0 != 0
                && (i64::from(stats_key.dimensions.0), stats_key.country) != (batch.dimensions, country)
            {
                part.problem(format!(
                    "message {id} is counted by another series or country than it has"
                ));
            }
        }
        let never_queued = row.get::<_, Option<i64>>(at + 2).tried(TRIED)?.is_some();
        if let Some(wrong) = wrong_place(outcome.as_ref(), waits, attempt.is_some(), never_queued) {
            part.problem(format!("message {id} {wrong}"));
        }
        if let Some(octets) = outcome.as_ref().and_then(|outcome| outcome.segments.as_deref())
            && let Err(error) = segments::decode(octets)
        {
            part.problem(format!("the segments of message {id} cannot be read: {error}"));
        }
    }
    // The rest of both.
    let _none = batches.at(i64::MAX, part, &mut left_batch)?;
    let _none = lanes.at(i64::MAX, part, &mut left_lane)?;
    let all: u64 = conn
        .query_row("SELECT count(*) FROM message_status", [], |row| row.get(0))
        .tried(TRIED)?;
    if all != outcomes {
        part.problem(format!(
            "{} rows say what came of messages that are not there",
            all - outcomes.min(all)
        ));
    }
    if found_in_flight != open_attempts.len() {
        part.problem(format!(
            "{} messages that are not there are with a carrier",
            open_attempts.len() - found_in_flight
        ));
    }
    awaited(reading, part)?;
    batch_codes(reading, part)?;
    part.looked_at = format!(
        "{looked_at} messages, {} batches, {} places in lanes, {} with carriers",
        batches.read,
        lanes.read,
        open_attempts.len()
    );
    Ok(())
}

/// What is wrong with where a message is.
fn wrong_place(
    outcome: Option<&MessageStatus>,
    waits: bool,
    is_in_flight: bool,
    never_queued: bool,
) -> Option<String> {
    let state = outcome.map(|outcome| outcome.state);
    match state {
        _ if waits && is_in_flight => Some("waits in a lane and is with a carrier".into()),
        None if never_queued => Some("was refused, and nothing says so".into()),
        Some(state) if never_queued && state != MessageState::Rejected => {
            Some(format!("was refused and is {state}"))
        }
        None | Some(MessageState::Queued) if !waits && !is_in_flight => {
            Some("is queued and waits nowhere: it would never be sent".into())
        }
        Some(MessageState::InFlight) if !is_in_flight && !waits => Some("is in flight in no attempt".into()),
        Some(state @ MessageState::Submitted) if waits => Some(format!("is {state} and waits in a lane")),
        Some(state) if state.is_final() && waits => Some(format!("has ended as {state} and waits in a lane")),
        _ => None,
    }
}

/// The lists of messages whose receipt is awaited.
fn awaited(reading: &Reading<'_>, part: &mut DeepPart) -> Result<(), StoreError> {
    let mut select = reading
        .conn
        .prepare("SELECT id, ids FROM awaiting_receipt")
        .tried(TRIED)?;
    let mut rows = select.query([]).tried(TRIED)?;
    while let Some(row) = rows.next().tried(TRIED)? {
        let octets = row.get_ref(1).tried(TRIED)?.as_blob();
        if !octets.is_ok_and(|octets| ids_blob::decode(octets).is_ok()) {
            let id: i64 = row.get(0).tried(TRIED)?;
            part.problem(format!(
                "list {id} of messages whose receipt is awaited cannot be read"
            ));
        }
    }
    Ok(())
}

/// What batches say in numbers.
fn batch_codes(reading: &Reading<'_>, part: &mut DeepPart) -> Result<(), StoreError> {
    let mut select = reading
        .conn
        .prepare("SELECT b.first_id, b.class, b.kind, b.dimensions, s.no, s.account, b.account FROM batch b LEFT JOIN stats_dimensions s ON s.no = b.dimensions")
        .tried(TRIED)?;
    let mut rows = select.query([]).tried(TRIED)?;
    while let Some(row) = rows.next().tried(TRIED)? {
        let read = |n| row.get::<_, i64>(n).tried(TRIED);
        let first = read(0)?;
        let class = u8::try_from(read(1)?).ok().and_then(Class::from_u8);
        let kind = u8::try_from(read(2)?).ok().and_then(sms::class::Kind::from_u8);
        if class.is_none() || kind.is_none() {
            part.problem(format!("batch {first} has no class or kind"));
        }
        // Series go with their counters.
        let account = row.get::<_, Option<i64>>(5).tried(TRIED)?;
        let own = read(6)?;
        if account.is_some_and(|account| account != own) {
            part.problem(format!("batch {first} is counted by another account's series"));
        }
    }
    Ok(())
}
