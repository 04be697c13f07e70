//! Transport security towards others.

use std::sync::Arc;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A client's settings that trust `roots`. The provider is named, for a build may hold more than one and then has no
/// default.
pub(crate) fn client(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|_| unreachable!("the provider speaks the default versions"))
        .with_root_certificates(roots)
        .with_no_client_auth()
}
