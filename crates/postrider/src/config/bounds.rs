//! Bounds of settings that the engine or the store would otherwise clamp: a value beyond them is an error.

use super::{Sqlite, Webhooks};

/// A setting, its value, and its minimum and maximum.
pub(super) type Bound = (&'static str, u64, u64, u64);

/// Reports values out of bounds instead of letting the component clamp them.
pub(super) fn within(wrong: &mut Vec<String>, table: &str, bounds: &[Bound]) {
    for (name, value, min, max) in bounds {
        if !(min..=max).contains(&value) {
            wrong.push(format!("`{table}.{name}` is {value}; it must be {min} to {max}"));
        }
    }
}

/// The bounds of `store::sqlite::SqliteConfig`.
pub(super) fn store_bounds(sqlite: &Sqlite) -> Vec<Bound> {
    vec![
        ("commands_max", sqlite.commands_max as u64, 1, 65_536),
        (
            "messages_waiting_max",
            sqlite.messages_waiting_max as u64,
            1_000,
            4_194_304,
        ),
        (
            "engine_commands_max",
            sqlite.engine_commands_max as u64,
            1,
            65_536,
        ),
        ("group_rows_max", sqlite.group_rows_max as u64, 1, 65_536),
        ("group_ms_max", sqlite.group_ms_max, 1, 1_000),
        ("readers_max", sqlite.readers_max as u64, 2, 16),
        ("reads_max", sqlite.reads_max as u64, 1, 65_536),
        (
            "writer_cache_kib_max",
            sqlite.writer_cache_kib_max as u64,
            1_024,
            1_048_576,
        ),
        (
            "reader_cache_kib_max",
            sqlite.reader_cache_kib_max as u64,
            256,
            1_048_576,
        ),
        ("wal_bytes_max", sqlite.wal_bytes_max, 1 << 20, 16 << 30),
        (
            "memtable_entries_max",
            sqlite.memtable_entries_max as u64,
            16,
            7_340_032,
        ),
        ("filter_bytes_max", sqlite.filter_bytes_max as u64, 0, 1 << 30),
        (
            "unmatched_receipts_max",
            sqlite.unmatched_receipts_max as u64,
            1,
            10_000_000,
        ),
        (
            "unassigned_inbound_max",
            sqlite.unassigned_inbound_max as u64,
            1,
            10_000_000,
        ),
        (
            "reference_numbers_max",
            sqlite.reference_numbers_max as u64,
            2,
            1 << 24,
        ),
        ("find_rows_max", sqlite.find_rows_max as u64, 1_000, 100_000_000),
        ("lock_wait_ms_max", sqlite.lock_wait_ms_max, 1, 60_000),
    ]
}

/// The bounds of `engine::webhooks::Limits`.
pub(super) fn webhook_bounds(webhooks: &Webhooks) -> Vec<Bound> {
    vec![
        ("window_events_max", webhooks.window_events_max as u64, 16, 10_000),
        (
            "waiting_events_max",
            webhooks.waiting_events_max as u64,
            100,
            1_000_000,
        ),
        ("endpoint_calls_max", webhooks.endpoint_calls_max as u64, 1, 256),
        ("calls_max", webhooks.calls_max as u64, 0, 100_000),
        (
            "request_bytes_max",
            webhooks.request_bytes_max as u64,
            1024,
            64 << 20,
        ),
        ("breaker_failures", webhooks.breaker_failures as u64, 2, 1000),
        ("pause_after_s", webhooks.pause_after_s.into(), 1, 30 * 86_400),
        (
            "breaker_wait_s_max",
            webhooks.breaker_wait_s_max.into(),
            1,
            86_400,
        ),
        (
            "retry_after_s_max",
            webhooks.retry_after_s_max.into(),
            1,
            7 * 86_400,
        ),
        ("poll_ms", webhooks.poll_ms.into(), 1, 3_600_000),
        ("record_every_ms", webhooks.record_every_ms.into(), 1, 10_000),
    ]
}
