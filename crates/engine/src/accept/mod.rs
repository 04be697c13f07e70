//! Accepting: from what a dialect understood of a request to what is stored of it.
//!
//! A dialect parses its wire into a [`Submission`]; [`check`] holds it against the catalog and the dialect's
//! [`Rules`]; the store commits it; the dialect words the [`Outcome`].

mod outcome;
mod submission;

pub use outcome::{AcceptError, Fate, ItemOutcome, Outcome, Refusal, Reply};
pub use submission::{
    BuiltIn, Duplicates, Item, Missing, Once, Overlong, Recipient, RecordReply, Rules, SignatureRef, Submission,
    TemplateRef, Values,
};
