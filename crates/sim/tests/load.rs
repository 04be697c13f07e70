//! The load generator against a server that answers as EngageLab does, on good days and on bad ones.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests stop at the first surprise"
)]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sim::load::{
    Answer, Demo, Dialect, EngageLab, Load, SendCloud, Template, Text, Ucloud, Uspeedo, number, run,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// What the server does to the first try of a request.
#[derive(Clone, Copy, PartialEq)]
enum ServerBehaviour {
    Good,
    /// It drops the connection after it has acted.
    Silent,
    /// It says that it is busy, and does not act.
    Busy,
    /// It acts on all recipients but the first.
    Partial,
}

#[derive(Default)]
struct Server {
    tries: HashMap<String, u32>,
    answers: HashMap<String, (u16, String)>,
    accepted: Vec<String>,
}

async fn serve(behaviour: fn(u64) -> ServerBehaviour) -> (Demo, Arc<Mutex<Server>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let server = Arc::new(Mutex::new(Server::default()));
    let shared = Arc::clone(&server);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer_all(stream, Arc::clone(&shared), behaviour));
        }
    });
    (demo(base_url), server)
}

fn demo(base_url: String) -> Demo {
    let word = || "demo".to_owned();
    let template = Template {
        number: 7,
        ut_id: "UTA1".into(),
    };
    Demo {
        metrics_url: base_url.clone(),
        base_url,
        account_id: 1,
        uspeedo: Uspeedo {
            access_key_id: word(),
            access_key_secret: word(),
        },
        ucloud: Ucloud {
            public_key: word(),
            private_key: word(),
            sig_content: word(),
        },
        sendcloud: SendCloud {
            sms_user: word(),
            sms_key: word(),
        },
        engagelab: EngageLab {
            sms_user: word(),
            sms_key: word(),
        },
        clock_offsets_s: vec![],
        templates: ["code", "plain"]
            .map(|name| (name.to_owned(), template.clone()))
            .into(),
    }
}

/// Answers the requests of one connection until it closes, or drops it.
async fn answer_all(stream: TcpStream, server: Arc<Mutex<Server>>, behaviour: fn(u64) -> ServerBehaviour) {
    let mut stream = BufReader::new(stream);
    while let Some(body) = read_request(&mut stream).await {
        let Some((status, body)) = server.lock().answer(&body, behaviour) else {
            return;
        };
        let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).await.unwrap();
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    Some(body)
}

impl Server {
    fn answer(&mut self, body: &[u8], behaviour: fn(u64) -> ServerBehaviour) -> Option<(u16, String)> {
        let request: serde_json::Value = serde_json::from_slice(body).unwrap();
        let id = request["request_id"].as_str().unwrap().to_owned();
        let place: u64 = id.rsplit('-').next().unwrap().parse().unwrap();
        let tries = self.tries.entry(id.clone()).or_default();
        *tries += 1;
        let behaviour = if *tries == 1 || behaviour(place) == ServerBehaviour::Partial {
            behaviour(place)
        } else {
            ServerBehaviour::Good
        };
        if behaviour == ServerBehaviour::Busy {
            return Some((503, "busy".into()));
        }
        let answer = self.answers.entry(id).or_insert_with(|| {
            let skipped = usize::from(behaviour == ServerBehaviour::Partial);
            let phones = request["to"].as_array().unwrap().iter().skip(skipped);
            let phones: Vec<&str> = phones.map(|phone| phone.as_str().unwrap()).collect();
            self.accepted
                .extend(phones.iter().map(|phone| (*phone).to_owned()));
            let ids: Vec<String> = phones
                .iter()
                .map(|phone| format!("{place}_1_1_7_abcdef${phone}"))
                .collect();
            (200, serde_json::json!({ "sms_ids": ids }).to_string())
        });
        (behaviour != ServerBehaviour::Silent).then(|| answer.clone())
    }
}

fn load(demo: Demo) -> Load {
    Load {
        recipients: 3,
        connections: 4,
        requests_max: 50,
        name: "test".into(),
        remembers: true,
        ..Load::new(demo, Dialect::EngageLab)
    }
}

fn faulty(place: u64) -> ServerBehaviour {
    match place % 10 {
        3 => ServerBehaviour::Silent,
        5 => ServerBehaviour::Busy,
        7 => ServerBehaviour::Partial,
        _ => ServerBehaviour::Good,
    }
}

#[tokio::test]
async fn everything_is_sent_once_and_the_answers_match_what_was_accepted() {
    let (demo, server) = serve(|_| ServerBehaviour::Good).await;
    let outcome = run(load(demo), CancellationToken::new()).await.unwrap();
    assert_eq!(
        (outcome.answered, outcome.accepted, outcome.recipients_accepted),
        (50, 50, 150)
    );
    assert_eq!(
        (outcome.retries, outcome.unanswered, outcome.latency_us.len()),
        (0, 0, 50)
    );
    let accepted: HashSet<String> = outcome
        .results
        .iter()
        .flat_map(|result| result.accepted())
        .map(|number| format!("+{number}"))
        .collect();
    let done: HashSet<String> = server.lock().accepted.iter().cloned().collect();
    assert_eq!((accepted.len(), &accepted), (150, &done));
}

#[tokio::test]
async fn a_persistent_client_retries_under_the_same_id_until_it_has_an_answer() {
    let (demo, server) = serve(faulty).await;
    let load = Load {
        persistent: true,
        repeat_share: 1.0,
        ..load(demo)
    };
    let outcome = run(load, CancellationToken::new()).await.unwrap();
    assert_eq!(
        (outcome.accepted, outcome.unanswered, outcome.retries),
        (50, 0, 10)
    );
    assert_eq!((outcome.repeats, outcome.repeats_wrong), (50, 0));
    assert_eq!(
        (outcome.recipients_accepted, outcome.recipients_refused),
        (145, 5)
    );
    let partial = outcome
        .results
        .iter()
        .find(|result| result.request_id == "test-7")
        .unwrap();
    assert_eq!(
        partial.answer,
        Some(Answer::Accepted {
            reference: "7_1_1_7_abcdef".into(),
            refused: vec![0]
        })
    );
    assert!(!partial.accepted().any(|accepted| accepted == number(21)));
    let done = server.lock().accepted.clone();
    let different: HashSet<&String> = done.iter().collect();
    assert_eq!(
        (done.len(), different.len()),
        (145, 145),
        "no request was acted on twice"
    );
}

#[tokio::test]
async fn a_client_without_retries_counts_requests_without_an_answer() {
    let (demo, _) = serve(faulty).await;
    let outcome = run(load(demo), CancellationToken::new()).await.unwrap();
    assert_eq!((outcome.answered, outcome.unanswered), (45, 5));
    assert_eq!((outcome.accepted, outcome.refused), (40, 5));
    assert!(
        outcome.reasons.iter().any(|reason| reason.contains("busy")),
        "{:?}",
        outcome.reasons
    );
}

#[tokio::test]
async fn an_open_loop_keeps_its_rate_and_stops_when_cancelled() {
    let (demo, _) = serve(|_| ServerBehaviour::Good).await;
    let stop = CancellationToken::new();
    let load = Load {
        per_s: Some(200.0),
        requests_max: 20,
        ..load(demo.clone())
    };
    let began = Instant::now();
    let outcome = run(load.clone(), stop.clone()).await.unwrap();
    assert_eq!(outcome.accepted, 20);
    assert!(began.elapsed() >= Duration::from_millis(95), "19 pauses of 5 ms");
    stop.cancel();
    assert_eq!(run(load, stop).await.unwrap().answered, 0);
    let without = Load {
        texts: vec![Text::Notice],
        ..Load::new(demo, Dialect::EngageLab)
    };
    assert!(
        run(without, CancellationToken::new()).await.is_none(),
        "there is no such template"
    );
}
