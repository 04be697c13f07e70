//! Suppressions: numbers that get nothing.

use super::Backend;
use super::cataloguing::{account, changed, signature};
use super::fixtures::{ACCOUNT, NOW, accepted, batch, number, request};
use crate::{
    AccountId, CatalogChange, RefusedReason, Suppression, SuppressionEntry, SuppressionKind,
    SuppressionOrigin,
};

/// Opt-outs and charges leave the version of the catalog as it is; an account that gets a balance changes it.
pub async fn suppressions_and_balances_leave_the_version(backend: &mut impl Backend) {
    let store = backend.store();
    let start = changed(store, vec![CatalogChange::PutAccount(account(ACCOUNT, "first"))]).await;
    let suppression = Suppression {
        account: Some(ACCOUNT),
        msisdn: number(0),
        kind: SuppressionKind::Unsubscribed,
    };
    for change in [
        CatalogChange::PutSuppression(suppression),
        CatalogChange::RemoveSuppression(suppression),
        CatalogChange::SetBalance(ACCOUNT, None),
    ] {
        assert_eq!(changed(store, vec![change.clone()]).await, start, "{change:?}");
    }
    let counted = changed(store, vec![CatalogChange::SetBalance(ACCOUNT, Some(5))]).await;
    assert!(counted > start, "it pays from now on");
    let filled = changed(store, vec![CatalogChange::SetBalance(ACCOUNT, Some(9))]).await;
    assert_eq!(filled, counted);
    assert_eq!(store.catalog_version().await.expect("read"), counted);
    let both = vec![
        CatalogChange::PutSuppression(suppression),
        CatalogChange::PutSignature(signature(ACCOUNT, 1)),
    ];
    assert!(changed(store, both).await > counted);
}

/// Suppressions can be listed, in portions.
pub async fn suppressions_are_listed_in_portions(backend: &mut impl Backend) {
    let store = backend.store();
    let suppression = |account, n, kind| Suppression {
        account,
        msisdn: number(n),
        kind,
    };
    let all = [
        suppression(None, 1, SuppressionKind::Global),
        suppression(Some(ACCOUNT), 1, SuppressionKind::Blocked),
        suppression(Some(ACCOUNT), 1, SuppressionKind::Unsubscribed),
        suppression(Some(AccountId(8)), 1, SuppressionKind::Blocked),
        suppression(Some(ACCOUNT), 2, SuppressionKind::Unsubscribed),
    ];
    let put = all.iter().rev().map(|&one| CatalogChange::PutSuppression(one));
    store.change_catalog(put.collect()).await.expect("changed");
    let mut listed = vec![];
    loop {
        let portion = store
            .suppressions(listed.last().copied(), 2)
            .await
            .expect("listed");
        if portion.is_empty() {
            break;
        }
        listed.extend(portion);
    }
    assert_eq!(listed, all);
}

/// A suppression comes back with when, how and why it was made, over a crash; who adds it again changes nothing.
pub async fn a_suppression_keeps_its_first_proof(backend: &mut impl Backend) {
    let store = backend.store();
    let entry = |n, at, origin, note: &str| SuppressionEntry {
        suppression: Suppression {
            account: Some(ACCOUNT),
            msisdn: number(n),
            kind: SuppressionKind::Blocked,
        },
        created_at: at,
        origin,
        note: note.into(),
    };
    let first = entry(1, NOW, SuppressionOrigin::Operator, "requested by mail");
    let second = entry(2, NOW + 1, SuppressionOrigin::Import, "");
    let again = entry(1, NOW + 9, SuppressionOrigin::Api, "later");
    for one in [&first, &second, &again] {
        let change = vec![CatalogChange::Suppress(one.clone())];
        store.change_catalog(change).await.expect("changed");
    }
    let unproved = CatalogChange::PutSuppression(second.suppression);
    store.change_catalog(vec![unproved]).await.expect("changed");
    backend.crash().await;
    let store = backend.store();
    let all = store.suppression_entries(None, None, 9).await.expect("read");
    assert_eq!(all, [first.clone(), second.clone()]);
    let one = store
        .suppression_entries(Some(number(2)), None, 9)
        .await
        .expect("read");
    assert_eq!(one, [second]);
    let after = Some(first.suppression);
    let none = store.suppression_entries(Some(number(1)), after, 9).await;
    assert_eq!(none.expect("read"), []);
    // And it holds.
    let refused = accepted(store, request(NOW + 10, vec![batch(0..3)]))
        .await
        .refused;
    let reasons: Vec<RefusedReason> = refused.iter().map(|one| one.reason).collect();
    assert_eq!(reasons, [RefusedReason::Suppressed(SuppressionKind::Blocked); 2]);
}
