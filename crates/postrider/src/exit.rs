//! Results of a command and their exit codes.

use crate::config::FileMistakes;
use sms::visible::is_display_control;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use store::StoreError;

/// Shown under `--help`.
pub(crate) const CODES: &str = "\
Exit codes:
  0    done
  1    the operation failed: see the message on standard error
  2    invalid arguments, configuration or input file
  3    `check` found problems; `status`, `show` and `suppression remove` found no such object;
       `migrate --status` found a newer schema
  130  a second signal ended a graceful stop";

/// Why a command failed, and its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    error: Option<anyhow::Error>,
}

impl Failure {
    /// The input is invalid: arguments, configuration, catalog file.
    pub(crate) fn bad_input(error: impl Into<anyhow::Error>) -> Self {
        Self {
            code: 2,
            error: Some(error.into()),
        }
    }

    /// The command failed and has printed why.
    pub(crate) const fn silent() -> Self {
        Self { code: 1, error: None }
    }

    /// The command worked and found problems, which it has printed.
    pub(crate) const fn found() -> Self {
        Self { code: 3, error: None }
    }

    /// The input is invalid, which has been reported as JSON on standard output.
    pub(crate) const fn bad_input_reported() -> Self {
        Self { code: 2, error: None }
    }

    /// The mistakes in a file, if they are the error.
    pub(crate) fn mistakes(&self) -> Option<&FileMistakes> {
        self.error.as_ref()?.downcast_ref()
    }

    /// The code to exit with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    /// Whether there is an error to print.
    pub(crate) fn has_message(&self) -> bool {
        self.error.is_some()
    }
}

impl Failure {
    /// Whether the only error is that the reader of standard output has closed it, as `head` does.
    pub(crate) fn is_unread_output(&self) -> bool {
        let causes = self.error.iter().flat_map(|error| error.chain());
        causes
            .filter_map(|cause| cause.downcast_ref::<io::Error>()?.get_ref())
            .any(|inner| inner.is::<NotRead>())
    }
}

/// Standard output or standard error. A closed reader is distinguished from other broken pipes. Characters that control a
/// terminal are written as `\uXXXX` (except line ends), which strings of JSON and TOML read as the same characters. A
/// write may end within a character: its octets are kept until the rest arrives.
pub(crate) struct Output<W> {
    out: W,
    /// The first octets of an incomplete character, at most three.
    begun: Vec<u8>,
}

impl<W> Output<W> {
    pub(crate) const fn new(out: W) -> Self {
        Self {
            out,
            begun: Vec::new(),
        }
    }
}

/// The reader of standard output has closed it.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
struct NotRead;

impl<W: Write> Write for Output<W> {
    /// Accepts all octets, or fails.
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.begun.is_empty()
            && let Ok(text) = std::str::from_utf8(octets)
            && !text.contains(is_control_here)
        {
            self.out.write_all(octets).map_err(marked)?;
            return Ok(octets.len());
        }
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(octets);
        let whole = all.len() - cut_at_the_end(&all);
        let (whole, begun) = all.split_at(whole);
        self.begun.extend_from_slice(begun);
        // Invalid octets could be control characters of an older terminal.
        let text = String::from_utf8_lossy(whole);
        self.out.write_all(escaped(&text).as_bytes()).map_err(marked)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush().map_err(marked)
    }
}

/// Number of octets at the end that begin an incomplete character.
fn cut_at_the_end(octets: &[u8]) -> usize {
    match octets.utf8_chunks().last() {
        Some(last) if is_begun(last.invalid()) => last.invalid().len(),
        _ => 0,
    }
}

/// Whether invalid octets may become a character.
fn is_begun(octets: &[u8]) -> bool {
    std::str::from_utf8(octets).is_err_and(|error| error.error_len().is_none())
}

fn is_control_here(c: char) -> bool {
    c != '\n' && is_display_control(c)
}

/// All control characters here have a code of at most four hexadecimal digits.
fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for c in text.chars() {
        if is_control_here(c) {
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

/// Messages of the system and SQLite about missing permissions.
const REFUSED: [&str; 3] = [
    "Permission denied",
    "Operation not permitted",
    "attempt to write a readonly database",
];

/// An error with all its causes on one line, with advice when the store is damaged or not writable.
pub(crate) fn explained(error: &anyhow::Error) -> String {
    let causes = || {
        let all = error.chain();
        all.filter_map(|cause| cause.downcast_ref::<StoreError>())
    };
    let is_refused = |message: &str| REFUSED.iter().any(|words| message.contains(words));
    let advice = if causes()
        .any(|cause| matches!(cause, StoreError::Unwritable(message) if is_refused(message)))
    {
        "; what to do: give this user read and write access to the store's files and their directory"
    } else if causes().any(|cause| matches!(cause, StoreError::Unwritable(_))) {
        "; what to do: free disk space, and give this user write access to the store's file and directory"
    } else if causes().any(|cause| matches!(cause, StoreError::Damaged(_))) {
        "; what to do: stop all programs that use the store, move its file and those that end in -wal and -shm away, \
         and restore a backup, see docs/operations.md. Without a backup, `sqlite3 FILE .recover` saves what \
         is readable"
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
            .filter(|c| is_display_control(*c))
            .collect();
        let document =
            serde_json::json!({ "error": hostile, "id": "A\u{1b}[31m\r\n2026 ERROR fake\u{202e}" });
        let mut out = Output::new(Vec::new());
        writeln!(out, "{}", serde_json::to_string_pretty(&document).unwrap()).unwrap();
        let printed = String::from_utf8(out.out).unwrap();
        assert!(!printed.contains(is_control_here), "{printed}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&printed).unwrap(),
            document
        );
        let mut out = Output::new(Vec::new());
        writeln!(out, "é \u{1b}[31m {hostile}").unwrap();
        let printed = String::from_utf8(out.out).unwrap();
        assert!(printed.starts_with("é \\u001b[31m "), "{printed}");
        assert!(!printed.contains(is_control_here), "{printed}");
    }

    /// Writes only a few octets at a time, as a full line buffer does.
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
        // As `export` writes: a buffer that ends within a character, over a writer with short writes.
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
        let message = Failure::from(error).to_string();
        assert!(
            message.starts_with("read the catalog: the store is damaged: malformed; what to do: "),
            "{message}"
        );
        let closed = StoreError::Unwritable("attempt to write a readonly database".to_owned());
        let message = Failure::from(anyhow::Error::from(closed).context("open the store")).to_string();
        assert!(
            message.contains("; what to do: ") && message.contains("write access"),
            "{message}"
        );
        assert!(
            !Failure::from(anyhow::anyhow!("x"))
                .to_string()
                .contains("what to do")
        );
    }

    #[test]
    fn a_failure_has_all_its_causes_on_one_line() {
        let error = Err::<(), _>(anyhow::anyhow!("disk full"))
            .context("write the key")
            .unwrap_err();
        assert_eq!(Failure::from(error).to_string(), "write the key: disk full");
        assert!(!Failure::found().has_message());
    }
}
