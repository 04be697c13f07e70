//! Requests whose credentials were not accepted: counted by reason, and summed up in the log.

use crate::serve::Client;
use engine::{Dialect, Engine};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Kinds of failures with lines of their own in one interval of the log; the others are summed up in one line.
const KINDS_LOGGED_MAX: usize = 40;
/// How often failures of one kind are logged.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// So much of a key that nobody has is logged: it may be a secret in the wrong place.
const UNKNOWN_KEY_CHARS: usize = 4;

/// A request whose credentials were not accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure<'f> {
    pub(crate) client: &'f Client,
    pub(crate) dialect: Dialect,
    /// `missing`, `unknown_key`, `wrong_secret`, `wrong_time`, `replayed`, `disabled`: the label of the metric.
    pub(crate) reason: &'static str,
    /// The family of keys.
    pub(crate) family: &'static str,
    /// The public part of the credential, as it was sent; may be empty.
    pub(crate) user: &'f str,
}

/// Counts failures and writes them to the log.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    log: Arc<Mutex<Log>>,
}

impl Failures {
    /// Counts and logs a failure.
    pub(crate) fn note(&self, engine: &Engine, failure: &Failure<'_>) {
        engine.denied(failure.dialect, failure.reason);
        self.log(engine, failure);
    }

    /// The first failure of a kind is logged at once, what follows within the interval is summed up at its end.
    fn log(&self, engine: &Engine, failure: &Failure<'_>) {
        let Shown {
            account,
            user,
            is_known,
        } = shown(engine, failure);
        let kind = Kind {
            address: failure.client.network(),
            dialect: failure.dialect,
            reason: failure.reason,
            user: if is_known { user.clone() } else { String::new() },
        };
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = log.is_empty();
        if let Some(sum) = log.by_kind.get_mut(&kind) {
            *sum += 1;
        } else if log.by_kind.len() < KINDS_LOGGED_MAX {
            let (dialect, reason, address) = (engine::dialect_name(kind.dialect), kind.reason, kind.address);
            log.by_kind.insert(kind, 0);
            tracing::warn!(dialect, %reason, account, user, %address, "credentials rejected");
        } else {
            log.others += 1;
        }
        if begins {
            let log = Arc::clone(&self.log);
            tokio::spawn(async move {
                tokio::time::sleep(LOG_EVERY).await;
                let sums = std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));
                sums.write();
            });
        }
    }
}

/// Whose credential was tried, as far as the log may say it.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    account: String,
    user: String,
    is_known: bool,
}

fn shown(engine: &Engine, failure: &Failure<'_>) -> Shown {
    let catalog = engine.catalog();
    let Some(known) = catalog.credential(failure.family, failure.user) else {
        return Shown {
            account: String::new(),
            user: beginning(failure.user),
            is_known: false,
        };
    };
    let account = catalog.account(known.account);
    Shown {
        account: account.map_or_else(String::new, |account| account.name.to_string()),
        user: failure.user.to_owned(),
        is_known: true,
    }
}

/// The first characters of a key that nobody has, at most a quarter of it.
fn beginning(key: &str) -> String {
    let chars = UNKNOWN_KEY_CHARS.min(key.chars().count() / 4);
    let plain = key.chars().take(chars).filter(char::is_ascii_graphic);
    let mut shown: String = plain.collect();
    if !shown.is_empty() {
        shown.push('…');
    }
    shown
}

/// What is summed up in one line.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kind {
    address: IpAddr,
    dialect: Dialect,
    reason: &'static str,
    /// The public part of a credential that somebody has, else empty.
    user: String,
}

/// What came after the first lines of an interval.
#[derive(Debug, Default)]
struct Log {
    by_kind: HashMap<Kind, u64>,
    others: u64,
}

impl Log {
    fn is_empty(&self) -> bool {
        self.by_kind.is_empty()
    }

    fn write(self) {
        let interval_s = LOG_EVERY.as_secs();
        for (kind, failures) in self.by_kind {
            let Kind {
                address,
                dialect,
                reason,
                user,
            } = kind;
            let dialect = engine::dialect_name(dialect);
            if failures > 0 {
                tracing::warn!(dialect, %reason, user, %address, failures, interval_s, "more credentials rejected");
            }
        }
        let failures = self.others;
        if failures > 0 {
            tracing::warn!(failures, interval_s, "more credentials rejected of other kinds");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_key_that_nobody_has_only_the_beginning_is_shown() {
        for (key, expected) in [
            ("", ""),
            ("abc", ""),
            ("abcdefgh", "ab…"),
            ("AKIAIOSFODNN7EXAMPLE", "AKIA…"),
            ("\n\u{202e}x\u{7f}aaaaaaaaaaaaaa", "x…"),
            ("你好你好你好你好", ""),
        ] {
            assert_eq!(beginning(key), expected, "{key:?}");
        }
    }
}
