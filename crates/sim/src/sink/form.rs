//! What a call says: the general form of webhooks (Standard Webhooks 1.0.0, standardwebhooks.com). The header
//! `webhook-id` names the event; the body is `{"type", "timestamp", "data"}`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::CountBy;
use crate::seed::hash;
use crate::smsc::key_of_number;

/// The event of a call.
#[derive(Debug, PartialEq)]
pub(super) struct Notice<'a> {
    /// Its type, such as `message.delivered`.
    pub(super) kind: Cow<'a, str>,
    pub(super) subject: Subject<'a>,
}

/// What it is about.
#[derive(Debug, PartialEq)]
pub(super) enum Subject<'a> {
    /// A message that came to a state.
    Message { key: u64, state: Cow<'a, str> },
    /// An inbound message.
    Inbound(InboundSms<'a>),
    /// Something else.
    Other,
}

/// An inbound message.
#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct InboundSms<'a> {
    #[serde(borrow)]
    pub(super) from: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) to: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) text: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    to: Cow<'a, str>,
    #[serde(borrow)]
    state: Cow<'a, str>,
}

impl<'a> Notice<'a> {
    /// Reads a body; `None` if it is not of the general form.
    pub(super) fn read(body: &'a [u8], count_by: CountBy) -> Option<Self> {
        let Body { kind, data } = serde_json::from_slice(body).ok()?;
        let subject = match kind.as_ref() {
            "message.received" => Subject::Inbound(serde_json::from_str(data.get()).ok()?),
            // One of many messages: nothing has happened to them yet.
            "message.accepted" => Subject::Other,
            kind if kind.starts_with("message.") => {
                let Message { id, to, state } = serde_json::from_str(data.get()).ok()?;
                let key = match count_by {
                    CountBy::Message => hash(id.as_bytes()),
                    CountBy::Recipient => key_of_number(to.as_bytes()),
                };
                Subject::Message { key, state }
            }
            _ => Subject::Other,
        };
        Some(Self { kind, subject })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Option<Notice<'_>> {
        Notice::read(body.as_bytes(), CountBy::Recipient)
    }

    #[test]
    fn messages_are_known_by_their_recipient_or_their_id() {
        let body = r#"{"type":"message.failed","timestamp":"2026-11-24T00:00:00.000Z","data":
            {"id":"1_2_3_4_abc$+991000000007","to":"+991000000007","state":"undelivered","error":"034","custom":{"a":[1]}}}"#;
        let of = |count_by| match Notice::read(body.as_bytes(), count_by).unwrap().subject {
            Subject::Message { key, state } => (key, state.into_owned()),
            other => panic!("{other:?}"),
        };
        assert_eq!(of(CountBy::Recipient), (991_000_000_007, "undelivered".into()));
        assert_eq!(
            of(CountBy::Message),
            (hash(b"1_2_3_4_abc$+991000000007"), "undelivered".into())
        );
    }

    #[test]
    fn an_inbound_message_is_read_and_other_events_are_not_parsed() {
        let inbound_sms = r#"{"type":"message.received","timestamp":"x","data":{"id":"7","from":"447700900123","to":"10690","text":"a\n\"b\""}}"#;
        assert_eq!(
            read(inbound_sms).unwrap().subject,
            Subject::Inbound(InboundSms {
                from: "447700900123".into(),
                to: "10690".into(),
                text: "a\n\"b\"".into()
            })
        );
        for other in [
            r#"{"type":"endpoint.probe","timestamp":"x","data":{}}"#,
            r#"{"type":"signature.reviewed","timestamp":"x","data":{"id":5}}"#,
            r#"{"type":"message.accepted","timestamp":"x","data":{"messages":[]}}"#,
        ] {
            assert_eq!(read(other).unwrap().subject, Subject::Other, "{other}");
        }
    }

    #[test]
    fn a_body_of_another_form_is_rejected() {
        for wrong in [
            "",
            "[]",
            r#"{"type":"message.delivered"}"#,
            r#"{"type":"message.delivered","data":{"id":"x","to":"1"}}"#,
            r#"{"type":"message.received","data":{"from":"1"}}"#,
            r#"{"type":7,"data":{}}"#,
            "\u{0}\u{1}",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(body: Vec<u8>) {
            let _ = Notice::read(&body, CountBy::Message);
        }

        #[test]
        fn a_damaged_body_is_read_or_refused(at in 0_usize..150, octet: u8) {
            let body = r#"{"type":"message.delivered","timestamp":"2026-11-24T00:00:00.000Z","data":{"id":"1_2_3_4_abc$+1","to":"+991000000007","state":"delivered"}}"#;
            let mut body = body.as_bytes().to_vec();
            if let Some(damaged) = body.get_mut(at) {
                *damaged = octet;
            }
            let _ = Notice::read(&body, CountBy::Recipient);
        }

        #[test]
        fn a_text_reads_back_whatever_is_in_it(text: String) {
            let body = serde_json::json!({
                "type": "message.received", "timestamp": "", "data": { "from": "1", "to": "2", "text": text }
            });
            let body = body.to_string();
            let Some(Notice { subject: Subject::Inbound(inbound_sms), .. }) = Notice::read(body.as_bytes(), CountBy::Message)
            else {
                panic!("it is an inbound message")
            };
            prop_assert_eq!(inbound_sms.text, text);
        }
    }
}
