//! The state of a carrier as operators see it: `postrider carrier list`, `postrider status`, the terminal of `postrider dev`.
//!
//! Runners note what happens; readers look at it. Nothing decides by it: routing and failover go by
//! [`Health`](super::Health).

use crate::catalog::{CarrierEntry, CarrierSettings, SmppSettings};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::{CarrierNo, UnixMs};
use tokio::sync::broadcast;

/// What a carrier does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CarrierState {
    /// No attempt to bind has ended yet.
    Connecting,
    /// At least one session that sends is bound; the sandbox always is.
    Up,
    /// No session that sends is bound.
    Down,
    /// Switched off in the catalog.
    Disabled,
    /// Not in the catalog any more; messages still wait for it.
    Removed,
    /// No node runs that could connect it.
    Stopped,
}

impl fmt::Display for CarrierState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Connecting => "connecting",
            Self::Up => "up",
            Self::Down => "down",
            Self::Disabled => "disabled",
            Self::Removed => "removed",
            Self::Stopped => "stopped",
        })
    }
}

/// What went wrong with a carrier last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarrierError {
    /// When.
    pub at: UnixMs,
    /// In words, with the cause.
    pub message: Box<str>,
}

/// The state of one carrier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarrierStatus {
    /// Its number, as in metrics.
    pub no: CarrierNo,
    /// Its name.
    pub name: Box<str>,
    /// `smpp` or `sandbox`.
    pub kind: Box<str>,
    /// What it does.
    pub state: CarrierState,
    /// Since when.
    pub since: UnixMs,
    /// Sessions that send and are bound.
    pub binds_up: usize,
    /// Sessions that send and are configured.
    pub binds: usize,
    /// What went wrong last, whatever was right since.
    pub last_error: Option<CarrierError>,
    /// When it is tried again, while a session waits for that.
    pub next_try: Option<UnixMs>,
    /// Messages that wait for it and are due.
    pub queued: u64,
    /// Segments sent to it that are not answered yet.
    pub window_used: usize,
    /// Segments that may be at once; 0 for no limit.
    pub window_max: usize,
}

/// Where the runner of a carrier notes what happens.
#[derive(Debug)]
pub(crate) struct Board {
    entry: CarrierNo,
    name: Box<str>,
    kind: &'static str,
    binds: usize,
    window_max: usize,
    in_flight: Box<[AtomicUsize]>,
    inner: Mutex<Inner>,
    news: broadcast::Sender<CarrierStatus>,
}

#[derive(Debug)]
struct Inner {
    state: CarrierState,
    since: UnixMs,
    binds_up: usize,
    last_error: Option<CarrierError>,
    /// By session.
    next_tries: Vec<Option<UnixMs>>,
    /// The state, and the error in it, that was announced last.
    announced: Option<(CarrierState, Option<Box<str>>)>,
}

impl Board {
    /// For a carrier that begins at `now`; changes of its state go to `news`.
    pub(crate) fn new(entry: &CarrierEntry, now: UnixMs, news: broadcast::Sender<CarrierStatus>) -> Self {
        let (kind, state, binds, window_max) = match &entry.settings {
            CarrierSettings::Smpp(smpp) => {
                let binds = usize::from(smpp.binds.max(1));
                let window_max = binds * usize::from(smpp.window_max);
                ("smpp", smpp_state(smpp), binds, window_max)
            }
            CarrierSettings::Sandbox(sandbox) if sandbox.enabled => ("sandbox", CarrierState::Up, 0, 0),
            CarrierSettings::Sandbox(_) => ("sandbox", CarrierState::Disabled, 0, 0),
            CarrierSettings::Removed => ("removed", CarrierState::Removed, 0, 0),
        };
        Self {
            entry: entry.no,
            name: entry.name.clone(),
            kind,
            binds,
            window_max,
            in_flight: (0..binds).map(|_| AtomicUsize::new(0)).collect(),
            inner: Mutex::new(Inner {
                state,
                since: now,
                binds_up: 0,
                last_error: None,
                next_tries: vec![None; binds],
                announced: None,
            }),
            news,
        }
    }

    /// A session is bound.
    pub(crate) fn bound(&self, index: u16, submits: bool, now: UnixMs) {
        let mut inner = self.inner.lock();
        if let Some(next) = inner.next_tries.get_mut(usize::from(index)) {
            *next = None;
        }
        if submits {
            inner.binds_up += 1;
            inner.become_state(CarrierState::Up, now);
            self.announce(&mut inner);
        }
    }

    /// A session that was bound has ended, with these words.
    pub(crate) fn lost(&self, index: u16, submits: bool, why: &str, now: UnixMs) {
        if let Some(in_flight) = self.in_flight.get(usize::from(index)).filter(|_| submits) {
            in_flight.store(0, Ordering::Relaxed);
        }
        let mut inner = self.inner.lock();
        inner.failed(why, now);
        if submits {
            inner.binds_up = inner.binds_up.saturating_sub(1);
            if inner.binds_up == 0 {
                inner.become_state(CarrierState::Down, now);
            }
        }
    }

    /// A session could not be bound.
    pub(crate) fn failed(&self, why: &str, now: UnixMs) {
        let mut inner = self.inner.lock();
        inner.failed(why, now);
        if inner.binds_up == 0 {
            inner.become_state(CarrierState::Down, now);
        }
    }

    /// A session is tried again at `next_try`; `None`: never by itself.
    pub(crate) fn waits(&self, index: u16, next_try: Option<UnixMs>) {
        let mut inner = self.inner.lock();
        if let Some(next) = inner.next_tries.get_mut(usize::from(index)) {
            *next = next_try;
        }
        self.announce(&mut inner);
    }

    /// Segments of a session that are on the wire.
    pub(crate) fn in_flight(&self, index: u16, segments: usize) {
        if let Some(in_flight) = self.in_flight.get(usize::from(index)) {
            in_flight.store(segments, Ordering::Relaxed);
        }
    }

    /// The state now; what waits in the store is not known here.
    pub(crate) fn status(&self) -> CarrierStatus {
        self.status_of(&self.inner.lock())
    }

    fn status_of(&self, inner: &Inner) -> CarrierStatus {
        CarrierStatus {
            no: self.entry,
            name: self.name.clone(),
            kind: self.kind.into(),
            state: inner.state,
            since: inner.since,
            binds_up: inner.binds_up,
            binds: self.binds,
            last_error: inner.last_error.clone(),
            next_try: inner.next_tries.iter().flatten().min().copied(),
            queued: 0,
            window_used: self.in_flight.iter().map(|one| one.load(Ordering::Relaxed)).sum(),
            window_max: self.window_max,
        }
    }

    /// Publishes a state, or another error in the same state, once.
    fn announce(&self, inner: &mut Inner) {
        let error = inner.last_error.as_ref().map(|error| error.message.clone());
        let news = (inner.state, error.filter(|_| inner.state != CarrierState::Up));
        if inner.announced.as_ref() != Some(&news) {
            inner.announced = Some(news);
            // There may be no subscriber.
            let _ = self.news.send(self.status_of(inner));
        }
    }
}

impl Inner {
    fn become_state(&mut self, state: CarrierState, now: UnixMs) {
        if self.state != state {
            self.state = state;
            self.since = now;
        }
    }

    fn failed(&mut self, why: &str, now: UnixMs) {
        self.last_error = Some(CarrierError {
            at: now,
            message: why.into(),
        });
    }
}

const fn smpp_state(settings: &SmppSettings) -> CarrierState {
    if settings.enabled {
        CarrierState::Connecting
    } else {
        CarrierState::Disabled
    }
}

/// The state of a carrier of the catalog that no node runs.
#[must_use]
pub fn stopped(entry: &CarrierEntry, now: UnixMs) -> CarrierStatus {
    let (news, _) = broadcast::channel(1);
    let mut status = Board::new(entry, now, news).status();
    if !matches!(status.state, CarrierState::Disabled) {
        status.state = CarrierState::Stopped;
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(binds: u16) -> (Board, broadcast::Receiver<CarrierStatus>) {
        let entry = CarrierEntry {
            no: CarrierNo(3),
            name: "north".into(),
            settings: CarrierSettings::Smpp(Box::new(SmppSettings {
                binds,
                window_max: 10,
                ..SmppSettings::default()
            })),
        };
        let (news, received) = broadcast::channel(16);
        (Board::new(&entry, 5, news), received)
    }

    #[test]
    fn a_state_lasts_from_its_first_moment_and_is_announced_once() {
        let (board, mut news) = board(2);
        let state = |board: &Board| (board.status().state, board.status().since);
        assert_eq!(state(&board), (CarrierState::Connecting, 5));
        for at in [10, 20, 30] {
            board.failed("connection refused", at);
            board.waits(0, Some(at + 5));
        }
        assert_eq!(state(&board), (CarrierState::Down, 10));
        let received = news.try_recv().unwrap();
        assert_eq!(
            (received.state, received.next_try),
            (CarrierState::Down, Some(15))
        );
        assert!(news.try_recv().is_err(), "the same again is no news");
        board.failed("bind refused", 40);
        board.waits(0, Some(50));
        assert_eq!(
            news.try_recv().unwrap().last_error,
            Some(CarrierError {
                at: 40,
                message: "bind refused".into()
            })
        );
        board.bound(0, true, 50);
        board.bound(1, true, 51);
        board.in_flight(0, 4);
        board.in_flight(1, 3);
        let up = board.status();
        assert_eq!((up.state, up.since, up.binds_up), (CarrierState::Up, 50, 2));
        assert_eq!((up.window_used, up.window_max, up.next_try), (7, 20, None));
        assert_eq!(news.try_recv().unwrap().state, CarrierState::Up);
        board.lost(0, true, "closed by the carrier", 60);
        board.waits(0, Some(61));
        assert!(news.try_recv().is_err(), "another session is up");
        assert_eq!(state(&board), (CarrierState::Up, 50));
        assert_eq!(board.status().window_used, 3);
        board.lost(1, true, "closed by the carrier", 70);
        board.waits(1, Some(71));
        assert_eq!(news.try_recv().unwrap().state, CarrierState::Down);
        assert_eq!(board.status().next_try, Some(61));
    }
}
