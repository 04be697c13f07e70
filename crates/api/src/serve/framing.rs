//! Where requests end, seen below hyper: what hyper lets pass, or reads octet by octet without a bound of use.
//!
//! - Of a head that says a length and chunks, hyper takes the chunks and drops the length, so that no handler can see it. Two
//!   servers in a row may read such a request differently: it is refused (RFC 9112 section 6.1).
//! - What stands beside the data of chunks (their sizes, extensions, trailers) is of no use here and has a bound, and so
//!   have chunks that carry next to nothing.
//!
//! Only what hyper takes has to be read as hyper reads it: it ends the connection over everything else. Whatever is in doubt
//! is refused. Pure; a head costs about as much as finding its line ends, a body with a length costs nothing.

use memchr::memchr;

/// What may stand beside the data of all chunks of one body: extensions and blanks behind sizes, zeros before them, trailers.
pub(super) const BESIDE_CHUNKS_BYTES_MAX: usize = 4096;
/// So many chunks a body may have however small they are: reading them costs about a millisecond.
const SMALL_CHUNKS_MAX: u64 = 4096;
/// So much data there must be for each chunk beyond those.
const CHUNK_BYTES_MIN: u64 = 64;
/// What a line with the size of a chunk has without being counted: the longest size and its CR.
const SIZE_BYTES: usize = 17;
/// So much of a line is kept until its end comes. Those that count are shorter, unless somebody fills them up.
const KEPT_BYTES: usize = 64;

/// Reads what comes on one connection, in pieces of any length.
#[derive(Debug)]
pub(super) struct Framing {
    place: Place,
    line: Line,
    /// Heads that were read to their ends.
    heads: u64,
    /// What the head that is being read says of its body.
    said: Said,
    beside_chunks: usize,
    /// Chunks of the body that is being read, and the data in them.
    chunks: u64,
    chunks_bytes: u64,
    unclear: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before a head: empty lines, then its first line.
    Before,
    /// In a head, behind its first line.
    Head,
    /// In a body with a length, of which so many octets are to come; at least one.
    Body(u64),
    /// In the line with a chunk's size.
    Size,
    /// In a chunk, likewise.
    Chunk(u64),
    /// In the line end behind a chunk's data.
    ChunkEnd,
    /// Behind the last chunk.
    Trailers,
    /// Behind a head that is not clear: nothing there is a request.
    Beyond,
    /// In chunks that cannot be read, or have too much beside them.
    Broken,
}

/// How long a head says that its body is.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    length: Option<u64>,
    in_chunks: bool,
    /// A length that is none, or another one than before.
    in_doubt: bool,
}

/// A line, of which only the beginning is kept.
#[derive(Debug)]
struct Line {
    kept: [u8; KEPT_BYTES],
    /// Octets so far, its LF not among them.
    bytes: usize,
    last: u8,
}

impl Framing {
    pub(super) const fn new() -> Self {
        Self {
            place: Place::Before,
            line: Line {
                kept: [0; KEPT_BYTES],
                bytes: 0,
                last: 0,
            },
            heads: 0,
            said: Said {
                length: None,
                in_chunks: false,
                in_doubt: false,
            },
            beside_chunks: 0,
            chunks: 0,
            chunks_bytes: 0,
            unclear: None,
        }
    }

    /// The head, counted from 1, of which it is not clear where its body ends. It is the last that is read.
    pub(super) const fn unclear(&self) -> Option<u64> {
        self.unclear
    }

    /// Whether nothing more is to be read.
    pub(super) fn is_broken(&self) -> bool {
        self.place == Place::Broken
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// How many octets of it stand before the place from which on nothing is to be read.
    pub(super) fn read(&mut self, piece: &[u8]) -> Result<(), usize> {
        let mut rest = piece;
        while !rest.is_empty() {
            let before = piece.len() - rest.len();
            match self.place {
                Place::Body(left) => self.place = left_of(left, &mut rest).map_or(Place::Before, Place::Body),
                Place::Chunk(left) => {
                    self.place = left_of(left, &mut rest).map_or(Place::ChunkEnd, Place::Chunk);
                }
                Place::Beyond => return Ok(()),
                Place::Broken => return Err(before),
                Place::Before | Place::Head | Place::Size | Place::ChunkEnd | Place::Trailers => {
                    let ended = self.line.take(&mut rest);
                    if self.is_too_much() {
                        self.place = Place::Broken;
                    } else if ended {
                        self.place = self.behind_line();
                        self.line.bytes = 0;
                    }
                    if self.place == Place::Broken {
                        return Err(before);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether there is too much beside the data of chunks, with the line that is being read.
    fn is_too_much(&self) -> bool {
        let bytes = self.line.bytes;
        match self.place {
            Place::Size => self.beside_chunks + bytes.saturating_sub(SIZE_BYTES) > BESIDE_CHUNKS_BYTES_MAX,
            Place::Trailers => self.beside_chunks + bytes > BESIDE_CHUNKS_BYTES_MAX,
            Place::ChunkEnd => bytes > 1,
            _ => false,
        }
    }

    /// Where the next octet stands, now that a line has ended.
    fn behind_line(&mut self) -> Place {
        let line = &self.line;
        match self.place {
            Place::Before if line.is_empty() => Place::Before,
            Place::Before => {
                self.said = Said::default();
                Place::Head
            }
            Place::Head if line.is_empty() => self.behind_head(),
            Place::Head => {
                self.said.observe(line);
                Place::Head
            }
            // Chunks have whole line ends: LF alone, which is one in a head, is none here.
            _ if line.last != b'\r' || line.bytes == 0 => Place::Broken,
            Place::Size => {
                self.beside_chunks += line.bytes.saturating_sub(SIZE_BYTES);
                match line.chunk_size() {
                    Some(0) => Place::Trailers,
                    Some(size) => self.begin_chunk(size),
                    None => Place::Broken,
                }
            }
            Place::ChunkEnd => Place::Size,
            Place::Trailers if line.is_empty() => Place::Before,
            Place::Trailers => {
                self.beside_chunks += line.bytes;
                Place::Trailers
            }
            other => other,
        }
    }

    /// Each chunk costs the same, however little it carries: one octet in each would cost a body's length many times over.
    fn begin_chunk(&mut self, size: u64) -> Place {
        self.chunks += 1;
        self.chunks_bytes = self.chunks_bytes.saturating_add(size);
        if self.chunks > SMALL_CHUNKS_MAX + self.chunks_bytes / CHUNK_BYTES_MIN {
            return Place::Broken;
        }
        Place::Chunk(size)
    }

    fn behind_head(&mut self) -> Place {
        self.heads += 1;
        let Said {
            length,
            in_chunks,
            in_doubt,
        } = self.said;
        if in_doubt || in_chunks && length.is_some() {
            self.unclear = Some(self.heads);
            return Place::Beyond;
        }
        if in_chunks {
            (self.beside_chunks, self.chunks, self.chunks_bytes) = (0, 0, 0);
            return Place::Size;
        }
        length
            .filter(|length| *length > 0)
            .map_or(Place::Before, Place::Body)
    }
}

/// Goes on in a body of which so much is left; how much is left then.
fn left_of(left: u64, rest: &mut &[u8]) -> Option<u64> {
    let bytes = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
    *rest = rest.get(bytes..).unwrap_or_default();
    Some(left - bytes as u64).filter(|left| *left > 0)
}

impl Said {
    fn observe(&mut self, line: &Line) {
        if line.value_of(b"transfer-encoding").is_some() {
            self.in_chunks = true;
        } else if let Some(value) = line.value_of(b"content-length") {
            let length = if line.is_whole() { number(value, 10) } else { None };
            self.in_doubt |= length.is_none() || self.length.is_some() && self.length != length;
            self.length = length;
        }
    }
}

/// A number of digits and nothing else.
fn number(text: &[u8], radix: u32) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, octet| {
        let digit = char::from(*octet).to_digit(radix)?;
        number.checked_mul(radix.into())?.checked_add(digit.into())
    })
}

impl Line {
    /// Takes what belongs to the line; whether that is all of it.
    fn take(&mut self, rest: &mut &[u8]) -> bool {
        let end = memchr(b'\n', rest);
        let (own, next) = rest.split_at(end.unwrap_or(rest.len()));
        if let Some(room) = self.kept.get_mut(self.bytes..) {
            let bytes = room.len().min(own.len());
            if let (Some(room), Some(own)) = (room.get_mut(..bytes), own.get(..bytes)) {
                room.copy_from_slice(own);
            }
        }
        self.bytes += own.len();
        self.last = own
            .last()
            .copied()
            .unwrap_or(if self.bytes == 0 { 0 } else { self.last });
        *rest = next.get(1..).unwrap_or_default();
        end.is_some()
    }

    const fn is_whole(&self) -> bool {
        self.bytes <= KEPT_BYTES
    }

    /// Its beginning, without the CR before its LF.
    fn text(&self) -> &[u8] {
        let text = self.kept.get(..self.bytes).unwrap_or(&self.kept);
        if self.is_whole() {
            text.strip_suffix(b"\r").unwrap_or(text)
        } else {
            text
        }
    }

    fn is_empty(&self) -> bool {
        self.text().is_empty()
    }

    /// The value of the header with this name, of a long line its beginning.
    fn value_of(&self, name: &[u8]) -> Option<&[u8]> {
        let text = self.text();
        let is_it = text.get(name.len()) == Some(&b':');
        let named = text.get(..name.len()).filter(|_| is_it)?;
        let value = text.get(name.len() + 1..)?;
        named.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
    }

    fn chunk_size(&self) -> Option<u64> {
        let text = self.text();
        let digits = text.iter().take_while(|octet| octet.is_ascii_hexdigit()).count();
        // Where all that is kept are digits there may be more of them.
        let digits = text
            .get(..digits)
            .filter(|_| self.is_whole() || digits < text.len())?;
        number(digits, 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads in pieces of so many octets; the last state, and how many octets were let pass.
    fn read(text: &[u8], piece_bytes: usize) -> (Framing, usize) {
        let (mut framing, mut passed) = (Framing::new(), 0);
        for piece in text.chunks(piece_bytes) {
            match framing.read(piece) {
                Ok(()) => passed += piece.len(),
                Err(clear) => {
                    assert!(framing.is_broken() && framing.read(b"x") == Err(0));
                    return (framing, passed + clear);
                }
            }
        }
        (framing, passed)
    }

    const POST: &str = "POST / HTTP/1.1\r\nHost: x\r\n";

    #[test]
    fn a_head_that_says_a_length_and_chunks_is_not_clear_whichever_comes_first() {
        for (lines, is_clear) in [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", false),
            ("transfer-encoding:chunked\r\nX: y\r\nCONTENT-LENGTH:5\r\n", false),
            ("Transfer-Encoding: gzip\nContent-Length: 5\n", false),
            ("Transfer-Encoding: chunked\r\nContent-Length: \r\n", false),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", false),
            ("Content-Length: +5\r\n", false),
            ("Content-Length: 18446744073709551616\r\n", false),
            (
                "Content-Length:                                                       5\r\n",
                false,
            ),
            ("Content-Length: 5\r\nContent-Length: 05\r\n", true),
            ("Content-Length: 0\r\n", true),
            ("Transfer-Encoding: chunked\r\n", true),
            ("X-Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", true),
            ("X: Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", true),
            ("Content-Length2: 5\r\nTransfer-Encoding: chunked\r\n", true),
            ("", true),
        ] {
            // Behind another request, and in pieces of any length.
            let text = format!("\r\n\n{POST}Content-Length: 3\r\n\r\nabc{POST}{lines}\r\n");
            for piece in 1..=text.len() {
                let (framing, passed) = read(text.as_bytes(), piece);
                assert_eq!(framing.unclear(), (!is_clear).then_some(2), "{lines}, by {piece}");
                assert_eq!((framing.heads, passed), (2, text.len()), "{lines}, by {piece}");
            }
        }
    }

    #[test]
    fn chunks_that_carry_next_to_nothing_have_a_bound() {
        let ends = |chunks: u64, size: usize| {
            let chunk = format!("{size:x}\r\n{}\r\n", "a".repeat(size));
            let body = chunk.repeat(usize::try_from(chunks).unwrap());
            let text = format!("{POST}Transfer-Encoding: chunked\r\n\r\n{body}0\r\n\r\n");
            // Behind another such request: each body has its own.
            let both = format!("{text}{text}");
            let (framing, passed) = read(both.as_bytes(), 1000);
            let (heads, is_broken) = (framing.heads, framing.is_broken());
            assert_eq!(is_broken, heads != 2, "{chunks} of {size}");
            assert!(is_broken || passed == both.len());
            heads == 2
        };
        assert!(ends(SMALL_CHUNKS_MAX, 1));
        assert!(!ends(SMALL_CHUNKS_MAX * 65 / 64 + 2, 1));
        assert!(ends(20_000, 64));
        assert!(!ends(20_000, 32));
    }

    #[test]
    fn what_stands_beside_chunks_has_a_bound_for_the_whole_body_and_whole_line_ends() {
        let most = BESIDE_CHUNKS_BYTES_MAX;
        let ok = |body: &str| {
            let text = format!("{POST}Transfer-Encoding: chunked\r\n\r\n{body}GET / HTTP/1.1\r\n\r\n");
            let mut all: Vec<_> = [1, 3, 1000, text.len()]
                .map(|piece| {
                    let (framing, passed) = read(text.as_bytes(), piece);
                    assert!(passed <= text.len());
                    (framing.heads == 2, framing.is_broken())
                })
                .to_vec();
            all.dedup();
            assert!(all.len() == 1 && all[0].0 != all[0].1, "{body}: {all:?}");
            all[0].0
        };
        for (body, expected) in [
            ("0\r\n\r\n".to_owned(), true),
            (
                "3\r\nabc\r\nA;b=c\r\n0123456789\r\n000 \r\nX: y\r\nZ: z\r\n\r\n".to_owned(),
                true,
            ),
            ("3\r\n\r\n\n\r\n0\r\n\r\n".to_owned(), true),
            (format!("0\r\nX: {}\r\n\r\n", "y".repeat(most - 5)), true),
            (format!("0\r\nX: {}\r\n\r\n", "y".repeat(most)), false),
            (format!("0\r\n{}\r\n", "X: y\r\n".repeat(most / 5 - 5)), true),
            (format!("0\r\n{}\r\n", "X: y\r\n".repeat(most / 5 + 5)), false),
            (format!("1;{}\r\na\r\n0\r\n\r\n", "y".repeat(most)), true),
            (format!("1;{}\r\na\r\n0\r\n\r\n", "y".repeat(most + 17)), false),
            (
                format!("{}0\r\n\r\n", "1;yyyyyyyyyyyyyyyyyyyy\r\na\r\n".repeat(800)),
                false,
            ),
            (format!("{}\r\n\r\n", "0".repeat(most + 18)), false),
            (format!("{}1\r\na\r\n0\r\n\r\n", "0".repeat(70)), false),
            (format!("1{}\r\na\r\n0\r\n\r\n", " ".repeat(most + 18)), false),
            ("0\n\r\n".to_owned(), false),
            ("0\r\n\n".to_owned(), false),
            ("0\r\nX: y\n\r\n".to_owned(), false),
            ("1\r\naX\r\n0\r\n\r\n".to_owned(), false),
            ("1\r\na\n0\r\n\r\n".to_owned(), false),
            ("1\r\na\r0\r\n\r\n".to_owned(), false),
            ("\r\n0\r\n\r\n".to_owned(), false),
            ("x\r\n\r\n".to_owned(), false),
            ("10000000000000000\r\n\r\n".to_owned(), false),
        ] {
            assert_eq!(ok(&body), expected, "{} octets: {:.40}", body.len(), body);
        }
    }

    proptest! {
        /// Heads are counted and ends found however requests are cut into pieces.
        #[test]
        fn requests_in_a_row_are_distinguished(
            bodies in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 1..8),
            chunk_bytes in 1_usize..40,
            piece_bytes in 1_usize..300,
        ) {
            let mut text = Vec::new();
            for (in_chunks, body) in &bodies {
                text.extend_from_slice(POST.as_bytes());
                if *in_chunks {
                    text.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                    for chunk in body.chunks(chunk_bytes) {
                        text.extend_from_slice(format!("{:x};e\r\n", chunk.len()).as_bytes());
                        text.extend_from_slice(chunk);
                        text.extend_from_slice(b"\r\n");
                    }
                    text.extend_from_slice(b"0\r\nT: t\r\n\r\n");
                } else {
                    text.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
                    text.extend_from_slice(body);
                }
            }
            let (framing, passed) = read(&text, piece_bytes);
            prop_assert_eq!(passed, text.len());
            prop_assert_eq!(framing.heads, bodies.len() as u64);
            prop_assert_eq!((framing.place, framing.unclear()), (Place::Before, None));
        }

        /// Whatever comes, in whatever pieces, is understood in one way.
        #[test]
        fn pieces_change_nothing(
            parts in prop::collection::vec(prop::sample::select(vec![
                "GET / HTTP/1.1\r\n", "\r\n", "\n", "\r", "Content-Length: 7\r\n", "Transfer-Encoding: chunked\r\n", "0\r\n",
                "3\r\nabc\r\n", "x", ";", "X: y\r\n", "ffff",
            ]), 0..40),
            piece_bytes in 1_usize..50,
        ) {
            let text = parts.concat();
            let (whole, pieces) = (read(text.as_bytes(), text.len().max(1)).0, read(text.as_bytes(), piece_bytes).0);
            prop_assert_eq!((whole.place, whole.heads, whole.unclear()), (pieces.place, pieces.heads, pieces.unclear()));
        }
    }
}
