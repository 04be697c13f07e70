//! A node with a permanently failed part ends, and its liveness probe fails.

use super::{NodeBuilder, NodeOptions};
use crate::config::{Config, Log, LogFormat, MasterKey};
use std::net::SocketAddr;
use std::time::Duration;
use store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn get(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_store_has_died_ends_and_is_not_alive() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let text = format!(
        "[api]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n[store]\npath = {:?}\n\
         [secrets]\nmaster_key_file = {:?}\n",
        path("postrider.db"),
        path("master.key"),
    );
    let config = Config::from_text(&text).unwrap();
    let key = MasterKey::find_or_make(&config.secrets).unwrap();
    let builder = NodeBuilder::open(config, key).await.unwrap();
    let store = builder.store().clone();
    let node = builder.start(NodeOptions::default()).await.unwrap();
    let metrics = node.metrics_addr();
    assert!(get(metrics, "/livez").await.ends_with("ok\n"));

    // The effect of a panic in a callback of the store.
    let fault = store.release_due(0, 1, Box::new(|_| panic!("a fault of the program")));
    assert!(fault.await.is_err());
    store.failed().await;
    let alive = get(metrics, "/livez").await;
    assert!(
        alive.starts_with("HTTP/1.1 503") && alive.contains("writes"),
        "{alive}"
    );

    let log = crate::logging::start(&Log {
        level: "off".to_owned(),
        format: LogFormat::Text,
    });
    let ended = tokio::time::timeout(Duration::from_secs(20), node.run(log.unwrap(), None));
    let why = ended.await.expect("it ends by itself").unwrap_err();
    assert!(why.to_string().contains("the node failed: "), "{why}");
}
