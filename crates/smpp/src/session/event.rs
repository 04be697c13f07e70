//! The requests and replies a session takes from its user, and the events it reports.

use std::io;

use crate::command::{CommandId, Header};
use crate::decode::Malformed;
use crate::encode::EncodeError;
use crate::frame::BrokenLength;
use crate::pdu::{AlertNotification, Bind, BindResp, DataSm, DeliverSm, Outbind, Pdu, SubmitSm};
use crate::status::CommandStatus;

/// A request to the peer. `token` is the user's own id of the request and is part of every event about it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Identifies the request to the user; not sent. The session does not need it to be unique.
    pub token: u64,
    /// The PDU to send.
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

/// The response to a request of the peer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The sequence number of the request.
    pub sequence: u32,
    /// The result.
    pub status: CommandStatus,
    /// The response, which must fit the request.
    pub pdu: Pdu,
}

impl Reply {
    /// A response with success.
    pub fn ok(sequence: u32, pdu: impl Into<Pdu>) -> Self {
        Self {
            sequence,
            status: CommandStatus::ROK,
            pdu: pdu.into(),
        }
    }

    /// A response with failure: the empty response to `request`, with `status`.
    #[must_use]
    pub fn error(sequence: u32, request: CommandId, status: CommandStatus) -> Self {
        Self {
            sequence,
            status,
            pdu: Pdu::empty_response(request),
        }
    }
}

/// An event of a session. Each request ends in exactly one of `Response`, `TimedOut`, `Refused`, or the lists of
/// `Closed`; only a `LateResponse` may follow, after `TimedOut`. An `alert_notification`, which has no response, ends
/// without an event once it is sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The peer responded to a request.
    Response {
        /// The token of the request.
        token: u64,
        /// The result.
        status: CommandStatus,
        /// The response; [`Pdu::GenericNack`] if the peer could not decode the request.
        pdu: Pdu,
    },
    /// The response to a request that had been reported as timed out.
    LateResponse {
        /// The token of the request.
        token: u64,
        /// The result.
        status: CommandStatus,
        /// The response.
        pdu: Pdu,
    },
    /// No response came in time: the request is in doubt.
    TimedOut {
        /// The token of the request.
        token: u64,
    },
    /// The request was not sent and will not be. It takes no slot, so there is none to release.
    Refused {
        /// The token of the request.
        token: u64,
        /// Why it was not sent.
        why: Refusal,
    },
    /// The ESME submits a message; respond with [`crate::pdu::SubmitSmResp`].
    Submit {
        /// To be echoed in the response.
        sequence: u32,
        /// The message.
        pdu: SubmitSm,
    },
    /// The SMSC delivers a message or receipt; respond with [`crate::pdu::DeliverSmResp`].
    Deliver {
        /// To be echoed in the response.
        sequence: u32,
        /// The message or receipt.
        pdu: DeliverSm,
    },
    /// Either side sends data; respond with [`crate::pdu::DataSmResp`].
    Data {
        /// To be echoed in the response.
        sequence: u32,
        /// The message or receipt.
        pdu: DataSm,
    },
    /// Any other request of the peer that needs a response: query_sm, cancel_sm, replace_sm, submit_multi.
    Request {
        /// To be echoed in the response.
        sequence: u32,
        /// The request.
        pdu: Pdu,
    },
    /// A subscriber has become available; has no response.
    Alert(AlertNotification),
    /// The peer sent a PDU that could not be decoded or is not allowed now. The session has responded and continues.
    Rejected {
        /// The header of that PDU.
        header: Header,
        /// The status of the response to the peer.
        status: CommandStatus,
        /// What was wrong with the body, `None` if the body was not the reason.
        malformed: Option<Malformed>,
    },
    /// A response that matches no request, or a request whose time for late responses is over.
    Unmatched(Header),
    /// Only before a session is bound: the ESME sends a bind. Respond with [`super::Session::accept_bind`] or
    /// [`super::Session::refuse_bind`].
    BindRequest(Bind),
    /// Only before a session is bound: the SMSC accepted.
    Bound(BindResp),
    /// Only before a session is bound: the SMSC refused.
    BindRefused(CommandStatus),
    /// Only before a session is bound: the SMSC requests a bind.
    Outbind(Outbind),
    /// The session is closed. Always the last event, and always sent.
    Closed {
        /// Why it was closed.
        reason: CloseReason,
        /// Requests that were sent and not answered: in doubt, in the order they were sent.
        in_flight: Vec<u64>,
        /// Requests that were not sent, in the order they were queued: safe to send elsewhere.
        unsent: Vec<u64>,
    },
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A field exceeds a bound of the protocol.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// This side may not send it over this kind of bind.
    #[error("{0} is not allowed in this bind state")]
    BindState(CommandId),
    /// Every slot of the window is taken. Never reported by the client and the server, which wait for a slot.
    #[error("the window is full")]
    WindowFull,
}

/// Why a session is closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The user unbound, and the peer responded.
    #[error("unbound")]
    Unbound,
    /// The user unbound, and the peer did not respond in time, or closed the connection without a response, as some do.
    #[error("unbound without answer")]
    UnboundUnanswered,
    /// The peer unbound.
    #[error("the peer unbound")]
    PeerUnbound,
    /// The peer closed the connection without unbinding.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// The peer did not respond to an enquire_link in time.
    #[error("no answer to enquire_link")]
    EnquireLinkTimeout,
    /// The peer was silent for too long.
    #[error("the peer was silent for too long")]
    Inactive,
    /// The stream cannot be split into frames any more.
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
