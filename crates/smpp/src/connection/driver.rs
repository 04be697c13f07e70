//! The task that owns the socket of a bound session.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep};

use super::events::{Abandoned, Reporter, mailbox};
use super::handle::{Command, Shared};
use super::{Events, Handle, Link};
use crate::session::{CloseReason, Event, Request, SessionConfig, State};

/// Commands taken from the channel at once.
const COMMANDS_MAX: usize = 64;

/// Unwritten automatic replies, in octets, above which the socket is no longer read: the peer sends requests without
/// reading the responses. Above `write_bytes_max`, so that two sides with full send buffers continue to read and
/// neither waits for the other.
const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// Resolves when the session is to unbind from outside, with the longest time to drain it.
pub(crate) type Stop = Pin<Box<dyn Future<Output = Duration> + Send>>;

struct Driver {
    link: Link,
    shared: Arc<Shared>,
    reporter: Reporter,
    commands: mpsc::UnboundedReceiver<Command>,
    /// Commands just received; kept for its allocation.
    taken: Vec<Command>,
    /// Requests that wait for a slot.
    queue: VecDeque<std::vec::IntoIter<Request>>,
    timer: Pin<Box<Sleep>>,
    /// The time at which the timer fires, on the session's clock; never later than the next deadline.
    armed: Option<Duration>,
    stop: Option<Stop>,
    /// All handles are dropped.
    orphaned: bool,
    response_timeout: Duration,
}

/// Starts the task of a session that is bound.
pub(crate) fn start(link: Link, config: &SessionConfig, stop: Option<Stop>) -> (Handle, Events) {
    let window_max = config.window_max.clamp(1, SessionConfig::WINDOW_MAX);
    let shared = Arc::new(Shared::new(window_max, config.slots, link.buffers.queue_max));
    let (reporter, events) = mailbox(link.buffers.events_max);
    let (handle, commands) = Handle::new(Arc::clone(&shared));
    let driver = Driver {
        link,
        shared,
        reporter,
        commands,
        taken: Vec::new(),
        queue: VecDeque::new(),
        timer: Box::pin(sleep(Duration::ZERO)),
        armed: None,
        stop,
        orphaned: false,
        response_timeout: config.response_timeout,
    };
    tokio::spawn(driver.run());
    (handle, events)
}

impl Driver {
    async fn run(mut self) {
        let (reason, in_flight) = poll_fn(|cx| self.poll_session(cx)).await;
        let cut_off = matches!(reason, CloseReason::Io(_) | CloseReason::Closed);
        if !cut_off {
            self.link.hang_up().await;
        }
        let link = self.finish(reason, in_flight).await;
        if !cut_off {
            link.linger().await;
        }
    }

    /// Does all work that is possible, until nothing is left. Ready once the session is closed.
    fn poll_session(&mut self, cx: &mut Context<'_>) -> Poll<(CloseReason, Vec<u64>)> {
        loop {
            let now = self.link.now();
            self.take_commands(cx, now);
            let read = if self.may_read() {
                self.link.poll_read(cx, now)
            } else {
                Poll::Pending
            };
            let held_back = !self.may_read();
            self.tick(now);
            self.admit(now);
            self.link.poll_write(cx);
            match self.link.session.take_freed() {
                0 => {}
                freed => self.shared.free_slots(freed),
            }
            if let Err(Abandoned) = self.reporter.report(&mut self.link.events, cx) {
                self.link.session.close(CloseReason::Closed);
            }
            if let Some(closed) = self.link.session.take_closed() {
                return Poll::Ready(closed);
            }
            // The condition that held something back may have ended just now.
            let unblocked = held_back && self.may_read() || self.may_admit();
            if read.is_pending() && !unblocked && self.poll_timer(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Whether there is room for what could be read. If not, this task is woken when the user takes events or the
    /// socket accepts octets again.
    fn may_read(&self) -> bool {
        self.link.events.is_empty() && self.link.out.len() <= REPLY_BYTES_MAX
    }

    /// Whether a request could be sent now.
    fn may_admit(&self) -> bool {
        let Link {
            session,
            out,
            buffers,
            ..
        } = &self.link;
        !self.queue.is_empty()
            && session.window_free() > 0
            && out.len() < buffers.write_bytes_max
            && matches!(session.state(), State::Bound(_))
            && !session.is_draining()
    }

    fn take_commands(&mut self, cx: &mut Context<'_>, now: Duration) {
        while !self.orphaned {
            match self.commands.poll_recv_many(cx, &mut self.taken, COMMANDS_MAX) {
                Poll::Pending => break,
                Poll::Ready(0) => {
                    self.orphaned = true;
                    self.unbind(now, self.response_timeout);
                }
                Poll::Ready(_) => {
                    let mut taken = std::mem::take(&mut self.taken);
                    taken.drain(..).for_each(|command| self.execute(command, now));
                    self.taken = taken;
                }
            }
        }
        if let Some(stop) = &mut self.stop
            && let Poll::Ready(drain_max) = stop.as_mut().poll(cx)
        {
            self.stop = None;
            self.unbind(now, drain_max);
        }
    }

    fn execute(&mut self, command: Command, now: Duration) {
        let Link { session, out, .. } = &mut self.link;
        match command {
            Command::Send(requests) => self.queue.push_back(requests.into_iter()),
            Command::Release(slots) => session.release(slots),
            Command::Raw(octets) => out.extend_from_slice(&octets),
            Command::Unbind { drain_max } => self.unbind(now, drain_max),
            Command::Close => session.close(CloseReason::Closed),
            Command::Reply(replies) => {
                for reply in replies {
                    if let Err(error) = session.reply(&reply, now, out) {
                        let command = reply.pdu.command();
                        tracing::warn!(%command, %error, "response encoding failed");
                        session.reply_with_error(&reply, now, out);
                    }
                }
            }
        }
    }

    fn unbind(&mut self, now: Duration, drain_max: Duration) {
        self.link.session.unbind(now + drain_max, now, &mut self.link.out);
    }

    /// Runs the timers of the session that are due.
    fn tick(&mut self, now: Duration) {
        let Link {
            session, out, events, ..
        } = &mut self.link;
        if session.next_deadline().is_some_and(|deadline| deadline <= now) {
            session.tick(now, out, events);
        }
    }

    /// Ready if the session has work again; otherwise the task is woken once it has.
    ///
    /// The timer is set lazily: a deadline that moves back (most do, with every PDU) does not change it, and a timer
    /// that fires too early is reset.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(deadline) = self.link.session.next_deadline() else {
                return Poll::Pending;
            };
            if self.armed.is_none_or(|armed| deadline < armed) {
                self.timer.as_mut().reset(self.link.instant(deadline));
                self.armed = Some(deadline);
            }
            std::task::ready!(self.timer.as_mut().poll(cx));
            self.armed = None;
            if deadline <= self.link.now() {
                return Poll::Ready(());
            }
        }
    }

    /// Moves requests from the queue into the window, as many as have slots.
    fn admit(&mut self, now: Duration) {
        let mut admitted = 0;
        let mut refused = 0;
        while self.may_admit() {
            let Some(request) = self.queue.front_mut().and_then(Iterator::next) else {
                self.queue.pop_front();
                continue;
            };
            admitted += 1;
            let Link {
                session, out, events, ..
            } = &mut self.link;
            if let Err(why) = session.send(&request, now, out) {
                refused += 1;
                events.push(Event::Refused {
                    token: request.token,
                    why,
                });
            }
        }
        if admitted > 0 {
            self.shared.room.add_permits(admitted);
            self.shared.free_slots(refused);
        }
    }

    /// Reports the outcome of every request that was submitted.
    async fn finish(mut self, reason: CloseReason, in_flight: Vec<u64>) -> Link {
        self.commands.close();
        self.shared.room.close();
        // Includes batches that are being submitted now: after `close`, `recv` also returns those.
        while let Some(command) = self.commands.recv().await {
            if let Command::Send(requests) = command {
                self.queue.push_back(requests.into_iter());
            }
        }
        let unsent = self
            .queue
            .into_iter()
            .flatten()
            .map(|request| request.token)
            .collect();
        let mut events = std::mem::take(&mut self.link.events);
        events.push(Event::Closed {
            reason,
            in_flight,
            unsent,
        });
        self.reporter.finish(events);
        self.link
    }
}
