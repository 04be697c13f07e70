use proptest::prelude::*;

use super::*;
use crate::alphabet::{decode_gsm7, decode_ucs2, fill_bits, pack};

const REFERENCES: [Reference; 3] = [Reference::Bits16, Reference::Bits8, Reference::Sar];

fn joined(cut: &Segmented) -> String {
    let all = cut.parts.concat();
    match cut.alphabet {
        Alphabet::Gsm7 => decode_gsm7(&all),
        Alphabet::Ucs2 => decode_ucs2(&all),
    }
}

/// Units of each part.
fn lengths(text: &str, reference: Reference) -> Vec<usize> {
    let cut = segments(text, reference).unwrap();
    let octets_per_unit = if cut.alphabet == Alphabet::Gsm7 { 1 } else { 2 };
    cut.parts
        .iter()
        .map(|part| part.len() / octets_per_unit)
        .collect()
}

#[test]
fn parts_are_as_long_as_the_standards_arithmetic_allows() {
    for (text, reference, expected) in [
        (String::new(), Reference::Bits16, vec![0]),
        ("a".repeat(160), Reference::Bits16, vec![160]),
        ("a".repeat(161), Reference::Bits16, vec![152, 9]),
        ("a".repeat(161), Reference::Bits8, vec![153, 8]),
        ("a".repeat(161), Reference::Sar, vec![153, 8]),
        ("a".repeat(304), Reference::Bits16, vec![152, 152]),
        ("a".repeat(306), Reference::Bits8, vec![153, 153]),
        ("€".repeat(80), Reference::Bits16, vec![160]),
        ("€".repeat(81), Reference::Bits16, vec![152, 10]),
        ("€".repeat(81), Reference::Bits8, vec![152, 10]),
        ("中".repeat(70), Reference::Bits16, vec![70]),
        ("中".repeat(71), Reference::Bits16, vec![66, 5]),
        ("中".repeat(71), Reference::Bits8, vec![67, 4]),
        ("😀".repeat(35), Reference::Bits16, vec![70]),
        ("😀".repeat(36), Reference::Bits16, vec![66, 6]),
        ("😀".repeat(36), Reference::Bits8, vec![66, 6]),
        ("a".repeat(69) + "ç", Reference::Bits16, vec![70]),
    ] {
        assert_eq!(
            lengths(&text, reference),
            expected,
            "{} characters, {reference:?}",
            text.chars().count()
        );
    }
}

#[test]
fn an_escape_pair_on_the_boundary_moves_whole() {
    let text = "a".repeat(151) + "€" + &"b".repeat(20);
    let cut = segments(&text, Reference::Bits16).unwrap();
    assert_eq!(cut.parts[0], [b'a'; 151]);
    assert_eq!(cut.parts[1][..3], [ESCAPE, 0x65, b'b']);
    assert_eq!(count(&text, Reference::Bits16), Ok(2));
}

#[test]
fn a_surrogate_pair_on_the_boundary_moves_whole() {
    let text = "中".repeat(65) + "😀" + &"文".repeat(20);
    let cut = segments(&text, Reference::Bits16).unwrap();
    assert_eq!(decode_ucs2(&cut.parts[0]), "中".repeat(65));
    assert!(decode_ucs2(&cut.parts[1]).starts_with("😀文"));
}

#[test]
fn what_belongs_together_stays_in_one_part_if_that_costs_no_part() {
    for whole in [
        "🇩🇪",
        "👨‍👩‍👧",
        "👍🏽",
        "e\u{301}",
        "❤\u{FE0F}",
        "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
    ] {
        let text = "中".repeat(65) + whole + &"文".repeat(20);
        let cut = segments(&text, Reference::Bits16).unwrap();
        assert_eq!(decode_ucs2(&cut.parts[0]), "中".repeat(65), "{whole}");
        assert_eq!(joined(&cut), text);
    }
}

#[test]
fn looks_are_never_worth_a_part() {
    for whole in ["e\u{301}", "❤\u{FE0F}"] {
        let text = "中".repeat(65) + whole + &"文".repeat(65);
        assert_eq!(lengths(&text, Reference::Bits16), [66, 66], "{whole}");
        assert_eq!(count(&text, Reference::Bits16), Ok(2), "{whole}");
    }
}

#[test]
fn the_second_of_two_flags_is_not_torn() {
    let text = "中".repeat(60) + "🇩🇪🇫🇷" + &"文".repeat(20);
    let cut = segments(&text, Reference::Bits16).unwrap();
    assert_eq!(decode_ucs2(&cut.parts[0]), "中".repeat(60) + "🇩🇪");
}

#[test]
fn a_cluster_longer_than_a_part_is_cut_at_characters() {
    let text = "e".to_owned() + &"\u{301}".repeat(200);
    let cut = segments(&text, Reference::Bits16).unwrap();
    assert_eq!(joined(&cut), text);
    assert_eq!(cut.parts.len(), 4);
}

#[test]
fn at_most_255_parts() {
    for reference in REFERENCES {
        let longest = "a".repeat(255 * reference.part_units_max(Alphabet::Gsm7));
        assert_eq!(count(&longest, reference), Ok(255));
        assert_eq!(segments(&longest, reference).unwrap().parts.len(), 255);
        for text in [
            longest + "a",
            "中".repeat(255 * reference.part_units_max(Alphabet::Ucs2) + 1),
        ] {
            assert_eq!(segments(&text, reference), Err(TooLong { parts: 256 }));
            assert_eq!(count(&text, reference), Err(TooLong { parts: 256 }));
        }
    }
}

#[test]
fn ucs2_can_be_had_for_any_text() {
    let cut = segments_ucs2(&"a".repeat(71), Reference::Bits16).unwrap();
    assert_eq!((cut.alphabet, cut.parts.len()), (Alphabet::Ucs2, 2));
    assert_eq!(joined(&cut), "a".repeat(71));
}

#[test]
fn headers_are_those_of_the_standard() {
    assert_eq!(
        *udh(Reference::Bits16, 0xABCD, 3, 1),
        [0x06, 0x08, 0x04, 0xAB, 0xCD, 3, 1]
    );
    assert_eq!(
        *udh(Reference::Bits8, 0xABCD, 3, 2),
        [0x05, 0x00, 0x03, 0xCD, 3, 2]
    );
    assert_eq!(*udh(Reference::Sar, 0xABCD, 3, 2), []);
}

#[test]
fn bills_count_160_153_and_70_67() {
    for (text, parts) in [
        (String::new(), 1),
        ("a".repeat(160), 1),
        ("a".repeat(161), 2),
        ("a".repeat(306), 2),
        ("a".repeat(307), 3),
        ("|".repeat(80), 1),
        ("|".repeat(81), 2),
        ("中".repeat(70), 1),
        ("中".repeat(71), 2),
        ("中".repeat(134), 2),
        ("中".repeat(135), 3),
        ("a".repeat(153 * 70_000), u16::MAX),
    ] {
        assert_eq!(billed_count(&text), parts, "{} characters", text.chars().count());
    }
}

/// Characters for every rule: plain, extended, outside GSM-7, outside the BMP, and joining ones.
fn mixed_text() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "€",
        "{",
        "\n",
        "中",
        "😀",
        "🇩🇪",
        "🇩",
        "👨‍👩‍👧",
        "👍🏽",
        "e\u{301}",
        "\u{200D}",
        "\u{FE0F}",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..400).prop_map(|all| all.concat())
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        crate::alphabet::tests::gsm7_text(),
        mixed_text(),
        "[a-z]{60,75}".prop_map(|text| text + "中"),
        "[ -~]{140,480}",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn parts_join_to_the_text_and_are_counted(text in any_text(), reference in proptest::sample::select(REFERENCES.to_vec())) {
        let cut = segments(&text, reference).unwrap();
        prop_assert_eq!(joined(&cut), &*text);
        prop_assert_eq!(count(&text, reference), Ok(cut.parts.len() as u16));
        prop_assert_eq!(cut.alphabet, crate::alphabet::detect(&text));
        prop_assert!(cut.parts.len() == 1 || cut.parts.iter().all(|part| !part.is_empty()));
    }

    #[test]
    fn parts_fit_140_octets_with_their_header(text in any_text(), reference in proptest::sample::select(REFERENCES.to_vec())) {
        let cut = segments(&text, reference).unwrap();
        // The SMSC's own header after SAR parameters is at least the 8-bit one.
        let header_octets = match (cut.parts.len(), reference) {
            (1, _) => 0,
            (_, Reference::Sar) => 6,
            _ => udh(reference, 1, 2, 1).len(),
        };
        for part in &cut.parts {
            let octets = match cut.alphabet {
                Alphabet::Gsm7 => pack(part, fill_bits(header_octets)).len(),
                Alphabet::Ucs2 => part.len(),
            };
            prop_assert!(octets + header_octets <= 140);
        }
    }

    #[test]
    fn every_part_is_readable_alone(text in any_text(), reference in proptest::sample::select(REFERENCES.to_vec())) {
        let cut = segments(&text, reference).unwrap();
        for part in &cut.parts {
            match cut.alphabet {
                Alphabet::Gsm7 => prop_assert_ne!(part.last(), Some(&ESCAPE)),
                Alphabet::Ucs2 => {
                    let units: Vec<u16> = part.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
                    prop_assert!(String::from_utf16(&units).is_ok());
                }
            }
        }
    }

    #[test]
    fn no_part_is_cut_sooner_than_needed(text in crate::alphabet::tests::gsm7_text()) {
        let cut = segments(&text, Reference::Bits16).unwrap();
        for part in cut.parts.iter().rev().skip(1) {
            prop_assert!(part.len() >= 151);
        }
    }
}
