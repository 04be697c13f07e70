//! What an account may keep, in the family's codes.

use super::{Wire, code_and_message, code_of};
use crate::testkit::{ACCOUNT, TestNode};
use engine::account_limits::AccountLimits;
use futures_util::future::join_all;
use serde_json::json;

/// How many templates the account of the tests has from its file.
async fn given() -> usize {
    TestNode::start()
        .await
        .engine
        .catalog()
        .templates_of(ACCOUNT)
        .count()
}

#[tokio::test]
async fn of_many_requests_at_once_only_so_many_make_a_template() {
    let given = given().await;
    let node = TestNode::with_room_for(AccountLimits {
        templates_max: given + 3,
        ..AccountLimits::default()
    })
    .await;
    let wires = [Wire::Rest, Wire::Action, Wire::Ucloud];
    let requested = wires.iter().cycle().take(12).enumerate().map(|(no, wire)| {
        let params =
            json!({"Purpose": 1, "TemplateName": format!("t{no}"), "Template": "Code {1}", "Remark": "r"});
        let node = &node;
        async move { (*wire, wire.ask(node, "CreateUSMSTemplate", &params).await) }
    });
    let answers = join_all(requested).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|(_, answer)| code_of(answer) == 0);
    assert_eq!(made.len(), 3);
    for (wire, answer) in refused {
        let expected = match wire {
            Wire::Ucloud => (18_003, "Too many of the kind: template".to_owned()),
            _ => (215_392, "Too many templates".to_owned()),
        };
        assert_eq!(code_and_message(answer), expected, "{wire:?}");
    }
    assert_eq!(node.engine.catalog().templates_of(ACCOUNT).count(), given + 3);
    let text = node.metrics();
    assert!(
        text.contains("postrider_limit_reached_total{limit=\"templates_max\"}"),
        "{text}"
    );
}

#[tokio::test]
async fn an_account_above_the_bound_keeps_what_it_has_and_changes_it() {
    let node = TestNode::with_room_for(AccountLimits {
        templates_max: 1,
        ..AccountLimits::default()
    })
    .await;
    let before = node.engine.catalog().templates_of(ACCOUNT).count();
    assert!(before > 1);
    let params = json!({"Purpose": 1, "TemplateName": "one more", "Template": "Code {1}", "Remark": "r"});
    let answer = Wire::Rest.ask(&node, "CreateUSMSTemplate", &params).await;
    assert_eq!(code_of(&answer), 215_392);
    let id = crate::testkit::ut_id(crate::testkit::PLAIN);
    let edit =
        json!({"TemplateId": id, "TemplateName": "renamed", "Template": "Code {1}", "Instruction": "r"});
    let answer = Wire::Rest.ask(&node, "UpdateUSMSTemplate", &edit).await;
    assert_eq!(code_of(&answer), 0, "{}", answer.body);
}

#[tokio::test]
async fn files_take_so_much_room_in_all() {
    let node = TestNode::with_room_for(AccountLimits {
        files_bytes_max: 12,
        ..AccountLimits::default()
    })
    .await;
    // Five octets each.
    let file = json!({"FileName": "a.png", "FileContent": "aGVsbG8=", "Source": 0});
    let requested = (0..6).map(|_| Wire::Ucloud.ask(&node, "UploadUSMSFile", &file));
    let answers = join_all(requested).await;
    let (kept, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| code_of(answer) == 0);
    assert_eq!(kept.len(), 2);
    for answer in refused {
        assert_eq!(
            code_and_message(answer),
            (
                18_003,
                "The files of the account take all the room there is for them".to_owned()
            )
        );
    }
    assert!(node.metrics().contains("limit=\"files_bytes_max\""));
}
