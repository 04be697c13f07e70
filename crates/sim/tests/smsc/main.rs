//! The simulator against a real client, over real connections: one test for each thing it can do to a gateway.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests stop at the first surprise"
)]

mod answers;
mod binds;
mod connections;
mod control;
mod esme;
mod mo_generator;
mod receipts;
