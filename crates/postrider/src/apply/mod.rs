//! `postrider apply`: makes the store's catalog fit a file.

pub(crate) mod diff;
pub(crate) mod entry;
pub(crate) mod file;
pub(crate) mod plan;
pub(crate) mod secret;

use crate::config::{MasterKey, Mistakes};
use crate::control;
use crate::exit::Failure;
use crate::forms::Forms;
use crate::logging;
use crate::open::{self, Place};
use anyhow::{Context, anyhow};
use clap::Args;
use diff::Sign;
use engine::catalog::{CatalogError, Snapshot, Suppression, Vault};
use engine::clock::{Clock, SystemClock};
use file::File;
use plan::{Existing, Inputs, Plan, Wishes};
use secret::Surroundings;
use std::io::Write;
use std::path::{Path, PathBuf};
use store::Store;
use store::sqlite::Mode;

/// Makes the catalog fit a file: accounts, credentials, signatures, templates, carriers, routes, suppressions.
///
/// Prints what changes first. A second run changes nothing. Works beside a running node, which takes the change over
/// at once. Secrets are sealed with the node's master key and never shown.
#[derive(Args, Clone, Debug)]
pub(crate) struct ApplyArgs {
    /// The catalog, in TOML: see docs/catalog.md
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
}

/// Plans, tells and applies.
pub(crate) async fn run(args: &ApplyArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("read {}", args.file.display()))
        .map_err(Failure::bad_input)?;
    let file = File::parse(&text);
    let config = args.place.config_of_existing()?;
    let vault = MasterKey::find(&config.secrets)
        .map_err(Failure::bad_input)?
        .vault();
    let store = open::store(&config, Mode::Tool).await?;
    let wishes = Wishes {
        prune: args.prune,
        set_balances: args.set_balances,
    };
    let surroundings = Surroundings {
        variable: &|name| std::env::var_os(name),
        read: &secret::reader_from(&args.file),
        check_authorities: &|path| crate::tls::authorities(path),
    };
    let existing = existing(&*store).await?;
    check_key(&existing, &vault)?;
    let inputs = Inputs {
        text: &text,
        file: &file,
        existing: &existing,
        vault: &vault,
        surroundings,
        forms: &Forms::all(),
        wishes,
        now: SystemClock.now(),
    };
    let plan = plan::plan(inputs).map_err(|wrong| mistakes(&args.file, &wrong))?;
    tell(&plan, out)?;
    let changes = count(&plan);
    let changes = format!("{changes} {}", if changes == 1 { "change" } else { "changes" });
    if plan.changes.is_empty() {
        writeln!(out, "nothing to change")?;
    } else if args.dry_run {
        writeln!(out, "{changes}; nothing was written (--dry-run)")?;
    } else {
        let version = store
            .change_catalog(plan.changes)
            .await
            .context("write the catalog")?;
        writeln!(out, "{changes} applied; the catalog is at version {version}")?;
        control::take_over(&config).await;
    }
    store.close().await.context("close the store")?;
    Ok(())
}

/// Refuses a master key that is not the store's: what it seals, the node could not open.
fn check_key(existing: &Existing, vault: &Vault) -> Result<(), Failure> {
    match Snapshot::compile(existing.catalog.clone(), vault) {
        Err(CatalogError::Vault(error)) => Err(Failure::bad_input(
            anyhow!(error).context("this is not the master key that the store's secrets are sealed with"),
        )),
        // Whatever else is wrong with the catalog, applying a file may be what mends it.
        Ok(_) | Err(_) => Ok(()),
    }
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
        writeln!(out, "note: {note}")?;
    }
    Ok(())
}

fn count(plan: &Plan) -> usize {
    plan.lines.iter().filter(|line| line.sign != Sign::Keep).count()
}

fn mistakes(file: &Path, wrong: &Mistakes) -> Failure {
    Failure::bad_input(anyhow!("{}:\n  {wrong}", file.display()))
}
