//! `postrider check --deep`, and what the short check says of a store that does not start.

use crate::testkit::{Dev, folder, json, run, said};
use std::path::Path;
use std::process::Command;

/// Changes a store that no process has open.
fn changed(data: &Path, sql: &str) {
    let script =
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.executescript(sys.argv[2]); db.commit()";
    let store = data.join("postrider.db");
    let done = Command::new("python3")
        .args(["-c", script])
        .arg(store)
        .arg(sql)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", said(&done));
}

#[test]
fn a_store_is_read_through_beside_its_node_and_without_it() {
    let folder = folder();
    let data = folder.path().to_str().unwrap();
    let dev = Dev::start(folder.path());
    for n in 0..30 {
        assert_eq!(dev.send(&format!("+4477009001{n:02}"))["RetCode"], 0);
    }
    let check = || run(&["check", "--deep", "--data", data]);
    let parts = [
        "structure",
        "values",
        "messages",
        "counters",
        "indexes",
        "events",
        "lists",
        "files",
        "inbound",
        "secrets",
    ];
    for running in [true, false] {
        let checked = check();
        assert!(checked.status.success(), "running: {running}: {}", said(&checked));
        for part in parts {
            let line = said(&checked)
                .lines()
                .any(|line| line.starts_with(part) && line.contains(" ok: "));
            assert!(line, "{part} is not in:\n{}", said(&checked));
        }
        assert!(said(&checked).contains("30 messages, "), "{}", said(&checked));
        if running {
            dev.running.signal("TERM");
            crate::testkit::eventually("the end of the node", || {
                std::fs::metadata(folder.path().join("postrider.db-wal"))
                    .is_err()
                    .then_some(())
            });
        }
    }
    let output = run(&["check", "--deep", "--json", "--data", data]);
    let document = json(&String::from_utf8(output.stdout).unwrap());
    assert!(
        document["looked_at"]["messages"]
            .as_str()
            .unwrap()
            .starts_with("ok: 30 messages"),
        "{document}"
    );

    changed(
        folder.path(),
        "UPDATE message_stats SET messages = messages + 1; UPDATE credential SET sealed_secret = x'00'",
    );
    let checked = check();
    assert_eq!(checked.status.code(), Some(3), "{}", said(&checked));
    for problem in [
        "PROBLEM        counters: in the hour",
        "does not open with the master key",
        "Damaged stores",
    ] {
        assert!(
            said(&checked).contains(problem),
            "{problem:?} is not in:\n{}",
            said(&checked)
        );
    }
    assert!(!said(&checked).contains("no problems found"));
}

#[test]
fn a_store_that_a_node_would_not_start_on_is_not_well() {
    let folder = folder();
    let data = folder.path().to_str().unwrap();
    assert!(run(&["migrate", "--data", data]).status.success());
    changed(
        folder.path(),
        "UPDATE meta SET value = 'x' WHERE key = 'queue_seq_reserved'",
    );
    let checked = run(&["check", "--data", data]);
    assert_eq!(checked.status.code(), Some(3), "{}", said(&checked));
    assert!(
        said(&checked).contains("store: a node would not start"),
        "{}",
        said(&checked)
    );
}

#[test]
fn a_store_of_an_earlier_schema_is_to_be_migrated_before_it_is_read_through() {
    let folder = folder();
    let data = folder.path().to_str().unwrap();
    assert!(run(&["migrate", "--data", data]).status.success());
    let last = "DELETE FROM refinery_schema_history WHERE version = (SELECT max(version) FROM refinery_schema_history)";
    changed(folder.path(), last);
    let checked = run(&["check", "--deep", "--data", data]);
    assert_eq!(checked.status.code(), Some(3), "{}", said(&checked));
    assert!(
        said(&checked).contains("`postrider migrate` first"),
        "{}",
        said(&checked)
    );
}
