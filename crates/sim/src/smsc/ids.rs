//! How the simulator writes its message ids, in answers and in receipts.
//!
//! SMPP 3.3 had hexadecimal ids, 3.4 has strings, and carriers mix both: what `submit_sm_resp` calls `1a2b` may be
//! `0000006699` in the receipt.

use std::io::Write;

use serde::{Deserialize, Serialize};

/// A way to write a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notation {
    /// Digits.
    #[default]
    Decimal,
    /// Hexadecimal digits, small letters.
    Hex,
    /// Hexadecimal digits, capital letters.
    HexUpper,
    /// Nothing: some carriers give no id.
    Empty,
}

/// A way to write ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdForm {
    /// Base and case.
    pub notation: Notation,
    /// Zeros are put in front until there are so many digits; at most 64.
    pub width: u8,
}

impl IdForm {
    /// The longest id (SMPP 3.4 §4.4.2).
    pub const WIDTH_MAX: u8 = 64;

    /// Appends an id to `out`.
    pub(super) fn write(self, id: u64, out: &mut Vec<u8>) {
        let width = usize::from(self.width.min(Self::WIDTH_MAX));
        // Writing into a vector cannot fail.
        let _ = match self.notation {
            Notation::Decimal => write!(out, "{id:0width$}"),
            Notation::Hex => write!(out, "{id:0width$x}"),
            Notation::HexUpper => write!(out, "{id:0width$X}"),
            Notation::Empty => Ok(()),
        };
    }
}

/// How ids are written on both ways, and where they begin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ids {
    /// In `submit_sm_resp`.
    pub answer: IdForm,
    /// In receipts.
    pub receipt: IdForm,
    /// The first id; 0: the microseconds since 1970 at the start, so that ids do not come again after a restart.
    pub first: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_carriers_do() {
        for (notation, width, expected) in [
            (Notation::Decimal, 0, "6699"),
            (Notation::Decimal, 10, "0000006699"),
            (Notation::Hex, 0, "1a2b"),
            (Notation::HexUpper, 8, "00001A2B"),
            (Notation::Empty, 8, ""),
        ] {
            let mut out = Vec::new();
            IdForm { notation, width }.write(6699, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
