//! Routes: an ordered list of named rules that refer to accounts and carriers.
//!
//! A route is identified by its name. One without a name gets one derived from its conditions, so that a file without
//! names changes a route instead of adding another.

use super::super::diff::{Fields, Line, Sign, list};
use super::super::entry::Entry;
use super::super::file::{RouteKeys, route_subject};
use super::accounts::Accounts;
use super::wire::sender_complaint;
use super::{Planner, name_complaint};
use crate::config::{Mistake, nearest};
use engine::catalog::{Catalog, CatalogChange, RouteRule};
use std::collections::HashMap;
use store::Route;

/// A route after the file is applied.
struct Wanted {
    rule: RouteRule,
    /// Its index among the stored routes.
    stored: Option<usize>,
    /// Its index in the file.
    in_file: Option<usize>,
}

impl Planner<'_> {
    /// Stored routes keep their positions; those of the file are in its order among themselves. A new one goes after
    /// its predecessor in the file, else before its successor, else first.
    pub(super) fn routes(&mut self, accounts: &Accounts) {
        let file = self.inputs.file;
        let stored = stored_rules(self.catalog());
        let titles = route_titles(&stored);
        let matched = match_routes(&file.route, &stored, &titles);
        let mut named = Vec::new();
        let mut names: HashMap<&str, usize> = HashMap::new();
        for (at, (entry, old)) in file.route.iter().zip(matched).enumerate() {
            let of_store = old.and_then(|old| Some((stored.get(old)?, titles.get(old)?.as_str())));
            let rule = self.route(at, entry, of_store, accounts);
            if let Some(name) = entry.keys.name.as_deref()
                && names.insert(name, at).is_some()
            {
                let what = format!("route {name:?} is defined twice in this file");
                self.complain_of(&entry.raw, "name", what);
            }
            named.push(Wanted {
                rule,
                stored: old,
                in_file: Some(at),
            });
        }
        let wanted = if self.inputs.options.prune {
            named
        } else {
            merge(named, &stored)
        };
        if !self.inputs.options.prune {
            for kept in wanted.iter().filter(|kept| kept.in_file.is_none()) {
                let title = kept.stored.and_then(|at| titles.get(at));
                self.check_kept(&kept.rule, title.map_or("", String::as_str), accounts);
            }
        }
        self.show_routes(&stored, &titles, &wanted);
        let rules: Vec<RouteRule> = wanted.into_iter().map(|wanted| wanted.rule).collect();
        // A stored route that is invalid would be lost when the list is written, so it counts as a change.
        if rules != stored || self.catalog().routes.len() != stored.len() {
            self.plan
                .changes
                .push(CatalogChange::ReplaceRoutes(numbered(&rules)));
        }
    }

    /// A route after the file is applied, and its mistakes.
    fn route(
        &mut self,
        at: usize,
        entry: &Entry<RouteKeys>,
        of_store: Option<(&RouteRule, &str)>,
        accounts: &Accounts,
    ) -> RouteRule {
        let given = &entry.keys;
        let old = of_store.map(|(old, _)| old);
        let mut rule = RouteRule {
            name: old.map(|old| old.name.clone()).unwrap_or_default(),
            prefixes: condition(entry, "prefixes", &given.prefixes, old.map(|old| &old.prefixes)),
            accounts: condition(entry, "accounts", &given.accounts, old.map(|old| &old.accounts)),
            classes: condition(entry, "classes", &given.classes, old.map(|old| &old.classes)),
            kinds: condition(entry, "kinds", &given.kinds, old.map(|old| &old.kinds)),
            senders: condition(entry, "senders", &given.senders, old.map(|old| &old.senders)),
            carriers: given
                .carriers
                .clone()
                .or(old.map(|old| old.carriers.clone()))
                .unwrap_or_default(),
            enabled: entry.value("enabled", given.enabled, old.map(|old| old.enabled), true),
        };
        if let Some(name) = &given.name {
            // A derived name follows the conditions: referring to a route by it does not set a name.
            let is_derived = of_store.is_some_and(|(old, title)| {
                old.name.is_empty() && name == title && conditions_of(old) == conditions_of(&rule)
            });
            if !is_derived {
                rule.name.clone_from(name);
            }
        }
        self.check_route(at, entry, &rule, old, accounts);
        rule
    }

    /// The change of each route, in the resulting order.
    fn show_routes(&mut self, stored: &[RouteRule], titles: &[String], wanted: &[Wanted]) {
        let rules: Vec<RouteRule> = wanted.iter().map(|wanted| wanted.rule.clone()).collect();
        let new_titles = route_titles(&rules);
        let order: Vec<usize> = wanted.iter().filter_map(|wanted| wanted.stored).collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        let mut earlier = 0_usize;
        for (at, (wanted, title)) in wanted.iter().zip(&new_titles).enumerate() {
            let position = at + 1;
            let old = wanted
                .stored
                .and_then(|old| Some((old, stored.get(old)?, titles.get(old)?)));
            let Some((before, old, old_title)) = old else {
                let line = format!("route {position}: {}", describe_route(&wanted.rule));
                self.plan.lines.push(Line::bare(Sign::Add, line));
                continue;
            };
            // Shifts caused by new and removed routes are no change of a route's position.
            let moved = order.get(earlier) != sorted.get(earlier);
            earlier += 1;
            if wanted.in_file.is_none() {
                let line = format!("route {position}: {}", describe_route(old));
                self.plan.lines.push(Line::bare(Sign::Keep, line));
                continue;
            }
            let what = if old_title == title {
                format!("route {title}")
            } else {
                format!("route {old_title} (now {title})")
            };
            let place = |position: usize| {
                if moved {
                    position.to_string()
                } else {
                    String::new()
                }
            };
            let (old, new) = (
                fields(old, place(before + 1)),
                fields(&wanted.rule, place(position)),
            );
            self.plan.lines.extend(Line::change(what, &old, &new));
        }
        let kept = |at: &usize| wanted.iter().any(|wanted| wanted.stored == Some(*at));
        for rule in (0..stored.len())
            .filter(|at| !kept(at))
            .filter_map(|at| stored.get(at))
        {
            let what = format!("route: {}", describe_route(rule));
            self.plan.lines.push(Line::bare(Sign::Remove, what));
        }
    }

    /// A stored route that is not in the file may name an account that the file renames.
    fn check_kept(&mut self, rule: &RouteRule, title: &str, accounts: &Accounts) {
        let unknown = rule.accounts.iter().find(|name| !accounts.has(name));
        if let Some(name) = unknown {
            let what = format!(
                "the store's route \"{}\" names account {name:?}, which would not exist any more; add the route to the file as \
                 well, by its name and with all its accounts: [[route]] name = {title:?}, accounts = [...]",
                describe_route(rule)
            );
            self.complain(&(0..0), what);
        }
    }

    fn check_route(
        &mut self,
        at: usize,
        entry: &Entry<RouteKeys>,
        rule: &RouteRule,
        old: Option<&RouteRule>,
        accounts: &Accounts,
    ) {
        let subject = route_subject(at, entry.keys.name.as_deref().unwrap_or_default());
        if let Some(name) = &entry.keys.name
            && old.is_none_or(|old| old.name != rule.name)
            && let Some(why) = name_complaint(name, false)
        {
            self.complain_of(&entry.raw, "name", format!("{subject}: {why}"));
        }
        if rule.carriers.is_empty() && !entry.raw.is_excused("carriers") {
            let titles = route_titles(&stored_rules(self.catalog()));
            let name = entry.keys.name.as_deref().filter(|_| old.is_none());
            let near = name.and_then(|name| nearest(name, titles.iter().map(String::as_str)));
            let hint = near.map(|near| format!("; did you mean the existing route {near:?}?"));
            let hint = hint.unwrap_or_default();
            let what = format!("{subject} has no `carriers`{hint}");
            let mistake = Mistake::new(&entry.at("carriers"), what).key("carriers");
            self.wrong.push(mistake.meant(near));
        }
        let (file, catalog, prune) = (self.inputs.file, self.catalog(), self.inputs.options.prune);
        let in_file = file.carrier.iter().filter_map(|entry| entry.text("name"));
        let in_store = catalog
            .carriers
            .iter()
            .map(|carrier| &*carrier.name)
            .filter(|_| !prune);
        let carriers = in_file.chain(in_store);
        for (index, name) in rule.carriers.iter().enumerate() {
            if !carriers.clone().any(|known| known == name) {
                let what = format!("{subject}: there is no carrier");
                let key = format!("carriers[{index}]");
                self.complain_of_name(&entry.at(&key), &key, name, &what, carriers.clone());
            }
        }
        for (index, name) in rule.accounts.iter().enumerate() {
            if !accounts.has(name) {
                let what = format!("{subject}: there is no account");
                let key = format!("accounts[{index}]");
                let known = accounts.by_name.keys().map(String::as_str);
                self.complain_of_name(&entry.at(&key), &key, name, &what, known);
            }
        }
        for (index, sender) in rule.senders.iter().enumerate() {
            let stored = old.is_some_and(|old| old.senders.contains(sender));
            if let Some(why) = sender_complaint(sender).filter(|_| !stored) {
                let key = format!("senders[{index}]");
                self.complain_of(&entry.raw, &key, format!("{subject}: `{key}` {why}"));
            }
        }
        if old.is_some_and(|old| old.prefixes == rule.prefixes) {
            return;
        }
        for (index, prefix) in rule.prefixes.iter().enumerate() {
            let digits = prefix.strip_prefix('+').unwrap_or(prefix);
            if digits.is_empty()
                || digits.starts_with('0')
                || !digits.bytes().all(|octet| octet.is_ascii_digit())
            {
                let expected = "digits such as \"44\" or \"447\"";
                let what = format!(
                    "{subject}: prefix {prefix:?} is not the beginning of an international number ({expected})"
                );
                let key = format!("prefixes[{index}]");
                let mistake = Mistake::new(&entry.at(&key), what)
                    .key(key)
                    .value(prefix.as_str());
                self.wrong.push(mistake.expected(expected));
            }
        }
    }
}

fn stored_rules(catalog: &Catalog) -> Vec<RouteRule> {
    let rules = catalog.routes.iter();
    rules
        .filter_map(|route| serde_json::from_value(route.rule.clone()).ok())
        .collect()
}

/// A condition of a route after the file is applied.
fn condition<V: Clone>(
    entry: &Entry<RouteKeys>,
    key: &str,
    named: &Option<Vec<V>>,
    stored: Option<&Vec<V>>,
) -> Vec<V> {
    entry.value(key, named.clone(), stored.cloned(), Vec::new())
}

/// The stored route of each entry: that of its name; for an entry without a name, that with its conditions;
/// for a new name, the unnamed one with its conditions.
fn match_routes(entries: &[Entry<RouteKeys>], stored: &[RouteRule], titles: &[String]) -> Vec<Option<usize>> {
    let mut matched: Vec<Option<usize>> = vec![None; entries.len()];
    let mut taken = vec![false; stored.len()];
    let mut settle = |matched: &mut Vec<Option<usize>>, fits: &dyn Fn(&RouteKeys, usize) -> bool| {
        for (entry, found) in entries.iter().zip(matched.iter_mut()) {
            if found.is_none() {
                *found = (0..taken.len()).find(|at| taken.get(*at) == Some(&false) && fits(&entry.keys, *at));
                if let Some(taken) = found.and_then(|at| taken.get_mut(at)) {
                    *taken = true;
                }
            }
        }
    };
    let conditions: Vec<RouteRule> = stored.iter().map(conditions_of).collect();
    let is_unnamed = |at: usize| stored.get(at).is_some_and(|rule| rule.name.is_empty());
    let same_conditions = |keys: &RouteKeys, at: usize| conditions.get(at) == Some(&conditions_named(keys));
    settle(&mut matched, &|keys, at| {
        keys.name.is_some() && keys.name.as_ref() == titles.get(at)
    });
    settle(&mut matched, &|keys, at| {
        keys.name.is_none() && is_unnamed(at) && same_conditions(keys, at)
    });
    settle(&mut matched, &|keys, at| {
        keys.name.is_none() && same_conditions(keys, at)
    });
    settle(&mut matched, &|keys, at| {
        is_unnamed(at) && same_conditions(keys, at)
    });
    matched
}

/// Inserts the routes of the file into the list of stored ones.
fn merge(named: Vec<Wanted>, stored: &[RouteRule]) -> Vec<Wanted> {
    let (known, fresh): (Vec<_>, Vec<_>) = named.into_iter().partition(|wanted| wanted.stored.is_some());
    let taken: Vec<Option<usize>> = known.iter().map(|wanted| wanted.stored).collect();
    let mut known = known.into_iter();
    let mut list = Vec::with_capacity(stored.len() + fresh.len());
    for (at, rule) in stored.iter().enumerate() {
        let named = if taken.contains(&Some(at)) {
            known.next()
        } else {
            None
        };
        list.push(named.unwrap_or_else(|| Wanted {
            rule: rule.clone(),
            stored: Some(at),
            in_file: None,
        }));
    }
    for new in fresh {
        let place_of = |fits: &dyn Fn(usize) -> bool| {
            list.iter()
                .position(|wanted: &Wanted| wanted.in_file.is_some_and(fits))
        };
        let behind = new
            .in_file
            .and_then(|at| at.checked_sub(1))
            .and_then(|before| place_of(&|at| at == before))
            .map(|place| place + 1);
        let place = behind.or_else(|| place_of(&|_| true)).unwrap_or(0);
        list.insert(place, new);
    }
    list
}

/// The conditions of a rule, without its carriers.
pub(crate) fn conditions_of(rule: &RouteRule) -> RouteRule {
    RouteRule {
        name: String::new(),
        carriers: Vec::new(),
        enabled: true,
        ..rule.clone()
    }
}

fn conditions_named(keys: &RouteKeys) -> RouteRule {
    RouteRule {
        prefixes: keys.prefixes.clone().unwrap_or_default(),
        accounts: keys.accounts.clone().unwrap_or_default(),
        classes: keys.classes.clone().unwrap_or_default(),
        kinds: keys.kinds.clone().unwrap_or_default(),
        senders: keys.senders.clone().unwrap_or_default(),
        ..RouteRule::default()
    }
}

/// The name of each route: its own, or the one derived from its conditions, numbered when several have the same.
pub(crate) fn route_titles(rules: &[RouteRule]) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let title = |rule: &RouteRule| {
        if !rule.name.is_empty() {
            return rule.name.clone();
        }
        let derived = derived_title(rule);
        let count = seen.entry(derived.clone()).or_default();
        *count += 1;
        if *count == 1 {
            derived
        } else {
            format!("{derived} ({count})")
        }
    };
    rules.iter().map(title).collect()
}

/// The derived name of a route that has none: its conditions.
fn derived_title(rule: &RouteRule) -> String {
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
    if said.is_empty() {
        return "everything".to_owned();
    }
    said.join(", ")
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

fn fields(rule: &RouteRule, position: String) -> Fields {
    vec![
        ("name", rule.name.clone()),
        ("prefixes", list(&rule.prefixes, "")),
        ("accounts", list(&rule.accounts, "")),
        ("classes", list(&rule.classes, "")),
        ("kinds", list(&rule.kinds, "")),
        ("senders", list(&rule.senders, "")),
        ("carriers", list(&rule.carriers, "")),
        ("enabled", rule.enabled.to_string()),
        ("position", position),
    ]
}

/// A rule on one line.
pub(crate) fn describe_route(rule: &RouteRule) -> String {
    let name = if rule.name.is_empty() {
        String::new()
    } else {
        format!("{}: ", rule.name)
    };
    let state = if rule.enabled { "" } else { " (disabled)" };
    format!(
        "{name}{} -> {}{state}",
        derived_title(rule),
        list(&rule.carriers, "nowhere")
    )
}
