//! Connections and calls.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{HeaderValue, LOCATION};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;

use super::behaviour::CallOutcome;
use super::form::Notice;
use super::recorder::event_of;
use super::{Shared, SinkHandle};
use crate::listener::Listener;
use crate::seed::Question;

/// What an answer says.
const TAKEN: &[u8] = b"taken";

/// How long the beginning of an answer that is cut has to leave.
const CUT_AFTER: Duration = Duration::from_millis(5);

/// Octets of an answer that is cut, of which only those of [`TAKEN`] leave.
const CUT_OCTETS: u64 = 64;

/// Where a call is sent instead. It must not be followed there.
const ELSEWHERE: &str = "/elsewhere";

/// Accepts connections until the sink stops. While it is away the port is closed.
pub(super) async fn accept(handle: SinkHandle, listener: TcpListener, mut listens: watch::Receiver<bool>) {
    let mut listener = Listener::new(listener, handle.local_addr);
    let room = Arc::new(Semaphore::new(handle.shared.config.connections_max));
    // Cuts all open connections when the sink goes away.
    let mut here = handle.stopping.child_token();
    loop {
        tokio::select! {
            () = handle.stopping.cancelled() => return,
            (stream, peer) = listener.accept() => {
                let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                    let connections_max = handle.shared.config.connections_max;
                    tracing::debug!(%peer, connections_max, reason = "too many connections", "connection rejected");
                    continue;
                };
                handle.shared.recorder.lock().connected();
                let connection = serve(Arc::clone(&handle.shared), stream, here.clone());
                handle.tasks.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            changed = listens.changed() => {
                if changed.is_err() {
                    return;
                }
                let open = *listens.borrow_and_update();
                if !open {
                    here.cancel();
                    here = handle.stopping.child_token();
                }
                listener.set_open(open).await;
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream, cut: CancellationToken) {
    let peer = stream.peer_addr().ok();
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(?peer, %error, "connection lost");
        return;
    }
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        served = served => {
            if let Err(error) = served {
                tracing::debug!(?peer, %error, "connection lost");
            }
        }
        () = cut.cancelled() => {}
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Answer> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, shared.config.body_bytes_max).collect().await {
        Ok(body) => body.to_bytes(),
        // Too long, or the caller went away in the middle, who will not read this.
        Err(_) => return plain(StatusCode::PAYLOAD_TOO_LARGE),
    };
    let Some((outcome, delay)) = decide(shared, &head.headers, &body) else {
        return plain(StatusCode::BAD_REQUEST);
    };
    if !delay.is_zero() {
        sleep(delay).await;
    }
    match outcome {
        CallOutcome::Taken => plain(StatusCode::OK),
        CallOutcome::Refused => {
            let status = shared.behaviour.load().refused_with;
            plain(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        }
        CallOutcome::Redirected => {
            let mut response = plain(StatusCode::FOUND);
            response
                .headers_mut()
                .insert(LOCATION, HeaderValue::from_static(ELSEWHERE));
            response
        }
        CallOutcome::Hung => pending().await,
        CallOutcome::Cut => Response::new(Answer {
            octets: Some(Bytes::from_static(TAKEN)),
            left: CUT_OCTETS,
            pause: None,
        }),
    }
}

/// Reads a call and records its outcome. `None` if it is not of the general form.
fn decide(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Option<(CallOutcome, Duration)> {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    // The body is parsed before the recorder is locked.
    let read = id.zip(Notice::read(body, shared.config.count_by));
    let behaviour = shared.behaviour.load();
    let mut recorder = shared.recorder.lock();
    let Some((id, notice)) = read else {
        recorder.malformed();
        return None;
    };
    let event = event_of(id);
    let in_vain = recorder.in_vain(event);
    let roll = |question| shared.seed.roll(question, event, u64::from(in_vain));
    let outcome = behaviour.outcome(roll(Question::CallOutcome).unit(), in_vain);
    let delay_ms = roll(Question::CallDelay).within(behaviour.delay_ms.min, behaviour.delay_ms.max);
    recorder.called(event, &notice, outcome);
    Some((outcome, Duration::from_millis(delay_ms)))
}

fn plain(status: StatusCode) -> Response<Answer> {
    let octets = match status {
        StatusCode::OK => Bytes::from_static(TAKEN),
        _ => Bytes::new(),
    };
    let mut response = Response::new(Answer {
        left: octets.len() as u64,
        octets: Some(octets),
        pause: None,
    });
    *response.status_mut() = status;
    response
}

/// A body that may promise more than it holds.
struct Answer {
    octets: Option<Bytes>,
    /// Octets promised that have not left.
    left: u64,
    /// Until a broken promise shows: what comes before would not leave otherwise.
    pause: Option<Pin<Box<Sleep>>>,
}

/// The answer ends before it is complete.
#[derive(Debug, thiserror::Error)]
#[error("cut on purpose")]
struct CutOnPurpose;

impl Body for Answer {
    type Data = Bytes;
    type Error = CutOnPurpose;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOnPurpose>>> {
        if let Some(octets) = self.octets.take().filter(|octets| !octets.is_empty()) {
            self.left = self.left.saturating_sub(octets.len() as u64);
            return Poll::Ready(Some(Ok(Frame::data(octets))));
        }
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(CUT_AFTER)));
        pause.as_mut().poll(cx).map(|()| Some(Err(CutOnPurpose)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
