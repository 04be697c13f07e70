//! Why a message failed or a recipient was refused, as each front shows it.

use crate::receiver::Receiver;
use crate::testkit::{Dev, curl, eventually, folder, json, said};
use serde_json::Value;
use std::collections::HashSet;

/// The sandbox's numbers that fail, with the reason of each.
const FAILING: [(&str, &str, u64); 6] = [
    ("+10000000001", "carrier_refused_number", 2001),
    ("+10000000011", "carrier_refused_blocked", 2004),
    ("+10000000012", "carrier_refused_unsubscribed", 2005),
    ("+10000000099", "carrier_refused_frequency", 2006),
    ("+10000000002", "phone_unreachable", 2205),
    ("+10000000018", "phone_off", 2206),
];

#[test]
fn the_magic_numbers_have_their_reasons_in_status_and_webhook() {
    let folder = folder();
    let receiver = Receiver::start();
    let dev = Dev::start_with(folder.path(), &["--webhook", &receiver.url]);
    let mut sentences = HashSet::new();
    for (number, name, code) in FAILING {
        let session = dev.send_for_session(number);
        let calls = receiver.wait_for(name, 1, |call| {
            call.kind() == "message.failed" && call.to() == number
        });
        let data = calls[0].json()["data"].clone();
        let reason = &data["reason"];
        assert_eq!(reason["name"], name, "{data}");
        assert_eq!(reason["code"], code);
        assert!(sentences.insert(reason["message"].as_str().unwrap().to_owned()));
        let by_carrier = (2000..2100).contains(&code);
        assert_eq!(reason["carrier_status"].is_u64(), by_carrier, "{data}");
        assert_eq!(reason["carrier_status_name"].is_string(), by_carrier, "{data}");
        // `error` stays what it was: the receipt's code.
        assert_eq!(data["error"].is_null(), by_carrier, "{data}");

        let shown = dev.tool(&["status", &session, "--json"]);
        let status = json(&String::from_utf8_lossy(&shown.stdout));
        assert_eq!(&status["messages"][0]["reason"], reason, "one reason everywhere");
        let lines = said(&dev.tool(&["status", &session]));
        assert!(lines.contains(&format!("reason {code} {name}: ")), "{lines}");
    }
    let refused = dev.send_for_session("+10000000001");
    let lines = eventually("the refusal", || {
        let lines = said(&dev.tool(&["status", &refused]));
        lines.contains("reason").then_some(lines)
    });
    assert!(
        lines.contains("answered ESME_RINVDSTADR 0xB: destination address is invalid"),
        "{lines}"
    );
    let delivered = receiver_of_good(&dev, &receiver);
    assert!(delivered["reason"].is_null(), "{delivered}");
}

fn receiver_of_good(dev: &Dev, receiver: &Receiver) -> Value {
    dev.send_for_session("+10000000010");
    let calls = receiver.wait_for("a delivery", 1, |call| call.kind() == "message.delivered");
    calls[0].json()["data"].clone()
}

#[test]
fn refusals_and_wrong_credentials_are_counted_by_reason_and_logged_without_the_number() {
    let folder = folder();
    let dev = Dev::start_with(folder.path(), &["--log", "info"]);
    // Series are there before anything happens.
    let metrics = || curl(&[&format!("{}/metrics", dev.metrics())]);
    let before = metrics();
    for line in [
        "postrider_refused_total{dialect=\"uspeedo_rest\",reason=\"number_invalid\"} 0",
        "postrider_denied_requests_total{dialect=\"sendcloud\",reason=\"wrong_secret\"} 0",
        "postrider_account_accepted_total{account=\"demo\"} 0",
    ] {
        assert!(before.contains(line), "{line} is not in:\n{before}");
    }
    dev.send("+44770090012345678");
    let log = dev.running.err.wait_for("recipient refused");
    assert!(log.contains("reason=number_invalid"), "{log}");
    assert!(
        log.contains("+44770********56") && !log.contains("4477009001"),
        "{log}"
    );

    let url = format!("{}/v1/send", dev.base());
    curl(&["-u", "nobody:secret", "-d", "{}", &url]);
    let user = dev.text("/engagelab/sms_user");
    curl(&["-u", &format!("{user}:guess"), "-d", "{}", &url]);
    let log = dev.running.err.wait_for("reason=wrong_secret");
    assert!(
        log.contains("credentials rejected") && log.contains("account=\"demo\""),
        "{log}"
    );
    assert!(!log.contains("nobody") && !log.contains("guess"), "{log}");
    for line in [
        "postrider_refused_total{dialect=\"uspeedo_rest\",reason=\"number_invalid\"} 1",
        "postrider_account_refused_total{account=\"demo\"} 1",
        "postrider_denied_requests_total{dialect=\"engagelab_a\",reason=\"unknown_key\"} 1",
        "postrider_denied_requests_total{dialect=\"engagelab_a\",reason=\"wrong_secret\"} 1",
    ] {
        // A page may be a second old.
        eventually(line, || metrics().contains(line).then_some(()));
    }
}
