//! Starts hostile clients, and ends them.

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::ValueEnum;

use super::kind::Kind;
use super::pool::Seen;

/// How long after `time_max` they may take to leave.
const LEAVE: Duration = Duration::from_secs(60);

/// Hostile clients, a process for each kind. They leave by themselves, and when this is dropped.
#[derive(Debug)]
pub(super) struct Attackers {
    children: Vec<Child>,
}

/// What they attack.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) api: SocketAddr,
    pub(super) metrics: SocketAddr,
    /// A key that exists, whose secrets are guessed.
    pub(super) key: String,
    /// A file of good requests, to be damaged.
    pub(super) requests: PathBuf,
}

impl Attackers {
    /// Starts them: `connections` of each kind, and `events_per_s` of all together.
    pub(super) fn start(
        kinds: &[Kind],
        target: &Target,
        connections: usize,
        events_per_s: u32,
        time_max: Duration,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let each = (events_per_s / u32::try_from(kinds.len().max(1))?).max(1);
        let mut children = Vec::new();
        for kind in kinds {
            let child = Command::new(&program)
                .args(["attacker", "--kind", &kind.name(), "--key", &target.key])
                .args(["--api", &target.api.to_string()])
                .args(["--metrics", &target.metrics.to_string()])
                .arg("--requests")
                .arg(&target.requests)
                .args(["--connections", &connections.to_string()])
                .args(["--events-per-s", &each.to_string()])
                .args(["--time-max-s", &time_max.as_secs().to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .with_context(|| format!("starting attackers, {}", kind.name()))?;
            children.push(child);
        }
        Ok(Self { children })
    }

    /// Waits until they have left, `time_max` at most; what they saw, all together.
    pub(super) async fn left(mut self, time_max: Duration) -> anyhow::Result<Seen> {
        let until = Instant::now() + time_max + LEAVE;
        let mut all = Seen::default();
        for child in &mut self.children {
            let status = loop {
                if let Some(status) = child.try_wait()? {
                    break status;
                }
                if Instant::now() > until {
                    bail!("attackers did not leave");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            let mut said = String::new();
            if let Some(out) = &mut child.stdout {
                out.read_to_string(&mut said)?;
            }
            if !status.success() {
                bail!("attackers failed with {status}: {}", said.trim());
            }
            let seen: Seen = serde_json::from_str(&said).context("reading what attackers saw")?;
            all.events += seen.events;
            all.connects += seen.connects;
            all.ended += seen.ended;
            all.held_max += seen.held_max;
            all.answers += seen.answers;
            all.server_errors += seen.server_errors;
        }
        Ok(all)
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // One that has left cannot be ended again.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// All kinds, in the order of the table.
pub(super) fn kinds() -> Vec<Kind> {
    Kind::value_variants().to_vec()
}
