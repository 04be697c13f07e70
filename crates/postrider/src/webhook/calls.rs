//! `postrider webhook dead`: calls that failed permanently, or wait for a retry.

use super::{CallsArgs, named, title};
use crate::exit::Failure;
use crate::table::{Table, counted};
use crate::when;
use anyhow::Context;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use store::{DeliveryRetry, DeliveryRetryFilter, Event, EventWhat, Events, Store};

pub(super) async fn run(args: &CallsArgs, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let endpoint = named(&catalog, &args.webhook)?;
    let filter = if args.waiting {
        DeliveryRetryFilter::Waiting
    } else {
        DeliveryRetryFilter::Dead
    };
    let calls = store
        .delivery_retries(endpoint.id, filter, args.after, args.limit.into())
        .await;
    let calls = calls.context("read the webhook's calls")?;
    store.close().await.context("close the store")?;
    if args.look.json {
        let listed: Vec<Value> = calls.iter().map(to_json).collect();
        let document = json!({ "webhook": title(&catalog, endpoint), "calls": listed });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    let zone = TimeZone::system();
    let mut table = Table::new(&["NO", "TRIES", "FIRST TRIED", "DUE", "EVENTS", "LAST ERROR"]);
    for call in &calls {
        table.row([
            call.no.to_string(),
            call.tries.to_string(),
            when::short(call.first_tried_at, &zone),
            if call.due == i64::MAX {
                "never".to_owned()
            } else {
                when::short(call.due, &zone)
            },
            summary(&call.events),
            call.error.to_string(),
        ]);
    }
    if table.is_empty() {
        let what = if args.waiting { "waiting" } else { "dead" };
        writeln!(out, "{} has no {what} calls", title(&catalog, endpoint))?;
        return Ok(());
    }
    table.print(out)?;
    if calls.len() == usize::from(args.limit)
        && let Some(last) = calls.last()
    {
        writeln!(out, "there may be more: --after {}", last.no)?;
    }
    Ok(())
}

/// The events of a call: their number by kind, or the details of a single one.
fn summary(events: &[Event]) -> String {
    if let [event] = events {
        return about(&event.what);
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for event in events {
        *counts.entry(kind(&event.what)).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    counts.join(", ")
}

fn kind(what: &EventWhat) -> &'static str {
    let name = crate::apply::file::EventName::of(what.kind()).next();
    name.map_or("unknown", crate::apply::file::EventName::name)
}

fn about(what: &EventWhat) -> String {
    match what {
        EventWhat::Accepted { first, count } => format!("accepted {first}, {}", counted(*count, "message")),
        EventWhat::Message { id, state, .. } => format!("message {id} {state}"),
        EventWhat::Inbound { id } => format!("inbound {}", id.0),
        EventWhat::TemplateReviewed { number, review } => {
            format!("template {number} {}", crate::review::name(*review))
        }
        EventWhat::SignatureReviewed { id, review } => {
            format!("signature {id} {}", crate::review::name(*review))
        }
        _ => "unknown".to_owned(),
    }
}

fn to_json(call: &DeliveryRetry) -> Value {
    let events = call.events.iter().map(|event| {
        json!({
            "place": event.offset.to_string(),
            "at": when::exact(event.at),
            "kind": kind(&event.what),
            "about": about(&event.what),
        })
    });
    json!({
        "no": call.no,
        "tries": call.tries,
        "first_tried_at": when::exact(call.first_tried_at),
        "due": (call.due != i64::MAX).then(|| when::exact(call.due)),
        "error": call.error,
        "events": events.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sms::state::MessageState;
    use store::{EventOffset, MessageId};

    fn event(index: u32, what: EventWhat) -> Event {
        Event {
            offset: EventOffset { row: 1, index },
            at: 1_795_000_000_000,
            what,
        }
    }

    #[test]
    fn a_call_shows_its_events() {
        let delivered = |id| EventWhat::Message {
            id: MessageId(id),
            state: MessageState::Delivered,
            error: "".into(),
        };
        let accepted = EventWhat::Accepted {
            first: MessageId(5),
            count: 2,
        };
        assert_eq!(summary(&[event(0, delivered(5))]), "message 5 delivered");
        let several = [event(0, accepted), event(1, delivered(5)), event(2, delivered(6))];
        assert_eq!(summary(&several), "1 accepted, 2 ended");
        let call = DeliveryRetry {
            no: 3,
            events: several.to_vec(),
            tries: 9,
            due: i64::MAX,
            first_tried_at: 1_795_000_000_000,
            error: "HTTP 500".into(),
        };
        let document = to_json(&call);
        assert_eq!(
            (&document["due"], &document["events"][1]["about"]),
            (&Value::Null, &json!("message 5 delivered"))
        );
    }
}
