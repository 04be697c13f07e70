//! Messages straight to a carrier over SMPP: the ceiling of everything that stands in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use smpp::client::{self, ClientConfig, ConnectError, Transport};
use smpp::field::{Address, RegisteredDelivery};
use smpp::pdu::{Bind, BindKind, DeliverSmResp, SubmitSm};
use smpp::session::{Event, Reply, Request};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::number;

/// What to submit.
#[derive(Clone, Debug)]
pub struct SubmitLoad {
    /// `host:port` of the carrier.
    pub address: String,
    /// Messages in all, divided among the binds.
    pub messages: u64,
    /// Sessions.
    pub binds: u64,
    /// Messages in flight a session.
    pub window: usize,
    /// Ask for receipts, acknowledge them, and wait for them all.
    pub receipts: bool,
}

/// Why messages were not submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// A bind failed.
    #[error("cannot bind")]
    Connect(#[from] ConnectError),
    /// A session ended early.
    #[error("a session ended early")]
    Ended,
    /// A task of this load is broken.
    #[error("a task failed")]
    Task(#[from] JoinError),
}

/// Submits everything; how long it took from the first message to the last answer, or the last receipt.
///
/// # Errors
/// [`SubmitError`] if a session cannot be had or kept.
pub async fn submit(load: SubmitLoad) -> Result<Duration, SubmitError> {
    let binds = load.binds.max(1);
    let delivered = Arc::new(Delivered::default());
    let began = Instant::now();
    let mut sessions = JoinSet::new();
    for bind in 0..binds {
        let share = load.messages / binds + u64::from(bind < load.messages % binds);
        sessions.spawn(submit_share(
            load.clone(),
            bind * (load.messages / binds + 1),
            share,
            Arc::clone(&delivered),
        ));
    }
    while let Some(done) = sessions.join_next().await {
        done??;
    }
    Ok(began.elapsed())
}

/// Receipts of all sessions together: they come over any of them.
#[derive(Default)]
struct Delivered {
    count: AtomicU64,
    all: CancellationToken,
}

async fn submit_share(
    load: SubmitLoad,
    first: u64,
    share: u64,
    delivered: Arc<Delivered>,
) -> Result<(), SubmitError> {
    let mut config = ClientConfig::new(load.address, Bind::new(BindKind::Transceiver, "load", "secret"));
    config.session.window_max = load.window;
    config.session.inbound_max = 10_000;
    let mut bound = client::connect(config, &Transport::Tcp).await?;
    let (mut sent, mut answered) = (0, 0);
    let mut batch = Vec::new();
    while answered < share || (load.receipts && !delivered.all.is_cancelled()) {
        let due = (share - sent).min(bound.client.window_free() as u64);
        if due > 0 {
            let requests = (sent..sent + due).map(|at| Request::new(at, message(first + at, load.receipts)));
            bound
                .client
                .send_batch(requests.collect())
                .await
                .map_err(|_| SubmitError::Ended)?;
            sent += due;
        }
        tokio::select! {
            events = bound.events.recv_many(&mut batch) => if events == 0 {
                return Err(SubmitError::Ended);
            },
            () = delivered.all.cancelled(), if answered == share => break,
        }
        let mut replies = Vec::new();
        for event in batch.drain(..) {
            match event {
                Event::Response { .. } => answered += 1,
                Event::Deliver { sequence, .. } => {
                    replies.push(Reply::ok(sequence, DeliverSmResp::default()))
                }
                Event::Closed { .. } => return Err(SubmitError::Ended),
                _ => {}
            }
        }
        let more = replies.len() as u64;
        if delivered.count.fetch_add(more, Ordering::Relaxed) + more >= load.messages {
            delivered.all.cancel();
        }
        if !replies.is_empty() {
            bound.client.respond(replies);
        }
    }
    bound.client.unbind_and_drain(Duration::from_secs(5)).await;
    Ok(())
}

fn message(at: u64, receipts: bool) -> SubmitSm {
    SubmitSm {
        source: Address::alphanumeric("Postrider"),
        destination: Address::international(number(at).to_string()),
        registered_delivery: if receipts {
            RegisteredDelivery::FINAL
        } else {
            RegisteredDelivery::NONE
        },
        short_message: "Your code is 123456. It is valid for five minutes.".into(),
        ..SubmitSm::default()
    }
}
