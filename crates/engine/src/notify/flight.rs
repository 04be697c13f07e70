//! One call, or the few calls that tell one thing: what there is to say is read, worded by the format, sent, and the
//! answer judged.

use super::egress::{Answer, CallError, EndpointClient, RetryAfter, Target};
use super::metrics::{CallLabel, FormatLabel};
use super::office::{Office, Permit};
use super::plan::{Again, Errand, Unit};
use super::{Call, Format, Subject, Telling};
use crate::catalog::EndpointEntry;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use store::{
    AccountId, Event, EventPlace, EventWhat, Inbound, InboundId, MessageId, MessageView, RedeliveryFilter,
    StoreError,
};
use tokio::time::Instant;

/// How long a review is not told because the catalog in memory may be older than it.
const CATALOG_WAIT_MAX: Duration = Duration::from_secs(5);
const CATALOG_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whom a worker calls, and how.
pub(super) struct Desk {
    pub(super) office: Arc<Office>,
    pub(super) entry: Arc<EndpointEntry>,
    pub(super) format: Arc<dyn Format>,
    pub(super) client: EndpointClient,
    pub(super) target: Result<Target, CallError>,
}

/// What became of an errand.
pub(super) struct Landed {
    pub(super) errand: Errand,
    /// It was to find out whether the endpoint is well again.
    pub(super) trial: bool,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    /// The endpoint took it.
    Taken,
    /// The format has no words for it, or it is not there any more: no call was made.
    Passed,
    /// The store did not say what it is about: no call was made.
    Unread(StoreError),
    /// The endpoint did not take it.
    Failed(Failed),
}

/// Why a call failed.
pub(super) struct Failed {
    /// By what the call is known: the first event in it.
    pub(super) first: EventPlace,
    /// In words for people.
    pub(super) words: Box<str>,
    /// It will never go better.
    pub(super) hopeless: bool,
    /// The endpoint wants no calls at all any more.
    pub(super) gone: bool,
    /// How long, or until when, the endpoint asks to be left alone.
    pub(super) retry_after: Option<RetryAfter>,
}

/// Makes the calls of an errand.
pub(super) async fn fly(desk: Arc<Desk>, errand: Errand, trial: bool, permit: Option<Permit>) -> Landed {
    let mut errand = errand;
    let outcome = match tell(&desk, &mut errand).await {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Unread(error),
    };
    drop(permit);
    Landed {
        errand,
        trial,
        outcome,
    }
}

async fn tell(desk: &Desk, errand: &mut Errand) -> Result<Outcome, StoreError> {
    let (events, ahead) = match errand {
        Errand::New(Unit { events, subjects, .. }) => (events.clone(), std::mem::take(subjects)),
        Errand::Again(Again { no, .. }) => {
            let rows = desk
                .office
                .store()
                .redeliveries(desk.entry.endpoint.id, RedeliveryFilter::Waiting, *no - 1, 1)
                .await?;
            match rows.into_iter().next() {
                Some(row) if row.no == *no => (row.events, Vec::new()),
                _ => return Ok(Outcome::Passed),
            }
        }
    };
    let Some(first) = events.first().map(|event| event.place) else {
        return Ok(Outcome::Passed);
    };
    let failed = |words: String, hopeless| {
        Ok(Outcome::Failed(Failed {
            first,
            words: words.into(),
            hopeless,
            gone: false,
            retry_after: None,
        }))
    };
    let target = match &desk.target {
        Ok(target) => target,
        Err(error) => {
            desk.count(error.outcome());
            return failed(error.to_string(), false);
        }
    };
    let tellings = tellings(desk, events, ahead).await?;
    let stamp = desk.office.stamp();
    // A format that trips over one event must not keep the endpoint from all others.
    let Ok(calls) = catch_unwind(AssertUnwindSafe(|| {
        desk.format.calls(&desk.entry, &tellings, &stamp)
    })) else {
        return failed("the format could not word it".to_owned(), true);
    };
    if calls.is_empty() {
        return Ok(Outcome::Passed);
    }
    drop(tellings);
    for call in calls {
        let answer = match desk.make(target, call).await {
            Ok(answer) => answer,
            Err(error) => return failed(error.to_string(), error.is_hopeless()),
        };
        if !desk.judge(&answer) {
            return Ok(Outcome::Failed(Failed {
                first,
                words: words(answer.status).into(),
                hopeless: false,
                gone: desk.format.is_gone(answer.status, &answer.body),
                retry_after: answer.retry_after,
            }));
        }
    }
    Ok(Outcome::Taken)
}

impl Desk {
    async fn make(&self, target: &Target, call: Call) -> Result<Answer, CallError> {
        let began = Instant::now();
        let result = self.client.call(target, call, self.format.time_max()).await;
        let metrics = self.office.metrics();
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

    /// Whether an answer means that the call was taken. A redirect never does: nobody follows it.
    fn judge(&self, answer: &Answer) -> bool {
        let taken = !(300..400).contains(&answer.status) && self.format.is_taken(answer.status, &answer.body);
        self.count(if taken { "taken" } else { "refused" });
        taken
    }

    fn count(&self, outcome: &'static str) {
        let label = CallLabel {
            format: self.format.name(),
            outcome,
        };
        self.office.metrics().calls.get_or_create(&label).inc();
    }
}

pub(super) fn words(status: u16) -> String {
    match status {
        200..300 => format!("HTTP {status}, but not the answer that says it was taken"),
        300..400 => format!("HTTP {status}: redirects are not followed"),
        _ => format!("HTTP {status}"),
    }
}

async fn tellings(
    desk: &Desk,
    events: Vec<Event>,
    ahead: Vec<Option<Subject>>,
) -> Result<Vec<Telling>, StoreError> {
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
        catalog_as_new_as_the_store(&desk.office).await?;
    }
    let read = Read::of(&desk.office, &missing).await?;
    let account = desk.entry.endpoint.account;
    let tellings = events.into_iter().zip(subjects).map(|(event, subject)| Telling {
        subject: subject.unwrap_or_else(|| read.subject(&desk.office, account, &event)),
        event,
    });
    Ok(tellings.collect())
}

/// Reads ahead what there is to say of messages and inbound ones, for many events at once.
pub(super) async fn ahead(
    office: &Office,
    account: AccountId,
    events: Vec<Event>,
) -> Result<Vec<(Event, Option<Subject>)>, StoreError> {
    let plain = |event: &&Event| matches!(event.what, EventWhat::Message { .. } | EventWhat::Inbound { .. });
    let read = Read::of(office, &events.iter().filter(plain).collect::<Vec<_>>()).await?;
    let with = |event: Event| {
        let subject = plain(&&event).then(|| read.subject(office, account, &event));
        (event, subject)
    };
    Ok(events.into_iter().map(with).collect())
}

/// What was read of several events at once.
struct Read {
    messages: HashMap<MessageId, MessageView>,
    inbound: HashMap<InboundId, Inbound>,
}

impl Read {
    async fn of(office: &Office, events: &[&Event]) -> Result<Self, StoreError> {
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
            let views = office.store().messages(messages).await?;
            read.messages
                .extend(views.into_iter().map(|view| (view.id, view)));
        }
        if !inbound.is_empty() {
            let views = office.store().inbound(inbound).await?;
            read.inbound.extend(views.into_iter().map(|view| (view.id, view)));
        }
        Ok(read)
    }

    fn subject(&self, office: &Office, account: AccountId, event: &Event) -> Subject {
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
            EventWhat::TemplateReviewed { number, .. } => office
                .catalog()
                .template_by_number(account, number)
                .map(|entry| Subject::Template(Box::new(entry.template.clone()))),
            EventWhat::SignatureReviewed { id, .. } => office
                .catalog()
                .signature(account, id)
                .map(|signature| Subject::Signature(Arc::clone(signature))),
            _ => None,
        };
        subject.unwrap_or(Subject::Gone)
    }
}

/// An event of the catalog is logged with the change it tells; the catalog in memory follows a moment later.
async fn catalog_as_new_as_the_store(office: &Office) -> Result<(), StoreError> {
    let stored = office.store().catalog_version().await?;
    let deadline = Instant::now() + CATALOG_WAIT_MAX;
    while office.catalog().version() < stored && Instant::now() < deadline {
        tokio::time::sleep(CATALOG_LOOK_EVERY).await;
    }
    Ok(())
}
