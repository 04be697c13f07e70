//! Operations: endpoints set up, changed, paused and replayed; an engine stopped.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_by_hand_holds_and_nothing_is_lost() {
    let hook = Hook::start(|_, _| Reply::OK).await;
    let test = TestEngine::start(
        vec![endpoint(1, &hook.url(), Value::Null)],
        Quick::default(),
        limits(),
    )
    .await;
    test.send(5).await;
    until_delivered(&hook, 5).await;
    test.engine.pause_endpoint(ONE, "being moved").await.unwrap();
    let pause = test.state(1).await.pause.unwrap();
    assert_eq!((&*pause.reason, pause.until), ("being moved", None));
    test.until_sent().await;
    let calls = hook.calls();
    test.send(5).await;
    test.until_sent().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(hook.calls(), calls);
    // Over a restart too.
    let folder = test.stop().await;
    let test = TestEngine::on(folder, Arc::new(SystemClock), Quick::default(), limits()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(hook.calls(), calls);
    test.engine.resume_endpoint(ONE).await.unwrap();
    until_delivered(&hook, 10).await;
    assert_eq!(test.until_acked(1).await.pause, None);
    hook.assert_in_order();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_replayed_from_a_point_in_time() {
    let hook = Hook::start(|_, _| Reply::OK).await;
    let test = TestEngine::start(
        vec![endpoint(1, &hook.url(), Value::Null)],
        Quick::default(),
        limits(),
    )
    .await;
    test.send(4).await;
    test.until_sent().await;
    until_delivered(&hook, 4).await;
    test.until_acked(1).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let between = test.engine.now();
    test.send(4).await;
    until_delivered(&hook, 8).await;
    test.until_acked(1).await;
    let first = hook.seen();
    assert_eq!(first.len(), 18);

    test.engine.replay_endpoint(ONE, between).await.unwrap();
    eventually("replayed", || hook.seen().len() >= 27).await;
    test.until_acked(1).await;
    test.engine.replay_endpoint(ONE, 0).await.unwrap();
    eventually("replayed", || hook.seen().len() >= 45).await;
    test.until_acked(1).await;
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
        test.engine.replay_endpoint(EndpointId(9), 0).await,
        Err(OperateError::UnknownEndpoint)
    ));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_the_calls_under_way_and_records_them() {
    let hook = Hook::start(|_, _| Reply::Late(300, 200)).await;
    let long_timeout = Quick {
        time_max_ms: 5_000,
        ..Quick::default()
    };
    let test = TestEngine::start(
        vec![endpoint(1, &hook.url(), Value::Null)],
        long_timeout.clone(),
        limits(),
    )
    .await;
    test.send(4).await;
    test.until_sent().await;
    eventually("called", || hook.calls() >= 3).await;
    let folder = test.stop().await;
    hook.play(|_, _| Reply::OK);
    let test = TestEngine::on(folder, Arc::new(SystemClock), long_timeout, limits()).await;
    until_delivered(&hook, 4).await;
    test.until_acked(1).await;
    assert_eq!(hook.taken().len(), 9, "nothing twice");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_catalog_is_followed() {
    let (old, new) = (
        Hook::start(|_, _| Reply::OK).await,
        Hook::start(|_, _| Reply::OK).await,
    );
    let test = TestEngine::start(
        vec![endpoint(1, &old.url(), Value::Null)],
        Quick::default(),
        limits(),
    )
    .await;
    test.send(3).await;
    until_delivered(&old, 3).await;

    // Another URL, and only what ended.
    let moved = Endpoint {
        kinds: EventKinds::ENDED,
        ..endpoint(1, &new.url(), Value::Null)
    };
    test.change(CatalogChange::PutEndpoint(moved.clone())).await;
    test.followed(1).await;
    test.send(3).await;
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
    test.change(CatalogChange::PutEndpoint(off)).await;
    test.followed(1).await;
    test.send(3).await;
    test.until_sent().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(new.count("message.delivered"), 3);
    test.change(CatalogChange::PutEndpoint(moved)).await;
    until_delivered(&new, 6).await;

    // Another one beside it; then the first is removed.
    let second = Hook::start(|_, _| Reply::OK).await;
    test.change(CatalogChange::PutEndpoint(endpoint(
        2,
        &second.url(),
        Value::Null,
    )))
    .await;
    test.change(CatalogChange::RemoveEndpoint(ONE)).await;
    test.followed(1).await;
    let calls = new.calls();
    test.send(3).await;
    until_delivered(&second, 3).await;
    assert_eq!(new.calls(), calls);
    assert!(!test.metrics().contains(r#"webhook_paused{endpoint="1"}"#));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_is_reported() {
    let hook = Hook::start(|_, _| Reply::OK).await;
    let test = TestEngine::start(
        vec![endpoint(1, &hook.url(), Value::Null)],
        Quick::default(),
        limits(),
    )
    .await;
    for review in [Review::Submitted, Review::Rejected] {
        let mut template = template(review);
        template.reason = "too loud".into();
        test.store
            .change_catalog(vec![CatalogChange::PutTemplate(template)])
            .await
            .unwrap();
    }
    eventually("reported", || hook.count("template.reviewed") == 1).await;
    let seen = hook.seen();
    assert_eq!(seen[0].body["data"]["review"], "rejected");
    assert_eq!(seen[0].body["data"]["reason"], "too loud");
    test.stop().await;
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
    let test = TestEngine::start(endpoints.collect(), Quick::default(), strict).await;
    test.send(1).await;
    for (id, url) in (1..).zip(&urls) {
        test.until(id, "deferred", |state| state.waiting > 0).await;
        let waiting = test.engine.waiting_calls(EndpointId(id), 0, 10).await.unwrap();
        let said = waiting.iter().any(|call| call.error.contains("the URL"));
        assert!(said, "{url}: {waiting:?}");
        let static_check = test.engine.check_endpoint(&endpoint(id, url, Value::Null));
        assert!(static_check.is_err(), "{url}");
    }
    assert_eq!(hook.calls(), 0);
    test.engine.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_is_tried_before_it_is_set_up() {
    let hook = Hook::start(|_, _| Reply::Status(200, "")).await;
    let test = TestEngine::start(Vec::new(), Quick::default(), limits()).await;
    let entry = |endpoint: Endpoint| EndpointEntry {
        endpoint,
        secret: secrecy::SecretString::from(SECRET),
    };
    let good = entry(endpoint(7, &hook.url(), Value::Null));
    test.engine.probe_endpoint(&good).await.unwrap();
    assert_eq!(hook.calls(), 2);
    assert_eq!(hook.seen()[0].kind(), "endpoint.probe");

    hook.play(|n, _| {
        if n == 2 {
            Reply::Status(200, "")
        } else {
            Reply::Status(503, "")
        }
    });
    let error = test.engine.probe_endpoint(&good).await.unwrap_err();
    assert!(
        matches!(
            error,
            ProbeError::Answer {
                n: 2,
                calls: 2,
                status: 503,
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
        let error = test
            .engine
            .probe_endpoint(&entry(endpoint))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(said), "{said}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    test.stop().await;
}
