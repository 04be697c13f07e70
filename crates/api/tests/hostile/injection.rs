//! Texts that mean something to whoever passes them on: a database, a file system, a head of HTTP.

use crate::testkit::{CODE, TestNode, USER, USER_OTHER};
use crate::wires::{basic, sendcloud, ucloud};
use axum::body::Body;
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What ends a text, begins a comment, or matches anything in one database or another.
const NAMES: [&str; 12] = [
    "a' OR '1'='1",
    "a') DROP TABLE label --",
    "a\" OR \"\"=\"",
    "a\\' UNION SELECT 1",
    "%",
    "_",
    "a%",
    "%%%",
    "a*",
    "[a-z]",
    "a/**/b",
    "?1 :a @b $c",
];

async fn ask(node: &TestNode, path: &str, pairs: &[(&str, &str)]) -> Value {
    node.ask(sendcloud(USER, path, pairs)).await.json()
}

fn labels(answer: &Value) -> Vec<&str> {
    let list = answer["info"]["voList"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"));
    list.iter()
        .filter_map(|label| label["labelName"].as_str())
        .collect()
}

#[tokio::test]
async fn names_that_mean_something_to_a_database_are_names() {
    let node = TestNode::start().await;
    let other = sendcloud(USER_OTHER, "/smsapi/label/save", &[("labelName", "another's")]);
    assert_eq!(node.ask(other).await.json()["statusCode"], 200);
    ask(&node, "/smsapi/label/save", &[("labelName", "abc")]).await;
    for name in NAMES {
        let made = ask(&node, "/smsapi/label/save", &[("labelName", name)]).await;
        assert_eq!(made["statusCode"], 200, "{name}: {made}");
        assert_eq!(made["info"]["vo"]["labelName"], *name, "kept to the letter");
        // A search finds what contains it, to the letter, and nothing of others.
        let found = ask(
            &node,
            "/smsapi/label/list",
            &[("query", name), ("labelName", name)],
        )
        .await;
        let found = labels(&found);
        assert!(found.contains(&name), "{name}: {found:?}");
        assert!(
            !found.contains(&"abc") && !found.contains(&"another's"),
            "{name}: {found:?}"
        );
        let made = ask(&node, "/smsapi/smsContactList/save", &[("contactListName", name)]).await;
        assert_eq!(made["statusCode"], 200, "{name}: {made}");
        let member = [("contactListName", name), ("phone", "13800138001")];
        let made = ask(&node, "/smsapi/smsContactListMember/saveOrUpdate", &member).await;
        assert_eq!(made["statusCode"], 200, "{name}: {made}");
    }
    // Each list has its one member: none was taken for another.
    for name in NAMES {
        let members = ask(
            &node,
            "/smsapi/smsContactListMember/list",
            &[("contactListName", name)],
        )
        .await;
        assert_eq!(
            members["info"]["total"].to_string().trim_matches('"'),
            "1",
            "{name}: {members}"
        );
    }
    for name in NAMES {
        let removed = ask(
            &node,
            "/smsapi/smsContactList/delete",
            &[("contactListName", name)],
        )
        .await;
        assert_eq!(removed["statusCode"], 200, "{name}: {removed}");
    }
    assert_eq!(
        labels(&ask(&node, "/smsapi/label/list", &[]).await).len(),
        NAMES.len() + 1
    );
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_files_name_leads_nowhere() {
    let node = TestNode::start().await;
    let around = node.folder().parent().unwrap().to_owned();
    let inside = files(node.folder());
    for name in [
        "../../postrider-traversal.png",
        "/tmp/postrider-traversal.png",
        "..\\..\\postrider-traversal.png",
        "%2e%2e%2fpostrider-traversal.png",
        "a\0/../postrider-traversal.png",
        "file:///tmp/postrider-traversal.png",
    ] {
        let file = json!({"FileName": name, "FileContent": "aGVsbG8=", "Source": 0, "FileType": "image/png"});
        let answer = node.ask(ucloud(USER, "UploadUSMSFile", &file)).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}");
        // Its id is the node's own, and says nothing of the name.
        if let Some(id) = answer.json()["FileId"].as_str() {
            assert!(
                !id.contains("traversal") && !id.contains(['/', '\\', '.']),
                "{id}"
            );
        }
    }
    assert_eq!(files(node.folder()), inside, "files are rows of the store");
    for place in [around.as_path(), node.folder(), Path::new("/tmp")] {
        assert!(
            !place.join("postrider-traversal.png").exists(),
            "{}",
            place.display()
        );
    }
}

/// `gzip` of nothing but a long row of zeros, cut: whoever unpacks bodies would have to say something of it.
const PACKED: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x01\x0d\x00\x00\x00\xc2\xa0\xf7Om\x0e7\xa0";

#[tokio::test]
async fn packed_bodies_are_never_unpacked() {
    let node = TestNode::start().await;
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip"] {
        for (path, kind) in [
            ("/api/v1/usms/SendBatchUSMSMessage", "application/json"),
            ("/api", "application/json"),
            ("/", "application/json"),
            ("/", "application/x-www-form-urlencoded"),
            ("/smsapi/send", "application/x-www-form-urlencoded"),
            ("/v1/send", "application/json"),
            ("/v1/messages", "application/json"),
        ] {
            let packed = basic(USER, "POST", path, &Value::Null);
            let (mut head, _) = packed.into_parts();
            head.headers
                .insert(header::CONTENT_ENCODING, encoding.parse().unwrap());
            head.headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            let packed = Request::from_parts(head.clone(), Body::from(PACKED));
            let plain = Request::from_parts(head, Body::from("no JSON and no form that means anything"));
            let (packed, plain) = (node.ask(packed).await, node.ask(plain).await);
            assert!(packed.status.as_u16() < 500, "{path}: {}", packed.body);
            let code = |body: &Value| {
                [
                    body["RetCode"].clone(),
                    body["statusCode"].clone(),
                    body["code"].clone(),
                ]
            };
            let (packed, plain) = (code(&packed.json()), code(&plain.json()));
            assert_eq!(packed, plain, "{encoding} {path}: octets like any others");
            assert!(packed.iter().all(|code| *code != 0 && *code != 200), "{packed:?}");
        }
    }
}

#[tokio::test]
async fn what_a_request_says_never_gets_into_the_head_of_its_answer() {
    let node = TestNode::start().await;
    let evil = "x\r\nSet-Cookie: a=b\r\n\r\n<script>";
    let send = json!({"to": ["+12673800456"], "body": {"template_id": CODE, "vars": {"code": evil}},
        "request_id": evil, "custom_args": {"a": evil}});
    let labels = json!({"label_name": evil});
    let uri = "/v1/labels/x%0d%0aSet-Cookie:%20a=b";
    for request in [
        basic(USER, "POST", "/v1/send", &send),
        basic(USER, "POST", "/v1/labels", &labels),
        basic(USER, "GET", uri, &Value::Null),
        basic(USER, "GET", "/x%0d%0aSet-Cookie:%20a=b", &Value::Null),
        basic(
            USER,
            "PUT",
            "/api/v1/usms/USMSTemplate/x%0d%0aSet-Cookie:%20a=b",
            &json!({}),
        ),
        sendcloud(USER, "/smsapi/label/save", &[("labelName", evil)]),
        sendcloud(
            USER,
            "/smsapi/send",
            &[("sendRequestId", evil), ("templateId", evil), ("tag", evil)],
        ),
        ucloud(USER, evil, &json!({})),
        ucloud(
            USER,
            "SendUSMSMessage",
            &json!({"SigContent": evil, "TemplateId": evil, "PhoneNumbers": [evil]}),
        ),
    ] {
        let shown = format!("{} {}", request.method(), request.uri());
        let answer = node.ask(request).await;
        assert!(answer.status.as_u16() < 500, "{shown}: {}", answer.body);
        assert!(!answer.headers.contains_key("set-cookie"), "{shown}");
        for (name, value) in &answer.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            assert!(
                !value.contains("Set-Cookie") && !value.contains("script"),
                "{shown} {name}: {value}"
            );
        }
        if answer.body.is_empty() {
            continue;
        }
        // Whatever repeats it is JSON, and said to be.
        let kind = answer.headers[header::CONTENT_TYPE].to_str().unwrap();
        assert!(kind.starts_with("application/json"), "{shown}: {kind}");
        answer.json();
    }
}
