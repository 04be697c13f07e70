//! Suppressions: numbers that get nothing.

use super::super::diff::{Line, Sign};
use super::super::file::SuppressionEntry;
use super::Planner;
use super::accounts::Accounts;
use engine::catalog::{CatalogChange, Suppression, SuppressionKind};
use sms::phone::Msisdn;
use std::collections::HashSet;
use store::AccountId;
use toml::Spanned;

/// A suppression as something that can be looked up.
type Key = (Option<AccountId>, u64, SuppressionKind);

impl Planner<'_> {
    pub(super) fn suppressions(&mut self, accounts: &Accounts) {
        let (file, existing) = (self.inputs.file, self.inputs.existing);
        let stored = &existing.suppressions;
        let old: HashSet<Key> = stored.iter().map(key).collect();
        let mut wanted: HashSet<Key> = HashSet::new();
        let mut added = 0_usize;
        for entry in &file.suppression {
            match read(entry, accounts) {
                Ok(suppression) => {
                    if wanted.insert(key(&suppression)) && !old.contains(&key(&suppression)) {
                        self.plan.changes.push(CatalogChange::PutSuppression(suppression));
                        added += 1;
                    }
                }
                Err(complaint) => self.complain(&entry.span(), complaint),
            }
        }
        let gone = stored.iter().filter(|old| !wanted.contains(&key(old)));
        let (mut left, mut opted_out) = (0_usize, 0_usize);
        for suppression in gone {
            left += 1;
            if self.inputs.wishes.prune {
                opted_out += usize::from(suppression.kind == SuppressionKind::Unsubscribed);
                self.plan
                    .changes
                    .push(CatalogChange::RemoveSuppression(*suppression));
            }
        }
        if opted_out > 0 {
            self.plan.notes.push(format!(
                "{opted_out} of the suppressed numbers that go had unsubscribed: their owners get messages again"
            ));
        }
        // There may be millions: counted, not listed.
        self.tell(Sign::Add, added);
        self.tell(
            if self.inputs.wishes.prune {
                Sign::Remove
            } else {
                Sign::Keep
            },
            left,
        );
    }

    fn tell(&mut self, sign: Sign, count: usize) {
        if count > 0 {
            self.plan
                .lines
                .push(Line::bare(sign, format!("{count} suppressed numbers")));
        }
    }
}

fn key(suppression: &Suppression) -> Key {
    (suppression.account, suppression.msisdn.as_u64(), suppression.kind)
}

fn read(entry: &Spanned<SuppressionEntry>, accounts: &Accounts) -> Result<Suppression, String> {
    let given = entry.get_ref();
    let digits = given.number.strip_prefix('+').unwrap_or(&given.number);
    // The number is not repeated: what an apply says may end up in a log.
    let msisdn = Msisdn::from_digits(digits)
        .ok_or("suppression: the number is not an international one (digits of E.164, with or without +)")?;
    let account = match &given.account {
        None => None,
        Some(name) => {
            let id = accounts.by_name.get(name);
            Some(*id.ok_or_else(|| format!("suppression: there is no account {name:?}"))?)
        }
    };
    match (given.kind, account) {
        (SuppressionKind::Global, Some(_)) => {
            Err("suppression: kind \"global\" is for all accounts; leave `account` out".to_owned())
        }
        (SuppressionKind::Blocked, None) => {
            Err("suppression: kind \"blocked\" is for one account; name it in `account`".to_owned())
        }
        (kind, account) => Ok(Suppression {
            account,
            msisdn,
            kind,
        }),
    }
}
