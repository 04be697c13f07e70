//! Refused recipients: counted by reason, and logged with the number masked, a bounded number of lines a second.

use super::{Outcome, Recipient, RecipientOutcome, Submission, of_account};
use crate::engine::Shared;
use crate::metrics::dialect_name;
use crate::sandbox::{Entry, EntryState};
use sms::class::Kind;
use sms::phone::{masked, possible_numbers};
use sms::reason::{Facts, Reason};
use sms::state::MessageState;
use store::{AccountId, Dialect, NewBatch};

/// Recipients of a request that were refused while others may have been accepted.
pub(super) fn some(shared: &Shared, submission: &Submission, outcome: &Outcome) {
    let catalog = shared.catalog.load();
    let account = catalog
        .account(submission.account)
        .map_or("", |account| &account.name);
    let dialect = dialect_name(submission.dialect);
    let mut counts: Vec<(Reason, u64)> = Vec::new();
    for (item, requested) in outcome.items.iter().zip(&submission.items) {
        for (result, recipient) in item.outcomes.iter().zip(&requested.recipients) {
            let RecipientOutcome::Refused(refusal) = result else {
                continue;
            };
            let reason = refusal.reason();
            keep(shared, reason, recipient);
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

/// Who tests finds messages in the inbox that are accepted and fail at once.
pub(super) fn failed(shared: &Shared, batches: &[NewBatch]) -> Vec<Entry> {
    if !shared.inbox.keeps_refusals() {
        return Vec::new();
    }
    let now = shared.clock.now();
    let mut entries = Vec::new();
    for batch in batches {
        for message in &batch.messages {
            let Some(failure) = message.failure else { continue };
            let reason = Reason::of(Facts {
                state: MessageState::Rejected,
                attempts: 0,
                status: 0,
                error: &failure.to_string(),
                cause: None,
                by_receipt: false,
                is_submitted: false,
            });
            entries.push(Entry {
                no: 0,
                message: None,
                msisdn: Some(message.msisdn),
                to: format!("+{}", message.msisdn),
                from: batch.sender.as_deref().unwrap_or_default().to_owned(),
                text: String::new(),
                segments: 0,
                class: Some(batch.class),
                kind: batch.kind,
                time: now,
                state: EntryState::Failed(reason.unwrap_or(Reason::InternalError)),
            });
        }
    }
    entries
}

/// Who tests finds refused recipients in the inbox of the sandbox.
fn keep(shared: &Shared, reason: Reason, recipient: &Recipient) {
    if !shared.inbox.keeps_refusals() {
        return;
    }
    let msisdn = possible_numbers(&recipient.phone).next();
    shared.inbox.push(Entry {
        no: 0,
        message: None,
        to: msisdn.map_or_else(|| recipient.phone.to_string(), |msisdn| format!("+{msisdn}")),
        msisdn,
        from: String::new(),
        text: String::new(),
        segments: 0,
        class: None,
        kind: Kind::Text,
        time: shared.clock.now(),
        state: EntryState::Refused(reason),
    });
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
