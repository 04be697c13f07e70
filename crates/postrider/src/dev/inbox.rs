//! `/sandbox/messages`: the messages of the sandbox, for tests; `/sandbox/inbound`: simulated inbound messages.

use crate::config::{hint, kind_of};
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use engine::Engine;
use engine::sandbox::{Entry, EntryFilter, EntryState, PlayError};
use engine::sms::phone::possible_numbers;
use engine::sms::reason::Reason;
use engine::{Dialect, MessageId, MessageView};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Default and maximum number of messages of a response.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 10_000;
/// The longest wait in seconds.
const WAIT_S_MAX: u64 = 60;
/// Characters of the number or code that an inbound message is sent to.
const TO_CHARS_MAX: usize = 20;
/// Minimum and maximum number of digits of a code.
const CODE_DIGITS: std::ops::RangeInclusive<usize> = 4..=8;

/// The query parameters.
#[derive(Debug, Default)]
struct ListQuery {
    /// Only messages to this number, in any form that an API accepts.
    to: Option<String>,
    /// Only messages after the one with this id.
    after: Option<String>,
    /// Only messages since this time: RFC 3339, or Unix milliseconds.
    since: Option<String>,
    /// Maximum number, the newest first.
    limit: Option<usize>,
    /// Seconds to wait for a message when there is none yet.
    wait: Option<u64>,
}

/// One message. Every id is a string: JavaScript's numbers are exact up to 2^53.
#[derive(Debug, Serialize)]
struct MessageJson {
    /// The id of the entry, for `after` and `DELETE`.
    id: String,
    /// The id in the API's response: a message id if there is one, else the session number.
    api_id: Option<String>,
    /// The session number.
    session: Option<String>,
    /// The number with plus.
    to: String,
    /// The number as written in the request.
    to_as_sent: Option<String>,
    from: String,
    text: String,
    /// The first sequence of four to eight digits.
    code: Option<String>,
    segments: u16,
    class: Option<&'static str>,
    kind: &'static str,
    /// Unix milliseconds.
    time: i64,
    /// delivered, failed, silent (accepted without a receipt) or refused.
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

/// An inbound message to simulate.
#[derive(Debug, Default, PartialEq, Eq)]
struct PlayRequest {
    /// The sender: a number in any form.
    from: String,
    /// The number or code; empty: none in particular.
    to: String,
    text: String,
}

impl PlayRequest {
    const KEYS: [&str; 3] = ["from", "to", "text"];

    /// Parses the body, whatever its content type.
    fn read(body: &[u8]) -> Result<Self, String> {
        const EXAMPLE: &str = r#"{"from": "+447700900123", "text": "STOP"}"#;
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| format!("the body must be JSON, such as {EXAMPLE}: {error}"))?;
        let Value::Object(members) = value else {
            return Err(format!(
                "the body must be an object, such as {EXAMPLE}, not {}",
                kind_of(&value)
            ));
        };
        let mut request = Self::default();
        for (key, value) in &members {
            let member = match key.as_str() {
                "from" => &mut request.from,
                "to" => &mut request.to,
                "text" => &mut request.text,
                _ => {
                    let (_, hint) = hint(key, Self::KEYS.into_iter());
                    return Err(format!("unknown key {key:?}{hint}"));
                }
            };
            match value {
                Value::String(text) => member.clone_from(text),
                other => {
                    return Err(format!(
                        "`{key}` must be a string in quotes, not {}",
                        kind_of(other)
                    ));
                }
            }
        }
        for key in ["from", "text"] {
            if !members.contains_key(key) {
                return Err(format!("`{key}` is missing; the body must be such as {EXAMPLE}"));
            }
        }
        if possible_numbers(&request.from).next().is_none() {
            let from = &request.from;
            return Err(format!(
                "`from` is {from:?}; it must be a number with its country code, such as +447700900123"
            ));
        }
        if request.to.chars().count() > TO_CHARS_MAX {
            return Err(format!(
                "`to` must be a number or code of at most {TO_CHARS_MAX} characters"
            ));
        }
        Ok(request)
    }
}

/// Its routes.
pub(super) fn routes(engine: &Arc<Engine>) -> Router {
    Router::new()
        .route("/sandbox/messages", get(list).delete(clear))
        .route("/sandbox/messages/{id}", delete(remove))
        .route("/sandbox/inbound", post(play))
        .method_not_allowed_fallback(no_such_method)
        .merge(super::page::routes())
        .layer(axum::middleware::from_fn(super::origin::guard))
        .with_state(Arc::clone(engine))
}

pub(super) type Refused = (StatusCode, Json<serde_json::Value>);

pub(super) fn refuse(status: StatusCode, why: impl std::fmt::Display) -> Refused {
    (status, Json(serde_json::json!({ "error": why.to_string() })))
}

impl ListQuery {
    /// Parameters that select entries; the others control the response.
    const CHOICES: [&str; 3] = ["to", "after", "since"];
    const ALL: [&str; 5] = ["to", "after", "since", "limit", "wait"];

    /// Parses a query string; `known` are the valid parameters.
    fn read(query: &str, known: &[&str]) -> Result<Self, Refused> {
        let bad = |why: String| refuse(StatusCode::BAD_REQUEST, why);
        let mut read = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&&*name) {
                return Err(bad(if Self::ALL.contains(&&*name) {
                    format!("`{name}` does not select entries: remove it from DELETE")
                } else {
                    let (_, hint) = hint(&name, known.iter().copied());
                    format!("unknown parameter {name:?}{hint}")
                }));
            }
            if seen.iter().any(|other| **other == *name) {
                return Err(bad(format!("`{name}` is given twice")));
            }
            seen.push(name.to_string());
            let value = value.into_owned();
            if value.is_empty() {
                return Err(bad(format!("`{name}` is empty; remove it to select all")));
            }
            match &*name {
                "to" => read.to = Some(value),
                "after" => read.after = Some(value),
                "since" => read.since = Some(value),
                "limit" => read.limit = Some(whole(&name, &value, LIMIT_MAX as u64)? as usize),
                _ => read.wait = Some(whole(&name, &value, u64::MAX)?),
            }
        }
        Ok(read)
    }

    fn filter(&self, engine: &Engine) -> Result<EntryFilter, Refused> {
        let after = match &self.after {
            None => 0,
            Some(id) => place(engine, id).ok_or_else(|| {
                refuse(
                    StatusCode::BAD_REQUEST,
                    format_args!("`after`: there is no message {id:?}; it must be the `id` of an entry"),
                )
            })?,
        };
        let since = match &self.since {
            None => i64::MIN,
            Some(time) => moment(time).ok_or_else(|| {
                refuse(
                    StatusCode::BAD_REQUEST,
                    "`since` must be a time such as 2026-11-29T12:00:00Z, or Unix milliseconds",
                )
            })?,
        };
        // In a query `+` means a space: an unencoded `?to=+44…` arrives as ` 44…`.
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

/// An integer of a query, limited to `max`.
fn whole(name: &str, value: &str, max: u64) -> Result<u64, Refused> {
    let is_number = value.bytes().all(|octet| octet.is_ascii_digit());
    if !is_number {
        let why = format!("`{name}` is {value:?}; it must be a whole number");
        return Err(refuse(StatusCode::BAD_REQUEST, why));
    }
    // Digits only: a number that does not fit is above any bound.
    Ok(value.parse().unwrap_or(u64::MAX).min(max))
}

fn moment(written: &str) -> Option<i64> {
    // In a query `+` means a space: the offset of `…T20:00:00+08:00` arrives as ` 08:00`.
    let corrected = written.contains('T').then(|| written.replace(' ', "+"));
    let written = corrected.as_deref().unwrap_or(written);
    written.parse::<i64>().ok().or_else(|| {
        let time: Timestamp = written.parse().ok()?;
        Some(time.as_millisecond())
    })
}

/// The position of an entry by its id, or by the number of its message, which was the id in the first release.
fn place(engine: &Engine, id: &str) -> Option<u64> {
    match id.strip_prefix('e') {
        Some(no) => no.parse().ok(),
        None => engine.inbox().place_of(MessageId(id.parse().ok()?)),
    }
}

async fn clear(State(engine): State<Arc<Engine>>, RawQuery(query): RawQuery) -> Response {
    let query = ListQuery::read(&query.unwrap_or_default(), &ListQuery::CHOICES);
    match query.and_then(|query| query.filter(&engine)) {
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

async fn list(State(engine): State<Arc<Engine>>, RawQuery(query): RawQuery) -> Response {
    let query = ListQuery::read(&query.unwrap_or_default(), &ListQuery::ALL);
    let (query, filter) = match query.and_then(|query| Ok((query.filter(&engine)?, query))) {
        Ok((filter, query)) => (query, filter),
        Err(refused) => return refused.into_response(),
    };
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
    let wait = Duration::from_secs(query.wait.unwrap_or(0).min(WAIT_S_MAX));
    let inbox = engine.inbox();
    // Subscribed before the first look, so that no message arrives unnoticed between look and wait.
    let mut news = inbox.watch();
    let found = tokio::time::timeout(wait, async {
        loop {
            let found = inbox.entries(&filter, limit);
            if !found.is_empty() {
                return found;
            }
            // Missed notifications are a reason to look again as well.
            let came = tokio::select! {
                came = news.recv() => came,
                () = inbox.waits_ended() => return found,
            };
            if matches!(came, Err(RecvError::Closed)) {
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

/// The id in the notation of the message's API.
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

async fn play(State(engine): State<Arc<Engine>>, body: Bytes) -> Response {
    let request = match PlayRequest::read(&body) {
        Ok(request) => request,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, why).into_response(),
    };
    match engine
        .play_inbound(&request.from, &request.to, &request.text)
        .await
    {
        Ok(played) => {
            let document = serde_json::json!({
                "id": played.id.map(|id| id.0.to_string()),
                "account": played.account,
            });
            (StatusCode::CREATED, Json(document)).into_response()
        }
        Err(error @ PlayError::Store(_)) => refuse(StatusCode::SERVICE_UNAVAILABLE, error).into_response(),
        Err(error) => refuse(StatusCode::CONFLICT, error).into_response(),
    }
}

/// The response to other methods of these paths.
async fn no_such_method(method: Method, uri: Uri) -> Response {
    let what = format!(
        "{method} is not supported for {}; there are GET and DELETE /sandbox/messages, DELETE /sandbox/messages/ID and POST /sandbox/inbound",
        uri.path()
    );
    refuse(StatusCode::METHOD_NOT_ALLOWED, what).into_response()
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

    #[test]
    fn a_moment_may_have_an_offset_that_was_not_encoded() {
        let utc = moment("2026-11-29T12:00:00Z");
        assert_eq!(moment("2026-11-29T20:00:00+08:00"), utc);
        assert_eq!(moment("2026-11-29T20:00:00 08:00"), utc);
        assert_eq!(moment("2026-11-29 12:00"), None);
    }

    #[test]
    fn a_query_is_refused_in_words() {
        let error_of = |query: &str, known: &[&str]| match ListQuery::read(query, known) {
            Ok(read) => panic!("{read:?}"),
            Err((_, Json(document))) => document["error"].as_str().unwrap().to_owned(),
        };
        for (query, expected) in [
            ("lim=3", "unknown parameter \"lim\"; did you mean \"limit\"?"),
            ("to=a&to=b", "`to` is given twice"),
            ("to=", "`to` is empty; remove it to select all"),
            ("wait=abc", "`wait` is \"abc\"; it must be a whole number"),
            ("limit=-1", "`limit` is \"-1\"; it must be a whole number"),
            ("limit=1.5", "`limit` is \"1.5\"; it must be a whole number"),
        ] {
            assert_eq!(error_of(query, &ListQuery::ALL), expected);
        }
        assert_eq!(
            error_of("limit=1", &ListQuery::CHOICES),
            "`limit` does not select entries: remove it from DELETE"
        );
        let read = ListQuery::read("to=%2B44&limit=99999999999999999999&wait=61", &ListQuery::ALL).unwrap();
        assert_eq!(
            (read.to.as_deref(), read.limit, read.wait),
            (Some("+44"), Some(LIMIT_MAX), Some(61))
        );
    }

    #[test]
    fn a_reply_is_refused_in_words_without_types_of_the_program() {
        let error_of = |body: &str| PlayRequest::read(body.as_bytes()).unwrap_err();
        for (body, expected) in [
            ("", "the body must be JSON, such as"),
            ("[]", "not a list"),
            (
                r#"{"from":1,"text":"x"}"#,
                "`from` must be a string in quotes, not a whole number",
            ),
            (r#"{"from":"+447700900123"}"#, "`text` is missing"),
            (
                r#"{"from":"+447700900123","txt":"x"}"#,
                "unknown key \"txt\"; did you mean \"text\"?",
            ),
            (
                r#"{"from":"nobody","text":"x"}"#,
                "`from` is \"nobody\"; it must be a number",
            ),
            (
                r#"{"from":"+447700900123","to":"123456789012345678901","text":"x"}"#,
                "at most 20 characters",
            ),
        ] {
            assert!(error_of(body).contains(expected), "{body}: {}", error_of(body));
            assert!(
                !error_of(body).contains("struct") && !error_of(body).contains("i64"),
                "{}",
                error_of(body)
            );
        }
        let read = PlayRequest::read("\u{feff}{\"from\":\"+447700900123\",\"text\":\"STOP\"}".as_bytes());
        assert_eq!(read.unwrap().text, "STOP");
    }
}
