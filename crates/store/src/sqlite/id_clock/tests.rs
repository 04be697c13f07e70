use super::*;
use proptest::prelude::*;

const NOW: UnixMs = 1_795_305_600_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 86_400_000;
const YEAR: i64 = 365 * DAY;

/// Gives one id at each time, as the writer does, with what the clock said.
fn ids_at(times: &[UnixMs]) -> (IdClock, Vec<(MessageId, UnixMs)>) {
    let mut clock = IdClock::new(Eras::default(), 0);
    let mut ids: Vec<(MessageId, UnixMs)> = Vec::new();
    for &now in times {
        let last = ids.last().map_or(MessageId(0), |(id, _)| *id);
        clock.tick(now, last.time_part());
        ids.push((clock.first().max(last.plus(1)), now));
    }
    (clock, ids)
}

#[test]
fn a_clock_that_goes_on_makes_no_era() {
    let (clock, ids) = ids_at(&[NOW, NOW, NOW + 1, NOW + HOUR, NOW + HOUR - 4_000, NOW + 30 * DAY]);
    assert_eq!(clock.eras_len(), 0);
    for (id, at) in ids {
        let off = clock.eras().accepted_at(id) - at;
        assert!((0..=SLACK_MS).contains(&off), "{off}");
    }
}

#[test]
fn an_era_in_which_nothing_was_given_before_a_restart_is_gone_on_from() {
    let (mut clock, ids) = ids_at(&[NOW]);
    let last = ids[0].0;
    for back in [DAY, 2 * DAY] {
        assert!(clock.tick(NOW - back, last.time_part()).is_some());
    }
    let mut clock = IdClock::new(clock.eras().clone(), last.time_part());
    for back in [4 * DAY, 3 * DAY, 5 * DAY] {
        clock.tick(NOW - back, last.time_part());
        assert_eq!(clock.eras().accepted_at(clock.first()), NOW - back);
        assert!(clock.eras.0.is_sorted_by(|a, b| a.first < b.first), "{clock:?}");
    }
}

#[test]
fn a_clock_set_back_keeps_the_order_and_the_times() {
    for ahead in [HOUR, 10 * DAY, 400 * DAY, 10 * YEAR, 100 * YEAR] {
        let times = [
            NOW,
            NOW + ahead,
            NOW + ahead + 1,
            NOW + MINUTE,
            NOW + 2 * MINUTE,
            NOW + DAY / 2,
        ];
        let (clock, ids) = ids_at(&times);
        assert!(ids.is_sorted(), "{ids:?}");
        for (id, at) in &ids {
            assert_eq!(clock.eras().accepted_at(*id), *at, "ahead by {ahead}");
        }
        let today = clock.eras().accepted_in(&(NOW..NOW + DAY));
        let in_today = |id: &MessageId| today.iter().any(|range| range.contains(id));
        for (id, at) in &ids {
            assert_eq!(in_today(id), (NOW..NOW + DAY).contains(at), "ahead by {ahead}");
        }
    }
}

#[test]
fn ids_do_not_follow_a_clock_that_is_years_ahead_and_come_back_to_it() {
    let (clock, ids) = ids_at(&[NOW, NOW + 10 * YEAR, NOW + 10 * YEAR + HOUR]);
    let (last, _) = ids[2];
    assert!(last.time_part() < NOW + 2 * HOUR, "{last:?}");
    assert_eq!(clock.eras().accepted_at(last), NOW + 10 * YEAR + HOUR);
    let (clock, _) = ids_at(&[NOW, NOW + 10 * YEAR, NOW + 10 * YEAR + HOUR, NOW + 2 * HOUR]);
    assert_eq!(clock.ahead_ms(), 0);
}

#[test]
fn ids_ahead_of_the_clock_come_back_once_it_has_passed_them() {
    let (clock, ids) = ids_at(&[NOW, NOW + DAY, NOW + MINUTE, NOW + 3 * DAY, NOW + 3 * DAY + 1]);
    assert_eq!((clock.ahead_ms(), clock.eras_len()), (0, 2));
    for (id, at) in ids {
        assert_eq!(clock.eras().accepted_at(id), at);
    }
}

#[test]
fn what_a_wrong_clock_gave_does_not_count_as_recent_when_its_time_comes() {
    for ahead in [HOUR, 10 * DAY, 10 * YEAR] {
        let (mut clock, mut ids) = ids_at(&[NOW, NOW + ahead, NOW + MINUTE]);
        for later in [NOW + 2 * MINUTE, NOW + ahead - 1, NOW + ahead + 10] {
            let last = ids.last().unwrap().0;
            clock.tick(later, last.time_part());
            ids.push((clock.first().max(last.plus(1)), later));
            let recent_ids = clock.eras().given_since(later - MINUTE + 1, later);
            let counted = |id: MessageId| recent_ids.iter().any(|range| range.contains(&id));
            assert!(!counted(ids[1].0), "ahead by {ahead}, at {later}");
            assert!(counted(ids.last().unwrap().0));
        }
    }
}

#[test]
fn a_clock_back_by_mistake_takes_nothing_away_from_what_came_before() {
    let (clock, ids) = ids_at(&[
        NOW,
        NOW + MINUTE,
        NOW - YEAR,
        NOW - YEAR + 3 * HOUR,
        NOW + 4 * HOUR,
    ]);
    let eras = clock.eras();
    // Retention of a day, once the clock is right again: nothing goes that is younger.
    assert!(eras.cut(NOW + 4 * HOUR - DAY) <= ids[0].0);
    assert_eq!(eras.believed_at(ids[1].0), NOW + MINUTE);
    let recent_ids = eras.given_since(NOW, NOW + 4 * HOUR);
    let counted = |id: MessageId| recent_ids.iter().any(|range| range.contains(&id));
    assert!(counted(ids[0].0) && counted(ids[1].0) && counted(ids[4].0));
    // While it is wrong.
    let (clock, ids) = ids_at(&[NOW, NOW + MINUTE, NOW - YEAR]);
    assert!(clock.eras().cut(NOW - YEAR - DAY) <= ids[0].0);
}

#[test]
fn what_a_wrong_clock_gave_is_not_kept_until_its_time_comes() {
    let (clock, ids) = ids_at(&[NOW, NOW + 300 * DAY, NOW + HOUR, NOW + 2 * DAY]);
    let cut = clock.eras().cut(NOW + 2 * DAY);
    assert_eq!(cut, ids[3].0);
    assert_eq!(clock.eras().believed_at(ids[1].0), NOW + HOUR);
}

#[test]
fn a_clock_that_flaps_makes_a_bounded_number_of_eras_and_ids_stay_in_order() {
    let times: Vec<UnixMs> = (0..5_000).map(|n| NOW + n + (n % 2) * DAY).collect();
    let (clock, ids) = ids_at(&times);
    assert!(clock.eras_len() <= ERAS_MAX);
    assert!(ids.is_sorted_by(|a, b| a.0 < b.0));
}

/// A store of an earlier release that was served once with the clock ten days ahead opens well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_with_wrong_times_of_an_earlier_release_recovers() {
    use crate::conformance::fixtures::{ACCOUNT, accepted_batch, batch, number, request};
    use crate::sqlite::{Mode, SqliteConfig, SqliteStore, open};
    use crate::{Accepted, Caps, MessageSpan, Store};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    let mut conn = open::writing(&path, &SqliteConfig::default()).unwrap();
    open::migrate_to(&mut conn, 11).unwrap();
    let ahead = MessageId::first_at(NOW + 10 * DAY).0;
    conn.execute_batch(&format!(
        "INSERT INTO batch (first_id, session, messages, account, dialect, class, kind, template, label, capped, text,
                            user, series)
         VALUES ({ahead}, {ahead}, 2, {account}, 0, 1, 0, 42, 0, 1, 'hello', '', 0);
         INSERT INTO message (id, msisdn, carrier, segments, written)
         VALUES ({ahead}, {msisdn}, 3, 1, ''), ({ahead} + 1, {msisdn}, 3, 1, '');",
        account = ACCOUNT.0,
        msisdn = number(0).as_u64(),
    ))
    .unwrap();
    drop(conn);

    let store = SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).unwrap();
    assert_eq!(
        store.newest_at(),
        NOW + 10 * DAY,
        "shows that the clock was wrong"
    );
    let capped = |now| {
        let mut command = request(now, vec![batch(0..1)]);
        command.caps = Some(Caps {
            per_minute_max: 2,
            per_day_max: 2,
        });
        store.accept(command)
    };
    for now in [NOW, NOW + 1] {
        assert!(matches!(capped(now).await, Ok(Accepted::New(_))));
    }
    assert!(capped(NOW + 2).await.is_err());
    let today = accepted_batch(&store, NOW + HOUR, 5..6).await;
    assert_eq!(today.accepted_at, NOW + HOUR);
    let old = store.messages(vec![MessageId(ahead)]).await.unwrap().remove(0);
    assert_eq!(old.batch.accepted_at, NOW + 10 * DAY);
    let filter = crate::conformance::fixtures::everything();
    let span = MessageSpan::Accepted(NOW..NOW + DAY);
    assert_eq!(store.find(ACCOUNT, span, filter).await.unwrap().1, 3);
}

proptest! {
    /// Whatever the clock does: ids grow, times are read back, and a span of time has exactly its ids.
    #[test]
    fn ids_grow_and_contain_their_times(steps in prop::collection::vec(
        prop_oneof![
            8 => 0..10_000i64,
            2 => -SLACK_MS..0,
            2 => (-20 * YEAR)..(20 * YEAR),
            1 => (-2 * DAY)..(2 * DAY),
            1 => Just(i64::MAX / 2),
            1 => Just(i64::MIN / 2),
        ], 1..60), from in 0..40i64, days in 1..5i64)
    {
        let mut now = NOW;
        let mut times = Vec::new();
        for step in steps {
            now = if step.abs() > 100 * YEAR { step } else { now.clamp(0, TIME_MAX).saturating_add(step) };
            times.push(now);
        }
        let (clock, ids) = ids_at(&times);
        prop_assert!(ids.is_sorted_by(|a, b| a.0 < b.0), "{ids:?}");
        prop_assert!(ids.iter().all(|(id, _)| id.0 > 0));
        let eras = clock.eras();
        for (id, at) in &ids {
            let off = eras.accepted_at(*id) - (*at).clamp(0, TIME_MAX);
            prop_assert!((0..=SLACK_MS).contains(&off), "off by {off}");
            prop_assert!(eras.believed_at(*id) <= eras.accepted_at(*id));
        }
        let span = NOW + (from - 20) * DAY..NOW + (from - 20 + days) * DAY;
        let ranges = eras.accepted_in(&span);
        for (id, _) in &ids {
            let inside = ranges.iter().filter(|range| range.contains(id)).count();
            prop_assert_eq!(inside, usize::from(span.contains(&eras.accepted_at(*id))));
        }
    }
}
