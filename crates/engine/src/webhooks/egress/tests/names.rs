//! Names whose addresses change between one look and the next, looked up at a real name server by the system's own resolver.
//!
//! The system's name server can only be set in files of the machine. So the test runs itself once more in
//! namespaces of its own (unshare(1)): there these files are others, port 53 is free, and nothing outside can be reached.

use super::*;
use std::collections::HashMap;
use std::net::UdpSocket;
use std::process::Command;
use std::sync::Mutex as SyncMutex;

/// What a name server says of names, one answer after the other; the last one stays.
type Script = HashMap<&'static str, Vec<Vec<IpAddr>>>;

/// A name server on port 53 that answers A and AAAA questions by a script, for no longer than the question (TTL 0).
fn name_server(mut script: Script) -> Arc<SyncMutex<Vec<String>>> {
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    let queries = Arc::new(SyncMutex::new(Vec::new()));
    let log = Arc::clone(&queries);
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            let (name, end) = question(&packet[..length]);
            let kind = u16::from_be_bytes([packet[end], packet[end + 1]]);
            let answers = script.get_mut(name.as_str());
            let addresses = answers.map_or_else(Vec::new, |answers| {
                // Each lookup queries A and AAAA: the script goes on with the first of the two.
                let first_of_two = kind == 1 && answers.len() > 1;
                let present = answers[0].clone();
                if first_of_two {
                    answers.remove(0);
                }
                present
            });
            log.lock().unwrap().push(name);
            let _ = socket.send_to(&answer(&packet[..end + 4], kind, &addresses), from);
        }
    });
    queries
}

/// The name in a query, and where it ends.
fn question(packet: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while packet[at] > 0 {
        let length = usize::from(packet[at]);
        labels.push(String::from_utf8_lossy(&packet[at + 1..=at + length]).to_lowercase());
        at += 1 + length;
    }
    (labels.join("."), at + 1)
}

/// RFC 1035 section 4.1: the question again, and a record for each address of the queried kind.
fn answer(question: &[u8], kind: u16, addresses: &[IpAddr]) -> Vec<u8> {
    let records: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match (kind, address) {
            (1, IpAddr::V4(address)) => Some(address.octets().to_vec()),
            (28, IpAddr::V6(address)) => Some(address.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut packet = question.to_vec();
    packet[2..4].copy_from_slice(&[0x81, 0x80]);
    packet[4..12].copy_from_slice(&[0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    for record in records {
        packet.extend_from_slice(&[0xc0, 12]);
        packet.extend_from_slice(&kind.to_be_bytes());
        packet.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, record.len() as u8]);
        packet.extend_from_slice(&record);
    }
    packet
}

#[test]
fn a_name_that_is_rebound_leads_nowhere_inside() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let script = "ip link set lo up && mount --bind \"$RESOLV\" /etc/resolv.conf && \
                  mount --bind \"$SWITCH\" /etc/nsswitch.conf || exit 77; exec \"$0\" \"$@\"";
    let ran = Command::new("unshare")
        .args(["-rmn", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        // The test harness names a test by its path without the crate.
        .arg(format!(
            "{}::in_a_namespace_of_its_own",
            module_path!().split_once("::").unwrap().1
        ))
        .env(
            "RESOLV",
            file("resolv.conf", "nameserver 127.0.0.1\noptions timeout:2\n"),
        )
        .env("SWITCH", file("nsswitch.conf", "hosts: dns\n"))
        .output();
    let shown = ran.as_ref().map(|output| {
        let text = [&*output.stdout, &*output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    });
    let began = shown.as_ref().is_ok_and(|shown| shown.contains("running 1 test"));
    let started = shown.as_ref().is_ok_and(|shown| shown.contains("running "));
    assert!(began || !started, "no test of that name ran: {shown:?}");
    if !began {
        assert!(
            std::env::var_os("CI").is_none(),
            "no namespaces here, so names were not tried: {shown:?}"
        );
        eprintln!("SKIPPED: no namespaces here (unshare -rmn), so names were not tried: {shown:?}");
        return;
    }
    let succeeded = ran.as_ref().is_ok_and(|output| output.status.success());
    assert!(succeeded, "{shown:?}");
}

#[tokio::test]
#[ignore = "run by a_name_that_is_rebound_leads_nowhere_inside, where the system uses its name server"]
async fn in_a_namespace_of_its_own() {
    let ip = |written: &str| written.parse::<IpAddr>().unwrap();
    let (public, loopback) = (ip("1.1.1.1"), ip("127.0.0.1"));
    let inside = [
        "127.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fd00::1",
        "fe80::1",
    ];
    let names: Vec<&'static str> = (0..inside.len())
        .map(|no| &*Box::leak(format!("inside-{no}.example").into_boxed_str()))
        .collect();
    let mut script: Script = names
        .iter()
        .zip(inside)
        .map(|(name, address)| (*name, vec![vec![ip(address)]]))
        .collect();
    script.insert("rebound.example", vec![vec![public], vec![loopback]]);
    script.insert(
        "in-turns.example",
        vec![vec![loopback], vec![public], vec![loopback], vec![public]],
    );
    script.insert("both.example", vec![vec![public, loopback]]);
    script.insert("both-kinds.example", vec![vec![public, ip("::1")]]);
    script.insert("allowed.example", vec![vec![loopback]]);
    let queries = name_server(script);
    let (port, connections) = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;

    let egress = egress(&[&format!("allowed.example:{port}")]);
    let url = |name: &str| format!("http://{name}:{port}/");
    // The server gets queries, and the private address is reachable.
    assert_eq!(call(&egress, &url("allowed.example")).await.unwrap().status, 200);
    assert_eq!(connections.load(Ordering::SeqCst), 1);

    for name in names.iter().chain(&["both.example", "both-kinds.example"]) {
        let error = call(&egress, &url(name)).await.unwrap_err();
        assert!(matches!(error, CallError::Forbidden(_)), "{name}: {error}");
    }
    // Public when it is first looked up, which nothing in this namespace can reach; inside from then on.
    let target = egress.target(&url("rebound.example")).unwrap();
    let client = egress.client(1);
    let error = client.call(&target, post(), TIME_MAX).await.unwrap_err();
    assert!(
        matches!(error, CallError::Connect(_) | CallError::Timeout(_)),
        "{error}"
    );
    for _ in 0..3 {
        let error = client.call(&target, post(), TIME_MAX).await.unwrap_err();
        assert!(matches!(error, CallError::Forbidden(_)), "{error}");
    }
    for _ in 0..6 {
        assert!(call(&egress, &url("in-turns.example")).await.is_err());
    }
    assert_eq!(
        connections.load(Ordering::SeqCst),
        1,
        "nothing but what is allowed was connected to"
    );
    let queries = queries.lock().unwrap();
    let looks = |name: &str| queries.iter().filter(|query| *query == name).count();
    assert!(
        looks("rebound.example") >= 4 && looks("in-turns.example") >= 6,
        "{queries:?}"
    );
}
