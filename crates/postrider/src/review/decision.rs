//! Review decisions: read the catalog once and write one change, for all of the named objects or for none.

use super::{account_name, name};
use crate::exit::Failure;
use anyhow::{Context, anyhow};
use engine::catalog::{Catalog, CatalogChange, Review, Signature, Template};
use store::{AccountId, Store, UnixMs};

/// Attempts to change the catalog while others change it.
const TRIES_MAX: usize = 20;

/// An operator's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    Approve,
    Reject(Box<str>),
    Disable(Box<str>),
    Enable,
}

impl Decision {
    /// The resulting state of the review.
    ///
    /// # Errors
    /// Why the decision is not possible, and what can be done instead.
    pub(super) fn on(&self, review: Review) -> Result<Review, &'static str> {
        match (self, review) {
            // Approving a rejected object reverts the rejection.
            (Self::Approve, Review::Submitted | Review::Rejected) => Ok(Review::Approved),
            (Self::Reject(_), Review::Submitted) => Ok(Review::Rejected),
            (Self::Disable(_), Review::Approved) => Ok(Review::Disabled),
            (Self::Enable, Review::Disabled) => Ok(Review::Approved),
            (Self::Approve, Review::Disabled) => Err("it is disabled; use `enable`"),
            (Self::Reject(_), Review::Approved) => Err("it is approved already; use `disable`"),
            (Self::Approve, Review::Approved) => Err("it is approved already"),
            (Self::Reject(_), Review::Rejected) => Err("it is rejected already"),
            (Self::Approve | Self::Reject(_), _) => Err("only a submitted one can be approved or rejected"),
            (Self::Disable(_), _) => Err("only an approved one can be disabled"),
            (Self::Enable, _) => Err("only a disabled one can be enabled"),
        }
    }

    pub(super) fn reason(&self) -> Box<str> {
        match self {
            Self::Approve | Self::Enable => Box::default(),
            Self::Reject(reason) | Self::Disable(reason) => reason.clone(),
        }
    }
}

/// An object with a review.
pub(super) trait Reviewed: Clone {
    /// The kind of the object, for messages.
    const WHAT: &'static str;

    /// Finds an object by its number or id.
    fn named<'c>(catalog: &'c Catalog, name: &str) -> Option<&'c Self>;
    /// Number and name, for messages.
    fn shown(&self) -> String;
    fn account(&self) -> AccountId;
    fn review(&self) -> Review;
    /// When it last changed, Unix milliseconds.
    fn updated_at(&self) -> UnixMs;
    /// Sets the review, its reason and the time of the change.
    fn set(&mut self, review: Review, reason: Box<str>, now: UnixMs);
    /// The catalog change that stores the object.
    fn put(self) -> CatalogChange;
}

impl Reviewed for Template {
    const WHAT: &'static str = "template";

    fn named<'c>(catalog: &'c Catalog, name: &str) -> Option<&'c Self> {
        let number: Option<i64> = name.parse().ok();
        let by_number = |template: &&Self| Some(template.number) == number;
        let by_ut_id = |template: &&Self| &*template.ut_id == name;
        let mut templates = catalog.templates.iter();
        templates
            .clone()
            .find(by_number)
            .or_else(|| templates.find(by_ut_id))
    }

    fn shown(&self) -> String {
        format!("{} ({})", self.number, self.name)
    }

    fn account(&self) -> AccountId {
        self.account
    }

    fn review(&self) -> Review {
        self.review
    }

    fn updated_at(&self) -> UnixMs {
        self.updated_at
    }

    fn set(&mut self, review: Review, reason: Box<str>, now: UnixMs) {
        (self.review, self.reason, self.updated_at) = (review, reason, now);
    }

    fn put(self) -> CatalogChange {
        CatalogChange::PutTemplate(self)
    }
}

impl Reviewed for Signature {
    const WHAT: &'static str = "signature";

    fn named<'c>(catalog: &'c Catalog, name: &str) -> Option<&'c Self> {
        let number: i64 = name.parse().ok()?;
        catalog.signatures.iter().find(|signature| signature.id == number)
    }

    fn shown(&self) -> String {
        format!("{} ({})", self.id, self.text)
    }

    fn account(&self) -> AccountId {
        self.account
    }

    fn review(&self) -> Review {
        self.review
    }

    fn updated_at(&self) -> UnixMs {
        self.updated_at
    }

    fn set(&mut self, review: Review, reason: Box<str>, now: UnixMs) {
        (self.review, self.reason, self.updated_at) = (review, reason, now);
    }

    fn put(self) -> CatalogChange {
        CatalogChange::PutSignature(self)
    }
}

/// A reviewed object.
pub(super) struct ReviewChange<T> {
    /// Its review before the decision.
    pub(super) before: Review,
    /// The object with the decision.
    pub(super) now: T,
}

impl<T: Reviewed> ReviewChange<T> {
    /// The catalog changes that store it. Accounts get an event only when an object leaves the state "submitted", so
    /// a rejected one is submitted again first.
    fn changes(&self) -> impl Iterator<Item = CatalogChange> {
        let taken_back = (self.before == Review::Rejected).then(|| {
            let mut before = self.now.clone();
            let now = before.updated_at();
            before.set(Review::Submitted, Box::default(), now);
            before.put()
        });
        taken_back.into_iter().chain([self.now.clone().put()])
    }
}

/// The reviewed objects, with the catalog that was read.
pub(super) type ReviewChanges<T> = (Catalog, Vec<ReviewChange<T>>);

/// Applies a decision to all named objects in one change; when it is not possible for one of them, nothing is changed. A running
/// node applies the change like that of a catalog file.
pub(super) async fn review_all<T: Reviewed>(
    store: &dyn Store,
    names: &[String],
    decision: &Decision,
    now: UnixMs,
) -> Result<ReviewChanges<T>, Failure> {
    for _ in 0..TRIES_MAX {
        let catalog = store.load_catalog().await.context("read the catalog")?;
        let reviewed = decide::<T>(&catalog, names, decision, now)
            .map_err(|wrong| Failure::bad_input(anyhow!("nothing was changed:\n  {}", wrong.join("\n  "))))?;
        let changes = reviewed.iter().flat_map(ReviewChange::changes).collect();
        let done = store.change_catalog_at(catalog.version, changes).await;
        if done.context("write the catalog")?.is_some() {
            return Ok((catalog, reviewed));
        }
    }
    Err(anyhow!("the catalog was changed by others at each attempt: try again").into())
}

fn decide<T: Reviewed>(
    catalog: &Catalog,
    names: &[String],
    decision: &Decision,
    now: UnixMs,
) -> Result<Vec<ReviewChange<T>>, Vec<String>> {
    let what = T::WHAT;
    let (mut reviewed, mut wrong) = (Vec::new(), Vec::new());
    let mut seen = Vec::new();
    for written in names {
        let Some(thing) = T::named(catalog, written) else {
            wrong.push(format!("there is no {what} {written}"));
            continue;
        };
        let shown = thing.shown();
        if seen.contains(&shown) {
            continue;
        }
        match decision.on(thing.review()) {
            Ok(review) => {
                let mut thing = thing.clone();
                let before = thing.review();
                thing.set(review, decision.reason(), now);
                reviewed.push(ReviewChange { before, now: thing });
            }
            Err(why) => {
                let account = account_name(catalog, thing.account());
                let review = name(thing.review());
                wrong.push(format!("{what} {shown} of {account} is {review}: {why}"));
            }
        }
        seen.push(shown);
    }
    if wrong.is_empty() {
        Ok(reviewed)
    } else {
        Err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::catalog::Position;
    use sms::class::Class;

    fn template(number: i64, review: Review) -> Template {
        Template {
            account: AccountId(1),
            number,
            ut_id: format!("UTA{number}").into(),
            name: "hello".into(),
            class: Class::Notice,
            text: "Hello".into(),
            review,
            reason: "old".into(),
            signature: None,
            position: Position::Front,
            version: 3,
            ttl_s: None,
            remark: "".into(),
            details: serde_json::Value::Null,
            created_at: 1,
            updated_at: 1,
        }
    }

    fn catalog() -> Catalog {
        Catalog {
            templates: vec![
                template(1, Review::Submitted),
                template(2, Review::Approved),
                template(3, Review::Draft),
            ],
            ..Catalog::default()
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_decision_sets_review_reason_and_time_and_no_version() {
        let reviewed = decide::<Template>(&catalog(), &names(&["UTA1", "1"]), &Decision::Approve, 9).unwrap();
        assert_eq!(reviewed.len(), 1, "the same one is reviewed once");
        let now = &reviewed[0].now;
        assert_eq!(
            (reviewed[0].before, now.review),
            (Review::Submitted, Review::Approved)
        );
        assert_eq!((&*now.reason, now.updated_at, now.version), ("", 9, 3));
        let reject = Decision::Reject("no sender".into());
        let reviewed = decide::<Template>(&catalog(), &names(&["1"]), &reject, 9).unwrap();
        assert_eq!(
            (reviewed[0].now.review, &*reviewed[0].now.reason),
            (Review::Rejected, "no sender")
        );
    }

    #[test]
    fn a_rejection_that_is_taken_back_goes_through_the_review_again() {
        let catalog = Catalog {
            templates: vec![template(5, Review::Rejected)],
            ..Catalog::default()
        };
        let reviewed = decide::<Template>(&catalog, &names(&["5"]), &Decision::Approve, 9).unwrap();
        let reviews: Vec<Review> = reviewed[0]
            .changes()
            .map(|change| match change {
                CatalogChange::PutTemplate(template) => template.review,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(reviews, [Review::Submitted, Review::Approved]);
    }

    #[test]
    fn all_impossible_decisions_are_reported_and_nothing_changes() {
        let wrong =
            decide::<Template>(&catalog(), &names(&["1", "2", "3", "4"]), &Decision::Approve, 9).err();
        assert_eq!(
            wrong.unwrap(),
            [
                "template 2 (hello) of 1 (removed) is approved: it is approved already",
                "template 3 (hello) of 1 (removed) is draft: only a submitted one can be approved or rejected",
                "there is no template 4",
            ]
        );
    }

    #[test]
    fn every_decision_leads_to_a_state_that_the_engine_allows() {
        use Review::{Approved, Disabled, Draft, Rejected, Submitted};
        let why = || Box::from("why");
        let leads = |decision: &Decision| -> Vec<(Review, Review)> {
            [Draft, Submitted, Approved, Rejected, Disabled]
                .into_iter()
                .filter_map(|review| Some((review, decision.on(review).ok()?)))
                .collect()
        };
        assert_eq!(
            leads(&Decision::Approve),
            [(Submitted, Approved), (Rejected, Approved)],
            "a mistaken rejection is reverted by approving"
        );
        assert_eq!(leads(&Decision::Reject(why())), [(Submitted, Rejected)]);
        assert_eq!(leads(&Decision::Disable(why())), [(Approved, Disabled)]);
        assert_eq!(leads(&Decision::Enable), [(Disabled, Approved)]);
    }
}
