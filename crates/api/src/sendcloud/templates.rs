//! Templates: `/smsapi/get`, `list`, `addsms`, `submitsms`, `updatesms`, `deletesms`
//! (docs/dialects/sendcloud.md).

use super::codes::{
    ApiError, DELETED, INSERTED, OK, PARAMETER_FORMAT, PLACEHOLDER, SUBMITTED, TEMPLATE_EMPTY,
    TEMPLATE_UNKNOWN, TEXT_SIGNATURE, UPDATED,
};
use super::display_texts;
use super::fields::{self, MessageType, Paging};
use super::local;
use super::manage::{Call, done, done_only, refused};
use super::params::Params;
use engine::AccountId;
use engine::catalog::{Position, Review, Snapshot, TemplateEntry};
use engine::manage::{NewTemplate, TemplateEdit, Then};
use engine::sms::class::Class;
use engine::sms::template::unread_placeholder;
use serde::Serialize;
use serde_json::Value;

/// Longest name in characters. No source has a limit; chosen.
const NAME_CHARS_MAX: usize = 100;
/// Longest content in characters: what is longer could only fail in processing (SMSHook 460).
const TEXT_CHARS_MAX: usize = 500;
/// Where a template's details hold its `msgType`.
const DETAIL_TYPE: &str = "sendcloud_msg_type";

/// `isVerifyStr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verified {
    Waiting,
    Passed,
    Refused,
    NotSubmitted,
}

impl Verified {
    /// A template that is switched off is one that may not be used: the wire has no word of its own for it.
    pub(super) const fn of(review: Review) -> Self {
        match review {
            Review::Draft => Self::NotSubmitted,
            Review::Submitted => Self::Waiting,
            Review::Approved => Self::Passed,
            Review::Rejected | Review::Disabled => Self::Refused,
        }
    }

    /// The number in queries and in the SMSHook.
    pub(super) const fn number(self) -> i8 {
        match self {
            Self::Waiting => 0,
            Self::Passed => 1,
            Self::Refused => -1,
            Self::NotSubmitted => -2,
        }
    }

    fn read(written: &str) -> Option<Self> {
        [Self::Waiting, Self::Passed, Self::Refused, Self::NotSubmitted]
            .into_iter()
            .find(|one| written.parse() == Ok(one.number()))
    }

    /// As the service says it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Waiting => display_texts::WAITING.text(),
            Self::Passed => display_texts::PASSED.text(),
            Self::Refused => display_texts::REFUSED.text(),
            Self::NotSubmitted => display_texts::NOT_SUBMITTED.text(),
        }
    }
}

/// `templateIdStr` of one template.
fn template_id(params: &Params<'_>) -> Result<i64, ApiError> {
    let written = params.get("templateIdStr").ok_or(&TEMPLATE_EMPTY)?;
    Ok(written.parse().map_err(|_| &TEMPLATE_UNKNOWN)?)
}

/// Which templates are listed.
#[derive(Debug)]
pub struct ListTemplates {
    ids: Vec<i64>,
    verified: Option<Verified>,
    paging: Paging,
}

impl ListTemplates {
    /// Reads `/smsapi/list`.
    ///
    /// # Errors
    /// 441.
    pub fn read(params: &Params<'_>) -> Result<Self, ApiError> {
        let read = |written| {
            Verified::read(written).ok_or_else(|| ApiError::with_name(&PARAMETER_FORMAT, "isVerifyStr"))
        };
        Ok(Self {
            ids: fields::numbers(params, "templateIdStr")?,
            verified: params.get("isVerifyStr").map(read).transpose()?,
            paging: Paging::read(params)?,
        })
    }
}

/// A template as `addsms` and `updatesms` give it; `None` where nothing is said.
#[derive(Debug)]
pub struct TemplateFields<'a> {
    name: &'a str,
    text: Option<&'a str>,
    signature: GivenSignature<'a>,
    position: Option<Position>,
    class: Class,
    message_type: Option<MessageType>,
}

/// How a signature is named; the id wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GivenSignature<'a> {
    Id(i64),
    Name(&'a str),
}

impl GivenSignature<'_> {
    /// Its id, whatever its review: templates that name it wait for that.
    fn find(self, catalog: &Snapshot, account: AccountId) -> Result<i64, ApiError> {
        let found = match self {
            Self::Id(id) => catalog.signature(account, id),
            Self::Name(name) => catalog.signature_by_text(account, name),
        };
        Ok(found.ok_or(&TEXT_SIGNATURE)?.id)
    }
}

impl<'a> TemplateFields<'a> {
    /// Reads what is common to both interfaces.
    ///
    /// # Errors
    /// 441, 417, 432, 601.
    pub fn read(params: &'a Params<'_>) -> Result<Self, ApiError> {
        let malformed = |name| ApiError::with_name(&PARAMETER_FORMAT, name);
        let signature = match (params.get("signId"), params.get("signName")) {
            (Some(id), _) => GivenSignature::Id(id.parse().map_err(|_| &TEXT_SIGNATURE)?),
            (None, Some(name)) => GivenSignature::Name(name),
            (None, None) => return Err(ApiError::from(&TEXT_SIGNATURE)),
        };
        let position = match params.get("signPositionStr") {
            None => None,
            Some("0") => Some(Position::Front),
            Some("1") => Some(Position::End),
            Some(_) => return Err(malformed("signPositionStr")),
        };
        let class = match fields::required(params, "smsTypeStr")? {
            "0" => Class::Otp,
            "1" => Class::Notice,
            "2" => Class::Marketing,
            _ => return Err(malformed("smsTypeStr")),
        };
        Ok(Self {
            name: fields::required_name(params, "templateName", NAME_CHARS_MAX)?,
            text: fields::text(params, "templateText", TEXT_CHARS_MAX)?,
            signature,
            position,
            class,
            message_type: fields::template_type(params)?,
        })
    }
}

/// `get`: one template.
pub(super) fn get(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let entry = call
        .catalog
        .template_by_number(call.account(), template_id(call.params)?)
        .ok_or(&TEMPLATE_UNKNOWN)?;
    let template = &entry.template;
    let info = OneTemplate {
        common: common(entry),
        create_time: local::day(template.created_at),
        update_time: local::day(template.updated_at),
    };
    Ok(done(&OK, info, 1 + entry.domestic.len() / 128))
}

/// `list`: many of them.
pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let requested = ListTemplates::read(call.params)?;
    let wanted = |entry: &&std::sync::Arc<TemplateEntry>| {
        let template = &entry.template;
        (requested.ids.is_empty() || requested.ids.contains(&template.number))
            && requested
                .verified
                .is_none_or(|wanted| wanted == Verified::of(template.review))
    };
    let all: Vec<_> = call.catalog.templates_of(call.account()).filter(wanted).collect();
    let total = all.len();
    let list: Vec<_> = requested
        .paging
        .of(all.into_iter())
        .into_iter()
        .map(|entry| ListedTemplate {
            common: common(entry),
            template_create_time: local::day(entry.template.created_at),
            template_update_time: local::day(entry.template.updated_at),
        })
        .collect();
    let entries = list.len();
    Ok(done(&OK, Templates { total, list }, 2 * entries))
}

/// `addsms`: a draft; it can be used once it was submitted and approved.
pub(super) async fn add(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let given = TemplateFields::read(call.params)?;
    let text = given
        .text
        .ok_or_else(|| ApiError::with_name(&super::codes::PARAMETER_EMPTY, "templateText"))?;
    check_placeholders(text)?;
    let new = NewTemplate {
        name: given.name.into(),
        unique_name: true,
        class: given.class,
        text: text.into(),
        signature: Some(given.signature.find(call.catalog, call.account())?),
        position: given.position.unwrap_or(Position::Front),
        remark: Box::default(),
        details: details(&Value::Null, given.message_type),
        then: Then::Keep,
    };
    let added = call.engine().add_template(call.account(), new).await;
    let template = added.map_err(|error| refused(&error))?;
    Ok(done(
        &INSERTED,
        TemplateId {
            template_id: template.number,
        },
        1,
    ))
}

/// What looks like a variable must be one: it would be sent as it stands.
fn check_placeholders(text: &str) -> Result<(), ApiError> {
    let found = unread_placeholder(text);
    found.map_or(Ok(()), |_| Err(ApiError::from(&PLACEHOLDER)))
}

/// `submitsms`: for review.
pub(super) async fn submit(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let id = template_id(call.params)?;
    let submitted = call.engine().submit_template(call.account(), id).await;
    submitted.map_err(|error| refused(&error))?;
    Ok(done_only(&SUBMITTED))
}

/// `updatesms`. When another text would be sent then, the template is a draft again.
pub(super) async fn update(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let id = template_id(call.params)?;
    let given = TemplateFields::read(call.params)?;
    let known = call
        .catalog
        .template_by_number(call.account(), id)
        .ok_or(&TEMPLATE_UNKNOWN)?;
    // A text of before stays as it is.
    if let Some(text) = given.text.filter(|text| *known.template.text != **text) {
        check_placeholders(text)?;
    }
    let edit = TemplateEdit {
        name: Some(given.name.into()),
        unique_name: true,
        class: Some(given.class),
        text: given.text.map(Box::from),
        signature: Some(Some(given.signature.find(call.catalog, call.account())?)),
        position: given.position,
        remark: None,
        details: given
            .message_type
            .map(|message_type| details(&known.template.details, Some(message_type))),
        then: Then::Keep,
    };
    let changed = call.engine().change_template(call.account(), id, edit).await;
    changed.map_err(|error| refused(&error))?;
    Ok(done_only(&UPDATED))
}

/// `deletesms`. What is queued with it still goes out.
pub(super) async fn delete(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let id = template_id(call.params)?;
    let removed = call.engine().remove_templates(call.account(), &[id]).await;
    removed.map_err(|error| refused(&error))?;
    Ok(done_only(&DELETED))
}

/// What is noted of a template beside what it has, with `msgType` in it.
fn details(known: &Value, message_type: Option<MessageType>) -> Value {
    with_detail(known, DETAIL_TYPE, message_type.map(MessageType::number))
}

/// An object of details with one of them set; other dialects' stay.
pub(super) fn with_detail(known: &Value, name: &str, number: Option<u8>) -> Value {
    let mut object = known.as_object().cloned().unwrap_or_default();
    if let Some(number) = number {
        object.insert(name.to_owned(), Value::from(number));
    }
    if object.is_empty() {
        Value::Null
    } else {
        Value::Object(object)
    }
}

fn message_type(details: &Value) -> MessageType {
    match details.get(DETAIL_TYPE).and_then(Value::as_u64) {
        Some(2) => MessageType::International,
        _ => MessageType::Domestic,
    }
}

/// `msgType` of a template, as a number.
pub(super) fn message_type_of(details: &Value) -> u8 {
    message_type(details).number()
}

fn common(entry: &TemplateEntry) -> Common<'_> {
    let template = &entry.template;
    Common {
        template_id: template.number,
        template_name: &template.name,
        msg_type: message_type(&template.details).text(),
        sms_type: match template.class {
            Class::Otp => display_texts::CODE.text(),
            Class::Notice => display_texts::NOTICE.text(),
            Class::Marketing => display_texts::MARKETING.text(),
        },
        is_verify: Verified::of(template.review).text(),
        template_content: &entry.domestic,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Common<'a> {
    template_id: i64,
    template_name: &'a str,
    msg_type: &'static str,
    sms_type: &'static str,
    is_verify: &'static str,
    /// With its signature, as in the samples.
    template_content: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneTemplate<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    create_time: String,
    update_time: String,
}

/// The times have other names here.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedTemplate<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    template_create_time: String,
    template_update_time: String,
}

#[derive(Serialize)]
struct Templates<'a> {
    total: usize,
    list: Vec<ListedTemplate<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TemplateId {
    template_id: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields_of(query: &str) -> u32 {
        let params = Params::read(Some(query), b"").unwrap();
        TemplateFields::read(&params).map_or_else(|refused| refused.code.code, |_| 200)
    }

    fn list_of(query: &str) -> u32 {
        let params = Params::read(Some(query), b"").unwrap();
        ListTemplates::read(&params).map_or_else(|refused| refused.code.code, |_| 200)
    }

    #[test]
    fn templates_are_refused_parameter_by_parameter() {
        let good = "templateName=t1&templateText=code%20%25code%25&signId=7&signPositionStr=0&smsTypeStr=0";
        assert_eq!(fields_of(good), 200, "vector V9 of the contract");
        for (extra, expected) in [
            ("templateName=t1&signName=Example&smsTypeStr=2", 200),
            ("templateName=t1&signId=7&smsTypeStr=0&msgType=2", 200),
            ("signId=7&smsTypeStr=0", 441),
            ("templateName=t1&smsTypeStr=0", 432),
            ("templateName=t1&signId=x&smsTypeStr=0", 432),
            ("templateName=t1&signId=7", 441),
            ("templateName=t1&signId=7&smsTypeStr=3", 441),
            ("templateName=t1&signId=7&smsTypeStr=0&signPositionStr=2", 441),
            ("templateName=t1&signId=7&smsTypeStr=0&msgType=1", 601),
        ] {
            assert_eq!(fields_of(extra), expected, "{extra}");
        }
        let long = |name: &str, chars: usize| {
            let value = "x".repeat(chars);
            format!("signId=7&smsTypeStr=0&{name}={value}")
        };
        assert_eq!(fields_of(&long("templateName", 100)), 200);
        assert_eq!(fields_of(&long("templateName", 101)), 417);
        assert_eq!(fields_of(&(long("templateText", 500) + "&templateName=t")), 200);
        assert_eq!(fields_of(&(long("templateText", 501) + "&templateName=t")), 417);
    }

    #[test]
    fn lists_are_refused_parameter_by_parameter() {
        for (query, expected) in [
            ("", 200),
            ("isVerifyStr=0", 200),
            ("isVerifyStr=1", 200),
            ("isVerifyStr=-1", 200),
            ("isVerifyStr=-2", 200),
            ("isVerifyStr=2", 441),
            ("templateIdStr=1001;1002", 200),
            ("templateIdStr=x", 441),
            ("start=1&limit=5", 200),
            ("start=-1", 441),
            ("limit=x", 441),
        ] {
            assert_eq!(list_of(query), expected, "{query}");
        }
    }

    #[test]
    fn details_of_other_dialects_stay() {
        assert_eq!(details(&Value::Null, None), Value::Null);
        assert_eq!(
            details(&Value::Null, Some(MessageType::International)),
            json!({ "sendcloud_msg_type": 2 })
        );
        let known = json!({ "purpose": 1, "sendcloud_msg_type": 2 });
        let changed = details(&known, Some(MessageType::Domestic));
        assert_eq!(changed, json!({ "purpose": 1, "sendcloud_msg_type": 0 }));
        assert_eq!(message_type(&known), MessageType::International);
        assert_eq!(message_type(&changed), MessageType::Domestic);
        assert_eq!(message_type(&json!("text")), MessageType::Domestic);
    }

    #[test]
    fn reviews_have_the_wires_words() {
        for (review, number, text) in [
            (Review::Draft, -2, "未提交审核"),
            (Review::Submitted, 0, "待审核"),
            (Review::Approved, 1, "审核通过"),
            (Review::Rejected, -1, "审核不通过"),
            (Review::Disabled, -1, "审核不通过"),
        ] {
            let verified = Verified::of(review);
            assert_eq!((verified.number(), verified.text()), (number, text));
            assert_eq!(Verified::read(&number.to_string()), Some(verified));
        }
    }
}
