//! `postrider carrier` against a running node.

use crate::testkit::{Dev, eventually, folder, said};
use std::net::TcpListener;

#[test]
fn a_carrier_that_waits_to_bind_is_reconnected_at_once() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let file = folder.path().join("carriers.toml");
    let text = format!(
        "[[carrier]]\nname = \"north\"\ntype = \"smpp\"\nhost = \"127.0.0.1\"\nport = {port}\nsystem_id = \"p\"\n\
         password = \"secret\"\nreconnect_s = 3600\nreconnect_s_max = 3600\n"
    );
    std::fs::write(&file, text).unwrap();
    assert!(dev.tool(&["apply", file.to_str().unwrap()]).status.success());
    dev.running.err.wait_for("bind failed");

    // No bind attempt is due within the hour.
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err());
    let done = dev.tool(&["carrier", "reconnect", "north"]);
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).starts_with("carrier north: "));
    eventually("a connection", || listener.accept().ok());

    let unknown = dev.tool(&["carrier", "reconnect", "nord"]);
    assert_eq!(unknown.status.code(), Some(1));
    let printed = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(printed.contains("there is no carrier \"nord\""), "{printed}");
}
