//! A webhook endpoint: an HTTP server that keeps the calls and answers as configured.

use crate::testkit::{WAIT_MAX, time_left};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One call as it came.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) first_line: String,
    /// By name in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Call {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        crate::testkit::json(&self.body)
    }

    /// What a standard webhook says it is: `message.delivered`.
    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap_or_default().to_owned()
    }

    /// The number it is about.
    pub(crate) fn to(&self) -> String {
        self.json()["data"]["to"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Holds it to Standard Webhooks 1.0.0: signed with this key, lately.
    pub(crate) fn assert_signed_with(&self, secret: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.assert_signed_at(secret, now);
    }

    /// The same with the time of another clock, in Unix seconds.
    pub(crate) fn assert_signed_at(&self, secret: &str, now: u64) {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let (id, timestamp) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{id}.{timestamp}.{}", self.body).as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(self.header("webhook-signature"), expected);
        assert!(
            now.abs_diff(timestamp.parse().unwrap()) < 300,
            "{timestamp} is not about {now}"
        );
    }
}

struct Shared {
    calls: Mutex<Vec<Call>>,
    news: Condvar,
    answer: Mutex<(u16, &'static str)>,
    /// Calls whose body contains this text get status 503.
    failing: Mutex<Option<String>>,
}

/// Listens on a free port for as long as the test runs.
pub(crate) struct Receiver {
    shared: Arc<Shared>,
    pub(crate) url: String,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            calls: Mutex::default(),
            news: Condvar::new(),
            answer: Mutex::new((200, "{\"code\":0}")),
            failing: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { shared, url }
    }

    /// How it answers from now on.
    pub(crate) fn answer_with(&self, status: u16, body: &'static str) {
        *self.shared.answer.lock().unwrap() = (status, body);
    }

    /// Answers calls whose body contains this text with status 503 from now on.
    pub(crate) fn fail_calls_with(&self, text: &str) {
        *self.shared.failing.lock().unwrap() = Some(text.to_owned());
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// Waits until there are such calls, `count` of them at least, and returns them in order.
    pub(crate) fn wait_for(&self, what: &str, count: usize, is_meant: impl Fn(&Call) -> bool) -> Vec<Call> {
        let since = Instant::now();
        let mut calls = self.shared.calls.lock().unwrap();
        loop {
            let meant: Vec<Call> = calls.iter().filter(|call| is_meant(call)).cloned().collect();
            if meant.len() >= count {
                return meant;
            }
            let left = time_left(since).unwrap_or_else(|| {
                let all: Vec<&str> = calls.iter().map(|call| call.body.as_str()).collect();
                panic!("{what} was not received within {WAIT_MAX:?}, but {all:#?}")
            });
            calls = self.shared.news.wait_timeout(calls, left).unwrap().0;
        }
    }
}

/// Requests of one connection, one after the other.
fn serve(stream: &TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream);
    while let Some(call) = read(&mut reader) {
        let failing = shared.failing.lock().unwrap().clone();
        let (status, body) = match failing {
            Some(text) if call.body.contains(&text) => (503, ""),
            _ => *shared.answer.lock().unwrap(),
        };
        shared.calls.lock().unwrap().push(call);
        shared.news.notify_all();
        let answer = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut writer = stream;
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Call> {
    let mut first_line = String::new();
    if reader.read_line(&mut first_line).ok()? == 0 {
        return None;
    }
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Call {
        first_line: first_line.trim_end().to_owned(),
        headers,
        body: String::from_utf8(body).ok()?,
    })
}
