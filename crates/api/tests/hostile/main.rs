//! Attacks of unauthenticated clients and of other customers, on every wire: none may work.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests stop at the first surprise"
)]

#[path = "../testkit/mod.rs"]
mod testkit;

mod accounts;
mod cases;
mod ids;
mod injection;
mod replays;
mod reused_ids;
mod tls;
mod wires;
