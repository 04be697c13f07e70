use super::*;
use proptest::prelude::*;
use smpp::tlv::Tag;

const TEXT: &[u8] =
    b"id:abc sub:001 dlvrd:001 submit date:2611220930 done date:2611220931 stat:DELIVRD err:000";

fn read(settings: &SmppSettings, esm_class: u8, coding: u8, text: &[u8], tlvs: &[(u16, &[u8])]) -> Read {
    let mut pdu = DeliverSm {
        esm_class: EsmClass(esm_class),
        data_coding: DataCoding(coding),
        short_message: text.to_vec().into(),
        ..DeliverSm::default()
    };
    for (tag, value) in tlvs {
        pdu.tlvs.push(Tag(*tag), value.to_vec());
    }
    let profile = ReceiptProfile::of(settings);
    let of_deliver = profile.of_deliver(&pdu);
    // The same in a data_sm.
    let mut data = DataSm {
        esm_class: pdu.esm_class,
        data_coding: pdu.data_coding,
        tlvs: pdu.tlvs.clone(),
        ..DataSm::default()
    };
    data.tlvs.push(Tag(0x0424), text.to_vec());
    assert_eq!(format!("{:?}", profile.of_data(&data)), format!("{of_deliver:?}"));
    of_deliver
}

fn plain(esm_class: u8, text: &[u8], tlvs: &[(u16, &[u8])]) -> Read {
    read(&SmppSettings::default(), esm_class, 0, text, tlvs)
}

const ID: (u16, &[u8]) = (0x001e, b"abc\0");
const DELIVERED: (u16, &[u8]) = (0x0427, &[2]);

#[test]
fn a_receipt_is_known_by_its_mark_its_parameters_or_its_text() {
    for (name, read) in [
        ("marked", plain(0x04, TEXT, &[])),
        ("parameters and no mark", plain(0, b"", &[ID, DELIVERED])),
        (
            "parameters, no mark, some text",
            plain(0, b"hello", &[ID, DELIVERED]),
        ),
        (
            "marked, with a header",
            plain(0x44, &[&[3, 0x70, 1, 0][..], TEXT].concat(), &[]),
        ),
    ] {
        let Read::Receipt(receipt) = read else {
            panic!("{name}: {read:?}")
        };
        assert_eq!(receipt.state, ReceiptState::Delivered, "{name}");
    }
    for (name, read) in [
        ("text", plain(0, TEXT, &[])),
        (
            "text behind a header",
            plain(0x40, &[&[3, 0x70, 1, 0][..], TEXT].concat(), &[]),
        ),
        ("a parameter and a text", plain(0, b"stat:DELIVRD", &[ID])),
        ("a text and a parameter", plain(0, b"id:abc", &[DELIVERED])),
    ] {
        let Read::Likely(receipt) = read else {
            panic!("{name}: {read:?}")
        };
        assert_eq!(receipt.state, ReceiptState::Delivered, "{name}");
    }
    for text in [
        &b"hello"[..],
        b"",
        b"my id: 5",
        b"id:5 stat:whatever",
        b"see you at 5:30",
    ] {
        assert!(matches!(plain(0, text, &[]), Read::Inbound), "{text:?}");
    }
    assert!(matches!(plain(0, b"hello", &[DELIVERED]), Read::Inbound));
    assert!(matches!(plain(0x04, b"hello", &[]), Read::Unreadable));
}

#[test]
fn intermediate_notifications_are_never_the_end() {
    for (text, tlvs) in [(TEXT, &[][..]), (&b""[..], &[ID, DELIVERED][..])] {
        let Read::Receipt(receipt) = plain(0x20, text, tlvs) else {
            panic!("a notification is a receipt");
        };
        assert!(!receipt.state.is_final());
    }
}

#[test]
fn receipts_in_ucs2_are_read_in_every_coding_that_says_so() {
    let text: Vec<u8> = TEXT.iter().flat_map(|octet| [0, *octet]).collect();
    for coding in [0x08, 0x18, 0x19, 0x48, 0xe0, 0xe8] {
        let read = read(&SmppSettings::default(), 0x04, coding, &text, &[]);
        assert!(matches!(read, Read::Receipt(_)), "{coding:#x}: {read:?}");
    }
}

#[test]
fn a_marked_receipt_is_read_however_its_text_is_written() {
    let wide: Vec<u8> = TEXT.iter().flat_map(|octet| [0, *octet]).collect();
    let little: Vec<u8> = TEXT.iter().flat_map(|octet| [*octet, 0]).collect();
    let marked = |mark: [u8; 2], text: &[u8]| [&mark[..], text].concat();
    let packed = sms::alphabet::pack_user_data(TEXT, 0);
    let header = [3, 0x70, 1, 0];
    let packed_behind = [&header[..], &sms::alphabet::pack_user_data(TEXT, header.len())].concat();
    for (name, esm_class, coding, text) in [
        ("the message's data_coding, plain octets", 0x04, 8, TEXT.to_vec()),
        ("plain octets as binary", 0x04, 4, TEXT.to_vec()),
        ("a byte order mark", 0x04, 8, marked([0xFE, 0xFF], &wide)),
        ("the other byte order", 0x04, 8, marked([0xFF, 0xFE], &little)),
        ("an indicator without a header", 0x44, 0, TEXT.to_vec()),
        ("an indicator without a header, UCS-2", 0x44, 8, wide),
        ("packed", 0x04, 0, packed.clone()),
        ("packed behind a header", 0x44, 0, packed_behind.clone()),
    ] {
        for data_coding in [
            crate::catalog::DataCoding::Gsm7Unpacked,
            crate::catalog::DataCoding::Gsm7Packed,
        ] {
            let settings = SmppSettings {
                data_coding,
                ..SmppSettings::default()
            };
            let Read::Receipt(receipt) = read(&settings, esm_class, coding, &text, &[]) else {
                panic!("{name}")
            };
            assert_eq!(
                (receipt.state, receipt.text_id.as_deref()),
                (ReceiptState::Delivered, Some("abc")),
                "{name}"
            );
        }
    }
    // Without a mark, packed septets are a receipt where they are what the carrier sends.
    let packs = SmppSettings {
        data_coding: crate::catalog::DataCoding::Gsm7Packed,
        ..SmppSettings::default()
    };
    for (esm_class, text) in [(0, packed.clone()), (0x40, packed_behind)] {
        assert!(matches!(read(&packs, esm_class, 0, &text, &[]), Read::Likely(_)));
    }
    assert!(matches!(plain(0, &packed, &[]), Read::Inbound));
}

#[test]
fn a_carriers_settings_say_what_its_words_mean_and_what_receipts_are_for() {
    let settings = SmppSettings {
        receipt_for: ReceiptFor::Message,
        receipt_words: [("weird".to_owned(), "undelivered".to_owned())].into(),
        id_notation: "hex_submit_decimal_receipt".to_owned(),
        ..SmppSettings::default()
    };
    let Read::Receipt(receipt) = read(&settings, 0x04, 0, b"id:16 stat:WEIRD", &[(0x001e, b"10\0")]) else {
        panic!("it is marked");
    };
    let profile = ReceiptProfile::of(&settings);
    let record = profile.record(receipt, CarrierNo(3), 9).unwrap();
    assert_eq!((record.carrier_id.as_str(), record.other_ids.len()), ("10", 0));
    assert_eq!(
        (record.state, record.scope),
        (ReceiptState::Undeliverable, ReceiptScope::Message)
    );
}

#[test]
fn unknown_words_are_logged_once_and_without_what_they_may_hide() {
    let profile = ReceiptProfile::of(&SmppSettings::default());
    assert_eq!(profile.to_be_logged("WEIRD").as_deref(), Some("WEIRD"));
    assert_eq!(profile.to_be_logged("WEIRD"), None);
    let long = profile.to_be_logged(&"a\n\u{1b}".repeat(90)).unwrap();
    assert_eq!(&*long, "a".repeat(WORD_LETTERS_MAX));
    for n in 0..100 {
        profile.to_be_logged(&n.to_string());
    }
    assert_eq!(profile.to_be_logged("one more"), None);
}

proptest! {
    #[test]
    fn reading_is_total(esm_class: u8, coding: u8, text in prop::collection::vec(any::<u8>(), 0..100), id: Option<Vec<u8>>, state: Option<u8>) {
        let mut tlvs = Tlvs::default();
        if let Some(id) = id {
            tlvs.push(Tag(0x001e), id);
        }
        if let Some(state) = state {
            tlvs.push(Tag(0x0427), vec![state]);
        }
        let profile = ReceiptProfile::of(&SmppSettings::default());
        let read = profile.read(EsmClass(esm_class), DataCoding(coding), &text, &tlvs);
        if EsmClass(esm_class).is_delivery_receipt() {
            prop_assert!(matches!(read, Read::Receipt(_) | Read::Unreadable));
        }
    }
}
