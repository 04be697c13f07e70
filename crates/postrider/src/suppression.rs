//! `postrider suppression`: numbers that get no messages, each with time, source and reason.

mod import;

use crate::exit::Failure;
use crate::logging;
use crate::number;
use crate::open::Look;
use crate::review::{account_name, account_named};
use crate::table::{Table, counted};
use crate::when;
use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use engine::catalog::{
    Catalog, CatalogChange, Suppression, SuppressionEntry, SuppressionKind, SuppressionOrigin,
};
use engine::clock::{Clock, SystemClock};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use sms::phone::Msisdn;
use std::io::Write;
use std::path::PathBuf;
use store::sqlite::SqliteStore;
use store::{AccountId, Store};

/// Suppressions that are listed at once.
const LIMIT_MAX: usize = 100_000;
/// Suppressions per read.
const PAGE: usize = 1_000;
/// Characters of a note.
const NOTE_CHARS_MAX: usize = 500;

/// Lists, adds, removes and imports numbers that get no messages.
///
/// May be used while a node runs; a change takes effect with the next request.
#[derive(Args, Clone, Debug)]
pub(crate) struct SuppressionArgs {
    #[command(subcommand)]
    command: SuppressionCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum SuppressionCommand {
    /// Lists suppressions by number, with time, source and reason
    List(ListArgs),
    /// Suppresses numbers
    Add(AddArgs),
    /// Removes all suppressions of numbers, or those that the options select
    Remove(RemoveArgs),
    /// Suppresses the numbers in a CSV file
    Import(ImportArgs),
}

/// The kind of a suppression, as a command line argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindArg {
    /// Blocked for all accounts
    Global,
    /// Blocked for one account
    Blocked,
    /// Opted out by a person
    Unsubscribed,
}

impl From<KindArg> for SuppressionKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Global => Self::Global,
            KindArg::Blocked => Self::Blocked,
            KindArg::Unsubscribed => Self::Unsubscribed,
        }
    }
}

#[derive(Args, Clone, Debug)]
struct ListArgs {
    /// Only this number, in any notation
    number: Option<String>,
    /// Only those of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only those of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<KindArg>,
    /// Only numbers above this one, to continue a list
    #[arg(long, value_name = "NUMBER")]
    after: Option<String>,
    /// Maximum number, up to 100000
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = number::whole::<usize>)]
    limit: usize,
    #[command(flatten)]
    look: Look,
}

/// Account and kind.
#[derive(Args, Clone, Debug)]
struct Scope {
    /// For this account; default: for all accounts
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Kind of the suppression [default: blocked with --account, global without]
    #[arg(long, value_name = "KIND")]
    kind: Option<KindArg>,
}

#[derive(Args, Clone, Debug)]
struct AddArgs {
    /// Numbers in any international notation
    #[arg(required = true)]
    numbers: Vec<String>,
    #[command(flatten)]
    scope: Scope,
    /// Evidence: who requested it, and why
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    #[command(flatten)]
    look: Look,
}

#[derive(Args, Clone, Debug)]
struct RemoveArgs {
    /// Numbers in any international notation
    #[arg(required = true)]
    numbers: Vec<String>,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    look: Look,
}

#[derive(Args, Clone, Debug)]
struct ImportArgs {
    /// CSV file, or - for standard input. Its first column must be the number; with a header line the columns number,
    /// kind, account, note and time may be in any order
    file: PathBuf,
    #[command(flatten)]
    scope: Scope,
    /// Evidence for lines without a note: who requested it, and why
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    #[command(flatten)]
    look: Look,
}

/// Runs the subcommand.
pub(crate) async fn run(args: &SuppressionArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    match &args.command {
        SuppressionCommand::List(args) => list(args, out).await,
        SuppressionCommand::Add(args) => add(args, out).await,
        SuppressionCommand::Remove(args) => remove(args, out).await,
        SuppressionCommand::Import(args) => import::run(args, out).await,
    }
}

async fn list(args: &ListArgs, out: &mut impl Write) -> Result<(), Failure> {
    if !(1..=LIMIT_MAX).contains(&args.limit) {
        return Err(Failure::bad_input(anyhow!("--limit must be 1 to {LIMIT_MAX}")));
    }
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let account = args.account.as_deref().map(|name| account_named(&catalog, name));
    let account = account.transpose().map_err(Failure::bad_input)?;
    let number = args.number.as_deref().map(|number| one_number(&catalog, number));
    let number = number.transpose()?;
    let after = args.after.as_deref().map(|number| one_number(&catalog, number));
    let mut after = after.transpose()?.map(last_of);
    let mut found: Vec<SuppressionEntry> = Vec::new();
    let is_meant = |entry: &SuppressionEntry| {
        let suppression = &entry.suppression;
        account.is_none_or(|account| suppression.account == Some(account))
            && args.kind.is_none_or(|kind| suppression.kind == kind.into())
    };
    let mut more = true;
    while more && found.len() <= args.limit {
        let page = store.suppression_entries(number, after, PAGE).await;
        let page = page.context("read the suppressions")?;
        more = page.len() == PAGE;
        after = page.last().map(|last| last.suppression).or(after);
        found.extend(page.into_iter().filter(&is_meant));
    }
    store.close().await.context("close the store")?;
    let is_cut = found.len() > args.limit;
    found.truncate(args.limit);
    if args.look.json {
        let suppressions: Vec<Value> = found.iter().map(|entry| document(&catalog, entry)).collect();
        let document = json!({ "suppressions": suppressions, "more": is_cut });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    if found.is_empty() {
        writeln!(out, "no suppressions")?;
        return Ok(());
    }
    let zone = TimeZone::system();
    let mut table = Table::new(&["NUMBER", "ACCOUNT", "KIND", "SINCE", "ORIGIN", "NOTE"]);
    for entry in &found {
        let Suppression {
            account,
            msisdn,
            kind,
        } = entry.suppression;
        table.row([
            format!("+{msisdn}"),
            account.map_or_else(|| "(all)".to_owned(), |account| account_name(&catalog, account)),
            kind_name(kind).to_owned(),
            when::short(entry.created_at, &zone),
            entry.origin.name().to_owned(),
            entry.note.to_string(),
        ]);
    }
    table.print(out)?;
    if let Some(last) = found.last().filter(|_| is_cut) {
        writeln!(
            out,
            "there are more: continue with --after +{}",
            last.suppression.msisdn
        )?;
    }
    Ok(())
}

/// A key above all suppressions of a number.
fn last_of(msisdn: Msisdn) -> Suppression {
    Suppression {
        account: Some(AccountId(u32::MAX)),
        msisdn,
        kind: SuppressionKind::Unsubscribed,
    }
}

async fn add(args: &AddArgs, out: &mut impl Write) -> Result<(), Failure> {
    let note = note(&args.note)?;
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let (account, kind) = scope(&catalog, &args.scope)?;
    let now = SystemClock.now();
    let mut changes = Vec::with_capacity(args.numbers.len());
    let mut added: Vec<Msisdn> = Vec::new();
    let mut already = 0_usize;
    for written in &args.numbers {
        let msisdn = one_number(&catalog, written)?;
        let suppression = Suppression {
            account,
            msisdn,
            kind,
        };
        let known = of_number(&store, msisdn).await?;
        if added.contains(&msisdn) || known.iter().any(|entry| entry.suppression == suppression) {
            already += 1;
            continue;
        }
        added.push(msisdn);
        changes.push(CatalogChange::Suppress(SuppressionEntry {
            suppression,
            created_at: now,
            origin: SuppressionOrigin::Operator,
            note: note.into(),
        }));
    }
    if !changes.is_empty() {
        let changed = store.change_catalog(changes).await;
        changed.context("add the suppressions")?;
    }
    store.close().await.context("close the store")?;
    if args.look.json {
        writeln!(out, "{}", json!({ "added": added.len(), "already": already }))?;
        return Ok(());
    }
    let numbers: Vec<String> = added
        .iter()
        .take(SHOWN_MAX)
        .map(|number| format!("+{number}"))
        .collect();
    let more = added.len() - numbers.len();
    let mut said = format!("{} added", counted(added.len(), "suppression"));
    if !numbers.is_empty() {
        said = format!("{said}: {}", numbers.join(", "));
    }
    if more > 0 {
        said = format!("{said} and {more} more");
    }
    if already > 0 {
        said = format!("{said}; {already} existed already and were not changed");
    }
    Ok(writeln!(out, "{said}")?)
}

/// Numbers of the output that are shown.
const SHOWN_MAX: usize = 10;

async fn remove(args: &RemoveArgs, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let account = args
        .scope
        .account
        .as_deref()
        .map(|name| account_named(&catalog, name));
    let account = account.transpose().map_err(Failure::bad_input)?;
    let mut changes = Vec::new();
    for written in &args.numbers {
        let msisdn = one_number(&catalog, written)?;
        let found = of_number(&store, msisdn).await?;
        let meant = found
            .into_iter()
            .map(|entry| entry.suppression)
            .filter(|suppression| {
                account.is_none_or(|account| suppression.account == Some(account))
                    && args.scope.kind.is_none_or(|kind| suppression.kind == kind.into())
            });
        changes.extend(meant.map(CatalogChange::RemoveSuppression));
    }
    let count = changes.len();
    if count > 0 {
        let changed = store.change_catalog(changes).await;
        changed.context("remove the suppressions")?;
    }
    store.close().await.context("close the store")?;
    print_count(args.look.json, "removed", count, out)?;
    if count == 0 { Err(Failure::found()) } else { Ok(()) }
}

async fn of_number(store: &SqliteStore, msisdn: Msisdn) -> Result<Vec<SuppressionEntry>, Failure> {
    let found = store.suppression_entries(Some(msisdn), None, PAGE).await;
    Ok(found.context("read the suppressions")?)
}

fn print_count(json: bool, what: &str, count: usize, out: &mut impl Write) -> Result<(), Failure> {
    if json {
        writeln!(out, "{}", json!({ what: count }))?;
    } else {
        writeln!(out, "{} {what}", counted(count, "suppression"))?;
    }
    Ok(())
}

/// The selected account and kind.
fn scope(catalog: &Catalog, scope: &Scope) -> Result<(Option<AccountId>, SuppressionKind), Failure> {
    let account = scope.account.as_deref().map(|name| account_named(catalog, name));
    let account = account.transpose().map_err(Failure::bad_input)?;
    checked(account, scope.kind.map(SuppressionKind::from)).map_err(Failure::bad_input)
}

/// The default kind with an account, or without one.
fn checked(
    account: Option<AccountId>,
    kind: Option<SuppressionKind>,
) -> anyhow::Result<(Option<AccountId>, SuppressionKind)> {
    match (account, kind) {
        (Some(_), Some(SuppressionKind::Global)) => {
            Err(anyhow!("kind global is for all accounts: remove --account"))
        }
        (None, Some(SuppressionKind::Blocked)) => Err(anyhow!(
            "kind blocked is for one account: select it with --account"
        )),
        (account, Some(kind)) => Ok((account, kind)),
        (Some(account), None) => Ok((Some(account), SuppressionKind::Blocked)),
        (None, None) => Ok((None, SuppressionKind::Global)),
    }
}

fn note(written: &str) -> Result<&str, Failure> {
    let written = written.trim();
    if written.chars().count() > NOTE_CHARS_MAX {
        return Err(Failure::bad_input(anyhow!(
            "--note must have at most {NOTE_CHARS_MAX} characters"
        )));
    }
    Ok(written)
}

/// The selected number; an ambiguous one is rejected.
fn one_number(catalog: &Catalog, written: &str) -> Result<Msisdn, Failure> {
    match *number::read(written, &number::countries(catalog)) {
        [number] => Ok(number),
        [] => Err(Failure::bad_input(anyhow!(
            "{written:?} is not an international number; write it as +447700900123"
        ))),
        _ => Err(Failure::bad_input(anyhow!(
            "{written:?} is a national number of several countries; write it as +447700900123"
        ))),
    }
}

const fn kind_name(kind: SuppressionKind) -> &'static str {
    match kind {
        SuppressionKind::Global => "global",
        SuppressionKind::Blocked => "blocked",
        SuppressionKind::Unsubscribed => "unsubscribed",
    }
}

fn document(catalog: &Catalog, entry: &SuppressionEntry) -> Value {
    let Suppression {
        account,
        msisdn,
        kind,
    } = entry.suppression;
    json!({
        "number": format!("+{msisdn}"),
        "account": account.map(|account| account_name(catalog, account)),
        "kind": kind_name(kind),
        "created_at": (entry.created_at > 0).then(|| when::exact(entry.created_at)),
        "origin": entry.origin.name(),
        "note": entry.note,
    })
}
