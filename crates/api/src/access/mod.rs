//! Authentication and rate limits: the checks between a request's credentials and its dialect.
//!
//! | module | what |
//! |---|---|
//! | [`buckets`] | token buckets for many keys, in bounded memory |
//! | [`turns`] | when a credential is checked: at once, or in turn after many failures |
//! | [`lines`] | the queues of requests that wait for a turn |
//! | [`failures`] | rejected credentials: counted and logged |
//! | [`replays`] | detects replayed signed requests |
//! | [`signed`] | requests that must be read before their credentials can be checked |
//! | [`parsing`] | parses long bodies, a few at a time, outside the runtime's threads |

pub(crate) mod buckets;
mod failures;
mod lines;
pub(crate) mod parsing;
pub(crate) mod replays;
pub(crate) mod signed;
mod turns;

use crate::Limits;
use buckets::{Buckets, Rate};
use engine::{Dialect, Engine};
use parsing::Parsing;
use replays::Replays;
use turns::Turns;
pub(crate) use turns::{Requester, TooMany, Turn};

/// The state that all dialects share.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) turns: Turns,
    pub(crate) parsing: Parsing,
    /// Requests, by family of keys and key.
    requests: Buckets,
    /// Status queries, the same.
    status_queries: Buckets,
    /// Signed requests on uSpeedo's Action wire, where a window is set.
    pub(crate) uspeedo_replays: Option<Replays>,
    /// The same on UCloud's.
    pub(crate) ucloud_replays: Option<Replays>,
}

/// Credentials whose requests are counted apart.
const CREDENTIALS_MAX: usize = 65_536;

impl Access {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            turns: Turns::new(limits),
            parsing: Parsing::default(),
            requests: Buckets::new(CREDENTIALS_MAX),
            uspeedo_replays: Replays::within(limits.uspeedo_replay_window_s),
            ucloud_replays: Replays::within(limits.ucloud_replay_window_s),
            status_queries: Buckets::new(CREDENTIALS_MAX),
        }
    }

    /// Lets a request in whose credential is right: notes that it is, and takes one of the requests that may be made with it a
    /// second (0: any number).
    ///
    /// # Errors
    /// The milliseconds to wait when there is none left; that is counted here.
    pub(crate) fn admit(
        &self,
        engine: &Engine,
        requester: Requester<'_>,
        requests_per_s_max: u32,
    ) -> Result<(), i64> {
        self.turns.verified(engine, requester);
        // Most have no limit: nothing is looked at for them, not even the clock.
        let Some(rate) = Rate::per_second(requests_per_s_max) else {
            return Ok(());
        };
        let taken = self
            .requests
            .take(&(requester.family, requester.user), Some(rate), engine.steady());
        taken.inspect_err(|_| engine.over_rate(requester.dialect))
    }

    /// Ends the turn of a credential that is not accepted; counts and logs that.
    pub(crate) fn refuse(
        &self,
        engine: &Engine,
        requester: Requester<'_>,
        turn: Turn<'_>,
        reason: &'static str,
    ) {
        turn.wrong();
        failures::note(engine, requester, reason);
    }

    /// Counts and logs a request whose right signature was seen before.
    pub(crate) fn replayed(&self, engine: &Engine, requester: Requester<'_>) {
        failures::note(engine, requester, "replayed");
    }

    /// Takes one of the status queries that a credential may make a minute (0: any number).
    ///
    /// # Errors
    /// The milliseconds to wait when there is none left; that is counted here.
    pub(crate) fn take_status_query(
        &self,
        engine: &Engine,
        dialect: Dialect,
        (family, user): (&str, &str),
        per_minute_max: u32,
    ) -> Result<(), i64> {
        let rate = Rate::per_minute(per_minute_max);
        let taken = self.status_queries.take(&(family, user), rate, engine.steady());
        taken.inspect_err(|_| engine.over_rate(dialect))
    }
}
