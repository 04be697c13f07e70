//! The task that serves one connection.

use super::body::TimedBody;
use super::origin::Origin;
use super::shared::Shared;
use super::stream::{Peer, Watched};
use super::watch::{Command, Phase, Watch};
use super::{ServeLimits, head};
use axum::response::Response;
use engine::AnswerTracker;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower::Service as _;

/// How many headers a request may have unless configured otherwise: hyper's own bound.
pub(super) const HEADERS_MAX_DEFAULT: usize = 100;

/// How hyper is to speak.
pub(super) fn protocol(limits: &ServeLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // A client may close its sending side and still wait for the answer; a request begun is finished.
        .half_close(true)
        // Else an answer waits for as long as an unfinished next request lies in the buffer behind it.
        .pipeline_flush(false)
        .max_header_size(limits.header_bytes_max)
        .max_buf_size(limits.header_bytes_max.max(8192))
        // The listener watches the time itself.
        .header_read_timeout(None);
    // hyper keeps room for its own default on the stack, for any other number on the heap.
    if limits.headers_max != HEADERS_MAX_DEFAULT {
        builder.max_headers(limits.headers_max);
    }
    builder
}

/// Serves one connection to its end.
pub(super) async fn run(mut stream: TcpStream, shared: Arc<Shared>, watch: Arc<Watch>, peer: IpAddr) {
    let _ended = GiveBack(Arc::clone(&watch));
    let mut octet = [0];
    tokio::select! {
        // Somebody who says nothing costs no more than a socket. (Readiness alone is no sign: a new socket may be said to be
        // ready before anything came.)
        peeked = stream.peek(&mut octet) => if !matches!(peeked, Ok(1..)) { return },
        _ = watch.command() => return,
    }
    let origin = tokio::select! {
        origin = Origin::of(&mut stream, peer, &shared, &watch) => origin,
        _ = watch.command() => return,
    };
    let origin = match origin {
        Ok(origin) => origin,
        Err(error) => return tracing::debug!(%error, %peer, "proxy connection rejected"),
    };
    // In boxes, because a task is as large as the largest of what it ever does.
    let Some(tls) = &shared.tls else {
        return Box::pin(speak(stream, &shared, watch, origin)).await;
    };
    let standing = Arc::clone(&watch.standing());
    let shaken = tokio::select! {
        shaken = Box::pin(shared.handshakes.shake(stream, tls.config(), origin.direct(), standing.address())) => shaken,
        // Either command: there is no request yet.
        _ = watch.command() => return,
    };
    match shaken {
        Ok(stream) => Box::pin(speak(stream, &shared, watch, origin)).await,
        Err(error) => tracing::debug!(%error, "TLS handshake failed"),
    }
}

/// Gives back the room of a request that ended with its connection.
struct GiveBack(Arc<Watch>);

impl Drop for GiveBack {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Peer + Unpin>(
    stream: S,
    shared: &Arc<Shared>,
    watch: Arc<Watch>,
    origin: Origin,
) {
    let origin = Arc::new(origin);
    let service = service_fn(|request| answer(request, shared, &watch, &origin));
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&watch)));
    let mut connection = shared.protocol.serve_connection(io, service);
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut connection => break ended,
            command = watch.command() => match command {
                Command::Leave => {
                    watch.discard_unread();
                    Pin::new(&mut connection).graceful_shutdown();
                }
                Command::Drop => {
                    // While our side is still open, nobody can say how much of an answer went out.
                    watch.was_read(watch.phase().0 == Phase::Closing);
                    return;
                }
            },
        }
    };
    let Err(error) = ended else { return };
    watch.was_read(false);
    tracing::debug!(%error, "connection ended");
    if watch.is_cut() {
        return;
    }
    // After an error (a head that cannot be read) hyper has answered what it could, but has not closed.
    watch.left_unread();
    let mut io = connection.into_parts().io.into_inner();
    tokio::select! {
        _ = io.shutdown() => {}
        () = async { while watch.command().await != Command::Drop {} } => {}
    }
}

/// One request's answer.
fn answer(
    request: Request<Incoming>,
    shared: &Arc<Shared>,
    watch: &Arc<Watch>,
    origin: &Arc<Origin>,
) -> impl Future<Output = Result<Response, Infallible>> + use<> {
    // When the listener was faster, the connection ends at its next turn, and nothing is begun.
    let begins = watch.enter(Phase::Work);
    // What came before this request was read to its end.
    watch.all_read();
    let is_clear = watch.begins_clear_request();
    let client =
        head::check(&request, is_clear).and_then(|()| origin.client(request.headers(), shared, watch));
    let handling = begins.then(|| {
        client.map(|client| {
            let body_timeout = Duration::from_millis(shared.settings.limits.request_timeout_ms);
            let body = |body| axum::body::Body::new(TimedBody::new(body, body_timeout, Arc::clone(watch)));
            let mut request = request.map(body);
            request.extensions_mut().insert(client.of_connection(watch));
            shared.router.clone().call(request)
        })
    });
    if matches!(handling, Some(Err(_))) {
        // Whatever else the client sends is read before the connection is closed over it.
        watch.left_unread();
    }
    let (watch, origin) = (Arc::clone(watch), Arc::clone(origin));
    async move {
        let answer = match handling {
            // The connection is a proxy's: it would answer 502 to its client.
            Some(Ok(handling)) if origin.direct().is_none() => or_turned_away(handling, &watch).await?,
            Some(Ok(handling)) => handling.await?,
            Some(Err(refusal)) => head::answer(refusal),
            None => std::future::pending().await,
        };
        if let Some(tracker) = answer.extensions().get::<AnswerTracker>() {
            watch.expect(tracker.clone());
        }
        watch.give_back();
        origin.answered(&watch);
        watch.enter(Phase::Idle);
        Ok(answer)
    }
}

/// The answer to a request that came by a proxy; the listener's own when it has to make room before its body is there.
async fn or_turned_away(
    handling: impl Future<Output = Result<Response, Infallible>>,
    watch: &Watch,
) -> Result<Response, Infallible> {
    const TOO_MANY: &str = "too many requests at once\n";
    watch.turn_away();
    tokio::select! {
        biased;
        answered = handling => {
            // The handler ended just when it was to be turned away: its response is sent, and the connection closed with it.
            if watch.is_dropped() {
                watch.answers_after_all();
                watch.leave();
            }
            return answered;
        }
        () = watch.turned_away() => {}
    }
    watch.answers_after_all();
    watch.left_unread();
    Ok(head::answer((StatusCode::TOO_MANY_REQUESTS, TOO_MANY)))
}

#[cfg(test)]
mod tests {
    use super::super::addresses::Standing;
    use super::super::{ServeMetrics, ServeSettings};
    use super::*;
    use futures_util::FutureExt as _;
    use tokio::time::Instant;

    #[tokio::test]
    async fn an_answer_that_is_there_when_its_connection_makes_room_is_given_and_the_connection_goes() {
        let router = axum::Router::new();
        let shared = Shared::new(router, ServeSettings::default(), None, ServeMetrics::default());
        let standing = Arc::new(Standing::uncounted(false));
        let watch = Watch::new(Instant::now(), standing, Arc::new(shared));
        assert!(watch.enter(Phase::Work));
        let (give, given) = tokio::sync::oneshot::channel::<()>();
        let handling = async {
            let _ = given.await;
            Ok(Response::default())
        };
        let mut answered = Box::pin(or_turned_away(handling, &watch));
        assert!(answered.as_mut().now_or_never().is_none());
        // A handler that waits for its body, and for something else that comes just then.
        assert!(watch.enter(Phase::Body) && watch.drop_from(watch.phase_word()));
        give.send(()).unwrap();
        assert_eq!(answered.await.unwrap().status(), StatusCode::OK);
        assert!(watch.enter(Phase::Idle), "the connection is still open");
        assert_eq!(watch.command().now_or_never(), Some(Command::Leave));
    }
}
