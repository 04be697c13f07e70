//! Test peers of a gateway: an SMSC simulator and a webhook sink with scripted faults, and a load generator.
//!
//! Nothing here depends on the gateway: all its interfaces are driven over the wire only, and the counts are compared.

pub mod address;
pub mod histogram;
mod listener;
pub mod load;
pub mod seed;
pub mod sink;
pub mod smsc;
mod validation;

pub use validation::InvalidSetting;

/// The examples of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
