//! One customer with another's ids. Whatever has an id answers him as it answers an id that nobody has, so that he does not
//! even learn that it is there, and nothing of the other's changes.

use crate::cases::CASES;
use crate::ids::Ids;
use crate::testkit::{TestNode, USER, USER_OTHER};
use crate::wires::{basic, sendcloud, ucloud};
use serde_json::{Value, json};

/// What is the owner's, as he sees it himself.
async fn owned(node: &TestNode, ids: &Ids) -> Vec<String> {
    let mut seen = Vec::new();
    for request in [
        basic(
            USER,
            "GET",
            &format!("/v1/templates/{}", ids.template),
            &Value::Null,
        ),
        basic(USER, "GET", &format!("/v1/signs/{}", ids.signature), &Value::Null),
        basic(USER, "GET", &format!("/v1/labels/{}", ids.label), &Value::Null),
        sendcloud(USER, "/smsapi/smsContactList/list", &[]),
        sendcloud(
            USER,
            "/smsapi/smsContactListMember/list",
            &[("contactListName", &ids.list)],
        ),
        ucloud(
            USER,
            "QueryUSMSSignatureQualification",
            &json!({"QualificationId": ids.documents}),
        ),
    ] {
        let answer = node.ask(request).await;
        assert!(answer.status.is_success(), "{}", answer.body);
        seen.push(ids.normal(&answer.body));
    }
    seen
}

#[tokio::test]
async fn no_operation_of_any_wire_reaches_what_another_account_has() {
    let node = TestNode::start().await;
    let ids = Ids::made(&node).await;
    let unassigned = ids.of_nobody();
    let before = owned(&node, &ids).await;
    for (name, request) in CASES {
        let of_other = node.ask(request(&node, USER_OTHER, &ids)).await;
        let of_nobody = node.ask(request(&node, USER_OTHER, &unassigned)).await;
        assert_eq!(
            (of_other.status, ids.normal(&of_other.body)),
            (of_nobody.status, unassigned.normal(&of_nobody.body)),
            "{name}"
        );
        assert_eq!(
            owned(&node, &ids).await,
            before,
            "{name} changed what is another's"
        );
    }
    assert_eq!(node.inbox_count("+447700900666"), 0);
}

/// The control: each of these operations answers the owner of the id otherwise than an id that nobody has.
#[tokio::test]
async fn each_operation_reaches_what_its_own_account_has() {
    let mut same = Vec::new();
    for (name, request) in CASES {
        let node = TestNode::start().await;
        let ids = Ids::made(&node).await;
        let unassigned = ids.of_nobody();
        let of_nobody = node.ask(request(&node, USER, &unassigned)).await;
        let own = node.ask(request(&node, USER, &ids)).await;
        if (own.status, ids.normal(&own.body)) == (of_nobody.status, unassigned.normal(&of_nobody.body)) {
            same.push((name, own.body));
        }
    }
    assert!(same.is_empty(), "{same:#?}");
}
