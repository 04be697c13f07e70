//! `postrider task`: shows and cancels sends to contact lists.

use crate::testkit::{Dev, curl, eventually, folder, json, run, said};
use serde_json::Value;

/// Calls SendCloud's interface as the demo account; returns the `info` of a successful response.
fn ask(dev: &Dev, path: &str, fields: &[(&str, &str)]) -> Value {
    let answer = dev.sendcloud("demo", &dev.text("/sendcloud/sms_key"), path, fields);
    assert_eq!(answer["statusCode"], 200, "{answer}");
    answer["info"].clone()
}

/// A list with two members.
fn with_list(dev: &Dev) {
    ask(
        dev,
        "/smsapi/smsContactList/save",
        &[("contactListName", "spring")],
    );
    for phone in ["13800138001", "13800138002"] {
        let fields = [("contactListName", "spring"), ("phone", phone)];
        ask(dev, "/smsapi/smsContactListMember/saveOrUpdate", &fields);
    }
}

/// A send to that list, at a time (in China).
fn with_task(dev: &Dev, at: Option<&str>) -> String {
    let template = dev.text("/templates/plain/number");
    let mut fields = vec![
        ("contactListName", "spring"),
        ("taskName", "greeting"),
        ("templateId", template.as_str()),
    ];
    fields.extend(at.map(|at| ("executeTime", at)));
    ask(dev, "/smsapi/sendContactListTask", &fields)["smsTask"]["taskId"].to_string()
}

fn state(dev: &Dev, no: &str) -> Value {
    json(&said(&dev.tool(&["task", "show", no, "--json"])))["state"].clone()
}

#[test]
fn a_scheduled_task_is_shown_and_cancelled() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    assert_eq!(
        said(&dev.tool(&["task", "list"])),
        "no scheduled or running tasks\n"
    );
    with_list(&dev);
    let no = with_task(&dev, Some("2099-01-01 08:00:00"));
    let list = said(&dev.tool(&["task", "list"]));
    for part in ["MEMBERS", "demo", "waiting", "greeting"] {
        assert!(list.contains(part), "{part} is not in:\n{list}");
    }
    let shown = said(&dev.tool(&["task", "show", &no]));
    for part in [
        "waiting",
        "(spring)",
        "members    2",
        "[Postrider]Hello from Postrider.",
    ] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
    let cancelled = dev.tool(&["task", "cancel", &no]);
    assert!(cancelled.status.success(), "{}", said(&cancelled));
    assert_eq!(state(&dev, &no), "cancelled");
    assert_eq!(
        said(&dev.tool(&["task", "list"])),
        "no scheduled or running tasks\n"
    );
    let all = said(&dev.tool(&["task", "list", "--all"]));
    assert!(all.contains("cancelled") && all.contains("NAME"), "{all}");

    let again = dev.tool(&["task", "cancel", &no]);
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("has ended already"), "{}", said(&again));
    let unknown = dev.tool(&["task", "cancel", "999"]);
    assert_eq!(
        (unknown.status.code(), said(&unknown).contains("no task 999")),
        (Some(2), true)
    );
    let unknown = dev.tool(&["task", "show", "999"]);
    assert_eq!(
        (unknown.status.code(), said(&unknown).as_str()),
        (Some(3), "no such task\n")
    );
    assert_eq!(
        json(&curl(&[&format!("{}/sandbox/messages", dev.base())])),
        Value::Array(Vec::new())
    );
}

#[test]
fn a_task_that_is_due_sends_to_every_member_and_says_so() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    with_list(&dev);
    let no = with_task(&dev, None);
    eventually("the task to end", || (state(&dev, &no) == "done").then_some(()));
    let document = json(&said(&dev.tool(&["task", "show", &no, "--json"])));
    assert_eq!(
        (&document["accepted"], &document["refused"]),
        (&Value::from(2), &Value::from(0))
    );
}

#[test]
fn a_task_is_cancelled_while_no_node_runs() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    with_list(&dev);
    let no = with_task(&dev, Some("2099-01-01 08:00:00"));
    let Dev { running, data, .. } = dev;
    assert!(running.stop().success());
    let cancelled = run(&["task", "cancel", &no, "--data", data.to_str().unwrap()]);
    assert!(cancelled.status.success(), "{}", said(&cancelled));
    let dev = Dev::start(folder.path());
    assert_eq!(state(&dev, &no), "cancelled");
}
