//! What would stop a node from starting: found by `check`, and said by `serve` with the exit code that `--help` names.

use crate::testkit::{Dev, Running, eventually, folder, json, postrider, run, said};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

/// A configuration in a folder, with a key and free ports, and more lines.
fn configured(folder: &Path, more: &str) -> PathBuf {
    let (file, key) = (folder.join("postrider.toml"), folder.join("master.key"));
    fs::write(&key, "22".repeat(32)).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let mut text = format!(
        "[secrets]\nmaster_key_file = {key:?}\n[store]\npath = {:?}\n",
        folder.join("node.db")
    );
    for (section, line) in [
        ("[metrics]", "listen = \"127.0.0.1:0\""),
        ("[api]", "listen = \"127.0.0.1:0\""),
    ] {
        if !more.contains(section) {
            text.push_str(&format!("{section}\n{line}\n"));
        }
    }
    text.push_str(more);
    fs::write(&file, text).unwrap();
    file
}

/// `check` and `serve` with one configuration.
fn both(file: &Path) -> (Output, Output) {
    let file = file.to_str().unwrap();
    (
        run(&["check", "--config", file]),
        run(&["serve", "--config", file]),
    )
}

/// A certificate and its key, as PEM.
fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn what_stops_serve_is_found_by_check_with_the_codes_that_help_names() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let ((own, key), (other, other_key)) = (pair(), pair());
    let encrypted = key
        .replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE")
        .replace("END PRIVATE", "END ENCRYPTED PRIVATE");
    fs::write(path("own.pem"), &own).unwrap();
    fs::write(path("turned.pem"), format!("{other}{own}")).unwrap();
    fs::write(path("key.pem"), &key).unwrap();
    fs::write(path("other-key.pem"), other_key).unwrap();
    fs::write(path("encrypted.pem"), encrypted).unwrap();
    fs::write(path("empty.pem"), "").unwrap();
    for key in ["key.pem", "own.pem", "other-key.pem", "encrypted.pem"] {
        fs::set_permissions(path(key), PermissionsExt::from_mode(0o600)).unwrap();
    }
    let tls = |chain: &str, key: &str| {
        format!(
            "[api.tls]\ncert_file = {:?}\nkey_file = {:?}\n",
            path(chain),
            path(key)
        )
    };
    let cases = [
        (tls("gone.pem", "key.pem"), "`api.tls.cert_file`: read "),
        (tls("own.pem", "gone.pem"), "`api.tls.key_file`: read "),
        (
            tls("own.pem", "other-key.pem"),
            "does not belong to the certificate",
        ),
        (tls("own.pem", "encrypted.pem"), "is encrypted"),
        (tls("key.pem", "own.pem"), "are swapped"),
        (tls("turned.pem", "key.pem"), "out of order"),
        (tls("empty.pem", "key.pem"), "has no certificate in it"),
        (
            format!("[webhooks]\nca_file = {:?}\n", path("gone.pem")),
            "`webhooks.ca_file` ",
        ),
        (
            format!("[webhooks]\nca_file = {:?}\n", path("empty.pem")),
            "the file contains no certificate",
        ),
        ("[log]\nlevel = \"bogus=what\"\n".to_owned(), "`log.level`"),
    ];
    for (more, expected) in cases {
        let (check, serve) = both(&configured(folder.path(), &more));
        for (output, code) in [(&check, 3), (&serve, 2)] {
            assert_eq!(output.status.code(), Some(code), "{more}: {}", said(output));
            assert!(
                said(output).contains(expected),
                "{expected} is not in:\n{}",
                said(output)
            );
        }
    }
    let fine = run(&[
        "check",
        "--config",
        configured(folder.path(), &tls("own.pem", "key.pem"))
            .to_str()
            .unwrap(),
    ]);
    assert!(
        fine.status.success() && said(&fine).contains("no problems found"),
        "{}",
        said(&fine)
    );
}

#[test]
fn a_port_that_is_taken_is_a_problem_unless_the_node_itself_has_it() {
    let folder = folder();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let file = configured(folder.path(), &format!("[api]\nlisten = \"{address}\"\n"));
    let taken = run(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(taken.status.code(), Some(3));
    assert!(
        said(&taken).contains(&format!("another program listens on {address}"))
            && said(&taken).contains("not running"),
        "{}",
        said(&taken)
    );
    drop(held);
    let mut node = Running::start(postrider(&["serve", "--config", file.to_str().unwrap()]));
    eventually("the answer of the node", || {
        let running = run(&["check", "--config", file.to_str().unwrap()]);
        let printed = said(&running);
        printed.contains("node           running").then(|| {
            assert!(
                running.status.success() && !printed.contains("another program"),
                "{printed}"
            );
        })
    });
    node.signal("TERM");
    assert!(node.ended().success());
}

#[test]
fn carriers_that_are_not_bound_are_named_while_the_node_runs() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nowhere.local_addr().unwrap().port();
    drop(nowhere);
    let file = folder.path().join("carrier.toml");
    let text = format!(
        "[[carrier]]\nname = \"north\"\ntype = \"smpp\"\nport = {port}\nsystem_id = \"p\"\npassword = \"x\"\n\
         [[route]]\nname = \"uk\"\nprefixes = [\"44\"]\ncarriers = [\"north\", \"sandbox\"]\n"
    );
    fs::write(&file, text).unwrap();
    assert!(dev.tool(&["apply", file.to_str().unwrap()]).status.success());
    eventually("the carrier to be known, with the reason", || {
        let printed = said(&dev.tool(&["check"]));
        (printed.contains("carrier north (cannot connect to 127.0.0.1") && printed.contains("is not bound"))
            .then_some(())
    });
    fs::write(&file, "[[carrier]]\nname = \"north\"\nenabled = false\n").unwrap();
    assert!(dev.tool(&["apply", file.to_str().unwrap()]).status.success());
    let check = dev.tool(&["check"]);
    assert!(check.status.success(), "{}", said(&check));
}

#[test]
fn a_store_whose_key_is_gone_gets_no_new_one() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    assert!(dev.running.stop().success());
    let key = folder.path().join("master.key");
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let data = folder.path().to_str().unwrap();
    let arguments = [
        "dev",
        "--data",
        data,
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
    ];
    let lost = run(&arguments);
    assert_eq!(lost.status.code(), Some(2), "{}", said(&lost));
    for part in ["master.key is missing", "restore the key", "start over"] {
        assert!(said(&lost).contains(part), "{part} is not in:\n{}", said(&lost));
    }
    assert!(!key.exists(), "a new key was created");
    // Another key is as bad, and named as such by each command.
    fs::write(&key, "33".repeat(32)).unwrap();
    for arguments in [
        &arguments[..],
        &["check", "--data", data],
        &["apply", "/dev/null", "--data", data],
    ] {
        let wrong = run(arguments);
        for part in [
            "not the master key",
            "does not open with this master key",
            "from a backup",
        ] {
            assert!(
                said(&wrong).contains(part),
                "{arguments:?}: {part} is not in:\n{}",
                said(&wrong)
            );
        }
    }
    fs::write(&key, kept).unwrap();
    assert!(run(&["apply", "/dev/null", "--data", data]).status.success());
}

#[test]
fn an_empty_file_and_a_folder_are_left_as_they_are() {
    let folder = folder();
    let file = configured(folder.path(), "");
    let store = folder.path().join("node.db");
    fs::write(&store, "").unwrap();
    let checked = run(&["check", "--config", file.to_str().unwrap()]);
    assert!(
        checked.status.success() && said(&checked).contains("none yet"),
        "{}",
        said(&checked)
    );
    assert_eq!(fs::metadata(&store).unwrap().len(), 0);
    fs::remove_file(&store).unwrap();
    fs::create_dir(&store).unwrap();
    let (check, serve) = both(&file);
    for output in [&check, &serve] {
        assert!(
            said(output).contains("is a folder, and the store is a file"),
            "{}",
            said(output)
        );
        assert!(!said(output).contains("cannot write"), "{}", said(output));
    }
}

#[test]
fn certificates_that_are_not_valid_now_and_misspelt_parts_are_problems() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let key = KeyPair::generate().unwrap();
    fs::write(path("key.pem"), key.serialize_pem()).unwrap();
    for (name, from, until) in [("old.pem", 2020, 2021), ("new.pem", 2090, 2091)] {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        fs::write(path(name), params.self_signed(&key).unwrap().pem()).unwrap();
    }
    let tls = |chain: &str| {
        format!(
            "[api.tls]\ncert_file = {:?}\nkey_file = {:?}\n",
            path(chain),
            path("key.pem")
        )
    };
    for (more, expected) in [
        (
            tls("old.pem"),
            "`api.tls.cert_file`: the certificate expired on 2021-01-01",
        ),
        (tls("new.pem"), "is valid from 2090-01-01 on"),
        (
            format!("[webhooks]\nca_file = {:?}\n", path("old.pem")),
            "the certificate expired on 2021-01-01",
        ),
        (
            "[log]\nlevel = \"warn,engnie=debug\"\n".to_owned(),
            "did you mean \"engine\"?",
        ),
    ] {
        let file = configured(folder.path(), &more);
        let checked = run(&["check", "--config", file.to_str().unwrap()]);
        assert_eq!(checked.status.code(), Some(3), "{more}: {}", said(&checked));
        assert!(
            said(&checked).contains(expected),
            "{expected} is not in:\n{}",
            said(&checked)
        );
    }
}

#[test]
fn a_missing_master_key_is_reported_with_a_command_that_creates_one() {
    let folder = folder();
    let file = folder.path().join("postrider.toml");
    fs::write(
        &file,
        format!("[store]\npath = {:?}\n", folder.path().join("node.db")),
    )
    .unwrap();
    let refused = run(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        said(&refused).contains("openssl rand -hex 32 > master.key)"),
        "{}",
        said(&refused)
    );
}

#[test]
fn another_master_key_is_noticed_where_only_carriers_have_secrets() {
    let folder = folder();
    let file = configured(folder.path(), "");
    let file = file.to_str().unwrap();
    assert!(run(&["migrate", "--config", file]).status.success());
    let catalog = folder.path().join("catalog.toml");
    fs::write(
        &catalog,
        "[[carrier]]\nname = \"north\"\ntype = \"smpp\"\nsystem_id = \"p\"\npassword = \"secret\"\nenabled = false\n",
    )
    .unwrap();
    let catalog = catalog.to_str().unwrap();
    assert!(run(&["apply", catalog, "--config", file]).status.success());
    let commands = [
        (&["check", "--config", file][..], 3),
        (&["serve", "--config", file], 2),
        (&["apply", catalog, "--config", file], 2),
    ];
    for (key, words) in [
        (
            "33".repeat(32),
            "this is not the master key that the store's secrets are sealed with",
        ),
        ("3333".to_owned(), "restore the key from where it is kept"),
        (String::new(), "restore the key from where it is kept"),
    ] {
        fs::write(folder.path().join("master.key"), &key).unwrap();
        for (arguments, code) in commands {
            let output = run(arguments);
            assert_eq!(
                output.status.code(),
                Some(code),
                "{arguments:?}: {}",
                said(&output)
            );
            assert!(
                said(&output).contains(words),
                "{arguments:?}: {words} is not in:\n{}",
                said(&output)
            );
        }
    }
}

#[test]
fn a_damaged_store_says_what_to_do() {
    let folder = folder();
    let file = configured(folder.path(), "");
    fs::write(
        folder.path().join("node.db"),
        "this is no database at all, but long enough to be one".repeat(100),
    )
    .unwrap();
    let (check, serve) = both(&file);
    for output in [&check, &serve] {
        for part in ["the store is damaged", "what to do", "backup"] {
            assert!(said(output).contains(part), "{part} is not in:\n{}", said(output));
        }
    }
}

#[test]
fn addresses_are_parsed_in_every_common_notation() {
    let folder = folder();
    let data = folder.path().to_str().unwrap();
    for (written, hint) in [
        ("18750", "127.0.0.1:18750"),
        ("localhost", "localhost:8080"),
        ("nowhere:80", "127.0.0.1:8080"),
    ] {
        let refused = run(&["dev", "--data", data, "--listen", written]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(
            said(&refused).contains(hint),
            "{hint} is not in:\n{}",
            said(&refused)
        );
    }
    let dev = Dev::start_with(folder.path(), &[]);
    drop(dev);
    let arguments = [
        "dev",
        "--data",
        data,
        "--listen",
        "localhost:0",
        "--metrics-listen",
        "localhost:0",
    ];
    let running = Running::start(postrider(&arguments));
    running.out.wait_for("http://127.0.0.1:");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let mut child = postrider(&["export", "--data", dev.data.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        said(&output)
    );
}

#[test]
fn mistakes_of_a_configuration_come_in_one_run_and_as_json() {
    let folder = folder();
    let file = folder.path().join("postrider.toml");
    fs::write(
        &file,
        "[api]\nlistn = \"a\"\n[queue]\notp_weight = 70000\n[store]\npath = data\n",
    )
    .unwrap();
    let (check, serve) = both(&file);
    for output in [&check, &serve] {
        assert_eq!(output.status.code(), Some(2));
        for part in [
            "line 2: unknown key `api.listn`",
            "line 4: `queue.otp_weight` is 70000",
            "line 6: `path`: a string",
        ] {
            assert!(said(output).contains(part), "{part} is not in:\n{}", said(output));
        }
    }
    let output = run(&["check", "--config", file.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let report = json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(report["mistakes"].as_array().map(Vec::len), Some(3), "{report}");
    let fine = configured(folder.path(), "");
    let output = run(&["check", "--config", fine.to_str().unwrap(), "--json"]);
    let report = json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(
        (
            report["problems"].as_array().map(Vec::len),
            &report["looked_at"]["configuration"]
        ),
        (Some(0), &"ok".into())
    );
}

#[test]
fn listeners_that_other_machines_reach_are_noted() {
    let folder = folder();
    let open = configured(
        folder.path(),
        "[api]\nlisten = \"0.0.0.0:0\"\n[metrics]\nlisten = \"0.0.0.0:0\"\n",
    );
    let printed = said(&run(&["check", "--config", open.to_str().unwrap()]));
    for words in [
        "`api.listen` is 0.0.0.0:0 without `api.tls`",
        "`metrics.listen` is 0.0.0.0:0: ",
    ] {
        assert!(printed.contains(words), "{words} is not in:\n{printed}");
    }
    let closed = configured(
        folder.path(),
        "[api]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"[::1]:0\"\n",
    );
    let printed = said(&run(&["check", "--config", closed.to_str().unwrap()]));
    assert!(!printed.contains("note "), "{printed}");
}

#[test]
fn what_a_file_or_a_name_says_in_an_error_moves_no_cursor() {
    let folder = folder();
    let named = folder.path().join("gone\u{1b}[2J\u{202e}.toml");
    let file = configured(
        folder.path(),
        "[webhooks]\nca_file = \"gone\\u001b[2J\\u202e\\r\"\n",
    );
    for arguments in [
        ["serve", "--config", file.to_str().unwrap()],
        ["serve", "--config", named.to_str().unwrap()],
        ["check", "--config", named.to_str().unwrap()],
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("gone\\u001b[2J\\u202e"), "{error:?}");
        assert!(
            error
                .trim_end()
                .chars()
                .all(|c| !c.is_control() && c != '\u{202e}'),
            "{error:?}"
        );
    }
}
