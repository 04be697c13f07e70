//! Text signatures: `/smsapi/sign/*` (docs/dialects/sendcloud.md).

use super::codes::{
    ApiError, PARAMETER_FORMAT, SIGNATURE_FOUND, SIGNATURE_SAVED, SIGNATURE_UNKNOWN, SIGNATURE_UPDATED,
};
use super::fields::{self, MessageType};
use super::local;
use super::manage::{Call, done, refused};
use super::params::Params;
use super::templates::{Verified, with_detail};
use engine::catalog::Signature;
use engine::manage::{NewSignature, SignatureEdit, Then};
use engine::sms::template::is_plain;
use engine::sms::visible::is_invisible;
use serde::Serialize;
use serde_json::Value;

/// Longest signature in characters. No source has a limit; chosen.
const NAME_CHARS_MAX: usize = 32;
/// Where a signature's details hold its `signType`.
const DETAIL_TYPE: &str = "sendcloud_sign_type";

/// A signature as `sign/save` and `sign/updatesms` give it.
#[derive(Debug, PartialEq, Eq)]
pub struct SignatureFields<'a> {
    /// 0 for China, 1 for abroad.
    kind: u8,
    /// Without brackets.
    text: &'a str,
}

impl<'a> SignatureFields<'a> {
    /// Reads both.
    ///
    /// # Errors
    /// 441, 417.
    pub fn read(params: &'a Params<'_>) -> Result<Self, ApiError> {
        let kind = fields::required_number(params, "signType")?;
        if kind > 1 {
            return Err(ApiError::with_name(&PARAMETER_FORMAT, "signType"));
        }
        let name = fields::required(params, "signName")?;
        let text = bare(name);
        let good = !text.is_empty()
            && !text.contains(['【', '】', '[', ']'])
            && !text.contains(is_invisible)
            && is_plain(text);
        if !good {
            return Err(ApiError::with_name(&PARAMETER_FORMAT, "signName"));
        }
        if fields::longer_than(text, NAME_CHARS_MAX) {
            let too_long = &super::codes::PARAMETER_LENGTH;
            return Err(ApiError::with_limit_of(too_long, "signName", NAME_CHARS_MAX));
        }
        Ok(Self { kind, text })
    }
}

/// Signatures are stored without brackets; some callers write them.
fn bare(name: &str) -> &str {
    let inner = name
        .strip_prefix('【')
        .and_then(|rest| rest.strip_suffix('】'))
        .or_else(|| name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')));
    inner.unwrap_or(name).trim()
}

/// `sign/get`: one of them.
pub(super) fn get(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let signature = signature(call)?;
    Ok(done(&SIGNATURE_FOUND, One::of(signature), 1))
}

/// `sign/list`: all of them.
pub(super) fn list(call: &Call<'_>) -> Vec<u8> {
    let vo_list: Vec<_> = call
        .catalog
        .signatures_of(call.account())
        .map(|signature| Vo::of(signature))
        .collect();
    let entries = vo_list.len();
    done(&SIGNATURE_FOUND, Many { vo_list }, entries)
}

/// `sign/save`: goes into review at once.
pub(super) async fn save(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let given = SignatureFields::read(call.params)?;
    let new = NewSignature {
        text: given.text.into(),
        details: with_detail(&Value::Null, DETAIL_TYPE, Some(given.kind)),
        then: Then::Submit,
    };
    let added = call.engine().add_signature(call.account(), new).await;
    let signature = added.map_err(|error| refused(&error))?;
    Ok(done(&SIGNATURE_SAVED, One::of(&signature), 1))
}

/// `sign/updatesms`, also `sign/update`: another text goes into review again.
pub(super) async fn update(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let known = signature(call)?;
    let given = SignatureFields::read(call.params)?;
    let edit = SignatureEdit {
        text: Some(given.text.into()),
        details: Some(with_detail(&known.details, DETAIL_TYPE, Some(given.kind))),
        only_rejected: false,
        then: Then::Submit,
    };
    let changed = call
        .engine()
        .change_signature(call.account(), known.id, edit)
        .await;
    let signature = changed.map_err(|error| refused(&error))?;
    Ok(done(&SIGNATURE_UPDATED, One::of(&signature), 1))
}

/// The signature that `id` names.
fn signature<'a>(call: &'a Call<'_>) -> Result<&'a Signature, ApiError> {
    let id = fields::required(call.params, "id")?
        .parse()
        .map_err(|_| &SIGNATURE_UNKNOWN)?;
    let found = call.catalog.signature(call.account(), id);
    Ok(found.ok_or(&SIGNATURE_UNKNOWN)?)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    sms_sign_vo: Vo<'a>,
}

impl<'a> One<'a> {
    fn of(signature: &'a Signature) -> Self {
        Self {
            sms_sign_vo: Vo::of(signature),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Many<'a> {
    vo_list: Vec<Vo<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Vo<'a> {
    id: i64,
    sign_name: &'a str,
    sign_type_desc: &'static str,
    verify_status: &'static str,
    create_time: String,
    update_time: String,
}

impl<'a> Vo<'a> {
    fn of(signature: &'a Signature) -> Self {
        let abroad = signature.details.get(DETAIL_TYPE).and_then(Value::as_u64) == Some(1);
        let kind = if abroad {
            MessageType::International
        } else {
            MessageType::Domestic
        };
        Self {
            id: signature.id,
            sign_name: &signature.text,
            sign_type_desc: kind.text(),
            verify_status: Verified::of(signature.review).text(),
            create_time: local::moment(signature.created_at),
            update_time: local::moment(signature.updated_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<(u8, String), u32> {
        let params = Params::read(Some(query), b"").unwrap();
        SignatureFields::read(&params)
            .map(|given| (given.kind, given.text.to_owned()))
            .map_err(|refused| refused.code.code)
    }

    #[test]
    fn signatures_are_kept_without_brackets_and_refused_otherwise() {
        let good = |kind, text: &str| Ok((kind, text.to_owned()));
        for (query, expected) in [
            ("signType=0&signName=Example", good(0, "Example")),
            ("signType=1&signName=%E9%97%AA%E8%BE%BE", good(1, "闪达")),
            (
                "signType=0&signName=%E3%80%90Example%E3%80%91",
                good(0, "Example"),
            ),
            ("signType=0&signName=%5B+Example+%5D", good(0, "Example")),
            ("signName=Example", Err(441)),
            ("signType=2&signName=Example", Err(441)),
            ("signType=x&signName=Example", Err(441)),
            ("signType=0", Err(441)),
            ("signType=0&signName=%E3%80%90%E3%80%91", Err(441)),
            ("signType=0&signName=a%5Bb", Err(441)),
            ("signType=0&signName=a%0Ab", Err(441)),
            ("signType=0&signName=%25name%25", Err(441)),
            ("signType=0&signName=Save+20%25", good(0, "Save 20%")),
        ] {
            assert_eq!(read(query), expected, "{query}");
        }
        let long = |chars: usize| format!("signType=0&signName={}", "x".repeat(chars));
        assert!(read(&long(32)).is_ok());
        assert_eq!(read(&long(33)), Err(417));
    }
}
