//! The comparison of what clients were told with what carriers, accounts and the gateway say, and whether the conditions
//! were what they should be.

use std::collections::{BTreeMap, HashMap, HashSet};

use sim::load::Text;
use sim::smsc::{Counts, Tally};
use smpp::CommandStatus;

use super::Mixed;
use super::carriers::{CARRIERS, CarrierPlan, THROTTLED};
use crate::compare::{Asked, Findings, ask_by_clocks};
use crate::events::{EventFindings, InboundFindings};
use crate::report::{Verdict, grouped};
use crate::say;

/// What parts must have been refused with at random.
const REFUSALS: [u32; 3] = [0x08, 0x14, 0x58];

/// Of 100 messages so many are long: a third, give or take what chance and mishaps do.
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

    /// Compares everything that clients were told, and whether it was the traffic that it should be.
    pub(crate) async fn compare(&self, asked: &[Asked], verdict: &mut Verdict) -> anyhow::Result<()> {
        let (findings, events, inbound) = self.find(asked, &[]).await?;
        self.judge(&findings, &events, &inbound, &self.tallies(), verdict);
        Ok(())
    }

    /// Compares everything that clients were told, whatever traffic it was. Where the clock moved, what failed need not have been
    /// sent, for it may have waited too long, and signatures with a time are refused.
    pub(crate) async fn compare_results(
        &self,
        asked: &[Asked],
        clock_offsets_s: &[i64],
        verdict: &mut Verdict,
    ) -> anyhow::Result<()> {
        let clock_moved = !clock_offsets_s.is_empty();
        let (mut findings, events, inbound) = self.find(asked, clock_offsets_s).await?;
        if clock_moved {
            let sink = &self.endpoint.sink;
            findings.forgive_failed(&|number| sink.states(number).iter().any(|state| state == "unknown"));
        }
        self.figures(&findings, &events, &inbound, verdict);
        let mut repeats_wrong = self.sum.repeats_wrong;
        if clock_moved {
            repeats_wrong -= self.sum.repeats_out_of_time;
        } else {
            verdict.at_most("recipients refused", self.sum.recipients_refused, 0);
        }
        verdict.at_most("repeats answered wrongly", repeats_wrong, 0);
        self.judge_results(&findings, &events, &inbound, &self.tallies(), verdict);
        Ok(())
    }

    /// What is found.
    async fn find(
        &self,
        asked: &[Asked],
        clock_offsets_s: &[i64],
    ) -> anyhow::Result<(Findings, EventFindings, InboundFindings)> {
        let tallies = self.tallies();
        let mut findings = Findings::default();
        for asked in asked {
            findings.compare_with_carrier(&asked.told, &tallies);
            findings.compare_texts(&asked.told, &|number| self.joined(number));
        }
        let settings = &self.node.settings;
        ask_by_clocks(settings, clock_offsets_s, asked, &tallies, &mut findings).await?;
        let possible: HashSet<u64> = asked.iter().flat_map(Asked::possible).collect();
        let events = EventFindings::of(&self.endpoint.sink, &findings.ended, &possible);
        let inbound = InboundFindings::of(&self.endpoint.sink, self.people()?);
        Ok((findings, events, inbound))
    }

    /// Says what the conditions were and what came of it, and holds all of it against what must be.
    pub(crate) fn judge(
        &self,
        findings: &Findings,
        events: &EventFindings,
        inbound: &InboundFindings,
        tallies: &HashMap<u64, Tally>,
        verdict: &mut Verdict,
    ) {
        self.carriers_in_a_table();
        spread_in_a_table(findings);
        self.figures(findings, events, inbound, verdict);
        say("verdict");
        self.judge_conditions(findings, verdict);
        verdict.at_most("recipients refused", self.sum.recipients_refused, 0);
        verdict.at_most("repeats answered wrongly", self.sum.repeats_wrong, 0);
        self.judge_results(findings, events, inbound, tallies, verdict);
    }

    fn judge_results(
        &self,
        findings: &Findings,
        events: &EventFindings,
        inbound: &InboundFindings,
        tallies: &HashMap<u64, Tally>,
        verdict: &mut Verdict,
    ) {
        findings.judge(verdict);
        events.judge(verdict);
        inbound.judge(verdict);
        let sums = self.sums();
        verdict.at_most(
            "receipts not acknowledged",
            sums.counts.receipts_waiting + sums.counts.receipts_unsendable,
            0,
        );
        verdict.at_most("requests never answered", self.sum.unanswered, 0);
        verdict.at_most(
            "parts taken twice: one window a session lost",
            twice(tallies),
            sums.twice_max,
        );
        verdict.must(
            "messages were sent, told and answered",
            findings.accepted > 0 && events.told > 0 && inbound.taken > 0,
        );
        for reason in &self.sum.reasons {
            verdict.figure("clients saw", reason);
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
        verdict: &Verdict,
    ) {
        let (sum, counts) = (&self.sum, self.sums().counts);
        say("what clients were told");
        verdict.figure(
            "requests answered / never / sent again / repeated",
            format!(
                "{} / {} / {} / {}",
                sum.answered, sum.unanswered, sum.retries, sum.repeats
            ),
        );
        verdict.figure(
            "recipients accepted / refused",
            format!("{} / {}", findings.accepted, sum.recipients_refused),
        );
        say("what carriers got");
        verdict.figure(
            "parts submitted / taken / refused",
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
        verdict.figure(
            "inbound messages written / acknowledged whole",
            format!("{} / {}", counts.inbound_written, inbound.taken),
        );
        say("what became of it");
        verdict.figure(
            "delivered / failed, of those asked about",
            format!("{} / {}", findings.delivered(), findings.failed()),
        );
        let told = self.endpoint.sink.counts();
        verdict.figure(
            "webhooks taken / refused / elsewhere / cut / hung",
            format!(
                "{} / {} / {} / {} / {}",
                told.taken, told.refused, told.redirected, told.cut, told.hung
            ),
        );
        verdict.figure(
            "ends of messages told / events told again",
            format!("{} / {}", events.told, told.repeats),
        );
        verdict.figure("inbound messages told again", inbound.repeats);
    }

    /// Whether it was the traffic that it should be.
    fn judge_conditions(&self, findings: &Findings, verdict: &mut Verdict) {
        let long: u64 = Text::PARTS.map(|parts| findings.accepted_of(parts)).sum();
        let percent = long * 100 / findings.accepted.max(1);
        verdict.at_least("of 100 messages are long", percent, LONG_PERCENT.0);
        verdict.at_most("of 100 messages are long", percent, LONG_PERCENT.1);
        let missing: Vec<u8> = Text::PARTS
            .filter(|parts| findings.accepted_of(*parts) == 0)
            .collect();
        verdict.none_of("numbers of parts, 2 to 12, that no message had", &missing);
        for status in REFUSALS {
            let counts = self.carriers.iter().map(|carrier| carrier.smsc.counts());
            let refused: u64 = counts
                .map(|counts| with(&counts.parts_refused_with, status))
                .sum();
            verdict.at_least(
                &format!("parts of long messages refused with {status:#04x}"),
                refused,
                1,
            );
        }
        for (plan, carrier) in CARRIERS.iter().zip(&self.carriers) {
            verdict.at_least(
                &format!("parts that {} took", plan.name),
                carrier.smsc.counts().taken,
                1,
            );
        }
        for (at, plan) in CARRIERS.iter().enumerate().take(THROTTLED) {
            let times = self.changes.throttled.get(at).copied().unwrap_or_default();
            verdict.at_least(&format!("times that {} was throttled", plan.name), times, 1);
        }
        verdict.at_least(
            "parts refused by throttled carriers",
            self.sums().counts.beyond_limits,
            1,
        );
        verdict.at_least(
            &format!(
                "changes of the catalog in {} s of load",
                self.changes.lasted.as_secs()
            ),
            self.changes.catalog,
            self.changes.catalog_min(),
        );
        verdict.none_of("changes of the catalog that failed", &self.changes.failed);
    }
}

/// How often parts were taken that had been taken before, by any carrier.
pub(crate) fn twice(tallies: &HashMap<u64, Tally>) -> u64 {
    let again = tallies
        .values()
        .map(|tally| u64::from(tally.taken.saturating_sub(1)));
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
        let taken = |taken| Tally {
            submitted: 4,
            taken,
            acknowledged: 0,
        };
        let tallies = [(1, taken(0)), (2, taken(1)), (3, taken(2)), (4, taken(4))].into();
        assert_eq!(twice(&tallies), 4);
    }

    #[test]
    fn a_status_is_found_by_its_number() {
        let refused = [("ESME_RTHROTTLED (0x58)".to_owned(), 3)].into();
        assert_eq!((with(&refused, 0x58), with(&refused, 0x14)), (3, 0));
    }
}
