use super::*;

#[test]
fn every_spelling_gets_its_kind_and_address() {
    use SenderKind::{Alphanumeric, International, Short};
    for (written, address, kind) in [
        ("Postrider", "Postrider", Alphanumeric),
        (" Acme Ltd. ", "Acme Ltd.", Alphanumeric),
        ("12345678901", "12345678901", International),
        ("+447700900123", "447700900123", International),
        ("00447700900123", "447700900123", International),
        ("447700900123", "447700900123", International),
        ("+10086", "10086", International),
        ("10086", "10086", Short),
        ("106900001234", "106900001234", Short),
        ("10690000123456789012", "10690000123456789012", Short),
        ("12345678", "12345678", Short),
        ("07700900123", "07700900123", Short),
        ("000", "000", Short),
        ("+", "+", Alphanumeric),
        ("1-800-CALL", "1-800-CALL", Alphanumeric),
        ("Caf\u{e9}", "Caf\u{e9}", Alphanumeric),
        ("\u{a0}Acme\u{3000}", "Acme", Alphanumeric),
        ("me@acme", "me@acme", Alphanumeric),
    ] {
        let sender = Sender::parse(written).unwrap();
        assert_eq!((sender.as_str(), sender.kind()), (address, kind), "{written}");
    }
}

#[test]
fn a_text_that_fits_no_address_field_is_refused() {
    for (written, error) in [
        ("", SenderError::Empty),
        ("  ", SenderError::Empty),
        ("TwelveLetter", SenderError::TooLong),
        ("[Postrider]", SenderError::TooLong),
        ("+1234567890123456", SenderError::TooLong),
        ("123456789012345678901", SenderError::TooLong),
        ("\u{90ae}\u{9a7f}", SenderError::Alphabet),
        ("two\nlines", SenderError::Alphabet),
        ("\u{7}alarm", SenderError::Alphabet),
        ("\u{e9}@1", SenderError::Alphabet),
        ("A\u{e7}me", SenderError::Alphabet),
        ("Ac\u{200b}me", SenderError::Alphabet),
        ("\u{feff}Acme", SenderError::Alphabet),
        ("Acme\u{202e}", SenderError::Alphabet),
        ("Acme\n", SenderError::Alphabet),
        ("\n", SenderError::Alphabet),
        ("\tAcme", SenderError::Alphabet),
        ("Acme\u{2028}", SenderError::Alphabet),
        ("\u{2068}Acme\u{2069}", SenderError::Alphabet),
        ("Ac\u{ad}me", SenderError::Alphabet),
        ("Acme\u{fe0f}", SenderError::Alphabet),
        ("\u{180e}Acme", SenderError::Alphabet),
        ("447700\0900123", SenderError::Alphabet),
        ("\u{200e}447700900123", SenderError::Alphabet),
        ("\u{ff14}\u{ff14}7700900123", SenderError::Alphabet),
        ("\u{e000}", SenderError::Alphabet),
        ("\u{661}\u{662}\u{663}", SenderError::Alphabet),
        ("a`b", SenderError::Alphabet),
        ("004477009001234567", SenderError::TooLong),
    ] {
        assert_eq!(Sender::parse(written), Err(error), "{written:?}");
    }
}

#[test]
fn kinds_carry_the_usual_type_of_number() {
    let ton_npi = |written| Sender::parse(written).unwrap().ton_npi();
    assert_eq!(ton_npi("Postrider"), (5, 0));
    assert_eq!(ton_npi("+447700900123"), (1, 1));
    assert_eq!(ton_npi("10086"), (3, 0));
}

#[test]
fn a_number_is_the_same_in_any_spelling() {
    assert!(Sender::same("+447700900555", "00447700900555"));
    assert!(Sender::same("447700900555", "+447700900555"));
    assert!(Sender::same("Acme", " Acme "));
    assert!(Sender::same("", ""));
    assert!(!Sender::same("+10086", "10086"), "international and short");
    assert!(!Sender::same("Acme", "ACME"));
    assert!(!Sender::same("\u{90ae}", "\u{9a7f}"));
}

#[test]
fn every_sender_fits_its_field() {
    for (written, octets) in [
        ("00447700900555", &b"447700900555"[..]),
        ("Caf\u{e9}", b"Caf\x05"),
        ("\u{20ac}uro", b"\x1b\x65uro"),
        ("me@acme", b"me@acme"),
        ("10690000123456789012", b"10690000123456789012"),
    ] {
        assert_eq!(&*Sender::parse(written).unwrap().octets(), octets, "{written}");
    }
}

proptest::proptest! {
    #[test]
    fn no_sender_breaks_its_field(written: String) {
        if let Ok(sender) = Sender::parse(&written) {
            let octets = sender.octets();
            proptest::prop_assert!((1..=DIGITS_MAX).contains(&octets.len()));
            proptest::prop_assert!(!octets.contains(&0));
        }
    }
}
