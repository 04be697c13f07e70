//! Operations on endpoints: list, pause, resume, replay events, resend dead calls, and test an endpoint before it is set
//! up.

use super::delivery::words;
use super::egress::CallError;
use super::limits::check_settings;
use super::supervisor::WebhookContext;
use crate::catalog::EndpointEntry;
use crate::engine::Engine;
use std::sync::Arc;
use store::{
    DeliveryRetry, DeliveryRetryFilter, Endpoint, EndpointId, EndpointState, EventOffset, Pause,
    RecordDelivery, Retried, StoreError, UnixMs,
};
use thiserror::Error;
use tokio::sync::oneshot;

/// Webhook delivery could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// It was started before.
    #[error("webhook delivery is started already")]
    Started,
    /// The file of certificate authorities cannot be read.
    #[error("certificate authorities: {0}")]
    Authorities(String),
    /// The thread could not be started.
    #[error("start the thread that calls endpoints: {0}")]
    Thread(#[source] std::io::Error),
}

/// An endpoint could not be changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OperateError {
    /// The catalog has no such endpoint.
    #[error("there is no such endpoint")]
    UnknownEndpoint,
    /// It has no such call.
    #[error("the endpoint has no such call")]
    UnknownCall,
    /// Its last calls are being ended, or many changes wait.
    #[error("the endpoint is being changed: try again in a moment")]
    Busy,
    /// The store failed.
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

/// A trial of an endpoint failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// [`Engine::start_webhooks`] was not called.
    #[error("this process does not deliver events")]
    NotStarted,
    /// Its format is unknown, or its settings are wrong.
    #[error("{0}")]
    Settings(String),
    /// A call came to no answer.
    #[error("call {n} of {calls}: {source}")]
    Call {
        /// Which, from 1.
        n: usize,
        /// Of how many.
        calls: usize,
        /// Why.
        source: CallError,
    },
    /// A call was not answered as its format wants it.
    #[error("call {n} of {calls}: {words}")]
    Answer {
        /// Which, from 1.
        n: usize,
        /// Of how many.
        calls: usize,
        /// The status.
        status: u16,
        /// The same in words.
        words: String,
    },
}

/// Where the answer to a change goes: how many calls it was about.
pub(super) type ChangeReply = oneshot::Sender<Result<u64, OperateError>>;

/// A change of an endpoint's state.
#[derive(Debug)]
pub(super) enum Change {
    Pause(Box<str>),
    Resume,
    Replay(EventOffset),
    Resend(i64),
    ResendDead,
}

/// Dead calls of one read.
const DEAD_CALLS_MAX: usize = 100;

impl Change {
    /// Applies it in the store. The endpoint's worker must be idle meanwhile.
    pub(super) async fn make(
        self,
        context: &WebhookContext,
        endpoint: EndpointId,
    ) -> Result<u64, OperateError> {
        make(
            self,
            &**context.store(),
            context.wall_clock(),
            context.limits().waiting_events_max,
            endpoint,
        )
        .await
    }
}

async fn make(
    change: Change,
    store: &dyn store::Store,
    now: UnixMs,
    waiting_max: usize,
    endpoint: EndpointId,
) -> Result<u64, OperateError> {
    let states = store.endpoint_states().await?;
    let state = states.into_iter().find(|state| state.endpoint == endpoint);
    let state = state.ok_or(OperateError::UnknownEndpoint)?;
    let mut done = RecordDelivery {
        endpoint: Some(endpoint),
        ..RecordDelivery::default()
    };
    match change {
        Change::Pause(reason) => {
            done.pause = Some(Some(Pause {
                since: now,
                until: None,
                reason,
            }));
        }
        Change::Resume => {
            done.pause = Some(None);
            done.failing_since = Some(None);
        }
        Change::Replay(offset) => done.acked_offset = Some(offset),
        Change::Resend(no) => {
            let call = one_call(store, endpoint, no)
                .await?
                .ok_or(OperateError::UnknownCall)?;
            done.retried.push(reset_tries(call, now));
            store.record_delivery(done).await?;
            return Ok(1);
        }
        Change::ResendDead => {
            let room = u64::try_from(waiting_max)
                .unwrap_or(u64::MAX)
                .saturating_sub(state.waiting);
            return resend_dead(store, endpoint, now, room).await;
        }
    }
    store.record_delivery(done).await?;
    Ok(0)
}

async fn one_call(
    store: &dyn store::Store,
    endpoint: EndpointId,
    no: i64,
) -> Result<Option<DeliveryRetry>, StoreError> {
    for filter in [DeliveryRetryFilter::Dead, DeliveryRetryFilter::Waiting] {
        let rows = store
            .delivery_retries(endpoint, filter, no.saturating_sub(1), 1)
            .await?;
        if let Some(row) = rows.into_iter().find(|row| row.no == no) {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Due at once, with all its tries.
fn reset_tries(call: DeliveryRetry, now: UnixMs) -> Retried {
    Retried {
        no: call.no,
        tries: 0,
        due: now,
        error: call.error,
    }
}

/// Resends calls until none is left or about `room` events are in them.
async fn resend_dead(
    store: &dyn store::Store,
    endpoint: EndpointId,
    now: UnixMs,
    mut room: u64,
) -> Result<u64, OperateError> {
    let (mut resent, mut after) = (0, 0);
    while room > 0 {
        let mut rows = store
            .delivery_retries(endpoint, DeliveryRetryFilter::Dead, after, DEAD_CALLS_MAX)
            .await?;
        rows.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        let Some(last) = rows.last().map(|row| row.no) else {
            break;
        };
        after = last;
        resent += rows.len() as u64;
        let events: usize = rows.iter().map(|row| row.events.len()).sum();
        room = room.saturating_sub(events.max(1) as u64);
        let done = RecordDelivery {
            endpoint: Some(endpoint),
            retried: rows.into_iter().map(|row| reset_tries(row, now)).collect(),
            ..RecordDelivery::default()
        };
        store.record_delivery(done).await?;
    }
    Ok(resent)
}

impl Engine {
    /// The state of every endpoint: its acked offset, its pause and the reason, its waiting and dead calls.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn endpoint_states(&self) -> Result<Vec<EndpointState>, StoreError> {
        self.store().endpoint_states().await
    }

    /// Dead calls of an endpoint, by number, from `after` on (exclusive); at most `calls_max`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn dead_calls(
        &self,
        endpoint: EndpointId,
        after: i64,
        calls_max: usize,
    ) -> Result<Vec<DeliveryRetry>, StoreError> {
        self.store()
            .delivery_retries(endpoint, DeliveryRetryFilter::Dead, after, calls_max)
            .await
    }

    /// Calls of an endpoint that wait for a retry, by number, from `after` on (exclusive); at most `calls_max`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn waiting_calls(
        &self,
        endpoint: EndpointId,
        after: i64,
        calls_max: usize,
    ) -> Result<Vec<DeliveryRetry>, StoreError> {
        self.store()
            .delivery_retries(endpoint, DeliveryRetryFilter::Waiting, after, calls_max)
            .await
    }

    /// Pauses an endpoint until [`Engine::resume_endpoint`]. Events are kept and delivered then. Returns when the calls in
    /// flight have ended.
    ///
    /// # Errors
    /// When there is no such endpoint, or the store fails.
    pub async fn pause_endpoint(&self, endpoint: EndpointId, reason: &str) -> Result<(), OperateError> {
        self.change_endpoint(endpoint, Change::Pause(reason.into()))
            .await
            .map(drop)
    }

    /// Ends a pause, made by an operator or by the circuit breaker.
    ///
    /// # Errors
    /// When there is no such endpoint, or the store fails.
    pub async fn resume_endpoint(&self, endpoint: EndpointId) -> Result<(), OperateError> {
        self.change_endpoint(endpoint, Change::Resume).await.map(drop)
    }

    /// Moves the acked offset of an endpoint to `since`: later events are delivered again, as far as the outbox goes back, and
    /// undelivered events before it are skipped. Waiting calls stay.
    ///
    /// # Errors
    /// When there is no such endpoint, or the store fails.
    pub async fn replay_endpoint(&self, endpoint: EndpointId, since: UnixMs) -> Result<(), OperateError> {
        let account = {
            let catalog = self.catalog();
            let entry = catalog.endpoint(endpoint).ok_or(OperateError::UnknownEndpoint)?;
            entry.endpoint.account
        };
        let offset = self.store().offset_before(account, since).await?;
        self.change_endpoint(endpoint, Change::Replay(offset))
            .await
            .map(drop)
    }

    /// Makes a dead or waiting call due at once, with its tries reset.
    ///
    /// # Errors
    /// When there is no such endpoint or call, or the store fails.
    pub async fn resend_call(&self, endpoint: EndpointId, no: i64) -> Result<(), OperateError> {
        self.change_endpoint(endpoint, Change::Resend(no)).await.map(drop)
    }

    /// Makes dead calls due at once, as many as may wait; returns how many.
    ///
    /// # Errors
    /// When there is no such endpoint, or the store fails.
    pub async fn resend_dead_calls(&self, endpoint: EndpointId) -> Result<u64, OperateError> {
        self.change_endpoint(endpoint, Change::ResendDead).await
    }

    async fn change_endpoint(&self, endpoint: EndpointId, change: Change) -> Result<u64, OperateError> {
        match self.webhooks() {
            Some(webhooks) => webhooks.change(endpoint, change).await,
            None => {
                let waiting_max = super::Limits::default().waiting_events_max;
                make(change, &**self.store(), self.now(), waiting_max, endpoint).await
            }
        }
    }

    /// Checks what can be checked of an endpoint without calling it: its format, its URL unless that is empty, and its
    /// settings.
    ///
    /// # Errors
    /// What is wrong, for operators.
    pub fn check_endpoint(&self, endpoint: &Endpoint) -> Result<(), ProbeError> {
        let context = self.webhooks().ok_or(ProbeError::NotStarted)?.context();
        let format = context
            .format(&endpoint.format)
            .ok_or_else(|| ProbeError::Settings(format!("unknown webhook format {:?}", endpoint.format)))?;
        if !endpoint.url.is_empty()
            && let Err(error) = context.egress().target(&endpoint.url)
        {
            return Err(ProbeError::Settings(error.to_string()));
        }
        check_settings(&endpoint.settings)
            .and_then(|()| format.check(&endpoint.settings))
            .map_err(ProbeError::Settings)
    }

    /// Calls an endpoint as its format does when one is set up; it need not be in the catalog (yet). Each call must be
    /// answered 200.
    ///
    /// # Errors
    /// The first call that was not, or why none could be made.
    pub async fn probe_endpoint(&self, entry: &EndpointEntry) -> Result<(), ProbeError> {
        self.check_endpoint(&entry.endpoint)?;
        let context = Arc::clone(self.webhooks().ok_or(ProbeError::NotStarted)?.context());
        let Some(format) = context.format(&entry.endpoint.format) else {
            return Err(ProbeError::NotStarted);
        };
        let client = context.egress().client(1);
        let calls = format.probes(entry, &context.stamp());
        let of = calls.len();
        for (call, n) in calls.into_iter().zip(1..) {
            let failed = |source| ProbeError::Call { n, calls: of, source };
            let target = context.egress().target(&entry.endpoint.url).map_err(failed)?;
            let answer = client
                .call(&target, call, format.time_max())
                .await
                .map_err(failed)?;
            if !format.is_probe_taken(answer.status, &answer.body) {
                return Err(ProbeError::Answer {
                    n,
                    calls: of,
                    status: answer.status,
                    words: words(answer.status),
                });
            }
        }
        Ok(())
    }
}
