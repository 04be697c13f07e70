//! `postrider apply`: makes the store's catalog fit a file.

pub(crate) mod diff;
pub(crate) mod entry;
pub(crate) mod export;
pub(crate) mod file;
pub(crate) mod plan;
pub(crate) mod secret;

use crate::config::{FileMistakes, Mistakes};
use crate::control;
use crate::exit::Failure;
use crate::forms::Forms;
use crate::logging;
use crate::open::{self, OutputFormat, Place};
use crate::table::{counted, harmless};
use anyhow::{Context, anyhow};
use clap::Args;
use diff::Sign;
use engine::catalog::{Suppression, Vault};
use engine::clock::{Clock, SystemClock};
pub(crate) use export::{ExportArgs, run as export};
use file::File;
use plan::{Existing, Inputs, Plan, Wishes};
use secret::Surroundings;
use serde_json::json;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use store::Store;
use store::sqlite::Mode;

/// Times a file is planned anew because others changed the catalog meanwhile.
const TRIES_MAX: usize = 20;

/// Makes the catalog fit a file: accounts, credentials, signatures, templates, carriers, routes, suppressions.
///
/// Prints what changes. A second run changes nothing. Works beside a running node, which takes the change over
/// at once. Secrets are sealed with the node's master key and never shown.
#[derive(Args, Clone, Debug)]
pub(crate) struct ApplyArgs {
    /// The catalog, in TOML: see docs/catalog.md; `-` reads it from standard input
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Also remove what the file does not name
    #[arg(long)]
    prune: bool,
    /// Also set the balances of accounts that have one (otherwise the file's is where a new account begins)
    #[arg(long)]
    set_balances: bool,
    #[command(flatten)]
    format: OutputFormat,
}

/// Plans, tells and applies.
pub(crate) async fn run(args: &ApplyArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    let text = read(&args.file).map_err(Failure::bad_input)?;
    let file = File::parse(&text);
    let config = args.place.config_of_existing()?;
    let vault = open::master_key(&config)?.vault();
    let store = open::store(&config, Mode::Tool).await?;
    let mut existing = existing(&*store).await?;
    open::check_key(existing.catalog.clone(), &vault, &config.secrets)?;
    let mut tries = 0;
    let (plan, applied) = loop {
        let inputs = Inputs {
            text: &text,
            file: &file,
            existing: &existing,
            vault: &vault,
            surroundings: Surroundings {
                variable: &|name| std::env::var_os(name),
                read: &secret::reader_from(&args.file),
                check_authorities: &|path| crate::tls::authorities(path),
            },
            forms: &Forms::all(),
            allow: (!args.place.is_of_dev()).then_some(&config.webhooks.allow),
            wishes: Wishes {
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
            // An account changed something over an API meanwhile. What the file does not name is to stay as it is now.
            None if tries < TRIES_MAX => {
                existing.catalog = store.load_catalog().await.context("read the catalog")?
            }
            None => return Err(anyhow!("the catalog was changed by others each time: try again").into()),
        }
        tries += 1;
    };
    if applied.is_some() {
        control::take_over(&config).await;
    }
    report(args, &plan, existing.catalog.version, applied, out)?;
    store.close().await.context("close the store")?;
    Ok(())
}

/// Says what was or would be changed, for people or as JSON.
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
    tell(plan, out)?;
    let changes = counted(count(plan), "change");
    match applied {
        Some(version) => writeln!(out, "{changes} applied; the catalog is at version {version}")?,
        None if plan.changes.is_empty() => writeln!(out, "nothing to change")?,
        None => writeln!(out, "{changes}; nothing was written (--dry-run)")?,
    }
    Ok(())
}

/// The text of a file, or of standard input for `-`.
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

/// A note where others may read a catalog file that has secrets in it.
fn readable_secrets(file: &Path, text: &str) -> Option<String> {
    let how = open::readable_by_others(file, 0o077)?;
    let has_secrets = text
        .parse::<toml::Table>()
        .is_ok_and(|table| table.iter().any(is_secret));
    has_secrets.then(|| {
        format!(
            "{} has secrets in it and {how}, or give the secrets by `secret_env` or `secret_file`",
            file.display()
        )
    })
}

/// Whether a key of a catalog file has a secret, or a key below it.
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

/// What a store has that a plan must know.
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

/// All suppressions, read piece by piece: there may be many.
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

/// Makes a store fit a text that the program carries itself, without a word; `plan_of` may leave parts out.
pub(crate) async fn seed(
    store: &dyn Store,
    vault: &Vault,
    text: &str,
    file: &File,
    surroundings: Surroundings<'_>,
) -> anyhow::Result<()> {
    let existing = existing(store).await?;
    let inputs = Inputs {
        text,
        file,
        existing: &existing,
        vault,
        surroundings,
        forms: &Forms::all(),
        allow: None,
        wishes: Wishes::default(),
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

fn tell(plan: &Plan, out: &mut impl Write) -> std::io::Result<()> {
    for line in plan.lines.iter().filter(|line| line.sign != Sign::Keep) {
        writeln!(out, "{line}")?;
    }
    let kept: Vec<_> = plan.lines.iter().filter(|line| line.sign == Sign::Keep).collect();
    if !kept.is_empty() {
        writeln!(out, "not in the file, left as they are (--prune removes them):")?;
        for line in kept {
            writeln!(out, "  {line}")?;
        }
    }
    for note in &plan.notes {
        writeln!(out, "note: {}", harmless(note))?;
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
