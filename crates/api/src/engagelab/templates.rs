//! Templates of generation A: `/v1/templates`, `/v1/templates/{id}`, `/v1/templates/{id}/submit`
//! (docs/dialects/engagelab.md).

use super::codes::ApiError;
use super::codes::a::{
    BAD_REQUEST, CONTENT_FORBIDDEN, CONTENT_LINK, SIGN_MISSING, SIGN_UNKNOWN, TEMPLATE_CONTENT,
    TEMPLATE_IN_REVIEW, TEMPLATE_NAME, TEMPLATE_SUBMITTED, TEMPLATE_TYPE, TEMPLATE_UNKNOWN, TEMPLATES_FULL,
};
use super::display_texts::{self, MESSAGE_TYPE};
use super::fields;
use super::manage::{Call, many, not_stored_a, nothing, one};
use super::query::{Paging, Query, invalid};
use super::{content, moment};
use crate::{days, json};
use engine::catalog::{Position, Review, Template, TemplateEntry};
use engine::manage::{ManageError, NewTemplate, TemplateEdit, Then};
use engine::sms::class::Class;
use engine::sms::template::PLACEHOLDER_RULE;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;

/// Longest `template_name` in characters (docs/dialects/engagelab.md).
pub const NAME_CHARS_MAX: usize = 64;
/// Longest `template_content` in characters (docs/dialects/engagelab.md).
pub const CONTENT_CHARS_MAX: usize = 512;

/// What a body says of a template; `None` where it says nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct TemplateFields {
    name: Option<Box<str>>,
    class: Option<Class>,
    text: Option<Box<str>>,
    /// `Some(None)` takes the signature off.
    sign: Option<Option<i64>>,
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
    sign_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    msg_type: Option<&'a RawValue>,
}

impl TemplateFields {
    /// Reads a body, field by field.
    ///
    /// # Errors
    /// 30400, 33008 to 33012, 34010.
    pub fn read(body: &[u8]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(body).map_err(|_| &BAD_REQUEST)?;
        let body: Body<'_> = json::structure(text).ok_or(&BAD_REQUEST)?;
        let msg_type = fields::integer(body.msg_type);
        if !matches!(msg_type, Ok(None)) && msg_type != Ok(Some(i64::from(MESSAGE_TYPE))) {
            return Err(invalid("msg_type must be 2"));
        }
        let class = fields::integer(body.template_type).map_err(|_| &TEMPLATE_TYPE)?;
        let class = class.map(|number| display_texts::class_of_type(number).ok_or(&TEMPLATE_TYPE));
        Ok(Self {
            name: fields::name(body.template_name, 1..=NAME_CHARS_MAX).map_err(|_| &TEMPLATE_NAME)?,
            class: class.transpose()?,
            text: content_of(body.template_content)?,
            // 0 is how an answer says that there is none.
            sign: fields::integer(body.sign_id)
                .map_err(|_| &SIGN_UNKNOWN)?
                .map(|id| (id != 0).then_some(id)),
        })
    }
}

fn content_of(field: Option<&RawValue>) -> Result<Option<Box<str>>, ApiError> {
    let Some(text) = fields::text(field).map_err(|_| &TEMPLATE_CONTENT)? else {
        return Ok(None);
    };
    if text.trim().is_empty() || text.chars().count() > CONTENT_CHARS_MAX {
        return Err(ApiError::from(&TEMPLATE_CONTENT));
    }
    if let Some(word) = content::forbidden_a(&text) {
        let message = format!("template_content cannot contain {word}");
        return Err(ApiError::saying(&CONTENT_FORBIDDEN, message));
    }
    if !content::links_stand_alone(&text) {
        return Err(ApiError::from(&CONTENT_LINK));
    }
    Ok(Some(text.into()))
}

fn check_placeholders(text: Option<&str>, known: Option<&str>) -> Result<(), ApiError> {
    if text.is_some_and(|text| content::has_unread_placeholder(text, known)) {
        return Err(ApiError::saying(
            &TEMPLATE_CONTENT,
            format!("template_content: {PLACEHOLDER_RULE}"),
        ));
    }
    Ok(())
}

/// Which templates are listed.
#[derive(Debug)]
pub struct ListTemplates {
    name: Option<Box<str>>,
    class: Option<Class>,
    approval: Option<i8>,
    paging: Paging,
}

impl ListTemplates {
    /// Reads a query string.
    ///
    /// # Errors
    /// 30400, 33012.
    pub fn read(query: &str) -> Result<Self, ApiError> {
        let query = Query::read(query);
        let class = query.number("template_type").map_err(|_| &TEMPLATE_TYPE)?;
        let class = class.map(|number| {
            let number = i64::try_from(number).ok();
            number
                .and_then(display_texts::class_of_type)
                .ok_or(&TEMPLATE_TYPE)
        });
        let approval = query.get("approval_status").map(|written| {
            let number = written.parse().ok();
            let number = number.filter(|number| (-2..=1).contains(number));
            number.ok_or_else(|| invalid("approval_status must be -2, -1, 0 or 1"))
        });
        Ok(Self {
            name: query.get("template_name").map(|name| name.to_lowercase().into()),
            class: class.transpose()?,
            approval: approval.transpose()?,
            paging: query.paging()?,
        })
    }

    fn wants(&self, template: &Template) -> bool {
        self.name
            .as_deref()
            .is_none_or(|name| template.name.to_lowercase().contains(name))
            && self.class.is_none_or(|class| class == template.class)
            && self
                .approval
                .is_none_or(|wanted| wanted == display_texts::approval_status(template.review))
    }
}

/// GET: one of them.
pub(super) fn get(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    Ok(one(View::of(&known(call)?.template)))
}

/// GET: the templates that match the query.
pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let requested = ListTemplates::read(call.query)?;
    let wanted = call
        .catalog
        .templates_of(call.account())
        .filter(|entry| requested.wants(&entry.template));
    let (page, total) = requested.paging.of(wanted);
    Ok(many(
        page.into_iter().map(|entry| View::of(&entry.template)).collect(),
        total,
    ))
}

/// POST: a draft, which can be used once it was submitted and approved.
pub(super) async fn add(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let given = TemplateFields::read(&call.body)?;
    check_placeholders(given.text.as_deref(), None)?;
    let new = NewTemplate {
        name: given.name.ok_or(&TEMPLATE_NAME)?,
        unique_name: false,
        class: given.class.ok_or(&TEMPLATE_TYPE)?,
        text: given.text.ok_or(&TEMPLATE_CONTENT)?,
        signature: given.sign.flatten(),
        position: Position::Front,
        remark: Box::default(),
        details: serde_json::Value::Null,
        then: Then::Keep,
    };
    let added = call.engine().add_template(call.account(), new).await;
    Ok(one(View::of(&*added.map_err(|error| refused(&error))?)))
}

/// PUT: what is not given stays. When another text would be sent then, the template is a draft again.
pub(super) async fn change(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let template = &known(call)?.template;
    let number = template.number;
    let given = TemplateFields::read(&call.body)?;
    check_placeholders(given.text.as_deref(), Some(&template.text))?;
    let edit = TemplateEdit {
        name: given.name,
        unique_name: false,
        class: given.class,
        text: given.text,
        signature: given.sign,
        position: None,
        remark: None,
        details: None,
        then: Then::Keep,
    };
    let changed = call.engine().change_template(call.account(), number, edit).await;
    changed.map_err(|error| refused(&error))?;
    Ok(nothing())
}

/// DELETE. What is queued with it still goes out.
pub(super) async fn remove(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let number = known(call)?.template.number;
    let removed = call.engine().remove_templates(call.account(), &[number]).await;
    removed.map_err(|error| refused(&error))?;
    Ok(nothing())
}

/// POST to `submit`: for review, which nothing passes without a signature.
pub(super) async fn submit(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let template = &known(call)?.template;
    if matches!(template.review, Review::Draft | Review::Rejected) && template.signature.is_none() {
        return Err(ApiError::from(&SIGN_MISSING));
    }
    let submitted = call
        .engine()
        .submit_template(call.account(), template.number)
        .await;
    submitted.map_err(|error| refused(&error))?;
    Ok(nothing())
}

/// The template of the path. What is no number is one nobody has.
fn known<'a>(call: &'a Call<'_>) -> Result<&'a Arc<TemplateEntry>, ApiError> {
    let number = call.id.parse().map_err(|_| &TEMPLATE_UNKNOWN)?;
    let found = call.catalog.template_by_number(call.account(), number);
    Ok(found.ok_or(&TEMPLATE_UNKNOWN)?)
}

fn refused(error: &ManageError) -> ApiError {
    match error {
        ManageError::Unknown("signature") => ApiError::from(&SIGN_UNKNOWN),
        ManageError::Unknown(_) => ApiError::from(&TEMPLATE_UNKNOWN),
        ManageError::InReview(_) => ApiError::from(&TEMPLATE_IN_REVIEW),
        ManageError::Submitted(_) => ApiError::from(&TEMPLATE_SUBMITTED),
        ManageError::TooMany(_) => ApiError::from(&TEMPLATES_FULL),
        other => not_stored_a(other),
    }
}

#[derive(Serialize)]
struct View<'a> {
    template_id: i64,
    template_name: &'a str,
    msg_type: u8,
    template_type: u8,
    template_content: &'a str,
    approval_status: i8,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_message: Option<&'a str>,
    /// 0 for none.
    sign_id: i64,
    create_time: String,
    update_time: String,
}

impl<'a> View<'a> {
    fn of(template: &'a Template) -> Self {
        let approval_status = display_texts::approval_status(template.review);
        Self {
            template_id: template.number,
            template_name: &template.name,
            msg_type: MESSAGE_TYPE,
            template_type: display_texts::template_type(template.class),
            template_content: &template.text,
            approval_status,
            approval_message: (approval_status == -1).then_some(&*template.reason),
            sign_id: template.signature.unwrap_or(0),
            create_time: moment(template.created_at, days::CHINA),
            update_time: moment(template.updated_at, days::CHINA),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &str) -> u32 {
        TemplateFields::read(body.as_bytes()).map_or_else(|refused| refused.code.code, |_| 0)
    }

    fn with(fields: &str) -> String {
        format!(
            r#"{{"template_name":"code","template_type":0,"template_content":"Your code is %code%"{fields}}}"#
        )
    }

    #[test]
    fn templates_are_refused_field_by_field() {
        let name = |name: &str| format!(r#"{{"template_name":{name}}}"#);
        let content = |text: &str| serde_json::json!({ "template_content": text }).to_string();
        let kind = |kind: &str| format!(r#"{{"template_type":{kind}}}"#);
        for (body, expected) in [
            (with(""), 0),
            (with(r#","sign_id":7,"msg_type":2,"unknown":[1]"#), 0),
            (String::new(), 30400),
            ("[]".to_owned(), 30400),
            ("{".to_owned(), 30400),
            (r#"{"template_name":"a","template_name":"b"}"#.to_owned(), 30400),
            ("{}".to_owned(), 0),
            (with(r#","msg_type":1"#), 30400),
            (with(r#","msg_type":"2""#), 0),
            (with(r#","msg_type":null"#), 0),
            (with(r#","msg_type":[]"#), 30400),
            (name(&format!("{:?}", "小".repeat(64))), 0),
            (name(&format!("{:?}", "小".repeat(65))), 33008),
            (name("\"  \""), 33008),
            (name("[]"), 33008),
            (name("7"), 0),
            (name("null"), 0),
            (content(&"小".repeat(512)), 0),
            (content(&"小".repeat(513)), 33009),
            (content(" "), 33009),
            (r#"{"template_content":{}}"#.to_owned(), 33009),
            (content("【Acme】code"), 33010),
            (content("[code"), 33010),
            (content("测试"), 33010),
            (content("test"), 33010),
            (content("see https://x.example now"), 0),
            (content("see https://x.example吧"), 33011),
            (content("ftp://x.example"), 33011),
            (kind("2"), 0),
            (kind("\"1\""), 0),
            (kind("3"), 33012),
            (kind("-1"), 33012),
            (kind("\"otp\""), 33012),
            (with(r#","sign_id":"x""#), 34010),
            (with(r#","sign_id":1.5"#), 34010),
            (with(r#","sign_id":"7""#), 0),
        ] {
            assert_eq!(code(&body), expected, "{body:.120}");
        }
        assert_eq!(
            TemplateFields::read(b"{\"template_name\":\"\xff\"}")
                .unwrap_err()
                .code
                .code,
            30400
        );
    }

    #[test]
    fn a_signature_is_left_taken_off_or_changed() {
        let sign = |fields: &str| TemplateFields::read(with(fields).as_bytes()).unwrap().sign;
        assert_eq!(sign(""), None);
        assert_eq!(sign(r#","sign_id":null"#), None);
        assert_eq!(sign(r#","sign_id":0"#), Some(None));
        assert_eq!(sign(r#","sign_id":7"#), Some(Some(7)));
    }

    #[test]
    fn lists_are_refused_parameter_by_parameter() {
        for (query, expected) in [
            ("", 0),
            (
                "template_name=code&template_type=0&approval_status=1&offset=1&limit=5",
                0,
            ),
            ("approval_status=-2", 0),
            ("approval_status=2", 30400),
            ("approval_status=x", 30400),
            ("template_type=3", 33012),
            ("template_type=-1", 33012),
            ("offset=-1", 30400),
            ("limit=x", 30400),
        ] {
            let code = ListTemplates::read(query).map_or_else(|refused| refused.code.code, |_| 0);
            assert_eq!(code, expected, "{query}");
        }
    }
}
