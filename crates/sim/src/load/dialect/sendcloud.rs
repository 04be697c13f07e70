//! SendCloud: `POST /smsapi/send`, a signed form.

use std::borrow::Cow;
use std::fmt::Write;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Answer, Shot, match_ids, write_request};
use crate::load::demo::{Demo, Template};

/// To numbers abroad.
const MSG_TYPE: &str = "2";

#[derive(Clone)]
pub(in crate::load) struct Speaker {
    user: String,
    key: String,
    template: u64,
}

impl std::fmt::Debug for Speaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speaker")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Speaker {
    pub(super) fn new(demo: &Demo, template: &Template) -> Self {
        let (user, key) = (demo.sendcloud.sms_user.clone(), demo.sendcloud.sms_key.clone());
        Self {
            user,
            key,
            template: template.number,
        }
    }

    pub(super) fn write(&self, shot: &Shot<'_>, body: &mut Vec<u8>, out: &mut Vec<u8>) {
        let (template, phones, vars) = (self.template.to_string(), phones(shot), vars(shot));
        // In the order of the names, as the signature wants them.
        let mut parameters = vec![("msgType", MSG_TYPE), ("phone", phones.as_str())];
        parameters.extend(shot.request_id.map(|id| ("sendRequestId", id)));
        parameters.extend([("smsUser", self.user.as_str()), ("templateId", template.as_str())]);
        parameters.extend((!vars.is_empty()).then_some(("vars", vars.as_str())));
        write_form(&parameters, &self.key, body);
        write_request(
            "/smsapi/send",
            "Content-Type: application/x-www-form-urlencoded\r\n",
            body,
            out,
        );
    }
}

/// A signed form; parameters in the order of their names.
pub(in crate::load) fn write_form(sorted: &[(&str, &str)], key: &str, body: &mut Vec<u8>) {
    for (name, value) in sorted {
        body.extend(name.as_bytes());
        body.push(b'=');
        encode(value, body);
        body.push(b'&');
    }
    body.extend(b"signature=");
    body.extend(signature(sorted, key).as_bytes());
}

fn phones(shot: &Shot<'_>) -> String {
    let mut phones = String::with_capacity(14 * shot.recipients as usize);
    for number in shot.numbers() {
        // Writing into a string cannot fail.
        let _ = write!(phones, "+{number},");
    }
    phones.pop();
    phones
}

fn vars(shot: &Shot<'_>) -> String {
    let pairs: Vec<String> = shot
        .values()
        .into_iter()
        .map(|(name, value)| format!("\"%{name}%\":\"{value}\""))
        .collect();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", pairs.join(","))
    }
}

/// SHA-256 over key, parameters in the order of their names, and key.
fn signature(sorted: &[(&str, &str)], key: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(key);
    for (name, value) in sorted {
        for part in ["&", name, "=", value] {
            digest.update(part);
        }
    }
    digest.update("&");
    digest.update(key);
    digest
        .finalize()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect()
}

/// Percent-encoding of all but the unreserved characters (RFC 3986 §2.3).
pub(in crate::load) fn encode(value: &str, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    for octet in value.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~,".contains(&octet) {
            out.push(octet);
        } else {
            out.extend([b'%', digit(octet >> 4), digit(octet & 15)]);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    status_code: u32,
    #[serde(borrow, default)]
    info: Info<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Info<'a> {
    #[serde(borrow)]
    sms_ids: Vec<Cow<'a, str>>,
}

/// Business answers are HTTP 200 with a code inside: 200 all, 311 some, 400 a repeat, 501 nothing is decided.
pub(super) fn read(shot: &Shot<'_>, status: u16, body: &[u8]) -> Answer {
    let sent = match serde_json::from_slice::<Sent<'_>>(body) {
        Ok(sent) => sent,
        Err(_) if status >= 429 => return Answer::undecided(status, body),
        Err(_) => return Answer::refused(status, body),
    };
    match sent.status_code {
        200 | 311 => {
            let (reference, refused) = match_ids(shot, sent.info.sms_ids.iter().map(AsRef::as_ref));
            Answer::Accepted { reference, refused }
        }
        400 => Answer::AcceptedBefore,
        501 => Answer::undecided(status, body),
        _ => Answer::refused(status, body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Text;

    /// V2 of docs/dialects/sendcloud.md.
    #[test]
    fn the_signature_is_the_vendors() {
        let parameters = [
            ("msgType", "0"),
            ("phone", "13800138000,13900139000"),
            ("sendRequestId", "req-0001"),
            ("smsUser", "demo_user"),
            ("tag", r#"{"k":"v"}"#),
            ("templateId", "1001"),
            ("timestamp", "1700000000123"),
            ("vars", r#"{"%code%":"8341","%name%":"小明"}"#),
        ];
        let expected = "39bed1802f42dfe93d15e6d4af1959a58ab6ee5d035aee9f50762f292792f346";
        assert_eq!(signature(&parameters, "demo_key_0123456789"), expected);
    }

    #[test]
    fn a_request_is_a_form_in_the_order_of_the_names() {
        let speaker = Speaker {
            user: "u".into(),
            key: "k".into(),
            template: 7,
        };
        let shot = Shot {
            first: 1,
            recipients: 2,
            request_id: Some("r-1"),
            text: Text::Code,
        };
        let (mut body, mut out) = (Vec::new(), Vec::new());
        speaker.write(&shot, &mut body, &mut out);
        let body = String::from_utf8(body).unwrap();
        let expected = "msgType=2&phone=%2B991000000001,%2B991000000002&sendRequestId=r-1&smsUser=u&templateId=7\
                        &vars=%7B%22%25code%25%22%3A%22000001%22%7D&signature=";
        assert_eq!(body.get(..expected.len()), Some(expected));
        assert_eq!(body.len(), expected.len() + 64);
    }

    #[test]
    fn answers_are_distinguished() {
        let shot = Shot {
            first: 1,
            recipients: 2,
            request_id: None,
            text: Text::Plain,
        };
        let all =
            br#"{"result":true,"statusCode":200,"info":{"smsIds":["p$+991000000001","p$+991000000002"]}}"#;
        assert_eq!(
            read(&shot, 200, all),
            Answer::Accepted {
                reference: "p".into(),
                refused: vec![]
            }
        );
        let repeat = br#"{"result":false,"statusCode":400,"message":"x","info":{}}"#;
        assert_eq!(read(&shot, 200, repeat), Answer::AcceptedBefore);
        assert!(matches!(
            read(&shot, 200, br#"{"statusCode":412,"info":{}}"#),
            Answer::Refused { .. }
        ));
        assert!(matches!(
            read(&shot, 200, br#"{"statusCode":501,"info":{}}"#),
            Answer::Undecided { .. }
        ));
    }
}
