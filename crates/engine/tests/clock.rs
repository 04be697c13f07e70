//! A clock that jumps while the engine runs, and between two runs.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod testkit;

use engine::accept::Outcome;
use engine::catalog::SmppSettings;
use engine::clock::PausedClock;
use engine::clock_watch::ClockLimits;
use engine::sms::state::MessageState;
use engine::{MessageFilter, MessageSpan, MessageView, Settings, UnixMs};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use store::{CatalogChange, Store};
use testkit::{ACCOUNT, Act, Lines, PLAIN, Smsc, TestEngine, numbers, smpp, until};

const NOW: UnixMs = 1_795_305_600_000 / DAY * DAY + HOUR;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 86_400_000;
const YEAR: i64 = 365 * DAY;

/// Keeps messages for 30 days, and holds deletes for an hour after a jump.
fn settings() -> Settings {
    Settings {
        retention: Some(Duration::from_secs(30 * 86_400)),
        clock: ClockLimits {
            jump: Duration::from_secs(60),
            hold: Duration::from_secs(3600),
        },
        ..Settings::default()
    }
}

async fn count(test: &TestEngine, span: impl Into<MessageSpan>) -> u64 {
    let filter = MessageFilter {
        numbers: vec![],
        states: vec![MessageState::Delivered],
        dialects: vec![],
        template: None,
        labels: vec![],
        kind: None,
        offset: 0,
        limit: 100,
        count_max: 100,
    };
    test.engine.find(ACCOUNT, span, filter).await.unwrap().1
}

/// Sends messages and waits until they are delivered.
async fn deliver(test: &TestEngine, messages: u64) {
    let before = count(test, MessageSpan::ALL).await;
    test.send(PLAIN, &numbers(messages)).await;
    wait_for(test, before + messages).await;
}

async fn wait_for(test: &TestEngine, messages: u64) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while count(test, MessageSpan::ALL).await != messages {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{messages} messages in time"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn held(test: &TestEngine) -> bool {
    test.engine.metrics().deletes_held.get() == 1
}

fn today() -> Range<UnixMs> {
    let midnight = NOW / DAY * DAY;
    midnight..midnight + DAY
}

/// Many sweeps.
async fn sweeps() {
    tokio::time::sleep(Duration::from_millis(700)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_ahead_while_running_deletes_nothing_and_has_no_effect_once_it_is_taken_back() {
    for ahead in [3 * HOUR, 60 * DAY, 10 * YEAR] {
        let clock = Arc::new(PausedClock::at(NOW));
        let test = TestEngine::by(Arc::clone(&clock), settings(), None).await;
        deliver(&test, 3).await;
        clock.set_ahead(ahead);
        until("hold", || held(&test)).await;
        deliver(&test, 2).await;
        sweeps().await;
        assert_eq!(count(&test, MessageSpan::ALL).await, 5, "nothing was deleted");
        clock.set_back(ahead);
        until("end of the hold", || !held(&test)).await;
        deliver(&test, 1).await;
        sweeps().await;
        assert_eq!(count(&test, MessageSpan::ALL).await, 6);
        let right_today = count(&test, today()).await;
        let wrong_today = if ahead < DAY { 2 } else { 0 };
        assert_eq!(right_today, 4 + wrong_today, "ahead by {ahead}");
    }
}

/// An engine whose carrier is away, with waiting messages that live for three days; and the port.
async fn waiting(clock: &Arc<PausedClock>, messages: u64) -> (TestEngine, Outcome, u16) {
    let port = testkit::away().await;
    let carrier = SmppSettings {
        reconnect_s: 1,
        reconnect_s_max: 1,
        ..smpp(port)
    };
    let test = TestEngine::with_by(Arc::clone(clock), vec![carrier], settings()).await;
    let catalog = test.store.load_catalog().await.unwrap();
    let mut template = catalog
        .templates
        .iter()
        .find(|template| template.number == PLAIN)
        .unwrap()
        .clone();
    template.ttl_s = Some(3 * 86_400);
    test.change(vec![CatalogChange::PutTemplate(template)]).await;
    // Each in a request of its own, so that each is a run of its own.
    for number in numbers(messages) {
        test.send(PLAIN, &[number]).await;
    }
    let waiting = test
        .send(PLAIN, &numbers(messages + 20)[messages as usize..])
        .await;
    (test, waiting, port)
}

/// The same four days ahead: the carrier is back and has what was accepted since. So all before it was looked at, and none
/// of it was sent, for it seems old.
async fn waiting_four_days_ahead(clock: &Arc<PausedClock>) -> (TestEngine, Outcome, Smsc) {
    let (test, waiting, port) = waiting(clock, 30).await;
    clock.set_ahead(4 * DAY);
    until("hold", || held(&test)).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let smsc = Smsc::start_on(listener, |_, _| Act::DELIVER);
    let new = test.send(PLAIN, &numbers(51)[50..]).await;
    test.until(&new, "delivered", is_delivered).await;
    assert_eq!(smsc.seen().len(), 1);
    (test, waiting, smsc)
}

fn is_delivered(message: &MessageView) -> bool {
    message.state == MessageState::Delivered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_ahead_for_a_while_ends_nothing_that_waits() {
    let clock = Arc::new(PausedClock::at(NOW));
    let (test, waiting, smsc) = waiting_four_days_ahead(&clock).await;
    clock.set_back(4 * DAY);
    test.until(&waiting, "delivered", is_delivered).await;
    wait_for(&test, 51).await;
    assert_eq!(
        smsc.times().into_values().collect::<Vec<_>>(),
        [1; 51],
        "each once"
    );
}

#[tokio::test]
async fn times_that_could_not_be_corrected_are_corrected_once_the_store_writes_again() {
    let lines = Lines::follow();
    let clock = Arc::new(PausedClock::at(NOW));
    let (test, _, _) = waiting(&clock, 1).await;
    clock.set_ahead(4 * DAY);
    until("hold", || held(&test)).await;
    let late = test.send(PLAIN, &numbers(1)).await;
    let end_of = |message: &MessageView| message.batch.expires_at.unwrap();
    assert_eq!(end_of(&test.session(&late).await[0]), NOW + 7 * DAY);
    let end_refusals = test.refuse("UPDATE ON batch");
    clock.set_back(4 * DAY);
    lines.until("stored times not corrected", 1).await;
    end_refusals();
    test.until(&late, "corrected", |message| end_of(message) == NOW + 3 * DAY)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_too_long_by_a_clock_that_stays_ahead_ends_unsent_after_the_hold() {
    let clock = Arc::new(PausedClock::at(NOW));
    let (test, waiting, smsc) = waiting_four_days_ahead(&clock).await;
    clock.advance(HOUR + 1);
    let is_expired = |message: &MessageView| message.state == MessageState::Expired;
    test.until(&waiting, "expired", is_expired).await;
    assert_eq!(smsc.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_stays_ahead_is_taken_for_right_after_the_hold() {
    let clock = Arc::new(PausedClock::at(NOW));
    let test = TestEngine::by(Arc::clone(&clock), settings(), None).await;
    deliver(&test, 3).await;
    clock.set_ahead(60 * DAY);
    until("hold", || held(&test)).await;
    sweeps().await;
    assert_eq!(count(&test, MessageSpan::ALL).await, 3);
    // Little by little, as time passes; all at once would be a jump of its own to whoever looks at the clock alone.
    clock.advance(HOUR + 1);
    until("end of the hold", || !held(&test)).await;
    wait_for(&test, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_with_the_clock_ahead_deletes_nothing_and_spoils_nothing() {
    for ahead in [2 * DAY, 60 * DAY, 399 * DAY] {
        let right = Arc::new(PausedClock::at(NOW));
        let test = TestEngine::by(Arc::clone(&right), settings(), None).await;
        deliver(&test, 3).await;
        let folder = test.stop().await;

        let wrong = Arc::new(PausedClock::at(NOW + ahead));
        let test = TestEngine::by(wrong, settings(), Some(folder)).await;
        assert!(held(&test), "held from the start on, ahead by {ahead}");
        deliver(&test, 2).await;
        sweeps().await;
        assert_eq!(count(&test, MessageSpan::ALL).await, 5);
        let folder = test.stop().await;

        let test = TestEngine::by(right, settings(), Some(folder)).await;
        assert!(!held(&test));
        deliver(&test, 1).await;
        sweeps().await;
        assert_eq!(count(&test, MessageSpan::ALL).await, 6);
        assert_eq!(count(&test, today()).await, 4, "ahead by {ahead}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_set_back_while_running_stops_nothing_and_deletes_nothing() {
    for back in [3 * HOUR, 60 * DAY, 10 * YEAR] {
        let clock = Arc::new(PausedClock::at(NOW));
        let test = TestEngine::by(Arc::clone(&clock), settings(), None).await;
        deliver(&test, 3).await;
        clock.set_back(back);
        deliver(&test, 2).await;
        sweeps().await;
        clock.set_back(-back);
        deliver(&test, 1).await;
        sweeps().await;
        assert_eq!(count(&test, MessageSpan::ALL).await, 6, "back by {back}");
        let jumps = |direction| {
            let label = engine::metrics::DirectionLabel { direction };
            test.engine.metrics().clock_jumps.get_or_create(&label).get()
        };
        assert_eq!((jumps("back"), jumps("forward")), (1, 1));
    }
}
