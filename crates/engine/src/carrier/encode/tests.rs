use super::*;
use crate::catalog::DefaultAlphabet;
use proptest::prelude::*;
use sms::class::{Class, Kind};
use sms::data_coding::Charset;
use sms::phone::Msisdn;
use store::{AccountId, BatchView, CarrierNo, Dialect, Lane, MessageId, QueuePosition, QueueSeq};

fn message(text: &str, params: Option<&str>, sender: Option<&str>) -> Outgoing {
    let lane = Lane {
        carrier: CarrierNo(1),
        class: Class::Otp,
        account: AccountId(1),
    };
    Outgoing {
        id: MessageId(7),
        key: QueuePosition {
            lane,
            no: QueueSeq(1),
        },
        msisdn: Msisdn::from_u64(447_700_900_123).unwrap(),
        params: params.map(Box::from),
        segments: 1,
        reference: 0x1234,
        batch: Arc::new(BatchView {
            accepted_at: 0,
            id: MessageId(7),
            session: MessageId(7),
            count: 1,
            account: AccountId(1),
            dialect: Dialect::Sendcloud,
            user: "".into(),
            dimensions: store::DimensionsNo::default(),
            class: Class::Otp,
            kind: Kind::Text,
            message_type: None,
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
fn a_carriers_own_settings_are_applied() {
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

/// The text that a handset puts together of parts.
fn joined(pdus: &[SubmitSm]) -> String {
    let text = |pdu: &SubmitSm| {
        let octets = pdu.tlvs.message_payload().unwrap_or(&pdu.short_message);
        let octets = if pdu.esm_class.has_udhi() {
            sms::udh::read(octets).text.to_vec()
        } else {
            octets.to_vec()
        };
        match pdu.data_coding {
            DataCoding::LATIN1 => alphabet::decode_latin1(&octets),
            DataCoding::UCS2 => alphabet::decode_ucs2(&octets),
            _ => alphabet::decode_gsm7(&octets),
        }
    };
    pdus.iter().map(text).collect()
}

#[test]
fn a_latin1_carrier_gets_texts_of_any_length_in_its_own_alphabet() {
    for (characters, linking, parts) in [
        (140, Linking::Udh16, 1),
        (141, Linking::Udh16, 2),
        (160, Linking::Udh16, 2),
        (268, Linking::Udh16, 3),
        (268, Linking::Udh8, 2),
        (268, Linking::Sar, 2),
        (900, Linking::Udh16, 7),
    ] {
        let settings = SmppSettings {
            data_coding: Wanted::Latin1,
            linking,
            ..SmppSettings::default()
        };
        let text = "aç{ÿ".repeat(characters / 4) + &"x".repeat(characters % 4);
        let pdus = pdus(&settings, &message(&text, None, None));
        assert_eq!(pdus.len(), parts, "{characters} {linking:?}");
        assert!(pdus.iter().all(|pdu| pdu.data_coding == DataCoding::LATIN1));
        assert_eq!(joined(&pdus), text);
    }
    let settings = SmppSettings {
        data_coding: Wanted::Latin1,
        ..SmppSettings::default()
    };
    let euro = pdus(&settings, &message("5 €", None, None)).remove(0);
    assert_eq!(euro.data_coding, DataCoding::UCS2, "not in Latin-1");
}

#[test]
fn seven_spare_bits_of_a_packed_text_are_no_at_sign() {
    let packed = |text: &str, linking| {
        let settings = SmppSettings {
            data_coding: Wanted::Gsm7Packed,
            linking,
            ..SmppSettings::default()
        };
        pdus(&settings, &message(text, None, None))
    };
    let one = |text| packed(text, Linking::Udh16).remove(0).short_message;
    assert_eq!(one("1234567")[..], [0x31, 0xd9, 0x8c, 0x56, 0xb3, 0xdd, 0x1a]);
    assert_ne!(one("1234567"), one("1234567@"));
    assert_eq!(one("1234567\r").len(), 8);
    // 152 septets and then 7, behind a header of 7 octets; 153 and then 14 behind one of 6, with a fill bit.
    for (linking, header, septets) in [(Linking::Udh16, 7, 152 + 7), (Linking::Udh8, 6, 153 + 14)] {
        let parts = packed(&"x".repeat(septets.max(161)), linking);
        assert_eq!(parts.len(), 2);
        for part in &parts {
            let fill = alphabet::fill_bits(header);
            let body = &part.short_message[header..];
            let read = alphabet::unpack(body, fill, usize::MAX);
            assert!(!read.contains(&0), "{linking:?}: {read:?}");
        }
    }
}

#[test]
fn data_coding_0_is_what_the_carrier_says_it_is() {
    let of = |default_alphabet, text: &str| {
        let settings = SmppSettings {
            default_alphabet,
            ..SmppSettings::default()
        };
        pdus(&settings, &message(text, None, None)).remove(0)
    };
    let latin1 = of(DefaultAlphabet::Latin1, "é@ç_");
    assert_eq!(latin1.data_coding, DataCoding::DEFAULT);
    assert_eq!(&latin1.short_message[..], b"\xe9@\xe7_");
    assert_eq!(of(DefaultAlphabet::Latin1, "€").data_coding, DataCoding::UCS2);

    let ascii = of(DefaultAlphabet::Ascii, "a@b_{$}");
    assert_eq!(ascii.data_coding, DataCoding::DEFAULT);
    assert_eq!(&ascii.short_message[..], b"a@b_{$}");
    assert_eq!(of(DefaultAlphabet::Ascii, "é").data_coding, DataCoding::UCS2);

    assert_eq!(&of(DefaultAlphabet::Gsm7, "é@").short_message[..], b"\x05\x00");
}

#[test]
fn a_long_text_goes_whole_where_the_carrier_cuts_it() {
    for data_coding in [Wanted::Gsm7Unpacked, Wanted::Latin1, Wanted::Ucs2] {
        let settings = SmppSettings {
            data_coding,
            long_text: LongText::MessagePayload,
            ..SmppSettings::default()
        };
        let text = "x".repeat(700);
        let long = pdus(&settings, &message(&text, None, None));
        assert_eq!(long.len(), 1);
        assert!(long[0].short_message.is_empty());
        assert!(!long[0].esm_class.has_udhi() && long[0].tlvs.sar().is_none());
        assert_eq!(joined(&long), text);
        assert!(
            smpp::Pdu::from(long[0].clone())
                .to_bytes(smpp::CommandStatus::ROK, 1)
                .is_ok()
        );

        let short = pdus(&settings, &message("short", None, None));
        assert!(short[0].tlvs.message_payload().is_none());
    }
}

#[test]
fn senders_stand_as_their_type_of_number_says() {
    let source = |sender: &str| {
        pdus(&SmppSettings::default(), &message("x", None, Some(sender)))
            .remove(0)
            .source
    };
    for (sender, ton, npi, octets) in [
        ("00447700900555", 1, 1, &b"447700900555"[..]),
        ("+447700900555", 1, 1, b"447700900555"),
        ("447700900555", 1, 1, b"447700900555"),
        (" Acme ", 5, 0, b"Acme"),
        ("Caf\u{e9}", 5, 0, b"Caf\x05"),
        ("12345", 3, 0, b"12345"),
    ] {
        let source = source(sender);
        assert_eq!(
            (source.ton.0, source.npi.0, source.addr.as_bytes()),
            (ton, npi, octets),
            "{sender}"
        );
    }
    let carrier = SmppSettings {
        default_sender: " Acme ".to_owned(),
        ..SmppSettings::default()
    };
    let pdu = pdus(&carrier, &message("x", None, None)).remove(0);
    assert_eq!(pdu.source.addr.as_bytes(), b"Acme");
}

#[test]
fn a_sender_that_fits_no_address_is_said_to_be_wrong() {
    let error = |settings: &SmppSettings, sender| {
        Profile::of(settings)
            .pdus(&message("x", None, sender), 1, 0, &mut Texts::default())
            .unwrap_err()
    };
    for sender in ["\u{e9}@1", "\u{90ae}\u{9a7f}", "TwelveLetter", "A\u{e7}me"] {
        let error = error(&SmppSettings::default(), Some(sender));
        assert!(matches!(error, EncodeError::Sender(_)), "{sender}");
        assert_eq!(error.status(), CommandStatus::RINVSRCADR);
    }
    let carrier = SmppSettings {
        default_sender: "\u{90ae}".to_owned(),
        ..SmppSettings::default()
    };
    assert!(matches!(error(&carrier, None), EncodeError::Sender(_)));
    assert!(
        Profile::of(&carrier)
            .pdus(&message("x", None, Some("Acme")), 1, 0, &mut Texts::default())
            .is_ok(),
        "a message with a sender of its own goes"
    );
}

#[test]
fn a_carriers_tlvs_go_with_every_part() {
    let settings = SmppSettings {
        tlvs: [
            (
                "0x1400".to_owned(),
                crate::catalog::TlvValue::Text("1101".to_owned()),
            ),
            (
                "0x1401".to_owned(),
                crate::catalog::TlvValue::Hex {
                    hex: "00ff".to_owned(),
                },
            ),
        ]
        .into(),
        linking: Linking::Sar,
        ..SmppSettings::default()
    };
    let pdus = pdus(&settings, &message(&"x".repeat(200), None, None));
    assert_eq!(pdus.len(), 2);
    for pdu in &pdus {
        let value = |tag| pdu.tlvs.get(smpp::tlv::Tag(tag)).map(|value| value.to_vec());
        assert_eq!(value(0x1400), Some(b"1101".to_vec()));
        assert_eq!(value(0x1401), Some(vec![0, 255]));
        assert!(pdu.tlvs.sar().is_some());
    }
}

#[test]
fn an_inbound_text_is_read_in_the_carriers_default_alphabet() {
    let of = |default_alphabet| {
        let settings = SmppSettings {
            default_alphabet,
            ..SmppSettings::default()
        };
        crate::inbound::default_charset(&settings)
    };
    assert_eq!(of(DefaultAlphabet::Gsm7), Charset::Gsm7);
    assert_eq!(of(DefaultAlphabet::Latin1), Charset::Latin1);
    assert_eq!(of(DefaultAlphabet::Ascii), Charset::Ascii);
}
