//! What the user holds of a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

use crate::session::{Reply, Request, Slots};

/// Sends over one bound session. Cheap to clone, may be used from many tasks at once.
///
/// What becomes of everything sent is told by the [`Events`](super::Events) that came with it. Once the session is over
/// every method does nothing or gives its argument back. When the last handle is dropped the session unbinds.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
}

/// What handles and driver share.
#[derive(Debug)]
pub(super) struct Shared {
    window_max: usize,
    slots: Slots,
    queue_max: usize,
    /// Requests handed in whose slot is not free again: queued, in flight, or answered and not released.
    outstanding: AtomicUsize,
    /// Places in the queue. Bounds the command channel as far as requests go; replies are bounded by the requests of
    /// the peer they answer (`inbound_max`), so they need no bound of their own.
    pub(super) room: Semaphore,
}

/// What handles tell the driver, in order.
#[derive(Debug)]
pub(super) enum Command {
    Send(Vec<Request>),
    Reply(Vec<Reply>),
    Release(usize),
    Raw(Bytes),
    Unbind { drain_max: Duration },
    Close,
}

/// The requests that were not taken because the session is over. None of them has been sent.
#[derive(Debug, thiserror::Error)]
#[error("the session is over; {} requests were not sent", .0.len())]
pub struct Unsent(pub Vec<Request>);

impl Shared {
    pub(super) fn new(window_max: usize, slots: Slots, queue_max: usize) -> Self {
        // The semaphore counts in u32; nobody queues more.
        let queue_max = queue_max.clamp(window_max, u32::MAX as usize >> 3);
        Self {
            window_max,
            slots,
            queue_max,
            outstanding: AtomicUsize::new(0),
            room: Semaphore::new(queue_max),
        }
    }

    /// Slots became free. Never below zero, whatever a user releases.
    pub(super) fn settled(&self, requests: usize) {
        let less = |outstanding: usize| Some(outstanding.saturating_sub(requests));
        let _ = self
            .outstanding
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> (Self, mpsc::UnboundedReceiver<Command>) {
        let (commands, driver) = mpsc::unbounded_channel();
        (Self { shared, commands }, driver)
    }

    /// The most requests that are in flight at once.
    #[must_use]
    pub fn window_max(&self) -> usize {
        self.shared.window_max
    }

    /// How many requests would leave at once if they were handed in now. Requests that wait for a slot count as if they
    /// had one, and slots that wait for [`Self::release`] are taken.
    ///
    /// Handing in no more than this never waits, so a single task may both send and take events if it keeps to it.
    #[must_use]
    pub fn window_free(&self) -> usize {
        self.shared
            .window_max
            .saturating_sub(self.shared.outstanding.load(Ordering::Relaxed))
    }

    /// Hands in requests, to be sent in this order as soon as the window has slots for them. Waits only while the queue
    /// before the window is full ([`Buffers::queue_max`](super::Buffers::queue_max)).
    ///
    /// Not cancel safe: if dropped while it waits, some requests may have been handed in and others not.
    ///
    /// # Errors
    /// [`Unsent`] with the requests that were not handed in, if the session is over.
    pub async fn send_batch(&self, requests: Vec<Request>) -> Result<(), Unsent> {
        // A batch larger than this goes in by parts, so that the queue need not run dry before there is room for it.
        let part_max = self.shared.queue_max.div_ceil(4);
        if requests.len() <= part_max {
            return self.send_part(requests).await;
        }
        let mut requests = requests.into_iter();
        while requests.len() > 0 {
            let part = requests.by_ref().take(part_max).collect();
            if let Err(Unsent(mut unsent)) = self.send_part(part).await {
                unsent.extend(requests);
                return Err(Unsent(unsent));
            }
        }
        Ok(())
    }

    /// Hands in no more than the queue can hold.
    async fn send_part(&self, part: Vec<Request>) -> Result<(), Unsent> {
        let places = u32::try_from(part.len()).unwrap_or(u32::MAX);
        match self.shared.room.acquire_many(places).await {
            Ok(room) => room.forget(),
            Err(_closed) => return Err(Unsent(part)),
        }
        self.shared.outstanding.fetch_add(part.len(), Ordering::Relaxed);
        match self.commands.send(Command::Send(part)) {
            Err(mpsc::error::SendError(Command::Send(part))) => Err(Unsent(part)),
            _ => Ok(()),
        }
    }

    /// Answers requests of the peer: once what they brought is durable, and not before.
    ///
    /// Each request reported is answered once; there is no need to wait, because no more requests are reported than
    /// `inbound_max` before answers are given.
    pub fn respond(&self, replies: Vec<Reply>) {
        self.command(Command::Reply(replies));
    }

    /// Frees as many slots of the window, the results of which are durable now.
    /// Only with [`Slots::OnRelease`].
    pub fn release(&self, slots: usize) {
        if self.shared.slots == Slots::OnRelease {
            // Counted here and not by the driver, so that `window_free` tells at once what may be sent now.
            self.shared.settled(slots);
            self.command(Command::Release(slots));
        }
    }

    /// Writes octets as they are, between two PDUs. For simulators that misbehave on purpose; nothing bounds how many
    /// wait to be written.
    pub fn send_raw(&self, octets: impl Into<Bytes>) {
        self.command(Command::Raw(octets.into()));
    }

    /// Stops sending requests (those still queued are reported as unsent), waits until everything is answered both
    /// ways, for `drain_max` at most, then unbinds and returns when the session is over.
    pub async fn unbind_and_drain(&self, drain_max: Duration) {
        self.command(Command::Unbind { drain_max });
        self.closed().await;
    }

    /// Drops the connection at once, without unbinding and without writing what is still waiting to be written.
    pub fn close(&self) {
        self.command(Command::Close);
    }

    /// Waits until the session is over.
    pub async fn closed(&self) {
        self.commands.closed().await;
    }

    /// Whether the session is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.commands.is_closed()
    }

    fn command(&self, command: Command) {
        // Over means over: nothing is left to be done with the command.
        let _ = self.commands.send(command);
    }
}
