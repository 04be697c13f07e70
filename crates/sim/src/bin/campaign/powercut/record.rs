//! The record that the shim writes of what a program did to its folder (`crates/sim/shim/shim.c` has the format).

use std::str::Utf8Error;

/// Octets of an entry before its data.
const HEAD_OCTETS: usize = 40;

/// Octets of data of one entry at most: no program writes more with one call.
const DATA_OCTETS_MAX: u64 = 1 << 30;

/// One operation, in the order in which they were done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'r> {
    /// The thread id.
    pub(crate) thread: u32,
    /// When, in nanoseconds of the monotonic clock.
    pub(crate) at_ns: u64,
    /// The inode it was done to; 0 for entries of the folder.
    pub(crate) inode: u64,
    pub(crate) what: Operation<'r>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation<'r> {
    /// A file that was there was opened.
    Opened {
        path: &'r str,
    },
    /// A new, empty file.
    Created {
        path: &'r str,
    },
    Written {
        offset: u64,
        data: &'r [u8],
    },
    /// The file has this size now.
    Truncated {
        size: u64,
    },
    SyncBegun,
    /// What had been written when the thread's sync began is on the disk.
    SyncDone,
    /// What had been written when the thread's sync began will never be on the disk, unless it is written again.
    SyncFailed,
    Unlinked {
        path: &'r str,
    },
    Renamed {
        from: &'r str,
        to: &'r str,
    },
    Linked {
        from: &'r str,
        to: &'r str,
    },
    /// The entries of the folder are on the disk.
    FolderSynced,
    /// Memory over a file: what is written to it is not recorded.
    Mapped,
}

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("entry {entry} has the unknown kind {kind}")]
    Kind { entry: usize, kind: u32 },
    #[error("entry {entry} has {octets} octets of data")]
    Length { entry: usize, octets: u64 },
    #[error("entry {entry} has a path that is no text")]
    Path {
        entry: usize,
        #[source]
        source: Utf8Error,
    },
    #[error("entry {entry} has one path where there should be two")]
    OnePath { entry: usize },
}

/// All entries. The last one may be torn, because its process was killed while it wrote it: it is left out.
pub(crate) fn read(mut octets: &[u8]) -> Result<Vec<Entry<'_>>, RecordError> {
    let mut entries = Vec::new();
    while let Some((head, rest)) = octets.split_at_checked(HEAD_OCTETS) {
        let entry = entries.len();
        let length = long(head, 32);
        if length > DATA_OCTETS_MAX {
            return Err(RecordError::Length {
                entry,
                octets: length,
            });
        }
        let Some((data, rest)) = usize::try_from(length)
            .ok()
            .and_then(|length| rest.split_at_checked(length))
        else {
            break;
        };
        entries.push(Entry {
            thread: word(head, 4),
            at_ns: long(head, 8),
            inode: long(head, 16),
            what: operation(entry, word(head, 0), long(head, 24), data)?,
        });
        octets = rest;
    }
    Ok(entries)
}

fn operation(entry: usize, kind: u32, offset: u64, data: &[u8]) -> Result<Operation<'_>, RecordError> {
    let text = |data| std::str::from_utf8(data).map_err(|source| RecordError::Path { entry, source });
    let pair = || {
        let (from, to) = text(data)?
            .split_once('\0')
            .ok_or(RecordError::OnePath { entry })?;
        Ok((from, to))
    };
    Ok(match kind {
        1 => Operation::Opened { path: text(data)? },
        2 => Operation::Created { path: text(data)? },
        3 => Operation::Written { offset, data },
        4 => Operation::Truncated { size: offset },
        5 => Operation::SyncBegun,
        6 => Operation::SyncDone,
        7 => Operation::SyncFailed,
        8 => Operation::Unlinked { path: text(data)? },
        9 => {
            let (from, to) = pair()?;
            Operation::Renamed { from, to }
        }
        10 => {
            let (from, to) = pair()?;
            Operation::Linked { from, to }
        }
        11 => Operation::FolderSynced,
        12 => Operation::Mapped,
        kind => return Err(RecordError::Kind { entry, kind }),
    })
}

fn word(head: &[u8], at: usize) -> u32 {
    let octets = head.get(at..at + 4).and_then(|octets| octets.try_into().ok());
    u32::from_le_bytes(octets.unwrap_or_default())
}

fn long(head: &[u8], at: usize) -> u64 {
    let octets = head.get(at..at + 8).and_then(|octets| octets.try_into().ok());
    u64::from_le_bytes(octets.unwrap_or_default())
}

/// Encodes entries as [`read`] reads them.
#[cfg(test)]
pub(super) fn write(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut octets = Vec::new();
    for Entry {
        thread,
        at_ns,
        inode,
        what,
    } in entries
    {
        let (kind, offset, data): (u32, u64, Vec<u8>) = match what {
            Operation::Opened { path } => (1, 0, path.as_bytes().to_vec()),
            Operation::Created { path } => (2, 0, path.as_bytes().to_vec()),
            Operation::Written { offset, data } => (3, *offset, data.to_vec()),
            Operation::Truncated { size } => (4, *size, Vec::new()),
            Operation::SyncBegun => (5, 0, Vec::new()),
            Operation::SyncDone => (6, 0, Vec::new()),
            Operation::SyncFailed => (7, 0, Vec::new()),
            Operation::Unlinked { path } => (8, 0, path.as_bytes().to_vec()),
            Operation::Renamed { from, to } => (9, 0, format!("{from}\0{to}").into_bytes()),
            Operation::Linked { from, to } => (10, 0, format!("{from}\0{to}").into_bytes()),
            Operation::FolderSynced => (11, 0, Vec::new()),
            Operation::Mapped => (12, 0, Vec::new()),
        };
        octets.extend(kind.to_le_bytes());
        octets.extend(thread.to_le_bytes());
        for long in [*at_ns, *inode, offset, data.len() as u64] {
            octets.extend(long.to_le_bytes());
        }
        octets.extend(data);
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One of each kind.
    fn one_of_each() -> Vec<Entry<'static>> {
        let operations = [
            Operation::Created { path: "s.db" },
            Operation::Opened { path: "s.db" },
            Operation::Written {
                offset: 4_096,
                data: b"page",
            },
            Operation::Truncated { size: 7 },
            Operation::SyncBegun,
            Operation::SyncDone,
            Operation::SyncFailed,
            Operation::Renamed { from: "a", to: "b" },
            Operation::Linked { from: "b", to: "c" },
            Operation::Unlinked { path: "c" },
            Operation::FolderSynced,
            Operation::Mapped,
        ];
        (1..)
            .zip(operations)
            .map(|(at, what)| Entry {
                thread: 7,
                at_ns: at * 1_000,
                inode: at,
                what,
            })
            .collect()
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_a_torn_end_is_left_out() {
        let entries = one_of_each();
        let octets = write(&entries);
        assert_eq!(read(&octets), Ok(entries.clone()));
        for length in 0..octets.len() {
            let whole = read(&octets[..length]).unwrap();
            assert_eq!(whole, entries[..whole.len()]);
            assert!(whole.len() < entries.len(), "{length}");
        }
    }

    #[test]
    fn what_is_no_record_is_named() {
        let mut octets = write(&one_of_each());
        octets[0] = 99;
        assert_eq!(read(&octets), Err(RecordError::Kind { entry: 0, kind: 99 }));
        let mut endless = write(&one_of_each());
        endless[39] = 1;
        assert!(matches!(
            read(&endless),
            Err(RecordError::Length { entry: 0, .. })
        ));
        let mut no_text = write(&[Entry {
            what: Operation::Unlinked { path: "x" },
            ..one_of_each().remove(0)
        }]);
        *no_text.last_mut().unwrap() = 0xFF;
        assert!(matches!(read(&no_text), Err(RecordError::Path { entry: 0, .. })));
        let mut one = no_text;
        one[0] = 9;
        *one.last_mut().unwrap() = b'x';
        assert_eq!(read(&one), Err(RecordError::OnePath { entry: 0 }));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(
            octets in proptest::collection::vec(any::<u8>(), 0..400),
            at in 0_usize..400,
            mutated in any::<u8>(),
        ) {
            let entries = read(&octets).map(|entries| entries.len()).unwrap_or_default();
            prop_assert!(entries * HEAD_OCTETS <= octets.len());
            let mut record = write(&one_of_each());
            let at = at % record.len();
            record[at] = mutated;
            if let Ok(entries) = read(&record) {
                let again = write(&entries);
                prop_assert_eq!(read(&again).unwrap(), entries);
            }
        }
    }
}
