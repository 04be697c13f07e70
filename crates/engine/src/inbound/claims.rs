//! What accounts say of inbound messages: the numbers that are theirs, the words that unsubscribe.

use sms::phone::carrier::{NumberType, name, names};
use std::collections::HashMap;
use std::sync::Arc;
use store::{Account, AccountId, AccountWords};

/// The `inbound_to` and the words of all accounts, ready for look-ups.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// By [`name`]. A number that several accounts claim belongs to the oldest.
    numbers: HashMap<String, AccountId>,
    words: Arc<AccountWords>,
}

impl Claims {
    pub(crate) fn of(accounts: &[Account]) -> Self {
        let mut claims = Self::default();
        let mut words = AccountWords::new();
        for account in accounts {
            for number in &account.inbound_to {
                let owner = claims.numbers.entry(name(number)).or_insert(account.id);
                *owner = account.id.min(*owner);
            }
            let of_account = account.words();
            if !of_account.is_empty() {
                words.insert(account.id, of_account);
            }
        }
        claims.words = Arc::new(words);
        claims
    }

    /// The account that claims a number or code, in whatever form the carrier and the account write it.
    pub(crate) fn owner(&self, to: &str, kind: NumberType, country: Option<u16>) -> Option<AccountId> {
        if self.numbers.is_empty() {
            return None;
        }
        names(to, kind, country)
            .iter()
            .find_map(|name| self.numbers.get(name))
            .copied()
    }

    pub(crate) fn words(&self) -> Arc<AccountWords> {
        Arc::clone(&self.words)
    }
}
