//! Checks certificate files before they are used.

use jiff::Timestamp;
use std::path::Path;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Checks that a PEM file contains certificates of authorities.
///
/// # Errors
/// Why it has none, as text after its name: "FILE: No such file".
pub(crate) fn authorities(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let pem = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        certificate.map_err(|error| format!("{shown}: {error}"))?;
        found += 1;
    }
    if found == 0 {
        return Err(format!(
            "{shown}: the file contains no certificate (PEM, -----BEGIN CERTIFICATE-----)"
        ));
    }
    Ok(())
}

/// Why no certificate of a PEM file is valid at `now`, if so: all have expired, or none is valid
/// yet. A bundle of authorities may have some that have expired.
pub(crate) fn outdated(pem: &[u8], now: Timestamp) -> Option<String> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .filter_map(|one| engine::certificate_validity(&one.ok()?))
        .collect();
    let second = now.as_second();
    if all.is_empty() || all.iter().any(|valid| valid.contains(&second)) {
        return None;
    }
    let day = |second: i64| match Timestamp::from_second(second) {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        Err(_) => "an invalid date".to_owned(),
    };
    let last = all.iter().map(|valid| *valid.end()).max()?;
    let first = all.iter().map(|valid| *valid.start()).min()?;
    Some(if last < second {
        format!("expired on {}", day(last))
    } else {
        format!("is valid from {} on; check this machine's clock", day(first))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn pem(from: i32, until: i32) -> String {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn a_file_is_outdated_when_nothing_in_it_is_valid() {
        let now: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
        let problem = |pem: &str| outdated(pem.as_bytes(), now);
        assert_eq!(problem(&pem(2026, 2027)), None);
        assert_eq!(
            problem(&pem(2020, 2021)).as_deref(),
            Some("expired on 2021-01-01")
        );
        let early = problem(&pem(2027, 2028)).unwrap();
        assert!(early.starts_with("is valid from 2027-01-01 on"), "{early}");
        assert_eq!(problem(&format!("{}{}", pem(2020, 2021), pem(2026, 2027))), None);
        assert_eq!(problem("nothing"), None);
    }
}
