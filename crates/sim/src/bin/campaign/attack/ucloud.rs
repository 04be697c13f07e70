//! A UCloud client: parameters in a form, signed.

use std::io::Write;

use sha1::{Digest, Sha1};
use sim::load::{Demo, Text, number};

use crate::accounts::SIGNATURE;

/// Writes requests to send one code.
#[derive(Debug)]
pub(super) struct Ucloud {
    key: String,
    secret: String,
    template: String,
}

impl Ucloud {
    pub(super) fn new(demo: &Demo) -> Option<Self> {
        Some(Self {
            key: demo.uspeedo.access_key_id.clone(),
            secret: demo.uspeedo.access_key_secret.clone(),
            template: demo.templates.get(&*Text::Code.template())?.ut_id.clone(),
        })
    }

    /// Writes a whole HTTP request into `out`, which is cleared before.
    pub(super) fn write(&self, place: u64, request_id: &str, out: &mut Vec<u8>) {
        let (phone, code) = (number(place).to_string(), format!("{:06}", place % 1_000_000));
        // In the order of the names, as the signature wants them.
        let parameters = [
            ("Action", "SendUSMSMessage"),
            ("PhoneNumbers.0", phone.as_str()),
            ("PublicKey", &self.key),
            ("SigContent", SIGNATURE),
            ("TemplateId", &self.template),
            ("TemplateParams.0", &code),
        ];
        let mut digest = Sha1::new();
        let mut body = String::new();
        for (name, value) in parameters {
            digest.update(name);
            digest.update(value);
            // None of these needs escaping.
            body.push_str(&format!("{name}={value}&"));
        }
        digest.update(&self.secret);
        body.push_str("Signature=");
        body.extend(digest.finalize().iter().map(|octet| format!("{octet:02x}")));
        out.clear();
        // Writing into a vector cannot fail.
        let _ = write!(
            out,
            "POST / HTTP/1.1\r\nHost: postrider\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Idempotency-Key: {request_id}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
    }
}

/// Whether a message was taken.
pub(super) fn is_success(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Sent {
        ret_code: i64,
        session_no: String,
    }
    serde_json::from_slice::<Sent>(body).is_ok_and(|sent| sent.ret_code == 0 && !sent.session_no.is_empty())
}
