//! `postrider serve`: configuration, stopping, reloading.

use crate::testkit::{Dev, Running, curl, eventually, folder, json, postrider, run, said, status_of};
use std::path::{Path, PathBuf};
use std::process::Command;

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Writes a configuration that keeps everything in `folder` and listens on free ports.
pub(crate) fn configure(folder: &Path, more: &str) -> PathBuf {
    let path = folder.join("postrider.toml");
    let store = folder.join("postrider.db");
    let text = format!(
        "[secrets]\nmaster_key = \"{KEY}\"\n[store]\npath = {store:?}\n[metrics]\nlisten = \"127.0.0.1:0\"\n\
         [api]\nlisten = \"127.0.0.1:0\"\n{more}"
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn serve(config: &Path) -> Running {
    Running::start(postrider(&["serve", "--config", config.to_str().unwrap()]))
}

/// The address in a line of the log.
pub(crate) fn addr_after(running: &Running, words: &str) -> String {
    let log = running.err.wait_for(words);
    let line = log.lines().find(|line| line.contains(words)).unwrap();
    let (_, addr) = line.split_once("addr=").unwrap();
    addr.split_whitespace()
        .next()
        .unwrap()
        .trim_matches('\u{1b}')
        .to_owned()
}

#[test]
fn it_stops_in_order_and_is_not_ready_meanwhile() {
    let folder = folder();
    let config = configure(folder.path(), "[shutdown]\ndrain_s = 2\n");
    let mut node = serve(&config);
    let metrics = addr_after(&node, "health and metrics listening");
    let api = addr_after(&node, "APIs listening");
    let ready = format!("http://{metrics}/readyz");
    eventually("readiness", || (status_of(&ready) == "200").then_some(()));
    node.signal("TERM");
    eventually("unreadiness", || (status_of(&ready) == "503").then_some(()));
    // Still there for clients of a load balancer that has not noticed yet.
    assert_ne!(status_of(&format!("http://{api}/v1/send")), "000");
    assert_eq!(status_of(&format!("http://{metrics}/livez")), "200");
    assert!(node.ended().success());
    node.err.wait_for("stopped");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = folder();
    let mut node = serve(&configure(folder.path(), "[shutdown]\ndrain_s = 60\n"));
    node.err.wait_for("APIs listening");
    node.signal("INT");
    node.err.wait_for("stopping");
    // One that comes at once belongs to the first, as `timeout` and terminals send them.
    node.signal("TERM");
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(!node.err.so_far().contains("second signal"));
    node.signal("INT");
    assert_eq!(node.ended().code(), Some(130));
}

/// A command that may have so many descriptors open.
fn with_descriptors(soft: u32, hard: u32, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let limit = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
    command.args(["-c", &limit, env!("CARGO_BIN_EXE_postrider")]);
    command.args(arguments).env_remove("POSTRIDER_MASTER_KEY");
    command
}

#[test]
fn the_limit_of_descriptors_is_raised_and_what_does_not_fit_is_said() {
    let folder = folder();
    let config = configure(folder.path(), "[api.connections]\nconnections_max = 500\n");
    let arguments = |command| [command, "--config", config.to_str().unwrap()];
    let node = Running::start(with_descriptors(200, 2000, &arguments("serve")));
    let metrics = addr_after(&node, "health and metrics listening");
    node.err.wait_for("APIs listening");
    let page = curl(&[&format!("http://{metrics}/metrics")]);
    assert!(page.contains("\nprocess_max_fds 2000\n"), "{page}");
    assert!(
        !node.err.so_far().contains("descriptors"),
        "{}",
        node.err.so_far()
    );
    drop(node);

    let mut node = Running::start(with_descriptors(200, 600, &arguments("serve")));
    let log = node.err.wait_for("at most 600 descriptors may be open");
    assert!(
        log.contains("564 connections") && log.contains("LimitNOFILE="),
        "{log}"
    );
    node.err.wait_for("APIs listening");
    node.signal("TERM");
    assert!(node.ended().success());
    let checked = with_descriptors(200, 600, &arguments("check")).output().unwrap();
    let printed = String::from_utf8_lossy(&checked.stdout);
    assert!(
        printed.contains("note ") && printed.contains("at most 600 descriptors"),
        "{printed}"
    );
    let checked = with_descriptors(200, 2000, &arguments("check")).output().unwrap();
    let printed = String::from_utf8_lossy(&checked.stdout);
    assert!(!printed.contains("descriptors"), "{printed}");
}

#[test]
fn a_length_beyond_the_bound_is_answered_from_the_head_on_every_wire() {
    use std::io::{Read as _, Write as _};
    let folder = folder();
    let node = serve(&configure(folder.path(), ""));
    let api = addr_after(&node, "APIs listening");
    for path in [
        "/",
        "/api",
        "/api/v1/usms/SendBatchUSMSMessage",
        "/smsapi/send",
        "/v1/send",
        "/v1/messages",
        "/v1/template-configs",
    ] {
        for more in ["", "Expect: 100-continue\r\n"] {
            let mut stream = std::net::TcpStream::connect(&api).unwrap();
            stream
                .set_read_timeout(Some(std::time::Duration::from_secs(20)))
                .unwrap();
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{more}Content-Length: 99999999\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            let mut begun = [0; 12];
            stream.read_exact(&mut begun).unwrap();
            let status = String::from_utf8_lossy(&begun);
            assert!(
                status.starts_with("HTTP/1.1 ") && !status.ends_with(" 100"),
                "{path} {more}: {status}"
            );
        }
    }
}

#[test]
fn a_stop_waits_for_no_body_that_does_not_come() {
    use std::io::Write as _;
    let folder = folder();
    let mut node = serve(&configure(
        folder.path(),
        "[shutdown]\ngrace_s = 60\n[api.connections]\nstop_grace_ms = 60000\n",
    ));
    let api = addr_after(&node, "APIs listening");
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut stream = std::net::TcpStream::connect(&api).unwrap();
        stream
            .write_all(b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
            .unwrap();
        held.push(stream);
    }
    let began = std::time::Instant::now();
    node.signal("TERM");
    assert!(node.ended().success());
    assert!(
        began.elapsed() < std::time::Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_hangup_takes_over_the_log_level() {
    let folder = folder();
    let config = configure(folder.path(), "[log]\nlevel = \"info\"\n");
    let node = serve(&config);
    node.err.wait_for("APIs listening");
    configure(
        folder.path(),
        "[log]\nlevel = \"debug\"\n[engine]\nretention_days = 9\n",
    );
    node.signal("HUP");
    let log = node.err.wait_for("take effect at the next start");
    assert!(
        log.contains("catalog reloaded") && log.contains("log level changed"),
        "{log}"
    );
    assert!(node.stop().success());
}

#[test]
fn it_speaks_https_with_the_certificate_it_is_given() {
    let folder = folder();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let node = serve(&configure(
        folder.path(),
        &format!("[api.tls]\ncert_file = {cert:?}\nkey_file = {key:?}\n"),
    ));
    let api = addr_after(&node, "APIs listening");
    let port = api.rsplit(':').next().unwrap();
    let url = format!("https://localhost:{port}/smsapi/timestamp/get");
    let answer = curl(&[
        "--cacert",
        cert.to_str().unwrap(),
        "--resolve",
        &format!("localhost:{port}:127.0.0.1"),
        &url,
    ]);
    assert!(answer.contains("timestamp"), "{answer}");
    assert!(node.stop().success());
}

#[test]
fn json_logs_are_one_object_a_line() {
    let folder = folder();
    let node = serve(&configure(folder.path(), "[log]\nformat = \"json\"\n"));
    let log = node.err.wait_for("APIs listening");
    for line in log.lines() {
        let value: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(
            value["level"].is_string() && value["message"].is_string(),
            "{line}"
        );
    }
    assert!(node.stop().success());
}

#[test]
fn a_wrong_configuration_is_named_before_anything_is_made_or_bound() {
    let cases = [
        (
            "[api.limits]\nbody_byte_max = 1\n",
            "line 10: unknown key `api.limits.body_byte_max`; did you mean `api.limits.body_bytes_max`?",
        ),
        (
            "[queue]\notp_weight = \"many\"\n",
            "line 10: `queue.otp_weight` must be a whole number",
        ),
        (
            "[queue]\nlane_messages_max = 50000\n",
            "the campaign of one account could fill the queue",
        ),
        ("[log]\nlevel = \"loud\"\n", "`log.level`: \"loud\" is not"),
    ];
    for (more, expected) in cases {
        let folder = folder();
        let config = configure(folder.path(), more);
        let output = run(&["serve", "--config", config.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{more}: {}", said(&output));
        assert!(said(&output).contains(expected), "{more}: {}", said(&output));
        assert!(
            !folder.path().join("postrider.db").exists(),
            "{more}: a store was created"
        );
    }
}

#[test]
fn a_missing_master_key_is_explained() {
    let folder = folder();
    let config = folder.path().join("postrider.toml");
    std::fs::write(&config, "").unwrap();
    let output = run(&["serve", "--config", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("POSTRIDER_MASTER_KEY"),
        "{}",
        said(&output)
    );
}

#[test]
fn numbers_texts_and_secrets_stay_out_of_the_log() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let pair = format!("demo-access-key:{}", dev.text("/uspeedo/access_key_secret"));
    let template = dev.text("/templates/code/ut_id");
    let key = folder.path().join("master.key");
    assert!(dev.running.stop().success());
    // The same store, served with the usual log.
    let config = folder.path().join("postrider.toml");
    let store = folder.path().join("postrider.db");
    let text = format!(
        "[secrets]\nmaster_key_file = {key:?}\n[store]\npath = {store:?}\n[metrics]\nlisten = \"127.0.0.1:0\"\n\
         [api]\nlisten = \"127.0.0.1:0\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let node = serve(&config);
    let base = format!("http://{}/api/v1/usms", addr_after(&node, "APIs listening"));
    let send = |template: &str, pair: &str| {
        let body = format!(
            r#"{{"TaskContent":[{{"TemplateId":"{template}","SenderId":"x","Target":[{{"Phone":"13800138000","TemplateParams":["999111"]}}]}}]}}"#
        );
        json(&curl(&[
            "-u",
            pair,
            "-d",
            &body,
            &format!("{base}/SendBatchUSMSMessage"),
        ]))
    };
    let session = send(&template, &pair)["SessionNo"][0]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(send("UTANONE", &pair)["RetCode"], 0);
    assert_ne!(send(&template, "demo-access-key:wrong")["RetCode"], 0);
    eventually("delivery", || {
        let answer = json(&curl(&[
            "-u",
            &pair,
            &format!("{base}/USMSSendReceipt?id={session}"),
        ]));
        (answer.pointer("/Data/0/ReceiptSet/0/ReceiptResult")? == "Success").then_some(())
    });
    let err = node.err.clone();
    assert!(node.stop().success());
    let log = err.wait_for("stopped");
    let key = std::fs::read_to_string(key).unwrap();
    let (_, secret) = pair.split_once(':').unwrap();
    for hidden in ["13800138000", "999111", "verification", secret, key.trim()] {
        assert!(!log.contains(hidden), "the log shows what it must not:\n{log}");
    }
}
