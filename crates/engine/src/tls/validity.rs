//! From when to when a certificate is valid (RFC 5280 section 4.1.2.5), for those who look before a peer does.

use super::{der, tbs_after_algorithm};
use jiff::civil;
use jiff::tz::TimeZone;
use std::ops::RangeInclusive;

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The first and the last second, in Unix seconds, at which a certificate in DER is valid. `None` for what does not
/// read.
#[must_use]
pub fn certificate_validity(certificate: &[u8]) -> Option<RangeInclusive<i64>> {
    let rest = tbs_after_algorithm(certificate)?;
    let (_, _, rest) = der(rest)?; // Issuer.
    let (_, validity, _) = der(rest)?;
    let (tag, from, rest) = der(validity)?;
    let (until_tag, until, _) = der(rest)?;
    Some(second(tag, from)?..=second(until_tag, until)?)
}

/// `YYMMDDHHMMSSZ` of the years 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn second(tag: u8, written: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(written).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let time = civil::DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    #[test]
    fn both_notations_of_a_time_are_read() {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(1999, 12, 31);
        params.not_after = date_time_ymd(2051, 1, 1);
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        assert_eq!(certificate_validity(own.der()), Some(946_598_400..=2_556_144_000));
    }

    #[test]
    fn what_is_no_certificate_has_no_validity() {
        for octets in [
            &b""[..],
            b"garbage",
            &[0x30, 0x03, 0x30, 0x01, 0x00],
            &[0x30, 0x84, 0xff],
        ] {
            assert_eq!(certificate_validity(octets), None, "{octets:?}");
        }
        assert_eq!(second(UTC_TIME, b"991331000000Z"), None);
        assert_eq!(second(UTC_TIME, "9912\u{e9}1000000Z".as_bytes()), None);
    }
}
