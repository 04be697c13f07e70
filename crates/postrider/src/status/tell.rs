//! Telling a message's story, to people and to programs.

use crate::when::exact as time;
use engine::ReasonView;
use engine::reason;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, Write};
use store::{AccountId, CarrierNo, MessageView, TimelineEntry, TimelineKind};

/// One message and what happened to it.
pub(super) struct Story {
    pub(super) message: MessageView,
    pub(super) timeline: Vec<TimelineEntry>,
}

/// The names that numbers stand for.
pub(super) struct Telling {
    pub(super) accounts: HashMap<AccountId, String>,
    pub(super) carriers: HashMap<CarrierNo, String>,
}

impl Telling {
    /// Lines for people: one message after the other, one line for each thing that happened.
    pub(super) fn lines(&self, stories: &[Story], out: &mut impl Write) -> io::Result<()> {
        if stories.is_empty() {
            return writeln!(out, "no such message");
        }
        for Story { message, timeline } in stories {
            let batch = &message.batch;
            writeln!(
                out,
                "message {}  to {}  {}",
                message.id, message.written, message.state
            )?;
            writeln!(
                out,
                "  account {}, {}, template {}, {} segments, {} attempts{}",
                self.account(batch.account),
                batch.class,
                batch.template,
                message.segments,
                message.attempts,
                if message.error.is_empty() {
                    String::new()
                } else {
                    format!(", error {}", message.error)
                },
            )?;
            if let Some(reason) = ReasonView::of(message) {
                writeln!(
                    out,
                    "  reason {} {}: {}",
                    reason.code, reason.name, reason.message
                )?;
            }
            if let Some(end) = batch.expires_at.filter(|_| !message.state.is_final()) {
                writeln!(out, "  expires {} if it is not sent by then", time(end))?;
            }
            for entry in timeline {
                writeln!(out, "  {}  {}", time(entry.at), self.sentence(&entry.kind))?;
            }
        }
        Ok(())
    }

    /// The same as one JSON document.
    pub(super) fn json(&self, stories: &[Story]) -> serde_json::Result<String> {
        let messages: Vec<Value> = stories.iter().map(|story| self.json_of(story)).collect();
        serde_json::to_string_pretty(&json!({ "messages": messages }))
    }

    fn json_of(&self, Story { message, timeline }: &Story) -> Value {
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
        json!({
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
            "changed_at": time(message.changed_at),
            "expires_at": batch.expires_at.map(time),
            "timeline": timeline,
        })
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
    use sms::state::MessageState;
    use std::sync::Arc;
    use store::{BatchView, Dialect, MessageId, UnixMs};

    fn story() -> Story {
        let id = MessageId::first_at(1_795_000_000_000);
        let batch = BatchView {
            id,
            session: id,
            count: 1,
            account: AccountId(1),
            dialect: Dialect::UspeedoRest,
            user: "".into(),
            series: store::SeriesNo::default(),
            class: Class::Otp,
            kind: Kind::Text,
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
        }
    }

    #[test]
    fn a_story_names_times_and_carriers() {
        let mut out = Vec::new();
        telling().lines(&[story()], &mut out).unwrap();
        let told = String::from_utf8(out).unwrap();
        let expected = [
            "to +447700900123  delivered",
            "account acme, otp, template 1001, 1 segments, 1 attempts",
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
    fn the_json_story_is_complete_and_has_no_text_of_the_message() {
        let told = telling().json(&[story()]).unwrap();
        assert!(!told.contains("secret text"));
        let value: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(value["messages"][0]["state"], "delivered");
        assert_eq!(value["messages"][0]["timeline"][2]["carrier_ids"][0], "a7");
        assert_eq!(value["messages"][0]["timeline"].as_array().map(Vec::len), Some(4));
    }
}
