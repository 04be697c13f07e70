//! Requests hidden in others (RFC 9112 section 11.2): what two servers in a row would not agree on is refused, and nothing
//! behind it on the same connection is done.

use crate::testkit::{Dev, curl, eventually, folder, json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Where hidden requests send to.
const VICTIM: &str = "+447700900140";

/// How long an answer is waited for. Whatever is refused is refused at once.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// How long nothing must come for a connection to be at rest.
const QUIET: Duration = Duration::from_millis(300);

/// A whole request that sends a code.
fn send(dev: &Dev, to: &str) -> String {
    let (pair, body) = dev.engagelab(to);
    format!(
        "POST /v1/send HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        STANDARD.encode(pair),
        body.len()
    )
}

/// Sends octets and reads until the other side closes or nothing more comes; what came, and whether it closed.
fn exchange(address: &str, octets: &[u8]) -> (String, bool) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    // The other side may have refused the first half already.
    let _ = stream.write_all(octets);
    let (mut came, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (String::from_utf8_lossy(&came).into_owned(), true),
            Ok(read) => came.extend(&buffer[..read]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return (String::from_utf8_lossy(&came).into_owned(), false);
            }
            // What was sent and not read makes a reset of the end.
            Err(_) => return (String::from_utf8_lossy(&came).into_owned(), true),
        }
        stream.set_read_timeout(Some(QUIET)).unwrap();
    }
}

fn inbox(dev: &Dev, to: &str) -> usize {
    let to = to.replace('+', "%2B");
    let url = format!("{}/sandbox/messages?to={to}", dev.base());
    json(&curl(&[&url])).as_array().unwrap().len()
}

#[test]
fn nothing_is_done_that_hides_behind_a_request_without_a_clear_end() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let address = dev.base().trim_start_matches("http://").to_owned();
    let hidden = send(&dev, VICTIM);
    let length = hidden.len();
    let head = "POST /v1/send HTTP/1.1\r\nHost: x\r\n";
    let forms = [
        // Both lengths: one server takes the chunks, another the number.
        format!(
            "{head}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
            length + 5
        ),
        format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{hidden}"),
        // Two numbers, or one that is none.
        format!("{head}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{hidden}"),
        format!("{head}Content-Length: {length}\r\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("{head}Content-Length: 0, {length}\r\n\r\n{hidden}"),
        format!("{head}Content-Length: +0\r\n\r\n{hidden}"),
        format!("{head}Content-Length: -1\r\n\r\n{hidden}"),
        format!("{head}Content-Length: 0x0\r\n\r\n{hidden}"),
        format!("{head}Content-Length: 0 0\r\n\r\n{hidden}"),
        format!("{head}Content-Length:\r\n\r\n{hidden}"),
        format!("{head}Content-Length: 18446744073709551616\r\n\r\n{hidden}"),
        // Encodings that one server knows and another does not.
        format!("{head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n{hidden}"),
        // Names and lines that one server reads otherwise than another.
        format!("{head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}Content-Length : {length}\r\n\r\n{hidden}"),
        format!("{head}X: a\r\n Content-Length: {length}\r\n\r\n{hidden}"),
        format!("{head} Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}X: a\rContent-Length: {length}\r\n\r\n{hidden}"),
        format!("{head}X: a\0Content-Length: {length}\r\n\r\n{hidden}"),
        format!("{head}\0Content-Length: {length}\r\n\r\n{hidden}"),
        format!("{head}Content_Length: 0\r\nContent-Length: x\r\n\r\n{hidden}"),
        // Chunks without a clear end.
        format!("{head}Transfer-Encoding: chunked\r\n\r\n0\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n-0\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n1\r\naX\r\n0\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n\r\n0\r\n\r\n{hidden}"),
        // A first line that is two.
        format!("POST /v1/send HTTP/1.1 {head}\r\n{hidden}"),
        format!("GET /v1/send HTTP/1.1\r\nHost: x\rX: y\r\n\r\n{hidden}"),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{hidden}"),
        // Protocols that would make the rest something else.
        format!(
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: x\r\n\r\n{hidden}"
        ),
    ];
    let mut done = Vec::new();
    for form in &forms {
        let before = inbox(&dev, VICTIM);
        let (came, closed) = exchange(&address, form.as_bytes());
        let shown = form.get(..form.len().min(160)).unwrap_or(form);
        if !closed || came.contains("HTTP/1.1 2") || inbox(&dev, VICTIM) != before {
            done.push(format!("{shown:?}\n    -> closed: {closed}, {came:?}"));
        }
    }
    // What came before this one has come by now, if it was to come at all.
    let (came, _) = exchange(&address, send(&dev, "+447700900141").as_bytes());
    assert!(came.starts_with("HTTP/1.1 200"), "{came}");
    eventually("the last message", || {
        (inbox(&dev, "+447700900141") == 1).then_some(())
    });
    assert!(done.is_empty(), "{}", done.join("\n"));
    assert_eq!(inbox(&dev, VICTIM), 0);
}

/// The control: requests whose ends are clear are done one after the other.
#[test]
fn requests_with_clear_ends_are_done_one_after_the_other() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let address = dev.base().trim_start_matches("http://").to_owned();
    let chunked = "POST /v1/send HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n";
    let both = format!("{chunked}{}", send(&dev, VICTIM));
    let (came, _) = exchange(&address, both.as_bytes());
    assert_eq!(came.matches("HTTP/1.1 ").count(), 2, "{came}");
    eventually("the message", || (inbox(&dev, VICTIM) == 1).then_some(()));
}
