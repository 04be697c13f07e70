//! Answers of the carrier: what they say of a segment, and what follows for its message.

use super::{BindSession, StoredResult, wanted};
use crate::carrier::in_flight::{InFlight, serial_of};
use crate::carrier::retry_policy::{self, AnswerContext, class_name};
use crate::catalog::InDoubt;
use crate::metrics::{AnswerLabel, Metrics};
use smpp::pdu::Pdu;
use smpp::status::{CommandStatus, StatusClass};
use sms::state::MessageState;
use store::{Answer, AttemptOutcome, CarrierNo, Next, Outgoing, SegmentAnswer, UnixMs};

impl BindSession {
    pub(super) fn answered(&mut self, token: u64, status: CommandStatus, pdu: &Pdu) {
        self.any_answer = true;
        let class = self.context.policy.class(status);
        if class == StatusClass::Ok {
            self.any_taken = true;
            self.counted.answers_ok.inc();
        } else {
            self.count_answer(class_name(class));
        }
        if class == StatusClass::SlowDown {
            self.rate_controller.slow_down(self.elapsed_ms());
        } else {
            self.rate_controller.answered();
        }
        let answer = self.segment_answer(status, pdu);
        let over = self.in_flight.answer(token, answer);
        self.settled(over);
        if retry_policy::ends(class) {
            self.withdraw(serial_of(token));
        }
        if class == StatusClass::Session && !self.is_refused {
            self.renounce(status);
        }
    }

    /// The carrier answers as if this session were not bound. What is in flight is still waited for, then it is bound
    /// again, with growing pauses.
    fn renounce(&mut self, status: CommandStatus) {
        tracing::warn!(carrier = %self.context.entry.name, bind = self.index, %status,
            "session refused");
        self.is_refused = true;
        self.give_back_waiting();
    }

    /// A segment was refused for good: what was not written of its message need not be.
    fn withdraw(&mut self, serial: u64) {
        for token in self.waiting.remove(serial) {
            let over = self.in_flight.unsent(token);
            self.settled(over);
        }
    }

    pub(super) fn settled(&mut self, over: Option<InFlight>) {
        if let Some(over) = over {
            self.conclude(over);
        }
    }

    fn segment_answer(&self, status: CommandStatus, pdu: &Pdu) -> SegmentAnswer {
        let carrier_id = match pdu {
            Pdu::SubmitSmResp(resp) if status.is_ok() => {
                let id = String::from_utf8_lossy(resp.message_id.as_bytes());
                self.context.notation.submit_id(&id)
            }
            _ => None,
        };
        SegmentAnswer {
            status: status.0,
            carrier_id,
        }
    }

    /// An answer after its deadline settles a message that was held; one that is sent again is past helping.
    pub(super) fn answered_late(&mut self, token: u64, status: CommandStatus, pdu: &Pdu) {
        self.any_answer = true;
        self.count_answer("late");
        let answer = self.segment_answer(status, pdu);
        let Some(held) = self.in_flight.late(token, answer) else {
            return;
        };
        let now = self.now();
        let attempts = held.message.attempts.saturating_add(1);
        let next = if held.is_in_doubt() {
            Next::InDoubt
        } else {
            self.after_answers(&held, now)
        };
        self.results.push(StoredResult {
            // Its attempt was over when it was put on hold.
            closes: false,
            outcome: self.outcome(&held, held.answer(), next, attempts, now),
        });
        if next == Next::InDoubt {
            self.in_flight.hold(held);
        }
    }

    /// Each segment of a message has an answer, is in doubt, or was not written: decides what follows.
    pub(super) fn conclude(&mut self, over: InFlight) {
        let now = self.now();
        self.freed += over.freed;
        let (answer, next, counts) = self.decide(&over, now);
        let attempts = over.message.attempts.saturating_add(u8::from(counts));
        self.results.push(StoredResult {
            closes: true,
            outcome: self.outcome(&over, answer, next, attempts, now),
        });
        if next == Next::InDoubt {
            self.in_flight.hold(over);
        }
    }

    fn outcome(
        &self,
        over: &InFlight,
        answer: Answer,
        next: Next,
        attempts: u8,
        now: UnixMs,
    ) -> AttemptOutcome {
        AttemptOutcome {
            id: over.message.id,
            attempt: over.attempt,
            carrier: self.context.entry.no,
            attempts,
            attempted_at: over.attempted_at,
            answered_at: now,
            answer,
            next,
            stats_key: over.message.stats_key(),
        }
    }

    /// What the carrier said, what follows, and whether it counts as an attempt.
    fn decide(&self, over: &InFlight, now: UnixMs) -> (Answer, Next, bool) {
        let carrier = self.context.entry.no;
        let answer = over.answer();
        if self.worst(over).is_some_and(retry_policy::ends) {
            return (answer, self.after_answers(over, now), true);
        }
        if over.is_in_doubt() {
            self.context
                .shared
                .metrics
                .in_doubt
                .get_or_create(&Metrics::carrier(carrier))
                .inc();
            let next = match self.context.settings.in_doubt {
                InDoubt::Resend => {
                    retry_policy::after_lost_answer(&self.context.policy, self.context_of(over, true, now))
                }
                InDoubt::Hold => Next::InDoubt,
            };
            return (answer, next, true);
        }
        if over.is_unsent() {
            let next = Next::Retry { due: now, carrier };
            return (answer, next, false);
        }
        let counts = self.counts(over);
        (answer, self.after_answers(over, now), counts)
    }

    /// The class of the answer that decides, of those that were given; `None` when there are none.
    fn worst(&self, over: &InFlight) -> Option<StatusClass> {
        over.answers()
            .map(|answer| self.context.policy.class(CommandStatus(answer.status)))
            .max_by_key(|class| retry_policy::severity(*class))
    }

    /// Whether the answers count as an attempt: not when the carrier only throttles, or the bind is at fault.
    fn counts(&self, over: &InFlight) -> bool {
        match self.worst(over) {
            Some(StatusClass::SlowDown | StatusClass::Session) => false,
            // What was written was taken, and the rest was not written.
            Some(StatusClass::Ok) | None => over.is_all_taken(),
            Some(_) => true,
        }
    }

    /// What follows when nothing is in doubt.
    fn after_answers(&self, over: &InFlight, now: UnixMs) -> Next {
        if over.is_all_taken() {
            // A carrier that sends no receipts has said all it will say.
            return if self.context.settings.receipts {
                Next::Submitted
            } else {
                Next::Final(MessageState::Delivered)
            };
        }
        match self.worst(over) {
            // What was written was taken; the rest goes at once.
            None | Some(StatusClass::Ok) => Next::Retry {
                due: now,
                carrier: self.context.entry.no,
            },
            Some(class) => {
                let context = self.context_of(over, self.counts(over), now);
                retry_policy::after_answer(&self.context.policy, class, context)
            }
        }
    }

    fn context_of(&self, answered: &InFlight, counts: bool, now: UnixMs) -> AnswerContext {
        AnswerContext {
            attempts: answered.message.attempts.saturating_add(u8::from(counts)),
            now,
            carrier: self.context.entry.no,
            next_carrier: self.next_carrier(&answered.message),
            partly_taken: answered.is_partly_taken(),
            jitter: rand::random(),
        }
    }

    /// The carrier after this one on the message's route.
    fn next_carrier(&self, message: &Outgoing) -> Option<CarrierNo> {
        let catalog = self.context.shared.catalog.load();
        let route: Vec<CarrierNo> = catalog.routes().carriers(wanted(message)).collect();
        let position = route.iter().position(|no| *no == self.context.entry.no);
        route.into_iter().nth(position.map_or(0, |at| at + 1))
    }

    fn count_answer(&self, class: &'static str) {
        let label = AnswerLabel {
            carrier: self.context.entry.no.0,
            class,
        };
        self.context.shared.metrics.answers.get_or_create(&label).inc();
    }
}
