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
    /// Only tell which schema the store has and which one this program wants
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
        return match found {
            None => writeln!(out, "{shown}: no store yet; this program makes schema {known}"),
            Some(found) if found == known => writeln!(out, "{shown}: schema {found}, up to date"),
            Some(found) if found < known => {
                writeln!(out, "{shown}: schema {found}; this program wants {known}")
            }
            Some(found) => writeln!(out, "{shown}: schema {found}, newer than this program's {known}"),
        }
        .map_err(Failure::from);
    }
    let now = SqliteStore::migrate(path).with_context(|| format!("bring the store {shown} up to date"))?;
    match found {
        None => writeln!(out, "{shown}: made with schema {now}")?,
        Some(found) if found == now => writeln!(out, "{shown}: schema {now}, nothing to do")?,
        Some(found) => writeln!(out, "{shown}: schema {found} -> {now}")?,
    }
    Ok(())
}
