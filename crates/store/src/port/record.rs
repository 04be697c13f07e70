//! Records: small things of an account that nothing is sent by, such as labels and qualifications.

use super::{AccountId, UnixMs};

/// What a record is. The stored number never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum RecordKind {
    /// A label.
    Label = 1,
    /// A signature's qualification documents (UCloud).
    Qualification = 2,
    /// An uploaded file.
    File = 3,
    /// A report that a code was used (UCloud AddBackfill, upUSMSCustomerStatus).
    Backfill = 4,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id, unique in the store, never given twice.
    pub id: i64,
    /// Whose.
    pub account: AccountId,
    /// What.
    pub kind: RecordKind,
    /// Its name: unique within account and kind unless empty.
    pub name: Box<str>,
    /// The dialect's own: JSON.
    pub body: Box<str>,
    /// Octets that go with it (a file's content).
    pub data: Vec<u8>,
    /// When it was made.
    pub created_at: UnixMs,
    /// When it last changed.
    pub updated_at: UnixMs,
}

/// Which records are listed.
#[derive(Debug, Clone, Default)]
pub struct RecordFilter {
    /// Only those whose name contains this, whatever the case.
    pub name_contains: Option<Box<str>>,
    /// How many to skip.
    pub offset: u64,
    /// How many to return at most.
    pub limit: usize,
}

/// Why a record could not be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordRefusal {
    /// No such record.
    None,
    /// Another of the account and kind has that name.
    NameTaken,
    /// So many of the kind as the account may have.
    Full,
    /// The data of all its records takes as much room as the account has.
    NoRoom,
}

/// Bounds on what one account keeps in records, looked at when one is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordBounds {
    /// Records of the kind.
    pub documents_max: u64,
    /// Octets of the data of all records of the account, of whatever kind.
    pub data_octets_max: u64,
}
