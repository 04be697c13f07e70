//! Days of a fixed zone as spans of time: what "today" and "2026-11-22" mean in a status query.

use engine::UnixMs;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};
use std::ops::{Range, RangeInclusive};

/// China Standard Time: the zone of both vendors' queries unless they say otherwise.
pub(crate) const CHINA: Offset = Offset::constant(8);

/// Years in which a message can have been sent; others could not be put into an id.
const YEARS: RangeInclusive<i16> = 2000..=2199;

/// Reads `yyyy-MM-dd`.
pub(crate) fn read(written: &str) -> Option<Date> {
    let date = Date::strptime("%Y-%m-%d", written.trim_ascii()).ok()?;
    YEARS.contains(&date.year()).then_some(date)
}

/// The day of a number of days since 1970-01-01; the nearest there is for numbers no calendar has.
pub(crate) fn of_number(days: i32) -> Date {
    // A span of so many days may not be made; a duration may.
    Date::constant(1970, 1, 1).saturating_add(SignedDuration::from_hours(24 * i64::from(days)))
}

/// The day it is at `now`.
pub(crate) fn today(now: UnixMs, zone: Offset) -> Date {
    at(now, zone).date()
}

/// A moment in a zone.
pub(crate) fn at(moment: UnixMs, zone: Offset) -> Zoned {
    // Clocks of ours are within what jiff can hold; anything else is shown as the epoch.
    Timestamp::from_millisecond(moment)
        .unwrap_or_default()
        .to_zoned(TimeZone::fixed(zone))
}

/// From the start of `first` to the end of `last`.
pub(crate) fn span(first: Date, last: Date, zone: Offset) -> Option<Range<UnixMs>> {
    let start = |date: Date| -> Option<UnixMs> {
        Some(
            date.to_zoned(TimeZone::fixed(zone))
                .ok()?
                .timestamp()
                .as_millisecond(),
        )
    };
    Some(start(first)?..start(last.tomorrow().ok()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 00:30 in China, still the day before in UTC.
    const NOW: UnixMs = 1_795_278_600_000;

    #[test]
    fn a_day_is_the_zones_own() {
        let day = today(NOW, CHINA);
        assert_eq!(day, read("2026-11-22").unwrap());
        assert_eq!(today(NOW, Offset::UTC), read("2026-11-21").unwrap());
        let span = span(day, day, CHINA).unwrap();
        assert_eq!(span.start, NOW - 30 * 60_000);
        assert_eq!(span.end - span.start, 86_400_000);
    }

    #[test]
    fn days_are_counted_from_the_epoch() {
        assert_eq!(of_number(0), read_any("1970-01-01"));
        assert_eq!(of_number(20_779), read_any("2026-11-22"));
        assert_eq!((of_number(i32::MAX), of_number(i32::MIN)), (Date::MAX, Date::MIN));
    }

    fn read_any(written: &str) -> Date {
        written.parse().unwrap()
    }

    #[test]
    fn what_is_not_a_day_is_not_read() {
        for written in [
            "",
            "2026-13-01",
            "2026-02-30",
            "22.11.2026",
            "1969-12-31",
            "9999-12-31",
            "2026-11-22T00:00",
        ] {
            assert_eq!(read(written), None, "{written}");
        }
    }
}
