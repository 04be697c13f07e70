//! Where messages are kept: one port, SQLite behind it, and one conformance suite for every side.
//!
//! The port is made of *batches*: every call carries many rows, and a side may put the calls that wait
//! together into one transaction (group commit). What a call reports as done is on stable storage.
//!
//! Only this crate knows SQL.

#[cfg(feature = "conformance")]
pub mod conformance;
mod failure;
pub mod port;
pub mod sqlite;

pub use failure::Failure;
pub use port::*;
