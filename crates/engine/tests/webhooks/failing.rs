//! Endpoints, formats and engines that fail: nothing is lost, and nobody is pestered.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_never_taken_is_given_up_and_can_be_resent() {
    let poison = |body: &Value| body["type"] == "message.submitted";
    let hook = Hook::start(move |_, body| if poison(body) { Reply::FAIL } else { Reply::OK }).await;
    let quick = Quick {
        waits_ms: vec![10, 20],
        ..Quick::default()
    };
    let test = TestEngine::start(vec![endpoint(1, &hook.url(), Value::Null)], quick, limits()).await;
    test.send(3).await;
    until_delivered(&hook, 3).await;
    let state = test
        .until(1, "given up", |state| (state.dead, state.waiting) == (3, 0))
        .await;
    assert_eq!(state.pause, None);
    let tries = hook
        .seen()
        .iter()
        .filter(|seen| seen.kind() == "message.submitted")
        .count();
    assert_eq!(tries, 9, "three of each");
    let dead = test.engine.dead_calls(ONE, 0, 10).await.unwrap();
    assert_eq!(dead.len(), 3);
    assert!(
        dead.iter()
            .all(|call| call.tries == 3 && &*call.error == "HTTP 500"),
        "{dead:?}"
    );

    hook.play(|_, _| Reply::OK);
    assert!(matches!(
        test.engine.resend_call(ONE, 99_999).await,
        Err(OperateError::UnknownCall)
    ));
    assert!(matches!(
        test.engine.resend_call(EndpointId(9), 1).await,
        Err(OperateError::UnknownEndpoint)
    ));
    test.engine.resend_call(ONE, dead[1].no).await.unwrap();
    test.until(1, "resent", |state| state.dead == 2 && state.waiting == 0)
        .await;
    assert_eq!(hook.count("message.submitted"), 1);
    assert_eq!(test.engine.resend_dead_calls(ONE).await.unwrap(), 2);
    test.until(1, "resent", |state| state.dead == 0 && state.waiting == 0)
        .await;
    assert_eq!(hook.count("message.submitted"), 3);
    test.stop().await;
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
    let test = TestEngine::by_clock(
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
            test.send(10).await;
            sent += 10;
        }
        let step_ms = if second < 60 { 1_000 } else { 6_000 };
        test.pass(&clock, 1, step_ms).await;
        if paused_at.is_none() && second % 15 == 0 {
            let state = test.state(1).await;
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
    let state = test.state(1).await;
    assert_eq!(state.dead, dead, "a pause uses up no tries");
    assert!(state.failing_since.is_some());
    assert!(test.metrics().contains(r#"webhook_paused{endpoint="1"} 1"#));

    away.store(false, Ordering::SeqCst);
    for _ in 0..400 {
        test.pass(&clock, 1, 1_000).await;
    }
    test.until_sent().await;
    test.until(1, "lifted", |state| {
        state.pause.is_none() && state.failing_since.is_none()
    })
    .await;
    // Calls that were dead before the breaker tripped are resent by hand.
    test.engine.resend_dead_calls(ONE).await.unwrap();
    let state = test.until_acked(1).await;
    assert_eq!(state.dead, 0);
    assert!(dead <= 10, "{dead} were given up in the first seconds");
    assert_eq!(hook.count("message.delivered"), sent);
    assert_eq!(hook.count("message.submitted"), sent);
    assert_eq!(hook.count("message.accepted"), 120);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_after_an_outage_is_reported_before_what_is_new() {
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
    let test = TestEngine::by_clock(
        Arc::clone(&clock) as Arc<dyn Clock>,
        vec![endpoint(1, &hook.url(), json!({ "concurrency": 1 }))],
        slow,
        by_clock,
    )
    .await;
    for _ in 0..20 {
        test.send(1).await;
        clock.advance(1_000);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    test.until_sent().await;
    eventually("so many failed that the breaker is tripped", || {
        hook.calls() >= limits().breaker_failures
    })
    .await;
    hook.play(|_, _| Reply::OK);
    let calls_before = hook.calls();
    for _ in 0..60 {
        clock.advance(1_000);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    test.until_acked(1).await;
    assert_eq!(hook.count("message.delivered"), 20);
    hook.assert_in_order();
    // The schedule's hour had not come: that it failed was no fault of theirs.
    let rows: Vec<u64> = hook.seen()[calls_before..]
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
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_says_it_is_gone_is_paused_until_somebody_resumes_it() {
    let hook = Hook::start(|_, _| Reply::Status(410, "")).await;
    let test = TestEngine::start(vec![standard(1, &hook.url())], Quick::default(), limits()).await;
    test.send(3).await;
    let state = test.until(1, "paused", |state| state.pause.is_some()).await;
    let pause = state.pause.unwrap();
    assert!(
        pause.until.is_none() && pause.reason.contains("HTTP 410"),
        "{pause:?}"
    );
    assert_eq!(state.dead, 0);
    hook.play(|_, _| Reply::OK);
    test.until_sent().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(hook.taken().len(), 0);
    test.engine.resume_endpoint(ONE).await.unwrap();
    until_delivered(&hook, 3).await;
    test.until_acked(1).await;
    assert_eq!(hook.count("message.accepted"), 1, "that one was not used up");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_after_is_respected() {
    let hook = Hook::start(|n, _| match n {
        0 => Reply::Status(429, "retry-after: 1\r\n"),
        _ => Reply::OK,
    })
    .await;
    let one = json!({ "concurrency": 1 });
    let test = TestEngine::start(vec![endpoint(1, &hook.url(), one)], Quick::default(), limits()).await;
    test.send(3).await;
    eventually("called", || hook.calls() == 1).await;
    let began = Instant::now();
    until_delivered(&hook, 3).await;
    assert!(
        began.elapsed() > Duration::from_millis(900),
        "{:?}",
        began.elapsed()
    );
    test.stop().await;
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

    fn calls(&self, endpoint: &EndpointEntry, payloads: &[EventPayload], stamp: &Stamp) -> Vec<Call> {
        assert_ne!(payloads[0].event.what.kind(), EventKinds::SUBMITTED, "it trips");
        self.0.calls(endpoint, payloads, stamp)
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
    let test = TestEngine::with(formats, vec![of_clumsy], limits()).await;
    test.send(5).await;
    until_delivered(&hook, 5).await;
    let state = test.until(1, "given up", |state| state.dead == 5).await;
    assert_eq!(state.pause, None);
    let dead = test.engine.dead_calls(ONE, 0, 1).await.unwrap();
    assert_eq!(&*dead[0].error, "the format panicked");
    test.stop().await;
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
        let test = inside.block_on(async {
            let test = match folder {
                Some(folder) => TestEngine::on(folder, Arc::new(SystemClock), quick.clone(), limits()).await,
                None => {
                    TestEngine::start(
                        vec![endpoint(1, &hook.url(), Value::Null)],
                        quick.clone(),
                        limits(),
                    )
                    .await
                }
            };
            test.send(40).await;
            tokio::time::sleep(Duration::from_millis(for_ms)).await;
            test
        });
        // Nothing is stopped: tasks and threads lose what they had.
        inside.shutdown_background();
        let TestEngine {
            engine,
            store,
            folder,
        } = test;
        drop((engine, store));
        folder
    };
    let mut folder = None;
    for for_ms in [5, 30, 60, 90, 150] {
        folder = Some(run(folder, for_ms));
    }
    outside.block_on(async {
        hook.play(|_, _| Reply::OK);
        let test = TestEngine::on(folder.unwrap(), Arc::new(SystemClock), quick.clone(), limits()).await;
        until_delivered(&hook, 200).await;
        test.until_sent().await;
        let state = test.until_acked(1).await;
        assert_eq!(state.dead, 0);
        assert_eq!(
            (hook.count("message.submitted"), hook.count("message.accepted")),
            (200, 5)
        );
        hook.assert_in_order();
        test.stop().await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_that_are_shown_are_those_of_the_clock_however_it_was_set() {
    let clock = Arc::new(PausedClock::at(1_795_000_000_000));
    // Waits go on as if it had not been: an hour lies between.
    clock.set_back(3_600_000);
    let (failing, gone) = (
        Hook::start(|_, _| Reply::FAIL).await,
        Hook::start(|_, _| Reply::Status(410, "")).await,
    );
    let slow = Quick {
        waits_ms: vec![60_000; 5],
        ..Quick::default()
    };
    let endpoints = || {
        vec![
            endpoint(1, &failing.url(), Value::Null),
            endpoint(2, &gone.url(), Value::Null),
        ]
    };
    let by_clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let test = TestEngine::by_clock(by_clock, endpoints(), slow.clone(), limits()).await;
    test.send(1).await;
    let now = clock.now();
    let state = test.until(1, "failing", |state| state.waiting > 0).await;
    assert_eq!(state.failing_since, Some(now));
    assert_eq!(state.last_error.map(|error| error.at), Some(now));
    let due = test.engine.waiting_calls(ONE, 0, 10).await.unwrap().remove(0);
    assert_eq!(due.first_tried_at, now);
    assert!((now + 1..=now + 120_000).contains(&due.due), "{due:?}");
    let state = test.until(2, "paused", |state| state.pause.is_some()).await;
    assert_eq!(state.pause.unwrap().since, now);
    assert_eq!(state.last_error.unwrap().at, now);
    test.engine.resume_endpoint(EndpointId(2)).await.unwrap();
    test.engine
        .pause_endpoint(EndpointId(2), "by hand")
        .await
        .unwrap();
    assert_eq!(test.state(2).await.pause.unwrap().since, now);

    // After a start what was stored is counted on from where the clock is.
    let folder = test.stop().await;
    failing.play(|_, _| Reply::OK);
    clock.set_back(3_600_000);
    clock.advance(3_600_000);
    let by_clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let test = TestEngine::on(folder, by_clock, slow, limits()).await;
    test.send(1).await;
    let state = test.until(1, "well", |state| state.failing_since.is_none()).await;
    assert!(state.waiting > 0, "its minute has not passed");
    clock.advance(121_000);
    test.until(1, "acked", |state| {
        state.waiting == 0 && state.failing_since.is_none()
    })
    .await;
    test.stop().await;
}
