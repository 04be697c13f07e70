//! JSON of unauthenticated requests: read in one pass within a bound on values, with the same result as `serde_json`.
#![no_main]

use api::uspeedo::json_reader::{JsonError, read};
use api::uspeedo::tree::Node;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const VALUES_MAX: usize = 1000;

/// The number of texts, numbers, lists and objects, which the bound counts.
fn values(node: &Node<'_>) -> usize {
    1 + match node {
        Node::List(list) => list.iter().map(values).sum(),
        Node::Members(members) => members.iter().map(|(_, node)| values(node)).sum(),
        _ => 0,
    }
}

/// Whether two representations hold the same value; `serde_json` writes exponents in its own way.
fn is_same(node: &Node<'_>, value: &Value) -> bool {
    match (node, value) {
        (Node::Null, Value::Null) => true,
        (Node::Bool(one), Value::Bool(other)) => one == other,
        (Node::Number(one), Value::Number(other)) => one.contains(['e', 'E']) || *one == other.to_string(),
        (Node::Text(one), Value::String(other)) => one == other,
        (Node::List(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Node::Members(one), Value::Object(other)) => {
            one.iter().count() == other.len()
                && one.iter().all(|(name, node)| other.get(name).is_some_and(|value| is_same(node, value)))
        }
        _ => false,
    }
}

fuzz_target!(|json: &[u8]| {
    // The reader refuses a repeated name, `serde_json` accepts it.
    let Ok(node) = read(json, VALUES_MAX) else { return };
    let count = values(&node);
    assert!(count <= VALUES_MAX);
    // The bound is exact: a bound lower by one is exceeded.
    assert_eq!(read(json, count).as_ref(), Ok(&node));
    assert_eq!(read(json, count - 1), Err(JsonError::TooMany));
    // `serde_json` reads its own private markers differently.
    if !json.windows(9).any(|window| window == b"private::") {
        let value = serde_json::from_slice::<Value>(json).ok();
        assert!(value.is_some_and(|value| is_same(&node, &value)));
    }
});
