//! The loop that accepts connections and owns the list of them.

use super::addresses::{Address, Standing};
use super::room::{self, LINGER_MS, Seen};
use super::shared::Shared;
use super::watch::{Phase, PhaseWord, Watch, ms_since};
use super::{ServeLimits, Stopped, connection};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// How long a connection that is being closed may take to send what it has begun to send.
const LEAVE_MS_MAX: u64 = 2_000;
/// Pauses after an accept that failed for want of something (file descriptors, memory).
const ACCEPT_RETRY_MS: std::ops::RangeInclusive<u64> = 10..=1_000;
/// Pauses between looks at all connections that others provoke.
const PAUSE_MS: u64 = 10;
/// The least time between two log lines about connections that were closed to free capacity.
const LOG_EVERY_MS: u64 = 10_000;

pub(super) struct Connections {
    shared: Arc<Shared>,
    epoch: Instant,
    tasks: JoinSet<()>,
    open: HashMap<Id, Open>,
    /// Accepted when there was no room: the next to be served.
    waiting: Option<(TcpStream, SocketAddr)>,
    evictions: Evictions,
    /// When room for bytes was made last.
    freed_ms: u64,
    /// An address of which all were at work, and when that was seen.
    all_at_work: Option<(Arc<Address>, u64)>,
}

/// The loop's side of a connection.
struct Open {
    watch: Arc<Watch>,
    /// When its close was requested.
    leaving_since_ms: Option<u64>,
    /// The address that it is counted at as going.
    going: Option<Arc<Address>>,
    received_bytes: u64,
    recent_bytes: u64,
}

/// Connections closed to free capacity since the last log line.
#[derive(Debug, Default)]
struct Evictions {
    logged_ms: u64,
    for_connections: u64,
    for_bodies: u64,
    refused: u64,
}

/// A connection, and what it did when it was looked at.
#[derive(Debug, Clone, Copy)]
struct Which {
    id: Id,
    phase: PhaseWord,
}

impl Connections {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            epoch: Instant::now(),
            tasks: JoinSet::new(),
            open: HashMap::new(),
            waiting: None,
            evictions: Evictions::default(),
            freed_ms: 0,
            all_at_work: None,
        }
    }

    fn limits(&self) -> &ServeLimits {
        &self.shared.settings.limits
    }

    fn now_ms(&self) -> u64 {
        ms_since(self.epoch)
    }

    /// How often connections are looked at: often enough for the shortest bound, seldom enough to cost nothing.
    fn look_every(&self) -> Duration {
        let limits = self.limits();
        let shortest = limits
            .header_read_timeout_ms
            .min(limits.keep_alive_idle_ms)
            .min(LEAVE_MS_MAX);
        Duration::from_millis((shortest / 8).clamp(5, 250))
    }

    pub(super) async fn accept_until(&mut self, listener: &TcpListener, shutdown: &CancellationToken) {
        let mut look = tokio::time::interval(self.look_every());
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shared = Arc::clone(&self.shared);
        let mut retry_ms = *ACCEPT_RETRY_MS.start();
        let mut retry_at: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    self.ended(ended.map_or_else(|error| error.id(), |(id, ())| id));
                }
                _ = look.tick() => self.look(),
                () = shared.room_requests.any() => self.make_requested_room(),
                accepted = listener.accept(), if self.waiting.is_none() && retry_at.is_none() => match accepted {
                    Ok((stream, peer)) => {
                        retry_ms = *ACCEPT_RETRY_MS.start();
                        self.accepted(stream, peer);
                    }
                    Err(error) if is_about_one_client(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, retry_ms, "accept failed");
                        shared.metrics.accept_errors.inc();
                        self.free_connections();
                        retry_at = Some(Instant::now() + Duration::from_millis(retry_ms));
                        retry_ms = (retry_ms * 2).min(*ACCEPT_RETRY_MS.end());
                    }
                },
                () = tokio::time::sleep_until(retry_at.unwrap_or(self.epoch)), if retry_at.is_some() => {
                    retry_at = None;
                }
            }
        }
    }

    fn accepted(&mut self, stream: TcpStream, peer: SocketAddr) {
        self.shared.metrics.accepted.inc();
        // Answers are written whole: waiting for more to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "connection closed before the first request");
            return;
        }
        if self.open.len() < self.limits().connections_max.max(1) {
            self.open(stream, peer);
        } else {
            self.waiting = Some((stream, peer));
            self.free_connections();
        }
    }

    fn open(&mut self, stream: TcpStream, peer: SocketAddr) {
        let standing = if self.shared.settings.is_proxy(peer.ip()) {
            // A proxy is not counted; the clients that it names are.
            Arc::new(Standing::uncounted(true))
        } else {
            self.shared.addresses.open(peer.ip())
        };
        if standing.address().staying() > self.limits().per_address_max.max(1)
            && !self.make_room_at(standing.address())
        {
            // All connections of the address are at work.
            self.shared.metrics.refused.inc();
            self.evictions.refused += 1;
            return;
        }
        let watch = Arc::new(Watch::new(self.epoch, standing, Arc::clone(&self.shared)));
        let task = connection::run(stream, Arc::clone(&self.shared), Arc::clone(&watch), peer.ip());
        let id = self.tasks.spawn(task).id();
        let open = Open {
            watch,
            leaving_since_ms: None,
            going: None,
            received_bytes: 0,
            recent_bytes: 0,
        };
        self.open.insert(id, open);
        self.count();
    }

    fn ended(&mut self, id: Id) {
        if let Some(open) = self.open.remove(&id)
            && let Some(address) = open.going
        {
            address.is_gone();
        }
        self.count();
        if let Some((stream, peer)) = self.waiting.take() {
            self.open(stream, peer);
        }
    }

    fn count(&self) {
        self.shared.metrics.connections.set(self.open.len() as i64);
    }

    /// All connections that are not being closed, as they look now.
    fn seen(&self) -> impl Iterator<Item = Seen<Which>> {
        let now_ms = self.now_ms();
        let saturated_above = (self.limits().connections_max / 32).max(8);
        let staying = self
            .open
            .iter()
            .filter(|(_, open)| open.leaving_since_ms.is_none());
        staying.map(move |(id, open)| {
            let phase = open.watch.phase_word();
            let standing = open.watch.standing();
            Seen {
                id: Which { id: *id, phase },
                phase: phase.phase(),
                for_ms: now_ms.saturating_sub(phase.since_ms()),
                is_verified: standing.is_verified(),
                is_saturated: standing.address().staying() > saturated_above,
                held_bytes: open.watch.held_bytes(),
                recent_bytes: open.recent_bytes,
            }
        })
    }

    /// Closes the connections of the lowest rank, so that new ones fit.
    fn free_connections(&mut self) {
        if self.are_going() {
            return;
        }
        let going = room::to_free_connections(self.seen(), self.limits().connections_max / 64);
        self.evictions.for_connections += self.evict(going);
    }

    /// Whether connections that are being closed free capacity just now. A last request may keep one open. One that only waits
    /// for its client to close is dropped after [`LINGER_MS`].
    fn are_going(&self) -> bool {
        let now_ms = self.now_ms();
        let mut any = false;
        for open in self.open.values() {
            let Some(since_ms) = open.leaving_since_ms else {
                continue;
            };
            let seen = open.watch.phase_word();
            let lingers = now_ms.saturating_sub(seen.since_ms()) >= LINGER_MS;
            any |= match seen.phase() {
                Phase::Work => false,
                Phase::Closing if lingers && !open.watch.standing().is_verified() => {
                    open.watch.drop_from(seen)
                }
                _ => now_ms.saturating_sub(since_ms) < LINGER_MS,
            };
        }
        any
    }

    /// Closes the connections of the lowest rank of an address; whether there are any.
    fn make_room_at(&mut self, address: &Arc<Address>) -> bool {
        let now_ms = self.now_ms();
        if let Some((known, since_ms)) = &self.all_at_work
            && Arc::ptr_eq(known, address)
            && now_ms.saturating_sub(*since_ms) < PAUSE_MS
        {
            return false;
        }
        let many = self.limits().per_address_max / 16;
        let of_address = self
            .seen()
            .filter(|seen| !seen.is_verified)
            .filter(|seen| self.is_at(seen.id.id, address))
            .map(|seen| Seen {
                is_saturated: true,
                ..seen
            });
        let going = room::to_free_connections(of_address, many);
        let gone = self.evict(going);
        self.evictions.for_connections += gone;
        if gone == 0 {
            self.all_at_work = Some((Arc::clone(address), now_ms));
        }
        gone > 0
    }

    fn is_at(&self, id: Id, address: &Arc<Address>) -> bool {
        let open = self.open.get(&id);
        open.is_some_and(|open| Arc::ptr_eq(open.watch.standing().address(), address))
    }

    /// Serves the requests of connections for room.
    fn make_requested_room(&mut self) {
        if self.shared.room_requests.take_room() {
            self.free_bytes();
        }
        for address in self.shared.room_requests.take_saturated() {
            if address.staying() > self.limits().per_address_max {
                self.make_room_at(&address);
            }
        }
    }

    /// Closes connections that hold memory for requests and send little, where it is scarce.
    fn free_bytes(&mut self) {
        // A request that still waits for room repeats its room request.
        let now_ms = self.now_ms();
        if now_ms.saturating_sub(self.freed_ms) < PAUSE_MS {
            return;
        }
        self.freed_ms = now_ms;
        let bodies = &self.shared.bodies;
        let is_scarce = bodies.is_scarce();
        let holding = self.seen().filter(|seen| seen.held_bytes > 0).filter_map(|seen| {
            let standing = self.open.get(&seen.id.id)?.watch.standing();
            bodies.may_be_closed(&standing).then(|| Seen {
                is_saturated: bodies.has_much(&standing),
                ..seen
            })
        });
        let limits = bodies.limits();
        let bytes = if is_scarce {
            limits.bytes_max
        } else {
            limits.per_address_bytes_max
        };
        let going = room::to_free_bytes(holding, bytes / 8);
        let gone = self.evict(going);
        self.shared.metrics.bodies_evicted.inc_by(gone);
        self.evictions.for_bodies += gone;
    }

    /// Closes connections, except those whose phase has changed since it was read; how many are closed.
    fn evict(&mut self, going: Vec<Which>) -> u64 {
        let now_ms = self.now_ms();
        let mut gone = 0;
        for Which { id, phase } in going {
            let Some(open) = self.open.get_mut(&id) else {
                continue;
            };
            // `leave` lets a request in flight finish; here there is none, or it is not to be finished.
            if phase.phase() == Phase::Idle {
                open.watch.leave();
            } else if !open.watch.drop_from(phase) {
                continue;
            }
            gone += 1;
            self.shared.metrics.evicted.inc();
            open.leaving_since_ms = Some(now_ms);
            let standing = open.watch.standing();
            // One that is turned away with an answer is no longer counted as soon as its handler is gone.
            if !standing.is_verified() && !open.watch.is_turned_away() {
                standing.address().goes();
                open.going = Some(Arc::clone(standing.address()));
            }
        }
        gone
    }

    /// Closes connections that exceed a time limit.
    fn look(&mut self) {
        let now_ms = self.now_ms();
        let limits = &self.shared.settings.limits;
        for open in self.open.values_mut() {
            let received_bytes = open.watch.received_bytes();
            let since = received_bytes.saturating_sub(open.received_bytes);
            open.recent_bytes = open.recent_bytes / 2 + since;
            open.received_bytes = received_bytes;
            let seen = open.watch.phase_word();
            let phase = seen.phase();
            let for_ms = now_ms.saturating_sub(seen.since_ms());
            let overdue = match phase {
                Phase::Idle => for_ms >= limits.keep_alive_idle_ms,
                Phase::Head => for_ms >= limits.header_read_timeout_ms,
                // A body's time is watched where it is read, and its handler answers.
                Phase::Work | Phase::Body | Phase::Held => false,
                Phase::Closing => for_ms >= LEAVE_MS_MAX,
            };
            match open.leaving_since_ms {
                // A client that does not read keeps the connection open: close it.
                Some(since_ms) if now_ms.saturating_sub(since_ms) >= LEAVE_MS_MAX => {
                    open.watch.drop_from(seen);
                }
                None if overdue => {
                    if phase == Phase::Idle {
                        open.watch.leave();
                    } else if !open.watch.drop_from(seen) {
                        continue;
                    }
                    let metrics = &self.shared.metrics;
                    if phase == Phase::Closing {
                        metrics.lingered.inc();
                    } else {
                        metrics.timed_out.inc();
                    }
                    open.leaving_since_ms = Some(now_ms);
                }
                _ => {}
            }
        }
        if self.waiting.is_some() {
            self.free_connections();
        }
        self.log_evictions(now_ms);
    }

    /// Logs how many connections were closed to free capacity, at most once in [`LOG_EVERY_MS`].
    fn log_evictions(&mut self, now_ms: u64) {
        self.evictions.refused += self.shared.room_requests.refused.swap(0, Ordering::Relaxed);
        let evictions = &self.evictions;
        let any = evictions.for_connections + evictions.for_bodies + evictions.refused > 0;
        if !any || now_ms.saturating_sub(evictions.logged_ms) < LOG_EVERY_MS && evictions.logged_ms > 0 {
            return;
        }
        tracing::warn!(
            for_connections = evictions.for_connections,
            for_bodies = evictions.for_bodies,
            refused = evictions.refused,
            connections = self.open.len(),
            bodies_bytes = self.shared.bodies.in_use(),
            "connections closed to free capacity"
        );
        self.evictions = Evictions {
            logged_ms: now_ms.max(1),
            ..Evictions::default()
        };
    }

    pub(super) async fn stop(mut self) -> Stopped {
        self.waiting = None;
        let now_ms = self.now_ms();
        for open in self.open.values_mut() {
            open.leaving_since_ms.get_or_insert(now_ms);
            open.watch.leave();
            // A request that only waits for its turn is answered now.
            let seen = open.watch.phase_word();
            if seen.phase() == Phase::Held {
                open.watch.drop_from(seen);
            }
        }
        let grace = tokio::time::sleep(Duration::from_millis(self.limits().stop_grace_ms));
        tokio::pin!(grace);
        let mut look = tokio::time::interval(self.look_every());
        while !self.tasks.is_empty() {
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => {
                    self.ended(ended.map_or_else(|error| error.id(), |(id, ())| id));
                }
                _ = look.tick() => self.look(),
                () = &mut grace => break,
            }
        }
        let at_work = |open: &&Open| open.watch.phase().0 == Phase::Work;
        let cut = self.open.values().filter(at_work).count();
        self.tasks.shutdown().await;
        self.shared.metrics.connections.set(0);
        Stopped { cut }
    }
}

/// Errors of `accept` that are one client's own and say nothing about the next.
fn is_about_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
