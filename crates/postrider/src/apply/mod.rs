//! `postrider apply`: brings the store's catalog in line with a file.

pub(crate) mod diff;
pub(crate) mod entry;
pub(crate) mod export;
pub(crate) mod file;
pub(crate) mod plan;
pub(crate) mod secret;

use crate::config::{FileMistakes, Mistakes};
use crate::control;
use crate::exit::Failure;
use crate::logging;
use crate::open::{self, OutputFormat, Place};
use crate::table::{counted, sanitize_for_terminal};
use crate::webhook_formats::WebhookFormats;
use anyhow::{Context, anyhow};
use clap::Args;
use diff::Sign;
use engine::catalog::{SecretSealer, Suppression};
use engine::clock::{Clock, SystemClock};
pub(crate) use export::{ExportArgs, run as export};
use file::File;
use plan::{ApplyOptions, Existing, Inputs, Plan};
use secret::Environment;
use serde_json::json;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use store::Store;
use store::sqlite::Mode;

/// Attempts to plan and write while others change the catalog.
const TRIES_MAX: usize = 20;

/// Applies a catalog file: accounts, credentials, signatures, templates, webhooks, carriers, routes, suppressions.
///
/// Prints the changes. A second run changes nothing. May be used while a node runs, which applies the change at once.
/// Secrets are sealed with the node's master key and never shown.
#[derive(Args, Clone, Debug)]
pub(crate) struct ApplyArgs {
    /// The catalog file in TOML, see docs/catalog.md; `-` reads standard input
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Show what would change and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Also delete what the file does not name
    #[arg(long)]
    prune: bool,
    /// Also set the balances of existing accounts (otherwise `balance` is the initial balance of new accounts)
    #[arg(long)]
    set_balances: bool,
    #[command(flatten)]
    format: OutputFormat,
}

/// Plans, prints and writes the changes.
pub(crate) async fn run(args: &ApplyArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    let text = read(&args.file).map_err(Failure::bad_input)?;
    let file = File::parse(&text);
    let config = args.place.config_of_existing()?;
    let sealer = open::master_key(&config)?.sealer();
    let store = open::store(&config, Mode::Tool).await?;
    let mut existing = existing(&*store).await?;
    open::check_key(existing.catalog.clone(), &sealer, &config.secrets)?;
    let mut tries = 0;
    let (plan, applied) = loop {
        let inputs = Inputs {
            text: &text,
            file: &file,
            existing: &existing,
            sealer: &sealer,
            environment: Environment {
                variable: &|name| std::env::var_os(name),
                read: &secret::reader_from(&args.file),
                check_authorities: &|path| crate::tls::authorities(path),
            },
            webhook_formats: &WebhookFormats::all(),
            allow: (!args.place.is_of_dev()).then_some(&config.webhooks.allow),
            options: ApplyOptions {
                prune: args.prune,
                set_balances: args.set_balances,
            },
            now: SystemClock.now(),
        };
        let mut plan = match plan::plan(inputs) {
            Ok(plan) => plan,
            Err(wrong) if args.format.is_json() => {
                writeln!(out, "{}", serde_json::to_string_pretty(&wrong)?)?;
                return Err(Failure::bad_input_reported());
            }
            Err(wrong) => return Err(mistakes(&args.file, wrong)),
        };
        plan.notes.extend(readable_secrets(&args.file, &text));
        if plan.changes.is_empty() || args.dry_run {
            break (plan, None);
        }
        let changes = std::mem::take(&mut plan.changes);
        let version = existing.catalog.version;
        match store
            .change_catalog_at(version, changes)
            .await
            .context("write the catalog")?
        {
            Some(version) => break (plan, Some(version)),
            // An account changed the catalog over an API meanwhile. Objects that the file does not name must stay as they are now.
            None if tries < TRIES_MAX => {
                existing.catalog = store.load_catalog().await.context("read the catalog")?
            }
            None => {
                return Err(anyhow!("the catalog was changed by others at each attempt: try again").into());
            }
        }
        tries += 1;
    };
    if applied.is_some() {
        control::reload_catalog(&config).await;
    }
    report(args, &plan, existing.catalog.version, applied, out)?;
    store.close().await.context("close the store")?;
    Ok(())
}

/// Prints what was or would be changed, as text or as JSON.
fn report(
    args: &ApplyArgs,
    plan: &Plan,
    version: u64,
    applied: Option<u64>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    if args.format.is_json() {
        let report = json!({
            "changes": lines_of(plan, |line| line.sign != Sign::Keep),
            "not_in_the_file": lines_of(plan, |line| line.sign == Sign::Keep),
            "notes": plan.notes,
            "applied": applied.is_some(),
            "version": applied.unwrap_or(version),
        });
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
        return Ok(());
    }
    print_plan(plan, out)?;
    let changes = counted(count(plan), "change");
    match applied {
        Some(version) => writeln!(out, "{changes} applied; the catalog is at version {version}")?,
        None if plan.changes.is_empty() => writeln!(out, "nothing to change")?,
        None => writeln!(out, "{changes}; nothing was written (--dry-run)")?,
    }
    Ok(())
}

/// The content of a file, or of standard input for `-`.
fn read(file: &Path) -> anyhow::Result<String> {
    let (octets, name) = if file.as_os_str() == "-" {
        let mut octets = Vec::new();
        std::io::stdin()
            .read_to_end(&mut octets)
            .context("read standard input")?;
        (octets, "standard input".to_owned())
    } else {
        let octets = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
        (octets, file.display().to_string())
    };
    String::from_utf8(octets).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to());
        let line = 1 + before
            .unwrap_or_default()
            .iter()
            .filter(|octet| **octet == b'\n')
            .count();
        anyhow!("{name}: line {line}: this is not UTF-8; save the file as UTF-8, as TOML files are")
    })
}

/// A note when other users may read a catalog file that has secrets in it.
fn readable_secrets(file: &Path, text: &str) -> Option<String> {
    let how = open::readable_by_others(file, 0o077)?;
    let has_secrets = text
        .parse::<toml::Table>()
        .is_ok_and(|table| table.iter().any(is_secret));
    has_secrets.then(|| {
        format!(
            "{} contains secrets and {how}, or give the secrets by `secret_env` or `secret_file`",
            file.display()
        )
    })
}

/// Whether a key of a catalog file, or a key below it, holds a secret.
fn is_secret((key, value): (&String, &toml::Value)) -> bool {
    match value {
        toml::Value::String(text) => matches!(key.as_str(), "secret" | "password") && !text.is_empty(),
        toml::Value::Table(table) => table.iter().any(is_secret),
        toml::Value::Array(all) => all
            .iter()
            .filter_map(toml::Value::as_table)
            .flatten()
            .any(is_secret),
        _ => false,
    }
}

/// Lines of a plan as JSON.
fn lines_of(plan: &Plan, wanted: impl Fn(&diff::Line) -> bool) -> Vec<serde_json::Value> {
    let lines = plan.lines.iter().filter(|line| wanted(line));
    lines
        .map(|line| json!({ "change": line.sign.name(), "what": line.what, "details": line.details }))
        .collect()
}

/// The stored state that a plan depends on.
pub(crate) async fn existing(store: &dyn Store) -> anyhow::Result<Existing> {
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let lanes = store.lanes().await.context("count what waits")?;
    let waited_for = lanes
        .iter()
        .filter(|backlog| backlog.messages > 0)
        .map(|backlog| backlog.lane.carrier)
        .collect();
    Ok(Existing {
        catalog,
        suppressions: suppressions(store).await?,
        waited_for,
    })
}

/// All suppressions, read in pages: there may be many.
async fn suppressions(store: &dyn Store) -> anyhow::Result<Vec<Suppression>> {
    const PIECE: usize = 10_000;
    let mut all = Vec::new();
    loop {
        let read = store.suppressions(all.last().copied(), PIECE).await;
        let piece = read.context("read the suppressions")?;
        let last = piece.len() < PIECE;
        all.extend(piece);
        if last {
            return Ok(all);
        }
    }
}

/// Applies a catalog that is part of the program, without output; `plan_of` may remove parts of it.
pub(crate) async fn seed(
    store: &dyn Store,
    sealer: &SecretSealer,
    text: &str,
    file: &File,
    environment: Environment<'_>,
) -> anyhow::Result<()> {
    let existing = existing(store).await?;
    let inputs = Inputs {
        text,
        file,
        existing: &existing,
        sealer,
        environment,
        webhook_formats: &WebhookFormats::all(),
        allow: None,
        options: ApplyOptions::default(),
        now: SystemClock.now(),
    };
    let plan = plan::plan(inputs).context("the built-in catalog")?;
    if !plan.changes.is_empty() {
        store
            .change_catalog(plan.changes)
            .await
            .context("write the catalog")?;
    }
    Ok(())
}

fn print_plan(plan: &Plan, out: &mut impl Write) -> std::io::Result<()> {
    for line in plan.lines.iter().filter(|line| line.sign != Sign::Keep) {
        writeln!(out, "{line}")?;
    }
    let kept: Vec<_> = plan.lines.iter().filter(|line| line.sign == Sign::Keep).collect();
    if !kept.is_empty() {
        writeln!(out, "not in the file, left unchanged (--prune deletes them):")?;
        for line in kept {
            writeln!(out, "  {line}")?;
        }
    }
    for note in &plan.notes {
        writeln!(out, "note: {}", sanitize_for_terminal(note))?;
    }
    Ok(())
}

fn count(plan: &Plan) -> usize {
    plan.lines.iter().filter(|line| line.sign != Sign::Keep).count()
}

fn mistakes(file: &Path, mistakes: Mistakes) -> Failure {
    let file = match file.to_str() {
        Some("-") => "standard input".to_owned(),
        _ => file.display().to_string(),
    };
    Failure::bad_input(FileMistakes { file, mistakes })
}
