//! Compares the answers that clients got with what carriers received and with the status that the gateway reports.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sim::load::{
    Answer, Demo, Dialect, RequestResult, Standing, Standings, StatusError, Wire, engagelab_messages_to,
    standings,
};
use sim::smsc::{Joined, MessageCounts};
use tokio::task::JoinSet;

use crate::accounts::{Settings, text_of};
use crate::report::Report;

/// Status queries at once.
const QUERIES: usize = 4;

/// How long one status query may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Differences, number by number.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) accepted: u64,
    /// Accepted, by the parts of their texts.
    accepted_of: BTreeMap<u8, u64>,
    /// Of these, texts that one carrier can reassemble word for word.
    joined_of: BTreeMap<u8, u64>,
    /// Accepted, and no carrier received it.
    pub(crate) lost: Vec<u64>,
    /// Accepted, and the parts that carriers received are not the text: one is missing, or does not belong to it.
    pub(crate) torn: Vec<u64>,
    /// Refused, and a carrier received it all the same.
    pub(crate) sent_though_refused: Vec<u64>,
    /// Accepted, and a status query does not find it.
    pub(crate) not_found: Vec<u64>,
    /// Not final although nothing is on its way any more.
    pub(crate) open: Vec<u64>,
    /// The gateway has two messages to a number that is used once.
    pub(crate) accepted_twice: Vec<u64>,
    /// How each message ended that the gateway knows to have ended.
    pub(crate) ended: HashMap<u64, Standing>,
}

/// One request of one client.
#[derive(Clone, Debug)]
pub(crate) struct ClientRequest {
    pub(crate) account: u32,
    pub(crate) dialect: Dialect,
    pub(crate) result: RequestResult,
}

impl ClientRequest {
    /// The numbers that the gateway may have accepted: a request without an answer may have been accepted.
    pub(crate) fn possible(&self) -> impl Iterator<Item = u64> {
        let RequestResult {
            first,
            recipients,
            answer,
            ..
        } = &self.result;
        let undecided = if answer.is_none() { *recipients } else { 0 };
        let undecided = (*first..first + undecided).map(sim::load::number);
        self.result.accepted().chain(undecided)
    }
}

/// Queries the status of every accepted request, several at a time.
pub(crate) async fn query_status(
    settings: &Settings,
    requests: &[ClientRequest],
    counts_by_message: &HashMap<u64, MessageCounts>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    query_status_by_clocks(settings, &[], requests, counts_by_message, findings).await
}

/// The same of a gateway whose clock was at times so many seconds from the right one.
pub(crate) async fn query_status_by_clocks(
    settings: &Settings,
    clock_offsets_s: &[i64],
    requests: &[ClientRequest],
    counts_by_message: &HashMap<u64, MessageCounts>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let accepted = requests
        .iter()
        .filter(|request| request.result.accepted().next().is_some());
    let mut shares: Vec<Vec<(Demo, ClientRequest)>> = vec![Vec::new(); QUERIES];
    for (at, request) in accepted.enumerate() {
        if let Some(share) = shares.get_mut(at % QUERIES) {
            let demo = Demo {
                clock_offsets_s: clock_offsets_s.to_vec(),
                ..settings.demo(request.account)
            };
            share.push((demo, request.clone()));
        }
    }
    let twice: HashSet<u64> = counts_by_message
        .iter()
        .filter(|(_, message_counts)| message_counts.taken > 1)
        .map(|(key, _)| *key)
        .collect();
    let twice = Arc::new(twice);
    let mut queries = JoinSet::new();
    for share in shares {
        queries.spawn(query_all(share, Arc::clone(&twice)));
    }
    while let Some(answered) = queries.join_next().await {
        for (result, standings) in answered?? {
            findings.compare_with_gateway(&result, &standings);
        }
    }
    Ok(())
}

async fn query_all(
    share: Vec<(Demo, ClientRequest)>,
    twice: Arc<HashSet<u64>>,
) -> Result<Vec<(RequestResult, Standings)>, StatusError> {
    let mut wire: Option<Wire> = None;
    let mut answers = Vec::with_capacity(share.len());
    for (demo, request) in share {
        let ClientRequest { dialect, result, .. } = request;
        let wire = match wire.take().filter(|wire| !wire.is_closing()) {
            Some(open) => wire.insert(open),
            None => wire.insert(Wire::connect(&demo.base_url, TIMEOUT).await?),
        };
        let mut standings = standings(wire, &demo, dialect, &result).await?;
        // A query by message id shows one message; a request that may have been accepted twice is looked for by its
        // number as well.
        let suspicious = result.sent > 1
            && result.recipients == 1
            && result.accepted().any(|number| twice.contains(&number));
        if dialect == Dialect::EngageLab && suspicious {
            standings = engagelab_messages_to(wire, &demo, &result).await?;
        }
        answers.push((result, standings));
    }
    Ok(answers)
}

impl Findings {
    pub(crate) fn compare_with_carrier(
        &mut self,
        result: &RequestResult,
        counts_by_message: &HashMap<u64, MessageCounts>,
    ) {
        let taken = |number: &u64| {
            counts_by_message
                .get(number)
                .map_or(0, |message_counts| message_counts.taken)
        };
        let accepted: Vec<u64> = result.accepted().collect();
        self.accepted += accepted.len() as u64;
        self.lost
            .extend(accepted.iter().filter(|number| taken(number) == 0));
        let all = (0..result.recipients).map(|at| sim::load::number(result.first + at));
        match &result.answer {
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
            // Without an answer either is right.
            None => {}
        }
    }

    /// Compares the texts that the carriers can join with those that were sent. One carrier must have the whole of each, in
    /// as many parts as it has.
    pub(crate) fn compare_texts(&mut self, result: &RequestResult, joined: &dyn Fn(u64) -> Vec<Joined>) {
        let expected = text_of(result.text, result.first);
        let parts = result.text.parts();
        let (mut accepted, mut whole) = (0, 0);
        for number in result.accepted() {
            accepted += 1;
            let carriers = joined(number);
            let is_whole = carriers
                .iter()
                .any(|joined| joined.total == parts && joined.text.as_deref() == Some(&expected));
            let fitting = carriers.iter().all(|joined| joined.mismatched == 0);
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

    /// Messages of so many parts that one carrier can reassemble.
    pub(crate) fn joined_of(&self, parts: u8) -> u64 {
        self.joined_of.get(&parts).copied().unwrap_or_default()
    }

    fn compare_with_gateway(&mut self, result: &RequestResult, standings: &Standings) {
        for number in result.accepted() {
            let standings = standings.get(&number).map_or(&[][..], Vec::as_slice);
            match standings {
                [] => self.not_found.push(number),
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

    /// Removes failed messages, which need not have been sent nor be whole, and those that ended as unknown, for which some
    /// vendors have no status of its own.
    pub(crate) fn forgive_failed(&mut self, is_unknown: &dyn Fn(u64) -> bool) {
        self.open.retain(|number| !is_unknown(*number));
        let ended = &self.ended;
        let failed = |number: &u64| ended.get(number) == Some(&Standing::Failed) || is_unknown(*number);
        let torn = self.torn.len();
        self.lost.retain(|number| !failed(number));
        self.torn.retain(|number| !failed(number));
        self.accepted -= (torn - self.torn.len()) as u64;
    }

    /// Adds the checks to the report.
    pub(crate) fn check(&self, report: &mut Report) {
        let joined: u64 = self.joined_of.values().sum();
        report.equal("accepted texts reassembled word for word", joined, self.accepted);
        for (what, numbers) in [
            ("accepted recipients lost", &self.lost),
            ("accepted texts that no carrier can reassemble", &self.torn),
            (
                "refused recipients that a carrier received",
                &self.sent_though_refused,
            ),
            ("accepted recipients unknown to the gateway", &self.not_found),
            ("messages not final", &self.open),
            ("request ids accepted twice", &self.accepted_twice),
        ] {
            report.none_of(what, numbers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim::load::{Text, number};

    fn result(first: u64, answer: Option<Answer>) -> RequestResult {
        RequestResult {
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
        let taken = MessageCounts {
            submitted: 1,
            taken: 1,
            acknowledged: 0,
        };
        let refused = MessageCounts {
            submitted: 3,
            taken: 0,
            acknowledged: 0,
        };
        let counts_by_message: HashMap<u64, MessageCounts> = [
            (number(0), taken),
            (number(1), refused),
            (number(11), taken),
            (number(20), taken),
        ]
        .into();
        let mut findings = Findings::default();
        findings.compare_with_carrier(&result(0, accepted(vec![])), &counts_by_message);
        findings.compare_with_carrier(&result(10, accepted(vec![1])), &counts_by_message);
        findings.compare_with_carrier(
            &result(20, Some(Answer::Refused { why: "no".into() })),
            &counts_by_message,
        );
        findings.compare_with_carrier(&result(20, None), &counts_by_message);
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
            mismatched: 0,
            text: Some(text_of(Text::Long(2), 0)),
        };
        let half = Joined {
            missing: 1,
            text: None,
            ..whole.clone()
        };
        let mismatched = Joined {
            mismatched: 1,
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
            (vec![mismatched, whole], false),
            (vec![other], false),
            (vec![in_three], false),
        ] {
            let mut findings = Findings::default();
            findings.compare_texts(&result(0, accepted(vec![1])), &|_| carriers.clone());
            assert_eq!(
                (findings.torn.is_empty(), findings.joined_of(2)),
                (joins, u64::from(joins)),
                "{carriers:?}"
            );
            assert_eq!(findings.accepted_of(2), 1);
        }
    }

    #[test]
    fn messages_missing_open_or_doubled_at_the_gateway_are_found() {
        let mut findings = Findings::default();
        let standings: Standings = [
            (number(0), vec![Standing::Delivered, Standing::Failed]),
            (number(10), vec![Standing::Open]),
            (number(11), vec![Standing::Failed]),
        ]
        .into();
        findings.compare_with_gateway(&result(0, accepted(vec![])), &standings);
        findings.compare_with_gateway(&result(10, accepted(vec![])), &standings);
        assert_eq!(
            (&findings.accepted_twice, &findings.not_found),
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
