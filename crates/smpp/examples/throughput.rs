//! Measures how many messages per second go from the client to the server over loopback, in one process.
//!
//! `cargo run --release --example throughput -- [MESSAGES] [WINDOW] [SESSIONS]`

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use smpp::client::{self, ClientConfig, Transport};
use smpp::field::{Address, RegisteredDelivery};
use smpp::pdu::{Bind, BindKind, SubmitSm, SubmitSmResp};
use smpp::server::{self, Incoming, ServerConfig};
use smpp::session::{Event, Reply, Request, Slots};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Responds to every message at once, with a unique id.
async fn answer(incoming: Incoming) {
    let Ok((session, mut events)) = incoming.accept("smsc").await else {
        return;
    };
    let mut batch = Vec::new();
    while events.recv_many(&mut batch).await > 0 {
        let replies = batch.drain(..).filter_map(|event| match event {
            Event::Submit { sequence, .. } => {
                let mut id = *b"0000000000";
                for (digit, shift) in id.iter_mut().rev().zip((0..32).step_by(4)) {
                    *digit = b"0123456789abcdef"[(sequence >> shift & 0xF) as usize];
                }
                Some(Reply::ok(sequence, SubmitSmResp::new(&id[..])))
            }
            _ => None,
        });
        session.respond(replies.collect());
    }
}

/// Keeps the window full until all messages are answered.
async fn submit(address: String, messages: u64, window: usize) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut config = ClientConfig::new(address, Bind::new(BindKind::Transceiver, "esme", "secret"));
    config.session.window_max = window;
    config.session.slots = Slots::OnRelease;
    let mut bound = client::connect(config, &Transport::Tcp).await?;
    let message = SubmitSm {
        source: Address::alphanumeric("Postrider"),
        destination: Address::international("447700900123"),
        registered_delivery: RegisteredDelivery::FINAL,
        short_message: "Your code is 123456. It is valid for five minutes.".into(),
        ..SubmitSm::default()
    };
    let (mut sent, mut answered) = (0, 0);
    let mut batch = Vec::new();
    while answered < messages {
        let due = (messages - sent).min(bound.client.window_free() as u64);
        if due > 0 {
            let requests = (sent..sent + due)
                .map(|token| Request::new(token, message.clone()))
                .collect();
            bound.client.send_batch(requests).await?;
            sent += due;
        }
        if bound.events.recv_many(&mut batch).await == 0 {
            return Err("the session ended early".into());
        }
        let results = batch
            .drain(..)
            .filter(|event| matches!(event, Event::Response { .. }))
            .count();
        bound.client.release(results);
        answered += results as u64;
    }
    bound.client.unbind_and_drain(Duration::from_secs(5)).await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let mut next = |default| arguments.next().unwrap_or(Ok(default));
    let (messages, window, sessions) = (next(1_000_000)?, next(100)?, next(1)?.max(1));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        let _ = stopped.await;
    };
    let server = tokio::spawn(server::serve(
        listener,
        ServerConfig::default(),
        None,
        shutdown,
        answer,
    ));

    let start = Instant::now();
    let clients: Vec<_> = (0..sessions)
        .map(|_| {
            tokio::spawn(submit(
                address.clone(),
                messages / sessions,
                usize::try_from(window).unwrap_or(100),
            ))
        })
        .collect();
    for client in clients {
        client.await??;
    }
    let seconds = start.elapsed().as_secs_f64();
    let per_second = (messages / sessions * sessions) as f64 / seconds;
    writeln!(
        std::io::stdout(),
        "{messages} messages, window {window}, sessions {sessions}: {seconds:.2} s, {per_second:.0} messages/s"
    )?;
    drop(stop);
    server.await?;
    Ok(())
}
