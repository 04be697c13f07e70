//! Replies: from SMPP to the webhook of their account.

use crate::receiver::Receiver;
use crate::testkit::{Dev, curl, eventually, folder, json, said};
use serde_json::Value;
use sim::smsc::{Inbound, Order, Smsc, SmscConfig, SmscHandle};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A carrier that runs for as long as the test does.
struct Carrier {
    smsc: SmscHandle,
    _runtime: Runtime,
}

impl Carrier {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let smsc = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            Smsc::start(SmscConfig::default(), listener).unwrap()
        });
        Self {
            smsc,
            _runtime: runtime,
        }
    }

    /// Sends an inbound message.
    fn bring(&self, from: &str, to: &str, text: &str) {
        let written = Inbound {
            system_id: "postrider".to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            text: text.to_owned(),
        };
        self.smsc.control(Order::Inbound(written)).unwrap();
    }
}

/// Sends British messages over this carrier.
fn with_carrier(dev: &Dev, carrier: &Carrier) {
    let port = carrier.smsc.local_addr().port();
    let text = format!(
        "[[carrier]]\nname = \"north\"\ntype = \"smpp\"\nhost = \"127.0.0.1\"\nport = {port}\nsystem_id = \"postrider\"\n\
         password = \"secret\"\n[[route]]\nprefixes = [\"44\"]\ncarriers = [\"north\"]\n"
    );
    let file = dev.data.join("carrier.toml");
    std::fs::write(&file, text).unwrap();
    let applied = dev.tool(&["apply", file.to_str().unwrap()]);
    assert!(applied.status.success(), "{}", said(&applied));
    let metrics = format!("{}/metrics", dev.metrics());
    eventually("the session", || {
        curl(&[&metrics])
            .contains("postrider_binds{carrier=\"2\"} 1")
            .then_some(())
    });
}

#[test]
fn replies_are_delivered_to_the_account_that_wrote_and_stop_opts_out() {
    let (folder, receiver, carrier) = (folder(), Receiver::start(), Carrier::start());
    let dev = Dev::start_with(folder.path(), &["--webhook", &receiver.url]);
    with_carrier(&dev, &carrier);
    dev.send_for_session("+447700900150");
    receiver.wait_for("delivery", 1, |call| call.kind() == "message.delivered");

    let long = "A long answer. ".repeat(20);
    carrier.bring("447700900150", "10690", &long);
    let calls = receiver.wait_for("the answer", 1, |call| call.kind() == "message.received");
    let data = &calls[0].json()["data"];
    assert_eq!(data["text"], Value::from(long), "its parts are put together");
    assert_eq!(
        (&data["from"], &data["to"]),
        (&"447700900150".into(), &"10690".into())
    );
    calls[0].assert_signed_with(&dev.text("/webhook/secret"));

    carrier.bring("447700900150", "10690", "stop");
    receiver.wait_for("the word", 2, |call| call.kind() == "message.received");
    // This API rejects opted-out recipients.
    assert_eq!(dev.send("+447700900150")["RetCode"], 215392);
    assert_eq!(dev.send("+447700900151")["RetCode"], 0);
    let listed = said(&dev.tool(&["inbound", "list", "--number", "00447700900150", "--since", "1h"]));
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(
        lines.len(),
        3,
        "a head and two messages, the newest first:\n{listed}"
    );
    assert!(
        lines[1].ends_with("stop") && lines[1].contains("demo"),
        "{listed}"
    );
    assert!(lines[2].contains("A long answer."), "{listed}");
    let one = json(&said(&dev.tool(&[
        "inbound",
        "list",
        "--account",
        "demo",
        "--limit",
        "1",
        "--json",
    ])));
    assert_eq!(one["inbound"][0]["text"], "stop");
    // Ids are more than a number in JavaScript holds.
    assert!(one["inbound"][0]["id"].is_string() && one["inbound"][0]["answers"].is_string());
    assert_eq!(one["inbound"][0]["binary"], Value::Null);
    let before = one["next_before"].as_str().unwrap();
    let older = json(&said(
        &dev.tool(&["inbound", "list", "--before", before, "--json"]),
    ));
    assert_eq!(
        (older["inbound"].as_array().map(Vec::len), &older["next_before"]),
        (Some(1), &Value::Null)
    );
    for none in [
        &["--number", "+447700900199"][..],
        &["--unassigned"],
        &["--since", "2100-01-01"],
    ] {
        let listed = said(&dev.tool(&[&["inbound", "list"], none].concat()));
        assert_eq!(listed, "no inbound messages\n", "{none:?}");
    }
    for wrong in [
        &["--since", "soon"][..],
        &["--limit", "0"],
        &["--account", "nobody"],
    ] {
        let refused = dev.tool(&[&["inbound", "list"], wrong].concat());
        assert_eq!(refused.status.code(), Some(2), "{wrong:?}");
    }
    carrier.bring("447700900150", "10690", "Start.");
    receiver.wait_for("the other word", 3, |call| call.kind() == "message.received");
    assert_eq!(dev.send("+447700900150")["RetCode"], 0);
    // The sender is not logged.
    assert!(!dev.running.err.so_far().contains("447700900150"));
}
