//! Small promises of the command line, each against the program itself.

use crate::testkit::{Dev, Running, folder, postrider, run, said, written};
use std::process::Command;

#[test]
fn what_is_not_in_the_file_is_listed_each_time_it_is_applied() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let file = written(
        folder.path(),
        "acme.toml",
        "[[account]]\nname = \"acme\"\n[[route]]\naccounts = [\"acme\"]\ncarriers = [\"sandbox\"]\n",
    );
    let kept = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| line.starts_with("  = "))
            .map(str::to_owned)
            .collect()
    };
    let first = said(&dev.tool(&["apply", &file]));
    let second = said(&dev.tool(&["apply", &file]));
    assert!(
        kept(&first)
            .iter()
            .any(|line| line.contains("everything -> sandbox")),
        "{first}"
    );
    assert_eq!(kept(&first), kept(&second), "{first}\n{second}");
}

#[test]
fn a_dry_run_does_without_the_variable_of_a_secret_that_is_stored() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let entry =
        "[[account]]\nname = \"acme\"\n[[account.credential]]\nfamily = \"sendcloud\"\nkey = \"acme\"\n";
    let with_secret = written(
        folder.path(),
        "first.toml",
        &format!("{entry}secret = \"acme-secret-key\"\n"),
    );
    let applied = dev.tool(&["apply", &with_secret]);
    assert!(applied.status.success(), "{}", said(&applied));
    let by_variable = written(
        folder.path(),
        "then.toml",
        &format!("{entry}secret_env = \"NOT_SET_ANYWHERE\"\n"),
    );
    for more in [&["--dry-run"][..], &[]] {
        let again = dev.tool(&[&["apply", by_variable.as_str()], more].concat());
        assert!(again.status.success(), "{}", said(&again));
        assert!(
            said(&again).contains("NOT_SET_ANYWHERE"),
            "the note is missing: {}",
            said(&again)
        );
    }
}

#[test]
fn a_carrier_that_cannot_be_reached_as_written_is_refused() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    for (key, line) in [
        ("host", "host = \"no such host\"\n"),
        (
            "tls.ca_file",
            "tls = { enabled = true, ca_file = \"/nowhere/ca.pem\" }\n",
        ),
    ] {
        let text = format!("[[carrier]]\nname = \"north\"\ntype = \"smpp\"\nsystem_id = \"acme\"\n{line}");
        let file = written(folder.path(), "carrier.toml", &text);
        let refused = dev.tool(&["apply", &file, "--dry-run"]);
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains(&format!("`{key}`")), "{}", said(&refused));
    }
}

#[test]
fn a_newer_schema_is_reported_by_the_exit_code() {
    let folder = folder();
    let data = folder.path().to_str().unwrap();
    assert!(run(&["migrate", "--data", data]).status.success());
    // As a later release would leave it.
    let later = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); \
        db.execute(\"insert into refinery_schema_history select version + 1, name, applied_on, checksum from \
        refinery_schema_history order by version desc limit 1\"); db.commit()";
    let store = folder.path().join("postrider.db");
    let changed = Command::new("python3")
        .args(["-c", later])
        .arg(store)
        .output()
        .unwrap();
    assert!(changed.status.success(), "{}", said(&changed));
    let status = run(&["migrate", "--status", "--data", data]);
    assert_eq!(status.status.code(), Some(3), "{}", said(&status));
    assert!(
        said(&status).contains("newer than this program's"),
        "{}",
        said(&status)
    );
}

#[test]
fn the_log_of_a_new_store_has_no_path_of_the_machine_that_built_the_program() {
    let folder = folder();
    let text = format!(
        "[secrets]\nmaster_key = \"{:064}\"\n[store]\npath = {:?}\n[metrics]\nlisten = \"127.0.0.1:0\"\n\
         [api]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"debug\"\nformat = \"json\"\n",
        7,
        folder.path().join("postrider.db")
    );
    let config = written(folder.path(), "postrider.toml", &text);
    let node = Running::start(postrider(&["serve", "--config", &config]));
    let log = node.err.wait_for("APIs listening");
    for path in [env!("CARGO_MANIFEST_DIR"), "/registry/src/", ".cargo/"] {
        assert!(!log.contains(path), "{path} is in:\n{log}");
    }
    assert!(node.stop().success());
}

#[test]
fn the_banner_has_no_comment_that_looks_like_a_command() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    for line in dev.banner.lines().filter_map(|line| line.strip_prefix("# ")) {
        let looks_so = line.contains('=') || line.contains('\'') || line.starts_with("curl");
        assert!(!looks_so, "{line}");
    }
}
