//! Tasks: sends to the members of lists.

use super::Backend;
use super::fixtures::{ACCOUNT, NOW, accepted, batch, everything, list_bounds, number, request};
use super::listing::{filled, made, members, named, now};
use crate::{
    AcceptCommand, AcceptError, AccountId, AddedTask, CatalogChange, ContactRefusal, NewIdempotency, NewTask,
    Store, Suppression, SuppressionKind, Task, TaskProgress, TaskState, TaskStep,
};
use std::collections::BTreeSet;

const OTHER: AccountId = AccountId(8);

pub(super) fn new_task(lists: &[i64], due: i64) -> NewTask {
    NewTask {
        account: ACCOUNT,
        lists: lists.to_vec(),
        request: "{}".into(),
        due,
        ends_at: None,
        now: NOW + 2,
        open_max: u64::MAX,
        idempotency: None,
    }
}

pub(super) async fn added(store: &dyn Store, new: NewTask) -> Task {
    let added = store
        .add_task(new)
        .await
        .expect("written")
        .expect("a task is made");
    let AddedTask::New(task) = added else {
        panic!("no repeat: {added:?}")
    };
    task
}

async fn task(store: &dyn Store, lists: &[i64], due: i64) -> Task {
    added(store, new_task(lists, due)).await
}

async fn running(store: &dyn Store, lists: &[i64]) -> Task {
    let task = task(store, lists, NOW).await;
    moved(store, task.id, TaskState::Running, None)
        .await
        .expect("it runs")
}

async fn moved(store: &dyn Store, id: i64, state: TaskState, step: Option<TaskStep>) -> Option<Task> {
    let task = store.change_task(id, state, step, "".into(), NOW + 3).await;
    task.expect("written")
}

/// A step from where a task is, over members up to `contact`.
fn step(task: &Task, contact: i64, accepted: u64, refused: u64) -> TaskStep {
    TaskStep {
        task: task.id,
        from: task.progress,
        to: TaskProgress {
            contact,
            accepted: task.progress.accepted + accepted,
            refused: task.progress.refused + refused,
            ..task.progress
        },
    }
}

/// A piece of a task: messages to the numbers, with the step.
fn piece(step: TaskStep, numbers: impl IntoIterator<Item = u64>) -> AcceptCommand {
    AcceptCommand {
        step: Some(step),
        ..request(NOW + 4, vec![batch(numbers)])
    }
}

/// A task knows who its members are when it is made, and waits for its time.
pub async fn tasks_wait_for_their_time(backend: &mut impl Backend) {
    let store = backend.store();
    let (a, b) = (made(store, "a").await.id, made(store, "b").await.id);
    filled(store, a, 0..3).await;
    let last = filled(store, b, 0..5).await[4].id;
    let request = r#"{"template":"x"}"#;
    let late = NewTask {
        request: request.into(),
        ..new_task(&[b, a], NOW + 90)
    };
    let late = added(store, late).await;
    let expected = Task {
        id: late.id,
        account: ACCOUNT,
        request: request.into(),
        lists: vec![b, a],
        members: 8,
        last_contact: last,
        ends_at: None,
        due: NOW + 90,
        state: TaskState::Waiting,
        progress: TaskProgress::default(),
        error: "".into(),
        created_at: NOW + 2,
        ended_at: None,
    };
    assert_eq!(late, expected);
    filled(store, a, 3..9).await;
    let early = task(store, &[a], NOW + 10).await;
    let same = task(store, &[a], NOW + 10).await;
    assert_eq!((early.members, early.last_contact), (9, last + 6));
    let none = store.add_task(new_task(&[a, 999], NOW)).await.expect("read");
    assert_eq!(none, Err(ContactRefusal::NoList));
    let nobody = store.add_task(new_task(&[], NOW)).await.expect("read");
    assert_eq!(nobody, Err(ContactRefusal::NoList));
    let theirs = NewTask {
        account: OTHER,
        ..new_task(&[a], NOW)
    };
    let not_theirs = store.add_task(theirs).await.expect("read");
    assert_eq!(not_theirs, Err(ContactRefusal::NoList));

    backend.crash().await;
    let store = backend.store();
    let open = |tasks_max| async move { store.open_tasks(tasks_max).await.expect("read") };
    assert_eq!(open(9).await, [early.clone(), same.clone(), late.clone()]);
    assert_eq!(open(1).await, std::slice::from_ref(&early));
    assert_eq!(
        store.task(ACCOUNT, late.id).await.expect("read"),
        Some(late.clone())
    );
    assert_eq!(store.task(OTHER, late.id).await.expect("read"), None);
    let began = moved(store, early.id, TaskState::Running, None)
        .await
        .expect("it runs");
    assert_eq!((began.state, began.ended_at), (TaskState::Running, None));
    assert_eq!(open(1).await, [began]);
    let failed = store
        .change_task(same.id, TaskState::Failed, None, "no credit".into(), NOW + 3)
        .await;
    let failed = failed.expect("written").expect("it was open");
    assert_eq!(
        (failed.state, &*failed.error, failed.ended_at),
        (TaskState::Failed, "no credit", Some(NOW + 3))
    );
    assert_eq!(
        moved(store, same.id, TaskState::Running, None).await,
        None,
        "it has ended"
    );
    assert_eq!(moved(store, 999, TaskState::Running, None).await, None);
    assert_eq!(open(9).await.len(), 2);
}

/// A list stays for as long as a task sends to it.
pub async fn a_list_in_use_stays(backend: &mut impl Backend) {
    let store = backend.store();
    let (a, b) = (made(store, "a").await.id, made(store, "b").await.id);
    filled(store, a, 0..3).await;
    let task = task(store, &[b, a], NOW).await;
    for state in [TaskState::Waiting, TaskState::Running] {
        moved(store, task.id, state, None).await.expect("it is open");
        assert_eq!(
            store.remove_list(ACCOUNT, a).await.expect("read"),
            Err(ContactRefusal::InUse)
        );
    }
    moved(store, task.id, TaskState::Done, None)
        .await
        .expect("it ends");
    store
        .remove_list(ACCOUNT, a)
        .await
        .expect("written")
        .expect("removed");
}

/// A task moves on in the transaction that accepts the piece, and only from where the piece begins.
pub async fn a_task_moves_on_with_what_it_accepts(backend: &mut impl Backend) {
    let store = backend.store();
    let list = made(store, "list").await.id;
    filled(store, list, 0..4).await;
    let waits = task(store, &[list], NOW).await;
    let early = store.accept(piece(step(&waits, 2, 2, 0), 0..2)).await;
    assert!(
        matches!(early, Err(AcceptError::TaskMoved)),
        "it does not run yet: {early:?}"
    );
    let task = moved(store, waits.id, TaskState::Running, None)
        .await
        .expect("it runs");

    let first = step(&task, 2, 2, 1);
    accepted(store, piece(first, 0..2)).await;
    backend.crash().await;
    let store = backend.store();
    let seen = store
        .task(ACCOUNT, task.id)
        .await
        .expect("read")
        .expect("it is there");
    assert_eq!(seen.progress, first.to);
    let again = store.accept(piece(first, 0..2)).await;
    assert!(matches!(again, Err(AcceptError::TaskMoved)), "{again:?}");
    let (_, stored) = store
        .find(ACCOUNT, crate::MessageSpan::ALL, everything())
        .await
        .expect("found");
    assert_eq!(stored, 2, "what is refused stores nothing");

    // What the transaction refuses is counted over.
    let suppression = Suppression {
        account: None,
        msisdn: number(3),
        kind: SuppressionKind::Global,
    };
    store
        .change_catalog(vec![CatalogChange::PutSuppression(suppression)])
        .await
        .expect("changed");
    accepted(store, piece(step(&seen, 4, 2, 0), 2..4)).await;
    let seen = store
        .task(ACCOUNT, task.id)
        .await
        .expect("read")
        .expect("it is there");
    assert_eq!((seen.progress.accepted, seen.progress.refused), (3, 2));
    let nobody = store.accept(piece(step(&seen, 5, 1, 0), 3..4)).await;
    assert!(matches!(nobody, Err(AcceptError::NothingLeft(_))), "{nobody:?}");
    let unmoved = store
        .task(ACCOUNT, task.id)
        .await
        .expect("read")
        .expect("it is there");
    assert_eq!(
        unmoved, seen,
        "a piece of which nothing is accepted records nothing"
    );

    let all_refused = step(&seen, 5, 0, 1);
    let seen = moved(store, task.id, TaskState::Running, Some(all_refused))
        .await
        .expect("recorded");
    assert_eq!(seen.progress, all_refused.to);
    assert_eq!(
        moved(store, task.id, TaskState::Done, Some(all_refused)).await,
        None,
        "it is elsewhere"
    );
    assert_eq!(
        store.open_tasks(9).await.expect("read"),
        std::slice::from_ref(&seen),
        "and was not changed"
    );
    let done = moved(store, task.id, TaskState::Done, None)
        .await
        .expect("it ends");
    assert_eq!((done.progress, done.ended_at), (seen.progress, Some(NOW + 3)));
    let late = store.accept(piece(step(&done, 6, 1, 0), 0..1)).await;
    assert!(
        matches!(late, Err(AcceptError::TaskMoved)),
        "it has ended: {late:?}"
    );
}

/// Of several steps from the same position one wins; a cancelled task makes no further step.
pub async fn of_two_that_move_a_task_one_wins(backend: &mut impl Backend) {
    let store = backend.store();
    let list = made(store, "list").await.id;
    filled(store, list, 0..4).await;
    let mut task = running(store, &[list]).await;
    for round in 1..=5 {
        let next = step(&task, round, 1, 0);
        let accept = || store.accept(piece(next, 0..1));
        let refuse = store.change_task(
            task.id,
            TaskState::Running,
            Some(step(&task, round, 0, 1)),
            "".into(),
            NOW,
        );
        let (a, b, c) = tokio::join!(accept(), accept(), refuse);
        let won =
            usize::from(a.is_ok()) + usize::from(b.is_ok()) + usize::from(c.expect("written").is_some());
        assert_eq!(won, 1, "round {round}");
        task = store
            .task(ACCOUNT, task.id)
            .await
            .expect("read")
            .expect("it is there");
        assert_eq!(
            task.progress.accepted + task.progress.refused,
            u64::try_from(round).expect("small")
        );
    }
    moved(store, task.id, TaskState::Cancelled, None)
        .await
        .expect("cancelled");
    let late = store.accept(piece(step(&task, 9, 1, 0), 0..1)).await;
    assert!(matches!(late, Err(AcceptError::TaskMoved)), "{late:?}");
}

/// Ten thousand members are read in pieces, each once and in order, however the list changes and the process ends
/// meanwhile.
pub async fn a_task_reaches_each_member_once(backend: &mut impl Backend) {
    const MEMBERS: u64 = 10_000;
    const PIECE: usize = 900;
    let store = backend.store();
    let list = made(store, "large").await.id;
    for from in (0..MEMBERS).step_by(500) {
        filled(store, list, from..from + 500).await;
    }
    assert_eq!(now(store, "large").await.members, MEMBERS);
    let mut task = running(store, &[list]).await;
    let mut reached = vec![];
    let mut removed = BTreeSet::new();
    for round in 0.. {
        let store = backend.store();
        let (after, last) = (task.progress.contact, task.last_contact);
        let members = store
            .contacts_after(list, after, last, PIECE)
            .await
            .expect("read");
        let Some(last) = members.last() else { break };
        assert!(members.len() <= PIECE && members.is_sorted_by_key(|member| member.id));
        reached.extend(members.iter().map(|member| member.msisdn));
        // One message stands for all of the piece.
        let next = step(&task, last.id, 1, members.len() as u64 - 1);
        accepted(store, piece(next, 0..1)).await;

        // Somebody joins, somebody who was reached leaves, and so does somebody who was not.
        filled(store, list, [MEMBERS + round]).await;
        for gone in [members[0].msisdn, number(MEMBERS - 1 - round)] {
            if store
                .remove_contact(ACCOUNT, list, gone, NOW)
                .await
                .expect("written")
                .is_ok()
            {
                removed.insert(gone);
            }
        }
        let changed = named(MEMBERS - 100, &format!("changed {round}"));
        store
            .put_contacts(ACCOUNT, list, vec![changed], NOW, list_bounds(MEMBERS * 2))
            .await
            .expect("written")
            .expect("put");
        backend.crash().await;
        let open = backend.store().open_tasks(9).await.expect("read");
        assert_eq!(open.len(), 1);
        task = open[0].clone();
        assert_eq!(task.progress, next.to);
    }
    let store = backend.store();
    let done = moved(store, task.id, TaskState::Done, None)
        .await
        .expect("it ends");
    assert_eq!(
        done.progress.accepted + done.progress.refused,
        reached.len() as u64
    );
    let each: BTreeSet<_> = reached.iter().copied().collect();
    assert_eq!(each.len(), reached.len(), "nobody twice");
    for n in 0..MEMBERS {
        assert!(
            each.contains(&number(n)) || removed.contains(&number(n)),
            "member {n} was left out"
        );
    }
    assert!(
        each.iter().all(|&one| one < number(MEMBERS)),
        "who joined later is not reached"
    );
    let members = members(store, list).await;
    assert_eq!(
        now(store, "large").await.members,
        members.len() as u64,
        "the count is kept"
    );
}

/// A task's request is done once, over restarts, whatever has become of its lists; it is remembered for its time.
pub async fn a_tasks_request_is_done_once(backend: &mut impl Backend) {
    let once = |lists: &[i64], now: i64, fingerprint| NewTask {
        now,
        idempotency: Some(NewIdempotency {
            scope: "tasks",
            key: "k1".into(),
            fingerprint,
            keep_ms: 1_000,
            passed_ms: now,
            record: Box::new(|task: &Task| task.id.to_string().into_bytes()),
        }),
        ..new_task(lists, NOW)
    };
    let store = backend.store();
    let refused = store.add_task(once(&[999], NOW, 7)).await.expect("read");
    assert_eq!(refused, Err(ContactRefusal::NoList), "it uses no id up");
    let list = made(store, "a").await.id;
    filled(store, list, 0..3).await;
    let first = added(store, once(&[list], NOW, 7)).await;
    backend.crash().await;
    let store = backend.store();
    for (lists, fingerprint, same_body) in [(&[list][..], 7, true), (&[999], 8, false)] {
        let repeat = store.add_task(once(lists, NOW + 999, fingerprint)).await;
        let expected = AddedTask::Repeat {
            answer: first.id.to_string().into_bytes(),
            same_body,
        };
        assert_eq!(repeat.expect("read"), Ok(expected));
    }
    assert_eq!(store.open_tasks(10).await.expect("read").len(), 1);
    let later = added(store, once(&[list], NOW + 1_001, 7)).await;
    assert_ne!(later.id, first.id);
}

/// A task to nobody is over when it is made.
pub async fn a_task_to_nobody_is_done(backend: &mut impl Backend) {
    let store = backend.store();
    let empty = made(store, "a").await.id;
    let task = task(store, &[empty], NOW).await;
    assert_eq!((task.state, task.ended_at), (TaskState::Done, Some(NOW + 2)));
    assert_eq!(store.task(ACCOUNT, task.id).await.expect("read"), Some(task));
    assert_eq!(store.open_tasks(10).await.expect("read"), []);
}

/// All tasks are listed, the newest first; those that ended expire, and no others.
pub async fn ended_tasks_are_listed_and_expire(backend: &mut impl Backend) {
    let store = backend.store();
    let list = made(store, "a").await.id;
    filled(store, list, 0..3).await;
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(task(store, &[list], NOW).await.id);
    }
    for (id, state, at) in [
        (all[0], TaskState::Cancelled, NOW + 10),
        (all[2], TaskState::Cancelled, NOW + 20),
    ] {
        let ended = store.change_task(id, state, None, "".into(), at).await;
        assert!(ended.expect("written").is_some());
    }
    let ids = async |store: &dyn Store, before, tasks_max| -> Vec<i64> {
        let tasks = store.tasks(before, tasks_max).await.expect("read");
        tasks.iter().map(|task| task.id).collect()
    };
    assert_eq!(ids(store, None, 10).await, [all[3], all[2], all[1], all[0]]);
    assert_eq!(ids(store, None, 2).await, [all[3], all[2]]);
    assert_eq!(ids(store, Some(all[2]), 2).await, [all[1], all[0]]);
    assert_eq!(store.expire_tasks(NOW + 10).await.expect("expired"), 0);
    assert_eq!(store.expire_tasks(NOW + 20).await.expect("expired"), 1);
    assert_eq!(ids(store, None, 10).await, [all[3], all[2], all[1]]);
    assert_eq!(store.expire_tasks(i64::MAX).await.expect("expired"), 1);
    assert_eq!(ids(store, None, 10).await, [all[3], all[1]]);
}

/// The bound on an account's open tasks holds over concurrent requests; a task that has ended makes room.
pub async fn an_account_has_so_many_open_tasks(backend: &mut impl Backend) {
    let store = backend.store();
    let list = made(store, "list").await.id;
    filled(store, list, 0..2).await;
    let due = |open_max| NewTask {
        open_max,
        ..new_task(&[list], NOW + 9)
    };
    let first = added(store, due(2)).await;
    let both = tokio::join!(store.add_task(due(2)), store.add_task(due(2)));
    let refused = [both.0.expect("read"), both.1.expect("read")]
        .iter()
        .filter(|added| matches!(added, Err(ContactRefusal::TasksFull)))
        .count();
    assert_eq!(refused, 1);
    let ended = store.change_task(first.id, TaskState::Cancelled, None, "".into(), NOW + 3);
    assert!(ended.await.expect("written").is_some());
    added(store, due(2)).await;
    assert_eq!(
        store.add_task(due(2)).await.expect("read"),
        Err(ContactRefusal::TasksFull)
    );
}
