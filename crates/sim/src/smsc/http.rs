//! The control port: a small HTTP API for tests in any language, and for `curl`.
//!
//! | request | what |
//! |---|---|
//! | `GET /counts` | sums, as [`Counts`](super::Counts) |
//! | `GET /messages?destination=&text=&taken=&whole=&limit=` | the last messages, newest first |
//! | `GET /message-counts/{key}` | counts of one message |
//! | `GET /taken-more-than/{times}` | messages taken more often, by key |
//! | `GET /behaviour` | how it behaves |
//! | `PUT /behaviour` | behave so from now on |
//! | `PATCH /behaviour` | the same, for the settings given only |
//! | `POST /order` | an [`Order`]: `"leave"`, `"return"`, `"reset"`, `{"disconnect": {}}`, `{"garbage": {"kind": "broken_body"}}`, ... |
//!
//! Nothing here is authenticated: listen on loopback.

use std::io;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::behaviour::Behaviour;
use super::control::{Order, OrderError};
use super::journal::Filter;
use super::{SmscHandle, key_of_number};

/// Serves the control port until the simulator stops.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(smsc: SmscHandle, listener: TcpListener) -> io::Result<()> {
    let stopping = smsc.stopping.clone();
    axum::serve(listener, router(smsc))
        .with_graceful_shutdown(stopping.cancelled_owned())
        .await
}

fn router(smsc: SmscHandle) -> Router {
    Router::new()
        .route(
            "/counts",
            get(async |State(smsc): State<SmscHandle>| Json(smsc.counts())),
        )
        .route("/messages", get(messages))
        .route("/message-counts/{key}", get(message_counts))
        .route("/taken-more-than/{times}", get(taken_more_than))
        .route("/behaviour", get(behaviour).put(behave).patch(behave_partly))
        .route("/order", post(order))
        .with_state(smsc)
}

async fn messages(State(smsc): State<SmscHandle>, Query(filter): Query<Filter>) -> Response {
    Json(smsc.messages(&filter)).into_response()
}

async fn message_counts(State(smsc): State<SmscHandle>, Path(key): Path<String>) -> Response {
    match smsc.message_counts(key_of_number(key.as_bytes())) {
        Some(message_counts) => Json(message_counts).into_response(),
        None => refusal(StatusCode::NOT_FOUND, "no such message"),
    }
}

async fn taken_more_than(State(smsc): State<SmscHandle>, Path(times): Path<u16>) -> Response {
    Json(smsc.taken_more_than(times)).into_response()
}

async fn behaviour(State(smsc): State<SmscHandle>) -> Response {
    Json(smsc.behaviour()).into_response()
}

async fn behave(State(smsc): State<SmscHandle>, Json(behaviour): Json<Behaviour>) -> Response {
    answer(smsc.control(Order::Behave(Box::new(behaviour))))
}

async fn behave_partly(State(smsc): State<SmscHandle>, Json(changes): Json<Value>) -> Response {
    let merged = serde_json::to_value(smsc.behaviour()).and_then(|mut behaviour| {
        merge(&mut behaviour, changes);
        serde_json::from_value::<Behaviour>(behaviour)
    });
    match merged {
        Ok(behaviour) => answer(smsc.control(Order::Behave(Box::new(behaviour)))),
        Err(error) => refusal(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    }
}

async fn order(State(smsc): State<SmscHandle>, Json(order): Json<Order>) -> Response {
    answer(smsc.control(order))
}

fn answer(done: Result<(), OrderError>) -> Response {
    match done {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refusal(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    }
}

fn refusal(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

/// Members of objects are replaced one by one (RFC 7396, without removal), everything else as a whole.
fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (name, change) in changes {
                merge(into.entry(name).or_insert(Value::Null), change);
            }
        }
        (into, changes) => *into = changes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_spares_what_it_does_not_name() {
        let mut value = json!({ "a": { "b": 1, "c": [1, 2] }, "d": 3 });
        merge(&mut value, json!({ "a": { "c": [9] }, "e": 4 }));
        assert_eq!(value, json!({ "a": { "b": 1, "c": [9] }, "d": 3, "e": 4 }));
    }
}
