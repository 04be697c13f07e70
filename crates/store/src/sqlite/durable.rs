//! What was durable last, noted beside the store: so that a start notices what is missing.
//!
//! SQLite takes a log up to the first frame that is not right, and says nothing of what came after it. So at most
//! twice a second it is noted which frame of which log ended the last commit, after that commit was synced. The note
//! is written alternately in two places, with a checksum, and without a sync: after a kill it is there, after a power
//! cut it may be an older one. It never names more than was durable.
//!
//! A log that was written back and removed, by `sqlite3` for example, is in the database. For that case the note has
//! a *mark*: a time that the writer stores with a commit once a second. A database whose own mark is earlier lacks
//! what was noted.

use super::place::{beside, open_private};
use super::wal::Salts;
use sha2::{Digest, Sha256};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Where the two notes begin: in different sectors, so that a torn write costs one.
const SLOTS: [u64; 2] = [0, 512];
const MAGIC: &[u8; 8] = b"PRDURAB1";
/// Octets of a note without its checksum.
const BODY_BYTES: usize = 56;
const SUM_BYTES: usize = 8;
const NOTE_BYTES: usize = BODY_BYTES + SUM_BYTES;

/// What was durable at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Note {
    /// Grows with each note.
    pub(super) seq: u64,
    /// Which store it is about.
    pub(super) store: u64,
    /// The log, and the last frame of the last commit in it; 0: the log was empty.
    pub(super) salts: Salts,
    pub(super) frames: u32,
    /// The mark in the database.
    pub(super) mark: i64,
    /// The time of the last commit, in Unix milliseconds, or somewhat before.
    pub(super) at: i64,
}

impl Note {
    fn to_octets(self) -> [u8; NOTE_BYTES] {
        let mut octets = [0; NOTE_BYTES];
        let parts: [&[u8]; 8] = [
            MAGIC,
            &self.seq.to_le_bytes(),
            &self.store.to_le_bytes(),
            &self.salts.0.to_le_bytes(),
            &self.salts.1.to_le_bytes(),
            &u64::from(self.frames).to_le_bytes(),
            &self.mark.to_le_bytes(),
            &self.at.to_le_bytes(),
        ];
        let body = parts.concat();
        let all = body.iter().chain(&sum(&body)).copied().collect::<Vec<u8>>();
        for (to, from) in octets.iter_mut().zip(all) {
            *to = from;
        }
        octets
    }

    /// From the first octets of a slot.
    #[cfg(feature = "conformance")]
    pub(super) fn from_slice(octets: &[u8]) -> Option<Self> {
        Self::from_octets(octets.first_chunk()?)
    }

    fn from_octets(octets: &[u8; NOTE_BYTES]) -> Option<Self> {
        let (body, its_sum) = octets.split_at(BODY_BYTES);
        let (words, _) = body.as_chunks::<8>();
        let [magic, seq, store, salts, frames, mark, at] = words.try_into().ok()?;
        let [a, b, c, d, e, f, g, h] = salts;
        let known = magic == *MAGIC && its_sum == sum(body);
        known.then_some(Self {
            seq: u64::from_le_bytes(seq),
            store: u64::from_le_bytes(store),
            salts: Salts(u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])),
            frames: u32::try_from(u64::from_le_bytes(frames)).ok()?,
            mark: i64::from_le_bytes(mark),
            at: i64::from_le_bytes(at),
        })
    }
}

fn sum(body: &[u8]) -> [u8; SUM_BYTES] {
    first_eight(&Sha256::digest(body))
}

fn first_eight(octets: &[u8]) -> [u8; 8] {
    octets.first_chunk::<8>().copied().unwrap_or_default()
}

/// Identifies a store: derived from the key that was made with it.
pub(super) fn store_no(id_key: &[u8; 32]) -> u64 {
    let mut hash = Sha256::new();
    hash.update(b"which store");
    hash.update(id_key);
    u64::from_le_bytes(first_eight(&hash.finalize()))
}

/// The newest note about a store; `None` when there is none that is whole.
pub(super) fn read(store: &Path) -> Option<Note> {
    let file = File::open(beside(store, ".durable")).ok()?;
    let notes = SLOTS.into_iter().filter_map(|slot| {
        let mut octets = [0; NOTE_BYTES];
        file.read_exact_at(&mut octets, slot).ok()?;
        Note::from_octets(&octets)
    });
    notes.max_by_key(|note| note.seq)
}

/// Writes notes.
#[derive(Debug)]
pub(super) struct Notes {
    beside: PathBuf,
    file: File,
    seq: u64,
    store: u64,
    last: Option<Note>,
}

impl Notes {
    /// Goes on after the last note, which was read before: about the same store or another.
    pub(super) fn open(store: &Path, store_no: u64) -> io::Result<Self> {
        let seq = read(store).map_or(0, |note| note.seq);
        Ok(Self {
            file: open_private(&beside(store, ".durable"), store)?,
            beside: store.to_owned(),
            seq,
            store: store_no,
            last: None,
        })
    }

    /// Notes what is durable, unless just that was noted last. `seq` and `store` are filled in.
    pub(super) fn write(&mut self, note: Note) -> io::Result<()> {
        let is_elsewhere = self.is_elsewhere();
        if self.last == Some(note) && !is_elsewhere {
            return Ok(());
        }
        if is_elsewhere {
            self.file = open_private(&beside(&self.beside, ".durable"), &self.beside)?;
        }
        let next = Note {
            seq: self.seq + 1,
            store: self.store,
            ..note
        };
        let slot = if next.seq.is_multiple_of(2) {
            SLOTS[0]
        } else {
            SLOTS[1]
        };
        self.file.write_all_at(&next.to_octets(), slot)?;
        self.seq = next.seq;
        self.last = Some(note);
        Ok(())
    }

    /// Whether the file was removed or replaced: notes in it would be read by nobody.
    fn is_elsewhere(&self) -> bool {
        let inode = |about: Metadata| (about.dev(), about.ino());
        let named = std::fs::symlink_metadata(beside(&self.beside, ".durable"));
        named.map(inode).ok() != self.file.metadata().map(inode).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn of_two_notes_the_newer_counts_and_a_torn_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("p.db");
        assert_eq!(read(&store), None);
        let note = |frames| Note {
            frames,
            mark: 5,
            at: 7,
            salts: Salts(1, 2),
            ..Note::default()
        };
        let mut notes = Notes::open(&store, 9).unwrap();
        for frames in [3, 3, 4] {
            notes.write(note(frames)).unwrap();
        }
        let last = read(&store).unwrap();
        assert_eq!((last.frames, last.seq, last.store), (4, 2, 9));
        notes.file.write_all_at(b"torn", SLOTS[0] + 20).unwrap();
        assert_eq!(read(&store).unwrap().frames, 3);
        let mut again = Notes::open(&store, 9).unwrap();
        again.write(note(8)).unwrap();
        assert_eq!(read(&store).unwrap().frames, 8);
        // One that is removed is made again with the next note, also where nothing has changed.
        std::fs::remove_file(beside(&store, ".durable")).unwrap();
        again.write(note(8)).unwrap();
        assert_eq!(read(&store).unwrap().frames, 8);
    }

    proptest! {
        #[test]
        fn a_note_reads_back_and_no_octets_make_one(
            numbers in any::<(u64, u64, u32, u32, u32, i64, i64)>(), at in 0..NOTE_BYTES, bit in 0u8..8,
        ) {
            let (seq, store, a, b, frames, mark, time) = numbers;
            let note = Note { seq, store, salts: Salts(a, b), frames, mark, at: time };
            let mut octets = note.to_octets();
            prop_assert_eq!(Note::from_octets(&octets), Some(note));
            octets[at] ^= 1 << bit;
            prop_assert_eq!(Note::from_octets(&octets), None);
        }
    }
}
