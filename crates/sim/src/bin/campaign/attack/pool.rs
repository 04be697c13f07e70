//! The hostile clients: a process of its own with the least priority, so that the cost of the node is measured and not
//! that of the clients.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::kind::Kind;
use super::limits;
use super::mutate::Mutations;
use super::payload::Payloads;
use super::step::{Script, Step};

/// Hostile clients of one kind; `attack` starts them
#[derive(Args, Clone, Debug)]
pub(crate) struct AttackerArgs {
    /// What they do
    #[arg(long)]
    pub(super) kind: Kind,
    /// The listener of the vendors' APIs
    #[arg(long)]
    pub(super) api: SocketAddr,
    /// The listener of metrics
    #[arg(long)]
    pub(super) metrics: SocketAddr,
    /// A key that exists
    #[arg(long)]
    pub(super) key: String,
    /// Good requests of somebody who has a key, to be damaged
    #[arg(long)]
    pub(super) requests: PathBuf,
    /// Connections at once
    #[arg(long)]
    pub(super) connections: usize,
    /// Connects and writes a second, all connections together
    #[arg(long)]
    pub(super) events_per_s: u32,
    /// Seconds until they leave by themselves
    #[arg(long)]
    pub(super) time_max_s: u64,
}

/// What they saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Seen {
    /// Connects and writes.
    pub(super) events: u64,
    /// Connections that were made.
    pub(super) connects: u64,
    /// Connections that could not be made, or ended before their time.
    pub(super) ended: u64,
    /// The most that were open at once.
    pub(super) held_max: u64,
    /// How often something was answered.
    pub(super) answers: u64,
    /// Answers with a status from 500 on, but for 503, "busy".
    pub(super) server_errors: u64,
}

/// Addresses that they come from.
const SOURCES: [Ipv4Addr; 4] = [
    Ipv4Addr::new(127, 0, 0, 2),
    Ipv4Addr::new(127, 0, 0, 3),
    Ipv4Addr::new(127, 0, 0, 4),
    Ipv4Addr::new(127, 0, 0, 5),
];

/// Octets of one write.
const WRITE_BYTES: usize = 16 * 1024;

/// Bodies of more than one write that are sent at once: one after the other they come to an end, side by side none would.
const LARGE_MAX: usize = 16;

/// How long one of them keeps the others waiting.
const LARGE_TIME: Duration = Duration::from_secs(3);

/// Events that a damaged request counts for.
const MUTATED_EVENTS: u32 = 3;

/// How often events are given out.
const BUDGET_EVERY: Duration = Duration::from_millis(10);

/// How long a connect or an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection pauses that could not be made.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Room for answers of those that do not read.
const DEAF_BYTES: u32 = 4096;

struct AttackerPool {
    args: AttackerArgs,
    payloads: Arc<Payloads>,
    budget: Semaphore,
    large: Semaphore,
    events: AtomicU64,
    connects: AtomicU64,
    ended: AtomicU64,
    held: AtomicU64,
    held_max: AtomicU64,
    answers: AtomicU64,
    server_errors: AtomicU64,
    mutations: Mutations,
}

/// Runs until the time is over; prints what was seen as one line of JSON.
pub(crate) async fn run(args: AttackerArgs) -> anyhow::Result<bool> {
    // Descriptors are as many as those of the campaign that started it.
    limits::least_priority()?;
    let until = Instant::now() + Duration::from_secs(args.time_max_s);
    let mutations = Mutations::read(&args.requests)?;
    let pool = Arc::new(AttackerPool {
        payloads: Arc::new(Payloads::new(&args.key)),
        args,
        budget: Semaphore::new(0),
        large: Semaphore::new(LARGE_MAX),
        events: AtomicU64::new(0),
        connects: AtomicU64::new(0),
        ended: AtomicU64::new(0),
        held: AtomicU64::new(0),
        held_max: AtomicU64::new(0),
        answers: AtomicU64::new(0),
        server_errors: AtomicU64::new(0),
        mutations,
    });
    let mut clients = JoinSet::new();
    for place in 0..pool.args.connections {
        let pool = Arc::clone(&pool);
        clients.spawn(async move { pool.client(place).await });
    }
    pool.give_out(until).await;
    clients.abort_all();
    let seen = Seen {
        events: pool.events.load(Ordering::Relaxed),
        connects: pool.connects.load(Ordering::Relaxed),
        ended: pool.ended.load(Ordering::Relaxed),
        held_max: pool.held_max.load(Ordering::Relaxed),
        answers: pool.answers.load(Ordering::Relaxed),
        server_errors: pool.server_errors.load(Ordering::Relaxed),
    };
    crate::say(&serde_json::to_string(&seen)?);
    Ok(true)
}

/// Counts a connection while it is there.
struct Held<'a>(&'a AttackerPool);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AttackerPool {
    /// Gives out events until the time is over. What nobody used is not kept for later.
    async fn give_out(&self, until: Instant) {
        let began = Instant::now();
        let mut given = 0_u64;
        while Instant::now() < until {
            let due = (began.elapsed().as_secs_f64() * f64::from(self.args.events_per_s)) as u64;
            let unused = self.budget.available_permits() as u64;
            let more = (due - given).saturating_sub(unused);
            self.budget
                .add_permits(usize::try_from(more).unwrap_or(0).min(1_000));
            given = due;
            tokio::time::sleep(BUDGET_EVERY).await;
        }
    }

    async fn event(&self) {
        if let Ok(permit) = self.budget.acquire().await {
            permit.forget();
            self.events.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One connection after the other, for ever.
    async fn client(&self, place: usize) {
        let mut round = 0;
        loop {
            let script = self.args.kind.script(&self.payloads, place, round);
            // What the node does with them is measured at the node.
            if self.connection(place, &script).await.is_err() {
                self.ended.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(AFTER_FAILURE).await;
            }
            round += 1;
        }
    }

    async fn connection(&self, place: usize, script: &Script) -> io::Result<()> {
        self.event().await;
        let mut stream = self.connect(place, script.deaf).await?;
        self.connects.fetch_add(1, Ordering::Relaxed);
        let held = self.held.fetch_add(1, Ordering::Relaxed) + 1;
        self.held_max.fetch_max(held, Ordering::Relaxed);
        let _held = Held(self);
        loop {
            for step in &script.steps {
                self.step(&mut stream, step).await?;
            }
            if !script.forever {
                return Ok(());
            }
        }
    }

    async fn connect(&self, place: usize, deaf: bool) -> io::Result<TcpStream> {
        let source = SOURCES.get(place % SOURCES.len()).unwrap_or(&SOURCES[0]);
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((*source, 0)))?;
        if deaf {
            socket.set_recv_buffer_size(DEAF_BYTES)?;
        }
        let target = match self.args.kind.is_at_metrics() {
            true => self.args.metrics,
            false => self.args.api,
        };
        timeout(TIMEOUT, socket.connect(target)).await?
    }

    async fn send(&self, stream: &mut TcpStream, octets: &[u8]) -> io::Result<()> {
        for piece in octets.chunks(WRITE_BYTES) {
            self.event().await;
            stream.write_all(piece).await?;
        }
        Ok(())
    }

    async fn step(&self, stream: &mut TcpStream, step: &Step) -> io::Result<()> {
        match step {
            Step::Send(octets) => {
                let turn = match octets.len() > WRITE_BYTES {
                    true => self.large.acquire().await.ok(),
                    false => None,
                };
                let sending = self.send(stream, octets);
                tokio::pin!(sending);
                match timeout(LARGE_TIME, &mut sending).await {
                    Ok(sent) => sent,
                    // It goes on, and others may begin: the node does not read, or others were first.
                    Err(_) => {
                        drop(turn);
                        sending.await
                    }
                }
            }
            Step::SendMutated => {
                // Of somebody who has a key, much is done: it counts for more than one write, so that the node is not kept
                // busy with what it should do.
                for _ in 1..MUTATED_EVENTS {
                    self.event().await;
                }
                let request = self.mutations.draw(&mut rand::rng());
                self.send(stream, &request).await
            }
            Step::Trickle(octets) => {
                for octet in octets {
                    self.event().await;
                    stream.write_all(&[*octet]).await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Ok(())
            }
            Step::Read => {
                let mut answer = [0; 512];
                let read = timeout_at(Instant::now() + TIMEOUT, stream.read(&mut answer)).await??;
                self.answers.fetch_add(u64::from(read > 0), Ordering::Relaxed);
                let is_error = is_server_error(answer.get(..read).unwrap_or_default());
                self.server_errors
                    .fetch_add(u64::from(is_error), Ordering::Relaxed);
                closed(read)
            }
            Step::Hold => {
                let mut answer = [0; 512];
                loop {
                    closed(stream.read(&mut answer).await?)?;
                }
            }
            Step::Reset => stream.set_zero_linger(),
        }
    }
}

/// Whether an answer begins with a status from 500 on. 503 is "busy", which is what a node under attack may say.
fn is_server_error(answer: &[u8]) -> bool {
    let status = answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.is_some_and(|status| status.starts_with(b"5") && status != b"503")
}

/// An end of the stream is an end of the connection.
fn closed(read: usize) -> io::Result<()> {
    match read {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_errors_are_distinguished_from_busy() {
        assert!(is_server_error(b"HTTP/1.1 500 Internal Server Error\r\n"));
        assert!(is_server_error(b"HTTP/1.1 501 Not"));
        for other in ["HTTP/1.1 503 Service", "HTTP/1.1 200 OK", "HTTP/1.1 5", "", "500"] {
            assert!(!is_server_error(other.as_bytes()), "{other}");
        }
    }
}
