//! Arbitrary uSpeedo and UCloud requests: parameters, signed text, every interface that reads them.
#![no_main]

use api::uspeedo::canon::{Covers, PUBLIC_KEY, SIGNATURE, canonical};
use api::uspeedo::tree::Members;
use api::uspeedo::{
    blacklist, files, params, push, qualifications, reports, signatures, statistics, templates, wire,
};
use engine::Dialect;
use engine::accept::Item;
use engine::webhooks::Format;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const RECIPIENTS_MAX: usize = 100;
const SESSIONS_MAX: usize = 10;
const VALUES_MAX: usize = 10_000;

/// The signed text, computed from another representation.
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
        if let Ok(items) = wire::parse_batch(&params, dialect, RECIPIENTS_MAX, VALUES_MAX) {
            check(&items);
        }
    }
    if let Ok(items) = wire::parse_single(&params, RECIPIENTS_MAX) {
        check(&items);
    }
    if let Ok(sessions) = wire::parse_sessions(&params, SESSIONS_MAX) {
        assert!((1..=SESSIONS_MAX).contains(&sessions.len()));
    }
    manage(&params);
}

/// Every value that is read keeps its bounds.
fn manage(params: &Members<'_>) {
    for dialect in [Dialect::UspeedoRest, Dialect::UspeedoAction, Dialect::Ucloud] {
        if let Ok(new) = templates::parse_new(params, dialect) {
            assert!((1..=templates::NEW_TEXT_CHARS_MAX).contains(&new.text.chars().count()));
            assert!((1..=templates::NAME_CHARS_MAX).contains(&new.name.chars().count()));
            let edit = templates::parse_edit(params, dialect, &new.details);
            // The request that creates a template also edits it, and leaves the details unchanged.
            assert!(edit.is_ok_and(|edit| edit.details.is_none()));
        }
        let _ = templates::parse_edit(params, dialect, &Value::Null);
    }
    if let Ok(new) = signatures::parse_new(params) {
        assert!(signatures::INTERNATIONAL_CHARS.contains(&new.text.chars().count()));
        assert!(
            new.file
                .iter()
                .chain(&new.proxy_file)
                .all(|file| file.content.len() <= files::FILE_BYTES_MAX)
        );
    }
    let _ = signatures::parse_edit(params, &signatures::Details::default());
    let _ = qualifications::parse_new(params);
    let _ = qualifications::parse_edit(params, qualifications::Documents::default());
    if let Ok(listing) = qualifications::parse_listing(params) {
        assert!(listing.rows as i64 <= params::ROWS_MAX);
    }
    if let Ok(question) = statistics::parse(params) {
        assert!(question.first <= question.last);
    }
    if let Ok(entries) = blacklist::parse(params) {
        assert!((1..=blacklist::NUMBERS_MAX).contains(&entries.len()));
    }
    let _ = files::parse_upload(params);
    let _ = reports::parse_backfill(params);
    let _ = reports::parse_status(params, SESSIONS_MAX);
    if let Ok(limit) = reports::parse_pull(params) {
        assert!((1..=200).contains(&limit));
    }
}

fuzz_target!(|body: &[u8]| {
    if let Ok(query) = std::str::from_utf8(body)
        && let Ok(ids) = wire::parse_ids(query, SESSIONS_MAX)
    {
        assert!((1..=SESSIONS_MAX).contains(&ids.len()));
    }
    if let Ok(text) = std::str::from_utf8(body) {
        let _ = params::decode(text);
        for number in [files::read_id(text), qualifications::read_id(text)]
            .into_iter()
            .flatten()
        {
            assert!(
                [files::id(number), qualifications::id(number)]
                    .iter()
                    .any(|id| id == text)
            );
        }
    }
    let _ = push::Form::Ucloud.is_taken(200, body);
    if let Ok(settings) = serde_json::from_slice::<Value>(body) {
        let _ = push::Form::Ucloud.check(&settings);
        assert!((1..=1000).contains(&push::Form::Ucloud.events_max(&settings)));
    }
    if let Ok(params) = Members::from_json(body, VALUES_MAX) {
        let signed = canonical(&params, Covers::Parameters);
        // `serde_json` reads its own private markers differently, and it rewrites exponents.
        let private = body.windows(9).any(|window| window == b"private::");
        let exponent = body.windows(2).any(|pair| pair[0].is_ascii_digit() && matches!(pair[1], b'e' | b'E'));
        if let (false, Ok(Value::Object(mut value))) = (private || exponent, serde_json::from_slice(body)) {
            value.remove(SIGNATURE);
            assert_eq!(signed, reference(&Value::Object(value.clone())));
            value.remove(PUBLIC_KEY);
            assert_eq!(canonical(&params, Covers::Body), reference(&Value::Object(value)));
        }
        read(params);
    }
    for params in [wire::parse_params(body, VALUES_MAX), wire::parse_json(body, VALUES_MAX)]
        .into_iter()
        .flatten()
    {
        read(params);
    }
});
