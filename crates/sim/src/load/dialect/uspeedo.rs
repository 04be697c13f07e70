//! uSpeedo: `SendBatchUSMSMessage`, over REST v1 (HTTP Basic) and as an Action (signed headers).

use std::borrow::Cow;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use sha1::{Digest, Sha1};

use super::{Answer, Shot, basic, is_number, write_request};
use crate::load::demo::{Demo, Template};

const SENDER: &str = "uSpeedo";
const ACTION: &str = "SendBatchUSMSMessage";

/// "Server error": nothing is decided.
pub(super) const UNDECIDED: [u32; 1] = [215_400];

#[derive(Clone, Debug)]
pub(in crate::load) struct Speaker {
    access: Access,
    template: String,
}

#[derive(Clone)]
enum Access {
    Rest { headers: String },
    Action { key_id: String, secret: String },
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rest { .. } => "Rest",
            Self::Action { .. } => "Action",
        })
    }
}

impl Speaker {
    pub(super) fn rest(demo: &Demo, template: &Template) -> Self {
        let credential = basic(&demo.uspeedo.access_key_id, &demo.uspeedo.access_key_secret);
        let headers = format!("Authorization: Basic {credential}\r\nContent-Type: application/json\r\n");
        Self {
            access: Access::Rest { headers },
            template: template.ut_id.clone(),
        }
    }

    pub(super) fn action(demo: &Demo, template: &Template) -> Self {
        let key_id = demo.uspeedo.access_key_id.clone();
        let secret = demo.uspeedo.access_key_secret.clone();
        Self {
            access: Access::Action { key_id, secret },
            template: template.ut_id.clone(),
        }
    }

    pub(super) fn write(&self, shot: &Shot<'_>, body: &mut Vec<u8>, out: &mut Vec<u8>) {
        let action = matches!(self.access, Access::Action { .. });
        self.write_body(shot, action, body);
        let once = shot
            .request_id
            .map_or(String::new(), |id| format!("Idempotency-Key: {id}\r\n"));
        match &self.access {
            Access::Rest { headers } => {
                write_request(
                    "/api/v1/usms/SendBatchUSMSMessage",
                    &format!("{headers}{once}"),
                    body,
                    out,
                );
            }
            Access::Action { key_id, secret } => {
                let signature = self.signature(shot, secret);
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default()
                    .as_secs();
                let headers = format!(
                    "X-Access-Key-Id: {key_id}\r\nX-Signature: {signature}\r\nX-Timestamp: {now}\r\n\
                     X-Nonce: n{}\r\nContent-Type: application/json\r\n{once}",
                    shot.first
                );
                write_request("/api", &headers, body, out);
            }
        }
    }

    fn write_body(&self, shot: &Shot<'_>, action: bool, body: &mut Vec<u8>) {
        let parameters: Vec<String> = shot
            .values()
            .into_iter()
            .map(|(_, value)| format!("\"{value}\""))
            .collect();
        let parameters = parameters.join(",");
        body.push(b'{');
        // Writing into a vector cannot fail; nothing here needs escaping.
        if action {
            let _ = write!(body, "\"Action\":\"{ACTION}\",");
        }
        let template = &self.template;
        let _ = write!(
            body,
            "\"TaskContent\":[{{\"TemplateId\":\"{template}\",\"SenderId\":\"{SENDER}\",\"Target\":["
        );
        for (place, number) in shot.numbers().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let _ = write!(
                body,
                "{comma}{{\"Phone\":\"+{number}\",\"TemplateParams\":[{parameters}]}}"
            );
        }
        body.extend(b"]}]}");
    }

    /// SHA-1 over names and values in the order of the names, and the secret.
    fn signature(&self, shot: &Shot<'_>, secret: &str) -> String {
        let values: String = shot.values().into_iter().map(|(_, value)| value).collect();
        let mut digest = Sha1::new();
        digest.update(format!("Action{ACTION}TaskContentSenderId{SENDER}Target"));
        for number in shot.numbers() {
            digest.update(format!("Phone+{number}TemplateParams{values}"));
        }
        digest.update(format!("TemplateId{}{secret}", self.template));
        digest
            .finalize()
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sent<'a> {
    ret_code: u32,
    #[serde(borrow, default)]
    session_no: Session<'a>,
    #[serde(borrow, default)]
    failed_target_phones: Vec<Failed<'a>>,
    #[serde(borrow, default)]
    fail_content: Vec<FailedContent<'a>>,
}

/// One session a task, or one for all.
#[derive(Deserialize)]
#[serde(untagged)]
enum Session<'a> {
    #[serde(borrow)]
    One(Cow<'a, str>),
    Many(Vec<String>),
}

impl Default for Session<'_> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FailedContent<'a> {
    #[serde(borrow, default)]
    target: Vec<Failed<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failed<'a> {
    #[serde(borrow)]
    phone: Cow<'a, str>,
}

/// Business answers are HTTP 200 with a code inside; `undecided` are those that decide nothing.
pub(super) fn read(shot: &Shot<'_>, status: u16, body: &[u8], undecided: &[u32]) -> Answer {
    let sent = match serde_json::from_slice::<Sent<'_>>(body) {
        Ok(sent) => sent,
        Err(_) if status >= 429 => return Answer::undecided(status, body),
        Err(_) => return Answer::refused(status, body),
    };
    match sent.ret_code {
        0 => {
            let reference = match &sent.session_no {
                Session::One(session) => session.as_ref(),
                Session::Many(sessions) => sessions.first().map_or("", String::as_str),
            };
            if reference.is_empty() {
                return Answer::refused(status, body);
            }
            let of_tasks = sent.fail_content.iter().flat_map(|content| &content.target);
            let failed = sent.failed_target_phones.iter().chain(of_tasks);
            let mut refused: Vec<u64> = failed
                .filter_map(|failed| place_of(shot, &failed.phone))
                .collect();
            refused.sort_unstable();
            Answer::Accepted {
                reference: reference.into(),
                refused,
            }
        }
        code if undecided.contains(&code) => Answer::undecided(status, body),
        _ => Answer::refused(status, body),
    }
}

fn place_of(shot: &Shot<'_>, phone: &str) -> Option<u64> {
    shot.numbers()
        .position(|number| is_number(phone, number))
        .map(|place| place as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Text;

    const SHOT: Shot<'_> = Shot {
        first: 1,
        recipients: 2,
        request_id: Some("r-1"),
        text: Text::Notice,
    };

    fn speaker(access: Access) -> Speaker {
        Speaker {
            access,
            template: "UTA1".into(),
        }
    }

    #[test]
    fn a_request_is_written_as_documented() {
        let speaker = speaker(Access::Rest {
            headers: "A: b\r\n".into(),
        });
        let (mut body, mut out) = (Vec::new(), Vec::new());
        speaker.write(&SHOT, &mut body, &mut out);
        let expected = r#"{"TaskContent":[{"TemplateId":"UTA1","SenderId":"uSpeedo","Target":[{"Phone":"+991000000001","TemplateParams":["Ada","London"]},{"Phone":"+991000000002","TemplateParams":["Ada","London"]}]}]}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
        assert!(
            String::from_utf8(out)
                .unwrap()
                .contains("Idempotency-Key: r-1\r\n")
        );
    }

    /// The third vector of docs/dialects/uspeedo.md, with this module's sender and numbers in its place:
    /// computed over the canonical text by hand.
    #[test]
    fn an_action_is_signed_over_its_canonical_text() {
        let speaker = speaker(Access::Action {
            key_id: "id".into(),
            secret: "s3".into(),
        });
        let text = "ActionSendBatchUSMSMessageTaskContentSenderIduSpeedoTargetPhone+991000000001TemplateParamsAdaLondon\
                    Phone+991000000002TemplateParamsAdaLondonTemplateIdUTA1s3";
        let expected: String = Sha1::digest(text)
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        assert_eq!(speaker.signature(&SHOT, "s3"), expected);
    }

    #[test]
    fn answers_are_distinguished() {
        let rest = br#"{"RetCode":0,"Message":"success","SessionNo":["s1"],"FailedTargetPhones":[{"Phone":"+991000000002"}]}"#;
        assert_eq!(
            read(&SHOT, 200, rest, &UNDECIDED),
            Answer::Accepted {
                reference: "s1".into(),
                refused: vec![1]
            }
        );
        let action = br#"{"RetCode":0,"SessionNo":"s2","SuccessCount":2,"FailContent":[]}"#;
        assert_eq!(
            read(&SHOT, 200, action, &UNDECIDED),
            Answer::Accepted {
                reference: "s2".into(),
                refused: vec![]
            }
        );
        assert!(matches!(
            read(&SHOT, 200, br#"{"RetCode":215392}"#, &UNDECIDED),
            Answer::Refused { .. }
        ));
        assert!(matches!(
            read(&SHOT, 200, br#"{"RetCode":215400}"#, &UNDECIDED),
            Answer::Undecided { .. }
        ));
        assert!(matches!(
            read(&SHOT, 503, b"busy", &UNDECIDED),
            Answer::Undecided { .. }
        ));
    }
}
