//! What accounts were told, against what became of their messages and what people wrote to them.

use std::collections::{HashMap, HashSet};

use sim::load::Standing;
use sim::seed::hash;
use sim::sink::SinkHandle;
use sim::smsc::{InboundTally, SmscHandle, inbound_number_of};

use crate::report::Verdict;

/// What is wrong with what was told of messages, number by number.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct EventFindings {
    /// Messages whose end was told.
    pub(crate) told: u64,
    /// The message ended, and nobody was told.
    pub(crate) lost: Vec<u64>,
    /// The last end that was told is not how it ended.
    pub(crate) otherwise: Vec<u64>,
    /// It was told that a carrier took it after it was told how it ended.
    pub(crate) out_of_order: Vec<u64>,
    /// An end was told of a message that the gateway does not have.
    pub(crate) unasked: Vec<u64>,
}

/// How a state that was told stands for what all vendors can say; `None`: it is no end.
fn end(state: &str) -> Option<Standing> {
    match state {
        "delivered" => Some(Standing::Delivered),
        "undelivered" | "rejected" | "expired" | "cancelled" | "unknown" => Some(Standing::Failed),
        _ => None,
    }
}

/// Whether an end is among the states that were told of a message.
pub(crate) fn has_ended(states: &[String]) -> bool {
    states.iter().any(|state| end(state).is_some())
}

impl EventFindings {
    /// Looks at the states that were told of one message, in their order. `None`: how it ended is not known.
    pub(crate) fn look_for<'s>(
        &mut self,
        number: u64,
        told: impl Iterator<Item = &'s str>,
        ended: Option<Standing>,
    ) {
        let mut last = None;
        for state in told {
            match end(state) {
                Some(standing) => last = Some(standing),
                None if last.is_some() => self.out_of_order.push(number),
                None => {}
            }
        }
        match last {
            None => self.lost.push(number),
            Some(last) if ended.is_none_or(|ended| last == ended) => self.told += 1,
            Some(_) => self.otherwise.push(number),
        }
    }

    /// Compares what the sink took with how messages ended. `possible` are the numbers that the gateway may have accepted.
    pub(crate) fn of(sink: &SinkHandle, ended: &HashMap<u64, Standing>, possible: &HashSet<u64>) -> Self {
        let mut findings = Self::default();
        let mut seen = 0;
        sink.each_message(|number, story| match ended.get(&number) {
            Some(standing) => {
                seen += 1;
                findings.look_for(number, story.iter().map(|heard| heard.state), Some(*standing));
            }
            None if !possible.contains(&number) => findings.unasked.push(number),
            None => {}
        });
        if seen < ended.len() {
            let unheard = ended.keys().filter(|number| sink.states(**number).is_empty());
            findings.lost.extend(unheard);
        }
        findings
    }

    /// Holds all of it against what must not be.
    pub(crate) fn judge(&self, verdict: &mut Verdict) {
        for (what, numbers) in [
            ("ends of messages that nobody was told", &self.lost),
            ("ends of messages told otherwise than they are", &self.otherwise),
            ("messages told out of their order", &self.out_of_order),
            ("messages told that are none", &self.unasked),
        ] {
            verdict.none_of(what, numbers);
        }
    }
}

/// What became of what people wrote.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct InboundFindings {
    /// Messages of which every part was acknowledged.
    pub(crate) taken: u64,
    /// Of these, messages that nobody was told.
    pub(crate) lost: Vec<u64>,
    /// Messages told with another text than was written.
    pub(crate) garbled: Vec<u64>,
    /// How often a message was told beyond once.
    pub(crate) repeats: u64,
}

impl InboundFindings {
    /// Compares what the sink took with what the carrier's people wrote.
    pub(crate) fn of(sink: &SinkHandle, smsc: &SmscHandle) -> Self {
        let told = sink.inbound().into_iter().filter_map(|heard| {
            let number = inbound_number_of(&heard.text)?;
            Some((number, hash(heard.text.as_bytes()), u64::from(heard.times)))
        });
        Self::compare(smsc.inbound(), told)
    }

    fn compare(written: Vec<(u64, InboundTally)>, told: impl Iterator<Item = (u64, u64, u64)>) -> Self {
        let written: HashMap<u64, InboundTally> = written.into_iter().collect();
        let mut findings = Self::default();
        let mut times_told: HashMap<u64, u64> = HashMap::new();
        for (number, text, times) in told {
            if written.get(&number).is_none_or(|tally| tally.text != text) {
                findings.garbled.push(number);
            } else {
                *times_told.entry(number).or_default() += times;
            }
        }
        findings.repeats = times_told.values().map(|times| times - 1).sum();
        for (number, _) in written.iter().filter(|(_, tally)| tally.is_taken()) {
            findings.taken += 1;
            if !times_told.contains_key(number) {
                findings.lost.push(*number);
            }
        }
        findings
    }

    /// Holds all of it against what must not be.
    pub(crate) fn judge(&self, verdict: &mut Verdict) {
        verdict.none_of("inbound messages acknowledged and lost", &self.lost);
        verdict.none_of("inbound messages told in other words", &self.garbled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn looked(told: &[&str], ended: Standing) -> EventFindings {
        let mut findings = EventFindings::default();
        findings.look_for(7, told.iter().copied(), Some(ended));
        findings
    }

    #[test]
    fn the_last_end_told_must_be_the_end_and_nothing_comes_behind_it() {
        let good = EventFindings {
            told: 1,
            ..EventFindings::default()
        };
        for (told, ended) in [
            (&["submitted", "delivered"][..], Standing::Delivered),
            (&["delivered"], Standing::Delivered),
            (&["rejected"], Standing::Failed),
            (&["submitted", "unknown", "delivered"], Standing::Delivered),
        ] {
            assert_eq!(looked(told, ended), good, "{told:?}");
        }
        assert_eq!(looked(&["submitted"], Standing::Delivered).lost, [7]);
        assert_eq!(looked(&["delivered"], Standing::Failed).otherwise, [7]);
        let backwards = looked(&["delivered", "submitted"], Standing::Delivered);
        assert_eq!((backwards.out_of_order, backwards.told), (vec![7], 1));
    }

    #[test]
    fn what_people_wrote_and_was_acknowledged_must_be_told_in_their_words() {
        let tally = |acknowledged: u8| {
            let tally =
                json!({ "parts": 2, "acknowledged": acknowledged, "repeated": 0, "text": 11, "seen": 3 });
            serde_json::from_value::<InboundTally>(tally).unwrap()
        };
        let (whole, half) = (tally(2), tally(1));
        let written = vec![(1, whole), (2, whole), (3, half), (4, half), (5, whole)];
        let told = [(1, 11, 1), (1, 11, 2), (4, 11, 1), (5, 12, 1), (9, 11, 1)];
        let mut findings = InboundFindings::compare(written, told.into_iter());
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
