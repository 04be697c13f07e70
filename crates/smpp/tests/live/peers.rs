//! Live sessions with another implementation, in both roles.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use smpp::client::{self, ClientConfig, Transport};
use smpp::field::{EsmClass, MessageState};
use smpp::pdu::{Bind, BindKind, DeliverSm, DeliverSmResp, Pdu};
use smpp::server::ServerConfig;
use smpp::session::{Event, Reply, Request};
use smpp::tlv::Tlvs;
use smpp34::client::{BIND_TYPE, SMSC, SmppClient, SmppClientListener};
use smpp34::server::ESME;
use smpp34::{SmppConnectionInformation as Connection, SmppError, SmppServer, SmppServerListener};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::{Inbox, Server, message, soon};

async fn next<T>(receiver: &mut UnboundedReceiver<T>) -> T {
    soon(receiver.recv()).await.expect("the peer is still there")
}

/// The peer as an SMSC: accepts every message except those with odd digits at the end of their text.
struct TheirSmsc {
    bound: UnboundedSender<ESME>,
    unbound: UnboundedSender<()>,
}

#[async_trait]
impl SmppServerListener for TheirSmsc {
    async fn on_bind_transceiver(
        &self,
        bind: smpp34::bind_transceiver,
        _: &Connection,
        _: &String,
    ) -> smpp34::bind_transceiver_resp {
        match bind.password.as_str() {
            "secret" => bind.accept("theirs".to_owned(), Some(0x34)),
            _ => bind.reject(SmppError::ESME_RINVPASWD),
        }
    }

    async fn on_submit_sm(
        &self,
        submit: smpp34::submit_sm,
        _: &Connection,
        _: &String,
    ) -> smpp34::submit_sm_resp {
        let text = String::from_utf8_lossy(&submit.short_message).into_owned();
        match text.as_bytes().last() {
            Some(digit) if digit % 2 == 1 => submit.reject(SmppError::ESME_RTHROTTLED),
            _ => submit.accept(text),
        }
    }

    async fn on_esme_bound(&self, esme: ESME, _: &String) {
        let _ = self.bound.send(esme);
    }

    async fn on_esme_unbound(&self, _: &String) {
        let _ = self.unbound.send(());
    }
}

struct TheirServer {
    address: String,
    bound: UnboundedReceiver<ESME>,
    unbound: UnboundedReceiver<()>,
    _server: SmppServer,
}

async fn their_server() -> TheirServer {
    // The peer takes a port number, not a listener.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port();
    let (bound_sender, bound) = mpsc::unbounded_channel();
    let (unbound_sender, unbound) = mpsc::unbounded_channel();
    let listener = Arc::new(TheirSmsc {
        bound: bound_sender,
        unbound: unbound_sender,
    });
    let mut server = SmppServer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port, listener);
    server.start().await;
    TheirServer {
        address: format!("127.0.0.1:{port}"),
        bound,
        unbound,
        _server: server,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_submits_to_their_server_and_unbinds() {
    const MESSAGES: u64 = 500;
    let mut theirs = their_server().await;
    let bind = Bind::new(BindKind::Transceiver, "esme", "secret");
    let mut config = ClientConfig::new(theirs.address.clone(), bind);
    config.session.window_max = 50;
    let bound = soon(client::connect(config, &Transport::Tcp))
        .await
        .expect("bound");
    assert_eq!(bound.resp.system_id, "theirs");
    let requests = (0..MESSAGES)
        .map(|token| Request::new(token, message(token)))
        .collect();
    soon(bound.client.send_batch(requests)).await.expect("open");
    let mut inbox = Inbox::new(bound.events);
    let mut answered = Vec::new();
    while (answered.len() as u64) < MESSAGES {
        let event = inbox.next().await;
        let Event::Response {
            token,
            status,
            pdu: Pdu::SubmitSmResp(resp),
        } = event
        else {
            panic!("{event:?}")
        };
        let accepted = token % 2 == 0;
        assert_eq!(status.is_ok(), accepted, "{token}");
        let id = if accepted {
            format!("message {token}")
        } else {
            String::new()
        };
        assert_eq!(resp.message_id, id.as_str());
        answered.push(token);
    }
    answered.sort_unstable();
    assert!(answered.into_iter().eq(0..MESSAGES));
    soon(bound.client.unbind_and_drain(Duration::from_secs(10))).await;
    // The peer closes the connection as soon as it has read the unbind, sometimes before its response is sent.
    let (reason, in_flight, unsent) = inbox.closed().await;
    assert!(reason.starts_with("unbound"), "{reason}");
    assert!(in_flight.is_empty() && unsent.is_empty());
    next(&mut theirs.unbound).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn their_server_delivers_to_our_client() {
    let mut theirs = their_server().await;
    let bind = Bind::new(BindKind::Transceiver, "esme", "secret");
    let bound = soon(client::connect(
        ClientConfig::new(theirs.address.clone(), bind),
        &Transport::Tcp,
    ))
    .await
    .expect("bound");
    let esme = next(&mut theirs.bound).await;
    let delivering = tokio::spawn(async move {
        let receipt = esme
            .deliver_sm()
            .source_addr("447700900123")
            .destination_addr("2020")
            .esm_class(0x04)
            .short_message(b"id:0A stat:DELIVRD")
            .tlv(smpp34::TlvTag::ReceiptedMessageId, b"0A\0".to_vec())
            .tlv(smpp34::TlvTag::MessageStateTlv, vec![2]);
        receipt.send().await.map(|resp| resp.command_status())
    });
    let mut inbox = Inbox::new(bound.events);
    let event = inbox.next().await;
    let Event::Deliver { sequence, pdu } = event else {
        panic!("{event:?}")
    };
    assert!(pdu.esm_class.is_delivery_receipt());
    assert_eq!(pdu.source.addr, "447700900123");
    assert_eq!(pdu.tlvs.message_state(), Some(MessageState::DELIVERED));
    bound
        .client
        .respond(vec![Reply::ok(sequence, DeliverSmResp::default())]);
    let status = soon(delivering).await.expect("no panic");
    assert_eq!(status.ok(), Some(0));
}

/// The peer as an ESME.
struct TheirEsme {
    bound: UnboundedSender<SMSC>,
    delivered: UnboundedSender<smpp34::deliver_sm>,
}

#[async_trait]
impl SmppClientListener for TheirEsme {
    async fn on_smsc_bound(&self, smsc: SMSC, _: &String) {
        let _ = self.bound.send(smsc);
    }

    async fn on_deliver_sm(
        &self,
        deliver: smpp34::deliver_sm,
        _: &Connection,
        _: &String,
    ) -> smpp34::deliver_sm_resp {
        let _ = self.delivered.send(deliver.clone());
        deliver.accept()
    }
}

struct TheirClient {
    bound: UnboundedReceiver<SMSC>,
    delivered: UnboundedReceiver<smpp34::deliver_sm>,
    _client: SmppClient,
}

async fn their_client(server: &Server) -> TheirClient {
    let (host, port) = server.address.rsplit_once(':').expect("host and port");
    let (bound_sender, bound) = mpsc::unbounded_channel();
    let (delivered_sender, delivered) = mpsc::unbounded_channel();
    let listener = Arc::new(TheirEsme {
        bound: bound_sender,
        delivered: delivered_sender,
    });
    let mut client = SmppClient::new(
        host.to_owned(),
        port.parse().expect("a port"),
        false,
        BIND_TYPE::TRX,
        "theirs".to_owned(),
        "secret".to_owned(),
        String::new(),
        0,
        0,
        String::new(),
        listener,
        20,
    );
    client.start().await;
    TheirClient {
        bound,
        delivered,
        _client: client,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn their_client_submits_to_our_server_and_unbinds() {
    let mut server = Server::start(ServerConfig::default(), None).await;
    let mut theirs = their_client(&server).await;
    let smsc = next(&mut theirs.bound).await;
    let (session, mut inbox) = server.session().await;
    let submitting = tokio::spawn(async move {
        let mut ids = Vec::new();
        for text in [&b"one"[..], b"two", b"three"] {
            let resp = smsc
                .submit_sm()
                .source_addr("2020")
                .destination_addr("447700900123");
            ids.push(resp.short_message(text).send().await.map(|resp| resp.message_id));
        }
        (ids, smsc)
    });
    for text in ["one", "two", "three"] {
        let (sequence, received) = inbox.submit().await;
        assert_eq!(received.short_message, text.as_bytes());
        assert_eq!(received.destination.addr, "447700900123");
        session.respond(vec![Reply::ok(
            sequence,
            smpp::pdu::SubmitSmResp::new(format!("id-{text}")),
        )]);
    }
    let (ids, smsc) = soon(submitting).await.expect("no panic");
    let ids: Vec<_> = ids.into_iter().map(|id| id.ok().flatten()).collect();
    assert_eq!(
        ids,
        ["id-one", "id-two", "id-three"].map(|id| Some(id.to_owned()))
    );
    let unbinding = tokio::spawn(async move { smsc.send_unbind().await.is_ok() });
    assert_eq!(inbox.closed().await.0, "the peer unbound");
    assert!(soon(unbinding).await.expect("no panic"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_server_delivers_to_their_client() {
    let mut server = Server::start(ServerConfig::default(), None).await;
    let mut theirs = their_client(&server).await;
    let _smsc = next(&mut theirs.bound).await;
    let (session, mut inbox) = server.session().await;
    let mut tlvs = Tlvs::new();
    tlvs.set_receipted_message_id(&"0A".into());
    tlvs.set_message_state(MessageState::DELIVERED);
    let receipt = DeliverSm {
        source: smpp::field::Address::international("447700900123"),
        destination: smpp::field::Address::unknown("2020"),
        esm_class: EsmClass::DELIVERY_RECEIPT,
        short_message: "id:0A stat:DELIVRD".into(),
        tlvs,
        ..DeliverSm::default()
    };
    let requests = (0..100)
        .map(|token| Request::new(token, receipt.clone()))
        .collect();
    soon(session.send_batch(requests)).await.expect("open");
    let mut answered = Vec::new();
    for _ in 0..100 {
        answered.push(inbox.response().await.0);
        let received = next(&mut theirs.delivered).await;
        assert_eq!(
            (received.esm_class, received.source_addr.as_str()),
            (4, "447700900123")
        );
        assert_eq!(received.tlvs.len(), 2);
    }
    // The peer handles PDUs concurrently, and responds in any order.
    answered.sort_unstable();
    assert!(answered.into_iter().eq(0..100));
}
