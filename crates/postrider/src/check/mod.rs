//! `postrider check`: whether a node would start, and whether its catalog is consistent.

mod deep;
mod files;
mod secrets;
mod start;

use crate::apply::plan::{conditions_of, describe_route};
use crate::config::{Config, MasterKey, MasterKeyError};
use crate::control::{self, NodeState, Standing};
use crate::exit::{self, Failure};
use crate::logging;
use crate::open::{self, OutputFormat, Place};
use crate::review::account_name;
use crate::table::{counted, sanitize_for_terminal};
use crate::webhook_formats::WebhookFormats;
use anyhow::Context;
use clap::Args;
use engine::CarrierState;
use engine::catalog::{Catalog, Review, RouteRule};
use engine::clock::{Clock, SystemClock};
use serde_json::json;
use sms::template::Template as Pattern;
use std::collections::HashSet;
use std::io::Write;
use store::sqlite::SqliteStore;

/// Checks configuration, store and catalog for what would stop `serve`, and for likely mistakes.
///
/// May be used while a node runs, and then also lists carriers that are not bound. Exit code 0: no problems; 2: the
/// configuration is invalid; 3: problems were found.
#[derive(Args, Clone, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    place: Place,
    /// Check the whole store at the lowest priority: its structure, the batch, state and queue position of each message,
    /// counters, indexes, events, contact lists, and secrets against the master key
    #[arg(long)]
    deep: bool,
    #[command(flatten)]
    format: OutputFormat,
}

/// The results of a check.
#[derive(Default)]
struct Report {
    /// What was checked, and the result.
    standing: Vec<(&'static str, String)>,
    problems: Vec<String>,
    /// Notes: it works and could be better.
    notes: Vec<String>,
}

impl Report {
    fn add(&mut self, result: deep::CheckResult) {
        self.standing.extend(result.standing);
        self.problems.extend(result.problems);
    }
}

/// Runs the checks and prints the results.
pub(crate) async fn run(args: &CheckArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    let config = match args.place.config() {
        Ok(config) => config,
        Err(failure) => {
            if let (true, Some(wrong)) = (args.format.is_json(), failure.mistakes()) {
                let document = json!({ "configuration": wrong.file, "mistakes": wrong.mistakes.list, "more": wrong.mistakes.more });
                writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
                return Err(Failure::bad_input_reported());
            }
            return Err(failure);
        }
    };
    let report = look(args, &config).await;
    if args.format.is_json() {
        let standing: serde_json::Map<_, _> = report
            .standing
            .iter()
            .map(|(what, how)| (what.replace(' ', "_"), how.as_str().into()))
            .collect();
        let document = json!({ "looked_at": standing, "problems": report.problems, "notes": report.notes });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
    } else {
        for (what, how) in &report.standing {
            writeln!(out, "{what:<14} {how}")?;
        }
        for problem in &report.problems {
            writeln!(out, "PROBLEM        {}", sanitize_for_terminal(problem))?;
        }
        for note in &report.notes {
            writeln!(out, "note           {}", sanitize_for_terminal(note))?;
        }
        if report.problems.is_empty() {
            writeln!(out, "no problems found")?;
        }
    }
    if report.problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::found())
    }
}

async fn look(args: &CheckArgs, config: &Config) -> Report {
    let mut report = Report::default();
    report.standing.push(("configuration", "ok".to_owned()));
    report.problems.extend(start::problems_of(config));
    report.notes.extend(start::open_listeners(config));
    let former = config.former_names.iter();
    report
        .notes
        .extend(former.map(|name| format!("configuration: {name}")));
    let key = MasterKey::find(&config.secrets);
    match &key {
        Ok(_) => report.standing.push(("master key", "ok".to_owned())),
        Err(error) => {
            let mut why = format!("master key: {}", chain(error));
            if config.store.path.is_file() {
                why = format!("{why}; {}", open::lost_key(&config.store.path));
            }
            report.problems.push(why);
        }
    }
    report
        .problems
        .extend(files::open_to_others(config, args.place.file()));
    let node = control::node_state(config).await;
    if node == NodeState::NotRunning && !args.place.is_of_dev() {
        report.problems.extend(start::taken_addresses(config));
    }
    let standing = match node {
        NodeState::Running(_) => control::standing(config).await,
        NodeState::NotRunning => None,
    };
    if let Some(refusal) = standing.as_ref().and_then(Standing::refusal) {
        // The files at the store's path are not those of the node: they are not checked.
        report.problems.push(format!("node: {refusal}"));
        report
            .standing
            .push(("node", "running, its store files are lost".to_owned()));
        return report;
    }
    if let Some(why) = standing.as_ref().and_then(Standing::unready_reason) {
        report.problems.push(format!("node: not ready: {why}"));
    }
    let path = config.store.path.display();
    // A check must not migrate: the schema is compared first.
    let known = SqliteStore::known_schema_version();
    let found = SqliteStore::schema_version(&config.store.path);
    let has_this_schema = matches!(found, Ok(Some(found)) if found == known);
    let mut newest = 0;
    match found {
        Ok(None) => {
            report
                .standing
                .push(("store", format!("none yet: the first start creates {path}")));
            report.problems.extend(files::damage_to_come(config));
        }
        Ok(Some(found)) if found < known => {
            report.standing.push((
                "store",
                format!("ok: {path}, schema {found}; the next start migrates it to {known}, then its catalog can be checked"),
            ));
            if args.deep {
                report.problems.push(format!(
                    "deep: only a store of schema {known} can be checked: run `postrider migrate` first"
                ));
            }
        }
        Err(error) => {
            let error = anyhow::Error::from(error).context(format!("look at the store {path}"));
            report
                .problems
                .push(format!("store: {}", exit::explained(&error)));
        }
        Ok(Some(_)) => match stored_catalog(config).await {
            Ok(catalog) => {
                report.problems.extend(files::damage_to_come(config));
                match node == NodeState::NotRunning {
                    true => match start::trial(config).await {
                        Ok(found) => {
                            newest = found;
                            report.standing.push(("store", format!("ok: {path}")));
                        }
                        Err(error) => report.problems.push(format!(
                            "store: a node would not start: {}",
                            exit::explained(&error)
                        )),
                    },
                    false => report.standing.push(("store", format!("ok: {path}"))),
                }
                let sizes = format!("version {}: {}", catalog.version, sizes(&catalog));
                report.standing.push(("catalog", sizes));
                report.problems.extend(problems_of(&catalog));
                report.problems.extend(start::missing_authorities(&catalog));
                report.notes.extend(start::descriptors_needed(config, &catalog));
                if !args.place.is_of_dev() {
                    report
                        .problems
                        .extend(start::forbidden_urls(&catalog, &config.webhooks.allow));
                }
                if let NodeState::Running(Some(carriers)) = &node {
                    report.problems.extend(start::unbound(carriers));
                }
                let error = key.ok().and_then(|key| {
                    let sealer = key.sealer();
                    let found = secrets::look(&catalog, &sealer);
                    if args.deep {
                        report.add(found.opening());
                    }
                    report.problems.extend(found.problems);
                    report.notes.extend(found.notes);
                    open::catalog_error(catalog, &sealer)
                });
                let problem =
                    error.map(|error| format!("catalog: {}", open::explained(error, &config.secrets)));
                report.problems.extend(problem);
            }
            Err(error) => report
                .problems
                .push(format!("store: {}", exit::explained(&error))),
        },
    }
    // A running node checks the clock itself.
    if node == NodeState::NotRunning {
        let now = SystemClock.now();
        let wrong = start::wrong_clock(now, newest);
        match args.place.is_of_dev() {
            // `dev` starts with any clock.
            true => report.notes.extend(wrong),
            false => report.problems.extend(wrong),
        }
        report.notes.extend(start::doubtful_clock(config, now, newest));
    }
    if args.deep && has_this_schema {
        report.add(deep::check(config).await);
    }
    report.problems.extend(files::known_damage(config));
    let passing = standing.filter(|node| node.passing).and_then(|node| node.unready);
    let passing = passing.map_or_else(String::new, |why| format!("; {why}"));
    report
        .standing
        .push(("node", format!("{}{passing}", standing_of(&node))));
    report
}

fn standing_of(node: &NodeState) -> String {
    match node {
        NodeState::Running(Some(carriers)) => {
            let sessions: usize = carriers.iter().map(|carrier| carrier.binds_up).sum();
            let carriers = carriers
                .iter()
                .filter(|carrier| carrier.state == CarrierState::Up)
                .count();
            format!("running: sessions {sessions}, carriers bound {carriers}")
        }
        NodeState::Running(None) => "running".to_owned(),
        NodeState::NotRunning => "not running; carriers are bound by a running node".to_owned(),
    }
}

/// An error with its causes on one line.
fn chain(error: &MasterKeyError) -> String {
    let mut said = error.to_string();
    if let Some(cause) = std::error::Error::source(error) {
        said.push_str(&format!(": {cause}"));
    }
    said
}

/// The catalog of a store, read without a change to the store's files.
async fn stored_catalog(config: &Config) -> anyhow::Result<Catalog> {
    let path = config.store.path.clone();
    let sqlite = config.store.sqlite.store_config();
    let read = tokio::task::spawn_blocking(move || SqliteStore::look_at_catalog(&path, &sqlite)).await?;
    read.with_context(|| format!("read the store {}", config.store.path.display()))
}

fn sizes(catalog: &Catalog) -> String {
    [
        counted(catalog.accounts.len(), "account"),
        counted(catalog.credentials.len(), "credential"),
        counted(catalog.signatures.len(), "signature"),
        counted(catalog.templates.len(), "template"),
        counted(catalog.endpoints.len(), "webhook"),
        counted(catalog.carriers.len(), "carrier"),
        counted(catalog.routes.len(), "route"),
    ]
    .join(", ")
}

/// Valid for the engine, but not useful for an operator.
fn problems_of(catalog: &Catalog) -> Vec<String> {
    let mut problems = Vec::new();
    let rules: Vec<RouteRule> = catalog
        .routes
        .iter()
        .filter_map(|route| serde_json::from_value(route.rule.clone()).ok())
        .filter(|rule: &RouteRule| rule.enabled)
        .collect();
    if rules.is_empty() && !catalog.accounts.is_empty() {
        let what = if catalog.routes.is_empty() {
            "there is no route"
        } else {
            "no route is enabled"
        };
        problems.push(format!("{what}: every message would be rejected"));
    }
    let mut seen: Vec<&RouteRule> = Vec::new();
    for rule in &rules {
        let same = |other: &&&RouteRule| conditions_of(other) == conditions_of(rule);
        if let Some(first) = seen.iter().find(same) {
            problems.push(format!(
                "route \"{}\" is never used: \"{}\" comes first and matches the same messages",
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
    let off: HashSet<&str> = catalog
        .carriers
        .iter()
        .filter(|carrier| !start::is_enabled(&carrier.settings))
        .map(|carrier| &*carrier.name)
        .collect();
    for carrier in &catalog.carriers {
        if !used.contains(&*carrier.name) && !off.contains(&*carrier.name) {
            problems.push(format!("no route leads to carrier {}", carrier.name));
        }
    }
    for rule in rules.iter().filter(|rule| !rule.carriers.is_empty()) {
        if rule.carriers.iter().all(|name| off.contains(name.as_str())) {
            let route = describe_route(rule);
            problems.push(format!(
                "route \"{route}\" leads only to disabled carriers: messages stay queued"
            ));
        }
    }
    for account in &catalog.accounts {
        if !catalog
            .credentials
            .iter()
            .any(|credential| credential.account == account.id && credential.enabled)
        {
            problems.push(format!("account {} has no enabled credential", account.name));
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
    problems.extend(problems_of_texts(catalog));
    problems
}

/// Objects that accounts created over an API and no file could have, and webhooks that this program cannot call.
fn problems_of_texts(catalog: &Catalog) -> Vec<String> {
    let mut problems = Vec::new();
    for signature in &catalog.signatures {
        if !Pattern::parse(&signature.text).variables().is_empty() {
            problems.push(format!(
                "signature {} of {} contains a placeholder: it takes a value of each template that uses it",
                signature.id,
                account_name(catalog, signature.account)
            ));
        }
    }
    let webhook_formats = WebhookFormats::all();
    for endpoint in &catalog.endpoints {
        if let Err(why) = webhook_formats.check(&endpoint.format, &endpoint.url, &endpoint.settings) {
            let account = account_name(catalog, endpoint.account);
            problems.push(format!("webhook {account}/{}: {why}", endpoint.name));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::catalog::Signature;
    use store::{AccountId, Carrier, CarrierNo, Endpoint, EndpointId, EventKinds, Route};

    #[test]
    fn a_route_that_is_switched_off_is_as_if_it_were_not_there() {
        let account = json!({
            "id": 1, "name": "acme", "balance": null, "weight": 1, "may_send": true, "senders": [], "project_ids": [],
            "caps": {"per_minute_max": 0, "per_day_max": 0},
        });
        let catalog = Catalog {
            accounts: vec![serde_json::from_value(account).unwrap()],
            carriers: vec![Carrier {
                no: CarrierNo(1),
                name: "north".into(),
                settings: json!({"type": "sandbox"}),
            }],
            routes: vec![Route {
                position: 1,
                rule: json!({"name": "all", "carriers": ["north"], "enabled": false}),
            }],
            ..Catalog::default()
        };
        let problems = problems_of(&catalog);
        assert_eq!(
            problems,
            [
                "no route is enabled: every message would be rejected",
                "no route leads to carrier north",
                "account acme has no enabled credential",
            ]
        );
    }

    #[test]
    fn signatures_that_shift_values_and_webhooks_that_nobody_can_call_are_problems() {
        let signature = |id, text: &str| Signature {
            account: AccountId(1),
            id,
            text: text.into(),
            review: Review::Approved,
            reason: "".into(),
            details: serde_json::Value::Null,
            created_at: 0,
            updated_at: 0,
        };
        let endpoint = |name: &str, format: &str| Endpoint {
            id: EndpointId(1),
            account: AccountId(1),
            name: name.into(),
            format: format.into(),
            url: "https://a.example/".into(),
            kinds: EventKinds::ALL,
            settings: serde_json::Value::Null,
            sealed_secret: Vec::new(),
            enabled: true,
        };
        let catalog = Catalog {
            signatures: vec![signature(1, "50% off"), signature(2, "{x} Ltd")],
            endpoints: vec![endpoint("crm", "standard"), endpoint("old", "pigeon")],
            ..Catalog::default()
        };
        let problems = problems_of_texts(&catalog);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("signature 2 of 1 (removed) contains a placeholder"));
        assert!(problems[1].starts_with("webhook 1 (removed)/old: unknown format \"pigeon\""));
    }
}
