//! The clients of a campaign: several wires, classes and accounts at once.

use std::ops::Range;
use std::time::Duration;

use anyhow::Context;
use sim::load::{Dialect, Load, Outcome, Text};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::accounts::Settings;
use crate::compare::ClientRequest;

/// Accounts that [`PARTS`] send for.
pub(crate) const ACCOUNTS: u32 = 4;

/// What one kind of client sends.
#[derive(Clone, Copy, Debug)]
enum Sends {
    /// Always the same.
    One(Text),
    /// Texts of all the parts there are, in either alphabet, drawn.
    Long,
    /// Of these, texts of at most 500 characters: some vendors take no longer ones.
    Long500,
}

impl Sends {
    fn texts(self) -> Vec<Text> {
        let (long, unicode) = match self {
            Self::One(text) => return vec![text],
            Self::Long => (Text::PARTS, Text::PARTS),
            Self::Long500 => (2..=3, 2..=7),
        };
        long.map(Text::Long).chain(unicode.map(Text::Unicode)).collect()
    }
}

/// One kind of client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    dialect: Dialect,
    sends: Sends,
    recipients: u64,
    connections: usize,
    per_s: f64,
    account: u32,
}

/// All kinds there are. A third of the messages are long.
pub(crate) const PARTS: [Part; 11] = [
    Part {
        dialect: Dialect::EngageLab,
        sends: Sends::One(Text::Code),
        recipients: 1,
        connections: 8,
        per_s: 200.0,
        account: 0,
    },
    Part {
        dialect: Dialect::UspeedoRest,
        sends: Sends::One(Text::Notice),
        recipients: 100,
        connections: 2,
        per_s: 2.0,
        account: 1,
    },
    Part {
        dialect: Dialect::SendCloud,
        sends: Sends::One(Text::Plain),
        recipients: 20,
        connections: 2,
        per_s: 10.0,
        account: 2,
    },
    Part {
        dialect: Dialect::UspeedoAction,
        sends: Sends::One(Text::Code),
        recipients: 1,
        connections: 4,
        per_s: 100.0,
        account: 2,
    },
    Part {
        dialect: Dialect::EngageLab,
        sends: Sends::One(Text::Plain),
        recipients: 10,
        connections: 2,
        per_s: 10.0,
        account: 1,
    },
    Part {
        dialect: Dialect::UspeedoRest,
        sends: Sends::Long500,
        recipients: 10,
        connections: 2,
        per_s: 8.0,
        account: 1,
    },
    Part {
        dialect: Dialect::EngageLab,
        sends: Sends::Long,
        recipients: 5,
        connections: 2,
        per_s: 14.0,
        account: 1,
    },
    Part {
        dialect: Dialect::SendCloud,
        sends: Sends::Long500,
        recipients: 10,
        connections: 2,
        per_s: 10.0,
        account: 2,
    },
    Part {
        dialect: Dialect::EngageLab,
        sends: Sends::Long,
        recipients: 5,
        connections: 2,
        per_s: 29.0,
        account: 0,
    },
    // Few, because they go over a window of one.
    Part {
        dialect: Dialect::EngageLab,
        sends: Sends::Long,
        recipients: 1,
        connections: 1,
        per_s: 4.0,
        account: 3,
    },
    Part {
        dialect: Dialect::EngageLab,
        sends: Sends::One(Text::Code),
        recipients: 1,
        connections: 1,
        per_s: 4.0,
        account: 3,
    },
];

/// Recipients a second of all parts together.
pub(crate) fn recipients_per_s() -> f64 {
    PARTS.iter().map(|part| part.per_s * part.recipients as f64).sum()
}

/// Parts on the wire that they come to, a second.
pub(crate) fn parts_per_s() -> f64 {
    let parts = |part: &Part| {
        let texts = part.sends.texts();
        let parts: f64 = texts.iter().map(|text| f64::from(text.parts())).sum();
        part.per_s * part.recipients as f64 * parts / texts.len() as f64
    };
    PARTS.iter().map(parts).sum()
}

/// One turn of all clients.
#[derive(Clone, Debug)]
pub(crate) struct Turn<'a> {
    /// Beginning of request ids.
    pub(crate) name: &'a str,
    /// Which one; each turn has numbers of its own.
    pub(crate) number: u64,
    /// Recipients that one part of a turn may have at most.
    pub(crate) numbers_a_part: u64,
    /// How much is sent, of what [`PARTS`] say.
    pub(crate) share: f64,
    pub(crate) time_max: Duration,
    pub(crate) answer_timeout: Duration,
    pub(crate) seed: u64,
}

/// Clients at work.
pub(crate) type Clients = JoinSet<(Part, Option<Outcome>)>;

impl Turn<'_> {
    /// Lets all clients begin; they end when `stop` is cancelled or the time is over, and each has its answers.
    pub(crate) fn begin(&self, settings: &Settings, stop: &CancellationToken) -> Clients {
        let mut clients = JoinSet::new();
        for (at, part) in PARTS.iter().enumerate() {
            let load = self.load(settings, at as u64, part);
            let (part, stop) = (*part, stop.clone());
            clients.spawn(async move { (part, sim::load::run(load, stop).await) });
        }
        clients
    }

    /// What the ids of the requests of one kind of client begin with.
    pub(crate) fn prefix(&self, part: usize) -> String {
        format!("{}-", self.load_name(part as u64))
    }

    fn load_name(&self, at: u64) -> String {
        format!("{}-{}", self.name, self.number * PARTS.len() as u64 + at)
    }

    /// Some requests of one kind of client again, as they were, one after the other; `None` beyond the last kind.
    pub(crate) fn again(&self, settings: &Settings, part: usize, requests: Range<u64>) -> Option<Load> {
        Some(Load {
            connections: 1,
            requests_skipped: requests.start,
            requests_max: requests.end,
            per_s: None,
            repeat_share: 0.0,
            ..self.load(settings, part as u64, PARTS.get(part)?)
        })
    }

    fn load(&self, settings: &Settings, at: u64, part: &Part) -> Load {
        let place = self.number * PARTS.len() as u64 + at;
        Load {
            texts: part.sends.texts(),
            recipients: part.recipients,
            connections: part.connections,
            requests_max: self.numbers_a_part / part.recipients,
            time_max: self.time_max,
            per_s: Some(part.per_s * self.share),
            first: place * self.numbers_a_part,
            name: self.load_name(at),
            repeat_share: 0.05,
            seed: self.seed ^ place,
            persistent: true,
            remembers: true,
            answer_timeout: self.answer_timeout,
            ..Load::new(settings.demo(part.account), part.dialect)
        }
    }
}

/// Waits for all clients of a turn, and adds their results.
pub(crate) async fn gather(
    mut clients: Clients,
    requests: &mut Vec<ClientRequest>,
    sum: &mut Outcome,
) -> anyhow::Result<()> {
    while let Some(client) = clients.join_next().await {
        let (part, outcome) = client?;
        let mut outcome = outcome.context("the catalog lacks a template")?;
        requests.extend(outcome.results.drain(..).map(|result| ClientRequest {
            account: part.account,
            dialect: part.dialect,
            result,
        }));
        sum.add(outcome);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::text_of;

    #[test]
    fn a_third_is_long() {
        let long = PARTS.iter().filter(|part| !matches!(part.sends, Sends::One(_)));
        let long: f64 = long.map(|part| part.per_s * part.recipients as f64).sum();
        let share = long / recipients_per_s();
        assert!((0.32..=0.35).contains(&share), "{share}");
        assert!(parts_per_s() > 2.0 * recipients_per_s());
        for parts in Text::PARTS {
            let of = |texts: Vec<Text>| texts.into_iter().filter(|text| text.parts() == parts).count();
            assert_eq!(of(Sends::Long.texts()), 2, "{parts}");
        }
        for text in Sends::Long500.texts() {
            let characters = text_of(text, 0).chars().count();
            assert!((100..=500).contains(&characters), "{text:?}: {characters}");
        }
    }
}
