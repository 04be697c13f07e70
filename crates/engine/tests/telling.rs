//! Events told by webhooks, over real connections and a real store.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod telling_house;

use engine::catalog::{CatalogChange, EndpointEntry, Review};
use engine::clock::{Clock, PausedClock, SystemClock};
use engine::notify::{Call, Format, Limits, OperateError, ProbeError, Schedule, Stamp, Telling};
use engine::{Endpoint, EndpointId, EventKinds};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use store::Store;
use telling_house::{
    Folder, Hook, House, Quick, Reply, SECRET, Seen, SeenClock, endpoint, eventually, limits, template,
};

const ONE: EndpointId = EndpointId(1);

/// Waits until a hook took the events of so many messages.
async fn until_delivered(hook: &Hook, count: usize) {
    eventually("delivered", || hook.count("message.delivered") >= count).await;
}

fn standard(id: u32, url: &str) -> Endpoint {
    Endpoint {
        format: "standard".into(),
        ..endpoint(id, url, Value::Null)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_told_from_its_acceptance_to_its_delivery_and_signed() {
    let hook = Hook::start(|_, _| Reply::OK).await;
    // Woken by what happens, and not by the clock.
    let woken = Limits {
        poll: Duration::from_secs(3600),
        ..limits()
    };
    let house = House::start(vec![standard(1, &hook.url())], Quick::default(), woken).await;
    house.send(20).await;
    until_delivered(&hook, 20).await;
    let state = house.until_told(1).await;
    assert_eq!((state.waiting, state.dead, state.pause), (0, 0, None));
    let seen = hook.seen();
    assert_eq!(
        seen[0].kind(),
        "message.accepted",
        "nothing of a batch is told before the batch"
    );
    assert_eq!(seen[0].body["data"]["messages"].as_array().unwrap().len(), 20);
    assert_eq!(hook.count("message.submitted"), 20);
    assert_eq!(seen.len(), 41, "each once");
    hook.assert_in_order();
    let ids: HashSet<_> = seen
        .iter()
        .map(|seen| seen.headers["webhook-id"].clone())
        .collect();
    assert_eq!(ids.len(), 41);
    for seen in &seen {
        verify(seen);
    }
    house.stop().await;
}

/// As a receiver does, with the specification's own library: signature, and a time that is not long ago.
fn verify(seen: &Seen) {
    let mut headers = http::HeaderMap::new();
    for (name, value) in &seen.headers {
        let name = http::HeaderName::try_from(name.as_str()).unwrap();
        headers.insert(name, value.parse().unwrap());
    }
    let library = standardwebhooks::Webhook::new(SECRET).unwrap();
    library.verify(&seen.raw, &headers).unwrap();
    let altered = [seen.raw.as_slice(), b" "].concat();
    assert!(library.verify(&altered, &headers).is_err(), "it does look");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_hangs_delays_no_other() {
    let hanging = Hook::start(|_, _| Reply::Hang).await;
    let slow = Hook::start(|_, _| Reply::Late(100, 200)).await;
    let quick = Hook::start(|_, _| Reply::OK).await;
    let endpoints = [&hanging, &slow, &quick];
    let endpoints = (1..)
        .zip(endpoints)
        .map(|(id, hook)| endpoint(id, &hook.url(), Value::Null));
    let patient = Quick {
        time_max_ms: 60_000,
        ..Quick::default()
    };
    let house = House::start(endpoints.collect(), patient, limits()).await;
    let began = Instant::now();
    house.send(300).await;
    until_delivered(&quick, 300).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(hanging.count("message.delivered"), 0);
    assert!(
        slow.count("message.delivered") < 300,
        "the quick one was not waited for either"
    );
    // A stop does not wait for ever.
    let began = Instant::now();
    house.engine.stop(Duration::from_millis(300)).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_under_way_to_an_endpoint_are_as_many_as_it_says() {
    let now = Arc::new(Mutex::new((0_usize, 0_usize)));
    let of_script = Arc::clone(&now);
    let hook = Hook::start(move |_, _| {
        let mut now = of_script.lock().unwrap();
        now.0 += 1;
        now.1 = now.1.max(now.0);
        let now = Arc::clone(&of_script);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(19)).await;
            now.lock().unwrap().0 -= 1;
        });
        Reply::Late(20, 200)
    })
    .await;
    let settings = json!({ "concurrency": 3 });
    let house = House::start(
        vec![endpoint(1, &hook.url(), settings)],
        Quick::default(),
        limits(),
    )
    .await;
    house.send(30).await;
    until_delivered(&hook, 30).await;
    assert_eq!(now.lock().unwrap().1, 3);
    house.stop().await;
}

/// Every kind of failure, by chance.
fn chance(rng: &Mutex<StdRng>, percent: u32) -> Reply {
    let mut rng = rng.lock().unwrap();
    if rng.random_range(0..100) >= percent {
        return Reply::OK;
    }
    match rng.random_range(0..20) {
        0 => Reply::Hang,
        1..3 => Reply::Die,
        3..5 => Reply::Status(302, "location: http://169.254.169.254/\r\n"),
        5..7 => Reply::Late(30, 503),
        _ => Reply::FAIL,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_each_message_is_told_in_order() {
    for (seed, percent, events) in [(1, 20, 1), (2, 60, 1), (3, 30, 5), (4, 70, 3)] {
        let rng = Mutex::new(StdRng::seed_from_u64(seed));
        let hook = Hook::start(move |_, _| chance(&rng, percent)).await;
        let settings = json!({ "events": events, "concurrency": 4 });
        let quick = Quick {
            time_max_ms: 100,
            ..Quick::default()
        };
        // Small bounds, so that all of them are met.
        let small = Limits {
            window_events_max: 16,
            waiting_events_max: 100,
            trial_wait_max: Duration::from_secs(1),
            ..limits()
        };
        let house = House::start(vec![endpoint(1, &hook.url(), settings)], quick, small).await;
        house.send(60).await;
        house.send_singly(10).await;
        until_delivered(&hook, 70).await;
        house.until_sent().await;
        let state = house.until_told(1).await;
        assert_eq!(state.dead, 0);
        assert_eq!(
            (hook.count("message.submitted"), hook.count("message.accepted")),
            (70, 11)
        );
        hook.assert_in_order();
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_a_whole_good_answer_is_tried_again() {
    let hook = Hook::start(|n, _| match n {
        0 => Reply::FAIL,
        1 => Reply::Die,
        2 => Reply::Hang,
        3 => Reply::Status(301, "location: /elsewhere\r\n"),
        4 => Reply::Status(404, ""),
        5 => Reply::Endless,
        _ => Reply::OK,
    })
    .await;
    let quick = Quick {
        time_max_ms: 200,
        ..Quick::default()
    };
    let house = House::start(
        vec![endpoint(1, &hook.url(), json!({ "concurrency": 1 }))],
        quick,
        limits(),
    )
    .await;
    house.send(1).await;
    until_delivered(&hook, 1).await;
    house.until_told(1).await;
    let seen = hook.seen();
    // The endless one was cut, and judged by its status.
    let taken: Vec<bool> = seen.iter().map(|seen| seen.taken).collect();
    assert_eq!(taken[..6], [false, false, false, false, false, true]);
    hook.assert_in_order();
    let metrics = house.metrics();
    for line in [
        r#"notify_calls_total{format="quick",outcome="timeout"} 1"#,
        r#"notify_calls_total{format="quick",outcome="broken"} 1"#,
        r#"notify_calls_total{format="quick",outcome="refused"} 3"#,
        r#"notify_waiting_calls{endpoint="1"} 0"#,
        r#"notify_paused{endpoint="1"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert!(!metrics.contains("s3cret") && !metrics.contains("127.0.0.1"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_never_taken_is_given_up_and_can_be_resent() {
    let poison = |body: &Value| body["type"] == "message.submitted";
    let hook = Hook::start(move |_, body| if poison(body) { Reply::FAIL } else { Reply::OK }).await;
    let quick = Quick {
        waits_ms: vec![10, 20],
        ..Quick::default()
    };
    let house = House::start(vec![endpoint(1, &hook.url(), Value::Null)], quick, limits()).await;
    house.send(3).await;
    until_delivered(&hook, 3).await;
    let state = house
        .until(1, "given up", |state| (state.dead, state.waiting) == (3, 0))
        .await;
    assert_eq!(state.pause, None);
    let tries = hook
        .seen()
        .iter()
        .filter(|seen| seen.kind() == "message.submitted")
        .count();
    assert_eq!(tries, 9, "three of each");
    let dead = house.engine.dead_calls(ONE, 0, 10).await.unwrap();
    assert_eq!(dead.len(), 3);
    assert!(
        dead.iter()
            .all(|call| call.tries == 3 && &*call.error == "HTTP 500"),
        "{dead:?}"
    );

    hook.play(|_, _| Reply::OK);
    assert!(matches!(
        house.engine.resend_call(ONE, 99_999).await,
        Err(OperateError::UnknownCall)
    ));
    assert!(matches!(
        house.engine.resend_call(EndpointId(9), 1).await,
        Err(OperateError::UnknownEndpoint)
    ));
    house.engine.resend_call(ONE, dead[1].no).await.unwrap();
    house
        .until(1, "resent", |state| state.dead == 2 && state.waiting == 0)
        .await;
    assert_eq!(hook.count("message.submitted"), 1);
    assert_eq!(house.engine.resend_dead_calls(ONE).await.unwrap(), 2);
    house
        .until(1, "resent", |state| state.dead == 0 && state.waiting == 0)
        .await;
    assert_eq!(hook.count("message.submitted"), 3);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_away_costs_few_calls_and_no_event() {
    let clock = Arc::new(SeenClock::at(1_795_000_000_000));
    let away = Arc::new(AtomicBool::new(true));
    let of_script = Arc::clone(&away);
    let hook = Hook::start(move |_, _| match of_script.load(Ordering::SeqCst) {
        true => Reply::FAIL,
        false => Reply::OK,
    })
    .await;
    let few = Quick {
        // A schedule as short as UCloud's: by itself it would give up within seconds.
        waits_ms: vec![1_000, 1_000],
        ..Quick::default()
    };
    let by_clock = Limits {
        poll: Duration::from_millis(2),
        ..limits()
    };
    let house = House::by_clock(
        Arc::clone(&clock) as Arc<dyn Clock>,
        vec![endpoint(1, &hook.url(), Value::Null)],
        few,
        by_clock,
    )
    .await;
    let mut sent = 0;
    let (mut paused_at, mut dead) = (None, 0);
    for second in (0..60).chain((60..3600_u32).step_by(6)) {
        if second % 30 == 0 {
            house.send(10).await;
            sent += 10;
        }
        let step_ms = if second < 60 { 1_000 } else { 6_000 };
        house.pass(&clock, 1, step_ms).await;
        if paused_at.is_none() && second % 15 == 0 {
            let state = house.state(1).await;
            if let Some(pause) = state.pause {
                assert!(
                    pause.until.is_some() && pause.reason.contains("HTTP 500"),
                    "{pause:?}"
                );
                paused_at = Some(second);
                dead = state.dead;
            }
        }
    }
    let calls = hook.calls();
    assert!((20..90).contains(&calls), "{calls} calls in an hour");
    let paused_at = paused_at.unwrap();
    // The first trial that fails ten minutes after the first call: at most the longest wait, its jitter, a look later.
    assert!(
        (600..=600 + 330 + 30).contains(&paused_at),
        "paused after {paused_at} s"
    );
    let state = house.state(1).await;
    assert_eq!(state.dead, dead, "a pause uses up no tries");
    assert!(state.failing_since.is_some());
    assert!(house.metrics().contains(r#"notify_paused{endpoint="1"} 1"#));

    away.store(false, Ordering::SeqCst);
    for _ in 0..400 {
        house.pass(&clock, 1, 1_000).await;
    }
    house.until_sent().await;
    house
        .until(1, "lifted", |state| {
            state.pause.is_none() && state.failing_since.is_none()
        })
        .await;
    // What was given up before anybody could know that the endpoint was away is told by hand.
    house.engine.resend_dead_calls(ONE).await.unwrap();
    let state = house.until_told(1).await;
    assert_eq!(state.dead, 0);
    assert!(dead <= 10, "{dead} were given up in the first seconds");
    assert_eq!(hook.count("message.delivered"), sent);
    assert_eq!(hook.count("message.submitted"), sent);
    assert_eq!(hook.count("message.accepted"), 120);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_after_an_outage_is_told_before_what_is_new() {
    let clock = Arc::new(PausedClock::at(1_795_000_000_000));
    let hook = Hook::start(|_, _| Reply::FAIL).await;
    let by_clock = Limits {
        poll: Duration::from_millis(2),
        ..limits()
    };
    let slow = Quick {
        waits_ms: vec![3_600_000; 5],
        ..Quick::default()
    };
    let house = House::by_clock(
        Arc::clone(&clock) as Arc<dyn Clock>,
        vec![endpoint(1, &hook.url(), json!({ "concurrency": 1 }))],
        slow,
        by_clock,
    )
    .await;
    for _ in 0..20 {
        house.send(1).await;
        clock.advance(1_000);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.until_sent().await;
    hook.play(|_, _| Reply::OK);
    let told = hook.calls();
    for _ in 0..60 {
        clock.advance(1_000);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    house.until_told(1).await;
    assert_eq!(hook.count("message.delivered"), 20);
    hook.assert_in_order();
    // The schedule's hour had not come: that it failed was no fault of theirs.
    let rows: Vec<u64> = hook.seen()[told..]
        .iter()
        .filter(|seen| seen.taken && seen.kind() == "message.accepted")
        .map(|seen| {
            seen.headers["webhook-id"]
                .split('_')
                .nth(2)
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert_eq!(rows.len(), 20);
    assert!(
        rows[1..].is_sorted(),
        "in order but for the one it was found out with: {rows:?}"
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_by_hand_holds_and_nothing_is_lost() {
    let hook = Hook::start(|_, _| Reply::OK).await;
    let house = House::start(
        vec![endpoint(1, &hook.url(), Value::Null)],
        Quick::default(),
        limits(),
    )
    .await;
    house.send(5).await;
    until_delivered(&hook, 5).await;
    house.engine.pause_endpoint(ONE, "being moved").await.unwrap();
    let pause = house.state(1).await.pause.unwrap();
    assert_eq!((&*pause.reason, pause.until), ("being moved", None));
    house.until_sent().await;
    let calls = hook.calls();
    house.send(5).await;
    house.until_sent().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(hook.calls(), calls);
    // Over a restart too.
    let folder = house.stop().await;
    let house = House::on(folder, Arc::new(SystemClock), Quick::default(), limits()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(hook.calls(), calls);
    house.engine.resume_endpoint(ONE).await.unwrap();
    until_delivered(&hook, 10).await;
    assert_eq!(house.until_told(1).await.pause, None);
    hook.assert_in_order();
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_says_it_is_gone_is_paused_until_somebody_resumes_it() {
    let hook = Hook::start(|_, _| Reply::Status(410, "")).await;
    let house = House::start(vec![standard(1, &hook.url())], Quick::default(), limits()).await;
    house.send(3).await;
    let state = house.until(1, "paused", |state| state.pause.is_some()).await;
    let pause = state.pause.unwrap();
    assert!(
        pause.until.is_none() && pause.reason.contains("HTTP 410"),
        "{pause:?}"
    );
    assert_eq!(state.dead, 0);
    hook.play(|_, _| Reply::OK);
    house.until_sent().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(hook.taken().len(), 0);
    house.engine.resume_endpoint(ONE).await.unwrap();
    until_delivered(&hook, 3).await;
    house.until_told(1).await;
    assert_eq!(hook.count("message.accepted"), 1, "that one was not used up");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_to_be_left_alone_is() {
    let hook = Hook::start(|n, _| match n {
        0 => Reply::Status(429, "retry-after: 1\r\n"),
        _ => Reply::OK,
    })
    .await;
    let one = json!({ "concurrency": 1 });
    let house = House::start(vec![endpoint(1, &hook.url(), one)], Quick::default(), limits()).await;
    house.send(3).await;
    eventually("called", || hook.calls() == 1).await;
    let began = Instant::now();
    until_delivered(&hook, 3).await;
    assert!(
        began.elapsed() > Duration::from_millis(900),
        "{:?}",
        began.elapsed()
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_told_again_from_a_point_in_time() {
    let hook = Hook::start(|_, _| Reply::OK).await;
    let house = House::start(
        vec![endpoint(1, &hook.url(), Value::Null)],
        Quick::default(),
        limits(),
    )
    .await;
    house.send(4).await;
    house.until_sent().await;
    until_delivered(&hook, 4).await;
    house.until_told(1).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let between = house.engine.now();
    house.send(4).await;
    until_delivered(&hook, 8).await;
    house.until_told(1).await;
    let first = hook.seen();
    assert_eq!(first.len(), 18);

    house.engine.replay_endpoint(ONE, between).await.unwrap();
    eventually("told again", || hook.seen().len() >= 27).await;
    house.until_told(1).await;
    house.engine.replay_endpoint(ONE, 0).await.unwrap();
    eventually("told again", || hook.seen().len() >= 45).await;
    house.until_told(1).await;
    let all = hook.seen();
    assert_eq!(all.len(), 45);
    let ids = |seen: &[Seen]| -> HashSet<String> {
        seen.iter()
            .map(|seen| seen.headers["webhook-id"].clone())
            .collect()
    };
    assert_eq!(ids(&all[18..27]), ids(&first[9..]), "under the same ids");
    assert_eq!(ids(&all[27..]), ids(&first));
    assert!(matches!(
        house.engine.replay_endpoint(EndpointId(9), 0).await,
        Err(OperateError::UnknownEndpoint)
    ));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_the_calls_under_way_and_records_them() {
    let hook = Hook::start(|_, _| Reply::Late(300, 200)).await;
    let patient = Quick {
        time_max_ms: 5_000,
        ..Quick::default()
    };
    let house = House::start(
        vec![endpoint(1, &hook.url(), Value::Null)],
        patient.clone(),
        limits(),
    )
    .await;
    house.send(4).await;
    house.until_sent().await;
    eventually("called", || hook.calls() >= 3).await;
    let folder = house.stop().await;
    hook.play(|_, _| Reply::OK);
    let house = House::on(folder, Arc::new(SystemClock), patient, limits()).await;
    until_delivered(&hook, 4).await;
    house.until_told(1).await;
    assert_eq!(hook.taken().len(), 9, "nothing twice");
    house.stop().await;
}

/// An engine in a runtime of its own, which is taken away from under it.
#[test]
fn a_kill_at_any_moment_loses_nothing() {
    let outside = tokio::runtime::Runtime::new().unwrap();
    let rng = Mutex::new(StdRng::seed_from_u64(5));
    let hook = outside.block_on(Hook::start(move |_, _| chance(&rng, 20)));
    let quick = Quick {
        time_max_ms: 100,
        ..Quick::default()
    };
    let run = |folder: Option<Folder>, for_ms: u64| {
        let inside = tokio::runtime::Runtime::new().unwrap();
        let house = inside.block_on(async {
            let house = match folder {
                Some(folder) => House::on(folder, Arc::new(SystemClock), quick.clone(), limits()).await,
                None => {
                    House::start(
                        vec![endpoint(1, &hook.url(), Value::Null)],
                        quick.clone(),
                        limits(),
                    )
                    .await
                }
            };
            house.send(40).await;
            tokio::time::sleep(Duration::from_millis(for_ms)).await;
            house
        });
        // Nothing is stopped: tasks and threads lose what they had.
        inside.shutdown_background();
        let House {
            engine,
            store,
            folder,
        } = house;
        drop((engine, store));
        folder
    };
    let mut folder = None;
    for for_ms in [5, 30, 60, 90, 150] {
        folder = Some(run(folder, for_ms));
    }
    outside.block_on(async {
        hook.play(|_, _| Reply::OK);
        let house = House::on(folder.unwrap(), Arc::new(SystemClock), quick.clone(), limits()).await;
        until_delivered(&hook, 200).await;
        house.until_sent().await;
        let state = house.until_told(1).await;
        assert_eq!(state.dead, 0);
        assert_eq!(
            (hook.count("message.submitted"), hook.count("message.accepted")),
            (200, 5)
        );
        hook.assert_in_order();
        house.stop().await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_catalog_is_followed() {
    let (old, new) = (
        Hook::start(|_, _| Reply::OK).await,
        Hook::start(|_, _| Reply::OK).await,
    );
    let house = House::start(
        vec![endpoint(1, &old.url(), Value::Null)],
        Quick::default(),
        limits(),
    )
    .await;
    house.send(3).await;
    until_delivered(&old, 3).await;

    // Another URL, and only what ended.
    let moved = Endpoint {
        kinds: EventKinds::ENDED,
        ..endpoint(1, &new.url(), Value::Null)
    };
    house.change(CatalogChange::PutEndpoint(moved.clone())).await;
    house.followed(1).await;
    house.send(3).await;
    until_delivered(&new, 3).await;
    assert_eq!(old.count("message.delivered"), 3);
    assert_eq!(
        (new.count("message.submitted"), new.count("message.accepted")),
        (0, 0)
    );

    // Switched off: what happens waits.
    let off = Endpoint {
        enabled: false,
        ..moved.clone()
    };
    house.change(CatalogChange::PutEndpoint(off)).await;
    house.followed(1).await;
    house.send(3).await;
    house.until_sent().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(new.count("message.delivered"), 3);
    house.change(CatalogChange::PutEndpoint(moved)).await;
    until_delivered(&new, 6).await;

    // Another one beside it; then the first is removed.
    let second = Hook::start(|_, _| Reply::OK).await;
    house
        .change(CatalogChange::PutEndpoint(endpoint(
            2,
            &second.url(),
            Value::Null,
        )))
        .await;
    house.change(CatalogChange::RemoveEndpoint(ONE)).await;
    house.followed(1).await;
    let calls = new.calls();
    house.send(3).await;
    until_delivered(&second, 3).await;
    assert_eq!(new.calls(), calls);
    assert!(!house.metrics().contains(r#"notify_paused{endpoint="1"}"#));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_is_told() {
    let hook = Hook::start(|_, _| Reply::OK).await;
    let house = House::start(
        vec![endpoint(1, &hook.url(), Value::Null)],
        Quick::default(),
        limits(),
    )
    .await;
    for review in [Review::Submitted, Review::Rejected] {
        let mut template = template(review);
        template.reason = "too loud".into();
        house
            .store
            .change_catalog(vec![CatalogChange::PutTemplate(template)])
            .await
            .unwrap();
    }
    eventually("told", || hook.count("template.reviewed") == 1).await;
    let seen = hook.seen();
    assert_eq!(seen[0].body["data"]["review"], "rejected");
    assert_eq!(seen[0].body["data"]["reason"], "too loud");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_endpoint_leads_inside() {
    let hook = Hook::start(|_, _| Reply::OK).await;
    let port = hook.port;
    let urls = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.1:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://user@127.0.0.1:{port}/"),
    ];
    let endpoints = (1..).zip(&urls).map(|(id, url)| endpoint(id, url, Value::Null));
    let strict = Limits {
        allow: Vec::new(),
        ..limits()
    };
    let house = House::start(endpoints.collect(), Quick::default(), strict).await;
    house.send(1).await;
    for (id, url) in (1..).zip(&urls) {
        house.until(id, "put aside", |state| state.waiting > 0).await;
        let waiting = house.engine.waiting_calls(EndpointId(id), 0, 10).await.unwrap();
        let said = waiting.iter().any(|call| call.error.contains("the URL"));
        assert!(said, "{url}: {waiting:?}");
        let static_check = house.engine.check_endpoint(&endpoint(id, url, Value::Null));
        assert_eq!(static_check.is_err(), !url.contains("localhost"), "{url}");
    }
    assert_eq!(hook.calls(), 0);
    house.engine.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_is_tried_before_it_is_set_up() {
    let hook = Hook::start(|_, _| Reply::Status(200, "")).await;
    let house = House::start(Vec::new(), Quick::default(), limits()).await;
    let entry = |endpoint: Endpoint| EndpointEntry {
        endpoint,
        secret: secrecy::SecretString::from(SECRET),
    };
    let good = entry(endpoint(7, &hook.url(), Value::Null));
    house.engine.probe_endpoint(&good).await.unwrap();
    assert_eq!(hook.calls(), 2);
    assert_eq!(hook.seen()[0].kind(), "endpoint.probe");

    hook.play(|n, _| {
        if n == 2 {
            Reply::Status(200, "")
        } else {
            Reply::Status(201, "")
        }
    });
    let error = house.engine.probe_endpoint(&good).await.unwrap_err();
    assert!(
        matches!(
            error,
            ProbeError::Answer {
                n: 2,
                calls: 2,
                status: 201,
                ..
            }
        ),
        "{error}"
    );
    let unknown = Endpoint {
        format: "semaphore".into(),
        ..endpoint(7, &hook.url(), Value::Null)
    };
    for (endpoint, said) in [
        (unknown, "semaphore"),
        (
            endpoint(7, "ftp://127.0.0.1/", Value::Null),
            "neither http nor https",
        ),
        (endpoint(7, "http://10.0.0.1/", Value::Null), "a private address"),
        (
            endpoint(7, &hook.url(), json!({ "concurrency": 0 })),
            "concurrency",
        ),
        (endpoint(7, "http://127.0.0.1:1/", Value::Null), "no connection"),
    ] {
        let error = house
            .engine
            .probe_endpoint(&entry(endpoint))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(said), "{said}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_read_in_pieces() {
    let hook = Hook::start(|_, _| Reply::OK).await;
    let small = Limits {
        window_events_max: 32,
        ..limits()
    };
    let settings = json!({ "concurrency": 16, "events": 10 });
    let off = Endpoint {
        enabled: false,
        ..endpoint(1, &hook.url(), settings.clone())
    };
    let house = House::start(vec![off], Quick::default(), small).await;
    house.send(2_500).await;
    house.until_sent().await;
    assert_eq!(hook.calls(), 0);
    house
        .change(CatalogChange::PutEndpoint(endpoint(1, &hook.url(), settings)))
        .await;
    until_delivered(&hook, 2_500).await;
    house.until_told(1).await;
    let accepted: Vec<_> = hook
        .taken()
        .into_iter()
        .filter(|seen| seen.kind() == "message.accepted")
        .collect();
    let told: usize = accepted
        .iter()
        .map(|seen| seen.body["data"]["messages"].as_array().unwrap().len())
        .sum();
    assert_eq!(
        (accepted.len(), told),
        (3, 2_500),
        "a long batch in pieces of a thousand"
    );
    hook.assert_in_order();
    house.stop().await;
}

/// Trips over one type of event.
#[derive(Debug)]
struct Clumsy(Quick);

impl Format for Clumsy {
    fn name(&self) -> &'static str {
        "clumsy"
    }

    fn check(&self, settings: &Value) -> Result<(), String> {
        self.0.check(settings)
    }

    fn events_max(&self, settings: &Value) -> usize {
        self.0.events_max(settings)
    }

    fn calls(&self, endpoint: &EndpointEntry, tellings: &[Telling], stamp: &Stamp) -> Vec<Call> {
        assert_ne!(tellings[0].event.what.kind(), EventKinds::SUBMITTED, "it trips");
        self.0.calls(endpoint, tellings, stamp)
    }

    fn is_taken(&self, status: u16, body: &[u8]) -> bool {
        self.0.is_taken(status, body)
    }

    fn time_max(&self) -> Duration {
        self.0.time_max()
    }

    fn schedule(&self, settings: &Value) -> Schedule {
        self.0.schedule(settings)
    }

    fn probes(&self, endpoint: &EndpointEntry, stamp: &Stamp) -> Vec<Call> {
        self.0.probes(endpoint, stamp)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_format_that_trips_over_an_event_gives_up_that_one() {
    let hook = Hook::start(|_, _| Reply::OK).await;
    let of_clumsy = Endpoint {
        format: "clumsy".into(),
        ..endpoint(1, &hook.url(), Value::Null)
    };
    let formats: Vec<Arc<dyn Format>> = vec![Arc::new(Clumsy(Quick::default()))];
    let house = House::with(formats, vec![of_clumsy], limits()).await;
    house.send(5).await;
    until_delivered(&hook, 5).await;
    let state = house.until(1, "given up", |state| state.dead == 5).await;
    assert_eq!(state.pause, None);
    let dead = house.engine.dead_calls(ONE, 0, 1).await.unwrap();
    assert_eq!(&*dead[0].error, "the format could not word it");
    house.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telling_gives_way_to_everything_else() {
    let house = House::start(Vec::new(), Quick::default(), limits()).await;
    let nice_of = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        tasks.flatten().find_map(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
            let (name, rest) = stat.split_once(") ")?;
            // proc_pid_stat(5): the nineteenth field, seventeen after the name.
            name.ends_with("(notify")
                .then(|| rest.split(' ').nth(16).unwrap().to_owned())
        })
    };
    eventually("low", || nice_of().as_deref() == Some("19")).await;
    house.stop().await;
}
