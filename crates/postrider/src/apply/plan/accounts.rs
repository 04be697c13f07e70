//! Accounts: who they are, and that each stays who it is.

use super::super::diff::{Fields, Line, Sign, list};
use super::super::file::AccountEntry;
use super::Planner;
use engine::catalog::{Account, Caps, CatalogChange};
use std::collections::HashMap;
use store::AccountId;
use toml::Spanned;

/// Longest name in characters.
const NAME_CHARS_MAX: usize = 64;
const WEIGHT_MAX: u16 = 1000;

/// The accounts there are once the plan is carried out, by name. With `prune` only those of the file.
pub(super) struct Accounts {
    pub(super) by_name: HashMap<String, AccountId>,
    /// Those that the file names.
    named: HashMap<AccountId, String>,
}

impl Planner<'_> {
    pub(super) fn accounts(&mut self) -> Accounts {
        let file = self.inputs.file;
        let ids = self.account_ids();
        let mut accounts = Accounts {
            by_name: HashMap::new(),
            named: HashMap::new(),
        };
        if !self.inputs.wishes.prune {
            let kept = self.catalog().accounts.iter();
            accounts.by_name = kept
                .map(|account| (account.name.to_string(), account.id))
                .collect();
        }
        for (entry, id) in file.account.iter().zip(ids) {
            let Some(id) = id else { continue };
            let old = self.catalog().accounts.iter().find(|account| account.id == id);
            if let Some(old) = old {
                accounts.by_name.remove(&*old.name);
            }
            let name = entry.get_ref().name.clone();
            accounts.by_name.insert(name.clone(), id);
            accounts.named.insert(id, name);
            self.account(entry, id, old);
            self.owned(entry, id);
        }
        accounts
    }

    /// The id of each entry: the one it gives, the one its name has, or the next free one. `None` where the entry
    /// cannot be told, with a complaint.
    fn account_ids(&mut self) -> Vec<Option<AccountId>> {
        let file = self.inputs.file;
        let known = &self.catalog().accounts;
        let mut next = 1 + known
            .iter()
            .map(|account| account.id.0)
            .chain(file.account.iter().filter_map(|entry| entry.get_ref().id))
            .max()
            .unwrap_or(0);
        let mut names: HashMap<&str, usize> = HashMap::new();
        let mut taken: HashMap<AccountId, &str> = HashMap::new();
        let mut ids = Vec::new();
        for entry in &file.account {
            let (span, account) = (entry.span(), entry.get_ref());
            let name = account.name.as_str();
            let before = self.wrong.len();
            if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control)
            {
                self.complain(
                    &span,
                    format!("account {name:?}: a name has 1 to {NAME_CHARS_MAX} printable characters"),
                );
            }
            if names.insert(name, 1).is_some() {
                self.complain(&span, format!("account {name:?} stands twice in this file"));
            }
            let of_name = known
                .iter()
                .find(|known| &*known.name == name)
                .map(|known| known.id);
            let id = match (account.id.map(AccountId), of_name) {
                (Some(given), Some(of_name)) if given != of_name => {
                    let what = format!(
                        "account {name:?} has id {of_name} in the store; its messages are stored under it, so it cannot become {given}"
                    );
                    self.complain(&span, what);
                    given
                }
                (Some(given), _) => given,
                (None, Some(of_name)) => of_name,
                (None, None) => {
                    next += 1;
                    AccountId(next - 1)
                }
            };
            if let Some(other) = taken.insert(id, name) {
                self.complain(
                    &span,
                    format!("account {name:?} has the id {id} of account {other:?}"),
                );
            }
            ids.push((self.wrong.len() == before).then_some(id));
        }
        ids
    }

    fn account(&mut self, entry: &Spanned<AccountEntry>, id: AccountId, old: Option<&Account>) {
        let (span, given) = (entry.span(), entry.get_ref());
        let name = given.name.as_str();
        if !(1..=WEIGHT_MAX).contains(&given.weight) {
            self.complain(
                &span,
                format!(
                    "account {name:?}: weight is {}, not 1 to {WEIGHT_MAX}",
                    given.weight
                ),
            );
        }
        if given.balance.is_some_and(|balance| balance < 0) {
            self.complain(
                &span,
                format!("account {name:?}: a balance to begin with is not below 0"),
            );
        }
        let boxed = |texts: &[String]| texts.iter().map(|text| Box::from(text.as_str())).collect();
        let account = Account {
            id,
            name: Box::from(name),
            balance: old.and_then(|old| old.balance),
            weight: given.weight,
            caps: Caps {
                per_minute_max: given.per_minute_max,
                per_day_max: given.per_day_max,
            },
            may_send: given.may_send,
            senders: boxed(&given.senders),
            project_ids: boxed(&given.project_ids),
            auto_approve: given.auto_approve,
            inbound_to: boxed(&given.inbound_to),
            opt_out_words: boxed(&given.opt_out_words),
        };
        let old_fields = old.map(fields);
        let what = match old {
            Some(old) if old.name != account.name => format!("account {} (now {name})", old.name),
            _ => format!("account {name}"),
        };
        self.put(what, old_fields.as_ref(), &fields(&account), || {
            CatalogChange::PutAccount(account)
        });
        self.balance(name, id, given.balance, old);
    }

    /// A balance changes with every message, so the file's is where an account begins; it is set again only when
    /// asked for.
    fn balance(&mut self, name: &str, id: AccountId, wanted: Option<i64>, old: Option<&Account>) {
        let now = old.and_then(|old| old.balance);
        let set = match (now, wanted) {
            (Some(_), Some(_)) => self.inputs.wishes.set_balances && now != wanted,
            _ => now != wanted,
        };
        if set {
            let line = Line {
                sign: if old.is_some() { Sign::Change } else { Sign::Add },
                what: format!("balance of {name}"),
                details: vec![format!("{} -> {}", segments(now), segments(wanted))],
            };
            self.plan.lines.push(line);
            self.plan.changes.push(CatalogChange::SetBalance(id, wanted));
        }
    }

    pub(super) fn remove_accounts(&mut self, accounts: &Accounts) {
        for old in &self.catalog().accounts {
            if !accounts.named.contains_key(&old.id) {
                let what = format!("account {} with all that is its own", old.name);
                self.leave_or_remove(what, || CatalogChange::RemoveAccount(old.id));
            }
        }
    }
}

fn fields(account: &Account) -> Fields {
    let cap = |max: u32| if max == 0 { String::new() } else { max.to_string() };
    vec![
        ("id", account.id.to_string()),
        ("name", account.name.to_string()),
        ("weight", account.weight.to_string()),
        ("per_minute_max", cap(account.caps.per_minute_max)),
        ("per_day_max", cap(account.caps.per_day_max)),
        ("may_send", account.may_send.to_string()),
        ("senders", list(&account.senders, "")),
        ("project_ids", list(&account.project_ids, "")),
        ("auto_approve", account.auto_approve.to_string()),
        ("inbound_to", list(&account.inbound_to, "")),
        ("opt_out_words", list(&account.opt_out_words, "")),
    ]
}

fn segments(balance: Option<i64>) -> String {
    balance.map_or_else(
        || "not counted".to_owned(),
        |balance| format!("{balance} segments"),
    )
}
