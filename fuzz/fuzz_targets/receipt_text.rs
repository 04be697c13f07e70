//! Arbitrary receipt texts: alone, and with ids and states in parameters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sms::receipt::{IdNotation, OTHER_IDS_MAX, Receipt};

fuzz_target!(|data: &[u8]| {
    let (parameter, text) = data.split_at(data.len().min(usize::from(data.first().copied().unwrap_or(0) % 70)));
    let state = data.last().copied();
    for (text, parameter, state) in [(data, None, None), (text, Some(parameter), None), (text, Some(parameter), state)] {
        if let Some(receipt) = Receipt::read(text, parameter, state, None) {
            for notation in IdNotation::ALL {
                if let Some(ids) = receipt.ids(notation) {
                    assert!(ids.others.len() <= OTHER_IDS_MAX);
                }
            }
            assert!(!receipt.into_intermediate().state.is_final());
        }
    }
});
