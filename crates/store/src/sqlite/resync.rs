//! Makes the write-ahead log durable before a server builds on it.
//!
//! A server that could not sync its log ends. What the kernel could not write may still be in its cache, marked as
//! written: the next process reads it, recovers the transaction, goes on behind it, and each of its syncs succeeds, while the
//! disk lacks a piece in the middle of the log. A power cut then takes everything behind that piece. So the log is written
//! again in place, octet by octet as it is read, and synced: what was in the cache alone is on the disk then. It has the size of
//! the log, and nothing to do after a stop in good order.

use super::lock::WriterLock;
use super::place::beside;
use crate::StoreError;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Octets that are read and written at once.
const PIECE: usize = 1 << 20;

/// Writes the log of the store again and syncs it. No tool may write meanwhile.
///
/// # Errors
/// [`StoreError::SyncFailed`] when the disk does not take it, and [`StoreError::Unwritable`] when it cannot be read or written.
pub(super) fn write_log_again(store: &Path, writer_lock: &WriterLock) -> Result<(), StoreError> {
    let path = beside(store, "-wal");
    let log = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let what = format!("open the log {}: {error}", path.display());
            return Err(StoreError::Unwritable(what));
        }
    };
    if let Err(error) = writer_lock.take_at_start() {
        // Without it what a tool writes could be overwritten. It would be needed only after a sync had failed.
        tracing::warn!(%error, "write-ahead log not rewritten");
        return Ok(());
    }
    let done = rewrite(&log);
    writer_lock.leave();
    done.map_err(|error| StoreError::Unwritable(format!("write the log {} again: {error}", path.display())))?;
    log.sync_data()
        .map_err(|error| StoreError::SyncFailed(format!("sync the log {}: {error}", path.display())))
}

fn rewrite(log: &File) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    loop {
        let length = log.read_at(&mut piece, offset)?;
        let Some(read) = piece.get(..length).filter(|read| !read.is_empty()) else {
            return Ok(());
        };
        log.write_all_at(read, offset)?;
        offset += read.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_log_is_as_it_was_and_need_not_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("s.db");
        let writer_lock = WriterLock::open(&store, Duration::from_secs(5)).unwrap();
        write_log_again(&store, &writer_lock).unwrap();
        assert!(!beside(&store, "-wal").exists());
        let octets: Vec<u8> = (0..PIECE + 12_345).map(|at| (at * 31 % 251) as u8).collect();
        std::fs::write(beside(&store, "-wal"), &octets).unwrap();
        write_log_again(&store, &writer_lock).unwrap();
        assert!(std::fs::read(beside(&store, "-wal")).unwrap() == octets);
    }
}
