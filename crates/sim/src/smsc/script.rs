//! Applies the behaviour to one message.

use std::sync::atomic::{AtomicU64, Ordering};

use smpp::CommandStatus;
use smpp::field::RegisteredDelivery;
use sms::state::ReceiptState;

use super::behaviour::{Behaviour, Instead, Rule, Span, Timing};
use super::spelling::Word;
use crate::seed::{Question, Seed};

/// A behaviour in force, with what was used up of it.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) behaviour: Behaviour,
    used: Vec<AtomicU64>,
    binds_refused: AtomicU64,
}

/// What the decision about a message depends on.
#[derive(Clone, Copy)]
pub(super) struct SubmitContext<'a> {
    /// What the message counts as.
    pub(super) subject: u64,
    /// How often it was submitted so far, from 1.
    pub(super) nth: u64,
    pub(super) destination: &'a [u8],
    pub(super) registered: RegisteredDelivery,
}

/// The status, the answer and the receipts of a message.
#[derive(Debug, PartialEq)]
pub(super) struct SubmitDecision<'s> {
    pub(super) status: CommandStatus,
    /// Refused because it is beyond a limit, whatever the rules say.
    pub(super) beyond_limit: bool,
    pub(super) answer: Answer,
    /// What is reported, if the message is taken.
    pub(super) receipts: Option<Plan<'s>>,
}

/// How a message is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// After so many milliseconds.
    After(u64),
    Never,
    /// The connection is cut instead.
    Cut {
        taken: bool,
    },
}

/// What is reported about a message, and when.
#[derive(Debug, PartialEq)]
pub(super) struct Plan<'s> {
    pub(super) timing: Timing,
    /// Milliseconds from now to the first receipt.
    pub(super) delay_ms: u64,
    pub(super) states: &'s [Word],
    pub(super) error: &'s str,
}

impl Script {
    pub(super) fn new(behaviour: Behaviour) -> Self {
        let used = behaviour.rules.iter().map(|_| AtomicU64::new(0)).collect();
        Self {
            behaviour,
            used,
            binds_refused: AtomicU64::new(0),
        }
    }

    /// Whether the `nth` bind since the start is refused.
    pub(super) fn refuses_bind(&self, seed: Seed, nth: u64) -> bool {
        let binds = &self.behaviour.binds;
        let at_first = self.binds_refused.fetch_add(1, Ordering::Relaxed) < binds.refused_first;
        at_first || seed.roll(Question::BindRefusal, nth, 0).hits(binds.refused_share)
    }

    /// Decides about a message. Counts towards the `times_max` of the rule that applies.
    pub(super) fn decide(&self, seed: Seed, context: SubmitContext<'_>) -> SubmitDecision<'_> {
        let rule = self.rule(seed, context);
        let status = rule
            .and_then(|rule| rule.status)
            .map_or(CommandStatus::ROK, |status| status.0);
        let answer = self.answer(seed, context, rule);
        let receipts = if status.is_ok() {
            self.plan(seed, context, rule)
        } else {
            None
        };
        SubmitDecision {
            status,
            beyond_limit: false,
            answer,
            receipts,
        }
    }

    fn rule(&self, seed: Seed, context: SubmitContext<'_>) -> Option<&Rule> {
        let rules = self.behaviour.rules.iter().zip(&self.used).enumerate();
        let applies = |(at, (rule, used)): &(usize, (&Rule, &AtomicU64))| {
            context.destination.starts_with(rule.prefix.as_bytes())
                && rule
                    .times_per_message_max
                    .is_none_or(|max| context.nth <= u64::from(max))
                && rule.share.is_none_or(|share| {
                    seed.roll_at(Question::Rule, *at, context.subject, context.nth)
                        .hits(share)
                })
                && rule
                    .times_max
                    .is_none_or(|max| used.fetch_add(1, Ordering::Relaxed) < max)
        };
        rules.into_iter().find(applies).map(|(_, (rule, _))| rule)
    }

    fn answer(&self, seed: Seed, context: SubmitContext<'_>, rule: Option<&Rule>) -> Answer {
        match rule.and_then(|rule| rule.instead) {
            Some(Instead::Silence) => return Answer::Never,
            Some(Instead::Disconnect) => return Answer::Cut { taken: true },
            Some(Instead::DisconnectUntaken) => return Answer::Cut { taken: false },
            None => {}
        }
        let answers = &self.behaviour.answers;
        if answers.silent_share > 0.0
            && seed
                .roll(Question::Silence, context.subject, context.nth)
                .hits(answers.silent_share)
        {
            return Answer::Never;
        }
        let delay_ms = rule
            .and_then(|rule| rule.answer_delay_ms)
            .unwrap_or(answers.delay_ms);
        Answer::After(draw(delay_ms, seed, Question::AnswerDelay, context))
    }

    fn plan<'s>(
        &'s self,
        seed: Seed,
        context: SubmitContext<'_>,
        rule: Option<&'s Rule>,
    ) -> Option<Plan<'s>> {
        let receipts = &self.behaviour.receipts;
        if !receipts.enabled {
            return None;
        }
        let states = rule
            .and_then(|rule| rule.states.as_deref())
            .unwrap_or(&receipts.states);
        let last = states.last()?.0;
        if !is_wanted(context.registered, last) {
            return None;
        }
        let timing = rule
            .and_then(|rule| rule.receipt)
            .unwrap_or_else(|| self.receipt_timing(seed, context));
        let delay = match timing {
            Timing::Never => return None,
            Timing::Early => Span::fixed(0),
            Timing::Late => receipts.late_delay_ms,
            Timing::Normal | Timing::Twice => receipts.delay_ms,
        };
        let delay_ms = draw(delay, seed, Question::ReceiptDelay, context);
        let error = match rule.and_then(|rule| rule.error.as_deref()) {
            Some(error) => error,
            None if last == ReceiptState::Delivered => "000",
            None => &receipts.error,
        };
        Some(Plan {
            timing,
            delay_ms,
            states,
            error,
        })
    }

    fn receipt_timing(&self, seed: Seed, context: SubmitContext<'_>) -> Timing {
        let receipts = &self.behaviour.receipts;
        let mut left = seed
            .roll(Question::ReceiptEffect, context.subject, context.nth)
            .unit();
        for (share, timing) in [
            (receipts.early_share, Timing::Early),
            (receipts.late_share, Timing::Late),
            (receipts.twice_share, Timing::Twice),
            (receipts.never_share, Timing::Never),
        ] {
            if left < share {
                return timing;
            }
            left -= share;
        }
        Timing::Normal
    }
}

/// Whether `registered_delivery` requests a receipt: of every final state, of failures only, or of successes only
/// (SMPP 3.4 §5.2.17, SMPP 5.0 §4.7.21).
fn is_wanted(registered: RegisteredDelivery, last: ReceiptState) -> bool {
    let delivered = last == ReceiptState::Delivered;
    match registered.0 & 0x03 {
        0 => false,
        2 => !delivered,
        3 => delivered,
        _ => true,
    }
}

fn draw(span: Span, seed: Seed, question: Question, context: SubmitContext<'_>) -> u64 {
    if span.min >= span.max {
        return span.min;
    }
    seed.roll(question, context.subject, context.nth)
        .within(span.min, span.max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: Seed = Seed(1);

    fn script(text: &str) -> Script {
        Script::new(toml::from_str(text).unwrap())
    }

    fn context(destination: &[u8], nth: u64) -> SubmitContext<'_> {
        SubmitContext {
            subject: nth,
            nth,
            destination,
            registered: RegisteredDelivery::FINAL,
        }
    }

    #[test]
    fn the_first_rule_that_applies_decides() {
        let script = script(
            r#"
            [[rules]]
            prefix = "4477"
            status = "RSYSERR"
            times_per_message_max = 2
            [[rules]]
            prefix = "4477"
            states = ["UNDELIV"]
            error = "034"
            "#,
        );
        let decide = |nth| script.decide(SEED, context(b"447700900123", nth));
        assert_eq!(
            (decide(1).status, decide(2).status),
            (CommandStatus::RSYSERR, CommandStatus::RSYSERR)
        );
        assert_eq!(decide(1).receipts, None, "what is refused is not reported on");
        let third = decide(3);
        assert_eq!(third.status, CommandStatus::ROK);
        let plan = third.receipts.unwrap();
        assert_eq!(
            (plan.states, plan.error),
            (&[Word(ReceiptState::Undeliverable)][..], "034")
        );
        let other = script.decide(SEED, context(b"15550100", 1));
        assert_eq!(other.receipts.unwrap().error, "000");
    }

    #[test]
    fn a_rule_with_a_count_is_used_up() {
        let script = script("[[rules]]\ntimes_max = 3\nstatus = \"RMSGQFUL\"");
        let refused = (0..10)
            .filter(|_| !script.decide(SEED, context(b"1", 1)).status.is_ok())
            .count();
        assert_eq!(refused, 3);
    }

    #[test]
    fn shares_of_receipts_come_out_as_configured() {
        let script = script(
            "receipts = { early_share = 0.1, late_share = 0.2, twice_share = 0.3, never_share = 0.4 }",
        );
        let mut seen = [0_u32; 4];
        for nth in 0..10_000 {
            let place = match script
                .decide(SEED, context(b"1", nth))
                .receipts
                .map(|plan| plan.timing)
            {
                Some(Timing::Early) => 0,
                Some(Timing::Late) => 1,
                Some(Timing::Twice) => 2,
                None => 3,
                other => panic!("{other:?}"),
            };
            seen[place] += 1;
        }
        for (count, share) in seen.into_iter().zip([0.1, 0.2, 0.3, 0.4]) {
            assert!((f64::from(count) / 10_000.0 - share).abs() < 0.02, "{seen:?}");
        }
    }

    #[test]
    fn only_wanted_receipts_are_sent() {
        let table = [
            (0, false, false),
            (1, true, true),
            (2, false, true),
            (3, true, false),
            (0x11, true, true),
        ];
        for (registered, delivered, failed) in table {
            let registered = RegisteredDelivery(registered);
            assert_eq!(
                is_wanted(registered, ReceiptState::Delivered),
                delivered,
                "{registered:?}"
            );
            assert_eq!(
                is_wanted(registered, ReceiptState::Expired),
                failed,
                "{registered:?}"
            );
        }
    }

    #[test]
    fn a_message_may_be_left_without_answer() {
        let silent = script("answers.silent_share = 1.0")
            .decide(SEED, context(b"1", 1))
            .answer;
        assert_eq!(silent, Answer::Never);
        let cut = script("[[rules]]\ninstead = \"disconnect_untaken\"")
            .decide(SEED, context(b"1", 1))
            .answer;
        assert_eq!(cut, Answer::Cut { taken: false });
    }
}
