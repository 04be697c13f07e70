//! Parses and formats times.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use store::UnixMs;

/// A time as RFC 3339 in UTC with milliseconds.
pub(crate) fn exact(at: UnixMs) -> String {
    Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |at| format!("{at:.3}"))
}

/// A time for tables: RFC 3339 to the second in the local time zone, which [`read`] accepts.
pub(crate) fn short(at: UnixMs, zone: &TimeZone) -> String {
    if at <= 0 {
        return "-".to_owned();
    }
    Timestamp::from_millisecond(at).map_or_else(
        |_| at.to_string(),
        |at| {
            let at = at.to_zoned(zone.clone());
            let offset = if at.offset().is_zero() { "Z" } else { "%:z" };
            at.strftime(&format!("%Y-%m-%dT%H:%M:%S{offset}")).to_string()
        },
    )
}

/// Parses a time: `2026-11-18T10:00:00Z`, a local `2026-11-18 10:00` or `2026-11-18`, or a time before now: `90s`,
/// `30m`, `2h`, `7d`.
///
/// # Errors
/// The valid notations.
pub(crate) fn read(written: &str, now: UnixMs, zone: &TimeZone) -> Result<UnixMs, String> {
    match span(written.trim()) {
        Some(back) => Ok(now.saturating_sub(back).max(0)),
        None => moment(written, zone, "before now"),
    }
}

/// Parses a time as [`read`] does, but a span is from now on.
///
/// # Errors
/// The valid notations.
pub(crate) fn read_ahead(written: &str, now: UnixMs, zone: &TimeZone) -> Result<UnixMs, String> {
    match span(written.trim()) {
        Some(ahead) => Ok(now.saturating_add(ahead)),
        None => moment(written, zone, "from now"),
    }
}

fn moment(written: &str, zone: &TimeZone, span: &str) -> Result<UnixMs, String> {
    let written = written.trim();
    if let Ok(at) = written.parse::<Timestamp>() {
        return Ok(at.as_millisecond());
    }
    let local = written.parse::<DateTime>().ok();
    local
        .and_then(|local| local.to_zoned(zone.clone()).ok())
        .map(|at| at.timestamp().as_millisecond())
        .ok_or_else(|| {
            format!(
                "{written:?} is not a time; write it as 2026-11-18T10:00:00Z, as \"2026-11-18 10:00\" (local), or as a time span \
                 {span}: 90s, 30m, 2h, 7d"
            )
        })
}

/// A time span in milliseconds.
fn span(written: &str) -> Option<i64> {
    let (number, unit) = written.split_at_checked(written.len().checked_sub(1)?)?;
    let number: i64 = number.parse().ok().filter(|number| *number >= 0)?;
    let span = match unit {
        "s" => SignedDuration::from_secs(number),
        "m" => SignedDuration::from_secs(number.checked_mul(60)?),
        "h" => SignedDuration::from_secs(number.checked_mul(3600)?),
        "d" => SignedDuration::from_secs(number.checked_mul(86_400)?),
        _ => return None,
    };
    i64::try_from(span.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixMs = 1_795_000_000_000;

    #[test]
    fn times_are_parsed_in_every_common_notation() {
        let cases = [
            ("2026-11-18T11:06:40Z", Ok(NOW)),
            ("2026-11-18T12:06:40+01:00", Ok(NOW)),
            ("2026-11-18 11:06:40", Ok(NOW)),
            ("2026-11-18 11:06", Ok(NOW - 40_000)),
            ("2026-11-18", Ok(NOW - 40_000_000)),
            ("90s", Ok(NOW - 90_000)),
            (" 2h ", Ok(NOW - 7_200_000)),
            ("7d", Ok(NOW - 604_800_000)),
            ("1000000000d", Ok(0)),
            ("-2h", Err(())),
            ("yesterday", Err(())),
            ("", Err(())),
            ("h", Err(())),
            ("9999999999999999999d", Err(())),
        ];
        for (written, expected) in cases {
            let read = read(written, NOW, &TimeZone::UTC).map_err(drop);
            assert_eq!(read, expected, "{written:?}");
        }
        for (written, expected) in [
            ("2h", Ok(NOW + 7_200_000)),
            ("2026-11-18 12:06:40", Ok(NOW + 3_600_000)),
            ("tomorrow", Err(())),
        ] {
            let read = read_ahead(written, NOW, &TimeZone::UTC).map_err(drop);
            assert_eq!(read, expected, "{written:?}");
        }
    }

    #[test]
    fn times_are_shown_to_the_second_or_the_millisecond() {
        assert_eq!(short(NOW, &TimeZone::UTC), "2026-11-18T11:06:40Z");
        let berlin = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(short(NOW, &berlin), "2026-11-18T12:06:40+01:00");
        assert_eq!(read(&short(NOW, &berlin), NOW, &berlin), Ok(NOW));
        assert_eq!(short(0, &TimeZone::UTC), "-");
        assert_eq!(exact(NOW + 5), "2026-11-18T11:06:40.005Z");
    }

    proptest! {
        #[test]
        fn no_time_makes_it_panic(written in ".{0,30}", now in 0_i64..4_000_000_000_000) {
            let _ = read(&written, now, &TimeZone::UTC);
        }
    }
}
