//! From a carrier's settings to a bound session.

use crate::catalog::{BindKind, SecretSealer, SmppSettings, Tls, carrier_secret_name};
use crate::hex;
use secrecy::{ExposeSecret, SecretString};
use smpp::client::{self, Client, ClientConfig, ConnectError, Events, Transport};
use smpp::field::{InterfaceVersion, Npi, Ton};
use smpp::pdu::{Bind, BindKind as Kind};
use smpp::session::Slots;
use smpp::{COctetString, CommandStatus};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};

/// A session could not be had.
#[derive(Debug, Error)]
pub(crate) enum BindError {
    /// The password is sealed with another master key, or damaged.
    #[error("password: {0}")]
    Password(String),
    /// TLS could not be set up.
    #[error("tls: {0}")]
    Tls(String),
    /// Connecting or binding failed.
    #[error("{}", described(.0))]
    Connect(#[from] ConnectError),
}

impl BindError {
    /// Whether the carrier refused who binds: trying again soon changes nothing, and may lock the account.
    pub(crate) const fn is_rejection(&self) -> bool {
        matches!(
            self,
            Self::Connect(ConnectError::Refused(
                CommandStatus::RINVSYSID | CommandStatus::RINVPASWD | CommandStatus::RINVSYSTYP
            ))
        )
    }

    /// Whether the carrier refused the bind without saying why. Some mean the password, others that they are just
    /// starting.
    pub(crate) const fn is_unexplained(&self) -> bool {
        matches!(
            self,
            Self::Connect(ConnectError::Refused(CommandStatus::RBINDFAIL))
        )
    }
}

/// Why there is no session, with the cause: what was refused, and why a certificate was not taken.
fn described(error: &ConnectError) -> String {
    match error {
        ConnectError::Tls(cause) => {
            let setting = "`tls.ca_file`";
            format!(
                "{error}: {}",
                crate::tls::Reason {
                    error: cause,
                    setting
                }
            )
        }
        _ => crate::tls::chain(error),
    }
}

/// What one session of a carrier is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Both,
    Submit,
    Receive,
}

impl Purpose {
    /// The sessions of one bind of the carrier.
    pub(crate) const fn of(kind: BindKind) -> &'static [Self] {
        match kind {
            BindKind::Transceiver => &[Self::Both],
            BindKind::TransmitterReceiver => &[Self::Submit, Self::Receive],
        }
    }

    const fn bind(self) -> Kind {
        match self {
            Self::Both => Kind::Transceiver,
            Self::Submit => Kind::Transmitter,
            Self::Receive => Kind::Receiver,
        }
    }
}

/// The password of a carrier: sealed in the store, or in the clear for carriers made by programs.
pub(crate) fn password(
    settings: &SmppSettings,
    name: &str,
    sealer: &SecretSealer,
) -> Result<SecretString, BindError> {
    if settings.password_sealed.is_empty() {
        return Ok(SecretString::from(settings.password.clone()));
    }
    let sealed = hex::octets(&settings.password_sealed)
        .ok_or_else(|| BindError::Password("not hexadecimal".to_owned()))?;
    sealer
        .open(&carrier_secret_name(name), &sealed)
        .map_err(|error| BindError::Password(error.to_string()))
}

/// Connects and binds.
pub(crate) async fn bind(
    settings: &SmppSettings,
    password: &SecretString,
    purpose: Purpose,
) -> Result<(Client, Events), BindError> {
    let request = Bind {
        system_id: COctetString::from(settings.system_id.as_str()),
        password: COctetString::from(password.expose_secret()),
        system_type: COctetString::from(settings.system_type.as_str()),
        interface_version: InterfaceVersion(settings.interface_version),
        addr_ton: Ton(settings.bind_addr_ton),
        addr_npi: Npi(settings.bind_addr_npi),
        address_range: COctetString::from(settings.address_range.as_str()),
        ..Bind::new(purpose.bind(), "", "")
    };
    let mut config = ClientConfig::new(address(&settings.host, settings.port), request);
    let window_max = usize::from(settings.window_max.max(1));
    config.session.window_max = window_max;
    config.session.slots = Slots::OnRelease;
    config.session.response_timeout = Duration::from_secs(u64::from(settings.response_timeout_s.max(1)));
    config.session.enquire_link_interval =
        Some(Duration::from_secs(u64::from(settings.enquire_link_s.max(1))));
    let bound = client::connect(config, &transport(&settings.tls, &settings.host)?).await?;
    Ok((bound.client, bound.events))
}

/// `host:port`, with an IPv6 address in brackets (RFC 3986 section 3.2.2).
fn address(host: &str, port: u16) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(host) => format!("[{host}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    }
}

fn transport(tls: &Tls, host: &str) -> Result<Transport, BindError> {
    if !tls.enabled {
        return Ok(Transport::Tcp);
    }
    let fail = |error: &dyn std::fmt::Display| BindError::Tls(error.to_string());
    let mut roots = RootCertStore::empty();
    let mut pinned = Vec::new();
    match tls.ca_file.as_deref().filter(|file| !file.is_empty()) {
        Some(file) => {
            let fail =
                |error: &dyn std::fmt::Display| BindError::Tls(format!("`tls.ca_file` {file}: {error}"));
            let pem = std::fs::read(file).map_err(|error| fail(&error))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| fail(&error))?;
                roots.add(certificate.clone()).map_err(|error| fail(&error))?;
                pinned.push(certificate);
            }
            if pinned.is_empty() {
                return Err(fail(&"there is no certificate in it"));
            }
        }
        None => {
            for certificate in rustls_native_certs::load_native_certs().certs {
                // One certificate of the system that does not read is no reason to trust none of them.
                let _ = roots.add(certificate);
            }
        }
    }
    let config = crate::tls::client(roots, pinned);
    let name = tls.server_name.as_deref().unwrap_or(host).to_owned();
    let server_name =
        ServerName::try_from(name.clone()).map_err(|error| fail(&format!("{name:?}: {error}")))?;
    Ok(Transport::Tls {
        connector: TlsConnector::from(Arc::new(config)),
        server_name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_are_dialled() {
        assert_eq!(address("smsc.example", 2775), "smsc.example:2775");
        assert_eq!(address("10.0.0.1", 2775), "10.0.0.1:2775");
        assert_eq!(address("::1", 2775), "[::1]:2775");
    }

    #[tokio::test]
    async fn what_cannot_be_reached_says_why() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = SmppSettings {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
            ..SmppSettings::default()
        };
        drop(listener);
        let said = async |settings: &SmppSettings| {
            let password = SecretString::default();
            bind(settings, &password, Purpose::Both)
                .await
                .err()
                .unwrap()
                .to_string()
        };
        let refused = said(&settings).await.to_lowercase();
        assert!(
            refused.contains("cannot connect to 127.0.0.1") && refused.contains("refused"),
            "{refused}"
        );
        settings.tls.enabled = true;
        settings.tls.ca_file = Some("/nowhere/ca.pem".to_owned());
        let missing = said(&settings).await;
        assert!(
            missing.contains("/nowhere/ca.pem") && missing.contains("No such file"),
            "{missing}"
        );
    }
}
