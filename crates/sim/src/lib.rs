//! What stands around a gateway, to test it: an SMSC simulator and a webhook sink with scripted faults, and a load
//! generator.
//!
//! Nothing here knows the gateway: all its sides are driven over the wire only, and what they counted is compared.

pub mod address;
mod door;
pub mod histogram;
pub mod load;
pub mod seed;
mod sense;
pub mod sink;
pub mod smsc;

pub use sense::Senseless;

/// The examples of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
