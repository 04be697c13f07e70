#![allow(clippy::unwrap_used)]

use super::*;
use crate::conformance::fixtures::{ACCOUNT, NOW, batch, endpoint, receipt, request};
use crate::sqlite::lock::ServerLock;
use crate::sqlite::metrics::Meters;
use crate::sqlite::write_task::WriteTask;
use crate::sqlite::{Mode, SqliteConfig, load, open};
use crate::{AcceptError, EventKinds};
use parking_lot::Mutex;
use sms::state::ReceiptState;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// What a writer has, without its thread.
struct TestWriter {
    _folder: TempDir,
    path: PathBuf,
    conn: Connection,
    memory: WriterState,
    shared: Shared,
    maintenance: Maintenance,
    watch: Watch,
}

impl TestWriter {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.db");
        let config = SqliteConfig::default();
        let mut conn = open::writing(&path, &config).unwrap();
        open::migrate(&mut conn, &path, Mode::Serve).unwrap();
        let meters = Arc::new(Meters::default());
        let (shared, memory) = load::serve(&conn, &config, Arc::clone(&meters)).unwrap();
        let lock = Arc::new(ServerLock::take(&path).unwrap());
        let watch = Watch::begin(&path, &mut conn, 0, lock, meters).unwrap();
        Self {
            _folder: folder,
            path,
            conn,
            memory,
            shared,
            maintenance: Maintenance::default(),
            watch,
        }
    }

    fn begin(&mut self) -> GroupCommit<'_> {
        let Self {
            conn,
            memory,
            shared,
            maintenance,
            watch,
            ..
        } = self;
        GroupCommit::begin(conn, Some(memory), shared, maintenance, Some(watch)).unwrap()
    }

    /// Unmatched receipts on disk and in memory.
    fn unmatched_receipts(&self) -> (i64, usize) {
        let rows = self
            .conn
            .query_row("SELECT count(*) FROM unmatched_receipt", [], |row| row.get(0));
        (rows.unwrap(), self.memory.unmatched_receipts.len())
    }
}

fn unknown_receipt() -> (
    Command,
    oneshot::Receiver<Result<Vec<crate::ReceiptEffect>, StoreError>>,
) {
    let (reply, answer) = oneshot::channel();
    let receipt = receipt("unknown", ReceiptState::Delivered, NOW);
    (Command::RecordReceipts(vec![receipt], reply), answer)
}

/// Ends the transaction and fails, as SQLite does by itself on some errors (a full disk).
struct EndsTransaction;

impl WriteTask for EndsTransaction {
    fn rows(&self) -> usize {
        1
    }

    fn run(self: Box<Self>, group: &mut GroupCommit<'_>) -> Completion {
        let ended = group.attempt(|work| -> Result<(), StoreError> {
            work.conn.execute_batch("ROLLBACK").unwrap();
            Err(StoreError::Unwritable("the disk is full".into()))
        });
        assert!(ended.is_err());
        Box::new(|_| ())
    }

    fn refuse(self: Box<Self>, _: StoreError) {}
}

#[test]
fn nothing_is_done_after_the_transaction_of_a_group_has_ended() {
    let mut writer = TestWriter::make();
    let mut group = writer.begin();
    let (before, mut answer_before) = unknown_receipt();
    let (after, mut answer_after) = unknown_receipt();
    let (probe, mut answer_probe) = oneshot::channel();
    group.run(before);
    assert!(!group.has_failed());
    group.run(Command::WriteTask(Box::new(EndsTransaction)));
    assert!(group.has_failed());
    // The writer does receipts last, also when what it took after them has failed.
    group.run(after);
    group.run(Command::Probe(probe));
    let ended = group.end(1);
    assert!(!ended.committed && ended.failed_sync.is_none());
    for answer in [&mut answer_before, &mut answer_after] {
        let refused = answer.try_recv().unwrap().unwrap_err();
        assert!(matches!(refused, StoreError::Unwritable(_)), "{refused:?}");
    }
    assert!(answer_probe.try_recv().unwrap().is_err());
    assert_eq!(writer.unmatched_receipts(), (0, 0));

    // The next group is whole again, and the receipt comes once more.
    let mut group = writer.begin();
    let (again, mut answer) = unknown_receipt();
    group.run(again);
    assert!(group.end(1).committed);
    answer.try_recv().unwrap().unwrap();
    assert_eq!(writer.unmatched_receipts(), (1, 1));
}

#[test]
fn what_was_committed_into_files_that_are_gone_is_not_reported() {
    for gone in [false, true] {
        let mut writer = TestWriter::make();
        let notified = Arc::new(Mutex::new(Vec::new()));
        let (of_events, of_failed) = (Arc::clone(&notified), Arc::clone(&notified));
        *writer.shared.listener.lock() = Some(Box::new(move |accounts| {
            of_events.lock().push(format!("events of {accounts:?}"));
        }));
        *writer.shared.failed_listener.lock() = Some(Box::new(move |ids| {
            of_failed.lock().push(format!("{} failed", ids.len()));
        }));
        let path = writer.path.clone();
        let mut group = writer.begin();
        let (reply, _) = oneshot::channel();
        let change = CatalogChange::PutEndpoint(endpoint(1, ACCOUNT, EventKinds::ALL));
        group.run(Command::ChangeCatalog(
            catalog::Condition::None,
            vec![change],
            reply,
        ));
        let mut failing = batch(0..3);
        failing.messages[0].failure = Some(430);
        let (reply, mut answer) = oneshot::channel();
        let command = Box::new(request(NOW, vec![failing]));
        group.run(Command::Accept(command, reply));
        if gone {
            std::fs::rename(&path, path.with_extension("elsewhere")).unwrap();
        }
        assert!(group.end(1).committed, "into whatever file it is");
        let answer = answer.try_recv().unwrap();
        if gone {
            let refused = answer.unwrap_err();
            assert!(
                matches!(refused, AcceptError::Store(StoreError::Unwritable(_))),
                "{refused:?}"
            );
            assert_eq!(*notified.lock(), Vec::<String>::new());
        } else {
            answer.unwrap();
            assert_eq!(notified.lock().len(), 2, "{:?}", notified.lock());
        }
    }
}
