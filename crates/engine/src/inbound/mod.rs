//! Inbound messages: decoded, assigned to an account, stored, and only then acknowledged.
//!
//! Whose it is: an account that claims the number or code it was sent to (`inbound_to`), else the account of the newest
//! message to the person who writes. A word that unsubscribes (`opt_out_words`) puts its sender on the account's
//! suppression list, and one that subscribes again takes it off, in the transaction that makes the message whole.

mod claims;
mod read;

pub(crate) use claims::Claims;
pub(crate) use read::{Party, Written, default_charset, of_data, of_deliver};

use crate::catalog::{CarrierSettings, Snapshot};
use crate::engine::{Engine, Shared};
use sms::phone::Msisdn;
use sms::phone::carrier::readings;
use sms::user_data;
use std::time::Duration;
use store::{
    AccountId, CarrierNo, Inbound, InboundBody, InboundEffect, InboundId, InboundPart, LastTo, MessageId,
    MessageView, NewInbound, StoreError, UnixMs,
};

/// How long ago a message may be that somebody answers.
const ANSWERS_WITHIN: Duration = Duration::from_secs(7 * 86_400);

/// One part of what a person wrote, with whom it came from.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) carrier: CarrierNo,
    pub(crate) written: Written,
    pub(crate) received_at: UnixMs,
}

/// Stores parts, in order.
pub(crate) async fn record(shared: &Shared, arrived: Vec<Arrived>) -> Result<Vec<InboundEffect>, StoreError> {
    let catalog = shared.catalog.load_full();
    let mut parts = Vec::with_capacity(arrived.len());
    for Arrived {
        carrier,
        written,
        received_at,
    } in arrived
    {
        let Written { from, to, data, part } = written;
        let owner = owner(shared, &catalog, carrier, &from, &to, received_at).await?;
        parts.push(NewInbound {
            account: owner.account,
            carrier,
            from: owner
                .from
                .map_or(from.written, |msisdn| msisdn.to_string().into()),
            to: to.written,
            body: match part {
                Some(_) => InboundBody::Part(data),
                None => InboundBody::Whole(user_data::content(&[data])),
            },
            answers: owner.answers,
            received_at,
            part: part.map(|part| InboundPart {
                kind: part.kind,
                reference: part.reference,
                number: part.number,
                total: part.total,
            }),
        });
    }
    shared.store.record_inbound(parts, catalog.claims().words()).await
}

/// Whose customer writes.
#[derive(Debug, Default)]
struct Owner {
    account: Option<AccountId>,
    /// The sender's number, where it is one.
    from: Option<Msisdn>,
    /// The message that the sender seems to answer.
    answers: Option<MessageId>,
}

async fn owner(
    shared: &Shared,
    catalog: &Snapshot,
    carrier: CarrierNo,
    from: &Party,
    to: &Party,
    now: UnixMs,
) -> Result<Owner, StoreError> {
    let country = match catalog.carrier(carrier).map(|entry| &entry.settings) {
        Some(CarrierSettings::Smpp(smpp)) => smpp.country(),
        _ => None,
    };
    let country = country.or_else(|| catalog.claims().country(carrier));
    let claimed = catalog.claims().owner(&to.written, to.kind, country);
    let numbers = readings(&from.written, from.kind, country);
    // Of several readings, that which somebody wrote to; else the likeliest.
    let mut found = Owner {
        account: claimed,
        from: numbers.first().copied(),
        answers: None,
    };
    for msisdn in numbers {
        let Some(last) = last_to(shared, carrier, msisdn, now).await? else {
            continue;
        };
        let account = last.batch.account;
        if claimed.is_none_or(|claimed| claimed == account) {
            found = Owner {
                account: Some(account),
                from: Some(msisdn),
                answers: Some(last.id),
            };
            break;
        }
    }
    Ok(found)
}

async fn last_to(
    shared: &Shared,
    carrier: CarrierNo,
    msisdn: Msisdn,
    now: UnixMs,
) -> Result<Option<MessageView>, StoreError> {
    let query = LastTo {
        msisdn,
        since: now - i64::try_from(ANSWERS_WITHIN.as_millis()).unwrap_or(i64::MAX),
        carrier: Some(carrier),
    };
    shared.store.last_to(query).await
}

impl Engine {
    /// Inbound messages by id.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn inbound(&self, ids: Vec<InboundId>) -> Result<Vec<Inbound>, StoreError> {
        self.store().inbound(ids).await
    }
}
