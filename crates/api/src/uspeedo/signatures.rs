//! Signatures: submitted, shown, changed once rejected, removed (contract section 3.3). UCloud only.

use super::answer::done;
use super::api_error::ApiError;
use super::error_texts::Thing;
use super::files::{self, File};
use super::handle_action::ActionRequest;
use super::handler::refused;
use super::params::{bounded, flag, required, required_integer, text, texts};
use super::qualifications;
use super::templates::{own_details, status_of, with_own_details};
use super::tree::Members;
use crate::days::{CHINA, at};
use engine::AccountId;
use engine::catalog::{Review, Signature, Snapshot};
use engine::manage::{NewSignature, SignatureEdit, Then};
use engine::sms::template::is_plain;
use engine::sms::visible::is_invisible;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Characters of a signature for mainland China.
pub const CHARS: RangeInclusive<usize> = 2..=12;
/// Characters of one for abroad: nothing is documented, and names there are longer.
pub const INTERNATIONAL_CHARS: RangeInclusive<usize> = 2..=32;
/// Longest text about a signature in characters: nothing is documented.
pub const OTHER_CHARS_MAX: usize = 2000;

/// What stands in front of the date and number in a signature's id.
const ID_PREFIX: &str = "SIG";
/// Digits of the date in it.
const ID_DATE_DIGITS: usize = 8;

/// What only this family knows of a signature.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Details {
    /// Whose name it is: company, app, website, mini program, trademark, public body.
    pub sig_type: u8,
    /// 0: the account's own. 1: somebody else's.
    pub sig_purpose: u8,
    /// The kind of document that proves the ownership.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_type: Option<u8>,
    /// Why it is wanted.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it is used for.
    #[serde(rename = "SceneDesc", skip_serializing_if = "String::is_empty")]
    pub usage: String,
    /// Whether it is for abroad.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub international: bool,
    /// The documents of its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qualification_id: Option<String>,
    /// The proof: a file's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<i64>,
    /// The power of attorney: a file's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_file: Option<i64>,
    /// Where the proof lies that did not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Where the power of attorney lies that did not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_doc: Option<String>,
}

impl Details {
    fn files(&self) -> impl Iterator<Item = i64> + use<> {
        [self.file, self.proxy_file].into_iter().flatten()
    }
}

/// The parameters of a signature. Its documents have no numbers yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Without brackets.
    pub text: String,
    /// Everything else.
    pub details: Details,
    /// The proof.
    pub file: Option<File>,
    /// The power of attorney.
    pub proxy_file: Option<File>,
}

/// Reads the parameters of `CreateUSMSSignature`.
pub fn parse_new(params: &Members<'_>) -> Result<Application, ApiError> {
    let description = other(params, "Description")?.ok_or(ApiError::Missing("Description"))?;
    required_integer(params, "CertificateType", 0..=5)?;
    let blank = Details {
        international: flag(params, "International")?.unwrap_or(false),
        qualification_id: other(params, "QualificationId")?,
        description,
        ..Details::default()
    };
    let application = parse(params, blank)?;
    if application.details.sig_purpose == 1 && application.proxy_file.is_none() {
        return Err(ApiError::Missing("ProxyFile"));
    }
    Ok(application)
}

/// What `UpdateUSMSSignature` makes of a signature with these details.
pub fn parse_edit(params: &Members<'_>, old: &Details) -> Result<Application, ApiError> {
    let mut blank = old.clone();
    let documents = [
        ("Document", &mut blank.document),
        ("ProxyDoc", &mut blank.proxy_doc),
    ];
    for (name, kept) in documents {
        if let Some(given) = other(params, name)? {
            *kept = Some(given);
        }
    }
    let application = parse(params, blank)?;
    let details = &application.details;
    let proxy =
        application.proxy_file.is_some() || details.proxy_file.is_some() || details.proxy_doc.is_some();
    if details.sig_purpose == 1 && !proxy {
        return Err(ApiError::Missing("ProxyFile"));
    }
    Ok(application)
}

/// What both have in common.
fn parse(params: &Members<'_>, mut details: Details) -> Result<Application, ApiError> {
    let name = required(params, "SigContent")?;
    let lengths = if details.international {
        INTERNATIONAL_CHARS
    } else {
        CHARS
    };
    let bare = bare(name);
    let odd = |c: char| matches!(c, '【' | '】' | '[' | ']') || is_invisible(c);
    if !lengths.contains(&bare.chars().count()) || bare.chars().any(odd) || !is_plain(bare) {
        return Err(ApiError::Value("SigContent"));
    }
    let small = |name, max| required_integer(params, name, 0..=max);
    details.sig_type = u8::try_from(small("SigType", 5)?).unwrap_or_default();
    details.sig_purpose = u8::try_from(small("SigPurpose", 1)?).unwrap_or_default();
    if let Some(certificate) = super::params::integer(params, "CertificateType", 0..=5)? {
        details.certificate_type = u8::try_from(certificate).ok();
    }
    if let Some(usage) = other(params, "SceneDesc")? {
        details.usage = usage;
    }
    let document = |name| {
        text(params, name)?
            .map(|written| files::parse_document(written, name))
            .transpose()
    };
    Ok(Application {
        text: bare.to_owned(),
        details,
        file: document("File")?,
        proxy_file: document("ProxyFile")?,
    })
}

/// Brackets need not be written, the platform puts them there; one pair around the whole is taken off.
fn bare(written: &str) -> &str {
    let written = written.trim();
    let pairs = [('【', '】'), ('[', ']')];
    pairs
        .iter()
        .find_map(|&(open, close)| written.strip_prefix(open)?.strip_suffix(close))
        .unwrap_or(written)
        .trim()
}

fn other(params: &Members<'_>, name: &'static str) -> Result<Option<String>, ApiError> {
    Ok(bounded(params, name, OTHER_CHARS_MAX)?.map(str::to_owned))
}

/// The id of a signature: `SIG`, the day it was made, its number (contract section 6).
pub fn id(signature: &Signature) -> String {
    let day = at(signature.created_at, CHINA).strftime("%Y%m%d").to_string();
    format!("{ID_PREFIX}{day}{:06}", signature.id)
}

/// The account's signature with an id.
fn by_id<'c>(catalog: &'c Snapshot, account: AccountId, written: &str) -> Option<&'c Arc<Signature>> {
    let number = written
        .strip_prefix(ID_PREFIX)?
        .get(ID_DATE_DIGITS..)?
        .parse()
        .ok()?;
    catalog
        .signature(account, number)
        .filter(|signature| id(signature) == written)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Created<'a> {
    sig_content: &'a str,
    sig_id: String,
}

/// `CreateUSMSSignature`
pub(super) async fn create(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let application = parse_new(request.params)?;
    let account = request.caller.account;
    let catalog = request.engine().catalog();
    // Checked before the documents are stored; the engine checks again when it creates the signature.
    if catalog
        .signatures_of(account)
        .any(|other| *other.text == *application.text)
    {
        return Err(ApiError::NameTaken(Thing::Signature));
    }
    if let Some(id) = &application.details.qualification_id {
        qualifications::must_exist(request, id).await?;
    }
    let details = keep_documents(request, &application, Details::default()).await?;
    let new = NewSignature {
        text: application.text.as_str().into(),
        details: with_own_details(&Value::Null, &details),
        then: Then::Submit,
    };
    match request.engine().add_signature(account, new).await {
        Ok(signature) => Ok(done(
            request.context,
            &Created {
                sig_content: &signature.text,
                sig_id: id(&signature),
            },
        )),
        Err(error) => {
            files::drop_all(request, details.files().collect()).await;
            Err(refused(request.context, &error, Thing::Signature))
        }
    }
}

/// Stores the documents of an application; returns its details with their numbers.
async fn keep_documents(
    request: ActionRequest<'_>,
    application: &Application,
    before: Details,
) -> Result<Details, ApiError> {
    let mut details = application.details.clone();
    (details.file, details.proxy_file) = (before.file, before.proxy_file);
    if let Some(file) = &application.file {
        details.file = Some(files::keep(request, file.clone()).await?);
    }
    if let Some(file) = &application.proxy_file {
        match files::keep(request, file.clone()).await {
            Ok(number) => details.proxy_file = Some(number),
            Err(fault) => {
                let stored = application.file.as_ref().and(details.file);
                files::drop_all(request, stored.into_iter().collect()).await;
                return Err(fault);
            }
        }
    }
    Ok(details)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Found<'a> {
    data: OutSignature<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct OutSignature<'a> {
    sig_id: String,
    sig_content: &'a str,
    status: u8,
    err_desc: &'a str,
}

/// `QueryUSMSSignature`: by id or by text; the id counts when both are given.
pub(super) fn query(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let catalog = request.engine().catalog();
    let account = request.caller.account;
    let found = match (
        text(request.params, "SigId")?,
        text(request.params, "SigContent")?,
    ) {
        (Some(id), _) => by_id(&catalog, account, id),
        (None, Some(text)) => catalog.signature_by_text(account, text),
        (None, None) => return Err(ApiError::Missing("SigId")),
    };
    let signature = found.ok_or(ApiError::Unknown(Thing::Signature))?;
    Ok(done(
        request.context,
        &Found {
            data: OutSignature {
                sig_id: id(signature),
                sig_content: &signature.text,
                status: status_of(signature.review),
                err_desc: &signature.reason,
            },
        },
    ))
}

/// `UpdateUSMSSignature`
pub(super) async fn update(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let account = request.caller.account;
    let catalog = request.engine().catalog();
    let found = by_id(&catalog, account, required(request.params, "SigId")?);
    let before: Details = found.map_or_else(Details::default, |found| own_details(&found.details));
    let application = parse_edit(request.params, &before)?;
    let signature = found.ok_or(ApiError::Unknown(Thing::Signature))?;
    // Checked before the documents are stored; the engine checks again when it changes the signature.
    match signature.review {
        Review::Rejected => {}
        Review::Submitted => return Err(ApiError::InReview(Thing::Signature)),
        _ => return Err(ApiError::NotRejected),
    }
    let details = keep_documents(request, &application, before.clone()).await?;
    let edit = SignatureEdit {
        text: Some(application.text.as_str().into()),
        details: Some(with_own_details(&signature.details, &details)),
        only_rejected: true,
        then: Then::Submit,
    };
    let changed = request
        .engine()
        .change_signature(account, signature.id, edit)
        .await;
    let (kept, dropped) = match &changed {
        Ok(_) => (&details, &before),
        Err(_) => (&before, &details),
    };
    let kept: Vec<i64> = kept.files().collect();
    let dropped = dropped.files().filter(|number| !kept.contains(number));
    files::drop_all(request, dropped.collect()).await;
    changed.map_err(|error| refused(request.context, &error, Thing::Signature))?;
    Ok(done(request.context, &()))
}

/// `DeleteUSMSSignature`: all or none.
pub(super) async fn delete(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let account = request.caller.account;
    let ids = texts(
        request.params,
        "SigIds",
        request.api.limits.sessions_per_query_max,
    )?;
    let catalog = request.engine().catalog();
    let found: Option<Vec<&Arc<Signature>>> = ids.iter().map(|id| by_id(&catalog, account, id)).collect();
    let found = found.ok_or(ApiError::Unknown(Thing::Signature))?;
    let mut numbers: Vec<i64> = found.iter().map(|signature| signature.id).collect();
    numbers.sort_unstable();
    numbers.dedup();
    request
        .engine()
        .remove_signatures(account, &numbers)
        .await
        .map_err(|error| refused(request.context, &error, Thing::Signature))?;
    let documents = found
        .iter()
        .flat_map(|signature| own_details::<Details>(&signature.details).files())
        .collect();
    files::drop_all(request, documents).await;
    Ok(done(request.context, &()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_pair_of_brackets_is_taken_off() {
        for (written, expected) in [
            ("Example", "Example"),
            ("【Example】", "Example"),
            (" [ Example ] ", "Example"),
            ("【Example", "【Example"),
            ("[[Example]]", "[Example]"),
        ] {
            assert_eq!(bare(written), expected, "{written}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_applied_for_fits_its_bounds(text in ".{0,40}", kind in -2_i64..8, international in any::<bool>()) {
            let body = serde_json::json!({"SigContent": text, "SigType": kind, "SigPurpose": 0, "CertificateType": kind,
                "Description": "d", "International": international}).to_string();
            let params = Members::from_json(body.as_bytes(), 1 << 20).unwrap();
            if let Ok(application) = parse_new(&params) {
                let lengths = if international { INTERNATIONAL_CHARS } else { CHARS };
                prop_assert!(lengths.contains(&application.text.chars().count()));
                prop_assert!((0..=5).contains(&kind));
                prop_assert!(!application.text.contains(['【', '】', '[', ']']));
            }
        }
    }
}
