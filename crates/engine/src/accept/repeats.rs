//! Request ids that are used again with other content: nothing is done, and somebody should know.

use crate::engine::Shared;
use crate::metrics::dialect_name;
use store::{AccountId, Dialect, OtherContent};

/// Counts and logs one; whether the account wants it refused.
pub(crate) fn is_refused(shared: &Shared, account: AccountId, dialect: Dialect) -> bool {
    let catalog = shared.catalog.load();
    let Some(account) = catalog.account(account) else {
        return false;
    };
    if let Some(counters) = shared.metrics.accounts.of(account) {
        counters.other_content.inc();
    }
    let refused = account.repeats_with_other_content == OtherContent::Refuse;
    let (name, dialect) = (&account.name, dialect_name(dialect));
    tracing::warn!(account = %name, dialect, refused, "request id reused with other content");
    refused
}
