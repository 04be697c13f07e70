//! Contact lists.

use super::Backend;
use super::fixtures::{ACCOUNT, NOW, list_bounds, number};
use crate::{AccountId, Contact, ContactBounds, ContactList, ContactRefusal, PutContact, Store};

const OTHER: AccountId = AccountId(8);

pub(super) async fn made(store: &dyn Store, name: &str) -> ContactList {
    let list = store
        .add_list(ACCOUNT, name.into(), "in words".into(), NOW, 100)
        .await;
    list.expect("written").expect("a list is made")
}

pub(super) fn put(n: u64) -> PutContact {
    PutContact {
        msisdn: number(n),
        written: format!("+{}", number(n)).into(),
        user_name: None,
        vars: None,
    }
}

pub(super) fn named(n: u64, name: &str) -> PutContact {
    PutContact {
        user_name: Some(name.into()),
        ..put(n)
    }
}

pub(super) async fn filled(
    store: &dyn Store,
    list: i64,
    numbers: impl IntoIterator<Item = u64>,
) -> Vec<Contact> {
    let puts = numbers.into_iter().map(put).collect();
    let contacts = store
        .put_contacts(ACCOUNT, list, puts, NOW + 1, list_bounds(1_000_000))
        .await;
    contacts.expect("written").expect("members are put")
}

/// The list as it is now.
pub(super) async fn now(store: &dyn Store, name: &str) -> ContactList {
    let list = store.list_named(ACCOUNT, name.into()).await.expect("read");
    list.expect("the list is there")
}

pub(super) async fn members(store: &dyn Store, list: i64) -> Vec<Contact> {
    let page = store.contacts(ACCOUNT, list, None, "".into(), 0, 100_000).await;
    let page = page.expect("read");
    assert_eq!(page.total, page.items.len() as u64);
    page.items
}

/// A list has its name alone in its account, and ids are not given twice.
pub async fn a_list_is_the_only_one_of_its_name(backend: &mut impl Backend) {
    let store = backend.store();
    let first = made(store, "first").await;
    let expected = ContactList {
        id: first.id,
        account: ACCOUNT,
        name: "first".into(),
        description: "in words".into(),
        members: 0,
        created_at: NOW,
        updated_at: NOW,
    };
    assert_eq!(first, expected);
    assert_eq!(now(store, "first").await, expected);
    let add =
        |account, name: &str, lists_max| store.add_list(account, name.into(), "".into(), NOW, lists_max);
    assert_eq!(
        add(ACCOUNT, "first", 9).await.expect("read"),
        Err(ContactRefusal::NameTaken)
    );
    assert_eq!(
        add(ACCOUNT, "second", 1).await.expect("read"),
        Err(ContactRefusal::Full)
    );
    let others = add(OTHER, "first", 1)
        .await
        .expect("written")
        .expect("names of accounts are apart");
    let second = made(store, "second").await;
    assert!(first.id < others.id && others.id < second.id);

    let change = |account, id, name: Option<&str>, description: Option<&str>| {
        store.change_list(
            account,
            id,
            name.map(Into::into),
            description.map(Into::into),
            NOW + 5,
        )
    };
    let taken = change(ACCOUNT, second.id, Some("first"), None)
        .await
        .expect("read");
    assert_eq!(taken, Err(ContactRefusal::NameTaken));
    let not_ours = change(ACCOUNT, others.id, Some("ours"), None)
        .await
        .expect("read");
    assert_eq!(not_ours, Err(ContactRefusal::NoList));
    let same = change(ACCOUNT, second.id, Some("second"), Some("other words")).await;
    let same = same.expect("written").expect("its own name is not taken");
    assert_eq!(
        (&*same.name, &*same.description, same.updated_at),
        ("second", "other words", NOW + 5)
    );
    let renamed = change(ACCOUNT, second.id, Some("third"), None)
        .await
        .expect("written")
        .expect("changed");
    assert_eq!(&*renamed.description, "other words");

    backend.crash().await;
    let store = backend.store();
    assert_eq!(now(store, "third").await, renamed);
    assert_eq!(
        store.list_named(ACCOUNT, "second".into()).await.expect("read"),
        None
    );
    store
        .remove_list(ACCOUNT, renamed.id)
        .await
        .expect("written")
        .expect("removed");
    backend.crash().await;
    assert!(
        made(backend.store(), "third").await.id > renamed.id,
        "ids are not given twice"
    );
}

/// Lists are found by a part of their name, to the letter but whatever the case, and paged.
pub async fn lists_are_found_by_name_and_paged(backend: &mut impl Backend) {
    let store = backend.store();
    for name in ["VIP north", "vip south", "100%", "100 of them", "Éte"] {
        made(store, name).await;
    }
    store
        .add_list(OTHER, "VIP".into(), "".into(), NOW, 9)
        .await
        .expect("written")
        .expect("made");
    let names = |part: &'static str, offset, limit| async move {
        let page = store
            .lists(ACCOUNT, part.into(), offset, limit)
            .await
            .expect("read");
        let names: Vec<String> = page.items.iter().map(|list| list.name.to_string()).collect();
        (names.join(","), page.total)
    };
    assert_eq!(
        names("", 0, 9).await,
        ("VIP north,vip south,100%,100 of them,Éte".into(), 5)
    );
    assert_eq!(names("Vip", 0, 9).await, ("VIP north,vip south".into(), 2));
    assert_eq!(names("vip", 1, 9).await, ("vip south".into(), 2));
    assert_eq!(names("", 1, 2).await, ("vip south,100%".into(), 5));
    assert_eq!(names("%", 0, 9).await, ("100%".into(), 1));
    assert_eq!(names("_", 0, 9).await, ("".into(), 0));
    assert_eq!(names("éTE", 0, 9).await, ("Éte".into(), 1));
    assert_eq!(names("", 9, 9).await, ("".into(), 5));
}

/// A member is there once by its number; what a change does not name stays.
pub async fn members_are_put_changed_and_taken_out(backend: &mut impl Backend) {
    let store = backend.store();
    let list = made(store, "members").await.id;
    let full = PutContact {
        user_name: Some("Ann".into()),
        vars: Some(r#"{"city":"York"}"#.into()),
        written: "+1 (555) 010-0001".into(),
        ..put(1)
    };
    let puts = vec![full, put(2), named(2, "Bob")];
    let first = store
        .put_contacts(ACCOUNT, list, puts, NOW + 1, list_bounds(9))
        .await;
    let first = first.expect("written").expect("put");
    let ann = Contact {
        id: first[0].id,
        list,
        msisdn: number(1),
        written: "+1 (555) 010-0001".into(),
        user_name: "Ann".into(),
        vars: r#"{"city":"York"}"#.into(),
        created_at: NOW + 1,
        updated_at: NOW + 1,
    };
    assert_eq!(first[0], ann);
    assert_eq!(first[1], first[2], "the same number twice is one member");
    assert_eq!((&*first[1].user_name, &*first[1].vars), ("Bob", "{}"));
    assert!(first[1].id > first[0].id);
    let list_now = now(store, "members").await;
    assert_eq!((list_now.members, list_now.updated_at), (2, NOW + 1));

    let again = store
        .put_contacts(
            ACCOUNT,
            list,
            vec![named(3, "Cy"), put(1)],
            NOW + 2,
            list_bounds(9),
        )
        .await;
    let again = again.expect("written").expect("put");
    let changed = Contact {
        written: "+15550100001".into(),
        updated_at: NOW + 2,
        ..ann
    };
    assert_eq!(again[1], changed, "name and values stay");
    assert_eq!(now(store, "members").await.members, 3);

    let none = store
        .remove_contact(ACCOUNT, list, number(9), NOW + 3)
        .await
        .expect("read");
    assert_eq!(none, Err(ContactRefusal::NoMember));
    let not_theirs = store
        .remove_contact(OTHER, list, number(1), NOW + 3)
        .await
        .expect("read");
    assert_eq!(not_theirs, Err(ContactRefusal::NoList));
    let not_theirs = store
        .put_contacts(OTHER, list, vec![put(9)], NOW, list_bounds(9))
        .await
        .expect("read");
    assert_eq!(not_theirs, Err(ContactRefusal::NoList));
    store
        .remove_contact(ACCOUNT, list, number(3), NOW + 3)
        .await
        .expect("written")
        .expect("taken out");
    backend.crash().await;
    let store = backend.store();
    assert_eq!(members(store, list).await, [changed, first[1].clone()]);
    let list_now = now(store, "members").await;
    assert_eq!((list_now.members, list_now.updated_at), (2, NOW + 3));
    let back = filled(store, list, [3]).await;
    assert!(back[0].id > again[0].id, "who comes back is a new member");
    assert_eq!(&*back[0].user_name, "");
}

/// A list holds so many and no more; a request that would go over it adds nobody.
pub async fn a_full_list_takes_changes_only(backend: &mut impl Backend) {
    let store = backend.store();
    let list = made(store, "small").await.id;
    let fill = |puts| store.put_contacts(ACCOUNT, list, puts, NOW, list_bounds(3));
    fill(vec![put(1), put(2)]).await.expect("written").expect("put");
    let over = fill(vec![put(3), put(4)]).await.expect("read");
    assert_eq!(over, Err(ContactRefusal::Full));
    assert_eq!(members(store, list).await.len(), 2);
    let just = fill(vec![put(3), put(1), put(3)]).await.expect("written");
    assert_eq!(just.expect("one more fits").len(), 3);
    let change = fill(vec![named(1, "Ann")])
        .await
        .expect("written")
        .expect("a change fits");
    assert_eq!(&*change[0].user_name, "Ann");
    assert_eq!(fill(vec![put(4)]).await.expect("read"), Err(ContactRefusal::Full));
    assert_eq!(now(store, "small").await.members, 3);
}

/// The bound on an account's members holds over all its lists and concurrent requests; existing members stay.
pub async fn an_account_has_so_many_members_in_all(backend: &mut impl Backend) {
    let store = backend.store();
    let (one, two) = (made(store, "one").await.id, made(store, "two").await.id);
    let bounds = |account_max| ContactBounds {
        list_max: 9,
        account_max,
    };
    let fill = |list, puts, account_max| store.put_contacts(ACCOUNT, list, puts, NOW, bounds(account_max));
    fill(one, vec![put(1), put(2)], 3)
        .await
        .expect("written")
        .expect("two fit");
    // Of two requests at once, one is too many.
    let both = tokio::join!(fill(two, vec![put(1)], 3), fill(one, vec![put(3)], 3));
    let refused = [both.0.expect("read"), both.1.expect("read")]
        .iter()
        .filter(|put| matches!(put, Err(ContactRefusal::AccountFull)))
        .count();
    assert_eq!(refused, 1);
    // A bound that was lowered takes nothing away, and changes go on.
    let changed = fill(one, vec![named(1, "Ann")], 0).await.expect("written");
    assert_eq!(changed.expect("a change fits").len(), 1);
    // Another account has its own room, and a list that is gone gives its room back.
    let theirs = store
        .add_list(OTHER, "theirs".into(), "".into(), NOW, 9)
        .await
        .expect("written")
        .expect("made")
        .id;
    let put_there = store.put_contacts(OTHER, theirs, vec![put(1)], NOW, bounds(1));
    assert!(put_there.await.expect("written").is_ok());
    store
        .remove_list(ACCOUNT, one)
        .await
        .expect("written")
        .expect("removed");
    assert!(fill(two, vec![put(7), put(8)], 3).await.expect("written").is_ok());
}

/// Members are paged by id, found by number, and by a part of their name.
pub async fn members_are_found_and_paged(backend: &mut impl Backend) {
    let store = backend.store();
    let list = made(store, "members").await.id;
    let other = made(store, "others").await.id;
    filled(store, other, [1, 2, 3]).await;
    let puts = vec![
        named(5, "Ann"),
        named(3, "Bob"),
        named(9, "Anna"),
        named(4, "50%"),
        put(8),
    ];
    store
        .put_contacts(ACCOUNT, list, puts, NOW, list_bounds(9))
        .await
        .expect("written")
        .expect("put");
    let found = |msisdn, name: &'static str, offset, limit| async move {
        let page = store
            .contacts(ACCOUNT, list, msisdn, name.into(), offset, limit)
            .await;
        let page = page.expect("read");
        let numbers: Vec<u64> = page.items.iter().map(|one| one.msisdn.as_u64() % 100).collect();
        (numbers, page.total)
    };
    assert_eq!(found(None, "", 0, 9).await, (vec![5, 3, 9, 4, 8], 5));
    assert_eq!(found(None, "", 1, 2).await, (vec![3, 9], 5));
    assert_eq!(found(None, "", 9, 2).await, (vec![], 5));
    assert_eq!(found(None, "aNN", 0, 9).await, (vec![5, 9], 2));
    assert_eq!(found(None, "ann", 1, 9).await, (vec![9], 2));
    assert_eq!(found(None, "%", 0, 9).await, (vec![4], 1));
    assert_eq!(found(Some(number(9)), "", 0, 9).await, (vec![9], 1));
    assert_eq!(found(Some(number(9)), "bob", 0, 9).await, (vec![], 0));
    assert_eq!(found(Some(number(9)), "", 1, 9).await, (vec![], 1));
    assert_eq!(
        found(Some(number(1)), "", 0, 9).await,
        (vec![], 0),
        "who is in another list"
    );
    let theirs = store
        .contacts(OTHER, list, None, "".into(), 0, 9)
        .await
        .expect("read");
    assert_eq!((theirs.items.len(), theirs.total), (0, 0));
}

/// A list that is removed is gone at once, its name is free, and its members do not come back.
pub async fn a_removed_list_is_gone_at_once(backend: &mut impl Backend) {
    let store = backend.store();
    let list = made(store, "goes").await.id;
    let stays = made(store, "stays").await.id;
    filled(store, list, 0..3_000).await;
    let kept = filled(store, stays, 0..10).await;
    assert_eq!(
        store.remove_list(OTHER, list).await.expect("read"),
        Err(ContactRefusal::NoList)
    );
    store
        .remove_list(ACCOUNT, list)
        .await
        .expect("written")
        .expect("removed");
    for _ in 0..2 {
        let store = backend.store();
        assert_eq!(
            store.list_named(ACCOUNT, "goes".into()).await.expect("read"),
            None
        );
        let page = store
            .contacts(ACCOUNT, list, None, "".into(), 0, 9)
            .await
            .expect("read");
        assert_eq!((page.items.len(), page.total), (0, 0));
        let after = store.contacts_after(list, 0, i64::MAX, 9).await.expect("read");
        assert_eq!(after, []);
        assert_eq!(
            store.remove_list(ACCOUNT, list).await.expect("read"),
            Err(ContactRefusal::NoList)
        );
        assert_eq!(members(store, stays).await, kept);
        backend.crash().await;
    }
    let store = backend.store();
    let again = made(store, "goes").await;
    assert_eq!((again.members, members(store, again.id).await), (0, vec![]));
    let back = filled(store, again.id, 0..1).await;
    assert!(back[0].id > kept[9].id);
}
