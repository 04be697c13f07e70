//! What a signature covers: all parameters, sorted, written one after the other (contract sections 1.2 and 1.3).
//!
//! One recursion serves uSpeedo and UCloud and every client of both, because it works on whatever structure
//! arrived: nested JSON, dotted names in a form, dotted names in JSON.

use super::tree::{Members, Node};
use secrecy::{ExposeSecret, SecretString};
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

/// The name of the parameter that carries a signature; never part of what is signed.
pub const SIGNATURE: &str = "Signature";
/// The name of the parameter that carries a public key. Signed by UCloud's clients; put into the body beside
/// what was signed by uSpeedo's PHP client.
pub const PUBLIC_KEY: &str = "PublicKey";

/// Octets of a SHA-1.
pub const SIGNATURE_BYTES: usize = 20;

/// Which parameters are left out before signing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covers {
    /// Signature and key travel in headers: both names are left out of the body.
    Body,
    /// Signature and key travel among the parameters: the key is covered.
    Parameters,
}

/// The signed text without the secret: members sorted by name, each name followed at once by its value;
/// elements of lists one after the other; no separators. Null and empty lists leave the name alone.
pub fn canonical(members: &Members<'_>, covers: Covers) -> String {
    let mut text = String::new();
    each_piece(members, covers, &mut |piece| text.push_str(piece));
    text
}

/// The signed text piece by piece, so that it is hashed without being put together.
fn each_piece(members: &Members<'_>, covers: Covers, take: &mut impl FnMut(&str)) {
    for (name, node) in members.iter() {
        let left_out = name == SIGNATURE || (covers == Covers::Body && name == PUBLIC_KEY);
        if !left_out {
            take(name);
            write(node, take);
        }
    }
}

fn write(node: &Node<'_>, take: &mut impl FnMut(&str)) {
    match node {
        Node::Null => {}
        Node::Bool(_) | Node::Number(_) | Node::Text(_) => take(node.as_text().unwrap_or_default()),
        Node::List(list) => list.iter().for_each(|node| write(node, take)),
        Node::Members(members) => {
            for (name, node) in members.iter() {
                take(name);
                write(node, take);
            }
        }
    }
}

/// The signature of parameters under a secret: SHA-1 of the canonical text and the secret.
pub fn signature(members: &Members<'_>, covers: Covers, secret: &SecretString) -> [u8; SIGNATURE_BYTES] {
    let mut digest = Sha1::new();
    each_piece(members, covers, &mut |piece| digest.update(piece));
    digest.update(secret.expose_secret());
    digest.finalize().into()
}

/// Whether a text may be a signature at all.
pub fn is_signature(written: &str) -> bool {
    written.len() == 40 && written.bytes().all(|octet| octet.is_ascii_hexdigit())
}

/// The signature if `written` (40 hexadecimal digits) is it; takes the same time whatever it is.
pub fn verify(
    members: &Members<'_>,
    covers: Covers,
    secret: &SecretString,
    written: &str,
) -> Option<[u8; SIGNATURE_BYTES]> {
    let right = signature(members, covers, secret);
    let given = engine::hex::octets(written)?;
    bool::from(given.as_slice().ct_eq(&right)).then_some(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn signs(body: &str, covers: Covers, secret: &str, written: &str) -> bool {
        verify(
            &Members::from_json(body.as_bytes(), 1 << 20).unwrap(),
            covers,
            &SecretString::from(secret),
            written,
        )
        .is_some()
    }

    /// The verified vectors of contract section 1.2.
    #[test]
    fn the_published_uspeedo_vectors_verify() {
        let vectors = [
            (
                r#"{"Action":"SendBatchUSMSMessage","AccountId":10001,"TaskContent":[{"TemplateId":"UTA2233108MUY3HZ",
                   "SenderId":"uSpeedo","Target":[
                   {"TemplateParams":["123456","653132","nickname1"],"Phone":"55212345780"},
                   {"TemplateParams":["123457","765421","nickname2"],"Phone":"55212345781"}]}]}"#,
                "MjI3YmYyMjItNmM4Mi00ZGM5LWEwNDQtN2EzZjM0Yzk2OWE1",
                "69cc15724cda05b63c99cebf8226202d4c69ef0f",
            ),
            (
                r#"{"Action":"CreateUSMSTemplate","Purpose":1,"Template":"your code is {1}","AccountId":60000011,
                   "TemplateName":"demo"}"#,
                "NTk1Mzk0MAItOWI0My10MGM4LTg0NmMMNDM0ZGM5Y2ZkMmNk",
                "11a0430ae6f1a4dc0c656e64dfc1886b0ac4b63a",
            ),
            (
                r#"{"Action":"SendBatchUSMSMessage","TaskContent":[{"TemplateId":"UTAXXXXXXXXXXX","SenderId":"uspeedo",
                   "Target":[{"Phone":"1111","TemplateParams":["1111"]}]}]}"#,
                "NTk1Mzk0MAItOWI0My10MGM4LTg0NmMMNDM0ZGM5Y2ZkMmNk",
                "7175ca50d6204dfd469e8aab447810c08f9da53f",
            ),
        ];
        for (body, secret, written) in vectors {
            assert!(signs(body, Covers::Body, secret, written), "{body}");
            assert!(
                signs(body, Covers::Body, secret, &written.to_uppercase()),
                "{body}"
            );
            assert!(!signs(body, Covers::Body, "another", written), "{body}");
        }
    }

    /// Contract section 1.3: the same parameters as JSON and as a form.
    #[test]
    fn the_published_ucloud_vector_verifies() {
        let secret = "46f09bb9fab4f12dfc160dae12273d5332b5debe";
        let written = "cba5cf5ec4d4233d206b1b54951e3787350a642f";
        let body = r#"{"Action":"DescribeUHostInstance","Limit":10,
            "PublicKey":"ucloudsomeone@example.com1296235120854146120","Region":"cn-bj2","Signature":"ignored"}"#;
        assert!(signs(body, Covers::Parameters, secret, written));
        let form = b"Region=cn-bj2&Limit=10&Action=DescribeUHostInstance\
            &PublicKey=ucloudsomeone%40example.com1296235120854146120&Signature=ignored";
        let form = Members::from_form(form, 64).unwrap();
        assert!(verify(&form, Covers::Parameters, &SecretString::from(secret), written).is_some());
    }

    #[test]
    fn null_and_empty_lists_leave_their_names() {
        let canonical = |body: &str| {
            canonical(
                &Members::from_json(body.as_bytes(), 1 << 20).unwrap(),
                Covers::Body,
            )
        };
        assert_eq!(
            canonical(r#"{"b":null,"a":[],"c":[null,"x",[]],"d":true}"#),
            "abcxdtrue"
        );
    }

    /// Contract section 1.2: the PHP client puts both into the body after signing.
    #[test]
    fn the_key_is_covered_only_when_it_travels_among_the_parameters() {
        let body = r#"{"Action":"a","PublicKey":"k","Signature":"s"}"#;
        let members = Members::from_json(body.as_bytes(), 1 << 20).unwrap();
        assert_eq!(canonical(&members, Covers::Body), "Actiona");
        assert_eq!(canonical(&members, Covers::Parameters), "ActionaPublicKeyk");
    }

    #[test]
    fn what_is_no_signature_does_not_verify() {
        for written in [
            "",
            "zz",
            &"g".repeat(40),
            &"0".repeat(39),
            &"0".repeat(41),
            "é".repeat(20).as_str(),
        ] {
            assert!(!signs("{}", Covers::Body, "secret", written), "{written:?}");
        }
    }

    /// The same text by a recursion over another representation.
    fn reference(value: &Value) -> String {
        match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Array(list) => list.iter().map(reference).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| name.clone() + &reference(value))
                .collect(),
            other => other.to_string(),
        }
    }

    /// What the SDKs do before they sign: lists and objects become dotted names.
    fn flatten(path: &str, value: &Value, into: &mut serde_json::Map<String, Value>) {
        let below = |name: &str| {
            if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}.{name}")
            }
        };
        match value {
            Value::Array(list) => {
                list.iter()
                    .enumerate()
                    .for_each(|(n, value)| flatten(&below(&n.to_string()), value, into));
            }
            Value::Object(members) => {
                members
                    .iter()
                    .for_each(|(name, value)| flatten(&below(name), value, into));
            }
            value => drop(into.insert(path.to_owned(), value.clone())),
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 12, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..12).prop_map(Value::from),
                prop::collection::btree_map("[A-Za-z]{1,6}", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn objects() -> impl Strategy<Value = Value> {
        prop::collection::btree_map("[A-Z][a-z]{1,6}", values(), 0..6)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn two_recursions_agree_on_any_body(body in objects()) {
            let text = body.to_string();
            let members = Members::from_json(text.as_bytes(), 1 << 20).unwrap();
            prop_assert_eq!(canonical(&members, Covers::Body), reference(&body));
        }

        #[test]
        fn dotted_names_nest_to_what_was_flattened(texts in prop::collection::vec("[a-z]{1,4}", 1..30)) {
            let targets: Vec<_> = texts.iter().map(|text| json!({"Phone": text, "TemplateParams": [text, "x"]})).collect();
            let nested = json!({"Action": "a", "TaskContent": [{"TemplateId": "t", "Target": targets}]});
            let mut flat = serde_json::Map::new();
            flatten("", &nested, &mut flat);
            let (flat, nested) = (Value::Object(flat).to_string(), nested.to_string());
            let flat = Members::from_json(flat.as_bytes(), 1 << 20).unwrap().nested().unwrap();
            prop_assert_eq!(flat, Members::from_json(nested.as_bytes(), 1 << 20).unwrap());
        }
    }
}
