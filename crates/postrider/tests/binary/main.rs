//! The real program: started as a process, called over HTTP with `curl`, ended with signals.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

mod api;
mod apply;
mod carrier;
mod check;
#[cfg(target_os = "linux")]
mod clock;
mod deep;
mod dev;
mod docs;
mod export;
mod files;
mod floods;
#[cfg(target_os = "linux")]
mod golden;
mod inbound;
mod metrics;
mod operator;
mod ops;
mod reasons;
mod receiver;
mod repeats;
mod review;
mod sandbox;
mod secrets;
mod serve;
mod small;
#[cfg(target_os = "linux")]
mod smsc;
mod smuggling;
mod tasks;
mod testkit;
mod tools;
mod webhook;
