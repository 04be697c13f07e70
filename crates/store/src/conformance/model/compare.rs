//! What the store shows, held against the model.

use super::Model;
use crate::conformance::Backend;
use crate::conformance::fixtures::{
    ACCOUNT, all_counters, counted, events_after, everything, found, number, waiting_ids,
};
use crate::{EventKinds, MessageFilter, MessageId};
use std::collections::BTreeMap;

impl Model {
    /// The events that came since the last time, and the counters of all messages there ever were.
    pub(super) async fn compare_events(&mut self, backend: &impl Backend, when: &str) {
        let store = backend.store();
        let events = events_after(store, ACCOUNT, self.read_offset, EventKinds::ALL).await;
        assert!(events.is_sorted_by(|a, b| a.offset < b.offset), "{when}");
        self.read_offset = events.last().map_or(self.read_offset, |event| event.offset);
        let seen: Vec<_> = events.into_iter().map(|event| (event.at, event.what)).collect();
        assert_eq!(seen, std::mem::take(&mut self.happened), "{when}");

        let mut known = BTreeMap::new();
        for (id, count) in &self.counts {
            let key = (
                id.time_part().div_euclid(86_400_000) as i32,
                count.class.as_u8(),
                count.label,
                count.state,
                count.error.to_owned(),
            );
            let (messages, segments) = known.entry(key).or_insert((0, 0));
            *messages += 1;
            *segments += u64::from(count.segments);
        }
        let seen = counted(store, all_counters()).await.into_iter().map(|row| {
            assert_eq!(row.country, 1, "{when}");
            let (class, label) = (row.dimensions.class.as_u8(), row.dimensions.label);
            let key = (row.day, class, label, row.state, row.error.into_string());
            (key, (row.messages, row.segments))
        });
        assert_eq!(seen.collect::<BTreeMap<_, _>>(), known, "{when}");
    }

    pub(super) async fn compare(&self, backend: &impl Backend, when: &str) {
        let store = backend.store();
        let all: Vec<MessageId> = self.messages.keys().copied().collect();
        let views = store.messages(all).await.expect("read");
        let seen: Vec<_> = views
            .iter()
            .map(|view| (view.id, view.state, view.attempts))
            .collect();
        let known: Vec<_> = self
            .messages
            .iter()
            .map(|(&id, m)| (id, m.state, m.attempts))
            .collect();
        assert_eq!(seen, known, "{when}");

        for (&lane, waiting) in &self.lanes {
            let waiting: Vec<MessageId> = waiting.iter().map(|(id, _)| *id).collect();
            assert_eq!(waiting_ids(store, lane).await, waiting, "{when}");
        }
        let open: Vec<_> = store.open_attempts().await.expect("read");
        let open: Vec<_> = open
            .into_iter()
            .map(|attempt| {
                (
                    attempt.attempt,
                    attempt.messages.into_iter().map(|(id, _)| id).collect::<Vec<_>>(),
                )
            })
            .collect();
        let known: Vec<_> = self
            .open
            .iter()
            .map(|(&attempt, (_, ids))| (attempt, ids.clone()))
            .collect();
        assert_eq!(open, known, "{when}");

        let counts = store.counts().await.expect("counted");
        let queued = self.lanes.values().map(Vec::len).sum::<usize>();
        let in_flight = self.open.values().map(|(_, ids)| ids.len()).sum::<usize>();
        let counted = [
            counts.queued,
            counts.delayed,
            counts.in_flight,
            counts.unmatched_receipts,
        ]
        .map(|n| n as usize);
        assert_eq!(
            counted,
            [
                queued,
                self.delayed.len(),
                in_flight,
                self.unmatched_receipts.len()
            ],
            "{when}"
        );
        let due = self.delayed.iter().map(|(due, ..)| *due).min();
        assert_eq!(store.next_due().await.expect("read"), due, "{when}");

        let n = when.len() as u64 % 9;
        let by_number = MessageFilter {
            numbers: vec![number(n)],
            ..everything()
        };
        let mut known: Vec<MessageId> = self
            .messages
            .iter()
            .filter(|(_, m)| m.number == n)
            .map(|(&id, _)| id)
            .collect();
        known.reverse();
        assert_eq!(found(store, by_number).await, known, "{when}");
    }
}
