//! An arbitrary byte stream, split into reads at arbitrary places, into a session: nothing panics, and the split has no
//! effect.
//!
//! The first octet chooses the split and the role of the session; the rest is the stream, which comes after a bind.
#![no_main]

use std::time::Duration;

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use smpp::pdu::{Bind, BindKind, BindResp};
use smpp::session::{Event, Role, Session, SessionConfig};
use smpp::{CommandStatus, Pdu, frame};

const FRAME_BYTES_MAX: usize = 4096;

/// The output of a session that reads `stream` in pieces of `piece` octets, and the number of its events.
fn listen(role: Role, stream: &[u8], piece: usize) -> (BytesMut, usize) {
    let now = Duration::from_secs(1);
    let mut session = Session::new(SessionConfig::new(role), now);
    let (mut out, mut events): (_, Vec<Event>) = (BytesMut::new(), Vec::new());
    let bind = Bind::new(BindKind::Transceiver, "esme", "secret");
    let opening = match role {
        Role::Smsc => Pdu::Bind(bind),
        Role::Esme => {
            session
                .bind(bind, &mut out)
                .expect("a session that is open binds");
            Pdu::BindResp(BindResp::new(BindKind::Transceiver))
        }
    };
    let opening = opening
        .to_bytes(CommandStatus::ROK, 1)
        .expect("within the bounds");
    let (mut inbox, mut seen) = (BytesMut::new(), 0);
    for piece in std::iter::once(&opening[..]).chain(stream.chunks(piece)) {
        inbox.extend_from_slice(piece);
        let cut = frame::cut(&mut inbox, FRAME_BYTES_MAX);
        for frame in cut.frames() {
            session.receive(&frame, now, &mut out, &mut events);
            for event in events.drain(..) {
                seen += 1;
                if matches!(event, Event::BindRequest(_)) {
                    session
                        .accept_bind(&"smsc".into(), &mut out)
                        .expect("a bind waits");
                }
            }
        }
        if let Some(broken) = cut.broken {
            session.broken(broken, &mut out);
            break;
        }
        assert!(inbox.len() < FRAME_BYTES_MAX, "a whole frame was left behind");
    }
    session.tick(now + Duration::from_secs(3600), &mut out, &mut events);
    (out, seen)
}

fuzz_target!(|input: &[u8]| {
    let Some((control, stream)) = input.split_first() else {
        return;
    };
    let role = if control & 1 == 0 { Role::Esme } else { Role::Smsc };
    let at_once = listen(role, stream, stream.len().max(1));
    let in_pieces = listen(role, stream, usize::from(control >> 1).max(1));
    assert_eq!(at_once, in_pieces);
});
