//! `/sandbox/messages`: what the sandbox delivered, for tests to read.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use engine::Engine;
use engine::sandbox::{Delivered, Inbox};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Messages of one answer when nothing else is asked for, and at most.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 10_000;
/// The longest wait in seconds.
const WAIT_S_MAX: u64 = 60;

/// What can be asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Only messages to this number, with or without `+`.
    to: Option<String>,
    /// Only messages that came after the one with this id.
    after: Option<i64>,
    /// How many at most, the newest first.
    limit: Option<usize>,
    /// Seconds to wait for one when there is none yet.
    wait: Option<u64>,
}

/// Its routes.
pub(super) fn routes(engine: &Arc<Engine>) -> Router {
    Router::new()
        .route("/sandbox/messages", get(list).delete(clear))
        .with_state(Arc::clone(engine.inbox()))
}

async fn clear(State(inbox): State<Arc<Inbox>>) -> StatusCode {
    inbox.clear();
    StatusCode::NO_CONTENT
}

async fn list(State(inbox): State<Arc<Inbox>>, Query(asked): Query<Asked>) -> Json<Vec<Delivered>> {
    let wait = Duration::from_secs(asked.wait.unwrap_or(0).min(WAIT_S_MAX));
    // Watched from before the first look, so that nothing arrives between the look and the wait.
    let mut news = inbox.watch();
    let found = tokio::time::timeout(wait, async {
        loop {
            let found = asked.find(&inbox);
            if !found.is_empty() {
                return found;
            }
            // Having missed some is as good a reason to look again as any.
            if matches!(news.recv().await, Err(RecvError::Closed)) {
                return found;
            }
        }
    });
    Json(found.await.unwrap_or_else(|_| asked.find(&inbox)))
}

impl Asked {
    fn find(&self, inbox: &Inbox) -> Vec<Delivered> {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
        // In a query `+` means a blank: `?to=+44…` as people write it arrives as ` 44…`.
        let to = self.to.as_deref().map(str::trim);
        let mut found = inbox.messages(to, if self.after.is_some() { LIMIT_MAX } else { limit });
        if let Some(after) = self.after {
            found.retain(|message| message.id > after);
            found.truncate(limit);
        }
        found
    }
}
