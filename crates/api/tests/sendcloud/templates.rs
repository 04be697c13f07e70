//! Templates: get, list, addsms, submitsms, updatesms, deletesms (docs/dialects/sendcloud.md).

use super::*;
use engine::catalog::Review;
use testkit::ACCOUNT;

const ADD: [(&str, &str); 5] = [
    ("templateName", "t1"),
    ("templateText", "Your parcel %no% is here"),
    ("signName", "Example"),
    ("signPositionStr", "0"),
    ("smsTypeStr", "1"),
];

fn with<'a>(pairs: &[(&'a str, &'a str)], name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut pairs: Vec<_> = pairs
        .iter()
        .copied()
        .filter(|(known, _)| *known != name)
        .collect();
    pairs.push((name, value));
    pairs
}

async fn add(node: &TestNode, pairs: &[(&str, &str)]) -> String {
    let reported = ask(node, "/smsapi/addsms", pairs).await;
    assert_eq!(
        (reported.code, &*reported.message),
        (200, "插入成功"),
        "{}",
        reported.info
    );
    assert_eq!(names(&reported.info), ["templateId"]);
    reported.info["templateId"].as_i64().unwrap().to_string()
}

async fn verified(node: &TestNode, id: &str) -> String {
    let reported = ask(node, "/smsapi/get", &[("templateIdStr", id)]).await;
    assert_eq!(reported.code, 200);
    reported.info["isVerify"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_template_is_made_submitted_approved_used_changed_and_removed() {
    let node = TestNode::start().await;
    let id = add(&node, &ADD).await;
    let got = ask(&node, "/smsapi/get", &[("templateIdStr", &id)]).await;
    assert_eq!((got.code, &*got.message), (200, "请求成功"));
    assert_eq!(
        names(&got.info),
        [
            "createTime",
            "isVerify",
            "msgType",
            "smsType",
            "templateContent",
            "templateId",
            "templateName",
            "updateTime"
        ]
    );
    for (name, expected) in [
        ("templateId", json!(id.parse::<i64>().unwrap())),
        ("templateName", json!("t1")),
        ("msgType", json!("国内短信")),
        ("smsType", json!("行业通知")),
        ("templateContent", json!("【Example】Your parcel %no% is here")),
        ("isVerify", json!("未提交审核")),
    ] {
        assert_eq!(got.info[name], expected, "{name}");
    }
    assert!(is_date(&got.info["createTime"], false) && is_date(&got.info["updateTime"], false));

    let send = replaced(
        &replaced(&send_fields(), "templateId", &id),
        "vars",
        r#"{"no":"7"}"#,
    );
    let early = node.ask(signed("/smsapi/send", &send)).await;
    assert_eq!(code_of(&early), 432, "not submitted yet");

    let submitted = ask(&node, "/smsapi/submitsms", &[("templateIdStr", &id)]).await;
    assert_eq!(submitted.parts(), (200, "提交成功", &json!({})));
    assert_eq!(verified(&node, &id).await, "待审核");
    let early = node.ask(signed("/smsapi/send", &send)).await;
    assert_eq!(code_of(&early), 432, "not approved yet");

    let number = id.parse().unwrap();
    node.engine
        .review_template(ACCOUNT, number, Review::Approved, "")
        .await
        .unwrap();
    assert_eq!(verified(&node, &id).await, "审核通过");
    let sent = node.ask(signed("/smsapi/send", &send)).await;
    assert_eq!(code_of(&sent), 200, "{}", sent.body);
    assert_eq!(
        node.received("+8613800138000").await.text,
        "【Example】Your parcel 7 is here"
    );

    let mut update = with(&ADD, "templateIdStr", &id);
    update.retain(|(name, _)| *name != "templateText");
    let renamed = ask(&node, "/smsapi/updatesms", &with(&update, "templateName", "t2")).await;
    assert_eq!(renamed.parts(), (200, "更新成功", &json!({})));
    assert_eq!(
        verified(&node, &id).await,
        "审核通过",
        "a name is nothing that is sent"
    );
    let moved = ask(&node, "/smsapi/updatesms", &with(&update, "signPositionStr", "1")).await;
    assert_eq!(moved.code, 200);
    let got = ask(&node, "/smsapi/get", &[("templateIdStr", &id)]).await;
    assert_eq!(
        (&got.info["isVerify"], &got.info["templateContent"]),
        (
            &json!("未提交审核"),
            &json!("Your parcel %no% is here【Example】")
        ),
        "what is sent differs: it is a draft again"
    );
    let rendered = with(&update, "templateText", "Parcel %no% waits");
    let rendered = with(&with(&rendered, "smsTypeStr", "2"), "msgType", "2");
    let rendered = ask(&node, "/smsapi/updatesms", &rendered).await;
    assert_eq!(rendered.parts(), (200, "更新成功", &json!({})));
    let got = ask(&node, "/smsapi/get", &[("templateIdStr", &id)]).await;
    assert_eq!(
        (
            &got.info["templateContent"],
            &got.info["smsType"],
            &got.info["msgType"]
        ),
        (
            &json!("【Example】Parcel %no% waits"),
            &json!("营销"),
            &json!("国际短信")
        )
    );

    let removed = ask(&node, "/smsapi/deletesms", &[("templateIdStr", &id)]).await;
    assert_eq!(removed.parts(), (200, "删除成功", &json!({})));
    let gone = ask(&node, "/smsapi/get", &[("templateIdStr", &id)]).await;
    assert_eq!(gone.parts(), (431, "模板不存在", &json!({})));
}

#[tokio::test]
async fn every_kind_of_template_can_be_made() {
    let node = TestNode::start().await;
    for (name, pairs, message_type, sms_type, content) in [
        (
            "a",
            vec![("smsTypeStr", "0"), ("signId", "7"), ("signName", "nobody's")],
            "国内短信",
            "验证码",
            "【Example】Hello",
        ),
        (
            "b",
            vec![("smsTypeStr", "1"), ("signName", "【Example】")],
            "国内短信",
            "行业通知",
            "【Example】Hello",
        ),
        (
            "c",
            vec![
                ("smsTypeStr", "2"),
                ("signName", "Example"),
                ("signPositionStr", "1"),
            ],
            "国内短信",
            "营销",
            "Hello【Example】",
        ),
        (
            "d",
            vec![("smsTypeStr", "0"), ("signId", "7"), ("msgType", "2")],
            "国际短信",
            "验证码",
            "【Example】Hello",
        ),
        (
            "e",
            vec![("smsTypeStr", "0"), ("signId", "8"), ("msgType", "0")],
            "国内短信",
            "验证码",
            "【Waiting】Hello",
        ),
    ] {
        let mut pairs = pairs;
        pairs.extend([("templateName", name), ("templateText", "Hello")]);
        let id = add(&node, &pairs).await;
        let got = ask(&node, "/smsapi/get", &[("templateIdStr", &id)]).await.info;
        assert_eq!(
            (&got["msgType"], &got["smsType"], &got["templateContent"]),
            (&json!(message_type), &json!(sms_type), &json!(content)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_account_that_approves_by_itself_can_send_once_it_has_submitted() {
    let node = TestNode::start().await;
    let mut account = (**node.engine.catalog().account(ACCOUNT).unwrap()).clone();
    account.auto_approve = true;
    let change = store::CatalogChange::PutAccount(account);
    node.change(vec![change]).await;
    let id = add(&node, &ADD).await;
    assert_eq!(verified(&node, &id).await, "未提交审核");
    let submitted = ask(&node, "/smsapi/submitsms", &[("templateIdStr", &id)]).await;
    assert_eq!(submitted.code, 200);
    assert_eq!(verified(&node, &id).await, "审核通过");
}

#[tokio::test]
async fn what_templates_are_refused_for_is_reported() {
    let node = TestNode::start().await;
    let draft = add(&node, &ADD).await;
    let pending = PENDING.to_string();
    let foreign = FOREIGN.to_string();
    let (long_name, long_text) = ("n".repeat(101), "小".repeat(501));
    let other = with(&ADD, "templateName", "t9");
    let changed = |name, value| with(&other, name, value);
    for (what, path, pairs, code, message) in [
        ("the same name", "/smsapi/addsms", ADD.to_vec(), 413, "名称已存在"),
        (
            "no name",
            "/smsapi/addsms",
            changed("templateName", ""),
            441,
            "templateName不能为空",
        ),
        (
            "a long name",
            "/smsapi/addsms",
            changed("templateName", &long_name),
            417,
            "templateName长度不能超过100个字符",
        ),
        (
            "no text",
            "/smsapi/addsms",
            changed("templateText", ""),
            441,
            "templateText不能为空",
        ),
        (
            "a long text",
            "/smsapi/addsms",
            changed("templateText", &long_text),
            417,
            "templateText长度不能超过500个字符",
        ),
        (
            "no signature",
            "/smsapi/addsms",
            changed("signName", ""),
            432,
            "短信签名不存在或者未审核通过",
        ),
        (
            "an unknown signature",
            "/smsapi/addsms",
            changed("signName", "nobody's"),
            432,
            "短信签名不存在或者未审核通过",
        ),
        (
            "an unknown signature's id",
            "/smsapi/addsms",
            changed("signId", "9999"),
            432,
            "短信签名不存在或者未审核通过",
        ),
        (
            "a position there is not",
            "/smsapi/addsms",
            changed("signPositionStr", "2"),
            441,
            "signPositionStr格式错误",
        ),
        (
            "a class there is not",
            "/smsapi/addsms",
            changed("smsTypeStr", "3"),
            441,
            "smsTypeStr格式错误",
        ),
        (
            "no class",
            "/smsapi/addsms",
            changed("smsTypeStr", ""),
            441,
            "smsTypeStr不能为空",
        ),
        (
            "MMS",
            "/smsapi/addsms",
            changed("msgType", "1"),
            601,
            "你没有权限发送该类型的短信",
        ),
        ("no id", "/smsapi/get", vec![], 433, "模板ID不能为空"),
        (
            "an id that is no number",
            "/smsapi/get",
            vec![("templateIdStr", "x")],
            431,
            "模板不存在",
        ),
        (
            "another account's",
            "/smsapi/get",
            vec![("templateIdStr", &*foreign)],
            431,
            "模板不存在",
        ),
        (
            "no id to submit",
            "/smsapi/submitsms",
            vec![],
            433,
            "模板ID不能为空",
        ),
        (
            "submitted already",
            "/smsapi/submitsms",
            vec![("templateIdStr", &*pending)],
            432,
            "模板已提交审核或者已审核通过",
        ),
        (
            "approved already",
            "/smsapi/submitsms",
            vec![("templateIdStr", "1001")],
            432,
            "模板已提交审核或者已审核通过",
        ),
        (
            "another account's to submit",
            "/smsapi/submitsms",
            vec![("templateIdStr", &*foreign)],
            431,
            "模板不存在",
        ),
        (
            "changed under review",
            "/smsapi/updatesms",
            with(&other, "templateIdStr", &pending),
            432,
            "审核中, 不能修改或删除",
        ),
        (
            "another's name",
            "/smsapi/updatesms",
            with(&with(&ADD, "templateIdStr", &draft), "templateName", "code"),
            413,
            "名称已存在",
        ),
        (
            "another account's to change",
            "/smsapi/updatesms",
            with(&other, "templateIdStr", &foreign),
            431,
            "模板不存在",
        ),
        (
            "no id to change",
            "/smsapi/updatesms",
            other.clone(),
            433,
            "模板ID不能为空",
        ),
        (
            "no name to change",
            "/smsapi/updatesms",
            with(&with(&other, "templateIdStr", &draft), "templateName", ""),
            441,
            "templateName不能为空",
        ),
        (
            "removed under review",
            "/smsapi/deletesms",
            vec![("templateIdStr", &*pending)],
            432,
            "审核中, 不能修改或删除",
        ),
        (
            "another account's to remove",
            "/smsapi/deletesms",
            vec![("templateIdStr", &*foreign)],
            431,
            "模板不存在",
        ),
        (
            "a review there is not",
            "/smsapi/list",
            vec![("isVerifyStr", "2")],
            441,
            "isVerifyStr格式错误",
        ),
        (
            "ids that are no numbers",
            "/smsapi/list",
            vec![("templateIdStr", "1001;x")],
            441,
            "templateIdStr格式错误",
        ),
        (
            "a start that is none",
            "/smsapi/list",
            vec![("start", "-1")],
            441,
            "start格式错误",
        ),
        (
            "a limit that is none",
            "/smsapi/list",
            vec![("limit", "many")],
            441,
            "limit格式错误",
        ),
    ] {
        let reported = ask(&node, path, &pairs).await;
        assert_eq!(reported.parts(), (code, message, &json!({})), "{what}");
    }
    let own_name = with(&ADD, "templateIdStr", &draft);
    assert_eq!(
        ask(&node, "/smsapi/updatesms", &own_name).await.code,
        200,
        "its own name is free"
    );
}

#[tokio::test]
async fn templates_are_listed_by_review_by_id_and_by_page() {
    let node = TestNode::start().await;
    let draft = add(&node, &ADD).await;
    let rejected = add(&node, &with(&ADD, "templateName", "t2")).await;
    ask(&node, "/smsapi/submitsms", &[("templateIdStr", &rejected)]).await;
    node.engine
        .review_template(ACCOUNT, rejected.parse().unwrap(), Review::Rejected, "no")
        .await
        .unwrap();
    let all = ask(&node, "/smsapi/list", &[]).await;
    assert_eq!((all.code, &*all.message), (200, "请求成功"));
    assert_eq!(names(&all.info), ["list", "total"]);
    assert_eq!(all.info["total"], 10, "another account's are not among them");
    assert_eq!(
        names(&all.info["list"][0]),
        [
            "isVerify",
            "msgType",
            "smsType",
            "templateContent",
            "templateCreateTime",
            "templateId",
            "templateName",
            "templateUpdateTime"
        ]
    );
    let newest = all.info["list"].as_array().unwrap().last().unwrap().clone();
    assert!(is_date(&newest["templateCreateTime"], false) && is_date(&newest["templateUpdateTime"], false));
    assert_eq!(newest["isVerify"], "审核不通过");
    let both = format!("{draft};{rejected}");
    for (what, pairs, total, listed) in [
        ("waiting", vec![("isVerifyStr", "0")], 1, 1),
        ("passed", vec![("isVerifyStr", "1")], 7, 7),
        ("refused", vec![("isVerifyStr", "-1")], 1, 1),
        ("not submitted", vec![("isVerifyStr", "-2")], 1, 1),
        ("by id", vec![("templateIdStr", &*both)], 2, 2),
        (
            "by id and review",
            vec![("templateIdStr", &*both), ("isVerifyStr", "-2")],
            1,
            1,
        ),
        ("ids nobody has", vec![("templateIdStr", "1;2001")], 0, 0),
        ("a page", vec![("start", "8"), ("limit", "5")], 10, 2),
        ("no entries", vec![("limit", "0")], 10, 0),
        ("more than there may be", vec![("limit", "1000")], 10, 10),
        ("behind the end", vec![("start", "100")], 10, 0),
    ] {
        let reported = ask(&node, "/smsapi/list", &pairs).await.info;
        assert_eq!(
            (&reported["total"], reported["list"].as_array().unwrap().len()),
            (&json!(total), listed),
            "{what}"
        );
    }
}

/// Goal: a page holds a hundred at most, whatever the request says.
#[tokio::test]
async fn a_page_of_templates_holds_a_hundred() {
    let node = TestNode::start().await;
    let many = (0..120).map(|n| {
        let mut template = node
            .engine
            .catalog()
            .template_by_number(ACCOUNT, PLAIN)
            .unwrap()
            .template
            .clone();
        template.number = 7000 + n;
        template.ut_id = format!("UTB{n}").into();
        template.name = format!("many {n}").into();
        store::CatalogChange::PutTemplate(template)
    });
    node.change(many.collect()).await;
    let reported = ask(&node, "/smsapi/list", &[]).await.info;
    assert_eq!(
        (&reported["total"], reported["list"].as_array().unwrap().len()),
        (&json!(128), 100)
    );
}

/// Goal: what looks like a variable and would be sent as it stands is refused when a template is made or changed, with the rule.
#[tokio::test]
async fn a_variable_that_no_rule_takes_is_refused_with_the_rule() {
    let node = TestNode::start().await;
    let id = add(&node, &ADD).await;
    for text in [
        "尊敬的%姓名%",
        "Hi {{ name }}",
        "Hi % name %",
        "code {0}",
        "Hi {}",
    ] {
        let new = with(&with(&ADD, "templateName", "t2"), "templateText", text);
        let edit = with(&with(&ADD, "templateIdStr", &id), "templateText", text);
        for (path, pairs) in [("/smsapi/addsms", new), ("/smsapi/updatesms", edit)] {
            let reported = ask(&node, path, &pairs).await;
            assert_eq!(reported.code, 441, "{path} {text}: {}", reported.message);
            assert!(reported.message.contains("%name%"), "{}", reported.message);
        }
    }
    add(
        &node,
        &with(
            &with(&ADD, "templateName", "t3"),
            "templateText",
            "满100%返利50%优惠 %name%",
        ),
    )
    .await;
}
