//! Routes: one ordered list, in which names must mean something.

use super::super::diff::{Line, Sign, list};
use super::Planner;
use super::accounts::Accounts;
use engine::catalog::{CatalogChange, RouteRule};
use std::ops::Range;
use store::Route;

impl Planner<'_> {
    /// The file's routes first, in its order; then, unless pruning, those that only the store has.
    pub(super) fn routes(&mut self, accounts: &Accounts) {
        let file = self.inputs.file;
        let mut wanted: Vec<RouteRule> = Vec::new();
        for (at, entry) in file.route.iter().enumerate() {
            self.check_route(&entry.span(), at + 1, entry.get_ref(), accounts);
            wanted.push(entry.get_ref().clone());
        }
        let old: Vec<RouteRule> = self
            .catalog()
            .routes
            .iter()
            .filter_map(|route| serde_json::from_value(route.rule.clone()).ok())
            .collect();
        if !self.inputs.wishes.prune {
            for rule in old.iter().filter(|rule| !wanted.contains(rule)) {
                self.check_kept(rule, accounts);
            }
            let kept: Vec<RouteRule> = old
                .iter()
                .filter(|rule| !wanted.contains(rule))
                .cloned()
                .collect();
            wanted.extend(kept);
        }
        // A route that is kept but does not read would be lost by writing the list anew, so it counts as a change.
        if wanted != old || self.catalog().routes.len() != old.len() {
            self.tell_routes(&old, &wanted);
            self.plan
                .changes
                .push(CatalogChange::ReplaceRoutes(numbered(&wanted)));
        }
    }

    fn tell_routes(&mut self, old: &[RouteRule], wanted: &[RouteRule]) {
        let in_file = self.inputs.file.route.len();
        for (at, rule) in wanted.iter().enumerate() {
            let sign = match old.iter().position(|old| old == rule) {
                None => Sign::Add,
                Some(_) if at >= in_file => Sign::Keep,
                Some(before) if before == at => continue,
                Some(_) => Sign::Change,
            };
            self.plan.lines.push(Line::bare(
                sign,
                format!("route {}: {}", at + 1, describe_route(rule)),
            ));
        }
        for rule in old.iter().filter(|rule| !wanted.contains(rule)) {
            self.plan.lines.push(Line::bare(
                Sign::Remove,
                format!("route: {}", describe_route(rule)),
            ));
        }
    }

    /// A route that only the store has may name an account that the file gives another name.
    fn check_kept(&mut self, rule: &RouteRule, accounts: &Accounts) {
        let unknown = rule
            .accounts
            .iter()
            .find(|name| !accounts.by_name.contains_key(*name));
        if let Some(name) = unknown {
            let what = format!(
                "the store's route \"{}\" names account {name:?}, which would be no more; put the route into the file \
                 with the new name, and remove the old one with --prune",
                describe_route(rule)
            );
            self.complain(&(0..0), what);
        }
    }

    fn check_route(&mut self, span: &Range<usize>, at: usize, rule: &RouteRule, accounts: &Accounts) {
        if rule.carriers.is_empty() {
            self.complain(
                span,
                format!("route {at} has no `carriers`: what fits it would go nowhere"),
            );
        }
        let prune = self.inputs.wishes.prune;
        for name in &rule.carriers {
            let in_file = self
                .inputs
                .file
                .carrier
                .iter()
                .any(|entry| entry.get_ref().get("name").and_then(toml::Value::as_str) == Some(name));
            let in_store = !prune
                && self
                    .catalog()
                    .carriers
                    .iter()
                    .any(|carrier| *carrier.name == **name);
            if !in_file && !in_store {
                self.complain(span, format!("route {at}: there is no carrier {name:?}"));
            }
        }
        for name in &rule.accounts {
            if !accounts.by_name.contains_key(name) {
                self.complain(span, format!("route {at}: there is no account {name:?}"));
            }
        }
        for prefix in &rule.prefixes {
            let digits = prefix.strip_prefix('+').unwrap_or(prefix);
            if digits.is_empty()
                || digits.starts_with('0')
                || !digits.bytes().all(|octet| octet.is_ascii_digit())
            {
                let what =
                    format!("route {at}: prefix {prefix:?} is not the beginning of an international number");
                self.complain(span, what);
            }
        }
    }
}

fn numbered(rules: &[RouteRule]) -> Vec<Route> {
    let routes = rules.iter().zip(1..).filter_map(|(rule, position)| {
        Some(Route {
            position,
            rule: serde_json::to_value(rule).ok()?,
        })
    });
    routes.collect()
}

/// A rule on one line.
pub(crate) fn describe_route(rule: &RouteRule) -> String {
    let mut said = Vec::new();
    let mut say = |what: &str, items: String| {
        if !items.is_empty() {
            said.push(format!("{what} {items}"));
        }
    };
    say("to", list(&rule.prefixes, ""));
    say("from", list(&rule.accounts, ""));
    say("class", list(&rule.classes, ""));
    say("kind", list(&rule.kinds, ""));
    say("sender", list(&rule.senders, ""));
    let what = if said.is_empty() {
        "everything".to_owned()
    } else {
        said.join(", ")
    };
    format!("{what} -> {}", list(&rule.carriers, "nowhere"))
}
