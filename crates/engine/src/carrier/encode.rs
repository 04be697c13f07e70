//! A message into the PDUs of its segments: text filled in, alphabet chosen, parts cut and tied.

use crate::catalog::{DataCoding as Wanted, Linking, SmppSettings};
use bytes::Bytes;
use smpp::COctetString;
use smpp::field::{Address, DataCoding, EsmClass, Npi, RegisteredDelivery, Ton};
use smpp::pdu::SubmitSm;
use smpp::tlv::Sar;
use sms::alphabet::{self, Alphabet};
use sms::segment::{self, Reference, TooLong};
use sms::sender::Sender;
use sms::template::Template;
use std::borrow::Cow;
use std::sync::Arc;
use store::{Outgoing, UnixMs};

/// How a carrier wants its PDUs, from its settings.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    coding: Wanted,
    linking: Linking,
    default_source: Address,
    source_ton_npi: Option<(u8, u8)>,
    dest_ton_npi: (u8, u8),
    service_type: COctetString,
    validity_s: u32,
    receipts: bool,
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

impl Profile {
    pub(crate) fn of(settings: &SmppSettings) -> Self {
        Self {
            coding: settings.data_coding,
            linking: settings.linking,
            default_source: source(&settings.default_sender, settings.source_ton_npi),
            source_ton_npi: settings.source_ton_npi,
            dest_ton_npi: settings.dest_ton_npi,
            service_type: COctetString::from(settings.service_type.as_str()),
            validity_s: settings.validity_s,
            receipts: settings.receipts,
        }
    }

    fn reference(&self) -> Reference {
        match self.linking {
            Linking::Udh16 => Reference::Bits16,
            Linking::Udh8 => Reference::Bits8,
            Linking::Sar => Reference::Sar,
        }
    }

    /// The PDUs of a message, one a segment, in order. `number` ties the segments together and should differ
    /// between messages to one recipient.
    ///
    /// # Errors
    /// When the text needs more than 255 segments.
    pub(crate) fn pdus(
        &self,
        message: &Outgoing,
        number: u16,
        texts: &mut Texts,
    ) -> Result<Vec<SubmitSm>, TooLong> {
        let text = texts.of(message);
        let parts = self.parts(&text)?;
        let total = u8::try_from(parts.texts.len()).unwrap_or(u8::MAX);
        let common = self.common(message, parts.data_coding);
        if total <= 1 {
            let text = parts.texts.into_iter().next().unwrap_or_default();
            return Ok(vec![with_text(common, text)]);
        }
        let tie = |(at, text): (usize, Vec<u8>)| {
            let seq = u8::try_from(at + 1).unwrap_or(u8::MAX);
            self.tied(common.clone(), text, parts.packed, number, total, seq)
        };
        Ok(parts.texts.into_iter().enumerate().map(tie).collect())
    }

    fn common(&self, message: &Outgoing, data_coding: DataCoding) -> SubmitSm {
        let (ton, npi) = self.dest_ton_npi;
        let source = match message.batch.sender.as_deref() {
            Some(sender) => source(sender, self.source_ton_npi),
            None => self.default_source.clone(),
        };
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
            validity_period: relative(self.validity_s),
            data_coding,
            ..SubmitSm::default()
        }
    }

    fn parts(&self, text: &str) -> Result<Parts, TooLong> {
        if self.coding == Wanted::Latin1
            && let Some(latin1) = alphabet::encode_latin1(text).filter(|octets| octets.len() <= 140)
        {
            return Ok(Parts {
                texts: vec![latin1],
                data_coding: DataCoding::LATIN1,
                packed: false,
            });
        }
        if self.coding == Wanted::Ucs2 {
            let cut = segment::segments_ucs2(text, self.reference())?;
            return Ok(Parts {
                texts: cut.parts.into_iter().collect(),
                data_coding: DataCoding::UCS2,
                packed: false,
            });
        }
        let cut = segment::segments(text, self.reference())?;
        let data_coding = match cut.alphabet {
            Alphabet::Gsm7 => DataCoding::DEFAULT,
            Alphabet::Ucs2 => DataCoding::UCS2,
        };
        let packed = cut.alphabet == Alphabet::Gsm7 && self.coding == Wanted::Gsm7Packed;
        let mut texts: Vec<Vec<u8>> = cut.parts.into_iter().collect();
        if packed && texts.len() == 1 {
            texts = texts.iter().map(|septets| alphabet::pack(septets, 0)).collect();
        }
        Ok(Parts {
            texts,
            data_coding,
            packed,
        })
    }

    fn tied(
        &self,
        mut pdu: SubmitSm,
        text: Vec<u8>,
        packed: bool,
        number: u16,
        total: u8,
        seq: u8,
    ) -> SubmitSm {
        if self.linking == Linking::Sar {
            pdu.tlvs.set_sar(Sar {
                reference: number,
                total,
                seqnum: seq,
            });
            let text = if packed { alphabet::pack(&text, 0) } else { text };
            return with_text(pdu, text);
        }
        let mut octets = segment::udh(self.reference(), number, total, seq).to_vec();
        if packed {
            // Packed text begins on a septet boundary after the header (TS 23.040 §9.2.3.24).
            octets.extend(alphabet::pack(&text, alphabet::fill_bits(octets.len())));
        } else {
            octets.extend(text);
        }
        pdu.esm_class = pdu.esm_class.with(EsmClass::UDHI);
        with_text(pdu, octets)
    }
}

struct Parts {
    texts: Vec<Vec<u8>>,
    data_coding: DataCoding,
    packed: bool,
}

fn with_text(mut pdu: SubmitSm, text: Vec<u8>) -> SubmitSm {
    pdu.short_message = Bytes::from(text);
    pdu
}

/// Fills in texts; keeps the last pattern parsed, as the messages of a batch come one after the other.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    last: Option<(Arc<str>, Template)>,
}

impl Texts {
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

fn source(sender: &str, ton_npi: Option<(u8, u8)>) -> Address {
    if sender.is_empty() {
        return Address::default();
    }
    let (ton, npi) =
        ton_npi.unwrap_or_else(|| Sender::parse(sender).map_or((5, 0), |sender| sender.ton_npi()));
    let digits = sender
        .strip_prefix('+')
        .filter(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    let addr = digits.unwrap_or(sender);
    // Alphanumeric senders travel in the GSM alphabet; what is not in it cannot be shown by any handset.
    let octets = alphabet::encode_gsm7(addr).unwrap_or_else(|| addr.as_bytes().to_vec());
    let plain = addr.is_ascii();
    let addr = if plain {
        COctetString::from(addr)
    } else {
        COctetString::from(octets.as_slice())
    };
    Address {
        ton: Ton(ton),
        npi: Npi(npi),
        addr,
    }
}

/// Ties segments: consecutive numbers differ between messages to one recipient for 65 536 messages.
pub(crate) const fn segment_number(message: &Outgoing) -> u16 {
    message.id.0 as u16
}

/// When an attempt of a message is given to the carrier for metrics: milliseconds since it was accepted.
pub(crate) fn waited_ms(message: &Outgoing, now: UnixMs) -> i64 {
    (now - message.batch.due.unwrap_or_else(|| message.id.accepted_at())).max(0)
}
