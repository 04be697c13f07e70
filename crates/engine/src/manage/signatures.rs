//! Signatures: made, changed, reviewed, removed.

use super::{Decided, ManageError, Then, reviews, through};
use crate::catalog::Snapshot;
use crate::engine::Engine;
use std::sync::Arc;
use store::{AccountId, CatalogChange, CatalogExpectation, Review, Signature};

const WHAT: &str = "signature";

/// A signature to make. The dialect has checked what it demands of texts.
#[derive(Debug, Clone)]
pub struct NewSignature {
    /// Without brackets.
    pub text: Box<str>,
    /// What only the dialect knows of it.
    pub details: serde_json::Value,
    /// What follows.
    pub then: Then,
}

/// What to change of a signature; `None` leaves it.
#[derive(Debug, Clone)]
pub struct SignatureEdit {
    /// Without brackets.
    pub text: Option<Box<str>>,
    /// What only the dialect knows of it.
    pub details: Option<serde_json::Value>,
    /// True: only a rejected one may be changed (UCloud).
    pub only_rejected: bool,
    /// What follows.
    pub then: Then,
}

impl Engine {
    /// Makes a signature. Its text is unique within the account.
    ///
    /// # Errors
    /// [`ManageError::NameTaken`], [`ManageError::TooMany`].
    pub async fn add_signature(
        &self,
        account: AccountId,
        new: NewSignature,
    ) -> Result<Arc<Signature>, ManageError> {
        let now = self.now();
        let most = self.account_limits().signatures_max;
        self.change(|catalog| {
            if catalog.signatures_of(account).count() >= most {
                self.count_full("signatures_max");
                return Err(ManageError::TooMany(most));
            }
            text_is_free(catalog, account, &new.text, None)?;
            let signature = Signature {
                account,
                id: self.numbers().signature(catalog.signature_id_max()),
                text: new.text.clone(),
                review: Review::Draft,
                reason: Box::default(),
                details: new.details.clone(),
                created_at: now,
                updated_at: now,
            };
            let expected = vec![
                CatalogExpectation::NoSignature(signature.id),
                CatalogExpectation::FewerSignatures(account, most),
                the_text(&signature, None),
            ];
            Ok(put(reviews(catalog, account, new.then), &signature, expected))
        })
        .await
    }

    /// Changes a signature. Templates bound to it wait for its review.
    ///
    /// # Errors
    /// [`ManageError::Unknown`], [`ManageError::InReview`], [`ManageError::NotRejected`],
    /// [`ManageError::NameTaken`].
    pub async fn change_signature(
        &self,
        account: AccountId,
        id: i64,
        edit: SignatureEdit,
    ) -> Result<Arc<Signature>, ManageError> {
        let now = self.now();
        self.change(|catalog| {
            let old = signature_of(catalog, account, id)?;
            match old.review {
                Review::Submitted => return Err(ManageError::InReview(WHAT)),
                Review::Rejected => {}
                _ if edit.only_rejected => return Err(ManageError::NotRejected(WHAT)),
                _ => {}
            }
            let mut expected = vec![as_read(old)];
            let mut signature = (**old).clone();
            if let Some(text) = &edit.text {
                text_is_free(catalog, account, text, Some(id))?;
                signature.text.clone_from(text);
                expected.push(the_text(&signature, Some(id)));
            }
            if let Some(details) = &edit.details {
                signature.details.clone_from(details);
            }
            signature.updated_at = now;
            if signature.text == old.text && old.review != Review::Rejected {
                return Ok(Decided {
                    expected,
                    changes: vec![CatalogChange::PutSignature(signature.clone())],
                    value: Arc::new(signature),
                });
            }
            signature.reason = Box::default();
            Ok(put(reviews(catalog, account, edit.then), &signature, expected))
        })
        .await
    }

    /// Ends the review of a signature, or switches one off and on again.
    ///
    /// # Errors
    /// [`ManageError::Unknown`], [`ManageError::NotInReview`].
    pub async fn review_signature(
        &self,
        account: AccountId,
        id: i64,
        review: Review,
        reason: &str,
    ) -> Result<Arc<Signature>, ManageError> {
        let now = self.now();
        self.change(|catalog| {
            let old = signature_of(catalog, account, id)?;
            let mut signature = (**old).clone();
            super::may_become(signature.review, review, WHAT)?;
            signature.review = review;
            signature.reason = reason.into();
            signature.updated_at = now;
            Ok(Decided {
                expected: vec![as_read(old)],
                changes: vec![CatalogChange::PutSignature(signature.clone())],
                value: Arc::new(signature),
            })
        })
        .await
    }

    /// Removes signatures, all or none.
    ///
    /// # Errors
    /// [`ManageError::Unknown`], [`ManageError::InReview`], [`ManageError::InUse`] while a template names one.
    pub async fn remove_signatures(&self, account: AccountId, ids: &[i64]) -> Result<(), ManageError> {
        self.change(|catalog| {
            let mut changes = Vec::with_capacity(ids.len());
            let mut expected = Vec::with_capacity(2 * ids.len());
            for &id in ids {
                let signature = signature_of(catalog, account, id)?;
                if signature.review == Review::Submitted {
                    return Err(ManageError::InReview(WHAT));
                }
                let used = catalog
                    .templates_of(account)
                    .any(|entry| entry.template.signature == Some(id));
                if used {
                    return Err(ManageError::InUse(WHAT));
                }
                expected.push(as_read(signature));
                expected.push(CatalogExpectation::UnusedSignature(account, id));
                changes.push(CatalogChange::RemoveSignature(id));
            }
            Ok(Decided {
                expected,
                changes,
                value: (),
            })
        })
        .await
    }
}

fn put(
    reviews: &[Review],
    signature: &Signature,
    expected: Vec<CatalogExpectation>,
) -> Decided<Arc<Signature>> {
    let (changes, value) = through(
        reviews,
        signature,
        |signature, review| signature.review = review,
        CatalogChange::PutSignature,
    );
    Decided {
        expected,
        changes,
        value,
    }
}

/// Nobody has changed it since.
fn as_read(signature: &Signature) -> CatalogExpectation {
    CatalogExpectation::Signature(Box::new(signature.clone()))
}

/// No other signature of the account has its text.
fn the_text(signature: &Signature, except: Option<i64>) -> CatalogExpectation {
    CatalogExpectation::SignatureText {
        account: signature.account,
        text: signature.text.clone(),
        except,
    }
}

fn signature_of(catalog: &Snapshot, account: AccountId, id: i64) -> Result<&Arc<Signature>, ManageError> {
    catalog.signature(account, id).ok_or(ManageError::Unknown(WHAT))
}

fn text_is_free(
    catalog: &Snapshot,
    account: AccountId,
    text: &str,
    own: Option<i64>,
) -> Result<(), ManageError> {
    let taken = catalog
        .signatures_of(account)
        .any(|other| *other.text == *text && Some(other.id) != own);
    if taken {
        return Err(ManageError::NameTaken(WHAT));
    }
    Ok(())
}
