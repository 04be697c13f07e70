//! uSpeedo and UCloud over the router: what each request is answered, and what becomes of what it sends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests stop at the first surprise, as tests do"
)]

#[path = "../testkit/mod.rs"]
mod testkit;

mod action;
mod clients;
mod counts;
mod damaged;
mod documents;
mod quotas;
mod reports;
mod rest;
mod signatures;
mod templates;
mod ucloud;
mod unsigned;

use axum::body::Body;
use engine::AccountId;
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use testkit::signing::{basic, hex, sign};
use testkit::{Answer, KEY, TestNode, USER};

/// A number that is delivered at once.
const AT_ONCE: &str = "+10000000010";
/// A number refused at submit.
const REFUSED: &str = "+10000000001";
/// A number that is taken and not delivered, with a code of the carrier's own.
const UNDELIVERED: &str = "+10000000002";
/// A number that no receipt ever comes for.
const SILENT: &str = "+10000000003";

/// `POST` of a JSON text with HTTP Basic.
fn post(path: &str, user: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path)
        .header(header::AUTHORIZATION, basic(user, KEY))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.into())
        .unwrap()
}

/// `SendBatchUSMSMessage` with one item.
fn batch(template: i64, targets: Value) -> Value {
    json!({"TaskContent": [{"TemplateId": testkit::ut_id(template), "SenderId": "uSpeedo", "Target": targets}]})
}

/// A batch for one number with one value.
fn code_for(phone: &str) -> Value {
    batch(
        testkit::CODE,
        json!([{"Phone": phone, "TemplateParams": ["8341"]}]),
    )
}

/// The code of an answer, which is always JSON with HTTP 200 and a request's UUID.
fn code_of(answer: &Answer) -> u64 {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    let uuid = answer
        .headers
        .get("x-speedo-request-uuid")
        .or(answer.headers.get("x-ucloud-request-uuid"));
    assert_eq!(uuid.expect("a request's uuid").len(), 36);
    let body = answer.json();
    assert!(body["Message"].is_string(), "{}", answer.body);
    body["RetCode"]
        .as_u64()
        .unwrap_or_else(|| panic!("no code: {}", answer.body))
}

fn code_and_message(answer: &Answer) -> (u64, String) {
    (
        code_of(answer),
        answer.json()["Message"].as_str().unwrap().to_owned(),
    )
}

fn assert_uuid(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no text"));
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12], "{text}");
    assert_eq!(&text[14..15], "4", "{text}");
}

fn names(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Sends `body` by REST until its first receipt says `result`; that receipt.
async fn receipt_of(node: &TestNode, phone: &str, result: &str) -> Value {
    let sent = node.ask(rest::send(&code_for(phone))).await.json();
    let session = sent["SessionNo"][0]
        .as_str()
        .unwrap_or_else(|| panic!("{sent}"))
        .to_owned();
    let answer = node
        .ask_until(
            || rest::query(USER, &format!("id={session}")),
            |answer| answer.json()["Data"][0]["ReceiptSet"][0]["ReceiptResult"] == result,
        )
        .await;
    answer.json()["Data"][0]["ReceiptSet"][0].clone()
}

/// One of the three wires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Rest,
    Action,
    Ucloud,
}

impl Wire {
    const ALL: [Self; 3] = [Self::Rest, Self::Action, Self::Ucloud];

    /// A request as the wire's own clients make it: REST by path and method, Action signed in its headers, UCloud as a
    /// signed form with dotted names.
    fn request(self, node: &TestNode, user: &str, action: &str, params: &Value) -> Request<Body> {
        match self {
            Self::Rest => rest_request(user, action, params),
            Self::Action => {
                let body = with(params, "Action", json!(action));
                action::signed_by(user, &sign(&body, KEY), node.engine.now() / 1000, &body)
            }
            Self::Ucloud => {
                let mut flat = serde_json::Map::new();
                flatten("", &with(params, "Action", json!(action)), &mut flat);
                ucloud::form(&ucloud::signed_by(user, KEY, &Value::Object(flat)))
            }
        }
    }

    async fn ask(self, node: &TestNode, action: &str, params: &Value) -> Answer {
        node.ask(self.request(node, USER, action, params)).await
    }
}

/// The template actions of REST v1; its query has what the others name `TemplateId` and `TemplateIds`.
fn rest_request(user: &str, action: &str, params: &Value) -> Request<Body> {
    const PATH: &str = "/api/v1/usms/USMSTemplate";
    let encoded = |id: &Value| -> String {
        form_urlencoded::byte_serialize(id.as_str().unwrap_or_default().as_bytes()).collect()
    };
    let ids = |name: &str| -> String {
        let list = match &params[name] {
            Value::Array(list) => list.clone(),
            Value::Null => Vec::new(),
            one => vec![one.clone()],
        };
        list.iter().map(|id| format!("id={}&", encoded(id))).collect()
    };
    let id = encoded(&params["TemplateId"]);
    let (method, uri) = match action {
        "CreateUSMSTemplate" => ("POST", PATH.to_owned()),
        "QueryUSMSTemplate" => ("GET", format!("{PATH}?{}", ids("TemplateId"))),
        "UpdateUSMSTemplate" => ("PUT", format!("{PATH}/{id}")),
        "DeleteUSMSTemplate" => ("DELETE", format!("{PATH}?{}", ids("TemplateIds"))),
        other => panic!("REST v1 has no {other}"),
    };
    Request::builder()
        .method(method)
        .uri(uri)
        .header(header::AUTHORIZATION, basic(user, KEY))
        .body(Body::from(params.to_string()))
        .unwrap()
}

/// What UCloud's clients do before they sign: lists and objects become dotted names, everything a text.
fn flatten(path: &str, value: &Value, into: &mut serde_json::Map<String, Value>) {
    let below = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match value {
        Value::Null => {}
        Value::Array(list) => {
            for (n, value) in list.iter().enumerate() {
                flatten(&below(&n.to_string()), value, into);
            }
        }
        Value::Object(members) => members
            .iter()
            .for_each(|(name, value)| flatten(&below(name), value, into)),
        Value::String(text) => drop(into.insert(path.to_owned(), json!(text))),
        value => drop(into.insert(path.to_owned(), json!(value.to_string()))),
    }
}

/// The same parameters with another value.
fn with(params: &Value, name: &str, value: Value) -> Value {
    let mut params = params.clone();
    params[name] = value;
    params
}

/// Has an account approve its templates and signatures by itself.
async fn approve_at_once(node: &TestNode, account: AccountId) {
    let account = store::Account {
        auto_approve: true,
        ..(**node.engine.catalog().account(account).unwrap()).clone()
    };
    let change = store::CatalogChange::PutAccount(account);
    node.change(vec![change]).await;
}
