//! A message into the PDUs of its segments: text filled in, alphabet chosen, parts cut and tied.

use super::segmentation::Segmentation;
use crate::catalog::{
    DataCoding as Wanted, Linking, LongText, Shape, SmppSettings, Snapshot, TlvList, read_tlvs, tlvs,
};
use bytes::Bytes;
use smpp::field::{Address, DataCoding, EsmClass, Npi, RegisteredDelivery, Ton};
use smpp::pdu::SubmitSm;
use smpp::tlv::{Sar, Tlvs};
use smpp::{COctetString, CommandStatus};
use sms::alphabet;
use sms::encoding::{Charset, Encoded, Encoding, Preferred};
use sms::segment::{self, TooLong};
use sms::sender::{Sender, SenderError};
use sms::template::Template;
use std::borrow::Cow;
use std::sync::Arc;
use store::{BatchView, Outgoing, UnixMs};
use thiserror::Error;

/// How a carrier wants its PDUs, from its settings.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    shape: Shape,
    long_text: LongText,
    default_source: Result<Address, SenderError>,
    source_ton_npi: Option<(u8, u8)>,
    dest_ton_npi: (u8, u8),
    service_type: COctetString,
    validity_s: u32,
    receipts: bool,
    tlvs: Tlvs,
}

/// Why a message cannot be put into PDUs for a carrier. None of this passes by waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum EncodeError {
    /// It would have more than 255 parts. Checked when it is accepted, for the carrier it goes to first.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// Its sender, or the carrier's own, fits no address field: stored before that was checked.
    #[error("sender: {0}")]
    Sender(#[from] SenderError),
}

impl EncodeError {
    /// The status with which an SMSC would have refused it: both end the message unless another carrier of its route
    /// takes it.
    pub(crate) const fn status(self) -> CommandStatus {
        match self {
            Self::TooLong(_) => CommandStatus::RINVMSGLEN,
            Self::Sender(_) => CommandStatus::RINVSRCADR,
        }
    }
}

/// `schedule_delivery_time` and `validity_period` in the relative form (SMPP 3.4 §7.1.1): whole seconds up to a
/// month are enough for any validity.
fn relative(seconds: u32) -> COctetString {
    if seconds == 0 {
        return COctetString::new();
    }
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (hours, rest) = (rest / 3_600, rest % 3_600);
    let days = days.min(30);
    COctetString::from(format!(
        "0000{days:02}{hours:02}{:02}{:02}000R",
        rest / 60,
        rest % 60
    ))
}

/// The shortest validity given for what is left of a time to live: carriers refuse one of no length.
const VALIDITY_S_MIN: u32 = 5;

impl Profile {
    pub(crate) fn of(settings: &SmppSettings) -> Self {
        let mut own = Tlvs::new();
        // Checked by `apply`; what does not read is left out.
        tlvs::add(&mut own, &read_tlvs(&settings.tlvs).unwrap_or_default());
        Self {
            shape: settings.shape(),
            long_text: settings.long_text,
            default_source: source(&settings.default_sender, settings.source_ton_npi),
            source_ton_npi: settings.source_ton_npi,
            dest_ton_npi: settings.dest_ton_npi,
            service_type: COctetString::from(settings.service_type.as_str()),
            validity_s: settings.validity_s,
            receipts: settings.receipts,
            tlvs: own,
        }
    }

    /// The PDUs of a message, one a part, in order; one for all of it where long texts go in `message_payload`.
    /// `reference` ties the parts together. What is left of the message's time to live at `now` is its validity. Of a
    /// message of which the carrier has some parts, all are made as those were.
    ///
    /// # Errors
    /// See [`EncodeError`].
    pub(crate) fn pdus(
        &self,
        message: &Outgoing,
        reference: u16,
        now: UnixMs,
        texts: &mut Texts,
    ) -> Result<Vec<SubmitSm>, EncodeError> {
        let begun = begun(message);
        let shape = begun.as_ref().map_or(self.shape, |begun| begun.shape);
        let encoding = shape.encoding();
        let Encoded { charset, parts } = encoding.cut(&texts.of(message))?;
        let in_one = self.long_text == LongText::MessagePayload && begun.is_none();
        let source = match begun {
            Some(begun) => begun.source,
            None => self.source(message)?,
        };
        let mut common = self.common(message, source, data_coding(encoding, charset), now);
        tlvs::add(&mut common.tlvs, texts.tlvs(&message.batch));
        let packed = shape.data_coding == Wanted::Gsm7Packed && charset == Charset::Gsm7;
        let total = u8::try_from(parts.len()).unwrap_or(u8::MAX);
        if total <= 1 {
            let text = parts.into_iter().next().unwrap_or_default();
            return Ok(vec![with_text(common, user_data(text, packed, &[]))]);
        }
        if in_one {
            let text = user_data(parts.concat(), packed, &[]);
            // `sm_length` is 0 beside `message_payload` (SMPP 3.4 §5.3.2.32).
            common.tlvs.set_message_payload(text);
            return Ok(vec![common]);
        }
        let tie = |(at, text): (usize, Vec<u8>)| {
            let seq = u8::try_from(at + 1).unwrap_or(u8::MAX);
            tied(common.clone(), shape, text, packed, reference, total, seq)
        };
        Ok(parts.into_iter().enumerate().map(tie).collect())
    }

    /// How the segments of a message were made whose PDUs these are, to be kept with their answers; `None` when there is
    /// but one.
    pub(crate) fn segmentation(&self, message: &Outgoing, pdus: &[SubmitSm]) -> Option<Box<[u8]>> {
        let [first, _, ..] = pdus else { return None };
        let shape = begun(message).map_or(self.shape, |begun| begun.shape);
        let source = first.source.clone();
        Some(Segmentation { shape, source }.to_octets())
    }

    fn source(&self, message: &Outgoing) -> Result<Address, SenderError> {
        match message.batch.sender.as_deref() {
            Some(sender) => source(sender, self.source_ton_npi),
            None => self.default_source.clone(),
        }
    }

    fn common(&self, message: &Outgoing, source: Address, data_coding: DataCoding, now: UnixMs) -> SubmitSm {
        let (ton, npi) = self.dest_ton_npi;
        SubmitSm {
            service_type: self.service_type.clone(),
            source,
            destination: Address {
                ton: Ton(ton),
                npi: Npi(npi),
                addr: COctetString::from(message.msisdn.to_string()),
            },
            registered_delivery: if self.receipts {
                RegisteredDelivery::FINAL
            } else {
                RegisteredDelivery::NONE
            },
            validity_period: relative(self.validity_s(message, now)),
            data_coding,
            tlvs: self.tlvs.clone(),
            ..SubmitSm::default()
        }
    }

    /// How long the carrier may try: what is left of the time to live, but no longer than the carrier's own setting;
    /// 0 for as long as it likes.
    fn validity_s(&self, message: &Outgoing, now: UnixMs) -> u32 {
        let left = message.batch.expires_at.map(|end| {
            let left_s = end.saturating_sub(now) / 1000;
            u32::try_from(left_s).unwrap_or(if left_s < 0 { 0 } else { u32::MAX })
        });
        match (left, self.validity_s) {
            (None, validity_s) => validity_s,
            (Some(left_s), 0) => left_s.max(VALIDITY_S_MIN),
            (Some(left_s), validity_s) => left_s.max(VALIDITY_S_MIN).min(validity_s),
        }
    }
}

/// How the segments were made that the carrier has of a message.
fn begun(message: &Outgoing) -> Option<Segmentation> {
    Segmentation::from_octets(message.taken.as_deref()?.segmentation.as_deref()?)
}

fn data_coding(encoding: Encoding, charset: Charset) -> DataCoding {
    match charset {
        Charset::Ucs2 => DataCoding::UCS2,
        Charset::Latin1 if encoding.preferred == Preferred::Latin1 => DataCoding::LATIN1,
        Charset::Gsm7 | Charset::Ascii | Charset::Latin1 => DataCoding::DEFAULT,
    }
}

fn tied(
    mut pdu: SubmitSm,
    shape: Shape,
    text: Vec<u8>,
    packed: bool,
    reference: u16,
    total: u8,
    seq: u8,
) -> SubmitSm {
    if shape.linking == Linking::Sar {
        pdu.tlvs.set_sar(Sar {
            reference,
            total,
            seqnum: seq,
        });
        return with_text(pdu, user_data(text, packed, &[]));
    }
    let header = segment::udh(shape.encoding().reference, reference, total, seq);
    pdu.esm_class = pdu.esm_class.with(EsmClass::UDHI);
    with_text(pdu, user_data(text, packed, &header))
}

/// The header and the text behind it, packed on a septet boundary (TS 23.040 §9.2.3.24) if the carrier wants it so.
fn user_data(text: Vec<u8>, packed: bool, header: &[u8]) -> Vec<u8> {
    let text = if packed {
        alphabet::pack_user_data(&text, header.len())
    } else {
        text
    };
    if header.is_empty() {
        return text;
    }
    [header, &text].concat()
}

fn with_text(mut pdu: SubmitSm, text: Vec<u8>) -> SubmitSm {
    pdu.short_message = Bytes::from(text);
    pdu
}

/// Fills in texts and knows their TLVs; keeps what it last made, as the messages of a batch come one after the other.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    last: Option<(Arc<str>, Template)>,
    catalog: Option<Arc<Snapshot>>,
    tlvs: Option<(Arc<BatchView>, TlvList)>,
}

impl Texts {
    /// The catalog that templates' and signatures' TLVs are taken from.
    pub(crate) fn follow(&mut self, catalog: &Arc<Snapshot>) {
        if !self
            .catalog
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, catalog))
        {
            self.catalog = Some(Arc::clone(catalog));
            self.tlvs = None;
        }
    }

    fn tlvs(&mut self, batch: &Arc<BatchView>) -> &[(u16, Bytes)] {
        let Some(catalog) = &self.catalog else { return &[] };
        let last = match self.tlvs.take() {
            Some(last) if Arc::ptr_eq(&last.0, batch) => last,
            _ => (Arc::clone(batch), catalog.tlvs_of(batch)),
        };
        &self.tlvs.insert(last).1
    }

    /// The final text of a message.
    pub(crate) fn of<'a>(&mut self, message: &'a Outgoing) -> Cow<'a, str> {
        let pattern = &message.batch.text;
        let Some(params) = message.params.as_deref() else {
            return Cow::Borrowed(pattern);
        };
        // We wrote the JSON ourselves; should it be damaged, the placeholders show, and nothing is lost.
        let values: Vec<Option<Cow<'_, str>>> = serde_json::from_str(params).unwrap_or_default();
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let template = match &mut self.last {
            Some((last, template)) if Arc::ptr_eq(last, pattern) => template,
            last => &mut last.insert((Arc::clone(pattern), Template::parse(pattern))).1,
        };
        Cow::Owned(template.render(&values))
    }
}

/// A sender as it stands in a PDU; the empty one leaves it to the SMSC.
fn source(sender: &str, ton_npi: Option<(u8, u8)>) -> Result<Address, SenderError> {
    let sender = match Sender::parse(sender) {
        Ok(sender) => sender,
        Err(SenderError::Empty) => return Ok(Address::default()),
        Err(error) => return Err(error),
    };
    let (ton, npi) = ton_npi.unwrap_or_else(|| sender.ton_npi());
    Ok(Address {
        ton: Ton(ton),
        npi: Npi(npi),
        addr: COctetString::from(&*sender.octets()),
    })
}

/// When an attempt of a message is given to the carrier for metrics: milliseconds since it was accepted.
pub(crate) fn waited_ms(message: &Outgoing, now: UnixMs) -> i64 {
    (now - message.batch.due.unwrap_or(message.batch.accepted_at)).max(0)
}

#[cfg(test)]
mod tests;
