//! What a peer repeats does not fill the log.

use crate::testkit::{Running, WAIT_MAX, eventually, folder, json, postrider, run, said, written};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const MASTER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// PDUs of each kind.
const EACH: usize = 5_000;

fn pdu(command: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = 16 + body.len() as u32;
    let header = [length, command, status, sequence].map(u32::to_be_bytes).concat();
    [&header, body].concat()
}

/// A `deliver_sm` from one number to another.
fn deliver(sequence: u32, esm_class: u8, text: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 1, 1];
    body.extend_from_slice(b"447700900123\0\x01\x01447700900500\0");
    body.extend_from_slice(&[esm_class, 0, 0, 0, 0, 0, 0, 0, 0, text.len() as u8]);
    body.extend_from_slice(text);
    pdu(5, 0, sequence, &body)
}

/// What the SMSC has seen.
#[derive(Default)]
struct Seen {
    /// Answers to its deliveries with a status.
    refused: AtomicUsize,
    /// Of them those that say that the rate is used up.
    throttled: AtomicUsize,
    /// All answers to its deliveries.
    answered: AtomicUsize,
    binds: AtomicUsize,
}

/// An SMSC that takes the first bind, floods it, and refuses every other bind.
fn flooding_smsc(seen: &Arc<Seen>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::clone(seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || session(stream, &seen));
        }
    });
    port
}

fn next(stream: &mut TcpStream) -> Option<(u32, u32, u32)> {
    let mut header = [0; 16];
    stream.read_exact(&mut header).ok()?;
    let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
    let mut body = vec![0; word(0) as usize - 16];
    stream.read_exact(&mut body).ok()?;
    Some((word(4), word(8), word(12)))
}

fn session(mut stream: TcpStream, seen: &Seen) {
    let Some((command, _, sequence)) = next(&mut stream) else {
        return;
    };
    let first = seen.binds.fetch_add(1, Ordering::SeqCst) == 0;
    let status = if first { 0 } else { 0x0d };
    let answer = pdu(command | 0x8000_0000, status, sequence, b"smsc\0");
    stream.write_all(&answer).unwrap();
    if !first {
        return;
    }
    let mut writer = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        for n in 0..EACH as u32 {
            let at = 10 * n + 1;
            let word = format!(
                "id:{n} sub:001 dlvrd:001 submit date:2611290000 done date:2611290000 stat:W{n}\u{1b}[31m\nERROR forged err:000 text:"
            );
            let flood = [
                // Cut short.
                pdu(5, 0, at, &[0, 1, 1]),
                // An unknown command.
                pdu(0x42, 0, at + 1, b""),
                // Responses without a request.
                pdu(0x8000_0000, 3, at + 2, b""),
                pdu(0x8000_0004, 0, at + 3, b"id\0"),
                deliver(at + 4, 4, word.as_bytes()),
                deliver(at + 5, 0, b"hello"),
            ];
            if writer.write_all(&flood.concat()).is_err() {
                return;
            }
        }
    });
    while let Some((command, status, sequence)) = next(&mut stream) {
        match command {
            0x15 => stream
                .write_all(&pdu(0x8000_0015, 0, sequence, b""))
                .unwrap_or_default(),
            0x8000_0000 | 0x8000_0005 => {
                seen.refused.fetch_add(usize::from(status != 0), Ordering::SeqCst);
                seen.throttled
                    .fetch_add(usize::from(status == 0x58), Ordering::SeqCst);
                seen.answered.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        }
    }
}

/// A node with a carrier at a port, whose log is JSON.
fn node(folder: &Path, port: u16) -> (Running, String) {
    let config = written(
        folder,
        "postrider.toml",
        &format!(
            "[secrets]\nmaster_key = \"{MASTER_KEY}\"\n[store]\npath = {:?}\n[metrics]\nlisten = \"127.0.0.1:0\"\n\
             [api]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n\
             [api.limits]\nfailed_credentials_per_minute_max = 0\nfailed_credentials_per_key_per_minute_max = 0\n",
            folder.join("postrider.db")
        ),
    );
    let migrated = run(&["migrate", "--config", &config]);
    assert!(migrated.status.success(), "{}", said(&migrated));
    let catalog = written(
        folder,
        "catalog.toml",
        &format!(
            "[[account]]\nname = \"acme\"\n[[account.credential]]\nfamily = \"engagelab\"\nkey = \"acme\"\n\
             secret = \"a-secret-of-enough-octets\"\n[[carrier]]\nname = \"north\"\ntype = \"smpp\"\nhost = \"127.0.0.1\"\n\
             port = {port}\nsystem_id = \"p\"\npassword = \"p\"\nreconnect_s = 1\nreconnect_s_max = 1\n\
             bind_rejected_pause_s = 0\ninbound_per_s_max = 10\n[[route]]\ncarriers = [\"north\"]\n"
        ),
    );
    let applied = run(&["apply", &catalog, "--config", &config]);
    assert!(applied.status.success(), "{}", said(&applied));
    (Running::start(postrider(&["serve", "--config", &config])), config)
}

/// Lines of the log with a message, and how often it is said to have been repeated.
fn counted(log: &str, message: &str) -> (usize, u64) {
    let lines: Vec<Value> = log.lines().map(json).collect();
    let written = lines.iter().filter(|line| line["message"] == message).count();
    let repeated = lines.iter().filter(|line| {
        line["message"] == "repeated"
            && line["last"]
                .as_str()
                .is_some_and(|last| last.starts_with(message))
    });
    (
        written,
        repeated.filter_map(|line| line["repeated"].as_u64()).sum(),
    )
}

/// Whether no kind of line stands there more than its share, whatever happened.
fn assert_is_short(log: &str) {
    let lines = log.lines().count();
    assert!(
        lines < 150 && log.len() < 64 * 1024,
        "{lines} lines, {} octets:\n{log}",
        log.len()
    );
}

#[test]
fn a_carrier_that_floods_costs_a_few_lines_and_all_is_counted() {
    let folder = folder();
    let seen = Arc::new(Seen::default());
    let (mut node, config) = node(folder.path(), flooding_smsc(&seen));
    eventually("answers to all that was sent", || {
        (seen.answered.load(Ordering::SeqCst) >= 4 * EACH).then_some(())
    });
    node.signal("TERM");
    assert!(node.ended().success());
    node.err.wait_for("\"node stopped\"");
    let log = node.err.so_far();
    assert_is_short(&log);
    assert!(!log.lines().any(|line| line.contains("\u{1b}")), "{log}");
    let throttled = seen.throttled.load(Ordering::SeqCst) as u64;
    let refused = seen.refused.load(Ordering::SeqCst) as u64 - throttled;
    assert!(refused >= 2 * EACH as u64, "{refused}");
    // Inbound messages have a rate limit; receipts have none.
    let listed = run(&[
        "inbound", "list", "--limit", "10000", "--json", "--config", &config,
    ]);
    let stored = json(&said(&listed))["inbound"].as_array().map_or(0, Vec::len);
    assert!((1..EACH / 5).contains(&stored), "{stored} of {EACH}");
    let turned_away = "inbound message throttled";
    let (written, repeated) = counted(&log, turned_away);
    assert!(
        written <= 10 && written as u64 + repeated == throttled,
        "{written} and {repeated} of {throttled}:\n{log}"
    );
    let (written, repeated) = counted(&log, "PDU rejected");
    assert!(
        written <= 10 && written as u64 + repeated >= refused,
        "{written} and {repeated} of {refused}:\n{log}"
    );
}

#[test]
fn binds_that_are_refused_without_end_cost_a_few_lines() {
    let folder = folder();
    let seen = Arc::new(Seen::default());
    // The first bind is accepted and not flooded.
    seen.binds.store(1, Ordering::SeqCst);
    let (node, _) = node(folder.path(), flooding_smsc(&seen));
    eventually("binds that are refused", || {
        (seen.binds.load(Ordering::SeqCst) > 14).then_some(())
    });
    let log = node.err.so_far();
    assert_is_short(&log);
    let (written, _) = counted(&log, "bind failed");
    assert!(written <= 10, "{log}");
}

#[test]
fn guessed_credentials_cost_a_few_log_lines() {
    const CONNECTIONS: usize = 4;
    const REQUESTS: usize = 500;
    let folder = folder();
    let (mut node, _) = node(folder.path(), 1);
    let log = node.err.wait_for("APIs listening");
    let listening = log
        .lines()
        .map(json)
        .find(|line| line["message"] == "APIs listening");
    let address = listening.unwrap()["addr"].as_str().unwrap().to_owned();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
            std::thread::spawn(move || {
                for path in [
                    "/v1/send",
                    "/v1/messages",
                    "/api/v1/usms/SendBatchUSMSMessage",
                    "/smsapi/list",
                ]
                .iter()
                .cycle()
                .take(REQUESTS)
                {
                    // An existing key with a wrong secret.
                    let request = format!(
                        "POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Basic YWNtZTp3cm9uZw==\r\n\
                         content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
                    );
                    stream.write_all(request.as_bytes()).unwrap();
                    let mut piece = [0; 4096];
                    assert!(stream.read(&mut piece).unwrap() > 0);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    node.signal("TERM");
    assert!(node.ended().success());
    node.err.wait_for("\"node stopped\"");
    // SendCloud looks for a form before it looks for credentials.
    let checked = (CONNECTIONS * REQUESTS / 4 * 3) as u64;
    let log = eventually("all of them, written or counted", || {
        let log = node.err.so_far();
        let (written, repeated) = counted(&log, "credentials rejected");
        (written as u64 + repeated == checked).then_some(log)
    });
    assert_is_short(&log);
    for line in log.lines().map(json).filter(|line| line["message"] == "repeated") {
        let fields = ["dialect", "reason", "address"];
        assert!(fields.iter().all(|field| line[*field].is_string()), "{line}");
    }
}
