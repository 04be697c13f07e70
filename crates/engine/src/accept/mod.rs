//! Accepting: from what a dialect understood of a request to what is stored of it.
//!
//! A dialect parses its wire into a [`Submission`]; [`check`] holds it against the catalog and the dialect's
//! [`Rules`]; the store commits it; the dialect words the [`Outcome`]. What was stored is handed over to the ready
//! queues right after the commit.

mod check;
pub(crate) mod fingerprint;
mod handover;
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
pub use outcome::{AcceptError, Fate, ItemOutcome, Outcome, Refusal, Reply};
pub use submission::{
    BuiltIn, Duplicates, Forbidden, FrozenText, Item, Missing, Once, Overlong, Recipient, RecordReply, Rules,
    SignatureRef, Submission, TemplateRef, Values,
};

use crate::engine::Shared;
use crate::metrics::{AccountCounters, DialectLabel, RepeatLabel, SameBody, dialect_name};
pub(crate) use check::freeze;
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
        let outcome = plan.places();
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
    once: Option<Once>,
    step: Option<Step>,
) -> Result<(Arc<Submission>, Reply), AcceptError> {
    let (account, dialect) = (submission.account, submission.dialect);
    let recipients = submission.items.iter().map(|item| item.recipients.len()).sum();
    let done = try_accept(shared, submission, once, step).await;
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
    once: Option<Once>,
    step: Option<Step>,
) -> Result<(Arc<Submission>, Reply), AcceptError> {
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
    let reply = if batches.is_empty() && once.is_none() {
        Reply::New(plan.outcome(&AcceptOutcome::default()).map_err(logged)?)
    } else {
        let handover = handover::prepare(shared, &submission, &batches);
        let command = AcceptCommand {
            account: account.id,
            dialect: submission.dialect,
            user: Arc::clone(&submission.user),
            now,
            batches,
            idempotency: once.map(|once| idempotency(once, passed_ms, &plan, &submission)),
            caps: caps(account),
            charge: if account.balance.is_some() {
                Charge::Prepaid
            } else {
                Charge::Free
            },
            suppressed: submission.rules.suppressed,
            step: step.map(|step| step.with(&plan)),
            on_commit: OnCommit(Some(handover)),
        };
        drop(catalog);
        commit(shared, command, &plan).await?
    };
    if matches!(reply, Reply::New(_)) {
        failed.into_iter().for_each(|entry| shared.inbox.push(entry));
    }
    count(shared, &submission, &reply);
    if matches!(reply, Reply::Repeat { same_body: false, .. })
        && repeats::is_refused(shared, submission.account, submission.dialect)
    {
        return Err(AcceptError::OtherContent);
    }
    Ok((submission, reply))
}

async fn commit(shared: &Shared, command: AcceptCommand, plan: &Plan) -> Result<Reply, AcceptError> {
    match shared.store.accept(command).await {
        Ok(Accepted::New(stored)) => Ok(Reply::New(plan.outcome(&stored).map_err(logged)?)),
        Ok(Accepted::Repeat { answer, same_body }) => Ok(Reply::Repeat { answer, same_body }),
        Err(store::AcceptError::NothingLeft(refused)) => {
            let stored = AcceptOutcome {
                refused,
                ..AcceptOutcome::default()
            };
            Ok(Reply::New(plan.outcome(&stored).map_err(logged)?))
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

fn idempotency(once: Once, passed_ms: i64, plan: &Arc<Plan>, submission: &Arc<Submission>) -> NewIdempotency {
    let (plan, submission) = (Arc::clone(plan), Arc::clone(submission));
    let reply = once.reply;
    NewIdempotency {
        scope: once.scope,
        key: once.key,
        fingerprint: fingerprint::of(&submission),
        keep_ms: once.keep_ms,
        passed_ms,
        // An answer that cannot be put together is none: a repeat is told of the fault, too.
        record: Box::new(move |stored| {
            plan.outcome(stored)
                .map(|outcome| reply(&submission, &outcome))
                .unwrap_or_default()
        }),
    }
}

/// A fault of the program is logged where it is seen.
fn logged(error: AcceptError) -> AcceptError {
    tracing::error!(%error, "request not answered as it should be");
    error
}

fn caps(account: &Account) -> Option<Caps> {
    (account.caps != Caps::default()).then_some(account.caps)
}

fn of_account(shared: &Shared, account: AccountId) -> Option<AccountCounters> {
    let catalog = shared.catalog.load();
    shared.metrics.accounts.of(catalog.account(account)?)
}

fn count(shared: &Shared, submission: &Submission, reply: &Reply) {
    let dialect = dialect_name(submission.dialect);
    match reply {
        Reply::New(outcome) => {
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
        Reply::Repeat { same_body, .. } => {
            let same_body = if *same_body { SameBody::Yes } else { SameBody::No };
            shared
                .metrics
                .repeats
                .get_or_create(&RepeatLabel { dialect, same_body })
                .inc();
        }
    }
}
