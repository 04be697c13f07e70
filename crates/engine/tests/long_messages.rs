//! Messages of several segments over a real carrier session and a real store: each segment is a submit of its own, with
//! its own slot of the window, its own answer and its own retry.

mod testkit;

use engine::CarrierNo;
use engine::catalog::{
    CarrierSettings, DataCoding as Alphabet, DefaultAlphabet, InDoubt, Linking, LongText, ReceiptFor,
    SmppSettings,
};
use engine::sms::state::MessageState as State;
use smpp::CommandStatus;
use smpp::field::DataCoding;
use smpp::pdu::SubmitSm;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Carrier, CatalogChange, TimelineEntry, TimelineKind};
use testkit::{Act, CODE, End, PLAIN, Smsc, TestEngine, numbers, smpp};

fn state(wanted: State) -> impl Fn(&engine::MessageView) -> bool {
    move |message| message.state == wanted
}

/// A text whose message has this many segments of 152 characters; the template adds 13 characters before it.
fn text_of(segments: usize) -> String {
    let mut text: String = (0..segments * 152 - 20)
        .map(|n| char::from(b'a' + (n % 23) as u8))
        .collect();
    text.truncate(segments * 152 - 20);
    text
}

/// Number, reference, total and index (from 1) of a segment that is tied by a header; a short text is 1 of 1.
fn tie(submit: &SubmitSm) -> (String, u16, u8, u8) {
    let to = String::from_utf8_lossy(submit.destination.addr.as_bytes()).into_owned();
    if let Some(sar) = submit.tlvs.sar() {
        return (to, sar.reference, sar.total, sar.seqnum);
    }
    match &submit.short_message[..] {
        [6, 8, 4, high, low, total, seq, ..] if submit.esm_class.has_udhi() => {
            (to, u16::from_be_bytes([*high, *low]), *total, *seq)
        }
        [5, 0, 3, reference, total, seq, ..] if submit.esm_class.has_udhi() => {
            (to, u16::from(*reference), *total, *seq)
        }
        _ => (to, 0, 1, 1),
    }
}

/// How often each segment of each message was submitted, by number and index.
fn submits(smsc: &Smsc) -> BTreeMap<(String, u8), usize> {
    let mut submits = BTreeMap::new();
    for submit in smsc.seen() {
        let (to, _, _, seq) = tie(&submit);
        *submits.entry((to, seq)).or_default() += 1;
    }
    submits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_of_more_segments_than_the_window_goes_out_and_stops_nobody() {
    for (window_max, segments) in [(1, 3), (1, 25), (3, 4), (10, 12)] {
        let smsc = Smsc::start(|_, _| Act::DELIVER).await;
        let test = TestEngine::start(vec![SmppSettings {
            window_max,
            ..smpp(smsc.port)
        }])
        .await;
        let long = test
            .send_long(&text_of(segments), &["+447700900500".to_owned()])
            .await;
        let short = test.send(PLAIN, &numbers(5)).await;
        let messages = test.until(&long, "delivered", state(State::Delivered)).await;
        assert_eq!(usize::from(messages[0].segments), segments);
        assert_eq!(messages[0].attempts, 1);
        test.until(&short, "delivered", state(State::Delivered)).await;
        let submits = submits(&smsc);
        assert_eq!(submits.len(), segments + 5, "window {window_max}");
        assert!(
            submits.values().all(|times| *times == 1),
            "each once: {submits:?}"
        );
        test.engine.stop(Duration::from_secs(5)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_passes_what_waits_of_a_long_text() {
    let smsc = Smsc::start(|_, _| Act {
        late_ms: 40,
        ..Act::DELIVER
    })
    .await;
    let test = TestEngine::start(vec![SmppSettings {
        window_max: 1,
        ..smpp(smsc.port)
    }])
    .await;
    let mut long = testkit::submission(testkit::CAMPAIGN, &["+447700900500".to_owned()]);
    long.items[0].template = engine::accept::TemplateRef::Number(testkit::LONG_CAMPAIGN);
    let engine::accept::AcceptResponse::New(long) = test.engine.accept(long, None).await.unwrap().1 else {
        panic!("no id given")
    };
    test.until(&long, "under way", |message| message.state == State::InFlight)
        .await;
    let code = test.send(CODE, &["+447700900501".to_owned()]).await;
    test.until(&code, "taken", |message| message.submitted_at.is_some())
        .await;
    let place = smsc
        .seen()
        .iter()
        .position(|submit| !submit.esm_class.has_udhi())
        .unwrap();
    assert!(place < 10, "the code came after {place} of 20 segments");
    test.until(&long, "delivered", state(State::Delivered)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_refused_for_now_goes_again_alone_with_the_same_reference() {
    let codes = [
        CommandStatus::RTHROTTLED,
        CommandStatus::RMSGQFUL,
        CommandStatus::RSYSERR,
    ];
    for linking in [Linking::Udh16, Linking::Udh8, Linking::Sar] {
        for (code, refused) in codes.into_iter().zip([1u8, 2, 3]) {
            let once = Mutex::new(true);
            let smsc = Smsc::start(move |_, submit| {
                if tie(submit).3 == refused && std::mem::take(&mut *once.lock().unwrap()) {
                    Act::refuse(code)
                } else {
                    Act::DELIVER
                }
            })
            .await;
            let test = TestEngine::start(vec![SmppSettings {
                linking,
                ..smpp(smsc.port)
            }])
            .await;
            let outcome = test.send_long(&text_of(3), &numbers(1)).await;
            test.until(&outcome, "delivered", state(State::Delivered)).await;
            let seen: Vec<_> = smsc.seen().iter().map(tie).collect();
            let mut indexes: Vec<u8> = seen.iter().map(|(.., seq)| *seq).collect();
            indexes.sort_unstable();
            let mut expected = vec![1, 2, 3, refused];
            expected.sort_unstable();
            assert_eq!(indexes, expected, "{linking:?} {code}");
            assert!(
                seen.iter().all(|tie| tie.1 == seen[0].1),
                "one reference: {seen:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_throttles_every_fifth_segment_gets_all_texts() {
    let smsc = Smsc::start(|n, _| {
        // Every fifth, without a pattern that the numbers of segments could fall in with.
        if (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 5 == 0 {
            Act::refuse(CommandStatus::RTHROTTLED)
        } else {
            Act::DELIVER
        }
    })
    .await;
    let test = TestEngine::start(vec![smpp(smsc.port)]).await;
    let outcome = test.send_long(&text_of(3), &numbers(100)).await;
    let messages = test.until(&outcome, "delivered", state(State::Delivered)).await;
    assert!(
        messages.iter().all(|message| message.attempts == 1),
        "throttling costs no attempt"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_final_refusal_of_a_segment_ends_the_message() {
    let smsc = Smsc::start(|_, submit| {
        if tie(submit).3 == 2 {
            Act::refuse(CommandStatus::RINVDSTADR)
        } else {
            Act::DELIVER
        }
    })
    .await;
    let test = TestEngine::start(vec![SmppSettings {
        window_max: 1,
        ..smpp(smsc.port)
    }])
    .await;
    let outcome = test.send_long(&text_of(10), &numbers(1)).await;
    let messages = test
        .until(&outcome, "ended", |message| message.state.is_final())
        .await;
    assert_eq!(messages[0].state, State::Undelivered);
    assert_eq!(
        smsc.seen().len(),
        2,
        "what was not written is not written any more"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_that_were_never_written_go_again_when_the_session_is_lost() {
    let smsc = Smsc::start(|n, _| {
        if n == 2 {
            Act::ending(End::HangUp)
        } else {
            Act::DELIVER
        }
    })
    .await;
    let test = TestEngine::start(vec![SmppSettings {
        window_max: 1,
        ..smpp(smsc.port)
    }])
    .await;
    let outcome = test.send_long(&text_of(6), &numbers(1)).await;
    test.until(&outcome, "delivered", state(State::Delivered)).await;
    let times: Vec<usize> = submits(&smsc).into_values().collect();
    assert_eq!(
        times,
        [1, 1, 2, 1, 1, 1],
        "the one in doubt twice, every other once"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_left_at_the_end_of_a_stops_grace_go_after_the_next_start() {
    let smsc = Smsc::start(|_, _| Act {
        late_ms: 150,
        ..Act::DELIVER
    })
    .await;
    let test = TestEngine::start(vec![SmppSettings {
        window_max: 1,
        ..smpp(smsc.port)
    }])
    .await;
    let outcome = test.send_long(&text_of(20), &numbers(1)).await;
    smsc.until_seen(3).await;
    let test = test.restart_after(Duration::from_millis(50)).await;
    assert!(smsc.seen().len() < 20, "the stop came in the middle");
    test.until(&outcome, "delivered", state(State::Delivered)).await;
    let submits = submits(&smsc);
    assert_eq!(submits.len(), 20);
    let twice = submits.values().filter(|times| **times > 1).count();
    assert!(twice <= 1, "at most the one in the window twice: {submits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_answers_to_every_segment_settle_a_message_that_is_held() {
    let smsc = Smsc::start(|_, _| Act {
        late_ms: 700,
        receipt: None,
        ..Act::DELIVER
    })
    .await;
    let test = TestEngine::start(vec![SmppSettings {
        in_doubt: InDoubt::Hold,
        response_timeout_s: 1,
        ..smpp(smsc.port)
    }])
    .await;
    let outcome = test.send_long(&text_of(3), &numbers(1)).await;
    test.until(&outcome, "held", state(State::InDoubt)).await;
    let messages = test.until(&outcome, "taken", state(State::Submitted)).await;
    assert_eq!(smsc.seen().len(), 3);
    let timeline = test.engine.timeline(messages[0].id).await.unwrap();
    let begun = |entry: &&TimelineEntry| matches!(entry.kind, TimelineKind::Attempt { .. });
    assert_eq!(timeline.iter().filter(begun).count(), 1, "{timeline:?}");
    let lost = |entry: &&TimelineEntry| matches!(entry.kind, TimelineKind::Unanswered { .. });
    assert_eq!(timeline.iter().filter(lost).count(), 1, "{timeline:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_whose_answer_is_lost_keeps_no_slot_from_the_others() {
    let settings = [
        (InDoubt::Resend, ReceiptFor::Part, State::Delivered),
        (InDoubt::Hold, ReceiptFor::Part, State::InDoubt),
        // A receipt for all of it says that the one in doubt was taken.
        (InDoubt::Hold, ReceiptFor::Message, State::Delivered),
    ];
    for (in_doubt, receipt_for, end) in settings {
        for lost in [1u8, 2] {
            let once = Mutex::new(true);
            let smsc = Smsc::start(move |_, submit| {
                if tie(submit).2 > 1 && tie(submit).3 == lost && std::mem::take(&mut *once.lock().unwrap()) {
                    Act::silent()
                } else {
                    Act::DELIVER
                }
            })
            .await;
            let test = TestEngine::start(vec![SmppSettings {
                window_max: 1,
                in_doubt,
                receipt_for,
                response_timeout_s: 1,
                ..smpp(smsc.port)
            }])
            .await;
            let long = test.send_long(&text_of(3), &numbers(1)).await;
            let short = test.send(PLAIN, &["+447700900501".to_owned()]).await;
            test.until(&long, "settled", state(end)).await;
            test.until(&short, "delivered", state(State::Delivered)).await;
            let times: Vec<usize> = submits(&smsc)
                .into_iter()
                .filter(|((to, _), _)| *to == numbers(1)[0][1..])
                .map(|(_, times)| times)
                .collect();
            let expected = (1..=3).map(|seq| 1 + usize::from(seq == lost && in_doubt == InDoubt::Resend));
            assert_eq!(
                times,
                expected.collect::<Vec<_>>(),
                "{in_doubt:?}, segment {lost} lost"
            );
            let messages = test.session(&long).await;
            assert_eq!(messages[0].state, end, "receipts of the others change nothing");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answered_segments_keep_no_slots_while_another_waits_for_its_answer() {
    let smsc = Smsc::start(|_, submit| {
        if tie(submit).2 > 1 && tie(submit).3 == 1 {
            Act::silent()
        } else {
            Act::DELIVER
        }
    })
    .await;
    // Nothing is begun ahead of the window where doubt is held; the answer is overdue long after this test gives up.
    let test = TestEngine::start(vec![SmppSettings {
        window_max: 3,
        in_doubt: InDoubt::Hold,
        response_timeout_s: 300,
        ..smpp(smsc.port)
    }])
    .await;
    let long = test.send_long(&text_of(3), &numbers(1)).await;
    smsc.until_seen(3).await;
    let short = test.send(PLAIN, &["+447700900501".to_owned()]).await;
    test.until(&short, "delivered", state(State::Delivered)).await;
    test.until(&long, "under way", state(State::InFlight)).await;
}

/// The text of segments in the order of their indexes.
fn joined(segments: &[SubmitSm]) -> String {
    let mut segments: Vec<&SubmitSm> = segments.iter().collect();
    segments.sort_by_key(|submit| tie(submit).3);
    let octets: Vec<u8> = segments
        .iter()
        .flat_map(|submit| {
            let header = match submit.esm_class.has_udhi() {
                true => usize::from(submit.short_message[0]) + 1,
                false => 0,
            };
            submit.short_message[header..].to_vec()
        })
        .collect();
    match segments[0].data_coding {
        DataCoding::UCS2 => {
            let units = octets.chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]]));
            String::from_utf16_lossy(&units.collect::<Vec<_>>())
        }
        _ => String::from_utf8_lossy(&octets).into_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_partly_taken_is_finished_as_it_was_begun_whatever_is_changed() {
    type Change = fn(&mut SmppSettings);
    let plain: Change = |_| {};
    let changes: [(&str, Change, Change); 10] = [
        ("8-bit reference", plain, |to| to.linking = Linking::Udh8),
        ("SAR", plain, |to| to.linking = Linking::Sar),
        ("from SAR", |from| from.linking = Linking::Sar, plain),
        ("Latin-1", plain, |to| to.data_coding = Alphabet::Latin1),
        ("UCS-2", plain, |to| to.data_coding = Alphabet::Ucs2),
        (
            "from UCS-2",
            |from| from.data_coding = Alphabet::Ucs2,
            |to| to.linking = Linking::Udh8,
        ),
        ("packed", plain, |to| to.data_coding = Alphabet::Gsm7Packed),
        ("ASCII", plain, |to| to.default_alphabet = DefaultAlphabet::Ascii),
        ("one PDU", plain, |to| to.long_text = LongText::MessagePayload),
        ("sender", plain, |to| to.default_sender = "Other".into()),
    ];
    for (name, before, after) in changes {
        let (changed, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let smsc = Smsc::start({
            let (changed, taken) = (Arc::clone(&changed), Arc::clone(&taken));
            move |_, submit| {
                if tie(submit).3 == 2 && !changed.load(Ordering::SeqCst) {
                    return Act::refuse(CommandStatus::RTHROTTLED);
                }
                taken.lock().unwrap().push(submit.clone());
                Act::DELIVER
            }
        })
        .await;
        let mut settings = smpp(smsc.port);
        before(&mut settings);
        let test = TestEngine::start(vec![settings.clone()]).await;
        let text = text_of(3);
        let outcome = test.send_long(&text, &numbers(1)).await;
        testkit::until("two segments taken", || taken.lock().unwrap().len() >= 2).await;
        test.until(&outcome, "partly taken", |message| message.state == State::Queued)
            .await;
        after(&mut settings);
        let carrier = Carrier {
            no: CarrierNo(1),
            name: "carrier-1".into(),
            settings: serde_json::to_value(CarrierSettings::Smpp(Box::new(settings))).unwrap(),
        };
        let change = vec![CatalogChange::PutCarrier(carrier)];
        test.change(change).await;
        changed.store(true, Ordering::SeqCst);
        test.until(&outcome, "delivered", state(State::Delivered)).await;

        let taken = taken.lock().unwrap().clone();
        let as_first = |submit: &SubmitSm| {
            let [this, first] = [submit, &taken[0]].map(|submit| {
                let (_, reference, total, _) = tie(submit);
                let header = submit.esm_class.has_udhi().then(|| submit.short_message[0]);
                (
                    submit.source.clone(),
                    submit.data_coding,
                    header,
                    reference,
                    total,
                )
            });
            this == first
        };
        assert!(taken.iter().all(as_first), "{name}: {taken:?}");
        let (.., total, _) = tie(&taken[0]);
        assert_eq!(taken.len(), usize::from(total), "{name}: each once");
        let joined = joined(&taken);
        assert!(joined.ends_with(&text), "{name}: {joined}");
    }
}
