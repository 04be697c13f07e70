//! `postrider signature`.

use super::judge::{Reviewed, Verdict, judge};
use super::{JudgeArgs, ListArgs, ReasonArgs, ShowArgs, account_name, account_named, name};
use crate::control;
use crate::exit::Failure;
use crate::logging;
use crate::table::{Table, harmless};
use crate::when;
use anyhow::Context;
use clap::{Args, Subcommand};
use engine::catalog::{Catalog, Signature, Template};
use engine::clock::{Clock, SystemClock};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::io::Write;
use store::Store;

/// Lists, shows and reviews the signatures that accounts made.
///
/// Works beside a running node, which takes a review over at once and tells it to the account's webhooks.
#[derive(Args, Clone, Debug)]
pub(crate) struct SignatureArgs {
    #[command(subcommand)]
    command: SignatureCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum SignatureCommand {
    /// Lists signatures
    List(ListArgs),
    /// Shows a signature with the templates that use it
    Show(ShowArgs),
    /// Approves submitted signatures: templates with them may be used
    Approve(JudgeArgs),
    /// Rejects submitted signatures: their account may change them and submit them again
    Reject(ReasonArgs),
    /// Switches approved signatures off, and with them the templates that use them
    Disable(ReasonArgs),
    /// Switches them on again
    Enable(JudgeArgs),
}

/// Does what is asked.
pub(crate) async fn run(args: &SignatureArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    match &args.command {
        SignatureCommand::List(args) => list(args, out).await,
        SignatureCommand::Show(args) => show(args, out).await,
        SignatureCommand::Approve(args) => review(args, &Verdict::Approve, out).await,
        SignatureCommand::Reject(args) => review(&args.judge, &args.verdict(Verdict::Reject), out).await,
        SignatureCommand::Disable(args) => review(&args.judge, &args.verdict(Verdict::Disable), out).await,
        SignatureCommand::Enable(args) => review(args, &Verdict::Enable, out).await,
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
        let signatures: Vec<Value> = signatures.iter().map(|one| told(&catalog, one)).collect();
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
            serde_json::to_string_pretty(&told(&catalog, signature))?
        )?;
        return Ok(());
    }
    let zone = TimeZone::system();
    writeln!(
        out,
        "signature {}  {}  {}",
        signature.id,
        harmless(&signature.text),
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
        writeln!(out, "  {name:<10} {}", harmless(value))?;
    }
    for template in users(&catalog, signature) {
        writeln!(
            out,
            "  template {}, {}",
            harmless(&template.shown()),
            name(template.review)
        )?;
    }
    Ok(())
}

async fn review(args: &JudgeArgs, verdict: &Verdict, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let (catalog, judged) = judge::<Signature>(&*store, &args.numbers, verdict, SystemClock.now()).await?;
    control::take_over(&args.look.place.config()?).await;
    store.close().await.context("close the store")?;
    if args.look.json {
        let signatures: Vec<Value> = judged.iter().map(|judged| told(&catalog, &judged.now)).collect();
        let document = json!({ "signatures": signatures });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    for judged in &judged {
        let signature = &judged.now;
        writeln!(
            out,
            "signature {} of {}: {} -> {}",
            harmless(&signature.shown()),
            account_name(&catalog, signature.account),
            name(judged.before),
            name(signature.review)
        )?;
        if matches!(verdict, Verdict::Disable(_)) {
            let count = users(&catalog, signature).count();
            if count > 0 {
                writeln!(out, "note: {count} templates use it and cannot be used meanwhile")?;
            }
        }
    }
    Ok(())
}

/// The templates that a signature is bound to.
fn users<'c>(catalog: &'c Catalog, signature: &Signature) -> impl Iterator<Item = &'c Template> {
    let (id, account) = (signature.id, signature.account);
    catalog
        .templates
        .iter()
        .filter(move |template| template.account == account && template.signature == Some(id))
}

fn told(catalog: &Catalog, signature: &Signature) -> Value {
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
