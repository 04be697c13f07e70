//! Labels of generation A: `/v1/labels`, `/v1/labels/{id}` (docs/dialects/engagelab.md).

use super::codes::ApiError;
use super::codes::a::{BAD_REQUEST, LABEL_FORMAT, LABEL_NAME, LABEL_TAKEN, LABEL_UNKNOWN, LABELS_FULL};
use super::manage::{Call, many, nothing, one, store_failed_a};
use super::query::Query;
use super::{fields, moment};
use crate::{days, json};
use engine::{Record, RecordFilter, RecordKind, RecordRefusal};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Longest `label_name` in characters. No source has a limit; chosen.
pub const NAME_CHARS_MAX: usize = 64;

/// What a body says of a label.
#[derive(Debug, PartialEq, Eq)]
pub struct LabelFields {
    name: Box<str>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    label_name: Option<&'a RawValue>,
}

impl LabelFields {
    /// Reads a body.
    ///
    /// # Errors
    /// 30400, 34022.
    pub fn read(body: &[u8]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(body).map_err(|_| &BAD_REQUEST)?;
        let body: Body<'_> = json::structure(text).ok_or(&BAD_REQUEST)?;
        let name = fields::name(body.label_name, 1..=NAME_CHARS_MAX).map_err(|_| &LABEL_NAME)?;
        Ok(Self {
            name: name.ok_or(&LABEL_NAME)?,
        })
    }
}

/// GET: one of them.
pub(super) async fn get(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    Ok(one(View::of(&known(call).await?)))
}

/// GET: the labels whose name contains the text of the query.
pub(super) async fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let query = Query::read(call.query);
    let paging = query.paging()?;
    let filter = RecordFilter {
        name_contains: query.get("label_name").map(Box::from),
        offset: paging.offset,
        limit: paging.limit,
    };
    let found = call
        .engine()
        .records(call.account(), RecordKind::Label, filter)
        .await
        .map_err(|error| store_failed_a(&error))?;
    Ok(many(found.items.iter().map(View::of).collect(), found.total))
}

/// POST: a new one.
pub(super) async fn add(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let now = call.now();
    let record = Record {
        id: 0,
        account: call.account(),
        kind: RecordKind::Label,
        name: LabelFields::read(&call.body)?.name,
        body: "{}".into(),
        data: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    let added = call.engine().add_record(record).await;
    let label = added.map_err(|error| store_failed_a(&error))?.map_err(refused)?;
    Ok(one(View::of(&label)))
}

/// PUT: another name.
pub(super) async fn change(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let name = LabelFields::read(&call.body)?.name;
    let record = Record {
        name,
        updated_at: call.now(),
        ..known(call).await?
    };
    let changed = call.engine().change_record(record).await;
    changed
        .map_err(|error| store_failed_a(&error))?
        .map_err(refused)?;
    Ok(nothing())
}

/// DELETE. What was sent with it stays counted under its number.
pub(super) async fn remove(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let id = label_id(call)?;
    let removed = call
        .engine()
        .remove_record(call.account(), RecordKind::Label, id)
        .await
        .map_err(|error| store_failed_a(&error))?;
    if removed {
        Ok(nothing())
    } else {
        Err(ApiError::from(&LABEL_UNKNOWN))
    }
}

fn label_id(call: &Call<'_>) -> Result<i64, ApiError> {
    Ok(call.id.parse().map_err(|_| &LABEL_FORMAT)?)
}

async fn known(call: &Call<'_>) -> Result<Record, ApiError> {
    let found = call
        .engine()
        .record(call.account(), RecordKind::Label, label_id(call)?)
        .await
        .map_err(|error| store_failed_a(&error))?;
    Ok(found.ok_or(&LABEL_UNKNOWN)?)
}

fn refused(refusal: RecordRefusal) -> ApiError {
    ApiError::from(match refusal {
        RecordRefusal::NameTaken => &LABEL_TAKEN,
        RecordRefusal::Full | RecordRefusal::NoRoom => &LABELS_FULL,
        _ => &LABEL_UNKNOWN,
    })
}

#[derive(Serialize)]
struct View<'a> {
    label_id: i64,
    label_name: &'a str,
    create_time: String,
    update_time: String,
}

impl<'a> View<'a> {
    fn of(label: &'a Record) -> Self {
        Self {
            label_id: label.id,
            label_name: &label.name,
            create_time: moment(label.created_at, days::CHINA),
            update_time: moment(label.updated_at, days::CHINA),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_to_sixty_four_characters() {
        let code =
            |body: &str| LabelFields::read(body.as_bytes()).map_or_else(|refused| refused.code.code, |_| 0);
        let name = |name: &str| code(&serde_json::json!({ "label_name": name }).to_string());
        for (written, expected) in [
            ("a".to_owned(), 0),
            ("小".repeat(64), 0),
            ("小".repeat(65), 34022),
            (" ".to_owned(), 34022),
            ("a\u{0}".to_owned(), 34022),
        ] {
            assert_eq!(name(&written), expected, "{written}");
        }
        for (body, expected) in [
            ("", 30400),
            ("7", 30400),
            ("{}", 34022),
            (r#"{"label_name":{}}"#, 34022),
            (r#"{"label_name":7}"#, 0),
        ] {
            assert_eq!(code(body), expected, "{body}");
        }
    }
}
