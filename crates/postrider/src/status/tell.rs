//! Telling a message's story, to people and to programs.

use crate::carrier;
use crate::table::{counted, harmless};
use crate::when::exact as time;
use engine::CarrierStatus;
use engine::ReasonView;
use engine::clock::{Clock, SystemClock};
use engine::reason;
use serde_json::{Value, json};
use sms::state::MessageState;
use sms::template::Template;
use std::collections::HashMap;
use std::io::{self, Write};
use store::{AccountId, CarrierNo, MessageView, TimelineEntry, TimelineKind, UnixMs};

/// One message and what happened to it.
pub(super) struct Story {
    pub(super) message: MessageView,
    pub(super) timeline: Vec<TimelineEntry>,
}

impl Story {
    /// Whether it still waits to be given to a carrier.
    pub(super) fn waits(&self) -> bool {
        self.message.state == MessageState::Queued
    }

    /// Whether it may still be given to a carrier, or again. What is held in doubt is not, and has no end.
    fn may_be_sent(&self) -> bool {
        matches!(self.message.state, MessageState::Queued | MessageState::InFlight)
    }

    /// The carrier that it waits for, and when it is due.
    fn awaited(&self) -> (CarrierNo, Option<UnixMs>) {
        let requeued = self.timeline.iter().rev().find_map(|entry| match entry.kind {
            TimelineKind::Requeued { carrier, due } => Some((carrier, Some(due))),
            _ => None,
        });
        requeued.unwrap_or((self.message.carrier, self.message.batch.due))
    }

    /// The text as it is sent.
    fn text(&self) -> String {
        let batch = &self.message.batch;
        let Some(params) = self.message.params.as_deref() else {
            return batch.text.to_string();
        };
        let values: Vec<Option<String>> = serde_json::from_str(params).unwrap_or_default();
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        Template::parse(&batch.text).render(&values)
    }
}

/// The names that numbers stand for, and what is told beside the story.
pub(super) struct Telling {
    pub(super) accounts: HashMap<AccountId, String>,
    pub(super) carriers: HashMap<CarrierNo, String>,
    /// How carriers are, when a node says so.
    pub(super) statuses: Option<Vec<CarrierStatus>>,
    /// Whether texts are told.
    pub(super) text: bool,
}

impl Telling {
    /// Lines for people: one message after the other, one line for each thing that happened.
    pub(super) fn lines(&self, stories: &[Story], out: &mut impl Write) -> io::Result<()> {
        if stories.is_empty() {
            return writeln!(out, "no such message");
        }
        for story in stories {
            let Story { message, timeline } = story;
            let batch = &message.batch;
            writeln!(
                out,
                "message {}  to {}  {}",
                message.id,
                harmless(&message.written),
                message.state
            )?;
            writeln!(
                out,
                "  account {}, {}, template {}, {}, {}{}",
                harmless(&self.account(batch.account)),
                batch.class,
                batch.template,
                counted(message.segments, "segment"),
                counted(message.attempts, "attempt"),
                if message.error.is_empty() {
                    String::new()
                } else {
                    format!(", error {}", harmless(&message.error))
                },
            )?;
            if let Some(sender) = &batch.sender {
                writeln!(out, "  sender {}", harmless(sender))?;
            }
            if self.text {
                writeln!(out, "  text {}", harmless(&story.text()))?;
            }
            if story.waits() {
                writeln!(out, "  {}", self.waiting(story))?;
            }
            if let Some(reason) = ReasonView::of(message) {
                writeln!(
                    out,
                    "  reason {} {}: {}",
                    reason.code,
                    reason.name,
                    harmless(&reason.message)
                )?;
            }
            if let Some(end) = batch.expires_at.filter(|_| story.may_be_sent()) {
                writeln!(out, "  expires {} if it is not sent by then", time(end))?;
            }
            for entry in timeline {
                writeln!(
                    out,
                    "  {}  {}",
                    time(entry.at),
                    harmless(&self.sentence(&entry.kind))
                )?;
            }
        }
        Ok(())
    }

    /// The same as one JSON document.
    pub(super) fn json(&self, stories: &[Story]) -> serde_json::Result<String> {
        let messages: Vec<Value> = stories.iter().map(|story| self.json_of(story)).collect();
        serde_json::to_string_pretty(&json!({ "messages": messages }))
    }

    /// For what a message waits: `waits for north, due now: down since …`.
    fn waiting(&self, story: &Story) -> String {
        let (carrier, due) = story.awaited();
        let mut words = format!("waits for {}", harmless(&self.carrier(carrier)));
        match due {
            Some(due) if due > SystemClock.now() => words = format!("{words}, due {}", time(due)),
            _ => words.push_str(", due now"),
        }
        let Some(statuses) = &self.statuses else {
            words.push_str("; no node serves the store");
            return words;
        };
        match statuses.iter().find(|status| status.no == carrier) {
            Some(status) => format!(
                "{words}; {} {}",
                harmless(&status.name),
                carrier::in_words(status, time)
            ),
            None => words,
        }
    }

    fn json_waiting(&self, story: &Story) -> Value {
        if !story.waits() {
            return Value::Null;
        }
        let (no, due) = story.awaited();
        let status = self.statuses.iter().flatten().find(|status| status.no == no);
        json!({
            "carrier": self.carrier(no),
            "due": due.map(time),
            "carrier_status": status.map(carrier::document),
        })
    }

    fn json_of(&self, story: &Story) -> Value {
        let Story { message, timeline } = story;
        let batch = &message.batch;
        let timeline: Vec<Value> = timeline
            .iter()
            .map(|entry| {
                let mut value = self.entry(&entry.kind);
                if let Some(object) = value.as_object_mut() {
                    object.insert("at".to_owned(), time(entry.at).into());
                }
                value
            })
            .collect();
        let mut told = json!({
            "id": message.id.to_string(),
            "to": &*message.written,
            "state": message.state.to_string(),
            "account": self.account(batch.account),
            "class": batch.class.to_string(),
            "template": batch.template,
            "segments": message.segments,
            "attempts": message.attempts,
            "carrier": self.carrier(message.carrier),
            "error": &*message.error,
            "reason": ReasonView::of(message),
            "sender": batch.sender,
            "due": batch.due.map(time),
            "waiting": self.json_waiting(story),
            "changed_at": time(message.changed_at),
            "expires_at": batch.expires_at.map(time),
            "timeline": timeline,
        });
        if let Some(members) = told.as_object_mut().filter(|_| self.text) {
            members.insert("text".to_owned(), story.text().into());
        }
        told
    }

    fn account(&self, id: AccountId) -> String {
        self.accounts
            .get(&id)
            .cloned()
            .unwrap_or_else(|| format!("{id} (removed)"))
    }

    fn carrier(&self, no: CarrierNo) -> String {
        self.carriers
            .get(&no)
            .cloned()
            .unwrap_or_else(|| format!("{no} (removed)"))
    }

    fn sentence(&self, kind: &TimelineKind) -> String {
        match kind {
            TimelineKind::Accepted => "accepted".to_owned(),
            TimelineKind::Attempt { no, carrier, bind } => {
                format!("attempt {no}: given to {}, bind {bind}", self.carrier(*carrier))
            }
            TimelineKind::Answered {
                carrier,
                status: 0,
                carrier_ids,
            } => {
                format!("{} took it{}", self.carrier(*carrier), ids(carrier_ids))
            }
            TimelineKind::Answered {
                carrier,
                status,
                carrier_ids,
            } => {
                format!(
                    "{} answered {}{}",
                    self.carrier(*carrier),
                    reason::described(*status),
                    ids(carrier_ids)
                )
            }
            TimelineKind::Unanswered { carrier } => format!("{} never answered", self.carrier(*carrier)),
            TimelineKind::FailedOver { from, to } => {
                format!(
                    "moved from {} to {}: fail-over",
                    self.carrier(*from),
                    self.carrier(*to)
                )
            }
            TimelineKind::Requeued { carrier, due } => {
                format!("waits for {} until {}", self.carrier(*carrier), time(*due))
            }
            TimelineKind::Receipt {
                carrier,
                segment,
                state,
                error,
            } => {
                let error = if error.is_empty() {
                    String::new()
                } else {
                    format!(", error {error}")
                };
                format!(
                    "receipt from {}, segment {segment}: {state}{error}",
                    self.carrier(*carrier)
                )
            }
            TimelineKind::RequestIdReused { times } => format!(
                "the request id was used again with other content, {}; nothing was sent for that",
                if *times == 1 {
                    "once".to_owned()
                } else {
                    format!("{times} times, this was the last")
                }
            ),
            TimelineKind::State(state) => state.to_string(),
            TimelineKind::Expired { carrier, in_doubt } => {
                let carrier = self.carrier(*carrier);
                let end = format!("its time to live ended while it waited for {carrier}");
                if *in_doubt {
                    format!("unknown: {end} after an attempt without an answer")
                } else {
                    format!("expired: {end}; it is not sent")
                }
            }
            _ => "something this program does not know".to_owned(),
        }
    }

    fn entry(&self, kind: &TimelineKind) -> Value {
        match kind {
            TimelineKind::Accepted => json!({ "what": "accepted" }),
            TimelineKind::Attempt { no, carrier, bind } => {
                json!({ "what": "attempt", "no": no, "carrier": self.carrier(*carrier), "bind": bind })
            }
            TimelineKind::Answered {
                carrier,
                status,
                carrier_ids,
            } => json!({
                "what": "answered",
                "carrier": self.carrier(*carrier),
                "status": status,
                "status_name": reason::status_name(*status),
                "carrier_ids": carrier_ids,
            }),
            TimelineKind::Unanswered { carrier } => {
                json!({ "what": "unanswered", "carrier": self.carrier(*carrier) })
            }
            TimelineKind::FailedOver { from, to } => {
                json!({ "what": "failed_over", "from": self.carrier(*from), "to": self.carrier(*to) })
            }
            TimelineKind::Requeued { carrier, due } => {
                json!({ "what": "requeued", "carrier": self.carrier(*carrier), "due": time(*due) })
            }
            TimelineKind::Receipt {
                carrier,
                segment,
                state,
                error,
            } => json!({
                "what": "receipt",
                "carrier": self.carrier(*carrier),
                "segment": segment,
                "state": state.to_string(),
                "error": error,
            }),
            TimelineKind::RequestIdReused { times } => {
                json!({ "what": "request_id_reused", "times": times })
            }
            TimelineKind::State(state) => json!({ "what": "state", "state": state.to_string() }),
            TimelineKind::Expired { carrier, in_doubt } => {
                json!({ "what": "expired", "carrier": self.carrier(*carrier), "in_doubt": in_doubt })
            }
            _ => json!({ "what": "unknown" }),
        }
    }
}

fn ids(carrier_ids: &[Box<str>]) -> String {
    if carrier_ids.is_empty() {
        String::new()
    } else {
        format!(" as {}", carrier_ids.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sms::class::{Class, Kind};
    use sms::phone::Msisdn;
    use std::sync::Arc;
    use store::{BatchView, Dialect, MessageId};

    fn story() -> Story {
        let id = MessageId::first_at(1_795_000_000_000);
        let batch = BatchView {
            accepted_at: 1_795_000_000_000,
            id,
            session: id,
            count: 1,
            account: AccountId(1),
            dialect: Dialect::UspeedoRest,
            user: "".into(),
            series: store::SeriesNo::default(),
            class: Class::Otp,
            kind: Kind::Text,
            message_type: None,
            template: 1001,
            text: Arc::from("secret text"),
            sender: None,
            label: 0,
            custom: None,
            due: None,
            expires_at: None,
        };
        let message = MessageView {
            id,
            batch: Arc::new(batch),
            msisdn: Msisdn::from_digits("447700900123").unwrap(),
            written: "+447700900123".into(),
            params: None,
            extra: None,
            segments: 1,
            state: MessageState::Delivered,
            carrier: CarrierNo(1),
            attempts: 1,
            submitted_at: None,
            changed_at: 1_795_000_002_000,
            status: 0,
            error: "".into(),
            cause: None,
            by_receipt: false,
        };
        let at = |ms: UnixMs, kind| TimelineEntry {
            at: 1_795_000_000_000 + ms,
            kind,
        };
        let timeline = vec![
            at(0, TimelineKind::Accepted),
            at(
                5,
                TimelineKind::Attempt {
                    no: 1,
                    carrier: CarrierNo(1),
                    bind: 0,
                },
            ),
            at(
                9,
                TimelineKind::Answered {
                    carrier: CarrierNo(1),
                    status: 0,
                    carrier_ids: vec!["a7".into()],
                },
            ),
            at(
                1500,
                TimelineKind::Receipt {
                    carrier: CarrierNo(9),
                    segment: 1,
                    state: MessageState::Delivered,
                    error: "000".into(),
                },
            ),
        ];
        Story { message, timeline }
    }

    fn telling() -> Telling {
        Telling {
            accounts: [(AccountId(1), "acme".to_owned())].into(),
            carriers: [(CarrierNo(1), "north".to_owned())].into(),
            statuses: None,
            text: false,
        }
    }

    /// A carrier chooses its message ids and error codes: none of them makes a line of its own or is obeyed.
    #[test]
    fn what_a_carrier_writes_stays_in_its_line() {
        const HOSTILE: &str = "A\u{1b}[31m\r\n2026 ERROR fake\u{202e}\u{2066}\u{9b}";
        let mut story = story();
        story.message.error = HOSTILE.into();
        story.message.written = HOSTILE.into();
        let kinds = [
            TimelineKind::Answered {
                carrier: CarrierNo(1),
                status: 0,
                carrier_ids: vec![HOSTILE.into()],
            },
            TimelineKind::Receipt {
                carrier: CarrierNo(1),
                segment: 1,
                state: MessageState::Undelivered,
                error: HOSTILE.into(),
            },
        ];
        story.timeline.extend(kinds.map(|kind| TimelineEntry {
            at: 1_795_000_003_000,
            kind,
        }));
        let telling = Telling {
            accounts: HashMap::from([(AccountId(1), HOSTILE.to_owned())]),
            carriers: HashMap::from([(CarrierNo(1), HOSTILE.to_owned())]),
            statuses: None,
            text: true,
        };
        let (mut out, lines) = (Vec::new(), story.timeline.len());
        telling.lines(&[story], &mut out).unwrap();
        let printed = String::from_utf8(out).unwrap();
        assert!(
            !printed.contains(|c| c != '\n' && sms::visible::is_obeyed(c)),
            "{printed:?}"
        );
        assert!(!printed.lines().any(|line| line.starts_with("2026")), "{printed}");
        assert!(printed.lines().count() <= lines + 5, "{printed}");
    }

    #[test]
    fn a_story_names_times_and_carriers() {
        let mut out = Vec::new();
        telling().lines(&[story()], &mut out).unwrap();
        let told = String::from_utf8(out).unwrap();
        let expected = [
            "to +447700900123  delivered",
            "account acme, otp, template 1001, 1 segment, 1 attempt",
            "2026-11-18T11:06:40.000Z  accepted",
            "2026-11-18T11:06:40.005Z  attempt 1: given to north, bind 0",
            "2026-11-18T11:06:40.009Z  north took it as a7",
            "2026-11-18T11:06:41.500Z  receipt from 9 (removed), segment 1: delivered, error 000",
        ];
        for line in expected {
            assert!(told.contains(line), "{line:?} is not in:\n{told}");
        }
    }

    #[test]
    fn only_what_may_still_be_sent_is_said_to_expire() {
        for state in MessageState::ALL {
            let mut story = story();
            story.message.state = state;
            let batch = BatchView {
                accepted_at: 1_795_000_000_000,
                expires_at: Some(1_795_000_600_000),
                ..story.message.batch.as_ref().clone()
            };
            story.message.batch = Arc::new(batch);
            let mut out = Vec::new();
            telling().lines(&[story], &mut out).unwrap();
            let said = String::from_utf8(out).unwrap().contains("expires");
            let may_be_sent = matches!(state, MessageState::Queued | MessageState::InFlight);
            assert_eq!(said, may_be_sent, "{state}");
        }
    }

    #[test]
    fn an_expired_message_says_for_what_it_waited() {
        for (in_doubt, expected) in [
            (
                false,
                "expired: its time to live ended while it waited for north; it is not sent",
            ),
            (
                true,
                "unknown: its time to live ended while it waited for north after an attempt without an answer",
            ),
        ] {
            let kind = TimelineKind::Expired {
                carrier: CarrierNo(1),
                in_doubt,
            };
            assert_eq!(telling().sentence(&kind), expected);
            let entry = json!({ "what": "expired", "carrier": "north", "in_doubt": in_doubt });
            assert_eq!(telling().entry(&kind), entry);
        }
    }

    #[test]
    fn a_waiting_message_says_for_what_and_a_text_is_told_on_request() {
        let mut waiting = story();
        waiting.message.state = MessageState::Queued;
        waiting.timeline.truncate(3);
        let due = 4_000_000_000_000;
        waiting.timeline.push(TimelineEntry {
            at: 1_795_000_000_010,
            kind: TimelineKind::Requeued {
                carrier: CarrierNo(1),
                due,
            },
        });
        let down = CarrierStatus {
            no: CarrierNo(1),
            name: "north".into(),
            kind: "smpp".into(),
            state: engine::CarrierState::Down,
            since: 1_795_000_000_000,
            binds_up: 0,
            binds: 1,
            last_error: None,
            next_try: Some(1_795_000_005_000),
            queued: 1,
            window_used: 0,
            window_max: 10,
        };
        let telling = Telling {
            statuses: Some(vec![down]),
            text: true,
            ..telling()
        };
        let mut out = Vec::new();
        telling.lines(std::slice::from_ref(&waiting), &mut out).unwrap();
        let told = String::from_utf8(out).unwrap();
        let line = "waits for north, due 2096-10-02T07:06:40.000Z; north down since 2026-11-18T11:06:40.000Z; \
                    next try 2026-11-18T11:06:45.000Z";
        assert!(told.contains(line) && told.contains("text secret text"), "{told}");
        let value: Value = serde_json::from_str(&telling.json(&[waiting]).unwrap()).unwrap();
        let message = &value["messages"][0];
        assert_eq!(message["waiting"]["carrier_status"]["state"], "down");
        assert_eq!(message["text"], "secret text");
    }

    #[test]
    fn the_json_story_is_complete_and_has_no_text_of_the_message() {
        let told = telling().json(&[story()]).unwrap();
        assert!(!told.contains("secret text"));
        let value: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(value["messages"][0]["state"], "delivered");
        assert_eq!(value["messages"][0]["timeline"][2]["carrier_ids"][0], "a7");
        assert_eq!(value["messages"][0]["timeline"].as_array().map(Vec::len), Some(4));
    }
}
