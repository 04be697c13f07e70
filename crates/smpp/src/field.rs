//! The one-octet fields of message PDUs: the meaning of their bits (SMPP 3.4 §5.2, SMPP 5.0 §4.7).
//!
//! All are newtypes over the octet on the wire, so that a value without a definition survives a round trip.

use std::fmt;

use crate::octets::COctetString;

macro_rules! octet_field {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value_name:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name(pub u8);

        impl $name {
            $($(#[$value_doc])* pub const $value_name: Self = Self($value);)*
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "0x{:02X}", self.0)
            }
        }
    };
}

octet_field! {
    /// Type of number (SMPP 3.4 §5.2.5).
    Ton {
        /// The SMSC determines the type.
        UNKNOWN = 0,
        /// With country code, without `+`.
        INTERNATIONAL = 1,
        /// Within the country.
        NATIONAL = 2,
        /// Operator's own, often short codes.
        NETWORK_SPECIFIC = 3,
        /// Subscriber number.
        SUBSCRIBER = 4,
        /// A name of at most 11 GSM characters.
        ALPHANUMERIC = 5,
        /// Abbreviated.
        ABBREVIATED = 6,
    }
}

octet_field! {
    /// Numbering plan indicator (SMPP 3.4 §5.2.6).
    Npi {
        /// The SMSC determines the plan; also used with an alphanumeric sender.
        UNKNOWN = 0,
        /// E.163/E.164 telephone numbers.
        ISDN = 1,
        /// X.121.
        DATA = 3,
        /// F.69.
        TELEX = 4,
        /// E.212.
        LAND_MOBILE = 6,
        /// National.
        NATIONAL = 8,
        /// Private.
        PRIVATE = 9,
        /// ERMES.
        ERMES = 10,
        /// An IP address.
        INTERNET = 14,
        /// A WAP client id.
        WAP_CLIENT = 18,
    }
}

/// A number or an alphanumeric name, with its type and numbering plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Address {
    /// Type of number.
    pub ton: Ton,
    /// Numbering plan.
    pub npi: Npi,
    /// Digits or characters: up to 20 octets in submit_sm and deliver_sm, up to 64 in data_sm and alert_notification.
    pub addr: COctetString,
}

impl Address {
    /// An international number: digits with country code, no `+` (TON 1, NPI 1).
    pub fn international(digits: impl Into<COctetString>) -> Self {
        Self {
            ton: Ton::INTERNATIONAL,
            npi: Npi::ISDN,
            addr: digits.into(),
        }
    }

    /// A sender that is a name (TON 5, NPI 0).
    pub fn alphanumeric(name: impl Into<COctetString>) -> Self {
        Self {
            ton: Ton::ALPHANUMERIC,
            npi: Npi::UNKNOWN,
            addr: name.into(),
        }
    }

    /// Digits or a name of unknown type (TON 0, NPI 0), as many carriers want short codes.
    pub fn unknown(addr: impl Into<COctetString>) -> Self {
        Self {
            ton: Ton::UNKNOWN,
            npi: Npi::UNKNOWN,
            addr: addr.into(),
        }
    }
}

octet_field! {
    /// Message mode, type and GSM features (SMPP 3.4 §5.2.12). Test with the methods, not with equality: a receipt may
    /// carry a user data header, a message may have any mode.
    EsmClass {
        /// Default mode, an ordinary message, no features.
        DEFAULT = 0x00,
        /// Mode bits: datagram.
        DATAGRAM = 0x01,
        /// Mode bits: forward (transaction).
        FORWARD = 0x02,
        /// Mode bits: store and forward.
        STORE_AND_FORWARD = 0x03,
        /// Type bits: SMSC delivery receipt.
        DELIVERY_RECEIPT = 0x04,
        /// Type bits: delivery acknowledgement by the ESME.
        DELIVERY_ACKNOWLEDGEMENT = 0x08,
        /// Type bits: manual or user acknowledgement.
        MANUAL_ACKNOWLEDGEMENT = 0x10,
        /// Type bits: conversation abort.
        CONVERSATION_ABORT = 0x18,
        /// Type bits: intermediate delivery notification.
        INTERMEDIATE_NOTIFICATION = 0x20,
        /// Feature bit: the text starts with a user data header.
        UDHI = 0x40,
        /// Feature bit: a reply path is set.
        REPLY_PATH = 0x80,
    }
}

impl EsmClass {
    const MODE_MASK: u8 = 0x03;
    const TYPE_MASK: u8 = 0x3C;

    /// The mode bits alone.
    #[must_use]
    pub const fn mode(self) -> Self {
        Self(self.0 & Self::MODE_MASK)
    }

    /// The type bits alone, to compare with e.g. [`Self::DELIVERY_RECEIPT`].
    #[must_use]
    pub const fn message_type(self) -> Self {
        Self(self.0 & Self::TYPE_MASK)
    }

    /// Whether this is a delivery receipt from the SMSC, whatever else is set.
    #[must_use]
    pub const fn is_delivery_receipt(self) -> bool {
        self.message_type().0 == Self::DELIVERY_RECEIPT.0
    }

    /// Whether this is an intermediate notification, whatever else is set.
    #[must_use]
    pub const fn is_intermediate_notification(self) -> bool {
        self.message_type().0 == Self::INTERMEDIATE_NOTIFICATION.0
    }

    /// Whether the text starts with a user data header (3GPP TS 23.040 §9.2.3.24).
    #[must_use]
    pub const fn has_udhi(self) -> bool {
        self.0 & Self::UDHI.0 != 0
    }

    /// These bits and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

octet_field! {
    /// The alphabet of the text (SMPP 3.4 §5.2.19). The meaning of 0 depends on the carrier.
    DataCoding {
        /// SMSC default alphabet: usually unpacked GSM 7-bit, but Latin-1 or ASCII with some.
        DEFAULT = 0x00,
        /// IA5 / ASCII.
        IA5 = 0x01,
        /// Octets, as TDMA and GSM have it.
        OCTETS_ALT = 0x02,
        /// ISO-8859-1.
        LATIN1 = 0x03,
        /// Octets.
        OCTETS = 0x04,
        /// JIS X 0208.
        JIS = 0x05,
        /// ISO-8859-5.
        CYRILLIC = 0x06,
        /// ISO-8859-8.
        HEBREW = 0x07,
        /// UCS-2 big-endian; in practice UTF-16.
        UCS2 = 0x08,
        /// Pictograms.
        PICTOGRAM = 0x09,
        /// ISO-2022-JP music codes.
        ISO2022JP = 0x0A,
        /// JIS X 0212.
        EXTENDED_KANJI = 0x0D,
        /// KS C 5601.
        KSC5601 = 0x0E,
        /// GSM class coding: class 0 (flash), 7-bit default alphabet.
        FLASH_GSM7 = 0xF0,
    }
}

octet_field! {
    /// Which receipts are requested (SMPP 3.4 §5.2.17).
    RegisteredDelivery {
        /// No receipt.
        NONE = 0x00,
        /// A receipt for the final outcome, success or failure.
        FINAL = 0x01,
        /// A receipt only if delivery fails.
        FAILURE = 0x02,
        /// A receipt only if delivery succeeds (SMPP 5.0).
        SUCCESS = 0x03,
        /// Bit: intermediate notifications too.
        INTERMEDIATE = 0x10,
    }
}

impl RegisteredDelivery {
    /// Whether a receipt is requested for at least one final outcome.
    #[must_use]
    pub const fn wants_receipt(self) -> bool {
        self.0 & 0x03 != 0
    }

    /// These bits and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

octet_field! {
    /// State of a message (SMPP 3.4 §5.2.28, SMPP 5.0 §4.7.15).
    MessageState {
        /// Waiting for its scheduled time (SMPP 5.0).
        SCHEDULED = 0,
        /// Under way; not final.
        ENROUTE = 1,
        /// Reached the handset.
        DELIVERED = 2,
        /// Validity period ran out.
        EXPIRED = 3,
        /// Cancelled.
        DELETED = 4,
        /// Cannot be delivered.
        UNDELIVERABLE = 5,
        /// Read on behalf of the subscriber; not final with many carriers.
        ACCEPTED = 6,
        /// The carrier does not know the state.
        UNKNOWN = 7,
        /// Refused.
        REJECTED = 8,
        /// Accepted but deliberately not sent (SMPP 5.0).
        SKIPPED = 9,
    }
}

impl MessageState {
    /// The seven-letter word that delivery receipts use in `stat:` (SMPP 3.4 Appendix B), `None` if there is none.
    #[must_use]
    pub const fn receipt_word(self) -> Option<&'static str> {
        Some(match self {
            Self::ENROUTE => "ENROUTE",
            Self::DELIVERED => "DELIVRD",
            Self::EXPIRED => "EXPIRED",
            Self::DELETED => "DELETED",
            Self::UNDELIVERABLE => "UNDELIV",
            Self::ACCEPTED => "ACCEPTD",
            Self::UNKNOWN => "UNKNOWN",
            Self::REJECTED => "REJECTD",
            _ => return None,
        })
    }
}

octet_field! {
    /// The protocol version that a side declares (SMPP 3.4 §5.2.4).
    InterfaceVersion {
        /// 3.3 or older: no TLVs.
        V3_3 = 0x33,
        /// 3.4.
        V3_4 = 0x34,
        /// 5.0.
        V5_0 = 0x50,
    }
}

impl InterfaceVersion {
    /// Whether the side supports optional parameters (SMPP 3.4 §3.4.1: from 3.4 on).
    #[must_use]
    pub const fn has_tlvs(self) -> bool {
        self.0 >= Self::V3_4.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_seen_under_mode_bits_and_udhi() {
        let table = [
            (0x04, true, false),
            (0x44, true, true),
            (0x07, true, false),
            (0x40, false, true),
            (0x08, false, false),
            (0x20, false, false),
        ];
        for (octet, receipt, udhi) in table {
            let class = EsmClass(octet);
            assert_eq!(
                (class.is_delivery_receipt(), class.has_udhi()),
                (receipt, udhi),
                "{class:?}"
            );
        }
        assert!(EsmClass(0x60).is_intermediate_notification());
    }
}
