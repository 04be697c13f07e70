//! The codec against the specification, against arbitrary octets, and against other implementations.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "test helpers may panic on an unexpected result, as tests do"
)]

mod lenient;
mod peers;
mod round_trip;
mod strict;
mod vectors;

use bytes::BytesMut;
use smpp::{CommandStatus, Header, Malformed, Pdu, frame};

/// Cuts and decodes what must be exactly one frame.
fn decode(octets: &[u8]) -> (Header, Result<Pdu, Malformed>) {
    let mut buffer = BytesMut::from(octets);
    let cut = frame::cut(&mut buffer, 1 << 20);
    assert!(cut.broken.is_none() && buffer.is_empty(), "not one whole frame");
    let frame = cut.frames().next().expect("a frame");
    assert_eq!(cut.frames().count(), 1);
    (frame.header, Pdu::decode(&frame))
}

fn encode(pdu: &Pdu, sequence: u32) -> Vec<u8> {
    pdu.to_bytes(CommandStatus::ROK, sequence)
        .expect("within the bounds")
        .to_vec()
}

/// A frame with the right length in front.
fn frame(command: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = 16 + body.len() as u32;
    let mut octets = Vec::new();
    for field in [length, command, status, sequence] {
        octets.extend_from_slice(&field.to_be_bytes());
    }
    octets.extend_from_slice(body);
    octets
}
