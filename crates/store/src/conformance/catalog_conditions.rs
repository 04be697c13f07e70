//! Changes of the catalog that are made only while something holds.

use super::Backend;
use super::cataloguing::{account, changed, signature, template};
use super::fixtures::ACCOUNT;
use crate::{AccountId, CatalogChange, CatalogExpectation, Template};

/// A change that is made from a look at the catalog is made only while the catalog is as it was looked at.
pub async fn a_change_at_a_version_is_made_there_only(backend: &mut impl Backend) {
    let store = backend.store();
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

/// A change is made only while what it relies on is so; what else has changed meanwhile does not matter.
pub async fn changes_of_different_things_do_not_conflict(backend: &mut impl Backend) {
    let store = backend.store();
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
pub async fn names_and_texts_stay_single(backend: &mut impl Backend) {
    let store = backend.store();
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
