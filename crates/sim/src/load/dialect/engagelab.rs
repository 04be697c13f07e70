//! EngageLab, generation A: `POST /v1/send`.

use std::borrow::Cow;
use std::io::Write;

use serde::Deserialize;

use super::{Answer, Shot, basic, match_ids, write_request};
use crate::load::demo::{Demo, Template};

#[derive(Clone, Debug)]
pub(in crate::load) struct Speaker {
    headers: String,
    template: u64,
}

impl Speaker {
    pub(super) fn new(demo: &Demo, template: &Template) -> Self {
        let credential = basic(&demo.engagelab.sms_user, &demo.engagelab.sms_key);
        let headers =
            format!("Authorization: Basic {credential}\r\nContent-Type: application/json;charset=utf-8\r\n");
        Self {
            headers,
            template: template.number,
        }
    }

    pub(super) fn write(&self, shot: &Shot<'_>, body: &mut Vec<u8>, out: &mut Vec<u8>) {
        // Writing into a vector cannot fail; neither names nor values need escaping.
        body.extend(b"{\"to\":[");
        for (place, number) in shot.numbers().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let _ = write!(body, "{comma}\"+{number}\"");
        }
        let _ = write!(body, "],\"body\":{{\"template_id\":{}", self.template);
        for (place, (name, value)) in shot.values().into_iter().enumerate() {
            let before = if place == 0 { ",\"vars\":{" } else { "," };
            let _ = write!(body, "{before}\"{name}\":\"{value}\"");
        }
        body.extend(if shot.values().is_empty() {
            &b"}"[..]
        } else {
            b"}}"
        });
        if let Some(id) = shot.request_id {
            let _ = write!(body, ",\"request_id\":\"{id}\"");
        }
        body.push(b'}');
        write_request("/v1/send", &self.headers, body, out);
    }
}

#[derive(Deserialize)]
struct Sent<'a> {
    #[serde(borrow)]
    sms_ids: Vec<Cow<'a, str>>,
}

/// Success and partial success are HTTP 200, refusals 4xx; 429 and 5xx decide nothing.
pub(super) fn read(shot: &Shot<'_>, status: u16, body: &[u8]) -> Answer {
    match status {
        200 => match serde_json::from_slice::<Sent<'_>>(body) {
            Ok(sent) => {
                let (reference, refused) = match_ids(shot, sent.sms_ids.iter().map(AsRef::as_ref));
                Answer::Accepted { reference, refused }
            }
            Err(_) => Answer::refused(status, body),
        },
        429 | 500.. => Answer::undecided(status, body),
        _ => Answer::refused(status, body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Text;

    fn shot(text: Text, recipients: u64) -> Shot<'static> {
        Shot {
            first: 1,
            recipients,
            request_id: Some("r-1"),
            text,
        }
    }

    #[test]
    fn a_request_is_written_as_documented() {
        let speaker = Speaker {
            headers: "A: b\r\n".into(),
            template: 7,
        };
        let (mut body, mut out) = (Vec::new(), Vec::new());
        speaker.write(&shot(Text::Code, 2), &mut body, &mut out);
        let expected = r#"{"to":["+991000000001","+991000000002"],"body":{"template_id":7,"vars":{"code":"000001"}},"request_id":"r-1"}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
        assert!(
            String::from_utf8(out)
                .unwrap()
                .ends_with(&format!("Content-Length: {}\r\n\r\n{expected}", expected.len()))
        );
        let mut body = Vec::new();
        speaker.write(&shot(Text::Plain, 1), &mut body, &mut Vec::new());
        let expected = r#"{"to":["+991000000001"],"body":{"template_id":7},"request_id":"r-1"}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn answers_are_distinguished() {
        let shot = shot(Text::Plain, 2);
        let partly = br#"{"code":41031,"sms_ids":["p$+991000000002"],"failed_count":1}"#;
        assert_eq!(
            read(&shot, 200, partly),
            Answer::Accepted {
                reference: "p".into(),
                refused: vec![0]
            }
        );
        assert!(matches!(
            read(&shot, 400, br#"{"code":32002}"#),
            Answer::Refused { .. }
        ));
        assert!(matches!(read(&shot, 503, b""), Answer::Undecided { .. }));
    }
}
