//! One request id for two requests, on every wire that takes ids.

use crate::testkit::{ACCOUNT, CODE, TestNode, USER, until, ut_id};
use crate::wires::{action, basic, sendcloud, ucloud, ucloud_signature};
use axum::body::Body;
use http::{HeaderValue, Request, header};
use serde_json::{Value, json};
use store::TimelineKind;

/// A request, and how it is written.
struct SendRequest<'a> {
    id: &'a str,
    to: &'a str,
    /// The same in other octets.
    otherwise: bool,
}

const fn send_request<'a>(id: &'a str, to: &'a str, otherwise: bool) -> SendRequest<'a> {
    SendRequest { id, to, otherwise }
}

/// The wire, a request, and the response to a request with other content where the account has it refused.
type Wire = (
    &'static str,
    fn(&TestNode, &SendRequest<'_>) -> Request<Body>,
    &'static str,
);

fn with_id(mut request: Request<Body>, id: &str) -> Request<Body> {
    let value = HeaderValue::from_str(id).unwrap();
    request.headers_mut().insert("Idempotency-Key", value);
    request
}

/// JSON with blanks in it, or without.
fn body(request: Request<Body>, json: &Value, send_request: &SendRequest<'_>) -> Request<Body> {
    let text = if send_request.otherwise {
        serde_json::to_string_pretty(json).unwrap()
    } else {
        json.to_string()
    };
    request.map(|_| Body::from(text))
}

fn single(to: &str) -> Value {
    json!({"PhoneNumbers": [to], "TemplateId": ut_id(CODE), "SigContent": "", "TemplateParams": ["8341"]})
}

fn form<'a>(to: &'a str, send_request: &SendRequest<'_>) -> Vec<(&'static str, &'a str)> {
    let vars = if send_request.otherwise {
        r#" { "code" : "8341" } "#
    } else {
        r#"{"code":"8341"}"#
    };
    vec![
        ("templateId", "1001"),
        ("msgType", "2"),
        ("phone", to),
        ("vars", vars),
    ]
}

fn engagelab_a(send_request: &SendRequest<'_>) -> Value {
    json!({"from": "Sender", "to": [send_request.to], "body": {"template_id": CODE, "vars": {"code": "8341"}}})
}

const WIRES: &[Wire] = &[
    (
        "uspeedo rest",
        |_, send_request| {
            let json = json!({"TaskContent": [{"TemplateId": ut_id(CODE), "SenderId": "", "Target":
                [{"Phone": send_request.to, "TemplateParams": ["8341"]}]}]});
            let request = basic(USER, "POST", "/api/v1/usms/SendBatchUSMSMessage", &json);
            with_id(body(request, &json, send_request), send_request.id)
        },
        "Invalid parameter [Idempotency-Key]",
    ),
    (
        "uspeedo action",
        |node, send_request| {
            let mut params = single(send_request.to);
            let request = action(node, USER, "SendUSMSMessage", &params);
            params["Action"] = json!("SendUSMSMessage");
            with_id(body(request, &params, send_request), send_request.id)
        },
        "Invalid parameter [Idempotency-Key]",
    ),
    (
        "ucloud",
        |_, send_request| {
            let request = ucloud(USER, "SendUSMSMessage", &single(send_request.to));
            let request = if send_request.otherwise {
                in_the_query(send_request.to)
            } else {
                request
            };
            with_id(request, send_request.id)
        },
        "Invalid parameter [Idempotency-Key]",
    ),
    (
        "ucloud, body and query",
        |_, send_request| with_id(in_the_query(send_request.to), send_request.id),
        "Invalid parameter [Idempotency-Key]",
    ),
    (
        "sendcloud header",
        |_, send_request| {
            with_id(
                sendcloud(USER, "/smsapi/send", &form(send_request.to, send_request)),
                send_request.id,
            )
        },
        "\"statusCode\":400",
    ),
    (
        "engagelab a, field",
        |_, send_request| {
            let mut json = engagelab_a(send_request);
            json["request_id"] = json!(send_request.id);
            body(basic(USER, "POST", "/v1/send", &json), &json, send_request)
        },
        "used before",
    ),
    (
        "engagelab a, header",
        |_, send_request| {
            let json = engagelab_a(send_request);
            with_id(
                body(basic(USER, "POST", "/v1/send", &json), &json, send_request),
                send_request.id,
            )
        },
        "used before",
    ),
    (
        "engagelab c",
        |_, send_request| {
            let json = json!({"to": [send_request.to], "template": {"id": CODE.to_string(), "params": {"code": "8341"}}});
            with_id(
                body(basic(USER, "POST", "/v1/messages", &json), &json, send_request),
                send_request.id,
            )
        },
        "used before",
    ),
];

/// UCloud's parameters, the number in the query and all others in a form; the signature covers both.
fn in_the_query(to: &str) -> Request<Body> {
    let template = ut_id(CODE);
    let flat =
        json!({"PhoneNumbers.0": to, "TemplateId": template, "SigContent": "", "TemplateParams.0": "8341"});
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", "SendUSMSMessage")
        .append_pair("PublicKey", USER)
        .append_pair("TemplateId", &template)
        .append_pair("SigContent", "")
        .append_pair("TemplateParams.0", "8341")
        .append_pair("Signature", &ucloud_signature(USER, "SendUSMSMessage", &flat))
        .finish();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("PhoneNumbers.0", to)
        .finish();
    Request::post(format!("/?{query}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap()
}

fn other_content(node: &TestNode) -> u64 {
    let catalog = node.engine.catalog();
    let account = catalog.account(ACCOUNT).unwrap();
    let accounts = &node.engine.metrics().accounts;
    accounts.of(account).unwrap().other_content.get()
}

/// How often the id of a number's message was used again with other content, by its timeline.
async fn times_reused(node: &TestNode, to: &str) -> Option<u32> {
    let timeline = node.timeline_of(to).await;
    timeline.iter().find_map(|entry| match entry.kind {
        TimelineKind::RequestIdReused { times } => Some(times),
        _ => None,
    })
}

/// Goal: on every wire the first response stays, nothing is sent, the account's counter and the message's timeline show it,
/// and where the account has it so the request is refused with the wire's error. The same request in other octets is the
/// same.
#[tokio::test]
async fn on_every_wire_an_id_used_again_with_other_content_is_reported_and_refused_where_that_is_wanted() {
    let node = TestNode::start().await;
    let other = "+447700900199";
    for (n, (wire, request, _)) in WIRES.iter().enumerate() {
        let (id, to) = (format!("order-{n}"), format!("+4477009001{n:02}"));
        let first = node.ask(request(&node, &send_request(&id, &to, false))).await;
        node.received(&to).await;
        let before = other_content(&node);
        for otherwise in [false, true] {
            let same = node.ask(request(&node, &send_request(&id, &to, otherwise))).await;
            assert_eq!((same.status, &same.body), (first.status, &first.body), "{wire}");
        }
        assert_eq!(other_content(&node), before, "{wire}: the same in other octets");
        assert_eq!(times_reused(&node, &to).await, None, "{wire}");
        for _ in 0..2 {
            let again = node.ask(request(&node, &send_request(&id, other, false))).await;
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{wire}");
        }
        assert_eq!(other_content(&node), before + 2, "{wire}");
        assert_eq!(times_reused(&node, &to).await, Some(2), "{wire}");
    }
    node.refuse_other_content().await;
    for (n, (wire, request, words)) in WIRES.iter().enumerate() {
        let (id, to) = (format!("order-{n}"), format!("+4477009001{n:02}"));
        let same = node.ask(request(&node, &send_request(&id, &to, false))).await;
        assert!(!same.body.contains(words), "{wire}: {}", same.body);
        let before = other_content(&node);
        let again = node.ask(request(&node, &send_request(&id, other, false))).await;
        assert!(again.body.contains(words), "{wire}: {}", again.body);
        assert_eq!(other_content(&node), before + 1, "{wire}");
    }
    assert_eq!(node.inbox_count(other), 0);
}

/// Goal: SendCloud's own field is answered 400 whatever the content is, as documented; other content is counted and shown in
/// the timeline as elsewhere.
#[tokio::test]
async fn a_send_request_id_used_again_is_answered_400_and_other_content_is_counted() {
    let node = TestNode::start().await;
    let send = |to: &str| {
        let mut pairs = form(to, &send_request("", to, false));
        pairs.push(("sendRequestId", "order-1"));
        node.ask(sendcloud(USER, "/smsapi/send", &pairs))
    };
    let to = "+447700900123";
    assert_eq!(send(to).await.json()["statusCode"], 200);
    node.received(to).await;
    for (again, counted) in [(to, 0), ("+447700900199", 1)] {
        assert_eq!(send(again).await.json()["statusCode"], 400, "{again}");
        assert_eq!(other_content(&node), counted, "{again}");
    }
    assert_eq!(times_reused(&node, to).await, Some(1));
}

/// Goal: a task that is made again with other content is the first one; that is counted, and refused where it is wanted.
#[tokio::test]
async fn a_task_made_again_with_other_content_is_counted_and_refused_where_that_is_wanted() {
    let node = TestNode::start().await;
    let list = sendcloud(USER, "/smsapi/smsContactList/save", &[("contactListName", "one")]);
    assert_eq!(node.ask(list).await.json()["statusCode"], 200);
    let member = [
        ("contactListName", "one"),
        ("phone", "00447700900123"),
        ("vars", r#"{"code":"8341"}"#),
    ];
    let member = sendcloud(USER, "/smsapi/smsContactListMember/saveOrUpdate", &member);
    assert_eq!(node.ask(member).await.json()["statusCode"], 200);
    let make = |name: &str| {
        let pairs = [
            ("contactListName", "one"),
            ("taskName", name),
            ("templateId", "1001"),
        ];
        let request = sendcloud(USER, "/smsapi/sendContactListTask", &pairs);
        node.ask(with_id(request, "task-1"))
    };
    let first = make("spring").await;
    assert_eq!(first.json()["statusCode"], 200, "{}", first.body);
    assert_eq!(
        (make("spring").await.body, other_content(&node)),
        (first.body.clone(), 0)
    );
    assert_eq!(
        (make("autumn").await.body, other_content(&node)),
        (first.body.clone(), 1)
    );
    node.refuse_other_content().await;
    assert_eq!(make("spring").await.body, first.body);
    assert_eq!(make("autumn").await.json()["statusCode"], 400);
    assert_eq!(other_content(&node), 2);
    node.received("+447700900123").await;
    let once = until(async || match node.inbox_count("+447700900123") {
        1 => Ok(1),
        many => Err(many),
    });
    assert_eq!(once.await, 1);
}
