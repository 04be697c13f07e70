//! The mailbox of events from the driver to the user; the user takes all events at once.
//!
//! A channel would pass single events, or one vector per batch. Here both sides share one vector: events that the
//! driver adds while the user is busy become one larger batch, and the buffers are swapped instead of allocated.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::session::Event;

/// The events of one session, in order and in batches.
///
/// Dropping this closes the connection, since the outcome of the requests could not be reported any more.
#[derive(Debug)]
pub struct Events {
    mailbox: Arc<Mutex<Mailbox>>,
}

/// The driver's end of the mailbox.
pub(super) struct Reporter {
    mailbox: Arc<Mutex<Mailbox>>,
    events_max: usize,
}

#[derive(Debug, Default)]
struct Mailbox {
    events: Vec<Event>,
    /// Waker of the user, while it waits for events.
    user: Option<Waker>,
    /// Waker of the driver: used when the mailbox is abandoned, or has room again after it was full.
    driver: Option<Waker>,
    /// The driver found no room.
    full: bool,
    /// No further events will come.
    finished: bool,
    /// The user has dropped its end.
    abandoned: bool,
}

/// Both ends of a mailbox that takes events while it holds fewer than `events_max`.
pub(super) fn mailbox(events_max: usize) -> (Reporter, Events) {
    let mailbox = Arc::new(Mutex::new(Mailbox::default()));
    (
        Reporter {
            mailbox: Arc::clone(&mailbox),
            events_max: events_max.max(1),
        },
        Events { mailbox },
    )
}

/// A panic while the lock is held leaves the mailbox consistent: no operation under the lock can stop half-way.
fn lock(mailbox: &Mutex<Mailbox>) -> MutexGuard<'_, Mailbox> {
    mailbox.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Events {
    /// All events since the last call, at least one. `None` after [`Event::Closed`].
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Vec<Event>> {
        let mut batch = Vec::new();
        self.recv_many(&mut batch).await;
        (!batch.is_empty()).then_some(batch)
    }

    /// As [`Self::next`], into a vector that can be reused. Returns how many events were added; 0 after
    /// [`Event::Closed`].
    ///
    /// Cancel safe.
    pub async fn recv_many(&mut self, batch: &mut Vec<Event>) -> usize {
        poll_fn(|cx| self.poll_recv_many(cx, batch)).await
    }

    fn poll_recv_many(&mut self, cx: &mut Context<'_>, batch: &mut Vec<Event>) -> Poll<usize> {
        let mut mailbox = lock(&self.mailbox);
        if mailbox.events.is_empty() {
            if mailbox.finished {
                return Poll::Ready(0);
            }
            mailbox.user = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let taken = mailbox.events.len();
        if batch.is_empty() {
            std::mem::swap(batch, &mut mailbox.events);
        } else {
            batch.append(&mut mailbox.events);
        }
        let driver = if std::mem::take(&mut mailbox.full) {
            mailbox.driver.take()
        } else {
            None
        };
        wake(mailbox, driver);
        Poll::Ready(taken)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut mailbox = lock(&self.mailbox);
        mailbox.abandoned = true;
        let driver = mailbox.driver.take();
        wake(mailbox, driver);
    }
}

/// The user has dropped its [`Events`].
#[derive(Debug)]
pub(super) struct Abandoned;

impl Reporter {
    /// Passes all of `events` to the user if there is room; otherwise they stay, and the task is woken once there is.
    ///
    /// # Errors
    /// [`Abandoned`] if the user has dropped its end. The task is also woken when that happens.
    pub(super) fn report(&self, events: &mut Vec<Event>, cx: &Context<'_>) -> Result<(), Abandoned> {
        let mut mailbox = lock(&self.mailbox);
        if mailbox.abandoned {
            return Err(Abandoned);
        }
        if mailbox
            .driver
            .as_ref()
            .is_none_or(|waker| !waker.will_wake(cx.waker()))
        {
            mailbox.driver = Some(cx.waker().clone());
        }
        if mailbox.events.len() >= self.events_max {
            mailbox.full = true;
        } else if !events.is_empty() {
            mailbox.put(events);
            let user = mailbox.user.take();
            wake(mailbox, user);
        }
        Ok(())
    }

    /// Passes the last events to the user, whether or not there is room.
    pub(super) fn finish(self, mut events: Vec<Event>) {
        lock(&self.mailbox).put(&mut events);
    }
}

impl Drop for Reporter {
    /// Wakes the user however the driver ends, so that it does not wait for ever.
    fn drop(&mut self) {
        let mut mailbox = lock(&self.mailbox);
        mailbox.finished = true;
        let user = mailbox.user.take();
        wake(mailbox, user);
    }
}

impl Mailbox {
    fn put(&mut self, events: &mut Vec<Event>) {
        if self.events.is_empty() {
            std::mem::swap(&mut self.events, events);
        } else {
            self.events.append(events);
        }
    }
}

/// Wakes a task after releasing the lock, because the task takes the lock first.
fn wake(mailbox: MutexGuard<'_, Mailbox>, task: Option<Waker>) {
    drop(mailbox);
    if let Some(task) = task {
        task.wake();
    }
}
