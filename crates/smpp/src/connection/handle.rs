//! The user's handle of a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

use crate::session::{Reply, Request, Slots};

/// Sends over one bound session. Cheap to clone, may be used from many tasks at once.
///
/// The [`Events`](super::Events) that came with it report the outcome of everything sent. Once the session is closed
/// every method does nothing or returns its argument. When the last handle is dropped the session unbinds.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
}

/// State shared by the handles and the driver.
#[derive(Debug)]
pub(super) struct Shared {
    window_max: usize,
    slots: Slots,
    queue_max: usize,
    /// Requests whose slot is not free again: queued, in flight, or answered and not released.
    outstanding: AtomicUsize,
    /// Free positions in the queue. Bounds the requests in the command channel; replies are bounded by the requests of
    /// the peer they answer (`inbound_max`), so they need no bound of their own.
    pub(super) room: Semaphore,
}

/// Commands of the handles to the driver, in order.
#[derive(Debug)]
pub(super) enum Command {
    Send(Vec<Request>),
    Reply(Vec<Reply>),
    Release(usize),
    Raw(Bytes),
    Unbind { drain_max: Duration },
    Close,
}

/// The requests that were not accepted because the session is closed. None of them has been sent.
#[derive(Debug, thiserror::Error)]
#[error("the session is over; {} requests were not sent", .0.len())]
pub struct Unsent(pub Vec<Request>);

impl Shared {
    pub(super) fn new(window_max: usize, slots: Slots, queue_max: usize) -> Self {
        // The semaphore counts in u32, which is far above any queue in use.
        let queue_max = queue_max.clamp(window_max, u32::MAX as usize >> 3);
        Self {
            window_max,
            slots,
            queue_max,
            outstanding: AtomicUsize::new(0),
            room: Semaphore::new(queue_max),
        }
    }

    /// Frees slots. Never below zero, whatever a user releases.
    pub(super) fn free_slots(&self, requests: usize) {
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

    /// How many requests would be sent at once if they were queued now. Requests that wait for a slot count as if they
    /// had one, and slots that wait for [`Self::release`] are taken.
    ///
    /// Sending at most this many never waits, so a single task that keeps to it may both send and take events.
    #[must_use]
    pub fn window_free(&self) -> usize {
        self.shared
            .window_max
            .saturating_sub(self.shared.outstanding.load(Ordering::Relaxed))
    }

    /// Queues requests, to be sent in this order as soon as the window has slots for them. Waits only while the queue
    /// before the window is full ([`Buffers::queue_max`](super::Buffers::queue_max)).
    ///
    /// Not cancel safe: if dropped while it waits, some requests may have been queued and others not.
    ///
    /// # Errors
    /// [`Unsent`] with the requests that were not queued, if the session is closed.
    pub async fn send_batch(&self, requests: Vec<Request>) -> Result<(), Unsent> {
        // A larger batch is queued in parts, so that the queue does not run empty before there is room for all of it.
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

    /// Queues at most as many requests as the queue can hold.
    async fn send_part(&self, part: Vec<Request>) -> Result<(), Unsent> {
        let permits = u32::try_from(part.len()).unwrap_or(u32::MAX);
        match self.shared.room.acquire_many(permits).await {
            Ok(room) => room.forget(),
            Err(_closed) => return Err(Unsent(part)),
        }
        self.shared.outstanding.fetch_add(part.len(), Ordering::Relaxed);
        match self.commands.send(Command::Send(part)) {
            Err(mpsc::error::SendError(Command::Send(part))) => Err(Unsent(part)),
            _ => Ok(()),
        }
    }

    /// Responds to requests of the peer. Call it only once the contents of the requests are durable.
    ///
    /// Each reported request needs exactly one response. This never waits: at most `inbound_max` requests are reported
    /// before responses are given.
    pub fn respond(&self, replies: Vec<Reply>) {
        self.command(Command::Reply(replies));
    }

    /// Frees `slots` slots of the window, whose results are durable now. Only with [`Slots::OnRelease`].
    pub fn release(&self, slots: usize) {
        if self.shared.slots == Slots::OnRelease {
            // Counted here and not by the driver, so that `window_free` is up to date at once.
            self.shared.free_slots(slots);
            self.command(Command::Release(slots));
        }
    }

    /// Writes octets unchanged, between two PDUs. For simulators that misbehave on purpose; the octets that wait to be
    /// written have no bound.
    pub fn send_raw(&self, octets: impl Into<Bytes>) {
        self.command(Command::Raw(octets.into()));
    }

    /// Stops sending requests (those still queued are reported as unsent), waits until all requests in both directions
    /// are answered, for `drain_max` at most, then unbinds and returns when the session is closed.
    pub async fn unbind_and_drain(&self, drain_max: Duration) {
        self.command(Command::Unbind { drain_max });
        self.closed().await;
    }

    /// Drops the connection at once, without unbinding and without writing the rest of the buffer.
    pub fn close(&self) {
        self.command(Command::Close);
    }

    /// Waits until the session is closed.
    pub async fn closed(&self) {
        self.commands.closed().await;
    }

    /// Whether the session is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.commands.is_closed()
    }

    fn command(&self, command: Command) {
        // A closed session has no use for the command.
        let _ = self.commands.send(command);
    }
}
