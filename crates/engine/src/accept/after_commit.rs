//! Enqueues committed messages in the ready queues right after the commit, without reading them back.

use super::Submission;
use crate::engine::Shared;
use sms::phone::Msisdn;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use store::{AcceptOutcome, BatchView, DimensionsNo, MessageId, NewBatch, Outgoing};

/// The parts of a batch that are needed to send its messages.
struct Kept {
    /// Complete but for its ids and count.
    view: BatchView,
    messages: Vec<KeptMessage>,
}

struct KeptMessage {
    msisdn: Msisdn,
    segments: u8,
    params: Option<Box<str>>,
}

/// Keeps what the ready queues need of the batches; the returned closure runs right after the commit.
pub(super) fn prepare(
    shared: &Arc<Shared>,
    submission: &Submission,
    batches: &[NewBatch],
) -> Box<dyn FnOnce(&AcceptOutcome) + Send> {
    let kept: Vec<Kept> = batches.iter().map(|batch| keep(submission, batch)).collect();
    let shared = Arc::clone(shared);
    let scheduled = submission.due.is_some();
    Box::new(move |stored| {
        enqueue_ready(&shared, kept, stored);
        // Not after the answer: the client may have gone by then.
        if scheduled {
            shared.delayed.notify_one();
        }
    })
}

fn keep(submission: &Submission, batch: &NewBatch) -> Kept {
    let messages = batch.messages.iter();
    Kept {
        view: BatchView {
            id: MessageId(0),
            session: MessageId(0),
            count: 0,
            accepted_at: 0,
            account: submission.account,
            dialect: submission.dialect,
            user: Arc::clone(&submission.user),
            dimensions: DimensionsNo::default(),
            class: batch.class,
            kind: batch.kind,
            message_type: batch.message_type,
            template: batch.template,
            text: Arc::clone(&batch.text),
            sender: batch.sender.clone(),
            label: batch.label,
            custom: None,
            due: batch.due,
            expires_at: batch.expires_at,
        },
        messages: messages
            .map(|m| KeptMessage {
                msisdn: m.msisdn,
                segments: m.segments,
                params: m.params.clone(),
            })
            .collect(),
    }
}

fn enqueue_ready(shared: &Shared, mut kept: Vec<Kept>, stored: &AcceptOutcome) {
    let mut refused: HashMap<u32, HashSet<u32>> = HashMap::new();
    for one in &stored.refused {
        refused.entry(one.batch).or_default().insert(one.message);
    }
    for (index, (batch, range)) in (0u32..).zip(kept.iter_mut().zip(&stored.batches)) {
        batch.view.id = range.first;
        batch.view.session = range.session;
        batch.view.count = range.count;
        batch.view.accepted_at = range.accepted_at;
        batch.view.dimensions = range.dimensions;
        // Messages refused inside the transaction have no id; the others moved up.
        if let Some(refused) = refused.get(&index) {
            let mut at = 0..;
            batch
                .messages
                .retain(|_| at.next().is_none_or(|at| !refused.contains(&at)));
        }
    }
    let views: Vec<Arc<BatchView>> = kept.iter().map(|batch| Arc::new(batch.view.clone())).collect();
    for range in &stored.queued {
        let index = range.batch as usize;
        let (Some(batch), Some(view)) = (kept.get_mut(index), views.get(index)) else {
            continue;
        };
        let from = (range.first.0 - view.id.0) as usize;
        let to = (range.last.0 - view.id.0) as usize;
        let Some(messages) = batch.messages.get_mut(from..=to) else {
            continue;
        };
        let outgoing = messages.iter_mut().enumerate().map(|(at, message)| Outgoing {
            id: range.first.plus(at as i64),
            reference: stored.reference_of(range.first.plus(at as i64)),
            key: range.key,
            msisdn: message.msisdn,
            params: message.params.take(),
            batch: Arc::clone(view),
            segments: message.segments,
            attempts: 0,
            last_attempt: None,
            taken: None,
        });
        shared
            .queues
            .of(range.key.lane.carrier)
            .enqueue_ready(range.key.lane, outgoing);
    }
}
