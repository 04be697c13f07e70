//! `postrider template`.

use super::decision::{Decision, review_all};
use super::{ListArgs, ReasonArgs, ReviewArgs, ShowArgs, account_name, account_named, name};
use crate::control;
use crate::exit::Failure;
use crate::logging;
use crate::table::{Table, sanitize_for_terminal};
use crate::when;
use anyhow::Context;
use clap::{Args, Subcommand};
use engine::catalog::{Catalog, Position, Review, Template};
use engine::clock::{Clock, SystemClock};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::io::Write;
use store::{Store, TemplateVersion};

use super::decision::Reviewed;

/// Earlier versions that are shown.
const VERSIONS_MAX: usize = 100;

/// Lists, shows and reviews the templates that accounts created.
///
/// May be used while a node runs, which applies a review at once and sends its event to the account's webhooks.
#[derive(Args, Clone, Debug)]
pub(crate) struct TemplateArgs {
    #[command(subcommand)]
    command: TemplateCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum TemplateCommand {
    /// Lists templates
    List(ListArgs),
    /// Shows a template and its earlier versions
    Show(ShowArgs),
    /// Approves submitted templates: they may be used
    Approve(ReviewArgs),
    /// Rejects submitted templates: the account may change them and submit them again
    Reject(ReasonArgs),
    /// Disables approved templates; queued messages with them are still sent
    Disable(ReasonArgs),
    /// Enables disabled templates
    Enable(ReviewArgs),
}

/// Runs the subcommand.
pub(crate) async fn run(args: &TemplateArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    match &args.command {
        TemplateCommand::List(args) => list(args, out).await,
        TemplateCommand::Show(args) => show(args, out).await,
        TemplateCommand::Approve(args) => review(args, &Decision::Approve, out).await,
        TemplateCommand::Reject(args) => review(&args.selection, &args.decision(Decision::Reject), out).await,
        TemplateCommand::Disable(args) => {
            review(&args.selection, &args.decision(Decision::Disable), out).await
        }
        TemplateCommand::Enable(args) => review(args, &Decision::Enable, out).await,
    }
}

async fn list(args: &ListArgs, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    store.close().await.context("close the store")?;
    let account = args.account.as_deref().map(|name| account_named(&catalog, name));
    let account = account.transpose().map_err(Failure::bad_input)?;
    let review = args.review.map(super::Stage::review);
    let mut templates: Vec<&Template> = catalog
        .templates
        .iter()
        .filter(|template| account.is_none_or(|account| template.account == account))
        .filter(|template| review.is_none_or(|review| template.review == review))
        .collect();
    templates.sort_by_key(|template| template.number);
    if args.look.json {
        let templates: Vec<Value> = templates
            .iter()
            .map(|template| to_json(&catalog, template))
            .collect();
        let document = json!({ "templates": templates });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    let zone = TimeZone::system();
    let mut table = Table::new(&[
        "NUMBER", "ACCOUNT", "NAME", "CLASS", "REVIEW", "VERSION", "CHANGED", "TEXT",
    ]);
    for template in templates {
        table.row([
            template.number.to_string(),
            account_name(&catalog, template.account),
            template.name.to_string(),
            template.class.to_string(),
            name(template.review).to_owned(),
            template.version.to_string(),
            when::short(template.updated_at, &zone),
            template.text.to_string(),
        ]);
    }
    if table.is_empty() {
        writeln!(out, "no templates")?;
    } else {
        table.print(out)?;
    }
    Ok(())
}

async fn show(args: &ShowArgs, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let Some(template) = Template::named(&catalog, &args.number) else {
        store.close().await.context("close the store")?;
        writeln!(out, "no such template")?;
        return Err(Failure::found());
    };
    let versions = store
        .template_versions(template.number, VERSIONS_MAX)
        .await
        .context("read the template's earlier versions")?;
    store.close().await.context("close the store")?;
    if args.look.json {
        let mut document = to_json(&catalog, template);
        if let Some(members) = document.as_object_mut() {
            let versions = versions
                .iter()
                .map(|version| to_json(&catalog, &version.template));
            members.insert("earlier_versions".to_owned(), versions.collect());
        }
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    print_template(&catalog, template, &versions, out)?;
    Ok(())
}

fn print_template(
    catalog: &Catalog,
    template: &Template,
    versions: &[TemplateVersion],
    out: &mut impl Write,
) -> std::io::Result<()> {
    let zone = TimeZone::system();
    writeln!(
        out,
        "template {}  {}  {}",
        template.number,
        sanitize_for_terminal(&template.name),
        name(template.review)
    )?;
    let signature = signature_text(catalog, template);
    let at_end = if template.position == Position::End {
        " (at the end)"
    } else {
        ""
    };
    let lines = [
        ("account", account_name(catalog, template.account)),
        ("ut_id", template.ut_id.to_string()),
        ("class", template.class.to_string()),
        (
            "ttl",
            match template.ttl_s {
                None => String::new(),
                Some(0) => "no end".to_owned(),
                Some(ttl_s) => format!("{ttl_s} s"),
            },
        ),
        ("version", template.version.to_string()),
        (
            "signature",
            signature
                .map(|text| format!("{text}{at_end}"))
                .unwrap_or_default(),
        ),
        ("reason", template.reason.to_string()),
        ("remark", template.remark.to_string()),
        ("made", when::short(template.created_at, &zone)),
        ("changed", when::short(template.updated_at, &zone)),
        ("text", template.text.to_string()),
    ];
    for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        writeln!(out, "  {name:<10} {}", sanitize_for_terminal(value))?;
    }
    for TemplateVersion {
        version, template, ..
    } in versions
    {
        writeln!(
            out,
            "  version {version}, {}, until {}: {}",
            name(template.review),
            when::short(template.updated_at, &zone),
            sanitize_for_terminal(&template.text)
        )?;
    }
    Ok(())
}

async fn review(args: &ReviewArgs, decision: &Decision, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let (catalog, reviewed) =
        review_all::<Template>(&*store, &args.numbers, decision, SystemClock.now()).await?;
    control::reload_catalog(&args.look.place.config()?).await;
    store.close().await.context("close the store")?;
    if args.look.json {
        let templates: Vec<Value> = reviewed
            .iter()
            .map(|reviewed| to_json(&catalog, &reviewed.now))
            .collect();
        let document = json!({ "templates": templates });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    for reviewed in &reviewed {
        let template = &reviewed.now;
        writeln!(
            out,
            "template {} of {}: {} -> {}",
            sanitize_for_terminal(&template.shown()),
            account_name(&catalog, template.account),
            name(reviewed.before),
            name(template.review)
        )?;
        if template.review == Review::Approved && !signature_is_approved(&catalog, template) {
            writeln!(out, "note: it cannot be used until its signature is approved")?;
        }
    }
    Ok(())
}

fn signature_text(catalog: &Catalog, template: &Template) -> Option<String> {
    let id = template.signature?;
    let found = catalog.signatures.iter().find(|signature| signature.id == id);
    Some(found.map_or_else(
        || format!("{id} (removed)"),
        |signature| signature.text.to_string(),
    ))
}

fn signature_is_approved(catalog: &Catalog, template: &Template) -> bool {
    template.signature.is_none_or(|id| {
        catalog
            .signatures
            .iter()
            .any(|signature| signature.id == id && signature.review == Review::Approved)
    })
}

fn to_json(catalog: &Catalog, template: &Template) -> Value {
    json!({
        "number": template.number,
        "ut_id": template.ut_id,
        "account": account_name(catalog, template.account),
        "name": template.name,
        "class": template.class.to_string(),
        "ttl_s": template.ttl_s,
        "review": name(template.review),
        "reason": template.reason,
        "version": template.version,
        "text": template.text,
        "signature": signature_text(catalog, template),
        "position": template.position,
        "remark": template.remark,
        "details": template.details,
        "created_at": when::exact(template.created_at),
        "updated_at": when::exact(template.updated_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sms::class::Class;
    use store::AccountId;

    #[test]
    fn a_template_is_shown_whole_with_what_it_was() {
        let template = Template {
            account: AccountId(1),
            number: 1005,
            ut_id: "UTAX".into(),
            name: "hello".into(),
            class: Class::Notice,
            text: "Hello {name}\u{1b}[31m".into(),
            review: Review::Submitted,
            reason: "".into(),
            signature: Some(9),
            position: Position::End,
            version: 2,
            ttl_s: None,
            remark: "".into(),
            details: Value::Null,
            created_at: 1_795_000_000_000,
            updated_at: 1_795_000_000_000,
        };
        let before = TemplateVersion {
            number: 1005,
            version: 1,
            template: Template {
                text: "Hi {name}".into(),
                review: Review::Approved,
                ..template.clone()
            },
        };
        let mut out = Vec::new();
        print_template(&Catalog::default(), &template, &[before], &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        for line in [
            "template 1005  hello  submitted\n",
            "  signature  9 (removed) (at the end)\n",
            "  text       Hello {name} [31m\n",
            "  version 1, approved, until ",
            ": Hi {name}\n",
        ] {
            assert!(shown.contains(line), "{line:?} is not in:\n{shown}");
        }
        assert!(!shown.contains("reason"), "what is empty is not shown:\n{shown}");
    }
}
