//! UCloud's signatures.

use super::{AT_ONCE, USER, Wire, approve_at_once, code_and_message, code_of, names, with};
use crate::testkit::{ACCOUNT, CODE, KEY, SIGNATURE, SIGNATURE_PENDING, SIGNED, TestNode, USER_OTHER, ut_id};
use engine::RecordFilter;
use engine::RecordKind;
use engine::catalog::Review;
use serde_json::{Value, json};

/// A document in Base64.
const DOCUMENT: &str = "aGVsbG8=";

fn new_signature() -> Value {
    json!({"ProjectId": "org-demo", "SigContent": "Acme", "SigType": 0, "SigPurpose": 0, "CertificateType": 0,
        "Description": "for company use"})
}

async fn ask(node: &TestNode, action: &str, params: &Value) -> crate::testkit::Answer {
    Wire::Ucloud.ask(node, action, params).await
}

async fn made(node: &TestNode, params: &Value) -> String {
    let answer = ask(node, "CreateUSMSSignature", params).await;
    assert_eq!(code_of(&answer), 0, "{}", answer.body);
    answer.json()["SigId"].as_str().unwrap().to_owned()
}

async fn shown(node: &TestNode, id: &str) -> Value {
    let answer = ask(node, "QueryUSMSSignature", &json!({"SigId": id})).await;
    assert_eq!(code_of(&answer), 0, "{}", answer.body);
    answer.json()["Data"].clone()
}

/// The signature's number.
fn number(node: &TestNode, text: &str) -> i64 {
    node.engine.catalog().signature_by_text(ACCOUNT, text).unwrap().id
}

async fn documents(node: &TestNode) -> usize {
    let all = RecordFilter {
        limit: 1000,
        ..RecordFilter::default()
    };
    node.engine
        .records(ACCOUNT, RecordKind::File, all)
        .await
        .unwrap()
        .items
        .len()
}

#[tokio::test]
async fn a_signature_is_answered_as_documented_and_sent_with() {
    let node = TestNode::start().await;
    approve_at_once(&node, ACCOUNT).await;
    let answer = ask(&node, "CreateUSMSSignature", &new_signature()).await;
    assert_eq!(code_and_message(&answer), (0, String::new()));
    let created = answer.json();
    assert_eq!(
        names(&created),
        ["Action", "Message", "RetCode", "SigContent", "SigId"]
    );
    let id = created["SigId"].as_str().unwrap();
    assert!(id.starts_with("SIG20") && id.len() >= 17, "{id}");
    let found = ask(&node, "QueryUSMSSignature", &json!({"SigContent": "【Acme】"}))
        .await
        .json();
    assert_eq!(
        found["Data"],
        json!({"SigId": id, "SigContent": "Acme", "Status": 2, "ErrDesc": ""}),
        "one object"
    );
    let send = json!({"PhoneNumbers": ["13812345678"], "TemplateId": ut_id(CODE), "SigContent": "Acme",
        "TemplateParams": ["8341"]});
    assert_eq!(code_of(&ask(&node, "SendUSMSMessage", &send).await), 0);
    assert_eq!(
        node.received("+8613812345678").await.text,
        "【Acme】Your code is 8341"
    );
}

#[tokio::test]
async fn fields_have_their_documented_bounds() {
    let node = TestNode::start().await;
    let good = new_signature();
    for (no, (name, value, code)) in [
        ("SigContent", json!("字"), 18_003),
        ("SigContent", json!("字".repeat(13)), 18_003),
        ("SigContent", json!("【Ac】me"), 18_003),
        ("SigContent", json!("Acme {1}"), 18_003),
        ("SigContent", json!(""), 18_001),
        ("SigContent", json!(SIGNATURE.1), 18_003),
        ("SigType", json!(5), 0),
        ("SigType", json!(6), 18_003),
        ("SigType", json!("company"), 18_002),
        ("SigType", json!(""), 18_001),
        ("SigPurpose", json!(2), 18_003),
        ("SigPurpose", json!(1), 18_001),
        ("SigPurpose", json!(null), 18_001),
        ("CertificateType", json!(5), 0),
        ("CertificateType", json!(6), 18_003),
        ("CertificateType", json!(null), 18_001),
        ("Description", json!(""), 18_001),
        ("Description", json!("x".repeat(2000)), 0),
        ("Description", json!("x".repeat(2001)), 18_003),
        ("SceneDesc", json!("x".repeat(2001)), 18_003),
        ("International", json!("sometimes"), 18_002),
        ("File", json!(DOCUMENT), 0),
        ("File", json!("?"), 18_002),
        ("ProxyFile", json!("image/png;base64,"), 18_003),
        ("QualificationId", json!("QUAL00000001"), 18_003),
    ]
    .into_iter()
    .enumerate()
    {
        let params = with(
            &with(&good, "SigContent", json!(format!("Acme {no}"))),
            name,
            value.clone(),
        );
        let answer = ask(&node, "CreateUSMSSignature", &params).await;
        assert_eq!(code_of(&answer), code, "{name} {value} {}", answer.body);
    }
    assert_eq!(
        documents(&node).await,
        1,
        "the documents of refused ones are not kept"
    );
    for (text, international, code) in [
        ("字".repeat(2), false, 0),
        ("字".repeat(12), false, 0),
        ("Thirteen long".to_owned(), false, 18_003),
        ("Thirteen long".to_owned(), true, 0),
        ("x".repeat(33), true, 18_003),
    ] {
        let params = with(
            &with(&good, "SigContent", json!(text)),
            "International",
            json!(international),
        );
        assert_eq!(
            code_of(&ask(&node, "CreateUSMSSignature", &params).await),
            code,
            "{text}"
        );
    }
    for (params, code) in [
        (json!({}), 18_001),
        (json!({"SigId": "SIG0"}), 18_016),
        (json!({"SigId": "SIG"}), 18_016),
        (json!({"SigId": "SIG20261122字000001"}), 18_016),
        (json!({"SigContent": "Nobody's"}), 18_016),
    ] {
        assert_eq!(
            code_of(&ask(&node, "QueryUSMSSignature", &params).await),
            code,
            "{params}"
        );
    }
}

#[tokio::test]
async fn somebody_elses_name_needs_a_power_of_attorney() {
    let node = TestNode::start().await;
    let theirs = with(&new_signature(), "SigPurpose", json!(1));
    let answer = ask(&node, "CreateUSMSSignature", &theirs).await;
    assert_eq!(
        code_and_message(&answer),
        (18_001, "Missing parameter [ProxyFile]".into())
    );
    let id = made(
        &node,
        &with(
            &with(&theirs, "ProxyFile", json!(DOCUMENT)),
            "File",
            json!(DOCUMENT),
        ),
    )
    .await;
    assert_eq!(documents(&node).await, 2);
    let edit = json!({"SigId": id, "SigContent": "Acme", "SigType": 0, "SigPurpose": 1});
    node.engine
        .review_signature(ACCOUNT, number(&node, "Acme"), Review::Rejected, "blurred")
        .await
        .unwrap();
    let new_document = with(&edit, "File", json!("image/jpeg;base64,5YaF5a65"));
    let answer = ask(&node, "UpdateUSMSSignature", &new_document).await;
    assert_eq!(
        code_of(&answer),
        0,
        "the power of attorney is there already: {}",
        answer.body
    );
    assert_eq!(documents(&node).await, 2, "the new document replaces the old one");
    node.engine
        .review_signature(ACCOUNT, number(&node, "Acme"), Review::Rejected, "")
        .await
        .unwrap();
    let gone = ask(&node, "DeleteUSMSSignature", &json!({"SigIds": [id]})).await;
    assert_eq!(code_of(&gone), 0, "{}", gone.body);
    assert_eq!(
        documents(&node).await,
        0,
        "documents are removed with their signature"
    );
}

#[tokio::test]
async fn a_signature_is_changed_only_once_it_was_rejected() {
    let node = TestNode::start().await;
    let id = made(&node, &new_signature()).await;
    let number = number(&node, "Acme");
    let edit = json!({"SigId": id, "SigContent": "Acme Ltd", "SigType": 4, "SigPurpose": 0});
    let update = async || code_and_message(&ask(&node, "UpdateUSMSSignature", &edit).await);
    assert_eq!(update().await, (18_003, "The signature is under review".into()));
    node.engine
        .review_signature(ACCOUNT, number, Review::Approved, "")
        .await
        .unwrap();
    let only = "Only a signature that was rejected can be changed";
    assert_eq!(update().await, (18_003, only.into()));
    let other = made(&node, &with(&new_signature(), "SigContent", json!("Other"))).await;
    node.engine
        .review_signature(ACCOUNT, number + 1, Review::Rejected, "too general")
        .await
        .unwrap();
    let rejected = shown(&node, &other).await;
    assert_eq!(
        (&rejected["Status"], &rejected["ErrDesc"]),
        (&json!(3), &json!("too general"))
    );
    let taken = with(&with(&edit, "SigId", json!(other)), "SigContent", json!("Acme"));
    let answer = ask(&node, "UpdateUSMSSignature", &taken).await;
    assert_eq!(
        code_and_message(&answer),
        (18_003, "Another signature has that name".into())
    );
    let fine = with(&edit, "SigId", json!(other));
    assert_eq!(
        code_and_message(&ask(&node, "UpdateUSMSSignature", &fine).await),
        (0, String::new())
    );
    assert_eq!(
        shown(&node, &other).await,
        json!({"SigId": other, "SigContent": "Acme Ltd", "Status": 0, "ErrDesc": ""})
    );
    // Another owner's name now, with documents that are stored elsewhere.
    node.engine
        .review_signature(ACCOUNT, number + 1, Review::Rejected, "whose name is it")
        .await
        .unwrap();
    let proxied = with(&fine, "SigPurpose", json!(1));
    let answer = ask(&node, "UpdateUSMSSignature", &proxied).await;
    assert_eq!(code_of(&answer), 18_001, "no power of attorney: {}", answer.body);
    let proxied = with(
        &with(&proxied, "ProxyDoc", json!("https://docs.example/proxy.pdf")),
        "Document",
        json!("https://docs.example/licence.pdf"),
    );
    assert_eq!(code_of(&ask(&node, "UpdateUSMSSignature", &proxied).await), 0);
    let catalog = node.engine.catalog();
    let kept = catalog
        .signature(ACCOUNT, number + 1)
        .unwrap()
        .details
        .to_string();
    for document in [
        "https://docs.example/proxy.pdf",
        "https://docs.example/licence.pdf",
    ] {
        assert!(kept.contains(document), "{kept}");
    }
    for (name, value, code) in [
        ("SigId", json!("SIG0"), 18_016),
        ("SigId", json!(""), 18_001),
        ("SigContent", json!("x".repeat(13)), 18_003),
        ("SigType", json!(null), 18_001),
        ("SigPurpose", json!(1), 18_001),
    ] {
        let answer = ask(&node, "UpdateUSMSSignature", &with(&edit, name, value)).await;
        assert_eq!(code_of(&answer), code, "{name} {}", answer.body);
    }
}

#[tokio::test]
async fn signatures_are_removed_all_or_none() {
    let node = TestNode::start().await;
    approve_at_once(&node, ACCOUNT).await;
    let id = made(&node, &new_signature()).await;
    let pending = node
        .engine
        .catalog()
        .signature_by_text(ACCOUNT, SIGNATURE_PENDING.1)
        .cloned()
        .unwrap();
    let used = node
        .engine
        .catalog()
        .signature_by_text(ACCOUNT, SIGNATURE.1)
        .cloned()
        .unwrap();
    let (pending, used) = (
        api::uspeedo::signatures::id(&pending),
        api::uspeedo::signatures::id(&used),
    );
    assert_eq!(used, "SIG19700101000007");
    for (ids, expected) in [
        (
            json!([id, "SIG0"]),
            (18_016, "signature not found or not approved"),
        ),
        (json!([id, pending]), (18_003, "The signature is under review")),
        (json!([id, used]), (18_003, "A template uses the signature")),
        (json!([]), (18_001, "Missing parameter [SigIds]")),
        (
            json!(vec![id.clone(); 101]),
            (18_003, "Invalid parameter [SigIds]"),
        ),
    ] {
        let answer = ask(&node, "DeleteUSMSSignature", &json!({"SigIds": ids})).await;
        assert_eq!(
            code_and_message(&answer),
            (expected.0, expected.1.into()),
            "{ids}"
        );
    }
    let theirs = Wire::Ucloud.request(&node, USER_OTHER, "DeleteUSMSSignature", &json!({"SigIds": [id]}));
    assert_eq!(code_of(&node.ask(theirs).await), 18_016);
    assert_eq!(shown(&node, &id).await["SigContent"], "Acme");
    let answer = ask(&node, "DeleteUSMSSignature", &json!({"SigIds": [id, id]})).await;
    assert_eq!(code_and_message(&answer), (0, String::new()));
    assert_eq!(
        code_of(&ask(&node, "QueryUSMSSignature", &json!({"SigId": id})).await),
        18_016
    );
}

/// `Accept-Language` picks UCloud's own Chinese words.
#[tokio::test]
async fn answers_are_in_chinese_where_the_request_prefers_it() {
    let node = TestNode::start().await;
    let chinese = async |action: &str, params: &Value| {
        let mut request = Wire::Ucloud.request(&node, USER, action, params);
        request
            .headers_mut()
            .insert("accept-language", "zh-CN,zh;q=0.9".parse().unwrap());
        node.ask(request).await
    };
    let id = made(&node, &new_signature()).await;
    for (action, params, expected) in [
        (
            "QueryUSMSSignature",
            json!({}),
            (18_001, "请求参数有缺失 [SigId]"),
        ),
        (
            "DeleteUSMSSignature",
            json!({"SigIds": [id]}),
            (18_003, "签名正在审核中"),
        ),
        (
            "QueryUSMSTemplate",
            json!({"TemplateId": "UTA0"}),
            (18_017, "短信模板不存在"),
        ),
        ("NoSuchAction", json!({}), (161, "Action 不存在")),
    ] {
        let answer = chinese(action, &params).await;
        assert_eq!(code_and_message(&answer), (expected.0, expected.1.into()));
    }
    let send = json!({"PhoneNumbers": [AT_ONCE, "12"], "TemplateId": ut_id(SIGNED), "TemplateParams": ["1"]});
    let sent = chinese("SendUSMSMessage", &send).await;
    assert_eq!(code_and_message(&sent), (0, "发送成功".into()));
    assert_eq!(
        sent.json()["FailContent"][0]["Target"][0]["FailureDetails"],
        "手机号码无效"
    );
    assert!(!sent.body.contains(KEY));
    let session = sent.json()["SessionNo"].clone();
    let ask = || {
        let mut request = Wire::Ucloud.request(
            &node,
            USER,
            "GetUSMSSendReceipt",
            &json!({"SessionNoSet": [session]}),
        );
        request
            .headers_mut()
            .insert("accept-language", "zh".parse().unwrap());
        request
    };
    let delivered = |answer: &crate::testkit::Answer| {
        answer.json()["Data"][0]["ReceiptSet"][0]["ReceiptResult"] == "发送成功"
    };
    let receipt = node.ask_until(ask, delivered).await.json()["Data"][0]["ReceiptSet"][0].clone();
    assert_eq!(receipt["ReceiptDesc"], "用户接收成功");
}
