//! Former names of settings (docs/renames.md): accepted for one release, with a warning that names the present one.

use std::fmt;

/// A key or section that had another name in the release before this one.
struct Rename {
    /// The path of its section, by the present name; empty for the top level.
    section: &'static str,
    former: &'static str,
    present: &'static str,
}

const fn rename(section: &'static str, former: &'static str, present: &'static str) -> Rename {
    Rename {
        section,
        former,
        present,
    }
}

/// Removed in the release after this one.
const RENAMES: [Rename; 10] = [
    rename("", "notify", "webhooks"),
    rename("", "directory", "account_limits"),
    rename("store.sqlite", "run_entries_max", "memtable_entries_max"),
    rename("store.sqlite", "parked_max", "unmatched_receipts_max"),
    rename("store.sqlite", "nobodys_inbound_max", "unassigned_inbound_max"),
    rename("engine", "parked_keep_s", "unmatched_receipts_keep_s"),
    rename("engine", "dead_calls_keep_days", "dead_deliveries_keep_days"),
    rename("webhooks", "trouble_calls", "breaker_failures"),
    rename("webhooks", "trial_wait_s_max", "breaker_wait_s_max"),
    rename("account_limits", "records_max", "documents_max"),
];

/// The present name of a setting with the former name `name` in a section.
pub(super) fn present_name(section: &str, name: &str) -> Option<&'static str> {
    RENAMES
        .iter()
        .find(|rename| rename.section == section && rename.former == name)
        .map(|rename| rename.present)
}

/// A former name that a file uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FormerName {
    /// Line of the file, from 1.
    pub(crate) line: usize,
    /// The name in the file, with its section.
    pub(crate) former: String,
    /// The path of the setting.
    pub(crate) present: String,
}

impl fmt::Display for FormerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            former,
            present,
        } = self;
        write!(
            f,
            "line {line}: `{former}` is now `{present}`; the former name is not accepted after this release"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/renames.md");

    #[test]
    fn the_page_of_renames_lists_every_former_name() {
        for rename in &RENAMES {
            let path = |name: &str| match rename.section {
                "" => format!("[{name}]"),
                section => format!("[{section}] {name}"),
            };
            let row = format!("| `{}` | `{}` |", path(rename.former), path(rename.present));
            assert!(PAGE.contains(&row), "docs/renames.md lacks the row {row}");
        }
    }

    #[test]
    fn a_former_name_is_known_in_its_own_section_only() {
        assert_eq!(present_name("", "notify"), Some("webhooks"));
        assert_eq!(
            present_name("engine", "parked_keep_s"),
            Some("unmatched_receipts_keep_s")
        );
        assert_eq!(present_name("store.sqlite", "parked_keep_s"), None);
        assert_eq!(present_name("", "webhooks"), None);
    }
}
