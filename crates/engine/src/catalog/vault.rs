//! Secrets at rest: vendor signatures need credentials in the clear to verify, so they are sealed with the
//! master key and opened only into memory.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use secrecy::SecretString;
use thiserror::Error;

/// Seals and opens secrets with the master key (AES-256-GCM, the name of the secret bound as associated data).
pub struct Vault {
    key: LessSafeKey,
}

/// A secret could not be opened or sealed.
#[derive(Debug, Error)]
pub enum VaultError {
    /// Sealed with another master key, or damaged.
    #[error("the secret of {0} does not open with this master key")]
    WrongKey(String),
    /// The system gave no randomness.
    #[error("no randomness for sealing")]
    NoRandomness,
}

impl Vault {
    /// With a 256-bit master key.
    pub fn new(master_key: &[u8; 32]) -> Self {
        let key =
            UnboundKey::new(&AES_256_GCM, master_key).unwrap_or_else(|_| unreachable!("the length is fixed"));
        Self {
            key: LessSafeKey::new(key),
        }
    }

    /// Seals a secret under its name (for instance `credential/sendcloud/demo`).
    pub fn seal(&self, name: &str, secret: &str) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| VaultError::NoRandomness)?;
        let mut sealed = secret.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name), &mut sealed)
            .map_err(|_| VaultError::NoRandomness)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Vault::seal`] sealed under the same name.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<SecretString, VaultError> {
        let wrong = || VaultError::WrongKey(name.to_owned());
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

impl std::fmt::Debug for Vault {
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
        let vault = Vault::new(&[1; 32]);
        let sealed = vault.seal("credential/a", "s3cret").unwrap();
        assert!(
            !sealed.windows(6).any(|w| w == b"s3cret"),
            "sealed text must not show the secret"
        );
        assert_eq!(
            vault.open("credential/a", &sealed).unwrap().expose_secret(),
            "s3cret"
        );
        assert!(vault.open("credential/b", &sealed).is_err());
        assert!(Vault::new(&[2; 32]).open("credential/a", &sealed).is_err());
        assert!(vault.open("credential/a", &[]).is_err());
    }
}
