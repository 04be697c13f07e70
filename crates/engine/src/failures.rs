//! A log line for each message that fails, with its reason; a bounded number of lines a second.

use crate::engine::Shared;
use crate::reason::ReasonView;
use std::sync::Arc;
use store::MessageId;
use tokio::sync::mpsc;

/// Groups of failed messages that wait to be logged; more of them are dropped.
const WAITING_MAX: usize = 64;

/// Logs what fails from now on.
pub(crate) fn follow(shared: &Arc<Shared>) {
    let (failed, mut waiting) = mpsc::channel::<Vec<MessageId>>(WAITING_MAX);
    shared.store.on_failed(Box::new(move |ids| {
        // The store's own thread must not wait for a log.
        let _ = failed.try_send(ids.to_vec());
    }));
    let weak = Arc::downgrade(shared);
    let cancel = shared.cancel.clone();
    shared.tasks.spawn(async move {
        loop {
            let ids = tokio::select! {
                () = cancel.cancelled() => return,
                ids = waiting.recv() => ids,
            };
            let (Some(ids), Some(shared)) = (ids, weak.upgrade()) else {
                return;
            };
            for id in ids {
                log(&shared, id).await;
            }
        }
    });
}

async fn log(shared: &Shared, id: MessageId) {
    let Some(suppressed) = shared.failure_log.admit(shared.clock.now()) else {
        return;
    };
    let Ok(found) = shared.store.messages(vec![id]).await else {
        return;
    };
    let Some(message) = found.into_iter().next() else {
        return;
    };
    let Some(reason) = ReasonView::of(&message) else {
        return;
    };
    let catalog = shared.catalog.load();
    let account = catalog.account(message.batch.account);
    let account = account.map_or("", |account| &account.name);
    let carrier = catalog.carrier(message.carrier);
    let carrier = carrier.map_or("", |carrier| &carrier.name);
    tracing::info!(
        id = %id,
        account,
        carrier,
        number = %message.msisdn.masked(),
        state = %message.state,
        code = reason.code,
        reason = %reason.name,
        carrier_status = reason.carrier_status,
        carrier_status_name = reason.carrier_status_name,
        error = &*message.error,
        suppressed,
        "message failed"
    );
}
