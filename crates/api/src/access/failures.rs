//! Credentials that were not accepted: counted by reason, summed up in the log, and answered later once there are many of
//! an address or of a key.
//!
//! What is slowed are failures alone. Whoever has the right credentials is never refused for what others tried, neither
//! behind the same address nor with the same public key: nobody can lock anybody out.

use super::buckets::{Buckets, Rate};
use crate::Limits;
use crate::serve::Client;
use engine::{Dialect, Engine, UnixMs};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Addresses, and keys, whose failures are counted apart.
const COUNTED_MAX: usize = 16_384;
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

/// When the failure is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// In its wire's words, at once or after a pause that is over.
    AsItIs,
    /// At once with the wire's "too many requests": as many answers are held as may be.
    TooMany,
}

#[derive(Debug)]
pub(crate) struct Failures {
    of_address: Option<Rate>,
    of_key: Option<Rate>,
    delay: Duration,
    held: Semaphore,
    by_address: Buckets,
    by_key: Buckets,
    log: Arc<Mutex<Log>>,
}

impl Failures {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            of_address: Rate::per_minute(limits.failed_credentials_per_minute_max),
            of_key: Rate::per_minute(limits.failed_credentials_per_key_per_minute_max),
            delay: Duration::from_millis(limits.failed_credentials_delay_ms),
            held: Semaphore::new(limits.failed_credentials_delayed_max.min(Semaphore::MAX_PERMITS)),
            by_address: Buckets::new(COUNTED_MAX),
            by_key: Buckets::new(COUNTED_MAX),
            log: Arc::default(),
        }
    }

    /// Counts and logs a failure, and waits where there were many. The caller holds nothing of the request meanwhile.
    pub(crate) async fn note(&self, engine: &Engine, failure: Failure<'_>) -> Answered {
        engine.denied(failure.dialect, failure.reason);
        let slowed = self.is_slowed(&failure, engine.steady());
        self.log(engine, &failure, slowed);
        if !slowed || self.delay.is_zero() {
            return Answered::AsItIs;
        }
        let Ok(_held) = self.held.try_acquire() else {
            return Answered::TooMany;
        };
        engine.denial_delayed(failure.dialect);
        tokio::time::sleep(self.delay).await;
        Answered::AsItIs
    }

    /// Whether this failure is beyond what its address or its key may have. Requests without any credentials try nothing, and whoever
    /// repeats one that was signed rightly learns nothing either.
    fn is_slowed(&self, failure: &Failure<'_>, now: UnixMs) -> bool {
        if matches!(failure.reason, "missing" | "replayed") {
            return false;
        }
        let client = failure.client;
        let address = !client.is_verified()
            && self
                .by_address
                .take(&client.network(), self.of_address, now)
                .is_err();
        let key = (failure.family, failure.user);
        let key = !failure.user.is_empty() && self.by_key.take(&key, self.of_key, now).is_err();
        address || key
    }

    /// The first failure of a kind is logged at once, what follows within the interval is summed up at its end.
    fn log(&self, engine: &Engine, failure: &Failure<'_>, slowed: bool) {
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
            sum.add(slowed);
        } else if log.by_kind.len() < KINDS_LOGGED_MAX {
            let (dialect, reason, address) = (engine::dialect_name(kind.dialect), kind.reason, kind.address);
            log.by_kind.insert(kind, Sum::default());
            tracing::warn!(dialect, %reason, account, user, %address, "credentials rejected");
        } else {
            log.others.add(slowed);
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
    by_kind: HashMap<Kind, Sum>,
    others: Sum,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sum {
    failures: u64,
    slowed: u64,
}

impl Sum {
    fn add(&mut self, slowed: bool) {
        self.failures += 1;
        self.slowed += u64::from(slowed);
    }
}

impl Log {
    fn is_empty(&self) -> bool {
        self.by_kind.is_empty()
    }

    fn write(self) {
        let interval_s = LOG_EVERY.as_secs();
        for (kind, Sum { failures, slowed }) in self.by_kind {
            let Kind {
                address,
                dialect,
                reason,
                user,
            } = kind;
            let dialect = engine::dialect_name(dialect);
            if failures > 0 {
                tracing::warn!(dialect, %reason, user, %address, failures, slowed, interval_s, "more credentials rejected");
            }
        }
        let Sum { failures, slowed } = self.others;
        if failures > 0 {
            tracing::warn!(
                failures,
                slowed,
                interval_s,
                "more credentials rejected of other kinds"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn failures() -> Failures {
        Failures::new(&Limits {
            failed_credentials_per_minute_max: 3,
            failed_credentials_per_key_per_minute_max: 5,
            ..Limits::default()
        })
    }

    fn failure<'f>(client: &'f Client, reason: &'static str, user: &'f str) -> Failure<'f> {
        Failure {
            client,
            dialect: Dialect::Ucloud,
            reason,
            family: "ucloud",
            user,
        }
    }

    fn client(last: u8) -> Client {
        Client::new(Ipv4Addr::new(192, 0, 2, last).into())
    }

    #[test]
    fn an_address_is_slowed_after_its_failures_and_others_are_not() {
        let failures = failures();
        let (one, other) = (client(1), client(2));
        let slowed =
            |client: &Client, user: &str| failures.is_slowed(&failure(client, "unknown_key", user), 0);
        assert_eq!(
            [0, 1, 2, 3, 4].map(|n| slowed(&one, &n.to_string())),
            [false, false, false, true, true]
        );
        assert!(!slowed(&other, "x"));
        assert!(
            !failures.is_slowed(&failure(&one, "unknown_key", "y"), 60_000),
            "a minute later"
        );
    }

    #[test]
    fn a_key_is_slowed_from_wherever_it_is_tried() {
        let failures = failures();
        let slowed: Vec<_> = (0..7)
            .map(|n| failures.is_slowed(&failure(&client(n), "wrong_secret", "key"), 0))
            .collect();
        assert_eq!(slowed, [false, false, false, false, false, true, true]);
        assert!(!failures.is_slowed(&failure(&client(9), "wrong_secret", "another"), 0));
    }

    #[test]
    fn a_connection_on_which_something_was_verified_is_no_guesser() {
        let failures = failures();
        let known = client(1);
        known.verified();
        let slowed = |n: u8| failures.is_slowed(&failure(&known, "wrong_secret", &n.to_string()), 0);
        assert!((0..100).all(|n| !slowed(n)));
        assert!((0..100).all(|_| !failures.is_slowed(&failure(&client(1), "missing", ""), 0)));
    }

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
