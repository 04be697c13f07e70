//! The way from the driver to the user: a mailbox that is emptied as a whole.
//!
//! A channel would hand over event by event, or a vector a batch. Here both sides share one vector: what the driver
//! adds while the user is busy becomes one larger batch, and buffers go back and forth instead of being allocated.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::session::Event;

/// What happens on one session, in order and in batches.
///
/// Dropping this closes the connection, since nobody would learn what becomes of the requests.
#[derive(Debug)]
pub struct Events {
    mailbox: Arc<Mutex<Mailbox>>,
}

/// The driver's end.
pub(super) struct Reporter {
    mailbox: Arc<Mutex<Mailbox>>,
    events_max: usize,
}

#[derive(Debug, Default)]
struct Mailbox {
    events: Vec<Event>,
    /// The user, while it waits for events.
    user: Option<Waker>,
    /// The driver, to be woken when the mailbox is abandoned, or has room again after having been full.
    driver: Option<Waker>,
    /// The driver found no room.
    full: bool,
    /// No further events will come.
    finished: bool,
    /// Nobody will take events.
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

/// A panic while the lock is held leaves the mailbox whole: nothing is done under it that could stop half-way.
fn lock(mailbox: &Mutex<Mailbox>) -> MutexGuard<'_, Mailbox> {
    mailbox.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Events {
    /// Everything that has happened since the last call, at least one event. `None` after [`Event::Closed`].
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Vec<Event>> {
        let mut batch = Vec::new();
        self.recv_many(&mut batch).await;
        (!batch.is_empty()).then_some(batch)
    }

    /// As [`Self::next`], into a vector that may be used again and again. Returns how many events were added; 0 after
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
    /// Hands over all of `events` if there is room; otherwise they stay, and the task is woken once there is.
    ///
    /// # Errors
    /// [`Abandoned`] if nobody will ever take them. The task is woken when that comes to be, too.
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

    /// Hands over the last events, room or not.
    pub(super) fn finish(self, mut events: Vec<Event>) {
        lock(&self.mailbox).put(&mut events);
    }
}

impl Drop for Reporter {
    /// However the driver ends, the user does not wait for ever.
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

/// Wakes a task after letting go of the lock, which is the first thing the task will want.
fn wake(mailbox: MutexGuard<'_, Mailbox>, task: Option<Waker>) {
    drop(mailbox);
    if let Some(task) = task {
        task.wake();
    }
}
