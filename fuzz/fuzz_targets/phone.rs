//! Arbitrary spellings of a number: a number that reads once reads the same in its international form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sms::phone::{Grammar, parse};

fuzz_target!(|written: &str| {
    for grammar in [
        Grammar::Uspeedo,
        Grammar::UcloudAction,
        Grammar::SendCloud,
        Grammar::SendCloudInternational,
        Grammar::EngageLabA,
        Grammar::EngageLabC,
    ] {
        if let Ok(number) = parse(written, grammar) {
            assert_eq!(parse(&format!("00{number}"), grammar), Ok(number));
        }
    }
});
