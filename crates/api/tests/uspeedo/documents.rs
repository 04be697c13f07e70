//! UCloud's qualifications and files.

use super::{Wire, approve_at_once, code_and_message, code_of, names, with};
use crate::testkit::{ACCOUNT, Answer, TestNode, USER_OTHER};
use api::Limits;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::clock::SystemClock;
use engine::{Record, RecordKind};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task::JoinSet;

async fn ask(node: &TestNode, action: &str, params: &Value) -> Answer {
    Wire::Ucloud.ask(node, action, params).await
}

async fn uploaded(node: &TestNode) -> String {
    let file =
        json!({"FileName": "licence.png", "FileContent": "aGVsbG8=", "Source": 0, "FileType": "image/png"});
    let answer = ask(node, "UploadUSMSFile", &file).await;
    assert_eq!(code_and_message(&answer), (0, String::new()));
    assert_eq!(names(&answer.json()), ["Action", "FileId", "Message", "RetCode"]);
    answer.json()["FileId"].as_str().unwrap().to_owned()
}

fn new_documents(name: &str) -> Value {
    json!({"ProjectId": "org-demo", "Name": name, "Attr": 0, "Status": 1, "HandlerPhone": "13800138000"})
}

async fn added(node: &TestNode, params: &Value) -> String {
    let answer = ask(node, "AddUSMSSignatureQualification", params).await;
    assert_eq!(code_and_message(&answer), (0, String::new()), "{params}");
    answer.json()["QualificationId"].as_str().unwrap().to_owned()
}

async fn shown(node: &TestNode, id: &str) -> Value {
    let answer = ask(
        node,
        "QueryUSMSSignatureQualification",
        &json!({"QualificationId": id}),
    )
    .await;
    assert_eq!(code_of(&answer), 0, "{}", answer.body);
    answer.json()["Data"].clone()
}

#[tokio::test]
async fn documents_are_kept_and_shown_whole() {
    let node = TestNode::start().await;
    let file = uploaded(&node).await;
    let texts = [
        "CompanyName",
        "CompanyCreditCode",
        "HandlerName",
        "HandlerIDNumber",
        "ManagerName",
        "ManagerPhone",
        "ManagerIDNumber",
    ];
    let files = [
        ("CompanyCertificateFileId", "CompanyCertificateFile"),
        ("CompanyWorkScenePhotosFileId", "CompanyWorkScenePhotos"),
        ("HandlerIDCardFrontImageFileId", "HandlerIDCardFrontImage"),
        ("HandlerIDCardBackImageFileId", "HandlerIDCardBackImage"),
        ("HandlerHandHeldImageFileId", "HandlerHandHeldImage"),
        ("PowerOfAttorneyFileId", "PowerOfAttorney"),
    ];
    let mut params = new_documents("main");
    texts
        .iter()
        .for_each(|name| params[*name] = json!(format!("my {name}")));
    files.iter().for_each(|(name, _)| params[*name] = json!(file));
    let id = added(&node, &params).await;
    let data = shown(&node, &id).await;
    for name in texts {
        assert_eq!(data[name], format!("my {name}"));
    }
    for (_, name) in files {
        assert_eq!(data[name], json!(file));
    }
    for (name, value) in [
        ("QualificationId", json!(id)),
        ("Name", json!("main")),
        ("Attr", json!(0)),
        ("Status", json!(1)),
        ("HandlerPhone", json!("13800138000")),
        ("ErrCode", json!(0)),
        ("ErrDesc", json!("")),
        ("ReviewEndTime", json!(0)),
    ] {
        assert_eq!(data[name], value, "{name}");
    }
    for name in ["CreateTime", "ModifyTime", "ReviewStartTime"] {
        assert!(data[name].as_i64().unwrap() > 1_700_000_000, "{name}");
    }
    assert_eq!(
        data.as_object().unwrap().len(),
        24,
        "the documented fields and no other"
    );
}

#[tokio::test]
async fn documents_go_from_draft_to_review_and_with_auto_approval_further() {
    let node = TestNode::start().await;
    let draft = with(&new_documents("a"), "Status", json!(0));
    let id = added(&node, &draft).await;
    assert_eq!(shown(&node, &id).await["Status"], 0);
    let edit = json!({"QualificationId": id, "Status": 1, "CompanyName": "Acme"});
    let answer = ask(&node, "UpdateUSMSSignatureQualification", &edit).await;
    assert_eq!(
        names(&answer.json()),
        ["Action", "Message", "QualificationId", "RetCode"]
    );
    let data = shown(&node, &id).await;
    assert_eq!((&data["Status"], &data["Name"]), (&json!(1), &json!("a")));
    assert_eq!(
        (&data["CompanyName"], &data["HandlerPhone"]),
        (&json!("Acme"), &json!("13800138000"))
    );
    let again = ask(&node, "UpdateUSMSSignatureQualification", &edit).await;
    assert_eq!(
        code_and_message(&again),
        (18_003, "The qualification is under review".into())
    );
    let gone = ask(
        &node,
        "DeleteUSMSSignatureQualification",
        &json!({"QualificationIds": [id]}),
    )
    .await;
    assert_eq!(
        code_and_message(&gone),
        (18_003, "The qualification is under review".into())
    );
    approve_at_once(&node, ACCOUNT).await;
    let id = added(&node, &new_documents("b")).await;
    let data = shown(&node, &id).await;
    assert_eq!(data["Status"], 2);
    assert!(data["ReviewEndTime"].as_i64().unwrap() > 1_700_000_000);
    let signature = json!({"SigContent": "Acme", "SigType": 0, "SigPurpose": 0, "CertificateType": 0, "Description": "d",
        "QualificationId": id});
    assert_eq!(code_of(&ask(&node, "CreateUSMSSignature", &signature).await), 0);
}

#[tokio::test]
async fn fields_have_their_bounds() {
    let node = TestNode::start().await;
    added(&node, &new_documents("taken")).await;
    for (name, value, code) in [
        ("Name", json!(""), 18_001),
        ("Name", json!("x".repeat(100)), 0),
        ("Name", json!("x".repeat(101)), 18_003),
        ("Name", json!("taken"), 18_003),
        ("Attr", json!(null), 18_001),
        ("Attr", json!(2), 18_003),
        ("Attr", json!("own"), 18_002),
        ("Status", json!(null), 18_001),
        ("Status", json!(2), 18_003),
        ("HandlerPhone", json!(null), 18_001),
        ("HandlerPhone", json!("x".repeat(129)), 18_003),
        ("CompanyName", json!("x".repeat(101)), 18_003),
        ("CompanyCertificateFileId", json!("FILE00000099"), 18_003),
        ("CompanyCertificateFileId", json!("elsewhere"), 18_003),
        ("CompanyCertificateFileId", json!({"a": "b"}), 0),
    ] {
        let params = with(&new_documents(&format!("n {name} {code}")), name, value.clone());
        let answer = ask(&node, "AddUSMSSignatureQualification", &params).await;
        assert_eq!(
            code_of(&answer),
            if value.is_object() { 18_002 } else { code },
            "{name} {value} {}",
            answer.body
        );
    }
    for (action, params, code) in [
        ("UpdateUSMSSignatureQualification", json!({"Status": 0}), 18_001),
        (
            "UpdateUSMSSignatureQualification",
            json!({"QualificationId": "QUAL00000001"}),
            18_001,
        ),
        (
            "UpdateUSMSSignatureQualification",
            json!({"QualificationId": "QUAL99999999", "Status": 0}),
            18_003,
        ),
        ("QueryUSMSSignatureQualification", json!({}), 18_001),
        (
            "QueryUSMSSignatureQualification",
            json!({"QualificationId": "x"}),
            18_003,
        ),
        ("DeleteUSMSSignatureQualification", json!({}), 18_001),
        (
            "DeleteUSMSSignatureQualification",
            json!({"QualificationIds": ["x"]}),
            18_003,
        ),
        (
            "DeleteUSMSSignatureQualification",
            json!({"QualificationIds": ["QUAL99999999"]}),
            18_003,
        ),
    ] {
        assert_eq!(
            code_of(&ask(&node, action, &params).await),
            code,
            "{action} {params}"
        );
    }
}

#[tokio::test]
async fn documents_are_listed_by_page_order_and_filter() {
    let node = TestNode::start().await;
    let mut ids = Vec::new();
    for no in 0..5 {
        let params = with(&new_documents(&format!("n{no}")), "Status", json!(no % 2));
        ids.push(added(&node, &with(&params, "Attr", json!(u8::from(no == 4)))).await);
    }
    let list = async |extra: Value| {
        let mut params = json!({"Page": 0, "NumPerPage": 10, "OrderBy": "CreateTime", "OrderType": "asc"});
        extra
            .as_object()
            .unwrap()
            .iter()
            .for_each(|(name, value)| params[name] = value.clone());
        ask(&node, "GetUSMSSignatureQualification", &params).await
    };
    for (extra, total, expected) in [
        (json!({}), 5, vec![0, 1, 2, 3, 4]),
        (
            json!({"OrderType": "desc", "OrderBy": "QualificationId"}),
            5,
            vec![4, 3, 2, 1, 0],
        ),
        (json!({"Page": 1, "NumPerPage": 2}), 5, vec![2, 3]),
        (json!({"Page": 9}), 5, vec![]),
        (json!({"Status": 0}), 3, vec![0, 2, 4]),
        (
            json!({"QualificationAttr": 1, "InAccountIds": ["org-demo"]}),
            1,
            vec![4],
        ),
        (json!({"Status": 2}), 0, vec![]),
    ] {
        let listed = list(extra.clone()).await.json();
        assert_eq!(listed["Total"], total, "{extra}");
        let rows = listed["Data"].as_array().unwrap();
        let shown: Vec<_> = rows
            .iter()
            .map(|row| row["QualificationId"].as_str().unwrap())
            .collect();
        assert_eq!(
            shown,
            expected
                .iter()
                .map(|&no: &usize| ids[no].as_str())
                .collect::<Vec<_>>(),
            "{extra}"
        );
    }
    let listed = list(json!({})).await.json();
    assert_eq!(
        names(&listed["Data"][0]),
        [
            "AccountId",
            "Attr",
            "CompanyName",
            "CreateTime",
            "ErrCode",
            "ErrDesc",
            "HandlerName",
            "ManagerName",
            "ModifyTime",
            "Name",
            "QualificationId",
            "ReviewEndTime",
            "ReviewStartTime",
            "Status"
        ]
    );
    assert_eq!(listed["Data"][0]["AccountId"], 1);
    for (extra, code) in [
        (json!({"Page": null}), 18_001),
        (json!({"Page": -1}), 18_003),
        (json!({"NumPerPage": 0}), 18_003),
        (json!({"NumPerPage": 1001}), 18_003),
        (json!({"OrderBy": "Name"}), 18_003),
        (json!({"OrderType": "up"}), 18_003),
        (json!({"Status": 5}), 18_003),
        (json!({"QualificationAttr": "x"}), 18_002),
    ] {
        assert_eq!(code_of(&list(extra.clone()).await), code, "{extra}");
    }
    let theirs = json!({"Page": 0, "NumPerPage": 10, "OrderBy": "CreateTime", "OrderType": "asc"});
    let theirs = Wire::Ucloud.request(&node, USER_OTHER, "GetUSMSSignatureQualification", &theirs);
    assert_eq!(node.ask(theirs).await.json()["Total"], 0);
}

#[tokio::test]
async fn documents_are_removed_all_or_none_with_the_files_nobody_else_names() {
    let node = TestNode::start().await;
    approve_at_once(&node, ACCOUNT).await;
    let (shared, own) = (uploaded(&node).await, uploaded(&node).await);
    let first = with(&new_documents("first"), "CompanyCertificateFileId", json!(shared));
    let first = with(&first, "HandlerHandHeldImageFileId", json!(own));
    let first = added(&node, &first).await;
    let second = added(
        &node,
        &with(&new_documents("second"), "PowerOfAttorneyFileId", json!(shared)),
    )
    .await;
    let delete = async |ids: Value| {
        code_of(
            &ask(
                &node,
                "DeleteUSMSSignatureQualification",
                &json!({"QualificationIds": ids}),
            )
            .await,
        )
    };
    assert_eq!(delete(json!([first, "QUAL99999999"])).await, 18_003);
    assert_eq!(shown(&node, &first).await["Name"], "first");
    assert_eq!(delete(json!([first])).await, 0);
    let exists = async |id: &str| {
        let number = api::uspeedo::files::read_id(id).unwrap();
        node.engine
            .record(ACCOUNT, RecordKind::File, number)
            .await
            .unwrap()
            .is_some()
    };
    assert!(exists(&shared).await && !exists(&own).await);
    assert_eq!(delete(json!([second])).await, 0);
    assert!(!exists(&shared).await);
}

#[tokio::test]
async fn a_file_has_its_documented_bounds() {
    let limits = Limits {
        body_bytes_max: 16 << 20,
        ..crate::testkit::limits()
    };
    let node = TestNode::with(limits, Arc::new(SystemClock)).await;
    let file = json!({"FileName": "a.png", "FileContent": "aGVsbG8=", "Source": 0});
    for (name, value, code) in [
        ("FileName", json!(""), 18_001),
        ("FileName", json!("x".repeat(256)), 18_003),
        ("FileContent", json!(""), 18_001),
        ("FileContent", json!("?"), 18_002),
        ("FileContent", json!(STANDARD.encode(vec![0; 4 << 20])), 0),
        (
            "FileContent",
            json!(STANDARD.encode(vec![0; (4 << 20) + 1])),
            18_003,
        ),
        ("Source", json!(null), 18_001),
        ("Source", json!(1), 18_003),
        ("Source", json!("console"), 18_002),
        ("FileType", json!("x".repeat(256)), 18_003),
    ] {
        let answer = ask(&node, "UploadUSMSFile", &with(&file, name, value)).await;
        assert_eq!(code_of(&answer), code, "{name} {}", answer.body);
    }
    let id = uploaded(&node).await;
    let number = api::uspeedo::files::read_id(&id).unwrap();
    let kept = node
        .engine
        .record(ACCOUNT, RecordKind::File, number)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.data, b"hello");
    assert_eq!(
        &*kept.body,
        r#"{"FileName":"licence.png","FileType":"image/png"}"#
    );
}

#[tokio::test]
async fn an_account_has_a_thousand_files_at_most() {
    let node = TestNode::start().await;
    // All at once, so that they share the store's commits.
    let mut adding = JoinSet::new();
    for _ in 0..1000 {
        let engine = Arc::clone(&node.engine);
        let record = Record {
            id: 0,
            account: ACCOUNT,
            kind: RecordKind::File,
            name: Box::default(),
            body: "{}".into(),
            data: Vec::new(),
            created_at: 0,
            updated_at: 0,
        };
        adding.spawn(async move { engine.add_record(record).await.unwrap().unwrap() });
    }
    adding.join_all().await;
    let file = json!({"FileName": "a.png", "FileContent": "aGVsbG8=", "Source": 0});
    let answer = ask(&node, "UploadUSMSFile", &file).await;
    assert_eq!(
        code_and_message(&answer),
        (18_003, "Too many of the kind: file".into())
    );
}
