//! `postrider inbound`: received messages.

use crate::exit::Failure;
use crate::logging;
use crate::number;
use crate::open::Look;
use crate::review::{account_name, account_named};
use crate::table::Table;
use crate::when;
use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use engine::catalog::Catalog;
use engine::clock::{Clock, SystemClock};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use sms::phone::carrier::name;
use sms::user_data::Binary;
use std::io::Write;
use store::{Inbound, InboundFilter, InboundId, Inbox, Store};

/// Messages that are listed at once.
const LIMIT_MAX: usize = 10_000;

/// Lists inbound messages.
///
/// May be used while a node runs.
#[derive(Args, Clone, Debug)]
pub(crate) struct InboundArgs {
    #[command(subcommand)]
    command: InboundCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum InboundCommand {
    /// Lists inbound messages, the newest first
    List(ListArgs),
}

#[derive(Args, Clone, Debug)]
struct ListArgs {
    /// Only those of this account
    #[arg(long, value_name = "NAME", conflicts_with = "unassigned")]
    account: Option<String>,
    /// Only those without an account
    #[arg(long, alias = "nobodys")]
    unassigned: bool,
    /// Only from or to this number or code, with or without + or 00
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// Only those since this time: 2026-11-18T10:00:00Z, "2026-11-18 10:00" (local), or 90s, 30m, 2h, 7d ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only older ones than this one, to continue a list
    #[arg(long, value_name = "ID", value_parser = number::whole::<i64>)]
    before: Option<i64>,
    /// Maximum number, up to 10000
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = number::whole::<usize>)]
    limit: usize,
    #[command(flatten)]
    look: Look,
}

/// Runs the subcommand.
pub(crate) async fn run(args: &InboundArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    match &args.command {
        InboundCommand::List(args) => list(args, out).await,
    }
}

async fn list(args: &ListArgs, out: &mut impl Write) -> Result<(), Failure> {
    let zone = TimeZone::system();
    let now = SystemClock.now();
    let since = args.since.as_deref().map(|since| when::read(since, now, &zone));
    let since = since
        .transpose()
        .map_err(|why| Failure::bad_input(anyhow!("--since: {why}")))?;
    if !(1..=LIMIT_MAX).contains(&args.limit) {
        return Err(Failure::bad_input(anyhow!("--limit must be 1 to {LIMIT_MAX}")));
    }
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let account = args.account.as_deref().map(|name| account_named(&catalog, name));
    let account = account.transpose().map_err(Failure::bad_input)?;
    let mut filter = InboundFilter {
        account,
        number: args.number.as_deref().map(|number| name(number).into()),
        since: since.unwrap_or(0),
        before: args.before.map(InboundId),
        limit: args.limit,
    };
    let mut found: Vec<Inbound> = Vec::new();
    let next = loop {
        filter.limit = args.limit - found.len();
        let piece = store.find_inbound(filter.clone()).await;
        let (mut piece, next) = piece.context("find inbound messages")?;
        piece.retain(|one| !args.unassigned || one.account.is_none());
        found.append(&mut piece);
        if found.len() >= args.limit || next.is_none() {
            break next;
        }
        filter.before = next;
    };
    store.close().await.context("close the store")?;
    if args.look.json {
        let messages: Vec<Value> = found.iter().map(|one| to_json(&catalog, one)).collect();
        let document = json!({ "inbound": messages, "next_before": next.map(|next| next.0.to_string()) });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    let mut table = Table::new(&["RECEIVED", "ACCOUNT", "FROM", "TO", "TEXT"]);
    for one in &found {
        table.row([
            when::short(one.received_at, &zone),
            owner(&catalog, one).unwrap_or_else(|| "-".to_owned()),
            one.from.to_string(),
            one.to.to_string(),
            shown(one),
        ]);
    }
    if table.is_empty() {
        writeln!(out, "no inbound messages")?;
    } else {
        table.print(out)?;
    }
    if let Some(next) = next {
        writeln!(out, "more: --before {}", next.0)?;
    }
    Ok(())
}

fn owner(catalog: &Catalog, one: &Inbound) -> Option<String> {
    one.account.map(|account| account_name(catalog, account))
}

/// Octets of binary data that a table shows.
const OCTETS_SHOWN_MAX: usize = 32;

/// The text, or a description of binary data.
fn shown(one: &Inbound) -> String {
    let Some(binary) = &one.binary else {
        return one.text.to_string();
    };
    let hex: String = binary.hex().chars().take(2 * OCTETS_SHOWN_MAX).collect();
    let more = if binary.octets.len() > OCTETS_SHOWN_MAX {
        "…"
    } else {
        ""
    };
    let port = binary
        .port
        .map_or_else(String::new, |port| format!(", port {port}"));
    format!("(binary, {} octets{port}) {hex}{more}", binary.octets.len())
}

fn to_json(catalog: &Catalog, one: &Inbound) -> Value {
    json!({
        "id": one.id.0.to_string(),
        "account": owner(catalog, one),
        "from": one.from,
        "to": one.to,
        "text": one.text,
        "binary": one.binary.as_ref().map(Binary::hex),
        "port": one.binary.as_ref().and_then(|binary| binary.port),
        "answers": one.answers.map(|message| message.0.to_string()),
        "received_at": when::exact(one.received_at),
    })
}
