//! Splits a byte stream into frames (SMPP 3.4 §3.2), before any of them is decoded.
//!
//! Only `command_length` is read here. It is the only field that can end a session: when it is wrong, the start of the
//! next PDU is unknown. Everything else is decoded strictly inside its frame.

use bytes::{Bytes, BytesMut};

use crate::command::{CommandId, HEADER_OCTETS, Header};
use crate::status::CommandStatus;

/// The default bound of one frame: a full `message_payload` TLV (65,535 octets) and the fields around it fit.
pub const FRAME_BYTES_MAX_DEFAULT: usize = 128 * 1024;

/// A `command_length` out of bounds. Fatal for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("command_length {length} is outside 16..={max}")]
pub struct BrokenLength {
    /// The value that the peer sent.
    pub length: u32,
    /// The largest frame allowed.
    pub max: usize,
}

/// All complete frames at the front of a buffer.
#[derive(Debug)]
pub struct Cut {
    run: Bytes,
    /// Set if the octets after the frames are not a frame. The frames before them are valid.
    pub broken: Option<BrokenLength>,
}

/// Takes all complete frames from the front of `buffer` and leaves the start of the next one in it.
///
/// The frames are split off in one piece, so that a read full of small PDUs costs one reference count in total.
///
/// `frame_bytes_max` bounds `command_length`; a buffer never needs to hold more than that to make progress.
pub fn cut(buffer: &mut BytesMut, frame_bytes_max: usize) -> Cut {
    let mut end = 0;
    let mut broken = None;
    while let Some(length) = buffer.get(end..).and_then(<[u8]>::first_chunk::<4>) {
        let length = u32::from_be_bytes(*length);
        let octets = length as usize;
        if octets < HEADER_OCTETS || octets > frame_bytes_max {
            broken = Some(BrokenLength {
                length,
                max: frame_bytes_max,
            });
            break;
        }
        if buffer.len() - end < octets {
            break;
        }
        end += octets;
    }
    Cut {
        run: buffer.split_to(end).freeze(),
        broken,
    }
}

impl Cut {
    /// The frames in the order of the stream.
    #[must_use]
    pub fn frames(&self) -> Frames<'_> {
        Frames {
            source: &self.run,
            rest: &self.run,
        }
    }
}

/// Iterates over the frames of a [`Cut`].
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    source: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let octets = u32::from_be_bytes(*self.rest.first_chunk()?) as usize;
        let (frame, rest) = self.rest.split_at_checked(octets)?;
        self.rest = rest;
        let (header, body) = frame.split_first_chunk::<HEADER_OCTETS>()?;
        Some(Frame {
            header: parse_header(header),
            source: self.source,
            body,
        })
    }
}

/// One PDU, not yet decoded.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The header.
    pub header: Header,
    pub(crate) source: &'a Bytes,
    pub(crate) body: &'a [u8],
}

impl Frame<'_> {
    /// The octets after the header.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.body
    }
}

fn parse_header(header: &[u8; HEADER_OCTETS]) -> Header {
    let [_, _, _, _, c0, c1, c2, c3, s0, s1, s2, s3, n0, n1, n2, n3] = *header;
    Header {
        command: CommandId(u32::from_be_bytes([c0, c1, c2, c3])),
        status: CommandStatus(u32::from_be_bytes([s0, s1, s2, s3])),
        sequence: u32::from_be_bytes([n0, n1, n2, n3]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENQUIRE: &[u8] = &[0, 0, 0, 16, 0, 0, 0, 0x15, 0, 0, 0, 0, 0, 0, 0, 7];

    fn commands(cut: &Cut) -> Vec<(CommandId, u32)> {
        cut.frames()
            .map(|frame| (frame.header.command, frame.header.sequence))
            .collect()
    }

    #[test]
    fn whole_frames_are_taken_and_the_rest_waits() {
        let mut buffer = BytesMut::from(ENQUIRE);
        buffer.extend_from_slice(ENQUIRE);
        buffer.extend_from_slice(&ENQUIRE[..9]);
        let first = cut(&mut buffer, 64);
        assert_eq!(commands(&first), vec![(CommandId::ENQUIRE_LINK, 7); 2]);
        assert_eq!((first.broken, buffer.len()), (None, 9));
        buffer.extend_from_slice(&ENQUIRE[9..]);
        assert_eq!(commands(&cut(&mut buffer, 64)).len(), 1);
        assert!(buffer.is_empty());
    }

    #[test]
    fn every_split_of_a_stream_yields_the_same_frames() {
        let stream = [ENQUIRE, ENQUIRE, ENQUIRE].concat();
        for at in 0..=stream.len() {
            let mut buffer = BytesMut::from(&stream[..at]);
            let mut seen = cut(&mut buffer, 64).frames().count();
            buffer.extend_from_slice(&stream[at..]);
            seen += cut(&mut buffer, 64).frames().count();
            assert_eq!(seen, 3, "split at {at}");
        }
    }

    #[test]
    fn a_broken_length_spares_the_frames_before_it() {
        for length in [0_u32, 15, 65, u32::MAX] {
            let mut buffer = BytesMut::from(ENQUIRE);
            buffer.extend_from_slice(&length.to_be_bytes());
            let cut = cut(&mut buffer, 64);
            assert_eq!(commands(&cut).len(), 1);
            assert_eq!(cut.broken, Some(BrokenLength { length, max: 64 }));
        }
    }

    #[test]
    fn the_bound_itself_is_allowed() {
        let mut buffer = BytesMut::from(ENQUIRE);
        let cut = cut(&mut buffer, 16);
        assert_eq!((commands(&cut).len(), cut.broken), (1, None));
    }
}
