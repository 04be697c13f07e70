//! Routing: a pure function from what a message is to an ordered list of carriers.
//!
//! Of all rules that fit, those with the longest destination prefix win; among them the first in order.
//! [`RouteTable::explain`] lists every step of a decision.

use crate::catalog::RouteRule;
use sms::class::{Class, Kind};
use sms::phone::Msisdn;
use sms::sender::Sender;
use store::{AccountId, CarrierNo};

/// A rule with its names resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its place in the catalog.
    pub position: u32,
    /// As written.
    pub rule: RouteRule,
    /// Accounts it is for; empty: all.
    pub account_ids: Vec<AccountId>,
    /// Its carriers in order of preference, and whether each can speak.
    pub to: Vec<(CarrierNo, bool)>,
}

/// What routing looks at.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Destination.
    pub msisdn: Msisdn,
    /// Whose message.
    pub account: AccountId,
    /// Its class.
    pub class: Class,
    /// Text or voice.
    pub kind: Kind,
    /// Its sender, when it has one.
    pub sender: Option<&'a str>,
}

/// All rules, in an order in which the first that fits is the one that decides.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RouteTable {
    /// One entry a rule and prefix, longest prefix first, then by position.
    entries: Vec<Entry>,
    rules: Vec<Rule>,
    /// True when no rule looks at senders, accounts, classes or kinds and all send to the same carriers:
    /// then one look serves a whole batch.
    uniform: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    prefix: Box<str>,
    rule: usize,
}

impl RouteTable {
    /// From resolved rules.
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut entries = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            if rule.rule.prefixes.is_empty() {
                entries.push(Entry {
                    prefix: Box::default(),
                    rule: index,
                });
            }
            for prefix in &rule.rule.prefixes {
                let digits: String = prefix.chars().filter(char::is_ascii_digit).collect();
                entries.push(Entry {
                    prefix: digits.into_boxed_str(),
                    rule: index,
                });
            }
        }
        entries.sort_by_key(|entry| {
            let position = rules.get(entry.rule).map_or(u32::MAX, |rule| rule.position);
            (std::cmp::Reverse(entry.prefix.len()), position)
        });
        let uniform = entries.iter().all(|entry| entry.prefix.is_empty());
        Self {
            entries,
            rules,
            uniform,
        }
    }

    /// True when the decision does not depend on the number, so that one serves a whole batch.
    pub fn is_uniform(&self) -> bool {
        self.uniform
    }

    /// The carriers for a message in order of preference; empty when none takes it.
    pub fn carriers(&self, wanted: Wanted<'_>) -> impl Iterator<Item = CarrierNo> + '_ {
        let voice = wanted.kind == Kind::Voice;
        self.decide(wanted).into_iter().flat_map(move |rule| {
            rule.to
                .iter()
                .filter(move |(_, speaks)| *speaks || !voice)
                .map(|(no, _)| *no)
        })
    }

    /// The decision in words, one line a rule looked at.
    pub fn explain(&self, wanted: Wanted<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in &self.entries {
            let Some(rule) = self.rules.get(entry.rule) else {
                continue;
            };
            let name = format!("route {} (prefix {:?})", rule.position, entry.prefix);
            match mismatch(entry, rule, wanted) {
                Some(why) => lines.push(format!("{name}: does not fit: {why}")),
                None => {
                    lines.push(format!("{name}: decides, carriers {:?}", rule.rule.carriers));
                    break;
                }
            }
        }
        if lines.is_empty() {
            lines.push("there are no routes".to_owned());
        }
        lines
    }

    fn decide(&self, wanted: Wanted<'_>) -> Option<&Rule> {
        self.entries.iter().find_map(|entry| {
            let rule = self.rules.get(entry.rule)?;
            mismatch(entry, rule, wanted).is_none().then_some(rule)
        })
    }
}

/// Why a rule does not fit, or `None` when it does. A rule none of whose carriers can do the kind does not fit.
fn mismatch(entry: &Entry, rule: &Rule, wanted: Wanted<'_>) -> Option<&'static str> {
    let written = &rule.rule;
    if !wanted.msisdn.has_prefix(&entry.prefix) {
        return Some("another prefix");
    }
    if !rule.account_ids.is_empty() && !rule.account_ids.contains(&wanted.account) {
        return Some("another account");
    }
    if !written.classes.is_empty() && !written.classes.contains(&wanted.class) {
        return Some("another class");
    }
    if !written.kinds.is_empty() && !written.kinds.contains(&wanted.kind) {
        return Some("another kind");
    }
    if !written.senders.is_empty()
        && !wanted
            .sender
            .is_some_and(|sender| written.senders.iter().any(|own| Sender::same(own, sender)))
    {
        return Some("another sender");
    }
    if wanted.kind == Kind::Voice && !rule.to.iter().any(|(_, speaks)| *speaks) {
        return Some("none of its carriers can speak");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(position: u32, prefixes: &[&str], to: &[(u16, bool)]) -> Rule {
        Rule {
            position,
            rule: RouteRule {
                prefixes: prefixes.iter().map(|p| (*p).to_owned()).collect(),
                carriers: to.iter().map(|(no, _)| no.to_string()).collect(),
                ..RouteRule::default()
            },
            account_ids: Vec::new(),
            to: to.iter().map(|(no, speaks)| (CarrierNo(*no), *speaks)).collect(),
        }
    }

    fn wanted(number: u64) -> Wanted<'static> {
        Wanted {
            msisdn: Msisdn::from_u64(number).unwrap(),
            account: AccountId(1),
            class: Class::Notice,
            kind: Kind::Text,
            sender: None,
        }
    }

    fn go(table: &RouteTable, wanted: Wanted<'_>) -> Vec<u16> {
        table.carriers(wanted).map(|no| no.0).collect()
    }

    #[test]
    fn the_longest_prefix_wins_over_order() {
        let table = RouteTable::new(vec![
            rule(0, &[], &[(1, false)]),
            rule(1, &["44"], &[(2, false), (1, false)]),
            rule(2, &["+447700"], &[(3, false)]),
        ]);
        assert_eq!(go(&table, wanted(15_550_100)), [1]);
        assert_eq!(go(&table, wanted(441_632_960_001)), [2, 1]);
        assert_eq!(go(&table, wanted(447_700_900_123)), [3]);
        assert!(!table.is_uniform());
    }

    #[test]
    fn order_decides_between_equal_prefixes_and_mismatches_are_passed_over() {
        let mut marketing = rule(0, &[], &[(1, false)]);
        marketing.rule.classes = vec![Class::Marketing];
        let mut other_account = rule(1, &[], &[(2, false)]);
        other_account.account_ids = vec![AccountId(9)];
        let table = RouteTable::new(vec![marketing, other_account, rule(2, &[], &[(3, false)])]);
        assert_eq!(go(&table, wanted(447_700_900_123)), [3]);
        assert_eq!(
            go(
                &table,
                Wanted {
                    class: Class::Marketing,
                    ..wanted(447_700_900_123)
                }
            ),
            [1]
        );
        assert!(table.is_uniform());
        let explained = table.explain(wanted(447_700_900_123)).join("\n");
        assert!(
            explained.contains("another class")
                && explained.contains("another account")
                && explained.contains("decides"),
            "{explained}"
        );
    }

    #[test]
    fn a_sender_is_the_same_in_any_spelling_of_its_number() {
        let mut own = rule(0, &[], &[(1, false)]);
        own.rule.senders = vec!["+447700900555".to_owned(), "Acme".to_owned()];
        let table = RouteTable::new(vec![own, rule(1, &[], &[(2, false)])]);
        let to = |sender| {
            go(
                &table,
                Wanted {
                    sender: Some(sender),
                    ..wanted(447_700_900_123)
                },
            )
        };
        for (sender, carrier) in [
            ("00447700900555", 1),
            ("447700900555", 1),
            ("Acme", 1),
            ("acme", 2),
        ] {
            assert_eq!(to(sender), [carrier], "{sender}");
        }
    }

    #[test]
    fn voice_goes_only_to_carriers_that_speak() {
        let table = RouteTable::new(vec![rule(0, &[], &[(1, false), (2, true)])]);
        assert_eq!(go(&table, wanted(447_700_900_123)), [1, 2]);
        assert_eq!(
            go(
                &table,
                Wanted {
                    kind: Kind::Voice,
                    ..wanted(447_700_900_123)
                }
            ),
            [2]
        );
        let silent = RouteTable::new(vec![rule(0, &[], &[(1, false)])]);
        assert!(
            go(
                &silent,
                Wanted {
                    kind: Kind::Voice,
                    ..wanted(447_700_900_123)
                }
            )
            .is_empty()
        );
    }
}
