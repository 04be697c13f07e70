//! Templates of generation C: `/v1/template-configs`, `/v1/template-configs/{id}` (docs/dialects/engagelab.md).

use super::codes::ApiError;
use super::codes::config::{
    FULL, PARAMETERS, SIGN_ID, SIGN_NOT_APPROVED, SIGN_UNKNOWN, TEMPLATE_ID, TEMPLATE_IN_PLANS,
    TEMPLATE_PENDING, TEMPLATE_UNKNOWN,
};
use super::manage::{Call, bare, not_stored_c, success};
use super::{content, display_texts, fields, scheduled};
use crate::json;
use engine::AccountId;
use engine::catalog::{Position, Review, Signature, Snapshot, TemplateEntry};
use engine::manage::{ManageError, NewTemplate, TemplateEdit, Then};
use engine::sms::class::Class;
use engine::sms::template::PLACEHOLDER_RULE;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Longest `template_name` in characters (docs/dialects/engagelab.md).
pub const NAME_CHARS_MAX: usize = 255;
/// Longest `template_content` in characters. No source has a limit; chosen: about ten parts.
pub const CONTENT_CHARS_MAX: usize = 1600;
/// Most entries of `country_codes`: there are 249 of them.
const COUNTRIES_MAX: usize = 250;
/// Where a template's details hold its `country_codes`.
const DETAIL_COUNTRIES: &str = "engagelab_country_codes";

/// What a body says of a template.
#[derive(Debug, PartialEq, Eq)]
pub struct TemplateConfigFields {
    name: Box<str>,
    class: Class,
    text: Box<str>,
    countries: Box<str>,
    sign: Option<(i64, Position)>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    template_name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    template_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    template_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    country_codes: Option<&'a RawValue>,
    #[serde(borrow, default)]
    add_signature: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sign_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sign_position: Option<&'a RawValue>,
}

impl TemplateConfigFields {
    /// Reads a body. All fields are required, but for those of a signature when none is to be added.
    ///
    /// # Errors
    /// 400.
    pub fn read(body: &[u8]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(body).map_err(|_| &PARAMETERS)?;
        let body: Body<'_> = json::structure(text).ok_or(&PARAMETERS)?;
        let name = fields::name(body.template_name, 1..=NAME_CHARS_MAX)
            .ok()
            .flatten();
        let class = fields::text(body.template_type).ok().flatten();
        let class = class.and_then(|kind| display_texts::class_of_kind(kind.trim()));
        Ok(Self {
            name: name.ok_or_else(|| {
                invalid(format!(
                    "template_name must be a string of 1 to {NAME_CHARS_MAX} characters"
                ))
            })?,
            class: class
                .ok_or_else(|| invalid("template_type must be authentication, utility or marketing"))?,
            text: content_of(body.template_content)?,
            countries: countries(body.country_codes)?,
            sign: sign(&body)?,
        })
    }
}

fn invalid(what: impl std::fmt::Display) -> ApiError {
    ApiError::saying(&PARAMETERS, format!("invalid parameters: {what}"))
}

fn content_of(field: Option<&RawValue>) -> Result<Box<str>, ApiError> {
    let text = fields::text(field).ok().flatten();
    let text = text.filter(|text| !text.trim().is_empty() && text.chars().count() <= CONTENT_CHARS_MAX);
    let text = text.ok_or_else(|| {
        invalid(format!(
            "template_content must be a string of 1 to {CONTENT_CHARS_MAX} characters"
        ))
    })?;
    match content::forbidden_c(&text) {
        Some(word) => Err(invalid(format!("template_content cannot contain {word}"))),
        None => Ok(text.into()),
    }
}

fn check_placeholders(text: &str, known: Option<&str>) -> Result<(), ApiError> {
    if content::has_unread_placeholder(text, known) {
        return Err(invalid(format!("template_content: {PLACEHOLDER_RULE}")));
    }
    Ok(())
}

/// `CN,US`: kept as it is written, but for blanks.
fn countries(field: Option<&RawValue>) -> Result<Box<str>, ApiError> {
    let malformed = || invalid("country_codes must be country codes of two letters, separated by commas");
    let written = fields::text(field).ok().flatten().ok_or_else(malformed)?;
    let codes: Vec<&str> = written.split(',').map(str::trim).collect();
    let is_code = |code: &&str| code.len() == 2 && code.bytes().all(|letter| letter.is_ascii_alphabetic());
    if codes.len() <= COUNTRIES_MAX && codes.iter().all(is_code) {
        Ok(codes.join(",").into())
    } else {
        Err(malformed())
    }
}

fn sign(body: &Body<'_>) -> Result<Option<(i64, Position)>, ApiError> {
    let add = fields::boolean(body.add_signature);
    if !add
        .map_err(|_| invalid("add_signature must be a boolean"))?
        .unwrap_or(false)
    {
        return Ok(None);
    }
    let id = fields::integer(body.sign_id).map_err(|_| &SIGN_ID)?;
    let id = id.ok_or_else(|| invalid("sign_id is required when add_signature is true"))?;
    let position = match fields::integer(body.sign_position) {
        Ok(Some(1)) => Position::Front,
        Ok(Some(2)) => Position::End,
        _ => return Err(invalid("sign_position must be 1 or 2 when add_signature is true")),
    };
    Ok(Some((id, position)))
}

/// GET: one of them.
pub(super) fn get(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    Ok(bare(View::of(known(call)?, &call.catalog, call.account()), 2))
}

/// GET: all of them.
pub(super) fn list(call: &Call<'_>) -> Vec<u8> {
    let templates = call.catalog.templates_of(call.account());
    let all: Vec<_> = templates
        .map(|entry| View::of(entry, &call.catalog, call.account()))
        .collect();
    let entries = 2 * all.len();
    bare(all, entries)
}

/// POST: a new one, under review at once.
pub(super) async fn add(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let given = TemplateConfigFields::read(&call.body)?;
    check_placeholders(&given.text, None)?;
    let (signature, position) = may_use(call, given.sign)?;
    let new = NewTemplate {
        name: given.name,
        unique_name: false,
        class: given.class,
        text: given.text,
        signature,
        position: position.unwrap_or(Position::Front),
        remark: Box::default(),
        details: with_countries(&Value::Null, &given.countries),
        then: Then::Submit,
    };
    let added = call.engine().add_template(call.account(), new).await;
    let template = added.map_err(|error| refused(&error))?;
    #[derive(Serialize)]
    struct Added {
        template_id: String,
    }
    Ok(bare(
        Added {
            template_id: template.number.to_string(),
        },
        0,
    ))
}

/// PUT: replaces all of it. A change of the sent text puts it under review again.
pub(super) async fn change(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let template = &known(call)?.template;
    let given = TemplateConfigFields::read(&call.body)?;
    check_placeholders(&given.text, Some(&template.text))?;
    if template.review == Review::Submitted {
        return Err(ApiError::from(&TEMPLATE_PENDING));
    }
    let (signature, position) = may_use(call, given.sign)?;
    if scheduled::any_pending(call, vec![template.number]).await? {
        return Err(ApiError::from(&TEMPLATE_IN_PLANS));
    }
    let edit = TemplateEdit {
        name: Some(given.name),
        unique_name: false,
        class: Some(given.class),
        text: Some(given.text),
        signature: Some(signature),
        position,
        remark: None,
        details: Some(with_countries(&template.details, &given.countries)),
        then: Then::Submit,
    };
    let changed = call
        .engine()
        .change_template(call.account(), template.number, edit)
        .await;
    changed.map_err(|error| refused(&error))?;
    Ok(success())
}

/// DELETE.
pub(super) async fn remove(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let number = known(call)?.template.number;
    if scheduled::any_pending(call, vec![number]).await? {
        return Err(ApiError::from(&TEMPLATE_IN_PLANS));
    }
    let removed = call.engine().remove_templates(call.account(), &[number]).await;
    removed.map_err(|error| refused(&error))?;
    Ok(success())
}

/// The template of the path: by its number, or by the `UT…` id that sending takes as well.
fn known<'a>(call: &'a Call<'_>) -> Result<&'a Arc<TemplateEntry>, ApiError> {
    let found = match call.id.parse() {
        Ok(number) => call.catalog.template_by_number(call.account(), number),
        Err(_) if call.id.starts_with("UT") => call.catalog.template_by_ut_id(call.account(), call.id),
        Err(_) => return Err(ApiError::from(&TEMPLATE_ID)),
    };
    Ok(found.ok_or(&TEMPLATE_UNKNOWN)?)
}

/// The signature to add, which has to be approved.
fn may_use(
    call: &Call<'_>,
    sign: Option<(i64, Position)>,
) -> Result<(Option<i64>, Option<Position>), ApiError> {
    let Some((id, position)) = sign else {
        return Ok((None, None));
    };
    let signature = call.catalog.signature(call.account(), id).ok_or(&SIGN_UNKNOWN)?;
    if signature.review == Review::Approved {
        Ok((Some(id), Some(position)))
    } else {
        Err(ApiError::from(&SIGN_NOT_APPROVED))
    }
}

fn refused(error: &ManageError) -> ApiError {
    match error {
        ManageError::Unknown("signature") => ApiError::from(&SIGN_UNKNOWN),
        ManageError::Unknown(_) => ApiError::from(&TEMPLATE_UNKNOWN),
        ManageError::InReview(_) => ApiError::from(&TEMPLATE_PENDING),
        ManageError::TooMany(_) => ApiError::from(&FULL),
        other => not_stored_c(other),
    }
}

/// What is noted of a template, with its countries; other dialects' details stay.
fn with_countries(known: &Value, countries: &str) -> Value {
    let mut object = known.as_object().cloned().unwrap_or_default();
    object.insert(DETAIL_COUNTRIES.to_owned(), Value::from(countries));
    Value::Object(object)
}

fn countries_of(details: &Value) -> &str {
    let countries = details.get(DETAIL_COUNTRIES);
    countries.and_then(Value::as_str).unwrap_or_default()
}

#[derive(Serialize)]
struct View<'a> {
    template_id: String,
    template_name: &'a str,
    template_type: &'static str,
    template_content: &'a str,
    country_codes: &'a str,
    status: u8,
    #[serde(flatten)]
    sign: Option<SignView<'a>>,
    /// 0 without a signature.
    sign_position: u8,
    audit_remark: &'a str,
    created_time: i64,
    updated_time: i64,
}

#[derive(Serialize)]
struct SignView<'a> {
    sign_id: String,
    sign_name: &'a str,
    sign_status: u8,
}

impl<'a> SignView<'a> {
    fn of(signature: &'a Signature) -> Self {
        Self {
            sign_id: signature.id.to_string(),
            sign_name: &signature.text,
            sign_status: display_texts::config_status(signature.review),
        }
    }
}

impl<'a> View<'a> {
    fn of(entry: &'a TemplateEntry, catalog: &'a Snapshot, account: AccountId) -> Self {
        let template = &entry.template;
        let signature = template.signature.and_then(|id| catalog.signature(account, id));
        Self {
            template_id: template.number.to_string(),
            template_name: &template.name,
            template_type: display_texts::template_kind(template.class),
            template_content: &template.text,
            country_codes: countries_of(&template.details),
            status: display_texts::config_status(template.review),
            sign_position: match (signature, template.position) {
                (None, _) => 0,
                (Some(_), Position::Front) => 1,
                (Some(_), Position::End) => 2,
            },
            sign: signature.map(|signature| SignView::of(signature)),
            audit_remark: &template.reason,
            created_time: template.created_at.div_euclid(1000),
            updated_time: template.updated_at.div_euclid(1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good() -> Value {
        json!({
            "template_name": "Order Notification", "template_type": "utility", "country_codes": "CN,US",
            "template_content": "Your order {order_no} has been shipped",
            "add_signature": true, "sign_id": "987654321", "sign_position": 2,
        })
    }

    fn reported(body: &Value) -> Option<String> {
        let read = TemplateConfigFields::read(body.to_string().as_bytes());
        read.err().map(|refused| refused.message.into_owned())
    }

    #[test]
    fn the_vendors_example_is_read() {
        let read = TemplateConfigFields::read(good().to_string().as_bytes()).unwrap();
        assert_eq!(
            read,
            TemplateConfigFields {
                name: "Order Notification".into(),
                class: Class::Notice,
                text: "Your order {order_no} has been shipped".into(),
                countries: "CN,US".into(),
                sign: Some((987_654_321, Position::End)),
            }
        );
    }

    #[test]
    fn templates_are_refused_field_by_field() {
        let with = |name: &str, value: Value| {
            let mut body = good();
            body[name] = value;
            body
        };
        let name = "invalid parameters: template_name must be a string of 1 to 255 characters";
        let kind = "invalid parameters: template_type must be authentication, utility or marketing";
        let length = "invalid parameters: template_content must be a string of 1 to 1600 characters";
        let word = "invalid parameters: template_content cannot contain 、";
        let country =
            "invalid parameters: country_codes must be country codes of two letters, separated by commas";
        let add = "invalid parameters: add_signature must be a boolean";
        let id = "invalid parameters: sign_id is required when add_signature is true";
        let position = "invalid parameters: sign_position must be 1 or 2 when add_signature is true";
        for (body, expected) in [
            (good(), None),
            (json!([]), Some("invalid parameters")),
            (json!({}), Some(name)),
            (with("template_name", json!("小".repeat(255))), None),
            (with("template_name", json!("小".repeat(256))), Some(name)),
            (with("template_name", Value::Null), Some(name)),
            (with("template_type", json!("marketing")), None),
            (with("template_type", json!("authentication")), None),
            (with("template_type", json!("otp")), None),
            (with("template_type", json!("notice")), Some(kind)),
            (with("template_type", Value::Null), Some(kind)),
            (with("template_type", json!(1)), Some(kind)),
            (with("template_content", json!("小".repeat(1600))), None),
            (with("template_content", json!("小".repeat(1601))), Some(length)),
            (with("template_content", json!("")), Some(length)),
            (with("template_content", Value::Null), Some(length)),
            (with("template_content", json!("一、二")), Some(word)),
            (with("country_codes", json!(" cn , GB ")), None),
            (with("country_codes", json!("")), Some(country)),
            (with("country_codes", json!("CN,")), Some(country)),
            (with("country_codes", json!("86")), Some(country)),
            (with("country_codes", json!("CHN")), Some(country)),
            (with("country_codes", json!(["CN"])), Some(country)),
            (with("country_codes", Value::Null), Some(country)),
            (with("add_signature", json!("maybe")), Some(add)),
            (with("sign_id", Value::Null), Some(id)),
            (with("sign_id", json!("x")), Some("invalid signId")),
            (with("sign_id", json!(7)), None),
            (with("sign_position", json!(0)), Some(position)),
            (with("sign_position", json!(3)), Some(position)),
            (with("sign_position", Value::Null), Some(position)),
        ] {
            assert_eq!(reported(&body).as_deref(), expected, "{body:.200}");
        }
        let mut without = good();
        without["add_signature"] = json!(false);
        without["sign_id"] = json!("x");
        let read = TemplateConfigFields::read(without.to_string().as_bytes()).unwrap();
        assert_eq!(
            read.sign, None,
            "what is said of a signature that is not added does not matter"
        );
    }

    #[test]
    fn details_of_other_dialects_stay() {
        let known = json!({ "purpose": 1, DETAIL_COUNTRIES: "CN" });
        let changed = with_countries(&known, "US");
        assert_eq!(changed, json!({ "purpose": 1, DETAIL_COUNTRIES: "US" }));
        assert_eq!((countries_of(&changed), countries_of(&Value::Null)), ("US", ""));
    }
}
