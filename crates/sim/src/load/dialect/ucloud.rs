//! UCloud USMS: `SendUSMSMessage`, a signed form.

use sha1::{Digest, Sha1};

use super::{Answer, Shot, sendcloud, uspeedo, write_request};
use crate::load::demo::{Demo, Template, Ucloud};

/// "Try again later", twice, and "internal error": nothing is decided.
const UNDECIDED: [u32; 3] = [150, 153, 18_007];

#[derive(Clone)]
pub(in crate::load) struct Speaker {
    keys: Ucloud,
    template: String,
}

impl std::fmt::Debug for Speaker {
    /// Without its secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speaker")
            .field("public_key", &self.keys.public_key)
            .finish_non_exhaustive()
    }
}

impl Speaker {
    pub(super) fn new(demo: &Demo, template: &Template) -> Self {
        Self {
            keys: demo.ucloud.clone(),
            template: template.ut_id.clone(),
        }
    }

    pub(super) fn write(&self, shot: &Shot<'_>, body: &mut Vec<u8>, out: &mut Vec<u8>) {
        let mut parameters = vec![
            ("Action".to_owned(), "SendUSMSMessage".to_owned()),
            ("SigContent".to_owned(), self.keys.sig_content.clone()),
            ("TemplateId".to_owned(), self.template.clone()),
        ];
        let numbers = shot.numbers().enumerate();
        parameters.extend(numbers.map(|(at, number)| (format!("PhoneNumbers.{at}"), number.to_string())));
        let values = shot.values().into_iter().enumerate();
        parameters.extend(values.map(|(at, (_, value))| (format!("TemplateParams.{at}"), value)));
        write_form(&self.keys, parameters, body);
        let once = shot
            .request_id
            .map_or(String::new(), |id| format!("Idempotency-Key: {id}\r\n"));
        write_request(
            "/",
            &format!("Content-Type: application/x-www-form-urlencoded\r\n{once}"),
            body,
            out,
        );
    }
}

/// A question for what became of a session.
pub(in crate::load) fn write_receipt_query(keys: &Ucloud, session: &str, out: &mut Vec<u8>) {
    let parameters = vec![
        ("Action".to_owned(), "GetUSMSSendReceipt".to_owned()),
        ("SessionNoSet.0".to_owned(), session.to_owned()),
    ];
    let mut body = Vec::new();
    write_form(keys, parameters, &mut body);
    write_request(
        "/",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        &body,
        out,
    );
}

/// A signed form: SHA-1 over names and values in the order of the names, and the private key.
fn write_form(keys: &Ucloud, mut parameters: Vec<(String, String)>, body: &mut Vec<u8>) {
    parameters.push(("PublicKey".to_owned(), keys.public_key.clone()));
    parameters.sort_unstable();
    let mut digest = Sha1::new();
    for (name, value) in &parameters {
        digest.update(name);
        digest.update(value);
        body.extend(name.as_bytes());
        body.push(b'=');
        sendcloud::encode(value, body);
        body.push(b'&');
    }
    digest.update(&keys.private_key);
    body.extend(b"Signature=");
    for octet in digest.finalize() {
        body.extend(format!("{octet:02x}").as_bytes());
    }
}

/// As uSpeedo's Action, with codes of its own.
pub(super) fn read(shot: &Shot<'_>, status: u16, body: &[u8]) -> Answer {
    uspeedo::read(shot, status, body, &UNDECIDED)
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

    /// The signed text is that of docs/dialects/ucloud.md: all parameters in the order of their names, and the private key.
    #[test]
    fn a_request_is_written_and_signed_as_documented() {
        let speaker = Speaker {
            keys: Ucloud {
                public_key: "key".into(),
                private_key: "s3".into(),
                sig_content: "Post rider".into(),
            },
            template: "UTA1".into(),
        };
        assert!(!format!("{speaker:?}").contains("s3"));
        let (mut body, mut out) = (Vec::new(), Vec::new());
        speaker.write(&shot(Text::Notice, 2), &mut body, &mut out);
        let signed = "ActionSendUSMSMessagePhoneNumbers.0991000000001PhoneNumbers.1991000000002PublicKeykey\
                      SigContentPost riderTemplateIdUTA1TemplateParams.0AdaTemplateParams.1Londons3";
        let signature: String = Sha1::digest(signed)
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        let expected = format!(
            "Action=SendUSMSMessage&PhoneNumbers.0=991000000001&PhoneNumbers.1=991000000002&PublicKey=key&\
             SigContent=Post%20rider&TemplateId=UTA1&TemplateParams.0=Ada&TemplateParams.1=London&Signature={signature}"
        );
        assert_eq!(String::from_utf8(body).unwrap(), expected);
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("POST / HTTP/1.1\r\n") && out.contains("Idempotency-Key: r-1\r\n"));
        assert!(out.ends_with(&format!("Content-Length: {}\r\n\r\n{expected}", expected.len())));
    }

    #[test]
    fn answers_are_distinguished() {
        let shot = shot(Text::Code, 2);
        let partly = br#"{"RetCode":0,"SessionNo":"s1","FailContent":[{"TemplateId":"UTA1","Target":[{"Phone":"991000000002"}]}]}"#;
        assert_eq!(
            read(&shot, 200, partly),
            Answer::Accepted {
                reference: "s1".into(),
                refused: vec![1]
            }
        );
        for (code, decided) in [(18_002, true), (171, true), (150, false), (18_007, false)] {
            let answer = read(&shot, 200, format!("{{\"RetCode\":{code}}}").as_bytes());
            assert_eq!(matches!(answer, Answer::Refused { .. }), decided, "{code}");
        }
    }
}
