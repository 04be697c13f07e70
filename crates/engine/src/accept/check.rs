//! Holding a submission against the catalog: what of it can be stored, and why the rest cannot.
//!
//! Pure: catalog and submission in, a [`Plan`] and the store's batches out.

use super::{
    Duplicates, Fate, FrozenText, Item, ItemOutcome, Missing, Outcome, Overlong, Recipient, Refusal, Rules,
    SignatureRef, Submission, TemplateRef, Values,
};
use crate::catalog::{Snapshot, TemplateEntry, signed};
use crate::route::Wanted;
use sms::class::Class;
use sms::phone::{Msisdn, PhoneError};
use sms::segment::Reference;
use sms::template::Template as Pattern;
use std::collections::HashSet;
use std::sync::Arc;
use store::{AcceptOutcome, Account, CarrierNo, NewBatch, NewMessage, Position, RefusedReason, Review};

/// Which stored message, or which refusal, each recipient of a submission came to.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    items: Vec<ItemPlan>,
}

#[derive(Debug)]
struct ItemPlan {
    refused: Option<Refusal>,
    template: i64,
    recipients: Vec<Place>,
}

/// Where a recipient went.
#[derive(Debug, Clone, Copy)]
enum Place {
    Refused(Refusal),
    Stored { batch: u32, message: u32 },
}

/// The text of an item, in both styles of brackets, and what to fill it with.
struct Text {
    number: i64,
    class: Class,
    /// What variables and their positions are taken from.
    content: Pattern,
    domestic: Arc<str>,
    international: Arc<str>,
}

/// Checks a whole submission.
pub(crate) fn check(
    submission: &Submission,
    account: &Account,
    catalog: &Snapshot,
    segment_reference: Reference,
) -> (Plan, Vec<NewBatch>) {
    let mut plan = Plan {
        items: Vec::with_capacity(submission.items.len()),
    };
    let mut batches: Vec<NewBatch> = Vec::new();
    for item in &submission.items {
        let opens_session = !submission.one_session || batches.is_empty();
        let checker = ItemChecker {
            submission,
            item,
            account,
            catalog,
            segment_reference,
        };
        match checker.text_and_sender() {
            Err(refusal) => plan.items.push(ItemPlan {
                refused: Some(refusal),
                template: 0,
                recipients: vec![Place::Refused(refusal); item.recipients.len()],
            }),
            Ok((text, sender)) => {
                let first_batch = batches.len();
                let recipients = checker.recipients(&text, sender, &mut batches);
                if let Some(batch) = batches.get_mut(first_batch) {
                    batch.opens_session = opens_session;
                }
                plan.items.push(ItemPlan {
                    refused: None,
                    template: text.number,
                    recipients,
                });
            }
        }
    }
    (plan, batches)
}

impl Plan {
    /// How many recipients have a place among what is to be stored, and how many have none.
    pub(crate) fn places(&self) -> (u64, u64) {
        let places = || self.items.iter().flat_map(|item| &item.recipients);
        let stored = places()
            .filter(|place| matches!(place, Place::Stored { .. }))
            .count() as u64;
        (stored, places().count() as u64 - stored)
    }

    /// The outcome, once the store has said what it stored.
    pub(crate) fn outcome(&self, stored: &AcceptOutcome) -> Outcome {
        let mut refused_at_commit: Vec<_> = stored.refused.clone();
        refused_at_commit.sort_unstable_by_key(|refused| (refused.batch, refused.message));
        let fate = |place: &Place| match *place {
            Place::Refused(refusal) => Fate::Refused(refusal),
            Place::Stored { batch, message } => {
                let key = (batch, message);
                // Messages of a batch stay contiguous without the refused ones: each refused one before
                // this one moves it forward by one.
                let of_batch = refused_at_commit.partition_point(|refused| refused.batch < batch);
                match refused_at_commit.binary_search_by_key(&key, |refused| (refused.batch, refused.message))
                {
                    Ok(at) => {
                        let reason = refused_at_commit.get(at).map(|refused| refused.reason);
                        Fate::Refused(reason.map_or(Refusal::PhoneSuppressed, refusal_at_commit))
                    }
                    Err(at) => {
                        let before = at.saturating_sub(of_batch);
                        let first = stored.batches.get(batch as usize).map(|range| range.first);
                        first.map_or(Fate::Refused(Refusal::NoRoute), |first| {
                            Fate::Accepted(first.plus(i64::from(message) - before as i64))
                        })
                    }
                }
            }
        };
        let items = self.items.iter().map(|item| {
            let fates: Vec<Fate> = item.recipients.iter().map(fate).collect();
            let session = item
                .recipients
                .iter()
                .zip(&fates)
                .find_map(|(place, fate)| match (place, fate) {
                    (Place::Stored { batch, .. }, Fate::Accepted(_)) => {
                        stored.batches.get(*batch as usize).map(|range| range.session)
                    }
                    _ => None,
                });
            ItemOutcome {
                refused: item.refused,
                session,
                template: item.template,
                fates,
            }
        });
        Outcome {
            items: items.collect(),
        }
    }
}

const fn refusal_at_commit(reason: RefusedReason) -> Refusal {
    match reason {
        RefusedReason::PerMinute => Refusal::PerMinute,
        RefusedReason::PerDay => Refusal::PerDay,
        _ => Refusal::PhoneSuppressed,
    }
}

/// Looks a text up now, so that it can be sent later as it is now.
pub(crate) fn freeze(
    account: &Account,
    catalog: &Snapshot,
    item: &Item,
    submission: &Submission,
) -> Result<FrozenText, Refusal> {
    let checker = ItemChecker {
        submission,
        item,
        account,
        catalog,
        segment_reference: Reference::default(),
    };
    let (text, _) = checker.text_and_sender()?;
    let content = match &item.template {
        TemplateRef::Frozen(frozen) => frozen.content.clone(),
        TemplateRef::BuiltIn(built_in) => built_in.text().into(),
        _ => catalog
            .template_by_number(account.id, text.number)
            .map(|entry| entry.template.text.clone())
            .ok_or(Refusal::TemplateUnknown)?,
    };
    Ok(FrozenText {
        number: text.number,
        class: text.class,
        content,
        domestic: text.domestic,
        international: text.international,
    })
}

struct ItemChecker<'a> {
    submission: &'a Submission,
    item: &'a Item,
    account: &'a Account,
    catalog: &'a Snapshot,
    segment_reference: Reference,
}

/// A text that recipients can share: its segments and whether it can only fail.
#[derive(Clone, Copy)]
struct Measured {
    segments: u8,
    failure: Option<u16>,
}

impl ItemChecker<'_> {
    fn rules(&self) -> &Rules {
        &self.submission.rules
    }

    fn text_and_sender(&self) -> Result<(Text, Option<Box<str>>), Refusal> {
        let text = self.text()?;
        let sender = self.sender()?;
        Ok((text, sender))
    }

    fn text(&self) -> Result<Text, Refusal> {
        let entry = match &self.item.template {
            TemplateRef::Number(number) => self.catalog.template_by_number(self.account.id, *number),
            TemplateRef::UtId(ut_id) => self.catalog.template_by_ut_id(self.account.id, ut_id),
            TemplateRef::Any(id) => id
                .parse()
                .ok()
                .and_then(|number| self.catalog.template_by_number(self.account.id, number))
                .or_else(|| self.catalog.template_by_ut_id(self.account.id, id)),
            TemplateRef::Frozen(frozen) => {
                return Ok(Text {
                    number: frozen.number,
                    class: frozen.class,
                    content: Pattern::parse(&frozen.content),
                    domestic: Arc::clone(&frozen.domestic),
                    international: Arc::clone(&frozen.international),
                });
            }
            TemplateRef::BuiltIn(built_in) => {
                let (domestic, international) = self.around(built_in.text(), Position::Front, None)?;
                return Ok(Text {
                    number: built_in.number(),
                    class: Class::Otp,
                    content: Pattern::parse(built_in.text()),
                    domestic,
                    international,
                });
            }
        };
        let entry = entry.ok_or(Refusal::TemplateUnknown)?;
        if entry.template.review != Review::Approved {
            return Err(Refusal::TemplateNotApproved);
        }
        let (domestic, international) =
            self.around(&entry.template.text, entry.template.position, Some(entry))?;
        Ok(Text {
            number: entry.template.number,
            class: entry.template.class,
            content: entry.pattern.clone(),
            domestic,
            international,
        })
    }

    /// The text with the right signature around it, in both styles.
    fn around(
        &self,
        text: &str,
        position: Position,
        entry: Option<&Arc<TemplateEntry>>,
    ) -> Result<(Arc<str>, Arc<str>), Refusal> {
        let signature = match &self.item.signature {
            SignatureRef::OfTemplate => {
                return match entry {
                    Some(entry) if !entry.signature_approved => Err(Refusal::SignatureInvalid),
                    Some(entry) => Ok((Arc::clone(&entry.domestic), Arc::clone(&entry.international))),
                    None => {
                        let text: Arc<str> = Arc::from(text);
                        Ok((Arc::clone(&text), text))
                    }
                };
            }
            SignatureRef::Text(written) => self.catalog.signature_by_text(self.account.id, written),
            SignatureRef::Id(id) => self.catalog.signature(self.account.id, *id),
        };
        let signature = signature
            .filter(|signature| signature.review == Review::Approved)
            .ok_or(Refusal::SignatureInvalid)?;
        Ok((
            Arc::from(signed(text, &signature.text, position, true)),
            Arc::from(signed(text, &signature.text, position, false)),
        ))
    }

    fn sender(&self) -> Result<Option<Box<str>>, Refusal> {
        let Some(sender) = self
            .item
            .sender
            .as_deref()
            .map(str::trim)
            .filter(|sender| !sender.is_empty())
        else {
            return Ok(None);
        };
        let rules = self.rules();
        let chars = sender.chars().count();
        let bounds = rules.sender_chars_min..=rules.sender_chars_max;
        let plain = !rules.sender_alphanumeric || sender.chars().all(|c| c.is_ascii_alphanumeric());
        let allowed = self.account.senders.is_empty() || self.account.senders.iter().any(|s| **s == *sender);
        let printable = !sender.chars().any(char::is_control);
        if !(bounds.contains(&chars) && plain && allowed && printable) {
            return Err(Refusal::SenderInvalid);
        }
        Ok(Some(Box::from(sender)))
    }

    fn recipients(&self, text: &Text, sender: Option<Box<str>>, batches: &mut Vec<NewBatch>) -> Vec<Place> {
        let mut seen = HashSet::new();
        // Values common to all are filled once; the result, or the refusal, then goes for every recipient.
        let shared = self.values(&self.item.values, text);
        let mut open: [Option<OpenBatch>; 2] = [None, None];
        let split = text.domestic != text.international;
        let mut routed: Option<(bool, Option<CarrierNo>)> = None;
        let mut places = Vec::with_capacity(self.item.recipients.len());
        for recipient in &self.item.recipients {
            let place = self
                .recipient(recipient, text, &shared, &mut seen)
                .and_then(|found| {
                    let domestic = split && found.msisdn.is_mainland_china();
                    let carrier = self.route(found.msisdn, text.class, sender.as_deref(), &mut routed)?;
                    let slot = open.get_mut(usize::from(domestic)).ok_or(Refusal::NoRoute)?;
                    let batch = match slot {
                        Some(batch) => batch,
                        None => {
                            let pattern = if domestic {
                                &text.domestic
                            } else {
                                &text.international
                            };
                            batches.push(self.batch(text, pattern, sender.clone()));
                            slot.insert(OpenBatch::new(batches.len() - 1, Pattern::parse(pattern)))
                        }
                    };
                    let values = found
                        .own
                        .as_ref()
                        .or(shared.as_ref().ok())
                        .ok_or(Refusal::ValueMissing)?;
                    let shares_text = found.own.is_none();
                    let measured = match (shares_text, batch.measured) {
                        (true, Some(measured)) => measured?,
                        _ => {
                            let measured = self.measure(&batch.pattern, values, &mut batch.rendered);
                            if shares_text {
                                batch.measured = Some(measured);
                            }
                            measured?
                        }
                    };
                    let into = batches.get_mut(batch.index).ok_or(Refusal::NoRoute)?;
                    into.messages.push(NewMessage {
                        msisdn: found.msisdn,
                        written: recipient.phone.clone(),
                        params: (!values.filled.is_empty()).then(|| values.json.clone()),
                        extra: recipient.extra.clone(),
                        carrier,
                        segments: measured.segments,
                        failure: values.failure.or(measured.failure),
                    });
                    Ok(Place::Stored {
                        batch: batch.index as u32,
                        message: into.messages.len() as u32 - 1,
                    })
                });
            places.push(place.unwrap_or_else(Place::Refused));
        }
        // A batch none of whose recipients has values of its own needs no params: its text is final.
        for batch in open.into_iter().flatten() {
            batch.settle(batches, shared.as_ref().ok());
        }
        drop_empty(batches, &mut places);
        places
    }

    fn recipient(
        &self,
        recipient: &Recipient,
        text: &Text,
        shared: &Result<Filled, Refusal>,
        seen: &mut HashSet<Msisdn>,
    ) -> Result<Found, Refusal> {
        if let Some(refusal) = recipient.refused {
            return Err(refusal);
        }
        let msisdn =
            sms::phone::parse(&recipient.phone, self.rules().grammar).map_err(|error| match error {
                PhoneError::Empty => Refusal::PhoneEmpty,
                _ => Refusal::PhoneFormat,
            })?;
        if self.rules().duplicates == Duplicates::RefuseLater && !seen.insert(msisdn) {
            return Err(Refusal::PhoneDuplicate);
        }
        let own = match &recipient.values {
            Values::None => {
                if let Err(refusal) = shared {
                    return Err(*refusal);
                }
                None
            }
            own => Some(self.values(own, text)?),
        };
        Ok(Found { msisdn, own })
    }

    /// Values by position, checked against the rules.
    fn values(&self, values: &Values, text: &Text) -> Result<Filled, Refusal> {
        let rules = self.rules();
        let variables = text.content.variables();
        let filled: Vec<Option<Box<str>>> = match values {
            Values::None => vec![None; variables.len()],
            Values::Positional(given) => {
                if rules.refuse_surplus && given.len() > variables.len() {
                    return Err(Refusal::ValueSurplus);
                }
                text.content.resolve_positional(given)
            }
            Values::Named(given) => {
                let pairs = given.iter().map(|(name, value)| (&**name, &**value));
                text.content.resolve_named(pairs)
            }
        };
        let mut failure = None;
        for value in &filled {
            match value {
                None => match rules.missing {
                    Missing::Refuse => return Err(Refusal::ValueMissing),
                    Missing::Fail(code) => failure = Some(code),
                    Missing::Literal => {}
                },
                Some(value) => {
                    if rules
                        .value_chars_max
                        .is_some_and(|max| value.chars().count() > max)
                    {
                        return Err(Refusal::ValueTooLong);
                    }
                    if !rules.links_in_values && sms::template::contains_link(value) {
                        return Err(Refusal::ValueHasLink);
                    }
                }
            }
        }
        Ok(Filled::new(filled, failure))
    }

    fn measure(
        &self,
        pattern: &Pattern,
        values: &Filled,
        rendered: &mut String,
    ) -> Result<Measured, Refusal> {
        rendered.clear();
        pattern.render_into(rendered, &values.as_refs());
        let rules = self.rules();
        let mut failure = None;
        if rules
            .text_chars_max
            .is_some_and(|max| rendered.chars().count() > max)
        {
            match rules.overlong {
                Overlong::Refuse => return Err(Refusal::TextTooLong),
                Overlong::Fail(code) => failure = Some(code),
            }
        }
        match (sms::segment::count(rendered, self.segment_reference), failure) {
            (Ok(segments), failure) => Ok(Measured {
                segments: segments.min(255) as u8,
                failure,
            }),
            (Err(_), Some(code)) => Ok(Measured {
                segments: 255,
                failure: Some(code),
            }),
            (Err(_), None) => Err(Refusal::TextTooLong),
        }
    }

    fn route(
        &self,
        msisdn: Msisdn,
        class: Class,
        sender: Option<&str>,
        routed: &mut Option<(bool, Option<CarrierNo>)>,
    ) -> Result<CarrierNo, Refusal> {
        let decide = || {
            let wanted = Wanted {
                msisdn,
                account: self.account.id,
                class,
                kind: self.submission.kind,
                sender,
            };
            self.catalog.routes().carriers(wanted).next()
        };
        // When no route looks at the number, one decision serves the whole item.
        let carrier = match (&routed, self.catalog.routes().is_uniform()) {
            (Some((_, carrier)), true) => *carrier,
            _ => {
                let carrier = decide();
                *routed = Some((true, carrier));
                carrier
            }
        };
        carrier.ok_or(Refusal::NoRoute)
    }

    fn batch(&self, text: &Text, pattern: &Arc<str>, sender: Option<Box<str>>) -> NewBatch {
        NewBatch {
            opens_session: false,
            class: text.class,
            kind: self.submission.kind,
            template: text.number,
            text: Arc::clone(pattern),
            sender,
            label: self.submission.label,
            custom: self.submission.custom.clone(),
            due: self.submission.due,
            messages: Vec::with_capacity(self.item.recipients.len()),
        }
    }
}

struct Found {
    msisdn: Msisdn,
    own: Option<Filled>,
}

/// Values by position, and the same as the JSON array that is stored.
struct Filled {
    filled: Vec<Option<Box<str>>>,
    json: Box<str>,
    failure: Option<u16>,
}

impl Filled {
    fn new(filled: Vec<Option<Box<str>>>, failure: Option<u16>) -> Self {
        // Strings and nulls always serialise.
        let json = serde_json::to_string(&filled)
            .unwrap_or_else(|_| "[]".to_owned())
            .into_boxed_str();
        Self {
            filled,
            json,
            failure,
        }
    }

    fn as_refs(&self) -> Vec<Option<&str>> {
        self.filled.iter().map(|value| value.as_deref()).collect()
    }
}

/// A batch being filled.
struct OpenBatch {
    index: usize,
    pattern: Pattern,
    rendered: String,
    /// Of the text that recipients without values of their own share.
    measured: Option<Result<Measured, Refusal>>,
}

impl OpenBatch {
    fn new(index: usize, pattern: Pattern) -> Self {
        Self {
            index,
            pattern,
            rendered: String::new(),
            measured: None,
        }
    }

    fn settle(self, batches: &mut [NewBatch], shared: Option<&Filled>) {
        let (Some(batch), Some(shared)) = (batches.get_mut(self.index), shared) else {
            return;
        };
        let all_shared = batch
            .messages
            .iter()
            .all(|m| m.params.as_deref().is_none_or(|p| *p == *shared.json));
        if !all_shared {
            return;
        }
        if !shared.filled.is_empty() {
            batch.text = Arc::from(self.pattern.render(&shared.as_refs()));
        }
        for message in &mut batch.messages {
            message.params = None;
        }
    }
}

/// A batch whose every recipient was refused for its text is not stored; later batches move up.
fn drop_empty(batches: &mut Vec<NewBatch>, places: &mut [Place]) {
    while let Some(empty) = batches.iter().position(|batch| batch.messages.is_empty()) {
        batches.remove(empty);
        for place in places.iter_mut() {
            if let Place::Stored { batch, .. } = place
                && *batch as usize > empty
            {
                *batch -= 1;
            }
        }
    }
}
