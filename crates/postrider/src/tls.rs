//! Files of certificates, looked at before something needs them.

use std::path::Path;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Whether a PEM file has certificates of authorities in it.
///
/// # Errors
/// Why it has none, in words that follow its name: "FILE: No such file".
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
            "{shown}: there is no certificate in it (PEM, -----BEGIN CERTIFICATE-----)"
        ));
    }
    Ok(())
}
