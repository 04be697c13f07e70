//! The requests of known callers (docs/dialects/engagelab.md), and the vendor's own verifier of callbacks.

use super::*;
use engine::catalog::CatalogChange;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The callers of generation A that docs/dialects/engagelab.md describes; none is a packaged SDK.
#[tokio::test]
async fn the_requests_of_known_callers_are_taken_octet_for_octet() {
    let node = TestNode::start().await;
    // A PHP content manager: json_encode escapes slashes and writes numbers from forms as texts. It takes every
    // answer with a `code` for a failure.
    let php = r#"{"to":["+12673800401"],"body":{"template_id":"1001","vars":{"code":"123456"}}}"#;
    // A Python service: requests' `json=`, blanks after separators, a short uuid as the id. It looks at the HTTP status.
    let flask = r#"{"from": "Acme", "to": ["+12673800402"], "request_id": "9f1c2d3e", "body": {"template_id": 1001, "vars": {"code": "654321"}}}"#;
    // A PHP array without entries is `[]`.
    let php_without = r#"{"to":["+12673800403"],"custom_args":[],"body":{"template_id":1003,"vars":[]}}"#;
    // The page's first tip: an array of values for each recipient.
    let arrays = r#"{"to":["+12673800404"],"body":{"template_id":1001,"vars":{"code":["1111","2222"]}}}"#;
    for (caller, body, number, text) in [
        ("PHP", php, "+12673800401", "Your code is 123456"),
        ("Flask", flask, "+12673800402", "Your code is 654321"),
        ("PHP without variables", php_without, "+12673800403", "Hello"),
        ("arrays", arrays, "+12673800404", "Your code is 1111"),
    ] {
        let answer = node.ask(post("/v1/send", USER, body)).await;
        assert_eq!(reported(&answer), (200, 0), "{caller}: {}", answer.body);
        assert_eq!(node.received(number).await.text, text, "{caller}");
    }
    // A Laravel service, commented out there: `to` a text, `vars` a sentence. And the fall-back of one of the
    // Flask helpers: a text without a template. Neither can be sent; both get the reason.
    let laravel =
        r#"{"from":"Acme","to":"+12673800405","body":{"template_id":1001,"vars":"Your code is 1"}}"#;
    assert_eq!(
        reported(&node.ask(post("/v1/send", USER, laravel)).await),
        (400, 33004)
    );
    let text = r#"{"to": ["+12673800406"], "text": "hi", "body": {"content": "hi"}}"#;
    assert_eq!(
        reported(&node.ask(post("/v1/send", USER, text)).await),
        (400, 33003)
    );

    // Generation C: the vendor's Python client sends this and raises on a non-zero `code`; a Go service wants `code`
    // absent and `accepted_count` over 0 or a `plan_id`.
    let python = r#"{"to": ["923700056581"], "template": {"id": "1001", "params": {"code": "123456"}}, "plan_name": "-", "custom_args": {"order_id": "1"}}"#;
    let go = r#"{"to":["+8618701235678"],"template":{"id":"1001","params":{"code":"1234"}}}"#;
    for body in [python, go] {
        let answer = node.ask(post("/v1/messages", USER, body)).await;
        assert_eq!(
            (reported(&answer), &answer.json()["accepted_count"]),
            ((200, 0), &json!(1))
        );
    }
}

/// What the vendor's own Python client of generation C (`sms_client.py`) sends, and what it reads of the answers.
#[tokio::test]
async fn the_requests_of_the_vendors_client_are_taken() {
    let node = TestNode::start().await;
    let json_body = |method: &str, path: &str, body: &'static str| {
        let mut request = managing(method, path, USER, &Value::Null);
        *request.body_mut() = Body::from(body);
        request
    };
    let made = node
        .ask(json_body(
            "POST",
            "/v1/template-configs",
            r#"{"template_name": "Welcome SMS", "template_type": "utility", "template_content": "Hi {name}, welcome to our platform!", "country_codes": "US,GB", "add_signature": false}"#,
        ))
        .await;
    let id = made.json()["template_id"].as_str().unwrap().to_owned();
    let listed = node
        .ask(json_body("GET", "/v1/template-configs", ""))
        .await
        .json();
    let last = listed.as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["template_id"], &last["status"]), (&json!(id), &json!(1)));
    node.engine
        .review_template(
            ACCOUNT,
            id.parse().unwrap(),
            engine::catalog::Review::Approved,
            "",
        )
        .await
        .unwrap();
    let body = format!(
        r#"{{"to": ["+8618701235678"], "template": {{"id": "{id}", "params": {{"name": "Lucy"}}}}, "plan_name": "spring"}}"#
    );
    let sent = node.ask(post("/v1/messages", USER, body)).await.json();
    // The client takes a code that is not 0 for a failure, whatever the status.
    assert!(sent.get("code").is_none() && sent["plan_id"].is_string() && sent["message_id"].is_string());
    assert_eq!(
        node.received("+8618701235678").await.text,
        "Hi Lucy, welcome to our platform!"
    );
    let signed = node
        .ask(json_body(
            "POST",
            "/v1/sign-configs",
            r#"{"sign_name": "MyCompany"}"#,
        ))
        .await
        .json();
    let path = format!("/v1/sign-configs/{}", signed["sign_id"].as_str().unwrap());
    let refused = node
        .ask(json_body("PUT", &path, r#"{"sign_name": "MyCompany 2"}"#))
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.json()),
        (
            400,
            json!({ "code": 400, "message": "can not update pending status sign" })
        )
    );
}

/// The Python that has `tests/clients/requirements.txt` installed, where there is one.
fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var_os("POSTRIDER_CLIENTS_PYTHON")
        .map_or_else(|| root.join("target/clients/bin/python"), PathBuf::from);
    python.exists().then_some(python)
}

/// The script with the vendor's verifier, ended with its owner.
struct Client {
    process: Child,
    says: BufReader<ChildStdout>,
}

impl Client {
    fn start(python: &Path, demo: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/engagelab_callback.py");
        let mut process = Command::new(python)
            .args([&*script, demo])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(process.stdout.take().unwrap());
        Self { process, says }
    }

    /// The next line it prints; nothing at its end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Lets it go on.
    fn go_on(&mut self) {
        self.process
            .stdin
            .take()
            .unwrap()
            .write_all(b"continue\n")
            .unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Does what waits for another process where waiting holds nobody up.
async fn blocking<T: Send + 'static>(
    mut client: Client,
    wait: impl FnOnce(&mut Client) -> T + Send + 'static,
) -> (Client, T) {
    let waited = tokio::task::spawn_blocking(move || {
        let came = wait(&mut client);
        (client, came)
    });
    waited.await.unwrap()
}

/// `engagelab-otp`'s verifier as the receiver, over real connections both ways.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engagelab_otp_takes_the_callback() {
    let Some(python) = python() else {
        println!(
            "SKIPPED, nothing was tested: the clients are not installed (pip install -r crates/api/tests/clients/requirements.txt)"
        );
        return;
    };
    let settings = json!({ "username": "demo" });
    let nowhere = endpoint("engagelab_callback", "http://127.0.0.1:9/", settings);
    let node = TestNode::start().await;
    node.start_webhooks(engine::Endpoint {
        enabled: false,
        ..nowhere.clone()
    })
    .await;
    let served = node.listen().await;
    let base_url = format!("http://{}", served.address);
    let demo = json!({
        "base_url": base_url,
        "engagelab": { "dev_key": USER, "dev_secret": KEY },
        "templates": { "code": { "number": CODE } },
        "engagelab_callback": { "username": "demo", "secret": SECRET },
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.json");
    std::fs::write(&file, demo.to_string()).unwrap();
    let (client, listening) = blocking(Client::start(&python, &file), Client::line).await;
    let port = listening
        .strip_prefix("listening ")
        .unwrap_or_else(|| panic!("{listening}"));
    let there = engine::Endpoint {
        url: format!("http://127.0.0.1:{port}/callback").into(),
        ..nowhere
    };
    let change = vec![CatalogChange::PutEndpoint(there)];
    node.change(change).await;
    let said = blocking(client, |client| {
        client.go_on();
        client.line()
    });
    let (mut client, said) = tokio::time::timeout(Duration::from_secs(60), said)
        .await
        .expect("ends in time");
    assert_eq!(said, "engagelab-otp: fine");
    assert!(client.process.wait().unwrap().success());
    served.stop().await;
    node.engine.stop(Duration::from_secs(5)).await.unwrap();
}
