//! Who may come in, and how often: what stands between a request's credentials and its dialect.
//!
//! | module | what |
//! |---|---|
//! | [`buckets`] | so many a minute or second, for each of many keys, in bounded memory |
//! | [`failures`] | credentials that were not accepted: counted, logged, slowed |
//! | [`parsing`] | long bodies, read a few at a time and not on the runtime's threads |

pub(crate) mod buckets;
mod failures;
pub(crate) mod parsing;

use crate::Limits;
use buckets::Buckets;
use failures::Failures;
pub(crate) use failures::{Answered, Failure};
use parsing::Parsing;

/// The state that all dialects share.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) failures: Failures,
    pub(crate) parsing: Parsing,
    /// Status queries, by dialect and user.
    pub(crate) status_queries: Buckets,
}

/// Credentials whose requests are counted apart.
const CREDENTIALS_MAX: usize = 65_536;

impl Access {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            failures: Failures::new(limits),
            parsing: Parsing::default(),
            status_queries: Buckets::new(CREDENTIALS_MAX),
        }
    }
}
