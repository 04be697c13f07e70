//! Retention, readiness and the end.

use super::Backend;
use super::fixtures::{
    ACCOUNT, NOW, accepted_batch, batch, everything, found, ids, number, receipt, received, request,
    submitted,
};
use crate::{AcceptError, MessageFilter, ReceiptEffect, StoreError};
use sms::state::ReceiptState;

/// What is old and ended goes with all that hangs on it; what has not ended stays.
pub async fn old_messages_go_and_unfinished_ones_stay(backend: &mut impl Backend) {
    let store = backend.store();
    let old = ids(accepted_batch(store, NOW, 0..4).await);
    submitted(store, NOW, "old").await;
    for n in [0, 1, 3] {
        received(
            store,
            receipt(&format!("old{n}"), ReceiptState::Delivered, NOW + 50),
        )
        .await;
    }
    let gone = accepted_batch(store, NOW + 1, 4..6).await;
    submitted(store, NOW + 1, "gone").await;
    for n in 0..2 {
        received(
            store,
            receipt(&format!("gone{n}"), ReceiptState::Delivered, NOW + 50),
        )
        .await;
    }
    let new = ids(accepted_batch(store, NOW + 1_000, 0..2).await);
    while store
        .expire_messages(NOW + 1_000, NOW + 1_000)
        .await
        .expect("expired")
    {}

    assert_eq!(found(store, everything()).await, [new[1], new[0], old[2]]);
    assert!(
        store
            .session(ACCOUNT, gone.first, 9)
            .await
            .expect("read")
            .is_empty()
    );
    assert_eq!(store.session(ACCOUNT, old[0], 9).await.expect("read").len(), 1);
    assert!(store.timeline(old[0]).await.expect("read").is_empty());
    let by_number = MessageFilter {
        numbers: vec![number(1)],
        ..everything()
    };
    assert_eq!(found(store, by_number).await, [new[1]]);
    assert_eq!(
        received(store, receipt("old0", ReceiptState::Delivered, NOW + 60)).await,
        ReceiptEffect::StoredUnmatched
    );
    let last = received(store, receipt("old2", ReceiptState::Delivered, NOW + 60)).await;
    assert!(matches!(last, ReceiptEffect::Applied { id, .. } if id == old[2]));
    while store
        .expire_messages(NOW + 1_000, NOW + 1_000)
        .await
        .expect("expired")
    {}
    assert_eq!(found(store, everything()).await, [new[1], new[0]]);
}

/// Readiness is proven by a write.
pub async fn a_probe_writes(backend: &mut impl Backend) {
    let store = backend.store();
    store.probe().await.expect("written");
    store.probe().await.expect("written");
}

/// After its end a store says so, and what it took is there when it is opened again.
pub async fn a_closed_store_says_so(backend: &mut impl Backend) {
    let store = backend.store();
    let range = accepted_batch(store, NOW, 0..2).await;
    store.close().await.expect("closed");
    store.close().await.expect("closed again");
    let accept = store.accept(request(NOW, vec![batch(0..1)])).await;
    assert!(
        matches!(accept, Err(AcceptError::Store(StoreError::Closed))),
        "{accept:?}"
    );
    assert!(matches!(store.probe().await, Err(StoreError::Closed)));
    assert!(matches!(
        store.messages(ids(range)).await,
        Err(StoreError::Closed)
    ));
    backend.crash().await;
    assert_eq!(found(backend.store(), everything()).await.len(), 2);
}
