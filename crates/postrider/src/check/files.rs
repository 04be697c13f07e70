//! What others may read or change, and what a store is known to lack.

use crate::config::Config;
use crate::open;
use std::path::Path;
use store::sqlite::SqliteStore;

/// What other users may do with the files of a node and should not. `file` configures it.
pub(super) fn open_to_others(config: &Config, file: Option<&Path>) -> Vec<String> {
    let mut problems = Vec::new();
    let key_file = &config.secrets.master_key_file;
    problems.extend(readable("master key", key_file, 0o077));
    if let Some(file) = file.filter(|_| !config.secrets.master_key.is_empty()) {
        problems.extend(readable("the master key is in the configuration", file, 0o077));
    }
    // A group for those who serve with certificates is usual.
    problems.extend(readable("`api.tls.key_file`", &config.api.tls.key_file, 0o007));
    let sqlite = config.store.sqlite.store_config();
    let of_store = SqliteStore::open_to_others(&config.store.path, &sqlite);
    problems.extend(of_store.into_iter().map(|told| format!("store: {told}")));
    if let Some(folder) = config.store.path.parent().filter(|_| file.is_none()) {
        problems.extend(readable("all keys of the demo", &folder.join("demo.json"), 0o077));
    }
    problems
}

/// A file that others may read is no secret.
fn readable(what: &str, file: &Path, others: u32) -> Option<String> {
    let how = open::readable_by_others(file, others)?;
    Some(format!("{what}: {} {how}", file.display()))
}

/// What the store is known to lack, until somebody removes the file that says so.
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

/// What a start would find missing, where no node serves the store. It is left for that start, which keeps what is damaged.
pub(super) fn damage_to_come(config: &Config) -> Option<String> {
    match SqliteStore::would_lack(&config.store.path) {
        Ok(missing) => missing.map(|what| {
            format!(
                "store: {what}; nothing was changed. A start keeps a copy of a damaged log, and refuses until somebody has taken note. \
                 What to do first: see \"Damaged stores\" in docs/operations.md"
            )
        }),
        Err(error) => Some(format!(
            "store: {}",
            crate::exit::explained(&anyhow::Error::from(error))
        )),
    }
}
