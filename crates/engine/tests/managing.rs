//! Templates and signatures as accounts make them, on a real store.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod testkit;

use engine::accept::Refusal;
use engine::catalog::{CatalogChange, Review};
use engine::manage::{ManageError, NewSignature, NewTemplate, SignatureEdit, TemplateEdit, Then};
use engine::sms::class::Class;
use serde_json::Value;
use store::Position;
use testkit::{ACCOUNT, Act, Smsc, TestEngine, numbers, smpp, submission};

fn new_template(name: &str, text: &str, then: Then) -> NewTemplate {
    NewTemplate {
        name: name.into(),
        unique_name: true,
        class: Class::Notice,
        text: text.into(),
        signature: None,
        position: Position::Front,
        remark: "".into(),
        details: Value::Null,
        then,
    }
}

fn edit() -> TemplateEdit {
    TemplateEdit {
        name: None,
        unique_name: true,
        class: None,
        text: None,
        signature: None,
        position: None,
        remark: None,
        details: None,
        then: Then::Submit,
    }
}

async fn auto_approve(test: &TestEngine) {
    let account = test.engine.catalog().account(ACCOUNT).unwrap().as_ref().clone();
    let account = store::Account {
        auto_approve: true,
        ..account
    };
    test.change(vec![CatalogChange::PutAccount(account)]).await;
}

#[tokio::test]
async fn a_template_is_used_when_it_is_approved_and_not_before() {
    let test = TestEngine::start(vec![]).await;
    let engine = &test.engine;
    let made = engine
        .add_template(ACCOUNT, new_template("welcome", "Hello %name%", Then::Keep))
        .await
        .unwrap();
    assert_eq!((made.review, made.version), (Review::Draft, 1));
    assert!(made.number > 1000 && made.ut_id.starts_with("UTA"));
    let refusal = |outcome: engine::accept::Outcome| outcome.items[0].refused;
    assert_eq!(
        refusal(test.send(made.number, &numbers(1)).await),
        Some(Refusal::TemplateNotApproved)
    );
    let submitted = engine.submit_template(ACCOUNT, made.number).await.unwrap();
    assert_eq!(submitted.review, Review::Submitted);
    for error in [
        engine.submit_template(ACCOUNT, made.number).await.unwrap_err(),
        engine
            .change_template(ACCOUNT, made.number, edit())
            .await
            .unwrap_err(),
        engine
            .remove_templates(ACCOUNT, &[made.number])
            .await
            .unwrap_err(),
    ] {
        assert!(
            matches!(error, ManageError::Submitted(_) | ManageError::InReview(_)),
            "{error}"
        );
    }
    let rejected = engine
        .review_template(ACCOUNT, made.number, Review::Rejected, "no sender named")
        .await
        .unwrap();
    assert_eq!(
        (rejected.review, &*rejected.reason),
        (Review::Rejected, "no sender named")
    );
    engine.submit_template(ACCOUNT, made.number).await.unwrap();
    engine
        .review_template(ACCOUNT, made.number, Review::Approved, "")
        .await
        .unwrap();
    assert_eq!(refusal(test.send(made.number, &numbers(1)).await), None);
    let off = engine
        .review_template(ACCOUNT, made.number, Review::Disabled, "")
        .await
        .unwrap();
    assert_eq!(off.review, Review::Disabled);
    assert!(matches!(
        engine
            .review_template(ACCOUNT, made.number, Review::Rejected, "")
            .await,
        Err(ManageError::NotInReview(_))
    ));
    engine.remove_templates(ACCOUNT, &[made.number]).await.unwrap();
    assert_eq!(
        refusal(test.send(made.number, &numbers(1)).await),
        Some(Refusal::TemplateUnknown)
    );
}

#[tokio::test]
async fn names_numbers_and_ids_stay_single_however_many_are_made_at_once() {
    let test = TestEngine::start(vec![]).await;
    let made = (0..20).map(|n| {
        let engine = test.engine.clone();
        // Ten names, each requested twice.
        let new = new_template(&format!("t{}", n % 10), "Hello", Then::Submit);
        tokio::spawn(async move { engine.add_template(ACCOUNT, new).await })
    });
    let (mut numbers, mut taken) = (std::collections::BTreeSet::new(), 0);
    for task in made.collect::<Vec<_>>() {
        match task.await.unwrap() {
            Ok(template) => assert!(numbers.insert(template.number)),
            Err(ManageError::NameTaken(_)) => taken += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((numbers.len(), taken), (10, 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_approved_is_what_is_sent_and_an_edit_waits_for_its_review() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let engine = &test.engine;
    auto_approve(&test).await;
    let made = engine
        .add_template(ACCOUNT, new_template("w", "First", Then::Submit))
        .await
        .unwrap();
    assert_eq!(made.review, Review::Approved, "approved by itself");
    let mut later = submission(made.number, &numbers(3));
    later.due = Some(engine.now() + 1_500);
    let engine::accept::AcceptResponse::New(outcome) = engine.accept(later, None).await.unwrap().1 else {
        panic!("no id given")
    };
    let text = TemplateEdit {
        text: Some("Second".into()),
        ..edit()
    };
    let changed = engine.change_template(ACCOUNT, made.number, text).await.unwrap();
    assert_eq!(changed.version, 2);
    let renamed = TemplateEdit {
        name: Some("renamed".into()),
        ..edit()
    };
    let renamed = engine
        .change_template(ACCOUNT, made.number, renamed)
        .await
        .unwrap();
    assert_eq!(renamed.version, 2, "a name is not what is sent");
    let versions = engine.template_versions(made.number, 10).await.unwrap();
    let kept: Vec<_> = versions
        .iter()
        .map(|old| (old.version, &*old.template.text))
        .collect();
    assert_eq!(kept, [(1, "First")]);
    test.until(&outcome, "sent", |message| message.state.is_final())
        .await;
    assert!(
        smsc.seen()
            .iter()
            .all(|submit| &*submit.short_message == b"First")
    );
    assert_eq!(smsc.seen().len(), 3);
}

#[tokio::test]
async fn signatures_are_reviewed_and_kept_while_templates_use_them() {
    let test = TestEngine::start(vec![]).await;
    let engine = &test.engine;
    let new = |text: &str| NewSignature {
        text: text.into(),
        details: serde_json::json!({"type": 1}),
        then: Then::Submit,
    };
    let post = engine.add_signature(ACCOUNT, new("Post")).await.unwrap();
    assert!(matches!(
        engine.add_signature(ACCOUNT, new("Post")).await,
        Err(ManageError::NameTaken(_))
    ));
    let other = SignatureEdit {
        text: Some("Rider".into()),
        details: None,
        only_rejected: true,
        then: Then::Submit,
    };
    assert!(matches!(
        engine.change_signature(ACCOUNT, post.id, other.clone()).await,
        Err(ManageError::InReview(_))
    ));
    engine
        .review_signature(ACCOUNT, post.id, Review::Approved, "")
        .await
        .unwrap();
    assert!(matches!(
        engine.change_signature(ACCOUNT, post.id, other).await,
        Err(ManageError::NotRejected(_))
    ));
    let signed = NewTemplate {
        signature: Some(post.id),
        ..new_template("signed", "Hello", Then::Keep)
    };
    let signed = engine.add_template(ACCOUNT, signed).await.unwrap();
    assert!(matches!(
        engine.remove_signatures(ACCOUNT, &[post.id]).await,
        Err(ManageError::InUse(_))
    ));
    engine.remove_templates(ACCOUNT, &[signed.number]).await.unwrap();
    engine.remove_signatures(ACCOUNT, &[post.id]).await.unwrap();
    let unknown = NewTemplate {
        signature: Some(post.id),
        ..new_template("unsigned", "Hello", Then::Keep)
    };
    assert!(matches!(
        engine.add_template(ACCOUNT, unknown).await,
        Err(ManageError::Unknown("signature"))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_accounts_change_is_applied_without_reading_the_catalog_again() {
    let test = TestEngine::start(Vec::new()).await;
    let engine = &test.engine;
    let before = engine.catalog_reads();
    let made = (0..40).map(|no| async move {
        let template = engine
            .add_template(
                ACCOUNT,
                new_template(&format!("made {no}"), "Hello", Then::Submit),
            )
            .await
            .unwrap();
        assert!(
            engine
                .catalog()
                .template_by_number(ACCOUNT, template.number)
                .is_some(),
            "a change shows once it was answered"
        );
        template.number
    });
    let numbers = futures_util::future::join_all(made).await;
    assert_eq!(engine.catalog_reads(), before);
    // What was followed is what is stored.
    let followed = engine.catalog();
    engine.reload_catalog().await.unwrap();
    assert_eq!(engine.catalog_reads(), before + 1);
    let whole = engine.catalog();
    assert_eq!(followed.version(), whole.version());
    for number in numbers {
        let of = |catalog: &engine::catalog::Snapshot| {
            catalog
                .template_by_number(ACCOUNT, number)
                .unwrap()
                .template
                .clone()
        };
        assert_eq!(of(&followed), of(&whole));
    }
}
