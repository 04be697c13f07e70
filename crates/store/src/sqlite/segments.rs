//! The segments of a message of more than one, in a blob of its outcome's row.
//!
//! While some have been taken and others have not, how they were made (see [`crate::Answer::Segments`]) comes first: an
//! octet that is no state, one of length, and the octets.
//!
//! Each segment: state, when it came to it (8 octets), the error code and the carrier's id, each with an
//! octet of length before it. Error codes are padded to the width of a receipt's, so that a receipt seldom
//! changes the length of the row.

use super::codes::ErrorCode;
use crate::{SegmentAnswer, SegmentSet, StoreError, TakenSegments, UnixMs};
use sms::state::{MessageState, aggregate};

/// One segment as the carrier knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) state: MessageState,
    pub(super) at: UnixMs,
    pub(super) error: Box<str>,
    /// Empty when the carrier gave none.
    pub(super) carrier_id: Box<str>,
}

impl Segment {
    /// After the carrier's answer.
    pub(super) fn answered(answer: &SegmentAnswer, at: UnixMs) -> Self {
        Self {
            state: if answer.status == 0 {
                MessageState::Submitted
            } else {
                MessageState::Rejected
            },
            at,
            error: Box::default(),
            carrier_id: answer
                .carrier_id
                .as_ref()
                .map(|id| id.as_str().into())
                .unwrap_or_default(),
        }
    }
}

impl Segment {
    /// One that is still to be sent, or sent again.
    fn unsent(at: UnixMs) -> Self {
        Self {
            state: MessageState::Queued,
            at,
            error: Box::default(),
            carrier_id: Box::default(),
        }
    }

    /// Whether the carrier has it: it waits for its receipt, or had one.
    fn is_taken(&self) -> bool {
        !matches!(self.state, MessageState::Queued | MessageState::Rejected) || !self.carrier_id.is_empty()
    }
}

/// What is to be kept of the segments of one message: new answers over what was recorded before. A segment that was taken
/// stays so, with what its receipt said; one that was refused is to be sent again unless the message `ended`.
pub(super) fn merge(
    recorded: &[Segment],
    answers: &[Option<SegmentAnswer>],
    at: UnixMs,
    ended: bool,
) -> Vec<Segment> {
    let recorded = if recorded.len() == answers.len() {
        recorded
    } else {
        &[]
    };
    let one = |(index, answer): (usize, &Option<SegmentAnswer>)| match (recorded.get(index), answer) {
        (Some(known), _) if known.is_taken() => known.clone(),
        (_, Some(answer)) if answer.status == 0 || ended => Segment::answered(answer, at),
        _ => Segment::unsent(at),
    };
    answers.iter().enumerate().map(one).collect()
}

/// What the carrier has, by a row's octets; `None` when it has no segment.
pub(super) fn taken(bytes: &[u8]) -> Result<Option<TakenSegments>, StoreError> {
    let all = decode(bytes)?;
    let mut segments = SegmentSet::none(u8::try_from(all.len()).unwrap_or(u8::MAX));
    for (index, segment) in all.iter().enumerate() {
        if segment.is_taken() {
            segments.insert(index);
        }
    }
    Ok((!segments.is_empty()).then(|| TakenSegments {
        segments,
        segmentation: segmentation(bytes).map(Box::from),
    }))
}

/// Where a message stands by its segments.
pub(super) fn state_of(segments: &[Segment]) -> MessageState {
    let states: Vec<MessageState> = segments.iter().map(|segment| segment.state).collect();
    aggregate(&states)
}

/// Before how segments were made: no state's number.
const SEGMENTATION: u8 = 0xFF;

/// How the segments in a row's octets were made, and what follows.
fn split(bytes: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match bytes {
        [SEGMENTATION, len, rest @ ..] => match rest.split_at_checked(usize::from(*len)) {
            Some((segmentation, rest)) => (Some(segmentation), rest),
            None => (None, bytes),
        },
        _ => (None, bytes),
    }
}

/// How the segments in a row's octets were made, where that is kept.
pub(super) fn segmentation(bytes: &[u8]) -> Option<&[u8]> {
    split(bytes).0
}

/// For the row. Texts are cut to 255 octets, which no carrier's id reaches (SMPP 3.4: 65). `segmentation` is kept for
/// as long as segments are to be sent beside those taken.
pub(super) fn encode(segments: &[Segment], segmentation: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(segments.len() * 32);
    let is_partly = segments.iter().any(Segment::is_taken) && !segments.iter().all(Segment::is_taken);
    if let Some(segmentation) = segmentation.filter(|_| is_partly)
        && let Ok(len) = u8::try_from(segmentation.len())
    {
        bytes.extend([SEGMENTATION, len]);
        bytes.extend(segmentation);
    }
    for segment in segments {
        bytes.push(segment.state.as_u8());
        bytes.extend(segment.at.to_le_bytes());
        let error = format!("{:<3}", ErrorCode(&segment.error).kept());
        for text in [error.as_bytes(), segment.carrier_id.as_bytes()] {
            let text = text.get(..255).unwrap_or(text);
            bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            bytes.extend(text);
        }
    }
    bytes
}

/// The reverse of [`encode`].
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Segment>, StoreError> {
    let mut segments = Vec::new();
    let (_, mut rest) = split(bytes);
    while !rest.is_empty() {
        let (segment, after) =
            one(rest).ok_or_else(|| StoreError::Damaged("the segments of a message".into()))?;
        segments.push(segment);
        rest = after;
    }
    Ok(segments)
}

fn one(bytes: &[u8]) -> Option<(Segment, &[u8])> {
    let (&state, rest) = bytes.split_first()?;
    let (at, rest) = rest.split_first_chunk::<8>()?;
    let (error, rest) = text(rest)?;
    let (carrier_id, rest) = text(rest)?;
    let segment = Segment {
        state: MessageState::from_u8(state)?,
        at: i64::from_le_bytes(*at),
        error: error.trim_end_matches(' ').into(),
        carrier_id: carrier_id.into(),
    };
    Some((segment, rest))
}

fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&len, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(len))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn segments_survive_being_written_and_a_receipt_keeps_the_length() {
        let before = vec![
            Segment {
                state: MessageState::Submitted,
                at: 1,
                error: "".into(),
                carrier_id: "a1".into(),
            },
            Segment {
                state: MessageState::Submitted,
                at: 1,
                error: "".into(),
                carrier_id: "".into(),
            },
        ];
        let mut after = before.clone();
        after[0] = Segment {
            state: MessageState::Delivered,
            at: 9,
            error: "000".into(),
            ..after[0].clone()
        };
        assert_eq!(encode(&before, None).len(), encode(&after, None).len());
        assert_eq!(decode(&encode(&before, None)).unwrap(), before);
        assert_eq!(decode(&encode(&after, None)).unwrap(), after);
    }

    #[test]
    fn how_they_were_made_is_kept_while_some_are_to_be_sent() {
        let one = |state| Segment {
            state,
            at: 1,
            error: "".into(),
            carrier_id: "".into(),
        };
        let made = &b"\0made"[..];
        let (taken_one, unsent) = (one(MessageState::Submitted), one(MessageState::Queued));
        let partly = [taken_one.clone(), unsent.clone()];
        let bytes = encode(&partly, Some(made));
        assert_eq!(
            (segmentation(&bytes), decode(&bytes).unwrap()),
            (Some(made), partly.to_vec())
        );
        let read = taken(&bytes).unwrap().unwrap();
        assert_eq!(
            (read.segments.len(), read.segmentation.as_deref()),
            (1, Some(made))
        );
        for over in [[taken_one.clone(), taken_one], [unsent.clone(), unsent]] {
            assert_eq!(encode(&over, Some(made)), encode(&over, None));
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(segments) = decode(&bytes) {
                prop_assert!(segments.len() <= bytes.len());
            }
        }
    }
}
