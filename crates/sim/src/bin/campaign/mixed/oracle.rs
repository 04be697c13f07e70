//! Compares the answers to clients with what carriers and accounts received and the gateway reports, and checks the
//! conditions of the traffic.

use std::collections::{BTreeMap, HashMap, HashSet};

use sim::load::Text;
use sim::smsc::{Counts, MessageCounts};
use smpp::CommandStatus;

use super::Mixed;
use super::carriers::{CARRIERS, CarrierPlan, THROTTLED};
use crate::compare::{ClientRequest, Findings, query_status_by_clocks};
use crate::events::{EventFindings, InboundFindings};
use crate::report::{Report, grouped};
use crate::say;

/// What parts must have been refused with at random.
const REFUSALS: [u32; 3] = [0x08, 0x14, 0x58];

/// Of 100 messages so many are long: a third, within the spread of random choices and faults.
const LONG_PERCENT: (u64, u64) = (25, 42);

/// Sums over all carriers.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) counts: Counts,
    /// Parts that may be taken twice: one window for each session that a kill or a cut ended.
    pub(crate) twice_max: u64,
}

impl Sums {
    fn add(&mut self, plan: &CarrierPlan, kills: u64, counts: &Counts) {
        self.twice_max += plan.twice_max(kills * plan.binds + counts.cuts);
        let sums = &mut self.counts;
        sums.submitted += counts.submitted;
        sums.taken += counts.taken;
        sums.refused += counts.refused;
        sums.beyond_limits += counts.beyond_limits;
        sums.binds_refused += counts.binds_refused;
        sums.cuts += counts.cuts;
        sums.garbage += counts.garbage;
        sums.receipts_acknowledged += counts.receipts_acknowledged;
        sums.receipts_in_doubt += counts.receipts_in_doubt;
        sums.receipts_refused += counts.receipts_refused;
        sums.receipts_waiting += counts.receipts_waiting;
        sums.receipts_unsendable += counts.receipts_unsendable;
        sums.inbound_written += counts.inbound_written;
        sums.window_seen_max = sums.window_seen_max.max(counts.window_seen_max);
    }
}

impl Mixed {
    /// The sums over all carriers.
    pub(crate) fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for (plan, carrier) in CARRIERS.iter().zip(&self.carriers) {
            sums.add(plan, self.kills, &carrier.smsc.counts());
        }
        sums
    }

    /// Compares all answers, and checks the conditions of the traffic.
    pub(crate) async fn compare(
        &self,
        requests: &[ClientRequest],
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let (findings, events, inbound) = self.find(requests, &[]).await?;
        self.check(&findings, &events, &inbound, &self.counts_by_message(), report);
        Ok(())
    }

    /// Compares all answers, whatever traffic it was. Where the clock moved, failed messages need not have been sent, for they may
    /// have expired, and signatures with a time are refused.
    pub(crate) async fn compare_results(
        &self,
        requests: &[ClientRequest],
        clock_offsets_s: &[i64],
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let clock_moved = !clock_offsets_s.is_empty();
        let (mut findings, events, inbound) = self.find(requests, clock_offsets_s).await?;
        if clock_moved {
            let sink = &self.endpoint.sink;
            findings.forgive_failed(&|number| sink.states(number).iter().any(|state| state == "unknown"));
        }
        self.figures(&findings, &events, &inbound, report);
        let mut repeats_wrong = self.sum.repeats_wrong;
        if clock_moved {
            repeats_wrong -= self.sum.repeats_out_of_time;
        } else {
            report.at_most("recipients refused", self.sum.recipients_refused, 0);
        }
        report.at_most("repeats with a wrong answer", repeats_wrong, 0);
        self.check_results(&findings, &events, &inbound, &self.counts_by_message(), report);
        Ok(())
    }

    /// Finds the differences.
    async fn find(
        &self,
        requests: &[ClientRequest],
        clock_offsets_s: &[i64],
    ) -> anyhow::Result<(Findings, EventFindings, InboundFindings)> {
        let counts_by_message = self.counts_by_message();
        let mut findings = Findings::default();
        for request in requests {
            findings.compare_with_carrier(&request.result, &counts_by_message);
            findings.compare_texts(&request.result, &|number| self.joined(number));
        }
        let settings = &self.node.settings;
        query_status_by_clocks(
            settings,
            clock_offsets_s,
            requests,
            &counts_by_message,
            &mut findings,
        )
        .await?;
        let possible: HashSet<u64> = requests.iter().flat_map(ClientRequest::possible).collect();
        let events = EventFindings::of(&self.endpoint.sink, &findings.ended, &possible);
        let inbound = InboundFindings::of(&self.endpoint.sink, self.mo_carrier()?);
        Ok((findings, events, inbound))
    }

    /// Prints the conditions and the figures, and makes all checks.
    pub(crate) fn check(
        &self,
        findings: &Findings,
        events: &EventFindings,
        inbound: &InboundFindings,
        counts_by_message: &HashMap<u64, MessageCounts>,
        report: &mut Report,
    ) {
        self.carriers_in_a_table();
        spread_in_a_table(findings);
        self.figures(findings, events, inbound, report);
        say("checks");
        self.check_conditions(findings, report);
        report.at_most("recipients refused", self.sum.recipients_refused, 0);
        report.at_most("repeats with a wrong answer", self.sum.repeats_wrong, 0);
        self.check_results(findings, events, inbound, counts_by_message, report);
    }

    fn check_results(
        &self,
        findings: &Findings,
        events: &EventFindings,
        inbound: &InboundFindings,
        counts_by_message: &HashMap<u64, MessageCounts>,
        report: &mut Report,
    ) {
        findings.check(report);
        events.check(report);
        inbound.check(report);
        let sums = self.sums();
        report.at_most(
            "receipts not acknowledged",
            sums.counts.receipts_waiting + sums.counts.receipts_unsendable,
            0,
        );
        report.at_most("requests never answered", self.sum.unanswered, 0);
        report.at_most(
            "parts taken twice: one window per lost session",
            twice(counts_by_message),
            sums.twice_max,
        );
        report.must(
            "messages, events and inbound messages occurred",
            findings.accepted > 0 && events.reported > 0 && inbound.taken > 0,
        );
        for reason in &self.sum.reasons {
            report.figure("refusal or error at a client", reason);
        }
    }

    fn carriers_in_a_table(&self) {
        say("carriers");
        say(&format!(
            "  {:<8} {:>7} {:>5}  {:<24} {:<11} {:>9} {:>5} {:>9} {:>8}  parts refused",
            "", "binds", "link", "ids", "receipt for", "throttled", "cuts", "taken", "refused"
        ));
        for (at, (plan, carrier)) in CARRIERS.iter().zip(&self.carriers).enumerate() {
            let counts = carrier.smsc.counts();
            let refused: Vec<String> = REFUSALS
                .iter()
                .map(|status| format!("{status:#04x} {}", with(&counts.parts_refused_with, *status)))
                .collect();
            say(&format!(
                "  {:<8} {:>7} {:>5}  {:<24} {:<11} {:>9} {:>5} {:>9} {:>8}  {}",
                plan.name,
                format!("{}x{}", plan.binds, plan.window_max),
                plan.linking,
                plan.ids_in_words,
                if plan.for_whole { "a message" } else { "a part" },
                format!("{}x", self.changes.throttled.get(at).copied().unwrap_or_default()),
                counts.cuts,
                grouped(counts.taken as f64),
                grouped(counts.refused as f64),
                refused.join(", ")
            ));
        }
    }

    fn figures(
        &self,
        findings: &Findings,
        events: &EventFindings,
        inbound: &InboundFindings,
        report: &Report,
    ) {
        let (sum, counts) = (&self.sum, self.sums().counts);
        say("answers to clients");
        report.figure(
            "requests answered / never / sent again / repeated",
            format!(
                "{} / {} / {} / {}",
                sum.answered, sum.unanswered, sum.retries, sum.repeats
            ),
        );
        report.figure(
            "recipients accepted / refused",
            format!("{} / {}", findings.accepted, sum.recipients_refused),
        );
        say("traffic at carriers");
        report.figure(
            "parts submitted / taken / refused",
            format!("{} / {} / {}", counts.submitted, counts.taken, counts.refused),
        );
        report.figure(
            "connections cut / binds refused / garbage",
            format!("{} / {} / {}", counts.cuts, counts.binds_refused, counts.garbage),
        );
        report.figure(
            "receipts acknowledged / sent again",
            format!(
                "{} / {}",
                counts.receipts_acknowledged,
                counts.receipts_in_doubt + counts.receipts_refused
            ),
        );
        report.figure(
            "inbound messages written / acknowledged whole",
            format!("{} / {}", counts.inbound_written, inbound.taken),
        );
        say("message outcomes and events");
        report.figure(
            "delivered / failed, of the messages queried",
            format!("{} / {}", findings.delivered(), findings.failed()),
        );
        let webhooks = self.endpoint.sink.counts();
        report.figure(
            "webhooks taken / refused / redirected / cut / hung",
            format!(
                "{} / {} / {} / {} / {}",
                webhooks.taken, webhooks.refused, webhooks.redirected, webhooks.cut, webhooks.hung
            ),
        );
        report.figure(
            "message ends reported / events repeated",
            format!("{} / {}", events.reported, webhooks.repeats),
        );
        report.figure("inbound messages reported again", inbound.repeats);
    }

    /// Checks the conditions of the traffic.
    fn check_conditions(&self, findings: &Findings, report: &mut Report) {
        let long: u64 = Text::PARTS.map(|parts| findings.accepted_of(parts)).sum();
        let percent = long * 100 / findings.accepted.max(1);
        report.at_least("of 100 messages are long", percent, LONG_PERCENT.0);
        report.at_most("of 100 messages are long", percent, LONG_PERCENT.1);
        let missing: Vec<u8> = Text::PARTS
            .filter(|parts| findings.accepted_of(*parts) == 0)
            .collect();
        report.none_of("numbers of parts, 2 to 12, that no message had", &missing);
        for status in REFUSALS {
            let counts = self.carriers.iter().map(|carrier| carrier.smsc.counts());
            let refused: u64 = counts
                .map(|counts| with(&counts.parts_refused_with, status))
                .sum();
            report.at_least(
                &format!("parts of long messages refused with {status:#04x}"),
                refused,
                1,
            );
        }
        for (plan, carrier) in CARRIERS.iter().zip(&self.carriers) {
            report.at_least(
                &format!("parts that {} took", plan.name),
                carrier.smsc.counts().taken,
                1,
            );
        }
        for (at, plan) in CARRIERS.iter().enumerate().take(THROTTLED) {
            let times = self.changes.throttled.get(at).copied().unwrap_or_default();
            report.at_least(&format!("times that {} was throttled", plan.name), times, 1);
        }
        report.at_least(
            "parts refused by throttled carriers",
            self.sums().counts.beyond_limits,
            1,
        );
        report.at_least(
            &format!(
                "changes of the catalog in {} s of load",
                self.changes.lasted.as_secs()
            ),
            self.changes.catalog,
            self.changes.catalog_min(),
        );
        report.none_of("changes of the catalog that failed", &self.changes.failed);
    }
}

/// How often parts were taken that had been taken before, by any carrier.
pub(crate) fn twice(counts_by_message: &HashMap<u64, MessageCounts>) -> u64 {
    let again = counts_by_message
        .values()
        .map(|message_counts| u64::from(message_counts.taken.saturating_sub(1)));
    again.sum()
}

/// How many were refused with a status.
fn with(refused: &BTreeMap<String, u64>, status: u32) -> u64 {
    let name = CommandStatus(status).to_string();
    refused.get(&name).copied().unwrap_or_default()
}

fn spread_in_a_table(findings: &Findings) {
    say("messages accepted, by parts");
    let all = 1..=*Text::PARTS.end();
    let line = |what: &str, cell: &dyn Fn(u8) -> String| {
        let cells: String = all.clone().map(|parts| format!(" {:>7}", cell(parts))).collect();
        say(&format!("  {what:<16}{cells}"));
    };
    line("parts", &|parts| parts.to_string());
    line("accepted", &|parts| findings.accepted_of(parts).to_string());
    line("joined", &|parts| findings.joined_of(parts).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_taken_again_are_counted_over_all_carriers() {
        let taken = |taken| MessageCounts {
            submitted: 4,
            taken,
            acknowledged: 0,
        };
        let counts_by_message = [(1, taken(0)), (2, taken(1)), (3, taken(2)), (4, taken(4))].into();
        assert_eq!(twice(&counts_by_message), 4);
    }

    #[test]
    fn a_status_is_found_by_its_number() {
        let refused = [("ESME_RTHROTTLED (0x58)".to_owned(), 3)].into();
        assert_eq!((with(&refused, 0x58), with(&refused, 0x14)), (3, 0));
    }
}
