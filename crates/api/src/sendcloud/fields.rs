//! Reading parameters one by one, for the interfaces that manage and count.

use super::codes::{
    ApiError, DAYS, MSG_TYPE, PARAMETER_EMPTY, PARAMETER_FORMAT, PARAMETER_LENGTH, PHONE_EMPTY, PHONE_FORMAT,
    TOO_MANY_ENTRIES,
};
use super::display_texts;
use super::params::Params;
use crate::{days, lists};
use engine::sms::class::Kind;
use engine::sms::phone::{self, Grammar, Msisdn};
use engine::sms::visible::is_display_control;
use engine::{MessageView, UnixMs};
use jiff::ToSpan;
use jiff::civil::Date;
use std::ops::Range;
use std::str::FromStr;

/// Most entries of a page (all lists of this wire: 0 to 100, 100 when nothing is said).
pub const PAGE_MAX: usize = 100;
/// Most entries of a list in a parameter.
pub(super) const ENTRIES_MAX: usize = 100;

/// `start` and `limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// How many to skip.
    pub start: u64,
    /// How many to return; a larger request is reduced to [`PAGE_MAX`].
    pub limit: usize,
}

impl Paging {
    pub(super) fn read(params: &Params<'_>) -> Result<Self, ApiError> {
        let limit: u64 = number(params, "limit")?.unwrap_or(PAGE_MAX as u64);
        Ok(Self {
            start: number(params, "start")?.unwrap_or(0),
            limit: usize::try_from(limit).unwrap_or(PAGE_MAX).min(PAGE_MAX),
        })
    }

    /// The page of something that is held in memory.
    pub(super) fn of<T>(self, all: impl Iterator<Item = T>) -> Vec<T> {
        let start = usize::try_from(self.start).unwrap_or(usize::MAX);
        all.skip(start).take(self.limit).collect()
    }
}

/// A parameter that must be there.
pub(super) fn required<'a>(params: &'a Params<'_>, name: &'static str) -> Result<&'a str, ApiError> {
    params
        .get(name)
        .ok_or_else(|| ApiError::with_name(&PARAMETER_EMPTY, name))
}

/// A text of at most so many characters.
pub(super) fn text<'a>(
    params: &'a Params<'_>,
    name: &'static str,
    chars_max: usize,
) -> Result<Option<&'a str>, ApiError> {
    let text = params.get(name);
    if text.is_some_and(|text| longer_than(text, chars_max)) {
        return Err(ApiError::with_limit_of(&PARAMETER_LENGTH, name, chars_max));
    }
    if text.is_some_and(|text| text.contains('\0')) {
        return Err(ApiError::with_name(&PARAMETER_FORMAT, name));
    }
    Ok(text)
}

/// A name of at most so many characters. Names are shown in lists: what is obeyed rather than shown, such as line ends
/// and marks of direction, is no part of one.
pub(super) fn name<'a>(
    params: &'a Params<'_>,
    name: &'static str,
    chars_max: usize,
) -> Result<Option<&'a str>, ApiError> {
    match text(params, name, chars_max)? {
        Some(text) if text.contains(is_display_control) => Err(ApiError::with_name(&PARAMETER_FORMAT, name)),
        text => Ok(text),
    }
}

/// A name that must be there.
pub(super) fn required_name<'a>(
    params: &'a Params<'_>,
    name: &'static str,
    chars_max: usize,
) -> Result<&'a str, ApiError> {
    required(params, name)?;
    self::name(params, name, chars_max)?.ok_or_else(|| ApiError::with_name(&PARAMETER_EMPTY, name))
}

/// A number.
pub(super) fn number<T: FromStr>(params: &Params<'_>, name: &'static str) -> Result<Option<T>, ApiError> {
    let read = |written: &str| {
        written
            .parse()
            .map_err(|_| ApiError::with_name(&PARAMETER_FORMAT, name))
    };
    params.get(name).map(read).transpose()
}

/// A number that must be there.
pub(super) fn required_number<T: FromStr>(params: &Params<'_>, name: &'static str) -> Result<T, ApiError> {
    required(params, name)?;
    number(params, name)?.ok_or_else(|| ApiError::with_name(&PARAMETER_EMPTY, name))
}

/// Entries between semicolons; commas, which other interfaces use, and blanks do as well. Empty ones are passed over.
pub(super) fn entries<'a>(params: &'a Params<'_>, name: &'static str) -> Result<Vec<&'a str>, ApiError> {
    let list = params.get(name).unwrap_or_default();
    let entries: Vec<_> = lists::entries(list).take(ENTRIES_MAX + 1).collect();
    if entries.len() > ENTRIES_MAX {
        Err(ApiError::with_limit_of(&TOO_MANY_ENTRIES, name, ENTRIES_MAX))
    } else {
        Ok(entries)
    }
}

/// Numbers between semicolons.
pub(super) fn numbers(params: &Params<'_>, name: &'static str) -> Result<Vec<i64>, ApiError> {
    let read = |entry: &str| {
        entry
            .parse()
            .map_err(|_| ApiError::with_name(&PARAMETER_FORMAT, name))
    };
    entries(params, name)?.into_iter().map(read).collect()
}

/// A phone number with its spelling. Lists hold numbers of China and of abroad, so only the spellings that
/// cannot be mistaken are taken: eleven digits, `00` or `+` with a country code.
pub(super) fn phone(written: &str) -> Result<(Msisdn, &str), ApiError> {
    let written = written.trim();
    match phone::parse(written, LIST_GRAMMAR) {
        Ok(msisdn) => Ok((msisdn, written)),
        Err(phone::PhoneError::Empty) => Err(ApiError::from(&PHONE_EMPTY)),
        Err(phone::PhoneError::Format) => Err(ApiError::from(&PHONE_FORMAT)),
    }
}

/// How numbers in contact lists are written.
pub(super) const LIST_GRAMMAR: Grammar = Grammar::SendCloud;

/// `msgTypeStr` and `msgType`: what kind of message is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum MessageType {
    /// A text to mainland China.
    Domestic,
    /// A text to elsewhere.
    International,
    /// A call.
    Voice,
    /// MMS and video: never sent here.
    Unsent,
}

impl MessageType {
    /// Of a message: as its request said, else by its number (messages of tasks and of earlier releases).
    pub(super) fn of_message(message: &MessageView) -> Self {
        let requested = message.batch.message_type.map(|number| number.to_string());
        match requested.as_deref().and_then(Self::read) {
            Some(requested) if message.batch.kind == Kind::Text => requested,
            _ => Self::of(message.batch.kind, message.msisdn.is_mainland_china()),
        }
    }

    /// Of messages to a number, where nothing else is known of them.
    pub(super) fn of(kind: Kind, is_mainland_china: bool) -> Self {
        match kind {
            Kind::Voice => Self::Voice,
            Kind::Text if is_mainland_china => Self::Domestic,
            Kind::Text => Self::International,
        }
    }

    /// Reads the number of a type that a request may have.
    pub(super) fn read(written: &str) -> Option<Self> {
        match written {
            "0" => Some(Self::Domestic),
            "2" => Some(Self::International),
            "3" => Some(Self::Voice),
            "1" | "5" => Some(Self::Unsent),
            _ => None,
        }
    }

    /// Its number.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Domestic => 0,
            Self::International => 2,
            Self::Voice => 3,
            Self::Unsent => 1,
        }
    }

    /// Its name, as the service says it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Domestic => display_texts::DOMESTIC.text(),
            Self::International => display_texts::INTERNATIONAL.text(),
            Self::Voice => display_texts::VOICE.text(),
            Self::Unsent => "",
        }
    }
}

/// `msgType` of a template: for China, which it is when nothing is said, or for abroad.
pub(super) fn template_type(params: &Params<'_>) -> Result<Option<MessageType>, ApiError> {
    let Some(written) = params.get("msgType") else {
        return Ok(None);
    };
    match MessageType::read(written) {
        Some(kind @ (MessageType::Domestic | MessageType::International)) => Ok(Some(kind)),
        _ => Err(ApiError::from(&MSG_TYPE)),
    }
}

/// Days in China, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first day.
    pub first: Date,
    /// The last day.
    pub last: Date,
}

impl Span {
    /// `days` (1 is today), or `startDate` and `endDate`; `None` when nothing of it is given.
    pub(super) fn read(params: &Params<'_>, now: UnixMs, days_max: i32) -> Result<Option<Self>, ApiError> {
        let malformed = || ApiError::with_limit(&DAYS, days_max);
        let (first, last) = match (params.get("days"), params.get("startDate"), params.get("endDate")) {
            (Some(days), _, _) => {
                let days = days.parse().ok().filter(|days| (1..=days_max).contains(days));
                let days: i32 = days.ok_or_else(malformed)?;
                let today = days::today(now, days::CHINA);
                let first = today.checked_sub((days - 1).days()).map_err(|_| malformed())?;
                (first, today)
            }
            (None, Some(start), Some(end)) => {
                let read = |date| days::read(date).ok_or_else(malformed);
                (read(start)?, read(end)?)
            }
            (None, None, None) => return Ok(None),
            _ => return Err(malformed()),
        };
        if last < first || days_in(first, last) > days_max {
            return Err(malformed());
        }
        Ok(Some(Self { first, last }))
    }

    /// From when to when; `None` when the times cannot be computed.
    pub(super) fn times(self) -> Option<Range<UnixMs>> {
        days::span(self.first, self.last, days::CHINA)
    }
}

fn days_in(first: Date, last: Date) -> i32 {
    first
        .until(last)
        .map_or(i32::MAX, |span| span.get_days().saturating_add(1))
}

/// Whether a text has more characters than that.
pub(super) fn longer_than(text: &str, chars_max: usize) -> bool {
    text.len() > chars_max && text.chars().count() > chars_max
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params<'_> {
        Params::read(Some(query), b"").unwrap()
    }

    #[test]
    fn pages_are_a_hundred_at_most() {
        for (query, start, limit) in [
            ("", 0, 100),
            ("start=7", 7, 100),
            ("limit=0", 0, 0),
            ("limit=100", 0, 100),
            ("limit=101", 0, 100),
            ("start=18446744073709551615&limit=5", u64::MAX, 5),
        ] {
            assert_eq!(
                Paging::read(&params(query)),
                Ok(Paging { start, limit }),
                "{query}"
            );
        }
        for query in ["start=-1", "limit=-1", "start=x", "limit=1.5"] {
            assert_eq!(
                Paging::read(&params(query)).unwrap_err().code.code,
                441,
                "{query}"
            );
        }
        let page = Paging { start: 2, limit: 2 };
        assert_eq!(page.of(0..10), [2, 3]);
        assert_eq!(
            Paging {
                start: u64::MAX,
                limit: 2
            }
            .of(0..10),
            [0; 0]
        );
    }

    #[test]
    fn parameters_are_read_within_their_bounds() {
        let given = params("name=abc&long=abcd&empty=&n=7&bad=7x&zero=a%00b&turned=a%E2%80%AE&line=a%0Ab");
        assert_eq!(required(&given, "name"), Ok("abc"));
        assert_eq!(text(&given, "name", 3), Ok(Some("abc")));
        assert_eq!(name(&given, "name", 3), Ok(Some("abc")));
        assert_eq!(text(&given, "absent", 3), Ok(None));
        assert_eq!(required_number::<i64>(&given, "n"), Ok(7));
        for (refused, code, named) in [
            (required(&given, "empty").unwrap_err(), 441, "empty"),
            (text(&given, "long", 3).unwrap_err(), 417, "long"),
            (required_name(&given, "absent", 3).unwrap_err(), 441, "absent"),
            (text(&given, "zero", 9).unwrap_err(), 441, "zero"),
            (name(&given, "turned", 9).unwrap_err(), 441, "turned"),
            (required_name(&given, "line", 9).unwrap_err(), 441, "line"),
            (number::<i64>(&given, "bad").unwrap_err(), 441, "bad"),
            (
                required_number::<i64>(&given, "absent").unwrap_err(),
                441,
                "absent",
            ),
        ] {
            assert_eq!((refused.code.code, refused.name), (code, named));
        }
    }

    #[test]
    fn lists_stand_between_semicolons() {
        let given = params("ids=1;%202%20;;3,4+5&bad=1;x");
        assert_eq!(numbers(&given, "ids"), Ok(vec![1, 2, 3, 4, 5]));
        assert_eq!(numbers(&given, "absent"), Ok(vec![]));
        assert_eq!(numbers(&given, "bad").unwrap_err().code.code, 441);
        let many = |count: usize| format!("ids={}", vec!["1"; count].join(";"));
        assert!(entries(&params(&many(100)), "ids").is_ok());
        assert_eq!(entries(&params(&many(101)), "ids").unwrap_err().code.code, 441);
    }

    #[test]
    fn numbers_in_lists_are_those_that_cannot_be_mistaken() {
        for (written, expected) in [
            ("13800138000", Ok(8_613_800_138_000)),
            (" 13800138000 ", Ok(8_613_800_138_000)),
            ("+15550100", Ok(15_550_100)),
            ("00447700900123", Ok(447_700_900_123)),
            ("", Err(411)),
            ("447700900123", Err(412)),
            ("+8613800138000", Err(412)),
            ("abc", Err(412)),
        ] {
            let read = phone(written)
                .map(|(msisdn, _)| msisdn.as_u64())
                .map_err(|refused| refused.code.code);
            assert_eq!(read, expected, "{written}");
        }
    }

    #[test]
    fn types_of_templates_are_for_china_or_for_abroad() {
        assert_eq!(template_type(&params("")), Ok(None));
        assert_eq!(
            template_type(&params("msgType=0")),
            Ok(Some(MessageType::Domestic))
        );
        assert_eq!(
            template_type(&params("msgType=2")),
            Ok(Some(MessageType::International))
        );
        for other in ["1", "3", "5", "x"] {
            let query = format!("msgType={other}");
            assert_eq!(
                template_type(&params(&query)).unwrap_err().code.code,
                601,
                "{other}"
            );
        }
    }
}
