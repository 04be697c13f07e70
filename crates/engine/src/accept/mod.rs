//! Acceptance: turns the submissions of the dialects into stored messages.
//!
//! A dialect parses its wire into a [`Submission`]; [`check`] holds it against the catalog and the dialect's
//! [`Rules`]; the store commits it; the dialect renders the [`Outcome`]. Stored messages are enqueued in the ready
//! queues right after the commit.

mod after_commit;
mod check;
pub(crate) mod fingerprint;
mod lifetime;
mod outcome;
mod plan;
mod refused;
pub(crate) mod repeats;
mod submission;
#[cfg(test)]
mod tests;
mod text;

pub use lifetime::{TTL_S_MAX, TTL_S_MIN, TimeToLive};
pub use outcome::{AcceptError, AcceptResponse, ItemOutcome, Outcome, RecipientOutcome, Refusal};
pub use submission::{
    BuiltIn, Duplicates, Forbidden, Idempotency, Item, Missing, Overlong, Recipient, RecordReply, Rules,
    SignatureRef, Submission, TemplateRef, TemplateSnapshot, Values,
};

use crate::engine::Shared;
use crate::metrics::{AccountCounters, DialectLabel, RepeatLabel, SameBody, dialect_name};
pub(crate) use check::pin_template;
pub(crate) use lifetime::Lifetime;
use plan::Plan;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::{
    AcceptCommand, AcceptOutcome, Accepted, Account, AccountId, Caps, Charge, NewIdempotency, OnCommit,
    StoreError, TaskProgress, TaskStep,
};

/// A piece of a task: where the task was, and where it is once the piece is accepted.
pub(crate) struct Step {
    pub(crate) task: i64,
    pub(crate) from: TaskProgress,
    /// In the list that it is in or goes on to.
    pub(crate) list: u32,
    /// The last member of the piece.
    pub(crate) contact: i64,
}

impl Step {
    /// Counts what the plan accepts and refuses.
    pub(crate) fn with(self, plan: &Plan) -> TaskStep {
        let outcome = plan.placements();
        TaskStep {
            task: self.task,
            from: self.from,
            to: TaskProgress {
                list: self.list,
                contact: self.contact,
                accepted: self.from.accepted + outcome.0,
                refused: self.from.refused + outcome.1,
            },
        }
    }
}

/// See [`crate::Engine::accept`].
pub(crate) async fn accept(
    shared: &Arc<Shared>,
    submission: Submission,
    idempotency: Option<Idempotency>,
    step: Option<Step>,
) -> Result<(Arc<Submission>, AcceptResponse), AcceptError> {
    let (account, dialect) = (submission.account, submission.dialect);
    let recipients = submission.items.iter().map(|item| item.recipients.len()).sum();
    let done = try_accept(shared, submission, idempotency, step).await;
    if let Err(error) = &done
        && let Some(reason) = error.reason()
    {
        refused::whole(shared, account, dialect, recipients, reason);
    }
    done
}

async fn try_accept(
    shared: &Arc<Shared>,
    submission: Submission,
    idempotency: Option<Idempotency>,
    step: Option<Step>,
) -> Result<(Arc<Submission>, AcceptResponse), AcceptError> {
    // Here rather than where requests come in: tasks come this way, too.
    if shared.stopping.load(Ordering::Acquire) {
        return Err(AcceptError::Stopping);
    }
    let catalog = shared.catalog.load();
    let account = catalog
        .account(submission.account)
        .ok_or(AcceptError::AccountGone)?;
    if !account.may_send {
        return Err(AcceptError::MayNotSend);
    }
    let (now, passed_ms) = (shared.clock.now(), shared.clock.monotonic());
    let lifetime = Lifetime {
        time_to_live: shared.settings.time_to_live,
        now,
    };
    let (plan, batches) = check::check(&submission, account, &catalog, lifetime);
    let (plan, submission) = (Arc::new(plan), Arc::new(submission));
    let failed = refused::failed(shared, &batches);
    let reply = if batches.is_empty() && idempotency.is_none() {
        AcceptResponse::New(plan.outcome(&AcceptOutcome::default()).map_err(logged)?)
    } else {
        let after_commit = after_commit::prepare(shared, &submission, &batches);
        let command = AcceptCommand {
            account: account.id,
            dialect: submission.dialect,
            user: Arc::clone(&submission.user),
            now,
            batches,
            idempotency: idempotency
                .map(|idempotency| idempotency_record(idempotency, passed_ms, &plan, &submission)),
            caps: caps(account),
            charge: if account.balance.is_some() {
                Charge::Prepaid
            } else {
                Charge::Free
            },
            suppressed: submission.rules.suppressed,
            step: step.map(|step| step.with(&plan)),
            on_commit: OnCommit(Some(after_commit)),
        };
        drop(catalog);
        commit(shared, command, &plan).await?
    };
    if matches!(reply, AcceptResponse::New(_)) {
        failed.into_iter().for_each(|entry| shared.inbox.push(entry));
    }
    count(shared, &submission, &reply);
    if matches!(reply, AcceptResponse::Replayed { same_body: false, .. })
        && repeats::is_refused(shared, submission.account, submission.dialect)
    {
        return Err(AcceptError::OtherContent);
    }
    Ok((submission, reply))
}

async fn commit(shared: &Shared, command: AcceptCommand, plan: &Plan) -> Result<AcceptResponse, AcceptError> {
    match shared.store.accept(command).await {
        Ok(Accepted::New(stored)) => Ok(AcceptResponse::New(plan.outcome(&stored).map_err(logged)?)),
        Ok(Accepted::Repeat { answer, same_body }) => Ok(AcceptResponse::Replayed { answer, same_body }),
        Err(store::AcceptError::NothingLeft(refused)) => {
            let stored = AcceptOutcome {
                refused,
                ..AcceptOutcome::default()
            };
            Ok(AcceptResponse::New(plan.outcome(&stored).map_err(logged)?))
        }
        Err(store::AcceptError::Balance { .. }) => Err(AcceptError::Balance),
        Err(store::AcceptError::TaskMoved) => Err(AcceptError::TaskMoved),
        Err(store::AcceptError::Store(error)) => {
            shared.metrics.unavailable.inc();
            Err(match error {
                StoreError::Busy { .. } => AcceptError::Busy,
                error => AcceptError::Store(error),
            })
        }
        Err(error) => Err(AcceptError::Store(StoreError::Other(error.to_string()))),
    }
}

fn idempotency_record(
    idempotency: Idempotency,
    passed_ms: i64,
    plan: &Arc<Plan>,
    submission: &Arc<Submission>,
) -> NewIdempotency {
    let (plan, submission) = (Arc::clone(plan), Arc::clone(submission));
    let reply = idempotency.reply;
    NewIdempotency {
        scope: idempotency.scope,
        key: idempotency.key,
        fingerprint: fingerprint::of(&submission),
        keep_ms: idempotency.keep_ms,
        passed_ms,
        // An answer that cannot be rendered is stored empty: a repeat gets the error, too.
        record: Box::new(move |stored| {
            plan.outcome(stored)
                .map(|outcome| reply(&submission, &outcome))
                .unwrap_or_default()
        }),
    }
}

/// A fault of the program is logged where it is seen.
fn logged(error: AcceptError) -> AcceptError {
    tracing::error!(%error, "request outcome inconsistent");
    error
}

fn caps(account: &Account) -> Option<Caps> {
    (account.caps != Caps::default()).then_some(account.caps)
}

fn of_account(shared: &Shared, account: AccountId) -> Option<AccountCounters> {
    let catalog = shared.catalog.load();
    shared.metrics.accounts.of(catalog.account(account)?)
}

fn count(shared: &Shared, submission: &Submission, reply: &AcceptResponse) {
    let dialect = dialect_name(submission.dialect);
    match reply {
        AcceptResponse::New(outcome) => {
            let accepted = outcome.accepted() as u64;
            let label = DialectLabel { dialect };
            shared.metrics.accepted.get_or_create(&label).inc_by(accepted);
            if let Some(account) = of_account(shared, submission.account) {
                account.accepted.inc_by(accepted);
            }
            if outcome.refused() > 0 {
                refused::some(shared, submission, outcome);
            }
        }
        AcceptResponse::Replayed { same_body, .. } => {
            let same_body = if *same_body { SameBody::Yes } else { SameBody::No };
            shared
                .metrics
                .repeats
                .get_or_create(&RepeatLabel { dialect, same_body })
                .inc();
        }
    }
}
