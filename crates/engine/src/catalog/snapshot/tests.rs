use super::*;
use store::Credential;

fn credential(sealer: &SecretSealer, key: &str, secret: &str) -> Credential {
    Credential {
        family: "sendcloud".into(),
        key: key.into(),
        sealed_secret: sealer
            .seal(&credential_secret_name("sendcloud", key), secret)
            .unwrap(),
        account: AccountId(1),
        enabled: true,
        requests_per_s_max: 0,
    }
}

#[test]
fn a_stored_credential_with_an_empty_secret_or_key_is_switched_off() {
    let sealer = SecretSealer::new(&[1; 32]);
    let given = [
        ("good", "s3cret"),
        ("empty", ""),
        ("blank", " \t"),
        ("marked", "\u{feff}"),
        ("line", "\r\n"),
        ("", "s3cret"),
    ];
    let catalog = Catalog {
        credentials: given.map(|(key, secret)| credential(&sealer, key, secret)).into(),
        ..Catalog::default()
    };
    let snapshot = Snapshot::compile(catalog, &sealer).unwrap();
    for (key, _) in given {
        let entry = snapshot.credential("sendcloud", key).unwrap();
        assert_eq!(entry.enabled, key == "good", "{key:?}");
    }
    let off: Vec<&str> = snapshot.open_to_all().iter().map(|open| &*open.key).collect();
    assert_eq!(off, ["empty", "blank", "marked", "line", ""]);
}

fn signature(account: u32, id: i64, text: &str, review: Review) -> Signature {
    Signature {
        account: AccountId(account),
        id,
        text: text.into(),
        review,
        reason: "".into(),
        details: serde_json::Value::Null,
        created_at: 0,
        updated_at: 0,
    }
}

fn template(account: u32, number: i64, signature: Option<i64>) -> Template {
    Template {
        account: AccountId(account),
        number,
        ut_id: format!("UT{number}").into(),
        name: format!("t{number}").into(),
        class: sms::class::Class::Notice,
        text: format!("text {number} {{x}}").into(),
        review: Review::Approved,
        reason: "".into(),
        signature,
        position: Position::Front,
        version: 1,
        ttl_s: None,
        remark: "".into(),
        details: serde_json::Value::Null,
        created_at: 0,
        updated_at: 0,
    }
}

/// All lookups of the texts of two accounts.
fn seen(snapshot: &Snapshot) -> String {
    let mut all = String::new();
    for account in [AccountId(1), AccountId(2)] {
        for number in 0..40 {
            let by_number = snapshot.template_by_number(account, number);
            let by_ut_id = snapshot.template_by_ut_id(account, &format!("UT{number}"));
            all += &format!(
                "{by_number:?} {by_ut_id:?} {:?}\n",
                snapshot.signature(account, number)
            );
        }
        let templates = snapshot.templates_of(account).map(|entry| entry.template.number);
        let signatures = snapshot.signatures_of(account).map(|signature| signature.id);
        all += &format!(
            "{:?} {:?}\n",
            templates.collect::<Vec<_>>(),
            signatures.collect::<Vec<_>>()
        );
        for text in ["a", "b", "c"] {
            all += &format!(
                "{:?}\n",
                snapshot.signature_by_text(account, text).map(|one| one.id)
            );
        }
    }
    all + &format!(
        "{} {}",
        snapshot.template_number_max(),
        snapshot.signature_id_max()
    )
}

/// What a store would have after a change.
fn stored(catalog: &mut Catalog, change: &CatalogChange) {
    match change.clone() {
        CatalogChange::PutTemplate(template) => {
            catalog.templates.retain(|old| old.number != template.number);
            catalog.templates.push(template);
            catalog.templates.sort_by_key(|template| template.number);
        }
        CatalogChange::RemoveTemplate(number) => catalog.templates.retain(|old| old.number != number),
        CatalogChange::PutSignature(signature) => {
            catalog.signatures.retain(|old| old.id != signature.id);
            catalog.signatures.push(signature);
            catalog.signatures.sort_by_key(|signature| signature.id);
        }
        CatalogChange::RemoveSignature(id) => catalog.signatures.retain(|old| old.id != id),
        other => panic!("{other:?}"),
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn change() -> impl Strategy<Value = CatalogChange> {
        let review = prop_oneof![Just(Review::Approved), Just(Review::Submitted)];
        let text = prop_oneof![Just("a"), Just("b"), Just("c")];
        prop_oneof![
            (1_u32..3, 0_i64..20, prop::option::of(0_i64..6)).prop_map(|(account, number, signature)| {
                CatalogChange::PutTemplate(template(account, number, signature))
            }),
            (0_i64..20).prop_map(CatalogChange::RemoveTemplate),
            (1_u32..3, 0_i64..6, text, review).prop_map(|(account, id, text, review)| {
                CatalogChange::PutSignature(signature(account, id, text, review))
            }),
            (0_i64..6).prop_map(CatalogChange::RemoveSignature),
        ]
    }

    proptest! {
        #[test]
        fn following_changes_is_as_reading_all_again(changes in prop::collection::vec(change(), 0..60)) {
            let sealer = SecretSealer::new(&[1; 32]);
            let mut catalog = Catalog::default();
            let mut followed = Snapshot::default();
            for change in changes {
                stored(&mut catalog, &change);
                followed = followed.with(std::slice::from_ref(&change)).unwrap();
                let whole = Snapshot::compile(catalog.clone(), &sealer).unwrap();
                prop_assert_eq!(seen(&followed), seen(&whole), "{:?}", change);
            }
        }
    }
}

#[test]
fn a_change_of_one_template_compiles_one_whatever_there_is_beside_it() {
    for count in [1, 3_264, 50_000] {
        let catalog = Catalog {
            signatures: vec![signature(1, 1, "a", Review::Approved)],
            templates: (0..count).map(|number| template(1, number, Some(1))).collect(),
            ..Catalog::default()
        };
        let before = Snapshot::compile(catalog, &SecretSealer::new(&[1; 32])).unwrap();
        let changed = template(1, count / 2, None);
        let after = before.with(&[CatalogChange::PutTemplate(changed)]).unwrap();
        let compiled = (0..count)
            .filter(|number| {
                let of = |snapshot: &Snapshot| {
                    Arc::clone(snapshot.template_by_number(AccountId(1), *number).unwrap())
                };
                !Arc::ptr_eq(&of(&before), &of(&after))
            })
            .count();
        assert_eq!(compiled, 1, "of {count}");
        let copied = [
            after.texts.templates.own_chunks(&before.texts.templates),
            after
                .texts
                .templates_by_ut_id
                .own_chunks(&before.texts.templates_by_ut_id),
            after
                .texts
                .templates_by_account
                .own_chunks(&before.texts.templates_by_account),
        ];
        assert!(copied.iter().all(|chunks| *chunks <= 2), "{copied:?} of {count}");
        assert!(Arc::ptr_eq(&before.setup, &after.setup));
        assert_eq!(after.version(), before.version() + 1);
    }
}

#[test]
fn what_operators_change_is_no_small_change() {
    let snapshot = Snapshot::default();
    for change in [
        CatalogChange::RemoveAccount(AccountId(1)),
        CatalogChange::ReplaceRoutes(Vec::new()),
        CatalogChange::RemoveCredential("ucloud".into(), "k".into()),
        CatalogChange::RemoveBlockedWords("w".into()),
    ] {
        assert!(
            snapshot
                .with(&[CatalogChange::RemoveTemplate(1), change])
                .is_none()
        );
    }
}
