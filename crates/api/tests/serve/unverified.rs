//! Clients that have not shown who they are, and what they can take from others.

use super::*;
use api::serve::BodyLimits;
use std::time::Instant;

const UNFINISHED: &str = "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n";

/// Whether the other side has closed by now.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut octet = [0];
    let read = timeout(Duration::from_millis(1), stream.read(&mut octet)).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

async fn login(stream: &mut TcpStream) {
    send(stream, "GET /login HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer(stream).await.0.contains("200"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_do_not_come_keep_nobody_out() {
    let running = start(ServeLimits {
        connections_max: 200,
        ..lenient_limits()
    })
    .await;
    let mut known = running.connect_from(9).await;
    login(&mut known).await;
    let mut held = Vec::new();
    for count in 0..400 {
        let mut stream = running.connect_from(2 + (count % 4) as u8).await;
        let _ = stream.write_all(UNFINISHED.as_bytes()).await;
        held.push(stream);
        if count % 50 == 49 {
            let mut good = running.connect_from(8).await;
            assert_served(&mut good).await;
        }
    }
    assert!(running.metrics.connections.get() <= 200);
    assert!(running.metrics.evicted.get() >= 200);
    // One that is known and idle was not closed for them.
    assert_served(&mut known).await;
    // A body that does not come fails nobody's stop.
    assert_eq!(running.stop().await, Stopped { cut: 0 });
}

#[tokio::test]
async fn an_address_has_its_share_of_connections_until_it_has_shown_who_it_is() {
    let running = start(ServeLimits {
        per_address_max: 10,
        ..lenient_limits()
    })
    .await;
    let mut known = Vec::new();
    for _ in 0..15 {
        let mut stream = running.connect_from(2).await;
        login(&mut stream).await;
        known.push(stream);
    }
    let mut unverified = Vec::new();
    for _ in 0..25 {
        let mut stream = running.connect_from(2).await;
        send(&mut stream, "GET / HTTP/1.1\r\n").await;
        unverified.push(stream);
    }
    until("the address keeps its share", || {
        running.metrics.evicted.get() == 15 && running.metrics.connections.get() == 25
    })
    .await;
    let mut gone = 0;
    for stream in &mut unverified {
        gone += usize::from(is_closed(stream).await);
    }
    assert_eq!(gone, 15);
    let newest = unverified.last_mut().unwrap();
    send(newest, "Host: x\r\n\r\n").await;
    assert_eq!(answer(newest).await.1, "hello");
    let mut other = running.connect_from(3).await;
    assert_served(&mut other).await;
    for stream in &mut known {
        assert_served(stream).await;
    }
}

#[tokio::test]
async fn an_address_of_which_all_are_at_work_is_refused_more() {
    let running = start(ServeLimits {
        per_address_max: 1,
        ..lenient_limits()
    })
    .await;
    let mut first = running.connect_from(2).await;
    send(&mut first, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
    timeout(SOON, running.gate.began.notified()).await.unwrap();
    let mut second = running.connect_from(2).await;
    closed(&mut second).await;
    assert_eq!(running.metrics.refused.get(), 1);
    let mut other = running.connect_from(3).await;
    assert_served(&mut other).await;
    running.gate.open.notify_one();
    assert_eq!(answer(&mut first).await.1, "held");
    // It is looked for who could go, again, a few milliseconds later.
    pass(20).await;
    let mut third = running.connect_from(2).await;
    assert_served(&mut third).await;
}

#[tokio::test]
async fn a_flood_of_unverified_clients_closes_no_verified_connection() {
    let running = start(ServeLimits {
        connections_max: 40,
        ..lenient_limits()
    })
    .await;
    let mut known = Vec::new();
    for _ in 0..20 {
        let mut stream = running.connect_from(9).await;
        login(&mut stream).await;
        known.push(stream);
    }
    let mut unverified = Vec::new();
    for _ in 0..100 {
        unverified.push(running.connect_from(2).await);
    }
    until("they make room for each other", || {
        running.metrics.evicted.get() >= 80
    })
    .await;
    let mut good = running.connect_from(3).await;
    assert_served(&mut good).await;
    for stream in &mut known {
        assert_served(stream).await;
    }
}

fn small() -> ServeSettings {
    ServeSettings {
        limits: lenient_limits(),
        bodies: BodyLimits {
            bytes_max: 1 << 20,
            per_address_bytes_max: 1 << 18,
        },
        ..ServeSettings::default()
    }
}

fn head_of(bytes: usize) -> String {
    format!("POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: {bytes}\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_bodies_together_have_a_bound_and_slow_ones_make_room() {
    let running = start(small()).await;
    let most = AtomicUsize::new(0);
    let look = || {
        let now = usize::try_from(running.metrics.bodies_bytes.get()).unwrap();
        most.fetch_max(now, Ordering::Relaxed);
    };
    let mut held = Vec::new();
    for count in 0..60 {
        let mut stream = running.connect_from(2 + count % 6).await;
        send(&mut stream, &head_of(1 << 20)).await;
        // Not all that is announced comes. Who is sent off meanwhile may notice.
        let _ = stream.write_all(&vec![b'x'; 100 << 10]).await;
        held.push(stream);
        look();
    }
    until("the room is taken", || {
        running.metrics.bodies_bytes.get() > 400 << 10
    })
    .await;
    for _ in 0..5 {
        let mut good = running.connect_from(9).await;
        send(&mut good, &head_of(50 << 10)).await;
        send(&mut good, &"y".repeat(50 << 10)).await;
        assert_eq!(answer(&mut good).await.1, "read 51200");
        look();
    }
    assert!(most.load(Ordering::Relaxed) <= 3 << 18, "{most:?}");
    drop(held);
    until("all of it is given back", || {
        running.metrics.bodies_bytes.get() == 0
    })
    .await;
}

#[tokio::test]
async fn a_body_that_finds_no_room_is_turned_away_and_its_address_alone() {
    let running = start(small()).await;
    let mut one = running.connect_from(2).await;
    send(&mut one, &head_of(300 << 10)).await;
    // A client that goes on sending is not slow: nobody makes room for it but itself.
    let sending = async {
        let piece = vec![b'x'; 1 << 10];
        loop {
            if one.write_all(&piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    let watched = async {
        until("it was turned away", || {
            running.metrics.bodies_busy.get() + running.metrics.bodies_evicted.get() > 0
        })
        .await;
        let mut other = running.connect_from(3).await;
        send(&mut other, &head_of(200 << 10)).await;
        send(&mut other, &"y".repeat(200 << 10)).await;
        assert_eq!(answer(&mut other).await.1, "read 204800");
    };
    tokio::select! {
        () = sending => {}
        () = watched => {}
    }
    assert!(running.metrics.bodies_busy.get() + running.metrics.bodies_evicted.get() > 0);
}

#[tokio::test]
async fn verified_clients_have_room_that_unverified_ones_have_not() {
    let running = start(small()).await;
    let mut known = running.connect_from(2).await;
    login(&mut known).await;
    // More than its address has for unverified clients.
    send(&mut known, &head_of(500 << 10)).await;
    send(&mut known, &"y".repeat(500 << 10)).await;
    assert_eq!(answer(&mut known).await.1, "read 512000");
    assert_eq!(running.metrics.bodies_bytes.get(), 0);
}

#[tokio::test]
async fn long_heads_of_unverified_clients_count_as_bodies_do() {
    let running = start(small()).await;
    let mut held = Vec::new();
    for _ in 0..40 {
        let mut stream = running.connect_from(2).await;
        send(&mut stream, "GET / HTTP/1.1\r\nHost: x\r\n").await;
        let _ = stream
            .write_all(format!("X: {}\r\n", "x".repeat(40 << 10)).as_bytes())
            .await;
        held.push(stream);
    }
    until("some found no room", || running.metrics.connections.get() < 40).await;
    assert!(running.metrics.bodies_bytes.get() <= 1 << 18);
    // A long head is served where there is room.
    drop(held);
    until("all of it is given back", || {
        running.metrics.bodies_bytes.get() == 0
    })
    .await;
    let mut good = running.connect_from(2).await;
    send(
        &mut good,
        &format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(40 << 10)),
    )
    .await;
    assert_eq!(answer(&mut good).await.1, "hello");
    assert_eq!(running.metrics.bodies_bytes.get(), 0);
}

#[tokio::test]
async fn a_stop_waits_for_answers_and_not_for_bodies_that_are_not_there() {
    let running = start(ServeLimits {
        stop_grace_ms: NEVER_MS,
        ..lenient_limits()
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..50 {
        let mut stream = running.connect().await;
        send(&mut stream, UNFINISHED).await;
        held.push(stream);
    }
    let mut busy = running.connect().await;
    send(&mut busy, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
    timeout(SOON, running.gate.began.notified()).await.unwrap();
    running.shutdown.cancel();
    let began = Instant::now();
    for stream in &mut held {
        closed(stream).await;
    }
    assert!(began.elapsed() < SOON);
    running.gate.open.notify_one();
    assert_eq!(answer(&mut busy).await.1, "held");
    assert_eq!(running.stop().await, Stopped { cut: 0 });
}

/// Sends from 127.0.0.`last` a request that is answered before its body is there, and leaves the connection open.
async fn answered_early(running: &Running, last: u8) -> TcpStream {
    let mut stream = running.connect_from(last).await;
    send(
        &mut stream,
        "POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
    )
    .await;
    assert_eq!(answer(&mut stream).await.1, "ignored");
    stream
}

#[tokio::test]
async fn connections_that_were_answered_and_do_not_end_make_room_at_their_address() {
    const MANY: usize = 8;
    let running = start(ServeLimits {
        per_address_max: MANY,
        ..lenient_limits()
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..MANY {
        held.push(answered_early(&running, 2).await);
    }
    pass(200).await;
    let mut more = Vec::new();
    for _ in 0..MANY {
        let mut next = running.connect_from(2).await;
        assert_served(&mut next).await;
        more.push(next);
    }
    assert_eq!(running.metrics.refused.get(), 0);
}

#[tokio::test]
async fn connections_that_were_answered_and_do_not_end_make_room_in_a_full_listener() {
    const MANY: usize = 8;
    let running = start(ServeLimits {
        connections_max: MANY,
        ..lenient_limits()
    })
    .await;
    let mut known = running.connect_from(9).await;
    login(&mut known).await;
    let mut held = Vec::new();
    for _ in 1..MANY {
        held.push(answered_early(&running, 2).await);
    }
    pass(200).await;
    let mut good = running.connect_from(3).await;
    assert_served(&mut good).await;
    assert_served(&mut known).await;
}

#[tokio::test]
async fn a_client_that_does_not_end_after_its_answer_is_not_counted_as_slow() {
    let running = start(lenient_limits()).await;
    let _held = (
        answered_early(&running, 2).await,
        answered_early(&running, 2).await,
    );
    until("both are closed in the end", || {
        running.metrics.connections.get() == 0
    })
    .await;
    assert_eq!(running.metrics.lingered.get(), 2);
    assert_eq!(running.metrics.timed_out.get(), 0);
}

#[tokio::test]
async fn a_request_whose_end_comes_while_its_connection_makes_room_is_answered_or_never_begun() {
    const MANY: u8 = 8;
    let running = start(ServeLimits {
        connections_max: usize::from(MANY),
        ..lenient_limits()
    })
    .await;
    for round in 0..5 {
        let mut slow = Vec::new();
        for last in 0..MANY {
            let mut stream = running.connect_from(10 + last).await;
            send(
                &mut stream,
                "POST /accept HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1",
            )
            .await;
            slow.push(stream);
        }
        until("all have begun their bodies", || {
            running.metrics.bodies_bytes.get() >= i64::from(MANY)
        })
        .await;
        pass(600).await;
        // Both are there before the listener runs again: somebody who needs room, and the end of each request.
        let newcomer = std::net::TcpStream::connect(running.addr).unwrap();
        for stream in &slow {
            stream.try_write(b"2").unwrap();
        }
        let mut answered = 0;
        for stream in &mut slow {
            let mut came = [0; 12];
            let read = timeout(SOON, stream.read_exact(&mut came))
                .await
                .expect("an end in time");
            answered += usize::from(read.is_ok() && came.ends_with(b" 200"));
        }
        drop((newcomer, slow));
        until("all are gone", || running.metrics.connections.get() == 0).await;
        let began = running.gate.accepts_begun.swap(0, Ordering::SeqCst);
        assert_eq!(began, answered, "round {round}");
    }
}

/// A customer whose requests come in part and then no further, from 127.0.0.`last`.
async fn stalled_customer(running: &Running, last: u8) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..12 {
        let mut stream = running.connect_from(last).await;
        login(&mut stream).await;
        send(&mut stream, &head_of(1 << 20)).await;
        let _ = stream.write_all(&vec![b'x'; 100 << 10]).await;
        held.push(stream);
    }
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_whose_bodies_do_not_come_keeps_no_other_customer_waiting() {
    let running = start(small()).await;
    let one = stalled_customer(&running, 2).await;
    until("the address has its half", || {
        running.metrics.bodies_bytes.get() > 400 << 10
    })
    .await;
    assert!(running.metrics.bodies_bytes.get() <= 512 << 10);
    let other = stalled_customer(&running, 3).await;
    for _ in 0..3 {
        let mut good = running.connect_from(9).await;
        login(&mut good).await;
        send(&mut good, &head_of(200 << 10)).await;
        send(&mut good, &"y".repeat(200 << 10)).await;
        assert_eq!(answer(&mut good).await.1, "read 204800");
    }
    drop((one, other));
    until("all of it is given back", || {
        running.metrics.bodies_bytes.get() == 0
    })
    .await;
}

#[tokio::test]
async fn connections_that_are_idle_after_a_body_nobody_read_make_room_at_once() {
    const MANY: usize = 64;
    let running = start(ServeLimits {
        connections_max: MANY,
        ..lenient_limits()
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..MANY {
        let mut stream = running.connect_from(2).await;
        let request = "POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345";
        send(&mut stream, request).await;
        assert_eq!(answer(&mut stream).await.1, "ignored");
        held.push(stream);
    }
    // One after the other goes; each would take two seconds if its end was waited for.
    let newcomers = async {
        for _ in 0..20 {
            let mut next = running.connect_from(3).await;
            assert_served(&mut next).await;
            held.push(next);
        }
    };
    timeout(SOON, newcomers).await.expect("room in time");
}

#[tokio::test]
async fn fresh_unverified_clients_from_many_addresses_close_no_idle_connection_of_a_customer() {
    const MANY: usize = 40;
    let running = start(ServeLimits {
        connections_max: MANY,
        ..lenient_limits()
    })
    .await;
    let mut known = Vec::new();
    for _ in 0..8 {
        let mut stream = running.connect_from(2).await;
        login(&mut stream).await;
        known.push(stream);
    }
    let mut unverified = Vec::new();
    for count in 0..200_u8 {
        let mut stream = running.connect_from(20 + count).await;
        send(&mut stream, "GET / HTTP/1.1\r\n").await;
        unverified.push(stream);
    }
    until("unverified clients have made room", || {
        running.metrics.evicted.get() >= 150
    })
    .await;
    for stream in &mut known {
        assert_served(stream).await;
    }
}
