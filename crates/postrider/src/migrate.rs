//! `postrider migrate`: brings a store's schema up to date, or tells how it stands.

use crate::exit::Failure;
use crate::logging;
use crate::open::Place;
use anyhow::Context;
use clap::Args;
use std::io::Write;
use store::sqlite::SqliteStore;

/// Brings the store's schema up to date; makes the store when there is none.
///
/// `serve` and `dev` do the same when they start. This is for those who want to see an upgrade done before they let
/// requests in. The store must not be served from meanwhile.
#[derive(Args, Clone, Debug)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    place: Place,
    /// Only show which schema the store has and which one this program wants; exits with 3 when the store's is newer
    #[arg(long)]
    status: bool,
}

/// Migrates, or tells.
pub(crate) fn run(args: &MigrateArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    let config = args.place.config()?;
    let path = &config.store.path;
    let shown = path.display();
    let known = SqliteStore::known_schema_version();
    let found = SqliteStore::schema_version(path).with_context(|| format!("look at the store {shown}"))?;
    if args.status {
        let (standing, is_newer) = standing(found, known);
        writeln!(out, "{shown}: {standing}")?;
        return if is_newer { Err(Failure::found()) } else { Ok(()) };
    }
    let now = SqliteStore::migrate(path).with_context(|| format!("bring the store {shown} up to date"))?;
    match found {
        None => writeln!(out, "{shown}: made with schema {now}")?,
        Some(found) if found == now => writeln!(out, "{shown}: schema {now}, nothing to do")?,
        Some(found) => writeln!(out, "{shown}: schema {found} -> {now}")?,
    }
    Ok(())
}

/// How a schema stands to the one this program has, and whether it is newer than that.
fn standing(found: Option<u32>, known: u32) -> (String, bool) {
    match found {
        None => (format!("no store yet; this program makes schema {known}"), false),
        Some(found) if found == known => (format!("schema {found}, up to date"), false),
        Some(found) if found < known => (format!("schema {found}; this program wants {known}"), false),
        Some(found) => (
            format!("schema {found}, newer than this program's {known}: use the newer program"),
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
        let (told, is_newer) = standing(Some(5), 4);
        assert!(is_newer && told.contains("newer than this program's 4"), "{told}");
    }
}
