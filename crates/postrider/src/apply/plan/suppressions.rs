//! Suppressions: numbers that get no messages.

use super::super::diff::{Line, Sign};
use super::super::entry::Entry;
use super::super::file::SuppressionKeys;
use super::Planner;
use super::accounts::Accounts;
use crate::config::Mistake;
use crate::table::counted;
use engine::catalog::{CatalogChange, Suppression, SuppressionEntry, SuppressionKind, SuppressionOrigin};
use sms::phone::Msisdn;
use std::collections::HashSet;
use store::AccountId;

/// Minimum number of digits of a new number.
const NUMBER_DIGITS_MIN: usize = 7;

/// The key of a suppression.
type Key = (Option<AccountId>, u64, SuppressionKind);

impl Planner<'_> {
    pub(super) fn suppressions(&mut self, accounts: &Accounts) {
        let (file, existing) = (self.inputs.file, self.inputs.existing);
        let stored = &existing.suppressions;
        let old: HashSet<Key> = stored.iter().map(key).collect();
        let mut wanted: HashSet<Key> = HashSet::new();
        let mut added = 0_usize;
        for entry in &file.suppression {
            let Some(suppression) = self.read_suppression(entry, accounts) else {
                continue;
            };
            if wanted.insert(key(&suppression)) && !old.contains(&key(&suppression)) {
                self.plan.changes.push(CatalogChange::Suppress(SuppressionEntry {
                    suppression,
                    created_at: self.inputs.now,
                    origin: SuppressionOrigin::File,
                    note: Box::default(),
                }));
                added += 1;
            }
        }
        let gone = stored.iter().filter(|old| !wanted.contains(&key(old)));
        let (mut left, mut opted_out) = (0_usize, 0_usize);
        for suppression in gone {
            left += 1;
            if self.inputs.options.prune {
                opted_out += usize::from(suppression.kind == SuppressionKind::Unsubscribed);
                self.plan
                    .changes
                    .push(CatalogChange::RemoveSuppression(*suppression));
            }
        }
        if opted_out > 0 {
            self.plan.notes.push(format!(
                "{opted_out} of the deleted suppressions are opt-outs: their numbers get messages again"
            ));
        }
        // There may be millions: the diff has their number only.
        self.add_count(Sign::Add, added);
        self.add_count(
            if self.inputs.options.prune {
                Sign::Remove
            } else {
                Sign::Keep
            },
            left,
        );
    }

    fn add_count(&mut self, sign: Sign, count: usize) {
        if count > 0 {
            self.plan
                .lines
                .push(Line::bare(sign, counted(count, "suppressed number")));
        }
    }

    fn read_suppression(
        &mut self,
        entry: &Entry<SuppressionKeys>,
        accounts: &Accounts,
    ) -> Option<Suppression> {
        let given = &entry.keys;
        for (key, there) in [("number", given.number.is_some()), ("kind", given.kind.is_some())] {
            if !there {
                self.need(&entry.raw, key, "a suppression");
            }
        }
        let msisdn = given
            .number
            .as_deref()
            .and_then(|number| self.suppressed_number(entry, number));
        let account = self.suppressing_account(entry, accounts);
        let complaint = match (given.kind, given.account.is_some()) {
            (Some(SuppressionKind::Global), true) => {
                Some("suppression: kind \"global\" is for all accounts; remove `account`")
            }
            (Some(SuppressionKind::Blocked), false) if !entry.raw.is_excused("account") => {
                Some("suppression: kind \"blocked\" is for one account; name it in `account`")
            }
            _ => None,
        };
        if let Some(complaint) = complaint {
            self.complain_of(&entry.raw, "kind", complaint);
        }
        Some(Suppression {
            account: account?,
            msisdn: msisdn?,
            kind: given.kind.filter(|_| complaint.is_none())?,
        })
    }

    /// The number of an entry; a stored one may be shorter.
    fn suppressed_number(&mut self, entry: &Entry<SuppressionKeys>, number: &str) -> Option<Msisdn> {
        let digits = number.strip_prefix('+').unwrap_or(number);
        let stored = |msisdn: &Msisdn| {
            let mut all = self.inputs.existing.suppressions.iter();
            all.any(|stored| stored.msisdn == *msisdn)
        };
        let msisdn = Msisdn::from_digits(digits)
            .filter(|msisdn| msisdn.digit_count() >= NUMBER_DIGITS_MIN || stored(msisdn));
        if msisdn.is_none() {
            // Masked: the output of an apply may be logged.
            let expected = "digits of E.164, with or without +, such as \"+447700900123\"";
            let what = format!(
                "suppression: the number {} is not an international number ({expected})",
                masked(number)
            );
            let mistake = Mistake::new(&entry.at("number"), what);
            self.wrong
                .push(mistake.key("number").value(masked(number)).expected(expected));
        }
        msisdn
    }

    /// The account of an entry, if it names one; `None` when there is no such account.
    fn suppressing_account(
        &mut self,
        entry: &Entry<SuppressionKeys>,
        accounts: &Accounts,
    ) -> Option<Option<AccountId>> {
        let Some(name) = &entry.keys.account else {
            return Some(None);
        };
        let found = accounts.by_name.get(name);
        if found.is_none() && !accounts.has(name) {
            let what = "suppression: there is no account";
            let known = accounts.by_name.keys().map(String::as_str);
            self.complain_of_name(&entry.at("account"), "account", name, what, known);
        }
        found.map(|id| Some(*id))
    }
}

fn key(suppression: &Suppression) -> Key {
    (suppression.account, suppression.msisdn.as_u64(), suppression.kind)
}

/// A number with only its beginning and length visible.
fn masked(number: &str) -> String {
    let hidden = number
        .chars()
        .skip(3)
        .map(|c| if c.is_ascii_digit() { '*' } else { c });
    number.chars().take(3).chain(hidden).collect()
}
