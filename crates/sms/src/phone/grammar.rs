//! How each dialect lets callers write a number.

use serde::{Deserialize, Serialize};

use super::{MSISDN_DIGITS_MAX, Msisdn};

/// Fewest digits of a number a message can be sent to, country code included.
const DIGITS_MIN: usize = 7;

/// Fewest digits taken for an international number when EngageLab's generation A gets them without a prefix.
/// Its documentation refuses `1233`; a bare national number is as short as seven.
const ENGAGELAB_BARE_DIGITS_MIN: usize = 8;

/// Most digits as written: fifteen and the prefix `00`.
const WRITTEN_DIGITS_MAX: usize = MSISDN_DIGITS_MAX + 2;

/// Which spellings of a number a caller may use.
///
/// | written | `Uspeedo`, `UcloudAction` | `SendCloud` | `SendCloudInternational` | `EngageLabA` | `EngageLabC` |
/// |---|---|---|---|---|---|
/// | `(CC)N`, `(00CC)N`, `(+CC)N` | yes | no | no | no | no |
/// | `+CC…` | yes | not +86 | not +86 | yes | yes |
/// | `00CC…` | yes | yes | yes | yes | yes |
/// | `1[3-9]` and nine digits | China | China | China | China | China |
/// | other digits | CC first | no | CC first | CC first, 8 or more | CC first |
///
/// In all of them spaces around the text are dropped, and one space or one hyphen may stand between two
/// digits or after the closing parenthesis, as people group numbers; none of the vendors documents it either
/// way, and such a text can mean only one number. Digits are ASCII digits: full-width ones are refused, as
/// the vendors do.
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

/// Why a written number cannot be read. It does not repeat the number: errors end up in logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PhoneError {
    /// There is nothing but spaces.
    #[error("the phone number is empty")]
    Empty,
    /// The text is not a number in this dialect's grammar.
    #[error("the phone number is not in a format this API takes")]
    Format,
}

/// What stands in front of the digits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefix {
    None,
    Plus,
    Zeros,
    Parentheses,
}

/// Reads a number as a caller of `grammar` wrote it.
///
/// # Errors
/// [`PhoneError::Empty`] for nothing but spaces, [`PhoneError::Format`] for everything else that is not a
/// number of 7 to 15 digits in that grammar.
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
    digits.msisdn().and_then(|number| admit(number, prefix, grammar))
}

/// Applies what the grammars differ in.
fn admit(number: Msisdn, prefix: Prefix, grammar: Grammar) -> Option<Msisdn> {
    use Grammar::{EngageLabA, EngageLabC, SendCloud, SendCloudInternational, UcloudAction, Uspeedo};
    let taken = match (prefix, grammar) {
        (Prefix::Parentheses, _) => matches!(grammar, Uspeedo | UcloudAction),
        (Prefix::Zeros, _) => true,
        // The vendor answers 412 to +86 while it takes other countries with a plus.
        (Prefix::Plus, SendCloud | SendCloudInternational) => !number.is_mainland_china(),
        (Prefix::Plus, _) => true,
        (Prefix::None, _) if is_bare_mainland_mobile(number) => {
            return Msisdn::from_u64(86_000_0000_0000 + number.as_u64());
        }
        (Prefix::None, SendCloud) => false,
        (Prefix::None, EngageLabA) => number.len() >= ENGAGELAB_BARE_DIGITS_MIN,
        (Prefix::None, Uspeedo | UcloudAction | SendCloudInternational | EngageLabC) => true,
    };
    (taken && number.len() >= DIGITS_MIN).then_some(number)
}

/// Whether these are the eleven digits `1[3-9]…` of a Chinese mobile number without its country code.
///
/// Some numbers of +1 look the same. All four vendors are Chinese, and their callers mean China; who means
/// +1 writes it.
const fn is_bare_mainland_mobile(number: Msisdn) -> bool {
    number.as_u64() >= 130_0000_0000 && number.as_u64() <= 199_9999_9999
}

/// Digits as they are gathered from a written number; bounded, so that no text is too long to refuse.
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

    /// Gathers a country code as it stands in parentheses: `86`, `0086` or `+86`.
    fn push_code(&mut self, code: &str) -> Option<()> {
        let code = code
            .strip_prefix("00")
            .or_else(|| code.strip_prefix('+'))
            .unwrap_or(code);
        // Up to four: callers write the area code of a small +1 country as part of it, as in (1242).
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

    /// Gathers digits with single spaces or hyphens between them; begins and ends with a digit.
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

    /// Drops `prefix` where the digits begin with it, and says whether they did.
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
