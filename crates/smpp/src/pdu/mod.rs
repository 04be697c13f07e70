//! All PDUs of SMPP 3.4 (§4), with the optional parameters of SMPP 5.0.
//!
//! Decoding is lenient: a missing NUL at the end of a body, missing trailing fields, empty bodies of error responses,
//! longer strings than allowed and unknown parameters are accepted. Encoding is strict: see [`EncodeError`].

mod alert;
mod bind;
mod data;
mod deliver;
mod manage;
mod multi;
mod submit;

pub use alert::AlertNotification;
pub use bind::{Bind, BindKind, BindResp, Outbind};
pub use data::{DataSm, DataSmResp};
pub use deliver::{DeliverSm, DeliverSmResp};
pub use manage::{CancelSm, QuerySm, QuerySmResp, ReplaceSm};
pub use multi::{Destination, SubmitMulti, SubmitMultiResp, Unsuccess};
pub use submit::{SubmitSm, SubmitSmResp};

use bytes::{Bytes, BytesMut};

use crate::command::CommandId;
use crate::decode::{Malformed, Reader};
use crate::encode::{EncodeError, Limits, Writer};
use crate::frame::Frame;
use crate::status::CommandStatus;

/// A decoded PDU, without the status and the sequence number of its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pdu {
    /// `bind_transmitter`, `bind_receiver` or `bind_transceiver`.
    Bind(Bind),
    /// The response to a [`Bind`].
    BindResp(BindResp),
    /// `outbind`: the SMSC requests a bind.
    Outbind(Outbind),
    /// `unbind`
    Unbind,
    /// `unbind_resp`
    UnbindResp,
    /// `generic_nack`: the peer could not decode a PDU; the status says why.
    GenericNack,
    /// `enquire_link`
    EnquireLink,
    /// `enquire_link_resp`
    EnquireLinkResp,
    /// `submit_sm`
    SubmitSm(SubmitSm),
    /// `submit_sm_resp`
    SubmitSmResp(SubmitSmResp),
    /// `submit_multi`
    SubmitMulti(Box<SubmitMulti>),
    /// `submit_multi_resp`
    SubmitMultiResp(SubmitMultiResp),
    /// `deliver_sm`
    DeliverSm(DeliverSm),
    /// `deliver_sm_resp`
    DeliverSmResp(DeliverSmResp),
    /// `data_sm`
    DataSm(DataSm),
    /// `data_sm_resp`
    DataSmResp(DataSmResp),
    /// `query_sm`
    QuerySm(QuerySm),
    /// `query_sm_resp`
    QuerySmResp(QuerySmResp),
    /// `cancel_sm`
    CancelSm(CancelSm),
    /// `cancel_sm_resp`
    CancelSmResp,
    /// `replace_sm`
    ReplaceSm(Box<ReplaceSm>),
    /// `replace_sm_resp`
    ReplaceSmResp,
    /// `alert_notification`
    AlertNotification(AlertNotification),
}

/// Decoding and encoding of a body.
pub(crate) trait Body: Sized {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed>;
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError>;
}

impl Pdu {
    /// The command id of this PDU.
    #[must_use]
    pub const fn command(&self) -> CommandId {
        match self {
            Self::Bind(bind) => bind.kind.command(),
            Self::BindResp(resp) => resp.kind.response(),
            Self::Outbind(_) => CommandId::OUTBIND,
            Self::Unbind => CommandId::UNBIND,
            Self::UnbindResp => CommandId::UNBIND_RESP,
            Self::GenericNack => CommandId::GENERIC_NACK,
            Self::EnquireLink => CommandId::ENQUIRE_LINK,
            Self::EnquireLinkResp => CommandId::ENQUIRE_LINK_RESP,
            Self::SubmitSm(_) => CommandId::SUBMIT_SM,
            Self::SubmitSmResp(_) => CommandId::SUBMIT_SM_RESP,
            Self::SubmitMulti(_) => CommandId::SUBMIT_MULTI,
            Self::SubmitMultiResp(_) => CommandId::SUBMIT_MULTI_RESP,
            Self::DeliverSm(_) => CommandId::DELIVER_SM,
            Self::DeliverSmResp(_) => CommandId::DELIVER_SM_RESP,
            Self::DataSm(_) => CommandId::DATA_SM,
            Self::DataSmResp(_) => CommandId::DATA_SM_RESP,
            Self::QuerySm(_) => CommandId::QUERY_SM,
            Self::QuerySmResp(_) => CommandId::QUERY_SM_RESP,
            Self::CancelSm(_) => CommandId::CANCEL_SM,
            Self::CancelSmResp => CommandId::CANCEL_SM_RESP,
            Self::ReplaceSm(_) => CommandId::REPLACE_SM,
            Self::ReplaceSmResp => CommandId::REPLACE_SM_RESP,
            Self::AlertNotification(_) => CommandId::ALERT_NOTIFICATION,
        }
    }

    /// Decodes one frame.
    ///
    /// # Errors
    /// [`Malformed`] if the command is unknown or a mandatory field is missing. The frame is consumed in both cases,
    /// and the session continues.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, Malformed> {
        let mut reader = Reader::new(frame.source, frame.body);
        let reader = &mut reader;
        Ok(match frame.header.command {
            CommandId::SUBMIT_SM => Self::SubmitSm(Body::decode(reader)?),
            CommandId::SUBMIT_SM_RESP => Self::SubmitSmResp(Body::decode(reader)?),
            CommandId::DELIVER_SM => Self::DeliverSm(Body::decode(reader)?),
            CommandId::DELIVER_SM_RESP => Self::DeliverSmResp(Body::decode(reader)?),
            CommandId::BIND_TRANSMITTER => Self::Bind(Bind::decode(BindKind::Transmitter, reader)?),
            CommandId::BIND_RECEIVER => Self::Bind(Bind::decode(BindKind::Receiver, reader)?),
            CommandId::BIND_TRANSCEIVER => Self::Bind(Bind::decode(BindKind::Transceiver, reader)?),
            CommandId::BIND_TRANSMITTER_RESP => {
                Self::BindResp(BindResp::decode(BindKind::Transmitter, reader))
            }
            CommandId::BIND_RECEIVER_RESP => Self::BindResp(BindResp::decode(BindKind::Receiver, reader)),
            CommandId::BIND_TRANSCEIVER_RESP => {
                Self::BindResp(BindResp::decode(BindKind::Transceiver, reader))
            }
            CommandId::OUTBIND => Self::Outbind(Body::decode(reader)?),
            CommandId::UNBIND => Self::Unbind,
            CommandId::UNBIND_RESP => Self::UnbindResp,
            CommandId::GENERIC_NACK => Self::GenericNack,
            CommandId::ENQUIRE_LINK => Self::EnquireLink,
            CommandId::ENQUIRE_LINK_RESP => Self::EnquireLinkResp,
            CommandId::SUBMIT_MULTI => Self::SubmitMulti(Box::new(Body::decode(reader)?)),
            CommandId::SUBMIT_MULTI_RESP => Self::SubmitMultiResp(Body::decode(reader)?),
            CommandId::DATA_SM => Self::DataSm(Body::decode(reader)?),
            CommandId::DATA_SM_RESP => Self::DataSmResp(Body::decode(reader)?),
            CommandId::QUERY_SM => Self::QuerySm(Body::decode(reader)?),
            CommandId::QUERY_SM_RESP => Self::QuerySmResp(Body::decode(reader)?),
            CommandId::CANCEL_SM => Self::CancelSm(Body::decode(reader)?),
            CommandId::CANCEL_SM_RESP => Self::CancelSmResp,
            CommandId::REPLACE_SM => Self::ReplaceSm(Box::new(Body::decode(reader)?)),
            CommandId::REPLACE_SM_RESP => Self::ReplaceSmResp,
            CommandId::ALERT_NOTIFICATION => Self::AlertNotification(Body::decode(reader)?),
            unknown => return Err(Malformed::UnknownCommand(unknown)),
        })
    }

    /// Appends the PDU to `out`.
    ///
    /// # Errors
    /// [`EncodeError`] if a field exceeds a bound; `out` is then unchanged.
    pub fn encode(
        &self,
        status: CommandStatus,
        sequence: u32,
        limits: &Limits,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let start = out.len();
        let mut writer = Writer::begin(out, limits, self.command(), status, sequence);
        match self.encode_body(status, &mut writer) {
            Ok(()) => {
                writer.finish();
                Ok(())
            }
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }

    /// The PDU alone, for tests and tools; sessions encode into one shared buffer.
    ///
    /// # Errors
    /// As [`Pdu::encode`] with [`Limits::LENIENT`].
    pub fn to_bytes(&self, status: CommandStatus, sequence: u32) -> Result<Bytes, EncodeError> {
        let mut out = BytesMut::new();
        self.encode(status, sequence, &Limits::LENIENT, &mut out)?;
        Ok(out.freeze())
    }

    fn encode_body(&self, status: CommandStatus, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        match self {
            Self::SubmitSm(body) => body.encode(writer),
            Self::SubmitSmResp(body) => body.encode_unless_bare_error(status, writer),
            Self::DeliverSm(body) => body.encode(writer),
            Self::DeliverSmResp(body) => body.encode(writer),
            Self::Bind(body) => body.encode(writer),
            Self::BindResp(body) => body.encode_unless_bare_error(status, writer),
            Self::Outbind(body) => body.encode(writer),
            Self::SubmitMulti(body) => body.encode(writer),
            Self::SubmitMultiResp(body) => body.encode(writer),
            Self::DataSm(body) => body.encode(writer),
            Self::DataSmResp(body) => body.encode(writer),
            Self::QuerySm(body) => body.encode(writer),
            Self::QuerySmResp(body) => body.encode(writer),
            Self::CancelSm(body) => body.encode(writer),
            Self::ReplaceSm(body) => body.encode(writer),
            Self::AlertNotification(body) => body.encode(writer),
            Self::Unbind
            | Self::UnbindResp
            | Self::GenericNack
            | Self::EnquireLink
            | Self::EnquireLinkResp
            | Self::CancelSmResp
            | Self::ReplaceSmResp => Ok(()),
        }
    }

    /// The empty response to a request with this command id, for an error status. A `generic_nack` if the command has
    /// no response of its own.
    #[must_use]
    pub fn empty_response(request: CommandId) -> Self {
        match request {
            CommandId::BIND_TRANSMITTER => Self::BindResp(BindResp::new(BindKind::Transmitter)),
            CommandId::BIND_RECEIVER => Self::BindResp(BindResp::new(BindKind::Receiver)),
            CommandId::BIND_TRANSCEIVER => Self::BindResp(BindResp::new(BindKind::Transceiver)),
            CommandId::UNBIND => Self::UnbindResp,
            CommandId::ENQUIRE_LINK => Self::EnquireLinkResp,
            CommandId::SUBMIT_SM => Self::SubmitSmResp(SubmitSmResp::default()),
            CommandId::SUBMIT_MULTI => Self::SubmitMultiResp(SubmitMultiResp::default()),
            CommandId::DELIVER_SM => Self::DeliverSmResp(DeliverSmResp::default()),
            CommandId::DATA_SM => Self::DataSmResp(DataSmResp::default()),
            CommandId::QUERY_SM => Self::QuerySmResp(QuerySmResp::default()),
            CommandId::CANCEL_SM => Self::CancelSmResp,
            CommandId::REPLACE_SM => Self::ReplaceSmResp,
            _ => Self::GenericNack,
        }
    }
}

macro_rules! from_body {
    ($($variant:ident),+ $(,)?) => {
        $(impl From<$variant> for Pdu {
            fn from(body: $variant) -> Self {
                Self::$variant(body)
            }
        })+
    };
}

from_body!(
    Bind,
    BindResp,
    Outbind,
    SubmitSm,
    SubmitSmResp,
    SubmitMultiResp,
    DeliverSm,
    DeliverSmResp,
    DataSm,
    DataSmResp,
    QuerySm,
    QuerySmResp,
    CancelSm,
    AlertNotification,
);

impl From<SubmitMulti> for Pdu {
    fn from(body: SubmitMulti) -> Self {
        Self::SubmitMulti(Box::new(body))
    }
}

impl From<ReplaceSm> for Pdu {
    fn from(body: ReplaceSm) -> Self {
        Self::ReplaceSm(Box::new(body))
    }
}
