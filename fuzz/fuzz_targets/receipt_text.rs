//! The text of a receipt, as any carrier may write it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sms::receipt::{IdNotation, Receipt};

fuzz_target!(|data: &[u8]| {
    if let Some(receipt) = Receipt::read(data, None, None, None) {
        for notation in IdNotation::ALL {
            let _ = notation.receipt_id(&receipt.id);
            let _ = notation.submit_id(&receipt.id);
        }
    }
});
