//! Requests one by one, for clients that keep their own time and connections.

use super::demo::Demo;
use super::dialect::{Answer, Dialect, Shot, Speaker, Text};

/// Writes a vendor's requests of one recipient each, and understands their answers.
#[derive(Debug)]
pub struct Requests {
    speaker: Speaker,
    text: Text,
    body: Vec<u8>,
}

impl Requests {
    /// `None` if the demo account lacks a template for the text.
    #[must_use]
    pub fn new(dialect: Dialect, demo: &Demo, text: Text) -> Option<Self> {
        Some(Self {
            speaker: Speaker::new(dialect, demo, text)?,
            text,
            body: Vec::new(),
        })
    }

    /// Writes a whole HTTP request into `out`, which is cleared before: to the `place`th number ([`super::number`]), under
    /// this request id.
    pub fn write(&mut self, place: u64, request_id: &str, out: &mut Vec<u8>) {
        let shot = shot(place, Some(request_id), self.text);
        self.speaker.write(&shot, &mut self.body, out);
    }

    /// What the answer to the request of this place says.
    #[must_use]
    pub fn read(&self, place: u64, status: u16, body: &[u8]) -> Answer {
        self.speaker.read(&shot(place, None, self.text), status, body)
    }
}

fn shot(first: u64, request_id: Option<&str>, text: Text) -> Shot<'_> {
    Shot {
        first,
        recipients: 1,
        request_id,
        text,
    }
}
