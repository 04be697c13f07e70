//! `postrider signature`.

use super::decision::{Decision, Reviewed, review_all};
use super::{ListArgs, ReasonArgs, ReviewArgs, ShowArgs, account_name, account_named, name};
use crate::control;
use crate::exit::Failure;
use crate::logging;
use crate::table::{Table, sanitize_for_terminal};
use crate::when;
use anyhow::Context;
use clap::{Args, Subcommand};
use engine::catalog::{Catalog, Signature, Template};
use engine::clock::{Clock, SystemClock};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::io::Write;
use store::Store;

/// Lists, shows and reviews the signatures that accounts created.
///
/// May be used while a node runs, which applies a review at once and sends its event to the account's webhooks.
#[derive(Args, Clone, Debug)]
pub(crate) struct SignatureArgs {
    #[command(subcommand)]
    command: SignatureCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum SignatureCommand {
    /// Lists signatures
    List(ListArgs),
    /// Shows a signature and the templates that use it
    Show(ShowArgs),
    /// Approves submitted signatures: templates may use them
    Approve(ReviewArgs),
    /// Rejects submitted signatures: the account may change them and submit them again
    Reject(ReasonArgs),
    /// Disables approved signatures, and with them the templates that use them
    Disable(ReasonArgs),
    /// Enables disabled signatures
    Enable(ReviewArgs),
}

/// Runs the subcommand.
pub(crate) async fn run(args: &SignatureArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    match &args.command {
        SignatureCommand::List(args) => list(args, out).await,
        SignatureCommand::Show(args) => show(args, out).await,
        SignatureCommand::Approve(args) => review(args, &Decision::Approve, out).await,
        SignatureCommand::Reject(args) => {
            review(&args.selection, &args.decision(Decision::Reject), out).await
        }
        SignatureCommand::Disable(args) => {
            review(&args.selection, &args.decision(Decision::Disable), out).await
        }
        SignatureCommand::Enable(args) => review(args, &Decision::Enable, out).await,
    }
}

async fn list(args: &ListArgs, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    store.close().await.context("close the store")?;
    let account = args.account.as_deref().map(|name| account_named(&catalog, name));
    let account = account.transpose().map_err(Failure::bad_input)?;
    let review = args.review.map(super::Stage::review);
    let mut signatures: Vec<&Signature> = catalog
        .signatures
        .iter()
        .filter(|signature| account.is_none_or(|account| signature.account == account))
        .filter(|signature| review.is_none_or(|review| signature.review == review))
        .collect();
    signatures.sort_by_key(|signature| signature.id);
    if args.look.json {
        let signatures: Vec<Value> = signatures.iter().map(|one| to_json(&catalog, one)).collect();
        let document = json!({ "signatures": signatures });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    let zone = TimeZone::system();
    let mut table = Table::new(&["NUMBER", "ACCOUNT", "REVIEW", "CHANGED", "TEMPLATES", "TEXT"]);
    for signature in signatures {
        table.row([
            signature.id.to_string(),
            account_name(&catalog, signature.account),
            name(signature.review).to_owned(),
            when::short(signature.updated_at, &zone),
            users(&catalog, signature).count().to_string(),
            signature.text.to_string(),
        ]);
    }
    if table.is_empty() {
        writeln!(out, "no signatures")?;
    } else {
        table.print(out)?;
    }
    Ok(())
}

async fn show(args: &ShowArgs, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    store.close().await.context("close the store")?;
    let Some(signature) = Signature::named(&catalog, &args.number) else {
        writeln!(out, "no such signature")?;
        return Err(Failure::found());
    };
    if args.look.json {
        writeln!(
            out,
            "{}",
            serde_json::to_string_pretty(&to_json(&catalog, signature))?
        )?;
        return Ok(());
    }
    let zone = TimeZone::system();
    writeln!(
        out,
        "signature {}  {}  {}",
        signature.id,
        sanitize_for_terminal(&signature.text),
        name(signature.review)
    )?;
    let details = if signature.details.is_null() {
        String::new()
    } else {
        signature.details.to_string()
    };
    let lines = [
        ("account", account_name(&catalog, signature.account)),
        ("reason", signature.reason.to_string()),
        ("made", when::short(signature.created_at, &zone)),
        ("changed", when::short(signature.updated_at, &zone)),
        ("details", details),
    ];
    for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        writeln!(out, "  {name:<10} {}", sanitize_for_terminal(value))?;
    }
    for template in users(&catalog, signature) {
        writeln!(
            out,
            "  template {}, {}",
            sanitize_for_terminal(&template.shown()),
            name(template.review)
        )?;
    }
    Ok(())
}

async fn review(args: &ReviewArgs, decision: &Decision, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let (catalog, reviewed) =
        review_all::<Signature>(&*store, &args.numbers, decision, SystemClock.now()).await?;
    control::reload_catalog(&args.look.place.config()?).await;
    store.close().await.context("close the store")?;
    if args.look.json {
        let signatures: Vec<Value> = reviewed
            .iter()
            .map(|reviewed| to_json(&catalog, &reviewed.now))
            .collect();
        let document = json!({ "signatures": signatures });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    for reviewed in &reviewed {
        let signature = &reviewed.now;
        writeln!(
            out,
            "signature {} of {}: {} -> {}",
            sanitize_for_terminal(&signature.shown()),
            account_name(&catalog, signature.account),
            name(reviewed.before),
            name(signature.review)
        )?;
        if matches!(decision, Decision::Disable(_)) {
            let count = users(&catalog, signature).count();
            if count > 0 {
                writeln!(
                    out,
                    "note: {count} templates use it and cannot be used until it is enabled"
                )?;
            }
        }
    }
    Ok(())
}

/// The templates that use a signature.
fn users<'c>(catalog: &'c Catalog, signature: &Signature) -> impl Iterator<Item = &'c Template> {
    let (id, account) = (signature.id, signature.account);
    catalog
        .templates
        .iter()
        .filter(move |template| template.account == account && template.signature == Some(id))
}

fn to_json(catalog: &Catalog, signature: &Signature) -> Value {
    let templates: Vec<i64> = users(catalog, signature)
        .map(|template| template.number)
        .collect();
    json!({
        "number": signature.id,
        "account": account_name(catalog, signature.account),
        "text": signature.text,
        "review": name(signature.review),
        "reason": signature.reason,
        "templates": templates,
        "details": signature.details,
        "created_at": when::exact(signature.created_at),
        "updated_at": when::exact(signature.updated_at),
    })
}
