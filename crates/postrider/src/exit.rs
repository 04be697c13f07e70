//! How a command ends: what the exit codes mean.

use crate::config::FileMistakes;
use sms::visible::is_obeyed;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use store::StoreError;

/// Shown under `--help`.
pub(crate) const CODES: &str = "\
Exit codes:
  0    done
  1    tried and failed: the message on standard error says what was tried
  2    wrong arguments, or an error in the configuration or in the file given
  3    `check` found problems; `status`, `show` and `suppression remove` found nothing of that name or number;
       `migrate --status` found a newer schema
  130  a second signal ended a graceful stop";

/// Why a command did not end well, and with which code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    error: Option<anyhow::Error>,
}

impl Failure {
    /// What was given is wrong: arguments, configuration, catalog file.
    pub(crate) fn bad_input(error: impl Into<anyhow::Error>) -> Self {
        Self {
            code: 2,
            error: Some(error.into()),
        }
    }

    /// It was tried and failed, and the command has said so already.
    pub(crate) const fn silent() -> Self {
        Self { code: 1, error: None }
    }

    /// The command worked and what it looked for is not well; it has said so already.
    pub(crate) const fn found() -> Self {
        Self { code: 3, error: None }
    }

    /// What was given is wrong, and that has been said already: as JSON on standard output.
    pub(crate) const fn bad_input_reported() -> Self {
        Self { code: 2, error: None }
    }

    /// The mistakes in a file, when those are what is wrong.
    pub(crate) fn mistakes(&self) -> Option<&FileMistakes> {
        self.error.as_ref()?.downcast_ref()
    }

    /// The code to exit with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    /// False when there is nothing more to say.
    pub(crate) fn has_message(&self) -> bool {
        self.error.is_some()
    }
}

impl Failure {
    /// Whether the only thing that failed is that whoever read standard output has gone, as `head` does.
    pub(crate) fn is_unread_output(&self) -> bool {
        let causes = self.error.iter().flat_map(|error| error.chain());
        causes
            .filter_map(|cause| cause.downcast_ref::<io::Error>()?.get_ref())
            .any(|inner| inner.is::<NotRead>())
    }
}

/// Standard output or standard error: a reader that has gone can be told apart from other broken pipes, and nothing goes out
/// that a terminal would obey. Line ends apart, such characters are written as `\uXXXX`, which strings of JSON and TOML read
/// as the characters that they are. Pieces may end anywhere: a character that is cut waits for the rest of it.
pub(crate) struct Output<W> {
    out: W,
    /// The first octets of a character, three at most.
    begun: Vec<u8>,
}

impl<W> Output<W> {
    /// Writes there.
    pub(crate) const fn new(out: W) -> Self {
        Self {
            out,
            begun: Vec::new(),
        }
    }
}

/// Whoever read standard output has gone.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
struct NotRead;

impl<W: Write> Write for Output<W> {
    /// Takes all of it, or fails.
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.begun.is_empty()
            && let Ok(text) = std::str::from_utf8(octets)
            && !text.contains(is_obeyed_here)
        {
            self.out.write_all(octets).map_err(marked)?;
            return Ok(octets.len());
        }
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(octets);
        let whole = all.len() - cut_at_the_end(&all);
        let (whole, begun) = all.split_at(whole);
        self.begun.extend_from_slice(begun);
        // What is no character at all might be a control of an older terminal.
        let text = String::from_utf8_lossy(whole);
        self.out.write_all(escaped(&text).as_bytes()).map_err(marked)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush().map_err(marked)
    }
}

/// How many octets at the end begin a character that goes on behind it.
fn cut_at_the_end(octets: &[u8]) -> usize {
    match octets.utf8_chunks().last() {
        Some(last) if is_begun(last.invalid()) => last.invalid().len(),
        _ => 0,
    }
}

/// Whether octets that are no character yet may become one.
fn is_begun(octets: &[u8]) -> bool {
    std::str::from_utf8(octets).is_err_and(|error| error.error_len().is_none())
}

fn is_obeyed_here(c: char) -> bool {
    c != '\n' && is_obeyed(c)
}

/// All of what is obeyed has a code of four hexadecimal digits.
fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed_here(c) {
            written.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            written.push(c);
        }
    }
    written
}

fn marked(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        io::Error::new(io::ErrorKind::BrokenPipe, NotRead)
    } else {
        error
    }
}

impl fmt::Display for Failure {
    /// The error with all its causes on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => f.write_str(&explained(error)),
            None => Ok(()),
        }
    }
}

/// How the system and SQLite say that somebody may not do what he tried.
const REFUSED: [&str; 3] = [
    "Permission denied",
    "Operation not permitted",
    "attempt to write a readonly database",
];

/// An error with all its causes on one line, and what to do when the store is damaged or cannot be written.
pub(crate) fn explained(error: &anyhow::Error) -> String {
    let causes = || {
        let all = error.chain();
        all.filter_map(|cause| cause.downcast_ref::<StoreError>())
    };
    let is_refused = |told: &str| REFUSED.iter().any(|words| told.contains(words));
    let advice = if causes().any(|cause| matches!(cause, StoreError::Unwritable(told) if is_refused(told))) {
        "; what to do: see that the user who runs this may read the store, and may write to its files and their folder"
    } else if causes().any(|cause| matches!(cause, StoreError::Unwritable(_))) {
        "; what to do: see that the disk has room, and that the user who runs this may write to the store's file and folder"
    } else if causes().any(|cause| matches!(cause, StoreError::Damaged(_))) {
        "; what to do: stop everything that uses the store, set its file aside together with those that end in -wal and -shm, \
         and put a backup in its place, as docs/operations.md says. Without a backup, `sqlite3 FILE .recover` saves what \
         can still be read"
    } else {
        ""
    };
    format!("{error:#}{advice}")
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            code: 1,
            error: Some(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn nothing_that_a_terminal_obeys_goes_out_and_json_stays_what_it_is() {
        let hostile: String = (0..=0xffff_u32)
            .filter_map(char::from_u32)
            .filter(|c| is_obeyed(*c))
            .collect();
        let document =
            serde_json::json!({ "error": hostile, "id": "A\u{1b}[31m\r\n2026 ERROR fake\u{202e}" });
        let mut out = Output::new(Vec::new());
        writeln!(out, "{}", serde_json::to_string_pretty(&document).unwrap()).unwrap();
        let printed = String::from_utf8(out.out).unwrap();
        assert!(!printed.contains(is_obeyed_here), "{printed}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&printed).unwrap(),
            document
        );
        let mut out = Output::new(Vec::new());
        writeln!(out, "é \u{1b}[31m {hostile}").unwrap();
        let printed = String::from_utf8(out.out).unwrap();
        assert!(printed.starts_with("é \\u001b[31m "), "{printed}");
        assert!(!printed.contains(is_obeyed_here), "{printed}");
    }

    /// Takes what comes piece by piece, as a line buffer that is full does.
    struct Narrow(Vec<u8>, usize);

    impl Write for Narrow {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let taken = octets.len().min(self.1);
            self.0.extend_from_slice(&octets[..taken]);
            Ok(taken)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_character_that_is_cut_lets_nothing_behind_it_through() {
        let text = "界😀\u{1b}[31m é\u{202e}ß\u{9b}x\n中";
        let expected = "界😀\\u001b[31m é\\u202eß\\u009bx\n中";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut out = Output::new(Narrow(Vec::new(), 5));
                for piece in [
                    &text.as_bytes()[..first],
                    &text.as_bytes()[first..second],
                    &text.as_bytes()[second..],
                ] {
                    out.write_all(piece).unwrap();
                }
                assert_eq!(
                    String::from_utf8(out.out.0).unwrap(),
                    expected,
                    "{first} {second}"
                );
            }
        }
        // As `export` writes: a buffer of which the end falls into a character, over one that takes less.
        for padding in 0..64 {
            let line = format!("{}{text}", "a".repeat(padding));
            let mut out = Output::new(Narrow(Vec::new(), 7));
            let mut buffer = io::BufWriter::with_capacity(32, &mut out);
            line.as_bytes()
                .chunks(9)
                .for_each(|piece| buffer.write_all(piece).unwrap());
            buffer.flush().unwrap();
            drop(buffer);
            let expected = format!("{}{expected}", "a".repeat(padding));
            assert_eq!(String::from_utf8(out.out.0).unwrap(), expected, "{padding}");
        }
    }

    #[test]
    fn octets_that_are_no_character_go_out_as_none() {
        let mut out = Output::new(Vec::new());
        out.write_all(b"a\x9b31m\xe4\x1b[0m\xf0\x9f").unwrap();
        out.write_all(b"b\xc2").unwrap();
        assert_eq!(
            String::from_utf8(out.out).unwrap(),
            "a\u{fffd}31m\u{fffd}\\u001b[0m\u{fffd}b"
        );
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure_of_the_command() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = writeln!(Output::new(Gone), "a line").unwrap_err();
        assert!(Failure::from(anyhow::Error::from(error).context("write")).is_unread_output());
        let other = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(!Failure::from(other).is_unread_output());
    }

    #[test]
    fn a_damaged_store_says_what_to_do_wherever_it_is_noticed() {
        let error =
            anyhow::Error::from(StoreError::Damaged("malformed".to_owned())).context("read the catalog");
        let told = Failure::from(error).to_string();
        assert!(
            told.starts_with("read the catalog: the store is damaged: malformed; what to do: "),
            "{told}"
        );
        let closed = StoreError::Unwritable("attempt to write a readonly database".to_owned());
        let told = Failure::from(anyhow::Error::from(closed).context("open the store")).to_string();
        assert!(
            told.contains("; what to do: ") && told.contains("may write"),
            "{told}"
        );
        assert!(
            !Failure::from(anyhow::anyhow!("x"))
                .to_string()
                .contains("what to do")
        );
    }

    #[test]
    fn a_failure_tells_all_its_causes_on_one_line() {
        let error = Err::<(), _>(anyhow::anyhow!("disk full"))
            .context("write the key")
            .unwrap_err();
        assert_eq!(Failure::from(error).to_string(), "write the key: disk full");
        assert!(!Failure::found().has_message());
    }
}
