//! `postrider apply` on the store of a running node.

use crate::testkit::{Dev, curl, eventually, folder, json, postrider, run, said, sh, sim, written};

const CATALOG: &str = r#"
[[account]]
name = "acme"
weight = 5

[[account.credential]]
family = "sendcloud"
key = "acme"
secret = "acme-secret-key"

[[account.signature]]
text = "Acme"

[[account.template]]
name = "hello"
class = "notice"
text = "Hello %name%"
signature = "Acme"
number = 7001

[[suppression]]
number = "+447700900999"
kind = "global"
"#;

#[test]
fn a_running_node_takes_a_catalog_over_and_a_second_run_changes_nothing() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let file = written(folder.path(), "catalog.toml", CATALOG);

    let dry = dev.tool(&["apply", &file, "--dry-run"]);
    assert!(dry.status.success(), "{}", said(&dry));
    assert!(
        said(&dry).contains("+ account acme") && said(&dry).contains("nothing was written"),
        "{}",
        said(&dry)
    );

    let first = dev.tool(&["apply", &file]);
    assert!(first.status.success(), "{}", said(&first));
    for line in [
        "+ account acme",
        "+ template acme/hello",
        "number: 7001",
        "+ credential acme/sendcloud/acme",
        "+ 1 suppressed number",
    ] {
        assert!(said(&first).contains(line), "{line} is not in:\n{}", said(&first));
    }
    assert!(
        !said(&first).contains("acme-secret-key"),
        "a secret shows:\n{}",
        said(&first)
    );
    // What the demo has is not in the file and stays.
    assert!(said(&first).contains("= account demo"), "{}", said(&first));

    let second = dev.tool(&["apply", &file]);
    assert!(second.status.success());
    assert!(
        said(&second).ends_with("nothing to change\n"),
        "{}",
        said(&second)
    );

    // MD5 of acme-secret-key&phone=…&smsUser=acme&templateId=7001&vars=…&acme-secret-key.
    let command = format!(
        r#"curl -s {}/smsapi/send -d smsUser=acme -d templateId=7001 -d phone=13800138000 --data-urlencode 'vars={{"name":"Ann"}}' -d signature=$(printf %s 'acme-secret-key&phone=13800138000&smsUser=acme&templateId=7001&vars={{"name":"Ann"}}&acme-secret-key' | md5sum | cut -d' ' -f1)"#,
        dev.base()
    );
    eventually("the node to know the account", || {
        (json(&sh(&command, ""))["statusCode"] == 200).then_some(())
    });
    let inbox = format!("{}/sandbox/messages?wait=30", dev.base());
    assert_eq!(json(&curl(&[&inbox]))[0]["text"], "【Acme】Hello Ann");
}

#[test]
fn mistakes_are_reported_with_their_lines_and_nothing_is_written() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let cases = [
        (
            "[[account]]\nname = \"a\"\nwieght = 2\n",
            "line 3: account \"a\": unknown key `wieght`; did you mean `weight`?",
        ),
        (
            "[[account]]\nname = \"a\"\nweight = 0\n[[route]]\ncarriers = [\"nowhere\"]\n",
            "line 5: route 1: there is no carrier \"nowhere\"",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account.credential]]\nfamily = \"ucloud\"\nkey = \"k\"\nsecret_env = \"NO_SUCH_VARIABLE\"\n",
            "NO_SUCH_VARIABLE (secret_env) is not set",
        ),
    ];
    for (text, expected) in cases {
        let output = dev.tool(&["apply", &written(folder.path(), "catalog.toml", text)]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(
            said(&output).contains(expected),
            "{expected} is not in:\n{}",
            said(&output)
        );
    }
    let check = said(&dev.tool(&["check"]));
    assert!(check.contains(" 1 account,"), "{check}");
}

#[test]
fn a_master_key_that_is_not_the_stores_is_refused() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let file = written(folder.path(), "catalog.toml", CATALOG);
    let arguments = ["apply", &file, "--data", dev.data.to_str().unwrap()];
    let output = postrider(&arguments)
        .env("POSTRIDER_MASTER_KEY", "33".repeat(32))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("not the master key"), "{}", said(&output));
    assert!(dev.tool(&["apply", &file]).status.success());
}

#[test]
fn pruning_removes_what_the_file_does_not_name() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let file = written(folder.path(), "catalog.toml", CATALOG);
    assert!(dev.tool(&["apply", &file]).status.success());
    let only_demo_gone = format!(
        "{CATALOG}\n[[carrier]]\nname = \"sandbox\"\ntype = \"sandbox\"\n[[route]]\ncarriers = [\"sandbox\"]\n"
    );
    let pruned = dev.tool(&[
        "apply",
        &written(folder.path(), "catalog.toml", &only_demo_gone),
        "--prune",
    ]);
    assert!(pruned.status.success(), "{}", said(&pruned));
    assert!(said(&pruned).contains("- account demo"), "{}", said(&pruned));
    eventually("the demo account's key to be refused", || {
        (dev.send("+447700900123")["RetCode"] == 215398).then_some(())
    });
}

#[test]
fn a_store_that_is_not_there_is_named_with_a_hint() {
    let folder = folder();
    let file = written(folder.path(), "catalog.toml", CATALOG);
    let nowhere = folder.path().join("nowhere");
    let output = run(&["apply", &file, "--data", nowhere.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("there is no store at") && said(&output).contains("postrider dev"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_carrier_that_is_applied_carries_messages_over_smpp() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let (_sim, port) = sim(&[]);
    let file = written(
        folder.path(),
        "catalog.toml",
        &format!(
            "[[carrier]]\nname = \"north\"\ntype = \"smpp\"\nhost = \"127.0.0.1\"\nport = {port}\n\
             system_id = \"postrider\"\npassword = \"secret\"\n\n[[route]]\nprefixes = [\"44\"]\ncarriers = [\"north\"]\n"
        ),
    );
    assert!(dev.tool(&["apply", &file]).status.success());
    let metrics = format!("{}/metrics", dev.metrics());
    eventually("the session", || {
        curl(&[&metrics])
            .contains("postrider_binds{carrier=\"2\"} 1")
            .then_some(())
    });
    let session = dev.send_for_session("(44)7700900123");
    let printed = eventually("delivery", || {
        let printed = said(&dev.tool(&["status", &session]));
        printed.contains("receipt from north").then_some(printed)
    });
    assert!(
        printed.contains("to (44)7700900123  delivered") && printed.contains("submitted to north"),
        "{printed}"
    );
    // Everybody else's messages still go to the sandbox.
    dev.send("13800138000");
    let inbox = json(&curl(&[&format!("{}/sandbox/messages?wait=30", dev.base())]));
    assert_eq!(inbox.as_array().map(Vec::len), Some(1));
    assert_eq!(inbox[0]["to"], "+8613800138000");
}

#[test]
fn a_catalog_file_with_secrets_that_others_may_read_is_noted_and_what_it_says_moves_no_cursor() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let dev = Dev::start(folder.path());
    let text = "[[account]]\nname = \"noted\"\n[[account.credential]]\nfamily = \"ucloud\"\nkey = \"noted\"\n\
                secret = \"a secret of more than sixteen\"\n";
    let file = written(folder.path(), "noted.toml", text);
    let noted = "noted.toml contains secrets and is accessible to other users (mode 644); chmod 600 it";
    for (mode, is_noted) in [(0o644, true), (0o600, false)] {
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let printed = said(&dev.tool(&["apply", "--dry-run", &file]));
        assert_eq!(printed.contains(noted), is_noted, "{printed}");
    }
    let text = "[[account]]\nname = \"a\"\n\"x\\u001b[31m\\u202ey\" = 1\n[[account.template]]\nname = \"t\\u001b[2J\"\n";
    let wrong = dev.tool(&["apply", &written(folder.path(), "wrong.toml", text)]);
    assert_eq!(wrong.status.code(), Some(2));
    let printed = said(&wrong);
    assert!(
        printed.contains("unknown key") && !printed.contains(['\u{1b}', '\u{202e}']),
        "{printed:?}"
    );
}
