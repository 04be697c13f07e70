//! Checking a submission against the catalog: each refusal, and how texts and batches come about.

use super::check::check;
use super::plan::Plan;
use super::*;
use crate::catalog::{SecretSealer, Snapshot};
use sms::class::{Class, Kind};
use sms::phone::Grammar;
use store::{
    AccountId, BatchRange, Carrier, CarrierNo, Catalog, Dialect, MessageId, NewBatch, Position,
    RefusedAtCommit, RefusedReason, Review, Route, Signature, SuppressedPolicy, SuppressionKind, Template,
};

const ACCOUNT: AccountId = AccountId(1);

fn template(number: i64, text: &str, review: Review, signature: Option<i64>) -> Template {
    Template {
        account: ACCOUNT,
        number,
        ut_id: format!("UTA26112200000{number}").into(),
        name: format!("t{number}").into(),
        class: Class::Notice,
        text: Box::from(text),
        review,
        reason: Box::default(),
        signature,
        position: Position::Front,
        version: 1,
        ttl_s: None,
        remark: Box::default(),
        details: serde_json::Value::Null,
        created_at: 0,
        updated_at: 0,
    }
}

fn account() -> Account {
    Account {
        id: ACCOUNT,
        name: "demo".into(),
        balance: None,
        weight: 1,
        caps: Caps::default(),
        may_send: true,
        senders: vec!["Postrider".into(), "Post".into()],
        blocked_words: Vec::new(),
        project_ids: Vec::new(),
        auto_approve: false,
        repeats_with_other_content: Default::default(),
        inbound_to: Vec::new(),
        opt_out_words: Vec::new(),
        opt_in_words: None,
    }
}

/// One SMPP carrier, which cannot speak, for all but Swiss numbers.
fn catalog() -> Snapshot {
    let signature = |id, text: &str, review| Signature {
        account: ACCOUNT,
        id,
        text: text.into(),
        review,
        reason: Box::default(),
        details: serde_json::Value::Null,
        created_at: 0,
        updated_at: 0,
    };
    let catalog = Catalog {
        version: 1,
        accounts: vec![account()],
        signatures: vec![
            signature(1, "Post", Review::Approved),
            signature(2, "Wait", Review::Submitted),
        ],
        templates: vec![
            template(1, "Dear %name%, your code is %code%", Review::Approved, None),
            template(2, "Hello", Review::Approved, None),
            template(3, "Hello", Review::Submitted, None),
            template(4, "Hi %name%", Review::Approved, Some(1)),
            template(5, "Hi", Review::Approved, Some(2)),
        ],
        carriers: vec![Carrier {
            no: CarrierNo(1),
            name: "one".into(),
            settings: serde_json::json!({"type": "smpp"}),
        }],
        routes: ["44", "86", "1"]
            .iter()
            .zip(0..)
            .map(|(prefix, position)| Route {
                position,
                rule: serde_json::json!({"prefixes": [prefix], "carriers": ["one"]}),
            })
            .collect(),
        ..Catalog::default()
    };
    Snapshot::compile(catalog, &SecretSealer::new(&[0; 32])).unwrap()
}

fn rules() -> Rules {
    Rules {
        grammar: Grammar::EngageLabC,
        duplicates: Duplicates::RefuseLater,
        value_chars_max: Some(16),
        links_in_values: false,
        missing: Missing::Refuse,
        refuse_surplus: true,
        text_chars_max: Some(60),
        overlong: Overlong::Refuse,
        forbidden: Forbidden::Refuse,
        sender_chars_max: 11,
        sender_chars_min: 3,
        sender_alphanumeric: true,
        suppressed: SuppressedPolicy::Refuse,
    }
}

pub(super) fn recipient(phone: &str, values: &[&str]) -> Recipient {
    let values = match values {
        [] => Values::None,
        values => Values::Positional(values.iter().map(|value| Box::from(*value)).collect()),
    };
    Recipient {
        phone: phone.into(),
        values,
        ..Recipient::default()
    }
}

pub(super) fn item(template: i64, values: &[&str], recipients: Vec<Recipient>) -> Item {
    Item {
        template: TemplateRef::Number(template),
        sender: None,
        signature: SignatureRef::OfTemplate,
        values: Values::Positional(values.iter().map(|value| Box::from(*value)).collect()),
        recipients,
    }
}

pub(super) fn submission(items: Vec<Item>) -> Submission {
    Submission {
        account: ACCOUNT,
        dialect: Dialect::EngagelabC,
        user: "demo".into(),
        items,
        one_session: true,
        kind: Kind::Text,
        message_type: None,
        label: 0,
        custom: None,
        due: None,
        ends_at: None,
        rules: rules(),
    }
}

fn checked(submission: &Submission) -> (Plan, Vec<NewBatch>) {
    let lifetime = Lifetime {
        time_to_live: TimeToLive::default(),
        now: 1_000,
    };
    check(submission, &account(), &catalog(), lifetime)
}

/// The outcome when the store takes everything that gets there.
fn outcome(plan: &Plan, batches: &[NewBatch], refused: Vec<RefusedAtCommit>) -> Outcome {
    let mut first = 1_000;
    let ranges = batches.iter().enumerate().map(|(index, batch)| {
        let gone = refused.iter().filter(|r| r.batch as usize == index).count();
        let range = BatchRange {
            first: MessageId(first),
            count: (batch.messages.len() - gone) as u32,
            session: MessageId(1_000),
            dimensions: store::DimensionsNo::default(),
            accepted_at: 0,
        };
        first += i64::from(range.count);
        range
    });
    let batches = ranges.collect();
    plan.outcome(&AcceptOutcome {
        batches,
        refused,
        queued: Vec::new(),
        references: Vec::new(),
    })
    .unwrap()
}

fn refusal_of(submission: &Submission) -> Option<Refusal> {
    let (plan, batches) = checked(submission);
    outcome(&plan, &batches, Vec::new()).first_refusal()
}

const UK: &str = "447700900123";

#[test]
fn what_does_not_fit_together_is_no_refusal_of_the_customer() {
    let plan = Plan {
        items: vec![super::plan::ItemPlan {
            refused: None,
            template: 1,
            recipients: vec![super::plan::Placement::Stored { batch: 7, message: 0 }],
        }],
    };
    let outcome = plan.outcome(&AcceptOutcome::default());
    assert!(matches!(outcome, Err(AcceptError::Internal(_))));
}

#[test]
fn each_fault_has_its_refusal() {
    let long = "x".repeat(17);
    let with = |change: &dyn Fn(&mut Submission)| {
        let mut submission = submission(vec![item(1, &["Ann", "1234"], vec![recipient(UK, &[])])]);
        change(&mut submission);
        refusal_of(&submission)
    };
    assert_eq!(with(&|_| {}), None);
    assert_eq!(
        with(&|s| s.items[0].recipients[0].phone = "".into()),
        Some(Refusal::PhoneEmpty)
    );
    assert_eq!(
        with(&|s| s.items[0].recipients[0].phone = "12x".into()),
        Some(Refusal::PhoneFormat)
    );
    assert_eq!(
        with(&|s| s.items[0].recipients.push(recipient("+447700900123", &[]))),
        Some(Refusal::PhoneDuplicate)
    );
    assert_eq!(
        with(&|s| s.items[0].template = TemplateRef::Number(99)),
        Some(Refusal::TemplateUnknown)
    );
    assert_eq!(
        with(&|s| s.items[0].template = TemplateRef::Number(3)),
        Some(Refusal::TemplateNotApproved)
    );
    assert_eq!(
        with(&|s| s.items[0].template = TemplateRef::Number(5)),
        Some(Refusal::SignatureInvalid)
    );
    assert_eq!(
        with(&|s| s.items[0].signature = SignatureRef::Text("Wait".into())),
        Some(Refusal::SignatureInvalid)
    );
    assert_eq!(
        with(&|s| s.items[0].signature = SignatureRef::Id(9)),
        Some(Refusal::SignatureInvalid)
    );
    assert_eq!(
        with(&|s| s.items[0].sender = Some("ab".into())),
        Some(Refusal::SenderInvalid)
    );
    assert_eq!(
        with(&|s| s.items[0].sender = Some("Nobody".into())),
        Some(Refusal::SenderInvalid)
    );
    assert_eq!(with(&|s| s.items[0].sender = Some("Postrider".into())), None);
    assert_eq!(
        with(&|s| s.items[0].values = Values::None),
        Some(Refusal::ValueMissing)
    );
    let three = ["a", "b", "c"];
    assert_eq!(
        with(&|s| s.items[0].recipients[0] = recipient(UK, &three)),
        Some(Refusal::ValueSurplus)
    );
    assert_eq!(
        with(&|s| s.items[0].recipients[0] = recipient(UK, &[&long, "1"])),
        Some(Refusal::ValueTooLong)
    );
    assert_eq!(
        with(&|s| s.items[0].recipients[0] = recipient(UK, &["HTTP://a.b", "1"])),
        Some(Refusal::ValueHasLink)
    );
    assert_eq!(
        with(&|s| s.rules.text_chars_max = Some(10)),
        Some(Refusal::TextTooLong)
    );
    assert_eq!(
        with(&|s| s.items[0].recipients[0].phone = "41791234567".into()),
        Some(Refusal::NoRoute)
    );
    assert_eq!(with(&|s| s.kind = Kind::Voice), Some(Refusal::NoRoute));
    assert_eq!(
        with(&|s| s.items[0].recipients[0].refused = Some(Refusal::ExtraInvalid)),
        Some(Refusal::ExtraInvalid)
    );
}

/// Goal: empty values for a template that has no variables are none; one that says something is still one too many.
#[test]
fn empty_values_for_a_text_without_variables_are_none() {
    for values in [&[""][..], &["", ""]] {
        let own = submission(vec![item(2, &[], vec![recipient(UK, values)])]);
        assert_eq!(refusal_of(&own), None, "{values:?}");
        let shared = submission(vec![item(2, values, vec![recipient(UK, &[])])]);
        assert_eq!(refusal_of(&shared), None, "{values:?}");
    }
    let some = submission(vec![item(2, &[], vec![recipient(UK, &["", "x"])])]);
    assert_eq!(refusal_of(&some), Some(Refusal::ValueSurplus));
    let more = submission(vec![item(1, &[], vec![recipient(UK, &["Ann", "1", ""])])]);
    assert_eq!(
        refusal_of(&more),
        Some(Refusal::ValueSurplus),
        "as many as there are variables"
    );
}

#[test]
fn a_text_common_to_all_is_stored_once_and_final() {
    let (_, batches) = checked(&submission(vec![item(
        1,
        &["Ann", "{1}"],
        vec![recipient(UK, &[]), recipient("+15550100123", &[])],
    )]));
    assert_eq!(batches.len(), 1);
    assert_eq!(
        &*batches[0].text, "Dear Ann, your code is {1}",
        "a value is never taken for a placeholder"
    );
    assert!(batches[0].messages.iter().all(|message| message.params.is_none()));
    assert!(batches[0].opens_session);
}

#[test]
fn values_of_ones_own_are_kept_beside_the_pattern() {
    let recipients = vec![recipient(UK, &["Ann", "1"]), recipient("+15550100123", &[])];
    let (_, batches) = checked(&submission(vec![item(1, &["All", "2"], recipients)]));
    assert_eq!(&*batches[0].text, "Dear %name%, your code is %code%");
    let params: Vec<_> = batches[0]
        .messages
        .iter()
        .map(|message| message.params.as_deref())
        .collect();
    assert_eq!(params, [Some(r#"["Ann","1"]"#), Some(r#"["All","2"]"#)]);
}

#[test]
fn signatures_have_the_brackets_of_the_recipients_country() {
    let recipients = vec![recipient("8613800138000", &[]), recipient(UK, &[])];
    let (plan, batches) = checked(&submission(vec![item(4, &["Ann"], recipients)]));
    let texts: Vec<_> = batches
        .iter()
        .map(|batch| (&*batch.text, batch.opens_session))
        .collect();
    assert_eq!(texts, [("【Post】Hi Ann", true), ("[Post]Hi Ann", false)]);
    let outcome = outcome(&plan, &batches, Vec::new());
    assert_eq!(
        outcome.items[0].session,
        Some(MessageId(1_000)),
        "both batches are one session"
    );
}

#[test]
fn rules_can_let_what_is_wrong_fail_later_or_stand() {
    let mut lenient = submission(vec![item(1, &[], vec![recipient(UK, &["Ann"])])]);
    lenient.rules.missing = Missing::Fail(450);
    let (_, batches) = checked(&lenient);
    assert_eq!(batches[0].messages[0].failure, Some(450));

    lenient.rules.missing = Missing::Literal;
    let (_, batches) = checked(&lenient);
    assert_eq!(batches[0].messages[0].failure, None);
    assert_eq!(batches[0].messages[0].params.as_deref(), Some(r#"["Ann",null]"#));

    lenient.rules.text_chars_max = Some(5);
    lenient.rules.overlong = Overlong::Fail(460);
    let (_, batches) = checked(&lenient);
    assert_eq!(batches[0].messages[0].failure, Some(460));
}

#[test]
fn an_item_refused_as_a_whole_leaves_the_others_alone() {
    let items = vec![
        item(99, &[], vec![recipient(UK, &[])]),
        item(2, &[], vec![recipient(UK, &[])]),
    ];
    let mut submission = submission(items);
    submission.one_session = false;
    let (plan, batches) = checked(&submission);
    assert_eq!(batches.len(), 1);
    assert!(batches[0].opens_session);
    let outcome = outcome(&plan, &batches, Vec::new());
    assert_eq!(outcome.items[0].refused, Some(Refusal::TemplateUnknown));
    assert_eq!(outcome.items[0].session, None);
    assert_eq!(
        outcome.items[1].outcomes,
        [RecipientOutcome::Accepted(MessageId(1_000))]
    );
    assert_eq!((outcome.accepted(), outcome.refused()), (1, 1));
}

#[test]
fn an_item_whose_every_recipient_is_refused_makes_no_batch() {
    let bad = || vec![recipient("x", &[]), recipient(UK, &["HTTP://x", "1"])];
    let items = vec![item(1, &[], bad()), item(2, &[], vec![recipient(UK, &[])])];
    let (plan, batches) = checked(&submission(items));
    assert_eq!(batches.len(), 1);
    assert!(
        batches[0].opens_session,
        "the first batch that is stored opens the session"
    );
    let outcome = outcome(&plan, &batches, Vec::new());
    assert_eq!(
        outcome.items[1].outcomes,
        [RecipientOutcome::Accepted(MessageId(1_000))]
    );
}

#[test]
fn what_the_transaction_refuses_moves_later_ids_up() {
    let numbers = [
        "+447700900001",
        "+447700900002",
        "bad",
        "+447700900003",
        "+447700900004",
    ];
    let recipients = numbers.iter().map(|phone| recipient(phone, &[])).collect();
    let (plan, batches) = checked(&submission(vec![item(2, &[], recipients)]));
    let refused = |message, reason| RefusedAtCommit {
        batch: 0,
        message,
        reason,
    };
    let refused = vec![
        refused(2, RefusedReason::PerDay),
        refused(0, RefusedReason::Suppressed(SuppressionKind::Blocked)),
    ];
    let outcome = outcome(&plan, &batches, refused);
    assert_eq!(
        outcome.items[0].outcomes,
        [
            RecipientOutcome::Refused(Refusal::PhoneSuppressed(SuppressionKind::Blocked)),
            RecipientOutcome::Accepted(MessageId(1_000)),
            RecipientOutcome::Refused(Refusal::PhoneFormat),
            RecipientOutcome::Refused(Refusal::PerDay),
            RecipientOutcome::Accepted(MessageId(1_001)),
        ]
    );
}
