//! What operators do: look at endpoints, pause and resume them, tell events again, resend calls given up on, and try
//! an endpoint before it is set up.

use super::egress::CallError;
use super::flight::words;
use super::limits::check_settings;
use super::office::Office;
use crate::catalog::EndpointEntry;
use crate::engine::Engine;
use std::sync::Arc;
use store::{
    Endpoint, EndpointId, EndpointState, EventPlace, Pause, RecordDelivery, Redelivery, RedeliveryFilter,
    Retried, StoreError, UnixMs,
};
use thiserror::Error;
use tokio::sync::oneshot;

/// Telling could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// It was started before.
    #[error("events are told already")]
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
    /// [`Engine::start_notify`] was not called.
    #[error("events are not told by this process")]
    NotStarted,
    /// Nobody knows its format, or its settings are wrong.
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

/// A change of how an endpoint stands.
#[derive(Debug)]
pub(super) enum Change {
    Pause(Box<str>),
    Resume,
    Replay(EventPlace),
    Resend(i64),
    ResendDead,
}

/// Calls given up on that are read at once.
const DEAD_CALLS_MAX: usize = 100;

impl Change {
    /// Makes it, in the store. Nobody works for the endpoint meanwhile.
    pub(super) async fn make(self, office: &Office, endpoint: EndpointId) -> Result<u64, OperateError> {
        make(
            self,
            &**office.store(),
            office.wall_clock(),
            office.limits().waiting_events_max,
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
        Change::Replay(place) => done.told = Some(place),
        Change::Resend(no) => {
            let call = one_call(store, endpoint, no)
                .await?
                .ok_or(OperateError::UnknownCall)?;
            done.retried.push(anew(call, now));
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
) -> Result<Option<Redelivery>, StoreError> {
    for filter in [RedeliveryFilter::Dead, RedeliveryFilter::Waiting] {
        let rows = store
            .redeliveries(endpoint, filter, no.saturating_sub(1), 1)
            .await?;
        if let Some(row) = rows.into_iter().find(|row| row.no == no) {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Due at once, with all its tries.
fn anew(call: Redelivery, now: UnixMs) -> Retried {
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
            .redeliveries(endpoint, RedeliveryFilter::Dead, after, DEAD_CALLS_MAX)
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
            retried: rows.into_iter().map(|row| anew(row, now)).collect(),
            ..RecordDelivery::default()
        };
        store.record_delivery(done).await?;
    }
    Ok(resent)
}

impl Engine {
    /// How far every endpoint is: what it has been told, whether it is paused and why, what waits and what was given
    /// up on.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn endpoint_states(&self) -> Result<Vec<EndpointState>, StoreError> {
        self.store().endpoint_states().await
    }

    /// Calls of an endpoint that were given up on, by number, from `after` on (exclusive); at most `calls_max`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn dead_calls(
        &self,
        endpoint: EndpointId,
        after: i64,
        calls_max: usize,
    ) -> Result<Vec<Redelivery>, StoreError> {
        self.store()
            .redeliveries(endpoint, RedeliveryFilter::Dead, after, calls_max)
            .await
    }

    /// Calls of an endpoint that wait to be tried again, by number, from `after` on (exclusive); at most `calls_max`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn waiting_calls(
        &self,
        endpoint: EndpointId,
        after: i64,
        calls_max: usize,
    ) -> Result<Vec<Redelivery>, StoreError> {
        self.store()
            .redeliveries(endpoint, RedeliveryFilter::Waiting, after, calls_max)
            .await
    }

    /// Pauses an endpoint until [`Engine::resume_endpoint`]. What happens meanwhile is told then. Returns when the
    /// calls under way have ended.
    ///
    /// # Errors
    /// When there is no such endpoint, or the store fails.
    pub async fn pause_endpoint(&self, endpoint: EndpointId, reason: &str) -> Result<(), OperateError> {
        self.change_endpoint(endpoint, Change::Pause(reason.into()))
            .await
            .map(drop)
    }

    /// Lifts a pause, whoever made it.
    ///
    /// # Errors
    /// When there is no such endpoint, or the store fails.
    pub async fn resume_endpoint(&self, endpoint: EndpointId) -> Result<(), OperateError> {
        self.change_endpoint(endpoint, Change::Resume).await.map(drop)
    }

    /// Tells an endpoint again everything that happened at `since` or later, as far as the log goes back, or skips
    /// what it has not been told before `since`. Calls that wait stay as they are.
    ///
    /// # Errors
    /// When there is no such endpoint, or the store fails.
    pub async fn replay_endpoint(&self, endpoint: EndpointId, since: UnixMs) -> Result<(), OperateError> {
        let account = {
            let catalog = self.catalog();
            let entry = catalog.endpoint(endpoint).ok_or(OperateError::UnknownEndpoint)?;
            entry.endpoint.account
        };
        let place = self.store().place_before(account, since).await?;
        self.change_endpoint(endpoint, Change::Replay(place))
            .await
            .map(drop)
    }

    /// Makes a call that was given up on, or waits, due at once, with all its tries before it.
    ///
    /// # Errors
    /// When there is no such endpoint or call, or the store fails.
    pub async fn resend_call(&self, endpoint: EndpointId, no: i64) -> Result<(), OperateError> {
        self.change_endpoint(endpoint, Change::Resend(no)).await.map(drop)
    }

    /// Makes all calls that were given up on due at once, as many as may wait; returns how many.
    ///
    /// # Errors
    /// When there is no such endpoint, or the store fails.
    pub async fn resend_dead_calls(&self, endpoint: EndpointId) -> Result<u64, OperateError> {
        self.change_endpoint(endpoint, Change::ResendDead).await
    }

    async fn change_endpoint(&self, endpoint: EndpointId, change: Change) -> Result<u64, OperateError> {
        match self.notify() {
            Some(notify) => notify.change(endpoint, change).await,
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
    /// What is wrong, in words for people.
    pub fn check_endpoint(&self, endpoint: &Endpoint) -> Result<(), ProbeError> {
        let office = self.notify().ok_or(ProbeError::NotStarted)?.office();
        let format = office
            .format(&endpoint.format)
            .ok_or_else(|| ProbeError::Settings(format!("nobody knows the format {:?}", endpoint.format)))?;
        if !endpoint.url.is_empty()
            && let Err(error) = office.egress().target(&endpoint.url)
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
        let office = Arc::clone(self.notify().ok_or(ProbeError::NotStarted)?.office());
        let Some(format) = office.format(&entry.endpoint.format) else {
            return Err(ProbeError::NotStarted);
        };
        let client = office.egress().client(1);
        let calls = format.probes(entry, &office.stamp());
        let of = calls.len();
        for (call, n) in calls.into_iter().zip(1..) {
            let failed = |source| ProbeError::Call { n, calls: of, source };
            let target = office.egress().target(&entry.endpoint.url).map_err(failed)?;
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
