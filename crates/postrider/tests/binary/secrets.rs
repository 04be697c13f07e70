//! Secrets that are none: refused when they are applied, switched off where a store has them already.

use crate::testkit::{Dev, curl, eventually, folder, json, postrider, said, written};
use engine::catalog::{CatalogChange, Credential, SecretSealer, credential_secret_name};
use std::path::Path;
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{AccountId, Store};

const FAMILIES: [&str; 5] = ["uspeedo", "ucloud", "sendcloud", "engagelab", "engagelab_dev"];

/// Gives an account of a store credentials of all families with an empty secret, as earlier releases let in.
fn with_empty_secrets(data: &Path) {
    let digits = std::fs::read_to_string(data.join("master.key")).unwrap();
    let key = engine::hex::octets(digits.trim()).unwrap().try_into().unwrap();
    let sealer = SecretSealer::new(&key);
    let changes = FAMILIES.map(|family| {
        let name = credential_secret_name(family, "empty");
        CatalogChange::PutCredential(Credential {
            family: family.into(),
            key: "empty".into(),
            sealed_secret: sealer.seal(&name, "").unwrap(),
            account: AccountId(1),
            enabled: true,
            requests_per_s_max: 0,
        })
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&data.join("postrider.db"), Mode::Tool, SqliteConfig::default());
        let store = store.unwrap();
        store.change_catalog(changes.into()).await.unwrap();
        store.close().await.unwrap();
    });
}

#[test]
fn a_stored_credential_with_an_empty_secret_lets_nobody_in_and_says_so() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    assert_eq!(dev.send("+447700900123")["RetCode"], 0, "{}", dev.banner);
    assert!(dev.running.stop().success());
    with_empty_secrets(folder.path());

    let dev = Dev::start(folder.path());
    let log = dev.running.err.wait_for("family=\"engagelab_dev\"");
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("ERROR") && line.contains("credential disabled"))
        .collect();
    assert_eq!(lines.len(), FAMILIES.len(), "{log}");
    for line in &lines {
        assert!(
            line.contains("account=\"demo\"") && line.contains("key=\"empty\""),
            "{line}"
        );
    }
    let check = dev.tool(&["check"]);
    assert_eq!(check.status.code(), Some(3), "{}", said(&check));
    for family in FAMILIES {
        let expected = format!("PROBLEM        credential demo/{family}/empty: its secret or key is empty");
        assert!(said(&check).contains(&expected), "{}", said(&check));
    }
    let metrics = curl(&[&format!("{}/metrics", dev.metrics())]);
    assert!(metrics.contains("postrider_open_credentials 5\n"), "{metrics}");

    // Authentication with an empty secret on each API.
    let template = dev.text("/templates/code/ut_id");
    let body = format!(
        r#"{{"TaskContent":[{{"TemplateId":"{template}","SenderId":"Postrider","Target":[{{"Phone":"+447700900123","TemplateParams":["1"]}}]}}]}}"#
    );
    let basic = |path: &str, body: &str| {
        let url = format!("{}{path}", dev.base());
        let content = "Content-Type: application/json";
        json(&curl(&["-u", "empty:", "-H", content, "-d", body, &url]))
    };
    let rest = basic("/api/v1/usms/SendBatchUSMSMessage", &body);
    assert_eq!(rest["RetCode"], 215_398, "{rest}");
    let action = dev.ucloud("empty", "", "QueryUSMSTemplate", &[("TemplateId", &template)]);
    assert_eq!(action["RetCode"], 172, "{action}");
    let sendcloud = dev.sendcloud("empty", "", "/smsapi/list", &[]);
    assert_eq!(sendcloud["statusCode"], 601, "{sendcloud}");
    for (path, code) in [("/v1/send", 30_000), ("/v1/messages", 2002)] {
        let refused = basic(path, "{}");
        assert_eq!(refused["code"], code, "{path}: {refused}");
    }

    // Given a secret, it works at once.
    let file = written(
        folder.path(),
        "repair.toml",
        "[[account]]\nname = \"demo\"\n[[account.credential]]\nfamily = \"uspeedo\"\nkey = \"empty\"\n\
         secret = \"a-secret-of-enough-octets\"\n",
    );
    let applied = dev.tool(&["apply", &file]);
    assert!(applied.status.success(), "{}", said(&applied));
    eventually("the credential to be let in", || {
        let url = format!("{}/api/v1/usms/SendBatchUSMSMessage", dev.base());
        let content = "Content-Type: application/json";
        let pair = "empty:a-secret-of-enough-octets";
        let answer = json(&curl(&["-u", pair, "-H", content, "-d", &body, &url]));
        (answer["RetCode"] == 0).then_some(())
    });
    eventually("a page with the new count", || {
        let metrics = curl(&[&format!("{}/metrics", dev.metrics())]);
        metrics.contains("postrider_open_credentials 4\n").then_some(())
    });
    assert!(dev.running.stop().success());
}

#[test]
fn an_empty_variable_or_file_is_no_secret() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let empty = written(folder.path(), "empty.key", "\u{feff}\r\n");
    let entry = |family: &str, line: &str| {
        format!(
            "[[account]]\nname = \"a\"\n[[account.credential]]\nfamily = {family:?}\nkey = \"k\"\n{line}\n"
        )
    };
    for family in FAMILIES {
        for (line, expected) in [
            ("secret = \"\"".to_owned(), "`secret` is empty".to_owned()),
            (
                "secret_env = \"EMPTY_KEY\"".to_owned(),
                "the environment variable EMPTY_KEY (secret_env) is empty".to_owned(),
            ),
            (
                format!("secret_file = {empty:?}"),
                format!("secret_file {empty} is empty"),
            ),
        ] {
            let file = written(folder.path(), "catalog.toml", &entry(family, &line));
            let output = postrider(&["apply", &file, "--data", dev.data.to_str().unwrap()])
                .env("EMPTY_KEY", "")
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(2), "{}", said(&output));
            assert!(said(&output).contains(&expected), "{}", said(&output));
        }
    }
    let short = written(
        folder.path(),
        "short.toml",
        &entry("ucloud", "secret = \"s3cret\""),
    );
    let output = dev.tool(&["apply", &short]);
    assert!(
        output.status.success() && said(&output).contains("note: 1 secret is shorter than 16 octets"),
        "{}",
        said(&output)
    );
    let check = dev.tool(&["check"]);
    assert!(
        check.status.success()
            && said(&check).contains("note           1 secret is shorter")
            && said(&check).ends_with("no problems found\n"),
        "{}",
        said(&check)
    );
}
