//! Records.

use super::Backend;
use super::fixtures::{ACCOUNT, NOW, record_bounds};
use crate::{AccountId, Record, RecordBounds, RecordFilter, RecordKind, RecordRefusal, Store};

const OTHER: AccountId = AccountId(8);

fn record(kind: RecordKind, name: &str) -> Record {
    Record {
        id: 0,
        account: ACCOUNT,
        kind,
        name: name.into(),
        body: r#"{"purpose":"tests"}"#.into(),
        data: vec![0, 255, 7],
        created_at: NOW,
        updated_at: NOW,
    }
}

async fn added(store: &dyn Store, record: Record) -> Record {
    let record = store.add_record(record, record_bounds(100)).await;
    record.expect("written").expect("a record is made")
}

fn without_data(record: &Record) -> Record {
    Record {
        data: vec![],
        ..record.clone()
    }
}

async fn all(store: &dyn Store, account: AccountId, kind: RecordKind) -> Vec<Record> {
    let filter = RecordFilter {
        limit: 1_000,
        ..RecordFilter::default()
    };
    let page = store.records(account, kind, filter).await.expect("read");
    assert_eq!(page.total, page.items.len() as u64);
    page.items
}

/// A record comes back as it was made, to its own account and under its own kind.
pub async fn a_record_comes_back_as_it_was_made(backend: &mut impl Backend) {
    let store = backend.store();
    let kinds = [
        RecordKind::Label,
        RecordKind::Qualification,
        RecordKind::File,
        RecordKind::Backfill,
    ];
    let mut made = vec![];
    for kind in kinds {
        let one = added(store, record(kind, "the same name")).await;
        assert_eq!(Record { id: 0, ..one.clone() }, record(kind, "the same name"));
        made.push(one);
    }
    assert!(made.is_sorted_by_key(|one| one.id));
    backend.crash().await;
    let store = backend.store();
    for one in &made {
        assert_eq!(
            store.record(ACCOUNT, one.kind, one.id).await.expect("read"),
            Some(one.clone())
        );
        assert_eq!(store.record(OTHER, one.kind, one.id).await.expect("read"), None);
        assert_eq!(all(store, ACCOUNT, one.kind).await, [without_data(one)]);
        assert_eq!(all(store, OTHER, one.kind).await, []);
    }
    assert_eq!(
        store
            .record(ACCOUNT, RecordKind::File, made[0].id)
            .await
            .expect("read"),
        None
    );

    let (label, file) = (&made[0], &made[2]);
    let remove = |account, kind, id| store.remove_record(account, kind, id);
    assert!(!remove(OTHER, label.kind, label.id).await.expect("read"));
    assert!(!remove(ACCOUNT, file.kind, label.id).await.expect("read"));
    assert!(remove(ACCOUNT, label.kind, label.id).await.expect("written"));
    assert!(!remove(ACCOUNT, label.kind, label.id).await.expect("read"));
    let newest = made[3].id;
    assert!(
        remove(ACCOUNT, RecordKind::Backfill, newest)
            .await
            .expect("written")
    );
    backend.crash().await;
    let store = backend.store();
    assert_eq!(all(store, ACCOUNT, RecordKind::Label).await, []);
    assert!(
        added(store, record(RecordKind::Label, "x")).await.id > newest,
        "ids are not given twice"
    );
}

/// A name is taken once within an account and kind; records without one are as many as like.
pub async fn a_records_name_is_its_own(backend: &mut impl Backend) {
    let store = backend.store();
    let first = added(store, record(RecordKind::Label, "a")).await;
    let add = |record| store.add_record(record, record_bounds(100));
    let again = add(record(RecordKind::Label, "a")).await.expect("read");
    assert_eq!(again, Err(RecordRefusal::NameTaken));
    let others = Record {
        account: OTHER,
        ..record(RecordKind::Label, "a")
    };
    let others = added(store, others).await;
    added(store, record(RecordKind::Backfill, "")).await;
    added(store, record(RecordKind::Backfill, "")).await;
    let second = added(store, record(RecordKind::Label, "b")).await;

    let taken = Record {
        name: "a".into(),
        ..second.clone()
    };
    assert_eq!(
        store.change_record(taken).await.expect("read"),
        Err(RecordRefusal::NameTaken)
    );
    let changed = Record {
        name: "c".into(),
        body: "[]".into(),
        data: vec![1],
        created_at: 0, // not looked at
        updated_at: NOW + 9,
        ..second.clone()
    };
    let expected = Record {
        created_at: NOW,
        ..changed.clone()
    };
    assert_eq!(
        store.change_record(changed.clone()).await.expect("written"),
        Ok(expected.clone())
    );
    assert_eq!(
        store.change_record(expected.clone()).await.expect("written"),
        Ok(expected.clone())
    );
    for gone in [
        Record {
            id: 999,
            ..changed.clone()
        },
        Record {
            account: OTHER,
            ..changed.clone()
        },
        Record {
            kind: RecordKind::File,
            ..changed.clone()
        },
    ] {
        assert_eq!(
            store.change_record(gone).await.expect("read"),
            Err(RecordRefusal::None)
        );
    }
    backend.crash().await;
    let store = backend.store();
    assert_eq!(
        store.record(ACCOUNT, second.kind, second.id).await.expect("read"),
        Some(expected)
    );
    assert_eq!(
        store.record(OTHER, others.kind, others.id).await.expect("read"),
        Some(others)
    );
    added(store, record(RecordKind::Label, "b")).await;
    assert_eq!(
        all(store, ACCOUNT, RecordKind::Label).await[0],
        without_data(&first)
    );
}

/// An account has so many records of a kind and no more.
pub async fn records_are_bounded_by_kind(backend: &mut impl Backend) {
    let store = backend.store();
    let add = |kind, name: &str| store.add_record(record(kind, name), record_bounds(2));
    for name in ["a", "b"] {
        add(RecordKind::File, name)
            .await
            .expect("written")
            .expect("it fits");
    }
    assert_eq!(
        add(RecordKind::File, "c").await.expect("read"),
        Err(RecordRefusal::Full)
    );
    add(RecordKind::Label, "c")
        .await
        .expect("written")
        .expect("kinds are apart");
    assert_eq!(all(store, ACCOUNT, RecordKind::File).await.len(), 2);
}

/// Records are found by a part of their name, to the letter but whatever the case, and paged by id.
pub async fn records_are_found_by_name_and_paged(backend: &mut impl Backend) {
    let store = backend.store();
    for name in ["Spring 50%", "SPRING", "spring_x", "Größe", "", ""] {
        added(store, record(RecordKind::Label, name)).await;
    }
    let found = |part: Option<&'static str>, offset, limit| async move {
        let filter = RecordFilter {
            name_contains: part.map(Into::into),
            offset,
            limit,
        };
        let page = store
            .records(ACCOUNT, RecordKind::Label, filter)
            .await
            .expect("read");
        assert!(page.items.iter().all(|record| record.data.is_empty()));
        let names: Vec<String> = page.items.iter().map(|record| record.name.to_string()).collect();
        (names.join("|"), page.total)
    };
    assert_eq!(
        found(None, 0, 9).await,
        ("Spring 50%|SPRING|spring_x|Größe||".into(), 6)
    );
    assert_eq!(found(None, 1, 2).await, ("SPRING|spring_x".into(), 6));
    assert_eq!(found(Some(""), 5, 9).await, ("".into(), 6));
    assert_eq!(
        found(Some("sPring"), 0, 9).await,
        ("Spring 50%|SPRING|spring_x".into(), 3)
    );
    assert_eq!(found(Some("spring"), 1, 1).await, ("SPRING".into(), 3));
    assert_eq!(found(Some("%"), 0, 9).await, ("Spring 50%".into(), 1));
    assert_eq!(found(Some("_"), 0, 9).await, ("spring_x".into(), 1));
    assert_eq!(found(Some("GRÖ"), 0, 9).await, ("Größe".into(), 1));
    assert_eq!(found(Some("nothing"), 0, 9).await, ("".into(), 0));
    assert_eq!(found(None, 0, 0).await, ("".into(), 6));
}

/// The bound on the data of an account's records holds over concurrent requests; a removed record frees its room.
pub async fn the_data_of_an_account_has_so_much_room(backend: &mut impl Backend) {
    let store = backend.store();
    let bounds = RecordBounds {
        documents_max: 9,
        data_octets_max: 100,
    };
    let file = |account, octets: usize| Record {
        id: 0,
        account,
        kind: RecordKind::File,
        name: Box::default(),
        body: "{}".into(),
        data: vec![7; octets],
        created_at: NOW,
        updated_at: NOW,
    };
    let add = |record| store.add_record(record, bounds);
    let first = add(file(ACCOUNT, 60)).await.expect("written").expect("it fits");
    let both = tokio::join!(add(file(ACCOUNT, 40)), add(file(ACCOUNT, 40)));
    let refused = [both.0.expect("read"), both.1.expect("read")]
        .iter()
        .filter(|added| matches!(added, Err(RecordRefusal::NoRoom)))
        .count();
    assert_eq!(refused, 1);
    // Without data there is always room, and another account has its own.
    add(file(ACCOUNT, 0))
        .await
        .expect("written")
        .expect("it takes none");
    add(file(OTHER, 100))
        .await
        .expect("written")
        .expect("their own room");
    assert_eq!(
        add(file(OTHER, 1)).await.expect("read"),
        Err(RecordRefusal::NoRoom)
    );
    // What changes and goes away is counted as it is then.
    let smaller = Record {
        data: vec![7; 10],
        ..first.clone()
    };
    store
        .change_record(smaller)
        .await
        .expect("written")
        .expect("changed");
    let second = add(file(ACCOUNT, 50))
        .await
        .expect("written")
        .expect("10 + 40 + 50");
    assert_eq!(
        add(file(ACCOUNT, 1)).await.expect("read"),
        Err(RecordRefusal::NoRoom)
    );
    for id in [first.id, second.id] {
        let removed = store.remove_record(ACCOUNT, RecordKind::File, id).await;
        assert!(removed.expect("written"));
    }
    add(file(ACCOUNT, 60)).await.expect("written").expect("40 + 60");
    assert_eq!(
        add(file(ACCOUNT, 1)).await.expect("read"),
        Err(RecordRefusal::NoRoom)
    );
}
