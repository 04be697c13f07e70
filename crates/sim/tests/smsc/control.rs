//! The control port, spoken to as any test in any language would.

use sim::smsc::{Inbound, Order, OrderError, SmscHandle, serve_control};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::esme::{Esme, NUMBER, start_with, until};

/// One request over a connection of its own: status and body.
async fn request(port: std::net::SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(port).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    (status, body)
}

async fn control_of(smsc: &SmscHandle) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap();
    tokio::spawn(serve_control(smsc.clone(), listener));
    port
}

#[tokio::test]
async fn messages_and_counts_can_be_read() {
    let smsc = start_with("receipts.enabled = false").await;
    let port = control_of(&smsc).await;
    let mut esme = Esme::bind(&smsc).await;
    for token in 1..=3 {
        esme.submit(token, NUMBER).await;
        esme.answered().await;
    }
    let (status, body) = request(port, "GET", "/counts", "").await;
    let counts: sim::smsc::Counts = serde_json::from_str(&body).unwrap();
    assert_eq!((status, counts.taken, counts.binds_up), (200, 3, 1));
    let (_, body) = request(port, "GET", "/messages?text=000002&limit=5&whole=true", "").await;
    let messages: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(
        (&messages[0]["destination"], &messages[0]["text"]),
        (&NUMBER.into(), &"message 000002".into())
    );
    let (status, _) = request(port, "GET", "/message-counts/12345", "").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn behaviour_can_be_changed_in_part_and_nonsense_is_refused() {
    let smsc = start_with("answers.silent_share = 0.5").await;
    let port = control_of(&smsc).await;
    let change = r#"{"limits": {"queue_max": 7}, "rules": [{"prefix": "1", "status": "RSYSERR"}]}"#;
    assert_eq!(request(port, "PATCH", "/behaviour", change).await.0, 204);
    let behaviour = smsc.behaviour();
    assert_eq!(
        (behaviour.answers.silent_share, behaviour.limits.queue_max),
        (0.5, 7)
    );
    assert_eq!(behaviour.rules.len(), 1);
    let (status, body) = request(port, "PATCH", "/behaviour", r#"{"answers": {"silent_share": 2}}"#).await;
    assert_eq!(status, 422);
    assert!(body.contains("silent_share"), "{body}");
    assert_eq!(smsc.behaviour(), behaviour);
    let (_, body) = request(port, "GET", "/behaviour", "").await;
    assert_eq!(request(port, "PUT", "/behaviour", &body).await.0, 204);
    assert_eq!(smsc.behaviour(), behaviour);
}

#[tokio::test]
async fn orders_are_followed() {
    let smsc = start_with("").await;
    let port = control_of(&smsc).await;
    let esme = Esme::bind(&smsc).await;
    assert_eq!(
        request(
            port,
            "POST",
            "/order",
            r#"{"disconnect": {"system_id": "other"}}"#
        )
        .await
        .0,
        204
    );
    assert_eq!(smsc.counts().binds_up, 1);
    assert_eq!(
        request(port, "POST", "/order", r#"{"disconnect": {}}"#).await.0,
        204
    );
    esme.rest().await;
    assert_eq!(smsc.counts().cuts, 1);
    assert_eq!(request(port, "POST", "/order", r#""reset""#).await.0, 204);
    assert_eq!(smsc.counts().cuts, 0);
    assert_eq!(request(port, "POST", "/order", r#""dance""#).await.0, 422);
}

#[tokio::test]
async fn a_subscriber_can_answer() {
    let smsc = start_with("").await;
    let mut esme = Esme::bind(&smsc).await;
    let inbound = |system_id: &str, text: &str| {
        let [from, to] = [NUMBER, "12345"].map(str::to_owned);
        Order::Inbound(Inbound {
            system_id: system_id.into(),
            from,
            to,
            text: text.into(),
        })
    };
    smsc.control(inbound("esme", "STOP")).unwrap();
    let stop = esme.delivered().await;
    assert_eq!(
        (stop.text(), stop.pdu.source.addr.to_string()),
        ("STOP".into(), NUMBER.into())
    );
    assert!(!stop.pdu.esm_class.is_delivery_receipt());
    esme.acknowledge(&stop);
    until("it is acknowledged", || smsc.counts().inbound_acknowledged == 1).await;
    assert_eq!(
        smsc.control(inbound("nobody", "STOP")),
        Err(OrderError::Unknown("nobody".into()))
    );
    smsc.control(inbound("esme", &"a".repeat(161))).unwrap();
    let (first, second) = (esme.delivered().await, esme.delivered().await);
    assert!(first.pdu.esm_class.has_udhi() && second.pdu.esm_class.has_udhi());
    assert_eq!(
        first.pdu.short_message.len() + second.pdu.short_message.len(),
        161 + 14
    );
    assert!(matches!(
        smsc.control(inbound("esme", &"a".repeat(152 * 255 + 1))),
        Err(OrderError::TooLong(_))
    ));
}
