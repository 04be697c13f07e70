//! `/sandbox/messages`: what became of messages in the sandbox, for tests to read, and `/sandbox/inbound`, to play what
//! people write.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use engine::Engine;
use engine::sandbox::{Entry, EntryFilter, EntryState, PlayError};
use engine::sms::phone::possible_numbers;
use engine::sms::reason::Reason;
use engine::{Dialect, MessageId, MessageView};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Messages of one answer when nothing else is asked for, and at most.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 10_000;
/// The longest wait in seconds.
const WAIT_S_MAX: u64 = 60;
/// Digits of a code, at least and at most.
const CODE_DIGITS: std::ops::RangeInclusive<usize> = 4..=8;

/// Which messages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only messages to this number, in any form in which an API takes it.
    to: Option<String>,
    /// Only messages that came after the one with this id.
    after: Option<String>,
    /// Only messages since this time: RFC 3339, or Unix milliseconds.
    since: Option<String>,
    /// How many at most, the newest first.
    limit: Option<usize>,
    /// Seconds to wait for one when there is none yet.
    wait: Option<u64>,
}

/// One message. Every id is a text: JavaScript's numbers end at 2^53.
#[derive(Debug, Serialize)]
struct MessageJson {
    /// Names the entry, for `after` and `DELETE`.
    id: String,
    /// What the API answered: a message id where it has such, else the session number.
    api_id: Option<String>,
    /// The session number.
    session: Option<String>,
    /// The number with plus.
    to: String,
    /// The number as it was sent.
    to_as_sent: Option<String>,
    from: String,
    text: String,
    /// The first four to eight digits in a row.
    code: Option<String>,
    segments: u16,
    class: Option<&'static str>,
    kind: &'static str,
    /// Unix milliseconds.
    time: i64,
    /// delivered, failed, silent (taken, and nothing is reported) or refused.
    state: &'static str,
    reason: Option<ReasonJson>,
}

#[derive(Debug, Serialize)]
struct ReasonJson {
    code: u16,
    name: &'static str,
    message: &'static str,
}

impl From<Reason> for ReasonJson {
    fn from(reason: Reason) -> Self {
        Self {
            code: reason.code(),
            name: reason.name(),
            message: reason.sentence(),
        }
    }
}

/// An inbound message to play.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlayRequest {
    /// Who writes: a number in any form.
    from: String,
    /// To which number or code; empty: to nobody's in particular.
    #[serde(default)]
    to: String,
    text: String,
}

/// Its routes.
pub(super) fn routes(engine: &Arc<Engine>) -> Router {
    Router::new()
        .route("/sandbox/messages", get(list).delete(clear))
        .route("/sandbox/messages/{id}", delete(remove))
        .route("/sandbox/inbound", post(play))
        .merge(super::page::routes())
        .with_state(Arc::clone(engine))
}

type Refused = (StatusCode, Json<serde_json::Value>);

fn refuse(status: StatusCode, why: impl std::fmt::Display) -> Refused {
    (status, Json(serde_json::json!({ "error": why.to_string() })))
}

impl ListQuery {
    fn filter(&self, engine: &Engine) -> Result<EntryFilter, Refused> {
        let after = match &self.after {
            None => 0,
            Some(id) => place(engine, id).ok_or_else(|| {
                refuse(
                    StatusCode::BAD_REQUEST,
                    format_args!("`after`: there is no message {id:?}; it is the `id` of an entry"),
                )
            })?,
        };
        let since = match &self.since {
            None => i64::MIN,
            Some(time) => moment(time).ok_or_else(|| {
                refuse(
                    StatusCode::BAD_REQUEST,
                    "`since` is a time as 2026-11-29T12:00:00Z, or Unix milliseconds",
                )
            })?,
        };
        // In a query `+` means a blank: `?to=+44…` as people write it arrives as ` 44…`.
        let to = self.to.as_deref().map(|to| match to.strip_prefix(' ') {
            Some(digits) => format!("+{digits}"),
            None => to.to_owned(),
        });
        Ok(EntryFilter {
            to: to.as_deref().map(|to| possible_numbers(to).collect()),
            written: to,
            after,
            since,
        })
    }
}

fn moment(written: &str) -> Option<i64> {
    written.parse::<i64>().ok().or_else(|| {
        let time: Timestamp = written.parse().ok()?;
        Some(time.as_millisecond())
    })
}

/// The place of an entry by its id; by the number of its message too, which was the id in the first release.
fn place(engine: &Engine, id: &str) -> Option<u64> {
    match id.strip_prefix('e') {
        Some(no) => no.parse().ok(),
        None => engine.inbox().place_of(MessageId(id.parse().ok()?)),
    }
}

async fn clear(State(engine): State<Arc<Engine>>, Query(query): Query<ListQuery>) -> Response {
    match query.filter(&engine) {
        Ok(filter) => {
            engine.inbox().remove(&filter);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refused) => refused.into_response(),
    }
}

async fn remove(State(engine): State<Arc<Engine>>, Path(id): Path<String>) -> Response {
    match place(&engine, &id).filter(|no| engine.inbox().remove_one(*no)) {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => refuse(
            StatusCode::NOT_FOUND,
            format_args!("there is no message {id:?} in the inbox"),
        )
        .into_response(),
    }
}

async fn list(State(engine): State<Arc<Engine>>, Query(query): Query<ListQuery>) -> Response {
    let filter = match query.filter(&engine) {
        Ok(filter) => filter,
        Err(refused) => return refused.into_response(),
    };
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
    let wait = Duration::from_secs(query.wait.unwrap_or(0).min(WAIT_S_MAX));
    let inbox = engine.inbox();
    // Watched from before the first look, so that nothing arrives between the look and the wait.
    let mut news = inbox.watch();
    let found = tokio::time::timeout(wait, async {
        loop {
            let found = inbox.entries(&filter, limit);
            if !found.is_empty() {
                return found;
            }
            // Having missed some is as good a reason to look again as any.
            if matches!(news.recv().await, Err(RecvError::Closed)) {
                return found;
            }
        }
    });
    let found = found.await.unwrap_or_else(|_| inbox.entries(&filter, limit));
    let messages = match messages_of(&engine, &found).await {
        Ok(messages) => messages,
        Err(error) => return refuse(StatusCode::SERVICE_UNAVAILABLE, error).into_response(),
    };
    let found = found.into_iter().map(|entry| json(&engine, entry, &messages));
    Json(found.collect::<Vec<_>>()).into_response()
}

async fn messages_of(
    engine: &Engine,
    entries: &[Entry],
) -> Result<HashMap<MessageId, MessageView>, engine::StoreError> {
    let ids: Vec<MessageId> = entries.iter().filter_map(|entry| entry.message).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let views = engine.store().messages(ids).await?;
    Ok(views.into_iter().map(|view| (view.id, view)).collect())
}

fn json(engine: &Engine, entry: Entry, messages: &HashMap<MessageId, MessageView>) -> MessageJson {
    let view = entry.message.and_then(|id| messages.get(&id));
    let (state, reason) = match entry.state {
        EntryState::Delivered => ("delivered", None),
        EntryState::Failed(reason) => ("failed", Some(reason)),
        EntryState::Silent => ("silent", None),
        EntryState::Refused(reason) => ("refused", Some(reason)),
    };
    MessageJson {
        id: format!("e{}", entry.no),
        api_id: view.map(|view| api_id(engine, view)),
        session: view.map(|view| session(engine, view)),
        to: entry.to,
        to_as_sent: view.map(|view| view.written.to_string()),
        from: entry.from,
        code: code(&entry.text),
        text: entry.text,
        segments: entry.segments,
        class: entry.class.map(|class| class.name()),
        kind: entry.kind.name(),
        time: entry.time,
        state,
        reason: reason.map(ReasonJson::from),
    }
}

fn session(engine: &Engine, view: &MessageView) -> String {
    engine
        .public_ids()
        .session(view.batch.account, view.batch.session)
}

/// As the API that the message came over names it.
fn api_id(engine: &Engine, view: &MessageView) -> String {
    let batch = &view.batch;
    match batch.dialect {
        Dialect::Sendcloud | Dialect::EngagelabA | Dialect::EngagelabC => {
            let prefix = engine
                .public_ids()
                .message_prefix(batch.account, batch.session, batch.template);
            format!("{prefix}${}", view.written)
        }
        _ => session(engine, view),
    }
}

/// The first run of four to eight digits.
fn code(text: &str) -> Option<String> {
    text.split(|character: char| !character.is_ascii_digit())
        .find(|run| CODE_DIGITS.contains(&run.len()))
        .map(str::to_owned)
}

async fn play(State(engine): State<Arc<Engine>>, Json(request): Json<PlayRequest>) -> Response {
    if possible_numbers(&request.from).next().is_none() {
        let why = format_args!(
            "`from` is a number with its country code, as +447700900123; {:?} is none",
            request.from
        );
        return refuse(StatusCode::BAD_REQUEST, why).into_response();
    }
    match engine
        .play_inbound(&request.from, &request.to, &request.text)
        .await
    {
        Ok(id) => {
            let id = id.map(|id| id.0.to_string());
            (StatusCode::CREATED, Json(serde_json::json!({ "id": id }))).into_response()
        }
        Err(error @ PlayError::Store(_)) => refuse(StatusCode::SERVICE_UNAVAILABLE, error).into_response(),
        Err(error) => refuse(StatusCode::CONFLICT, error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_first_run_of_four_to_eight_digits() {
        assert_eq!(
            code("Your code is 123456, for 10 minutes").as_deref(),
            Some("123456")
        );
        assert_eq!(code("2 of 3: 0042").as_deref(), Some("0042"));
        assert_eq!(code("call 447700900123"), None);
        assert_eq!(code("code:12345678.").as_deref(), Some("12345678"));
        assert_eq!(code(""), None);
    }

    #[test]
    fn a_moment_is_read_in_both_forms() {
        assert_eq!(moment("1795000000000"), Some(1_795_000_000_000));
        assert_eq!(moment("1970-01-01T00:00:01Z"), Some(1_000));
        assert_eq!(moment("yesterday"), None);
    }
}
