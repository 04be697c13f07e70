//! A fresh node and a carrier without faults.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sim::sink::{self, SinkConfig};
use sim::smsc::{CountBy, SmscConfig, Span};

use super::BenchArgs;
use crate::accounts::{CarrierEntry, Settings, WebhookEntry};
use crate::beside::{Carrier, Endpoint, free_address};
use crate::folder::Folder;
use crate::node::Node;
use crate::say;

const BINDS: u64 = 4;
const WINDOW: u64 = 500;

/// Accounts. The last one has a webhook for the ends of its messages.
const ACCOUNTS: u32 = 3;
pub(super) const WEBHOOK_ACCOUNT: u32 = ACCOUNTS - 1;

/// How long any one measurement may take.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Messages to these numbers are kept by the carrier, with the time they came; all others use lower ones.
pub(super) const KEPT_FIRST: u64 = 900_000_000;
const KEPT_PREFIX: &str = "9919";

pub(super) struct Scenario {
    pub(super) node: Node,
    pub(super) carrier: Carrier,
    /// The endpoint of the webhook.
    pub(super) endpoint: Endpoint,
    /// The place of the next number that has not been used.
    pub(super) next: u64,
}

impl Scenario {
    pub(super) async fn set_up(
        args: &BenchArgs,
        program: &Path,
        folder: &Folder,
        name: &str,
        preload: u64,
    ) -> anyhow::Result<Self> {
        let mut config = SmscConfig {
            seed: 1,
            count_by: CountBy::Destination,
            kept_prefix: KEPT_PREFIX.to_owned(),
            kept_max: 1_000_000,
            ..SmscConfig::default()
        };
        config.behaviour.receipts.delay_ms = Span::fixed(10);
        let carrier = Carrier::start(config)?;
        let endpoint = Endpoint::start(SinkConfig {
            seed: 1,
            count_by: sink::CountBy::Recipient,
            ..SinkConfig::default()
        })?;
        let webhook = WebhookEntry {
            account: WEBHOOK_ACCOUNT,
            url: endpoint.sink.url(),
            events: &["ended"],
            concurrency: 16,
        };
        let entry = CarrierEntry::new("north", carrier.address(), BINDS, WINDOW);
        let settings = Settings {
            api: free_address()?,
            metrics: free_address()?,
            accounts: ACCOUNTS,
            edition: 0,
            carriers: vec![entry],
            webhooks: vec![webhook],
            // An endpoint that has come back is found at once.
            notify: "trial_wait_s_max = 1",
            more: args.common.settings()?,
        };
        let folder = folder.path().join(name);
        std::fs::create_dir_all(&folder)?;
        if preload > 0 {
            say(&format!("  storing {preload} messages before"));
            let done = Command::new(&args.store_alone)
                .args(["--messages", "0", "--preload", &preload.to_string(), "--path"])
                .arg(folder.join("postrider.db"))
                .output()
                .with_context(|| format!("running {}", args.store_alone.display()))?;
            if !done.status.success() {
                bail!("storing before failed: {}", String::from_utf8_lossy(&done.stderr));
            }
        }
        let mut node = Node::set_up(program, &folder, settings)?;
        node.start().await?;
        node.bound(BINDS).await?;
        Ok(Self {
            node,
            carrier,
            endpoint,
            next: 0,
        })
    }

    /// Numbers for `count` messages, never used before.
    pub(super) fn numbers(&mut self, count: u64) -> u64 {
        let first = self.next;
        self.next += count;
        first
    }

    /// Waits until `count`, read from the carrier's counts, has reached `wanted`; how long that took.
    pub(super) async fn until(
        &self,
        what: &str,
        wanted: u64,
        count: fn(&sim::smsc::Counts) -> u64,
    ) -> anyhow::Result<Duration> {
        self.until_reached(what, wanted, || count(&self.carrier.smsc.counts()))
            .await
    }

    /// The same for the events that the endpoint received.
    pub(super) async fn until_events(&self, wanted: u64) -> anyhow::Result<Duration> {
        self.until_reached("events", wanted, || self.endpoint.sink.counts().events)
            .await
    }

    async fn until_reached(
        &self,
        what: &str,
        wanted: u64,
        count: impl Fn() -> u64,
    ) -> anyhow::Result<Duration> {
        let since = Instant::now();
        loop {
            let reached = count();
            if reached >= wanted {
                return Ok(since.elapsed());
            }
            if since.elapsed() > TIMEOUT {
                bail!("{what}: {reached} of {wanted} after {TIMEOUT:?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops the node gracefully, then its peers.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if !self.node.stop().await? {
            bail!("the shutdown of the node was not graceful");
        }
        self.carrier.stop().await?;
        self.endpoint.stop().await
    }
}
