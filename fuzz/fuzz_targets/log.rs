//! A write-ahead log, and the note of what was durable, as anything may have left them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use store::sqlite::read_as_log_and_note;

fuzz_target!(|octets: &[u8]| read_as_log_and_note(octets));
