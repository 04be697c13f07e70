//! Accounts and their identity: an account keeps its id.

use super::super::diff::{Fields, Line, Sign, list};
use super::super::entry::Entry;
use super::super::file::AccountKeys;
use super::blocked_words::blocked_words_complaints;
use super::owned::word;
use super::wire::sender_complaint;
use super::{Planner, name_complaint};
use crate::table::counted;
use engine::catalog::{Account, Caps, CatalogChange};
use sms::opt_out;
use std::collections::{HashMap, HashSet};
use store::{AccountId, OtherContent};

pub(super) const WEIGHT_MAX: u16 = 1000;
/// Longest word that unsubscribes or subscribes again, in characters.
const WORD_CHARS_MAX: usize = 100;

/// The accounts after the plan is carried out, by name. With `prune` only those of the file.
pub(super) struct Accounts {
    pub(super) by_name: HashMap<String, AccountId>,
    /// Accounts of the file.
    named: HashMap<AccountId, String>,
    /// All names in the file, including those of entries with mistakes.
    mentioned: HashSet<String>,
}

impl Accounts {
    /// Whether an account of that name exists, or is in the file with a mistake of its own.
    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name) || self.mentioned.contains(name)
    }
}

impl Planner<'_> {
    pub(super) fn accounts(&mut self) -> Accounts {
        let file = self.inputs.file;
        let ids = self.account_ids();
        let mut accounts = Accounts {
            by_name: HashMap::new(),
            named: HashMap::new(),
            mentioned: file
                .account
                .iter()
                .filter_map(|entry| entry.own.keys.name.clone())
                .collect(),
        };
        if !self.inputs.options.prune {
            let kept = self.catalog().accounts.iter();
            accounts.by_name = kept
                .map(|account| (account.name.to_string(), account.id))
                .collect();
        }
        for (entry, identity) in file.account.iter().zip(ids) {
            let Some((id, name)) = identity else { continue };
            let old = self.catalog().accounts.iter().find(|account| account.id == id);
            if let Some(old) = old {
                accounts.by_name.remove(&*old.name);
            }
            accounts.by_name.insert(name.clone(), id);
            accounts.named.insert(id, name.clone());
            self.account(&entry.own, id, &name, old);
            self.owned(entry, id, &name);
        }
        accounts
    }

    /// The id and name of each entry. The id is the given one, else that of its name, else the next free one; the
    /// name is the given one, else that of its id. `None` when the entry is ambiguous, with a complaint.
    fn account_ids(&mut self) -> Vec<Option<(AccountId, String)>> {
        let file = self.inputs.file;
        let known = &self.catalog().accounts;
        let given_ids = file.account.iter().filter_map(|entry| entry.own.keys.id);
        let mut next = 1 + known
            .iter()
            .map(|account| account.id.0)
            .chain(given_ids)
            .max()
            .unwrap_or(0);
        let mut taken: HashMap<AccountId, String> = HashMap::new();
        let mut names: HashMap<String, usize> = HashMap::new();
        let mut ids = Vec::new();
        for entry in &file.account {
            let entry = &entry.own;
            let given = entry.keys.id.map(AccountId);
            let of_id = given.and_then(|id| known.iter().find(|known| known.id == id));
            let Some(name) = entry
                .keys
                .name
                .clone()
                .or_else(|| of_id.map(|old| old.name.to_string()))
            else {
                self.need(&entry.raw, "name", "an account");
                ids.push(None);
                continue;
            };
            if names.insert(name.clone(), 1).is_some() {
                let what = format!("account {name:?} is defined twice in this file: merge the two entries");
                self.complain_of(&entry.raw, "name", what);
                ids.push(None);
                continue;
            }
            let of_name = known.iter().find(|known| *known.name == *name);
            let mut wrong = false;
            if of_name.is_none()
                && let Some(why) = name_complaint(&name, false)
            {
                // Its nested entries are checked all the same.
                self.complain_of(&entry.raw, "name", format!("account {name:?}: {why}"));
            }
            if of_name.is_none() {
                self.note_alike("account", &name, known.iter().map(|known| &*known.name));
            }
            let id = match (given, of_name.map(|known| known.id)) {
                (Some(given), Some(of_name)) if given != of_name => {
                    let what = format!(
                        "account {name:?} has id {of_name} in the store; its messages are stored under it, so it cannot become {given}"
                    );
                    self.complain_of(&entry.raw, "id", what);
                    wrong = true;
                    given
                }
                (Some(given), _) => given,
                (None, Some(of_name)) => of_name,
                (None, None) => {
                    next += 1;
                    AccountId(next - 1)
                }
            };
            if let Some(other) = taken.get(&id) {
                let what = format!("account {name:?} has the id {id} of account {other:?}");
                self.complain_of(&entry.raw, "id", what);
                wrong = true;
            } else {
                taken.insert(id, name.clone());
            }
            ids.push((!wrong).then_some((id, name)));
        }
        ids
    }

    fn account(&mut self, entry: &Entry<AccountKeys>, id: AccountId, name: &str, old: Option<&Account>) {
        let given = &entry.keys;
        if let Some(weight) = given.weight.filter(|weight| !(1..=WEIGHT_MAX).contains(weight)) {
            let what = format!("account {name:?}: `weight` is {weight}; it must be 1 to {WEIGHT_MAX}");
            self.complain_of(&entry.raw, "weight", what);
        }
        if given.balance.is_some_and(|balance| balance < 0) {
            let what = format!("account {name:?}: `balance` is negative; it must be 0 or more");
            self.complain_of(&entry.raw, "balance", what);
        }
        let boxed =
            |texts: &[String]| -> Vec<Box<str>> { texts.iter().map(|text| text.as_str().into()).collect() };
        let senders = given.senders.iter().flatten().enumerate();
        for (at, sender) in senders {
            let stored = old.is_some_and(|old| old.senders.iter().any(|known| **known == **sender));
            if let Some(why) = sender_complaint(sender).filter(|_| !stored) {
                let what = format!("account {name:?}: `senders[{at}]` {why}");
                self.complain_of(&entry.raw, &format!("senders[{at}]"), what);
            }
        }
        let texts = |key: &str, named: Option<&Vec<String>>, stored: Option<&Vec<Box<str>>>| {
            let named = named.map(|texts| boxed(texts));
            entry.value(key, named, stored.cloned(), Vec::new())
        };
        let account = Account {
            id,
            name: Box::from(name),
            balance: old.and_then(|old| old.balance),
            weight: entry.value("weight", given.weight, old.map(|old| old.weight), 1),
            caps: Caps {
                per_minute_max: entry.value(
                    "per_minute_max",
                    given.per_minute_max,
                    old.map(|old| old.caps.per_minute_max),
                    0,
                ),
                per_day_max: entry.value(
                    "per_day_max",
                    given.per_day_max,
                    old.map(|old| old.caps.per_day_max),
                    0,
                ),
            },
            may_send: entry.value("may_send", given.may_send, old.map(|old| old.may_send), true),
            senders: texts("senders", given.senders.as_ref(), old.map(|old| &old.senders)),
            blocked_words: texts(
                "blocked_words",
                given.blocked_words.as_ref(),
                old.map(|old| &old.blocked_words),
            ),
            project_ids: texts(
                "project_ids",
                given.project_ids.as_ref(),
                old.map(|old| &old.project_ids),
            ),
            auto_approve: entry.value(
                "auto_approve",
                given.auto_approve,
                old.map(|old| old.auto_approve),
                false,
            ),
            repeats_with_other_content: entry.value(
                "repeats_with_other_content",
                given.repeats_with_other_content,
                old.map(|old| old.repeats_with_other_content),
                OtherContent::default(),
            ),
            inbound_to: texts(
                "inbound_to",
                given.inbound_to.as_ref(),
                old.map(|old| &old.inbound_to),
            ),
            opt_out_words: texts(
                "opt_out_words",
                given.opt_out_words.as_ref(),
                old.map(|old| &old.opt_out_words),
            ),
            opt_in_words: entry.value(
                "opt_in_words",
                given.opt_in_words.as_deref().map(|words| Some(boxed(words))),
                old.map(|old| old.opt_in_words.clone()),
                None,
            ),
        };
        self.words(entry, &account);
        let old_fields = old.map(fields);
        let what = match old {
            Some(old) if old.name != account.name => format!("account {} (now {name})", old.name),
            _ => format!("account {name}"),
        };
        self.put(what, old_fields.as_ref(), &fields(&account), || {
            CatalogChange::PutAccount(account)
        });
        self.balance(entry, name, id, old);
    }

    /// Words that match no message, or that have two meanings.
    fn words(&mut self, entry: &Entry<AccountKeys>, account: &Account) {
        let blocked = entry.keys.blocked_words.as_deref().unwrap_or_default();
        for (key, why) in blocked_words_complaints("blocked_words", blocked) {
            let what = format!("account {:?}: `blocked_words`: {why}", account.name);
            self.complain_of(&entry.raw, &key, what);
        }
        for (at, party) in entry.keys.inbound_to.iter().flatten().enumerate() {
            if party.trim().is_empty() {
                let key = format!("inbound_to[{at}]");
                let what = format!(
                    "account {:?}: `{key}` is empty; it must be a number or a short code",
                    account.name
                );
                self.complain_of(&entry.raw, &key, what);
            }
        }
        let back = account.opt_in_words.as_deref().unwrap_or_default();
        for (key, words) in [
            ("opt_out_words", &account.opt_out_words[..]),
            ("opt_in_words", back),
        ] {
            for word in words {
                let normal = opt_out::normal(word);
                let chars = normal.chars().count();
                let wrong = if chars == 0 {
                    "has no visible character"
                } else if chars > WORD_CHARS_MAX {
                    "is longer than 100 characters"
                } else if key == "opt_in_words"
                    && account
                        .opt_out_words
                        .iter()
                        .any(|out| opt_out::normal(out) == normal)
                {
                    "is in `opt_out_words` as well"
                } else {
                    continue;
                };
                let what = format!("account {:?}: `{key}`: {word:?} {wrong}", account.name);
                self.complain_of(&entry.raw, key, what);
            }
        }
    }

    /// A balance changes with every message, so the file has the initial one. A key that is not in the file changes nothing;
    /// an existing balance is set again, or deleted with `reset`, only with `--set-balances`.
    fn balance(&mut self, entry: &Entry<AccountKeys>, name: &str, id: AccountId, old: Option<&Account>) {
        let now = old.and_then(|old| old.balance);
        let resets = entry.raw.resets("balance");
        let wanted = match entry.keys.balance {
            None if !resets => return,
            wanted => wanted,
        };
        if now == wanted {
            return;
        }
        if now.is_some() && !self.inputs.options.set_balances {
            if resets {
                let note = format!("balance of {name}: unchanged; --set-balances deletes it");
                self.plan.notes.push(note);
            }
            return;
        }
        let line = Line {
            sign: if old.is_some() { Sign::Change } else { Sign::Add },
            what: format!("balance of {name}"),
            details: vec![format!("{} -> {}", segments(now), segments(wanted))],
        };
        self.plan.lines.push(line);
        self.plan.changes.push(CatalogChange::SetBalance(id, wanted));
    }

    pub(super) fn remove_accounts(&mut self, accounts: &Accounts) {
        for old in &self.catalog().accounts {
            if !accounts.named.contains_key(&old.id) {
                let what = format!("account {} with all its objects", old.name);
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
        ("blocked_words", list(&account.blocked_words, "")),
        ("project_ids", list(&account.project_ids, "")),
        ("auto_approve", account.auto_approve.to_string()),
        (
            "repeats_with_other_content",
            word(account.repeats_with_other_content),
        ),
        ("inbound_to", list(&account.inbound_to, "")),
        ("opt_out_words", list(&account.opt_out_words, "")),
        (
            "opt_in_words",
            match account.opt_in_words.as_deref() {
                None => String::new(),
                Some([]) => "[]".to_owned(),
                Some(words) => list(words, ""),
            },
        ),
    ]
}

fn segments(balance: Option<i64>) -> String {
    balance.map_or_else(|| "not counted".to_owned(), |balance| counted(balance, "segment"))
}
