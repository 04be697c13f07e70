use super::*;
use crate::alphabet::{ESCAPE, encode_gsm7, encode_ucs2, fill_bits, pack, pack_user_data};
use crate::udh;
use proptest::prelude::*;

fn part(charset: Charset, octets: &[u8]) -> UserData {
    UserData {
        coding: Coding::plain(charset),
        octets: octets.into(),
    }
}

fn text(parts: &[UserData]) -> String {
    match content(parts) {
        Content::Text(text) => text.into(),
        Content::Binary(binary) => panic!("{binary:?}"),
    }
}

fn one(charset: Charset, octets: &[u8]) -> String {
    text(&[part(charset, octets)])
}

fn two(charset: Charset, a: &[u8], b: &[u8]) -> String {
    text(&[part(charset, a), part(charset, b)])
}

#[test]
fn each_alphabet_has_its_letters() {
    for (charset, octets, wanted) in [
        (Charset::Gsm7, &b"\x00hi \x1b\x65"[..], "@hi €"),
        (Charset::Ascii, b"hi\0", "hi"),
        (Charset::Ascii, "größe".as_bytes(), "größe"),
        (Charset::Ascii, b"gr\xf6\xdfe", "größe"),
        (Charset::Latin1, b"caf\xe9\0\0", "café"),
        (Charset::Cyrillic, b"\xbf\xe0\xd8\xd2\xd5\xe2\0", "Привет"),
        (Charset::Hebrew, b"\xf9\xec\xe5\xed", "שלום"),
        (Charset::Japanese, b"\x93\xfa\x96\x7b\xb6\xc5", "日本ｶﾅ"),
        (Charset::Japanese, b"\x1b$B\x46\x7c\x4b\x5c\x1b(B ok", "日本 ok"),
        (Charset::Japanese, b"STOP", "STOP"),
        (Charset::JapaneseExtended, b"\xc6\xfc\xcb\xdc", "日本"),
        (Charset::Korean, b"\xc7\xd1\xb1\xdb", "한글"),
        (Charset::Ucs2, b"\x90\x00\x8b\xa2", "退订"),
        (Charset::Ucs2, b"\xfe\xff\0h\0i", "hi"),
        (Charset::Ucs2, b"\xff\xfeh\0i\0", "hi"),
        (Charset::Ucs2, b"\0h\0i\0", "hi"),
        (Charset::Ucs2, b"\0h\0i\0\0", "hi"),
        (Charset::Ucs2, b"\0h\0i\x4f", "hi\u{FFFD}"),
    ] {
        assert_eq!(one(charset, octets), wanted, "{charset:?} {octets:02x?}");
    }
}

#[test]
fn euc_jp_is_known_where_it_is_no_shift_jis() {
    let octets = b"\xc6\xfc\xcb\xdc\xb8\xec\xa4\xc7\xa4\xb9";
    assert_eq!(one(Charset::Japanese, octets), "日本語です");
}

#[test]
fn what_is_cut_in_a_character_is_whole_again() {
    assert_eq!(two(Charset::Gsm7, b"ab\x1b", b"\x65cd"), "ab€cd");
    assert_eq!(two(Charset::Ucs2, b"\0a\xd8\x3d", b"\xde\x00\0d"), "a😀d");
    assert_eq!(two(Charset::Ucs2, b"\0a\x4f", b"\x60\0d"), "a你d");
    assert_eq!(two(Charset::Ucs2, b"\0a\xd8", b"\x3d\xde\x00"), "a😀");
    assert_eq!(two(Charset::Japanese, b"\x93\xfa\x96", b"\x7b"), "日本");
    assert_eq!(two(Charset::Korean, b"\xc7", b"\xd1"), "한");
    assert_eq!(two(Charset::Ascii, b"gr\xc3", b"\xb6\xc3\x9fe"), "größe");
    assert_eq!(two(Charset::Ucs2, b"\xff\xfea\0b", b"\0c\0"), "abc");
    assert_eq!(two(Charset::Ucs2, b"\xfe\xff\0a", b"\xfe\xff\0b"), "ab");
    assert_eq!(two(Charset::Ucs2, b"\xff\xfea\0", b"\xff\xfeb\0"), "ab");
}

#[test]
fn parts_of_other_codings_are_read_each_in_its_own() {
    let parts = [
        part(Charset::Gsm7, b"a\x1b"),
        part(Charset::Gsm7, b"\x65"),
        part(Charset::Ucs2, b"\0b\x4f"),
        part(Charset::Ucs2, b"\x60"),
        part(Charset::Gsm7, b"\x00"),
    ];
    assert_eq!(text(&parts), "a€b你@");
}

#[test]
fn nothing_is_read_over_a_gap() {
    let parts = |numbers: [u8; 2]| {
        let data = [part(Charset::Gsm7, b"ab\x1b"), part(Charset::Gsm7, b"\x65cd")];
        content_with_gaps(&numbers.into_iter().zip(data).collect::<Vec<_>>())
    };
    assert_eq!(parts([1, 2]), "ab€cd".into());
    assert_eq!(parts([1, 3]), "ab ecd".into());
    let data = [(1, part(Charset::Gsm7, b"a")), (3, part(Charset::Binary, b"b"))];
    assert_eq!(content_with_gaps(&data), content(&data.map(|(_, part)| part)));
}

#[test]
fn nul_octets_behind_a_text_are_no_text() {
    assert_eq!(
        two(Charset::Ucs2, b"\0a\0b\0", b"\0c\0"),
        "abc",
        "one behind each part"
    );
    assert_eq!(two(Charset::Ucs2, b"\0a\0b\0\0", b"\0c\0\0"), "abc");
    assert_eq!(
        two(Charset::Ucs2, b"\0a\0", b"b\0c\0"),
        "abc",
        "cut in a letter, and one behind"
    );
    assert_eq!(two(Charset::Latin1, b"a\0", b"b\0"), "ab");
    assert_eq!(one(Charset::Gsm7, b"me\0"), "me@", "a letter of this alphabet");
}

fn packed(header_len: u8, text: &str) -> UserData {
    let fill = fill_bits(header_len.into());
    UserData {
        coding: Coding {
            header_len,
            ..Coding::plain(Charset::Gsm7Packed)
        },
        octets: pack_zero(&encode_gsm7(text).unwrap(), fill).into(),
    }
}

/// Packs as many senders do: spare bits are zero, whatever their number.
fn pack_zero(septets: &[u8], fill: usize) -> Vec<u8> {
    let mut octets = vec![0u8; (fill + septets.len() * 7).div_ceil(8)];
    for (at, septet) in septets.iter().enumerate() {
        for bit in 0..7 {
            let place = fill + at * 7 + bit;
            octets[place / 8] |= (septet >> bit & 1) << (place % 8);
        }
    }
    octets
}

#[test]
fn seven_spare_bits_are_no_letter() {
    for text_of in [
        "STOPALL",
        "1234567",
        "a",
        "ab",
        "abcdefg",
        "abcdefgh",
        "fifteen letters",
    ] {
        assert_eq!(text(&[packed(0, text_of)]), text_of, "padded with zero bits");
        let padded: String = match text_of.len() % 8 {
            7 => format!("{text_of}\r"),
            _ => text_of.to_owned(),
        };
        assert_eq!(
            text(&[packed(0, &padded)]),
            text_of,
            "padded with a carriage return"
        );
    }
    assert_eq!(
        text(&[packed(0, "1234567\r\r")]),
        "1234567\r",
        "a text that ends in one"
    );
    for header_len in 0..=14 {
        for count in 1..40 {
            let text_of: String = "abcdefghij".chars().cycle().take(count).collect();
            assert_eq!(
                text(&[packed(header_len, &text_of)]),
                text_of,
                "{header_len} {count}"
            );
        }
    }
}

#[test]
fn packed_parts_keep_their_fill_bits_and_their_letters() {
    let whole: String = "0123456789@".chars().cycle().take(400).collect();
    for header_len in [6u8, 7] {
        let room = if header_len == 6 { 153 } else { 152 };
        let parts: Vec<UserData> = whole
            .as_bytes()
            .chunks(room)
            .map(|part| packed(header_len, std::str::from_utf8(part).unwrap()))
            .collect();
        assert_eq!(text(&parts), whole);
    }
    // A full part that ends in a letter of zero bits, and one where an escape pair did not fit at the end.
    let full = format!("{}@", "x".repeat(152));
    assert_eq!(text(&[packed(6, &full), packed(6, "y")]), format!("{full}y"));
    let short = "x".repeat(152);
    assert_eq!(text(&[packed(6, &short), packed(6, "€")]), format!("{short}€"));
    // An escape and its code in two parts.
    let cut = |header_len, septets: &[u8]| UserData {
        octets: pack(septets, fill_bits(header_len)).into(),
        ..packed(u8::try_from(header_len).unwrap(), "")
    };
    let first: Vec<u8> = std::iter::repeat_n(b'x', 152).chain([ESCAPE]).collect();
    assert_eq!(
        text(&[cut(6, &first), cut(6, &[0x65])]),
        format!("{}€", "x".repeat(152))
    );
}

#[test]
fn octets_for_a_program_stay_octets() {
    let binary = |parts: &[UserData]| match content(parts) {
        Content::Binary(binary) => (binary.hex(), binary.port),
        Content::Text(text) => panic!("{text:?}"),
    };
    assert_eq!(
        binary(&[part(Charset::Binary, b"\0STOP\xff")]),
        ("0053544f50ff".to_owned(), None)
    );
    let mixed = [part(Charset::Gsm7, b"ab"), part(Charset::Binary, b"\x01")];
    assert_eq!(binary(&mixed), ("616201".to_owned(), None));
    let headed = udh::read(&[6, 5, 4, 0x0b, 0x84, 0x23, 0xf0, 0x01, 0x06]);
    let wap = UserData::new(Charset::Binary, &headed, None);
    assert_eq!(binary(&[wap]), ("0106".to_owned(), Some(2948)));
    let of_tlv = UserData::new(Charset::Gsm7, &udh::read(&[0, b'x']), Some(9204));
    assert_eq!(binary(&[of_tlv]), ("78".to_owned(), Some(9204)));
    assert_eq!(text(&[]), "");
}

fn any_part() -> impl Strategy<Value = UserData> {
    let coding = (
        0..12u8,
        0..16u8,
        0..16u8,
        any::<u8>(),
        proptest::option::weighted(0.1, any::<u16>()),
    );
    (coding, proptest::collection::vec(any::<u8>(), 0..300)).prop_map(
        |((charset, locking, single, header_len, port), octets)| UserData {
            coding: Coding {
                charset: Charset::from_number(charset).unwrap(),
                shifts: Shifts {
                    locking: Language::from_identifier(locking),
                    single: Language::from_identifier(single),
                },
                header_len,
                port,
            },
            octets: octets.into(),
        },
    )
}

proptest! {
    #[test]
    fn any_parts_decode(parts in proptest::collection::vec(any_part(), 0..6)) {
        let octets: usize = parts.iter().map(|part| part.octets.len()).sum();
        match content(&parts) {
            // A packed octet holds 8/7 septets; others have at most three characters for one octet.
            Content::Text(text) => prop_assert!(text.chars().count() <= octets * 3 + parts.len()),
            Content::Binary(binary) => prop_assert_eq!(binary.octets.len(), octets),
        }
    }

    #[test]
    fn a_packed_text_of_any_length_is_read_as_it_was_written(
        text_of in crate::alphabet::tests::gsm7_text(),
        wide: bool,
    ) {
        // Characters that a receiver may take for padding, at the end of a part.
        let text_of = text_of.replace(['@', '\r'], "x");
        let septets = encode_gsm7(&text_of).unwrap();
        let (header_len, room) = match (septets.len() <= 160, wide) {
            (true, _) => (0, 160),
            (false, false) => (6, 153),
            (false, true) => (7, 152),
        };
        let mut parts = Vec::new();
        let mut rest = &septets[..];
        loop {
            let mut cut = rest.len().min(room);
            if cut < rest.len() && rest[cut - 1] == ESCAPE {
                cut -= 1;
            }
            let (piece, behind) = rest.split_at(cut);
            parts.push(UserData {
                octets: pack_user_data(piece, header_len).into(),
                ..packed(u8::try_from(header_len).unwrap(), "")
            });
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(text(&parts), text_of);
    }

    #[test]
    fn a_coding_reads_back_from_its_number(part in any_part()) {
        prop_assert_eq!(Coding::from_number(part.coding.to_number()), part.coding);
    }

    #[test]
    fn any_number_is_a_coding(number in any::<i64>()) {
        let coding = Coding::from_number(number);
        prop_assert_eq!(Coding::from_number(coding.to_number()), coding);
    }

    #[test]
    fn a_text_cut_anywhere_is_whole(text_of in "[^\u{FEFF}\\x00]{0,60}", cut in any::<prop::sample::Index>()) {
        let octets = encode_ucs2(&text_of);
        let (a, b) = octets.split_at(cut.index(octets.len() + 1));
        prop_assert_eq!(two(Charset::Ucs2, a, b), text_of);
    }

    #[test]
    fn a_gsm_text_cut_anywhere_is_whole(text_of in crate::alphabet::tests::gsm7_text(), cut in any::<prop::sample::Index>()) {
        let octets = encode_gsm7(&text_of).unwrap();
        let (a, b) = octets.split_at(cut.index(octets.len() + 1));
        // An at sign at the end of each part is taken for a NUL.
        prop_assume!(!(a.ends_with(&[0]) && b.ends_with(&[0])));
        prop_assert_eq!(two(Charset::Gsm7, a, b), text_of);
    }
}

#[test]
fn a_byte_order_mark_of_utf_8_says_what_the_octets_are() {
    for charset in [
        Charset::Gsm7,
        Charset::Ascii,
        Charset::Latin1,
        Charset::Cyrillic,
        Charset::Korean,
    ] {
        let part = |text: &str| UserData {
            coding: Coding::plain(charset),
            octets: format!("\u{FEFF}{text}").into_bytes().into(),
        };
        let text = |parts: &[UserData]| content(parts);
        assert_eq!(text(&[part("Çıkış")]), Content::from("Çıkış"), "{charset:?}");
        assert_eq!(
            text(&[part("ST"), part("OP")]),
            Content::from("STOP"),
            "{charset:?}"
        );
        let broken = UserData {
            coding: Coding::plain(charset),
            octets: Box::new([0xEF, 0xBB, 0xBF, 0xFF, b'a']),
        };
        assert!(
            matches!(text(&[broken]), Content::Text(text) if text.ends_with('a')),
            "{charset:?}"
        );
    }
}

#[test]
fn a_nul_at_the_end_of_each_part_is_no_letter() {
    let part = |octets: &[u8]| UserData {
        coding: Coding::plain(Charset::Gsm7),
        octets: octets.into(),
    };
    assert_eq!(content(&[part(b"ST\0"), part(b"OP\0")]), Content::from("STOP"));
    assert_eq!(content(&[part(b"me\0"), part(b"home")]), Content::from("me@home"));
    assert_eq!(
        content(&[part(b"me\0")]),
        Content::from("me@"),
        "one alone is an at sign"
    );
}
