//! Labels: label/get, list, save, update, delete (docs/dialects/sendcloud.md).

use super::*;

const FIELDS: [&str; 4] = ["createTime", "labelId", "labelName", "updateTime"];

async fn save(node: &TestNode, name: &str) -> String {
    let reported = ask(node, "/smsapi/label/save", &[("labelName", name)]).await;
    assert_eq!(
        (reported.code, &*reported.message),
        (200, "保存成功"),
        "{}",
        reported.info
    );
    reported.info["vo"]["labelId"].as_i64().unwrap().to_string()
}

#[tokio::test]
async fn a_label_is_saved_read_renamed_and_removed() {
    let node = TestNode::start().await;
    let id = save(&node, "test2").await;
    let got = ask(&node, "/smsapi/label/get", &[("labelId", &id)]).await;
    assert_eq!((got.code, &*got.message), (200, "查询成功"));
    assert_eq!(names(&got.info), ["vo"]);
    assert_eq!(names(&got.info["vo"]), FIELDS);
    assert_eq!(
        (&got.info["vo"]["labelId"], &got.info["vo"]["labelName"]),
        (&json!(id.parse::<i64>().unwrap()), &json!("test2"))
    );
    assert!(is_date(&got.info["vo"]["createTime"], true) && is_date(&got.info["vo"]["updateTime"], true));

    let renamed = ask(
        &node,
        "/smsapi/label/update",
        &[("labelId", &id), ("labelName", "test3")],
    )
    .await;
    assert_eq!((renamed.code, &*renamed.message), (200, "更新成功"));
    assert_eq!(renamed.info["vo"]["labelName"], "test3");
    let by_id = ask(&node, "/smsapi/label/get", &[("id", &id)]).await;
    assert_eq!(by_id.info["vo"], renamed.info["vo"], "`id`, as in some examples");

    let send = replaced(&send_fields(), "labelId", &id);
    assert_eq!(code_of(&node.ask(signed("/smsapi/send", &send)).await), 200);
    let query = fields(&[("smsUser", USER), ("days", "1"), ("labelIdsStr", &id)]);
    let found = node.ask(signed("/smsapi/status/query", &query)).await;
    assert_eq!(
        found.json()["info"]["total"],
        "1",
        "the number is the one of a send"
    );

    let removed = ask(&node, "/smsapi/label/delete", &[("labelId", &id)]).await;
    assert_eq!(removed.parts(), (200, "删除成功", &json!({})));
    let gone = ask(&node, "/smsapi/label/get", &[("labelId", &id)]).await;
    assert_eq!(gone.parts(), (431, "短信标签不存在", &json!({})));
}

#[tokio::test]
async fn labels_are_listed_by_name_and_by_page() {
    let node = TestNode::start().await;
    for name in ["spring sale", "Spring rest", "autumn"] {
        save(&node, name).await;
    }
    let all = ask(&node, "/smsapi/label/list", &[]).await;
    assert_eq!((all.code, &*all.message), (200, "查询成功"));
    assert_eq!(names(&all.info), ["count", "total", "voList"]);
    assert_eq!(names(&all.info["voList"][0]), FIELDS);
    for (what, pairs, total, count) in [
        ("all", vec![], 3, 3),
        ("by name", vec![("labelName", "spring")], 2, 2),
        ("none", vec![("labelName", "winter")], 0, 0),
        ("a page", vec![("start", "1"), ("limit", "1")], 3, 1),
        ("no entries", vec![("limit", "0")], 3, 0),
    ] {
        let reported = ask(&node, "/smsapi/label/list", &pairs).await.info;
        assert_eq!(
            (
                &reported["total"],
                &reported["count"],
                reported["voList"].as_array().unwrap().len()
            ),
            (&json!(total), &json!(count), count),
            "{what}"
        );
    }
    let others = ask_as(&node, testkit::USER_OTHER, "/smsapi/label/list", &[]).await;
    assert_eq!(others.info, json!({ "total": 0, "count": 0, "voList": [] }));
}

#[tokio::test]
async fn what_labels_are_refused_for_is_reported() {
    let node = TestNode::start().await;
    let (one, _) = (save(&node, "one").await, save(&node, "two").await);
    let long = "x".repeat(65);
    for (what, path, pairs, code, message) in [
        ("no id", "/smsapi/label/get", vec![], 441, "labelId不能为空"),
        (
            "an id that is no number",
            "/smsapi/label/get",
            vec![("labelId", "x")],
            431,
            "短信标签不存在",
        ),
        ("no name", "/smsapi/label/save", vec![], 441, "labelName不能为空"),
        (
            "a long name",
            "/smsapi/label/save",
            vec![("labelName", &*long)],
            417,
            "labelName长度不能超过64个字符",
        ),
        (
            "the same name",
            "/smsapi/label/save",
            vec![("labelName", "one")],
            413,
            "名称已存在",
        ),
        (
            "another's name",
            "/smsapi/label/update",
            vec![("labelId", &*one), ("labelName", "two")],
            413,
            "名称已存在",
        ),
        (
            "no name to change",
            "/smsapi/label/update",
            vec![("labelId", &*one)],
            441,
            "labelName不能为空",
        ),
        (
            "an unknown one to change",
            "/smsapi/label/update",
            vec![("labelId", "9999"), ("labelName", "x")],
            431,
            "短信标签不存在",
        ),
        (
            "an unknown one to remove",
            "/smsapi/label/delete",
            vec![("labelId", "9999")],
            431,
            "短信标签不存在",
        ),
        (
            "a page that is none",
            "/smsapi/label/list",
            vec![("limit", "x")],
            441,
            "limit格式错误",
        ),
    ] {
        let reported = ask(&node, path, &pairs).await;
        assert_eq!(reported.parts(), (code, message, &json!({})), "{what}");
    }
    for path in ["/smsapi/label/get", "/smsapi/label/delete"] {
        let others = ask_as(&node, testkit::USER_OTHER, path, &[("labelId", &one)]).await;
        assert_eq!(others.code, 431, "another account's: {path}");
    }
}
