//! Opt-outs and opt-ins over a real carrier session and a real store: in every form
//! in which carriers bring what they write.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod testkit;

use engine::catalog::{CatalogChange, DataCoding as Habit, SmppSettings};
use smpp::field::{Address, DataCoding, EsmClass, Npi, Ton};
use smpp::pdu::{DeliverSm, SubmitSm};
use smpp::tlv::{Sar, Tag};
use sms::alphabet::{encode_ucs2, fill_bits, pack};
use std::sync::Arc;
use std::time::Duration;
use store::{Account, InboundFilter, Inbox, Store};
use testkit::{ACCOUNT, Act, PLAIN, Smsc, TestEngine, numbers, smpp};

/// One part of what a person writes.
#[derive(Clone)]
struct Part {
    data_coding: u8,
    esm_class: u8,
    octets: Vec<u8>,
    sar: Option<Sar>,
    /// In `message_payload`.
    payload: bool,
    /// How the person's number is written, from its digits.
    source: fn(&str) -> Address,
    to: &'static str,
}

fn plain(data_coding: u8, octets: &[u8]) -> Part {
    Part {
        data_coding,
        esm_class: 0,
        octets: octets.to_vec(),
        sar: None,
        payload: false,
        source: |digits| Address::international(digits),
        to: "10690",
    }
}

fn headed(data_coding: u8, header: &[u8], octets: &[u8]) -> Part {
    let mut all = vec![u8::try_from(header.len()).unwrap()];
    all.extend_from_slice(header);
    all.extend_from_slice(octets);
    Part {
        esm_class: 0x40,
        ..plain(data_coding, &all)
    }
}

fn ucs2(text: &str) -> Vec<u8> {
    encode_ucs2(text)
}

fn from(source: fn(&str) -> Address) -> Vec<Part> {
    vec![Part {
        source,
        ..plain(0, b"STOP")
    }]
}

fn address(ton: Ton, digits: &str) -> Address {
    Address {
        ton,
        npi: Npi::ISDN,
        addr: digits.into(),
    }
}

impl Part {
    fn from(self, submit: &SubmitSm) -> DeliverSm {
        let digits = String::from_utf8_lossy(submit.destination.addr.as_bytes()).into_owned();
        let mut pdu = DeliverSm {
            source: (self.source)(&digits),
            destination: Address::unknown(self.to),
            esm_class: EsmClass(self.esm_class),
            data_coding: DataCoding(self.data_coding),
            ..DeliverSm::default()
        };
        if let Some(sar) = self.sar {
            pdu.tlvs.set_sar(sar);
        }
        if self.payload {
            pdu.tlvs.push(Tag::MESSAGE_PAYLOAD, self.octets);
        } else {
            pdu.short_message = self.octets.into();
        }
        pdu
    }
}

/// For each form, a person is sent a message and answers in that form, until so many messages are whole; the numbers that
/// unsubscribed.
async fn answered(settings: SmppSettings, forms: Vec<Vec<Part>>, whole: usize) -> (TestEngine, Vec<u64>) {
    let count = forms.len();
    let forms = Arc::new(forms);
    let smsc = Smsc::start(move |_, submit| {
        let digits = String::from_utf8_lossy(submit.destination.addr.as_bytes()).into_owned();
        let at: usize = digits[digits.len() - 4..].parse().unwrap();
        Act {
            inbound: forms[at].iter().map(|part| part.clone().from(submit)).collect(),
            ..Act::DELIVER
        }
    })
    .await;
    let test = TestEngine::start(vec![SmppSettings {
        port: smsc.port,
        ..settings
    }])
    .await;
    let account = Account {
        opt_out_words: vec!["STOP".into(), "STOPALL".into(), "İPTAL".into(), "退订".into()],
        ..test.engine.catalog().account(ACCOUNT).unwrap().as_ref().clone()
    };
    test.change(vec![CatalogChange::PutAccount(account)]).await;
    test.send(PLAIN, &numbers(count as u64)).await;
    until_whole(&test, whole).await;
    let suppressed = test.store.suppressions(None, 1_000).await.unwrap();
    let numbers = suppressed
        .iter()
        .map(|one| one.msisdn.as_u64() % 10_000)
        .collect();
    drop(smsc);
    (test, numbers)
}

/// So many messages came, and were stored with all that they ask for.
async fn until_whole(test: &TestEngine, whole: usize) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let filter = InboundFilter {
            limit: 10_000,
            ..InboundFilter::default()
        };
        let (found, _) = test.store.find_inbound(filter).await.unwrap();
        if found.len() >= whole {
            return;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} of {whole}",
            found.len()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn two(data_coding: u8, reference: u8, a: &[u8], b: &[u8]) -> Vec<Part> {
    vec![
        headed(data_coding, &[0, 3, reference, 2, 1], a),
        headed(data_coding, &[0, 3, reference, 2, 2], b),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_is_recognised_in_every_form() {
    let mut forms: Vec<Vec<Part>> = Vec::new();
    // Every coding of GSM or ASCII letters.
    for data_coding in [
        0u8, 1, 3, 5, 6, 7, 9, 10, 13, 14, 0x10, 0x11, 0x12, 0x13, 0x40, 0xC0, 0xC8, 0xD0, 0xDF, 0xF0, 0xF3,
    ] {
        forms.push(vec![plain(data_coding, b"STOP")]);
        forms.push(vec![plain(data_coding, b" stop.\0")]);
        forms.push(two(data_coding, 1, b"ST", b"OP"));
    }
    for data_coding in [8, 0x18, 0x19, 0x1A, 0x1B, 0x48, 0xE0, 0xE8, 0xEF] {
        for text in [
            "STOP",
            "\u{FEFF}STOP",
            "STOP\0",
            "ＳＴＯＰ",
            "S\u{200B}TOP\u{200B}",
            "\u{A0}Stop\u{3000}",
            "stop。",
            "退订",
            "iptal",
            "İPTAL",
            "i\u{307}ptal",
        ] {
            forms.push(vec![plain(data_coding, &ucs2(text))]);
        }
        let whole = ucs2("退订");
        forms.push(two(data_coding, 1, &whole[..1], &whole[1..]));
        forms.push(vec![plain(data_coding, b"\xff\xfeS\0T\0O\0P\0")]);
        forms.push(vec![plain(data_coding, b"\0S\0T\0O\0P\0")]);
    }
    // Parts, in any form and order.
    let mut turned = two(0, 2, b"ST", b"OP");
    turned.reverse();
    forms.push(turned);
    let wide = |number, octets| headed(0, &[8, 4, 1, 200, 2, number], octets);
    forms.push(vec![wide(1, b"ST"), wide(2, b"OP")]);
    let sar = |seqnum, octets: &[u8]| Part {
        sar: Some(Sar {
            reference: 77,
            total: 2,
            seqnum,
        }),
        ..plain(0, octets)
    };
    forms.push(vec![sar(1, b"ST"), sar(2, b"OP")]);
    forms.push(vec![
        headed(0, &[0, 3, 9, 2, 1], b"ST"),
        headed(8, &[0, 3, 9, 2, 2], &ucs2("OP")),
    ]);
    forms.push(vec![Part {
        payload: true,
        ..plain(8, &ucs2("STOP"))
    }]);
    // National tables.
    forms.push(vec![headed(0, &[0x25, 1, 1], b"\x40PTAL")]);
    forms.push(vec![headed(0, &[0x24, 1, 1], b"\x1bIPTAL")]);
    forms.push(vec![
        headed(0, &[0, 3, 9, 2, 1, 0x24, 1, 1], b"\x1b"),
        headed(0, &[0, 3, 9, 2, 2, 0x24, 1, 1], b"IPTAL"),
    ]);
    // The person's number.
    forms.push(from(|digits| address(Ton::INTERNATIONAL, &format!("+{digits}"))));
    forms.push(from(|digits| address(Ton::UNKNOWN, &format!("00{digits}"))));
    forms.push(from(|digits| {
        address(Ton::UNKNOWN, &format!("0{}", &digits[2..]))
    }));
    forms.push(from(|digits| {
        address(Ton::NATIONAL, &format!("0{}", &digits[2..]))
    }));
    forms.push(from(|digits| address(Ton::NATIONAL, &digits[2..])));
    forms.push(from(|digits| address(Ton::INTERNATIONAL, &digits[2..])));
    forms.push(from(|digits| address(Ton::NATIONAL, digits)));
    let settings = SmppSettings {
        country_code: "44".to_owned(),
        ..smpp(0)
    };
    let recognised = forms.len();
    // And what is none.
    forms.push(vec![plain(4, b"STOP")]);
    forms.push(vec![plain(2, b"STOP")]);
    forms.push(vec![plain(0x14, b"STOP")]);
    forms.push(vec![plain(0x38, b"STOP")]);
    forms.push(vec![plain(0xF4, b"STOP")]);
    forms.push(vec![headed(0, &[5, 4, 0x0B, 0x84, 0x23, 0xF0], b"STOP")]);
    forms.push(vec![plain(0, b"please stop")]);
    forms.push(vec![headed(0, &[0, 3, 9, 3, 1], b"STOP")]);
    let whole = forms.len() - 1;
    let (_test, numbers) = answered(settings, forms, whole).await;
    let wanted: Vec<u64> = (0..recognised as u64).collect();
    let missing: Vec<&u64> = wanted.iter().filter(|n| !numbers.contains(n)).collect();
    assert_eq!(numbers, wanted, "missing {missing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_is_recognised_in_packed_septets() {
    let packed = |text: &[u8]| plain(0, &pack(text, 0));
    let header = [0u8, 3, 5, 2];
    let cut = |number: u8, text: &[u8]| {
        let header: Vec<u8> = header.iter().copied().chain([number]).collect();
        headed(0, &header, &pack(text, fill_bits(6)))
    };
    let forms = vec![
        vec![packed(b"STOP")],
        vec![packed(b"STOPALL")],
        vec![packed(b"STOPALL\r")],
        vec![cut(1, b"STOP"), cut(2, b"ALL")],
        vec![cut(2, b"OPALL"), cut(1, b"ST")],
        vec![plain(0x11, &pack(b"STOP", 0))],
        vec![plain(8, &ucs2("STOP"))],
    ];
    let count = forms.len() as u64;
    let settings = SmppSettings {
        data_coding: Habit::Gsm7Packed,
        ..smpp(0)
    };
    let (_test, numbers) = answered(settings, forms, 7).await;
    assert_eq!(numbers, (0..count).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_start_gets_messages_again() {
    let forms = vec![
        vec![plain(0, b"STOP"), plain(8, &ucs2("Start。"))],
        vec![plain(0, b"STOP")],
    ];
    let (test, out) = answered(smpp(0), forms, 3).await;
    assert_eq!(out, [1]);
    let again = test.send(PLAIN, &numbers(2)).await;
    assert_eq!(again.accepted(), 1);
}
