//! `BatchCreateUSMSBlacklistPhone`: numbers that get nothing more from the account (contract section 3.3). UCloud only.

use super::answer::done_as;
use super::api_error::ApiError;
use super::error_texts::{Done, Thing};
use super::handle_action::ActionRequest;
use super::handler::refused;
use super::json_reader;
use super::params::{decode, flag, integer, required, text};
use super::tree::{Members, Node};
use engine::catalog::SuppressionKind;
use engine::sms::phone::{self, Grammar, Msisdn};
use serde::Serialize;

/// Most numbers of a request.
pub const NUMBERS_MAX: usize = 1000;
/// Most values of the list where it is a text: an entry has a number and a remark or two.
const VALUES_MAX: usize = 16 * NUMBERS_MAX;
/// Longest remark in characters.
pub const REMARK_CHARS_MAX: usize = 256;

/// A number of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As written.
    pub phone: String,
    /// What it stands for, if it can be suppressed.
    pub number: Option<Msisdn>,
}

/// The list of a request: `BlackList` is Base64 of a JSON array; the array itself and its text are taken too.
pub fn parse(params: &Members<'_>) -> Result<Vec<Entry>, ApiError> {
    const NAME: &str = "BlackList";
    flag(params, "IsGlobal")?.ok_or(ApiError::Missing("IsGlobal"))?;
    let shape = ApiError::Shape(NAME);
    if let Some(Node::List(list)) = params.get(NAME) {
        return entries(list);
    }
    let written = required(params, NAME)?.trim_ascii();
    let json = if written.starts_with('[') {
        written.as_bytes().to_vec()
    } else {
        decode(written).ok_or(shape)?
    };
    match json_reader::read(&json, VALUES_MAX).map_err(|_| shape)? {
        Node::List(list) => entries(&list),
        _ => Err(shape),
    }
}

fn entries(list: &[Node<'_>]) -> Result<Vec<Entry>, ApiError> {
    match list.len() {
        0 => return Err(ApiError::Missing("BlackList")),
        n if n > NUMBERS_MAX => return Err(ApiError::Recipients("BlackList")),
        _ => {}
    }
    list.iter()
        .map(|node| match node {
            Node::Members(entry) => {
                let phone = text(entry, "Phone")?.unwrap_or_default();
                Ok(Entry {
                    phone: phone.to_owned(),
                    number: number(entry, phone),
                })
            }
            _ => Err(ApiError::Shape("BlackList")),
        })
        .collect()
}

/// What is wrong with one number fails that number alone.
fn number(entry: &Members<'_>, phone: &str) -> Option<Msisdn> {
    let remark = text(entry, "Remark").ok()?.unwrap_or_default();
    // A suppression holds for all classes. To suppress codes because somebody wants no advertising would lose
    // codes, so that only "any purpose" is taken.
    let purpose = integer(entry, "Purpose", 0..=3).ok()?.unwrap_or(0);
    if remark.chars().count() > REMARK_CHARS_MAX || purpose != 0 {
        return None;
    }
    phone::parse(phone, Grammar::UcloudAction).ok()
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Created<'a> {
    req_uuid: &'a str,
    success_list: Vec<&'a str>,
    failed_list: Vec<&'a str>,
}

/// `BatchCreateUSMSBlacklistPhone`
pub(super) async fn create(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let entries = parse(request.params)?;
    let numbers: Vec<Msisdn> = entries.iter().filter_map(|entry| entry.number).collect();
    if !numbers.is_empty() {
        request
            .engine()
            .suppress(request.caller.account, numbers, SuppressionKind::Blocked)
            .await
            .map_err(|error| refused(request.context, &error, Thing::Template))?;
    }
    let (taken, failed): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.number.is_some());
    Ok(done_as(
        request.context,
        Done::Suppressed,
        &Created {
            req_uuid: &request.context.uuid,
            success_list: written(&taken),
            failed_list: written(&failed),
        },
    ))
}

fn written<'e>(entries: &[&'e Entry]) -> Vec<&'e str> {
    entries.iter().map(|entry| entry.phone.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(body: &Value) -> Result<Vec<Entry>, ApiError> {
        let body = body.to_string();
        parse(&Members::from_json(body.as_bytes(), 1 << 20).unwrap())
    }

    fn numbers(list: &Value) -> Vec<Option<u64>> {
        let read = read(&json!({"IsGlobal": true, "BlackList": list})).unwrap();
        read.iter()
            .map(|entry| entry.number.map(Msisdn::as_u64))
            .collect()
    }

    /// The vendor's own sample, as its page has it, but for the purpose.
    #[test]
    fn the_list_comes_in_three_forms_and_numbers_in_as_many() {
        let list = json!([
            {"Phone": "(44)7700900001", "Purpose": 0, "Remark": "测试数据001"},
            {"Phone": "447700900002"},
            {"Phone": "+447700900003", "Purpose": "0"},
            {"Phone": "13900000001"},
        ]);
        let expected = [
            447_700_900_001,
            447_700_900_002,
            447_700_900_003,
            8_613_900_000_001,
        ]
        .map(Some);
        for form in [
            list.clone(),
            json!(list.to_string()),
            json!(STANDARD.encode(list.to_string())),
        ] {
            assert_eq!(numbers(&form), expected, "{form}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_number_fails_it_alone() {
        let list = json!([
            {"Phone": "447700900001"},
            {"Phone": "12"},
            {"Phone": ""},
            {},
            {"Phone": "447700900002", "Remark": "x".repeat(256)},
            {"Phone": "447700900003", "Remark": "x".repeat(257)},
            {"Phone": "447700900004", "Purpose": 3},
            {"Phone": "447700900005", "Purpose": "x"},
        ]);
        let taken: Vec<bool> = numbers(&list).iter().map(Option::is_some).collect();
        assert_eq!(taken, [true, false, false, false, true, false, false, false]);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let many: Vec<Value> = vec![json!({"Phone": "447700900001"}); NUMBERS_MAX + 1];
        for (body, fault) in [
            (json!({"BlackList": "W10="}), ApiError::Missing("IsGlobal")),
            (
                json!({"IsGlobal": "maybe", "BlackList": "W10="}),
                ApiError::Shape("IsGlobal"),
            ),
            (json!({"IsGlobal": false}), ApiError::Missing("BlackList")),
            (
                json!({"IsGlobal": false, "BlackList": "W10="}),
                ApiError::Missing("BlackList"),
            ),
            (
                json!({"IsGlobal": false, "BlackList": "?"}),
                ApiError::Shape("BlackList"),
            ),
            (
                json!({"IsGlobal": false, "BlackList": "e30="}),
                ApiError::Shape("BlackList"),
            ),
            (
                json!({"IsGlobal": false, "BlackList": "[1]"}),
                ApiError::Shape("BlackList"),
            ),
            (
                json!({"IsGlobal": false, "BlackList": "[{\"Phone\":[1]}]"}),
                ApiError::Shape("Phone"),
            ),
            (
                json!({"IsGlobal": false, "BlackList": many}),
                ApiError::Recipients("BlackList"),
            ),
        ] {
            assert_eq!(read(&body), Err(fault), "{fault:?}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in ".*", phone in ".{0,20}") {
            let _ = read(&json!({"IsGlobal": text, "BlackList": text}));
            let _ = read(&json!({"IsGlobal": true, "BlackList": text}));
            let list = read(&json!({"IsGlobal": true, "BlackList": [{"Phone": phone}]})).unwrap();
            prop_assert_eq!(&list[0].phone, &phone);
        }
    }
}
