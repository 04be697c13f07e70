//! Command ids and the 16-octet header every PDU starts with (SMPP 3.4 §3.2, §5.1.2).

use std::fmt;

use crate::status::CommandStatus;

/// Octets of the header: `command_length`, `command_id`, `command_status`, `sequence_number`.
pub const HEADER_OCTETS: usize = 16;

/// The lowest sequence number a request may carry (SMPP 3.4 §3.2).
pub const SEQUENCE_MIN: u32 = 1;

/// The highest sequence number a request may carry; the next one wraps to [`SEQUENCE_MIN`].
pub const SEQUENCE_MAX: u32 = 0x7FFF_FFFF;

/// The bit that turns a request's command id into that of its response.
const RESPONSE_BIT: u32 = 0x8000_0000;

/// Which operation a PDU carries (SMPP 3.4 §5.1.2.1). Ids that this crate does not know are kept unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u32);

macro_rules! command_ids {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $word:literal;)+) => {
        impl CommandId {
            $($(#[$doc])* pub const $name: Self = Self($value);)+

            /// The specification's name of this command, `None` for an id it does not define.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($word),)+
                    _ => None,
                }
            }
        }
    };
}

command_ids! {
    /// A PDU could not be decoded; also the response to requests that have no response of their own.
    GENERIC_NACK = 0x8000_0000, "generic_nack";
    /// Bind of an ESME that only receives.
    BIND_RECEIVER = 0x0000_0001, "bind_receiver";
    /// Response to [`Self::BIND_RECEIVER`].
    BIND_RECEIVER_RESP = 0x8000_0001, "bind_receiver_resp";
    /// Bind of an ESME that only sends.
    BIND_TRANSMITTER = 0x0000_0002, "bind_transmitter";
    /// Response to [`Self::BIND_TRANSMITTER`].
    BIND_TRANSMITTER_RESP = 0x8000_0002, "bind_transmitter_resp";
    /// Query the state of a message.
    QUERY_SM = 0x0000_0003, "query_sm";
    /// Response to [`Self::QUERY_SM`].
    QUERY_SM_RESP = 0x8000_0003, "query_sm_resp";
    /// Submit a message to the SMSC.
    SUBMIT_SM = 0x0000_0004, "submit_sm";
    /// Response to [`Self::SUBMIT_SM`].
    SUBMIT_SM_RESP = 0x8000_0004, "submit_sm_resp";
    /// Deliver a message or a receipt to the ESME.
    DELIVER_SM = 0x0000_0005, "deliver_sm";
    /// Response to [`Self::DELIVER_SM`].
    DELIVER_SM_RESP = 0x8000_0005, "deliver_sm_resp";
    /// End the session.
    UNBIND = 0x0000_0006, "unbind";
    /// Response to [`Self::UNBIND`].
    UNBIND_RESP = 0x8000_0006, "unbind_resp";
    /// Replace a message that is still waiting.
    REPLACE_SM = 0x0000_0007, "replace_sm";
    /// Response to [`Self::REPLACE_SM`].
    REPLACE_SM_RESP = 0x8000_0007, "replace_sm_resp";
    /// Cancel messages that are still waiting.
    CANCEL_SM = 0x0000_0008, "cancel_sm";
    /// Response to [`Self::CANCEL_SM`].
    CANCEL_SM_RESP = 0x8000_0008, "cancel_sm_resp";
    /// Bind of an ESME that sends and receives.
    BIND_TRANSCEIVER = 0x0000_0009, "bind_transceiver";
    /// Response to [`Self::BIND_TRANSCEIVER`].
    BIND_TRANSCEIVER_RESP = 0x8000_0009, "bind_transceiver_resp";
    /// Request of the SMSC that the ESME binds as a receiver.
    OUTBIND = 0x0000_000B, "outbind";
    /// Check that the peer is alive.
    ENQUIRE_LINK = 0x0000_0015, "enquire_link";
    /// Response to [`Self::ENQUIRE_LINK`].
    ENQUIRE_LINK_RESP = 0x8000_0015, "enquire_link_resp";
    /// Submit one message for many recipients.
    SUBMIT_MULTI = 0x0000_0021, "submit_multi";
    /// Response to [`Self::SUBMIT_MULTI`].
    SUBMIT_MULTI_RESP = 0x8000_0021, "submit_multi_resp";
    /// A subscriber has become available; has no response.
    ALERT_NOTIFICATION = 0x0000_0102, "alert_notification";
    /// Data in either direction, the short alternative to submit_sm and deliver_sm.
    DATA_SM = 0x0000_0103, "data_sm";
    /// Response to [`Self::DATA_SM`].
    DATA_SM_RESP = 0x8000_0103, "data_sm_resp";
}

impl CommandId {
    /// Whether this is a response (`generic_nack` included).
    #[must_use]
    pub const fn is_response(self) -> bool {
        self.0 & RESPONSE_BIT != 0
    }

    /// The id of the response to this request. `None` where the specification has none: for responses themselves,
    /// `outbind` and `alert_notification`, and for ids it does not define (the response to those is a `generic_nack`).
    #[must_use]
    pub const fn response(self) -> Option<Self> {
        match self {
            Self::OUTBIND | Self::ALERT_NOTIFICATION => None,
            request if request.is_response() || request.name().is_none() => None,
            request => Some(Self(request.0 | RESPONSE_BIT)),
        }
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "command 0x{:08X}", self.0),
        }
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The header of a PDU, without `command_length`, which only framing needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The operation.
    pub command: CommandId,
    /// The result, in responses; zero in requests (not checked when decoding).
    pub status: CommandStatus,
    /// Matches a response to its request. Taken from the wire unchanged, also outside 1..=0x7FFFFFFF, because a
    /// response must echo the number that the peer chose.
    pub sequence: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_know_their_response() {
        assert_eq!(CommandId::SUBMIT_SM.response(), Some(CommandId::SUBMIT_SM_RESP));
        assert_eq!(CommandId::DATA_SM.response(), Some(CommandId::DATA_SM_RESP));
        for without in [
            CommandId::OUTBIND,
            CommandId::ALERT_NOTIFICATION,
            CommandId::GENERIC_NACK,
            CommandId::SUBMIT_SM_RESP,
            CommandId(0x0001_0203),
        ] {
            assert_eq!(without.response(), None, "{without}");
        }
    }
}
