//! `postrider check`: whether a node would start, and whether its catalog makes sense.

use crate::apply::plan::describe_route;
use crate::config::{Config, MasterKey};
use crate::exit::Failure;
use crate::logging;
use crate::open::{self, Place};
use clap::Args;
use engine::catalog::{CarrierSettings, Catalog, Review, RouteRule, Snapshot};
use std::collections::HashSet;
use std::io::Write;
use store::Store;
use store::sqlite::Mode;

/// Checks configuration, store and catalog without serving.
///
/// Works beside a running node. Exits with 0 when all is well and with 3 when there are problems.
#[derive(Args, Clone, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    place: Place,
}

/// Checks and tells.
pub(crate) async fn run(args: &CheckArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    let config = args.place.config_of_existing()?;
    writeln!(out, "configuration  ok")?;
    let problems = match stored_catalog(&config).await {
        Ok((catalog, snapshot_problem)) => {
            writeln!(out, "store          ok: {}", config.store.path.display())?;
            writeln!(
                out,
                "catalog        version {}: {}",
                catalog.version,
                sizes(&catalog)
            )?;
            let mut problems: Vec<String> = snapshot_problem.into_iter().collect();
            problems.extend(problems_of(&catalog));
            problems
        }
        Err(error) => vec![format!("store: {error:#}")],
    };
    for problem in &problems {
        writeln!(out, "PROBLEM        {problem}")?;
    }
    if problems.is_empty() {
        writeln!(out, "all is well")?;
        Ok(())
    } else {
        Err(Failure::found())
    }
}

/// The catalog, and why the engine could not use it, if it could not.
async fn stored_catalog(config: &Config) -> anyhow::Result<(Catalog, Option<String>)> {
    let vault = MasterKey::find(&config.secrets)?.vault();
    let store = open::store(config, Mode::Tool).await?;
    store.probe().await?;
    let catalog = store.load_catalog().await?;
    let problem = Snapshot::compile(catalog.clone(), &vault)
        .err()
        .map(|error| format!("catalog: {error}"));
    store.close().await?;
    Ok((catalog, problem))
}

fn sizes(catalog: &Catalog) -> String {
    format!(
        "{} accounts, {} credentials, {} signatures, {} templates, {} carriers, {} routes",
        catalog.accounts.len(),
        catalog.credentials.len(),
        catalog.signatures.len(),
        catalog.templates.len(),
        catalog.carriers.len(),
        catalog.routes.len()
    )
}

/// What the engine takes but an operator would not want.
fn problems_of(catalog: &Catalog) -> Vec<String> {
    let mut problems = Vec::new();
    let rules: Vec<RouteRule> = catalog
        .routes
        .iter()
        .filter_map(|route| serde_json::from_value(route.rule.clone()).ok())
        .collect();
    if rules.is_empty() && !catalog.accounts.is_empty() {
        problems.push("there is no route: every message would be refused".to_owned());
    }
    let mut seen: Vec<&RouteRule> = Vec::new();
    for rule in &rules {
        let same_conditions = |other: &&&RouteRule| {
            let conditions = |rule: &RouteRule| RouteRule {
                carriers: Vec::new(),
                ..rule.clone()
            };
            conditions(other) == conditions(rule)
        };
        if let Some(first) = seen.iter().find(same_conditions) {
            problems.push(format!(
                "route \"{}\" is never reached: \"{}\" stands before it and fits the same",
                describe_route(rule),
                describe_route(first)
            ));
        }
        seen.push(rule);
    }
    let used: HashSet<&str> = rules
        .iter()
        .flat_map(|rule| &rule.carriers)
        .map(String::as_str)
        .collect();
    for carrier in &catalog.carriers {
        if !used.contains(&*carrier.name) {
            problems.push(format!("no route leads to carrier {}", carrier.name));
        }
        if let Ok(CarrierSettings::Smpp(smpp)) = serde_json::from_value(carrier.settings.clone())
            && !smpp.receipts
        {
            problems.push(format!(
                "carrier {} is not asked for receipts: its messages stay \"submitted\"",
                carrier.name
            ));
        }
    }
    for account in &catalog.accounts {
        if !catalog
            .credentials
            .iter()
            .any(|credential| credential.account == account.id && credential.enabled)
        {
            problems.push(format!(
                "account {} has no credential that is switched on",
                account.name
            ));
        }
    }
    for template in catalog
        .templates
        .iter()
        .filter(|template| template.review == Review::Approved)
    {
        let Some(id) = template.signature else { continue };
        let approved = catalog.signatures.iter().any(|signature| {
            signature.id == id
                && signature.account == template.account
                && signature.review == Review::Approved
        });
        if !approved {
            problems.push(format!(
                "template {} is approved, its signature is not",
                template.number
            ));
        }
    }
    problems
}
