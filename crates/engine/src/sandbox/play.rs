//! Inbound messages that nobody wrote: played into the sandbox by a test.

use crate::catalog::CarrierSettings;
use crate::engine::Engine;
use crate::inbound::{self, Arrived, Party, Written};
use sms::phone::carrier::NumberType;
use sms::user_data::UserData;
use store::{CarrierNo, InboundEffect, InboundId, StoreError};
use thiserror::Error;

/// Why an inbound message was not played.
#[derive(Debug, Error)]
pub enum PlayError {
    /// The process is not there to test with.
    #[error("inbound messages can be played with `postrider dev` only")]
    NotForTests,
    /// No carrier of the catalog is a sandbox.
    #[error("the catalog has no carrier of the type sandbox")]
    NoSandbox,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An inbound message that was played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// Its id; absent while parts of it are missing.
    pub id: Option<InboundId>,
    /// The name of the account it belongs to; absent: nobody's.
    pub account: Option<Box<str>>,
}

impl Engine {
    /// Stores a text as if a person had written it to a number or code, over the sandbox: it belongs to the account that
    /// claims `to`, else to the one that last wrote to `from`, and words that unsubscribe or subscribe do so.
    ///
    /// # Errors
    /// [`PlayError`] when the process is not there to test with, has no sandbox, or its store failed.
    pub async fn play_inbound(&self, from: &str, to: &str, text: &str) -> Result<Played, PlayError> {
        if !self.shared.inbox.keeps_refusals() {
            return Err(PlayError::NotForTests);
        }
        let carrier = self.sandbox().ok_or(PlayError::NoSandbox)?;
        let party = |written: &str| Party {
            written: written.trim().into(),
            kind: NumberType::Other,
        };
        let arrived = Arrived {
            carrier,
            written: Written {
                from: party(from),
                to: party(to),
                data: UserData::from(text),
                part: None,
            },
            received_at: self.now(),
        };
        let effects = inbound::record(&self.shared, vec![arrived]).await?;
        let id = effects.into_iter().find_map(|effect| match effect {
            InboundEffect::Whole(id) => Some(id),
            _ => None,
        });
        let stored = match id {
            Some(id) => self.shared.store.inbound(vec![id]).await?,
            None => Vec::new(),
        };
        let catalog = self.catalog();
        let owner = stored.first().and_then(|stored| stored.account);
        let account = owner
            .and_then(|id| catalog.account(id))
            .map(|account| account.name.clone());
        Ok(Played { id, account })
    }

    fn sandbox(&self) -> Option<CarrierNo> {
        let catalog = self.catalog();
        catalog
            .carriers()
            .find(|entry| matches!(entry.settings, CarrierSettings::Sandbox(_)))
            .map(|entry| entry.no)
    }
}
