//! Events that an account fetches instead of being called: an endpoint without a URL.
//!
//! Nothing is lost when an answer is not read: what a fetch gave counts as told when the next fetch comes and the answer
//! was not seen to fail. So it is given at least once; after a kill the last answer is given again.

use crate::engine::Engine;
use crate::notify::{Subject, Telling};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::{
    AccountId, EndpointId, EndpointState, Event, EventPlace, EventWhat, MessageId, RecordDelivery, Store,
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

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Not written yet.
    Unsent,
    /// Written to a connection that will tell whether it was read.
    Written,
    /// Read, as far as can be known.
    Sent,
    /// Not written to its end, or not read.
    Lost,
}

/// One answer to a fetch: whoever sends it says what becomes of it. Dropped before [`AnswerFate::taken`], it is lost.
#[derive(Debug, Clone)]
pub struct AnswerFate(Arc<Sender>);

#[derive(Debug)]
struct Sender {
    fate: watch::Sender<Fate>,
    /// A connection tells what becomes of it.
    followed: AtomicBool,
    /// The connection has all of it in its buffer.
    taken: AtomicBool,
}

impl Sender {
    /// Goes on from one of these.
    fn go_on(&self, from: &[Fate], to: Fate) {
        self.fate.send_if_modified(|fate| {
            let goes_on = from.contains(fate);
            if goes_on {
                *fate = to;
            }
            goes_on
        });
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.go_on(&[Fate::Unsent], Fate::Lost);
    }
}

impl AnswerFate {
    fn new() -> (Self, watch::Receiver<Fate>) {
        let (fate, seen) = watch::channel(Fate::Unsent);
        let sender = Sender {
            fate,
            followed: AtomicBool::new(false),
            taken: AtomicBool::new(false),
        };
        (Self(Arc::new(sender)), seen)
    }

    /// A connection tells what becomes of it: by [`AnswerFate::flushed`], then [`AnswerFate::sent`] or
    /// [`AnswerFate::lost`].
    pub fn follow(&self) {
        self.0.followed.store(true, Ordering::Release);
    }

    /// Somebody has all of it. Unless that is a connection that tells more, it counts as read.
    pub fn taken(&self) {
        self.0.taken.store(true, Ordering::Release);
        if !self.0.followed.load(Ordering::Acquire) {
            self.sent();
        }
    }

    /// The connection has written all that it had.
    pub fn flushed(&self) {
        if self.0.taken.load(Ordering::Acquire) {
            self.0.go_on(&[Fate::Unsent], Fate::Written);
        }
    }

    /// It was read, as far as can be known.
    pub fn sent(&self) {
        self.0.go_on(&[Fate::Unsent, Fate::Written], Fate::Sent);
    }

    /// It was not read.
    pub fn lost(&self) {
        self.0.fate.send_replace(Fate::Lost);
    }
}

/// What the last fetch of an account was given, until that counts as told.
#[derive(Debug)]
struct Given {
    endpoint: EndpointId,
    from: EventPlace,
    to: EventPlace,
    fate: watch::Receiver<Fate>,
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
                && matches!(*given.fate.borrow(), Fate::Sent | Fate::Written)
            {
                told(store, &given).await?;
            }
        }
        Ok(())
    }
}

/// Records what was given as told, unless an operator had the endpoint told its events again meanwhile.
async fn told(store: &dyn Store, given: &Given) -> Result<(), StoreError> {
    let states = store.endpoint_states().await?;
    let stands = |state: &EndpointState| state.endpoint == given.endpoint && state.told == given.from;
    if !states.iter().any(stands) {
        return Ok(());
    }
    let done = RecordDelivery {
        endpoint: Some(given.endpoint),
        told: Some(given.to),
        ..RecordDelivery::default()
    };
    store.record_delivery(done).await
}

/// What has become of an answer when it is none of `open` any more, or after a time.
async fn fate_by(seen: &mut watch::Receiver<Fate>, wait_max: Duration, open: &[Fate]) -> Fate {
    let decided = seen.wait_for(|fate| !open.contains(fate));
    // Either error leaves it as it is.
    let _ = tokio::time::timeout(wait_max, decided).await.map(drop);
    *seen.borrow()
}

impl Engine {
    /// The next events about messages for an account's endpoint of a form that is fetched, those that `is_told` is true
    /// for. `None` when the account has no such endpoint, or has it switched off. Events older than `keep` are passed over.
    ///
    /// They are given again to the next fetch unless their answer was read, see [`AnswerFate`]. Two fetches of
    /// one account at once take turns: the second one waits until the first one's answer is written, for ten seconds at
    /// most. Fetches of different accounts do not wait for each other.
    ///
    /// # Errors
    /// When the store failed; nothing is told then.
    pub async fn pull(
        &self,
        account: AccountId,
        format: &str,
        keep: Duration,
        events_max: usize,
        is_told: impl Fn(&Telling) -> bool + Send,
    ) -> Result<Option<(Vec<Telling>, AnswerFate)>, StoreError> {
        let catalog = self.catalog();
        let endpoint = catalog
            .endpoints()
            .map(|entry| &entry.endpoint)
            .find(|endpoint| endpoint.account == account && endpoint.enabled && *endpoint.format == *format);
        let Some(endpoint) = endpoint else { return Ok(None) };
        let turn = self.pulling().of(account);
        let mut given = turn.lock().await;
        self.acknowledged(&mut given).await?;
        let (fate, seen) = AnswerFate::new();
        let states = self.store().endpoint_states().await?;
        let Some(state) = states.iter().find(|state| state.endpoint == endpoint.id) else {
            return Ok(Some((Vec::new(), fate)));
        };
        let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let oldest = self.now().saturating_sub(keep_ms);
        let (mut to, mut tellings, mut looked_at) = (state.told, Vec::new(), 0);
        while tellings.len() < events_max && looked_at < LOOKED_AT_MAX {
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
            found.retain(&is_told);
            // What there is no room for is read again by the next fetch.
            let room = events_max - tellings.len();
            if let Some(last) = room.checked_sub(1).and_then(|last| found.get(last)) {
                to = last.event.place;
                found.truncate(room);
            }
            tellings.extend(found);
        }
        if to != state.told {
            *given = Some(Given {
                endpoint: endpoint.id,
                from: state.told,
                to,
                fate: seen,
            });
        }
        Ok(Some((tellings, fate)))
    }

    /// Settles what the last fetch was given: told when its answer was sent, to be given again when not.
    async fn acknowledged(&self, given: &mut Option<Given>) -> Result<(), StoreError> {
        let Some(last) = given.as_mut() else { return Ok(()) };
        // One that takes longer is given again to this one; it may be read after all.
        let mut fate = fate_by(&mut last.fate, ANSWER_WAIT_MAX, &[Fate::Unsent]).await;
        if fate == Fate::Written {
            // Who asks again on another connection has mostly read the answer on that one.
            fate = fate_by(&mut last.fate, READ_WAIT_MAX, &[Fate::Written]).await;
        }
        if matches!(fate, Fate::Sent | Fate::Written) {
            told(&**self.store(), last).await?;
        }
        *given = None;
        Ok(())
    }

    /// Events with their messages; those of other things, and of messages that are gone, are left out.
    async fn about_messages(&self, events: Vec<Event>) -> Result<Vec<Telling>, StoreError> {
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
            Some(Telling {
                event,
                subject: Subject::Message(Box::new(view)),
            })
        };
        Ok(events.into_iter().filter_map(with).collect())
    }
}
