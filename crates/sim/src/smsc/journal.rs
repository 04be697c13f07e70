//! The last messages that the simulator received, for inspection.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use smpp::field::{Address, DataCoding};
use smpp::{COctetString, CommandStatus};
use sms::alphabet;

use super::part::Part;

/// A message as it came, kept small: nothing in it references a read buffer.
#[derive(Clone, Debug)]
pub(super) struct RecordedMessage {
    pub(super) at_ms: u64,
    pub(super) bind: u64,
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) data_coding: DataCoding,
    pub(super) part: Option<Part>,
    pub(super) text: Box<[u8]>,
    pub(super) status: CommandStatus,
    pub(super) id: Option<u64>,
}

/// A message that the simulator received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Milliseconds since the simulator started.
    pub at_ms: u64,
    /// Number of the connection it came over.
    pub bind: u64,
    /// Sender.
    pub source: String,
    /// Recipient.
    pub destination: String,
    /// The text; hexadecimal for alphabets other than GSM 7-bit, ASCII, Latin-1 and UCS-2.
    pub text: String,
    /// `data_coding`.
    pub data_coding: u8,
    /// Which part this is, if the message is longer and its parts are shown one by one.
    pub part: Option<Part>,
    /// How many parts were put together.
    pub parts: usize,
    /// What it was answered with.
    pub status: u32,
    /// Its message id, as a number; `None` if it was refused.
    pub id: Option<u64>,
}

/// Which messages to show, newest first.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Beginning of the recipient's number.
    pub destination: String,
    /// Any part of the text.
    pub text: String,
    /// Only those that were taken (`true`) or refused (`false`).
    pub taken: Option<bool>,
    /// Long messages are put together; those with a part missing are left out.
    pub whole: bool,
    /// So many at most.
    pub limit: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            destination: String::new(),
            text: String::new(),
            taken: None,
            whole: false,
            limit: 100,
        }
    }
}

/// The last messages, oldest first.
#[derive(Default)]
pub(super) struct Journal {
    recorded: VecDeque<RecordedMessage>,
    kept_max: usize,
}

impl Journal {
    pub(super) fn new(kept_max: usize) -> Self {
        Self {
            recorded: VecDeque::new(),
            kept_max,
        }
    }

    pub(super) fn kept_max(&self) -> usize {
        self.kept_max
    }

    /// Whether anything is kept at all; if not, no [`RecordedMessage`] is made.
    pub(super) fn is_kept(&self) -> bool {
        self.kept_max > 0
    }

    pub(super) fn push(&mut self, recorded: RecordedMessage) {
        if self.recorded.len() >= self.kept_max {
            self.recorded.pop_front();
        }
        self.recorded.push_back(recorded);
    }

    pub(super) fn find(&self, filter: &Filter) -> Vec<Message> {
        let fits = |recorded: &&RecordedMessage| {
            recorded
                .destination
                .addr
                .as_bytes()
                .starts_with(filter.destination.as_bytes())
                && filter.taken.is_none_or(|taken| taken == recorded.status.is_ok())
        };
        let recorded = self.recorded.iter().rev().filter(fits);
        let with_text = |message: &Message| message.text.contains(&filter.text);
        if filter.whole {
            return whole(recorded)
                .into_iter()
                .filter(with_text)
                .take(filter.limit)
                .collect();
        }
        recorded
            .map(RecordedMessage::message)
            .filter(with_text)
            .take(filter.limit)
            .collect()
    }
}

/// Parts of long messages put together, at the place of the part that came last.
fn whole<'a>(newest_first: impl Iterator<Item = &'a RecordedMessage>) -> Vec<Message> {
    type Key<'a> = (&'a COctetString, &'a COctetString, u16, u8);
    let mut messages: Vec<Option<Message>> = Vec::new();
    let mut open: HashMap<Key<'a>, (usize, Vec<&'a RecordedMessage>)> = HashMap::new();
    for recorded in newest_first {
        let Some(part) = recorded.part.filter(|part| part.total > 1) else {
            messages.push(Some(recorded.message()));
            continue;
        };
        let key = (
            &recorded.source.addr,
            &recorded.destination.addr,
            part.reference,
            part.total,
        );
        let (place, parts) = open.entry(key).or_insert_with(|| {
            messages.push(None);
            (messages.len() - 1, Vec::new())
        });
        let known = |known: &&RecordedMessage| known.part.is_some_and(|known| known.number == part.number);
        if !parts.iter().any(known) {
            parts.push(recorded);
        }
        if parts.len() == usize::from(part.total) {
            let place = *place;
            let (_, parts) = open.remove(&key).unwrap_or_default();
            if let Some(message) = messages.get_mut(place) {
                *message = joined(parts);
            }
        }
    }
    messages.into_iter().flatten().collect()
}

fn joined(mut parts: Vec<&RecordedMessage>) -> Option<Message> {
    parts.sort_unstable_by_key(|recorded| recorded.part.map(|part| part.number));
    let mut message = parts.first()?.message();
    message.text = parts.iter().map(|recorded| recorded.text()).collect();
    message.parts = parts.len();
    message.part = None;
    Some(message)
}

impl RecordedMessage {
    fn message(&self) -> Message {
        Message {
            at_ms: self.at_ms,
            bind: self.bind,
            source: self.source.addr.to_string(),
            destination: self.destination.addr.to_string(),
            text: self.text(),
            data_coding: self.data_coding.0,
            part: self.part,
            parts: 1,
            status: self.status.0,
            id: self.id,
        }
    }

    fn text(&self) -> String {
        match self.data_coding {
            DataCoding::DEFAULT | DataCoding::FLASH_GSM7 => alphabet::decode_gsm7(&self.text),
            DataCoding::IA5 | DataCoding::LATIN1 => alphabet::decode_latin1(&self.text),
            DataCoding::UCS2 => alphabet::decode_ucs2(&self.text),
            _ => self.text.iter().map(|octet| format!("{octet:02x}")).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(destination: &str, text: &[u8], part: Option<(u16, u8, u8)>) -> RecordedMessage {
        RecordedMessage {
            at_ms: 0,
            bind: 1,
            source: Address::alphanumeric("Postrider"),
            destination: Address::international(destination),
            data_coding: DataCoding::DEFAULT,
            part: part.map(|(reference, total, number)| Part {
                reference,
                total,
                number,
            }),
            text: text.into(),
            status: CommandStatus::ROK,
            id: Some(1),
        }
    }

    fn texts(journal: &Journal, filter: &Filter) -> Vec<String> {
        journal
            .find(filter)
            .into_iter()
            .map(|message| message.text)
            .collect()
    }

    #[test]
    fn the_newest_are_kept_and_shown_first() {
        let mut journal = Journal::new(2);
        for text in [b"one", b"two", b"six"] {
            journal.push(recorded("447700900123", text, None));
        }
        assert_eq!(texts(&journal, &Filter::default()), ["six", "two"]);
        assert_eq!(
            texts(
                &journal,
                &Filter {
                    text: "w".into(),
                    ..Filter::default()
                }
            ),
            ["two"]
        );
        assert_eq!(
            texts(
                &journal,
                &Filter {
                    destination: "1".into(),
                    ..Filter::default()
                }
            ),
            [""; 0]
        );
    }

    #[test]
    fn parts_are_put_together_whatever_their_order() {
        let mut journal = Journal::new(10);
        journal.push(recorded("447700900123", b" world", Some((5, 2, 2))));
        journal.push(recorded("447700900123", b"lone", Some((6, 2, 1))));
        journal.push(recorded("447700900123", b" world", Some((5, 2, 2))));
        journal.push(recorded("447700900123", b"hello", Some((5, 2, 1))));
        journal.push(recorded("447700900123", b"short", None));
        let filter = Filter {
            whole: true,
            ..Filter::default()
        };
        assert_eq!(texts(&journal, &filter), ["short", "hello world"]);
    }

    #[test]
    fn texts_are_decoded_by_their_alphabet() {
        let mut ucs2 = recorded("1", &[0x4F, 0x60], None);
        ucs2.data_coding = DataCoding::UCS2;
        assert_eq!(ucs2.text(), "\u{4F60}");
        let mut octets = recorded("1", &[0x4F, 0x60], None);
        octets.data_coding = DataCoding::OCTETS;
        assert_eq!(octets.text(), "4f60");
        assert_eq!(recorded("1", &[0x00, 0x1B, 0x65], None).text(), "@\u{20AC}");
    }
}
