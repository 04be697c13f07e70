//! Sends.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::demo::Demo;
use super::dialect::{Answer, Dialect, Shot, Speaker, Text};
use super::outcome::{Outcome, RequestResult};
use super::wire::{Wire, WireError};
use crate::seed::{Question, Seed};

/// How long to wait before trying again what was not decided.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// What to send.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where to, and as whom.
    pub demo: Demo,
    /// How.
    pub dialect: Dialect,
    /// What: one of these for each request, drawn.
    pub texts: Vec<Text>,
    /// Recipients of each request.
    pub recipients: u64,
    /// Requests in flight at most, each over a connection of its own.
    pub connections: usize,
    /// Requests in all, those that are left out included.
    pub requests_max: u64,
    /// So many requests at the beginning are left out.
    pub requests_skipped: u64,
    /// No new request is begun after so long.
    pub time_max: Duration,
    /// Requests a second, whether or not earlier ones were answered (open loop, as far as connections reach); `None`: the
    /// next follows the answer to the last (closed loop).
    pub per_s: Option<f64>,
    /// Place of the first recipient; see [`super::number`].
    pub first: u64,
    /// Beginning of request ids; empty: requests have none.
    pub name: String,
    /// Share of accepted requests that are sent again on purpose, 0 to 1.
    pub repeat_share: f64,
    /// What chance is drawn from.
    pub seed: u64,
    /// A request without an answer that decides is sent again, until [`Self::answer_timeout`] is over. Needs a `name`.
    pub persistent: bool,
    /// How long an answer may take, and, if persistent, how long a request is tried after the load has ended.
    pub answer_timeout: Duration,
    /// Whether the result of each request is kept.
    pub remembers: bool,
}

impl Load {
    /// A thousand requests with one recipient each, over one connection, in closed loop, for a minute at most.
    #[must_use]
    pub fn new(demo: Demo, dialect: Dialect) -> Self {
        Self {
            demo,
            dialect,
            texts: vec![Text::Plain],
            recipients: 1,
            connections: 1,
            requests_max: 1_000,
            requests_skipped: 0,
            time_max: Duration::from_secs(60),
            per_s: None,
            first: 0,
            name: String::new(),
            repeat_share: 0.0,
            seed: 0,
            persistent: false,
            answer_timeout: Duration::from_secs(30),
            remembers: false,
        }
    }
}

/// What all connections of a load share.
struct Shared {
    load: Load,
    /// One for each of the texts.
    speakers: Vec<(Text, Speaker)>,
    next: AtomicU64,
    began: Instant,
    began_unix: Duration,
    stop: CancellationToken,
}

impl Shared {
    /// What the request in this place sends.
    fn text(&self, place: u64) -> Option<&(Text, Speaker)> {
        let last = self.speakers.len().saturating_sub(1) as u64;
        let drawn = Seed(self.load.seed)
            .roll(Question::Driver, place, 1)
            .within(0, last);
        self.speakers.get(usize::try_from(drawn).ok()?)
    }

    fn unix_ms(&self, moment: Instant) -> u64 {
        let unix = self.began_unix + moment.saturating_duration_since(self.began);
        u64::try_from(unix.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Sends everything, until it is done, the time is over or `stop` is cancelled.
///
/// `None` if the demo account lacks a template, or there is nothing to send.
pub async fn run(load: Load, stop: CancellationToken) -> Option<Outcome> {
    let speaker = |text: &Text| Some((*text, Speaker::new(load.dialect, &load.demo, *text)?));
    let speakers: Vec<_> = load.texts.iter().map(speaker).collect::<Option<_>>()?;
    if speakers.is_empty() {
        return None;
    }
    let connections = load.connections;
    let shared = Arc::new(Shared {
        speakers,
        next: AtomicU64::new(load.requests_skipped),
        load,
        began: Instant::now(),
        began_unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        stop,
    });
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        workers.spawn(Worker::new(Arc::clone(&shared)).run());
    }
    let mut outcome = Outcome::default();
    while let Some(done) = workers.join_next().await {
        match done {
            Ok(part) => outcome.add(part),
            Err(error) => outcome.reason(error.to_string()),
        }
    }
    outcome.elapsed = shared.began.elapsed();
    Some(outcome)
}

struct Worker {
    shared: Arc<Shared>,
    wire: Option<Wire>,
    body: Vec<u8>,
    request: Vec<u8>,
    outcome: Outcome,
}

impl Worker {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            wire: None,
            body: Vec::new(),
            request: Vec::new(),
            outcome: Outcome::default(),
        }
    }

    async fn run(mut self) -> Outcome {
        while let Some((place, due)) = self.next().await {
            self.shoot(place, due).await;
        }
        self.outcome
    }

    /// The next request, when it is time for it.
    async fn next(&self) -> Option<(u64, Instant)> {
        let Shared {
            load,
            next,
            began,
            stop,
            ..
        } = &*self.shared;
        let place = next.fetch_add(1, Ordering::Relaxed);
        if place >= load.requests_max {
            return None;
        }
        let due = match load.per_s {
            Some(per_s) => {
                let place = place - load.requests_skipped;
                *began + Duration::from_secs_f64(place as f64 / per_s.max(f64::MIN_POSITIVE))
            }
            None => Instant::now(),
        };
        if due > *began + load.time_max {
            return None;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            () = sleep_until(due) => Some((place, due)),
        }
    }

    async fn shoot(&mut self, place: u64, due: Instant) {
        let shared = Arc::clone(&self.shared);
        let load = &shared.load;
        let Some((text, speaker)) = shared.text(place) else {
            return;
        };
        let request_id = (!load.name.is_empty()).then(|| format!("{}-{place}", load.name));
        let shot = Shot {
            first: load.first + place * load.recipients,
            recipients: load.recipients,
            request_id: request_id.as_deref(),
            text: *text,
        };
        speaker.write(&shot, &mut self.body, &mut self.request);
        let mut sent = 1;
        let mut answer = self.try_once(speaker, &shot).await;
        let mut answered_at = std::time::Instant::now();
        if answer.is_some() {
            self.outcome
                .latency_us
                .record(u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
        while load.persistent && !is_decided(answer.as_ref()) && self.may_go_on() {
            tokio::time::sleep(RETRY_AFTER).await;
            self.outcome.retries += 1;
            sent += 1;
            answer = self.try_once(speaker, &shot).await;
            answered_at = std::time::Instant::now();
        }
        if self.repeats(place) && matches!(answer, Some(Answer::Accepted { .. })) {
            self.outcome.repeats += 1;
            sent += 1;
            let again = self.try_once(speaker, &shot).await;
            if is_wrong(answer.as_ref(), again.as_ref()) {
                self.outcome.repeats_wrong += 1;
                let refused = matches!(again, Some(Answer::Refused { .. }));
                self.outcome.repeats_out_of_time += u64::from(refused && load.dialect.signs_a_time());
                self.outcome
                    .reason(format!("wrong answer to a repeat: {again:?}"));
            }
        }
        self.count(&shot, answer.as_ref());
        if load.remembers {
            let Shot {
                first,
                recipients,
                text,
                ..
            } = shot;
            let request_id = request_id.unwrap_or_default();
            let due_unix_ms = shared.unix_ms(due);
            self.outcome.results.push(RequestResult {
                request_id,
                text,
                first,
                recipients,
                sent,
                due_unix_ms,
                answered_at: answer.is_some().then_some(answered_at),
                answer,
            });
        }
    }

    fn may_go_on(&self) -> bool {
        let Load {
            time_max,
            answer_timeout,
            ..
        } = self.shared.load;
        self.shared.began.elapsed() < time_max + answer_timeout
    }

    fn repeats(&self, place: u64) -> bool {
        let Load {
            seed, repeat_share, ..
        } = self.shared.load;
        repeat_share > 0.0 && Seed(seed).roll(Question::Driver, place, 0).hits(repeat_share)
    }

    /// Sends the request that has been written. `None`: no answer came.
    async fn try_once(&mut self, speaker: &Speaker, shot: &Shot<'_>) -> Option<Answer> {
        let shared = Arc::clone(&self.shared);
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => match Wire::connect(&shared.load.demo.base_url, shared.load.answer_timeout).await {
                Ok(wire) => wire,
                Err(error) => {
                    self.outcome.reason(whole(&error));
                    return None;
                }
            },
        };
        match wire.exchange(&self.request).await {
            Ok(exchange) => {
                let answer = speaker.read(shot, exchange.status, exchange.body);
                if !wire.is_closing() {
                    self.wire = Some(wire);
                }
                Some(answer)
            }
            Err(error) => {
                self.outcome.reason(whole(&error));
                None
            }
        }
    }

    fn count(&mut self, shot: &Shot<'_>, answer: Option<&Answer>) {
        let outcome = &mut self.outcome;
        outcome.answered += u64::from(answer.is_some());
        let accepted = match answer {
            Some(Answer::Accepted { refused, .. }) => shot.recipients - refused.len() as u64,
            Some(Answer::AcceptedBefore) => shot.recipients,
            Some(Answer::Refused { why } | Answer::Undecided { why }) => {
                outcome.reason(why.to_string());
                0
            }
            None => {
                outcome.unanswered += 1;
                return;
            }
        };
        outcome.accepted += u64::from(accepted > 0);
        outcome.refused += u64::from(accepted == 0);
        outcome.recipients_accepted += accepted;
        outcome.recipients_refused += shot.recipients - accepted;
    }
}

/// An error with what caused it.
fn whole(error: &WireError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn is_decided(answer: Option<&Answer>) -> bool {
    !matches!(answer, None | Some(Answer::Undecided { .. }))
}

/// Whether a repeat was answered otherwise than its dialect answers repeats: with the first answer, or by saying that it
/// is one. No answer, or none that decides, is not wrong.
fn is_wrong(first: Option<&Answer>, again: Option<&Answer>) -> bool {
    is_decided(again) && again != Some(&Answer::AcceptedBefore) && again != first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_must_say_the_same_or_that_it_is_one() {
        let accepted = |reference: &str| Answer::Accepted {
            reference: reference.into(),
            refused: vec![],
        };
        let first = accepted("a");
        for (again, wrong) in [
            (Some(accepted("a")), false),
            (Some(accepted("b")), true),
            (Some(Answer::AcceptedBefore), false),
            (Some(Answer::Refused { why: "x".into() }), true),
            (Some(Answer::Undecided { why: "x".into() }), false),
            (None, false),
        ] {
            assert_eq!(is_wrong(Some(&first), again.as_ref()), wrong, "{again:?}");
        }
    }
}
