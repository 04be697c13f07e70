//! What strangers and other customers try, on every wire: each attack here is one that must not work.
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
