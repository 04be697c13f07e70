//! `postrider dev` as a new user runs it.

use crate::testkit::{Dev, curl, eventually, folder, json, run, said, sh, status_of};
use serde_json::Value;

/// Title, sending command and status command of each example on the banner.
fn examples(banner: &str) -> Vec<(String, String, String)> {
    let sections = banner.split("\n# ").skip(1).collect::<Vec<_>>().join("\n# ");
    let mut examples = Vec::new();
    for section in sections.split("\n\n") {
        let Some((title, rest)) = section.trim_start_matches("# ").split_once('\n') else {
            continue;
        };
        let Some((send, rest)) = rest.split_once("\n# Status query") else {
            continue;
        };
        let Some((_, status)) = rest.split_once('\n') else {
            continue;
        };
        examples.push((title.to_owned(), send.to_owned(), status.to_owned()));
    }
    examples
}

/// The id a sending answer gives, wherever its dialect puts it.
fn id_of(answer: &Value) -> String {
    let places = ["/SessionNo/0", "/SessionNo", "/info/smsIds/0", "/sms_ids/0"];
    let id = places.iter().find_map(|place| answer.pointer(place)?.as_str());
    id.unwrap_or_else(|| panic!("no id in {answer}")).to_owned()
}

/// Whether a status answer says that the message arrived.
fn arrived(answer: &Value) -> bool {
    answer
        .pointer("/Data/0/ReceiptSet/0/ReceiptResult")
        .is_some_and(|result| result == "Success")
        || answer
            .pointer("/info/voList/0/status")
            .is_some_and(|status| status == "送达")
        || answer
            .pointer("/result/0/status")
            .is_some_and(|status| *status == 2)
}

#[test]
fn every_command_on_the_banner_sends_and_its_status_query_reports_success() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let examples = examples(&dev.banner);
    let titles: Vec<&str> = examples.iter().map(|(title, ..)| title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "uSpeedo REST v1",
            "uSpeedo Action",
            "UCloud",
            "SendCloud",
            "EngageLab"
        ]
    );
    let sent: Vec<(String, String)> = examples
        .iter()
        .map(|(_, send, status)| (id_of(&json(&sh(send, ""))), status.clone()))
        .collect();
    // Six recipients: five examples, one of them with two.
    let inbox = format!("{}/sandbox/messages", dev.base());
    let delivered = eventually("six deliveries", || {
        let delivered = json(&curl(&[&inbox]));
        (delivered.as_array()?.len() == 6).then_some(delivered)
    });
    for message in delivered.as_array().unwrap() {
        assert!(
            message["text"]
                .as_str()
                .unwrap()
                .contains("Your verification code is 123456."),
            "{message}"
        );
    }
    let shown = dev.running.out.wait_for("+85255311111");
    assert!(
        shown.contains("【Postrider】Your verification code is 123456."),
        "{shown}"
    );
    // SendCloud remembers an answer for ten minutes, as its documentation says: ask it when the others have arrived.
    let (late, early): (Vec<_>, Vec<_>) = sent.iter().partition(|(_, status)| status.contains("/smsapi/"));
    for (id, status) in early.iter().chain(&late) {
        eventually("the receipt", || arrived(&json(&sh(status, id))).then_some(()));
    }
}

#[test]
fn the_documented_uspeedo_command_works_with_only_host_keys_template_and_sender_replaced() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    // The uSpeedo REST v1 document as it is published, with its line ends lost.
    let documented = r#"curl -X POST "https://api.uspeedo.com/api/v1/usms/SendBatchUSMSMessage" \-H "Content-Type: application/json" \-H "Accept: application/json" \-H "Authorization: Basic $(echo -n 'ACCESSKEY_ID:ACCESSKEY_SECRET' | base64)" \-d '{"TaskContent": [{"TemplateId": "template_id_1","SenderId": "uSpeedo","Target": [{"Phone": "13800138000","TemplateParams": ["123456"]}]}]}'"#;
    let command = documented
        .replace("https://api.uspeedo.com", dev.base())
        .replace("ACCESSKEY_ID", &dev.text("/uspeedo/access_key_id"))
        .replace("ACCESSKEY_SECRET", &dev.text("/uspeedo/access_key_secret"))
        .replace("template_id_1", &dev.text("/templates/code/ut_id"));
    let answer = json(&sh(&command, ""));
    assert_eq!(answer["RetCode"], 0, "{answer}");
    assert_eq!(answer["SessionNo"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer["FailedTargetPhones"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_restart_keeps_credentials_templates_and_messages() {
    let folder = folder();
    let first = Dev::start(folder.path());
    let session = first.send_for_session("+447700900123");
    let credentials = [
        "/uspeedo",
        "/ucloud",
        "/sendcloud",
        "/engagelab",
        "/templates",
        "/account_id",
    ];
    let before: Vec<Value> = credentials
        .iter()
        .map(|part| first.demo.pointer(part).unwrap().clone())
        .collect();
    let terminal = first.running.out.clone();
    assert!(first.running.stop().success());
    terminal.wait_for("Stopped. All data is in ");

    let second = Dev::start(folder.path());
    let after: Vec<Value> = credentials
        .iter()
        .map(|part| second.demo.pointer(part).unwrap().clone())
        .collect();
    assert_eq!(before, after);
    let status = said(&second.tool(&["status", &session]));
    assert!(status.contains("to +447700900123  delivered"), "{status}");
}

#[test]
fn the_inbox_waits_filters_and_deletes() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let inbox = format!("{}/sandbox/messages", dev.base());
    let waiting = {
        let url = format!("{inbox}?to=%2B447700900124&wait=30");
        std::thread::spawn(move || json(&curl(&[&url])))
    };
    dev.send("+447700900123");
    dev.send("+447700900124");
    let found = waiting.join().unwrap();
    assert_eq!(found.as_array().map(Vec::len), Some(1));
    assert_eq!(found[0]["to"], "+447700900124");
    assert_eq!(found[0]["text"], "[Postrider]Your verification code is 4711.");
    assert_eq!(
        (&found[0]["segments"], &found[0]["class"]),
        (&Value::from(1), &Value::from("otp"))
    );

    let all = eventually("both deliveries", || {
        let all = json(&curl(&[&inbox]));
        (all.as_array()?.len() == 2).then_some(all)
    });
    let newest = json(&curl(&[&format!("{inbox}?limit=1")]));
    assert_eq!(newest[0], all[0]);
    let after = json(&curl(&[&format!(
        "{inbox}?after={}",
        all[1]["id"].as_str().unwrap()
    )]));
    assert_eq!(after.as_array().map(Vec::len), Some(1));
    // A plus that was not encoded arrives as a blank; it is meant as a plus.
    let unencoded = json(&curl(&[&format!("{inbox}?to=+447700900123")]));
    assert_eq!(unencoded.as_array().map(Vec::len), Some(1));

    curl(&["-X", "DELETE", &inbox]);
    assert_eq!(json(&curl(&[&inbox])), Value::Array(Vec::new()));
}

#[test]
fn health_and_metrics_have_a_listener_of_their_own() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    dev.send("+447700900123");
    assert_eq!(status_of(&format!("{}/livez", dev.metrics())), "200");
    assert_eq!(status_of(&format!("{}/readyz", dev.metrics())), "200");
    assert_ne!(status_of(&format!("{}/metrics", dev.base())), "200");
    let metrics = curl(&[&format!("{}/metrics", dev.metrics())]);
    let expected = [
        "process_resident_memory_bytes ",
        "postrider_accepted_total{dialect=\"uspeedo_rest\"} 1",
        "postrider_http_requests_total{api=\"uspeedo_rest\",status=\"200\"} 1",
        "postrider_http_connections ",
        "postrider_store_commit_seconds_bucket{le=\"0.001\"}",
        "postrider_carrier_info{carrier=\"1\",name=\"sandbox\"} 1",
        "postrider_messages{state=\"queued\"} 0",
    ];
    for line in expected {
        assert!(metrics.contains(line), "{line} is not in:\n{metrics}");
    }
    assert!(
        !metrics.contains("447700900123"),
        "a number must not be in the metrics"
    );
}

#[test]
fn a_second_node_on_the_same_store_is_refused() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let data = dev.data.to_str().unwrap();
    let second = run(&[
        "dev",
        "--data",
        data,
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
    ]);
    assert_eq!(second.status.code(), Some(1));
    assert!(said(&second).contains("in use"), "{}", said(&second));
}

#[test]
fn a_requested_address_in_use_is_reported() {
    let (first, second) = (folder(), folder());
    let dev = Dev::start(first.path());
    let taken = dev.base().trim_start_matches("http://");
    let data = second.path().to_str().unwrap();
    let refused = run(&[
        "dev",
        "--data",
        data,
        "--listen",
        taken,
        "--metrics-listen",
        "127.0.0.1:0",
    ]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains(&format!("listen on {taken} (`api.listen`)")),
        "{}",
        said(&refused)
    );
}
