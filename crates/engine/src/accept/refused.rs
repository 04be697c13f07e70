//! Refused recipients: counted by reason, and logged with the number masked, a bounded number of lines a second.

use super::{Fate, Outcome, Submission, of_account};
use crate::engine::Shared;
use crate::metrics::dialect_name;
use sms::phone::masked;
use sms::reason::Reason;
use store::{AccountId, Dialect};

/// Recipients of a request that were refused while others may have been accepted.
pub(super) fn some(shared: &Shared, submission: &Submission, outcome: &Outcome) {
    let catalog = shared.catalog.load();
    let account = catalog
        .account(submission.account)
        .map_or("", |account| &account.name);
    let dialect = dialect_name(submission.dialect);
    let mut counts: Vec<(Reason, u64)> = Vec::new();
    for (item, asked) in outcome.items.iter().zip(&submission.items) {
        for (fate, recipient) in item.fates.iter().zip(&asked.recipients) {
            let Fate::Refused(refusal) = fate else { continue };
            let reason = refusal.reason();
            match counts.iter_mut().find(|(counted, _)| *counted == reason) {
                Some((_, count)) => *count += 1,
                None => counts.push((reason, 1)),
            }
            if let Some(suppressed) = shared.refusal_log.admit(shared.clock.now()) {
                let number = masked(&recipient.phone);
                tracing::info!(
                    account, dialect, %number, code = reason.code(), %reason, suppressed, "recipient refused"
                );
            }
        }
    }
    for (reason, count) in counts {
        self::count(shared, submission.account, submission.dialect, reason, count);
    }
}

/// All recipients of a request that was refused as a whole.
pub(super) fn whole(
    shared: &Shared,
    account: AccountId,
    dialect: Dialect,
    recipients: usize,
    reason: Reason,
) {
    count(shared, account, dialect, reason, recipients as u64);
    if let Some(suppressed) = shared.refusal_log.admit(shared.clock.now()) {
        let catalog = shared.catalog.load();
        let account = catalog.account(account).map_or("", |account| &account.name);
        let dialect = dialect_name(dialect);
        tracing::info!(
            account, dialect, recipients, code = reason.code(), %reason, suppressed, "request refused"
        );
    }
}

fn count(shared: &Shared, account: AccountId, dialect: Dialect, reason: Reason, count: u64) {
    shared.metrics.refused_for(dialect, reason).inc_by(count);
    if let Some(account) = of_account(shared, account) {
        account.refused.inc_by(count);
    }
}
