//! Runs an image to the end: carriers continue from what they had taken and owed at the cut, until everything has drained.

use std::collections::HashSet;
use std::time::Duration;

use sim::smsc::{Past, SmscHandle, inbound_number_of};

use super::check::{Oracle, complain, remove};
use super::cuts::Cut;
use super::disk::Files;
use super::recording::{PROFILE, Recording};
use crate::accounts::Settings;
use crate::beside::free_address;
use crate::compare::{ClientRequest, Findings, query_status};
use crate::events::{EventFindings, has_ended};
use crate::mixed::{CARRIERS, Mixed, Profile, twice};
use crate::node::{Environment, Node};
use crate::quiescence::await_quiescence;
use crate::report::Report;

/// How long messages, receipts and events may take to drain.
const QUIESCENCE_MAX: Duration = Duration::from_secs(90);

impl Oracle {
    /// Starts the program on an image with carriers as they were, waits until all has drained, and compares; returns the violations.
    /// Removes the folder if there are none.
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
        // No further inbound messages.
        let profile = Profile {
            mo_per_s: 0.0,
            ..PROFILE
        };
        let mixed = match Mixed::resume(node, recording.endpoint, &pasts, self.seed, &profile).await {
            Ok(mixed) => mixed,
            Err(error) => return Ok(vec![format!("the program does not start: {error:#}")]),
        };
        let mut wrong = Vec::new();
        let carriers: Vec<&SmscHandle> = mixed.carriers.iter().map(|carrier| &carrier.smsc).collect();
        if let Err(error) = await_quiescence(&mixed.node, &carriers, QUIESCENCE_MAX).await {
            wrong.push(format!("not drained: {error:#}"));
        }
        if let Err(error) = self.compare(&mixed, cut, &mut wrong).await {
            wrong.push(format!("queries failed: {error:#}"));
        }
        mixed.stop(&mut Report::silent()).await?;
        if wrong.is_empty() {
            remove(&folder)?;
        }
        Ok(wrong)
    }

    async fn compare(&self, mixed: &Mixed, cut: &Cut, wrong: &mut Vec<String>) -> anyhow::Result<()> {
        let answered: Vec<ClientRequest> = self.answered(cut.at_ns).cloned().collect();
        let counts_by_message = mixed.counts_by_message();
        let mut findings = Findings::default();
        for ClientRequest { result, .. } in &answered {
            findings.compare_with_carrier(result, &counts_by_message);
            findings.compare_texts(result, &|number| mixed.joined(number));
        }
        query_status(&mixed.node.settings, &answered, &counts_by_message, &mut findings).await?;
        let unreported = self.unreported(mixed, cut, &findings);
        let inbound = self.inbound_lost(mixed, cut);
        for (what, numbers) in [
            ("accepted and never sent", &findings.lost),
            ("of which no carrier has the whole text", &findings.torn),
            ("accepted and missing", &findings.not_found),
            ("that are not final", &findings.open),
            ("stored twice", &findings.accepted_twice),
            ("sent though refused", &findings.sent_though_refused),
            ("whose end was not reported", &unreported),
            (
                "received and acknowledged by the gateway and not reported",
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
        let again = twice(&counts_by_message);
        if again > bound {
            wrong.push(format!("{again} parts were taken twice, at most {bound} may be"));
        }
        Ok(())
    }

    /// Messages that have ended, whose end was reported neither before the cut nor after it.
    fn unreported(&self, mixed: &Mixed, cut: &Cut, findings: &Findings) -> Vec<u64> {
        let reported_before = |number: &u64| {
            let reported = self.recording.reported_ns.get(number);
            reported.is_some_and(|reported| *reported <= cut.at_ns)
        };
        let possible: HashSet<u64> = findings.ended.keys().copied().collect();
        let events = EventFindings::of(&mixed.endpoint.sink, &findings.ended, &possible);
        let unreported = events.lost.into_iter().filter(|number| {
            // Reported before the cut, or after it and then once more in part.
            !reported_before(number) && !has_ended(&mixed.endpoint.sink.states(*number))
        });
        unreported.collect()
    }

    /// Inbound messages that the gateway had acknowledged before the cut, and that were reported neither before nor after it.
    fn inbound_lost(&self, mixed: &Mixed, cut: &Cut) -> Vec<u64> {
        let Recording {
            pasts,
            moments,
            inbound_reported_ns,
            ..
        } = &*self.recording;
        let received = mixed.endpoint.sink.inbound();
        let reported_after: HashSet<u64> = received
            .iter()
            .filter_map(|received| inbound_number_of(&received.text))
            .collect();
        let reported_before = |number: &u64| {
            inbound_reported_ns
                .get(number)
                .is_some_and(|reported| *reported <= cut.at_ns)
        };
        let taken = pasts.iter().flat_map(|past| past.inbound_taken());
        let taken = taken.filter(|(_, at)| moments.ns(*at) <= cut.at_ns);
        taken
            .map(|(number, _)| number)
            .filter(|number| !reported_after.contains(number) && !reported_before(number))
            .collect()
    }
}
