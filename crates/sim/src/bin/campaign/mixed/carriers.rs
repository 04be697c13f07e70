//! The carriers of mixed traffic, and the faults that they inject.

use std::net::SocketAddr;

use sim::seed::hash;
use sim::smsc::{Behaviour, CountBy, MoGenerator, SmscConfig, Span};

use crate::accounts::{CarrierEntry, inbound_number};
use crate::beside::Carrier;
use crate::clients::ACCOUNTS;

/// One of the carriers.
pub(crate) struct CarrierPlan {
    pub(crate) name: &'static str,
    pub(crate) binds: u64,
    pub(crate) window_max: u64,
    /// The account whose messages it gets first; `None`: those of all others.
    pub(crate) only: Option<u32>,
    /// Carriers that get its messages while it is away.
    then: &'static [&'static str],
    /// Settings in the catalog.
    settings: &'static str,
    /// How it writes ids, in the simulator's settings.
    ids: &'static str,
    /// The same, as shown in the table.
    pub(super) ids_in_words: &'static str,
    pub(super) linking: &'static str,
    /// One receipt for a whole message instead of one for each part.
    pub(crate) for_whole: bool,
}

/// Windows, notations of ids, links between parts and ways to report differ.
pub(crate) const CARRIERS: [CarrierPlan; 3] = [
    CarrierPlan {
        name: "north",
        binds: 2,
        window_max: 50,
        only: None,
        then: &["south"],
        settings: "",
        ids: "",
        ids_in_words: "decimal",
        linking: "udh16",
        for_whole: false,
    },
    CarrierPlan {
        name: "south",
        binds: 2,
        window_max: 10,
        only: Some(1),
        then: &["north"],
        settings: "id_notation = \"hex_submit_decimal_receipt\"\nreceipt_for = \"message\"\nlinking = \"sar\"",
        ids: "answer = { notation = \"hex\" }\nreceipt = { notation = \"decimal\", width = 10 }",
        ids_in_words: "hex, decimal in receipts",
        linking: "sar",
        for_whole: true,
    },
    CarrierPlan {
        name: "narrow",
        binds: 1,
        window_max: 1,
        only: Some(3),
        then: &["north"],
        settings: "linking = \"udh8\"",
        ids: "answer = { notation = \"hex_upper\" }\nreceipt = { notation = \"hex\" }",
        ids_in_words: "HEX, hex in receipts",
        linking: "udh8",
        for_whole: false,
    },
];

/// Of [`CARRIERS`], the first so many are throttled in turn.
pub(crate) const THROTTLED: usize = 2;

/// Messages a second and bind that a throttled carrier takes when all clients send.
pub(super) const THROTTLED_PER_S: f64 = 250.0;

/// Faults of carriers and endpoint, and the rate of inbound messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    /// What all carriers do, in the simulator's settings.
    pub(crate) carriers: &'static str,
    /// What the endpoint does, in the sink's settings.
    pub(crate) endpoint: &'static str,
    /// Inbound messages a second.
    pub(crate) mo_per_s: f64,
}

impl CarrierPlan {
    pub(super) fn start(&self, seed: u64, profile: &Profile, address: SocketAddr) -> anyhow::Result<Carrier> {
        let mut behaviour: Behaviour = toml::from_str(profile.carriers)?;
        behaviour.receipts.for_whole = self.for_whole;
        // Inbound messages come over one of them.
        if self.only.is_none() {
            behaviour.mo_generator = mo_generator(profile.mo_per_s);
        }
        let config = SmscConfig {
            seed: hash(self.name.as_bytes()) ^ seed.max(1),
            count_by: CountBy::DestinationAndPart,
            kept_max: 0,
            ids: toml::from_str(self.ids)?,
            behaviour,
            ..SmscConfig::default()
        };
        Carrier::start_at(config, address)
    }

    pub(super) fn entry(&self, carrier: &Carrier) -> CarrierEntry {
        CarrierEntry {
            name: self.name,
            address: carrier.address(),
            binds: self.binds,
            window_max: self.window_max,
            only: self.only,
            then: self.then,
            more: self.settings,
        }
    }

    /// Parts that may be taken twice when so many of its sessions were lost: those that had no answer.
    pub(crate) const fn twice_max(&self, sessions_lost: u64) -> u64 {
        sessions_lost * self.window_max
    }
}

/// Inbound messages at a rate.
fn mo_generator(per_s: f64) -> MoGenerator {
    MoGenerator {
        per_s,
        to: (0..ACCOUNTS).map(inbound_number).collect(),
        parts: Span { min: 1, max: 3 },
        unicode_share: 0.2,
        repeat_share: 0.05,
        ..MoGenerator::default()
    }
}

/// The behaviour without anything that makes messages wait: no faults, limits and inbound messages; what it does to messages
/// and receipts stays.
pub(super) fn without_faults(mut behaviour: Behaviour) -> Behaviour {
    behaviour.binds.refused_share = 0.0;
    behaviour.faults.disconnect_after = Span::default();
    behaviour.faults.garbage_after = Span::default();
    behaviour.limits.rate_per_s_max = 0;
    behaviour.mo_generator.per_s = 0.0;
    behaviour
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carriers_differ_in_all_that_matters() {
        let mut windows = CARRIERS.map(|plan| plan.window_max);
        windows.sort_unstable();
        assert_eq!(windows, [1, 10, 50]);
        assert!(CARRIERS.iter().any(|plan| plan.for_whole) && CARRIERS.iter().any(|plan| !plan.for_whole));
        for (at, plan) in CARRIERS.iter().enumerate() {
            let others = || CARRIERS.iter().enumerate().filter(|(other, _)| *other != at);
            assert!(others().all(|(_, other)| other.ids != plan.ids && other.linking != plan.linking));
            assert!(!plan.then.is_empty() && plan.then.iter().all(|then| *then != plan.name));
            assert_eq!(plan.settings.contains("receipt_for"), plan.for_whole);
        }
        assert!(THROTTLED < CARRIERS.len());
    }
}
