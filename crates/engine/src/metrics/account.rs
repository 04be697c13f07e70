//! Counters by account, for a bounded number of accounts.

use super::AccountLabel;
use parking_lot::RwLock;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::collections::HashMap;
use std::sync::Arc;
use store::{Account, AccountId};

/// The value of the label `account` for all accounts beyond the bound.
pub const OTHER_ACCOUNTS: &str = "(other)";

/// Counters by account. The first accounts up to the bound have their own label; all others share one, so that the
/// number of series does not grow with the number of customers.
#[derive(Debug, Clone)]
pub struct AccountMetrics {
    accounts_max: usize,
    known: Arc<RwLock<HashMap<AccountId, AccountCounters>>>,
    accepted: Family<AccountLabel, Counter>,
    refused: Family<AccountLabel, Counter>,
    other_content: Family<AccountLabel, Counter>,
}

/// The counters of one account.
#[derive(Debug, Clone)]
pub struct AccountCounters {
    /// Recipients accepted and stored.
    pub accepted: Counter,
    /// Recipients refused.
    pub refused: Counter,
    /// Requests whose id was used before with other content.
    pub other_content: Counter,
}

impl Default for AccountMetrics {
    fn default() -> Self {
        Self::new(100)
    }
}

impl AccountMetrics {
    /// With labels for at most `accounts_max` accounts; 0 counts nothing by account.
    #[must_use]
    pub fn new(accounts_max: usize) -> Self {
        Self {
            accounts_max,
            known: Arc::default(),
            accepted: Family::default(),
            refused: Family::default(),
            other_content: Family::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "account_accepted",
            "Recipients accepted and stored, by account",
            self.accepted.clone(),
        );
        registry.register(
            "account_refused",
            "Recipients refused, by account",
            self.refused.clone(),
        );
        registry.register(
            "account_repeats_with_other_content",
            "Requests whose request id was used before with other content, by account",
            self.other_content.clone(),
        );
    }

    /// The counters of an account; `None` when nothing is counted by account.
    #[must_use]
    pub fn of(&self, account: &Account) -> Option<AccountCounters> {
        if self.accounts_max == 0 {
            return None;
        }
        if let Some(counters) = self.known.read().get(&account.id) {
            return Some(counters.clone());
        }
        let mut known = self.known.write();
        // Somebody else may have been here between the two locks.
        if let Some(counters) = known.get(&account.id) {
            return Some(counters.clone());
        }
        let named = known.len() < self.accounts_max;
        let counters = self.labelled(if named { &account.name } else { OTHER_ACCOUNTS });
        if named {
            known.insert(account.id, counters.clone());
        }
        Some(counters)
    }

    fn labelled(&self, account: &str) -> AccountCounters {
        let label = AccountLabel {
            account: account.into(),
        };
        AccountCounters {
            accepted: self.accepted.get_or_create(&label).clone(),
            refused: self.refused.get_or_create(&label).clone(),
            other_content: self.other_content.get_or_create(&label).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: u32) -> Account {
        Account {
            id: AccountId(id),
            name: format!("account {id}").into(),
            balance: None,
            weight: 1,
            caps: store::Caps::default(),
            may_send: true,
            senders: Vec::new(),
            blocked_words: Vec::new(),
            project_ids: Vec::new(),
            auto_approve: false,
            repeats_with_other_content: Default::default(),
            inbound_to: Vec::new(),
            opt_out_words: Vec::new(),
            opt_in_words: None,
        }
    }

    #[test]
    fn accounts_beyond_the_bound_share_one_label() {
        let metrics = AccountMetrics::new(2);
        for id in 1..=4 {
            if let Some(counters) = metrics.of(&account(id)) {
                counters.accepted.inc();
            }
        }
        let of = |name: &str| {
            let label = AccountLabel { account: name.into() };
            metrics.accepted.get_or_create(&label).get()
        };
        assert_eq!((of("account 1"), of("account 2"), of(OTHER_ACCOUNTS)), (1, 1, 2));
        assert!(AccountMetrics::new(0).of(&account(1)).is_none());
    }
}
