//! Contact lists and their members (docs/dialects/sendcloud.md).

use super::*;

const LIST_FIELDS: [&str; 6] = [
    "contactListId",
    "contactListName",
    "createTime",
    "description",
    "memberCount",
    "updateTime",
];
const MEMBER_FIELDS: [&str; 6] = ["contactlistId", "createTime", "id", "phone", "userName", "vars"];

pub(super) async fn save_list(node: &TestNode, name: &str) {
    let reported = ask(node, "/smsapi/smsContactList/save", &[("contactListName", name)]).await;
    assert_eq!(
        (reported.code, &*reported.message),
        (200, "保存成功"),
        "{}",
        reported.info
    );
}

pub(super) async fn save_member(node: &TestNode, list: &str, phone: &str, vars: &str) -> Value {
    let pairs = [("contactListName", list), ("phone", phone), ("vars", vars)];
    let reported = ask(node, "/smsapi/smsContactListMember/saveOrUpdate", &pairs).await;
    assert_eq!(
        (reported.code, &*reported.message),
        (200, "保存成功"),
        "{}",
        reported.info
    );
    reported.info["contactMember"].clone()
}

#[tokio::test]
async fn a_list_is_saved_renamed_listed_and_removed() {
    let node = TestNode::start().await;
    let saved = ask(
        &node,
        "/smsapi/smsContactList/save",
        &[
            ("contactListName", "test_3"),
            ("description", "添加联系人列表测试"),
        ],
    )
    .await;
    assert_eq!((saved.code, &*saved.message), (200, "保存成功"));
    let list = saved.info["contact"].clone();
    assert_eq!(names(&list), LIST_FIELDS);
    assert_eq!(
        (
            &list["contactListName"],
            &list["description"],
            &list["memberCount"]
        ),
        (&json!("test_3"), &json!("添加联系人列表测试"), &json!(0))
    );
    assert!(list["contactListId"].is_i64());
    assert!(is_date(&list["createTime"], true) && is_date(&list["updateTime"], true));

    save_member(&node, "test_3", "13800138000", "{}").await;
    let renamed = ask(
        &node,
        "/smsapi/smsContactList/update",
        &[("contactListName", "test_3"), ("newContactListName", "test")],
    )
    .await;
    assert_eq!((renamed.code, &*renamed.message), (200, "更新成功"));
    assert_eq!(
        (
            &renamed.info["contact"]["contactListName"],
            &renamed.info["contact"]["description"],
            &renamed.info["contact"]["memberCount"]
        ),
        (&json!("test"), &json!("添加联系人列表测试"), &json!(1)),
        "the description stays when nothing is said of it"
    );

    save_list(&node, "another test").await;
    save_list(&node, "spring").await;
    for (what, pairs, total, count) in [
        ("all", vec![], 3, 3),
        ("by name", vec![("contactListName", "TEST")], 2, 2),
        (
            "by name as in the examples",
            vec![("contactName", "spring")],
            1,
            1,
        ),
        ("a page", vec![("start", "2"), ("limit", "2")], 3, 1),
    ] {
        let reported = ask(&node, "/smsapi/smsContactList/list", &pairs).await;
        assert_eq!((reported.code, &*reported.message), (200, "查询成功"));
        assert_eq!(names(&reported.info), ["contactLists", "count", "total"]);
        assert_eq!(
            (&reported.info["total"], &reported.info["count"]),
            (&json!(total), &json!(count)),
            "{what}"
        );
    }

    let described = ask(
        &node,
        "/smsapi/smsContactList/update",
        &[
            ("contactListName", "spring"),
            ("newContactListName", "summer"),
            ("description", "warm"),
        ],
    )
    .await;
    assert_eq!(names(&described.info["contact"]), LIST_FIELDS);
    assert_eq!(
        (
            &described.info["contact"]["contactListName"],
            &described.info["contact"]["description"]
        ),
        (&json!("summer"), &json!("warm"))
    );

    let removed = ask(
        &node,
        "/smsapi/smsContactList/delete",
        &[("contactListName", "test")],
    )
    .await;
    assert_eq!(
        removed.parts(),
        (200, "删除联系人列表和对应的成员成功", &json!({}))
    );
    let gone = ask(
        &node,
        "/smsapi/smsContactListMember/list",
        &[("contactListName", "test")],
    )
    .await;
    assert_eq!(gone.parts(), (431, "联系人列表不存在", &json!({})));
}

#[tokio::test]
async fn members_are_saved_by_number_listed_and_removed() {
    let node = TestNode::start().await;
    save_list(&node, "test").await;
    let member = save_member(&node, "test", "13800138000", r#"{"name":"hello"}"#).await;
    assert_eq!(names(&member), MEMBER_FIELDS);
    assert_eq!(
        (&member["phone"], &member["userName"], &member["vars"]),
        (&json!("13800138000"), &json!(""), &json!(r#"{"name":"hello"}"#))
    );
    assert!(is_date(&member["createTime"], true));

    let pairs = [
        ("contactName", "test"),
        ("phone", "008613800138000"),
        ("userName", "Lucy"),
    ];
    let again = ask(&node, "/smsapi/smsContactListMember/saveOrUpdate", &pairs).await;
    let again = &again.info["contactMember"];
    assert_eq!(
        (&again["id"], &again["userName"], &again["vars"]),
        (&member["id"], &json!("Lucy"), &json!(r#"{"name":"hello"}"#)),
        "the same number in another spelling is the same member; vars that are not given stay"
    );

    for (parameter, phones) in [
        ("phones", "13900139000;00447700900123"),
        ("phone", "13700137000;13900139000"),
    ] {
        let pairs = [("contactListName", "test"), (parameter, phones)];
        let reported = ask(&node, "/smsapi/smsContactListMember/batchSaveOrUpdate", &pairs).await;
        assert_eq!((reported.code, &*reported.message), (200, "保存成功"));
        assert_eq!(reported.info["count"], 2);
        assert_eq!(names(&reported.info["contactMemberList"][0]), MEMBER_FIELDS);
    }
    for (what, pairs, total, count) in [
        ("all", vec![], 4, 4),
        ("one number", vec![("phone", "00447700900123")], 1, 1),
        ("a number nobody has", vec![("phone", "13600136000")], 0, 0),
        ("a name", vec![("userName", "luc")], 1, 1),
        ("a page", vec![("start", "3"), ("limit", "3")], 4, 1),
    ] {
        let mut pairs = pairs;
        pairs.push(("contactListName", "test"));
        let reported = ask(&node, "/smsapi/smsContactListMember/list", &pairs).await;
        assert_eq!((reported.code, &*reported.message), (200, "查询成功"));
        assert_eq!(names(&reported.info), ["contactMemberList", "count", "total"]);
        assert_eq!(
            (&reported.info["total"], &reported.info["count"]),
            (&json!(total), &json!(count)),
            "{what}"
        );
    }
    let pairs = [("contactListName", "test"), ("phone", "+447700900123")];
    let removed = ask(&node, "/smsapi/smsContactListMember/delete", &pairs).await;
    assert_eq!(removed.parts(), (200, "删除成功", &json!({})));
    let again = ask(&node, "/smsapi/smsContactListMember/delete", &pairs).await;
    assert_eq!(again.parts(), (431, "联系人不存在", &json!({})));
    let lists = ask(&node, "/smsapi/smsContactList/list", &[]).await;
    assert_eq!(lists.info["contactLists"][0]["memberCount"], 3);
}

#[tokio::test]
async fn what_lists_and_members_are_refused_for_is_reported() {
    let node = TestNode::start().await;
    save_list(&node, "test").await;
    save_list(&node, "taken").await;
    save_member(&node, "test", "13800138000", "{}").await;
    let (long_name, long_text) = ("x".repeat(49), "x".repeat(256));
    let many: Vec<_> = (0..101).map(|n| format!("138{n:08}")).collect();
    let many = many.join(";");
    let member = |name, value| {
        vec![
            ("contactListName", "test"),
            ("phone", "13800138000"),
            (name, value),
        ]
    };
    const SAVE: &str = "/smsapi/smsContactListMember/saveOrUpdate";
    const BATCH: &str = "/smsapi/smsContactListMember/batchSaveOrUpdate";
    for (what, path, pairs, code, message) in [
        (
            "no name",
            "/smsapi/smsContactList/save",
            vec![],
            441,
            "contactListName不能为空",
        ),
        (
            "a long name",
            "/smsapi/smsContactList/save",
            vec![("contactListName", &*long_name)],
            417,
            "contactListName长度不能超过48个字符",
        ),
        (
            "a name with a semicolon",
            "/smsapi/smsContactList/save",
            vec![("contactListName", "a;b")],
            441,
            "contactListName格式错误",
        ),
        (
            "the same name",
            "/smsapi/smsContactList/save",
            vec![("contactListName", "test")],
            413,
            "名称已存在",
        ),
        (
            "a long description",
            "/smsapi/smsContactList/save",
            vec![("contactListName", "new"), ("description", &*long_text)],
            417,
            "description长度不能超过255个字符",
        ),
        (
            "no new name",
            "/smsapi/smsContactList/update",
            vec![("contactListName", "test")],
            441,
            "newContactListName不能为空",
        ),
        (
            "another's name",
            "/smsapi/smsContactList/update",
            vec![("contactListName", "test"), ("newContactListName", "taken")],
            413,
            "名称已存在",
        ),
        (
            "an unknown list to rename",
            "/smsapi/smsContactList/update",
            vec![("contactListName", "none"), ("newContactListName", "new")],
            431,
            "联系人列表不存在",
        ),
        (
            "an unknown list to remove",
            "/smsapi/smsContactList/delete",
            vec![("contactListName", "none")],
            431,
            "联系人列表不存在",
        ),
        (
            "no list to remove",
            "/smsapi/smsContactList/delete",
            vec![],
            441,
            "contactListName不能为空",
        ),
        (
            "a page that is none",
            "/smsapi/smsContactList/list",
            vec![("start", "x")],
            441,
            "start格式错误",
        ),
        (
            "an unknown list",
            SAVE,
            vec![("contactListName", "none"), ("phone", "13800138000")],
            431,
            "联系人列表不存在",
        ),
        (
            "no phone",
            SAVE,
            vec![("contactListName", "test")],
            411,
            "手机号不能为空",
        ),
        (
            "a bad phone",
            SAVE,
            vec![("contactListName", "test"), ("phone", "1312222")],
            412,
            "手机号格式错误",
        ),
        (
            "vars that are none",
            SAVE,
            member("vars", "{101}"),
            441,
            "替换变量格式错误",
        ),
        (
            "a value that is too long",
            SAVE,
            member("vars", r#"{"n":"123456789012345678901234567890123"}"#),
            483,
            "替换变量长度不能超过32个字符",
        ),
        (
            "a link",
            SAVE,
            member("vars", r#"{"n":"http://x.example"}"#),
            441,
            "替换变量不能包含http链接",
        ),
        (
            "a long user name",
            SAVE,
            member("userName", &long_text),
            417,
            "userName长度不能超过64个字符",
        ),
        (
            "no phones",
            BATCH,
            vec![("contactListName", "test")],
            411,
            "手机号不能为空",
        ),
        (
            "101 phones",
            BATCH,
            vec![("contactListName", "test"), ("phones", &*many)],
            412,
            "手机号个数不能超过100个",
        ),
        (
            "a bad phone among them",
            BATCH,
            vec![("contactListName", "test"), ("phones", "13800138001;x")],
            412,
            "手机号格式错误",
        ),
        (
            "no phone to remove",
            "/smsapi/smsContactListMember/delete",
            vec![("contactListName", "test")],
            411,
            "手机号不能为空",
        ),
        (
            "a bad phone to look for",
            "/smsapi/smsContactListMember/list",
            vec![("contactListName", "test"), ("phone", "x")],
            412,
            "手机号格式错误",
        ),
        (
            "members of no list",
            "/smsapi/smsContactListMember/list",
            vec![],
            441,
            "contactListName不能为空",
        ),
    ] {
        let reported = ask(&node, path, &pairs).await;
        assert_eq!(reported.parts(), (code, message, &json!({})), "{what}");
    }
    let members = ask(
        &node,
        "/smsapi/smsContactListMember/list",
        &[("contactListName", "test")],
    )
    .await;
    assert_eq!(members.info["total"], 1, "a batch with a bad number saves none");
    let others = [("contactListName", "test")];
    let reported = ask_as(
        &node,
        testkit::USER_OTHER,
        "/smsapi/smsContactListMember/list",
        &others,
    )
    .await;
    assert_eq!(reported.code, 431, "another account's");
    let own = ask_as(&node, testkit::USER_OTHER, "/smsapi/smsContactList/save", &others).await;
    assert_eq!(own.code, 200, "names are the account's own");
}
