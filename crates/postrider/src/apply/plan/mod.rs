//! Compares a catalog file with the store and plans the changes.
//!
//! Planning does no I/O except reading secrets through [`Environment`]; sealing them needs randomness. All mistakes
//! are collected, so that one run reports all of them.

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
use super::secret::{Environment, GivenSecret, SecretSource};
use crate::config::{Mistake, Mistakes, hint, is_secret, nearest, shown};
use crate::table::counted;
use crate::webhook_formats::WebhookFormats;
use engine::catalog::{Catalog, CatalogChange, SECRET_OCTETS_ADVISED, SecretSealer, Suppression};
use engine::webhooks::Allow;
use secrecy::ExposeSecret;
use sms::visible::is_invisible;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use store::{CarrierNo, UnixMs};

/// The stored state.
#[derive(Debug, Default)]
pub(crate) struct Existing {
    /// The catalog.
    pub(crate) catalog: Catalog,
    /// All suppressions.
    pub(crate) suppressions: Vec<Suppression>,
    /// Carriers with queued messages.
    pub(crate) waited_for: HashSet<CarrierNo>,
}

/// Options of the command line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ApplyOptions {
    /// Delete what the file does not name.
    pub(crate) prune: bool,
    /// Set the balances of existing accounts.
    pub(crate) set_balances: bool,
}

/// The changes of an apply.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Changes for the store, in order.
    pub(crate) changes: Vec<CatalogChange>,
    /// The changes as text.
    pub(crate) lines: Vec<Line>,
    /// Notes: valid, but possibly not intended.
    pub(crate) notes: Vec<String>,
}

/// The inputs of a plan.
pub(crate) struct Inputs<'a> {
    /// The file's text, for line numbers.
    pub(crate) text: &'a str,
    /// The file, read.
    pub(crate) file: &'a File,
    /// The stored state.
    pub(crate) existing: &'a Existing,
    /// Seals new secrets and opens stored ones.
    pub(crate) sealer: &'a SecretSealer,
    /// Sources of secrets.
    pub(crate) environment: Environment<'a>,
    /// The webhook formats.
    pub(crate) webhook_formats: &'a WebhookFormats,
    /// Internal addresses that webhooks may call, when the node's configuration is known.
    pub(crate) allow: Option<&'a [Allow]>,
    /// Options of the command line.
    pub(crate) options: ApplyOptions,
    /// The time of the change, in Unix milliseconds.
    pub(crate) now: UnixMs,
}

/// Makes the plan.
///
/// # Errors
/// All mistakes of the file, in the order of its lines.
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
    // Positions are counted after the byte order mark, which editors on some systems write.
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
    /// Objects that the planned account created over an API and that the file does not name.
    own: Vec<String>,
    /// Credentials and webhooks with a short secret in the file.
    short_secrets: Vec<String>,
}

impl<'a> Planner<'a> {
    fn catalog(&self) -> &'a Catalog {
        &self.inputs.existing.catalog
    }

    fn complain(&mut self, span: &Range<usize>, what: impl Into<String>) {
        self.wrong.push(Mistake::new(span, what));
    }

    /// Complains about a key of an entry, at its line.
    fn complain_of(&mut self, entry: &RawEntry, key: &str, what: impl Into<String>) {
        let mut mistake = Mistake::new(&entry.at(key), what).key(key);
        if let Some(value) = entry.values.get(key).filter(|_| !is_secret(key)) {
            mistake = mistake.value(shown(value));
        }
        self.wrong.push(mistake);
    }

    /// Complains that a new entry lacks a key, unless its value is invalid.
    fn need(&mut self, entry: &RawEntry, key: &str, what: &str) {
        if !entry.is_excused(key) {
            self.wrong
                .push(Mistake::new(&entry.span, format!("{what} needs a `{key}`")).key(key));
        }
    }

    /// Complains that an entry for a new object lacks a key, and names the most similar existing name: a misspelt name
    /// creates a new object instead of changing one.
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
        let hint = near.map(|near| format!("; did you mean the existing {near:?}?"));
        let message = format!("{what} is new and needs a `{key}`{}", hint.unwrap_or_default());
        self.wrong
            .push(Mistake::new(&entry.span, message).key(key).meant(near));
    }

    /// Notes a new name that differs from an existing one only in case: both are kept.
    fn note_alike<'n>(&mut self, what: &str, name: &str, mut known: impl Iterator<Item = &'n str>) {
        let folded = name.to_lowercase();
        if let Some(known) = known.find(|known| *known != name && known.to_lowercase() == folded) {
            let note = format!("{what} {name:?} differs from {what} {known:?} only in case");
            self.plan.notes.push(note);
        }
    }

    /// Complains about an unknown name, with the most similar known one.
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

    /// Records the change of an object when it is new or differs.
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

    /// Handles an object that the file does not name: deleted with `--prune`, else left unchanged.
    fn leave_or_remove(&mut self, what: String, change: impl FnOnce() -> CatalogChange) {
        if self.inputs.options.prune {
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

    /// The sealed form of a secret: the stored one while the secret is the same.
    ///
    /// Returns `true` with it when it differs from the stored one. When a source has no secret, the stored one stays,
    /// with a note: a file can be checked and applied where its secrets are not available.
    fn seal(
        &mut self,
        what: &str,
        name: &str,
        source: &SecretSource<'_>,
        old: Option<&[u8]>,
    ) -> Result<Option<(Vec<u8>, bool)>, String> {
        match (source.resolve(&self.inputs.environment)?, old) {
            (GivenSecret::None, None) => Ok(None),
            (GivenSecret::None, Some(old)) => Ok(Some((old.to_vec(), false))),
            (GivenSecret::Empty, _) => Err(format!("`{}` is empty: give one", source.field)),
            (GivenSecret::Absent(why), None) => Err(why),
            (GivenSecret::Absent(why), Some(old)) => {
                let note = format!("{what}: {why}; the stored {} is kept", source.field);
                self.plan.notes.push(note);
                Ok(Some((old.to_vec(), false)))
            }
            (GivenSecret::Text(given), old) => {
                let opened = old.and_then(|old| self.inputs.sealer.open(name, old).ok());
                if let (Some(old), Some(opened)) = (old, opened)
                    && opened.expose_secret() == given
                {
                    return Ok(Some((old.to_vec(), false)));
                }
                let sealed = self
                    .inputs
                    .sealer
                    .seal(name, &given)
                    .map_err(|error| error.to_string())?;
                Ok(Some((sealed, true)))
            }
        }
    }
}

/// The bounds of an integer key, where they are narrower than its type.
pub(crate) fn bounds_of(key: &str) -> Option<(u32, u32)> {
    let own = [("weight", 1, accounts::WEIGHT_MAX.into())];
    let mut all = own.into_iter().chain(carriers::BOUNDS);
    all.find(|(name, ..)| *name == key)
        .map(|(_, min, max)| (min, max))
}

/// Longest name in characters.
const NAME_CHARS_MAX: usize = 64;

/// Why a new name is invalid. Stored names stay valid.
///
/// A slash separates the names of an account and of its object on command lines.
fn name_complaint(name: &str, slash_allowed: bool) -> Option<String> {
    if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) || name.chars().any(is_invisible) {
        return Some(format!(
            "a name must have 1 to {NAME_CHARS_MAX} printable characters"
        ));
    }
    if name.trim() != name {
        return Some("a name must not begin or end with a space".to_owned());
    }
    (!slash_allowed && name.contains('/')).then(|| {
        "a name must not contain `/`, which separates account and webhook on command lines".to_owned()
    })
}

/// Objects that one note names; a provider has thousands.
const NAMED_MAX: usize = 10;

/// The first of many names, and the number of the others.
pub(crate) fn first_of(names: &[String]) -> String {
    let named = names.get(..NAMED_MAX).unwrap_or(names).join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// A note that secrets can be guessed, with advice.
pub(crate) fn short_secrets(count: usize) -> String {
    let secrets = counted(count, "secret");
    let verb = if count == 1 { "is" } else { "are" };
    format!(
        "{secrets} {verb} shorter than {SECRET_OCTETS_ADVISED} octets and can be guessed (`openssl rand -hex 16` generates a \
         better one)"
    )
}

/// How a secret is shown in a diff: whether it exists and whether it changes.
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
