//! `postrider migrate`: migrates a store's schema, or shows its version.

use crate::exit::Failure;
use crate::logging;
use crate::open::Place;
use anyhow::Context;
use clap::Args;
use std::io::Write;
use store::sqlite::SqliteStore;

/// Migrates the store's schema to the version of this program; creates a missing store.
///
/// `serve` and `dev` do the same at a start. With this command an upgrade is complete before the node accepts
/// requests. No node may use the store meanwhile.
#[derive(Args, Clone, Debug)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    place: Place,
    /// Only show the schema version of the store and of this program; exits with 3 when the store's is newer
    #[arg(long)]
    status: bool,
}

/// Migrates, or shows the version.
pub(crate) fn run(args: &MigrateArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    let config = args.place.config()?;
    let path = &config.store.path;
    let shown = path.display();
    let known = SqliteStore::known_schema_version();
    let found = SqliteStore::schema_version(path).with_context(|| format!("read the store {shown}"))?;
    if args.status {
        let (standing, is_newer) = standing(found, known);
        writeln!(out, "{shown}: {standing}")?;
        return if is_newer { Err(Failure::found()) } else { Ok(()) };
    }
    let now = SqliteStore::migrate(path).with_context(|| format!("migrate the store {shown}"))?;
    match found {
        None => writeln!(out, "{shown}: created at schema version {now}")?,
        Some(found) if found == now => writeln!(out, "{shown}: schema version {now}, nothing to do")?,
        Some(found) => writeln!(out, "{shown}: migrated from schema version {found} to {now}")?,
    }
    Ok(())
}

/// How a schema version compares to that of this program, and whether it is newer.
fn standing(found: Option<u32>, known: u32) -> (String, bool) {
    match found {
        None => (
            format!("no store yet; this program creates schema version {known}"),
            false,
        ),
        Some(found) if found == known => (format!("schema version {found}, up to date"), false),
        Some(found) if found < known => (
            format!("schema version {found}; this program needs {known}"),
            false,
        ),
        Some(found) => (
            format!("schema version {found} is newer than this program's {known}: use a newer release"),
            true,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_newer_schema_is_something_to_stop_at() {
        assert!(!standing(None, 4).1 && !standing(Some(4), 4).1 && !standing(Some(3), 4).1);
        let (text, is_newer) = standing(Some(5), 4);
        assert!(is_newer && text.contains("newer than this program's 4"), "{text}");
    }
}
