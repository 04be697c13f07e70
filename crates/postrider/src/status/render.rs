//! Renders the timeline of a message as text and as JSON.

use crate::carrier;
use crate::table::{counted, sanitize_for_terminal};
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

/// A message and its timeline.
pub(super) struct MessageTimeline {
    pub(super) message: MessageView,
    pub(super) timeline: Vec<TimelineEntry>,
}

impl MessageTimeline {
    /// Whether it is queued for a carrier.
    pub(super) fn waits(&self) -> bool {
        self.message.state == MessageState::Queued
    }

    /// Whether it may still be submitted, or again. A message in doubt is not, and does not expire.
    fn may_be_sent(&self) -> bool {
        matches!(self.message.state, MessageState::Queued | MessageState::InFlight)
    }

    /// The carrier that it is queued for, and when it is due.
    fn awaited(&self) -> (CarrierNo, Option<UnixMs>) {
        let requeued = self.timeline.iter().rev().find_map(|entry| match entry.kind {
            TimelineKind::Requeued { carrier, due } => Some((carrier, Some(due))),
            _ => None,
        });
        requeued.unwrap_or((self.message.carrier, self.message.batch.due))
    }

    /// The text that is sent.
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

/// Renders timelines; has the names of accounts and carriers.
pub(super) struct TimelineRenderer {
    pub(super) accounts: HashMap<AccountId, String>,
    pub(super) carriers: HashMap<CarrierNo, String>,
    /// The states of carriers, when a node returns them.
    pub(super) statuses: Option<Vec<CarrierStatus>>,
    /// Whether texts are shown.
    pub(super) text: bool,
}

impl TimelineRenderer {
    /// The text form: for each message a block with a line for each event.
    pub(super) fn lines(&self, timelines: &[MessageTimeline], out: &mut impl Write) -> io::Result<()> {
        if timelines.is_empty() {
            return writeln!(out, "no such message");
        }
        for message_timeline in timelines {
            let MessageTimeline { message, timeline } = message_timeline;
            let batch = &message.batch;
            writeln!(
                out,
                "message {}  to {}  {}",
                message.id,
                sanitize_for_terminal(&message.written),
                message.state
            )?;
            writeln!(
                out,
                "  account {}, {}, template {}, {}, {}{}",
                sanitize_for_terminal(&self.account(batch.account)),
                batch.class,
                batch.template,
                counted(message.segments, "segment"),
                counted(message.attempts, "attempt"),
                if message.error.is_empty() {
                    String::new()
                } else {
                    format!(", error {}", sanitize_for_terminal(&message.error))
                },
            )?;
            if let Some(sender) = &batch.sender {
                writeln!(out, "  sender {}", sanitize_for_terminal(sender))?;
            }
            if self.text {
                writeln!(out, "  text {}", sanitize_for_terminal(&message_timeline.text()))?;
            }
            if message_timeline.waits() {
                writeln!(out, "  {}", self.waiting(message_timeline))?;
            }
            if let Some(reason) = ReasonView::of(message) {
                writeln!(
                    out,
                    "  reason {} {}: {}",
                    reason.code,
                    reason.name,
                    sanitize_for_terminal(&reason.message)
                )?;
            }
            if let Some(end) = batch.expires_at.filter(|_| message_timeline.may_be_sent()) {
                writeln!(out, "  expires {} if it is not sent by then", time(end))?;
            }
            for entry in timeline {
                writeln!(
                    out,
                    "  {}  {}",
                    time(entry.at),
                    sanitize_for_terminal(&self.sentence(&entry.kind))
                )?;
            }
        }
        Ok(())
    }

    /// The same as one JSON document.
    pub(super) fn json(&self, timelines: &[MessageTimeline]) -> serde_json::Result<String> {
        let messages: Vec<Value> = timelines
            .iter()
            .map(|message_timeline| self.json_of(message_timeline))
            .collect();
        serde_json::to_string_pretty(&json!({ "messages": messages }))
    }

    /// What a queued message waits for: `waits for north, due now: down since …`.
    fn waiting(&self, message_timeline: &MessageTimeline) -> String {
        let (carrier, due) = message_timeline.awaited();
        let mut words = format!("waits for {}", sanitize_for_terminal(&self.carrier(carrier)));
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
                sanitize_for_terminal(&status.name),
                carrier::in_words(status, time)
            ),
            None => words,
        }
    }

    fn json_waiting(&self, message_timeline: &MessageTimeline) -> Value {
        if !message_timeline.waits() {
            return Value::Null;
        }
        let (no, due) = message_timeline.awaited();
        let status = self.statuses.iter().flatten().find(|status| status.no == no);
        json!({
            "carrier": self.carrier(no),
            "due": due.map(time),
            "carrier_status": status.map(carrier::document),
        })
    }

    fn json_of(&self, message_timeline: &MessageTimeline) -> Value {
        let MessageTimeline { message, timeline } = message_timeline;
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
        let mut document = json!({
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
            "waiting": self.json_waiting(message_timeline),
            "changed_at": time(message.changed_at),
            "expires_at": batch.expires_at.map(time),
            "timeline": timeline,
        });
        if let Some(members) = document.as_object_mut().filter(|_| self.text) {
            members.insert("text".to_owned(), message_timeline.text().into());
        }
        document
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
                format!(
                    "attempt {no}: submitted to {}, bind {bind}",
                    self.carrier(*carrier)
                )
            }
            TimelineKind::Answered {
                carrier,
                status: 0,
                carrier_ids,
            } => {
                format!("{} accepted it{}", self.carrier(*carrier), ids(carrier_ids))
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
            TimelineKind::Unanswered { carrier } => format!("{} did not answer", self.carrier(*carrier)),
            TimelineKind::FailedOver { from, to } => {
                format!("failover from {} to {}", self.carrier(*from), self.carrier(*to))
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
                "the request id was reused with other content, {}; the repeated request was not sent",
                if *times == 1 {
                    "once".to_owned()
                } else {
                    format!("{times} times, the last time here")
                }
            ),
            TimelineKind::State(state) => state.to_string(),
            TimelineKind::Expired { carrier, in_doubt } => {
                let carrier = self.carrier(*carrier);
                let end = format!("its time to live ended while it was queued for {carrier}");
                if *in_doubt {
                    format!("unknown: {end} after an attempt without an answer")
                } else {
                    format!("expired: {end}; it was not sent")
                }
            }
            _ => "an event unknown to this release".to_owned(),
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

    fn message_timeline() -> MessageTimeline {
        let id = MessageId::first_at(1_795_000_000_000);
        let batch = BatchView {
            accepted_at: 1_795_000_000_000,
            id,
            session: id,
            count: 1,
            account: AccountId(1),
            dialect: Dialect::UspeedoRest,
            user: "".into(),
            dimensions: store::DimensionsNo::default(),
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
        MessageTimeline { message, timeline }
    }

    fn renderer() -> TimelineRenderer {
        TimelineRenderer {
            accounts: [(AccountId(1), "acme".to_owned())].into(),
            carriers: [(CarrierNo(1), "north".to_owned())].into(),
            statuses: None,
            text: false,
        }
    }

    /// A carrier chooses its message ids and error codes: they must neither add a line nor control the terminal.
    #[test]
    fn what_a_carrier_writes_stays_in_its_line() {
        const HOSTILE: &str = "A\u{1b}[31m\r\n2026 ERROR fake\u{202e}\u{2066}\u{9b}";
        let mut message_timeline = message_timeline();
        message_timeline.message.error = HOSTILE.into();
        message_timeline.message.written = HOSTILE.into();
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
        message_timeline.timeline.extend(kinds.map(|kind| TimelineEntry {
            at: 1_795_000_003_000,
            kind,
        }));
        let renderer = TimelineRenderer {
            accounts: HashMap::from([(AccountId(1), HOSTILE.to_owned())]),
            carriers: HashMap::from([(CarrierNo(1), HOSTILE.to_owned())]),
            statuses: None,
            text: true,
        };
        let (mut out, lines) = (Vec::new(), message_timeline.timeline.len());
        renderer.lines(&[message_timeline], &mut out).unwrap();
        let printed = String::from_utf8(out).unwrap();
        assert!(
            !printed.contains(|c| c != '\n' && sms::visible::is_display_control(c)),
            "{printed:?}"
        );
        assert!(!printed.lines().any(|line| line.starts_with("2026")), "{printed}");
        assert!(printed.lines().count() <= lines + 5, "{printed}");
    }

    #[test]
    fn a_timeline_has_times_and_carriers() {
        let mut out = Vec::new();
        renderer().lines(&[message_timeline()], &mut out).unwrap();
        let output = String::from_utf8(out).unwrap();
        let expected = [
            "to +447700900123  delivered",
            "account acme, otp, template 1001, 1 segment, 1 attempt",
            "2026-11-18T11:06:40.000Z  accepted",
            "2026-11-18T11:06:40.005Z  attempt 1: submitted to north, bind 0",
            "2026-11-18T11:06:40.009Z  north accepted it as a7",
            "2026-11-18T11:06:41.500Z  receipt from 9 (removed), segment 1: delivered, error 000",
        ];
        for line in expected {
            assert!(output.contains(line), "{line:?} is not in:\n{output}");
        }
    }

    #[test]
    fn only_what_may_still_be_sent_is_said_to_expire() {
        for state in MessageState::ALL {
            let mut message_timeline = message_timeline();
            message_timeline.message.state = state;
            let batch = BatchView {
                accepted_at: 1_795_000_000_000,
                expires_at: Some(1_795_000_600_000),
                ..message_timeline.message.batch.as_ref().clone()
            };
            message_timeline.message.batch = Arc::new(batch);
            let mut out = Vec::new();
            renderer().lines(&[message_timeline], &mut out).unwrap();
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
                "expired: its time to live ended while it was queued for north; it was not sent",
            ),
            (
                true,
                "unknown: its time to live ended while it was queued for north after an attempt without an answer",
            ),
        ] {
            let kind = TimelineKind::Expired {
                carrier: CarrierNo(1),
                in_doubt,
            };
            assert_eq!(renderer().sentence(&kind), expected);
            let entry = json!({ "what": "expired", "carrier": "north", "in_doubt": in_doubt });
            assert_eq!(renderer().entry(&kind), entry);
        }
    }

    #[test]
    fn a_queued_message_shows_its_carrier_and_the_text_only_on_request() {
        let mut waiting = message_timeline();
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
        let renderer = TimelineRenderer {
            statuses: Some(vec![down]),
            text: true,
            ..renderer()
        };
        let mut out = Vec::new();
        renderer.lines(std::slice::from_ref(&waiting), &mut out).unwrap();
        let output = String::from_utf8(out).unwrap();
        let line = "waits for north, due 2096-10-02T07:06:40.000Z; north down since 2026-11-18T11:06:40.000Z; \
                    next try 2026-11-18T11:06:45.000Z";
        assert!(
            output.contains(line) && output.contains("text secret text"),
            "{output}"
        );
        let value: Value = serde_json::from_str(&renderer.json(&[waiting]).unwrap()).unwrap();
        let message = &value["messages"][0];
        assert_eq!(message["waiting"]["carrier_status"]["state"], "down");
        assert_eq!(message["text"], "secret text");
    }

    #[test]
    fn the_json_timeline_is_complete_and_has_no_text_of_the_message() {
        let output = renderer().json(&[message_timeline()]).unwrap();
        assert!(!output.contains("secret text"));
        let value: Value = serde_json::from_str(&output).unwrap();
        assert_eq!(value["messages"][0]["state"], "delivered");
        assert_eq!(value["messages"][0]["timeline"][2]["carrier_ids"][0], "a7");
        assert_eq!(value["messages"][0]["timeline"].as_array().map(Vec::len), Some(4));
    }
}
