//! An arbitrary write-ahead log with an arbitrary note of what was durable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use store::sqlite::read_as_log_and_note;

fuzz_target!(|octets: &[u8]| read_as_log_and_note(octets));
