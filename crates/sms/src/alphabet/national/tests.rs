use super::*;
use proptest::prelude::*;

fn locking(language: Language) -> Shifts {
    Shifts {
        locking: Some(language),
        single: None,
    }
}

fn single(language: Language) -> Shifts {
    Shifts {
        locking: None,
        single: Some(language),
    }
}

#[test]
fn identifiers_are_those_of_the_standard() {
    for (at, language) in Language::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(language.identifier()), at + 1);
        assert_eq!(Language::from_identifier(language.identifier()), Some(language));
    }
    for reserved in [0, 14, 100, 255] {
        assert_eq!(Language::from_identifier(reserved), None);
    }
}

#[test]
fn every_code_of_every_locking_table_goes_there_and_back() {
    for language in Language::ALL {
        let Some(table) = language.locking() else {
            assert_eq!(language, Language::Spanish);
            assert_eq!(
                decode(b"@a", locking(language)),
                "¡a",
                "Spanish locks the default alphabet"
            );
            continue;
        };
        let mut codes = 0;
        for code in (0..0x80).filter(|code| *code != ESCAPE && table[usize::from(*code)] != 0) {
            let text = decode(&[code], locking(language));
            assert_eq!(text.chars().count(), 1);
            assert_eq!(
                encode(&text, locking(language)),
                Some(vec![code]),
                "{language:?} {code:#04X} {text:?}"
            );
            codes += 1;
        }
        // Latin ones are full, those of Tamil have the most gaps.
        assert!(codes >= 95, "{language:?} has {codes}");
    }
}

#[test]
fn every_code_of_every_single_table_goes_there_and_back() {
    for language in Language::ALL {
        let table = language.single();
        for code in (0..0x80).filter(|code| *code != ESCAPE && table[usize::from(*code)] != 0) {
            let text = decode(&[ESCAPE, code], single(language));
            assert_eq!(text.chars().count(), 1);
            let value = u32::from(text.chars().next().unwrap());
            assert_eq!(value, u32::from(table[usize::from(code)]));
            // Beside an Indic locking table, most of these have no other place.
            let both = Shifts {
                locking: language.locking().map(|_| language),
                single: Some(language),
            };
            let again = encode(&text, both).unwrap();
            assert_eq!(decode(&again, both), text);
            if again.len() == 2 {
                // Tables for Indian languages have an inverted exclamation mark and an asterisk twice.
                let twice = matches!((code, again[1]), (0x15, 0x13) | (0x18, 0x0B));
                assert!(again[1] == code || twice, "{language:?} {code:#04X} {text:?}");
            }
        }
    }
}

#[test]
fn all_single_tables_hold_the_extension_table() {
    for language in Language::ALL {
        for (code, character) in super::super::EXTENSION {
            assert_eq!(
                decode(&[ESCAPE, code], single(language)),
                character.to_string(),
                "{language:?}"
            );
        }
    }
}

#[test]
fn known_answers_of_locking_tables() {
    for (language, septets, text) in [
        (
            Language::Turkish,
            &b"\x1cS\x07\x40\x60\x04\x0b\x0c\x1d"[..],
            "ŞSıİç€Ğğş",
        ),
        (
            Language::Portuguese,
            b"N\x7bo, \x5bo \x18 \x14 \x15 \x60 \x7d",
            "Não, Ão € À ∞ ~ `",
        ),
        (Language::Bengali, &[0x00, 0x03, 0x41, 0x50, 0x60], "ঁঅভাৎ"),
        (Language::Gujarati, &[0x15, 0x50, 0x60, 0x7F], "કાૐ૱"),
        (Language::Hindi, &[0x28, 0x29, 0x4E, 0x3D, 0x60, 0x7F], ")(़पॐॿ"),
        (Language::Kannada, &[0x15, 0x24, 0x3D, 0x5F], "ಕಡಪ್"),
        (Language::Malayalam, &[0x15, 0x3D, 0x7F], "കപ൹"),
        (Language::Oriya, &[0x15, 0x3D, 0x7F], "କପୣ"),
        (Language::Punjabi, &[0x15, 0x3D, 0x7F], "ਕਪੴ"),
        (Language::Tamil, &[0x15, 0x3C, 0x48, 0x7F], "கனழ௹"),
        (Language::Telugu, &[0x15, 0x3D, 0x7F], "కపౣ"),
        (
            Language::Urdu,
            &[0x00, 0x02, 0x05, 0x47, 0x59, 0x5B, 0x7F],
            "ابپکیےٰ",
        ),
    ] {
        assert_eq!(decode(septets, locking(language)), text, "{language:?}");
    }
}

#[test]
fn known_answers_of_single_tables() {
    for (language, codes, text) in [
        (Language::Turkish, &b"sgiSGIc"[..], "şğıŞĞİç"),
        (Language::Spanish, b"aiouAIOU\x09", "áíóúÁÍÓÚç"),
        (
            Language::Portuguese,
            b"\x05\x09\x0b\x0c\x0e\x0f\x1faAiou{|[\\\x7f",
            "êçÔôÁáÊÂÀíóúãõÃÕâ",
        ),
        (Language::Bengali, &[0x19, 0x1A, 0x1C, 0x23, 0x34], "০১২৯৺"),
        (Language::Gujarati, &[0x19, 0x1C, 0x25], "।૦૯"),
        (Language::Hindi, &[0x19, 0x1C, 0x25, 0x2C, 0x3A], "।०९\u{958}ॱ"),
        (Language::Kannada, &[0x1C, 0x25, 0x26], "೦೯ೞ"),
        (Language::Malayalam, &[0x1C, 0x25, 0x34], "൦൯ൿ"),
        (Language::Oriya, &[0x1C, 0x20, 0x25, 0x2C], "୦୪୯ୱ"),
        (Language::Punjabi, &[0x1C, 0x25, 0x2D], "੦੯ੵ"),
        (Language::Tamil, &[0x1C, 0x24, 0x25, 0x2E], "௦௮௯௺"),
        (Language::Telugu, &[0x1C, 0x25, 0x32, 0x65], "౦౯౿€"),
        (Language::Urdu, &[0x1C, 0x25, 0x26, 0x3F], "۰۹،۔"),
    ] {
        let septets: Vec<u8> = codes.iter().flat_map(|code| [ESCAPE, *code]).collect();
        assert_eq!(decode(&septets, single(language)), text, "{language:?}");
    }
}

#[test]
fn what_a_table_does_not_assign_is_as_the_standard_says() {
    let turkish = single(Language::Turkish);
    assert_eq!(decode(b"\x1bk\x1b\x1bx\x1b", turkish), "k x ");
    let both = Shifts {
        locking: Some(Language::Turkish),
        single: None,
    };
    assert_eq!(
        decode(b"\x1b\x07\x1be\x1b\x04", both),
        "ı€€",
        "the locking table stands behind the extension"
    );
    assert_eq!(decode(&[0x11], locking(Language::Hindi)), "ऑ");
    assert_eq!(decode(&[0x11, b'a'], locking(Language::Bengali)), "\u{FFFD}a");
}

proptest! {
    #[test]
    fn any_octets_decode(octets in any::<Vec<u8>>(), locking in 0..20u8, single in 0..20u8) {
        let shifts = Shifts {
            locking: Language::from_identifier(locking),
            single: Language::from_identifier(single),
        };
        prop_assert!(decode(&octets, shifts).chars().count() <= octets.len());
    }
}
