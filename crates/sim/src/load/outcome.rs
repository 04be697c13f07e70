//! The results of requests, to be compared with what carriers received.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::dialect::{Answer, Text};
use super::number;
use crate::histogram::Histogram;

/// One request and its last answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestResult {
    /// The request's id.
    pub request_id: String,
    /// What it sent.
    pub text: Text,
    /// Place of its first recipient; see [`number`].
    pub first: u64,
    /// How many recipients it had.
    pub recipients: u64,
    /// How often it was sent, repeats on purpose included.
    pub sent: u32,
    /// When it was to be sent first, in milliseconds since 1970.
    pub due_unix_ms: u64,
    /// The answer; `None` if there never was one.
    pub answer: Option<Answer>,
    /// When the answer had been read.
    #[serde(skip)]
    pub answered_at: Option<Instant>,
}

impl RequestResult {
    /// The numbers of the recipients that were answered as accepted.
    pub fn accepted(&self) -> impl Iterator<Item = u64> {
        let (accepted, refused): (bool, &[u64]) = match &self.answer {
            Some(Answer::Accepted { refused, .. }) => (true, refused),
            Some(Answer::AcceptedBefore) => (true, &[]),
            _ => (false, &[]),
        };
        let recipients = if accepted { self.recipients } else { 0 };
        (0..recipients)
            .filter(|at| !refused.contains(at))
            .map(|at| number(self.first + at))
    }
}

/// The totals of a load.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How long it took.
    pub elapsed: Duration,
    /// Requests that were answered.
    pub answered: u64,
    /// Of these, requests with at least one accepted recipient.
    pub accepted: u64,
    /// Of these, requests that were refused.
    pub refused: u64,
    /// Requests that never got an answer.
    pub unanswered: u64,
    /// Recipients accepted.
    pub recipients_accepted: u64,
    /// Recipients refused.
    pub recipients_refused: u64,
    /// Requests sent again because there was no answer, or none that decided.
    pub retries: u64,
    /// Requests sent again on purpose, after they had been answered.
    pub repeats: u64,
    /// Of these, those that were not answered as the dialect answers repeats.
    pub repeats_wrong: u64,
    /// Of these, those that were refused and whose signature has a time, which another clock may not take.
    pub repeats_out_of_time: u64,
    /// Microseconds from when a request was to be sent to its answer; those of retries and repeats are left out.
    pub latency_us: Histogram,
    /// The reasons of some refusals and failures, at most [`Outcome::REASONS_MAX`].
    pub reasons: Vec<String>,
    /// The result of each request, in no order, if [`super::Load::remembers`] is set.
    pub results: Vec<RequestResult>,
}

impl Outcome {
    /// Reasons kept.
    pub const REASONS_MAX: usize = 20;

    /// Adds the totals of another part of the load.
    pub fn add(&mut self, other: Self) {
        self.elapsed = self.elapsed.max(other.elapsed);
        self.answered += other.answered;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.recipients_accepted += other.recipients_accepted;
        self.recipients_refused += other.recipients_refused;
        self.retries += other.retries;
        self.repeats += other.repeats;
        self.repeats_wrong += other.repeats_wrong;
        self.repeats_out_of_time += other.repeats_out_of_time;
        self.latency_us.add(&other.latency_us);
        other.reasons.into_iter().for_each(|reason| self.reason(reason));
        self.results.extend(other.results);
    }

    pub(super) fn reason(&mut self, reason: String) {
        if self.reasons.len() < Self::REASONS_MAX && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// Accepted requests a second.
    #[must_use]
    pub fn accepted_per_s(&self) -> f64 {
        self.accepted as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Writes the result of each request, one JSON object a line.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_ledger(&self, out: &mut impl Write) -> io::Result<()> {
        for result in &self.results {
            serde_json::to_writer(&mut *out, result)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(answer: Option<Answer>) -> RequestResult {
        RequestResult {
            request_id: "r".into(),
            text: Text::Plain,
            first: 10,
            recipients: 3,
            sent: 1,
            due_unix_ms: 0,
            answer,
            answered_at: None,
        }
    }

    #[test]
    fn only_what_was_accepted_counts_as_accepted() {
        let accepted = |answer| result(answer).accepted().collect::<Vec<_>>();
        let partly = Answer::Accepted {
            reference: "x".into(),
            refused: vec![1],
        };
        assert_eq!(accepted(Some(partly)), [number(10), number(12)]);
        assert_eq!(accepted(Some(Answer::AcceptedBefore)).len(), 3);
        assert!(accepted(Some(Answer::Refused { why: "no".into() })).is_empty());
        assert!(accepted(None).is_empty());
    }

    #[test]
    fn a_ledger_is_one_line_a_request() {
        let outcome = Outcome {
            results: vec![result(None), result(Some(Answer::AcceptedBefore))],
            ..Outcome::default()
        };
        let mut out = Vec::new();
        outcome.write_ledger(&mut out).unwrap();
        assert_eq!(out.iter().filter(|octet| **octet == b'\n').count(), 2);
    }
}
