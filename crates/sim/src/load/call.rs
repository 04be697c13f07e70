//! Webhook calls as fast as they are answered, to measure an endpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::number;
use super::wire::{Wire, WireError};

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The calls to make: each reports another message as delivered, in the general form.
#[derive(Clone, Debug)]
pub struct CallLoad {
    /// The endpoint, such as `http://127.0.0.1:2790/events`.
    pub url: String,
    /// Calls in all.
    pub calls: u64,
    /// Calls under way at most, each over a connection of its own.
    pub connections: usize,
}

/// Makes all calls; how long that took. Answers are not checked.
///
/// # Errors
/// [`WireError`] of the first call without an answer.
pub async fn call(load: CallLoad) -> Result<Duration, WireError> {
    let began = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..load.connections.max(1) {
        let (next, load) = (Arc::clone(&next), load.clone());
        callers.spawn(async move {
            let mut wire = Wire::connect(&load.url, TIMEOUT).await?;
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                if place >= load.calls {
                    return Ok(());
                }
                wire.exchange(&request(place)).await?;
            }
        });
    }
    while let Some(called) = callers.join_next().await {
        called.unwrap_or(Err(WireError::Malformed("a caller failed")))?;
    }
    Ok(began.elapsed())
}

fn request(place: u64) -> Vec<u8> {
    let to = number(place);
    let body = format!(
        "{{\"type\":\"message.delivered\",\"timestamp\":\"2026-11-24T00:00:00.000Z\",\"data\":{{\
         \"id\":\"1_1_1_1_abcdef$+{to}\",\"to\":\"+{to}\",\"state\":\"delivered\"}}}}"
    );
    let length = body.len();
    format!(
        "POST /events HTTP/1.1\r\nHost: sink\r\nContent-Type: application/json\r\nwebhook-id: evt_{place}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{CountBy, Sink, SinkConfig};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn every_call_reports_another_message() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = SinkConfig {
            count_by: CountBy::Recipient,
            ..SinkConfig::default()
        };
        let sink = Sink::start(config, listener).unwrap();
        let load = CallLoad {
            url: sink.url(),
            calls: 50,
            connections: 3,
        };
        call(load).await.unwrap();
        let counts = sink.counts();
        assert_eq!((counts.events, counts.messages, counts.connections), (50, 50, 3));
        assert_eq!(sink.states(number(49)), ["delivered"]);
        sink.stop().await;
        let nobody = CallLoad {
            url: sink.url(),
            calls: 1,
            connections: 1,
        };
        assert!(call(nobody).await.is_err());
    }
}
