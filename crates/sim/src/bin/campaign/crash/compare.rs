//! What clients were told, against what the carrier got and what the gateway says became of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sim::load::{
    Answer, Demo, Dialect, Standing, Standings, StatusError, Told, Wire, engagelab_messages_to, standings,
};
use sim::smsc::Tally;
use tokio::task::JoinSet;

use super::{Campaign, CrashArgs};
use crate::report::Verdict;
use crate::say;

/// Status queries at once.
const QUERIES: usize = 4;

/// How long one status query may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Numbers shown for each kind of violation.
const SHOWN_MAX: usize = 5;

/// What was found, number by number.
#[derive(Default)]
struct Findings {
    accepted: u64,
    /// Accepted, and the carrier never got it.
    lost: Vec<u64>,
    /// Refused, and the carrier got it all the same.
    sent_though_refused: Vec<u64>,
    /// Accepted, and the gateway does not know it.
    forgotten: Vec<u64>,
    /// Not final although all is at rest.
    open: Vec<u64>,
    /// The gateway has two messages to a number that is used once.
    accepted_twice: Vec<u64>,
    delivered: u64,
    failed: u64,
}

impl Campaign {
    pub(super) async fn compare(&self, args: &CrashArgs, verdict: &mut Verdict) -> anyhow::Result<()> {
        let smsc = &self.carrier.smsc;
        let tallies: HashMap<u64, Tally> = smsc.tallies().into_iter().collect();
        let mut findings = Findings::default();
        for (_, _, told) in &self.told {
            findings.compare_with_carrier(told, &tallies);
        }
        self.ask(&tallies, &mut findings).await?;
        let counts = smsc.counts();
        let (sum, twice) = (&self.sum, findings.accepted_twice.len() as u64);
        say("what clients were told");
        verdict.figure("requests answered", sum.answered);
        verdict.figure("requests never answered", sum.unanswered);
        verdict.figure("requests sent again for want of an answer", sum.retries);
        verdict.figure("requests sent again on purpose", sum.repeats);
        verdict.figure("recipients accepted", findings.accepted);
        verdict.figure("recipients refused", sum.recipients_refused);
        say("what the carrier got");
        verdict.figure(
            "submitted / taken / refused",
            format!("{} / {} / {}", counts.submitted, counts.taken, counts.refused),
        );
        verdict.figure(
            "connections cut / binds refused / garbage",
            format!("{} / {} / {}", counts.cuts, counts.binds_refused, counts.garbage),
        );
        verdict.figure(
            "receipts acknowledged / sent again",
            format!(
                "{} / {}",
                counts.receipts_acknowledged,
                counts.receipts_in_doubt + counts.receipts_refused
            ),
        );
        verdict.figure("most unanswered at once on one bind", counts.window_seen_max);
        say("what became of it");
        verdict.figure(
            "delivered / failed",
            format!("{} / {}", findings.delivered, findings.failed),
        );
        say("verdict");
        verdict.at_most("accepted recipients lost", findings.lost.len() as u64, 0);
        verdict.at_most(
            "recipients sent though refused",
            findings.sent_though_refused.len() as u64,
            0,
        );
        verdict.at_most(
            "accepted recipients the gateway does not know",
            findings.forgotten.len() as u64,
            0,
        );
        verdict.at_most("messages that are not final", findings.open.len() as u64, 0);
        verdict.at_most(
            "receipts not acknowledged",
            counts.receipts_waiting + counts.receipts_unsendable,
            0,
        );
        verdict.at_most("request ids accepted twice", twice, 0);
        verdict.at_most("repeats answered wrongly", sum.repeats_wrong, 0);
        let windows = self.kills * args.binds + counts.cuts;
        verdict.at_most(
            "messages sent twice: one window a bind lost",
            counts.duplicates,
            windows * args.window,
        );
        verdict.must(
            "the carrier saw load, kills and faults",
            counts.messages > 0 && self.kills > 0,
        );
        findings.show();
        for reason in &sum.reasons {
            verdict.figure("clients saw", reason);
        }
        Ok(())
    }

    /// Asks the gateway about every request, several at a time.
    async fn ask(&self, tallies: &HashMap<u64, Tally>, findings: &mut Findings) -> anyhow::Result<()> {
        let told = self
            .told
            .iter()
            .filter(|(_, _, told)| told.accepted().next().is_some());
        let mut shares: Vec<Vec<(Demo, Dialect, Told)>> = vec![Vec::new(); QUERIES];
        for (at, (account, dialect, told)) in told.enumerate() {
            if let Some(share) = shares.get_mut(at % QUERIES) {
                share.push((self.node.settings.demo(*account), *dialect, told.clone()));
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
        while let Some(asked) = asking.join_next().await {
            for (told, standings) in asked?? {
                findings.compare_with_gateway(&told, &standings);
            }
        }
        Ok(())
    }
}

async fn ask_all(
    share: Vec<(Demo, Dialect, Told)>,
    twice: Arc<HashSet<u64>>,
) -> Result<Vec<(Told, Standings)>, StatusError> {
    let mut wire: Option<Wire> = None;
    let mut answers = Vec::with_capacity(share.len());
    for (demo, dialect, told) in share {
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
    fn compare_with_carrier(&mut self, told: &Told, tallies: &HashMap<u64, Tally>) {
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

    fn compare_with_gateway(&mut self, told: &Told, standings: &Standings) {
        for number in told.accepted() {
            let standings = standings.get(&number).map_or(&[][..], Vec::as_slice);
            match standings {
                [] => self.forgotten.push(number),
                [Standing::Delivered] => self.delivered += 1,
                [Standing::Failed] => self.failed += 1,
                [Standing::Open] => self.open.push(number),
                _ => self.accepted_twice.push(number),
            }
        }
    }

    fn show(&self) {
        for (what, numbers) in [
            ("lost", &self.lost),
            ("sent though refused", &self.sent_though_refused),
            ("not known", &self.forgotten),
            ("not final", &self.open),
            ("accepted twice", &self.accepted_twice),
        ] {
            if !numbers.is_empty() {
                say(&format!(
                    "  {what}: {:?}",
                    numbers.iter().take(SHOWN_MAX).collect::<Vec<_>>()
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim::load::number;

    fn told(first: u64, answer: Option<Answer>) -> Told {
        Told {
            request_id: "r".into(),
            first,
            recipients: 2,
            sent: 1,
            due_unix_ms: 0,
            answer,
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
            (findings.accepted_twice, findings.forgotten),
            (vec![number(0)], vec![number(1)])
        );
        assert_eq!(
            (findings.open, findings.failed, findings.delivered),
            (vec![number(10)], 1, 0)
        );
    }
}
