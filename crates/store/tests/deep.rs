//! Reading a store through: a whole one has no problems, and what is changed in it is seen.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use sms::state::{MessageState, ReceiptState};
use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use store::conformance::fixtures::{
    ACCOUNT, CARRIER, LANE, NOW, accepted, batch, begun, endpoint, listening, long_batch, once, receipt,
    recorded, request, result, taken_as, waiting,
};
use store::sqlite::{DeepPart, Mode, SqliteConfig, SqliteStore};
use store::{AcceptCommand, Answer, AttemptOutcome, EventKinds, Next, Store};
use tempfile::TempDir;

/// So small that there are runs, merged ones too.
fn config() -> SqliteConfig {
    SqliteConfig {
        memtable_entries_max: 300,
        ..SqliteConfig::default()
    }
}

/// A store with messages of all kinds in it, closed.
async fn filled(rounds: i64) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    let store = SqliteStore::open(&path, Mode::Serve, config()).unwrap();
    fill(&store, 0..rounds).await;
    store.close().await.unwrap();
    (folder, path)
}

async fn fill(store: &SqliteStore, rounds: Range<i64>) {
    listening(store, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    for round in rounds {
        let now = NOW + round * 60_000;
        let mut failing = batch(0..10);
        failing.messages[3].failure = Some(430);
        let command = AcceptCommand {
            idempotency: Some(store::NewIdempotency {
                keep_ms: 86_400_000,
                ..once(&format!("request {round}"))
            }),
            ..request(now, vec![failing, long_batch(20..24), batch(30..50)])
        };
        accepted(store, command).await;
        let queued = waiting(store, LANE).await;
        // The last ones of each round go on waiting.
        let taken = &queued[..queued.len() - 3];
        let attempt = begun(store, CARRIER, now, taken).await;
        let outcomes = taken.iter().enumerate().map(|(n, outgoing)| {
            let id = taken_as(&format!("{round}-{n}"));
            let (answer, next) = match n % 7 {
                0 => (Answer::None, Next::Final(MessageState::Rejected)),
                1 => (
                    Answer::None,
                    Next::Retry {
                        due: now + 5_000_000,
                        carrier: CARRIER,
                    },
                ),
                2 => (
                    Answer::segments(vec![Some(id.clone()), Some(id)]),
                    Next::Submitted,
                ),
                _ => (Answer::Single(id), Next::Submitted),
            };
            AttemptOutcome {
                stats_key: outgoing.stats_key(),
                ..result(outgoing.id, attempt, now, answer, next)
            }
        });
        recorded(store, outcomes.collect(), &[attempt]).await;
        let receipts = (0..taken.len())
            .filter(|n| n % 3 != 0)
            .map(|n| receipt(&format!("{round}-{n}"), ReceiptState::Delivered, now + 50));
        store.record_receipts(receipts.collect()).await.unwrap();
    }
    // Some are with the carrier.
    let queued = waiting(store, LANE).await;
    begun(store, CARRIER, NOW, &queued[..2]).await;
}

fn checked(path: &Path) -> Vec<DeepPart> {
    SqliteStore::check_deep(path, &config(), &|_| {}).unwrap()
}

/// What is wrong, each with its part.
fn problems(path: &Path) -> Vec<String> {
    let parts = checked(path);
    let described = |part: &DeepPart| {
        let problems = part.problems.iter();
        problems
            .map(|problem| format!("{}: {problem}", part.name))
            .collect::<Vec<_>>()
    };
    parts.iter().flat_map(described).collect()
}

#[tokio::test]
async fn a_store_whose_clock_was_ahead_has_no_problems_once_its_times_are_corrected() {
    const HOUR: i64 = 3_600_000;
    let (_folder, path) = filled(3).await;
    let mut round = 10;
    for ahead in [100 * HOUR, 1_000 * HOUR] {
        let store = SqliteStore::open(&path, Mode::Serve, config()).unwrap();
        // Some by a clock that is ahead by less than is corrected, some by one that is ahead by more.
        let now = NOW + round * 60_000;
        for ahead in [HOUR / 2, ahead, ahead / 2] {
            let round = round + ahead / 60_000;
            fill(&store, round..round + 3).await;
        }
        for now in [now + ahead / 3, now, now] {
            store.correct_times(now).await.unwrap();
            assert_eq!(problems(&path), Vec::<String>::new(), "ahead by {ahead}");
        }
        round += 60;
        fill(&store, round..round + 1).await;
        store.close().await.unwrap();
        assert_eq!(problems(&path), Vec::<String>::new(), "ahead by {ahead}");
    }
}

#[tokio::test]
async fn a_whole_store_has_no_problems_stopped_or_served() {
    let (_folder, path) = filled(20).await;
    let parts = checked(&path);
    assert!(parts.iter().all(|part| part.problems.is_empty()), "{parts:#?}");
    let looked_at = |name: &str| {
        parts
            .iter()
            .find(|part| part.name == name)
            .unwrap()
            .looked_at
            .clone()
    };
    assert!(
        looked_at("messages").starts_with("680 messages, 60 batches"),
        "{parts:#?}"
    );
    assert!(!looked_at("indexes").starts_with("0 sealed"), "{parts:#?}");
    assert!(!looked_at("events").starts_with("0 events"), "{parts:#?}");
    SqliteStore::would_start(&path, &config()).unwrap();

    let store = SqliteStore::open(&path, Mode::Serve, config()).unwrap();
    let filling = tokio::spawn(async move {
        fill(&store, 20..50).await;
        store
    });
    while !filling.is_finished() {
        let path = path.clone();
        let problems = tokio::task::spawn_blocking(move || problems(&path))
            .await
            .unwrap();
        assert!(problems.is_empty(), "{problems:#?}");
    }
    filling.await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn each_kind_of_disagreement_is_seen() {
    let (folder, path) = filled(20).await;
    let cases = [
        ("messages: ", "is queued and waits nowhere", "DELETE FROM queue"),
        ("messages: ", "waits nowhere", "DELETE FROM delayed"),
        (
            "messages: ",
            "is in two places of lanes",
            "INSERT INTO queue SELECT 99, class, account, seq, first_id, last_id, 0, NULL FROM queue",
        ),
        (
            "messages: ",
            "another class or account",
            "UPDATE queue SET account = account + 1",
        ),
        (
            "messages: ",
            "is in no batch",
            "DELETE FROM batch WHERE first_id = (SELECT min(first_id) FROM batch)",
        ),
        (
            "messages: ",
            "are there",
            "UPDATE batch SET messages = messages + 1 WHERE first_id = (SELECT max(first_id) FROM batch)",
        ),
        (
            "messages: ",
            "is in two batches",
            "UPDATE batch SET messages = messages + 1",
        ),
        (
            "messages: ",
            "are there",
            "DELETE FROM message WHERE id = (SELECT max(id) FROM message)",
        ),
        (
            "messages: ",
            "that are not there",
            "UPDATE message_status SET id = id - 5000 WHERE id = (SELECT min(id) FROM message_status)",
        ),
        (
            "messages: ",
            "cannot be read",
            "UPDATE message_status SET state = 3 WHERE id = (SELECT min(id) FROM message_status)",
        ),
        (
            "messages: ",
            "cannot be read",
            "UPDATE message_status SET segments = x'FFFFFF' WHERE segments IS NOT NULL",
        ),
        (
            "messages: ",
            "and waits in a lane",
            "INSERT INTO message_status SELECT (SELECT first_id FROM queue LIMIT 1), 19, flags, carrier, bind, attempts, attempt, attempted_at, answered_in, changed_at, command_status, carrier_id, error, NULL, stats_key FROM message_status LIMIT 1",
        ),
        (
            "messages: ",
            "awaited cannot be read",
            "UPDATE awaiting_receipt SET ids = x'FF'",
        ),
        ("messages: ", "no class or kind", "UPDATE batch SET kind = 77"),
        (
            "messages: ",
            "another series or country",
            "UPDATE message_status SET stats_key = stats_key + 4294967296",
        ),
        (
            "values: ",
            "something else in error",
            "UPDATE message_status SET error = x'4142'",
        ),
        (
            "values: ",
            "is missing",
            "UPDATE meta SET key = 'probf' WHERE key = 'probe'",
        ),
        (
            "counters: ",
            "the counters say",
            "UPDATE message_stats SET messages = messages + 1",
        ),
        (
            "counters: ",
            "the counters say",
            "UPDATE message_stats SET segments = segments + 1",
        ),
        (
            "counters: ",
            "the counters say",
            "UPDATE message_status SET state = 21 WHERE id = (SELECT min(id) FROM message_status WHERE state = 20)",
        ),
        (
            "indexes: ",
            "index of numbers",
            "UPDATE message SET msisdn = msisdn + 1 WHERE id = (SELECT min(id) FROM message)",
        ),
        (
            "indexes: ",
            "entries",
            "DELETE FROM number_page WHERE id = (SELECT min(id) FROM number_page)",
        ),
        (
            "indexes: ",
            "does not begin",
            "UPDATE receipt_page SET entries = zeroblob(length(entries))",
        ),
        (
            "indexes: ",
            "its filter hides",
            "UPDATE sorted_run SET filter = zeroblob(length(filter))",
        ),
        (
            "indexes: ",
            "would not be found by a receipt",
            "UPDATE message_status SET carrier_id = 'other' WHERE carrier_id IS NOT NULL AND state = 19",
        ),
        (
            "indexes: ",
            "would be done again",
            "DELETE FROM sorted_run WHERE kind = 2; UPDATE idempotency_record SET key = 'other' WHERE id = (SELECT min(id) FROM idempotency_record); INSERT INTO sorted_run SELECT 2, 0, 0, 0, 0, (SELECT max(id) FROM idempotency_record), 0, x'', x'', 0",
        ),
        (
            "events: ",
            "is not what it says it is",
            "UPDATE outbox SET count = count + 1",
        ),
        (
            "events: ",
            "is not what it says it is",
            "UPDATE outbox SET entries = x'FFFF'",
        ),
        (
            "events: ",
            "is older",
            "UPDATE outbox SET at = 1 WHERE row = (SELECT max(row) FROM outbox)",
        ),
        (
            "events: ",
            "of retries than are counted",
            "UPDATE endpoint_state SET waiting = 7",
        ),
        (
            "lists: ",
            "says 3 members and has 0",
            "INSERT INTO contact_list (account, name, description, members, created_at, updated_at) VALUES (7, 'a', '', 3, 0, 0)",
        ),
        (
            "lists: ",
            "members are in no list",
            "INSERT INTO contact VALUES (99, 1, 2, 3, '', '', 0, 0)",
        ),
        (
            "files: ",
            "are counted as 3 octets and have 2",
            "INSERT INTO record (account, kind, name, created_at, updated_at, body, data) VALUES (7, 1, 'a', 0, 0, '{}', x'0102'); UPDATE account_usage SET data_octets = 3",
        ),
        (
            "files: ",
            "are counted as 0 octets and have 2",
            "INSERT INTO record (account, kind, name, created_at, updated_at, body, data) VALUES (7, 1, 'a', 0, 0, '{}', x'0102'); DELETE FROM account_usage",
        ),
        (
            "inbound: ",
            "are counted as 0 and count for 3",
            "INSERT INTO inbound (id, account, carrier, sender, recipient, received_at, text, data) VALUES (1, NULL, 1, '1', '2', 0, '', zeroblob(512))",
        ),
    ];
    for (part, expected, sql) in cases {
        let copy = folder.path().join("copy.db");
        std::fs::copy(&path, &copy).unwrap();
        let conn = rusqlite::Connection::open(&copy).unwrap();
        conn.execute_batch(sql).unwrap();
        drop(conn);
        let found = problems(&copy);
        assert!(
            found
                .iter()
                .any(|problem| problem.starts_with(part) && problem.contains(expected)),
            "{sql}: {found:#?}"
        );
        for suffix in ["", "-wal", "-shm"] {
            let _gone = std::fs::remove_file(folder.path().join(format!("copy.db{suffix}")));
        }
    }
}

/// All that a store says, row by row; `None` when it cannot be read.
fn content(path: &Path) -> Option<Vec<(String, String)>> {
    let conn = rusqlite::Connection::open(path).ok()?;
    let mut select = conn
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
        )
        .ok()?;
    let tables: Vec<String> = select
        .query_map([], |row| row.get(0))
        .ok()?
        .collect::<Result<_, _>>()
        .ok()?;
    let mut all = Vec::new();
    for table in tables {
        let mut select = conn.prepare(&format!("SELECT * FROM {table}")).ok()?;
        let columns: Vec<String> = select.column_names().map(str::to_owned).collect();
        let mut rows = select.query([]).ok()?;
        while let Some(row) = rows.next().ok()? {
            for (n, column) in columns.iter().enumerate() {
                all.push((format!("{table}.{column}"), format!("{:?}", row.get_ref(n).ok()?)));
            }
        }
    }
    Some(all)
}

/// Flips one bit after the other in a store, and counts what becomes of it.
#[tokio::test]
async fn flipped_bits_that_stop_a_start_or_change_what_fits_together_are_seen() {
    let (folder, path) = filled(60).await;
    let whole = std::fs::read(&path).unwrap();
    let before = content(&path).unwrap();
    let (mut seen, mut stops) = (0, 0);
    let mut unseen = BTreeMap::<String, u32>::new();
    for n in 0..flips() {
        let at = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % whole.len() as u64;
        let copy = folder.path().join(format!("{n}.db"));
        std::fs::write(&copy, &whole).unwrap();
        let file = std::fs::File::options().write(true).open(&copy).unwrap();
        file.write_all_at(&[whole[usize::try_from(at).unwrap()] ^ (1 << (n % 8))], at)
            .unwrap();
        let starts =
            SqliteStore::schema_version(&copy).and_then(|_| SqliteStore::would_start(&copy, &config()));
        let found = match SqliteStore::check_deep(&copy, &config(), &|_| {}) {
            Ok(parts) => parts.iter().any(|part| !part.problems.is_empty()),
            Err(_) => true,
        };
        assert!(found || starts.is_ok(), "bit at {at}: {starts:?}");
        stops += usize::from(starts.is_err());
        let after = content(&copy);
        std::fs::remove_file(&copy).unwrap();
        if found {
            seen += 1;
            continue;
        }
        // Values that no other part reports.
        let after = after.unwrap();
        assert_eq!(after.len(), before.len(), "bit at {at}");
        for ((column, old), (_, new)) in before.iter().zip(&after) {
            if old != new {
                *unseen.entry(column.clone()).or_default() += 1;
            }
        }
    }
    println!("{seen} seen, {stops} stop a start, unseen: {unseen:#?}");
    assert!(seen > 0 && stops > 0);
}

/// How many, so that more can be tried by hand.
fn flips() -> u64 {
    std::env::var("POSTRIDER_TEST_FLIPS").map_or(60, |flips| flips.parse().unwrap())
}

#[tokio::test]
async fn a_store_that_is_served_is_not_changed_by_reading_it_through() {
    let (folder, path) = filled(3).await;
    let before = std::fs::read(&path).unwrap();
    assert!(problems(&path).is_empty());
    SqliteStore::would_start(&path, &config()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    drop(folder);
}
