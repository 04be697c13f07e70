//! `postrider export` and what takes it back, on the store of a running node.

use crate::testkit::{Dev, curl, eventually, folder, json, postrider, said, sim};
use std::io::Write;
use std::process::{Output, Stdio};

/// Runs `apply -` with a text on standard input.
fn apply(dev: &Dev, text: &str, options: &[&str]) -> Output {
    let mut arguments = vec!["apply", "-", "--data", dev.data.to_str().unwrap()];
    arguments.extend(options);
    let mut child = postrider(&arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn export(dev: &Dev) -> String {
    let output = dev.tool(&["export"]);
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_exported_is_applied_with_nothing_to_change_even_with_prune() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let extra = "[[account]]\nname = \"shop\"\nbalance = 5\n[[account.credential]]\nfamily = \"engagelab\"\nkey = \"k1\"\n\
        secret = \"hidden-secret\"\n[[carrier]]\nname = \"north\"\ntype = \"smpp\"\nsystem_id = \"p\"\npassword = \"hidden\"\n\
        enabled = false\n[[route]]\nname = \"uk\"\nprefixes = [\"44\"]\ncarriers = [\"north\"]\n\
        [[suppression]]\nnumber = \"+447700900123\"\nkind = \"blocked\"\naccount = \"shop\"\n";
    let first = apply(&dev, extra, &[]);
    assert!(first.status.success(), "{}", said(&first));
    let text = export(&dev);
    assert!(!text.contains("hidden"), "{text}");
    for options in [&[][..], &["--prune"], &["--prune", "--set-balances", "--dry-run"]] {
        let again = apply(&dev, &text, options);
        assert!(again.status.success(), "{}\n{text}", said(&again));
        assert_eq!(said(&again), "nothing to change\n", "{options:?}");
    }
    // The demo account is taken back under its own keys.
    assert_eq!(dev.send("+447700900124")["RetCode"], 0);
}

#[test]
fn a_small_file_leaves_the_demo_account_as_it_was() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let suspended = apply(&dev, "[[account]]\nname = \"demo\"\nmay_send = false\n", &[]);
    assert!(suspended.status.success(), "{}", said(&suspended));
    let output = apply(
        &dev,
        "[[account]]\nname = \"demo\"\n[[account.signature]]\ntext = \"Shop\"\n",
        &[],
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).lines().next(),
        Some("+ signature demo/Shop"),
        "{}",
        said(&output)
    );
    let text = export(&dev);
    for kept in ["may_send = false", "auto_approve = true", "\"STOP\""] {
        assert!(text.contains(kept), "{kept} is not in:\n{text}");
    }
}

#[test]
fn mistakes_are_json_on_request() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let text = "[[account]]\nname = \"a\"\nwieght = 2\n[[route]]\ncarriers = [\"sandbx\"]\n";
    let output = apply(&dev, text, &["--json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.is_empty(), "{}", said(&output));
    let report = json(&String::from_utf8_lossy(&output.stdout));
    let [first, second] = report["mistakes"].as_array().unwrap().as_slice() else {
        panic!("{report}")
    };
    assert_eq!(
        (&first["line"], &first["key"], &first["did_you_mean"]),
        (&3.into(), &"wieght".into(), &"weight".into())
    );
    assert_eq!(
        (&second["line"], &second["value"], &second["did_you_mean"]),
        (&5.into(), &"sandbx".into(), &"sandbox".into())
    );
    let same = apply(&dev, text, &["--format", "json"]);
    assert_eq!(same.stdout, output.stdout);
    let fine = apply(&dev, "[[account]]\nname = \"a\"\n", &["--json", "--dry-run"]);
    let report = json(&String::from_utf8_lossy(&fine.stdout));
    assert_eq!(
        (&report["changes"][0]["what"], &report["applied"]),
        (&"account a".into(), &false.into())
    );
}

#[test]
fn a_carrier_that_is_switched_off_ends_its_sessions_and_its_messages_go_elsewhere() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let (_sim, port) = sim(&[]);
    let carrier = format!(
        "[[carrier]]\nname = \"north\"\ntype = \"smpp\"\nport = {port}\nsystem_id = \"p\"\npassword = \"s\"\n\
         failover_after_s = 1\n[[route]]\nname = \"uk\"\nprefixes = [\"44\"]\ncarriers = [\"north\", \"sandbox\"]\n"
    );
    assert!(apply(&dev, &carrier, &[]).status.success());
    let metrics = format!("{}/metrics", dev.metrics());
    let binds = |count: &str| {
        let line = format!("postrider_binds{{carrier=\"2\"}} {count}");
        curl(&[&metrics]).contains(&line).then_some(())
    };
    eventually("the session", || binds("1"));
    let off = apply(&dev, "[[carrier]]\nname = \"north\"\nenabled = false\n", &[]);
    assert!(
        said(&off).contains("enabled: true (default) -> false"),
        "{}",
        said(&off)
    );
    eventually("the end of the session", || binds("0"));
    dev.send("(44)7700900123");
    let inbox = json(&curl(&[&format!("{}/sandbox/messages?wait=30", dev.base())]));
    assert_eq!(inbox[0]["to"], "+447700900123");
    // A route that is switched off leads nowhere; the next one that fits is taken.
    assert!(apply(&dev, "[[route]]\nname = \"uk\"\nenabled = false\n[[carrier]]\nname = \"north\"\nreset = [\"enabled\"]\n", &[]).status.success());
    eventually("the session again", || binds("1"));
    let session = dev.send_for_session("(44)7700900124");
    let timeline = eventually("delivery", || {
        let timeline = said(&dev.tool(&["status", &session]));
        timeline.contains("delivered").then_some(timeline)
    });
    assert!(!timeline.contains("north"), "{timeline}");
}
