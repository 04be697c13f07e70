//! A webhook receiver that plays a script.

use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Answers with a status, an empty body and more headers.
    Status(u16, &'static str),
    /// The same, after so many milliseconds.
    Late(u64, u16),
    /// Never answers.
    Hang,
    /// Says that there is more to come, and hangs up.
    Die,
    /// Sends a body that has no end.
    Endless,
}

impl Reply {
    pub(crate) const OK: Self = Self::Status(204, "");
    pub(crate) const FAIL: Self = Self::Status(500, "");

    fn takes(&self) -> bool {
        matches!(
            self,
            Self::Status(200..300, _) | Self::Late(_, 200..300) | Self::Endless
        )
    }
}

/// One event as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Of the call it came with.
    pub headers: BTreeMap<String, String>,
    /// The whole body of that call.
    pub raw: Vec<u8>,
    /// The event.
    pub body: Value,
    /// Whether the server said that it took it.
    pub taken: bool,
}

impl Seen {
    pub(crate) fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default()
    }

    /// Of its message; its own for those of others.
    fn key(&self) -> String {
        let data = &self.body["data"];
        format!("{}{}", data["id"], data["session"])
    }

    /// Where it stands in the life of its message.
    fn rank(&self) -> u8 {
        match self.kind() {
            "message.submitted" => 1,
            _ => 2,
        }
    }
}

type Script = dyn Fn(usize, &Value) -> Reply + Send + Sync;

/// The server. Runs as long as the test.
#[derive(Clone)]
pub(crate) struct Hook {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    calls: Arc<Mutex<usize>>,
    /// Calls that have not been answered, now and the most at once.
    under_way: Arc<Mutex<(usize, usize)>>,
    script: Arc<Mutex<Arc<Script>>>,
}

impl Hook {
    /// With a script: what to do with the n-th call (from 0), which has this body.
    pub(crate) async fn start(script: impl Fn(usize, &Value) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    pub(crate) fn start_on(
        listener: TcpListener,
        script: impl Fn(usize, &Value) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let script: Arc<Script> = Arc::new(script);
        let hook = Self {
            port: listener.local_addr().unwrap().port(),
            seen: Arc::default(),
            calls: Arc::default(),
            under_way: Arc::default(),
            script: Arc::new(Mutex::new(script)),
        };
        let of_server = hook.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(of_server.clone().serve(stream));
            }
        });
        hook
    }

    /// From now on it plays another script.
    pub(crate) fn play(&self, script: impl Fn(usize, &Value) -> Reply + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?key=s3cret", self.port)
    }

    /// Calls so far, taken or not.
    pub(crate) fn calls(&self) -> usize {
        *self.calls.lock().unwrap()
    }

    /// The most calls that waited for their answer at once.
    pub(crate) fn under_way_max(&self) -> usize {
        self.under_way.lock().unwrap().1
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The events it took, in order.
    pub(crate) fn taken(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.taken).collect()
    }

    /// How many different events of a type it took.
    pub(crate) fn count(&self, kind: &str) -> usize {
        let keys: HashSet<String> = self
            .taken()
            .iter()
            .filter(|seen| seen.kind() == kind)
            .map(Seen::key)
            .collect();
        keys.len()
    }

    /// Checks that every message's events came in order, repeats left aside.
    pub(crate) fn assert_in_order(&self) {
        let mut seen: HashSet<(String, u8)> = HashSet::new();
        for event in self.taken() {
            if !event.kind().starts_with("message.") || event.kind() == "message.accepted" {
                continue;
            }
            if event.rank() == 2 {
                assert!(
                    seen.contains(&(event.key(), 1)),
                    "delivered before submitted: {}",
                    event.body
                );
            }
            seen.insert((event.key(), event.rank()));
        }
    }

    async fn serve(self, mut stream: TcpStream) {
        while let Some((headers, raw)) = read_request(&mut stream).await {
            let body: Value = serde_json::from_slice(&raw).unwrap();
            {
                let mut under_way = self.under_way.lock().unwrap();
                under_way.0 += 1;
                under_way.1 = under_way.1.max(under_way.0);
            }
            let n = {
                let mut calls = self.calls.lock().unwrap();
                *calls += 1;
                *calls - 1
            };
            let script = Arc::clone(&self.script.lock().unwrap());
            let reply = script(n, &body);
            if let Reply::Late(ms, _) = reply {
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
            let events = match &body {
                Value::Array(events) => events.clone(),
                one => vec![one.clone()],
            };
            // Taken is what the caller can know to be taken: that is noted before it is said.
            self.seen
                .lock()
                .unwrap()
                .extend(events.into_iter().map(|event| Seen {
                    headers: headers.clone(),
                    raw: raw.clone(),
                    body: event,
                    taken: reply.takes(),
                }));
            // Before the answer is written: once the caller has it, the next call may come at any moment.
            self.under_way.lock().unwrap().0 -= 1;
            if !play(&mut stream, &reply).await {
                return;
            }
        }
    }
}

/// False when the connection is over.
async fn play(stream: &mut TcpStream, reply: &Reply) -> bool {
    match reply {
        Reply::Status(status, headers) => {
            let answer = format!("HTTP/1.1 {status} -\r\ncontent-length: 0\r\n{headers}\r\n");
            // 204 has no body and no length.
            let answer = if *status == 204 {
                "HTTP/1.1 204 -\r\n\r\n".to_owned()
            } else {
                answer
            };
            stream.write_all(answer.as_bytes()).await.is_ok()
        }
        Reply::Late(_, status) => {
            let answer = format!("HTTP/1.1 {status} -\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.is_ok()
        }
        Reply::Hang => {
            let mut piece = [0; 64];
            // Until the other side has had enough.
            while matches!(stream.read(&mut piece).await, Ok(n) if n > 0) {}
            false
        }
        Reply::Die => {
            let _ = stream
                .write_all(b"HTTP/1.1 200 -\r\ncontent-length: 50\r\n\r\nhalf")
                .await;
            false
        }
        Reply::Endless => {
            let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
            let mut more = stream
                .write_all(b"HTTP/1.1 200 -\r\ntransfer-encoding: chunked\r\n\r\n")
                .await;
            while more.is_ok() {
                more = stream.write_all(chunk.as_bytes()).await;
            }
            false
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<(BTreeMap<String, String>, Vec<u8>)> {
    let mut read = Vec::new();
    let head_end = loop {
        if let Some(at) = read.windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(n) if n > 0 => read.extend_from_slice(&piece[..n]),
            _ => return None,
        }
    };
    let head = String::from_utf8_lossy(&read[..head_end]).into_owned();
    let headers: BTreeMap<String, String> = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    let mut body = read.split_off(head_end);
    while body.len() < length {
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(n) if n > 0 => body.extend_from_slice(&piece[..n]),
            _ => return None,
        }
    }
    Some((headers, body))
}
