//! The control socket: a line of JSON for the command, a line for the answer.

use super::{Answer, NodeCommand, perform};
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

/// Octets of a command.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Octets of an answer: a list of carriers may be long.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Concurrent clients.
const CALLERS_MAX: usize = 16;
/// Time for a command to arrive.
const READ_TIME_MAX: Duration = Duration::from_secs(5);
/// Time for a command to run: calls in progress to an endpoint end first.
const WORK_TIME_MAX: Duration = Duration::from_secs(120);

/// The control socket of a node.
pub(crate) struct Control {
    path: PathBuf,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Control {
    /// Listens. A node that cannot (the path is too long for a socket, say) logs that and runs without it.
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
                tracing::warn!(%path, %error, "control socket unavailable");
                None
            }
        }
    }

    /// Stops listening and waits for running commands.
    pub(crate) async fn stop(self, grace: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!(grace_ms = grace.as_millis() as u64, "control commands cut off");
        }
        // A stale socket is removed by the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    // The node that serves the store holds its lock: an existing socket is that of a killed node.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Created for its owner only. Files that this process creates meanwhile are restricted as well.
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
                        tracing::debug!(%error, "control connection failed");
                    }
                    drop(place);
                });
            }
            Ok(_) => tracing::warn!(reason = "other user", "control connection rejected"),
            Err(error) => {
                tracing::warn!(%error, listener = "control", "accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Whether the peer is the socket's owner or root.
fn may_ask(stream: &UnixStream, owner: Option<u32>) -> bool {
    let peer_uid = stream.peer_cred().ok().map(|peer| peer.uid());
    peer_uid.is_some() && (peer_uid == owner || peer_uid == Some(0))
}

async fn serve(
    mut stream: UnixStream,
    engine: &Engine,
    health: &Health,
    free_text: bool,
) -> anyhow::Result<()> {
    let read = tokio::time::timeout(READ_TIME_MAX, line(&mut stream, LINE_BYTES_MAX));
    let answer = match serde_json::from_slice::<NodeCommand>(&read.await??) {
        Ok(command) => perform::perform(engine, health, &command, free_text).await,
        Err(error) => Answer::Failed(format!("the node does not know this command: {error}")),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    Ok(stream.shutdown().await?)
}

/// Reads up to the end of the line, or the end of the stream.
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

/// Sends a command to the node at `path`; `None` when none listens there.
pub(super) async fn ask(path: &Path, command: &NodeCommand) -> anyhow::Result<Option<Answer>> {
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
        // No node can listen at a path that is invalid for a socket.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut request = serde_json::to_vec(command)?;
    request.push(b'\n');
    stream.write_all(&request).await?;
    let answered = tokio::time::timeout(WORK_TIME_MAX, line(&mut stream, ANSWER_BYTES_MAX)).await;
    let answered = answered.context("no answer in time")??;
    if answered.is_empty() {
        bail!("the node closed the connection without an answer");
    }
    Ok(Some(
        serde_json::from_slice(&answered).context("parse the node's answer")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::SendCommand;
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;
    use store::{AccountId, EndpointId};

    #[test]
    fn orders_read_back_as_they_were_given() {
        let endpoint = EndpointId(7);
        let commands = [
            NodeCommand::Pause {
                endpoint,
                reason: "moving\nsoon".into(),
            },
            NodeCommand::Resume { endpoint },
            NodeCommand::Replay {
                endpoint,
                since: 1_795_000_000_000,
            },
            NodeCommand::Resend {
                endpoint,
                call: Some(3),
            },
            NodeCommand::Resend { endpoint, call: None },
            NodeCommand::Test { endpoint },
            NodeCommand::ReloadCatalog,
            NodeCommand::Cancel {
                account: AccountId(1),
                task: 9,
            },
            NodeCommand::EndTask {
                account: AccountId(1),
                task: 9,
                ends_at: Some(1_795_000_000_000),
            },
            NodeCommand::ReviewQualification {
                account: AccountId(1),
                qualification: 7,
                from: 1,
                to: 3,
                reason: "not\nlegible".into(),
            },
            NodeCommand::Carriers,
            NodeCommand::Standing,
            NodeCommand::Send(Box::new(SendCommand {
                to: vec!["+447700900123".into()],
                template: Some("code".into()),
                vars: vec![("code".into(), "47\n11".into())],
                ..SendCommand::default()
            })),
        ];
        for command in commands {
            let line = serde_json::to_vec(&command).unwrap();
            assert!(!line.contains(&b'\n'), "a command is one line");
            assert_eq!(serde_json::from_slice::<NodeCommand>(&line).unwrap(), command);
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = serde_json::from_slice::<NodeCommand>(&line);
        }
    }

    #[tokio::test]
    async fn a_missing_listener_is_distinguished_from_one_that_does_not_answer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let command = NodeCommand::Test {
            endpoint: EndpointId(1),
        };
        assert_eq!(ask(&path, &command).await.unwrap(), None, "no socket");
        let listener = bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "other users have no access");
        let (answer, ()) = tokio::join!(ask(&path, &command), async {
            drop(listener.accept().await.unwrap());
        });
        assert!(answer.is_err(), "the connection was closed");
        drop(listener);
        assert_eq!(ask(&path, &command).await.unwrap(), None, "a stale socket");
        bind(&path).unwrap();
    }
}
