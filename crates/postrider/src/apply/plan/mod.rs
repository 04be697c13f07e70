//! From a catalog file and what the store has to the changes that make the store fit.
//!
//! Planning does no I/O but reading secrets through [`Surroundings`]; sealing them takes randomness. Everything
//! that is wrong is collected, so that one run shows all of it.

mod accounts;
mod carriers;
mod owned;
mod routes;
mod suppressions;
#[cfg(test)]
mod tests;
mod webhooks;

pub(crate) use routes::describe_route;

use super::diff::{Fields, Line, Sign};
use super::file::File;
use super::secret::{SecretSource, Surroundings};
use crate::config::At;
use crate::forms::Forms;
use engine::catalog::{Catalog, CatalogChange, Suppression, Vault};
use secrecy::ExposeSecret;
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
    /// What is asked for beside the file.
    pub(crate) wishes: Wishes,
    /// The time, for what is new or changed.
    pub(crate) now: UnixMs,
}

/// Makes the plan.
///
/// # Errors
/// Everything that is wrong with the file, in the order of its lines.
pub(crate) fn plan(inputs: Inputs<'_>) -> Result<Plan, Vec<At>> {
    let mut planner = Planner {
        inputs,
        plan: Plan::default(),
        wrong: Vec::new(),
        templates_taken: HashMap::new(),
        own: Vec::new(),
    };
    let accounts = planner.accounts();
    planner.carriers();
    planner.routes(&accounts);
    planner.suppressions(&accounts);
    // Last, when nothing refers to them any more.
    planner.remove_carriers();
    planner.remove_accounts(&accounts);
    if planner.wrong.is_empty() {
        return Ok(planner.plan);
    }
    planner.wrong.sort_by_key(|at| at.line);
    Err(planner.wrong)
}

struct Planner<'a> {
    inputs: Inputs<'a>,
    plan: Plan,
    wrong: Vec<At>,
    /// Numbers and `UT…` ids of the templates planned so far.
    templates_taken: HashMap<i64, String>,
    /// What the account that is being planned made itself and the file does not name.
    own: Vec<String>,
}

impl<'a> Planner<'a> {
    fn catalog(&self) -> &'a Catalog {
        &self.inputs.existing.catalog
    }

    fn complain(&mut self, span: &Range<usize>, what: impl Into<String>) {
        self.wrong.push(At::new(self.inputs.text, span, what));
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

    /// The sealed form of a secret: the old one while it still holds the same.
    ///
    /// Returns it with `true` when it differs from the old one.
    fn seal(
        &self,
        name: &str,
        source: &SecretSource<'_>,
        old: Option<&[u8]>,
    ) -> Result<Option<(Vec<u8>, bool)>, String> {
        let given = source.resolve(&self.inputs.surroundings)?;
        match (given, old) {
            (None, None) => Ok(None),
            (None, Some(old)) => Ok(Some((old.to_vec(), false))),
            (Some(given), old) => {
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
