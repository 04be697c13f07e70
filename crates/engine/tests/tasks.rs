//! Sends to contact lists, over a real carrier session and a real store.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod testkit;

use engine::accept::{SignatureRef, TemplateRef};
use engine::catalog::Review;
use engine::sms::class::Kind;
use engine::task::{AddedTask, TaskError, TaskRequest};
use engine::{Dialect, PutContact, Task, TaskState, UnixMs};
use std::time::Duration;
use testkit::{ACCOUNT, Act, CODE, PLAIN, Smsc, TestEngine, numbers, smpp, submission};

fn request(template: i64) -> TaskRequest {
    TaskRequest {
        dialect: Dialect::Sendcloud,
        user: "demo".into(),
        name: "spring".into(),
        template: TemplateRef::Number(template),
        sender: None,
        signature: SignatureRef::OfTemplate,
        label: 0,
        kind: Kind::Text,
        custom: None,
        rules: submission(PLAIN, &[]).rules,
    }
}

async fn list(test: &TestEngine, name: &str, members: &[String], vars: &str) -> i64 {
    let list = test.engine.add_list(ACCOUNT, name, "").await.unwrap().unwrap();
    for piece in members.chunks(1000) {
        let contacts = piece.iter().map(|number| PutContact {
            msisdn: number
                .trim_start_matches('+')
                .parse::<u64>()
                .ok()
                .and_then(engine::sms::phone::Msisdn::from_u64)
                .unwrap(),
            written: number.as_str().into(),
            user_name: None,
            vars: Some(vars.into()),
        });
        test.engine
            .put_contacts(ACCOUNT, list.id, contacts.collect())
            .await
            .unwrap()
            .unwrap();
    }
    list.id
}

async fn until(test: &TestEngine, id: i64, what: &str, pass: impl Fn(&Task) -> bool) -> Task {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let task = test.engine.task(ACCOUNT, id).await.unwrap().unwrap();
        if pass(&task) {
            return task;
        }
        assert!(tokio::time::Instant::now() < deadline, "not {what}: {task:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn added(test: &TestEngine, request: TaskRequest, lists: Vec<i64>, due: Option<UnixMs>) -> Task {
    let added = test
        .engine
        .add_task(ACCOUNT, request, lists, due, None, None)
        .await;
    let AddedTask::New(task) = added.unwrap() else {
        panic!("no repeat")
    };
    task
}

async fn until_seen(smsc: &Smsc, count: usize) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while smsc.seen().len() < count {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} of {count}",
            smsc.seen().len()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_member_gets_one_message_over_a_restart() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let members = numbers(7_500);
    let first = list(&test, "first", &members[..2_300], "{}").await;
    let second = list(&test, "second", &members[2_300..], "{}").await;
    let task = added(&test, request(PLAIN), vec![first, second], None).await;
    assert_eq!(task.members, 7_500);
    until(&test, task.id, "begun", |task| task.progress.accepted > 0).await;
    // Somewhere in the middle, perhaps right after the end: both must hold.
    let test = test.restart().await;
    let done = until(&test, task.id, "done", |task| task.state == TaskState::Done).await;
    assert_eq!((done.progress.accepted, done.progress.refused), (7_500, 0));
    assert!(done.ended_at.is_some());
    until_seen(&smsc, 7_500).await;
    assert_eq!(smsc.times().len(), 7_500);
    assert!(
        smsc.times().values().all(|times| *times == 1),
        "each exactly once"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_have_values_of_their_own_and_those_without_are_refused() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let members = numbers(4);
    let with = list(&test, "with", &members[..3], r#"{"%code%":"4826"}"#).await;
    let without = list(&test, "without", &members[3..], "{}").await;
    let task = added(&test, request(CODE), vec![with, without], None).await;
    let done = until(&test, task.id, "done", |task| task.state == TaskState::Done).await;
    assert_eq!((done.progress.accepted, done.progress.refused), (3, 1));
    until_seen(&smsc, 3).await;
    assert!(
        smsc.seen()
            .iter()
            .all(|submit| &*submit.short_message == b"Your code is 4826")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_sends_what_was_approved_when_it_was_made_and_only_to_who_was_there() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let members = numbers(3);
    let id = list(&test, "list", &members[..2], "{}").await;
    let due = test.engine.now() + 1_000;
    let task = added(&test, request(PLAIN), vec![id], Some(due)).await;
    assert_eq!((task.state, task.due), (TaskState::Waiting, due));
    test.engine
        .review_template(ACCOUNT, PLAIN, Review::Disabled, "")
        .await
        .unwrap();
    let late = PutContact {
        msisdn: engine::sms::phone::Msisdn::from_u64(447_700_900_999).unwrap(),
        written: "+447700900999".into(),
        user_name: None,
        vars: None,
    };
    test.engine
        .put_contacts(ACCOUNT, id, vec![late])
        .await
        .unwrap()
        .unwrap();
    until(&test, task.id, "done", |task| task.state == TaskState::Done).await;
    until_seen(&smsc, 2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(smsc.seen().len(), 2);
    assert!(matches!(
        test.engine
            .add_task(ACCOUNT, request(PLAIN), vec![id], None, None, None)
            .await,
        Err(TaskError::Refused(_))
    ));
}

#[tokio::test]
async fn a_task_that_is_cancelled_sends_nothing_more() {
    let test = TestEngine::start(vec![]).await;
    let id = list(&test, "list", &numbers(10), "{}").await;
    let due = test.engine.now() + 3_600_000;
    let task = added(&test, request(PLAIN), vec![id], Some(due)).await;
    let off = test.engine.cancel_task(ACCOUNT, task.id).await.unwrap().unwrap();
    assert_eq!(off.state, TaskState::Cancelled);
    assert!(test.engine.cancel_task(ACCOUNT, task.id).await.unwrap().is_none());
    assert!(matches!(
        test.engine
            .add_task(ACCOUNT, request(PLAIN), vec![id + 1_000], None, None, None)
            .await,
        Err(TaskError::NoList)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_in_several_lists_gets_one_message_over_a_restart() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let members = numbers(3_500);
    let first = list(&test, "first", &members[..2_000], "{}").await;
    // Half of the second list is in the first, and the third repeats some of both; all of it over borders of pieces.
    let second = list(&test, "second", &members[1_000..3_000], r#"{"a":"b"}"#).await;
    let third = list(&test, "third", &members[500..], "{}").await;
    let task = added(&test, request(PLAIN), vec![first, second, third], None).await;
    assert_eq!(task.members, 7_000, "members of all lists");
    // Who joins an earlier list later is not sent to there, so the later list is the first to have him.
    let late = numbers(3_501).split_off(3_500);
    let fourth = list(&test, "fourth", &late, "{}").await;
    let empty = list(&test, "empty", &[], "{}").await;
    let other = added(&test, request(PLAIN), vec![empty, fourth], None).await;
    test.engine
        .put_contacts(
            ACCOUNT,
            empty,
            vec![PutContact {
                msisdn: late[0]
                    .trim_start_matches('+')
                    .parse()
                    .ok()
                    .and_then(engine::sms::phone::Msisdn::from_u64)
                    .unwrap(),
                written: late[0].as_str().into(),
                user_name: None,
                vars: None,
            }],
        )
        .await
        .unwrap()
        .unwrap();
    until(&test, task.id, "begun", |task| task.progress.accepted > 0).await;
    let test = test.restart().await;
    let done = until(&test, task.id, "done", |task| task.state == TaskState::Done).await;
    assert_eq!((done.progress.accepted, done.progress.refused), (3_500, 3_500));
    let done = until(&test, other.id, "done", |task| task.state == TaskState::Done).await;
    assert_eq!((done.progress.accepted, done.progress.refused), (1, 0));
    until_seen(&smsc, 3_501).await;
    assert_eq!(smsc.times().len(), 3_501);
    assert!(
        smsc.times().values().all(|times| *times == 1),
        "each exactly once"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_its_end_a_task_accepts_nobody_further_and_what_waits_expires() {
    // The carrier is away: all that is accepted waits.
    let port = testkit::away().await;
    let test = TestEngine::start(vec![smpp(port)]).await;
    let id = list(&test, "list", &numbers(3), "{}").await;
    let now = test.engine.now();
    let add = |due, ends_at| {
        test.engine
            .add_task(ACCOUNT, request(PLAIN), vec![id], due, Some(ends_at), None)
    };
    for (due, ends_at) in [
        (None, now),
        (Some(now + 9_000), now + 9_000),
        (Some(now + 9_000), now + 5),
    ] {
        let refused = add(due, ends_at).await;
        assert!(matches!(refused, Err(TaskError::EndsTooEarly)), "{refused:?}");
    }
    let Ok(AddedTask::New(task)) = add(None, test.engine.now() + 2_000).await else {
        panic!("made")
    };
    let done = until(&test, task.id, "done", |task| task.state == TaskState::Done).await;
    assert_eq!((done.progress.accepted, done.ends_at), (3, task.ends_at));
    let sent = test.engine.find(
        ACCOUNT,
        engine::MessageId(0)..=engine::MessageId(i64::MAX),
        everything(),
    );
    let (messages, _) = sent.await.unwrap();
    assert!(
        messages
            .iter()
            .all(|message| message.batch.expires_at == task.ends_at)
    );
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let (messages, _) = test
            .engine
            .find(
                ACCOUNT,
                engine::MessageId(0)..=engine::MessageId(i64::MAX),
                everything(),
            )
            .await
            .unwrap();
        if messages
            .iter()
            .all(|message| message.state == engine::sms::state::MessageState::Expired)
        {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{messages:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    // One whose end is set while it waits, to before its time comes for all its members.
    let due = test.engine.now() + 3_600_000;
    let later = added(&test, request(PLAIN), vec![id], Some(due)).await;
    let early = test.engine.set_task_end(ACCOUNT, later.id, Some(due)).await;
    assert!(matches!(early, Err(TaskError::EndsTooEarly)), "{early:?}");
    let set = test
        .engine
        .set_task_end(ACCOUNT, later.id, Some(due + 1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(set.ends_at, Some(due + 1));
    let lifted = test
        .engine
        .set_task_end(ACCOUNT, later.id, None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(lifted.ends_at, None);
    assert_eq!(
        test.engine.set_task_end(ACCOUNT, task.id, None).await.unwrap(),
        None,
        "it has ended"
    );
}

fn everything() -> engine::MessageFilter {
    engine::MessageFilter {
        numbers: Vec::new(),
        states: Vec::new(),
        dialects: Vec::new(),
        template: None,
        labels: Vec::new(),
        kind: None,
        offset: 0,
        limit: 100,
        count_max: 100,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_had_no_time_before_its_end_sends_nothing() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let id = list(&test, "list", &numbers(3), "{}").await;
    let due = test.engine.now() + 1_500;
    let task = test
        .engine
        .add_task(ACCOUNT, request(PLAIN), vec![id], Some(due), Some(due + 1), None);
    let Ok(AddedTask::New(task)) = task.await else {
        panic!("made")
    };
    let test = test
        .restart_waiting(async |now| {
            while now() <= due + 1 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    let over = until(&test, task.id, "over", |task| task.ended_at.is_some()).await;
    assert_eq!(
        (over.state, &*over.error, over.progress.accepted),
        (
            TaskState::Failed,
            "its end time came before all members were accepted",
            0
        )
    );
    assert!(smsc.seen().is_empty());
}
