//! What all sessions of a simulator share.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use smpp::COctetString;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::behaviour::Garbage;
use super::config::SmscConfig;
use super::ledger::{Counts, Ledger};
use super::mailbox::Mailbox;
use super::script::Script;
use crate::seed::Seed;

/// A moment, on the simulator's clock and on that of the world.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Since the simulator started.
    pub(super) ms: u64,
    /// Since 1970.
    pub(super) unix_s: u64,
}

pub(super) struct Shared {
    pub(super) config: SmscConfig,
    pub(super) seed: Seed,
    pub(super) script: ArcSwap<Script>,
    pub(super) ledger: Mutex<Ledger>,
    pub(super) links: Mutex<BTreeMap<u64, Arc<Link>>>,
    mailboxes: Mutex<HashMap<COctetString, Arc<Mailbox>>>,
    /// Receipts written and not yet answered, of all sessions.
    pub(super) in_flight: AtomicUsize,
    next_id: AtomicU64,
    binds: AtomicU64,
    references: AtomicU16,
    /// The number of the last generated inbound message.
    pub(super) written: AtomicU64,
    /// Notified when the behaviour has changed.
    pub(super) behaves: Notify,
    started: Instant,
    started_unix: Duration,
}

/// A connection, as the others see it.
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) peer: SocketAddr,
    /// Set once it is bound.
    pub(super) system_id: Mutex<Option<COctetString>>,
    pub(super) wake: Arc<Notify>,
    pub(super) cut: CancellationToken,
    pub(super) orders: Mutex<Vec<LinkOrder>>,
}

/// An order to one session.
#[derive(Clone, Copy, Debug)]
pub(super) enum LinkOrder {
    Unbind,
    Garbage(Garbage),
}

impl Shared {
    pub(super) fn new(config: SmscConfig, seed: Seed) -> Self {
        let started_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let by_the_clock = u64::try_from(started_unix.as_micros()).unwrap_or(1);
        let first_id = if config.ids.first == 0 {
            by_the_clock
        } else {
            config.ids.first
        };
        Self {
            seed,
            script: ArcSwap::from_pointee(Script::new(config.behaviour.clone())),
            ledger: Mutex::new(Ledger::new(config.tracked_messages_max, config.kept_max)),
            links: Mutex::default(),
            mailboxes: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            next_id: AtomicU64::new(first_id),
            binds: AtomicU64::new(0),
            references: AtomicU16::new(0),
            written: AtomicU64::new(0),
            behaves: Notify::new(),
            started: Instant::now(),
            started_unix,
            config,
        }
    }

    pub(super) fn now(&self) -> Moment {
        let elapsed = self.started.elapsed();
        let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        Moment {
            ms,
            unix_s: (self.started_unix + elapsed).as_secs(),
        }
    }

    pub(super) fn started_unix_ms(&self) -> u64 {
        u64::try_from(self.started_unix.as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn instant_at(&self, ms: u64) -> Instant {
        self.started + Duration::from_millis(ms)
    }

    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// What the parts of the next inbound message that is ordered have in common.
    pub(super) fn next_reference(&self) -> u16 {
        self.references.fetch_add(1, Ordering::Relaxed)
    }

    /// Numbers binds, refused ones too, from 0.
    pub(super) fn next_bind(&self) -> u64 {
        self.binds.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn mailbox(&self, system_id: &COctetString) -> Arc<Mailbox> {
        let mut mailboxes = self.mailboxes.lock();
        if let Some(mailbox) = mailboxes.get(system_id) {
            return Arc::clone(mailbox);
        }
        let mailbox = Arc::new(Mailbox::default());
        // A copy, because a long name shares the buffer it was read into.
        mailboxes.insert(system_id.as_bytes().into(), Arc::clone(&mailbox));
        mailbox
    }

    /// The mailbox of a `system_id` that has bound before.
    pub(super) fn known_mailbox(&self, system_id: &str) -> Option<Arc<Mailbox>> {
        self.mailboxes
            .lock()
            .get(&COctetString::from(system_id))
            .map(Arc::clone)
    }

    /// The same; for an empty name that of the first `system_id`, by name, that has ever bound.
    pub(super) fn mailbox_for(&self, system_id: &str) -> Option<Arc<Mailbox>> {
        if !system_id.is_empty() {
            return self.known_mailbox(system_id);
        }
        let mailboxes = self.mailboxes.lock();
        let first = mailboxes
            .iter()
            .min_by(|(one, _), (other, _)| one.as_bytes().cmp(other.as_bytes()));
        first.map(|(_, mailbox)| Arc::clone(mailbox))
    }

    /// Sessions bound as `system_id`, or as anyone.
    pub(super) fn binds_up(&self, system_id: Option<&COctetString>) -> usize {
        let links = self.links.lock();
        let bound = links
            .values()
            .filter(|link| match (&*link.system_id.lock(), system_id) {
                (Some(bound), Some(wanted)) => bound == wanted,
                (bound, None) => bound.is_some(),
                (None, Some(_)) => false,
            });
        bound.count()
    }

    /// Connections of `system_id`, or all.
    pub(super) fn links_of(&self, system_id: Option<&str>) -> Vec<Arc<Link>> {
        let links = self.links.lock();
        let meant = links.values().filter(|link| match system_id {
            Some(wanted) => link
                .system_id
                .lock()
                .as_ref()
                .is_some_and(|bound| *bound == wanted),
            None => true,
        });
        meant.map(Arc::clone).collect()
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = self.ledger.lock().sums();
        let waiting: usize = self.mailboxes.lock().values().map(|mailbox| mailbox.len()).sum();
        counts.receipts_waiting = (waiting + self.in_flight.load(Ordering::Relaxed)) as u64;
        counts.binds_up = self.binds_up(None) as u64;
        counts
    }

    /// Deletes all counts, kept messages and waiting deliveries.
    pub(super) fn reset(&self) {
        for mailbox in self.mailboxes.lock().values() {
            mailbox.clear();
        }
        self.ledger.lock().reset();
    }
}
