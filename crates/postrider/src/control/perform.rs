//! Runs commands in the node that serves the store.

use super::{Answer, NodeCommand, send};
use crate::config::hint;
use crate::node::Health;
use crate::review::store_review;
use engine::Engine;
use std::fmt;

/// Runs a command.
pub(super) async fn perform(
    engine: &Engine,
    health: &Health,
    command: &NodeCommand,
    free_text: bool,
) -> Answer {
    match command {
        NodeCommand::Standing => Answer::Standing(health.standing().await),
        NodeCommand::Carriers => match engine.carrier_statuses().await {
            Ok(carriers) => Answer::Carriers(carriers),
            Err(error) => Answer::Failed(error.to_string()),
        },
        NodeCommand::Send(command) => send::send(engine, command, free_text).await,
        NodeCommand::Pause { endpoint, reason } => {
            answer(engine.pause_endpoint(*endpoint, reason).await.map(one))
        }
        NodeCommand::Resume { endpoint } => answer(engine.resume_endpoint(*endpoint).await.map(one)),
        NodeCommand::Replay { endpoint, since } => {
            answer(engine.replay_endpoint(*endpoint, *since).await.map(one))
        }
        NodeCommand::Resend {
            endpoint,
            call: Some(no),
        } => answer(engine.resend_call(*endpoint, *no).await.map(one)),
        NodeCommand::Resend { endpoint, call: None } => answer(engine.resend_dead_calls(*endpoint).await),
        NodeCommand::Test { endpoint } => {
            let entry = engine.catalog().endpoint(*endpoint).cloned();
            match entry {
                Some(entry) => answer(engine.probe_endpoint(&entry).await.map(one)),
                None => Answer::Failed("no such webhook".to_owned()),
            }
        }
        NodeCommand::ReloadCatalog => {
            if let Err(error) = engine.reload_catalog().await {
                return Answer::Failed(error.to_string());
            }
            // Events that were appended beside the node are delivered after its own next commit: this one.
            answer(engine.store().probe().await.map(one))
        }
        NodeCommand::Reconnect { carrier } => match engine.reconnect(carrier) {
            Some(_) => Answer::Done(1),
            None => {
                let catalog = engine.catalog();
                let names: Vec<&str> = catalog.carriers().map(|entry| &*entry.name).collect();
                let (_, hint) = hint(carrier, names.into_iter());
                Answer::Failed(format!("there is no carrier {carrier:?}{hint}"))
            }
        },
        NodeCommand::PlayInbound { from, to, text } => match engine.play_inbound(from, to, text).await {
            Ok(played) => Answer::Played {
                account: played.account,
            },
            Err(error) => Answer::Failed(error.to_string()),
        },
        NodeCommand::Cancel { account, task } => match engine.cancel_task(*account, *task).await {
            Ok(cancelled) => Answer::Done(u64::from(cancelled.is_some())),
            Err(error) => Answer::Failed(error.to_string()),
        },
        NodeCommand::EndTask {
            account,
            task,
            ends_at,
        } => match engine.set_task_end(*account, *task, *ends_at).await {
            Ok(changed) => Answer::Done(u64::from(changed.is_some())),
            Err(error) => Answer::Failed(error.to_string()),
        },
        NodeCommand::ReviewQualification {
            account,
            qualification,
            from,
            to,
            reason,
        } => {
            let done = store_review(
                &**engine.store(),
                (*account, *qualification),
                (*from, *to),
                reason,
                engine.now(),
            );
            answer(done.await.map_err(|error| format!("{error:#}")))
        }
    }
}

fn one((): ()) -> u64 {
    1
}

fn answer<E: fmt::Display>(result: Result<u64, E>) -> Answer {
    match result {
        Ok(count) => Answer::Done(count),
        Err(error) => Answer::Failed(error.to_string()),
    }
}
