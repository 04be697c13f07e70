//! What accounts report to UCloud's wire, and fetch from it.

use super::{AT_ONCE, Wire, code_and_message, code_of, names, with};
use crate::house::{ACCOUNT, Answer, CODE, House, USER_OTHER, ut_id};
use engine::{Record, RecordFilter, RecordKind};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task::JoinSet;

async fn ask(house: &House, action: &str, params: &Value) -> Answer {
    Wire::Ucloud.ask(house, action, params).await
}

/// The bodies of the newest reports kept, the oldest first.
async fn kept(house: &House, count: usize) -> Vec<Value> {
    let filter = |offset, limit| RecordFilter {
        name_contains: None,
        offset,
        limit,
    };
    let engine = &house.engine;
    let total = engine
        .records(ACCOUNT, RecordKind::Backfill, filter(0, 1))
        .await
        .unwrap()
        .total;
    let page = filter(total.saturating_sub(count as u64), count);
    let page = engine.records(ACCOUNT, RecordKind::Backfill, page).await.unwrap();
    page.items
        .iter()
        .map(|record| serde_json::from_str(&record.body).unwrap())
        .collect()
}

async fn session(house: &House) -> String {
    let send = json!({"PhoneNumbers": [AT_ONCE], "TemplateId": ut_id(CODE), "TemplateParams": ["1"]});
    ask(house, "SendUSMSMessage", &send).await.json()["SessionNo"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_code_that_was_used_is_taken_down() {
    let house = House::start().await;
    let report = json!({"SendNo": "order-1", "Target": "(44)7700900123", "BackfillTime": 5, "SendTime": 7, "Content": "8341"});
    let answer = ask(&house, "AddBackfill", &report).await;
    assert_eq!(code_and_message(&answer), (0, String::new()));
    assert_eq!(names(&answer.json()), ["Action", "Message", "RetCode"]);
    assert_eq!(kept(&house, 1).await, [report.clone()]);
    for (name, value, code) in [
        ("SendNo", json!(""), 18_001),
        ("Target", json!(null), 18_001),
        ("Target", json!("7700900123"), 18_003),
        ("BackfillTime", json!("now"), 18_002),
        ("SendTime", json!(-1), 18_003),
        ("Content", json!("x".repeat(501)), 18_003),
    ] {
        let answer = ask(&house, "AddBackfill", &with(&report, name, value)).await;
        assert_eq!(code_of(&answer), code, "{name} {}", answer.body);
    }
}

fn backfill(no: u64) -> Record {
    Record {
        id: 0,
        account: ACCOUNT,
        kind: RecordKind::Backfill,
        name: Box::default(),
        body: format!(r#"{{"no":{no}}}"#).into(),
        data: Vec::new(),
        created_at: 0,
        updated_at: 0,
    }
}

#[tokio::test]
async fn the_oldest_reports_make_room() {
    let house = House::start().await;
    let most = house.engine.settings().directory.records_max;
    // Many at once, so that they share the store's commits, yet fewer than its queue holds; the last one after them.
    for first in (0..most - 1).step_by(1000) {
        let mut adding = JoinSet::new();
        for no in first..(most - 1).min(first + 1000) {
            let engine = Arc::clone(&house.engine);
            adding.spawn(async move { engine.add_record(backfill(no)).await.unwrap().unwrap() });
        }
        adding.join_all().await;
    }
    house
        .engine
        .add_record(backfill(most - 1))
        .await
        .unwrap()
        .unwrap();
    let report = json!({"SendNo": "order-1", "Target": "+447700900123"});
    assert_eq!(code_of(&ask(&house, "AddBackfill", &report).await), 0);
    let newest = kept(&house, 2).await;
    assert_eq!(newest, [json!({"no": most - 1}), report]);
}

#[tokio::test]
async fn a_status_is_taken_for_ones_own_sessions() {
    let house = House::start().await;
    let session = session(&house).await;
    let report =
        json!({"SessionNoSet": [session, "x"], "PhoneNumber": ["13800138000"], "CustomerStatus": "0"});
    let answer = ask(&house, "upUSMSCustomerStatus", &report).await;
    assert_eq!(code_and_message(&answer), (0, "submit success".into()));
    assert_eq!(answer.json()["Action"], "upUSMSCustomerStatusResponse");
    assert_eq!(answer.json()["Data"], json!([{"MessageNo": session}]));
    let expected = json!({"SessionNoSet": [session], "PhoneNumbers": ["13800138000"], "Used": true});
    assert_eq!(kept(&house, 1).await, [expected]);
    let unused = json!({"SessionNoSet": [session], "CustomerStatus": "1"});
    assert_eq!(code_of(&ask(&house, "upUSMSCustomerStatus", &unused).await), 0);
    assert_eq!(
        kept(&house, 1).await,
        [json!({"SessionNoSet": [session], "Used": false})]
    );
    for (params, code) in [
        (json!({}), 18_001),
        (json!({"SessionNoSet": ["x"]}), 18_003),
        (json!({"SessionNoSet": vec!["x"; 101]}), 18_003),
        (with(&unused, "PhoneNumbers", json!(["12"])), 18_003),
        (with(&unused, "CustomerStatus", json!("used")), 18_002),
    ] {
        let answer = ask(&house, "upUSMSCustomerStatus", &params).await;
        assert_eq!(code_of(&answer), code, "{params} {}", answer.body);
    }
    let theirs = Wire::Ucloud.request(&house, USER_OTHER, "upUSMSCustomerStatus", &unused);
    assert_eq!(code_of(&house.ask(theirs).await), 18_003);
}
