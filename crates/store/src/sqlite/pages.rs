//! Pages of rows whose name contains a text, whatever the case. Compared here and not by `LIKE`, which knows the
//! case of ASCII letters only and takes `%` and `_` for more than themselves.

use crate::Page;
use rusqlite::{Params, Row, Statement};

/// What names are looked for; empty: all.
pub(super) struct Wanted(String);

impl Wanted {
    pub(super) fn new(part: &str) -> Self {
        Self(part.to_lowercase())
    }

    /// Whether every name is wanted.
    pub(super) fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a name contains it.
    pub(super) fn is_in(&self, name: &str) -> bool {
        self.is_any() || name.to_lowercase().contains(&self.0)
    }
}

/// Walks over all rows of a statement, counts those whose name (in the column `name`) is wanted, and reads those
/// of the page.
pub(super) fn walk<T>(
    select: &mut Statement<'_>,
    params: impl Params,
    name: &str,
    wanted: &Wanted,
    (offset, limit): (u64, usize),
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Page<T>> {
    let name = select.column_index(name)?;
    let mut rows = select.query(params)?;
    let mut page = Page {
        items: Vec::new(),
        total: 0,
    };
    while let Some(row) = rows.next()? {
        if !wanted.is_in(row.get_ref(name)?.as_str()?) {
            continue;
        }
        if page.total >= offset && page.items.len() < limit {
            page.items.push(read(row)?);
        }
        page.total += 1;
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_whatever_the_case_and_to_the_letter() {
        let is_in = |part: &str, name: &str| Wanted::new(part).is_in(name);
        assert!(is_in("", "") && is_in("", "anything"));
        assert!(is_in("ÉTÉ", "bel été") && is_in("vip", "Our VIPs"));
        assert!(is_in("客户", "新客户"));
        assert!(is_in("50%_", "at 50%_ off") && !is_in("50%_", "at 50xx off"));
        assert!(!is_in("a", ""));
    }
}
