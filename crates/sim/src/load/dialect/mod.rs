//! The vendors' wires, from the client's side: write a request, understand the answer.

mod engagelab;
pub(super) mod sendcloud;
pub(super) mod ucloud;
mod uspeedo;

use std::borrow::Cow;
use std::io::Write;

use serde::{Deserialize, Serialize};

use super::demo::Demo;
use super::number;

/// Which vendor's API is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// EngageLab `/v1/send`, HTTP Basic; `request_id`.
    EngageLab,
    /// uSpeedo REST v1, HTTP Basic; `Idempotency-Key`.
    UspeedoRest,
    /// uSpeedo Action, signed headers; `Idempotency-Key`.
    UspeedoAction,
    /// SendCloud `/smsapi/send`, signed form; `sendRequestId`.
    SendCloud,
    /// UCloud `SendUSMSMessage`, signed form; `Idempotency-Key`.
    Ucloud,
}

impl Dialect {
    /// Whether requests are signed with the time they are made at.
    #[must_use]
    pub const fn signs_a_time(self) -> bool {
        matches!(self, Self::UspeedoAction)
    }

    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::EngageLab,
        Self::UspeedoRest,
        Self::UspeedoAction,
        Self::SendCloud,
        Self::Ucloud,
    ];

    /// The most recipients of one request.
    #[must_use]
    pub const fn recipients_max(self) -> u64 {
        match self {
            Self::SendCloud => 2000,
            _ => 1000,
        }
    }
}

/// What is sent: one of the demo account's templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Text {
    /// A code, of class otp; the request's place is the code.
    Code,
    /// A notice with two variables.
    Notice,
    /// A text without variables, of class marketing.
    Plain,
    /// A notice of so many parts, [`Self::PARTS`], with the request's place in it.
    Long(u8),
    /// A text of so many parts, [`Self::PARTS`], that needs UCS-2, of class marketing.
    Unicode(u8),
}

impl Text {
    /// Parts of a long text.
    pub const PARTS: std::ops::RangeInclusive<u8> = 2..=12;

    /// Parts that it goes in.
    #[must_use]
    pub const fn parts(self) -> u8 {
        match self {
            Self::Code | Self::Notice | Self::Plain => 1,
            Self::Long(parts) | Self::Unicode(parts) => parts,
        }
    }

    /// What the template is called.
    #[must_use]
    pub fn template(self) -> Cow<'static, str> {
        match self {
            Self::Code => "code".into(),
            Self::Notice => "notice".into(),
            Self::Plain => "plain".into(),
            Self::Long(parts) => format!("long_{parts}").into(),
            Self::Unicode(parts) => format!("unicode_{parts}").into(),
        }
    }

    /// The values of the template's variables, in the order of its placeholders, for a request whose first recipient is at
    /// this place.
    #[must_use]
    pub fn values(self, first: u64) -> Vec<(&'static str, String)> {
        match self {
            Self::Code | Self::Long(_) | Self::Unicode(_) => {
                vec![("code", format!("{:06}", first % 1_000_000))]
            }
            Self::Notice => vec![("name", "Ada".to_owned()), ("place", "London".to_owned())],
            Self::Plain => Vec::new(),
        }
    }
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shot<'a> {
    /// Place of the first recipient.
    pub(super) first: u64,
    pub(super) recipients: u64,
    /// `None`: sent without an id, so that it cannot be repeated.
    pub(super) request_id: Option<&'a str>,
    pub(super) text: Text,
}

impl Shot<'_> {
    fn numbers(&self) -> impl Iterator<Item = u64> {
        (self.first..self.first + self.recipients).map(number)
    }

    /// The template's variables, in the order of its placeholders.
    fn values(&self) -> Vec<(&'static str, String)> {
        self.text.values(self.first)
    }
}

/// What a client understands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Accepted, all recipients or most.
    Accepted {
        /// What the vendor calls it: a session number, or the part of the message ids that all have in common.
        reference: Box<str>,
        /// Places, within the request, of the recipients that were refused or not mentioned.
        refused: Vec<u64>,
    },
    /// A repeat of what was accepted before (SendCloud says no more).
    AcceptedBefore,
    /// Refused; sending it again makes no sense.
    Refused {
        /// What the vendor says.
        why: Box<str>,
    },
    /// Nothing is decided: send it again, under the same id.
    Undecided {
        /// What the vendor says.
        why: Box<str>,
    },
}

impl Answer {
    fn refused(status: u16, body: &[u8]) -> Self {
        Self::Refused {
            why: saying(status, body),
        }
    }

    fn undecided(status: u16, body: &[u8]) -> Self {
        Self::Undecided {
            why: saying(status, body),
        }
    }
}

/// The status and the beginning of an answer, for the log.
fn saying(status: u16, body: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(body.get(..200).unwrap_or(body)).into_owned();
    format!("{status} {text}").into_boxed_str()
}

/// A dialect with the account's credentials made ready.
#[derive(Clone, Debug)]
pub(super) enum Speaker {
    EngageLab(engagelab::Speaker),
    Uspeedo(uspeedo::Speaker),
    SendCloud(sendcloud::Speaker),
    Ucloud(ucloud::Speaker),
}

impl Speaker {
    pub(super) fn new(dialect: Dialect, demo: &Demo, text: Text) -> Option<Self> {
        let template = demo.templates.get(&*text.template())?;
        Some(match dialect {
            Dialect::EngageLab => Self::EngageLab(engagelab::Speaker::new(demo, template)),
            Dialect::UspeedoRest => Self::Uspeedo(uspeedo::Speaker::rest(demo, template)),
            Dialect::UspeedoAction => Self::Uspeedo(uspeedo::Speaker::action(demo, template)),
            Dialect::SendCloud => Self::SendCloud(sendcloud::Speaker::new(demo, template)),
            Dialect::Ucloud => Self::Ucloud(ucloud::Speaker::new(demo, template)),
        })
    }

    /// Writes a whole HTTP request into `out`, which is cleared before. `body` is room to work in.
    pub(super) fn write(&self, shot: &Shot<'_>, body: &mut Vec<u8>, out: &mut Vec<u8>) {
        body.clear();
        out.clear();
        match self {
            Self::EngageLab(speaker) => speaker.write(shot, body, out),
            Self::Uspeedo(speaker) => speaker.write(shot, body, out),
            Self::SendCloud(speaker) => speaker.write(shot, body, out),
            Self::Ucloud(speaker) => speaker.write(shot, body, out),
        }
    }

    pub(super) fn read(&self, shot: &Shot<'_>, status: u16, body: &[u8]) -> Answer {
        match self {
            Self::EngageLab(_) => engagelab::read(shot, status, body),
            Self::Uspeedo(_) => uspeedo::read(shot, status, body, &uspeedo::UNDECIDED),
            Self::SendCloud(_) => sendcloud::read(shot, status, body),
            Self::Ucloud(_) => ucloud::read(shot, status, body),
        }
    }
}

/// Writes head and body. `headers` are lines, each with its end.
pub(super) fn write_request(path: &str, headers: &str, body: &[u8], out: &mut Vec<u8>) {
    // Writing into a vector cannot fail.
    let _ = write!(
        out,
        "POST {path} HTTP/1.1\r\nHost: postrider\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    out.extend_from_slice(body);
}

/// Writes a request without a body.
pub(super) fn write_get(path: &str, headers: &str, out: &mut Vec<u8>) {
    // Writing into a vector cannot fail.
    let _ = write!(out, "GET {path} HTTP/1.1\r\nHost: postrider\r\n{headers}\r\n");
}

pub(super) fn basic(user: &str, secret: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{secret}"))
}

/// Message ids `<prefix>$<number>`: the prefix, and the places of the recipients that have none. Vendors list ids in
/// the order of the request, so one pass is enough.
fn match_ids<'a>(shot: &Shot<'_>, ids: impl Iterator<Item = &'a str>) -> (Box<str>, Vec<u64>) {
    let mut ids = ids.peekable();
    let reference = ids
        .peek()
        .and_then(|id| id.split_once('$'))
        .map_or("", |(prefix, _)| prefix)
        .into();
    let mut missing = Vec::new();
    for (place, number) in shot.numbers().enumerate() {
        let mentioned = ids
            .peek()
            .and_then(|id| id.split_once('$'))
            .is_some_and(|(_, phone)| is_number(phone, number));
        if mentioned {
            ids.next();
        } else {
            missing.push(place as u64);
        }
    }
    (reference, missing)
}

pub(super) fn is_number(phone: &str, number: u64) -> bool {
    phone.trim_start_matches('+').parse() == Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_without_an_id_are_found() {
        let shot = Shot {
            first: 5,
            recipients: 3,
            request_id: None,
            text: Text::Plain,
        };
        let (reference, missing) = match_ids(
            &shot,
            ["1_2_3_4_abc$+991000000005", "1_2_3_4_abc$+991000000007"].into_iter(),
        );
        assert_eq!((&*reference, missing), ("1_2_3_4_abc", vec![1]));
        assert_eq!(match_ids(&shot, std::iter::empty()).1, [0, 1, 2]);
    }
}
