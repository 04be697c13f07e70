//! What is called, how, and in which order, by an engine that is let be.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_reported_from_its_acceptance_to_its_delivery_and_signed() {
    let hook = Hook::start(|_, _| Reply::OK).await;
    // Woken by what happens, and not by the clock.
    let woken = Limits {
        poll: Duration::from_secs(3600),
        ..limits()
    };
    let test = TestEngine::start(vec![standard(1, &hook.url())], Quick::default(), woken).await;
    test.send(20).await;
    until_delivered(&hook, 20).await;
    let state = test.until_acked(1).await;
    assert_eq!((state.waiting, state.dead, state.pause), (0, 0, None));
    let seen = hook.seen();
    assert_eq!(
        seen[0].kind(),
        "message.accepted",
        "no message of a batch is reported before the batch"
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
    test.stop().await;
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
    let long_timeout = Quick {
        time_max_ms: 60_000,
        ..Quick::default()
    };
    let test = TestEngine::start(endpoints.collect(), long_timeout, limits()).await;
    let began = Instant::now();
    test.send(300).await;
    until_delivered(&quick, 300).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(hanging.count("message.delivered"), 0);
    assert!(
        slow.count("message.delivered") < 300,
        "the quick one was not waited for either"
    );
    // A stop does not wait for ever.
    let began = Instant::now();
    test.engine.stop(Duration::from_millis(300)).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_under_way_to_an_endpoint_are_as_many_as_it_says() {
    let hook = Hook::start(|_, _| Reply::Late(20, 200)).await;
    let settings = json!({ "concurrency": 3 });
    let test = TestEngine::start(
        vec![endpoint(1, &hook.url(), settings)],
        Quick::default(),
        limits(),
    )
    .await;
    test.send(30).await;
    until_delivered(&hook, 30).await;
    assert_eq!(hook.under_way_max(), 3);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_each_message_is_reported_in_order() {
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
        let test = TestEngine::start(vec![endpoint(1, &hook.url(), settings)], quick, small).await;
        test.send(60).await;
        test.send_singly(10).await;
        until_delivered(&hook, 70).await;
        test.until_sent().await;
        let state = test.until_acked(1).await;
        assert_eq!(state.dead, 0);
        assert_eq!(
            (hook.count("message.submitted"), hook.count("message.accepted")),
            (70, 11)
        );
        hook.assert_in_order();
        test.stop().await;
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
        time_max_ms: 1_000,
        ..Quick::default()
    };
    let test = TestEngine::start(
        vec![endpoint(1, &hook.url(), json!({ "concurrency": 1 }))],
        quick,
        limits(),
    )
    .await;
    test.send(1).await;
    until_delivered(&hook, 1).await;
    test.until_acked(1).await;
    let seen = hook.seen();
    // The endless one was cut, and checked by its status.
    let taken: Vec<bool> = seen.iter().map(|seen| seen.taken).collect();
    assert_eq!(taken[..6], [false, false, false, false, false, true]);
    hook.assert_in_order();
    let metrics = test.metrics();
    for line in [
        r#"webhook_calls_total{format="quick",outcome="timeout"} 1"#,
        r#"webhook_calls_total{format="quick",outcome="broken"} 1"#,
        r#"webhook_calls_total{format="quick",outcome="refused"} 3"#,
        r#"webhook_waiting_calls{endpoint="1"} 0"#,
        r#"webhook_paused{endpoint="1"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert!(!metrics.contains("s3cret") && !metrics.contains("127.0.0.1"));
    test.stop().await;
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
    let test = TestEngine::start(vec![off], Quick::default(), small).await;
    test.send(2_500).await;
    test.until_sent().await;
    assert_eq!(hook.calls(), 0);
    test.change(CatalogChange::PutEndpoint(endpoint(1, &hook.url(), settings)))
        .await;
    until_delivered(&hook, 2_500).await;
    test.until_acked(1).await;
    let accepted: Vec<_> = hook
        .taken()
        .into_iter()
        .filter(|seen| seen.kind() == "message.accepted")
        .collect();
    let reported: usize = accepted
        .iter()
        .map(|seen| seen.body["data"]["messages"].as_array().unwrap().len())
        .sum();
    assert_eq!(
        (accepted.len(), reported),
        (3, 2_500),
        "a long batch in pieces of a thousand"
    );
    hook.assert_in_order();
    test.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhook_delivery_yields_to_everything_else() {
    let test = TestEngine::start(Vec::new(), Quick::default(), limits()).await;
    let nice_of = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        tasks.flatten().find_map(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
            let (name, rest) = stat.split_once(") ")?;
            // proc_pid_stat(5): the nineteenth field, seventeen after the name.
            name.ends_with("(webhooks")
                .then(|| rest.split(' ').nth(16).unwrap().to_owned())
        })
    };
    eventually("low", || nice_of().as_deref() == Some("19")).await;
    test.stop().await;
}
