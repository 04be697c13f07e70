//! Inbound messages beyond plain text: characters split between parts, binary content, opt-out keywords.

use super::Backend;
use super::fixtures::{ACCOUNT, CARRIER, NOW, number};
use crate::{
    AccountId, AccountWords, CatalogChange, Inbound, InboundBody, InboundEffect, InboundPart, NewInbound,
    Store, Suppression, SuppressionKind,
};
use sms::data_coding::Charset;
use sms::opt_out::Words;
use sms::segment::Reference;
use sms::user_data::{Binary, Coding, Content, UserData};
use std::sync::Arc;

fn words() -> Arc<AccountWords> {
    let words = Words::new(["STOP", "退订"], ["START"]);
    Arc::new(AccountWords::from([(ACCOUNT, words)]))
}

fn wrote(body: InboundBody) -> NewInbound {
    NewInbound {
        account: Some(ACCOUNT),
        carrier: CARRIER,
        from: number(1).digits().into(),
        to: "10690".into(),
        body,
        answers: None,
        received_at: NOW,
        part: None,
    }
}

fn octets(charset: Charset, octets: &[u8]) -> UserData {
    UserData {
        coding: Coding::plain(charset),
        octets: octets.into(),
    }
}

fn part(reference: u16, number: u8, total: u8, data: UserData) -> NewInbound {
    NewInbound {
        part: Some(InboundPart {
            kind: Reference::Bits8,
            reference,
            number,
            total,
        }),
        ..wrote(InboundBody::Part(data))
    }
}

async fn came(store: &dyn Store, inbound: NewInbound) -> InboundEffect {
    let effects = store
        .record_inbound(vec![inbound], words())
        .await
        .expect("recorded");
    assert_eq!(effects.len(), 1);
    effects[0]
}

async fn whole(store: &dyn Store, inbound: NewInbound) -> Inbound {
    let InboundEffect::Whole(id) = came(store, inbound).await else {
        panic!("the message should be whole");
    };
    store.inbound(vec![id]).await.expect("read").remove(0)
}

async fn suppressed(store: &dyn Store) -> Vec<(Option<AccountId>, SuppressionKind)> {
    let all = store.suppressions(None, 100).await.expect("read");
    all.iter().map(|one| (one.account, one.kind)).collect()
}

const OUT: (Option<AccountId>, SuppressionKind) = (Some(ACCOUNT), SuppressionKind::Unsubscribed);

fn put(account: Option<AccountId>, kind: SuppressionKind) -> CatalogChange {
    CatalogChange::PutSuppression(Suppression {
        account,
        msisdn: number(1),
        kind,
    })
}

/// Octets are kept until the message is whole, over a crash, and decoded once.
pub async fn parts_are_decoded_once_all_are_there(backend: &mut impl Backend) {
    let ucs2 = |data: &[u8]| octets(Charset::Ucs2, data);
    let first = part(1, 1, 2, ucs2(b"\0a\xd8\x3d"));
    assert_eq!(came(backend.store(), first.clone()).await, InboundEffect::Waiting);
    backend.crash().await;
    assert_eq!(came(backend.store(), first).await, InboundEffect::Repeated);
    let message = whole(backend.store(), part(1, 2, 2, ucs2(b"\xde\x00\0b"))).await;
    assert_eq!((&*message.text, message.binary), ("a😀b", None));
    // Another coding, or other octets, is another message.
    let again = part(1, 2, 2, octets(Charset::Gsm7, b"\xde\x00\0b"));
    assert_eq!(came(backend.store(), again).await, InboundEffect::Waiting);

    let store = backend.store();
    came(store, part(2, 2, 2, octets(Charset::Gsm7, b"\x65cd"))).await;
    let message = whole(store, part(2, 1, 2, octets(Charset::Gsm7, b"ab\x1b"))).await;
    assert_eq!(&*message.text, "ab€cd");
    // A part of a text that a release before this one decoded alone.
    let text = NewInbound {
        body: "ab".into(),
        ..part(3, 1, 2, octets(Charset::Gsm7, b""))
    };
    came(store, text).await;
    assert_eq!(
        came(store, part(3, 1, 2, octets(Charset::Gsm7, b"ab"))).await,
        InboundEffect::Repeated
    );
    let message = whole(store, part(3, 2, 2, octets(Charset::Gsm7, b"\0"))).await;
    assert_eq!(&*message.text, "ab@");
}

/// The same value of an 8-bit, a 16-bit and a SAR reference joins three different messages, also after a crash and
/// when parts are missing.
pub async fn references_of_other_kinds_tie_other_messages(backend: &mut impl Backend) {
    const WIDE: [Reference; 2] = [Reference::Bits16, Reference::Sar];
    let kinds = |reference| {
        let narrow = (reference <= 0xFF).then_some(Reference::Bits8);
        narrow.into_iter().chain(WIDE)
    };
    let tied = |kind: Reference, reference: u16, number: u8| {
        let text = format!("{kind:?} {reference} {number};");
        let mut new = part(reference, number, 2, octets(Charset::Ascii, text.as_bytes()));
        if let Some(part) = &mut new.part {
            part.kind = kind;
        }
        new
    };
    const REFERENCES: [u16; 6] = [0, 11, 255, 256, 0x10B, u16::MAX];
    for reference in REFERENCES {
        for kind in kinds(reference) {
            let effect = came(backend.store(), tied(kind, reference, 1)).await;
            assert_eq!(effect, InboundEffect::Waiting, "{kind:?} {reference}");
        }
    }
    backend.crash().await;
    let store = backend.store();
    for reference in REFERENCES {
        for kind in kinds(reference) {
            let message = whole(store, tied(kind, reference, 2)).await;
            let expected = format!("{kind:?} {reference} 1;{kind:?} {reference} 2;");
            assert_eq!(*message.text, *expected);
            let again = came(store, tied(kind, reference, 1)).await;
            assert_eq!(again, InboundEffect::Repeated);
        }
    }
    for kind in kinds(7) {
        assert_eq!(came(store, tied(kind, 7, 2)).await, InboundEffect::Waiting);
    }
    let (made, _) = store.expire_inbound(NOW + 1, 0, NOW + 1).await.expect("expired");
    assert_eq!(made, 3, "each is a message of its own");
}

/// What is no text is kept octet by octet.
pub async fn octets_for_a_program_are_kept(backend: &mut impl Backend) {
    let binary = Binary {
        octets: Box::new([0, 0xff, b'a']),
        port: Some(2948),
    };
    let content = Content::Binary(binary.clone());
    let message = whole(backend.store(), wrote(InboundBody::Whole(content))).await;
    assert_eq!((&*message.text, message.binary), ("", Some(binary)));
    let coding = Coding {
        port: Some(5000),
        ..Coding::plain(Charset::Binary)
    };
    for (number, octets) in [(2, &b"\x02"[..]), (1, b"\x01")] {
        let data = UserData {
            coding,
            octets: octets.into(),
        };
        came(backend.store(), part(9, number, 2, data)).await;
    }
    backend.crash().await;
    let filter = crate::InboundFilter {
        limit: 1,
        ..crate::InboundFilter::default()
    };
    let (found, _) = backend.store().find_inbound(filter).await.expect("read");
    let binary = Binary {
        octets: Box::new([1, 2]),
        port: Some(5000),
    };
    assert_eq!(found[0].binary, Some(binary));
}

/// A word unsubscribes who sends it, in one part or several, with what stores it.
pub async fn a_word_unsubscribes_its_sender(backend: &mut impl Backend) {
    let store = backend.store();
    for text in ["please stop", "STOP it"] {
        whole(store, wrote(text.into())).await;
    }
    let unassigned = NewInbound {
        account: None,
        ..wrote("STOP".into())
    };
    whole(store, unassigned).await;
    let others = NewInbound {
        account: Some(AccountId(8)),
        ..wrote("STOP".into())
    };
    whole(store, others).await;
    let nameless = NewInbound {
        from: "Bank".into(),
        ..wrote("STOP".into())
    };
    whole(store, nameless).await;
    let data = octets(Charset::Binary, b"STOP");
    came(store, part(1, 1, 1, data)).await;
    assert_eq!(suppressed(store).await, []);

    came(store, part(7, 2, 2, octets(Charset::Gsm7, b"OP"))).await;
    assert_eq!(suppressed(store).await, []);
    let message = whole(store, part(7, 1, 2, octets(Charset::Gsm7, b"ST"))).await;
    assert_eq!(&*message.text, "STOP");
    backend.crash().await;
    assert_eq!(suppressed(backend.store()).await, [OUT]);
    // An incomplete message that is reported as it is does not count as the keyword that its part contains.
    let store = backend.store();
    came(
        store,
        NewInbound {
            from: number(2).digits().into(),
            ..part(8, 1, 2, octets(Charset::Gsm7, b"STOP"))
        },
    )
    .await;
    store.expire_inbound(NOW + 1, 0, NOW + 1).await.expect("expired");
    assert_eq!(suppressed(store).await, [OUT]);
}

/// A word takes back what a word did, and nothing that an operator did.
pub async fn a_word_takes_back_what_a_word_did(backend: &mut impl Backend) {
    whole(backend.store(), wrote("START".into())).await;
    whole(backend.store(), wrote("stop.".into())).await;
    assert_eq!(suppressed(backend.store()).await, [OUT]);
    backend.crash().await;
    whole(backend.store(), wrote("start".into())).await;
    assert_eq!(suppressed(backend.store()).await, []);

    let store = backend.store();
    let bans = vec![
        put(None, SuppressionKind::Global),
        put(Some(ACCOUNT), SuppressionKind::Blocked),
        put(Some(ACCOUNT), SuppressionKind::Unsubscribed),
    ];
    store.change_catalog(bans).await.expect("changed");
    whole(store, wrote("STOP".into())).await;
    whole(store, wrote("START".into())).await;
    assert_eq!(
        suppressed(store).await.len(),
        3,
        "none of them is the person's own"
    );

    // Taken off by an operator and put on again, it is the operator's.
    let off = CatalogChange::RemoveSuppression(Suppression {
        account: Some(ACCOUNT),
        msisdn: number(1),
        kind: SuppressionKind::Unsubscribed,
    });
    store.change_catalog(vec![off.clone()]).await.expect("changed");
    whole(store, wrote("STOP".into())).await;
    store.change_catalog(vec![off]).await.expect("changed");
    let on = put(Some(ACCOUNT), SuppressionKind::Unsubscribed);
    store.change_catalog(vec![on]).await.expect("changed");
    whole(store, wrote("START".into())).await;
    assert_eq!(suppressed(store).await.len(), 3);
}
