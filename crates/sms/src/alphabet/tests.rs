use proptest::prelude::*;

use super::*;

/// TS 23.038 §6.2.1 by its printed rows of 16, as Unicode numbers, typed independently of the table under test.
#[rustfmt::skip]
const PRINTED: [u32; 128] = [
    0x40, 0xA3, 0x24, 0xA5, 0xE8, 0xE9, 0xF9, 0xEC, 0xF2, 0xC7, 0x0A, 0xD8, 0xF8, 0x0D, 0xC5, 0xE5,
    0x394, 0x5F, 0x3A6, 0x393, 0x39B, 0x3A9, 0x3A0, 0x3A8, 0x3A3, 0x398, 0x39E, 0x1B, 0xC6, 0xE6, 0xDF, 0xC9,
    0x20, 0x21, 0x22, 0x23, 0xA4, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x2D, 0x2E, 0x2F,
    0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F,
    0xA1, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F,
    0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0xC4, 0xD6, 0xD1, 0xDC, 0xA7,
    0xBF, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x6B, 0x6C, 0x6D, 0x6E, 0x6F,
    0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0xE4, 0xF6, 0xF1, 0xFC, 0xE0,
];

#[test]
fn the_default_table_is_that_of_the_standard() {
    assert_eq!(DEFAULT.map(u32::from), PRINTED);
}

#[test]
fn every_character_of_both_tables_goes_there_and_back() {
    for septet in (0..128u8).filter(|septet| *septet != ESCAPE) {
        let text = DEFAULT[usize::from(septet)].to_string();
        assert_eq!(encode_gsm7(&text), Some(vec![septet]), "{text:?}");
        assert_eq!(septets(&text), Some(1), "{text:?}");
        assert_eq!(decode_gsm7(&[septet]), text);
    }
    for (septet, character) in EXTENSION {
        let text = character.to_string();
        assert_eq!(encode_gsm7(&text), Some(vec![ESCAPE, septet]), "{text:?}");
        assert_eq!(septets(&text), Some(2), "{text:?}");
        assert_eq!(decode_gsm7(&[ESCAPE, septet]), text);
    }
}

#[test]
fn exactly_137_characters_of_unicode_are_gsm7() {
    let held = ('\0'..=char::MAX)
        .filter(|character| septets_of(*character).is_some())
        .count();
    assert_eq!(
        held,
        127 + 10,
        "all of the default table but the escape, and the extension table"
    );
}

#[test]
fn lookalikes_are_not_gsm7() {
    for text in [
        "`", "ç", "\t", "\0", "\u{1B}", "’", "“", "–", "…", "á", "中", "😀", "¢", "Α",
    ] {
        assert_eq!(detect(text), Alphabet::Ucs2, "{text:?}");
        assert_eq!(encode_gsm7(text), None, "{text:?}");
        assert_eq!(septets(text), None, "{text:?}");
    }
    assert_eq!(detect(""), Alphabet::Gsm7);
    assert_eq!(detect("Grüße @ £5 {€}"), Alphabet::Gsm7);
    assert_eq!(detect("Your code is 8341 中"), Alphabet::Ucs2);
}

#[test]
fn escapes_that_mean_nothing_decode_as_the_standard_says() {
    for (octets, text) in [
        (&[ESCAPE, 0x41][..], "A"),
        (&[ESCAPE, 0x00], "@"),
        (&[ESCAPE, ESCAPE], " "),
        (&[ESCAPE, ESCAPE, 0x65], " e"),
        (&[0x61, ESCAPE], "a "),
        (&[0xE1, 0x80], "a@"),
        (&[], ""),
    ] {
        assert_eq!(decode_gsm7(octets), text, "{octets:02X?}");
    }
}

#[test]
fn packing_gives_the_well_known_octets() {
    let hello = encode_gsm7("hellohello").unwrap();
    assert_eq!(
        pack(&hello, 0),
        [0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37]
    );
    assert_eq!(pack(&hello, 0).len(), 9);
    // After a six-octet header one fill bit brings the text to septet 7 (TS 23.040 §9.2.3.24).
    assert_eq!(pack(b"A", 1), [0x82]);
    assert_eq!(pack(b"AB", 0), [0x41, 0x21]);
    assert_eq!(pack(&[], 0), [0u8; 0]);
    assert_eq!(pack(&[0x7F; 160], 0).len(), 140);
    assert_eq!(pack(&[0x7F; 153], fill_bits(6)).len(), 134);
    assert_eq!(pack(&[0x7F; 152], fill_bits(7)).len(), 133);
}

#[test]
fn fill_bits_lead_to_the_next_septet_boundary() {
    for (header_octets, bits) in [(0, 0), (3, 4), (4, 3), (5, 2), (6, 1), (7, 0), (12, 2), (14, 0)] {
        assert_eq!(fill_bits(header_octets), bits, "{header_octets} octets");
        assert_eq!((header_octets * 8 + bits) % 7, 0, "{header_octets} octets");
    }
}

#[test]
fn ucs2_is_big_endian_utf16_and_decodes_whatever_comes() {
    assert_eq!(
        encode_ucs2("A中😀"),
        [0x00, 0x41, 0x4E, 0x2D, 0xD8, 0x3D, 0xDE, 0x00]
    );
    for (octets, text) in [
        (&[0x00, 0x41, 0xD8, 0x3D][..], "A\u{FFFD}"),
        (&[0xDE, 0x00, 0x00, 0x41], "\u{FFFD}A"),
        (&[0x00, 0x41, 0x42], "A\u{FFFD}"),
        (&[], ""),
    ] {
        assert_eq!(decode_ucs2(octets), text, "{octets:02X?}");
    }
}

#[test]
fn latin1_holds_the_first_256_characters_and_no_more() {
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(encode_latin1(&decode_latin1(&all)), Some(all));
    assert_eq!(encode_latin1("ç`"), Some(vec![0xE7, 0x60]));
    assert_eq!(encode_latin1("€"), None);
}

/// Texts of GSM-7 characters only.
pub(crate) fn gsm7_text() -> impl Strategy<Value = String> {
    let extended = proptest::sample::select(EXTENSION.map(|(_, character)| character).to_vec());
    let plain: Vec<char> = DEFAULT
        .into_iter()
        .filter(|character| *character != '\u{1B}')
        .collect();
    let character = prop_oneof![9 => proptest::sample::select(plain), 2 => extended];
    proptest::collection::vec(character, 0..400).prop_map(String::from_iter)
}

proptest! {
    #[test]
    fn gsm7_text_survives_encoding(text in gsm7_text()) {
        let encoded = encode_gsm7(&text).unwrap();
        prop_assert_eq!(Some(encoded.len()), septets(&text));
        prop_assert_eq!(decode_gsm7(&encoded), text);
    }

    #[test]
    fn detection_cost_and_encoding_agree_on_any_text(text in any::<String>()) {
        let encoded = encode_gsm7(&text);
        prop_assert_eq!(encoded.as_ref().map(Vec::len), septets(&text));
        prop_assert_eq!(encoded.is_some(), detect(&text) == Alphabet::Gsm7);
    }

    #[test]
    fn any_text_survives_ucs2(text in any::<String>()) {
        prop_assert_eq!(decode_ucs2(&encode_ucs2(&text)), text);
    }

    #[test]
    fn septets_survive_packing(septets in proptest::collection::vec(0..128u8, 0..200), fill in 0..8usize) {
        let octets = pack(&septets, fill);
        prop_assert_eq!(octets.len(), if septets.is_empty() && fill == 0 { 0 } else { (septets.len() * 7 + fill).div_ceil(8) });
        prop_assert_eq!(unpack(&octets, fill, septets.len()), septets);
    }

    #[test]
    fn any_octets_decode(octets in any::<Vec<u8>>(), fill in any::<usize>(), count in 0..300usize) {
        prop_assert!(decode_gsm7(&octets).chars().count() <= octets.len());
        prop_assert!(decode_ucs2(&octets).chars().count() <= octets.len().div_ceil(2));
        let stored = (octets.len() * 8).saturating_sub(fill & 7) / 7;
        prop_assert_eq!(unpack(&octets, fill, count).len(), stored.min(count));
    }
}

/// The septets that a receiver of octets reads by TS 23.038 §6.1.2.3.1.
fn read_by_octets(octets: &[u8], header_octets: usize) -> Vec<u8> {
    let fill = fill_bits(header_octets);
    let mut septets = unpack(octets, fill, usize::MAX);
    let on_boundary = (fill + septets.len() * 7).is_multiple_of(8);
    if on_boundary && septets.last() == Some(&0x0D) {
        septets.pop();
    }
    septets
}

#[test]
fn seven_spare_bits_hold_a_carriage_return() {
    assert_eq!(
        pack_user_data(b"1234567", 0),
        [0x31, 0xd9, 0x8c, 0x56, 0xb3, 0xdd, 0x1a]
    );
    assert_ne!(pack_user_data(b"1234567", 0), pack_user_data(b"1234567\0", 0));
    assert_eq!(
        pack_user_data(b"1234567\r", 0).len(),
        8,
        "one that is meant gets another"
    );
    assert_eq!(
        pack_user_data(b"123456\r", 0).len(),
        7,
        "padding doubles it, which shows the same"
    );
    assert_eq!(
        pack_user_data(b"hello", 0),
        pack(b"hello", 0),
        "other bits over are zero"
    );
    let full = [b"x".repeat(159), b"\r".to_vec()].concat();
    assert_eq!(pack_user_data(&full, 0).len(), 140, "no room for another");
    let full = [b"x".repeat(152), b"\r".to_vec()].concat();
    assert_eq!(pack_user_data(&full, 6).len(), 134);
}

#[test]
fn no_text_behind_a_header_is_no_octet() {
    for header in 0..8 {
        assert!(pack_user_data(&[], header).is_empty(), "{header}");
    }
}

proptest! {
    #[test]
    fn packed_user_data_reads_as_it_was(septets in proptest::collection::vec(0..128u8, 0..160), header in 0..8usize) {
        let octets = pack_user_data(&septets, header);
        let full = header + octets.len() >= 140 && septets.last() == Some(&0x0D);
        if !full {
            let mut read = read_by_octets(&octets, header);
            if read.len() == septets.len() + 1 && septets.last() == Some(&0x0D) {
                // A carriage return done twice.
                read.pop();
            }
            prop_assert_eq!(read, septets);
        }
    }
}
