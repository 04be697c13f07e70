//! SQLite's errors by what the caller can do about them.

use crate::{AcceptError, StoreError};
use rusqlite::{ErrorCode, ffi};

/// Names what was tried and sorts the error.
pub(super) fn store_error(tried: &str, error: &rusqlite::Error) -> StoreError {
    let text = || format!("{tried}: {error}");
    if is_failed_sync(error) {
        return StoreError::SyncFailed(text());
    }
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed,
        ) => StoreError::Unwritable(text()),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(text()),
        _ => StoreError::Other(text()),
    }
}

/// Whether `fsync` failed, of a file or of its folder. The kernel may have dropped what it could not write and say that the
/// next sync succeeded, so none is tried.
fn is_failed_sync(error: &rusqlite::Error) -> bool {
    const FAILED_SYNCS: [i32; 2] = [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC];
    let code = error.sqlite_error().map(|error| error.extended_code);
    code.is_some_and(|code| FAILED_SYNCS.contains(&code))
}

/// What a group has to know of a command's error.
pub(super) trait FailedSync: From<StoreError> {
    /// The failed sync, if it was one.
    fn failed_sync(&self) -> Option<StoreError>;
}

impl FailedSync for StoreError {
    fn failed_sync(&self) -> Option<StoreError> {
        self.is_failed_sync().then(|| self.clone())
    }
}

impl FailedSync for AcceptError {
    fn failed_sync(&self) -> Option<StoreError> {
        self.store_error().and_then(FailedSync::failed_sync)
    }
}

/// Attaches what was tried to a result of SQLite's.
pub(super) trait Tried<T> {
    /// Sorts the error and names what was tried.
    fn tried(self, what: &str) -> Result<T, StoreError>;
}

impl<T> Tried<T> for rusqlite::Result<T> {
    fn tried(self, what: &str) -> Result<T, StoreError> {
        self.map_err(|error| store_error(what, &error))
    }
}
