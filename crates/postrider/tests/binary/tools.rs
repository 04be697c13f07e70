//! The commands that look: `status`, `check`, `migrate`, `--help`, `--version`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::testkit::{Dev, Running, curl, eventually, folder, json, postrider, run, said};

#[test]
fn status_shows_the_timeline_of_a_message_by_any_of_its_ids() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let session = dev.send_for_session("+447700900123");
    let by_session = eventually("delivery", || {
        let output = dev.tool(&["status", &session]);
        said(&output).contains("delivered").then_some(output)
    });
    assert!(by_session.status.success());
    let printed = said(&by_session);
    for part in [
        "to +447700900123",
        "account demo, otp",
        "accepted",
        "submitted to sandbox",
        "sandbox accepted it",
        "receipt from sandbox",
    ] {
        assert!(printed.contains(part), "{part} is not in:\n{printed}");
    }
    assert!(!printed.contains("4711"), "the text shows:\n{printed}");

    let document = json(&said(&dev.tool(&["status", &session, "--json"])));
    let number = document["messages"][0]["id"].as_str().unwrap();
    assert!(
        document["messages"][0]["timeline"].as_array().unwrap().len() >= 3,
        "{document}"
    );
    let by_number = said(&dev.tool(&["status", number]));
    assert_eq!(by_number, printed);

    let unknown = dev.tool(&["status", "fbcb8979-ec63-4db6-87b9-b40dd32b570f"]);
    assert_eq!(
        (unknown.status.code(), said(&unknown).as_str()),
        (Some(3), "no such message\n")
    );
    assert_eq!(dev.tool(&["status", "what?"]).status.code(), Some(2));
}

#[test]
fn status_takes_the_ids_of_sendcloud_and_engagelab() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let pair = format!(
        "{}:{}",
        dev.text("/engagelab/sms_user"),
        dev.text("/engagelab/sms_key")
    );
    let template = dev.text("/templates/plain/number");
    let body = format!(r#"{{"to":["+12673800456","+12673800455"],"body":{{"template_id":{template}}}}}"#);
    let url = format!("{}/v1/send", dev.base());
    let answer = json(&curl(&[
        "-u",
        &pair,
        "-H",
        "Content-Type: application/json",
        "-d",
        &body,
        &url,
    ]));
    let second = answer["sms_ids"][1]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    let one = said(&dev.tool(&["status", second]));
    assert!(
        one.contains("to +12673800455") && !one.contains("to +12673800456"),
        "{one}"
    );
    let (request, _) = second.split_once('$').unwrap();
    let both = said(&dev.tool(&["status", request]));
    assert!(
        both.contains("to +12673800455") && both.contains("to +12673800456"),
        "{both}"
    );
}

#[test]
fn check_finds_what_would_not_work() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let well = dev.tool(&["check"]);
    assert!(
        well.status.success() && said(&well).contains("no problems found"),
        "{}",
        said(&well)
    );

    let file = folder.path().join("lonely.toml");
    std::fs::write(
        &file,
        "[[account]]\nname = \"lonely\"\n[[carrier]]\nname = \"unused\"\ntype = \"sandbox\"\n",
    )
    .unwrap();
    assert!(dev.tool(&["apply", file.to_str().unwrap()]).status.success());
    let problems = dev.tool(&["check"]);
    assert_eq!(problems.status.code(), Some(3));
    for problem in [
        "account lonely has no enabled credential",
        "no route leads to carrier unused",
    ] {
        assert!(
            said(&problems).contains(problem),
            "{problem} is not in:\n{}",
            said(&problems)
        );
    }

    let key = folder.path().join("master.key");
    std::fs::write(&key, "11".repeat(32)).unwrap();
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let wrong_key = dev.tool(&["check"]);
    assert_eq!(wrong_key.status.code(), Some(3));
    assert!(
        said(&wrong_key).contains("does not open with this master key"),
        "{}",
        said(&wrong_key)
    );
    assert!(
        said(&wrong_key).contains("is accessible to other users"),
        "{}",
        said(&wrong_key)
    );
}

#[test]
fn check_before_the_first_start_says_that_there_is_no_store_yet() {
    let folder = folder();
    let (config, key) = (
        folder.path().join("postrider.toml"),
        folder.path().join("master.key"),
    );
    std::fs::write(&key, "22".repeat(32)).unwrap();
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let text = |store: &str| {
        format!(
            "[secrets]\nmaster_key_file = {key:?}\n[store]\npath = {store:?}\n[api]\nlisten = \"127.0.0.1:0\"\n\
             [metrics]\nlisten = \"127.0.0.1:0\"\n"
        )
    };
    let check = || run(&["check", "--config", config.to_str().unwrap()]);
    std::fs::write(&config, text(folder.path().join("new.db").to_str().unwrap())).unwrap();
    let well = check();
    assert!(
        well.status.success() && said(&well).contains("none yet"),
        "{}",
        said(&well)
    );
    std::fs::write(&config, text("/nonexistent/new.db")).unwrap();
    let missing = check();
    assert_eq!(missing.status.code(), Some(3));
    assert!(
        said(&missing).contains("the directory /nonexistent does not exist"),
        "{}",
        said(&missing)
    );
}

#[test]
fn migrate_creates_a_store_and_shows_its_version() {
    let folder = folder();
    let data = folder.path().to_str().unwrap();
    let before = said(&run(&["migrate", "--status", "--data", data]));
    assert!(before.contains("no store yet"), "{before}");
    let made = said(&run(&["migrate", "--data", data]));
    assert!(made.contains("created at schema version"), "{made}");
    let again = said(&run(&["migrate", "--data", data]));
    assert!(again.contains("nothing to do"), "{again}");
    let after = said(&run(&["migrate", "--status", "--data", data]));
    assert!(after.contains("up to date"), "{after}");
}

#[test]
fn the_simulator_comes_along() {
    let arguments = ["sim", "--listen", "127.0.0.1:0", "--no-control", "--quiet"];
    let mut sim = Running::start(postrider(&arguments));
    sim.err.wait_for("SMPP on 127.0.0.1:");
    sim.signal("INT");
    assert!(sim.ended().success());
}

#[test]
fn help_and_version_are_there() {
    let version = run(&["--version"]);
    assert_eq!(
        said(&version),
        concat!("postrider ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let help = said(&run(&["--help"]));
    for command in [
        "dev",
        "serve",
        "apply",
        "check",
        "status",
        "template",
        "signature",
        "webhook",
        "task",
        "migrate",
        "sim",
        "Exit codes:",
    ] {
        assert!(help.contains(command), "{command} is not in:\n{help}");
    }
    assert_eq!(run(&["serve"]).status.code(), Some(2));
    let defaults = run(&["serve", "--print-defaults"]);
    assert!(defaults.status.success());
    assert!(said(&defaults).contains("[store.sqlite]"));
    let replay = said(&run(&["webhook", "replay", "--help"]));
    assert!(
        replay.contains("90s, 30m, 2h") && replay.contains("--data"),
        "{replay}"
    );
}
