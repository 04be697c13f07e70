//! From a carrier's settings to a bound session.

use crate::catalog::{BindKind, SmppSettings, Tls, Vault, carrier_secret_name};
use secrecy::{ExposeSecret, SecretString};
use smpp::client::{self, Client, ClientConfig, ConnectError, Events, Transport};
use smpp::field::{InterfaceVersion, Npi, Ton};
use smpp::pdu::{Bind, BindKind as Kind};
use smpp::session::Slots;
use smpp::{COctetString, CommandStatus};
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
    #[error(transparent)]
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
    vault: &Vault,
) -> Result<SecretString, BindError> {
    if settings.password_sealed.is_empty() {
        return Ok(SecretString::from(settings.password.clone()));
    }
    let sealed = read_hex(&settings.password_sealed)
        .ok_or_else(|| BindError::Password("not hexadecimal".to_owned()))?;
    vault
        .open(&carrier_secret_name(name), &sealed)
        .map_err(|error| BindError::Password(error.to_string()))
}

fn read_hex(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |all, digit| all << 4 | digit))
            .collect(),
    )
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
    let mut config = ClientConfig::new(format!("{}:{}", settings.host, settings.port), request);
    let window_max = usize::from(settings.window_max.max(1));
    config.session.window_max = window_max;
    config.session.slots = Slots::OnRelease;
    config.session.response_timeout = Duration::from_secs(u64::from(settings.response_timeout_s.max(1)));
    config.session.enquire_link_interval =
        Some(Duration::from_secs(u64::from(settings.enquire_link_s.max(1))));
    let bound = client::connect(config, &transport(&settings.tls, &settings.host)?).await?;
    Ok((bound.client, bound.events))
}

fn transport(tls: &Tls, host: &str) -> Result<Transport, BindError> {
    if !tls.enabled {
        return Ok(Transport::Tcp);
    }
    let fail = |error: &dyn std::fmt::Display| BindError::Tls(error.to_string());
    let mut roots = RootCertStore::empty();
    match &tls.ca_file {
        Some(file) => {
            for certificate in CertificateDer::pem_file_iter(file).map_err(|error| fail(&error))? {
                let certificate = certificate.map_err(|error| fail(&error))?;
                roots.add(certificate).map_err(|error| fail(&error))?;
            }
        }
        None => {
            for certificate in rustls_native_certs::load_native_certs().certs {
                // One certificate of the system that does not read is no reason to trust none of them.
                let _ = roots.add(certificate);
            }
        }
    }
    let config = crate::tls::client(roots);
    let name = tls.server_name.as_deref().unwrap_or(host).to_owned();
    let server_name = ServerName::try_from(name).map_err(|error| fail(&error))?;
    Ok(Transport::Tls {
        connector: TlsConnector::from(Arc::new(config)),
        server_name,
    })
}
