//! The text that an item of a submission names: its template with the right signature around it.

use super::{Item, Refusal, SignatureRef, TemplateRef};
use crate::catalog::{Snapshot, TemplateEntry, signed};
use sms::class::Class;
use sms::template::Template as Pattern;
use std::sync::Arc;
use store::{AccountId, Position, Review};

/// The text of an item, in both styles of brackets, and what to fill it with.
pub(super) struct Text {
    pub(super) number: i64,
    pub(super) class: Class,
    /// The template's own time to live, if it sets one.
    pub(super) ttl_s: Option<u32>,
    /// What variables and their positions are taken from.
    pub(super) content: Pattern,
    pub(super) domestic: Arc<str>,
    pub(super) international: Arc<str>,
}

impl Text {
    /// Looks up what an item names. It must be approved, and so must the signature.
    pub(super) fn find(item: &Item, account: AccountId, catalog: &Snapshot) -> Result<Self, Refusal> {
        let around = |text: &str, position, entry| around(text, position, entry, item, account, catalog);
        let entry = match &item.template {
            TemplateRef::Number(number) => catalog.template_by_number(account, *number),
            TemplateRef::UtId(ut_id) => catalog.template_by_ut_id(account, ut_id),
            TemplateRef::Any(id) => id
                .parse()
                .ok()
                .and_then(|number| catalog.template_by_number(account, number))
                .or_else(|| catalog.template_by_ut_id(account, id)),
            TemplateRef::Pinned(pinned) => {
                return Ok(Self {
                    number: pinned.number,
                    class: pinned.class,
                    ttl_s: pinned.ttl_s,
                    content: Pattern::parse(&pinned.content),
                    domestic: Arc::clone(&pinned.domestic),
                    international: Arc::clone(&pinned.international),
                });
            }
            TemplateRef::BuiltIn(built_in) => {
                let (domestic, international) = around(built_in.text(), Position::Front, None)?;
                return Ok(Self {
                    number: built_in.number(),
                    class: Class::Otp,
                    ttl_s: None,
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
        let (domestic, international) = around(&entry.template.text, entry.template.position, Some(entry))?;
        Ok(Self {
            number: entry.template.number,
            class: entry.template.class,
            ttl_s: entry.template.ttl_s,
            content: entry.pattern.clone(),
            domestic,
            international,
        })
    }
}

/// The text with the right signature around it, in both styles.
fn around(
    text: &str,
    position: Position,
    entry: Option<&Arc<TemplateEntry>>,
    item: &Item,
    account: AccountId,
    catalog: &Snapshot,
) -> Result<(Arc<str>, Arc<str>), Refusal> {
    let signature = match &item.signature {
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
        SignatureRef::Text(written) => catalog.signature_by_text(account, written),
        SignatureRef::Id(id) => catalog.signature(account, *id),
    };
    let signature = signature
        .filter(|signature| signature.review == Review::Approved)
        .ok_or(Refusal::SignatureInvalid)?;
    Ok((
        Arc::from(signed(text, &signature.text, position, true)),
        Arc::from(signed(text, &signature.text, position, false)),
    ))
}
