//! A carrier to test against: an SMSC simulator with scripted faults, and a load generator
