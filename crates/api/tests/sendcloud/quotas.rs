//! What an account may keep, in SendCloud's codes.

use super::contacts::{save_list, save_member};
use super::*;
use engine::directory::DirectoryLimits;
use futures_util::future::join_all;

const FULL: (u64, &str) = (601, "数量已达上限");

#[tokio::test]
async fn templates_and_signatures_are_bounded() {
    let house = House::with_room_for(DirectoryLimits {
        templates_max: 1,
        signatures_max: 1,
        ..DirectoryLimits::default()
    })
    .await;
    let template = [
        ("templateName", "t1"),
        ("templateText", "Your parcel %no% is here"),
        ("signName", "Example"),
        ("signPositionStr", "0"),
        ("smsTypeStr", "1"),
    ];
    let told = ask(&house, "/smsapi/addsms", &template).await;
    assert_eq!((told.code, &*told.message), FULL);
    let signature = [("signType", "0"), ("signName", "Another")];
    let told = ask(&house, "/smsapi/sign/save", &signature).await;
    assert_eq!((told.code, &*told.message), FULL);
    let text = house.metrics();
    assert!(text.contains("limit=\"templates_max\"") && text.contains("limit=\"signatures_max\""));
}

#[tokio::test]
async fn members_of_all_lists_and_open_tasks_are_bounded() {
    let house = House::with_room_for(DirectoryLimits {
        account_contacts_max: 3,
        open_tasks_max: 2,
        ..DirectoryLimits::default()
    })
    .await;
    save_list(&house, "one").await;
    save_list(&house, "two").await;
    save_member(&house, "one", "13800138000", "{}").await;
    save_member(&house, "one", "13800138001", "{}").await;
    let phones = ["13800138002", "13800138003", "13800138004"];
    let puts = phones.map(|phone| [("contactListName", "two"), ("phone", phone), ("vars", "{}")]);
    let asked = puts
        .iter()
        .map(|pairs| ask(&house, "/smsapi/smsContactListMember/saveOrUpdate", pairs));
    let told = join_all(asked).await;
    let refused: Vec<_> = told.iter().filter(|told| told.code != 200).collect();
    assert_eq!(refused.len(), 2);
    for told in refused {
        assert_eq!((told.code, &*told.message), FULL);
    }

    let later = [
        ("contactListName", "one"),
        ("taskName", "t"),
        ("templateId", "1003"),
        ("executeTime", "2099-01-01 00:00:00"),
    ];
    let asked = (0..5).map(|_| ask(&house, "/smsapi/sendContactListTask", &later));
    let told = join_all(asked).await;
    let refused: Vec<_> = told.iter().filter(|told| told.code != 200).collect();
    assert_eq!(
        refused.len(),
        3,
        "{:?}",
        told.iter().map(|told| told.code).collect::<Vec<_>>()
    );
    for told in refused {
        assert_eq!((told.code, &*told.message), FULL);
    }
    let text = house.metrics();
    assert!(text.contains("limit=\"account_contacts_max\"") && text.contains("limit=\"open_tasks_max\""));
}
