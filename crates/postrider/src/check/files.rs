//! Access of other users to the files of a node, and recorded damage of a store.

use crate::config::Config;
use crate::open;
use std::path::Path;
use store::sqlite::SqliteStore;

/// Files of a node that other users should not have access to. `file` is the configuration file.
pub(super) fn open_to_others(config: &Config, file: Option<&Path>) -> Vec<String> {
    let mut problems = Vec::new();
    let key_file = &config.secrets.master_key_file;
    problems.extend(readable("master key", key_file, 0o077));
    if let Some(file) = file.filter(|_| !config.secrets.master_key.is_empty()) {
        problems.extend(readable("the master key is in the configuration", file, 0o077));
    }
    // A group of certificate users is common.
    problems.extend(readable("`api.tls.key_file`", &config.api.tls.key_file, 0o007));
    let sqlite = config.store.sqlite.store_config();
    let of_store = SqliteStore::open_to_others(&config.store.path, &sqlite);
    problems.extend(of_store.into_iter().map(|problem| format!("store: {problem}")));
    if let Some(folder) = config.store.path.parent().filter(|_| file.is_none()) {
        problems.extend(readable("all keys of the demo", &folder.join("demo.json"), 0o077));
    }
    problems
}

/// A problem when other users may read a secret file.
fn readable(what: &str, file: &Path, others: u32) -> Option<String> {
    let how = open::readable_by_others(file, others)?;
    Some(format!("{what}: {} {how}", file.display()))
}

/// Recorded damage of the store, until an operator removes the record.
pub(super) fn known_damage(config: &Config) -> Vec<String> {
    let (record, lines) = SqliteStore::damage(&config.store.path);
    lines
        .into_iter()
        .map(|line| {
            format!(
                "store: {line}; what to do: see \"Damaged stores\" in docs/operations.md, then remove {}",
                record.display()
            )
        })
        .collect()
}

/// Damage that the next start would find, when no node serves the store. Only a start repairs: it keeps what is damaged.
pub(super) fn damage_to_come(config: &Config) -> Option<String> {
    match SqliteStore::would_lack(&config.store.path) {
        Ok(missing) => missing.map(|what| {
            format!(
                "store: {what}; nothing was changed. A start keeps a copy of a damaged log, and fails until the damage is acknowledged. \
                 What to do first: see \"Damaged stores\" in docs/operations.md"
            )
        }),
        Err(error) => Some(format!(
            "store: {}",
            crate::exit::explained(&anyhow::Error::from(error))
        )),
    }
}
