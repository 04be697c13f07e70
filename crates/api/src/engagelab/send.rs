//! `POST /v1/send`, generation A: the body to a typed request, or the refusal it gets
//! (docs/dialects/engagelab.md). Pure.

use super::codes::ApiError;
use super::codes::a::{
    BAD_REQUEST, LABEL_FORMAT, TEMPLATE_EMPTY, TEMPLATE_UNKNOWN, TO_EMPTY, TOO_MANY, VARS_FORMAT,
};
use super::display_texts::MESSAGE_TYPE;
use super::recipients::{self, Entries, ToError};
use crate::Limits;
use crate::json::{self, Arrays, RawJson};
use engine::SuppressedPolicy;
use engine::accept::{
    Duplicates, Forbidden, Item, Missing, Overlong, Rules, SignatureRef, TemplateRef, Values,
};
use engine::sms::phone::Grammar;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Longest `request_id` in characters (the EngageLab v1 document).
pub const REQUEST_ID_CHARS_MAX: usize = 128;
/// Longest `custom_args` in bytes (the EngageLab v1 document: 1 KB).
pub const CUSTOM_ARGS_BYTES_MAX: usize = 1024;
/// Longest `vars` in bytes (the EngageLab v1 document: 1 MB).
pub const VARS_BYTES_MAX: usize = 1024 * 1024;
/// Longest value of a variable in characters (the EngageLab v1 document).
const VALUE_CHARS_MAX: usize = 16;
/// Bounds of `from` in characters (the EngageLab v1 document).
const FROM_CHARS: std::ops::RangeInclusive<usize> = 3..=11;
/// A variable without a value: accepted, then "variable error" under "process failed".
const VARIABLE_WRONG: u16 = 450;
/// A word in the content that may not be sent (the console's "keyword block").
pub(super) const CONTENT_FORBIDDEN: u16 = 440;

/// A request to send.
#[derive(Debug)]
pub struct SendRequest {
    /// Text, values and recipients.
    pub item: Item,
    /// The list `to`.
    pub(super) entries: Entries,
    /// `request_id`.
    pub request_id: Option<Box<str>>,
    /// `custom_args`, a JSON object.
    pub custom: Option<Box<str>>,
    /// `label_id`, 0 for none.
    pub label: i64,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    from: Option<&'a RawValue>,
    #[serde(borrow, default)]
    to: Option<&'a RawValue>,
    #[serde(borrow, default)]
    request_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    custom_args: Option<&'a RawValue>,
    #[serde(borrow, default)]
    msg_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

/// The table of the page is flat, so `msg_type` and `custom_args` are also taken from in here.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    template_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    label_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    vars: Option<&'a RawValue>,
    #[serde(borrow, default)]
    msg_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    custom_args: Option<&'a RawValue>,
}

/// Reads a request.
///
/// # Errors
/// 30400, 32001, 32003, 33001, 33003, 33004, 34020.
pub fn read(body: &[u8], limits: &Limits) -> Result<SendRequest, ApiError> {
    let text = std::str::from_utf8(body).map_err(|_| &BAD_REQUEST)?;
    let request: Request<'_> = json::structure(text).ok_or(&BAD_REQUEST)?;
    let entries_max = limits.engagelab_recipients_max;
    let (recipients, entries) =
        recipients::read(request.to, Grammar::EngageLabA, entries_max).map_err(|error| match error {
            ToError::Empty => ApiError::from(&TO_EMPTY),
            ToError::Format => ApiError::saying(&BAD_REQUEST, "to must be an array of strings"),
            ToError::TooMany => ApiError::saying(
                &TOO_MANY,
                format!("Too many recipients in to: the maximum is {entries_max}"),
            ),
        })?;
    let body: Body<'_> = request
        .body
        .and_then(|body| json::structure(body.get()))
        .ok_or_else(|| ApiError::saying(&BAD_REQUEST, "body must be an object"))?;
    check_msg_type(request.msg_type.or(body.msg_type))?;
    let item = Item {
        template: template(body.template_id)?,
        sender: from(request.from)?,
        signature: SignatureRef::OfTemplate,
        values: vars(body.vars)?,
        recipients,
    };
    Ok(SendRequest {
        item,
        entries,
        request_id: request_id(request.request_id)?,
        custom: custom_args(request.custom_args.or(body.custom_args))?,
        label: label(body.label_id)?,
    })
}

/// How strict the wire is.
pub(super) fn rules() -> Rules {
    Rules {
        grammar: Grammar::EngageLabA,
        // The list has each number once by then.
        duplicates: Duplicates::Allow,
        value_chars_max: Some(VALUE_CHARS_MAX),
        links_in_values: false,
        missing: Missing::Fail(VARIABLE_WRONG),
        refuse_surplus: false,
        text_chars_max: None,
        overlong: Overlong::Refuse,
        forbidden: Forbidden::Fail(CONTENT_FORBIDDEN),
        sender_chars_max: *FROM_CHARS.end(),
        sender_chars_min: *FROM_CHARS.start(),
        sender_alphanumeric: true,
        suppressed: SuppressedPolicy::Fail,
    }
}

fn check_msg_type(written: Option<&RawValue>) -> Result<(), ApiError> {
    match written.map(RawJson::read) {
        None | Some(Some(RawJson::Null)) => Ok(()),
        Some(Some(value)) if value.as_integer() == Some(i64::from(MESSAGE_TYPE)) => Ok(()),
        Some(_) => Err(ApiError::saying(&BAD_REQUEST, "msg_type must be 2")),
    }
}

/// A number; one client sends it as a text.
fn template(written: Option<&RawValue>) -> Result<TemplateRef, ApiError> {
    let written = written.and_then(RawJson::read).ok_or(&TEMPLATE_EMPTY)?;
    match &written {
        RawJson::Null => return Err(ApiError::from(&TEMPLATE_EMPTY)),
        RawJson::Text(text) if text.trim().is_empty() => return Err(ApiError::from(&TEMPLATE_EMPTY)),
        _ => {}
    }
    // Numbers of built-in texts are negative and not for asking.
    let number = written
        .as_integer()
        .filter(|number| *number > 0)
        .ok_or(&TEMPLATE_UNKNOWN)?;
    Ok(TemplateRef::Number(number))
}

fn from(written: Option<&RawValue>) -> Result<Option<Box<str>>, ApiError> {
    match written.map(RawJson::read) {
        None | Some(Some(RawJson::Null)) => Ok(None),
        Some(Some(RawJson::Text(from))) => Ok(Some(Box::from(from))),
        Some(_) => Err(ApiError::saying(&BAD_REQUEST, "from must be a string")),
    }
}

fn label(written: Option<&RawValue>) -> Result<i64, ApiError> {
    match written.map(RawJson::read) {
        None | Some(Some(RawJson::Null)) => Ok(0),
        Some(Some(value)) => value.as_integer().ok_or_else(|| ApiError::from(&LABEL_FORMAT)),
        Some(None) => Err(ApiError::from(&LABEL_FORMAT)),
    }
}

fn request_id(written: Option<&RawValue>) -> Result<Option<Box<str>>, ApiError> {
    let malformed = || {
        ApiError::saying(
            &BAD_REQUEST,
            "request_id must be a string of at most 128 characters",
        )
    };
    let Some(written) = written else { return Ok(None) };
    let id = match RawJson::read(written).ok_or_else(malformed)? {
        RawJson::Null => return Ok(None),
        id @ (RawJson::Text(_) | RawJson::Number(_)) => id.into_text().ok_or_else(malformed)?,
        _ => return Err(malformed()),
    };
    match id.chars().count() {
        // An empty one would make every request the repeat of another.
        0 => Ok(None),
        1..=REQUEST_ID_CHARS_MAX => Ok(Some(Box::from(id))),
        _ => Err(malformed()),
    }
}

fn custom_args(written: Option<&RawValue>) -> Result<Option<Box<str>>, ApiError> {
    let Some(written) = written else { return Ok(None) };
    json::object(written, CUSTOM_ARGS_BYTES_MAX)
        .ok_or_else(|| ApiError::saying(&BAD_REQUEST, "custom_args must be an object of at most 1 KB"))
}

/// An object of texts. An array of them is the mail API's notation of a value for each recipient; here all
/// recipients get the same, so its first entry counts.
fn vars(written: Option<&RawValue>) -> Result<Values, ApiError> {
    let Some(written) = written else {
        return Ok(Values::None);
    };
    if written.get().len() > VARS_BYTES_MAX {
        return Err(ApiError::saying(&VARS_FORMAT, "vars cannot exceed 1 MB"));
    }
    let texts = json::texts(written, Arrays::First).ok_or(&VARS_FORMAT)?;
    Ok(if texts.is_empty() {
        Values::None
    } else {
        Values::Named(texts)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &str) -> u32 {
        read(body.as_bytes(), &Limits::default()).map_or_else(|refused| refused.code.code, |_| 0)
    }

    fn request(top: &str, body: &str) -> String {
        format!(r#"{{"to":["+12673800456"],{top}"body":{{"template_id":2336{body}}}}}"#)
    }

    #[test]
    fn the_seeds_example_repaired_is_read() {
        let body = r#"{ "from": "xxxx", "to": ["+12673800456", "+12673800455"], "request_id":"123" ,
            "body":{ "template_id": 2336, "label_id": 231, "vars": { "week":"Tuesday" } } }"#;
        let read = read(body.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(read.item.template, TemplateRef::Number(2336));
        assert_eq!(read.item.sender.as_deref(), Some("xxxx"));
        assert_eq!(
            read.item.values,
            Values::Named(vec![("week".into(), "Tuesday".into())])
        );
        assert_eq!((read.request_id.as_deref(), read.label), (Some("123"), 231));
    }

    #[test]
    fn requests_are_refused_field_by_field() {
        let many = |count: usize| vec![r#""+12673800456""#; count].join(",");
        let long_id = format!(r#""request_id":"{}","#, "小".repeat(129));
        let big = format!(
            r#""custom_args":{{"k":"{}"}},"#,
            "x".repeat(CUSTOM_ARGS_BYTES_MAX)
        );
        for (body, expected) in [
            (request("", ""), 0),
            (String::new(), 30400),
            ("[]".to_owned(), 30400),
            ("{".to_owned(), 30400),
            ("{}".to_owned(), 32001),
            (r#"{"to":["+12673800456"]}"#.to_owned(), 30400),
            (r#"{"to":["+12673800456"],"body":{}}"#.to_owned(), 33003),
            (
                r#"{"to":["+12673800456"],"body":{"template_id":null}}"#.to_owned(),
                33003,
            ),
            (
                r#"{"to":["+12673800456"],"body":{"template_id":"2336"}}"#.to_owned(),
                0,
            ),
            (
                r#"{"to":["+12673800456"],"body":{"template_id":"x"}}"#.to_owned(),
                33001,
            ),
            (
                r#"{"to":["+12673800456"],"body":{"template_id":-3}}"#.to_owned(),
                33001,
            ),
            (r#"{"to":["+12673800456"],"body":"text"}"#.to_owned(), 30400),
            (r#"{"to":["+12673800456"],"body":[2336]}"#.to_owned(), 30400),
            (
                r#"{"to":["+12673800456"],"to":[],"body":{"template_id":1}}"#.to_owned(),
                30400,
            ),
            (
                format!(r#"{{"to":[{}],"body":{{"template_id":1}}}}"#, many(1000)),
                0,
            ),
            (
                format!(r#"{{"to":[{}],"body":{{"template_id":1}}}}"#, many(1001)),
                32003,
            ),
            (request(r#""from":null,"msg_type":2,"#, ""), 0),
            (request(r#""from":7,"#, ""), 30400),
            (request(r#""msg_type":"2","#, ""), 0),
            (request(r#""msg_type":1,"#, ""), 30400),
            (request("", r#","msg_type":2"#), 0),
            (request("", r#","msg_type":0"#), 30400),
            (request("", r#","label_id":"231""#), 0),
            (request("", r#","label_id":"x""#), 34020),
            (request("", r#","label_id":1.5"#), 34020),
            (request(r#""request_id":17,"#, ""), 0),
            (request(r#""request_id":[],"#, ""), 30400),
            (request(&long_id, ""), 30400),
            (request(r#""custom_args":{"k":"v"},"#, ""), 0),
            (request(r#""custom_args":[],"#, ""), 0),
            (request("", r#","custom_args":{"k":"v"}"#), 0),
            (request("", r#","custom_args":"k""#), 30400),
            (request(r#""custom_args":"k","#, ""), 30400),
            (request(&big, ""), 30400),
            (request("", r#","vars":"a sentence""#), 33004),
            (request("", r#","vars":{"a":{}}"#), 33004),
            (
                request(
                    "",
                    &format!(r#","vars":{{"a":"{}"}}"#, "x".repeat(VARS_BYTES_MAX)),
                ),
                33004,
            ),
            (request(r#""unknown":[{"deep":1}],"#, ""), 0),
        ] {
            assert_eq!(code(&body), expected, "{body:.80}");
        }
        assert_eq!(
            read(b"{\"to\":\"\xff\"}", &Limits::default())
                .unwrap_err()
                .code
                .code,
            30400
        );
    }

    #[test]
    fn values_are_texts_or_the_first_of_an_array() {
        let values = |vars: &str| {
            let body = request("", &format!(r#","vars":{vars}"#));
            read(body.as_bytes(), &Limits::default()).unwrap().item.values
        };
        let engagelab = Values::Named(vec![("sp".into(), "engagelab".into())]);
        assert_eq!(values(r#"{"sp":"engagelab"}"#), engagelab);
        assert_eq!(values(r#"{"sp":["engagelab","value2"]}"#), engagelab);
        assert_eq!(values(r#"{"sp":[]}"#), Values::None);
        assert_eq!(values("[]"), Values::None);
    }

    #[test]
    fn an_empty_request_id_is_none() {
        let read = read(request(r#""request_id":"","#, "").as_bytes(), &Limits::default()).unwrap();
        assert_eq!(read.request_id, None);
    }
}
