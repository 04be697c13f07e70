//! A clock that jumps: what is accepted while it is ahead, by hours or years, spoils nothing once it is right again.
//!
//! Each case goes through several jumps in one store, with a crash after every second one, so that what an earlier jump
//! left behind is there in the later ones.

use super::Backend;
use super::accepting::capped;
use super::awaiting::given_up;
use super::counting::day_counts;
use super::events::{delivered, expired};
use super::fixtures::{
    ACCOUNT, CARRIER, LANE, accepted, accepted_batch, batch, begun, endpoint, events_after, everything, ids,
    listening, number, once_at, receipt, received, recorded, request, result, seen, submitted, waiting,
};
use crate::{
    AcceptCommand, Accepted, Answer, EventKinds, EventOffset, InboundFilter, InboundId, MessageFilter,
    MessageId, MessageSpan, NewBatch, NewInbound, Next, ReceiptEffect, RecordDelivery, SegmentAnswer, Store,
    UnixMs,
};
use sms::state::{MessageState, ReceiptState};

/// Midnight, UTC.
const NOW: UnixMs = 1_795_305_600_000 / DAY * DAY;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 86_400_000;
const YEAR: i64 = 365 * DAY;

/// How far the clock is ahead, and from where on.
const JUMPS: [(UnixMs, i64); 5] = [
    (NOW + HOUR, 3 * HOUR),
    (NOW + 2 * DAY, 10 * DAY),
    (NOW + 3 * DAY, 400 * DAY),
    (NOW + 4 * DAY, 10 * YEAR),
    (NOW + 5 * DAY, 150 * YEAR),
];

/// Ends the store and opens it again, every second time.
async fn perhaps_crash(backend: &mut impl Backend, at: UnixMs) {
    if (at / HOUR) % 2 == 0 {
        backend.crash().await;
    }
}

async fn listed(store: &dyn Store, span: std::ops::Range<UnixMs>, filter: MessageFilter) -> Vec<MessageId> {
    let span = MessageSpan::Accepted(span);
    let (views, count) = store.find(ACCOUNT, span, filter).await.expect("found");
    assert_eq!(views.len() as u64, count);
    views.into_iter().map(|view| view.id).collect()
}

/// Ids are unique and in order whatever the clock does; the acceptance time of a message is the one that the clock
/// had.
pub async fn ids_grow_and_acceptance_times_are_the_clocks(backend: &mut impl Backend) {
    let mut all: Vec<(MessageId, UnixMs)> = vec![];
    for (at, ahead) in JUMPS {
        for at in [
            at,
            at + ahead,
            at + ahead + 7,
            at + MINUTE,
            at + 2 * MINUTE,
            at - YEAR,
            at + HOUR,
        ] {
            perhaps_crash(backend, at).await;
            let range = accepted_batch(backend.store(), at, 0..2).await;
            all.extend(ids(range).into_iter().map(|id| (id, range.accepted_at)));
            assert!(
                (0..5_000).contains(&(range.accepted_at - at)),
                "{} at {at}",
                range.accepted_at
            );
            let seen = seen(backend.store(), range.first).await;
            assert_eq!(seen.batch.accepted_at, range.accepted_at);
            assert_eq!(seen.changed_at, range.accepted_at);
        }
    }
    assert!(all.is_sorted_by(|a, b| a.0 < b.0), "{all:?}");
    backend.crash().await;
    for (id, at) in all {
        assert_eq!(seen(backend.store(), id).await.batch.accepted_at, at);
        let timeline = backend.store().timeline(id).await.expect("read");
        assert_eq!(timeline[0].at, at);
    }
}

/// Caps hold for a minute and a day of the right clock, neither longer for what was accepted while it was ahead, nor
/// again when that time comes.
pub async fn caps_are_right_once_the_clock_is(backend: &mut impl Backend) {
    for (n, (at, ahead)) in (0..).zip(JUMPS) {
        let one = |at| capped(at, n..n + 1, 2, 3);
        for _ in 0..2 {
            accepted(backend.store(), one(at + ahead)).await;
        }
        perhaps_crash(backend, at).await;
        let store = backend.store();
        for later in [at + 1, at + 2, at + MINUTE + 2] {
            accepted(store, one(later)).await;
        }
        let over = |at| store.accept(one(at));
        assert!(
            over(at + 2 * MINUTE).await.is_err(),
            "three today, ahead by {ahead}"
        );
        assert!(over(at + DAY / 2).await.is_err(), "three today, ahead by {ahead}");
    }
    // The clock has come to where it was ahead once.
    let (at, ahead) = JUMPS[1];
    for later in [at + ahead, at + ahead + 1] {
        accepted(backend.store(), capped(later, 1..2, 2, 2)).await;
    }
}

/// Days have what was accepted in them as the clock said, and statistics equal a recount by days.
pub async fn days_are_listed_and_counted_by_the_clock(backend: &mut impl Backend) {
    for (at, ahead) in JUMPS {
        let day = at / DAY * DAY;
        accepted_batch(backend.store(), at + ahead, 10..13).await;
        perhaps_crash(backend, at).await;
        let store = backend.store();
        let today = [
            ids(accepted_batch(store, at + MINUTE, 0..2).await),
            ids(accepted_batch(store, at + HOUR, 2..3).await),
        ];
        let newest_first: Vec<MessageId> = today.concat().into_iter().rev().collect();
        let span = day..day + DAY;
        let right: Vec<MessageId> = listed(store, span.clone(), everything())
            .await
            .into_iter()
            .filter(|id| newest_first.contains(id))
            .collect();
        assert_eq!(right, newest_first, "ahead by {ahead}");
        let by_number = MessageFilter {
            numbers: vec![number(2)],
            ..everything()
        };
        assert_eq!(listed(store, span, by_number).await, newest_first[..1]);
    }
    backend.crash().await;
    let store = backend.store();
    let mut known = std::collections::BTreeMap::new();
    let (views, _) = store
        .find(ACCOUNT, MessageSpan::ALL, everything())
        .await
        .expect("found");
    for view in views {
        *known.entry(view.batch.accepted_at / DAY).or_insert(0) += 1;
    }
    assert_eq!(day_counts(store).await, known);
    for (day, count) in known {
        let listed = listed(store, day * DAY..(day + 1) * DAY, everything()).await;
        assert_eq!(listed.len(), count as usize, "day {day}");
    }
}

async fn kept_after(store: &dyn Store, before: UnixMs, now: UnixMs) -> usize {
    while store.expire_messages(before, now).await.expect("expired") {}
    let (views, _) = store
        .find(ACCOUNT, MessageSpan::ALL, everything())
        .await
        .expect("found");
    views.len()
}

async fn ended(store: &dyn Store, at: UnixMs, name: &str) {
    accepted_batch(store, at, 0..1).await;
    submitted(store, at, name).await;
    let effect = received(
        store,
        receipt(&format!("{name}0"), ReceiptState::Delivered, at + 50),
    )
    .await;
    assert!(matches!(effect, ReceiptEffect::Applied { .. }), "{effect:?}");
}

/// What was accepted while the clock was ahead goes when what was accepted after it goes, and keeps nothing else.
pub async fn retention_is_right_once_the_clock_is(backend: &mut impl Backend) {
    const KEEP: i64 = 7 * DAY;
    for (n, (at, ahead)) in (0..).zip(JUMPS) {
        let at = at + n * 30 * DAY;
        ended(backend.store(), at, &format!("{n}before")).await;
        ended(backend.store(), at + ahead, &format!("{n}ahead")).await;
        perhaps_crash(backend, at).await;
        ended(backend.store(), at + MINUTE, &format!("{n}after")).await;
        let store = backend.store();
        for now in [at + MINUTE, at + KEEP / 2, at + KEEP] {
            assert_eq!(kept_after(store, now - KEEP, now).await, 3, "ahead by {ahead}");
        }
        // A clock that was idle until the wrong time has come leaves no sign that it was wrong.
        let now = at + KEEP + HOUR + Some(ahead).filter(|ahead| *ahead < 30 * DAY).unwrap_or(0);
        assert_eq!(kept_after(store, now - KEEP, now).await, 0, "ahead by {ahead}");
    }
}

/// A clock that was back for a while by mistake makes nothing look old that is not.
pub async fn a_clock_back_by_mistake_deletes_nothing(backend: &mut impl Backend) {
    const KEEP: i64 = 7 * DAY;
    ended(backend.store(), NOW, "before").await;
    let mut now = NOW;
    for (n, (back, for_ms)) in [(HOUR, MINUTE), (30 * DAY, 3 * HOUR), (10 * YEAR, 2 * DAY)]
        .into_iter()
        .enumerate()
    {
        for at in [now - back, now - back + for_ms] {
            ended(backend.store(), at, &format!("{n}-{at}")).await;
        }
        perhaps_crash(backend, back).await;
        let store = backend.store();
        now += for_ms;
        let kept = kept_after(store, now - KEEP, now).await;
        assert_eq!(kept, 1 + 2 * (n + 1), "back by {back} for {for_ms}");
    }
}

/// A missing receipt times out at its time, and a late one still finds its message.
pub async fn receipts_are_awaited_and_matched_once_the_clock_is_right(backend: &mut impl Backend) {
    const WAIT: i64 = 3 * DAY;
    for (n, (at, ahead)) in (0..).zip(JUMPS) {
        let at = at + n * 10 * DAY;
        accepted_batch(backend.store(), at + ahead, 0..2).await;
        let id = submitted(backend.store(), at + ahead, &format!("{n}-")).await;
        let unmatched_receipts = receipt(&format!("{n}unknown"), ReceiptState::Delivered, at + ahead);
        assert_eq!(
            received(backend.store(), unmatched_receipts).await,
            ReceiptEffect::StoredUnmatched
        );
        perhaps_crash(backend, at).await;
        let store = backend.store();
        // The time of the first sweep is when they begin to wait, if the clock was far ahead.
        assert_eq!(given_up(store, at + MINUTE - WAIT, at + MINUTE).await, []);
        let first = receipt(&format!("{n}-0"), ReceiptState::Delivered, at + HOUR);
        assert!(matches!(
            received(store, first).await,
            ReceiptEffect::Applied { .. }
        ));
        let now = at + WAIT + ahead.min(4 * HOUR) + HOUR;
        accepted_batch(store, now, 9..10).await;
        assert_eq!(
            given_up(store, now - WAIT, now).await,
            id[1..],
            "ahead by {ahead}"
        );
        store.expire_unmatched(at - WAIT, now).await.expect("expired");
        store.expire_unmatched(now - WAIT, now).await.expect("expired");
        let unmatched_receipts = store.counts().await.expect("counted").unmatched_receipts;
        assert!(
            ahead < 4 * HOUR || unmatched_receipts <= 1,
            "waits from now on: {unmatched_receipts}"
        );
        store.expire_unmatched(now + 1, now).await.expect("expired");
        assert_eq!(store.counts().await.expect("counted").unmatched_receipts, 0);
    }
}

/// A request with an id that comes at `at`, while the clock is ahead by `ahead`.
fn with_id(key: &str, at: UnixMs, ahead: i64) -> AcceptCommand {
    AcceptCommand {
        idempotency: Some(once_at(key, at)),
        ..request(at + ahead, vec![batch(0..1)])
    }
}

/// A request id that was used while the clock was ahead is done once, and may be used again after its time.
pub async fn a_request_id_expires_once_the_clock_is_right(backend: &mut impl Backend) {
    for (at, ahead) in JUMPS {
        accepted(backend.store(), with_id("again", at, ahead)).await;
        perhaps_crash(backend, at).await;
        let store = backend.store();
        accepted_batch(store, at, 20..21).await;
        let again = |at| store.accept(with_id("again", at, 0));
        let repeat = again(at + MINUTE / 2).await.expect("answered");
        assert!(matches!(repeat, Accepted::Repeat { .. }), "ahead by {ahead}");
        // After a crash nobody knows whether that half minute passed.
        accepted(store, with_id("again", at + MINUTE + MINUTE / 2, 0)).await;
        let repeat = again(at + 2 * MINUTE).await.expect("answered");
        assert!(matches!(repeat, Accepted::Repeat { .. }), "ahead by {ahead}");
    }
}

/// A request id is done once within its time, whatever the clock does meanwhile, and over a restart.
pub async fn a_request_id_is_done_once_whatever_the_clock_does(backend: &mut impl Backend) {
    let jumps = [2 * MINUTE, 3 * HOUR, 10 * DAY, 399 * DAY];
    let jumps: Vec<i64> = jumps.into_iter().flat_map(|jump| [jump, -jump]).collect();
    let clocks = jumps.iter().flat_map(|&jump| {
        [
            vec![0, jump, 0],
            vec![jump, 0, jump],
            vec![jump, 0, 0],
            vec![0, jump, -jump],
        ]
    });
    for (round, clocks) in (0i64..).zip(clocks) {
        for crash in [false, true] {
            let at = NOW + round * 10 * MINUTE + if crash { 5 * MINUTE } else { 0 };
            let key = format!("{round} {crash}");
            accepted(backend.store(), with_id(&key, at, clocks[0])).await;
            for (n, &ahead) in (1..).zip(&clocks) {
                if crash {
                    backend.crash().await;
                }
                let repeat = backend.store().accept(with_id(&key, at + n * 200, ahead)).await;
                let repeat = repeat.expect("answered");
                assert!(
                    matches!(repeat, Accepted::Repeat { .. }),
                    "{clocks:?}, {n}, crash: {crash}"
                );
            }
            // Its time is over by the last of these clocks, which nobody moves any more.
            let last = clocks.last().copied().unwrap_or(0);
            accepted(backend.store(), with_id(&key, at + 2 * MINUTE, last)).await;
        }
    }
}

fn inbound(at: UnixMs) -> NewInbound {
    NewInbound {
        received_at: at,
        ..super::inbound::wrote("hello")
    }
}

async fn found_inbound(store: &dyn Store, since: UnixMs) -> Vec<InboundId> {
    let filter = InboundFilter {
        account: None,
        number: None,
        since,
        before: None,
        limit: 100,
    };
    let (found, _) = store.find_inbound(filter).await.expect("found");
    found.into_iter().map(|one| one.id).collect()
}

/// Inbound messages are found by the time they came, and expire after their retention.
pub async fn inbound_messages_are_found_and_expire_by_the_clock(backend: &mut impl Backend) {
    for (n, (at, ahead)) in (0..).zip(JUMPS) {
        let at = at + n * 30 * DAY;
        let mut came = vec![];
        for at in [at, at + ahead, at + MINUTE, at + 2 * MINUTE] {
            perhaps_crash(backend, at).await;
            let words = std::sync::Arc::default();
            let effects = backend.store().record_inbound(vec![inbound(at)], words).await;
            effects.expect("recorded");
            came.push(found_inbound(backend.store(), 0).await[0]);
        }
        let store = backend.store();
        assert!(came.is_sorted(), "{came:?}");
        let since = found_inbound(store, at + 2 * MINUTE).await;
        assert_eq!(since[0], came[3]);
        assert!(
            !since.contains(&came[0]) && !since.contains(&came[2]),
            "ahead by {ahead}"
        );
        // The first call after a start, too.
        perhaps_crash(backend, at).await;
        let (store, now) = (backend.store(), at + 3 * MINUTE);
        store.expire_inbound(0, now, now).await.expect("expired");
        assert_eq!(found_inbound(store, 0).await, [], "ahead by {ahead}");
    }
}

/// A carrier refuses what waits, for a minute.
async fn put_off(store: &dyn Store, at: UnixMs) {
    let messages = waiting(store, LANE).await;
    let attempt = begun(store, CARRIER, at, &messages).await;
    let (due, carrier) = (at + MINUTE, CARRIER);
    let throttled = Answer::Single(SegmentAnswer {
        status: 0x58,
        carrier_id: None,
    });
    let outcomes = messages.iter().map(|message| {
        let next = Next::Retry { due, carrier };
        result(message.id, attempt, at, throttled.clone(), next)
    });
    recorded(store, outcomes.collect(), &[attempt]).await;
}

/// A pause before another attempt that was begun while the clock was ahead does not last until then; what is scheduled
/// waits for its own time.
pub async fn pauses_end_once_the_clock_is_right(backend: &mut impl Backend) {
    for (n, (at, ahead)) in (0..).zip(JUMPS) {
        let at = at + n * 30 * DAY;
        let scheduled = NewBatch {
            due: Some(at + 20 * DAY),
            ..batch(5..6)
        };
        accepted(backend.store(), request(at, vec![scheduled])).await;
        accepted_batch(backend.store(), at + ahead, 0..1).await;
        put_off(backend.store(), at + ahead).await;
        perhaps_crash(backend, at).await;
        let store = backend.store();
        store.correct_times(at + 2 * MINUTE).await.expect("corrected");
        for (now, delayed) in [(at + 3 * MINUTE, 1), (at + 20 * DAY - 1, 1), (at + 20 * DAY, 0)] {
            let released = store.release_due(now, 100, Box::new(|_| {}));
            released.await.expect("released");
            let left = store.counts().await.expect("counted").delayed;
            assert_eq!(left, delayed, "ahead by {ahead}");
        }
    }
}

/// What was accepted while the clock was ahead lives as long as it was to live once the clock is right: however many they
/// are, however often times are corrected, and when the clock comes back in steps.
pub async fn lifetimes_are_as_long_as_they_were_to_be_once_the_clock_is_right(backend: &mut impl Backend) {
    const LIFE: i64 = 72 * HOUR;
    const BATCHES: i64 = 2_500;
    for (n, (at, ahead)) in (0..).zip(JUMPS) {
        let at = at + n * 30 * DAY;
        let living = |now, life| NewBatch {
            expires_at: Some(now + life),
            ..batch(0..1)
        };
        let right = request(at, vec![living(at, LIFE)]);
        let right = accepted(backend.store(), right).await.batches[0].first;
        let many = (0..BATCHES).map(|n| living(at + ahead, LIFE + n));
        let many = request(at + ahead, many.collect());
        let many = accepted(backend.store(), many).await.batches;
        let scheduled = NewBatch {
            due: Some(at + ahead + DAY),
            expires_at: Some(at + ahead + 2 * DAY),
            ..batch(1..2)
        };
        let scheduled = request(at + ahead, vec![scheduled]);
        let scheduled = accepted(backend.store(), scheduled).await.batches[0].first;
        let mut ttl_from = at + ahead;
        for left in [ahead, ahead / 2, 0, 0] {
            perhaps_crash(backend, at + left).await;
            let now = at + MINUTE + left;
            let store = backend.store();
            store.correct_times(now).await.expect("corrected");
            if ttl_from > now + HOUR {
                ttl_from = now;
            }
            for (n, range) in (0..BATCHES)
                .zip(&many)
                .filter(|(n, _)| n % 99 == 0 || *n + 5 > BATCHES)
            {
                let end = seen(store, range.first).await.batch.expires_at;
                let right = Some(ttl_from + LIFE + n);
                assert_eq!(end, right, "batch {n}, ahead by {left} of {ahead}");
            }
            assert_eq!(seen(store, right).await.batch.expires_at, Some(at + LIFE));
            let end = seen(store, scheduled).await.batch.expires_at;
            assert_eq!(end, Some(at + ahead + 2 * DAY));
        }
        let again = backend
            .store()
            .correct_times(at + 2 * MINUTE)
            .await
            .expect("corrected");
        assert_eq!(again, 0, "ahead by {ahead}");
    }
}

/// A pause is found behind more schedules than are looked through at once, and those stay.
pub async fn a_pause_is_found_behind_many_schedules(backend: &mut impl Backend) {
    const SCHEDULES: u64 = 12_000;
    let scheduled = (0..SCHEDULES).map(|n| NewBatch {
        due: Some(NOW + 2 * HOUR + n as i64),
        ..batch(5..6)
    });
    let store = backend.store();
    accepted(store, request(NOW, scheduled.collect())).await;
    accepted_batch(store, NOW + 10 * DAY, 0..1).await;
    put_off(store, NOW + 10 * DAY).await;
    assert_eq!(store.correct_times(NOW).await.expect("corrected"), 1);
    let released = store.release_due(NOW + 1, 100, Box::new(|_| {}));
    assert_eq!(released.await.expect("released").lanes.len(), 1);
    assert_eq!(store.counts().await.expect("counted").delayed, SCHEDULES);
}

/// Counters that a wrong clock found too old are not refused for ever.
pub async fn statistics_count_again_after_a_sweep_of_a_wrong_clock(backend: &mut impl Backend) {
    let store = backend.store();
    accepted_batch(store, NOW, 0..2).await;
    store.expire_statistics(NOW + 400 * DAY).await.expect("expired");
    store.expire_statistics(NOW - 30 * DAY).await.expect("expired");
    backend.crash().await;
    let store = backend.store();
    accepted_batch(store, NOW + HOUR, 0..3).await;
    assert_eq!(day_counts(store).await.get(&(NOW / DAY)), Some(&3));
    let id = ids(accepted_batch(store, NOW + HOUR, 4..5).await)[0];
    submitted(store, NOW + HOUR, "x").await;
    assert_eq!(seen(store, id).await.state, MessageState::Submitted);
}

/// Events logged while the clock was ahead, and after that, are kept as long as all others.
pub async fn events_expire_once_the_clock_is_right(backend: &mut impl Backend) {
    listening(backend.store(), endpoint(1, ACCOUNT, EventKinds::ACCEPTED)).await;
    for (n, (at, ahead)) in (0..).zip(JUMPS) {
        let at = at + n * 30 * DAY;
        for at in [at + ahead, at + ahead + 1, at] {
            perhaps_crash(backend, at).await;
            accepted_batch(backend.store(), at, 0..1).await;
        }
        let store = backend.store();
        store.correct_times(at + MINUTE).await.expect("corrected");
        accepted_batch(store, at + 2 * MINUTE, 0..1).await;
        let all = events_after(store, ACCOUNT, EventOffset::default(), EventKinds::ALL).await;
        assert_eq!(all.len(), 4, "ahead by {ahead}");
        let delivery = RecordDelivery {
            acked_offset: all.last().map(|event| event.offset),
            ..RecordDelivery::default()
        };
        delivered(store, 1, delivery).await;
        for (before, left) in [(at, 4), (at + MINUTE + 1, 1), (at + 3 * MINUTE, 0)] {
            expired(store, before, 0).await;
            let events = events_after(store, ACCOUNT, EventOffset::default(), EventKinds::ALL).await;
            assert_eq!(events.len(), left, "ahead by {ahead}, before {}", before - at);
        }
    }
}
