//! Inbound messages in any coding and any parts: the content is always a text or octets, a text has at most three
//! characters per octet, and its normal form is stable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sms::data_coding::Charset;
use sms::opt_out::{Words, normal};
use sms::phone::carrier::{NumberType, names, readings};
use sms::udh::{self, Headed};
use sms::user_data::{Coding, Content, UserData, content};

const DEFAULTS: [Charset; 4] = [Charset::Gsm7, Charset::Gsm7Packed, Charset::Ascii, Charset::Latin1];

/// Parts split by the input: a length, a `data_coding` and flags in front of each.
fn parts(mut input: &[u8]) -> Vec<UserData> {
    let mut parts = Vec::new();
    while let [len, data_coding, flags, rest @ ..] = input {
        let (payload, behind) = rest.split_at(rest.len().min(usize::from(*len)));
        let headed = if flags & 1 != 0 { udh::read(payload) } else { Headed::none(payload) };
        let default = DEFAULTS[usize::from(flags >> 1 & 3)];
        parts.push(UserData::new(Charset::of(*data_coding, default), &headed, None));
        input = behind;
    }
    parts
}

fuzz_target!(|input: &[u8]| {
    let parts = parts(input);
    for part in &parts {
        assert_eq!(Coding::from_number(part.coding.to_number()), part.coding);
    }
    let octets: usize = parts.iter().map(|part| part.octets.len()).sum();
    match content(&parts) {
        Content::Text(text) => {
            assert!(text.chars().count() <= octets * 3 + parts.len());
            let once = normal(&text);
            assert_eq!(normal(&once), once);
            let _ = Words::new(["STOP"], ["START"]).action(&text);
            let _ = (
                readings(&text, NumberType::National, Some(44)),
                names(&text, NumberType::Other, None),
            );
        }
        Content::Binary(binary) => assert_eq!(binary.octets.len(), octets),
    }
});
