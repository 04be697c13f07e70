//! What people write: read off the wire, given to an account, stored, and only then acknowledged.
//!
//! Whose it is: an account that claims the number or code it was sent to (`inbound_to`), else the account of the newest
//! message to the person who writes. A word that unsubscribes (`opt_out_words`) puts its sender on the account's
//! suppression list in passing.

mod read;

pub(crate) use read::{Written, of_data, of_deliver};

use crate::catalog::Snapshot;
use crate::engine::{Engine, Shared};
use sms::phone::Msisdn;
use std::time::Duration;
use store::{
    Account, AccountId, CarrierNo, CatalogChange, Inbound, InboundFate, InboundId, InboundPart, LastTo,
    MessageId, NewInbound, StoreError, Suppression, SuppressionKind, UnixMs,
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
pub(crate) async fn record(shared: &Shared, arrived: Vec<Arrived>) -> Result<Vec<InboundFate>, StoreError> {
    let catalog = shared.catalog.load_full();
    let mut parts = Vec::with_capacity(arrived.len());
    let mut left = Vec::new();
    for Arrived {
        carrier,
        written,
        received_at,
    } in arrived
    {
        let from = number(&written.from);
        let (account, answers) = owner(shared, &catalog, carrier, from, &written.to, received_at).await?;
        if let (Some(account), Some(msisdn)) = (account, from)
            && written.part.is_none()
            && catalog
                .account(account)
                .is_some_and(|account| opts_out(account, &written.text))
        {
            left.push(CatalogChange::PutSuppression(Suppression {
                account: Some(account),
                msisdn,
                kind: SuppressionKind::Unsubscribed,
            }));
        }
        parts.push(NewInbound {
            account,
            carrier,
            from: from.map_or(written.from, |msisdn| msisdn.to_string().into()),
            to: written.to,
            text: written.text,
            answers,
            received_at,
            part: written.part.map(|part| InboundPart {
                reference: part.reference,
                number: part.number,
                total: part.total,
            }),
        });
    }
    // Before what brought it is acknowledged: a kill in between costs one more look at it, not the wish.
    if !left.is_empty() {
        shared.store.change_catalog(left).await?;
    }
    shared.store.record_inbound(parts).await
}

/// Digits with or without a plus, as international numbers come.
fn number(written: &str) -> Option<Msisdn> {
    let digits = written.strip_prefix('+').unwrap_or(written);
    Msisdn::from_digits(digits)
}

/// Whose customer writes, and which message he seems to answer.
async fn owner(
    shared: &Shared,
    catalog: &Snapshot,
    carrier: CarrierNo,
    from: Option<Msisdn>,
    to: &str,
    now: UnixMs,
) -> Result<(Option<AccountId>, Option<MessageId>), StoreError> {
    let bare = |written: &str| written.trim_start_matches('+').to_owned();
    let to = bare(to);
    let claimed = catalog
        .accounts()
        .filter(|account| account.inbound_to.iter().any(|number| bare(number) == to))
        .map(|account| account.id)
        .min();
    let last = match from {
        Some(msisdn) => {
            let asked = LastTo {
                msisdn,
                since: now - i64::try_from(ANSWERS_WITHIN.as_millis()).unwrap_or(i64::MAX),
                carrier: Some(carrier),
            };
            shared.store.last_to(asked).await?
        }
        None => None,
    };
    Ok(match (claimed, last) {
        (None, last) => (
            last.as_ref().map(|message| message.batch.account),
            last.map(|message| message.id),
        ),
        (Some(account), last) => (
            Some(account),
            last.filter(|message| message.batch.account == account)
                .map(|message| message.id),
        ),
    })
}

/// Whether a text is nothing but a word that unsubscribes.
fn opts_out(account: &Account, text: &str) -> bool {
    let text = text.trim().to_lowercase();
    account
        .opt_out_words
        .iter()
        .any(|word| word.trim().to_lowercase() == text)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn account(words: &[&str]) -> Account {
        Account {
            id: AccountId(1),
            name: "a".into(),
            balance: None,
            weight: 1,
            caps: store::Caps::default(),
            may_send: true,
            senders: Vec::new(),
            project_ids: Vec::new(),
            auto_approve: false,
            inbound_to: Vec::new(),
            opt_out_words: words.iter().map(|word| Box::from(*word)).collect(),
        }
    }

    #[test]
    fn only_a_word_alone_unsubscribes() {
        let account = account(&["STOP", "退订"]);
        for (text, out) in [
            (" stop\n", true),
            ("退订", true),
            ("please stop", false),
            ("stop it", false),
            ("", false),
        ] {
            assert_eq!(opts_out(&account, text), out, "{text:?}");
        }
    }

    #[test]
    fn numbers_come_with_and_without_a_plus() {
        assert_eq!(number("+447700900123"), number("447700900123"));
        assert!(number("447700900123").is_some());
        assert_eq!(number("Bank"), None);
        assert_eq!(number(""), None);
    }
}
