//! Where names and values of a signed request end, as far as that can be known.
//!
//! The signed text has nothing between a name and its value, nor between a value and the next name (contract sections 1.2
//! and 1.3). Whoever sees a signed request may send the same text, cut otherwise. Refused is what another cut gives and no
//! client writes: numbers of lists that do not count from 0 and, in requests that send, a parameter's name elsewhere than
//! where a name begins. What stays open stands in docs/dialects/uspeedo.md.

use super::api_error::ApiError;
use super::canon::SIGNATURE;
use super::tree::{Members, NestError, Node};

/// Parameters that are lists, for the words of an answer.
const LISTS: [&str; 8] = [
    "PhoneNumbers",
    "SessionNoSet",
    "SigIds",
    "Target",
    "TaskContent",
    "TemplateId",
    "TemplateIds",
    "TemplateParams",
];

/// Names of what makes a message. Most may be absent, so that they would not be missed under another name or at the end of
/// another value.
const NAMES: [&str; 10] = [
    "AccountId",
    "ExtendCode",
    "PhoneNumbers",
    "ProjectId",
    "SenderId",
    "SigContent",
    "TaskContent",
    "TemplateId",
    "TemplateParams",
    "UserId",
];

/// Gives dotted names their structure back.
///
/// # Errors
/// [`ApiError::Shape`] of the list whose numbers do not count from 0; [`ApiError::Unreadable`] when a name says two things, or
/// the list is none that is known.
pub fn nest(params: Members<'_>) -> Result<Members<'_>, ApiError> {
    params.nested().map_err(|error| match error {
        NestError::Index(name) => LISTS
            .into_iter()
            .find(|known| *known == name)
            .map_or(ApiError::Unreadable, ApiError::Shape),
        NestError::Twice(_) => ApiError::Unreadable,
    })
}

/// The same for parameters that were signed, of which none may be cut where no client cuts.
///
/// # Errors
/// Those of [`nest`]; [`ApiError::Shape`] of a parameter that is cut otherwise.
pub fn nest_signed(params: Members<'_>) -> Result<Members<'_>, ApiError> {
    let action = params.get("Action").and_then(Node::as_text);
    if matches!(action, Some("SendUSMSMessage" | "SendBatchUSMSMessage")) {
        let mut pieces = Vec::new();
        collect(&params, &mut pieces);
        pieces
            .iter()
            .enumerate()
            .try_for_each(|(at, _)| check(pieces.get(at..).unwrap_or_default()))?;
    }
    nest(params)
}

/// A piece of the signed text.
#[derive(Clone, Copy)]
struct Piece<'p> {
    text: &'p str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Name,
    Value,
    /// A value that is a JSON text: it has names in it, and reads as JSON only when it is whole.
    Json,
}

fn collect<'p>(params: &'p Members<'_>, pieces: &mut Vec<Piece<'p>>) {
    for (name, node) in params.iter().filter(|(name, _)| *name != SIGNATURE) {
        pieces.push(Piece {
            text: name,
            kind: Kind::Name,
        });
        match node {
            Node::Text(text) if name == "TaskContent" && text.trim_ascii_start().starts_with('[') => {
                pieces.push(Piece {
                    text,
                    kind: Kind::Json,
                });
            }
            node => collect_value(node, pieces),
        }
    }
}

fn collect_value<'p>(node: &'p Node<'_>, pieces: &mut Vec<Piece<'p>>) {
    match node {
        Node::List(list) => list.iter().for_each(|node| collect_value(node, pieces)),
        Node::Members(members) => collect(members, pieces),
        value => pieces.extend(value.as_text().map(|text| Piece {
            text,
            kind: Kind::Value,
        })),
    }
}

/// Whether the first piece has a parameter's name where it may have one. The others follow it.
fn check(pieces: &[Piece<'_>]) -> Result<(), ApiError> {
    let Some((first, others)) = pieces.split_first().filter(|(first, _)| first.kind != Kind::Json) else {
        return Ok(());
    };
    // Names begin with a capital letter, which most values have none of.
    for (at, _) in first.text.match_indices(|c: char| c.is_ascii_uppercase()) {
        let rest = first.text.get(at..).unwrap_or_default();
        let begins = (first.kind == Kind::Name)
            && (at == 0 || first.text.get(..at).is_some_and(|before| before.ends_with('.')));
        let ends = |known: &str| {
            let behind = rest.strip_prefix(known);
            behind.is_some_and(|behind| behind.is_empty() || behind.starts_with('.'))
        };
        let cut = |known: &&str| reads(rest, others, known) && !(begins && ends(known));
        if let Some(known) = NAMES.into_iter().find(|known| cut(known)) {
            return Err(ApiError::Shape(known));
        }
    }
    // A list whose own text begins as the number behind a dot does.
    let last = first.text.rsplit('.').next().unwrap_or_default();
    let list = LISTS
        .into_iter()
        .find(|known| (first.kind == Kind::Name) && *known == last);
    match list.filter(|_| reads("", others, ".0")) {
        Some(known) => Err(ApiError::Shape(known)),
        None => Ok(()),
    }
}

/// Whether a text, going on in these pieces, begins with `known`.
fn reads(text: &str, pieces: &[Piece<'_>], known: &str) -> bool {
    let mut missing = known;
    for text in std::iter::once(text).chain(pieces.iter().map(|piece| piece.text)) {
        if text.starts_with(missing) {
            return true;
        }
        match missing.strip_prefix(text) {
            Some(rest) => missing = rest,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::canon::{Covers, canonical};
    use super::super::wire::parse_single;
    use super::*;
    use proptest::prelude::*;
    use std::borrow::Cow;

    type Pairs = Vec<(String, String)>;

    fn members(pairs: &[(String, String)]) -> Option<Members<'_>> {
        let node = |text: &'_ String| Node::Text(Cow::Owned(text.clone()));
        let all = pairs
            .iter()
            .map(|(name, value)| (Cow::Borrowed(name.as_str()), node(value)));
        Members::new(all.collect()).ok()
    }

    fn read(json: &str) -> Result<Members<'_>, ApiError> {
        nest_signed(Members::from_json(json.as_bytes(), 1 << 20).unwrap())
    }

    /// What would be sent, if anything: numbers, template, sender, values, and the data that reports return.
    fn done(pairs: &[(String, String)]) -> Option<String> {
        let params = nest_signed(members(pairs)?).ok()?;
        let is = |name: &str, value: &str| params.get(name).and_then(Node::as_text) == Some(value);
        // Without them the request is rejected, or is another action.
        if !is("Action", "SendUSMSMessage") || !is("PublicKey", "ckey") {
            return None;
        }
        let project = params.get("ProjectId").cloned();
        Some(format!("{:?} {project:?}", parse_single(&params, 100).ok()?))
    }

    #[test]
    fn a_parameter_split_at_another_boundary_is_named() {
        for (json, name) in [
            (
                r#"{"PhoneNumbers.0":"447700900188PhoneNumbers.1447700900189"}"#,
                "PhoneNumbers",
            ),
            (r#"{"PhoneNumbers.04":"47700900188"}"#, "PhoneNumbers"),
            (r#"{"PhoneNumbers.0447700":"900188"}"#, "PhoneNumbers"),
            (r#"{"TemplateParams.04":"711"}"#, "TemplateParams"),
            (r#"{"TemplateParams":".04711"}"#, "TemplateParams"),
            (r#"{"TemplateParams":["",".","04711"]}"#, "TemplateParams"),
            (r#"{"PhoneNumbers":[".0447700900188"]}"#, "PhoneNumbers"),
            (r#"{"UserIdm":"e"}"#, "UserId"),
            (r#"{"UserI":"dme"}"#, "UserId"),
            (r#"{"TemplateParams.0":"4711U","serId":"me"}"#, "UserId"),
            (r#"{"TemplateParams.0":"4711UserIdme"}"#, "UserId"),
            (r#"{"SigContentE":"xample"}"#, "SigContent"),
            (r#"{"TaskContent":[{"":".0","Target":[]}]}"#, "TaskContent"),
            (r#"{"TaskContent.0.Target.0.UserIdm":"e"}"#, "UserId"),
        ] {
            let json = json.replacen('{', r#"{"Action":"SendUSMSMessage","#, 1);
            assert_eq!(read(&json).unwrap_err(), ApiError::Shape(name), "{json}");
        }
        for json in [
            r#"{"Action":"SendUSMSMessage","TemplateParams":["0.5","A.0"],"Region":"cn-bj2","UserId":"me","ZUser":"x"}"#,
            r#"{"Action":"SendBatchUSMSMessage","TaskContent":"[{\"TemplateId\":\"UT1\",\"UserId\":\"x\"}]"}"#,
            r#"{"Action":"CreateUSMSTemplate","Template":"UserId {1}","TemplateName":"SenderId"}"#,
        ] {
            assert!(read(json).is_ok(), "{json}");
        }
    }

    /// The text cut at other places: each border between a name and its value, and between a value and the next name, is
    /// moved or left out.
    fn cut(signed: &[(String, String)], moved: &[(i8, bool)]) -> Option<Pairs> {
        let text: String = signed
            .iter()
            .flat_map(|(name, value)| [name.as_str(), value])
            .collect();
        let mut border = 0_i64;
        let lengths = signed.iter().flat_map(|(name, value)| [name.len(), value.len()]);
        let borders = lengths.map(|octets| {
            border += i64::try_from(octets).unwrap();
            border
        });
        // The last border is the end.
        let borders: Vec<i64> = borders.collect();
        let inner = borders.get(..borders.len() - 1)?;
        let mut at: Vec<usize> = vec![0];
        for (pair, by) in inner.chunks(2).zip(moved.chunks(2)) {
            if by.first()?.1 {
                continue;
            }
            for (border, (by, _)) in pair.iter().zip(by) {
                at.push(usize::try_from(border + i64::from(*by)).ok()?);
            }
        }
        at.push(text.len());
        let pieces: Option<Vec<String>> = at
            .windows(2)
            .map(|ends| text.get(*ends.first()?..*ends.last()?).map(str::to_owned))
            .collect();
        let pairs: Pairs = pieces?
            .chunks(2)
            .map(|pair| (pair[0].clone(), pair.get(1).cloned().unwrap_or_default()))
            .collect();
        (pairs.windows(2).all(|two| two[0].0 < two[1].0)).then_some(pairs)
    }

    fn a_move() -> impl Strategy<Value = (i8, bool)> {
        (
            prop_oneof![6 => Just(0_i8), 1 => -15_i8..=15],
            prop::bool::weighted(0.1),
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn no_other_cut_of_a_signed_text_sends_something_else(
            values in prop::collection::vec("[a-t0-9]{0,6}", 0..12),
            count in 1_u32..12,
            user in prop::option::of("[a-z0-9]{1,4}"),
            sender in prop::option::of("[A-Za-z0-9]{1,9}"),
            moved in prop::collection::vec(a_move(), 60),
        ) {
            let mut signed: Pairs = vec![
                ("Action".into(), "SendUSMSMessage".into()),
                ("ProjectId".into(), "org".into()),
                ("PublicKey".into(), "ckey".into()),
                ("TemplateId".into(), "UT1".into()),
            ];
            signed.extend((0..count).map(|n| (format!("PhoneNumbers.{n}"), format!("{}", 447_700_900_100 + u64::from(n)))));
            signed.extend(values.iter().enumerate().map(|(n, value)| (format!("TemplateParams.{n}"), value.clone())));
            signed.extend(user.map(|user| ("UserId".to_owned(), user)));
            signed.extend(sender.map(|sender| ("SenderId".to_owned(), sender)));
            signed.sort();
            let first = done(&signed);
            prop_assert!(first.is_some(), "{signed:?}");
            if let Some(other) = cut(&signed, &moved) {
                let (a, b) = (members(&signed).unwrap(), members(&other).unwrap());
                prop_assert_eq!(canonical(&a, Covers::Parameters), canonical(&b, Covers::Parameters));
                if let Some(other_done) = done(&other) {
                    prop_assert_eq!(first.unwrap(), other_done, "{:?}", other);
                }
            }
        }
    }
}
