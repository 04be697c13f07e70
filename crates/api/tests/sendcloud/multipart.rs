//! Parameters as `multipart/form-data`, on every interface.

use super::managing::INTERFACES;
use super::*;

const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

/// A part with the head that most clients write.
fn part(name: &str, value: &str) -> String {
    format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn in_parts(fields: &Fields<'_>) -> String {
    let parts: String = fields.iter().map(|(name, value)| part(name, value)).collect();
    format!("{parts}--{BOUNDARY}--\r\n")
}

fn multipart(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path)
        .header(
            header::CONTENT_TYPE,
            format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .body(body.into())
        .unwrap()
}

fn with_signature<'a>(fields: &Fields<'a>) -> Fields<'a> {
    replaced(fields, "signature", &md5(fields))
}

/// Goal: what a form says, a form in parts says too, on each interface, with the same signature and the same refusals.
#[tokio::test]
async fn every_interface_takes_parameters_in_parts() {
    let node = TestNode::start().await;
    for (path, pairs) in INTERFACES {
        let request = replaced(&fields(pairs), "smsUser", USER);
        let form = node.ask(signed(path, &request)).await;
        let parts = node
            .ask(multipart(path, in_parts(&with_signature(&request))))
            .await;
        assert_eq!(code_of(&form), code_of(&parts), "{path}: {}", parts.body);
        let forged = replaced(&request, "signature", &"0".repeat(32));
        let answer = node.ask(multipart(path, in_parts(&forged))).await;
        assert_eq!(code_of(&answer), 422, "{path}");
        let unsigned = node.ask(multipart(path, in_parts(&request))).await;
        assert_eq!(code_of(&unsigned), 421, "{path}");
    }
    let code = {
        let mut fields = fields_of_a_code();
        fields.extend(super::fields(&[("smsUser", USER), ("phone", "13800138009")]));
        fields
    };
    let tos = super::fields(&[
        ("smsUser", USER),
        ("templateId", &CODE.to_string()),
        ("tos", r#"[{"phone":"13800138001","vars":{"%code%":"1"}}]"#),
    ]);
    let query = super::fields(&[("smsUser", USER), ("days", "1")]);
    for (path, request) in [
        ("/smsapi/send", &send_fields()),
        ("/smsapi/sendx", &tos),
        ("/smsapi/sendn", &tos),
        ("/smsapi/sendCode", &code),
        ("/smsapi/sendVoice", &code),
        ("/smsapi/status/query", &query),
    ] {
        let answer = node
            .ask(multipart(path, in_parts(&with_signature(request))))
            .await;
        assert_eq!(code_of(&answer), 200, "{path}: {}", answer.body);
    }
    let clock = node
        .ask(multipart("/smsapi/timestamp/get", in_parts(&query)))
        .await;
    assert_eq!(code_of(&clock), 200);
}

/// Goal: fields in any order, heads as clients write them, text outside ASCII, and a body that comes in pieces.
#[tokio::test]
async fn parts_are_read_as_clients_write_them() {
    let node = TestNode::start().await;
    let send = fields(&[
        ("smsUser", USER),
        ("templateId", &NOTICE.to_string()),
        ("phone", "13800138011"),
        ("vars", r#"{"name":"小明 & Co=1%20+","place":"Bath"}"#),
    ]);
    let signature = sha256(&send);
    // Python's and Node's: plain; curl's and Java's: with a type and a transfer encoding; bare names; any order.
    let typed = |name: &str, value: &str, charset: &str| {
        format!(
            "--{BOUNDARY}\r\ncontent-disposition:form-data; name={name}\r\nContent-Type: text/plain; charset={charset}\r\n\
             Content-Transfer-Encoding: 8bit\r\n\r\n{value}\r\n"
        )
    };
    let body = [
        typed("vars", &send["vars"], "UTF-8"),
        part("signature", &signature),
        typed("phone", &send["phone"], "ISO-8859-1"),
        part("templateId", &send["templateId"]),
        typed("smsUser", USER, "\"utf-8\""),
        format!("--{BOUNDARY}--"),
    ]
    .concat();
    let pieces: Vec<_> = body
        .into_bytes()
        .chunks(7)
        .map(|piece| Ok::<_, std::io::Error>(bytes::Bytes::copy_from_slice(piece)))
        .collect();
    let stream = Body::from_stream(futures_util::stream::iter(pieces));
    let answer = node.ask(multipart("/smsapi/send", stream)).await;
    assert_eq!(code_of(&answer), 200, "{}", answer.body);
    assert_eq!(
        node.received("+8613800138011").await.text,
        "Hello 小明 & Co=1%20+, welcome to Bath"
    );

    // GBK, as its header says; the signature is over the text.
    let send = replaced(&send, "phone", "13800138012");
    let send = replaced(&send, "vars", r#"{"name":"小明","place":"Bath"}"#);
    let mut body: Vec<u8> = Vec::new();
    for (name, value) in with_signature(&send) {
        if name == "vars" {
            body.extend(
                format!(
                    "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"vars\"\r\nContent-Type: text/plain; charset=GBK\r\n\r\n"
                )
                .into_bytes(),
            );
            body.extend(b"{\"name\":\"\xd0\xa1\xc3\xf7\",\"place\":\"Bath\"}\r\n");
        } else {
            body.extend(part(name, &value).into_bytes());
        }
    }
    body.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
    let answer = node.ask(multipart("/smsapi/send", body)).await;
    assert_eq!(code_of(&answer), 200, "{}", answer.body);

    // Part of it in the query string.
    let send = with_signature(&replaced(&send_fields(), "phone", "13800138013"));
    let mut parts = send.clone();
    parts.remove("phone");
    let answer = node
        .ask(multipart("/smsapi/send?phone=13800138013", in_parts(&parts)))
        .await;
    assert_eq!(code_of(&answer), 200, "{}", answer.body);
}

/// Goal: a body that is no such form, or exceeds its bounds, gets the wire's error, and nothing is sent.
#[tokio::test]
async fn what_is_no_form_in_parts_is_refused_in_words() {
    let node = TestNode::with(
        Limits {
            body_bytes_max: 8000,
            ..crate::testkit::limits()
        },
        Arc::new(SystemClock),
    )
    .await;
    let good = in_parts(&with_signature(&send_fields()));
    let file = |more: &str| {
        format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"phone\"{more}\r\nContent-Type: text/plain\r\n\r\n13800138000\r\n{good}"
        )
    };
    let many: String = (0..65).map(|n| part(&format!("p{n}"), "")).collect();
    let typed = |content_type: &str| {
        Request::post("/smsapi/send")
            .header(header::CONTENT_TYPE, content_type)
            .body(Body::from(good.clone()))
            .unwrap()
    };
    for (what, request, code, words) in [
        (
            "as it should be",
            multipart("/smsapi/send", good.clone()),
            200,
            "",
        ),
        (
            "a file",
            multipart("/smsapi/send", file("; filename=\"a.txt\"")),
            472,
            "文件",
        ),
        (
            "a file without a name",
            multipart("/smsapi/send", file("; filename=\"\"")),
            472,
            "文件",
        ),
        (
            "a file with an encoded name",
            multipart("/smsapi/send", file("; filename*=UTF-8''a.txt")),
            472,
            "文件",
        ),
        (
            "too long",
            multipart("/smsapi/send", format!("{}{good}", part("x", &"x".repeat(8000)))),
            472,
            "8000",
        ),
        (
            "cut off",
            multipart("/smsapi/send", good[..good.len() / 2].to_owned()),
            472,
            "不完整",
        ),
        ("empty", multipart("/smsapi/send", ""), 472, "smsUser"),
        (
            "another boundary",
            multipart("/smsapi/send", good.replace(BOUNDARY, "other")),
            472,
            "smsUser",
        ),
        ("no boundary", typed("multipart/form-data"), 472, "multipart"),
        (
            "a part without a name",
            multipart(
                "/smsapi/send",
                format!("--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx\r\n{good}"),
            ),
            472,
            "multipart",
        ),
        (
            "a name twice",
            multipart("/smsapi/send", format!("{}{good}", part("phone", "13900139000"))),
            421,
            "",
        ),
        (
            "65 fields",
            multipart("/smsapi/send", format!("{many}--{BOUNDARY}--")),
            421,
            "",
        ),
        (
            "of another kind",
            typed("multipart/mixed; boundary=x"),
            472,
            "multipart/form-data",
        ),
    ] {
        let answer = node.ask(request).await;
        assert_eq!(code_of(&answer), code, "{what}: {}", answer.body);
        let message = answer.json()["message"].to_string();
        assert!(message.contains(words), "{what}: {message}");
    }
}
