//! SMPP times: 16 characters, absolute or relative (SMPP 3.4 §7.1.1).
//!
//! This crate reads no clock and has no time zones: absolute times are passed as their parts.

use std::time::Duration;

use crate::octets::COctetString;

/// The longest relative time this crate writes: 31 days, the maximum of the day field and longer than SMSCs keep a
/// message.
pub const RELATIVE_SECONDS_MAX: u64 = 31 * SECONDS_A_DAY;

const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// A time `from_now` from now, in the relative form `YYMMDDhhmmss000R`. Rounded down to seconds, capped at
/// [`RELATIVE_SECONDS_MAX`].
///
/// Only days and smaller units are used, because the length of a month is up to the SMSC.
#[must_use]
pub fn relative(from_now: Duration) -> COctetString {
    let seconds = from_now.as_secs().min(RELATIVE_SECONDS_MAX);
    let (days, rest) = (seconds / SECONDS_A_DAY, seconds % SECONDS_A_DAY);
    let (hours, minutes, seconds) = (rest / 3600, rest % 3600 / 60, rest % 60);
    COctetString::from(format!("0000{days:02}{hours:02}{minutes:02}{seconds:02}000R"))
}

/// An absolute time in its parts: `YYMMDDhhmmsstnnp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Absolute {
    /// Year, 0 to 99, of this century.
    pub year: u8,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
    /// Tenth of a second, 0 to 9.
    pub tenth: u8,
    /// Offset of local time from UTC, in quarters of an hour, -48 to 48.
    pub utc_offset_quarters: i8,
}

/// A time on the wire that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Time {
    /// A point in time.
    Absolute(Absolute),
    /// A duration from the moment the SMSC reads it. Years count 365 days, months 30.
    Relative(Duration),
}

/// Reads a time. `None` if it is empty or is not one.
#[must_use]
pub fn parse(time: &COctetString) -> Option<Time> {
    let octets: &[u8; 16] = time.as_bytes().try_into().ok()?;
    let (digits, sign) = octets.split_last_chunk::<1>()?;
    let mut pairs = [0_u8; 6];
    for (pair, digits) in pairs.iter_mut().zip(digits.chunks_exact(2)) {
        *pair = number(digits)?;
    }
    let [year, month, day, hour, minute, second] = pairs;
    let tenth = number(digits.get(12..13)?)?;
    let quarters = i8::try_from(number(digits.get(13..15)?)?).ok()?;
    let utc_offset_quarters = match sign {
        b"R" => return Some(Time::Relative(span(pairs))),
        b"+" => quarters,
        b"-" => -quarters,
        _ => return None,
    };
    let plausible =
        matches!(month, 1..=12) && matches!(day, 1..=31) && hour < 24 && minute < 60 && second < 60;
    (plausible && quarters <= 48).then_some(Time::Absolute(Absolute {
        year,
        month,
        day,
        hour,
        minute,
        second,
        tenth,
        utc_offset_quarters,
    }))
}

impl Absolute {
    /// The 16 characters. Parts out of bounds are clamped.
    #[must_use]
    pub fn to_octets(self) -> COctetString {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
            tenth,
            utc_offset_quarters,
        } = self;
        let sign = if utc_offset_quarters < 0 { '-' } else { '+' };
        COctetString::from(format!(
            "{:02}{:02}{:02}{:02}{:02}{:02}{}{:02}{sign}",
            year.min(99),
            month.min(12),
            day.min(31),
            hour.min(23),
            minute.min(59),
            second.min(59),
            tenth.min(9),
            utc_offset_quarters.unsigned_abs().min(48),
        ))
    }
}

fn span([years, months, days, hours, minutes, seconds]: [u8; 6]) -> Duration {
    let days = u64::from(years) * 365 + u64::from(months) * 30 + u64::from(days);
    let minutes = u64::from(hours) * 60 + u64::from(minutes);
    Duration::from_secs(days * SECONDS_A_DAY + minutes * 60 + u64::from(seconds))
}

fn number(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |sum, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_times_are_written_in_days_and_below_and_read_back() {
        let table = [
            (0, "000000000000000R"),
            (3_661, "000000010101000R"),
            (172_800, "000002000000000R"),
        ];
        for (seconds, written) in table {
            let span = Duration::from_secs(seconds);
            assert_eq!(relative(span), written);
            assert_eq!(parse(&relative(span)), Some(Time::Relative(span)));
        }
        assert_eq!(relative(Duration::MAX), "000031000000000R");
    }

    #[test]
    fn absolute_times_survive_a_round_trip() {
        for written in ["261122235959932+", "000101000000048-", "261122000000000+"] {
            let Some(Time::Absolute(parts)) = parse(&COctetString::from(written)) else {
                panic!("{written} is a time");
            };
            assert_eq!(parts.to_octets(), written);
        }
    }

    #[test]
    fn what_is_not_a_time_is_not_read() {
        for not_a_time in [
            "",
            "2611222359599",
            "261322000000000+",
            "26112200000000x+",
            "261122000000000Z",
        ] {
            assert_eq!(parse(&COctetString::from(not_a_time)), None, "{not_a_time}");
        }
    }
}
