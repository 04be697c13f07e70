//! uSpeedo and UCloud requests as anybody may write them: parameters, signed text, everything that reads them.
#![no_main]

use api::uspeedo::canon::{Covers, PUBLIC_KEY, SIGNATURE, canonical};
use api::uspeedo::tree::Members;
use api::uspeedo::wire;
use engine::Dialect;
use engine::accept::Item;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const RECIPIENTS_MAX: usize = 100;
const SESSIONS_MAX: usize = 10;

/// The signed text over another representation.
fn reference(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(reference).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| name.clone() + &reference(value))
            .collect(),
        other => other.to_string(),
    }
}

fn check(items: &[Item]) {
    assert!(items.iter().all(|item| !item.recipients.is_empty()));
    let recipients: usize = items.iter().map(|item| item.recipients.len()).sum();
    assert!((1..=RECIPIENTS_MAX).contains(&recipients));
}

fn read(params: Members<'_>) {
    let Ok(params) = params.nested() else { return };
    for dialect in [Dialect::UspeedoRest, Dialect::UspeedoAction, Dialect::Ucloud] {
        if let Ok(items) = wire::parse_batch(&params, dialect, RECIPIENTS_MAX) {
            check(&items);
        }
    }
    if let Ok(items) = wire::parse_single(&params, RECIPIENTS_MAX) {
        check(&items);
    }
    if let Ok(sessions) = wire::parse_sessions(&params, SESSIONS_MAX) {
        assert!((1..=SESSIONS_MAX).contains(&sessions.len()));
    }
}

fuzz_target!(|body: &[u8]| {
    if let Ok(query) = std::str::from_utf8(body)
        && let Ok(ids) = wire::parse_ids(query, SESSIONS_MAX)
    {
        assert!((1..=SESSIONS_MAX).contains(&ids.len()));
    }
    if let Ok(params) = Members::from_json(body) {
        let signed = canonical(&params, Covers::Parameters);
        // What only serde_json itself writes may be read differently.
        let private = body.windows(9).any(|window| window == b"private::");
        if let (false, Ok(Value::Object(mut value))) = (private, serde_json::from_slice(body)) {
            value.remove(SIGNATURE);
            assert_eq!(signed, reference(&Value::Object(value.clone())));
            value.remove(PUBLIC_KEY);
            assert_eq!(canonical(&params, Covers::Body), reference(&Value::Object(value)));
        }
        read(params);
    }
    for params in [wire::parse_params(body), wire::parse_json(body)]
        .into_iter()
        .flatten()
    {
        read(params);
    }
});
