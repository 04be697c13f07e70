//! Who may open a store, and what is refused.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use store::conformance::fixtures::{
    ACCOUNT, NOW, accepted, accepted_batch, batch, everything, found, number, request,
};
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{
    AcceptCommand, AcceptError, CarrierNo, CatalogChange, Contacts, MessageFilter, OnCommit, Signature,
    Store, StoreError, Suppression, SuppressionKind,
};
use tempfile::TempDir;

mod embedded {
    refinery::embed_migrations!("migrations");
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    (folder, path)
}

fn open(path: &std::path::Path, mode: Mode) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, mode, SqliteConfig::default())
}

fn signature(id: i64) -> Signature {
    Signature {
        account: ACCOUNT,
        id,
        text: "Example".into(),
        review: store::Review::Approved,
        reason: "".into(),
        details: serde_json::Value::Null,
        created_at: 0,
        updated_at: 0,
    }
}

#[test]
fn a_store_is_served_by_one_process_at_a_time() {
    let (_folder, path) = place();
    let first = open(&path, Mode::Serve).unwrap();
    assert!(matches!(open(&path, Mode::Serve), Err(StoreError::InUse(_))));
    drop(first);
    assert!(open(&path, Mode::Serve).is_ok());
}

/// The schema of the release of 28 November 2026.
const RELEASED: i32 = 4;

#[tokio::test]
async fn what_waits_in_a_store_of_an_earlier_release_has_no_end() {
    let (_folder, path) = place();
    {
        let mut conn = rusqlite::Connection::open(&path).unwrap();
        embedded::migrations::runner()
            .set_target(refinery::Target::Version(RELEASED))
            .run(&mut conn)
            .unwrap();
        let account = ACCOUNT.0;
        let rows = format!(
            "INSERT INTO batch (first_id, session, messages, account, dialect, class, kind, template, label, capped, text)
             VALUES (1, 1, 2, {account}, 0, 0, 0, 42, 0, 0, 'old');
             INSERT INTO message (id, msisdn, carrier, segments, written)
             VALUES (1, 447700900001, 3, 1, 0), (2, 447700900002, 3, 1, 0);
             INSERT INTO queue (carrier, class, account, no, first_id, last_id, attempts) VALUES (3, 0, {account}, 1, 1, 2, 0);
             INSERT INTO task (account, state, due, at_list, at_contact, accepted, refused, members, last_contact,
                               created_at, error, lists, request)
             VALUES ({account}, 0, 9, 0, 0, 0, 0, 1, 1, 1, '', '[1]', '{{}}');"
        );
        conn.execute_batch(&rows).unwrap();
    }
    let store = open(&path, Mode::Serve).unwrap();
    let swept = store.sweep_expired(None, i64::MAX).await.unwrap();
    assert!(swept.ended.is_empty() && swept.next.is_none());
    let lane = store.lanes().await.unwrap()[0].lane;
    let waiting = store.read_lane(lane, None, 9).await.unwrap();
    assert_eq!(waiting.len(), 2);
    assert!(waiting.iter().all(|message| message.batch.expires_at.is_none()));
    assert_eq!(store.open_tasks(9).await.unwrap()[0].ends_at, None);
}

#[test]
fn a_newer_schema_is_left_alone() {
    let (_folder, path) = place();
    assert_eq!(SqliteStore::schema_version(&path).unwrap(), None);
    let known = SqliteStore::known_schema_version();
    assert_eq!(SqliteStore::migrate(&path).unwrap(), known);
    assert_eq!(SqliteStore::schema_version(&path).unwrap(), Some(known));

    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute(
        "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES (?1, 'later', '', '0')",
        [known + 1],
    )
    .unwrap();
    drop(conn);
    for mode in [Mode::Serve, Mode::Tool] {
        let refused = open(&path, mode).err().unwrap();
        let expected = matches!(refused, StoreError::NewerSchema { found, known: k } if (found, k) == (known + 1, known));
        assert!(expected, "{refused:?}");
    }
    assert!(matches!(
        SqliteStore::migrate(&path),
        Err(StoreError::NewerSchema { .. })
    ));
}

#[test]
fn what_is_no_store_is_said_to_be_damaged() {
    let (_folder, path) = place();
    std::fs::write(
        &path,
        "this is a text, and it is long enough to be read as a header".repeat(40),
    )
    .unwrap();
    assert!(matches!(open(&path, Mode::Serve), Err(StoreError::Damaged(_))));
}

#[tokio::test]
async fn a_tool_changes_the_catalog_beside_a_server() {
    let (_folder, path) = place();
    let server = open(&path, Mode::Serve).unwrap();
    let tool = open(&path, Mode::Tool).unwrap();
    let before = server.catalog_version().await.unwrap();
    let suppression = Suppression {
        account: None,
        msisdn: number(1),
        kind: SuppressionKind::Global,
    };
    let version = tool
        .change_catalog(vec![CatalogChange::PutSuppression(suppression)])
        .await
        .unwrap();
    assert_eq!(version, before, "suppressions are not part of the version");
    assert_eq!(
        server.catalog_version().await.unwrap(),
        version,
        "the server sees it"
    );

    let outcome = accepted(&server, request(NOW, vec![batch(0..3)])).await;
    assert_eq!(outcome.refused.len(), 1, "what the tool suppressed is suppressed");
    tool.change_catalog(vec![CatalogChange::RemoveSuppression(suppression)])
        .await
        .unwrap();
    assert!(
        accepted(&server, request(NOW, vec![batch(0..3)]))
            .await
            .refused
            .is_empty()
    );

    let refused = tool.accept(request(NOW, vec![batch(0..1)])).await;
    assert!(
        matches!(refused, Err(AcceptError::Store(StoreError::Other(_)))),
        "{refused:?}"
    );
    tool.close().await.unwrap();
    accepted_batch(&server, NOW, 0..1).await;
}

#[tokio::test]
async fn a_tool_finds_what_the_server_has_stored() {
    let (_folder, path) = place();
    let server = open(&path, Mode::Serve).unwrap();
    let range = accepted_batch(&server, NOW, 0..5).await;
    let tool = open(&path, Mode::Tool).unwrap();
    let by_number = MessageFilter {
        numbers: vec![number(3)],
        ..everything()
    };
    assert_eq!(found(&tool, by_number).await, [range.first.plus(3)]);
    assert_eq!(tool.lanes().await.unwrap()[0].messages, 5);
    assert_eq!(tool.lanes().await.unwrap()[0].lane.carrier, CarrierNo(3));
}

/// A server under full load leaves gaps of microseconds between its transactions; a tool must get in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_gets_its_turn_beside_a_busy_server() {
    let (_folder, path) = place();
    let server = std::sync::Arc::new(open(&path, Mode::Serve).unwrap());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let load: Vec<_> = (0..16)
        .map(|_| {
            let (server, stopped) = (std::sync::Arc::clone(&server), stopped.clone());
            tokio::spawn(async move {
                while !*stopped.borrow() {
                    accepted_batch(&*server, NOW, 0..100).await;
                }
            })
        })
        .collect();
    let tool = open(&path, Mode::Tool).unwrap();
    for id in 0..50 {
        tool.change_catalog(vec![CatalogChange::PutSignature(signature(id))])
            .await
            .unwrap();
    }
    stop.send(true).unwrap();
    for task in load {
        task.await.unwrap();
    }
    assert_eq!(server.load_catalog().await.unwrap().signatures.len(), 50);
}

#[tokio::test]
async fn too_much_that_waits_is_refused_at_once() {
    let (_folder, path) = place();
    let config = SqliteConfig {
        commands_max: 1,
        messages_waiting_max: 1_000,
        ..SqliteConfig::default()
    };
    let store = SqliteStore::open(&path, Mode::Serve, config).unwrap();
    // A callback holds up the writer, so that later commands wait.
    let (held, holds) = std::sync::mpsc::channel::<()>();
    let (entered, enters) = tokio::sync::oneshot::channel();
    let mut holding = request(NOW, vec![batch(0..1)]);
    holding.on_commit = store::OnCommit(Some(Box::new(move |_| {
        let _gone = entered.send(());
        let _released = holds.recv();
    })));
    let store = std::sync::Arc::new(store);
    let accept = |command| {
        let store = std::sync::Arc::clone(&store);
        tokio::spawn(async move { store.accept(command).await })
    };
    let holding = accept(holding);
    enters.await.unwrap();
    let waits = accept(request(NOW, vec![batch(0..1)]));
    while store.metrics().commands_waiting == 0 {
        tokio::task::yield_now().await;
    }
    let refused = store.accept(request(NOW, vec![batch(0..1)])).await;
    assert!(
        matches!(refused, Err(AcceptError::Store(StoreError::Busy { waiting: 1 }))),
        "{refused:?}"
    );
    // So is what else a client may ask for; the engine's own calls wait.
    let list = store.add_list(ACCOUNT, "list".into(), "".into(), NOW, 9).await;
    assert!(matches!(list, Err(StoreError::Busy { waiting: 1 })), "{list:?}");
    let put = vec![CatalogChange::PutSignature(signature(1))];
    let version = store.catalog_version().await.unwrap();
    let change = store.change_catalog_at(version, put).await;
    assert!(
        matches!(change, Err(StoreError::Busy { waiting: 1 })),
        "{change:?}"
    );
    assert_eq!(store.metrics().busy, 3);
    held.send(()).unwrap();
    assert!(holding.await.unwrap().is_ok() && waits.await.unwrap().is_ok());
    assert_eq!(store.counts().await.unwrap().queued, 2);
}

#[tokio::test]
async fn a_store_whose_writer_died_says_so_and_answers_nobody() {
    let (_folder, path) = place();
    let store = open(&path, Mode::Serve).unwrap();
    accepted(&store, request(NOW, vec![batch(0..1)])).await;
    let fault = AcceptCommand {
        on_commit: OnCommit(Some(Box::new(|_| panic!("a fault of the program")))),
        ..request(NOW, vec![batch(1..2)])
    };
    assert!(matches!(
        store.accept(fault).await,
        Err(AcceptError::Store(StoreError::Closed))
    ));
    let why = tokio::time::timeout(std::time::Duration::from_secs(20), store.failed());
    assert!(why.await.unwrap().contains("writes"));
    let late = store.accept(request(NOW, vec![batch(2..3)])).await;
    assert!(matches!(late, Err(AcceptError::Store(StoreError::Closed))));
    assert!(matches!(store.probe().await, Err(StoreError::Closed)));
    drop(store);
    // What was committed is there, the callback's own request too.
    let store = open(&path, Mode::Serve).unwrap();
    assert_eq!(store.counts().await.unwrap().queued, 2);
}
