//! Heads that two readers could understand differently.

use super::*;

/// Everything that comes until the other side closes.
async fn all_of(running: &Running, request: &str) -> String {
    let mut stream = running.connect().await;
    // The listener may close before it has read all of it.
    let _ = stream.write_all(request.as_bytes()).await;
    let _ = stream.shutdown().await;
    let mut answers = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answers))
        .await
        .expect("an end in time");
    String::from_utf8_lossy(&answers).into_owned()
}

fn statuses(answers: &str) -> Vec<&str> {
    // Behind the version's last digit.
    let lines = answers.split("HTTP/1.").skip(1);
    lines.filter_map(|rest| rest.get(2..5)).collect()
}

#[tokio::test]
async fn connect_is_refused_on_every_path() {
    let running = start(lenient_limits()).await;
    let targets = [
        "/",
        "/read",
        "example.com:443",
        "127.0.0.1:25",
        "http://x/",
        "*",
        "[::1]:443",
    ];
    let lines = [
        "",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Upgrade: x\r\nConnection: upgrade\r\n",
    ];
    for (target, lines) in targets
        .into_iter()
        .flat_map(|target| lines.map(|lines| (target, lines)))
    {
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n{GET}");
        let answers = all_of(&running, &request).await;
        let statuses = statuses(&answers);
        assert_eq!(statuses.len(), 1, "{target}: {answers}");
        assert!(["400", "405"].contains(&statuses[0]), "{target}: {answers}");
    }
}

#[tokio::test]
async fn a_host_stands_in_every_request_of_http_1_1_and_once() {
    let running = start(lenient_limits()).await;
    for (head, expected) in [
        ("GET / HTTP/1.1\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nX: y\r\nHOST:\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n", "400"),
        ("GET http://a/ HTTP/1.1\r\n", "400"),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost:\r\n", "200"),
        ("GET / HTTP/1.1\r\nHost: [::1]:80\r\n", "200"),
        ("GET http://elsewhere/ HTTP/1.1\r\nHost: a\r\n", "200"),
        ("GET HTTPS://elsewhere:1/ HTTP/1.1\r\nHost: a\r\n", "200"),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n", "400"),
        ("GET a:80 HTTP/1.1\r\nHost: a\r\n", "400"),
        ("GET a HTTP/1.1\r\nHost: a\r\n", "400"),
        ("GET //a/ HTTP/1.1\r\nHost: a\r\n", "404"),
        ("GET http:///read HTTP/1.1\r\nHost: a\r\n", "400"),
        ("GET http:// HTTP/1.1\r\nHost: a\r\n", "400"),
        ("GET http://a/nowhere HTTP/1.1\r\nHost: a\r\n", "404"),
        (
            "GET http://elsewhere/ HTTP/1.1\r\nHost: a\r\nHost: elsewhere\r\n",
            "400",
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n", "404"),
        ("GET * HTTP/1.1\r\nHost: a\r\n", "400"),
    ] {
        let answers = all_of(&running, &format!("{head}\r\n")).await;
        assert_eq!(statuses(&answers), [expected], "{head}: {answers}");
    }
    for head in ["GET / HTTP/1.0\r\n", "GET / HTTP/1.0\r\nHost: a\r\n"] {
        let answers = all_of(&running, &format!("{head}\r\n")).await;
        assert!(answers.starts_with("HTTP/1.0 200"), "{head}: {answers}");
    }
    // What is refused ends its connection: nothing behind it is a request.
    let answers = all_of(&running, &format!("GET / HTTP/1.1\r\n\r\n{GET}")).await;
    assert_eq!(statuses(&answers), ["400"], "{answers}");
}

#[tokio::test]
async fn nothing_is_smuggled_in_a_body() {
    let running = start(lenient_limits()).await;
    let post = "POST /read HTTP/1.1\r\nHost: x\r\n";
    let chunk = "0\r\n\r\n";
    for (what, head, body) in [
        (
            "length and chunks",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            chunk,
        ),
        (
            "chunks and length",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            chunk,
        ),
        ("two lengths", "Content-Length: 5\r\nContent-Length: 0\r\n", ""),
        ("two lengths in one", "Content-Length: 5, 0\r\n", ""),
        ("a signed length", "Content-Length: +0\r\n", ""),
        ("a length in hexadecimal", "Content-Length: 0x0\r\n", ""),
        ("a length below zero", "Content-Length: -1\r\n", ""),
        ("no chunks", "Transfer-Encoding: xchunked\r\n", chunk),
        (
            "chunks not last",
            "Transfer-Encoding: chunked, identity\r\n",
            chunk,
        ),
        ("another coding", "Transfer-Encoding: gzip\r\n", chunk),
        (
            "a space before the colon",
            "Transfer-Encoding : chunked\r\n",
            chunk,
        ),
        ("a folded line", "X: y\r\n Transfer-Encoding: chunked\r\n", chunk),
        ("a folded length", "Content-Length:\r\n 5\r\n", ""),
        ("a name with a NUL", "Content-Length\0: 5\r\n", ""),
        ("a bare CR", "X: y\rTransfer-Encoding: chunked\r\n", chunk),
        (
            "a chunk that is no number",
            "Transfer-Encoding: chunked\r\n",
            "zz\r\n\r\n",
        ),
        (
            "a chunk below zero",
            "Transfer-Encoding: chunked\r\n",
            "-1\r\n\r\n",
        ),
        (
            "a chunk too large",
            "Transfer-Encoding: chunked\r\n",
            "fffffffffffffffff\r\n\r\n",
        ),
        (
            "a chunk that ends elsewhere",
            "Transfer-Encoding: chunked\r\n",
            "1\r\nxy\r\n0\r\n\r\n",
        ),
    ] {
        let answers = all_of(&running, &format!("{post}{head}\r\n{body}{GET}")).await;
        let statuses = statuses(&answers);
        assert!(!answers.contains("hello"), "{what}: {answers}");
        assert!(statuses.len() <= 1, "{what}: {answers}");
    }
    // HTTP/1.0 knows no chunks.
    let old = "POST /read HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answers = all_of(&running, &format!("{old}{GET}")).await;
    assert!(!answers.contains("hello"), "{answers}");
    // A line may end in LF alone (RFC 9112 section 2.2); both readings of this are one.
    let answers = all_of(
        &running,
        &format!("POST /read HTTP/1.1\nHost: x\nContent-Length: 3\n\nabc{GET}"),
    )
    .await;
    assert_eq!(statuses(&answers), ["200", "200"], "{answers}");
    assert!(answers.contains("read 3"), "{answers}");
}

#[tokio::test]
async fn a_body_in_another_coding_than_chunks_once_is_refused_and_nothing_behind_it_is_done() {
    let running = start(lenient_limits()).await;
    for (lines, expected) in [
        ("Transfer-Encoding: chunked\r\n", "200"),
        ("transfer-encoding: Chunked \r\n", "200"),
        ("Transfer-Encoding: gzip, chunked\r\n", "501"),
        ("Transfer-Encoding: foo;q=1,chunked\r\n", "501"),
        ("Transfer-Encoding: , chunked\r\n", "501"),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "501"),
        ("Transfer-Encoding: chunked, chunked\r\n", "400"),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "400",
        ),
        ("Transfer-Encoding: chunked, gzip\r\n", "400"),
    ] {
        let request = format!("POST /read HTTP/1.1\r\nHost: x\r\n{lines}\r\n0\r\n\r\n");
        let answers = all_of(&running, &format!("{request}{GET}")).await;
        let all: &[&str] = if expected == "200" {
            &["200", "200"]
        } else {
            &[expected]
        };
        assert_eq!(statuses(&answers), all, "{lines}: {answers}");
    }
}

#[tokio::test]
async fn a_request_that_says_a_length_and_chunks_is_refused_from_its_head_and_nothing_behind_it_is_done() {
    let running = start(lenient_limits()).await;
    let post = "POST /read HTTP/1.1\r\nHost: x\r\n";
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "TRANSFER-ENCODING:chunked\r\nX: y\r\ncontent-length:\t0 \r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: none\r\n",
        "Transfer-Encoding: chunked\nContent-Length: 3\n",
    ] {
        // From the head alone: no body comes.
        let mut stream = running.connect().await;
        send(&mut stream, &format!("{post}{lines}\r\n")).await;
        let (status, body) = answer(&mut stream).await;
        assert!(
            status.contains(" 400") && body.contains("length and chunks"),
            "{lines}: {status} {body}"
        );
        stream.shutdown().await.unwrap();
        closed(&mut stream).await;
        // What came before it is answered, whether it all comes at once or in pieces.
        let before = format!(
            "\r\n{GET}{post}Content-Length: 3\r\n\r\nabc{post}Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nT: t\r\n\r\n"
        );
        let all = format!("{before}{post}{lines}\r\n0\r\n\r\n{GET}");
        let answers = all_of(&running, &all).await;
        assert_eq!(
            statuses(&answers),
            ["200", "200", "200", "400"],
            "{lines}: {answers}"
        );
        let mut stream = running.connect().await;
        for piece in all.as_bytes().chunks(7) {
            if stream.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        for expected in ["hello", "read 3", "read 2"] {
            assert_eq!(answer(&mut stream).await.1, expected, "{lines}");
        }
        assert!(answer(&mut stream).await.0.contains(" 400"), "{lines}");
    }
}

#[tokio::test]
async fn what_stands_beside_the_data_of_chunks_has_a_bound() {
    let running = start(lenient_limits()).await;
    let chunked = "POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = "y".repeat(60 << 10);
    let zeros = "0".repeat(60 << 10);
    for body in [
        format!("2\r\nab\r\n0\r\nX: {long}\r\n\r\n"),
        format!("2\r\nab\r\n0\r\n{}\r\n", "X: y\r\n".repeat(1000)),
        format!("2;{}\r\nab\r\n0\r\n\r\n", "y".repeat(5000)),
        format!(
            "2\r\nab\r\n{}",
            "1;yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\na\r\n".repeat(300)
        ),
        // No end of the line with a size comes.
        format!("2\r\nab\r\n{zeros}"),
        format!("2\r\nab\r\n1{}", " ".repeat(5000)),
        "2\r\nab\r\n0\r\nX: y\n\r\n\r\n".to_owned(),
    ] {
        let shown = body.get(..40).unwrap_or(&body);
        let answers = all_of(&running, &format!("{GET}{chunked}{body}{GET}")).await;
        assert_eq!(statuses(&answers), ["200", "200"], "{shown}: {answers}");
        assert!(
            answers.contains("hello") && answers.ends_with("unreadable"),
            "{shown}: {answers}"
        );
        // The client need not stop for it to be seen.
        let mut stream = running.connect().await;
        let _ = stream.write_all(format!("{chunked}{body}").as_bytes()).await;
        assert_eq!(answer(&mut stream).await.1, "unreadable", "{shown}");
    }
    let some = "y".repeat(1000);
    let body = format!("2;{some}\r\nab\r\n0\r\nX: {some}\r\n\r\n");
    let answers = all_of(&running, &format!("{chunked}{body}{GET}")).await;
    assert_eq!(statuses(&answers), ["200", "200"], "{answers}");
    assert!(
        answers.contains("read 2") && answers.ends_with("hello"),
        "{answers}"
    );
}

#[tokio::test]
async fn a_body_in_chunks_of_one_octet_has_a_bound() {
    let running = start(lenient_limits()).await;
    let chunked = "POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let few = format!("{chunked}{}0\r\n\r\n", "1\r\na\r\n".repeat(4_000));
    let answers = all_of(&running, &format!("{few}{few}{GET}")).await;
    assert_eq!(statuses(&answers), ["200", "200", "200"], "{answers}");
    assert!(answers.contains("read 4000"), "{answers}");
    let many = format!("{chunked}{}0\r\n\r\n", "1\r\na\r\n".repeat(5_000));
    let answers = all_of(&running, &format!("{GET}{many}{GET}")).await;
    assert_eq!(statuses(&answers), ["200", "200"], "{answers}");
    assert!(answers.ends_with("unreadable"), "{answers}");
}
