//! Commands of an operator for a running node: carriers, messages of a number, suppressions, a message by hand.

use crate::testkit::{Dev, eventually, folder, json, postrider, said, sim};
use serde_json::Value;
use std::io::Write;

/// A carrier without a listener, before the sandbox.
const NORTH: &str = r#"
[[carrier]]
name = "north"
type = "smpp"
host = "127.0.0.1"
port = 1
system_id = "postrider"
password = "secret"
failover_after_s = 1

[[route]]
name = "north first"
carriers = ["north", "sandbox"]
prefixes = ["44"]

[[route]]
name = "north only"
carriers = ["north"]
prefixes = ["49"]
"#;

fn apply(dev: &Dev, text: &str) {
    let file = dev.data.join("catalog.toml");
    std::fs::write(&file, text).unwrap();
    let applied = dev.tool(&["apply", file.to_str().unwrap()]);
    assert!(applied.status.success(), "{}", said(&applied));
}

fn document(dev: &Dev, arguments: &[&str]) -> Value {
    let output = dev.tool(arguments);
    json(&String::from_utf8_lossy(&output.stdout))
}

fn carrier(dev: &Dev, name: &str) -> Option<Value> {
    let listed = document(dev, &["carrier", "list", "--json"]);
    let carriers = listed["carriers"].as_array()?.clone();
    carriers.into_iter().find(|carrier| carrier["name"] == name)
}

#[test]
fn a_carrier_is_listed_with_its_state_error_and_next_try_and_the_terminal_says_so() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    apply(&dev, NORTH);
    let north = eventually("a first failed attempt", || {
        carrier(&dev, "north").filter(|north| north["state"] == "down")
    });
    assert!(
        north["last_error"]["message"]
            .as_str()
            .unwrap()
            .contains("127.0.0.1:1"),
        "{north}"
    );
    assert!(
        north["since"].is_string() && north["next_try"].is_string(),
        "{north}"
    );
    assert_eq!(
        (&north["sessions"], &north["queued"]),
        (&Value::from(0), &Value::from(0))
    );
    assert_eq!(carrier(&dev, "sandbox").unwrap()["state"], "up");
    dev.running.out.wait_for("carrier north  down since ");
    let table = said(&dev.tool(&["carrier", "list"]));
    assert!(
        table.contains("NEXT TRY") && table.contains("north last failed at "),
        "{table}"
    );

    let session = dev.send_for_session("+4915112345678");
    let shown = eventually("the message to wait", || {
        let shown = said(&dev.tool(&["status", &session]));
        shown.contains("waits for north, due now").then_some(shown)
    });
    assert!(
        shown.contains("north down since ") && shown.contains("next try "),
        "{shown}"
    );
    let waiting = document(&dev, &["status", &session, "--json"])["messages"][0]["waiting"].clone();
    assert_eq!(waiting["carrier"], "north");
    assert_eq!(waiting["carrier_status"]["state"], "down");
    assert_eq!(waiting["carrier_status"]["queued"], 1);

    // Without a node, the list is that of the catalog.
    let data = dev.data.clone();
    assert!(dev.running.stop().success());
    let listed = postrider(&["carrier", "list", "--data", data.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(
        said(&listed).contains("no node serves this store"),
        "{}",
        said(&listed)
    );
}

#[test]
fn a_message_that_moved_says_from_where_to_where_and_is_found_by_its_number() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    apply(&dev, NORTH);
    dev.send_for_session("+447700900123");
    let moved = eventually("the delivery by the sandbox", || {
        let found = document(&dev, &["status", "+447700900123", "--json"]);
        (found["messages"][0]["state"] == "delivered").then_some(found)
    });
    let timeline = moved["messages"][0]["timeline"].as_array().unwrap().clone();
    let kinds: Vec<&str> = timeline
        .iter()
        .filter_map(|entry| entry["what"].as_str())
        .collect();
    assert_eq!(kinds[..3], ["accepted", "failed_over", "attempt"], "{timeline:?}");
    assert_eq!(
        (&timeline[1]["from"], &timeline[1]["to"]),
        (&"north".into(), &"sandbox".into())
    );
    assert_eq!(moved["messages"][0]["sender"], "Postrider");
    assert!(moved["messages"][0]["text"].is_null(), "only on request");

    dev.send_for_session("+447700900123");
    for form in [
        "0044 7700 900123",
        "(44)7700900123",
        "447700900123",
        "+44-7700-900-123",
    ] {
        let found = document(&dev, &["status", form, "--json", "--text"]);
        let messages = found["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 2, "{form}: {found}");
        let ids: Vec<&str> = messages.iter().filter_map(|one| one["id"].as_str()).collect();
        assert!(ids[0] > ids[1], "the newest first");
        assert_eq!(messages[0]["text"], "[Postrider]Your verification code is 4711.");
    }
    let newest = document(&dev, &["status", "+447700900123", "--json", "--limit", "1"]);
    assert_eq!(newest["messages"].as_array().map(Vec::len), Some(1));
    assert_eq!(dev.tool(&["status", "+447700900199"]).status.code(), Some(3));
    let lines = said(&dev.tool(&["status", "+447700900123"]));
    assert!(lines.contains("failover from north to sandbox"), "{lines}");
    assert!(lines.contains("sender Postrider"), "{lines}");
}

#[test]
fn a_carrier_that_is_lost_is_a_warning_and_shows_as_down() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let (sim, port) = sim(&[]);
    apply(&dev, &NORTH.replace("port = 1\n", &format!("port = {port}\n")));
    let north = eventually("the bind", || {
        carrier(&dev, "north").filter(|north| north["state"] == "up")
    });
    assert_eq!(
        (&north["sessions"], &north["sessions_configured"]),
        (&Value::from(1), &Value::from(1))
    );
    dev.running.out.wait_for("carrier north  up since ");
    assert!(sim.stop().success());
    dev.running.out.wait_for("carrier north  down since ");
    let log = dev.running.err.wait_for("session lost");
    assert!(log.contains(" WARN ") && log.contains("carrier=north"), "{log}");
}

#[test]
fn suppressions_are_listed_with_their_proof_added_removed_and_imported() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let done = |arguments: &[&str]| {
        let output = dev.tool(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        said(&output)
    };
    assert!(done(&["suppression", "list"]).contains("no suppressions"));
    done(&[
        "suppression",
        "add",
        "0044 7700 900123",
        "--account",
        "demo",
        "--note",
        "requested by mail, ticket 7",
    ]);
    done(&["suppression", "add", "+447700900124"]);
    let listed = document(&dev, &["suppression", "list", "--json"]);
    let first = &listed["suppressions"][0];
    assert_eq!(first["number"], "+447700900123");
    assert_eq!(
        (&first["account"], &first["kind"]),
        (&"demo".into(), &"blocked".into())
    );
    assert_eq!(
        (&first["origin"], &first["note"]),
        (&"operator".into(), &"requested by mail, ticket 7".into())
    );
    assert!(first["created_at"].is_string(), "{listed}");
    assert_eq!(listed["suppressions"][1]["kind"], "global");
    // The running node applies it at once.
    let refused = dev.send("+447700900124");
    assert_ne!(
        refused["FailedTargetPhones"].as_array().map(Vec::len),
        Some(0),
        "{refused}"
    );

    let file = folder.path().join("list.csv");
    let lines: String = (0..2_500)
        .map(|n| format!("+4477009{n:05},unsubscribed,demo\n"))
        .collect();
    std::fs::write(&file, format!("number,kind,account\n{lines}")).unwrap();
    let imported = done(&[
        "suppression",
        "import",
        file.to_str().unwrap(),
        "--note",
        "the old provider's list",
    ]);
    assert!(
        imported.contains("2500 of 2500 imported") && imported.contains("2500 suppressions imported"),
        "{imported}"
    );
    let one = document(&dev, &["suppression", "list", "+447700901234", "--json"]);
    assert_eq!(one["suppressions"].as_array().map(Vec::len), Some(1), "{one}");
    assert_eq!(
        (&one["suppressions"][0]["origin"], &one["suppressions"][0]["note"]),
        (&"import".into(), &"the old provider's list".into())
    );
    let table = done(&["suppression", "list", "--limit", "2"]);
    assert!(
        table.contains("there are more: continue with --after +4477"),
        "{table}"
    );

    std::fs::write(&file, "number\n+447700999777\nnonsense 12345\n").unwrap();
    let wrong = dev.tool(&["suppression", "import", file.to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        said(&wrong).contains("line 3: ") && !said(&wrong).contains("12345"),
        "{}",
        said(&wrong)
    );
    assert_eq!(
        dev.tool(&["suppression", "remove", "+447700999777"])
            .status
            .code(),
        Some(3),
        "nothing was stored"
    );

    assert!(done(&["suppression", "remove", "+447700900124"]).contains("2 suppressions removed"));
    let taken = dev.send("+447700900124");
    assert_eq!(
        taken["FailedTargetPhones"].as_array().map(Vec::len),
        Some(0),
        "{taken}"
    );
}

#[test]
fn a_message_is_sent_by_hand_through_the_running_node() {
    let folder = folder();
    let dev = Dev::start_with(folder.path(), &["--log", "info"]);
    let sent = dev.tool(&[
        "send",
        "--to",
        "+447700900123",
        "--template",
        "code",
        "--var",
        "code=4711",
        "--account",
        "demo",
        "--sender",
        "Acme",
        "--json",
    ]);
    assert!(sent.status.success(), "{}", said(&sent));
    let id = json(&String::from_utf8_lossy(&sent.stdout))["messages"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let message = eventually("its delivery", || {
        let found = document(&dev, &["status", &id, "--json", "--text"]);
        (found["messages"][0]["state"] == "delivered").then(|| found["messages"][0].clone())
    });
    assert_eq!(
        (&message["sender"], &message["account"]),
        (&"Acme".into(), &"demo".into())
    );
    assert_eq!(message["text"], "[Postrider]Your verification code is 4711.");

    let free = dev.tool(&[
        "send",
        "--to",
        "+447700900124",
        "--text",
        "Hello there",
        "--account",
        "demo",
    ]);
    assert!(
        said(&free).contains("accepted  +447700900124  postrider status "),
        "{}",
        said(&free)
    );

    let refused = dev.tool(&[
        "send",
        "--to",
        "12",
        "--to",
        "+447700900125",
        "--template",
        "code",
    ]);
    assert_eq!(refused.status.code(), Some(1));
    let lines = said(&refused);
    assert!(
        lines.contains("1002 number_invalid") && lines.contains("1305 value_missing"),
        "{lines}"
    );
    for (arguments, words) in [
        (
            &["send", "--to", "+447700900123", "--template", "nothing"][..],
            "has no template \"nothing\"",
        ),
        (
            &[
                "send",
                "--to",
                "+447700900123",
                "--template",
                "code",
                "--account",
                "x",
            ],
            "there is no account \"x\"",
        ),
        (
            &[
                "send",
                "--to",
                "+447700900123",
                "--template",
                "code",
                "--var",
                "x",
            ],
            "must be NAME=VALUE",
        ),
    ] {
        let output = dev.tool(arguments);
        assert!(
            !output.status.success() && said(&output).contains(words),
            "{}",
            said(&output)
        );
    }
    // What fails later is logged with its reason, and the number masked.
    dev.send("+10000000018");
    let log = dev.running.err.wait_for("message failed");
    assert!(
        log.contains("reason=phone_off") && log.contains("number=+1000*****18"),
        "{log}"
    );
}

#[test]
fn slips_on_the_command_line_are_answered_with_what_would_be_right() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    dev.send("13800138000");
    eventually("the message", || {
        let found = dev.tool(&["status", "13800138000"]);
        found
            .status
            .success()
            .then(|| assert!(said(&found).contains("to 13800138000"), "{}", said(&found)))
    });
    let nobody = dev.tool(&["status", "+447700900999"]);
    assert_eq!(nobody.status.code(), Some(3));
    assert!(
        said(&nobody).contains("no message to that number"),
        "{}",
        said(&nobody)
    );
    let to = ["send", "--to", "+447700900123"];
    let sending = |more: &[&'static str]| [&to[..], more].concat();
    for (arguments, code, words) in [
        (sending(&["--template", "cod"]), 1, "did you mean \"code\"?"),
        (
            sending(&["--template", "code", "--var", "cod=1"]),
            1,
            "has no variable \"cod\"; did you mean \"code\"?",
        ),
        (sending(&["--template", "code"]), 1, "Give --var code=VALUE."),
        (
            sending(&["--template", "plain", "--var", "x=1"]),
            1,
            "has no variables",
        ),
        (
            sending(&["--template", "code", "--var", "code=1", "--var", "code=2"]),
            2,
            "--var code=… is given twice",
        ),
        (sending(&["--text", " "]), 2, "--text is empty"),
        (
            sending(&["--text", "x", "--account", "dmeo"]),
            1,
            "did you mean \"demo\"?",
        ),
        (
            vec!["carrier", "reconnect", "sandbx"],
            1,
            "did you mean \"sandbox\"?",
        ),
        (
            vec!["suppression", "list", "--account", "dmeo"],
            2,
            "did you mean \"demo\"?",
        ),
        (
            vec!["webhook", "list", "--account", "dmeo"],
            2,
            "did you mean \"demo\"?",
        ),
        (
            vec!["task", "list", "--account", "dmeo"],
            2,
            "did you mean \"demo\"?",
        ),
        (vec!["task", "show", "x"], 2, "it must be a whole number"),
        (
            vec!["inbound", "list", "--limit", "many"],
            2,
            "it must be a whole number",
        ),
    ] {
        let answer = dev.tool(&arguments);
        assert_eq!(
            answer.status.code(),
            Some(code),
            "{arguments:?}: {}",
            said(&answer)
        );
        assert!(
            said(&answer).contains(words),
            "{words} is not in:\n{}",
            said(&answer)
        );
    }
    let add = || {
        dev.tool(&[
            "suppression",
            "add",
            "+447700900199",
            "(44)7700900199",
            "--account",
            "demo",
        ])
    };
    assert!(
        said(&add()).contains("1 suppression added: +447700900199; 1 existed already"),
        "{}",
        said(&add())
    );
    assert!(
        said(&add()).contains("0 suppressions added; 2 existed already"),
        "{}",
        said(&add())
    );
}

#[test]
fn a_handshake_failure_is_explained_once() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        }
    });
    let file = folder.path().join("north.toml");
    let text = format!(
        "[[carrier]]\nname = \"north\"\ntype = \"smpp\"\nhost = \"127.0.0.1\"\nport = {port}\nsystem_id = \"p\"\ntls = {{ enabled = true }}\n"
    );
    std::fs::write(&file, text).unwrap();
    assert!(dev.tool(&["apply", file.to_str().unwrap()]).status.success());
    let message = eventually("the failure", || {
        let listed = json(&said(&dev.tool(&["carrier", "list", "--json"])));
        let all = listed["carriers"].as_array().unwrap().clone();
        let north = all.into_iter().find(|one| one["name"] == "north")?;
        north["last_error"]["message"].as_str().map(str::to_owned)
    });
    assert_eq!(
        message,
        "TLS handshake failed: the other side does not speak TLS: is this its port for TLS?"
    );
}
