//! Handles `submit_sm`.

use std::sync::Arc;

use smpp::CommandStatus;
use smpp::command::CommandId;
use smpp::pdu::{Pdu, SubmitSm, SubmitSmResp};

use super::{Connection, Ending};
use crate::seed::Question;
use crate::smsc::behaviour::{Garbage, Timing};
use crate::smsc::journal::RecordedMessage;
use crate::smsc::ledger::Ledger;
use crate::smsc::part::{Anatomy, CountBy, key_of_number};
use crate::smsc::receipt::{Delivery, ErrorCode, Note, excerpt};
use crate::smsc::script::{self, Plan, SubmitContext, SubmitDecision};
use crate::smsc::shared::Moment;

/// How long after a receipt its doubled one comes.
const TWICE_MS: u64 = 50;

/// The longest address of a `submit_sm` or a `deliver_sm` (SMPP 3.4 §4.4.1: 21 octets with the NUL).
const ADDRESS_MAX: usize = 20;

/// Why a message is refused for its addresses: no receipt could name them.
fn misaddressed(pdu: &SubmitSm) -> Option<CommandStatus> {
    match (pdu.source.addr.len(), pdu.destination.addr.len()) {
        (_, 0) => Some(CommandStatus::RINVDSTADR),
        (_, destination) if destination > ADDRESS_MAX => Some(CommandStatus::RINVDSTADR),
        (source, _) if source > ADDRESS_MAX => Some(CommandStatus::RINVSRCADR),
        _ => None,
    }
}

/// An answer to a message.
pub(super) struct Answer {
    sequence: u32,
    status: CommandStatus,
    /// `None` if the message was refused.
    id: Option<u64>,
}

/// Messages of one bind in the current second.
#[derive(Default)]
pub(super) struct RateGate {
    second: u64,
    count: u32,
}

impl RateGate {
    /// Whether one more may pass; 0: any number.
    fn passes(&mut self, now_ms: u64, per_s_max: u32) -> bool {
        let second = now_ms / 1000;
        if second != self.second {
            *self = Self { second, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        per_s_max == 0 || self.count <= per_s_max
    }
}

impl Connection {
    pub(super) fn receive_submit(&mut self, sequence: u32, pdu: &SubmitSm, ledger: &mut Ledger, now: Moment) {
        if self.bound.as_ref().is_none_or(|bound| !bound.kind.transmits()) {
            ledger.counts.rejected += 1;
            return self.refuse(CommandId::SUBMIT_SM, CommandStatus::RINVBNDSTS, sequence);
        }
        self.submits += 1;
        let anatomy = Anatomy::of(pdu);
        let destination = pdu.destination.addr.as_bytes();
        let key = anatomy.key(self.shared.config.count_by, destination);
        let nth = ledger.submitted(key);
        let subject = key.unwrap_or_else(|| crate::smsc::key_of(destination, anatomy.text));
        let context = SubmitContext {
            subject,
            nth,
            destination,
            registered: pdu.registered_delivery,
        };
        let script = Arc::clone(&self.script);
        let mut decision = self.decision(&script, context, now);
        if let Some(status) = misaddressed(pdu).filter(|_| decision.status.is_ok()) {
            (decision.status, decision.receipts) = (status, None);
        }
        let is_part = anatomy.part.is_some_and(|part| part.total > 1);
        let id = self.take(&decision, key, is_part, ledger);
        if id.is_some() {
            ledger.remember_taken(key, pdu);
        }
        let joins = self.shared.config.count_by == CountBy::DestinationAndPart;
        let is_whole = match id {
            Some(_) if joins => ledger.join(key_of_number(destination), &anatomy, pdu.data_coding),
            _ => true,
        };
        if ledger.journal.is_kept() && destination.starts_with(self.shared.config.kept_prefix.as_bytes()) {
            ledger
                .journal
                .push(self.recorded(pdu, &anatomy, decision.status, id, now));
        }
        let mut lead_ms = 0;
        let reported = is_whole || !script.behaviour.receipts.for_whole;
        if let Some((id, plan)) = id.zip(decision.receipts.as_ref()).filter(|_| reported) {
            let note = |state| Note {
                id,
                key,
                source: pdu.source.clone(),
                destination: pdu.destination.clone(),
                submitted_at_s: now.unix_s,
                state,
                error: ErrorCode::new(plan.error),
                excerpt: script.behaviour.receipts.excerpt.then(|| excerpt(anatomy.text)),
            };
            lead_ms = self.plan(plan, note, ledger, now);
        }
        let answer = Answer {
            sequence,
            status: decision.status,
            id,
        };
        match decision.answer {
            script::Answer::After(delay_ms) => self.answer_after(delay_ms.max(lead_ms), answer, now),
            script::Answer::Never => ledger.counts.unanswered += 1,
            script::Answer::Cut { .. } => {
                ledger.counts.unanswered += 1;
                self.ending = Some(Ending::Cut);
            }
        }
        self.send_garbage_in_turn(ledger);
    }

    /// Decides about a message, with limits and faults considered.
    fn decision<'s>(
        &mut self,
        script: &'s script::Script,
        context: SubmitContext<'_>,
        now: Moment,
    ) -> SubmitDecision<'s> {
        let seed = self.shared.seed;
        if self.ending == Some(Ending::Cut) || self.fault_injector.cut_at.is_some_and(|at| self.submits >= at)
        {
            let share = script.behaviour.faults.cut_taken_share;
            let taken = seed
                .roll(Question::Taken, context.subject, context.nth)
                .hits(share);
            let decided = script.decide(seed, context);
            return SubmitDecision {
                answer: script::Answer::Cut { taken },
                ..decided
            };
        }
        if let Some(status) = self.limit(script, now) {
            return SubmitDecision {
                status,
                beyond_limit: true,
                answer: script::Answer::After(0),
                receipts: None,
            };
        }
        script.decide(seed, context)
    }

    /// The status for a sender that exceeds a limit.
    fn limit(&mut self, script: &script::Script, now: Moment) -> Option<CommandStatus> {
        let limits = &script.behaviour.limits;
        if !self.gate.passes(now.ms, limits.rate_per_s_max) {
            return Some(CommandStatus::RTHROTTLED);
        }
        if limits.window_max > 0 && self.answers.len() >= limits.window_max as usize {
            return Some(CommandStatus::RTHROTTLED);
        }
        let queued = || self.bound.as_ref().map_or(0, |bound| bound.mailbox.len()) + self.planned.len();
        (limits.queue_max > 0 && queued() >= limits.queue_max).then_some(CommandStatus::RMSGQFUL)
    }

    /// Takes or refuses the message; its id if it is taken.
    fn take(
        &mut self,
        decision: &SubmitDecision<'_>,
        key: Option<u64>,
        is_part: bool,
        ledger: &mut Ledger,
    ) -> Option<u64> {
        if !decision.status.is_ok() {
            ledger.refused(decision.status, decision.beyond_limit, is_part);
            return None;
        }
        if decision.answer == (script::Answer::Cut { taken: false }) {
            return None;
        }
        ledger.taken(key);
        Some(self.shared.next_id())
    }

    /// Sees to the receipts of a message that was taken. Returns how many milliseconds its answer must wait so that an
    /// early receipt is earlier.
    fn plan(
        &mut self,
        plan: &Plan<'_>,
        note: impl Fn(sms::state::ReceiptState) -> Note,
        ledger: &mut Ledger,
        now: Moment,
    ) -> u64 {
        let receipts = &self.script.behaviour.receipts;
        let (step_ms, lead_ms) = (receipts.step_ms, receipts.early_lead_ms);
        let mut due_ms = now.ms + plan.delay_ms;
        let mut behind_answer_ms = 0;
        for (at, state) in plan.states.iter().enumerate() {
            let note = note(state.0);
            ledger.counts.receipts_planned += 1;
            ledger.remember_planned(&note);
            if plan.timing == Timing::Twice && at + 1 == plan.states.len() {
                ledger.counts.receipts_planned += 1;
                self.planned
                    .push((due_ms + TWICE_MS, Delivery::Receipt(note.clone())));
            }
            // Over this connection the order of writing decides, over another one only time can.
            if plan.timing == Timing::Early && at == 0 && self.may_deliver() {
                self.deliver(Delivery::Receipt(note), ledger, now);
            } else {
                if plan.timing == Timing::Early && at == 0 {
                    behind_answer_ms = lead_ms;
                }
                self.planned.push((due_ms, Delivery::Receipt(note)));
            }
            due_ms += step_ms;
        }
        behind_answer_ms
    }

    fn answer_after(&mut self, delay_ms: u64, answer: Answer, now: Moment) {
        if delay_ms == 0 {
            self.answer(answer);
        } else {
            self.answers.push(now.ms + delay_ms, answer);
        }
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        let Answer { sequence, status, id } = answer;
        self.id_text.clear();
        if let Some(id) = id {
            self.shared.config.ids.answer.write(id, &mut self.id_text);
        }
        let resp = SubmitSmResp::new(self.id_text.as_slice());
        self.say(&Pdu::SubmitSmResp(resp), status, sequence);
    }

    fn send_garbage_in_turn(&mut self, ledger: &mut Ledger) {
        if self.fault_injector.garbage_at.is_none_or(|at| self.submits < at) {
            return;
        }
        let faults = &self.script.behaviour.faults;
        let kinds: &[Garbage] = if faults.garbage.is_empty() {
            &Garbage::HARMLESS
        } else {
            &faults.garbage
        };
        let number = self.bound.as_ref().map_or(0, |bound| bound.number);
        let roll = |question| self.shared.seed.roll(question, number, self.garbage_sent);
        let last = kinds.len().saturating_sub(1) as u64;
        let kind = usize::try_from(roll(Question::GarbageKind).within(0, last)).ok();
        let after = roll(Question::Garbage).within(faults.garbage_after.min, faults.garbage_after.max);
        self.fault_injector.garbage_at = Some(self.submits + after.max(1));
        self.garbage_sent += 1;
        if let Some(kind) = kind.and_then(|at| kinds.get(at)).copied() {
            let sequence = self.next_sequence();
            crate::smsc::garbage::write(kind, sequence, &mut self.out);
            ledger.counts.garbage += 1;
        }
    }

    fn recorded(
        &self,
        pdu: &SubmitSm,
        anatomy: &Anatomy<'_>,
        status: CommandStatus,
        id: Option<u64>,
        now: Moment,
    ) -> RecordedMessage {
        RecordedMessage {
            at_ms: now.ms,
            bind: self.link.number,
            source: pdu.source.clone(),
            destination: pdu.destination.clone(),
            data_coding: pdu.data_coding,
            part: anatomy.part,
            text: anatomy.text.into(),
            status,
            id,
        }
    }
}
