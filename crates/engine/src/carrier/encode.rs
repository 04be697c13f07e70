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

/// The shortest validity given for what is left of a time to live: carriers refuse one of no length.
const VALIDITY_S_MIN: u32 = 5;

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
    /// between messages to one recipient. What is left of the message's time to live at `now` is its validity.
    ///
    /// # Errors
    /// When the text needs more than 255 segments.
    pub(crate) fn pdus(
        &self,
        message: &Outgoing,
        number: u16,
        now: UnixMs,
        texts: &mut Texts,
    ) -> Result<Vec<SubmitSm>, TooLong> {
        let text = texts.of(message);
        let parts = self.parts(&text)?;
        let total = u8::try_from(parts.texts.len()).unwrap_or(u8::MAX);
        let common = self.common(message, parts.data_coding, now);
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

    fn common(&self, message: &Outgoing, data_coding: DataCoding, now: UnixMs) -> SubmitSm {
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
            validity_period: relative(self.validity_s(message, now)),
            data_coding,
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

/// When an attempt of a message is given to the carrier for metrics: milliseconds since it was accepted.
pub(crate) fn waited_ms(message: &Outgoing, now: UnixMs) -> i64 {
    (now - message.batch.due.unwrap_or_else(|| message.id.accepted_at())).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sms::class::{Class, Kind};
    use sms::phone::Msisdn;
    use store::{AccountId, BatchView, CarrierNo, Dialect, Lane, MessageId, QueueKey, QueueNo};

    fn message(text: &str, params: Option<&str>, sender: Option<&str>) -> Outgoing {
        let lane = Lane {
            carrier: CarrierNo(1),
            class: Class::Otp,
            account: AccountId(1),
        };
        Outgoing {
            id: MessageId(7),
            key: QueueKey { lane, no: QueueNo(1) },
            msisdn: Msisdn::from_u64(447_700_900_123).unwrap(),
            params: params.map(Box::from),
            segments: 1,
            reference: 0x1234,
            batch: Arc::new(BatchView {
                id: MessageId(7),
                session: MessageId(7),
                count: 1,
                account: AccountId(1),
                dialect: Dialect::Sendcloud,
                user: "".into(),
                series: store::SeriesNo::default(),
                class: Class::Otp,
                kind: Kind::Text,
                template: 1,
                text: Arc::from(text),
                sender: sender.map(Box::from),
                label: 0,
                custom: None,
                due: None,
                expires_at: None,
            }),
            attempts: 0,
            last_attempt: None,
            taken: None,
        }
    }

    fn pdus(settings: &SmppSettings, message: &Outgoing) -> Vec<SubmitSm> {
        Profile::of(settings)
            .pdus(message, 0x1234, 0, &mut Texts::default())
            .unwrap()
    }

    #[test]
    fn a_short_text_is_one_plain_pdu() {
        let pdus = pdus(
            &SmppSettings::default(),
            &message("Your code is {1}", Some(r#"["42@"]"#), Some("Post")),
        );
        assert_eq!(pdus.len(), 1);
        assert_eq!(
            &pdus[0].short_message[..],
            b"Your code is 42\x00",
            "the at sign is septet 0"
        );
        assert_eq!(pdus[0].data_coding, DataCoding::DEFAULT);
        assert_eq!(pdus[0].esm_class, EsmClass::default());
        assert_eq!((pdus[0].source.ton.0, pdus[0].source.npi.0), (5, 0));
        assert_eq!(pdus[0].destination.addr.as_bytes(), b"447700900123");
        assert_eq!(pdus[0].registered_delivery, RegisteredDelivery::FINAL);
    }

    #[test]
    fn long_texts_are_tied_as_the_carrier_wants() {
        let long = "x".repeat(161);
        let with = |linking, data_coding| {
            let settings = SmppSettings {
                linking,
                data_coding,
                ..SmppSettings::default()
            };
            pdus(&settings, &message(&long, None, None))
        };
        let udh16 = with(Linking::Udh16, Wanted::Gsm7Unpacked);
        assert_eq!(udh16.len(), 2);
        assert!(udh16.iter().all(|pdu| pdu.esm_class.has_udhi()));
        assert_eq!(&udh16[1].short_message[..7], [6, 8, 4, 0x12, 0x34, 2, 2]);
        assert_eq!(udh16[0].short_message.len(), 7 + 152);

        let udh8 = with(Linking::Udh8, Wanted::Gsm7Unpacked);
        assert_eq!(&udh8[0].short_message[..6], [5, 0, 3, 0x34, 2, 1]);
        assert_eq!(udh8[0].short_message.len(), 6 + 153);

        let sar = with(Linking::Sar, Wanted::Gsm7Unpacked);
        let ties: Vec<_> = sar
            .iter()
            .filter_map(|pdu| pdu.tlvs.sar())
            .map(|sar| (sar.reference, sar.seqnum))
            .collect();
        assert_eq!(ties, [(0x1234, 1), (0x1234, 2)]);
        assert!(
            sar.iter().all(|pdu| !pdu.esm_class.has_udhi()),
            "never both ways at once"
        );

        let packed = with(Linking::Udh16, Wanted::Gsm7Packed);
        assert_eq!(
            packed[0].short_message.len(),
            140,
            "152 septets fill 133 octets beside a header of 7"
        );
    }

    #[test]
    fn a_carriers_own_wishes_are_heard() {
        let settings = SmppSettings {
            data_coding: Wanted::Latin1,
            default_sender: "12345".to_owned(),
            source_ton_npi: Some((0, 1)),
            dest_ton_npi: (2, 8),
            service_type: "CMT".to_owned(),
            validity_s: 90_061,
            receipts: false,
            ..SmppSettings::default()
        };
        let pdu = pdus(&settings, &message("naïve", None, None)).remove(0);
        assert_eq!(&pdu.short_message[..], b"na\xefve");
        assert_eq!(pdu.data_coding, DataCoding::LATIN1);
        assert_eq!(
            (pdu.source.ton.0, pdu.source.npi.0, pdu.source.addr.as_bytes()),
            (0, 1, &b"12345"[..])
        );
        assert_eq!((pdu.destination.ton.0, pdu.destination.npi.0), (2, 8));
        assert_eq!(pdu.service_type.as_bytes(), b"CMT");
        assert_eq!(
            pdu.validity_period.as_bytes(),
            b"000001010101000R",
            "one day, one hour, one minute, one second"
        );
        assert_eq!(pdu.registered_delivery, RegisteredDelivery::NONE);

        let ucs2 = SmppSettings {
            data_coding: Wanted::Ucs2,
            ..SmppSettings::default()
        };
        let pdu = pdus(&ucs2, &message("ab", None, Some("+15550100"))).remove(0);
        assert_eq!(&pdu.short_message[..], [0, b'a', 0, b'b']);
        assert_eq!(
            (pdu.source.ton.0, pdu.source.addr.as_bytes()),
            (1, &b"15550100"[..])
        );
    }

    proptest! {
        #[test]
        fn every_text_fits_its_pdus(text in ".{0,900}") {
            for linking in [Linking::Udh16, Linking::Udh8, Linking::Sar] {
                for data_coding in [Wanted::Gsm7Unpacked, Wanted::Gsm7Packed, Wanted::Latin1, Wanted::Ucs2] {
                    let settings = SmppSettings { linking, data_coding, ..SmppSettings::default() };
                    for pdu in pdus(&settings, &message(&text, None, None)) {
                        prop_assert!(pdu.short_message.len() <= 160);
                        prop_assert!(smpp::Pdu::from(pdu).to_bytes(smpp::CommandStatus::ROK, 1).is_ok());
                    }
                }
            }
        }
    }
}
