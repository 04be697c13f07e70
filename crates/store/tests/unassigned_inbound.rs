//! Inbound messages that no account owns are bounded: a carrier that floods the node does not fill the disk with
//! them.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use store::conformance::fixtures::{ACCOUNT, CARRIER, NOW};
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{AccountId, AccountWords, InboundFilter, Inbox, NewInbound, Store};

fn opened(path: &Path, unassigned_inbound_max: usize) -> SqliteStore {
    let config = SqliteConfig {
        unassigned_inbound_max,
        ..SqliteConfig::default()
    };
    SqliteStore::open(path, Mode::Serve, config).unwrap()
}

fn wrote(account: Option<AccountId>, n: i64, text: &str) -> NewInbound {
    NewInbound {
        account,
        carrier: CARRIER,
        from: "447700900001".into(),
        to: "10690".into(),
        body: text.into(),
        answers: None,
        received_at: NOW + n,
        part: None,
    }
}

async fn came(store: &SqliteStore, inbound: Vec<NewInbound>) {
    let words = Arc::new(AccountWords::new());
    store.record_inbound(inbound, words).await.unwrap();
}

/// Texts of the messages that no account owns, the oldest first, and how many accounts own.
async fn kept(store: &SqliteStore) -> (Vec<String>, usize) {
    let filter = InboundFilter {
        account: None,
        number: None,
        since: 0,
        before: None,
        limit: 1_000,
    };
    let (found, _) = store.find_inbound(filter).await.unwrap();
    let (owned, unassigned): (Vec<_>, Vec<_>) = found.into_iter().partition(|one| one.account.is_some());
    let texts = unassigned.iter().rev().map(|one| one.text.to_string());
    (texts.collect(), owned.len())
}

fn numbers(range: std::ops::Range<i64>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

fn assert_is_counted_right(path: &Path) {
    let parts = SqliteStore::check_deep(path, &SqliteConfig::default(), &|_| {}).unwrap();
    for part in parts {
        assert_eq!(part.problems, Vec::<String>::new(), "{}", part.name);
    }
}

#[tokio::test]
async fn of_what_nobody_owns_the_oldest_goes_when_there_is_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    let store = opened(&path, 10);
    let all = (0..25).flat_map(|n| {
        let owned = (n % 5 == 0).then(|| wrote(Some(ACCOUNT), n, "owned"));
        owned.into_iter().chain([wrote(None, n, &n.to_string())])
    });
    came(&store, all.collect()).await;
    assert_eq!(kept(&store).await, (numbers(15..25), 5));
    assert_eq!(store.metrics().unassigned_inbound_dropped, 15);

    // A long one counts for more: this one once, and four times for its octets.
    let long = "x".repeat(4 * 256 + 255);
    came(&store, vec![wrote(None, 30, &long)]).await;
    let expected = [numbers(20..25), vec![long]].concat();
    assert_eq!(kept(&store).await, (expected.clone(), 5));
    assert_is_counted_right(&path);

    // As it was after a crash, and what goes for its age is counted no more.
    store.close().await.unwrap();
    let store = opened(&path, 10);
    assert_eq!(kept(&store).await, (expected, 5));
    store.expire_inbound(0, NOW + 22, NOW + 100).await.unwrap();
    assert_is_counted_right(&path);
    let (left, _) = kept(&store).await;
    let room = 10 - (left.len() - 1) - 5;
    came(
        &store,
        (0..room as i64).map(|n| wrote(None, 40 + n, "new")).collect(),
    )
    .await;
    assert_eq!(kept(&store).await.0.len(), left.len() + room, "there was room");

    // The bound is lowered.
    store.close().await.unwrap();
    let store = opened(&path, 2);
    let (_, dropped) = store.expire_inbound(0, 0, NOW + 100).await.unwrap();
    assert!(dropped > 0);
    assert!(kept(&store).await.0.len() <= 2);
    assert_is_counted_right(&path);
}
