use super::*;
use proptest::prelude::*;

const REFERENCES: [Reference; 3] = [Reference::Bits16, Reference::Bits8, Reference::Sar];
const PREFERRED: [Preferred; 5] = [
    Preferred::Gsm7,
    Preferred::AsciiByDefault,
    Preferred::Latin1ByDefault,
    Preferred::Latin1,
    Preferred::Ucs2,
];

fn lengths(preferred: Preferred, reference: Reference, text: &str) -> (Charset, Vec<usize>) {
    let cut = Encoding { preferred, reference }.cut(text).unwrap();
    (cut.charset, cut.parts.iter().map(Vec::len).collect())
}

#[test]
fn latin1_is_cut_by_octets() {
    use Reference::{Bits8, Bits16, Sar};
    for (characters, reference, expected) in [
        (140, Bits16, vec![140]),
        (141, Bits16, vec![133, 8]),
        (160, Bits16, vec![133, 27]),
        (266, Bits16, vec![133, 133]),
        (267, Bits16, vec![133, 133, 1]),
        (268, Bits8, vec![134, 134]),
        (268, Sar, vec![134, 134]),
    ] {
        for letter in ["a", "ç", "{"] {
            let cut = lengths(Preferred::Latin1, reference, &letter.repeat(characters));
            assert_eq!(
                cut,
                (Charset::Latin1, expected.clone()),
                "{characters} {letter:?}"
            );
        }
    }
    let greek = "a".repeat(139) + "Δ";
    assert_eq!(lengths(Preferred::Latin1, Bits16, &greek).0, Charset::Ucs2);
    let euro = "€".repeat(71);
    assert_eq!(
        lengths(Preferred::Latin1, Bits8, &euro),
        (Charset::Ucs2, vec![134, 8])
    );
}

#[test]
fn the_alphabet_of_data_coding_0_is_cut_as_the_smsc_cuts_it() {
    use Preferred::{AsciiByDefault, Latin1ByDefault};
    let cut = |preferred, text: &str| lengths(preferred, Reference::Bits16, text);
    assert_eq!(
        cut(Latin1ByDefault, &"é".repeat(160)),
        (Charset::Latin1, vec![160])
    );
    assert_eq!(
        cut(Latin1ByDefault, &"é".repeat(161)),
        (Charset::Latin1, vec![152, 9])
    );
    assert_eq!(
        cut(Latin1ByDefault, &"{".repeat(81)),
        (Charset::Latin1, vec![76, 5])
    );
    assert_eq!(
        cut(Latin1ByDefault, &"ç".repeat(141)),
        (Charset::Latin1, vec![133, 8])
    );
    assert_eq!(cut(Latin1ByDefault, "€"), (Charset::Ucs2, vec![2]));
    assert_eq!(cut(AsciiByDefault, &"a".repeat(160)), (Charset::Ascii, vec![160]));
    assert_eq!(
        cut(AsciiByDefault, &"`".repeat(161)),
        (Charset::Ascii, vec![152, 9])
    );
    assert_eq!(cut(AsciiByDefault, "é"), (Charset::Ucs2, vec![2]));
}

#[test]
fn what_is_counted_is_what_is_cut_at_the_border() {
    // 134 units are two parts with an 8-bit reference and three with one of 16 bits.
    let text = "中".repeat(134);
    for (reference, parts) in [(Reference::Bits16, 3), (Reference::Bits8, 2), (Reference::Sar, 2)] {
        let encoding = Encoding {
            reference,
            ..Encoding::default()
        };
        assert_eq!(encoding.count(&text), Ok(parts));
        assert_eq!(encoding.cut(&text).unwrap().parts.len(), usize::from(parts));
    }
}

#[test]
fn at_most_255_parts() {
    for (preferred, letter, most) in [
        (Preferred::Latin1, "a", 255 * 133),
        (Preferred::Latin1ByDefault, "a", 255 * 152),
        (Preferred::Ucs2, "a", 255 * 66),
    ] {
        let encoding = Encoding {
            preferred,
            reference: Reference::Bits16,
        };
        assert_eq!(encoding.count(&letter.repeat(most)), Ok(255));
        let long = letter.repeat(most + 1);
        assert_eq!(encoding.count(&long), Err(TooLong { parts: 256 }));
        assert_eq!(encoding.cut(&long).unwrap_err(), TooLong { parts: 256 });
    }
}

proptest! {
    #[test]
    fn parts_join_to_the_text_fit_and_are_counted(
        text in prop_oneof!["[a-zA-Z{}€`é]{0,500}", "[a-zçÿ`]{100,500}", "[a-z中😀é]{0,300}"],
        preferred in proptest::sample::select(PREFERRED.to_vec()),
        reference in proptest::sample::select(REFERENCES.to_vec()),
    ) {
        let encoding = Encoding { preferred, reference };
        let cut = encoding.cut(&text).unwrap();
        let all = cut.parts.concat();
        let joined = match cut.charset {
            Charset::Gsm7 => alphabet::decode_gsm7(&all),
            Charset::Ascii | Charset::Latin1 => alphabet::decode_latin1(&all),
            Charset::Ucs2 => alphabet::decode_ucs2(&all),
        };
        prop_assert_eq!(&joined, &text);
        prop_assert_eq!(encoding.count(&text), Ok(cut.parts.len() as u16));
        let header = if cut.parts.len() > 1 { reference.header_octets() } else { 0 };
        for part in &cut.parts {
            let octets = match cut.charset {
                Charset::Gsm7 | Charset::Ascii => part.len() * 7 / 8,
                // Longer parts are GSM text, and become septets.
                Charset::Latin1 if alphabet::septets(&text).is_some() => part.len() * 7 / 8,
                _ => part.len(),
            };
            prop_assert!(octets + header <= 140);
        }
    }
}
