//! Looking through what is ready, past what has to stay.

use super::CarrierQueue;
use store::{Lane, Outgoing, UnixMs};

/// A place in one lane's ready messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkPlace {
    lane: Lane,
    /// Messages of the lane that were looked at and stayed.
    stayed: usize,
}

impl CarrierQueue {
    /// Where to begin a walk: the front of each lane with ready messages, codes first.
    pub fn walk_places(&self) -> Vec<WalkPlace> {
        let inner = self.inner.lock();
        let ready = inner.lanes.iter().filter(|(_, queue)| !queue.is_empty());
        let mut places: Vec<WalkPlace> = ready.map(|(&lane, _)| WalkPlace { lane, stayed: 0 }).collect();
        drop(inner);
        places.sort_unstable_by_key(|place| place.lane);
        places
    }

    /// Looks at up to `messages_max` messages of a lane from `place` on and takes out those that `moves` is true for; the
    /// others stay in order. The place to go on from, `None` at the lane's end. As in [`CarrierQueue::take`], what has
    /// expired at `now` goes to be ended.
    pub fn walk(
        &self,
        place: WalkPlace,
        messages_max: usize,
        now: UnixMs,
        mut moves: impl FnMut(&Outgoing) -> bool,
    ) -> (Vec<Outgoing>, Option<WalkPlace>) {
        let mut inner = self.inner.lock();
        if !inner.lanes.contains_key(&place.lane) {
            return (Vec::new(), None);
        }
        let (taken, looked_at, len) = inner.change(place.lane, |queue| {
            let (taken, looked_at) = queue.take_out(place.stayed, messages_max, |message| {
                message.is_expired(now) || moves(message)
            });
            (taken, looked_at, queue.len())
        });
        let refill = inner.backlogged_lanes > 0 && !taken.is_empty();
        drop(inner);
        if refill {
            self.refill.notify_one();
        }
        let stayed = place.stayed + looked_at - taken.len();
        let next = WalkPlace { stayed, ..place };
        let (expired, taken): (Vec<_>, Vec<_>) =
            taken.into_iter().partition(|message| message.is_expired(now));
        self.expired.push(&expired);
        (taken, (stayed < len).then_some(next))
    }
}
