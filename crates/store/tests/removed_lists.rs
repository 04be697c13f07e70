//! The members of lists that are gone do not stay in the file.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant};
use store::conformance::fixtures::{ACCOUNT, NOW, list_bounds, number};
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{Account, Caps, CatalogChange, Contacts, PutContact, Store};

const MEMBERS: u64 = 5_000;

fn open(path: &Path, mode: Mode) -> SqliteStore {
    SqliteStore::open(path, mode, SqliteConfig::default()).unwrap()
}

async fn filled(store: &SqliteStore, name: &str) -> i64 {
    let list = store
        .add_list(ACCOUNT, name.into(), "".into(), NOW, 9)
        .await
        .unwrap()
        .unwrap();
    for from in (0..MEMBERS).step_by(500) {
        let members = (from..from + 500)
            .map(|n| PutContact {
                msisdn: number(n),
                written: number(n).digits().into(),
                user_name: Some("Somebody".into()),
                vars: None,
            })
            .collect();
        store
            .put_contacts(ACCOUNT, list.id, members, NOW, list_bounds(MEMBERS))
            .await
            .unwrap()
            .unwrap();
    }
    list.id
}

/// Members in the file, whether their list is there or not.
fn members(path: &Path) -> u64 {
    let conn = rusqlite::Connection::open(path).unwrap();
    let count = |table: &str| -> u64 {
        conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
            .unwrap()
    };
    count("contact") + count("removed_list")
}

/// Waits until so many members are left, and no list is on its way out.
async fn left(path: &Path, wanted: u64) {
    let began = Instant::now();
    while members(path) != wanted {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{} are left",
            members(path)
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_removed_list_are_deleted_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    let store = open(&path, Mode::Serve);
    let (gone, kept) = (filled(&store, "gone").await, filled(&store, "kept").await);
    assert_eq!(members(&path), 2 * MEMBERS);
    store.remove_list(ACCOUNT, gone).await.unwrap().unwrap();
    left(&path, MEMBERS).await;

    // Ended in the middle: what is left over goes after the next start, without a command.
    store.remove_list(ACCOUNT, kept).await.unwrap().unwrap();
    drop(store);
    let _store = open(&path, Mode::Serve);
    left(&path, 0).await;
}

/// A tool only takes the lists away: the server, which is the one with time, deletes the members.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_deletes_the_members_of_an_account_that_a_tool_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    let server = open(&path, Mode::Serve);
    let account = Account {
        id: ACCOUNT,
        name: "goes".into(),
        balance: None,
        weight: 1,
        caps: Caps::default(),
        may_send: true,
        senders: vec![],
        blocked_words: Vec::new(),
        project_ids: vec![],
        auto_approve: false,
        repeats_with_other_content: Default::default(),
        inbound_to: vec![],
        opt_out_words: vec![],
        opt_in_words: None,
    };
    server
        .change_catalog(vec![CatalogChange::PutAccount(account)])
        .await
        .unwrap();
    filled(&server, "list").await;
    let tool = open(&path, Mode::Tool);
    tool.change_catalog(vec![CatalogChange::RemoveAccount(ACCOUNT)])
        .await
        .unwrap();
    assert_eq!(server.lists(ACCOUNT, "".into(), 0, 9).await.unwrap().total, 0);
    server.probe().await.unwrap(); // the first group after it sees that another process has written
    left(&path, 0).await;
}
