//! The master key: its sources, and its generation.

use super::Secrets;
use engine::hex;
use rand::TryRngCore;
use rand::rngs::OsRng;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The environment variable that overrides the configuration.
pub(crate) const VARIABLE: &str = "POSTRIDER_MASTER_KEY";

/// 256 bits by which secrets are sealed in the store.
pub(crate) struct MasterKey([u8; 32]);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// There is no usable master key.
#[derive(Debug, Error)]
pub(crate) enum MasterKeyError {
    /// No source is configured.
    #[error(
        "no master key: set `secrets.master_key_file` in the configuration, or {VARIABLE} in the environment, to 64 \
         hexadecimal digits (`openssl rand -hex 32` generates them)"
    )]
    Missing,
    /// It is not 64 hexadecimal digits.
    #[error(
        "the master key in {0} is not 64 hexadecimal digits (`openssl rand -hex 32` generates them, for a new store)"
    )]
    Malformed(String),
    /// Its file cannot be read or created.
    #[error("{tried} the master key {}", path.display())]
    File {
        /// The failed operation.
        tried: &'static str,
        /// Which file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The operating system returned no random numbers.
    #[error("make a master key: the system returned no random numbers")]
    NoRandomness,
}

impl MasterKeyError {
    /// Whether no key exists, as opposed to an invalid one.
    pub(crate) fn is_absent(&self) -> bool {
        match self {
            Self::Missing => true,
            Self::File { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Malformed(_) | Self::NoRandomness => false,
        }
    }
}

impl MasterKey {
    /// The key of the configuration or the environment.
    pub(crate) fn find(secrets: &Secrets) -> Result<Self, MasterKeyError> {
        Self::choose(secrets, std::env::var_os(VARIABLE))
    }

    fn choose(secrets: &Secrets, variable: Option<OsString>) -> Result<Self, MasterKeyError> {
        if let Some(given) = variable.filter(|given| !given.is_empty()) {
            return Self::parse(&given.to_string_lossy()).ok_or_else(|| malformed(VARIABLE));
        }
        if !secrets.master_key.is_empty() {
            return Self::parse(&secrets.master_key).ok_or_else(|| malformed("`secrets.master_key`"));
        }
        if secrets.master_key_file.as_os_str().is_empty() {
            return Err(MasterKeyError::Missing);
        }
        Self::read(&secrets.master_key_file)
    }

    /// The source of the key, as text.
    pub(crate) fn place(secrets: &Secrets) -> String {
        if std::env::var_os(VARIABLE).is_some_and(|given| !given.is_empty()) {
            format!("the environment variable {VARIABLE}")
        } else if !secrets.master_key.is_empty() {
            "`secrets.master_key` of the configuration".to_owned()
        } else {
            format!("the file {}", secrets.master_key_file.display())
        }
    }

    /// Whether [`MasterKey::find_or_make`] would create a key.
    pub(crate) fn would_be_made(secrets: &Secrets) -> bool {
        std::env::var_os(VARIABLE).is_none_or(|given| given.is_empty())
            && !secrets.master_key_file.as_os_str().is_empty()
            && !secrets.master_key_file.exists()
    }

    fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let text = std::fs::read_to_string(path).map_err(file_error("read", path))?;
        Self::parse(&text).ok_or_else(|| malformed(&path.display().to_string()))
    }

    /// The same, but creates a missing key file.
    pub(crate) fn find_or_make(secrets: &Secrets) -> Result<Self, MasterKeyError> {
        let file = &secrets.master_key_file;
        if std::env::var_os(VARIABLE).is_none_or(|given| given.is_empty()) && !file.as_os_str().is_empty() {
            return Self::read_or_make(file);
        }
        Self::find(secrets)
    }

    /// The key in a file that only its owner can read; created when missing.
    fn read_or_make(path: &Path) -> Result<Self, MasterKeyError> {
        if path.exists() {
            return Self::read(path);
        }
        let mut key = [0; 32];
        OsRng
            .try_fill_bytes(&mut key)
            .map_err(|_| MasterKeyError::NoRandomness)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(file_error("make", path))?;
        let digits = hex::digits(&key);
        // It must be on stable storage before it seals anything: a store is lost with its key.
        file.write_all(format!("{digits}\n").as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(file_error("write", path))?;
        Ok(Self(key))
    }

    fn parse(text: &str) -> Option<Self> {
        // Editors on some systems write a byte order mark before the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        hex::octets(text.trim())?.try_into().ok().map(Self)
    }

    /// The sealer with this key.
    pub(crate) fn sealer(&self) -> engine::catalog::SecretSealer {
        engine::catalog::SecretSealer::new(&self.0)
    }
}

fn malformed(place: &str) -> MasterKeyError {
    MasterKeyError::Malformed(place.to_owned())
}

fn file_error(tried: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MasterKeyError {
    let path = path.to_owned();
    move |source| MasterKeyError::File { tried, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn secrets(inline: &str, file: &Path) -> Secrets {
        Secrets {
            master_key: inline.to_owned(),
            master_key_file: file.to_owned(),
        }
    }

    #[test]
    fn a_made_key_is_private_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let made = MasterKey::read_or_make(&path).unwrap();
        assert_eq!(made.0, MasterKey::read_or_make(&path).unwrap().0);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(made.0, MasterKey::choose(&secrets("", &path), None).unwrap().0);
    }

    #[test]
    fn the_environment_wins_over_the_line_and_the_line_over_the_file() {
        let (ones, twos) = ("11".repeat(32), "22".repeat(32));
        let nowhere = Path::new("/nonexistent/master.key");
        let key = |inline: &str, variable: Option<&str>| {
            MasterKey::choose(&secrets(inline, nowhere), variable.map(OsString::from))
        };
        assert_eq!(key(&ones, Some(&twos)).unwrap().0, [0x22; 32]);
        assert_eq!(key(&ones, Some("")).unwrap().0, [0x11; 32]);
        assert_eq!(key(&ones, None).unwrap().0, [0x11; 32]);
        assert!(matches!(
            key("", None),
            Err(MasterKeyError::File { tried: "read", .. })
        ));
        assert!(matches!(key("zz", None), Err(MasterKeyError::Malformed(_))));
        assert!(matches!(
            MasterKey::choose(&secrets("", Path::new("")), None),
            Err(MasterKeyError::Missing)
        ));
    }
}
