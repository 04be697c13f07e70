//! Mixed traffic: a third of it long messages, over carriers of different windows and settings that refuse parts at random,
//! while the catalog changes and two of them throttle in turn. All campaigns with it share the scenario, and the comparison of
//! the answers to clients with what carriers and accounts received and the gateway reports.

mod carriers;
mod disturbances;
mod oracle;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use sim::load::Outcome;
use sim::seed::Seed;
use sim::sink::{self, SinkConfig};
use sim::smsc::{Joined, MessageCounts, Order, Past, SmscHandle};
use tokio_util::sync::CancellationToken;

pub(crate) use self::carriers::{CARRIERS, CarrierPlan, Profile};
use self::carriers::{THROTTLED, THROTTLED_PER_S, without_faults};
use self::disturbances::{Changes, Disturbances};
pub(crate) use self::oracle::twice;
use crate::accounts::{SYSTEM_ID, Settings, WebhookEntry};
use crate::beside::{Carrier, Endpoint, free_address};
use crate::clients::{ACCOUNTS, Clients, Turn};
use crate::folder::Folder;
use crate::node::{Environment, Node};
use crate::quiescence::await_quiescence;
use crate::report::Report;
use crate::{Common, say};

/// How long messages, receipts and events may take to drain.
const QUIESCENCE_MAX: Duration = Duration::from_secs(300);

/// Throttled less than this a carrier would hardly send anything.
const THROTTLED_PER_S_MIN: f64 = 20.0;

/// Starts all of [`CARRIERS`].
fn carriers_at(
    seed: u64,
    profile: &Profile,
    addresses: [SocketAddr; CARRIERS.len()],
) -> anyhow::Result<Vec<Carrier>> {
    let plans = CARRIERS.iter().zip(addresses);
    plans
        .map(|(plan, address)| plan.start(seed, profile, address))
        .collect()
}

fn endpoint_at(seed: u64, profile: &Profile, address: SocketAddr) -> anyhow::Result<Endpoint> {
    let config = SinkConfig {
        seed: seed.max(1),
        count_by: sink::CountBy::Recipient,
        behaviour: toml::from_str(profile.endpoint)?,
        ..SinkConfig::default()
    };
    Endpoint::start_at(config, address)
}

/// The node under test and its peers.
pub(crate) struct Mixed {
    pub(crate) seed: Seed,
    pub(crate) node: Node,
    /// As in [`CARRIERS`].
    pub(crate) carriers: Vec<Carrier>,
    pub(crate) endpoint: Endpoint,
    /// How often the program was killed.
    pub(crate) kills: u64,
    /// The totals of all clients.
    pub(crate) sum: Outcome,
    disturbances: Option<Disturbances>,
    changes: Changes,
}

impl Mixed {
    /// Starts all of it, and waits until all sessions are up.
    pub(crate) async fn start(
        common: &Common,
        seed: u64,
        profile: &Profile,
        folder: &Folder,
    ) -> anyhow::Result<Self> {
        Self::start_in(
            folder.path(),
            Environment::new(),
            common.settings()?,
            common,
            seed,
            profile,
        )
        .await
    }

    /// The same in a folder, with an environment and with settings of its own.
    pub(crate) async fn start_in(
        folder: &Path,
        environment: Environment,
        more: String,
        common: &Common,
        seed: u64,
        profile: &Profile,
    ) -> anyhow::Result<Self> {
        let mut addresses = [free_address()?; CARRIERS.len()];
        for address in &mut addresses {
            *address = free_address()?;
        }
        let carriers = carriers_at(seed, profile, addresses)?;
        let endpoint = endpoint_at(seed, profile, free_address()?)?;
        let webhook = |account: u32| WebhookEntry {
            account,
            url: endpoint.sink.url(),
            // Not all accounts subscribe to `submitted`.
            events: match account % 2 {
                0 => &["ended", "inbound"],
                _ => &["submitted", "ended", "inbound"],
            },
            concurrency: 16,
        };
        let settings = Settings {
            api: free_address()?,
            metrics: free_address()?,
            accounts: ACCOUNTS,
            edition: 0,
            carriers: CARRIERS
                .iter()
                .zip(&carriers)
                .map(|(plan, carrier)| plan.entry(carrier))
                .collect(),
            webhooks: (0..ACCOUNTS).map(webhook).collect(),
            notify: "trial_wait_s_max = 1",
            more,
        };
        let mut node = Node::written(&common.postrider, folder, settings, environment)?;
        node.make_store()?;
        node.start().await?;
        node.bound(CARRIERS.iter().map(|plan| plan.binds).sum()).await?;
        Ok(Self::of(node, carriers, endpoint, seed))
    }

    /// Starts a node that has a store already, with `endpoint` and the carriers at their former addresses; the carriers are
    /// restored from `pasts`.
    pub(crate) async fn resume(
        mut node: Node,
        endpoint: SocketAddr,
        pasts: &[Past],
        seed: u64,
        profile: &Profile,
    ) -> anyhow::Result<Self> {
        let mut addresses = [endpoint; CARRIERS.len()];
        for (address, carrier) in addresses.iter_mut().zip(&node.settings.carriers) {
            *address = carrier.address;
        }
        let carriers = carriers_at(seed, profile, addresses)?;
        for (carrier, past) in carriers.iter().zip(pasts) {
            carrier.smsc.restore(past, SYSTEM_ID);
        }
        let endpoint = endpoint_at(seed, profile, endpoint)?;
        node.start().await?;
        Ok(Self::of(node, carriers, endpoint, seed))
    }

    fn of(node: Node, carriers: Vec<Carrier>, endpoint: Endpoint, seed: u64) -> Self {
        Self {
            seed: Seed(seed),
            node,
            carriers,
            endpoint,
            kills: 0,
            sum: Outcome::default(),
            disturbances: None,
            changes: Changes::default(),
        }
    }

    /// Changes the catalog and throttles carriers until [`Self::quiesce`]; `share` is how much of the load is sent.
    pub(crate) fn disturb(&mut self, share: f64) {
        let carriers = self.carriers.iter().take(THROTTLED);
        let carriers = carriers.map(|carrier| carrier.smsc.clone()).collect();
        let per_s = (THROTTLED_PER_S * share).max(THROTTLED_PER_S_MIN) as u32;
        self.disturbances = Some(Disturbances::begin(
            self.node.operator(),
            carriers,
            self.seed,
            per_s,
        ));
    }

    /// Starts the clients of a turn.
    pub(crate) fn send(&self, turn: &Turn<'_>, stop: &CancellationToken) -> Clients {
        turn.begin(&self.node.settings, stop)
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.kills += 1;
        self.node.kill()
    }

    /// Stops the changes of the catalog and the throttling.
    pub(crate) async fn end_disturbances(&mut self) -> anyhow::Result<()> {
        if let Some(disturbances) = self.disturbances.take() {
            self.changes = disturbances.end().await?;
        }
        Ok(())
    }

    /// Stops all faults, and waits until messages, receipts and events have drained.
    pub(crate) async fn quiesce(&mut self, report: &mut Report) -> anyhow::Result<()> {
        self.end_disturbances().await?;
        for carrier in &self.carriers {
            let behaviour = without_faults(carrier.smsc.behaviour());
            carrier.smsc.control(Order::Behave(Box::new(behaviour)))?;
        }
        self.endpoint.sink.behave(sink::Behaviour::default())?;
        let carriers: Vec<&SmscHandle> = self.carriers.iter().map(|carrier| &carrier.smsc).collect();
        let quiescent = await_quiescence(&self.node, &carriers, QUIESCENCE_MAX).await;
        if let Err(error) = &quiescent {
            say(&format!("  {error:#}"));
        }
        report.must("messages, receipts and events drained", quiescent.is_ok());
        Ok(())
    }

    /// Ends all of it.
    pub(crate) async fn stop(mut self, report: &mut Report) -> anyhow::Result<()> {
        report.must("graceful shutdown", self.node.stop().await?);
        for carrier in self.carriers {
            carrier.stop().await?;
        }
        self.endpoint.stop().await
    }

    /// Counts of a part, by its key, over all carriers.
    pub(crate) fn message_counts(&self, key: u64) -> Option<MessageCounts> {
        let counts_by_message = self
            .carriers
            .iter()
            .filter_map(|carrier| carrier.smsc.message_counts(key));
        counts_by_message.reduce(added)
    }

    /// Counts of all parts, over all carriers.
    pub(crate) fn counts_by_message(&self) -> HashMap<u64, MessageCounts> {
        let mut all: HashMap<u64, MessageCounts> = HashMap::new();
        for (key, message_counts) in self
            .carriers
            .iter()
            .flat_map(|carrier| carrier.smsc.counts_by_message())
        {
            all.entry(key)
                .and_modify(|known| *known = added(*known, message_counts))
                .or_insert(message_counts);
        }
        all
    }

    /// What each carrier has of the text to a number.
    pub(crate) fn joined(&self, number: u64) -> Vec<Joined> {
        let carriers = self.carriers.iter();
        carriers
            .filter_map(|carrier| carrier.smsc.joined_of(number))
            .collect()
    }

    /// The carrier with inbound messages.
    pub(crate) fn mo_carrier(&self) -> anyhow::Result<&SmscHandle> {
        let mut plans = CARRIERS.iter().zip(&self.carriers);
        let (_, carrier) = plans
            .find(|(plan, _)| plan.only.is_none())
            .context("there is one")?;
        Ok(&carrier.smsc)
    }
}

fn added(one: MessageCounts, other: MessageCounts) -> MessageCounts {
    MessageCounts {
        submitted: one.submitted.saturating_add(other.submitted),
        taken: one.taken.saturating_add(other.taken),
        acknowledged: one.acknowledged.saturating_add(other.acknowledged),
    }
}
