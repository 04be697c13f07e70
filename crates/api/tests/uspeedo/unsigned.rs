//! What is signed is what counts: a signed request that somebody changes is refused, or does what it did before.

use super::ucloud::{encoded, form, get, signed};
use super::{action, code_of, sign};
use crate::testkit::tampered::{self, Pairs, tampered};
use crate::testkit::{CODE, KEY, NOTICE, PLAIN, SIGNATURE, TestNode, USER, ut_id};
use axum::body::Body;
use http::{Method, Request, header};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// The number that the signed request names.
const MEANT: &str = "+447700900131";
/// One that only who changed it names.
const ADDED: &str = "+447700900132";

fn ucloud_send() -> Value {
    json!({
        "Action": "SendUSMSMessage",
        "PhoneNumbers.0": MEANT,
        "TemplateId": ut_id(CODE),
        "SigContent": SIGNATURE.1,
        "TemplateParams.0": "8341",
    })
}

/// What may be put in the place of a value or beside it.
const VALUES: [(&str, &str); 12] = [
    ("PhoneNumbers.0", ADDED),
    ("PhoneNumbers.1", ADDED),
    ("PhoneNumbers", ADDED),
    ("TemplateParams.0", "6666"),
    ("TemplateParams.1", "6666"),
    ("TemplateId", "UTA261122001003"),
    ("SenderId", "EVIL"),
    ("SigContent", ""),
    ("Action", "SendBatchUSMSMessage"),
    ("ProjectId", "org-other"),
    ("UserId", "evil"),
    ("TaskContent", "[]"),
];

fn pairs(params: &Value) -> Pairs {
    let members = params.as_object().unwrap().iter();
    members
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect()
}

/// A signed request with one thing changed, added, taken away, said again or moved between query and body.
fn changed(random: &mut StdRng) -> (String, Request<Body>) {
    let (query, body) = tampered(random, pairs(&signed(&ucloud_send())), &VALUES);
    let (query, body) = (tampered::form(&query), tampered::form(&body));
    let as_get = random.random_bool(0.2);
    let request = if as_get {
        let joined = format!("/?{query}&{body}");
        Request::get(joined).body(Body::empty())
    } else {
        Request::post(format!("/?{query}")).body(Body::from(body.clone()))
    };
    (
        format!("get: {as_get}, query: {query}, body: {body}"),
        request.unwrap(),
    )
}

/// Goal: of a signed UCloud request nothing can be changed, added, taken away or moved so that it does anything else.
#[tokio::test]
async fn a_changed_request_is_refused_or_does_what_was_signed() {
    let node = TestNode::start().await;
    let mut random = StdRng::seed_from_u64(11);
    let mut done = 0;
    for _ in 0..600 {
        let (what, request) = changed(&mut random);
        let answer = node.ask(request).await;
        if code_of(&answer) == 0 {
            done += 1;
            assert_eq!(answer.json()["Action"], "SendUSMSMessageResponse", "{what}");
            assert_eq!(answer.json().get("UserId"), None, "{what}");
        }
    }
    assert!(done > 50, "moved parameters are still signed: {done}");
    node.received(MEANT).await;
    assert_eq!(node.inbox_count(ADDED), 0);
    for entry in node.delivered(MEANT) {
        assert_eq!(entry.text, "[Example]Your code is 8341");
        assert_ne!(&*entry.from, "EVIL");
    }
}

/// Goal: ids to remove, and the action itself, are those that were signed.
#[tokio::test]
async fn nothing_else_is_removed_than_what_was_signed() {
    let node = TestNode::start().await;
    let remove = signed(&json!({"Action": "DeleteUSMSTemplate", "TemplateIds.0": ut_id(PLAIN)}));
    let mut more = form(&remove);
    *more.uri_mut() = format!("/?TemplateIds.1={}", ut_id(NOTICE)).parse().unwrap();
    assert_eq!(code_of(&node.ask(more).await), 0);
    let query = |id: i64| {
        get(&signed(
            &json!({"Action": "QueryUSMSTemplate", "TemplateId": ut_id(id)}),
        ))
    };
    let kept = node.ask(query(NOTICE)).await;
    assert_eq!(code_of(&kept), 0, "{}", kept.body);
    assert_ne!(code_of(&node.ask(query(PLAIN)).await), 0);

    // A query for templates is no removal, whatever a query says.
    let shown = signed(&json!({"TemplateIds.0": ut_id(NOTICE)}));
    for uri in [
        "/?Action=DeleteUSMSTemplate".to_owned(),
        format!("/?Action=DeleteUSMSTemplate&{}", encoded(&shown)),
    ] {
        let mut request = form(&shown);
        *request.uri_mut() = uri.parse().unwrap();
        assert_eq!(code_of(&node.ask(request).await), 160, "{uri}");
    }
}

/// Goal: on uSpeedo's Action wire the signature covers the body, so nothing of the query has any effect.
#[tokio::test]
async fn the_query_of_a_request_signed_in_its_headers_has_no_effect() {
    let node = TestNode::start().await;
    let now_s = node.engine.now() / 1000;
    let body = json!({"TemplateIds": [ut_id(NOTICE)]});
    let mut unnamed = action::signed_by(USER, &sign(&body, KEY), now_s, &body);
    *unnamed.uri_mut() = "/api?Action=DeleteUSMSTemplate".parse().unwrap();
    let answer = node.ask(unnamed).await;
    assert_eq!(code_of(&answer), 215_397, "{}", answer.body);

    let body = json!({"Action": "SendUSMSMessage", "PhoneNumbers": [MEANT], "TemplateId": ut_id(CODE),
        "TemplateParams": ["8341"]});
    let mut sent = action::signed_by(USER, &sign(&body, KEY), now_s, &body);
    *sent.uri_mut() =
        "/api?Action=DeleteUSMSTemplate&PhoneNumbers.1=%2B447700900132&SenderId=EVIL&UserId=evil"
            .parse()
            .unwrap();
    let answer = node.ask(sent).await;
    assert_eq!(code_of(&answer), 0, "{}", answer.body);
    assert_eq!(answer.json()["Action"], "SendUSMSMessageResponse");
    let received = node.received(MEANT).await;
    assert_ne!(&*received.from, "EVIL");
    assert_eq!(node.inbox_count(ADDED), 0);
}

/// Goal: the two names that the signature of a body leaves out do nothing there.
#[tokio::test]
async fn what_the_signature_leaves_out_has_no_effect() {
    let node = TestNode::start().await;
    let now_s = node.engine.now() / 1000;
    let body = json!({"Action": "SendUSMSMessage", "PhoneNumbers": [MEANT], "TemplateId": ut_id(CODE),
        "TemplateParams": ["8341"]});
    let signature = sign(&body, KEY);
    let mut more = body.clone();
    more["PublicKey"] = json!("other_user");
    more["Signature"] = json!("x");
    assert_eq!(
        code_of(&node.ask(action::signed_by(USER, &signature, now_s, &more)).await),
        0
    );
    for name in ["PublicKey.0", "Signature.0", "publickey", "SIGNATURE"] {
        let mut more = body.clone();
        more[name] = json!("x");
        let answer = node.ask(action::signed_by(USER, &signature, now_s, &more)).await;
        assert_eq!(code_of(&answer), 215_398, "{name}");
    }
}

/// Goal: with HTTP Basic nothing is signed, so each wire reads what its documents name, and nothing else.
#[tokio::test]
async fn a_rest_request_is_its_body() {
    let node = TestNode::start().await;
    let body = super::code_for(MEANT);
    let request = Request::builder()
        .method(Method::POST)
        .uri("/api/v1/usms/SendBatchUSMSMessage?SenderId=EVIL&TaskContent=[]&id=x")
        .header(header::AUTHORIZATION, super::basic(USER, KEY))
        .body(Body::from(body.to_string()))
        .unwrap();
    assert_eq!(code_of(&node.ask(request).await), 0);
    assert_ne!(&*node.received(MEANT).await.from, "EVIL");
}
