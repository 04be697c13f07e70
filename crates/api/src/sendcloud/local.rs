//! Dates and times as this wire writes them: China Standard Time, UTC+8, without saying so.

use crate::days;
use engine::UnixMs;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// `yyyy-MM-dd HH:mm:ss`; empty for a time nobody knows.
pub(super) fn moment(at: UnixMs) -> String {
    written(at, "%Y-%m-%d %H:%M:%S")
}

/// `yyyy-MM-dd`; empty for a time nobody knows.
pub(super) fn day(at: UnixMs) -> String {
    written(at, "%Y-%m-%d")
}

fn written(at: UnixMs, format: &str) -> String {
    if at == 0 {
        return String::new();
    }
    days::at(at, days::CHINA).strftime(format).to_string()
}

/// Reads `yyyy-MM-dd HH:mm:ss`.
pub(super) fn read_moment(written: &str) -> Option<UnixMs> {
    let (date, time) = written.trim_ascii().split_once(' ')?;
    // The date by itself, for the years that are taken.
    days::read(date)?;
    let civil =
        DateTime::strptime("%Y-%m-%d %H:%M:%S", format!("{date} {}", time.trim_ascii_start())).ok()?;
    let zoned = civil.to_zoned(TimeZone::fixed(days::CHINA)).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_chinas() {
        // 2026-11-22 00:30 in China.
        assert_eq!(moment(1_795_278_600_000), "2026-11-22 00:30:00");
        assert_eq!(day(1_795_278_600_000), "2026-11-22");
        assert_eq!((moment(0), day(0)), (String::new(), String::new()));
        assert_eq!(read_moment(" 2026-11-22 00:30:00 "), Some(1_795_278_600_000));
    }

    #[test]
    fn what_is_not_a_time_is_not_read() {
        for written in [
            "",
            " ",
            "2026-11-22",
            "2026-11-22 00:30",
            "2026-11-22 24:00:00",
            "2026-11-22T00:30:00",
            "2026-02-30 00:00:00",
            "22.11.2026 00:30:00",
            "1969-12-31 00:00:00",
            "9999-12-31 00:00:00",
            "2026-11-22 00:30:00+08:00",
            "2026-11-22 00:30:00 x",
        ] {
            assert_eq!(read_moment(written), None, "{written}");
        }
    }

    proptest! {
        #[test]
        fn a_time_reads_back_as_it_was_written(seconds in 946_684_800_i64..7_000_000_000) {
            prop_assert_eq!(read_moment(&moment(seconds * 1000)), Some(seconds * 1000));
        }

        #[test]
        fn reading_never_panics(written in ".*", digits in "[0-9: -]{0,24}") {
            let _ = read_moment(&written);
            let _ = read_moment(&digits);
        }
    }
}
