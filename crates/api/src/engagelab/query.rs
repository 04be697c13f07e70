//! Query strings of generation A: one parameter after the other, or the refusal it gets.

use super::codes::ApiError;
use super::codes::a::BAD_REQUEST;
use crate::lookup::LIMIT_MAX;
use crate::{days, lists};
use jiff::civil::Date;
use jiff::tz::Offset;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// Zones, in hours from UTC.
const TIME_ZONES: RangeInclusive<i8> = -12..=14;
/// Most entries of a parameter that takes several.
pub(super) const ENTRIES_MAX: usize = 10;

/// The parameters of a request. Of one that is given twice the last counts; an empty one is none.
#[derive(Debug)]
pub(super) struct Query<'a>(HashMap<Cow<'a, str>, Cow<'a, str>>);

/// The requested page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paging {
    pub(super) offset: u64,
    pub(super) limit: usize,
}

impl<'a> Query<'a> {
    pub(super) fn read(query: &'a str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// A whole number, not below 0.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let read = |value: &str| {
            let number = value.parse::<u64>();
            number.map_err(|_| invalid(format!("{name} must be a integer")))
        };
        self.get(name).map(read).transpose()
    }

    /// `offset` from 0 and `limit` up to 100, which is also the default. A larger limit is reduced to 100: an example of the
    /// vendor requests more.
    pub(super) fn paging(&self) -> Result<Paging, ApiError> {
        let limit = self.number("limit")?.unwrap_or(LIMIT_MAX as u64);
        Ok(Paging {
            offset: self.number("offset")?.unwrap_or(0),
            limit: limit.min(LIMIT_MAX as u64) as usize,
        })
    }

    /// `time_zone`: whole hours from UTC, China's when it is left out.
    pub(super) fn time_zone(&self) -> Result<Offset, ApiError> {
        self.get("time_zone").map_or(Ok(days::CHINA), time_zone)
    }

    /// A day that has to be given.
    pub(super) fn date(&self, name: &str) -> Result<Date, ApiError> {
        let date = self.get(name).and_then(days::read);
        date.ok_or_else(|| invalid(format!("{name} must be yyyy-MM-dd")))
    }

    /// Entries separated by `;`; commas and blanks do as well. None when it is left out.
    pub(super) fn entries(&self, name: &str) -> Result<Vec<&str>, ApiError> {
        within(name, lists::entries(self.get(name).unwrap_or_default()).collect())
    }

    /// Message ids, separated likewise.
    pub(super) fn message_ids(&self, name: &str) -> Result<Vec<&str>, ApiError> {
        within(name, lists::message_ids(self.get(name).unwrap_or_default()))
    }
}

/// No more than a list may have.
fn within<'a>(name: &str, entries: Vec<&'a str>) -> Result<Vec<&'a str>, ApiError> {
    if entries.len() > ENTRIES_MAX {
        Err(invalid(format!(
            "{name} cannot have more than {ENTRIES_MAX} entries"
        )))
    } else {
        Ok(entries)
    }
}

impl Paging {
    /// That piece of a list, and how many there are in all.
    pub(super) fn of<T>(self, all: impl Iterator<Item = T>) -> (Vec<T>, u64) {
        let mut total = 0;
        let mut piece = Vec::new();
        for one in all {
            if total >= self.offset && piece.len() < self.limit {
                piece.push(one);
            }
            total += 1;
        }
        (piece, total)
    }
}

/// A parameter is not as it must be.
pub(super) fn invalid(what: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError::saying(&BAD_REQUEST, what)
}

/// A plus has become a space when nobody encoded it.
fn time_zone(written: &str) -> Result<Offset, ApiError> {
    let hours = written.strip_prefix('+').unwrap_or(written).parse().ok();
    let hours = hours.filter(|hours| TIME_ZONES.contains(hours));
    hours
        .map(Offset::constant)
        .ok_or_else(|| invalid("time_zone must be a whole hour from -12 to 14"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_is_paged() {
        let page = |query: &str| {
            let paging = Query::read(query).paging();
            paging.map(|paging| paging.of(0..250)).map(|(page, total)| {
                let ends = (page.first().copied(), page.len());
                (ends, total)
            })
        };
        assert_eq!(page("").unwrap(), ((Some(0), 100), 250));
        assert_eq!(page("limit=500").unwrap(), ((Some(0), 100), 250));
        assert_eq!(page("offset=240&limit=20").unwrap(), ((Some(240), 10), 250));
        assert_eq!(page("offset=250").unwrap(), ((None, 0), 250));
        assert_eq!(page("limit=0").unwrap(), ((None, 0), 250));
        for wrong in ["offset=-1", "offset=x", "limit=-1", "limit=1.5"] {
            assert_eq!(page(wrong).unwrap_err().code.code, 30400, "{wrong}");
        }
    }

    #[test]
    fn zones_are_whole_hours_however_their_sign_is_written() {
        let zone = |query: &str| Query::read(query).time_zone().map(|zone| zone.seconds() / 3600);
        for (query, hours) in [
            ("", 8),
            ("time_zone=%2B8", 8),
            ("time_zone=+8", 8),
            ("time_zone=8", 8),
            ("time_zone=-12", -12),
            ("time_zone=14", 14),
            ("time_zone=0", 0),
        ] {
            assert_eq!(zone(query).unwrap(), hours, "{query}");
        }
        for wrong in [
            "time_zone=15",
            "time_zone=-13",
            "time_zone=8.5",
            "time_zone=Asia/Shanghai",
        ] {
            assert!(zone(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn entries_are_separated_by_semicolons_and_counted() {
        let query = Query::read("ids=1;%202%20;;3,4+5&some=p$%2B1,q$+2&many=1;2;3;4;5;6;7;8;9;10;11");
        assert_eq!(query.entries("ids").unwrap(), ["1", "2", "3", "4", "5"]);
        assert_eq!(query.message_ids("some").unwrap(), ["p$+1", "q$ 2"]);
        assert_eq!(query.entries("none").unwrap(), [""; 0]);
        assert!(query.entries("many").is_err());
    }

    proptest! {
        #[test]
        fn no_query_panics(query in ".{0,80}", name in "[a-z_]{0,10}") {
            let query = Query::read(&query);
            let _ = (query.number(&name), query.paging(), query.time_zone(), query.date(&name), query.entries(&name));
        }
    }
}
