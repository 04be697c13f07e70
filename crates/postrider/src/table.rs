//! Text tables: aligned columns that fit the terminal, without truncation and without characters that control a
//! terminal.

use comfy_table::{ContentArrangement, Table as Layout, presets};
use sms::visible::is_display_control;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// Columns of a terminal of unknown width.
const WIDTH_DEFAULT: u16 = 120;
/// Spaces between two columns of a table.
const GAP: u16 = 2;

/// `1 segment`, `2 segments`.
pub(crate) fn counted<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let ending = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// A table under construction.
pub(crate) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column heads.
    pub(crate) fn new(heads: &[&'static str]) -> Self {
        Self {
            heads: heads.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.heads.len(), "a row has a cell for each column");
        self.rows
            .push(cells.iter().map(|cell| sanitize_for_terminal(cell)).collect());
    }

    /// Whether it has no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prints the table. On a terminal it is limited to the terminal's width, and a longer cell continues on the next line; in a file
    /// or pipe it is as wide as needed.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let width = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok());
        let width = width.or_else(|| {
            let terminal = io::stdout();
            terminal
                .is_terminal()
                .then(|| rustix::termios::tcgetwinsize(&terminal).map_or(WIDTH_DEFAULT, |size| size.ws_col))
        });
        self.print_within(width.filter(|width| *width > 0), out)
    }

    fn print_within(&self, width: Option<u16>, out: &mut impl Write) -> io::Result<()> {
        let mut layout = Layout::new();
        layout
            .load_preset(presets::NOTHING)
            .set_header(&self.heads)
            .add_rows(&self.rows);
        match width {
            Some(width) => {
                layout
                    .set_content_arrangement(ContentArrangement::Dynamic)
                    .set_width(width);
            }
            None => {
                layout.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        for column in layout.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        for line in layout.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Replaces characters that would end the line, move the cursor or change the direction of the text.
pub(crate) fn sanitize_for_terminal(text: &str) -> String {
    text.chars()
        .map(|c| if is_display_control(c) { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(table: &Table, width: Option<u16>) -> String {
        let mut out = Vec::new();
        table.print_within(width, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_stand_under_each_other_whatever_is_in_them() {
        let mut table = Table::new(&["NO", "TEXT", "STATE"]);
        table.row(["1".to_owned(), "你好 {name}".to_owned(), "on".to_owned()]);
        table.row([
            "1002".to_owned(),
            "Hello\n\u{1b}[31m".to_owned(),
            "off".to_owned(),
        ]);
        for width in [None, Some(80)] {
            assert_eq!(
                printed(&table, width),
                "NO    TEXT         STATE\n1     你好 {name}  on\n1002  Hello  [31m  off\n"
            );
        }
    }

    #[test]
    fn what_does_not_fit_goes_on_in_the_next_line_and_is_whole_in_a_pipe() {
        let long = "failing since 2026-11-29T06:12:03Z: connection refused";
        let mut table = Table::new(&["NO", "STATE"]);
        table.row(["1".to_owned(), long.to_owned()]);
        assert_eq!(printed(&table, None), format!("NO  STATE\n1   {long}\n"));
        let narrow = printed(&table, Some(30));
        let words: Vec<&str> = narrow.split_whitespace().collect();
        assert_eq!(words.join(" "), format!("NO STATE 1 {long}"), "{narrow}");
        assert!(narrow.lines().all(|line| line.chars().count() <= 30), "{narrow}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(
            cells in prop::collection::vec((".{0,40}", ".{0,80}", "[ -~]{0,30}"), 0..8),
            width in 1_u16..160,
        ) {
            let mut table = Table::new(&["A", "B", "C"]);
            for (a, b, c) in cells {
                table.row([a, b, c]);
            }
            let _ = printed(&table, Some(width));
        }
    }
}
