//! What is dropped, at whatever point, leaves nothing behind that nobody has: a refill its lane, a session what it took.

use super::refill;
use crate::carrier::open_attempts::{Beginning, OpenAttempts};
use crate::catalog::SecretSealer;
use crate::clock::SystemClock;
use crate::queue::{CarrierQueue, QueueLimits, Queues, Taken};
use crate::{Engine, Settings, recover};
use sms::class::{Class, Kind};
use sms::phone::Msisdn;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{
    AcceptCommand, AccountId, CarrierNo, Charge, Dialect, Lane, MessageId, NewBatch, NewMessage, OnCommit,
    Store, SuppressedPolicy,
};
use tokio_util::task::TaskTracker;

const CARRIER: CarrierNo = CarrierNo(1);
const LANE: Lane = Lane {
    carrier: CARRIER,
    class: Class::Notice,
    account: AccountId(1),
};

/// A store in which `count` messages wait in one lane.
async fn store_with(folder: &tempfile::TempDir, count: u64) -> Arc<dyn Store> {
    let path = folder.path().join("postrider.db");
    let store = SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).unwrap();
    let messages = (0..count).map(|n| NewMessage {
        msisdn: Msisdn::from_u64(447_700_900_000 + n).unwrap(),
        written: "".into(),
        params: None,
        extra: None,
        carrier: CARRIER,
        segments: 1,
        failure: None,
    });
    let command = AcceptCommand {
        account: LANE.account,
        dialect: Dialect::UspeedoRest,
        user: "".into(),
        now: 1_795_000_000_000,
        batches: vec![NewBatch {
            opens_session: true,
            class: LANE.class,
            kind: Kind::Text,
            message_type: None,
            template: 1,
            text: Arc::from("text"),
            sender: None,
            label: 0,
            custom: None,
            due: None,
            expires_at: None,
            messages: messages.collect(),
        }],
        idempotency: None,
        charge: Charge::Free,
        caps: None,
        suppressed: SuppressedPolicy::Refuse,
        step: None,
        on_commit: OnCommit(None),
    };
    store.accept(command).await.unwrap();
    Arc::new(store)
}

fn queue() -> Arc<CarrierQueue> {
    let queues = Queues::new(QueueLimits {
        lane_messages_max: 4,
        ..QueueLimits::default()
    });
    let queue = queues.of(CARRIER);
    queue.mark_backlogged(LANE);
    queue
}

/// Polls a future `times` times with a moment between, so that what it waits for may come, and drops it.
fn poll_and_drop(mut future: Pin<Box<dyn Future<Output = ()>>>, times: usize, come: impl Fn() -> bool) {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..times {
        assert!(future.as_mut().poll(&mut context).is_pending(), "it never ends");
        let began = Instant::now();
        while !come() && began.elapsed() < Duration::from_millis(2) {
            std::thread::yield_now();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_refill_dropped_at_any_await_leaves_its_lane_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 40).await;
    for polls in 1..8 {
        let queue = queue();
        let mut got = Vec::new();
        // One runner after the other is replaced in the middle of its work.
        for _ in 0..20 {
            let refill = refill(Arc::clone(&store), Arc::clone(&queue));
            poll_and_drop(Box::pin(refill), polls, || queue.ready_messages() > 0);
            got.extend(queue.take(3, 0).into_iter().map(|message| message.id));
        }
        // The last one is left alone.
        let last = tokio::spawn(refill(Arc::clone(&store), Arc::clone(&queue)));
        let all = async {
            while got.len() < 40 {
                queue.wait_ready().await;
                got.extend(queue.take(3, 0).into_iter().map(|message| message.id));
            }
        };
        let done = tokio::time::timeout(Duration::from_secs(20), all).await;
        last.abort();
        assert!(done.is_ok(), "dropped after {polls} polls, the lane stands still");
        assert!(got.is_sorted(), "in order");
    }
}

/// All messages of open attempts, in order, and how many attempts there are.
async fn in_attempts(store: &Arc<dyn Store>) -> (Vec<MessageId>, usize) {
    let open = store.open_attempts().await.unwrap();
    let messages = open.iter().flat_map(|attempt| &attempt.messages);
    let mut messages: Vec<MessageId> = messages.map(|(id, _)| *id).collect();
    messages.sort_unstable();
    (messages, open.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_session_took_is_in_an_attempt_or_in_its_queue_whenever_it_is_dropped() {
    for polls in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(&folder, 40).await;
        let (queue, open_attempts) = (queue(), Arc::new(OpenAttempts::new(TaskTracker::new())));
        let begin = |count| {
            let taken = Taken::of(&queue, queue.take(count, 0));
            Beginning::new(&store, &open_attempts, (CARRIER, 0), taken, 0)
        };
        let refill = tokio::spawn(refill(Arc::clone(&store), Arc::clone(&queue)));
        for _ in 0..8 {
            queue.wait_ready().await;
            let mut beginning = Box::pin(begin(3));
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..polls {
                if beginning.as_mut().poll(&mut context).is_ready() {
                    break;
                }
                tokio::time::sleep(Duration::from_micros(300)).await;
            }
        }
        // Whoever comes next has the rest; what is with the store already is not in it twice.
        let all = async {
            while !store.lanes().await.unwrap().is_empty() {
                queue.wait_ready().await;
                begin(3).await.unwrap();
            }
        };
        let done = tokio::time::timeout(Duration::from_secs(20), all).await;
        refill.abort();
        assert!(
            done.is_ok(),
            "dropped after {polls} polls, messages are with nobody"
        );
        let known = open_attempts.left_open(Some(0)).await;
        let (messages, attempts) = in_attempts(&store).await;
        assert_eq!(messages.len(), 40);
        assert!(messages.is_sorted_by(|one, next| one < next), "each once");
        assert_eq!(known.len(), attempts, "each attempt is known to be open");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_session_that_panicked_left_is_settled_and_nothing_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 4).await;
    let settings = Settings::default();
    let engine = Engine::start(
        Arc::clone(&store),
        SecretSealer::new(&[3; 32]),
        Arc::new(SystemClock),
        settings,
    );
    let engine = engine.await.unwrap();
    let queue = queue();
    let reads = tokio::spawn(refill(Arc::clone(&store), Arc::clone(&queue)));
    let (replaced, new) = [(); 2]
        .map(|()| Arc::new(OpenAttempts::new(TaskTracker::new())))
        .into();
    let mut ids = Vec::new();
    for (open_attempts, index) in [(&replaced, 0), (&new, 0), (&new, 1), (&replaced, 1)] {
        queue.wait_ready().await;
        let taken = Taken::of(&queue, queue.take(1, 0));
        ids.extend(taken.ids());
        let beginning = Beginning::new(&store, open_attempts, (CARRIER, index), taken, 0);
        assert!(beginning.await.unwrap().is_some());
    }
    reads.abort();
    let open = async || in_attempts(&store).await.0;
    assert_eq!(open().await, ids);
    // The session 0 of the new runner panicked while the one of the old runner waits for its answers.
    recover::settle_lost(&engine.shared, CARRIER, &new, Some(0)).await;
    assert_eq!(open().await, [ids[0], ids[2], ids[3]]);
    // All of the new runner.
    recover::settle_lost(&engine.shared, CARRIER, &new, None).await;
    assert_eq!(open().await, [ids[0], ids[3]]);
    assert!(new.left_open(None).await.is_empty());
    engine.stop(Duration::from_secs(1)).await.unwrap();
}
