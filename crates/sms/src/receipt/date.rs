//! The dates in a receipt text.

use std::fmt;

/// A date in a receipt text (SMPP 3.4 Appendix B): `YYMMDDhhmm`, with seconds at some carriers.
///
/// The carrier's wall clock: the text has no time zone, so this is no point in time until the carrier's configuration
/// adds one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CarrierDate {
    /// 2000 to 2099.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31, and a day the month has.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59; 0 if the text has no seconds.
    pub second: u8,
}

impl CarrierDate {
    /// Reads `YYMMDDhhmm`, `YYMMDDhhmmss` or, as some carriers write, the same with a four-digit year; `None`
    /// for anything else and for a day or time that does not exist.
    #[must_use]
    pub fn parse(written: &str) -> Option<Self> {
        let written = written.trim_ascii();
        if !written.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        match written.len() {
            10 | 12 => {
                // Twelve digits can be either; the order of Appendix B has precedence.
                Self::after_century(written).or_else(|| Self::after_century(written.strip_prefix("20")?))
            }
            14 => Self::after_century(written.strip_prefix("20")?),
            _ => None,
        }
    }

    /// Reads `YYMMDDhhmm[ss]` from ASCII digits.
    fn after_century(digits: &str) -> Option<Self> {
        let pair = |index: usize| digits.get(index * 2..index * 2 + 2)?.parse::<u8>().ok();
        let date = Self {
            year: 2000 + u16::from(pair(0)?),
            month: pair(1)?,
            day: pair(2)?,
            hour: pair(3)?,
            minute: pair(4)?,
            second: pair(5).unwrap_or(0),
        };
        date.exists().then_some(date)
    }

    const fn exists(self) -> bool {
        let days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            // Right for 2000 to 2099, the only years here.
            2 if self.year.is_multiple_of(4) => 29,
            2 => 28,
            _ => 0,
        };
        self.day >= 1 && self.day <= days && self.hour <= 23 && self.minute <= 59 && self.second <= 59
    }
}

/// As ISO 8601 without a zone.
impl fmt::Display for CarrierDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = self;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_the_century_are_optional() {
        for (written, read) in [
            ("2611220930", "2026-11-22T09:30:00"),
            ("261122093059", "2026-11-22T09:30:59"),
            ("20261122093059", "2026-11-22T09:30:59"),
            ("202611220930", "2026-11-22T09:30:00"),
            (" 2402292359 ", "2024-02-29T23:59:00"),
        ] {
            assert_eq!(
                CarrierDate::parse(written)
                    .map(|date| date.to_string())
                    .as_deref(),
                Some(read),
                "{written}"
            );
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for written in [
            "",
            "0",
            "0000000000",
            "261122093",
            "26112209300",
            "2613220930",
            "2611310930",
            "2502290930",
            "2611222430",
            "2611220960",
            "261122093060",
            "19991122093059",
            "26-11-22 09:30",
            "261122093\u{664}",
        ] {
            assert_eq!(CarrierDate::parse(written), None, "{written:?}");
        }
    }
}
