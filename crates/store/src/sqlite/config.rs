//! What can be set, with its bounds.

/// Settings of a [`super::SqliteStore`]. Every bound is kept by construction: see [`SqliteConfig::clamped`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteConfig {
    /// Accept commands that may wait for the writer, 1..=65 536. One more is answered
    /// [`crate::StoreError::Busy`] at once.
    pub commands_max: usize,
    /// Messages that may wait for the writer within accept commands, 1 000..=4 194 304: what bounds the
    /// memory of waiting commands. A single command with more than that is taken when nothing else waits.
    pub messages_waiting_max: usize,
    /// Engine commands (attempts, results, receipts, releases) that may wait, 1..=65 536. One more waits
    /// for its turn outside.
    pub engine_commands_max: usize,
    /// Rows (messages, results, receipts) after which a group is closed and committed, 1..=65 536. A
    /// single command with more than that is a group of its own.
    pub group_rows_max: usize,
    /// Milliseconds of work after which a group is closed and committed, 1..=1 000.
    pub group_ms_max: u64,
    /// Read-only connections, 2..=16. The first one serves dispatch only, so that queries never hold back sending; of three
    /// or more the second one serves no searches, so that they never hold back status queries.
    pub readers_max: usize,
    /// Reads of each kind (for sending, status queries, webhooks, searches) that may wait for a reader, 1..=65 536. One
    /// more waits for its turn outside.
    pub reads_max: usize,
    /// Page cache of the writing connection in KiB, 1 024..=1 048 576.
    pub writer_cache_kib_max: usize,
    /// Page cache of each reading connection in KiB, 256..=1 048 576.
    pub reader_cache_kib_max: usize,
    /// Size of the write-ahead log at which the writer itself completes a checkpoint, 1 MiB..=16 GiB.
    /// The file is reused, so it stays near this size.
    pub wal_bytes_max: u64,
    /// Entries of an index (numbers, receipt keys, request ids) held in memory before they are sealed as
    /// a run, 16..=7 340 032. About 26 octets each, twice that with the room kept for the next ones, and
    /// 16 more while a run is being sealed. The default is the fullest that a hash table of 2^17 places
    /// gets; larger runs make look-ups no faster, because runs are merged.
    pub memtable_entries_max: usize,
    /// Memory for the filters of sealed runs of one index, 0..=1 GiB. Runs beyond it (the oldest) are
    /// looked up on disk: slower, never wrong.
    pub filter_bytes_max: usize,
    /// How old a message may be whose receipt is still matched, in milliseconds; older runs of receipt
    /// keys are not searched and are dropped.
    pub receipt_age_ms_max: i64,
    /// Unmatched receipts kept, 1..=10 000 000, at about 60 octets of memory each. Beyond it the oldest are dropped,
    /// and counted in [`super::StoreMetrics::unmatched_receipts_dropped`].
    pub unmatched_receipts_max: usize,
    /// Inbound messages kept that no account owns, 1..=10 000 000; each 256 octets of one count as one more. Beyond
    /// it the oldest are dropped, and counted in [`super::StoreMetrics::unassigned_inbound_dropped`].
    pub unassigned_inbound_max: usize,
    /// Numbers whose last concatenation reference is held in memory, 2..=16 777 216, at about 40 octets each, once
    /// they were sent a message of several parts. That of any other number is read from the store: slower, never
    /// wrong.
    pub reference_numbers_max: usize,
    /// Rows (batches or messages) one search looks at, 1 000..=100 000 000: a search over more ends early
    /// with what it found.
    pub find_rows_max: usize,
    /// Milliseconds to wait for another process (`postrider apply`) that writes, 1..=60 000.
    pub lock_wait_ms_max: u64,
    /// Whether the group of the store's file may read it and its write-ahead log (0640); otherwise only the owner may
    /// (0600).
    pub group_may_read: bool,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self {
            commands_max: 4_096,
            messages_waiting_max: 65_536,
            engine_commands_max: 1_024,
            group_rows_max: 4_000,
            group_ms_max: 20,
            readers_max: 3,
            reads_max: 1_024,
            writer_cache_kib_max: 12 * 1_024,
            reader_cache_kib_max: 2 * 1_024,
            wal_bytes_max: 64 << 20,
            memtable_entries_max: (1 << 17) / 8 * 7,
            filter_bytes_max: 64 << 20,
            receipt_age_ms_max: 7 * 86_400_000,
            unmatched_receipts_max: 100_000,
            unassigned_inbound_max: 100_000,
            reference_numbers_max: 131_072,
            find_rows_max: 2_000_000,
            lock_wait_ms_max: 5_000,
            group_may_read: false,
        }
    }
}

impl SqliteConfig {
    /// The same with every value within its bounds.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self {
            commands_max: self.commands_max.clamp(1, 65_536),
            messages_waiting_max: self.messages_waiting_max.clamp(1_000, 4_194_304),
            engine_commands_max: self.engine_commands_max.clamp(1, 65_536),
            group_rows_max: self.group_rows_max.clamp(1, 65_536),
            group_ms_max: self.group_ms_max.clamp(1, 1_000),
            readers_max: self.readers_max.clamp(2, 16),
            reads_max: self.reads_max.clamp(1, 65_536),
            writer_cache_kib_max: self.writer_cache_kib_max.clamp(1_024, 1_048_576),
            reader_cache_kib_max: self.reader_cache_kib_max.clamp(256, 1_048_576),
            wal_bytes_max: self.wal_bytes_max.clamp(1 << 20, 16 << 30),
            memtable_entries_max: self.memtable_entries_max.clamp(16, 7_340_032),
            filter_bytes_max: self.filter_bytes_max.min(1 << 30),
            receipt_age_ms_max: self.receipt_age_ms_max.max(0),
            unmatched_receipts_max: self.unmatched_receipts_max.clamp(1, 10_000_000),
            unassigned_inbound_max: self.unassigned_inbound_max.clamp(1, 10_000_000),
            reference_numbers_max: self.reference_numbers_max.clamp(2, 1 << 24),
            find_rows_max: self.find_rows_max.clamp(1_000, 100_000_000),
            lock_wait_ms_max: self.lock_wait_ms_max.clamp(1, 60_000),
            group_may_read: self.group_may_read,
        }
    }
}
