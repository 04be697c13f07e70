//! Compares the events that accounts received with the status of their messages and with the inbound messages.

use std::collections::{HashMap, HashSet};

use sim::load::Standing;
use sim::seed::hash;
use sim::sink::SinkHandle;
use sim::smsc::{InboundCounts, SmscHandle, inbound_number_of};

use crate::report::Report;

/// Differences in the events of messages, number by number.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct EventFindings {
    /// Messages whose end was reported.
    pub(crate) reported: u64,
    /// The message ended, and no event reported it.
    pub(crate) lost: Vec<u64>,
    /// The last end reported is not the state of the message.
    pub(crate) otherwise: Vec<u64>,
    /// An event that a carrier took it came after its end.
    pub(crate) out_of_order: Vec<u64>,
    /// An end of a message that the gateway does not have.
    pub(crate) unexpected: Vec<u64>,
}

/// A reported state as a status that all vendors have; `None`: it is not final.
fn end(state: &str) -> Option<Standing> {
    match state {
        "delivered" => Some(Standing::Delivered),
        "undelivered" | "rejected" | "expired" | "cancelled" | "unknown" => Some(Standing::Failed),
        _ => None,
    }
}

/// Whether a final state was reported for a message.
pub(crate) fn has_ended(states: &[String]) -> bool {
    states.iter().any(|state| end(state).is_some())
}

impl EventFindings {
    /// Checks the states that were reported for one message, in their order. `ended` is `None` if its end is not known.
    pub(crate) fn look_for<'s>(
        &mut self,
        number: u64,
        reported: impl Iterator<Item = &'s str>,
        ended: Option<Standing>,
    ) {
        let mut last = None;
        for state in reported {
            match end(state) {
                Some(standing) => last = Some(standing),
                None if last.is_some() => self.out_of_order.push(number),
                None => {}
            }
        }
        match last {
            None => self.lost.push(number),
            Some(last) if ended.is_none_or(|ended| last == ended) => self.reported += 1,
            Some(_) => self.otherwise.push(number),
        }
    }

    /// Compares what the sink took with how messages ended. `possible` are the numbers that the gateway may have accepted.
    pub(crate) fn of(sink: &SinkHandle, ended: &HashMap<u64, Standing>, possible: &HashSet<u64>) -> Self {
        let mut findings = Self::default();
        let mut seen = 0;
        sink.each_message(|number, timeline| match ended.get(&number) {
            Some(standing) => {
                seen += 1;
                findings.look_for(
                    number,
                    timeline.iter().map(|received| received.state),
                    Some(*standing),
                );
            }
            None if !possible.contains(&number) => findings.unexpected.push(number),
            None => {}
        });
        if seen < ended.len() {
            let not_received = ended.keys().filter(|number| sink.states(**number).is_empty());
            findings.lost.extend(not_received);
        }
        findings
    }

    /// Adds the checks to the report.
    pub(crate) fn check(&self, report: &mut Report) {
        for (what, numbers) in [
            ("message ends not reported", &self.lost),
            ("message ends reported with another state", &self.otherwise),
            ("events reported out of order", &self.out_of_order),
            ("events of unknown messages", &self.unexpected),
        ] {
            report.none_of(what, numbers);
        }
    }
}

/// Differences in the events of inbound messages.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct InboundFindings {
    /// Messages of which every part was acknowledged.
    pub(crate) taken: u64,
    /// Of these, messages that no event reported.
    pub(crate) lost: Vec<u64>,
    /// Messages reported with another text.
    pub(crate) garbled: Vec<u64>,
    /// How often messages were reported again.
    pub(crate) repeats: u64,
}

impl InboundFindings {
    /// Compares what the sink took with the inbound messages of the carrier.
    pub(crate) fn of(sink: &SinkHandle, smsc: &SmscHandle) -> Self {
        let reported = sink.inbound().into_iter().filter_map(|received| {
            let number = inbound_number_of(&received.text)?;
            Some((number, hash(received.text.as_bytes()), u64::from(received.times)))
        });
        Self::compare(smsc.inbound(), reported)
    }

    fn compare(written: Vec<(u64, InboundCounts)>, reported: impl Iterator<Item = (u64, u64, u64)>) -> Self {
        let written: HashMap<u64, InboundCounts> = written.into_iter().collect();
        let mut findings = Self::default();
        let mut times_reported: HashMap<u64, u64> = HashMap::new();
        for (number, text, times) in reported {
            if written
                .get(&number)
                .is_none_or(|message_counts| message_counts.text != text)
            {
                findings.garbled.push(number);
            } else {
                *times_reported.entry(number).or_default() += times;
            }
        }
        findings.repeats = times_reported.values().map(|times| times - 1).sum();
        for (number, _) in written
            .iter()
            .filter(|(_, message_counts)| message_counts.is_taken())
        {
            findings.taken += 1;
            if !times_reported.contains_key(number) {
                findings.lost.push(*number);
            }
        }
        findings
    }

    /// Adds the checks to the report.
    pub(crate) fn check(&self, report: &mut Report) {
        report.none_of("inbound messages acknowledged and lost", &self.lost);
        report.none_of("inbound messages reported with another text", &self.garbled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn looked(reported: &[&str], ended: Standing) -> EventFindings {
        let mut findings = EventFindings::default();
        findings.look_for(7, reported.iter().copied(), Some(ended));
        findings
    }

    #[test]
    fn the_last_end_reported_must_be_the_end_and_nothing_comes_after_it() {
        let good = EventFindings {
            reported: 1,
            ..EventFindings::default()
        };
        for (reported, ended) in [
            (&["submitted", "delivered"][..], Standing::Delivered),
            (&["delivered"], Standing::Delivered),
            (&["rejected"], Standing::Failed),
            (&["submitted", "unknown", "delivered"], Standing::Delivered),
        ] {
            assert_eq!(looked(reported, ended), good, "{reported:?}");
        }
        assert_eq!(looked(&["submitted"], Standing::Delivered).lost, [7]);
        assert_eq!(looked(&["delivered"], Standing::Failed).otherwise, [7]);
        let backwards = looked(&["delivered", "submitted"], Standing::Delivered);
        assert_eq!((backwards.out_of_order, backwards.reported), (vec![7], 1));
    }

    #[test]
    fn an_acknowledged_inbound_message_must_be_reported_word_for_word() {
        let message_counts = |acknowledged: u8| {
            let message_counts =
                json!({ "parts": 2, "acknowledged": acknowledged, "repeated": 0, "text": 11, "seen": 3 });
            serde_json::from_value::<InboundCounts>(message_counts).unwrap()
        };
        let (whole, half) = (message_counts(2), message_counts(1));
        let written = vec![(1, whole), (2, whole), (3, half), (4, half), (5, whole)];
        let reported = [(1, 11, 1), (1, 11, 2), (4, 11, 1), (5, 12, 1), (9, 11, 1)];
        let mut findings = InboundFindings::compare(written, reported.into_iter());
        findings.lost.sort_unstable();
        assert_eq!(
            findings,
            InboundFindings {
                taken: 3,
                lost: vec![2, 5],
                garbled: vec![5, 9],
                repeats: 2,
            }
        );
    }
}
