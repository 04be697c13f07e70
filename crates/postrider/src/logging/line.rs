//! One event, one line: text of a peer can neither add a line nor control a terminal.

use sms::visible::is_display_control;
use std::io::{self, Write};

/// Writes lines to standard error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    /// Escape sequences are this program's own: the formatter has escaped those of others.
    pub(super) colours: bool,
}

impl Write for Lines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.write_all(event)?;
        Ok(event.len())
    }

    /// Called once for each event.
    fn write_all(&mut self, event: &[u8]) -> io::Result<()> {
        let mut out = io::stderr().lock();
        match std::str::from_utf8(event)
            .ok()
            .and_then(|text| shown(text, self.colours))
        {
            Some(line) => out.write_all(line.as_bytes()),
            None => out.write_all(event),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// An event with control characters escaped; `None` when it has none, which is the common case.
fn shown(event: &str, colours: bool) -> Option<String> {
    let obeyed = |c: char| match c {
        '\u{1b}' => !colours,
        c => is_display_control(c),
    };
    let line = event.strip_suffix('\n').unwrap_or(event);
    if !line.chars().any(obeyed) {
        return None;
    }
    let mut shown = String::with_capacity(event.len() + 16);
    for c in line.chars() {
        if obeyed(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown.push('\n');
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_whatever_is_in_it() {
        for (event, line) in [
            ("WARN a=b\n", None),
            ("WARN a=中文\n", None),
            ("WARN a=b\nERROR c\n", Some("WARN a=b\\nERROR c\n")),
            ("a\r\u{9b}31m\n", Some("a\\r\\u{9b}31m\n")),
            ("a\u{202e}b\u{2028}c", Some("a\\u{202e}b\\u{2028}c\n")),
            ("a\u{1b}]0;title\u{7}\n", Some("a\\u{1b}]0;title\\u{7}\n")),
        ] {
            assert_eq!(shown(event, false).as_deref(), line);
        }
        assert_eq!(shown("\u{1b}[33mWARN\u{1b}[0m a\n", true), None);
        assert_eq!(
            shown("\u{1b}[33mWARN\u{1b}[0m a\nb\n", true).as_deref(),
            Some("\u{1b}[33mWARN\u{1b}[0m a\\nb\n")
        );
    }
}
