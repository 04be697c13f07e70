//! `postrider template`, `postrider signature` and `postrider qualification`: lists and reviews objects of accounts.

mod decision;
mod qualification;
mod signature;
mod template;

pub(crate) use qualification::{QualificationArgs, store_review};
pub(crate) use signature::SignatureArgs;
pub(crate) use template::TemplateArgs;

use clap::{Args, ValueEnum};
use decision::Decision;
use engine::catalog::{Catalog, Review};
use store::AccountId;

use crate::config::hint;
use crate::open::Look;

pub(crate) use qualification::run as run_qualification;
pub(crate) use signature::run as run_signature;
pub(crate) use template::run as run_template;

/// The state of a review, as a command line argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// Not submitted yet
    Draft,
    /// Waiting for its review
    Submitted,
    /// In use
    Approved,
    /// Rejected
    Rejected,
    /// Disabled
    Disabled,
}

impl Stage {
    const fn review(self) -> Review {
        match self {
            Self::Draft => Review::Draft,
            Self::Submitted => Review::Submitted,
            Self::Approved => Review::Approved,
            Self::Rejected => Review::Rejected,
            Self::Disabled => Review::Disabled,
        }
    }
}

/// The name of a review state in files and output.
pub(crate) const fn name(review: Review) -> &'static str {
    match review {
        Review::Draft => "draft",
        Review::Submitted => "submitted",
        Review::Approved => "approved",
        Review::Rejected => "rejected",
        Review::Disabled => "disabled",
    }
}

#[derive(Args, Clone, Debug)]
struct ListArgs {
    /// Only those of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only those in this state of the review
    #[arg(long, value_name = "STATE")]
    review: Option<Stage>,
    #[command(flatten)]
    look: Look,
}

#[derive(Args, Clone, Debug)]
struct ShowArgs {
    /// Number of the object
    #[arg(value_name = "NUMBER")]
    number: String,
    #[command(flatten)]
    look: Look,
}

#[derive(Args, Clone, Debug)]
struct ReviewArgs {
    /// Numbers or ids: either all are changed or none
    #[arg(value_name = "NUMBER", required = true)]
    numbers: Vec<String>,
    #[command(flatten)]
    look: Look,
}

#[derive(Args, Clone, Debug)]
struct ReasonArgs {
    #[command(flatten)]
    selection: ReviewArgs,
    /// Reason, shown to the account
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

impl ReasonArgs {
    fn decision(&self, decision: fn(Box<str>) -> Decision) -> Decision {
        decision(self.reason.trim().into())
    }
}

/// Finds an account by name.
pub(crate) fn account_named(catalog: &Catalog, name: &str) -> anyhow::Result<AccountId> {
    let found = catalog.accounts.iter().find(|account| &*account.name == name);
    found.map(|account| account.id).ok_or_else(|| {
        let (_, hint) = hint(name, catalog.accounts.iter().map(|account| &*account.name));
        anyhow::anyhow!("there is no account {name:?}{hint}")
    })
}

/// The name of an account.
pub(crate) fn account_name(catalog: &Catalog, id: AccountId) -> String {
    let found = catalog.accounts.iter().find(|account| account.id == id);
    found.map_or_else(|| format!("{id} (removed)"), |account| account.name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_is_named_as_files_name_it() {
        for stage in Stage::value_variants() {
            let written = serde_json::to_value(stage.review()).unwrap();
            assert_eq!(written, name(stage.review()));
            let typed = stage.to_possible_value().unwrap();
            assert_eq!(typed.get_name(), name(stage.review()));
        }
    }
}
