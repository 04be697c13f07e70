//! PDUs that a peer must survive.

use bytes::{BufMut, BytesMut};
use smpp::command::{CommandId, HEADER_OCTETS};
use smpp::field::Address;
use smpp::pdu::{DeliverSm, Pdu, SubmitSmResp};
use smpp::tlv::Tag;
use smpp::{CommandStatus, Limits};

use super::behaviour::Garbage;

/// A command id that no version of the protocol defines.
const NO_COMMAND: u32 = 0x0001_0FFF;

/// Octets of the header before the command id.
const LENGTH_OCTETS: usize = 4;

/// Appends garbage to `out`, under the given sequence number.
pub(super) fn write(kind: Garbage, sequence: u32, out: &mut BytesMut) {
    match kind {
        Garbage::UnknownCommand => {
            write_header(HEADER_OCTETS as u32 + 3, NO_COMMAND, sequence, &[1, 2, 3], out)
        }
        Garbage::BrokenLength => write_header(u32::MAX, CommandId::DELIVER_SM.0, sequence, &[], out),
        Garbage::BrokenBody => {
            // Fields up to sm_length as they should be, then a length of 200 and three octets.
            let body = [
                0, 1, 1, b'1', 0, 1, 1, b'2', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200, b'a', b'b', b'c',
            ];
            let length = (HEADER_OCTETS + body.len()) as u32;
            write_header(length, CommandId::DELIVER_SM.0, sequence, &body, out);
        }
        Garbage::BrokenTlv => {
            let start = out.len();
            let mut pdu = message();
            pdu.tlvs.push(Tag::SOURCE_PORT, &[0, 9][..]);
            write_pdu(&pdu.into(), sequence, out);
            // The parameter's length octet, three from the end.
            if let Some(length) = out.len().checked_sub(3).and_then(|at| out.get_mut(at)) {
                *length = 99;
            }
            debug_assert!(out.len() > start);
        }
        Garbage::UnknownResponse => write_pdu(&SubmitSmResp::new("nothing").into(), 0x7FFF_FFF0, out),
        Garbage::NotAscii => {
            let start = out.len();
            write_pdu(&message().into(), sequence, out);
            // The sender's first octet: behind an empty service_type, TON and NPI.
            if let Some(octet) = out.get_mut(start + HEADER_OCTETS + 3) {
                *octet = 0xE9;
            }
        }
    }
}

fn message() -> DeliverSm {
    DeliverSm {
        source: Address::international("447700900000"),
        destination: Address::unknown("12345"),
        short_message: "garbage".into(),
        ..DeliverSm::default()
    }
}

fn write_pdu(pdu: &Pdu, sequence: u32, out: &mut BytesMut) {
    let written = pdu.encode(CommandStatus::ROK, sequence, &Limits::LENIENT, out);
    debug_assert!(written.is_ok(), "the garbage is valid until it is broken");
}

fn write_header(length: u32, command: u32, sequence: u32, body: &[u8], out: &mut BytesMut) {
    out.reserve(LENGTH_OCTETS + HEADER_OCTETS + body.len());
    for field in [length, command, 0, sequence] {
        out.put_u32(field);
    }
    out.put_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use smpp::Malformed;
    use smpp::frame::cut;

    fn decode(kind: Garbage) -> Result<Pdu, Malformed> {
        let mut out = BytesMut::new();
        write(kind, 5, &mut out);
        let cut = cut(&mut out, 1000);
        let frame = cut.frames().next().expect("a whole frame");
        assert!(out.is_empty(), "{kind:?} leaves the stream whole");
        Pdu::decode(&frame)
    }

    #[test]
    fn each_kind_is_broken_in_its_own_way() {
        assert!(matches!(
            decode(Garbage::UnknownCommand),
            Err(Malformed::UnknownCommand(_))
        ));
        let broken = Malformed::MessageLength {
            claimed: 200,
            available: 3,
        };
        assert_eq!(decode(Garbage::BrokenBody), Err(broken));
        let Ok(Pdu::DeliverSm(pdu)) = decode(Garbage::BrokenTlv) else {
            panic!("a deliver_sm")
        };
        assert!(pdu.tlvs.is_broken());
        let Ok(Pdu::DeliverSm(pdu)) = decode(Garbage::NotAscii) else {
            panic!("a deliver_sm")
        };
        assert_eq!(pdu.source.addr.as_bytes().first(), Some(&0xE9));
        assert!(matches!(
            decode(Garbage::UnknownResponse),
            Ok(Pdu::SubmitSmResp(_))
        ));
    }

    #[test]
    fn a_broken_length_breaks_the_stream() {
        let mut out = BytesMut::new();
        write(Garbage::BrokenLength, 5, &mut out);
        assert!(cut(&mut out, 1000).broken.is_some());
    }
}
