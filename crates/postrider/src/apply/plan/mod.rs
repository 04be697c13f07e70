//! From a catalog file and what the store has to the changes that make the store fit.
//!
//! Planning does no I/O but reading secrets through [`Surroundings`]; sealing them takes randomness. Everything
//! that is wrong is collected, so that one run shows all of it.

mod accounts;
mod blocked_words;
mod carriers;
mod owned;
mod receipts;
mod routes;
mod suppressions;
mod templates;
#[cfg(test)]
mod tests;
mod webhooks;
pub(crate) mod wire;

pub(crate) use owned::signature_meant;
pub(crate) use routes::{conditions_of, describe_route, route_titles};

use super::diff::{Fields, Line, Sign};
use super::entry::RawEntry;
use super::file::File;
use super::secret::{GivenSecret, SecretSource, Surroundings};
use crate::config::{Mistake, Mistakes, hint, is_secret, nearest, shown};
use crate::forms::Forms;
use crate::table::counted;
use engine::catalog::{Catalog, CatalogChange, SECRET_OCTETS_ADVISED, Suppression, Vault};
use engine::notify::Allow;
use secrecy::ExposeSecret;
use sms::visible::is_unseen;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use store::{CarrierNo, UnixMs};

/// What the store has.
#[derive(Debug, Default)]
pub(crate) struct Existing {
    /// The catalog.
    pub(crate) catalog: Catalog,
    /// All suppressions.
    pub(crate) suppressions: Vec<Suppression>,
    /// Carriers in whose lanes messages wait.
    pub(crate) waited_for: HashSet<CarrierNo>,
}

/// What the operator asks for beside the file.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wishes {
    /// Remove what the file does not name.
    pub(crate) prune: bool,
    /// Set balances of accounts that have one already.
    pub(crate) set_balances: bool,
}

/// What is to be done.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// For the store, in order.
    pub(crate) changes: Vec<CatalogChange>,
    /// For people.
    pub(crate) lines: Vec<Line>,
    /// Things that work but may surprise.
    pub(crate) notes: Vec<String>,
}

/// Where a plan comes from.
pub(crate) struct Inputs<'a> {
    /// The file's text, for line numbers.
    pub(crate) text: &'a str,
    /// The file, read.
    pub(crate) file: &'a File,
    /// What the store has.
    pub(crate) existing: &'a Existing,
    /// Seals new secrets and opens old ones.
    pub(crate) vault: &'a Vault,
    /// Where secrets may come from.
    pub(crate) surroundings: Surroundings<'a>,
    /// The forms of calls there are.
    pub(crate) forms: &'a Forms,
    /// Where webhooks may be called inside, when that is known of the node.
    pub(crate) allow: Option<&'a [Allow]>,
    /// What is asked for beside the file.
    pub(crate) wishes: Wishes,
    /// The time, for what is new or changed.
    pub(crate) now: UnixMs,
}

/// Makes the plan.
///
/// # Errors
/// Everything that is wrong with the file, in the order of its lines.
pub(crate) fn plan(inputs: Inputs<'_>) -> Result<Plan, Mistakes> {
    let mut planner = Planner {
        wrong: inputs.file.mistakes.clone(),
        inputs,
        plan: Plan::default(),
        templates_taken: HashMap::new(),
        own: Vec::new(),
        short_secrets: Vec::new(),
    };
    let accounts = planner.accounts();
    planner.carriers();
    planner.routes(&accounts);
    planner.suppressions(&accounts);
    planner.blocked_words();
    // Last, when nothing refers to them any more.
    planner.remove_carriers();
    planner.remove_accounts(&accounts);
    planner.note_short_secrets();
    if planner.wrong.is_empty() {
        return Ok(planner.plan);
    }
    // Places are counted from behind a byte order mark, which editors on some systems write.
    let text = planner.inputs.text;
    Err(planner
        .wrong
        .finish(text.strip_prefix('\u{feff}').unwrap_or(text)))
}

struct Planner<'a> {
    inputs: Inputs<'a>,
    plan: Plan,
    wrong: Mistakes,
    /// Numbers and `UT…` ids of the templates planned so far.
    templates_taken: HashMap<i64, String>,
    /// What the account that is being planned made itself and the file does not name.
    own: Vec<String>,
    /// Credentials and webhooks to which the file gives a secret that is short.
    short_secrets: Vec<String>,
}

impl<'a> Planner<'a> {
    fn catalog(&self) -> &'a Catalog {
        &self.inputs.existing.catalog
    }

    fn complain(&mut self, span: &Range<usize>, what: impl Into<String>) {
        self.wrong.push(Mistake::new(span, what));
    }

    /// Complains about a key of an entry, at its own line.
    fn complain_of(&mut self, entry: &RawEntry, key: &str, what: impl Into<String>) {
        let mut mistake = Mistake::new(&entry.at(key), what).key(key);
        if let Some(value) = entry.values.get(key).filter(|_| !is_secret(key)) {
            mistake = mistake.value(shown(value));
        }
        self.wrong.push(mistake);
    }

    /// Complains that a new entry has no such key, unless it is there and does not read.
    fn need(&mut self, entry: &RawEntry, key: &str, what: &str) {
        if !entry.is_excused(key) {
            self.wrong
                .push(Mistake::new(&entry.span, format!("{what} needs a `{key}`")).key(key));
        }
    }

    /// Complains that an entry for something new has no such key, with the nearest name there is: a misspelt name makes
    /// something new of what was to be changed.
    fn need_new<'n>(
        &mut self,
        entry: &RawEntry,
        key: &str,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'n str>,
    ) {
        if entry.is_excused(key) {
            return;
        }
        let near = nearest(name, known);
        let hint = near.map(|near| format!("; did you mean {near:?}, which is there?"));
        let message = format!("{what} is new and needs a `{key}`{}", hint.unwrap_or_default());
        self.wrong
            .push(Mistake::new(&entry.span, message).key(key).meant(near));
    }

    /// Notes a new name that differs from one there is in case alone: both are kept apart, which may surprise.
    fn note_alike<'n>(&mut self, what: &str, name: &str, mut known: impl Iterator<Item = &'n str>) {
        let folded = name.to_lowercase();
        if let Some(known) = known.find(|known| *known != name && known.to_lowercase() == folded) {
            let note =
                format!("{what} {name:?} is another than {what} {known:?}, which differs in case alone");
            self.plan.notes.push(note);
        }
    }

    /// Complains about a name that nothing has, with the nearest one there is.
    fn complain_of_name<'n>(
        &mut self,
        span: &Range<usize>,
        key: &str,
        name: &str,
        what: &str,
        known: impl Iterator<Item = &'n str> + Clone,
    ) {
        let (meant, hint) = hint(name, known);
        let mistake = Mistake::new(span, format!("{what} {name:?}{hint}"))
            .key(key)
            .value(name);
        self.wrong.push(mistake.meant(meant.as_deref()));
    }

    /// Notes what becomes of an object and, when it is new or differs, the change that makes it so.
    fn put(
        &mut self,
        what: String,
        old: Option<&Fields>,
        new: &Fields,
        change: impl FnOnce() -> CatalogChange,
    ) {
        let line = match old {
            None => Some(Line::add(what, new)),
            Some(old) => Line::change(what, old, new),
        };
        if let Some(line) = line {
            self.plan.lines.push(line);
            self.plan.changes.push(change());
        }
    }

    /// What the file does not name: removed when asked for, left alone otherwise.
    fn leave_or_remove(&mut self, what: String, change: impl FnOnce() -> CatalogChange) {
        if self.inputs.wishes.prune {
            self.plan.lines.push(Line::bare(Sign::Remove, what));
            self.plan.changes.push(change());
        } else {
            self.plan.lines.push(Line::bare(Sign::Keep, what));
        }
    }

    /// Notes secrets that can be guessed, all in one note.
    fn note_short_secrets(&mut self) {
        let short = std::mem::take(&mut self.short_secrets);
        if !short.is_empty() {
            let note = format!("{}: {}", short_secrets(short.len()), first_of(&short));
            self.plan.notes.push(note);
        }
    }

    /// The sealed form of a secret: the old one while it still holds the same.
    ///
    /// Returns it with `true` when it differs from the old one. A place that has no secret leaves the stored one as
    /// it is, with a note: a file can be tried and applied where its secrets are not at hand.
    fn seal(
        &mut self,
        what: &str,
        name: &str,
        source: &SecretSource<'_>,
        old: Option<&[u8]>,
    ) -> Result<Option<(Vec<u8>, bool)>, String> {
        match (source.resolve(&self.inputs.surroundings)?, old) {
            (GivenSecret::None, None) => Ok(None),
            (GivenSecret::None, Some(old)) => Ok(Some((old.to_vec(), false))),
            (GivenSecret::Empty, _) => Err(format!("`{}` is empty: give one", source.field)),
            (GivenSecret::Absent(why), None) => Err(why),
            (GivenSecret::Absent(why), Some(old)) => {
                let note = format!("{what}: {why}; the stored {} stays", source.field);
                self.plan.notes.push(note);
                Ok(Some((old.to_vec(), false)))
            }
            (GivenSecret::Text(given), old) => {
                let opened = old.and_then(|old| self.inputs.vault.open(name, old).ok());
                if let (Some(old), Some(opened)) = (old, opened)
                    && opened.expose_secret() == given
                {
                    return Ok(Some((old.to_vec(), false)));
                }
                let sealed = self
                    .inputs
                    .vault
                    .seal(name, &given)
                    .map_err(|error| error.to_string())?;
                Ok(Some((sealed, true)))
            }
        }
    }
}

/// The bounds of a key that wants a whole number, where they are narrower than its type.
pub(crate) fn bounds_of(key: &str) -> Option<(u32, u32)> {
    let own = [("weight", 1, accounts::WEIGHT_MAX.into())];
    let mut all = own.into_iter().chain(carriers::BOUNDS);
    all.find(|(name, ..)| *name == key)
        .map(|(_, min, max)| (min, max))
}

/// Longest name in characters.
const NAME_CHARS_MAX: usize = 64;

/// What is wrong with a new name. Names that are stored already go on working.
///
/// A slash stands between the names of an account and of what it owns on command lines.
fn name_complaint(name: &str, slash_allowed: bool) -> Option<String> {
    if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) || name.chars().any(is_unseen) {
        return Some(format!("a name has 1 to {NAME_CHARS_MAX} printable characters"));
    }
    if name.trim() != name {
        return Some("a name neither begins nor ends with a blank".to_owned());
    }
    (!slash_allowed && name.contains('/'))
        .then(|| "a name has no `/`, which stands between account and webhook on command lines".to_owned())
}

/// Things that one note names; a provider has thousands.
const NAMED_MAX: usize = 10;

/// The first of many names, and how many more there are.
pub(crate) fn first_of(names: &[String]) -> String {
    let named = names.get(..NAMED_MAX).unwrap_or(names).join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// That secrets can be guessed, and what to do.
pub(crate) fn short_secrets(count: usize) -> String {
    let secrets = counted(count, "secret");
    let verb = if count == 1 { "is" } else { "are" };
    format!(
        "{secrets} {verb} shorter than {SECRET_OCTETS_ADVISED} octets and can be guessed (`openssl rand -hex 16` makes a \
         better one)"
    )
}

/// How a secret shows in a diff: whether it is there and whether it changes, never what it is.
fn secret_field(old: bool, changed: bool) -> (String, String) {
    let before = if old { "(as stored)" } else { "" };
    let after = match (changed, old) {
        (false, false) => "",
        (false, true) => "(as stored)",
        (true, false) => "(set)",
        (true, true) => "(another)",
    };
    (before.to_owned(), after.to_owned())
}
