//! What is signed is what counts: a signed request that somebody changes is refused, or does what it did before.

use super::*;
use crate::testkit::tampered::{Pairs, form, tampered};

const MEANT: &str = "13800138131";
const ADDED: &str = "13800138132";

fn signed_pairs(fields: &Fields<'_>) -> Pairs {
    let mut fields = fields.clone();
    fields.insert("signature", md5(&fields));
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn parts(pairs: &[(String, String)]) -> String {
    let part = |(name, value): &(String, String)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    pairs.iter().map(part).collect::<String>() + "--b--\r\n"
}

/// What may be put in the place of a value or beside it.
const VALUES: [(&str, &str); 12] = [
    ("phone", ADDED),
    ("phone", "13800138131,13800138132"),
    ("phones", ADDED),
    ("vars", r#"{"%code%":"6666"}"#),
    ("vars", ""),
    ("tos", r#"[{"phone":"13800138132","vars":{"%code%":"6666"}}]"#),
    ("templateId", "1003"),
    ("msgType", "2"),
    ("smsKey", "x"),
    ("sendRequestId", "another"),
    ("tag", r#"{"k":"v"}"#),
    ("smsUser", USER_BROKE),
];

/// A signed request with one thing changed, added, taken away, said again or moved between query and body, as a form, in
/// parts, or by GET.
fn changed(random: &mut StdRng, fields: &Fields<'_>) -> (String, Request<Body>) {
    let (query, body) = tampered(random, signed_pairs(fields), &VALUES);
    let uri = format!("/smsapi/send?{}", form(&query));
    let what = format!("{uri} {body:?}");
    let request = match random.random_range(0..3) {
        0 => Request::get(format!("{uri}&{}", form(&body)))
            .body(Body::empty())
            .unwrap(),
        1 => Request::post(uri)
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b")
            .body(Body::from(parts(&body)))
            .unwrap(),
        _ => post(&uri, form(&body)),
    };
    (what, request)
}

/// Goal: of a signed request nothing can be changed, added, taken away or moved so that it does anything else.
#[tokio::test]
async fn a_changed_request_is_refused_or_does_what_was_signed() {
    let node = TestNode::start().await;
    let fields = replaced(&send_fields(), "phone", MEANT);
    let mut random = StdRng::seed_from_u64(12);
    let mut done = 0;
    for _ in 0..600 {
        let (what, request) = changed(&mut random, &fields);
        let answer = node.ask(request).await;
        if code_of(&answer) == 200 {
            done += 1;
            let info = &answer.json()["info"];
            assert_eq!(info["successCount"], 1, "{what}: {}", answer.body);
        }
    }
    assert!(done > 50, "moved parameters are still signed: {done}");
    node.received("+8613800138131").await;
    assert_eq!(node.inbox_count("+8613800138132"), 0);
    assert!(
        node.delivered("+8613800138131")
            .iter()
            .all(|entry| entry.text == "Your code is 8341")
    );
}

/// Goal: what stands twice must say the same, so that the value that was signed is the one that is used.
#[tokio::test]
async fn a_parameter_that_stands_twice_says_one_thing() {
    let node = TestNode::start().await;
    let signed = form(&signed_pairs(&replaced(&send_fields(), "phone", MEANT)));
    for (uri, body, expected) in [
        ("/smsapi/send".to_owned(), format!("{signed}&phone={MEANT}"), 200),
        (format!("/smsapi/send?phone={MEANT}"), signed.clone(), 200),
        ("/smsapi/send".to_owned(), format!("{signed}&phone={ADDED}"), 421),
        ("/smsapi/send".to_owned(), format!("phone={ADDED}&{signed}"), 421),
        (format!("/smsapi/send?phone={ADDED}"), signed.clone(), 421),
        (
            "/smsapi/send".to_owned(),
            format!("{signed}&smsUser={USER_BROKE}"),
            421,
        ),
    ] {
        assert_eq!(
            code_of(&node.ask(post(&uri, body.clone())).await),
            expected,
            "{uri} {body}"
        );
    }
    assert_eq!(node.inbox_count("+8613800138132"), 0);
}
