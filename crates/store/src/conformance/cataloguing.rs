//! The catalog.

use super::Backend;
use super::fixtures::{ACCOUNT, NOW, list_bounds, number, record_bounds};
use crate::{
    Account, AccountId, Caps, Carrier, CarrierNo, Catalog, CatalogChange, Credential, Endpoint, EndpointId,
    EventKinds, EventOffset, EventWhat, NewTask, Position, PutContact, Record, RecordFilter, RecordKind,
    Review, Route, Signature, Store, Suppression, SuppressionKind, Template, TemplateVersion, UnixMs,
    WordList,
};
use serde_json::json;
use sms::class::Class;

pub(super) fn account(id: AccountId, name: &str) -> Account {
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
        blocked_words: vec!["casino".into()],
        project_ids: vec!["org-1".into()],
        auto_approve: true,
        repeats_with_other_content: Default::default(),
        inbound_to: vec!["10690".into()],
        opt_out_words: vec!["STOP".into()],
        opt_in_words: Some(vec!["START".into()]),
    }
}

fn credential(account: AccountId, key: &str) -> Credential {
    Credential {
        family: "uspeedo".into(),
        key: key.into(),
        sealed_secret: vec![0, 255, 7],
        account,
        enabled: true,
        requests_per_s_max: 0,
    }
}

pub(super) fn template(account: AccountId, number: i64) -> Template {
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
        ttl_s: None,
        remark: "a remark".into(),
        details: json!({"tags": [1]}),
        created_at: NOW,
        updated_at: NOW + 1,
    }
}

pub(super) fn signature(account: AccountId, id: i64) -> Signature {
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

fn endpoint(account: AccountId, id: u32) -> Endpoint {
    Endpoint {
        id: EndpointId(id),
        account,
        name: format!("endpoint {id}").into(),
        format: "standard".into(),
        url: "https://example.com/events".into(),
        kinds: EventKinds::REVIEWED | EventKinds::INBOUND,
        settings: json!({"batch": 10}),
        sealed_secret: vec![9, 8, 7],
        enabled: true,
    }
}

fn words(name: &str, words: &[&str]) -> WordList {
    WordList {
        name: name.into(),
        words: words.iter().map(|word| Box::from(*word)).collect(),
    }
}

pub(super) async fn changed(store: &dyn Store, changes: Vec<CatalogChange>) -> u64 {
    store.change_catalog(changes).await.expect("changed")
}

/// What is put comes back, replaced where it was there, and the version grows.
pub async fn the_catalog_comes_back_as_it_was_put(backend: &mut impl Backend) {
    let store = backend.store();
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
            CatalogChange::PutEndpoint(endpoint(ACCOUNT, 5)),
            CatalogChange::PutEndpoint(Endpoint {
                enabled: false,
                ..endpoint(ACCOUNT, 5)
            }),
            CatalogChange::PutBlockedWords(words("all", &["a"])),
            CatalogChange::PutBlockedWords(words("all", &["b", "c"])),
            CatalogChange::PutBlockedWords(words("more", &[])),
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
        endpoints: vec![Endpoint {
            enabled: false,
            ..endpoint(ACCOUNT, 5)
        }],
        blocked_words: vec![words("all", &["b", "c"]), words("more", &[])],
    };
    assert_eq!(store.load_catalog().await.expect("read"), expected);

    store
        .change_catalog(vec![
            CatalogChange::RemoveCredential("uspeedo".into(), "k1".into()),
            CatalogChange::RemoveSignature(1),
            CatalogChange::RemoveTemplate(500),
            CatalogChange::RemoveEndpoint(EndpointId(5)),
            CatalogChange::RemoveCarrier(CarrierNo(3)),
            CatalogChange::RemoveAccount(ACCOUNT),
            CatalogChange::ReplaceRoutes(vec![]),
            CatalogChange::RemoveBlockedWords("all".into()),
            CatalogChange::RemoveBlockedWords("more".into()),
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
pub async fn a_change_that_fails_changes_nothing(backend: &mut impl Backend) {
    let store = backend.store();
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
    super::fixtures::accepted_batch(store, NOW, 0..1).await;
}

/// What a template was under earlier versions is kept, and goes with it.
pub async fn earlier_versions_of_a_template_are_kept(backend: &mut impl Backend) {
    let store = backend.store();
    let at = |version, text: &str, review| Template {
        version,
        text: text.into(),
        review,
        ..template(ACCOUNT, 500)
    };
    let put = |template: &Template| vec![CatalogChange::PutTemplate(template.clone())];
    let first = at(1, "one", Review::Draft);
    let first_as_it_was_last = at(1, "one", Review::Approved);
    let second = at(2, "two", Review::Approved);
    let third = at(3, "three", Review::Submitted);
    changed(store, put(&first)).await;
    changed(store, put(&first_as_it_was_last)).await;
    changed(store, vec![CatalogChange::PutTemplate(template(ACCOUNT, 501))]).await;
    assert_eq!(store.template_versions(500, 9).await.expect("read"), []);
    changed(store, put(&second)).await;
    changed(store, put(&third)).await;
    changed(store, put(&third)).await;
    backend.crash().await;
    let store = backend.store();
    let was = |template: &Template| TemplateVersion {
        number: 500,
        version: template.version,
        template: template.clone(),
    };
    let versions = store.template_versions(500, 9).await.expect("read");
    assert_eq!(versions, [was(&second), was(&first_as_it_was_last)]);
    assert_eq!(
        store.template_versions(500, 1).await.expect("read"),
        [was(&second)]
    );
    assert_eq!(store.template_versions(501, 9).await.expect("read"), []);
    let templates = store.load_catalog().await.expect("read").templates;
    assert_eq!(templates, [third, template(ACCOUNT, 501)]);

    changed(store, vec![CatalogChange::RemoveTemplate(500)]).await;
    assert_eq!(store.template_versions(500, 9).await.expect("read"), []);
    changed(store, put(&first)).await;
    assert_eq!(store.template_versions(500, 9).await.expect("read"), []);
}

/// A template or signature whose review ends appends an event of its account; no other change does.
pub async fn a_review_that_ends_is_reported(backend: &mut impl Backend) {
    let store = backend.store();
    changed(
        store,
        vec![
            CatalogChange::PutAccount(account(ACCOUNT, "first")),
            CatalogChange::PutEndpoint(endpoint(ACCOUNT, 1)),
        ],
    )
    .await;
    let template = |number, review, updated_at| {
        CatalogChange::PutTemplate(Template {
            review,
            updated_at,
            ..template(ACCOUNT, number)
        })
    };
    let signature = |id, review, updated_at| {
        CatalogChange::PutSignature(Signature {
            review,
            updated_at,
            ..signature(ACCOUNT, id)
        })
    };
    let expected_event = |template_or_signature: bool, number, review| {
        if template_or_signature {
            EventWhat::TemplateReviewed { number, review }
        } else {
            EventWhat::SignatureReviewed { id: number, review }
        }
    };
    let mut expected: Vec<(UnixMs, EventWhat)> = vec![];
    for (n, review) in (1..).zip([Review::Approved, Review::Rejected, Review::Disabled]) {
        changed(
            store,
            vec![
                template(n, Review::Draft, NOW),
                signature(n, Review::Submitted, NOW),
            ],
        )
        .await;
        changed(store, vec![template(n, Review::Submitted, NOW)]).await;
        changed(
            store,
            vec![template(n, Review::Submitted, NOW), signature(n, review, NOW + n)],
        )
        .await;
        changed(
            store,
            vec![template(n, review, NOW + n), signature(n, review, NOW + 9)],
        )
        .await;
        expected.push((NOW + n, expected_event(false, n, review)));
        expected.push((NOW + n, expected_event(true, n, review)));
    }
    // New ones, those taken back, and those that go on from elsewhere were not reviewed.
    changed(
        store,
        vec![
            template(7, Review::Approved, NOW),
            signature(7, Review::Submitted, NOW),
        ],
    )
    .await;
    changed(
        store,
        vec![
            template(7, Review::Disabled, NOW),
            signature(7, Review::Draft, NOW),
        ],
    )
    .await;
    backend.crash().await;
    let store = backend.store();
    let (events, _) = store
        .events(ACCOUNT, EventOffset::default(), EventKinds::ALL, 100)
        .await
        .expect("read");
    let events: Vec<(UnixMs, EventWhat)> = events.into_iter().map(|event| (event.at, event.what)).collect();
    assert_eq!(events, expected);
}

/// Removing an account removes what is its own, and no more.
pub async fn an_account_goes_with_what_it_owns(backend: &mut impl Backend) {
    let store = backend.store();
    let other = AccountId(8);
    let newer = |account, number| Template {
        version: 2,
        ..template(account, number)
    };
    changed(
        store,
        vec![
            CatalogChange::PutAccount(account(ACCOUNT, "goes")),
            CatalogChange::PutAccount(account(other, "stays")),
            CatalogChange::PutCredential(credential(ACCOUNT, "k1")),
            CatalogChange::PutCredential(credential(other, "k2")),
            CatalogChange::PutSignature(signature(ACCOUNT, 1)),
            CatalogChange::PutSignature(signature(other, 2)),
            CatalogChange::PutTemplate(template(ACCOUNT, 500)),
            CatalogChange::PutTemplate(newer(ACCOUNT, 500)),
            CatalogChange::PutTemplate(template(other, 501)),
            CatalogChange::PutTemplate(newer(other, 501)),
            CatalogChange::PutEndpoint(endpoint(ACCOUNT, 1)),
            CatalogChange::PutEndpoint(endpoint(other, 2)),
        ],
    )
    .await;
    let (_, gone_task) = belongings(store, ACCOUNT).await;
    let (list, task) = belongings(store, other).await;
    changed(store, vec![CatalogChange::RemoveAccount(ACCOUNT)]).await;

    for _ in 0..2 {
        let store = backend.store();
        let catalog = store.load_catalog().await.expect("read");
        assert!(catalog.accounts.iter().all(|account| account.id == other));
        let left = (
            catalog.accounts.len(),
            catalog.credentials.len(),
            catalog.signatures.len(),
            catalog.templates.len(),
            catalog.endpoints.len(),
        );
        assert_eq!(left, (1, 1, 1, 1, 1));
        assert_eq!(store.template_versions(500, 9).await.expect("read"), []);
        assert_eq!(store.template_versions(501, 9).await.expect("read").len(), 1);
        for (account, count) in [(ACCOUNT, 0), (other, 1)] {
            let lists = store.lists(account, "".into(), 0, 9).await.expect("read");
            assert_eq!(lists.total, count);
            let filter = RecordFilter {
                limit: 9,
                ..RecordFilter::default()
            };
            let records = store
                .records(account, RecordKind::Label, filter)
                .await
                .expect("read");
            assert_eq!(records.total, count);
        }
        assert_eq!(store.task(ACCOUNT, gone_task).await.expect("read"), None);
        let open = store.open_tasks(9).await.expect("read");
        assert_eq!(open.iter().map(|task| task.id).collect::<Vec<_>>(), [task]);
        let members = store.contacts_after(list, 0, i64::MAX, 9).await.expect("read");
        assert_eq!(members.len(), 1);
        backend.crash().await;
    }
}

/// A list with a member and a task to it, and a record.
async fn belongings(store: &dyn Store, account: AccountId) -> (i64, i64) {
    let list = store.add_list(account, "list".into(), "".into(), NOW, 9).await;
    let list = list.expect("written").expect("made").id;
    let member = PutContact {
        msisdn: number(1),
        written: "1".into(),
        user_name: None,
        vars: None,
    };
    let put = store
        .put_contacts(account, list, vec![member], NOW, list_bounds(9))
        .await;
    put.expect("written").expect("put");
    let task = super::tasking::new_task(&[list], NOW);
    let task = super::tasking::added(store, NewTask { account, ..task }).await;
    let record = Record {
        id: 0,
        account,
        kind: RecordKind::Label,
        name: "label".into(),
        body: "{}".into(),
        data: vec![],
        created_at: NOW,
        updated_at: NOW,
    };
    store
        .add_record(record, record_bounds(9))
        .await
        .expect("written")
        .expect("made");
    (list, task.id)
}

/// The key of public ids is random, and never changes.
pub async fn the_id_key_stays(backend: &mut impl Backend) {
    let key = backend.store().id_key().await.expect("read");
    assert_ne!(key, [0; 32]);
    backend.crash().await;
    assert_eq!(backend.store().id_key().await.expect("read"), key);
}
