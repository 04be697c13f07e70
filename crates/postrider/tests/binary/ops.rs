//! The listener of health and metrics when unauthenticated clients fill it.

use crate::serve::{addr_after, configure};
use crate::testkit::{Running, curl, eventually, folder, postrider, status_of};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Connections that the listener takes at once.
const CONNECTIONS_MAX: usize = 64;
/// What one of them may cost at most, in octets. Most of it is what a build without optimisation has on top.
const EACH_MAX: u64 = 64 * 1024;

async fn connect_from(last: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
    socket.connect(to).await.unwrap()
}

/// Memory that the node has, in octets, by its own word.
fn resident(metrics: &str) -> u64 {
    let page = curl(&[&format!("{metrics}/metrics")]);
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    line.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_and_bodies_that_do_not_come_do_not_keep_probes_out() {
    let folder = folder();
    let config = configure(folder.path(), "");
    let node = Running::start(postrider(&["serve", "--config", config.to_str().unwrap()]));
    let address: SocketAddr = addr_after(&node, "health and metrics listening").parse().unwrap();
    let base = format!("http://{address}");
    eventually("readiness", || {
        (status_of(&format!("{base}/readyz")) == "200").then_some(())
    });
    let before = resident(&base);
    let mut held = Vec::new();
    for round in 0..4 {
        for count in 0..CONNECTIONS_MAX {
            let mut stream = connect_from(2 + (count % 4) as u8, address).await;
            let said = match count % 4 {
                0 => "",
                1 => "GET /livez HTTP/1.1\r\nHost: x\r\n",
                2 => "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
                _ => "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
            };
            // A connection that was closed to make room may fail here.
            let _ = stream.write_all(said.as_bytes()).await;
            held.push(stream);
        }
        // From an address of their own, and from one of theirs.
        for last in [9, 2] {
            for path in ["/livez", "/readyz", "/metrics"] {
                let mut probe = connect_from(last, address).await;
                let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
                probe.write_all(request.as_bytes()).await.unwrap();
                let mut answer = String::new();
                probe.read_to_string(&mut answer).await.unwrap();
                assert!(
                    answer.starts_with("HTTP/1.1 200"),
                    "{round}: {path} from {last}: {answer}"
                );
            }
        }
    }
    let after = resident(&base);
    let room = CONNECTIONS_MAX as u64 * EACH_MAX + (8 << 20);
    assert!(after < before + room, "{before} octets, then {after}");
    drop(held);
}
