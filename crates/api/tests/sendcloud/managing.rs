//! What all interfaces that manage and count have in common.

use super::*;

/// Every one of them, with the parameters of a good request that changes nothing.
pub(super) const INTERFACES: [(&str, &[(&str, &str)]); 29] = [
    ("/smsapi/get", &[("templateIdStr", "1001")]),
    ("/smsapi/list", &[]),
    ("/smsapi/addsms", &[("templateName", "t")]),
    ("/smsapi/submitsms", &[("templateIdStr", "1")]),
    ("/smsapi/updatesms", &[("templateIdStr", "1")]),
    ("/smsapi/deletesms", &[("templateIdStr", "1")]),
    ("/smsapi/sign/get", &[("id", "7")]),
    ("/smsapi/sign/list", &[]),
    ("/smsapi/sign/save", &[("signType", "0")]),
    ("/smsapi/sign/updatesms", &[("id", "1")]),
    ("/smsapi/sign/update", &[("id", "1")]),
    ("/smsapi/label/get", &[("labelId", "1")]),
    ("/smsapi/label/list", &[]),
    ("/smsapi/label/save", &[]),
    ("/smsapi/label/update", &[("labelId", "1"), ("labelName", "l")]),
    ("/smsapi/label/delete", &[("labelId", "1")]),
    ("/smsapi/smsContactList/list", &[]),
    ("/smsapi/smsContactList/save", &[]),
    (
        "/smsapi/smsContactList/update",
        &[("contactListName", "none"), ("newContactListName", "other")],
    ),
    ("/smsapi/smsContactList/delete", &[("contactListName", "none")]),
    (
        "/smsapi/smsContactListMember/list",
        &[("contactListName", "none")],
    ),
    (
        "/smsapi/smsContactListMember/saveOrUpdate",
        &[("contactListName", "none"), ("phone", "13800138000")],
    ),
    (
        "/smsapi/smsContactListMember/batchSaveOrUpdate",
        &[("contactListName", "none"), ("phones", "13800138000")],
    ),
    (
        "/smsapi/smsContactListMember/delete",
        &[("contactListName", "none"), ("phone", "13800138000")],
    ),
    (
        "/smsapi/sendContactListTask",
        &[
            ("contactListName", "none"),
            ("taskName", "t"),
            ("templateId", "1001"),
        ],
    ),
    ("/smsapi/queryContactListTask", &[("taskId", "1")]),
    ("/smsapi/data/sendDay", &[("days", "1")]),
    ("/smsapi/data/processFailed", &[("days", "1")]),
    ("/smsapi/data/sendFailed", &[("days", "1")]),
];

#[tokio::test]
async fn every_interface_wants_a_signature_and_takes_post_and_get() {
    let node = TestNode::start().await;
    for (path, pairs) in INTERFACES {
        let request = replaced(&fields(pairs), "smsUser", USER);
        let posted = node.ask(signed(path, &request)).await;
        let got = node.ask(signed_get(path, &request)).await;
        assert_eq!(code_of(&posted), code_of(&got), "{path}");
        assert!(![421, 422, 501].contains(&code_of(&got)), "{path}: {}", got.body);

        let unsigned = node.ask(post(path, encode(&request))).await;
        assert_eq!(code_of(&unsigned), 421, "{path} without a signature");
        let forged = replaced(&request, "signature", &"0".repeat(32));
        assert_eq!(
            code_of(&node.ask(post(path, encode(&forged))).await),
            422,
            "{path} with a wrong signature"
        );
        let old = (node.engine.now() - 3_600_000).to_string();
        for (name, value, expected) in [
            ("smsUser", "", 472),
            ("smsUser", "nobody", 471),
            ("smsUser", USER_OFF, 601),
            ("smsUser", USER_GONE, 474),
            ("timestamp", &old, 461),
        ] {
            let answer = node.ask(signed(path, &replaced(&request, name, value))).await;
            assert_eq!(code_of(&answer), expected, "{path} {name}={value}");
        }
        let delete = Request::delete(path).body(Body::empty()).unwrap();
        let answer = node.ask(delete).await;
        assert_eq!(
            (answer.status, code_of(&answer)),
            (StatusCode::METHOD_NOT_ALLOWED, 601),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_store_that_is_gone_is_a_server_error_and_nothing_else() {
    let node = TestNode::start().await;
    node.engine.store().close().await.unwrap();
    let new_list = [("contactListName", "a")];
    let template = [
        ("templateName", "t"),
        ("templateText", "Hello"),
        ("signId", "7"),
        ("smsTypeStr", "0"),
    ];
    for (path, pairs) in [
        ("/smsapi/addsms", &template[..]),
        ("/smsapi/sign/save", &[("signType", "0"), ("signName", "New")]),
        ("/smsapi/label/get", &[("labelId", "1")]),
        ("/smsapi/label/list", &[]),
        ("/smsapi/label/save", &[("labelName", "l")]),
        ("/smsapi/smsContactList/list", &[]),
        ("/smsapi/smsContactList/save", &new_list),
        ("/smsapi/smsContactListMember/list", &new_list),
        ("/smsapi/queryContactListTask", &[("taskId", "1")]),
        ("/smsapi/data/sendDay", &[("days", "1")]),
    ] {
        let reported = ask(&node, path, pairs).await;
        assert_eq!(reported.parts(), (501, "服务器异常", &json!({})), "{path}");
    }
}
