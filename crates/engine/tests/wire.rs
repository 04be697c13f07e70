//! What a message looks like to its carrier, over a real session and a real store.

mod house;

use engine::accept::{Outcome, Reply, Values};
use engine::catalog::{Linking, SmppSettings};
use engine::sms::state::MessageState as State;
use house::{Act, CODE, House, Smsc, numbers, smpp, submission};
use smpp::CommandStatus;
use smpp::pdu::SubmitSm;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Sends one text to one number.
async fn send(house: &House, text: &str) -> Outcome {
    let mut one = submission(CODE, &numbers(1));
    one.items[0].values = Values::Positional(vec![text.into()]);
    match house.engine.accept(one, None).await.unwrap().1 {
        Reply::New(outcome) => outcome,
        Reply::Repeat { .. } => panic!("no request id was given"),
    }
}

/// What ties a part to the others of its message.
fn reference(linking: Linking, part: &SubmitSm) -> u16 {
    let header = &part.short_message;
    match linking {
        Linking::Udh16 => u16::from_be_bytes([header[3], header[4]]),
        Linking::Udh8 => u16::from(header[3]),
        Linking::Sar => part.tlvs.sar().unwrap().reference,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_messages_to_one_number_never_share_a_reference_also_after_a_restart() {
    for linking in [Linking::Udh16, Linking::Udh8, Linking::Sar] {
        let smsc = Smsc::start(|_, _| Act::DELIVER).await;
        let mut house = House::start(vec![SmppSettings {
            linking,
            ..smpp(smsc.port)
        }])
        .await;
        for _ in 0..3 {
            for n in 0..20 {
                let outcome = send(&house, &format!("{n}{}", "x".repeat(200))).await;
                house
                    .until(&outcome, "delivered", |message| message.state == State::Delivered)
                    .await;
            }
            house = house.restart().await;
        }
        let seen = smsc.seen();
        assert_eq!(seen.len(), 120);
        let all: HashSet<u16> = seen.iter().map(|part| reference(linking, part)).collect();
        assert_eq!(all.len(), 60, "{linking:?}");
        for parts in seen.chunks(2) {
            assert_eq!(reference(linking, &parts[0]), reference(linking, &parts[1]));
        }
        house.engine.stop(Duration::from_secs(5)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_sent_again_keeps_its_reference_on_any_carrier_and_after_a_restart() {
    let refusals = std::sync::Arc::new(AtomicU64::new(4));
    let left = std::sync::Arc::clone(&refusals);
    let first = Smsc::start(move |_, _| {
        if left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok()
        {
            Act::refuse(CommandStatus::RINVSRCADR)
        } else {
            Act::DELIVER
        }
    })
    .await;
    let second = Smsc::start(|_, _| Act::refuse(CommandStatus::RSYSERR)).await;
    let settings = |port| SmppSettings {
        attempts_max: 200,
        ..smpp(port)
    };
    let house = House::start(vec![settings(first.port), settings(second.port)]).await;
    // Both parts are refused here for their sender, go to the second carrier, fail there, and wait for their retry.
    let outcome = send(&house, &"x".repeat(200)).await;
    house
        .until(&outcome, "tried by both", |message| message.attempts >= 2)
        .await;
    let house = house.restart().await;
    house
        .until(&outcome, "tried after the restart", |message| {
            message.attempts >= 3
        })
        .await;
    let seen: Vec<SubmitSm> = first.seen().into_iter().chain(second.seen()).collect();
    assert!(seen.len() >= 6);
    let references: HashSet<u16> = seen.iter().map(|part| reference(Linking::Udh16, part)).collect();
    assert_eq!(references.len(), 1);
    house.engine.stop(Duration::from_secs(5)).await.unwrap();
}
