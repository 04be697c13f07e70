//! The good clients: they send as customers do, at a steady rate, and time is counted from when each request was due, so
//! that one that had to wait for the one before it counts in full.

use std::time::Duration;

use anyhow::Context;
use sim::histogram::Histogram;
use sim::load::{Answer, Demo, Dialect, Requests, Text, Wire, WireError};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Requests a second of one client.
pub(super) const PER_S: u32 = 10;

/// Good clients: each wire on kept connections, and on new ones.
pub(super) const CLIENTS: u32 = 2 * Dialect::ALL.len() as u32;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Numbers that one client has for itself in one turn.
pub(super) const NUMBERS: u64 = 1_000;

/// What the good clients saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Served {
    /// Microseconds from when a request was due to its answer.
    pub(super) us: Histogram,
    pub(super) requests: u64,
    pub(super) failed: u64,
    /// Kept connections that the node closed between requests, and that were opened again, as HTTP clients do.
    pub(super) renewed: u64,
    /// The first of what failed.
    pub(super) first_failure: Option<String>,
}

impl Served {
    fn add(&mut self, other: Self) {
        self.us.add(&other.us);
        self.requests += other.requests;
        self.failed += other.failed;
        self.renewed += other.renewed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }
}

/// Sends over every wire, on kept connections and on new ones, `per_s` requests a second of each client, for so long. Each
/// `turn` has numbers of its own, if no client has more than [`NUMBERS`] requests.
pub(super) async fn serve(demo: &Demo, turn: u64, per_s: u32, time: Duration) -> anyhow::Result<Served> {
    let mut clients = JoinSet::new();
    let forms = Dialect::ALL
        .into_iter()
        .flat_map(|dialect| [(dialect, true), (dialect, false)]);
    let began = Instant::now();
    for (at, (dialect, keeps)) in (0_u64..).zip(forms) {
        let requests = Requests::new(dialect, demo, Text::Code).context("the catalog lacks a template")?;
        let client = Client {
            requests,
            url: demo.base_url.clone(),
            keeps,
            every: Duration::from_secs(1) / per_s,
            wire: None,
            first: (turn * 10 + at) * NUMBERS,
            name: format!("attack-{turn}-{at}"),
            served: Served::default(),
        };
        // Not all at the same moment.
        let offset = Duration::from_millis(at * 1_000 / u64::from(per_s) / 10);
        clients.spawn(client.run(began + offset, time));
    }
    let mut served = Served::default();
    while let Some(of_one) = clients.join_next().await {
        served.add(of_one?);
    }
    Ok(served)
}

/// A good request of every wire.
pub(super) fn requests(demo: &Demo) -> anyhow::Result<Vec<String>> {
    let one = |dialect| {
        let mut request = Vec::new();
        let mut requests =
            Requests::new(dialect, demo, Text::Code).context("the catalog lacks a template")?;
        requests.write(0, "mutated", &mut request);
        Ok(String::from_utf8(request)?)
    };
    Dialect::ALL.into_iter().map(one).collect()
}

struct Client {
    requests: Requests,
    url: String,
    keeps: bool,
    every: Duration,
    wire: Option<Wire>,
    first: u64,
    name: String,
    served: Served,
}

impl Client {
    async fn run(mut self, began: Instant, time: Duration) -> Served {
        let every = self.every;
        let mut request = Vec::new();
        for at in 0.. {
            let due = began + every * at;
            if due > began + time {
                break;
            }
            sleep_until(due).await;
            self.served.requests += 1;
            // Requests that were due and not sent in time have failed; they are not sent late.
            if Instant::now() > began + time + TIMEOUT {
                self.fail(format!("not sent within {TIMEOUT:?} after the end"));
                continue;
            }
            let place = self.first + u64::from(at);
            let id = format!("{}-{at}", self.name);
            self.requests.write(place, &id, &mut request);
            match self.send(place, &request).await {
                Ok(()) => {
                    let us = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
                    self.served.us.record(us);
                }
                Err(why) => self.fail(why),
            }
        }
        self.served
    }

    fn fail(&mut self, why: String) {
        self.wire = None;
        self.served.failed += 1;
        // What failed took at least as long as one waits for an answer.
        self.served
            .us
            .record(u64::try_from(TIMEOUT.as_micros()).unwrap_or(u64::MAX));
        self.served.first_failure.get_or_insert(why);
    }

    async fn send(&mut self, place: u64, request: &[u8]) -> Result<(), String> {
        let kept = self.wire.take().filter(|wire| self.keeps && !wire.is_closing());
        let was_kept = kept.is_some();
        let mut answered = self.try_send(kept, place, request).await;
        if was_kept && matches!(answered, Err(Failure::Wire(WireError::Io(_)))) {
            self.served.renewed += 1;
            answered = self.try_send(None, place, request).await;
        }
        answered.map_err(|failure| match failure {
            Failure::Wire(error) => format!("{:#}", anyhow::Error::from(error)),
            Failure::Answer(said) => said,
        })
    }

    async fn try_send(&mut self, kept: Option<Wire>, place: u64, request: &[u8]) -> Result<(), Failure> {
        let mut wire = match kept {
            Some(wire) => wire,
            None => Wire::connect(&self.url, TIMEOUT).await?,
        };
        let exchange = wire.exchange(request).await?;
        let (status, body) = (exchange.status, exchange.body);
        if !is_success(&self.requests.read(place, status, body)) {
            let text = String::from_utf8_lossy(body.get(..200).unwrap_or(body)).into_owned();
            return Err(Failure::Answer(format!("{status} {text}")));
        }
        self.wire = Some(wire);
        Ok(())
    }
}

/// Whether a message was taken.
fn is_success(answer: &Answer) -> bool {
    match answer {
        Answer::Accepted { refused, .. } => refused.is_empty(),
        // The first try was taken before its connection was lost.
        Answer::AcceptedBefore => true,
        Answer::Refused { .. } | Answer::Undecided { .. } => false,
    }
}

enum Failure {
    Wire(WireError),
    Answer(String),
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}
