//! What hostile clients send. Made once and shared by all connections.

use std::fmt::Write;
use std::sync::{LazyLock, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};

/// Octets of a costly body, a little less than the longest that is taken.
const COSTLY_BYTES: usize = 4_000_000;

/// Octets of a body that lacks its last one.
const UNFINISHED_BYTES: usize = (4 << 20) - 1;

/// Where requests go and what they claim to carry.
#[derive(Clone, Copy, Debug)]
pub(super) struct WireForm {
    path: &'static str,
    content_type: &'static str,
    credential: Credential,
}

/// Where a wire has the credential.
#[derive(Clone, Copy, Debug)]
enum Credential {
    Basic,
    Headers,
    Parameters,
    SmsUser,
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

const fn wire(path: &'static str, content_type: &'static str, credential: Credential) -> WireForm {
    WireForm {
        path,
        content_type,
        credential,
    }
}

/// Every wire, in each form of body that it takes.
pub(super) const WIRES: [WireForm; 9] = [
    wire("/api/v1/usms/SendBatchUSMSMessage", JSON, Credential::Basic),
    wire("/api", JSON, Credential::Headers),
    wire("/", JSON, Credential::Parameters),
    wire("/", FORM, Credential::Parameters),
    wire("/smsapi/send", FORM, Credential::SmsUser),
    wire(
        "/smsapi/send",
        "multipart/form-data; boundary=x",
        Credential::SmsUser,
    ),
    wire("/v1/send", JSON, Credential::Basic),
    wire("/v1/messages", JSON, Credential::Basic),
    wire("/sandbox/messages", JSON, Credential::Basic),
];

/// Everything that is sent more than once. What is long is made when it is first needed.
#[derive(Debug)]
pub(super) struct Payloads {
    /// The key that is guessed for: one that exists.
    key: String,
    unfinished_json: LazyLock<Bytes>,
    unfinished_form: LazyLock<Bytes>,
    json: OnceLock<Vec<Bytes>>,
    forms: OnceLock<Vec<Bytes>>,
    garbage: LazyLock<Vec<Bytes>>,
    hello: LazyLock<Bytes>,
}

impl Payloads {
    pub(super) fn new(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            unfinished_json: LazyLock::new(|| filled("{\"TaskContent\":\"", b"a", UNFINISHED_BYTES)),
            unfinished_form: LazyLock::new(|| filled("phone=", b"7", UNFINISHED_BYTES)),
            json: OnceLock::new(),
            forms: OnceLock::new(),
            garbage: LazyLock::new(garbage),
            hello: LazyLock::new(hello),
        }
    }

    /// A head that announces a body of this length, with a wrong secret where credentials stand in heads.
    pub(super) fn head(&self, wire: &WireForm, length: usize) -> Bytes {
        self.head_with(wire, &format!("Content-Length: {length}\r\n"))
    }

    fn head_with(&self, wire: &WireForm, more: &str) -> Bytes {
        let WireForm {
            path, content_type, ..
        } = wire;
        let credential = self.credential(wire);
        format!(
            "POST {path} HTTP/1.1\r\nHost: postrider\r\nContent-Type: {content_type}\r\n{credential}{more}\r\n"
        )
        .into()
    }

    /// The headers of a wrong secret for a key that exists.
    fn credential(&self, wire: &WireForm) -> String {
        let key = &self.key;
        match wire.credential {
            Credential::Basic => {
                let pair = STANDARD.encode(format!("{key}:not-the-secret"));
                format!("Authorization: Basic {pair}\r\n")
            }
            Credential::Headers => {
                let now = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap_or_default()
                    .as_secs();
                format!(
                    "X-Access-Key-Id: {key}\r\nX-Signature: {:040}\r\nX-Timestamp: {now}\r\nX-Nonce: n\r\n",
                    0
                )
            }
            Credential::Parameters | Credential::SmsUser => String::new(),
        }
    }

    /// A body without its last octet.
    pub(super) fn body(&self, wire: &WireForm) -> Bytes {
        match wire.content_type {
            JSON => self.unfinished_json.clone(),
            _ => self.unfinished_form.clone(),
        }
    }

    pub(super) fn json(&self, turn: usize) -> Bytes {
        pick(self.json.get_or_init(|| costly_json(&self.key)), turn)
    }

    pub(super) fn form(&self, turn: usize) -> Bytes {
        pick(self.forms.get_or_init(|| costly_forms(&self.key)), turn)
    }

    pub(super) fn garbage(&self, turn: usize) -> Bytes {
        pick(&self.garbage, turn)
    }

    /// A small request with a wrong secret.
    pub(super) fn guess(&self, wire: &WireForm) -> Bytes {
        let key = &self.key;
        let body = match (wire.credential, wire.content_type) {
            (Credential::Parameters, JSON) => format!(
                "{{\"Action\":\"GetUSMSSendReceipt\",\"PublicKey\":\"{key}\",\"Signature\":\"{:040}\"}}",
                0
            ),
            (Credential::Parameters, _) => {
                format!("Action=GetUSMSSendReceipt&PublicKey={key}&Signature={:040}", 0)
            }
            (Credential::SmsUser, FORM) => format!("smsUser={key}&signature={:064}&templateId=1", 0),
            (Credential::SmsUser, _) => format!(
                "--x\r\nContent-Disposition: form-data; name=\"smsUser\"\r\n\r\n{key}\r\n--x\r\n\
                 Content-Disposition: form-data; name=\"signature\"\r\n\r\n{:064}\r\n--x--\r\n",
                0
            ),
            (Credential::Headers, _) => "{\"Action\":\"GetUSMSSendReceipt\"}".to_owned(),
            (Credential::Basic, _) => "{\"to\":[\"+447700900001\"]}".to_owned(),
        };
        let mut request = BytesMut::from(&self.head(wire, body.len())[..]);
        request.put(body.as_bytes());
        request.freeze()
    }

    /// Many small requests in one piece.
    pub(super) fn pipelined(&self, wire: &WireForm) -> Bytes {
        self.guess(wire).repeat(16).into()
    }

    /// A body of a length that nobody takes; with and without asking whether to send it.
    pub(super) fn long(&self, wire: &WireForm, turn: usize) -> Bytes {
        let length = match turn % 3 {
            0 => "4194305",
            1 => "1000000000",
            _ => "18446744073709551615",
        };
        let expect = match turn % 2 {
            0 => "Expect: 100-continue\r\n",
            _ => "",
        };
        self.head_with(wire, &format!("Content-Length: {length}\r\n{expect}"))
    }

    /// The beginning of a request, or nothing at all.
    pub(super) fn start(&self, turn: usize) -> Bytes {
        match turn % 3 {
            0 => Bytes::new(),
            1 => Bytes::from_static(b"POST / HT"),
            _ => self.guess(&WIRES[0]),
        }
    }

    pub(super) fn get(&self, path: &str) -> Bytes {
        format!("GET {path} HTTP/1.1\r\nHost: postrider\r\n\r\n").into()
    }

    /// The greeting of a TLS client, or its first octets.
    pub(super) fn hello(&self, length: usize) -> Bytes {
        self.hello.slice(..length.clamp(1, self.hello.len()))
    }

    /// A greeting with octets that mean nothing in the middle.
    pub(super) fn garbled_hello(&self, turn: usize) -> Bytes {
        let mut hello = self.hello.to_vec();
        let at = 5 + turn % hello.len().saturating_sub(5).max(1);
        for octet in hello.iter_mut().skip(at) {
            *octet = octet.wrapping_mul(31).wrapping_add(7);
        }
        hello.into()
    }

    /// A body in chunks that cost more than they carry.
    pub(super) fn chunks(&self, wire: &WireForm, turn: usize) -> Bytes {
        let mut request = BytesMut::from(&self.head_with(wire, "Transfer-Encoding: chunked\r\n")[..]);
        match turn % 4 {
            0 => request.put(b"1\r\n0\r\n".repeat(100_000).as_slice()),
            1 => {
                request.put(&b"1;"[..]);
                request.put(b"x".repeat(200_000).as_slice());
                request.put(&b"\r\n0\r\n"[..]);
            }
            2 => {
                request.put(&b"1\r\n0\r\n0\r\n"[..]);
                request.put(b"Trailer-Field: x\r\n".repeat(10_000).as_slice());
            }
            _ => request.put(b"1;a=b;c=d;e=f\r\n0\r\n".repeat(30_000).as_slice()),
        }
        request.freeze()
    }

    /// A head with more headers than are taken, as long as one may be, or longer.
    pub(super) fn headers(&self, wire: &WireForm, turn: usize) -> Bytes {
        let (count, length) = match turn % 4 {
            0 => (5_000, 1),
            1 => (90, 600),
            2 => (1, 65_000),
            _ => (90, 5_000),
        };
        let mut more = String::new();
        for at in 0..count {
            // Writing into a string cannot fail.
            let _ = write!(more, "X-{at}: {}\r\n", "v".repeat(length));
        }
        let _ = write!(more, "Content-Length: 1\r\n");
        self.head_with(wire, &more)
    }
}

fn pick(of: &[Bytes], turn: usize) -> Bytes {
    of.get(turn % of.len().max(1)).cloned().unwrap_or_default()
}

/// `start`, and `unit` again and again up to this length.
fn filled(start: &str, unit: &[u8], length: usize) -> Bytes {
    let mut filled = BytesMut::with_capacity(length);
    filled.put(start.as_bytes());
    while filled.len() + unit.len() <= length {
        filled.put(unit);
    }
    filled.freeze()
}

fn request(path: &str, content_type: &str, headers: &str, body: &[u8]) -> Bytes {
    let length = body.len();
    let mut request = BytesMut::with_capacity(length + 512);
    request.put(
        format!(
            "POST {path} HTTP/1.1\r\nHost: postrider\r\nContent-Type: {content_type}\r\n{headers}\
             Content-Length: {length}\r\n\r\n"
        )
        .as_bytes(),
    );
    request.put(body);
    request.freeze()
}

/// Bodies of JSON that are costly to read, of a UCloud request and where it is read before anything is verified; with a key
/// that nobody has, or with this one.
fn costly_json(key: &str) -> Vec<Bytes> {
    let of =
        |key| format!("{{\"Action\":\"SendUSMSMessage\",\"PublicKey\":\"{key}\",\"Signature\":\"0\",\"A\":");
    let (start, known) = (&*of("nobody"), &*of(key));
    let closed = |start: &str, open: &str, unit: &str, end: &str| {
        let mut body = filled(&format!("{start}{open}"), unit.as_bytes(), COSTLY_BYTES).to_vec();
        body.extend(end.as_bytes());
        body
    };
    let mut keys = format!("{start}{{\"k\":0");
    let mut at = 0;
    while keys.len() < COSTLY_BYTES {
        // Writing into a string cannot fail.
        let _ = write!(keys, ",\"k{at}\":0");
        at += 1;
    }
    keys.push_str("}}");
    let deep = format!(
        "{start}{}{}}}",
        "[".repeat(COSTLY_BYTES / 2 - start.len()),
        "]".repeat(COSTLY_BYTES / 2 - start.len())
    );
    let bodies = [
        closed(start, "[0", ",0", "]}"),
        closed(known, "[0", ",0", "]}"),
        deep.into_bytes(),
        keys.into_bytes(),
        closed(known, "[\"\"", ",\"\"", "]}"),
        closed(start, "1", "1", "}"),
        closed(start, "\"", "\\u0041", "\"}"),
        closed(known, "[{}", ",{}", "]}"),
    ];
    let headers = format!("X-Access-Key-Id: {key}\r\nX-Signature: 0\r\n");
    let to = |path, body: &[u8]| request(path, JSON, &headers, body);
    // The first path is the one that reads what is sent before anything is verified: it comes every other time.
    let paths = ["/", "/api", "/v1/send", "/api/v1/usms/SendBatchUSMSMessage"];
    let mut all = Vec::new();
    for (body, path) in bodies.iter().zip(paths.into_iter().cycle()) {
        let first = to(paths[0], body);
        all.push(first.clone());
        all.push(if path == paths[0] { first } else { to(path, body) });
    }
    all
}

/// Forms that are costly to read.
fn costly_forms(key: &str) -> Vec<Bytes> {
    let users = format!("PublicKey={key}&smsUser={key}");
    let mut fields = format!("Action=SendUSMSMessage&{users}&signature=0");
    for at in 0..100_000 {
        // Writing into a string cannot fail.
        let _ = write!(fields, "&PhoneNumbers.{at}=1");
    }
    let bodies = [
        fields.into_bytes(),
        filled(&users, b"&a", COSTLY_BYTES).to_vec(),
        filled(&format!("{users}&a="), b"%41", COSTLY_BYTES).to_vec(),
        filled(&format!("PublicKey={key}&A"), b".0", COSTLY_BYTES).to_vec(),
    ];
    let mut all = Vec::new();
    for body in &bodies {
        all.push(request("/", FORM, "", body));
        all.push(request("/smsapi/send", FORM, "", body));
    }
    let part = b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n";
    let parts = filled("", part, COSTLY_BYTES);
    all.push(request(
        "/smsapi/send",
        "multipart/form-data; boundary=x",
        "",
        &parts,
    ));
    all
}

/// What no server should take for a request, or for two.
fn garbage() -> Vec<Bytes> {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let texts = [
        format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde{smuggled}"
        ),
        format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("POST / HTTP/1.1\r\nHost: x\r\nX: a\r\n Content-Length: 4\r\n\r\n{smuggled}"),
        "CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\0\u{1}\u{2}".repeat(3_000),
        "GET /\r\n".to_owned(),
        "\r\n".repeat(8_000),
        "A".repeat(16_000),
        "GET / HTTP/1.1\nHost: x\n\n".repeat(100),
        "GET / HTTP/9.9\r\nHost: x\r\n\r\n".to_owned(),
    ];
    texts.into_iter().map(Bytes::from).collect()
}

/// The greeting of a client that speaks TLS 1.2 and knows a few ciphers (RFC 5246, 7.4.1.2).
fn hello() -> Bytes {
    let mut body = BytesMut::new();
    body.put_u16(0x0303);
    body.put(&[7_u8; 32][..]);
    body.put_u8(0);
    let ciphers = [0xc02f_u16, 0xc02b, 0xc030, 0xc02c, 0x1301, 0x1302];
    body.put_u16(2 * ciphers.len() as u16);
    ciphers.into_iter().for_each(|cipher| body.put_u16(cipher));
    body.put(&[1_u8, 0][..]);
    // Groups, point formats and signature algorithms: without them no server goes on.
    let extensions = [
        0x00, 0x0a, 0, 6, 0, 4, 0, 0x1d, 0, 0x17, //
        0x00, 0x0b, 0, 2, 1, 0, //
        0x00, 0x0d, 0, 10, 0, 8, 4, 3, 8, 4, 4, 1, 5, 3_u8,
    ];
    body.put_u16(extensions.len() as u16);
    body.put(&extensions[..]);
    let mut hello = BytesMut::new();
    hello.put(&[22_u8, 3, 1][..]);
    hello.put_u16(body.len() as u16 + 4);
    hello.put_u8(1);
    hello.put_u8(0);
    hello.put_u16(body.len() as u16);
    hello.put(body);
    hello.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_as_long_as_is_said_and_costly_ones_are_not_too_long() {
        let payloads = Payloads::new("k");
        for wire in &WIRES {
            assert_eq!(payloads.body(wire).len(), UNFINISHED_BYTES);
        }
        for request in costly_json("k").iter().chain(&costly_forms("k")) {
            let text = &request[..];
            let head = text.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            let length = format!("Content-Length: {}\r\n", text.len() - head);
            assert!(
                String::from_utf8_lossy(&text[..head]).contains(&length),
                "{length}"
            );
            assert!(text.len() - head <= 4 << 20);
        }
    }

    #[test]
    fn costly_json_is_json() {
        for request in &costly_json("k") {
            let at = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            let body = &request[at..];
            if !body.ends_with(b"]]]}") {
                serde_json::from_slice::<serde::de::IgnoredAny>(body).unwrap();
            }
        }
    }

    #[test]
    fn what_is_costly_is_sent_for_the_key_that_exists() {
        let payloads = Payloads::new("some-key");
        // It stands in the head and where the body begins.
        let named = |request: &Bytes| {
            let beginning = request.get(..600).unwrap_or(request);
            beginning
                .windows(8)
                .filter(|octets| octets == b"some-key")
                .count()
        };
        let json: Vec<usize> = (0..16).map(|turn| named(&payloads.json(turn))).collect();
        // In the headers of all, and in the bodies of three of eight.
        assert_eq!(json.iter().filter(|named| **named == 2).count(), 6);
        assert!(json.iter().all(|named| *named >= 1), "{json:?}");
        let forms = (0..8).map(|turn| named(&payloads.form(turn)));
        assert!(forms.into_iter().all(|named| named >= 1));
    }

    #[test]
    fn a_greeting_says_how_long_it_is() {
        let hello = Payloads::new("k").hello(usize::MAX);
        assert_eq!(
            usize::from(u16::from_be_bytes([hello[3], hello[4]])) + 5,
            hello.len()
        );
        assert_eq!(
            usize::from(u16::from_be_bytes([hello[7], hello[8]])) + 9,
            hello.len()
        );
    }
}
