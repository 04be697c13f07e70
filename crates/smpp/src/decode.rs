//! Decodes the fields of one PDU body.

use bytes::Bytes;

use crate::command::CommandId;
use crate::field::Address;
use crate::octets::COctetString;
use crate::status::CommandStatus;

/// Why a body could not be decoded. The session continues: [`Malformed::status`] is the status of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A command id that this crate does not know.
    #[error("unknown command id 0x{:08X}", .0.0)]
    UnknownCommand(CommandId),
    /// The body ends before a mandatory field.
    #[error("body ends before {field}")]
    Truncated {
        /// The missing field, in the specification's spelling.
        field: &'static str,
    },
    /// `sm_length` is larger than the rest of the body.
    #[error("sm_length is {claimed}, but {available} octets are left")]
    MessageLength {
        /// The value of `sm_length`, in octets.
        claimed: usize,
        /// Octets left in the body.
        available: usize,
    },
    /// A destination in submit_multi that is neither an address nor a distribution list.
    #[error("dest_flag {0} is neither 1 nor 2")]
    DestFlag(u8),
}

impl Malformed {
    /// The status to respond with.
    #[must_use]
    pub const fn status(self) -> CommandStatus {
        match self {
            Self::UnknownCommand(_) => CommandStatus::RINVCMDID,
            Self::Truncated { .. } => CommandStatus::RINVCMDLEN,
            Self::MessageLength { .. } => CommandStatus::RINVMSGLEN,
            Self::DestFlag(_) => CommandStatus::RINVDESTFLAG,
        }
    }
}

/// A cursor over one body. It never reads past the body, whatever length a field claims.
pub(crate) struct Reader<'a> {
    source: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// `body` must be a part of `source`.
    pub(crate) fn new(source: &'a Bytes, body: &'a [u8]) -> Self {
        Self { source, rest: body }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next octet, `None` at the end of the body.
    pub(crate) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// A mandatory octet.
    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, Malformed> {
        self.next().ok_or(Malformed::Truncated { field })
    }

    /// An octet that may be missing at the end of the body; zero then.
    pub(crate) fn u8_or_zero(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// The next `N` octets, `None` if the body has fewer.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*first)
    }

    /// The octets up to the next NUL, or to the end of the body if the NUL is missing. Bounded by the frame, not by the
    /// maximum of the field: peers send longer ids and passwords than the specification allows.
    pub(crate) fn c_octets_or_empty(&mut self) -> COctetString {
        let nul = self.rest.iter().position(|octet| *octet == 0);
        let (string, rest) = match nul {
            Some(at) => (self.rest.get(..at), self.rest.get(at + 1..)),
            None => (Some(self.rest), None),
        };
        self.rest = rest.unwrap_or_default();
        COctetString::part_of(self.source, string.unwrap_or_default())
    }

    /// As [`Self::c_octets_or_empty`], but the body must have at least one more octet.
    pub(crate) fn c_octets(&mut self, field: &'static str) -> Result<COctetString, Malformed> {
        if self.is_empty() {
            return Err(Malformed::Truncated { field });
        }
        Ok(self.c_octets_or_empty())
    }

    /// TON, NPI and the address. `field` names the address.
    pub(crate) fn address(&mut self, field: &'static str) -> Result<Address, Malformed> {
        let [ton, npi] = self.array().ok_or(Malformed::Truncated { field })?;
        Ok(Address {
            ton: crate::field::Ton(ton),
            npi: crate::field::Npi(npi),
            addr: self.c_octets(field)?,
        })
    }

    /// `len` octets that share the buffer they were read into, `None` if the body has fewer.
    pub(crate) fn octets(&mut self, len: usize) -> Option<Bytes> {
        let (octets, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(if octets.is_empty() {
            Bytes::new()
        } else {
            self.source.slice_ref(octets)
        })
    }

    /// `sm_length` and as many octets of text. Both may be missing at the end of the body.
    pub(crate) fn short_message(&mut self) -> Result<Bytes, Malformed> {
        let claimed = usize::from(self.u8_or_zero());
        let available = self.remaining();
        self.octets(claimed)
            .ok_or(Malformed::MessageLength { claimed, available })
    }
}
