//! Exact counts of what the sink took.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::behaviour::CallOutcome;
use super::form::{InboundSms, Notice, Subject};
use crate::seed::{KeyHasher, hash};

/// Events of one message that are recorded one by one at most; more are counted as a sum only.
const EVENTS_OF_A_MESSAGE_MAX: usize = 32;

/// Different words for states, and different types; all beyond are "other".
const WORDS_MAX: usize = 64;

/// Events remembered at most because a call about them came in vain.
const IN_VAIN_MAX: usize = 1_000_000;

/// Sums since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Calls that were read whole.
    pub calls: u64,
    /// Of these, calls taken: answered 200, whether or not the answer arrived.
    pub taken: u64,
    /// Of these, calls refused on purpose.
    pub refused: u64,
    /// Of these, calls sent elsewhere.
    pub redirected: u64,
    /// Of these, calls never answered.
    pub hung: u64,
    /// Of these, calls whose answer was cut in the middle.
    pub cut: u64,
    /// Of these, calls that are not of the general form; answered 400.
    pub malformed: u64,
    /// Different events taken that are about one message or one inbound message.
    pub events: u64,
    /// How often such an event was taken that had been taken before.
    pub repeats: u64,
    /// Different messages that events were taken of.
    pub messages: u64,
    /// Events that were taken but are beyond a bound, so that they are counted as a sum only.
    pub untracked: u64,
    /// Calls taken, by type.
    pub by_type: BTreeMap<String, u64>,
    /// Connections made.
    pub connections: u64,
}

/// One event of a message that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedEvent<'a> {
    /// What the event's `webhook-id` amounts to, see [`crate::seed::hash`].
    pub event: u64,
    /// The state it reports, such as `delivered`.
    pub state: &'a str,
    /// How often it was taken; stops at 65535.
    pub times: u16,
    /// When it was taken first, in milliseconds since the sink started; stops after seven weeks.
    pub at_ms: u32,
}

/// An inbound message as the gateway reported it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedInbound {
    /// The sender.
    pub from: Box<str>,
    /// The destination number or code.
    pub to: Box<str>,
    /// The text.
    pub text: Box<str>,
    /// How often that event was taken; stops at 65535.
    pub times: u16,
    /// When it was taken first, in milliseconds since the sink started; stops after seven weeks.
    pub at_ms: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    event: u64,
    word: u8,
    times: u16,
    at_ms: u32,
}

/// Words that come again and again.
#[derive(Default)]
struct Words(Vec<Box<str>>);

impl Words {
    const OTHER: &'static str = "other";

    fn number(&mut self, word: &str) -> u8 {
        let at = match self.0.iter().position(|known| **known == *word) {
            Some(at) => at,
            None if self.0.len() < WORDS_MAX => {
                self.0.push(word.into());
                self.0.len() - 1
            }
            None => WORDS_MAX,
        };
        u8::try_from(at).unwrap_or(u8::MAX)
    }

    fn word(&self, number: u8) -> &str {
        self.0
            .get(usize::from(number))
            .map_or(Self::OTHER, |word| &**word)
    }
}

type Keyed<V> = HashMap<u64, V, BuildHasherDefault<KeyHasher>>;

/// Counts and what was taken, in the order in which it was.
pub(super) struct WebhookRecorder {
    started: Instant,
    counts: Counts,
    words: Words,
    /// Calls taken by type, by the type's number.
    types: Vec<u64>,
    timelines: Keyed<SmallVec<[Entry; 1]>>,
    messages_max: usize,
    inbound: Vec<ReceivedInbound>,
    /// The place in `inbound`, by event.
    inbound_at: Keyed<usize>,
    inbound_max: usize,
    in_vain: Keyed<u16>,
}

impl WebhookRecorder {
    pub(super) fn new(messages_max: usize, inbound_max: usize) -> Self {
        Self {
            started: Instant::now(),
            counts: Counts::default(),
            words: Words::default(),
            types: Vec::new(),
            timelines: Keyed::default(),
            messages_max,
            inbound: Vec::new(),
            inbound_at: Keyed::default(),
            inbound_max,
            in_vain: Keyed::default(),
        }
    }

    fn now_ms(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_millis()).unwrap_or(u32::MAX)
    }

    /// Since when times are counted.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn connected(&mut self) {
        self.counts.connections += 1;
    }

    pub(super) fn malformed(&mut self) {
        self.counts.calls += 1;
        self.counts.malformed += 1;
    }

    /// How often calls about an event came in vain.
    pub(super) fn in_vain(&self, event: u64) -> u16 {
        self.in_vain.get(&event).copied().unwrap_or(0)
    }

    /// Records a call and its outcome.
    pub(super) fn called(&mut self, event: u64, notice: &Notice<'_>, outcome: CallOutcome) {
        self.counts.calls += 1;
        let in_vain = match outcome {
            CallOutcome::Taken => return self.taken(event, notice),
            CallOutcome::Refused => &mut self.counts.refused,
            CallOutcome::Redirected => &mut self.counts.redirected,
            CallOutcome::Hung => &mut self.counts.hung,
            CallOutcome::Cut => &mut self.counts.cut,
        };
        *in_vain += 1;
        if self.in_vain.len() < IN_VAIN_MAX || self.in_vain.contains_key(&event) {
            let times = self.in_vain.entry(event).or_default();
            *times = times.saturating_add(1);
        }
    }

    fn taken(&mut self, event: u64, notice: &Notice<'_>) {
        self.counts.taken += 1;
        self.in_vain.remove(&event);
        let kind = usize::from(self.words.number(&notice.kind));
        if self.types.len() <= kind {
            self.types.resize(kind + 1, 0);
        }
        if let Some(count) = self.types.get_mut(kind) {
            *count += 1;
        }
        match &notice.subject {
            Subject::Message { key, state } => self.message(event, *key, state),
            Subject::Inbound(inbound_sms) => self.inbound_sms(event, inbound_sms),
            Subject::Other => {}
        }
    }

    fn message(&mut self, event: u64, key: u64, state: &str) {
        let (word, at_ms) = (self.words.number(state), self.now_ms());
        if self.timelines.len() >= self.messages_max && !self.timelines.contains_key(&key) {
            self.counts.untracked += 1;
            return;
        }
        let timeline = self.timelines.entry(key).or_default();
        self.counts.messages += u64::from(timeline.is_empty());
        if let Some(entry) = timeline.iter_mut().find(|entry| entry.event == event) {
            entry.times = entry.times.saturating_add(1);
            self.counts.repeats += 1;
        } else if timeline.len() < EVENTS_OF_A_MESSAGE_MAX {
            timeline.push(Entry {
                event,
                word,
                times: 1,
                at_ms,
            });
            self.counts.events += 1;
        } else {
            self.counts.untracked += 1;
        }
    }

    fn inbound_sms(&mut self, event: u64, inbound_sms: &InboundSms<'_>) {
        if let Some(received) = self
            .inbound_at
            .get(&event)
            .and_then(|at| self.inbound.get_mut(*at))
        {
            received.times = received.times.saturating_add(1);
            self.counts.repeats += 1;
            return;
        }
        if self.inbound.len() >= self.inbound_max {
            self.counts.untracked += 1;
            return;
        }
        self.inbound_at.insert(event, self.inbound.len());
        self.inbound.push(ReceivedInbound {
            from: inbound_sms.from.as_ref().into(),
            to: inbound_sms.to.as_ref().into(),
            text: inbound_sms.text.as_ref().into(),
            times: 1,
            at_ms: self.now_ms(),
        });
        self.counts.events += 1;
    }

    /// The sums.
    pub(super) fn sums(&self) -> Counts {
        let types = self.types.iter().enumerate().filter(|(_, count)| **count > 0);
        let named = types.map(|(at, count)| {
            let number = u8::try_from(at).unwrap_or(u8::MAX);
            (self.words.word(number).to_owned(), *count)
        });
        Counts {
            by_type: named.collect(),
            ..self.counts.clone()
        }
    }

    /// The events taken of a message, in the order in which each was taken first.
    pub(super) fn timeline(&self, key: u64) -> Vec<ReceivedEvent<'_>> {
        self.timelines
            .get(&key)
            .map(|timeline| self.received(timeline))
            .unwrap_or_default()
    }

    fn received(&self, timeline: &[Entry]) -> Vec<ReceivedEvent<'_>> {
        let received = |entry: &Entry| ReceivedEvent {
            event: entry.event,
            state: self.words.word(entry.word),
            times: entry.times,
            at_ms: entry.at_ms,
        };
        timeline.iter().map(received).collect()
    }

    pub(super) fn each(&self, mut look: impl FnMut(u64, &[ReceivedEvent<'_>])) {
        for (key, timeline) in &self.timelines {
            look(*key, &self.received(timeline));
        }
    }

    pub(super) fn inbound(&self) -> &[ReceivedInbound] {
        &self.inbound
    }
}

/// What an event counts as.
pub(super) fn event_of(id: &str) -> u64 {
    hash(id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(key: u64, state: &'static str) -> Notice<'static> {
        Notice {
            kind: format!("message.{state}").into(),
            subject: Subject::Message {
                key,
                state: state.into(),
            },
        }
    }

    #[test]
    fn events_are_kept_in_the_order_in_which_they_were_first_taken() {
        let mut recorder = WebhookRecorder::new(10, 10);
        for (event, state) in [(1, "submitted"), (2, "delivered"), (1, "submitted")] {
            recorder.called(event, &notice(7, state), CallOutcome::Taken);
        }
        let timeline: Vec<_> = recorder
            .timeline(7)
            .iter()
            .map(|received| (received.event, received.state, received.times))
            .collect();
        assert_eq!(timeline, [(1, "submitted", 2), (2, "delivered", 1)]);
        let sums = recorder.sums();
        assert_eq!(
            (sums.taken, sums.events, sums.repeats, sums.messages),
            (3, 2, 1, 1)
        );
        assert_eq!(sums.by_type.get("message.submitted"), Some(&2));
        assert!(recorder.timeline(8).is_empty());
    }

    #[test]
    fn failed_calls_are_not_in_the_timeline_and_are_cleared_once_taken() {
        let mut recorder = WebhookRecorder::new(10, 10);
        for outcome in [
            CallOutcome::Refused,
            CallOutcome::Redirected,
            CallOutcome::Hung,
            CallOutcome::Cut,
        ] {
            recorder.called(1, &notice(7, "delivered"), outcome);
        }
        assert_eq!((recorder.in_vain(1), recorder.timeline(7).len()), (4, 0));
        recorder.called(1, &notice(7, "delivered"), CallOutcome::Taken);
        assert_eq!((recorder.in_vain(1), recorder.timeline(7).len()), (0, 1));
        let sums = recorder.sums();
        assert_eq!(
            (sums.calls, sums.refused, sums.redirected, sums.hung, sums.cut),
            (5, 1, 1, 1, 1)
        );
    }

    #[test]
    fn beyond_the_bounds_only_sums_are_kept() {
        let mut recorder = WebhookRecorder::new(2, 1);
        for key in 0..5 {
            recorder.called(key, &notice(key, "delivered"), CallOutcome::Taken);
        }
        for event in 0..40 {
            recorder.called(100 + event, &notice(0, "delivered"), CallOutcome::Taken);
        }
        assert_eq!(recorder.timeline(0).len(), EVENTS_OF_A_MESSAGE_MAX);
        assert_eq!(
            recorder.sums().untracked,
            3 + 40 + 1 - EVENTS_OF_A_MESSAGE_MAX as u64
        );
        let inbound_sms = |text: &'static str| Notice {
            kind: "message.received".into(),
            subject: Subject::Inbound(InboundSms {
                from: "1".into(),
                to: "2".into(),
                text: text.into(),
            }),
        };
        for (event, text) in [(1, "a"), (2, "b"), (1, "a")] {
            recorder.called(event, &inbound_sms(text), CallOutcome::Taken);
        }
        assert_eq!(recorder.inbound().len(), 1);
        assert_eq!(
            (&*recorder.inbound()[0].text, recorder.inbound()[0].times),
            ("a", 2)
        );
        for number in 0..100 {
            let kind = format!("other.{number}").into();
            recorder.called(
                0,
                &Notice {
                    kind,
                    subject: Subject::Other,
                },
                CallOutcome::Taken,
            );
        }
        let by_type = recorder.sums().by_type;
        assert_eq!(
            by_type.len(),
            WORDS_MAX,
            "states and types share the words: {by_type:?}"
        );
    }
}
