//! Encodes the fields of one PDU strictly: rejects what a peer that keeps to the specification could not read.

use bytes::{BufMut, BytesMut};

use crate::command::{CommandId, HEADER_OCTETS};
use crate::field::Address;
use crate::octets::COctetString;
use crate::status::CommandStatus;

/// The longest `short_message` (SMPP 3.4 §5.2.21); longer texts go into the `message_payload` TLV.
pub const SHORT_MESSAGE_OCTETS_MAX: usize = 254;

/// Why a PDU was not encoded. Nothing of it has been written then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A field is longer than the specification (or [`Limits`]) allows.
    #[error("{field} has {len} octets, at most {max} are allowed")]
    TooLong {
        /// The field, in the specification's spelling.
        field: &'static str,
        /// Its octets (for lists: entries).
        len: usize,
        /// The bound.
        max: usize,
    },
    /// A C-octet string with a NUL or a non-ASCII octet in it.
    #[error("{field} contains an octet that is not ASCII or is NUL")]
    NotText {
        /// The field, in the specification's spelling.
        field: &'static str,
    },
    /// A time that is neither empty nor 16 characters long (SMPP 3.4 §7.1.1).
    #[error("{field} has {len} octets instead of 0 or 16")]
    TimeLength {
        /// The field, in the specification's spelling.
        field: &'static str,
        /// Its octets.
        len: usize,
    },
    /// Text in both `short_message` and `message_payload` (SMPP 3.4 §5.3.2.32).
    #[error("both short_message and message_payload are set")]
    TwoPayloads,
}

/// Bounds of the two fields in which carriers issue longer values than the specification allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest `system_id` in octets without NUL (specification: 15).
    pub system_id_octets_max: usize,
    /// Longest `password` in octets without NUL (specification: 8).
    pub password_octets_max: usize,
}

impl Limits {
    /// What the specification allows.
    pub const SPEC: Self = Self {
        system_id_octets_max: 15,
        password_octets_max: 8,
    };
    /// What carriers are known to issue, with room to spare.
    pub const LENIENT: Self = Self {
        system_id_octets_max: 64,
        password_octets_max: 64,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::LENIENT
    }
}

/// Appends one PDU to a buffer. Dropping it unfinished leaves half a PDU in the buffer, so only [`crate::Pdu::encode`]
/// creates one, and truncates the buffer on error.
pub(crate) struct Writer<'a> {
    out: &'a mut BytesMut,
    start: usize,
    pub(crate) limits: &'a Limits,
}

impl<'a> Writer<'a> {
    pub(crate) fn begin(
        out: &'a mut BytesMut,
        limits: &'a Limits,
        command: CommandId,
        status: CommandStatus,
        sequence: u32,
    ) -> Self {
        let start = out.len();
        let mut header = [0; HEADER_OCTETS];
        for (field, value) in header.chunks_exact_mut(4).zip([0, command.0, status.0, sequence]) {
            field.copy_from_slice(&value.to_be_bytes());
        }
        out.put_slice(&header);
        Self { out, start, limits }
    }

    /// Writes the length into the header.
    pub(crate) fn finish(self) {
        let length = u32::try_from(self.out.len() - self.start).unwrap_or(u32::MAX);
        if let Some(field) = self.out.get_mut(self.start..self.start + 4) {
            field.copy_from_slice(&length.to_be_bytes());
        }
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.out.put_u8(value);
    }

    pub(crate) fn octets(&mut self, octets: &[u8]) {
        self.out.put_slice(octets);
    }

    /// A C-octet string of at most `octets_max` octets without its NUL.
    pub(crate) fn c_octets(
        &mut self,
        field: &'static str,
        string: &COctetString,
        octets_max: usize,
    ) -> Result<(), EncodeError> {
        let octets = string.as_bytes();
        if octets.len() > octets_max {
            return Err(EncodeError::TooLong {
                field,
                len: octets.len(),
                max: octets_max,
            });
        }
        if octets.iter().any(|octet| !matches!(octet, 0x01..=0x7F)) {
            return Err(EncodeError::NotText { field });
        }
        self.out.put_slice(octets);
        self.out.put_u8(0);
        Ok(())
    }

    /// TON, NPI and the address.
    pub(crate) fn address(
        &mut self,
        field: &'static str,
        address: &Address,
        octets_max: usize,
    ) -> Result<(), EncodeError> {
        self.out.put_slice(&[address.ton.0, address.npi.0]);
        self.c_octets(field, &address.addr, octets_max)
    }

    /// A time: empty, or exactly 16 characters.
    pub(crate) fn time(&mut self, field: &'static str, time: &COctetString) -> Result<(), EncodeError> {
        if !matches!(time.len(), 0 | 16) {
            return Err(EncodeError::TimeLength {
                field,
                len: time.len(),
            });
        }
        self.c_octets(field, time, 16)
    }

    /// `sm_length` and the text.
    pub(crate) fn short_message(&mut self, text: &[u8]) -> Result<(), EncodeError> {
        let too_long = EncodeError::TooLong {
            field: "short_message",
            len: text.len(),
            max: SHORT_MESSAGE_OCTETS_MAX,
        };
        if text.len() > SHORT_MESSAGE_OCTETS_MAX {
            return Err(too_long);
        }
        self.out.put_u8(u8::try_from(text.len()).map_err(|_| too_long)?);
        self.out.put_slice(text);
        Ok(())
    }
}
