//! The catalog.

use super::Side;
use super::given::{ACCOUNT, NOW, accepted, batch, number, request};
use crate::{
    Account, AccountId, Caps, Carrier, CarrierNo, Catalog, CatalogChange, CatalogExpectation, Credential,
    Endpoint, EndpointId, EventKinds, EventPlace, EventWhat, NewTask, Position, PutContact, Record,
    RecordFilter, RecordKind, RefusedReason, Review, Route, Signature, Store, Suppression, SuppressionEntry,
    SuppressionKind, SuppressionOrigin, Template, TemplateVersion, UnixMs, WordList,
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
        blocked_words: vec!["casino".into()],
        project_ids: vec!["org-1".into()],
        auto_approve: true,
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
        ttl_s: None,
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

fn endpoint(account: AccountId, id: u32) -> Endpoint {
    Endpoint {
        id: EndpointId(id),
        account,
        name: format!("endpoint {id}").into(),
        format: "standard".into(),
        url: "https://example.com/told".into(),
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

async fn changed(store: &dyn Store, changes: Vec<CatalogChange>) -> u64 {
    store.change_catalog(changes).await.expect("changed")
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

/// A change that is made from a look at the catalog is made only while the catalog is as it was looked at.
pub async fn a_change_at_a_version_is_made_there_only(side: &mut impl Side) {
    let store = side.store();
    let put = |id| vec![CatalogChange::PutSignature(signature(ACCOUNT, id))];
    let start = changed(store, put(1)).await;
    let next = store.change_catalog_at(start, put(2)).await.expect("changed");
    let next = next.expect("nobody else changed it");
    assert!(next > start);
    let late = store.change_catalog_at(start, put(3)).await.expect("read");
    assert_eq!(late, None);
    let early = store.change_catalog_at(next + 1, put(3)).await.expect("read");
    assert_eq!(early, None);
    let catalog = store.load_catalog().await.expect("read");
    assert_eq!((catalog.version, catalog.signatures.len()), (next, 2));

    let clash = vec![
        CatalogChange::PutAccount(account(ACCOUNT, "taken")),
        CatalogChange::PutAccount(account(AccountId(8), "taken")),
    ];
    assert!(
        store.change_catalog_at(next, clash).await.is_err(),
        "a name is unique"
    );
    assert_eq!(store.catalog_version().await.expect("read"), next);

    // Of those who looked at the same moment one wins.
    let (a, b, c) = tokio::join!(
        store.change_catalog_at(next, put(4)),
        store.change_catalog_at(next, put(5)),
        store.change_catalog_at(next, put(6)),
    );
    let won = [a, b, c]
        .into_iter()
        .filter_map(|one| one.expect("written"))
        .count();
    assert_eq!(won, 1);
    assert_eq!(store.load_catalog().await.expect("read").signatures.len(), 3);
}

/// What people write and what is spent does not make the catalog another one; that an account begins to be counted does.
pub async fn suppressions_and_balances_leave_the_version(side: &mut impl Side) {
    let store = side.store();
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

/// A change is made only while what it relies on is so; what else has changed meanwhile does not matter.
pub async fn changes_of_different_things_do_not_conflict(side: &mut impl Side) {
    let store = side.store();
    let (one, two) = (template(ACCOUNT, 500), template(ACCOUNT, 501));
    let signature = signature(ACCOUNT, 1);
    changed(
        store,
        vec![
            CatalogChange::PutAccount(account(ACCOUNT, "first")),
            CatalogChange::PutTemplate(one.clone()),
            CatalogChange::PutTemplate(two.clone()),
            CatalogChange::PutSignature(signature.clone()),
        ],
    )
    .await;
    let is = |template: &Template| CatalogExpectation::Template(Box::new(template.clone()));
    let text = |template: &Template, text: &str| Template {
        text: text.into(),
        ..template.clone()
    };
    let put = |template: &Template| vec![CatalogChange::PutTemplate(template.clone())];
    // All of them looked at the same moment.
    let (next_one, next_two) = (text(&one, "first"), text(&two, "second"));
    let (a, b, c) = tokio::join!(
        store.change_catalog_if(vec![is(&one)], put(&next_one)),
        store.change_catalog_if(vec![is(&two)], put(&next_two)),
        store.change_catalog_if(
            vec![CatalogExpectation::Signature(Box::new(signature))],
            vec![CatalogChange::RemoveSignature(1)],
        ),
    );
    for done in [a, b, c] {
        assert!(done.expect("written").is_some());
    }
    let late = store.change_catalog_if(vec![is(&one)], put(&text(&one, "late")));
    assert_eq!(late.await.expect("read"), None, "somebody else was faster");
    let some = store.change_catalog_if(vec![is(&next_one), is(&two)], put(&text(&one, "late")));
    assert_eq!(some.await.expect("read"), None, "all of it must hold");
    let gone = store.change_catalog_if(vec![CatalogExpectation::HasSignature(ACCOUNT, 1)], put(&one));
    assert_eq!(gone.await.expect("read"), None);
    let catalog = store.load_catalog().await.expect("read");
    assert_eq!(catalog.templates, [next_one, next_two]);
}

/// What is single within an account, or altogether, is looked at where it is written.
pub async fn names_and_texts_stay_single(side: &mut impl Side) {
    let store = side.store();
    let named = Template {
        name: "welcome".into(),
        signature: Some(1),
        ..template(ACCOUNT, 500)
    };
    changed(
        store,
        vec![
            CatalogChange::PutAccount(account(ACCOUNT, "first")),
            CatalogChange::PutTemplate(named.clone()),
            CatalogChange::PutSignature(signature(ACCOUNT, 1)),
        ],
    )
    .await;
    let text = signature(ACCOUNT, 1).text;
    let name = |account, except| CatalogExpectation::TemplateName {
        account,
        name: "welcome".into(),
        except,
    };
    let signed = |account, except| CatalogExpectation::SignatureText {
        account,
        text: text.clone(),
        except,
    };
    let no_template = |number, ut_id: &str| CatalogExpectation::NoTemplate {
        number,
        ut_id: ut_id.into(),
    };
    let other = AccountId(8);
    for (expected, holds) in [
        (name(ACCOUNT, None), false),
        (name(ACCOUNT, Some(500)), true),
        (name(ACCOUNT, Some(501)), false),
        (name(other, None), true),
        (signed(ACCOUNT, None), false),
        (signed(ACCOUNT, Some(1)), true),
        (signed(other, None), true),
        (no_template(500, "UTfree"), false),
        (no_template(501, &named.ut_id), false),
        (no_template(501, "UTfree"), true),
        (CatalogExpectation::NoSignature(1), false),
        (CatalogExpectation::NoSignature(2), true),
        (CatalogExpectation::HasSignature(ACCOUNT, 1), true),
        (CatalogExpectation::HasSignature(other, 1), false),
        (CatalogExpectation::UnusedSignature(ACCOUNT, 1), false),
        (CatalogExpectation::UnusedSignature(ACCOUNT, 2), true),
        (CatalogExpectation::FewerTemplates(ACCOUNT, 1), false),
        (CatalogExpectation::FewerTemplates(ACCOUNT, 2), true),
        (CatalogExpectation::FewerSignatures(ACCOUNT, 1), false),
        (CatalogExpectation::FewerSignatures(other, 1), true),
    ] {
        let change = vec![CatalogChange::PutAccount(account(ACCOUNT, "first"))];
        let done = store.change_catalog_if(vec![expected.clone()], change).await;
        assert_eq!(done.expect("read").is_some(), holds, "{expected:?}");
    }
}

/// What a template was under earlier versions is kept, and goes with it.
pub async fn earlier_versions_of_a_template_are_kept(side: &mut impl Side) {
    let store = side.store();
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
    side.crash().await;
    let store = side.store();
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

/// A template or signature that leaves its review is told to its account; nothing else is.
pub async fn a_review_that_ends_is_told(side: &mut impl Side) {
    let store = side.store();
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
    let told = |template_or_signature: bool, number, review| {
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
        expected.push((NOW + n, told(false, n, review)));
        expected.push((NOW + n, told(true, n, review)));
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
    side.crash().await;
    let store = side.store();
    let (events, _) = store
        .events(ACCOUNT, EventPlace::default(), EventKinds::ALL, 100)
        .await
        .expect("read");
    let events: Vec<(UnixMs, EventWhat)> = events.into_iter().map(|event| (event.at, event.what)).collect();
    assert_eq!(events, expected);
}

/// Removing an account removes what is its own, and no more.
pub async fn an_account_goes_with_what_it_owns(side: &mut impl Side) {
    let store = side.store();
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
        let store = side.store();
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
        side.crash().await;
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
    let put = store.put_contacts(account, list, vec![member], NOW, 9).await;
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
    store.add_record(record, 9).await.expect("written").expect("made");
    (list, task.id)
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

/// A suppression comes back with when, how and why it was made, over a crash; who adds it again changes nothing.
pub async fn a_suppression_keeps_its_first_proof(side: &mut impl Side) {
    let store = side.store();
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
    let first = entry(1, NOW, SuppressionOrigin::Operator, "asked by mail");
    let second = entry(2, NOW + 1, SuppressionOrigin::Import, "");
    let again = entry(1, NOW + 9, SuppressionOrigin::Api, "later");
    for one in [&first, &second, &again] {
        let change = vec![CatalogChange::Suppress(one.clone())];
        store.change_catalog(change).await.expect("changed");
    }
    let unproved = CatalogChange::PutSuppression(second.suppression);
    store.change_catalog(vec![unproved]).await.expect("changed");
    side.crash().await;
    let store = side.store();
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
