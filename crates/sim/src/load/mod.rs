//! A load generator: sends through the vendors' APIs as their clients do, and records each answer.
//!
//! Everything is bounded: in requests, in time and in connections. Recipients are numbered from a first number on, in a
//! unused country code ([`number`]), and none is used twice, so that answers can be compared with what a carrier
//! received.

mod call;
mod contacts;
mod demo;
mod dialect;
mod outcome;
mod requests;
mod run;
mod status;
mod submit;
mod wire;

pub use call::{CallLoad, call};
pub use contacts::{Contacts, Counted, Task, TaskState, fill_list};
pub use demo::{Demo, DemoError, EngageLab, SendCloud, Template, Ucloud, Uspeedo};
pub use dialect::{Answer, Dialect, Text};
pub use outcome::{Outcome, RequestResult};
pub use requests::Requests;
pub use run::{Load, run};
pub use status::{Standing, Standings, StatusError, engagelab_messages_to, standings};
pub use submit::{SubmitError, SubmitLoad, submit};
pub use wire::{Exchange, Wire, WireError};

/// A country code that E.164 has assigned, so that numbers of it are accepted, and that has no subscribers: the
/// trial of a public correspondence service that it was for (ITU-T E.164, 991) has ended.
const COUNTRY: u64 = 991;

/// How many numbers there are.
pub const NUMBERS_MAX: u64 = 1_000_000_000;

/// The `n`th number, digits with country code, as an integer. Comes round after [`NUMBERS_MAX`].
#[must_use]
pub const fn number(n: u64) -> u64 {
    COUNTRY * NUMBERS_MAX + n % NUMBERS_MAX
}

/// Which number this is; the inverse of [`number`]. `None` for numbers of others.
#[must_use]
pub const fn index_of(number: u64) -> Option<u64> {
    if number / NUMBERS_MAX == COUNTRY {
        Some(number % NUMBERS_MAX)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_their_places_belong_together() {
        assert_eq!(number(7), 991_000_000_007);
        assert_eq!(index_of(number(123_456_789)), Some(123_456_789));
        assert_eq!(index_of(447_700_900_123), None);
    }
}
