//! Requests to the send interfaces: parameters to typed requests, or a refusal
//! (docs/dialects/sendcloud.md). Pure; nothing here knows accounts or templates.

use super::codes::{
    ApiError, CODE_FORMAT, MSG_TYPE, ONE_PHONE_ONLY, PHONE_DUPLICATE, PHONE_EMPTY, REQUEST_ID_LENGTH,
    TAG_FORMAT, TAG_LENGTH, TEMPLATE_EMPTY, TEMPLATE_UNKNOWN, TEXT_SIGNATURE, TOO_MANY_PHONES, TOO_MANY_TOS,
    TOS_EMPTY, TOS_FORMAT, VARS_FORMAT,
};
use super::fields::longer_than;
use super::params::Params;
use super::vars;
use crate::Limits;
use engine::accept::{BuiltIn, Item, Recipient, SignatureRef, TemplateRef, Values};
use engine::sms::class::Kind;
use engine::sms::phone::{self, Grammar};

/// Longest `tag` in characters (the SendCloud document).
pub const TAG_CHARS_MAX: usize = 128;
/// Longest `sendRequestId` in characters (the SendCloud document).
pub const REQUEST_ID_CHARS_MAX: usize = 128;

/// A request to send.
#[derive(Debug)]
pub struct SendRequest<'a> {
    /// Text, values and recipients.
    pub item: Item,
    /// How its numbers are written: for China, or for abroad.
    pub grammar: Grammar,
    /// Text or voice.
    pub kind: Kind,
    /// `msgType`: 0 when it is not given.
    pub message_type: u8,
    /// `sendRequestId`.
    pub request_id: Option<&'a str>,
    /// `tag`, a JSON object.
    pub tag: Option<&'a str>,
    /// `labelId`, 0 for none.
    pub label: i64,
}

/// Reads `/smsapi/send`: one text for many numbers.
///
/// # Errors
/// 601, 433, 431, 411, 412, 413, 441, 416, 417.
pub fn read_send<'a>(params: &'a Params<'_>, limits: &Limits) -> Result<SendRequest<'a>, ApiError> {
    let template = template(params)?;
    let grammar = grammar(params)?;
    let recipients = phones(params, limits.sendcloud_recipients_max)?;
    if has_duplicates(&recipients, grammar) {
        return Err(ApiError::from(&PHONE_DUPLICATE));
    }
    let values = params
        .get("vars")
        .map_or(Some(Values::None), vars::read_values)
        .ok_or(&VARS_FORMAT)?;
    let item = Item {
        template,
        sender: None,
        signature: SignatureRef::OfTemplate,
        values,
        recipients,
    };
    finish(params, item, grammar, Kind::Text)
}

/// Reads `/smsapi/sendx` (once `sendn`): each number with variables of its own.
///
/// # Errors
/// 601, 433, 431, 481, 482, 413, 416, 417.
pub fn read_sendx<'a>(params: &'a Params<'_>, limits: &Limits) -> Result<SendRequest<'a>, ApiError> {
    let template = template(params)?;
    let grammar = grammar(params)?;
    let tos = vars::read_tos(params.get("tos").ok_or(&TOS_EMPTY)?).ok_or(&TOS_FORMAT)?;
    if tos.is_empty() {
        return Err(ApiError::from(&TOS_EMPTY));
    }
    let tos_max = limits.sendcloud_sendx_recipients_max;
    if tos.len() > tos_max {
        return Err(ApiError::with_limit(&TOO_MANY_TOS, tos_max));
    }
    let recipient = |to: vars::To| Recipient {
        phone: to.phone,
        values: to.values,
        ..Recipient::default()
    };
    let recipients: Vec<Recipient> = tos.into_iter().map(recipient).collect();
    if has_duplicates(&recipients, grammar) {
        return Err(ApiError::from(&PHONE_DUPLICATE));
    }
    let item = Item {
        template,
        sender: None,
        signature: SignatureRef::OfTemplate,
        values: Values::None,
        recipients,
    };
    finish(params, item, grammar, Kind::Text)
}

/// Reads `/smsapi/sendCode`: a code to one number, by text, in words of ours under the caller's signature.
///
/// # Errors
/// 601, 411, 412, 441, 432, 416, 417.
pub fn read_send_code<'a>(params: &'a Params<'_>, _: &Limits) -> Result<SendRequest<'a>, ApiError> {
    let signature = match (params.get("signId"), params.get("signName")) {
        (Some(id), _) => SignatureRef::Id(id.parse().map_err(|_| &TEXT_SIGNATURE)?),
        (None, Some(name)) => SignatureRef::Text(Box::from(name)),
        (None, None) => return Err(ApiError::from(&TEXT_SIGNATURE)),
    };
    read_code(params, BuiltIn::Code, signature, Kind::Text)
}

/// Reads `/smsapi/sendVoice`: a code to one number, spoken.
///
/// # Errors
/// 601, 411, 412, 441, 416, 417.
pub fn read_send_voice<'a>(params: &'a Params<'_>, _: &Limits) -> Result<SendRequest<'a>, ApiError> {
    read_code(params, BuiltIn::VoiceCode, SignatureRef::OfTemplate, Kind::Voice)
}

fn read_code<'a>(
    params: &'a Params<'_>,
    built_in: BuiltIn,
    signature: SignatureRef,
    kind: Kind,
) -> Result<SendRequest<'a>, ApiError> {
    let grammar = grammar(params)?;
    let recipients = phones(params, 1).map_err(|refused| match refused.code {
        code if *code == TOO_MANY_PHONES => ApiError::from(&ONE_PHONE_ONLY),
        _ => refused,
    })?;
    let code = params.get("code").and_then(vars::read_code).ok_or(&CODE_FORMAT)?;
    let values = Values::Named(vec![(Box::from("code"), code)]);
    let item = Item {
        template: TemplateRef::BuiltIn(built_in),
        sender: None,
        signature,
        values,
        recipients,
    };
    finish(params, item, grammar, kind)
}

/// What all send interfaces have in common.
fn finish<'a>(
    params: &'a Params<'_>,
    item: Item,
    grammar: Grammar,
    kind: Kind,
) -> Result<SendRequest<'a>, ApiError> {
    let tag = params.get("tag");
    if tag.is_some_and(|tag| longer_than(tag, TAG_CHARS_MAX)) {
        return Err(ApiError::from(&TAG_LENGTH));
    }
    if tag.is_some_and(|tag| !vars::is_object(tag)) {
        return Err(ApiError::from(&TAG_FORMAT));
    }
    let request_id = params.get("sendRequestId");
    if request_id.is_some_and(|id| longer_than(id, REQUEST_ID_CHARS_MAX)) {
        return Err(ApiError::from(&REQUEST_ID_LENGTH));
    }
    // A label only sorts statistics: a message is not withheld for a malformed one.
    let label = params
        .get("labelId")
        .and_then(|label| label.parse().ok())
        .unwrap_or(0);
    Ok(SendRequest {
        item,
        grammar,
        kind,
        message_type: match grammar {
            Grammar::SendCloudInternational => 2,
            _ => 0,
        },
        request_id,
        tag,
        label,
    })
}

fn template(params: &Params<'_>) -> Result<TemplateRef, ApiError> {
    let id = params.get("templateId").ok_or(&TEMPLATE_EMPTY)?;
    // Numbers of built-in texts are negative and not for asking.
    let number = id
        .parse()
        .ok()
        .filter(|number: &i64| *number > 0)
        .ok_or(&TEMPLATE_UNKNOWN)?;
    Ok(TemplateRef::Number(number))
}

/// `msgType`: 0 (the default) for China, 2 for abroad. MMS, voice and video templates are not sent here.
fn grammar(params: &Params<'_>) -> Result<Grammar, ApiError> {
    match params.get("msgType").unwrap_or("0") {
        "0" => Ok(Grammar::SendCloud),
        "2" => Ok(Grammar::SendCloudInternational),
        _ => Err(ApiError::from(&MSG_TYPE)),
    }
}

/// Numbers between commas. Some clients write semicolons, which no number contains.
fn phones(params: &Params<'_>, phones_max: usize) -> Result<Vec<Recipient>, ApiError> {
    let list = params.get("phone").ok_or(&PHONE_EMPTY)?;
    let phones = list
        .split([',', ';'])
        .map(str::trim)
        .filter(|phone| !phone.is_empty());
    let recipient = |phone: &str| Recipient {
        phone: Box::from(phone),
        ..Recipient::default()
    };
    let recipients: Vec<Recipient> = phones.take(phones_max.saturating_add(1)).map(recipient).collect();
    match recipients.len() {
        0 => Err(ApiError::from(&PHONE_EMPTY)),
        count if count > phones_max => Err(ApiError::with_limit(&TOO_MANY_PHONES, phones_max)),
        _ => Ok(recipients),
    }
}

/// Whether a number stands twice in a request, in whatever spellings.
fn has_duplicates(recipients: &[Recipient], grammar: Grammar) -> bool {
    if recipients.len() < 2 {
        return false;
    }
    let mut numbers: Vec<_> = recipients
        .iter()
        .filter_map(|recipient| phone::parse(&recipient.phone, grammar).ok())
        .collect();
    numbers.sort_unstable();
    numbers
        .windows(2)
        .any(|pair| matches!(pair, [one, other] if one == other))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Reader = for<'a, 'b> fn(&'a Params<'b>, &Limits) -> Result<SendRequest<'a>, ApiError>;

    const SEND: &str = "templateId=1001&phone=13800138000";
    const SENDX: &str = "templateId=1001&tos=[{\"phone\":\"13800138000\",\"vars\":{}}]";
    const CODE: &str = "phone=13800138000&code=4826&signName=Example";

    fn refusal(read: Reader, form: &str) -> u32 {
        let params = Params::read(None, form.as_bytes()).unwrap();
        read(&params, &Limits::default()).map_or_else(|refused| refused.code.code, |_| 200)
    }

    /// The form with one parameter added or replaced.
    fn with(form: &str, name: &str, value: &str) -> String {
        let kept = form_urlencoded::parse(form.as_bytes()).filter(|(known, _)| known != name);
        let mut out = form_urlencoded::Serializer::new(String::new());
        out.extend_pairs(kept).append_pair(name, value).finish()
    }

    #[test]
    fn send_is_refused_parameter_by_parameter() {
        let many = |count: usize| {
            (0..count)
                .map(|n| format!("138{n:08}"))
                .collect::<Vec<_>>()
                .join(",")
        };
        for (name, value, expected) in [
            ("templateId", "", 433),
            ("templateId", "abc", 431),
            ("templateId", "-3", 431),
            ("templateId", "1e3", 431),
            ("msgType", "0", 200),
            ("msgType", "2", 200),
            ("msgType", "1", 601),
            ("msgType", "3", 601),
            ("msgType", "4", 601),
            ("msgType", "5", 601),
            ("msgType", "x", 601),
            ("phone", "", 411),
            ("phone", " , ,", 411),
            ("phone", "13800138000,13900139000", 200),
            ("phone", "13800138000;13900139000", 200),
            ("phone", "13800138000,13900139000,13800138000", 413),
            ("phone", "13800138000,008613800138000", 413),
            ("phone", "bad,bad", 200),
            ("phone", &many(2000), 200),
            ("phone", &many(2001), 412),
            ("vars", "", 200),
            ("vars", "{}", 200),
            ("vars", "{", 441),
            ("tag", r#"{"key1": "value1"}"#, 200),
            ("tag", "value1", 416),
            ("tag", &format!("{{\"k\":\"{}\"}}", "小".repeat(120)), 200),
            ("tag", &format!("{{\"k\":\"{}\"}}", "小".repeat(121)), 417),
            ("sendRequestId", &"小".repeat(128), 200),
            ("sendRequestId", &"小".repeat(129), 417),
            ("labelId", "many", 200),
        ] {
            assert_eq!(
                refusal(read_send, &with(SEND, name, value)),
                expected,
                "{name}={value:.40}"
            );
        }
    }

    #[test]
    fn sendx_is_refused_parameter_by_parameter() {
        let many = |count: usize| {
            let tos: Vec<_> = (0..count)
                .map(|n| format!("{{\"phone\":\"138{n:08}\",\"vars\":{{}}}}"))
                .collect();
            format!("[{}]", tos.join(","))
        };
        let twice = r#"[{"phone":"13800138000","vars":{}},{"phone":"13800138000","vars":{"a":"b"}}]"#;
        for (name, value, expected) in [
            ("templateId", "", 433),
            ("tos", "", 481),
            ("tos", "[]", 481),
            ("tos", "{}", 482),
            ("tos", r#"[{"phone":"13800138000"}]"#, 482),
            ("tos", twice, 413),
            ("tos", &many(200), 200),
            ("tos", &many(201), 482),
            ("msgType", "2", 200),
            ("msgType", "1", 601),
            ("tag", "value1", 416),
            ("sendRequestId", &"r".repeat(129), 417),
        ] {
            assert_eq!(
                refusal(read_sendx, &with(SENDX, name, value)),
                expected,
                "{name}={value:.40}"
            );
        }
    }

    #[test]
    fn codes_are_refused_parameter_by_parameter() {
        for (name, value, expected) in [
            ("code", "", 441),
            ("code", "123", 441),
            ("code", "1234567", 441),
            ("code", r#"{"code": "123456"}"#, 200),
            ("phone", "", 411),
            ("phone", "13800138000,13900139000", 412),
            ("msgType", "2", 200),
            ("msgType", "1", 601),
            ("tag", "value1", 416),
            ("tag", &format!("{{\"k\":\"{}\"}}", "v".repeat(121)), 417),
            ("sendRequestId", &"r".repeat(129), 417),
            ("labelId", "many", 200),
        ] {
            assert_eq!(
                refusal(read_send_code, &with(CODE, name, value)),
                expected,
                "sendCode {name}={value}"
            );
            assert_eq!(
                refusal(read_send_voice, &with(CODE, name, value)),
                expected,
                "sendVoice {name}={value}"
            );
        }
        assert_eq!(refusal(read_send_code, "phone=13800138000&code=4826"), 432);
        assert_eq!(refusal(read_send_code, &with(CODE, "signId", "seven")), 432);
        assert_eq!(refusal(read_send_voice, "phone=13800138000&code=4826"), 200);
    }

    #[test]
    fn a_send_request_carries_everything_over() {
        let form = "templateId=1001&phone=13800138000,%20+15550100&msgType=2&vars=%7B%22%25code%25%22%3A%228341%22%7D\
                    &sendRequestId=r1&tag=%7B%22k%22%3A%22v%22%7D&labelId=9";
        let params = Params::read(None, form.as_bytes()).unwrap();
        let request = read_send(&params, &Limits::default()).unwrap();
        assert_eq!(request.item.template, TemplateRef::Number(1001));
        assert_eq!(request.grammar, Grammar::SendCloudInternational);
        assert_eq!(
            request.item.values,
            Values::Named(vec![("%code%".into(), "8341".into())])
        );
        let phones: Vec<_> = request
            .item
            .recipients
            .iter()
            .map(|recipient| &*recipient.phone)
            .collect();
        assert_eq!(phones, ["13800138000", "15550100"]);
        assert_eq!(
            (request.request_id, request.tag, request.label),
            (Some("r1"), Some(r#"{"k":"v"}"#), 9)
        );
    }

    #[test]
    fn every_interface_carries_over_what_all_have_in_common() {
        let readers: [(&str, Reader); 4] = [
            (SEND, read_send),
            (SENDX, read_sendx),
            (CODE, read_send_code),
            (CODE, read_send_voice),
        ];
        for (form, read) in readers {
            let form = format!("{form}&sendRequestId=r1&tag=%7B%22k%22%3A%22v%22%7D&labelId=9");
            let params = Params::read(None, form.as_bytes()).unwrap();
            let request = read(&params, &Limits::default()).unwrap();
            assert_eq!(
                (request.request_id, request.tag, request.label),
                (Some("r1"), Some(r#"{"k":"v"}"#), 9),
                "{form}"
            );
        }
    }

    #[test]
    fn a_signature_id_wins_over_its_name() {
        let form = with(CODE, "signId", "7");
        let params = Params::read(None, form.as_bytes()).unwrap();
        let request = read_send_code(&params, &Limits::default()).unwrap();
        assert_eq!(request.item.signature, SignatureRef::Id(7));
        assert_eq!(request.item.template, TemplateRef::BuiltIn(BuiltIn::Code));
        let params = Params::read(None, CODE.as_bytes()).unwrap();
        assert_eq!(
            read_send_code(&params, &Limits::default())
                .unwrap()
                .item
                .signature,
            SignatureRef::Text("Example".into())
        );
        assert_eq!(
            read_send_voice(&params, &Limits::default()).unwrap().kind,
            Kind::Voice
        );
    }
}
