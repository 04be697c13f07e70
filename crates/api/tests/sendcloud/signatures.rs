//! Text signatures: sign/get, list, save, updatesms (docs/dialects/sendcloud.md).

use super::*;
use engine::catalog::Review;
use testkit::ACCOUNT;

const FIELDS: [&str; 6] = [
    "createTime",
    "id",
    "signName",
    "signTypeDesc",
    "updateTime",
    "verifyStatus",
];

#[tokio::test]
async fn a_signature_is_saved_reviewed_listed_and_changed() {
    let node = TestNode::start().await;
    let saved = ask(
        &node,
        "/smsapi/sign/save",
        &[("signType", "1"), ("signName", "【闪达】")],
    )
    .await;
    assert_eq!((saved.code, &*saved.message), (200, "短信签名保存成功"));
    let signature = saved.info["smsSignVo"].clone();
    assert_eq!(names(&signature), FIELDS);
    assert_eq!(
        (
            &signature["signName"],
            &signature["signTypeDesc"],
            &signature["verifyStatus"]
        ),
        (&json!("闪达"), &json!("国际短信"), &json!("待审核"))
    );
    assert!(is_date(&signature["createTime"], true) && is_date(&signature["updateTime"], true));
    let number = signature["id"].as_i64().unwrap();
    let id = number.to_string();

    node.engine
        .review_signature(ACCOUNT, number, Review::Approved, "")
        .await
        .unwrap();
    let got = ask(&node, "/smsapi/sign/get", &[("id", &id)]).await;
    assert_eq!((got.code, &*got.message), (200, "获取短信签名成功"));
    assert_eq!(got.info["smsSignVo"]["verifyStatus"], "审核通过");
    let code = fields(&[
        ("smsUser", USER),
        ("phone", "13800138000"),
        ("code", "4826"),
        ("signId", &id),
    ]);
    assert_eq!(code_of(&node.ask(signed("/smsapi/sendCode", &code)).await), 200);
    assert!(node.received("+8613800138000").await.text.starts_with("【闪达】"));

    for path in ["/smsapi/sign/updatesms", "/smsapi/sign/update"] {
        let name = if path.ends_with("sms") {
            "闪达5"
        } else {
            "闪达6"
        };
        let changed = ask(&node, path, &[("id", &id), ("signType", "0"), ("signName", name)]).await;
        assert_eq!(
            (changed.code, &*changed.message),
            (200, "短信签名更新成功"),
            "{path}"
        );
        let signature = &changed.info["smsSignVo"];
        assert_eq!(names(signature), FIELDS);
        assert_eq!(
            (
                &signature["signName"],
                &signature["signTypeDesc"],
                &signature["verifyStatus"]
            ),
            (&json!(name), &json!("国内短信"), &json!("待审核")),
            "another text is reviewed again"
        );
        node.engine
            .review_signature(ACCOUNT, number, Review::Rejected, "no")
            .await
            .unwrap();
    }
    let listed = ask(&node, "/smsapi/sign/list", &[]).await;
    assert_eq!((listed.code, &*listed.message), (200, "获取短信签名成功"));
    assert_eq!(names(&listed.info), ["voList"]);
    let reported: Vec<_> = listed.info["voList"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["signName"].as_str().unwrap(),
                one["verifyStatus"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        reported,
        [
            ("Example", "审核通过"),
            ("Waiting", "待审核"),
            ("闪达6", "审核不通过")
        ]
    );
    let others = ask_as(&node, testkit::USER_OTHER, "/smsapi/sign/list", &[]).await;
    assert_eq!(others.info, json!({ "voList": [] }));
}

#[tokio::test]
async fn what_signatures_are_refused_for_is_reported() {
    let node = TestNode::start().await;
    let long = "x".repeat(33);
    let (waiting, approved) = (SIGNATURE_PENDING.0.to_string(), SIGNATURE.0.to_string());
    for (what, path, pairs, code, message) in [
        ("no id", "/smsapi/sign/get", vec![], 441, "id不能为空"),
        (
            "an unknown id",
            "/smsapi/sign/get",
            vec![("id", "9999")],
            431,
            "短信签名不存在",
        ),
        (
            "an id that is no number",
            "/smsapi/sign/get",
            vec![("id", "x")],
            431,
            "短信签名不存在",
        ),
        (
            "no type",
            "/smsapi/sign/save",
            vec![("signName", "New")],
            441,
            "signType不能为空",
        ),
        (
            "a type there is not",
            "/smsapi/sign/save",
            vec![("signType", "2"), ("signName", "New")],
            441,
            "signType格式错误",
        ),
        (
            "no name",
            "/smsapi/sign/save",
            vec![("signType", "0")],
            441,
            "signName不能为空",
        ),
        (
            "brackets alone",
            "/smsapi/sign/save",
            vec![("signType", "0"), ("signName", "【】")],
            441,
            "signName格式错误",
        ),
        (
            "a long name",
            "/smsapi/sign/save",
            vec![("signType", "0"), ("signName", &*long)],
            417,
            "signName长度不能超过32个字符",
        ),
        (
            "the same name",
            "/smsapi/sign/save",
            vec![("signType", "0"), ("signName", "Example")],
            413,
            "名称已存在",
        ),
        (
            "no id to change",
            "/smsapi/sign/updatesms",
            vec![("signType", "0"), ("signName", "New")],
            441,
            "id不能为空",
        ),
        (
            "under review",
            "/smsapi/sign/updatesms",
            vec![("id", &*waiting), ("signType", "0"), ("signName", "New")],
            432,
            "审核中, 不能修改或删除",
        ),
        (
            "another's name",
            "/smsapi/sign/update",
            vec![("id", &*approved), ("signType", "0"), ("signName", "Waiting")],
            413,
            "名称已存在",
        ),
    ] {
        let reported = ask(&node, path, &pairs).await;
        assert_eq!(reported.parts(), (code, message, &json!({})), "{what}");
    }
    let others = ask_as(
        &node,
        testkit::USER_OTHER,
        "/smsapi/sign/updatesms",
        &[("id", &approved), ("signType", "0"), ("signName", "Mine")],
    )
    .await;
    assert_eq!(others.code, 431, "another account's");
    let only_type = [("id", &*approved), ("signType", "1"), ("signName", "Example")];
    let reported = ask(&node, "/smsapi/sign/updatesms", &only_type).await;
    assert_eq!(
        reported.info["smsSignVo"]["verifyStatus"], "审核通过",
        "the text is the same: no other review"
    );
    assert_eq!(reported.info["smsSignVo"]["signTypeDesc"], "国际短信");
}
