//! What goes into a session from its user, and what comes out.

use std::io;

use crate::command::{CommandId, Header};
use crate::decode::Malformed;
use crate::encode::EncodeError;
use crate::frame::BrokenLength;
use crate::pdu::{AlertNotification, Bind, BindResp, DataSm, DeliverSm, Outbind, Pdu, SubmitSm};
use crate::status::CommandStatus;

/// A request to the peer. `token` is the user's own name for it and comes back with whatever becomes of it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Names the request; not sent. Need not be unique for the session's sake.
    pub token: u64,
    /// What is asked.
    pub pdu: Pdu,
}

impl Request {
    /// A request under this token.
    pub fn new(token: u64, pdu: impl Into<Pdu>) -> Self {
        Self {
            token,
            pdu: pdu.into(),
        }
    }
}

/// The answer to a request of the peer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The sequence number of the request.
    pub sequence: u32,
    /// How it went.
    pub status: CommandStatus,
    /// The answer, which must fit the request.
    pub pdu: Pdu,
}

impl Reply {
    /// Success.
    pub fn ok(sequence: u32, pdu: impl Into<Pdu>) -> Self {
        Self {
            sequence,
            status: CommandStatus::ROK,
            pdu: pdu.into(),
        }
    }

    /// Failure: the empty answer to `request`, with `status`.
    #[must_use]
    pub fn error(sequence: u32, request: CommandId, status: CommandStatus) -> Self {
        Self {
            sequence,
            status,
            pdu: Pdu::empty_response(request),
        }
    }
}

/// What a session reports. Each request handed in ends in exactly one of `Response`, `TimedOut`, `Refused`, or the
/// lists of `Closed`; only a `LateResponse` may follow, after `TimedOut`. An `alert_notification`, which has no answer,
/// ends silently once it is sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The peer answered a request.
    Response {
        /// Whose answer it is.
        token: u64,
        /// How it went.
        status: CommandStatus,
        /// The answer; [`Pdu::GenericNack`] if the peer did not even understand.
        pdu: Pdu,
    },
    /// The answer to a request that had been reported as timed out.
    LateResponse {
        /// Whose answer it is.
        token: u64,
        /// How it went.
        status: CommandStatus,
        /// The answer.
        pdu: Pdu,
    },
    /// No answer came in time: the request is in doubt.
    TimedOut {
        /// Which request.
        token: u64,
    },
    /// The request was not sent, nor will it be. It takes no slot, so there is none to release.
    Refused {
        /// Which request.
        token: u64,
        /// Why.
        why: Refusal,
    },
    /// The ESME submits a message; answer with [`crate::pdu::SubmitSmResp`].
    Submit {
        /// To be echoed in the answer.
        sequence: u32,
        /// The message.
        pdu: SubmitSm,
    },
    /// The SMSC delivers a message or receipt; answer with [`crate::pdu::DeliverSmResp`].
    Deliver {
        /// To be echoed in the answer.
        sequence: u32,
        /// The message or receipt.
        pdu: DeliverSm,
    },
    /// Either side sends data; answer with [`crate::pdu::DataSmResp`].
    Data {
        /// To be echoed in the answer.
        sequence: u32,
        /// The message or receipt.
        pdu: DataSm,
    },
    /// Any other request of the peer that wants an answer: query_sm, cancel_sm, replace_sm, submit_multi.
    Request {
        /// To be echoed in the answer.
        sequence: u32,
        /// The request.
        pdu: Pdu,
    },
    /// A subscriber has become available; has no answer.
    Alert(AlertNotification),
    /// The peer sent what could not be understood or is not allowed now. It has been answered; the session goes on.
    Rejected {
        /// What it was.
        header: Header,
        /// What the peer was told.
        status: CommandStatus,
        /// What was wrong with the body, `None` if it was not the body.
        malformed: Option<Malformed>,
    },
    /// A response to nothing that was asked, or to something long forgotten.
    Unmatched(Header),
    /// Only before a session is bound: the ESME asks to bind. Answer with [`super::Session::accept_bind`] or
    /// [`super::Session::refuse_bind`].
    BindRequest(Bind),
    /// Only before a session is bound: the SMSC accepted.
    Bound(BindResp),
    /// Only before a session is bound: the SMSC refused.
    BindRefused(CommandStatus),
    /// Only before a session is bound: the SMSC asks the ESME to bind.
    Outbind(Outbind),
    /// The session is over. Always the last event, and always there.
    Closed {
        /// Why.
        reason: CloseReason,
        /// Requests that left and were not answered: in doubt, in the order they left.
        in_flight: Vec<u64>,
        /// Requests that never left, in the order they were handed in: safe to send elsewhere.
        unsent: Vec<u64>,
    },
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It breaks a bound of the protocol.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// This side may not send it over this kind of bind.
    #[error("{0} is not allowed in this bind state")]
    BindState(CommandId),
    /// Every slot of the window is taken. Never reported by the client and the server, which wait for a slot.
    #[error("the window is full")]
    WindowFull,
}

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The user unbound, and the peer agreed.
    #[error("unbound")]
    Unbound,
    /// The user unbound, and the peer did not answer in time, or just hung up, as some do.
    #[error("unbound without answer")]
    UnboundUnanswered,
    /// The peer unbound.
    #[error("the peer unbound")]
    PeerUnbound,
    /// The peer closed the connection without unbinding.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// The peer was asked whether it is there and stayed silent.
    #[error("no answer to enquire_link")]
    EnquireLinkTimeout,
    /// The peer was silent for too long.
    #[error("the peer was silent for too long")]
    Inactive,
    /// The stream cannot be cut into frames any more.
    #[error("broken frame: {0}")]
    BrokenLength(#[from] BrokenLength),
    /// The connection broke.
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
    /// The SMSC refused the bind.
    #[error("bind refused: {0}")]
    BindRefused(CommandStatus),
    /// The user closed the connection.
    #[error("closed")]
    Closed,
}
