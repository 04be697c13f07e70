//! Parses the bytes of a request. Pure: no clock, no store, no catalog.
//!
//! Lenient where clients differ without meaning anything different (contract sections 1.2, 1.3 and 2.1):
//! numbers for strings and strings for numbers, `null` and `[]` for absent, `TaskContent` in four forms.
//! Wrong types are refused before anything is accepted: only what is wrong with a recipient's data, not with
//! the shape of the request, fails that recipient alone.

use super::api_error::ApiError;
use super::boundaries;
use super::json_reader;
use super::params::{self, check_account_id, required, text};
use super::tree::{Members, Node};
use crate::lists;
use engine::Dialect;
use engine::accept::{Item, Recipient, Refusal, SignatureRef, TemplateRef, Values};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashSet;

/// Longest sender of letters in characters (contract section 2.1; also SMPP's bound for alphanumeric senders).
pub const SENDER_CHARS_MAX: usize = 11;
/// Longest sender that is a number, in digits (E.164).
pub const SENDER_DIGITS_MAX: usize = 15;
/// Longest `UserId` in characters (contract section 2.1).
pub const USER_ID_CHARS_MAX: usize = 32;
/// Longest `ExtendCode` in digits: what fits behind no sender at all in an SMPP source address.
pub const EXTEND_CODE_DIGITS_MAX: usize = 20;

/// The parameters in a body: a JSON object or a form of at most `values_max` values, distinguished by the first character,
/// since clients label either with any content type.
pub fn parse_params(body: &[u8], values_max: usize) -> Result<Members<'_>, ApiError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    match body.first() {
        None => Ok(Members::default()),
        Some(b'{') => Members::from_json(body, values_max).map_err(|_| ApiError::Unreadable),
        Some(_) if body.contains(&b'=') && std::str::from_utf8(body).is_ok() => {
            Members::from_form(body, values_max).map_err(|_| ApiError::Unreadable)
        }
        Some(_) => Err(ApiError::Unreadable),
    }
}

/// The JSON object of a REST request. Nothing in it is signed, so dotted names get their structure at once.
pub fn parse_json(body: &[u8], values_max: usize) -> Result<Members<'_>, ApiError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    boundaries::nest(Members::from_json(body, values_max).map_err(|_| ApiError::Unreadable)?)
}

/// Reads the parameters of `SendBatchUSMSMessage`, on any of the three wires. `values_max` bounds a `TaskContent` that is a
/// text.
pub fn parse_batch(
    params: &Members<'_>,
    dialect: Dialect,
    recipients_max: usize,
    values_max: usize,
) -> Result<Vec<Item>, ApiError> {
    check_account_id(params)?;
    let content = params
        .get("TaskContent")
        .ok_or(ApiError::Missing("TaskContent"))?;
    let shape = ApiError::Shape("TaskContent");
    match content {
        Node::List(list) => items(list, dialect, recipients_max),
        Node::Text(text) => {
            let json = task_content(text).ok_or(shape)?;
            match json_reader::read(&json, values_max).map_err(|_| shape)? {
                Node::List(list) if list.is_empty() => Err(ApiError::Missing("TaskContent")),
                Node::List(list) => items(&list, dialect, recipients_max),
                _ => Err(shape),
            }
        }
        _ => Err(shape),
    }
}

/// Reads the parameters of `SendUSMSMessage`: one text to many numbers (contract sections 3.2 and 3.3).
pub fn parse_single(params: &Members<'_>, recipients_max: usize) -> Result<Vec<Item>, ApiError> {
    check_account_id(params)?;
    let template = required(params, "TemplateId")?;
    let numbers = match params
        .get("PhoneNumbers")
        .ok_or(ApiError::Missing("PhoneNumbers"))?
    {
        Node::List(list) => list.as_slice(),
        one @ (Node::Text(_) | Node::Number(_)) => std::slice::from_ref(one),
        _ => return Err(ApiError::Shape("PhoneNumbers")),
    };
    if numbers.len() > recipients_max {
        return Err(ApiError::Recipients("PhoneNumbers"));
    }
    let extend_code = text(params, "ExtendCode")?;
    if extend_code.is_some_and(|code| !is_extend_code(code)) {
        return Err(ApiError::Value("ExtendCode"));
    }
    // An invalid one is not returned, and stops nothing (contract section 3.3).
    let user_id = text(params, "UserId")?.filter(|id| is_user_id(id));
    let extra = Extra::new(user_id, extend_code).to_json();
    let (sender, signature) = source(params, Dialect::Ucloud)?;
    let recipients = numbers.iter().map(|number| {
        let phone = number.as_text().ok_or(ApiError::Shape("PhoneNumbers"))?;
        Ok(Recipient {
            phone: phone.into(),
            extra: extra.clone(),
            ..Recipient::default()
        })
    });
    let mut item = Item {
        template: TemplateRef::UtId(template.into()),
        sender,
        signature,
        values: values(params)?,
        recipients: recipients.collect::<Result<_, ApiError>>()?,
    };
    finish(&mut item);
    Ok(vec![item])
}

/// The session numbers of `GetUSMSSendReceipt`.
pub fn parse_sessions(params: &Members<'_>, sessions_max: usize) -> Result<Vec<String>, ApiError> {
    const NAME: &str = "SessionNoSet";
    check_account_id(params)?;
    let texts = params::texts(params, NAME, sessions_max)?;
    // No session number has a separator in it, so a text with one is several.
    let numbers = texts.iter().flat_map(|text| lists::entries(text));
    params::within(
        numbers.map(str::to_owned).take(sessions_max + 1).collect(),
        NAME,
        sessions_max,
    )
}

/// The session numbers or template ids in the query of a REST request: `id` repeated; its documentation page also shows them
/// separated by commas or as a JSON array (contract section 3.1).
pub fn parse_ids(query: &str, ids_max: usize) -> Result<Vec<String>, ApiError> {
    let mut ids = Vec::new();
    for (_, value) in form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "id") {
        let bare = value.trim().trim_start_matches('[').trim_end_matches(']');
        ids.extend(
            lists::entries(bare)
                .map(|id| id.trim_matches('"').to_owned())
                .filter(|id| !id.is_empty()),
        );
        if ids.len() > ids_max {
            break;
        }
    }
    params::within(ids, "id", ids_max)
}

/// `TaskContent` as a string: the JSON itself, or its Base64 (contract sections 0 and 1.3).
fn task_content(text: &str) -> Option<Cow<'_, [u8]>> {
    let text = text.trim_ascii();
    if text.starts_with('[') {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    // `base64` wraps its lines.
    params::decode(text).map(Cow::Owned)
}

fn items(list: &[Node<'_>], dialect: Dialect, recipients_max: usize) -> Result<Vec<Item>, ApiError> {
    let mut items = Vec::with_capacity(list.len().min(recipients_max));
    let mut recipients = 0_usize;
    for node in list {
        let Node::Members(task) = node else {
            return Err(ApiError::Shape("TaskContent"));
        };
        let targets = match task.get("Target").ok_or(ApiError::Missing("Target"))? {
            Node::List(list) => list,
            _ => return Err(ApiError::Shape("Target")),
        };
        recipients = recipients.saturating_add(targets.len());
        if recipients > recipients_max {
            return Err(ApiError::Recipients("Target"));
        }
        let template = required(task, "TemplateId")?;
        let (sender, signature) = source(task, dialect)?;
        let mut item = Item {
            template: TemplateRef::UtId(template.into()),
            sender,
            signature,
            values: Values::None,
            recipients: Vec::with_capacity(targets.len()),
        };
        // A target may name a sender of its own on uSpeedo's Action wire; such targets make items of their own.
        let mut apart: Vec<Item> = Vec::new();
        for node in targets {
            let Node::Members(target) = node else {
                return Err(ApiError::Shape("Target"));
            };
            let recipient = recipient(target)?;
            let own = if dialect == Dialect::UspeedoAction {
                text(target, "SenderId")?
            } else {
                None
            };
            match own.filter(|own| item.sender.as_deref() != Some(*own)) {
                None => item.recipients.push(recipient),
                Some(own) => match apart.iter_mut().find(|item| item.sender.as_deref() == Some(own)) {
                    Some(known) => known.recipients.push(recipient),
                    None => apart.push(Item {
                        template: item.template.clone(),
                        sender: Some(own.into()),
                        signature: item.signature.clone(),
                        values: Values::None,
                        recipients: vec![recipient],
                    }),
                },
            }
        }
        items.extend(
            [item]
                .into_iter()
                .chain(apart)
                .filter(|item| !item.recipients.is_empty()),
        );
    }
    items.iter_mut().for_each(finish);
    Ok(items)
}

/// Sender and signature: `SenderId` at uSpeedo, `SigContent` at UCloud; each takes the other's name too.
fn source(task: &Members<'_>, dialect: Dialect) -> Result<(Option<Box<str>>, SignatureRef), ApiError> {
    let sender = text(task, "SenderId")?;
    let signature = text(task, "SigContent")?;
    // The uSpeedo REST v1 document requires the field; an empty one is known to be taken.
    let named = task
        .iter()
        .any(|(name, node)| name == "SenderId" && *node != Node::Null);
    if dialect == Dialect::UspeedoRest && !named && signature.is_none() {
        return Err(ApiError::Missing("SenderId"));
    }
    let signature = signature.map_or(SignatureRef::OfTemplate, |text| SignatureRef::Text(text.into()));
    Ok((sender.map(Box::from), signature))
}

fn recipient(target: &Members<'_>) -> Result<Recipient, ApiError> {
    let extra = Extra::new(text(target, "UserId")?, text(target, "ExtendCode")?);
    Ok(Recipient {
        // Absent and empty are one: a hole in a list of numbers fails that number, not the list.
        phone: text(target, "Phone")?.unwrap_or_default().into(),
        values: values(target)?,
        refused: extra.invalid().map(|_| Refusal::ExtraInvalid),
        extra: extra.to_json(),
    })
}

fn values(members: &Members<'_>) -> Result<Values, ApiError> {
    let shape = ApiError::Shape("TemplateParams");
    let list = match members.get("TemplateParams") {
        None => return Ok(Values::None),
        Some(Node::List(list)) => list,
        Some(_) => return Err(shape),
    };
    let text = |node: &Node<'_>| match node {
        Node::Null => Ok(Box::from("")),
        node => node.as_text().map(Box::from).ok_or(shape),
    };
    list.iter()
        .map(text)
        .collect::<Result<_, _>>()
        .map(Values::Positional)
}

/// What the engine's rules do not know: how this family's senders look, and that a number standing twice with
/// the same parameters is one message requested twice by mistake.
fn finish(item: &mut Item) {
    let sender_refused = item.sender.as_deref().is_some_and(|sender| !is_sender(sender));
    for recipient in item.recipients.iter_mut().filter(|_| sender_refused) {
        recipient.refused = Some(Refusal::SenderInvalid);
    }
    for at in repeats(&item.recipients) {
        if let Some(recipient) = item.recipients.get_mut(at) {
            recipient.refused.get_or_insert(Refusal::PhoneDuplicate);
        }
    }
}

/// Positions of recipients whose number, as written, and parameters both stand earlier.
fn repeats(recipients: &[Recipient]) -> Vec<usize> {
    // One look-up for each recipient, however many have the same number.
    let mut seen = HashSet::with_capacity(recipients.len());
    let again = recipients
        .iter()
        .enumerate()
        .filter(|(_, r)| !r.phone.is_empty() && !seen.insert((&*r.phone, &r.values)));
    again.map(|(at, _)| at).collect()
}

fn is_sender(sender: &str) -> bool {
    let sender = sender.trim();
    let digits = sender.strip_prefix('+').unwrap_or(sender);
    let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if number {
        digits.len() <= SENDER_DIGITS_MAX
    } else {
        sender.chars().count() <= SENDER_CHARS_MAX
    }
}

/// At most 32 characters, no single quote, no emoji, nothing that cannot be seen.
fn is_user_id(id: &str) -> bool {
    let odd = |c: char| {
        c == '\''
            || c.is_control()
            || matches!(u32::from(c), 0x200d | 0x2600..=0x27bf | 0xfe00..=0xfe0f | 0x1_f000..=0x1_faff)
    };
    id.chars().count() <= USER_ID_CHARS_MAX && !id.chars().any(odd)
}

fn is_extend_code(code: &str) -> bool {
    code.len() <= EXTEND_CODE_DIGITS_MAX && code.bytes().all(|b| b.is_ascii_digit())
}

/// The caller's own data about a recipient: stored with the message and returned in reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extra {
    /// `UserId`, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// `ExtendCode`, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extend_code: Option<String>,
}

impl Extra {
    fn new(user_id: Option<&str>, extend_code: Option<&str>) -> Self {
        Self {
            user_id: user_id.map(str::to_owned),
            extend_code: extend_code.map(str::to_owned),
        }
    }

    /// Reads what [`Extra`] wrote; empty for anything else.
    pub fn read(json: Option<&str>) -> Self {
        json.and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default()
    }

    fn to_json(&self) -> Option<Box<str>> {
        if *self == Self::default() {
            return None;
        }
        serde_json::to_string(self).ok().map(String::into_boxed_str)
    }

    /// The name of the field that is not what it must be, if one is.
    pub fn invalid(&self) -> Option<&'static str> {
        if self.user_id.as_deref().is_some_and(|id| !is_user_id(id)) {
            return Some("UserId");
        }
        self.extend_code
            .as_deref()
            .is_some_and(|code| !is_extend_code(code))
            .then_some("ExtendCode")
    }
}
