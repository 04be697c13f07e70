//! One frame with an arbitrary command and body: decoding never panics, and a PDU that can be encoded again stays the
//! same.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use smpp::{CommandStatus, Pdu, frame};

fn decode(octets: &[u8]) -> Option<Pdu> {
    let mut buffer = BytesMut::from(octets);
    let cut = frame::cut(&mut buffer, 1 << 17);
    let frame = cut.frames().next()?;
    Pdu::decode(&frame).ok()
}

fuzz_target!(|input: &[u8]| {
    // Two octets choose the command: the known ones differ in their low octet, the response bit and 0x0100.
    let Some(([flags, low], body)) = input.split_first_chunk::<2>() else {
        return;
    };
    let command = u32::from(flags & 1) << 31 | u32::from(flags >> 1 & 1) << 8 | u32::from(*low);
    let mut octets = Vec::with_capacity(16 + body.len());
    for field in [16 + body.len() as u32, command, 0, 1] {
        octets.extend_from_slice(&field.to_be_bytes());
    }
    octets.extend_from_slice(body);
    let Some(first) = decode(&octets) else { return };
    let Ok(written) = first.to_bytes(CommandStatus::ROK, 1) else {
        return;
    };
    let second = decode(&written).expect("what was encoded is well-formed");
    let again = second
        .to_bytes(CommandStatus::ROK, 1)
        .expect("what was encoded once is within the bounds");
    assert_eq!(written, again, "{first:?}");
});
