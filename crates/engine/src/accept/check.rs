//! Holding a submission against the catalog: what of it can be stored, and why the rest cannot.
//!
//! Pure: catalog and submission in, a [`Plan`] and the store's batches out.

use super::lifetime::{Lifetime, TimeToLive};
use super::plan::{ItemPlan, Placement, Plan};
use super::text::Text;
use super::{
    Duplicates, Forbidden, Item, Missing, Overlong, Recipient, Refusal, Rules, Submission, TemplateRef,
    TemplateSnapshot, Values,
};
use crate::catalog::Snapshot;
use crate::route::Wanted;
use sms::class::Class;
use sms::encoding::Encoding;
use sms::phone::{Msisdn, PhoneError};
use sms::sender::Sender;
use sms::template::Template as Pattern;
use sms::visible::trim_blanks;
use std::collections::HashSet;
use std::sync::Arc;
use store::{Account, CarrierNo, NewBatch, NewMessage};

/// Checks a whole submission.
pub(crate) fn check(
    submission: &Submission,
    account: &Account,
    catalog: &Snapshot,
    lifetime: Lifetime,
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
            lifetime,
        };
        match checker.text_and_sender() {
            Err(refusal) => plan.items.push(ItemPlan {
                refused: Some(refusal),
                template: 0,
                recipients: vec![Placement::Refused(refusal); item.recipients.len()],
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

/// Looks a text up now, so that it can be sent later as it is now.
pub(crate) fn pin_template(
    account: &Account,
    catalog: &Snapshot,
    item: &Item,
    submission: &Submission,
) -> Result<TemplateSnapshot, Refusal> {
    let checker = ItemChecker {
        submission,
        item,
        account,
        catalog,
        // Not looked at: the end is counted when messages are accepted.
        lifetime: Lifetime {
            time_to_live: TimeToLive::default(),
            now: 0,
        },
    };
    let (text, _) = checker.text_and_sender()?;
    let content = match &item.template {
        TemplateRef::Pinned(pinned) => pinned.content.clone(),
        TemplateRef::BuiltIn(built_in) => built_in.text().into(),
        _ => catalog
            .template_by_number(account.id, text.number)
            .map(|entry| entry.template.text.clone())
            .ok_or(Refusal::TemplateUnknown)?,
    };
    Ok(TemplateSnapshot {
        number: text.number,
        class: text.class,
        ttl_s: text.ttl_s,
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
    lifetime: Lifetime,
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
        let text = Text::find(self.item, self.account.id, self.catalog)?;
        let sender = self.sender()?;
        Ok((text, sender))
    }

    fn sender(&self) -> Result<Option<Box<str>>, Refusal> {
        let Some(sender) = self
            .item
            .sender
            .as_deref()
            .map(trim_blanks)
            .filter(|sender| !sender.is_empty())
        else {
            return Ok(None);
        };
        let rules = self.rules();
        let chars = sender.chars().count();
        let bounds = rules.sender_chars_min..=rules.sender_chars_max;
        let plain = !rules.sender_alphanumeric || sender.chars().all(|c| c.is_ascii_alphanumeric());
        // What no address field holds would be refused by every carrier, long after the answer.
        let own = &self.account.senders;
        let allowed = own.is_empty() || own.iter().any(|own| Sender::same(own, sender));
        if !(bounds.contains(&chars) && plain && allowed && Sender::parse(sender).is_ok()) {
            return Err(Refusal::SenderInvalid);
        }
        Ok(Some(Box::from(sender)))
    }

    fn recipients(
        &self,
        text: &Text,
        sender: Option<Box<str>>,
        batches: &mut Vec<NewBatch>,
    ) -> Vec<Placement> {
        let mut seen = HashSet::new();
        let first_batch = batches.len();
        // Values common to all are filled once; the result, or the refusal, then goes for every recipient.
        let shared = self.values(&self.item.values, text);
        let (mut open, mut open_domestic): (Option<OpenBatch>, Option<OpenBatch>) = (None, None);
        let split = text.domestic != text.international;
        let mut routed = None;
        let mut placements = Vec::with_capacity(self.item.recipients.len());
        for recipient in &self.item.recipients {
            let placement = self
                .recipient(recipient, text, &shared, &mut seen)
                .and_then(|found| {
                    let domestic = split && found.msisdn.is_mainland_china();
                    let carrier = self.route(found.msisdn, text.class, sender.as_deref(), &mut routed)?;
                    let slot = if domestic { &mut open_domestic } else { &mut open };
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
                    let values = match (&found.own, &shared) {
                        (Some(own), _) => own,
                        (None, Ok(shared)) => shared,
                        (None, Err(refusal)) => return Err(*refusal),
                    };
                    let shares_text = found.own.is_none();
                    // Counted as this carrier cuts it: what is billed is what is sent.
                    let encoding = self.catalog.encoding(carrier);
                    let known = batch.measured.iter().find(|(other, _)| *other == encoding);
                    let measured = match known {
                        Some((_, measured)) if shares_text => (*measured)?,
                        _ => {
                            let measured =
                                self.measure(&batch.pattern, values, &mut batch.rendered, encoding);
                            if shares_text {
                                batch.measured.push((encoding, measured));
                            }
                            measured?
                        }
                    };
                    let Some(into) = batches.get_mut(batch.index) else {
                        // No batch has this number: the whole request fails with an inner inconsistency.
                        return Ok(Placement::Stored {
                            batch: u32::MAX,
                            message: 0,
                        });
                    };
                    into.messages.push(NewMessage {
                        msisdn: found.msisdn,
                        written: recipient.phone.clone(),
                        params: (!values.filled.is_empty()).then(|| values.json.clone()),
                        extra: recipient.extra.clone(),
                        carrier,
                        segments: measured.segments,
                        failure: values.failure.or(measured.failure),
                    });
                    Ok(Placement::Stored {
                        batch: batch.index as u32,
                        message: into.messages.len() as u32 - 1,
                    })
                });
            placements.push(placement.unwrap_or_else(Placement::Refused));
        }
        // A batch none of whose recipients has values of its own needs no params: its text is final.
        for batch in open.into_iter().chain(open_domestic) {
            batch.settle(batches, shared.as_ref().ok());
        }
        drop_empty(batches, first_batch, &mut placements);
        placements
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
            // `TemplateParams.0=` is how a form says that there are none.
            Values::Positional(given)
                if variables.is_empty() && given.iter().all(|value| value.is_empty()) =>
            {
                Vec::new()
            }
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
        encoding: Encoding,
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
        if failure.is_none() && self.catalog.blocks(self.account.id, rendered) {
            match rules.forbidden {
                Forbidden::Refuse => return Err(Refusal::ContentForbidden),
                Forbidden::Fail(code) => failure = Some(code),
            }
        }
        match (encoding.count(rendered), failure) {
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
        routed: &mut Option<Option<CarrierNo>>,
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
        let carrier = match *routed {
            Some(carrier) if self.catalog.routes().is_uniform() => carrier,
            _ => *routed.insert(decide()),
        };
        carrier.ok_or(Refusal::NoRoute)
    }

    fn batch(&self, text: &Text, pattern: &Arc<str>, sender: Option<Box<str>>) -> NewBatch {
        NewBatch {
            opens_session: false,
            class: text.class,
            kind: self.submission.kind,
            message_type: self.submission.message_type,
            template: text.number,
            text: Arc::clone(pattern),
            sender,
            label: self.submission.label,
            custom: self.submission.custom.clone(),
            due: self.submission.due,
            expires_at: self.lifetime.end(
                text.class,
                text.ttl_s,
                self.submission.due,
                self.submission.ends_at,
            ),
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
    /// Of the text that recipients without values of their own share, by how their carriers take texts.
    measured: Vec<(Encoding, Result<Measured, Refusal>)>,
}

impl OpenBatch {
    fn new(index: usize, pattern: Pattern) -> Self {
        Self {
            index,
            pattern,
            rendered: String::new(),
            measured: Vec::new(),
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

/// A batch whose every recipient was refused for its text is not stored; later batches move up. Those of the item that
/// `placements` are of begin at `first`.
fn drop_empty(batches: &mut Vec<NewBatch>, first: usize, placements: &mut [Placement]) {
    let mut empty = 0;
    // How many are dropped before each.
    let mut dropped_before = Vec::new();
    for batch in batches.iter().skip(first) {
        dropped_before.push(empty);
        empty += u32::from(batch.messages.is_empty());
    }
    if empty == 0 {
        return;
    }
    batches.retain(|batch| !batch.messages.is_empty());
    for placement in placements {
        if let Placement::Stored { batch, .. } = placement
            && let Some(dropped) = (*batch as usize)
                .checked_sub(first)
                .and_then(|at| dropped_before.get(at))
        {
            *batch -= dropped;
        }
    }
}
