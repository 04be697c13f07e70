//! What clients were told, against what the carrier got and what the gateway says became of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sim::load::{
    Answer, Demo, Dialect, Standing, Standings, StatusError, Told, Wire, engagelab_messages_to, standings,
};
use sim::smsc::{Joined, Tally};
use tokio::task::JoinSet;

use crate::accounts::{Settings, text_of};
use crate::report::Verdict;

/// Status queries at once.
const QUERIES: usize = 4;

/// How long one status query may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was found, number by number.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) accepted: u64,
    /// Accepted, by the parts of their texts.
    accepted_of: BTreeMap<u8, u64>,
    /// Of these, texts that one carrier can put together, word for word.
    joined_of: BTreeMap<u8, u64>,
    /// Accepted, and the carrier never got it.
    pub(crate) lost: Vec<u64>,
    /// Accepted, and what carriers got of it is not the text: a part is missing, or does not belong to it.
    pub(crate) torn: Vec<u64>,
    /// Refused, and the carrier got it all the same.
    pub(crate) sent_though_refused: Vec<u64>,
    /// Accepted, and the gateway does not know it.
    pub(crate) forgotten: Vec<u64>,
    /// Not final although all is at rest.
    pub(crate) open: Vec<u64>,
    /// The gateway has two messages to a number that is used once.
    pub(crate) accepted_twice: Vec<u64>,
    /// How each message ended that the gateway knows to have ended.
    pub(crate) ended: HashMap<u64, Standing>,
}

/// One request of one client.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) account: u32,
    pub(crate) dialect: Dialect,
    pub(crate) told: Told,
}

impl Asked {
    /// The numbers that the gateway may have accepted: nobody knows of a request without an answer.
    pub(crate) fn possible(&self) -> impl Iterator<Item = u64> {
        let Told {
            first,
            recipients,
            answer,
            ..
        } = &self.told;
        let undecided = if answer.is_none() { *recipients } else { 0 };
        let undecided = (*first..first + undecided).map(sim::load::number);
        self.told.accepted().chain(undecided)
    }
}

/// Asks the gateway about every request that was accepted, several at a time.
pub(crate) async fn ask(
    settings: &Settings,
    asked: &[Asked],
    tallies: &HashMap<u64, Tally>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    ask_by_clocks(settings, &[], asked, tallies, findings).await
}

/// The same of a gateway whose clock was at times so many seconds from the right one.
pub(crate) async fn ask_by_clocks(
    settings: &Settings,
    clock_offsets_s: &[i64],
    asked: &[Asked],
    tallies: &HashMap<u64, Tally>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let accepted = asked
        .iter()
        .filter(|asked| asked.told.accepted().next().is_some());
    let mut shares: Vec<Vec<(Demo, Asked)>> = vec![Vec::new(); QUERIES];
    for (at, asked) in accepted.enumerate() {
        if let Some(share) = shares.get_mut(at % QUERIES) {
            let demo = Demo {
                clock_offsets_s: clock_offsets_s.to_vec(),
                ..settings.demo(asked.account)
            };
            share.push((demo, asked.clone()));
        }
    }
    let twice: HashSet<u64> = tallies
        .iter()
        .filter(|(_, tally)| tally.taken > 1)
        .map(|(key, _)| *key)
        .collect();
    let twice = Arc::new(twice);
    let mut asking = JoinSet::new();
    for share in shares {
        asking.spawn(ask_all(share, Arc::clone(&twice)));
    }
    while let Some(answered) = asking.join_next().await {
        for (told, standings) in answered?? {
            findings.compare_with_gateway(&told, &standings);
        }
    }
    Ok(())
}

async fn ask_all(
    share: Vec<(Demo, Asked)>,
    twice: Arc<HashSet<u64>>,
) -> Result<Vec<(Told, Standings)>, StatusError> {
    let mut wire: Option<Wire> = None;
    let mut answers = Vec::with_capacity(share.len());
    for (demo, asked) in share {
        let Asked { dialect, told, .. } = asked;
        let wire = match wire.take().filter(|wire| !wire.is_closing()) {
            Some(open) => wire.insert(open),
            None => wire.insert(Wire::connect(&demo.base_url, PATIENCE).await?),
        };
        let mut standings = standings(wire, &demo, dialect, &told).await?;
        // A query by message id shows one message; a request that may have been accepted twice is looked for by its
        // number as well.
        let suspicious =
            told.sent > 1 && told.recipients == 1 && told.accepted().any(|number| twice.contains(&number));
        if dialect == Dialect::EngageLab && suspicious {
            standings = engagelab_messages_to(wire, &demo, &told).await?;
        }
        answers.push((told, standings));
    }
    Ok(answers)
}

impl Findings {
    pub(crate) fn compare_with_carrier(&mut self, told: &Told, tallies: &HashMap<u64, Tally>) {
        let taken = |number: &u64| tallies.get(number).map_or(0, |tally| tally.taken);
        let accepted: Vec<u64> = told.accepted().collect();
        self.accepted += accepted.len() as u64;
        self.lost
            .extend(accepted.iter().filter(|number| taken(number) == 0));
        let all = (0..told.recipients).map(|at| sim::load::number(told.first + at));
        match &told.answer {
            Some(Answer::Refused { .. }) => {
                self.sent_though_refused
                    .extend(all.filter(|number| taken(number) > 0));
            }
            Some(_) => {
                let accepted: HashSet<u64> = accepted.into_iter().collect();
                let refused = all.filter(|number| !accepted.contains(number));
                self.sent_though_refused
                    .extend(refused.filter(|number| taken(number) > 0));
            }
            // Nobody was told anything, so either is right.
            None => {}
        }
    }

    /// Compares the texts that the carriers can join with those that were sent. One carrier must have the whole of each, in
    /// as many parts as it has.
    pub(crate) fn compare_texts(&mut self, told: &Told, joined: &dyn Fn(u64) -> Vec<Joined>) {
        let expected = text_of(told.text, told.first);
        let parts = told.text.parts();
        let (mut accepted, mut whole) = (0, 0);
        for number in told.accepted() {
            accepted += 1;
            let carriers = joined(number);
            let is_whole = carriers
                .iter()
                .any(|joined| joined.total == parts && joined.text.as_deref() == Some(&expected));
            let fitting = carriers.iter().all(|joined| joined.unfitting == 0);
            if is_whole && fitting {
                whole += 1;
            } else {
                self.torn.push(number);
            }
        }
        *self.accepted_of.entry(parts).or_default() += accepted;
        *self.joined_of.entry(parts).or_default() += whole;
    }

    /// Messages of so many parts that were accepted.
    pub(crate) fn accepted_of(&self, parts: u8) -> u64 {
        self.accepted_of.get(&parts).copied().unwrap_or_default()
    }

    /// Messages of so many parts that one carrier can put together.
    pub(crate) fn joined_of(&self, parts: u8) -> u64 {
        self.joined_of.get(&parts).copied().unwrap_or_default()
    }

    fn compare_with_gateway(&mut self, told: &Told, standings: &Standings) {
        for number in told.accepted() {
            let standings = standings.get(&number).map_or(&[][..], Vec::as_slice);
            match standings {
                [] => self.forgotten.push(number),
                [Standing::Open] => self.open.push(number),
                [ended] => {
                    self.ended.insert(number, *ended);
                }
                _ => self.accepted_twice.push(number),
            }
        }
    }

    /// How many ended so.
    fn ended(&self, standing: Standing) -> usize {
        self.ended.values().filter(|ended| **ended == standing).count()
    }

    /// How many were delivered.
    pub(crate) fn delivered(&self) -> usize {
        self.ended(Standing::Delivered)
    }

    /// How many failed.
    pub(crate) fn failed(&self) -> usize {
        self.ended(Standing::Failed)
    }

    /// What failed need not have been sent, nor be whole: it counts as little as what was refused. Neither need what ended as
    /// unknown, for which some vendors have no word of its own.
    pub(crate) fn forgive_failed(&mut self, is_unknown: &dyn Fn(u64) -> bool) {
        self.open.retain(|number| !is_unknown(*number));
        let ended = &self.ended;
        let failed = |number: &u64| ended.get(number) == Some(&Standing::Failed) || is_unknown(*number);
        let torn = self.torn.len();
        self.lost.retain(|number| !failed(number));
        self.torn.retain(|number| !failed(number));
        self.accepted -= (torn - self.torn.len()) as u64;
    }

    /// Holds all of it against what must not be.
    pub(crate) fn judge(&self, verdict: &mut Verdict) {
        let joined: u64 = self.joined_of.values().sum();
        verdict.equal(
            "accepted texts that a carrier has word for word",
            joined,
            self.accepted,
        );
        for (what, numbers) in [
            ("accepted recipients lost", &self.lost),
            ("accepted texts that no carrier can put together", &self.torn),
            ("recipients sent though refused", &self.sent_though_refused),
            ("accepted recipients the gateway does not know", &self.forgotten),
            ("messages that are stuck: not final", &self.open),
            ("request ids accepted twice", &self.accepted_twice),
        ] {
            verdict.none_of(what, numbers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim::load::{Text, number};

    fn told(first: u64, answer: Option<Answer>) -> Told {
        Told {
            request_id: "r".into(),
            text: Text::Long(2),
            first,
            recipients: 2,
            sent: 1,
            due_unix_ms: 0,
            answer,
            answered_at: None,
        }
    }

    fn accepted(refused: Vec<u64>) -> Option<Answer> {
        Some(Answer::Accepted {
            reference: "x".into(),
            refused,
        })
    }

    #[test]
    fn what_is_lost_or_sent_though_refused_is_found() {
        let taken = Tally {
            submitted: 1,
            taken: 1,
            acknowledged: 0,
        };
        let refused = Tally {
            submitted: 3,
            taken: 0,
            acknowledged: 0,
        };
        let tallies: HashMap<u64, Tally> = [
            (number(0), taken),
            (number(1), refused),
            (number(11), taken),
            (number(20), taken),
        ]
        .into();
        let mut findings = Findings::default();
        findings.compare_with_carrier(&told(0, accepted(vec![])), &tallies);
        findings.compare_with_carrier(&told(10, accepted(vec![1])), &tallies);
        findings.compare_with_carrier(&told(20, Some(Answer::Refused { why: "no".into() })), &tallies);
        findings.compare_with_carrier(&told(20, None), &tallies);
        assert_eq!(findings.accepted, 3);
        assert_eq!(findings.lost, [number(1), number(10)]);
        assert_eq!(findings.sent_though_refused, [number(11), number(20)]);
    }

    #[test]
    fn a_text_must_be_whole_at_one_carrier_and_fit() {
        let whole = Joined {
            total: 2,
            missing: 0,
            repeated: 0,
            unfitting: 0,
            text: Some(text_of(Text::Long(2), 0)),
        };
        let half = Joined {
            missing: 1,
            text: None,
            ..whole.clone()
        };
        let unfitting = Joined {
            unfitting: 1,
            ..half.clone()
        };
        let other = Joined {
            text: Some(text_of(Text::Long(2), 1)),
            ..whole.clone()
        };
        let in_three = Joined {
            total: 3,
            ..whole.clone()
        };
        for (carriers, joins) in [
            (vec![whole.clone()], true),
            (vec![half.clone(), whole.clone()], true),
            (vec![], false),
            (vec![half.clone()], false),
            (vec![half.clone(), half], false),
            (vec![unfitting, whole], false),
            (vec![other], false),
            (vec![in_three], false),
        ] {
            let mut findings = Findings::default();
            findings.compare_texts(&told(0, accepted(vec![1])), &|_| carriers.clone());
            assert_eq!(
                (findings.torn.is_empty(), findings.joined_of(2)),
                (joins, u64::from(joins)),
                "{carriers:?}"
            );
            assert_eq!(findings.accepted_of(2), 1);
        }
    }

    #[test]
    fn what_the_gateway_forgot_left_open_or_has_twice_is_found() {
        let mut findings = Findings::default();
        let standings: Standings = [
            (number(0), vec![Standing::Delivered, Standing::Failed]),
            (number(10), vec![Standing::Open]),
            (number(11), vec![Standing::Failed]),
        ]
        .into();
        findings.compare_with_gateway(&told(0, accepted(vec![])), &standings);
        findings.compare_with_gateway(&told(10, accepted(vec![])), &standings);
        assert_eq!(
            (&findings.accepted_twice, &findings.forgotten),
            (&vec![number(0)], &vec![number(1)])
        );
        assert_eq!(
            (
                findings.ended(Standing::Failed),
                findings.ended(Standing::Delivered),
                findings.open
            ),
            (1, 0, vec![number(10)])
        );
    }
}
