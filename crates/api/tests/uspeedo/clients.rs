//! The vendors' own published clients: their requests octet for octet, and the clients themselves.

use super::{KEY, USER, approve_at_once, code_of};
use crate::testkit::{ACCOUNT, Answer, CODE, NOTICE, PLAIN, SIGNATURE, TestNode, ut_id};
use axum::body::Body;
use http::Request;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What `uspeedo-sdk-py` 1.5.1 sent, but for the time, which is not signed.
#[tokio::test]
async fn the_requests_of_uspeedo_sdk_py_are_taken_octet_for_octet() {
    let node = TestNode::start().await;
    let body = r#"{"AccountId": 10001, "TaskContent": [{"SenderId": "uSpeedo", "Target": [{"Phone": "(44)7700900123", "TemplateParams": ["8341"], "UserId": "\u5c0f o\"1<&>", "ExtendCode": "12"}, {"Phone": "55212345780", "TemplateParams": []}], "TemplateId": "UTA261122001001"}], "Action": "SendBatchUSMSMessage"}"#;
    let request = |uri: &str, signature: &str, body: &str| {
        Request::post(uri)
            .header("User-Agent", "Python/3.11.7 Python-SDK/1.5.1")
            .header("Accept-Encoding", "gzip, deflate")
            .header("Content-Type", "application/json")
            .header("X-Access-Key-Id", USER)
            .header("X-Signature", signature)
            .header("X-Timestamp", (node.engine.now() / 1000).to_string())
            .header("X-Nonce", "bd8ee6aefe")
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    let uri = "/api?Action=SendBatchUSMSMessage";
    let sent = node
        .ask(request(uri, "22f869564272db4605c0056a5e6fb3d9d5466a41", body))
        .await
        .json();
    assert_eq!(
        (&sent["RetCode"], &sent["SuccessCount"]),
        (&json!(0), &json!(1)),
        "{sent}"
    );
    assert_eq!(
        sent["FailContent"][0]["Target"][0]["Phone"], "55212345780",
        "{sent}"
    );
    assert_eq!(node.received("+447700900123").await.text, "Your code is 8341");
    let body = r#"{"SessionNoSet": ["a", "b"], "Action": "GetUSMSSendReceipt"}"#;
    let uri = "/api?Action=GetUSMSSendReceipt";
    let answer = node
        .ask(request(uri, "b5e9b0dbced7209d141d1e4b11124ee5d6adaba5", body))
        .await;
    assert_eq!(code_of(&answer), 0);
}

/// What `ucloud-sdk-python3` 0.11.150 sent.
#[tokio::test]
async fn the_requests_of_ucloud_sdk_python3_are_taken_octet_for_octet() {
    let node = TestNode::start().await;
    let ask = async |body: &'static str| -> Answer {
        let request = Request::post("/")
            .header("User-Agent", "Python/3.11.7 Python-SDK/0.11.150Package/usms")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("U-Timestamp-Ms", "1795329153742")
            .body(Body::from(body))
            .unwrap();
        node.ask(request).await
    };
    let answer = ask("ProjectId=org-demo&PhoneNumbers.0=13800138000&PhoneNumbers.1=%2844%297700900123&SigContent=Example&TemplateId=UTA261122001001&TemplateParams.0=8341&UserId=o-1&Action=SendUSMSMessage&PublicKey=demo_user&Signature=dac8203a0c0d76d6ca9d751922ca173edb274661").await;
    assert_eq!((code_of(&answer), &answer.json()["UserId"]), (0, &json!("o-1")));
    assert_eq!(
        node.received("+8613800138000").await.text,
        "【Example】Your code is 8341"
    );
    let answer = ask("ProjectId=org-demo&TaskContent=W3siVGVtcGxhdGVJZCI6ICJVVEEyNjExMjIwMDEwMDEiLCAiU2lnQ29udGVudCI6ICJFeGFtcGxlIiwgIlRhcmdldCI6IFt7IlBob25lIjogIjEzODAwMTM4MDAwIiwgIlRlbXBsYXRlUGFyYW1zIjogWyI4MzQxIl19XX1d&Action=SendBatchUSMSMessage&PublicKey=demo_user&Signature=5af1930cb44aae674af6d53b6f37b7efa7d9a157").await;
    assert_eq!((code_of(&answer), &answer.json()["SuccessCount"]), (0, &json!(1)));
    let answer = ask("ProjectId=org-demo&SessionNoSet.0=a&SessionNoSet.1=b&Action=GetUSMSSendReceipt&PublicKey=demo_user&Signature=ed465525538f951355372279eb67d13aa0f3e913").await;
    assert_eq!(
        (code_of(&answer), answer.json()["Data"].as_array().unwrap().len()),
        (0, 2)
    );
}

/// The Python that has `tests/clients/requirements.txt` installed, where there is one.
fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var_os("POSTRIDER_CLIENTS_PYTHON")
        .map_or_else(|| root.join("target/clients/bin/python"), PathBuf::from);
    python.exists().then_some(python)
}

/// Runs a client's script against a listener of our own; passes over it where the clients are not installed.
async fn run_client(script: &str) {
    let Some(python) = python() else {
        println!(
            "SKIPPED, nothing was tested: the clients are not installed (pip install -r crates/api/tests/clients/requirements.txt)"
        );
        return;
    };
    let node = TestNode::start().await;
    // As in `postrider dev`: what a client makes it can use at once.
    approve_at_once(&node, ACCOUNT).await;
    let listening = node.listen().await;
    let base_url = format!("http://{}", listening.address);
    let template = |number: i64| json!({"number": number, "ut_id": ut_id(number)});
    let demo = json!({
        "base_url": base_url,
        "uspeedo": {"access_key_id": USER, "access_key_secret": KEY},
        "ucloud": {"public_key": USER, "private_key": KEY, "project_id": "org-demo", "sig_content": SIGNATURE.1},
        "templates": {"code": template(CODE), "notice": template(NOTICE), "plain": template(PLAIN)},
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.json");
    std::fs::write(&file, demo.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(script);
    let ran = tokio::task::spawn_blocking(move || {
        std::process::Command::new(python).arg(script).arg(file).output()
    });
    let output = tokio::time::timeout(Duration::from_secs(60), ran)
        .await
        .expect("ends in time")
        .unwrap()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uspeedo_sdk_py_works_unchanged() {
    run_client("uspeedo_sdk.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ucloud_sdk_python3_works_unchanged() {
    run_client("ucloud_sdk.py").await;
}
