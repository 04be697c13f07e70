//! One carrier's ready queue.

use super::QueueLimits;
use super::expired::ExpiredRuns;
use super::fair::{ClassPicker, Turns, share_of};
use super::lane::{LaneQueue, LoadedTo};
use parking_lot::Mutex;
use sms::class::Class;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{AccountId, CarrierNo, Lane, Outgoing, UnixMs};
use tokio::sync::Notify;

/// The class of codes, as an index.
const CODES: usize = 0;

/// What is ready for one carrier.
#[derive(Debug)]
pub struct CarrierQueue {
    carrier: CarrierNo,
    limits: QueueLimits,
    pub(super) inner: Mutex<Inner>,
    /// Messages became ready.
    ready: Notify,
    /// Codes became ready.
    codes_ready: Notify,
    /// A backlogged lane has room.
    pub(super) refill: Notify,
    /// Times that messages stayed in the store because the queue, or their lane, was full.
    full: [AtomicU64; 2],
    /// Where what has expired goes.
    pub(super) expired: Arc<ExpiredRuns>,
}

#[derive(Debug)]
pub(super) struct Inner {
    carrier: CarrierNo,
    pub(super) lanes: HashMap<Lane, LaneQueue>,
    turns: [Turns<Lane>; 3],
    classes: ClassPicker,
    shares: Arc<HashMap<AccountId, u16>>,
    /// Messages in all windows.
    ready: usize,
    /// Lanes with a backlog in the store.
    pub(super) backlogged_lanes: usize,
}

/// A lane to be read, from where and how much of it. While it exists nobody else reads the lane.
///
/// Dropped without [`ReadWanted::end`] (the read failed, or the future that made it was dropped) it gives the lane
/// back, so that it is read again.
#[derive(Debug)]
#[must_use = "dropped, it gives the lane back unread"]
pub struct ReadWanted {
    queue: Arc<CarrierQueue>,
    lane: Lane,
    after: Option<LoadedTo>,
    messages_max: usize,
    ended: bool,
}

impl ReadWanted {
    /// The lane.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// The last message that is in memory already.
    pub fn after(&self) -> Option<LoadedTo> {
        self.after
    }

    /// Messages there is room for.
    pub fn messages_max(&self) -> usize {
        self.messages_max
    }

    /// Takes in what the read brought.
    pub fn end(mut self, messages: Vec<Outgoing>) {
        self.ended = true;
        let exhausted = messages.len() < self.messages_max;
        let any = !messages.is_empty();
        let is_of_use = self
            .queue
            .inner
            .lock()
            .change(self.lane, |lane| lane.end_read(messages, exhausted));
        if !is_of_use {
            self.queue.refill.notify_one();
        } else if any {
            self.queue.announce(self.lane.class);
        }
    }
}

impl Drop for ReadWanted {
    fn drop(&mut self) {
        if !self.ended {
            self.queue.inner.lock().change(self.lane, LaneQueue::read_failed);
            // The wake-up that led to this read may have been the only one.
            self.queue.refill.notify_one();
        }
    }
}

impl CarrierQueue {
    pub(super) fn new(
        carrier: CarrierNo,
        limits: QueueLimits,
        shares: Arc<HashMap<AccountId, u16>>,
        expired: Arc<ExpiredRuns>,
    ) -> Self {
        let inner = Inner {
            carrier,
            lanes: HashMap::new(),
            turns: [Turns::default(), Turns::default(), Turns::default()],
            classes: ClassPicker::new(limits.weights),
            shares,
            ready: 0,
            backlogged_lanes: 0,
        };
        Self {
            carrier,
            limits,
            inner: Mutex::new(inner),
            ready: Notify::new(),
            codes_ready: Notify::new(),
            refill: Notify::new(),
            full: Default::default(),
            expired,
        }
    }

    /// Whose queue it is.
    pub fn carrier(&self) -> CarrierNo {
        self.carrier
    }

    pub(super) fn set_shares(&self, shares: Arc<HashMap<AccountId, u16>>) {
        self.inner.lock().shares = shares;
    }

    /// Times that messages stayed in the store because of `ready_messages_max`, and because of `lane_messages_max`.
    pub fn times_full(&self) -> (u64, u64) {
        let [queue, lane] = &self.full;
        (queue.load(Ordering::Relaxed), lane.load(Ordering::Relaxed))
    }

    /// Messages ready in memory.
    pub fn ready_messages(&self) -> usize {
        self.inner.lock().ready
    }

    /// Lanes it knows of.
    #[cfg(test)]
    pub(super) fn lanes(&self) -> usize {
        self.inner.lock().lanes.len()
    }

    /// Enqueues a freshly committed run of one lane, as far as there is room. Runs on the store's writer thread, in commit
    /// order.
    pub fn enqueue_ready(&self, lane: Lane, messages: impl ExactSizeIterator<Item = Outgoing>) {
        let mut inner = self.inner.lock();
        let room = inner.room(lane, &self.limits);
        let count = messages.len();
        if room < count {
            let [queue, of_lane] = &self.full;
            let is_full = inner.ready.saturating_add(count) > self.limits.ready_messages_max;
            let limit = if is_full { queue } else { of_lane };
            limit.fetch_add(1, Ordering::Relaxed);
        }
        let taken = inner.change(lane, |queue| queue.enqueue_ready(messages, room));
        drop(inner);
        if taken > 0 {
            self.announce(lane.class);
        }
        if taken < count {
            self.refill.notify_one();
        }
    }

    /// Marks a lane as backlogged: messages wait in the store that are not in this queue.
    pub fn mark_backlogged(&self, lane: Lane) {
        self.inner.lock().change(lane, LaneQueue::mark_backlogged);
        self.refill.notify_one();
    }

    /// Has a lane of this carrier read again from its beginning: messages of it were taken, nothing came of it, and they
    /// were not put back. What was taken meanwhile and is read again is no part of a second attempt: the store sees to that
    /// ([`store::BegunAttempt::gone`]).
    pub fn read_again(&self, lane: Lane) {
        self.inner.lock().change(lane, LaneQueue::read_again);
        self.refill.notify_one();
    }

    /// Enqueues a message of another carrier's lane (failover). Returns it when there is no room.
    pub fn accept_failover(&self, message: Outgoing) -> Result<(), Outgoing> {
        let mut inner = self.inner.lock();
        if inner.ready >= self.limits.ready_messages_max {
            return Err(message);
        }
        let lane = message.key.lane;
        inner.change(lane, |queue| queue.accept_failover(message));
        drop(inner);
        self.announce(lane.class);
        Ok(())
    }

    /// Messages of this class became ready.
    fn announce(&self, class: Class) {
        if class == Class::Otp {
            self.codes_ready.notify_one();
        }
        self.ready.notify_one();
    }

    /// Takes messages of about `segments_max` segments, fairly: at least one message if any is ready, and the last one
    /// whole, so that it may be more by what that one has. Whatever they are taken for (a bind, the sandbox, a
    /// fail-over), none of them has expired at `now`: those that have are left to [`ExpiredRuns`], which has the store
    /// end them.
    pub fn take(&self, segments_max: usize, now: UnixMs) -> Vec<Outgoing> {
        self.take_by(segments_max, now, Inner::take_one)
    }

    /// Takes codes alone, of about `segments_max` segments, as [`Self::take`] does.
    pub fn take_codes(&self, segments_max: usize, now: UnixMs) -> Vec<Outgoing> {
        self.take_by(segments_max, now, |inner| inner.take_of(CODES))
    }

    fn take_by(
        &self,
        segments_max: usize,
        now: UnixMs,
        mut next: impl FnMut(&mut Inner) -> Option<Outgoing>,
    ) -> Vec<Outgoing> {
        let mut inner = self.inner.lock();
        let mut taken = Vec::with_capacity(segments_max.min(inner.ready));
        let mut expired = Vec::new();
        let mut segments = 0;
        while segments < segments_max {
            let Some(message) = next(&mut inner) else { break };
            if message.is_expired(now) {
                expired.push(message);
            } else {
                segments += message.segments_left();
                taken.push(message);
            }
        }
        let left = inner.ready;
        let codes_left = inner.waits(CODES);
        let half = self.limits.lane_messages_max / 2;
        let refill = inner.backlogged_lanes > 0
            && inner
                .lanes
                .values()
                .any(|lane| lane.wants_read() && lane.len() <= half);
        drop(inner);
        self.expired.push(&expired);
        if left > 0 {
            // Another bind may have been waiting for the same notification.
            self.ready.notify_one();
        }
        if codes_left {
            self.codes_ready.notify_one();
        }
        if refill {
            self.refill.notify_one();
        }
        taken
    }

    /// Puts messages back in front of their lanes: they were taken and nothing came of it.
    pub fn put_back(&self, messages: Vec<Outgoing>) {
        if messages.is_empty() {
            return;
        }
        let mut by_lane: HashMap<Lane, Vec<Outgoing>> = HashMap::new();
        for message in messages {
            by_lane.entry(message.key.lane).or_default().push(message);
        }
        let mut inner = self.inner.lock();
        for (lane, messages) in by_lane {
            inner.change(lane, |queue| queue.put_back(messages.into_iter()));
        }
        let codes = inner.waits(CODES);
        drop(inner);
        if codes {
            self.codes_ready.notify_one();
        }
        self.ready.notify_one();
    }

    /// Wakes one that waits for messages, if some are ready: for who was woken and will not take any.
    pub fn wake_next(&self) {
        let inner = self.inner.lock();
        let (any, codes) = (inner.ready > 0, inner.waits(CODES));
        drop(inner);
        if codes {
            self.codes_ready.notify_one();
        }
        if any {
            self.ready.notify_one();
        }
    }

    /// Waits until messages may be ready. Who is woken and takes none passes that on by [`CarrierQueue::wake_next`].
    pub async fn wait_ready(&self) {
        if self.inner.lock().ready > 0 {
            return;
        }
        self.ready.notified().await;
    }

    /// Waits until codes may be ready.
    pub async fn wait_codes(&self) {
        if self.inner.lock().waits(CODES) {
            return;
        }
        self.codes_ready.notified().await;
    }

    /// Waits until a lane may want reading.
    pub async fn wait_refill(&self) {
        self.refill.notified().await;
    }

    /// The next lane to be read from the store, codes first; it counts as being read while the result exists.
    pub fn next_read(self: &Arc<Self>) -> Option<ReadWanted> {
        let mut inner = self.inner.lock();
        let mut wanting: Vec<Lane> = inner
            .lanes
            .iter()
            .filter(|(lane, queue)| lane.carrier == self.carrier && queue.is_backlogged())
            .map(|(lane, _)| *lane)
            .collect();
        wanting.sort_unstable_by_key(|lane| {
            (
                lane.class.as_u8(),
                inner.lanes.get(lane).map_or(0, LaneQueue::len),
            )
        });
        for lane in wanting {
            let room = inner.room(lane, &self.limits);
            let Some(queue) = inner.lanes.get_mut(&lane) else {
                continue;
            };
            if let Some(after) = queue.begin_read(room) {
                return Some(ReadWanted {
                    queue: Arc::clone(self),
                    lane,
                    after,
                    messages_max: room,
                    ended: false,
                });
            }
        }
        None
    }
}

impl Inner {
    /// Messages a lane may take in now. A lane that has nothing ready always gets a few, so that many
    /// campaigns cannot keep a quiet account out.
    fn room(&self, lane: Lane, limits: &QueueLimits) -> usize {
        const EMPTY_LANE_MIN: usize = 64;
        let len = self.lanes.get(&lane).map_or(0, LaneQueue::len);
        let of_lane = limits.lane_messages_max.saturating_sub(len);
        let of_all = limits.ready_messages_max.saturating_sub(self.ready);
        of_lane.min(of_all.max(EMPTY_LANE_MIN.saturating_sub(len)))
    }

    /// Changes a lane and updates turns and sums. An empty lane of another carrier is dropped.
    pub(super) fn change<T>(&mut self, lane: Lane, change: impl FnOnce(&mut LaneQueue) -> T) -> T {
        let queue = self.lanes.entry(lane).or_default();
        let (before, was_backlogged) = (queue.len(), queue.is_backlogged());
        let result = change(queue);
        let after = queue.len();
        self.backlogged_lanes =
            self.backlogged_lanes + usize::from(queue.is_backlogged()) - usize::from(was_backlogged);
        self.ready = self.ready + after - before;
        if let Some(turns) = self.turns.get_mut(usize::from(lane.class.as_u8())) {
            match (before, after) {
                (0, 1..) => turns.join(lane),
                (1.., 0) => turns.leave(lane),
                _ => {}
            }
        }
        if after == 0 {
            self.drop_failover_lane(lane);
        }
        result
    }

    /// Whether something of a class waits.
    fn waits(&self, class: usize) -> bool {
        self.turns.get(class).is_some_and(|turns| !turns.is_empty())
    }

    fn take_one(&mut self) -> Option<Outgoing> {
        let waits = [0, 1, 2].map(|class| self.waits(class));
        let class = self.classes.pick(waits)?;
        let message = self.take_of(class)?;
        self.classes.charge(class, message.segments_left() - 1);
        Some(message)
    }

    /// Takes the next message of one class: accounts in turns, counted in segments.
    fn take_of(&mut self, class: usize) -> Option<Outgoing> {
        let turns = self.turns.get_mut(class)?;
        let lane = turns.front(|lane| share_of(&self.shares, lane.account))?;
        let queue = self.lanes.get_mut(&lane)?;
        let message = queue.pop()?;
        self.ready -= 1;
        turns.took(message.segments_left(), queue.is_empty());
        if queue.is_empty() {
            self.drop_failover_lane(lane);
        }
        Some(message)
    }

    /// Drops an empty lane of another carrier: nothing of it is ever read here.
    fn drop_failover_lane(&mut self, lane: Lane) {
        if lane.carrier != self.carrier {
            self.lanes.remove(&lane);
        }
    }
}
