//! Tables for people: aligned columns that fit the terminal, and nothing in them that a terminal would obey.

use std::io::{self, Write};

/// Columns of a line when the terminal does not say.
const WIDTH_DEFAULT: usize = 120;
/// A column is never cut below this.
const COLUMN_MIN: usize = 8;

/// A table being put together.
pub(crate) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these columns. The last one takes the room that is left.
    pub(crate) fn new(heads: &[&'static str]) -> Self {
        Self {
            heads: heads.to_vec(),
            rows: Vec::new(),
        }
    }

    /// One more row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.heads.len(), "a row has a cell for each column");
        self.rows.push(cells.iter().map(|cell| harmless(cell)).collect());
    }

    /// Whether it has no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prints it for the terminal there is.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let width = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok())
            .unwrap_or(WIDTH_DEFAULT);
        self.print_within(width, out)
    }

    fn print_within(&self, width: usize, out: &mut impl Write) -> io::Result<()> {
        let widths = self.widths(width);
        let heads = self.heads.iter().map(|head| (*head).to_owned()).collect();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let cell = cut(cell, *width);
                let room = width.saturating_sub(columns(&cell)) + 2;
                line.push_str(&cell);
                line.extend(std::iter::repeat_n(' ', room));
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// What each column gets: what it needs, and when that is too much, the widest ones give way.
    fn widths(&self, width: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = self.heads.iter().map(|head| columns(head)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(columns(cell));
            }
        }
        let room = width.saturating_sub(2 * widths.len().saturating_sub(1));
        loop {
            let over = widths.iter().sum::<usize>().saturating_sub(room);
            let Some(widest) = widths.iter_mut().max_by_key(|width| **width) else {
                return widths;
            };
            if over == 0 || *widest <= COLUMN_MIN {
                return widths;
            }
            *widest -= 1;
        }
    }
}

/// A text that stays on its line, moves no cursor and does not change the direction of what is written.
pub(crate) fn harmless(text: &str) -> String {
    let obeyed = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if obeyed(c) { ' ' } else { c }).collect()
}

/// The text within so many columns, with a mark where it was cut.
fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let kept = text.chars().take_while(|c| {
        let wide = columns_of(*c);
        let fits = wide <= room;
        room = room.saturating_sub(wide);
        fits
    });
    kept.chain(std::iter::once('…')).collect()
}

/// Columns that a text takes on a terminal.
fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// East Asian wide characters take two (the blocks of Unicode's EastAsianWidth.txt that messages have).
fn columns_of(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(table: &Table, width: usize) -> String {
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
        assert_eq!(
            printed(&table, 80),
            "NO    TEXT         STATE\n1     你好 {name}  on\n1002  Hello  [31m  off\n"
        );
    }

    #[test]
    fn what_does_not_fit_is_cut_where_there_is_most() {
        let mut table = Table::new(&["NO", "TEXT"]);
        table.row(["1".to_owned(), "a long text that goes on and on".to_owned()]);
        table.row(["2".to_owned(), "验证码验证码验证码验证码".to_owned()]);
        assert_eq!(
            printed(&table, 20),
            "NO  TEXT\n1   a long text tha…\n2   验证码验证码验…\n"
        );
    }

    proptest! {
        #[test]
        fn no_line_is_longer_than_asked(
            cells in prop::collection::vec((".{0,40}", ".{0,80}", "[ -~]{0,30}"), 0..8),
            width in 40_usize..160,
        ) {
            let mut table = Table::new(&["A", "B", "C"]);
            for (a, b, c) in cells {
                table.row([a, b, c]);
            }
            for line in printed(&table, width).lines() {
                prop_assert!(columns(line) <= width, "{}", line);
            }
        }
    }
}
