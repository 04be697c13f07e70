//! The conformance suite over SQLite.

#![allow(clippy::unwrap_used)] // helpers of tests stop at the first surprise, as tests do

use async_trait::async_trait;
use std::path::PathBuf;
use store::Store;
use store::conformance::Backend;
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use tempfile::TempDir;

/// A store in a folder of its own.
struct SqliteSide {
    store: Option<SqliteStore>,
    path: PathBuf,
    config: SqliteConfig,
    _folder: TempDir,
}

impl SqliteSide {
    fn make(config: SqliteConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postrider.db");
        let store = SqliteStore::open(&path, Mode::Serve, config.clone()).unwrap();
        Self {
            store: Some(store),
            path,
            config,
            _folder: folder,
        }
    }
}

#[async_trait]
impl Backend for SqliteSide {
    fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    async fn crash(&mut self) {
        drop(self.store.take());
        self.store = Some(SqliteStore::open(&self.path, Mode::Serve, self.config.clone()).unwrap());
    }
}

/// Whatever a test has done, what is stored fits together.
impl Drop for SqliteSide {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let parts = SqliteStore::check_deep(&self.path, &self.config, &|_| {}).unwrap();
        let problems: Vec<&String> = parts.iter().flat_map(|part| &part.problems).collect();
        assert!(problems.is_empty(), "{problems:#?}");
    }
}

/// As it comes.
mod as_configured {
    use super::*;
    store::conformance_tests!(SqliteSide::make(SqliteConfig::default()));
}

fn tiny() -> SqliteConfig {
    SqliteConfig {
        memtable_entries_max: 16,
        filter_bytes_max: 200,
        reference_numbers_max: 2,
        group_rows_max: 10,
        wal_bytes_max: 1 << 20,
        ..SqliteConfig::default()
    }
}

/// With everything so small that runs are sealed, pages cut and filters left out all the time.
mod with_tiny_runs {
    use super::*;
    store::conformance_tests!(SqliteSide::make(tiny()));
}

/// Scripts that are shrunk when they fail.
mod with_any_script {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn the_store_agrees_with_the_model(script in prop::collection::vec(any::<u32>(), 1..80)) {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
            runtime.block_on(async {
                let mut backend = SqliteSide::make(tiny());
                store::conformance::model::agrees(&mut backend, &script).await;
            });
        }
    }
}
