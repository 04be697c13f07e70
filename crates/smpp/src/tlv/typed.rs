//! Getters and setters for the optional parameters that carry messages, receipts and congestion.
//!
//! Getters are lenient: an integer may be shorter than specified, a C-octet string may lack its NUL. A parameter that
//! is longer than its type yields `None`.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Tag, Tlvs};
use crate::field::{InterfaceVersion, MessageState};
use crate::octets::COctetString;

/// A network's own error code (SMPP 3.4 §5.3.2.31).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetworkErrorCode {
    /// 1 ANSI-136, 2 IS-95, 3 GSM, 8 defined by the vendor.
    pub network_type: u8,
    /// The code itself.
    pub code: u16,
}

/// The position of a part in its message, in optional parameters instead of a user data header (SMPP 3.4 §5.3.2.22 to
/// §5.3.2.24). A message uses one or the other, never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sar {
    /// The same in all parts of one message.
    pub reference: u16,
    /// The number of parts, from 1.
    pub total: u8,
    /// The number of this part, from 1.
    pub seqnum: u8,
}

impl Tlvs {
    /// The integer in the first parameter with this tag, if it has at most one octet. Empty counts as zero.
    #[must_use]
    pub fn get_u8(&self, tag: Tag) -> Option<u8> {
        u8::try_from(self.integer(tag, 1)?).ok()
    }

    /// The big-endian integer in the first parameter with this tag, if it has at most two octets.
    #[must_use]
    pub fn get_u16(&self, tag: Tag) -> Option<u16> {
        u16::try_from(self.integer(tag, 2)?).ok()
    }

    /// The big-endian integer in the first parameter with this tag, if it has at most four octets.
    #[must_use]
    pub fn get_u32(&self, tag: Tag) -> Option<u32> {
        self.integer(tag, 4)
    }

    /// The string in the first parameter with this tag, up to a NUL or to its end.
    #[must_use]
    pub fn get_c_octets(&self, tag: Tag) -> Option<COctetString> {
        let value = self.get(tag)?;
        let string = value.split(|octet| *octet == 0).next().unwrap_or_default();
        Some(COctetString::part_of(value, string))
    }

    fn integer(&self, tag: Tag, octets_max: usize) -> Option<u32> {
        let value = self.get(tag)?;
        (value.len() <= octets_max).then(|| value.iter().fold(0, |sum, octet| sum << 8 | u32::from(*octet)))
    }

    /// Sets a one-octet integer.
    pub fn set_u8(&mut self, tag: Tag, value: u8) {
        self.set(tag, Bytes::copy_from_slice(&[value]));
    }

    /// Sets a two-octet integer.
    pub fn set_u16(&mut self, tag: Tag, value: u16) {
        self.set(tag, Bytes::copy_from_slice(&value.to_be_bytes()));
    }

    /// Sets a four-octet integer.
    pub fn set_u32(&mut self, tag: Tag, value: u32) {
        self.set(tag, Bytes::copy_from_slice(&value.to_be_bytes()));
    }

    /// Sets a C-octet string; adds the NUL.
    pub fn set_c_octets(&mut self, tag: Tag, value: &COctetString) {
        let mut octets = BytesMut::with_capacity(value.len() + 1);
        octets.put_slice(value.as_bytes());
        octets.put_u8(0);
        self.set(tag, octets.freeze());
    }

    /// `receipted_message_id`: the message of a receipt, in the SMSC's notation.
    #[must_use]
    pub fn receipted_message_id(&self) -> Option<COctetString> {
        self.get_c_octets(Tag::RECEIPTED_MESSAGE_ID)
    }

    /// Sets `receipted_message_id`.
    pub fn set_receipted_message_id(&mut self, id: &COctetString) {
        self.set_c_octets(Tag::RECEIPTED_MESSAGE_ID, id);
    }

    /// `message_state`: the state of the message of a receipt.
    #[must_use]
    pub fn message_state(&self) -> Option<MessageState> {
        self.get_u8(Tag::MESSAGE_STATE).map(MessageState)
    }

    /// Sets `message_state`.
    pub fn set_message_state(&mut self, state: MessageState) {
        self.set_u8(Tag::MESSAGE_STATE, state.0);
    }

    /// `network_error_code`: the error of the network. Needs its three octets.
    #[must_use]
    pub fn network_error_code(&self) -> Option<NetworkErrorCode> {
        let [network_type, c0, c1] = *self.get(Tag::NETWORK_ERROR_CODE)?.first_chunk()?;
        Some(NetworkErrorCode {
            network_type,
            code: u16::from_be_bytes([c0, c1]),
        })
    }

    /// Sets `network_error_code`.
    pub fn set_network_error_code(&mut self, error: NetworkErrorCode) {
        let [c0, c1] = error.code.to_be_bytes();
        self.set(
            Tag::NETWORK_ERROR_CODE,
            Bytes::copy_from_slice(&[error.network_type, c0, c1]),
        );
    }

    /// `message_payload`: the text when it is not in `short_message`.
    #[must_use]
    pub fn message_payload(&self) -> Option<&Bytes> {
        self.get(Tag::MESSAGE_PAYLOAD)
    }

    /// Sets `message_payload`; `short_message` must be empty then.
    pub fn set_message_payload(&mut self, payload: impl Into<Bytes>) {
        self.set(Tag::MESSAGE_PAYLOAD, payload);
    }

    /// `sar_msg_ref_num`, `sar_total_segments` and `sar_segment_seqnum`, if all three are there.
    #[must_use]
    pub fn sar(&self) -> Option<Sar> {
        Some(Sar {
            reference: self.get_u16(Tag::SAR_MSG_REF_NUM)?,
            total: self.get_u8(Tag::SAR_TOTAL_SEGMENTS)?,
            seqnum: self.get_u8(Tag::SAR_SEGMENT_SEQNUM)?,
        })
    }

    /// Sets `sar_msg_ref_num`, `sar_total_segments` and `sar_segment_seqnum`.
    pub fn set_sar(&mut self, sar: Sar) {
        self.set_u16(Tag::SAR_MSG_REF_NUM, sar.reference);
        self.set_u8(Tag::SAR_TOTAL_SEGMENTS, sar.total);
        self.set_u8(Tag::SAR_SEGMENT_SEQNUM, sar.seqnum);
    }

    /// `user_message_reference`: the ESME's own number of a message.
    #[must_use]
    pub fn user_message_reference(&self) -> Option<u16> {
        self.get_u16(Tag::USER_MESSAGE_REFERENCE)
    }

    /// Sets `user_message_reference`.
    pub fn set_user_message_reference(&mut self, reference: u16) {
        self.set_u16(Tag::USER_MESSAGE_REFERENCE, reference);
    }

    /// `source_port`: the application port of the sender.
    #[must_use]
    pub fn source_port(&self) -> Option<u16> {
        self.get_u16(Tag::SOURCE_PORT)
    }

    /// Sets `source_port`.
    pub fn set_source_port(&mut self, port: u16) {
        self.set_u16(Tag::SOURCE_PORT, port);
    }

    /// `dest_port`: the application port of the recipient.
    #[must_use]
    pub fn dest_port(&self) -> Option<u16> {
        self.get_u16(Tag::DEST_PORT)
    }

    /// Sets `dest_port`.
    pub fn set_dest_port(&mut self, port: u16) {
        self.set_u16(Tag::DEST_PORT, port);
    }

    /// `additional_status_info_text`: the reason as text.
    #[must_use]
    pub fn additional_status_info_text(&self) -> Option<COctetString> {
        self.get_c_octets(Tag::ADDITIONAL_STATUS_INFO_TEXT)
    }

    /// Sets `additional_status_info_text` (at most 255 octets by specification).
    pub fn set_additional_status_info_text(&mut self, text: &COctetString) {
        self.set_c_octets(Tag::ADDITIONAL_STATUS_INFO_TEXT, text);
    }

    /// `delivery_failure_reason`: 0 unreachable, 1 invalid, 2 permanent, 3 temporary network error.
    #[must_use]
    pub fn delivery_failure_reason(&self) -> Option<u8> {
        self.get_u8(Tag::DELIVERY_FAILURE_REASON)
    }

    /// Sets `delivery_failure_reason`.
    pub fn set_delivery_failure_reason(&mut self, reason: u8) {
        self.set_u8(Tag::DELIVERY_FAILURE_REASON, reason);
    }

    /// `more_messages_to_send`: whether more follows for the same recipient.
    #[must_use]
    pub fn more_messages_to_send(&self) -> Option<bool> {
        self.get_u8(Tag::MORE_MESSAGES_TO_SEND).map(|flag| flag != 0)
    }

    /// Sets `more_messages_to_send`.
    pub fn set_more_messages_to_send(&mut self, more: bool) {
        self.set_u8(Tag::MORE_MESSAGES_TO_SEND, u8::from(more));
    }

    /// `congestion_state` (SMPP 5.0 §4.8.4.18): 0 idle to 100 congested.
    #[must_use]
    pub fn congestion_state(&self) -> Option<u8> {
        self.get_u8(Tag::CONGESTION_STATE)
    }

    /// Sets `congestion_state`.
    pub fn set_congestion_state(&mut self, percent: u8) {
        self.set_u8(Tag::CONGESTION_STATE, percent);
    }

    /// `sc_interface_version`: the protocol version of the SMSC, in bind responses.
    #[must_use]
    pub fn sc_interface_version(&self) -> Option<InterfaceVersion> {
        self.get_u8(Tag::SC_INTERFACE_VERSION).map(InterfaceVersion)
    }

    /// Sets `sc_interface_version`.
    pub fn set_sc_interface_version(&mut self, version: InterfaceVersion) {
        self.set_u8(Tag::SC_INTERFACE_VERSION, version.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_got() {
        let mut tlvs = Tlvs::new();
        let id = COctetString::from("0A1B2C");
        let error = NetworkErrorCode {
            network_type: 3,
            code: 0x0102,
        };
        let sar = Sar {
            reference: 0xABCD,
            total: 3,
            seqnum: 2,
        };
        tlvs.set_receipted_message_id(&id);
        tlvs.set_message_state(MessageState::DELIVERED);
        tlvs.set_network_error_code(error);
        tlvs.set_sar(sar);
        tlvs.set_user_message_reference(7);
        tlvs.set_congestion_state(99);
        assert_eq!(tlvs.receipted_message_id(), Some(id));
        assert_eq!(tlvs.message_state(), Some(MessageState::DELIVERED));
        assert_eq!(tlvs.network_error_code(), Some(error));
        assert_eq!(tlvs.sar(), Some(sar));
        assert_eq!(tlvs.user_message_reference(), Some(7));
        assert_eq!(tlvs.congestion_state(), Some(99));
        assert_eq!(tlvs.source_port(), None);
    }

    #[test]
    fn sloppy_values_are_read_and_impossible_ones_are_not() {
        let tlvs = Tlvs::new()
            .with(Tag::RECEIPTED_MESSAGE_ID, &b"no-nul"[..])
            .with(Tag::USER_MESSAGE_REFERENCE, &[5][..])
            .with(Tag::MESSAGE_STATE, &[0, 2][..])
            .with(Tag::NETWORK_ERROR_CODE, &[3, 1][..]);
        assert_eq!(tlvs.receipted_message_id(), Some(COctetString::from("no-nul")));
        assert_eq!(tlvs.user_message_reference(), Some(5));
        assert_eq!(tlvs.message_state(), None);
        assert_eq!(tlvs.network_error_code(), None);
    }
}
