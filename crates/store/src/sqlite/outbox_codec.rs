//! Lists of events in a blob: a row of the log, or the events of a retry.
//!
//! Each entry says what differs from the one before it, so that the events of a batch whose messages end alike take
//! three octets each:
//!
//! ```text
//! head     3 bits what, 1 bit "with an error of its own", 4 bits state (messages)
//! [offset] row and index, in retries only
//! at       zigzag varint, less the entry before
//! id       zigzag varint, less the entry before of the same what
//! ...      count (accepted), review (reviewed), length and text of the error (messages, where it differs)
//! ```

use super::cause;
use crate::{Event, EventOffset, EventWhat, InboundId, MessageId, Review, StoreError, UnixMs};
use sms::state::MessageState;

const ACCEPTED: u8 = 0;
const MESSAGE: u8 = 1;
const INBOUND: u8 = 2;
const TEMPLATE: u8 = 3;
const SIGNATURE: u8 = 4;
/// The bits of a head that say what the entry is.
const WHAT: u8 = 0b111;
/// Set when the error differs from that of the message before.
const ERROR: u8 = 0b1000;
const STATE_SHIFT: u32 = 4;

/// What an entry is written as a difference to.
#[derive(Debug, Default)]
struct Before {
    offset: EventOffset,
    at: UnixMs,
    /// By what the entry is.
    ids: [i64; WHAT as usize + 1],
    error: Box<str>,
}

/// A blob being written.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    before: Before,
}

impl Writer {
    /// Appends an event of the row being written.
    pub(super) fn push(&mut self, at: UnixMs, what: &EventWhat) {
        self.entry(None, at, what);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn entry(&mut self, offset: Option<EventOffset>, at: UnixMs, what: &EventWhat) {
        let (kind, id) = match what {
            EventWhat::Accepted { first, .. } => (ACCEPTED, first.0),
            EventWhat::Message { id, .. } => (MESSAGE, id.0),
            EventWhat::Inbound { id } => (INBOUND, id.0),
            EventWhat::TemplateReviewed { number, .. } => (TEMPLATE, *number),
            EventWhat::SignatureReviewed { id, .. } => (SIGNATURE, *id),
        };
        let error = match what {
            EventWhat::Message { error, .. } if *error != self.before.error => Some(error),
            _ => None,
        };
        let state = match what {
            EventWhat::Message { state, .. } => state.as_u8() << STATE_SHIFT,
            _ => 0,
        };
        self.bytes
            .push(kind | state | if error.is_some() { ERROR } else { 0 });
        if let Some(offset) = offset {
            self.signed(offset.row.wrapping_sub(self.before.offset.row));
            self.unsigned(offset.index.into());
            self.before.offset = offset;
        }
        self.signed(at.wrapping_sub(self.before.at));
        self.before.at = at;
        if let Some(before) = self.before.ids.get_mut(usize::from(kind)) {
            let difference = id.wrapping_sub(*before);
            *before = id;
            self.signed(difference);
        }
        match what {
            EventWhat::Accepted { count, .. } => self.unsigned((*count).into()),
            EventWhat::TemplateReviewed { review, .. } | EventWhat::SignatureReviewed { review, .. } => {
                self.bytes.push(review_code(*review));
            }
            EventWhat::Message { .. } | EventWhat::Inbound { .. } => {}
        }
        if let Some(error) = error {
            self.unsigned(error.len() as u64);
            self.bytes.extend(error.as_bytes());
            self.before.error.clone_from(error);
        }
    }

    fn signed(&mut self, n: i64) {
        self.unsigned(((n << 1) ^ (n >> 63)).cast_unsigned());
    }

    fn unsigned(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.bytes.push((n as u8) | 0x80);
            n >>= 7;
        }
        self.bytes.push(n as u8);
    }
}

/// A row of the log being read.
#[derive(Debug)]
pub(super) struct Reader<'b> {
    rest: &'b [u8],
    before: Before,
    /// Of the next entry.
    next: EventOffset,
    /// Whether entries say their own place.
    placed: bool,
}

impl<'b> Reader<'b> {
    /// Reads row `row` of the log.
    pub(super) fn new(row: i64, bytes: &'b [u8]) -> Self {
        Self {
            rest: bytes,
            before: Before::default(),
            next: EventOffset { row, index: 0 },
            placed: false,
        }
    }

    fn entry(&mut self) -> Option<Event> {
        let head = self.octet()?;
        let kind = head & WHAT;
        if self.placed {
            let row = self.before.offset.row.wrapping_add(self.signed()?);
            let index = u32::try_from(self.unsigned()?).ok()?;
            self.before.offset = EventOffset { row, index };
            self.next = self.before.offset;
        }
        let at = self.before.at.wrapping_add(self.signed()?);
        self.before.at = at;
        let difference = self.signed()?;
        let id = self.before.ids.get_mut(usize::from(kind))?;
        *id = id.wrapping_add(difference);
        let id = *id;
        let what = match kind {
            ACCEPTED => EventWhat::Accepted {
                first: MessageId(id),
                count: u32::try_from(self.unsigned()?).ok()?,
            },
            MESSAGE => {
                if head & ERROR != 0 {
                    let len = usize::try_from(self.unsigned()?).ok()?;
                    let (error, rest) = self.rest.split_at_checked(len)?;
                    self.rest = rest;
                    self.before.error = std::str::from_utf8(error).ok()?.into();
                }
                EventWhat::Message {
                    id: MessageId(id),
                    state: MessageState::from_u8(head >> STATE_SHIFT)?,
                    error: cause::code_of(&self.before.error).into(),
                }
            }
            INBOUND => EventWhat::Inbound { id: InboundId(id) },
            TEMPLATE => EventWhat::TemplateReviewed {
                number: id,
                review: review_from(self.octet()?)?,
            },
            SIGNATURE => EventWhat::SignatureReviewed {
                id,
                review: review_from(self.octet()?)?,
            },
            _ => return None,
        };
        let offset = self.next;
        self.next.index = self.next.index.wrapping_add(1);
        Some(Event { offset, at, what })
    }

    fn octet(&mut self) -> Option<u8> {
        let (&octet, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(octet)
    }

    fn signed(&mut self) -> Option<i64> {
        let n = self.unsigned()?;
        Some((n >> 1).cast_signed() ^ -((n & 1).cast_signed()))
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            value |= u64::from(octet & 0x7f) << shift;
            if octet < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Event, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let event = self.entry();
        if event.is_none() {
            self.rest = &[];
        }
        Some(event.ok_or_else(|| StoreError::Damaged("a list of events".into())))
    }
}

/// The events of a retry, with their offsets.
pub(super) fn encode(events: &[Event]) -> Vec<u8> {
    let mut writer = Writer::default();
    for event in events {
        writer.entry(Some(event.offset), event.at, &event.what);
    }
    writer.finish()
}

/// The reverse of [`encode`].
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Event>, StoreError> {
    Reader {
        placed: true,
        ..Reader::new(0, bytes)
    }
    .collect()
}

const fn review_code(review: Review) -> u8 {
    match review {
        Review::Draft => 0,
        Review::Submitted => 1,
        Review::Approved => 2,
        Review::Rejected => 3,
        Review::Disabled => 4,
    }
}

const fn review_from(code: u8) -> Option<Review> {
    Some(match code {
        0 => Review::Draft,
        1 => Review::Submitted,
        2 => Review::Approved,
        3 => Review::Rejected,
        4 => Review::Disabled,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn review() -> impl Strategy<Value = Review> {
        (0u8..5).prop_map(|code| review_from(code).unwrap())
    }

    fn what() -> impl Strategy<Value = EventWhat> {
        let state = prop::sample::select(MessageState::ALL.to_vec());
        prop_oneof![
            (any::<i64>(), any::<u32>()).prop_map(|(first, count)| EventWhat::Accepted {
                first: MessageId(first),
                count,
            }),
            (any::<i64>(), state, prop::sample::select(vec!["", "000", "é8"])).prop_map(
                |(id, state, error)| EventWhat::Message {
                    id: MessageId(id),
                    state,
                    error: error.into(),
                }
            ),
            any::<i64>().prop_map(|id| EventWhat::Inbound { id: InboundId(id) }),
            (any::<i64>(), review())
                .prop_map(|(number, review)| EventWhat::TemplateReviewed { number, review }),
            (any::<i64>(), review()).prop_map(|(id, review)| EventWhat::SignatureReviewed { id, review }),
        ]
    }

    proptest! {
        #[test]
        fn rows_survive_being_written(row in 1..i64::MAX, events in prop::collection::vec((any::<i64>(), what()), 0..40)) {
            let mut writer = Writer::default();
            for (at, what) in &events {
                writer.push(*at, what);
            }
            let bytes = writer.finish();
            let read: Vec<Event> = Reader::new(row, &bytes).map(Result::unwrap).collect();
            let expected: Vec<Event> = events
                .into_iter()
                .zip(0..)
                .map(|((at, what), index)| Event { offset: EventOffset { row, index }, at, what })
                .collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn calls_survive_being_written(
            events in prop::collection::vec((any::<i64>(), any::<u32>(), any::<i64>(), what()), 0..40),
        ) {
            let events: Vec<Event> = events
                .into_iter()
                .map(|(row, index, at, what)| Event { offset: EventOffset { row, index }, at, what })
                .collect();
            prop_assert_eq!(decode(&encode(&events)).unwrap(), events);
        }

        #[test]
        fn any_octets_are_read_or_refused(bytes: Vec<u8>) {
            for events in [decode(&bytes), Reader::new(1, &bytes).collect()].into_iter().flatten() {
                prop_assert!(events.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn messages_that_end_alike_take_three_octets_each() {
        let mut writer = Writer::default();
        for n in 0..1_000 {
            let what = EventWhat::Message {
                id: MessageId((1_790_000_000_000 << 20) + n),
                state: MessageState::Delivered,
                error: "000".into(),
            };
            writer.push(1_790_000_000_100 + n % 2, &what);
        }
        assert!(writer.finish().len() < 3_020);
    }
}
