//! The recorded history of a simulator, from which another one is restored to its state at a given time.

use std::time::Instant;

use smpp::pdu::SubmitSm;
use sms::state::ReceiptState;

use super::SmscHandle;
use super::ledger::Ledger;
use super::part::{Anatomy, CountBy, key_of_number};
use super::receipt::{Delivery, Note};

/// Everything that was taken, and what became of the receipts, in its order.
#[derive(Clone, Debug, Default)]
pub struct Past {
    events: Vec<Event>,
}

#[derive(Clone, Debug)]
struct Event {
    at: Instant,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// A message, or a part of one, was taken.
    Taken { key: Option<u64>, pdu: Box<SubmitSm> },
    /// A receipt is to be sent.
    Planned(Box<Note>),
    /// It was acknowledged.
    Acknowledged {
        id: u64,
        key: Option<u64>,
        state: ReceiptState,
    },
    /// The last part of a generated inbound message was acknowledged.
    InboundTaken { number: u64 },
}

/// A receipt that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// When it was acknowledged.
    pub at: Instant,
    /// What the message, or the part of it, counts as; see [`CountBy`].
    pub key: u64,
    /// What it reported.
    pub state: ReceiptState,
}

impl Past {
    fn push(&mut self, what: What) {
        let at = Instant::now();
        self.events.push(Event { at, what });
    }

    /// What had happened by then.
    #[must_use]
    pub fn until(&self, moment: Instant) -> Self {
        let events = self.events.iter().filter(|event| event.at <= moment);
        Self {
            events: events.cloned().collect(),
        }
    }

    /// When each message, or part, was taken, by what it counts as: more than once if it was sent twice.
    pub fn taken(&self) -> impl Iterator<Item = (u64, Instant)> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Taken { key, .. } => Some(((*key)?, event.at)),
            _ => None,
        })
    }

    /// The generated inbound messages of which every part was acknowledged, by number, and when.
    pub fn inbound_taken(&self) -> impl Iterator<Item = (u64, Instant)> {
        self.events.iter().filter_map(|event| match event.what {
            What::InboundTaken { number } => Some((number, event.at)),
            _ => None,
        })
    }

    /// The receipts that were acknowledged.
    pub fn acknowledged(&self) -> impl Iterator<Item = Acknowledged> {
        self.events.iter().filter_map(|event| match event.what {
            What::Acknowledged { key, state, .. } => Some(Acknowledged {
                at: event.at,
                key: key?,
                state,
            }),
            _ => None,
        })
    }

    /// Receipts that are not acknowledged.
    fn owed(&self) -> Vec<Note> {
        let mut owed: Vec<Note> = Vec::new();
        for event in &self.events {
            match &event.what {
                What::Taken { .. } | What::InboundTaken { .. } => {}
                What::Planned(note) => owed.push((**note).clone()),
                What::Acknowledged { id, state, .. } => {
                    let same = |note: &Note| note.id == *id && note.state == *state;
                    if let Some(at) = owed.iter().position(same) {
                        owed.remove(at);
                    }
                }
            }
        }
        owed
    }
}

impl Ledger {
    /// Records a message that was taken, if the past is kept.
    pub(super) fn remember_taken(&mut self, key: Option<u64>, pdu: &SubmitSm) {
        if let Some(past) = &mut self.past {
            let pdu = Box::new(pdu.clone());
            past.push(What::Taken { key, pdu });
        }
    }

    /// Records a generated inbound message that the gateway has acknowledged.
    pub(super) fn remember_inbound(&mut self, number: u64) {
        if let Some(past) = &mut self.past {
            past.push(What::InboundTaken { number });
        }
    }

    /// Records a receipt that is to be sent.
    pub(super) fn remember_planned(&mut self, note: &Note) {
        if let Some(past) = &mut self.past {
            past.push(What::Planned(Box::new(note.clone())));
        }
    }

    /// Records a receipt that was acknowledged.
    pub(super) fn remember_acknowledged(&mut self, note: &Note) {
        if let Some(past) = &mut self.past {
            past.push(What::Acknowledged {
                id: note.id,
                key: note.key,
                state: note.state,
            });
        }
    }
}

impl SmscHandle {
    /// Keeps the past from now on: every message as it came. Without bound, so for tests that end.
    pub fn keep_past(&self) {
        self.shared.ledger.lock().past.get_or_insert_default();
    }

    /// The past, as far as it was kept.
    #[must_use]
    pub fn past(&self) -> Past {
        self.shared.ledger.lock().past.clone().unwrap_or_default()
    }

    /// Restores the state of another simulator: what that had taken counts as taken, and the receipts that it still owed
    /// to `system_id` are sent.
    pub fn restore(&self, past: &Past, system_id: &str) {
        let mut ledger = self.shared.ledger.lock();
        for event in &past.events {
            if let What::Taken { key, pdu } = &event.what {
                let anatomy = Anatomy::of(pdu);
                ledger.submitted(*key);
                ledger.taken(*key);
                if self.shared.config.count_by == CountBy::DestinationAndPart {
                    let number = key_of_number(pdu.destination.addr.as_bytes());
                    ledger.join(number, &anatomy, pdu.data_coding);
                }
            }
        }
        drop(ledger);
        let now_ms = self.shared.now().ms;
        let owed = past.owed().into_iter();
        let mut owed = owed.map(|note| (now_ms, Delivery::Receipt(note))).collect();
        self.shared.mailbox(&system_id.into()).schedule(&mut owed);
    }
}
