//! The socket: one line of JSON asks, one line answers.

use super::{Answer, Order, perform};
use crate::node::Health;
use anyhow::{Context, bail};
use engine::Engine;
use rustix::fs::Mode;
use rustix::process::umask;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Octets of an order.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Octets of an answer: a list of carriers may be long.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Who asks at once.
const CALLERS_MAX: usize = 16;
/// How long an order may take to arrive.
const READ_TIME_MAX: Duration = Duration::from_secs(5);
/// How long an order may take to be done: calls under way to an endpoint end first.
const WORK_TIME_MAX: Duration = Duration::from_secs(120);

/// A node's ear for orders.
pub(crate) struct Control {
    path: PathBuf,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Control {
    /// Listens. A node that cannot (the path is too long for a socket, say) serves all the same, and says so.
    pub(crate) fn start(
        path: PathBuf,
        engine: Arc<Engine>,
        health: Arc<Health>,
        free_text: bool,
    ) -> Option<Self> {
        match bind(&path) {
            Ok(listener) => {
                let control = Self {
                    path,
                    stop: CancellationToken::new(),
                    tasks: TaskTracker::new(),
                };
                let (stop, tasks) = (control.stop.clone(), control.tasks.clone());
                let owner = std::fs::metadata(&control.path).map(|socket| socket.uid()).ok();
                control.tasks.spawn(async move {
                    let listening = engine.supervise("commands", || {
                        listen(&listener, owner, (&engine, &health, free_text), &tasks)
                    });
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = listening => {}
                    }
                });
                Some(control)
            }
            Err(error) => {
                let path = path.display();
                tracing::warn!(%path, %error, "commands cannot reach this node: its webhooks and tasks can be changed while it is stopped only");
                None
            }
        }
    }

    /// Listens no more; what is being done is finished.
    pub(crate) async fn stop(self, grace: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!("orders did not finish within the grace");
        }
        // Nothing of a socket is lost with its file; one that stays is taken away by the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    // Whoever serves the store holds its lock: a socket that is there is left from a node that was killed.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Made for its owner alone from the first moment on. What else this process makes meanwhile is closed to others as well.
    let mask = umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    umask(mask);
    listener
}

async fn listen(
    listener: &UnixListener,
    owner: Option<u32>,
    (engine, health, free_text): (&Arc<Engine>, &Arc<Health>, bool),
    tasks: &TaskTracker,
) {
    let places = Arc::new(Semaphore::new(CALLERS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) if may_ask(&stream, owner) => {
                let (engine, health) = (Arc::clone(engine), Arc::clone(health));
                tasks.spawn(async move {
                    if let Err(error) = serve(stream, &engine, &health, free_text).await {
                        tracing::debug!(%error, "whoever gave an order did not wait for its end");
                    }
                    drop(place);
                });
            }
            Ok(_) => tracing::warn!("somebody else's order was not taken"),
            Err(error) => {
                tracing::warn!(%error, "an order could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// The socket's owner and root.
fn may_ask(stream: &UnixStream, owner: Option<u32>) -> bool {
    let asker = stream.peer_cred().ok().map(|peer| peer.uid());
    asker.is_some() && (asker == owner || asker == Some(0))
}

async fn serve(
    mut stream: UnixStream,
    engine: &Engine,
    health: &Health,
    free_text: bool,
) -> anyhow::Result<()> {
    let read = tokio::time::timeout(READ_TIME_MAX, line(&mut stream, LINE_BYTES_MAX));
    let answer = match serde_json::from_slice::<Order>(&read.await??) {
        Ok(order) => perform::perform(engine, health, &order, free_text).await,
        Err(error) => Answer::Failed(format!("the node does not know this order: {error}")),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    Ok(stream.shutdown().await?)
}

/// What is sent until the line's end, or the end.
async fn line(stream: &mut UnixStream, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') && (line.len() as u64) < bytes_max {
        let room = bytes_max - line.len() as u64;
        if (&mut *stream).take(room).read_buf(&mut line).await? == 0 {
            break;
        }
    }
    Ok(line)
}

/// Asks the node at `path`; `None` when none listens there.
pub(super) async fn ask(path: &Path, order: &Order) -> anyhow::Result<Option<Answer>> {
    let mut stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        // A path that no socket can have is one that no node listens at.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut asked = serde_json::to_vec(order)?;
    asked.push(b'\n');
    stream.write_all(&asked).await?;
    let answered = tokio::time::timeout(WORK_TIME_MAX, line(&mut stream, ANSWER_BYTES_MAX)).await;
    let answered = answered.context("no answer in time")??;
    if answered.is_empty() {
        bail!("it ended before it answered");
    }
    Ok(Some(
        serde_json::from_slice(&answered).context("read its answer")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::SendOrder;
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;
    use store::{AccountId, EndpointId};

    #[test]
    fn orders_read_back_as_they_were_given() {
        let endpoint = EndpointId(7);
        let orders = [
            Order::Pause {
                endpoint,
                reason: "moving\nhouse".into(),
            },
            Order::Resume { endpoint },
            Order::Replay {
                endpoint,
                since: 1_795_000_000_000,
            },
            Order::Resend {
                endpoint,
                call: Some(3),
            },
            Order::Resend { endpoint, call: None },
            Order::Test { endpoint },
            Order::TakeOver,
            Order::Cancel {
                account: AccountId(1),
                task: 9,
            },
            Order::EndTask {
                account: AccountId(1),
                task: 9,
                ends_at: Some(1_795_000_000_000),
            },
            Order::Judge {
                account: AccountId(1),
                qualification: 7,
                from: 1,
                to: 3,
                reason: "not\nlegible".into(),
            },
            Order::Carriers,
            Order::Standing,
            Order::Send(Box::new(SendOrder {
                to: vec!["+447700900123".into()],
                template: Some("code".into()),
                vars: vec![("code".into(), "47\n11".into())],
                ..SendOrder::default()
            })),
        ];
        for order in orders {
            let line = serde_json::to_vec(&order).unwrap();
            assert!(!line.contains(&b'\n'), "an order is one line");
            assert_eq!(serde_json::from_slice::<Order>(&line).unwrap(), order);
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = serde_json::from_slice::<Order>(&line);
        }
    }

    #[tokio::test]
    async fn nobody_at_the_socket_is_told_from_one_who_does_not_answer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let order = Order::Test {
            endpoint: EndpointId(1),
        };
        assert_eq!(ask(&path, &order).await.unwrap(), None, "no socket");
        let listener = bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "others cannot ask");
        let (asked, ()) = tokio::join!(ask(&path, &order), async {
            drop(listener.accept().await.unwrap());
        });
        assert!(asked.is_err(), "it hung up");
        drop(listener);
        assert_eq!(ask(&path, &order).await.unwrap(), None, "a socket that was left");
        bind(&path).unwrap();
    }
}
