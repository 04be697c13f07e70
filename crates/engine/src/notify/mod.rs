//! Telling accounts their events: who is told, when, in what order, and what happens when nobody answers.

mod format;

pub use format::{Call, Format, Method, Schedule, Stamp, Subject, Telling};
