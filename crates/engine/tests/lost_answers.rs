//! Submits whose answers never come, in each way in which an answer can be lost.

mod testkit;

use engine::CarrierNo;
use engine::catalog::{InDoubt, SmppSettings};
use engine::sms::state::MessageState as State;
use smpp::CommandStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use testkit::{Act, End, PLAIN, Smsc, TestEngine, numbers, smpp};

fn losing() -> [(&'static str, Act); 4] {
    [
        ("the connection is closed", Act::ending(End::HangUp)),
        ("the carrier unbinds", Act::ending(End::Unbind)),
        ("the frame is broken", Act::ending(End::BrokenFrame)),
        ("no answer comes", Act::silent()),
    ]
}

fn settings(port: u16) -> SmppSettings {
    SmppSettings {
        attempts_max: 3,
        response_timeout_s: 1,
        reconnect_s_max: 2,
        // What is tried here is the count of attempts, not the carrier's absence.
        failover_after_s: 3600,
        ..smpp(port)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_answer_is_lost_counts_its_attempts_and_goes_to_the_next_carrier() {
    for (how, act) in losing() {
        let first = Smsc::start(move |_, _| act.clone()).await;
        let second = Smsc::start(|_, _| Act::DELIVER).await;
        let test = TestEngine::start(vec![settings(first.port), settings(second.port)]).await;
        let outcome = test.send(PLAIN, &numbers(2)).await;
        let messages = test
            .until(&outcome, "delivered", |message| message.state == State::Delivered)
            .await;
        assert!(
            messages.iter().all(|message| message.carrier == CarrierNo(2)),
            "{how}"
        );
        assert!(
            first.times().values().all(|times| *times <= 2),
            "{how}: {:?}",
            first.times()
        );
        assert!(second.times().values().all(|times| *times == 1), "{how}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_answers_are_all_lost_ends_as_unknown() {
    for (how, act) in losing() {
        let smsc = Smsc::start(move |_, _| act.clone()).await;
        let test = TestEngine::start(vec![settings(smsc.port)]).await;
        let outcome = test.send(PLAIN, &numbers(2)).await;
        let messages = test
            .until(&outcome, "ended", |message| message.state.is_final())
            .await;
        for message in &messages {
            assert_eq!((message.state, message.attempts), (State::Unknown, 3), "{how}");
        }
        assert!(
            smsc.times().values().all(|times| *times <= 3),
            "{how}: {:?}",
            smsc.times()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_policy_is_to_hold_a_lost_answer_is_held_and_not_repeated() {
    for (how, act) in losing() {
        let smsc = Smsc::start(move |_, _| act.clone()).await;
        let test = TestEngine::start(vec![SmppSettings {
            in_doubt: InDoubt::Hold,
            ..settings(smsc.port)
        }])
        .await;
        let outcome = test.send(PLAIN, &numbers(1)).await;
        test.until(&outcome, "held", |message| message.state == State::InDoubt)
            .await;
        assert_eq!(smsc.seen().len(), 1, "{how}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nack_refuses_whatever_its_status_says() {
    let smsc = Smsc::start(|_, _| Act::nack()).await;
    let test = TestEngine::start(vec![SmppSettings {
        attempts_max: 2,
        ..settings(smsc.port)
    }])
    .await;
    let outcome = test.send(PLAIN, &numbers(1)).await;
    let messages = test
        .until(&outcome, "ended", |message| message.state.is_final())
        .await;
    assert_eq!(messages[0].state, State::Rejected);
    assert_eq!(smsc.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_carrier_does_not_know_any_more_is_bound_again() {
    let knows = Arc::new(AtomicBool::new(false));
    let known = Arc::clone(&knows);
    let smsc = Smsc::start(move |_, _| {
        if known.load(Ordering::Relaxed) {
            Act::DELIVER
        } else {
            Act::refuse(CommandStatus::RINVBNDSTS)
        }
    })
    .await;
    let test = TestEngine::start(vec![settings(smsc.port)]).await;
    let outcome = test.send(PLAIN, &numbers(5)).await;
    let again = async {
        while smsc.sessions() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again)
        .await
        .expect("bound again");
    knows.store(true, Ordering::Relaxed);
    let messages = test
        .until(&outcome, "delivered", |message| message.state == State::Delivered)
        .await;
    assert!(
        messages.iter().all(|message| message.attempts == 1),
        "a refusal of the session is no attempt"
    );
}
