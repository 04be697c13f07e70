//! Events that an account fetches instead of being called: an endpoint without a URL.

use crate::engine::Engine;
use crate::notify::{Subject, Telling};
use std::collections::HashMap;
use std::time::Duration;
use store::{AccountId, Event, EventWhat, MessageId, RecordDelivery, StoreError};

/// Events looked at for one fetch at most: those too old, or whose message is gone, are passed over.
const LOOKED_AT_MAX: usize = 10_000;

impl Engine {
    /// The next events about messages for an account's endpoint of a form that is fetched; they are told with that and
    /// will not be given again. `None` when the account has no such endpoint, or has it switched off. Events older
    /// than `keep` are passed over.
    ///
    /// Two fetches at once get different events: they take turns.
    ///
    /// # Errors
    /// When the store failed; nothing is told then.
    pub async fn pull(
        &self,
        account: AccountId,
        format: &str,
        keep: Duration,
        events_max: usize,
    ) -> Result<Option<Vec<Telling>>, StoreError> {
        let catalog = self.catalog();
        let endpoint = catalog
            .endpoints()
            .map(|entry| &entry.endpoint)
            .find(|endpoint| endpoint.account == account && endpoint.enabled && *endpoint.format == *format);
        let Some(endpoint) = endpoint else { return Ok(None) };
        let _turn = self.pulling().lock().await;
        let states = self.store().endpoint_states().await?;
        let Some(state) = states.iter().find(|state| state.endpoint == endpoint.id) else {
            return Ok(Some(Vec::new()));
        };
        let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let oldest = self.now().saturating_sub(keep_ms);
        let (mut told, mut tellings, mut looked_at) = (state.told, Vec::new(), 0);
        while tellings.len() < events_max && looked_at < LOOKED_AT_MAX {
            let wanted = events_max - tellings.len();
            let (events, next) = self.store().events(account, told, endpoint.kinds, wanted).await?;
            if next == told {
                break;
            }
            told = next;
            looked_at += events.len().max(1);
            let fresh = events.into_iter().filter(|event| event.at >= oldest).collect();
            tellings.extend(self.about_messages(fresh).await?);
        }
        if told != state.told {
            let done = RecordDelivery {
                endpoint: Some(endpoint.id),
                told: Some(told),
                ..RecordDelivery::default()
            };
            self.store().record_delivery(done).await?;
        }
        Ok(Some(tellings))
    }

    /// Events with their messages; those of other things, and of messages that are gone, are left out.
    async fn about_messages(&self, events: Vec<Event>) -> Result<Vec<Telling>, StoreError> {
        let id_of = |event: &Event| match event.what {
            EventWhat::Message { id, .. } => Some(id),
            _ => None,
        };
        let mut ids: Vec<MessageId> = events.iter().filter_map(id_of).collect();
        ids.sort_unstable();
        ids.dedup();
        let views = self.store().messages(ids).await?;
        let views: HashMap<MessageId, _> = views.into_iter().map(|view| (view.id, view)).collect();
        let with = |event: Event| {
            let view = views.get(&id_of(&event)?)?.clone();
            Some(Telling {
                event,
                subject: Subject::Message(Box::new(view)),
            })
        };
        Ok(events.into_iter().filter_map(with).collect())
    }
}
