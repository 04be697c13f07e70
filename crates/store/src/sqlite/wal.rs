//! Reading SQLite's write-ahead log as SQLite does at its start, to see what it would leave out.
//!
//! After a header of 32 octets come frames: a header of 24 octets and a page. Each frame repeats the header's salts,
//! which change whenever the log restarts, and carries a checksum over everything before it. SQLite takes the frames
//! up to the last commit before the first frame that is not right, and never says what came after it. The format is
//! that of <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::io::{self, Read, Seek, SeekFrom};

/// Octets of the log's header.
pub(super) const HEADER_BYTES: u64 = 32;
/// Octets of a frame's header.
const FRAME_HEADER_BYTES: u64 = 24;
/// The header's first octets; the last bit says that checksums take big-endian words.
const MAGIC: u32 = 0x377f_0682;
/// The only version of the format.
const VERSION: u32 = 3_007_000;

/// The salts: they identify one log among those that used the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Salts(pub(super) u32, pub(super) u32);

/// The header of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) page_size: u32,
    pub(super) salts: Salts,
    big_endian: bool,
    checksum: (u32, u32),
}

impl Header {
    /// `None` when SQLite would not take it: then it leaves out the whole log.
    pub(super) fn parse(octets: &[u8; HEADER_BYTES as usize]) -> Option<Self> {
        let [magic, version, page_size, _, salt1, salt2, sum1, sum2] = words(octets);
        let big_endian = magic == MAGIC | 1;
        let (checked, _) = octets.split_at(24);
        let header = Self {
            page_size,
            salts: Salts(salt1, salt2),
            big_endian,
            checksum: checksum((0, 0), checked, big_endian),
        };
        let fits = (512..=65_536).contains(&page_size) && page_size.is_power_of_two();
        (magic & !1 == MAGIC && version == VERSION && fits && header.checksum == (sum1, sum2))
            .then_some(header)
    }

    /// Octets of a log of so many frames.
    pub(super) fn bytes_of(page_size: u32, frames: u32) -> u64 {
        HEADER_BYTES + u64::from(frames) * (FRAME_HEADER_BYTES + u64::from(page_size))
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    page: u32,
    /// Pages of the database after the commit that ends with this frame; 0: none does.
    database_pages: u32,
    pub(super) salts: Salts,
    checksum: (u32, u32),
}

impl FrameHeader {
    pub(super) fn parse(octets: &[u8; FRAME_HEADER_BYTES as usize]) -> Self {
        let [page, database_pages, salt1, salt2, sum1, sum2] = words(octets);
        Self {
            page,
            database_pages,
            salts: Salts(salt1, salt2),
            checksum: (sum1, sum2),
        }
    }

    pub(super) fn is_commit(&self) -> bool {
        self.database_pages != 0
    }
}

fn words<const OCTETS: usize, const WORDS: usize>(octets: &[u8; OCTETS]) -> [u32; WORDS] {
    let (found, _) = octets.as_chunks::<4>();
    std::array::from_fn(|n| found.get(n).map_or(0, |word| u32::from_be_bytes(*word)))
}

/// SQLite's checksum, gone on with over `octets`.
fn checksum(before: (u32, u32), octets: &[u8], big_endian: bool) -> (u32, u32) {
    let (mut a, mut b) = before;
    let word = if big_endian {
        u32::from_be_bytes
    } else {
        u32::from_le_bytes
    };
    for [a0, a1, a2, a3, b0, b1, b2, b3] in octets.as_chunks::<8>().0 {
        a = a.wrapping_add(word([*a0, *a1, *a2, *a3])).wrapping_add(b);
        b = b.wrapping_add(word([*b0, *b1, *b2, *b3])).wrapping_add(a);
    }
    (a, b)
}

/// What a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Walked {
    /// Octets of the file.
    pub(super) bytes: u64,
    /// `None`: the header is not right.
    pub(super) salts: Option<Salts>,
    pub(super) page_size: u32,
    /// The last frame of the last commit that SQLite takes, counted from 1; 0: none.
    pub(super) committed: u32,
    /// Frames that are right, from the first on.
    pub(super) right: u32,
    /// Commits behind the first frame that is not right, whose frames belong to the same log. The frame that is not right
    /// counts.
    pub(super) commits_behind: u32,
}

impl Walked {
    /// Whether commits may be left out. One commit may be there without all of its frames after a power cut, and was not
    /// answered then.
    pub(super) fn may_lack_commits(&self) -> bool {
        self.commits_behind > 1 || (self.salts.is_none() && self.bytes > HEADER_BYTES)
    }
}

/// Looks through a log. `log` is read from its beginning.
///
/// # Errors
/// What reading says.
pub(super) fn walk(log: &mut (impl Read + Seek)) -> io::Result<Walked> {
    let bytes = log.seek(SeekFrom::End(0))?;
    log.seek(SeekFrom::Start(0))?;
    let mut walked = Walked {
        bytes,
        ..Walked::default()
    };
    let mut octets = [0; HEADER_BYTES as usize];
    if bytes < HEADER_BYTES {
        return Ok(walked);
    }
    log.read_exact(&mut octets)?;
    let Some(header) = Header::parse(&octets) else {
        return Ok(walked);
    };
    walked.salts = Some(header.salts);
    walked.page_size = header.page_size;
    let whole = (bytes - HEADER_BYTES) / (FRAME_HEADER_BYTES + u64::from(header.page_size));
    let mut page = vec![0; header.page_size as usize];
    let mut sum = header.checksum;
    let mut all_right = true;
    for frame in 1..=u32::try_from(whole).unwrap_or(u32::MAX) {
        let mut octets = [0; FRAME_HEADER_BYTES as usize];
        log.read_exact(&mut octets)?;
        let about = FrameHeader::parse(&octets);
        let same_log = about.salts == header.salts && about.page != 0;
        if all_right {
            log.read_exact(&mut page)?;
            let (checked, _) = octets.split_at(8);
            let through_header = checksum(sum, checked, header.big_endian);
            let through_page = checksum(through_header, &page, header.big_endian);
            if same_log && through_page == about.checksum {
                sum = through_page;
                walked.right = frame;
                if about.is_commit() {
                    walked.committed = frame;
                }
                continue;
            }
            all_right = false;
        } else {
            log.seek_relative(i64::from(header.page_size))?;
        }
        if same_log && about.is_commit() {
            walked.commits_behind += 1;
        }
    }
    Ok(walked)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use rusqlite::Connection;
    use std::io::Cursor;

    /// A database and its log of so many commits: the first has two frames, each other one.
    fn database_and_log(commits: u32) -> (Vec<u8>, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t(x)")
            .unwrap();
        for n in 1..commits {
            conn.execute("INSERT INTO t VALUES (?1)", [n]).unwrap();
        }
        (
            std::fs::read(&path).unwrap(),
            std::fs::read(folder.path().join("x.db-wal")).unwrap(),
        )
    }

    fn walked(log: &[u8]) -> Walked {
        walk(&mut Cursor::new(log)).unwrap()
    }

    #[test]
    fn a_log_that_is_whole_ends_with_its_last_commit() {
        let (_, log) = database_and_log(50);
        let found = walked(&log);
        assert_eq!(found.committed, found.right);
        assert_eq!(
            Header::bytes_of(found.page_size, found.committed),
            log.len() as u64
        );
        assert_eq!((found.commits_behind, found.may_lack_commits()), (0, false));
    }

    #[test]
    fn nothing_is_a_log_without_commits() {
        assert_eq!(walked(&[]), Walked::default());
        assert!(!walked(&[0; 32]).may_lack_commits());
        assert!(walked(&[0; 33]).may_lack_commits());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_sqlite_leaves_out_after_a_flipped_bit_is_seen(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.db");
            let (database, mut log) = database_and_log(20);
            let whole = walked(&log);
            let at = at.index(log.len());
            log[at] ^= 1 << bit;
            let found = walked(&log);
            prop_assert!(found.committed < whole.committed || found.salts.is_none());
            // SQLite takes as much.
            std::fs::write(&path, &database).unwrap();
            std::fs::write(folder.path().join("x.db-wal"), &log).unwrap();
            let rows = Connection::open(&path).unwrap()
                .query_row("SELECT count(*) FROM t", [], |row| row.get::<_, u32>(0));
            match rows {
                Ok(rows) => prop_assert_eq!(rows + 2, found.committed),
                Err(_) => prop_assert!(found.committed < 2, "{:?}", found),
            }
        }

        #[test]
        fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..9_000), page_bits in 9u32..17) {
            let _ = walk(&mut Cursor::new(&octets));
            // With a header that is right.
            let mut log = Vec::new();
            for word in [MAGIC, VERSION, 1 << page_bits, 0, 1, 2] {
                log.extend(word.to_be_bytes());
            }
            let (a, b) = checksum((0, 0), &log, false);
            log.extend(a.to_be_bytes());
            log.extend(b.to_be_bytes());
            log.extend(octets);
            let found = walked(&log);
            prop_assert_eq!((found.salts, found.committed), (Some(Salts(1, 2)), 0));
        }
    }
}
