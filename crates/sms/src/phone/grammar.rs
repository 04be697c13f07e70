//! The spellings of a number that each dialect accepts.

use serde::{Deserialize, Serialize};

use super::{MSISDN_DIGITS_MAX, Msisdn, Plain, plain};

/// Fewest digits of a number a message can be sent to, country code included.
const DIGITS_MIN: usize = 7;

/// Fewest digits of an international number without a prefix in EngageLab's generation A. Its documentation refuses
/// `1233`; a bare national number is as short as seven.
const ENGAGELAB_BARE_DIGITS_MIN: usize = 8;

/// Most digits as written: fifteen and the prefix `00`.
const WRITTEN_DIGITS_MAX: usize = MSISDN_DIGITS_MAX + 2;

/// Added to eleven digits, it puts 86 in front.
const MAINLAND_CHINA: u64 = 86 * 10u64.pow(11);

/// The spellings of a number that a client may use.
///
/// | written | `Uspeedo`, `UcloudAction` | `SendCloud` | `SendCloudInternational` | `EngageLabA` | `EngageLabC` |
/// |---|---|---|---|---|---|
/// | `(CC)N`, `(00CC)N`, `(+CC)N` | yes | no | no | no | no |
/// | `+CC…` | yes | not +86 | not +86 | yes | yes |
/// | `00CC…` | yes | yes | yes | yes | yes |
/// | `1[3-9]` and nine digits | China | China | China | China | China |
/// | other digits | CC first | no | CC first | CC first, 8 or more | CC first |
///
/// In all of them spaces around the text are dropped, and one space or one hyphen may be between two digits or after
/// the closing parenthesis, as people group numbers. No vendor documents whether this is allowed, and such a text can
/// mean only one number. Digits are ASCII digits: full-width ones are refused, as the vendors do. A number whose
/// country code E.164 has not assigned, such as +999, is invalid in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grammar {
    /// uSpeedo's REST API.
    Uspeedo,
    /// The Action APIs of uSpeedo and UCloud.
    UcloudAction,
    /// SendCloud with a template for mainland China.
    SendCloud,
    /// SendCloud with an international template.
    SendCloudInternational,
    /// EngageLab's `/v1/send`.
    EngageLabA,
    /// EngageLab's `/v1/messages`.
    EngageLabC,
}

impl Grammar {
    /// All grammars.
    pub const ALL: [Self; 6] = [
        Self::Uspeedo,
        Self::UcloudAction,
        Self::SendCloud,
        Self::SendCloudInternational,
        Self::EngageLabA,
        Self::EngageLabC,
    ];
}

/// The numbers that a text may mean in any grammar, each once: for people who search for a number as it was sent, in
/// any notation that [`plain`] accepts. Digits alone, also with a blank in front (a `+` that a query string turned into
/// a blank), are also read with their country code first.
pub fn possible_numbers(written: &str) -> impl Iterator<Item = Msisdn> {
    let mut readings = Vec::new();
    if let Some(Plain { digits, has_plus }) = plain(written) {
        let marked = digits.strip_prefix("00").filter(|_| !has_plus);
        let international = format!("+{}", marked.unwrap_or(&digits));
        readings.extend(parse(&international, Grammar::Uspeedo).ok());
        if !has_plus && marked.is_none() {
            readings.extend(
                Grammar::ALL
                    .into_iter()
                    .filter_map(|grammar| parse(&digits, grammar).ok()),
            );
        }
    }
    readings.sort_unstable();
    readings.dedup();
    readings.into_iter()
}

/// Why a written number cannot be read. It does not contain the number: errors are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PhoneError {
    /// Only spaces.
    #[error("the phone number is empty")]
    Empty,
    /// The text is not a number in this dialect's grammar.
    #[error("the phone number is not in a format this API takes")]
    Format,
}

/// The prefix of the digits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefix {
    None,
    Plus,
    Zeros,
    Parentheses,
}

/// Reads a number in the spelling of `grammar`.
///
/// # Errors
/// [`PhoneError::Empty`] for only spaces, [`PhoneError::Format`] for everything else that is not a number of 7 to 15
/// digits in that grammar, with a country code that E.164 has assigned.
pub fn parse(written: &str, grammar: Grammar) -> Result<Msisdn, PhoneError> {
    let written = written.trim_ascii();
    if written.is_empty() {
        return Err(PhoneError::Empty);
    }
    read(written, grammar).ok_or(PhoneError::Format)
}

fn read(written: &str, grammar: Grammar) -> Option<Msisdn> {
    let mut digits = Digits::default();
    let prefix = if let Some(rest) = written.strip_prefix('(') {
        let (code, number) = rest.split_once(')')?;
        digits.push_code(code)?;
        digits.push_grouped(number.strip_prefix([' ', '-']).unwrap_or(number))?;
        Prefix::Parentheses
    } else if let Some(number) = written.strip_prefix('+') {
        digits.push_grouped(number)?;
        Prefix::Plus
    } else {
        digits.push_grouped(written)?;
        if digits.strip("00") {
            Prefix::Zeros
        } else {
            Prefix::None
        }
    };
    digits
        .msisdn()
        .and_then(|number| admit(number, prefix, grammar))
        .filter(|number| number.country_code().is_some())
}

/// Applies the differences between the grammars.
fn admit(number: Msisdn, prefix: Prefix, grammar: Grammar) -> Option<Msisdn> {
    use Grammar::{EngageLabA, EngageLabC, SendCloud, SendCloudInternational, UcloudAction, Uspeedo};
    let taken = match (prefix, grammar) {
        (Prefix::Parentheses, _) => matches!(grammar, Uspeedo | UcloudAction),
        (Prefix::Zeros, _) => true,
        // The vendor answers 412 to +86 while it takes other countries with a plus.
        (Prefix::Plus, SendCloud | SendCloudInternational) => !number.is_mainland_china(),
        (Prefix::Plus, _) => true,
        (Prefix::None, _) if is_bare_mainland_mobile(number) => {
            return Msisdn::from_u64(MAINLAND_CHINA + number.as_u64());
        }
        (Prefix::None, SendCloud) => false,
        (Prefix::None, EngageLabA) => number.digit_count() >= ENGAGELAB_BARE_DIGITS_MIN,
        (Prefix::None, Uspeedo | UcloudAction | SendCloudInternational | EngageLabC) => true,
    };
    (taken && number.digit_count() >= DIGITS_MIN).then_some(number)
}

/// Whether these are the eleven digits `1[3-9]…` of a Chinese mobile number without its country code.
///
/// Some numbers of +1 have the same form. All four vendors are Chinese, and their clients mean China; a client that
/// means +1 writes the code.
fn is_bare_mainland_mobile(number: Msisdn) -> bool {
    number.digit_count() == 11 && matches!(number.leading(2), Some(13..=19))
}

/// Digits collected from a written number; bounded, so that a text of any length can be refused.
#[derive(Default)]
struct Digits {
    bytes: [u8; WRITTEN_DIGITS_MAX],
    len: usize,
}

impl Digits {
    fn push(&mut self, digit: u8) -> Option<()> {
        *self.bytes.get_mut(self.len)? = digit;
        self.len += 1;
        Some(())
    }

    /// Adds a country code in parentheses: `86`, `0086` or `+86`.
    fn push_code(&mut self, code: &str) -> Option<()> {
        let code = code
            .strip_prefix("00")
            .or_else(|| code.strip_prefix('+'))
            .unwrap_or(code);
        // Up to four: clients write the area code of a small +1 country as part of it, as in (1242).
        if !(1..=4).contains(&code.len()) || code.starts_with('0') {
            return None;
        }
        code.bytes().try_for_each(|byte| {
            if byte.is_ascii_digit() {
                self.push(byte)
            } else {
                None
            }
        })
    }

    /// Adds digits with single spaces or hyphens between them; begins and ends with a digit.
    fn push_grouped(&mut self, text: &str) -> Option<()> {
        let mut after_digit = false;
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => {
                    self.push(byte)?;
                    after_digit = true;
                }
                b' ' | b'-' if after_digit => after_digit = false,
                _ => return None,
            }
        }
        after_digit.then_some(())
    }

    /// Removes `prefix` if the digits begin with it, and returns whether they did.
    fn strip(&mut self, prefix: &str) -> bool {
        let Some(rest) = self.as_str().strip_prefix(prefix) else {
            return false;
        };
        let len = rest.len();
        self.bytes.copy_within(prefix.len()..self.len, 0);
        self.len = len;
        true
    }

    fn as_str(&self) -> &str {
        self.bytes
            .get(..self.len)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }

    fn msisdn(&self) -> Option<Msisdn> {
        Msisdn::from_digits(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::Grammar::{EngageLabA, EngageLabC, SendCloud, SendCloudInternational, UcloudAction, Uspeedo};
    use super::*;

    const ALL: [Grammar; 6] = [
        Uspeedo,
        UcloudAction,
        SendCloud,
        SendCloudInternational,
        EngageLabA,
        EngageLabC,
    ];

    /// Checks which of the grammars, in the order of [`ALL`], read a spelling, and as which digits.
    fn assert_reads(written: &str, digits: &str, taken: [bool; 6]) {
        for (grammar, taken) in ALL.into_iter().zip(taken) {
            let expected = if taken {
                Ok(digits.to_owned())
            } else {
                Err(PhoneError::Format)
            };
            assert_eq!(
                parse(written, grammar).map(Msisdn::digits),
                expected,
                "{written:?} in {grammar:?}"
            );
        }
    }

    const NONE: [bool; 6] = [false; 6];
    const EVERY: [bool; 6] = [true; 6];
    const PARENTHESES: [bool; 6] = [true, true, false, false, false, false];
    const NOT_SENDCLOUD: [bool; 6] = [true, true, false, false, true, true];
    const NOT_SENDCLOUD_MAINLAND: [bool; 6] = [true, true, false, true, true, true];

    #[test]
    fn each_dialect_reads_the_spellings_its_documentation_shows() {
        for (written, digits, taken) in [
            ("(86)13800138000", "8613800138000", PARENTHESES),
            ("(0086)13800138000", "8613800138000", PARENTHESES),
            ("(+86)13800138000", "8613800138000", PARENTHESES),
            ("(852)55311111", "85255311111", PARENTHESES),
            ("(1242)5550123", "12425550123", PARENTHESES),
            ("13800138000", "8613800138000", EVERY),
            ("008613800138000", "8613800138000", EVERY),
            ("008615727024341", "8615727024341", EVERY),
            ("+8613800138000", "8613800138000", NOT_SENDCLOUD),
            ("+447700900123", "447700900123", EVERY),
            ("00447700900123", "447700900123", EVERY),
            ("8613800138000", "8613800138000", NOT_SENDCLOUD_MAINLAND),
            ("55212345780", "55212345780", NOT_SENDCLOUD_MAINLAND),
            ("923700056581", "923700056581", NOT_SENDCLOUD_MAINLAND),
            ("1233", "", NONE),
            ("123456", "", NONE),
            ("1234567", "1234567", [true, true, false, true, false, true]),
            ("12345678", "12345678", NOT_SENDCLOUD_MAINLAND),
        ] {
            assert_reads(written, digits, taken);
        }
    }

    #[test]
    fn the_sandbox_numbers_read_in_every_dialect() {
        for last in 0..10 {
            let digits = format!("1000000000{last}");
            assert_reads(&format!("+{digits}"), &digits, EVERY);
            assert_reads(&format!("00{digits}"), &digits, EVERY);
            assert_reads(&format!("(1)000000000{last}"), &digits, PARENTHESES);
            assert_reads(&digits, &digits, NOT_SENDCLOUD_MAINLAND);
        }
    }

    #[test]
    fn eleven_digits_from_13_to_19_are_mainland_china_and_other_eleven_are_not() {
        assert_reads("19999999999", "8619999999999", EVERY);
        assert_reads("13000000000", "8613000000000", EVERY);
        assert_reads("12999999999", "12999999999", NOT_SENDCLOUD_MAINLAND);
        assert_reads("20000000000", "20000000000", NOT_SENDCLOUD_MAINLAND);
    }

    /// A country code that E.164 has not assigned is refused in every spelling; an assigned one is accepted with any
    /// number behind it.
    #[test]
    fn a_country_code_that_is_not_assigned_is_refused_in_every_spelling() {
        for code in [
            "210", "259", "289", "384", "422", "699", "851", "877", "969", "999",
        ] {
            for written in [
                format!("+{code}00000001"),
                format!("00{code}00000001"),
                format!("{code}00000001"),
                format!("({code})00000001"),
                format!("+{code} 0000-0001"),
            ] {
                assert_reads(&written, "", NONE);
            }
        }
        for digits in [
            "15550100",
            "15550123",
            "447700900000",
            "447700900999",
            "80012345678",
            "88816000000",
            "99100000001",
        ] {
            assert_reads(&format!("+{digits}"), digits, EVERY);
            assert_reads(&format!("00{digits}"), digits, EVERY);
        }
    }

    #[test]
    fn spaces_and_hyphens_group_digits_and_nothing_more() {
        assert_reads(" 138 0013-8000 ", "8613800138000", EVERY);
        assert_reads("+44 7700 900123", "447700900123", EVERY);
        assert_reads("(86) 138-0013-8000", "8613800138000", PARENTHESES);
        for written in [
            "138  00138000",
            "138--00138000",
            "-13800138000",
            "13800138000-",
            "+ 447700900123",
            "44.7700900123",
        ] {
            assert_reads(written, "", NONE);
        }
    }

    #[test]
    fn a_text_that_is_no_number_is_refused_everywhere() {
        for written in [
            "\u{ff08}86\u{ff09}13800138000",
            "\u{ff11}\u{ff13}\u{ff18}00138000",
            "()13800138000",
            "(00)13800138000",
            "(086)13800138000",
            "(86131)38001380",
            "(8 6)13800138000",
            "(86)",
            "(86)1380",
            "(86",
            "86)13800138000",
            "(86)(86)13800138000",
            "(86)+13800138000",
            "+",
            "++447700900123",
            "+00447700900123",
            "00",
            "000447700900123",
            "01012345678",
            "+0123456789",
            "+1234567890123456",
            "001234567890123456",
            "123456789012345678901234567890",
            "13800138000,13900139000",
            "phone",
            "1380013800O",
            "+44\u{a0}7700900123",
        ] {
            assert_reads(written, "", NONE);
        }
    }

    #[test]
    fn only_spaces_is_another_error_than_a_wrong_number() {
        for grammar in ALL {
            for written in ["", " ", "\t\n"] {
                assert_eq!(parse(written, grammar), Err(PhoneError::Empty));
            }
        }
    }

    proptest! {
        #[test]
        fn reading_is_total_and_bounded(written in any::<String>(), grammar in select(&ALL[..])) {
            if let Ok(number) = parse(&written, grammar) {
                prop_assert!((DIGITS_MIN..=MSISDN_DIGITS_MAX).contains(&number.digit_count()));
            }
        }

        #[test]
        fn whatever_reads_reads_the_same_once_normalised(
            written in "[(]?[+]?0{0,2}[0-9]{1,4}[)]?[ -]?[0-9]{0,13}[ -]?[0-9]{0,3}",
            grammar in select(&ALL[..])
        ) {
            if let Ok(number) = parse(&written, grammar) {
                prop_assert_eq!(parse(&format!("00{number}"), grammar), Ok(number));
            }
        }

        #[test]
        fn grammars_that_take_the_same_text_read_the_same_number(written in "[(+]?[0-9]{1,4}[)]?[0-9 -]{4,14}") {
            let mut readings = ALL.into_iter().filter_map(|grammar| parse(&written, grammar).ok());
            if let Some(first) = readings.next() {
                prop_assert!(readings.all(|reading| reading == first));
            }
        }
    }
}
