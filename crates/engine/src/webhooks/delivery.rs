//! One delivery: loads the subjects of its events, renders the calls, sends them and checks the answers.

use super::egress::{Answer, CallError, EndpointClient, RetryAfter, Target};
use super::metrics::{CallLabel, FormatLabel};
use super::plan::{Delivery, Retry, Unit};
use super::supervisor::{Permit, WebhookContext};
use super::{Call, EventPayload, Format, Subject};
use crate::catalog::EndpointEntry;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use store::{
    AccountId, DeliveryRetryFilter, Event, EventOffset, EventWhat, Inbound, InboundId, MessageId,
    MessageView, StoreError,
};
use tokio::time::Instant;

/// How long a review event waits for the catalog in memory to catch up with the store.
const CATALOG_WAIT_MAX: Duration = Duration::from_secs(5);
const CATALOG_LOOK_EVERY: Duration = Duration::from_millis(50);

/// The endpoint that a worker calls, with its format and connections.
pub(super) struct EndpointContext {
    pub(super) context: Arc<WebhookContext>,
    pub(super) entry: Arc<EndpointEntry>,
    pub(super) format: Arc<dyn Format>,
    pub(super) client: EndpointClient,
    pub(super) target: Result<Target, CallError>,
}

/// The result of a delivery.
pub(super) struct DeliveryDone {
    pub(super) delivery: Delivery,
    /// It was the breaker's trial call.
    pub(super) trial: bool,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    /// The endpoint accepted it.
    Taken,
    /// The format does not report the event, or its subject is gone: no call was made.
    Passed,
    /// The subject could not be read from the store: no call was made.
    Unread(StoreError),
    /// The endpoint did not accept it.
    Failed(Failed),
}

/// Why a call failed.
pub(super) struct Failed {
    /// Identifies the call: the offset of its first event.
    pub(super) first: EventOffset,
    /// The reason, for operators.
    pub(super) words: Box<str>,
    /// A retry cannot succeed.
    pub(super) permanent: bool,
    /// The endpoint wants no more calls (410).
    pub(super) gone: bool,
    /// The `Retry-After` of the answer.
    pub(super) retry_after: Option<RetryAfter>,
}

/// Makes the calls of a delivery.
pub(super) async fn deliver(
    endpoint_context: Arc<EndpointContext>,
    delivery: Delivery,
    trial: bool,
    permit: Option<Permit>,
) -> DeliveryDone {
    let mut delivery = delivery;
    let outcome = match try_deliver(&endpoint_context, &mut delivery).await {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Unread(error),
    };
    drop(permit);
    DeliveryDone {
        delivery,
        trial,
        outcome,
    }
}

async fn try_deliver(
    endpoint_context: &EndpointContext,
    delivery: &mut Delivery,
) -> Result<Outcome, StoreError> {
    let (events, ahead) = match delivery {
        Delivery::New(Unit { events, subjects, .. }) => (events.clone(), std::mem::take(subjects)),
        Delivery::Retry(Retry { no, .. }) => {
            let rows = endpoint_context
                .context
                .store()
                .delivery_retries(
                    endpoint_context.entry.endpoint.id,
                    DeliveryRetryFilter::Waiting,
                    *no - 1,
                    1,
                )
                .await?;
            match rows.into_iter().next() {
                Some(row) if row.no == *no => (row.events, Vec::new()),
                _ => return Ok(Outcome::Passed),
            }
        }
    };
    let Some(first) = events.first().map(|event| event.offset) else {
        return Ok(Outcome::Passed);
    };
    let failed = |words: String, permanent| {
        Ok(Outcome::Failed(Failed {
            first,
            words: words.into(),
            permanent,
            gone: false,
            retry_after: None,
        }))
    };
    let target = match &endpoint_context.target {
        Ok(target) => target,
        Err(error) => {
            endpoint_context.count(error.outcome());
            return failed(error.to_string(), false);
        }
    };
    let payloads = payloads(endpoint_context, events, ahead).await?;
    let stamp = endpoint_context.context.stamp();
    // A panic of the format fails this delivery only.
    let Ok(calls) = catch_unwind(AssertUnwindSafe(|| {
        endpoint_context
            .format
            .calls(&endpoint_context.entry, &payloads, &stamp)
    })) else {
        return failed("the format panicked".to_owned(), true);
    };
    if calls.is_empty() {
        return Ok(Outcome::Passed);
    }
    drop(payloads);
    for call in calls {
        let answer = match endpoint_context.make(target, call).await {
            Ok(answer) => answer,
            Err(error) => return failed(error.to_string(), error.is_permanent()),
        };
        if !endpoint_context.check_answer(&answer) {
            return Ok(Outcome::Failed(Failed {
                first,
                words: words(answer.status).into(),
                permanent: false,
                gone: endpoint_context.format.is_gone(answer.status, &answer.body),
                retry_after: answer.retry_after,
            }));
        }
    }
    Ok(Outcome::Taken)
}

impl EndpointContext {
    async fn make(&self, target: &Target, call: Call) -> Result<Answer, CallError> {
        let began = Instant::now();
        let result = self.client.call(target, call, self.format.time_max()).await;
        let metrics = self.context.metrics();
        let label = FormatLabel {
            format: self.format.name(),
        };
        metrics
            .call_seconds
            .get_or_create(&label)
            .observe(began.elapsed().as_secs_f64());
        if let Err(error) = &result {
            self.count(error.outcome());
        }
        result
    }

    /// Whether an answer accepts the call. A redirect never does: redirects are not followed.
    fn check_answer(&self, answer: &Answer) -> bool {
        let taken = !(300..400).contains(&answer.status) && self.format.is_taken(answer.status, &answer.body);
        self.count(if taken { "taken" } else { "refused" });
        taken
    }

    fn count(&self, outcome: &'static str) {
        let label = CallLabel {
            format: self.format.name(),
            outcome,
        };
        self.context.metrics().calls.get_or_create(&label).inc();
    }
}

pub(super) fn words(status: u16) -> String {
    match status {
        200..300 => format!("HTTP {status}, but not the answer that says it was taken"),
        300..400 => format!("HTTP {status}: redirects are not followed"),
        _ => format!("HTTP {status}"),
    }
}

async fn payloads(
    endpoint_context: &EndpointContext,
    events: Vec<Event>,
    ahead: Vec<Option<Subject>>,
) -> Result<Vec<EventPayload>, StoreError> {
    let mut subjects = ahead;
    subjects.resize_with(events.len(), || None);
    let missing: Vec<&Event> = events
        .iter()
        .zip(&subjects)
        .filter(|(_, subject)| subject.is_none())
        .map(|(event, _)| event)
        .collect();
    if missing
        .iter()
        .any(|event| event.what.kind() == store::EventKinds::REVIEWED)
    {
        catalog_as_new_as_the_store(&endpoint_context.context).await?;
    }
    let read = Read::of(&endpoint_context.context, &missing).await?;
    let account = endpoint_context.entry.endpoint.account;
    let payloads = events
        .into_iter()
        .zip(subjects)
        .map(|(event, subject)| EventPayload {
            subject: subject.unwrap_or_else(|| read.subject(&endpoint_context.context, account, &event)),
            event,
        });
    Ok(payloads.collect())
}

/// Loads the subjects of message and inbound events in one read.
pub(super) async fn ahead(
    context: &WebhookContext,
    account: AccountId,
    events: Vec<Event>,
) -> Result<Vec<(Event, Option<Subject>)>, StoreError> {
    let plain = |event: &&Event| matches!(event.what, EventWhat::Message { .. } | EventWhat::Inbound { .. });
    let read = Read::of(context, &events.iter().filter(plain).collect::<Vec<_>>()).await?;
    let with = |event: Event| {
        let subject = plain(&&event).then(|| read.subject(context, account, &event));
        (event, subject)
    };
    Ok(events.into_iter().map(with).collect())
}

/// Messages and inbound messages that several events refer to.
struct Read {
    messages: HashMap<MessageId, MessageView>,
    inbound: HashMap<InboundId, Inbound>,
}

impl Read {
    async fn of(context: &WebhookContext, events: &[&Event]) -> Result<Self, StoreError> {
        let (mut messages, mut inbound) = (Vec::new(), Vec::new());
        for event in events {
            match event.what {
                EventWhat::Accepted { first, count } => {
                    messages.extend((0..count).map(|n| first.plus(i64::from(n))));
                }
                EventWhat::Message { id, .. } => messages.push(id),
                EventWhat::Inbound { id } => inbound.push(id),
                _ => {}
            }
        }
        messages.sort_unstable();
        messages.dedup();
        let mut read = Self {
            messages: HashMap::with_capacity(messages.len()),
            inbound: HashMap::new(),
        };
        if !messages.is_empty() {
            let views = context.store().messages(messages).await?;
            read.messages
                .extend(views.into_iter().map(|view| (view.id, view)));
        }
        if !inbound.is_empty() {
            let views = context.store().inbound(inbound).await?;
            read.inbound.extend(views.into_iter().map(|view| (view.id, view)));
        }
        Ok(read)
    }

    fn subject(&self, context: &WebhookContext, account: AccountId, event: &Event) -> Subject {
        let subject = match event.what {
            EventWhat::Accepted { first, count } => {
                let ids = (0..count).map(|n| first.plus(i64::from(n)));
                let views: Vec<MessageView> = ids.filter_map(|id| self.messages.get(&id).cloned()).collect();
                (!views.is_empty()).then_some(Subject::Batch(views))
            }
            EventWhat::Message { id, .. } => self
                .messages
                .get(&id)
                .map(|view| Subject::Message(Box::new(view.clone()))),
            EventWhat::Inbound { id } => self
                .inbound
                .get(&id)
                .map(|inbound| Subject::Inbound(Box::new(inbound.clone()))),
            EventWhat::TemplateReviewed { number, .. } => context
                .catalog()
                .template_by_number(account, number)
                .map(|entry| Subject::Template(Box::new(entry.template.clone()))),
            EventWhat::SignatureReviewed { id, .. } => context
                .catalog()
                .signature(account, id)
                .map(|signature| Subject::Signature(Arc::clone(signature))),
            _ => None,
        };
        subject.unwrap_or(Subject::Gone)
    }
}

/// Waits until the catalog in memory has the version in the store: a review event is stored with its change, and the
/// catalog in memory follows.
async fn catalog_as_new_as_the_store(context: &WebhookContext) -> Result<(), StoreError> {
    let stored = context.store().catalog_version().await?;
    let deadline = Instant::now() + CATALOG_WAIT_MAX;
    while context.catalog().version() < stored && Instant::now() < deadline {
        tokio::time::sleep(CATALOG_LOOK_EVERY).await;
    }
    Ok(())
}
