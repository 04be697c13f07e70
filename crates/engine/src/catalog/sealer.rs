//! Secrets at rest: vendor signatures need credentials in the clear to verify, so they are sealed with the
//! master key and opened only into memory.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use secrecy::SecretString;
use thiserror::Error;

/// Seals and opens secrets with the master key (AES-256-GCM, the name of the secret bound as associated data).
pub struct SecretSealer {
    key: LessSafeKey,
}

/// A secret could not be opened or sealed.
#[derive(Debug, Error)]
pub enum SealError {
    /// Sealed with another master key, or damaged.
    #[error("the secret of {0} does not open with this master key")]
    WrongKey(String),
    /// The system gave no randomness.
    #[error("no randomness for sealing")]
    NoRandomness,
}

impl SecretSealer {
    /// With a 256-bit master key.
    pub fn new(master_key: &[u8; 32]) -> Self {
        let key =
            UnboundKey::new(&AES_256_GCM, master_key).unwrap_or_else(|_| unreachable!("the length is fixed"));
        Self {
            key: LessSafeKey::new(key),
        }
    }

    /// Seals a secret under its name (for instance `credential/sendcloud/demo`).
    pub fn seal(&self, name: &str, secret: &str) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let mut sealed = secret.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name), &mut sealed)
            .map_err(|_| SealError::NoRandomness)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`SecretSealer::seal`] sealed under the same name.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<SecretString, SealError> {
        let wrong = || SealError::WrongKey(name.to_owned());
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or_else(wrong)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
        let mut sealed = sealed.to_vec();
        let open = self
            .key
            .open_in_place(nonce, Aad::from(name), &mut sealed)
            .map_err(|_| wrong())?;
        std::str::from_utf8(open)
            .map(SecretString::from)
            .map_err(|_| wrong())
    }
}

impl std::fmt::Debug for SecretSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_secret_opens_under_its_own_name_and_key_only() {
        let sealer = SecretSealer::new(&[1; 32]);
        let sealed = sealer.seal("credential/a", "s3cret").unwrap();
        assert!(
            !sealed.windows(6).any(|w| w == b"s3cret"),
            "sealed text must not show the secret"
        );
        assert_eq!(
            sealer.open("credential/a", &sealed).unwrap().expose_secret(),
            "s3cret"
        );
        assert!(sealer.open("credential/b", &sealed).is_err());
        assert!(SecretSealer::new(&[2; 32]).open("credential/a", &sealed).is_err());
        assert!(sealer.open("credential/a", &[]).is_err());
    }

    /// What a release has sealed every later one opens: the names are part of it. Made with another implementation of
    /// AES-256-GCM.
    #[test]
    fn what_was_sealed_before_opens_for_ever() {
        use crate::catalog::{carrier_secret_name, credential_secret_name, endpoint_secret_name};
        const SEALED: &str = "000102030405060708090a0bc895f654458ad1b9143d53413c94aedac90f9e8a2e5c";
        let name = credential_secret_name("sendcloud", "demo");
        let sealed = crate::hex::octets(SEALED).unwrap();
        let opened = SecretSealer::new(&[1; 32]).open(&name, &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "s3cret");
        assert_eq!(name, "credential/sendcloud/demo");
        assert_eq!(carrier_secret_name("north"), "carrier/north");
        assert_eq!(endpoint_secret_name(store::EndpointId(7)), "endpoint/7");
    }
}
