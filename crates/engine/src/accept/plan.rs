//! Where each recipient of a submission went, and what it came to once the store has said what it stored.

use super::{AcceptError, ItemOutcome, Outcome, RecipientOutcome, Refusal};
use store::{AcceptOutcome, RefusedReason};

/// Which stored message, or which refusal, each recipient of a submission came to.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(super) items: Vec<ItemPlan>,
}

/// The same of one item.
#[derive(Debug)]
pub(super) struct ItemPlan {
    pub(super) refused: Option<Refusal>,
    pub(super) template: i64,
    pub(super) recipients: Vec<Placement>,
}

/// Where a recipient went.
#[derive(Debug, Clone, Copy)]
pub(super) enum Placement {
    Refused(Refusal),
    Stored { batch: u32, message: u32 },
}

impl Plan {
    /// How many recipients have a place among what is to be stored, and how many have none.
    pub(crate) fn placements(&self) -> (u64, u64) {
        let placements = || self.items.iter().flat_map(|item| &item.recipients);
        let stored = placements()
            .filter(|placement| matches!(placement, Placement::Stored { .. }))
            .count() as u64;
        (stored, placements().count() as u64 - stored)
    }

    /// The outcome, once the store has said what it stored.
    ///
    /// # Errors
    /// [`AcceptError::Internal`] when that does not fit together.
    pub(crate) fn outcome(&self, stored: &AcceptOutcome) -> Result<Outcome, AcceptError> {
        let mut refused_at_commit: Vec<_> = stored.refused.clone();
        refused_at_commit.sort_unstable_by_key(|refused| (refused.batch, refused.message));
        let result = |placement: &Placement| match *placement {
            Placement::Refused(refusal) => Ok(RecipientOutcome::Refused(refusal)),
            Placement::Stored { batch, message } => {
                let key = (batch, message);
                // Messages of a batch stay contiguous without the refused ones: each refused one before
                // this one moves it forward by one.
                let of_batch = refused_at_commit.partition_point(|refused| refused.batch < batch);
                match refused_at_commit.binary_search_by_key(&key, |refused| (refused.batch, refused.message))
                {
                    Ok(at) => {
                        let reason = refused_at_commit.get(at).map(|refused| refused.reason);
                        reason
                            .and_then(refusal_at_commit)
                            .map(RecipientOutcome::Refused)
                            .ok_or(AcceptError::Internal("a refusal that has no reason"))
                    }
                    Err(at) => {
                        let before = at.saturating_sub(of_batch);
                        let first = stored.batches.get(batch as usize).map(|range| range.first);
                        first
                            .map(|first| {
                                RecipientOutcome::Accepted(first.plus(i64::from(message) - before as i64))
                            })
                            .ok_or(AcceptError::Internal("a batch that was not stored"))
                    }
                }
            }
        };
        let items = self.items.iter().map(|item| {
            let outcomes: Vec<RecipientOutcome> =
                item.recipients.iter().map(result).collect::<Result<_, _>>()?;
            let session = item
                .recipients
                .iter()
                .zip(&outcomes)
                .find_map(|(placement, result)| match (placement, result) {
                    (Placement::Stored { batch, .. }, RecipientOutcome::Accepted(_)) => {
                        stored.batches.get(*batch as usize).map(|range| range.session)
                    }
                    _ => None,
                });
            Ok(ItemOutcome {
                refused: item.refused,
                session,
                template: item.template,
                outcomes,
            })
        });
        Ok(Outcome {
            items: items.collect::<Result<_, AcceptError>>()?,
        })
    }
}

const fn refusal_at_commit(reason: RefusedReason) -> Option<Refusal> {
    match reason {
        RefusedReason::PerMinute => Some(Refusal::PerMinute),
        RefusedReason::PerDay => Some(Refusal::PerDay),
        RefusedReason::Suppressed(kind) => Some(Refusal::PhoneSuppressed(kind)),
        _ => None,
    }
}
