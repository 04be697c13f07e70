//! SQLite's errors by what the caller can do about them.

use crate::StoreError;
use rusqlite::ErrorCode;

/// Names what was tried and sorts the error.
pub(super) fn store_error(tried: &str, error: &rusqlite::Error) -> StoreError {
    let text = || format!("{tried}: {error}");
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
