//! Blocked words: named lists for all accounts. (The list of an account is one of its keys.)

use super::super::diff::{Line, Sign};
use super::super::entry::Entry;
use super::super::file::BlockedWordsKeys;
use super::{Planner, name_complaint};
use engine::catalog::CatalogChange;
use sms::blocked::{BlockedWords, WORD_CHARS_MAX, WORDS_MAX};
use std::collections::HashSet;
use store::WordList;

/// Words of a change that are shown.
const SHOWN_MAX: usize = 20;

impl Planner<'_> {
    /// Each list of the file replaces the stored one; other lists stay unless `--prune` is given.
    pub(super) fn blocked_words(&mut self) {
        let (file, catalog) = (self.inputs.file, self.catalog());
        let mut named = HashSet::new();
        for entry in &file.blocked_words {
            let Some(name) = &entry.keys.name else {
                self.need(&entry.raw, "name", "a list of blocked words");
                continue;
            };
            if let Some(why) = name_complaint(name, false) {
                self.complain_of(&entry.raw, "name", format!("blocked words {name:?}: {why}"));
            }
            if !named.insert(name.as_str()) {
                let what = format!("blocked words {name:?} are defined twice in this file");
                self.complain_of(&entry.raw, "name", what);
                continue;
            }
            let old = catalog.blocked_words.iter().find(|old| *old.name == **name);
            self.list(entry, name, old);
        }
        for old in catalog
            .blocked_words
            .iter()
            .filter(|old| !named.contains(&*old.name))
        {
            let what = format!("blocked words {}", old.name);
            self.leave_or_remove(what, || CatalogChange::RemoveBlockedWords(old.name.clone()));
        }
    }

    fn list(&mut self, entry: &Entry<BlockedWordsKeys>, name: &str, old: Option<&WordList>) {
        let Some(given) = &entry.keys.words else {
            if old.is_none() {
                self.need(
                    &entry.raw,
                    "words",
                    &format!("the list of blocked words {name:?} is new and"),
                );
            }
            return;
        };
        let complaints = blocked_words_complaints("words", given);
        for (key, why) in &complaints {
            self.complain_of(&entry.raw, key, format!("blocked words {name:?}: {why}"));
        }
        if !complaints.is_empty() {
            return;
        }
        let words: Vec<Box<str>> = given.iter().map(|word| Box::from(word.as_str())).collect();
        let stored = old.map_or(&[][..], |old| &old.words);
        if old.is_some() && stored == words {
            return;
        }
        self.plan.lines.push(Line {
            sign: if old.is_some() { Sign::Change } else { Sign::Add },
            what: format!("blocked words {name}"),
            details: vec![difference(stored, &words)],
        });
        self.plan.changes.push(CatalogChange::PutBlockedWords(WordList {
            name: name.into(),
            words,
        }));
    }
}

/// All invalid words of a list, with the path of each.
pub(super) fn blocked_words_complaints(key: &str, words: &[String]) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    if words.len() > WORDS_MAX {
        let why = format!("{} words; at most {WORDS_MAX} are allowed", words.len());
        wrong.push((key.to_owned(), why));
    }
    for (at, word) in words.iter().enumerate() {
        let why = if word.chars().count() > WORD_CHARS_MAX {
            format!("is longer than {WORD_CHARS_MAX} characters")
        } else if BlockedWords::new([word.as_str()]).is_none() {
            "has no visible character".to_owned()
        } else {
            continue;
        };
        wrong.push((format!("{key}[{at}]"), format!("{word:?} {why}")));
    }
    wrong
}

/// The added words with a plus, the removed ones with a minus.
fn difference(old: &[Box<str>], new: &[Box<str>]) -> String {
    let before: HashSet<&str> = old.iter().map(|word| &**word).collect();
    let after: HashSet<&str> = new.iter().map(|word| &**word).collect();
    let come = new
        .iter()
        .filter(|word| !before.contains(&***word))
        .map(|word| format!("+{word}"));
    let go = old
        .iter()
        .filter(|word| !after.contains(&***word))
        .map(|word| format!("-{word}"));
    let all: Vec<String> = come.chain(go).collect();
    let more = all.len().saturating_sub(SHOWN_MAX);
    let shown = all.into_iter().take(SHOWN_MAX).collect::<Vec<_>>().join(", ");
    match (more, shown.is_empty()) {
        (0, true) => "words: in another order".to_owned(),
        (0, false) => format!("words: {shown}"),
        (more, _) => format!("words: {shown} and {more} more"),
    }
}
