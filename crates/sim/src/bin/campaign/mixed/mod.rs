//! Mixed traffic: a third of it long messages, over carriers of different windows and habits that refuse parts at random,
//! while the catalog changes and two of them throttle in turn. What all campaigns of it share: the scene, and the
//! comparison of what clients were told with what carriers, accounts and the gateway say.

mod carriers;
mod oracle;
mod unrest;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use sim::load::Outcome;
use sim::seed::Seed;
use sim::sink::{self, SinkConfig};
use sim::smsc::{Joined, Order, Past, SmscHandle, Tally};
use tokio_util::sync::CancellationToken;

pub(crate) use self::carriers::{CARRIERS, CarrierPlan, Day};
use self::carriers::{THROTTLED, THROTTLED_PER_S, calm};
pub(crate) use self::oracle::twice;
use self::unrest::{Changes, Unrest};
use crate::accounts::{SYSTEM_ID, Settings, WebhookEntry};
use crate::beside::{Carrier, Endpoint, free_address};
use crate::clients::{ACCOUNTS, Clients, Turn};
use crate::folder::Folder;
use crate::node::{Environment, Node};
use crate::report::Verdict;
use crate::rest::rest;
use crate::{Common, say};

/// How long everything may take to come to rest.
const REST_MAX: Duration = Duration::from_secs(300);

/// Throttled less than this a carrier would hardly send anything.
const THROTTLED_PER_S_MIN: f64 = 20.0;

/// Starts all of [`CARRIERS`].
fn carriers_at(
    seed: u64,
    day: &Day,
    addresses: [SocketAddr; CARRIERS.len()],
) -> anyhow::Result<Vec<Carrier>> {
    let plans = CARRIERS.iter().zip(addresses);
    plans
        .map(|(plan, address)| plan.start(seed, day, address))
        .collect()
}

fn endpoint_at(seed: u64, day: &Day, address: SocketAddr) -> anyhow::Result<Endpoint> {
    let config = SinkConfig {
        seed: seed.max(1),
        count_by: sink::CountBy::Recipient,
        behaviour: toml::from_str(day.endpoint)?,
        ..SinkConfig::default()
    };
    Endpoint::start_at(config, address)
}

/// Everything that takes part.
pub(crate) struct Mixed {
    pub(crate) seed: Seed,
    pub(crate) node: Node,
    /// As in [`CARRIERS`].
    pub(crate) carriers: Vec<Carrier>,
    pub(crate) endpoint: Endpoint,
    /// How often the program was killed.
    pub(crate) kills: u64,
    /// What clients were told, in sums.
    pub(crate) sum: Outcome,
    unrest: Option<Unrest>,
    changes: Changes,
}

impl Mixed {
    /// Starts all of it, and waits until all sessions are up.
    pub(crate) async fn start(
        common: &Common,
        seed: u64,
        day: &Day,
        folder: &Folder,
    ) -> anyhow::Result<Self> {
        Self::start_in(
            folder.path(),
            Environment::new(),
            common.settings()?,
            common,
            seed,
            day,
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
        day: &Day,
    ) -> anyhow::Result<Self> {
        let mut addresses = [free_address()?; CARRIERS.len()];
        for address in &mut addresses {
            *address = free_address()?;
        }
        let carriers = carriers_at(seed, day, addresses)?;
        let endpoint = endpoint_at(seed, day, free_address()?)?;
        let webhook = |account: u32| WebhookEntry {
            account,
            url: endpoint.sink.url(),
            // Not all want to know what carriers take.
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

    /// Starts a node that has a store already, where `endpoint` and the carriers of its settings were; what the carriers
    /// remember is `pasts`.
    pub(crate) async fn resume(
        mut node: Node,
        endpoint: SocketAddr,
        pasts: &[Past],
        seed: u64,
        day: &Day,
    ) -> anyhow::Result<Self> {
        let mut addresses = [endpoint; CARRIERS.len()];
        for (address, carrier) in addresses.iter_mut().zip(&node.settings.carriers) {
            *address = carrier.address;
        }
        let carriers = carriers_at(seed, day, addresses)?;
        for (carrier, past) in carriers.iter().zip(pasts) {
            carrier.smsc.take_over(past, SYSTEM_ID);
        }
        let endpoint = endpoint_at(seed, day, endpoint)?;
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
            unrest: None,
            changes: Changes::default(),
        }
    }

    /// Lets the catalog change and carriers throttle until [`Self::calm`]; `share` is how much of the load is sent.
    pub(crate) fn disturb(&mut self, share: f64) {
        let carriers = self.carriers.iter().take(THROTTLED);
        let carriers = carriers.map(|carrier| carrier.smsc.clone()).collect();
        let per_s = (THROTTLED_PER_S * share).max(THROTTLED_PER_S_MIN) as u32;
        self.unrest = Some(Unrest::begin(self.node.operator(), carriers, self.seed, per_s));
    }

    /// Lets the clients of a turn begin.
    pub(crate) fn send(&self, turn: &Turn<'_>, stop: &CancellationToken) -> Clients {
        turn.begin(&self.node.settings, stop)
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.kills += 1;
        self.node.kill()
    }

    /// Lets the catalog and the carriers' limits be.
    pub(crate) async fn end_unrest(&mut self) -> anyhow::Result<()> {
        if let Some(unrest) = self.unrest.take() {
            self.changes = unrest.end().await?;
        }
        Ok(())
    }

    /// Lets all faults come to an end, and waits until nothing is on its way any more. What does not come to rest is stuck.
    pub(crate) async fn calm(&mut self, verdict: &mut Verdict) -> anyhow::Result<()> {
        self.end_unrest().await?;
        for carrier in &self.carriers {
            let behaviour = calm(carrier.smsc.behaviour());
            carrier.smsc.control(Order::Behave(Box::new(behaviour)))?;
        }
        self.endpoint.sink.behave(sink::Behaviour::default())?;
        let carriers: Vec<&SmscHandle> = self.carriers.iter().map(|carrier| &carrier.smsc).collect();
        let came_to_rest = rest(&self.node, &carriers, REST_MAX).await;
        if let Err(error) = &came_to_rest {
            say(&format!("  {error:#}"));
        }
        verdict.must("everything came to rest", came_to_rest.is_ok());
        Ok(())
    }

    /// Ends all of it.
    pub(crate) async fn stop(mut self, verdict: &mut Verdict) -> anyhow::Result<()> {
        verdict.must("stops in good order", self.node.stop().await?);
        for carrier in self.carriers {
            carrier.stop().await?;
        }
        self.endpoint.stop().await
    }

    /// What became of a part, by its key, over all carriers.
    pub(crate) fn tally(&self, key: u64) -> Option<Tally> {
        let tallies = self.carriers.iter().filter_map(|carrier| carrier.smsc.tally(key));
        tallies.reduce(added)
    }

    /// What became of all parts, over all carriers.
    pub(crate) fn tallies(&self) -> HashMap<u64, Tally> {
        let mut all: HashMap<u64, Tally> = HashMap::new();
        for (key, tally) in self.carriers.iter().flat_map(|carrier| carrier.smsc.tallies()) {
            all.entry(key)
                .and_modify(|known| *known = added(*known, tally))
                .or_insert(tally);
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

    /// The carrier over which people write.
    pub(crate) fn people(&self) -> anyhow::Result<&SmscHandle> {
        let mut plans = CARRIERS.iter().zip(&self.carriers);
        let (_, carrier) = plans
            .find(|(plan, _)| plan.only.is_none())
            .context("there is one")?;
        Ok(&carrier.smsc)
    }
}

fn added(one: Tally, other: Tally) -> Tally {
    Tally {
        submitted: one.submitted.saturating_add(other.submitted),
        taken: one.taken.saturating_add(other.taken),
        acknowledged: one.acknowledged.saturating_add(other.acknowledged),
    }
}
