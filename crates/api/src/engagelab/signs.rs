//! Signatures of generation A: `/v1/signs`, `/v1/signs/{id}` (docs/dialects/engagelab.md).

use super::codes::ApiError;
use super::codes::a::{BAD_REQUEST, SIGN_IN_REVIEW, SIGN_NAME, SIGN_TAKEN, SIGN_UNKNOWN, SIGNS_FULL};
use super::manage::{Call, many, not_stored_a, nothing, one};
use super::query::Query;
use super::{fields, moment};
use crate::{days, json};
use engine::catalog::Signature;
use engine::manage::{ManageError, NewSignature, SignatureEdit, Then};
use engine::sms::template::is_plain;
use engine::sms::visible::is_invisible;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Bounds of `sign_name` in characters, in both generations (docs/dialects/engagelab.md).
pub const NAME_CHARS: RangeInclusive<usize> = 2..=60;
/// Signatures of an account, as the console's page bounds them.
const SIGNS_MAX: usize = 100;
/// What stands around a signature cannot stand in it.
const BRACKETS: [char; 4] = ['【', '】', '[', ']'];

/// What a body says of a signature.
#[derive(Debug, PartialEq, Eq)]
pub struct SignFields {
    name: Box<str>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    sign_name: Option<&'a RawValue>,
}

impl SignFields {
    /// Reads a body.
    ///
    /// # Errors
    /// 30400, 34011.
    pub fn read(body: &[u8]) -> Result<Self, ApiError> {
        let name = read_name(body).map_err(|wrong| match wrong {
            SignNameError::Body => &BAD_REQUEST,
            SignNameError::Name => &SIGN_NAME,
        })?;
        Ok(Self { name })
    }
}

/// What is wrong with a body that names a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignNameError {
    /// It is no JSON object.
    Body,
    /// The name is missing or malformed.
    Name,
}

/// `sign_name`, the same in both generations.
pub(super) fn read_name(body: &[u8]) -> Result<Box<str>, SignNameError> {
    let text = std::str::from_utf8(body).map_err(|_| SignNameError::Body)?;
    let body: Body<'_> = json::structure(text).ok_or(SignNameError::Body)?;
    fields::name(body.sign_name, NAME_CHARS)
        .ok()
        .flatten()
        // It stands on handsets.
        .filter(|name| !name.contains(BRACKETS) && is_plain(name) && !name.chars().any(is_invisible))
        .ok_or(SignNameError::Name)
}

/// GET: one of them.
pub(super) fn get(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    Ok(one(View::of(known(call)?)))
}

/// GET: the signatures whose name contains the text of the query.
pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let query = Query::read(call.query);
    let name = query.get("sign_name").unwrap_or_default().to_lowercase();
    let wanted = call
        .catalog
        .signatures_of(call.account())
        .filter(|signature| signature.text.to_lowercase().contains(&name));
    let (page, total) = query.paging()?.of(wanted);
    Ok(many(
        page.into_iter().map(|signature| View::of(signature)).collect(),
        total,
    ))
}

/// POST: a new one, reviewed before it can be used.
pub(super) async fn add(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let given = SignFields::read(&call.body)?;
    if call.catalog.signatures_of(call.account()).count() >= SIGNS_MAX {
        return Err(ApiError::from(&SIGNS_FULL));
    }
    let new = NewSignature {
        text: given.name,
        details: serde_json::Value::Null,
        then: Then::Submit,
    };
    let added = call.engine().add_signature(call.account(), new).await;
    Ok(one(View::of(&*added.map_err(|error| refused(&error))?)))
}

/// PUT: another name, reviewed again.
pub(super) async fn change(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let id = known(call)?.id;
    let edit = SignatureEdit {
        text: Some(SignFields::read(&call.body)?.name),
        details: None,
        only_rejected: false,
        then: Then::Submit,
    };
    let changed = call.engine().change_signature(call.account(), id, edit).await;
    changed.map_err(|error| refused(&error))?;
    Ok(nothing())
}

/// The signature of the path. What is no number is one nobody has.
fn known<'a>(call: &'a Call<'_>) -> Result<&'a Arc<Signature>, ApiError> {
    let id = call.id.parse().map_err(|_| &SIGN_UNKNOWN)?;
    Ok(call.catalog.signature(call.account(), id).ok_or(&SIGN_UNKNOWN)?)
}

fn refused(error: &ManageError) -> ApiError {
    match error {
        ManageError::Unknown(_) => ApiError::from(&SIGN_UNKNOWN),
        ManageError::NameTaken(_) => ApiError::from(&SIGN_TAKEN),
        ManageError::InReview(_) => ApiError::from(&SIGN_IN_REVIEW),
        ManageError::TooMany(_) => ApiError::from(&SIGNS_FULL),
        other => not_stored_a(other),
    }
}

#[derive(Serialize)]
struct View<'a> {
    sign_id: i64,
    sign_name: &'a str,
    create_time: String,
    update_time: String,
}

impl<'a> View<'a> {
    fn of(signature: &'a Signature) -> Self {
        Self {
            sign_id: signature.id,
            sign_name: &signature.text,
            create_time: moment(signature.created_at, days::CHINA),
            update_time: moment(signature.updated_at, days::CHINA),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_two_to_sixty_characters_and_no_brackets() {
        let code =
            |body: &str| SignFields::read(body.as_bytes()).map_or_else(|refused| refused.code.code, |_| 0);
        let name = |name: &str| code(&serde_json::json!({ "sign_name": name }).to_string());
        for (written, expected) in [
            ("Acme".to_owned(), 0),
            ("小明".to_owned(), 0),
            ("小".repeat(60), 0),
            ("小".repeat(61), 34011),
            ("a".to_owned(), 34011),
            (" a ".to_owned(), 34011),
            (String::new(), 34011),
            ("[Acme]".to_owned(), 34011),
            ("Ac【me".to_owned(), 34011),
            ("Ac】me".to_owned(), 34011),
            ("Ac]me".to_owned(), 34011),
            ("Ac\nme".to_owned(), 34011),
            ("Acme {1}".to_owned(), 34011),
            ("%name%".to_owned(), 34011),
        ] {
            assert_eq!(name(&written), expected, "{written}");
        }
        for (body, expected) in [
            ("", 30400),
            ("[]", 30400),
            ("{}", 34011),
            (r#"{"sign_name":null}"#, 34011),
            (r#"{"sign_name":["Acme"]}"#, 34011),
            (r#"{"sign_name":12}"#, 0),
        ] {
            assert_eq!(code(body), expected, "{body}");
        }
    }
}
