//! A started program, and the outside that talks to it.

use crate::api;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take on a busy machine.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(30);

/// The rest of [`WAIT_MAX`]; `None` once it is over.
pub(crate) fn time_left(since: Instant) -> Option<Duration> {
    WAIT_MAX.checked_sub(since.elapsed())
}

/// The program with arguments, not started yet.
pub(crate) fn postrider(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postrider"));
    command.args(arguments).env_remove("POSTRIDER_MASTER_KEY");
    command
}

/// Runs a command that ends by itself.
pub(crate) fn run(arguments: &[&str]) -> Output {
    postrider(arguments).output().unwrap()
}

/// What a command said, both ways.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs a line of shell and returns what it prints.
pub(crate) fn sh(line: &str, id: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", line])
        .env("ID", id)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `curl` quietly, for at most a minute.
pub(crate) fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "60"])
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Only the HTTP status; `000` without a response.
pub(crate) fn status_of(url: &str) -> String {
    curl(&["-k", "-o", "/dev/null", "-w", "%{http_code}", url])
}

/// Reads JSON and says what it was when it is none.
pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in: {text}"))
}

/// Repeats `done` until it returns a value.
pub(crate) fn eventually<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(done) = done() {
            return done;
        }
        assert!(
            time_left(since).is_some(),
            "{what} did not happen within {WAIT_MAX:?}"
        );
        std::thread::yield_now();
    }
}

/// Lines a process prints, to be waited for.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<String>, Condvar)>);

impl Lines {
    fn follow(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let shared = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let (text, news) = &*shared.0;
                let mut text = text.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
                news.notify_all();
            }
        });
        lines
    }

    /// Everything so far.
    pub(crate) fn so_far(&self) -> String {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits until `part` was printed and returns everything so far.
    pub(crate) fn wait_for(&self, part: &str) -> String {
        let (text, news) = &*self.0;
        let since = Instant::now();
        let mut text = text.lock().unwrap();
        while !text.contains(part) {
            let left = time_left(since)
                .unwrap_or_else(|| panic!("{part:?} was not printed within {WAIT_MAX:?}, but:\n{text}"));
            text = news.wait_timeout(text, left).unwrap().0;
        }
        text.clone()
    }
}

/// A running program; killed when dropped.
pub(crate) struct Running {
    child: Child,
    /// Standard output.
    pub(crate) out: Lines,
    /// Standard error.
    pub(crate) err: Lines,
}

/// Starts the simulator, with more options, and gives the port of its SMSC.
pub(crate) fn sim(more: &[&str]) -> (Running, String) {
    let options = ["sim", "--listen", "127.0.0.1:0", "--no-control", "--quiet"];
    let sim = Running::start(postrider(&[&options, more].concat()));
    let started = sim.err.wait_for("SMPP on 127.0.0.1:");
    let (_, port) = started.split_once("SMPP on 127.0.0.1:").unwrap();
    let port = port.chars().take_while(char::is_ascii_digit).collect();
    (sim, port)
}

/// Writes a file and gives its path, for a command line.
pub(crate) fn written(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = Lines::follow(child.stdout.take().unwrap());
        let err = Lines::follow(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits until it ends.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        eventually("the end of the program", || self.child.try_wait().unwrap())
    }

    /// Stops it in order.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `postrider dev` on free ports with a data folder of its own.
pub(crate) struct Dev {
    pub(crate) running: Running,
    pub(crate) data: PathBuf,
    /// `demo.json`.
    pub(crate) demo: Value,
    pub(crate) banner: String,
}

impl Dev {
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    pub(crate) fn start_with(data: &Path, more: &[&str]) -> Self {
        let path = data.to_str().unwrap();
        let arguments = [
            &[
                "dev",
                "--data",
                path,
                "--listen",
                "127.0.0.1:0",
                "--metrics-listen",
                "127.0.0.1:0",
            ],
            more,
        ]
        .concat();
        let running = Running::start(postrider(&arguments));
        let banner = running.out.wait_for("Messages of the sandbox:");
        let file = data.join("demo.json");
        let base = banner
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .unwrap()
            .to_owned();
        // The file of a run before this one names other ports.
        let demo = eventually("demo.json", || {
            let demo = json(&std::fs::read_to_string(&file).ok()?);
            (demo["base_url"] == *base).then_some(demo)
        });
        Self {
            running,
            data: data.to_owned(),
            demo,
            banner,
        }
    }

    /// Where the APIs are.
    pub(crate) fn base(&self) -> &str {
        self.demo["base_url"].as_str().unwrap()
    }

    /// Where health and metrics are.
    pub(crate) fn metrics(&self) -> &str {
        self.demo["metrics_url"].as_str().unwrap()
    }

    /// Text at a path of `demo.json`.
    pub(crate) fn text(&self, pointer: &str) -> String {
        let value = self
            .demo
            .pointer(pointer)
            .unwrap_or_else(|| panic!("no {pointer} in demo.json"));
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// Sends a code to a number through uSpeedo REST v1 and returns the answer.
    pub(crate) fn send(&self, phone: &str) -> Value {
        self.send_with(phone, &[])
    }

    /// The same with more headers.
    pub(crate) fn send_with(&self, phone: &str, headers: &[&str]) -> Value {
        let template = self.text("/templates/code/ut_id");
        let body = format!(
            r#"{{"TaskContent":[{{"TemplateId":"{template}","SenderId":"Postrider","Target":[{{"Phone":"{phone}","TemplateParams":["4711"]}}]}}]}}"#
        );
        let pair = self.pair("/uspeedo/access_key_id", "/uspeedo/access_key_secret");
        self.post("/api/v1/usms/SendBatchUSMSMessage", &pair, headers, &body)
    }

    /// What a request to EngageLab's `/v1/send` that sends a code to a number says: its credentials, and its body.
    pub(crate) fn engagelab(&self, phone: &str) -> (String, String) {
        let template = self.text("/templates/code/number");
        let body = format!(
            r#"{{"to":["{phone}"],"body":{{"template_id":"{template}","vars":{{"code":"778899"}}}}}}"#
        );
        (self.pair("/engagelab/sms_user", "/engagelab/sms_key"), body)
    }

    /// Credentials as curl and Basic take them.
    fn pair(&self, user: &str, secret: &str) -> String {
        format!("{}:{}", self.text(user), self.text(secret))
    }

    /// Posts JSON with Basic credentials and more headers, and returns the answer.
    pub(crate) fn post(&self, path: &str, pair: &str, headers: &[&str], body: &str) -> Value {
        api::post(&format!("{}{path}", self.base()), pair, headers, body)
    }

    /// Calls a SendCloud interface and returns the answer.
    pub(crate) fn sendcloud(&self, user: &str, key: &str, path: &str, fields: &[(&str, &str)]) -> Value {
        api::sendcloud(&format!("{}{path}", self.base()), (user, key), &[], fields)
    }

    /// Calls a UCloud action and returns the answer.
    pub(crate) fn ucloud(&self, user: &str, key: &str, action: &str, params: &[(&str, &str)]) -> Value {
        api::ucloud(&format!("{}/", self.base()), (user, key), &[], action, params)
    }

    /// Sends and returns the session number.
    pub(crate) fn send_for_session(&self, phone: &str) -> String {
        let answer = self.send(phone);
        answer["SessionNo"][0]
            .as_str()
            .unwrap_or_else(|| panic!("no session in {answer}"))
            .to_owned()
    }

    /// Runs a tool on this node's store.
    pub(crate) fn tool(&self, arguments: &[&str]) -> Output {
        let data = self.data.to_str().unwrap();
        let mut all = arguments.to_vec();
        all.extend(["--data", data]);
        run(&all)
    }
}

/// An empty folder that goes away with the test.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}
