//! An image run to the end: carriers go on from what they had taken and owed at the cut, and everything comes to rest.

use std::collections::HashSet;
use std::time::Duration;

use sim::smsc::{Past, SmscHandle, inbound_number_of};

use super::check::{Oracle, complain, remove};
use super::cuts::Cut;
use super::disk::Files;
use super::recording::{DAY, Recording};
use crate::accounts::Settings;
use crate::beside::free_address;
use crate::compare::{Asked, Findings, ask};
use crate::events::{EventFindings, has_ended};
use crate::mixed::{CARRIERS, Day, Mixed, twice};
use crate::node::{Environment, Node};
use crate::report::Verdict;
use crate::rest::rest;

/// How long everything may take to come to rest.
const REST_MAX: Duration = Duration::from_secs(90);

impl Oracle {
    /// Starts the program on an image with carriers as they were, waits until all is at rest, and compares; what is wrong. The folder goes
    /// away if nothing is.
    pub(crate) async fn run_to_the_end(&self, cut: &Cut, files: &Files) -> anyhow::Result<Vec<String>> {
        let folder = self.lay_out(cut, files)?;
        let recording = &*self.recording;
        let settings = Settings {
            api: free_address()?,
            metrics: free_address()?,
            ..recording.settings.clone()
        };
        let node = Node::written(&self.program, &folder, settings, Environment::new())?;
        let moment = recording.moments.instant(cut.at_ns);
        let pasts: Vec<Past> = recording.pasts.iter().map(|past| past.until(moment)).collect();
        // Whoever wrote before has written.
        let day = Day {
            people_per_s: 0.0,
            ..DAY
        };
        let mixed = match Mixed::resume(node, recording.endpoint, &pasts, self.seed, &day).await {
            Ok(mixed) => mixed,
            Err(error) => return Ok(vec![format!("it does not start: {error:#}")]),
        };
        let mut wrong = Vec::new();
        let carriers: Vec<&SmscHandle> = mixed.carriers.iter().map(|carrier| &carrier.smsc).collect();
        if let Err(error) = rest(&mixed.node, &carriers, REST_MAX).await {
            wrong.push(format!("it does not come to rest: {error:#}"));
        }
        if let Err(error) = self.compare(&mixed, cut, &mut wrong).await {
            wrong.push(format!("it could not be asked: {error:#}"));
        }
        mixed.stop(&mut Verdict::silent()).await?;
        if wrong.is_empty() {
            remove(&folder)?;
        }
        Ok(wrong)
    }

    async fn compare(&self, mixed: &Mixed, cut: &Cut, wrong: &mut Vec<String>) -> anyhow::Result<()> {
        let answered: Vec<Asked> = self.answered(cut.at_ns).cloned().collect();
        let tallies = mixed.tallies();
        let mut findings = Findings::default();
        for Asked { told, .. } in &answered {
            findings.compare_with_carrier(told, &tallies);
            findings.compare_texts(told, &|number| mixed.joined(number));
        }
        ask(&mixed.node.settings, &answered, &tallies, &mut findings).await?;
        let untold = self.untold(mixed, cut, &findings);
        let inbound = self.inbound_lost(mixed, cut);
        for (what, numbers) in [
            ("answered as accepted and never sent", &findings.lost),
            ("of which no carrier has the whole text", &findings.torn),
            ("answered as accepted and not there", &findings.forgotten),
            ("that are stuck", &findings.open),
            ("there twice", &findings.accepted_twice),
            ("sent though refused", &findings.sent_though_refused),
            ("whose end nobody was told", &untold),
            (
                "that people wrote and the gateway acknowledged, and nobody was told",
                &inbound,
            ),
        ] {
            complain(wrong, what, numbers);
        }
        // The cut ended all sessions once more.
        let lost = self.recording.sessions_lost + 1;
        let bound = CARRIERS
            .iter()
            .map(|plan| plan.twice_max(lost * plan.binds))
            .sum();
        let again = twice(&tallies);
        if again > bound {
            wrong.push(format!("{again} parts were taken twice, and {bound} may be"));
        }
        Ok(())
    }

    /// Messages that have ended, of which nobody was told before the cut or after it.
    fn untold(&self, mixed: &Mixed, cut: &Cut, findings: &Findings) -> Vec<u64> {
        let told_before = |number: &u64| {
            let told = self.recording.told_ns.get(number);
            told.is_some_and(|told| *told <= cut.at_ns)
        };
        let possible: HashSet<u64> = findings.ended.keys().copied().collect();
        let events = EventFindings::of(&mixed.endpoint.sink, &findings.ended, &possible);
        let untold = events.lost.into_iter().filter(|number| {
            // Told before, or told again and in the middle of that.
            !told_before(number) && !has_ended(&mixed.endpoint.sink.states(*number))
        });
        untold.collect()
    }

    /// What people wrote and the gateway had acknowledged before the cut, and nobody was told before or after it.
    fn inbound_lost(&self, mixed: &Mixed, cut: &Cut) -> Vec<u64> {
        let Recording {
            pasts,
            moments,
            inbound_told_ns,
            ..
        } = &*self.recording;
        let heard = mixed.endpoint.sink.inbound();
        let told_after: HashSet<u64> = heard
            .iter()
            .filter_map(|heard| inbound_number_of(&heard.text))
            .collect();
        let told_before = |number: &u64| inbound_told_ns.get(number).is_some_and(|told| *told <= cut.at_ns);
        let taken = pasts.iter().flat_map(|past| past.inbound_taken());
        let taken = taken.filter(|(_, at)| moments.ns(*at) <= cut.at_ns);
        taken
            .map(|(number, _)| number)
            .filter(|number| !told_after.contains(number) && !told_before(number))
            .collect()
    }
}
