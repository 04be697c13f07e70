//! The state that the listener and a connection share.

use super::addresses::Standing;
use super::bodies::{Full, Lease};
use super::room::LINGER_MS;
use super::shared::Shared;
use arc_swap::{ArcSwap, Guard};
use engine::{AccountId, AnswerTracker};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Between requests; perhaps still writing an answer.
    Idle = 0,
    /// Reading a request's head (or still shaking hands).
    Head = 1,
    /// A handler has the request.
    Work = 2,
    /// A handler waits for the rest of the request's body.
    Body = 3,
    /// Our side is closed; reading what the client still sends.
    Closing = 4,
    /// A handler has the request and waits for leave to begin with it: it can be answered at any time that there is no room.
    Held = 5,
}

impl Phase {
    const fn from_bits(bits: u64) -> Self {
        match bits {
            0 => Self::Idle,
            1 => Self::Head,
            2 => Self::Work,
            3 => Self::Body,
            4 => Self::Closing,
            _ => Self::Held,
        }
    }
}

/// A command of the listener to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Finish the request in flight, then close.
    Leave = 1,
    /// Close now.
    Drop = 2,
}

/// The state that the listener and a connection share.
pub(super) struct Watch {
    epoch: Instant,
    /// The phase in the upper three bits, [`DROPPED`] in the next one, since when (milliseconds of the epoch) in the others.
    phase: AtomicU64,
    command: AtomicU8,
    signalled: Notify,
    /// The request that is being read is turned away with an answer, not with a close, when its connection must make room.
    is_turned_away: AtomicBool,
    turned_away: Notify,
    /// The request that is held is let go of.
    released: Notify,
    /// Requests begun.
    requests: AtomicU64,
    /// The head, counted from 1, of which it is not clear where its body ends; 0: none so far.
    unclear_head: AtomicU64,
    /// Set when a handler answered without reading its request to the end.
    unread: AtomicBool,
    /// Set when the connection is of no more use: nothing it sends is worth reading.
    cut: AtomicBool,
    /// The tracker of the last response, when it has one.
    tracker: Mutex<Option<AnswerTracker>>,
    /// Whether there is one: looked at with each read and write.
    is_tracked: AtomicBool,
    /// What is known of the client of the request that is being read.
    standing: ArcSwap<Standing>,
    /// What the request has of the room for all.
    lease: Lease,
    shared: Arc<Shared>,
    /// Bytes received over the life of the connection.
    received: AtomicU64,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}

const PHASE_SHIFT: u32 = 61;
/// Set once, by the listener: the connection is closed as it is, and its phase changes no more.
const DROPPED: u64 = 1 << 60;
const SINCE_MASK: u64 = DROPPED - 1;

/// A phase and since when, as somebody has seen them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PhaseWord(u64);

impl PhaseWord {
    const fn new(phase: Phase, since_ms: u64) -> Self {
        Self((phase as u64) << PHASE_SHIFT | since_ms & SINCE_MASK)
    }

    pub(super) const fn phase(self) -> Phase {
        Phase::from_bits(self.0 >> PHASE_SHIFT)
    }

    /// Milliseconds of the epoch.
    pub(super) const fn since_ms(self) -> u64 {
        self.0 & SINCE_MASK
    }
}

/// Milliseconds since `epoch`.
pub(super) fn ms_since(epoch: Instant) -> u64 {
    u64::try_from(epoch.elapsed().as_millis()).unwrap_or(u64::MAX >> 3)
}

impl Watch {
    pub(super) fn new(epoch: Instant, standing: Arc<Standing>, shared: Arc<Shared>) -> Self {
        let watch = Self {
            epoch,
            phase: AtomicU64::new(0),
            command: AtomicU8::new(0),
            signalled: Notify::new(),
            is_turned_away: AtomicBool::new(false),
            turned_away: Notify::new(),
            released: Notify::new(),
            requests: AtomicU64::new(0),
            unclear_head: AtomicU64::new(0),
            unread: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            tracker: Mutex::new(None),
            is_tracked: AtomicBool::new(false),
            standing: ArcSwap::new(standing),
            lease: Lease::default(),
            shared,
            received: AtomicU64::new(0),
        };
        watch.enter(Phase::Head);
        watch
    }

    /// The phase, and since when.
    pub(super) fn phase(&self) -> (Phase, u64) {
        let word = self.phase_word();
        (word.phase(), word.since_ms())
    }

    /// Milliseconds of the epoch, now.
    pub(super) fn now_ms(&self) -> u64 {
        ms_since(self.epoch)
    }

    pub(super) fn phase_word(&self) -> PhaseWord {
        PhaseWord(self.phase.load(Ordering::Acquire) & !DROPPED)
    }

    /// Enters a phase now. False when the connection is to be closed as it is: then nothing new may begin on it.
    pub(super) fn enter(&self, phase: Phase) -> bool {
        self.enter_since(phase, self.now_ms())
    }

    /// As [`Watch::enter`], in a phase that has lasted since `since_ms` of the epoch.
    pub(super) fn enter_since(&self, phase: Phase, since_ms: u64) -> bool {
        let PhaseWord(word) = PhaseWord::new(phase, since_ms);
        let enters = |before: u64| (before & DROPPED == 0).then_some(word);
        self.phase
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, enters)
            .is_ok()
    }

    /// Has the connection closed as it is, unless its phase is another than was seen or a handler is at work. What the
    /// connection begins is decided by the same word, so that no handler is given up halfway.
    pub(super) fn drop_from(&self, seen: PhaseWord) -> bool {
        if seen.phase() == Phase::Work {
            return false;
        }
        let dropped = seen.0 | DROPPED;
        let exchanged = self
            .phase
            .compare_exchange(seen.0, dropped, Ordering::AcqRel, Ordering::Acquire);
        match (exchanged, seen.phase()) {
            (Ok(_), Phase::Held) => self.released.notify_one(),
            (Ok(_), Phase::Body) if self.is_turned_away.load(Ordering::Acquire) => {
                self.turned_away.notify_one();
            }
            (Ok(_), _) => self.signal(Command::Drop),
            // It was to answer and to go, and is still there: nothing else would end it.
            (Err(word), _) if word == dropped => self.signal(Command::Drop),
            (Err(_), _) => return false,
        }
        true
    }

    /// Whether the connection is to be closed as it is, or after the response.
    pub(super) fn is_dropped(&self) -> bool {
        self.phase.load(Ordering::Acquire) & DROPPED != 0
    }

    /// Waits for `turn`, which a handler needs to begin; `None` when the connection has to make room first. Then the handler
    /// goes on, to answer, and the connection ends with that.
    pub(super) async fn hold<T>(&self, turn: impl Future<Output = T>) -> Option<T> {
        /// Whatever becomes of the wait, what was held is at work then.
        struct Holding<'w>(&'w Watch);
        impl Drop for Holding<'_> {
            fn drop(&mut self) {
                self.0.ends_holding();
            }
        }
        let holding = Holding(self);
        let turn = if self.enter(Phase::Held) {
            tokio::select! {
                biased;
                () = self.released.notified() => None,
                turn = turn => Some(turn),
            }
        } else {
            None
        };
        // Both may have come: then it makes room, and gives the turn back.
        let goes_on = self.ends_holding();
        drop(holding);
        turn.filter(|_| goes_on)
    }

    /// The handler goes on; false when only to answer.
    fn ends_holding(&self) -> bool {
        if self.enter(Phase::Work) {
            return true;
        }
        self.answers_after_all();
        self.leave();
        false
    }

    /// Of this head it is not clear where its body ends.
    pub(super) fn has_unclear_head(&self, head: u64) {
        self.unclear_head.store(head, Ordering::Relaxed);
    }

    /// Counts a request; whether its head says clearly where its body ends. Heads are counted as they are read, by the same
    /// task.
    pub(super) fn begins_clear_request(&self) -> bool {
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        self.unclear_head.load(Ordering::Relaxed) != before + 1
    }

    /// From now on a request whose connection must make room while its body is awaited is turned away with an answer.
    pub(super) fn turn_away(&self) {
        self.is_turned_away.store(true, Ordering::Release);
    }

    pub(super) fn is_turned_away(&self) -> bool {
        self.is_turned_away.load(Ordering::Acquire)
    }

    /// Waits until the request must be turned away.
    pub(super) async fn turned_away(&self) {
        self.turned_away.notified().await;
    }

    /// The handler of the request that is turned away is gone, or only answers: its answer can be written.
    pub(super) fn answers_after_all(&self) {
        let PhaseWord(word) = PhaseWord::new(Phase::Work, self.now_ms());
        self.phase.store(word, Ordering::Release);
    }

    fn signal(&self, command: Command) {
        self.command.store(command as u8, Ordering::Release);
        self.signalled.notify_one();
    }

    /// Has the connection closed after the request in flight.
    pub(super) fn leave(&self) {
        self.signal(Command::Leave);
    }

    /// Waits for the listener's next command.
    pub(super) async fn command(&self) -> Command {
        self.signalled.notified().await;
        if self.command.load(Ordering::Acquire) == Command::Drop as u8 {
            Command::Drop
        } else {
            Command::Leave
        }
    }

    /// Tracks whether this response is read.
    pub(super) fn expect(&self, tracker: AnswerTracker) {
        tracker.follow();
        *self.tracker.lock().unwrap_or_else(PoisonError::into_inner) = Some(tracker);
        self.is_tracked.store(true, Ordering::Release);
    }

    pub(super) fn is_expected(&self) -> bool {
        self.is_tracked.load(Ordering::Acquire)
    }

    /// The last answer was read, as far as can be known; or it was not.
    pub(super) fn was_read(&self, read: bool) {
        if !self.is_tracked.swap(false, Ordering::AcqRel) {
            return;
        }
        let tracker = self.tracker.lock().unwrap_or_else(PoisonError::into_inner).take();
        match tracker {
            Some(tracker) if read => tracker.sent(),
            Some(tracker) => tracker.lost(),
            None => {}
        }
    }

    /// All that was to be written is.
    pub(super) fn flushed(&self) {
        if let Some(tracker) = &*self.tracker.lock().unwrap_or_else(PoisonError::into_inner) {
            tracker.flushed();
        }
    }

    pub(super) fn left_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// What the client has sent was read to its end after all.
    pub(super) fn all_read(&self) {
        if self.is_unread() {
            self.unread.store(false, Ordering::Relaxed);
        }
    }

    /// Between requests for a while: the client has its answer, and no rest of a request has to be read before the
    /// connection is closed.
    pub(super) fn discard_unread(&self) {
        let (phase, since_ms) = self.phase();
        if phase == Phase::Idle && self.now_ms().saturating_sub(since_ms) >= LINGER_MS {
            self.all_read();
        }
    }

    /// Whether a handler answered without reading its request to the end.
    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// There is no room for what the connection sends: it is closed as it is.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// What is known of the client of the request that is being read, or was last.
    pub(super) fn standing(&self) -> Guard<Arc<Standing>> {
        self.standing.load()
    }

    /// From now on the connection is read for this client; for whom it was before.
    pub(super) fn stands_for(&self, standing: Arc<Standing>) -> Arc<Standing> {
        self.give_back();
        self.standing.swap(standing)
    }

    /// Takes room for bytes that have arrived.
    pub(super) fn take(&self, bytes: usize) -> Result<(), Full> {
        self.shared.bodies.take(&self.lease, &self.standing.load(), bytes)
    }

    /// Where bytes of an account's requests are counted.
    pub(super) fn bytes_of_customer(&self, account: AccountId) -> Arc<AtomicUsize> {
        self.shared.bodies.of_customer(account)
    }

    /// Gives back the room of the request that has ended.
    pub(super) fn give_back(&self) {
        if self.lease.bytes() > 0 {
            self.shared.bodies.give_back(&self.lease, &self.standing.load());
        }
    }

    /// Bytes of the room that the request has.
    pub(super) fn held_bytes(&self) -> usize {
        self.lease.bytes()
    }

    /// Whether a piece of a body may wait for room; if so, [`Watch::has_waited`] is to follow.
    pub(super) fn may_wait(&self) -> bool {
        self.shared.bodies.may_wait()
    }

    pub(super) fn has_waited(&self) {
        self.shared.bodies.waits_no_more();
    }

    /// Requests that the listener free memory.
    pub(super) fn ask_for_room(&self) {
        self.shared.room_requests.room();
    }

    /// There was none, after all: the request is turned away.
    pub(super) fn found_no_room(&self) {
        self.shared.metrics.bodies_busy.inc();
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes received over the life of the connection.
    pub(super) fn received_bytes(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ServeMetrics, ServeSettings};
    use super::*;
    use futures_util::FutureExt as _;

    fn watch() -> Watch {
        let shared = Shared::new(
            axum::Router::new(),
            ServeSettings::default(),
            None,
            ServeMetrics::default(),
        );
        Watch::new(
            Instant::now(),
            Arc::new(Standing::uncounted(false)),
            Arc::new(shared),
        )
    }

    /// A proxy's connection that must make room while a body is awaited.
    fn evicted_while_reading() -> Watch {
        let watch = watch();
        watch.turn_away();
        assert!(watch.enter(Phase::Work) && watch.enter(Phase::Body));
        assert!(watch.drop_from(watch.phase_word()));
        assert!(watch.command().now_or_never().is_none(), "it may answer first");
        watch
    }

    #[tokio::test]
    async fn a_connection_that_was_to_answer_and_go_and_did_not_is_closed_when_it_is_looked_at_again() {
        let watch = evicted_while_reading();
        // The notice was lost: the handler had ended just then.
        assert!(!watch.enter(Phase::Idle));
        assert!(watch.drop_from(watch.phase_word()));
        assert_eq!(watch.command().now_or_never(), Some(Command::Drop));
    }

    #[tokio::test]
    async fn a_request_that_is_held_is_let_go_of_to_answer_and_only_then() {
        let watch = watch();
        assert!(watch.enter(Phase::Work));
        assert_eq!(watch.hold(std::future::ready(7)).await, Some(7));
        assert_eq!(watch.phase().0, Phase::Work);
        let mut held = Box::pin(watch.hold(std::future::pending::<()>()));
        assert!(held.as_mut().now_or_never().is_none());
        let seen = watch.phase_word();
        assert_eq!(seen.phase(), Phase::Held);
        assert!(watch.drop_from(seen));
        assert_eq!(held.as_mut().now_or_never(), Some(None));
        drop(held);
        // Its answer can be written, and the connection goes with it.
        assert_eq!(watch.phase().0, Phase::Work);
        assert_eq!(watch.command().now_or_never(), Some(Command::Leave));
        assert!(watch.enter(Phase::Idle));
    }

    #[tokio::test]
    async fn a_turn_that_comes_while_its_request_makes_room_is_given_back() {
        let watch = watch();
        assert!(watch.enter(Phase::Work));
        let (turn, given) = tokio::sync::oneshot::channel::<Arc<()>>();
        let mut held = Box::pin(watch.hold(given));
        assert!(held.as_mut().now_or_never().is_none());
        let token = Arc::new(());
        turn.send(Arc::clone(&token)).unwrap();
        assert!(watch.drop_from(watch.phase_word()));
        assert_eq!(held.await, None);
        assert_eq!(Arc::strong_count(&token), 1);
        assert_eq!(watch.phase().0, Phase::Work);
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_leaves_its_request_at_work() {
        let watch = watch();
        for is_dropped in [false, true] {
            assert!(watch.enter(Phase::Work));
            let mut held = Box::pin(watch.hold(std::future::pending::<()>()));
            assert!(held.as_mut().now_or_never().is_none());
            if is_dropped {
                assert!(watch.drop_from(watch.phase_word()));
            }
            drop(held);
            assert_eq!((watch.phase().0, watch.is_dropped()), (Phase::Work, false));
        }
    }
}
