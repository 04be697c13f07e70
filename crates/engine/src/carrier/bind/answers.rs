//! Answers of the carrier: what they say of a message, and what follows from it.

use super::{BindSession, wanted};
use crate::carrier::flight::InFlight;
use crate::carrier::verdict::{self, Case, class_name};
use crate::catalog::InDoubt;
use crate::metrics::{AnswerLabel, Metrics};
use smpp::pdu::Pdu;
use smpp::status::{CommandStatus, StatusClass};
use sms::state::MessageState;
use store::{Answer, AttemptOutcome, CarrierNo, Next, Outgoing, SegmentAnswer, UnixMs};

impl BindSession {
    pub(super) fn answered(&mut self, token: u64, status: CommandStatus, pdu: &Pdu) {
        let answer = self.segment_answer(status, pdu);
        if let Some(flying) = self.flight.answer(token, answer) {
            self.conclude(flying);
        }
    }

    pub(super) fn segment_answer(&self, status: CommandStatus, pdu: &Pdu) -> SegmentAnswer {
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
        self.count_answer("late");
        let Some(held) = self.flight.late(token) else {
            return;
        };
        let answer = self.segment_answer(status, pdu);
        self.outcomes.push(AttemptOutcome {
            id: held.id,
            attempt: held.attempt,
            carrier: self.context.entry.no,
            attempts: held.attempts,
            attempted_at: held.attempted_at,
            answered_at: self.now(),
            answer: Answer::Single(answer),
            next: if status.is_ok() {
                Next::Submitted
            } else {
                Next::Final(MessageState::Rejected)
            },
            tally: held.tally,
        });
    }

    pub(super) fn give_up(&mut self, token: u64, unsent: bool) {
        if let Some(flying) = self.flight.give_up(token, unsent) {
            self.conclude(flying);
        }
    }

    /// All answers to a message are known, or known not to come: decides what follows.
    pub(super) fn conclude(&mut self, flying: InFlight) {
        let now = self.now();
        self.landing.slots += flying.slots;
        self.landing.segments += flying.segments();
        let (answer, next, counts) = self.decide(&flying, now);
        if next == Next::InDoubt {
            self.flight
                .hold(&flying, flying.message.attempts.saturating_add(1));
        }
        self.outcomes.push(AttemptOutcome {
            id: flying.message.id,
            attempt: flying.attempt,
            carrier: self.context.entry.no,
            attempts: flying.message.attempts.saturating_add(u8::from(counts)),
            attempted_at: flying.attempted_at,
            answered_at: now,
            answer,
            next,
            tally: flying.message.tally(),
        });
    }

    /// What the carrier said, what follows, and whether it counts as an attempt.
    pub(super) fn decide(&mut self, flying: &InFlight, now: UnixMs) -> (Answer, Next, bool) {
        let here = self.context.entry.no;
        let some_taken = flying.answers().any(|answer| answer.status == 0);
        if flying.doubtful {
            self.context
                .shared
                .metrics
                .in_doubt
                .get_or_create(&Metrics::carrier(here))
                .inc();
            let next = match self.context.settings.in_doubt {
                InDoubt::Resend => Next::Retry {
                    due: now,
                    carrier: here,
                },
                InDoubt::Hold => Next::InDoubt,
            };
            return (Answer::None, next, true);
        }
        if flying.unsent && !some_taken {
            return (
                Answer::NotSent,
                Next::Retry {
                    due: now,
                    carrier: here,
                },
                false,
            );
        }
        let worst = flying
            .answers()
            .find(|answer| answer.status != 0)
            .map_or(CommandStatus::ROK, |answer| CommandStatus(answer.status));
        let class = if flying.unsent {
            StatusClass::Transient
        } else {
            self.context.policy.class(worst)
        };
        if class == StatusClass::Ok {
            self.counted.answers_ok.inc();
        } else {
            self.count_answer(class_name(class));
        }
        if class == StatusClass::SlowDown {
            self.pace.slow_down(now);
        } else {
            self.pace.answered();
        }
        let counts = !matches!(class, StatusClass::SlowDown | StatusClass::Session);
        let case = Case {
            class,
            attempts: flying.message.attempts.saturating_add(u8::from(counts)),
            now,
            here,
            elsewhere: if class == StatusClass::Ok {
                None
            } else {
                self.elsewhere(&flying.message)
            },
            partly_taken: some_taken && class != StatusClass::Ok,
            jitter: rand::random(),
        };
        let next = verdict::next(&self.context.policy, case);
        // A carrier that sends no receipts has said all it will say.
        let next = if next == Next::Submitted && !self.context.settings.receipts {
            Next::Final(MessageState::Delivered)
        } else {
            next
        };
        let mut answers = flying.answers().cloned();
        let answer = match (flying.segments(), answers.next()) {
            (1, Some(only)) => Answer::Single(only),
            (_, Some(first)) => Answer::Segments(std::iter::once(first).chain(answers).collect()),
            (_, None) => Answer::None,
        };
        (answer, next, counts)
    }

    /// The carrier after this one on the message's route.
    pub(super) fn elsewhere(&self, message: &Outgoing) -> Option<CarrierNo> {
        let catalog = self.context.shared.catalog.load();
        let route: Vec<CarrierNo> = catalog.routes().carriers(wanted(message)).collect();
        let here = route.iter().position(|no| *no == self.context.entry.no);
        route.into_iter().nth(here.map_or(0, |at| at + 1))
    }

    pub(super) fn count_answer(&self, class: &'static str) {
        let label = AnswerLabel {
            carrier: self.context.entry.no.0,
            class,
        };
        self.context.shared.metrics.answers.get_or_create(&label).inc();
    }
}
