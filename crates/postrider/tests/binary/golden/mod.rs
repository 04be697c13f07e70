//! Golden stores: what releases left when they were killed in the middle of their work, each with a file `known.json` that has the
//! responses of that release. Every later program has to open them, finish the work, and respond as before.
//!
//! `scripts/golden-store NAME` creates the store of the present program, to be committed with the release.

mod archive;
mod instance;
mod known;
mod make;
mod open;
mod requests;

use serde_json::Value;
use std::path::{Path, PathBuf};
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{AccountId, MessageFilter, MessageSpan, MessageView, Store};

/// The stores of earlier releases.
const ARCHIVES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
/// Environment variable: the archive to write.
const ARCHIVE: &str = "GOLDEN_STORE";

/// The text at a place of a JSON document.
fn text_at(value: &Value, pointer: &str) -> String {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no {pointer} in {value}"))
        .to_owned()
}

/// Reads a store as a command does.
fn read<T>(folder: &Path, read: impl AsyncFnOnce(&SqliteStore) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let path = folder.join("postrider.db");
        let store = SqliteStore::open(&path, Mode::Tool, SqliteConfig::default()).unwrap();
        let value = read(&store).await;
        store.close().await.unwrap();
        value
    })
}

async fn account_id(store: &SqliteStore, name: &str) -> AccountId {
    let accounts = store.load_catalog().await.unwrap().accounts;
    let account = accounts.iter().find(|account| &*account.name == name);
    account.unwrap().id
}

/// All messages of an account, or those with one of its templates.
async fn messages_of(store: &SqliteStore, account: &str, template: Option<i64>) -> Vec<MessageView> {
    let filter = MessageFilter {
        numbers: Vec::new(),
        states: Vec::new(),
        dialects: Vec::new(),
        template,
        labels: Vec::new(),
        kind: None,
        offset: 0,
        limit: 10_000,
        count_max: 0,
    };
    let account = account_id(store, account).await;
    store.find(account, MessageSpan::ALL, filter).await.unwrap().0
}

/// Compares a response with an earlier one. It may have additional members.
fn assert_same(what: &str, before: &Value, now: &Value) {
    fn difference(path: &str, before: &Value, now: &Value) -> Option<String> {
        match (before, now) {
            (Value::Object(before), Value::Object(now)) => before.iter().find_map(|(name, before)| {
                let now = now.get(name).unwrap_or(&Value::Null);
                difference(&format!("{path}/{name}"), before, now)
            }),
            (Value::Array(before), Value::Array(now)) if before.len() == now.len() => {
                let mut pairs = before.iter().zip(now).enumerate();
                pairs.find_map(|(n, (before, now))| difference(&format!("{path}/{n}"), before, now))
            }
            _ if before == now => None,
            _ => Some(format!("{path:?} was {before} and is {now}")),
        }
    }
    if let Some(difference) = difference("", before, now) {
        panic!("{what}: {difference}; the whole: {now}");
    }
}

/// With the environment variable `GOLDEN_STORE` it also writes the store to the archive of that name.
#[test]
fn a_store_of_this_program_is_made_and_opened() {
    let made = make::make();
    if let Ok(path) = std::env::var(ARCHIVE) {
        archive::pack(made.path(), Path::new(&path));
    }
    open::open(archive::copied(made.path()));
}

#[test]
fn stores_of_earlier_programs_are_opened() {
    let entries = std::fs::read_dir(ARCHIVES).into_iter().flatten();
    let mut archives: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    archives.retain(|path| path.to_string_lossy().ends_with(".tar.gz"));
    assert!(
        !archives.is_empty(),
        "{ARCHIVES} has no store of an earlier release: create one with `scripts/golden-store NAME` and commit it"
    );
    archives.sort_unstable();
    std::thread::scope(|scope| {
        let open = |path: &PathBuf| {
            let path = path.clone();
            scope.spawn(move || {
                // Names the archive if the rest of the thread panics.
                println!("{}", path.display());
                open::open(archive::unpacked(&path));
            })
        };
        archives.iter().map(open).for_each(drop);
    });
}
