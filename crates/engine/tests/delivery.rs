//! The message's way over a real carrier session and a real store.

mod testkit;

use engine::CarrierNo;
use engine::accept::{AcceptResponse, RecipientOutcome, Refusal};
use engine::catalog::{CarrierSettings, InDoubt, SmppSettings};
use engine::sms::state::MessageState as State;
use smpp::CommandStatus;
use smpp::field::MessageState as ReceiptState;
use std::time::Duration;
use store::{Carrier, CatalogChange, TimelineKind};
use testkit::{Act, CAMPAIGN, CODE, End, PLAIN, Smsc, TestEngine, ids, numbers, smpp, submission};
use tokio::net::TcpListener;

fn state(wanted: State) -> impl Fn(&engine::MessageView) -> bool {
    move |message| message.state == wanted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_delivered_and_every_receipt_recorded() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let outcome = test.send(PLAIN, &numbers(1000)).await;
    assert_eq!(outcome.accepted(), 1000);
    let messages = test.until(&outcome, "delivered", state(State::Delivered)).await;
    assert!(
        messages
            .iter()
            .all(|message| message.attempts == 1 && message.submitted_at.is_some())
    );
    assert_eq!(smsc.times().len(), 1000);
    assert!(
        smsc.times().values().all(|times| *times == 1),
        "each exactly once"
    );
    test.engine.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_filled_and_long_ones_come_in_parts_that_are_counted_together() {
    let smsc = Smsc::start(|n, _| Act {
        receipt: Some(if n == 1 {
            ReceiptState::EXPIRED
        } else {
            ReceiptState::DELIVERED
        }),
        ..Act::DELIVER
    })
    .await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let mut long = submission(CODE, &numbers(1));
    long.items[0].values = engine::accept::Values::Positional(vec!["x".repeat(300).into()]);
    let AcceptResponse::New(outcome) = test.engine.accept(long, None).await.unwrap().1 else {
        panic!("no id given")
    };
    let messages = test
        .until(&outcome, "ended", |message| message.state.is_final())
        .await;
    assert_eq!(messages[0].segments, 3);
    assert_eq!(
        messages[0].state,
        State::Expired,
        "delivered only if all parts are"
    );
    let seen = smsc.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|submit| submit.esm_class.has_udhi()));
    assert!(seen[0].short_message[7..].starts_with(b"Your code is xxx"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_come_before_the_answer_count() {
    let smsc = Smsc::start(|_, _| Act {
        early: true,
        ..Act::DELIVER
    })
    .await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let outcome = test.send(PLAIN, &numbers(200)).await;
    test.until(&outcome, "delivered", state(State::Delivered)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttling_and_full_queues_slow_the_bind_and_cost_no_attempt() {
    let smsc = Smsc::start(|n, _| match n {
        0..10 => Act::refuse(CommandStatus::RTHROTTLED),
        10..20 => Act::refuse(CommandStatus::RMSGQFUL),
        _ => Act::DELIVER,
    })
    .await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let outcome = test.send(PLAIN, &numbers(50)).await;
    let messages = test.until(&outcome, "delivered", state(State::Delivered)).await;
    assert!(messages.iter().all(|message| message.attempts == 1));
    assert_eq!(smsc.seen().len(), 70);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_end_or_repeat_a_message_by_their_class() {
    let smsc = Smsc::start(|n, submit| match submit.destination.addr.as_bytes() {
        b"447700900000" => Act::refuse(CommandStatus::RINVDSTADR),
        b"447700900001" if n < 5 => Act::refuse(CommandStatus::RSYSERR),
        b"447700900002" => Act::refuse(CommandStatus::RINVSRCADR),
        _ => Act {
            receipt: Some(ReceiptState::UNDELIVERABLE),
            ..Act::DELIVER
        },
    })
    .await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let outcome = test.send(PLAIN, &numbers(4)).await;
    let messages = test
        .until(&outcome, "ended", |message| {
            message.state.is_final() || message.attempts > 1
        })
        .await;
    let states: Vec<_> = messages.iter().map(|message| message.state).collect();
    assert_eq!(states[0], State::Rejected, "a bad number is final");
    assert_eq!(states[2], State::Rejected, "no other carrier takes the sender");
    assert_eq!(states[3], State::Undelivered);
    let again = test
        .until(&outcome, "ended", |message| message.state.is_final())
        .await;
    assert!(again[1].attempts > 1, "a transient error is tried again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_refused_by_one_carrier_is_tried_at_the_next() {
    let first = Smsc::start(|_, _| Act::refuse(CommandStatus::RINVSRCADR)).await;
    let second = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![smpp(first.port), smpp(second.port)]).await;
    let outcome = test.send(PLAIN, &numbers(20)).await;
    let messages = test.until(&outcome, "delivered", state(State::Delivered)).await;
    assert!(messages.iter().all(|message| message.carrier == CarrierNo(2)));
    let timeline = test.engine.timeline(messages[0].id).await.unwrap();
    let carriers: Vec<_> = timeline
        .iter()
        .filter_map(|entry| match entry.kind {
            TimelineKind::Attempt { carrier, .. } => Some(carrier.0),
            _ => None,
        })
        .collect();
    assert_eq!(carriers, [1, 2], "the timeline has both attempts: {timeline:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_lost_in_mid_window_loses_nothing_and_repeats_at_most_the_window() {
    let smsc = Smsc::start(|n, _| Act {
        end: (n == 30 || n == 100).then_some(End::HangUp),
        ..Act::DELIVER
    })
    .await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let outcome = test.send(PLAIN, &numbers(300)).await;
    // This SMSC drops receipts with the session they were on.
    let taken = |message: &engine::MessageView| matches!(message.state, State::Submitted | State::Delivered);
    test.until(&outcome, "taken", taken).await;
    let times = smsc.times();
    assert_eq!(times.len(), 300, "none lost");
    let repeats: usize = times.values().map(|times| times - 1).sum();
    assert!(
        repeats <= 2 * 20,
        "{repeats} repeats for two losses of a window of 20"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_may_ask_to_hold_what_is_in_doubt() {
    let smsc = Smsc::start(|n, _| Act {
        end: (n == 0).then_some(End::HangUp),
        ..Act::DELIVER
    })
    .await;
    let test = TestEngine::start(vec![SmppSettings {
        in_doubt: InDoubt::Hold,
        window_max: 1,
        ..smpp(smsc.port)
    }])
    .await;
    let outcome = test.send(PLAIN, &numbers(5)).await;
    let settled = |message: &engine::MessageView| matches!(message.state, State::Delivered | State::InDoubt);
    let messages = test.until(&outcome, "settled", settled).await;
    let held = messages
        .iter()
        .filter(|message| message.state == State::InDoubt)
        .count();
    assert_eq!(held, 1, "the one that was on the wire is held");
    assert!(
        smsc.times().values().all(|times| *times == 1),
        "nothing is sent twice"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_carrier_that_is_away_goes_to_the_next_of_the_route() {
    let away = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = away.local_addr().unwrap().port();
    drop(away);
    let second = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![smpp(port), smpp(second.port)]).await;
    let outcome = test.send(PLAIN, &numbers(1500)).await;
    test.until(&outcome, "delivered", state(State::Delivered)).await;
    assert_eq!(second.times().len(), 1500);
    assert!(second.times().values().all(|times| *times == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_survives_a_restart_and_goes_out_when_the_carrier_is_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let test = TestEngine::start(vec![smpp(port)]).await;
    let outcome = test.send(PLAIN, &numbers(700)).await;
    let test = test.restart().await;
    assert!(
        test.session(&outcome)
            .await
            .iter()
            .all(|message| message.state == State::Queued)
    );
    let smsc = Smsc::start_on(TcpListener::bind(("127.0.0.1", port)).await.unwrap(), |_, _| {
        Act::DELIVER
    });
    test.until(&outcome, "delivered", state(State::Delivered)).await;
    assert!(smsc.times().values().all(|times| *times == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_passes_a_campaign_that_waits() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![SmppSettings {
        rate_per_s_max: 200,
        ..smpp(smsc.port)
    }])
    .await;
    let campaign = test.send(CAMPAIGN, &numbers(600)).await;
    let code = test.send(CODE, &["+447700909999".to_owned()]).await;
    test.until(&code, "delivered", state(State::Delivered)).await;
    let before = smsc
        .seen()
        .iter()
        .position(|submit| submit.short_message.starts_with(b"Your code"))
        .unwrap();
    assert!(
        before < 150,
        "{before} messages of the campaign went before the code"
    );
    let waiting = test
        .session(&campaign)
        .await
        .iter()
        .filter(|message| !message.state.is_final())
        .count();
    assert!(waiting > 100, "the campaign still waits: {waiting}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_id_is_done_once_however_many_ask_at_once() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let to = numbers(10);
    let replies = futures_util::future::join_all((0..20).map(|_| test.send_once(&to, "same"))).await;
    let (mut new, mut repeats) = (Vec::new(), 0);
    for reply in replies {
        match reply {
            AcceptResponse::New(outcome) => new.push(outcome),
            AcceptResponse::Replayed { answer, same_body } => {
                assert_eq!((answer.as_slice(), same_body), (b"10 accepted".as_slice(), true));
                repeats += 1;
            }
        }
    }
    assert_eq!((new.len(), repeats), (1, 19));
    test.until(&new[0], "delivered", state(State::Delivered)).await;
    assert!(smsc.times().values().all(|times| *times == 1));
    let test = test.restart().await;
    let AcceptResponse::Replayed { same_body, .. } = test.send_once(&numbers(11), "same").await else {
        panic!("an id is remembered over a restart")
    };
    assert!(!same_body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_is_followed_when_its_settings_change_or_it_goes() {
    let (first, second) = (
        Smsc::start(|_, _| Act::DELIVER).await,
        Smsc::start(|_, _| Act::DELIVER).await,
    );
    let test = TestEngine::start(vec![smpp(first.port), smpp(second.port)]).await;
    let outcome = test.send(PLAIN, &numbers(10)).await;
    test.until(&outcome, "delivered", state(State::Delivered)).await;
    assert_eq!(first.seen().len(), 10);

    let moved = CarrierSettings::Smpp(Box::new(smpp(second.port)));
    let change = CatalogChange::PutCarrier(Carrier {
        no: CarrierNo(1),
        name: "carrier-1".into(),
        settings: serde_json::to_value(moved).unwrap(),
    });
    test.change(vec![change]).await;
    let outcome = test.send(PLAIN, &numbers(10)).await;
    test.until(&outcome, "delivered", state(State::Delivered)).await;
    assert_eq!((first.seen().len(), second.seen().len()), (10, 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_accepted_says_so_and_nothing_is_sent() {
    let smsc = Smsc::start(|_, _| Act::DELIVER).await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let outcome = test.send(99, &numbers(2)).await;
    assert_eq!(
        outcome.items[0].outcomes,
        [RecipientOutcome::Refused(Refusal::TemplateUnknown); 2]
    );
    assert!(ids(&outcome).is_empty());
    let mut scheduled = submission(PLAIN, &numbers(1));
    scheduled.due = Some(test.engine.now() + 1_000);
    let AcceptResponse::New(outcome) = test.engine.accept(scheduled, None).await.unwrap().1 else {
        panic!("no id given")
    };
    assert_eq!(test.session(&outcome).await[0].state, State::Queued);
    let sent = test.until(&outcome, "delivered", state(State::Delivered)).await;
    assert!(
        sent[0].submitted_at.unwrap() >= sent[0].batch.accepted_at + 900,
        "not before its time"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_late_settles_what_was_held() {
    let smsc = Smsc::start(|_, _| Act {
        late_ms: 1_500,
        receipt: None,
        ..Act::DELIVER
    })
    .await;
    let settings = SmppSettings {
        in_doubt: InDoubt::Hold,
        response_timeout_s: 1,
        ..smpp(smsc.port)
    };
    let test = TestEngine::start(vec![settings]).await;
    let outcome = test.send(PLAIN, &numbers(1)).await;
    test.until(&outcome, "held", state(State::InDoubt)).await;
    test.until(&outcome, "taken", state(State::Submitted)).await;
    assert_eq!(smsc.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_receipt_never_comes_ends_as_unknown() {
    let smsc = Smsc::start(|_, _| Act {
        receipt: None,
        ..Act::DELIVER
    })
    .await;
    let test = TestEngine::waiting(vec![smpp(smsc.port)], Duration::from_secs(2)).await;
    let outcome = test.send(PLAIN, &numbers(3)).await;
    test.until(&outcome, "taken", state(State::Submitted)).await;
    test.until(&outcome, "given up", state(State::Unknown)).await;
}
