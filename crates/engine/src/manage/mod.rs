//! What accounts set up themselves: templates and signatures, and their review.
//!
//! One model stands behind all dialects: draft, submitted, approved or rejected, disabled. A change of what is sent
//! (text, signature, position, class) makes another version that has to be reviewed again; what is queued already goes
//! out as it was approved, for a batch carries its text with it.
//!
//! The catalog belongs to the operator's tools too, and many clients change it at once. So every change names what it
//! relies on (the template as it was read, a name that is free) and the store makes it only while that holds: else it is
//! decided again from a newer catalog. Changes of different things never conflict.

mod signatures;
mod templates;

pub use signatures::{NewSignature, SignatureEdit};
pub use templates::{NewTemplate, TemplateEdit};

use crate::catalog::Snapshot;
use crate::engine::Engine;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use store::{AccountId, CatalogChange, CatalogExpectation, Review, StoreError};
use thiserror::Error;

/// Why a template or signature could not be changed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ManageError {
    /// The account has none of that number, id or name.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// The account has another one of that name.
    #[error("another {0} of the account has that name")]
    NameTaken(&'static str),
    /// It is under review: neither changed nor removed until that has ended.
    #[error("the {0} is under review")]
    InReview(&'static str),
    /// It was submitted before.
    #[error("the {0} was submitted already")]
    Submitted(&'static str),
    /// Only what is under review can be approved or rejected.
    #[error("the {0} is not under review")]
    NotInReview(&'static str),
    /// Only rejected ones may be changed (signatures, UCloud).
    #[error("only a rejected {0} can be changed")]
    NotRejected(&'static str),
    /// A template names it.
    #[error("templates use the {0}")]
    InUse(&'static str),
    /// The account has as many as it may have.
    #[error("the account has {0} of them, which is the most")]
    TooMany(usize),
    /// The store did not take it.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The stored catalog cannot be used.
    #[error("the catalog could not be applied: {0}")]
    Catalog(String),
}

/// What follows a change of something that is reviewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It is a draft: its owner submits it later.
    Keep,
    /// It is submitted at once; accounts that approve automatically have it approved.
    Submit,
}

/// A change as it was decided.
pub(crate) struct Decided<T> {
    /// What it relies on.
    pub(crate) expected: Vec<CatalogExpectation>,
    /// What is written; nothing is done when it is empty.
    pub(crate) changes: Vec<CatalogChange>,
    /// What comes of it.
    pub(crate) value: T,
}

/// The highest numbers given to templates and signatures, so that two made at once get different ones.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    template: AtomicI64,
    signature: AtomicI64,
}

impl Numbers {
    /// A number for a template above `known`.
    pub(crate) fn template(&self, known: i64) -> i64 {
        above(&self.template, known)
    }

    /// An id for a signature above `known`.
    pub(crate) fn signature(&self, known: i64) -> i64 {
        above(&self.signature, known)
    }
}

fn above(given: &AtomicI64, known: i64) -> i64 {
    let before = given.fetch_max(known, Ordering::Relaxed);
    debug_assert!(before >= 0 && known >= 0);
    given.fetch_add(1, Ordering::Relaxed).saturating_add(1)
}

/// Times a change is decided again because its premises have changed.
const TRIES_MAX: usize = 20;

impl Engine {
    /// Makes changes from a look at the catalog: `decide` is called again when something that they rely on has changed
    /// meanwhile. When this returns, [`Engine::catalog`] shows the change.
    pub(crate) async fn change<T>(
        &self,
        mut decide: impl FnMut(&Snapshot) -> Result<Decided<T>, ManageError> + Send,
    ) -> Result<T, ManageError> {
        for _ in 0..TRIES_MAX {
            let catalog = self.catalog();
            let Decided {
                expected,
                changes,
                value,
            } = decide(&catalog)?;
            if changes.is_empty() {
                return Ok(value);
            }
            let under_way = self.shared.changes.begin();
            let kept = changes.clone();
            let done = self.store().change_catalog_if(expected, changes).await?;
            match done {
                Some(version) => under_way.made(version, kept),
                None => drop(under_way),
            }
            // What was in the way is in a later version than the one that was looked at.
            let wanted = done.unwrap_or_else(|| catalog.version().saturating_add(1));
            self.catalog_since(wanted)
                .await
                .map_err(|error| ManageError::Catalog(error.to_string()))?;
            if done.is_some() {
                return Ok(value);
            }
        }
        Err(StoreError::Busy { waiting: TRIES_MAX }.into())
    }
}

/// The reviews something goes through when it is changed, the last one being where it stays. Going through
/// [`Review::Submitted`] is what makes an approval an event.
fn reviews(catalog: &Snapshot, account: AccountId, then: Then) -> &'static [Review] {
    let auto = catalog
        .account(account)
        .is_some_and(|account| account.auto_approve);
    match (then, auto) {
        (Then::Keep, _) => &[Review::Draft],
        (Then::Submit, false) => &[Review::Submitted],
        (Then::Submit, true) => &[Review::Submitted, Review::Approved],
    }
}

/// Whether a review may end so.
fn may_become(review: Review, next: Review, what: &'static str) -> Result<(), ManageError> {
    let fits = match next {
        Review::Approved => matches!(review, Review::Submitted | Review::Disabled),
        Review::Rejected => review == Review::Submitted,
        Review::Disabled => review == Review::Approved,
        Review::Draft | Review::Submitted => false,
    };
    if fits {
        Ok(())
    } else {
        Err(ManageError::NotInReview(what))
    }
}

/// One change for each review, the last one last; and the thing as it is then.
fn through<T: Clone>(
    reviews: &[Review],
    thing: &T,
    set: impl Fn(&mut T, Review),
    put: impl Fn(T) -> CatalogChange,
) -> (Vec<CatalogChange>, Arc<T>) {
    let mut last = thing.clone();
    let changes = reviews
        .iter()
        .map(|&review| {
            set(&mut last, review);
            put(last.clone())
        })
        .collect();
    (changes, Arc::new(last))
}
