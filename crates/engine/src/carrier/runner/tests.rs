//! A refill that is dropped, at whatever point, leaves its lane to the next one.

use super::refill;
use crate::queue::{CarrierQueue, QueueLimits, Queues};
use sms::class::{Class, Kind};
use sms::phone::Msisdn;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{
    AcceptCommand, AccountId, CarrierNo, Charge, Dialect, Lane, NewBatch, NewMessage, OnCommit, Store,
    SuppressedPolicy,
};

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
    queue.fall_behind(LANE);
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
