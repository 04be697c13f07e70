//! How long connections live, and who makes room for whom.

use super::*;

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order_also_when_pipelined() {
    let running = start(lenient_limits()).await;
    let mut client = running.connect().await;
    assert_served(&mut client).await;
    // The last is not complete yet: the others are answered without waiting for it.
    let (begun, rest) = GET.split_at(7);
    send(
        &mut client,
        &format!("{GET}POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc{begun}"),
    )
    .await;
    assert_eq!(answer(&mut client).await.1, "hello");
    assert_eq!(answer(&mut client).await.1, "read 3");
    send(&mut client, rest).await;
    assert_eq!(answer(&mut client).await.1, "hello");
    drop(client);
    assert_eq!(running.stop().await, Stopped { cut: 0 });
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off_in_time() {
    let running = start(ServeLimits {
        header_read_timeout_ms: 100,
        ..lenient_limits()
    })
    .await;
    let mut silent = running.connect().await;
    let mut slow = running.connect().await;
    send(&mut slow, "GET / HTTP/1.1\r\nHost:").await;
    let mut second = running.connect().await;
    assert_served(&mut second).await;
    send(&mut second, "GET / HTTP/1.1\r\n").await;
    closed(&mut silent).await;
    closed(&mut slow).await;
    closed(&mut second).await;
    assert_eq!(running.metrics.timed_out.get(), 3);
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let running = start(ServeLimits {
        keep_alive_idle_ms: 100,
        ..lenient_limits()
    })
    .await;
    let mut client = running.connect().await;
    assert_served(&mut client).await;
    closed(&mut client).await;
    assert_eq!(running.metrics.timed_out.get(), 1);
}

#[tokio::test]
async fn a_full_listener_closes_the_connection_idle_longest() {
    let running = start(ServeLimits {
        connections_max: 3,
        ..lenient_limits()
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = running.connect().await;
        assert_served(&mut client).await;
        clients.push(client);
        // Idle times are counted in milliseconds: the next one's begins later than this one's.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    assert_served(&mut clients[0]).await;
    let mut fourth = running.connect().await;
    assert_served(&mut fourth).await;
    closed(&mut clients[1]).await;
    assert_served(&mut clients[0]).await;
    assert_served(&mut clients[2]).await;
    assert_eq!(running.metrics.evicted.get(), 1);
}

#[tokio::test]
async fn slow_heads_cannot_fill_the_listener() {
    let running = start(ServeLimits {
        connections_max: 4,
        ..lenient_limits()
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut client = running.connect().await;
        send(&mut client, "GET / HTTP/1.1\r\nX-Slow: ").await;
        slow.push(client);
    }
    let mut honest = running.connect().await;
    assert_served(&mut honest).await;
    assert_eq!(running.metrics.evicted.get(), 1);
    assert_eq!(running.metrics.connections.get(), 4);
}

#[tokio::test]
async fn when_all_are_at_work_the_next_waits_its_turn() {
    let running = start(ServeLimits {
        connections_max: 1,
        ..lenient_limits()
    })
    .await;
    let mut first = running.connect().await;
    send(&mut first, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
    timeout(SOON, running.gate.began.notified()).await.unwrap();
    let mut second = running.connect().await;
    send(&mut second, GET).await;
    let mut octet = [0];
    let early = timeout(Duration::from_millis(300), second.read(&mut octet)).await;
    assert!(early.is_err(), "the second was served beside the first");
    running.gate.open.notify_one();
    assert_eq!(answer(&mut first).await.1, "held");
    // The first is idle now and makes room.
    assert_eq!(answer(&mut second).await.1, "hello");
    closed(&mut first).await;
}

#[tokio::test]
async fn heads_beyond_their_bounds_are_answered_431() {
    let running = start(ServeLimits {
        headers_max: 20,
        header_bytes_max: 8192,
        ..lenient_limits()
    })
    .await;
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(21));
    for head in [long, many] {
        let mut client = running.connect().await;
        // The listener need not read it all before it answers.
        send(&mut client, &head).await;
        let (status, _) = answer(&mut client).await;
        assert!(status.starts_with("http/1.1 431"), "{status}");
    }
    let mut garbage = running.connect().await;
    send(&mut garbage, "\x16\x03\x01 not http\r\n\r\n").await;
    let (status, _) = answer(&mut garbage).await;
    assert!(status.starts_with("http/1.1 400"), "{status}");
}

#[tokio::test]
async fn a_client_that_half_closes_still_gets_its_answer() {
    let running = start(lenient_limits()).await;
    let mut client = running.connect().await;
    send(&mut client, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
    client.shutdown().await.unwrap();
    timeout(SOON, running.gate.began.notified()).await.unwrap();
    running.gate.open.notify_one();
    assert_eq!(answer(&mut client).await.1, "held");
    closed(&mut client).await;
}

#[tokio::test]
async fn a_request_is_finished_although_its_client_went_away() {
    let running = start(lenient_limits()).await;
    let mut client = running.connect().await;
    send(&mut client, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
    timeout(SOON, running.gate.began.notified()).await.unwrap();
    drop(client);
    running.gate.open.notify_one();
    let gate = Arc::clone(&running.gate);
    assert_eq!(running.stop().await, Stopped { cut: 0 });
    assert_eq!(gate.finished.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_body_that_does_not_end_fails_its_request_alone() {
    let running = start(ServeLimits {
        request_timeout_ms: 100,
        ..lenient_limits()
    })
    .await;
    let mut client = running.connect().await;
    send(
        &mut client,
        "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
    )
    .await;
    assert_eq!(
        answer(&mut client).await,
        ("http/1.1 200 ok".into(), "unreadable".into())
    );
    closed(&mut client).await;
}

#[tokio::test]
async fn an_answer_is_readable_although_the_body_was_not_read() {
    let running = start(lenient_limits()).await;
    for path in ["/ignore", "/read"] {
        let mut client = running.connect().await;
        // Far more than socket buffers hold: a close over it would reset the connection under the answer.
        let body = "x".repeat(8 << 20);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        send(&mut client, &head).await;
        send(&mut client, &body).await;
        let (status, text) = answer(&mut client).await;
        assert_eq!(
            (status.as_str(), text.len()),
            ("http/1.1 200 ok", if path == "/ignore" { 7 } else { 10 })
        );
        client.shutdown().await.unwrap();
        closed(&mut client).await;
    }
}

#[tokio::test]
async fn a_chunked_body_is_read_and_the_connection_kept() {
    let running = start(lenient_limits()).await;
    let mut client = running.connect().await;
    send(
        &mut client,
        "POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    )
    .await;
    assert_eq!(answer(&mut client).await.1, "read 2");
    assert_served(&mut client).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_let_go() {
    let running = start(ServeLimits {
        keep_alive_idle_ms: 200,
        ..lenient_limits()
    })
    .await;
    let mut client = running.connect().await;
    send(&mut client, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let gone = async {
        while running.metrics.connections.get() != 0 || running.metrics.timed_out.get() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, gone).await.expect("the connection is let go");
}

#[tokio::test]
async fn stopping_finishes_what_was_begun_and_closes_what_is_idle() {
    let running = start(lenient_limits()).await;
    let mut idle = running.connect().await;
    assert_served(&mut idle).await;
    let mut fresh = running.connect().await;
    let mut busy = running.connect().await;
    send(&mut busy, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
    timeout(SOON, running.gate.began.notified()).await.unwrap();
    running.shutdown.cancel();
    closed(&mut idle).await;
    closed(&mut fresh).await;
    let refused = TcpStream::connect(running.addr).await;
    assert!(refused.is_err(), "a stopping listener takes nobody");
    running.gate.open.notify_one();
    assert_eq!(answer(&mut busy).await.1, "held");
    closed(&mut busy).await;
    assert_eq!(running.stop().await, Stopped { cut: 0 });
}

#[tokio::test]
async fn stopping_cuts_what_takes_longer_than_its_grace() {
    let running = start(ServeLimits {
        stop_grace_ms: 100,
        ..lenient_limits()
    })
    .await;
    let mut busy = running.connect().await;
    send(&mut busy, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
    timeout(SOON, running.gate.began.notified()).await.unwrap();
    assert_eq!(running.stop().await, Stopped { cut: 1 });
    closed(&mut busy).await;
}
