//! Text messages: numbers, alphabets, segments, templates, states and receipt text; no I/O, no clock.

pub mod alphabet;
pub mod blocked;
pub mod class;
pub mod data_coding;
pub mod encoding;
pub mod opt_out;
pub mod phone;
pub mod reason;
pub mod receipt;
pub mod segment;
pub mod sender;
pub mod state;
pub mod template;
pub mod udh;
pub mod user_data;
pub mod visible;
