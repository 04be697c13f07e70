//! Webhooks: set up, called, and operated with a running node and without one.

use crate::receiver::{Call, Receiver};
use crate::testkit::{Dev, Running, eventually, folder, json, postrider, run, said, written};
use serde_json::Value;

/// Sets up a webhook of the demo account for the events `ended`.
fn with_webhook(dev: &Dev, format: &str, url: &str) {
    let text = format!(
        "[[account]]\nname = \"demo\"\nauto_approve = true\n[[account.webhook]]\nname = \"crm\"\nformat = {format:?}\n\
         url = {url:?}\nevents = [\"ended\"]\nsecret = \"whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw==\"\n"
    );
    let applied = dev.tool(&["apply", &written(&dev.data, "catalog.toml", &text)]);
    assert!(applied.status.success(), "{}", said(&applied));
    assert!(
        said(&applied).contains("+ webhook demo/crm"),
        "{}",
        said(&applied)
    );
    // Events are appended only for endpoints that exist when they happen.
    eventually("the node to take the webhook over", || {
        let metrics = crate::testkit::curl(&[&format!("{}/metrics", dev.metrics())]);
        metrics.contains("name=\"crm\"").then_some(())
    });
}

/// The only webhook in the output of `webhook list --json`.
fn listed(dev: &Dev) -> Value {
    let list = json(&said(&dev.tool(&["webhook", "list", "--json"])));
    assert_eq!(list["webhooks"].as_array().map(Vec::len), Some(1), "{list}");
    list["webhooks"][0].clone()
}

fn done(dev: &Dev, arguments: &[&str]) -> String {
    let output = dev.tool(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

fn about(number: &str) -> impl Fn(&Call) -> bool {
    move |call| call.to() == number
}

#[test]
fn a_trial_sends_events_to_a_url_signed_as_standard_webhooks() {
    let folder = folder();
    let receiver = Receiver::start();
    let dev = Dev::start_with(folder.path(), &["--webhook", &receiver.url]);
    let secret = dev.text("/webhook/secret");
    assert_eq!(
        (dev.text("/webhook/url"), dev.text("/webhook/format")),
        (receiver.url.clone(), "standard".to_owned())
    );
    assert!(
        dev.banner.contains(&receiver.url)
            && dev.banner.contains(&secret)
            && dev.banner.contains("standardwebhooks.com"),
        "{}",
        dev.banner
    );
    let session = dev.send_for_session("+447700900123");
    let calls = receiver.wait_for("a whole message", 3, |_| true);
    for call in &calls {
        assert_eq!(call.first_line, "POST /hook HTTP/1.1");
        assert_eq!(call.header("content-type"), "application/json");
        call.assert_signed_with(&secret);
        assert_eq!(call.json()["data"]["session"], Value::from(session.as_str()));
    }
    let mut kinds: Vec<String> = calls.iter().map(Call::kind).collect();
    let place = |kind: &str| kinds.iter().position(|one| one == kind).unwrap();
    assert!(
        place("message.submitted") < place("message.delivered"),
        "{kinds:?}"
    );
    kinds.sort();
    assert_eq!(
        kinds,
        ["message.accepted", "message.delivered", "message.submitted"]
    );

    // The key is the same after a restart, and a run without the option sends no events.
    assert!(dev.running.stop().success());
    let quiet = Dev::start(folder.path());
    assert!(quiet.demo.get("webhook").is_none());
    assert!(said(&quiet.tool(&["webhook", "list"])).contains(" off "));
    quiet.send_for_session("+447700900124");
    assert!(quiet.running.stop().success());
    let again = Dev::start_with(folder.path(), &["--webhook", &receiver.url]);
    assert_eq!(again.text("/webhook/secret"), secret);
    receiver.wait_for("what happened meanwhile", 1, |call| {
        call.kind() == "message.delivered" && call.to() == "+447700900124"
    });
}

#[test]
fn a_url_that_cannot_be_called_is_refused_before_anything_is_made() {
    let folder = folder();
    let data = folder.path().join("data");
    let refused = run(&[
        "dev",
        "--data",
        data.to_str().unwrap(),
        "--webhook",
        "hook.example",
    ]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        said(&refused).contains("--webhook: `url` \"hook.example\""),
        "{}",
        said(&refused)
    );
    assert!(!data.exists());
}

#[test]
fn an_applied_webhook_gets_events_is_paused_resumed_and_replayed() {
    let folder = folder();
    let receiver = Receiver::start();
    let dev = Dev::start(folder.path());
    with_webhook(&dev, "standard", &receiver.url);
    dev.send("+447700900101");
    let first = receiver.wait_for("the end of a message", 1, about("+447700900101"));
    assert_eq!(first[0].kind(), "message.delivered");
    first[0].assert_signed_with("whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw==");
    eventually("the delivery of all events", || {
        listed(&dev)["behind_since"].is_null().then_some(())
    });
    let table = said(&dev.tool(&["webhook", "list"]));
    for part in ["WEBHOOK", "demo/crm", "standard", " all ", " on ", &receiver.url] {
        assert!(table.contains(part), "{part} is not in:\n{table}");
    }
    assert!(!table.contains("c2VjcmV0"), "a secret shows:\n{table}");

    let paused = done(
        &dev,
        &["webhook", "pause", "demo/crm", "--reason", "they are moving"],
    );
    assert!(paused.contains("webhook demo/crm is paused"), "{paused}");
    dev.send("+447700900102");
    eventually("the end of a message without a call", || {
        listed(&dev)["behind_since"].is_string().then_some(())
    });
    assert_eq!(listed(&dev)["pause"]["reason"], "they are moving");
    assert!(said(&dev.tool(&["webhook", "list"])).contains("demo/crm is paused: they are moving"));
    assert!(!receiver.calls().iter().any(about("+447700900102")));

    done(&dev, &["webhook", "resume", "crm"]);
    receiver.wait_for("what happened during the pause", 1, about("+447700900102"));
    assert_eq!(listed(&dev)["pause"], Value::Null);

    done(&dev, &["webhook", "replay", "crm", "--from", "1h"]);
    let again = receiver.wait_for("the first message once more", 2, about("+447700900101"));
    assert_eq!(again[0].header("webhook-id"), again[1].header("webhook-id"));
    assert_eq!(again[0].body, again[1].body);
}

#[test]
fn dead_calls_are_listed_and_resent() {
    let folder = folder();
    let receiver = Receiver::start();
    receiver.answer_with(500, "sorry");
    let dev = Dev::start(folder.path());
    // Three more tries, a second apart.
    with_webhook(&dev, "uspeedo", &receiver.url);
    dev.send("+447700900103");
    eventually("a dead call", || (listed(&dev)["dead"] == 1).then_some(()));
    assert_eq!(receiver.calls().len(), 4);
    let dead = json(&done(&dev, &["webhook", "dead", "crm", "--json"]));
    let call = &dead["calls"][0];
    assert_eq!((&call["tries"], &call["due"]), (&Value::from(4), &Value::Null));
    assert!(call["error"].as_str().unwrap().contains("500"), "{call}");
    let last = listed(&dev)["last_error"].clone();
    assert_eq!(last["message"], call["error"], "{last}");
    let table = done(&dev, &["webhook", "list"]);
    let line = format!(": {}\n", call["error"].as_str().unwrap());
    assert!(
        table.contains("demo/crm last failed at ") && table.contains(&line),
        "{table}"
    );
    assert!(
        call["events"][0]["about"]
            .as_str()
            .unwrap()
            .ends_with(" delivered"),
        "{call}"
    );
    let table = done(&dev, &["webhook", "dead", "crm"]);
    assert!(
        table.contains("LAST ERROR") && table.contains(" never "),
        "{table}"
    );
    let unknown = dev.tool(&["webhook", "resend", "crm", "99"]);
    assert_eq!(unknown.status.code(), Some(1), "{}", said(&unknown));
    assert_eq!(dev.tool(&["webhook", "resend", "crm"]).status.code(), Some(2));

    receiver.answer_with(200, "{\"code\":0}");
    let resent = done(&dev, &["webhook", "resend", "crm", "--all"]);
    assert!(resent.contains("1 calls are retried"), "{resent}");
    eventually("the call to be taken", || {
        let one = listed(&dev);
        (one["dead"] == 0 && one["waiting"] == 0).then_some(())
    });
    assert_eq!(receiver.calls().len(), 5);
    assert!(done(&dev, &["webhook", "dead", "crm"]).contains("demo/crm has no dead calls"));
}

#[test]
fn a_test_shows_the_answer_of_a_webhook() {
    let folder = folder();
    let receiver = Receiver::start();
    let dev = Dev::start(folder.path());
    with_webhook(&dev, "standard", &receiver.url);
    assert!(done(&dev, &["webhook", "test", "crm"]).contains("webhook demo/crm: the test call succeeded"));
    let probe = receiver.wait_for("a trial", 1, |call| call.kind() == "endpoint.probe");
    probe[0].assert_signed_with("whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw==");
    // As with any other call of this format.
    receiver.answer_with(204, "");
    assert!(done(&dev, &["webhook", "test", "crm"]).contains("the test call succeeded"));
    receiver.answer_with(503, "");
    let failed = dev.tool(&["webhook", "test", "crm"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(said(&failed).contains("503"), "{}", said(&failed));

    with_webhook_changed_to_uspeedo(&dev, &receiver.url);
    let nothing = dev.tool(&["webhook", "test", "crm"]);
    assert_eq!(nothing.status.code(), Some(2), "{}", said(&nothing));
    assert!(said(&nothing).contains("has no test call"), "{}", said(&nothing));
}

fn with_webhook_changed_to_uspeedo(dev: &Dev, url: &str) {
    let text = format!(
        "[[account]]\nname = \"demo\"\nauto_approve = true\n[[account.webhook]]\nname = \"crm\"\nformat = \"uspeedo\"\n\
         url = {url:?}\nevents = [\"ended\"]\n"
    );
    let applied = dev.tool(&["apply", &written(&dev.data, "catalog.toml", &text)]);
    assert!(
        said(&applied).contains("format: standard -> uspeedo"),
        "{}",
        said(&applied)
    );
}

#[test]
fn commands_without_a_running_node_change_the_store() {
    let folder = folder();
    let receiver = Receiver::start();
    let dev = Dev::start(folder.path());
    with_webhook(&dev, "standard", &receiver.url);
    dev.send("+447700900104");
    receiver.wait_for("the end of a message", 1, about("+447700900104"));
    let Dev { running, data, .. } = dev;
    assert!(running.stop().success());
    assert!(
        !data.join("postrider.db.control").exists(),
        "the socket goes with its node"
    );
    let tool = |arguments: &[&str]| {
        let mut all = arguments.to_vec();
        all.extend(["--data", data.to_str().unwrap()]);
        run(&all)
    };
    assert!(tool(&["webhook", "pause", "crm"]).status.success());
    assert!(
        tool(&["webhook", "replay", "crm", "--from", "1h"])
            .status
            .success()
    );
    let list = said(&tool(&["webhook", "list"]));
    assert!(
        list.contains("demo/crm is paused: paused by an operator"),
        "{list}"
    );
    assert!(said(&tool(&["webhook", "resend", "crm", "--all"])).contains("0 calls are retried"));
    assert_eq!(tool(&["webhook", "resend", "crm", "7"]).status.code(), Some(1));
    // Nothing said that this machine may be called: only a trial's own node has that.
    let test = tool(&["webhook", "test", "crm"]);
    assert_eq!(test.status.code(), Some(1));
    assert!(said(&test).contains("loopback"), "{}", said(&test));

    let dev = Dev::start(folder.path());
    assert_eq!(listed(&dev)["pause"]["reason"], "paused by an operator");
    done(&dev, &["webhook", "resume", "crm"]);
    receiver.wait_for("the message once more", 2, about("+447700900104"));
}

#[test]
fn a_node_that_serves_calls_inside_only_where_it_is_allowed_to() {
    let folder = folder();
    let receiver = Receiver::start();
    let dev = Dev::start(folder.path());
    with_webhook(&dev, "standard", &receiver.url);
    let Dev { running, data, .. } = dev;
    assert!(running.stop().success());
    let config = folder.path().join("postrider.toml");
    let serve = |allow: &str| {
        let text = format!(
            "[secrets]\nmaster_key_file = {:?}\n[store]\npath = {:?}\n[metrics]\nlisten = \"127.0.0.1:0\"\n\
             [api]\nlisten = \"127.0.0.1:0\"\n[webhooks]\nallow = [{allow}]\n",
            data.join("master.key"),
            data.join("postrider.db")
        );
        std::fs::write(&config, text).unwrap();
        let node = Running::start(postrider(&["serve", "--config", config.to_str().unwrap()]));
        node.err.wait_for("APIs listening");
        node
    };
    let test = || run(&["webhook", "test", "crm", "--config", config.to_str().unwrap()]);
    let node = serve("");
    assert!(said(&test()).contains("loopback"), "{}", said(&test()));
    assert!(node.stop().success());
    let node = serve("\"127.0.0.0/8\"");
    assert!(test().status.success(), "{}", said(&test()));
    assert!(node.stop().success());
}

#[test]
fn an_unknown_webhook_is_reported_with_advice() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    assert_eq!(said(&dev.tool(&["webhook", "list"])), "no webhooks\n");
    for arguments in [
        &["webhook", "pause", "crm"][..],
        &["webhook", "dead", "crm"],
        &["webhook", "test", "crm"],
    ] {
        let output = dev.tool(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            said(&output).contains("`postrider webhook list` lists them"),
            "{}",
            said(&output)
        );
    }
    let replay = dev.tool(&["webhook", "replay", "crm", "--from", "tomorrow"]);
    assert_eq!(replay.status.code(), Some(2));
    assert!(
        said(&replay).contains("--from: \"tomorrow\" is not a time"),
        "{}",
        said(&replay)
    );
}

#[test]
fn a_node_that_was_killed_leaves_a_socket_that_stops_nobody() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    with_webhook(&dev, "standard", "http://127.0.0.1:9/");
    dev.running.signal("KILL");
    let Dev {
        mut running, data, ..
    } = dev;
    assert!(!running.ended().success());
    assert!(data.join("postrider.db.control").exists());
    let paused = run(&["webhook", "pause", "crm", "--data", data.to_str().unwrap()]);
    assert!(paused.status.success(), "{}", said(&paused));
    let dev = Dev::start(folder.path());
    assert_eq!(listed(&dev)["pause"]["reason"], "paused by an operator");
    done(&dev, &["webhook", "resume", "crm"]);
    assert_eq!(listed(&dev)["pause"], Value::Null);
}
