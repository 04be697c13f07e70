//! Time to live: what waits too long ends visibly and is never sent, whatever its carrier does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod testkit;

use engine::accept::{AcceptResponse, Outcome};
use engine::catalog::{InDoubt, SmppSettings};
use engine::sms::state::MessageState;
use engine::{MessageView, UnixMs};
use smpp::CommandStatus;
use std::time::Duration;
use store::{CatalogChange, EXPIRED_IN_DOUBT, EXPIRED_UNSENT, Store, TimelineKind};
use testkit::{ACCOUNT, Act, CODE, End, Lines, PLAIN, Smsc, TestEngine, numbers, smpp, submission};
use tokio::net::TcpListener;

/// Sets the time to live of a template.
async fn lives(test: &TestEngine, number: i64, ttl_s: u32) {
    let catalog = test.store.load_catalog().await.unwrap();
    let mut template = catalog
        .templates
        .iter()
        .find(|template| template.number == number)
        .unwrap()
        .clone();
    template.ttl_s = Some(ttl_s);
    test.change(vec![CatalogChange::PutTemplate(template)]).await;
}

fn is_unsent(message: &MessageView) -> bool {
    (message.state, &*message.error) == (MessageState::Expired, EXPIRED_UNSENT)
}

fn settings(port: u16) -> SmppSettings {
    SmppSettings {
        reconnect_s: 1,
        reconnect_s_max: 1,
        ..smpp(port)
    }
}

async fn scheduled(test: &TestEngine, template: i64, number: u64, due: UnixMs) -> Outcome {
    let mut later = submission(template, &numbers(number + 1)[number as usize..]);
    later.due = Some(due);
    match test.engine.accept(later, None).await.unwrap().1 {
        AcceptResponse::New(outcome) => outcome,
        AcceptResponse::Replayed { .. } => panic!("no request id was given"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_comes_back_gets_no_old_codes() {
    let port = testkit::away().await;
    let test = TestEngine::start(vec![settings(port)]).await;
    lives(&test, PLAIN, 1).await;
    let old = test.send(PLAIN, &numbers(50)).await;
    let long = test.send(CODE, &[]).await;
    assert_eq!(long.accepted(), 0);
    // One that is still due when the carrier comes back, and one that waits for ever.
    lives(&test, PLAIN, 0).await;
    let forever = test.send(PLAIN, &numbers(52)[50..51]).await;
    lives(&test, PLAIN, 2).await;
    let later = scheduled(&test, PLAIN, 51, test.engine.now() + 8_000).await;
    let ended = test
        .until(&old, "expired while the carrier is away", is_unsent)
        .await;
    assert!(
        ended
            .iter()
            .all(|message| message.attempts == 0 && message.submitted_at.is_none())
    );
    let timeline = test.engine.timeline(ended[0].id).await.unwrap();
    assert!(
        matches!(
            timeline.last().unwrap().kind,
            TimelineKind::Expired { in_doubt: false, .. }
        ),
        "{timeline:?}"
    );
    assert_eq!(
        test.store.metrics().expired.iter().map(|(.., n)| n).sum::<u64>(),
        50
    );

    let smsc = Smsc::start_on(TcpListener::bind(("127.0.0.1", port)).await.unwrap(), |_, _| {
        Act::DELIVER
    });
    let is_delivered = |message: &MessageView| message.state == MessageState::Delivered;
    test.until(&forever, "delivered", is_delivered).await;
    test.until(&later, "delivered, counted from its schedule", is_delivered)
        .await;
    assert_eq!(
        smsc.times().into_keys().collect::<Vec<_>>(),
        numbers(52)[50..]
            .iter()
            .map(|number| number[1..].to_owned())
            .collect::<Vec<_>>()
    );
    assert!(test.session(&old).await.iter().all(is_unsent));
}

/// Each attempt reads the lane again and finds the same messages expired.
#[tokio::test]
async fn messages_that_the_store_cannot_end_are_tried_again_after_a_pause() {
    const TRIED: &str = "expiry";
    let lines = Lines::follow();
    let port = testkit::away().await;
    let test = TestEngine::start(vec![settings(port)]).await;
    lives(&test, PLAIN, 1).await;
    let old = test.send(PLAIN, &numbers(3)).await;
    let end_refusals = test.refuse("INSERT ON message_status");
    lines.until(TRIED, 1).await;
    let smsc = Smsc::start_on(TcpListener::bind(("127.0.0.1", port)).await.unwrap(), |_, _| {
        Act::DELIVER
    });
    let taken = "message expiry failed";
    let tried = lines.until(taken, 3).await;
    assert!(
        tried
            .windows(2)
            .all(|two| two[1] - two[0] >= Duration::from_millis(500)),
        "{tried:?}"
    );
    end_refusals();
    test.until(&old, "expired", is_unsent).await;
    assert_eq!(smsc.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expired_while_no_process_ran_is_not_sent_after_a_start() {
    let port = testkit::away().await;
    let test = TestEngine::start(vec![settings(port)]).await;
    lives(&test, PLAIN, 1).await;
    let old = test.send(PLAIN, &numbers(20)).await;
    let first = old.items[0].session.unwrap();
    let end = test.engine.session(ACCOUNT, first, 1).await.unwrap()[0]
        .batch
        .expires_at
        .unwrap();
    let test = test
        .restart_waiting(async |clock| {
            while clock() <= end {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    let smsc = Smsc::start_on(TcpListener::bind(("127.0.0.1", port)).await.unwrap(), |_, _| {
        Act::DELIVER
    });
    lives(&test, PLAIN, 0).await;
    let new = test.send(PLAIN, &numbers(21)[20..]).await;
    test.until(&new, "delivered", |message| {
        message.state == MessageState::Delivered
    })
    .await;
    test.until(&old, "expired", is_unsent).await;
    assert_eq!(smsc.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fail_over_moves_nothing_that_has_expired() {
    let port = testkit::away().await;
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let slow = SmppSettings {
        failover_after_s: 3,
        ..settings(port)
    };
    let test = TestEngine::start(vec![slow, smpp(smsc.port)]).await;
    lives(&test, PLAIN, 1).await;
    let old = test.send(PLAIN, &numbers(10)).await;
    lives(&test, PLAIN, 60).await;
    let new = test.send(PLAIN, &numbers(11)[10..]).await;
    test.until(&new, "delivered elsewhere", |message| {
        message.state == MessageState::Delivered
    })
    .await;
    test.until(&old, "expired", is_unsent).await;
    assert_eq!(smsc.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_would_come_too_late_ends_its_message_at_once() {
    let smsc = Smsc::start(|_, _| Act::refuse(CommandStatus::RSYSERR)).await;
    let long_timeout = SmppSettings {
        retry_s: 300,
        retry_s_max: 300,
        ..smpp(smsc.port)
    };
    let test = TestEngine::start(vec![long_timeout]).await;
    lives(&test, CODE, 60).await;
    let mut code = submission(CODE, &numbers(1));
    code.items[0].values = engine::accept::Values::Positional(vec![Box::from("1234")]);
    let AcceptResponse::New(outcome) = test.engine.accept(code, None).await.unwrap().1 else {
        panic!("no request id was given")
    };
    let ended = test.until(&outcome, "expired", is_unsent).await;
    assert_eq!(
        (ended[0].attempts, ended[0].status),
        (1, CommandStatus::RSYSERR.0)
    );
    assert_eq!(smsc.seen().len(), 1);
    let timeline = test.engine.timeline(ended[0].id).await.unwrap();
    let requeued = timeline
        .iter()
        .any(|entry| matches!(entry.kind, TimelineKind::Requeued { .. }));
    assert!(!requeued, "{timeline:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expires_while_it_waits_for_a_slot_is_not_written() {
    let smsc = Smsc::start(|n, _| Act {
        late_ms: if n == 0 { 3_000 } else { 0 },
        ..Act::DELIVER
    })
    .await;
    let narrow = SmppSettings {
        window_max: 1,
        ..smpp(smsc.port)
    };
    let test = TestEngine::start(vec![narrow]).await;
    lives(&test, PLAIN, 2).await;
    let outcome = test.send(PLAIN, &numbers(3)).await;
    lives(&test, PLAIN, 60).await;
    let later = test.send(PLAIN, &numbers(4)[3..]).await;
    let is_delivered = |message: &MessageView| message.state == MessageState::Delivered;
    test.until(&later, "delivered", is_delivered).await;
    let ended = test
        .until(&outcome, "ended", |message| {
            is_delivered(message) || is_unsent(message)
        })
        .await;
    assert_eq!(ended.iter().filter(|message| is_unsent(message)).count(), 2);
    assert_eq!(smsc.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_doubt_that_cannot_be_sent_again_in_time_ends_as_unknown() {
    for (policy, state) in [
        (InDoubt::Resend, MessageState::Unknown),
        (InDoubt::Hold, MessageState::InDoubt),
    ] {
        // The first submit gets no answer, and the carrier does not come back.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let smsc = Smsc::start_on(listener, |_, _| Act::ending(End::HangUp));
        let doubtful = SmppSettings {
            in_doubt: policy,
            reconnect_s: 30,
            reconnect_s_max: 30,
            ..smpp(port)
        };
        let test = TestEngine::start(vec![doubtful]).await;
        lives(&test, PLAIN, 2).await;
        let outcome = test.send(PLAIN, &numbers(1)).await;
        if state == MessageState::InDoubt {
            test.until(&outcome, "held", |message| message.state == state)
                .await;
            let end = test.session(&outcome).await[0].batch.expires_at.unwrap();
            while test.engine.now() <= end + 1_500 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let ended = test
            .until(&outcome, "settled", |message| message.state == state)
            .await;
        let error = if state == MessageState::Unknown {
            EXPIRED_IN_DOUBT
        } else {
            ""
        };
        assert_eq!(&*ended[0].error, error);
        assert_eq!(smsc.seen().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_validity_of_a_submit_is_what_is_left() {
    let seconds = |validity: &[u8]| -> Option<u32> {
        let text = std::str::from_utf8(validity).unwrap();
        if text.is_empty() {
            return None;
        }
        assert!(text.len() == 16 && text.ends_with("000R"), "{text}");
        let part = |from: usize| text[from..from + 2].parse::<u32>().unwrap();
        Some(part(4) * 86_400 + part(6) * 3_600 + part(8) * 60 + part(10))
    };
    for (ttl_s, validity_s, least, most) in [
        (0, 0, None, None),
        (0, 90, Some(90), Some(90)),
        (600, 0, Some(590), Some(600)),
        (600, 90, Some(90), Some(90)),
        (60, 600, Some(50), Some(60)),
        (259_200, 0, Some(259_190), Some(259_200)),
    ] {
        let smsc = Smsc::start(|_, _| Act::DELIVER).await;
        let carrier = SmppSettings {
            validity_s,
            ..smpp(smsc.port)
        };
        let test = TestEngine::start(vec![carrier]).await;
        lives(&test, PLAIN, ttl_s).await;
        let outcome = test.send(PLAIN, &numbers(1)).await;
        test.until(&outcome, "delivered", |message| {
            message.state == MessageState::Delivered
        })
        .await;
        let given = seconds(smsc.seen()[0].validity_period.as_bytes());
        assert!(
            given >= least && given <= most,
            "{ttl_s} and {validity_s} gave {given:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_kill_left_in_doubt_is_not_sent_again_after_its_end() {
    let port = testkit::away().await;
    let test = TestEngine::start(vec![settings(port)]).await;
    lives(&test, PLAIN, 1).await;
    let outcome = test.send(PLAIN, &numbers(1)).await;
    let message = test.session(&outcome).await.remove(0);
    let end = message.batch.expires_at.unwrap();
    // An attempt that a killed process had begun: nobody knows whether it was written.
    let lane = test.store.lanes().await.unwrap()[0].lane;
    let waiting = test.store.read_lane(lane, None, 9).await.unwrap();
    let start = store::AttemptStart {
        carrier: lane.carrier,
        bind: 0,
        now: test.engine.now(),
        messages: vec![message.id],
        consumed: vec![store::DequeuedRange {
            key: waiting[0].key,
            first: message.id,
            last: message.id,
        }],
    };
    let begun = test.store.begin_attempts(vec![start]).await.unwrap();
    assert!(begun[0].gone.is_empty());
    let test = test
        .restart_waiting(async |now| {
            while now() <= end {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    let smsc = Smsc::start_on(TcpListener::bind(("127.0.0.1", port)).await.unwrap(), |_, _| {
        Act::DELIVER
    });
    let ended = test
        .until(&outcome, "unknown", |message| {
            message.state == MessageState::Unknown
        })
        .await;
    assert_eq!((&*ended[0].error, ended[0].attempts), (EXPIRED_IN_DOUBT, 1));
    let reason = engine::ReasonView::of(&ended[0]).unwrap();
    assert_eq!((reason.code, reason.name), (2304, "expired_in_doubt"));
    lives(&test, PLAIN, 60).await;
    let new = test.send(PLAIN, &numbers(2)[1..]).await;
    test.until(&new, "delivered", |message| {
        message.state == MessageState::Delivered
    })
    .await;
    assert_eq!(smsc.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_given_in_part_when_its_time_ends_is_given_whole() {
    let smsc = Smsc::start(|_, _| Act {
        late_ms: 400,
        ..Act::DELIVER
    })
    .await;
    let narrow = SmppSettings {
        window_max: 1,
        ..smpp(smsc.port)
    };
    let test = TestEngine::start(vec![narrow]).await;
    lives(&test, CODE, 1).await;
    let outcome = test.send_long(&"x".repeat(800), &numbers(1)).await;
    let ended = test
        .until(&outcome, "ended", |message| message.state.is_final())
        .await;
    assert_eq!(ended[0].state, MessageState::Delivered);
    assert_eq!(smsc.seen().len(), usize::from(ended[0].segments));
    let end = ended[0].batch.expires_at.unwrap();
    assert!(
        ended[0].submitted_at.unwrap() > end,
        "its time ended in the middle"
    );
}
