//! Sends to contact lists: sendContactListTask, queryContactListTask (docs/dialects/sendcloud.md).

use super::contacts::{save_list, save_member};
use super::*;
use engine::clock::PausedClock;
use testkit::ACCOUNT;

const SEND_FIELDS: [&str; 9] = [
    "contactListName",
    "createTime",
    "endTime",
    "memberCount",
    "senderName",
    "status",
    "taskId",
    "taskName",
    "templateId",
];

async fn query(node: &TestNode, id: &str) -> Value {
    let reported = ask(node, "/smsapi/queryContactListTask", &[("taskId", id)]).await;
    assert_eq!(
        (reported.code, &*reported.message),
        (200, "查询成功"),
        "{}",
        reported.info
    );
    reported.info["smsTask"].clone()
}

/// Waits until a task has come to a status.
async fn query_until(node: &TestNode, id: &str, status: &str) -> Value {
    let request = fields(&[("smsUser", USER), ("taskId", id)]);
    let answer = node
        .ask_until(
            || signed("/smsapi/queryContactListTask", &request),
            |answer| answer.json()["info"]["smsTask"]["status"] == status,
        )
        .await;
    answer.json()["info"]["smsTask"].clone()
}

#[tokio::test]
async fn a_task_sends_to_every_member_once_with_their_own_values() {
    let node = TestNode::start().await;
    save_list(&node, "one").await;
    save_list(&node, "two").await;
    save_member(&node, "one", "13800138001", r#"{"name":"Lucy","place":"Bath"}"#).await;
    save_member(&node, "one", "13800000420", r#"{"name":"x","place":"y"}"#).await;
    save_member(
        &node,
        "two",
        "00447700900123",
        r#"{"%name%":"小明","place":"York"}"#,
    )
    .await;
    let made = ask(
        &node,
        "/smsapi/sendContactListTask",
        &[
            ("contactListName", "one;two"),
            ("taskName", "spring"),
            ("senderName", "sendcloud"),
            ("templateId", "1002"),
            ("labelId", "9"),
        ],
    )
    .await;
    assert_eq!((made.code, &*made.message), (200, "联系人列表任务保存成功"));
    let task = made.info["smsTask"].clone();
    assert_eq!(names(&task), SEND_FIELDS);
    for (name, expected) in [
        ("contactListName", json!("one;two")),
        ("taskName", json!("spring")),
        ("senderName", json!("sendcloud")),
        ("templateId", json!(1002)),
        ("memberCount", json!(3)),
        ("status", json!("等待执行")),
        ("endTime", json!("")),
    ] {
        assert_eq!(task[name], expected, "{name}");
    }
    assert!(is_date(&task["createTime"], true));
    let id = task["taskId"].as_i64().unwrap().to_string();

    let ended = query_until(&node, &id, "执行成功").await;
    let mut with_label = SEND_FIELDS.to_vec();
    with_label.push("labelId");
    with_label.sort_unstable();
    assert_eq!(names(&ended), with_label);
    assert_eq!(
        (
            &ended["labelId"],
            &ended["contactListName"],
            &ended["senderName"],
            &ended["templateId"]
        ),
        (&json!("9"), &json!("one;two"), &json!("sendcloud"), &json!(1002))
    );
    assert!(is_date(&ended["endTime"], true));
    assert_eq!(
        node.received("+8613800138001").await.text,
        "Hello Lucy, welcome to Bath"
    );
    assert_eq!(
        node.received("+447700900123").await.text,
        "Hello 小明, welcome to York"
    );
    assert_eq!(node.inbox_count("+8613800000420"), 0);

    let days = fields(&[("smsUser", USER), ("days", "1"), ("labelIdsStr", "9")]);
    let reported = node.ask(signed("/smsapi/status/query", &days)).await.json();
    assert_eq!(reported["info"]["total"], "3", "{reported}");
    let blocked = reported["info"]["voList"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["receiver"] == "13800000420")
        .unwrap()
        .clone();
    assert_eq!(blocked["statusCode"], 420);
    assert_eq!(blocked["smsUser"], USER);
}

#[tokio::test]
async fn an_idempotency_key_makes_one_task() {
    let node = TestNode::start().await;
    save_list(&node, "one").await;
    save_member(
        &node,
        "one",
        "00447700900123",
        r#"{"name":"Lucy","place":"Bath"}"#,
    )
    .await;
    let task = fields(&[
        ("smsUser", USER),
        ("contactListName", "one"),
        ("taskName", "spring"),
        ("templateId", "1002"),
    ]);
    let keyed = |key: &str| {
        let mut request = signed("/smsapi/sendContactListTask", &task);
        request
            .headers_mut()
            .insert("idempotency-key", key.parse().unwrap());
        request
    };
    let first = node.ask(keyed("k1")).await;
    assert_eq!(code_of(&first), 200, "{}", first.body);
    let id = first.json()["info"]["smsTask"]["taskId"].to_string();
    query_until(&node, &id, "执行成功").await;
    let again = node.ask(keyed("k1")).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(code_of(&node.ask(keyed(&"k".repeat(256))).await), 417);
    // A key used for a send is another one.
    let mut send = signed("/smsapi/send", &send_fields());
    send.headers_mut()
        .insert("idempotency-key", "k1".parse().unwrap());
    let sent = node.ask(send).await;
    assert!(sent.json()["info"]["smsIds"].is_array(), "{}", sent.body);
    assert_eq!(node.inbox_count("+447700900123"), 1);
    let other = node.ask(keyed("k2")).await.json()["info"]["smsTask"]["taskId"].to_string();
    assert_ne!(other, id);
    query_until(&node, &other, "执行成功").await;
    node.received("+447700900123").await;
}

/// Goal: a person, however his number is written, in several lists of a task gets one message, the first list's.
#[tokio::test]
async fn a_person_in_two_lists_gets_one_message() {
    let node = TestNode::start().await;
    for (list, phone, name) in [
        ("one", "+447700900951", "Lucy"),
        ("two", "00447700900951", "Lucia"),
        ("two", "00447700900952", "Ann"),
    ] {
        save_list_once(&node, list).await;
        let vars = format!(r#"{{"name":"{name}","place":"Bath"}}"#);
        save_member(&node, list, phone, &vars).await;
    }
    let made = ask(
        &node,
        "/smsapi/sendContactListTask",
        &[
            ("contactListName", "one;two"),
            ("taskName", "spring"),
            ("templateId", "1002"),
        ],
    )
    .await;
    let task = &made.info["smsTask"];
    assert_eq!(task["memberCount"], 3, "members of both lists");
    let id = task["taskId"].as_i64().unwrap().to_string();
    query_until(&node, &id, "执行成功").await;
    assert_eq!(
        node.received("+447700900951").await.text,
        "Hello Lucy, welcome to Bath"
    );
    node.received("+447700900952").await;
    assert_eq!(node.inbox_count("+447700900951"), 1);
    let days = fields(&[("smsUser", USER), ("days", "1")]);
    let reported = node.ask(signed("/smsapi/status/query", &days)).await.json();
    assert_eq!(reported["info"]["total"], "2", "{reported}");
}

/// Makes a list unless it is there.
async fn save_list_once(node: &TestNode, name: &str) {
    if node.engine.list_named(ACCOUNT, name).await.unwrap().is_none() {
        save_list(node, name).await;
    }
}

/// Goal: no bound on the members of a list is in the way: it is sent to piece by piece.
#[tokio::test]
async fn a_task_sends_to_more_members_than_a_request_may_have() {
    const MEMBERS: usize = 2500;
    let node = TestNode::start().await;
    save_list(&node, "many").await;
    let list = node.engine.list_named(ACCOUNT, "many").await.unwrap().unwrap();
    let contacts = (0..MEMBERS)
        .map(|n| {
            let written = format!("138{n:08}");
            engine::PutContact {
                msisdn: engine::sms::phone::Msisdn::from_digits(&format!("86{written}")).unwrap(),
                written: written.into(),
                user_name: None,
                vars: None,
            }
        })
        .collect();
    node.engine
        .put_contacts(ACCOUNT, list.id, contacts)
        .await
        .unwrap()
        .unwrap();
    let pairs = [
        ("contactListName", "many"),
        ("taskName", "t"),
        ("templateId", "1003"),
    ];
    let made = ask(&node, "/smsapi/sendContactListTask", &pairs).await;
    assert_eq!(made.info["smsTask"]["memberCount"], MEMBERS);
    let id = made.info["smsTask"]["taskId"].as_i64().unwrap().to_string();
    query_until(&node, &id, "执行成功").await;
    let days = fields(&[("smsUser", USER), ("days", "1")]);
    let reported = node.ask(signed("/smsapi/status/query", &days)).await.json();
    assert_eq!(reported["info"]["total"], MEMBERS.to_string());
}

#[tokio::test]
async fn a_task_waits_for_its_time() {
    // 2026-11-22 00:30 in China.
    let clock = Arc::new(PausedClock::at(1_795_278_600_000));
    let node = TestNode::with(
        crate::testkit::limits(),
        Arc::clone(&clock) as Arc<dyn engine::clock::Clock>,
    )
    .await;
    save_list(&node, "one").await;
    save_member(&node, "one", "13800138001", "{}").await;
    let pairs = [
        ("contactListName", "one"),
        ("taskName", "later"),
        ("templateId", "1003"),
        ("executeTime", "2026-11-22 00:40:00"),
    ];
    let made = ask(&node, "/smsapi/sendContactListTask", &pairs).await;
    assert_eq!(made.code, 200);
    let task = &made.info["smsTask"];
    assert_eq!(
        (&task["status"], &task["createTime"]),
        (&json!("等待执行"), &json!("2026-11-22 00:30:00"))
    );
    let id = task["taskId"].as_i64().unwrap().to_string();
    save_member(&node, "one", "13800138002", "{}").await;
    clock.advance(9 * 60_000);
    assert_eq!(query(&node, &id).await["status"], "等待执行");
    clock.advance(60_000);
    let ended = query_until(&node, &id, "执行成功").await;
    assert_eq!(ended["memberCount"], 1);
    node.received("+8613800138001").await;
    assert_eq!(
        node.inbox_count("+8613800138002"),
        0,
        "who came later is not sent to"
    );
    for (at, code, message) in [
        (
            "2026-11-22 00:00:00",
            452,
            "定时发送时间早于服务器时间, 时间已过去",
        ),
        ("2026-11-22", 451, "定时发送时间的格式错误"),
        ("tomorrow", 451, "定时发送时间的格式错误"),
    ] {
        let mut pairs = pairs;
        pairs[3].1 = at;
        let reported = ask(&node, "/smsapi/sendContactListTask", &pairs).await;
        assert_eq!(reported.parts(), (code, message, &json!({})), "{at}");
    }
}

#[tokio::test]
async fn a_task_to_nobody_has_ended_when_it_is_made() {
    let node = TestNode::start().await;
    save_list(&node, "empty").await;
    let pairs = [
        ("contactName", "empty"),
        ("taskName", "t"),
        ("templateId", "1003"),
    ];
    let made = ask(&node, "/smsapi/sendContactListTask", &pairs).await;
    assert_eq!(
        (
            made.code,
            &made.info["smsTask"]["status"],
            &made.info["smsTask"]["memberCount"]
        ),
        (200, &json!("执行成功"), &json!(0))
    );
}

#[tokio::test]
async fn what_tasks_are_refused_for_is_reported() {
    let node = TestNode::start().await;
    save_list(&node, "one").await;
    save_member(&node, "one", "13800138001", "{}").await;
    let good = [
        ("contactListName", "one"),
        ("taskName", "t"),
        ("templateId", "1003"),
    ];
    let changed = |name, value| {
        let mut pairs: Vec<_> = good.iter().copied().filter(|(known, _)| *known != name).collect();
        pairs.push((name, value));
        pairs
    };
    let (pending, unsigned) = (PENDING.to_string(), BADLY_SIGNED.to_string());
    let foreign = FOREIGN.to_string();
    let long = "x".repeat(101);
    for (what, pairs, code, message) in [
        (
            "no list",
            changed("contactListName", ""),
            441,
            "contactListName不能为空",
        ),
        (
            "an unknown list",
            changed("contactListName", "none"),
            431,
            "联系人列表不存在",
        ),
        (
            "an unknown list among others",
            changed("contactListName", "one;none"),
            431,
            "联系人列表不存在",
        ),
        ("no name", changed("taskName", ""), 441, "taskName不能为空"),
        (
            "a long name",
            changed("taskName", &long),
            417,
            "taskName长度不能超过100个字符",
        ),
        (
            "a long sender",
            changed("senderName", &long),
            417,
            "senderName长度不能超过100个字符",
        ),
        ("no template", changed("templateId", ""), 433, "模板ID不能为空"),
        (
            "an unknown template",
            changed("templateId", "999999"),
            431,
            "模板不存在",
        ),
        (
            "another account's template",
            changed("templateId", &foreign),
            431,
            "模板不存在",
        ),
        (
            "a template under review",
            changed("templateId", &pending),
            432,
            "模板未提交审核或者未审核通过",
        ),
        (
            "a template badly signed",
            changed("templateId", &unsigned),
            432,
            "短信签名不存在或者未审核通过",
        ),
    ] {
        let reported = ask(&node, "/smsapi/sendContactListTask", &pairs).await;
        assert_eq!(reported.parts(), (code, message, &json!({})), "{what}");
    }
    for (what, pairs, code, message) in [
        ("no task", vec![], 441, "taskId不能为空"),
        ("an unknown task", vec![("taskId", "9999")], 431, "任务不存在"),
        (
            "a task that is no number",
            vec![("taskId", "x")],
            431,
            "任务不存在",
        ),
    ] {
        let reported = ask(&node, "/smsapi/queryContactListTask", &pairs).await;
        assert_eq!(reported.parts(), (code, message, &json!({})), "{what}");
    }
    let list = [("contactListName", "one")];
    let saved = ask_as(&node, USER_MUTE, "/smsapi/smsContactList/save", &list).await;
    assert_eq!(saved.code, 200);
    let muted = ask_as(&node, USER_MUTE, "/smsapi/sendContactListTask", &good).await;
    assert_eq!(muted.parts(), (473, "没有权限, 免费用户不能发送短信", &json!({})));
    let made = ask(&node, "/smsapi/sendContactListTask", &good).await;
    let id = made.info["smsTask"]["taskId"].as_i64().unwrap().to_string();
    let others = ask_as(
        &node,
        testkit::USER_OTHER,
        "/smsapi/queryContactListTask",
        &[("taskId", &id)],
    )
    .await;
    assert_eq!(others.code, 431, "another account's");
}

/// Goal: a list that is being sent to cannot be taken away.
#[tokio::test]
async fn a_list_is_kept_while_a_task_needs_it() {
    let node = TestNode::start().await;
    save_list(&node, "one").await;
    save_member(&node, "one", "13800138001", "{}").await;
    let pairs = [
        ("contactListName", "one"),
        ("taskName", "later"),
        ("templateId", "1003"),
        ("executeTime", "2199-01-01 00:00:00"),
    ];
    let made = ask(&node, "/smsapi/sendContactListTask", &pairs).await;
    assert_eq!(made.code, 200, "{}", made.message);
    let reported = ask(
        &node,
        "/smsapi/smsContactList/delete",
        &[("contactListName", "one")],
    )
    .await;
    assert_eq!(reported.parts(), (601, "正在使用, 不能删除", &json!({})));
}
