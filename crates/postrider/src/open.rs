//! Opens the store for a command.

use crate::config::{Config, MasterKey, Secrets, Sqlite};
use crate::control;
use crate::exit::Failure;
use anyhow::Context;
use clap::Args;
use engine::catalog::{Catalog, CatalogError, SecretSealer, Snapshot, carrier_secret_name};
use engine::hex;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{Carrier, StoreError};

/// The default data directory of `postrider dev`.
pub(crate) const DATA_FOLDER: &str = "postrider-data";

/// Selects the node's store.
#[derive(Args, Clone, Debug)]
pub(crate) struct Place {
    /// Configuration file of the node
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    config: Option<PathBuf>,
    /// Data directory of `postrider dev` [default: postrider-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Options of a command that reads a store, with or without a running node.
#[derive(Args, Clone, Debug)]
pub(crate) struct Look {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options for the output of a command.
#[derive(Args, Clone, Debug)]
pub(crate) struct OutputFormat {
    /// Print one JSON document, also for mistakes in files
    #[arg(long)]
    json: bool,
    /// `--format json` is the same as `--json`
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"], conflicts_with = "json")]
    format: Option<String>,
}

impl OutputFormat {
    /// Whether the output is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json || self.format.as_deref() == Some("json")
    }
}

impl Place {
    /// Whether the node is a `dev` node, which chooses another port when its own is in use.
    pub(crate) fn is_of_dev(&self) -> bool {
        self.config.is_none()
    }

    /// The configuration file of the node, if any.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The configuration of the node.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        match &self.config {
            Some(path) => Config::load(path),
            None => {
                let data = self.data.clone().unwrap_or_else(|| PathBuf::from(DATA_FOLDER));
                Ok(Config::of_data_folder(&data)?)
            }
        }
    }

    /// The configuration of the node, whose store must exist.
    pub(crate) fn config_of_existing(&self) -> Result<Config, Failure> {
        let config = self.config()?;
        let path = &config.store.path;
        if path.exists() {
            return Ok(config);
        }
        // The store was removed or is not accessible: the error is that of a start.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let has_folder = folder.is_none_or(
            |folder| !matches!(std::fs::metadata(folder), Err(error) if error.kind() == ErrorKind::NotFound),
        );
        if has_folder {
            let looked = SqliteStore::schema_version(path);
            looked.with_context(|| format!("open the store {}", path.display()))?;
        }
        Err(Failure::bad_input(no_store(
            &config.store.path,
            self.config.is_none(),
        )))
    }
}

fn no_store(path: &Path, by_folder: bool) -> anyhow::Error {
    let hint = if by_folder {
        "start `postrider dev` once, or select the node with --config or --data"
    } else {
        "`postrider migrate` or the first `postrider serve` creates it"
    };
    anyhow::anyhow!("there is no store at {}: {hint}", path.display())
}

impl Look {
    /// Opens the existing store of the node, to read it and to change the catalog.
    pub(crate) async fn open(&self) -> Result<Arc<SqliteStore>, Failure> {
        let config = self.place.config_of_existing()?;
        Ok(store(&config, Mode::Tool).await?)
    }
}

/// The master key of a node; the error contains advice when there is none.
pub(crate) fn master_key(config: &Config) -> Result<MasterKey, Failure> {
    MasterKey::find(&config.secrets).map_err(|error| {
        let is_absent = error.is_absent();
        let shown = format!("{:#}", anyhow::Error::from(error));
        Failure::bad_input(match (is_absent, config.store.path.exists()) {
            (false, false) => anyhow::anyhow!(shown),
            (_, true) => anyhow::anyhow!("{shown}; {}", lost_key(&config.store.path)),
            (true, false) => {
                let named = &config.secrets.master_key_file;
                let file = if named.as_os_str().is_empty() {
                    Path::new("master.key")
                } else {
                    named
                };
                anyhow::anyhow!(
                    "{shown}; for a new node create one: `(umask 077; openssl rand -hex 32 > {})`",
                    file.display()
                )
            }
        })
    })
}

/// The consequence of a missing master key for an existing store, and advice.
pub(crate) fn lost_key(store: &Path) -> String {
    format!(
        "the secrets in the store {} are sealed with it: restore the key from where it is kept or from a backup; \
         without it the keys of accounts and the passwords of carriers are lost and must be set again in a new store",
        store.display()
    )
}

/// Rejects a master key that does not open the stored secrets.
pub(crate) fn check_key(catalog: Catalog, sealer: &SecretSealer, secrets: &Secrets) -> Result<(), Failure> {
    match wrong_key(catalog, sealer) {
        Some(error) => Err(Failure::bad_input(anyhow::anyhow!(explained(error, secrets)))),
        None => Ok(()),
    }
}

/// Why a master key is not that of the stored secrets. Other errors of the catalog are not reported.
pub(crate) fn wrong_key(catalog: Catalog, sealer: &SecretSealer) -> Option<CatalogError> {
    catalog_error(catalog, sealer).filter(|error| matches!(error, CatalogError::SecretSealer(_)))
}

/// Why no node could work with a catalog: the master key is another one, or the catalog does not compile. A wrong key is
/// reported first.
pub(crate) fn catalog_error(catalog: Catalog, sealer: &SecretSealer) -> Option<CatalogError> {
    let of_accounts = has_secrets_of_accounts(&catalog);
    let mut unopened = None;
    for carrier in &catalog.carriers {
        let Some(sealed) = sealed_password(carrier).and_then(hex::octets) else {
            continue;
        };
        match sealer.open(&carrier_secret_name(&carrier.name), &sealed) {
            // A single password that does not open concerns its carrier only.
            Ok(_) => {
                unopened = None;
                break;
            }
            Err(error) => unopened = Some(CatalogError::SecretSealer(error)),
        }
    }
    match Snapshot::compile(catalog, sealer) {
        Err(error @ CatalogError::SecretSealer(_)) => Some(error),
        // The key has opened the secrets of the accounts.
        Ok(_) if of_accounts => None,
        Ok(_) => unopened,
        Err(error) => unopened.or(Some(error)),
    }
}

/// An error of a catalog, with advice when it is the master key.
pub(crate) fn explained(error: CatalogError, secrets: &Secrets) -> String {
    match error {
        CatalogError::SecretSealer(error) => format!(
            "this is not the master key that the store's secrets are sealed with ({error}). The key is read from {}: restore \
             the key of this store there, from where it is kept or from a backup. Or select the node \
             of this key with --config or --data",
            MasterKey::place(secrets)
        ),
        other => other.to_string(),
    }
}

/// Whether a catalog contains sealed secrets.
pub(crate) fn has_secrets(catalog: &Catalog) -> bool {
    has_secrets_of_accounts(catalog)
        || catalog
            .carriers
            .iter()
            .any(|carrier| sealed_password(carrier).is_some())
}

fn has_secrets_of_accounts(catalog: &Catalog) -> bool {
    let mut endpoints = catalog.endpoints.iter();
    !catalog.credentials.is_empty() || endpoints.any(|endpoint| !endpoint.sealed_secret.is_empty())
}

/// The setting of a carrier with the sealed password; files do not have it.
pub(crate) const SEALED_PASSWORD: &str = "password_sealed";

/// The sealed password of a carrier, if any.
pub(crate) fn sealed_password(carrier: &Carrier) -> Option<&str> {
    let sealed = carrier.settings.get(SEALED_PASSWORD)?.as_str()?;
    (!sealed.is_empty()).then_some(sealed)
}

/// How other users may access a file that they should not, with advice. `others` are bits of the file's mode. `None`: they
/// may not, or it is not a file.
pub(crate) fn readable_by_others(file: &Path, others: u32) -> Option<String> {
    let found = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?;
    let mode = found.permissions().mode() & 0o777;
    (mode & others != 0).then(|| {
        format!(
            "is accessible to other users (mode {mode:03o}); chmod {:03o} it",
            mode & !others
        )
    })
}

/// Opens the store of a node. A tool does not when the node that serves it has lost its files: it would read and
/// write other files.
pub(crate) async fn store(config: &Config, mode: Mode) -> anyhow::Result<Arc<SqliteStore>> {
    let shown = config.store.path.display();
    if mode == Mode::Tool
        && let Some(refusal) = control::standing(config).await.and_then(|node| node.refusal())
    {
        anyhow::bail!(refusal);
    }
    store_as(config, mode)
        .await?
        .with_context(|| format!("open the store {shown}"))
}

/// Opens the store of a node; the inner error is that of the store.
pub(crate) async fn store_as(
    config: &Config,
    mode: Mode,
) -> anyhow::Result<Result<Arc<SqliteStore>, StoreError>> {
    let path = config.store.path.clone();
    let sqlite = config.store.sqlite.store_config();
    if let Some(missing) = missing_folder(&path) {
        anyhow::bail!(missing);
    }
    // Opening reads indexes and may migrate the schema, so it must not block a runtime thread.
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&path, mode, sqlite)).await?;
    Ok(opened.map(Arc::new))
}

/// The error when the directory of a store does not exist: a misspelt path must not create a new, empty store.
pub(crate) fn missing_folder(store: &Path) -> Option<String> {
    let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty())?;
    (!folder.is_dir()).then(|| format!("`store.path`: the directory {} does not exist", folder.display()))
}

impl Sqlite {
    /// The store's part of the configuration.
    pub(crate) fn store_config(&self) -> SqliteConfig {
        SqliteConfig {
            commands_max: self.commands_max,
            messages_waiting_max: self.messages_waiting_max,
            engine_commands_max: self.engine_commands_max,
            group_rows_max: self.group_rows_max,
            group_ms_max: self.group_ms_max,
            readers_max: self.readers_max,
            reads_max: self.reads_max,
            writer_cache_kib_max: self.writer_cache_kib_max,
            reader_cache_kib_max: self.reader_cache_kib_max,
            wal_bytes_max: self.wal_bytes_max,
            memtable_entries_max: self.memtable_entries_max,
            filter_bytes_max: self.filter_bytes_max,
            reference_numbers_max: self.reference_numbers_max,
            receipt_age_ms_max: i64::from(self.receipt_age_s_max) * 1000,
            unmatched_receipts_max: self.unmatched_receipts_max,
            unassigned_inbound_max: self.unassigned_inbound_max,
            find_rows_max: self.find_rows_max,
            lock_wait_ms_max: self.lock_wait_ms_max,
            group_may_read: self.group_may_read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_of_one_carrier_that_does_not_open_is_no_wrong_key_where_others_do() {
        let (ours, other) = (SecretSealer::new(&[1; 32]), SecretSealer::new(&[2; 32]));
        let carrier = |name: &str, sealer: &SecretSealer| {
            let sealed = sealer.seal(&carrier_secret_name(name), "secret").unwrap();
            Carrier {
                no: store::CarrierNo(1),
                name: name.into(),
                settings: serde_json::json!({ "type": "smpp", SEALED_PASSWORD: hex::digits(&sealed) }),
            }
        };
        let credential = store::Credential {
            family: "ucloud".into(),
            key: "demo".into(),
            sealed_secret: ours
                .seal(
                    &engine::catalog::credential_secret_name("ucloud", "demo"),
                    "secret",
                )
                .unwrap(),
            account: store::AccountId(1),
            enabled: true,
            requests_per_s_max: 0,
        };
        let foreign = carrier("foreign", &other);
        let alone = Catalog {
            carriers: vec![foreign.clone()],
            ..Catalog::default()
        };
        assert!(has_secrets(&alone) && wrong_key(alone, &ours).is_some());
        let beside_a_carrier = Catalog {
            carriers: vec![foreign.clone(), carrier("own", &ours)],
            ..Catalog::default()
        };
        assert!(wrong_key(beside_a_carrier.clone(), &ours).is_none());
        assert!(wrong_key(beside_a_carrier, &SecretSealer::new(&[3; 32])).is_some());
        let beside_an_account = Catalog {
            credentials: vec![credential],
            carriers: vec![foreign],
            ..Catalog::default()
        };
        assert!(wrong_key(beside_an_account.clone(), &ours).is_none());
        assert!(wrong_key(beside_an_account, &SecretSealer::new(&[3; 32])).is_some());
    }
}
