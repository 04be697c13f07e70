//! `POST /v1/messages`, generation C: the body to a typed request, or the refusal it gets
//! (docs/dialects/engagelab.md). Pure: the time is an argument.

use super::codes::ApiError;
use super::codes::c::{NOT_JSON, PARAMETERS};
use super::fields;
use super::recipients::{self, Entries, ToError};
use crate::Limits;
use crate::json::{self, Arrays, RawJson};
use engine::accept::{
    Duplicates, Forbidden, Item, Missing, Overlong, Rules, SignatureRef, TemplateRef, Values,
};
use engine::sms::phone::Grammar;
use engine::{SuppressedPolicy, UnixMs};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Nearest `schedule_time`, from now, in seconds.
pub const SCHEDULE_AHEAD_S_MIN: i64 = 3 * 60;
/// Farthest `schedule_time`, from now, in seconds.
pub const SCHEDULE_AHEAD_S_MAX: i64 = 30 * 24 * 3600;
/// Longest `plan_name` in characters. The vendor names no limit; this is ours.
pub const PLAN_NAME_CHARS_MAX: usize = 255;
/// What a plan without a name is called.
const UNNAMED: &str = "-";
/// Longest `custom_args` in bytes. The vendor names no limit for this generation; this is ours.
pub const CUSTOM_ARGS_BYTES_MAX: usize = 4096;

/// A request to send.
#[derive(Debug)]
pub struct MessagesRequest {
    /// Text, values and recipients.
    pub item: Item,
    /// The list `to`.
    pub(super) entries: Entries,
    /// `custom_args`, a JSON object.
    pub custom: Option<Box<str>>,
    /// `schedule_time`.
    pub due: Option<UnixMs>,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    to: Option<&'a RawValue>,
    #[serde(borrow, default)]
    template: Option<&'a RawValue>,
    #[serde(borrow, default)]
    plan_name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    schedule_time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    custom_args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Template<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// Reads a request at a moment.
///
/// # Errors
/// 3001, 3002.
pub fn read(body: &[u8], now: UnixMs, limits: &Limits) -> Result<MessagesRequest, ApiError> {
    let text = std::str::from_utf8(body).map_err(|_| &NOT_JSON)?;
    // JSON at all, before it is what the page describes: the vendor has a code for each.
    serde_json::from_str::<&RawValue>(text).map_err(|_| &NOT_JSON)?;
    let request: Request<'_> = json::structure(text).ok_or(&PARAMETERS)?;
    let entries_max = limits.engagelab_recipients_max;
    let (mut recipients, entries) =
        recipients::read(request.to, Grammar::EngageLabC, entries_max).map_err(|error| match error {
            ToError::Empty => invalid("to is required"),
            ToError::Format => invalid("to must be an array of strings"),
            ToError::TooMany => ApiError::saying(
                &PARAMETERS,
                format!("invalid parameters: to has more than {entries_max} numbers"),
            ),
        })?;
    let template = request.template.ok_or_else(|| invalid("template is required"))?;
    let template: Template<'_> =
        json::structure(template.get()).ok_or_else(|| invalid("template must be an object"))?;
    if let Some(extra) = plan_name(request.plan_name)? {
        for recipient in &mut recipients {
            recipient.extra = Some(extra.clone());
        }
    }
    let item = Item {
        template: template_id(template.id)?,
        sender: None,
        signature: SignatureRef::OfTemplate,
        values: params(template.params)?,
        recipients,
    };
    Ok(MessagesRequest {
        item,
        entries,
        custom: custom_args(request.custom_args)?,
        due: schedule_time(request.schedule_time, now)?,
    })
}

/// How strict the wire is: a variable without a value is sent as it stands in the template.
pub(super) fn rules() -> Rules {
    Rules {
        grammar: Grammar::EngageLabC,
        // The list has each number once by then.
        duplicates: Duplicates::Allow,
        value_chars_max: None,
        links_in_values: true,
        missing: Missing::Literal,
        refuse_surplus: false,
        text_chars_max: None,
        overlong: Overlong::Refuse,
        forbidden: Forbidden::Fail(super::send::CONTENT_FORBIDDEN),
        // No field takes a sender.
        sender_chars_max: 0,
        sender_chars_min: 0,
        sender_alphanumeric: false,
        suppressed: SuppressedPolicy::Fail,
    }
}

fn invalid(what: impl std::fmt::Display) -> ApiError {
    ApiError::saying(&PARAMETERS, format!("invalid parameters: {what}"))
}

/// The name of the plan as it is kept with each message, beside what the caller has put in `custom_args`; `None` for one
/// without a name.
fn plan_name(written: Option<&RawValue>) -> Result<Option<Box<str>>, ApiError> {
    let malformed = || {
        invalid(format!(
            "plan_name must be a string of at most {PLAN_NAME_CHARS_MAX} characters"
        ))
    };
    let name = fields::text(written).map_err(|_| malformed())?;
    let Some(name) = name.filter(|name| !name.is_empty() && *name != UNNAMED) else {
        return Ok(None);
    };
    if name.chars().count() > PLAN_NAME_CHARS_MAX {
        return Err(malformed());
    }
    Ok(Some(serde_json::json!({ "plan_name": name }).to_string().into()))
}

/// A text; a number in older documents.
fn template_id(written: Option<&RawValue>) -> Result<TemplateRef, ApiError> {
    let required = || invalid("template.id is required");
    let id = match RawJson::read(written.ok_or_else(required)?).ok_or_else(required)? {
        id @ (RawJson::Text(_) | RawJson::Number(_)) => id.into_text().ok_or_else(required)?,
        _ => return Err(invalid("template.id must be a string")),
    };
    let id = id.trim();
    match id.parse::<i64>() {
        _ if id.is_empty() => Err(required()),
        // Numbers of built-in texts are negative and not for asking: such an id is one nobody has.
        Ok(number) => Ok(TemplateRef::Number(number.max(0))),
        Err(_) => Ok(TemplateRef::Any(Box::from(id))),
    }
}

fn params(written: Option<&RawValue>) -> Result<Values, ApiError> {
    let Some(written) = written else {
        return Ok(Values::None);
    };
    let texts = json::texts(written, Arrays::Refused)
        .ok_or_else(|| invalid("template.params must be an object of strings"))?;
    Ok(if texts.is_empty() {
        Values::None
    } else {
        Values::Named(texts)
    })
}

fn custom_args(written: Option<&RawValue>) -> Result<Option<Box<str>>, ApiError> {
    let Some(written) = written else { return Ok(None) };
    json::object(written, CUSTOM_ARGS_BYTES_MAX)
        .ok_or_else(|| invalid("custom_args must be an object of at most 4 KB"))
}

/// Unix seconds, at least three minutes and at most thirty days ahead.
fn schedule_time(written: Option<&RawValue>, now: UnixMs) -> Result<Option<UnixMs>, ApiError> {
    let malformed = || invalid("schedule_time must be Unix seconds, 3 minutes to 30 days ahead");
    let Some(written) = written else { return Ok(None) };
    let value = RawJson::read(written).ok_or_else(malformed)?;
    if value == RawJson::Null {
        return Ok(None);
    }
    let at = value
        .as_integer()
        .and_then(|seconds| seconds.checked_mul(1000))
        .ok_or_else(malformed)?;
    let window = (now + SCHEDULE_AHEAD_S_MIN * 1000)..=(now + SCHEDULE_AHEAD_S_MAX * 1000);
    if window.contains(&at) {
        Ok(Some(at))
    } else {
        Err(malformed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = 1_795_278_600_000;

    fn code(body: &str) -> u32 {
        read(body.as_bytes(), NOW, &Limits::default()).map_or_else(|refused| refused.code.code, |_| 0)
    }

    fn request(top: &str, template: &str) -> String {
        format!(r#"{{"to":["+8618701235678"],{top}"template":{{"id":"2336"{template}}}}}"#)
    }

    #[test]
    fn requests_are_refused_field_by_field() {
        let now_s = NOW / 1000;
        let at = |ahead_s: i64| request(&format!(r#""schedule_time":{},"#, now_s + ahead_s), "");
        for (body, expected) in [
            (request("", ""), 0),
            (String::new(), 3001),
            ("{".to_owned(), 3001),
            ("[]".to_owned(), 3002),
            ("{}".to_owned(), 3002),
            (r#"{"to":["923700056581"]}"#.to_owned(), 3002),
            (r#"{"to":["923700056581"],"template":7}"#.to_owned(), 3002),
            (r#"{"to":["923700056581"],"template":["2336"]}"#.to_owned(), 3002),
            (r#"{"to":["923700056581"],"template":{}}"#.to_owned(), 3002),
            (r#"{"to":["923700056581"],"template":{"id":""}}"#.to_owned(), 3002),
            (r#"{"to":["923700056581"],"template":{"id":[]}}"#.to_owned(), 3002),
            (r#"{"to":["923700056581"],"template":{"id":2336}}"#.to_owned(), 0),
            (
                r#"{"to":["923700056581"],"template":{"id":"UTA1"}}"#.to_owned(),
                0,
            ),
            (
                format!(
                    r#"{{"to":[{}],"template":{{"id":"1"}}}}"#,
                    vec!["\"923700056581\""; 1001].join(",")
                ),
                3002,
            ),
            (request("", r#","params":{"code":"1234","n":7}"#), 0),
            (request("", r#","params":"code""#), 3002),
            (request("", r#","params":{"code":["1234"]}"#), 3002),
            (request(r#""plan_name":"spring","#, ""), 0),
            (request(r#""plan_name":{},"#, ""), 3002),
            (request(r#""plan_name":true,"#, ""), 3002),
            (request(&format!(r#""plan_name":"{}","#, "小".repeat(255)), ""), 0),
            (
                request(&format!(r#""plan_name":"{}","#, "小".repeat(256)), ""),
                3002,
            ),
            (request(r#""custom_args":{"k":"v"},"#, ""), 0),
            (request(r#""custom_args":7,"#, ""), 3002),
            (
                request(
                    &format!(
                        r#""custom_args":{{"k":"{}"}},"#,
                        "x".repeat(CUSTOM_ARGS_BYTES_MAX)
                    ),
                    "",
                ),
                3002,
            ),
            (at(180), 0),
            (at(179), 3002),
            (at(30 * 86_400), 0),
            (at(30 * 86_400 + 1), 3002),
            (request(r#""schedule_time":0,"#, ""), 3002),
            (request(r#""schedule_time":-1,"#, ""), 3002),
            (request(r#""schedule_time":9223372036854775807,"#, ""), 3002),
            (request(r#""schedule_time":"soon","#, ""), 3002),
            (request(r#""schedule_time":null,"#, ""), 0),
        ] {
            assert_eq!(code(&body), expected, "{body:.100}");
        }
        assert_eq!(
            read(b"{\"to\":\"\xff\"}", NOW, &Limits::default())
                .unwrap_err()
                .code
                .code,
            3001
        );
    }

    #[test]
    fn a_plans_name_is_kept_with_each_message() {
        let extra = |name: &str| {
            let body = format!(
                r#"{{"to":["923700056581","+8618701235678"],"plan_name":{name},"template":{{"id":"1"}}}}"#
            );
            let read = read(body.as_bytes(), NOW, &Limits::default()).unwrap();
            let extras: Vec<_> = read.item.recipients.into_iter().map(|one| one.extra).collect();
            assert_eq!(extras[0], extras[1]);
            extras[0].clone()
        };
        assert_eq!(
            extra("\"spring \\\"1\\\"\"").as_deref(),
            Some(r#"{"plan_name":"spring \"1\""}"#)
        );
        assert_eq!(extra("7").as_deref(), Some(r#"{"plan_name":"7"}"#));
        for unnamed in ["null", "\"\"", "\"-\""] {
            assert_eq!(extra(unnamed), None, "{unnamed}");
        }
    }

    #[test]
    fn template_ids_are_numbers_or_texts_and_never_built_in_ones() {
        let template = |id: &str| {
            let body = format!(r#"{{"to":"923700056581","template":{{"id":{id}}}}}"#);
            read(body.as_bytes(), NOW, &Limits::default())
                .unwrap()
                .item
                .template
        };
        assert_eq!(template("\"2336\""), TemplateRef::Number(2336));
        assert_eq!(template("2336"), TemplateRef::Number(2336));
        assert_eq!(template("\"UTA1\""), TemplateRef::Any("UTA1".into()));
        assert_eq!(template("\"-3\""), TemplateRef::Number(0));
    }
}
