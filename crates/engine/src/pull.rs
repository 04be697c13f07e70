//! Events that an account fetches: an endpoint without a URL.
//!
//! Delivery is at least once: the events of a fetch are acked by the next fetch, unless the answer is known to have
//! failed. After a kill the last answer is returned again.

use crate::engine::Engine;
use crate::webhooks::{EventPayload, Subject};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::{
    AccountId, EndpointId, EndpointState, Event, EventOffset, EventWhat, MessageId, RecordDelivery, Store,
    StoreError,
};
use tokio::sync::watch;

/// Events looked at for one fetch at most: those too old, or whose message is gone, are passed over.
const LOOKED_AT_MAX: usize = 10_000;
/// Events read at once.
const EVENTS_A_READ: usize = 200;
/// How long a fetch waits for the answer to the one before it to be written.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a fetch waits for the word whether the answer to the one before it, which was written, was read. A connection
/// takes up to a second to know that its client is gone.
const READ_WAIT_MAX: Duration = Duration::from_secs(3);

/// The state of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnswerState {
    /// Not written yet.
    Unsent,
    /// Written to a connection that reports whether it was read.
    Written,
    /// Read, as far as can be known.
    Sent,
    /// Not written to its end, or not read.
    Lost,
}

/// Tracks the answer to a fetch; its sender reports the state. Dropped before [`AnswerTracker::taken`], it is lost.
#[derive(Debug, Clone)]
pub struct AnswerTracker(Arc<Sender>);

#[derive(Debug)]
struct Sender {
    state: watch::Sender<AnswerState>,
    /// A connection reports the state.
    followed: AtomicBool,
    /// The connection has all of it in its buffer.
    taken: AtomicBool,
}

impl Sender {
    /// Goes on from one of these.
    fn go_on(&self, from: &[AnswerState], to: AnswerState) {
        self.state.send_if_modified(|state| {
            let goes_on = from.contains(state);
            if goes_on {
                *state = to;
            }
            goes_on
        });
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.go_on(&[AnswerState::Unsent], AnswerState::Lost);
    }
}

impl AnswerTracker {
    fn new() -> (Self, watch::Receiver<AnswerState>) {
        let (state, seen) = watch::channel(AnswerState::Unsent);
        let sender = Sender {
            state,
            followed: AtomicBool::new(false),
            taken: AtomicBool::new(false),
        };
        (Self(Arc::new(sender)), seen)
    }

    /// A connection reports the state: by [`AnswerTracker::flushed`], then [`AnswerTracker::sent`] or
    /// [`AnswerTracker::lost`].
    pub fn follow(&self) {
        self.0.followed.store(true, Ordering::Release);
    }

    /// The body was taken to its end. It counts as read, unless a connection reports more.
    pub fn taken(&self) {
        self.0.taken.store(true, Ordering::Release);
        if !self.0.followed.load(Ordering::Acquire) {
            self.sent();
        }
    }

    /// The connection has written all that it had.
    pub fn flushed(&self) {
        if self.0.taken.load(Ordering::Acquire) {
            self.0.go_on(&[AnswerState::Unsent], AnswerState::Written);
        }
    }

    /// It was read, as far as can be known.
    pub fn sent(&self) {
        self.0
            .go_on(&[AnswerState::Unsent, AnswerState::Written], AnswerState::Sent);
    }

    /// It was not read.
    pub fn lost(&self) {
        self.0.state.send_replace(AnswerState::Lost);
    }
}

/// The answer to the last fetch of an account, until it is acked.
#[derive(Debug)]
struct Given {
    endpoint: EndpointId,
    from: EventOffset,
    to: EventOffset,
    state: watch::Receiver<AnswerState>,
}

/// The fetches of all accounts: those of one take turns.
#[derive(Debug, Default)]
pub(crate) struct Pulling {
    accounts: Mutex<HashMap<AccountId, Arc<tokio::sync::Mutex<Option<Given>>>>>,
}

impl Pulling {
    fn of(&self, account: AccountId) -> Arc<tokio::sync::Mutex<Option<Given>>> {
        Arc::clone(self.accounts.lock().entry(account).or_default())
    }

    /// Records what was given and sent: for the end of the process.
    pub(crate) async fn settle(&self, store: &dyn Store) -> Result<(), StoreError> {
        let accounts: Vec<_> = self.accounts.lock().values().cloned().collect();
        for account in accounts {
            let mut given = account.lock().await;
            if let Some(given) = given.take()
                && matches!(*given.state.borrow(), AnswerState::Sent | AnswerState::Written)
            {
                ack(store, &given).await?;
            }
        }
        Ok(())
    }
}

/// Records an answer as acked, unless an operator replayed the endpoint meanwhile.
async fn ack(store: &dyn Store, given: &Given) -> Result<(), StoreError> {
    let states = store.endpoint_states().await?;
    let stands = |state: &EndpointState| state.endpoint == given.endpoint && state.acked_offset == given.from;
    if !states.iter().any(stands) {
        return Ok(());
    }
    let done = RecordDelivery {
        endpoint: Some(given.endpoint),
        acked_offset: Some(given.to),
        ..RecordDelivery::default()
    };
    store.record_delivery(done).await
}

/// The state of an answer when it is none of `open`, or after `wait_max`.
async fn state_by(
    seen: &mut watch::Receiver<AnswerState>,
    wait_max: Duration,
    open: &[AnswerState],
) -> AnswerState {
    let decided = seen.wait_for(|state| !open.contains(state));
    // Either error leaves it as it is.
    let _ = tokio::time::timeout(wait_max, decided).await.map(drop);
    *seen.borrow()
}

impl Engine {
    /// The next events about messages for an account's endpoint of a form that is fetched, those that `is_reported` is true
    /// for. `None` when the account has no such endpoint, or has it switched off. Events older than `keep` are passed over.
    ///
    /// They are given again to the next fetch unless their answer was read, see [`AnswerTracker`]. Two fetches of
    /// one account at once take turns: the second one waits until the first one's answer is written, for ten seconds at
    /// most. Fetches of different accounts do not wait for each other.
    ///
    /// # Errors
    /// When the store failed; nothing is acked then.
    pub async fn pull(
        &self,
        account: AccountId,
        format: &str,
        keep: Duration,
        events_max: usize,
        is_reported: impl Fn(&EventPayload) -> bool + Send,
    ) -> Result<Option<(Vec<EventPayload>, AnswerTracker)>, StoreError> {
        let catalog = self.catalog();
        let endpoint = catalog
            .endpoints()
            .map(|entry| &entry.endpoint)
            .find(|endpoint| endpoint.account == account && endpoint.enabled && *endpoint.format == *format);
        let Some(endpoint) = endpoint else { return Ok(None) };
        let turn = self.pulling().of(account);
        let mut given = turn.lock().await;
        self.acknowledged(&mut given).await?;
        let (tracker, seen) = AnswerTracker::new();
        let states = self.store().endpoint_states().await?;
        let Some(state) = states.iter().find(|state| state.endpoint == endpoint.id) else {
            return Ok(Some((Vec::new(), tracker)));
        };
        let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let oldest = self.now().saturating_sub(keep_ms);
        let (mut to, mut payloads, mut looked_at) = (state.acked_offset, Vec::new(), 0);
        while payloads.len() < events_max && looked_at < LOOKED_AT_MAX {
            let (events, next) = self
                .store()
                .events(account, to, endpoint.kinds, EVENTS_A_READ)
                .await?;
            if next == to {
                break;
            }
            to = next;
            looked_at += events.len().max(1);
            let fresh = events.into_iter().filter(|event| event.at >= oldest).collect();
            let mut found = self.about_messages(fresh).await?;
            found.retain(&is_reported);
            // What there is no room for is read again by the next fetch.
            let room = events_max - payloads.len();
            if let Some(last) = room.checked_sub(1).and_then(|last| found.get(last)) {
                to = last.event.offset;
                found.truncate(room);
            }
            payloads.extend(found);
        }
        if to != state.acked_offset {
            *given = Some(Given {
                endpoint: endpoint.id,
                from: state.acked_offset,
                to,
                state: seen,
            });
        }
        Ok(Some((payloads, tracker)))
    }

    /// Settles the last fetch: acked when its answer was sent, to be returned again when not.
    async fn acknowledged(&self, given: &mut Option<Given>) -> Result<(), StoreError> {
        let Some(last) = given.as_mut() else { return Ok(()) };
        // One that takes longer is given again to this one; it may be read after all.
        let mut state = state_by(&mut last.state, ANSWER_WAIT_MAX, &[AnswerState::Unsent]).await;
        if state == AnswerState::Written {
            // A client that fetches again on another connection has mostly read the answer.
            state = state_by(&mut last.state, READ_WAIT_MAX, &[AnswerState::Written]).await;
        }
        if matches!(state, AnswerState::Sent | AnswerState::Written) {
            ack(&**self.store(), last).await?;
        }
        *given = None;
        Ok(())
    }

    /// Events with their messages; those of other things, and of messages that are gone, are left out.
    async fn about_messages(&self, events: Vec<Event>) -> Result<Vec<EventPayload>, StoreError> {
        let id_of = |event: &Event| match event.what {
            EventWhat::Message { id, .. } => Some(id),
            _ => None,
        };
        let mut ids: Vec<MessageId> = events.iter().filter_map(id_of).collect();
        ids.sort_unstable();
        ids.dedup();
        let views = self.store().messages(ids).await?;
        let views: HashMap<MessageId, _> = views.into_iter().map(|view| (view.id, view)).collect();
        let with = |event: Event| {
            let view = views.get(&id_of(&event)?)?.clone();
            Some(EventPayload {
                event,
                subject: Subject::Message(Box::new(view)),
            })
        };
        Ok(events.into_iter().filter_map(with).collect())
    }
}
