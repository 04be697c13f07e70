//! When a credential is checked: at once, or in turn after many failures.
//!
//! A wrong credential takes one event of its address, or of its key at that address. Where none is left a request waits for
//! the next before its credential is checked, so that guesses are bounded whatever becomes of the connections: a client that
//! disconnects was not checked. A request gives back its event when its credential is right.
//!
//! Nobody is locked out by others. A connection goes on with the credential that was verified on it. A key that was verified
//! from an address lately has events of its own there. Others of the address wait in one line for each key, and the lines
//! take turns, so that a key that nobody guesses at waits for one request of each key that somebody does.

use super::buckets::{Buckets, Rate};
use super::failures;
use super::lines::Lines;
use crate::Limits;
use crate::serve::Client;
use engine::{Dialect, Engine};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Addresses, and keys, whose failures are counted apart; and keys at addresses that are known to be verified.
const COUNTED_MAX: usize = 16_384;
/// A key that was verified from an address is known there for so long: one event of this rate.
const KNOWN_FOR_S: u32 = 3600;
/// The first of a line looks so often at least.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Of those of an address that wait, this part may do so with one key.
const ONE_KEY_PART: usize = 8;

/// A client that presents a credential.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requester<'a> {
    pub(crate) client: &'a Client,
    pub(crate) dialect: Dialect,
    /// The family of keys.
    pub(crate) family: &'static str,
    /// The public part of the credential, as it was sent; may be empty.
    pub(crate) user: &'a str,
}

/// No turn came in time, too many wait for theirs, or others needed the room: the credential was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

/// Decides when credentials are checked.
#[derive(Debug)]
pub(crate) struct Turns {
    of_address: Option<Rate>,
    of_key: Option<Rate>,
    wait_max: Duration,
    hasher: RandomState,
    /// Wrong credentials, by [`Scope`].
    wrong: Buckets,
    /// Keys that were verified, by address.
    known: Buckets,
    lines: Lines,
    per_address_max: usize,
    waiting: Semaphore,
}

/// What a request is counted by.
#[derive(Debug, Clone, Copy)]
struct Scope {
    address: u64,
    key: u64,
    /// The key at the address.
    pair: u64,
    /// The pair was verified lately: it alone counts.
    is_known: bool,
}

/// Permission to check one credential. Its events are given back, unless the credential was [`wrong`](Turn::wrong).
#[derive(Debug)]
pub(crate) struct Turn<'t> {
    turns: &'t Turns,
    taken: [Option<(u64, Rate)>; 2],
}

impl Turn<'_> {
    /// The credential was wrong.
    pub(super) fn wrong(mut self) {
        self.taken = [None; 2];
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        for (mark, rate) in self.taken.iter().flatten() {
            self.turns.wrong.give_back(mark, *rate);
        }
    }
}

impl Turns {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            of_address: Rate::per_minute(limits.failed_credentials_per_minute_max),
            of_key: Rate::per_minute(limits.failed_credentials_per_key_per_minute_max),
            wait_max: Duration::from_millis(limits.failed_credentials_wait_ms_max),
            hasher: RandomState::new(),
            wrong: Buckets::new(COUNTED_MAX),
            known: Buckets::new(COUNTED_MAX),
            lines: Lines::default(),
            per_address_max: limits.failed_credentials_waiting_per_address_max,
            waiting: Semaphore::new(limits.failed_credentials_waiting_max.min(Semaphore::MAX_PERMITS)),
        }
    }

    /// Waits until the credential may be checked. The caller holds little of the request meanwhile. Cancel safe: a dropped
    /// future leaves the queue, and nothing was checked. The wait ends early when the listener must free capacity.
    ///
    /// # Errors
    /// [`TooMany`], which is counted and logged here.
    pub(crate) async fn turn(&self, engine: &Engine, requester: Requester<'_>) -> Result<Turn<'_>, TooMany> {
        let Some(scope) = self.scope(engine, requester) else {
            return Ok(self.free());
        };
        if let Some(turn) = self.at_once(engine, &scope) {
            return Ok(turn);
        }
        match self.wait(engine, requester, &scope).await {
            Some(turn) => Ok(turn),
            None => Err(turn_away(engine, requester)),
        }
    }

    /// The same without waiting, for a request that holds much.
    ///
    /// # Errors
    /// [`TooMany`]
    pub(crate) fn turn_now(&self, engine: &Engine, requester: Requester<'_>) -> Result<Turn<'_>, TooMany> {
        let Some(scope) = self.scope(engine, requester) else {
            return Ok(self.free());
        };
        self.at_once(engine, &scope)
            .ok_or_else(|| turn_away(engine, requester))
    }

    /// Notes that the credential is right.
    pub(super) fn verified(&self, engine: &Engine, requester: Requester<'_>) {
        let credential = self.mark(&(requester.family, requester.user));
        if requester.client.is_verified_as(credential) {
            return;
        }
        let catalog = engine.catalog();
        let known = catalog.credential(requester.family, requester.user);
        requester
            .client
            .verified_as(credential, known.map(|known| known.account));
        let pair = self.pair(requester);
        let _ = self
            .known
            .take(&pair, Rate::one_in_s(KNOWN_FOR_S), engine.steady());
    }

    fn free(&self) -> Turn<'_> {
        Turn {
            turns: self,
            taken: [None; 2],
        }
    }

    fn mark<K: Hash>(&self, key: &K) -> u64 {
        // 0 is no mark.
        self.hasher.hash_one(key) | 1
    }

    fn pair(&self, requester: Requester<'_>) -> u64 {
        self.mark(&(requester.client.network(), requester.family, requester.user))
    }

    /// What a request is counted by; `None` when it is not: it tries nothing, or its connection goes on as it did.
    fn scope(&self, engine: &Engine, requester: Requester<'_>) -> Option<Scope> {
        if requester.user.is_empty() || (self.of_address.is_none() && self.of_key.is_none()) {
            return None;
        }
        let key = self.mark(&(requester.family, requester.user));
        if requester.client.is_verified_as(key) {
            return None;
        }
        let pair = self.pair(requester);
        Some(Scope {
            address: self.mark(&requester.client.network()),
            key,
            pair,
            is_known: self.known.is_used(&pair, engine.steady()),
        })
    }

    /// A turn, unless it has to be waited for, or others wait.
    fn at_once(&self, engine: &Engine, scope: &Scope) -> Option<Turn<'_>> {
        let line = if scope.is_known { scope.pair } else { scope.address };
        if self.lines.is_joined(line) {
            return None;
        }
        self.take(engine, scope).ok()
    }

    /// Takes what a wrong credential costs; how many milliseconds to wait when there is nothing left.
    fn take(&self, engine: &Engine, scope: &Scope) -> Result<Turn<'_>, i64> {
        let now = engine.steady();
        let mut turn = self.free();
        let [first, second] = &mut turn.taken;
        let take = |mark: u64, rate: Option<Rate>, taken: &mut Option<(u64, Rate)>| {
            self.wrong.take(&mark, rate, now)?;
            *taken = rate.map(|rate| (mark, rate));
            Ok::<(), i64>(())
        };
        if scope.is_known {
            take(scope.pair, self.of_key.or(self.of_address), first)?;
            return Ok(turn);
        }
        take(scope.address, self.of_address, first)?;
        if take(scope.key, self.of_key, second).is_err() {
            take(scope.pair, self.of_key.map(Rate::tenth), second)?;
        }
        Ok(turn)
    }

    async fn wait(&self, engine: &Engine, requester: Requester<'_>, scope: &Scope) -> Option<Turn<'_>> {
        let _permit = self.waiting.try_acquire().ok()?;
        let at_address = match scope.is_known {
            true => None,
            false => Some(self.lines.join(scope.address, self.per_address_max)?),
        };
        // Keys that nobody has share one line: there are as many as somebody likes to make up.
        let has_owner = engine
            .catalog()
            .credential(requester.family, requester.user)
            .is_some();
        let line = if has_owner {
            scope.pair
        } else {
            self.mark(&(requester.client.network(), ""))
        };
        let with_key = self
            .lines
            .join(line, (self.per_address_max / ONE_KEY_PART).max(1))?;
        engine.denial_delayed(requester.dialect);
        let turn = async {
            let _first = with_key.first().await;
            let _next = match &at_address {
                Some(line) => Some(line.first().await),
                None => None,
            };
            loop {
                match self.take(engine, scope) {
                    Ok(turn) => return turn,
                    Err(wait_ms) => {
                        let wait = Duration::from_millis(wait_ms.unsigned_abs());
                        // Others may have given theirs back meanwhile.
                        tokio::time::sleep(wait.min(LOOK_EVERY)).await;
                    }
                }
            }
        };
        // Who waits holds a connection: it may have to make room for others, and is answered then.
        let turn = requester.client.hold(tokio::time::timeout(self.wait_max, turn));
        turn.await?.ok()
    }
}

fn turn_away(engine: &Engine, requester: Requester<'_>) -> TooMany {
    failures::note(engine, requester, "too_many");
    TooMany
}
