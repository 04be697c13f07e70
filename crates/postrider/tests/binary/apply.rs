//! `postrider apply` on the store of a running node.

use crate::house::{Dev, curl, eventually, folder, json, said};
use std::path::Path;

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
"#;

fn written(folder: &Path, text: &str) -> String {
    let path = folder.join("catalog.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_running_node_takes_a_catalog_over_and_a_second_run_changes_nothing() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let file = written(folder.path(), CATALOG);

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
        (json(&crate::house::sh(&command, ""))["statusCode"] == 200).then_some(())
    });
    let inbox = format!("{}/sandbox/messages?wait=30", dev.base());
    assert_eq!(json(&curl(&[&inbox]))[0]["text"], "【Acme】Hello Ann");
}

#[test]
fn mistakes_are_told_with_their_lines_and_nothing_is_written() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let cases = [
        (
            "[[account]]\nname = \"a\"\nwieght = 2\n",
            "line 3: unknown field `wieght`",
        ),
        (
            "[[account]]\nname = \"a\"\nweight = 0\n[[route]]\ncarriers = [\"nowhere\"]\n",
            "line 4: route 1: there is no carrier \"nowhere\"",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account.credential]]\nfamily = \"ucloud\"\nkey = \"k\"\nsecret_env = \"NO_SUCH_VARIABLE\"\n",
            "NO_SUCH_VARIABLE (secret_env) is not set",
        ),
    ];
    for (text, expected) in cases {
        let output = dev.tool(&["apply", &written(folder.path(), text)]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(
            said(&output).contains(expected),
            "{expected} is not in:\n{}",
            said(&output)
        );
    }
    let check = said(&dev.tool(&["check"]));
    assert!(check.contains("1 accounts"), "{check}");
}

#[test]
fn pruning_removes_what_the_file_does_not_name() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let file = written(folder.path(), CATALOG);
    assert!(dev.tool(&["apply", &file]).status.success());
    let only_demo_gone = format!(
        "{CATALOG}\n[[carrier]]\nname = \"sandbox\"\ntype = \"sandbox\"\n[[route]]\ncarriers = [\"sandbox\"]\n"
    );
    let pruned = dev.tool(&["apply", &written(folder.path(), &only_demo_gone), "--prune"]);
    assert!(pruned.status.success(), "{}", said(&pruned));
    assert!(said(&pruned).contains("- account demo"), "{}", said(&pruned));
    eventually("the demo account's key to be refused", || {
        (dev.send("+447700900123")["RetCode"] == 215398).then_some(())
    });
}

#[test]
fn a_store_that_is_not_there_is_named_with_a_hint() {
    let folder = folder();
    let file = written(folder.path(), CATALOG);
    let nowhere = folder.path().join("nowhere");
    let output = crate::house::run(&["apply", &file, "--data", nowhere.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("there is no store at") && said(&output).contains("postrider dev"),
        "{}",
        said(&output)
    );
}
