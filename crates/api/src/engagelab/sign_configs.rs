//! Signatures of generation C: `/v1/sign-configs`, `/v1/sign-configs/{id}` (docs/dialects/engagelab.md).

use super::codes::ApiError;
use super::codes::config::{
    FULL, PARAMETERS, SIGN_ID, SIGN_IN_PLANS, SIGN_IN_TEMPLATES, SIGN_PENDING, SIGN_TAKEN, SIGN_UNKNOWN,
};
use super::manage::{Call, bare, not_stored_c, success};
use super::signs::{self, SignNameError};
use super::{display_texts, scheduled};
use engine::AccountId;
use engine::catalog::{Review, Signature, Snapshot};
use engine::manage::{ManageError, NewSignature, SignatureEdit, Then};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// What a body says of a signature.
#[derive(Debug, PartialEq, Eq)]
pub struct SignConfigFields {
    name: Box<str>,
}

impl SignConfigFields {
    /// Reads a body.
    ///
    /// # Errors
    /// 400.
    pub fn read(body: &[u8]) -> Result<Self, ApiError> {
        let name = signs::read_name(body).map_err(|wrong| match wrong {
            SignNameError::Body => ApiError::from(&PARAMETERS),
            SignNameError::Name => ApiError::saying(
                &PARAMETERS,
                "invalid parameters: sign_name must be a string of 2 to 60 characters without 【, 】, [, ] and variables",
            ),
        })?;
        Ok(Self { name })
    }
}

/// GET: one of them.
pub(super) fn get(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let used = templates_by_signature(&call.catalog, call.account());
    Ok(bare(View::of(known(call)?, &used), 1))
}

/// GET: all of them.
pub(super) fn list(call: &Call<'_>) -> Vec<u8> {
    let used = templates_by_signature(&call.catalog, call.account());
    let signatures = call.catalog.signatures_of(call.account());
    let all: Vec<_> = signatures.map(|signature| View::of(signature, &used)).collect();
    let entries = all.len();
    bare(all, entries)
}

/// POST: a new one, under review at once.
pub(super) async fn add(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let new = NewSignature {
        text: SignConfigFields::read(&call.body)?.name,
        details: serde_json::Value::Null,
        then: Then::Submit,
    };
    let added = call.engine().add_signature(call.account(), new).await;
    let signature = added.map_err(|error| refused(&error))?;
    #[derive(Serialize)]
    struct Added {
        sign_id: String,
    }
    Ok(bare(
        Added {
            sign_id: signature.id.to_string(),
        },
        0,
    ))
}

/// PUT: another name, reviewed again.
pub(super) async fn change(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let signature = known(call)?;
    let given = SignConfigFields::read(&call.body)?;
    if signature.review == Review::Submitted {
        return Err(ApiError::from(&SIGN_PENDING));
    }
    if is_scheduled(call, signature.id).await? {
        return Err(ApiError::from(&SIGN_IN_PLANS));
    }
    let edit = SignatureEdit {
        text: Some(given.name),
        details: None,
        only_rejected: false,
        then: Then::Submit,
    };
    let changed = call
        .engine()
        .change_signature(call.account(), signature.id, edit)
        .await;
    changed.map_err(|error| refused(&error))?;
    Ok(success())
}

/// DELETE.
pub(super) async fn remove(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let id = known(call)?.id;
    if is_scheduled(call, id).await? {
        return Err(ApiError::from(&SIGN_IN_PLANS));
    }
    let removed = call.engine().remove_signatures(call.account(), &[id]).await;
    removed.map_err(|error| refused(&error))?;
    Ok(success())
}

/// Whether messages with it wait to be sent: those of the templates it is on.
async fn is_scheduled(call: &Call<'_>, signature: i64) -> Result<bool, ApiError> {
    let templates = call.catalog.templates_of(call.account());
    let on = templates
        .filter(|entry| entry.template.signature == Some(signature))
        .map(|entry| entry.template.number);
    scheduled::any_pending(call, on.collect()).await
}

fn known<'a>(call: &'a Call<'_>) -> Result<&'a Arc<Signature>, ApiError> {
    let id = call.id.parse().map_err(|_| &SIGN_ID)?;
    Ok(call.catalog.signature(call.account(), id).ok_or(&SIGN_UNKNOWN)?)
}

fn refused(error: &ManageError) -> ApiError {
    match error {
        ManageError::Unknown(_) => ApiError::from(&SIGN_UNKNOWN),
        ManageError::NameTaken(_) => ApiError::from(&SIGN_TAKEN),
        ManageError::InReview(_) => ApiError::from(&SIGN_PENDING),
        ManageError::InUse(_) => ApiError::from(&SIGN_IN_TEMPLATES),
        ManageError::TooMany(_) => ApiError::from(&FULL),
        other => not_stored_c(other),
    }
}

/// How many templates each signature is on.
fn templates_by_signature(catalog: &Snapshot, account: AccountId) -> HashMap<i64, u64> {
    let mut used = HashMap::new();
    for id in catalog
        .templates_of(account)
        .filter_map(|entry| entry.template.signature)
    {
        *used.entry(id).or_default() += 1;
    }
    used
}

#[derive(Serialize)]
struct View<'a> {
    sign_id: String,
    sign_name: &'a str,
    status: u8,
    related_template_count: u64,
    audit_remark: &'a str,
    created_time: i64,
    updated_time: i64,
}

impl<'a> View<'a> {
    fn of(signature: &'a Signature, used: &HashMap<i64, u64>) -> Self {
        Self {
            sign_id: signature.id.to_string(),
            sign_name: &signature.text,
            status: display_texts::config_status(signature.review),
            related_template_count: used.get(&signature.id).copied().unwrap_or(0),
            audit_remark: &signature.reason,
            created_time: signature.created_at.div_euclid(1000),
            updated_time: signature.updated_at.div_euclid(1000),
        }
    }
}
