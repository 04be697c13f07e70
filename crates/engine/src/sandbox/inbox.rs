//! What became of messages in the sandbox: a bounded ring in memory, to be read and waited on.

use parking_lot::Mutex;
use sms::class::{Class, Kind};
use sms::phone::Msisdn;
use sms::reason::Reason;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{MessageId, UnixMs};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryState {
    /// The message arrived.
    Delivered,
    /// The sandbox refused it, or reported that it was not delivered.
    Failed(Reason),
    /// The sandbox took it and reports nothing.
    Silent,
    /// The recipient was refused: there is no message.
    Refused(Reason),
}

/// One message as its recipient sees it, or why he sees none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place: entries are numbered from 1 as they come.
    pub no: u64,
    /// The message; `None` for a recipient that was refused.
    pub message: Option<MessageId>,
    /// The number as digits with country code; `None` when what was sent is no number.
    pub msisdn: Option<Msisdn>,
    /// The number with plus; what was sent when it is no number.
    pub to: String,
    /// The sender, empty when it has none.
    pub from: String,
    /// The text, signature included; empty for a recipient that was refused.
    pub text: String,
    /// Parts it came in.
    pub segments: u16,
    /// Traffic class; `None` for a recipient that was refused.
    pub class: Option<Class>,
    /// Text or voice.
    pub kind: Kind,
    /// When, Unix milliseconds.
    pub time: UnixMs,
    /// What became of it.
    pub state: EntryState,
}

/// Which entries to show.
#[derive(Debug, Clone, Default)]
pub struct EntryFilter {
    /// Only to one of these numbers.
    pub to: Option<Vec<Msisdn>>,
    /// And those whose recipient was written so.
    pub written: Option<String>,
    /// Only those after this place.
    pub after: u64,
    /// Only those since this moment.
    pub since: UnixMs,
}

impl EntryFilter {
    fn fits(&self, entry: &Entry) -> bool {
        let to = match (&self.to, &self.written) {
            (None, None) => true,
            (numbers, written) => {
                let number = |all: &Vec<Msisdn>| entry.msisdn.is_some_and(|msisdn| all.contains(&msisdn));
                numbers.as_ref().is_some_and(number) || written.as_ref() == Some(&entry.to)
            }
        };
        to && entry.no > self.after && entry.time >= self.since
    }
}

/// The last entries of the sandbox.
#[derive(Debug)]
pub struct Inbox {
    entries_max: usize,
    ring: Mutex<Ring>,
    news: broadcast::Sender<Entry>,
    /// Recipients that are refused are kept as well.
    keeps_refusals: AtomicBool,
    /// Nobody is to wait for entries any more.
    waits_end: CancellationToken,
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Entry>,
    last_no: u64,
}

/// Unread entries that are kept for a slow subscriber.
const NEWS_MAX: usize = 1024;

impl Inbox {
    /// An empty one that keeps the last `entries_max`.
    pub fn new(entries_max: usize) -> Self {
        Self {
            entries_max,
            ring: Mutex::default(),
            news: broadcast::Sender::new(NEWS_MAX),
            keeps_refusals: AtomicBool::new(false),
            waits_end: CancellationToken::new(),
        }
    }

    /// Ends all waits for entries, and those to come: the process stops.
    pub fn end_waits(&self) {
        self.waits_end.cancel();
    }

    /// Returns when waits are to end.
    pub async fn waits_ended(&self) {
        self.waits_end.cancelled().await;
    }

    /// From now on refused recipients are kept as well, whatever carrier they were for: for a process that is there to
    /// test with.
    pub fn keep_refusals(&self) {
        self.keeps_refusals.store(true, Ordering::Relaxed);
    }

    /// Whether refused recipients are kept, and inbound messages can be played.
    pub fn keeps_refusals(&self) -> bool {
        self.keeps_refusals.load(Ordering::Relaxed)
    }

    pub(crate) fn push(&self, mut entry: Entry) {
        let mut ring = self.ring.lock();
        ring.last_no += 1;
        entry.no = ring.last_no;
        if ring.entries.len() >= self.entries_max {
            ring.entries.pop_front();
        }
        ring.entries.push_back(entry.clone());
        drop(ring);
        // That nobody watches is fine.
        let _ = self.news.send(entry);
    }

    /// The newest entries first.
    pub fn entries(&self, filter: &EntryFilter, entries_max: usize) -> Vec<Entry> {
        let ring = self.ring.lock();
        let fitting = ring.entries.iter().rev().filter(|entry| filter.fits(entry));
        fitting.take(entries_max).cloned().collect()
    }

    /// The place of a message's entry.
    pub fn place_of(&self, message: MessageId) -> Option<u64> {
        let ring = self.ring.lock();
        let of_message = ring
            .entries
            .iter()
            .rev()
            .find(|entry| entry.message == Some(message));
        of_message.map(|entry| entry.no)
    }

    /// Every entry from now on.
    pub fn watch(&self) -> broadcast::Receiver<Entry> {
        self.news.subscribe()
    }

    /// Deletes the entries that the filter fits; returns how many.
    pub fn remove(&self, filter: &EntryFilter) -> usize {
        let mut ring = self.ring.lock();
        let before = ring.entries.len();
        ring.entries.retain(|entry| !filter.fits(entry));
        before - ring.entries.len()
    }

    /// Deletes one entry; false when there is none.
    pub fn remove_one(&self, no: u64) -> bool {
        let mut ring = self.ring.lock();
        let before = ring.entries.len();
        ring.entries.retain(|entry| entry.no != no);
        before > ring.entries.len()
    }
}
