//! Postrider.
mod apply;
mod config;
mod exit;
fn main() {}
