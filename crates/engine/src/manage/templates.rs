//! Templates: made, changed, submitted, reviewed, removed.

use super::{Decided, ManageError, Then, reviews, through};
use crate::catalog::{Snapshot, TemplateEntry};
use crate::engine::Engine;
use rand::Rng;
use sms::class::Class;
use std::sync::Arc;
use store::{
    AccountId, CatalogChange, CatalogExpectation, Position, Review, StoreError, Template, TemplateVersion,
};

const WHAT: &str = "template";
/// The first number given to a template: what is below is kept for the operator's own file.
const NUMBER_FIRST: i64 = 1001;
/// Letters of made `UT…` ids: those that are not taken for others.
const UT_LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const UT_LETTERS_COUNT: usize = 12;

/// A template to make. The dialect has checked what it demands of names and texts.
#[derive(Debug, Clone)]
pub struct NewTemplate {
    /// Its name.
    pub name: Box<str>,
    /// Whether another template of the account may have that name.
    pub unique_name: bool,
    /// Traffic class.
    pub class: Class,
    /// Content without signature.
    pub text: Box<str>,
    /// The signature bound to it: one of the account's.
    pub signature: Option<i64>,
    /// Where that signature stands.
    pub position: Position,
    /// What the account notes about it.
    pub remark: Box<str>,
    /// What only the dialect knows of it.
    pub details: serde_json::Value,
    /// What follows.
    pub then: Then,
}

/// What to change of a template; `None` leaves it.
#[derive(Debug, Clone)]
pub struct TemplateEdit {
    /// Its name.
    pub name: Option<Box<str>>,
    /// Whether another template of the account may have that name.
    pub unique_name: bool,
    /// Traffic class.
    pub class: Option<Class>,
    /// Content without signature.
    pub text: Option<Box<str>>,
    /// The signature bound to it; `Some(None)` takes it off.
    pub signature: Option<Option<i64>>,
    /// Where that signature stands.
    pub position: Option<Position>,
    /// What the account notes about it.
    pub remark: Option<Box<str>>,
    /// What only the dialect knows of it.
    pub details: Option<serde_json::Value>,
    /// What follows when it is another version then; what changes nothing that is sent leaves the review.
    pub then: Then,
}

impl Engine {
    /// Makes a template.
    ///
    /// # Errors
    /// [`ManageError::NameTaken`], [`ManageError::Unknown`] (the signature), [`ManageError::TooMany`].
    pub async fn add_template(
        &self,
        account: AccountId,
        new: NewTemplate,
    ) -> Result<Arc<Template>, ManageError> {
        let now = self.now();
        let most = self.account_limits().templates_max;
        self.change(|catalog| {
            if catalog.templates_of(account).count() >= most {
                self.count_full("templates_max");
                return Err(ManageError::TooMany(most));
            }
            name_is_free(catalog, account, &new.name, new.unique_name, None)?;
            has_signature(catalog, account, new.signature)?;
            let template = Template {
                account,
                number: self
                    .numbers()
                    .template(catalog.template_number_max().max(NUMBER_FIRST - 1)),
                ut_id: free_ut_id(catalog),
                name: new.name.clone(),
                class: new.class,
                text: new.text.clone(),
                review: Review::Draft,
                reason: Box::default(),
                signature: new.signature,
                position: new.position,
                version: 1,
                ttl_s: None,
                remark: new.remark.clone(),
                details: new.details.clone(),
                created_at: now,
                updated_at: now,
            };
            let mut expected = vec![
                CatalogExpectation::NoTemplate {
                    number: template.number,
                    ut_id: template.ut_id.clone(),
                },
                CatalogExpectation::FewerTemplates(account, most),
            ];
            expected.extend(new.unique_name.then(|| the_name(&template, None)));
            expected.extend(the_signature(&template));
            Ok(put(reviews(catalog, account, new.then), &template, expected))
        })
        .await
    }

    /// Changes a template.
    ///
    /// # Errors
    /// [`ManageError::Unknown`], [`ManageError::InReview`], [`ManageError::NameTaken`].
    pub async fn change_template(
        &self,
        account: AccountId,
        number: i64,
        edit: TemplateEdit,
    ) -> Result<Arc<Template>, ManageError> {
        let now = self.now();
        self.change(|catalog| {
            let old = &template_of(catalog, account, number)?.template;
            if old.review == Review::Submitted {
                return Err(ManageError::InReview(WHAT));
            }
            let mut expected = vec![as_read(old)];
            let mut template = old.clone();
            if let Some(name) = &edit.name {
                name_is_free(catalog, account, name, edit.unique_name, Some(number))?;
                template.name.clone_from(name);
                expected.extend(edit.unique_name.then(|| the_name(&template, Some(number))));
            }
            if let Some(signature) = edit.signature {
                has_signature(catalog, account, signature)?;
                template.signature = signature;
                expected.extend(the_signature(&template));
            }
            if let Some(text) = &edit.text {
                template.text.clone_from(text);
            }
            template.class = edit.class.unwrap_or(template.class);
            template.position = edit.position.unwrap_or(template.position);
            if let Some(remark) = &edit.remark {
                template.remark.clone_from(remark);
            }
            if let Some(details) = &edit.details {
                template.details.clone_from(details);
            }
            template.updated_at = now;
            if same_version(old, &template) && old.review != Review::Rejected {
                return Ok(Decided {
                    expected,
                    changes: vec![CatalogChange::PutTemplate(template.clone())],
                    value: Arc::new(template),
                });
            }
            template.version = old.version.saturating_add(1);
            template.reason = Box::default();
            Ok(put(reviews(catalog, account, edit.then), &template, expected))
        })
        .await
    }

    /// Submits a draft, or a rejected template once more.
    ///
    /// # Errors
    /// [`ManageError::Unknown`], [`ManageError::Submitted`] when it is under review or approved.
    pub async fn submit_template(
        &self,
        account: AccountId,
        number: i64,
    ) -> Result<Arc<Template>, ManageError> {
        let now = self.now();
        self.change(|catalog| {
            let old = &template_of(catalog, account, number)?.template;
            let mut template = old.clone();
            if !matches!(template.review, Review::Draft | Review::Rejected) {
                return Err(ManageError::Submitted(WHAT));
            }
            template.updated_at = now;
            template.reason = Box::default();
            Ok(put(
                reviews(catalog, account, Then::Submit),
                &template,
                vec![as_read(old)],
            ))
        })
        .await
    }

    /// Ends the review of a template, or switches one off ([`Review::Disabled`]) and on again
    /// ([`Review::Approved`]).
    ///
    /// # Errors
    /// [`ManageError::Unknown`]; [`ManageError::NotInReview`] for a decision on what is not under review.
    pub async fn review_template(
        &self,
        account: AccountId,
        number: i64,
        review: Review,
        reason: &str,
    ) -> Result<Arc<Template>, ManageError> {
        let now = self.now();
        self.change(|catalog| {
            let old = &template_of(catalog, account, number)?.template;
            let mut template = old.clone();
            super::may_become(template.review, review, WHAT)?;
            template.review = review;
            template.reason = reason.into();
            template.updated_at = now;
            Ok(Decided {
                expected: vec![as_read(old)],
                changes: vec![CatalogChange::PutTemplate(template.clone())],
                value: Arc::new(template),
            })
        })
        .await
    }

    /// Removes templates, all or none. What is queued with them still goes out.
    ///
    /// # Errors
    /// [`ManageError::Unknown`], [`ManageError::InReview`].
    pub async fn remove_templates(&self, account: AccountId, numbers: &[i64]) -> Result<(), ManageError> {
        self.change(|catalog| {
            let mut changes = Vec::with_capacity(numbers.len());
            let mut expected = Vec::with_capacity(numbers.len());
            for &number in numbers {
                let template = &template_of(catalog, account, number)?.template;
                if template.review == Review::Submitted {
                    return Err(ManageError::InReview(WHAT));
                }
                expected.push(as_read(template));
                changes.push(CatalogChange::RemoveTemplate(number));
            }
            Ok(Decided {
                expected,
                changes,
                value: (),
            })
        })
        .await
    }

    /// What a template once was, the newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn template_versions(
        &self,
        number: i64,
        versions_max: usize,
    ) -> Result<Vec<TemplateVersion>, StoreError> {
        self.store().template_versions(number, versions_max).await
    }
}

fn put(reviews: &[Review], template: &Template, expected: Vec<CatalogExpectation>) -> Decided<Arc<Template>> {
    let (changes, value) = through(
        reviews,
        template,
        |template, review| template.review = review,
        CatalogChange::PutTemplate,
    );
    Decided {
        expected,
        changes,
        value,
    }
}

/// Nobody has changed it since.
fn as_read(template: &Template) -> CatalogExpectation {
    CatalogExpectation::Template(Box::new(template.clone()))
}

/// No other template of the account has its name.
fn the_name(template: &Template, except: Option<i64>) -> CatalogExpectation {
    CatalogExpectation::TemplateName {
        account: template.account,
        name: template.name.clone(),
        except,
    }
}

/// Its signature, if it names one, is there.
fn the_signature(template: &Template) -> Option<CatalogExpectation> {
    let signature = template.signature?;
    Some(CatalogExpectation::HasSignature(template.account, signature))
}

fn template_of(
    catalog: &Snapshot,
    account: AccountId,
    number: i64,
) -> Result<&Arc<TemplateEntry>, ManageError> {
    catalog
        .template_by_number(account, number)
        .ok_or(ManageError::Unknown(WHAT))
}

fn has_signature(catalog: &Snapshot, account: AccountId, id: Option<i64>) -> Result<(), ManageError> {
    match id {
        Some(id) if catalog.signature(account, id).is_none() => Err(ManageError::Unknown("signature")),
        _ => Ok(()),
    }
}

fn name_is_free(
    catalog: &Snapshot,
    account: AccountId,
    name: &str,
    unique: bool,
    own: Option<i64>,
) -> Result<(), ManageError> {
    let taken = unique
        && catalog
            .templates_of(account)
            .any(|other| *other.template.name == *name && Some(other.template.number) != own);
    if taken {
        return Err(ManageError::NameTaken(WHAT));
    }
    Ok(())
}

/// Whether what is sent with it is the same.
fn same_version(old: &Template, new: &Template) -> bool {
    (&old.text, old.signature, old.position, old.class) == (&new.text, new.signature, new.position, new.class)
}

/// An id of the vendors' shape that no template has.
fn free_ut_id(catalog: &Snapshot) -> Box<str> {
    let mut rng = rand::rng();
    loop {
        let letters = (0..UT_LETTERS_COUNT)
            .filter_map(|_| UT_LETTERS.get(rng.random_range(0..UT_LETTERS.len())))
            .map(|&letter| char::from(letter));
        let id: String = "UTA".chars().chain(letters).collect();
        if !catalog.has_ut_id(&id) {
            return id.into();
        }
    }
}
