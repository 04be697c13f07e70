use super::*;
use proptest::prelude::*;

fn read(written: &str, kind: NumberType, country: Option<u16>) -> Vec<String> {
    readings(written, kind, country)
        .into_iter()
        .map(Msisdn::digits)
        .collect()
}

#[test]
fn numbers_come_in_any_form() {
    use NumberType::{National, Other};
    for (written, kind, country, numbers) in [
        ("447700900123", Other, None, &["447700900123"][..]),
        ("+447700900123", Other, None, &["447700900123"]),
        ("+44 7700 900-123", Other, None, &["447700900123"]),
        ("+44 (0)7700 900123", Other, None, &["447700900123"]),
        ("00447700900123", Other, None, &["447700900123"]),
        ("+00447700900123", Other, None, &["447700900123"]),
        ("00447700900123", National, Some(44), &["447700900123"]),
        ("+447700900123", National, Some(44), &["447700900123"]),
        ("07700900123", Other, Some(44), &["447700900123"]),
        ("07700900123", National, Some(44), &["447700900123"]),
        ("07700900123", Other, None, &[]),
        ("7700900123", National, Some(44), &["447700900123", "7700900123"]),
        ("7700900123", Other, Some(44), &["7700900123", "447700900123"]),
        (
            "447700900123",
            National,
            Some(44),
            &["447700900123", "44447700900123"],
        ),
        (
            "447700900123",
            Other,
            Some(44),
            &["447700900123", "44447700900123"],
        ),
        (
            "13800138000",
            National,
            Some(86),
            &["8613800138000", "13800138000"],
        ),
        ("15550100001", Other, Some(1), &["15550100001"]),
        ("5550100001", National, Some(1), &["15550100001", "5550100001"]),
        ("011447700900123", Other, Some(1), &["447700900123"]),
        ("89161234567", Other, Some(7), &["79161234567", "89161234567"]),
        ("810447700900123", Other, Some(7), &["447700900123"]),
        ("06301234567", Other, Some(36), &["36301234567"]),
        ("0612345678", Other, Some(39), &["390612345678"]),
        ("3123456789", National, Some(39), &["393123456789", "3123456789"]),
        ("4407700900123", Other, None, &["4407700900123", "447700900123"]),
        (
            "4407700900123",
            Other,
            Some(44),
            &["4407700900123", "447700900123"],
        ),
        (
            "+44 07700 900123",
            Other,
            Some(44),
            &["4407700900123", "447700900123"],
        ),
        ("004407700900123", Other, None, &["4407700900123", "447700900123"]),
        // In Italy the zero belongs to the number, and in Russia the digits are no prefix.
        ("390612345678", Other, None, &["390612345678"]),
        ("70123456789", Other, None, &["70123456789"]),
        ("011447700900123", Other, Some(44), &["447700900123"]),
        ("011447700900123", Other, None, &["447700900123"]),
        ("01144", Other, None, &[]),
        ("tel:+447700900123", Other, None, &["447700900123"]),
        ("TEL:447700900123", Other, None, &["447700900123"]),
        ("10086", Other, Some(86), &["10086"]),
        ("Bank", Other, Some(44), &[]),
        ("12a", Other, None, &[]),
        ("", Other, Some(44), &[]),
        ("0", Other, Some(44), &[]),
        ("000", Other, Some(44), &[]),
        ("1234567890123456", Other, None, &[]),
    ] {
        assert_eq!(
            read(written, kind, country),
            numbers,
            "{written} {kind:?} {country:?}"
        );
    }
}

#[test]
fn a_number_is_found_by_every_usual_spelling() {
    let named =
        |written, country, name_of: &str| names(written, NumberType::Other, country).contains(&name(name_of));
    for written in ["447700900123", "+447700900123", "00447700900123", "07700900123"] {
        for entry in [
            "447700900123",
            "+44 7700 900123",
            "0044 7700 900123",
            "07700 900123",
            "7700900123",
        ] {
            assert!(named(written, Some(44), entry), "{written} as {entry}");
        }
    }
    assert!(named("10690", None, "10690") && named("+10690", Some(44), "10690"));
    assert!(named("SHOP", None, " shop "));
    assert!(
        !named("44123", Some(44), "123"),
        "a code is not a national number"
    );
    assert!(!named("447700900124", Some(44), "447700900123"));
}

proptest! {
    #[test]
    fn any_text_has_at_most_two_readings(written in any::<String>(), country in 0..1000u16, national: bool) {
        let kind = if national { NumberType::National } else { NumberType::Other };
        prop_assert!(readings(&written, kind, Some(country)).len() <= 2);
        prop_assert!(names(&written, kind, Some(country)).len() <= 7);
    }

    #[test]
    fn an_international_number_is_itself(digits in "[1-9][0-9]{7,14}") {
        let itself = Msisdn::from_digits(&digits).unwrap();
        for written in [digits.clone(), format!("+{digits}"), format!("00{digits}")] {
            let readings = readings(&written, NumberType::Other, None);
            prop_assert_eq!(readings.first(), Some(&itself));
        }
    }
}
