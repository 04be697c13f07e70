//! A carrier to test against: an SMSC simulator with scripted faults, and a load generator.
//!
//! Nothing here knows the gateway: both sides are driven over the wire only, and what they counted is compared.

pub mod histogram;
pub mod load;
pub mod seed;
pub mod smsc;
