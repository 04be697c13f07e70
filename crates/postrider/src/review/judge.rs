//! Judging: from one look at the catalog to one change of it, all of what was named or nothing.

use super::{account_name, name};
use crate::exit::Failure;
use anyhow::{Context, anyhow};
use engine::catalog::{Catalog, CatalogChange, Review, Signature, Template};
use store::{AccountId, Store, UnixMs};

/// Times the change is made anew because somebody else changed the catalog meanwhile.
const TRIES_MAX: usize = 20;

/// What an operator says about something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be used.
    Approve,
    /// It may not, with the reason.
    Reject(Box<str>),
    /// It may no longer be used, with the reason.
    Disable(Box<str>),
    /// It may be used again.
    Enable,
}

impl Verdict {
    /// What the review becomes.
    ///
    /// # Errors
    /// Why it cannot, and what can be done instead.
    pub(super) fn on(&self, review: Review) -> Result<Review, &'static str> {
        match (self, review) {
            // Approving what was rejected takes a mistaken rejection back.
            (Self::Approve, Review::Submitted | Review::Rejected) => Ok(Review::Approved),
            (Self::Reject(_), Review::Submitted) => Ok(Review::Rejected),
            (Self::Disable(_), Review::Approved) => Ok(Review::Disabled),
            (Self::Enable, Review::Disabled) => Ok(Review::Approved),
            (Self::Approve, Review::Disabled) => Err("it is switched off; `enable` switches it on again"),
            (Self::Reject(_), Review::Approved) => Err("it is approved already; `disable` switches it off"),
            (Self::Approve, Review::Approved) => Err("it is approved already"),
            (Self::Reject(_), Review::Rejected) => Err("it is rejected already"),
            (Self::Approve | Self::Reject(_), _) => Err("only what is submitted can be approved or rejected"),
            (Self::Disable(_), _) => Err("only what is approved can be switched off"),
            (Self::Enable, _) => Err("only what is switched off can be switched on again"),
        }
    }

    pub(super) fn reason(&self) -> Box<str> {
        match self {
            Self::Approve | Self::Enable => Box::default(),
            Self::Reject(reason) | Self::Disable(reason) => reason.clone(),
        }
    }
}

/// Something that is reviewed.
pub(super) trait Reviewed: Clone {
    /// What it is called.
    const WHAT: &'static str;

    /// The one that somebody means.
    fn named<'c>(catalog: &'c Catalog, name: &str) -> Option<&'c Self>;
    /// Its number and its name, for people.
    fn shown(&self) -> String;
    /// Whose it is.
    fn account(&self) -> AccountId;
    /// Where its review is.
    fn review(&self) -> Review;
    /// When it last changed.
    fn updated_at(&self) -> UnixMs;
    /// Sets that.
    fn set(&mut self, review: Review, reason: Box<str>, now: UnixMs);
    /// The change that stores it.
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

/// One thing that was judged.
pub(super) struct Judged<T> {
    /// As it was.
    pub(super) before: Review,
    /// As it is.
    pub(super) now: T,
}

impl<T: Reviewed> Judged<T> {
    /// The changes that store it. An account gets an event of what leaves the review, so what was rejected goes back
    /// there first.
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

/// What was judged, with the catalog it was judged by.
pub(super) type AllJudged<T> = (Catalog, Vec<Judged<T>>);

/// Judges all that are named, in one change; when one cannot be, nothing is changed. A running node takes it over as
/// it takes over an applied file.
pub(super) async fn judge<T: Reviewed>(
    store: &dyn Store,
    names: &[String],
    verdict: &Verdict,
    now: UnixMs,
) -> Result<AllJudged<T>, Failure> {
    for _ in 0..TRIES_MAX {
        let catalog = store.load_catalog().await.context("read the catalog")?;
        let judged = decide::<T>(&catalog, names, verdict, now)
            .map_err(|wrong| Failure::bad_input(anyhow!("nothing was changed:\n  {}", wrong.join("\n  "))))?;
        let changes = judged.iter().flat_map(Judged::changes).collect();
        let done = store.change_catalog_at(catalog.version, changes).await;
        if done.context("write the catalog")?.is_some() {
            return Ok((catalog, judged));
        }
    }
    Err(anyhow!("the catalog was changed by others each time: try again").into())
}

fn decide<T: Reviewed>(
    catalog: &Catalog,
    names: &[String],
    verdict: &Verdict,
    now: UnixMs,
) -> Result<Vec<Judged<T>>, Vec<String>> {
    let what = T::WHAT;
    let (mut judged, mut wrong) = (Vec::new(), Vec::new());
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
        match verdict.on(thing.review()) {
            Ok(review) => {
                let mut thing = thing.clone();
                let before = thing.review();
                thing.set(review, verdict.reason(), now);
                judged.push(Judged { before, now: thing });
            }
            Err(why) => {
                let account = account_name(catalog, thing.account());
                let review = name(thing.review());
                wrong.push(format!("{what} {shown} of {account} is {review}: {why}"));
            }
        }
        seen.push(shown);
    }
    if wrong.is_empty() { Ok(judged) } else { Err(wrong) }
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
    fn a_verdict_sets_review_reason_and_time_and_no_version() {
        let judged = decide::<Template>(&catalog(), &names(&["UTA1", "1"]), &Verdict::Approve, 9).unwrap();
        assert_eq!(judged.len(), 1, "the same one is judged once");
        let now = &judged[0].now;
        assert_eq!(
            (judged[0].before, now.review),
            (Review::Submitted, Review::Approved)
        );
        assert_eq!((&*now.reason, now.updated_at, now.version), ("", 9, 3));
        let reject = Verdict::Reject("no sender".into());
        let judged = decide::<Template>(&catalog(), &names(&["1"]), &reject, 9).unwrap();
        assert_eq!(
            (judged[0].now.review, &*judged[0].now.reason),
            (Review::Rejected, "no sender")
        );
    }

    #[test]
    fn a_rejection_that_is_taken_back_goes_through_the_review_again() {
        let catalog = Catalog {
            templates: vec![template(5, Review::Rejected)],
            ..Catalog::default()
        };
        let judged = decide::<Template>(&catalog, &names(&["5"]), &Verdict::Approve, 9).unwrap();
        let reviews: Vec<Review> = judged[0]
            .changes()
            .map(|change| match change {
                CatalogChange::PutTemplate(template) => template.review,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(reviews, [Review::Submitted, Review::Approved]);
    }

    #[test]
    fn all_that_cannot_be_judged_is_told_and_nothing_changes() {
        let wrong = decide::<Template>(&catalog(), &names(&["1", "2", "3", "4"]), &Verdict::Approve, 9).err();
        assert_eq!(
            wrong.unwrap(),
            [
                "template 2 (hello) of 1 (removed) is approved: it is approved already",
                "template 3 (hello) of 1 (removed) is draft: only what is submitted can be approved or rejected",
                "there is no template 4",
            ]
        );
    }

    #[test]
    fn every_verdict_leads_where_the_engine_lets_it() {
        use Review::{Approved, Disabled, Draft, Rejected, Submitted};
        let why = || Box::from("why");
        let leads = |verdict: &Verdict| -> Vec<(Review, Review)> {
            [Draft, Submitted, Approved, Rejected, Disabled]
                .into_iter()
                .filter_map(|review| Some((review, verdict.on(review).ok()?)))
                .collect()
        };
        assert_eq!(
            leads(&Verdict::Approve),
            [(Submitted, Approved), (Rejected, Approved)],
            "a mistaken rejection is taken back by approving"
        );
        assert_eq!(leads(&Verdict::Reject(why())), [(Submitted, Rejected)]);
        assert_eq!(leads(&Verdict::Disable(why())), [(Approved, Disabled)]);
        assert_eq!(leads(&Verdict::Enable), [(Disabled, Approved)]);
    }
}
