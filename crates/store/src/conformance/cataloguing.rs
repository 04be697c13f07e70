//! The catalog.

use super::Side;
use super::given::{ACCOUNT, NOW, number};
use crate::{
    Account, AccountId, Caps, Carrier, CarrierNo, Catalog, CatalogChange, Credential, Position, Review,
    Route, Signature, Suppression, SuppressionKind, Template,
};
use serde_json::json;
use sms::class::Class;

fn account(id: AccountId, name: &str) -> Account {
    Account {
        id,
        name: name.into(),
        balance: Some(5), // ignored: balances are set on their own
        weight: 10,
        caps: Caps {
            per_minute_max: 1,
            per_day_max: 9,
        },
        may_send: true,
        senders: vec!["Example".into()],
        project_ids: vec!["org-1".into()],
        auto_approve: true,
        inbound_to: vec!["10690".into()],
        opt_out_words: vec!["STOP".into()],
    }
}

fn credential(account: AccountId, key: &str) -> Credential {
    Credential {
        family: "uspeedo".into(),
        key: key.into(),
        sealed_secret: vec![0, 255, 7],
        account,
        enabled: true,
    }
}

fn template(account: AccountId, number: i64) -> Template {
    Template {
        account,
        number,
        ut_id: format!("UT{number}").into(),
        name: "Welcome".into(),
        class: Class::Otp,
        text: "code {1}".into(),
        review: Review::Approved,
        reason: "".into(),
        signature: Some(1),
        position: Position::Front,
        version: 1,
        remark: "a remark".into(),
        details: json!({"tags": [1]}),
        created_at: NOW,
        updated_at: NOW + 1,
    }
}

fn signature(account: AccountId, id: i64) -> Signature {
    Signature {
        account,
        id,
        text: "Example".into(),
        review: Review::Approved,
        reason: "".into(),
        details: json!({"purpose": 1}),
        created_at: NOW,
        updated_at: NOW + 1,
    }
}

/// What is put comes back, replaced where it was there, and the version grows.
pub async fn the_catalog_comes_back_as_it_was_put(side: &mut impl Side) {
    let store = side.store();
    let start = store.catalog_version().await.expect("read");
    let carrier = Carrier {
        no: CarrierNo(3),
        name: "north".into(),
        settings: json!({"host": "::1", "rate": 1.5}),
    };
    let route = |position, prefix: &str| Route {
        position,
        rule: json!({"prefix": prefix}),
    };
    let version = store
        .change_catalog(vec![
            CatalogChange::PutAccount(account(ACCOUNT, "first")),
            CatalogChange::SetBalance(ACCOUNT, Some(100)),
            CatalogChange::PutAccount(account(ACCOUNT, "renamed")),
            CatalogChange::PutCredential(credential(ACCOUNT, "k1")),
            CatalogChange::PutCredential(Credential {
                enabled: false,
                ..credential(ACCOUNT, "k1")
            }),
            CatalogChange::PutSignature(signature(ACCOUNT, 1)),
            CatalogChange::PutTemplate(template(ACCOUNT, 500)),
            CatalogChange::PutTemplate(Template {
                review: Review::Disabled,
                ..template(ACCOUNT, 500)
            }),
            CatalogChange::PutCarrier(Carrier {
                settings: json!({}),
                ..carrier.clone()
            }),
            CatalogChange::PutCarrier(carrier.clone()),
            CatalogChange::ReplaceRoutes(vec![route(9, "1")]),
            CatalogChange::ReplaceRoutes(vec![route(2, "44"), route(1, "86")]),
        ])
        .await
        .expect("changed");
    assert!(version > start);
    assert_eq!(store.catalog_version().await.expect("read"), version);
    let expected = Catalog {
        version,
        accounts: vec![Account {
            balance: Some(100),
            ..account(ACCOUNT, "renamed")
        }],
        credentials: vec![Credential {
            enabled: false,
            ..credential(ACCOUNT, "k1")
        }],
        signatures: vec![signature(ACCOUNT, 1)],
        templates: vec![Template {
            review: Review::Disabled,
            ..template(ACCOUNT, 500)
        }],
        carriers: vec![carrier],
        routes: vec![route(1, "86"), route(2, "44")],
        endpoints: vec![],
    };
    assert_eq!(store.load_catalog().await.expect("read"), expected);

    store
        .change_catalog(vec![
            CatalogChange::RemoveCredential("uspeedo".into(), "k1".into()),
            CatalogChange::RemoveSignature(1),
            CatalogChange::RemoveTemplate(500),
            CatalogChange::RemoveCarrier(CarrierNo(3)),
            CatalogChange::RemoveAccount(ACCOUNT),
            CatalogChange::ReplaceRoutes(vec![]),
        ])
        .await
        .expect("changed");
    let empty = store.load_catalog().await.expect("read");
    assert_eq!(
        empty,
        Catalog {
            version: empty.version,
            ..Catalog::default()
        }
    );
    assert!(empty.version > version);
}

/// Changes are made together or not at all.
pub async fn a_change_that_fails_changes_nothing(side: &mut impl Side) {
    let store = side.store();
    store
        .change_catalog(vec![CatalogChange::PutAccount(account(ACCOUNT, "taken"))])
        .await
        .expect("changed");
    let before = store.load_catalog().await.expect("read");
    let suppression = Suppression {
        account: None,
        msisdn: number(0),
        kind: SuppressionKind::Global,
    };
    let clash = store
        .change_catalog(vec![
            CatalogChange::PutSignature(signature(ACCOUNT, 1)),
            CatalogChange::PutSuppression(suppression),
            CatalogChange::PutAccount(account(AccountId(8), "taken")),
        ])
        .await;
    assert!(clash.is_err(), "a name is unique");
    assert_eq!(store.load_catalog().await.expect("read"), before);
    super::given::accepted_batch(store, NOW, 0..1).await;
}

/// Removing an account removes what is its own, and no more.
pub async fn an_account_goes_with_what_it_owns(side: &mut impl Side) {
    let store = side.store();
    let other = AccountId(8);
    store
        .change_catalog(vec![
            CatalogChange::PutAccount(account(ACCOUNT, "goes")),
            CatalogChange::PutAccount(account(other, "stays")),
            CatalogChange::PutCredential(credential(ACCOUNT, "k1")),
            CatalogChange::PutCredential(credential(other, "k2")),
            CatalogChange::PutSignature(signature(ACCOUNT, 1)),
            CatalogChange::PutSignature(signature(other, 2)),
            CatalogChange::PutTemplate(template(ACCOUNT, 500)),
            CatalogChange::PutTemplate(template(other, 501)),
            CatalogChange::RemoveAccount(ACCOUNT),
        ])
        .await
        .expect("changed");
    let catalog = store.load_catalog().await.expect("read");
    assert!(catalog.accounts.iter().all(|account| account.id == other));
    let left = (
        catalog.accounts.len(),
        catalog.credentials.len(),
        catalog.signatures.len(),
        catalog.templates.len(),
    );
    assert_eq!(left, (1, 1, 1, 1));
}

/// The key of public ids is random, and never changes.
pub async fn the_id_key_stays(side: &mut impl Side) {
    let key = side.store().id_key().await.expect("read");
    assert_ne!(key, [0; 32]);
    side.crash().await;
    assert_eq!(side.store().id_key().await.expect("read"), key);
}

/// Suppressions can be listed, in portions.
pub async fn suppressions_are_listed_in_portions(side: &mut impl Side) {
    let store = side.store();
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
