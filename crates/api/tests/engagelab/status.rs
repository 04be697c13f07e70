//! The status query.

use super::*;

#[tokio::test]
async fn what_fails_later_is_reported_by_the_status_query() {
    let node = TestNode::start().await;
    for (what, body, status, sub_status) in [
        (
            "blocked",
            with(&code(), "/to", json!([format!("+{BLOCKED}")])),
            4,
            420,
        ),
        ("variable missing", with(&code(), "/body/vars", json!({})), 4, 450),
        (
            "no such number",
            with(&code(), "/to", json!(["+10000000001"])),
            5,
            500,
        ),
        (
            "powered off",
            with(&code(), "/to", json!(["+10000000018"])),
            5,
            580,
        ),
    ] {
        let answer = node.ask(send(&body)).await;
        assert_eq!(reported(&answer), (200, 0), "{what}: {}", answer.body);
        let id = answer.json()["sms_ids"][0].as_str().unwrap().to_owned();
        assert_eq!(
            status_until(&node, &id, status).await["sub_status"],
            sub_status,
            "{what}"
        );
    }
    let silent = node
        .ask(send(&with(&code(), "/to", json!(["+10000000003"]))))
        .await
        .json();
    status_until(&node, silent["sms_ids"][0].as_str().unwrap(), 3).await;
    let day = today(&node);
    for (filter, total) in [
        ("", 5),
        ("&status=4", 2),
        ("&status=5", 2),
        ("&status=3", 1),
        ("&status=2", 0),
        ("&sub_status=580", 1),
        ("&status=4&sub_status=580", 0),
        ("&phone=%2B10000000001", 1),
        ("&template_id=1001", 5),
        ("&template_id=1002", 0),
        ("&label_id=9", 0),
        ("&sms_user=another", 0),
        ("&sms_user=demo_user", 5),
        ("&sms_user=demo_user&status=5", 2),
        ("&msg_type=2", 5),
        ("&sms_ids=unknown", 0),
    ] {
        let answer = node
            .ask(get(
                &format!("/v1/status?send_date={day}&time_zone=0{filter}"),
                USER,
            ))
            .await;
        assert_eq!(
            (reported(&answer), &answer.json()["total"]),
            ((200, 0), &json!(total)),
            "{filter}: {}",
            answer.body
        );
    }
    let both = [
        node.ask(send(&with(&code(), "/to", json!(["+447700900161"]))))
            .await
            .json(),
        node.ask(send(&with(&code(), "/to", json!(["+447700900162"]))))
            .await
            .json(),
    ];
    let ids: Vec<_> = both
        .iter()
        .map(|sent| sent["sms_ids"][0].as_str().unwrap())
        .collect();
    for between in [";", ",", " ", ", "] {
        let list: String = form_urlencoded::byte_serialize(ids.join(between).as_bytes()).collect();
        let filter = format!("/v1/status?send_date={day}&time_zone=0&sms_ids={list}");
        assert_eq!(
            node.ask(get(&filter, USER)).await.json()["total"],
            2,
            "{between:?}"
        );
    }
    let page = node
        .ask(get(
            &format!("/v1/status?send_date={day}&time_zone=0&offset=6&limit=3"),
            USER,
        ))
        .await
        .json();
    assert_eq!((&page["count"], &page["total"]), (&json!(1), &json!(7)));
    let other = node
        .ask(get(
            &format!("/v1/status?send_date={day}&time_zone=0"),
            USER_OTHER,
        ))
        .await
        .json();
    assert_eq!(other, json!({ "result": [], "total": 0, "count": 0 }));
}

#[tokio::test]
async fn too_many_status_queries_a_minute_are_answered_429() {
    let limits = Limits {
        engagelab_status_per_minute_max: 2,
        ..crate::testkit::limits()
    };
    let node = TestNode::with(limits, Arc::new(PausedClock::at(1_795_278_600_000))).await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(reported(
            &node.ask(get("/v1/status?send_date=2026-11-22", USER)).await,
        ));
    }
    assert_eq!(codes, [(200, 0), (200, 0), (429, 30429)]);
    assert_eq!(node.over_rate("engagelab_a"), 1);
    assert_eq!(
        reported(&node.ask(get("/v1/status?send_date=2026-11-22", USER_OTHER)).await),
        (200, 0)
    );
}

/// Goal: a text with a word that may not be sent is accepted and fails in processing, as the console's keyword block.
#[tokio::test]
async fn a_forbidden_word_fails_in_processing_with_440() {
    let node = TestNode::start().await;
    node.forbid(&["casino"], &[]).await;
    let answer = node
        .ask(send(&with(&code(), "/body/vars", json!({"code": "Casino"}))))
        .await;
    assert_eq!(reported(&answer), (200, 0), "{}", answer.body);
    let id = answer.json()["sms_ids"][0].as_str().unwrap().to_owned();
    assert_eq!(status_until(&node, &id, 4).await["sub_status"], 440);
}
