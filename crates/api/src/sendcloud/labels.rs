//! Labels: `/smsapi/label/*` (docs/dialects/sendcloud.md).

use super::codes::{ApiError, DELETED, FOUND, FULL, LABEL_UNKNOWN, NAME_TAKEN, SAVED, UPDATED};
use super::fields::{self, Paging};
use super::local;
use super::manage::{Call, Listed, done, done_only, store_failed};
use super::params::Params;
use engine::{Record, RecordFilter, RecordKind, RecordRefusal};
use serde::Serialize;

/// Longest name in characters. No source has a limit; chosen.
const NAME_CHARS_MAX: usize = 64;

/// What `label/save` and `label/update` say of a label, and what `label/list` looks for.
#[derive(Debug, PartialEq, Eq)]
pub struct LabelFields<'a> {
    name: Option<&'a str>,
    paging: Paging,
}

impl<'a> LabelFields<'a> {
    /// Reads `labelName`, `start` and `limit`.
    ///
    /// # Errors
    /// 417, 441.
    pub fn read(params: &'a Params<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            name: fields::text(params, "labelName", NAME_CHARS_MAX)?,
            paging: Paging::read(params)?,
        })
    }
}

/// `label/get`: one of them.
pub(super) async fn get(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let label = label(call).await?;
    Ok(done(&FOUND, One::of(&label), 1))
}

/// `label/list`: the labels whose name contains the text of the query.
pub(super) async fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let requested = LabelFields::read(call.params)?;
    let filter = RecordFilter {
        name_contains: requested.name.map(Box::from),
        offset: requested.paging.start,
        limit: requested.paging.limit,
    };
    let found = call
        .engine()
        .records(call.account(), RecordKind::Label, filter)
        .await
        .map_err(|error| store_failed(&error))?;
    let listed = Listed {
        name: "voList",
        total: found.total,
        entries: found.items.iter().map(Vo::of).collect(),
    };
    let entries = listed.entries.len();
    Ok(done(&FOUND, listed, entries))
}

/// `label/save`: a new one.
pub(super) async fn save(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let record = Record {
        id: 0,
        account: call.account(),
        kind: RecordKind::Label,
        name: name(call)?.into(),
        body: "{}".into(),
        data: Vec::new(),
        created_at: call.now,
        updated_at: call.now,
    };
    let saved = call.engine().add_record(record).await;
    let label = saved
        .map_err(|error| store_failed(&error))?
        .map_err(refused_by_records)?;
    Ok(done(&SAVED, One::of(&label), 1))
}

/// `label/update`: another name.
pub(super) async fn update(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let name = name(call)?;
    let known = label(call).await?;
    let record = Record {
        name: name.into(),
        updated_at: call.now,
        ..known
    };
    let changed = call.engine().change_record(record).await;
    let label = changed
        .map_err(|error| store_failed(&error))?
        .map_err(refused_by_records)?;
    Ok(done(&UPDATED, One::of(&label), 1))
}

/// `label/delete`. What was sent with it stays counted under its number.
pub(super) async fn delete(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let id = label_id(call)?;
    let removed = call
        .engine()
        .remove_record(call.account(), RecordKind::Label, id)
        .await
        .map_err(|error| store_failed(&error))?;
    if removed {
        Ok(done_only(&DELETED))
    } else {
        Err(ApiError::from(&LABEL_UNKNOWN))
    }
}

fn name<'a>(call: &'a Call<'_>) -> Result<&'a str, ApiError> {
    fields::required_name(call.params, "labelName", NAME_CHARS_MAX)
}

/// `labelId`; `id`, which some of the page's examples say, does as well.
fn label_id(call: &Call<'_>) -> Result<i64, ApiError> {
    let written = call.params.get("labelId").or_else(|| call.params.get("id"));
    let written = written.map_or_else(|| fields::required(call.params, "labelId"), Ok)?;
    Ok(written.parse().map_err(|_| &LABEL_UNKNOWN)?)
}

async fn label(call: &Call<'_>) -> Result<Record, ApiError> {
    let id = label_id(call)?;
    let found = call
        .engine()
        .record(call.account(), RecordKind::Label, id)
        .await
        .map_err(|error| store_failed(&error))?;
    Ok(found.ok_or(&LABEL_UNKNOWN)?)
}

fn refused_by_records(refusal: RecordRefusal) -> ApiError {
    ApiError::from(match refusal {
        RecordRefusal::NameTaken => &NAME_TAKEN,
        RecordRefusal::Full | RecordRefusal::NoRoom => &FULL,
        _ => &LABEL_UNKNOWN,
    })
}

#[derive(Serialize)]
struct One<'a> {
    vo: Vo<'a>,
}

impl<'a> One<'a> {
    fn of(label: &'a Record) -> Self {
        Self { vo: Vo::of(label) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Vo<'a> {
    label_id: i64,
    label_name: &'a str,
    create_time: String,
    update_time: String,
}

impl<'a> Vo<'a> {
    fn of(label: &'a Record) -> Self {
        Self {
            label_id: label.id,
            label_name: &label.name,
            create_time: local::moment(label.created_at),
            update_time: local::moment(label.updated_at),
        }
    }
}
