//! The certificate of the APIs, read from its files.

use crate::config::Config;
use anyhow::Context;
use api::serve::Certificate;
use std::path::PathBuf;
use std::sync::Arc;

/// The certificate of the APIs, if configured.
///
/// # Errors
/// Why the configured files cannot be used.
pub(crate) fn certificate(config: &Config) -> anyhow::Result<Option<Arc<Certificate>>> {
    if config.api.tls.cert_file.as_os_str().is_empty() {
        return Ok(None);
    }
    let (chain, key) = read_pems(config)?;
    Ok(Some(Certificate::from_pem(&chain, &key).context("`api.tls`")?))
}

pub(super) fn read_pems(config: &Config) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let read = |name: &str, path: &PathBuf| {
        std::fs::read(path).with_context(|| format!("`api.tls.{name}`: read {}", path.display()))
    };
    let tls = &config.api.tls;
    Ok((
        read("cert_file", &tls.cert_file)?,
        read("key_file", &tls.key_file)?,
    ))
}
