//! What an account may keep, in SendCloud's codes.

use super::contacts::{save_list, save_member};
use super::*;
use engine::account_limits::AccountLimits;
use futures_util::future::join_all;

const FULL: (u64, &str) = (601, "数量已达上限");

#[tokio::test]
async fn templates_and_signatures_are_bounded() {
    let node = TestNode::with_room_for(AccountLimits {
        templates_max: 1,
        signatures_max: 1,
        ..AccountLimits::default()
    })
    .await;
    let template = [
        ("templateName", "t1"),
        ("templateText", "Your parcel %no% is here"),
        ("signName", "Example"),
        ("signPositionStr", "0"),
        ("smsTypeStr", "1"),
    ];
    let reported = ask(&node, "/smsapi/addsms", &template).await;
    assert_eq!((reported.code, &*reported.message), FULL);
    let signature = [("signType", "0"), ("signName", "Another")];
    let reported = ask(&node, "/smsapi/sign/save", &signature).await;
    assert_eq!((reported.code, &*reported.message), FULL);
    let text = node.metrics();
    assert!(text.contains("limit=\"templates_max\"") && text.contains("limit=\"signatures_max\""));
}

#[tokio::test]
async fn members_of_all_lists_and_open_tasks_are_bounded() {
    let node = TestNode::with_room_for(AccountLimits {
        account_contacts_max: 3,
        open_tasks_max: 2,
        ..AccountLimits::default()
    })
    .await;
    save_list(&node, "one").await;
    save_list(&node, "two").await;
    save_member(&node, "one", "13800138000", "{}").await;
    save_member(&node, "one", "13800138001", "{}").await;
    let phones = ["13800138002", "13800138003", "13800138004"];
    let puts = phones.map(|phone| [("contactListName", "two"), ("phone", phone), ("vars", "{}")]);
    let requested = puts
        .iter()
        .map(|pairs| ask(&node, "/smsapi/smsContactListMember/saveOrUpdate", pairs));
    let reported = join_all(requested).await;
    let refused: Vec<_> = reported.iter().filter(|reported| reported.code != 200).collect();
    assert_eq!(refused.len(), 2);
    for reported in refused {
        assert_eq!((reported.code, &*reported.message), FULL);
    }

    let later = [
        ("contactListName", "one"),
        ("taskName", "t"),
        ("templateId", "1003"),
        ("executeTime", "2099-01-01 00:00:00"),
    ];
    let requested = (0..5).map(|_| ask(&node, "/smsapi/sendContactListTask", &later));
    let reported = join_all(requested).await;
    let refused: Vec<_> = reported.iter().filter(|reported| reported.code != 200).collect();
    assert_eq!(
        refused.len(),
        3,
        "{:?}",
        reported.iter().map(|reported| reported.code).collect::<Vec<_>>()
    );
    for reported in refused {
        assert_eq!((reported.code, &*reported.message), FULL);
    }
    let text = node.metrics();
    assert!(text.contains("limit=\"account_contacts_max\"") && text.contains("limit=\"open_tasks_max\""));
}
